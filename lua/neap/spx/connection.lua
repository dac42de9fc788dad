-- SPDX-License-Identifier: MIT
--- SPX: one connection: its machine on one side, the relay of its stream on the
-- other, and the endpoint that carries its packets. Nothing here waits.
local core <const> = require "neap.core"
local carriers <const> = require "neap.ipx.carrier"
local ipx_packets <const> = require "neap.ipx.packet"
local machines <const> = require "neap.spx.machine"
local sync <const> = require "neap.sync"

local M = {}

local TYPE <const> = 5 -- of IPX packets that carry SPX
local RETRY <const> = 0.002 -- seconds, when the carrier has no room
local STALL <const>, PAUSE <const> = 0.02, 0.005 -- seconds: so late, we had no time to hear of an answer
local FATAL <const> = { ENETUNREACH = true, EHOSTUNREACH = true, EMSGSIZE = true, ENETDOWN = true }

--- The stream -> its connection.
M.of = setmetatable({}, { __mode = "k" })

-- ---- making ----

-- peer: network, node (six bytes), socket. machine: who keeps the rules.
local function make(endpoint, id, peer, machine)
  local name <const> = ipx_packets.address(peer.network, peer.node, peer.socket)
  return {
    endpoint = endpoint, id = id, network = peer.network, node = peer.node, socket = peer.socket, name = name,
    machine = machine, relay = endpoint.hub:new(id, endpoint.o.buffer, name),
  }
end

--- One that calls; `settled` is set once that is over.
function M.client(endpoint, id, peer)
  local c <const> = make(endpoint, id, peer, machines.client(endpoint:machine_options(id), core.now()))
  c.settled = sync.event()
  return c
end

--- One that was called by this packet, or nil.
function M.server(endpoint, id, packet, key)
  local machine <const> = machines.server(endpoint:machine_options(id), packet.data, core.now())
  if not machine then return nil end
  local c <const> = make(endpoint, id, packet, machine)
  c.key, c.server = key, true
  return c
end

-- ---- packets ----

local function head(c)
  local endpoint <const> = c.endpoint
  return {
    type = TYPE, to_network = c.network, to_node = c.node, to_socket = c.socket,
    network = endpoint.carrier.network, node = endpoint.carrier.node, socket = endpoint.number,
  }
end

-- Sends what the machine has to say. What the carrier cannot take just now
-- waits; what it cannot take at all is as good as lost.
local function flush(c, now)
  local endpoint <const> = c.endpoint
  while true do
    local packet <const> = c.unsent or c.machine:take(now)
    c.unsent = nil
    if not packet or carriers.inherited(endpoint.carrier) then return end
    local ok <const>, why <const>, code <const> = carriers.put(endpoint.carrier, head(c), packet, false, endpoint)
    if not ok and (code == "EAGAIN" or code == "ENOBUFS") then
      c.unsent = packet
      return
    elseif not ok and FATAL[code] and not c.open then
      c.machine:fail(code, why:gsub("^.*: ", ""))
    end
  end
end

-- ---- data ----

-- To the stream, as much as it has room for.
local function bring(c)
  local machine <const>, relay <const> = c.machine, c.relay
  while true do
    local data, type, ends
    if c.held then
      data, type, ends = table.unpack(c.held)
    else
      data, type, ends = machine:receive()
    end
    if not data then break end
    if not relay:put(data, type, ends) then
      c.held = { data, type, ends }
      return
    end
    c.held = nil
  end
  if machine:finished() and not c.told then
    c.told = true
    relay:finish()
  end
end

-- From the stream, as much as may go.
local function fetch(c, now)
  local machine <const>, relay <const> = c.machine, c.relay
  while machine:room() > 0 do
    local data <const>, type <const>, ends <const>, more <const> = relay:take(machine.maxdata)
    if not data then break end
    machine:send(data, type, ends, more, now)
  end
  return relay:waits()
end

-- What the stream has shut is shut once all before it has gone.
local function shut(c, now)
  local machine <const>, relay <const> = c.machine, c.relay
  local asked <const>, closed <const> = relay:asked()
  if fetch(c, now) then
    machine:blocked(now)
  elseif asked == "all" or closed then
    machine:leave(now)
  elseif asked == "write" and not machine.releasing then
    machine:release(now)
  end
  if machine:released() then relay:done "write" end
end

-- Its stream is closed: what was written goes yet.
local function closes(c)
  local _ <const>, closed <const>, quiet <const> = c.relay:asked()
  if not closed or c.closed then return end
  c.closed, c.held = true, nil
  c.machine:deafen()
  c.endpoint:lingers(c, true)
  if quiet then c.machine:fail("ECLOSED", "closed") end
end

-- ---- the driver ----

local function opened(c)
  c.open = true
  c.relay:connected(c.machine.version == 2)
  if c.settled then c.settled:set() end
  if c.server then c.endpoint:arrived(c) end
end

-- The machine works no more.
local function over(c)
  local machine <const>, relay <const> = c.machine, c.relay
  if c.over then return end
  c.over = true
  if machine.code then
    relay:fail(machine.code, machine.why)
  else
    relay:hangup()
  end
  relay:done "all"
  if c.settled then c.settled:set() end
end

-- What was not answered in time is seen to; but when it is us who are late, only
-- after a look at what has come meanwhile.
local function expire(c, now)
  local due <const> = c.machine:deadline()
  if not due or now < due then return nil end
  if now - due > STALL and c.stalled ~= due then
    c.stalled, c.resumes = due, now + PAUSE
    return c.resumes
  end
  if c.stalled == due and now < c.resumes then return c.resumes end
  c.machine:expire(now)
end

--- Does all there is to do. When to be called again; nil: when something
-- happens. False: never again.
function M.service(c, now)
  local machine <const> = c.machine
  local resumes <const> = expire(c, now)
  if not c.open and machine.state == "open" then opened(c) end
  closes(c)
  bring(c)
  if machine.state == "open" then shut(c, now) end
  flush(c, now)
  if machine.state == "closed" then
    over(c)
    bring(c)
    if c.told or c.closed then return false end
    return nil
  end
  local due <const> = resumes or machine:deadline()
  if c.unsent then return math.min(now + RETRY, due or math.huge) end
  return due
end

--- It ends at once; the other side may hear of it. code, why: what the stream is
-- told.
function M.abort(c, code, why)
  local now <const> = core.now()
  c.machine:abort(now)
  if code then c.machine.code, c.machine.why = code, why end
  if not c.endpoint.gone then flush(c, now) end
  c.machine:deafen()
  c.held = nil
  over(c)
  if not c.told then
    c.told = true
    c.relay:finish()
  end
end

-- ---- its stream ----

-- A stream that nobody has any more, and that was not closed.
local sentinel <const> = {
  __gc = function(s)
    local c <const> = s.connection
    if c.endpoint.connections[c.id] ~= c then return end
    M.abort(c)
    c.endpoint:leave(c)
  end,
}

--- The stream; once.
function M.stream(c)
  local endpoint <const> = c.endpoint
  local o <const> = endpoint.o
  local guard <const> = setmetatable({ connection = c }, sentinel)
  local stream <const>, why <const>, code <const> = core.stream_over(c.relay, {
    guard = guard,
    getsockname = function()
      return endpoint.carrier.network, ipx_packets.text(endpoint.carrier.node), endpoint.number
    end,
    getpeername = function() return c.network, ipx_packets.text(c.node), c.socket end,
  }, { timeout = o.timeout, maxline = o.maxline, maxread = o.maxread, maxmessage = o.maxmessage })
  if not stream then return nil, why, code end
  M.of[stream] = c
  return stream
end

return M
