-- A web server: lua5.4 http_server.lua [[host:]port] [directory]
-- A page, JSON, a download, a form, events as they happen, a directory, and a
-- chat in the browser. It ends its requests on SIGINT or SIGTERM, and then itself.
-- SPDX-License-Identifier: MIT
local usage <const> = "usage: http_server.lua [[host:]port] [directory]"

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local http <const> = require "neap.http"
local neap <const> = require "neap"
local websocket <const> = require "neap.websocket"

local PAGE <const> = [[
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>neap</title></head>
<body>
<h1>neap</h1>
<ul>
<li><a href="/time">the time, as JSON</a></li>
<li><a href="/numbers.csv">a download, made while it is sent</a></li>
<li><a href="/events">events, one a second</a></li>
<li><a href="/files/">files</a></li>
<li><a href="/chat">a chat</a></li>
</ul>
<form method="post" action="/greet"><input name="name" placeholder="your name"><button>greet</button></form>
</body></html>
]]

local HTML <const> = { ["Content-Type"] = "text/html; charset=utf-8" }

local function escape(text)
  return (text:gsub("[&<>\"']", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }))
end

local function time()
  return 200, ('{"unix":%d,"text":"%s"}\n'):format(os.time(), os.date "!%Y-%m-%dT%H:%M:%SZ"),
    { ["Content-Type"] = "application/json" }
end

-- A body that is an iterator is made as fast as the client takes it.
local function numbers()
  local n = 0
  local function rows()
    if n == 100000 then return nil end
    local out <const> = {}
    for _ = 1, 1000 do
      n = n + 1
      out[#out + 1] = ("%d,%d\n"):format(n, n * n)
    end
    return table.concat(out)
  end
  return 200, rows, {
    ["Content-Type"] = "text/csv", ["Content-Disposition"] = 'attachment; filename="numbers.csv"',
  }
end

local function events(request)
  local n = tonumber(request:query_params().n) or math.huge
  local i = 0
  return 200, function()
    if i >= n then return nil end
    if i > 0 then neap.sleep(1) end
    i = i + 1
    return ("id: %d\ndata: %s\n\n"):format(i, os.date "!%H:%M:%S")
  end, { ["Content-Type"] = "text/event-stream", ["Cache-Control"] = "no-store" }
end

local function greet(request)
  local form <const>, why <const> = request:form()
  if not form then return 400, why .. "\n" end
  return 200, ("<p>Hello, %s!</p>\n"):format(escape(form.name or "nobody")), HTML
end

-- ---- the chat ----

-- What is said becomes text of the page, and never HTML. A message of the
-- server's is "who<TAB>what", of nobody's if it is a note; the first is the name.
local CHAT <const> = [[
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>A chat over neap</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 1.5rem auto; color: #223; background: #f6f5f1 }
  h1 { font-size: 1.2rem; margin: 0 0 .8rem }
  #log { list-style: none; margin: 0; padding: 1rem; height: 13rem; overflow: auto; background: #fff }
  #log, input, button { border-radius: .6rem }
  #log li { overflow-wrap: anywhere }
  #log b { color: #27509b; margin-right: .5rem }
  #log .note { color: #667; font-style: italic }
  form { display: flex; gap: .5rem; margin-top: .8rem }
  input { flex: 1; font: inherit; padding: .5rem .8rem; border: 1px solid #ccd }
  button { font: inherit; padding: .5rem 1.2rem; border: 0; color: #fff; background: #27509b }
</style></head>
<body>
<h1>A chat over neap<span id="who"></span></h1>
<ul id="log" aria-live="polite"></ul>
<form><input id="text" autocomplete="off" maxlength="500" autofocus><button id="send"></button></form>
<script>
  const [log, who, text, send] = ['log', 'who', 'text', 'send'].map(id => document.getElementById(id))
  let socket

  function show(name, said) {
    const line = log.appendChild(document.createElement('li'))
    line.className = name ? 'line' : 'note'
    if (name) line.appendChild(document.createElement('b')).textContent = name
    line.append(said)
    log.scrollTop = log.scrollHeight
  }

  function ask(name) {
    who.textContent = name && ': ' + name
    text.placeholder = name ? 'Say something' : 'Your name'
    send.textContent = name ? 'Send' : 'Join'
  }

  function join(name) {
    const url = new URL('chat/socket', location)
    url.protocol = url.protocol.replace('http', 'ws')
    url.searchParams.set('name', name)
    socket = new WebSocket(url)
    socket.onmessage = ({ data }) => {
      const at = data.indexOf('\t')
      if (at < 0) ask(data)
      else show(data.slice(0, at), data.slice(at + 1))
    }
    socket.onclose = ({ reason }) => {
      show('', 'The connection has ended' + (reason && ': ' + reason))
      socket = null
      ask('')
    }
  }

  document.forms[0].onsubmit = (event) => {
    event.preventDefault()
    const said = text.value.trim()
    if (!said || socket && socket.readyState !== WebSocket.OPEN) return
    if (socket) socket.send(said)
    else join(said)
    text.value = ''
  }
  ask('')
</script>
</body></html>
]]

local QUEUE <const> = 100 -- messages that may wait for one user
local PATIENCE <const> = 30 -- seconds for one of them to leave
local NAME_MOST <const>, SAID_MOST <const> = 24, 4000 -- characters, bytes

local users <const> = {} -- name -> a channel of what is to be sent

-- Never waits, so that nobody waits for the slowest: who is too far behind is
-- sent away. Users may come and go meanwhile, since a task that is busy for long
-- gives way to others.
local function tell_all(message)
  local list <const> = {}
  for _, waiting in pairs(users) do list[#list + 1] = waiting end
  for _, waiting in ipairs(list) do
    if not waiting:send(message, 0) then waiting:close() end
  end
end

-- The name that somebody gets: what was asked for without what does not show,
-- and with a number if it is taken.
local function name_for(asked)
  local name = utf8.len(asked) and asked:gsub("%c+", " "):match "^%s*(.-)%s*$" or ""
  if utf8.len(name) > NAME_MOST then name = name:sub(1, utf8.offset(name, NAME_MOST + 1) - 1) end
  if name == "" then name = "guest" end
  if not users[name] then return name end
  local n = 2
  while users[name .. " " .. n] do n = n + 1 end
  return name .. " " .. n
end

local function deliver(ws, waiting)
  for message in waiting:values() do
    if not neap.timeout(PATIENCE, ws.send, ws, message) then break end
  end
  ws:close(1001, "goodbye") -- who receives wakes, too
end

local function converse(ws, request)
  local name <const> = name_for(request:query_params().name or "")
  local waiting <const> = neap.channel(QUEUE)
  local group <close> = neap.group() -- ends once the last message has left
  users[name] = waiting
  local cleanup <close> = setmetatable({}, { __close = function()
    users[name] = nil
    waiting:close()
    tell_all(("\t%s has gone"):format(name))
  end })
  group:spawn({ name = "to " .. name }, deliver, ws, waiting)
  waiting:send(name)
  tell_all(("\t%s has come"):format(name))
  while true do
    local text <const>, kind <const> = ws:receive()
    if not text or kind ~= "text" then return end
    tell_all(("%s\t%s"):format(name, text))
  end
end

local chat <const> = websocket.handler(converse, { maxmessage = SAID_MOST, ping_interval = 30 })

local function end_chat()
  for _, waiting in pairs(users) do waiting:close() end
end

-- ---- the server ----

local function routes(directory)
  local router <const> = http.router()
  router:get("/", function() return 200, PAGE, HTML end)
  router:get("/time", time)
  router:get("/numbers.csv", numbers)
  router:get("/events", events)
  router:post("/greet", greet)
  router:get("/chat", function() return 200, CHAT, HTML end)
  router:get("/chat/socket", chat)
  router:mount("/files", assert(http.files(directory, { listing = true })))
  return router
end

local function main(address, directory)
  if not address:find ":" then address = "127.0.0.1:" .. address end
  local server <close>, why <const> = http.listen(address, { access_log = io.stdout })
  if not server then
    io.stderr:write("http_server.lua: ", why, "\n")
    os.exit(1, true)
  end
  local _, port <const> = server:getsockname()
  print("listening on port " .. port)
  io.stdout:flush()
  neap.spawn({ daemon = true }, function()
    local signals <close> = neap.signal("INT", "TERM")
    signals:wait()
    end_chat()
    server:stop(10)
  end)
  assert(server:serve(routes(directory)))
end

neap.run(main, arg[1] or "8080", arg[2] or ".")
