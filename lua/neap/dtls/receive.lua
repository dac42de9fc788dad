--- Receiving messages from an association.
local core <const> = require "neap.core"
local peers <const> = require "neap.dtls.peer"
local sockets <const> = require "neap.dtls.socket"

local methods <const> = sockets.methods
local check <const>, is_closed <const>, tell <const> = sockets.check, sockets.is_closed, sockets.tell
local receives <const> = core.turn "receive"
local MANY <const>, MOST <const> = 64, 1024 -- of receivemany
local LONGEST <const> = 1 << 30

local function check_max(max, most)
  if max == nil then return end
  if math.type(max) ~= "integer" or max < 1 or max > most then
    error(("bad argument #1 (an integer in [1, %d] expected)"):format(most), 3)
  end
end

-- What it fails with, where nothing is there and nothing will come.
local function over(self, name)
  if self.state == "closed" then return is_closed() end
  if self.ended or self.deaf then return nil, "end of stream", "EOF" end
  if self.broken then return nil, ("%s %s: %s"):format(name, peers.text(self), self.broken[1]), self.broken[2] end
end

-- What is there now, if anything.
local function take(self)
  local item = self.inbox:take()
  if not item then
    self.endpoint:drain()
    item = self.inbox:take()
  end
  return item
end

-- The next message, and how many were dropped before it; or nil, message, code.
local function next_message(self, name, deadline)
  receives()
  if self.state == "closed" then return is_closed() end
  local item = take(self)
  if not item then
    if self.state == "closed" or self.ended or self.deaf or self.broken then return over(self, name) end
    self.endpoint:needs_pump()
    local why, code
    item, why, code = self.inbox:wait(deadline and math.max(0, deadline - core.now()))
    if not item then
      if code == "ETIMEDOUT" then
        return nil, ("%s %s: %s"):format(name, peers.text(self), why), code
      end
      return over(self, name)
    end
  end
  if not item[1] then return nil, item[2], item[3] end
  local data, drops = peers.taken(self, item)
  self.received, self.receivedbytes = self.received + 1, self.receivedbytes + #data
  return data, drops
end

local function deadline_of(self) return self.timeout and core.now() + self.timeout end

local function too_long(self, data, max)
  self.oversized = self.oversized + 1
  return nil, ("receive: a message of %d bytes, room for %d"):format(#data, max), "EMSGSIZE", #data
end

function methods:receive(max)
  if not check(self, "receive") then return is_closed() end
  check_max(max, LONGEST)
  local data, why, code = next_message(self, "receive", deadline_of(self))
  if not data then return nil, why, code end
  max = max or self.maxmessage
  if #data > max then return too_long(self, data, max) end
  if self.tap then tell(self, "in", data, self.ip, self.port) end
  return data, self.ip, self.port
end

function methods:receivemsg(max)
  if not check(self, "receivemsg") then return is_closed() end
  check_max(max, LONGEST)
  local data, drops, code = next_message(self, "receivemsg", deadline_of(self))
  if not data then return nil, drops, code end
  local info <const> = { ip = self.ip, port = self.port, local_ip = self.local_ip, length = #data, drops = drops }
  max = max or self.maxmessage
  if #data > max then
    data, info.truncated = data:sub(1, max), true
  end
  if self.tap then tell(self, "in", data, self.ip, self.port) end
  return data, info
end

-- Adds those that are there, up to max.
local function collect(self, lists, n, max)
  while n < max and self.state ~= "closed" do
    local item <const> = take(self)
    if not item then break end
    if item[1] then
      local data <const> = peers.taken(self, item)
      self.received, self.receivedbytes = self.received + 1, self.receivedbytes + #data
      if #data > self.maxmessage then
        self.oversized = self.oversized + 1
      else
        n = n + 1
        lists[1][n], lists[2][n], lists[3][n] = data, self.ip, self.port
        if self.tap then tell(self, "in", data, self.ip, self.port) end
      end
    end
  end
  return n
end

function methods:receivemany(max, ...)
  if not check(self, "receivemany") then return is_closed() end
  check_max(max, MOST)
  local lists <const> = { ... }
  for i = 1, 3 do
    if lists[i] == nil then lists[i] = {} end
    if type(lists[i]) ~= "table" then
      error(("bad argument #%d (table expected, got %s)"):format(i + 1, type(lists[i])), 2)
    end
  end
  local deadline <const>, n = deadline_of(self), 0
  repeat
    local data, why, code = next_message(self, "receivemany", deadline)
    if not data then return nil, why, code end
    if #data > self.maxmessage then
      self.oversized = self.oversized + 1
    else
      n = 1
      lists[1][1], lists[2][1], lists[3][1] = data, self.ip, self.port
      if self.tap then tell(self, "in", data, self.ip, self.port) end
    end
  until n == 1
  n = collect(self, lists, n, max or MANY)
  for _, list in ipairs(lists) do
    for i = #list, n + 1, -1 do list[i] = nil end
  end
  return table.unpack(lists, 1, 3)
end

function methods:messages()
  check(self, "messages")
  local function step(data, why, code, ...)
    if data then return data, why, code, ... end
    if code == "EMSGSIZE" then return step(self:receive()) end
    if code ~= "ECLOSED" and code ~= "EOF" then error(why, 2) end
  end
  return function() return step(self:receive()) end
end
