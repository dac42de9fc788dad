--- The kernel's SCTP (RFC 6458 over Linux's own numbers).
local core <const> = require "neap.core"
local events <const> = require "neap.sctp.events"
local layout <const> = require "neap.sctp.layout"
local listeners <const> = require "neap.listener"
local options <const> = require "neap.sctp.options"
local streams <const> = require "neap.sctp.streams"
core.open_sctp()

local M = { name = "kernel" }

local RECVRCVINFO <const>, EVENT <const> = 32, 127 -- options of the kernel's
local BACKLOG <const> = 4096

-- What the core asks of the maker of a stream.
local methods <const> = { event = events.event }

local there -- once it was found

function M.available()
  if there then return true end
  local sock <close>, _, code = core.sctp_socket("inet", false)
  if sock then
    there = true
    return true
  end
  if code == "ENOTSUP" then return nil, "this build knows no linux/sctp.h", code end
  if code == "EPROTONOSUPPORT" or code == "ESOCKTNOSUPPORT" then
    return nil, "this kernel has no SCTP (`modprobe sctp`, where there is such a module)", "EPROTONOSUPPORT"
  end
  return nil, "no socket of SCTP can be had (" .. code .. ")", code
end

-- ---- options ----

local function asker(sock)
  return function(number, bytes, room) return core.sctp_get(sock, number, bytes, room) end
end

local function putter(sock)
  return function(number, bytes) return core.sctp_set(sock, number, bytes) end
end

-- Over loopback the kernel takes packets to be 64 KiB, and tells that its window
-- has opened only once there is room for another: it stalls, by 200 ms.
local LOOPBACK_MTU <const> = 16384

local function is_loopback(ip) return ip ~= nil and (ip:find "^127%." or ip == "::1") and true or false end

local function narrow(conn, o)
  if o.pmtu ~= nil or not is_loopback(conn:getpeername()) then return end
  local status <const> = layout.rows.status.get(asker(conn), 0)
  if status and status.primary.mtu > LOOPBACK_MTU then layout.rows.pmtu.set(putter(conn), 0, LOOPBACK_MTU) end
end

-- Those notifications are subscribed to; and one that the channel needs: that
-- what was received of a long message is void.
local function subscribe(sock, names, many)
  local wanted <const> = { association = many, partial_delivery = true }
  for _, name in ipairs(names or {}) do wanted[name] = true end
  for name, number in pairs(events.numbers) do
    local done, why, code = core.sctp_set(sock, EVENT, string.pack("=i4I2Bx", 0, number, wanted[name] and 1 or 0))
    if not done and wanted[name] then return nil, why, code end
  end
  return true
end

-- And another, when it is connected: the end.
local function watch(conn) core.sctp_set(conn, EVENT, string.pack("=i4I2Bx", 0, events.numbers.association, 1)) end

local function has(list, name)
  for _, each in ipairs(list or {}) do
    if each == name then return true end
  end
  return false
end

local of_socket <const> = { -- what every socket has, in this order
  { "rcvbuf", "SO_RCVBUF" }, { "sndbuf", "SO_SNDBUF" }, { "reuseaddr", "SO_REUSEADDR" }, { "v6only", "IPV6_V6ONLY" },
}

local function wrong(name, why, code) return nil, ("option '%s': %s"):format(name, why), code end

local function set_up_socket(sock, o, family)
  for _, row in ipairs(of_socket) do
    local value = o[row[1]]
    if row[1] == "v6only" and family ~= "inet6" then value = nil end
    if value ~= nil then
      local done, why, code = core.sctp_sockopt(sock, row[2], value)
      if not done then return wrong(row[1], why, code) end
    end
  end
  if o.reuseport then
    local done, why, code = core.sctp_set(sock, 36, string.pack("=I4", 1))
    if not done then return wrong("reuseport", why, code) end
  end
  return true
end

-- Streams may be reset and added: that has to be offered at the beginning.
local function offer_reconfig(sock, o)
  if o.reconfig_supported ~= nil then return end
  layout.rows.reconfig_supported.set(putter(sock), 0, true)
end

local function set_up(sock, o, family, many)
  local done, why, code = set_up_socket(sock, o, family)
  if not done then return nil, why, code end
  offer_reconfig(sock, o)
  for _, name in ipairs(options.settings) do
    local value <const> = o[name]
    if value ~= nil and name ~= "events" then
      done, why, code = layout.rows[name].set(putter(sock), 0, value)
      if not done then return wrong(name, why, code) end
    end
  end
  done, why, code = subscribe(sock, o.events, many)
  if not done then return wrong("events", why, code) end
  return core.sctp_set(sock, RECVRCVINFO, string.pack("=I4", 1))
end

-- ---- sockets ----

local function family_of(...)
  for _, list in ipairs { ... } do
    for _, to in ipairs(list) do
      if to.ip:find(":", 1, true) then return "inet6" end
    end
  end
  return "inet"
end

-- The list in the kernel's form.
local function packed(list)
  local parts <const> = {}
  for i, to in ipairs(list) do
    local bytes, why, code = core.sctp_pack(to.ip, to.port)
    if not bytes then return nil, why, code end
    parts[i] = bytes
  end
  return table.concat(parts)
end

local function bind(sock, list)
  local port -- of the first: it is all the others', too
  for _, at in ipairs(list) do
    local bytes, why, code = core.sctp_pack(at.ip, port or at.port)
    if not bytes then return nil, why, code end
    local done
    done, why, code = core.sctp_set(sock, 100, bytes)
    if not done then return nil, ("bind %s: %s"):format(at.ip, why), code end
    port = at.port ~= 0 and at.port or nil
  end
  return true
end

-- What only the other engine has.
local function refuse(o)
  for _, name in ipairs { "carrier", "udp_port" } do
    if o[name] then
      return wrong(name, "the kernel's is not a socket's own (net.sctp.udp_port)", "ENOTSUP")
    end
  end
  return true
end

-- One that is set up; or nil, message, code.
local function make(o, family, many)
  local ok, why, code = refuse(o)
  if not ok then return nil, why, code end
  local sock
  sock, why, code = core.sctp_socket(family, many)
  if not sock then return nil, why, code end
  local done
  done, why, code = set_up(sock, o, family, many)
  if done then return sock end
  local closed <close> = sock -- luacheck: ignore 211
  return nil, why, code
end

-- The stream -> its channel.
local channels <const> = setmetatable({}, { __mode = "k" })
-- Those that have many associations.
local many_of <const> = setmetatable({}, { __mode = "k" })
-- Which of the two notifications that the channel needs its reader gets, too.
-- Who has many associations has to know of each.
local function tell(channel, names, many)
  return core.sctp_tells(channel, many or has(names, "association"), has(names, "partial_delivery"))
end

-- The stream takes the socket over.
local function stream_of(sock, o, many, peer)
  local channel <const> = tell(core.sctp_channel(sock, many, peer), o.events, many)
  local stream <const>, why, code = core.stream_over(channel, methods, o, sock:release())
  if not stream then return nil, why, code end
  channels[stream], many_of[stream] = channel, many or nil
  return stream
end

local function left(o) return o.deadline and math.max(0, o.deadline - core.now()) end

-- ---- one-to-one ----

local function text(list)
  local ips <const> = {}
  for i, to in ipairs(list) do ips[i] = to.ip end
  if #ips == 1 then return (ips[1]:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(ips[1], list[1].port) end
  return ("%s:%d"):format(table.concat(ips, ","), list[1].port)
end

--- Connects to one peer at all of these addresses.
function M.connect(list, o)
  local name <const> = "connect " .. text(list)
  local sock <close>, why, code = make(o, family_of(list, o.bind or {}), false)
  if not sock then return nil, ("%s: %s"):format(name, why), code end
  local ok = true
  if o.bind then ok, why, code = bind(sock, o.bind) end
  local to
  if ok then to, why, code = packed(list) end
  if not to then return nil, ("%s: %s"):format(name, why), code end
  local conn
  conn, why, code = stream_of(sock, o, false, text(list))
  if not conn then return nil, why, code end
  local guard <close> = setmetatable({}, { __close = function()
    if conn then conn:close() end
  end })
  ok, why, code = core.sctp_connectx(conn, to)
  if ok then
    conn:settimeout(left(o))
    ok, why, code = core.handshake(conn)
    if not ok then why = why:gsub("^handshake [^ ]+: ", "") end
  end
  if not ok then return nil, ("%s: %s"):format(name, why), code end
  watch(conn)
  narrow(conn, o)
  local made <const> = conn
  conn = nil
  return made:settimeout(o.timeout)
end

--- Listens on all of these addresses.
function M.listen(list, o)
  local name <const> = "listen " .. text(list)
  if o.reuseaddr == nil then o.reuseaddr = true end
  local sock <close>, why, code = make(o, family_of(list), false)
  if not sock then return nil, ("%s: %s"):format(name, why), code end
  local ok
  ok, why, code = bind(sock, list)
  if ok then ok, why, code = core.sctp_listen(sock, o.backlog or BACKLOG) end
  if not ok then return nil, ("%s: %s"):format(name, why), code end
  local listener
  listener, why, code = core.listen_fd(sock, o)
  if not listener then return nil, why, code end
  sock:release()
  listeners.begin_with(listener, function(conn)
    local channel <const> = tell(core.sctp_channel(conn, false), o.events)
    channels[conn] = channel
    watch(conn)
    narrow(conn, o)
    return streams.own(core.stream_channel(conn, channel, methods, o), M)
  end)
  return listener
end

--- Two that are connected over loopback.
function M.pair(o)
  local listener <close>, why, code = M.listen({ { ip = "127.0.0.1", port = 0 } }, o)
  if not listener then return nil, why, code end
  local ip <const>, port <const> = listener:getsockname()
  local a, b
  a, why, code = M.connect({ { ip = ip, port = port } }, o)
  if not a then return nil, why, code end
  b, why, code = listener:accept(left(o))
  if b then return a, b end
  a:close()
  return nil, why, code
end

-- ---- one-to-many ----

--- A stream that is used for its messages only.
function M.open(list, o)
  local name <const> = "open " .. text(list)
  local sock <close>, why, code = make(o, family_of(list), true)
  if not sock then return nil, ("%s: %s"):format(name, why), code end
  local ok
  ok, why, code = bind(sock, list)
  if ok then ok, why, code = core.sctp_listen(sock, BACKLOG) end
  if not ok then return nil, ("%s: %s"):format(name, why), code end
  return stream_of(sock, o, true)
end

--- Begins an association; its number. An event tells what becomes of it.
function M.connect_to(endpoint, list)
  local to, why, code = packed(list)
  if not to then return nil, why, code end
  local id
  id, why, code = core.sctp_connectx(endpoint, to)
  if not id then return nil, why, code end
  return id
end

--- A one-to-one stream of an association.
function M.peeloff(endpoint, association, o)
  local sock <close>, why, code = core.sctp_peel(endpoint, association)
  if not sock then return nil, "peeloff: " .. why, code end
  local ok
  ok, why, code = subscribe(sock, o.events)
  if not ok then return nil, "peeloff: " .. why, code end
  watch(sock)
  return streams.own(stream_of(sock, o, false), M)
end

-- ---- what is asked of them ----

--- A value by its name; or nil, message, code.
function M.get(stream, what, association)
  local row <const> = layout.rows[what]
  if not row or not row.get then return nil, ("sctpget %s: not supported"):format(what), "EOPNOTSUPP" end
  local value, why, code = row.get(asker(stream), association or 0)
  if value == nil and why then return nil, ("sctpget %s: %s"):format(what, why), code end
  return value
end

-- The port that goes with an address: the association's, here or there.
local function port_for(stream, row, association)
  if row.here then return (select(2, stream:getsockname())) end
  local peers <const> = layout.rows.peers.get(asker(stream), association or 0)
  return peers and peers[1] and peers[1].port or 0
end

-- What is no option.
local act <const> = {}

function act.shutdown(stream, _, association)
  if not association then return stream:shutdown "w" end
  return stream:send("", { association = association, eof = true })
end

-- To a one-to-one socket the kernel's ABORT gives no reason.
function act.abort(stream, reason, association)
  if not many_of[stream] then
    core.sctp_mute(channels[stream])
    return core.sctp_sockopt(stream, "SO_LINGER", 0)
  end
  return stream:send(reason, { association = association, abort = true })
end

function act.events(stream, names)
  local done, why, code = subscribe(stream, names, many_of[stream])
  if done and not many_of[stream] then watch(stream) end
  if done then tell(channels[stream], names, many_of[stream]) end
  return done, why, code
end

--- Sets one, or does it. True; or nil, message, code.
function M.set(stream, what, value, association)
  local done, why, code
  if act[what] then
    done, why, code = act[what](stream, value, association)
  else
    local row <const> = layout.rows[what]
    if not row or not row.set then return nil, ("sctpset %s: not supported"):format(what), "EOPNOTSUPP" end
    local port <const> = (row.here or row.remote) and port_for(stream, row, association)
    done, why, code = row.set(putter(stream), association or 0, value, port)
  end
  if done then return true end
  return nil, ("sctpset %s: %s"):format(what, why), code
end

--- One of an association's paths.
function M.path(stream, ip, port, association)
  return layout.path(asker(stream), association or 0, ip, port)
end

return M
