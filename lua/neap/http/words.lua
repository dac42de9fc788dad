--- What the values of header fields are made of: tokens, quoted strings,
-- parameters and lists (RFC 9110, 5.6).
local M = {}

local TOKEN <const> = "^[A-Za-z0-9!#$%%&'*+.^_`|~-]+"

--- The token at this place and the position behind it, or nil.
function M.token(text, at)
  local from, to = text:find(TOKEN, at)
  if from then return text:sub(from, to), to + 1 end
end

--- Is the whole text a token?
function M.is_token(text)
  return type(text) == "string" and text:find "^[A-Za-z0-9!#$%%&'*+.^_`|~-]+$" ~= nil
end

--- The position of what is no blank.
function M.skip(text, at) return (text:find("[^ \t]", at)) or #text + 1 end

--- The text without the blanks around it. "(.-)[ \t]*$" would take time that
-- grows with the square of the blanks within.
function M.trim(text)
  local from = text:find "[^ \t]"
  return from and text:match("^.*[^ \t]", from) or ""
end

--- What a quoted string at this place says, and the position behind it.
function M.quoted(text, at)
  if text:byte(at) ~= 0x22 then return nil end
  local parts, from = {}, at + 1
  while true do
    local to = text:find('["\\]', from)
    if not to then return nil end
    parts[#parts + 1] = text:sub(from, to - 1)
    if text:byte(to) == 0x22 then return table.concat(parts), to + 1 end
    if to == #text then return nil end
    parts[#parts + 1] = text:sub(to + 1, to + 1)
    from = to + 2
  end
end

--- A token or a quoted string.
function M.value(text, at)
  if text:byte(at) == 0x22 then return M.quoted(text, at) end
  return M.token(text, at)
end

--- The text as a quoted string. Control characters cannot be in one.
function M.quote(text) return '"' .. text:gsub('["\\]', "\\%0") .. '"' end

--- `name=value` at this place: the name in lower case, the value, the position
-- behind; or nil. With blanks around the "=" only if they are asked for.
function M.parameter(text, at, blanks)
  local name, to = M.token(text, at)
  if not name then return nil end
  if blanks then to = M.skip(text, to) end
  if text:byte(to) ~= 0x3d then return nil end
  to = to + 1
  if blanks then to = M.skip(text, to) end
  local value
  value, to = M.value(text, to)
  if value then return name:lower(), value, to end
end

--- What `;name=value` parameters say from this place to the end, as a table:
-- nil if they are malformed or one comes twice.
function M.parameters(text, at)
  local found = {}
  at = M.skip(text, at)
  while at <= #text do
    if text:byte(at) ~= 0x3b then return nil end
    at = M.skip(text, at + 1)
    if at <= #text and text:byte(at) ~= 0x3b then
      local name, value, to = M.parameter(text, at)
      if not name or found[name] then return nil end
      found[name], at = value, M.skip(text, to)
    end
  end
  return found
end

--- The items of a list, without the blanks around them; commas in quoted
-- strings do not count, and neither do empty items. Nil if a string does not
-- end.
function M.list(text)
  local items, from, at = {}, 1, 1
  while true do
    local to = text:find('[,"]', at)
    if to and text:byte(to) == 0x22 then
      local _, behind = M.quoted(text, to)
      if not behind then return nil end
      at = behind
    else
      local item = M.trim(text:sub(from, to and to - 1))
      if item ~= "" then items[#items + 1] = item end
      if not to then return items end
      from, at = to + 1, to + 1
    end
  end
end

--- A quality in thousandths, or nil: 0.5, 1, 1.000.
function M.quality(text)
  if text == "0" then return 0 end
  if text == "1" or text:find "^1%.0?0?0?$" then return 1000 end
  local digits = text:match "^0%.([0-9]*)$"
  if digits and #digits <= 3 then return tonumber((digits .. "000"):sub(1, 3)) end
end

return M
