--- What the probes of neap.icmp have in common: a message socket whose errors
-- come in turn with what it receives.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local message <const> = require "neap.message"

local M = {}

--- Options that are about the socket.
M.options = {
  family = "family", interface = "interface", bind = "string", tos = "byte", timestamps = "boolean",
}

--- Checks options of neap.icmp; raises blaming the caller.
function M.check(given, known, level)
  local o = args.check(given, known, 2, level + 1)
  message.check_ip(o, level + 1)
  if o.bindip then
    local family = o.bindip:find(":", 1, true) and "inet6" or "inet"
    if o.family and o.family ~= "any" and o.family ~= family then
      error(("option 'bind' is no address of the family %s"):format(o.family), level + 1)
    end
    o.family = family
  end
  return o
end

--- The address of a host: ip, family.
function M.lookup(host, o)
  local list, why, code = core.resolve(host, 0, { family = o.family or "any" })
  if not list then return nil, why, code end
  return list[1].ip, list[1].family
end

--- What of the options is the socket's: a table for message.set_up.
function M.settings(family, o, more)
  return args.with({
    errors = true, family = family, interface = o.interface, ttl = o.ttl, multicast_ttl = o.ttl, tos = o.tos,
    broadcast = o.broadcast, timestamps = o.timestamps, mtu_discover = o.mtu_discover, rcvbuf = o.rcvbuf,
  }, more or {})
end

-- ---- in turn ----

local PATIENCE <const> = 1 -- seconds, with a full queue of what is sent

local inbox <const> = {}
inbox.__index = inbox

local fatal <const> = { ECLOSED = true, EBADF = true, ENOMEM = true, ENOBUFS = true }

--- Reads a socket that was opened with errors = true, for one task.
function M.inbox(sock) return setmetatable({ sock = sock, errors = {}, first = 1 }, inbox) end

-- The kernel tells of an error once to whoever calls next, sending or
-- receiving: its queue has the rest.
function inbox:collect()
  local n = 0
  while true do
    local e = self.sock:geterror(0)
    if not e then return n end
    if e.origin == "icmp" or e.origin == "icmp6" then
      n = n + 1
      e.at = core.now()
      self.errors[#self.errors + 1] = e
    elseif e.mtu then -- of what send() has just refused
      self.mtu = e.mtu
    end
  end
end

--- Sends; an error of what was sent before is kept for next(). Returns true,
-- or nil, message, code, MTU.
function inbox:send(data, info)
  for try = 1, 64 do -- as many as can have come meanwhile
    self.mtu = nil
    self.sock:settimeout(PATIENCE)
    local done, why, code = self.sock:sendmsg(data, info)
    if done then return true end
    -- An error for which the queue had no room is not to be told from ours but
    -- by trying again.
    local found = self:collect()
    if self.mtu or found == 0 and try > 1 then return nil, why, code, self.mtu end
  end
  return nil, "send: errors of the network keep coming", "EAGAIN"
end

-- The oldest error that was collected.
function inbox:next_error()
  local e = self.errors[self.first]
  if not e then return nil end
  self.errors[self.first] = nil
  self.first = self.first + 1
  if self.first > #self.errors then self.errors, self.first = {}, 1 end
  return e
end

--- Waits for the next message or error until the deadline (at least, it looks
-- whether one is there): data, info; false, error; nil at the deadline; or
-- nil, message, code. A socket waits for the one or the other; so both are
-- tried, and it is the descriptor that is waited for.
function inbox:next(deadline)
  while true do
    local e = self:next_error()
    if e then return false, e end
    self.sock:settimeout(0)
    local data, info, code = self.sock:receivemsg()
    if data then return data, info end
    if fatal[code] then return nil, info, code end
    if self:collect() == 0 then
      local left = deadline - core.now()
      if left <= 0 then return nil end
      core.wait(self.sock, "r", left)
    end
  end
end

function inbox:close() self.sock:close() end

return M
