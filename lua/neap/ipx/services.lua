-- SPDX-License-Identifier: MIT
--- Who tells of services (SAP) and networks (RIP) on a carrier, and asks for
-- them.
local core <const> = require "neap.core"
local packets <const> = require "neap.ipx.packet"
local sockets <const> = require "neap.ipx.socket"
local args <const> = require "neap.args"
local sync <const> = require "neap.sync"
local wire <const> = require "neap.wire"

local M = {}

local SAP <const>, RIP <const> = 0x452, 0x453
local PEP <const>, RIP_TYPE <const> = 4, 1 -- packet types
local ASK_ALL <const>, TELL_ALL <const>, ASK_NEAREST <const>, TELL_NEAREST <const> = 1, 2, 3, 4
local RIP_ASK <const>, RIP_TELL <const> = 1, 2
local ANY_TYPE <const>, ANY_NETWORK <const> = 0xffff, 0xffffffff
local AT_ONCE <const>, SERVICE <const> = 7, 64 -- how many are in a packet at most; and bytes of one
local ROUTES_AT_ONCE <const>, ROUTE <const> = 50, 8
local OPERATION <const> = 2 -- bytes before them
local GONE <const> = 16 -- hops
local BROADCAST <const> = packets.text(packets.BROADCAST)
local INTERVAL <const> = 60

-- ---- what there is ----

local kinds <const> = { name = "string", type = "count", socket = "count" }

--- A list of services, checked; raises on what is none.
function M.check(given)
  if type(given) ~= "table" then error("option 'services' must be a list of { name =, type =, socket = }", 0) end
  local list <const> = {}
  for i, one in ipairs(given) do
    local o <const> = args.check(one, kinds, 1, 3)
    local name <const> = o.name
    if not name or name == "" or #name > 47 or name:find "%z" then
      error(("option 'services': the name of number %d must have 1 to 47 bytes"):format(i), 0)
    end
    if not o.type or o.type >= ANY_TYPE or not o.socket or o.socket > 0xffff then
      error(("option 'services': number %d needs a type and a socket"):format(i), 0)
    end
    list[i] = o
  end
  return list
end

-- As a packet tells of them.
local function entries_of(state, type, hops)
  local network <const>, node <const> = state.carrier:getaddress()
  local list <const> = {}
  for _, one in ipairs(state.services) do
    if network and (type == ANY_TYPE or one.type == type) then
      list[#list + 1] = { type = one.type, name = one.name, network = network, node = node, socket = one.socket,
        hops = hops }
    end
  end
  return list
end

local function routes_of(state, hops)
  local list <const> = {}
  for i, network in ipairs(state.networks) do list[i] = { network = network, hops = hops, ticks = hops } end
  return list
end

-- ---- telling ----

-- In as many packets as it takes; what cannot be sent is told the next time.
-- size: bytes of each.
local function tell(sock, to, kind, list, at_once, size, make)
  local room <const> = sock:mtu()
  if not room then return end -- closed
  at_once = math.min(at_once, (room - OPERATION) // size)
  for first = 1, #list, at_once do
    local some <const> = table.move(list, first, math.min(#list, first + at_once - 1), 1, {})
    sock:sendmsg(wire.encode { make(some) }, { network = to.network, node = to.node, socket = to.socket, type = kind })
  end
end

local function tell_services(state, to, operation, list)
  tell(state.sap, to, PEP, list, AT_ONCE, SERVICE, function(some)
    return { layer = "sap", operation = operation, services = some }
  end)
end

local function tell_routes(state, to, list)
  tell(state.rip, to, RIP_TYPE, list, ROUTES_AT_ONCE, ROUTE, function(some)
    return { layer = "rip", operation = RIP_TELL, routes = some }
  end)
end

local function to_everybody(socket) return { network = 0, node = BROADCAST, socket = socket } end

-- hops: 1, or GONE.
local function advertise(state, hops)
  tell_services(state, to_everybody(SAP), TELL_ALL, entries_of(state, ANY_TYPE, hops))
  tell_routes(state, to_everybody(RIP), routes_of(state, hops))
end

-- ---- answering ----

local function answer_sap(state, packet, info)
  local operation <const> = packet.operation
  if operation ~= ASK_ALL and operation ~= ASK_NEAREST then return end
  local list <const> = entries_of(state, packet.type, 1)
  state.counts.questions = state.counts.questions + 1
  if operation == ASK_ALL then return tell_services(state, info, TELL_ALL, list) end
  tell_services(state, info, TELL_NEAREST, { list[1] })
end

local function answer_rip(state, packet, info)
  if packet.operation ~= RIP_ASK then return end
  state.counts.questions = state.counts.questions + 1
  local asked <const> = {}
  for _, route in ipairs(packet.routes) do asked[route.network] = true end
  local list <const> = {}
  for _, route in ipairs(routes_of(state, 1)) do
    if asked[ANY_NETWORK] or asked[route.network] then list[#list + 1] = route end
  end
  tell_routes(state, info, list)
end

local function close(state)
  if state.stopped:isset() then return true end
  state.stopped:set()
  state.sap:close()
  state.rip:close()
  return true
end

-- Takes questions until its socket is closed: then all of it is over.
local function serve(state, sock, layer, answer)
  while true do
    local data, info, code = sock:receivemsg()
    if code == "ECLOSED" then return close(state) end
    local packet <const> = data and info.socket ~= 0 and wire.decode(data, layer)
    if packet and packet[layer] then answer(state, packet[layer], info) end
  end
end

local function repeat_advertising(state, interval)
  repeat advertise(state, 1)
  until state.stopped:wait(interval)
end

-- ---- the object ----

local class <const> = { __name = "neap.ipx.services" }
local methods <const> = {}
class.__index = methods

local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return self.state
end

--- Says that they are gone, and answers no more.
function methods:stop()
  local state <const> = check(self, "stop")
  if not state.stopped:isset() and state.interval > 0 then advertise(state, GONE) end
  return close(state)
end

--- At once, and says nothing.
function methods:close() return close(check(self, "close")) end

function methods:isopen() return not check(self, "isopen").stopped:isset() end

--- { questions = }: how many came.
function methods:statistics() return args.with(check(self, "statistics").counts) end

class.__close = methods.close
function class:__gc() close(self.state) end

local function socket_on(carrier, number)
  local sock <const> = sockets.new(carrier, {
    number = number, type = PEP, checksum = false, broadcast = true, maxmessage = 65536, maxqueue = 65536,
  })
  if sock then return sock end
  return nil, ("ipx.services: socket %04x: Address already in use"):format(number), "EADDRINUSE"
end

--- o: carrier, services, networks, interval; all checked.
function M.open(o)
  local network <const> = o.carrier:getaddress()
  if not network then return nil, "ipx.services: the carrier is closed", "ECLOSED" end
  if o.carrier:mtu() < packets.HEADER + OPERATION + SERVICE then
    return nil, "ipx.services: packets of the carrier are too short", "EMSGSIZE"
  end
  local state <const> = {
    carrier = o.carrier, services = o.services, networks = o.networks or network ~= 0 and { network } or {},
    interval = o.interval or INTERVAL, stopped = sync.event(), counts = { questions = 0 },
  }
  local why, code
  state.sap, why, code = socket_on(o.carrier, SAP)
  if not state.sap then return nil, why, code end
  state.rip, why, code = socket_on(o.carrier, RIP)
  if not state.rip then
    state.sap:close()
    return nil, why, code
  end
  core.spawn({ daemon = true, name = "ipx services" }, serve, state, state.sap, "sap", answer_sap)
  core.spawn({ daemon = true, name = "ipx services" }, serve, state, state.rip, "rip", answer_rip)
  if state.interval > 0 then
    core.spawn({ daemon = true, name = "ipx services" }, repeat_advertising, state, state.interval)
  end
  return setmetatable({ state = state }, class)
end

-- ---- asking ----

-- A name ends at its first NUL, whatever lies behind it.
local function collect(found, packet, type)
  for _, one in ipairs(packet.services or {}) do
    if one.hops < GONE and (type == ANY_TYPE or one.type == type) then
      one.name = one.name:match "^[^\0]*"
      local key <const> = ("%d %s"):format(one.type, one.name)
      if not found[key] then found[#found + 1] = one end
      found[key] = true
    end
  end
end

--- Who offers services of this type: a list, empty if nobody answers in time;
-- nearest: the first answer is all of it.
function M.find(carrier, type, timeout, nearest)
  if not carrier:isopen() then return nil, "ipx.find: the carrier is closed", "ECLOSED" end
  local sock <close>, why, code = socket_on(carrier, 0)
  if not sock then return nil, why, code end
  local question <const> = wire.encode {
    { layer = "sap", operation = nearest and ASK_NEAREST or ASK_ALL, type = type },
  }
  local ok
  ok, why, code = sock:sendmsg(question, { network = 0, node = BROADCAST, socket = SAP, type = PEP })
  if not ok then return nil, why:gsub("^sendmsg .-: ", "ipx.find: "), code end
  local deadline <const>, found <const> = core.now() + timeout, {}
  repeat
    sock:settimeout(math.max(0, deadline - core.now()))
    local data
    data, why, code = sock:receivemsg()
    if not data and code ~= "ETIMEDOUT" then return nil, "ipx.find: " .. why:gsub("^receivemsg: ", ""), code end
    local packet <const> = data and wire.decode(data, "sap")
    if packet and packet.sap then collect(found, packet.sap, type) end
  until not data or core.now() >= deadline or nearest and #found > 0
  for key in pairs(found) do
    if math.type(key) ~= "integer" then found[key] = nil end
  end
  return found
end

return M
