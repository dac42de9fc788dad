-- Copies files over SPX, both ways: one side serves a directory, the other
-- puts files there and gets them.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: spx_copy.lua [-s socket] carrier serve directory
       spx_copy.lua [-s socket] carrier NODE put file
       spx_copy.lua [-s socket] carrier NODE get name file
  -s socket  where the server listens, 0x5000 unless given
  carrier    ethernet:INTERFACE, udp:ADDRESS[:PORT] or ipxnet:HOST:PORT
  NODE       the server's, as it says it: 00:11:22:33:44:55]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local spx <const> = require "neap.spx"

local CONTROL <const> = 1 -- the datastream type of what is said about files
local BLOCK <const> = 65536

local function fail(why)
  io.stderr:write("spx_copy.lua: ", why, "\n")
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why)
  if not value then error(why, 0) end
  return value
end

local function say(stream, ...) return check(stream:send(("%s %s"):format(...), { type = CONTROL })) end

-- What the other side has said: a word, and the rest.
local function hear(stream)
  local text, info = stream:receivemsg()
  check(text, info)
  local word, rest = text:match "^(%l+) (.*)$"
  if info.type ~= CONTROL or not word then error("the other side says something else", 0) end
  if word == "no" then error(rest, 0) end
  return word, rest
end

-- Sends a file: its length, and its bytes.
local function send_file(stream, word, path, name)
  local file <close> = check(io.open(path, "rb"))
  local length <const> = check(file:seek "end")
  say(stream, word, ("%d %s"):format(length, name))
  file:seek("set", 0)
  for block in file:lines(BLOCK) do check(stream:send(block)) end
  return length
end

-- Writes what comes into a file, under another name until it is whole.
local function receive_file(stream, path, length)
  local part <const> = path .. ".part"
  local file <const> = check(io.open(part, "wb"))
  local unfinished <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
    if io.type(file) == "file" then
      file:close()
      os.remove(part)
    end
  end })
  local n = 0
  while n < length do
    local block = check(stream:receivemsg())
    n = n + #block
    check(file:write(block))
  end
  if n > length then error("more came than was told", 0) end
  check(file:close())
  check(os.rename(part, path))
end

-- ---- the server ----

-- A plain name in the directory.
local function path_of(directory, name)
  if name == "" or name:find "[/%z]" or name:find "^%." then error("that is no name of a file", 0) end
  return directory .. "/" .. name
end

local commands <const> = {}

function commands.put(stream, directory, rest)
  local length <const>, name <const> = rest:match "^(%d+) (.*)$"
  receive_file(stream, path_of(directory, name or ""), math.tointeger(tonumber(length)) or 0)
  say(stream, "done", length)
end

function commands.get(stream, directory, name)
  local path <const> = path_of(directory, name)
  send_file(stream, "file", path, name)
  hear(stream)
end

local function serve(o, directory)
  local listener <close> = check(spx.listen { carrier = o.carrier, socket = o.socket, timeout = 30 })
  local _, node = listener:getsockname()
  io.stdout:write(("serving %s at %s, socket 0x%04x\n"):format(directory, node, o.socket)):flush()
  check(listener:serve(function(stream)
    local ok, why = pcall(function()
      local word, rest = hear(stream)
      local command = commands[word] or error("that is no command", 0)
      command(stream, directory, rest)
    end)
    if ok then return end
    if type(why) == "userdata" then error(why, 0) end
    stream:send("no " .. tostring(why), { type = CONTROL })
  end, { max_connections = 16 }))
end

-- ---- the client ----

local function put(stream, path)
  local length = send_file(stream, "put", path, path:match "[^/]*$")
  hear(stream)
  print(("%d bytes put"):format(length))
end

local function get(stream, name, path)
  say(stream, "get", name)
  local _, rest = hear(stream)
  local length <const> = math.tointeger(tonumber(rest:match "^%d+"))
  receive_file(stream, path, length or error("the other side tells no length", 0))
  say(stream, "done", length)
  print(("%d bytes got"):format(length))
end

local function client(o, node, ...)
  local words <const> = { ... }
  local stream <close> = check(spx.connect(0, node, o.socket, { carrier = o.carrier, timeout = 30 }))
  if words[1] == "put" then put(stream, words[2]) else get(stream, words[2], words[3]) end
end

-- ---- the command line ----

local function main(...)
  local words <const>, o <const> = { ... }, { socket = 0x5000 }
  if words[1] == "-s" then
    o.socket = math.tointeger(tonumber(words[2])) or fail(usage)
    table.remove(words, 1)
    table.remove(words, 1)
  end
  o.carrier = table.remove(words, 1)
  if words[1] == "serve" and #words == 2 then return serve(o, words[2]) end
  if words[2] == "put" and #words == 3 or words[2] == "get" and #words == 4 then
    return client(o, table.unpack(words))
  end
  fail(usage)
end

local ok, why = pcall(neap.run, main, ...)
if not ok then fail(tostring(why)) end
