-- SPDX-License-Identifier: MIT
--- Who listens for SPX connections: keeps few that have asked and were not
-- heard of since, and gives those that are there.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local connections <const> = require "neap.spx.connection"
local inboxes <const> = require "neap.inbox"
local ipx_packets <const> = require "neap.ipx.packet"
local serving <const> = require "neap.serving"

local M = {}

-- ---- the door: the listener's part of an endpoint ----

local door <const> = {}
door.__index = door

local function is_open(self) return self.endpoint.door == self end

--- Somebody asks for a connection; when there are too many he asks again.
function door:request(packet, key)
  local endpoint <const> = self.endpoint
  self.requests = self.requests + 1
  local id <const> = self.embryos + self.ready:count() < self.backlog and self.n < self.most and endpoint:free_id()
  local c <const> = id and connections.server(endpoint, id, packet, key)
  if not c then
    self.refused = self.refused + 1
    return
  end
  c.embryo = true
  self.embryos, self.n = self.embryos + 1, self.n + 1
  endpoint:enter(c)
end

--- It was heard of again.
function door:arrived(c)
  c.embryo = nil
  self.embryos = self.embryos - 1
  self.ready:put(c)
end

--- It is over.
function door:left(c)
  if not c.server then return end
  self.n = self.n - 1
  if not c.embryo then return end
  self.embryos, self.failed = self.embryos - 1, self.failed + 1
end

--- Nobody listens any more; who was accepted lives on.
function door:close()
  if not is_open(self) then return end
  local endpoint <const> = self.endpoint
  local left <const> = {}
  for c in self.ready.take, self.ready do left[#left + 1] = c end
  for _, c in pairs(endpoint.connections) do
    if c.embryo then left[#left + 1] = c end
  end
  endpoint.door = nil
  for _, c in ipairs(left) do
    connections.abort(c)
    endpoint:leave(c)
  end
  self.ready:finish "ECLOSED"
  if endpoint.n == 0 then endpoint:close() end
end

-- ---- the listener ----

local methods <const> = {}
local class <const> = { __name = "neap.spx.listener", __index = methods }
local turn <const> = core.turn "accept"
local closed <const> = { "closed", "ECLOSED" }

local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return self.door
end

--- On an endpoint. o: backlog, max_connections.
function M.new(endpoint, o)
  endpoint.door = setmetatable({
    endpoint = endpoint, backlog = o.backlog, most = o.max_connections, ready = inboxes.new "accept",
    n = 0, embryos = 0, requests = 0, refused = 0, failed = 0,
  }, door)
  return setmetatable({ door = endpoint.door }, class)
end

-- Its stream; nil if it was lost before anybody took it.
local function take_up(c)
  if c.machine.state == "closed" and c.machine.code then return nil end
  return connections.stream(c)
end

local function next_stream(d, deadline)
  while true do
    turn()
    if not is_open(d) then return nil, table.unpack(closed) end
    d.endpoint:needs_tasks()
    local c, why, code = d.ready:take()
    if not c then c, why, code = d.ready:wait(deadline and math.max(0, deadline - core.now())) end
    if code == "ECLOSED" then return nil, table.unpack(closed) end
    if not c then return nil, "accept: " .. why, code end
    local stream <const> = take_up(c)
    if stream then return stream end
  end
end

--- Waits for a connection: its stream.
function methods:accept(timeout)
  local d <const> = check(self, "accept")
  args.timeout(timeout, 1, 2)
  return next_stream(d, timeout and core.now() + timeout)
end

serving.methods(methods, check)

-- ---- what it is ----

--- No more connections; those that were accepted live on.
function methods:close()
  check(self, "close"):close()
  return true
end

function methods:isopen() return is_open(check(self, "isopen")) end

--- Network, node and socket.
function methods:getsockname()
  local d <const> = check(self, "getsockname")
  if not is_open(d) then return nil, table.unpack(closed) end
  local endpoint <const> = d.endpoint
  return endpoint.carrier.network, ipx_packets.text(endpoint.carrier.node), endpoint.number
end

--- Counts: connections, embryos (asked, and not heard of since), ready (to be
-- accepted); requests, refused, failed since it was made.
function methods:statistics()
  local d <const> = check(self, "statistics")
  return {
    connections = d.n - d.embryos, embryos = d.embryos, ready = d.ready:count(), requests = d.requests,
    refused = d.refused, failed = d.failed,
  }
end

local function close(self) self.door:close() end
class.__close, class.__gc = close, close

function class.__tostring(self)
  if not is_open(self.door) then return class.__name .. " (closed)" end
  return ("%s (%04x)"):format(class.__name, self.door.endpoint.number)
end

return M
