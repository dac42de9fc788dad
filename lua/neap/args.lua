--- Arguments, checked: option tables (every name must be known, every value of
-- its type), hosts, ports, "host:port".
local M = {}

-- ---- options ----

local checks <const> = {
  boolean = function(v) return type(v) == "boolean" end,
  string = function(v) return type(v) == "string" end,
  integer = function(v) return math.type(v) == "integer" end,
  count = function(v) return math.type(v) == "integer" and v > 0 end,
  buffer = function(v) return math.type(v) == "integer" and v > 0 and v <= 0x7fffffff end,
  size = function(v) return math.type(v) == "integer" and v > 0 and v < 1 << 30 end,
  seconds = function(v) return type(v) == "number" and v >= 0 end,
  ["function"] = function(v) return type(v) == "function" end,
  keepalive = function(v)
    return type(v) == "boolean" or math.type(v) == "integer" and v > 0 and v <= 32767
  end,
  mode = function(v) return math.type(v) == "integer" and v >= 0 and v <= 511 end,
  family = function(v) return v == "inet" or v == "inet6" or v == "any" end,
  byte = function(v) return math.type(v) == "integer" and v >= 0 and v <= 255 end,
  natural = function(v) return math.type(v) == "integer" and v >= 0 end,
  number = function(v) return type(v) == "number" end,
  table = function(v) return type(v) == "table" end,
  interface = function(v)
    return type(v) == "string" and v ~= "" and #v < 16 and not v:find("\0", 1, true)
      or math.type(v) == "integer" and v > 0 and v <= 0x7fffffff
  end,
  timestamps = function(v) return type(v) == "boolean" or v == "software" or v == "hardware" end,
  pems = function(v) return type(v) == "string" or type(v) == "table" or type(v) == "userdata" end,
  passphrase = function(v) return type(v) == "string" or type(v) == "function" end,
  texts = function(v) return type(v) == "string" or type(v) == "table" end,
  psk = function(v) return type(v) == "table" or type(v) == "function" end,
  keylog = function(v) return type(v) == "boolean" or type(v) == "string" or type(v) == "function" end,
  context = function(v) return type(v) == "userdata" end,
  names = function(v) return type(v) == "table" or type(v) == "function" end,
  protocol = function(v) return type(v) == "string" or math.type(v) == "integer" end,
  ring = function(v) return type(v) == "boolean" or type(v) == "table" end,
  lite = function(v) return type(v) == "boolean" or math.type(v) == "integer" and v >= 8 and v <= 65535 end,
  program = function(v) return type(v) == "table" or type(v) == "string" or math.type(v) == "integer" end,
  fd = function() return true end, -- checked where it is used
}

local wanted <const> = {
  count = "a positive integer",
  buffer = "an integer from 1 to 2^31 - 1",
  size = "an integer from 1 to 2^30 - 1",
  seconds = "a number of seconds, not negative",
  keepalive = "a boolean or seconds of idleness (1 to 32767)",
  mode = "an integer from 0 to 511",
  family = '"inet", "inet6" or "any"',
  byte = "an integer from 0 to 255",
  natural = "an integer, not negative",
  interface = "the name or the number of an interface",
  timestamps = 'a boolean, "software" or "hardware"',
  pems = "PEM text, a path, what neap.x509 makes, or a list of those",
  passphrase = "a string, or a function that returns it",
  texts = "a string or a list of strings",
  psk = "a table or a function",
  keylog = "a boolean, a path or a function",
  context = "what tls.context makes",
  names = "a table of names and contexts, or a function that returns a context",
  protocol = "a protocol's name or number",
  ring = "a boolean or { block_size =, blocks =, frame_timeout = }",
  lite = "a boolean, or the number of bytes that the checksum covers",
  program = "a filter: a list of instructions, or text",
}

--- Options that every stream takes.
M.stream = { timeout = "seconds", maxline = "size", maxread = "size" }

--- A table of kinds made of others.
function M.with(...)
  local all = {}
  for _, kinds in ipairs { ... } do
    for name, kind in pairs(kinds) do all[name] = kind end
  end
  return all
end

--- The same table without a name.
function M.without(options, name)
  local rest = M.with(options)
  rest[name] = nil
  return rest
end

--- Those of `given` that `known` has.
function M.pick(given, known)
  local picked = {}
  for name in pairs(known) do picked[name] = given[name] end
  return picked
end

--- Options of TCP, and of what goes over it.
M.tcp_connect = M.with(M.stream, {
  bind = "string", nodelay = "boolean", keepalive = "keepalive", mptcp = "boolean",
  fastopen = "boolean", family = "family", attempt_delay = "seconds",
})
M.tcp_listen = M.with(M.stream, {
  backlog = "count", reuseport = "boolean", reuseaddr = "boolean", v6only = "boolean",
  nodelay = "boolean", keepalive = "keepalive", mptcp = "boolean", fastopen = "boolean",
  fd = "fd",
})

--- Raises unless `given` is nil or a table of known options; returns a copy.
-- `level` blames the caller, as error does.
function M.check(given, known, arg, level)
  if given ~= nil and type(given) ~= "table" then
    error(("bad argument #%d (table of options expected, got %s)"):format(arg, type(given)), level + 1)
  end
  local options = {}
  for name, value in pairs(given or {}) do
    local kind = known[name]
    if not kind then error(("unknown option '%s'"):format(tostring(name)), level + 1) end
    if not checks[kind](value) then
      error(("option '%s' must be %s"):format(name, wanted[kind] or "a " .. kind), level + 1)
    end
    options[name] = value
  end
  return options
end

--- Raises unless the argument has the type.
function M.argument(value, kind, arg, level)
  if not checks[kind](value) then
    error(("bad argument #%d (%s expected, got %s)"):format(arg, wanted[kind] or kind, type(value)), level + 1)
  end
  return value
end

--- Seconds to wait, or nil; raises on anything else.
function M.timeout(value, arg, level)
  if value ~= nil then M.argument(value, "seconds", arg, level + 1) end
  return value
end

--- Raises unless the method was called on an object of this class.
function M.method(self, class, name, level)
  if getmetatable(self) ~= class then
    error(("bad self (%s expected, got %s): call it as object:%s()"):format(class.__name, type(self), name), level + 1)
  end
end

--- Calls a function that does not wait; what it raises blames the caller.
function M.blame(level, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local err = results[2]
  if type(err) ~= "string" then error(err, 0) end
  error(err:gsub("^[^\n:]+:%d+: ", ""):gsub("^(bad argument #%d+) to '[%w_.?]+'", "%1"), level + 1)
end

-- ---- addresses as people write them ----

--- A port (integer) or a service's name; raises on anything else.
function M.port(port, lowest, arg, level)
  if math.type(port) == "integer" or type(port) == "number" and math.tointeger(port) then
    port = math.tointeger(port)
    if port < lowest or port > 65535 then
      error(("bad argument #%d (port must be in [%d, 65535])"):format(arg, lowest), level + 1)
    end
    return port
  end
  if type(port) ~= "string" or port == "" or port:find("\0", 1, true) then
    error(("bad argument #%d (port or service name expected, got %s)"):format(arg, type(port)), level + 1)
  end
  if port:match "^%d+$" then return M.port(math.tointeger(tonumber(port)) or 65536, lowest, arg, level + 1) end
  return port
end

--- A host's name or address; raises on what cannot be one.
function M.host(host, arg, level)
  if type(host) ~= "string" then
    error(("bad argument #%d (host expected, got %s)"):format(arg, type(host)), level + 1)
  end
  if host == "" or host:find("\0", 1, true) then
    error(("bad argument #%d (host is empty or holds a NUL)"):format(arg), level + 1)
  end
  return host:match "^%[(.+)%]$" or host
end

--- A Unix socket's path; a leading NUL makes it abstract. Raises on what
-- cannot be one.
function M.path(path, arg, level)
  M.argument(path, "string", arg, level + 1)
  local abstract = path:byte() == 0
  local why = path == "" and "empty path" or #path > (abstract and 108 or 107) and "path too long for a Unix socket"
    or not abstract and path:find("\0", 1, true) and "the path holds a NUL"
  if why then error(("bad argument #%d (%s)"):format(arg, why), level + 1) end
  return path
end

--- "ip", "ip:port", "[ip]:port" -> ip, port (0 if there is none).
function M.endpoint(text)
  local ip, port = text:match "^%[(.+)%]:(%d+)$"
  if not ip then ip, port = text:match "^([^:]+):(%d+)$" end
  if not ip then ip, port = text:match "^%[?([^%[%]]+)%]?$", "0" end
  port = math.tointeger(tonumber(port))
  if not ip or not port or port > 65535 then return nil end
  return ip, port
end

--- "127.0.0.1:80", "[::1]:80".
function M.text(ip, port)
  return (ip:find(":", 1, true) and "[%s]:%s" or "%s:%s"):format(ip, port)
end

return M
