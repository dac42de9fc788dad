---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.packet"`. The manual is
-- docs/packet.md. Nothing loads this file.

---@class neap.packet.ring
---@field block_size? integer bytes, a multiple of the page; 1 MiB unless given
---@field blocks? integer 8 unless given
---@field frame_timeout? number seconds, 0.01 unless given

---@class neap.packet.fanout
---@field group integer 0 to 65535
---@field mode? "hash"|"lb"|"cpu"|"rollover"|"random"|"queue" "hash" unless given
---@field flags? integer

---@class neap.packet.options: neap.message_options
---@field protocol? string|integer "all", "ip", "ip6", "arp"… or an Ethertype
---@field cooked? boolean without the link layer's header
---@field promiscuous? boolean also what is for others
---@field outgoing? boolean also what this machine sends; true unless given
---@field filter? neap.filter.program|string tcpdump's language, or a program
---@field snaplen? integer how much of each packet comes
---@field ring? boolean|neap.packet.ring memory that is shared with the kernel
---@field fanout? neap.packet.fanout

---@class neap.packet
local packet = {}

---A socket for what passes an interface, or all (nil).
---@param interface? string|integer
---@param options? neap.packet.options
---@return neap.message?
---@return string? message
---@return neap.code? code "EPERM", "ENODEV", …
function packet.open(interface, options) end
