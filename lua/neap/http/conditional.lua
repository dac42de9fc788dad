--- Validators and conditional requests (RFC 9110, 8.8 and 13).
local date <const> = require "neap.http.date"

local M = {}

local TAGS <const> = 256 -- of one field

-- ---- entity tags ----

--- An entity tag at this place: what is between the quotes, whether it is weak,
-- and the position behind it; or nil.
function M.tag(text, at)
  local weak, opaque, to = text:match('^(W?/?)"([\x21\x23-\x7e\x80-\xff]*)"()', at)
  if not opaque or weak ~= "" and weak ~= "W/" then return nil end
  return opaque, weak == "W/", to
end

--- A tag as it stands in a field. Raises on bytes that cannot be in one.
function M.etag(opaque, weak)
  if opaque:find "[^\x21\x23-\x7e\x80-\xff]" then error("a byte that cannot be in an entity tag", 2) end
  return (weak and 'W/"' or '"') .. opaque .. '"'
end

--- The tag that a file's size and time make: strong, as servers have it.
function M.file_etag(size, modified)
  return ('"%x-%x"'):format(math.tointeger(modified // 1) or 0, size)
end

-- Both as they stand in fields.
local function same(a, b, strongly)
  local one, one_weak = M.tag(a, 1)
  local two, two_weak = M.tag(b, 1)
  return one ~= nil and one == two and not (strongly and (one_weak or two_weak))
end

--- Are the tags (with their quotes) the same? `strongly`: neither is weak.
M.same = same

-- Is the tag in the list? "*" is any that there is. Nil if it is malformed.
local function listed(field, etag, strongly)
  if field:find "^[ \t]*%*[ \t]*$" then return true end
  local at, n = 1, 0
  while true do
    at = field:find("[^ \t,]", at)
    if not at then return false end
    local opaque, _, to = M.tag(field, at)
    n = n + 1
    if not opaque or n > TAGS then return nil end
    if etag and same(field:sub(at, to - 1), etag, strongly) then return true end
    at = field:find("[^ \t]", to)
    if not at then return false end
    if field:byte(at) ~= 0x2c then return nil end
  end
end

-- ---- conditions ----

local function seconds(field, now) return field and date.parse(field, now) end

-- If-Match or else If-Unmodified-Since: false for 412.
local function precondition(fields, state, now)
  local tags = fields.if_match
  if tags then
    if tags:find "^[ \t]*%*[ \t]*$" then return state.exists ~= false end
    return state.exists ~= false and listed(tags, state.etag, true) == true
  end
  local since = seconds(fields.if_unmodified_since, now)
  if since and state.modified then return state.modified // 1 <= since end
  return true
end

-- If-None-Match or else If-Modified-Since: true where there is nothing new.
local function is_known(method, fields, state, now)
  local tags = fields.if_none_match
  if tags then
    if tags:find "^[ \t]*%*[ \t]*$" then return state.exists ~= false end
    return state.exists ~= false and listed(tags, state.etag, false) == true
  end
  if method ~= "GET" and method ~= "HEAD" then return false end
  local since = seconds(fields.if_modified_since, now)
  return since ~= nil and state.modified ~= nil and state.exists ~= false and state.modified // 1 <= since
end

--- Is what a client has a part of still the same, so that a Range may be
-- answered? `if_range` is the field, or nil. A date counts only where it is
-- exact and old enough to be a strong validator (RFC 9110, 13.1.5).
function M.range_applies(if_range, state, now)
  if not if_range then return true end
  if if_range:find '^W?/?"' then return state.etag ~= nil and same(if_range, state.etag, true) end
  local since = seconds(if_range, now)
  return since ~= nil and state.modified ~= nil and state.modified // 1 == since and since + 1 <= now
end

--- What the conditions of a request come to, in the order of RFC 9110, 13.2.2:
-- 412, 304, or nil to go on; and then whether its Range is to be heeded.
--
-- `fields`: if_match, if_unmodified_since, if_none_match, if_modified_since,
-- range, if_range, where the request has them. `state`: etag (with its quotes),
-- modified (seconds since 1970), exists (false: there is nothing yet). Only for
-- what would be answered with success otherwise.
function M.evaluate(method, fields, state, now)
  if not precondition(fields, state, now) then return 412 end
  if is_known(method, fields, state, now) then
    return (method == "GET" or method == "HEAD") and 304 or 412
  end
  return nil, method == "GET" and fields.range ~= nil and M.range_applies(fields.if_range, state, now)
end

return M
