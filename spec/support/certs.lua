--- A laboratory of certificates, good and bad, made by the openssl command in
-- a directory that goes with this process. Each is made when it is asked for.
local helper <const> = require "support.helper"
local probe <const> = require "probe"

local M = {}
package.loaded["support.certs"] = M

-- ---- what there is ----

local DAY <const> = 86400

-- name -> row. key: what kind (ec); own: it has a key of its own (a CA has).
-- issuer: "middle" unless said; false: itself. ca: it may sign, with pathlen.
-- san, and lines of extensions beside (`more`). from, till: days from now.
-- serves: what is sent with it: the chain up to the root, without it.
local rows <const> = {
  root = { cn = "Spec Root", ca = true, issuer = false },
  middle = { cn = "Spec Intermediate", ca = true, pathlen = 0, issuer = "root" },

  -- good ones
  good = { san = "DNS:good.example" },
  other = { san = "DNS:other.example" },
  rsa = { san = "DNS:good.example", key = "rsa" },
  ed25519 = { san = "DNS:good.example", key = "ed25519" },
  p384 = { san = "DNS:good.example", key = "p384" },
  p521 = { san = "DNS:good.example", key = "p521" },
  ed448 = { san = "DNS:good.example", key = "ed448" },
  rsa3072 = { san = "DNS:good.example", key = "rsa3072" },
  rsa4096 = { san = "DNS:good.example", key = "rsa4096" },
  rsapss = { san = "DNS:good.example", key = "rsapss" },
  ["RSA middle"] = { cn = "RSA Intermediate", ca = true, issuer = "root", key = "rsa" },
  ["under an RSA one"] = { san = "DNS:good.example", issuer = "RSA middle" },
  ["RSA-PSS middle"] = { cn = "PSS Intermediate", ca = true, issuer = "root", key = "rsapss" },
  ["under an RSA-PSS one"] = { san = "DNS:good.example", issuer = "RSA-PSS middle" },
  direct = { san = "DNS:good.example", issuer = "root" },
  several = { san = "DNS:one.example,DNS:good.example,DNS:three.example" },
  ["ip4"] = { san = "IP:127.0.0.1" },
  ["ip6"] = { san = "IP:::1" },
  ["punycode"] = { san = "DNS:xn--bcher-kva.example" },
  ["no purposes"] = { san = "DNS:good.example", eku = false },
  ["inside the constraints"] = { san = "DNS:www.inside.example", issuer = "constrained" },

  -- wildcards
  ["wildcard"] = { san = "DNS:*.wild.example" },
  ["wildcard within"] = { san = "DNS:x.*.example" },
  ["wildcard in part"] = { san = "DNS:f*.wild.example,DNS:*o.wild.example,DNS:f*o.wild.example" },
  ["wildcard alone"] = { san = "DNS:*" },
  ["wildcard over all of com"] = { san = "DNS:*.com" },
  ["wildcard twice"] = { san = "DNS:*.*.example" },
  ["wildcard of addresses"] = { san = "DNS:*.0.0.1" },
  ["leading dot"] = { san = "DNS:.wild.example" },

  -- times
  expired = { san = "DNS:good.example", from = -20, till = -10 },
  future = { san = "DNS:good.example", from = 10, till = 20 },
  ["expired middle"] = { cn = "Old Intermediate", ca = true, issuer = "root", from = -20, till = -10 },
  ["under an expired one"] = { san = "DNS:good.example", issuer = "expired middle" },
  ["future middle"] = { cn = "Young Intermediate", ca = true, issuer = "root", from = 10, till = 20 },
  ["under a future one"] = { san = "DNS:good.example", issuer = "future middle" },

  -- names
  ["CN only"] = { cn = "good.example" },
  ["wrong SAN, right CN"] = { cn = "good.example", san = "DNS:other.example" },
  ["mail only"] = { cn = "good.example", san = "email:root@good.example,URI:https://good.example/" },
  ["address as a name"] = { san = "DNS:127.0.0.1" },
  ["name as CN of an address"] = { cn = "127.0.0.1", san = "DNS:good.example" },
  -- dNSName "good.example\0.evil.example"
  ["NUL in the name"] = { san = "DER:30:1C:82:1A:" .. ("good.example\0.evil.example"):gsub(".", function(c)
    return ("%02X:"):format(c:byte())
  end):sub(1, -2) },
  ["NUL in the CN"] = { cn = "good.example", san = "DNS:evil.example" },
  ["underscore"] = { san = "DNS:a_b.example" },

  -- chains
  rogue = { cn = "Rogue Root", ca = true, issuer = false },
  ["unknown CA"] = { san = "DNS:good.example", issuer = "rogue" },
  ["unknown CA, sent with it"] = { san = "DNS:good.example", issuer = "rogue", serves = { "rogue" } },
  ["self-signed"] = { san = "DNS:good.example", issuer = false, own = true },
  ["missing intermediate"] = { san = "DNS:good.example", serves = {} },
  ["wrong intermediate"] = { san = "DNS:good.example", serves = { "constrained" } },
  ["chain out of order"] = { san = "DNS:good.example", serves = { "root", "middle" } },
  -- not a CA, though nothing but that is wrong with it
  ["no CA"] = { cn = "Not a CA", issuer = "root", own = true, san = "DNS:ca.example", usage = false },
  ["under no CA"] = { san = "DNS:good.example", issuer = "no CA" },
  ["no signer"] = { cn = "No Signer", issuer = "root", ca = true, usage = "digitalSignature" },
  ["under no signer"] = { san = "DNS:good.example", issuer = "no signer" },
  ["one too many"] = { cn = "One Too Many", ca = true, issuer = "middle" },
  ["under one too many"] = { san = "DNS:good.example", issuer = "one too many" },
  ["middle two"] = { cn = "Second Intermediate", ca = true, issuer = "long" },
  long = { cn = "Long Intermediate", ca = true, issuer = "root" },
  ["long chain"] = { san = "DNS:good.example", issuer = "middle two" },
  constrained = {
    cn = "Constrained Intermediate", ca = true, issuer = "root",
    more = "nameConstraints=critical,permitted;DNS:inside.example,excluded;DNS:secret.inside.example",
  },
  ["outside the constraints"] = { san = "DNS:good.example", issuer = "constrained" },
  ["excluded by the constraints"] = { san = "DNS:www.secret.inside.example", issuer = "constrained" },

  -- purposes and extensions
  ["client only"] = { san = "DNS:good.example", eku = "clientAuth" },
  ["code signing"] = { san = "DNS:good.example", eku = "codeSigning" },
  ["client only middle"] = {
    cn = "Client Only Intermediate", ca = true, issuer = "root", more = "extendedKeyUsage=clientAuth",
  },
  ["under a client only one"] = { san = "DNS:good.example", issuer = "client only middle" },
  ["no signature usage"] = { san = "DNS:good.example", usage = "critical,keyCertSign" },
  ["unknown critical"] = { san = "DNS:good.example", more = "1.2.3.4.5=critical,DER:05:00" },
  ["must-staple"] = { san = "DNS:good.example", more = "tlsfeature=status_request" },
  responder = { cn = "A Responder", eku = "OCSPSigning" },
  ["old responder"] = { cn = "Old Responder", eku = "OCSPSigning", from = -20, till = -10 },
  ["rogue responder"] = { cn = "Rogue Responder", eku = "OCSPSigning", issuer = "rogue" },
  ["root's responder"] = { cn = "Root Responder", eku = "OCSPSigning", issuer = "root" },
  -- nothing that a scanner could find fault with
  scanned = { san = "DNS:good.example", till = 90, more = "crlDistributionPoints=URI:http://crl.example/" },
  ["scanned rsa"] = {
    san = "DNS:good.example", till = 90, key = "rsa3072", more = "crlDistributionPoints=URI:http://crl.example/",
  },
  client = { cn = "A Client", san = "email:client@good.example", eku = "clientAuth" },
  ["expired client"] = { cn = "Old Client", eku = "clientAuth", from = -20, till = -10 },
  ["rogue client"] = { cn = "Rogue Client", eku = "clientAuth", issuer = "rogue" },
  ["server as client"] = { cn = "Server Only", eku = "serverAuth" },

  -- weak
  ["RSA 1024"] = { san = "DNS:good.example", key = "rsa1024" },
  ["P-192"] = { san = "DNS:good.example", key = "p192" },
  ["SHA-1"] = { san = "DNS:good.example", digest = "sha1" },
  ["MD5"] = { san = "DNS:good.example", digest = "md5", issuer = "RSA middle" },
  ["weak middle"] = { cn = "Weak Intermediate", ca = true, issuer = "root", key = "rsa1024" },
  ["under a weak one"] = { san = "DNS:good.example", issuer = "weak middle" },
  ["SHA-1 middle"] = { cn = "Sloppy Intermediate", ca = true, issuer = "root", digest = "sha1" },
  ["under a SHA-1 one"] = { san = "DNS:good.example", issuer = "SHA-1 middle" },

  -- broken
  revoked = { cn = "Revoked", san = "DNS:good.example" },
  ["bad signature"] = { san = "DNS:good.example", damaged = true },
  ["revoked middle"] = { cn = "Revoked Intermediate", ca = true, issuer = "root" },
  ["under a revoked one"] = { san = "DNS:good.example", issuer = "revoked middle" },
}

local key_kinds <const> = {
  ec = "EC -pkeyopt ec_paramgen_curve:P-256",
  p384 = "EC -pkeyopt ec_paramgen_curve:P-384",
  p521 = "EC -pkeyopt ec_paramgen_curve:P-521",
  p192 = "EC -pkeyopt ec_paramgen_curve:prime192v1",
  rsa = "RSA -pkeyopt rsa_keygen_bits:2048",
  rsa3072 = "RSA -pkeyopt rsa_keygen_bits:3072",
  rsa4096 = "RSA -pkeyopt rsa_keygen_bits:4096",
  rsapss = "RSA-PSS -pkeyopt rsa_keygen_bits:2048",
  rsa1024 = "RSA -pkeyopt rsa_keygen_bits:1024",
  ed25519 = "ED25519",
  ed448 = "ED448",
}

-- ---- the laboratory ----

local directory
local owner <const> = probe.getpid()

-- Goes when the state closes; a child made by fork leaves it alone.
local cleanup <const> = setmetatable({}, { __gc = function()
  if directory and probe.getpid() == owner then os.execute("rm -rf " .. helper.quote(directory)) end
end })
M._cleanup = cleanup

local config <const> = [[
[ca]
default_ca = lab
[lab]
database = %s/index
serial = %s/serial
new_certs_dir = %s/new
crlnumber = %s/crlnumber
unique_subject = no
default_md = sha256
policy = any
email_in_dn = no
[any]
commonName = supplied
[req]
distinguished_name = nothing
[nothing]
]]

local function path_of(name, suffix)
  return ("%s/%s%s"):format(directory, name:gsub("%W", "_"), suffix)
end

local function write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function openssl(words, ...)
  local command = ("</dev/null openssl %s 2>&1"):format(words:format(...))
  local pipe = assert(io.popen(command))
  local out = pipe:read "a"
  if not pipe:close() then error(("%s:\n%s"):format(command, out), 0) end
  return out
end
M.openssl = openssl

local function open_laboratory()
  if directory then return end
  local pipe <close> = assert(io.popen "mktemp -d")
  directory = pipe:read "l"
  assert(os.execute(("mkdir %s/new && chmod 755 %s"):format(directory, directory)))
  write_file(directory .. "/config", (config:gsub("%%s", directory)))
  write_file(directory .. "/crlnumber", "01\n")
end

-- The paths of a key and of a request signed by it; made once.
local function key_of(name, kind)
  local key, request = path_of(name, ".key"), path_of(name, ".csr")
  local file = io.open(request)
  if file then
    file:close()
  else
    openssl("genpkey -algorithm %s -out %s", key_kinds[kind], key)
    openssl("req -new -config %s/config -key %s -subj /CN=x -out %s", directory, key, request)
  end
  return key, request
end

local function stamp(days) return os.date("!%Y%m%d%H%M%SZ", os.time() + days * DAY // 1) end

local function extensions(row)
  local lines <const> = { "subjectKeyIdentifier=hash" }
  local function line(name, value)
    if value then lines[#lines + 1] = name .. "=" .. value end
  end
  if row.issuer then line("authorityKeyIdentifier", "keyid") end
  if row.ca then
    line("basicConstraints", "critical,CA:TRUE" .. (row.pathlen and ",pathlen:" .. row.pathlen or ""))
    line("keyUsage", row.usage or "critical,keyCertSign,cRLSign")
  else
    line("basicConstraints", "CA:FALSE")
    if row.usage ~= false then line("keyUsage", row.usage) end
    if row.eku ~= false then line("extendedKeyUsage", row.eku or "serverAuth") end
  end
  line("subjectAltName", row.san)
  lines[#lines + 1] = row.more
  return table.concat(lines, "\n") .. "\n"
end

-- The last byte of the signature is another.
local function damage(path)
  local base64 <const> = read_file(path):match "%-%-\n(.-)%-%-%-%-%-END"
  local command <const> = ("openssl base64 -d | perl -e 'undef $/; $_ = <>; " ..
    "substr($_, -1) ^= chr(1); print' | openssl x509 -inform DER -out %s"):format(path)
  local pipe <close> = assert(io.popen(command, "w"))
  assert(pipe:write(base64))
end

local made <const> = {} -- name -> what get returns
local serials = 4096

local function sign(name, row, issuer)
  local own <const> = row.ca or row.own
  local kind <const> = row.key or "ec"
  local key, request = key_of(own and name or "leaf " .. kind, kind)
  local cert <const> = path_of(name, ".crt")
  serials = serials + 1
  write_file(directory .. "/index", "")
  write_file(directory .. "/serial", ("%X\n"):format(serials))
  write_file(path_of(name, ".ext"), extensions(row))
  openssl("ca -batch -notext -config %s/config %s -in %s -out %s -subj %s -startdate %s -enddate %s -extfile %s -md %s",
    directory, issuer and ("-cert %s -keyfile %s"):format(issuer.leaf, issuer.key)
    or ("-selfsign -keyfile " .. key), request, cert,
    helper.quote("/CN=" .. (row.cn or "The " .. name:gsub("^%l", string.upper))),
    stamp(row.from or -1), stamp(row.till or 30), path_of(name, ".ext"), row.digest or "sha256")
  if row.damaged then damage(cert) end
  return cert, key, serials
end

--- The certificate of this name: { leaf =, key = } are paths of PEM files;
-- chain: of one with what a server sends beside; pem, keypem: the text of
-- chain and key; cn: its subject's common name; serial: an integer.
function M.get(name)
  if made[name] then return made[name] end
  M.need()
  open_laboratory()
  local row <const> = assert(rows[name], name)
  if row.issuer == nil then row.issuer = "middle" end
  local issuer <const> = row.issuer and M.get(row.issuer)
  local cert <const> = { name = name, cn = row.cn or "The " .. name:gsub("^%l", string.upper) }
  cert.leaf, cert.key, cert.serial = sign(name, row, issuer)
  cert.keypem = read_file(cert.key)
  local parts <const> = { read_file(cert.leaf) }
  if row.serves then
    for _, beside in ipairs(row.serves) do parts[#parts + 1] = read_file(M.get(beside).leaf) end
  elseif issuer and row.issuer ~= "root" and row.issuer ~= "rogue" then
    parts[#parts + 1] = issuer.pem
  end
  cert.pem = table.concat(parts)
  cert.chain = path_of(name, ".chain")
  write_file(cert.chain, cert.pem)
  made[name] = cert
  return cert
end

--- The path of the root's certificate, or of another's.
function M.ca(name) return M.get(name or "root").leaf end

--- Its text.
function M.capem(name) return read_file(M.ca(name)) end

--- A file with the lists of revocations of root and intermediate; `revoked`:
-- names of certificates. days: until the next update. of: only these issuers.
function M.crl(revoked, days, of)
  open_laboratory()
  local lists <const> = {}
  for _, name in ipairs(of or { "middle", "root" }) do
    local issuer <const> = M.get(name)
    local index <const> = {}
    for _, gone in ipairs(revoked or {}) do
      local cert <const> = M.get(gone)
      if rows[gone].issuer == name then
        index[#index + 1] = ("R\t%s\t%s\t%X\tunknown\t/CN=%s\n"):format(stamp(30):sub(3), stamp(-1):sub(3),
          cert.serial, cert.cn)
      end
    end
    write_file(directory .. "/index", table.concat(index))
    local path <const> = path_of(name, ".crl")
    openssl("ca -gencrl -config %s/config -cert %s -keyfile %s -out %s %s", directory, issuer.leaf, issuer.key, path,
      days and days < 0 and ("-crl_lastupdate %s -crl_nextupdate %s"):format(stamp(days - 10), stamp(days))
      or "-crldays 10")
    lists[#lists + 1] = read_file(path)
  end
  local path <const> = ("%s/%d.crls"):format(directory, serials)
  serials = serials + 1
  write_file(path, table.concat(lists))
  return path
end

-- ---- OCSP responses ----

local function der(tag, ...)
  local content <const> = table.concat { ... }
  if #content < 128 then return string.pack("Bs1", tag, content) end
  if #content < 256 then return string.pack("BBs1", tag, 0x81, content) end
  return string.pack(">BBs2", tag, 0x82, content)
end
local SEQUENCE <const>, OCTETS <const>, TIME <const> = 0x30, 4, 24

local OIDS <const> = {
  sha1 = "\x2b\x0e\x03\x02\x1a", basic = "\x2b\x06\x01\x05\x05\x07\x30\x01\x01",
  ["ecdsa sha1"] = "\x2a\x86\x48\xce\x3d\x04\x01", ["ecdsa sha256"] = "\x2a\x86\x48\xce\x3d\x04\x03\x02",
}
local function oid(name) return der(6, OIDS[name]) end

-- What identifies an issuer: SHA-1 of its name, and of its key.
local hashes <const> = {}
local function hashes_of(name)
  if not hashes[name] then
    local out <const> = openssl("x509 -noout -ocspid -in %s", M.get(name).leaf)
    local subject <const>, key <const> = out:match "Subject OCSP hash: (%x+)%s+Public key OCSP hash: (%x+)"
    local function bytes(hex) return (hex:gsub("%x%x", function(b) return string.char(tonumber(b, 16)) end)) end
    hashes[name] = { bytes(subject), bytes(key) }
  end
  return table.unpack(hashes[name])
end

local STATUS <const> = {
  good = der(0x80), unknown = der(0x82), revoked = der(0xa1, der(TIME, stamp(-1))),
}

-- Of one certificate.
local function single(name, o)
  local subject <const>, key <const> = hashes_of(o.issuer or rows[name].issuer or name)
  return der(SEQUENCE,
    der(SEQUENCE, der(SEQUENCE, oid "sha1", der(5)), der(OCTETS, subject), der(OCTETS, key),
      der(2, string.pack(">I2", M.get(name).serial))),
    STATUS[o.status or "good"], der(TIME, stamp(o.from or -1)),
    o.till ~= false and der(0xa0, der(TIME, stamp(o.till or 1))) or "")
end

-- The signature of a text, by a certificate's key.
local function signature(text, by, digest)
  local path <const> = path_of("ocsp", ".tbs")
  write_file(path, text)
  local pipe <close> = assert(io.popen(("openssl dgst -%s -sign %s %s"):format(digest, M.get(by).key, path)))
  return pipe:read "a"
end

local function der_of(name)
  local pipe <close> = assert(io.popen(("openssl x509 -in %s -outform DER"):format(M.get(name).leaf)))
  return pipe:read "a"
end

--- An OCSP response, in DER, for a certificate: good for a day unless said.
-- status: "good", "revoked", "unknown"; from, till: days from now, till may be
-- false; signer: the issuer unless said; issuer: another than the true one;
-- digest: of the signature; of: a list of names in place of this one;
-- damaged: the signature is.
function M.ocsp(name, o)
  M.need()
  o = o or {}
  local digest <const>, all = o.digest or "sha256", {}
  local signer <const> = o.signer or M.get(name) and rows[name].issuer or name
  for i, each in ipairs(o.of or { name }) do all[i] = M.get(each) and single(each, o) end
  local _, key <const> = hashes_of(signer)
  local tbs <const> = der(SEQUENCE, der(0xa2, der(OCTETS, key)), der(TIME, stamp(o.from or -1)),
    der(SEQUENCE, table.concat(all)))
  local signed = signature(tbs, signer, digest)
  if o.damaged then signed = signed:sub(1, -2) .. string.char(signed:byte(-1) ~ 1) end
  return der(SEQUENCE, der(10, "\0"), der(0xa0, der(SEQUENCE, oid "basic", der(OCTETS, der(SEQUENCE, tbs,
    der(SEQUENCE, oid("ecdsa " .. digest)), der(3, "\0", signed), der(0xa0, der(SEQUENCE, der_of(signer))))))))
end

--- The answer of a responder that says an error (3: try later).
function M.ocsp_error(number) return der(SEQUENCE, der(10, string.char(number))) end

--- A copy of a key's file, encrypted.
function M.encrypted(name, passphrase)
  local path <const> = path_of(name, ".encrypted")
  openssl("pkey -in %s -aes256 -passout %s -out %s", M.get(name).key, helper.quote("pass:" .. passphrase), path)
  return path
end

--- A directory of CAs by their hashes, as OpenSSL looks them up.
function M.ca_directory(...)
  local path <const> = path_of("cas" .. table.concat({ ... }), "")
  os.execute("mkdir -p " .. path)
  for _, name in ipairs { ... } do
    local hash <const> = openssl("x509 -noout -hash -in %s", M.ca(name)):match "%x+"
    write_file(("%s/%s.0"):format(path, hash), M.capem(name))
  end
  return path
end

--- The pin of a certificate's key: the SHA-256 of its SPKI, 32 bytes.
function M.pin(name)
  local hex <const> = openssl("pkey -in %s -pubout -outform DER | openssl dgst -sha256 -r", M.get(name).key):match "%x+"
  return (hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end))
end

--- Skips unless there is an openssl command.
function M.need() helper.need_program "openssl" end

--- Every name.
function M.names()
  local names <const> = {}
  for name in pairs(rows) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return M
