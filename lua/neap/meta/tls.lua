---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.tls"`. The manual is
-- docs/tls.md. Nothing loads this file.

---@class neap.tls.context
---What many connections share; tls.context makes it.

---@class neap.tls.context_options
---@field cert? string|userdata|(string|userdata)[] PEM text or a path: the certificate, then its chain; or neap.x509's
---@field key? string|userdata|(string|userdata)[] PEM text or a path; or neap.x509's
---@field pkcs12? string|string[] a path or bytes: certificate, key and chain
---@field passphrase? string|fun(number: integer, path: string?): string?, string?, string?
---@field ca? string PEM text, a file or a directory; the system's list if absent
---@field ca_only? boolean false: the system's list, too
---@field crl? string|string[]
---@field tickets? boolean false: nothing is resumed
---@field ticket_secret? string|string[] 32 bytes or more; the first makes tickets, all open them
---@field ticket_lifetime? integer seconds, 43200 if absent
---@field psk? neap.tls.psk|table<string, string>|fun(identity: string): string?
---@field psk_hint? string servers of TLS 1.2
---@field keylog? boolean|string|fun(line: string) true: what SSLKEYLOGFILE names
---@field ocsp? boolean|"require"|string|(fun(): string?)|(string|fun(): string?)[]
---@field pins? string[] SHA-256 digests of public keys, 32 bytes each
---@field depth? integer
---@field min_version? "1.2"|"1.3"
---@field max_version? "1.2"|"1.3"
---@field ciphers? string
---@field ciphersuites? string
---@field groups? string
---@field alpn? string[]
---@field client_certificates? "request"|"require"
---@field sni? table<string, neap.tls.context>|fun(name: string?, conn: neap.stream): neap.tls.context|false|nil
---@field max_early_data? integer servers: bytes; none if absent
---@field ktls? boolean the kernel may encrypt
---@field insecure_no_verify? boolean
---@field insecure_no_verify_name? boolean

---@class neap.tls.psk a client's key in place of certificates
---@field identity string
---@field key string

---@class neap.tls.starttls_options: neap.tls.context_options
---@field context? neap.tls.context
---@field server? boolean
---@field servername? string
---@field timeout? number
---@field early_data? string clients: may come twice

---@class neap.tls.connect_options: neap.tls.starttls_options, neap.tcp.connect_options

---@class neap.tls.listen_options: neap.tls.context_options, neap.tcp.listen_options
---@field context? neap.tls.context
---@field handshake_timeout? number seconds, 10 if absent

---@class neap.tls.reload_options: neap.tls.context_options
---@field context? neap.tls.context

---@class neap.tls.info
---@field version string "TLSv1.3"
---@field cipher string
---@field group? string
---@field alpn? string
---@field servername? string
---@field resumed boolean
---@field psk_identity? string
---@field ocsp? "good" what a stapled response says
---@field early_data? "accepted"|"rejected"
---@field ktls? "both"|"send"|"receive"|"none" where it was asked for
---@field peer string[] certificates as DER, the peer's own first

---@class neap.tls
local tls = {}

---Connects, with the host's certificate and name verified.
---@param host string
---@param port integer|string
---@param options? neap.tls.connect_options
---@return neap.stream?
---@return string? message
---@return neap.code? code X509_V_ERR_..., ETLS, or as tcp.connect
function tls.connect(host, port, options) end

---Listens for encrypted connections.
---@param host string?
---@param port integer|string
---@param options neap.tls.listen_options
---@return neap.listener?
---@return string? message
---@return neap.code? code
function tls.listen(host, port, options) end

---What many connections share.
---@param options? neap.tls.context_options
---@return neap.tls.context?
---@return string? message
---@return neap.code? code
function tls.context(options) end

---Whether it is a context.
---@param value any
---@return boolean
function tls.iscontext(value) end

---@class neap.stream
local stream = {}

---The same stream, encrypted from now on.
---@param options neap.tls.starttls_options
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:starttls(options) end

---What was agreed on.
---@return neap.tls.info?
---@return string? message
---@return neap.code? code
function stream:tlsinfo() end

---What the client sent before the handshake was over: it may come twice.
---@return string?
---@return string? message
---@return neap.code? code EINVAL: not encrypted
function stream:tlsearlydata() end

---Keying material of both ends (RFC 5705).
---@param label string
---@param length integer 1 to 4096 bytes
---@param context? string
---@return string?
---@return string? message
---@return neap.code? code
function stream:tlsexport(label, length, context) end

---What ties a login to this connection (RFC 5929, RFC 9266).
---@param kind? "tls-exporter"|"tls-server-end-point"|"tls-unique" tls-exporter if absent
---@return string?
---@return string? message
---@return neap.code? code ENOTSUP: the connection has none
function stream:tlsbinding(kind) end

---New keys for what is sent from now on (TLS 1.3's KeyUpdate).
---@param both? boolean and for what the peer sends
---@return neap.stream?
---@return string? message
---@return neap.code? code ENOTSUP: TLS 1.2, or the kernel has the keys
function stream:tlsrekey(both) end

---@class neap.listener
local listener = {}

---Connections begin from now on with what the files say now, and these options.
---@param options? neap.tls.reload_options
---@return neap.listener?
---@return string? message
---@return neap.code? code
function listener:reload(options) end

---How many handshakes have failed.
---@return integer
function listener:tlsfailures() end
