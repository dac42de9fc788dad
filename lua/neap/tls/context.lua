--- Contexts of TLS: what options say of certificates, trust and limits, made
-- once for many connections.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local tlscore <const> = require "neap.tlscore"
local checks <const> = require "neap.tls.checks"
local files <const> = require "neap.tls.files"

local M = {}

-- ---- options ----

--- What a context takes.
M.options = {
  cert = "pems", key = "pems", passphrase = "passphrase", ca = "string", ca_only = "boolean", crl = "texts",
  min_version = "string", max_version = "string", ciphers = "string", ciphersuites = "string", groups = "string",
  alpn = "table", client_certificates = "string", depth = "natural", sni = "names", pins = "table",
  ocsp = "fd", ktls = "boolean", max_early_data = "buffer", pkcs12 = "texts", psk = "psk", psk_hint = "string",
  tickets = "boolean", ticket_secret = "texts", ticket_lifetime = "count", keylog = "keylog",
  insecure_no_verify = "boolean", insecure_no_verify_name = "boolean",
}

--- Those of DTLS: without what is of no use where there are no streams.
M.datagram_options = args.without(args.without(M.options, "ktls"), "max_early_data")

-- ---- its parts ----

local read <const>, list <const> = files.read, files.list

-- Each does its part of a context: true, or nil, message, code. `seen` gets to
-- know what was read of whom clients must be known by.
local parts <const> = {}

parts.certificates, parts.pkcs12, parts.trust, parts.crl = files.certificates, files.pkcs12, files.trust, files.crl

function parts.versions(context, o)
  local least <const>, most <const> = checks.versions[o.min_version or "1.2"], checks.versions[o.max_version] or 0
  local ok, _, code = tlscore.versions(context, least, most)
  if ok then return true end
  return nil, "version: this OpenSSL does not have that one", code -- 1.3 of DTLS, that is
end

-- Of who has a certificate: with forward secrecy, and none that decrypts before
-- it has verified (CBC). A client alone may need those of an old server.
local OWN_CIPHERS <const> = "DEFAULT:!kRSA:!SHA1:!SHA256:!SHA384"

-- The same where there are keys in place of certificates, and then what goes
-- with certificates.
local PSK_CIPHERS <const> = "ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-CHACHA20-POLY1305:"
  .. "DHE-PSK-AES128-GCM-SHA256:"
local SERVER_CIPHERS <const> = PSK_CIPHERS .. "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"
local CLIENT_CIPHERS <const> = PSK_CIPHERS .. "ALL:!COMPLEMENTOFDEFAULT:!eNULL:!kPSK:!kRSAPSK"

function parts.ciphers(context, o)
  local wanted <const> = o.ciphers or o.psk and (checks.is_client_psk(o.psk) and CLIENT_CIPHERS or SERVER_CIPHERS)
    or (o.cert or o.pkcs12) and OWN_CIPHERS
  if not wanted then return true end
  return tlscore.ciphers(context, wanted)
end

-- What goes with a key's hash comes first.
local PSK_SUITES <const> = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"

function parts.ciphersuites(context, o)
  local wanted <const> = o.ciphersuites or o.psk and PSK_SUITES
  if not wanted then return true end
  return tlscore.ciphersuites(context, wanted)
end

function parts.groups(context, o)
  if not o.groups then return true end
  local ok, why, code = tlscore.groups(context, o.groups)
  if not ok then why = why:gsub("passed invalid argument$", "OpenSSL does not know one of them") end
  return ok, why, code
end

function parts.alpn(context, o)
  if not o.alpn then return true end
  local wire = {}
  for i, protocol in ipairs(o.alpn) do wire[i] = string.pack("s1", protocol) end
  return tlscore.alpn(context, table.concat(wire))
end

function parts.sni(context, o)
  if type(o.sni) == "function" then return tlscore.asknames(context) end
  for name, other in pairs(o.sni or {}) do
    local ok, why, code = tlscore.name(context, name, other)
    if not ok then return nil, why, code end
  end
  return true
end

function parts.early(context, o)
  if not o.max_early_data then return true end
  return tlscore.maxearly(context, o.max_early_data)
end

function parts.kernel(context, o)
  if not o.ktls then return true end
  return tlscore.kernel(context)
end

function parts.pins(context, o)
  for _, pin in ipairs(o.pins or {}) do
    local ok, why, code = tlscore.pin(context, checks.digest(pin))
    if not ok then return nil, why, code end
  end
  return true
end

function parts.verify(context, o)
  return tlscore.verify(context, not o.insecure_no_verify, not o.insecure_no_verify_name, o.client_certificates,
    o.depth and math.min(o.depth, 0x7fffffff))
end

-- ---- what is resumed ----

local function has_certificate(o) return o.cert ~= nil or o.pkcs12 ~= nil end

-- Where nobody comes in without a key, none comes in with a ticket.
function parts.tickets(context, o)
  local keys_only <const> = o.psk and not checks.is_client_psk(o.psk) and not has_certificate(o)
  if o.tickets == false or keys_only then return tlscore.tickets(context, false) end
  local ok, why, code = tlscore.tickets(context, o.ticket_lifetime)
  if not ok or not o.ticket_secret then return ok, why, code end
  return tlscore.secrets(context, table.unpack(list(o.ticket_secret)))
end

-- Who came in by other rules does not come in again by a ticket, though the
-- secret be the same.
function parts.scope(context, o, seen)
  if not o.client_certificates then return true end
  local rules <const> = { o.client_certificates, tostring(o.ca_only), tostring(o.depth) }
  table.move(seen, 1, #seen, #rules + 1, rules)
  for _, pin in ipairs(o.pins or {}) do rules[#rules + 1] = checks.digest(pin) end
  for i, rule in ipairs(rules) do rules[i] = string.pack(">s4", rule) end
  return tlscore.scope(context, table.concat(rules))
end

-- ---- keys in place of certificates ----

function parts.psk(context, o)
  local psk <const> = o.psk
  if not psk then return true end
  if checks.is_client_psk(psk) then return tlscore.pskclient(context, psk.identity, psk.key) end
  if type(psk) == "function" then return tlscore.psk(context, psk, o.psk_hint) end
  local keys <const> = {}
  for identity, key in pairs(psk) do keys[identity] = key end
  return tlscore.psk(context, function(identity) return keys[identity] end, o.psk_hint)
end

-- ---- secrets, for who wants to read what was recorded ----

local function to_file(file)
  return function(line)
    local ok, why = file:write(line, "\n")
    if not ok then error(why, 0) end
  end
end

function parts.keylog(context, o)
  local to = o.keylog
  if to == true then to = os.getenv "SSLKEYLOGFILE" end
  if not to or to == "" then return true end
  if type(to) == "function" then return tlscore.keylog(context, to) end
  local file, why, code = core.append(to)
  if not file then return nil, "keylog: " .. why, code end
  return tlscore.keylog(context, to_file(file))
end

-- DER holds a NUL, a path never does. Nothing where a function has nothing.
local function response(source)
  local why, code
  if type(source) == "function" then source, why, code = source() end
  if source == nil then return nil, why and "ocsp: " .. tostring(why), code end
  if type(source) ~= "string" then error("option 'ocsp' returned no string", 0) end
  if source:find("\0", 1, true) then return source end
  return read(source, "ocsp")
end

-- A client's word, or a server's responses, in any order.
function parts.ocsp(context, o)
  local said = o.ocsp
  if said == nil then said = true end
  if type(said) == "boolean" or said == "require" then
    return tlscore.ocsp(context, said and true, said == "require")
  end
  for _, source in ipairs(list(said)) do
    local der, why, code = response(source)
    if why then return nil, why, code end
    local ok = true
    if der then ok, why, code = tlscore.staple(context, der) end
    if not ok then return nil, why, code end
  end
  return true
end

-- In this order.
local order <const> = {
  "versions", "ciphers", "ciphersuites", "groups", "trust", "crl", "certificates", "pkcs12", "ocsp", "alpn",
  "sni", "pins", "early", "kernel", "verify", "tickets", "scope", "psk", "keylog",
}

local function build(o, datagrams)
  local context, why, code = tlscore.context(datagrams)
  if not context then return nil, why, code end
  local seen <const> = {}
  for _, part in ipairs(order) do
    local ok
    ok, why, code = parts[part](context, o, seen)
    if not ok then return nil, ("%s.context: %s"):format(datagrams and "dtls" or "tls", why), code end
  end
  return context
end

-- ---- made ----

local settings <const> = setmetatable({}, { __mode = "k" }) -- context -> its options

--- Whether it is one that was made here: for TLS, or for DTLS.
function M.is(value, datagrams)
  return settings[value] ~= nil and (settings[value].datagrams or false) == (datagrams or false)
end

--- The options that it was made with.
function M.settings(context) return settings[context] end

--- The context of checked options: or nil, message, code. Raises on values
-- that do not do; `level` blames the caller, as error does. datagrams: it is
-- for DTLS.
function M.make(o, level, datagrams)
  if datagrams and type(o.sni) == "function" then
    error("option 'sni' must be a table of names and contexts", level + 1)
  end
  checks.values(o, level + 1, function(value) return M.is(value, datagrams) end)
  local context, why, code = build(o, datagrams)
  if not context then return nil, why, code end
  o.datagrams = datagrams
  settings[context] = o
  return context
end

--- Another of the same options, but for those that are changed: its files are
-- read again. What the first one's tickets resume, it resumes, too.
function M.remake(context, changes, level)
  local before <const> = settings[context]
  local o <const> = args.pick(before, M.options)
  for name, value in pairs(changes) do o[name] = value end
  checks.role(o, true, level + 1)
  local made, why, code = M.make(o, level + 1, before.datagrams)
  if not made then return nil, why, code end
  if not o.ticket_secret then tlscore.inherit(made, context) end
  return made
end

--- What a listener's reload puts in place of its context: the one that its
-- options name, if it was `named` before, or that of the changed options.
function M.reload(context, named, o, level)
  if o.context and next(args.without(o, "context")) then error("option 'context' must be alone", level + 1) end
  if named and not o.context then error("option 'context' is missing: this listener has one", level + 1) end
  local made, why, code
  if o.context then
    made, why, code = M.of(o, true, level + 1, settings[context].datagrams)
  else
    made, why, code = M.remake(context, o, level + 1)
  end
  if not made then return nil, why, code end
  local ok
  ok, why, code = M.ready(made, true)
  if not ok then return nil, why, code end
  return made
end

--- Whether these options are enough for a server.
function M.serves(o) return o.context ~= nil or o.psk ~= nil or has_certificate(o) end

local defaults <const> = {} -- for who says nothing: their sessions are resumed

--- The one that the options name, or the one that they describe; they may have
-- other options, too.
function M.of(o, server, level, datagrams)
  local which <const> = datagrams and "dtls" or "tls"
  local picked = args.pick(o, M.options)
  if o.context then
    if not M.is(o.context, datagrams) then
      error(("option 'context' must be what %s.context makes"):format(which), level + 1)
    end
    local other <const> = next(picked)
    if other then error(("option '%s' is one of %s.context, not beside 'context'"):format(other, which), level + 1) end
    return o.context
  end
  checks.role(o, server, level + 1)
  local plain <const> = not server and next(picked) == nil
  if plain and defaults[which] then return defaults[which] end
  local context, why, code = M.make(picked, level + 1, datagrams)
  if plain then defaults[which] = context end
  return context, why, code
end

--- The system's list of whom to trust is read only where a certificate is to
-- be verified, and no other list was named. True, or nil, message, code.
function M.ready(context, server)
  local o = settings[context]
  if o.ca or o.trusts then return true end
  if server and not o.client_certificates or not server and o.insecure_no_verify then return true end
  local ok, why, code = tlscore.systemtrust(context)
  if not ok then return nil, why, code end
  o.trusts = true
  return true
end

return M
