-- Who is on this network: asks every address of it by ARP, and prints who
-- answers, with the address of its hardware. Needs root, and Linux.
-- SPDX-License-Identifier: MIT
local usage <const> = [=[
usage: arpscan.lua [-t seconds] [interface [network/prefix]]
  -t seconds      how long to wait for answers after the last question, 1 unless given
  interface       the first one that is up and has an IPv4 address, unless given
  network/prefix  the interface's own, unless given; at most 65,536 addresses]=]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local packet <const> = require "neap.packet"
local wire <const> = require "neap.wire"

local ARP <const>, REQUEST <const>, REPLY <const> = 0x0806, 1, 2
local EVERYBODY <const>, UNKNOWN <const> = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
local BATCH <const>, PAUSE <const> = 32, 0.005 -- some 6,000 questions a second, 3 Mbit/s
local TRIES <const> = 2 -- a question may be lost
local SHORTEST <const> = 16 -- bits of a prefix

local function fail(...)
  io.stderr:write("arpscan.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why)
  if not value then error(why, 0) end
  return value
end

-- ---- what to ask ----

local function number_of(ip)
  local bytes = wire.ip_bytes(ip)
  return bytes and #bytes == 4 and string.unpack(">I4", bytes) or nil
end

local function text_of(number) return wire.ip_text(string.pack(">I4", number)) end

local function ip4_of(interface)
  for _, a in ipairs(interface.addresses) do
    if a.family == "inet" then return a end
  end
end

-- The interface of this name, or the first that will do; and its address.
local function choose(name)
  for _, i in ipairs(neap.interfaces()) do
    local suits = i.flags.UP and not i.flags.LOOPBACK and not i.flags.NOARP and i.mac
    if i.name == name or not name and suits and ip4_of(i) then
      return i, ip4_of(i) or error(i.name .. " has no IPv4 address", 0)
    end
  end
  error(name and name .. ": no such interface" or "there is no interface with an IPv4 address", 0)
end

-- The first and the last of the addresses to ask.
local function range(network, own)
  local ip, prefix = (network or own.ip .. "/" .. own.prefix):match "^([%d.]+)/(%d+)$"
  local number, bits = ip and number_of(ip), math.tointeger(tonumber(prefix))
  if not number or bits > 32 then fail(usage) end
  if bits < SHORTEST then error(("%s/%d has too many addresses"):format(ip, bits), 0) end
  local host = (1 << 32 - bits) - 1
  local first <const>, last <const> = number & ~host, number | host
  if bits >= 31 then return first, last end
  return first + 1, last - 1 -- the network's own and the one for all are nobody's
end

-- ---- asking and listening ----

local function question(mac, own, target)
  return wire.encode {
    { layer = "arp", operation = REQUEST, sender_mac = mac, sender_ip = own, target_mac = UNKNOWN, target_ip = target },
  }
end

local function ask(sock, interface, own, first, last, known)
  local questions = {}
  local function send()
    if #questions > 0 then check(sock:sendmany(questions, interface.name, EVERYBODY, ARP)) end
    questions = {}
    neap.sleep(PAUSE)
  end
  for number = first, last do
    local target = text_of(number)
    if target ~= own and not known[target] then questions[#questions + 1] = question(interface.mac, own, target) end
    if #questions == BATCH then send() end
  end
  send()
end

-- Whoever speaks ARP here tells both of its addresses, in an answer or not.
local function listen(sock, first, last, known)
  for data in sock:messages() do
    local arp = (wire.decode(data, "arp") or {}).arp
    local number = arp and arp.operation == REPLY and arp.sender_ip and number_of(arp.sender_ip)
    if number and number >= first and number <= last then
      local macs = known[arp.sender_ip] or {}
      known[arp.sender_ip] = macs
      if not macs[arp.sender_mac] then
        print(("%-15s %s%s"):format(arp.sender_ip, arp.sender_mac, next(macs) and " (another one!)" or ""))
        io.stdout:flush()
      end
      macs[arp.sender_mac] = true
    end
  end
end

local function scan(seconds, name, network)
  local interface, own = choose(name)
  local first, last = range(network, own)
  local sock <close> = check(packet.open(interface.name, { protocol = "arp", cooked = true }))
  local known = {}
  local listener = neap.spawn({ name = "listen" }, listen, sock, first, last, known)
  for _ = 1, TRIES do
    ask(sock, interface, own.ip, first, last, known)
    neap.sleep(seconds / TRIES)
  end
  sock:close() -- ends the listener
  listener:join()
  local count = 0
  for _ in pairs(known) do count = count + 1 end
  print(("%d answered on %s, %s to %s"):format(count, interface.name, text_of(first), text_of(last)))
end

-- ---- the command line ----

local words <const>, seconds = { ... }, 1
if words[1] == "-t" then
  seconds = tonumber(words[2])
  table.remove(words, 1)
  table.remove(words, 1)
end
if not seconds or not (seconds >= 0 and seconds < math.huge) then fail(usage) end
if #words > 2 or words[1] and words[1]:find "^%-" then fail(usage) end
local ok, why = pcall(neap.run, scan, seconds, words[1], words[2])
if not ok then fail(tostring(why)) end
