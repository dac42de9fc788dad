--- The options and notifications of usrsctp: names and values to its structures
-- and back. Its layouts are those of usrsctp.h, in the machine's order.
local M = {}

local pack <const>, unpack <const> = string.pack, string.unpack
local STORAGE <const> = 128 -- bytes of a sockaddr_storage
local NOWHERE <const> = pack("I2", 123) .. ("\0"):rep(STORAGE - 2) -- AF_CONN, no address

local function milliseconds(s) return s and math.max(1, math.floor(s * 1000 + 0.5)) or 0 end

-- Each has get(ask, id, context): ask(number, bytes[, room]) gives usrsctp's
-- bytes; set(put, id, value, context): put(number, bytes) gives them to it. Both
-- return what those return where that is a failure.
local rows <const> = {}
M.rows = rows

-- ---- numbers ----

-- One after the association's, or alone.
local function of_number(number, alone, to, from)
  to, from = to or function(v) return v end, from or function(v) return v end
  return {
    get = function(ask, id)
      local bytes, why, code = ask(number, alone and pack("I4", 0) or pack("I4I4", id, 0))
      if not bytes then return nil, why, code end
      return from((unpack("I4", bytes, alone and 1 or 5)))
    end,
    set = function(put, id, value)
      return put(number, alone and pack("I4", to(value)) or pack("I4I4", id, to(value)))
    end,
  }
end

local function to_bit(v) return v and 1 or 0 end
local function from_bit(v) return v ~= 0 end

rows.nodelay = of_number(4, true, to_bit, from_bit)
rows.adaptation = of_number(8, true)
rows.maxseg = of_number(0x0e)
rows.fragment_interleave = of_number(0x10, true)
rows.partial_delivery_point = of_number(0x11, true)
rows.ecn_supported = of_number(0x25, false, to_bit, from_bit)
rows.pr_supported = of_number(0x26, false, to_bit, from_bit)
rows.auth = of_number(0x27, false, to_bit, from_bit)
rows.asconf_supported = of_number(0x28, false, to_bit, from_bit)

local SCHEDULERS <const> = {
  [0] = "round_robin", [1] = "round_robin", [3] = "priority", [5] = "fcfs", round_robin = 1, priority = 3, fcfs = 5,
}
local function scheduler(v) return SCHEDULERS[v] end
rows.scheduler = of_number(0x1203, false, scheduler, scheduler)

rows.reconfig_supported = of_number(0x29, false, to_bit, from_bit)
local supports <const> = rows.reconfig_supported.set
function rows.reconfig_supported.set(put, id, value)
  local done, why, code = supports(put, id, value)
  if not done then return nil, why, code end
  return put(0x900, pack("I4I4", id, value and 7 or 0)) -- streams, the association, more streams
end

rows.stream_priority = {
  set = function(put, id, v) return put(0x1204, pack("I4I2I2", id, v.stream or 0, v.value or 0)) end,
}

-- ---- tables ----

-- Those fields of which nothing is said stay as they are.
local function of_fields(number, format, names, seconds)
  local zeros <const> = {}
  for i = 1, #names do zeros[i] = 0 end
  return {
    get = function(ask, id)
      local bytes, why, code = ask(number, pack(format, id, table.unpack(zeros)))
      if not bytes then return nil, why, code end
      local found <const>, list <const> = {}, { unpack(format, bytes) }
      for i, name in ipairs(names) do found[name] = seconds[name] and list[i + 1] / 1000 or list[i + 1] end
      return found
    end,
    set = function(put, id, value)
      local list <const> = {}
      for i, name in ipairs(names) do
        list[i] = seconds[name] and milliseconds(value[name]) or value[name] or 0
      end
      return put(number, pack(format, id, table.unpack(list)))
    end,
  }
end

rows.rto = of_fields(1, "I4I4I4I4", { "initial", "max", "min" }, { initial = true, max = true, min = true })
rows.association = of_fields(2, "I4I4I4I4I2I2", { "peer_rwnd", "local_rwnd", "cookie_life", "maxrxt", "destinations" },
  { cookie_life = true })
rows.sack = of_fields(0x0f, "I4I4I4", { "delay", "frequency" }, { delay = true })

local set_sack <const> = rows.sack.set
function rows.sack.set(put, id, v)
  if v.delay == 0 then return put(0x0f, pack("I4I4I4", id, 0, 1)) end -- at once
  return set_sack(put, id, v)
end

rows.init = {
  get = function(ask)
    local bytes, why, code = ask(3, ("\0"):rep(8))
    if not bytes then return nil, why, code end
    local out, into, attempts, timeout = unpack("I2I2I2I2", bytes)
    return { streams_out = out, streams_in = into, attempts = attempts, timeout = timeout / 1000 }
  end,
  set = function(put, _, v)
    return put(3, pack("I2I2I2I2", v.streams_out or 0, v.streams_in or 0, v.attempts or 0,
      math.min(65535, milliseconds(v.timeout))))
  end,
}

-- ---- paths: there is but one ----

local PATH <const> = "c128I4I4I4I4I4I2BB"
local HB_ENABLE <const>, HB_DISABLE <const>, PMTUD_ENABLE <const>, PMTUD_DISABLE <const> = 1, 2, 8, 16

local function path_get(ask, id)
  local bytes, why, code = ask(0x0a, pack(PATH, NOWHERE, id, 0, 0, 0, 0, 0, 0, 0))
  if not bytes then return nil, why, code end
  local _, _, interval, mtu, flags, _, maxrxt = unpack(PATH, bytes)
  return { interval = interval / 1000, mtu = mtu, flags = flags, maxrxt = maxrxt }
end

local function path_set(put, id, v)
  return put(0x0a, pack(PATH, NOWHERE, id, v.interval or 0, v.mtu or 0, v.flags or 0, 0, v.maxrxt or 0, 0, 0))
end

local function of_path(pick, give)
  return {
    get = function(ask, id, context)
      local found, why, code = path_get(ask, id)
      if not found then return nil, why, code end
      return pick(found, context)
    end,
    set = function(put, id, value, context) return path_set(put, id, give(value, context)) end,
  }
end

rows.heartbeat = of_path(function(v) return v.flags & HB_ENABLE ~= 0 and v.interval end, function(value)
  if not value then return { flags = HB_DISABLE } end
  return { flags = HB_ENABLE, interval = milliseconds(value) }
end)

--- The whole packet's, as others count; false, which is to find it out, is not
-- for a carrier like ours.
rows.pmtu = of_path(function(v, context)
  return v.flags & PMTUD_DISABLE ~= 0 and v.mtu + context.overhead
end, function(value, context)
  if not value then return { flags = PMTUD_ENABLE } end
  return { flags = PMTUD_DISABLE, mtu = value - context.overhead }
end)
rows.path_maxrxt = of_path(function(v) return v.maxrxt end, function(value) return { maxrxt = value } end)

-- ---- messages ----

local UNORDERED <const> = 0x0400

rows.default_send = {
  get = function(ask, id)
    local bytes, why, code = ask(0x21, pack("I2I2I4I4I4", 0, 0, 0, 0, id))
    if not bytes then return nil, why, code end
    local stream, flags = unpack("I2I2", bytes)
    return {
      stream = stream, unordered = flags & UNORDERED ~= 0, ppid = unpack(">I4", bytes, 5),
      context = unpack("I4", bytes, 9),
    }
  end,
  set = function(put, id, v)
    return put(0x21, pack("I2I2", v.stream or 0, v.unordered and UNORDERED or 0) .. pack(">I4", v.ppid or 0)
      .. pack("I4I4", v.context or 0, id))
  end,
}

-- ---- authentication ----

rows.auth_chunks = {
  set = function(put, _, list)
    for _, kind in ipairs(list) do
      local done, why, code = put(0x12, pack("B", kind))
      if not done then return nil, why, code end
    end
    return true
  end,
}

local HMACS <const> = { sha1 = 1, sha256 = 3, "sha1", [3] = "sha256" }

rows.hmac = {
  get = function(ask)
    local bytes, why, code = ask(0x14, pack("I4", 0), 64)
    if not bytes then return nil, why, code end
    local list <const> = {}
    for i = 1, (unpack("I4", bytes)) do list[i] = HMACS[(unpack("I2", bytes, 3 + 2 * i))] end
    return list
  end,
  set = function(put, _, list)
    local parts <const> = { pack("I4", #list) }
    for i, name in ipairs(list) do parts[i + 1] = pack("I2", HMACS[name]) end
    return put(0x14, table.concat(parts))
  end,
}

rows.auth_key = {
  set = function(put, id, v)
    local secret <const> = v.secret or ""
    return put(0x13, pack("I4I2I2", id, v.number or 0, #secret) .. secret)
  end,
}
rows.auth_active_key = {
  get = function(ask, id)
    local bytes, why, code = ask(0x15, pack("I4I2I2", id, 0, 0))
    if not bytes then return nil, why, code end
    return (unpack("I2", bytes, 5))
  end,
  set = function(put, id, value) return put(0x15, pack("I4I2I2", id, value, 0)) end,
}

-- ---- streams ----

rows.reset_streams = {
  set = function(put, id, v)
    local list <const> = v.streams or {}
    local flags <const> = (v.incoming and 1 or 0) | ((v.outgoing or not v.incoming) and 2 or 0)
    return put(0x901, pack("I4I2I2", id, flags, #list) .. pack(("I2"):rep(#list), table.unpack(list)))
  end,
}
rows.add_streams = {
  set = function(put, id, v) return put(0x903, pack("I4I2I2", id, v.incoming or 0, v.outgoing or 0)) end,
}
rows.reset_association = { set = function(put, id) return put(0x902, pack("I4", id)) end }

-- ---- what is known ----

local STATES <const> = {
  [0x0000] = "closed", [0x0002] = "cookie_wait", [0x0004] = "cookie_echoed", [0x0008] = "established",
  [0x0010] = "shutdown_sent", [0x0020] = "shutdown_received", [0x0040] = "shutdown_ack_sent",
  [0x0080] = "shutdown_pending", [0x1000] = "bound", [0x2000] = "listening",
}
local PATH_STATES <const> = { [1] = "active", [2] = "inactive", [0x200] = "unconfirmed" }

rows.status = {
  get = function(ask, id, context)
    local bytes, why, code = ask(0x100, pack("I4", id), 176)
    if not bytes then return nil, why, code end
    local association, state, rwnd, unacked, pending, into, out, point = unpack("I4i4I4I2I2I2I2I4", bytes)
    local _, path, cwnd, srtt, rto, mtu = unpack("I4i4I4I4I4I4", bytes, 25 + STORAGE)
    local ip, port = context.peer(association)
    return {
      association = association, state = STATES[state] or "unknown", rwnd = rwnd, unacked = unacked, pending = pending,
      streams_in = into, streams_out = out, fragmentation_point = point,
      primary = {
        ip = ip, port = port, state = PATH_STATES[path] or "unknown", cwnd = cwnd, srtt = srtt / 1000,
        rto = rto / 1000, mtu = mtu + context.overhead,
      },
    }
  end,
}

-- ---- notifications ----

local ASSOCIATION <const> = { "up", "lost", "restart", "shutdown", "cannot_start" }
local ADDRESS <const> = { "available", "unreachable", "removed", "added", "made_primary", "confirmed" }
local AUTHENTICATION <const> = { "new_key", "no_auth", "free_key" }

local function list_of(bytes, from, to)
  local list <const> = {}
  for at = from, to - 1, 2 do list[#list + 1] = unpack("I2", bytes, at) end
  return list
end

-- The kind's number -> its name, and fields(bytes, flags, length).
local kinds <const> = {
  [1] = { "association", function(b)
    local state, error, out, into, id = unpack("I2I2I2I2I4", b, 9)
    return {
      state = ASSOCIATION[state] or state, error = error, streams_out = out, streams_in = into, association = id,
      info = #b >= 21 and b:sub(21) or nil,
    }
  end },
  [2] = { "address", function(b, _, _, address)
    local state, error, id = unpack("I4I4I4", b, 9 + STORAGE)
    local ip, port = address(b:sub(9, 8 + STORAGE))
    return { state = ADDRESS[state] or state, error = error, association = id, ip = ip, port = port }
  end },
  [3] = { "remote_error", function(b)
    local error, id = unpack("I2xxI4", b, 9)
    return { error = unpack(">I2", pack("I2", error)), association = id, data = b:sub(17) }
  end },
  [5] = { "shutdown", function(b) return { association = unpack("I4", b, 9) } end },
  [6] = { "adaptation", function(b)
    local ind, id = unpack("I4I4", b, 9)
    return { indication = ind, association = id }
  end },
  [7] = { "partial_delivery", function(b)
    local indication, stream, _, id = unpack("I4I4I4I4", b, 9)
    return { indication = indication, stream = stream, association = id }
  end },
  [8] = { "authentication", function(b)
    local key, indication, id = unpack("I2xxI4I4", b, 9)
    return { key = key, indication = AUTHENTICATION[indication] or indication, association = id }
  end },
  [9] = { "stream_reset", function(b, flags, length)
    return {
      association = unpack("I4", b, 9), incoming = flags & 1 ~= 0, outgoing = flags & 2 ~= 0,
      denied = flags & 4 ~= 0, failed = flags & 8 ~= 0, streams = list_of(b, 13, math.min(length, #b)),
    }
  end },
  [10] = { "sender_dry", function(b) return { association = unpack("I4", b, 9) } end },
  [11] = { "notifications_stopped", function(b) return { association = unpack("I4", b, 9) } end },
  [12] = { "association_reset", function(b, flags)
    local id, here, there = unpack("I4I4I4", b, 9)
    return { association = id, local_tsn = here, remote_tsn = there, denied = flags & 4 ~= 0, failed = flags & 8 ~= 0 }
  end },
  [13] = { "stream_change", function(b, flags)
    local id, into, out = unpack("I4I2I2", b, 9)
    return {
      association = id, streams_in = into, streams_out = out, denied = flags & 4 ~= 0, failed = flags & 8 ~= 0,
    }
  end },
  [14] = { "send_failed", function(b, flags)
    local error, stream, how, _, context = unpack("I4I2I2I4I4", b, 9)
    return {
      error = error, stream = stream, ppid = unpack(">I4", b, 17), context = context, association = unpack("I4", b, 29),
      sent = flags & 2 ~= 0, unordered = how & UNORDERED ~= 0, data = b:sub(33),
    }
  end },
}

local numbers <const> = {}
for number, kind in pairs(kinds) do numbers[kind[1]] = number end

--- A value of a notification's bytes. address(bytes): the ip and port in a
-- sockaddr.
function M.event(bytes, address)
  if #bytes < 8 then return { type = "unknown" } end
  local number, flags, length = unpack("I2I2I4", bytes)
  local kind <const> = kinds[number]
  if not kind or #bytes < 12 then return { type = "unknown", number = number } end
  local ok <const>, fields <const> = pcall(kind[2], bytes, flags, length, address)
  if not ok then return { type = kind[1] } end -- it was cut short
  fields.type = kind[1]
  return fields
end

-- ---- which of them are wanted ----

local PARTIAL <const> = 7 -- those usrsctp always tells us

--- The mask of a list of names.
function M.mask(names)
  local mask = 0
  for _, name in ipairs(names) do mask = mask | 1 << numbers[name] end
  return mask
end

rows.events = {
  get = function(_, _, context)
    local list <const> = {}
    for name, number in pairs(numbers) do
      if context.mask & 1 << number ~= 0 then list[#list + 1] = name end
    end
    table.sort(list)
    return list
  end,
  set = function(put, id, names)
    local mask <const> = M.mask(names)
    for number in pairs(kinds) do
      local on <const> = mask & 1 << number ~= 0 or number == PARTIAL
      if number ~= 11 then
        local done, why, code = put(0x1e, pack("I4I2Bx", id, number, on and 1 or 0))
        if not done then return nil, why, code end
      end
    end
    return true
  end,
}

return M
