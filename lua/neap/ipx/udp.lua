-- SPDX-License-Identifier: MIT
--- IPX in UDP (RFC 1234): one packet a datagram, and a node is 00 00 and an
-- IPv4 address. A broadcast goes to the subnet, or to each of a list of peers.
local core <const> = require "neap.core"
local carriers <const> = require "neap.ipx.carrier"
local packets <const> = require "neap.ipx.packet"
local udp <const> = require "neap.udp"

local M = {}

local PORT <const> = 213
local LONGEST <const> = 65507
local BROADCAST <const> = packets.BROADCAST
local FRONT <const>, BACK <const> = 4, 9 -- of an address as the kernel has it: before the IP, and behind

local driver <const> = { kind = "udp", unsummed = true }

-- Who sent it is who it says, unless it came from another network; where it is
-- not known what is another, answers go to the node directly, so that it has to
-- be the sender's.
function driver.unwrap(self, data, from)
  if data:sub(1, 2) ~= packets.NO_CHECKSUM then return nil, "foreign" end
  if #data < packets.HEADER then return nil, "short" end
  local network <const> = (">I4"):unpack(data, 19)
  if network == 0 or self.network == 0 or network == self.network then
    if data:sub(23, 24) ~= "\0\0" or data:sub(25, 28) ~= from:sub(FRONT + 1, BACK - 1) then return nil, "spoofed" end
  end
  return 1
end

local function to_all(self, packet)
  if not self.everyone then return nil, "nobody to broadcast to", "ENETUNREACH" end
  local ok, why, code = #self.everyone == 0, nil, nil
  for _, address in ipairs(self.everyone) do
    local done, reason, kind = core.message_put(self.links[1], packet, address)
    if done then ok = true else why, code = reason, kind end
  end
  if ok then return true end
  return nil, why, code
end

function driver.put(self, packet, node)
  if node == BROADCAST then return to_all(self, packet) end
  if node:sub(1, 2) ~= "\0\0" then return nil, "No route to host", "EHOSTUNREACH" end
  return core.message_put(self.links[1], packet, self.front .. node:sub(3) .. self.back)
end

-- ---- making ----

-- All ones behind the prefix.
local function last_of(ip, prefix)
  local number <const> = (">I4"):unpack(packets.ip_bytes(ip)) | (0xffffffff >> prefix)
  return ("%d.%d.%d.%d"):format((">I4"):pack(number):byte(1, 4))
end

-- The broadcast address of the subnet that this is an address of, if it has
-- any.
local function subnet_broadcast(ip)
  for _, interface in ipairs(core.interfaces() or {}) do
    for _, address in ipairs(interface.addresses) do
      if address.ip == ip and interface.flags.BROADCAST and address.prefix < 31 then
        return address.broadcast or last_of(ip, address.prefix)
      end
    end
  end
end

local function addresses_of(link, ips, port)
  local list = {}
  for i, ip in ipairs(ips) do
    local address, why, code = core.message_route(link, "", { ip = ip, port = port })
    if not address then return nil, why, code end
    list[i] = address
  end
  return list
end

-- The socket that hears what is sent to the subnet: one that is bound to its
-- address, so that nothing else comes there.
local function open_ear(ip, port)
  return udp.open(ip, port, { broadcast = true, reuseaddr = true })
end

local function set_up(self, o)
  local link <const> = self.links[1]
  local _, port = link:getsockname()
  local template, why, code = core.message_route(link, "", { ip = o.bind, port = port })
  if not template then return nil, why, code end
  self.front, self.back = template:sub(1, FRONT), template:sub(BACK)
  local to_whom = o.peers
  local subnet <const> = not to_whom and (o.broadcast or subnet_broadcast(o.bind))
  if subnet then
    to_whom = { subnet }
    self.links[2], why, code = open_ear(subnet, port)
    if not self.links[2] then return nil, why, code end
    self.links[2]:settimeout(0)
  end
  if not to_whom then return self end
  self.everyone, why, code = addresses_of(link, to_whom, port)
  if not self.everyone then return nil, why, code end
  return self
end

--- o: bind, port, network, peers, broadcast, router, mtu, rcvbuf, sndbuf; all
-- checked.
function M.open(o)
  local link, why, code = udp.open(o.bind, o.port or PORT, { broadcast = true, rcvbuf = o.rcvbuf, sndbuf = o.sndbuf })
  if not link then return nil, why:gsub("^udp%.open", "ipx.udp"), code end
  local self <const> = carriers.new(driver, {
    links = { link }, network = o.network or 0, node = packets.of_ip(o.bind), longest = o.mtu or 576,
    router = o.router and packets.of_ip(o.router),
  })
  local ok
  ok, why, code = set_up(self, o)
  if ok then return self end
  carriers.close(self)
  return nil, "ipx.udp: " .. why:gsub("^udp%.open ", ""), code
end

M.LONGEST = LONGEST
return M
