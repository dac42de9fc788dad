-- neap in a program that lives in luv's loop: uv watches neap's descriptor and
-- its next deadline, and lets it step. Tasks and callbacks then take turns.
-- SPDX-License-Identifier: MIT
local uv <const> = require "luv"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"

-- Returns a function that takes neap out of uv's loop again.
local function host(loop_fd)
  local poll <const> = assert(uv.new_poll(loop_fd))
  local timer <const> = assert(uv.new_timer())
  local prepare <const> = assert(uv.new_prepare())
  prepare:unref() -- by itself it is no reason for uv to go on

  local function stop()
    for _, handle in ipairs { poll, timer, prepare } do
      if not handle:is_closing() then handle:close() end
    end
  end

  local function step()
    if not neap.step() then stop() end
  end

  poll:start("r", function(err)
    assert(not err, err)
    step()
  end)
  -- Whatever callback ran, and whatever it spawned: before uv sleeps it learns
  -- for how long it may.
  prepare:start(function()
    local seconds = neap.next_deadline()
    if seconds then timer:start(math.ceil(seconds * 1000), 0, step) else timer:stop() end
  end)
  return stop
end

-- ---- a server of luv's, and a task of ours that talks to it ----

local function luv_server()
  local server <const> = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(16, function(err)
    assert(not err, err)
    local client = uv.new_tcp()
    server:accept(client)
    client:read_start(function(_, data)
      if data then client:write("luv echoes " .. data) else client:close() end
    end)
  end))
  return server
end

local fd, why = neap.pollfd()
if not fd then -- as with NEAP_POLLER=poll
  print("this poller has no descriptor: " .. why)
  os.exit(0, true)
end

local server <const> = luv_server()
host(fd)

neap.spawn(function()
  local conn <close> = assert(tcp.connect("127.0.0.1", server:getsockname().port))
  for i = 1, 3 do
    assert(conn:write("line ", i, "\n"))
    print("a task read: " .. assert(conn:read "l"))
    neap.sleep(0.02)
  end
  print("a deadline: " .. select(2, neap.timeout(0.05, conn.read, conn)))
  server:close()
end)

uv.run()
print "uv's loop has ended"
