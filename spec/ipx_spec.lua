--- IPX: sockets and their numbers, carriers, and IPX in UDP.
-- (message_ipx_spec.lua has what every message socket promises.)
local helper <const> = require "support.helper"
local lab <const> = require "support.ipx_lab"
local ipx <const> = require "neap.ipx"
local neap <const> = require "neap"
local udp <const> = require "neap.udp"
local wire <const> = require "neap.wire"

local eventually <const> = helper.eventually

local function works(name, body)
  it(name, function() helper.in_task(body) end)
end

-- A misuse: the text, and this file is blamed.
local function misuse(text, fn, ...)
  local given <const> = table.pack(...)
  local ok <const>, err <const> = pcall(function()
    local result = fn(table.unpack(given, 1, given.n))
    return result -- no tail call: that has no line
  end)
  assert.is_false(ok, text)
  assert.matches("^spec/ipx_spec%.lua:%d+: ", tostring(err))
  assert.is_truthy(tostring(err):find(text, 1, true), tostring(err))
end

-- Two carriers that are closed in the end.
local function with_udp(options, body)
  local ca <close>, cb = lab.udp_pair(options)
  local held <close> = cb
  return body(ca, cb)
end

local function count(carrier, name) return carrier:statistics()[name] end


-- ---- sockets ----

describe("the number of an IPX socket", function()
  works("is any that is free, among those for everybody", function()
    with_udp(nil, function(carrier)
      local seen <const> = {}
      for _ = 1, 200 do
        local sock = assert(ipx.open { carrier = carrier })
        local _, _, number = sock:getsockname()
        assert.is_true(number >= 0x4000 and number <= 0x7fff)
        assert.is_nil(seen[number])
        seen[number] = sock
      end
      assert.equal(200, count(carrier, "sockets"))
    end)
  end)

  works("is the one that was asked for, unless it is taken", function()
    with_udp(nil, function(carrier)
      for _, number in ipairs { 1, 0x452, 0x5000, 0xffff } do
        local sock = assert(ipx.open { carrier = carrier, socket = number })
        assert.equal(number, (select(3, sock:getsockname())))
        local value, why, code = ipx.open { carrier = carrier, socket = number }
        assert.fails("EADDRINUSE", value, why, code)
        assert.matches(("socket %04x"):format(number), why)
        sock:close()
        assert(ipx.open { carrier = carrier, socket = number }):close()
      end
    end)
  end)

  works("is free again when its socket is forgotten", function()
    with_udp(nil, function(carrier)
      local function forget() assert(ipx.open { carrier = carrier, socket = 0x5000 }) end
      forget()
      collectgarbage()
      collectgarbage()
      assert(ipx.open { carrier = carrier, socket = 0x5000 }):close()
    end)
  end)

  if helper.slow == 1 then works("is not to be had when all are taken", function()
    with_udp(nil, function(carrier)
      local held <const> = {}
      for i = 1, 0x4000 do held[i] = assert(ipx.open { carrier = carrier }) end
      assert.fails("EADDRINUSE", ipx.open { carrier = carrier })
      held[77]:close()
      local again = assert(ipx.open { carrier = carrier })
      assert.equal(0x4000, count(carrier, "sockets"))
      again:close()
    end)
  end) end
end)

describe("IPX sockets", function()
  works("share a carrier, each with what is for its number", function()
    with_udp(nil, function(left, right)
      local a <close> = assert(ipx.open { carrier = left })
      local list <const> = {}
      for i = 1, 10 do list[i] = assert(ipx.open { carrier = right, timeout = 2 }) end
      for i, sock in ipairs(list) do assert(a:sendto("for " .. i, sock:getsockname())) end
      local readers <const> = {}
      for i, sock in ipairs(list) do readers[i] = neap.spawn(sock.receive, sock) end
      for i, reader in ipairs(readers) do assert.equal("for " .. i, (reader:join())) end
      assert.equal(0, count(right, "unclaimed"))
    end)
  end)

  works("talk on one carrier, and to themselves, and nothing leaves it", function()
    with_udp(nil, function(carrier)
      local a <close> = assert(ipx.open { carrier = carrier, timeout = 1, broadcast = true })
      local b <close> = assert(ipx.open { carrier = carrier, timeout = 1 })
      assert(a:sendto("to b", b:getsockname()))
      assert.same({ "to b", a:getsockname() }, { b:receive() })
      assert(a:sendto("to a", a:getsockname()))
      assert.same({ "to a", a:getsockname() }, { a:receive() })
      assert.equal(0, count(carrier, "sent"))
    end)
  end)

  works("tell the type, the hops, and whom a message was for", function()
    with_udp(nil, function(left, right)
      local a <close> = assert(ipx.open { carrier = left, type = 17, broadcast = true })
      local b <close> = assert(ipx.open { carrier = right, timeout = 1 })
      local network, node, number = b:getsockname()
      local _, from_node, from_number = a:getsockname()
      assert(a:sendmsg("one", { network = network, node = node, socket = number }))
      assert(a:sendmsg("two", { network = 0, node = ipx.BROADCAST, socket = number, type = 0 }))
      local data, info = b:receivemsg()
      assert.equal("one", data)
      assert.same({ network = 0, node = from_node, socket = from_number, type = 17, hops = 0, length = 3,
        local_network = 0, local_node = node, local_socket = number }, info)
      data, info = b:receivemsg()
      assert.same({ "two", 0, ipx.BROADCAST }, { data, info.type, info.local_node })
    end)
  end)

  works("send no broadcast before they are allowed to", function()
    with_udp(nil, function(left, right)
      local a <close> = assert(ipx.open { carrier = left })
      local b <close> = assert(ipx.open { carrier = right, socket = 0x5000, timeout = 1 })
      local value, why, code = a:sendto("x", 0, ipx.BROADCAST, 0x5000)
      assert.fails("EACCES", value, why, code)
      assert.equal("sendto 00000000:ff:ff:ff:ff:ff:ff:5000: Permission denied", why)
      assert.is_false(a:getsockopt "SO_BROADCAST")
      assert.equal(a, a:setsockopt("SO_BROADCAST", true))
      assert.is_true(a:getsockopt "SO_BROADCAST")
      assert(a:sendto("x", 0, "FF:FF:FF:FF:FF:FF", 0x5000))
      assert.equal("x", (b:receive()))
      misuse("bad argument #2", a.setsockopt, a, "SO_BROADCAST", "yes")
    end)
  end)

  works("hear the broadcasts of others on their carrier, but not their own", function()
    with_udp(nil, function(left, right)
      local a <close> = assert(ipx.open { carrier = left, socket = 0x5000, broadcast = true, timeout = 1 })
      local b <close> = assert(ipx.open { carrier = left, socket = 0x5001, broadcast = true, timeout = 1 })
      local c <close> = assert(ipx.open { carrier = right, socket = 0x5000, timeout = 1 })
      assert(a:sendto("from a", 0, ipx.BROADCAST, 0x5000))
      assert(b:sendto("from b", 0, ipx.BROADCAST, 0x5000))
      assert.equal("from b", (a:receive()))
      assert.equal("from a", (c:receive()))
      assert.equal("from b", (c:receive()))
      assert.is_nil((a:take()))
    end)
  end)

  works("that are connected hear nobody else, until they are free again", function()
    with_udp(nil, function(left, right)
      local a <close> = assert(ipx.open { carrier = left })
      local b <close> = assert(ipx.open { carrier = left })
      local c <close> = assert(ipx.open { carrier = right, timeout = 1 })
      assert.fails("EDESTADDRREQ", c:send "x")
      assert.equal(c, c:connect(a:getsockname()))
      assert.same({ a:getsockname() }, { c:getpeername() })
      assert(b:sendto("not heard", c:getsockname()))
      assert(a:sendto("heard", c:getsockname()))
      assert.equal("heard", (c:receive()))
      assert(c:send "back")
      assert.equal("back", (a:settimeout(1):receive()))
      assert.equal(c, c:connect())
      assert.fails("ENOTCONN", c:getpeername())
      assert(b:sendto("heard now", c:getsockname()))
      assert.equal("heard now", (c:receive()))
    end)
  end)

  works("that are connected to a node of this network do not take another network's for it", function()
    with_udp({ network = 7 }, function(left, right)
      local a <close> = assert(ipx.open { carrier = left, socket = 0x5000 })
      local b <close> = assert(ipx.open { carrier = right, socket = 0x5000, timeout = 1 })
      local _, node = a:getsockname()
      local raw <close> = assert(udp.open("127.0.0.1", 0))
      local _, port = right:getsockname()
      for _, network in ipairs { 0, 7 } do
        assert(b:connect(network, node, 0x5000))
        assert(raw:sendto(wire.encode { { layer = "ipx", dst_network = 7, dst_node = select(2, b:getsockname()),
          dst_socket = 0x5000, src_network = 9, src_node = node, src_socket = 0x5000 }, "false" }, "127.0.0.2", port))
        assert(a:sendto("true", b:getsockname()))
        assert.equal("true", (b:receive()))
      end
    end)
  end)

  works("hear nothing that came before they were there", function()
    with_udp(nil, function(left, right)
      local a <close> = assert(ipx.open { carrier = left })
      local network, node = right:getaddress()
      for i = 1, 100 do assert(a:sendto("early " .. i, network, node, 0x5000)) end
      local b <close> = assert(ipx.open { carrier = right, socket = 0x5000, timeout = 1 })
      assert(a:sendto("in time", network, node, 0x5000))
      assert.equal("in time", (b:receive()))
      assert.equal(100, count(right, "unclaimed"))
    end)
  end)

  works("refuse what is longer than a packet, and say how long it may be", function()
    with_udp(nil, function(left, right)
      local a <close> = assert(ipx.open { carrier = left })
      local b <close> = assert(ipx.open { carrier = right, timeout = 1 })
      assert.same({ 546, 576 }, { a:mtu(), left:mtu() })
      local network, node, number = b:getsockname()
      for _, n in ipairs { 0, 1, 2, 545, 546 } do
        assert(a:sendto(("x"):rep(n), network, node, number))
        assert.equal(n, #b:receive())
      end
      local value, why, code = a:sendto(("x"):rep(547), network, node, number)
      assert.fails("EMSGSIZE", value, why, code)
      assert.matches("547 bytes, room for 546$", why)
    end)
  end)

  works("take and put without waiting", function()
    with_udp(nil, function(left, right)
      local a <close> = assert(ipx.open { carrier = left })
      local b <close> = assert(ipx.open { carrier = right })
      local network, node, number = b:getsockname()
      assert.equal(0, select("#", b:take()))
      assert.is_true(a:put("one", { network = network, node = node, socket = number, type = 5 }))
      local data, info
      eventually(function()
        data, info = b:take()
        return data
      end)
      assert.same({ "one", 5 }, { data, info.type })
      assert.same({ 1, 3, 0, 0, 0 }, { b:counters() })
      assert.fails("EMSGSIZE", a:put(("x"):rep(547), { network = network, node = node, socket = number }))
      b:close()
      assert.fails("ECLOSED", b:take())
      assert.fails("ECLOSED", b:put("x", {}))
    end)
  end)

  works("drop what nobody takes, and tell how much", function()
    with_udp(nil, function(left)
      local a <close> = assert(ipx.open { carrier = left })
      local b <close> = assert(ipx.open { carrier = left, maxqueue = 2000 })
      for i = 1, 10 do assert(a:sendto("message " .. i, b:getsockname())) end
      assert.same({ drops = 3, queued = 7 }, b:statistics())
      for i = 1, 7 do assert.equal("message " .. i, (b:receive())) end
      assert(a:sendto("again", b:getsockname()))
      assert.equal("again", (b:receive()))
    end)
  end)

  works("can be shut for one direction", function()
    with_udp(nil, function(left)
      local a <close> = assert(ipx.open { carrier = left })
      local b <close> = assert(ipx.open { carrier = left, timeout = 1 })
      assert.equal(a, a:shutdown "w")
      assert.fails("EPIPE", a:sendto("x", b:getsockname()))
      assert(b:sendto("x", a:getsockname()))
      assert.equal("x", (a:receive()))
      assert.equal(b, b:shutdown "r")
      assert.fails("EOF", b:receive())
      misuse("bad argument #1", a.shutdown, a, "x")
    end)
  end)

  works("raise on what is no address, and blame who called", function()
    with_udp(nil, function(left)
      local a <close> = assert(ipx.open { carrier = left })
      for _, wrong in ipairs { -1, 1 << 32, 1.5, "1", false } do
        misuse("bad argument #2", a.sendto, a, "x", wrong, ipx.BROADCAST, 1)
      end
      for _, wrong in ipairs { "", "00:11:22:33:44", "00:11:22:33:44:5g", "00:11:22:33:44:55:66", ("x"):rep(6), 5 } do
        misuse("bad argument #3", a.sendto, a, "x", 0, wrong, 1)
        misuse("'node'", a.sendmsg, a, "x", { network = 0, node = wrong, socket = 1 })
        misuse("bad argument #2", a.connect, a, 0, wrong, 1)
      end
      for _, wrong in ipairs { 0, -1, 65536, "1" } do
        misuse("bad argument #4", a.sendto, a, "x", 0, ipx.BROADCAST, wrong)
        misuse("'socket'", a.sendmsg, a, "x", { network = 0, node = ipx.BROADCAST, socket = wrong })
        misuse("bad argument #4", a.sendmany, a, { "x" }, 0, ipx.BROADCAST, { wrong })
      end
      misuse("'type'", a.sendmsg, a, "x", { type = 256 })
      misuse("no field 'hops'", a.sendmsg, a, "x", { hops = 1 })
    end)
  end)

  works("fail for what is not of IPX", function()
    with_udp(nil, function(left)
      local a <close> = assert(ipx.open { carrier = left })
      for _, name in ipairs { "bind", "detach", "join", "leave", "block", "unblock", "attachfilter", "detachfilter",
        "geterror" } do
        assert.fails("EOPNOTSUPP", a[name](a))
      end
      assert.same({ "ipx", "ipx", left }, { a:kind(), a:family(), a:getcarrier() })
    end)
  end)
end)

describe("ipx.open", function()
  works("raises on wrong options", function()
    with_udp(nil, function(carrier)
      for _, case in ipairs {
        { { carrier = carrier, sokket = 1 }, "unknown option 'sokket'" },
        { {}, "option 'carrier' is missing" },
        { { carrier = 5 }, "option 'carrier' must be" },
        { { carrier = "token-ring:0" }, "option 'carrier' must be" },
        { { carrier = "eth0" }, "option 'carrier' must be" },
        { { carrier = "udp:localhost" }, "option 'carrier': option 'bind' must be an IPv4 address" },
        { { carrier = "udp:127.0.0.1:70000" }, "option 'carrier': option 'port' must be from 0 to 65535" },
        { { carrier = "udp:127.0.0.1:x" }, "option 'carrier': HOST or HOST:PORT expected, got '127.0.0.1:x'" },
        { { carrier = "ipxnet:127.0.0.1:70000" }, "option 'carrier': port must be in [1, 65535]" },
        { { carrier = "ipxnet:127.0.0.1:0" }, "option 'carrier': port must be in [1, 65535]" },
        { { carrier = "server:*:70000" }, "option 'carrier': port must be in [0, 65535]" },
        { { carrier = "server:*:" }, "option 'carrier': HOST or HOST:PORT expected, got '*:'" },
        { { carrier = carrier, socket = 65536 }, "option 'socket'" },
        { { carrier = carrier, network = 1 << 32 }, "option 'network'" },
        { { carrier = carrier, node = "here" }, "option 'node'" },
        { { carrier = carrier, type = 256 }, "option 'type'" },
        { { carrier = carrier, mtu = 1000 }, "option 'mtu' is the carrier's" },
        { { carrier = "udp:127.0.0.1:0", mtu = 5 }, "option 'mtu' must be" },
      } do
        misuse(case[2], ipx.open, case[1])
      end
      misuse("bad argument #1", ipx.open)
      misuse("bad argument #1", ipx.open, "udp:127.0.0.1")
    end)
  end)

  works("takes the address of this machine only", function()
    with_udp({ network = 0xcafe }, function(carrier)
      local network, node = carrier:getaddress()
      assert.same({ 0xcafe, "00:00:7f:00:00:01" }, { network, node })
      assert(ipx.open { carrier = carrier, network = network, node = node }):close()
      assert(ipx.open { carrier = carrier, network = 0 }):close()
      for what, options in pairs {
        ["network 00000001"] = { carrier = carrier, network = 1 },
        ["node 00:00:7f:00:00:02"] = { carrier = carrier, node = "00:00:7f:00:00:02" },
      } do
        local value, why, code = ipx.open(options)
        assert.fails("EADDRNOTAVAIL", value, why, code)
        assert.matches("^ipx%.open: " .. what .. ": ", why)
      end
    end)
  end)

  works("makes a carrier of text, which ends with the socket", function()
    local a = assert(ipx.open { carrier = "udp:127.0.0.1:0", network = 7, mtu = 1000 })
    local carrier <const> = a:getcarrier()
    assert.same({ 7, "00:00:7f:00:00:01" }, { carrier:getaddress() })
    assert.equal(970, a:mtu())
    local ip, port = carrier:getsockname()
    assert.fails("EADDRINUSE", ipx.open { carrier = ("udp:%s:%d"):format(ip, port) })
    a:close()
    assert.is_false(carrier:isopen())
    assert(ipx.open { carrier = ("udp:%s:%d"):format(ip, port) }):close()
    assert.fails("EADDRNOTAVAIL", ipx.open { carrier = "udp:127.0.0.1:0", node = "00:00:7f:00:00:09" })
  end)

  works("has no checksums where the first two bytes must be FFFF", function()
    with_udp(nil, function(carrier)
      assert.fails("EOPNOTSUPP", ipx.open { carrier = carrier, checksum = true })
    end)
  end)
end)

describe("ipx.node", function()
  it("makes nodes of addresses", function()
    assert.equal("00:00:0a:00:00:ff", ipx.node "10.0.0.255")
    assert.equal("7f:00:00:01:d0:01", ipx.node("127.0.0.1", 0xd001))
    for _, wrong in ipairs { "", "10.0.0", "10.0.0.256", "10.0.0.01", "::1", 5 } do
      misuse("bad argument #1", ipx.node, wrong)
    end
    for _, wrong in ipairs { -1, 65536, "http" } do misuse("bad argument #2", ipx.node, "10.0.0.1", wrong) end
  end)
end)

-- ---- carriers ----

describe("a carrier of IPX", function()
  works("closes its sockets with it, and wakes who waits", function()
    with_udp(nil, function(carrier)
      local a, b = assert(ipx.open { carrier = carrier }), assert(ipx.open { carrier = carrier })
      local reader <const> = neap.spawn(a.receive, a)
      eventually(function() return reader:status() == "waiting" end)
      assert.is_true(carrier:close())
      assert.is_true(carrier:close())
      assert.fails("ECLOSED", reader:join())
      assert.is_false(b:isopen())
      assert.fails("ECLOSED", ipx.open { carrier = carrier })
      assert.fails("ECLOSED", carrier:getaddress())
      assert.fails("ECLOSED", carrier:getsockname())
      assert.equal("neap.ipx.carrier (closed)", tostring(carrier))
      assert.is_false(carrier:isopen())
    end)
  end)

  works("lives as long as one of its sockets", function()
    local port
    local function make()
      local carrier <const> = assert(ipx.udp { bind = "127.0.0.1", port = 0 })
      port = select(2, carrier:getsockname())
      return assert(ipx.open { carrier = carrier, timeout = 0.01 })
    end
    local sock = make()
    collectgarbage()
    collectgarbage()
    assert.fails("ETIMEDOUT", sock:receive())
    assert.is_true(sock:isopen())
    sock = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert(udp.open("127.0.0.1", port)):close()
  end)

  works("tells what it is", function()
    with_udp(nil, function(carrier)
      assert.equal("udp", carrier:kind())
      assert.equal("neap.ipx.carrier (udp, 00:00:7f:00:00:01)", tostring(carrier))
      assert.equal("127.0.0.1", (carrier:getsockname()))
      assert.equal(carrier, carrier:setsockopt("SO_PRIORITY", 2))
      assert.equal(2, carrier:getsockopt "SO_PRIORITY")
      misuse("bad argument #1", carrier.setsockopt, carrier, "SO_PRIORITEE", 2)
      assert.raises("bad self", carrier.close, 5)
      assert.raises("bad self", carrier.statistics)
      assert.same({ received = 0, sent = 0, short = 0, malformed = 0, checksum = 0, foreign = 0, elsewhere = 0,
        unclaimed = 0, spoofed = 0, own = 0, sockets = 0 }, carrier:statistics())
    end)
  end)

  works("that ends by itself, in its task, ends all", function()
    with_udp(nil, function(carrier)
      local a <close> = assert(ipx.open { carrier = carrier })
      local reader <const> = neap.spawn(a.receive, a)
      eventually(function() return reader:status() == "waiting" end)
      for _, t in ipairs(neap.tasks()) do
        if t.name == "ipx" or tostring(t.task):find "%(ipx%)" then t.task:cancel(0) end
      end
      assert.fails("ECLOSED", reader:join())
      assert.is_false(carrier:isopen())
    end)
  end)
end)

describe("ipx.udp", function()
  works("raises on wrong options", function()
    for _, case in ipairs {
      { {}, "option 'bind' is missing" }, { { bind = "localhost" }, "option 'bind'" },
      { { bind = "0.0.0.0" }, "option 'bind'" }, { { bind = "::1" }, "option 'bind'" },
      { { bind = "127.0.0.1", port = 65536 }, "option 'port'" },
      { { bind = "127.0.0.1", mtu = 30 }, "option 'mtu'" }, { { bind = "127.0.0.1", mtu = 65508 }, "option 'mtu'" },
      { { bind = "127.0.0.1", network = 1 << 32 }, "option 'network'" },
      { { bind = "127.0.0.1", peers = { "x" } }, "option 'peers'" },
      { { bind = "127.0.0.1", peers = { 5 } }, "option 'peers'" },
      { { bind = "127.0.0.1", peers = { ip = "127.0.0.2" } }, "option 'peers'" },
      { { bind = "127.0.0.01" }, "option 'bind'" },
      { { bind = "127.0.0.1", peers = {}, broadcast = "127.255.255.255" }, "exclude each other" },
      { { bind = "127.0.0.1", router = "x" }, "option 'router'" },
      { { bind = "127.0.0.1", router = "127.0.0.2" }, "option 'router' needs 'network'" },
      { { bind = "127.0.0.1", router = "127.0.0.2", network = 0 }, "option 'router' needs 'network'" },
      { { bind = "127.0.0.1", routes = 1 }, "unknown option 'routes'" },
    } do
      misuse(case[2], ipx.udp, case[1])
    end
  end)

  works("fails where the address is another's, or the port taken", function()
    local value, why, code = ipx.udp { bind = "192.0.2.1", port = 0 }
    assert.fails("EADDRNOTAVAIL", value, why, code)
    assert.matches("^ipx%.udp 192%.0%.2%.1", why)
    with_udp(nil, function(carrier)
      local _, port = carrier:getsockname()
      assert.fails("EADDRINUSE", ipx.udp { bind = "127.0.0.1", port = port })
    end)
  end)

  works("broadcasts to the subnet, where everybody hears it", function()
    local function open(ip, port) return ipx.udp { bind = ip, port = port, broadcast = "127.255.255.255" } end
    local left, right
    for _ = 1, 100 do -- until the port is free for both
      left = assert(open("127.0.0.1", 0))
      right = open("127.0.0.2", select(2, left:getsockname()))
      if right then break end
      left:close()
    end
    local held <close> = left
    local other <close> = right
    local a <close> = assert(ipx.open { carrier = left, socket = 0x5000, broadcast = true, timeout = 2 })
    local b <close> = assert(ipx.open { carrier = right, socket = 0x5000, broadcast = true, timeout = 2 })
    local reader <const> = neap.spawn(b.receive, b)
    eventually(function() return reader:status() == "waiting" end)
    assert(a:sendto("hear me", 0, ipx.BROADCAST, 0x5000))
    assert.equal("hear me", (reader:join()))
    assert(b:sendto("heard", 0, ipx.BROADCAST, 0x5000))
    assert.equal("heard", (a:receive()))
    assert.is_nil((b:take()))
    eventually(function()
      b:take()
      return count(right, "own") == 1 and count(left, "own") == 1 -- what the system brought back
    end)
  end)

  works("has nobody to broadcast to where nobody was named", function()
    local carrier <close> = assert(ipx.udp { bind = "127.0.0.1", port = 0 })
    local a <close> = assert(ipx.open { carrier = carrier, broadcast = true })
    assert.fails("ENETUNREACH", a:sendto("x", 0, ipx.BROADCAST, 1))
  end)

  works("sends to nodes that are addresses only, and over a router to other networks", function()
    with_udp({ network = 1, router = "127.0.0.2" }, function(left, right)
      local a <close> = assert(ipx.open { carrier = left, timeout = 1 })
      local b <close> = assert(ipx.open { carrier = right, timeout = 1 })
      local _, node, number = b:getsockname()
      assert.fails("EHOSTUNREACH", a:sendto("x", 1, "02:00:00:00:00:01", 1))
      assert(a:sendto("to this network", 1, node, number))
      assert(a:sendto("to whichever network it is", 0, node, number))
      assert(a:sendto("to be forwarded", 2, "02:00:00:00:00:01", 1))
      assert.equal("to this network", (b:receive()))
      assert.equal("to whichever network it is", (b:receive()))
      eventually(function()
        b:take()
        return count(right, "elsewhere") == 1
      end)
    end)
    with_udp({ network = 1 }, function(left)
      local a <close> = assert(ipx.open { carrier = left })
      assert.fails("ENETUNREACH", a:sendto("x", 2, "00:00:7f:00:00:02", 1))
    end)
  end)
end)

-- ---- what is no packet ----

-- A packet to the right one of a pair, by hand.
local function by_hand(sock, fields, data)
  local network, node, number = sock:getsockname()
  local layer <const> = {
    layer = "ipx", packet_type = 4, dst_network = network, dst_node = node, dst_socket = number,
    src_node = "00:00:7f:00:00:01", src_socket = 9,
  }
  for name, value in pairs(fields or {}) do layer[name] = value end
  return wire.encode { layer, data or "" }
end

describe("what comes over UDP", function()
  -- body(send, right, sock): send(bytes) to the right carrier, from where the
  -- left one would be.
  local function receiving(options, body)
    if not body then options, body = nil, options end
    return function()
      with_udp(options, function(left, right)
        local port <const> = select(2, right:getsockname())
        left:close()
        local raw <close> = assert(udp.open("127.0.0.1", port))
        local sock <close> = assert(ipx.open { carrier = right, socket = 0x5000, timeout = 2 })
        return body(function(bytes) assert(raw:sendto(bytes, "127.0.0.2", port)) end, right, sock)
      end)
    end
  end

  for _, case in ipairs {
    { "foreign", "of no byte", "" },
    { "short", "of 29 bytes", ("\xff"):rep(29) },
    { "short", "that says it is longer than it is", { length = 33 }, "xy" },
    { "malformed", "that says it is shorter than its header", { length = 29 }, "xy" },
    { "foreign", "with a checksum", { checksum = 0x1234 } },
    { "foreign", "that is something else", ("x"):rep(40) },
    { "spoofed", "from another node than its own", { src_node = "00:00:7f:00:00:03" } },
    { "spoofed", "from a node that is no address", { src_node = "02:00:7f:00:00:01" } },
    { "spoofed", "from another's node, and a network that nobody knows of",
      { src_network = 9, src_node = "00:00:7f:00:00:03" } },
    { "elsewhere", "for another node", { dst_node = "00:00:7f:00:00:03" } },
    { "unclaimed", "for a socket that is not there", { dst_socket = 0x5001 } },
  } do
    works(("%s is dropped, and counted as %s"):format(case[2], case[1]), receiving(function(send, right, sock)
      for _ = 1, 3 do send(type(case[3]) == "string" and case[3] or by_hand(sock, case[3], case[4])) end
      send(by_hand(sock, nil, "intact"))
      assert.equal("intact", (sock:receive()))
      assert.is_nil((sock:take()))
      assert.equal(3, count(right, case[1]))
      assert.equal(4, count(right, "received"))
    end))
  end

  works("may be of an odd length, padded or not, and has the length that IPX says", receiving(function(send, _, sock)
    for n = 0, 9 do
      for _, padding in ipairs { "", "\0", ("z"):rep(30) } do
        send(by_hand(sock, { length = 30 + n }, ("d"):rep(n) .. padding))
        assert.equal(("d"):rep(n), (sock:receive()))
      end
    end
  end))

  local known <const> = { network = 7 }
  works("from another network may be from any node, but everybody's", receiving(known, function(send, right, sock)
    local from <const> = { src_network = 5, src_node = ipx.BROADCAST, transport_control = 3 }
    send(by_hand(sock, from, "from all"))
    from.src_node = "02:00:00:00:00:09"
    send(by_hand(sock, from, "from afar"))
    local data, info = sock:receivemsg()
    assert.same({ "from afar", 5, "02:00:00:00:00:09", 3 }, { data, info.network, info.node, info.hops })
    assert.equal(1, count(right, "spoofed"))
  end))

  works("of this network may tell its number, where that is not known", receiving(function(send, _, sock)
    send(by_hand(sock, { src_network = 5 }, "from five"))
    local data, network = sock:receive()
    assert.same({ "from five", 5 }, { data, network })
  end))

  works("for another network is another's", function()
    with_udp({ network = 7 }, function(left, right)
      local sock <close> = assert(ipx.open { carrier = right, socket = 0x5000, timeout = 2 })
      local port <const> = select(2, right:getsockname())
      left:close()
      local raw <close> = assert(udp.open("127.0.0.1", port))
      for _, network in ipairs { 8, 0, 7 } do
        local bytes = by_hand(sock, { dst_network = network, src_network = 7 }, "to " .. network)
        assert(raw:sendto(bytes, "127.0.0.2", port))
      end
      assert.equal("to 0", (sock:receive()))
      assert.equal("to 7", (sock:receive()))
      assert.equal(1, count(right, "elsewhere"))
    end)
  end)

  works("by the thousand, and damaged, does no harm", receiving(function(send, right, sock)
    local good <const> = by_hand(sock, nil, "data")
    local sent, TOTAL <const> = 0, 4000 // helper.slow
    while sent < TOTAL do
      for _ = 1, 100 do
        local bytes
        if sent % 2 == 0 then
          local at <const> = math.random(#good)
          bytes = good:sub(1, at - 1) .. string.char(math.random(0, 255)) .. good:sub(at + 1)
        else
          bytes = "\xff\xff" .. ("\0"):rep(math.random(0, 60)):gsub(".", function()
            return string.char(math.random(0, 255))
          end)
        end
        send(bytes)
        sent = sent + 1
      end
      while sock:take() do end -- luacheck: ignore 542
      eventually(function()
        sock:take()
        return count(right, "received") == sent
      end)
    end
    while sock:take() do end -- luacheck: ignore 542
    send(by_hand(sock, nil, "intact"))
    assert.equal("intact", (sock:receive()))
  end))
end)
