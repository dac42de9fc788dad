--- TLS over any stream: safe with nothing said.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local tcp <const> = require "neap.tcp"
local tlscore <const> = require "neap.tlscore"
local contexts <const> = require "neap.tls.context"
local listeners <const> = require "neap.listener"
local x509 <const> = require "neap.x509"

---@class neap.tls
local M = {}

local HANDSHAKE_TIMEOUT <const> = 10 -- seconds, of a server

local starttls_options <const> = args.with(contexts.options, {
  context = "context", server = "boolean", servername = "string", timeout = "seconds",
})
local connect_options <const> = args.without(args.with(args.tcp_connect, starttls_options), "server")

local listen_options <const> = args.with(args.tcp_listen, contexts.options, {
  context = "context", handshake_timeout = "seconds",
})

--- What many connections share, of clients or servers.
function M.context(given) return contexts.make(args.check(given, contexts.options, 1, 2), 2) end

--- Whether it is one that tls.context has made.
function M.iscontext(value) return contexts.is(value) end

-- ---- sessions ----

-- Makes the stream one that is encrypted.
local function secure(conn, context, o, name)
  local ok, why, code = contexts.ready(context, o.server)
  if not ok then return nil, why, code end
  name = name and name:lower():gsub("%.$", "")
  local sni = name and not core.isip(name) and name or nil
  local session
  session, why, code = tlscore.session(context, o.server, name, sni)
  if not session then return nil, why, code end
  return core.session(conn, session)
end

-- What cannot be verified is no servername.
local function check_servername(o, level)
  local name = o.servername
  if name and (name == "" or name:sub(1, 1) == "." or name:find("\0", 1, true)) then
    error("option 'servername' must be a host's name or address", level + 1)
  end
end

--- Connects, and does the handshake: with the host's certificate verified.
function M.connect(host, port, given)
  host = args.host(host, 1, 2)
  port = args.port(port, 1, 2, 2)
  local o = args.check(given, connect_options, 3, 2)
  check_servername(o, 2)
  local context, why, code = contexts.of(o, false, 2)
  if not context then return nil, why, code end
  local deadline = o.timeout and core.now() + o.timeout
  local conn
  conn, why, code = tcp.connect(host, port, args.pick(o, args.tcp_connect))
  if not conn then return nil, why, code end
  if deadline then conn:settimeout(math.max(0, deadline - core.now())) end
  local ok
  ok, why, code = secure(conn, context, o, o.servername or host)
  if not ok then
    conn:close()
    return nil, why, code
  end
  return conn:settimeout(o.timeout)
end

local stream <const> = core.streams

--- The same stream, encrypted from now on. As a client it needs a servername
-- to verify, or insecure_no_verify_name.
function stream:starttls(given)
  local o = args.check(given, starttls_options, 1, 2)
  if not self:isopen() then return nil, "closed", "ECLOSED" end
  check_servername(o, 2)
  if o.server and not o.cert and not o.context then error("option 'cert' is missing", 2) end
  local context, why, code = contexts.of(o, o.server, 2)
  if not context then return nil, why, code end
  local options = contexts.settings(context)
  if not o.server and not o.servername and not options.insecure_no_verify and not options.insecure_no_verify_name then
    error("option 'servername' must say whom the certificate is to be for", 2)
  end
  local before = self:gettimeout()
  if o.timeout then self:settimeout(o.timeout) end
  local ok
  ok, why, code = secure(self, context, o, not o.server and o.servername or nil)
  if o.timeout and self:isopen() then self:settimeout(before) end
  if not ok then return nil, why, code end
  return self
end

--- What was agreed on; nil for a stream without TLS.
function stream:tlsinfo()
  if not self:isopen() then return nil, "closed", "ECLOSED" end
  local session = core.session_of(self)
  if not session then return nil, "this stream is not encrypted", "EINVAL" end
  local info, why, code = tlscore.info(session)
  if not info then return nil, why, code end
  for i, der in ipairs(info.peer) do info.peer[i] = x509.load(der) end
  return info
end

-- ---- servers ----

local secured <const> = setmetatable({}, { __mode = "k" }) -- listener -> { context =, timeout =, failed = }

-- How a connection begins: its handshake, no longer than it may take.
local function beginning(how)
  return function(conn)
    local before = conn:gettimeout()
    conn:settimeout(how.timeout)
    local ok, why, code = secure(conn, how.context, { server = true })
    if ok then return conn:settimeout(before) end
    how.failed = how.failed + 1
    conn:close()
    return nil, why, code
  end
end

--- A listener whose connections are encrypted.
function M.listen(host, port, given)
  local o = args.check(given, listen_options, 3, 2)
  if not o.cert and not o.context then error("option 'cert' is missing", 2) end
  local context, why, code = contexts.of(o, true, 2)
  if not context then return nil, why, code end
  local made
  made, why, code = tcp.listen(host, port, args.pick(o, args.tcp_listen))
  if not made then return nil, why, code end
  local how <const> = { context = context, timeout = o.handshake_timeout or HANDSHAKE_TIMEOUT, failed = 0 }
  secured[made] = how
  listeners.begin_with(made, beginning(how))
  return made
end

local listener <const> = core.listener

--- How many handshakes have failed.
function listener:tlsfailures() return secured[self] and secured[self].failed or 0 end

return M
