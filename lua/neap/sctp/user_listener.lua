--- Who listens for associations of the user engine.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local inboxes <const> = require "neap.inbox"
local serving <const> = require "neap.serving"
local has <const>, carriers <const> = pcall(require, "neap.sctp.carrier")

local M = {}

local methods <const> = {}
local class <const> = { __name = "neap.sctp.listener", __index = methods }
local turn <const> = core.turn "accept"

-- What belongs to each; the object itself has no fields of its own.
local doors <const> = setmetatable({}, { __mode = "k" })

local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return doors[self]
end

-- Its door: what the carriers tell that somebody came.
local door <const> = {}
door.__index = door

--- Whoever waits is given one.
function door:arrived()
  while self.inbox:awaited() do
    local wire = self.wire:accept()
    if not wire then return end
    self.inbox:put(wire)
  end
end

--- On a socket that listens. dress(accepted socket): the stream of it, or nil.
function M.new(wire, carrier, dress)
  local self <const> = setmetatable({
    wire = wire, carrier = carrier, dress = dress, inbox = inboxes.new "accept",
  }, door)
  local listener <const> = setmetatable({}, class)
  doors[listener] = self
  if has then carriers.listens(self) end
  return listener
end

local function next_wire(self, timeout)
  turn()
  if not self.wire:isopen() then return nil, "closed", "ECLOSED" end
  local wire = self.inbox:take() or self.wire:accept()
  if wire then return wire end
  carriers.needs_pump(self.carrier)
  local why, code
  wire, why, code = self.inbox:wait(timeout)
  if wire then return wire end
  if code == "ECLOSED" then return nil, "closed", "ECLOSED" end
  return nil, "accept: " .. why, code
end

--- Waits for an association: its stream.
function methods:accept(timeout)
  local d <const> = check(self, "accept")
  args.timeout(timeout, 1, 2)
  local deadline <const> = timeout and core.now() + timeout
  while true do
    local wire, why, code = next_wire(d, deadline and math.max(0, deadline - core.now()))
    if not wire then return nil, why, code end
    local stream <const> = d.dress(wire)
    if stream then return stream end
  end
end

serving.methods(methods, check)

-- ---- what it is ----

local function close(d)
  if not d.wire:isopen() then return end
  for wire in d.inbox.take, d.inbox do wire:close() end
  d.wire:close()
  d.inbox:finish "ECLOSED"
  carriers.sweep()
end

--- No more associations; those that were accepted live on.
function methods:close()
  close(check(self, "close"))
  return true
end

function methods:isopen() return check(self, "isopen").wire:isopen() end

--- Its address and port; and the carrier's UDP port.
function methods:getsockname()
  local d <const> = check(self, "getsockname")
  local port, why, code = d.wire:port()
  if not port then return nil, why, code end
  local ip, udp_port = d.carrier.sock:getsockname()
  if not ip then return nil, udp_port, "ECLOSED" end
  return ip, port, not d.carrier.raw and udp_port or nil
end

--- Counts of its carrier: packets in, out, dropped; peers.
function methods:statistics()
  local received, sent, dropped, peers = check(self, "statistics").carrier.wire:statistics()
  return { packets_in = received, packets_out = sent, dropped = dropped, peers = peers }
end

class.__close = function(self) close(doors[self]) end
class.__gc = function(self)
  if doors[self] then close(doors[self]) end
end

function class.__tostring(self)
  local ip, port = methods.getsockname(self)
  if not ip then return "neap.sctp.listener (closed)" end
  return ("neap.sctp.listener (%s)"):format(args.text(ip, port))
end

return M
