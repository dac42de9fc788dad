--- Packet sockets: what passes an interface, with its link layer's header or
-- without.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local message <const> = require "neap.message"

---@class neap.packet
local M = {}

-- The ethertypes that people call by name.
local PROTOCOL <const> = {
  all = 0x0003, ip = 0x0800, arp = 0x0806, rarp = 0x8035, vlan = 0x8100, ipx = 0x8137, ip6 = 0x86dd, mpls = 0x8847,
  pppoe = 0x8864, lldp = 0x88cc,
}

local options <const> = args.with(message.options, {
  protocol = "protocol", cooked = "boolean", promiscuous = "boolean", ring = "ring", fanout = "table",
  filter = "program", snaplen = "size", outgoing = "boolean",
})
local ring_options <const> = { block_size = "size", blocks = "size", frame_timeout = "seconds" }
local fanout_options <const> = { group = "natural", mode = "string", flags = "natural" }
local FANOUT <const> = { hash = true, lb = true, cpu = true, rollover = true, random = true, queue = true }

local ARPHRD_ETHER <const>, ARPHRD_LOOPBACK <const> = 1, 772
local LONGEST <const> = 1000000 -- seconds: in milliseconds they still fit

local function protocol_of(protocol, level)
  if protocol == nil then return PROTOCOL.all end
  local number = PROTOCOL[protocol] or math.tointeger(protocol)
  if not number or number < 0 or number > 65535 then
    error(("option 'protocol': unknown protocol '%s'"):format(tostring(protocol)), level + 1)
  end
  return number
end

local function check_fanout(given, level)
  local fanout = args.check(given, fanout_options, 2, level + 1)
  fanout.mode, fanout.flags = fanout.mode or "hash", fanout.flags or 0
  if not fanout.group or fanout.group > 65535 or not FANOUT[fanout.mode] then
    error("option 'fanout' must be { group = 0 to 65535, mode = \"hash\", \"lb\", \"cpu\", \"rollover\", \"random\" "
      .. "or \"queue\" }", level + 1)
  end
  if fanout.flags & ~0xff00 ~= 0 then -- below are the modes
    error("option 'flags' must be of those from 0x100 to 0x8000", level + 1)
  end
  return fanout
end

local function check(given, level)
  local o = args.check(given, options, 2, level + 1)
  o.protocol = protocol_of(o.protocol, level + 1)
  message.check_filter(o, level + 1, true)
  if type(o.ring) == "table" then
    local ring = args.check(o.ring, ring_options, 2, level + 1)
    o.ring = {
      block_size = ring.block_size, blocks = ring.blocks,
      timeout = ring.frame_timeout and math.max(1, math.ceil(math.min(ring.frame_timeout, LONGEST) * 1000)),
    }
  elseif o.ring then
    o.ring = {}
  end
  if o.fanout then o.fanout = check_fanout(o.fanout, level + 1) end
  return o
end

-- tcpdump's words become instructions for what the interface carries.
local function program_of(interface, o)
  if type(o.filter) ~= "string" then
    if o.snaplen and not o.filter then return { { 0x06, 0, 0, o.snaplen } } end
    return o.filter
  end
  local link = "ethernet"
  if o.cooked then
    link = "raw"
  elseif interface then
    local index, why, code = interface, nil, nil
    if type(interface) == "string" then index, why, code = core.ifindex(interface) end
    if not index then return nil, why, code end
    local kind = core.linktype(index)
    if kind ~= ARPHRD_ETHER and kind ~= ARPHRD_LOOPBACK then link = "raw" end
  end
  return require "neap.filter".compile(o.filter, link, o.snaplen)
end

-- In this order: nothing is received before it is bound, so that no packet
-- slips past the filter.
local function set_up(sock, interface, o)
  local done, why, code = message.set_up(sock, args.without(o, "filter"), "packet.open", {})
  if not done then return nil, why, code end
  if o.filter or o.snaplen then
    local program
    program, why, code = program_of(interface, o)
    if not program then return nil, why, code end
    done, why, code = sock:attachfilter(program)
    if not done then return nil, why, code end
  end
  sock:setsockopt("PACKET_AUXDATA", true) -- VLAN tags, true lengths
  if o.outgoing == false then sock:setsockopt("PACKET_IGNORE_OUTGOING", true) end
  if o.ring then
    done, why, code = core.packet_ring(sock, o.ring)
    if not done then return nil, why, code end
  end
  done, why, code = core.packet_bind(sock, interface, o.protocol)
  if done and o.promiscuous then done, why, code = core.packet_promiscuous(sock, interface, true) end
  if done and o.fanout then
    done, why, code = core.packet_fanout(sock, o.fanout.group, o.fanout.mode, o.fanout.flags)
  end
  return done, why, code
end

--- A socket for what passes an interface (name or number), or all (nil).
function M.open(interface, given)
  if interface ~= nil then args.argument(interface, "interface", 1, 2) end
  local o = check(given, 2)
  if o.promiscuous and interface == nil then error("option 'promiscuous' needs an interface", 2) end
  local name <const> = "packet.open " .. (interface or "*")
  local sock, why, code = core.packet(o.cooked, o)
  if not sock then return nil, message.explain(("%s: %s"):format(name, why), code) end
  local done
  done, why, code = set_up(sock, interface, o)
  if done then return sock end
  sock:close()
  return nil, ("%s: %s"):format(name, why), code
end

return M
