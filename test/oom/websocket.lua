-- WebSocket, both ends: the handshake behind a server of HTTP and over a
-- stream, messages whole and in fragments, compressed, pings, and goodbyes.
local neap = require "neap"
local http = require "neap.http"
local unix = require "neap.unix"
local websocket = require "neap.websocket"

function neap.onerror(_, err)
  if not tostring(err):find("memory", 1, true) then print("onerror: " .. tostring(err)) end
end

local compress = pcall(require, "neap.zcore") and { threshold = 0 } or nil

local function echo(ws)
  for data, kind in ws:messages() do
    if not ws:send(data, kind) then return end
  end
end

local function converse(ws)
  assert(ws:send "Hällo" and ws:send(("\0\xff"):rep(3000), "binary") and ws:ping "there?")
  local list = { "in ", "pie", "ces" }
  local i = 0
  assert(ws:send(function()
    i = i + 1
    return list[i]
  end))
  assert(ws:receive() == "Hällo" and #assert(ws:receive()) == 6000 and ws:receive() == "in pieces")
end

local function behind_http()
  local server <close> = assert(http.listen("127.0.0.1:0", { on_error = function() end, idle_timeout = 0.3 }))
  local task <close> = neap.spawn(server.serve, server,
    websocket.handler(echo, { timeout = 0.3, close_timeout = 0.1, compress = compress, protocols = "echo" }))
  local ws <close> = assert(websocket.connect(("ws://127.0.0.1:%d/"):format(select(2, server:getsockname())),
    { timeout = 0.3, open_timeout = 0.3, close_timeout = 0.1, compress = compress, protocols = { "echo" } }))
  converse(ws)
  ws:close(4000, "enough")
  server:stop(0.1)
  task:join()
end

local function over_a_pair()
  local a, b = assert(unix.pair())
  local held <close> = setmetatable({}, { __close = function() a:close() b:close() end })
  local task <close> = neap.spawn(function()
    local ws <close> = websocket.over(b, { role = "server", timeout = 0.3, close_timeout = 0.1, ping_interval = 5 })
    echo(ws)
  end)
  local ws <close> = websocket.over(a, { role = "client", timeout = 0.3, close_timeout = 0.1 })
  converse(ws)
  ws:close()
  task:join()
end

for _, fn in ipairs { behind_http, over_a_pair } do
  neap.run(function() assert(neap.timeout(2, function() fn() return true end)) end)
end
