--- Forms, as browsers send them: application/x-www-form-urlencoded and
-- multipart/form-data (RFC 7578, and the form standard for names).
local mime <const> = require "neap.http.mime"
local multipart <const> = require "neap.http.multipart"
local query <const> = require "neap.url.query"
local words <const> = require "neap.http.words"

local M = {}

local PIECE <const> = 65536
local FIELDS <const> = 1000

-- ---- urlencoded ----

M.URLENCODED = "application/x-www-form-urlencoded"

--- The text of a list of pairs, or of a table by names. Raises (with level 0)
-- on what is neither.
function M.encode(params) return query.build(params, "form") end

--- An ordered list of { name, value }, in which a name finds its first value.
-- EMSGSIZE for more than `most` of them (1000).
function M.decode(text, most)
  most = most or FIELDS
  local list = query.parse(text, "form", most)
  if list then return list end
  return nil, ("form: more than %d fields"):format(most), "EMSGSIZE"
end

-- ---- building multipart/form-data ----

local ESCAPED <const> = { ['"'] = "%22", ["\r"] = "%0D", ["\n"] = "%0A" }

-- As the form standard escapes names (its line ends first become CR LF) and
-- file names.
local function escape_filename(name) return (name:gsub('["\r\n]', ESCAPED)) end
local function escape_name(name)
  return escape_filename((name:gsub("\r?\n", "\n"):gsub("\r", "\n"):gsub("\n", "\r\n")))
end

local function bad(i, what) error(("part %d: %s"):format(i, what), 0) end

local KNOWN <const> = {
  name = "string", filename = "string", type = "string", value = "string", path = "string", chunks = "function",
  length = "number",
}

local function check_part(given, i)
  if type(given) ~= "table" then bad(i, "a table expected, got " .. type(given)) end
  for name, value in pairs(given) do
    local kind = KNOWN[name]
    if not kind then bad(i, ("unknown field '%s'"):format(tostring(name))) end
    if type(value) ~= kind then bad(i, ("field '%s' must be a %s"):format(name, kind)) end
  end
  if not given.name then bad(i, "it has no name") end
  if given.length and (math.type(given.length) ~= "integer" or given.length < 0) then
    bad(i, "field 'length' must be a number of bytes")
  end
  local sources = (given.value and 1 or 0) + (given.path and 1 or 0) + (given.chunks and 1 or 0)
  if sources ~= 1 then bad(i, "one of 'value', 'path' and 'chunks' expected") end
  for _, name in ipairs { "name", "filename", "type" } do
    if given[name] and given[name]:find "[\0\1-\8\x0b\x0c\x0e-\x1f\x7f]" then
      bad(i, ("field '%s' holds a control character"):format(name))
    end
  end
  if given.type and given.type:find "[\r\n]" then bad(i, "field 'type' holds a line end") end
end

local function list_of(parts)
  if parts[1] ~= nil or next(parts) == nil then return parts end
  local list, names = {}, {}
  for name in pairs(parts) do
    if type(name) ~= "string" then error("a list of parts and names cannot be mixed", 0) end
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = parts[name]
    if type(value) == "table" then
      local copy = { name = name }
      for key, one in pairs(value) do copy[key] = one end
      list[i] = copy
    else
      if type(value) == "number" or type(value) == "boolean" then value = tostring(value) end
      list[i] = { name = name, value = value }
    end
  end
  return list
end

local function head_of(given)
  local filename, kind = given.filename, given.type
  if given.path then
    filename = filename or given.path:match "[^/]*$"
    kind = kind or mime.type(filename):match "^[^;]*" -- who knows its charset?
  end
  if filename and not kind then kind = "application/octet-stream" end
  return ('Content-Disposition: form-data; name="%s"%s\r\n%s\r\n'):format(escape_name(given.name),
    filename and ('; filename="%s"'):format(escape_filename(filename)) or "",
    kind and "Content-Type: " .. kind .. "\r\n" or "")
end

local CODES <const> = { [1] = "EPERM", [2] = "ENOENT", [13] = "EACCES", [20] = "ENOTDIR", [21] = "EISDIR",
  [23] = "ENFILE", [24] = "EMFILE" }

local function file_failure(why, number) return nil, "form: " .. why, CODES[number] or "EIO" end

-- The file and its size; no size if it is none that has one, like a pipe.
local function open_file(path)
  local file, why, number = io.open(path, "rb")
  if not file then return file_failure(why, number) end
  local nothing
  nothing, why, number = file:read(0)
  if not nothing and why then
    file:close()
    return file_failure(path .. ": " .. why, number)
  end
  local size = file:seek "end"
  if size then file:seek "set" end
  return file, size
end

local function size_of(given)
  if given.value then return #given.value end
  if given.chunks then return given.length or false end
  local file, size, code = open_file(given.path)
  if not file then return nil, size, code end
  file:close()
  return size or false
end

local function text_source(text)
  return function()
    local bytes = text
    text = nil
    return bytes
  end
end

-- A function that gives the data of a part, and one that ends it before.
local function source(given, size)
  if given.chunks then return given.chunks end
  if given.value then return text_source(given.value) end
  local file, why, code = open_file(given.path)
  if not file then return nil, why, code end
  local left = size or math.maxinteger
  local function close()
    if io.type(file) == "file" then file:close() end
  end
  return function()
    local bytes, message, number
    if left > 0 then bytes, message, number = file:read(math.min(left, PIECE)) end
    if bytes then
      left = left - #bytes
      return bytes
    end
    close()
    if message then return file_failure(given.path .. ": " .. message, number) end
    if size and left > 0 then return nil, ("form: %s became shorter while it was sent"):format(given.path), "EIO" end
  end, close
end

local function counted(read, wanted, i)
  local n = 0
  return function()
    local bytes, why, code = read()
    n = n + (bytes and #bytes or 0)
    if wanted and (n > wanted or not bytes and not why and n < wanted) then
      return nil, ("form: part %d is not of the length that was said"):format(i), "EINVAL"
    end
    return bytes, why, code
  end
end

local function next_chunk(walk)
  local bytes, why, code
  if walk.read then
    repeat bytes, why, code = walk.read() until bytes ~= ""
    if bytes then return bytes end
    if why then return nil, why, code end
  end
  local self, i = walk.body, walk.part + 1
  local before = (i > 1 and "\r\n--" or "--") .. self.boundary
  walk.part, walk.read, walk.close = i, nil, nil
  local given = self.parts[i]
  if not given then
    walk.ended = true
    return before .. "--\r\n"
  end
  local read
  read, why, code = source(given, self.sizes[i])
  if not read then return nil, why, code end
  walk.read, walk.close = counted(read, self.sizes[i], i), why
  return before .. "\r\n" .. self.heads[i]
end

local body <const> = { __name = "neap.http.form" }
body.__index = body

--- An iterator over the body's bytes, from the beginning each time (where no
-- part is made of `chunks`). Its end is nil; a failure nil, message, code. What
-- `for` closes at its end closes the file that is open.
function body:chunks()
  local walk = { body = self, part = 0 }
  local function stop()
    walk.ended = true
    if walk.close then walk.close() end
  end
  local function step()
    if walk.ended then return nil end
    local bytes, why, code = next_chunk(walk)
    if not bytes then stop() end
    return bytes, why, code
  end
  return step, nil, nil, setmetatable({}, { __close = stop })
end

-- A boundary that is in none of the texts.
local function free_boundary(parts)
  while true do
    local boundary = multipart.boundary()
    local taken = false
    for _, given in ipairs(parts) do
      taken = taken or given.value and given.value:find(boundary, 1, true) ~= nil
    end
    if not taken then return boundary end
  end
end

--- A body of multipart/form-data: `type` (with its boundary), `length` (nil if
-- a part does not say), `rewinds` (may chunks() be called again?), chunks().
--
-- Parts are a list of { name =, value = | path = | chunks =, filename =, type =,
-- length = (of chunks) }, or a table by names of texts or such tables. Mistakes
-- raise (with level 0); a file that is not there is nil, message, code.
function M.multipart(parts)
  local list = list_of(parts)
  local self = { parts = list, heads = {}, sizes = {}, rewinds = true }
  local length = 0
  for i, given in ipairs(list) do
    check_part(given, i)
    local size, why, code = size_of(given)
    if size == nil then return nil, why, code end
    self.heads[i], self.sizes[i] = head_of(given), size
    self.rewinds = self.rewinds and not given.chunks
    length = length and size and length + #self.heads[i] + size
  end
  self.boundary = free_boundary(list)
  self.type = "multipart/form-data; boundary=" .. self.boundary
  self.length = length and length + #list * (#self.boundary + 6) + #self.boundary + 6 or nil
  return setmetatable(self, body)
end

-- ---- reading multipart/form-data ----

local UNESCAPED <const> = { ["%22"] = '"', ["%0D"] = "\r", ["%0d"] = "\r", ["%0A"] = "\n", ["%0a"] = "\n" }

local function unescape(text) return (text:gsub("%%[02][2DdAa]", UNESCAPED)) end

-- As browsers write it: nothing but a quote ends a name.
local function browser_disposition(field)
  local name, rest = field:match '^[Ff][Oo][Rr][Mm]%-[Dd][Aa][Tt][Aa];[ \t]*[Nn][Aa][Mm][Ee]="([^"]*)"(.*)$'
  if not name then return nil end
  if rest == "" then return unescape(name) end
  local filename = rest:match '^;[ \t]*[Ff][Ii][Ll][Ee][Nn][Aa][Mm][Ee]="([^"]*)"$'
  if filename then return unescape(name), unescape(filename) end
end

-- UTF-8''text of a parameter with a star (RFC 8187).
local function extended(text)
  local coded = text and text:match "^[Uu][Tt][Ff]%-8'[^']*'(.*)$"
  if not coded then return nil end
  local plain = coded:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  return utf8.len(plain) and plain or nil
end

-- As others do: with backslashes, tokens, and parameters in any order.
local function other_disposition(field)
  local kind, at = words.token(field, 1)
  if not kind or kind:lower() ~= "form-data" then return nil end
  local parameters = words.parameters(field, at)
  if not parameters or not parameters.name then return nil end
  return unescape(parameters.name),
    parameters.filename and unescape(parameters.filename) or extended(parameters["filename*"])
end

--- The name and the file name that a Content-Disposition says, or nil.
function M.disposition(field)
  local name, filename = browser_disposition(field)
  if not name then name, filename = other_disposition(field) end
  return name, filename
end

local reader <const> = { __name = "neap.http.form.reader" }
reader.__index = reader

--- The next part, with name, filename, type; nil after the last; or nil,
-- message, code. It is read by part:read() and part:text(limit).
function reader:next()
  if self.why then return nil, self.why, "EBADMSG" end
  local part, why, code = self.parts:next()
  if not part then return nil, why, code end
  local name, filename = M.disposition(part.fields["content-disposition"] or "")
  if not name then
    self.why = "form: a part without a name"
    return nil, self.why, "EBADMSG"
  end
  part.name, part.filename = name, filename
  part.type = part.fields["content-type"] or filename and "application/octet-stream" or "text/plain"
  return part
end

--- Reads multipart/form-data of this Content-Type; `read` and the limits are
-- those of multipart.reader.
function M.reader(content_type, read, limits)
  local kind, boundary, code = multipart.content_type(content_type)
  if not kind then return nil, boundary, code end
  if kind ~= "multipart/form-data" then return nil, "form: no multipart/form-data", "EBADMSG" end
  return setmetatable({ parts = multipart.reader(boundary, read, limits) }, reader)
end

return M
