--- Probes of a path by TCP's first packet, as neap.icmp.prober has them. No
-- connection comes of it: this system knows nothing of the packets that we
-- make, and refuses what the host answers.
local core <const> = require "neap.core"
local berkeley <const> = require "neap.socket"
local echo <const> = require "neap.icmp.echo"
local random <const> = require "neap.random"
local prober <const> = require "neap.icmp.prober"
local raw <const> = require "neap.raw"
local socket <const> = require "neap.icmp.socket"

local IPPROTO_TCP <const> = 6
local SYN <const>, RST <const>, ACK <const> = 2, 4, 16
local HEADER <const> = ">I2I2I4I4BBI2I2I2" -- ports, sequence, acknowledged, offset, flags, window, checksum, urgent
local QUOTED <const> = ">I2I2I4"           -- what an error has of it at least
local MSS <const> = "\2\4\5\xb4"           -- the option: 1460
local WINDOW <const> = 64240
local CHECKSUM_AT <const> = 16

-- The address's bytes, for the checksum of IPv4; IPv6's is made by the kernel.
local function packed(ip)
  local a, b, c, d = ip:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  return string.char(math.tointeger(tonumber(a)), math.tointeger(tonumber(b)), math.tointeger(tonumber(c)),
    math.tointeger(tonumber(d)))
end

local syns <const> = {}
syns.__index = syns

-- A port that no connection of this machine has while the probe is in the air.
local function reserve(self)
  local held, why, code = berkeley.socket(self.family, berkeley.SOCK_STREAM)
  if not held then return nil, why, code end
  local done
  done, why, code = held:bind { ip = self.own, port = 0 }
  if not done then
    held:close()
    return nil, why, code
  end
  return held, held:getsockname().port
end

function syns:send(n, ttl)
  local held, port, code = reserve(self)
  if not held then return nil, port, code end
  local sequence = (">I4"):unpack(random.bytes(4))
  local function segment(checksum)
    return HEADER:pack(port, self.port, sequence, 0, 6 << 4, SYN, WINDOW, checksum, 0) .. MSS
  end
  local bytes = segment(0)
  if self.family == "inet" then
    local pseudo = packed(self.own) .. packed(self.ip) .. (">I2I2"):pack(IPPROTO_TCP, #bytes)
    bytes = segment(echo.checksum(pseudo .. bytes))
  end
  local done, why, errcode, mtu = self.inbox:send(bytes, { ttl = ttl })
  if not done then
    held:close()
    return nil, why, errcode, mtu
  end
  self.probes[port] = { n = n, sequence = sequence, held = held }
  self.ports[n] = port
  return true
end

--- The probe is no longer waited for.
function syns:forget(n)
  local port = self.ports[n]
  if not port then return end
  self.probes[port].held:close()
  self.probes[port], self.ports[n] = nil, nil
end

-- What became of the probe that an answer is to, or nil.
local function answered(self, data)
  local from = self.family == "inet" and 1 + 4 * ((data:byte() or 0) & 15) or 1
  if #data < from - 1 + HEADER:packsize() then return nil end
  local source, port, _, acknowledged, _, flags = HEADER:unpack(data, from)
  local probe = self.probes[port]
  if source ~= self.port or not probe or flags & ACK == 0 or flags & (SYN | RST) == 0 then return nil end
  if acknowledged ~= (probe.sequence + 1) & 0xffffffff then return nil end
  return { n = probe.n, at = core.now(), ip = self.ip, arrived = true, state = flags & RST ~= 0 and "closed" or "open" }
end

-- The same of an error.
local function failed(self, e)
  if #e.data < QUOTED:packsize() then return nil end
  local port, to, sequence = QUOTED:unpack(e.data)
  local probe = self.probes[port]
  if to ~= self.port or not probe or sequence ~= probe.sequence then return nil end
  return prober.failed(probe.n, e, self.ip)
end

function syns:next(deadline)
  while true do
    local data, what, code = self.inbox:next(deadline)
    if data == nil then return nil, what, code end
    local became
    if data then became = answered(self, data) else became = failed(self, what) end
    if became then return became end
  end
end

function syns:close()
  for _, probe in pairs(self.probes) do probe.held:close() end
  self.probes, self.ports = {}, {}
  self.inbox:close()
end

return function(ip, family, o)
  local more = family == "inet6" and { checksum = CHECKSUM_AT } or {}
  local sock, why, code = raw.open("tcp", socket.settings(family, o, more))
  if not sock then return nil, why, code end
  local done, own = true, nil
  if o.bindip then done, why, code = sock:bind(o.bindip) end
  if done then done, why, code = sock:connect(ip) end -- from nobody else, from now on
  if done then own, why, code = sock:getsockname() end
  if not own then
    sock:close()
    return nil, why, code
  end
  return setmetatable({
    inbox = socket.inbox(sock), ip = ip, family = family, port = o.port, own = own, probes = {}, ports = {},
  }, syns)
end
