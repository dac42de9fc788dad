--- One association: a machine that makes datagrams of messages and messages of
-- datagrams, on an endpoint that has the socket. Nothing here waits.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local inboxes <const> = require "neap.inbox"
local machines <const> = require "neap.tlscore".dtls
local sync <const> = require "neap.sync"

local M = {}

--- The class of all: its methods are in neap.dtls.socket.
local class <const> = { __name = "neap.dtls" }
M.class = class

local OVERHEAD <const> = 64 -- bytes that a message in the inbox counts beside its own
local NARROW <const> = 548 -- what every path can carry
local HEADERS <const> = { inet = 28, inet6 = 48 } -- of IP and UDP

-- ---- beginning ----

-- settings: timeout, maxmessage, maxqueue, handshake_timeout.
local function make(endpoint, machine, settings, self)
  self.endpoint, self.machine = endpoint, machine
  self.state = "shaking" -- then "open", and "closed" in the end
  self.inbox, self.queued = inboxes.new "receive", 0
  self.settled = sync.event() -- the handshake is over
  self.maxqueue, self.maxmessage = settings.maxqueue, settings.maxmessage
  self.timeout = settings.timeout
  self.deadline = core.now() + settings.handshake_timeout
  self.received, self.receivedbytes, self.sent, self.sentbytes = 0, 0, 0, 0
  self.oversized, self.dropped = 0, 0
  return setmetatable(self, class)
end

--- A client's, over a socket that is connected.
function M.client(endpoint, machine, settings)
  local ip, port = endpoint.udp:getpeername()
  return make(endpoint, machine, settings, { ip = ip, port = port })
end

--- A server's, for whoever sent the ClientHello. from: a table with the
-- address, as the kernel has it and as people do.
function M.server(endpoint, machine, settings, from, random)
  return make(endpoint, machine, settings, {
    server = true, key = from.key, address = from.address, control = from.control, ip = from.ip, port = from.port,
    local_ip = from.local_ip, random = random,
  })
end

--- "127.0.0.1:80".
function M.text(self) return args.text(self.ip, self.port) end

-- ---- what goes ----

-- One is too long for the way it has to go: what is learnt of it. The next
-- that are sent of a handshake are shorter.
local function narrow(self)
  local udp <const> = self.endpoint.udp
  local mtu
  if not self.address then
    mtu = udp:getsockopt(udp:family() == "inet6" and "IPV6_MTU" or "IP_MTU")
    mtu = mtu and mtu - HEADERS[udp:family()]
  end
  machines.shrink(self.machine, mtu or NARROW)
end
M.narrow = narrow

-- What there is no room for is lost: it will be sent again, or was no more
-- than a farewell.
local function flush(self)
  local udp <const> = self.endpoint.udp
  while true do
    local datagram = machines.take(self.machine)
    if not datagram then return end
    local _, _, code = core.message_put(udp, datagram, self.address, self.control)
    if code == "EMSGSIZE" then narrow(self) end
    if code == "ECONNREFUSED" then self.refused = true end
  end
end

--- Nothing more is going to be sent.
function M.farewell(self)
  if self.state ~= "open" or self.endpoint:inherited() then return end
  machines.finish(self.machine)
  flush(self)
end

local function schedule(self)
  local due = machines.due(self.machine)
  due = due and core.now() + due
  if self.state == "shaking" and (not due or due > self.deadline) then due = self.deadline end
  self.endpoint:schedule(self, due)
end

-- ---- the end ----

--- It works no more: who waits, and who calls later, is told so.
function M.breakdown(self, why, code)
  if self.broken then return end
  self.broken = { why, code }
  self.inbox:finish(code)
end

-- The handshake has failed.
local function fail(self, why, code)
  if self.state ~= "shaking" then return M.breakdown(self, why, code) end
  self.failure = { ("handshake with %s: %s"):format(M.text(self), why), code }
  self.endpoint:failed(self)
  M.close(self)
end
M.fail = fail

--- At once. quiet: the peer is told nothing.
function M.close(self, quiet)
  if self.state == "closed" then return true end
  if not quiet then M.farewell(self) end
  self.state = "closed"
  machines.close(self.machine)
  self.inbox:clear()
  self.inbox:finish "ECLOSED"
  self.settled:set()
  self.endpoint:leave(self)
  self.tap = nil
  return true
end

-- ---- what comes ----

local function deliver(self, data)
  if self.deaf then return end
  local waits <const> = self.inbox.oldest <= self.inbox.newest
  if not waits and self.queued + #data + OVERHEAD > self.maxqueue then
    self.dropped = self.dropped + 1
    return
  end
  self.queued = self.queued + #data + OVERHEAD
  local drops
  if self.endpoint.drops then drops = self.endpoint.drops + self.dropped end
  self.inbox:put { data = data, drops = drops }
end

--- A message that deliver has put has left the inbox.
function M.taken(self, item)
  self.queued = self.queued - #item.data - OVERHEAD
  self.received, self.receivedbytes = self.received + 1, self.receivedbytes + #item.data
end

local function established(self)
  self.state = "open"
  self.endpoint:established(self)
  self.settled:set()
end

local came <const> = {} -- of one datagram: filled and emptied again

--- A datagram of the peer's, or nil to begin.
function M.feed(self, datagram)
  if self.state == "closed" or self.broken then return end
  for i = #came, 1, -1 do came[i] = nil end -- another's, if memory was short
  local status, why, code = machines.feed(self.machine, datagram, came)
  flush(self)
  if self.state == "shaking" and (status == "open" or status == "ended") then established(self) end
  for i = 1, #came do
    deliver(self, came[i])
    came[i] = nil
  end
  if not status then
    fail(self, why, code)
  elseif status == "ended" and not self.ended then
    self.ended = true
    machines.finish(self.machine) -- answered at once (RFC 5246 section 7.2.1)
    flush(self)
    self.inbox:finish "EOF"
  elseif self.refused and self.state == "shaking" then
    fail(self, "Connection refused", "ECONNREFUSED")
  end
  if self.state ~= "closed" then schedule(self) end
end

--- It is time: what got no answer is sent again, until it is too late.
function M.expire(self)
  if self.state == "closed" then return end
  if self.state == "shaking" and core.now() >= self.deadline then
    return fail(self, "timed out", "ETIMEDOUT")
  end
  local due <const> = machines.due(self.machine)
  if due and due <= 0 then
    local ok, why, code = machines.expire(self.machine)
    flush(self)
    if not ok then return fail(self, why, code) end
    if self.refused and self.state == "shaking" then return fail(self, "Connection refused", "ECONNREFUSED") end
  end
  schedule(self)
end

--- What the network says of something that was sent.
function M.trouble(self, why, code)
  if self.state == "shaking" then
    if code == "EMSGSIZE" then return narrow(self) end
    return fail(self, why:gsub("^.*: ", ""), code)
  end
  if self.state == "open" and self.inbox.oldest <= self.inbox.newest then
    self.inbox:put { why = why, code = code } -- to one who waits; it can be used on
  end
end

return M
