--- Unix datagrams and packets: paths, abstract names, what goes along with
-- them, connections of packets.
local helper <const> = require "support.helper"
local lfs <const> = require "lfs"
local neap <const> = require "neap"
local unix <const> = require "neap.unix"
local probe <const> = require "probe"

local in_task <const> = helper.in_task
local datagram <const>, seqpacket <const> = unix.datagram, unix.seqpacket

local MOST <const> = 253 -- descriptors in one message (SCM_MAX_FD)

local function exists(path) return lfs.symlinkattributes(path, "mode") end

local function waiting(task)
  helper.eventually(function() return task:status() == "waiting" end)
end

local names = 0
local function abstract()
  names = names + 1
  return ("\0neap-spec-%d-datagram-%d"):format(probe.getpid(), names)
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

local function fill(a, send)
  local n = 0
  a:settimeout(0)
  while send() do n = n + 1 end
  a:settimeout(nil)
  return n
end

-- A program that runs beside this one; ended, by its id, with the scope.
local function start(command)
  local pipe <const> = assert(io.popen("echo $$; exec timeout -k 1 30 " .. command .. " 2>/dev/null"))
  pipe:setvbuf "no"
  local pid = assert(math.tointeger(tonumber(pipe:read "l")))
  return setmetatable({ pid = pid, output = pipe }, { __close = function()
    probe.kill(pid, probe.SIGTERM)
    pipe:close()
  end })
end

describe("a Unix datagram socket", function()
  it("with a path is a file until it is closed, and is answered by its path", function()
    in_task(function()
      local here, there = helper.tmpname(), helper.tmpname()
      local a <close> = assert(datagram.open(here, { timeout = 2 }))
      local b <close> = assert(datagram.open(there))
      assert.equal("socket", exists(here))
      assert.equal(2, a:gettimeout())
      assert.same({ here }, { a:getsockname() })
      assert.equal(a, a:sendto("question", there))
      local data, from, more = b:receive()
      assert.same({ "question", here }, { data, from })
      assert.is_nil(more)
      assert(b:sendto("answer", from))
      assert.same({ "answer", there }, { a:receive() })
      assert(b:sendto("x", here))
      assert.equal(there, select(2, a:receivemsg()).path)
      a:close()
      assert.is_nil(exists(here))
    end)
  end)

  it("without one has no name, and nobody can answer", function()
    in_task(function()
      local path = helper.tmpname()
      local b <close> = assert(datagram.open(path))
      local a <close> = assert(datagram.open())
      assert.same({ "" }, { a:getsockname() })
      assert(a:sendto("x", path))
      assert.same({ "x", "" }, { b:receive() })
      assert(a:sendto("x", path))
      local _, info = b:receivemsg()
      assert.equal("", info.path)
    end)
  end)

  it("may have an abstract name, which leaves no file", function()
    in_task(function()
      local name = abstract()
      local b <close> = assert(datagram.open(name))
      assert.equal(name, (b:getsockname()))
      local a <close> = assert(datagram.open(abstract() .. "\0\xff\0"))
      assert(a:sendto("x", name))
      assert.same({ "x", a:getsockname() }, { b:receive() })
      local value, why, code = datagram.open(name)
      assert.fails("EADDRINUSE", value, why, code)
      assert.matches("@neap%-spec", why)
      b:close()
      value, why, code = a:sendto("x", name)
      assert.fails("ECONNREFUSED", value, why, code)
      assert.is_truthy(why:find("sendto @" .. name:sub(2), 1, true), why)
    end)
  end)

  it("that is connected sends to its peer, and hears nobody else", function()
    in_task(function()
      local path, mine = helper.tmpname(), helper.tmpname()
      local b <close> = assert(datagram.open(path))
      local a <close> = assert(datagram.connect(path, { timeout = 2 }))
      assert.equal(2, a:gettimeout())
      assert.same({ path }, { a:getpeername() })
      assert.equal(a, a:send "x")
      assert.same({ "x", "" }, { b:receive() })
      local c <close> = assert(datagram.open(mine))
      assert.equal(c, c:connect(path))
      assert(c:send "y")
      assert.same({ "y", mine }, { b:receive() })
      local stranger <close> = assert(datagram.open())
      assert.fails("EPERM", stranger:sendto("z", mine))
      assert(b:sendto("back", mine))
      assert.same({ "back", path }, { c:receive() })
      assert.equal(c, c:connect())
      assert(stranger:sendto("now", mine))
      assert.same({ "now", "" }, { c:receive() })
      assert.fails("ENOTCONN", c:send "nobody")
    end)
  end)

  it("can be given its path later", function()
    in_task(function()
      local path = helper.tmpname()
      local a <close> = assert(datagram.open())
      assert.equal(a, a:bind(path))
      assert.equal(path, (a:getsockname()))
      local b <close> = assert(datagram.connect(path))
      assert(b:send "x")
      assert.equal("x", (a:receive()))
      assert.fails("EADDRINUSE", datagram.open():bind(path))
    end)
  end)

  it("fails by the name of who is not there", function()
    in_task(function()
      local path = helper.tmpname()
      local a <close> = assert(datagram.open())
      for _, call in ipairs {
        function() return a:sendto("x", path) end,
        function() return a:sendmsg("x", { path = path }) end,
        function() return a:sendmany({ "x" }, path) end,
        function() return a:connect(path) end,
        function() return datagram.connect(path) end,
      } do
        local value, why, code = call()
        assert.fails("ENOENT", value, why, code)
        assert.is_truthy(why:find(path .. ": No such file or directory", 1, true), why)
      end
      probe.close((assert(datagram.open(path)):detach()))
      assert.equal("socket", exists(path)) -- left behind
      assert.fails("ECONNREFUSED", a:sendto("x", path))
      assert.fails("ECONNREFUSED", datagram.connect(path))
      local streams <close> = assert(unix.listen(helper.tmpname()))
      assert.fails("EPROTOTYPE", a:sendto("x", (streams:getsockname())))
    end)
  end)

  it("takes over a path that nobody has any more, and no other", function()
    in_task(function()
      local path = helper.tmpname()
      probe.close((assert(datagram.open(path)):detach()))
      local s <close> = assert(datagram.open(path))
      local value, why, code = datagram.open(path)
      assert.fails("EADDRINUSE", value, why, code)
      assert.is_truthy(why:find(path, 1, true), why)
      local a <close> = assert(datagram.open())
      assert(a:sendto("x", path))
      assert.equal("x", (s:receive()))
      local file = write_file "no socket"
      assert.fails("EADDRINUSE", datagram.open(file))
      assert.equal("file", exists(file))
      local streams <close> = assert(unix.listen(helper.tmpname()))
      assert.fails("EADDRINUSE", datagram.open((streams:getsockname())))
    end)
  end)

  it("leaves one that is full to who has it", function()
    in_task(function()
      local path = helper.tmpname()
      local s <close> = assert(datagram.open(path))
      local a <close> = assert(datagram.connect(path))
      fill(a, function() return a:send "x" end)
      assert.fails("EADDRINUSE", datagram.open(path))
      assert.equal("x", (s:receive()))
    end)
  end)

  it("leaves the path to its successor, when another has it by then", function()
    in_task(function()
      local path = helper.tmpname()
      local first <close> = assert(datagram.open(path))
      assert(os.remove(path))
      local second <close> = assert(datagram.open(path))
      first:close()
      assert.equal("socket", exists(path))
      local a <close> = assert(datagram.open())
      assert(a:sendto("x", path))
      assert.equal("x", (second:receive()))
    end)
  end)

  it("leaves the path to its parent after a fork", function()
    local path = helper.tmpname()
    local s <close> = assert(datagram.open(path))
    local text, code = helper.forked(function() s:close() end)
    assert.equal(0, code, text)
    assert.equal("socket", exists(path))
  end)

  it("has the permissions that mode says", function()
    in_task(function()
      for _, mode in ipairs { "600", "666", "640" } do
        local path = helper.tmpname()
        local s <close> = assert(datagram.open(path, { mode = tonumber(mode, 8) }))
        local pipe <close> = assert(io.popen("stat -c %a " .. helper.quote(path)))
        assert.equal(mode, pipe:read "l")
      end
    end)
  end)

  it("never cuts a path: it may have 107 bytes, and one of 108 raises", function()
    in_task(function()
      local base = helper.tmpname()
      local longest = base .. ("x"):rep(107 - #base)
      local s <close> = assert(datagram.open(longest))
      assert.equal(longest, (s:getsockname()))
      local a <close> = assert(datagram.open())
      assert(a:sendto("x", longest))
      assert.equal("x", (s:receive()))
      for _, wrong in ipairs { longest .. "x", "", "/tmp/a\0b", 5, true } do
        assert.raises("bad argument #1", datagram.open, wrong)
        assert.raises("bad argument #1", datagram.connect, wrong)
        assert.raises("bad argument #1", seqpacket.listen, wrong)
        assert.raises("bad argument #1", seqpacket.connect, wrong)
        if wrong == "" then -- whom one answers may have no name
          assert.fails("EDESTADDRREQ", a:sendto("x", wrong))
          assert.fails("EDESTADDRREQ", a:sendmsg("x", { path = wrong }))
          assert.fails("EDESTADDRREQ", a:sendmany({ "x" }, wrong))
          assert.fails("EDESTADDRREQ", a:connect(wrong))
        else
          assert.raises("bad argument #2", function() a:sendto("x", wrong) end)
          assert.raises("bad argument #2", function() a:sendmany({ "x" }, wrong) end)
          assert.raises("bad argument #1", function() a:connect(wrong) end)
        end
        if wrong ~= "" then assert.raises("path", function() a:sendmsg("x", { path = wrong }) end) end
      end
      assert.raises("bad argument #1", datagram.connect)
      assert.raises("bad argument #2", function() a:sendto "x" end)
      assert.is_nil(exists(longest .. "x"))
    end)
  end)

  it("raises on options that it does not know, and on wrong values", function()
    for _, case in ipairs {
      { { timout = 1 }, "unknown option 'timout'" }, { { reuseaddr = true }, "unknown option 'reuseaddr'" },
      { { timeout = -1 }, "timeout" }, { { maxmessage = 0 }, "maxmessage" }, { { credentials = 1 }, "credentials" },
      { { mode = 512 }, "mode" }, { { rcvbuf = 0 }, "rcvbuf" }, { { sndbuf = "x" }, "sndbuf" },
      { { timestamps = 1 }, "timestamps" },
    } do
      assert.raises(case[2], datagram.open, helper.tmpname(), case[1])
      assert.raises(case[2], seqpacket.listen, helper.tmpname(), case[1])
      if not case[1].mode then
        assert.raises(case[2], datagram.pair, case[1])
        assert.raises(case[2], datagram.connect, helper.tmpname(), case[1])
        assert.raises(case[2], seqpacket.pair, case[1])
        assert.raises(case[2], seqpacket.connect, helper.tmpname(), case[1])
      end
    end
    assert.raises("bad argument #2", datagram.open, helper.tmpname(), 5)
    assert.raises("bad argument #1", datagram.pair, 5)
  end)

  it("takes buffers and limits by its options", function()
    in_task(function()
      local a <close>, b = assert(datagram.pair { rcvbuf = 30000, sndbuf = 400000, timeout = 1 })
      local held <close> = b
      assert.is_true(b:getsockopt "SO_RCVBUF" >= 30000)
      assert.is_true(a:getsockopt "SO_SNDBUF" >= 400000)
      assert.equal(1, b:gettimeout())
      -- what is too much for the default is not for what is said
      assert(a:send(("x"):rep(262144)))
      assert.equal(262144, #b:receive())
      assert(a:send(("x"):rep(262145)))
      local value, why, code, length = b:receive()
      assert.fails("EMSGSIZE", value, why, code)
      assert.equal(262145, length)
      assert(a:send(("x"):rep(262145)))
      assert.equal(262145, #b:receive(300000))
    end)
  end)

  it("of a pair has no name", function()
    in_task(function()
      local a <close>, b = assert(datagram.pair())
      local held <close> = b
      for _, s in ipairs { a, b } do
        assert.same({ "" }, { s:getsockname() })
        assert.same({ "" }, { s:getpeername() })
      end
      assert(a:send "x")
      assert.same({ "x", "" }, { b:receive() })
      assert.is_true(b:close())
      assert.fails("ECONNREFUSED", a:send "x")
      a:settimeout(0.01)
      assert.is_nil((a:receive()))
    end)
  end)

  it("waits for room at a path, also if it is not connected", function()
    in_task(function()
      local path = helper.tmpname()
      local b <close> = assert(datagram.open(path))
      local a <close> = assert(datagram.open())
      local n = fill(a, function() return a:sendto("x", path) end)
      assert.is_true(n >= 1)
      local ways <const> = {
        function() return a:sendto("late", path) end,
        function() return a:sendmsg("late", { path = path }) end,
        function() return a:sendmany({ "late" }, path) end,
      }
      for i, way in ipairs(ways) do
        local sender = neap.spawn(way)
        neap.sleep(0.02)
        waiting(sender) -- still
        for _ = 1, n do assert.equal("x", (b:receive())) end
        assert.equal(i < 3 and a or 1, sender:join())
        assert.equal("late", (b:receive()))
        assert.equal(n, fill(a, function() return a:sendto("x", path) end))
      end
      local sender = neap.spawn(function() return a:sendto("x", path) end)
      waiting(sender)
      b:close()
      local value, why, code = sender:join()
      assert.is_nil(value)
      assert.is_true(code == "ENOENT" or code == "ECONNREFUSED", code)
      assert.is_truthy(why:find(path, 1, true))
    end)
  end)

  it("filters what comes by a list of instructions", function()
    in_task(function()
      local a <close>, b = assert(datagram.pair { timeout = 0.01 })
      local held <close> = b
      assert.equal(b, b:attachfilter {
        { 0x30, 0, 0, 0 }, { 0x15, 0, 1, ("x"):byte() }, { 0x06, 0, 0, 0xffff }, { 0x06, 0, 0, 0 },
      })
      for _, data in ipairs { "no", "x1", "x2" } do a:send(data) end
      assert.same({ "x1", "x2" }, (b:receivemany()))
      assert.equal(b, b:detachfilter())
      assert(a:send "any")
      assert.equal("any", (b:receive()))
    end)
  end)

  it("says when it came, if that was asked for", function()
    in_task(function()
      for _, pair in ipairs { datagram.pair, seqpacket.pair } do
        local a <close>, b = assert(pair { timestamps = true })
        local held <close> = b
        assert(a:send "x")
        local _, info = b:receivemsg()
        assert.equal("integer", math.type(info.timestamp))
        assert.is_true(math.abs(info.timestamp - os.time() * 1000000000) < 5000000000)
      end
    end)
  end)

  it("has no use for what belongs to IP", function()
    in_task(function()
      local a <close>, b = assert(datagram.pair())
      local held <close> = b
      for wrong, value in pairs {
        ip = "127.0.0.1", port = 5, ttl = 5, tos = 0, ecn = 1, segment = 100, local_ip = "127.0.0.1",
        interface = "lo", mac = "00:00:00:00:00:00",
      } do
        assert.raises(wrong, function() a:sendmsg("x", { [wrong] = value }) end)
      end
      local value, _, code = a:join("239.0.0.1", "lo")
      assert.is_nil(value)
      assert.is_true(code == "EOPNOTSUPP" or code == "ENOPROTOOPT", code)
    end)
  end)
end)

for name, kind in pairs { ["Unix datagrams"] = datagram, ["Unix packets"] = seqpacket } do
  local function with_pair(body, options)
    in_task(function()
      local a <close>, b = assert(kind.pair(options))
      local held <close> = b
      body(a, b)
    end)
  end

  describe("descriptors with " .. name, function()
    it("come with the message that they were sent with", function()
      with_pair(function(a, b)
        local file <close> = assert(io.open(write_file "of the file"))
        local read, write = probe.pipe()
        local other <close>, peer = assert(unix.pair())
        local held <close> = peer
        assert(peer:write "of the stream")
        assert(peer:shutdown "w")
        assert(a:send "none")
        assert.equal(a, a:sendmsg("three", { fds = { read, file, other } }))
        assert(a:sendmsg("one", { fds = { file } }))
        assert(a:send "none again")
        probe.write(write, "of the pipe")
        probe.close(write)
        probe.close(read)
        local data, info = b:receivemsg()
        assert.equal("none", data)
        assert.is_nil(info.fds)
        data, info = b:receivemsg()
        assert.equal("three", data)
        assert.equal(3, #info.fds)
        for _, fd in ipairs(info.fds) do
          assert.equal("integer", math.type(fd))
          assert.is_true(probe.flags(fd).cloexec)
        end
        assert.equal("of the pipe", read_all(info.fds[1]))
        assert.equal("of the file", read_all(info.fds[2]))
        assert.equal("of the stream", read_all(info.fds[3]))
        data, info = b:receivemsg()
        assert.equal("one", data)
        assert.equal(1, #info.fds)
        probe.close(info.fds[1])
        assert.is_nil(select(2, b:receivemsg()).fds)
      end)
    end)

    it("may be message sockets", function()
      with_pair(function(a, b)
        local c <close>, d = assert(datagram.pair())
        local held <close> = d
        assert(a:sendmsg("x", { fds = { d } }))
        local _, info = b:receivemsg()
        assert(c:send "through")
        assert.equal("through", probe.read(info.fds[1]))
        probe.close(info.fds[1])
      end)
    end)

    it("are closed when they are received by who does not ask for them", function()
      with_pair(function(a, b)
        local file <close> = assert(io.open(write_file "x"))
        local before = helper.count_fds()
        for _ = 1, 4 do assert(a:sendmsg("x", { fds = { file, file } })) end
        assert.equal("x", (b:receive()))
        assert.equal("x", (b:receivemany(1))[1])
        assert.equal("x", (b:messages()()))
        assert.equal(before, helper.count_fds())
        assert.fails("EMSGSIZE", (function()
          assert(a:sendmsg("long", { fds = { file } }))
          assert.equal("x", (b:receive()))
          return b:receive(2)
        end)())
        assert.equal(before, helper.count_fds())
      end)
    end)

    it("are closed with a message that nobody took", function()
      local before = helper.count_fds()
      with_pair(function(a)
        local file <close> = assert(io.open(write_file "x"))
        assert(a:sendmsg("x", { fds = { file, file } }))
      end)
      assert.equal(before, helper.count_fds())
    end)

    it("are as many as the kernel takes, and more raise", function()
      with_pair(function(a, b)
        local file <close> = assert(io.open(write_file "x"))
        local all = {}
        for i = 1, MOST do all[i] = file end
        assert(a:sendmsg("many", { fds = all }))
        local data, info = b:receivemsg()
        assert.equal("many", data)
        assert.equal(MOST, #info.fds)
        assert.is_nil(info.control_truncated)
        for _, fd in ipairs(info.fds) do probe.close(fd) end
        all[MOST + 1] = file
        assert.raises("fds", function() a:sendmsg("x", { fds = all }) end)
      end)
    end)

    it("are said to be lost where this process has no room for them, and none leaks", function()
      with_pair(function(a, b)
        local file <close> = assert(io.open(write_file "x"))
        b:settimeout(0)
        assert.fails("ETIMEDOUT", b:receive()) -- whatever the loop opens is open
        b:settimeout(2)
        local before, highest = helper.count_fds(), 0
        for room = 0, 2 do
          assert(a:sendmsg("x", { fds = { file, file, file } }))
          for fd in pairs(helper.fds()) do highest = math.max(highest, fd) end
          local limit = probe.nofile(highest + 1)
          local filler = {}
          for fd = 0, highest do
            if not probe.isopen(fd) then filler[#filler + 1] = probe.dup(0) end
          end
          probe.nofile(highest + 1 + room)
          local data, info = b:receivemsg()
          probe.nofile(limit)
          for _, fd in ipairs(filler) do probe.close(fd) end
          assert.equal("x", data)
          assert.is_true(info.control_truncated)
          for _, fd in ipairs(info.fds or {}) do probe.close(fd) end
          assert.equal(before, helper.count_fds())
        end
      end)
    end)

    it("raise on what is no descriptor, and send nothing", function()
      with_pair(function(a, b)
        local file = assert(io.open(write_file "x"))
        file:close()
        local closed = assert(datagram.open())
        closed:close()
        for _, wrong in ipairs { { -1 }, { "x" }, { {} }, { 1.5 }, { 0, file }, { 0, closed }, 5, true } do
          assert.raises("bad argument #2 to 'sendmsg'", function() a:sendmsg("x", { fds = wrong }) end)
        end
        local fd, other = probe.pipe()
        probe.close(fd)
        probe.close(other)
        assert.fails("EBADF", a:sendmsg("x", { fds = { fd } }))
        b:settimeout(0)
        assert.fails("ETIMEDOUT", b:receive())
      end)
    end)
  end)

  describe("credentials with " .. name, function()
    local function mine()
      local id <close> = assert(io.popen "id -u; id -g")
      return { pid = probe.getpid(), uid = id:read "n", gid = id:read "n" }
    end

    it("come where they are asked for", function()
      with_pair(function(a, b)
        assert(a:send "x")
        local data, info = b:receivemsg()
        assert.equal("x", data)
        assert.same(mine(), info.credentials)
        assert(a:sendmsg("y", { credentials = true }))
        data, info = b:receivemsg()
        assert.equal("y", data)
        assert.same(mine(), info.credentials)
        assert(a:send "z")
        assert.equal("z", (b:receive()))
      end, { credentials = true })
      with_pair(function(a, b)
        assert(a:sendmsg("x", { credentials = true }))
        local _, info = b:receivemsg()
        assert.is_nil(info.credentials)
      end)
    end)

    it("may be said, by who may say them", function()
      with_pair(function(a, b)
        local me = mine()
        assert(a:sendmsg("x", { credentials = me }))
        local _, info = b:receivemsg()
        assert.same(me, info.credentials)
        local ok, why, code = a:sendmsg("x", { credentials = { pid = 1, uid = me.uid, gid = me.gid } })
        if helper.is_root() then
          assert.equal(a, ok)
          _, info = b:receivemsg()
          assert.equal(1, info.credentials.pid)
        else
          assert.fails("EPERM", ok, why, code)
        end
        for _, wrong in ipairs { 5, "x", {}, { pid = 1 }, { pid = "x", uid = 0, gid = 0 } } do
          assert.raises("credentials", function() a:sendmsg("x", { credentials = wrong }) end)
        end
      end, { credentials = true })
    end)

    it("and descriptors may go with one message", function()
      with_pair(function(a, b)
        local file <close> = assert(io.open(write_file "with credentials"))
        assert(a:sendmsg("x", { credentials = true, fds = { file } }))
        local _, info = b:receivemsg()
        assert.same(mine(), info.credentials)
        assert.equal("with credentials", read_all(info.fds[1]))
      end, { credentials = true })
    end)
  end)
end

describe("a connection of Unix packets", function()
  it("is listened for, accepted, and knows its path", function()
    in_task(function()
      local path = helper.tmpname()
      local listener <close> = assert(seqpacket.listen(path, { timeout = 2, mode = tonumber("600", 8) }))
      assert.equal("socket", exists(path))
      assert.equal(path, (listener:getsockname()))
      local a <close> = assert(seqpacket.connect(path, { timeout = 3 }))
      local b <close> = assert(listener:accept(2))
      assert.equal(3, a:gettimeout())
      assert.equal(2, b:gettimeout())
      assert.same({ path }, { a:getpeername() })
      assert.same({ path }, { b:getsockname() })
      assert.same({ "" }, { b:getpeername() })
      assert.matches("^neap%.seqpacket %(%d+%)$", tostring(b))
      assert(a:send "to b")
      assert(a:send "and more")
      assert.same({ "to b", "and more" }, (b:receivemany()))
      assert(b:send "to a")
      assert.equal("to a", a:receive())
      assert.equal(1, select("#", assert(b:send "x") and a:receive()))
      listener:close()
      assert.is_nil(exists(path))
      assert(a:send "still")
      assert.equal("still", b:receive())
      a:close()
      assert.fails("EOF", b:receive())
    end)
  end)

  it("is served, each by a task, and closed when that ends", function()
    in_task(function()
      local name = abstract()
      local listener <close> = assert(seqpacket.listen(name, { maxmessage = 100 }))
      local server <close> = neap.spawn(function()
        listener:serve(function(conn)
          for data in conn:messages() do assert(conn:send(data:reverse())) end
        end)
      end)
      local group <close> = neap.group()
      for i = 1, 20 do
        group:spawn(function()
          local c <close> = assert(seqpacket.connect(name, { timeout = 5 }))
          for round = 1, 5 do
            assert(c:send(("%d-%d"):format(i, round)))
            assert.equal(("%d-%d"):format(i, round):reverse(), c:receive())
          end
          assert(c:shutdown "w")
          assert.fails("EOF", c:receive())
        end)
      end
      group:wait()
      listener:stop()
      server:join()
    end)
  end)

  it("takes the listener's limits", function()
    in_task(function()
      local name = abstract()
      local listener <close> = assert(seqpacket.listen(name, { maxmessage = 10, timeout = 0.01, credentials = true }))
      local a <close> = assert(seqpacket.connect(name))
      local b <close> = assert(listener:accept(2))
      assert.fails("ETIMEDOUT", b:receive())
      assert(a:send "eleven byte")
      assert.fails("EMSGSIZE", b:receive())
      assert(a:send "x")
      local _, info = b:receivemsg()
      assert.equal(probe.getpid(), info.credentials.pid)
    end)
  end)

  it("fails by the name of who is not there", function()
    in_task(function()
      local path = helper.tmpname()
      local value, why, code = seqpacket.connect(path)
      assert.fails("ENOENT", value, why, code)
      assert.equal(("connect %s: No such file or directory"):format(path), why)
      probe.close((assert(seqpacket.listen(path)):detach()))
      assert.fails("ECONNREFUSED", seqpacket.connect(path))
      local listener <close> = assert(seqpacket.listen(path)) -- taken over
      assert.fails("EADDRINUSE", seqpacket.listen(path))
      assert.fails("EPROTOTYPE", unix.connect(path))
      local streams <close> = assert(unix.listen(helper.tmpname()))
      assert.fails("EPROTOTYPE", seqpacket.connect((streams:getsockname())))
    end)
  end)

  it("waits for room in the listener's queue", function()
    in_task(function()
      local path = helper.tmpname()
      local listener <close> = assert(seqpacket.listen(path, { backlog = 1 }))
      local held = {}
      local all <close> = helper.defer(function() for _, s in ipairs(held) do s:close() end end)
      repeat
        local s = seqpacket.connect(path, { timeout = 0 })
        held[#held + 1] = s
      until not s
      local value, why, code = assert.takes(0.015, 1, seqpacket.connect, path, { timeout = 0.02 })
      assert.fails("ETIMEDOUT", value, why, code)
      local late = neap.spawn(function() return seqpacket.connect(path) end)
      waiting(late)
      assert(listener:accept(1)):close()
      local s <close> = assert(late:join())
      assert.equal("seqpacket", tostring(s):match "^neap%.(%l+)")
    end)
  end)

  it("has no addresses to send to", function()
    in_task(function()
      local a <close>, b = assert(seqpacket.pair())
      local held <close> = b
      assert.raises("", function() a:sendto("x", "/path") end)
      assert.raises("path", function() a:sendmsg("x", { path = "/path" }) end)
    end)
  end)

  it("that another process ends is at its end", function()
    in_task(function()
      local path = helper.tmpname()
      local listener <close> = assert(seqpacket.listen(path))
      local child <close> = start(("env LUA_PATH=%s LUA_CPATH=%s %s -e %s"):format(helper.quote(package.path),
        helper.quote(package.cpath), helper.quote(helper.lua), helper.quote(([[
          local unix = require "neap.unix"
          local c = assert(unix.seqpacket.connect(%q))
          assert(c:send "one")
          assert(c:send "two")
          os.exit(0)]]):format(path))))
      local b <close> = assert(listener:accept(5 * helper.slow))
      assert.equal("one", b:receive())
      assert.equal("two", b:receive())
      assert.fails("EOF", b:receive())
    end)
  end)
end)

describe("socat", function()
  it("echoes Unix datagrams", function()
    helper.need_program("socat", "timeout")
    in_task(function()
      local path, mine = helper.tmpname(), helper.tmpname()
      local cleanup <close> = start(("socat UNIX-RECVFROM:%s,fork EXEC:cat"):format(path))
      local s <close> = assert(datagram.open(mine, { timeout = 5 * helper.slow }))
      helper.eventually(function() return s:sendto("hello", path) end)
      local data, from = s:receive()
      assert.equal("hello", data)
      assert.equal(path, from)
    end)
  end)

  it("talks in packets", function()
    helper.need_program("socat", "timeout")
    in_task(function()
      local path = helper.tmpname()
      local listener <close> = assert(seqpacket.listen(path))
      local child <close> = start(("sh -c %s"):format(helper.quote(
        ("printf question | socat -t 5 - UNIX-CONNECT:%s,type=5"):format(path))))
      local b <close> = assert(listener:accept(5 * helper.slow))
      assert.equal("question", b:receive())
      assert(b:send "answer")
      b:close()
      assert.equal("answer", child.output:read "a")
    end)
  end)
end)
