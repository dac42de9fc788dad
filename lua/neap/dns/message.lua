-- SPDX-License-Identifier: MIT
--- DNS messages (RFC 1035, EDNS: RFC 6891): tables to bytes and bytes to
-- tables, every length checked. No socket.
local names <const> = require "neap.dns.name"
local rdata <const> = require "neap.dns.rdata"
local types <const> = require "neap.dns.types"

local M = {}

local HEADER <const> = 12
local LEAST_QUESTION <const>, LEAST_RECORD <const> = 5, 11 -- bytes
local LONGEST <const> = 65535
local OPT <const> = 41
local DO <const> = 0x8000 -- in the flags of EDNS

-- The header's flags that are single bits.
local FLAGS <const> = { qr = 0x8000, aa = 0x0400, tc = 0x0200, rd = 0x0100, ra = 0x0080, ad = 0x0020, cd = 0x0010 }
local SECTIONS <const> = { "answer", "authority", "additional" }

-- ---- bytes to tables ----

--- The header of a message: id, flags, opcode and rcode as numbers, the four
-- counts; nil if there is none.
function M.header(bytes)
  if #bytes < HEADER then return nil end
  local id, flags, qd, an, ns, ar = (">I2I2I2I2I2I2"):unpack(bytes)
  local header = { id = id, opcode = flags >> 11 & 0xf, rcode = flags & 0xf, counts = { qd, an, ns, ar } }
  for name, bit in pairs(FLAGS) do header[name] = flags & bit ~= 0 end
  return header
end

local function get_question(bytes, at)
  local stop <const> = #bytes + 1
  local name, after = names.get(bytes, at, stop)
  if not name then return nil, after end
  if after + 4 > stop then return nil, "a question is cut off" end
  local kind, class = (">I2I2"):unpack(bytes, after)
  return { name = name, type = types.type.name(kind), class = types.class.name(class) }, after + 4
end

-- What OPT says, which looks like a record and is none.
local function get_edns(message, name, class, ttl, bytes, at, stop)
  if message.edns then return nil, "there are two OPT records" end
  if name ~= "." then return nil, "an OPT record has a name" end
  local options = {}
  while at < stop do
    if at + 4 > stop then return nil, "an EDNS option is cut off" end
    local code, size, first = (">I2I2"):unpack(bytes, at)
    if first + size > stop then return nil, "an EDNS option is cut off" end
    options[#options + 1] = { code = code, data = bytes:sub(first, first + size - 1) }
    at = first + size
  end
  message.edns = {
    udp_size = class, extended_rcode = ttl >> 24, version = ttl >> 16 & 0xff, dnssec = ttl & DO ~= 0,
    options = options,
  }
  return true
end

-- Reads a record into a section: where it goes on; or nil, what is wrong.
local function get_record(message, section, bytes, at)
  local stop <const> = #bytes + 1
  local name, after = names.get(bytes, at, stop)
  if not name then return nil, after end
  if after + 10 > stop then return nil, "it is cut off" end
  local kind, class, ttl, size, first = (">I2I2I4I2"):unpack(bytes, after)
  local last = first + size
  if last > stop then return nil, "its data are cut off" end
  local ok, why
  if kind == OPT then
    if section ~= message.additional then return nil, "an OPT record is out of place" end
    ok, why = get_edns(message, name, class, ttl, bytes, first, last)
  else
    if ttl > 0x7fffffff then ttl = 0 end -- RFC 2181 8
    local record = { name = name, type = types.type.name(kind), class = types.class.name(class), ttl = ttl }
    section[#section + 1] = record
    ok, why = rdata.get(record, class, bytes, first, last)
  end
  if not ok then return nil, why end
  return last
end

local function get_records(message, header, bytes, at)
  for i, name in ipairs(SECTIONS) do
    local section = {}
    message[name] = section
    for n = 1, header.counts[i + 1] do
      local after, why = get_record(message, section, bytes, at)
      if not after then return nil, ("record %d of the %s section: %s"):format(n, name, why) end
      at = after
    end
  end
  return at
end

local function decode(bytes)
  local header = M.header(bytes)
  if not header then return nil, "the header is cut off" end
  if #bytes > LONGEST then return nil, "it is longer than 65535 bytes" end
  local qd, an, ns, ar = table.unpack(header.counts)
  if HEADER + qd * LEAST_QUESTION + (an + ns + ar) * LEAST_RECORD > #bytes then
    return nil, "it tells of more records than there is room for"
  end
  local message = { id = header.id, question = {}, opcode = types.opcode.name(header.opcode) }
  for name in pairs(FLAGS) do message[name] = header[name] end
  local at = HEADER + 1
  for n = 1, qd do
    local question, after = get_question(bytes, at)
    if not question then return nil, ("question %d: %s"):format(n, after) end
    message.question[n], at = question, after
  end
  local after, why = get_records(message, header, bytes, at)
  if not after then return nil, why end
  if after ~= #bytes + 1 then return nil, "there are bytes behind the last record" end
  local extended = message.edns and message.edns.extended_rcode or 0
  message.rcode = types.rcode.name(extended << 4 | header.rcode)
  if message.edns then message.edns.extended_rcode = nil end
  return message
end

--- The table of a message; or nil and what is wrong with it.
function M.decode(bytes)
  names.reading(bytes)
  local message, why = decode(bytes)
  names.reading(nil)
  return message, why
end

-- ---- tables to bytes ----

local out_methods <const> = {}
out_methods.__index = out_methods

function out_methods:put(bytes)
  self[#self + 1] = bytes
  self.size = self.size + #bytes
end

local function new_out() return setmetatable({ size = 0, names = {} }, out_methods) end

local function number(kind, value, what)
  local n = types[kind].number(value)
  if not n then error(("%s %s is not known"):format(what or kind, tostring(value)), 0) end
  return n
end

local function put_name(out, name)
  if type(name) ~= "string" then error("field 'name' must be a name", 0) end
  local labels, why = names.parse(name)
  if not labels then error(("field 'name' must be a name: %s"):format(why), 0) end
  names.put(out, labels, true)
end

local function put_question(out, question)
  put_name(out, question.name)
  out:put((">I2I2"):pack(number("type", question.type), number("class", question.class or "IN")))
end

local function put_record(out, record)
  local kind, class = number("type", record.type), number("class", record.class or "IN")
  local ttl = record.ttl or 0
  if math.type(ttl) ~= "integer" or ttl < 0 or ttl > 0x7fffffff then
    error("field 'ttl' must be an integer from 0 to 2147483647", 0)
  end
  put_name(out, record.name)
  out:put((">I2I2I4"):pack(kind, class, ttl))
  local at = #out + 1
  out:put "\0\0" -- its length, once that is known
  local before = out.size
  rdata.put(out, setmetatable({ type = types.type.name(kind) }, { __index = record }), class)
  if out.size - before > LONGEST then error("its data are longer than 65535 bytes", 0) end
  out[at] = (">I2"):pack(out.size - before)
end

local function pack_option(option) return (">I2s2"):pack(option.code, option.data) end

local function put_edns(out, edns, rcode)
  local options = {}
  for i, option in ipairs(edns.options or {}) do
    local ok, bytes = pcall(pack_option, option)
    if not ok then error(("EDNS option %d must be { code = 0 to 65535, data = string }"):format(i), 0) end
    options[i] = bytes
  end
  local ok, bytes = pcall(string.pack, ">BI2I2BBI2s2", 0, OPT, edns.udp_size or 1232, rcode >> 4, edns.version or 0,
    edns.dnssec and DO or 0, table.concat(options))
  if not ok then error("field 'edns' has a number, or options, that are too large", 0) end
  out:put(bytes)
end

-- A section, each of whose members is put by put(out, member).
local function put_section(out, message, name, put)
  local list = message[name] or {}
  if type(list) ~= "table" then error(("section '%s' must be a list"):format(name), 0) end
  for i, member in ipairs(list) do
    local ok, why = pcall(put, out, member)
    if not ok then error(("record %d of the %s section: %s"):format(i, name, why), 0) end
  end
  if #list > 0xffff then error(("section '%s' is too long"):format(name), 0) end
  return #list
end

--- The bytes of a message; raises on what cannot be one. What is longer than a
-- message may be is nil, what is wrong.
function M.encode(message)
  local out = new_out()
  local rcode = number("rcode", message.rcode or 0)
  if rcode > 15 and not message.edns then error("this rcode needs EDNS", 0) end
  local flags = number("opcode", message.opcode or 0) << 11 | rcode & 0xf
  for name, bit in pairs(FLAGS) do flags = message[name] and flags | bit or flags end
  out:put "" -- the header, once the counts are known
  out.size = HEADER
  local counts = { put_section(out, message, "question", put_question) }
  for i, name in ipairs(SECTIONS) do counts[i + 1] = put_section(out, message, name, put_record) end
  if message.edns then
    put_edns(out, message.edns, rcode)
    counts[4] = counts[4] + 1
  end
  out[1] = (">I2I2I2I2I2I2"):pack(message.id or 0, flags, table.unpack(counts))
  if out.size > LONGEST then return nil, "it is longer than 65535 bytes" end
  return table.concat(out)
end

return M
