-- A chat over one SCTP socket: everybody who is here has an association with
-- everybody else, and there is no server.
-- The hosts are who is asked first; they tell of the others. Where the kernel has
-- no SCTP, it goes over UDP port 9899 of each (docs/sctp.md); UDP_PORT and
-- ENCAP_PORT in the environment are ours and theirs instead.
-- SPDX-License-Identifier: MIT
local usage <const> = "usage: sctp_chat.lua name port [host port]..."

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local sctp <const> = require "neap.sctp"

local SAID <const>, PEERS <const> = 1, 2 -- ppid: what a message is

io.stdout:setvbuf "line"
local name <const>, port <const> = arg[1], tonumber(arg[2])
if not port then
  io.stderr:write(usage, "\n")
  os.exit(false)
end

local sock <close> = assert(sctp.open("*", port, {
  events = { "association" }, udp_port = tonumber(os.getenv "UDP_PORT"), encap_port = tonumber(os.getenv "ENCAP_PORT"),
}))
if sock:sctpget "udp_port" then print("* UDP port " .. sock:sctpget "udp_port") end
print("* port " .. select(2, sock:getsockname()))

-- Who is here: a line for each, "ip port".
local function all()
  local lines <const> = {}
  for i, peer in ipairs(sock:associations()) do lines[i] = ("%s %d"):format(peer.ip, peer.port) end
  return table.concat(lines, "\n")
end

local function knows(ip, number)
  for _, peer in ipairs(sock:associations()) do
    if peer.ip == ip and peer.port == number then return true end
  end
end

-- One task for each that is tried: who does not answer holds up nobody.
local function meet(host, number)
  if knows(host, number) then return end
  neap.spawn({ daemon = true }, function()
    local peer <const>, why = sock:connect(host, number, { timeout = 5 })
    if not peer then print("* " .. why) end
  end)
end

local function listen()
  for data, info in function() return sock:receivemsg() end do
    local event <const> = info.notification
    if event and event.state == "up" then
      local peer <const> = sock:association(event.association)
      print(("* %s is here"):format(peer and peer.ip or "somebody"))
      local others <const> = all()
      if others ~= "" then sock:sendmsg(others, { association = event.association, ppid = PEERS }) end
    elseif event then
      print "* somebody has left"
    elseif info.ppid == SAID then
      print(data)
    elseif info.ppid == PEERS then
      for ip, number in data:gmatch "(%S+) (%d+)" do
        if not (tonumber(number) == port and ip:find "^127%.") then meet(ip, tonumber(number)) end
      end
    end
  end
end

neap.run(function()
  neap.spawn({ daemon = true }, listen)
  for i = 3, #arg - 1, 2 do meet(arg[i], tonumber(arg[i + 1])) end
  local input <close> = assert(neap.stream(0))
  for line in input:lines() do
    for _, peer in ipairs(sock:associations()) do
      if line ~= "" then peer:send(name .. ": " .. line, { ppid = SAID }) end
    end
  end
end)
