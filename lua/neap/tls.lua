--- TLS over any stream: safe with nothing said.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local tcp <const> = require "neap.tcp"
local tlscore <const> = require "neap.tlscore"

-- What is loaded when it is first used: it would take longer than all the rest.
local function later(name)
  return setmetatable({}, { __index = function(self, key)
    self[key] = require(name)[key]
    return rawget(self, key)
  end })
end

local contexts <const> = later "neap.tls.context"
local listeners <const> = later "neap.listener"
local checks <const> = later "neap.tls.checks"
local x509 <const> = later "neap.x509"

---@class neap.tls
local M = {}

local HANDSHAKE_TIMEOUT <const> = 10 -- seconds, of a server
local MOST_EXPORTED <const> = 4096 -- bytes

-- The options of each call: those of a context, and more.
local kinds <const> = setmetatable({}, { __index = function(self, call)
  local context <const> = contexts.options
  self.starttls = args.with(context, {
    context = "context", server = "boolean", servername = "string", timeout = "seconds", early_data = "string",
  })
  self.connect = args.without(args.with(args.tcp_connect, self.starttls), "server")
  self.listen = args.with(args.tcp_listen, context, { context = "context", handshake_timeout = "seconds" })
  self.reload = args.with(context, { context = "context" })
  return rawget(self, call)
end })

--- What many connections share, of clients or servers.
function M.context(given) return contexts.make(args.check(given, contexts.options, 1, 2), 2) end

--- Whether it is one that tls.context has made.
function M.iscontext(value) return contexts.is(value) end

-- ---- sessions ----

-- A server's own context, or which one its function says: that may wait, and
-- all of it takes no longer than the stream's timeout says.
local function choose(conn, context, session)
  local before = conn:gettimeout()
  local deadline = before and core.now() + before
  local found, chosen = pcall(contexts.settings(context).sni, tlscore.asked(session), conn)
  if found and chosen == nil then chosen = context end
  if not found or chosen and not contexts.is(chosen) then
    conn:close()
    error(found and "option 'sni' returned no context" or chosen, 0)
  end
  if not conn:isopen() then return nil, "closed", "ECLOSED" end
  local left = deadline and deadline - core.now()
  if left and left <= 0 then return nil, "handshake: timed out", "ETIMEDOUT" end
  if chosen then contexts.ready(chosen, true) end
  local asked <const> = tlscore.asked(session)
  tlscore.answer(session, chosen or nil)
  conn:settimeout(left)
  local ok, why, code = core.handshake(conn)
  if conn:isopen() then conn:settimeout(before) end
  if not ok and chosen == false then
    why = ("handshake: option 'sni' refused the name %s"):format(asked and asked:gsub("[^%w.-]", "?") or "(none)")
  end
  return ok, why, code
end

-- What a client wanted to send early goes now, if it did not go before.
local function send_late(conn, session, data)
  if tlscore.info(session).early_data == "accepted" then return conn end
  return conn:write(data)
end

-- Makes the stream one that is encrypted.
local function secure(conn, context, o, name)
  local ok, why, code = contexts.ready(context, o.server)
  if not ok then return nil, why, code end
  name = name and name:lower():gsub("%.$", "")
  local sni = name and not core.isip(name) and name or nil
  local session
  session, why, code = tlscore.session(context, o.server, name, sni)
  if not session then return nil, why, code end
  if o.early_data or o.server and contexts.settings(context).max_early_data then
    ok, why, code = tlscore.early(session, o.early_data)
    if not ok then return nil, why, code end
  end
  ok, why, code = core.session(conn, session)
  if ok == false then ok, why, code = choose(conn, context, session) end
  if ok and o.early_data then return send_late(conn, session, o.early_data) end
  return ok, why, code
end

-- As tcp.connect does it, which would blame this file.
local function check_bind(o, level)
  local ip <const> = o.bind and args.endpoint(o.bind)
  if o.bind and not (ip and core.isip(ip)) then
    error("option 'bind' must be \"ip\", \"ip:port\" or \"[ip]:port\"", level + 1)
  end
end

-- Who has hung up has no address any more: what it said is told of whom we
-- wanted. A peer that speaks no TLS is what OpenSSL's reason hides.
local function told(why, host, port)
  why = why:gsub("^handshake: ", function() return ("handshake %s: "):format(args.text(host, port)) end)
  return (why:gsub("wrong version number$", "%0: does it speak TLS?"))
end

--- Connects, and does the handshake: with the host's certificate verified.
function M.connect(host, port, given)
  host = args.host(host, 1, 2)
  port = args.port(port, 1, 2, 2)
  local o = args.check(given, kinds.connect, 3, 2)
  checks.servername(o, 2)
  check_bind(o, 2)
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
    return nil, told(why, host, port), code
  end
  return conn:settimeout(o.timeout)
end

local stream <const> = core.streams

--- The same stream, encrypted from now on. As a client it needs a servername
-- to verify, or insecure_no_verify_name.
function stream:starttls(given)
  local o = args.check(given, kinds.starttls, 1, 2)
  if not self:isopen() then return nil, "closed", "ECLOSED" end
  checks.servername(o, 2)
  if o.server and not contexts.serves(o) then error("option 'cert' is missing", 2) end
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

-- The session over a stream; or nil, message, code.
local function session_of(self)
  if not self:isopen() then return nil, "closed", "ECLOSED" end
  local session = core.session_of(self)
  if not session then return nil, "this stream is not encrypted", "EINVAL" end
  return session
end

--- What was agreed on; nil for a stream without TLS.
function stream:tlsinfo()
  local session, why, code = session_of(self)
  if not session then return nil, why, code end
  local info
  info, why, code = tlscore.info(session)
  if not info then return nil, why, code end
  for i, der in ipairs(info.peer) do info.peer[i] = x509.load(der) end
  return info
end

--- What a client sent before its handshake was over, or nil: whoever recorded
-- it may have sent it once more.
function stream:tlsearlydata()
  local session, why, code = session_of(self)
  if not session then return nil, why, code end
  return tlscore.earlydata(session)
end

--- Keying material of both ends, for a label and a context (RFC 5705).
function stream:tlsexport(label, length, context)
  args.argument(label, "string", 1, 2)
  args.argument(length, "natural", 2, 2)
  if length < 1 or length > MOST_EXPORTED then error("bad argument #2 (1 to 4096 bytes)", 2) end
  if context ~= nil then args.argument(context, "string", 3, 2) end
  local session, why, code = session_of(self)
  if not session then return nil, why, code end
  return tlscore.export(session, label, length, context)
end

local bindings <const> = { ["tls-exporter"] = true, ["tls-server-end-point"] = true, ["tls-unique"] = true }

--- What ties an authentication to this connection (RFC 5929, RFC 9266).
function stream:tlsbinding(kind)
  kind = kind or "tls-exporter"
  if not bindings[kind] then
    error("bad argument #1 (\"tls-exporter\", \"tls-server-end-point\" or \"tls-unique\" expected)", 2)
  end
  local session, why, code = session_of(self)
  if not session then return nil, why, code end
  return tlscore.binding(session, kind)
end

--- New keys for what is sent from now on; both: and for what is received.
function stream:tlsrekey(both)
  if both ~= nil then args.argument(both, "boolean", 1, 2) end
  local session, why, code = session_of(self)
  if not session then return nil, why, code end
  local ok
  ok, why, code = tlscore.rekey(session, both or false)
  if not ok then return nil, why, code end
  return self:flush()
end

-- ---- servers ----

-- listener -> { context =, given =, early =, timeout =, failed = }
local secured <const> = setmetatable({}, { __mode = "k" })

-- Its connections begin with this from now on.
local function use(how, context, given)
  how.context, how.given, how.early = context, given, contexts.settings(context).max_early_data
end

-- How a connection begins: its handshake, no longer than it may take. All in
-- one function: each that calls another makes the stacks of all tasks longer.
local function beginning(how)
  return function(conn)
    local ip, port = conn:getpeername() -- who has gone has no name any more
    local before = conn:gettimeout()
    conn:settimeout(how.timeout)
    local session, why, code = tlscore.session(how.context, true)
    local ok = session
    if ok and how.early then ok, why, code = tlscore.early(session) end
    if ok then ok, why, code = core.session(conn, session) end
    if ok == false then ok, why, code = choose(conn, how.context, session) end
    if ok then return conn:settimeout(before) end
    how.failed = how.failed + 1
    conn:close()
    if not ip then return nil, why, code end
    return nil, ("tls handshake with %s: %s"):format(args.text(ip, port), why:match "^handshake.-: (.*)$" or why), code
  end
end

--- A listener whose connections are encrypted.
function M.listen(host, port, given)
  local o = args.check(given, kinds.listen, 3, 2)
  if not contexts.serves(o) then error("option 'cert' is missing", 2) end
  local context, why, code = contexts.of(o, true, 2)
  if not context then return nil, why, code end
  local how <const> = { timeout = o.handshake_timeout or HANDSHAKE_TIMEOUT, failed = 0 }
  local ok
  ok, why, code = contexts.ready(context, true)
  if not ok then return nil, why, code end
  use(how, context, o.context ~= nil)
  local made
  made, why, code = args.blame(2, tcp.listen, host, port, args.pick(o, args.tcp_listen))
  if not made then return nil, why, code end
  secured[made] = how
  listeners.begin_with(made, beginning(how))
  return made
end

local listener <const> = core.listener

--- Connections begin from now on with what its files say now, or with other
-- options of a context in place of those named; those that live go on.
function listener:reload(given)
  local o = args.check(given, kinds.reload, 1, 2)
  local how <const> = secured[self]
  if not how then return nil, "this listener is not encrypted", "EINVAL" end
  if not self:isopen() then return nil, "closed", "ECLOSED" end
  local context, why, code = contexts.reload(how.context, how.given, o, 2)
  if not context then return nil, why, code end
  use(how, context, o.context ~= nil)
  return self
end

--- How many handshakes have failed.
function listener:tlsfailures() return secured[self] and secured[self].failed or 0 end

return M
