-- Listeners and what they serve, names, signals.
local neap = require "neap"
local tcp = require "neap.tcp"

function neap.onerror(_, err)
  if not tostring(err):find("memory", 1, true) then print("onerror: " .. tostring(err)) end
end

local function served()
  local listener <close> = assert(tcp.listen("127.0.0.1", 0, { backlog = 8 }))
  local _, port = listener:getsockname()
  local server <close> = neap.spawn(function()
    return listener:serve(function(conn)
      conn:setvbuf "full"
      for line in conn:lines() do conn:write(line, "\n"):flush() end
    end, { max_connections = 2 })
  end)
  for _ = 1, 2 do
    local conn <close> = assert(tcp.connect("127.0.0.1", port, { timeout = 0.2 }))
    assert(conn:write("one\n", "two\n"))
    assert(conn:read("l", "l"))
    conn:unread "three\nfour"
    assert(conn:readuntil "ee" and conn:peek(3) and conn:receive())
  end
  listener:stop(0.1)
  server:join()
end

local function named()
  assert(neap.resolve("127.0.0.1", 80))
  assert(neap.interfaces())
  local watcher <close> = neap.signal "USR2"
  watcher:wait(0)
end

for _, fn in ipairs { served, named } do
  neap.run(function() assert(neap.timeout(0.5, function() fn() return true end)) end)
end
