-- netcat: standard input to a connection, the connection to standard output.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: nc.lua [-Nv] [-w seconds] [-p port] host port     connect
       nc.lua [-Nv] [-w seconds] -l [host] port          wait for one connection
       nc.lua [-Nv] [-w seconds] [-l] -U path            the same over a Unix socket
  -w seconds  give up connecting, and end when nothing has moved for so long
  -p port     connect from this port
  -N          close our half as soon as the input ends, not only once the
              peer has been silent for a moment, too
  -v          say on standard error what happens]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"

local function fail(...)
  io.stderr:write("nc.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why)
  if not value then error(why, 0) end
  return value
end

-- ---- the command line ----

local flags <const> = { N = "flag", l = "flag", U = "flag", v = "flag", w = "value", p = "value" }

local function parse(arguments)
  local options, rest = {}, {}
  local i = 1
  while arguments[i] do
    local letters = arguments[i]:match "^%-(%a.*)$"
    if not letters then rest[#rest + 1] = arguments[i] end
    while letters and letters ~= "" do
      local letter = letters:sub(1, 1)
      letters = letters:sub(2)
      if flags[letter] == "flag" then
        options[letter] = true
      elseif flags[letter] == "value" then
        if letters == "" then i, letters = i + 1, arguments[i + 1] end
        options[letter], letters = letters or fail(usage), nil
      else
        fail(usage)
      end
    end
    i = i + 1
  end
  return options, rest
end

local function number(text, name, least, most)
  local n = tonumber(text)
  if not n or not (n >= least and n <= most) then fail(name, " is not a number that fits: ", text) end
  return n
end

local function port_number(text)
  local n = math.tointeger(tonumber(text))
  if not n then return text end -- a service's name
  return math.tointeger(number(text, "the port", 0, 65535))
end

-- ---- the connection ----

local function listener_of(o, rest)
  if o.U then return unix.listen(rest[1] or fail(usage)) end
  local host, port = rest[1], rest[2]
  if not port then host, port = nil, host end
  return tcp.listen(host, port_number(port or fail(usage)))
end

local function connection_of(o, rest)
  if o.l then
    local listener <close> = check(listener_of(o, rest))
    if o.v then io.stderr:write("listening on ", table.concat({ listener:getsockname() }, " "), "\n") end
    return listener:accept(o.w)
  elseif o.U then
    return unix.connect(rest[1] or fail(usage), { timeout = o.w })
  end
  if not rest[2] then fail(usage) end
  local options <const> = { timeout = o.w }
  if o.p then -- one family: that of the address that it is bound to
    local v6 = rest[1]:find(":", 1, true)
    options.bind = (v6 and "[::]:" or "0.0.0.0:") .. port_number(o.p)
    options.family = v6 and "inet6" or "inet"
  end
  return tcp.connect(rest[1], port_number(rest[2]), options)
end

-- ---- the two directions ----

-- Copies until `from` ends; then `to` will get no more.
local function copy(from, to, moved)
  while true do
    local data, why, code = from:receive()
    if not data then return code ~= "EOF" and code or nil, why end
    local ok
    ok, why, code = to:write(data)
    if not ok then return code, why end
    moved()
  end
end

-- Calls `on_silence` when `moved` was not called for so long.
local function watch_silence(seconds, on_silence)
  if not seconds then return function() end end
  local last = neap.now()
  neap.spawn({ daemon = true, name = "silence" }, function()
    while neap.now() - last < seconds do neap.sleep(seconds - (neap.now() - last)) end
    on_silence()
  end)
  return function() last = neap.now() end
end

local gone <const> = { EPIPE = true, ECONNRESET = true, ECLOSED = true }

-- Some servers take the end of our half for the end of our interest, and cut
-- short what they are sending. So it waits for a moment of silence.
local SILENCE <const> = 0.25

-- The end of the input closes our half only: the answer may be yet to come.
-- The end of the answer ends the program only once the input has ended, too.
local function exchange(conn, o)
  local input <close> = check(neap.stream(0))
  local output <const> = check(neap.stream(1))
  local silent = false
  local group <close> = neap.group()
  conn:settimeout(nil) -- one direction may be silent while the other moves
  local moved = watch_silence(o.w, function()
    silent = true
    group:cancel()
  end)
  group:spawn({ name = "input" }, function()
    local code, why = copy(input, conn, moved)
    if code and not gone[code] then error(why, 0) end
    local heard
    repeat
      heard = conn:isopen() and not o.N and conn:counters()
      if heard then neap.sleep(SILENCE) end
    until not heard or heard == conn:counters()
    conn:shutdown "w"
  end)
  group:spawn({ name = "output" }, function()
    local code, why = copy(conn, output, moved)
    output:close() -- who reads it need not wait for our input
    if code and code ~= "EPIPE" then error(why, 0) end
    if code then group:cancel() end -- nobody reads it any more
  end)
  group:wait()
  if silent then fail "timed out" end
end

local o <const>, rest <const> = parse(arg)
if o.w then o.w = number(o.w, "-w", 0, 1e6) end

local ok, why = pcall(neap.run, function()
  local conn <close> = check(connection_of(o, rest))
  if o.v then io.stderr:write("connected: ", table.concat({ conn:getpeername() }, " "), "\n") end
  exchange(conn, o)
end)
if not ok then fail(tostring(why)) end
