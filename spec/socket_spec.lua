local helper = require "support.helper"
local neap = require "neap"
local socket = require "neap.socket"

local STREAM <const>, DGRAM <const> = socket.SOCK_STREAM, socket.SOCK_DGRAM

local function fails(code, ok, why, got, ...)
  assert.is_nil(ok)
  assert.equal("string", type(why))
  assert.equal(code, got, why)
  return why, ...
end

local function raises(pattern, fn, ...)
  local ok, why = pcall(fn, ...)
  assert.is_false(ok)
  assert.matches(pattern, why)
end

local function listener(family, ip)
  local s = assert(socket.socket(family or "inet", STREAM))
  assert(s:bind { family = family or "inet", ip = ip or "127.0.0.1", port = 0 }:listen())
  return s, s:getsockname()
end

local function connected()
  local l <close>, addr = listener()
  local a = assert(socket.socket("inet", STREAM))
  assert(a:connect(addr))
  return a, assert(l:accept())
end

local function pairs_of(type)
  local a, b = socket.socketpair("unix", type or STREAM)
  return assert(a), b
end

local function udp(family, ip)
  local s = assert(socket.socket(family or "inet", DGRAM))
  return assert(s:bind { ip = ip or "127.0.0.1", port = 0 })
end

-- Closes both at the end of a scope; only one <close> is allowed in a list.
local function closing(a, b)
  return setmetatable({}, { __close = function() a:close() b:close() end })
end

describe("neap.socket", function()
  it("has the constants under their own names", function()
    assert.equal("integer", math.type(socket.AF_INET))
    assert.equal(1, socket.SOL_SOCKET)
    assert.equal(6, socket.IPPROTO_TCP)
    for _, name in ipairs { "SOCK_RAW", "MSG_PEEK", "MSG_TRUNC", "SO_REUSEADDR", "TCP_NODELAY", "IPV6_V6ONLY",
      "SHUT_WR", "AI_PASSIVE", "NI_NUMERICHOST", "POLLIN", "SCM_RIGHTS", "SOMAXCONN", "IP_ADD_MEMBERSHIP" } do
      assert.equal("integer", math.type(socket[name]), name)
    end
  end)

  it("gives calls as functions and as methods", function()
    local a, b = pairs_of()
    local guard <close> = closing(a, b)
    assert.equal(2, socket.send(a, "hi"))
    assert.equal("hi", socket.recv(b))
    assert.matches("^neap.socket %(fd %d+%)$", tostring(a))
    a:close()
    assert.equal("neap.socket (closed)", tostring(a))
  end)

  it("fails as the system does", function()
    fails("EAFNOSUPPORT", socket.socket(45, STREAM))
    fails("EPROTONOSUPPORT", socket.socket("inet", STREAM, socket.IPPROTO_UDP))
    local s <close> = assert(socket.socket("inet", STREAM))
    assert.matches("^bind 203%.0%.113%.1:1: ", fails("EADDRNOTAVAIL", s:bind { ip = "203.0.113.1", port = 1 }))
    fails("ENOTCONN", s:getpeername())
    fails("ENOTSOCK", socket.fromfd(0))
    fails("EOPNOTSUPP", socket.socketpair("inet", STREAM))
  end)

  it("raises for what is no family, address, flag, type", function()
    raises("#1.*family", socket.socket, "inet4", STREAM)
    raises("#1", socket.socket, -1, STREAM)
    raises("#2", socket.socket, "inet", "stream")
    local s <close> = assert(socket.socket("inet", STREAM))
    for _, case in ipairs {
      { { ip = "localhost", port = 1 }, "not a numeric address" },
      { { ip = "127.0.0.1", port = 70000 }, "'port' must be an integer in %[0, 65535%]" },
      { { ip = "127.0.0.1", port = "80" }, "'port'" },
      { { ip = "127.0.0.1", prot = 1 }, "no field 'prot'" },
      { { port = 1 }, "needs 'ip' or 'path'" },
      { { family = "inet6", ip = "127.0.0.1" }, "not of this family" },
      { { family = "inet", path = "/x" }, "only the family" },
      { { family = "nonsense", ip = "::1" }, "'family'" },
      { { path = ("x"):rep(108) }, "longer than 107" },
      { { path = "a\0b" }, "zero byte" },
      { { path = 5 }, "'path' must be a string" },
      { "x", "too few or too many" },
      { ("x"):rep(200), "too few or too many" },
      { 5, "address expected, got number" },
      { nil, "address expected, got nil" },
    } do raises(case[2], s.bind, s, case[1]) end
    raises("MSG_WAITALL", s.recv, s, 1, socket.MSG_WAITALL)
    raises("#2", s.recv, s, -1)
    raises("#2", s.send, s, {})
    raises("neap.socket expected", s.bind, io.stdout, { ip = "::" })
  end)

  it("closes once for all, and says so afterwards", function()
    local s = assert(socket.socket("inet", STREAM))
    assert.is_true(s:close())
    assert.is_true(s:close())
    fails("EBADF", socket.close(1 << 20))
    for _, name in ipairs { "listen", "accept", "recv", "recvfrom", "recvmsg", "getsockname", "getpeername",
      "fileno", "detach" } do
      assert.equal("closed", (fails("ECLOSED", s[name](s))), name)
    end
    fails("ECLOSED", s:send "x")
    fails("ECLOSED", s:bind { ip = "127.0.0.1" })
    fails("ECLOSED", s:connect { ip = "127.0.0.1", port = 1 })
    fails("ECLOSED", s:shutdown "rw")
    fails("ECLOSED", s:sendmsg { data = "x" })
  end)

  it("leaves no descriptor open, also when nobody closes", function()
    collectgarbage() collectgarbage()
    local before = helper.count_fds()
    for _ = 1, 50 do
      local a, b = pairs_of()
      assert(a:send "x")
      assert(b:recv())
      assert(socket.poll({ { fd = a, events = socket.POLLOUT } }, 0))
    end
    collectgarbage() collectgarbage()
    assert.equal(before, helper.count_fds())
  end)
end)

describe("a stream of neap.socket", function()
  for _, family in ipairs { "inet", "inet6" } do
    it("connects, sends, receives and ends over " .. family, function()
      local ip = family == "inet" and "127.0.0.1" or "::1"
      local l <close>, addr = listener(family, ip)
      neap.run(function()
        neap.spawn(function()
          local conn <close>, from = assert(l:accept())
          assert.equal(ip, from.ip)
          assert.equal(family, from.family)
          assert(conn:send((assert(conn:recv()):upper())))
          assert.matches("end of stream", fails("EOF", conn:recv()))
        end)
        local s <close> = assert(socket.socket(family, STREAM))
        assert.equal(s, s:connect(addr))
        assert.same(addr, s:getpeername())
        assert.equal(5, s:send "hello")
        assert.equal("HELLO", s:recv())
        assert.equal(s, s:shutdown "w")
        fails("EOF", s:recv())
      end)
    end)
  end

  it("refuses where nobody listens, naming the address", function()
    local l, addr = listener()
    l:close()
    local s <close> = assert(socket.socket("inet", STREAM))
    assert.equal(("connect 127.0.0.1:%d: Connection refused"):format(addr.port),
      (fails("ECONNREFUSED", s:connect(addr))))
  end)

  it("works over Unix paths and abstract names", function()
    local path = os.tmpname()
    os.remove(path)
    for _, name in ipairs { path, "\0neap-spec-" .. path } do
      local l <close> = assert(socket.socket("unix", STREAM))
      assert(l:bind { path = name }:listen(1))
      assert.same({ family = "unix", path = name }, l:getsockname())
      local s <close> = assert(socket.socket("unix", STREAM))
      assert(s:connect { path = name })
      local conn <close>, from = assert(l:accept())
      assert.same({ family = "unix", path = "" }, from)
      assert.equal(3, conn:send "abc")
      assert.equal("a", s:recv(1))
      assert.equal("bc", s:recv())
    end
    os.remove(path)
  end)

  it("waits for room in a Unix listener's queue", function()
    local l <close> = assert(socket.socket("unix", STREAM))
    assert(l:bind { path = "" }:listen(0))
    local addr = l:getsockname()
    local s = {}
    repeat
      s[#s + 1] = assert(socket.socket("unix", STREAM)):settimeout(0)
      local ok, _, code = s[#s]:connect(addr)
    until not ok and assert(code == "EAGAIN") or #s > 20
    neap.run(function()
      neap.spawn(function() neap.sleep(0.03) assert(l:accept()) end)
      assert(s[#s]:settimeout(5):connect(addr))
    end)
    for _, one in ipairs(s) do one:close() end
  end)

  it("sends a part only when there is no more room, and waits when there is none", function()
    local a, b = connected()
    local guard <close> = closing(a, b)
    local block, sent = ("x"):rep(1 << 20), 0
    repeat
      local n, _, code = a:send(block, socket.MSG_DONTWAIT)
      sent = sent + (n or 0)
    until code == "EAGAIN"
    a:settimeout(0.02)
    fails("ETIMEDOUT", a:send "more")
    a:settimeout(nil)
    assert.is_nil(a:gettimeout())
    local got = 0
    neap.run(function()
      neap.spawn(function()
        while got < sent + 4 do got = got + #assert(b:recv()) end
      end)
      assert.equal(4, a:send "more")
    end)
    assert.equal(sent + 4, got)
  end)

  it("never raises SIGPIPE", function()
    local a <close>, b = connected()
    b:close()
    local ok, why, code
    repeat ok, why, code = a:send "x" until not ok
    assert.matches("^send: ", why)
    assert.is_true(code == "EPIPE" or code == "ECONNRESET")
    fails("EPIPE", a:send "x")
  end)

  it("looks without taking, and takes out-of-band bytes", function()
    local a, b = connected()
    local guard <close> = closing(a, b)
    a:send "abc"
    assert.equal("ab", b:recv(2, socket.MSG_PEEK))
    assert.equal("abc", b:recv())
    assert.equal(1, a:send("!", socket.MSG_OOB))
    assert.equal(1, socket.poll({ { fd = b, events = socket.POLLPRI } }, 5))
    assert.equal("!", b:recv(1, socket.MSG_OOB))
  end)

  it("refuses a second waiter, and wakes a waiter when it is closed", function()
    local a, b = pairs_of()
    local guard <close> = closing(a, b)
    neap.run(function()
      local first = neap.spawn(function() return b:recv() end)
      neap.sleep(0)
      assert.matches("another task", fails("EBUSY", b:recv()))
      b:close()
      fails("ECLOSED", first:join())
    end)
    assert.equal("neap.socket (closed)", tostring(b))
  end)

  it("obeys cancellation and timeout scopes, and works after", function()
    local a, b = pairs_of()
    local guard <close> = closing(a, b)
    neap.run(function()
      fails("ETIMEDOUT", neap.timeout(0.01, b.recv, b))
      local task = neap.spawn(function() return b:recv() end)
      neap.sleep(0)
      task:cancel()
      fails("ECANCELED", task:join())
      a:send "later"
      assert.equal("later", b:recv())
    end)
  end)

  it("gives its descriptor away, and takes one", function()
    local a <close>, b = pairs_of()
    local fd = b:detach()
    fails("ECLOSED", b:recv())
    local c <close> = assert(socket.fromfd(fd))
    assert.equal(fd, c:fileno())
    a:send "x"
    assert.equal("x", c:recv())
  end)
end)

describe("a datagram socket of neap.socket", function()
  for _, case in ipairs { { "inet", "127.0.0.1" }, { "inet6", "::1" } } do
    it("carries datagrams both ways over " .. case[1], function()
      local a, b = udp(case[1], case[2]), udp(case[1], case[2])
      local guard <close> = closing(a, b)
      assert.equal(4, a:sendto("ping", b:getsockname()))
      local data, from = b:recvfrom()
      assert.equal("ping", data)
      assert.same(a:getsockname(), from)
      assert.equal(0, b:sendto("", from))
      assert.same({ "", b:getsockname() }, { a:recvfrom() })
      assert(a:connect(b:getsockname()))
      assert.equal(1, a:send "!")
      assert.equal("!", b:recv())
    end)
  end

  it("reports a datagram that is too long, with its length", function()
    local a, b = udp(), udp()
    local guard <close> = closing(a, b)
    local to = b:getsockname()
    a:sendto(("x"):rep(9000), to)
    local why, length = fails("EMSGSIZE", b:recv(100))
    assert.matches("a message of 9000 bytes, room for 100", why)
    assert.equal(9000, length)
    a:sendto("hello", to)
    fails("EMSGSIZE", b:recvfrom(0))
    a:sendto("hello", to)
    assert.same({ "he", 5 }, { b:recv(2, socket.MSG_TRUNC) })
    a:sendto("hello", to)
    local data, from, whole = b:recvfrom(2, socket.MSG_TRUNC)
    assert.same({ "he", a:getsockname(), 5 }, { data, from, whole })
    a:sendto("hello", to)
    local part, info = b:recvmsg(2)
    assert.equal("he", part)
    assert.is_true(info.truncated)
    assert.equal(5, info.length)
    a:sendto(("y"):rep(65507), to)
    assert.equal(65507, #b:recv())
  end)

  it("reports an unsendable one with its address", function()
    local a <close> = udp()
    local why = fails("EMSGSIZE", a:sendto(("x"):rep(70000), { ip = "127.0.0.1", port = 9 }))
    assert.matches("^sendto 127%.0%.0%.1:9: ", why)
  end)

  it("waits, or with MSG_DONTWAIT does not, even where it could not", function()
    local a <close> = udp()
    fails("EAGAIN", a:recv(10, socket.MSG_DONTWAIT))
    fails("EAGAIN", a:recvmsg(10, 0, socket.MSG_DONTWAIT))
    a:settimeout(0)
    fails("ETIMEDOUT", a:recv())
    neap.run(function()
      table.sort({ 2, 1 }, function(x, y)
        fails("EAGAIN", a:recv(10, socket.MSG_DONTWAIT))
        raises("cannot wait here", a.recv, a)
        return x < y
      end)
    end)
  end)

  it("keeps the boundaries of Unix datagrams and packets", function()
    for _, type in ipairs { DGRAM, socket.SOCK_SEQPACKET } do
      local a, b = pairs_of(type)
      local guard <close> = closing(a, b)
      a:send "one"
      a:send "two"
      assert.equal("one", b:recv())
      fails("EMSGSIZE", b:recv(2))
    end
    local a, b <close> = pairs_of(socket.SOCK_SEQPACKET)
    a:close()
    fails("EOF", b:recv())
  end)

  it("passes addresses of unknown families as bytes", function()
    local a, b = udp(), udp()
    local guard <close> = closing(a, b)
    local to = b:getsockname()
    local bytes = string.pack("=I2>I2", socket.AF_INET, to.port) .. "\127\0\0\1" .. ("\0"):rep(8)
    assert.equal(1, a:sendto("x", bytes))
    assert.equal("x", b:recv())
    local netlink <close> = assert(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
    local address = netlink:getsockname()
    assert.equal("string", type(address))
    assert.equal(socket.AF_NETLINK, (string.unpack("=I2", address)))
    assert(netlink:bind(string.pack("=I2I2I4I4", socket.AF_NETLINK, 0, 0, 0)))
  end)
end)

describe("sendmsg and recvmsg", function()
  it("gather parts into one message", function()
    local a, b = pairs_of(DGRAM)
    local guard <close> = closing(a, b)
    assert.equal(9, a:sendmsg { data = { "one", "", "two", "six" } })
    assert.equal("onetwosix", b:recv())
    assert.equal(4, a:sendmsg { data = ("whole"):sub(1, 4) })
    local data, info = b:recvmsg()
    assert.equal("whol", data)
    assert.same({}, info.control)
    local c, d = udp(), udp()
    local held <close> = closing(c, d)
    assert.equal(1, c:sendmsg { data = "x", addr = d:getsockname() })
    data, info = d:recvmsg()
    assert.equal("x", data)
    assert.same(c:getsockname(), info.addr)
  end)

  it("pass descriptors, none of which leak", function()
    collectgarbage() collectgarbage()
    local before = helper.count_fds()
    do
      local a, b = pairs_of()
      local guard <close> = closing(a, b)
      local r, w = pairs_of()
      local held <close> = closing(r, w)
      local rights = { name = "SCM_RIGHTS", fds = { r, w:fileno(), io.stdout } }
      assert.equal(1, a:sendmsg { data = "x", control = { rights } })
      local data, info = b:recvmsg()
      assert.equal("x", data)
      assert.equal("SCM_RIGHTS", info.control[1].name)
      local fds = info.control[1].fds
      assert.equal(3, #fds)
      local r2, w2 = assert(socket.fromfd(fds[1])), assert(socket.fromfd(fds[2]))
      local scope <close> = closing(r2, w2)
      w2:send "through"
      assert.equal("through", r2:recv())
      fails("ENOTSOCK", socket.fromfd(fds[3]))
      assert(neap.stream(fds[3]):close())
    end
    collectgarbage() collectgarbage()
    assert.equal(before, helper.count_fds())
  end)

  it("say when control data was cut", function()
    local a, b = pairs_of()
    local guard <close> = closing(a, b)
    a:sendmsg { data = "x", control = { { name = "SCM_RIGHTS", fds = { 0, 1, 2 } } } }
    local _, info = b:recvmsg(10, 20)
    assert.is_true(info.control_truncated)
    for _, item in ipairs(info.control) do
      for _, fd in ipairs(item.fds or {}) do assert.is_true(socket.close(fd)) end
    end
  end)

  it("carry credentials", function()
    local a, b = pairs_of(DGRAM)
    local guard <close> = closing(a, b)
    assert(b:setsockopt("SO_PASSCRED", true))
    local me = a:getsockopt "SO_PEERCRED"
    a:sendmsg { data = "x", control = { { name = "SCM_CREDENTIALS", pid = me.pid, uid = me.uid, gid = me.gid } } }
    local _, info = b:recvmsg()
    local item = info.control[1]
    assert.equal("SCM_CREDENTIALS", item.name)
    assert.same(me, { pid = item.pid, uid = item.uid, gid = item.gid })
  end)

  it("decode what the kernel adds: where to, TTL, TOS, when", function()
    local a, b = udp(), udp()
    local guard <close> = closing(a, b)
    for _, name in ipairs { "IP_PKTINFO", "IP_RECVTTL", "IP_RECVTOS", "SO_TIMESTAMPNS" } do
      assert(b:setsockopt(name, true))
    end
    assert(a:setsockopt("IP_TTL", 33))
    a:sendmsg { data = "x", addr = b:getsockname(), control = { { name = "IP_TOS", value = 0x20 } } }
    local _, info = b:recvmsg()
    local by = {}
    for _, item in ipairs(info.control) do by[item.name] = item end
    assert.equal("127.0.0.1", by.IP_PKTINFO.ip)
    assert.equal("integer", math.type(by.IP_PKTINFO.ifindex))
    assert.equal(33, by.IP_TTL.value)
    assert.equal(0x20, by.IP_TOS.value)
    assert.is_true(math.abs(by.SO_TIMESTAMPNS.seconds - os.time()) < 60)
  end)

  it("decode the same of IPv6, and choose where from", function()
    local a, b = udp("inet6", "::1"), udp("inet6", "::1")
    local guard <close> = closing(a, b)
    for _, name in ipairs { "IPV6_RECVPKTINFO", "IPV6_RECVHOPLIMIT", "IPV6_RECVTCLASS" } do
      assert(b:setsockopt(name, true))
    end
    assert(a:sendmsg { data = "x", addr = b:getsockname(), control = {
      { name = "IPV6_PKTINFO", ["local"] = "::1" },
      { name = "IPV6_HOPLIMIT", value = 44 },
      { level = socket.IPPROTO_IPV6, type = socket.IPV6_TCLASS, data = string.pack("i", 0x40) },
    } })
    local _, info = b:recvmsg()
    local by = {}
    for _, item in ipairs(info.control) do by[item.name] = item end
    assert.equal("::1", by.IPV6_PKTINFO.ip)
    assert.equal(44, by.IPV6_HOPLIMIT.value)
    assert.equal(0x40, by.IPV6_TCLASS.value)
  end)

  it("read the queue of errors", function()
    local gone = udp()
    local addr = gone:getsockname()
    gone:close()
    local a <close> = udp()
    assert(a:setsockopt("IP_RECVERR", true))
    assert(a:connect(addr))
    a:send "x"
    fails("ECONNREFUSED", a:recv())
    local data, info = a:recvmsg(100, 512, socket.MSG_ERRQUEUE)
    assert.equal("x", data)
    local item = info.control[1]
    assert.equal("IP_RECVERR", item.name)
    assert.equal(111, item.errno)
    assert.equal("127.0.0.1", item.offender.ip)
  end)

  it("raise for what is no message", function()
    local a, b = pairs_of(DGRAM)
    local guard <close> = closing(a, b)
    for _, case in ipairs {
      { { dat = "x" }, "no field 'dat'" },
      { { data = 5 }, "'data' must be" },
      { { data = { "x", 5 } }, "'data' must be" },
      { { data = "x", control = 5 }, "list of tables" },
      { { data = "x", control = { 5 } }, "each item must be a table" },
      { { data = "x", control = { { name = "SCM_WRONGS" } } }, "unknown name 'SCM_WRONGS'" },
      { { data = "x", control = { { name = "SCM_RIGHTS" } } }, "'fds'" },
      { { data = "x", control = { { name = "SCM_RIGHTS", fds = {} } } }, "from 1 to 253" },
      { { data = "x", control = { { name = "IP_TTL" } } }, "'value' must be an integer" },
      { { data = "x", control = { { level = 1, type = 1 } } }, "'data' must be a string" },
      { { data = "x", control = { { level = 1, type = 1, data = ("x"):rep(5000) } } }, "too long" },
      { { data = "x", control = { { name = "SO_TIMESTAMPNS", value = 1 } } }, "cannot be sent" },
    } do raises(case[2], a.sendmsg, a, case[1]) end
    a:send "still works"
    assert.equal("still works", b:recv())
  end)
end)

describe("socket.poll", function()
  it("returns at once what is ready, and nothing that is not", function()
    local a, b = pairs_of()
    local guard <close> = closing(a, b)
    local list = { { fd = a, events = socket.POLLIN | socket.POLLOUT }, { fd = b, events = socket.POLLIN } }
    assert.equal(1, socket.poll(list, 0))
    assert.equal(socket.POLLOUT, list[1].revents)
    assert.equal(0, list[2].revents)
    assert.equal(0, socket.poll({ { fd = b, events = socket.POLLIN } }, 0.01))
    assert.equal(0, socket.poll({}, 0.01))
  end)

  it("waits for the first of several, also of one that is listed twice", function()
    local a, b = pairs_of()
    local guard <close> = closing(a, b)
    local c, d = pairs_of()
    local held <close> = closing(c, d)
    neap.run(function()
      neap.spawn(function() neap.sleep(0.02) c:send "x" end)
      local list = { { fd = b, events = socket.POLLIN }, { fd = d:fileno(), events = socket.POLLPRI },
        { fd = d, events = socket.POLLIN } }
      assert.equal(1, socket.poll(list, 5))
      assert.equal(socket.POLLIN, list[3].revents)
    end)
    a:close()
    local list = { { fd = b, events = socket.POLLIN } }
    assert.equal(1, socket.poll(list))
    assert.is_true(list[1].revents & socket.POLLHUP ~= 0)
  end)

  it("can be cancelled, and leaves nothing open", function()
    local a, b = pairs_of()
    local guard <close> = closing(a, b)
    local before = helper.count_fds()
    neap.run(function()
      for _ = 1, 5 do
        local task = neap.spawn(socket.poll, { { fd = a, events = socket.POLLIN }, { fd = b, events = socket.POLLIN } })
        neap.sleep(0)
        task:cancel()
        task:join()
      end
    end)
    assert.equal(before, helper.count_fds())
  end)

  it("raises for what is no list of descriptors", function()
    raises("#1", socket.poll, 5)
    raises("each entry", socket.poll, { 5 })
    raises("'events'", socket.poll, { { fd = 0 } })
    raises("descriptor", socket.poll, { { fd = "x", events = 1 } })
  end)
end)

describe("socket.getaddrinfo and getnameinfo", function()
  it("give the system's rows", function()
    local list = assert(socket.getaddrinfo("127.0.0.1", 80, { socktype = DGRAM, flags = socket.AI_NUMERICHOST }))
    assert.same({ family = socket.AF_INET, socktype = DGRAM, protocol = socket.IPPROTO_UDP,
      addr = { family = "inet", ip = "127.0.0.1", port = 80 } }, list[1])
    assert.equal(3, #socket.getaddrinfo("127.0.0.1", 80))
    fails("EAI_NONAME", socket.getaddrinfo("localhost", 80, { flags = socket.AI_NUMERICHOST }))
    raises("unknown hint 'famly'", socket.getaddrinfo, "localhost", 80, { famly = 2 })
    raises("hint 'family'", socket.getaddrinfo, "localhost", 80, { family = "ipv4" })
  end)

  it("turn addresses into names", function()
    local numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert.same({ "::1", "80" }, { socket.getnameinfo({ ip = "::1", port = 80 }, numeric) })
    assert.same({ "127.0.0.1", "http" }, { socket.getnameinfo({ ip = "127.0.0.1", port = 80 }, socket.NI_NUMERICHOST) })
    fails("EAI_FAMILY", socket.getnameinfo(string.pack("=I2", 99) .. ("\0"):rep(20), numeric))
  end)
end)
