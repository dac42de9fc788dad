--- ICMP echo, of one family: requests out, answers and errors in. By a ping
-- socket, which needs no privilege, or else by a raw one.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local message <const> = require "neap.message"
local raw <const> = require "neap.raw"
local socket <const> = require "neap.icmp.socket"
local random <const> = require "neap.random"

local M = {}

local SOCK_DGRAM <const> = 2
local PROTOCOL <const> = { inet = 1, inet6 = 58 }
local REQUEST <const> = { inet = 8, inet6 = 128 }
local ANSWER <const> = { inet = 0, inet6 = 129 }
local HEADER <const> = ">BBI2I2I2" -- type, code, checksum, identifier, sequence
local HEADER_SIZE <const> = string.packsize(HEADER)

-- ---- bytes ----

--- The Internet's checksum (RFC 1071).
function M.checksum(bytes, sum)
  sum = sum or 0
  local odd = #bytes % 16
  if odd > 0 then bytes = bytes .. ("\0"):rep(16 - odd) end
  for i = 1, #bytes, 16 do
    local a, b, c, d = (">I4I4I4I4"):unpack(bytes, i)
    sum = sum + a + b + c + d
  end
  while sum > 0xffff do sum = (sum & 0xffff) + (sum >> 16) end
  return ~sum & 0xffff
end

-- ---- sockets ----

local refused <const> = {
  EACCES = true, EPERM = true, EPROTONOSUPPORT = true, ESOCKTNOSUPPORT = true,
}

local function privilege(why, code)
  if code ~= "EPERM" and code ~= "EACCES" then return nil, why, code end
  return nil, "icmp: neither a raw socket may be opened (it needs CAP_NET_RAW), nor one of ping "
    .. "(the group is not in the range of net.ipv4.ping_group_range)", code
end

local function open(family, o)
  local settings = socket.settings(family, o)
  local sock, why, code = core.message("raw", family, SOCK_DGRAM, PROTOCOL[family], {})
  if sock then return message.set_up(sock, settings, "icmp"), false end
  if not refused[code] then return nil, "icmp: " .. why, code end
  sock, why, code = raw.open(PROTOCOL[family], args.with(settings, { icmp_types = { ANSWER[family] } }))
  if not sock then return privilege(why, code) end
  return sock, true
end

local link <const> = {}
link.__index = link
link.__close = function(self) self:close() end

--- One that sends and receives, for one task.
function M.open(family, o)
  local sock, israw, code = open(family, o)
  if not sock then return nil, israw, code end
  if o.bindip then
    local done, why, errcode = sock:bind(o.bindip)
    if not done then
      sock:close()
      return nil, "icmp: " .. why, errcode
    end
  end
  return setmetatable({
    inbox = socket.inbox(sock), family = family, raw = israw, id = israw and (">I2"):unpack(random.bytes(2)) or 0,
    strays = 0,
  }, link)
end

--- Sends a request. Returns true; or nil, message, code, MTU.
function link:send(ip, sequence, payload, ttl)
  local request = HEADER:pack(REQUEST[self.family], 0, 0, self.id, sequence) .. payload
  if self.raw and self.family == "inet" then -- of IPv6, and of ping sockets, it is the kernel's affair
    request = HEADER:pack(REQUEST.inet, 0, M.checksum(request), self.id, sequence) .. payload
  end
  return self.inbox:send(request, { ip = ip, ttl = ttl })
end

-- Of an answer: its sequence, its payload; nil if it is no answer to us.
local function parse(self, data)
  local from = 1
  if self.raw and self.family == "inet" then
    from = 1 + 4 * ((data:byte() or 0) & 15)
  end
  if #data < from - 1 + HEADER_SIZE then return nil end
  local type, code, _, id, sequence = HEADER:unpack(data, from)
  if type ~= ANSWER[self.family] or code ~= 0 or self.raw and id ~= self.id then return nil end
  if self.raw and self.family == "inet" and M.checksum(data:sub(from)) ~= 0 then return nil end
  return sequence, data:sub(from + HEADER_SIZE)
end

-- Of what an error is about: its sequence; nil if we did not send it.
local function quoted(self, e)
  if #e.data < HEADER_SIZE then return nil end
  local type, _, _, id, sequence = HEADER:unpack(e.data)
  if type ~= REQUEST[self.family] or self.raw and id ~= self.id then return nil end
  return sequence
end

--- Waits until the deadline for the next answer { sequence =, payload =, info
-- = }, or error { sequence =, error = }. nil at the deadline; or nil, message,
-- code.
function link:next(deadline)
  while true do
    local data, what, code = self.inbox:next(deadline)
    local sequence, payload
    if data then
      sequence, payload = parse(self, data)
      if sequence then return { sequence = sequence, payload = payload, info = what } end
    elseif data == false then
      sequence = quoted(self, what)
      if sequence then return { sequence = sequence, error = what } end
    else
      return nil, what, code
    end
    self.strays = self.strays + 1
  end
end

function link:close() self.inbox:close() end

return M
