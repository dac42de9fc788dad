--- ICMP: who answers and how soon, the way there, and the longest packet that
-- gets through. Without privilege where the system allows that.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local socket <const> = require "neap.icmp.socket"
local sync <const> = require "neap.sync"

---@class neap.icmp
local M = {}

local FAMILIES <const> = { "inet", "inet6" }
local LONGEST <const> = 65507

-- Raises unless the options that are given are at most that large, and not 0.
local function limit(o, most, level, ...)
  for _, name in ipairs { ... } do
    if o[name] and (o[name] < 1 or o[name] > most) then
      error(("option '%s' must be an integer from 1 to %d"):format(name, most), level + 1)
    end
  end
end

-- ---- hosts ----

-- One host or several: a list without repetitions, whether it was one.
local function hosts_of(given, level)
  if type(given) == "string" then return { args.host(given, 1, level + 1) }, true end
  if type(given) ~= "table" then
    error(("bad argument #1 (host or list of hosts expected, got %s)"):format(type(given)), level + 1)
  end
  local list, known = {}, {}
  for _, host in ipairs(given) do
    local name = args.host(host, 1, level + 1)
    if not known[name] then
      known[name] = true
      list[#list + 1] = name
    end
  end
  if #list == 0 then error("bad argument #1 (the list of hosts is empty)", level + 1) end
  return list, false
end

-- What is known of each host; those without an address have message and code.
local function targets_of(hosts, o)
  local targets = {}
  local group <close> = core.group()
  local function look_up(i, host)
    local ip, family, code = socket.lookup(host, o)
    targets[i] = require "neap.icmp.ping".target(host, ip, ip and family)
    if not ip then targets[i].message, targets[i].code = family, code end
  end
  for i, host in ipairs(hosts) do
    if #hosts == 1 or core.isip(host) then look_up(i, host) else group:spawn(look_up, i, host) end
  end
  group:wait()
  return targets
end

-- An engine for each family that occurs: list, or nil, message, code.
local function engines_of(targets, o)
  local engines, last = {}, nil
  for _, family in ipairs(FAMILIES) do
    local list = {}
    for _, target in ipairs(targets) do
      if target.family == family then list[#list + 1] = target end
    end
    if #list > 0 then
      local engine, why, code = require "neap.icmp.ping".engine(family, list, o)
      if engine then
        engines[#engines + 1] = engine
      else -- the other family may do
        last = { why, code }
        for _, target in ipairs(list) do target.message, target.code = why, code end
      end
    end
  end
  if #engines == 0 and last then return nil, last[1], last[2] end
  return engines
end

-- ---- ping ----

local ping_options <const> = args.with(socket.options, {
  count = "count", interval = "seconds", timeout = "seconds", size = "natural", payload = "string", ttl = "byte",
  dont_fragment = "boolean", broadcast = "boolean",
})

local COOKIE <const> = 8
local PATTERN <const> = (function()
  local bytes = {}
  for i = 0, 255 do bytes[i + 1] = string.char(i) end
  return table.concat(bytes)
end)()

local function check_ping(given, count, level)
  local o = socket.check(given, ping_options, level + 1)
  limit(o, 255, level + 1, "ttl")
  if o.size and o.payload then error("options 'size' and 'payload' exclude each other", level + 1) end
  o.size = o.size or o.payload and COOKIE + #o.payload or 56
  if o.size > LONGEST then error(("option 'size' must be at most %d"):format(LONGEST), level + 1) end
  o.filler = o.payload or PATTERN:rep(o.size // #PATTERN + 1)
  o.count, o.interval, o.timeout = o.count or count, o.interval or 1, o.timeout or 1
  if o.timestamps == nil then o.timestamps = true end
  if o.dont_fragment ~= nil then o.mtu_discover = o.dont_fragment and "probe" or "dont" end
  return o
end

local function closing(engines)
  return setmetatable({}, { __close = function()
    for _, engine in ipairs(engines) do engine:close() end
  end })
end

-- Keeps all that an engine says in the targets.
local function collect(engine)
  while true do
    local reply, target, code = engine:next()
    if not reply then return target, code end
    if not reply.duplicate then target[reply.seq] = reply end
  end
end

--- Sends requests to a host, or to each of a list, and waits for the answers.
-- A table of the host, or one by host of such tables.
function M.ping(given, options)
  local hosts <const>, single <const> = hosts_of(given, 2)
  local o <const> = check_ping(options, 1, 2)
  local targets <const> = targets_of(hosts, o)
  if single and targets[1].code then return nil, targets[1].message, targets[1].code end
  local engines, why, code = engines_of(targets, o)
  if not engines then return nil, why, code end
  local held <close> = closing(engines)
  local group <close> = core.group()
  for i = 2, #engines do
    group:spawn(function() why, code = collect(engines[i]) end)
  end
  if engines[1] then why, code = collect(engines[1]) end
  group:wait()
  if code then return nil, why, code end
  if single then return targets[1] end
  local by_host = {}
  for _, target in ipairs(targets) do by_host[target.host] = target end
  return by_host
end

-- The replies of several engines, as they come; and what ends it.
local function merged(engines)
  local replies <const> = sync.channel(0)
  local running, tasks = #engines, {}
  for i, engine in ipairs(engines) do
    tasks[i] = core.spawn({ name = "pings", daemon = true }, function()
      repeat
        local reply, target, code = engine:next()
        if reply or code then replies:send { reply, target, code } end
      until not reply
      running = running - 1
      if running == 0 then replies:close() end
    end)
  end
  return function()
    local got = replies:receive()
    if got then return table.unpack(got, 1, 3) end
  end, function()
    for _, task in ipairs(tasks) do task:cancel() end
  end
end

--- Iterates over answers, errors and timeouts, as they come: reply, what is
-- known of its host. Endless unless there is a count.
function M.pings(given, options)
  local hosts <const> = hosts_of(given, 2)
  local o <const> = check_ping(options, math.huge, 2)
  local targets <const> = targets_of(hosts, o)
  if #targets == 1 and targets[1].code then return nil, targets[1].message, targets[1].code end
  local engines, why, code = engines_of(targets, o)
  if not engines then return nil, why, code end
  local step, stop
  local at = 0
  local function next_reply()
    while at < #targets do -- first, those of whom nothing else will be heard
      at = at + 1
      local target = targets[at]
      if target.code then return { host = target.host, code = target.code, message = target.message }, target end
    end
    if not step and #engines > 1 then step, stop = merged(engines) end
    local reply, target, errcode
    if step then
      reply, target, errcode = step()
    elseif engines[1] then
      reply, target, errcode = engines[1]:next()
    end
    if errcode then error(target, 2) end
    return reply, target
  end
  return next_reply, nil, nil, setmetatable({}, { __close = function()
    if stop then stop() end
    for _, engine in ipairs(engines) do engine:close() end
  end })
end

-- ---- the way ----

local trace_options <const> = args.with(args.without(socket.options, "timestamps"), {
  method = "string", first_ttl = "byte", max_ttl = "byte", queries = "count", port = "count", timeout = "seconds",
  parallel = "count", size = "natural", dont_fragment = "boolean",
})

local methods <const> = { udp = 33434, icmp = false, tcp = 80 }

local function check_method(o, level)
  o.method = o.method or "udp"
  local port = methods[o.method]
  if port == nil then error("option 'method' must be \"udp\", \"icmp\" or \"tcp\"", level + 1) end
  if o.port and not port then error("option 'port' is not for the method icmp", level + 1) end
  limit(o, 65535, level + 1, "port")
  o.port = o.port or port
  return o
end

--- Iterates over the routers on the way to a host, the host itself last.
function M.traceroute(host, options)
  host = args.host(host, 1, 2)
  local o <const> = check_method(socket.check(options, trace_options, 2), 2)
  limit(o, 255, 2, "first_ttl", "max_ttl")
  o.first_ttl, o.max_ttl = o.first_ttl or 1, o.max_ttl or 30
  o.queries, o.parallel, o.timeout = o.queries or 3, o.parallel or 16, o.timeout or 2
  if o.first_ttl > o.max_ttl then error("option 'first_ttl' must be at most 'max_ttl'", 2) end
  local n <const> = (o.max_ttl - o.first_ttl + 1) * o.queries
  if n > 65536 or o.method == "udp" and o.port + n > 65536 then
    error("option 'queries': there are not as many ports", 2)
  end
  if o.size and (o.size > LONGEST or o.method == "tcp") then
    error(("option 'size' must be at most %d, and is not for the method tcp"):format(LONGEST), 2)
  end
  if o.dont_fragment ~= nil then o.mtu_discover = o.dont_fragment and "probe" or "dont" end
  return require "neap.icmp.trace"(host, o)
end

-- ---- the longest packet ----

local mtu_options <const> = args.with(args.without(socket.options, "timestamps"), {
  method = "string", port = "count", timeout = "seconds", tries = "count", max = "count",
})

--- The longest packet that gets to a host: MTU, who said so, and how it was
-- found.
function M.path_mtu(host, options)
  host = args.host(host, 1, 2)
  local o <const> = check_method(socket.check(options, mtu_options, 2), 2)
  if o.method == "tcp" then error("option 'method' must be \"udp\" or \"icmp\"", 2) end
  o.timeout, o.tries = o.timeout or 1, o.tries or 3
  o.mtu_discover = "probe"
  return require "neap.icmp.mtu"(host, o)
end

return M
