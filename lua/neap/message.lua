--- What message sockets do beyond sending and receiving: names are looked up,
-- full queues tried again, messages iterated over, options set.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
core.open_messages()

local M = {}

local methods <const> = core.messages

-- ---- what the core leaves to Lua ----

local SOCK_DGRAM <const> = 2
local RETRY <const>, SOON <const> = 0.2, 0.001 -- seconds until a full queue is tried again, at most and at least

local slow <const> = {}
M.slow = slow

local function deadline_of(sock)
  local timeout <const> = sock:gettimeout()
  return timeout and core.now() + timeout
end

-- The numeric address of a host, in the families that the socket can reach.
local function lookup(sock, host, port)
  local family = sock:family()
  if family == "inet6" and not sock:getsockopt "IPV6_V6ONLY" then family = "any" end
  local list, why, code = core.resolve(host, port or 0, { family = family, timeout = sock:gettimeout() })
  if not list then return nil, why, code end
  return list[1].ip
end

-- A peer's full queue is no event for a socket that sends to many. But for one
-- that is connected to that peer it is: so such a one is asked. Or what is full
-- is our own buffer.
local function await_room(sock, where, deadline)
  local began = core.now()
  local left = math.min(RETRY, deadline and math.max(0, deadline - began) or RETRY)
  local scout <close> = core.message("unix", "unix", SOCK_DGRAM, 0)
  local fd = sock:fileno()
  if fd and core.wait(fd, "w", left) and scout and scout:connect(where) then
    core.wait(scout:fileno(), "w", left)
  end
  if core.now() - began < SOON then core.sleep(math.min(left, SOON)) end
end

-- Calls send() until it is not the peer's queue that is full.
local function patiently(sock, what, where, deadline, send)
  while true do
    local done, why, code = send()
    if done then return done end
    if code ~= "EAGAIN" then return nil, why, code end
    if deadline and core.now() >= deadline then
      return nil, ("%s %s: timed out"):format(what, where:gsub("^\0", "@")), "ETIMEDOUT"
    end
    await_room(sock, where, deadline)
  end
end

local function sendto_path(sock, data, path, deadline)
  return patiently(sock, "sendto", path, deadline, function() return core.message_sendto(sock, data, path) end)
end

function slow.sendto(sock, data, where, port)
  if sock:kind() == "unix" then
    return sendto_path(sock, data, where, deadline_of(sock))
  end
  local ip, why, code = lookup(sock, where, port)
  if not ip then return nil, why, code end
  return core.message_sendto(sock, data, ip, port)
end

function slow.sendmsg(sock, data, given)
  if sock:kind() == "unix" then
    return patiently(sock, "sendmsg", given.path, deadline_of(sock), function()
      return core.message_sendmsg(sock, data, given)
    end)
  end
  local ip, why, code = lookup(sock, given.ip, given.port)
  if not ip then return nil, why, code end
  return core.message_sendmsg(sock, data, args.with(given, { ip = ip }))
end

-- One of the columns: a list, or the same for all.
local function cell(column, i)
  if type(column) == "table" then return column[i] end
  return column
end

function slow.sendmany(sock, datas, wheres, ports)
  if sock:kind() == "unix" then
    local deadline = deadline_of(sock)
    for i, data in ipairs(datas) do
      local done, why, code = sendto_path(sock, data, cell(wheres, i), deadline)
      if not done then return nil, why, code, i - 1 end
    end
    return #datas
  end
  local known, ips = {}, {}
  for i = 1, #datas do
    local host = cell(wheres, i)
    if not known[host] then
      local ip, why, code = lookup(sock, host, cell(ports, i))
      if not ip then return nil, why, code, 0 end
      known[host] = ip
    end
    ips[i] = known[host]
  end
  return core.message_sendmany(sock, datas, ips, ports)
end

for _, name in ipairs { "connect", "bind" } do
  slow[name] = function(sock, host, port)
    local ip, why, code = lookup(sock, host, port)
    if not ip then return nil, why, code end
    return methods[name](sock, ip, port)
  end
end

-- ---- methods ----

--- Iterates over messages: data, address. Ends when the socket is closed or
-- the peer has ended; what is longer than maxmessage is passed over and
-- counted.
function methods:messages()
  args.blame(2, methods.isopen, self)
  local function next_message(data, why, code, ...)
    if data then return data, why, code, ... end
    if code == "EMSGSIZE" then return next_message(self:receive()) end
    if code ~= "ECLOSED" and code ~= "EOF" then error(why, 2) end
  end
  return function() return next_message(self:receive()) end
end

-- ---- making ----

--- Options that every message socket takes.
M.options = {
  timeout = "seconds", maxmessage = "size", rcvbuf = "buffer", sndbuf = "buffer", timestamps = "timestamps",
}

--- Options of those that speak IP.
M.ip_options = args.with(M.options, {
  family = "family", interface = "interface", bind = "string", reuseaddr = "boolean", reuseport = "boolean",
  broadcast = "boolean", ttl = "byte", tos = "byte", errors = "boolean", mtu_discover = "string", filter = "program",
  multicast_ttl = "byte", multicast_loop = "boolean", multicast_interface = "interface", drops = "boolean",
})

-- SOF_TIMESTAMPING_: RX_HARDWARE, RX_SOFTWARE, SOFTWARE, RAW_HARDWARE.
local HARDWARE <const> = (1 << 2) | (1 << 3) | (1 << 4) | (1 << 6)
local DISCOVER <const> = { dont = 0, want = 1, ["do"] = 2, probe = 3, interface = 4, omit = 5 }

local function set(sock, name, value)
  if value == nil then return true end
  return sock:setsockopt(name, value)
end

-- The option of this family; on a socket for both families IPv4's too, as far
-- as it takes it.
local function set_ip(sock, four, six, value)
  if value == nil then return true end
  if sock:family() == "inet" then return sock:setsockopt(four, value) end
  local done, why, code = sock:setsockopt(six, value)
  if done then sock:setsockopt(four, value) end
  return done, why, code
end

local function interface_index(value)
  if type(value) == "string" then return core.ifindex(value) end
  local there, why, code = core.linktype(value)
  if not there then return nil, ("interface %d: %s"):format(value, why:gsub("^linktype: ", "")), code end
  return value
end

-- What each option does, in this order: before the socket is bound.
local settings <const> = {
  function(s, o) return set(s, "SO_RCVBUF", o.rcvbuf) end,
  function(s, o) return set(s, "SO_SNDBUF", o.sndbuf) end,
  function(s, o) return set(s, "SO_REUSEADDR", o.reuseaddr) end,
  function(s, o) return set(s, "SO_REUSEPORT", o.reuseport) end,
  function(s, o) return set(s, "SO_BROADCAST", o.broadcast) end,
  function(s, o) return set(s, "SO_RXQ_OVFL", o.drops) end,
  function(s, o)
    if not o.interface then return true end
    local index, why, code = interface_index(o.interface)
    if not index then return nil, why, code end
    return set(s, "SO_BINDTOIFINDEX", index)
  end,
  function(s, o)
    if not o.timestamps then return true end
    if o.timestamps == "hardware" then return s:setsockopt("SO_TIMESTAMPING", HARDWARE) end
    return s:setsockopt("SO_TIMESTAMPNS", true)
  end,
  function(s, o) return set_ip(s, "IP_TTL", "IPV6_UNICAST_HOPS", o.ttl) end,
  function(s, o) return set_ip(s, "IP_TOS", "IPV6_TCLASS", o.tos) end,
  function(s, o) return set_ip(s, "IP_RECVERR", "IPV6_RECVERR", o.errors or nil) end,
  function(s, o)
    return set_ip(s, "IP_MTU_DISCOVER", "IPV6_MTU_DISCOVER", o.mtu_discover and DISCOVER[o.mtu_discover])
  end,
  function(s, o) return set_ip(s, "IP_MULTICAST_TTL", "IPV6_MULTICAST_HOPS", o.multicast_ttl) end,
  function(s, o) return set_ip(s, "IP_MULTICAST_LOOP", "IPV6_MULTICAST_LOOP", o.multicast_loop) end,
  function(s, o)
    if not o.multicast_interface then return true end
    return core.message_multicast_interface(s, o.multicast_interface)
  end,
  function(s, o)
    if not o.filter then return true end
    return s:attachfilter(o.filter)
  end,
}

--- Raises on a filter that no kernel takes, before there is a socket. text:
-- it may be tcpdump's language, of which libpcap says later what is wrong.
function M.check_filter(o, level, text)
  local filter, why = o.filter, nil
  if text and type(filter) == "string" then
    why = filter:find("\0", 1, true) and "the text holds a NUL"
  elseif math.type(filter) == "integer" then
    why = (filter < 0 or filter > 0x7fffffff) and "this cannot be a descriptor"
  elseif filter then
    local formed, good, wrong = pcall(core.filter_check, filter)
    if not formed then why = good:gsub("^.-%((.*)%)$", "%1") end
    if formed and not good then why = wrong:gsub("^filter: ", "") end
  end
  if why then error("option 'filter': " .. why, level + 1) end
end

--- Raises on values of options that their kinds do not tell apart.
function M.check_ip(o, level)
  if o.mtu_discover and not DISCOVER[o.mtu_discover] then
    error("option 'mtu_discover' must be \"do\", \"dont\", \"want\", \"probe\", \"interface\" or \"omit\"", level + 1)
  end
  M.check_filter(o, level + 1)
  if o.bind then
    o.bindip, o.bindport = args.endpoint(o.bind)
    if not o.bindip or not core.isip(o.bindip) then
      error("option 'bind' must be \"ip\", \"ip:port\" or \"[ip]:port\"", level + 1)
    end
  end
end

--- Adds to a refusal what would help; message, code.
function M.explain(why, code, capability)
  capability = capability or "CAP_NET_RAW"
  if code ~= "EPERM" and code ~= "EACCES" then return why, code end
  return ("%s (it needs %s: root, or `setcap %s+ep` on the interpreter)"):format(why, capability,
    capability:lower()), code
end

--- A socket of a descriptor that was inherited, with the options set.
function M.adopt(kind, o, operation, more)
  local ok, sock, why, code = pcall(core.message_fd, kind, o.fd, o)
  if not ok then error("option 'fd': " .. sock:gsub("^.-%((.*)%)$", "%1"), 2) end -- by a tail call
  if not sock then return nil, ("%s: %s"):format(operation, why), code end
  return M.set_up(sock, o, operation, more)
end

--- Sets what the options say; closes the socket if that fails.
function M.set_up(sock, o, operation, more)
  for _, list in ipairs { settings, more or {} } do
    for _, setting in ipairs(list) do
      local done, why, code = setting(sock, o)
      if not done then
        sock:close()
        return nil, ("%s: %s"):format(operation, why), code
      end
    end
  end
  return sock
end

return M
