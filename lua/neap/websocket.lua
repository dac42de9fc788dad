-- SPDX-License-Identifier: MIT
--- WebSocket (RFC 6455), compressed on request (RFC 7692): clients and servers.
local args <const> = require "neap.args"
local connection <const> = require "neap.websocket.connection"
local core <const> = require "neap.core"
local extension <const> = require "neap.websocket.extension"
local handshake <const> = require "neap.websocket.handshake"
local opening <const> = require "neap.websocket.opening"
local url <const> = require "neap.url"

---@class neap.websocket
local M = {}

local OPEN_TIMEOUT <const> = 30 -- seconds

-- Takes out what is more than a type; args.check judges the rest.
local function apart(given, arg, level, ...)
  if given ~= nil and type(given) ~= "table" then args.check(given, {}, arg, level + 1) end
  local rest, out = {}, {}
  for name, value in pairs(given or {}) do rest[name] = value end
  for _, name in ipairs { ... } do rest[name], out[name] = nil, rest[name] end
  return rest, out
end

local function wants(name, value, level, what, ...)
  if value == nil then return end
  for _, kind in ipairs { ... } do
    if type(value) == kind then return end
  end
  error(("option '%s' must be %s"):format(name, what), level + 1)
end

-- What every one of these takes.
local function finish_options(o, compress, level)
  connection.check(o, level + 1)
  o.compress = extension.settings(compress, level + 1)
  o.open_timeout = o.open_timeout or OPEN_TIMEOUT
  return o
end

local function headers_of(given, level)
  wants("headers", given, level + 1, "a table of names and values", "table", "userdata")
  local headers <const> = args.blame(level + 1, handshake.check_headers, given)
  return headers -- no tail call: this frame counts
end

-- ---- clients ----

local SECURE <const> = { ws = false, wss = true, http = false, https = true }
local client_options <const> = args.with(args.without(args.tcp_connect, "timeout"), connection.options, {
  open_timeout = "seconds", origin = "string", unix = "string", servername = "string", context = "context",
  no_proxy = "string",
})

-- What a URL asks for, as dial and the handshake want it.
local function target_of(text)
  local parts, why, code = require "neap.http.client.target".parts(text)
  if not parts then return nil, why, code end
  local secure = SECURE[parts.scheme]
  if secure == nil then return nil, "url: neither ws nor wss", "EPROTONOSUPPORT" end
  if not parts.host or parts.host == "" then return nil, "url: no host", "EINVAL" end
  if parts.fragment then return nil, "url: a WebSocket has no fragments", "EINVAL" end
  parts.scheme = secure and "https" or "http"
  local target = {
    secure = secure, scheme = parts.scheme, host = parts.host, port = url.port(parts), authority = url.authority(parts),
    origin = url.origin(parts), target = url.target(parts),
  }
  target.shown = (secure and "wss://" or "ws://") .. target.authority
  if target.port == 0 then return nil, "url: the port is 0", "EINVAL" end
  if parts.user then
    target.authorization, why, code = require "neap.http.auth".basic(url.decode(parts.user),
      url.decode(parts.password or ""))
    if not target.authorization then return nil, why, code end
  end
  return target
end

-- Options of TLS are known only where there is TLS.
local function tls_options()
  local found, contexts = pcall(require, "neap.tls.context")
  return found and contexts.options or {}
end

-- The context of a client that gave none; or nil, message, code.
local function context_of(o, level)
  local found, tls = pcall(require, "neap.tls")
  if not found then return nil, "neap was built without TLS", "ENOTSUP" end
  if o.context then return o.context end
  local context, why, code = args.blame(level + 1, tls.context, o.tls)
  return context, why, code
end

-- As neap.http has it: all that TLS is told in one table, or a context.
local function take_tls(o, given, level)
  local said = require "neap.http.client.settings".check_tls(given, "tls", level + 1)
  if not said then return end
  if o.context or o.servername or next(o.tls) then
    error("option 'tls' must be alone: it has what the others of TLS say", level + 1)
  end
  o.context, o.servername, o.tls = said.context, said.servername, said.options or {}
end

local function client_settings(given, level)
  local rest, out = apart(given, 2, level + 1, "protocols", "headers", "compress", "proxy", "tls")
  local tls = tls_options()
  local o = args.check(rest, args.with(client_options, tls), 2, level + 1)
  wants("protocols", out.protocols, level + 1, "a string or a list of strings", "string", "table")
  wants("proxy", out.proxy, level + 1, "a URL or a boolean", "string", "boolean")
  finish_options(o, out.compress, level + 1)
  o.protocols = handshake.check_protocols(out.protocols, level + 1)
  o.headers, o.proxy = headers_of(out.headers, level + 1), out.proxy
  o.tcp = args.pick(o, args.without(args.tcp_connect, "timeout"))
  o.tls = args.pick(o, tls)
  take_tls(o, out.tls, level + 1)
  if o.context and next(o.tls) then error("option 'context' must be alone: it has what the others say", level + 1) end
  if not o.tls.alpn then o.tls.alpn = { "http/1.1" } end
  return o
end

--- Connects to "ws://host/path" or "wss://...": the connection; or nil, message,
-- code, and if the server answered something else that answer.
function M.connect(text, given)
  args.argument(text, "string", 1, 2)
  local o = client_settings(given, 2)
  local target, why, code = target_of(text)
  if not target then return nil, why, code end
  if target.secure then
    o.context, why, code = context_of(o, 2)
    if not o.context then return nil, why, code end
  end
  local ws, response
  ws, why, code, response = opening.connect(target, o)
  if ws then return ws end
  return nil, why, code, response
end

-- ---- servers ----

local server_options <const> = args.with(connection.options, { open_timeout = "seconds" })

local function server_settings(given, level)
  local rest, out = apart(given, 2, level + 1, "protocols", "headers", "compress", "origins")
  local o = args.check(rest, server_options, 2, level + 1)
  for _, name in ipairs { "protocols", "origins" } do
    wants(name, out[name], level + 1, "a string, a list of strings or a function", "string", "table", "function")
  end
  finish_options(o, out.compress, level + 1)
  o.protocols = handshake.check_protocols(out.protocols, level + 1)
  o.origins = handshake.check_origins(out.origins, level + 1)
  o.headers = headers_of(out.headers, level + 1)
  return o
end

local function is_stream(value)
  local class = type(value) == "userdata" and debug.getmetatable(value)
  return class and class.__index == core.streams
end

local function accept(from, o)
  if is_stream(from) then return opening.accept_stream(from, o) end
  return opening.accept(from, o)
end

local function check_from(from, level)
  if is_stream(from) or type(from) == "table" and from.headers and from.method then return end
  error(("bad argument #1 (request or stream expected, got %s)"):format(type(from)), level + 1)
end

--- Answers a request of HTTP, or the one that a stream brings: the connection;
-- or nil, message, code, and what an HTTP handler returns to refuse it.
function M.accept(from, given)
  check_from(from, 2)
  local o = server_settings(given, 2)
  local ws, why, code, refusal = accept(from, o)
  if ws then return ws end
  return nil, why, code, refusal
end

--- A handler for http.serve, or for a listener: calls fn(ws, request) for each
-- connection, and closes it then.
function M.handler(fn, given)
  args.argument(fn, "function", 1, 2)
  local o = server_settings(given, 2)
  return function(from)
    local ws <close>, _, _, refusal = accept(from, o)
    if not ws then return refusal end
    fn(ws, ws.request)
  end
end

-- ---- others ----

local over_options <const> = args.with(connection.options, {
  role = "string", protocol = "string", extensions = "string",
})

--- A connection over a stream on which others have done the handshake.
function M.over(stream, given)
  if not is_stream(stream) then error(("bad argument #1 (stream expected, got %s)"):format(type(stream)), 2) end
  local rest, out = apart(given, 2, 2, "compress")
  local o = args.check(rest, over_options, 2, 2)
  if o.role ~= "server" and o.role ~= "client" then error("option 'role' must be \"server\" or \"client\"", 2) end
  finish_options(o, out.compress, 2)
  local agreed = { protocol = o.protocol, extensions = o.extensions }
  if o.extensions then
    local why
    agreed.deflate, why = extension.of(o.extensions, o.compress or nil, o.role)
    if not agreed.deflate then error(("option 'extensions': %s"):format(why or "none"), 2) end
  end
  if not stream:isopen() then return nil, "closed", "ECLOSED" end
  return connection.new(stream, o.role, agreed, o)
end

return M
