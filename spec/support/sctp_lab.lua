--- Both ends of SCTP by the user engine, a relay between their UDP ports, and
-- CRC-32C, for the specs.
local core <const> = require "neap.core"
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local udp <const> = require "neap.udp"

local M = {}

M.available = pcall(require, "neap.usrsctpcore")
local user <const> = M.available and require "neap.sctp.user"
M.user = user
if M.available then require "neap.sctp.streams" end

function M.need() helper.need(M.available, "needs neap to be built with usrsctp") end

-- Retransmissions of a network in which nothing is far away.
local NEAR <const> = { initial = 0.1, min = 0.05, max = 0.4 }

local function with(o, more)
  local all <const> = { rto = NEAR, timeout = 5 }
  for _, t in ipairs { o or {}, more or {} } do
    for name, value in pairs(t) do all[name] = value end
  end
  all.deadline = core.now() + all.timeout * helper.slow
  return all
end

--- A listener on loopback; its SCTP port, and its UDP port.
function M.listen(o, ip, port)
  local listener <const> = assert(user.listen({ { ip = ip or "127.0.0.1", port = port or 0 } }, with(o, {
    udp_port = o and o.udp_port or 0,
  })))
  local _, sctp_port, udp_port = listener:getsockname()
  return listener, sctp_port, udp_port
end

--- What connect returns; udp_port: the peer's.
function M.connect(port, udp_port, o, ip)
  return user.connect({ { ip = ip or "127.0.0.1", port = port } }, with({ encap_port = udp_port }, o))
end

--- A client, what its server accepted, and what closes both and the listener,
-- which it has.
function M.pair(o, listen_options, ip)
  local listener <const>, port <const>, udp_port <const> = M.listen(listen_options or o, ip)
  local a <const> = assert(M.connect(port, udp_port, o, ip))
  local b <const> = assert(listener:accept(5 * helper.slow))
  return a, b, setmetatable({ listener = listener }, { __close = function()
    a:close()
    b:close()
    listener:close()
  end })
end

--- A message socket, and its UDP port.
function M.many(o, port)
  local many <const> = assert(user.open({ { ip = "127.0.0.1", port = port or 0 } }, with(o, {
    udp_port = o and o.udp_port or 0,
  })))
  return many, user.udp_port(many)
end

--- At once, and the peer is told.
function M.abort(...)
  for _, stream in ipairs { ... } do
    if stream:isopen() then
      user.set(stream, "abort", "")
      stream:close()
    end
  end
end

-- ---- a relay ----

local function pump(from, to, change, remember)
  local n = 0
  while true do
    local data, ip, port = from:receive()
    if data then
      remember(ip, port)
      n = n + 1
      for _, datagram in ipairs(change(data, n)) do to(datagram) end
    elseif port == "ECLOSED" then
      return
    end
  end
end

--- Between a client and a server's UDP port. change(datagram, number, whether
-- it is the client's): the list of what becomes of it. relay.change may be
-- set. It is to-be-closed.
function M.relay(udp_port, change)
  local front <const> = assert(udp.open("127.0.0.1", 0))
  local back <const> = assert(udp.connect("127.0.0.1", udp_port))
  local relay <const> = { port = select(2, front:getsockname()), change = change }
  local ip, from
  local function changed(is_up)
    return function(data, n)
      if relay.change then return relay.change(data, n, is_up) end
      return { data }
    end
  end
  neap.spawn({ daemon = true }, pump, back, function(data) front:sendto(data, ip, from) end, changed(false),
    function() end)
  neap.spawn({ daemon = true }, pump, front, function(data) back:send(data) end, changed(true), function(i, p)
    ip, from = i, p
  end)
  return setmetatable(relay, { __close = function()
    front:close()
    back:close()
  end })
end

--- A source of chances that are the same each time.
function M.dice(seed)
  local state = seed * 2654435761 % 4294967296
  return function()
    state = (state * 1664525 + 1013904223) % 4294967296
    return state / 4294967296
  end
end

--- Loses, doubles and holds back so much of what goes through.
function M.weather(seed, loss, double, late)
  local chance <const> = M.dice(seed)
  local held <const> = {}
  return function(data, _, up)
    local out <const> = {}
    if chance() >= loss then out[#out + 1] = data end
    if chance() < double then out[#out + 1] = data end
    if held[up] then
      out[#out + 1], held[up] = held[up], nil
    elseif #out > 0 and chance() < late then
      held[up] = table.remove(out)
    end
    return out
  end
end

-- ---- packets ----

local crc <const> = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and c >> 1 ~ 0x82f63b78 or c >> 1 end
  crc[i] = c
end

--- A packet with the checksum that it should have.
function M.summed(packet)
  local zeroed <const> = packet:sub(1, 8) .. "\0\0\0\0" .. packet:sub(13)
  local c = 0xffffffff
  for i = 1, #zeroed do c = crc[(c ~ zeroed:byte(i)) & 0xff] ~ c >> 8 end
  return packet:sub(1, 8) .. ("<I4"):pack(~c & 0xffffffff) .. packet:sub(13)
end

return M
