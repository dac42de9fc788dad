--- Receiving messages from an association.
local core <const> = require "neap.core"
local datagram <const> = require "neap.datagram"
local peers <const> = require "neap.dtls.peer"
local sockets <const> = require "neap.dtls.socket"

local is_closed <const> = datagram.is_closed
local receives <const> = core.turn "receive"

-- What it fails with, where nothing is there and nothing will come.
local function over(self, name)
  if self.state == "closed" then return is_closed() end
  if self.ended or self.deaf then return nil, "end of stream", "EOF" end
  if self.broken then return nil, ("%s %s: %s"):format(name, peers.text(self), self.broken[1]), self.broken[2] end
end

-- What is there now, if anything: a message, or an error of the network's.
local function take(self)
  local item = self.inbox:take()
  if not item then
    self.endpoint:drain()
    item = self.inbox:take()
  end
  return item
end

local function take_message(self)
  local item
  repeat item = take(self) until not item or item.data
  if item then peers.taken(self, item) end
  return item
end

-- The next message, or nil, message, code.
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
  if not item.data then return nil, item.why, item.code end
  peers.taken(self, item)
  return item
end

datagram.receive(sockets.methods, sockets.check, {
  width = 2, next = next_message, take = take_message,
  address = function(self) return self.ip, self.port end,
  info = function(self, item)
    return { ip = self.ip, port = self.port, local_ip = self.local_ip, length = #item.data, drops = item.drops }
  end,
})
