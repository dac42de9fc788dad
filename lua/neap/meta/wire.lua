---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.wire"`. The manual, with
-- the fields of every layer, is docs/wire.md. Nothing loads this file.

---@alias neap.wire.name
---| "ethernet" | "vlan" | "qinq" | "llc" | "snap" | "arp" | "sll" | "sll2" | "null" | "loop"
---| "ipv4" | "ipv6" | "hop_by_hop" | "destination_options" | "routing" | "fragment" | "ah" | "esp"
---| "icmp" | "icmpv6" | "igmp" | "udp" | "udplite" | "tcp" | "sctp" | "ipx" | "rip" | "sap" | "spx"
---| "gre" | "vxlan"

---A header: its fields beside these, by the names of its RFC.
---@class neap.wire.layer
---@field layer neap.wire.name
---@field offset? integer where it begins, in bytes from 0
---@field checksum? integer
---@field checksum_ok? false it is wrong
---@field trailer? string what follows the layer within the one below
---@field [string] any

---@class neap.wire.packet
---@field [integer] neap.wire.layer|string
---@field payload? string what follows the last layer
---@field padding? string what follows the packet in its frame
---@field truncated? string the layer of which not all is there
---@field malformed? string of an ICMP error's original: the layer that is
---@field ethernet? neap.wire.layer
---@field vlan? neap.wire.layer
---@field qinq? neap.wire.layer
---@field llc? neap.wire.layer
---@field snap? neap.wire.layer
---@field arp? neap.wire.layer
---@field sll? neap.wire.layer
---@field sll2? neap.wire.layer
---@field null? neap.wire.layer
---@field loop? neap.wire.layer
---@field ipv4? neap.wire.layer
---@field ipv6? neap.wire.layer
---@field hop_by_hop? neap.wire.layer
---@field destination_options? neap.wire.layer
---@field routing? neap.wire.layer
---@field fragment? neap.wire.layer
---@field ah? neap.wire.layer
---@field esp? neap.wire.layer
---@field icmp? neap.wire.layer
---@field icmpv6? neap.wire.layer
---@field igmp? neap.wire.layer
---@field udp? neap.wire.layer
---@field udplite? neap.wire.layer
---@field tcp? neap.wire.layer
---@field sctp? neap.wire.layer
---@field ipx? neap.wire.layer
---@field rip? neap.wire.layer
---@field sap? neap.wire.layer
---@field spx? neap.wire.layer
---@field gre? neap.wire.layer
---@field vxlan? neap.wire.layer

---@class neap.wire.options
---@field truncated? boolean the bytes may be the beginning of a packet
---@field checksums? boolean false: not verified

---@class neap.wire
local wire = {}

---Decodes a packet. On failure a fourth value is the offset of what is wrong.
---@param bytes string
---@param first? neap.wire.name|"ip"|"raw"|"cooked"|"linux_sll"|"linux_sll2"|integer "ethernet" unless given
---@param options? neap.wire.options
---@return neap.wire.packet?
---@return string? message
---@return neap.code? code
---@return integer? offset
function wire.decode(bytes, first, options) end

---Encodes layers and strings; what is not given is filled in.
---@param packet neap.wire.packet
---@return string
function wire.encode(packet) end

---The Internet checksum (RFC 1071).
---@param bytes string
---@param sum? integer added first
---@return integer
function wire.checksum(bytes, sum) end

---SCTP's checksum.
---@param bytes string
---@param crc? integer of the bytes before
---@return integer
function wire.crc32c(bytes, crc) end

---The text of an address of 4 or 16 bytes.
---@param bytes string
---@return string
function wire.ip_text(bytes) end

---The bytes of an address.
---@param text string
---@return string?
---@return string? message
---@return neap.code? code
function wire.ip_bytes(text) end

---The text of a hardware address.
---@param bytes string
---@return string
function wire.mac_text(bytes) end

---The bytes of a hardware address.
---@param text string
---@return string?
---@return string? message
---@return neap.code? code
function wire.mac_bytes(text) end
