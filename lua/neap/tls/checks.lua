--- What the options of a context must be beyond their kinds: each raises, and
-- blames the caller by `level`, as error does.
local files <const> = require "neap.tls.files"

local M = {}

M.versions = { ["1.2"] = 0x0303, ["1.3"] = 0x0304 } -- as they go over the wire

local LONGEST_KEY <const>, LONGEST_IDENTITY <const> = 256, 128
local SHORTEST_SECRET <const>, MOST_SECRETS <const> = 32, 8
local LONGEST_LIFETIME <const> = 7 * 86400 -- RFC 8446 section 4.6.1

local function is_text(value, longest)
  return type(value) == "string" and #value >= 1 and #value <= longest
end

local function is_name(value, longest) return is_text(value, longest) and not value:find("\0", 1, true) end

-- ---- what kinds cannot say ----

local function check_versions(o, level)
  for _, name in ipairs { "min_version", "max_version" } do
    if o[name] and not M.versions[o[name]] then
      error(("option '%s' must be \"1.2\" or \"1.3\""):format(name), level + 1)
    end
  end
  if o.min_version == "1.3" and o.max_version == "1.2" then
    error("option 'max_version' is below 'min_version'", level + 1)
  end
end

-- OpenSSL would read them up to a NUL; and what a list of ciphers can lower,
-- the level of security, is not a cipher.
local function check_lists(o, level)
  for _, name in ipairs { "ciphers", "ciphersuites", "groups", "psk_hint" } do
    if o[name] and o[name]:find("\0", 1, true) then error(("option '%s' holds a NUL"):format(name), level + 1) end
  end
  if o.ciphers and o.ciphers:upper():find("@SECLEVEL", 1, true) then
    error("option 'ciphers' must not change the level of security", level + 1)
  end
end

local CLASSES <const> = { cert = "neap.certificate", key = "neap.key" }

-- What neap.x509 has read or made stands for its text.
local function take_objects(o)
  for option, class in pairs(CLASSES) do
    local texts
    for i, value in ipairs(files.list(o[option])) do
      local meta <const> = type(value) == "userdata" and debug.getmetatable(value)
      if meta and meta.__name == class then
        texts = texts or table.move(files.list(o[option]), 1, #files.list(o[option]), 1, {})
        texts[i] = value:pem()
      end
    end
    o[option] = texts or o[option]
  end
end

local function check_files(o, level)
  take_objects(o)
  for _, name in ipairs { "cert", "key", "pkcs12", "crl" } do
    local given <const> = files.list(o[name])
    for i = 1, #given do
      if type(given[i]) ~= "string" then
        local what <const> = CLASSES[name] and ", or of what neap.x509 has" or ""
        error(("option '%s' must be a string or a list of strings%s"):format(name, what), level + 1)
      end
    end
    if type(o[name]) == "table" and #given == 0 then error(("option '%s' is an empty list"):format(name), level + 1) end
  end
  if o.key and not o.cert then error("option 'key' needs 'cert'", level + 1) end
  if o.key and #files.list(o.key) > #files.list(o.cert) then
    error("option 'key' has more of them than 'cert'", level + 1)
  end
end

-- Who is to be believed must be said where it decides who may come in.
local function check_trust(o, level)
  local asks <const> = o.client_certificates
  if asks and asks ~= "request" and asks ~= "require" then
    error("option 'client_certificates' must be \"request\" or \"require\"", level + 1)
  end
  if asks and not o.ca and o.ca_only ~= false then
    error("option 'client_certificates' needs 'ca', whose clients may come in"
      .. " (or 'ca_only' = false: those of everyone whom the system trusts)", level + 1)
  end
  if o.ca_only and not o.ca then error("option 'ca_only' needs 'ca'", level + 1) end
end

local function check_alpn(o, level)
  if o.alpn and #o.alpn == 0 then error("option 'alpn' must not be empty", level + 1) end
  for _, protocol in ipairs(o.alpn or {}) do
    if not is_text(protocol, 255) then
      error("option 'alpn' must be a list of names of 1 to 255 bytes", level + 1)
    end
  end
end

local function check_ocsp(o, level)
  for _, source in ipairs(files.list(o.ocsp)) do
    if type(source) ~= "string" and type(source) ~= "function" and type(o.ocsp) ~= "boolean" then
      error("option 'ocsp' must be a boolean, \"require\", DER, a path, a function, or a list of those", level + 1)
    end
  end
end

local function check_tickets(o, level)
  local secrets <const> = files.list(o.ticket_secret)
  if type(o.ticket_secret) == "table" and (#secrets == 0 or #secrets > MOST_SECRETS) then
    error(("option 'ticket_secret' must have 1 to %d of them"):format(MOST_SECRETS), level + 1)
  end
  for i = 1, #secrets do
    if type(secrets[i]) ~= "string" or #secrets[i] < SHORTEST_SECRET then
      error(("option 'ticket_secret' must be a string of %d bytes or more, or a list of those"):format(
        SHORTEST_SECRET), level + 1)
    end
  end
  if o.ticket_lifetime and o.ticket_lifetime > LONGEST_LIFETIME then
    error("option 'ticket_lifetime' must be at most seven days", level + 1)
  end
end

-- ---- keys in place of certificates ----

--- Whether it is a client's: { identity =, key = }.
function M.is_client_psk(psk)
  return type(psk) == "table" and psk.identity ~= nil and psk.key ~= nil and next(psk, next(psk, next(psk))) == nil
end

local function check_psk(o, level)
  local psk <const> = o.psk
  if o.psk_hint and (psk == nil or M.is_client_psk(psk)) then
    error("option 'psk_hint' needs 'psk' of a server", level + 1)
  end
  if o.psk_hint and not is_name(o.psk_hint, LONGEST_IDENTITY) then
    error(("option 'psk_hint' must be 1 to %d bytes"):format(LONGEST_IDENTITY), level + 1)
  end
  if type(psk) ~= "table" then return end
  if next(psk) == nil then error("option 'psk' is an empty table", level + 1) end
  local all = psk
  if M.is_client_psk(psk) then
    if type(psk.identity) ~= "string" then error("option 'psk' must have a string as identity", level + 1) end
    all = { [psk.identity] = psk.key }
  end
  for identity, key in pairs(all) do
    if not is_name(identity, LONGEST_IDENTITY) then
      error(("option 'psk': an identity is a string of 1 to %d bytes, without NUL"):format(LONGEST_IDENTITY),
        level + 1)
    end
    if not is_text(key, LONGEST_KEY) then
      error(("option 'psk': a key is a string of 1 to %d bytes"):format(LONGEST_KEY), level + 1)
    end
  end
end

--- What was said of a client may be a server's, and the other way round; and
-- what would do nothing is not what was meant.
function M.role(o, server, level)
  if o.psk ~= nil and M.is_client_psk(o.psk) ~= not server then
    error(server and "option 'psk' of a server must be a table of identities and their keys, or a function"
      or "option 'psk' of a client must be { identity =, key = }", level + 1)
  end
  local word <const> = o.ocsp == true or o.ocsp == "require"
  if server and word then error("option 'ocsp' of a server must be a response, a function, or a list", level + 1) end
  if not server and o.ocsp and not word then
    error("option 'ocsp' of a client must be a boolean or \"require\"", level + 1)
  end
  for _, name in ipairs { "pins", "crl" } do
    if server and o[name] and not o.client_certificates then
      error(("option '%s' of a server needs 'client_certificates'"):format(name), level + 1)
    end
  end
end

-- ---- pins ----

-- As people write it: "sha256//" and base64, or base64, or bytes.
local ALPHABET <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

--- A pin's 32 bytes, or nil.
function M.digest(pin)
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

local function check_pins(o, level)
  local message <const> = "option 'pins' must be a list of SHA-256 digests, of 32 bytes or in base64"
  if o.pins and #o.pins == 0 then error(message, level + 1) end
  for _, pin in ipairs(o.pins or {}) do
    if not M.digest(pin) then error(message, level + 1) end
  end
end

-- ---- names ----

local LONGEST_NAME <const> = 255 -- RFC 1035 section 2.3.4

--- What cannot be verified is no servername.
function M.servername(o, level)
  local name <const> = o.servername
  if not name then return end
  if not is_name(name, LONGEST_NAME) or name:sub(1, 1) == "." then
    error("option 'servername' must be a host's name or address", level + 1)
  end
  if name:find "[\x80-\xff]" then
    error("option 'servername' must be in ASCII, other letters as A-labels (xn--...)", level + 1)
  end
end

-- What no name would ever be found by.
local function check_names(o, is_context, level)
  for name, other in pairs(type(o.sni) == "table" and o.sni or {}) do
    if type(name) ~= "string" or not is_context(other) then
      error("option 'sni' must be a table of names and contexts", level + 1)
    end
    if not name:gsub("^%*%.", ""):find "^[^\0*.\x80-\xff][^\0*\x80-\xff]*$" then
      error(("option 'sni': %q is not of the form \"a.example\" or \"*.a.example\""):format(name), level + 1)
    end
  end
end

-- ---- all ----

--- is_context: whether a value is a context of the same sort.
function M.values(o, level, is_context)
  for _, check in ipairs {
    check_versions, check_lists, check_files, check_trust, check_alpn, check_ocsp, check_tickets, check_psk, check_pins,
  } do
    check(o, level + 1)
  end
  check_names(o, is_context, level + 1)
end

return M
