--- How tasks meet: channels, events, semaphores, and select over channels.
-- All of it is made of two primitives of the core: park(ticket) waits until
-- someone calls wake(waiter, ticket).
local args <const> = require "neap.args"
local core <const> = require "neap.core"

local park <const>, wake <const>, self_ <const> = core.park, core.wake, core.self
-- Every operation begins with its turn: it refuses where nothing can wait,
-- whether or not it would have to, and gives way when it was busy for long.
local turns <const> = {
  send = core.turn "channel send", receive = core.turn "channel receive", select = core.turn "select",
  wait = core.turn "event wait", acquire = core.turn "semaphore",
}

local M = {}

-- ---- queues of those who wait ----

-- A waiter is the ticket it parks with: { who =, ... }. Those that gave up
-- are marked gone and skipped; when most are gone the queue is swept.
local queue <const> = {}
queue.__index = queue

local function new_queue() return setmetatable({ first = 1, last = 0, gone = 0 }, queue) end

function queue:push(waiter)
  self.last = self.last + 1
  self[self.last] = waiter
end

-- The first that can still be woken, or nil; it is not in the queue any more.
function queue:pop()
  while self.first <= self.last do
    local waiter = self[self.first]
    self[self.first] = nil
    self.first = self.first + 1
    if not waiter.gone then return waiter end
    self.gone = self.gone - 1
  end
end

function queue:sweep()
  local kept = 0
  for i = self.first, self.last do
    local waiter = self[i]
    self[i] = nil
    if not waiter.gone then
      kept = kept + 1
      self[self.first + kept - 1] = waiter
    end
  end
  self.last, self.gone = self.first + kept - 1, 0
end

function queue:leave(waiter)
  waiter.gone = true
  self.gone = self.gone + 1
  if self.gone > 16 and self.gone * 2 > self.last - self.first then self:sweep() end
end

-- A waiter that is interrupted leaves its queues by being closed.
local waiter_meta <const> = {
  __close = function(waiter)
    if waiter.done or waiter.gone then return end
    for _, q in ipairs(waiter) do q:leave(waiter) end
    waiter.gone = true
    wake(waiter.who, waiter) -- if its generator was closed while the task waits
  end,
}

local function new_waiter() return setmetatable({ who = self_() }, waiter_meta) end

-- Wakes one that was taken from this queue; false if it gave up meanwhile.
local function finish(waiter, q, value, code)
  if waiter.done or waiter.gone then return false end
  if not wake(waiter.who, waiter) then return false end
  waiter.done, waiter.from, waiter.value, waiter.code = true, q, value, code
  return true
end

local function await(q, what, timeout, value)
  local waiter <close> = new_waiter()
  waiter[1], waiter.sends = q, value
  q:push(waiter)
  local ok, why, code = park(waiter, what, timeout)
  if not ok then return nil, why, code end
  return waiter
end

-- ---- channels ----

local channel <const> = { __name = "neap.channel" }
channel.__index = channel

--- A channel that holds `capacity` values (0: a send waits for a receiver).
function M.channel(capacity)
  if capacity == nil then capacity = 0 end
  if math.type(capacity) ~= "integer" or capacity < 0 then
    error("bad argument #1 (capacity must be an integer, not negative)", 2)
  end
  return setmetatable({
    capacity = capacity, first = 1, last = 0, closed = false,
    senders = new_queue(), receivers = new_queue(),
  }, channel)
end

function channel:__len() return self.last - self.first + 1 end

-- Without waiting: true if it was sent, false if nobody can take it now.
local function try_send(self, value)
  while true do
    local waiter = self.receivers:pop()
    if not waiter then break end
    if finish(waiter, self.receivers, value) then return true end
  end
  if #self >= self.capacity then return false end
  self.last = self.last + 1
  self[self.last] = value
  return true
end

-- Without waiting: true and a value, or false.
local function try_receive(self)
  local value, taken
  if #self > 0 then
    value, taken = self[self.first], true
    self[self.first] = nil
    self.first = self.first + 1
  end
  while true do
    local waiter = self.senders:pop()
    if not waiter then break end
    local sends = waiter.sends
    if waiter.sending then sends = waiter.sending[self] end
    if finish(waiter, self.senders) then
      if not taken then return true, sends end
      self.last = self.last + 1
      self[self.last] = sends
      break
    end
  end
  return taken or false, value
end

--- True, or nil, message, code: "ECLOSED", "ETIMEDOUT".
function channel:send(value, timeout)
  if getmetatable(self) ~= channel then args.method(self, channel, "send", 2) end
  if value == nil then error("bad argument #1 (a channel cannot carry nil)", 2) end
  if timeout ~= nil then args.timeout(timeout, 2, 2) end
  turns.send()
  if self.closed then return nil, "closed", "ECLOSED" end
  if try_send(self, value) then return true end
  local waiter, why, code = await(self.senders, "channel send", timeout, value)
  if not waiter then return nil, why, code end
  if waiter.code then return nil, "closed", waiter.code end
  return true
end

--- The next value; after close and the last value nil, "closed", "ECLOSED".
function channel:receive(timeout)
  if getmetatable(self) ~= channel then args.method(self, channel, "receive", 2) end
  if timeout ~= nil then args.timeout(timeout, 1, 2) end
  turns.receive()
  local taken, value = try_receive(self)
  if taken then return value end
  if self.closed then return nil, "closed", "ECLOSED" end
  local waiter, why, code = await(self.receivers, "channel receive", timeout)
  if not waiter then return nil, why, code end
  if waiter.code then return nil, "closed", waiter.code end
  return waiter.value
end

--- No more values; who waits to send or to receive wakes with "ECLOSED".
function channel:close()
  if getmetatable(self) ~= channel then args.method(self, channel, "close", 2) end
  if self.closed then return true end
  self.closed = true
  for _, q in ipairs { self.receivers, self.senders } do
    for waiter in function() return q:pop() end do
      finish(waiter, q, nil, "ECLOSED")
    end
  end
  return true
end

channel.__close = channel.close

local function next_value(self) return (self:receive()) end

--- for value in channel:values() do: until it is closed and empty.
function channel:values()
  if getmetatable(self) ~= channel then args.method(self, channel, "values", 2) end
  return next_value, self
end

-- ---- select ----

local function check_case(case, i)
  if type(case) ~= "table" or getmetatable(case[1]) ~= channel
    or case[2] ~= "receive" and case[2] ~= "send" then
    error(("case %d must be { channel, \"receive\" } or { channel, \"send\", value }"):format(i), 3)
  end
  if case[2] == "send" and case[3] == nil then
    error(("case %d sends nil, which a channel cannot carry"):format(i), 3)
  end
end

local function try_case(case)
  local ch <const> = case[1]
  if case[2] == "send" then
    if ch.closed then return true, nil, "ECLOSED" end
    return try_send(ch, case[3])
  end
  local taken, value = try_receive(ch)
  if taken then return true, value end
  if ch.closed then return true, nil, "ECLOSED" end
  return false
end

local favoured = 0 -- so that no case starves another

--- select{ {ch, "receive"}, {ch, "send", value}, timeout = seconds }:
-- the index of the one that happened, and what was received.
function M.select(cases)
  if type(cases) ~= "table" or getmetatable(cases) == channel then
    error("bad argument #1 (table of cases expected)", 2)
  end
  local n = #cases
  for name in pairs(cases) do
    if name ~= "timeout" and not (math.type(name) == "integer" and name >= 1 and name <= n) then
      error(("unknown option '%s'"):format(tostring(name)), 2)
    end
  end
  for i = 1, n do check_case(cases[i], i) end
  if cases.timeout ~= nil and not (type(cases.timeout) == "number" and cases.timeout >= 0) then
    error("option 'timeout' must be a number of seconds, not negative", 2)
  end
  turns.select()
  favoured = favoured + 1
  for i = 1, n do
    local at = (favoured + i) % n + 1
    local done, value, code = try_case(cases[at])
    if done then return at, value, code end
  end
  local waiter <close> = new_waiter()
  local index = {} -- queue -> case; of two that are alike the first
  waiter.sending = {}
  for i, case in ipairs(cases) do
    local ch, sends = case[1], case[2] == "send"
    local q = sends and ch.senders or ch.receivers
    if not index[q] then
      index[q], waiter[#waiter + 1] = i, q
      if sends then waiter.sending[ch] = case[3] end
      q:push(waiter)
    end
  end
  local ok, why, code = park(waiter, "select", cases.timeout)
  if not ok then return nil, why, code end
  for _, q in ipairs(waiter) do
    if q ~= waiter.from then q:leave(waiter) end
  end
  return index[waiter.from], waiter.value, waiter.code
end

-- ---- events and semaphores ----

local event <const> = { __name = "neap.event" }
event.__index = event

function M.event() return setmetatable({ waiters = new_queue(), is = false }, event) end

function event:set()
  if getmetatable(self) ~= event then args.method(self, event, "set", 2) end
  self.is = true
  for waiter in function() return self.waiters:pop() end do finish(waiter, self.waiters) end
  return self
end

function event:clear()
  if getmetatable(self) ~= event then args.method(self, event, "clear", 2) end
  self.is = false
  return self
end

function event:isset()
  if getmetatable(self) ~= event then args.method(self, event, "isset", 2) end
  return self.is
end

--- True once it is set, or nil, message, "ETIMEDOUT".
function event:wait(timeout)
  if getmetatable(self) ~= event then args.method(self, event, "wait", 2) end
  if timeout ~= nil then args.timeout(timeout, 1, 2) end
  turns.wait()
  if self.is then return true end
  local waiter, why, code = await(self.waiters, "event wait", timeout)
  if not waiter then return nil, why, code end
  return true
end

local semaphore <const> = { __name = "neap.semaphore" }
semaphore.__index = semaphore

function M.semaphore(n)
  if math.type(n) ~= "integer" or n < 0 then
    error("bad argument #1 (count must be an integer, not negative)", 2)
  end
  return setmetatable({ waiters = new_queue(), n = n }, semaphore)
end

--- Takes one; waits while there is none. True, or nil, message, "ETIMEDOUT".
function semaphore:acquire(timeout)
  if getmetatable(self) ~= semaphore then args.method(self, semaphore, "acquire", 2) end
  if timeout ~= nil then args.timeout(timeout, 1, 2) end
  turns.acquire()
  if self.n > 0 then
    self.n = self.n - 1
    return true
  end
  local waiter, why, code = await(self.waiters, "semaphore", timeout)
  if not waiter then return nil, why, code end
  return true
end

--- Gives one back: to the first who waits, if any.
function semaphore:release()
  if getmetatable(self) ~= semaphore then args.method(self, semaphore, "release", 2) end
  for waiter in function() return self.waiters:pop() end do
    if finish(waiter, self.waiters) then return self end
  end
  self.n = self.n + 1
  return self
end

function semaphore:count()
  if getmetatable(self) ~= semaphore then args.method(self, semaphore, "count", 2) end
  return self.n
end

--- Calls fn while holding one; gives it back however fn ends.
function semaphore:with(fn, ...)
  if getmetatable(self) ~= semaphore then args.method(self, semaphore, "with", 2) end
  args.argument(fn, "function", 1, 2)
  self:acquire()
  local held <close> = setmetatable({}, { __close = function() self:release() end })
  return fn(...)
end

return M
