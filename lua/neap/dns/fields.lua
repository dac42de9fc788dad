-- SPDX-License-Identifier: MIT
--- The kinds of fields that records are made of. Each has
--   get(bytes, at, stop) -> value, where it goes on; or nil, what is wrong
--   put(out, value)      -> nil, or what the value would have to be
-- No socket.
local ip <const> = require "neap.dns.ip"
local names <const> = require "neap.dns.name"
local types <const> = require "neap.dns.types"

local M = {}

local CUT <const> = "a field is cut off"

-- ---- numbers ----

local function unsigned(size)
  local format <const>, most <const> = ">I" .. size, (1 << 8 * size) - 1
  return {
    get = function(bytes, at, stop)
      if at + size > stop then return nil, CUT end
      return format:unpack(bytes, at)
    end,
    put = function(out, value)
      if math.type(value) ~= "integer" or value < 0 or value > most then
        return ("must be an integer from 0 to %d"):format(most)
      end
      out:put(format:pack(value))
    end,
  }
end

M.u8, M.u16, M.u32 = unsigned(1), unsigned(2), unsigned(4)

--- The number of a type, as its name.
M.type = {
  get = function(bytes, at, stop)
    local number, after = M.u16.get(bytes, at, stop)
    if not number then return nil, after end
    return types.type.name(number), after
  end,
  put = function(out, value)
    local number = types.type.number(value)
    if not number then return "must be a type" end
    out:put((">I2"):pack(number))
  end,
}

-- ---- addresses ----

local function address(size, text, parse, what)
  return {
    get = function(bytes, at, stop)
      if at + size > stop then return nil, CUT end
      return text(bytes:sub(at, at + size - 1)), at + size
    end,
    put = function(out, value)
      local bytes = type(value) == "string" and parse(value)
      if not bytes then return "must be " .. what end
      out:put(bytes)
    end,
  }
end

M.ip4 = address(4, ip.text4, ip.bytes4, "an IPv4 address")
M.ip6 = address(16, ip.text6, ip.bytes6, "an IPv6 address")

-- ---- names ----

-- sent: compressed when it is sent; plain: it must not be when it comes.
local function name(sent, plain)
  return {
    get = function(bytes, at, stop) return names.get(bytes, at, stop, plain) end,
    put = function(out, value)
      if type(value) ~= "string" then return "must be a name" end
      local labels, why = names.parse(value)
      if not labels then return ("must be a name: %s"):format(why) end
      names.put(out, labels, sent)
    end,
  }
end

--- Of RFC 1035's own types; of those that old programs compress although they
-- should not; of those for which that is an error.
M.name, M.late_name, M.plain_name = name(true, false), name(false, false), name(false, true)

-- ---- bytes ----

--- A character string: up to 255 bytes, behind their number.
M.string = {
  get = function(bytes, at, stop)
    local n = at < stop and bytes:byte(at)
    if not n or at + n >= stop then return nil, CUT end
    return bytes:sub(at + 1, at + n), at + n + 1
  end,
  put = function(out, value)
    if type(value) ~= "string" or #value > 255 then return "must be a string of at most 255 bytes" end
    out:put((">s1"):pack(value))
  end,
}

--- The same, not empty.
M.word = {
  get = function(bytes, at, stop)
    local value, after = M.string.get(bytes, at, stop)
    if value == "" then return nil, "a field is empty" end
    return value, after
  end,
  put = function(out, value)
    if value == "" then return "must not be empty" end
    return M.string.put(out, value)
  end,
}

--- One character string or more, to the end.
M.strings = {
  get = function(bytes, at, stop)
    local list = {}
    repeat
      local value, after = M.string.get(bytes, at, stop)
      if not value then return nil, after end
      list[#list + 1], at = value, after
    until at == stop
    return list, at
  end,
  put = function(out, value)
    if type(value) == "string" then -- longer than one holds: it is cut
      local list = {}
      for i = 1, math.max(1, #value), 255 do list[#list + 1] = value:sub(i, i + 254) end
      value = list
    end
    if type(value) ~= "table" or #value == 0 then return "must be a string, or a list of strings" end
    for _, one in ipairs(value) do
      local why = M.string.put(out, one)
      if why then return why end
    end
  end,
}

--- All bytes to the end.
M.rest = {
  get = function(bytes, at, stop) return bytes:sub(at, stop - 1), stop end,
  put = function(out, value)
    if type(value) ~= "string" then return "must be a string" end
    out:put(value)
  end,
}

return M
