--- Multipart bodies (RFC 2046, 5.1): read part by part from whatever brings the
-- bytes, however they are split.
local words <const> = require "neap.http.words"
local random <const> = require "neap.random"

local M = {}

local PREAMBLE <const> = 4096 -- bytes before the first part, which mean nothing
local PARTS <const>, HEAD <const>, FIELDS <const> = 1000, 8192, 32
local PADDING <const> = 128 -- blanks behind a boundary

local function bad(why, code) return nil, "multipart: " .. why, code or "EBADMSG" end

--- A boundary that no data has but by a chance of 2^-120.
function M.boundary() return "neap-" .. random.hex(15) end

--- May this be one? (RFC 2046 takes a few characters more than a token has.)
function M.is_boundary(text)
  return #text <= 70 and text:find "^[A-Za-z0-9'()+_,./:=? -]*[A-Za-z0-9'()+_,./:=?-]$" ~= nil
end

--- The type ("multipart/form-data") and the boundary of a Content-Type.
function M.content_type(field)
  local kind, at = field:match "^[ \t]*([A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+)()"
  local parameters = kind and words.parameters(field, at)
  if not parameters then return bad "malformed Content-Type" end
  local boundary = parameters.boundary
  if not kind:lower():find "^multipart/" then return bad "no multipart body" end
  if not boundary or not M.is_boundary(boundary) then return bad "no boundary, or none that can be" end
  return kind:lower(), boundary
end

-- ---- reading ----

local reader <const> = { __name = "neap.http.multipart" }
reader.__index = reader

--- A reader of parts. `read()` brings bytes, nil at the end, or nil, message,
-- code. Limits: max_parts, max_head (bytes of the fields of a part), max_part
-- (bytes of its data); a part that is larger fails with EMSGSIZE.
function M.reader(boundary, read, limits)
  limits = limits or {}
  return setmetatable({
    read_more = read,
    delimiter = "\r\n--" .. boundary,
    buffer = "\r\n", -- so that the first delimiter is like the others
    state = "preamble",
    parts = 0,
    max_parts = limits.max_parts or PARTS,
    max_head = limits.max_head or HEAD,
    max_part = limits.max_part or math.huge,
  }, reader)
end

local function failed(self, why, message, code)
  self.state, self.buffer, self.part = "failed", "", nil
  self.why, self.code = message, code
  return why, message, code
end

-- More bytes into the buffer; false at the end of all.
local function fill(self)
  local bytes, why, code
  repeat bytes, why, code = self.read_more() until bytes ~= ""
  if not bytes then
    if why then return nil, why, code end
    return false
  end
  self.buffer = self.buffer .. bytes
  return true
end

-- The same where the end is a failure, since there is a last boundary.
local function must_fill(self)
  local ok, why, code = fill(self)
  if ok == false then return bad "it ends before its last boundary" end
  return ok, why, code
end

-- What of the buffer can be no part of a delimiter, up to `from`; the position
-- of the delimiter, if it is there.
local function before_delimiter(self)
  local buffer, delimiter = self.buffer, self.delimiter
  local at = buffer:find(delimiter, 1, true)
  if at then return at - 1, at end
  local from = math.max(1, #buffer - #delimiter + 2)
  while true do
    local cr = buffer:find("\r", from, true)
    if not cr then return #buffer end
    if delimiter:sub(1, #buffer - cr + 1) == buffer:sub(cr) then return cr - 1 end
    from = cr + 1
  end
end

-- The buffer begins with the delimiter: takes what belongs to it. True when a
-- part follows, false at the end of all.
local function pass_delimiter(self)
  local at = #self.delimiter + 1
  while true do
    local buffer = self.buffer
    local last = buffer:find("^%-%-", at) ~= nil
    local blanks = last and at + 2 or at
    local stop = buffer:find("[^ \t]", blanks)
    if (stop or #buffer + 1) - blanks > PADDING then return bad "too many blanks behind a boundary" end
    if stop then
      if last and buffer:byte(stop) == 0x0d then return false end
      if not last and buffer:find("^\r\n", stop) then
        self.buffer = buffer:sub(stop + 2)
        return true
      end
      if last or not buffer:find("^[\r-]$", stop) then return bad "something else behind a boundary" end
    end
    local ok, why, code = fill(self)
    if not ok then
      if ok == nil then return nil, why, code end
      if last then return false end
      return bad "it ends before its last boundary"
    end
  end
end

-- ---- the fields of a part ----

local function parse_fields(text)
  local fields, n = {}, 0
  for line in text:gmatch "(.-)\r\n" do
    local name, value = line:match "^([^: \t]+):(.*)$"
    value = name and words.trim(value)
    n = n + 1
    if not name or not words.is_token(name) or value:find "[\0\r\n]" then return bad "a malformed field of a part" end
    if n > FIELDS then return bad("a part of too many fields", "EMSGSIZE") end
    name = name:lower()
    if fields[name] then return bad "a field twice in a part" end
    fields[name] = value
  end
  return fields
end

local function read_fields(self)
  while true do
    local buffer = self.buffer
    local stop = buffer:sub(1, 2) == "\r\n" and 1 or (buffer:find("\r\n\r\n", 1, true) or -2) + 2
    if stop - 1 > self.max_head or stop == 0 and #buffer > self.max_head + 3 then
      return bad("the fields of a part are too many bytes", "EMSGSIZE")
    end
    if stop > 0 then
      self.buffer = buffer:sub(stop + 2)
      return parse_fields(buffer:sub(1, stop - 1))
    end
    local ok, why, code = must_fill(self)
    if not ok then return nil, why, code end
  end
end

-- ---- parts ----

local part <const> = { __name = "neap.http.part" }
part.__index = part

-- The next bytes of what stands before a delimiter; nil at the delimiter.
local function next_bytes(self)
  while true do
    local free, at = before_delimiter(self)
    if free > 0 then
      local bytes = self.buffer:sub(1, free)
      self.buffer = self.buffer:sub(free + 1)
      return bytes
    end
    if at then return nil end
    local ok, why, code = must_fill(self)
    if not ok then return nil, why, code end
  end
end

--- The next bytes of its data, or nil at its end.
function part:read()
  local whole = self.whole
  if whole.part ~= self then
    if whole.state == "failed" then return nil, whole.why, whole.code end
    return nil
  end
  local bytes, why, code = next_bytes(whole)
  if bytes then
    self.size = self.size + #bytes
    if self.size > whole.max_part then
      return failed(whole, bad(("a part is larger than %d bytes"):format(whole.max_part), "EMSGSIZE"))
    end
    return bytes
  end
  if why then return failed(whole, nil, why, code) end
  whole.part = nil
end

--- All its data, of at most `limit` bytes.
function part:text(limit)
  local out, n = {}, 0
  while true do
    local bytes, why, code = self:read()
    if not bytes then
      if why then return nil, why, code end
      return table.concat(out)
    end
    n = n + #bytes
    if limit and n > limit then
      return failed(self.whole, bad(("a part is larger than %d bytes"):format(limit), "EMSGSIZE"))
    end
    out[#out + 1] = bytes
  end
end

local function skip_preamble(self)
  local n = 0
  while true do
    local bytes, why, code = next_bytes(self)
    if not bytes then
      if why then return nil, why, code end
      return true
    end
    n = n + #bytes
    if n > PREAMBLE + 2 then return bad "no boundary where it should begin" end
  end
end

-- To the delimiter in front of the next part.
local function skip_rest(self)
  if self.state == "preamble" then return skip_preamble(self) end
  local current = self.part
  while current and self.part == current do
    local bytes, why, code = current:read()
    if not bytes and why then return nil, why, code end
  end
  return true
end

--- The next part (what was not read of the last one is passed over), nil after
-- the last, or nil, message, code. Its `fields` are by lower-case names;
-- part:read(), part:text(limit).
function reader:next()
  if self.state == "failed" then return nil, self.why, self.code end
  if self.state == "end" then return nil end
  local ok, why, code = skip_rest(self)
  if not ok then return failed(self, nil, why, code) end
  ok, why, code = pass_delimiter(self)
  if ok == nil then return failed(self, nil, why, code) end
  if not ok then
    self.state, self.buffer = "end", ""
    return nil
  end
  self.state, self.parts = "parts", self.parts + 1
  if self.parts > self.max_parts then
    return failed(self, bad(("more than %d parts"):format(self.max_parts), "EMSGSIZE"))
  end
  local fields
  fields, why, code = read_fields(self)
  if not fields then return failed(self, nil, why, code) end
  self.part = setmetatable({ whole = self, fields = fields, size = 0 }, part)
  return self.part
end

return M
