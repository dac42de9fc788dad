-- SPDX-License-Identifier: MIT
--- Receiving over IPX.
local core <const> = require "neap.core"
local carriers <const> = require "neap.ipx.carrier"
local datagram <const> = require "neap.datagram"
local packets <const> = require "neap.ipx.packet"
local sockets <const> = require "neap.ipx.socket"

local methods <const> = sockets.methods
local check <const>, is_closed <const> = sockets.check, datagram.is_closed
local receives <const> = core.turn "receive"
local text <const> = packets.text

-- What it fails with, where nothing is there: what the system said of the
-- carrier, once.
local function failure(self, name)
  if self.closed then return is_closed() end
  if self.deaf then return nil, "end of stream", "EOF" end
  local told <const> = self.failure
  if not told then return end
  self.failure = nil
  return nil, ("%s: %s"):format(name, told[1]), told[2]
end

-- What is there now, if anything.
local function take_packet(self)
  local packet <const> = sockets.take(self)
  if packet then sockets.taken(self, packet) end
  return packet
end

-- The next packet, or nil, message, code.
local function next_packet(self, name, deadline)
  receives()
  if self.closed then return is_closed() end
  local packet = sockets.take(self)
  while not packet do
    local why, code
    if self.closed or self.deaf or self.failure then return failure(self, name) end
    carriers.needs_pump(self.carrier)
    packet, why, code = self.inbox:wait(deadline and math.max(0, deadline - core.now()))
    if code == "ETIMEDOUT" then return nil, ("%s: %s"):format(name, why), code end
  end
  sockets.taken(self, packet)
  return packet
end

local function address_of(_, packet) return packet.network, text(packet.node), packet.socket end

local function info_of(_, packet)
  return {
    network = packet.network, node = text(packet.node), socket = packet.socket, type = packet.type, hops = packet.hops,
    local_network = packet.to_network, local_node = text(packet.to_node), local_socket = packet.to_socket,
    length = #packet.data, drops = packet.drops,
  }
end

local open <const> = datagram.receive(methods, check, {
  width = 3, next = next_packet, take = take_packet, address = address_of, info = info_of,
})

--- As receivemsg, but it never waits: nothing, if nothing is there.
function methods:take()
  if not check(self, "take") then return is_closed() end
  local packet <const> = take_packet(self)
  if not packet then return failure(self, "take") end
  return open(self, packet, self.maxmessage)
end
