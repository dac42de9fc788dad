--- The options and notifications of Linux's SCTP: names and values to the
-- kernel's structures and back. Numbers and layouts are those of linux/sctp.h,
-- which are the same on every machine.
local core <const> = require "neap.core"

local M = {}

local pack <const>, unpack <const> = string.pack, string.unpack
local STORAGE <const> = 128 -- bytes of a sockaddr_storage

local function milliseconds(s) return s and math.max(1, math.floor(s * 1000 + 0.5)) or 0 end

local function padded(bytes) return bytes .. ("\0"):rep(STORAGE - #bytes) end

local NOWHERE <const> = ("\0"):rep(STORAGE)

--- The list of { ip =, port = } from packed addresses.
function M.addresses(bytes, at)
  local list <const> = {}
  local ip, port
  while at do
    ip, port, at = core.sctp_unpack(bytes, at)
    if ip then list[#list + 1] = { ip = ip, port = port } end
  end
  return list
end

-- ---- options ----

-- Each has number; get(ask, id): ask(bytes, room) gives the kernel's bytes;
-- set(put, id, value): put(bytes[, number]) gives them to it. Both return what
-- those return where that is a failure.
local rows <const> = {}
M.rows = rows

-- A structure whose fields are seconds, set a field at a time: what is not
-- given stays 0, which the kernel leaves as it is.
local function of_fields(number, format, names, scale)
  return {
    get = function(ask, id)
      local bytes, why, code = ask(number, pack(format, id, table.unpack(names.zeros)))
      if not bytes then return nil, why, code end
      local found <const>, list = {}, { unpack(format, bytes) }
      for i, name in ipairs(names) do
        if name then found[name] = scale[name] and list[i + 1] / 1000 or list[i + 1] end
      end
      return found
    end,
    set = function(put, id, value)
      local list <const> = {}
      for i, name in ipairs(names) do
        local v <const> = name and value[name]
        list[i] = v and (scale[name] and milliseconds(v) or v) or 0
      end
      return put(number, pack(format, id, table.unpack(list)))
    end,
  }
end

rows.rto = of_fields(0, "=i4I4I4I4", { "initial", "max", "min", zeros = { 0, 0, 0 } },
  { initial = true, max = true, min = true })

rows.association = of_fields(1, "=i4I2I2I4I4I4",
  { "maxrxt", "destinations", "peer_rwnd", "local_rwnd", "cookie_life", zeros = { 0, 0, 0, 0, 0 } },
  { cookie_life = true })

rows.init = {
  get = function(ask)
    local bytes, why, code = ask(2, ("\0"):rep(8))
    if not bytes then return nil, why, code end
    local out, into, attempts, timeout = unpack("=I2I2I2I2", bytes)
    return { streams_out = out, streams_in = into, attempts = attempts, timeout = timeout / 1000 }
  end,
  set = function(put, _, v)
    return put(2, pack("=I2I2I2I2", v.streams_out or 0, v.streams_in or 0, v.attempts or 0,
      math.min(65535, milliseconds(v.timeout))))
  end,
}

-- One number, alone or after the association's.
local function of_number(number, format, to, from)
  to, from = to or function(v) return v end, from or function(v) return v end
  local alone <const> = not format:find("i4", 1, true)
  return {
    get = function(ask, id)
      local bytes, why, code = ask(number, alone and pack(format, 0) or pack(format, id, 0))
      if not bytes then return nil, why, code end
      local first <const>, second <const> = unpack(format, bytes)
      if alone then return from(first) end
      return from(second)
    end,
    set = function(put, id, value)
      if alone then return put(number, pack(format, to(value))) end
      return put(number, pack(format, id, to(value)))
    end,
  }
end

local function to_bit(v) return v and 1 or 0 end
local function from_bit(v) return v ~= 0 end

rows.nodelay = of_number(3, "=I4", to_bit, from_bit)
rows.adaptation = of_number(7, "=I4")
rows.maxseg = of_number(13, "=i4I4")
rows.partial_delivery_point = of_number(19, "=I4")
rows.auth_active_key = of_number(24, "=i4I2xx")
rows.pr_supported = of_number(113, "=i4I4", to_bit, from_bit)
rows.asconf_supported = of_number(128, "=i4I4", to_bit, from_bit)
rows.auth = of_number(129, "=i4I4", to_bit, from_bit)
rows.ecn_supported = of_number(130, "=i4I4", to_bit, from_bit)

local SCHEDULERS <const> = { [0] = "fcfs", "priority", "round_robin", fcfs = 0, priority = 1, round_robin = 2 }
local function scheduler(v) return SCHEDULERS[v] end
rows.scheduler = of_number(123, "=i4I4", scheduler, scheduler)

rows.stream_priority = {
  set = function(put, id, v) return put(124, pack("=i4I2I2", id, v.stream or 0, v.value or 0)) end,
}

rows.reconfig_supported = of_number(117, "=i4I4", to_bit, from_bit)
local supports <const> = rows.reconfig_supported.set
function rows.reconfig_supported.set(put, id, value)
  local done, why, code = supports(put, id, value)
  if not done then return nil, why, code end
  return put(118, pack("=i4I4", id, value and 7 or 0)) -- streams, the association, more streams
end

-- ---- what is true of every path ----

local PATH <const> = "=i4c128I4I2I4I4I4I4Bx"

local function path_get(ask, id)
  local bytes, why, code = ask(9, pack(PATH, id, NOWHERE, 0, 0, 0, 0, 0, 0, 0))
  if not bytes then return nil, why, code end
  local _, _, interval, maxrxt, mtu, _, flags = unpack(PATH, bytes)
  return { interval = interval / 1000, maxrxt = maxrxt, mtu = mtu, flags = flags }
end

local function path_set(put, id, v)
  return put(9, pack(PATH, id, NOWHERE, v.interval or 0, v.maxrxt or 0, v.mtu or 0, 0, v.flags, 0, 0))
end

-- One of those fields: pick(fields) and what to set.
local function of_path(pick, make)
  return {
    get = function(ask, id)
      local found, why, code = path_get(ask, id)
      if not found then return nil, why, code end
      return pick(found)
    end,
    set = function(put, id, value) return path_set(put, id, make(value)) end,
  }
end

rows.heartbeat = of_path(function(v) return v.flags & 1 ~= 0 and v.interval end, function(value)
  if not value then return { flags = 2 } end
  return { flags = 1, interval = milliseconds(value) }
end)
rows.pmtu = of_path(function(v) return v.flags & 16 ~= 0 and v.mtu end, function(value)
  if not value then return { flags = 8 } end
  return { flags = 16, mtu = value }
end)
rows.path_maxrxt = of_path(function(v) return v.maxrxt end, function(value) return { flags = 0, maxrxt = value } end)

rows.sack = {
  get = function(ask, id)
    local bytes, why, code = ask(16, pack("=i4I4I4", id, 0, 0))
    if not bytes then return nil, why, code end
    local _, delay, frequency = unpack("=i4I4I4", bytes)
    return { delay = delay / 1000, frequency = frequency }
  end,
  set = function(put, id, v)
    if v.delay == 0 then return put(16, pack("=i4I4I4", id, 0, 1)) end
    return put(16, pack("=i4I4I4", id, milliseconds(v.delay), v.frequency or 0))
  end,
}

rows.encap_port = {
  get = function(ask, id)
    local bytes, why, code = ask(132, pack("=i4xxxxc128>I2xxxxxx", id, NOWHERE, 0))
    if not bytes then return nil, why, code end
    return (select(3, unpack("=i4xxxxc128>I2", bytes)))
  end,
  set = function(put, id, value) return put(132, pack("=i4xxxxc128>I2xxxxxx", id, NOWHERE, value)) end,
}

-- ---- messages ----

local UNORDERED <const> = 1

rows.default_send = {
  get = function(ask, id)
    local bytes, why, code = ask(34, pack("=I2I2I4I4i4", 0, 0, 0, 0, id))
    if not bytes then return nil, why, code end
    local stream, flags = unpack("=I2I2", bytes)
    return { stream = stream, unordered = flags & UNORDERED ~= 0, ppid = unpack(">I4", bytes, 5),
      context = unpack("=I4", bytes, 9) }
  end,
  set = function(put, id, v)
    return put(34, pack("=I2I2", v.stream or 0, v.unordered and UNORDERED or 0) .. pack(">I4", v.ppid or 0)
      .. pack("=I4i4", v.context or 0, id))
  end,
}

-- ---- authentication ----

-- Several of these are in one option: each is put by itself.
rows.auth_chunks = {
  set = function(put, _, list)
    for _, kind in ipairs(list) do
      local done, why, code = put(21, pack("B", kind))
      if not done then return nil, why, code end
    end
    return true
  end,
}

local HMACS <const> = { sha1 = 1, sha256 = 3, "sha1", [3] = "sha256" }

rows.hmac = {
  get = function(ask)
    local bytes, why, code = ask(22, pack("=I4", 0), 64)
    if not bytes then return nil, why, code end
    local list <const> = {}
    for i = 1, (unpack("=I4", bytes)) do list[i] = HMACS[(unpack("=I2", bytes, 3 + 2 * i))] end
    return list
  end,
  set = function(put, _, list)
    local parts <const> = { pack("=I4", #list) }
    for i, name in ipairs(list) do parts[i + 1] = pack("=I2", HMACS[name]) end
    return put(22, table.concat(parts))
  end,
}

rows.auth_key = {
  set = function(put, id, v)
    return put(23, pack("=i4I2I2", id, v.number or 0, #(v.secret or "")) .. (v.secret or ""))
  end,
}

-- ---- addresses ----

local function addresses_of(number)
  return {
    get = function(ask, id)
      local bytes, why, code = ask(number, pack("=i4I4", id, 0), 4096)
      if not bytes then return nil, why, code end
      return M.addresses(bytes, 9)
    end,
  }
end
rows.peers, rows.locals = addresses_of(108), addresses_of(109)

-- An address, which gets the association's own port: port(id).
local function with_address(number, form)
  return function(put, id, ip, port)
    local bytes, why, code = core.sctp_pack(ip, port)
    if not bytes then return nil, why, code end
    return put(number, form(id, bytes))
  end
end

local function of_primary(id, bytes) return pack("=i4", id) .. padded(bytes) end

rows.primary = {
  remote = true,
  get = function(ask, id)
    local bytes, why, code = ask(6, of_primary(id, ""))
    if not bytes then return nil, why, code end
    return (core.sctp_unpack(bytes, 5))
  end,
  set = with_address(6, of_primary),
}
rows.peer_primary = { set = with_address(5, of_primary), here = true }
rows.bind_add = { set = with_address(100, function(_, bytes) return bytes end), here = true }
rows.bind_remove = { set = with_address(101, function(_, bytes) return bytes end), here = true }

-- ---- streams ----

rows.reset_streams = {
  set = function(put, id, v)
    local list <const> = v.streams or {}
    local flags <const> = (v.incoming and 1 or 0) | ((v.outgoing or not v.incoming) and 2 or 0)
    return put(119, pack("=i4I2I2", id, flags, #list) .. pack(("=" .. ("I2"):rep(#list)), table.unpack(list)))
  end,
}
rows.add_streams = {
  set = function(put, id, v) return put(121, pack("=i4I2I2", id, v.incoming or 0, v.outgoing or 0)) end,
}
rows.reset_association = { set = function(put, id) return put(120, pack("=i4", id)) end }

-- ---- what is known ----

local STATES <const> = {
  [0] = "empty", "closed", "cookie_wait", "cookie_echoed", "established", "shutdown_pending", "shutdown_sent",
  "shutdown_received", "shutdown_ack_sent",
}
local PATH_STATES <const> = { [0] = "inactive", "potentially_failed", "active", "unconfirmed" }
local STATUS <const> = "=i4i4I4I2I2I2I2I4"
local PATH_INFO <const> = "=i4c128i4I4I4I4I4"

local function path_info(bytes, at)
  local _, storage, state, cwnd, srtt, rto, mtu = unpack(PATH_INFO, bytes, at)
  local ip, port = core.sctp_unpack(storage, 1)
  return {
    ip = ip, port = port, state = PATH_STATES[state] or "unknown", cwnd = cwnd, srtt = srtt / 1000, rto = rto / 1000,
    mtu = mtu,
  }
end

rows.status = {
  get = function(ask, id)
    local bytes, why, code = ask(14, pack("=i4", id), 176)
    if not bytes then return nil, why, code end
    local association, state, rwnd, unacked, pending, into, out, point = unpack(STATUS, bytes)
    return {
      association = association, state = STATES[state] or "unknown", rwnd = rwnd, unacked = unacked,
      pending = pending, streams_in = into, streams_out = out, fragmentation_point = point,
      primary = path_info(bytes, 25),
    }
  end,
}

--- One of its paths: { ip =, port =, state =, cwnd =, srtt =, rto =, mtu = }.
function M.path(ask, id, ip, port)
  local bytes, why, code = core.sctp_pack(ip, port)
  if not bytes then return nil, why, code end
  bytes, why, code = ask(15, pack(PATH_INFO, id, padded(bytes), 0, 0, 0, 0, 0))
  if not bytes then return nil, why, code end
  return path_info(bytes, 1)
end

local COUNTERS <const> = {
  "max_rto", "sacks_in", "sacks_out", "packets_out", "packets_in", "retransmitted", "out_of_sequence", "duplicates",
  "gaps", "unordered_out", "unordered_in", "ordered_out", "ordered_in", "control_out", "control_in",
}

rows.statistics = {
  get = function(ask, id)
    local bytes, why, code = ask(112, pack("=i4", id), 8 + STORAGE + 8 * #COUNTERS)
    if not bytes then return nil, why, code end
    local found <const> = {}
    for i, name in ipairs(COUNTERS) do
      local at <const> = 1 + 8 + STORAGE + 8 * (i - 1)
      if at + 7 <= #bytes then found[name] = unpack("=I8", bytes, at) end
    end
    found.max_rto = found.max_rto and found.max_rto / 1000
    return found
  end,
}

return M
