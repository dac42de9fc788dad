-- SPDX-License-Identifier: MIT
--- The names of DNS's numbers: types, classes, response codes, opcodes. What
-- has no name here is TYPE65280, CLASS7 (RFC 3597), RCODE12, OPCODE3.
local M = {}

local function numbers(prefix, most, names)
  local by_number = {}
  for name, number in pairs(names) do by_number[number] = name end
  local kind = {}

  --- The name of a number.
  function kind.name(number) return by_number[number] or prefix .. number end

  --- The number of a name, in capitals or not, or of a number; or nil.
  function kind.number(value)
    if math.type(value) == "integer" then return value >= 0 and value <= most and value or nil end
    if type(value) ~= "string" then return nil end
    local name = value:upper()
    if names[name] then return names[name] end
    local digits = name:match("^" .. prefix .. "(%d+)$")
    local number = digits and #digits <= 5 and math.tointeger(tonumber(digits))
    return number and number <= most and number or nil
  end

  return kind
end

M.type = numbers("TYPE", 0xffff, {
  A = 1, NS = 2, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, NULL = 10, WKS = 11, PTR = 12, HINFO = 13, MINFO = 14,
  MX = 15, TXT = 16, RP = 17, AFSDB = 18, X25 = 19, ISDN = 20, RT = 21, SIG = 24, KEY = 25, PX = 26, AAAA = 28,
  LOC = 29, SRV = 33, NAPTR = 35, KX = 36, CERT = 37, DNAME = 39, OPT = 41, APL = 42, DS = 43, SSHFP = 44,
  IPSECKEY = 45, RRSIG = 46, NSEC = 47, DNSKEY = 48, DHCID = 49, NSEC3 = 50, NSEC3PARAM = 51, TLSA = 52,
  SMIMEA = 53, HIP = 55, CDS = 59, CDNSKEY = 60, OPENPGPKEY = 61, CSYNC = 62, ZONEMD = 63, SVCB = 64, HTTPS = 65,
  SPF = 99, EUI48 = 108, EUI64 = 109, TKEY = 249, TSIG = 250, IXFR = 251, AXFR = 252, MAILB = 253, MAILA = 254,
  ANY = 255, URI = 256, CAA = 257,
})

M.class = numbers("CLASS", 0xffff, { IN = 1, CH = 3, HS = 4, NONE = 254, ANY = 255 })

M.rcode = numbers("RCODE", 0xfff, {
  NOERROR = 0, FORMERR = 1, SERVFAIL = 2, NXDOMAIN = 3, NOTIMP = 4, REFUSED = 5, YXDOMAIN = 6, YXRRSET = 7,
  NXRRSET = 8, NOTAUTH = 9, NOTZONE = 10, BADVERS = 16, BADCOOKIE = 23,
})

M.opcode = numbers("OPCODE", 0xf, { QUERY = 0, IQUERY = 1, STATUS = 2, NOTIFY = 4, UPDATE = 5 })

return M
