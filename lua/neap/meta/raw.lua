---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.raw"`. The manual is
-- docs/raw.md. Nothing loads this file.

---@class neap.raw.options: neap.ip_options
---@field bind? string from and to this address of ours only
---@field header_included? boolean what is sent begins with an IP header
---@field icmp_types? integer[] of ICMP: which types to let in
---@field checksum? integer IPv6: at which offset the kernel puts one in
---@field fd? neap.descriptor a raw socket that was inherited

---@class neap.raw
local raw = {}

---A socket for the packets of one IP protocol, by number or name.
---@param protocol integer|string
---@param options? neap.raw.options
---@return neap.message?
---@return string? message
---@return neap.code? code "EPERM", …
function raw.open(protocol, options) end
