-- A chat over IPX: lines of the input go to everybody on the network, and who
-- says what is printed. It meets DOSBoxes, and whatever speaks IPX on a wire.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: ipx_chat.lua [-n name] [-s socket] carrier
  -n name    who you are, $USER unless given
  -s socket  the number of the socket, 0x5000 unless given
  carrier    ipxnet:HOST:PORT   through a DOSBox that has `ipxnet startserver PORT`, or ipxnet_server.lua
             server:*:PORT      to be such a server: `ipxnet connect HOST PORT` in each DOSBox
             ethernet:INTERFACE frames of Ethernet II (it needs the right to)
             udp:ADDRESS        RFC 1234, on the subnet of that address]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local ipx <const> = require "neap.ipx"

local function fail(...)
  io.stderr:write("ipx_chat.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why)
  if not value then error(why, 0) end
  return value
end

local function parse(words)
  local options, i = { n = os.getenv "USER" or "somebody", s = "0x5000" }, 1
  while words[i] do
    local letter, value = words[i]:match "^%-([ns])(.*)$"
    if letter then
      if value == "" then i, value = i + 1, words[i + 1] end
      options[letter] = value or fail(usage)
    elseif words[i]:find "^%-" or options.carrier then
      fail(usage)
    else
      options.carrier = words[i]
    end
    i = i + 1
  end
  options.socket = math.tointeger(tonumber(options.s)) or fail(usage)
  if not options.carrier then fail(usage) end
  return options
end

-- What others send may be anything: no control characters get to the terminal.
local function clean(text) return (text:gsub("%c", "?")) end

local function listen(sock)
  for data, _, node in sock:messages() do
    print(("%s: %s"):format(node, clean(data)))
    io.stdout:flush()
  end
end

local function chat(o)
  local sock <close> = check(ipx.open { carrier = o.carrier, socket = o.socket, broadcast = true })
  local _, node = sock:getsockname()
  local function say(text)
    check(sock:sendto(("%s: %s"):format(o.n, text):sub(1, sock:mtu()), 0, ipx.BROADCAST, o.socket))
  end

  local input <close> = check(neap.stream(0))
  local reader <close> = neap.spawn({ name = "listen" }, listen, sock)
  print(("* %s as %s"):format(o.carrier, node))
  io.stdout:flush()
  for line in input:lines() do say(line) end
  sock:close() -- ends the reader
  reader:join()
end

local ok, why = pcall(neap.run, chat, parse { ... })
if not ok then fail(tostring(why)) end
