---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.tun"`. The manual is
-- docs/tun.md. Nothing loads this file.

---@class neap.tun.settings
---@field address? string|string[] "10.9.0.1/24"
---@field peer? string the address at the other end
---@field mtu? integer
---@field up? boolean

---@class neap.tun.options: neap.tun.settings
---@field mode? "tun"|"tap" IP packets (default), or frames
---@field persist? boolean whether the interface stays when the socket is closed
---@field owner? integer the user who may open it, once it persists
---@field exclusive? boolean takes none that is there
---@field multiqueue? boolean it may be opened several times
---@field fd? neap.descriptor a device that was inherited
---@field timeout? number seconds
---@field maxmessage? integer

---@class neap.tun
local tun = {}

---Makes an interface whose other end is the socket, or takes one that persists.
---@param name? string "tun%d" for a number that is free
---@param options? neap.tun.options
---@return neap.message?
---@return string name of the interface, or a message
---@return neap.code? code
function tun.open(name, options) end

---Sets up an interface of any kind.
---@param interface string|integer
---@param settings neap.tun.settings
---@return true?
---@return string? message
---@return neap.code? code
function tun.configure(interface, settings) end

---Removes an interface that persists and that nobody has open.
---@param name string
---@return true?
---@return string? message
---@return neap.code? code
function tun.remove(name) end
