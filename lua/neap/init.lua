--- neap: the network for Lua. Tasks, waiting, and what is shared by every
-- protocol module.
local core <const> = require "neap.core"

---@class neap
local M = {
  _VERSION = "neap scm-1",
  spawn = core.spawn,
  running = core.running,
  sleep = core.sleep,
  timeout = core.timeout,
  wait = core.wait,
  now = core.now,
  tasks = core.tasks,
  resolve = core.resolve,
  interfaces = core.interfaces,
  signal = core.signal,
  step = core.step,
  pollfd = core.pollfd,
  next_deadline = core.next_deadline,
  poller = core.poller,
  reset = core.reset,
  coroutine = require "neap.coroutine",
}

core.attach(M)

-- What is not used is not loaded.
function M.channel(capacity) return require "neap.sync".channel(capacity) end

function M.event() return require "neap.sync".event() end

function M.semaphore(n) return require "neap.sync".semaphore(n) end

function M.select(cases) return require "neap.sync".select(cases) end

function M.onerror(task, err, traceback)
  io.stderr:write("neap: ", tostring(task), " failed: ", tostring(err), "\n")
  if traceback ~= "" then io.stderr:write(traceback, "\n") end
end

function M.group() return core.group() end

--- A stream of a descriptor, which it owns from now on.
function M.stream(fd, given)
  local args = require "neap.args"
  local stream, why, code = args.blame(2, core.adopt, fd, args.check(given, args.stream, 2, 2))
  return stream, why, code -- no tail call: this frame counts
end

function M.run(fn, ...)
  if type(fn) ~= "function" then
    local meta = debug.getmetatable(fn)
    if not (meta and meta.__call) then
      error(("bad argument #1 (function expected, got %s)"):format(type(fn)), 2)
    end
  end
  local group <close> = core.group("run")
  return group:spawn(fn, ...):join()
end

-- Schemes whose addresses are a host and a port; what listening is called.
local hosted <const> = { tcp = "listen", udp = "open", tls = "listen", dtls = "listen", sctp = "listen" }

-- Which module knows a scheme, and how its addresses are written.
local function open_url(url, call, ...)
  if type(url) ~= "string" then
    error(("bad argument #1 (URL expected, got %s)"):format(type(url)), 3)
  end
  local scheme, rest = url:match "^(%a[%w+.-]*):(.+)$"
  if hosted[scheme] then
    local host, port = rest:match "^//%[([^%]]+)%]:(%w+)/?$"
    if not host then host, port = rest:match "^//([^:/]*):([%w-]+)/?$" end
    if not host then error(("bad argument #1 ('%s' is no %s://host:port)"):format(url, scheme), 3) end
    if host == "" then host = "*" end
    if call == "listen" then call = hosted[scheme] end
    return require("neap." .. scheme)[call](host, port, ...)
  elseif scheme == "unix" then
    return require "neap.unix"[call]((rest:gsub("^//", "", 1):gsub("^@", "\0", 1)), ...)
  end
  error(("bad argument #1 ('%s': the schemes are tcp, udp, tls, dtls, sctp and unix)"):format(url), 3)
end

--- Connects to "tcp://host:port" (udp, tls, dtls, sctp), "unix:/path" or
-- "unix:@abstract".
function M.connect(url, given) return open_url(url, "connect", given) end

--- Listens on the same; a UDP socket is open then.
function M.listen(url, given) return open_url(url, "listen", given) end

return M
