-- ping: who answers, and how soon. Any number of hosts at once.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: ping.lua [-46Dbnq] [-c count] [-i seconds] [-W seconds] [-s size] [-t ttl] [-I interface or address] host...
  -4, -6      addresses of this family only
  -D          what is too long must not be cut
  -b          hosts may be broadcast addresses
  -q          only the summary
  -c count    stop after so many requests to each host (else at ^C)
  -i seconds  between requests to a host: 1
  -W seconds  for an answer: 1
  -s size     bytes of payload: 56
  -t ttl      time to live
  -I from     the interface to leave by, or the address to come from
Exit: 0 if every host has answered, 1 if not, 2 if nothing could be sent.]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local icmp <const> = require "neap.icmp"

local function fail(why)
  io.stderr:write(why:find "^usage" and why or "ping.lua: " .. why, "\n")
  os.exit(2, true)
end

-- ---- the command line ----

local function integer(text) return math.tointeger(tonumber(text)) or fail(usage) end
local function seconds(text) return tonumber(text) or fail(usage) end

local quiet = false

local flags <const> = {
  ["4"] = function(o) o.family = "inet" end,
  ["6"] = function(o) o.family = "inet6" end,
  D = function(o) o.dont_fragment = true end,
  b = function(o) o.broadcast = true end,
  q = function() quiet = true end,
}

local values <const> = {
  c = function(o, text) o.count = integer(text) end,
  i = function(o, text) o.interval = seconds(text) end,
  W = function(o, text) o.timeout = seconds(text) end,
  s = function(o, text) o.size = integer(text) end,
  t = function(o, text) o.ttl = integer(text) end,
  I = function(o, text) o[text:find "[.:]" and "bind" or "interface"] = text end,
}

local function parse(arguments)
  local options, hosts = {}, {}
  local i = 1
  while arguments[i] do
    local letters = arguments[i]:match "^%-(.+)$"
    if not letters then hosts[#hosts + 1] = arguments[i] end
    while letters do
      local letter = letters:sub(1, 1)
      letters = #letters > 1 and letters:sub(2) or nil
      if flags[letter] then
        flags[letter](options)
      elseif values[letter] then
        if not letters then i, letters = i + 1, arguments[i + 1] end
        values[letter](options, letters or fail(usage))
        letters = nil
      else
        fail(usage)
      end
    end
    i = i + 1
  end
  if not hosts[1] then fail(usage) end
  return options, hosts
end

-- ---- what is printed ----

local function line_of(reply)
  if not reply.rtt or reply.code then
    return ("%s: seq=%s %s"):format(reply.ip or reply.host, reply.seq or "-", reply.message)
  end
  local line = ("%d bytes from %s: seq=%d ttl=%s time=%.3f ms"):format(reply.size + 8, reply.from, reply.seq,
    reply.ttl or "?", reply.rtt * 1000)
  if reply.duplicate then line = line .. " (duplicate)" end
  if reply.damaged then line = ("%s (damaged from byte %d on)"):format(line, reply.damaged) end
  return line
end

local function summary_of(host)
  local text = ("\n--- %s ---\n%d sent, %d received, %d lost, %d errors"):format(host.host, host.sent, host.received,
    host.lost, host.errors)
  for _, name in ipairs { "duplicates", "damaged", "late" } do
    if host[name] > 0 then text = ("%s, %d %s"):format(text, host[name], name) end
  end
  if host.avg then
    text = ("%s\nmin/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms"):format(text, host.min * 1000, host.avg * 1000,
      host.max * 1000, host.mdev * 1000)
  end
  return text
end

local options <const>, hosts <const> = parse(arg)
local seen <const> = {} -- what is known of each host

local function ping()
  for reply, host in assert(icmp.pings(hosts, options)) do
    seen[host.host] = host
    if not quiet then
      print(line_of(reply))
      io.stdout:flush()
    end
  end
end

local ok, why = pcall(neap.run, function()
  local signal <close> = neap.signal("INT", "TERM")
  local pinging = neap.spawn({ name = "ping" }, ping)
  neap.spawn({ name = "signals", daemon = true }, function()
    if signal:wait() then pinging:cancel() end
  end)
  local _, err, code = pinging:join()
  if err and code ~= "ECANCELED" then error(err, 0) end
end)
if not ok then fail((tostring(why):gsub("^[^ ]+:%d+: ", ""))) end

local silent = false
for _, name in ipairs(hosts) do
  local host = seen[name]
  if host then print(summary_of(host)) end
  silent = silent or not host or host.received == 0
end
os.exit(silent and 1 or 0, true)
