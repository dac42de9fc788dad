--- Probes of a path: packets of a certain TTL and length to one host, and what
-- becomes of each. By UDP, which needs no privilege, or by ICMP echo.
--
-- A prober has send(n, ttl, length) -> true, or nil, message, code, MTU; and
-- next(deadline) -> what became of one, { n =, at =, ip = who said so,
-- arrived = true or nil, error = an error of the queue or nil }; nil at the
-- deadline; or nil, message, code. length is that of the whole packet.
local core <const> = require "neap.core"
local errors <const> = require "neap.icmp.errors"
local message <const> = require "neap.message"
local socket <const> = require "neap.icmp.socket"

local M = {}

local SOCK_DGRAM <const>, IPPROTO_UDP <const> = 2, 17
local HEADERS <const> = { inet = 20 + 8, inet6 = 40 + 8 } -- of UDP and ICMP alike
local PORTS <const> = 1 << 16

local function bytes(length, family) return math.max(0, length - HEADERS[family]) end

--- An error of the queue as what became of probe n.
function M.failed(n, e, ip)
  local arrived = errors.is_port_unreachable(e)
    or e.offender == ip and not errors.is_exceeded(e) and e.code ~= "EMSGSIZE"
  return { n = n, at = e.at, ip = e.offender, arrived = arrived or nil, error = e }
end

-- ---- UDP: each probe to a port of its own ----

local datagrams <const> = {}
datagrams.__index = datagrams

function datagrams:send(n, ttl, length)
  local port = (self.port + n) % PORTS
  if port == 0 then port = self.port end
  return self.inbox:send(("\0"):rep(bytes(length, self.family)), { ip = self.ip, port = port, ttl = ttl })
end

function datagrams:next(deadline)
  while true do
    local data, what, code = self.inbox:next(deadline)
    if data == nil then return nil, what, code end
    if what.ip == self.ip and what.port then -- of an error: where the probe went
      local n = (what.port - self.port) % PORTS
      if data == false then return M.failed(n, what, self.ip) end
      return { n = n, at = core.now(), ip = what.ip, arrived = true }
    end
  end
end

function datagrams:close() self.inbox:close() end

local function open_udp(ip, family, o)
  local sock, why, code = core.message("udp", family, SOCK_DGRAM, IPPROTO_UDP, {})
  if not sock then return nil, why, code end
  sock, why, code = message.set_up(sock, socket.settings(family, o), "icmp")
  if not sock then return nil, why, code end
  if o.bindip then
    local done
    done, why, code = sock:bind(o.bindip, o.bindport)
    if not done then
      sock:close()
      return nil, why, code
    end
  end
  return setmetatable({ inbox = socket.inbox(sock), ip = ip, family = family, port = o.port }, datagrams)
end

-- ---- ICMP echo ----

local echoes <const> = {}
echoes.__index = echoes

function echoes:send(n, ttl, length)
  local n_bytes = bytes(length, self.family)
  return self.link:send(self.ip, n % PORTS, (self.cookie .. ("\0"):rep(n_bytes - #self.cookie)):sub(1, n_bytes), ttl)
end

function echoes:next(deadline)
  while true do
    local got, why, code = self.link:next(deadline)
    if not got then return nil, why, code end
    if got.error then
      if got.error.ip == self.ip or not got.error.ip then return M.failed(got.sequence, got.error, self.ip) end
    elseif got.payload:sub(1, #self.cookie) == self.cookie:sub(1, #got.payload) then
      return { n = got.sequence, at = core.now(), ip = got.info.ip, arrived = true }
    end
  end
end

function echoes:close() self.link:close() end

local function open_icmp(ip, family, o)
  local echo <const> = require "neap.icmp.echo"
local random <const> = require "neap.random"
  local link, why, code = echo.open(family, o)
  if not link then return nil, why, code end
  return setmetatable({ link = link, ip = ip, family = family, cookie = random.bytes(8) }, echoes)
end

local opens <const> = {
  udp = open_udp,
  icmp = open_icmp,
  tcp = function(...) return require "neap.icmp.syn"(...) end,
}

--- A prober of o.method: or nil, message, code.
function M.open(ip, family, o) return opens[o.method](ip, family, o) end

return M
