-- What DOSBoxes meet at, as `ipxnet startserver` of a DOSBox would be: says who
-- comes and who goes, and at the end what was carried.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: ipxnet_server.lua [-m clients] [-i seconds] [host] [port]
  -m clients  how many there may be, 64 unless given
  -i seconds  who is silent that long is forgotten, 300 unless given
  host, port  * (all addresses) and 213 unless given
In each DOSBox: ipxnet connect HOST PORT]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local ipx <const> = require "neap.ipx"

local EVERY <const> = 1 -- seconds until it is looked at again who is there

local function fail(...)
  io.stderr:write("ipxnet_server.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

local function say(...)
  print(string.format(...))
  io.stdout:flush()
end

local function parse(words)
  local options, rest, i = {}, {}, 1
  while words[i] do
    local letter, value = words[i]:match "^%-([mi])(.*)$"
    if letter then
      if value == "" then i, value = i + 1, words[i + 1] end
      options[letter] = tonumber(value) or fail(usage)
    elseif words[i]:find "^%-" then
      fail(usage)
    else
      rest[#rest + 1] = words[i]
    end
    i = i + 1
  end
  local port <const> = math.tointeger(tonumber(table.remove(rest) or 213)) or fail(usage)
  local clients <const> = options.m and (math.tointeger(options.m) or fail(usage))
  return rest[1] or "*", port, { max_clients = clients, idle = options.i }
end

-- Tells who was not there before, and who is not any more.
local function watch(server)
  local known = {}
  while server:isopen() do
    local there <const> = {}
    for _, client in ipairs(server:clients()) do
      there[client.node] = ("%s:%d"):format(client.ip, client.port)
      if not known[client.node] then say("%s is here, as %s", there[client.node], client.node) end
    end
    for node, address in pairs(known) do
      if not there[node] then say("%s has gone", address) end
    end
    known = there
    neap.sleep(EVERY)
  end
end

local function serve(host, port, options)
  local server <close>, why = ipx.server(host, port, options)
  if not server then error(why, 0) end
  local signal <close> = neap.signal("INT", "TERM")
  say("* %s port %d", server:getsockname())
  neap.spawn({ name = "watch", daemon = true }, watch, server)
  signal:wait()
  local did <const> = server:statistics()
  say("* %d packets came, %d went on, %d clients were refused", did.received, did.forwarded, did.refused)
end

local ok, why = pcall(neap.run, serve, parse { ... })
if not ok then fail(tostring(why)) end
