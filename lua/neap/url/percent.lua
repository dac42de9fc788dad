--- Percent coding: which bytes may stand as they are, and where.
local M = {}

-- By byte: "%2F"; and back, for either case of the digits.
local ENCODED <const>, DECODED <const> = {}, {}
for i = 0, 255 do
  local byte, hex = string.char(i), ("%02x"):format(i)
  ENCODED[byte] = "%" .. hex:upper()
  local one, two = hex:sub(1, 1), hex:sub(2)
  DECODED[hex], DECODED[hex:upper()] = byte, byte
  DECODED[one:upper() .. two], DECODED[one .. two:upper()] = byte, byte
end
M.ENCODED = ENCODED

local FORM <const> = setmetatable({ [" "] = "+" }, { __index = ENCODED })

-- What is encoded, by set. Written out: %w would depend on the locale.
local WRITTEN <const> = {
  component = "[^A-Za-z0-9._~-]",
  path = "[^A-Za-z0-9._~!$&'()*+,;=:@/-]",
  query = "[^A-Za-z0-9._~!$&'()*+,;=:@/?-]",
  form = "[^A-Za-z0-9*._-]",
}

-- Triplets of these are the bytes themselves (RFC 3986, 6.2.2.2).
local UNRESERVED <const> = {}
for hex, byte in pairs(DECODED) do
  UNRESERVED[hex] = byte:find "[A-Za-z0-9._~-]" and byte or "%" .. hex:upper()
end

--- Whether there is such a set.
function M.is_set(set) return WRITTEN[set] ~= nil end

function M.encode(text, set)
  return (text:gsub(WRITTEN[set], set == "form" and FORM or ENCODED))
end

--- Where a "%" has no two hex digits behind it, or nil.
function M.bad(text)
  if not text:find("%", 1, true) then return nil end
  return text:find "%%[^%x]" or text:find "%%%x[^%x]" or text:find "%%%x?$"
end

--- Decodes what is a triplet; what is none stays.
function M.decode(text, set)
  if set == "form" and text:find("+", 1, true) then text = text:gsub("+", " ") end
  if not text:find("%", 1, true) then return text end
  return (text:gsub("%%(%x%x)", DECODED))
end

--- Unreserved bytes decoded, hex digits in upper case.
function M.normalize(text)
  if not text or not text:find("%", 1, true) then return text end
  return (text:gsub("%%(%x%x)", UNRESERVED))
end

return M
