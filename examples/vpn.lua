-- A tunnel between two machines: IP packets of an interface go through UDP.
-- Run it, as root, on both:
--   lua5.4 vpn.lua 192.0.2.1:5000 198.51.100.7:5000 10.9.0.1 10.9.0.2
--   lua5.4 vpn.lua 198.51.100.7:5000 192.0.2.1:5000 10.9.0.2 10.9.0.1
-- (own address, the other's, own address in the tunnel, the other's.) It neither
-- encrypts nor proves who sends: it is for a network that you trust.
-- SPDX-License-Identifier: MIT
local usage <const> = "usage: vpn.lua own-ip:port peer-ip:port tunnel-ip tunnel-peer-ip"

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local tun <const> = require "neap.tun"
local udp <const> = require "neap.udp"

local MTU <const> = 1400 -- room for the headers of UDP and of either IP

-- A network loses packets, so what cannot be sent is lost. While the other end
-- is not there the system says so: that is no reason to end.
local function pass(from, to)
  while true do
    local packet, why, code = from:receive()
    if packet then
      to:send(packet)
    elseif code == "ECLOSED" then
      return
    elseif code ~= "ECONNREFUSED" then
      error(why, 0)
    end
  end
end

local function tunnel(own, host, port, address, peer)
  local wire <close> = assert(udp.connect(host, port, { bind = own }))
  local device <close>, name = tun.open(nil, { address = address, peer = peer, mtu = MTU })
  if not device then error(name, 0) end
  local signal <close> = neap.signal("INT", "TERM")
  local group <close> = neap.group()
  group:spawn({ name = "out" }, pass, device, wire)
  group:spawn({ name = "in" }, pass, wire, device)
  print(("%s: %s to %s"):format(name, address, peer))
  io.stdout:flush()
  signal:wait()
  group:cancel()
end

local own <const>, other <const>, address <const>, peer <const> = table.unpack(arg)
local host, port = (other or ""):match "^%[?(.-)%]?:(%d+)$"
if not peer or not host then
  io.stderr:write(usage, "\n")
  os.exit(2)
end
neap.run(tunnel, own, host, math.tointeger(tonumber(port)), address, peer)
