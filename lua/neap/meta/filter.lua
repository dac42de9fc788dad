---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.filter"`. The manual is
-- docs/filter.md. Nothing loads this file.

---An instruction of classic BPF: code, jt, jf, k.
---@alias neap.filter.instruction [integer, integer, integer, integer]

---A list of instructions, or what filter.pack made of one.
---@alias neap.filter.program neap.filter.instruction[]|string

---What a captured packet begins with, by name or by number.
---@alias neap.linktype
---| "ethernet"
---| "raw"
---| "cooked"
---| "null"
---| "loop"
---| "ppp"
---| "ipv4"
---| "ipv6"
---| "linux_sll"
---| "linux_sll2"
---| "ieee802_11"
---| "radiotap"
---| "netlink"
---| "user0"
---| string
---| integer

---@class neap.filter
local filter = {}

---Compiles tcpdump's language to a program.
---@param text string
---@param linktype? neap.linktype "ethernet" unless given
---@param snaplen? integer how many bytes of a packet it lets through, 262144
---@return neap.filter.instruction[]?
---@return string? message
---@return neap.code? code
function filter.compile(text, linktype, snaplen) end

---Whether a kernel would take the program.
---@param program neap.filter.program
---@return true?
---@return string? message
---@return neap.code? code
function filter.check(program) end

---Whether the program lets the packet through.
---@param program neap.filter.program
---@param bytes string
---@param length? integer of the whole packet, #bytes unless given
---@return boolean?
---@return string? message
---@return neap.code? code
function filter.match(program, bytes, length) end

---The program as `tcpdump -d` writes it.
---@param program neap.filter.program
---@return string
function filter.dump(program) end

---The program as a string, which is quicker to take than a list.
---@param program neap.filter.program
---@return string
function filter.pack(program) end
