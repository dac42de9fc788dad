--- The longest packet that gets to a host in one piece: probes that may not be
-- cut, and what routers say of them; where they say nothing, a search.
local core <const> = require "neap.core"
local errors <const> = require "neap.icmp.errors"
local prober <const> = require "neap.icmp.prober"
local socket <const> = require "neap.icmp.socket"

local LONGEST <const> = { inet = 65535, inet6 = 65575 }
local LEAST <const> = { inet = 68, inet6 = 1280 } -- RFC 791, 8200
local TTL <const> = 64

-- RFC 1191 section 7.1, and what tunnels leave of Ethernet's.
local PLATEAUS <const> = {
  68, 296, 508, 576, 1006, 1280, 1300, 1320, 1340, 1360, 1380, 1400, 1420, 1428, 1440, 1450, 1454, 1460, 1462, 1468,
  1472, 1476, 1480, 1488, 1492, 1496, 1500, 2002, 2272, 4352, 4464, 8166, 9000, 9216, 16110, 17914, 32000, 65535,
}

local path <const> = {}
path.__index = path

-- What becomes of one packet of this length: "arrived"; "long", MTU or nil, who
-- said so or nil; "lost"; or nil, message, code.
local function try_once(self, length)
  self.n = self.n + 1
  local n <const> = self.n
  local done, why, code, mtu = self.prober:send(n, TTL, length)
  if not done then
    if code == "EMSGSIZE" then return "long", mtu end
    return nil, why, code
  end
  local deadline <const> = core.now() + self.o.timeout
  while true do
    local became, message, errcode = self.prober:next(deadline)
    if not became then
      if errcode then return nil, message, errcode end
      return "lost"
    end
    local e = became.error
    if e and e.code == "EMSGSIZE" then -- of an earlier one, too
      if became.n == n or e.mtu and e.mtu < length then return "long", e.mtu, e.offender end
    elseif became.n == n then
      if became.arrived then return "arrived" end
      return nil, errors.message(e), e.code
    end
  end
end

local function try(self, length)
  for _ = 1, self.o.tries do
    local what, a, b = try_once(self, length)
    if what ~= "lost" then return what, a, b end
  end
  return "lost"
end

local function below(length)
  for i = #PLATEAUS, 1, -1 do
    if PLATEAUS[i] < length then return PLATEAUS[i] end
  end
  return PLATEAUS[1]
end

-- What a router named, unless it makes no sense: below all limits, or no less
-- than what it refused.
local function smaller(self, mtu, length)
  if mtu and mtu < length and mtu >= self.least then return mtu end
  return math.max(self.least, below(length))
end

-- Finds the longest plateau that gets through, between one that does and one
-- that does not.
local function search(self, low, high)
  local list = {}
  for _, mtu in ipairs(PLATEAUS) do
    if mtu > low and mtu < high then list[#list + 1] = mtu end
  end
  local found, first, last = low, 1, #list
  while first <= last do
    local middle = (first + last + 1) // 2
    local what, why, code = try(self, list[middle])
    if not what then return nil, why, code end
    if what == "arrived" then
      found, first = list[middle], middle + 1
    else
      last = middle - 1
    end
  end
  return found, nil, "search"
end

local function find(self, length)
  local what, a, b = try(self, self.least)
  if what == "lost" then return nil, "no answer, not even to the shortest packet", "ETIMEDOUT" end
  if not what then return nil, a, b end
  if what == "long" then return nil, "the shortest packet is too long", "EMSGSIZE" end
  local who, how = nil, "interface"
  while length > self.least do
    what, a, b = try(self, length)
    if not what then return nil, a, b end
    if what == "arrived" then return length, who, how end
    if what == "lost" then return search(self, self.least, length) end
    if b then who, how = b, "icmp" end
    length = smaller(self, a, length)
  end
  return self.least, who, how
end

return function(host, o)
  local ip, family, code = socket.lookup(host, o)
  if not ip then return nil, family, code end
  local p, why, errcode = prober.open(ip, family, o)
  if not p then return nil, ("path_mtu %s: %s"):format(host, why), errcode end
  local held <close> = setmetatable({}, { __close = function() p:close() end })
  local least <const> = LEAST[family]
  local self = setmetatable({ prober = p, o = o, n = 0, least = least }, path)
  local mtu, who, how = find(self, math.max(least, math.min(o.max or LONGEST[family], LONGEST[family])))
  if not mtu then return nil, ("path_mtu %s: %s"):format(host, who), how end
  return mtu, who, how
end
