--- TLS over any stream: safe with nothing said.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local tcp <const> = require "neap.tcp"
local tlscore <const> = require "neap.tlscore"
local x509 <const> = require "neap.x509"
require "neap.listener"

---@class neap.tls
local M = {}

local VERSIONS <const> = { ["1.2"] = 0x0303, ["1.3"] = 0x0304 }
local HANDSHAKE_TIMEOUT <const> = 10 -- seconds, of a server

-- ---- options ----

local context_options <const> = {
  cert = "pems", key = "pems", passphrase = "passphrase", ca = "string", ca_only = "boolean", crl = "string",
  min_version = "string", max_version = "string", ciphers = "string", ciphersuites = "string", groups = "string",
  alpn = "table", client_certificates = "string", depth = "natural", sni = "table", pins = "table",
  insecure_no_verify = "boolean", insecure_no_verify_name = "boolean",
}
local starttls_options <const> = args.with(context_options, {
  context = "context", server = "boolean", servername = "string", timeout = "seconds",
})

-- Those of `given` that `known` has.
local function pick(given, known)
  local picked = {}
  for name in pairs(known) do picked[name] = given[name] end
  return picked
end

-- ---- contexts ----

-- PEM text, or a file's.
local function read(text, what)
  if text:find("-----BEGIN", 1, true) then return text end
  local file <close>, why, number = io.open(text, "rb")
  if not file then return nil, ("%s: %s"):format(what, why), core.errname(number) end
  return file:read "a"
end

local function list(value) return type(value) == "table" and value or { value } end

local function passphrase_of(o)
  if type(o.passphrase) == "function" then return o.passphrase() end
  return o.passphrase
end

-- Each does its part of a context: true, or nil, message, code.
local parts <const> = {}

function parts.certificates(context, o)
  local certs, keys = list(o.cert), list(o.key)
  for i, path in ipairs(certs) do
    local cert, why, code = read(path, "cert")
    if not cert then return nil, why, code end
    local key = cert
    if keys[i] then key, why, code = read(keys[i], "key") end
    if not key then return nil, why, code end
    local ok
    ok, why, code = tlscore.certificate(context, cert, key, passphrase_of(o))
    if not ok then return nil, why, code end
  end
  return true
end

local function is_directory(path)
  local file = io.open(path .. "/.", "rb")
  if file then file:close() end
  return file ~= nil
end

function parts.trust(context, o)
  if not o.ca then return true end -- the system's, when it is needed
  if o.ca_only == false then
    local ok, why, code = tlscore.systemtrust(context)
    if not ok then return nil, why, code end
  end
  if not o.ca:find("-----BEGIN", 1, true) and is_directory(o.ca) then return tlscore.trustdir(context, o.ca) end
  local pem, why, code = read(o.ca, "ca")
  if not pem then return nil, why, code end
  return tlscore.trust(context, pem, o.client_certificates ~= nil)
end

function parts.crl(context, o)
  if not o.crl then return true end
  local pem, why, code = read(o.crl, "crl")
  if not pem then return nil, why, code end
  return tlscore.crl(context, pem)
end

function parts.versions(context, o)
  return tlscore.versions(context, VERSIONS[o.min_version or "1.2"], VERSIONS[o.max_version] or 0)
end

for _, name in ipairs { "ciphers", "ciphersuites", "groups" } do
  parts[name] = function(context, o)
    if not o[name] then return true end
    return tlscore[name](context, o[name])
  end
end

function parts.alpn(context, o)
  if not o.alpn then return true end
  local wire = {}
  for i, protocol in ipairs(o.alpn) do wire[i] = string.pack("s1", protocol) end
  return tlscore.alpn(context, table.concat(wire))
end

function parts.sni(context, o)
  for name, other in pairs(o.sni or {}) do
    local ok, why, code = tlscore.name(context, name, other)
    if not ok then return nil, why, code end
  end
  return true
end

-- Of a pin as people write it: "sha256//" and base64, or base64, or bytes.
local ALPHABET <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function digest(pin)
  if type(pin) ~= "string" then return nil end
  if #pin == 32 then return pin end
  local text = pin:gsub("^sha256//", ""):match "^([%w+/]+)=$"
  if not text or #text ~= 43 then return nil end
  local bits, n, out = 0, 0, {}
  for letter in text:gmatch "." do
    bits, n = (bits << 6 | ALPHABET:find(letter, 1, true) - 1) & 0xffffff, n + 6
    if n >= 8 then
      n = n - 8
      out[#out + 1] = string.char(bits >> n & 255)
    end
  end
  return table.concat(out)
end

function parts.pins(context, o)
  for _, pin in ipairs(o.pins or {}) do
    local ok, why, code = tlscore.pin(context, digest(pin))
    if not ok then return nil, why, code end
  end
  return true
end

function parts.verify(context, o)
  return tlscore.verify(context, not o.insecure_no_verify, not o.insecure_no_verify_name, o.client_certificates,
    o.depth)
end

-- In this order.
local order <const> = {
  "versions", "ciphers", "ciphersuites", "groups", "trust", "crl", "certificates", "alpn", "sni", "pins", "verify",
}

local function make_context(o)
  local context, why, code = tlscore.context()
  if not context then return nil, why, code end
  for _, part in ipairs(order) do
    local ok
    ok, why, code = parts[part](context, o)
    if not ok then return nil, "tls.context: " .. why, code end
  end
  return context
end

-- Raises on values that their kinds do not tell apart.
local function check_values(o, level)
  for _, name in ipairs { "min_version", "max_version" } do
    if o[name] and not VERSIONS[o[name]] then
      error(("option '%s' must be \"1.2\" or \"1.3\""):format(name), level + 1)
    end
  end
  if o.min_version == "1.3" and o.max_version == "1.2" then
    error("option 'max_version' is below 'min_version'", level + 1)
  end
  if o.client_certificates and o.client_certificates ~= "request" and o.client_certificates ~= "require" then
    error("option 'client_certificates' must be \"request\" or \"require\"", level + 1)
  end
  if o.alpn and #o.alpn == 0 then error("option 'alpn' must not be empty", level + 1) end
  for _, protocol in ipairs(o.alpn or {}) do
    if type(protocol) ~= "string" or #protocol < 1 or #protocol > 255 then
      error("option 'alpn' must be a list of names of 1 to 255 bytes", level + 1)
    end
  end
  for name, other in pairs(o.sni or {}) do
    if type(name) ~= "string" or not M.iscontext(other) then
      error("option 'sni' must be a table of names and contexts", level + 1)
    end
  end
  for _, pin in ipairs(o.pins or {}) do
    if not digest(pin) then
      error("option 'pins' must be a list of SHA-256 digests, of 32 bytes or in base64", level + 1)
    end
  end
end

local context_class <const> = {} -- userdata -> options
setmetatable(context_class, { __mode = "k" })

--- Whether it is one that tls.context has made.
function M.iscontext(value) return context_class[value] ~= nil end

local default -- for who says nothing: its sessions are resumed

local connect_options <const> = args.without(args.with(args.tcp_connect, starttls_options), "server")

local function context_of(o, server, level)
  if o.context then
    if not M.iscontext(o.context) then error("option 'context' must be what tls.context makes", level + 1) end
    return o.context
  end
  local picked = pick(o, context_options)
  if not server and next(picked) == nil and default then return default end
  local plain <const> = not server and next(picked) == nil
  check_values(picked, level + 1)
  local context, why, code = make_context(picked)
  if not context then return nil, why, code end
  context_class[context] = picked
  if plain then default = context end
  return context
end

--- What many connections share, of clients or servers.
function M.context(given)
  local o = args.check(given, context_options, 1, 2)
  check_values(o, 2)
  local context, why, code = make_context(o)
  if not context then return nil, why, code end
  context_class[context] = o
  return context
end

-- ---- sessions ----

-- Makes the stream one that is encrypted.
local function secure(conn, context, o, name)
  local options = context_class[context]
  local asks = o.server and options.client_certificates or not o.server and not options.insecure_no_verify
  if asks and not options.ca and not options.trusts then
    local ok, why, code = tlscore.systemtrust(context)
    if not ok then return nil, why, code end
    options.trusts = true
  end
  name = name and name:lower():gsub("%.$", "")
  local sni = name and not core.isip(name) and name or nil
  local session, why, code = tlscore.session(context, o.server, name, sni)
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
  local context, why, code = context_of(o, false, 2)
  if not context then return nil, why, code end
  local deadline = o.timeout and core.now() + o.timeout
  local conn
  conn, why, code = tcp.connect(host, port, pick(o, args.tcp_connect))
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
  local context, why, code = context_of(o, o.server, 2)
  if not context then return nil, why, code end
  local options = context_class[context]
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

local listener <const> = core.listener
local contexts <const> = setmetatable({}, { __mode = "k" }) -- listener -> { context =, timeout = }

--- A listener whose connections are encrypted.
function M.listen(host, port, given)
  local o = args.check(given, args.with(args.tcp_listen, context_options, {
    context = "context", handshake_timeout = "seconds",
  }), 3, 2)
  if not o.cert and not o.context then error("option 'cert' is missing", 2) end
  local context, why, code = context_of(o, true, 2)
  if not context then return nil, why, code end
  local made
  made, why, code = tcp.listen(host, port, pick(o, args.tcp_listen))
  if not made then return nil, why, code end
  contexts[made] = { context = context, timeout = o.handshake_timeout or HANDSHAKE_TIMEOUT, failed = 0 }
  return made
end

local function handshake(conn, secured)
  local before = conn:gettimeout()
  conn:settimeout(secured.timeout)
  local ok, why, code = secure(conn, secured.context, { server = true })
  if ok then return conn:settimeout(before) end
  secured.failed = secured.failed + 1
  conn:close()
  return nil, why, code
end

--- How many handshakes have failed.
function listener:tlsfailures() return contexts[self] and contexts[self].failed or 0 end

local accept <const>, serve <const> = listener.accept, listener.serve

--- The next connection: with TLS after its handshake, which the others wait
-- for; serve does it in the connection's own task. One that fails is counted,
-- and ends nothing but itself.
function listener:accept(timeout)
  local secured = contexts[self]
  if not secured then return accept(self, timeout) end
  local deadline = timeout and core.now() + timeout
  while true do
    local conn, why, code = accept(self, deadline and math.max(0, deadline - core.now()))
    if not conn then return nil, why, code end
    if handshake(conn, secured) then return conn end
  end
end

function listener:serve(handler, given)
  local secured = contexts[self]
  if not secured then return serve(self, handler, given) end
  return serve(self, function(conn)
    local ok, why = handshake(conn, secured)
    if ok then return handler(conn) end
    if given and given.on_error then given.on_error(why, "", conn) end
  end, given)
end

return M
