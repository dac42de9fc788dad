-- sse: prints the events of a URL as they come, until the server says that
-- there are no more; or, with -s, sends the lines of standard input to all who
-- ask for them.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: sse.lua url [last-id]
       sse.lua -s host:port
Exit: 0 at the end, 2 after a failure.]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local http <const> = require "neap.http"
local neap <const> = require "neap"

local function fail(why)
  io.stderr:write(why, "\n")
  os.exit(2, true)
end

local function listen_to(url, last_id)
  local events <close> = http.events(url, { last_id = last_id })
  while true do
    local event, why, code = events:next()
    if code == "EOF" then return end
    if not event then fail("sse.lua: " .. why) end
    print(("%s %s: %s"):format(event.id ~= "" and event.id or "-", event.type, event.data))
    io.flush()
  end
end

-- Each line is an event with a number. Who comes back hears what was missed.
local function serve(address)
  local sse <const> = require "neap.http.sse"
  local lines, more, over = {}, neap.event(), false
  local server <close> = assert(http.listen(address))
  neap.spawn({ daemon = true }, server.serve, server, function(request)
    local n = math.tointeger(tonumber(request.headers:get "last-event-id" or "0")) or 0
    if over and n >= #lines then return 204 end
    return 200, function()
      while not lines[n + 1] do
        if over then return nil end
        more:wait()
      end
      n = n + 1
      return sse.event { data = lines[n], id = n, retry = 100 }
    end, { ["Content-Type"] = sse.TYPE, ["Cache-Control"] = "no-store" }
  end)
  io.stderr:write(("http://%s:%d/\n"):format(server:getsockname()))
  for line in assert(neap.stream(0)):lines() do
    lines[#lines + 1] = line
    more:set():clear()
  end
  over = true
  more:set()
  neap.sleep(0.3) -- those who come back hear that there is no more
  server:stop(1)
end

if arg[1] == "-s" and arg[2] then
  serve(arg[2])
elseif arg[1] and not arg[1]:find "^%-" then
  listen_to(arg[1], arg[2])
else
  fail(usage)
end
