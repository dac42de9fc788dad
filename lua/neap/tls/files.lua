--- What contexts of TLS are told in files: certificates, keys, whom to trust.
local core <const> = require "neap.core"
local tlscore <const> = require "neap.tlscore"

local M = {}

--- What may be given alone or as a list.
function M.list(value) return type(value) == "table" and value or { value } end
local list <const> = M.list

-- All of a file; or nil, message, code.
local function contents(path, what)
  if path:find("\0", 1, true) then return nil, what .. ": the path holds a NUL", "EINVAL" end
  local file <close>, why, number = io.open(path, "rb")
  if not file then return nil, ("%s: %s"):format(what, why), core.errname(number) end
  local text
  text, why, number = file:read "a" -- of a directory: nothing
  if not text then return nil, ("%s: %s: %s"):format(what, path, why), core.errname(number) end
  return text
end

local function is_pem(text) return text:find("-----BEGIN", 1, true) ~= nil end

--- PEM text, or a file's; or nil, message, code.
function M.read(text, what)
  if is_pem(text) then return text end
  return contents(text, what)
end
local read <const> = M.read

-- ---- certificates and keys ----

-- Of a key that needs one: a string; or nil, message, code. The function is
-- told which of its kind the key is, and its path.
local function passphrase_of(o, i, source, what)
  local given <const> = o.passphrase
  if type(given) ~= "function" then return given end
  local text, why, code = given(i, #source < 4096 and not source:find "[\0\n]" and source or nil)
  if text ~= nil and type(text) ~= "string" then error("option 'passphrase' returned no string", 0) end
  if text then return text end
  return nil, ("%s: %s"):format(what, why or "there is no passphrase for it"), code or "ETLS"
end

-- open(context, bytes, passphrase) of one file: the passphrase is asked for
-- only if it is needed.
local function unlock(open, context, bytes, o, i, source, what)
  local ok, why, code, locked = open(context, bytes, nil)
  if ok or not locked or not o.passphrase then return ok, why, code end
  local text
  text, why, code = passphrase_of(o, i, source, what)
  if not text then return nil, why, code end
  if text:find("\0", 1, true) then return nil, what .. ": the passphrase holds a NUL", "ETLS" end
  ok, why, code = open(context, bytes, text)
  return ok, why, code
end

local function certificate(context, o, i)
  local source <const> = list(o.cert)[i]
  local cert, why, code = read(source, "cert")
  if not cert then return nil, why, code end
  local key_source <const> = list(o.key)[i] or source
  local key = cert
  if key_source ~= source then key, why, code = read(key_source, "key") end
  if not key then return nil, why, code end
  local ok
  ok, why, code = tlscore.certificate(context, cert)
  if not ok then return nil, why, code end
  return unlock(tlscore.key, context, key, o, i, key_source, "key")
end

function M.certificates(context, o)
  for i = 1, #list(o.cert) do
    local ok, why, code = certificate(context, o, i)
    if not ok then return nil, why, code end
  end
  return true
end

-- DER of more than 127 bytes, which no path looks like.
local function is_pkcs12(text) return text:find "^0[\x80-\x84]" ~= nil end

function M.pkcs12(context, o)
  for i, source in ipairs(list(o.pkcs12)) do
    local bytes, why, code = source, nil, nil
    if not is_pkcs12(source) then bytes, why, code = contents(source, "pkcs12") end
    if not bytes then return nil, why, code end
    local ok
    ok, why, code = unlock(tlscore.pkcs12, context, bytes, o, i, source, "pkcs12")
    if not ok then
      -- what programs of old made, by RC2: OpenSSL says no more than that word
      why = why:gsub("unsupported$", "%0: encrypted in a way that OpenSSL 3 has no more, or only as legacy")
      return nil, why, code
    end
  end
  return true
end

-- ---- trust ----

local function is_directory(path)
  local file = io.open(path .. "/.", "rb")
  if file then file:close() end
  return file ~= nil
end

--- seen: gets to know what was read.
function M.trust(context, o, seen)
  if not o.ca then return true end -- the system's, when it is needed
  if o.ca_only == false then
    local ok, why, code = tlscore.systemtrust(context)
    if not ok then return nil, why, code end
  end
  local asks <const> = o.client_certificates ~= nil
  if not is_pem(o.ca) and not o.ca:find("\0", 1, true) and is_directory(o.ca) then
    seen[#seen + 1] = o.ca
    return tlscore.trustdir(context, o.ca, asks)
  end
  local pem, why, code = read(o.ca, "ca")
  if not pem then return nil, why, code end
  seen[#seen + 1] = pem
  return tlscore.trust(context, pem, asks)
end

function M.crl(context, o, seen)
  for _, source in ipairs(list(o.crl)) do
    local pem, why, code = read(source, "crl")
    if not pem then return nil, why, code end
    seen[#seen + 1] = pem
    local ok
    ok, why, code = tlscore.crl(context, pem)
    if not ok then return nil, why, code end
  end
  return true
end

return M
