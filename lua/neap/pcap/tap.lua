--- Writes what a socket sends and receives. A tap cannot wait, and whoever
-- sends must not wait for a capture: what goes to something that may wait is
-- queued, and written by a task.
local core <const> = require "neap.core"
local linktype <const> = require "neap.linktype"
local headers <const> = require "neap.pcap.headers"()

local QUEUE <const> = 1024 -- packets that wait to be written; more are dropped
local PEERS <const> = 256 -- of which the way to them is remembered

local USER0 <const>, RAW <const>, COOKED <const> =
  linktype.NUMBER.user0, linktype.NUMBER.raw, linktype.NUMBER.cooked

local ANY <const> = { inet = "0.0.0.0", inet6 = "::" }

-- ---- what a message was, as a packet ----

-- The address that this machine uses towards a peer: a socket that is bound to
-- all of them does not say.
local function towards(ip, ways)
  local known = ways[ip]
  if known then return known end
  if ways.n >= PEERS then
    for key in pairs(ways) do ways[key] = nil end
    ways.n = 0
  end
  local family = ip:find(":", 1, true) and "inet6" or "inet"
  local probe <close> = core.message("udp", family, 2, 0)
  local own = probe and probe:connect(ip, 9) and probe:getsockname() or ANY[family]
  ways[ip], ways.n = own, ways.n + 1
  return own
end

-- Own address and port, and the peer's, as far as they are known.
local function ends(sock, ways, ip, port)
  local own, own_port = sock:getsockname()
  if not ip then ip, port = sock:getpeername() end
  own = own or ANY[sock:family()]
  if not ip then return own, own_port or 0, own, port or 0 end
  local v6 = ip:find(":", 1, true) ~= nil
  if own == "::" or own == "0.0.0.0" or v6 ~= (own:find(":", 1, true) ~= nil) then own = towards(ip, ways) end
  return own, own_port or 0, ip, port or 0
end

local kinds <const> = {}

function kinds.udp(sock)
  local protocol = sock:getsockopt "SO_PROTOCOL" or headers.UDP
  local ways = { n = 0 }
  return RAW, function(out, data, ip, port)
    local own, own_port, peer, peer_port = ends(sock, ways, ip, port)
    own, peer = headers.bytes(own), headers.bytes(peer)
    if out then return headers.datagram(own, own_port, peer, peer_port, protocol, data) end
    return headers.datagram(peer, peer_port, own, own_port, protocol, data)
  end
end

-- IPv4's headers come with what is received, and may with what is sent.
function kinds.raw(sock)
  local protocol = sock:getsockopt "SO_PROTOCOL" or 255
  local ways = { n = 0 }
  local v4 = sock:family() == "inet"
  return RAW, function(out, data, ip)
    if v4 and not out and headers.is_v4(data) then return data end
    local own, _, peer = ends(sock, ways, ip)
    own, peer = headers.bytes(own), headers.bytes(peer)
    if v4 and out and sock:getsockopt "IP_HDRINCL" then return headers.complete(data, own) end
    if out then return headers.ip(own, peer, protocol, data, true) end
    return headers.ip(peer, own, protocol, data)
  end
end

function kinds.packet(sock)
  local cooked = sock:getsockopt "SO_TYPE" == 2
  if not cooked then return nil, function(_, data) return data end end
  return COOKED, function(out, data, _, mac, protocol)
    return headers.cooked(data, out, not out and mac, protocol)
  end
end

local function plain(_, data) return data end

function kinds.tun() return nil, plain end

function kinds.unix() return USER0, plain end

kinds.seqpacket = kinds.unix

-- ---- the tap ----

---@class neap.pcap.tapping
local tap <const> = { __name = "neap.pcap.tap" }
tap.__index = tap

-- A failure is the tap's end: the socket takes it away, or its task dies of
-- it; either way neap.onerror is told.
local function put(self, record)
  local ok, why, code = self.writer:write(record[1], record[2])
  if not ok then
    self.failure = { why, code }
    error(("pcap.tap: %s"):format(why), 0)
  end
  self.packets = self.packets + 1
end

local function drain(self)
  while self.first <= self.last do
    local record = self[self.first]
    self[self.first], self.first = nil, self.first + 1
    put(self, record)
  end
end

-- The task of a tap whose writer may wait.
local function run(self)
  local guard <close> = setmetatable({}, { __close = function() self.sock:settap(nil) end })
  repeat
    self.more:wait()
    self.more:clear()
    drain(self)
  until self.closed
end

local function queue(self, record)
  if self.last - self.first + 1 >= QUEUE then
    self.dropped = self.dropped + 1
    return
  end
  self.last = self.last + 1
  self[self.last] = record
  self.more:set()
end

--- No more packets are taken; those that are queued are written, still.
function tap:close()
  if not self.closed then
    self.closed = true
    self.sock:settap(nil)
    if self.task then
      self.more:set()
      local ok, why = pcall(self.task.join, self.task)
      if not ok and not self.failure then error(why, 0) end
    end
  end
  if self.failure then return nil, self.failure[1], self.failure[2] end
  return true
end

tap.__close = tap.close

return function(sock, writer)
  local found, kind = pcall(function() return sock:kind() end)
  local make = found and kinds[kind]
  if not make then error("bad argument #1 (message socket expected)", 3) end
  if getmetatable(writer) == nil or getmetatable(writer).__name ~= "neap.pcap.writer" then
    error("bad argument #2 (writer of neap.pcap expected)", 3)
  end
  local link, build = make(sock)
  if link and writer.format == "pcap" and writer.link ~= link then
    error(("bad argument #2 (what a neap.%s carries has the link type %s, the writer's is %s)"):format(
      kind, linktype.NAME[link], writer.linktype), 3)
  end
  local self = setmetatable({
    sock = sock, writer = writer, packets = 0, dropped = 0, first = 1, last = 0, closed = false,
  }, tap)
  local store = put
  if writer.waits then
    store, self.more = queue, require "neap.sync".event()
    self.task = core.spawn({ daemon = true, name = "pcap.tap" }, run, self)
  end
  local ok, why, code = sock:settap(function(direction, data, interface, ...)
    local packet = build(direction == "out", data, interface, ...)
    store(self, { packet, {
      timestamp = core.realtime(), direction = direction, linktype = link,
      interface = kind == "packet" and interface or nil,
    } })
  end)
  if not ok then
    self:close()
    return nil, why, code
  end
  return self
end
