---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.sctp"`. The manual is
-- docs/sctp.md. Nothing loads this file.

---@class neap.sctp.options: neap.stream_options
---@field engine? "kernel" | "user"
---@field carrier? "udp" | "raw" of the user engine: "udp"
---@field udp_port? integer ours, below SCTP: 9899 of who listens, any of who connects
---@field encap_port? integer the peer's, below SCTP: 9899
---@field maxmessage? integer the longest message that is put together: 1 MiB
---@field family? "inet" | "inet6" | "any" of a name's addresses
---@field rcvbuf? integer bytes
---@field sndbuf? integer bytes
---@field reuseaddr? boolean
---@field v6only? boolean
---@field init? { streams_out?: integer, streams_in?: integer, attempts?: integer, timeout?: number }
---@field rto? { initial?: number, min?: number, max?: number } seconds
---@field association? { maxrxt?: integer, cookie_life?: number }
---@field heartbeat? number | false seconds
---@field path_maxrxt? integer
---@field pmtu? integer | false bytes of a packet; false: found out
---@field nodelay? boolean true
---@field maxseg? integer
---@field sack? { delay?: number, frequency?: integer }
---@field default_send? { stream?: integer, ppid?: integer, context?: integer, unordered?: boolean }
---@field events? string[] notifications to receive
---@field partial_delivery_point? integer
---@field auth? boolean RFC 4895
---@field auth_chunks? integer[]
---@field hmac? ("sha1" | "sha256")[]
---@field auth_key? { number?: integer, secret?: string }
---@field auth_active_key? integer
---@field adaptation? integer
---@field pr_supported? boolean
---@field reconfig_supported? boolean
---@field asconf_supported? boolean
---@field ecn_supported? boolean
---@field scheduler? "fcfs" | "priority" | "round_robin"

---@class neap.sctp.connect_options: neap.sctp.options
---@field bind? string | string[] come from "ip" or "ip:port"

---@class neap.sctp.listen_options: neap.sctp.options
---@field backlog? integer
---@field reuseport? boolean

---@class neap.sctp.send_info what goes with a message
---@field stream? integer
---@field ppid? integer
---@field unordered? boolean
---@field lifetime? number seconds
---@field retransmissions? integer
---@field priority? integer
---@field context? integer
---@field key? integer
---@field immediate? boolean
---@field eof? boolean
---@field eor? boolean

---@class neap.sctp.received
---@field association integer
---@field stream integer
---@field ssn? integer
---@field ppid? integer
---@field tsn? integer
---@field cumtsn? integer
---@field unordered? boolean
---@field notification? table { type =, association =, ... }

---@class neap.sctp.path
---@field ip string
---@field port integer
---@field state string
---@field cwnd integer
---@field srtt number
---@field rto number
---@field mtu integer

---@class neap.sctp.info
---@field engine "kernel" | "user"
---@field state string
---@field association integer
---@field streams_in integer
---@field streams_out integer
---@field rwnd integer
---@field unacked integer
---@field pending integer
---@field fragmentation_point integer
---@field primary neap.sctp.path
---@field peers { ip: string, port: integer }[]
---@field locals { ip: string, port: integer }[]

---@class neap.stream
local stream = {}

---Sends one message, where messages keep their borders (SCTP, SPX).
---@param data string
---@param info? neap.sctp.send_info
---@return neap.stream?
---@return string? message
---@return neap.code? code
---@return integer? taken bytes of it, after a failure
function stream:send(data, info) end

---The next message; "" with info.notification for a notification.
---@return string?
---@return neap.sctp.received | string
---@return neap.code? code
function stream:receivemsg() end

---What is known of the association.
---@return neap.sctp.info?
---@return string? message
---@return neap.code? code
function stream:sctpinfo() end

---One of the options, as it is now.
---@param name string
---@return any value
---@return string? message
---@return neap.code? code
function stream:sctpget(name) end

---Sets one of them, or does it.
---@param name string
---@param value any
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:sctpset(name, value) end

---The sequence numbers of streams begin anew.
---@param which? { outgoing?: boolean, incoming?: boolean, streams?: integer[] }
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:resetstreams(which) end

---More streams, while the association goes on.
---@param how_many { outgoing?: integer, incoming?: integer }
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:addstreams(how_many) end

---Which address of the peer is sent to.
---@param ip string
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:setprimary(ip) end

---Ends the association at once.
---@param reason? string
---@return true?
---@return string? message
---@return neap.code? code
function stream:abort(reason) end

---@class neap.sctp
local M = {}

---The engine that is used where nothing is said.
---@return "kernel" | "user" | nil
---@return string? message
---@return neap.code? code
function M.engine() end

---Each engine's name and true, or what is missing.
---@return table<string, true | string>
function M.engines() end

---Connects to one of a name's addresses, or to a peer with several.
---@param host string | string[]
---@param port integer | string
---@param options? neap.sctp.connect_options
---@return neap.stream?
---@return string? message
---@return neap.code? code
function M.connect(host, port, options) end

---Listens.
---@param host? string | string[] "*" or nil: all addresses
---@param port integer | string
---@param options? neap.sctp.listen_options
---@return neap.listener?
---@return string? message
---@return neap.code? code
function M.listen(host, port, options) end

---Two streams that are connected over loopback.
---@param options? neap.sctp.options
---@return neap.stream?
---@return neap.stream | string
---@return neap.code? code
function M.pair(options) end

---One of a message socket's associations.
---@class neap.sctp.association
---@field id integer
---@field ip? string
---@field port? integer
---@field state "connecting" | "established" | "closed"

---A message socket with many peers.
---@class neap.sctp.socket: neap.message

---A message socket with many peers.
---@param host? string | string[]
---@param port? integer | string
---@param options? neap.sctp.listen_options
---@return neap.sctp.socket?
---@return string? message
---@return neap.code? code
function M.open(host, port, options) end
