-- A chat server: lua5.4 chat.lua [port], then `nc localhost port` from many
-- terminals. The first line is a user's name. A user who reads slowly holds up
-- nobody: each has a bounded channel of lines, and what does not fit is skipped.
-- SPDX-License-Identifier: MIT
local usage <const> = "usage: chat.lua [port]"

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"

local QUEUE <const> = 100 -- lines that may wait for one user
local MAX_USERS <const> = 1000
local PATIENCE <const> = 60 -- seconds for one write, then the user is given up

local users <const> = {} -- name -> user

local function finally(fn) return setmetatable({}, { __close = fn }) end

-- Never waits, so that nobody waits for the slowest.
local function tell(user, line)
  local ok, _, code = user.lines:send(line, 0)
  if not ok and code == "ETIMEDOUT" then user.missed = user.missed + 1 end
end

-- Users may come and go meanwhile: a task that is busy for long gives way.
local function tell_all(line, except)
  local list <const> = {}
  for _, user in pairs(users) do list[#list + 1] = user end
  for _, user in ipairs(list) do
    if user ~= except then tell(user, line) end
  end
end

-- The task that writes to one user.
local function deliver(conn, user)
  for line in user.lines:values() do
    if user.missed > 0 then
      line = ("* you missed %d lines\n%s"):format(user.missed, line)
      user.missed = 0
    end
    if not neap.timeout(PATIENCE, conn.write, conn, line, "\n") then break end
  end
  conn:close() -- the reader wakes, too
end

local function ask_name(conn)
  assert(conn:write "Your name?\n")
  local name = conn:read "l"
  if not name then return nil end
  if not name:find "^[%w_-]+$" or #name > 20 then
    conn:write "Letters and digits, please.\n"
  elseif users[name] then
    conn:write "That one is here already.\n"
  else
    return name
  end
end

local function converse(conn)
  conn:settimeout(PATIENCE)
  local name <const> = ask_name(conn)
  if not name then return end
  local user <const> = { lines = neap.channel(QUEUE), missed = 0 }
  local group <close> = neap.group() -- ends once the last line is delivered
  users[name] = user
  local cleanup <close> = finally(function()
    users[name] = nil
    user.lines:close()
    tell_all(("* %s left"):format(name))
  end)
  group:spawn({ name = "to " .. name }, deliver, conn, user)
  tell_all(("* %s is here"):format(name), user)
  tell(user, ("* hello %s"):format(name))
  conn:settimeout(nil)
  for line in function() return (conn:read "l") end do tell_all(("%s: %s"):format(name, line), user) end
end

local function log(err, traceback) io.stderr:write(tostring(err), "\n", traceback or "", "\n") end

local function chat(port)
  local listener <close> = assert(tcp.listen("*", port, { timeout = PATIENCE, maxline = 1000 }))
  print("listening on port " .. select(2, listener:getsockname()))
  io.stdout:flush()
  local signal <close> = neap.signal("INT", "TERM")
  neap.spawn({ daemon = true, name = "signals" }, function()
    if signal:wait() then listener:stop(1) end
  end)
  assert(listener:serve(converse, { max_connections = MAX_USERS, on_error = log }))
end

local port <const> = math.tointeger(tonumber(arg[1] or 7000))
if not port or port < 0 or port > 65535 then
  io.stderr:write(usage, "\n")
  os.exit(2)
end
neap.run(chat, port)
