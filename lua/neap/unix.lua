--- Unix sockets, by path, by abstract name, or in pairs: streams, datagrams, and
-- packets in sequence.
local core <const> = require "neap.core"
local args <const> = require "neap.args"

---@class neap.unix
local M = {}

local listen_options <const> = args.with(args.stream, {
  backlog = "count", mode = "mode", fd = "fd",
})

local RETRY <const> = 0.01 -- a listener's queue is full: no event says when not

-- Calls try() until the listener's queue has room.
local function patiently(path, timeout, try)
  local deadline = timeout and core.now() + timeout
  while true do
    local conn, why, code = try()
    if conn or code ~= "EAGAIN" then return conn, why, code end
    if deadline and core.now() >= deadline then
      return nil, ("connect %s: timed out"):format(path:gsub("^\0", "@")), "ETIMEDOUT"
    end
    core.sleep(RETRY)
  end
end

--- Connects to a path; a leading NUL makes it an abstract name.
function M.connect(path, given)
  args.path(path, 1, 2)
  local o = args.check(given, args.stream, 2, 2)
  return patiently(path, o.timeout, function() return core.connect_unix(path, nil, o) end)
end

--- Listens on a path. A socket file that nobody listens on any more is
-- replaced; the one that this makes is unlinked by close.
function M.listen(path, given)
  require "neap.listener"
  local o = args.check(given, listen_options, 2, 2)
  if o.fd then
    local made, why, code = args.blame(2, core.listen_fd, o.fd, o)
    return made, why, code -- no tail call: this frame counts
  end
  args.path(path, 1, 2)
  return core.listen_unix(path, "stream", o)
end

--- Two streams that are connected with each other.
function M.pair(given)
  return core.pair_unix(args.check(given, args.stream, 1, 2))
end

-- ---- messages ----

local SOCK_DGRAM <const>, SOCK_SEQPACKET <const> = 2, 5

local function message() return require "neap.message" end

local message_options = {}

-- What both kinds take, and `more`.
local function check(given, more, arg)
  local key = more or "none"
  message_options[key] = message_options[key]
    or args.with(message().options, { credentials = "boolean" }, more)
  local o = args.check(given, message_options[key], arg, 3)
  return o
end

local settings <const> = {
  function(sock, o)
    if not o.credentials then return true end
    return sock:setsockopt("SO_PASSCRED", true)
  end,
}

local function make(kind, type, o, operation)
  local sock, why, code = core.message(kind, "unix", type, 0, o)
  if not sock then return nil, ("%s: %s"):format(operation, why), code end
  return message().set_up(sock, o, operation, settings)
end

local function pair(kind, type, o)
  message()
  local a, b, code = core.message_pair(kind, type, o)
  if not a then return nil, b, code end
  local done, why
  for _, sock in ipairs { a, b } do
    done, why, code = message().set_up(sock, o, "pair", settings)
    if not done then
      a:close()
      b:close()
      return nil, why, code
    end
  end
  return a, b
end

---@class neap.unix.datagram
M.datagram = {}

local datagram_options <const> = { mode = "mode", fd = "fd" }
local datagram_connect_options <const> = { mode = "mode", bind = "string" }

--- A socket bound to a path (a leading NUL makes it an abstract name), or
-- without a name (nil). A socket file that nobody uses any more is replaced;
-- the one that this makes is unlinked by close.
function M.datagram.open(path, given)
  if path ~= nil then args.path(path, 1, 2) end
  local o = check(given, datagram_options, 2)
  if o.fd then return message().adopt("unix", o, "datagram.open", settings) end
  local sock, why, code = make("unix", SOCK_DGRAM, o, "datagram.open")
  if not sock or path == nil then return sock, why, code end
  local done
  done, why, code = sock:bind(path, o.mode)
  if done then return sock end
  sock:close()
  return nil, why, code
end

--- A socket that sends to one path. bind: a path of its own, to be answered.
function M.datagram.connect(path, given)
  args.path(path, 1, 2)
  local o = check(given, datagram_connect_options, 2)
  if o.bind then args.path(o.bind, 2, 2) end
  local sock, why, code = M.datagram.open(o.bind, args.without(o, "bind"))
  if not sock then return nil, why, code end
  local done
  done, why, code = sock:connect(path)
  if done then return sock end
  sock:close()
  return nil, why, code
end

--- Two that are connected with each other.
function M.datagram.pair(given) return pair("unix", SOCK_DGRAM, check(given, nil, 1)) end

---@class neap.unix.seqpacket
M.seqpacket = {}

local seqpacket_listen_options <const> = { mode = "mode", fd = "fd", backlog = "count" }

--- A listener whose connections are message sockets.
function M.seqpacket.listen(path, given)
  require "neap.listener"
  local o = check(given, seqpacket_listen_options, 2)
  if o.fd then
    local made, why, code = args.blame(2, core.listen_fd, o.fd, o)
    return made, why, code -- no tail call: this frame counts
  end
  args.path(path, 1, 2)
  local listener, why, code = core.listen_unix(path, "seqpacket", o)
  if listener and o.credentials then listener:setsockopt("SO_PASSCRED", true) end -- which is inherited
  return listener, why, code
end

--- Connects to a path.
function M.seqpacket.connect(path, given)
  args.path(path, 1, 2)
  local o = check(given, nil, 2)
  return patiently(path, o.timeout, function()
    local sock, why, code = make("seqpacket", SOCK_SEQPACKET, o, "connect")
    if not sock then return nil, why, code end
    local done
    done, why, code = sock:connect(path)
    if done then return sock end
    sock:close()
    return nil, why, code
  end)
end

--- Two that are connected with each other.
function M.seqpacket.pair(given) return pair("seqpacket", SOCK_SEQPACKET, check(given, nil, 1)) end

return M
