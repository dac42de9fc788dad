-- A tour of neap, as `make run` takes it: each stop is one thing that a network
-- program needs, done for real over loopback. Read it from the bottom up.
-- SPDX-License-Identifier: MIT
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"

local CLIENTS <const> = 200

local function say(...) print("  " .. string.format(...)) end

local function stop(title) print("\n" .. title) end

-- What runs when the scope that holds it ends, however it ends.
local function finally(fn) return setmetatable({}, { __close = fn }) end

-- ---- 1. a server, and two hundred clients ----

local function echo(conn)
  while true do
    local data = conn:receive()
    if not data then return end -- the end of the stream
    assert(conn:write(data))
  end
end

local function ask(host, port, question)
  local conn <close> = assert(tcp.connect(host, port, { timeout = 3 }))
  assert(conn:write(question, "\n"))
  return assert(conn:read("l"))
end

local function clients(port)
  stop(("1. %d clients, a task each, against a server with a task for each"):format(CLIENTS))
  local answered = { localhost = 0, ["127.0.0.1"] = 0 }
  local began <const> = neap.now()
  do
    local group <close> = neap.group() -- its end is where all of them have ended
    for i = 1, CLIENTS do
      local host = i % 2 == 0 and "localhost" or "127.0.0.1"
      group:spawn(function()
        local question = "question " .. i
        assert(ask(host, port, question) == question)
        answered[host] = answered[host] + 1
      end)
    end
  end
  say("%d by name and %d by address had their answer after %.0f ms",
    answered.localhost, answered["127.0.0.1"], (neap.now() - began) * 1000)
end

-- ---- 2. a deadline ----

local function deadline()
  stop "2. a deadline: the server says half of it, and then nothing"
  local near, far <close> = assert(tcp.pair())
  assert(far:write("half a li"))
  local line, why, code = neap.timeout(0.2, near.read, near, "l")
  say("read, given 0.2 s: %s, %q, %s", line, why, code)
  assert(code == "ETIMEDOUT")
  assert(far:write("ne\n"))
  say("nothing was lost; read again: %q", assert(near:read("l")))
  near:close()
end

-- ---- 3. cancellation ----

local function polite(name, said)
  local conn, peer = assert(unix.pair())
  local cleanup <close> = finally(function()
    assert(conn:write(name, " says goodbye\n")) -- a handler may use the network
    said[#said + 1] = assert(peer:read("l"))
    conn:close()
    peer:close()
  end)
  conn:read("l") -- for ever
end

local function cancellation()
  stop "3. a group that is cancelled: its members clean up before it ends"
  local said = {}
  do
    local group <close> = neap.group()
    for _, name in ipairs { "the first", "the second", "the third" } do
      group:spawn({ name = name }, polite, name, said)
    end
    neap.sleep(0.05)
    for _, task in ipairs(neap.tasks()) do
      if task.name and task.name:find "^the " then
        say("%s waits for: %s", task.name, task.waits_for)
      end
    end
    group:cancel()
  end
  say("%s", table.concat(said, ", "))
  assert(#said == 3)
end

-- ---- 4. a descriptor for another process ----

-- What the other process runs: it is given a connection that it never made.
local function child(path)
  local parent <close> = assert(unix.connect(path))
  local fd = assert(parent:receivefd())
  local conn <close> = neap.stream(fd)
  assert(conn:write("hello from the other process\n"))
  assert(parent:write(assert(conn:read("L"))))
end

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- Which Lua runs this: `make` says it, else it is before the script's name.
local function interpreter()
  local i = 0
  if os.getenv "LUA" then return os.getenv "LUA" end
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

local function passing(port)
  stop "4. a connection that is handed to another process"
  local path <const> = os.tmpname()
  os.remove(path)
  local listener <close> = assert(unix.listen(path, { mode = tonumber("600", 8) }))
  local command = table.concat({ quote(interpreter()), quote(arg[0]), "child", quote(path) }, " ")
  local held <close> = assert(io.popen(command, "r"))
  local peer <close> = assert(listener:accept(3))
  say("process %d asked for it", peer:getpeercred().pid)
  do
    local conn <close> = assert(tcp.connect("127.0.0.1", port))
    assert(peer:sendfd(conn)) -- ours is closed here, the child's lives on
  end
  say("through it came: %q", assert(peer:read("l")))
end

-- ---- 5. how fast ----

local function round_trips(port, seconds)
  local conn <close> = assert(tcp.connect("127.0.0.1", port))
  local message <const> = ("x"):rep(64)
  local count, began <const> = 0, neap.now()
  while neap.now() - began < seconds do
    assert(conn:write(message))
    assert(conn:read(64))
    count = count + 1
  end
  return count / (neap.now() - began)
end

local function bulk(port, seconds)
  local conn <close> = assert(tcp.connect("127.0.0.1", port))
  local block <const> = ("x"):rep(65536)
  local writer = neap.spawn(function()
    local until_ <const> = neap.now() + seconds
    while neap.now() < until_ do assert(conn:write(block)) end
    assert(conn:shutdown("w"))
  end)
  local began <const> = neap.now()
  while conn:receive() do end
  writer:join()
  local received = conn:counters()
  return received / (neap.now() - began)
end

local function speed(port)
  stop "5. how fast, client and server being this one process"
  local trips, bytes = round_trips(port, 0.4), bulk(port, 0.4)
  say("throughput: %.0f round trips of 64 bytes/s, %.0f MB/s there and back",
    trips, bytes / 1e6)
end

-- ---- the way ----

local function tour()
  print(("neap on %s, poller %s"):format(_VERSION, neap.poller()))
  local listener <close> = assert(tcp.listen("127.0.0.1", 0, { backlog = CLIENTS }))
  local _, port = listener:getsockname()
  local server = neap.spawn({ name = "server" }, listener.serve, listener, echo)
  clients(port)
  deadline()
  cancellation()
  passing(port)
  speed(port)
  assert(listener:stop(1))
  assert(server:join())
  print(("\nThe tour is over; tasks left: %d."):format(#neap.tasks() - 1))
end

if arg[1] == "child" then child(arg[2]) else neap.run(tour) end
