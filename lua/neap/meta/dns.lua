---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.dns"`. The manual is
-- docs/dns.md. Nothing loads this file.
-- SPDX-License-Identifier: MIT

---@class neap.dns.question
---@field name string
---@field type string
---@field class string

---A record; beside these fields it has those of its type: docs/dns.md.
---@class neap.dns.record
---@field name? string
---@field type string|integer
---@field class? string|integer
---@field ttl? integer seconds
---@field [string] any

---Records of one type, and how they were found.
---@class neap.dns.records
---@field [integer] neap.dns.record
---@field canonname string the name at the end of the aliases
---@field aliases neap.dns.record[] CNAME records
---@field signatures neap.dns.record[] RRSIG records
---@field authenticated boolean what the server says
---@field cached boolean
---@field server? string

---@class neap.dns.edns
---@field udp_size? integer
---@field version? integer
---@field dnssec? boolean
---@field options? { code: integer, data: string }[]

---@class neap.dns.message
---@field id? integer
---@field qr? boolean an answer
---@field aa? boolean authoritative
---@field tc? boolean truncated
---@field rd? boolean recursion desired
---@field ra? boolean recursion available
---@field ad? boolean authenticated
---@field cd? boolean checking disabled
---@field opcode? string|integer
---@field rcode? string|integer
---@field question? neap.dns.question[]
---@field answer? neap.dns.record[]
---@field authority? neap.dns.record[]
---@field additional? neap.dns.record[]
---@field edns? neap.dns.edns

---@class neap.dns.query_options
---@field servers? string[] "ip", "ip:port", "tcp://ip", "tls://ip#name"
---@field timeout? number seconds for all of it
---@field try_timeout? number seconds for each try
---@field tries? integer
---@field search? boolean|string[] domains that the name may be short in
---@field ndots? integer
---@field tcp? boolean
---@field edns? boolean
---@field udp_size? integer
---@field dnssec? boolean
---@field checking_disabled? boolean
---@field recursion? boolean
---@field random_case? boolean
---@field class? string|integer
---@field cache? boolean

---@class neap.dns.resolver_options: neap.dns.query_options
---@field cache? boolean|integer bytes
---@field max_ttl? integer seconds
---@field rotate? boolean
---@field tls? table options of tls.context, or what it makes
---@field resolv_conf? string a path
---@field idle_timeout? number seconds that connections are kept

---@class neap.dns.server_options
---@field host? string "127.0.0.1" unless given
---@field port? integer 0, any that is free, unless given
---@field tls? table options of tls.listen
---@field timeout? number seconds that a connection may be idle, 10 unless given
---@field on_error? fun(err: any, traceback: string)

---@class neap.dns.peer
---@field ip string
---@field port integer
---@field transport "udp"|"tcp"|"tls"

---What a handler returns: records, a message, bytes; false: nothing is sent;
---nil: REFUSED.
---@alias neap.dns.handler fun(question: neap.dns.question, query: neap.dns.message, peer: neap.dns.peer):
--- neap.dns.record[]|neap.dns.message|string|boolean|nil

---@class neap.dns
local dns = {}

---The records of a name, of one type ("A" unless given).
---@param name string
---@param type? string|integer
---@param options? neap.dns.query_options
---@return neap.dns.records?
---@return string? message
---@return neap.code? code
function dns.query(name, type, options) end

---The PTR records of an address.
---@param ip string
---@param options? neap.dns.query_options
---@return neap.dns.records?
---@return string? message
---@return neap.code? code
function dns.reverse(ip, options) end

---The whole message that a server answers.
---@param name string
---@param type? string|integer
---@param options? neap.dns.query_options
---@return neap.dns.message?
---@return string? server or a message
---@return integer|neap.code|nil bytes
function dns.exchange(name, type, options) end

---Whom to ask, and how, once for many queries.
---@param options? neap.dns.resolver_options
---@return neap.resolver?
---@return string? message
---@return neap.code? code
function dns.resolver(options) end

---The bytes of a message.
---@param message neap.dns.message
---@return string?
---@return string? message
---@return neap.code? code
function dns.encode(message) end

---The message of bytes.
---@param bytes string
---@return neap.dns.message?
---@return string? message
---@return neap.code? code
function dns.decode(bytes) end

---A server, whose answers are the handler's.
---@param handler neap.dns.handler
---@param options? neap.dns.server_options
---@return neap.nameserver?
---@return string? message
---@return neap.code? code
function dns.server(handler, options) end

---@class neap.resolver
local resolver = {}

---As dns.query.
---@param name string
---@param type? string|integer
---@param options? neap.dns.query_options
---@return neap.dns.records?
---@return string? message
---@return neap.code? code
function resolver:query(name, type, options) end

---As dns.reverse.
---@param ip string
---@param options? neap.dns.query_options
---@return neap.dns.records?
---@return string? message
---@return neap.code? code
function resolver:reverse(ip, options) end

---As dns.exchange.
---@param name string
---@param type? string|integer
---@param options? neap.dns.query_options
---@return neap.dns.message?
---@return string? server or a message
---@return integer|neap.code|nil bytes
function resolver:exchange(name, type, options) end

---Forgets all answers.
---@return neap.resolver
function resolver:flush() end

---@class neap.nameserver
local nameserver = {}

---Answers until it is closed.
---@return boolean? true
---@return string? message
---@return neap.code? code
function nameserver:serve() end

---Its ip and port.
---@return string? ip
---@return integer|string|nil port
function nameserver:getsockname() end

---Ends serving.
---@return true
function nameserver:close() end
