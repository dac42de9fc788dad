---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.tcp"`. The manual is
-- docs/tcp.md. Nothing loads this file.

---@class neap.tcp.connect_options: neap.stream_options
---@field bind? string come from "ip", "ip:port" or "[ip]:port"
---@field family? "inet"|"inet6"|"any"
---@field nodelay? boolean true unless given
---@field keepalive? boolean|integer probes, after so many idle seconds
---@field mptcp? boolean
---@field fastopen? boolean
---@field attempt_delay? number seconds between attempts, 0.25 unless given

---@class neap.tcp.listen_options: neap.stream_options
---@field backlog? integer
---@field reuseaddr? boolean true unless given
---@field reuseport? boolean
---@field v6only? boolean
---@field fd? neap.descriptor a listening socket that was inherited
---@field nodelay? boolean of accepted streams, true unless given
---@field keepalive? boolean|integer of accepted streams
---@field mptcp? boolean
---@field fastopen? boolean

---@class neap.tcp
local tcp = {}

---Connects to the first of the host's addresses that answers (RFC 8305).
---@param host string
---@param port integer|string
---@param options? neap.tcp.connect_options
---@return neap.stream?
---@return string? message
---@return neap.code? code
function tcp.connect(host, port, options) end

---Listens on an address, or on all of them ("*" or nil); port 0: any.
---@param host? string
---@param port integer|string|nil
---@param options? neap.tcp.listen_options
---@return neap.listener?
---@return string? message
---@return neap.code? code
function tcp.listen(host, port, options) end

---Two streams that are connected with each other over loopback.
---@param options? neap.stream_options
---@return neap.stream?
---@return neap.stream|string|nil other or a message
---@return neap.code? code
function tcp.pair(options) end
