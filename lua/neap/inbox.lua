--- What came and waits to be taken, and who waits for it: whoever asked first
-- is given first, and what is given to one who is interrupted is not lost.
local core <const> = require "neap.core"

local park <const>, wake <const>, self_ <const> = core.park, core.wake, core.self

local inbox <const> = {}
inbox.__index = inbox

local M = {}

--- what: what the waiting is called: "receive", "accept".
function M.new(what)
  return setmetatable({
    what = what, first = 1, last = 0, waiters = {}, oldest = 1, newest = 0, gone = 0,
  }, inbox)
end

--- How many wait to be taken.
function inbox:count() return self.last - self.first + 1 end

--- Whether somebody waits.
function inbox:awaited() return self.newest - self.oldest + 1 > self.gone end

-- ---- who waits ----

local function next_waiter(self)
  while self.oldest <= self.newest do
    local waiter = self.waiters[self.oldest]
    self.waiters[self.oldest] = nil
    self.oldest = self.oldest + 1
    if not waiter.gone then return waiter end
    self.gone = self.gone - 1
  end
end

-- Those who gave up go when they are many.
local function sweep(self)
  local kept = 0
  for i = self.oldest, self.newest do
    local waiter = self.waiters[i]
    self.waiters[i] = nil
    if not waiter.gone then
      self.waiters[self.oldest + kept] = waiter
      kept = kept + 1
    end
  end
  self.newest, self.gone = self.oldest + kept - 1, 0
end

-- Gives it to the first who waits; false if nobody does.
local function hand_over(self, item, code)
  for waiter in next_waiter, self do
    if wake(waiter.who, waiter) then
      waiter.item, waiter.code, waiter.done = item, code, true
      return true
    end
  end
  return false
end

local waiter_meta <const> = {
  __close = function(waiter)
    local self <const> = waiter.inbox
    if waiter.item ~= nil then -- it was interrupted after all
      if hand_over(self, waiter.item) then return end
      self.first = self.first - 1
      self[self.first] = waiter.item
    elseif not waiter.done then
      waiter.gone, self.gone = true, self.gone + 1
      if self.gone > 16 and self.gone * 2 > self.newest - self.oldest then sweep(self) end
      wake(waiter.who, waiter) -- if its generator was closed while the task waits
    end
  end,
}

-- ---- what is there ----

--- Adds one, or gives it to who waits.
function inbox:put(item)
  if hand_over(self, item) then return end
  self.last = self.last + 1
  self[self.last] = item
end

--- Takes the first, if there is one.
function inbox:take()
  if self.first > self.last then return nil end
  local item = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  if self.first > self.last then self.first, self.last = 1, 0 end
  return item
end

--- Waits for one. Or nil, message, code: what finish said, or "ETIMEDOUT".
function inbox:wait(timeout)
  local waiter <close> = setmetatable({ inbox = self, who = self_() }, waiter_meta)
  self.newest = self.newest + 1
  self.waiters[self.newest] = waiter
  local ok, why, code = park(waiter, self.what, timeout)
  if not ok then return nil, why, code end
  local item <const> = waiter.item
  waiter.item = nil
  if item == nil then return nil, nil, waiter.code end
  return item
end

--- Whoever waits wakes, with this code.
function inbox:finish(code)
  while hand_over(self, nil, code) do end -- luacheck: ignore 542
end

--- Forgets what is there.
function inbox:clear()
  for i = self.first, self.last do self[i] = nil end
  self.first, self.last = 1, 0
end

return M
