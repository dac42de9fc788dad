--- SCTP by a stack of our own (usrsctp), over UDP or raw IP.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local listeners <const> = require "neap.sctp.user_listener"
local options <const> = require "neap.sctp.options"
local streams <const> = require "neap.sctp.streams"

local M = { name = "user" }

local UDP_PORT <const> = 9899 -- RFC 6951
local MTU <const> = 1280 -- bytes of a packet that every path carries
local BACKLOG <const> = 128
local SO_SNDBUF <const>, SO_RCVBUF <const> = 7, 8 -- as usrsctp.h's <sys/socket.h> has them

local has <const>, engine <const> = pcall(require, "neap.usrsctpcore")
local carriers <const> = has and require "neap.sctp.carrier"
local user_options <const> = require "neap.sctp.user_options"

function M.available()
  if has then return true end
  return nil, "neap was built without usrsctp (Debian's libusrsctp-dev)", "ENOTSUP"
end

-- ---- what the core asks of a stream's maker ----

-- The stream -> { wire = its socket, carrier =, mask = of the events }.
local known <const> = setmetatable({}, { __mode = "k" })

local function local_ip(about)
  local peer, _, _, ip = about.wire:peer()
  if ip then return ip end
  ip = about.carrier.sock:getsockname()
  if peer and (ip == "0.0.0.0" or ip == "::") then return carriers.route(peer) or ip end
  return ip
end

local methods <const> = {}

function methods.getsockname(stream)
  local about <const> = known[stream]
  local port, why, code = about.wire:port()
  if not port then return nil, why, code end
  return local_ip(about), port
end

function methods.getpeername(stream)
  local ip, port, code = known[stream].wire:peer()
  if not ip then return nil, "getpeername" .. port:sub(5), code end
  return ip, port
end

local buffers <const> = { SO_SNDBUF = SO_SNDBUF, SO_RCVBUF = SO_RCVBUF }

-- Those of the system belong to what carries the stream, and so to all on it.
local below <const> = streams.below

function methods.setsockopt(stream, name, value, ...)
  local number <const> = buffers[name]
  if not number then
    local done, why, code = args.blame(3, below.setsockopt, known[stream].carrier.sock, name, value, ...)
    return done and stream, why, code
  end
  if math.type(value) ~= "integer" or value < 1 or value > 0x7fffffff then
    error("bad argument #2 (an integer from 1 to 2^31 - 1 expected)", 3)
  end
  local done, why, code = known[stream].wire:setopt(number, string.pack("i4", value), true)
  if done then return stream end
  return nil, ("setsockopt %s: %s"):format(name, why), code
end

function methods.getsockopt(stream, name, ...)
  local number <const> = buffers[name]
  if not number then
    local value, why, code = args.blame(3, below.getsockopt, known[stream].carrier.sock, name, ...)
    return value, why, code
  end
  local bytes, why, code = known[stream].wire:getopt(number, ("\0"):rep(4), true)
  if bytes then return (string.unpack("i4", bytes)) end
  return nil, ("getsockopt %s: %s"):format(name, why), code
end

function methods.event(bytes) return user_options.event(bytes, engine.iptext) end

-- The stream of a socket.
local function stream_of(wire, carrier, o)
  local stream, why, code = core.stream_over(wire, methods, o)
  if not stream then
    wire:close()
    return nil, why, code
  end
  known[stream] = { wire = wire, carrier = carrier, mask = user_options.mask(o.events or {}) }
  return stream
end

-- ---- options ----

local function asker(wire)
  return function(number, bytes, room) return wire:getopt(number, bytes, false, room) end
end

local function putter(wire)
  return function(number, bytes) return wire:setopt(number, bytes) end
end

local function context_of(about)
  return {
    overhead = carriers.overhead(about.carrier), mask = about.mask,
    peer = function(association) return about.wire:peer(association) end,
  }
end

local elsewhere <const> = { encap_port = true, events = true }

-- Those that a socket has before there is an association.
local function set_up(wire, carrier, o, always)
  local put <const> = putter(wire)
  local context <const> = { overhead = carriers.overhead(carrier) }
  if o.sndbuf then wire:setopt(SO_SNDBUF, string.pack("i4", o.sndbuf), true) end
  if o.rcvbuf then wire:setopt(SO_RCVBUF, string.pack("i4", o.rcvbuf), true) end
  user_options.rows.pmtu.set(put, 0, MTU, context)
  if o.nodelay == nil then user_options.rows.nodelay.set(put, 0, true) end -- as of TCP
  if o.reconfig_supported == nil then user_options.rows.reconfig_supported.set(put, 0, true) end
  for _, name in ipairs(options.settings) do
    local value <const> = o[name]
    if value ~= nil and not elsewhere[name] then
      local row <const> = user_options.rows[name]
      local done, why, code = row.set(put, 0, value, context)
      if not done then return nil, ("option '%s': %s"):format(name, why:gsub("^setopt: ", "")), code end
    end
  end
  local events <const> = { table.unpack(o.events or {}) }
  for _, name in ipairs(always) do events[#events + 1] = name end
  user_options.rows.events.set(put, 0, events)
  wire:events(user_options.mask(events))
  return true
end

local function pmtu_fits(o)
  if o.pmtu == false then
    return nil, "option 'pmtu': the user engine cannot find it out", "EOPNOTSUPP"
  end
  return true
end

-- A socket on a carrier, which is set up; or nil, message, code.
local function open(kind, place, udp_port, o, always)
  local ok, why, code = pmtu_fits(o)
  local carrier, wire
  if ok then carrier, why, code = carriers.at(place.ip, udp_port, o, kind == "stream") end
  if carrier then wire, why, code = engine.open(carrier.wire, kind, place.port or 0) end
  if not wire then
    if carrier then carriers.sweep() end
    return nil, (why:gsub("^sctp: ", "")), code
  end
  ok, why, code = set_up(wire, carrier, o, always or {})
  if ok then return wire, carrier end
  wire:close()
  carriers.sweep()
  return nil, why, code
end

-- ---- one-to-one ----

local function left(o) return o.deadline and math.max(0, o.deadline - core.now()) end

local function one_path(list)
  if #list == 1 then return true end
  return nil, "the user engine knows one address of a peer", "EOPNOTSUPP"
end

local function any_for(ip) return ip:find(":", 1, true) and "::" or "0.0.0.0" end

-- The stream whose handshake has begun, or why not.
local function begin(to, o)
  local from <const> = o.bind and o.bind[1] or { ip = any_for(to.ip), port = 0 }
  local wire, carrier, code = open("stream", from, o.udp_port or 0, o)
  if not wire then return nil, carrier, code end
  local done, why
  done, why, code = wire:connect(to.ip, carrier.raw and 0 or o.encap_port or UDP_PORT, to.port)
  if not done then
    wire:close()
    return nil, why:gsub("^connect: ", ""), code
  end
  return stream_of(wire, carrier, args.with(o, { timeout = left(o) }))
end

--- Connects to one peer.
function M.connect(list, o)
  local name <const> = "connect " .. args.text(list[1].ip, list[1].port)
  local ok, why, code = one_path(list)
  if ok and o.bind then ok, why, code = one_path(o.bind) end
  local conn
  if ok then conn, why, code = begin(list[1], o) end
  if not conn then return nil, ("%s: %s"):format(name, why), code end
  local guard <close> = setmetatable({}, { __close = function()
    if conn then conn:close() end
  end })
  ok, why, code = core.handshake(conn)
  if not ok then return nil, ("%s: %s"):format(name, why:gsub("^handshake [^ ]+: ", "")), code end
  local made <const> = conn
  conn = nil
  return made:settimeout(o.timeout)
end

--- Listens on one address, or on all of them.
function M.listen(list, o)
  local name <const> = "listen " .. args.text(list[1].ip, list[1].port)
  local ok, why, code = one_path(list)
  local wire, carrier
  if ok then wire, carrier, code = open("listener", list[1], o.udp_port or UDP_PORT, o) end
  if not wire then return nil, ("%s: %s"):format(name, why or carrier), code end
  ok, why, code = wire:listen(o.backlog or BACKLOG)
  if not ok then
    wire:close()
    carriers.sweep()
    return nil, ("%s: %s"):format(name, why), code
  end
  return listeners.new(wire, carrier, function(accepted)
    local stream <const> = stream_of(accepted, carrier, o)
    return stream and streams.own(stream, M)
  end)
end

--- Two that are connected over loopback.
function M.pair(o)
  local listener <close>, why, code = M.listen({ { ip = "127.0.0.1", port = 0 } }, args.with(o, { udp_port = 0 }))
  if not listener then return nil, why, code end
  local _, port <const>, udp_port <const> = listener:getsockname()
  local a, b
  a, why, code = M.connect({ { ip = "127.0.0.1", port = port } }, args.with(o, { encap_port = udp_port, udp_port = 0 }))
  if not a then return nil, why, code end
  b, why, code = listener:accept(left(o))
  if b then return a, b end
  a:close()
  return nil, why, code
end

-- ---- one-to-many ----

--- A stream that is used for its messages only.
function M.open(list, o)
  local name <const> = "open " .. args.text(list[1].ip, list[1].port)
  local ok, why, code = one_path(list)
  local wire, carrier
  if ok then wire, carrier, code = open("many", list[1], o.udp_port or UDP_PORT, o, { "association" }) end
  if not wire then return nil, ("%s: %s"):format(name, why or carrier), code end
  ok, why, code = wire:listen(BACKLOG)
  if ok then user_options.rows.fragment_interleave.set(putter(wire), 0, 0) end
  local stream
  if ok then stream, why, code = stream_of(wire, carrier, o) end
  if not stream then
    wire:close()
    carriers.sweep()
    return nil, ("%s: %s"):format(name, why), code
  end
  known[stream].encap_port = o.encap_port
  return stream
end

--- Begins an association; its number. An event tells what becomes of it.
function M.connect_to(endpoint, list)
  local ok, why, code = one_path(list)
  if not ok then return nil, why, code end
  local about <const>, to <const> = known[endpoint], list[1]
  local under <const> = about.carrier.raw and 0 or about.encap_port or UDP_PORT
  ok, why, code = about.wire:connect(to.ip, under, to.port)
  if not ok then return nil, why, code end
  local id <const> = about.wire:find(to.ip, under, to.port)
  if id then return id end
  return nil, "connect: refused", "ECONNREFUSED"
end

--- A one-to-one stream of an association.
function M.peeloff(endpoint, association, o)
  local about <const> = known[endpoint]
  local wire, why, code = about.wire:peeloff(association)
  if not wire then return nil, why, code end
  user_options.rows.events.set(putter(wire), 0, o.events or {})
  wire:events(user_options.mask(o.events or {}))
  local stream
  stream, why, code = stream_of(wire, about.carrier, o)
  if not stream then return nil, why, code end
  return streams.own(stream, M)
end

-- ---- what is asked of them ----

local ask <const> = {}

function ask.peers(about, association)
  local ip, port, code = about.wire:peer(association)
  if not ip then return nil, port, code end
  return { { ip = ip, port = port } }
end

function ask.locals(about)
  local port, why, code = about.wire:port()
  if not port then return nil, why, code end
  return { { ip = local_ip(about), port = port } }
end

function ask.primary(about, association)
  local ip, why, code = about.wire:peer(association)
  if not ip then return nil, why, code end
  return ip
end

function ask.encap_port(about, association)
  local ip, why, under = about.wire:peer(association)
  if not ip then return nil, why, under end
  return under
end

function ask.udp_port(about)
  if about.carrier.raw then return nil, "sctpget udp_port: the carrier has none", "EOPNOTSUPP" end
  return (select(2, about.carrier.sock:getsockname()))
end

function ask.statistics(about)
  local received, sent, dropped, peers = about.carrier.wire:statistics()
  return { packets_in = received, packets_out = sent, dropped = dropped, peers = peers }
end

--- A value by its name; or nil, message, code.
function M.get(stream, what, association)
  local about <const> = known[stream]
  local row <const> = user_options.rows[what]
  if not ask[what] and not (row and row.get) then
    return nil, ("sctpget %s: not supported"):format(what), "EOPNOTSUPP"
  end
  local value, why, code
  if ask[what] then
    value, why, code = ask[what](about, association)
  else
    value, why, code = row.get(asker(about.wire), association or 0, context_of(about))
  end
  if value == nil and why then return nil, ("sctpget %s: %s"):format(what, why:gsub("^%l+: ", "")), code end
  return value
end

-- What is no option.
local act <const> = {}

function act.shutdown(stream, _, association)
  if not association then return stream:shutdown "w" end
  return known[stream].wire:finish("eof", association)
end

function act.abort(stream, reason, association) return known[stream].wire:finish("abort", association, reason) end

-- There is but one.
function act.primary(stream, ip, association)
  local known_ip, why, code = known[stream].wire:peer(association)
  if known_ip == ip then return true end
  return nil, known_ip and "the peer has no such address" or why, known_ip and "EADDRNOTAVAIL" or code
end

function act.events(stream, names, association)
  local about <const> = known[stream]
  local all <const> = { table.unpack(names) }
  if association then all[#all + 1] = "association" end
  local done, why, code = user_options.rows.events.set(putter(about.wire), 0, all)
  if not done then return nil, why, code end
  about.mask = user_options.mask(all)
  return about.wire:events(about.mask)
end

--- Sets one, or does it. True; or nil, message, code.
function M.set(stream, what, value, association)
  local done, why, code
  local row <const> = user_options.rows[what]
  if act[what] then
    done, why, code = act[what](stream, value, association)
  elseif row and row.set then
    local about <const> = known[stream]
    done, why, code = row.set(putter(about.wire), association or 0, value, context_of(about))
  else
    return nil, ("sctpset %s: not supported"):format(what), "EOPNOTSUPP"
  end
  if done then return true end
  return nil, ("sctpset %s: %s"):format(what, why:gsub("^%l+: ", "")), code
end

--- The UDP port of what carries the stream.
function M.udp_port(stream)
  local carrier <const> = known[stream].carrier
  if carrier.raw then return nil end
  return (select(2, carrier.sock:getsockname()))
end

--- One of an association's paths.
function M.path(stream, ip, _, association)
  local status, why, code = M.get(stream, "status", association)
  if not status then return nil, why, code end
  if status.primary.ip == ip then return status.primary end
  return nil, "the peer has no such address", "EADDRNOTAVAIL"
end

return M
