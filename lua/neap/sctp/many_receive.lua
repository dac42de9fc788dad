--- Receiving from all associations of a message socket.
local core <const> = require "neap.core"

local receives <const> = core.turn "receive"
local MANY <const>, MOST <const> = 64, 1024 -- of receivemany
local LONGEST <const> = 1 << 30

return function(sockets)
  local methods <const> = sockets.methods
  local check <const>, is_closed <const>, tell <const> = sockets.check, sockets.is_closed, sockets.tell

  local function check_max(max, most)
    if max == nil then return end
    if math.type(max) ~= "integer" or max < 1 or max > most then
      error(("bad argument #1 (an integer in [1, %d] expected)"):format(most), 3)
    end
  end

  local function deadline_of(self) return self.timeout and core.now() + self.timeout end

  local function take(self)
    local item <const> = self.inbox:take()
    if item then return item end
    sockets.drain(self)
    return self.inbox:take()
  end

  local function is_there(self) return self.inbox:count() > 0 end

  -- The next item; or nil, code.
  local function wait(self, deadline)
    if self.pumping then
      local item <const>, _, code = self.inbox:wait(deadline and math.max(0, deadline - core.now()))
      return item, code
    end
    local item <const>, code = sockets.read(self, deadline, true, is_there)
    return item ~= true and item or nil, code
  end

  -- The next item; or nil, message, code[, length].
  local function next_item(self, name, deadline)
    receives()
    if self.closed then return is_closed() end
    local item = take(self)
    if not item then
      local code
      if self.closed then return is_closed() end
      if self.timeout == 0 then core.sleep(0) end -- those that carry it have their turn
      item, code = wait(self, deadline)
      if not item and code == "ETIMEDOUT" then return nil, name .. ": timed out", code end
      if not item then return is_closed() end
    end
    if not item[1] then
      if item[3] == "EMSGSIZE" then self.oversized = self.oversized + 1 end
      return nil, (item[2]:gsub("^receivemsg", name)), item[3], item[4]
    end
    if item[2].notification == nil then
      self.received, self.receivedbytes = self.received + 1, self.receivedbytes + #item[1]
    end
    return item
  end

  local function heard(self, data, info)
    if self.tap and not info.notification then tell(self, "in", data, info.ip, info.port) end
  end

  -- The next that is no notification.
  local function next_message(self, name, deadline)
    while true do
      local item, why, code, length = next_item(self, name, deadline)
      if not item then return nil, why, code, length end
      if not item[2].notification then return item end
    end
  end

  --- data, ip, port. Notifications are passed over.
  function methods:receive(max)
    if not check(self, "receive") then return is_closed() end
    check_max(max, LONGEST)
    local item <const>, why, code, length = next_message(self, "receive", deadline_of(self))
    if not item then return nil, why, code, length end
    local data <const>, info <const> = item[1], item[2]
    max = max or self.maxmessage
    if #data > max then
      self.oversized = self.oversized + 1
      return nil, ("receive: a message of %d bytes, room for %d"):format(#data, max), "EMSGSIZE", #data
    end
    heard(self, data, info)
    return data, info.ip, info.port
  end

  --- data, what came with it; a notification that was asked for is "" with
  -- info.notification.
  function methods:receivemsg(max)
    if not check(self, "receivemsg") then return is_closed() end
    check_max(max, LONGEST)
    local item <const>, why, code, length = next_item(self, "receivemsg", deadline_of(self))
    if not item then return nil, why, code, length end
    local data, info = item[1], item[2]
    info.length = #data
    max = max or self.maxmessage
    if #data > max then
      data, info.truncated = data:sub(1, max), true
    end
    heard(self, data, info)
    return data, info
  end

  -- ---- many ----

  -- Whether it goes into the lists, as the n-th.
  local function put_in(self, lists, n, item)
    local data <const>, info <const> = item[1], item[2]
    if #data > self.maxmessage then
      self.oversized = self.oversized + 1
      return false
    end
    lists[1][n], lists[2][n], lists[3][n] = data, info.ip, info.port
    heard(self, data, info)
    return true
  end

  -- Adds those that are there, up to max.
  local function collect(self, lists, n, max)
    while n < max and not self.closed do
      local item <const> = take(self)
      if not item then break end
      if not item[1] then
        self.oversized = self.oversized + (item[3] == "EMSGSIZE" and 1 or 0)
      elseif not item[2].notification then
        self.received, self.receivedbytes = self.received + 1, self.receivedbytes + #item[1]
        if put_in(self, lists, n + 1, item) then n = n + 1 end
      end
    end
    return n
  end

  --- Lists of data, ips and ports.
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
    local deadline <const> = deadline_of(self)
    local item, why, code
    repeat
      item, why, code = next_message(self, "receivemany", deadline)
      if not item and code ~= "EMSGSIZE" then return nil, why, code end
    until item and put_in(self, lists, 1, item)
    local n <const> = collect(self, lists, 1, max or MANY)
    for _, list in ipairs(lists) do
      for i = #list, n + 1, -1 do list[i] = nil end
    end
    return table.unpack(lists, 1, 3)
  end

  --- Iterates over messages: data, ip, port.
  function methods:messages()
    check(self, "messages")
    local function step(data, why, code, ...)
      if data then return data, why, code, ... end
      if code == "EMSGSIZE" then return step(self:receive()) end
      if code ~= "ECLOSED" and code ~= "EOF" then error(why, 2) end
    end
    return function() return step(self:receive()) end
  end
end
