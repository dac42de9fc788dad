-- SPDX-License-Identifier: MIT
--- A body into a file: beside it first, and in its place once it is whole; and
-- the rest of one that was cut short before.
local args <const> = require "neap.args"
local core <const> = require "neap.core"
local range <const> = require "neap.http.range"

local M = {}

local ERROR_PAGE <const> = 65536 -- bytes of an answer that says that nothing is missing

local save_options <const> = { resume = "boolean" }

local function failed(path, why, number)
  why = why:gsub("^" .. path:gsub("%p", "%%%0") .. ": ", "")
  return nil, ("save %s: %s"):format(path, why), number and core.errname(number) or "EIO"
end

local function open(path, mode)
  local file, why, number = io.open(path, mode)
  if not file then return failed(path, why, number) end
  return file
end

-- What was written of a file so far lies here.
local function part_of(path) return path .. ".part" end

-- All that is left of the body goes to the file.
local function copy(body, file, path)
  local n = 0
  while true do
    local data, why, code = body:receive()
    if not data then
      if code == "EOF" then return n end
      return nil, why, code
    end
    local ok, message, number = file:write(data)
    if not ok then return failed(path, message, number) end
    n = n + #data
  end
end

local function finish(file, part, path)
  local ok, why, number = file:close()
  if not ok then return failed(part, why, number) end
  ok, why, number = os.rename(part, path)
  if not ok then return failed(path, why, number) end
  return true
end

-- Where a part that is there is to be continued by this body: its size, or 0
-- where it has to begin anew, and the size of the whole; nil, message, code for
-- an answer that is neither.
local function continues(body, size)
  if body.status == 200 then return 0, body.length end
  local field = body.headers:get "content-range"
  local first, why, total = nil, nil, nil
  if field then first, why, total = range.parse_content(field) end
  if body.status == 206 then
    if not first then return nil, why or "save: 206 without Content-Range", "EBADMSG" end
    if first <= size then return first, total end
    return nil, ("save: the answer begins at byte %d, the file ends at %d"):format(first, size), "EBADMSG"
  end
  if body.status == 416 and total == size then return size, size end
  return nil, ("save: the answer is %d %s"):format(body.status, body.reason), "EPROTO"
end

-- The validator, by which the rest can be asked for, is kept beside the part.
local function validator(body)
  local tag = body.headers:get "etag"
  if tag and not tag:find "^W/" then return tag end
  return body.headers:get "last-modified"
end

local function keep_validator(body, path)
  local file <close> = io.open(part_of(path) .. ".tag", "wb")
  if file then file:write(validator(body) or "") end
end

local function forget_validator(path) os.remove(part_of(path) .. ".tag") end

--- The size of what is there of a download, and its validator; 0 for nothing,
-- or for what nobody can tell whether it is still the same.
function M.part(path)
  local file <close> = io.open(part_of(path), "rb")
  local tag_file <close> = io.open(part_of(path) .. ".tag", "rb")
  if not file or not tag_file then return 0 end
  local tag = tag_file:read "a"
  if tag == "" or tag:find "[\0-\x1f\x7f]" then return 0 end
  return file:seek "end" or 0, tag
end

local function to_part(body, path)
  local part = part_of(path)
  local size = M.part(path)
  local at, total, code = continues(body, size)
  if not at then return nil, total, code end
  local file, why
  file, why, code = open(part, at > 0 and "r+b" or "wb")
  if not file then return nil, why, code end
  local guard <close> = file
  if at > 0 then
    file:seek("set", at)
  else
    keep_validator(body, path)
  end
  local n
  if body.status == 416 then
    n, why, code = body:discard(ERROR_PAGE)
  else
    n, why, code = copy(body, file, path)
  end
  if not n then return nil, why, code end
  local size_now = file:seek "end"
  if total and size_now ~= total and not body.decoder then
    return nil, ("save %s: %d bytes are there, not %d"):format(path, size_now, total), "EPROTO"
  end
  n, why, code = finish(file, part, path)
  if not n then return nil, why, code end
  forget_validator(path)
  return size_now
end

local function to_temporary(body, path)
  local part = ("%s.%s.tmp"):format(path, require "neap.random".hex(6))
  local file, why, code = open(part, "wb")
  if not file then return nil, why, code end
  local cleanup <close> = setmetatable({}, { __close = function()
    if io.type(file) == "file" then file:close() end
    if part then os.remove(part) end
  end })
  local n
  n, why, code = copy(body, file, path)
  if not n then return nil, why, code end
  local ok
  ok, why, code = finish(file, part, path)
  if not ok then return nil, why, code end
  part = nil
  return n
end

--- Saves what is left of a body. With `resume` what was received stays if the
-- connection ends before its time, to be continued.
function M.save(body, path, given)
  args.argument(path, "string", 1, 3)
  local o = args.check(given, save_options, 2, 3)
  if path == "" or path:find("\0", 1, true) then error("bad argument #1 (a file's path expected)", 3) end
  local n, why, code
  if o.resume then
    n, why, code = to_part(body, path)
  else
    n, why, code = to_temporary(body, path)
  end
  if n then return n end
  return nil, why, code
end

return M
