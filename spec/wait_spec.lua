-- neap.wait on descriptors that belong to others, and neap.sleep.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local unix <const> = require "neap.unix"
local in_task <const> = helper.in_task

-- fn(r, w) with a pipe that is closed after.
local function with_pipe(fn)
  in_task(function()
    local r, w = probe.pipe()
    local guard <close> = helper.defer(function()
      for _, fd in ipairs { r, w } do
        if probe.isopen(fd) then probe.close(fd) end
      end
    end)
    return fn(r, w)
  end)
end

local function fill(fd)
  probe.nonblock(fd, true)
  while probe.write(fd, ("x"):rep(4096)) do end
  probe.nonblock(fd, false)
end

describe("waiting for a descriptor", function()
  it("ends when it is ready to be read", function()
    with_pipe(function(r, w)
      neap.spawn(function()
        neap.sleep(0.005)
        probe.write(w, "x")
      end)
      assert.takes(0.004, 1, function() assert.equal("r", neap.wait(r, "r")) end)
      assert.equal("x", probe.read(r))
    end)
  end)

  it("ends when it is ready to be written", function()
    with_pipe(function(r, w)
      assert.equal("w", neap.wait(w, "w"))
      fill(w)
      assert.fails("ETIMEDOUT", neap.wait(w, "w", 0.005))
      neap.spawn(function()
        neap.sleep(0.005)
        probe.read(r, 65536)
      end)
      assert.equal("w", neap.wait(w, "w"))
    end)
  end)

  it("says which of both is ready", function()
    in_task(function()
      local a, b = probe.socketpair()
      assert.equal("w", neap.wait(a, "rw"))
      probe.write(b, "x")
      assert.equal("rw", neap.wait(a, "rw"))
      fill(a)
      assert.equal("r", neap.wait(a, "rw"))
      probe.close(a)
      probe.close(b)
    end)
  end)

  it("is one-shot and armed anew: what is left is seen again, what was taken is not", function()
    with_pipe(function(r, w)
      probe.write(w, "xyz")
      for _ = 1, 3 do
        assert.equal("r", neap.wait(r, "r", 1))
        probe.read(r, 1)
      end
      assert.fails("ETIMEDOUT", neap.wait(r, "r", 0.005))
      probe.write(w, "x")
      assert.equal("r", neap.wait(r, "r", 1))
      assert.equal("r", neap.wait(r, "r", 1)) -- though no new event came
    end)
  end)

  it("does not spin when nobody waits though it is ready", function()
    with_pipe(function(r, w)
      assert.fails("ETIMEDOUT", neap.wait(r, "r", 0.001))
      probe.write(w, "x")
      local before = os.clock()
      neap.sleep(0.1)
      assert.is_true(os.clock() - before < 0.05)
    end)
  end)

  it("ends at the other side's end", function()
    with_pipe(function(r, w)
      probe.close(w)
      assert.equal("r", neap.wait(r, "r", 1))
      assert.equal("", probe.read(r))
    end)
    with_pipe(function(r, w)
      probe.close(r)
      assert.equal("w", neap.wait(w, "w", 1)) -- to find out that it is broken
    end)
    in_task(function()
      local a, b = probe.socketpair()
      probe.close(b)
      assert.equal("rw", neap.wait(a, "rw", 1))
      probe.close(a)
    end)
  end)

  it("wakes on the end while it waits", function()
    with_pipe(function(r, w)
      neap.spawn(function()
        neap.sleep(0.002)
        probe.close(w)
      end)
      assert.equal("r", neap.wait(r, "r", 5))
    end)
  end)

  it("fails with ETIMEDOUT in time, and with a timeout of zero tries once", function()
    with_pipe(function(r, w)
      assert.takes(0.01, 0.5, function() assert.fails("ETIMEDOUT", neap.wait(r, "r", 0.01)) end)
      assert.fails("ETIMEDOUT", neap.wait(r, "r", 0))
      probe.write(w, "x")
      assert.equal("r", neap.wait(r, "r", 0))
    end)
  end)

  it("takes a Lua file, a stream of ours, or any object with fileno()", function()
    in_task(function()
      local pipe = io.popen("sleep 0.01; echo done", "r")
      assert.equal("r", neap.wait(pipe, "r", 5))
      assert.equal("done", pipe:read())
      pipe:close()
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      assert(b:write "x")
      assert.equal("r", neap.wait(a, "r", 1))
      assert.equal("r", neap.wait({ fileno = function() return a:fileno() end }, "r", 1))
      local object = setmetatable({}, { __index = { fileno = function() return a:fileno() end } })
      assert.equal("r", neap.wait(object, "r", 1))
      assert.equal("x", a:read(1))
    end)
  end)

  it("finds a regular file and a directory ready at once", function()
    in_task(function()
      local path = helper.tmpname()
      local file <close> = assert(io.open(path, "w"))
      file:write "x"
      for _, mode in ipairs { "r", "w", "rw" } do
        assert.equal(mode, neap.wait(file, mode))
        assert.equal(mode, neap.wait(file, mode, 0))
      end
      local null <close> = assert(io.open "/dev/null")
      assert.is_truthy(neap.wait(null, "r", 1))
    end)
  end)

  it("lets one task wait to read and another to write", function()
    in_task(function()
      local a, b = probe.socketpair()
      local reader = neap.spawn(neap.wait, a, "r", 1)
      neap.sleep(0)
      assert.equal("w", neap.wait(a, "w", 1))
      probe.write(b, "x")
      assert.equal("r", reader:join())
      probe.close(a)
      probe.close(b)
    end)
  end)

  it("lets several tasks wait for one descriptor", function()
    with_pipe(function(r, w)
      local tasks = {}
      for i = 1, 3 do tasks[i] = neap.spawn(neap.wait, r, "r", 1) end
      neap.sleep(0.002)
      probe.write(w, "x")
      for i = 1, 3 do assert.equal("r", tasks[i]:join()) end
    end)
  end)

  it("does not come in the way of a stream of ours that is waited for, too", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      assert.fails("ETIMEDOUT", a:settimeout(0.001):read(1)) -- it is in the poller now
      a:settimeout(nil)
      assert.fails("ETIMEDOUT", neap.wait(a, "r", 0.001))
      neap.spawn(function()
        neap.sleep(0.002)
        b:write "x"
      end)
      assert.equal("x", neap.timeout(2, a.read, a, 1)) -- it still hears
      local reader = neap.spawn(a.read, a, 1)
      neap.sleep(0)
      local waiter = neap.spawn(neap.wait, a, "r", 2)
      neap.sleep(0)
      b:write "y"
      assert.equal("y", neap.timeout(2, reader.join, reader))
      waiter:cancel()
      waiter:join()
    end)
  end)

  it("serves a hundred descriptors at once", function()
    in_task(function()
      local ends, seen = {}, 0
      do
        local group <close> = neap.group()
        for i = 1, 100 do
          local r, w = probe.pipe()
          ends[i] = { r, w }
          group:spawn(function()
            assert.equal("r", neap.wait(r, "r", 5))
            assert.equal(tostring(i), probe.read(r))
            seen = seen + 1
          end)
        end
        neap.sleep(0)
        for i = 100, 1, -1 do probe.write(ends[i][2], tostring(i)) end
      end
      assert.equal(100, seen)
      for _, pair in ipairs(ends) do
        probe.close(pair[1])
        probe.close(pair[2])
      end
    end)
  end)

  it("never sets O_NONBLOCK, nor changes anything else of it", function()
    with_pipe(function(r, w)
      neap.wait(r, "r", 0.001)
      neap.wait(w, "w", 0.001)
      for _, fd in ipairs { r, w } do
        assert.same({ nonblock = false, cloexec = true }, probe.flags(fd))
      end
    end)
  end)

  it("may be followed by closing it and waiting for another of the same number", function()
    in_task(function()
      for _ = 1, 5 do
        local r, w = probe.pipe()
        assert.fails("ETIMEDOUT", neap.wait(r, "r", 0.001))
        probe.write(w, "x")
        assert.equal("r", neap.wait(r, "r", 1))
        probe.close(r)
        probe.close(w)
      end
    end)
  end)

  it("leaves a closed descriptor's duplicate without a voice", function()
    -- A descriptor that stays in the poller would report under the number of
    -- its successor, as long as a duplicate is open.
    in_task(function()
      local r, w = probe.pipe()
      assert.fails("ETIMEDOUT", neap.wait(r, "r", 0.001))
      local copy = probe.dup(r)
      probe.close(r)
      local other, other_w = probe.pipe()
      assert.equal(r, other) -- the number is used again
      probe.write(w, "x") -- the duplicate is ready now
      assert.fails("ETIMEDOUT", neap.wait(other, "r", 0.01))
      local before = os.clock()
      neap.sleep(0.1)
      assert.is_true(os.clock() - before < 0.05)
      for _, fd in ipairs { other, other_w, copy, w } do probe.close(fd) end
    end)
  end)

  it("fails with a code for what is no open descriptor", function()
    in_task(function()
      local r, w = probe.pipe()
      probe.close(r)
      probe.close(w)
      assert.fails("EBADF", neap.wait(r, "r", 0.01))
    end)
  end)

  it("refuses wrong arguments", function()
    local a, b = assert(unix.pair())
    a:close()
    b:close()
    for _, case in ipairs {
      { "bad argument #1", nil, "r" }, { "bad argument #1", "1", "r" }, { "bad argument #1", -1, "r" },
      { "bad argument #1", 1.5, "r" }, { "bad argument #1", {}, "r" }, { "bad argument #1", a, "r" },
      { "bad argument #1", 1 << 40, "r" },
      { "bad argument #2", 0 }, { "bad argument #2", 0, "x" }, { "bad argument #2", 0, "wr" },
      { "bad argument #3", 0, "r", -1 }, { "bad argument #3", 0, "r", "soon" },
      { "bad argument #3", 0, "r", 0 / 0 },
    } do assert.raises(case[1], neap.wait, table.unpack(case, 2, 4)) end
    local file = io.tmpfile()
    file:close()
    assert.raises("closed", neap.wait, file, "r")
  end)

  it("works at top level", function()
    local r, w = probe.pipe()
    neap.spawn(function()
      neap.sleep(0.002)
      probe.write(w, "x")
    end)
    assert.equal("r", neap.wait(r, "r", 5))
    probe.close(r)
    probe.close(w)
  end)
end)

describe("sleeping", function()
  it("takes at least as long as asked, and not much longer", function()
    in_task(function()
      for _, seconds in ipairs { 0.001, 0.01, 0.03 } do
        assert.takes(seconds, seconds + 0.2, neap.sleep, seconds)
      end
    end)
  end)

  it("gives way once with zero", function()
    in_task(function()
      local log = {}
      local other = neap.spawn(function()
        for i = 1, 3 do
          log[#log + 1] = i
          neap.sleep(0)
        end
      end)
      for _ = 1, 3 do
        log[#log + 1] = "main"
        neap.sleep(0)
      end
      other:join()
      assert.same({ "main", 1, "main", 2, "main", 3 }, log)
    end)
  end)

  it("wakes in the order of what was asked, not of who asked first", function()
    in_task(function()
      local order = {}
      local group <close> = neap.group()
      for _, ms in ipairs { 12, 3, 9, 6 } do
        group:spawn(function()
          neap.sleep(ms / 1000)
          order[#order + 1] = ms
        end)
      end
      group:wait()
      assert.same({ 3, 6, 9, 12 }, order)
    end)
  end)

  it("serves ten thousand sleepers", function()
    in_task(function()
      local woken = 0
      assert.takes(0, 3, function()
        local group <close> = neap.group()
        for i = 1, 10000 do
          group:spawn(function()
            neap.sleep((i * 7919 % 1000) / 1e5)
            woken = woken + 1
          end)
        end
      end)
      assert.equal(10000, woken)
    end)
  end)

  it("refuses what is no time", function()
    for _, seconds in ipairs { -1, -1e-9, 0 / 0, "soon", {}, true } do
      assert.raises("bad argument #1", neap.sleep, seconds)
    end
    assert.raises("bad argument #1", neap.sleep)
    assert.raises("bad argument #1", neap.sleep, nil)
  end)

  it("can be for ever", function()
    in_task(function()
      local task = neap.spawn(neap.sleep, math.huge)
      neap.sleep(0.002)
      assert.equal("waiting", task:status())
      task:cancel():join()
    end)
  end)
end)

describe("neap.now", function()
  it("is monotonic and finer than a millisecond", function()
    local a = neap.now()
    local b = neap.now()
    assert.equal("float", math.type(a))
    assert.is_true(b >= a and b - a < 0.01 * helper.slow)
    probe.sleep(0.02)
    assert.is_true(neap.now() - b >= 0.019)
  end)
end)
