--- SCTP: messages in many streams over one association, by the kernel's stack
-- or by one of our own.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local options <const> = require "neap.sctp.options"
local streams <const> = require "neap.sctp.streams"

---@class neap.sctp
local M = {}

local PATIENCE <const> = 20 -- seconds, to connect where nothing is said

-- ---- engines ----

local NAMES <const> = { "kernel", "user" } -- in the order of preference

-- The module; or nil, what is missing, code.
local function load_engine(name)
  local ok, engine = pcall(require, "neap.sctp." .. name)
  if not ok then return nil, (tostring(engine):match "^[^\n]*"), "ENOTSUP" end
  local there, why, code = engine.available()
  if there then return engine end
  return nil, why, code
end

-- What only one of them knows names it.
local function wanted(o)
  return o.engine or (o.carrier or o.udp_port) and "user" or nil
end

-- The engine that the options ask for, or the first that is there.
local function choose(o)
  local name <const> = wanted(o)
  if name then
    local engine, why, code = load_engine(name)
    if engine then return engine end
    return nil, ("sctp: the %s engine is not there: %s"):format(name, why), code
  end
  local missing <const> = {}
  for i, each in ipairs(NAMES) do
    local engine, why = load_engine(each)
    if engine then return engine end
    missing[i] = ("%s: %s"):format(each, why)
  end
  return nil, "sctp: there is no engine: " .. table.concat(missing, "; "), "EPROTONOSUPPORT"
end

--- The name of the engine that is used where nothing is said.
function M.engine()
  local engine, why, code = choose {}
  if engine then return engine.name end
  return nil, why, code
end

--- Each engine's name -> true, or what is missing.
function M.engines()
  local there <const> = {}
  for _, name in ipairs(NAMES) do
    local engine, why = load_engine(name)
    there[name] = engine and true or why
  end
  return there
end

-- ---- addresses ----

-- One host or a list of them, checked; as a list.
local function check_hosts(host, level)
  if type(host) ~= "table" then return { args.host(host, 1, level + 1) } end
  if #host == 0 then error("bad argument #1 (the list of hosts is empty)", level + 1) end
  local hosts <const> = {}
  for i = 1, #host do hosts[i] = args.host(host[i], 1, level + 1) end
  return hosts
end

-- "ip", "ip:port" or a list of those -> a list of { ip =, port = }.
local function check_bind(bind, level)
  if bind == nil then return nil end
  local list <const> = {}
  for i, text in ipairs(type(bind) == "table" and bind or { bind }) do
    local ip, port
    if type(text) == "string" then ip, port = args.endpoint(text) end
    if not ip or not core.isip(ip) then
      error("option 'bind' must be \"ip\", \"ip:port\", \"[ip]:port\" or a list of those", level + 1)
    end
    list[i] = { ip = ip, port = port }
  end
  if #list == 0 then error("option 'bind' must not be empty", level + 1) end
  return list
end

local function name_of(hosts, port)
  if #hosts == 1 then return args.text(hosts[1], port) end
  return ("%s:%s"):format(table.concat(hosts, ","), port)
end

local function left(deadline) return deadline and math.max(0, deadline - core.now()) end

-- Each host's first address.
local function firsts(hosts, port, family, deadline)
  local list <const> = {}
  for i, host in ipairs(hosts) do
    local found, why, code = core.resolve(host, port, { family = family or "any", timeout = left(deadline) })
    if not found then return nil, why, code end
    list[i] = { ip = found[1].ip, port = found[1].port }
  end
  return list
end

-- ---- connecting ----

--- Connects. A host's addresses are tried one after the other; those of a list
-- of hosts are one peer's, all at once.
function M.connect(host, port, given)
  local hosts <const> = check_hosts(host, 2)
  port = args.port(port, 1, 2, 2)
  local o <const> = options.check(given, "connect", 3, 2)
  o.bind = check_bind(o.bind, 2)
  local engine, why, code = choose(o)
  if not engine then return nil, why, code end
  o.name, o.deadline = name_of(hosts, port), core.now() + (o.timeout or PATIENCE)
  local conn, list
  if #hosts > 1 then
    list, why, code = firsts(hosts, port, o.family, o.deadline)
    if list then conn, why, code = engine.connect(list, o) end
  else
    list, why, code = core.resolve(hosts[1], port, { family = o.family or "any", timeout = left(o.deadline) })
    if list and #list == 1 then
      conn, why, code = engine.connect(list, o)
    elseif list then
      conn, why, code = require "neap.race"(list, function(to) return engine.connect({ to }, o) end, {
        name = o.name, deadline = o.deadline, timeout = o.timeout,
      })
    end
  end
  if not conn then return nil, why, code end
  return streams.own(conn, engine):settimeout(o.timeout)
end

-- ---- listening ----

-- Where to listen: a list of addresses; "*" or nil: all of them.
local function places(host, port, o, deadline)
  if host ~= nil and host ~= "*" then return firsts(host, port, o.family, deadline) end
  local list, why, code = core.resolve("0.0.0.0", port, { timeout = left(deadline) })
  if not list then return nil, why, code end
  return { { ip = o.family == "inet" and "0.0.0.0" or "::", port = list[1].port } }
end

local function bound(call, host, port, o)
  local engine, why, code = choose(o)
  if not engine then return nil, why, code end
  o.deadline = o.timeout and core.now() + o.timeout
  local list
  list, why, code = places(host, port, o, o.deadline)
  if not list then return nil, why, code end
  local made
  made, why, code = engine[call](list, o)
  if not made and code == "EAFNOSUPPORT" and list[1].ip == "::" and o.family ~= "inet6" then
    list[1].ip = "0.0.0.0"
    made, why, code = engine[call](list, o)
  end
  if not made then return nil, why, code end
  return made, engine
end

local function check_places(host, level)
  if host == nil or host == "*" then return host end
  return check_hosts(host, level + 1)
end

--- Listens on an address, on several, or on all of them ("*" or nil).
function M.listen(host, port, given)
  host = check_places(host, 2)
  port = args.port(port, 0, 2, 2)
  local made, why, code = bound("listen", host, port, options.check(given, "listen", 3, 2))
  if not made then return nil, why, code end
  return made
end

--- A message socket with as many associations as there are peers.
function M.open(host, port, given)
  host = check_places(host, 2)
  port = args.port(port or 0, 0, 2, 2)
  local o <const> = options.check(given, "open", 3, 2)
  local many <const> = require "neap.sctp.many"
  local endpoint, engine, code = bound("open", host, port, many.options_below(o))
  if not endpoint then return nil, engine, code end
  return many.new(endpoint, engine, o)
end

--- Two streams that are connected with each other over loopback.
function M.pair(given)
  local o <const> = options.check(given, "pair", 1, 2)
  local engine, why, code = choose(o)
  if not engine then return nil, why, code end
  o.name, o.deadline = "pair", core.now() + (o.timeout or PATIENCE)
  local a, b
  a, b, code = engine.pair(o)
  if not a then return nil, b, code end
  return streams.own(a, engine), streams.own(b, engine)
end

return M
