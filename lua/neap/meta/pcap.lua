---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.pcap"`. The manual is
-- docs/pcap.md. Nothing loads this file.

---What is known of a packet that was read.
---@class neap.pcap.info
---@field timestamp integer? nanoseconds since 1970
---@field length integer of the whole packet; its bytes may be fewer
---@field linktype neap.linktype what it begins with
---@field interface string|integer|nil pcapng only: its name, or its number
---@field comment string? pcapng only
---@field direction "in"|"out"|nil pcapng only

---What can be said of a packet that is written; other fields do no harm.
---@class neap.pcap.write_info
---@field timestamp? integer nanoseconds since 1970, now unless given
---@field length? integer of the whole packet, #data unless given
---@field linktype? neap.linktype the writer's unless given
---@field interface? string|integer pcapng only
---@field comment? string pcapng only
---@field direction? "in"|"out" pcapng only

---@class neap.pcap.interface
---@field linktype neap.linktype
---@field snaplen integer 0: no limit
---@field name? string
---@field description? string
---@field comment? string

---@class neap.pcap.open_options
---@field maxpacket? integer bytes in a packet or a block, 16 MiB

---@class neap.pcap.create_options
---@field format? "pcap"|"pcapng" pcap, unless the path ends in .pcapng
---@field linktype? neap.linktype "ethernet" unless given
---@field snaplen? integer longer packets are cut, 262144
---@field nanoseconds? boolean true unless given
---@field interface? string pcapng only: whence packets come unless they say
---@field comment? string pcapng only
---@field application? string pcapng only, "neap" unless given

---What a capture is read from: a path, a Lua file, a stream, anything with a
---method `read`, or a function that gives strings and nil at the end.
---@alias neap.pcap.source string|file*|neap.stream|table|fun(): string?

---@class neap.pcap
---@field linktypes table<string, integer> the link types that have a name
local pcap = {}

---Opens a capture to read it.
---@param from neap.pcap.source
---@param options? neap.pcap.open_options
---@return neap.pcap.reader?
---@return string? message
---@return neap.code? code
---@return integer? offset of what is malformed
function pcap.open(from, options) end

---Begins a capture.
---@param to string|file*|neap.stream|table
---@param options? neap.pcap.create_options
---@return neap.pcap.writer?
---@return string? message
---@return neap.code? code
function pcap.create(to, options) end

---Writes what the socket sends and receives from now on.
---@param sock neap.message
---@param writer neap.pcap.writer
---@return neap.pcap.tapping?
---@return string? message
---@return neap.code? code
function pcap.tap(sock, writer) end

---@class neap.pcap.reader
---@field format "pcap"|"pcapng"
---@field linktype neap.linktype? of the first interface
---@field snaplen integer? of the first interface
---@field interfaces neap.pcap.interface[] those described so far
local reader = {}

---The next packet.
---@return string? data
---@return neap.pcap.info|string|nil info or a message
---@return neap.code? code
---@return integer? offset of what is malformed
function reader:read() end

---for data, info in reader:packets() do; raises on a failure.
---@return fun(): string?, neap.pcap.info
function reader:packets() end

---Closes it, and what it reads from.
---@return true
function reader:close() end

---@class neap.pcap.writer
---@field format "pcap"|"pcapng"
---@field linktype neap.linktype
---@field snaplen integer
local writer = {}

---Writes a packet.
---@param data string
---@param info? neap.pcap.write_info
---@return neap.pcap.writer?
---@return string? message
---@return neap.code? code
function writer:write(data, info) end

---Sends what is kept back.
---@return neap.pcap.writer?
---@return string? message
---@return neap.code? code
function writer:flush() end

---Closes it, and what it writes to.
---@return true?
---@return string? message
---@return neap.code? code
function writer:close() end

---@class neap.pcap.tapping
---@field packets integer that were written
---@field dropped integer that were not, since the writer was too slow
local tapping = {}

---Ends the tap; what is queued is written first.
---@return true?
---@return string? message
---@return neap.code? code
function tapping:close() end
