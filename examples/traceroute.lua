-- traceroute: the routers on the way to a host; and how long packets may be.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: traceroute.lua [-46ITFnM] [-f first] [-m max] [-q queries] [-p port] [-w seconds] [-s address] [-i interface]
                      host [packet length]
  -4, -6      addresses of this family only
  -I, -T      by ICMP echo, by TCP, instead of by UDP
  -F          packets must not be cut
  -n          no names of routers
  -M          tell the path MTU, too
  -f, -m ttl  the first hop (1), the last (30)
  -q queries  probes for each hop: 3
  -p port     of UDP, the first; of TCP, the port
  -w seconds  for an answer: 2]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local icmp <const> = require "neap.icmp"

local function fail(why)
  io.stderr:write(why:find "^usage" and why or "traceroute.lua: " .. why, "\n")
  os.exit(2, true)
end

local function integer(text) return math.tointeger(tonumber(text)) or fail(usage) end

local names, mtu = true, false

local flags <const> = {
  ["4"] = function(o) o.family = "inet" end,
  ["6"] = function(o) o.family = "inet6" end,
  I = function(o) o.method = "icmp" end,
  T = function(o) o.method = "tcp" end,
  F = function(o) o.dont_fragment = true end,
  n = function() names = false end,
  M = function() mtu = true end,
}

local values <const> = {
  f = function(o, text) o.first_ttl = integer(text) end,
  m = function(o, text) o.max_ttl = integer(text) end,
  q = function(o, text) o.queries = integer(text) end,
  p = function(o, text) o.port = integer(text) end,
  w = function(o, text) o.timeout = tonumber(text) or fail(usage) end,
  s = function(o, text) o.bind = text end,
  i = function(o, text) o.interface = text end,
}

local function parse(arguments)
  local options, rest = {}, {}
  local i = 1
  while arguments[i] do
    local letter, value = arguments[i]:match "^%-(.)(.*)$"
    if not letter then
      rest[#rest + 1] = arguments[i]
    elseif values[letter] then
      if value == "" then i, value = i + 1, arguments[i + 1] end
      values[letter](options, value or fail(usage))
    else
      for each in (letter .. value):gmatch "." do (flags[each] or fail(usage))(options) end
    end
    i = i + 1
  end
  if not rest[1] or rest[3] then fail(usage) end
  if rest[2] then options.size = integer(rest[2]) end
  return options, rest[1]
end

-- "router.example (10.0.0.1)": the name is looked up once.
local known <const> = {}
local function name_of(ip)
  if not names then return ip end
  if not known[ip] then
    local name = require "neap.socket".getnameinfo({ ip = ip, port = 0 })
    known[ip] = name and name ~= ip and ("%s (%s)"):format(name, ip) or ip
  end
  return known[ip]
end

-- As traceroute prints it: who answered stands in front of their times.
local function line_of(hop)
  local parts, last = { ("%2d "):format(hop.ttl) }, nil
  for _, probe in ipairs(hop.probes) do
    if not probe then
      parts[#parts + 1] = "*"
    else
      if probe.ip ~= last then parts[#parts + 1] = probe.ip and name_of(probe.ip) end
      last = probe.ip
      if probe.rtt then parts[#parts + 1] = ("%.3f ms"):format(probe.rtt * 1000) end
      parts[#parts + 1] = probe.error
      if probe.state == "open" then parts[#parts + 1] = "[open]" end
    end
  end
  return table.concat(parts, " ")
end

local options <const>, host <const> = parse(arg)

local function tell_mtu()
  local length, who, how = icmp.path_mtu(host, {
    family = options.family, bind = options.bind, interface = options.interface,
    method = options.method == "icmp" and "icmp" or nil, timeout = options.timeout,
  })
  if not length then return print("path MTU: " .. who) end
  print(("path MTU: %d, %s"):format(length, how == "icmp" and "says " .. name_of(who)
    or how == "search" and "found by trying" or "as the interface has it"))
end

local ok, result = pcall(neap.run, function()
  local reached = false
  for hop in assert(icmp.traceroute(host, options)) do
    print(line_of(hop))
    io.stdout:flush()
    reached = hop.reached
  end
  if mtu then tell_mtu() end
  return reached
end)
if not ok then fail((tostring(result):gsub("^[^ ]+:%d+: ", ""))) end
os.exit(result and 0 or 1, true)
