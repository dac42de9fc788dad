--- One-to-many: a message socket with an association for each of its peers.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local associations <const> = require "neap.sctp.association"
local inboxes <const> = require "neap.inbox"
local options <const> = require "neap.sctp.options"

core.open_messages() -- what it brings is needed here, too

local class <const> = { __name = "neap.sctp" }
local methods <const> = {}
class.__index = methods

local M = { class = class, methods = methods }

local AHEAD <const> = 64 -- messages that are read before anybody asks
local LONGEST <const> = 1 << 20

--- The options for the engine: a receive may have more room than maxmessage.
function M.options_below(o) return args.with(o, { maxmessage = math.max(o.maxmessage or 0, LONGEST) }) end

--- Over a stream of the engine's that is used for its messages only.
function M.new(endpoint, engine, o)
  local tells <const> = {}
  for _, name in ipairs(o.events or {}) do tells[name] = true end
  return setmetatable({
    stream = endpoint, engine = engine, options = o, timeout = o.timeout, maxmessage = o.maxmessage or LONGEST,
    tells = tells, inbox = inboxes.new "receive", byid = {}, byaddress = {}, connecting = 0,
    received = 0, receivedbytes = 0, sent = 0, sentbytes = 0, oversized = 0,
  }, class)
end

-- Whether it is open; raises if it is none of ours.
local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return not self.closed
end

local function is_closed() return nil, "closed", "ECLOSED" end

M.check, M.is_closed = check, is_closed

-- ---- what comes ----

local function known(self, id)
  local association = self.byid[id]
  if not association then
    association = associations.new(self, id)
    self.byid[id] = association
  end
  return association
end

local function forget(self, association, event)
  self.byid[association.id] = nil
  for key, other in pairs(self.byaddress) do
    if other == association then self.byaddress[key] = nil end
  end
  associations.ended(association, event)
end

-- Its addresses are where it is found.
local function is_up(self, association)
  local peers <const> = self.engine.get(self.stream, "peers", association.id) or {}
  for _, at in ipairs(peers) do self.byaddress[args.text(at.ip, at.port)] = association end
  if peers[1] and not association.ip then association.ip, association.port = peers[1].ip, peers[1].port end
  associations.up(association)
end

local function of_association(self, event)
  local association <const> = known(self, event.association)
  if event.state == "up" or event.state == "restart" then
    is_up(self, association)
  else
    forget(self, association, event)
  end
end

local function of_data(self, info)
  local association <const> = known(self, info.association)
  if association.state == "connecting" then is_up(self, association) end
  if not info.ip then info.ip, info.port = association.ip, association.port end
  if not association.ip then association.ip, association.port = info.ip, info.port end
end

-- Who reads himself comes before those who wait.
local function deliver(self, item)
  local inbox <const> = self.inbox
  if not self.first then return inbox:put(item) end
  inbox.last = inbox.last + 1
  inbox[inbox.last] = item
end

-- True if there may be more to come.
local function dispatch(self, data, info, code)
  if data then
    local event <const> = info.notification
    if not event then
      of_data(self, info)
      deliver(self, { data, info })
    else
      if event.type == "association" then of_association(self, event) end
      if self.tells[event.type] then deliver(self, { data, info }) end
    end
    return true
  end
  if code == "EMSGSIZE" then
    local length <const> = math.tointeger(tonumber(info:match "(%d+) bytes")) or 0
    deliver(self, { false, info, code, length })
    return true
  end
  if code == "ETIMEDOUT" or code == "EBUSY" then return false end
  deliver(self, { false, info, code })
  return code ~= "ECLOSED" and code ~= "EOF"
end

local function waits(self) return self.inbox.oldest <= self.inbox.newest end

-- Who waits gets what is there, and somebody who reads for him.
local reader <const> = {
  __close = function(role)
    local self <const> = role.self
    self.pumping, self.first = nil, nil
    local left <const> = {}
    for i = 1, self.inbox:count() do left[i] = self.inbox:take() end
    for _, item in ipairs(left) do self.inbox:put(item) end
    if waits(self) and not self.closed then M.needs_pump(self) end
  end,
}

--- This task reads, since nobody does, until done(self). Returns true, or nil
-- and a code. first: what comes is for itself, and returned.
function M.read(self, deadline, first, done)
  local role <close> = setmetatable({ self = self }, reader) -- luacheck: ignore 211
  self.pumping, self.first = true, first
  repeat
    self.stream:settimeout(deadline and math.max(0, deadline - core.now()))
    local data, info, code = self.stream:receivemsg()
    if code == "ETIMEDOUT" and not data then return nil, code end
    if not dispatch(self, data, info, code) then break end
  until self.closed or done(self)
  return first and self.inbox:take() or true
end

--- Takes what is there now, until there is something for who receives (`all`:
-- in any case).
function M.drain(self, all)
  if self.pumping then return end
  local role <close> = setmetatable({ self = self }, reader) -- luacheck: ignore 211
  self.pumping, self.first = true, true -- reading may give way to others
  while self.inbox:count() < AHEAD and not self.closed do
    self.stream:settimeout(0)
    if not dispatch(self, self.stream:receivemsg()) then return end
    if not all and self.inbox:count() > 0 then return end
  end
end

-- Whether to go on reading.
local function pumped(weak, ...)
  local self <const> = weak.self
  if not self then return false end
  if dispatch(self, ...) and not self.closed and self.inbox:count() < AHEAD then return true end
  self.pumping = nil
  return false
end

-- A task that reads for who waits: it knows us only while there is something
-- to do, so that a socket that is forgotten can go.
local function pump(weak, stream)
  repeat stream:settimeout(nil) until not pumped(weak, stream:receivemsg())
end

--- Somebody waits for what comes.
function M.needs_pump(self)
  if self.pumping then return end
  self.pumping = true
  core.spawn({ daemon = true, name = "sctp" }, pump, setmetatable({ self = self }, { __mode = "v" }), self.stream)
end

-- ---- the tap ----

--- Who is told must not disturb: one that raises is taken away.
function M.tell(self, ...)
  local ok, err = core.unwaiting(self.tap, ...)
  if ok then return end
  self.tap = nil
  local neap <const> = package.loaded.neap
  if neap and neap.onerror then pcall(neap.onerror, self, err, "") end
end

function methods:settap(fn)
  if not check(self, "settap") then return is_closed() end
  if fn ~= nil then args.argument(fn, "function", 1, 2) end
  self.tap = fn
  return self
end

-- ---- the end ----

local function close(self)
  if self.closed then return true end
  self.closed, self.tap = true, nil
  for _, association in pairs(self.byid) do associations.ended(association) end
  self.inbox:clear()
  self.inbox:finish "ECLOSED"
  return self.stream:close()
end

--- Ends all associations: what was sent is still delivered.
function methods:close()
  check(self, "close")
  return close(self)
end

--- A socket with many peers has no end of its own: its associations do.
function methods:shutdown(how)
  if not check(self, "shutdown") then return is_closed() end
  if how ~= "r" and how ~= "w" and how ~= "rw" then
    error("bad argument #1 (\"r\", \"w\" or \"rw\" expected)", 2)
  end
  return nil, "shutdown: Operation not supported", "EOPNOTSUPP"
end

-- ---- what it is ----

function methods:settimeout(seconds)
  if not check(self, "settimeout") then return is_closed() end
  self.timeout = args.timeout(seconds, 1, 2)
  return self
end

function methods:gettimeout()
  if not check(self, "gettimeout") then return is_closed() end
  return self.timeout
end

function methods:counters()
  check(self, "counters")
  return self.received, self.receivedbytes, self.sent, self.sentbytes, self.oversized
end

function methods:isopen() return check(self, "isopen") end

function methods:kind()
  check(self, "kind")
  return "sctp"
end

function methods:getsockname()
  if not check(self, "getsockname") then return is_closed() end
  return self.stream:getsockname()
end

function methods:getpeername()
  if not check(self, "getpeername") then return is_closed() end
  return nil, "getpeername: Transport endpoint is not connected", "ENOTCONN"
end

local below <const> = require "neap.sctp.streams".below

function methods:setsockopt(...)
  if not check(self, "setsockopt") then return is_closed() end
  local done, why, code = args.blame(2, below.setsockopt, self.stream, ...)
  if done then return self end
  return nil, why, code
end

function methods:getsockopt(...)
  if not check(self, "getsockopt") then return is_closed() end
  local value, why, code = args.blame(2, below.getsockopt, self.stream, ...)
  return value, why, code
end

--- What new associations begin with.
function methods:sctpget(what)
  if not check(self, "sctpget") then return is_closed() end
  options.check_get(what, 2)
  return self.engine.get(self.stream, what)
end

function methods:sctpset(what, value)
  if not check(self, "sctpset") then return is_closed() end
  options.check_set(what, value, 2)
  if what == "events" then
    self.tells = {}
    for _, name in ipairs(value) do self.tells[name] = true end
  elseif what == "default_send" then
    self.options.default_send = value
  end
  local done <const>, why, code = self.engine.set(self.stream, what, value)
  if done then return self end
  return nil, why, code
end

function methods:family()
  if not check(self, "family") then return is_closed() end
  return (self.stream:getsockname() or ""):find(":", 1, true) and "inet6" or "inet"
end

function methods:fileno()
  if not check(self, "fileno") then return is_closed() end
  -- It is no socket of its own: what was for us alone leaves it unreadable.
  if self.engine.name == "user" then M.drain(self) end
  return self.stream:fileno()
end

for _, name in ipairs {
  "bind", "detach", "join", "leave", "block", "unblock", "attachfilter", "detachfilter", "geterror",
} do
  methods[name] = function(self)
    if not check(self, name) then return is_closed() end
    return nil, ("%s: Operation not supported"):format(name), "EOPNOTSUPP"
  end
end

class.__close, class.__gc = close, close

function class.__tostring(self)
  if self.closed then return "neap.sctp (closed)" end
  return ("neap.sctp (%d)"):format(self.stream:fileno())
end

require "neap.sctp.many_send" (M)
require "neap.sctp.many_receive" (M)

return M
