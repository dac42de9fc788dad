---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: message sockets. The manual is
-- docs/message.md. Nothing loads this file.

---Options of every call that makes a message socket.
---@class neap.message_options
---@field timeout? number seconds for each call that waits
---@field maxmessage? integer the longest that is received: 65536, of Unix 262144
---@field rcvbuf? integer bytes
---@field sndbuf? integer bytes
---@field timestamps? boolean|"software"|"hardware" receivemsg tells when it came

---Options of those that speak IP.
---@class neap.ip_options: neap.message_options
---@field family? "inet"|"inet6"|"any"
---@field interface? string|integer by this one only, in and out
---@field reuseaddr? boolean
---@field reuseport? boolean
---@field broadcast? boolean may send to all
---@field ttl? integer of what is sent, 0 to 255
---@field tos? integer of what is sent, 0 to 255
---@field errors? boolean keeps a queue of errors, for geterror
---@field mtu_discover? "do"|"dont"|"want"|"probe"|"interface"|"omit"
---@field filter? neap.filter.program
---@field drops? boolean receivemsg tells how many were dropped
---@field multicast_interface? string|integer by which groups are sent to
---@field multicast_ttl? integer how many routers a group's datagrams pass, 1
---@field multicast_loop? boolean a copy for members on this machine, true

---@alias neap.credentials { pid: integer, uid: integer, gid: integer }

---What goes with a message that is sent.
---@class neap.message.outgoing
---@field ip? string where to (udp, raw)
---@field port? integer where to (udp)
---@field path? string where to (unix)
---@field interface? string|integer by which (udp, raw), or where to (packet)
---@field mac? string where to (packet)
---@field protocol? integer (packet)
---@field local_ip? string the source (udp, raw)
---@field ttl? integer 0 to 255 (udp, raw)
---@field tos? integer 0 to 255 (udp, raw)
---@field ecn? integer the low bits of tos, 0 to 3 (udp, raw)
---@field segment? integer the data are cut into datagrams of so many bytes (udp)
---@field fds? neap.descriptor[] to be passed (unix, seqpacket)
---@field credentials? true|neap.credentials (unix, seqpacket)

---What came with a message. What is not known is absent.
---@class neap.message.info
---@field ip? string the sender (udp, raw)
---@field port? integer the sender (udp)
---@field path? string the sender (unix)
---@field mac? string the sender (packet)
---@field protocol? integer the Ethertype (packet)
---@field length integer how long it was
---@field truncated? true the data were cut
---@field local_ip? string ours, to answer from (udp, raw)
---@field destination? string what it was sent to, maybe a group (udp, raw)
---@field interface? string where it arrived (udp, raw, packet)
---@field ifindex? integer where it arrived (udp, raw, packet)
---@field ttl? integer (udp, raw)
---@field tos? integer (udp, raw)
---@field ecn? integer the low bits of tos (udp, raw)
---@field timestamp? integer nanoseconds since 1970
---@field hwtimestamp? integer by the interface's clock
---@field segment? integer several datagrams of so many bytes (udp)
---@field drops? integer how many were dropped, ever
---@field fds? integer[] descriptors, the caller's (unix, seqpacket)
---@field pidfds? integer[] the same, of the sender's process
---@field credentials? neap.credentials (unix, seqpacket)
---@field control_truncated? true some of this was lost
---@field type? "host"|"broadcast"|"multicast"|"otherhost"|"outgoing" (packet)
---@field hatype? integer the interface's type (packet)
---@field vlan? integer the tag that was taken out (packet)
---@field vlan_tpid? integer (packet)

---What was wrong with a message that was sent.
---@class neap.message.error
---@field code neap.code
---@field message string
---@field origin? "icmp"|"icmp6"|"local"|string who says so
---@field type integer of ICMP
---@field icmpcode integer of ICMP
---@field mtu? integer of EMSGSIZE: what fits
---@field info? integer what else the kernel says
---@field offender? string the router or host that sent it
---@field ip? string where the message went
---@field port? integer where the message went
---@field data string the message, or its beginning

---What comes and goes as messages with their borders.
---@class neap.message
local message = {}

---Sends a message to the peer.
---@param data string
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:send(data) end

---Sends a message to an address: ip, port; a path; an ip; an interface, mac,
---protocol.
---@param data string
---@param ... string|integer
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:sendto(data, ...) end

---Sends a message with what goes beside it.
---@param data string
---@param info neap.message.outgoing
---@return neap.message?
---@return string? message
---@return neap.code? code
---@return integer? taken bytes that were sent, of data that were cut
function message:sendmsg(data, info) end

---Sends a list of messages; each value of the address is the same for all, or a
---list.
---@param datas string[]
---@param ... string|integer|string[]|integer[]
---@return integer? sent
---@return string? message
---@return neap.code? code
---@return integer? sent before the failure
function message:sendmany(datas, ...) end

---Waits for a message.
---@param max? integer maxmessage unless given
---@return string?
---@return string|integer|nil ... its address; or a message, code, true length
function message:receive(max) end

---Waits for a message and tells what is known of it.
---@param max? integer maxmessage unless given; what is longer is cut
---@return string?
---@return neap.message.info|string info or a message
---@return neap.code? code
function message:receivemsg(max) end

---Waits for a message and takes all that are there.
---@param max? integer 64 unless given
---@param datas? string[] to be filled
---@param ... table to be filled with the values of the addresses
---@return string[]? datas
---@return table|string ... a list for each value of an address, or a message
function message:receivemany(max, datas, ...) end

---Iterates over messages; raises on a failure.
---@return fun(): string, ...
function message:messages() end

---The next of the error queue.
---@param timeout? number
---@return neap.message.error?
---@return string? message
---@return neap.code? code
function message:geterror(timeout) end

---From now on there is one peer; without an address, any.
---@param ... string|integer
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:connect(...) end

---Gives it an address of its own.
---@param ... string|integer
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:bind(...) end

---Its own address, as the kind has it.
---@return string?
---@return integer|string|nil ...
function message:getsockname() end

---The peer's address, as the kind has it.
---@return string?
---@return integer|string|nil ...
function message:getpeername() end

---Ends a direction, or both.
---@param how "r"|"w"|"rw"
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:shutdown(how) end

---Receives what is sent to a group.
---@param group string
---@param interface? string|integer
---@param source? string from this one only
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:join(group, interface, source) end

---Ends what join began.
---@param group string
---@param interface? string|integer
---@param source? string
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:leave(group, interface, source) end

---Of a group: no more from this source.
---@param group string
---@param interface string|integer|nil
---@param source string
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:block(group, interface, source) end

---Ends what block began.
---@param group string
---@param interface string|integer|nil
---@param source string
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:unblock(group, interface, source) end

---The kernel drops what the program refuses.
---@param program neap.filter.program|integer or the descriptor of one of eBPF
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:attachfilter(program) end

---@return neap.message?
---@return string? message
---@return neap.code? code
function message:detachfilter() end

---The time for each later call that waits; nil for none.
---@param seconds? number
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:settimeout(seconds) end

---@return number? seconds
function message:gettimeout() end

---Messages and bytes so far, and how many were too long.
---@return integer received
---@return integer received_bytes
---@return integer sent
---@return integer sent_bytes
---@return integer oversized
function message:counters() end

---What the kernel has counted since the last call. Packet sockets only.
---@return { packets: integer, drops: integer, freezes: integer }?
---@return string? message
---@return neap.code? code
function message:statistics() end

---Has a function called after each message.
---@param fn? fun(direction: "in"|"out", data: string, ...: string|integer)
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:settap(fn) end

---Sets a socket option by its standard name: "IP_TTL".
---@param name string
---@param value boolean|number|string
---@return neap.message?
---@return string? message
---@return neap.code? code
function message:setsockopt(name, value) end

---@param name string
---@return boolean|number|string|table|nil value
---@return string? message
---@return neap.code? code
function message:getsockopt(name) end

---@return "udp"|"unix"|"seqpacket"|"raw"|"packet"|"tun"
function message:kind() end

---@return "inet"|"inet6"|"unix"|nil
function message:family() end

---The descriptor, which stays the socket's.
---@return integer?
---@return string? message
---@return neap.code? code
function message:fileno() end

---Gives the descriptor away.
---@return integer?
---@return string? message
---@return neap.code? code
function message:detach() end

---@return boolean
function message:isopen() end

---Closes it. Closing again does nothing.
---@return true?
---@return string? message
---@return neap.code? code
function message:close() end
