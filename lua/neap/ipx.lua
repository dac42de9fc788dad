-- SPDX-License-Identifier: MIT
--- IPX: datagrams of another network, over Ethernet, over UDP, or between
-- DOSBoxes.
local args <const> = require "neap.args"
local carriers <const> = require "neap.ipx.carrier"
local ethernets <const> = require "neap.ipx.ethernet"
local ipxnets <const> = require "neap.ipx.ipxnet"
local packets <const> = require "neap.ipx.packet"
local servers <const> = require "neap.ipx.server"
local service <const> = require "neap.ipx.services"
local sockets <const> = require "neap.ipx.socket"
local udps <const> = require "neap.ipx.udp"
require "neap.ipx.send"
require "neap.ipx.receive"

---@class neap.ipx
local M = {}

--- The node that is everybody's.
M.BROADCAST = packets.text(packets.BROADCAST)

-- ---- options ----

local SHORTEST <const> = packets.HEADER + 1
local PORT <const> = 213
local SHORTEST_TIME <const> = 0.01 -- seconds

local carrier_options <const> = {
  network = "natural", mtu = "size", rcvbuf = "buffer", sndbuf = "buffer",
}
local ethernet_options <const> = args.with(carrier_options, { framing = "string", router = "string" })
local udp_options <const> = args.with(carrier_options, {
  bind = "string", port = "natural", peers = "table", broadcast = "string", router = "string",
})
local ipxnet_options <const> = args.with(carrier_options, {
  timeout = "seconds", keepalive = "seconds", bind = "string",
})
local server_options <const> = args.with(carrier_options, {
  max_clients = "count", idle = "seconds",
})
local socket_options <const> = {
  network = "natural", node = "string", socket = "natural", type = "byte", checksum = "boolean",
  broadcast = "boolean", timeout = "seconds", maxmessage = "size", maxqueue = "size", mtu = "size",
}
local service_options <const> = { services = "table", networks = "table", interval = "seconds" }
local find_options <const> = { type = "natural", nearest = "boolean", timeout = "seconds" }

local function bad(name, what, level) error(("option '%s' must be %s"):format(name, what), level + 1) end

local function check_ip(o, name, level)
  if o[name] and not packets.ip_bytes(o[name]) then bad(name, "an IPv4 address", level + 1) end
end

local function check_node(o, name, level)
  if o[name] and not packets.bytes(o[name]) then bad(name, 'a node such as "00:11:22:33:44:55"', level + 1) end
end

-- Not so short that it would be busy with nothing else.
local function check_time(o, name, level)
  if o[name] and o[name] < SHORTEST_TIME then bad(name, ("%g seconds or more"):format(SHORTEST_TIME), level + 1) end
end

-- While this network has no number, none is known to be another.
local function check_router(o, level)
  if o.router and (o.network or 0) == 0 then error("option 'router' needs 'network'", level + 1) end
end

local function check_list(o, name, what, level)
  local list <const>, n = o[name] or {}, 0
  for _ in pairs(list) do n = n + 1 end
  if n ~= #list then bad(name, what, level + 1) end
end

-- longest: the most that the carrier can take.
local function check_carrier(given, known, arg, longest, level)
  local o <const> = args.check(given, known, arg, level + 1)
  if o.network and o.network > 0xffffffff then bad("network", "from 0 to 0xffffffff", level + 1) end
  if o.mtu and (o.mtu < SHORTEST or o.mtu > longest) then
    bad("mtu", ("an integer in [%d, %d]"):format(SHORTEST, longest), level + 1)
  end
  return o
end

-- ---- carriers ----

--- Over an interface, in frames.
function M.ethernet(interface, given)
  args.argument(interface, "interface", 1, 2)
  local o <const> = check_carrier(given, ethernet_options, 2, packets.LONGEST, 2)
  if o.framing and not ethernets.framings[o.framing] then
    bad("framing", '"ethernet2", "802.3", "802.2" or "snap"', 2)
  end
  check_node(o, "router", 2)
  check_router(o, 2)
  return ethernets.open(interface, o)
end

--- In UDP, as RFC 1234 has it.
function M.udp(given)
  local o <const> = check_carrier(given, udp_options, 1, udps.LONGEST, 2)
  if not o.bind then error("option 'bind' is missing", 2) end
  for _, name in ipairs { "bind", "broadcast", "router" } do check_ip(o, name, 2) end
  check_router(o, 2)
  if packets.ip_bytes(o.bind) == "\0\0\0\0" then bad("bind", "one address of this machine", 2) end
  if o.port and o.port > 65535 then bad("port", "from 0 to 65535", 2) end
  if o.peers and o.broadcast then error("options 'peers' and 'broadcast' exclude each other", 2) end
  check_list(o, "peers", "a list of IPv4 addresses", 2)
  for _, ip in ipairs(o.peers or {}) do
    if type(ip) ~= "string" or not packets.ip_bytes(ip) then bad("peers", "a list of IPv4 addresses", 2) end
  end
  return udps.open(o)
end

--- Through a DOSBox that serves, or ipx.server.
function M.ipxnet(host, port, given)
  host = args.host(host, 1, 2)
  port = args.port(port, 1, 2, 2)
  local o <const> = check_carrier(given, ipxnet_options, 3, udps.LONGEST, 2)
  check_ip(o, "bind", 2)
  check_time(o, "keepalive", 2)
  return ipxnets.open(host, port, o)
end

--- What DOSBoxes meet at.
function M.server(host, port, given)
  if host ~= nil and host ~= "*" then host = args.host(host, 1, 2) end
  port = args.port(port, 0, 2, 2)
  local o <const> = check_carrier(given, server_options, 3, udps.LONGEST, 2)
  check_time(o, "idle", 2)
  return servers.open(host, port, o)
end

--- The node of an IPv4 address, as RFC 1234 has it; with a port, as DOSBox
-- has it.
function M.node(ip, port)
  if type(ip) ~= "string" or not packets.ip_bytes(ip) then error("bad argument #1 (an IPv4 address expected)", 2) end
  if port ~= nil and (math.type(port) ~= "integer" or port < 0 or port > 65535) then
    error("bad argument #2 (a port (0 to 65535) expected)", 2)
  end
  return packets.text(packets.of_ip(ip, port))
end

-- ---- sockets ----

-- "host:port" or "host": both.
local function split(text)
  local host <const>, port <const> = text:match "^(.+):(%d+)$"
  if (host or text):find ":" and not (host or text):find "^%[.*%]$" then
    error(("HOST or HOST:PORT expected, got '%s'"):format(text), 0)
  end
  return host or text, port and (math.tointeger(tonumber(port)) or 65536) or PORT
end

local makers <const> = {
  ethernet = function(rest, own) return M.ethernet(rest, own) end,
  udp = function(rest, own)
    own.bind, own.port = split(rest)
    return M.udp(own)
  end,
  ipxnet = function(rest, own)
    local host <const>, port <const> = split(rest)
    return M.ipxnet(host, port, own)
  end,
  server = function(rest, own)
    local host <const>, port <const> = split(rest)
    local server <const>, why, code = M.server(host, port, own)
    if not server then return nil, why, code end
    return server.carrier
  end,
}

-- "ethernet:eth0", "udp:10.0.0.1", "ipxnet:example.org:213", "server:*:213": a
-- carrier of the socket's own.
local function make_carrier(text, o, level)
  local kind <const>, rest <const> = text:match "^(%l+):(.+)$"
  local make <const> = makers[kind]
  if not make then bad("carrier", 'a carrier, or text such as "ethernet:eth0" or "udp:10.0.0.1"', level + 1) end
  local ok <const>, carrier, why, code = pcall(make, rest, { network = o.network, mtu = o.mtu })
  if not ok then
    local wrong <const> = tostring(carrier):gsub("^[^\n:]+:%d+: ", ""):gsub("^bad argument #%d+ %((.*)%)$", "%1")
    error("option 'carrier': " .. wrong, level + 1)
  end
  return carrier, why, code
end

local defaults <const> = { socket = 0, type = 4, maxmessage = 65536, maxqueue = 1 << 20 }

-- The options, and the carrier as it was given.
local function check_open(given, level)
  if type(given) ~= "table" then
    error(("bad argument #1 (table of options expected, got %s)"):format(given == nil and "no value" or type(given)),
      level + 1)
  end
  local rest <const> = args.without(given, "carrier")
  local o <const> = args.check(rest, socket_options, 1, level + 1)
  if o.network and o.network > 0xffffffff then bad("network", "from 0 to 0xffffffff", level + 1) end
  check_node(o, "node", level + 1)
  if o.socket and o.socket > 0xffff then bad("socket", "from 0 to 0xffff", level + 1) end
  for name, value in pairs(defaults) do o[name] = o[name] or value end
  local carrier = given.carrier
  if getmetatable(carrier) == servers.class then carrier = carrier.carrier end
  if type(carrier) ~= "string" and getmetatable(carrier) ~= carriers.class then
    if carrier == nil then error("option 'carrier' is missing", level + 1) end
    bad("carrier", "a carrier, or text", level + 1)
  end
  return o, carrier
end

local function fail(why, code) return nil, "ipx.open: " .. why, code end

-- What the carrier cannot do for it: message, code.
local function refusal(carrier, o)
  if o.network and o.network ~= 0 and o.network ~= carrier.network then
    return ("network %08x: Cannot assign requested address"):format(o.network), "EADDRNOTAVAIL"
  elseif o.node and packets.bytes(o.node) ~= carrier.node then
    return ("node %s: Cannot assign requested address"):format(o.node), "EADDRNOTAVAIL"
  end
  if o.checksum and carrier.driver.unsummed then
    return ("%s has no checksums"):format(carrier.driver.kind), "EOPNOTSUPP"
  end
end

--- A socket on a carrier.
function M.open(given)
  local o <const>, carrier = check_open(given, 2)
  local why, code
  if type(carrier) == "string" then
    carrier, why, code = make_carrier(carrier, o, 2)
    if not carrier then return nil, why, code end
    o.owns = true
  elseif o.mtu then
    error("option 'mtu' is the carrier's", 2)
  elseif not carriers.isopen(carrier) then
    return fail("the carrier is closed", "ECLOSED")
  end
  why, code = refusal(carrier, o)
  if not why then
    o.number, o.checksum, o.broadcast = o.socket, o.checksum or false, o.broadcast or false
    local sock <const> = sockets.new(carrier, o)
    if sock then return sock end
    why, code = ("socket %04x: Address already in use"):format(o.number), "EADDRINUSE"
  end
  if o.owns then carriers.close(carrier) end
  return fail(why, code)
end

-- The options beside the carrier, which must be an object.
local function check_with_carrier(given, known, level)
  if type(given) ~= "table" then
    error(("bad argument #1 (table of options expected, got %s)"):format(given == nil and "no value" or type(given)),
      level + 1)
  end
  local carrier = given.carrier
  if getmetatable(carrier) == servers.class then carrier = carrier.carrier end
  if getmetatable(carrier) ~= carriers.class then bad("carrier", "a carrier", level + 1) end
  return args.check(args.without(given, "carrier"), known, 1, level + 1), carrier
end

--- Tells of services on a carrier, and answers who asks for them (SAP, RIP).
function M.services(given)
  local o <const>, carrier <const> = check_with_carrier(given, service_options, 2)
  check_list(o, "services", "a list of { name =, type =, socket = }", 2)
  check_list(o, "networks", "a list of networks (1 to 0xfffffffe)", 2)
  if o.interval ~= 0 then check_time(o, "interval", 2) end
  o.carrier, o.services = carrier, args.blame(2, service.check, o.services or {})
  for _, network in ipairs(o.networks or {}) do
    if math.type(network) ~= "integer" or network < 1 or network > 0xfffffffe then
      bad("networks", "a list of networks (1 to 0xfffffffe)", 2)
    end
  end
  return service.open(o)
end

--- Asks who offers services of a type (all: none given).
function M.find(given)
  local o <const>, carrier <const> = check_with_carrier(given, find_options, 2)
  if o.type and (o.type < 1 or o.type > 0xffff) then bad("type", "from 1 to 0xffff", 2) end
  return service.find(carrier, o.type or 0xffff, o.timeout or 1, o.nearest)
end

return M
