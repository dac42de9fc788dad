-- SPDX-License-Identifier: MIT
--- An HTTP server: listens, and has a task for each connection.
local args <const> = require "neap.args"
local core <const> = require "neap.core"
local connection <const> = require "neap.http.server.connection"
local neap <const> = require "neap"
local requests <const> = require "neap.http.server.request"
local respond <const> = require "neap.http.server.respond"
require "neap.listener"

local M = {}

local options <const> = {
  max_head = "size", max_fields = "size", max_target = "size", max_body = "natural",
  head_timeout = "seconds", body_timeout = "seconds", idle_timeout = "seconds", write_timeout = "seconds",
  max_connections = "count", max_requests = "count", keepalive = "boolean", decode = "boolean",
  on_error = "function", log_format = "string", server_name = "string",
  tls = "table", trusted_proxies = "table", forwarded = "string",
  backlog = "count", reuseport = "boolean", mode = "mode", fd = "fd",
}

local defaults <const> = {
  max_head = 65536, max_fields = 1000, max_target = 8192, max_body = 1 << 20,
  head_timeout = 15, body_timeout = 30, idle_timeout = 60, write_timeout = 60,
  max_connections = 1000, keepalive = true,
}

local of_listener <const> = { "backlog", "reuseport", "mode", "fd" }

local server <const> = { __name = "neap.http.server" }
server.__index = server

-- ---- options ----

local function bad_option(name, what, level) error(("option '%s' must be %s"):format(name, what), level + 1) end

local function check_more(o, level)
  local log <const> = o.access_log
  if log ~= nil and type(log) ~= "function" and type(log) ~= "string" and io.type(log) ~= "file" then
    bad_option("access_log", "a function, a path or a file", level + 1)
  end
  if o.log_format and not require "neap.http.server.log".isformat(o.log_format) then
    bad_option("log_format", '"common", "combined" or "json"', level + 1)
  end
  local proxy <const> = o.proxy_protocol
  if proxy ~= nil and type(proxy) ~= "boolean" and proxy ~= "optional" then
    bad_option("proxy_protocol", 'a boolean or "optional"', level + 1)
  end
  if o.server_name and o.server_name:find "[%c\x7f]" then
    bad_option("server_name", "without control characters", level + 1)
  end
  local forwarded <const> = o.forwarded and o.forwarded:lower()
  if forwarded and forwarded ~= "forwarded" and forwarded ~= "x-forwarded-for" then
    bad_option("forwarded", '"Forwarded" or "X-Forwarded-For"', level + 1)
  end
end

-- Those whose values have several types are looked at by check_more.
local function check_options(given, arg, level)
  local rest, more = given, {}
  if type(given) == "table" then
    rest = args.with(given)
    more.access_log, more.proxy_protocol = rest.access_log, rest.proxy_protocol
    rest.access_log, rest.proxy_protocol = nil, nil
  end
  local o <const> = args.check(rest, options, arg, level + 1)
  o.access_log, o.proxy_protocol = more.access_log, more.proxy_protocol
  check_more(o, level + 1)
  for name, value in pairs(defaults) do
    if o[name] == nil then o[name] = value end
  end
  return o
end

local function trust(o, level)
  if not o.trusted_proxies then return nil end
  local is <const>, wrong <const> = require "neap.http.server.proxied".trust(o.trusted_proxies)
  if not is then error(("option 'trusted_proxies': '%s' is no address or network"):format(wrong), level + 1) end
  return { is = is, field = o.forwarded and o.forwarded:lower() or "x-forwarded-for" }
end

-- ---- listening ----

-- "127.0.0.1:80", "[::1]:80", ":80", "unix:/path", a port, or a listener.
local function open(address, o, level)
  local picked <const> = {}
  for _, name in ipairs(of_listener) do picked[name] = o[name] end
  if type(address) == "userdata" then
    if not pcall(core.listener.isopen, address) then error("bad argument #1 (an address or a listener)", level + 1) end
    return address
  end
  local path <const> = type(address) == "string" and address:match "^unix:(.+)$"
  if path then return require "neap.unix".listen((path:gsub("^@", "\0")), picked) end
  local host, port
  if math.type(address) == "integer" then
    host, port = "*", address
  elseif type(address) == "string" then
    host, port = address:match "^%[(.+)%]:(%d+)$"
    if not host then host, port = address:match "^([^:]*):(%d+)$" end
    if not host and address:find "^%d+$" then host, port = "*", address end
  end
  port = math.tointeger(tonumber(port))
  if not host or not port or port > 65535 then
    local kind <const> = type(address)
    error(('bad argument #1 ("host:port", "unix:/path", a port up to 65535 or a listener expected, got %s)'):format(
      kind == "string" and "'" .. address .. "'" or kind == "number" and address or kind), level + 1)
  end
  picked.mode = nil
  return require "neap.tcp".listen(host ~= "" and host or "*", port, picked)
end

local function tls_context(given, level)
  local tls <const> = require "neap.tls"
  if given.context then return given.context end
  local o <const> = args.with(given)
  o.alpn = o.alpn or { "http/1.1" }
  if not require "neap.tls.context".serves(o) then error("option 'tls': option 'cert' is missing", level + 1) end
  local made <const>, context <const>, why <const>, code <const> = pcall(tls.context, o)
  if made then return context, why, code end
  error("option 'tls': " .. tostring(context):gsub("^[^\n:]+:%d+: ", ""), level + 1)
end

local function make(address, given, arg, level)
  local o <const> = check_options(given, arg, level + 1)
  local self <const> = setmetatable({
    options = o, conns = {}, stopping = false, handshakes_failed = 0, given = type(address) == "userdata",
    trusted = trust(o, level + 1),
    limits = { head = o.max_head, fields = o.max_fields, target = o.max_target },
    line = o.server_name and ("Server: %s\r\n"):format(o.server_name),
  }, server)
  self.text_begin, self.heads = respond.text_begin(self.line), requests.heads(self.limits)
  local why, code
  if o.tls then
    self.context, why, code = tls_context(o.tls, level + 1)
    if not self.context then return nil, why, code end
  end
  if o.access_log then
    local log
    log, why, code = require "neap.http.server.log".open(o.access_log, o.log_format)
    if not log then return nil, why, code end
    self.log = function(request) return self:logged(log, request) end
  end
  self.listener, why, code = open(address, o, level + 1)
  if not self.listener then return nil, why, code end
  return self
end

--- Listens on an address.
function M.listen(address, given)
  local made, why, code = make(address, given, 2, 2)
  return made, why, code -- no tail call: this frame counts
end

-- ---- serving ----

--- What a handler raised is told to on_error, or to neap.onerror.
function server:failed(err, traceback, request)
  local on_error <const> = self.options.on_error
  if not on_error then
    neap.onerror(core.running(), err, traceback)
    return
  end
  local ok <const>, worse <const> = pcall(on_error, err, traceback, request)
  if not ok then neap.onerror(core.running(), worse, "") end
end

-- What a log raises is no answer's fault: the request was answered, and must
-- not be again.
function server:logged(log, request)
  local traceback
  local ok <const>, err <const> = xpcall(log, function(e)
    traceback = debug.traceback(nil, 2)
    return e
  end, request)
  if ok then return end
  if connection.is_interruption(err) then error(err, 0) end
  self:failed(err, traceback, request)
end

-- A socket all of whose calls together have so many seconds.
local function timed(sock, seconds)
  local deadline <const> = core.now() + seconds
  return {
    recv = function(_, ...) return sock:settimeout(math.max(0, deadline - core.now())):recv(...) end,
  }
end

-- What a proxy says first is taken byte by byte: what follows may be for TLS.
local function take_proxied(self, stream, known)
  local how <const> = self.options.proxy_protocol
  if how == "optional" and self.trusted and not self.trusted.is(known.ip, known.port) then return stream end
  local sock <close> = assert(require "neap.socket".fromfd((stream:detach())))
  local said <const>, before <const> = require "neap.http.server.proxied".read(
    timed(sock, self.options.head_timeout), how == "optional")
  if not said then return nil end
  for name, value in pairs(said) do known[name] = value end
  local again <const> = neap.stream(sock:detach())
  if before and before ~= "" then again:unread(before) end
  return again
end

-- The handshake, in the connection's own task.
local function encrypt(self, stream)
  local ok <const>, why <const>, code <const> =
    stream:settimeout(self.options.head_timeout):starttls { server = true, context = self.context }
  if ok then return true end
  self.handshakes_failed = self.handshakes_failed + 1
  if self.options.on_error and code ~= "ECLOSED" then self:failed("tls: " .. why, "", nil) end
end

local function handle(self, stream)
  local ip <const>, port <const> = stream:getpeername()
  local known <const> = { ip = ip, port = port }
  if self.plain then return connection.serve(self, stream, known) end
  if self.options.proxy_protocol then stream = take_proxied(self, stream, known) end
  local begun <close> = stream
  if not begun or self.context and not encrypt(self, begun) then return end
  known.secure = package.loaded["neap.tls"] ~= nil and core.session_of(begun) ~= nil
  return connection.serve(self, begun, known)
end

--- Serves until it is stopped or closed. `handler` gets each request.
function server:serve(handler)
  args.method(self, server, "serve", 2)
  local meta <const> = getmetatable(handler)
  if type(handler) ~= "function" and not (type(meta) == "table" and meta.__call) then
    error(("bad argument #1 (function expected, got %s)"):format(type(handler)), 2)
  end
  if self.handler then error("this server serves already", 2) end
  self.handler = handler
  self.plain = not self.context and not self.options.proxy_protocol and not self.given
  return self.listener:serve(function(stream) return handle(self, stream) end,
    { max_connections = self.options.max_connections })
end

--- Ends accepting; requests that run have `grace` seconds (5) to end, and what
-- is idle is closed.
function server:stop(grace)
  args.method(self, server, "stop", 2)
  if grace ~= nil then args.argument(grace, "seconds", 1, 2) end
  self.stopping = true
  for conn in pairs(self.conns) do
    conn.odd = true
    if not conn.request then conn.stream:close() end
  end
  return self.listener:stop(grace)
end

--- Ends at once.
function server:close()
  args.method(self, server, "close", 2)
  return self:stop(0)
end

server.__close = function(self) self:stop(0) end

function server:isopen()
  args.method(self, server, "isopen", 2)
  return self.listener:isopen()
end

function server:getsockname()
  args.method(self, server, "getsockname", 2)
  return self.listener:getsockname()
end

--- How many connections there are.
function server:connections()
  args.method(self, server, "connections", 2)
  local n = 0
  for _ in pairs(self.conns) do n = n + 1 end
  return n
end

--- Certificates are read again: connections begin with them from now on.
function server:reload()
  args.method(self, server, "reload", 2)
  if not self.context then return nil, "this server is not encrypted", "EINVAL" end
  local context <const>, why <const>, code <const> = tls_context(self.options.tls, 2)
  if not context then return nil, why, code end
  self.context = context
  return self
end

--- Listens and serves, until it is stopped: handler(request, server).
function M.serve(address, handler, given)
  local meta <const> = getmetatable(handler)
  if type(handler) ~= "function" and not (type(meta) == "table" and meta.__call) then
    error(("bad argument #2 (function expected, got %s)"):format(type(handler)), 2)
  end
  local made <const>, why <const>, code <const> = make(address, given, 3, 2)
  if not made then return nil, why, code end
  local guard <close> = made
  return made:serve(handler)
end

return M
