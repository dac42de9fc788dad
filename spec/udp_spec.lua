--- UDP: addresses and names, what comes along with a datagram, errors of the
-- network, options, peers that are not neap.
local helper <const> = require "support.helper"
local netns <const> = require "support.netns"
local neap <const> = require "neap"
local udp <const> = require "neap.udp"
local probe <const> = require "probe"

local in_task <const> = helper.in_task

-- A port of UDP that nobody has (any more).
local function closed_port(ip)
  local s <close> = assert(udp.open(ip or "127.0.0.1", 0))
  return select(2, s:getsockname())
end

local function port_of(s) return (select(2, s:getsockname())) end

-- Two sockets of this address, in a task.
local function with_two(body, options, ip)
  in_task(function()
    local a <close> = assert(udp.open(ip or "127.0.0.1", 0, options))
    local b <close> = assert(udp.open(ip or "127.0.0.1", 0, options))
    body(a, b)
  end)
end

local function waiting(task)
  helper.eventually(function() return task:status() == "waiting" end)
end

-- A program that runs beside this one; ended, by its id, with the scope.
local function start(command)
  local pipe <const> = assert(io.popen("echo $$; exec timeout -k 1 30 " .. command .. " 2>/dev/null"))
  pipe:setvbuf "no"
  local pid = assert(math.tointeger(tonumber(pipe:read "l")))
  return setmetatable({ pid = pid }, { __close = function()
    probe.kill(pid, probe.SIGTERM)
    pipe:close()
  end })
end

describe("opening UDP", function()
  it("binds to an address, and gives integer ports", function()
    in_task(function()
      local s <close> = assert(udp.open("127.0.0.1", 0))
      local ip, port = s:getsockname()
      assert.equal("127.0.0.1", ip)
      assert.equal("integer", math.type(port))
      assert.is_true(port > 0)
      assert.equal(2, select("#", s:getsockname()))
      local same <close> = assert(udp.open("127.0.0.2", port))
      assert.same({ "127.0.0.2", port }, { same:getsockname() })
      local six <close> = helper.is_ipv6() and assert(udp.open("::1", 0)) or nil
      if six then assert.equal("::1", (six:getsockname())) end
      local bracketed <close> = helper.is_ipv6() and assert(udp.open("[::1]", 0)) or nil
      if bracketed then assert.equal("::1", (bracketed:getsockname())) end
    end)
  end)

  it("without a host takes both families, and shows plain addresses", function()
    helper.need_ipv6()
    in_task(function()
      for _, host in ipairs { "*", false, "::" } do
        local s <close> = assert(udp.open(host or nil))
        local _, port = s:getsockname()
        for _, ip in ipairs { "127.0.0.1", "::1" } do
          local c <close> = assert(udp.open(ip, 0))
          assert(c:sendto("ping", ip, port))
          local data, from, number = s:receive()
          assert.same({ "ping", c:getsockname() }, { data, from, number })
          assert(s:sendto("pong", from, number))
          assert.same({ "pong", ip, port }, { c:receive() })
        end
      end
    end)
  end)

  it("with v6only or a family takes one", function()
    helper.need_ipv6()
    in_task(function()
      local six <close> = assert(udp.open("::", 0, { v6only = true }))
      local _, port = six:getsockname()
      local four <close> = assert(udp.open("0.0.0.0", port))
      local c <close> = assert(udp.open("127.0.0.1", 0))
      assert(c:sendto("x", "127.0.0.1", port))
      assert.equal("x", (four:receive()))
      local only <close> = assert(udp.open(nil, nil, { family = "inet" }))
      assert.equal("0.0.0.0", (only:getsockname()))
      assert.fails("EAI_ADDRFAMILY", udp.open("127.0.0.1", 0, { family = "inet6" }))
    end)
  end)

  it("takes names, of hosts and services", function()
    in_task(function()
      local s <close> = assert(udp.open("localhost", 0, { family = "inet" }))
      assert.equal("127.0.0.1", (s:getsockname()))
      local c <close> = assert(udp.connect("localhost", "tcpmux", { family = "inet" }))
      assert.same({ "127.0.0.1", 1 }, { c:getpeername() })
    end)
  end)

  it("says which name does not resolve", function()
    in_task(function()
      for _, call in ipairs { udp.open, udp.connect } do
        local value, why, code = call("nothing.invalid", 80, { timeout = 5 })
        assert.is_nil(value)
        assert.matches("nothing%.invalid", why)
        assert.matches("^EAI_", code)
      end
      assert.matches("^EAI_", (select(3, udp.open("::1", 0, { family = "inet" }))))
      local s <close> = assert(udp.open "127.0.0.1")
      local value, why, code = s:sendto("x", "nothing.invalid", 9)
      assert.is_nil(value)
      assert.matches("nothing%.invalid", why)
      assert.matches("^EAI_", code)
      value, why, code = s:sendmsg("x", { ip = "nothing.invalid", port = 9 })
      assert.is_nil(value)
      assert.matches("nothing%.invalid", why)
      assert.matches("^EAI_", code)
    end)
  end)

  it("says which address is in use, or not here", function()
    in_task(function()
      local s <close> = assert(udp.open("127.0.0.1", 0))
      local _, port = s:getsockname()
      local value, why, code = udp.open("127.0.0.1", port)
      assert.fails("EADDRINUSE", value, why, code)
      assert.is_truthy(why:find(("127.0.0.1:%d: "):format(port), 1, true), why)
      value, why, code = udp.open("192.0.2.1", 7)
      assert.fails("EADDRNOTAVAIL", value, why, code)
      assert.is_truthy(why:find("192.0.2.1:7: ", 1, true), why)
    end)
  end)

  it("again at once is no trouble", function()
    in_task(function()
      local port = closed_port()
      for _ = 1, 3 do
        local s <close> = assert(udp.open("127.0.0.1", port))
        assert.equal(port, (select(2, s:getsockname())))
      end
    end)
  end)

  for _, port in ipairs { -1, 65536, 70000, 1 << 40, 80.5, 0 / 0, "", "70000", "80\0", true } do
    it(("raises on the port %s"):format(tostring(port):gsub("%c", "?")), function()
      assert.raises("bad argument #2", udp.open, "127.0.0.1", port)
      assert.raises("bad argument #2", udp.connect, "127.0.0.1", port)
      with_two(function(a)
        assert.raises("bad argument #3", function() a:sendto("x", "127.0.0.1", port) end)
        assert.raises("bad argument #2", function() a:connect("127.0.0.1", port) end)
        assert.raises("port", function() a:sendmsg("x", { ip = "127.0.0.1", port = port }) end)
        assert.raises("bad argument #3", function() a:sendmany({ "x" }, "127.0.0.1", port) end)
      end)
    end)
  end

  for _, host in ipairs { "", "a\0b", 127, true } do
    it(("raises on the host %s"):format(tostring(host):gsub("%c", "?")), function()
      assert.raises("bad argument #1", udp.open, host, 80)
      assert.raises("bad argument #1", udp.connect, host, 80)
      with_two(function(a)
        assert.raises("bad argument #2", function() a:sendto("x", host, 80) end)
        assert.raises("bad argument #1", function() a:connect(host, 80) end)
        assert.raises("ip", function() a:sendmsg("x", { ip = host, port = 80 }) end)
      end)
    end)
  end

  it("raises on options that it does not know, and on wrong values", function()
    for _, case in ipairs {
      { { reuseadr = true }, "unknown option 'reuseadr'" }, { { nodelay = true }, "unknown option 'nodelay'" },
      { { 5 }, "unknown option '1'" }, { { timeout = -1 }, "timeout" }, { { timeout = 0 / 0 }, "timeout" },
      { { maxmessage = 0 }, "maxmessage" }, { { maxmessage = 1.5 }, "maxmessage" }, { { reuseaddr = 1 }, "reuseaddr" },
      { { reuseport = "yes" }, "reuseport" }, { { broadcast = 1 }, "broadcast" }, { { ttl = 256 }, "ttl" },
      { { ttl = -2 }, "ttl" }, { { ttl = "5" }, "ttl" }, { { tos = 256 }, "tos" }, { { tos = true }, "tos" },
      { { family = "ipv4" }, "family" }, { { interface = {} }, "interface" },
      { { timestamps = "soft" }, "timestamps" }, { { errors = 1 }, "errors" }, { { gro = 1 }, "gro" },
      { { lite = "x" }, "lite" }, { { mtu_discover = "always" }, "mtu_discover" }, { { rcvbuf = 0 }, "rcvbuf" },
      { { sndbuf = -1 }, "sndbuf" }, { { filter = true }, "filter" }, { 5, "bad argument #3" },
    } do
      assert.raises(case[2], udp.open, "127.0.0.1", 0, case[1])
      assert.raises(case[2], udp.connect, "127.0.0.1", 9, case[1])
    end
    assert.raises("option 'bind'", udp.connect, "127.0.0.1", 9, { bind = 5 })
    assert.raises("option 'bind'", udp.connect, "127.0.0.1", 9, { bind = "127.0.0.1:70000" })
    assert.raises("unknown option 'bind'", udp.open, "127.0.0.1", 9, { bind = "127.0.0.1" })
    assert.raises("bad argument #1", udp.connect)
    assert.raises("bad argument #2", udp.connect, "127.0.0.1")
    assert.raises("bad argument #2", udp.connect, "127.0.0.1", 0)
  end)

  it("adopts a descriptor", function()
    with_two(function(a, b)
      local ip, port = b:getsockname()
      local fd = b:detach()
      local c <close> = assert(udp.open(nil, nil, { fd = fd, timeout = 2 }))
      assert.equal(2, c:gettimeout())
      assert.same({ ip, port }, { c:getsockname() })
      assert.same({ nonblock = true, cloexec = true }, probe.flags(fd))
      assert(a:sendto("x", ip, port))
      assert.same({ "x", a:getsockname() }, { c:receive() })
      local value, why, code = udp.open(nil, nil, { fd = 10000 })
      assert.fails("EBADF", value, why, code)
    end)
  end)
end)

describe("connecting over UDP", function()
  it("has a peer, and takes datagrams of nobody else", function()
    with_two(function(a, b)
      local c <close> = assert(udp.connect(b:getsockname()))
      assert.same({ b:getsockname() }, { c:getpeername() })
      assert.equal(c, c:send "hello")
      local data, ip, port = b:receive()
      assert.same({ "hello", c:getsockname() }, { data, ip, port })
      assert(a:sendto("from a stranger", ip, port))
      assert(b:sendto("from the peer", ip, port))
      assert.same({ "from the peer", b:getsockname() }, { c:receive() })
      c:settimeout(0)
      assert.fails("ETIMEDOUT", c:receive())
    end)
  end)

  it("works over IPv6", function()
    helper.need_ipv6()
    with_two(function(_, b)
      local c <close> = assert(udp.connect(b:getsockname()))
      assert(c:send "hello")
      assert.same({ "hello", c:getsockname() }, { b:receive() })
      if not neap.resolve("localhost", 0, { family = "inet6" }) then return end
      local named <close> = assert(udp.connect("localhost", (select(2, b:getsockname())), { family = "inet6" }))
      assert.same({ b:getsockname() }, { named:getpeername() })
    end, nil, "::1")
  end)

  it("comes from where bind says", function()
    with_two(function(_, b)
      local free = closed_port "127.0.0.2"
      for from, wanted in pairs { ["127.0.0.2"] = false, ["127.0.0.2:" .. free] = free } do
        local ip, port = b:getsockname()
        local c <close> = assert(udp.connect(ip, port, { bind = from }))
        assert(c:send "x")
        local _, source, number = b:receive()
        assert.equal("127.0.0.2", source)
        if wanted then assert.equal(wanted, number) end
      end
      assert.fails("EADDRNOTAVAIL", udp.connect("127.0.0.1", 9, { bind = "192.0.2.1" }))
    end)
  end)

  it("can be done later, changed and dissolved", function()
    with_two(function(a, b)
      local c <close> = assert(udp.open("127.0.0.1", 0))
      assert.equal(c, c:connect(a:getsockname()))
      assert(c:send "to a")
      assert.equal("to a", (a:receive()))
      assert.equal(c, c:connect("localhost", (select(2, b:getsockname()))))
      assert(c:send "to b")
      assert.equal("to b", (b:receive()))
      assert.equal(c, c:connect())
      assert.fails("ENOTCONN", c:getpeername())
      assert.fails("EDESTADDRREQ", c:send "to nobody")
    end)
  end)

  it("may send elsewhere, too", function()
    with_two(function(a, b)
      local c <close> = assert(udp.connect(a:getsockname()))
      assert(c:sendto("to b", b:getsockname()))
      assert.equal("to b", (b:receive()))
    end)
  end)

  it("learns that nobody is there, and stays usable", function()
    in_task(function()
      local port = closed_port()
      local c <close> = assert(udp.connect("127.0.0.1", port, { timeout = 1 }))
      for _ = 1, 2 do
        assert(c:send "anybody?")
        local value, why, code = c:receive()
        assert.fails("ECONNREFUSED", value, why, code)
        assert.is_truthy(why:find(("127.0.0.1:%d"):format(port), 1, true), why)
      end
      local reader = neap.spawn(function() return c:receivemany() end)
      waiting(reader)
      assert(c:send "anybody?")
      assert.fails("ECONNREFUSED", reader:join())
      assert(c:send "anybody?")
      assert.fails("ECONNREFUSED", c:send "again")
      local b <close> = assert(udp.open("127.0.0.1", port))
      assert(c:send "now")
      assert.equal("now", (b:receive()))
      assert(b:sendto("yes", c:getsockname()))
      assert.equal("yes", (c:receive()))
    end)
  end)

  it("leaves one that is not connected undisturbed", function()
    with_two(function(a, b)
      assert(a:sendto("x", "127.0.0.1", closed_port()))
      assert(b:sendto("y", a:getsockname()))
      assert.equal("y", (a:receive()))
    end)
  end)
end)

describe("sending over UDP", function()
  it("looks up names", function()
    in_task(function()
      local b <close> = assert(udp.open("127.0.0.1", 0))
      local _, port = b:getsockname()
      local a <close> = assert(udp.open("127.0.0.1", 0))
      assert.equal(a, a:sendto("by name", "localhost", port))
      assert.same({ "by name", a:getsockname() }, { b:receive() })
      assert.equal(a, a:sendmsg("by name", { ip = "localhost", port = port }))
      assert.equal("by name", (b:receive()))
      local dual <close> = assert(udp.open())
      assert(dual:sendto("from both", "127.0.0.1", port))
      assert.equal("from both", (b:receive()))
    end)
  end)

  it("takes up to 65507 bytes", function()
    with_two(function(a, b)
      local ip, port = b:getsockname()
      local most = ("x"):rep(65507)
      assert(a:sendto(most, ip, port))
      assert.is_true(b:receive() == most)
      local value, why, code = a:sendto(most .. "x", ip, port)
      assert.fails("EMSGSIZE", value, why, code)
      assert.equal(("sendto %s:%d: Message too long"):format(ip, port), why)
      assert(a:sendto("", ip, port))
      assert.equal("", (b:receive()))
    end)
  end)

  it("fails when the address is of the other family", function()
    helper.need_ipv6()
    with_two(function(a)
      local value, why, code = a:sendto("x", "::1", 9)
      assert.is_nil(value)
      assert.is_true(code == "EAFNOSUPPORT" or code == "EAI_ADDRFAMILY", code)
      assert.matches("::1", why)
    end)
  end)

  it("to several addresses in one call", function()
    with_two(function(a, b)
      local c <close> = assert(udp.open("127.0.0.2", 0))
      local bip, bport = b:getsockname()
      local cip, cport = c:getsockname()
      assert.equal(3, a:sendmany({ "one", "two", "three" }, { bip, cip, bip }, { bport, cport, bport }))
      assert.same({ "one", "three" }, (b:receivemany()))
      assert.same({ "two" }, (c:receivemany()))
      assert.equal(2, a:sendmany({ "four", "five" }, bip, bport))
      assert.same({ "four", "five" }, (b:receivemany()))
      local d <close> = assert(udp.open(bip, 0))
      assert.equal(2, a:sendmany({ "six", "seven" }, bip, { bport, (select(2, d:getsockname())) }))
      assert.equal("six", (b:receive()))
      assert.equal("seven", (d:receive()))
      assert.raises("bad argument #2", function() a:sendmany({ "x", "y" }, { bip }, bport) end)
      assert.raises("bad argument #3", function() a:sendmany({ "x", "y" }, bip, { bport, 70000 }) end)
      assert.raises("bad argument #3", function() a:sendmany({ "x", "y" }, bip, { bport, "x" }) end)
      assert.fails("ETIMEDOUT", b:settimeout(0):receive())
    end)
  end)

  it("many tells how many went before one that did not", function()
    with_two(function(a, b)
      local ip, port = b:getsockname()
      local value, why, code, sent = a:sendmany({ "one", "two", ("x"):rep(70000), "four" }, ip, port)
      assert.fails("EMSGSIZE", value, why, code)
      assert.is_truthy(why:find(("^sendmany %s:%d: "):format(ip:gsub("%.", "%%."), port)), why)
      assert.equal(2, sent)
      assert.same({ "one", "two" }, (b:receivemany()))
      value, why, code, sent = a:sendmany({ ("x"):rep(70000) }, ip, port)
      assert.fails("EMSGSIZE", value, why, code)
      assert.is_true(sent == nil or sent == 0)
    end)
  end)

  it("broadcasts only when it may", function()
    in_task(function()
      local b <close> = assert(udp.open("0.0.0.0", 0))
      local _, port = b:getsockname()
      local a <close> = assert(udp.open("127.0.0.1", 0))
      local value, why, code = a:sendto("x", "127.255.255.255", port)
      assert.fails("EACCES", value, why, code)
      assert.is_truthy(why:find(("127.255.255.255:%d"):format(port), 1, true), why)
      assert(a:setsockopt("SO_BROADCAST", true))
      assert(a:sendto("allowed", "127.255.255.255", port))
      assert.equal("allowed", (b:receive()))
      local c <close> = assert(udp.open("127.0.0.1", 0, { broadcast = true }))
      assert(c:sendto("by the option", "127.255.255.255", port))
      assert.same({ "by the option", c:getsockname() }, { b:receive() })
    end)
  end)
end)

describe("what comes along with a datagram", function()
  it("says where it was sent to, and lets a wildcard answer from there", function()
    in_task(function()
      local server <close> = assert(udp.open("0.0.0.0", 0))
      local _, port = server:getsockname()
      for _, ip in ipairs { "127.0.0.2", "127.7.7.7" } do
        local c <close> = assert(udp.connect(ip, port, { timeout = 2, bind = "127.0.0.1" }))
        assert(c:send "question")
        local data, info = assert(server:receivemsg())
        assert.equal("question", data)
        assert.equal(ip, info.local_ip)
        assert.same({ c:getsockname() }, { info.ip, info.port })
        assert.equal("lo", info.interface)
        assert.equal("integer", math.type(info.ifindex))
        assert.equal(server, server:sendmsg("answer", { ip = info.ip, port = info.port, local_ip = info.local_ip }))
        assert.equal("answer", (c:receive())) -- the peer it is connected with
      end
      local value, _, code = server:sendmsg("x", { ip = "127.0.0.1", port = port, local_ip = "192.0.2.1" })
      assert.is_nil(value)
      assert.is_true(code == "EINVAL" or code == "ENETUNREACH", code) -- by the kernel's version
    end)
  end)

  it("is the same on a socket of both families", function()
    helper.need_ipv6()
    in_task(function()
      local server <close> = assert(udp.open())
      local _, port = server:getsockname()
      for _, ip in ipairs { "127.0.0.3", "::1" } do
        local c <close> = assert(udp.connect(ip, port, { timeout = 2, ttl = 33, tos = 0x28 }))
        assert(c:send "question")
        local _, info = assert(server:receivemsg())
        assert.equal(ip, info.local_ip)
        assert.equal(33, info.ttl)
        assert.equal(0x28, info.tos)
        assert.equal("lo", info.interface)
        assert.equal(c, c:settimeout(2))
        assert(server:sendmsg("answer",
          { ip = info.ip, port = info.port, local_ip = info.local_ip, ttl = 44, tos = 9 }))
        local data, back = c:receivemsg()
        assert.equal("answer", data)
        assert.equal(44, back.ttl)
        assert.equal(1, back.ecn)
      end
    end)
  end)

  for _, ip in ipairs { "127.0.0.1", "::1" } do
    it("are its TTL, its traffic class, its ECN: " .. ip, function()
      if ip == "::1" then helper.need_ipv6() end
      with_two(function(a, b)
        local to, port = b:getsockname()
        local c <close> = assert(udp.open(ip, 0, { ttl = 7, tos = 0x48 }))
        assert(c:sendto("by the options", to, port))
        local _, info = b:receivemsg()
        assert.same({ 7, 0x48, 0 }, { info.ttl, info.tos, info.ecn })
        for _, case in ipairs {
          { { ttl = 1 }, 1, 0, 0 }, { { ttl = 255 }, 255, 0, 0 }, { { tos = 0x28 }, 64, 0x28, 0 },
          { { ecn = 1 }, 64, 1, 1 }, { { ecn = 2 }, 64, 2, 2 }, { { tos = 0x28, ecn = 3 }, 64, 0x2b, 3 },
          { { ttl = 9, tos = 0xb8, ecn = 0 }, 9, 0xb8, 0 },
        } do
          local sent = { ip = to, port = port }
          for name, value in pairs(case[1]) do sent[name] = value end
          assert.equal(a, a:sendmsg("x", sent))
          _, info = b:receivemsg()
          assert.same({ table.unpack(case, 2) }, { info.ttl, info.tos, info.ecn })
          for _, name in ipairs { "ttl", "tos", "ecn", "ifindex", "port", "length" } do
            assert.equal("integer", math.type(info[name]), name)
          end
        end
      end, nil, ip)
    end)

    it("is the interface, by which it can be sent, too: " .. ip, function()
      if ip == "::1" then helper.need_ipv6() end
      with_two(function(a, b)
        local to, port = b:getsockname()
        local lo
        for _, row in ipairs(neap.interfaces()) do if row.name == "lo" then lo = row.index end end
        for _, interface in ipairs { "lo", lo } do
          assert.equal(a, a:sendmsg("x", { ip = to, port = port, interface = interface }))
          local data, info = b:receivemsg()
          assert.equal("x", data)
          assert.same({ "lo", lo }, { info.interface, info.ifindex })
        end
        assert.equal(a, a:sendmsg("x", { ip = to, port = port, interface = "lo", local_ip = ip, ttl = 3, ecn = 1 }))
        local _, info = b:receivemsg()
        assert.same({ ip, 3, 1 }, { info.local_ip, info.ttl, info.ecn })
        assert.fails("ENODEV", a:sendmsg("x", { ip = to, port = port, interface = "nothing0" }))
        assert.raises("interface", function() a:sendmsg("x", { ip = to, port = port, interface = ("x"):rep(30) }) end)
      end, nil, ip)
    end)
  end

  it("is when it came, if that was asked for", function()
    with_two(function(a, b)
      local to, port = b:getsockname()
      assert(a:sendto("x", to, port))
      assert.is_nil(select(2, b:receivemsg()).timestamp)
      for _, how in ipairs { true, "software" } do
        local c <close> = assert(udp.open("127.0.0.1", 0, { timestamps = how }))
        assert(a:sendto("warm", c:getsockname())) -- the kernel switches them on a little later
        c:receivemsg()
        neap.sleep(0.005)
        assert(a:sendto("x", c:getsockname()))
        local _, info = c:receivemsg()
        assert.equal("integer", math.type(info.timestamp))
        assert.is_true(math.abs(info.timestamp - os.time() * 1000000000) < 5000000000)
        local before = info.timestamp
        assert(a:sendto("x", c:getsockname()))
        _, info = c:receivemsg()
        assert.is_true(info.timestamp >= before)
        assert.is_nil(info.hwtimestamp)
      end
    end)
  end)

  it("is nothing that does not apply", function()
    with_two(function(a, b)
      assert(a:sendto("x", b:getsockname()))
      local _, info = b:receivemsg()
      for _, name in ipairs { "path", "mac", "protocol", "type", "vlan", "fds", "credentials", "truncated",
        "control_truncated", "segment", "drops", "hwtimestamp" } do
        assert.is_nil(info[name], name)
      end
    end)
  end)

  it("may be said of what is sent; what does not fit raises", function()
    with_two(function(a, b)
      local to, port = b:getsockname()
      for wrong, value in pairs {
        path = "/x", mac = "00:00:00:00:00:00", protocol = 5, ttl = 300, tos = -1, ecn = 5, segment = -1,
        local_ip = "nonsense", interface = -1, dest = "x", fds = { 0 }, credentials = true,
      } do
        assert.raises(wrong, function() a:sendmsg("x", { ip = to, port = port, [wrong] = value }) end)
      end
      assert.raises("'ip' and 'port'", function() a:sendmsg("x", { ip = to }) end)
      assert.raises("'ip' and 'port'", function() a:sendmsg("x", { port = port }) end)
      assert.raises("bad argument #2", function() a:sendto "x" end)
      assert.raises("bad argument #3", function() a:sendto("x", to) end)
      assert.raises("bad argument #3", function() a:sendmany({ "x" }, to) end)
      assert.raises("bad argument #2", function() a:sendmany({ "x" }, nil, port) end)
      b:settimeout(0)
      assert.fails("ETIMEDOUT", b:receive())
    end)
  end)
end)

describe("the queue of errors", function()
  for _, case in ipairs { { "127.0.0.1", "icmp", 3, 3 }, { "::1", "icmp6", 1, 4 } } do
    local ip <const>, origin <const>, icmptype <const>, icmpcode <const> = table.unpack(case)

    it(("says of %s who refused what"):format(ip), function()
      if ip == "::1" then helper.need_ipv6() end
      in_task(function()
        local port = closed_port(ip)
        local a <close> = assert(udp.open(ip, 0, { errors = true, timeout = 1 }))
        for _, data in ipairs { "the lost one", ("y"):rep(100), "" } do
          assert(a:sendto(data, ip, port))
          local e = assert(a:geterror())
          assert.equal("ECONNREFUSED", e.code)
          assert.equal(origin, e.origin)
          assert.equal(icmptype, e.type)
          assert.equal(icmpcode, e.icmpcode)
          assert.equal(ip, e.offender)
          assert.same({ ip, port }, { e.ip, e.port })
          assert.equal(data, e.data)
          assert.matches("refused", e.message)
        end
        local value, _, code = a:geterror(0)
        assert.is_nil(value)
        assert.is_true(code == "EAGAIN" or code == "ETIMEDOUT", code)
      end)
    end)
  end

  it("is waited for, and woken by closing", function()
    in_task(function()
      local port = closed_port()
      local a <close> = assert(udp.open("127.0.0.1", 0, { errors = true }))
      local value, why, code = assert.takes(0.015, 1, function() return a:geterror(0.02) end)
      assert.fails("ETIMEDOUT", value, why, code)
      local waits = neap.spawn(function() return a:geterror() end)
      waiting(waits)
      assert(a:sendto("x", "127.0.0.1", port))
      assert.equal("ECONNREFUSED", waits:join().code)
      waits = neap.spawn(function() return a:geterror() end)
      waiting(waits)
      waits:cancel()
      assert.fails("ECANCELED", waits:join())
      waits = neap.spawn(function() return a:geterror() end)
      waiting(waits)
      a:close()
      assert.fails("ECLOSED", waits:join())
    end)
  end)

  it("and datagrams can be waited for at the same time", function()
    in_task(function()
      local a <close> = assert(udp.open("127.0.0.1", 0, { errors = true }))
      local b <close> = assert(udp.open("127.0.0.1", 0))
      local reader = neap.spawn(function() return a:receive() end)
      local watcher = neap.spawn(function() return a:geterror() end)
      waiting(reader)
      waiting(watcher)
      assert(a:sendto("lost", "127.0.0.1", closed_port()))
      assert.equal("lost", watcher:join().data)
      assert.equal("waiting", reader:status())
      watcher = neap.spawn(function() return a:geterror() end)
      waiting(watcher)
      assert(b:sendto("got", a:getsockname()))
      assert.equal("got", (reader:join()))
      assert.equal("waiting", watcher:status())
      local second = neap.spawn(function() return a:geterror() end)
      waiting(second)
      assert(a:sendto("one", "127.0.0.1", closed_port()))
      assert.equal("one", watcher:join().data)
      assert(a:sendto("two", "127.0.0.1", closed_port()))
      assert.equal("two", second:join().data)
    end)
  end)

  it("neither disturbs who receives nor takes processor time", function()
    in_task(function()
      local port = closed_port()
      local a <close> = assert(udp.open("127.0.0.1", 0, { errors = true }))
      local b <close> = assert(udp.open("127.0.0.1", 0))
      local reader = neap.spawn(function() return a:receive() end)
      waiting(reader)
      for i = 1, 5 do assert(a:sendto("lost " .. i, "127.0.0.1", port)) end
      neap.sleep(0.01)
      local before = os.clock()
      neap.sleep(0.05)
      assert.is_true(os.clock() - before < 0.03)
      assert.equal("waiting", reader:status())
      assert(b:sendto("got", a:getsockname()))
      assert.equal("got", (reader:join()))
      assert(a:sendto("to another", b:getsockname()))
      assert.equal("to another", (b:receive()))
      for i = 1, 5 do assert.equal("lost " .. i, a:geterror(0).data) end
    end)
  end)

  it("is bounded: who never asks for it pays no memory for it", function()
    in_task(function()
      local port = closed_port()
      local a <close> = assert(udp.open("127.0.0.1", 0, { errors = true, timeout = 0 }))
      for i = 1, 1000 do
        a:sendto("lost", "127.0.0.1", port)
        if i % 10 == 0 then a:receive() end
      end
      local count = 0
      while a:geterror(0) do count = count + 1 end
      assert.is_true(count > 0 and count <= 1000, count)
    end)
  end)

  it("has to be asked for, when the socket is opened or later", function()
    with_two(function(a)
      assert(a:sendto("x", "127.0.0.1", closed_port()))
      assert.raises("errors = true", function() a:geterror(0) end)
      assert(a:setsockopt("IP_RECVERR", true))
      assert(a:sendto("y", "127.0.0.1", closed_port()))
      assert.equal("y", a:geterror(1).data)
    end)
  end)

  it("and a failure of a connected socket each tell once", function()
    in_task(function()
      local c <close> = assert(udp.connect("127.0.0.1", closed_port(), { errors = true, timeout = 1 }))
      assert(c:send "x")
      assert.fails("ECONNREFUSED", c:receive())
      assert.equal("x", c:geterror(0).data)
      c:settimeout(0.01)
      assert.fails("ETIMEDOUT", c:receive())
    end)
  end)

  it("says from afar who could not go on: a router, a port, a hop limit, a size", function()
    netns.need()
    local lab <close> = netns.chain()
    lab.router:mtu(1300, "far")
    lab.server:mtu(1300)
    in_task(function()
      for _, case in ipairs {
        { lab.client.ip, lab.server.ip, lab.router.ip, "icmp", "10.77.3.3", 11, 0, 3, 3 },
        { lab.client.ip6, lab.server.ip6, lab.router.ip6, "icmp6", "fd77:3::3", 3, 0, 1, 4 },
      } do
        local from, to, router, origin, nowhere, ttltype, ttlcode, porttype, portcode = table.unpack(case)
        local a <close> = assert(lab.client:inside(udp.open, from, 0,
          { errors = true, timeout = 2, mtu_discover = "do" }))
        assert(a:sendto("nobody there", to, 7))
        local e = assert(a:geterror())
        assert.same({ "ECONNREFUSED", origin, porttype, portcode, to, to, 7, "nobody there" },
          { e.code, e.origin, e.type, e.icmpcode, e.offender, e.ip, e.port, e.data })
        -- the hops are too few
        assert(a:sendmsg("not so far", { ip = to, port = 7, ttl = 1 }))
        a:settimeout(0.2)
        a:receive() -- clears what is pending
        e = assert(a:geterror())
        assert.same({ "EHOSTUNREACH", origin, ttltype, ttlcode, router, "not so far" },
          { e.code, e.origin, e.type, e.icmpcode, e.offender, e.data })
        -- too long for the way, which the system learns by trying
        a:receive()
        local ok, _, code = a:sendto(("z"):rep(1400), to, 7)
        assert.is_true(ok == a or code == "EMSGSIZE")
        e = assert(a:geterror())
        assert.equal("EMSGSIZE", e.code)
        assert.equal(1300, e.mtu)
        assert.equal(router, e.offender)
        -- and no way at all
        a:receive()
        a:sendto("lost", nowhere, 7)
        e = assert(a:geterror())
        assert.equal(router, e.offender)
        assert.equal(nowhere, e.ip)
      end
    end)
  end)
end)

describe("the options of UDP", function()
  it("share a port by reuseport, each with a part of the peers", function()
    in_task(function()
      local first <close> = assert(udp.open("127.0.0.1", 0, { reuseport = true, timeout = 0 }))
      local ip, port = first:getsockname()
      assert.fails("EADDRINUSE", udp.open(ip, port))
      local second <close> = assert(udp.open(ip, port, { reuseport = true, timeout = 0 }))
      local count = { 0, 0 }
      for _ = 1, 64 do
        local c <close> = assert(udp.open("127.0.0.1", 0))
        assert(c:sendto("x", ip, port))
      end
      for i, s in ipairs { first, second } do
        while s:receive() do count[i] = count[i] + 1 end
      end
      assert.equal(64, count[1] + count[2])
      assert.is_true(count[1] > 0 and count[2] > 0)
    end)
  end)

  it("set the sizes of the buffers, the TTL, the interface", function()
    in_task(function()
      local s <close> = assert(udp.open("127.0.0.1", 0,
        { rcvbuf = 50000, sndbuf = 40000, ttl = 5, tos = 0x10, reuseaddr = true, interface = "lo" }))
      assert.is_true(s:getsockopt "SO_RCVBUF" >= 50000)
      assert.is_true(s:getsockopt "SO_SNDBUF" >= 40000)
      assert.equal(5, s:getsockopt "IP_TTL")
      assert.equal(0x10, s:getsockopt "IP_TOS")
      assert.is_true(s:getsockopt "SO_REUSEADDR")
      assert.equal("lo", s:getsockopt "SO_BINDTODEVICE")
      assert.fails("ENODEV", udp.open("127.0.0.1", 0, { interface = "nothing0" }))
      local c <close> = assert(udp.connect("127.0.0.1", 9, { rcvbuf = 60000, interface = "lo" }))
      assert.is_true(c:getsockopt "SO_RCVBUF" >= 60000)
    end)
  end)

  it("forbid fragments by mtu_discover, and tell the path's MTU", function()
    netns.need()
    local lab <close> = netns.pair()
    in_task(function()
      for _, way in ipairs { { "ip", "IP_MTU", 28 }, { "ip6", "IPV6_MTU", 48 } } do
        local to = lab.b[way[1]]
        local server <close> = assert(lab.b:inside(udp.open, to, 0))
        local _, port = server:getsockname()
        local function connected(how)
          return assert(lab.a:inside(udp.connect, to, port, { mtu_discover = how }))
        end
        local careful <close> = connected "do"
        assert.equal(1500, careful:getsockopt(way[2]))
        local value, why, code = careful:send(("x"):rep(1501 - way[3]))
        assert.fails("EMSGSIZE", value, why, code)
        assert(careful:send(("x"):rep(1500 - way[3])))
        assert.equal(1500 - way[3], #server:receive())
        for _, how in ipairs { "dont", "want" } do
          local careless <close> = connected(how)
          assert(careless:send(("x"):rep(9000)))
          assert.equal(9000, #server:receive())
        end
        local probing <close> = connected "probe"
        assert(probing:send "x")
        assert.equal("x", (server:receive()))
      end
    end)
  end)

  it("filter what comes by a list of instructions", function()
    -- ldb [8]: the first byte after UDP's header; jeq 'x'; ret whole; ret none
    local only_x <const> = {
      { 0x30, 0, 0, 8 }, { 0x15, 0, 1, ("x"):byte() }, { 0x06, 0, 0, 0xffff }, { 0x06, 0, 0, 0 },
    }
    with_two(function(a, b)
      local c <close> = assert(udp.open("127.0.0.1", 0, { filter = only_x, timeout = 0.01 }))
      for _, data in ipairs { "no", "x1", "nor this", "", "x2" } do assert(a:sendto(data, c:getsockname())) end
      assert.same({ "x1", "x2" }, (c:receivemany()))
      assert.equal(c, c:detachfilter())
      assert(a:sendto("anything", c:getsockname()))
      assert.equal("anything", (c:receive()))
      b:settimeout(0.01)
      assert.equal(b, b:attachfilter(only_x))
      assert(a:sendto("no", b:getsockname()))
      assert(a:sendto("xyz", b:getsockname()))
      assert.equal("xyz", (b:receive()))
      assert.fails("ETIMEDOUT", b:receive())
      assert.fails("ENOENT", c:detachfilter())
      for _, wrong in ipairs {
        true, -1, {}, { 5 }, { {} }, { { 1, 2, 3 } }, { { 0x06, 0, 0, "x" } }, { { 0x06, 256, 0, 0 } },
        { { 0x10000, 0, 0, 0 } }, { { 0x06, 0, 0, 1 << 32 } }, { { 0xffff, 0, 0, 0 } },
        { { 0x05, 0, 0, 9 }, { 0x06, 0, 0, 1 } }, -- jumps out of the program
      } do
        assert.raises("bad argument #1", function() b:attachfilter(wrong) end)
      end
    end)
  end)

  it("checksum only a part with UDP-Lite", function()
    in_task(function()
      local s, why, code = udp.open("127.0.0.1", 0, { lite = true })
      helper.need(s, ("this kernel has no UDP-Lite (%s)"):format(why))
      assert.is_nil(code)
      local held <close> = s
      local c <close> = assert(udp.open("127.0.0.1", 0, { lite = 8 }))
      assert(c:sendto("lightly", s:getsockname()))
      assert.same({ "lightly", c:getsockname() }, { s:receive() })
      assert.equal(136, s:getsockopt "SO_PROTOCOL")
    end)
  end)
end)

describe("segments of UDP", function()
  -- What came, put together, in pieces of the size but for the last.
  local function check(b, data, segment)
    local parts, length = {}, 0
    b:settimeout(1)
    while length < #data do
      local part = assert(b:receive())
      length = length + #part
      if length < #data then assert.equal(segment, #part) end
      parts[#parts + 1] = part
    end
    assert.is_true(table.concat(parts) == data)
  end

  local function text(n)
    local parts = {}
    for i = 1, n // 6 + 1 do parts[i] = ("%05d "):format(i) end
    return table.concat(parts):sub(1, n)
  end

  for _, ip in ipairs { "127.0.0.1", "::1" } do
    it("are cut by the kernel: one call, many datagrams: " .. ip, function()
      if ip == "::1" then helper.need_ipv6() end
      with_two(function(a, b)
        local to, port = b:getsockname()
        for _, case in ipairs {
          { 5000, 1000 }, { 5001, 1000 }, { 999, 1000 }, { 1000, 1000 }, { 3, 1 }, { 60000, 1400 },
        } do
          local data = text(case[1])
          assert.equal(a, a:sendmsg(data, { ip = to, port = port, segment = case[2] }))
          check(b, data, case[2])
        end
      end, nil, ip)
    end)

    it("are put together by the kernel, and taken apart here: " .. ip, function()
      if ip == "::1" then helper.need_ipv6() end
      in_task(function()
        local b = udp.open(ip, 0, { gro = true })
        helper.need(b, "this kernel has no GRO for UDP")
        local held <close> = b
        local a <close> = assert(udp.open(ip, 0))
        local to, port = b:getsockname()
        for _, case in ipairs { { 5000, 1000 }, { 5001, 1000 }, { 999, 1000 }, { 60000, 1400 } } do
          local data = text(case[1])
          assert(a:sendmsg(data, { ip = to, port = port, segment = case[2] }))
          assert(a:sendto("between", to, port))
          check(b, data, case[2])
          assert.same({ "between", a:getsockname() }, { b:receive() })
        end
        assert(a:sendmsg(text(5000), { ip = to, port = port, segment = 1000 }))
        local datas, ips, ports = {}, {}, {}
        while #datas < 5 do
          local more, from, number = b:receivemany()
          table.move(more, 1, #more, #datas + 1, datas)
          table.move(from, 1, #from, #ips + 1, ips)
          table.move(number, 1, #number, #ports + 1, ports)
        end
        assert.is_true(table.concat(datas) == text(5000))
        local _, port_of_a = a:getsockname()
        for i = 1, 5 do assert.same({ 1000, ip, port_of_a }, { #datas[i], ips[i], ports[i] }) end
      end)
    end)
  end

  it("that came together go each by the limits, the tap and the counters", function()
    in_task(function()
      local b = udp.open("127.0.0.1", 0, { gro = true, maxmessage = 1000, timeout = 0.05 * helper.slow })
      helper.need(b and b:getsockopt "UDP_GRO", "this kernel has no GRO for UDP")
      local held <close> = b
      local a <close> = assert(udp.open("127.0.0.1", 0))
      local to, port = b:getsockname()
      local function say(length, segment)
        assert(a:sendmsg(text(length), { ip = to, port = port, segment = segment }))
      end
      local tapped = {}
      b:settap(function(...) tapped[#tapped + 1] = { ... } end)
      say(4500, 1000)
      check(b, text(4500), 1000)
      assert.equal(5, #tapped)
      assert.same({ "in", text(1000), a:getsockname() }, tapped[1])
      assert.same({ 5, 4500, 0, 0, 0 }, { b:counters() })
      say(2000, 1000)
      assert.equal(text(1000), (b:receive()))
      local left, info = b:receivemsg()
      assert.same({ text(2000):sub(1001), 1000, port_of(a) }, { left, info.length, info.port })
      say(4500, 1000)
      local got = {}
      while #got < 5 do
        local datas = assert(b:receivemany(2))
        assert.is_true(#datas <= 2)
        table.move(datas, 1, #datas, #got + 1, got)
      end
      assert.is_true(table.concat(got) == text(4500))
      assert.equal(12, #tapped)
      assert.same({ 12, 11000, 0, 0, 0 }, { b:counters() })
      say(2500, 1001) -- the last of them is none too long
      local lengths = {}
      for _ = 1, 3 do
        local data, _, code, length = b:receive()
        lengths[#lengths + 1] = data and #data or code == "EMSGSIZE" and -length or code
      end
      assert.same({ -1001, -1001, 498 }, lengths)
      assert.equal(2, (select(5, b:counters())))
    end)
  end)

  it("that came together are told apart whatever else comes along", function()
    in_task(function()
      local b = udp.open("127.0.0.1", 0, { gro = true, timestamps = true, drops = true, timeout = 1, rcvbuf = 5000 })
      helper.need(b and b:getsockopt "UDP_GRO", "this kernel has no GRO for UDP")
      local held <close> = b
      local a <close> = assert(udp.connect(b:getsockname()))
      b:settimeout(0.01)
      for _ = 1, 100 do a:send(("x"):rep(1000)) end -- some of them are dropped, which is told from then on
      while b:receive() do end
      b:settimeout(1)
      for _, receive in ipairs {
        function() return b:receive() end,
        function() return b:receivemany(1)[1] end,
      } do
        assert(a:sendmsg(text(3000), { segment = 1000 }))
        local got = {}
        for i = 1, 3 do got[i] = receive() end
        assert.equal(1000, #got[1])
        assert.is_true(table.concat(got) == text(3000))
      end
    end)
  end)

  it("are as many to the counters and the tap of who sends them", function()
    with_two(function(a, b)
      local tapped = {}
      a:settap(function(_, data) tapped[#tapped + 1] = #data end)
      assert(a:sendmsg(text(2500), { ip = "127.0.0.1", port = port_of(b), segment = 1000 }))
      assert.same({ 0, 0, 3, 2500, 0 }, { a:counters() })
      assert.same({ 1000, 1000, 500 }, tapped)
    end)
  end)

  it("of more than one datagram's worth go out, too", function()
    with_two(function(a, b)
      local data = text(150000)
      local to, port = b:getsockname()
      b:setsockopt("SO_RCVBUF", 1 << 20)
      local reader = neap.spawn(check, b, data, 1000)
      assert(a:sendmsg(data, { ip = to, port = port, segment = 1000 }))
      reader:join()
    end)
  end)

  it("go by a connected socket, and with all that else can be said", function()
    with_two(function(_, b)
      local c <close> = assert(udp.connect(b:getsockname()))
      assert.equal(c, c:sendmsg(text(2500), { segment = 1000, ttl = 5, tos = 0x20 }))
      for i = 1, 3 do
        local data, info = b:receivemsg()
        assert.equal(i < 3 and 1000 or 500, #data)
        assert.same({ 5, 0x20 }, { info.ttl, info.tos })
      end
    end)
  end)

  it("are cut here where the device cannot", function()
    netns.need()
    local lab <close> = netns.pair()
    lab.a:run "ethtool -K left tx-udp-segmentation off >/dev/null 2>&1 || true"
    in_task(function()
      local b <close> = assert(lab.b:inside(udp.open, lab.b.ip, 0))
      local a <close> = assert(lab.a:inside(udp.open, lab.a.ip, 0))
      local to, port = b:getsockname()
      local data = text(30000)
      assert(a:sendmsg(data, { ip = to, port = port, segment = 1400 }))
      check(b, data, 1400)
      -- longer than the device takes: as fragments, each whole again here
      data = text(30000)
      assert(a:sendmsg(data, { ip = to, port = port, segment = 3000 }))
      check(b, data, 3000)
      assert(a:sendmsg(data, { ip = to, port = port, segment = 1400 }))
      check(b, data, 1400)
    end)
  end)

  it("must be of a size", function()
    with_two(function(a, b)
      local to, port = b:getsockname()
      for _, wrong in ipairs { -1, 1.5, "x", 65536, true } do
        assert.raises("segment", function() a:sendmsg("x", { ip = to, port = port, segment = wrong }) end)
      end
    end)
  end)
end)

describe("UDP between two machines", function()
  it("goes by the interface that was named, and says by which it came", function()
    netns.need()
    local lab <close> = netns.lab()
    local near, far = lab:space(), lab:space()
    lab:link({ near, "one", "10.78.1.1/24" }, { far, "uno", "10.78.1.2/24" })
    lab:link({ near, "two", "10.78.2.1/24" }, { far, "due", "10.78.2.2/24" })
    near:inside(in_task, function()
      local a <close> = assert(udp.open("0.0.0.0", 0, { broadcast = true }))
      local b <close> = assert(far:inside(udp.open, "0.0.0.0", 7000, { broadcast = true }))
      for _, case in ipairs { { "one", "10.78.1.1" }, { "two", "10.78.2.1" } } do
        assert(a:sendmsg("hello", { ip = "255.255.255.255", port = 7000, interface = case[1] }))
        local data, from = b:receive()
        assert.same({ "hello", case[2] }, { data, from })
        assert(a:sendmsg("hello", { ip = "255.255.255.255", port = 7000, interface = near:index(case[1]) }))
        local _, info = b:receivemsg()
        assert.equal(case[2], info.ip)
        assert.equal(far:index(case[1] == "one" and "uno" or "due"), info.ifindex)
        assert(b:sendto("back", case[2], (select(2, a:getsockname()))))
        _, info = a:receivemsg()
        assert.same({ case[1], case[2] }, { info.interface, info.local_ip })
      end
      local only <close> = assert(udp.open("0.0.0.0", 0, { interface = "two", broadcast = true }))
      assert(only:sendto("bound", "255.255.255.255", 7000))
      assert.same({ "bound", "10.78.2.1" }, { table.unpack({ b:receive() }, 1, 2) })
      local zoned <close> = assert(udp.open("::", 0))
      assert.fails("ENODEV", zoned:sendto("x", "fe80::1%nothing0", 9))
    end)
  end)

  it("takes link-local addresses with their zone", function()
    netns.need()
    local lab <close> = netns.pair()
    lab.a:inside(in_task, function()
      local b <close> = assert(lab.b:inside(udp.open, "::", 0))
      local _, port = b:getsockname()
      local address = lab.b:run("ip -6 -o addr show right scope link"):match "fe80[%x:]+"
      local a <close> = assert(udp.connect(address .. "%left", port, { timeout = 2 }))
      assert(a:send "x")
      local data, from, number = lab.b:inside(b.receive, b)
      assert.equal("x", data)
      assert.matches("^fe80:[%x:]+%%right$", from)
      assert.same({ address .. "%left", port }, { a:getpeername() })
      assert(lab.b:inside(b.sendto, b, "back", from, number))
      assert.same({ "back", address .. "%left", port }, { a:receive() })
    end)
  end)

  it("loses exactly what is dropped, and says nothing", function()
    netns.need_drop()
    local lab <close> = netns.pair()
    lab.b:drop { every = 5, match = "udp dport 7000" }
    in_task(function()
      local b <close> = assert(lab.b:inside(udp.open, lab.b.ip, 7000, { timeout = 0.05 }))
      local a <close> = assert(lab.a:inside(udp.connect, lab.b.ip, 7000))
      for i = 1, 20 do assert(a:send(tostring(i))) end
      local got = {}
      for data in function() return b:receive() end do got[#got + 1] = tonumber(data) end
      assert.same({ 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20 }, got)
      lab.b:keep()
      assert(a:send "all again")
      assert.equal("all again", (b:receive()))
      lab.a:down()
      local value, why, code = a:send "no way"
      assert.fails("ENETUNREACH", value, why, code)
      assert.matches("10%.77%.0%.2:7000", why)
    end)
  end)
end)

describe("other programs", function()
  it("socat echoes", function()
    helper.need_program("socat", "timeout")
    in_task(function()
      local port = closed_port()
      local cleanup <close> = start(("socat -b65507 UDP4-RECVFROM:%d,bind=127.0.0.1,fork PIPE"):format(port))
      local c <close> = assert(udp.connect("127.0.0.1", port, { timeout = 0.1 * helper.slow }))
      helper.eventually(function() return c:send "ready?" and c:receive() == "ready?" end)
      c:settimeout(5)
      while c:settimeout(0.02):receive() do end
      c:settimeout(5)
      for _, data in ipairs { "hello", "a\0b\r\n", ("x"):rep(9000) } do
        assert(c:send(data))
        assert.equal(data, (c:receive()))
      end
    end)
  end)

  it("ncat is answered", function()
    helper.need_program("ncat", "timeout")
    in_task(function()
      local s <close> = assert(udp.open("127.0.0.1", 0, { timeout = 5 * helper.slow }))
      local _, port = s:getsockname()
      local program = assert(io.popen(
        ("{ printf 'from ncat'; sleep 0.2; } | timeout 20 ncat -u 127.0.0.1 %d 2>/dev/null"):format(port)))
      local data, ip, number = s:receive()
      assert.equal("from ncat", data)
      assert(s:sendto("from neap", ip, number))
      assert.equal("from neap", program:read "a")
      program:close()
    end)
  end)
end)

describe("shutting down UDP", function()
  it("for reading ends who receives, without taking processor time", function()
    in_task(function()
      local a <close> = assert(udp.open("127.0.0.1", 0))
      local b <close> = assert(udp.connect("127.0.0.1", (select(2, a:getsockname())), { timeout = 1 }))
      local reader = neap.spawn(function() return b:receive() end)
      waiting(reader)
      assert.equal(b, b:shutdown "r")
      assert.fails("EOF", reader:join())
      assert.fails("EOF", b:receive())
      assert.fails("EOF", b:receivemany())
      assert(b:send "still goes out")
      assert.equal("still goes out", (a:receive()))
    end)
  end)
end)
