-- SPDX-License-Identifier: MIT
--- A socket of IPX with the SPX connections on it. The carrier brings what
-- comes; one task does the rest, for all of them.
local core <const> = require "neap.core"
local carriers <const> = require "neap.ipx.carrier"
local connections <const> = require "neap.spx.connection"
local ipx <const> = require "neap.ipx"
local machines <const> = require "neap.spx.machine"
local packets <const> = require "neap.spx.packet"
local random <const> = require "neap.random"

local M = {}

local endpoint <const> = { __name = "neap.spx.endpoint" }
endpoint.__index = endpoint

local TYPE <const> = 5
local HEADER <const> = 12
local MOST_FAREWELLS <const> = 64 -- answers to the disconnects of those that are no more, at once
local ENDED <const> = { done = true, failed = true, cancelled = true, killed = true }

-- Those whose streams are closed and that have something to say yet.
local lingering <const> = {} -- luacheck: ignore 241

-- ---- making ----

--- o: carrier, network, mtu, socket; window, retries, spx2, watchdog, buffer, and
-- what streams take. Or nil, message, code.
function M.open(o)
  local sock, why, code = ipx.open { carrier = o.carrier, network = o.network, mtu = o.mtu, socket = o.socket or 0 }
  if not sock then return nil, why, code end
  local carrier <const>, owns <const> = sock:getcarrier(), sock.owns
  sock.owns = nil
  local self <const> = setmetatable({
    o = o, carrier = carrier, number = sock.number, owns = owns, hub = core.relays(),
    connections = {}, callers = {}, n = 0, lingers_n = 0, dirty = {}, due_of = {}, farewells = {},
  }, endpoint)
  sock:close()
  carriers.enter(carrier, self, self.number)
  if carrier.longest <= packets.OVERHEAD then
    self:close()
    return nil, "packets of the carrier are too short", "EMSGSIZE"
  end
  self:needs_tasks()
  return self
end

--- What a machine on it is made of.
function endpoint:machine_options(id)
  local o <const> = self.o
  return {
    id = id, longest = self.carrier.longest, window = o.window, retries = o.retries, spx2 = o.spx2,
    watchdog = o.watchdog,
  }
end

--- A number that no connection has; nil if there is none.
function endpoint:free_id()
  local id = self.last_id or (">I2"):unpack(random.bytes(2))
  for _ = 1, packets.NOBODY do
    id = id % (packets.NOBODY - 1) + 1
    if not self.connections[id] then
      self.last_id = id
      return id
    end
  end
end

-- ---- who is there ----

function endpoint:enter(c)
  self.connections[c.id] = c
  if c.key then self.callers[c.key] = c end
  self.n = self.n + 1
  self:mark(c)
end

--- One less; the last one closes the socket, if nobody listens.
function endpoint:leave(c)
  if self.connections[c.id] ~= c then return end
  self.connections[c.id] = nil
  if c.key then self.callers[c.key] = nil end
  self.dirty[c], self.due_of[c] = nil, nil
  self.n = self.n - 1
  self:lingers(c, false)
  if self.door then self.door:left(c) end
  if self.n == 0 and not self.door then self:close() end
end

--- It is to be held until it has left, though its stream is closed.
function endpoint:lingers(c, on)
  if (c.lingers or false) == on then return end
  c.lingers = on
  self.lingers_n = self.lingers_n + (on and 1 or -1)
  lingering[self] = self.lingers_n > 0 or nil
end

--- One that was called is there.
function endpoint:arrived(c)
  if self.door then self.door:arrived(c) end
end

-- ---- what the carrier brings ----

--- There is something to be done for it.
function endpoint:mark(c)
  self.dirty[c] = true
  self.hub:wake()
end

local function is_peer(c, packet)
  return c.node == packet.node and c.socket == packet.socket
    and (c.network == packet.network or c.network == 0 or packet.network == 0)
end

-- Somebody wants a connection; or wanted it before, and did not hear of it.
local function requested(self, packet)
  local from <const> = machines.request(packet.data)
  if not from then return end
  local key <const> = ("%s%d.%d"):format(packet.node, packet.socket, from)
  local c <const> = self.callers[key]
  if c then
    c.machine:requested(core.now())
    self:mark(c)
  elseif self.door then
    self.door:request(packet, key)
  end
end

-- Those that are no more are told that it is over.
local function unknown(self, packet)
  local answer <const> = machines.goodbye(packet.data)
  if not answer or #self.farewells >= MOST_FAREWELLS or packet.to_node ~= self.carrier.node then return end
  self.farewells[#self.farewells + 1] = {
    type = TYPE, to_network = packet.network, to_node = packet.node, to_socket = packet.socket,
    network = self.carrier.network, node = self.carrier.node, socket = self.number, answer = answer,
  }
  self.hub:wake()
end

--- A packet for the socket has come.
function endpoint:deliver(packet)
  local data <const> = packet.data
  if packet.type ~= TYPE or #data < HEADER then return end
  local to <const> = (">I2"):unpack(data, 5)
  if to == packets.NOBODY then return requested(self, packet) end
  local c <const> = self.connections[to]
  if not c or not is_peer(c, packet) or c.over then return unknown(self, packet) end
  c.machine:input(data, core.now())
  self:mark(c)
end

--- What the system says of the carrier: those that call may as well give up.
function endpoint:trouble(why, code)
  for _, c in pairs(self.connections) do
    if not c.open and not c.server then
      c.machine:fail(code, (why:gsub("^.*: ", "")))
      self:mark(c)
    end
  end
end

-- ---- the end ----

--- With all its connections, at once.
function endpoint:close()
  if self.closed then return true end
  self.closed = true
  local carrier <const> = self.carrier
  for _, c in pairs(self.connections) do connections.abort(c, "ECONNABORTED", "the carrier was closed") end
  self.gone = true
  self.connections, self.callers, self.n = {}, {}, 0
  lingering[self] = nil
  if self.door then self.door:close() end
  if not carrier.closed then carriers.leave(carrier, self) end
  if self.owns then carriers.close(carrier) end
  self.hub:wake()
  return true
end

endpoint.__gc = endpoint.close

-- ---- the task ----

local function say_farewells(self)
  if #self.farewells == 0 then return end
  local list <const> = self.farewells
  self.farewells = {}
  for _, head in ipairs(list) do
    if not carriers.inherited(self.carrier) then carriers.put(self.carrier, head, head.answer, false, self) end
  end
end

local function service(self, c, now)
  local due <const> = connections.service(c, now)
  if due == false then return self:leave(c) end
  self.due_of[c] = due
  if due and (not self.due or due < self.due) then self.due = due end
end

-- Whose time it is; and when the next one's is.
local function expire(self, now)
  if not self.due or now < self.due then return end
  self.due = nil
  for c, due in pairs(self.due_of) do
    if due <= now then
      self.dirty[c] = true
    elseif not self.due or due < self.due then
      self.due = due
    end
  end
end

-- One round, in a function of its own: what waits holds nothing. Seconds to
-- wait, true for ever, or false when nobody is there any more.
local function round(held)
  local self <const> = held[1]
  if not self or self.closed then return false end
  local now <const> = core.now()
  for id in self.hub.next, self.hub do
    local c <const> = self.connections[id]
    if c then self.dirty[c] = true end
  end
  expire(self, now)
  local list <const> = self.dirty
  self.dirty = {}
  for c in pairs(list) do
    if self.connections[c.id] == c then service(self, c, now) end
  end
  say_farewells(self)
  if self.closed then return false end
  if next(self.dirty) then return 0 end
  return self.due and math.max(0, self.due - core.now()) or true
end

-- What ends the task ends all of them.
local held_meta <const> = { __mode = "v", __close = function(held)
  if held[1] then held[1]:close() end
end }

local function drive(hub, held)
  local guard <close> = held
  while true do
    local left = round(guard)
    if not left then return end
    if left == 0 then
      core.sleep(0)
    else
      hub:await(left ~= true and left or nil)
    end
  end
end

--- Whoever waits needs them. In a child after fork there are none, until there
-- is a loop.
function endpoint:needs_tasks()
  carriers.needs_pump(self.carrier)
  if self.task and not ENDED[self.task:status()] then return end
  self.task = core.spawn({ daemon = true, name = "spx" }, drive, self.hub, setmetatable({ self }, held_meta))
end

return M
