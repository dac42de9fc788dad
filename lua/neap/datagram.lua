-- SPDX-License-Identifier: MIT
--- What message sockets that are made in Lua (neap.dtls, neap.ipx) have in
-- common: being asked what they are, and giving what has come. Of a socket it
-- wants: inbox, queued, timeout, maxmessage, tap; received, receivedbytes, sent,
-- sentbytes, oversized, dropped; and that nothing is delivered to it once it is
-- deaf.
local core <const> = require "neap.core"
local args <const> = require "neap.args"

local M = {}

local MANY <const>, MOST <const> = 64, 1024 -- of receivemany
local LONGEST <const> = 1 << 30
local LONGEST_WAIT <const> = 0.2 -- seconds until a full queue is tried again, at most

function M.is_closed() return nil, "closed", "ECLOSED" end

local is_closed <const> = M.is_closed

--- Tells the tap. It must not disturb: one that raises is taken away.
function M.tell(self, ...)
  local ok, err = core.unwaiting(self.tap, ...)
  if ok then return end
  self.tap = nil
  local neap <const> = package.loaded.neap
  if neap and neap.onerror then pcall(neap.onerror, self, err, "") end
end

local tell <const> = M.tell

-- ---- what it is ----

--- Methods that all have. check(self, name): whether it is open; raises if it
-- is none of the class.
function M.describe(methods, kind, check)
  function methods:settap(fn)
    if not check(self, "settap") then return is_closed() end
    if fn ~= nil then args.argument(fn, "function", 1, 2) end
    self.tap = fn
    return self
  end

  function methods:settimeout(seconds)
    if not check(self, "settimeout") then return is_closed() end
    self.timeout = args.timeout(seconds, 1, 2)
    return self
  end

  function methods:gettimeout()
    if not check(self, "gettimeout") then return is_closed() end
    return self.timeout
  end

  function methods:counters()
    check(self, "counters")
    return self.received, self.receivedbytes, self.sent, self.sentbytes, self.oversized
  end

  function methods:isopen() return check(self, "isopen") end

  function methods:kind()
    check(self, "kind")
    return kind
  end

  --- What was dropped because nobody took it, and what waits.
  function methods:statistics()
    if not check(self, "statistics") then return is_closed() end
    return { drops = self.dropped, queued = self.inbox:count() }
  end
end

--- Methods that it cannot have.
function M.refuse(methods, check, names)
  for _, name in ipairs(names) do
    methods[name] = function(self)
      if not check(self, name) then return is_closed() end
      return nil, ("%s: Operation not supported"):format(name), "EOPNOTSUPP"
    end
  end
end

--- Nothing more is sent ("w"): mute(self); or taken ("r").
function M.end_with(methods, check, mute)
  function methods:shutdown(how)
    if not check(self, "shutdown") then return is_closed() end
    if how ~= "r" and how ~= "w" and how ~= "rw" then
      error("bad argument #1 (\"r\", \"w\" or \"rw\" expected)", 2)
    end
    if how ~= "r" then mute(self) end
    if how ~= "w" then
      self.deaf = true
      self.inbox:clear()
      self.queued = 0
      self.inbox:finish "EOF"
    end
    return self
  end
end

-- ---- receiving ----

local function check_max(max, most)
  if max == nil then return end
  if math.type(max) ~= "integer" or max < 1 or max > most then
    error(("bad argument #1 (an integer in [1, %d] expected)"):format(most), 3)
  end
end

local function deadline_of(self) return self.timeout and core.now() + self.timeout end

-- The columns that are given, or new ones, in which what was there before is
-- written over.
local function check_lists(lists, width)
  for i = 1, width do
    if lists[i] == nil then lists[i] = {} end
    if type(lists[i]) ~= "table" then
      error(("bad argument #%d (table expected, got %s)"):format(i + 1, type(lists[i])), 3)
    end
  end
end

local function too_long(self, data, max)
  self.oversized = self.oversized + 1
  return nil, ("receive: a message of %d bytes, room for %d"):format(#data, max), "EMSGSIZE", #data
end

local function step(self, data, why, code, ...)
  if data then return data, why, code, ... end
  if code == "EMSGSIZE" then return step(self, self:receive()) end
  if code ~= "ECLOSED" and code ~= "EOF" then error(why, 2) end
end

--- Methods that receive. of: `width`, of an address; next(self, name, deadline):
-- the next message, a table with its `data`, or nil, message, code; take(self):
-- one that is there, or nil; address(self, message); info(self, message), a
-- table. Returns open(self, message, max): data and information.
function M.receive(methods, check, of)
  local width <const>, next_message <const>, take <const> = of.width, of.next, of.take
  local address <const>, info_of <const> = of.address, of.info

  local function heard(self, message)
    if self.tap then tell(self, "in", message.data, address(self, message)) end
  end

  function methods:receive(max)
    if not check(self, "receive") then return is_closed() end
    check_max(max, LONGEST)
    local message <const>, why, code = next_message(self, "receive", deadline_of(self))
    if not message then return nil, why, code end
    local data <const> = message.data
    max = max or self.maxmessage
    if #data > max then return too_long(self, data, max) end
    heard(self, message)
    return data, address(self, message)
  end

  -- Cut to what there is room for.
  local function open(self, message, max)
    local data, info = message.data, info_of(self, message)
    if #data > max then
      data, info.truncated = data:sub(1, max), true
    end
    heard(self, message)
    return data, info
  end

  function methods:receivemsg(max)
    if not check(self, "receivemsg") then return is_closed() end
    check_max(max, LONGEST)
    local message <const>, why, code = next_message(self, "receivemsg", deadline_of(self))
    if not message then return nil, why, code end
    return open(self, message, max or self.maxmessage)
  end

  -- Whether it has become the n-th.
  local function put_in(self, lists, n, message)
    local data <const> = message.data
    if #data > self.maxmessage then
      self.oversized = self.oversized + 1
      return false
    end
    lists[1][n] = data
    if width == 2 then
      lists[2][n], lists[3][n] = address(self, message)
    else
      lists[2][n], lists[3][n], lists[4][n] = address(self, message)
    end
    heard(self, message)
    return true
  end

  function methods:receivemany(max, ...)
    if not check(self, "receivemany") then return is_closed() end
    check_max(max, MOST)
    local lists <const> = { ... }
    check_lists(lists, width + 1)
    local deadline <const> = deadline_of(self)
    local message, why, code
    repeat
      message, why, code = next_message(self, "receivemany", deadline)
      if not message then return nil, why, code end
    until put_in(self, lists, 1, message)
    local n = 1
    while n < (max or MANY) and check(self, "receivemany") do
      message = take(self)
      if not message then break end
      if put_in(self, lists, n + 1, message) then n = n + 1 end
    end
    for _, list in ipairs(lists) do
      for i = #list, n + 1, -1 do list[i] = nil end
    end
    return table.unpack(lists, 1, width + 1)
  end

  function methods:messages()
    check(self, "messages")
    return function() return step(self, self:receive()) end
  end

  return open
end

-- ---- sending ----

--- There was no room: waits for it, and tries again until the timeout is over
-- or the socket closed. put(...): true, or nil, message, code.
function M.put_later(self, check, link, put, ...)
  local deadline <const> = self.timeout and core.now() + self.timeout
  while true do
    local left <const> = deadline and deadline - core.now()
    if left and left <= 0 then return nil, "timed out", "ETIMEDOUT" end
    core.wait(link, "w", left and math.min(left, LONGEST_WAIT) or LONGEST_WAIT)
    if not check(self, "send") then return is_closed() end
    local ok, why, code = put(...)
    if code ~= "EAGAIN" then return ok, why, code end
  end
end

return M
