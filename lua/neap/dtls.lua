--- DTLS: messages over UDP that nobody else can read, forge or play again.
-- What is lost stays lost, but for the handshake.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local message <const> = require "neap.message"
local checks <const> = require "neap.tls.checks"
local contexts <const> = require "neap.tls.context"
local endpoints <const> = require "neap.dtls.endpoint"
local listeners <const> = require "neap.dtls.listener"
local peers <const> = require "neap.dtls.peer"
local tlscore <const> = require "neap.tlscore"
local udp <const> = require "neap.udp"
require "neap.dtls.send"
require "neap.dtls.receive"

---@class neap.dtls
local M = {}

-- ---- options ----

local LEAST_MTU <const>, MOST_MTU <const> = 256, 65507

local defaults <const> = {
  mtu = 1400, retransmit = 1, maxmessage = 65536, maxqueue = 256 * 1024, max_peers = 4096, max_handshakes = 128,
  backlog = 128,
}
local PATIENCE <const> = { client = 60, server = 10 } -- seconds, of a handshake

local context_options <const> = contexts.datagram_options

local socket_options <const> = args.without(args.with(message.ip_options, { v6only = "boolean" }), "timestamps")

local peer_options <const> = {
  context = "context", mtu = "natural", retransmit = "seconds", maxqueue = "size", handshake_timeout = "seconds",
}

local connect_options <const> = args.with(socket_options, context_options, peer_options, { servername = "string" })

local listen_options <const> = args.without(args.with(socket_options, context_options, peer_options, {
  max_peers = "count", max_handshakes = "count", backlog = "count", fd = "fd",
}), "bind")

local function check_values(o, level)
  if o.mtu and (o.mtu < LEAST_MTU or o.mtu > MOST_MTU) then
    error(("option 'mtu' must be an integer in [%d, %d]"):format(LEAST_MTU, MOST_MTU), level + 1)
  end
  if o.retransmit and (o.retransmit < 0.001 or o.retransmit > 60) then
    error("option 'retransmit' must be a number of seconds in [0.001, 60]", level + 1)
  end
  if o.max_version == "1.3" or o.min_version == "1.3" then o.max_version = o.max_version or "1.3" end
  checks.servername(o, level + 1)
  message.check_ip(o, level + 1)
end

-- What the peers of a socket are to have.
local function settings_of(o, role)
  local settings <const> = { timeout = o.timeout, handshake_timeout = o.handshake_timeout or PATIENCE[role] }
  for name, value in pairs(defaults) do settings[name] = o[name] or value end
  settings.first = math.floor(settings.retransmit * 1000000)
  return settings
end

-- Of the UDP socket: it never waits, and takes whatever comes.
local function udp_options(o, more)
  local picked <const> = args.pick(o, args.with(socket_options, more or {}))
  picked.timeout, picked.maxmessage = nil, nil
  return picked
end

--- What many associations share: as tls.context, for DTLS.
function M.context(given)
  local o <const> = args.check(given, context_options, 1, 2)
  check_values(o, 2)
  return contexts.make(o, 2, true)
end

--- Whether it is one that dtls.context has made.
function M.iscontext(value) return contexts.is(value, true) end

-- ---- clients ----

-- A machine for the host, and the socket's settings; or nil, message, code.
local function client_machine(context, o, host)
  local ok, why, code = contexts.ready(context, false)
  if not ok then return nil, why, code end
  local name <const> = (o.servername or host):lower():gsub("%.$", "")
  local settings <const> = settings_of(o, "client")
  local machine
  machine, why, code = tlscore.dtls.open(context, false, name, not core.isip(name) and name or nil, settings.mtu,
    settings.first)
  if not machine then return nil, why, code end
  return machine, settings
end

-- Until the handshake is done: the peer, or nil, message, code.
local function shake(peer, deadline)
  local guard <close> = setmetatable({}, { __close = function()
    if peer.state == "shaking" then peers.close(peer) end
  end })
  peers.feed(peer)
  peer.endpoint:needs_pump()
  local ok, why, code = peer.settled:wait(deadline and math.max(0, deadline - core.now()))
  if peer.state == "open" then return peer end
  if ok then why, code = table.unpack(peer.failure or { "closed", "ECLOSED" }) end
  if not ok then why = ("handshake with %s: %s"):format(peers.text(peer), why) end
  return nil, why, code
end

--- Does the handshake with a server, whose certificate is verified: a message
-- socket.
function M.connect(host, port, given)
  host = args.host(host, 1, 2)
  port = args.port(port, 1, 2, 2)
  local o <const> = args.check(given, connect_options, 3, 2)
  check_values(o, 2)
  local context, why, code = contexts.of(o, false, 2, true)
  if not context then return nil, why, code end
  local deadline <const> = o.timeout and core.now() + o.timeout
  local machine, settings
  machine, settings, code = client_machine(context, o, host)
  if not machine then return nil, settings, code end
  local of_udp <const> = udp_options(o)
  of_udp.timeout = o.timeout -- for the name
  local sock
  sock, why, code = udp.connect(host, port, of_udp)
  if not sock then return nil, why:gsub("^udp", "dtls"), code end
  local endpoint <const> = endpoints.new(sock, false)
  if o.drops then endpoint:tell_drops(true) end
  local peer <const> = peers.client(endpoint, machine, settings)
  endpoint:own(peer)
  return shake(peer, deadline)
end

-- ---- servers ----

--- A listener: its clients are message sockets.
function M.listen(host, port, given)
  local o <const> = args.check(given, listen_options, 3, 2)
  check_values(o, 2)
  if not contexts.serves(o) then error("option 'cert' is missing", 2) end
  local context, why, code = contexts.of(o, true, 2, true)
  if not context then return nil, why, code end
  local ok
  ok, why, code = contexts.ready(context, true)
  if not ok then return nil, why, code end
  local sock
  sock, why, code = args.blame(2, udp.open, host, port, udp_options(o, { fd = "fd" }))
  if not sock then return nil, why:gsub("^udp.open", "dtls.listen"), code end
  local ip <const> = sock:getsockname()
  local endpoint <const> = endpoints.new(sock, ip == "0.0.0.0" or ip == "::")
  if o.drops then endpoint:tell_drops(true) end
  local listener
  local settings <const> = settings_of(o, "server")
  settings.named = o.context ~= nil
  listener, why, code = listeners.new(endpoint, context, settings)
  if not listener then
    endpoint:close()
    return nil, why, code
  end
  endpoint:needs_pump()
  return listener
end

return M
