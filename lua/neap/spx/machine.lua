-- SPDX-License-Identifier: MIT
--- SPX and SPX II: one connection, without socket or clock. Packets go in with
-- the time; packets come out of `take`, data of `receive`. Times are seconds of
-- any clock that only goes forward.
local out <const> = require "neap.spx.out"
local packets <const> = require "neap.spx.packet"
local receiver <const> = require "neap.spx.receiver"
local sender <const> = require "neap.spx.sender"
local setup <const> = require "neap.spx.setup"

local machine <const> = {}
machine.__index = machine

local M = {}

local SYSTEM <const>, ASK <const>, END <const> = packets.SYSTEM, packets.ASK, packets.END
local FAREWELLS <const> = 5 -- times that a disconnect is said
local LONGEST_LINGER <const> = 120 -- seconds that data may take after the end

-- ---- making ----

-- o: id, longest (packet, with the IPX header), window, retries, spx2 (true,
-- false, "require"), watchdog ({ verify, listen, abort } or false).
local function make(o, now)
  local m <const> = setmetatable({
    id = o.id, remote = packets.NOBODY, longest = o.longest, size = o.longest, window = o.window, retries = o.retries,
    spx2 = o.spx2 and o.longest >= packets.SHORTEST and o.spx2, watchdog = o.watchdog, version = 1,
    out = {}, taken = 0, now = now, spoke = now, heard = now, asked_at = now,
    received = 0, transmitted = 0, malformed = 0,
  }, machine)
  sender.init(m)
  receiver.init(m)
  return m
end

--- One that asks for a connection.
function M.client(o, now)
  local m <const> = make(o, now)
  setup.call(m)
  return m
end

--- What a request of a connection says: the id of who asks, its control, its
-- allocation; nil if it is none.
function M.request(packet)
  local control <const>, _, from <const>, to <const>, _, _, allocation <const> = packets.decode(packet)
  if not control or to ~= packets.NOBODY or control & (SYSTEM | ASK) ~= SYSTEM | ASK then return nil end
  return from, control, allocation
end

--- One that was asked by this request; nil if it is not to have it.
function M.server(o, packet, now)
  local from <const>, control <const>, allocation <const> = M.request(packet)
  if not from or from == packets.NOBODY then return nil end
  if o.spx2 == "require" and control & packets.SPX2 == 0 then return nil end
  local m <const> = make(o, now)
  m.server = true
  setup.answer(m, control, from, allocation)
  return m
end

-- ---- the end ----

--- It is over, because of this.
function machine:fail(code, why)
  if self.state == "closed" then return end
  self.state, self.code, self.why = "closed", code, why
  self.setup_at, self.again_at, self.probe_at, self.acknowledge_at = nil, nil, nil, nil
  self.sent = {}
end

-- As both wanted it.
local function finish(m, ended)
  m.ended = m.ended or ended
  m:fail(nil, nil)
end

local function say_farewell(m)
  m.farewells = (m.farewells or 0) + 1
  out.emit(m, ASK, packets.DISCONNECT, m.next, "")
  m.farewell_patience = math.min(sender.MOST, m.farewell_patience and 2 * m.farewell_patience or m.rto)
  m.farewell_at = m.now + m.farewell_patience
end

-- All was acknowledged, so the end can be said.
local function progress(m)
  if m.state ~= "open" then return end
  if m.releasing and not m.released_at then
    if sender.room(m) > 0 then
      m.released_at = m.next
      sender.send(m, "", m.ended and packets.RELEASED or packets.RELEASE, 0, true)
    else
      sender.blocked(m)
    end
  end
  if m.leaving and m.una == m.next then
    m.state = "leaving"
    say_farewell(m)
  end
end

--- No more data will be sent; the other side is told, and may go on (SPX II).
function machine:release(now)
  self.now, self.releasing = now, true
  progress(self)
end

--- Whether it has been told, and knows.
function machine:released() return self.released_at and self.una > self.released_at end

--- Once all is acknowledged the connection ends; the other side is told.
function machine:leave(now)
  self.now = now
  if self.leaving or self.state == "closed" then return end
  self.leaving, self.left_at = true, now
  if self.remote == packets.NOBODY then return finish(self, true) end
  if self.state ~= "open" then
    self.state = "leaving"
    say_farewell(self)
  end
  progress(self)
end

--- It ends at once; the other side may hear of it.
function machine:abort(now)
  self.now = now
  if self.state == "closed" then return end
  if self.remote ~= packets.NOBODY then say_farewell(self) end
  self:fail("ECONNABORTED", "Software caused connection abort")
end

--- The answer to a disconnect of a connection that is no more; nil if the
-- packet is none.
function M.goodbye(packet)
  local control <const>, type <const>, from <const>, to <const>, sequence <const>, acknowledge <const> =
    packets.decode(packet)
  if not control or type ~= packets.DISCONNECT or control & SYSTEM ~= 0 or to == packets.NOBODY then return nil end
  return packets.encode(0, packets.DISCONNECTED, to, from, acknowledge, sequence, sequence)
end

-- ---- what comes ----

-- The other side says that it has gone.
local function disconnected(m, sequence)
  local missing <const> = packets.unwrap(sequence, m.expected) > m.expected and not m.ended
  out.emit(m, 0, packets.DISCONNECTED, m.next, "")
  if missing then return m:fail("ECONNRESET", "the peer has gone before all came") end
  m.gone = true
  finish(m, true)
end

local function opened(m) return m.state == "open" or m.state == "leaving" end

--- A packet that was sent to this connection's id. length: of it all, with the
-- IPX header.
function machine:input(packet, now)
  self.now = now
  if self.state == "closed" then return end
  local control <const>, type <const>, from <const>, _, sequence <const>, acknowledge <const>, allocation <const>,
    size <const>, at <const> = packets.decode(packet)
  local length <const> = #packet + packets.IPX_HEADER
  if not control or self.remote ~= packets.NOBODY and from ~= self.remote or from == packets.NOBODY
    or length > math.max(self.longest, packets.SHORTEST) then
    self.malformed = self.malformed + 1
    return
  end
  self.received = self.received + 1
  self.heard = now
  if setup.input(self, control, from, size, length) then
    if opened(self) then sender.acknowledged(self, acknowledge, allocation) end
    return
  end
  if self.state == "closed" then return end
  if type == packets.DISCONNECT and control & SYSTEM == 0 then
    sender.acknowledged(self, acknowledge, allocation)
    return disconnected(self, sequence)
  elseif type == packets.DISCONNECTED then
    if self.state == "leaving" then finish(self, true) end
    return
  end
  local system <const> = control & SYSTEM ~= 0
  sender.acknowledged(self, acknowledge, allocation, system and control & ASK == 0)
  if system then
    self.due_now = self.due_now or control & ASK ~= 0
  else
    receiver.data(self, control, type, sequence, packet:sub(at))
  end
  progress(self)
end

--- Data in its order: data, type, whether a message ends with it; or nil.
machine.receive = receiver.take

--- What comes is not wanted any more.
machine.deafen = receiver.deafen

--- Whether all that will ever come has been received.
function machine:finished() return self.last < self.first and (self.ended or self.state == "closed") end

-- ---- what goes ----

--- How many packets of data may be sent now.
function machine:room()
  if self.state ~= "open" or self.releasing or self.leaving then return 0 end
  return sender.room(self)
end

--- Sends data, up to self.maxdata bytes, while there is room.
function machine:send(data, type, ends, more, now)
  self.now = now
  sender.send(self, data, type, ends and END or 0, not more)
end

--- More is to be sent than there is room for.
function machine:blocked(now)
  self.now = now
  if self.state == "open" then sender.blocked(self) end
end

--- The next packet to go, at the end of what was to be done; or nil.
function machine:take(now)
  local n <const> = self.taken + 1
  local packet = self.out[n]
  if not packet and opened(self) then
    self.now = now
    receiver.acknowledge(self)
    packet = self.out[n]
  end
  if not packet then
    if n > 1 then self.out, self.taken = {}, 0 end
    return nil
  end
  self.out[n], self.taken, self.transmitted = false, n, self.transmitted + 1
  return packet
end

-- ---- time ----

local function earlier(a, b)
  if not a then return b end
  return b and b < a and b or a
end

-- Idle for too long: something is said, asked, and in the end it is over.
local function watch(m)
  local dog <const>, now <const> = m.watchdog, m.now
  if now >= m.heard + dog.abort then return m:fail("ETIMEDOUT", "Connection timed out") end
  if now >= m.heard + dog.listen and now >= m.asked_at + dog.verify then
    m.asked_at = now
    out.system(m, ASK)
  elseif now >= m.spoke + dog.verify then
    out.system(m, 0)
  end
end

local function watch_at(m)
  local dog <const> = m.watchdog
  return math.min(m.spoke + dog.verify, math.max(m.heard + dog.listen, m.asked_at + dog.verify), m.heard + dog.abort)
end

--- When `expire` is to be called; nil: never.
function machine:deadline()
  if self.state == "closed" then return nil end
  if self.setup_at then return self.setup_at end
  if self.farewell_at then return self.farewell_at end
  local at = earlier(self.again_at, self.acknowledge_at)
  at = earlier(at, self.probe_at)
  if self.leaving then at = earlier(at, self.left_at + LONGEST_LINGER) end
  return self.watchdog and earlier(at, watch_at(self)) or at
end

local function past(m, at) return at and m.now >= at end

local function timed_out(m) m:fail("ETIMEDOUT", "Connection timed out") end

--- It is time.
function machine:expire(now)
  self.now = now
  if past(self, self.setup_at) then
    if not setup.expire(self) then timed_out(self) end
  elseif past(self, self.farewell_at) then
    if self.farewells >= FAREWELLS then return finish(self, true) end
    say_farewell(self)
  elseif opened(self) then
    if past(self, self.acknowledge_at) then receiver.expire(self) end
    if past(self, self.again_at) and not sender.expire(self) then return timed_out(self) end
    if past(self, self.probe_at) then sender.probe(self) end
    if self.leaving and now >= self.left_at + LONGEST_LINGER then return timed_out(self) end
    if self.watchdog then watch(self) end
  end
end

--- What there is to know of it.
function M.info(m)
  return {
    version = m.version, state = m.state, id = m.id, remote_id = m.remote, size = m.size, maxdata = m.maxdata,
    window = m.window, peer_window = math.max(0, m.limit - m.next + 1), unacknowledged = m.next - m.una,
    rtt = m.rtt, deviation = m.deviation, rto = m.rto, retransmissions = m.retransmissions,
    duplicates = m.duplicates, reordered = m.reordered, packets_in = m.received, packets_out = m.transmitted,
  }
end

--- The request that began it has come again.
function machine:requested(now)
  self.now = now
  setup.repeated(self)
end

return M
