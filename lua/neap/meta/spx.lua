---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.spx"`. The manual is
-- docs/spx.md. Nothing loads this file.

---@class neap.spx.options: neap.stream_options
---@field carrier neap.ipx.carrier|neap.ipx.server|string
---@field mtu? integer with text: of the carrier, 576
---@field network? integer the carrier's
---@field socket? integer this side's number; 0: any
---@field spx2? boolean|"require" SPX II: true
---@field window? integer packets that may come before they are read: 64
---@field buffer? integer bytes that wait to be sent, and to be read: 65536
---@field retries? integer 10
---@field watchdog? { verify: number?, listen: number?, abort: number? }|false seconds: 3, 6, 30
---@field maxmessage? integer the longest that receivemsg puts together: 1048576

---@class neap.spx.listen_options: neap.spx.options
---@field backlog? integer connections that nobody has accepted yet: 64
---@field max_connections? integer 1024

---@class neap.spx.info
---@field version 1|2
---@field state string
---@field id integer
---@field remote_id integer
---@field size integer the longest packet
---@field maxdata integer what of it is data
---@field window integer
---@field peer_window integer packets that may be sent now
---@field unacknowledged integer packets
---@field rtt? number seconds
---@field deviation? number
---@field rto number
---@field retransmissions integer
---@field duplicates integer
---@field reordered integer
---@field packets_in integer
---@field packets_out integer

---@class neap.stream
local stream = {}

---What there is to know of an SPX connection.
---@return neap.spx.info?
---@return string? message
---@return neap.code? code
function stream:spxinfo() end

---@class neap.spx.listener
local listener = {}

---Waits for a connection.
---@param timeout? number seconds
---@return neap.stream?
---@return string? message
---@return neap.code? code
function listener:accept(timeout) end

---Iterates over connections, until it is closed.
---@return fun(): neap.stream?
function listener:connections() end

---A task for each connection, closed when the handler ends.
---@param handler fun(stream: neap.stream)
---@param options? { max_connections: integer?, on_error: fun(err: any, traceback: string, stream: neap.stream)? }
---@return true?
---@return string? message
---@return neap.code? code
function listener:serve(handler, options) end

---Ends listening, waits for the handlers, then cancels them.
---@param grace? number seconds, 5 if absent
---@return true
function listener:stop(grace) end

---No more connections; those that were accepted live on.
---@return true
function listener:close() end

---@return boolean
function listener:isopen() end

---@return integer? network
---@return string node
---@return integer|neap.code socket
function listener:getsockname() end

---@return table counts connections, embryos, ready, requests, refused, failed
function listener:statistics() end

---@class neap.spx
local spx = {}

---Connects to a socket of a node.
---@param network integer
---@param node string
---@param socket integer
---@param options neap.spx.options
---@return neap.stream?
---@return string? message
---@return neap.code? code
function spx.connect(network, node, socket, options) end

---Listens on a socket.
---@param options neap.spx.listen_options
---@return neap.spx.listener?
---@return string? message
---@return neap.code? code
function spx.listen(options) end

return spx
