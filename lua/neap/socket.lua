--- neap.socket: the Berkeley calls by their own names, for any family.
--
-- Every call waits as all of neap does, or with MSG_DONTWAIT fails with
-- EAGAIN instead. What C passes by pointer is a result here; what failed is
-- nil, message, code.
local core <const> = require "neap.core"

---An address: a table for the families that are known, the bytes of the
---kernel's structure for any other. The family can be left out.
---@class neap.socket.ipaddr
---@field family? string|integer "inet" or "inet6"
---@field ip? string without it the wildcard address of the family
---@field port? integer
---@field flowinfo? integer

---@class neap.socket.unixaddr
---@field family? string|integer "unix"
---@field path string

---@alias neap.socket.addr neap.socket.ipaddr|neap.socket.unixaddr|string

---What recvmsg says beside the data.
---@class neap.socket.info
---@field addr? neap.socket.addr
---@field control table[]
---@field flags integer
---@field length integer of the whole message
---@field truncated? boolean
---@field control_truncated? boolean

---@class neap.socket.option
---@field name string
---@field type string
---@field level integer
---@field number? integer absent where the headers do not have it
---@field min? integer
---@field max? integer
---@field readable boolean
---@field writable boolean

---@class neap.socket
local M = {}

-- What the class has is also there as a function: socket.send(s, ...) is
-- s:send(...). Constants carry their own names: socket.SO_KEEPALIVE.
local opened <const> = core.open_socket()
for name, value in pairs(opened) do
  if name ~= "methods" then M[name] = value end
end

local methods <const> = opened.methods
local connect_once <const> = methods.connect
local RETRY <const> = 0.01 -- a listener's queue is full: no event says when not

-- A Unix listener whose queue is full answers EAGAIN: only asking again helps.
function methods.connect(s, addr)
  local patience = s:gettimeout()
  local deadline = patience and core.now() + patience
  while true do
    local self, why, code = connect_once(s, addr)
    if self or code ~= "EAGAIN" or deadline and core.now() >= deadline then
      return self, why, code
    end
    core.sleep(RETRY)
  end
end

for name, method in pairs(methods) do M[name] = method end

---Makes a socket. It does not block, and is closed in children after exec.
---@param family string|integer "inet", "inet6", "unix", or AF_...
---@param type integer SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET...
---@param protocol? integer IPPROTO_..., 0 if absent
---@return neap.socket? socket
---@return string? message
---@return string? code
M.socket = opened.socket

---Makes two sockets that are connected with each other.
---@param family string|integer
---@param type integer
---@param protocol? integer
---@return neap.socket? one
---@return neap.socket|string|nil other_or_message
---@return string? code
M.socketpair = opened.socketpair

---Makes a socket of a descriptor, which it owns from then on.
---@param fd integer
---@return neap.socket? socket
---@return string? message
---@return string? code
M.fromfd = opened.fromfd

---Binds to a local address.
---@param self neap.socket
---@param addr neap.socket.addr
---@return neap.socket? self
---@return string? message
---@return string? code
M.bind = methods.bind

---Begins to accept connections.
---@param self neap.socket
---@param backlog? integer SOMAXCONN if absent
---@return neap.socket? self
---@return string? message
---@return string? code
M.listen = methods.listen

---Connects, and waits until that succeeded or failed.
---@param self neap.socket
---@param addr neap.socket.addr
---@return neap.socket? self
---@return string? message
---@return string? code
M.connect = methods.connect

---Waits for a connection and takes it.
---@param self neap.socket
---@param flags? integer
---@return neap.socket? socket
---@return neap.socket.addr|string|nil addr_or_message
---@return string? code
M.accept = methods.accept

---Sends to the peer it is connected with. A stream may take a part only.
---@param self neap.socket
---@param data string
---@param flags? integer
---@return integer? bytes taken
---@return string? message
---@return string? code
M.send = methods.send

---Sends to an address.
---@param self neap.socket
---@param data string
---@param addr neap.socket.addr
---@param flags? integer
---@return integer? bytes taken
---@return string? message
---@return string? code
M.sendto = methods.sendto

---Sends several parts, an address and control data in one call.
---@param self neap.socket
---@param message { data: string|string[]|nil, addr: neap.socket.addr?, control: table[]? }
---@param flags? integer
---@return integer? bytes taken
---@return string? message
---@return string? code
M.sendmsg = methods.sendmsg

---Receives at most max bytes. A longer message fails with EMSGSIZE and its
---length as a fourth result; with MSG_TRUNC it is cut, and its length the
---second.
---@param self neap.socket
---@param max? integer 65536 if absent
---@param flags? integer
---@return string? data
---@return integer|string|nil length_or_message
---@return string? code
---@return integer? length
M.recv = methods.recv

---The same, with the address it came from.
---@param self neap.socket
---@param max? integer
---@param flags? integer
---@return string? data
---@return neap.socket.addr|string|nil addr_or_message
---@return integer|string|nil length_or_code
---@return integer? length
M.recvfrom = methods.recvfrom

---Receives a message and all that came with it.
---@param self neap.socket
---@param max? integer
---@param controlmax? integer 4096 if absent
---@param flags? integer
---@return string? data
---@return neap.socket.info|string|nil info_or_message
---@return string? code
M.recvmsg = methods.recvmsg

---Ends one direction or both.
---@param self neap.socket
---@param how string|integer "r", "w", "rw", or SHUT_...
---@return neap.socket? self
---@return string? message
---@return string? code
M.shutdown = methods.shutdown

---Sets an option by its standard name; or by level and number, to bytes or an
---integer.
---@param self neap.socket
---@param name string|integer
---@param value any
---@param bytes? string|integer|boolean
---@return neap.socket? self
---@return string? message
---@return string? code
M.setsockopt = methods.setsockopt

---Gets an option by its standard name; or by level, number and size, as bytes.
---@param self neap.socket
---@param name string|integer
---@param number? integer
---@param size? integer
---@return any value
---@return string? message
---@return string? code
M.getsockopt = methods.getsockopt

---The local address.
---@param self neap.socket
---@return neap.socket.addr? addr
---@return string? message
---@return string? code
M.getsockname = methods.getsockname

---The peer's address.
---@param self neap.socket
---@return neap.socket.addr? addr
---@return string? message
---@return string? code
M.getpeername = methods.getpeername

---How long each later call may wait; nil for ever, 0 not at all.
---@param self neap.socket
---@param seconds number?
---@return neap.socket self
M.settimeout = methods.settimeout

---What settimeout said.
---@param self neap.socket
---@return number? seconds
M.gettimeout = methods.gettimeout

---The descriptor, which the socket keeps.
---@param self neap.socket
---@return integer? fd
---@return string? message
---@return string? code
M.fileno = methods.fileno

---The descriptor, which is the caller's from then on; the socket is closed.
---@param self neap.socket
---@return integer? fd
---@return string? message
---@return string? code
M.detach = methods.detach

---Closes it; whoever waits on it wakes with ECLOSED. Or closes a descriptor
---that came with a message.
---@param self neap.socket|integer
---@return true? done
---@return string? message
---@return string? code
M.close = methods.close

---Waits until one of the descriptors has an event; sets revents in each.
---@param list { fd: any, events: integer, revents: integer? }[]
---@param timeout? number seconds
---@return integer? count of those that have events
---@return string? message
---@return string? code
M.poll = opened.poll

---Names to addresses, as the system's getaddrinfo has them.
---@param host string?
---@param service string|integer|nil
---@param hints? { family: string|integer?, socktype: integer?, protocol: integer?, flags: integer? }
---@return { family: integer, socktype: integer, protocol: integer, addr: neap.socket.addr }[]? list
---@return string? message
---@return string? code
M.getaddrinfo = opened.getaddrinfo

---An address to names.
---@param addr neap.socket.addr
---@param flags? integer NI_...
---@return string? host
---@return string? service_or_message
---@return string? code
M.getnameinfo = opened.getnameinfo

---The table of socket options, a row for each.
---@return neap.socket.option[] rows
M.options = opened.options

return M
