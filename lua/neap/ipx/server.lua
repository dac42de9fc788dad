-- SPDX-License-Identifier: MIT
--- What DOSBoxes meet at: gives each client its node, forwards what they send
-- to each other, and forgets those that are silent. It is a carrier, too: the
-- sockets on it are one client more.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local carriers <const> = require "neap.ipx.carrier"
local ipxnet <const> = require "neap.ipx.ipxnet"
local packets <const> = require "neap.ipx.packet"
local sync <const> = require "neap.sync"
local udp <const> = require "neap.udp"

local M = {}

local PORT_BYTES <const>, IP_BYTES <const> = 3, 5 -- where they are in an address as the kernel has it
local NETWORK <const> = 1 -- what DOSBox's server says
local MAX_CLIENTS <const>, IDLE <const> = 64, 300
local CHECKS <const> = 4 -- times that silence is looked at before it is too long
local NOWHERE <const>, BROADCAST <const>, ECHO <const> = packets.NOWHERE, packets.BROADCAST, ipxnet.ECHO

local driver <const> = { kind = "server" }

-- ---- clients ----

-- What an address is as a node: four bytes of IP and two of the port.
local function node_of(from)
  return from:sub(IP_BYTES, IP_BYTES + 3) .. from:sub(PORT_BYTES, PORT_BYTES + 1)
end

local function send(self, client, packet)
  local ok <const> = core.message_put(self.links[1], packet, client.address, client.control)
  carriers.count(self, ok and "forwarded" or "lost")
end

local function forget(self, client)
  self.clients[client.node] = nil
  self.n = self.n - 1
end

-- The client, or nil if there is no room.
local function enter(self, from, info)
  local node <const> = node_of(from)
  if self.n >= self.max_clients or node == self.node or node == BROADCAST then
    carriers.count(self, "refused")
    return nil
  end
  local client <const> = { node = node, address = from, packets = 0 }
  local ip, port = core.message_address(self.links[1], from)
  client.ip, client.port = ip, port
  if self.wild and info and info.local_ip then
    local address, control = core.message_route(self.links[1], "", { ip = ip, port = port, local_ip = info.local_ip })
    if address then client.control = control end
  end
  self.clients[node] = client
  self.n = self.n + 1
  return client
end

local function register(self, from, info)
  local client <const> = self.clients[node_of(from)] or enter(self, from, info)
  if not client then return end
  client.heard = core.now()
  carriers.count(self, "registrations")
  core.message_put(self.links[1], packets.encode({
    type = 0, to_network = 0, to_node = client.node, to_socket = ECHO,
    network = NETWORK, node = self.node, socket = ECHO,
  }, ""), client.address, client.control)
end

-- ---- what comes ----

local function to_others(self, packet, except)
  for _, client in pairs(self.clients) do
    if client ~= except then send(self, client, packet) end
  end
end

-- What a client sent goes to whom it is for; what is for this machine, too,
-- is left to the carrier.
function driver.unwrap(self, data, from, info)
  local packet <const>, wrong <const> = packets.decode(data, 1, true)
  if not packet then return nil, wrong end
  if packet.to_node == NOWHERE and packet.to_socket == ECHO then
    register(self, from, info)
    return nil
  end
  local client <const> = self.clients[node_of(from)]
  if not client then return nil, "foreign" end
  if packet.node ~= client.node then return nil, "spoofed" end
  client.heard, client.packets = core.now(), client.packets + 1
  if packet.to_node == self.node then return 1 end
  local whole <const> = #data == packet.length and data or data:sub(1, packet.length)
  if packet.to_node == BROADCAST then
    to_others(self, whole, client)
    return next(self.sockets) and 1 or nil
  end
  local other <const> = self.clients[packet.to_node]
  if not other then return nil, "elsewhere" end
  if other ~= client then send(self, other, whole) end
  return nil
end

-- The answers to pings of ours.
function driver.control(self, packet)
  return packet.to_socket == ECHO and not self.sockets[ECHO]
end

-- Whoever is silent is asked, and then forgotten.
function driver.expire(self)
  local now <const> = core.now()
  local step <const> = self.idle / CHECKS
  local late <const> = {}
  for _, client in pairs(self.clients) do
    if now - client.heard >= self.idle then
      late[#late + 1] = client
    elseif now - client.heard >= step then
      core.message_put(self.links[1], ipxnet.echo(self.node, 0, BROADCAST), client.address, client.control)
    end
  end
  for _, client in ipairs(late) do
    forget(self, client)
    carriers.count(self, "expired")
  end
  carriers.schedule(self, now + step)
end

-- ---- what goes, of sockets on it ----

function driver.put(self, packet, node)
  if node == BROADCAST then
    to_others(self, packet)
    return true
  end
  local client <const> = self.clients[node]
  if not client then return nil, "No route to host", "EHOSTUNREACH" end
  return core.message_put(self.links[1], packet, client.address, client.control)
end

-- Nobody is told: clients find out by themselves.
function driver.left(self)
  self.clients, self.n = {}, 0
  self.stopped:set()
end

function driver.statistics(self, all) all.clients = self.n end

function driver.trouble() return true end

-- ---- what users see ----

local class <const> = { __name = "neap.ipx.server" }
local methods <const> = {}
class.__index = methods
M.class = class

local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return self.carrier
end

--- Who is there: a list of { ip, port, node, packets, idle }.
function methods:clients()
  local list <const>, now <const> = {}, core.now()
  for _, client in pairs(check(self, "clients").clients) do
    list[#list + 1] = {
      ip = client.ip, port = client.port, node = packets.text(client.node), packets = client.packets,
      idle = now - client.heard,
    }
  end
  table.sort(list, function(a, b) return a.node < b.node end)
  return list
end

--- Forwards no more; sockets on it are closed. Nobody is told: DOSBox has no
-- word for it.
function methods:stop() return carriers.close(check(self, "stop")) end

methods.close = methods.stop

--- Until it is stopped. True, or nil, message, "ETIMEDOUT".
function methods:wait(timeout)
  local carrier <const> = check(self, "wait")
  if timeout ~= nil then args.timeout(timeout, 1, 2) end
  return carrier.stopped:wait(timeout)
end

for _, name in ipairs { "statistics", "getsockname", "isopen", "fileno" } do
  methods[name] = function(self)
    local carrier <const> = check(self, name)
    return carrier[name](carrier)
  end
end

function class:__close() carriers.close(self.carrier) end

function class:__tostring()
  if self.carrier.closed then return "neap.ipx.server (closed)" end
  return ("neap.ipx.server (%d clients)"):format(self.carrier.n)
end

-- ---- making ----

--- o: max_clients, idle, network, mtu, rcvbuf, sndbuf; all checked.
function M.open(host, port, o)
  local wild <const> = host == nil or host == "*"
  local link, why, code = udp.open(wild and "0.0.0.0" or host, port, {
    family = "inet", rcvbuf = o.rcvbuf, sndbuf = o.sndbuf,
  })
  if not link then return nil, why:gsub("^udp%.open", "ipx.server"), code end
  local ip, number = link:getsockname()
  local carrier <const> = carriers.new(driver, {
    links = { link }, network = o.network or 0, node = packets.of_ip(ip, number),
    longest = o.mtu or 576, flat = true, always = true, wild = ip == "0.0.0.0", all = ip == "0.0.0.0",
    clients = {}, n = 0, max_clients = o.max_clients or MAX_CLIENTS, idle = o.idle or IDLE, stopped = sync.event(),
  })
  for _, name in ipairs { "registrations", "forwarded", "lost", "refused", "expired" } do carrier.counts[name] = 0 end
  carrier.due = core.now() + carrier.idle / CHECKS
  carriers.needs_pump(carrier)
  return setmetatable({ carrier = carrier }, class)
end

return M
