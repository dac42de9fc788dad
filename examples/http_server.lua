-- A web server: lua5.4 http_server.lua [[host:]port] [directory]
-- A page, JSON, a download, a form, events as they happen, and a directory.
-- It ends its requests on SIGINT or SIGTERM, and then itself.
-- SPDX-License-Identifier: MIT
local neap <const> = require "neap"
local http <const> = require "neap.http"

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

local function routes(directory)
  local router <const> = http.router()
  router:get("/", function() return 200, PAGE, HTML end)
  router:get("/time", time)
  router:get("/numbers.csv", numbers)
  router:get("/events", events)
  router:post("/greet", greet)
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
    server:stop(10)
  end)
  assert(server:serve(routes(directory)))
end

neap.run(main, arg[1] or "8080", arg[2] or ".")
