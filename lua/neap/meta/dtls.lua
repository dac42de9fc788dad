---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.dtls"`. The manual is
-- docs/dtls.md. Nothing loads this file.

---@class neap.dtls.options: neap.ip_options, neap.tls.context_options
---@field context? neap.tls.context one of dtls.context
---@field v6only? boolean of an IPv6 socket: not IPv4, too
---@field handshake_timeout? number seconds: 60, of a server 10
---@field retransmit? number seconds until what got no answer is sent again: 1
---@field mtu? integer the longest datagram: 1400
---@field maxqueue? integer bytes that wait to be received: 262144

---@class neap.dtls.connect_options: neap.dtls.options
---@field servername? string whom the certificate is to be for: the host
---@field bind? string come from "ip", "ip:port" or "[ip]:port"

---@class neap.dtls.listen_options: neap.dtls.options
---@field backlog? integer clients that nobody has accepted yet: 128
---@field max_handshakes? integer 128
---@field max_peers? integer 4096
---@field fd? neap.descriptor a UDP socket that was inherited

---@class neap.dtls.info: neap.tls.info
---@field most integer the longest message

---A message socket with one peer.
---@class neap.dtls.socket: neap.message
local socket = {}

---What was agreed on.
---@return neap.dtls.info?
---@return string? message
---@return neap.code? code
function socket:tlsinfo() end

---What found no room here, and what waits.
---@return { drops: integer, queued: integer }?
---@return string? message
---@return neap.code? code
function socket:statistics() end

---@class neap.dtls.listener
local listener = {}

---Waits for a client whose handshake is done.
---@param timeout? number seconds
---@return neap.dtls.socket?
---@return string? message
---@return neap.code? code
function listener:accept(timeout) end

---Iterates over clients, until it is closed.
---@return fun(): neap.dtls.socket?
function listener:connections() end

---A task for each client, closed when the handler ends.
---@param handler fun(socket: neap.dtls.socket)
---@param options? { max_connections: integer?, on_error: fun(err: any, traceback: string, socket: neap.dtls.socket)? }
---@return true?
---@return string? message
---@return neap.code? code
function listener:serve(handler, options) end

---Ends listening, waits for the handlers, then cancels them.
---@param grace? number seconds, 5 if absent
---@return true
function listener:stop(grace) end

---No more clients; those that were accepted live on.
---@return true
function listener:close() end

---@return boolean
function listener:isopen() end

---@return integer count of handshakes that have failed
function listener:tlsfailures() end

---@return { peers: integer, handshakes: integer, hellos: integer, refused: integer, failed: integer }
function listener:statistics() end

---@return string? ip
---@return integer|string|nil port_or_message
---@return neap.code? code
function listener:getsockname() end

---@param name string
---@param value any
---@return neap.dtls.listener?
---@return string? message
---@return neap.code? code
function listener:setsockopt(name, value) end

---@param name string
---@return any value
---@return string? message
---@return neap.code? code
function listener:getsockopt(name) end

---@return integer? fd
---@return string? message
---@return neap.code? code
function listener:fileno() end

---@class neap.dtls
local dtls = {}

---Does the handshake with a server, whose certificate and name are verified.
---@param host string
---@param port integer|string
---@param options? neap.dtls.connect_options
---@return neap.dtls.socket?
---@return string? message
---@return neap.code? code X509_V_ERR_..., ETLS, or as udp.connect
function dtls.connect(host, port, options) end

---Listens for clients, many on one UDP socket.
---@param host string?
---@param port integer|string
---@param options neap.dtls.listen_options
---@return neap.dtls.listener?
---@return string? message
---@return neap.code? code
function dtls.listen(host, port, options) end

---What many associations share.
---@param options? neap.tls.context_options
---@return neap.tls.context?
---@return string? message
---@return neap.code? code
function dtls.context(options) end

---Whether it is a context for DTLS.
---@param value any
---@return boolean
function dtls.iscontext(value) end
