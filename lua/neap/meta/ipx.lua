---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.ipx"`. The manual is
-- docs/ipx.md. Nothing loads this file.

---@class neap.ipx.carrier_options
---@field network? integer the number of this network: 0
---@field mtu? integer the longest packet, its header included: 576
---@field rcvbuf? integer
---@field sndbuf? integer

---@class neap.ipx.udp_options: neap.ipx.carrier_options
---@field bind string an IPv4 address of this machine
---@field port? integer of all: 213
---@field peers? string[] whom a broadcast is sent to
---@field broadcast? string or what it is sent to: the subnet's
---@field router? string whom packets for other networks are sent to

---@class neap.ipx.ethernet_options: neap.ipx.carrier_options
---@field framing? "ethernet2"|"802.3"|"802.2"|"snap" "ethernet2"
---@field router? string the node that packets for other networks are given to

---@class neap.ipx.ipxnet_options: neap.ipx.carrier_options
---@field timeout? number seconds for the registration: 5
---@field keepalive? number seconds of silence until it is registered again: 30
---@field bind? string come from this IPv4 address

---@class neap.ipx.server_options: neap.ipx.carrier_options
---@field max_clients? integer 64
---@field idle? number seconds of silence until one is forgotten: 300

---@class neap.ipx.options
---@field carrier neap.ipx.carrier|neap.ipx.server|string "ethernet:eth0", "udp:10.0.0.1", "ipxnet:host:port"...
---@field socket? integer its number; any that is free
---@field type? integer of the packets that are sent: 4
---@field checksum? boolean packets are sent with one
---@field broadcast? boolean it may send to ipx.BROADCAST
---@field network? integer the carrier's
---@field node? string the carrier's
---@field mtu? integer of a carrier of its own
---@field timeout? number seconds for each call
---@field maxmessage? integer
---@field maxqueue? integer bytes that wait to be received: 1 MiB

---@class neap.ipx.services_options
---@field carrier neap.ipx.carrier|neap.ipx.server
---@field services? { name: string, type: integer, socket: integer }[]
---@field networks? integer[] the carrier's
---@field interval? number seconds until all is said again: 60; 0: never

---@class neap.ipx.find_options
---@field carrier neap.ipx.carrier|neap.ipx.server
---@field type? integer all, if absent
---@field nearest? boolean the first answer is all of it
---@field timeout? number seconds: 1

---@class neap.ipx.info
---@field network integer
---@field node string
---@field socket integer
---@field type integer
---@field hops? integer
---@field local_network? integer whom it was for
---@field local_node? string
---@field local_socket? integer
---@field length? integer
---@field truncated? boolean
---@field drops? integer

---@class neap.ipx.target where all of the first three are absent, the peer
---@field network? integer
---@field node? string
---@field socket? integer
---@field type? integer

---@class neap.ipx.found
---@field name string
---@field type integer
---@field network integer
---@field node string
---@field socket integer
---@field hops integer

---What brings packets from node to node.
---@class neap.ipx.carrier
local carrier = {}

---@return integer? network
---@return string node_or_message
---@return neap.code? code
function carrier:getaddress() end

---The longest packet, its header included.
---@return integer
function carrier:mtu() end

---@return "udp"|"ipxnet"|"server"|"ethernet2"|"802.3"|"802.2"|"snap"
function carrier:kind() end

---What came, what went, and what was given to nobody.
---@return table<string, integer|boolean>
function carrier:statistics() end

---@return string? ip_or_interface
---@return integer|string|nil port_or_message
---@return neap.code? code
function carrier:getsockname() end

---@return integer? fd
---@return string? message
---@return neap.code? code
function carrier:fileno() end

---@param name string
---@param value any
---@return neap.ipx.carrier?
---@return string? message
---@return neap.code? code
function carrier:setsockopt(name, value) end

---@param name string
---@return any value
---@return string? message
---@return neap.code? code
function carrier:getsockopt(name) end

---@return boolean
function carrier:isopen() end

---With all its sockets.
---@return true
function carrier:close() end

---A message socket whose address is a network, a node and a socket.
---@class neap.ipx.socket: neap.message
local socket = {}

---@param data string
---@param network integer
---@param node string
---@param number integer
---@return neap.ipx.socket?
---@return string? message
---@return neap.code? code
function socket:sendto(data, network, node, number) end

---@param data string
---@param info neap.ipx.target
---@return neap.ipx.socket?
---@return string? message
---@return neap.code? code
function socket:sendmsg(data, info) end

---As sendmsg, but it never waits.
---@param data string
---@param info neap.ipx.target
---@return true?
---@return string? message
---@return neap.code? code EAGAIN: there is no room now
function socket:put(data, info) end

---@param max? integer
---@return string? data
---@return integer|string network_or_message
---@return string node_or_code
---@return integer socket_or_length
function socket:receive(max) end

---@param max? integer
---@return string? data
---@return neap.ipx.info|string info_or_message
---@return neap.code? code
function socket:receivemsg(max) end

---As receivemsg, but it never waits: nothing, if nothing is there.
---@return string? data
---@return neap.ipx.info|string|nil info_or_message
---@return neap.code? code
function socket:take() end

---To one peer, and from no other; without arguments: free again.
---@param network? integer
---@param node? string
---@param number? integer
---@return neap.ipx.socket?
---@return string? message
---@return neap.code? code
function socket:connect(network, node, number) end

---The longest message.
---@return integer?
---@return string? message
---@return neap.code? code
function socket:mtu() end

---@return neap.ipx.carrier?
---@return string? message
---@return neap.code? code
function socket:getcarrier() end

---@return { drops: integer, queued: integer }?
---@return string? message
---@return neap.code? code
function socket:statistics() end

---What DOSBoxes meet at.
---@class neap.ipx.server
local server = {}

---@return { ip: string, port: integer, node: string, packets: integer, idle: number }[]
function server:clients() end

---@return table<string, integer>
function server:statistics() end

---Until it is stopped.
---@param timeout? number seconds
---@return true?
---@return string? message
---@return neap.code? code
function server:wait(timeout) end

---@return true
function server:stop() end

---@return true
function server:close() end

---@return boolean
function server:isopen() end

---@return string? ip
---@return integer|string port_or_message
---@return neap.code? code
function server:getsockname() end

---@return integer? fd
---@return string? message
---@return neap.code? code
function server:fileno() end

---@class neap.ipx.services
local services = {}

---Says that they are gone, and ends.
---@return true
function services:stop() end

---@return true
function services:close() end

---@return boolean
function services:isopen() end

---@return { questions: integer }
function services:statistics() end

---@class neap.ipx
---@field BROADCAST string "ff:ff:ff:ff:ff:ff"
local ipx = {}

---A socket on a carrier.
---@param options neap.ipx.options
---@return neap.ipx.socket?
---@return string? message
---@return neap.code? code
function ipx.open(options) end

---A carrier in UDP (RFC 1234).
---@param options neap.ipx.udp_options
---@return neap.ipx.carrier?
---@return string? message
---@return neap.code? code
function ipx.udp(options) end

---A carrier in frames of an interface.
---@param interface string|integer
---@param options? neap.ipx.ethernet_options
---@return neap.ipx.carrier?
---@return string? message
---@return neap.code? code
function ipx.ethernet(interface, options) end

---A carrier through a DOSBox that serves, or ipx.server.
---@param host string
---@param port integer|string
---@param options? neap.ipx.ipxnet_options
---@return neap.ipx.carrier?
---@return string? message
---@return neap.code? code
function ipx.ipxnet(host, port, options) end

---What DOSBoxes meet at.
---@param host string? nil or "*": all addresses
---@param port integer|string
---@param options? neap.ipx.server_options
---@return neap.ipx.server?
---@return string? message
---@return neap.code? code
function ipx.server(host, port, options) end

---The node of an IPv4 address: RFC 1234's, or with a port DOSBox's.
---@param ip string
---@param port? integer
---@return string node
function ipx.node(ip, port) end

---Tells of services, and answers who asks (SAP, RIP).
---@param options neap.ipx.services_options
---@return neap.ipx.services?
---@return string? message
---@return neap.code? code
function ipx.services(options) end

---Asks who offers services.
---@param options neap.ipx.find_options
---@return neap.ipx.found[]?
---@return string? message
---@return neap.code? code
function ipx.find(options) end

return ipx
