--- One of the associations of a message socket.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local options <const> = require "neap.sctp.options"
local streams <const> = require "neap.sctp.streams"
local sync <const> = require "neap.sync"

local class <const> = { __name = "neap.sctp.association" }
local methods <const> = {}
class.__index = methods

local M = { class = class }

-- What notifications say of a failure.
local REASONS <const> = {
  cannot_start = { "refused, or never answered", "ECONNREFUSED" },
  lost = { "Connection reset by peer", "ECONNRESET" },
}

--- A new one, which is not up yet.
function M.new(socket, id)
  return setmetatable({ socket = socket, id = id, state = "connecting", settled = sync.event() }, class)
end

function M.up(self)
  if self.state == "connecting" then self.state = "established" end
  self.settled:set()
end

--- It is no more. event: what told so.
function M.ended(self, event)
  if event then self.failure = REASONS[event.state] end
  self.state = "closed"
  self.settled:set()
end

-- The engine and the stream; or nil, message, code.
local function reach(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  local socket <const> = self.socket
  if socket.closed then return nil, "closed", "ECLOSED" end
  if self.state == "closed" then return nil, name .. ": the association has ended", "ENOTCONN" end
  return socket.engine, socket.stream
end

--- Whether it goes on.
function methods:isopen()
  if getmetatable(self) ~= class then args.method(self, class, "isopen", 2) end
  return self.state ~= "closed" and not self.socket.closed
end

--- A message to this peer.
function methods:send(data, info)
  local engine <const>, why, code = reach(self, "send")
  if not engine then return nil, why, code end
  if info ~= nil and type(info) ~= "table" then
    error(("bad argument #2 (table expected, got %s)"):format(type(info)), 2)
  end
  local all <const> = args.with(info or {}, { association = self.id })
  local done
  done, why, code = args.blame(2, self.socket.sendmsg, self.socket, data, all)
  if done then return self end
  return nil, why, code
end

--- ip, port: one of the peer's addresses.
function methods:getpeername()
  local engine <const>, why, code = reach(self, "getpeername")
  if not engine then return nil, why, code end
  return self.ip, self.port
end

--- As a stream has it.
function methods:sctpinfo()
  local engine <const>, stream, code = reach(self, "sctpinfo")
  if not engine then return nil, stream, code end
  return streams.info(engine, stream, self.id)
end

function methods:sctpget(what)
  local engine <const>, stream, code = reach(self, "sctpget")
  if not engine then return nil, stream, code end
  options.check_get(what, 2)
  return engine.get(stream, what, self.id)
end

-- Sets it, or does it.
local function set(self, name, what, value)
  local engine <const>, stream, code = reach(self, name)
  if not engine then return nil, stream, code end
  local done, why
  done, why, code = engine.set(stream, what, value, self.id)
  if done then return self end
  return nil, why, code
end

function methods:sctpset(what, value)
  options.check_set(what, value, 2)
  return set(self, "sctpset", what, value)
end

function methods:resetstreams(given)
  local value <const> = given or { outgoing = true }
  options.check_set("reset_streams", value, 2)
  return set(self, "resetstreams", "reset_streams", value)
end

function methods:addstreams(given)
  options.check_set("add_streams", given, 2)
  return set(self, "addstreams", "add_streams", given)
end

function methods:setprimary(ip)
  options.check_set("primary", ip, 2)
  return set(self, "setprimary", "primary", ip)
end

--- Ends it, once all has been delivered that was sent.
function methods:shutdown() return set(self, "shutdown", "shutdown", true) end

--- Ends it at once; the peer is told why.
function methods:abort(reason)
  if reason ~= nil then options.check_set("abort", reason, 2) end
  return set(self, "abort", "abort", reason or "")
end

--- Waits until it has ended: true; or nil, message, code.
function methods:wait(timeout)
  local engine <const>, why, code = reach(self, "wait")
  if not engine and code == "ECLOSED" then return nil, why, code end
  local deadline <const> = timeout and core.now() + timeout
  while self.state ~= "closed" do
    self.settled:clear()
    self.socket:_needs_pump()
    local ok
    ok, why, code = self.settled:wait(deadline and math.max(0, deadline - core.now()))
    if not ok then return nil, why, code end
  end
  return true
end

--- A stream of its own: the socket has nothing more to do with it.
function methods:peeloff()
  local engine <const>, stream, code = reach(self, "peeloff")
  if not engine then return nil, stream, code end
  local socket <const> = self.socket
  local made, why
  made, why, code = engine.peeloff(stream, self.id, socket.options)
  if not made then return nil, why, code end
  socket:_forget(self)
  return made:settimeout(socket.timeout)
end

function class.__tostring(self)
  return ("neap.sctp.association %d (%s)"):format(self.id, self.state)
end

return M
