--- The notifications of Linux's SCTP as tables.
local core <const> = require "neap.core"

local M = {}

local unpack <const> = string.unpack

-- The kernel's numbers of what can be subscribed to.
M.numbers = {
  association = 0x8001, address = 0x8002, remote_error = 0x8004, shutdown = 0x8005, partial_delivery = 0x8006,
  adaptation = 0x8007, authentication = 0x8008, sender_dry = 0x8009, stream_reset = 0x800a,
  association_reset = 0x800b, stream_change = 0x800c, send_failed = 0x800d,
}

local STATES <const> = { [0] = "up", "lost", "restart", "shutdown", "cannot_start" }
local ADDRESSES <const> = {
  [0] = "available", "unreachable", "removed", "added", "made_primary", "confirmed", "potentially_failed",
}
local KEYS <const> = { [0] = "new_key", "free_key", "no_auth" }

-- Each gets the bytes, whose first eight are type, flags and length; and the
-- flags.
local decode <const> = {}

function decode.association(bytes)
  local state, code, out, into, id, at = unpack("=I2I2I2I2i4", bytes, 9)
  return {
    state = STATES[state] or state, error = code, streams_out = out, streams_in = into, association = id,
    info = #bytes >= at and bytes:sub(at) or nil,
  }
end

function decode.address(bytes)
  local ip, port = core.sctp_unpack(bytes, 9)
  local state, code, id = unpack("=i4i4i4", bytes, 137)
  return { ip = ip, port = port, state = ADDRESSES[state] or state, error = code, association = id }
end

function decode.remote_error(bytes)
  return { error = unpack(">I2", bytes, 9), association = unpack("=i4", bytes, 13), data = bytes:sub(17) }
end

function decode.send_failed(bytes, flags)
  local code, stream, how, _, context, _, id, at = unpack("=I4I2I2I4I4i4i4", bytes, 9)
  return {
    error = code, sent = flags & 1 ~= 0, stream = stream, ppid = unpack(">I4", bytes, 17), context = context,
    unordered = how & 1 ~= 0, association = id, data = bytes:sub(at),
  }
end

function decode.shutdown(bytes) return { association = unpack("=i4", bytes, 9) } end

decode.sender_dry = decode.shutdown

function decode.adaptation(bytes)
  local indication, id = unpack("=I4i4", bytes, 9)
  return { indication = indication, association = id }
end

function decode.partial_delivery(bytes)
  local indication, id, stream = unpack("=I4i4I4", bytes, 9)
  return { indication = indication, association = id, stream = stream }
end

function decode.authentication(bytes)
  local key, _, indication, id = unpack("=I2I2I4i4", bytes, 9)
  return { key = key, indication = KEYS[indication] or indication, association = id }
end

function decode.stream_reset(bytes, flags)
  local streams <const> = {}
  for at = 13, #bytes - 1, 2 do streams[#streams + 1] = unpack("=I2", bytes, at) end
  return {
    incoming = flags & 1 ~= 0, outgoing = flags & 2 ~= 0, denied = flags & 4 ~= 0, failed = flags & 8 ~= 0,
    streams = streams, association = unpack("=i4", bytes, 9),
  }
end

function decode.association_reset(bytes, flags)
  local id, here, there = unpack("=i4I4I4", bytes, 9)
  return {
    denied = flags & 4 ~= 0, failed = flags & 8 ~= 0, local_tsn = here, remote_tsn = there, association = id,
  }
end

function decode.stream_change(bytes, flags)
  local id, into, out = unpack("=i4I2I2", bytes, 9)
  return {
    denied = flags & 4 ~= 0, failed = flags & 8 ~= 0, streams_in = into, streams_out = out, association = id,
  }
end

local types <const> = {}
for name, number in pairs(M.numbers) do types[number] = name end

--- A notification's bytes as a table; one that is not known has its number.
function M.event(bytes)
  if #bytes < 8 then return { type = "unknown" } end
  local number, flags = unpack("=I2I2", bytes)
  local name <const> = types[number]
  if not name then return { type = "unknown", number = number } end
  local ok, event = pcall(decode[name], bytes, flags)
  if not ok then return { type = name } end -- it was cut short
  event.type = name
  return event
end

return M
