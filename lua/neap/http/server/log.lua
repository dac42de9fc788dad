-- SPDX-License-Identifier: MIT
--- A line for each request: in the common format, the combined one, or as JSON.
local core <const> = require "neap.core"

local M = {}

-- Nothing that a client sends ends a line, or a field of it.
local function escape(text)
  return (text:gsub('[%c"\\\x7f-\xff]', function(c) return ("\\x%02x"):format(c:byte()) end))
end

local function stamp() return os.date("!%d/%b/%Y:%H:%M:%S +0000") end

local function name_of(request)
  local peer <const> = request.peer
  return peer and (peer.ip or "unix:") or "-"
end

local function common(request)
  local line <const> = request.malformed and "-"
    or escape(("%s %s HTTP/%s"):format(request.method, request.target, request.version))
  return ('%s - - [%s] "%s" %d %s'):format(escape(name_of(request)), stamp(), line, request.status or 0,
    (request.sent or 0) > 0 and request.sent or "-")
end

local function field(request, name)
  local value <const> = request.headers and request.headers:get(name)
  return value and escape(value) or "-"
end

local function combined(request)
  return ('%s "%s" "%s"'):format(common(request), field(request, "referer"), field(request, "user-agent"))
end

-- As JSON; what is no UTF-8 is taken for Latin-1.
local function quoted(text)
  local pattern <const> = utf8.len(text) and '[%c"\\\x7f]' or '[%c"\\\x7f-\xff]'
  return '"' .. text:gsub(pattern, function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function json(request)
  local out <const> = {}
  local function add(name, value)
    if value == nil then return end
    if type(value) == "string" then
      value = quoted(value)
    elseif math.type(value) == "float" then
      value = ("%.6f"):format(value)
    end
    out[#out + 1] = ('"%s":%s'):format(name, value)
  end
  local peer <const>, headers <const> = request.peer, request.headers
  add("time", os.date "!%Y-%m-%dT%H:%M:%SZ")
  add("ip", peer and peer.ip)
  add("port", peer and peer.port)
  if not request.malformed then
    add("method", request.method)
    add("target", request.target)
    add("version", request.version)
    add("host", request.host)
  end
  add("status", request.status or 0)
  add("bytes", request.sent or 0)
  add("seconds", request.seconds)
  if headers then
    add("referer", headers:get "referer")
    add("agent", headers:get "user-agent")
  end
  return "{" .. table.concat(out, ",") .. "}"
end

local formats <const> = { common = common, combined = combined, json = json }

function M.isformat(name) return formats[name] ~= nil end

--- A function that is told each request; or nil, message, code. `where`: a
-- function, which gets the request and its line; a path; a file.
function M.open(where, format)
  local line <const> = formats[format or "common"]
  local write = where
  if type(where) ~= "function" then
    local file = where
    if type(where) == "string" then
      local opened <const>, why <const> = io.open(where, "a")
      if not opened then return nil, "access_log: " .. why, "EIO" end
      file = opened
      file:setvbuf "line"
    end
    write = function(_, text) file:write(text, "\n") end
  end
  return function(request)
    request.seconds = core.now() - request.began
    write(request, line(request))
  end
end

return M
