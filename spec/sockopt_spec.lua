local neap = require "neap"
local socket = require "neap.socket"

local function fails(code, ok, why, got)
  assert.is_nil(ok)
  assert.equal("string", type(why))
  assert.equal(code, got)
end

-- Closes both at the end of a scope; only one <close> is allowed in a list.
local function closing(a, b)
  return setmetatable({}, { __close = function() a:close() b:close() end })
end

describe("socket options", function()
  local tcp

  before_each(function()
    tcp = assert(socket.socket("inet", socket.SOCK_STREAM))
  end)
  after_each(function() tcp:close() end)

  it("are at least sixty rows, each complete and of a known type", function()
    local rows = socket.options()
    assert.is_true(#rows >= 60)
    local types = { boolean = true, integer = true, seconds = true, linger = true, string = true,
      bytes = true, address = true, cred = true, tcpinfo = true }
    for _, row in ipairs(rows) do
      assert.is_true(types[row.type], row.name)
      assert.is_true(row.readable or row.writable, row.name)
      assert.equal("integer", math.type(row.level))
      if row.number then assert.equal(row.number, socket[row.name]) end
    end
  end)

  it("are all in the manual, with the right type of access", function()
    local file <close> = assert(io.open "docs/sockopt.md")
    local page = file:read "a"
    for _, row in ipairs(socket.options()) do
      local line = assert(page:match("\n(| `" .. row.name .. "` |[^\n]*)"), row.name)
      assert.equal(row.readable, line:find("| get", 1, true) ~= nil, row.name)
      assert.equal(row.writable, line:find("set |", 1, true) ~= nil, row.name)
    end
  end)

  it("set and get a boolean, an integer, seconds, linger, a string", function()
    for _, case in ipairs {
      { "TCP_NODELAY", true }, { "TCP_NODELAY", false }, { "SO_KEEPALIVE", true },
      { "TCP_KEEPIDLE", 42 }, { "TCP_USER_TIMEOUT", 1500 }, { "IP_TTL", 9 }, { "IP_TOS", 0x10 },
      { "SO_RCVTIMEO", 1.5 }, { "SO_RCVTIMEO", 0 }, { "SO_LINGER", 3 }, { "SO_LINGER", 0 },
      { "SO_LINGER", false }, { "TCP_NOTSENT_LOWAT", 4294967295 }, { "SO_BINDTODEVICE", "" },
    } do
      local name, value = case[1], case[2]
      assert.equal(tcp, tcp:setsockopt(name, value), name)
      assert.equal(value, tcp:getsockopt(name), name)
    end
    local name = tcp:getsockopt "TCP_CONGESTION"
    assert.is_true(#name > 0)
    assert(tcp:setsockopt("TCP_CONGESTION", name))
  end)

  it("keep integers integers, and give seconds as numbers", function()
    assert.equal("integer", math.type(tcp:getsockopt "SO_RCVBUF"))
    assert.equal("float", math.type(tcp:getsockopt "SO_SNDTIMEO"))
    assert.equal(socket.SOCK_STREAM, tcp:getsockopt "SO_TYPE")
    assert.equal(socket.AF_INET, tcp:getsockopt "SO_DOMAIN")
    assert.equal(0, tcp:getsockopt "SO_ERROR")
  end)

  for _, case in ipairs {
    { "an unknown name", "TCP_NODEALY", true, "#1.*unknown socket option 'TCP_NODEALY'" },
    { "a name that is no string", {}, true, "#1.*name of a socket option" },
    { "a number for a boolean", "TCP_NODELAY", 1, "#2.*boolean" },
    { "nil for a boolean", "TCP_NODELAY", nil, "#2.*boolean" },
    { "a boolean for an integer", "TCP_KEEPIDLE", true, "#2.*integer" },
    { "a string for an integer", "TCP_KEEPIDLE", "5", "#2.*integer" },
    { "a fraction for an integer", "TCP_KEEPIDLE", 1.5, "#2.*integer" },
    { "too small an integer", "TCP_KEEPCNT", 0, "#2.*TCP_KEEPCNT must be in %[1, 127%]" },
    { "too great an integer", "TCP_KEEPCNT", 128, "#2.*TCP_KEEPCNT must be in %[1, 127%]" },
    { "an integer over 32 bits", "SO_RCVBUF", 1 << 40, "#2.*SO_RCVBUF must be" },
    { "negative seconds", "SO_RCVTIMEO", -1, "#2.*SO_RCVTIMEO must be" },
    { "seconds that are NaN", "SO_RCVTIMEO", 0 / 0, "#2.*SO_RCVTIMEO must be" },
    { "true for linger", "SO_LINGER", true, "#2.*whole seconds or false" },
    { "too long a string", "TCP_CONGESTION", ("x"):rep(16), "#2.*length of TCP_CONGESTION" },
    { "setting what is read only", "SO_ERROR", 1, "#1.*SO_ERROR can only be read" },
  } do
    it("raise for " .. case[1], function()
      local ok, why = pcall(function() tcp:setsockopt(case[2], case[3]) end)
      assert.is_false(ok)
      assert.matches(case[4], why)
    end)
  end

  it("raise for getting what can only be set, or is unknown", function()
    assert.has_error(function() tcp:getsockopt "SO_RCVBUFFORCE" end)
    assert.has_error(function() tcp:getsockopt "SO_NO_SUCH_THING" end)
  end)

  it("fail with the system's code where they do not apply", function()
    local pair = assert(socket.socketpair("unix", socket.SOCK_STREAM))
    fails("EOPNOTSUPP", pair:setsockopt("TCP_NODELAY", true))
    fails("ENOPROTOOPT", tcp:setsockopt("IPV6_V6ONLY", true))
    pair:close()
  end)

  it("fail with ENOPROTOOPT where this kernel or its headers lack them", function()
    for _, row in ipairs(socket.options()) do
      if not row.number and row.readable then
        fails("ENOPROTOOPT", tcp:getsockopt(row.name))
      end
    end
    fails("ENOPROTOOPT", tcp:getsockopt(socket.SOL_SOCKET, 9999, 4))
  end)

  it("can be read wherever they apply, and never raise for it", function()
    local kinds = {
      { "inet", socket.SOCK_STREAM }, { "inet6", socket.SOCK_STREAM }, { "inet", socket.SOCK_DGRAM },
      { "inet6", socket.SOCK_DGRAM }, { "unix", socket.SOCK_STREAM }, { "unix", socket.SOCK_DGRAM },
    }
    local readable = {}
    for _, kind in ipairs(kinds) do
      local s <close> = socket.socket(kind[1], kind[2])
      for _, row in ipairs(s and socket.options() or {}) do
        if row.readable then
          local value, why, code = s:getsockopt(row.name)
          if value ~= nil then readable[row.name] = true else assert.equal("string", type(code), why) end
        end
      end
    end
    local count = 0
    for _ in pairs(readable) do count = count + 1 end
    assert.is_true(count >= 60, "only " .. count)
  end)

  it("give TCP_INFO as a table of integers", function()
    local info = tcp:getsockopt "TCP_INFO"
    assert.equal(socket.TCP_CLOSE, info.state)
    for name, value in pairs(info) do
      assert.equal("string", type(name))
      assert.equal("integer", math.type(value))
    end
    for _, name in ipairs { "rtt", "rttvar", "snd_mss", "snd_cwnd", "retransmits", "total_retrans", "snd_wscale" } do
      assert.truthy(info[name], name)
    end
  end)

  it("count in TCP_INFO what a connection sent", function()
    local listener <close> = assert(socket.socket("inet", socket.SOCK_STREAM))
    assert(listener:bind({ ip = "127.0.0.1" }):listen())
    assert(tcp:connect(listener:getsockname()))
    local peer <close> = assert(listener:accept())
    assert.equal(5, tcp:send "hello")
    assert.equal("hello", peer:recv())
    assert.equal(socket.TCP_ESTABLISHED, tcp:getsockopt("TCP_INFO").state)
    assert.equal(5, tcp:getsockopt("TCP_INFO").bytes_sent)
  end)

  it("give the credentials of a Unix peer", function()
    local a, b = socket.socketpair("unix", socket.SOCK_STREAM)
    local guard <close> = closing(a, b)
    local cred = a:getsockopt "SO_PEERCRED"
    assert.equal("integer", math.type(cred.pid))
    assert.same(cred, b:getsockopt "SO_PEERCRED")
    assert.has_error(function() a:setsockopt("SO_PEERCRED", {}) end)
  end)

  it("take an address where they hold one", function()
    local udp <close> = assert(socket.socket("inet", socket.SOCK_DGRAM))
    assert(udp:setsockopt("IP_MULTICAST_IF", "127.0.0.1"))
    assert.equal("127.0.0.1", udp:getsockopt "IP_MULTICAST_IF")
    fails("EINVAL", udp:setsockopt("IP_MULTICAST_IF", "not an address"))
  end)

  it("of UDP are set and got", function()
    local udp <close> = assert(socket.socket("inet6", socket.SOCK_DGRAM))
    for _, case in ipairs {
      { "UDP_CORK", true }, { "UDP_CORK", false }, { "UDP_SEGMENT", 1400 }, { "UDP_GRO", true },
      { "UDP_NO_CHECK6_TX", true }, { "UDP_NO_CHECK6_RX", true }, { "UDP_ENCAP", 0 },
    } do
      local name, value = case[1], case[2]
      assert.equal(udp, udp:setsockopt(name, value), name)
      assert.equal(value, udp:getsockopt(name), name)
    end
    assert.has_error(function() udp:setsockopt("UDP_SEGMENT", 65536) end)
  end)

  it("of UDP-Lite are set and got", function()
    local lite, why = socket.socket("inet", socket.SOCK_DGRAM, socket.IPPROTO_UDPLITE)
    if not lite then return pending("needs UDP-Lite: " .. why) end
    local guard <close> = lite
    for _, name in ipairs { "UDPLITE_SEND_CSCOV", "UDPLITE_RECV_CSCOV" } do
      assert(lite:setsockopt(name, 20))
      assert.equal(20, lite:getsockopt(name))
    end
  end)

  it("of raw sockets are set and got", function()
    local raw, why = socket.socket("inet", socket.SOCK_RAW, socket.IPPROTO_ICMP)
    if not raw then return pending("needs root: " .. why) end
    local guard <close> = raw
    local six <close> = assert(socket.socket("inet6", socket.SOCK_RAW, socket.IPPROTO_ICMPV6))
    assert(raw:setsockopt("ICMP_FILTER", 0xfffffffe))
    assert.equal(0xfffffffe, raw:getsockopt "ICMP_FILTER")
    assert(raw:setsockopt("IP_HDRINCL", true))
    assert.is_true(raw:getsockopt "IP_HDRINCL")
    local none = ("\xff"):rep(32)
    assert(six:setsockopt("ICMPV6_FILTER", none))
    assert.equal(none, six:getsockopt "ICMPV6_FILTER")
    assert.has_error(function() six:setsockopt("ICMPV6_FILTER", "\xff") end)
    local other <close> = assert(socket.socket("inet6", socket.SOCK_RAW, 253))
    assert(other:setsockopt("IPV6_CHECKSUM", 2))
    assert.equal(2, other:getsockopt "IPV6_CHECKSUM")
    assert(other:setsockopt("IPV6_HDRINCL", true))
    local options = "\0\0\1\4\0\0\0\0" -- only padding
    assert(other:setsockopt("IPV6_DSTOPTS", options))
    assert.equal(options, other:getsockopt "IPV6_DSTOPTS")
    assert(other:setsockopt("IPV6_DSTOPTS", ""))
    assert.equal("", other:getsockopt "IPV6_DSTOPTS")
  end)

  it("of packet sockets are set and got", function()
    local packet, why = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    if not packet then return pending("needs root: " .. why) end
    local guard <close> = packet
    for _, case in ipairs {
      { "PACKET_AUXDATA", true }, { "PACKET_ORIGDEV", true }, { "PACKET_VERSION", 2 },
      { "PACKET_RESERVE", 64 }, { "PACKET_TIMESTAMP", socket.SOF_TIMESTAMPING_RAW_HARDWARE },
      { "PACKET_QDISC_BYPASS", true }, { "PACKET_IGNORE_OUTGOING", true }, { "PACKET_LOSS", true },
      { "PACKET_TX_HAS_OFF", true },
    } do
      local name, value = case[1], case[2]
      assert.equal(packet, packet:setsockopt(name, value), name)
      assert.equal(value, packet:getsockopt(name), name)
    end
    assert.equal(12, #packet:getsockopt "PACKET_STATISTICS")
    assert(packet:setsockopt("PACKET_VERSION", 0))
    assert.equal(8, #packet:getsockopt "PACKET_STATISTICS")
    local promiscuous = string.pack("iI2I2c8", 1, socket.PACKET_MR_PROMISC, 0, "")
    assert(packet:setsockopt("PACKET_ADD_MEMBERSHIP", promiscuous))
    assert(packet:setsockopt("PACKET_DROP_MEMBERSHIP", promiscuous))
  end)

  it("can be set and got by numbers, as bytes", function()
    assert(tcp:setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, string.pack("i", 1)))
    assert.is_true(tcp:getsockopt "SO_KEEPALIVE")
    assert(tcp:setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, false))
    assert(tcp:setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 7))
    local bytes = tcp:getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    assert.equal(7, string.unpack("i", bytes))
    assert.has_error(function() tcp:getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) end)
    assert.has_error(function() tcp:setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, {}) end)
  end)

  it("fail with ECLOSED after close", function()
    tcp:close()
    fails("ECLOSED", tcp:getsockopt "SO_TYPE")
    fails("ECLOSED", tcp:setsockopt("TCP_NODELAY", true))
  end)
end)

describe("neap.interfaces", function()
  it("lists the loopback with its addresses", function()
    local loopback
    for _, interface in ipairs(assert(neap.interfaces())) do
      assert.equal("string", type(interface.name))
      assert.equal("integer", math.type(interface.index))
      if interface.flags.LOOPBACK then loopback = interface end
    end
    assert.truthy(loopback)
    assert.is_true(loopback.mtu > 0)
    local found
    for _, address in ipairs(loopback.addresses) do
      if address.ip == "127.0.0.1" then found = address end
    end
    assert.equal("inet", found.family)
    assert.equal(8, found.prefix)
  end)

  it("gives link-local addresses with their zone", function()
    for _, interface in ipairs(neap.interfaces()) do
      for _, address in ipairs(interface.addresses) do
        if address.ip:find("^fe80:") then
          assert.equal(interface.name, address.zone)
          assert.matches("%%" .. interface.name:gsub("%p", "%%%0") .. "$", address.ip)
        end
      end
    end
  end)
end)
