--- Packet headers: by hand, against scapy's, against tshark, and damaged.
local helper <const> = require "support.helper"
local wire <const> = require "neap.wire"

local FIXTURE <const> = "spec/fixtures/wire_packets.txt"
local MAKER <const> = "spec/fixtures/make_wire_packets.py"

local function bytes(hex)
  return (hex:gsub("%s", ""):gsub("..", function(byte) return string.char(tonumber(byte, 16)) end))
end

local function hex(data)
  return (data:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function same_bytes(want, got, name)
  if want ~= got then assert.equal(hex(want), hex(got), name) end
end

local function read_fixture()
  local file <close> = assert(io.open(FIXTURE))
  local list = assert(load("return {" .. file:read "a" .. "}"))()
  for _, case in ipairs(list) do case.bytes = bytes(case.hex) end
  return list
end

local scapy <const> = read_fixture()

-- The first difference, as a path. Of what is there, more fields do not count,
-- nor what fills up a list of options.
local filling <const> = { eol = true, pad1 = true, padn = true }

local function difference(want, got, path)
  if type(want) ~= "table" then
    if want == got then return nil end
    return ("%s is %q instead of %q"):format(path, tostring(got), tostring(want))
  end
  if type(got) ~= "table" then return ("%s is %s"):format(path, got) end
  for key, value in pairs(want) do
    local found = difference(value, got[key], path .. "." .. key)
    if found then return found end
  end
  local more = got[#want + 1]
  if more and path ~= "packet" and not (type(more) == "table" and filling[more.type]) then
    return ("%s has more than %d items"):format(path, #want)
  end
end

local function has(want, got) assert.is_nil(difference(want, got, "packet")) end

local function only_layers(list)
  local layers = {}
  for _, layer in ipairs(list) do layers[#layers + 1] = type(layer) == "table" and layer or nil end
  return layers
end

-- Encodes, decodes, compares, and encodes again.
local function round(layers, first)
  local data = wire.encode(layers)
  local packet = assert(wire.decode(data, first))
  has(only_layers(layers), packet)
  same_bytes(data, wire.encode(packet))
  for _, layer in ipairs(packet) do assert.is_nil(layer.checksum_ok, layer.layer) end
  return packet, data
end

-- A packet of these bytes fails with this message.
local function malformed(message, first, data)
  local packet, why, code, at = wire.decode(bytes(data), first)
  assert.is_nil(packet)
  assert.equal(message, why)
  assert.equal("EBADMSG", code)
  assert.equal(math.tointeger(message:match "%d+$"), at)
end

local eth <const> = { layer = "ethernet", dst = "02:00:00:00:00:01", src = "02:00:00:00:00:02" }
local ip4 <const> = { layer = "ipv4", src = "10.0.0.1", dst = "10.0.0.2" }
local ip6 <const> = { layer = "ipv6", src = "fe80::1", dst = "ff02::1" }
local udp <const> = { layer = "udp", src_port = 1000, dst_port = 2000 }

describe("wire.decode", function()
  it("gives the layers in order, by name, and what is left", function()
    local packet = round({ eth, ip4, udp, "hello" }, "ethernet")
    assert.equal(3, #packet)
    assert.equal(packet[1], packet.ethernet)
    assert.equal(packet[3], packet.udp)
    assert.equal("hello", packet.payload)
    assert.is_nil(packet.padding)
    has({ { offset = 0, type = 0x0800 }, { offset = 14, protocol = 17 }, { offset = 34, length = 13 } }, packet)
  end)

  it("names the first of equal layers", function()
    local packet = round({ ip4, { layer = "ipv4", src = "1.1.1.1", dst = "2.2.2.2" }, udp }, "ip")
    assert.equal("10.0.0.1", packet.ipv4.src)
    assert.equal("1.1.1.1", packet[2].src)
  end)

  it("begins with any layer, by name or by link type", function()
    local data = wire.encode { ip4, udp }
    for _, first in ipairs { "ip", "raw", "ipv4", 101, 12, 228 } do
      assert.equal("udp", wire.decode(data, first)[2].layer)
    end
    assert.equal("ethernet", wire.decode(wire.encode { eth, ip4, udp })[1].layer)
    assert.equal("udp", wire.decode(data:sub(21), "udp")[1].layer)
    assert.raises("unknown layer 'ethernut'", wire.decode, data, "ethernut")
    assert.raises("unknown layer '999'", wire.decode, data, 999)
    assert.raises("bad argument #1", wire.decode, {})
  end)

  it("takes options, and no others", function()
    assert.raises("unknown option 'truncate'", wire.decode, "", "ip", { truncate = true })
    assert.raises("option 'truncated' must be a boolean", wire.decode, "", "ip", { truncated = 1 })
    assert.raises("bad argument #3", wire.decode, "", "ip", 1)
  end)

  it("tells a wrong checksum", function()
    local _, data = round({ ip4, udp, "data" }, "ip")
    local packet = wire.decode(data:sub(1, -2) .. "x", "ip")
    assert.is_nil(packet.ipv4.checksum_ok)
    assert.is_false(packet.udp.checksum_ok)
    assert.equal(data:sub(1, -2) .. "x", wire.encode(packet))
    packet = wire.decode(data:sub(1, -2) .. "x", "ip", { checksums = false })
    assert.is_nil(packet.udp.checksum_ok)
    packet.udp.checksum = nil
    assert.is_nil(wire.decode(wire.encode(packet), "ip").udp.checksum_ok)
  end)

  it("says what is malformed, and where", function()
    malformed("ipv4: ihl 3 at offset 0", "ip", "43000014 00000000 40060000 01020304 05060708")
    malformed("ipv4: version 5 at offset 0", "ipv4", "55000014 00000000 40060000 01020304 05060708")
    malformed("ip: neither version 4 nor 6 at offset 0", "ip", "00")
    malformed("ip: no bytes at offset 0", "ip", "")
    malformed("ethernet: header is cut short at offset 0", "ethernet", "010203")
    malformed("ipv4: total_length 21 at offset 0", "ip", "45000015 00000000 40ff0000 01020304 05060708")
    malformed("ipv4: total_length 19 at offset 0", "ip", "45000013 00000000 40ff0000 01020304 05060708")
    malformed("tcp: data_offset 4 at offset 0", "tcp", "00010002 00000003 00000004 40020000 00000000")
    malformed("tcp: data_offset 6 at offset 0", "tcp", "00010002 00000003 00000004 60020000 00000000")
    malformed("udp: length 7 at offset 0", "udp", "00010002 00070000")
    malformed("udp: length 0 at offset 0", "udp", "00010002 00000000")
    malformed("udplite: coverage 7 at offset 0", "udplite", "00010002 00070000")
    malformed("tcp: item length 0 at offset 20", "tcp", "00010002 00000003 00000004 60020000 00000000 08000000")
    malformed("tcp: item length 1 at offset 21", "tcp", "00010002 00000003 00000004 60020000 00000000 01080100")
    malformed("tcp: item length 9 at offset 20", "tcp", "00010002 00000003 00000004 60020000 00000000 08090000")
    malformed("icmpv6: item length 0 at offset 8", "icmpv6", "85000000 00000000 0100020000000001")
    malformed("sctp: item length 3 at offset 12", "sctp", "00010002 00000003 00000000 00000003")
    malformed("sctp: item length 17 at offset 12", "sctp", "00010002 00000003 00000000 0b000011")
    malformed("sctp: padding is cut short at offset 17", "sctp", "00010002 00000003 00000000 0a000005 01")
    malformed("arp: header is cut short at offset 0", "arp", "00010800 ff040001 020000000001")
    malformed("ipx: length 29 at offset 0", "ipx", "ffff001d 0000" .. ("00"):rep(24))
    malformed("hop_by_hop: length 1 at offset 0", "hop_by_hop", "3b01010400000000")
    malformed("ah: length 0 at offset 0", "ah", "3b000000 00000001 00000002")
  end)

  it("has no end of layers within layers", function()
    malformed("hop_by_hop: more than 32 layers at offset 256", "hop_by_hop", ("00"):rep(8 * 100))
    malformed("vlan: more than 32 layers at offset 128", "vlan", ("00018100"):rep(100))
  end)

  it("decodes what there is of a packet that was cut", function()
    local data = wire.encode { eth, ip4, udp, "hello" }
    local function cut(n) return wire.decode(data:sub(1, n), "ethernet", { truncated = true }) end
    local packet = cut(#data - 2)
    assert.equal("ipv4", packet.truncated)
    assert.equal("hel", packet.payload)
    assert.is_nil(packet.udp.checksum_ok)
    packet = cut(38)
    assert.equal("udp", packet.truncated)
    assert.is_nil(packet.udp)
    assert.equal(data:sub(35, 38), packet.payload)
    packet = cut(5)
    assert.equal("ethernet", packet.truncated)
    assert.equal(0, #packet)
    assert.is_nil(cut(#data).truncated)
    for n = 0, #data do assert.equal(data:sub(1, n), wire.encode(cut(n))) end
    assert.fails("EBADMSG", wire.decode(data:sub(1, 40), "ethernet"))
  end)

  it("leaves fragments alone", function()
    local packet = round({ { layer = "ipv4", src = "1.1.1.1", dst = "2.2.2.2", fragment_offset = 3, protocol = 17 },
      "fragment" }, "ip")
    assert.equal(1, #packet)
    assert.equal("fragment", packet.payload)
    -- The first one has a header, and only a part of what that tells.
    local first = { layer = "ipv4", src = "1.1.1.1", dst = "2.2.2.2", flags = "MF" }
    packet = round({ first, { layer = "udp", src_port = 5, dst_port = 6, length = 3000 }, "part" }, "ip")
    assert.equal(6, packet.udp.dst_port)
    assert.equal("udp", packet.truncated)
    packet = round({ ip6, { layer = "fragment", fragment_offset = 9, next_header = 6 }, "part" }, "ip")
    assert.is_nil(packet.tcp)
  end)

  it("has the padding of the link, and trailers within", function()
    local data = wire.encode { eth, ip4, udp, padding = ("\0"):rep(18) }
    local packet = wire.decode(data)
    assert.equal(("\0"):rep(18), packet.padding)
    assert.equal("", packet.payload)
    assert.equal(28, packet.ipv4.total_length)
    assert.equal(data, wire.encode(packet))
    packet = round({ ip4, { layer = "udp", src_port = 1, dst_port = 2, trailer = "extra" }, "data" }, "ip")
    assert.equal("extra", packet.udp.trailer)
    assert.equal(20 + 8 + 4 + 5, packet.ipv4.total_length)
    assert.equal(12, packet.udp.length)
  end)

  it("takes what segmentation offload leaves behind", function()
    local data = bytes "45000000 00000000 40110000 01020304 05060708 00010002 000c0000 61626364"
    local packet = assert(wire.decode(data, "ip"))
    assert.equal("abcd", packet.payload)
    assert.equal(data, wire.encode(packet))
  end)
end)

describe("wire.encode", function()
  local function raises(text, layers) assert.raises(text, wire.encode, layers) end

  it("keeps what it is given, even if it is wrong", function()
    local packet = wire.decode(wire.encode { eth, { layer = "ipv4", src = "1.1.1.1", dst = "2.2.2.2",
      checksum = 0x1234, id = 7 }, udp }, "ethernet")
    assert.equal(0x1234, packet.ipv4.checksum)
    assert.is_false(packet.ipv4.checksum_ok)
    local data = wire.encode { { layer = "ipv4", src = "1.1.1.1", dst = "2.2.2.2", total_length = 9, version = 7,
      protocol = 99, ihl = 2 }, udp }
    assert.equal("72000009", hex(data:sub(1, 4)))
    assert.equal(99, data:byte(10))
  end)

  it("blames the layer and the field", function()
    raises("layer 2 (tcp): src_port must be in [0, 65535]", { ip4, { layer = "tcp", src_port = 65536 } })
    raises("layer 2 (tcp): seq must be in [0, 4294967295]", { ip4, { layer = "tcp", seq = -1 } })
    raises("layer 2 (tcp): seq must be an integer, not a number", { ip4, { layer = "tcp", seq = 1.5 } })
    raises("layer 2 (tcp): seq must be an integer, not a string", { ip4, { layer = "tcp", seq = "1" } })
    raises("layer 2 (tcp): flags has a flag that is not of", { ip4, { layer = "tcp", flags = "SX" } })
    raises("layer 2 (tcp): options[2].mss must be in", { ip4, { layer = "tcp", options = { { type = "nop" },
      { type = "mss", mss = 65536 } } } })
    raises("layer 2 (tcp): options[1] has no field 'msss'", { ip4, { layer = "tcp",
      options = { { type = "mss", msss = 1 } } } })
    raises("layer 2 (tcp): options[1].type is no name", { ip4, { layer = "tcp", options = { { type = "mms" } } } })
    raises("layer 2 (tcp): options[1].type is missing", { ip4, { layer = "tcp", options = { {} } } })
    raises("layer 2 (tcp): options must be a list", { ip4, { layer = "tcp", options = { mss = 1 } } })
    raises("layer 2 (tcp): options must be a table, not a string", { ip4, { layer = "tcp", options = "x" } })
    raises("layer 2 (tcp): options[1] must be a table, not a boolean", { ip4, { layer = "tcp", options = { true } } })
    raises("layer 2 (tcp) has no field 'sport'", { ip4, { layer = "tcp", sport = 1 } })
    raises("layer 1 (ipv4): src is no IPv4 address", { { layer = "ipv4", src = "10.0.0" } })
    raises("layer 1 (ipv4): dst must be a string, not a number", { { layer = "ipv4", dst = 1 } })
    raises("layer 1 (ipv6): dst is no IPv6 address", { { layer = "ipv6", dst = "10.0.0.1" } })
    raises("layer 1 (ethernet): src is no address like", { { layer = "ethernet", src = "02:00:00:00:00" } })
    raises("layer 1 (fragment): more_fragments must be a boolean", { { layer = "fragment", more_fragments = 1 } })
    raises("layer 2 has the unknown name 'upd'", { ip4, { layer = "upd" } })
    raises("layer 1 has the unknown name 'nil'", { {} })
    raises("layer 2 must be a table or a string", { ip4, 17 })
    raises("layer 2 must be a table or a string", { ip4, nil, udp })
    raises("a packet has no field 'paddin'", { ip4, udp, paddin = "" })
    raises("'payload' must be a string", { ip4, udp, payload = 1 })
    raises("layer 2 (icmp): original[1].ttl must be in [0, 255]", { ip4, { layer = "icmp", type = 3,
      original = { { layer = "ipv4", ttl = 256 } } } })
    assert.raises("bad argument #1", wire.encode)
  end)

  it("refuses what cannot be told", function()
    raises("layer 1 (ethernet): type cannot be told", { eth, "bytes" })
    raises("layer 1 (ipv4): protocol cannot be told", { ip4, "bytes" })
    raises("layer 2 (udp): length cannot tell so many bytes", { ip4, udp, ("x"):rep(65528) })
    local nops = {}
    for i = 1, 41 do nops[i] = { type = "nop" } end
    raises("layer 2 (tcp): data_offset cannot tell so long a header", { ip4, { layer = "tcp", options = nops } })
    local layers = {}
    for i = 1, 33 do layers[i] = { layer = "vlan", type = 0x8100 } end
    raises("more than 32 layers", layers)
    raises("original[2].original must be a string", { ip4, { layer = "icmp", type = 3, original = { ip4,
      { layer = "icmp", type = 3, original = { ip4 } } } } })
  end)

  it("writes long packets", function()
    local packet = round({ eth, ip4, udp, ("x"):rep(60000) }, "ethernet")
    assert.equal(60000, #packet.payload)
  end)

  it("takes a packet back whose fields were changed", function()
    local packet = wire.decode(wire.encode { eth, ip4, udp, "data" })
    packet.ipv4.ttl, packet.ipv4.checksum, packet.udp.dst_port, packet.udp.checksum = 9, nil, 53, nil
    packet = wire.decode(wire.encode(packet))
    has({ {}, { ttl = 9 }, { dst_port = 53 } }, packet)
    assert.is_nil(packet.ipv4.checksum_ok)
    assert.is_nil(packet.udp.checksum_ok)
  end)

  it("does not change what it is given", function()
    local layer = { layer = "udp", src_port = 1, dst_port = 2 }
    wire.encode { ip4, layer }
    assert.same({ layer = "udp", src_port = 1, dst_port = 2 }, layer)
  end)
end)

-- name -> layers, first, what to look for besides
local made <const> = {
  ["802.3 with 802.2"] = { { { layer = "ethernet", dst = "01:80:c2:00:00:00", src = "02:00:00:00:00:02" },
    { layer = "llc", dsap = 0x42, ssap = 0x42 }, "spanning tree" }, "ethernet", { { length = 16 }, { control = 3 } } },
  ["a numbered frame of 802.2"] = { { { layer = "llc", dsap = 4, ssap = 4, control = 0x0102 }, "data" }, "llc" },
  ["SNAP"] = { { eth, { layer = "llc" }, { layer = "snap" }, ip4, udp }, "ethernet",
    { { length = 36 }, { dsap = 0xaa, ssap = 0xaa }, { oui = 0, type = 0x0800 } } },
  ["a VLAN"] = { { eth, { layer = "vlan", id = 4095, priority = 7, drop_eligible = true }, ip4, udp }, "ethernet",
    { { type = 0x8100 }, { type = 0x0800 } } },
  ["a VLAN with a length"] = { { eth, { layer = "vlan", id = 1 }, { layer = "llc", dsap = 4, ssap = 4 }, "x" },
    "ethernet", { {}, { length = 4 } } },
  ["802.1ad"] = { { eth, { layer = "qinq", id = 100 }, { layer = "vlan", id = 200 }, ip6, udp }, "ethernet",
    { { type = 0x88a8 }, { type = 0x8100 }, { type = 0x86dd } } },
  ["ARP"] = { { eth, { layer = "arp", operation = 2, sender_mac = "02:00:00:00:00:02", sender_ip = "10.0.0.1",
    target_mac = "02:00:00:00:00:01", target_ip = "10.0.0.2" } }, "ethernet",
    { { type = 0x0806 }, { hardware_length = 6, protocol_length = 4 } } },
  ["ARP of other lengths"] = { { { layer = "arp", hardware_type = 32, sender_mac = "00:01:02:03:04:05:06:07",
    sender_ip = "aa:bb", target_mac = "08:09:0a:0b:0c:0d:0e:0f", target_ip = "cc:dd" } }, "arp",
    { { hardware_length = 8, protocol_length = 2 } } },
  ["a question by ARP"] = { { { layer = "arp", sender_mac = "02:00:00:00:00:02", sender_ip = "10.0.0.1",
    target_ip = "10.0.0.2" } }, "arp", { { target_mac = "00:00:00:00:00:00", operation = 1 } } },
  ["a cooked capture"] = { { { layer = "sll", packet_type = 4, address = "02:00:00:00:00:02" }, ip6, udp }, "cooked",
    { { address_length = 6, protocol = 0x86dd } } },
  ["a cooked capture of 802.2"] = { { { layer = "sll", address = "" }, { layer = "llc" }, "x" }, "sll",
    { { protocol = 4, address_length = 0 } } },
  ["a cooked capture, version 2"] = { { { layer = "sll2", interface_index = 3, packet_type = 1,
    address = "00:01:02:03:04:05:06:07" }, ip4, udp }, "sll2", { { address_length = 8, protocol = 0x0800 } } },
  ["a loopback capture"] = { { { layer = "null" }, ip4, udp }, "null", { { family = 2 } } },
  ["a loopback capture of the other order"] = { { { layer = "loop" }, ip6, udp }, "null", { { family = 30 } } },
  ["options of IPv4"] = { { { layer = "ipv4", src = "1.1.1.1", dst = "2.2.2.2", options = {
    { type = "loose_source_route", pointer = 4, route = { "3.3.3.3", "4.4.4.4" } }, { type = "nop" },
    { type = "timestamp", flag = 1, data = "12345678" }, { type = "router_alert", value = 0 } } }, udp }, "ip",
    { { ihl = 12 } } },
  ["options that are what they should not be"] = { { { layer = "ipv4", src = "1.1.1.1", dst = "2.2.2.2", options = {
    { type = 148, data = "123" }, { type = 99 }, { type = "eol", data = "\0\1\2\3" } } }, udp }, "ip",
    { { ihl = 8 } } },
  ["IPv6 in IPv4 in IPv6"] = { { ip6, ip4, ip6, udp }, "ip", { { next_header = 4 }, { protocol = 41 } } },
  ["nothing after IPv6"] = { { ip6 }, "ip", { { next_header = 59, payload_length = 0 } } },
  ["a jumbogram"] = { { { layer = "ipv6", payload_length = 0 }, { layer = "hop_by_hop",
    options = { { type = "jumbo_payload", payload_length = 70016 } } }, { layer = "udp", length = 0 },
    ("x"):rep(70000) }, "ip" },
  ["extension headers"] = { { ip6, { layer = "hop_by_hop", options = { { type = "router_alert", value = 0 } } },
    { layer = "destination_options", options = { { type = "home_address", address = "2001:db8::1" } } },
    { layer = "routing", segments_left = 1, addresses = { "2001:db8::1", "2001:db8::2" } },
    { layer = "fragment", id = 5 }, { layer = "ah", spi = 1, sequence = 2, icv = ("i"):rep(12) }, udp, "x" }, "ip",
    { {}, { length = 0, options = { {}, { type = "padn" } } }, { length = 2 }, { length = 4 }, {},
      { length = 4 } } },
  ["segment routing"] = { { ip6, { layer = "routing", type = 4, segments_left = 1, tag = 9,
    segments = { "2001:db8::1", "2001:db8::2" }, tlvs = "\5\6abcdef" }, udp }, "ip",
    { {}, { last_entry = 1, length = 5 } } },
  ["ESP"] = { { ip4, { layer = "esp", spi = 0xffffffff, sequence = 1 }, "secret" }, "ip", { { protocol = 50 } } },
  ["an ICMP error with an extension"] = { { ip4, { layer = "icmp", type = 11, original = { ip4, udp, payload = "x" },
    extension = { objects = { { class = 1, c_type = 1, data = "mpls" } } } } }, "ip",
    { {}, { length = 32, original = { ip4, udp, payload = "x" }, extension = { version = 2 } } } },
  ["routers by ICMP"] = { { ip4, { layer = "icmp", type = 9, routers = { { address = "1.1.1.1", preference = 1 },
    { address = "2.2.2.2", preference = 0x80000000 } } } }, "ip", { {}, { count = 2, entry_size = 2 } } },
  ["an unknown ICMP"] = { { ip4, { layer = "icmp", type = 200 }, "body" }, "ip" },
  ["a router's advertisement"] = { { ip6, { layer = "icmpv6", type = 134, flags = "MO", router_lifetime = 1800,
    options = { { type = "source_link_layer_address", address = "02:00:00:00:00:02" },
      { type = "prefix_information", flags = "LA", prefix = "2001:db8::", valid_lifetime = 1 },
      { type = "mtu", mtu = 1500 }, { type = "rdnss", lifetime = 5, addresses = { "2001:db8::53" } },
      { type = "dnssl", lifetime = 5, domains = "\4test\0\0\0" }, { type = "nonce", nonce = "123456" },
      { type = 99, data = "abcdef" } } } }, "ip" },
  ["a redirect"] = { { ip6, { layer = "icmpv6", type = 137, target = "fe80::1", destination = "2001:db8::1",
    options = { { type = "redirected_header", data = ("p"):rep(40) } } } }, "ip" },
  ["IGMPv2"] = { { ip4, { layer = "igmp", type = 0x16, group = "239.1.1.1" } }, "ip" },
  ["a query of IGMPv3"] = { { ip4, { layer = "igmp", type = 0x11, max_response_time = 100, group = "239.1.1.1",
    suppress = true, qrv = 2, qqic = 125, sources = { "1.1.1.1", "2.2.2.2" } } }, "ip", { {}, { source_count = 2 } } },
  ["a report of IGMPv3"] = { { ip4, { layer = "igmp", type = 0x22, records = { { type = 4, group = "239.1.1.1",
    sources = { "1.1.1.1" }, aux_data = "auxaux!!" }, { type = 3, group = "239.1.1.2", sources = {} } } } }, "ip",
    { {}, { record_count = 2, records = { { source_count = 1, aux_length = 2 }, {} } } } },
  ["MLD"] = { { ip6, { layer = "icmpv6", type = 131, group = "ff02::5" } }, "ip" },
  ["a query of MLDv2"] = { { ip6, { layer = "icmpv6", type = 130, group = "::", sources = {} } }, "ip",
    { {}, { source_count = 0, qrv = 0 } } },
  ["TCP"] = { { ip6, { layer = "tcp", src_port = 1, dst_port = 65535, seq = 0xffffffff, ack = 1, flags = "SECN",
    window = 0, reserved = 5, urgent_pointer = 6, options = { { type = "mss", mss = 1220 },
      { type = "sack_permitted" }, { type = "timestamps", tsval = 1, tsecr = 2 }, { type = "nop" },
      { type = "window_scale", shift = 14 } } }, "data" }, "ip", { {}, { data_offset = 10 } } },
  ["options of TCP"] = { { ip4, { layer = "tcp", options = { { type = "sack", blocks = { { left = 1, right = 2 },
    { left = 3, right = 4 } } }, { type = "fast_open", cookie = "cookie" }, { type = "user_timeout", minutes = true,
      timeout = 5 }, { type = 254, data = "xy" } } } }, "ip", { {}, { data_offset = 14 } } },
  ["a signature of TCP"] = { { ip4, { layer = "tcp", options = { { type = "md5", digest = ("d"):rep(16) } } } }, "ip" },
  ["MPTCP"] = { { ip4, { layer = "tcp", options = { { type = "mptcp", data = "\0\x81key" } } } }, "ip" },
  ["UDP-Lite"] = { { ip6, { layer = "udplite", src_port = 1, dst_port = 2, coverage = 10 }, "0123456789" }, "ip" },
  ["chunks of SCTP"] = { { ip4, { layer = "sctp", src_port = 1, dst_port = 2, verification_tag = 3, chunks = {
    { type = "init", initiate_tag = 1, initial_tsn = 2, parameters = { { type = "ipv4_address", address = "1.1.1.1" },
      { type = "host_name", data = "odd" }, { type = "supported_address_types", types = { 5, 6, 11 } },
      { type = "forward_tsn_supported" }, { type = 0x9999, data = "x" } } },
    { type = "sack", cumulative_tsn = 9, gaps = { { first = 2, last = 3 } }, duplicates = { 7, 8 } },
    { type = "abort", flags = "T", causes = { { type = "user_abort", data = "why" },
      { type = "invalid_stream", stream = 5 }, { type = "missing_parameter", count = 1, types = { 7 } } } },
    { type = "error", causes = { { type = "stale_cookie", staleness = 1 }, { type = "no_user_data", tsn = 4 } } },
    { type = "shutdown", cumulative_tsn = 1 }, { type = "shutdown_ack" }, { type = "cookie_echo", cookie = "biscuit" },
    { type = "cookie_ack" }, { type = "ecne", tsn = 1 }, { type = "cwr", tsn = 2 },
    { type = "shutdown_complete", flags = "T" }, { type = "heartbeat", parameters = { { type = "heartbeat_info",
      data = "12345" } } }, { type = "forward_tsn", cumulative_tsn = 4, streams = { { stream = 1 } } },
    { type = 77, flags = 9, data = "unknown" }, { type = "data", flags = "EB", tsn = 1, protocol = 46, data = "x" },
  } } }, "ip" },
  ["IPX"] = { { eth, { layer = "ipx", packet_type = 4, dst_network = 1, dst_node = "ff:ff:ff:ff:ff:ff",
    dst_socket = 0x4001, src_network = 1, src_node = "02:00:00:00:00:02", src_socket = 0x4002 }, "data" }, "ethernet",
    { { type = 0x8137 }, { checksum = 0xffff, length = 34 } } },
  ["IPX over 802.2"] = { { eth, { layer = "llc" }, { layer = "ipx" } }, "ethernet", { {}, { dsap = 0xe0 } } },
  ["IPX over 802.3"] = { { { layer = "ethernet", length = 30 }, { layer = "ipx" } }, "ethernet" },
  ["IPX over SNAP"] = { { eth, { layer = "llc" }, { layer = "snap" }, { layer = "ipx" } }, "ethernet" },
  ["RIP"] = { { eth, { layer = "ipx", dst_socket = 0x453 }, { layer = "rip", operation = 2, routes = {
    { network = 0xcafe, hops = 1, ticks = 2 }, { network = 0xffffffff, hops = 16, ticks = 0xffff } } } }, "ethernet",
    { {}, { packet_type = 1 } } },
  ["RIP from its socket"] = { { { layer = "ipx", packet_type = 0, dst_socket = 0x4001, src_socket = 0x453 },
    { layer = "rip", routes = {} } }, "ipx", { {}, { operation = 1 } } },
  ["SAP that asks"] = { { { layer = "ipx" }, { layer = "sap", operation = 3, type = 4 } }, "ipx",
    { { packet_type = 4, dst_socket = 0x452 } } },
  ["SAP that tells"] = { { { layer = "ipx" }, { layer = "sap", operation = 4, services = {
    { type = 4, name = "HARBOUR", network = 1, node = "02:00:00:00:00:01", socket = 0x451, hops = 1 },
    { type = 7, name = ("N"):rep(48) }, { name = "A\0B" }, {} } } }, "ipx", { { length = 30 + 2 + 4 * 64 } } },
  ["SAP of another operation"] = { { { layer = "ipx" }, { layer = "sap", operation = 9 }, "what?" }, "ipx" },
  ["SPX"] = { { { layer = "ipx", dst_socket = 0x4001 }, { layer = "spx", connection_control = "eom+ack",
    datastream_type = 3, src_connection = 1, dst_connection = 2, seq = 3, ack = 4, allocation = 5 }, "data" }, "ipx",
    { { packet_type = 5 }, { connection_control = "eom+ack" } } },
  ["SPX II"] = { { { layer = "ipx" }, { layer = "spx", connection_control = "negotiate+spx2+ack+system",
    dst_connection = 7, negotiation_size = 1400 }, "data" }, "ipx", { { length = 30 + 14 + 4 } } },
  ["SPX II that asks"] = { { { layer = "ipx" }, { layer = "spx", connection_control = "spx2+ack+system",
    dst_connection = 0xffff } }, "ipx" },
  ["IPX in UDP"] = { { ip4, { layer = "udp", src_port = 213 }, { layer = "ipx" }, "x" }, "ip",
    { {}, { dst_port = 213 } } },
  ["no IPX in UDP"] = { { ip4, { layer = "udp", dst_port = 213 }, "\0\0" .. ("x"):rep(40) }, "ip" },
  ["GRE"] = { { ip4, { layer = "gre", checksum_present = true, key = 5, sequence = 6 }, ip6, udp, "x" }, "ip",
    { { protocol = 47 }, { key_present = true, sequence_present = true, protocol = 0x86dd } } },
  ["Ethernet in GRE"] = { { ip4, { layer = "gre" }, eth, ip4, udp }, "ip", { {}, { protocol = 0x6558 } } },
  ["PPTP"] = { { ip4, { layer = "gre", version = 1, protocol = 0x880b, key = 7, ack = 9 }, "ppp" }, "ip",
    { {}, { ack_present = true } } },
  ["VXLAN"] = { { eth, ip4, { layer = "udp", src_port = 9 }, { layer = "vxlan", vni = 0xffffff }, eth, ip6, udp, "in" },
    "ethernet", { {}, {}, { dst_port = 4789 }, { flags = "I" } } },
}

describe("neap.wire by hand", function()
  local names = {}
  for name in pairs(made) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it("has " .. name, function()
      local layers, first, more = table.unpack(made[name], 1, 3)
      local packet, data = round(layers, first)
      assert.equal(#only_layers(layers), #packet)
      has(more or {}, packet)
      -- Without what was filled in, it is filled in again.
      for _, layer in ipairs(packet) do layer.checksum = nil end
      same_bytes(data, wire.encode(packet))
    end)
  end

  it("knows where a source route, a routing header and a home address lead", function()
    local data = wire.encode { { layer = "ipv4", src = "1.1.1.1", dst = "2.2.2.2",
      options = { { type = "strict_source_route", route = { "9.9.9.9" } }, { type = "nop" } } }, udp }
    local sum = wire.decode(data, "ip").udp.checksum
    data = wire.encode { { layer = "ipv4", src = "1.1.1.1", dst = "9.9.9.9" }, udp }
    assert.equal(sum, wire.decode(data, "ip").udp.checksum)
  end)

  it("tells a packet within a packet only once", function()
    local inner = { ip4, { layer = "icmp", type = 3, original = "E..." } }
    local packet = round({ ip4, { layer = "icmp", type = 3, original = inner } }, "ip")
    assert.equal("E...", packet.icmp.original.icmp.original)
    packet = wire.decode(wire.encode { ip4, { layer = "icmp", type = 3, original = "\xff\1" } }, "ip")
    assert.equal("\xff\1", packet.icmp.original.payload)
    packet = wire.decode(wire.encode { ip4, { layer = "icmp", type = 11, original = { { layer = "ipv4", ihl = 3,
      protocol = 6 }, "x" } } }, "ip")
    assert.equal("ipv4", packet.icmp.original.malformed)
    assert.equal(21, #packet.icmp.original.payload)
  end)

  it("computes the checksum of IPX", function()
    local data = wire.encode { { layer = "ipx", checksum = 0, src_socket = 1, transport_control = 9 }, "odd" }
    assert.is_false(wire.decode(data, "ipx").ipx.checksum_ok)
    -- 33 + 1 + the bytes of "odd", in words, without the hops
    local sum = ~(33 + 1 + 0x6f64 + 0x6400) & 0xffff
    data = wire.encode { { layer = "ipx", checksum = sum, src_socket = 1, transport_control = 9 }, "odd" }
    assert.is_nil(wire.decode(data, "ipx").ipx.checksum_ok)
  end)
end)

describe("neap.wire beside scapy", function()
  -- What scapy filled in by itself.
  local filled <const> = {
    "ihl", "total_length", "payload_length", "checksum", "data_offset", "hardware_length", "protocol_length",
    "record_count", "source_count", "gap_count", "duplicate_count",
  }
  local following <const> = { type = "ethernet vlan qinq snap", protocol = "ipv4 gre sll", next_header =
    "ipv6 hop_by_hop destination_options routing fragment ah" }

  local function without(packet)
    for i, layer in ipairs(packet) do
      for _, name in ipairs(filled) do layer[name] = nil end
      for name, layers in pairs(following) do
        if packet[i + 1] and layers:find(layer.layer, 1, true) then layer[name] = nil end
      end
      if layer.layer == "udp" or layer.layer == "hop_by_hop" or layer.layer == "destination_options" then
        layer.length = nil
      end
    end
    return packet
  end

  it("has enough packets", function() assert.is_true(#scapy >= 200) end)

  it("finds the fields that scapy finds", function()
    for _, case in ipairs(scapy) do
      local packet = assert(wire.decode(case.bytes, case.first))
      has(case.packet, packet)
      assert.equal(#case.packet, #packet, case.name)
      assert.equal(case.packet.padding, packet.padding, case.name)
      for _, layer in ipairs(packet) do assert.is_nil(layer.checksum_ok, case.name) end
    end
  end)

  it("makes the bytes again", function()
    for _, case in ipairs(scapy) do
      same_bytes(case.bytes, wire.encode(wire.decode(case.bytes, case.first)), case.name)
    end
  end)

  it("makes scapy's bytes of scapy's fields", function()
    for _, case in ipairs(scapy) do same_bytes(case.bytes, wire.encode(case.packet), case.name) end
  end)

  it("fills in what scapy fills in", function()
    for _, case in ipairs(read_fixture()) do
      -- It leaves 0 where it has no rule, or a checksum was switched off.
      if not (case.name:find "^ah" or case.name:find "without") then
        same_bytes(case.bytes, wire.encode(without(case.packet)), case.name)
      end
    end
  end)

  it("has the fixture that scapy makes here", function()
    helper.need(os.execute "python3 -c 'import scapy' 2>/dev/null"
      or os.execute "/usr/bin/python3 -c 'import scapy' 2>/dev/null", "needs scapy")
    local python = os.execute "python3 -c 'import scapy' 2>/dev/null" and "python3" or "/usr/bin/python3"
    local pipe <close> = assert(io.popen(python .. " " .. MAKER .. " 2>/dev/null"))
    local text = pipe:read "a"
    helper.need(text ~= "", "this scapy lacks something that " .. MAKER .. " uses")
    local file <close> = assert(io.open(FIXTURE))
    assert.is_true(file:read "a" == text)
  end)
end)

describe("neap.wire beside tshark", function()
  local linktypes <const> = { ethernet = 1, ip = 101, sll = 113, cooked = 113, sll2 = 276, null = 0 }

  local function pcap(path, linktype, packets)
    local file <close> = assert(io.open(path, "wb"))
    file:write(string.pack("<I4I2I2I4I4I4I4", 0xa1b2c3d4, 2, 4, 0, 0, 262144, linktype))
    for _, data in ipairs(packets) do file:write(string.pack("<I4I4I4I4", 0, 0, #data, #data), data) end
  end

  -- Which frames of the file tshark finds at fault.
  local function faults(path)
    local wrong = { "_ws.malformed" }
    for _, protocol in ipairs { "ip", "tcp", "udp", "icmp", "icmpv6", "igmp", "sctp" } do
      wrong[#wrong + 1] = protocol .. ".checksum.status == 0"
    end
    local pipe <close> = assert(io.popen(("tshark -r %s -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE "
      .. "-o udp.check_checksum:TRUE -o sctp.checksum:CRC-32C -Y '%s' -T fields -e frame.number 2>&1")
      :format(path, table.concat(wrong, " || "))))
    local list = {}
    for line in pipe:lines() do
      if not line:find "^Running as user" then list[#list + 1] = tonumber(line) or error(line) end
    end
    return list
  end

  it("makes packets that are neither malformed nor wrong", function()
    helper.need_program "tshark"
    -- What is made up here is not what the protocol above has.
    local odd <const> = { ["802.3 with 802.2"] = true, ["a VLAN with a length"] = true }
    local path = helper.tmpname ".pcap"
    for linktype, wrong in pairs { [1] = { eth, ip4 }, [101] = { ip4 } } do
      wrong[#wrong + 1] = { layer = "udp", checksum = 77 }
      local packets, names = { wire.encode(wrong) }, {} -- the first is to be found
      for name, case in pairs(made) do
        if linktypes[case[2]] == linktype and not odd[name] then
          packets[#packets + 1] = wire.encode(case[1])
          names[#packets] = name
        end
      end
      pcap(path, linktype, packets)
      local found = faults(path)
      for i, number in ipairs(found) do found[i] = names[number] or number end
      assert.same({ 1 }, found)
    end
  end)
end)

describe("neap.wire and damage", function()
  local lenient <const> = { truncated = true }
  -- A collector that never rests is slow, and sees enough in a few.
  local restless <const> = (os.getenv "GC" or "") ~= ""
  local stride <const> = restless and 40 or 1

  local function survives(data, first, options)
    local packet, message, code, at = wire.decode(data, first, options)
    if packet then
      if wire.encode(packet) ~= data then error("other bytes: " .. hex(data)) end
    elseif type(message) ~= "string" or code ~= "EBADMSG" or at < 0 or at > #data then
      error(("%s, %s, %s: %s"):format(message, code, at, hex(data)))
    end
  end

  it("survives every cut of every packet", function()
    for i = 1, #scapy, stride do
      local case = scapy[i]
      for n = 0, #case.bytes do
        survives(case.bytes:sub(1, n), case.first)
        survives(case.bytes:sub(1, n), case.first, lenient)
        assert(wire.decode(case.bytes:sub(1, n), case.first, lenient))
      end
    end
  end)

  it("survives another value of every byte of every packet", function()
    math.randomseed(3)
    for i = 1, #scapy, stride do
      local case = scapy[i]
      for at = 1, #case.bytes do
        local value = string.char(math.random(0, 255))
        survives(case.bytes:sub(1, at - 1) .. value .. case.bytes:sub(at + 1), case.first)
        survives(case.bytes:sub(1, at - 1) .. "\xff" .. case.bytes:sub(at + 1), case.first, lenient)
      end
    end
  end)

  it("survives noise", function()
    local run = assert(loadfile "test/fuzz/wire.lua")("fuzz.wire")
    run(restless and 100 or 30000, 5)
  end)
end)

describe("the manual of neap.wire", function()
  it("has every field that a packet has", function()
    local file <close> = assert(io.open "docs/wire.md")
    local manual, checked = file:read "a", {}
    local function check(value)
      if type(value) ~= "table" then return end
      for key, inner in pairs(value) do
        if type(key) == "string" and not checked[key] then
          checked[key] = true
          assert(manual:find("`" .. key .. "`", 1, true), key .. " is not in docs/wire.md")
        end
        if key == "type" and type(inner) == "string" then
          assert(manual:find("`" .. inner .. "`", 1, true), inner .. " is not in docs/wire.md")
        end
        check(inner)
      end
    end
    for _, case in ipairs(scapy) do check(wire.decode(case.bytes, case.first)) end
    for _, case in pairs(made) do check(case[1]) end
  end)
end)

describe("the sums and texts of neap.wire", function()
  it("has the Internet checksum", function()
    assert.equal(0xffff, wire.checksum "")
    assert.equal(~0xddf2 & 0xffff, wire.checksum(bytes "0001f203f4f5f6f7")) -- RFC 1071
    assert.equal(~0xab00 & 0xffff, wire.checksum "\xab")
    assert.equal(wire.checksum "abcdef", wire.checksum("ef", ~wire.checksum "abcd" & 0xffff))
    assert.raises("must not be negative", wire.checksum, "", -1)
  end)

  it("has CRC32c", function()
    assert.equal(0xe3069283, wire.crc32c "123456789")
    assert.equal(wire.crc32c "abcdef", wire.crc32c("def", wire.crc32c "abc"))
    assert.raises("bad argument #2", wire.crc32c, "", 1 << 32)
  end)

  it("has addresses as text and as bytes", function()
    assert.equal("10.0.0.255", wire.ip_text "\10\0\0\xff")
    assert.equal("2001:db8::1", wire.ip_text(bytes "20010db8000000000000000000000001"))
    assert.equal("\10\0\0\xff", wire.ip_bytes "10.0.0.255")
    assert.equal("fe80::1:0:0:2", wire.ip_text(wire.ip_bytes "FE80:0:0:0:1::2"))
    assert.fails("EINVAL", wire.ip_bytes "10.0.0.256")
    assert.fails("EINVAL", wire.ip_bytes "fe80::1%eth0")
    assert.raises("must have 4 or 16 bytes", wire.ip_text, "123")
    assert.equal("01:ab:ff", wire.mac_text "\1\xab\xff")
    assert.equal("\1\xab\xff", wire.mac_bytes "01:AB-ff")
    assert.fails("EINVAL", wire.mac_bytes "1:2:3")
  end)

  it("needs nothing of neap's core", function()
    local output, code = helper.script [[
      package.preload["neap.core"] = function() error "the core was loaded" end
      print(#require "neap.wire".encode { { layer = "udp" } })
    ]]
    assert.equal("8\n", output)
    assert.equal(0, code)
  end)
end)
