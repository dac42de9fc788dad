-- SPDX-License-Identifier: MIT
--- IPX in Ethernet's frames, of which it knows four kinds. Machines that use
-- different ones do not hear each other.
local core <const> = require "neap.core"
local carriers <const> = require "neap.ipx.carrier"
local packets <const> = require "neap.ipx.packet"
local packet <const> = require "neap.packet"

local M = {}

local HEADER <const> = 14 -- both hardware addresses, and a type or a length
local SHORTEST <const> = 60 -- of a frame; what is shorter is filled up
local LONGEST_LENGTH <const> = 1500 -- above it is a type

-- protocol: under which the kernel hands them over. head: what is behind the
-- Ethernet header. typed: that tells the type; otherwise the length.
local framings <const> = {
  ethernet2 = { protocol = 0x8137, head = "", typed = true },
  ["802.3"] = { protocol = 0x0001, head = "", unsummed = true },
  ["802.2"] = { protocol = 0x0004, head = "\xe0\xe0\x03" },
  snap = { protocol = 0x0004, head = "\xaa\xaa\x03\0\0\0\x81\x37" },
}
M.framings = framings

local ETHERTYPE <const> = "\x81\x37"

-- Where the packet begins; nil if it is another's frame.
local function unwrap(self, frame)
  local framing <const> = self.framing
  local at <const> = HEADER + #framing.head + 1
  if frame:sub(HEADER + 1, at - 1) ~= framing.head then return nil, "foreign" end
  if framing.typed then
    if frame:sub(HEADER - 1, HEADER) ~= ETHERTYPE then return nil, "foreign" end
  elseif framing.head == "" and frame:sub(at, at + 1) ~= packets.NO_CHECKSUM then
    return nil, "foreign"
  end
  return at
end

-- Filled up to what Ethernet wants, and to an even length, which old cards and
-- routers need.
local function put(self, bytes, node)
  local framing <const> = self.framing
  local body <const> = framing.head .. bytes
  local type <const> = framing.typed and ETHERTYPE or (">I2"):pack(#body)
  local frame = node .. self.node .. type .. body
  local short = math.max(SHORTEST - #frame, #frame & 1)
  if short > 0 and (#frame < SHORTEST or #frame < self.longest_frame) then frame = frame .. ("\0"):rep(short) end
  return core.message_put(self.links[1], frame)
end

-- One driver for each framing, since they differ in whether there can be
-- checksums.
local drivers <const> = {}
for name, framing in pairs(framings) do
  drivers[name] = { kind = name, unwrap = unwrap, put = put, unsummed = framing.unsummed }
end

-- ---- making ----

local function find(interface)
  local list, why, code = core.interfaces()
  if not list then return nil, why, code end
  for _, one in ipairs(list) do
    if one.name == interface or one.index == interface then return one end
  end
  return nil, "No such device", "ENODEV"
end

local function fail(interface, why, code) return nil, ("ipx.ethernet %s: %s"):format(interface, why), code end

--- o: framing, network, mtu, router, rcvbuf, sndbuf; all checked.
function M.open(interface, o)
  local name <const> = o.framing or "ethernet2"
  local framing <const> = framings[name]
  local found, why, code = find(interface)
  if not found then return fail(interface, why, code) end
  local node <const> = found.mac and packets.bytes(found.mac)
  if not node then return fail(interface, "is no Ethernet", "EPROTONOSUPPORT") end
  local room = found.mtu - #framing.head
  if not framing.typed then room = math.min(room, LONGEST_LENGTH - #framing.head) end
  if o.mtu and o.mtu > room then
    return fail(interface, ("packets of at most %d bytes with the framing %s"):format(room, name), "EMSGSIZE")
  end
  local link
  link, why, code = packet.open(found.name, {
    protocol = framing.protocol, rcvbuf = o.rcvbuf, sndbuf = o.sndbuf, maxmessage = found.mtu + HEADER,
  })
  if not link then return nil, why:gsub("^packet%.open", "ipx.ethernet"), code end
  return carriers.new(drivers[name], {
    links = { link }, network = o.network or 0, node = node, longest = o.mtu or math.min(576, room),
    router = o.router and packets.bytes(o.router), framing = framing, longest_frame = found.mtu + HEADER,
  })
end

return M
