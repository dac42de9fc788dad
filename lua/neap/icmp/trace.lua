--- The way to a host, hop by hop, by probes whose TTL ends on the way.
local core <const> = require "neap.core"
local errors <const> = require "neap.icmp.errors"
local prober <const> = require "neap.icmp.prober"
local socket <const> = require "neap.icmp.socket"

local LENGTH <const> = 60 -- of a packet, with its headers

local trace <const> = {}
trace.__index = trace

local function ttl_of(self, n) return self.o.first_ttl + n // self.o.queries end

-- What is told of a probe, of what became of it.
local function probe_of(flight, became)
  local probe = { ip = became.ip, rtt = became.at - flight.at, state = became.state }
  local e = became.error
  if e and not errors.is_exceeded(e) and not errors.is_port_unreachable(e) then
    probe.error = errors.mark(e) or e.code
    probe.code, probe.message = e.code, errors.message(e)
    probe.type, probe.icmpcode, probe.mtu = e.type, e.icmpcode, e.mtu
  end
  return probe
end

local function settle(self, n, probe)
  self.results[n] = probe
  self.flights[n] = nil
  self.inflight = self.inflight - 1
  if self.prober.forget then self.prober:forget(n) end
end

-- Nothing is beyond a hop where probes ended.
local function ends_at(self, ttl) self.last_ttl = math.min(self.last_ttl, ttl) end

local function handle(self, became)
  local flight = self.flights[became.n]
  if not flight then return end -- twice, or late
  local probe = probe_of(flight, became)
  probe.arrived = became.arrived
  if became.arrived or probe.error then ends_at(self, flight.ttl) end
  settle(self, became.n, probe)
end

-- Sends probe n: true, or nil, message, code when the system refused.
local function send(self, n)
  local flight = { n = n, ttl = ttl_of(self, n), at = core.now() }
  local done, why, code, mtu = self.prober:send(n, flight.ttl, self.o.size or LENGTH)
  self.flights[n], self.inflight = flight, self.inflight + 1
  if done then return true end
  settle(self, n, { error = mtu and ("!F-%d"):format(mtu) or code, code = code, message = why, mtu = mtu })
  ends_at(self, flight.ttl)
  return nil, why, code
end

local function send_more(self)
  while self.inflight < self.o.parallel and ttl_of(self, self.sent) <= self.last_ttl do
    local n = self.sent
    self.sent = n + 1
    send(self, n)
  end
end

-- Those that waited too long. Probes are answered in any order, so each of the
-- few is looked at; the earliest deadline of the others, or nil.
local function expire(self)
  local now <const> = core.now()
  local earliest
  for n, flight in pairs(self.flights) do
    local deadline = flight.at + self.o.timeout
    if deadline <= now then
      settle(self, n, false)
    elseif not earliest or deadline < earliest then
      earliest = deadline
    end
  end
  return earliest
end

local function is_complete(self, ttl)
  local first = (ttl - self.o.first_ttl) * self.o.queries
  for n = first, first + self.o.queries - 1 do
    if self.results[n] == nil then return false end
  end
  return true
end

local function hop_of(self, ttl)
  local hop = { ttl = ttl, probes = {}, reached = false }
  local first = (ttl - self.o.first_ttl) * self.o.queries
  for i = 1, self.o.queries do
    local probe = self.results[first + i - 1]
    self.results[first + i - 1] = nil
    hop.probes[i] = probe
    if probe then
      hop.ip = hop.ip or probe.ip
      hop.reached = hop.reached or probe.arrived == true
      probe.arrived = nil
    end
  end
  return hop
end

-- Takes what has come; waits for it until the deadline. Raises when the socket
-- fails.
local function take(self, deadline)
  local became, why, code = self.prober:next(deadline)
  for _ = 1, 64 do
    if not became then break end
    handle(self, became)
    became, why, code = self.prober:next(0)
  end
  if became then handle(self, became) end
  if code then error(why, 0) end
  return became == nil
end

function trace:next_hop()
  local ttl <const> = self.ttl
  if ttl > self.last_ttl then
    self:close()
    return nil
  end
  while not is_complete(self, ttl) do
    send_more(self)
    local _, flight = next(self.flights)
    if flight and not is_complete(self, ttl) then
      take(self, self.deadline or flight.at)
      while not take(self, 0) do end -- what has come is taken before anything is called late
      self.deadline = expire(self)
    end
  end
  self.ttl = ttl + 1
  return hop_of(self, ttl)
end

function trace:close() self.prober:close() end
trace.__close = trace.close

--- An iterator over the hops to a host: or nil, message, code.
return function(host, o)
  local ip, family, code = socket.lookup(host, o)
  if not ip then return nil, family, code end
  local p, why, errcode = prober.open(ip, family, o)
  if not p then return nil, ("traceroute %s: %s"):format(host, why), errcode end
  local self = setmetatable({
    prober = p, o = o, ttl = o.first_ttl, last_ttl = o.max_ttl, sent = 1, inflight = 0,
    flights = {}, -- n -> a probe in the air
    results = {}, -- n -> what became of it, or false
  }, trace)
  local done
  done, why, errcode = send(self, 0)
  if not done then
    self:close()
    return nil, ("traceroute %s: %s"):format(host, why), errcode
  end
  return function() return self:next_hop() end, nil, nil, self
end
