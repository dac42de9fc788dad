-- SPDX-License-Identifier: MIT
--- IP addresses as bytes and as text, and the name that each has in the
-- reverse tree. No socket.
local M = {}

--- "192.0.2.1" of four bytes.
function M.text4(bytes) return ("%d.%d.%d.%d"):format(bytes:byte(1, 4)) end

--- Four bytes of "192.0.2.1", or nil.
function M.bytes4(text)
  local parts = { text:match "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$" }
  if #parts ~= 4 then return nil end
  for i, part in ipairs(parts) do
    local n = math.tointeger(tonumber(part))
    if n > 255 or #part > 1 and part:byte() == 0x30 then return nil end -- 010 is octal to some
    parts[i] = string.char(n)
  end
  return table.concat(parts)
end

-- The first of the longest runs of zeros, of two at least: index, length.
local function zeros(groups)
  local best, length = nil, 1
  local i = 1
  while i <= 8 do
    local j = i
    while groups[j] == 0 do j = j + 1 end
    if j - i > length then best, length = i, j - i end
    i = j + 1
  end
  return best, length
end

--- "2001:db8::1" of sixteen bytes, as RFC 5952 writes it.
function M.text6(bytes)
  if bytes:sub(1, 12) == ("\0"):rep(10) .. "\xff\xff" then return "::ffff:" .. M.text4(bytes:sub(13)) end
  local groups = { (">I2I2I2I2I2I2I2I2"):unpack(bytes) }
  groups[9] = nil
  local first, length = zeros(groups)
  local words = {}
  for i, group in ipairs(groups) do words[i] = ("%x"):format(group) end
  if not first then return table.concat(words, ":") end
  return table.concat(words, ":", 1, first - 1) .. "::" .. table.concat(words, ":", first + length)
end

-- Appends groups of "1:2:3"; false if one is not one.
local function add_groups(text, into)
  if text == "" then return true end
  for word in (text .. ":"):gmatch "([^:]*):" do
    if not word:find "^%x%x?%x?%x?$" then return false end
    into[#into + 1] = (">I2"):pack(tonumber(word, 16))
  end
  return true
end

--- Sixteen bytes of "2001:db8::1", or nil.
function M.bytes6(text)
  local last = text:match "[^:]*$"
  if last:find(".", 1, true) then
    local four = M.bytes4(last)
    if not four then return nil end
    text = text:sub(1, -#last - 1) .. ("%x:%x"):format((">I2I2"):unpack(four))
  end
  local head, tail = text:match "^(.-)::(.*)$"
  local before, after = {}, {}
  if not add_groups(head or text, before) or not add_groups(tail or "", after) then return nil end
  local missing = 8 - #before - #after
  if head and missing < 1 or not head and missing ~= 0 then return nil end
  return table.concat(before) .. ("\0\0"):rep(missing) .. table.concat(after)
end

--- Where the PTR records of an address are, or nil if it is none.
function M.arpa(text)
  local bytes = M.bytes4(text)
  if bytes then
    local a, b, c, d = bytes:byte(1, 4)
    return ("%d.%d.%d.%d.in-addr.arpa"):format(d, c, b, a)
  end
  bytes = M.bytes6((text:gsub("%%.*$", "")))
  if not bytes then return nil end
  local nibbles = bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  return nibbles:reverse():gsub(".", "%0.") .. "ip6.arpa"
end

return M
