--- A UDP socket with the associations on it. One task for each, the pump,
-- takes what comes, gives it to whose it is, and sends again what got no
-- answer; but whoever wants something looks for it first.
local core <const> = require "neap.core"
local peers <const> = require "neap.dtls.peer"
local machines <const> = require "neap.tlscore".dtls

local M = {}

local endpoint <const> = { __name = "neap.dtls.endpoint" }
endpoint.__index = endpoint

local BURST <const> = 64 -- datagrams, then others have a turn
local HANDSHAKE <const> = 22 -- a record's type
local ENDED <const> = { done = true, failed = true, cancelled = true, killed = true }

--- On a UDP socket, which it closes in the end. wild: it is bound to all
-- addresses, so that each peer is answered from the one it knows.
function M.new(udp, wild)
  udp:settimeout(0)
  return setmetatable({
    udp = udp, wild = wild, all = wild, process = core.process(),
    peers = setmetatable({}, { __mode = "v" }), -- by address
    rivals = {}, -- clients that begin anew, by address
    shaking = {}, nshaking = 0, -- nobody else has those
    timed = {}, -- peer -> when it is to be woken
    n = 0,
  }, endpoint)
end

--- Its socket is also another process's: nothing is said in its name.
function endpoint:inherited() return core.process() ~= self.process end

--- Whether receivemsg tells how many were dropped.
function endpoint:tell_drops(on)
  self.all = self.wild or on
  self.drops = on and (self.drops or 0) or nil
end

-- ---- who is there ----

--- A client: the only one there ever is.
function endpoint:own(peer)
  self.only = setmetatable({ peer }, { __mode = "v" })
  self.n = 1
end

--- One more, of a server: it begins.
function endpoint:enter(peer)
  local there = self.peers[peer.key]
  if there and there.broken then there = nil end -- nothing comes to it any more
  if there and there.state == "open" then
    local rival <const> = self.rivals[peer.key]
    if rival then peers.close(rival, true) end
    self.rivals[peer.key] = peer
  else
    if there then peers.close(there, true) end
    self.peers[peer.key] = peer
  end
  self.n, self.nshaking = self.n + 1, self.nshaking + 1
  self.shaking[peer] = true
end

local function shakes_no_more(self, peer)
  if not self.shaking[peer] then return end
  self.shaking[peer] = nil
  self.nshaking = self.nshaking - 1
end

--- Its handshake is done: one that was there before, at the same address, is
-- no more (RFC 6347 section 4.2.8).
function endpoint:established(peer)
  shakes_no_more(self, peer)
  if not peer.server then return end
  if self.rivals[peer.key] == peer then
    local old <const> = self.peers[peer.key]
    self.rivals[peer.key] = nil
    self.peers[peer.key] = peer
    if old then peers.breakdown(old, "the peer has begun anew", "ECONNRESET") end
  end
  if self.door then self.door:arrived(peer) end
end

--- Its handshake is not going to be done.
function endpoint:failed(peer)
  if self.door and peer.server then self.door:missed(peer) end
end

--- One less; the last one closes the socket, if nobody listens.
function endpoint:leave(peer)
  local key <const> = peer.key or false
  if self.peers[key] == peer then self.peers[key] = nil end
  if self.rivals[key] == peer then self.rivals[key] = nil end
  if not self.peers[key] and self.rivals[key] then
    self.peers[key], self.rivals[key] = self.rivals[key], nil
  end
  shakes_no_more(self, peer)
  self.timed[peer] = nil
  self.n = self.n - 1
  if self.n == 0 and not self.door then self:close() end
end

function endpoint:close()
  self.udp:close()
  return true
end

--- Nobody can use it any more: all of them are told so.
function endpoint:abandon()
  local left <const> = {}
  if self.only then left[1] = self.only[1] end
  for _, list in ipairs { self.peers, self.rivals } do
    for _, peer in pairs(list) do left[#left + 1] = peer end
  end
  for _, peer in ipairs(left) do peers.close(peer) end
  if self.door then self.door:close() end
  self:close()
end

endpoint.__gc = endpoint.close

-- ---- what comes ----

-- The address of who sent it: what tells them apart.
local function key_of(self, from, info)
  return self.wild and info.local_ip and from .. info.local_ip or from
end

local function is_hello(data)
  return data:byte() == HANDSHAKE and machines.ishello(data)
end

-- A client that seems to begin anew is asked for a cookie first. What is said
-- in its name meanwhile is for the one or the other: a record that is not
-- authentic is no record.
local function to_known(self, peer, data, from, info)
  local hello <const> = is_hello(data)
  local rival <const> = self.rivals[peer.key]
  if not hello then
    peers.feed(peer, data)
    if rival then peers.feed(rival, data) end
  elseif rival and rival.random == hello then
    peers.feed(rival, data)
  elseif peer.random ~= hello then
    if self.door then self.door:hello(data, hello, from, info) end
  elseif peer.state == "shaking" then
    peers.feed(peer, data)
  end
end

local function route(self, data, from, info)
  if info and info.drops then self.drops = info.drops end
  if self.only then
    local peer <const> = self.only[1]
    if peer then peers.feed(peer, data) end
    return
  end
  local key <const> = key_of(self, from, info)
  local peer <const> = self.peers[key]
  if peer and peer.state ~= "closed" and not peer.broken then return to_known(self, peer, data, from, info) end
  local hello <const> = self.door and is_hello(data)
  if hello then self.door:hello(data, hello, from, info) end
end

--- Takes what is there, up to a number of datagrams. False if there may be
-- more.
function endpoint:drain()
  for _ = 1, BURST do
    local data, from, info = core.message_take(self.udp, self.all)
    if data then
      route(self, data, from, info)
    elseif not from then
      return true
    elseif info == "ECLOSED" then
      return true
    elseif self.only and self.only[1] then
      peers.trouble(self.only[1], from, info)
    end
  end
  return false
end

-- ---- time ----

--- The peer is to be woken then; nil: never.
function endpoint:schedule(peer, due)
  self.timed[peer] = due
  if due and (not self.due or due < self.due) then
    self.due = due
    if self.sleeps and due < self.sleeps then core.message_wake(self.udp) end
  end
end

-- Wakes whose time it is. Seconds until the next, or nil.
local function expire(self)
  local now = core.now()
  if not self.due then return nil end
  if now >= self.due then
    local late <const> = {}
    for peer, due in pairs(self.timed) do
      if due <= now then late[#late + 1] = peer end
    end
    for _, peer in ipairs(late) do peers.expire(peer) end
    self.due, now = nil, core.now()
    for _, due in pairs(self.timed) do
      if not self.due or due < self.due then self.due = due end
    end
  end
  return self.due and math.max(0, self.due - now)
end

-- ---- the pump ----

-- One round, in a function of its own: what waits holds nothing. Seconds to
-- wait, or false when nobody is there any more.
local function round(held)
  local self <const> = held[1]
  if not self or not self.udp:isopen() then return false end
  local empty <const> = self:drain()
  local left = expire(self)
  if not empty then left = 0 end
  self.sleeps = left and core.now() + left or math.huge
  return left or true
end

-- What ends the pump ends all of them.
local held_meta <const> = { __mode = "v", __close = function(held)
  if held[1] then held[1]:abandon() end
end }

local function pump(udp, held)
  local guard <close> = held
  while true do
    local left = round(guard)
    if not left then return end
    if left == 0 then
      core.sleep(0)
    else
      local _, _, code = core.message_await(udp, left ~= true and left or nil)
      if code == "ECLOSED" then return end
    end
  end
end

--- Whoever waits needs it. In a child after fork there is none, until there is
-- a loop.
function endpoint:needs_pump()
  if self.pump and not ENDED[self.pump:status()] then return end
  self.pump = core.spawn({ daemon = true, name = "dtls" }, pump, self.udp, setmetatable({ self }, held_meta))
end

return M
