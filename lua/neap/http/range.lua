--- Parts of a representation (RFC 9110, 14): Range, Content-Range, If-Range, and
-- multipart/byteranges. Positions count from 0 and are both inclusive, as HTTP
-- has them.
local multipart <const> = require "neap.http.multipart"
local words <const> = require "neap.http.words"

local M = {}

local RANGES <const> = 16 -- that a server answers with parts

-- Digits as an integer, or nil for more than can be.
local function integer(digits)
  digits = digits:match "^0*(.-)$"
  if #digits > 18 then return math.maxinteger end
  return digits == "" and 0 or math.tointeger(tonumber(digits))
end

--- What a Range asks: a list of { first = , last = } (last may be nil: to the
-- end) and { suffix = } (so many at the end); nil if it is malformed or not of
-- bytes, so that it is to be ignored.
function M.parse(field)
  local set = field:match "^[Bb][Yy][Tt][Ee][Ss]=(.*)$"
  local list = {}
  for _, item in ipairs(set and words.list(set) or {}) do
    local first, last = item:match "^([0-9]*)%-([0-9]*)$"
    if not first or first == "" and last == "" then return nil end
    if first == "" then
      list[#list + 1] = { suffix = integer(last) }
    else
      local range = { first = integer(first), last = last ~= "" and integer(last) or nil }
      if range.last and range.last < range.first then return nil end
      list[#list + 1] = range
    end
  end
  return list[1] and list or nil
end

-- A range within a size, or nil.
local function within(range, size)
  local first, last
  if range.suffix then
    if range.suffix == 0 then return nil end
    first, last = math.max(0, size - range.suffix), size - 1
  else
    first, last = range.first, math.min(range.last or math.maxinteger, size - 1)
  end
  if first > last then return nil end
  return { first = first, last = last }
end

--- What to answer to a Range of something of so many bytes: a list of
-- { first =, last = }, in the order in which they were asked for (one: 206 with
-- Content-Range; more: 206 with multipart/byteranges); false for 416; nil to
-- answer with all. More than `most` (16) ranges, ranges that overlap, and
-- those of nothing are answered with all (RFC 9110, 14.2 and 17.15).
function M.resolve(field, size, most)
  local asked = field and M.parse(field)
  if not asked then return nil end
  if size == 0 or #asked > (most or RANGES) then return nil end
  local found = {}
  for _, range in ipairs(asked) do found[#found + 1] = within(range, size) end
  if not found[1] then return false end
  local sorted = table.move(found, 1, #found, 1, {})
  table.sort(sorted, function(a, b) return a.first < b.first end)
  for i = 2, #sorted do
    if sorted[i].first <= sorted[i - 1].last then return nil end
  end
  return found
end

--- The value of a Content-Range; without first and last that of a 416.
function M.content(size, first, last)
  if not first then return ("bytes */%d"):format(size) end
  return ("bytes %d-%d/%s"):format(first, last, size and ("%d"):format(size) or "*")
end

--- What a Content-Range says: first, last, size (nil where it is not known);
-- nil, nil, size for one of a 416. Nil, message, code if it is malformed.
function M.parse_content(field)
  local range, size = field:match "^[Bb][Yy][Tt][Ee][Ss] +([0-9*-]+)/([0-9*]+)$"
  local first, last = (range or ""):match "^([0-9]+)%-([0-9]+)$"
  local whole = size and size ~= "*" and size:find "^[0-9]+$" and integer(size) or nil
  if first and (whole or size == "*") then
    first, last = integer(first), integer(last)
    if first <= last and last < (whole or math.maxinteger) then return first, last, whole end
  elseif range == "*" and whole then
    return nil, nil, whole
  end
  return nil, "range: a malformed Content-Range", "EBADMSG"
end

--- The value of a Range: of one range, open at its end unless `last` is given.
function M.request(first, last) return ("bytes=%d-%s"):format(first, last and ("%d"):format(last) or "") end

--- The body of multipart/byteranges: `type`, `length`, and `heads`: what goes
-- before the bytes of each range; `tail` goes behind the last one.
function M.multipart(ranges, size, kind)
  local boundary = multipart.boundary()
  local answer = {
    type = "multipart/byteranges; boundary=" .. boundary, heads = {}, tail = ("\r\n--%s--\r\n"):format(boundary),
  }
  local length = #answer.tail
  for i, range in ipairs(ranges) do
    local head = ("%s--%s\r\n%sContent-Range: %s\r\n\r\n"):format(i > 1 and "\r\n" or "", boundary,
      kind and ("Content-Type: %s\r\n"):format(kind) or "", M.content(size, range.first, range.last))
    answer.heads[i] = head
    length = length + #head + range.last - range.first + 1
  end
  answer.length = length
  return answer
end

return M
