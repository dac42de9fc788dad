--- Raw IP: packets of one protocol, v4 or v6, with our own headers or the
-- kernel's.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local message <const> = require "neap.message"

---@class neap.raw
local M = {}

local SOCK_RAW <const> = 3
local IPPROTO_RAW <const> = 255

-- Those of IANA's register that people call by name; the rest is in the
-- system's own list.
local PROTOCOL <const> = {
  icmp = 1, igmp = 2, ipip = 4, tcp = 6, egp = 8, udp = 17, dccp = 33, ipv6 = 41, rsvp = 46, gre = 47, esp = 50,
  ah = 51, icmp6 = 58, ["ipv6-icmp"] = 58, ospf = 89, pim = 103, vrrp = 112, l2tp = 115, sctp = 132, udplite = 136,
  mpls = 137, raw = IPPROTO_RAW,
}

local options <const> = args.with(message.ip_options, {
  header_included = "boolean", icmp_types = "table", checksum = "natural", fd = "fd",
})

-- "ospf", 89 -> 89, or nil for a name that is unknown.
local function number_of(protocol, level)
  if math.type(protocol) == "integer" then
    if protocol < 0 or protocol > 255 then
      error("bad argument #1 (protocol must be in [0, 255])", level + 1)
    end
    return protocol
  end
  args.argument(protocol, "string", 1, level + 1)
  if PROTOCOL[protocol] then return PROTOCOL[protocol] end
  local list <close> = io.open "/etc/protocols"
  for line in list and list:lines() or function() end do
    local words = {}
    for word in line:gsub("#.*", ""):gmatch "%S+" do words[#words + 1] = word end
    for i, word in ipairs(words) do
      if i ~= 2 and word == protocol then return math.tointeger(tonumber(words[2])) end
    end
  end
  error(("bad argument #1 (unknown protocol '%s')"):format(protocol), level + 1)
end

-- A filter lets these types of ICMP in: in the kernel's masks a bit that is set
-- keeps its type out. IPv4's knows the types below 32 only.
local function icmp_filter(sock, types)
  local out <const> = { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }
  for _, type in ipairs(types) do
    out[type // 32 + 1] = out[type // 32 + 1] & ~(1 << type % 32)
  end
  if sock:family() == "inet6" then
    return sock:setsockopt("ICMPV6_FILTER", string.pack("I4I4I4I4I4I4I4I4", table.unpack(out)))
  end
  return sock:setsockopt("ICMP_FILTER", out[1])
end

local settings <const> = {
  function(sock, o)
    if o.header_included == nil then return true end
    return sock:setsockopt(sock:family() == "inet6" and "IPV6_HDRINCL" or "IP_HDRINCL", o.header_included)
  end,
  function(sock, o)
    if not o.icmp_types then return true end
    return icmp_filter(sock, o.icmp_types)
  end,
  function(sock, o)
    if not o.checksum then return true end
    return sock:setsockopt("IPV6_CHECKSUM", o.checksum)
  end,
}

local function check(given, level)
  local o = args.check(given, options, 2, level + 1)
  message.check_ip(o, level + 1)
  o.family = o.family or o.bindip and o.bindip:find(":", 1, true) and "inet6" or "inet"
  local six = o.family == "inet6"
  for _, type in ipairs(o.icmp_types or {}) do
    if math.type(type) ~= "integer" or type < 0 or type > (six and 255 or 31) then
      error(("option 'icmp_types' must be a list of types from 0 to %d"):format(six and 255 or 31), level + 1)
    end
  end
  if o.checksum and not six then error("option 'checksum' is for family = \"inet6\"", level + 1) end
  return o
end

--- A socket for the packets of one IP protocol, by number or name.
function M.open(protocol, given)
  local number = number_of(protocol, 2)
  local o = check(given, 2)
  if o.fd then return message.adopt("raw", o, "raw.open", settings) end
  local family = o.family == "any" and "inet" or o.family
  local name <const> = "raw.open " .. protocol
  local sock, why, code = core.message("raw", family, SOCK_RAW, number, o)
  if not sock then return nil, message.explain(("%s: %s"):format(name, why), code) end
  sock, why, code = message.set_up(sock, o, name, settings)
  if not sock then return nil, why, code end
  if o.bindip then
    local done
    done, why, code = sock:bind(o.bindip)
    if not done then
      sock:close()
      return nil, ("%s: %s"):format(name, why), code
    end
  end
  return sock
end

return M
