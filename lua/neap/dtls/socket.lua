--- What an association is to its user: a message socket like the others.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local peers <const> = require "neap.dtls.peer"
local tlscore <const> = require "neap.tlscore"
local x509 <const> = require "neap.x509"

local class <const> = peers.class
local machines <const> = tlscore.dtls
local methods <const> = {}
class.__index = methods

local M = { methods = methods }

-- Whether it is open; raises if it is none of ours.
local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return self.state ~= "closed"
end

local function is_closed() return nil, "closed", "ECLOSED" end

M.check, M.is_closed = check, is_closed

-- Calls a function of the core with the UDP socket in our place; what it
-- raises blames who called the method, by the numbers of its arguments.
local function instead(level, shift, fn, ...)
  local results <const> = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local err <const> = results[2]
  if type(err) ~= "string" then error(err, 0) end
  local text <const> = err:gsub("^[^\n:]+:%d+: ", ""):gsub("neap%.udp", "neap.dtls")
  error(text:gsub("^bad argument #(%d+) to '[%w_.?]+'", function(n)
    return ("bad argument #%d"):format(n - shift)
  end), level + 1)
end
M.instead = instead

-- ---- the tap ----

-- Who is told must not disturb: one that raises is taken away.
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

function methods:close()
  check(self, "close")
  return peers.close(self)
end

--- Nothing more is sent ("w"), or taken ("r").
function methods:shutdown(how)
  if not check(self, "shutdown") then return is_closed() end
  if how ~= "r" and how ~= "w" and how ~= "rw" then
    error("bad argument #1 (\"r\", \"w\" or \"rw\" expected)", 2)
  end
  if how ~= "r" and not self.told then
    self.told = true
    peers.farewell(self)
  end
  if how ~= "w" then
    self.deaf = true
    self.inbox:clear()
    self.queued = 0
    self.inbox:finish "EOF"
  end
  return self
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
  return "dtls"
end

function methods:getpeername()
  if not check(self, "getpeername") then return is_closed() end
  return self.ip, self.port
end

function methods:getsockname()
  if not check(self, "getsockname") then return is_closed() end
  local ip, port, code = self.endpoint.udp:getsockname()
  if not ip then return nil, port, code end
  return self.local_ip or ip, port
end

--- What was agreed on, as of a TLS stream; and `most`, the longest message.
function methods:tlsinfo()
  if not check(self, "tlsinfo") then return is_closed() end
  local info, why, code = tlscore.info(self.machine)
  if not info then return nil, why, code end
  for i, der in ipairs(info.peer) do info.peer[i] = x509.load(der) end
  info.most = machines.most(self.machine)
  return info
end

--- What was dropped because nobody took it: `drops` messages.
function methods:statistics()
  if not check(self, "statistics") then return is_closed() end
  return { drops = self.dropped, queued = self.inbox:count() }
end

-- What the UDP socket does; of a server's it is shared by all clients.
for _, name in ipairs { "setsockopt", "getsockopt", "fileno", "family", "geterror", "attachfilter", "detachfilter" } do
  methods[name] = function(self, ...)
    if not check(self, name) then return is_closed() end
    local udp <const> = self.endpoint.udp
    local results <const> = table.pack(instead(2, 1, udp[name], udp, ...))
    if name == "setsockopt" and (...) == "SO_RXQ_OVFL" then self.endpoint:tell_drops(select(2, ...)) end
    if results[1] == udp then return self end
    return table.unpack(results, 1, results.n)
  end
end

for _, name in ipairs { "connect", "bind", "detach", "join", "leave", "block", "unblock" } do
  methods[name] = function(self)
    if not check(self, name) then return is_closed() end
    return nil, ("%s: Operation not supported"):format(name), "EOPNOTSUPP"
  end
end

local function close(self) peers.close(self) end
class.__close, class.__gc = close, close

function class.__tostring(self)
  if self.state == "closed" then return "neap.dtls (closed)" end
  return ("neap.dtls (%d)"):format(self.endpoint.udp:fileno())
end

return M
