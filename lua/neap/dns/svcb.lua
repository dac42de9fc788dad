-- SPDX-License-Identifier: MIT
--- The parameters of SVCB and HTTPS records (RFC 9460 2.2 and 7, RFC 9461): a
-- table by name, of what each has. One that has no name here is key65000 with
-- its bytes. No socket.
local fields <const> = require "neap.dns.fields"

local NAMES <const> = {
  [0] = "mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp",
}
local NUMBERS <const> = {}
for number = 0, #NAMES do NUMBERS[NAMES[number]] = number end

local function name_of(key) return NAMES[key] or "key" .. key end

local function key_of(name)
  if type(name) ~= "string" then return nil end
  local key = NUMBERS[name] or math.tointeger(tonumber(name:match "^key([1-9]%d*)$"))
  return key and key <= 0xffff and key or nil
end

-- ---- what the values are ----

-- A list, not empty, that fills the value.
local function list(kind)
  return {
    get = function(bytes, at, stop)
      local values = {}
      while at < stop or #values == 0 do
        local value, after = kind.get(bytes, at, stop)
        if not value then return nil, after end
        values[#values + 1], at = value, after
      end
      return values, at
    end,
    put = function(out, values)
      if type(values) ~= "table" or #values == 0 then return "must be a list" end
      for _, value in ipairs(values) do
        local why = kind.put(out, value)
        if why then return why end
      end
    end,
  }
end

-- There or not, without a value.
local mark <const> = {
  get = function(_, at) return true, at end,
  put = function(_, value) return value ~= true and "must be true" or nil end,
}

-- Numbers of keys, that must rise.
local keys <const> = list {
  get = fields.u16.get,
  put = function(out, value) out:put((">I2"):pack(value)) end,
}

local mandatory <const> = {
  get = function(bytes, at, stop)
    local values, after = keys.get(bytes, at, stop)
    if not values then return nil, after end
    for i, key in ipairs(values) do
      if key <= (values[i - 1] or 0) then return nil, "the mandatory parameters are not in order" end
    end
    for i, key in ipairs(values) do values[i] = name_of(key) end
    return values, after
  end,
  put = function(out, value)
    local numbers = {}
    for i, name in ipairs(type(value) == "table" and value or {}) do
      numbers[i] = key_of(name)
      if not numbers[i] or numbers[i] == 0 then return "must be a list of parameters" end
    end
    table.sort(numbers)
    return keys.put(out, numbers)
  end,
}

local KINDS <const> = {
  mandatory = mandatory, alpn = list(fields.word), ["no-default-alpn"] = mark, port = fields.u16,
  ipv4hint = list(fields.ip4), ech = fields.rest, ipv6hint = list(fields.ip6), dohpath = fields.rest, ohttp = mark,
}

-- ---- all of them ----

-- Whether they agree with each other; nil, or what is wrong.
local function disagreement(params)
  for _, name in ipairs(params.mandatory or {}) do
    if params[name] == nil then return ("the mandatory parameter %s is missing"):format(name) end
  end
  if params["no-default-alpn"] and not params.alpn then return "no-default-alpn without alpn" end
end

local params <const> = {}

function params.get(bytes, at, stop)
  local found, last = {}, -1
  while at < stop do
    if at + 4 > stop then return nil, "a parameter is cut off" end
    local key, size, first = (">I2I2"):unpack(bytes, at)
    if key <= last then return nil, "the parameters are not in order" end
    if first + size > stop then return nil, "a parameter is cut off" end
    at = first + size
    local name = name_of(key)
    local value, after = (KINDS[name] or fields.rest).get(bytes, first, at)
    if value == nil then return nil, after end
    if after ~= at then return nil, ("the parameter %s is too long"):format(name) end
    found[name], last = value, key
  end
  local why = disagreement(found)
  if why then return nil, why end
  return found, at
end

-- The numbers of a table's parameters, in order; or nil, what is wrong.
local function ordered(value)
  local numbers = {}
  for name in pairs(value) do
    local key = key_of(name)
    if not key then return nil, ("has no parameter '%s'"):format(tostring(name)) end
    numbers[#numbers + 1] = key
  end
  table.sort(numbers)
  return numbers
end

function params.put(out, value)
  if value == nil then return end
  if type(value) ~= "table" then return "must be a table" end
  local numbers, why = ordered(value)
  if not numbers then return why end
  why = disagreement(value)
  if why then return "is wrong: " .. why end
  for _, key in ipairs(numbers) do
    local name = name_of(key)
    local parts = {}
    local inner <const> = { put = function(_, bytes) parts[#parts + 1] = bytes end }
    why = (KINDS[name] or fields.rest).put(inner, value[name])
    if why then return ("is wrong: %s %s"):format(name, why) end
    out:put((">I2s2"):pack(key, table.concat(parts)))
  end
end

return params
