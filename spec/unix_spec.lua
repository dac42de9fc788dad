--- Unix sockets: paths, abstract names, descriptors and credentials.
local helper <const> = require "support.helper"
local lfs <const> = require "lfs"
local neap <const> = require "neap"
local unix <const> = require "neap.unix"
local tcp <const> = require "neap.tcp"
local probe <const> = require "probe"

local in_task <const> = helper.in_task

local MOST <const> = 253 -- descriptors in one message (SCM_MAX_FD)

local function with_pair(body, options)
  in_task(function()
    local a <close>, b = assert(unix.pair(options))
    local held <close> = b
    body(a, b)
  end)
end

local function write_file(text)
  local path = helper.tmpname()
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  return path
end

-- All that the descriptor, which is ours now, has to say.
local function read_all(fd)
  local s <close> = assert(neap.stream(fd))
  return assert(s:read "a")
end

local function exists(path) return lfs.symlinkattributes(path, "mode") end

local function waiting(task)
  helper.eventually(function() return task:status() == "waiting" end)
end

-- A Lua script in a process of its own, which runs beside this one. Its end
-- is in the pipe that this returns.
local function child(text, ...)
  local path = helper.tmpname ".lua"
  assert(assert(io.open(path, "w")):write(text)):close()
  local words = { helper.lua, path, ... }
  for i, word in ipairs(words) do words[i] = helper.quote(word) end
  return assert(io.popen(("LUA_PATH=%s LUA_CPATH=%s timeout -k 1 %d %s 2>&1 </dev/null"):format(
    helper.quote(package.path), helper.quote(package.cpath), 10 * helper.slow, table.concat(words, " "))))
end

describe("a Unix path", function()
  it("connects, and is the name of the listening side", function()
    in_task(function()
      local path = helper.tmpname()
      local listener <close> = assert(unix.listen(path))
      assert.equal("socket", exists(path))
      local a <close> = assert(unix.connect(path, { timeout = 2 }))
      local b <close> = assert(listener:accept(2))
      assert.equal(2, a:gettimeout())
      assert.equal(path, (listener:getsockname()))
      assert.same({ path }, { a:getpeername() })
      assert.same({ "" }, { a:getsockname() })
      assert.same({ path }, { b:getsockname() })
      assert.same({ "" }, { b:getpeername() })
    end)
  end)

  it("may be 107 bytes long, and one of 108 raises: it is never cut", function()
    in_task(function()
      local base = helper.tmpname()
      local longest = base .. ("x"):rep(107 - #base)
      local listener <close> = assert(unix.listen(longest))
      assert.equal(longest, (listener:getsockname()))
      local a <close> = assert(unix.connect(longest))
      assert.equal(longest, (a:getpeername()))
      assert.raises("bad argument #1", unix.listen, longest .. "x")
      assert.raises("bad argument #1", unix.connect, longest .. "x")
      assert.raises("bad argument #1", unix.connect, ("x"):rep(100000))
      assert.is_nil(exists(longest .. "x"))
    end)
  end)

  for what, wrong in pairs {
    ["is empty"] = "", ["holds a NUL"] = "/tmp/a\0b", ["is a number"] = 12, ["is missing"] = false,
  } do
    it("raises when it " .. what, function()
      assert.raises("bad argument #1", unix.listen, wrong or nil)
      assert.raises("bad argument #1", unix.connect, wrong or nil)
    end)
  end

  it("that nobody made or nobody listens on fails with its name", function()
    in_task(function()
      local path = helper.tmpname()
      local value, why, code = unix.connect(path)
      assert.fails("ENOENT", value, why, code)
      assert.equal(("connect %s: No such file or directory"):format(path), why)
      local fd = assert(unix.listen(path)):detach()
      probe.close(fd)
      assert.equal("socket", exists(path)) -- left behind
      value, why, code = unix.connect(path)
      assert.fails("ECONNREFUSED", value, why, code)
      assert.equal(("connect %s: Connection refused"):format(path), why)
      assert.fails("ENOENT", unix.listen(helper.tmpname() .. "/socket"))
    end)
  end)

  it("that nobody listens on any more is taken over", function()
    in_task(function()
      local path = helper.tmpname()
      probe.close((assert(unix.listen(path)):detach()))
      local listener <close> = assert(unix.listen(path))
      local a <close> = assert(unix.connect(path))
      local b <close> = assert(listener:accept(2))
      assert(a:write "x")
      assert.equal("x", b:read(1))
    end)
  end)

  it("that another listens on is left alone, even when that one's queue is full", function()
    in_task(function()
      local path = helper.tmpname()
      local guard <close> = assert(unix.listen(path, { backlog = 1 }))
      local value, why, code = unix.listen(path)
      assert.fails("EADDRINUSE", value, why, code)
      assert.equal(("listen %s: Address already in use"):format(path), why)
      local held <const> = {}
      repeat
        held[#held + 1] = unix.connect(path, { timeout = 0 })
      until #held >= 10 or not unix.connect(path, { timeout = 0 })
      assert.fails("EADDRINUSE", unix.listen(path))
      assert.equal("socket", exists(path))
      for _, conn in ipairs(held) do conn:close() end
    end)
  end)

  it("that is no socket is left alone", function()
    in_task(function()
      local path = write_file "precious"
      assert.fails("EADDRINUSE", unix.listen(path))
      local file <close> = assert(io.open(path))
      assert.equal("precious", file:read "a")
      local link = helper.tmpname()
      assert(lfs.link(path, link, true))
      assert.fails("EADDRINUSE", unix.listen(link))
      assert.equal("link", exists(link))
    end)
  end)

  it("is removed by close, and only if it is still its own", function()
    in_task(function()
      local path = helper.tmpname()
      local first = assert(unix.listen(path))
      assert.is_true(first:close())
      assert.is_nil(exists(path))
      first = assert(unix.listen(path))
      assert(os.remove(path))
      local second <close> = assert(unix.listen(path))
      assert.is_true(first:close())
      assert.equal("socket", exists(path))
      local held <close> = assert(unix.connect(path))
      second:close()
      assert.is_nil(exists(path))
      do
        local cleanup <close> = assert(unix.listen(path))
        assert.equal("socket", exists(path))
      end
      assert.is_nil(exists(path))
      unix.listen(path) -- and is not held by anything
      collectgarbage()
      collectgarbage()
      assert.is_nil(exists(path))
    end)
  end)

  it("has the mode that was asked for before anyone can connect", function()
    in_task(function()
      for _, case in ipairs { { "600", "rw-------" }, { "777", "rwxrwxrwx" }, { "000", "---------" } } do
        local path = helper.tmpname()
        local held <close> = assert(unix.listen(path, { mode = tonumber(case[1], 8) }))
        assert.equal(case[2], lfs.attributes(path, "permissions"))
      end
      for _, wrong in ipairs { -1, 512, "600", 1.5 } do
        assert.raises("mode", unix.listen, helper.tmpname(), { mode = wrong })
      end
    end)
  end)

  it("whose listener has no room for more is waited for", function()
    in_task(function()
      local path = helper.tmpname()
      local listener <close> = assert(unix.listen(path, { backlog = 1 }))
      local held <const> = {}
      while #held < 10 do
        local conn, _, code = unix.connect(path, { timeout = 0.03 })
        if not conn then
          assert.equal("ETIMEDOUT", code)
          break
        end
        held[#held + 1] = conn
      end
      assert.is_true(#held < 10)
      local value, why, code = assert.takes(0.05, 1, unix.connect, path, { timeout = 0.05 })
      assert.fails("ETIMEDOUT", value, why, code)
      assert.matches(path, why, 1, true)
      local task = neap.spawn(unix.connect, path, { timeout = 5 })
      waiting(task)
      local guard <close> = assert(listener:accept(1))
      local conn <close> = assert(task:join())
      assert.equal(5, conn:gettimeout())
      for _, each in ipairs(held) do each:close() end
    end)
  end)

  it("is not opened when options are wrong", function()
    local path = helper.tmpname()
    assert.raises("unknown option 'port'", unix.connect, path, { port = 1 })
    assert.raises("unknown option 'mode'", unix.connect, path, { mode = 384 })
    assert.raises("unknown option 'reuseport'", unix.listen, path, { reuseport = true })
    assert.raises("timeout", unix.connect, path, { timeout = -1 })
    assert.raises("bad argument #2", unix.listen, path, 5)
    assert.is_nil(exists(path))
  end)

  it("is what neap.connect and neap.listen take as unix: URLs", function()
    in_task(function()
      local path = helper.tmpname()
      local held <close> = assert(neap.listen("unix:" .. path, { mode = 384 }))
      local a <close> = assert(neap.connect("unix:" .. path))
      local b <close> = assert(neap.connect("unix://" .. path))
      assert.equal(path, (a:getpeername()))
      assert.equal(path, (b:getpeername()))
      local name = "neap-spec-" .. probe.getpid()
      local cleanup <close> = assert(neap.listen("unix:@" .. name))
      local c <close> = assert(neap.connect("unix:@" .. name))
      assert.equal("\0" .. name, (c:getpeername()))
    end)
  end)
end)

describe("an abstract name", function()
  it("connects, is told with its NUL, and leaves no file", function()
    in_task(function()
      local name = ("\0neap-spec-%d-name"):format(probe.getpid())
      local listener <close> = assert(unix.listen(name))
      assert.equal(name, (listener:getsockname()))
      local a <close> = assert(unix.connect(name))
      assert.equal(name, (a:getpeername()))
      local value, why, code = unix.listen(name)
      assert.fails("EADDRINUSE", value, why, code)
      assert.matches("listen @neap%-spec", why)
      listener:close()
      value, why, code = unix.connect(name)
      assert.fails("ECONNREFUSED", value, why, code)
      assert.equal(("connect @%s: Connection refused"):format(name:sub(2)), why)
    end)
  end)

  it("may hold any byte, also NULs at its end, and be 107 bytes long", function()
    in_task(function()
      local base = ("\0neap %d\0\xff\n"):format(probe.getpid())
      local names = { base, base .. "\0", base .. ("x"):rep(108 - #base) }
      for _, name in ipairs(names) do
        local listener <close> = assert(unix.listen(name))
        local a <close> = assert(unix.connect(name))
        local held <close> = assert(listener:accept(1))
        assert.equal(name, (a:getpeername()))
        assert.fails("ECONNREFUSED", unix.connect(name:sub(1, -2)))
      end
      assert.raises("bad argument #1", unix.listen, names[3] .. "x")
    end)
  end)
end)

describe("a Unix stream", function()
  it("of a pair has no name on either side", function()
    with_pair(function(a, b)
      for _, s in ipairs { a, b } do
        assert.same({ "" }, { s:getsockname() })
        assert.same({ "" }, { s:getpeername() })
      end
    end)
  end)

  it("tells who the peer is", function()
    with_pair(function(a)
      local id = assert(io.popen "id -u; id -g")
      local cred = assert(a:getpeercred())
      assert.same({ pid = probe.getpid(), uid = id:read "n", gid = id:read "n" }, cred)
      id:close()
    end)
  end)

  it("tells who the peer in another process is", function()
    in_task(function()
      local path = helper.tmpname()
      local listener <close> = assert(unix.listen(path))
      local held <close> = child([[
        local unix, probe = require "neap.unix", require "probe"
        local conn = assert(unix.connect(...))
        assert(conn:write(probe.getpid(), "\n"))
        conn:read()
      ]], path)
      local conn <close> = assert(listener:accept(5))
      local pid = math.tointeger(tonumber(conn:read()))
      assert.equal(pid, conn:getpeercred().pid)
      assert.not_equal(probe.getpid(), pid)
    end)
  end)
end)

describe("passing descriptors", function()
  it("hands over an open file, where it is", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "first\nrest"))
      file:setvbuf "no"
      assert(file:read "l")
      assert.equal(a, a:sendfd(file))
      local fd, more = b:receivefd()
      assert.equal("integer", math.type(fd))
      assert.is_nil(more)
      assert.is_true(probe.flags(fd).cloexec)
      assert.equal("rest", read_all(fd))
    end)
  end)

  it("hands over several at once, in their order, however they are given", function()
    with_pair(function(a, b)
      local read, write = probe.pipe()
      local file <close> = assert(io.open(write_file "of the file"))
      local other <close>, peer = assert(unix.pair())
      local held <close> = peer
      assert(peer:write "of the stream")
      assert(peer:shutdown "w")
      assert(a:sendfd(read, file, other))
      local fds = { b:receivefd() }
      assert.equal(3, #fds)
      probe.write(write, "of the pipe")
      probe.close(write)
      probe.close(read)
      assert.equal("of the pipe", read_all(fds[1]))
      assert.equal("of the file", read_all(fds[2]))
      assert.equal("of the stream", read_all(fds[3]))
    end)
  end)

  it("keeps several batches apart, and in place between the bytes", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "x"))
      for round = 1, 6 do
        b:settimeout(2)
        local reader
        if round % 3 == 1 then -- known to the poller, with nothing there
          b:settimeout(0)
          assert.fails("ETIMEDOUT", b:read(1))
          b:settimeout(2)
        elseif round % 3 == 2 then
          reader = neap.spawn(function() return b:read(4) end)
          waiting(reader)
        end
        -- all of it in one go: what comes after descriptors makes no event
        assert(a:write "head")
        assert(a:sendfd(file))
        assert(a:sendfd(file, file))
        assert(a:write "mid\n")
        assert(a:sendfd(file, file, file))
        assert(a:write "tail\n")
        assert.equal("head", reader and reader:join() or b:read(4))
        for _, fd in ipairs { b:receivefd() } do probe.close(fd) end
        local two = { b:receivefd() }
        assert.equal(2, #two)
        assert.equal("mid", b:read())
        local three = { b:receivefd() }
        assert.equal(3, #three)
        assert.equal("tail", b:read())
        for _, fd in ipairs(two) do probe.close(fd) end
        for _, fd in ipairs(three) do probe.close(fd) end
        assert.equal(0, b:pending())
      end
    end)
  end)

  it("before plain bytes leaves the bytes there to be read", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "x"))
      b:settimeout(2)
      local reader = neap.spawn(function() return b:receivefd() end)
      waiting(reader)
      assert(a:sendfd(file))
      assert(a:write "plain")
      probe.close(reader:join())
      assert.equal("plain", b:read(5))
      assert(a:sendfd(file))
      assert(a:shutdown "w")
      probe.close(b:receivefd())
      assert.fails("EOF", b:receivefd())
    end)
  end)

  it("is not missed by who reads bytes first, and they can be had after", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "passed"))
      assert(a:write "ab")
      assert(a:sendfd(file))
      assert(a:write "cd")
      b:settimeout(1)
      assert.fails("EBUSY", b:receivefd()) -- "ab" comes first
      assert.equal("ab\0cd", b:read(5))
      assert.equal("passed", read_all((b:receivefd())))
    end)
  end)

  it("waits for them as for bytes", function()
    with_pair(function(a, b)
      b:settimeout(0.02)
      assert.fails("ETIMEDOUT", b:receivefd())
      assert.fails("ETIMEDOUT", neap.timeout(0.02, b.receivefd, b))
      b:settimeout(nil)
      local first = neap.spawn(function() return b:receivefd() end)
      waiting(first)
      assert.fails("EBUSY", b:receivefd())
      assert.fails("EBUSY", b:read())
      local file <close> = assert(io.open(write_file "x"))
      assert(a:sendfd(file))
      probe.close(first:join())
      local second = neap.spawn(function() return b:receivefd() end)
      waiting(second)
      b:close()
      assert.fails("ECLOSED", second:join())
    end)
  end)

  it("queues with the writers", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "queued"))
      local text = ("x"):rep(4 * 1024 * 1024)
      local writer = neap.spawn(function() return a:write(text) end)
      waiting(writer)
      local sender = neap.spawn(function() return a:sendfd(file) end)
      local last = neap.spawn(function() return a:write "end" end)
      waiting(sender)
      assert.is_true(b:read(#text) == text)
      assert.equal("queued", read_all((b:receivefd())))
      assert.equal("end", b:read(3))
      for _, task in ipairs { writer, sender, last } do assert.equal(a, task:join()) end
    end)
  end)

  it("sends what is buffered first", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "x"))
      a:setvbuf "full"
      assert(a:write "held")
      assert(a:sendfd(file))
      assert.equal("held", b:read(4))
      probe.close(b:receivefd())
    end)
  end)

  it("counts its byte", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "x"))
      assert(a:sendfd(file, file))
      for _, fd in ipairs { b:receivefd() } do probe.close(fd) end
      assert.same({ 0, 1 }, { a:counters() })
      assert.same({ 1, 0 }, { b:counters() })
    end)
  end)

  it("takes as many as the kernel does, and raises on more", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "x"))
      local all = {}
      for i = 1, MOST do all[i] = file end
      assert(a:sendfd(table.unpack(all)))
      local fds = { b:receivefd() }
      assert.equal(MOST, #fds)
      for _, fd in ipairs(fds) do probe.close(fd) end
      all[#all + 1] = file
      assert.raises("bad argument", function() a:sendfd(table.unpack(all)) end)
    end)
  end)

  it("closes more than it may keep for a reader of bytes, and says so", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "x"))
      local before = helper.count_fds()
      local many = {}
      for i = 1, MOST - 1 do many[i] = file end
      assert(a:sendfd(table.unpack(many)))
      assert(a:sendfd(file, file))
      assert(a:write "x")
      assert.equal("\0\0x", b:read(3))
      assert.is_true(helper.count_fds() <= before + MOST)
      local value, why, code = b:receivefd()
      assert.fails("EMSGSIZE", value, why, code)
      assert.matches("receivefd.*limit", why)
      local fds = { b:receivefd() }
      assert.equal(MOST - 1, #fds)
      for _, fd in ipairs(fds) do probe.close(fd) end
    end)
  end)

  it("says so when this process has no room for them, and leaks none", function()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "x"))
      b:settimeout(0)
      assert.fails("ETIMEDOUT", b:read(1)) -- whatever the loop opens is open
      b:settimeout(2)
      assert(a:sendfd(file, file, file))
      local before, highest = helper.count_fds(), 0
      for fd in pairs(helper.fds()) do highest = math.max(highest, fd) end
      local limit = probe.nofile(highest + 1)
      local filler = {}
      for fd = 0, highest do
        if not probe.isopen(fd) then filler[#filler + 1] = probe.dup(0) end
      end
      local value, why, code = b:receivefd()
      for _, fd in ipairs(filler) do probe.close(fd) end
      probe.nofile(limit)
      assert.fails("EMSGSIZE", value, why, code)
      assert.equal(before, helper.count_fds())
      assert(a:write "on")
      assert.equal("\0on", b:read(3))
    end)
  end)

  it("closes those that nobody took, with the stream", function()
    local before = helper.count_fds()
    with_pair(function(a, b)
      local file <close> = assert(io.open(write_file "x"))
      assert(a:sendfd(file, file))
      assert(a:write "x")
      assert.equal("\0x", b:read(2))
      assert(a:sendfd(file)) -- and what still lies in the kernel
    end)
    assert.equal(before, helper.count_fds())
  end)

  it("between processes works both ways", function()
    in_task(function()
      local path, text = helper.tmpname(), write_file "from the parent"
      local listener <close> = assert(unix.listen(path))
      local process <const> = child([[
        local neap, unix, probe = require "neap", require "neap.unix", require "probe"
        local path, text = ...
        local conn <close> = assert(unix.connect(path, { timeout = 5 }))
        local s = assert(neap.stream(assert(conn:receivefd())))
        print(s:read "a")
        local read, write = probe.pipe()
        assert(conn:sendfd(read))
        probe.close(read)
        assert(probe.write(write, "from the child"))
        probe.close(write)
        assert(conn:read() == "done")
      ]], path)
      local conn <close> = assert(listener:accept(5))
      local file <close> = assert(io.open(text))
      assert(conn:sendfd(file))
      assert.equal("from the child", read_all((conn:receivefd())))
      assert(conn:write "done\n")
      assert.fails("EOF", conn:read())
      assert.equal("from the parent\n", process:read "a")
      assert.is_true(process:close())
    end)
  end)

  it("raises on what is no descriptor, and sends nothing", function()
    with_pair(function(a, b)
      local file = assert(io.open(write_file "x"))
      file:close()
      local closed = assert(unix.pair())
      closed:close()
      assert.raises("bad argument #1", function() a:sendfd() end)
      assert.raises("bad argument #1", function() a:sendfd "x" end)
      assert.raises("bad argument #1", function() a:sendfd(-1) end)
      assert.raises("bad argument #1", function() a:sendfd {} end)
      assert.raises("bad argument #2", function() a:sendfd(0, file) end)
      assert.raises("bad argument #2", function() a:sendfd(0, closed) end)
      local fd, other = probe.pipe()
      probe.close(fd)
      probe.close(other)
      assert.fails("EBADF", a:sendfd(fd))
      assert.same({ 0, 0 }, { a:counters() })
      b:settimeout(0.01)
      assert.fails("ETIMEDOUT", b:receive())
    end)
  end)

  it("and credentials are refused by streams of other kinds", function()
    in_task(function()
      local a <close>, b = assert(tcp.pair())
      local held <close> = b
      local read, write = probe.pipe()
      local p <close> = assert(neap.stream(read))
      local q <close> = assert(neap.stream(write))
      for _, s in ipairs { a, p, q } do
        assert.fails("EOPNOTSUPP", s:sendfd(0))
        assert.fails("EOPNOTSUPP", s:receivefd())
        assert.fails("EOPNOTSUPP", s:getpeercred())
      end
    end)
  end)
end)
