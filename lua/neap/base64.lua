--- Base64 (RFC 4648), of either alphabet.
local M = {}

local LETTERS <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

-- Twelve bits as two characters, and back. That is a table of 4096, made when
-- it is first asked for.
local function table_of(alphabet)
  local pairs_of, bits_of = {}, {}
  for i = 0, 4095 do
    local a, b = i >> 6, i & 63
    local two = alphabet:sub(a + 1, a + 1) .. alphabet:sub(b + 1, b + 1)
    pairs_of[i], bits_of[two] = two, i
  end
  return { pairs_of = pairs_of, bits_of = bits_of }
end

local tables <const> = {}
local function alphabet_of(url)
  local name = url and "-_" or "+/"
  local found = tables[name]
  if not found then
    found = table_of(LETTERS .. name)
    tables[name] = found
  end
  return found
end

--- The text. With `url` of the alphabet for URLs, without padding.
function M.encode(bytes, url)
  local two = alphabet_of(url).pairs_of
  local out, n = {}, 0
  local byte = string.byte
  local rest = #bytes % 3
  for i = 1, #bytes - rest, 3 do
    local a, b, c = byte(bytes, i, i + 2)
    out[n + 1], out[n + 2] = two[a << 4 | b >> 4], two[(b & 15) << 8 | c]
    n = n + 2
  end
  if rest == 1 then
    out[n + 1] = two[byte(bytes, -1) << 4] .. (url and "" or "==")
  elseif rest == 2 then
    local a, b = byte(bytes, -2, -1)
    out[n + 1] = two[a << 4 | b >> 4] .. two[(b & 15) << 8]:sub(1, 1) .. (url and "" or "=")
  end
  return table.concat(out)
end

local function fail(why) return nil, "base64: " .. why, "EINVAL" end

-- The bytes of the last two or three characters, or nil: bits that belong to
-- no byte must be 0, so that there is one text for the same bytes.
local function last(text, bits_of)
  local bits = bits_of[text:sub(1, 2)]
  if not bits then return nil end
  if #text == 2 then return bits & 15 == 0 and string.char(bits >> 4) or nil end
  local more = bits_of[text:sub(3, 3) .. "A"]
  if not more or more >> 6 & 3 ~= 0 then return nil end
  return string.char(bits >> 4, (bits & 15) << 4 | more >> 8)
end

--- The bytes. Strict: padding as `encode` writes it (none with `url`), no
-- spaces, and nothing in the bits that are left over.
function M.decode(text, url)
  local bits_of = alphabet_of(url).bits_of
  if not url then
    if #text % 4 ~= 0 then return fail "the length is no multiple of four" end
    text = text:gsub("==?$", "", 1)
  end
  local rest = #text % 4
  if rest == 1 then return fail "the length cannot be" end
  local out, n = {}, 0
  local char, sub = string.char, string.sub
  for i = 1, #text - rest, 4 do
    local high, low = bits_of[sub(text, i, i + 1)], bits_of[sub(text, i + 2, i + 3)]
    if not (high and low) then return fail(("no base64 at byte %d"):format(i)) end
    n = n + 1
    out[n] = char(high >> 4, (high & 15) << 4 | low >> 8, low & 255)
  end
  if rest > 0 then
    local bytes = last(sub(text, -rest), bits_of)
    if not bytes then return fail(("no base64 at byte %d"):format(#text - rest + 1)) end
    out[n + 1] = bytes
  end
  return table.concat(out)
end

return M
