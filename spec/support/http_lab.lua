-- SPDX-License-Identifier: MIT
--- A server of neap.http's for the specs, and clients that say exactly what they
-- are told to.
local helper <const> = require "support.helper"
local http <const> = require "neap.http"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"

local M = {}

local lab <const> = {}
lab.__index = lab

--- A server that serves `handler` until the scope ends. Its errors are in
-- lab.errors: { err =, traceback =, request = }.
function M.start(handler, options, address)
  local self <const> = setmetatable({ errors = {} }, lab)
  local given <const> = {
    on_error = function(err, traceback, request)
      self.errors[#self.errors + 1] = { err = err, traceback = traceback, request = request }
    end,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  self.server = assert(http.listen(address or "127.0.0.1:0", given))
  self.host, self.port = self.server:getsockname()
  self.task = neap.spawn({ name = "server" }, self.server.serve, self.server, handler)
  return self
end

function lab:stop(grace)
  self.server:stop(grace or 0)
  return self.task:join()
end

lab.__close = function(self) self:stop() end

--- The URL of a path.
function lab:url(path) return ("http://%s:%d%s"):format(self.host, self.port, path or "/") end

function lab:connect(timeout)
  local conn
  if self.port then
    conn = assert(tcp.connect(self.host, self.port, { timeout = 5 * helper.slow }))
  else
    conn = assert(unix.connect(self.host, { timeout = 5 * helper.slow }))
  end
  if timeout then conn:settimeout(timeout) end
  return conn
end

--- Sends bytes and reads all up to the end of the connection.
function lab:raw(bytes, half)
  local conn <close> = self:connect()
  conn:write(bytes)
  if half then conn:shutdown "w" end
  local text, why, code = conn:read "a"
  return text or ("(%s) %s"):format(code, why)
end

--- One response from a connection: status, headers as a table of lower-case
-- names, body. `method`: "HEAD" has no body.
function M.response(conn, method)
  local line, why, code = conn:read "l"
  if not line then return nil, why, code end
  local status <const> = math.tointeger(tonumber(line:match "^HTTP/1%.1 (%d%d%d) "))
  assert(status, "no status line: " .. line)
  local headers <const> = {}
  for field in function() return assert(conn:read "l") end do
    if field == "" then break end
    local name, value = field:match "^([^:]+): (.*)$"
    headers[name:lower()] = value
  end
  if status < 200 or status == 204 or status == 304 or method == "HEAD" then return status, headers, "" end
  if headers["transfer-encoding"] == "chunked" then
    local parts <const> = {}
    while true do
      local size <const> = tonumber(assert(conn:read "l"), 16)
      if size == 0 then break end
      parts[#parts + 1] = assert(conn:read(size))
      assert(conn:read "l" == "")
    end
    for trailer in function() return assert(conn:read "l") end do
      if trailer == "" then break end
      local name, value = trailer:match "^([^:]+): (.*)$"
      headers["trailer " .. name:lower()] = value
    end
    return status, headers, table.concat(parts)
  end
  if headers["content-length"] then
    return status, headers, assert(conn:read(math.tointeger(tonumber(headers["content-length"]))))
  end
  return status, headers, assert(conn:read "a")
end

--- Asks for something on a connection of its own: status, headers, body.
function lab:ask(method, path, headers, body)
  local conn <close> = self:connect()
  local out <const> = { ("%s %s HTTP/1.1\r\nHost: a.example\r\n"):format(method, path) }
  for name, value in pairs(headers or {}) do out[#out + 1] = ("%s: %s\r\n"):format(name, value) end
  if body then out[#out + 1] = ("Content-Length: %d\r\n"):format(#body) end
  out[#out + 1] = "\r\n" .. (body or "")
  assert(conn:write(table.concat(out)))
  return M.response(conn, method)
end

return M
