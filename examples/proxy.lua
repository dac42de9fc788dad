-- A TCP forwarder: lua5.4 proxy.lua [host:]port host:port
-- Each direction ends on its own: one side's end is passed on as a half-close,
-- and the other side may still talk.
-- SPDX-License-Identifier: MIT
local usage <const> = "usage: proxy.lua [host:]port host:port"

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"

local CONNECT_TIMEOUT <const> = 10

-- Copies until `from` ends, then passes the end on. A failure of either raises:
-- it cancels the other direction, and both connections are closed.
local function forward(from, to)
  while true do
    local data, why, code = from:receive()
    if code == "EOF" then break end
    if not data then error(why, 0) end
    local ok
    ok, why = to:write(data) -- waits while the other side does not read
    if not ok then error(why, 0) end
  end
  to:shutdown "w"
end

local function join(client, host, port)
  local server <close>, why = tcp.connect(host, port, { timeout = CONNECT_TIMEOUT })
  if not server then error(why, 0) end
  local group <close> = neap.group()
  group:spawn({ name = "up" }, forward, client, server)
  group:spawn({ name = "down" }, forward, server, client)
end

local function endpoint(text, default_host)
  local host, port = (text or ""):match "^%[?(.-)%]?:([%w-]+)$"
  if not host and default_host then host, port = default_host, text end
  if not host or not port or port == "" then
    io.stderr:write(usage, "\n")
    os.exit(2, true)
  end
  return host, math.tointeger(tonumber(port)) or port
end

local function log(why) io.stderr:write("proxy.lua: ", tostring(why), "\n") end

local function proxy(from, to)
  local host, port = endpoint(from, "127.0.0.1")
  local target_host, target_port = endpoint(to)
  local listener <close> = assert(tcp.listen(host, port))
  print("listening on port " .. select(2, listener:getsockname()))
  io.stdout:flush()
  assert(listener:serve(function(client)
    join(client, target_host, target_port)
  end, { on_error = log }))
end

neap.run(proxy, arg[1], arg[2])
