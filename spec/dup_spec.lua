--- Duplicates of a descriptor: the kernel goes on reporting for what has been
-- closed as long as one is open somewhere. None of it may reach the loop.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"
local probe <const> = require "probe"

local in_task <const> = helper.in_task

local function waiting(task)
  helper.eventually(function() return task:status() == "waiting" end)
end

-- The poller knows the stream from now on: a task has waited on it.
local function arm(s)
  assert.fails("ETIMEDOUT", neap.timeout(0.005, s.read, s, 1))
end

-- A host that polls the loop's descriptor sees nothing to do after this.
local function assert_silent(noise)
  local fd = neap.pollfd()
  neap.sleep(0.005) -- what was there before is taken
  noise()
  if fd then assert.is_false(probe.poll(fd, "r", 0.01)) end
end

-- Who comes after the closed stream, in the same slot and mostly with the same
-- number, hears only what is its own.
local function assert_successor_works(noise)
  local c <close>, d = assert(unix.pair())
  local held <close> = d
  local reader = neap.spawn(function() return d:read(3) end)
  waiting(reader)
  for _ = 1, 3 do
    noise()
    neap.sleep(0.002)
  end
  assert.equal("waiting", reader:status())
  assert(c:write "own")
  assert.equal("own", reader:join())
  c:close()
  d:close()
  local read, write = probe.pipe()
  local cleanup <close> = helper.defer(function()
    probe.close(read)
    probe.close(write)
  end)
  local waits, began = 0.02 * helper.slow, false
  local waiter = neap.spawn(function()
    began = true
    return neap.wait(read, "r", waits)
  end)
  helper.eventually(function() return began end) -- on a slow machine it may be over by now
  noise()
  assert.fails("ETIMEDOUT", waiter:join())
end

-- What says something to the peer of a stream.
local function speaker(s)
  local fd <const> = s:fileno()
  return function() probe.write(fd, "to the duplicate") end
end

describe("a duplicate", function()
  for kind, pair in pairs { ["TCP stream"] = tcp.pair, ["Unix stream"] = unix.pair } do
    it(("of a closed %s reports nothing any more"):format(kind), function()
      in_task(function()
        local a <close>, b = assert(pair())
        arm(b)
        local copy = probe.dup(b:fileno())
        local cleanup <close> = helper.defer(function() probe.close(copy) end)
        assert.is_true(b:close())
        assert_silent(speaker(a))
        assert_successor_works(speaker(a))
        assert.matches("^to the duplicate", probe.read(copy))
      end)
    end)

    it(("of a detached %s reports nothing any more"):format(kind), function()
      in_task(function()
        local a <close>, b = assert(pair())
        arm(b)
        local fd = b:detach()
        local cleanup <close> = helper.defer(function() probe.close(fd) end)
        assert_silent(speaker(a))
        assert_successor_works(speaker(a))
        assert.matches("^to the duplicate", probe.read(fd))
      end)
    end)

    it(("of a %s that was passed reports nothing after its close"):format(kind), function()
      in_task(function()
        local a <close>, b = assert(pair())
        arm(b)
        local from <close>, to = assert(unix.pair())
        local held <close> = to
        assert(from:sendfd(b))
        assert.is_true(b:close()) -- now it lives in the message alone
        assert_silent(speaker(a))
        local heir <close> = assert(neap.stream(assert(to:receivefd())))
        assert.equal("to the duplicate", heir:read(16))
        assert_successor_works(speaker(a))
      end)
    end)

    it(("of an adopted %s reports nothing after its close"):format(kind), function()
      in_task(function()
        local a <close>, b = assert(pair())
        local fd <const> = b:detach()
        local copy = probe.dup(fd)
        local cleanup <close> = helper.defer(function() probe.close(copy) end)
        local adopted = assert(neap.stream(fd))
        arm(adopted)
        assert.is_true(adopted:close())
        assert_silent(speaker(a))
        assert_successor_works(speaker(a))
      end)
    end)
  end

  it("that a child process holds does not disturb who comes after", function()
    in_task(function()
      local a <close>, b = assert(tcp.pair())
      arm(b)
      local read, write = probe.pipe()
      local pid = probe.fork()
      if pid == 0 then -- it holds everything until it is told to end
        probe.close(write)
        probe.read(read)
        probe.exit(0)
      end
      local cleanup <close> = helper.defer(function()
        probe.close(write)
        probe.close(read)
        probe.waitpid(pid)
      end)
      assert.is_true(b:close()) -- a plain close: the child's keeps reporting
      for _ = 1, 5 do assert_successor_works(speaker(a)) end
      local before = os.clock()
      neap.sleep(0.1)
      assert.is_true(os.clock() - before < 0.05)
    end)
  end)

  it("of a closed listener reports nothing any more", function()
    in_task(function()
      local path = helper.tmpname()
      local listener = assert(unix.listen(path))
      assert.fails("ETIMEDOUT", listener:accept(0.005))
      local copy = probe.dup(listener:fileno())
      local cleanup <close> = helper.defer(function() probe.close(copy) end)
      assert(os.rename(path, path .. ".kept")) -- or close would remove it
      assert.is_true(listener:close())
      local client
      assert_silent(function() client = assert(unix.connect(path .. ".kept")) end) -- the copy listens on
      local held <close> = client
      local heir <close> = assert(unix.listen(nil, { fd = probe.dup(copy) }))
      local guard <close> = assert(heir:accept(1))
    end)
  end)

  it("of an open stream can be a second stream", function()
    in_task(function()
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      arm(b)
      local second <close> = assert(neap.stream(probe.dup(b:fileno())))
      arm(second)
      assert(a:write "12")
      local reader = neap.spawn(function() return second:read(2) end)
      assert.equal("12", reader:join())
      second:close()
      local first = neap.spawn(function() return b:read(2) end)
      waiting(first)
      assert(a:write "34")
      assert.equal("34", first:join())
    end)
  end)
end)

describe("a descriptor that was only waited for", function()
  it("reports nothing after the wait", function()
    in_task(function()
      local read, write = probe.pipe()
      local cleanup <close> = helper.defer(function()
        probe.close(read)
        probe.close(write)
      end)
      assert.fails("ETIMEDOUT", neap.wait(read, "r", 0.005))
      assert_silent(function() probe.write(write, "late") end)
      assert.equal("r", neap.wait(read, "r", 1))
      assert_silent(function() probe.write(write, "more") end) -- still readable: nobody's affair now
      assert.equal("r", neap.wait(read, "r", 1))
    end)
  end)

  it("may be closed and its number given to another", function()
    in_task(function()
      for _ = 1, 5 do
        local read, write = probe.pipe()
        assert.fails("ETIMEDOUT", neap.wait(read, "r", 0.002))
        probe.write(write, "x")
        assert.equal("r", neap.wait(read, "r", 1))
        probe.close(read)
        probe.close(write)
      end
    end)
  end)

  it("may be closed while it is waited for, which a duplicate outlives", function()
    in_task(function()
      local read, write = probe.pipe()
      local copy = probe.dup(read)
      local waiter = neap.spawn(function() return neap.wait(read, "r", 0.05) end)
      waiting(waiter)
      probe.close(read)
      local ready, _, code = waiter:join()
      assert.is_true(ready == "r" or code == "ETIMEDOUT") -- poll(2) notices, epoll cannot
      local again, other = probe.pipe() -- takes the number
      assert.fails("ETIMEDOUT", neap.wait(again, "r", 0.005))
      probe.write(write, "to the copy")
      assert.fails("ETIMEDOUT", neap.wait(again, "r", 0.005))
      probe.write(other, "x")
      assert.equal("r", neap.wait(again, "r", 1))
      for _, fd in ipairs { copy, write, again, other } do probe.close(fd) end
    end)
  end)
end)
