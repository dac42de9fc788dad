-- WebSocket, both ends. A server that sends back what it gets:
--   lua5.4 websocket_echo.lua -l [-c cert.pem -k key.pem] [host] [port]
-- A client, which sends each line of its input and prints what comes:
--   lua5.4 websocket_echo.lua ws://host:port/path
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: websocket_echo.lua -l [-c cert.pem -k key.pem] [host] [port]
       websocket_echo.lua [-c ca.pem] ws://host:port/path]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local websocket <const> = require "neap.websocket"

local function fail(...)
  io.stderr:write("websocket_echo.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

local function parse(arguments)
  local o, rest = {}, {}
  local i = 1
  while arguments[i] do
    local letter = arguments[i]:match "^%-(%a)$"
    if letter == "l" then
      o.l = true
    elseif letter == "c" or letter == "k" then
      i = i + 1
      o[letter] = arguments[i] or fail(usage)
    else
      rest[#rest + 1] = arguments[i]
    end
    i = i + 1
  end
  return o, rest
end

-- ---- the server ----

local function echo(ws, request)
  local ip, port = ws:getpeername()
  print(("%s:%s came for %s"):format(ip, port, request.target))
  local count = 0
  local data, kind, code
  while true do
    data, kind, code = ws:receive()
    if not data then break end
    count = count + 1
    if not ws:send(data, kind) then break end
  end
  print(("%s:%s left after %d messages: %s"):format(ip, port, count, code == "EOF" and ws.closecode or kind))
end

local function serve(o, host, port)
  local listener
  if o.c then
    listener = assert(require "neap.tls".listen(host, port, { cert = o.c, key = o.k }))
  else
    listener = assert(tcp.listen(host, port))
  end
  for _, name in ipairs { "INT", "TERM" } do
    neap.spawn({ name = name, daemon = true }, function()
      local signal <close> = assert(neap.signal(name))
      signal:wait()
      listener:stop(1)
    end)
  end
  io.stdout:setvbuf "line"
  print(("listening on %s port %d"):format(listener:getsockname()))
  assert(listener:serve(websocket.handler(echo, { compress = true, ping_interval = 30 }), {
    on_error = function(why) io.stderr:write(tostring(why), "\n") end,
  }))
end

-- ---- the client ----

local function talk(o, url)
  local ws <close> = assert(websocket.connect(url, { compress = true, ping_interval = 30, ca = o.c }))
  local reader <close> = neap.spawn(function()
    for data, kind in ws:messages() do print(kind == "text" and data or ("%d bytes"):format(#data)) end
  end)
  neap.sleep(0) -- it receives from here on, even if all of the input is there
  local input <close> = neap.stream(io.stdin)
  for line in input:lines() do
    if not ws:send(line) then break end
  end
  ws:close()
  reader:join()
  io.stderr:write(("closed: %d %s\n"):format(ws.closecode, ws.closereason))
end

local o <const>, rest <const> = parse(arg)
local ok, why
if o.l and #rest <= 2 then
  local port <const> = math.tointeger(tonumber(rest[2] or rest[1] or 8080)) or fail(usage)
  ok, why = pcall(neap.run, serve, o, rest[2] and rest[1] or "127.0.0.1", port)
elseif #rest == 1 and not o.l then
  ok, why = pcall(neap.run, talk, o, rest[1])
else
  fail(usage)
end
if not ok then fail(tostring(why)) end
