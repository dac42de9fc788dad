-- SPDX-License-Identifier: MIT
--- SPX and SPX II: streams, and messages in their order, over IPX.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local connections <const> = require "neap.spx.connection"
local endpoints <const> = require "neap.spx.endpoint"
local ipx_packets <const> = require "neap.ipx.packet"
local listeners <const> = require "neap.spx.listener"
local machines <const> = require "neap.spx.machine"

---@class neap.spx
local M = {}

-- ---- options ----

local socket_options <const> = args.with(args.stream, {
  carrier = "fd", network = "natural", mtu = "size", socket = "natural", spx2 = "fd", window = "count", buffer = "size",
  retries = "natural", watchdog = "fd", maxmessage = "size",
})
local connect_options <const> = socket_options
local listen_options <const> = args.with(socket_options, { backlog = "count", max_connections = "count" })

local MOST_WINDOW <const> = 4096
local LEAST_BUFFER <const> = 4096
local defaults <const> = {
  spx2 = true, window = 64, buffer = 64 * 1024, retries = 10, maxmessage = 1024 * 1024, backlog = 64,
  max_connections = 1024,
}
local WATCHDOG <const> = { verify = 3, listen = 6, abort = 30 } -- seconds

local function bad(name, what, level) error(("option '%s' must be %s"):format(name, what), level + 1) end

-- Times of its own, or the usual ones; false: none.
local function watchdog_of(given, level)
  if given == false then return false end
  if given ~= nil and type(given) ~= "table" then bad("watchdog", "false, or a table of seconds", level + 1) end
  local dog <const> = args.with(WATCHDOG, given or {})
  for name, seconds in pairs(dog) do
    if not WATCHDOG[name] then error(("unknown option 'watchdog.%s'"):format(tostring(name)), level + 1) end
    if type(seconds) ~= "number" or seconds ~= seconds or seconds <= 0 then
      bad("watchdog." .. name, "a positive number of seconds", level + 1)
    end
  end
  if dog.abort <= dog.listen then bad("watchdog.abort", "greater than 'watchdog.listen'", level + 1) end
  return dog
end

local function check(given, known, arg, level)
  local o <const> = args.check(given, known, arg, level + 1)
  if o.spx2 ~= nil and type(o.spx2) ~= "boolean" and o.spx2 ~= "require" then
    bad("spx2", 'true, false or "require"', level + 1)
  end
  if o.window and o.window > MOST_WINDOW then bad("window", ("from 1 to %d"):format(MOST_WINDOW), level + 1) end
  if o.buffer and o.buffer < LEAST_BUFFER then bad("buffer", ("at least %d bytes"):format(LEAST_BUFFER), level + 1) end
  if o.socket and o.socket > 0xffff then bad("socket", "from 0 to 0xffff", level + 1) end
  if o.carrier == nil then error("option 'carrier' is missing", level + 1) end
  o.watchdog = watchdog_of(o.watchdog, level + 1)
  for name, value in pairs(defaults) do
    if o[name] == nil then o[name] = value end
  end
  return o
end

-- Raises what ipx.open raises in the name of ours.
local function open_endpoint(o, name, level)
  local endpoint, why, code = args.blame(level + 1, endpoints.open, o)
  if not endpoint then return nil, ("%s: %s"):format(name, why:gsub("^ipx%.%w+: ", "")), code end
  return endpoint
end

-- ---- clients ----

-- Network, node, socket as they are in packets.
local function check_peer(network, node, socket, level)
  if math.type(network) ~= "integer" or network < 0 or network > 0xffffffff then
    error("bad argument #1 (network must be in [0, 0xffffffff])", level + 1)
  end
  local bytes <const> = ipx_packets.bytes(node)
  if not bytes or bytes == ipx_packets.BROADCAST then
    error('bad argument #2 (a node such as "00:11:22:33:44:55" expected)', level + 1)
  end
  if math.type(socket) ~= "integer" or socket < 1 or socket > 0xffff then
    error("bad argument #3 (socket must be in [1, 0xffff])", level + 1)
  end
  return { network = network, node = bytes, socket = socket }
end

-- Until the other side has answered: the connection, or nil, message, code.
local function settle(endpoint, c, timeout)
  local guard <close> = setmetatable({}, { __close = function()
    if c.open then return end
    connections.abort(c)
    endpoint:leave(c)
  end })
  endpoint:enter(c)
  local ok, why, code = c.settled:wait(timeout)
  if c.open then return c end
  if ok then why, code = c.machine.why or "Connection refused", c.machine.code or "ECONNREFUSED" end
  return nil, ("spx.connect %s: %s"):format(c.name, why), code
end

--- Connects to a socket of a node: a stream.
function M.connect(network, node, socket, given)
  local peer <const> = check_peer(network, node, socket, 2)
  local o <const> = check(given, connect_options, 4, 2)
  local deadline <const> = o.timeout and core.now() + o.timeout
  local endpoint, why, code = open_endpoint(o, "spx.connect", 2)
  if not endpoint then return nil, why, code end
  if o.network and peer.network == 0 then peer.network = o.network end
  local c
  c, why, code = settle(endpoint, connections.client(endpoint, endpoint:free_id(), peer),
    deadline and math.max(0, deadline - core.now()))
  if not c then return nil, why, code end
  return connections.stream(c)
end

-- ---- servers ----

--- A listener on a socket.
function M.listen(given)
  local o <const> = check(given, listen_options, 1, 2)
  local endpoint, why, code = open_endpoint(o, "spx.listen", 2)
  if not endpoint then return nil, why, code end
  return listeners.new(endpoint, o)
end

-- ---- what streams tell ----

local stream <const> = core.streams

--- What there is to know of the connection of an SPX stream; nil for others.
function stream:spxinfo()
  local c <const> = connections.of[self]
  if not self:isopen() then return nil, "closed", "ECLOSED" end
  if not c then return nil, "spxinfo: not an SPX stream", "ENOTCONN" end
  return machines.info(c.machine)
end

return M
