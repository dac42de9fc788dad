---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.icmp"`. The manual is
-- docs/icmp.md. Nothing loads this file.

---@class neap.icmp.common_options
---@field family? "inet"|"inet6"|"any"
---@field interface? string|integer leave by it
---@field bind? string come from this address
---@field tos? integer
---@field timeout? number seconds for each probe

---@class neap.icmp.ping_options: neap.icmp.common_options
---@field count? integer requests: of ping 1, of pings without end unless given
---@field interval? number seconds between requests to a host, 1 unless given
---@field timeout? number seconds, 1 unless given
---@field size? integer bytes of payload, 56 unless given
---@field payload? string what follows the eight bytes of the cookie
---@field ttl? integer
---@field dont_fragment? boolean
---@field broadcast? boolean addresses may be broadcast
---@field timestamps? boolean times of receipt are the kernel's: true unless given

---What became of one request.
---@class neap.icmp.reply
---@field host string as it was given
---@field ip? string its address
---@field seq? integer from 1, for each host
---@field rtt? number seconds
---@field from? string who answered, or who said what went wrong
---@field ttl? integer that is left of the answer's
---@field tos? integer the answer's
---@field size? integer bytes of payload
---@field damaged? integer the first byte of the payload that is wrong
---@field duplicate? boolean this is not the first answer
---@field duplicates? integer in the list: how many came after it
---@field code? neap.code why there was no answer
---@field message? string the same in words
---@field type? integer ICMP's type of the error
---@field icmpcode? integer and code
---@field mtu? integer with EMSGSIZE

---What is known of a host; the replies are its list.
---@class neap.icmp.host
---@field [integer] neap.icmp.reply
---@field host string
---@field ip? string
---@field family? "inet"|"inet6"
---@field sent integer
---@field received integer
---@field lost integer
---@field errors integer
---@field duplicates integer
---@field damaged integer
---@field late integer
---@field min? number seconds
---@field avg? number
---@field max? number
---@field mdev? number
---@field code? neap.code why nothing was sent at all
---@field message? string

---@class neap.icmp.trace_options: neap.icmp.common_options
---@field method? "udp"|"icmp"|"tcp" "udp" unless given
---@field first_ttl? integer 1 unless given
---@field max_ttl? integer 30 unless given
---@field queries? integer probes for each hop, 3 unless given
---@field parallel? integer probes in the air, 16 unless given
---@field port? integer of udp the first (33434), of tcp the port (80)
---@field timeout? number seconds, 2 unless given
---@field size? integer bytes of a packet with its headers, 60 unless given
---@field dont_fragment? boolean

---@class neap.icmp.probe
---@field ip? string
---@field rtt? number seconds
---@field error? string the mark of traceroute: "!N", "!H", "!X", "!F-1400"
---@field code? neap.code
---@field message? string
---@field type? integer
---@field icmpcode? integer
---@field mtu? integer
---@field state? "open"|"closed" of the port, by tcp

---@class neap.icmp.hop
---@field ttl integer
---@field ip? string the first that answered
---@field reached boolean
---@field probes (neap.icmp.probe|false)[] false: no answer

---@class neap.icmp.mtu_options: neap.icmp.common_options
---@field method? "udp"|"icmp" "udp" unless given
---@field port? integer the first port, 33434 unless given
---@field timeout? number seconds, 1 unless given
---@field tries? integer probes of each length, 3 unless given
---@field max? integer bytes, no longer ones are tried

---@class neap.icmp
local icmp = {}

---Asks a host, or each of a list, and waits for the answers.
---@param hosts string|string[]
---@param options? neap.icmp.ping_options
---@return neap.icmp.host|table<string, neap.icmp.host>|nil
---@return string? message
---@return neap.code? code
function icmp.ping(hosts, options) end

---Iterates over what becomes of each request: reply, what is known of its host.
---@param hosts string|string[]
---@param options? neap.icmp.ping_options
---@return (fun(): neap.icmp.reply?, neap.icmp.host?)?
---@return string? message
---@return neap.code? code
---@return any closing
function icmp.pings(hosts, options) end

---Iterates over the hops on the way to a host.
---@param host string
---@param options? neap.icmp.trace_options
---@return (fun(): neap.icmp.hop?)?
---@return string? message
---@return neap.code? code
---@return any closing
function icmp.traceroute(host, options) end

---The longest packet that gets to a host in one piece.
---@param host string
---@param options? neap.icmp.mtu_options
---@return integer? mtu
---@return string? who or a message
---@return "interface"|"icmp"|"search"|neap.code|nil how
function icmp.path_mtu(host, options) end
