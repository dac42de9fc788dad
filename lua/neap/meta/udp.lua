---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.udp"`. The manual is
-- docs/udp.md. Nothing loads this file.

---@class neap.udp.options: neap.ip_options
---@field v6only? boolean of an IPv6 socket: not IPv4, too
---@field gro? boolean the kernel may put datagrams together
---@field lite? boolean|integer UDP-Lite: so many bytes are covered, or all

---@class neap.udp.open_options: neap.udp.options
---@field fd? neap.descriptor a UDP socket that was inherited

---@class neap.udp.connect_options: neap.udp.options
---@field bind? string come from "ip", "ip:port" or "[ip]:port"

---@class neap.udp
local udp = {}

---A socket that is bound to an address, or to all of them ("*" or nil).
---@param host? string
---@param port? integer|string nil or 0: any
---@param options? neap.udp.open_options
---@return neap.message?
---@return string? message
---@return neap.code? code
function udp.open(host, port, options) end

---A socket that sends to one peer and receives from no other.
---@param host string
---@param port integer|string
---@param options? neap.udp.connect_options
---@return neap.message?
---@return string? message
---@return neap.code? code
function udp.connect(host, port, options) end
