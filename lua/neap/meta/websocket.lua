---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.websocket"`. The manual is
-- docs/websocket.md. Nothing loads this file.
-- SPDX-License-Identifier: MIT

---How messages are compressed (RFC 7692).
---@class neap.websocket.compression
---@field level? integer 0 to 9
---@field memory? integer 1 to 9
---@field threshold? integer bytes: shorter messages are sent as they are
---@field send_window_bits? integer 8 to 15
---@field receive_window_bits? integer 8 to 15
---@field send_takeover? boolean
---@field receive_takeover? boolean

---@class neap.websocket.options
---@field timeout? number seconds for each later call that waits
---@field maxmessage? integer bytes, inflated
---@field close_timeout? number seconds
---@field ping_interval? number seconds
---@field pong_timeout? number seconds
---@field compress? boolean|neap.websocket.compression

---Beside these it takes the options of tcp.connect, and for wss of tls.connect.
---@class neap.websocket.connect_options: neap.websocket.options
---@field protocols? string|string[]
---@field headers? table<string, string|string[]>
---@field origin? string
---@field open_timeout? number seconds
---@field proxy? string|boolean
---@field no_proxy? string
---@field unix? string a path
---@field tls? neap.tls.context|neap.tls.connect_options a context, or the options of TLS in one table
---@field [string] any

---@class neap.websocket.accept_options: neap.websocket.options
---@field origins? string|string[]|fun(origin: string?, request: table): boolean?
---@field protocols? string|string[]|fun(wanted: string[], request: table): string?
---@field headers? table<string, string|string[]>
---@field open_timeout? number seconds

---@class neap.websocket.over_options: neap.websocket.options
---@field role "server"|"client"
---@field protocol? string
---@field extensions? string

---@class neap.websocket
local websocket = {}

---Connects to "ws://..." or "wss://...".
---@param url string
---@param options? neap.websocket.connect_options
---@return neap.ws?
---@return string? message
---@return neap.code? code
---@return table? response what the server answered instead
function websocket.connect(url, options) end

---Answers a request of HTTP, or the one that a stream brings.
---@param request table|neap.stream
---@param options? neap.websocket.accept_options
---@return neap.ws?
---@return string? message
---@return neap.code? code
---@return table? refusal what an HTTP handler returns
function websocket.accept(request, options) end

---A handler for http.serve, or for a listener.
---@param fn fun(ws: neap.ws, request: table)
---@param options? neap.websocket.accept_options
---@return fun(from: table|neap.stream): table?
function websocket.handler(fn, options) end

---A connection over a stream on which others have done the handshake.
---@param stream neap.stream
---@param options neap.websocket.over_options
---@return neap.ws?
---@return string? message
---@return neap.code? code
function websocket.over(stream, options) end

---@class neap.ws
---@field protocol? string
---@field extensions? string
---@field headers? table of the other end's part of the handshake
---@field request? table of a server
---@field closecode? integer once it is over
---@field closereason? string
local ws = {}

---Sends a message: text, or "binary"; a function gives pieces of one.
---@param data string|fun(): string?
---@param kind? "text"|"binary"
---@return neap.ws?
---@return string? message
---@return neap.code? code
function ws:send(data, kind) end

---The next message.
---@return string? data
---@return string? kind or a message
---@return neap.code? code "EOF" if the peer closed it
function ws:receive() end

---Iterates over messages and their kinds; raises on a failure.
---@return fun(): string?, string?
function ws:messages() end

---Sends a ping.
---@param data? string
---@return neap.ws?
---@return string? message
---@return neap.code? code
function ws:ping(data) end

---Says goodbye, and waits for the peer's.
---@param code? integer 1000 unless given
---@param reason? string
---@return boolean?
---@return string? message
---@return neap.code? failure
function ws:close(code, reason) end

---Can a message be sent?
---@return boolean
function ws:isopen() end

---@param seconds? number
---@return neap.ws
function ws:settimeout(seconds) end

---@return number? seconds
function ws:gettimeout() end

---@return string? ip or a path
---@return integer|string|nil port
function ws:getpeername() end

---@return string? ip or a path
---@return integer|string|nil port
function ws:getsockname() end
