--- Hosts: IPv4 and IPv6 addresses as text, and names beyond ASCII.
local percent <const> = require "neap.url.percent"

local M = {}

local LONGEST <const> = 1024 -- bytes of a name before IDNA; 253 are left of it at most

-- ---- names beyond ASCII ----

-- libidn2 is in an object of its own: it may not have been built.
local function idna()
  local found, part = pcall(require, "neap.idncore")
  if found then return part end
  if package.searchpath("neap.idncore", package.cpath) then return nil, tostring(part), "ENOTSUP" end
  return nil, "a name beyond ASCII needs libidn2, without which neap was built: write it as xn--...", "ENOTSUP"
end

local function convert(name, how)
  if not utf8.len(name) then return nil, "the name is not UTF-8", "EINVAL" end
  if #name > LONGEST then return nil, "the name is too long", "EINVAL" end
  if name:find "[\0-\x20\x7f]" then return nil, "a control character or a space in the name", "EINVAL" end
  local core, why, code = idna()
  if not core then return nil, why, code end
  local converted
  converted, why = core[how](name)
  if converted then return converted end
  return nil, "no name: " .. why, "EINVAL"
end

--- The name in lower case, each label beyond ASCII as xn--. What is ASCII
-- already is not looked at.
function M.toascii(name)
  if not name:find "[\x80-\xff]" then return name:lower() end
  return convert(name, "toascii")
end

--- The name as people read it.
function M.tounicode(name)
  if not name:find "[\x80-\xff]" and not name:lower():find("xn--", 1, true) then return name end
  return convert(name, "tounicode")
end

-- ---- IPv4 ----

-- A number of 0 to 255 without leading zeros.
local function octet(text)
  return #text <= 3 and tonumber(text) < 256 and (text == "0" or text:byte() ~= 48)
end

--- Whether the last label is a number, so that the host must be an address:
-- getaddrinfo takes 127.1 and 0x7f.1 for one.
function M.ends_in_number(host)
  local last = host:match "%.([^.]+)%.?$" or host:match "^([^.]+)%.?$"
  return last and (last:find "^%d+$" or last:find "^0[xX]%x*$")
end

--- Whether the text is an address of four decimal numbers.
function M.is_ipv4(text)
  local a, b, c, d = text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  return a and octet(a) and octet(b) and octet(c) and octet(d)
end

-- As inet_aton has it: hexadecimal, octal, decimal. Nil for what is none, and
-- for more than any address.
local function number(text)
  local base, digits = 10, text
  if text:find "^0[xX]" then
    base, digits = 16, text:sub(3)
    if digits == "" then return 0 end
  elseif text:find "^0." then
    base, digits = 8, text:sub(2)
  end
  if not digits:find "^%x+$" then return nil end -- tonumber takes a sign and spaces, too
  digits = digits:match "^0*(.+)$"
  return #digits <= 12 and tonumber(digits, base) or nil
end

--- The address that a browser makes of 127.1, 0x7f.1, 017700000001; or nil.
function M.ipv4_of_number(text)
  local parts = {}
  for part in (text:gsub("%.$", "") .. "."):gmatch "([^.]*)%." do
    local value = number(part)
    if not value or #parts == 4 then return nil end
    parts[#parts + 1] = value
  end
  local n = #parts
  local last = parts[n]
  if last >= 256.0 ^ (5 - n) then return nil end
  for i = 1, n - 1 do
    if parts[i] > 255 then return nil end
    last = last + (parts[i] << 8 * (4 - i))
  end
  return ("%d.%d.%d.%d"):format(last >> 24, last >> 16 & 255, last >> 8 & 255, last & 255)
end

-- ---- IPv6 ----

-- Appends the groups of "1:2:3" (none for "") to the list; false for others.
local function add_groups(list, text)
  if text == "" then return true end
  for group in (text .. ":"):gmatch "([^:]*):" do
    if #list == 8 or not group:find "^%x%x?%x?%x?$" then return false end
    list[#list + 1] = tonumber(group, 16)
  end
  return true
end

--- The eight groups of an address, or nil.
function M.ipv6(text)
  if #text > 45 then return nil end
  local head, a, b, c, d = text:match "^(.*:)(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  if head then
    if not (octet(a) and octet(b) and octet(c) and octet(d)) then return nil end
    text = ("%s%x:%x"):format(head, a * 256 + b, c * 256 + d)
  end
  local groups = {}
  local gap = text:find("::", 1, true)
  if not gap then
    return text ~= "" and add_groups(groups, text) and #groups == 8 and groups or nil
  end
  local behind = {}
  if not add_groups(groups, text:sub(1, gap - 1)) or not add_groups(behind, text:sub(gap + 2)) then return nil end
  local zeros = 8 - #groups - #behind
  if zeros < 1 then return nil end
  for _ = 1, zeros do groups[#groups + 1] = 0 end
  return table.move(behind, 1, #behind, #groups + 1, groups)
end

-- The first of the longest runs of zeros, of two at least: where and how many.
local function longest_run(groups)
  local where, most = nil, 1
  local i = 1
  while i <= 8 do
    local n = 0
    while groups[i + n] == 0 do n = n + 1 end
    if n > most then where, most = i, n end
    i = i + n + 1
  end
  return where, most
end

local function hex(groups, from, to)
  local list = {}
  for i = from, to do list[#list + 1] = ("%x"):format(groups[i]) end
  return table.concat(list, ":")
end

--- The address as RFC 5952 writes it; `mapped`: IPv4-mapped ones with dots.
function M.ipv6_text(groups, mapped)
  local where, most = longest_run(groups)
  if mapped and where == 1 and most == 5 and groups[6] == 0xffff then
    local high, low = groups[7], groups[8]
    return ("::ffff:%d.%d.%d.%d"):format(high >> 8, high & 255, low >> 8, low & 255)
  end
  if not where then return hex(groups, 1, 8) end
  return hex(groups, 1, where - 1) .. "::" .. hex(groups, where + most, 8)
end

--- As it stands in a URL: an IPv6 address in brackets, its zone after %25.
function M.bracketed(host, without_zone)
  if not host:find(":", 1, true) then return host end
  local address, zone = host:match "^([^%%]*)%%(.*)$"
  if not address then return "[" .. host .. "]" end
  if without_zone then return "[" .. address .. "]" end
  return "[" .. address .. "%25" .. percent.encode(zone, "component") .. "]"
end

return M
