--- Who listens for clients of DTLS: asks each for a cookie before anything is
-- kept, and gives those whose handshake is done.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local contexts <const> = require "neap.tls.context"
local inboxes <const> = require "neap.inbox"
local peers <const> = require "neap.dtls.peer"
local serving <const> = require "neap.serving"
local machines <const> = require "neap.tlscore".dtls

local M = {}

local ROTATE <const> = 120 -- seconds that one secret makes cookies; it is accepted as long again
local MOST_FAILURES <const> = 64 -- that wait to be told

-- ---- the door: the listener's part of an endpoint ----

local door <const> = {}
door.__index = door

local function new_end(self)
  return machines.open(self.context, true, nil, nil, self.settings.mtu, self.settings.first)
end

-- No more now: who comes asks again later.
local function is_full(self)
  local o <const>, endpoint <const> = self.settings, self.endpoint
  return endpoint.nshaking >= o.max_handshakes or endpoint.n >= o.max_peers or self.ready:count() >= o.backlog
end

-- Where an answer goes to, and comes from.
local function route_of(self, from, info)
  local endpoint <const> = self.endpoint
  local route <const> = { key = from, address = from }
  route.ip, route.port = core.message_address(endpoint.udp, from)
  if not endpoint.wild or not info.local_ip then return route end
  route.local_ip, route.key = info.local_ip, from .. info.local_ip
  local address, control = core.message_route(endpoint.udp, "", {
    ip = route.ip, port = route.port, local_ip = info.local_ip,
  })
  if address then route.address, route.control = address, control end
  return route
end

--- A datagram that begins with a ClientHello of this random.
function door:hello(data, random, from, info)
  local now <const> = core.now()
  self.hellos = self.hellos + 1
  if now - self.rotated > ROTATE then
    machines.rotate(self.cookies)
    self.rotated = now
  end
  if is_full(self) then
    self.refused = self.refused + 1
    return
  end
  local spare <const> = self.spare or new_end(self)
  self.spare = spare
  if not spare then return end
  local route <const> = route_of(self, from, info)
  if machines.listen(spare, self.cookies, route.key, data) then
    self.spare = nil
    local peer <const> = peers.server(self.endpoint, spare, self.settings, route, random)
    self.endpoint:enter(peer)
    peers.feed(peer)
    return
  end
  for datagram in machines.take, spare do
    core.message_put(self.endpoint.udp, datagram, route.address, route.control)
  end
end

--- Its handshake is done.
function door:arrived(peer) self.ready:put(peer) end

--- Its handshake has failed.
function door:missed(peer)
  self.failed = self.failed + 1
  local told <const> = self.serving and self.serving.on_error
  if told and self.ready:count() < MOST_FAILURES then self.ready:put { failed = peer } end
end

--- Nobody listens any more; who was accepted lives on.
function door:close()
  local endpoint <const> = self.endpoint
  if endpoint.door ~= self then return end
  for item in self.ready.take, self.ready do
    if item.endpoint then peers.close(item) end
  end
  local left <const> = {}
  for peer in pairs(endpoint.shaking) do left[#left + 1] = peer end
  for _, peer in ipairs(left) do peers.close(peer) end
  endpoint.door = nil
  self.ready:finish "ECLOSED"
  if endpoint.n == 0 then endpoint:close() end
end

-- ---- the listener ----

local methods <const> = {}
local class <const> = { __name = "neap.dtls.listener", __index = methods }
local turn <const> = core.turn "accept"
local closed <const> = { "closed", "ECLOSED" }

local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return self.door
end

local function is_open(self) return self.door.endpoint.door == self.door end

--- On an endpoint. settings: what the peers are to have, and the limits.
function M.new(endpoint, context, settings)
  local cookies, why, code = machines.cookies()
  if not cookies then return nil, why, code end
  endpoint.door = setmetatable({
    endpoint = endpoint, context = context, settings = settings, cookies = cookies, rotated = core.now(),
    ready = inboxes.new "accept", failed = 0, refused = 0, hellos = 0,
  }, door)
  return setmetatable({ door = endpoint.door }, class)
end

-- The next whose handshake is done, or failed: if somebody wants to know.
local function next_item(self, timeout)
  local d <const> = self.door
  turn()
  if not is_open(self) then return nil, table.unpack(closed) end
  local item = d.ready:take()
  if not item then
    d.endpoint:needs_pump()
    d.endpoint:drain()
    item = d.ready:take()
  end
  if item then return item end
  local why, code
  item, why, code = d.ready:wait(timeout)
  if item then return item end
  if code == "ECLOSED" then return nil, table.unpack(closed) end
  return nil, "accept: " .. why, code
end

local reload_options <const> = args.with(contexts.datagram_options, { context = "context" })

--- Other certificates, keys, options for those who come from now on; files are
-- read again.
function methods:reload(given)
  local d <const> = check(self, "reload")
  local o <const> = args.check(given, reload_options, 1, 2)
  if not is_open(self) then return nil, table.unpack(closed) end
  local context, why, code = contexts.reload(d.context, d.settings.named, o, 2)
  if not context then return nil, why, code end
  d.context, d.settings.named, d.spare = context, o.context ~= nil, nil
  return self
end

--- Waits for a client whose handshake is done: its message socket.
function methods:accept(timeout)
  check(self, "accept")
  args.timeout(timeout, 1, 2)
  local deadline <const> = timeout and core.now() + timeout
  while true do
    local item, why, code = next_item(self, deadline and math.max(0, deadline - core.now()))
    if not item then return nil, why, code end
    if item.state == "open" then return item end
  end
end

-- The next client for a handler; who failed is told of.
local function next_served(self, state)
  while true do
    local item, why, code = next_item(self)
    if not item then return nil, why, code end
    if item.state == "open" then return item end
    local failed <const> = state.on_error and item.failed
    if failed then state.group:spawn(state.on_error, failed.failure[1], "", failed) end
  end
end

serving.methods(methods, check, next_served)

-- ---- what it is ----

--- No more clients; those that were accepted live on.
function methods:close()
  check(self, "close"):close()
  return true
end

function methods:isopen()
  check(self, "isopen")
  return is_open(self)
end

--- How many handshakes have failed.
function methods:tlsfailures() return check(self, "tlsfailures").failed end

--- Counts: peers, handshakes; hellos, refused, failed since it was made.
function methods:statistics()
  local d <const> = check(self, "statistics")
  local n <const> = d.endpoint.nshaking
  return { peers = d.endpoint.n - n, handshakes = n, hellos = d.hellos, refused = d.refused, failed = d.failed }
end

for _, name in ipairs { "getsockname", "setsockopt", "getsockopt", "fileno" } do
  methods[name] = function(self, ...)
    local d <const> = check(self, name)
    if not is_open(self) then return nil, table.unpack(closed) end
    local udp <const> = d.endpoint.udp
    local results <const> = table.pack(args.blame(2, udp[name], udp, ...))
    if results[1] == udp then return self end
    return table.unpack(results, 1, results.n)
  end
end

local function close(self) self.door:close() end
class.__close, class.__gc = close, close

function class.__tostring(self)
  if not is_open(self) then return "neap.dtls.listener (closed)" end
  return ("neap.dtls.listener (%d)"):format(self.door.endpoint.udp:fileno())
end

return M
