-- A UDP echo, server and client. What is lost on the way is asked again.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: udp_echo.lua -l [host] port       answer whoever asks, until SIGINT or SIGTERM
       udp_echo.lua host port [text...]  ask, with the texts or the lines of the input]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local udp <const> = require "neap.udp"

local PATIENCE <const>, TRIES <const> = 0.4, 3 -- of the first try: it doubles

local function complain(why) io.stderr:write("udp_echo.lua: ", why, "\n") end

local function fail(why)
  complain(why)
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why)
  if not value then error(why, 0) end
  return value
end

-- ---- server ----

-- The answer leaves from the address that was asked, whichever of ours that is;
-- a client that is connected takes no other.
local function answer(server)
  while true do
    local data, info, code = server:receivemsg()
    if data then
      local _, why = server:sendmsg(data, { ip = info.ip, port = info.port, local_ip = info.local_ip })
      if why then complain(why) end -- somebody who cannot be reached: no reason to end
    elseif code == "ECLOSED" then
      return
    end
  end
end

local function serve(host, port)
  local server <close> = check(udp.open(host, port))
  local signal <close> = neap.signal("INT", "TERM")
  print("port " .. select(2, server:getsockname()))
  io.stdout:flush()
  neap.spawn({ daemon = true, name = "echo" }, answer, server)
  signal:wait()
  local questions, bytes = server:counters()
  print(("%d datagrams, %d bytes"):format(questions, bytes))
end

-- ---- client ----

-- Waits for this text to come back. Others are answers that came too late.
local function wait_for(client, text)
  while true do
    local data, why, code = client:receive()
    if data == text then return true end
    if not data then return nil, why, code end
  end
end

-- An answer within the time: true, or nil and why not.
local function try(client, text, patience)
  local ok, why, code = client:send(text)
  if ok then ok, why, code = neap.timeout(patience, wait_for, client, text) end
  if ok then return true end
  if code == "ETIMEDOUT" then return nil, text .. ": no answer" end
  -- ICMP says that nobody is there: perhaps not yet.
  if code == "ECONNREFUSED" then neap.sleep(patience) else error(why, 0) end
  return nil, why
end

local function ask(client, text)
  local patience, why = PATIENCE, nil
  for count = 1, TRIES do
    local began <const> = neap.now()
    local ok
    ok, why = try(client, text, patience)
    if ok then return ("%s (%.1f ms, try %d)"):format(text, (neap.now() - began) * 1000, count) end
    patience = patience * 2
  end
  return nil, why
end

local function questions(texts)
  if #texts == 0 then return neap.stream(0):lines() end
  local i = 0
  return function()
    i = i + 1
    return texts[i]
  end
end

local function run_client(host, port, ...)
  local client <close> = check(udp.connect(host, port))
  for text in questions { ... } do
    print(check(ask(client, text)))
  end
end

-- ---- the command line ----

local function number(text)
  return math.tointeger(tonumber(text)) or fail(usage)
end

local words <const> = { ... }
local action
if words[1] == "-l" and #words >= 2 and #words <= 3 then
  action = { serve, #words == 3 and words[2] or "*", number(words[#words]) }
elseif #words >= 2 and words[1]:sub(1, 1) ~= "-" then
  action = { run_client, words[1], number(words[2]), table.unpack(words, 3) }
else
  fail(usage)
end
local ok, why = pcall(neap.run, table.unpack(action))
if not ok then fail(tostring(why)) end
