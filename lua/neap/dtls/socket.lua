--- What an association is to its user: a message socket like the others.
local args <const> = require "neap.args"
local datagram <const> = require "neap.datagram"
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

local is_closed <const> = datagram.is_closed

M.check = check

datagram.describe(methods, "dtls", check)
datagram.refuse(methods, check, { "connect", "bind", "detach", "join", "leave", "block", "unblock" })

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

-- ---- the end ----

function methods:close()
  check(self, "close")
  return peers.close(self)
end

--- Nothing more is sent ("w"), or taken ("r").
datagram.end_with(methods, check, function(self)
  if self.told then return end
  self.told = true
  peers.farewell(self)
end)

-- ---- what it is ----

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

local function close(self) peers.close(self) end
class.__close, class.__gc = close, close

function class.__tostring(self)
  if self.state == "closed" then return "neap.dtls (closed)" end
  return ("neap.dtls (%d)"):format(self.endpoint.udp:fileno())
end

return M
