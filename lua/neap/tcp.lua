--- TCP: connections by name, by every address it has; listeners.
local core <const> = require "neap.core"
local args <const> = require "neap.args"

---@class neap.tcp
local M = {}

-- Names become addresses; what is numeric never leaves this thread.
local function lookup(host, port, family, timeout)
  return core.resolve(host, port, { family = family or "any", timeout = timeout })
end

--- Connects to the first of the host's addresses that answers (RFC 8305).
function M.connect(host, port, given)
  host = args.host(host, 1, 2)
  port = args.port(port, 1, 2, 2)
  local o = args.check(given, args.tcp_connect, 3, 2)
  if o.bind then
    o.bindip, o.bindport = args.endpoint(o.bind)
    if not o.bindip or not core.isip(o.bindip) then
      error("option 'bind' must be \"ip\", \"ip:port\" or \"[ip]:port\"", 2)
    end
  end
  local deadline = o.timeout and core.now() + o.timeout
  local list, why, code = lookup(host, port, o.family, o.timeout)
  if not list then return nil, why, code end
  local function attempt(to, left)
    return core.connect_tcp(to.ip, to.port, setmetatable({ timeout = left }, { __index = o }))
  end
  if #list == 1 then
    local conn
    conn, why, code = attempt(list[1], deadline and math.max(0, deadline - core.now()))
    if conn then return conn:settimeout(o.timeout) end
    if list[1].ip == host then return nil, why, code end
    return nil, ("connect %s (%s)"):format(args.text(host, port), why:gsub("^connect ", "")), code
  end
  return require "neap.race"(list, attempt, {
    name = args.text(host, port), deadline = deadline, delay = o.attempt_delay, timeout = o.timeout,
  })
end

--- Listens on an address, on all of them ("*" or nil), or on an inherited
-- descriptor (option fd).
function M.listen(host, port, given)
  require "neap.listener"
  local o = args.check(given, args.tcp_listen, 3, 2)
  if o.fd then
    local made, why, code = args.blame(2, core.listen_fd, o.fd, o)
    return made, why, code -- no tail call: this frame counts
  end
  port = args.port(port, 0, 2, 2)
  if host == nil or host == "*" then
    local list, why, code = core.resolve("0.0.0.0", port, { timeout = o.timeout })
    if not list then return nil, why, code end
    local listener
    listener, why, code = core.listen_tcp("::", list[1].port, o)
    if listener or code ~= "EAFNOSUPPORT" then return listener, why, code end
    return core.listen_tcp("0.0.0.0", list[1].port, o)
  end
  local list, why, code = lookup(args.host(host, 1, 2), port)
  if not list then return nil, why, code end
  return core.listen_tcp(list[1].ip, list[1].port, o)
end

--- Two streams that are connected with each other over loopback.
function M.pair(given)
  local o = args.check(given, args.stream, 1, 2)
  local listener <close>, why, code = core.listen_tcp("127.0.0.1", 0, o)
  if not listener then return nil, why, code end
  local ip, port = listener:getsockname()
  local a, b
  a, why, code = core.connect_tcp(ip, port, o)
  if not a then return nil, why, code end
  b, why, code = listener:accept()
  if not b then
    a:close()
    return nil, why, code
  end
  return a, b
end

return M
