--- What carries SCTP of the user engine: UDP sockets, or raw ones. Those with
-- the same address are shared. For each a task pumps what comes, and one task
-- lets the time pass.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local raw <const> = require "neap.raw"
local udp <const> = require "neap.udp"
local engine <const> = require "neap.usrsctpcore"

local M = {}

local SOCK_DGRAM <const>, IPPROTO_UDP <const>, IPPROTO_SCTP <const> = 2, 17, 132
local DISCARD <const> = 9 -- a port
local BUFFER <const> = 4 * 1024 * 1024 -- bytes that may wait in the socket
local MAX_PEERS <const> = 4096
local ENDED <const> = { done = true, failed = true, cancelled = true, killed = true }

local carriers <const> = {} -- by what they are bound to
local anywhere <const> = {} -- by that, those whose UDP port was ours to choose: port 0
local listeners <const> = setmetatable({}, { __mode = "k" }) -- who is told that somebody came
local watcher -- the task for the time

-- ---- what happens ----

--- The object's arrived() is called when somebody may wait to be accepted.
function M.listens(listener) listeners[listener] = true end

local function close(carrier)
  if carriers[carrier.key] == carrier then carriers[carrier.key] = nil end
  if anywhere[carrier.asked] == carrier then anywhere[carrier.asked] = nil end
  carrier.wire:close()
  carrier.sock:close()
end

--- Those on which nobody is are closed.
function M.sweep()
  for _, carrier in pairs(args.with(carriers)) do
    if carrier.wire:isempty() then close(carrier) end
  end
end

local function tell(arrived, emptied)
  if arrived then
    for listener in pairs(listeners) do listener:arrived() end
  end
  if emptied then M.sweep() end
end

local function watch()
  while next(carriers) do
    local wait, arrived, emptied = engine.look()
    tell(arrived, emptied)
    if not next(carriers) then return end
    core.wait(engine.bell(), "r", wait)
  end
end

local function pump(sock, wire)
  while true do
    local more, arrived, emptied = wire:pump()
    if more == nil then return end
    tell(arrived, emptied)
    if more then
      core.sleep(0)
    else
      local _, _, code = core.message_await(sock)
      if code == "ECLOSED" then return end
    end
  end
end

local function runs(task) return task and not ENDED[task:status()] end

--- Whoever waits needs the tasks.
function M.needs_pump(carrier)
  if not runs(watcher) then watcher = core.spawn({ daemon = true, name = "sctp" }, watch) end
  if not runs(carrier.pump) then
    carrier.pump = core.spawn({ daemon = true, name = "sctp" }, pump, carrier.sock, carrier.wire)
  end
end

-- ---- making ----

local function open_raw(ip, family)
  local sock, why, code = raw.open(IPPROTO_SCTP, {
    family = family, rcvbuf = BUFFER, sndbuf = BUFFER, errors = true, timeout = 0,
  })
  if not sock then return nil, why, code end
  if ip ~= "0.0.0.0" and ip ~= "::" then
    local done
    done, why, code = sock:bind(ip)
    if not done then
      sock:close()
      return nil, why, code
    end
  end
  return sock
end

local function open_udp(ip, port, o)
  return udp.open(ip, port, {
    rcvbuf = BUFFER, sndbuf = BUFFER, errors = true, timeout = 0, v6only = o.v6only, reuseaddr = o.reuseaddr,
    reuseport = o.reuseport,
  })
end

-- Each peer is answered from the address that it knows.
local function tell_addresses(sock, family)
  sock:setsockopt("IP_PKTINFO", true)
  if family == "inet6" then sock:setsockopt("IPV6_RECVPKTINFO", true) end
end

local function key_of(ip, port, o, outgoing)
  local israw <const> = o.carrier == "raw"
  return ("%s %s %d %s"):format(o.carrier or "udp", ip, israw and 0 or port, outgoing)
end

-- The same, with the port that it has.
local function real_key(sock, ip, o, outgoing)
  local _, port <const> = sock:getsockname()
  return key_of(ip, math.type(port) == "integer" and port or 0, o, outgoing)
end

local function make(key, ip, port, o, outgoing)
  local family <const> = ip:find(":", 1, true) and "inet6" or "inet"
  local israw <const> = o.carrier == "raw"
  local sock, why, code
  if israw then
    sock, why, code = open_raw(ip, family)
  else
    sock, why, code = open_udp(ip, port, o)
  end
  if not sock then return nil, why, code end
  local everywhere <const> = ip == "0.0.0.0" or ip == "::"
  local wild <const> = everywhere and not outgoing
  if wild then tell_addresses(sock, family) end
  local wire
  wire, why, code = engine.carrier(sock:fileno(), family, israw, wild, o.max_peers or MAX_PEERS)
  if not wire then
    sock:close()
    return nil, why, code
  end
  local carrier <const> = {
    key = real_key(sock, ip, o, outgoing and everywhere), asked = key, sock = sock, wire = wire, ip = ip,
    family = family, raw = israw,
  }
  carriers[carrier.key] = carrier
  if port == 0 then anywhere[key] = carrier end
  return carrier
end

--- The carrier that is bound to an address and a UDP port (0: any), made if
-- there is none. outgoing: nobody listens there, so that the kernel chooses our
-- address. Or nil, message, code.
function M.at(ip, port, o, outgoing)
  outgoing = outgoing and port == 0
  local key <const> = key_of(ip, port, o, outgoing)
  local carrier = anywhere[key] or carriers[key]
  if carrier and not carrier.sock:isopen() then
    close(carrier)
    carrier = nil
  end
  local why, code
  if not carrier then carrier, why, code = make(key, ip, port, o, outgoing) end
  if not carrier then return nil, why, code end
  M.needs_pump(carrier)
  return carrier
end

--- The address that packets to another come from, or nil.
function M.route(ip)
  local scout <close> = core.message("udp", ip:find(":", 1, true) and "inet6" or "inet", SOCK_DGRAM, IPPROTO_UDP, {})
  return scout and scout:connect(ip, DISCARD) and (scout:getsockname()) or nil
end

--- How many bytes of a packet are not SCTP's.
function M.overhead(carrier)
  return (carrier.family == "inet6" and 40 or 20) + (carrier.raw and 0 or 8)
end

return M
