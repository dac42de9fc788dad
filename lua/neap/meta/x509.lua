---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.x509"`. The manual is
-- docs/x509.md. Nothing loads this file.

---An entry of a subject: type is "CN", "O"..., or an OID.
---@class neap.x509.entry
---@field type string
---@field value string
---@field joined? boolean to the entry before it

---@class neap.x509.name
---@field type "dns"|"ip"|"email"|"uri"|"dir"|"rid"|"other"|"x400"|"edi"
---@field value? string
---@field bytes? string to be made: what is not checked
---@field oid? string of the type "other"

---@class neap.x509.key_details
---@field type string "ec", "rsa", "rsa-pss", "ed25519", "ed448"...
---@field bits? integer
---@field curve? string "P-256"

---@class neap.x509.extension
---@field name? string
---@field oid? string
---@field critical? boolean
---@field value? string DER
---@field text? string

---@class neap.x509.key_options
---@field type? "ec"|"rsa"|"rsa-pss"|"ed25519"|"ed448" "ec" unless given
---@field bits? integer
---@field curve? string

---@class neap.x509.request_options
---@field subject? string|table<string, string>|neap.x509.entry[]
---@field names? (string|neap.x509.name)[]
---@field key? neap.key
---@field ca? boolean
---@field pathlen? integer
---@field purposes? string|string[]|false
---@field keyusage? string|string[]|false
---@field must_staple? boolean
---@field crl? string|string[]
---@field ocsp? string|string[]
---@field caissuers? string|string[]
---@field digest? string "sha256" unless given
---@field extensions? neap.x509.extension[]

---@class neap.x509.make_options: neap.x509.request_options
---@field request? neap.csr
---@field issuer? neap.certificate
---@field issuerkey? neap.key
---@field days? number 30 unless given
---@field notbefore? integer
---@field notafter? integer
---@field serial? string|integer
---@field version? integer

---@class neap.x509.revoked
---@field serial string|integer|neap.certificate
---@field time? integer
---@field reason? string

---@class neap.x509.crl_options
---@field issuer neap.certificate
---@field issuerkey neap.key
---@field revoked? (string|integer|neap.certificate|neap.x509.revoked)[]
---@field number? integer
---@field days? number
---@field notbefore? integer
---@field notafter? integer
---@field digest? string
---@field extensions? neap.x509.extension[]

---@class neap.x509
local x509 = {}

---The first certificate of a text, PEM or DER.
---@param text string
---@return neap.certificate?
---@return string? message
---@return neap.code? code
function x509.load(text) end

---All certificates of a text.
---@param text string
---@return neap.certificate[]?
---@return string? message
---@return neap.code? code
function x509.loadall(text) end

---A private key. The function is called if a passphrase is needed; it may wait.
---@param text string
---@param passphrase? string|fun(): string?
---@return neap.key?
---@return string? message
---@return neap.code? code
function x509.loadkey(text, passphrase) end

---A request for a certificate.
---@param text string
---@return neap.csr?
---@return string? message
---@return neap.code? code
function x509.loadrequest(text) end

---A new key.
---@param options? neap.x509.key_options
---@return neap.key?
---@return string? message
---@return neap.code? code
function x509.key(options) end

---A new certificate; without an issuer it signs itself.
---@param options neap.x509.make_options
---@return neap.certificate?
---@return string? message
---@return neap.code? code
function x509.make(options) end

---A new request.
---@param options neap.x509.request_options
---@return neap.csr?
---@return string? message
---@return neap.code? code
function x509.request(options) end

---A list of what an issuer revoked, as PEM.
---@param options neap.x509.crl_options
---@return string?
---@return string? message
---@return neap.code? code
function x509.crl(options) end

---@class neap.certificate: userdata
local certificate = {}

---Whose it is: RFC 4514's text, and a list in the order of the certificate.
---@return string
---@return neap.x509.entry[]
function certificate:subject() end

---Who signed it.
---@return string
---@return neap.x509.entry[]
function certificate:issuer() end

---Its alternative names.
---@return neap.x509.name[]?
---@return string? message
---@return neap.code? code
function certificate:names() end

---Whether it is for a host or an IP address (RFC 9525).
---@param host string
---@return boolean
function certificate:matches(host) end

---From and until when, in seconds of Unix.
---@return integer?
---@return integer|string notafter or message
---@return neap.code? code
function certificate:validity() end

---@return string hex
function certificate:serial() end

---@param digest? string "sha256" unless given
---@return string hex
function certificate:fingerprint(digest) end

---@return string base64 of the SHA-256 of its public key
function certificate:pin() end

---@return neap.x509.key_details
function certificate:key() end

---@param key neap.key
---@return boolean
function certificate:haskey(key) end

---@return string algorithm
function certificate:signature() end

---@return boolean
---@return integer? pathlen
function certificate:isca() end

---@return string[]? nil: any
---@return string? message
---@return neap.code? code
function certificate:purposes() end

---@return string[]? nil: any
---@return string? message
---@return neap.code? code
function certificate:keyusage() end

---@return neap.x509.extension[]
function certificate:extensions() end

---Whether it issued the other one.
---@param other neap.certificate
---@return boolean
---@return string? why not
function certificate:issued(other) end

---Whether it is signed with the key, or with that of a certificate.
---@param by neap.key|neap.certificate
---@return boolean
function certificate:verify_signature(by) end

---@return string
function certificate:pem() end

---@return string
function certificate:der() end

---@return string as `openssl x509 -text` has it
function certificate:text() end

---@class neap.key: userdata
local key = {}

---@return neap.x509.key_details
function key:details() end

---@param passphrase? string
---@return string
function key:pem(passphrase) end

---@return string
function key:publicpem() end

---@return string base64 of the SHA-256 of its public key
function key:pin() end

---@class neap.csr: userdata
local csr = {}

---@return string
---@return neap.x509.entry[]
function csr:subject() end

---@return neap.x509.name[]?
---@return string? message
---@return neap.code? code
function csr:names() end

---@return neap.x509.key_details
function csr:key() end

---@return boolean
function csr:verify_signature() end

---@return string
function csr:pem() end

---@return string
function csr:der() end
