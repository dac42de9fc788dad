--- The name of a subject: RFC 4514's text, names to values, or a list.
local ORDER <const> = { "C", "ST", "L", "O", "OU", "CN" } -- of a table by names

-- The parts of RFC 4514's text between separators that no backslash hides.
local function split(text)
  local parts, piece, at = {}, {}, 1
  while at <= #text do
    local c = text:sub(at, at)
    if c == "\\" then
      piece[#piece + 1] = text:sub(at, at + 1)
      at = at + 2
    else
      if c == "," or c == "+" then
        parts[#parts + 1] = { table.concat(piece), joins = c == "+" }
        piece = {}
      else
        piece[#piece + 1] = c
      end
      at = at + 1
    end
  end
  parts[#parts + 1] = { table.concat(piece) }
  return parts
end

local function unescape(text)
  return (text:gsub("\\(%X?%x?%x?)", function(hidden)
    return hidden:find "^%x%x$" and string.char(tonumber(hidden, 16)) or hidden
  end))
end

-- "CN=x,O=y": what is written last comes first in the certificate.
local function subject_of_text(text)
  local entries = {}
  if text == "" then return entries end
  for _, piece in ipairs(split(text)) do
    local kind, value = piece[1]:match "^%s*([%w.%-]+)%s*=%s*(.-)%s*$"
    if not kind then error(("the subject '%s' is not of the form CN=x,O=y"):format(text), 0) end
    if value:find "\\$" then value = value .. " " end -- a hidden space at the end
    table.insert(entries, 1, { type = kind, value = unescape(value), joined = piece.joins })
  end
  return entries
end

local function subject_of_names(names)
  local entries, known = {}, {}
  for _, kind in ipairs(ORDER) do
    known[kind] = true
    if names[kind] then entries[#entries + 1] = { type = kind, value = names[kind] } end
  end
  local others = {}
  for kind in pairs(names) do
    if not known[kind] then others[#others + 1] = kind end
  end
  table.sort(others, function(a, b) return tostring(a) < tostring(b) end)
  for _, kind in ipairs(others) do entries[#entries + 1] = { type = kind, value = names[kind] } end
  return entries
end

--- A list of { type =, value =, joined = }, in the order of the certificate.
return function(subject)
  if subject == nil then return {} end
  if type(subject) == "string" then return subject_of_text(subject) end
  if type(subject) ~= "table" then error("option 'subject' must be a string or a table", 0) end
  local entries = subject[1] == nil and subject_of_names(subject) or subject
  for _, entry in ipairs(entries) do
    if type(entry) ~= "table" or type(entry.type) ~= "string" or type(entry.value) ~= "string" then
      error("an entry of the subject must be { type =, value = }, strings", 0)
    end
  end
  return entries
end
