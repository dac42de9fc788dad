-- SPDX-License-Identifier: MIT
--- An IPX socket: a message socket with a number on a carrier that others
-- share.
local args <const> = require "neap.args"
local carriers <const> = require "neap.ipx.carrier"
local datagram <const> = require "neap.datagram"
local inboxes <const> = require "neap.inbox"
local packets <const> = require "neap.ipx.packet"

local class <const> = { __name = "neap.ipx" }
local methods <const> = {}
class.__index = methods

local M = { class = class, methods = methods }

local OVERHEAD <const> = 256 -- bytes that a message in the inbox counts beside its own

--- On a carrier. o: number, type, checksum, broadcast, timeout, maxmessage,
-- maxqueue, owns (the carrier is closed with it). Nil: the number is taken.
function M.new(carrier, o)
  local self <const> = setmetatable({
    carrier = carrier, type = o.type, sum = o.checksum, broadcast = o.broadcast, timeout = o.timeout,
    maxmessage = o.maxmessage, maxqueue = o.maxqueue, owns = o.owns,
    inbox = inboxes.new "receive", queued = 0,
    received = 0, receivedbytes = 0, sent = 0, sentbytes = 0, oversized = 0, dropped = 0,
  }, class)
  self.number = carriers.enter(carrier, self, o.number)
  if not self.number then
    self.closed = true
    return nil
  end
  return self
end

-- Whether it is open; raises if it is none of ours.
local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return not self.closed
end

local is_closed <const> = datagram.is_closed

M.check = check

datagram.describe(methods, "ipx", check)
datagram.refuse(methods, check, {
  "bind", "detach", "join", "leave", "block", "unblock", "attachfilter", "detachfilter", "geterror",
})

-- ---- what the carrier does with it ----

-- Network 0 is this one; where that has no number, it may be any.
local function is_peer(self, packet)
  local peer <const>, here <const> = self.peer, self.carrier.network
  if packet.node ~= peer.node or packet.socket ~= peer.socket then return false end
  local from <const> = packet.network ~= 0 and packet.network or here
  local wanted <const> = peer.network ~= 0 and peer.network or here
  return from == wanted or from == 0 or wanted == 0
end

--- A packet for it has come.
function methods:deliver(packet)
  if self.deaf or self.peer and not is_peer(self, packet) then return end
  local n <const> = #packet.data + OVERHEAD
  if not self.inbox:awaited() and self.queued + n > self.maxqueue then
    self.dropped = self.dropped + 1
    return
  end
  self.queued = self.queued + n
  if self.carrier.tells_drops then packet.drops = (self.carrier.drops or 0) + self.dropped end
  self.inbox:put(packet)
end

--- Takes what deliver has put, if there is anything.
function M.take(self)
  local packet = self.inbox:take()
  if not packet then
    carriers.drain(self.carrier)
    packet = self.inbox:take()
  end
  return packet
end

--- A packet has left the inbox.
function M.taken(self, packet)
  self.queued = self.queued - #packet.data - OVERHEAD
  self.received, self.receivedbytes = self.received + 1, self.receivedbytes + #packet.data
end

--- What the system says of the carrier: told to who waits, or to the next.
function methods:trouble(why, code)
  self.failure = { why:gsub("^.*: ", ""), code }
  if self.inbox:awaited() then self.inbox:finish(code) end
end

-- ---- the end ----

local function close(self)
  if self.closed then return true end
  local carrier <const> = self.carrier
  self.closed, self.carrier, self.tap = true, nil, nil
  carriers.leave(carrier, self)
  self.inbox:clear()
  self.inbox:finish "ECLOSED"
  if self.owns then carriers.close(carrier) end
  return true
end

function methods:close()
  check(self, "close")
  return close(self)
end

--- Nothing more is sent ("w"), or taken ("r"). Nobody is told.
datagram.end_with(methods, check, function(self) self.mute = true end)

-- ---- what it is ----

function methods:family()
  if not check(self, "family") then return is_closed() end
  return "ipx"
end

function methods:getsockname()
  if not check(self, "getsockname") then return is_closed() end
  local carrier <const> = self.carrier
  return carrier.network, packets.text(carrier.node), self.number
end

function methods:getpeername()
  if not check(self, "getpeername") then return is_closed() end
  local peer <const> = self.peer
  if not peer then return nil, "getpeername: Transport endpoint is not connected", "ENOTCONN" end
  return peer.network, packets.text(peer.node), peer.socket
end

--- The longest message.
function methods:mtu()
  if not check(self, "mtu") then return is_closed() end
  return self.carrier.longest - packets.HEADER
end

--- What it is on.
function methods:getcarrier()
  if not check(self, "getcarrier") then return is_closed() end
  return self.carrier
end

function methods:setsockopt(name, ...)
  if not check(self, "setsockopt") then return is_closed() end
  if name == "SO_BROADCAST" then
    self.broadcast = args.argument((...), "boolean", 2, 2)
    return self
  end
  local done, why, code = carriers.below(self.carrier, self, 2, "setsockopt", name, ...)
  if done and name == "SO_RXQ_OVFL" then carriers.tell_drops(self.carrier, (...)) end
  return done, why, code
end

function methods:getsockopt(name)
  if not check(self, "getsockopt") then return is_closed() end
  if name == "SO_BROADCAST" then return self.broadcast end
  local value, why, code = carriers.below(self.carrier, self, 2, "getsockopt", name)
  return value, why, code
end

function methods:fileno()
  if not check(self, "fileno") then return is_closed() end
  return self.carrier.links[1]:fileno()
end

class.__close, class.__gc = close, close

function class.__tostring(self)
  if self.closed then return "neap.ipx (closed)" end
  return ("neap.ipx (%d)"):format(self.carrier.links[1]:fileno())
end

return M
