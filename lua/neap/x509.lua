--- Certificates, keys and requests: read, asked, and made. No socket is
-- touched. What is checked and chosen is here; OpenSSL is asked in C.
local args <const> = require "neap.args"
local subject_of <const> = require "neap.x509.subject"

local found, part <const> = pcall(require, "neap.tlscore")
if not found then
  if package.searchpath("neap.tlscore", package.cpath) then error(part, 0) end
  error("neap was built without OpenSSL (libssl-dev)", 0)
end
local core <const> = part.x509

---@class neap.x509
local M = {
  load = core.load,
  loadall = core.loadall,
  loadrequest = core.loadrequest,
}

local ANY <const> = "fd" -- an option that is checked where it is used

local DAY <const> = 86400
local EARLIER <const> = 60 -- clocks differ

-- ---- arguments ----

local function need(options, name, kind)
  local value = options[name]
  if core.kind(value) ~= kind then
    error(("option '%s' must be a %s, got %s"):format(name, kind, type(value)), 0)
  end
  return value
end

-- A list of strings, or of one.
local function strings(value, name)
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" then error(("option '%s' must be a list of strings"):format(name), 0) end
  for _, item in ipairs(value) do
    if type(item) ~= "string" then error(("option '%s' must be a list of strings"):format(name), 0) end
  end
  return value
end

local function digest_of(options)
  local digest = options.digest
  if digest and not core.isdigest(digest) then error(("there is no digest '%s'"):format(digest), 0) end
  return digest
end

-- From and until when, in seconds of Unix.
local function times(options, days)
  local from = options.notbefore or os.time() - EARLIER
  return from, options.notafter or math.floor(from + (options.days or days) * DAY)
end

local function serial_of(serial)
  if serial == nil then return nil end
  if math.type(serial) == "integer" then
    return serial < 0 and serial ~= math.mininteger and ("-%x"):format(-serial) or ("%x"):format(serial)
  end
  local hex = type(serial) == "string" and serial:gsub(":", "")
  if not hex or not hex:find "^%-?%x+$" then error("a serial number must be hex digits or an integer", 0) end
  return hex
end

-- ---- alternative names ----

local NAMES <const> = { dns = true, ip = true, email = true, uri = true }

local function name_of_text(text)
  local ip = core.ip(text)
  if ip then return { type = "ip", bytes = ip } end
  if text:find("://", 1, true) then return { type = "uri", bytes = text } end
  if text:find("@", 1, true) then return { type = "email", bytes = text } end
  if not text:find "^[%w%-_.*]+$" then
    error(("'%s' is no name: { type =, bytes = } takes anything"):format(text), 0)
  end
  return { type = "dns", bytes = text }
end

local function name_of(name)
  if type(name) == "string" then return name_of_text(name) end
  if type(name) ~= "table" or not NAMES[name.type] then
    error("a name must be a string, or a table whose type is dns, ip, email or uri", 0)
  end
  local bytes = name.bytes
  if bytes == nil and type(name.value) == "string" then
    bytes = name.value
    if name.type == "ip" then bytes = core.ip(bytes) end
  end
  if type(bytes) ~= "string" then error(("bad name of the type '%s'"):format(name.type), 0) end
  return { type = name.type, bytes = bytes }
end

local function names_of(names)
  local list = {}
  if names ~= nil and type(names) ~= "table" then error("option 'names' must be a list", 0) end
  for i, name in ipairs(names or {}) do list[i] = name_of(name) end
  return list
end

-- ---- extensions ----

local function add(list, name, ...) list[#list + 1] = { name = name, text = table.concat({ ... }, ",") } end

-- Commas would end a URL, to OpenSSL.
local function urls(options, name, before)
  local list = {}
  for i, url in ipairs(strings(options[name], name)) do
    if url:find "[%c%s]" then error(("option '%s' must be a URL"):format(name), 0) end
    list[i] = before .. url:gsub(",", "%%2C")
  end
  return table.concat(list, ",")
end

local function add_constraints(list, options)
  if not options.ca then
    add(list, "basicConstraints", "critical", "CA:FALSE")
  elseif options.pathlen then
    add(list, "basicConstraints", "critical", "CA:TRUE", "pathlen:" .. options.pathlen)
  else
    add(list, "basicConstraints", "critical", "CA:TRUE")
  end
end

local function add_uses(list, options, kind)
  local usage, purposes = options.keyusage, options.purposes
  if usage == nil then
    usage = options.ca and { "keyCertSign", "cRLSign" }
      or kind == "rsa" and { "digitalSignature", "keyEncipherment" } or { "digitalSignature" }
  end
  if purposes == nil and not options.ca then purposes = { "serverAuth", "clientAuth" } end
  usage = usage and strings(usage, "keyusage") or {}
  purposes = purposes and strings(purposes, "purposes") or {}
  if #usage > 0 then add(list, "keyUsage", "critical", table.unpack(usage)) end
  if #purposes > 0 then add(list, "extendedKeyUsage", table.unpack(purposes)) end
end

local function add_own(list, extensions)
  for _, extension in ipairs(extensions or {}) do
    if type(extension) ~= "table" or type(extension.name) ~= "string"
      or type(extension.text or extension.value) ~= "string" then
      error("an extension must be { name =, text = } or { name =, value =, critical = }", 0)
    end
    list[#list + 1] = extension
  end
end

-- What both a certificate and a request say.
local function extensions_of(spec, options, kind)
  local list = {}
  add_constraints(list, options)
  add_uses(list, options, kind)
  if options.must_staple then add(list, "tlsfeature", "status_request") end
  if options.crl then add(list, "crlDistributionPoints", urls(options, "crl", "URI:")) end
  local access = {}
  if options.ocsp then access[1] = urls(options, "ocsp", "OCSP;URI:") end
  if options.caissuers then access[#access + 1] = urls(options, "caissuers", "caIssuers;URI:") end
  if #access > 0 then add(list, "authorityInfoAccess", table.unpack(access)) end
  if #spec.names > 0 then
    list[#list + 1] = { name = "subjectAltName", names = true, critical = spec.nameless }
  end
  add_own(list, options.extensions)
  return list
end

-- ---- making ----

local said <const> = {
  subject = ANY, names = "table", key = ANY, ca = "boolean", pathlen = "natural", purposes = ANY, keyusage = ANY,
  must_staple = "boolean", crl = ANY, ocsp = ANY, caissuers = ANY, digest = "string", extensions = "table",
}
local signed <const> = {
  issuer = ANY, issuerkey = ANY, days = "number", notbefore = "integer", notafter = "integer",
}
local certificate <const> = args.with(said, signed, { request = ANY, serial = ANY, version = "integer" })
local list <const> = args.with(signed, {
  revoked = "table", number = "natural", digest = "string", extensions = "table",
})

-- Who signs: the issuer's key, or its own.
local function signer_of(options)
  if options.issuer == nil then
    if options.request and not options.issuerkey then error("option 'issuer' is missing", 0) end
    return options.issuerkey and need(options, "issuerkey", "key") or need(options, "key", "key")
  end
  need(options, "issuer", "certificate")
  return need(options, "issuerkey", "key")
end

-- What a request says of itself; its other wishes are not granted.
local function take_request(spec, options)
  local request = need(options, "request", "csr")
  if options.key then error("options 'request' and 'key' exclude each other", 0) end
  spec.request, spec.subjectof = request, options.subject == nil
  spec.nameless = spec.subjectof and request:subject() == "" or not spec.subjectof and spec.nameless
  if options.names then return request:key().type end
  local names, why, code = request:names()
  if not names then return nil, why, code end
  for _, name in ipairs(names) do
    if NAMES[name.type] then spec.names[#spec.names + 1] = name_of(name) end
  end
  return request:key().type
end

local function certificate_spec(options)
  local spec = {
    what = "certificate", issuer = options.issuer, signer = signer_of(options),
    subject = subject_of(options.subject), names = names_of(options.names),
    serial = serial_of(options.serial), version = options.version or 3, digest = digest_of(options),
  }
  spec.nameless = #spec.subject == 0
  spec.from, spec.till = times(options, 30)
  if spec.version < 1 or spec.version > 3 then error("option 'version' must be 1, 2 or 3", 0) end
  local kind, why, code
  if options.request then
    kind, why, code = take_request(spec, options)
    if not kind then return nil, why, code end
  else
    spec.key = need(options, "key", "key")
    kind = spec.key:details().type
  end
  spec.extensions = {}
  if spec.version == 3 then
    spec.extensions = extensions_of(spec, options, kind)
    add(spec.extensions, "subjectKeyIdentifier", "hash")
    if options.issuer then add(spec.extensions, "authorityKeyIdentifier", "keyid") end
  end
  return spec
end

--- A certificate. Without an issuer it signs itself.
function M.make(options)
  options = args.check(options, certificate, 1, 2)
  local spec, why, code = args.blame(2, certificate_spec, options)
  if not spec then return nil, why, code end
  if spec.request and not spec.request:verify_signature() then
    return nil, "x509: the request is not signed with its own key", "EBADMSG"
  end
  return core.make(spec)
end

local function request_spec(options)
  local spec = {
    what = "request", key = need(options, "key", "key"), subject = subject_of(options.subject),
    names = names_of(options.names), digest = digest_of(options),
  }
  spec.nameless = #spec.subject == 0
  spec.signer = spec.key
  spec.extensions = extensions_of(spec, options, spec.key:details().type)
  return spec
end

--- A request for a certificate.
function M.request(options)
  options = args.check(options, said, 1, 2)
  return core.make(args.blame(2, request_spec, options))
end

-- ---- lists of what is revoked ----

local REASONS <const> = {
  unspecified = 0, keyCompromise = 1, cACompromise = 2, affiliationChanged = 3, superseded = 4,
  cessationOfOperation = 5, certificateHold = 6, removeFromCRL = 8, privilegeWithdrawn = 9, aACompromise = 10,
}

local function revoked_of(item, now)
  if core.kind(item) == "certificate" then item = item:serial() end
  if type(item) ~= "table" then item = { serial = item } end
  local serial = core.kind(item.serial) == "certificate" and item.serial:serial() or serial_of(item.serial)
  local reason = item.reason and REASONS[item.reason] or -1
  if not serial or item.reason and reason == -1 or math.type(item.time or now) ~= "integer" then
    error("what is revoked must be a certificate, a serial number, or { serial =, time =, reason = }", 0)
  end
  return { serial = serial, time = item.time or now, reason = reason }
end

-- A DER INTEGER, not negative.
local function integer(n)
  local bytes = (">I8"):pack(n):gsub("^\0*", "")
  if bytes == "" or bytes:byte() > 127 then bytes = "\0" .. bytes end
  return "\2" .. string.char(#bytes) .. bytes
end

local function list_spec(options)
  local spec = {
    what = "crl", issuer = need(options, "issuer", "certificate"), signer = need(options, "issuerkey", "key"),
    revoked = {}, digest = digest_of(options), extensions = {},
  }
  spec.from, spec.till = times(options, 30)
  for i, item in ipairs(options.revoked or {}) do spec.revoked[i] = revoked_of(item, spec.from) end
  add(spec.extensions, "authorityKeyIdentifier", "keyid")
  table.insert(spec.extensions, { name = "crlNumber", value = integer(options.number or os.time()) })
  add_own(spec.extensions, options.extensions)
  return spec
end

--- A list of what an issuer revoked, as PEM.
function M.crl(options)
  options = args.check(options, list, 1, 2)
  return core.make(args.blame(2, list_spec, options))
end

-- ---- keys ----

local key_options <const> = { type = "string", bits = "count", curve = "string" }
local TYPES <const> = { ec = true, rsa = true, ["rsa-pss"] = true, ed25519 = true, ed448 = true }
local CURVES <const> = { [256] = "P-256", [384] = "P-384", [521] = "P-521" }

--- A new key: P-256 unless something else is said.
function M.key(options)
  options = args.check(options, key_options, 1, 2)
  local kind = options.type or "ec"
  if not TYPES[kind] then error(("there is no type of keys '%s'"):format(kind), 2) end
  local rsa = kind == "rsa" or kind == "rsa-pss"
  if options.curve and kind ~= "ec" or options.bits and not rsa and not (kind == "ec" and CURVES[options.bits]) then
    error(("a key of type '%s' has no such curve or number of bits"):format(kind), 2)
  end
  if rsa and options.bits and (options.bits < 512 or options.bits > 16384) then
    error("option 'bits' must be in [512, 16384]", 2)
  end
  return core.makekey(kind, options.bits or 2048, options.curve or CURVES[options.bits])
end

--- A private key. The passphrase may be a function, which is called if one is
-- needed, and may wait.
function M.loadkey(text, passphrase)
  args.argument(text, "string", 1, 2)
  if type(passphrase) ~= "function" then
    if passphrase ~= nil then args.argument(passphrase, "string", 2, 2) end
    return core.loadkey(text, passphrase)
  end
  local key, why, code = core.loadkey(text)
  if key or code ~= "EACCES" then return key, why, code end
  local given = passphrase()
  if given == nil then return nil, why, code end
  return core.loadkey(text, given)
end

return M
