-- SPDX-License-Identifier: MIT
--- Static files: a handler that answers with what is beneath a directory, and
-- with nothing else.
local args <const> = require "neap.args"
local conditional <const> = require "neap.http.conditional"
local core <const> = require "neap.core"
local date <const> = require "neap.http.date"
local httpcore <const> = require "neap.httpcore"
local message <const> = require "neap.http.message"
local mime <const> = require "neap.http.mime"
local percent <const> = require "neap.url.percent"
local range <const> = require "neap.http.range"
local send <const> = require "neap.http.send"

local M = {}

local FRESH <const> = 1 -- seconds for which the root is taken to be the same directory
local PIECE <const> = 65536
local REMEMBERED <const>, LONGEST <const> = 512, 256 -- paths, and bytes of one

local options <const> = {
  dotfiles = "boolean", listing = "boolean", cache_control = "string", types = "table",
}

-- ---- paths ----

-- The path beneath the root that a request's path means, and whether it is to be
-- a directory; nil for what is no path of ours. Nothing in it is special any more
-- to the file system.
local function beneath(path, o)
  if path:byte() ~= 0x2f then return nil end
  local names <const> = {}
  local rest <const> = path:sub(2)
  for name, slash in rest:gmatch "([^/]*)(/?)" do
    if name == "" then
      if slash ~= "" then return nil end
      break
    end
    if percent.bad(name) then return nil end
    name = percent.decode(name)
    if name:find "[\0/\\]" or name == "." or name == ".." then return nil end
    if name:byte() == 0x2e and not o.dotfiles and name ~= ".well-known" then return nil end
    names[#names + 1] = name
  end
  return table.concat(names, "/"), rest == "" or rest:sub(-1) == "/"
end

-- ---- answers ----

local NOT_FOUND <const> = { ENOENT = true, ENOTDIR = true, ELOOP = true, EXDEV = true, EINVAL = true,
  ENAMETOOLONG = true, ENXIO = true }

-- The status for a file that cannot be opened.
local function refusal(code)
  if NOT_FOUND[code] then return 404 end
  if code == "EACCES" or code == "EPERM" then return 403 end
  return 503
end

-- Several ranges of a file, each with a head.
local parts <const> = { __name = "neap.http.ranges" }
parts.__index = parts

function parts:close() return self.file:close() end

parts.__close = parts.close

function parts:chunks()
  local i, at, last = 0, 1, 0
  local handle <const> = self.file.handle
  return function()
    if at > last then
      i = i + 1
      local wanted <const> = self.ranges[i]
      if not wanted then return i == #self.ranges + 1 and self.made.tail or nil end
      at, last = wanted.first, wanted.last
      return self.made.heads[i]
    end
    local data <const>, why <const>, code <const> = handle:pread(at, math.min(PIECE, last - at + 1))
    if not data then return nil, why, code end
    if data == "" then return nil, ("%s has become shorter"):format(self.file.path), "EPROTO" end
    at = at + #data
    return data
  end
end

-- What of a file is asked for: status, body; headers are added to.
local function ranged(file, field, headers, kind)
  local wanted <const> = range.resolve(field, file.size)
  if wanted == nil then return 200, file end
  if not wanted then
    file:close()
    headers["content-range"] = range.content(file.size)
    headers["content-type"] = nil
    return 416, "416 Range Not Satisfiable\n"
  end
  if #wanted == 1 then
    local first <const>, last <const> = wanted[1].first, wanted[1].last
    headers["content-range"] = range.content(file.size, first, last)
    file.offset, file.length = first, last - first + 1
    return 206, file
  end
  local made <const> = range.multipart(wanted, file.size, kind)
  headers["content-type"] = made.type
  return 206, setmetatable({ file = file, ranges = wanted, made = made, length = made.length }, parts)
end

local function conditions(headers)
  return {
    if_match = headers:get "if-match", if_none_match = headers:get "if-none-match",
    if_modified_since = headers:get "if-modified-since", if_unmodified_since = headers:get "if-unmodified-since",
    range = headers:get "range", if_range = headers:get "if-range",
  }
end

local function type_of(path, o)
  local ending <const> = o.types and path:match "%.([^./]+)$"
  return ending and o.types[ending:lower()] or mime.type(path)
end

-- What is the same of all answers with a file while it is the same.
local function describe(file, o)
  local etag <const> = conditional.etag(("%x-%x-%x"):format(file.size, file.modified, file.nanoseconds))
  local modified <const>, kind <const> = date.format(file.modified), type_of(file.path, o)
  local fields <const> = httpcore.headers {
    ["Content-Type"] = kind, ETag = etag, ["Last-Modified"] = modified, ["Accept-Ranges"] = "bytes",
    ["X-Content-Type-Options"] = "nosniff", ["Cache-Control"] = o.cache_control,
  }
  return {
    size = file.size, modified = file.modified, nanoseconds = file.nanoseconds,
    etag = etag, date = modified, kind = kind, begin = "HTTP/1.1 200 OK\r\n" .. tostring(fields),
  }
end

-- Most requests have no condition, and ask for all of it.
local function answer(request, file, o, known)
  if not known or known.size ~= file.size or known.modified ~= file.modified
    or known.nanoseconds ~= file.nanoseconds then
    known = describe(file, o)
  end
  local fields <const> = conditions(request.headers)
  if next(fields) == nil then
    file.begin = known.begin
    return 200, file, nil, known
  end
  local headers <const> = {
    etag = known.etag, ["last-modified"] = known.date, ["cache-control"] = o.cache_control,
  }
  local status <const>, by_range <const> = conditional.evaluate(request.method, fields,
    { etag = known.etag, modified = file.modified }, os.time())
  if status then
    file:close()
    return status, nil, headers, known
  end
  headers["content-type"] = known.kind
  headers["accept-ranges"] = "bytes"
  headers["x-content-type-options"] = "nosniff"
  if not by_range then return 200, file, headers, known end
  local code <const>, body <const> = ranged(file, fields.range, headers, known.kind)
  return code, body, headers, known
end

-- ---- directories ----

local entities <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local function html(text) return (text:gsub("[&<>\"']", entities)) end

local function href(name)
  return "./" .. name:gsub("[^%w._~/-]", function(c) return ("%%%02X"):format(c:byte()) end)
end

local function list(directory, path, o)
  local names <const>, why <const>, code <const> = directory:names()
  if not names then return nil, why, code end
  table.sort(names)
  local title <const> = html(path)
  local out <const> = {
    ("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>%s</title></head>\n<body><h1>%s</h1>\n<ul>")
      :format(title, title),
  }
  if path ~= "/" then out[#out + 1] = '<li><a href="../">../</a></li>' end
  for _, name in ipairs(names) do
    if o.dotfiles or name:byte() ~= 0x2e then
      out[#out + 1] = ('<li><a href="%s">%s</a></li>'):format(href(name), html(name))
    end
  end
  out[#out + 1] = "</ul></body></html>\n"
  return table.concat(out, "\n")
end

-- ---- the handler ----

local links_of <const> = { [false] = "none", [true] = "any", beneath = "beneath" }

local function new_root(path)
  local root, why, code = core.open_file(path)
  if not root then return nil, why, code end
  if root:info() == "directory" then return root end
  root:close()
  return nil, ("%s: Not a directory"):format(path), "ENOTDIR"
end

-- The root, which may be a link that leads to another directory by and by.
local function current_root(self)
  local now <const> = core.now()
  if now > self.until_ then
    local root <const>, _, code <const> = new_root(self.path)
    if not root then return nil, code end
    self.root, self.until_ = root, now + FRESH -- the one before is closed by the collector
  end
  return self.root
end

local function open_index(self, root, path)
  for _, name in ipairs(self.index) do
    local handle <const> = core.open_beneath(root, path == "" and name or path .. "/" .. name, self.links)
    if handle and handle:info() == "file" then return handle, name end
    if handle then handle:close() end
  end
end

local function directory(self, request, root, path, handle, slashed)
  local held <close> = handle
  local raw <const>, query <const> = message.path(request)
  -- A mount's own path is "/" here; its links are relative, too.
  if not slashed or request.mount and raw:sub(-1) ~= "/" then
    return 301, nil, { location = raw .. "/" .. (query and "?" .. query or "") }
  end
  local found <const>, name <const> = open_index(self, root, path)
  if found then
    local status <const>, body <const>, headers <const> = answer(request, send.opened(found, name), self.options)
    return status, body, headers
  end
  if not self.options.listing then return 404 end
  local page <const> = list(handle, raw, self.options)
  if not page then return 403 end
  return 200, page, { ["content-type"] = "text/html; charset=utf-8", ["x-content-type-options"] = "nosniff" }
end

-- So many files are remembered by what was asked for, and then none.
local function remember(self, asked, path, known)
  if #asked > LONGEST then return end
  if not self.known[asked] then
    self.count = self.count + 1
    if self.count > REMEMBERED then self.known, self.count = {}, 1 end
  end
  known.path = path
  self.known[asked] = known
end

local function handle(self, request)
  local method <const> = request.method
  if method ~= "GET" and method ~= "HEAD" then
    return method == "OPTIONS" and 204 or 405, nil, { allow = "GET, HEAD, OPTIONS" }
  end
  local asked <const> = request.path
  local known <const> = self.known[asked]
  local path, slashed
  if known then path, slashed = known.path, false else path, slashed = beneath(asked, self.options) end
  if not path then return 404 end
  local root <const>, gone <const> = current_root(self)
  if not root then return refusal(gone) end
  local found <const>, _, code <const> = core.open_beneath(root, path, self.links)
  if not found then return refusal(code) end
  if found:info() == "directory" then return directory(self, request, root, path, found, slashed) end
  if slashed then
    found:close()
    return 404
  end
  local status <const>, body <const>, headers <const>, now_known <const> =
    answer(request, send.opened(found, path), self.options, known)
  if now_known ~= known then remember(self, asked, path, now_known) end
  return status, body, headers
end

local function check_index(index, level)
  if index == nil then return { "index.html" } end
  if index == false then return {} end
  if type(index) == "string" then index = { index } end
  if type(index) ~= "table" then error("option 'index' must be a name, a list of names or false", level + 1) end
  for _, name in ipairs(index) do
    if type(name) ~= "string" or name == "" or name:find "[/\\\0]" or name == "." or name == ".." then
      error("option 'index' must be a name, a list of names or false", level + 1)
    end
  end
  return index
end

--- A handler that answers with the files beneath a directory; or nil, message,
-- code if that is none.
function M.files(path, given)
  args.argument(path, "string", 1, 2)
  local rest, index, symlinks = given, nil, nil
  if type(given) == "table" then
    rest = args.with(given)
    index, symlinks = rest.index, rest.symlinks
    rest.index, rest.symlinks = nil, nil
  end
  local o <const> = args.check(rest, options, 2, 2)
  local links <const> = links_of[symlinks or false]
  if not links then error("option 'symlinks' must be a boolean or \"beneath\"", 2) end
  local self <const> = { path = path, options = o, index = check_index(index, 2), links = links, until_ = 0,
    known = {}, count = 0 }
  local why, code
  self.root, why, code = new_root(path)
  if not self.root then return nil, why, code end
  self.until_ = core.now() + FRESH
  return function(request) return handle(self, request) end
end

return M
