-- SPDX-License-Identifier: MIT
--- Receiving over IPX.
local core <const> = require "neap.core"
local carriers <const> = require "neap.ipx.carrier"
local packets <const> = require "neap.ipx.packet"
local sockets <const> = require "neap.ipx.socket"

local methods <const> = sockets.methods
local check <const>, is_closed <const>, tell <const> = sockets.check, sockets.is_closed, sockets.tell
local receives <const> = core.turn "receive"
local MANY <const>, MOST <const> = 64, 1024 -- of receivemany
local LONGEST <const> = 1 << 30
local text <const> = packets.text

local function check_max(max, most)
  if max == nil then return end
  if math.type(max) ~= "integer" or max < 1 or max > most then
    error(("bad argument #1 (an integer in [1, %d] expected)"):format(most), 3)
  end
end

local function deadline_of(self) return self.timeout and core.now() + self.timeout end

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

local function heard(self, packet)
  if self.tap then tell(self, "in", packet.data, packet.network, text(packet.node), packet.socket) end
end

local function info_of(packet)
  return {
    network = packet.network, node = text(packet.node), socket = packet.socket, type = packet.type, hops = packet.hops,
    local_network = packet.to_network, local_node = text(packet.to_node), local_socket = packet.to_socket,
    length = #packet.data, drops = packet.drops,
  }
end

function methods:receive(max)
  if not check(self, "receive") then return is_closed() end
  check_max(max, LONGEST)
  local packet, why, code = next_packet(self, "receive", deadline_of(self))
  if not packet then return nil, why, code end
  local data <const> = packet.data
  max = max or self.maxmessage
  if #data > max then
    self.oversized = self.oversized + 1
    return nil, ("receive: a message of %d bytes, room for %d"):format(#data, max), "EMSGSIZE", #data
  end
  heard(self, packet)
  return data, packet.network, text(packet.node), packet.socket
end

-- Cut to what there is room for.
local function with_info(self, packet, max)
  local data, info = packet.data, info_of(packet)
  if #data > max then
    data, info.truncated = data:sub(1, max), true
  end
  heard(self, packet)
  return data, info
end

function methods:receivemsg(max)
  if not check(self, "receivemsg") then return is_closed() end
  check_max(max, LONGEST)
  local packet, why, code = next_packet(self, "receivemsg", deadline_of(self))
  if not packet then return nil, why, code end
  return with_info(self, packet, max or self.maxmessage)
end

--- As receivemsg, but it never waits: nothing, if nothing is there.
function methods:take()
  if not check(self, "take") then return is_closed() end
  local packet <const> = sockets.take(self)
  if not packet then return failure(self, "take") end
  sockets.taken(self, packet)
  return with_info(self, packet, self.maxmessage)
end

-- ---- many ----

local function put_in(self, lists, n, packet)
  lists[1][n], lists[2][n], lists[3][n], lists[4][n] = packet.data, packet.network, text(packet.node), packet.socket
  heard(self, packet)
end

local function is_long(self, packet)
  if #packet.data <= self.maxmessage then return false end
  self.oversized = self.oversized + 1
  return true
end

-- Adds those that are there, up to max.
local function collect(self, lists, n, max)
  while n < max and not self.closed do
    local packet <const> = sockets.take(self)
    if not packet then break end
    sockets.taken(self, packet)
    if not is_long(self, packet) then
      n = n + 1
      put_in(self, lists, n, packet)
    end
  end
  return n
end

function methods:receivemany(max, ...)
  if not check(self, "receivemany") then return is_closed() end
  check_max(max, MOST)
  local lists <const> = { ... }
  for i = 1, 4 do
    if lists[i] == nil then lists[i] = {} end
    if type(lists[i]) ~= "table" then
      error(("bad argument #%d (table expected, got %s)"):format(i + 1, type(lists[i])), 2)
    end
  end
  local deadline <const> = deadline_of(self)
  local packet, why, code
  repeat
    packet, why, code = next_packet(self, "receivemany", deadline)
    if not packet then return nil, why, code end
  until not is_long(self, packet)
  put_in(self, lists, 1, packet)
  local n <const> = collect(self, lists, 1, max or MANY)
  for _, list in ipairs(lists) do
    for i = #list, n + 1, -1 do list[i] = nil end
  end
  return table.unpack(lists, 1, 4)
end

function methods:messages()
  check(self, "messages")
  local function step(data, why, code, ...)
    if data then return data, why, code, ... end
    if code == "EMSGSIZE" then return step(self:receive()) end
    if code ~= "ECLOSED" and code ~= "EOF" then error(why, 2) end
  end
  return function() return step(self:receive()) end
end
