-- A chat of all who are on one link, without a server: lines of the input go to
-- a multicast group, and who says what is printed.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: multicast_chat.lua [-6] [-g group] [-i interface] [-p port] [-n name]
  -6            IPv6: the group is ff02::6e:6561:7070 unless given
  -g group      the group's address, 239.255.110.101 unless given
  -i interface  by which interface, the system's choice unless given
  -p port       7110 unless given
  -n name       who you are, $USER unless given]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local udp <const> = require "neap.udp"

local LONGEST <const> = 1000 -- bytes of a line: what any link carries whole

local function fail(...)
  io.stderr:write("multicast_chat.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why)
  if not value then error(why, 0) end
  return value
end

-- ---- the command line ----

local function parse(words)
  local options, i = { p = "7110", n = os.getenv "USER" or "somebody" }, 1
  while words[i] do
    local letter, value = words[i]:match "^%-([6gipn])(.*)$"
    if not letter then fail(usage) end
    if letter ~= "6" and value == "" then i, value = i + 1, words[i + 1] end
    options[letter] = value or fail(usage)
    i = i + 1
  end
  options.port = math.tointeger(tonumber(options.p)) or fail(usage)
  options.group = options.g or options["6"] and "ff02::6e:6561:7070" or "239.255.110.101"
  options.six = options.group:find(":", 1, true) ~= nil
  if not options.six and not options.group:find "^[%d.]+$" then fail(usage) end
  return options
end

-- ---- the group ----

-- What others send may be anything: no control characters get to the terminal.
local function clean(text) return (text:gsub("%c", "?")) end

-- A socket that has what comes to this group on the port, and nothing of other
-- groups that others on this machine have joined.
local function join(o)
  local sock = check(udp.open(o.six and "::" or "0.0.0.0", o.port, {
    reuseaddr = true, v6only = o.six or nil, multicast_interface = o.i, multicast_ttl = 1,
  }))
  sock:setsockopt(o.six and "IPV6_MULTICAST_ALL" or "IP_MULTICAST_ALL", false)
  check(sock:join(o.group, o.i))
  return sock
end

-- Each message is "id name text": by the id one knows one's own, which come
-- back. (Addresses do not tell: several may chat on one machine.)
local function listen(sock, id)
  for data, ip in sock:messages() do
    local whose, name, text = data:match "^(%x+) (%S+) (.*)$"
    if whose and whose ~= id then
      print(("%s (%s): %s"):format(clean(name), ip, clean(text)))
      io.stdout:flush()
    end
  end
end

local function chat(o)
  local sock <close> = join(o)
  math.randomseed(os.time(), math.floor(neap.now() * 1e9)) -- two may start in the same second
  local id, name = ("%08x"):format(math.random(0, 0xffffffff)), o.n:gsub("%s", "_")
  local function say(text)
    check(sock:sendto(("%s %s %s"):format(id, name, text:sub(1, LONGEST)), o.group, o.port))
  end

  local input <close> = check(neap.stream(0))
  local reader <close> = neap.spawn({ name = "listen" }, listen, sock, id)
  print(("* %s port %d"):format(o.group, o.port))
  io.stdout:flush()
  say "* is here"
  for line in input:lines() do say(line) end
  say "* has left"
  sock:close() -- ends the reader
  reader:join()
end

local ok, why = pcall(neap.run, chat, parse { ... })
if not ok then fail(tostring(why)) end
