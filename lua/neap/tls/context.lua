--- Contexts of TLS: what options say of certificates, trust and limits, made
-- once for many connections.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local tlscore <const> = require "neap.tlscore"

local M = {}

local VERSIONS <const> = { ["1.2"] = 0x0303, ["1.3"] = 0x0304 }

-- ---- options ----

--- What a context takes.
M.options = {
  cert = "pems", key = "pems", passphrase = "passphrase", ca = "string", ca_only = "boolean", crl = "string",
  min_version = "string", max_version = "string", ciphers = "string", ciphersuites = "string", groups = "string",
  alpn = "table", client_certificates = "string", depth = "natural", sni = "names", pins = "table",
  ocsp = "fd", ktls = "boolean", max_early_data = "buffer",
  insecure_no_verify = "boolean", insecure_no_verify_name = "boolean",
}

-- ---- its parts ----

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
  "versions", "ciphers", "ciphersuites", "groups", "trust", "crl", "certificates", "ocsp", "alpn", "sni", "pins",
  "early", "kernel", "verify",
}

local function build(o)
  local context, why, code = tlscore.context()
  if not context then return nil, why, code end
  for _, part in ipairs(order) do
    local ok
    ok, why, code = parts[part](context, o)
    if not ok then return nil, "tls.context: " .. why, code end
  end
  return context
end

-- ---- checked ----

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
  for name, other in pairs(type(o.sni) == "table" and o.sni or {}) do
    if type(name) ~= "string" or not M.is(other) then
      error("option 'sni' must be a table of names and contexts", level + 1)
    end
  end
  for _, source in ipairs(list(o.ocsp)) do
    if type(source) ~= "string" and type(source) ~= "function" and type(o.ocsp) ~= "boolean" then
      error("option 'ocsp' must be a boolean, \"require\", DER, a path, a function, or a list of those", level + 1)
    end
  end
  for _, pin in ipairs(o.pins or {}) do
    if not digest(pin) then
      error("option 'pins' must be a list of SHA-256 digests, of 32 bytes or in base64", level + 1)
    end
  end
end

-- ---- made ----

local settings <const> = setmetatable({}, { __mode = "k" }) -- context -> its options

--- Whether it is one that was made here.
function M.is(value) return settings[value] ~= nil end

--- The options that it was made with.
function M.settings(context) return settings[context] end

--- The context of checked options: or nil, message, code. Raises on values
-- that do not do; `level` blames the caller, as error does.
function M.make(o, level)
  check_values(o, level + 1)
  local context, why, code = build(o)
  if not context then return nil, why, code end
  settings[context] = o
  return context
end

local default -- for who says nothing: its sessions are resumed

--- The one that the options name, or the one that they describe; they may have
-- other options, too.
function M.of(o, server, level)
  if o.context then
    if not M.is(o.context) then error("option 'context' must be what tls.context makes", level + 1) end
    return o.context
  end
  local picked = args.pick(o, M.options)
  local plain <const> = not server and next(picked) == nil
  if plain and default then return default end
  local context, why, code = M.make(picked, level + 1)
  if plain then default = context end
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
