-- Packets to tables and back, loading included.
local wire = require "neap.wire"

local data = wire.encode {
  { layer = "ethernet", dst = "02:00:00:00:00:01", src = "02:00:00:00:00:02" },
  { layer = "ipv4", src = "10.0.0.1", dst = "10.0.0.2" },
  { layer = "icmp", type = 3, original = { { layer = "ipv4" },
    { layer = "tcp", flags = "SA", options = { { type = "mss", mss = 1460 } } } } },
  ("x"):rep(4000),
}
local packet = assert(wire.decode(data))
assert(packet.icmp.original.tcp.options[1].mss == 1460)
assert(wire.encode(packet) == data)
assert(not wire.decode(data:sub(1, 20)))
