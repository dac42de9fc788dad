-- SPDX-License-Identifier: MIT
--- What carries packets: one message socket below (two, where broadcasts need
-- their own), and above it the IPX sockets that share it, by their numbers.
-- What comes is taken by whoever wants something; while somebody waits, by a
-- task, the pump. How packets lie in what the socket below carries is the
-- driver's: neap.ipx.ethernet, neap.ipx.udp, neap.ipx.ipxnet, neap.ipx.server.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local packets <const> = require "neap.ipx.packet"
local random <const> = require "neap.random"

local M = {}

local class <const> = { __name = "neap.ipx.carrier" }
local methods <const> = {}
class.__index = methods
M.class = class

local BROADCAST <const> = packets.BROADCAST
local BURST <const> = 64 -- packets, then others have a turn
local BURSTS <const> = 64 -- the most that are dropped before a socket is there
local FIRST_FREE <const>, LAST_FREE <const> = 0x4000, 0x7fff
local ENDED <const> = { done = true, failed = true, cancelled = true, killed = true }

--- What every carrier counts of what it did not give to anybody.
local COUNTS <const> = { "short", "malformed", "checksum", "foreign", "elsewhere", "unclaimed", "spoofed", "own" }

--- driver: a table of functions, each of which gets the carrier:
--   unwrap(carrier, data, from, info)  a packet's place in what came; or nil
--   put(carrier, packet, node)         sends it: true, or nil, message, code
--   control(carrier, packet)           whether the packet was the driver's own
--   expire(carrier)                    it is time (carrier.due)
--   left(carrier)                      it is closed
-- All but the first two may be absent. o: links, network, node, longest (of a
-- packet), router, always (it works though no socket is there),
-- and whatever the driver keeps.
function M.new(driver, o)
  o.driver = driver
  o.sockets = setmetatable({}, { __mode = "v" })
  o.counts = { received = 0, sent = 0 }
  for _, name in ipairs(COUNTS) do o.counts[name] = 0 end
  o.pumps = {}
  o.process = core.process()
  for _, link in ipairs(o.links) do link:settimeout(0) end
  return setmetatable(o, class)
end

--- It is also another process's: nothing is said in its name.
function M.inherited(self) return core.process() ~= self.process end

--- Whether it is one, and open.
function M.isopen(self) return self.links[1]:isopen() end

local function count(self, name) self.counts[name] = self.counts[name] + 1 end
M.count = count

-- ---- the sockets on it ----

-- Takes what has come, so that none of it is given to a socket that is made
-- now.
local function catch_up(self)
  for _ = 1, BURSTS do
    if M.drain(self) then return end
  end
end

--- A place for the socket: by its number, or by any that is free (0). The
-- number, or nil if there is none.
function M.enter(self, socket, number)
  catch_up(self)
  if number == 0 then
    local free <const> = LAST_FREE - FIRST_FREE + 1
    local first <const> = (">I2"):unpack(random.bytes(2)) % free
    for i = 0, free - 1 do
      local one = FIRST_FREE + (first + i) % free
      if not self.sockets[one] then
        number = one
        break
      end
    end
  end
  if number == 0 or self.sockets[number] then return nil end
  self.sockets[number] = socket
  return number
end

-- Whether nobody can wait for anything: not a socket, nor the driver.
local function is_idle(self) return not self.always and next(self.sockets) == nil end

local function wake_pumps(self)
  for _, link in ipairs(self.links) do core.message_wake(link) end
end

--- Its place is free again.
function M.leave(self, socket)
  if self.sockets[socket.number] == socket then self.sockets[socket.number] = nil end
  if not self.closed and is_idle(self) then wake_pumps(self) end
end

local function all_sockets(self)
  local list <const> = {}
  for _, socket in pairs(self.sockets) do list[#list + 1] = socket end
  return list
end

-- ---- what comes ----

-- To whose number it is; except: who has sent it.
local function deliver(self, packet, except)
  local socket <const> = self.sockets[packet.to_socket]
  if not socket or socket == except then
    if not except then count(self, "unclaimed") end
    return
  end
  socket:deliver(packet)
end
M.deliver = deliver

-- Whether the network is this one. 0 is the one that the packet is on.
local function is_near(self, network) return network == 0 or self.network == 0 or network == self.network end

local function is_ours(self, packet)
  if not is_near(self, packet.to_network) then return false end
  return packet.to_node == self.node or packet.to_node == BROADCAST
end

local function arrived(self, data, from, info)
  if info and info.drops then self.drops = info.drops end
  count(self, "received")
  local driver <const> = self.driver
  local at <const>, wrong <const> = driver.unwrap(self, data, from, info)
  if not at then
    if wrong then count(self, wrong) end
    return
  end
  local packet <const>, why <const> = packets.decode(data, at)
  if not packet then return count(self, why) end
  if packet.node == BROADCAST then return count(self, "spoofed") end -- an answer would go to all
  if driver.control and driver.control(self, packet, from) then return end
  if packet.node == self.node and is_near(self, packet.network) then return count(self, "own") end
  if not is_ours(self, packet) then return count(self, "elsewhere") end
  deliver(self, packet)
end

-- What the system says of the link: each socket tells it once.
local function trouble(self, why, code)
  if self.driver.trouble and self.driver.trouble(self, code) then return end
  for _, socket in ipairs(all_sockets(self)) do socket:trouble(why, code) end
end

local function drain_link(self, link)
  for _ = 1, BURST do
    local data, from, info = core.message_take(link, self.all)
    if data then
      arrived(self, data, from, info)
    elseif not from or info == "ECLOSED" then
      return true
    else
      trouble(self, from, info)
    end
  end
  return false
end

--- Takes what is there, up to a number of packets. False if there may be more.
function M.drain(self)
  local empty = true
  for _, link in ipairs(self.links) do empty = drain_link(self, link) and empty end
  return empty
end

--- Whether receivemsg tells how many the kernel has dropped.
function M.tell_drops(self, on)
  self.tells_drops = on
  self.all = on or self.wild
  self.drops = on and (self.drops or 0) or nil
end

-- ---- what goes ----

-- Whom a packet is given to on the way to its network: its node, or a router.
local function next_hop(self, network, node)
  if self.flat or is_near(self, network) then return node end
  if self.router then return self.router end
  return nil, "Network is unreachable", "ENETUNREACH"
end

--- Sends a packet of a socket's, or brings it to another on this carrier.
-- True, or nil, message, code: "EAGAIN" if there is no room now.
function M.put(self, p, data, sum, socket)
  local node <const> = p.to_node
  local near <const> = is_near(self, p.to_network)
  if near and node == self.node then
    p.data, p.length, p.hops = data, packets.HEADER + #data, 0
    deliver(self, p)
    return true
  end
  local hop, why, code = next_hop(self, p.to_network, node)
  local ok
  if hop then ok, why, code = self.driver.put(self, packets.encode(p, data, sum), hop) end
  if not ok then return nil, why, code end
  count(self, "sent")
  if near and node == BROADCAST then
    p.data, p.length, p.hops = data, packets.HEADER + #data, 0
    deliver(self, p, socket)
  end
  return true
end

-- ---- the pump ----

--- The driver is to be called then; nil: never.
function M.schedule(self, due)
  self.due = due
  if due and self.sleeps and due < self.sleeps then core.message_wake(self.links[1]) end
end

-- One round, in a function of its own: what waits holds nothing. Seconds to
-- wait, or false when nobody is there any more.
local function round(held, link)
  local self <const> = held[1]
  if not self or not link:isopen() then return false end
  if is_idle(self) then
    held[1] = nil -- it lives on
    return false
  end
  local empty <const> = drain_link(self, link)
  if link ~= self.links[1] then return empty and true or 0 end
  if self.due and core.now() >= self.due then
    self.due = nil
    self.driver.expire(self)
  end
  local left = self.due and math.max(0, self.due - core.now())
  if not empty then left = 0 end
  self.sleeps = left and core.now() + left or math.huge
  return left or true
end

-- What ends the pump ends the carrier: nobody would be served any more.
local held_meta <const> = { __mode = "v", __close = function(held)
  if held[1] then M.close(held[1]) end
end }

local function pump(link, held)
  local guard <close> = held
  while true do
    local left = round(guard, link)
    if not left then return end
    if left == 0 then
      core.sleep(0)
    else
      local _, _, code = core.message_await(link, left ~= true and left or nil)
      if code == "ECLOSED" then return end
    end
  end
end

--- Whoever waits needs it. In a child after fork there is none, until there is
-- a loop.
function M.needs_pump(self)
  for i, link in ipairs(self.links) do
    local task <const> = self.pumps[i]
    if not task or ENDED[task:status()] then
      self.pumps[i] = core.spawn({ daemon = true, name = "ipx" }, pump, link, setmetatable({ self }, held_meta))
    end
  end
end

-- ---- the end ----

--- With all its sockets, at once.
function M.close(self)
  if self.closed then return true end
  self.closed = true
  if self.driver.left then self.driver.left(self) end
  for _, socket in ipairs(all_sockets(self)) do socket:close() end
  for _, link in ipairs(self.links) do link:close() end
  return true
end

-- ---- what users see ----

--- Calls a method of the link in another's name: what it raises blames who
-- called that one, by the numbers of its arguments. Not to be called last: the
-- caller's line would be lost.
function M.below(self, whose, level, name, ...)
  local link <const> = self.links[1]
  local results <const> = table.pack(pcall(link[name], link, ...))
  if not results[1] then
    local text <const> = tostring(results[2]):gsub("^[^\n:]+:%d+: ", "")
    error(text:gsub("^bad argument #(%d+) to '[%w_.?]+'", function(n)
      return ("bad argument #%d"):format(n - 1)
    end), level + 1)
  end
  if results[2] == link then return whose end
  return table.unpack(results, 2, results.n)
end

local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return not self.closed
end
M.check = check

function methods:close()
  check(self, "close")
  return M.close(self)
end

function methods:isopen() return check(self, "isopen") end

function methods:kind()
  check(self, "kind")
  return self.driver.kind
end

--- The longest packet, its header included.
function methods:mtu()
  check(self, "mtu")
  return self.longest
end

--- Network and node of this machine.
function methods:getaddress()
  if not check(self, "getaddress") then return nil, "closed", "ECLOSED" end
  return self.network, packets.text(self.node)
end

--- What came, what went, and what was not given to anybody, and why.
function methods:statistics()
  check(self, "statistics")
  local all <const> = args.with(self.counts)
  all.sockets = #all_sockets(self)
  if self.driver.statistics then self.driver.statistics(self, all) end
  return all
end

for _, name in ipairs { "getsockname", "fileno", "setsockopt", "getsockopt" } do
  methods[name] = function(self, ...)
    if not check(self, name) then return nil, "closed", "ECLOSED" end
    local value, more, code = M.below(self, self, 2, name, ...)
    return value, more, code
  end
end

class.__close, class.__gc = M.close, M.close

function class.__tostring(self)
  if self.closed then return class.__name .. " (closed)" end
  return ("%s (%s, %s)"):format(class.__name, self.driver.kind, packets.text(self.node))
end

return M
