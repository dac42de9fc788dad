--- What may be asked of an SCTP engine, by names that every engine has, and the
-- checks of their values.
local core <const> = require "neap.core"
local args <const> = require "neap.args"

local M = {}

-- ---- values ----

local function integer(from, to)
  return {
    function(v) return math.type(v) == "integer" and v >= from and v <= to end,
    ("an integer in [%d, %d]"):format(from, to),
  }
end

local flag <const> = { function(v) return type(v) == "boolean" end, "a boolean" }
local seconds <const> = {
  function(v) return type(v) == "number" and v >= 0.001 and v <= 4000000 end, "a number of seconds, at least 0.001",
}
local u16 <const>, u32 <const> = integer(0, 0xffff), integer(0, 0xffffffff)

local function one_of(...)
  local names <const>, quoted <const> = {}, {}
  for i, name in ipairs { ... } do
    names[name], quoted[i] = true, ('"%s"'):format(name)
  end
  return { function(v) return names[v] end, table.concat(quoted, " or ") }
end

-- A list of at least `least` such values.
local function list(of, least, what)
  return {
    function(v)
      if type(v) ~= "table" or #v < least then return false end
      for i = 1, #v do
        if not of[1](v[i]) then return false end
      end
      return true
    end,
    what,
  }
end

-- A table with some of these fields; what is wrong with it, or nil.
local function fields(known)
  return {
    function(v) return type(v) == "table" end, "a table",
    function(v)
      for name, value in pairs(v) do
        local kind <const> = known[name]
        if not kind then return ("has no field '%s'"):format(tostring(name)) end
        if not kind[1](value) then return (".%s must be %s"):format(name, kind[2]) end
      end
    end,
  }
end

--- What notifications there are.
M.events = {
  "association", "address", "remote_error", "send_failed", "shutdown", "adaptation", "partial_delivery",
  "authentication", "sender_dry", "stream_reset", "association_reset", "stream_change",
}
local known_event <const> = {}
for _, name in ipairs(M.events) do known_event[name] = true end

local text <const> = { function(v) return type(v) == "string" end, "a string" }
local address <const> = { function(v) return type(v) == "string" and core.isip(v) end, "a numeric address" }

--- name -> { whether it is right, what it must be[, what is wrong with its fields] }
local values <const> = {
  rto = fields { initial = seconds, min = seconds, max = seconds },
  init = fields {
    streams_out = integer(1, 0xffff), streams_in = integer(1, 0xffff), attempts = integer(1, 0xffff),
    timeout = seconds,
  },
  association = fields { maxrxt = integer(1, 0xffff), cookie_life = seconds },
  heartbeat = { function(v) return v == false or seconds[1](v) end, "a number of seconds, or false" },
  path_maxrxt = integer(1, 0xffff),
  pmtu = {
    function(v) return v == false or math.type(v) == "integer" and v >= 512 and v <= 65535 end,
    "an integer in [512, 65535], or false",
  },
  nodelay = flag,
  maxseg = integer(0, 65535),
  partial_delivery_point = integer(0, 0x7fffffff),
  sack = fields { delay = { function(v) return type(v) == "number" and v >= 0 and v <= 0.5 end,
    "a number of seconds in [0, 0.5]" }, frequency = integer(1, 0xffff) },
  default_send = fields { stream = u16, ppid = u32, context = u32, unordered = flag },
  events = list({ function(v) return known_event[v] end }, 0, "a list of names of notifications"),
  auth = flag,
  auth_chunks = list(integer(0, 255), 1, "a list of chunk types"),
  auth_key = fields { number = u16, secret = text },
  auth_active_key = u16,
  hmac = list(one_of("sha1", "sha256"), 1, 'a list of "sha1" and "sha256"'),
  adaptation = u32,
  pr_supported = flag,
  reconfig_supported = flag,
  asconf_supported = flag,
  ecn_supported = flag,
  primary = address,
  peer_primary = address,
  reset_streams = fields {
    incoming = flag, outgoing = flag, streams = list(u16, 0, "a list of stream numbers"),
  },
  add_streams = fields { incoming = u16, outgoing = u16 },
  reset_association = { function(v) return v == true end, "true" },
  bind_add = address,
  bind_remove = address,
  shutdown = { function(v) return v == true end, "true" },
  abort = text,
  scheduler = one_of("fcfs", "priority", "round_robin"),
  stream_priority = fields { stream = u16, value = u16 },
  encap_port = integer(0, 65535),
}

--- What can be read, and no more.
local read_only <const> = { status = true, peers = true, locals = true, statistics = true, udp_port = true }

--- What can be written, and no more: it is done, not kept.
local actions <const> = {
  reset_streams = true, add_streams = true, reset_association = true, shutdown = true, abort = true,
  bind_add = true, bind_remove = true, auth_key = true, peer_primary = true, auth_chunks = true,
}

local function check_value(name, value, what, level)
  local kind <const> = values[name]
  if not kind[1](value) then error(("%s must be %s"):format(what, kind[2]), level + 1) end
  local wrong <const> = kind[3] and kind[3](value)
  if wrong then error(what .. (wrong:sub(1, 1) == "." and "" or " ") .. wrong, level + 1) end
end

--- Raises unless it can be read.
function M.check_get(what, level)
  if not read_only[what] and (not values[what] or actions[what]) then
    error(("bad argument #1 (nothing of the name '%s' can be read)"):format(tostring(what)), level + 1)
  end
end

--- Raises unless it can be set to this.
function M.check_set(what, value, level)
  if not values[what] then
    error(("bad argument #1 (nothing of the name '%s' can be set)"):format(tostring(what)), level + 1)
  end
  check_value(what, value, "bad argument #2: " .. what, level + 1)
end

-- ---- option tables ----

-- Of every call: the stream's own, and what engine carries it.
local plain <const> = args.with(args.stream, {
  maxmessage = "size", engine = "string", carrier = "string", udp_port = "natural", family = "family",
  rcvbuf = "buffer", sndbuf = "buffer", reuseaddr = "boolean", v6only = "boolean",
})

-- Those of `values` that are set before there is an association.
local settings <const> = {
  "rto", "init", "association", "heartbeat", "path_maxrxt", "pmtu", "nodelay", "maxseg", "partial_delivery_point",
  "sack", "default_send", "events", "auth", "auth_chunks", "auth_key", "auth_active_key", "hmac", "adaptation",
  "pr_supported", "reconfig_supported", "asconf_supported", "ecn_supported", "scheduler", "encap_port",
}
M.settings = settings

local is_setting <const> = {}
for _, name in ipairs(settings) do is_setting[name] = true end

local calls <const> = {
  connect = args.with(plain, { bind = "texts" }),
  listen = args.with(plain, { backlog = "count", reuseport = "boolean" }),
  open = args.with(plain, { reuseport = "boolean" }),
  pair = plain,
}

local engine <const> = one_of("kernel", "user")
local carrier <const> = one_of("udp", "raw")

local function check_words(o, level)
  if o.engine and not engine[1](o.engine) then error("option 'engine' must be " .. engine[2], level + 1) end
  if o.carrier and not carrier[1](o.carrier) then error("option 'carrier' must be " .. carrier[2], level + 1) end
  if o.udp_port and o.udp_port > 65535 then error("option 'udp_port' must be an integer in [0, 65535]", level + 1) end
  if o.rto then
    local least <const>, most <const> = o.rto.min or 0, o.rto.max or math.huge
    if least > most or o.rto.initial and (o.rto.initial < least or o.rto.initial > most) then
      error("option 'rto' must have min <= initial <= max", level + 1)
    end
  end
end

--- Raises unless `given` is nil or a table of the options of this call; a
-- copy.
function M.check(given, call, arg, level)
  local rest = given
  local set <const> = {}
  if type(given) == "table" then
    rest = {}
    for name, value in pairs(given) do
      if is_setting[name] then
        check_value(name, value, ("option '%s'"):format(name), level + 1)
        set[name] = value
      else
        rest[name] = value
      end
    end
  end
  local o <const> = args.check(rest, calls[call], arg, level + 1)
  for name, value in pairs(set) do o[name] = value end
  if o.nodelay == nil then o.nodelay = true end
  check_words(o, level + 1)
  return o
end

return M
