--- Who answers, and how soon: the engine of ping, for any number of hosts of
-- one family on one socket. It runs in its caller's task.
local core <const> = require "neap.core"
local echo <const> = require "neap.icmp.echo"
local random <const> = require "neap.random"
local errors <const> = require "neap.icmp.errors"

local M = {}

local COOKIE <const> = 8
local BURST <const> = 16      -- requests that go before answers are looked for
local REMEMBERED <const> = 10 -- seconds, for what comes late or twice
local MOST_REMEMBERED <const> = 8192
local SEQUENCES <const> = 1 << 16

-- ---- what is known of a host ----

--- The counters of a host, which the list of its answers may follow.
function M.target(host, ip, family)
  return {
    host = host, ip = ip, family = family, sent = 0, received = 0, lost = 0, errors = 0, duplicates = 0, damaged = 0,
    late = 0,
  }
end

-- Keeps min, avg, max and mdev, the standard deviation, as ping has them.
local function measure(engine, target, rtt)
  local sums = engine.sums[target]
  sums.sum, sums.squares = sums.sum + rtt, sums.squares + rtt * rtt
  target.min = math.min(target.min or rtt, rtt)
  target.max = math.max(target.max or rtt, rtt)
  target.avg = sums.sum / target.received
  target.mdev = math.sqrt(math.max(0, sums.squares / target.received - target.avg ^ 2))
end

-- ---- payload ----

local function cookie(engine)
  local at = engine.cookie_at
  if at > #engine.cookies then
    engine.cookies, at = random.bytes(COOKIE * 128), 1
  end
  engine.cookie_at = at + COOKIE
  return engine.cookies:sub(at, at + COOKIE - 1)
end

-- The first byte that is not as it was sent: one behind the end if only the
-- length differs. Most answers are whole.
local function damage(sent, got)
  if got == sent then return nil end
  local n <const> = math.min(#sent, #got)
  for i = 1, n do
    if sent:byte(i) ~= got:byte(i) then return i end
  end
  return n + 1
end

-- ---- queues: first in, first out, since all wait equally long ----

local function push(queue, value)
  queue.last = queue.last + 1
  queue[queue.last] = value
end

local function pop(queue)
  if queue.first > queue.last then return nil end
  local value = queue[queue.first]
  queue[queue.first] = nil
  queue.first = queue.first + 1
  return value
end

local function head(queue) return queue[queue.first] end

local function new_queue() return { first = 1, last = 0 } end

-- ---- the engine ----

local engine <const> = {}
engine.__index = engine

--- One for these targets, all of this family: engine, or nil, message, code.
function M.engine(family, targets, o)
  local link, why, code = echo.open(family, o)
  if not link then return nil, why, code end
  local self = setmetatable({
    link = link, o = o, sums = {}, cookies = "", cookie_at = 1, sequence = (">I2"):unpack(random.bytes(2)),
    flights = {},       -- sequence -> what is known of that request
    due = new_queue(),  -- targets, by when the next request goes
    open = new_queue(), -- requests that wait for an answer
    past = new_queue(), -- those that need not, but may get one yet
    ready = new_queue(), -- events
    unanswered = 0,
  }, engine)
  local now = core.now()
  for _, target in ipairs(targets) do
    self.sums[target] = { sum = 0, squares = 0 }
    push(self.due, { target = target, at = now })
  end
  return self
end

function engine:close() self.link:close() end
engine.__close = engine.close

-- An answer, or why there is none; it ends the request unless several may
-- answer it.
local function reply_of(flight)
  local target <const> = flight.target
  return { host = target.host, ip = target.ip, seq = flight.number }
end

local function tell(self, flight, reply) push(self.ready, { reply = reply, target = flight.target }) end

local function settle(self, flight)
  if flight.settled then return end
  flight.settled = true
  self.unanswered = self.unanswered - 1
end

-- Many may answer what is sent to a group.
local function is_group(ip, o)
  local first = math.tointeger(tonumber(ip:match "^%d+%f[.]"))
  return o.broadcast or first and first >= 224 and first <= 239 or ip:find("^[fF][fF]%x%x:") ~= nil
end

local function send_one(self, slot, now)
  local target <const>, o <const> = slot.target, self.o
  target.sent = target.sent + 1
  local flight = {
    target = target, number = target.sent, sequence = self.sequence, answered = 0,
    group = is_group(target.ip, o), payload = (cookie(self) .. o.filler):sub(1, o.size),
  }
  self.sequence = (self.sequence + 1) % SEQUENCES
  flight.at, flight.wall = core.now(), core.realtime()
  local done, why, code, mtu = self.link:send(target.ip, flight.sequence, flight.payload)
  if done then
    flight.deadline = flight.at + o.timeout
    self.flights[flight.sequence] = flight
    self.unanswered = self.unanswered + 1
    push(self.open, flight)
  else
    local reply = reply_of(flight)
    reply.code, reply.message, reply.mtu = code, why, mtu
    target.errors = target.errors + 1
    tell(self, flight, reply)
  end
  if target.sent < o.count then
    slot.at = math.max(slot.at + o.interval, now)
    push(self.due, slot)
  end
end

-- Whether one may go now: the number that is next may still be in the air.
local function may_send(self, now)
  local slot = head(self.due)
  local flight = self.flights[self.sequence]
  return slot and slot.at <= now and not (flight and not flight.settled)
end

local function send_due(self)
  local now <const> = core.now()
  for _ = 1, BURST do
    if not may_send(self, now) then return end
    send_one(self, pop(self.due), now)
  end
end

-- By the kernel's clock, unless that was set meanwhile.
local function time_of(flight, info)
  local rtt <const> = core.now() - flight.at
  local by_kernel <const> = info.timestamp and (info.timestamp - flight.wall) / 1e9
  if by_kernel and by_kernel >= 0 and by_kernel <= rtt then return by_kernel end
  return rtt
end

local function answered(self, flight, answer)
  local target <const>, info <const> = flight.target, answer.info
  local reply = reply_of(flight)
  reply.from, reply.ttl, reply.tos, reply.size = info.ip, info.ttl, info.tos, #answer.payload
  reply.rtt = time_of(flight, info)
  reply.damaged = damage(flight.payload, answer.payload)
  flight.answered = flight.answered + 1
  if flight.answered > 1 then
    reply.duplicate = true
    target.duplicates = target.duplicates + 1
    if flight.reply then flight.reply.duplicates = (flight.reply.duplicates or 0) + 1 end
  elseif flight.settled then
    target.late = target.late + 1
    return
  else
    flight.reply = reply
    target.received = target.received + 1
    measure(self, target, reply.rtt)
  end
  if reply.damaged then target.damaged = target.damaged + 1 end
  if not flight.group then settle(self, flight) end
  tell(self, flight, reply)
end

local function failed(self, flight, e)
  if flight.settled then return end
  local reply = errors.fill(reply_of(flight), e)
  reply.rtt = e.at - flight.at
  flight.target.errors = flight.target.errors + 1
  settle(self, flight)
  tell(self, flight, reply)
end

-- Whether an answer is to what we sent: who knows the whole cookie has seen
-- it; others must be the one we asked.
local function is_genuine(flight, answer)
  local sent <const>, got <const> = flight.payload, answer.payload
  local n <const> = math.min(COOKIE, #sent)
  if sent:sub(1, n) ~= got:sub(1, n) then return false end
  return n == COOKIE or flight.group or answer.info.ip == flight.target.ip
end

-- Of an error that is about what we sent: "this host" has an address there.
local function is_about(flight, e)
  local ip <const> = flight.target.ip
  return not e.ip or e.ip == ip or ip == "0.0.0.0" or ip == "::"
end

local function handle(self, event)
  local flight = self.flights[event.sequence]
  if flight and event.error then
    if is_about(flight, event.error) then return failed(self, flight, event.error) end
  elseif flight and is_genuine(flight, event) then
    return answered(self, flight, event)
  end
  self.link.strays = self.link.strays + 1
end

local function expire(self)
  local now <const> = core.now()
  local flight = head(self.open)
  while flight and (flight.settled or flight.deadline <= now) do
    pop(self.open)
    if not flight.settled then
      settle(self, flight)
      if flight.answered == 0 then
        local reply = reply_of(flight)
        reply.code, reply.message = "ETIMEDOUT", ("no answer from %s"):format(flight.target.ip)
        flight.target.lost = flight.target.lost + 1
        tell(self, flight, reply)
      end
    end
    push(self.past, flight)
    flight = head(self.open)
  end
  flight = head(self.past)
  while flight and (flight.deadline + REMEMBERED <= now or self.past.last - self.past.first >= MOST_REMEMBERED) do
    pop(self.past)
    if self.flights[flight.sequence] == flight then self.flights[flight.sequence] = nil end
    flight = head(self.past)
  end
end

-- When there is something to do again, or nil if all is done.
local function next_time(self)
  local slot, flight = head(self.due), head(self.open)
  if slot and flight then
    if may_send(self, slot.at) then return math.min(slot.at, flight.deadline) end
    return flight.deadline
  end
  return slot and slot.at or flight and flight.deadline
end

--- Waits for the next reply: reply, target. nil once all is done; or nil,
-- message, code.
function engine:next()
  while true do
    local told = pop(self.ready)
    if told then return told.reply, told.target end
    send_due(self)
    local until_ = next_time(self)
    if head(self.ready) then until_ = 0 end
    if not until_ then return nil end
    -- What has come is taken before anything is called late.
    local event, why, code = self.link:next(until_)
    local left = BURST * 4
    while event and left > 0 do
      handle(self, event)
      left = left - 1
      event, why, code = self.link:next(0)
    end
    if event then handle(self, event) end
    if code then return nil, why, code end
    if not event then expire(self) end
  end
end

return M
