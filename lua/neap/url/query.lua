--- Query strings and forms: "a=1&b=2" as an ordered list of pairs, in which a
-- name finds its first value.
local percent <const> = require "neap.url.percent"

local M = {}

-- A class without methods: every string is the name of a parameter.
local Query <const> = { __name = "neap.url.query" }

function Query.__index(list, name)
  if type(name) ~= "string" then return nil end
  for _, pair in ipairs(list) do
    if pair[1] == name then return pair[2] end
  end
end

-- Takes the place of all values that the name has; nil takes them out.
function Query.__newindex(list, name, value)
  if type(name) ~= "string" then
    rawset(list, name, value)
    return
  end
  local kept = 0
  for i = 1, #list do
    local pair = list[i]
    list[i] = nil
    if pair[1] ~= name then
      kept = kept + 1
      rawset(list, kept, pair)
    elseif value ~= nil then
      kept = kept + 1
      rawset(list, kept, { name, value })
      value = nil
    end
  end
  if value ~= nil then rawset(list, kept + 1, { name, value }) end
end

--- The list, or nil if there are more than `most`.
function M.parse(text, set, most)
  local list, n = {}, 0
  for part in text:gmatch "[^&]+" do
    n = n + 1
    if n > most then return nil end
    local name, value = part:match "^([^=]*)=?(.*)$"
    list[n] = { percent.decode(name, set), percent.decode(value, set) }
  end
  return setmetatable(list, Query)
end

-- ---- building ----

local function text_of(value, what)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    error(("%s must be a string, a number or a boolean, got %s"):format(what, kind), 0)
  end
  return tostring(value)
end

local function add(out, set, name, value)
  local shown = ("the value of '%s'"):format(tostring(name))
  out[#out + 1] = percent.encode(text_of(name, "a name"), set) .. "=" .. percent.encode(text_of(value, shown), set)
end

local function from_list(out, set, list)
  for i, pair in ipairs(list) do
    if type(pair) ~= "table" then error(("item %d must be a pair { name, value }"):format(i), 0) end
    add(out, set, pair[1], pair[2])
  end
end

local function from_map(out, set, map)
  local names = {}
  for name in pairs(map) do
    if type(name) ~= "string" then error("a list of pairs and names cannot be mixed", 0) end
    names[#names + 1] = name
  end
  table.sort(names) -- the same text each time
  for _, name in ipairs(names) do
    local value = map[name]
    if type(value) ~= "table" then value = { value } end
    for _, one in ipairs(value) do add(out, set, name, one) end
  end
end

--- The text of a list of pairs, or of a table by names. Raises on what is
-- neither, for args.blame.
function M.build(params, set)
  local out = {}
  if rawget(params, 1) == nil then
    from_map(out, set, params)
  else
    for key in pairs(params) do
      if math.type(key) ~= "integer" then error("a list of pairs and names cannot be mixed", 0) end
    end
    from_list(out, set, params)
  end
  return table.concat(out, "&")
end

return M
