-- SPDX-License-Identifier: MIT
--- JSON, as much of it as the specs need to speak with a browser.
local M = {}

local escapes <const> = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

--- A table with [1] is a list, any other an object.
function M.encode(value)
  if type(value) == "string" then return quote(value) end
  if type(value) ~= "table" then return tostring(value) end
  local out = {}
  if value[1] ~= nil then
    for i, item in ipairs(value) do out[i] = M.encode(item) end
    return "[" .. table.concat(out, ",") .. "]"
  end
  for name, item in pairs(value) do out[#out + 1] = quote(name) .. ":" .. M.encode(item) end
  return "{" .. table.concat(out, ",") .. "}"
end

local literals <const> = { ["true"] = true, ["false"] = false }
local plain <const> = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function unescape(text)
  text = text:gsub("\\u[dD]([89abAB]%x%x)\\u[dD]([c-fC-F]%x%x)", function(high, low)
    return utf8.char(0x10000 + ((tonumber(high, 16) - 0x800) << 10) + tonumber(low, 16) - 0xc00)
  end)
  return (text:gsub("\\(.)(%x?%x?%x?%x?)", function(c, hex)
    if c == "u" then return utf8.char(tonumber(hex, 16)) end
    return (plain[c] or c) .. hex
  end))
end

local function string_at(text, at)
  local to = at + 1
  while text:byte(to) ~= 0x22 do to = to + (text:byte(to) == 0x5c and 2 or 1) end
  return unescape(text:sub(at + 1, to - 1)), to + 1
end

local value_at

-- What stands between brackets: calls item(at) -> position for each.
local function items(text, at, close, item)
  at = text:find("%S", at + 1)
  while text:byte(at) ~= close do
    at = text:find("%S", item(at))
    if text:byte(at) == 0x2c then at = text:find("%S", at + 1) end
  end
  return at + 1
end

function value_at(text, at)
  local first = text:byte(at)
  if first == 0x22 then return string_at(text, at) end
  local out = {}
  if first == 0x5b then
    return out, items(text, at, 0x5d, function(from)
      local n = #out + 1
      out[n], from = value_at(text, from)
      return from
    end)
  elseif first == 0x7b then
    return out, items(text, at, 0x7d, function(from)
      local name
      name, from = string_at(text, from)
      out[name], from = value_at(text, text:find("[^%s:]", from))
      return from
    end)
  end
  local word = text:match("^[%w.+-]+", at)
  if word == "null" then return nil, at + 4 end
  local value = literals[word]
  if value == nil then value = assert(tonumber(word), "no JSON") end
  return value, at + #word
end

--- null is nil.
function M.decode(text) return (value_at(text, assert(text:find "%S"))) end

return M
