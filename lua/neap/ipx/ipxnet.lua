-- SPDX-License-Identifier: MIT
--- IPX as DOSBoxes carry it: packets in UDP to a server, which gives each
-- client its node and forwards what they send to each other.
local core <const> = require "neap.core"
local carriers <const> = require "neap.ipx.carrier"
local packets <const> = require "neap.ipx.packet"
local udp <const> = require "neap.udp"

local M = {}

local ECHO <const> = 2 -- the socket of registrations and pings
local TIMEOUT <const>, KEEPALIVE <const> = 5, 30 -- seconds
local FIRST_RETRY <const>, LAST_RETRY <const> = 0.25, 2 -- seconds
local NOWHERE <const>, BROADCAST <const> = packets.NOWHERE, packets.BROADCAST

M.ECHO = ECHO

local driver <const> = { kind = "ipxnet" }

-- A packet without data, between sockets of that number.
local function echo(from, network, node)
  return packets.encode({
    type = 0, to_network = network, to_node = node, to_socket = ECHO, network = 0, node = from, socket = ECHO,
  }, "")
end
M.echo = echo

-- ---- being registered ----

-- One that is known says so, and keeps its place.
local function ask(self)
  self.counts.registrations = self.counts.registrations + 1
  return core.message_put(self.links[1], echo(self.node, 0, NOWHERE))
end

local function is_answer(packet)
  return packet.socket == ECHO and packet.to_socket == ECHO and packet.to_node ~= NOWHERE
    and packet.to_node ~= BROADCAST
end

-- The server knows us, as this node.
local function registered(self, packet)
  self.node, self.heard, self.answered = packet.to_node, core.now(), true
end

function driver.unwrap(self)
  self.heard = core.now()
  return 1
end

-- A ping is answered; and what is said to a client's socket 2 by name is the
-- answer to a registration, or to a ping of ours.
function driver.control(self, packet)
  if packet.to_socket ~= ECHO or packet.socket ~= ECHO then return false end
  if packet.to_node == BROADCAST then
    if carriers.inherited(self) then return true end
    self.counts.pings = self.counts.pings + 1
    core.message_put(self.links[1], echo(self.node, packet.network, packet.node))
    return true
  end
  if not self.answered and is_answer(packet) then
    registered(self, packet)
    carriers.schedule(self, core.now() + self.keepalive)
    return true
  end
  return packet.to_node == self.node and not self.sockets[ECHO]
end

-- Nothing was heard for a while: the server may have begun anew, or a
-- translator on the way may have forgotten us.
function driver.expire(self)
  local now <const> = core.now()
  local due <const> = self.heard + self.keepalive
  if self.answered and now < due then return carriers.schedule(self, due) end
  self.answered = false
  ask(self)
  carriers.schedule(self, now + math.min(self.keepalive, LAST_RETRY))
end

-- Nobody listens at the server's port: it is asked again, later.
function driver.trouble(_, code) return code == "ECONNREFUSED" end

function driver.put(self, packet) return core.message_put(self.links[1], packet) end

function driver.statistics(self, all) all.registered = self.answered end

-- ---- making ----

-- Takes what is there until it is the answer: true; false if it is not there;
-- or nil, message, code.
local function take_answer(self)
  while true do
    local data, why, code = core.message_take(self.links[1])
    if not data then
      if why then return nil, why, code end
      return false
    end
    local packet <const> = packets.decode(data, 1)
    if packet and is_answer(packet) then
      registered(self, packet)
      return true
    end
  end
end

-- Waits for the answer until then, as take_answer.
local function await_answer(self, due)
  while true do
    local done, why, code = take_answer(self)
    if done ~= false then return done, why, code end
    local left <const> = due - core.now()
    if left <= 0 then return false end
    done, why, code = core.message_await(self.links[1], left)
    if not done and code ~= "ETIMEDOUT" then return nil, why, code end
  end
end

-- Asks until there is an answer: true, or nil, message, code.
local function register(self, deadline)
  local patience = FIRST_RETRY
  while core.now() < deadline do
    local done, why, code = ask(self)
    if not done and code ~= "EAGAIN" then return nil, why, code end
    done, why, code = await_answer(self, math.min(deadline, core.now() + patience))
    if done ~= false then return done, why, code end
    patience = math.min(patience * 2, LAST_RETRY)
  end
  return nil, "no answer to the registration", "ETIMEDOUT"
end

--- o: timeout, keepalive, network, mtu, bind, rcvbuf, sndbuf; all checked.
function M.open(host, port, o)
  local deadline <const> = core.now() + (o.timeout or TIMEOUT)
  local link, why, code = udp.connect(host, port, {
    family = "inet", timeout = o.timeout, bind = o.bind, rcvbuf = o.rcvbuf, sndbuf = o.sndbuf,
  })
  if not link then return nil, why:gsub("^udp%.connect", "ipx.ipxnet"), code end
  local self <const> = carriers.new(driver, {
    links = { link }, network = o.network or 0, node = NOWHERE, longest = o.mtu or 576, flat = true, always = true,
    keepalive = o.keepalive or KEEPALIVE, heard = core.now(), answered = false,
  })
  self.counts.registrations, self.counts.pings = 0, 0
  local guard <close> = setmetatable({}, { __close = function()
    if not self.answered then carriers.close(self) end
  end })
  local ok
  ok, why, code = register(self, deadline)
  if not ok then return nil, ("ipx.ipxnet %s:%s: %s"):format(host, port, why:gsub("^.*: ", "")), code end
  self.due = core.now() + self.keepalive
  carriers.needs_pump(self)
  return self
end

return M
