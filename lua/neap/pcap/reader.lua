--- Reads captures: pcap and pcapng, in either byte order. Whatever the bytes
-- are, they give a packet or a failure.
local linktype <const> = require "neap.linktype"
local new_source <const> = require "neap.pcap.source"

---@class neap.pcap.reader
local reader <const> = { __name = "neap.pcap.reader" }
reader.__index = reader

local MAXPACKET <const> = 16 << 20
local SECOND <const> = 1000000000

local unpack <const> = string.unpack

-- ---- failures ----

local function malformed(self, what, ...)
  local offset = self.source.offset
  return nil, ("pcap: %s at offset %d"):format(what:format(...), offset), "EBADMSG", offset
end

local function too_long(self, what, n)
  local offset = self.source.offset
  return nil, ("pcap: a %s of %d bytes, of at most %d, at offset %d"):format(what, n, self.maxpacket, offset),
    "EMSGSIZE", offset
end

-- n bytes from here on, or why not. What ends within a record was cut.
local function need(self, n)
  local source = self.source
  local ok, why, code = source:need(n)
  if ok then return true end
  if code ~= "EOF" or source.have == 0 then return nil, why, code end
  return malformed(self, "truncated: %d bytes, of %d,", source.have, n)
end

local function name_of(number) return linktype.NAME[number] or number end

-- ---- pcap ----

local function read_pcap(self)
  local source = self.source
  local ok, why, code, at = need(self, 16)
  if not ok then return nil, why, code, at end
  local seconds, fraction, captured, length = unpack(self.record, source.data, source.pos)
  if self.swapped and captured > length then captured, length = length, captured end
  if captured > self.maxpacket then return too_long(self, "packet", captured) end
  ok, why, code, at = need(self, 16 + captured)
  if not ok then return nil, why, code, at end
  local data = source.data:sub(source.pos + 16, source.pos + 15 + captured)
  source:take(16 + captured)
  return data, {
    timestamp = seconds * SECOND + fraction * self.unit, length = length, linktype = self.linktype,
  }
end

-- Before version 2.4 some wrote the two lengths the other way round.
local function open_pcap(self, order, unit)
  local ok, why, code, at = need(self, 24)
  if not ok then return nil, why, code, at end
  local source = self.source
  local major, minor, _, _, snaplen, link = unpack(order .. "I2I2i4I4I4I4", source.data, source.pos + 4)
  if major ~= 2 then return malformed(self, "version %d.%d of the format", major, minor) end
  self.swapped, self.record, self.unit = minor < 4, order .. "I4I4I4I4", unit
  self.format, self.next, self.snaplen = "pcap", read_pcap, snaplen
  self.linktype = name_of(link & 0xffff)
  self.interfaces = { { linktype = self.linktype, snaplen = snaplen } }
  source:take(24)
  return self
end

-- ---- pcapng: time ----

-- ts and the divisor are without a sign.
local function divide(ts, divisor)
  if ts >= 0 then return ts // divisor end
  local q = ((ts >> 1) // divisor) << 1
  return math.ult(ts - q * divisor, divisor) and q or q + 1
end

-- Nanoseconds of a count of units, by if_tsresol: 10^-n seconds, or 2^-n.
local function decimal(n)
  if n <= 9 then
    local factor = math.tointeger(10 ^ (9 - n))
    return function(ts) return ts * factor end
  end
  local divisor = n <= 27 and math.tointeger(10 ^ (n - 9))
  return function(ts) return divisor and divide(ts, divisor) or 0 end
end

local function binary(n)
  return function(ts)
    if n < 32 then return (ts >> n) * SECOND + ((ts & (1 << n) - 1) * SECOND >> n) end
    return (ts >> 32) * SECOND + ((ts & 0xffffffff) * SECOND >> 32) >> n - 32
  end
end

-- ---- pcapng: blocks ----

local COMMENT <const> = 1

-- The options from data[at] to data[last]: code -> the first value; comments
-- are joined. nil when one is longer than what is left.
local function options(self, data, at, last)
  local found = {}
  while at + 3 <= last do
    local code, length = unpack(self.option, data, at)
    if code == 0 then break end
    if at + 3 + length > last then return nil end
    local value = data:sub(at + 4, at + 3 + length)
    if code == COMMENT and found[code] then value = found[code] .. "\n" .. value end
    if code == COMMENT or not found[code] then found[code] = value end
    at = at + 4 + (length + 3 & ~3)
  end
  return found
end

local function bad_options(self) return malformed(self, "an option is longer than its block") end

-- Each block has the bytes data[at] to data[last], without its lengths and
-- type. Returns a packet's data and info, or true, or a failure.
local block <const> = {}

local SECTION <const>, INTERFACE <const> = 0x0a0d0d0a, 1
local OBSOLETE <const>, SIMPLE <const>, ENHANCED <const> = 2, 3, 6

block[SECTION] = function(self, data, at, last)
  if last - at < 15 then return malformed(self, "a section header is too short") end
  local major, minor = unpack(self.order .. "I2I2", data, at + 4)
  if major ~= 1 then return malformed(self, "version %d.%d of the format", major, minor) end
  self.section, self.shared = {}, {}
  return true
end

block[INTERFACE] = function(self, data, at, last)
  if last - at < 7 then return malformed(self, "an interface's description is too short") end
  local link, _, snaplen = unpack(self.order .. "I2I2I4", data, at)
  local found = options(self, data, at + 8, last)
  if not found then return bad_options(self) end
  local resolution, offset = found[9] or "\6", found[14] or ("\0"):rep(8)
  if #resolution ~= 1 or #offset ~= 8 then
    return malformed(self, "an interface's unit of time has a wrong length")
  end
  local n = resolution:byte()
  local interface = {
    linktype = name_of(link), snaplen = snaplen, name = found[2], description = found[3], comment = found[COMMENT],
  }
  table.insert(self.interfaces, interface)
  table.insert(self.section, {
    info = interface, id = interface.name or #self.section, snaplen = snaplen,
    time = (n < 128 and decimal or binary)(n & 127), offset = unpack(self.order .. "i8", offset) * SECOND,
  })
  if not self.linktype then self.linktype, self.snaplen = interface.linktype, snaplen end
  return true
end

local DIRECTION <const> = { "in", "out" }

-- A packet of which `captured` bytes begin at data[from].
local function packet(self, id, high, low, captured, length, data, from, last)
  local interface = self.section[id + 1]
  if not interface then return malformed(self, "a packet of interface %d, which was not described,", id) end
  if captured > last - from + 1 then return malformed(self, "a packet is longer than its block") end
  local found = options(self, data, from + (captured + 3 & ~3), last)
  if not found then return bad_options(self) end
  local flags = found[2] and #found[2] == 4 and unpack(self.order .. "I4", found[2]) or 0
  return data:sub(from, from + captured - 1), {
    timestamp = interface.time(high << 32 | low) + interface.offset, length = length,
    linktype = interface.info.linktype, interface = interface.id, comment = found[COMMENT],
    direction = DIRECTION[flags & 3],
  }
end

block[ENHANCED] = function(self, data, at, last)
  if last - at < 19 then return malformed(self, "a packet's block is too short") end
  local id, high, low, captured, length = unpack(self.order .. "I4I4I4I4I4", data, at)
  return packet(self, id, high, low, captured, length, data, at + 20, last)
end

block[OBSOLETE] = function(self, data, at, last)
  if last - at < 19 then return malformed(self, "a packet's block is too short") end
  local id, _, high, low, captured, length = unpack(self.order .. "I2I2I4I4I4I4", data, at)
  return packet(self, id, high, low, captured, length, data, at + 20, last)
end

-- It has neither a time nor a captured length.
block[SIMPLE] = function(self, data, at, last)
  if last - at < 3 then return malformed(self, "a packet's block is too short") end
  local interface = self.section[1]
  if not interface then return malformed(self, "a packet of interface 0, which was not described,") end
  local length = unpack(self.order .. "I4", data, at)
  local captured = length
  if interface.snaplen > 0 and captured > interface.snaplen then captured = interface.snaplen end
  if captured > last - at - 3 then return malformed(self, "a packet is longer than its block") end
  return data:sub(at + 4, at + 3 + captured), {
    length = length, linktype = interface.info.linktype, interface = interface.id,
  }
end

-- Which way round this section's integers are, by the magic in its header.
local function section_order(data, pos)
  local magic = data:sub(pos + 8, pos + 11)
  return magic == "\x1a\x2b\x3c\x4d" and ">" or magic == "\x4d\x3c\x2b\x1a" and "<"
end

-- The next block's type and length, all of it being there; nothing is taken.
local function next_block(self)
  local source = self.source
  local ok, why, code, at = need(self, 12)
  if not ok then return nil, why, code, at end
  local order = self.order
  if source.data:sub(source.pos, source.pos + 3) == "\n\r\r\n" then
    order = section_order(source.data, source.pos)
    if not order then return malformed(self, "a section of no byte order") end
  end
  local kind, length = unpack(order .. "I4I4", source.data, source.pos)
  if length < 12 or length % 4 ~= 0 then return malformed(self, "a block of %d bytes", length) end
  if length > self.maxpacket then return too_long(self, "block", length) end
  ok, why, code, at = need(self, length)
  if not ok then return nil, why, code, at end
  if unpack(order .. "I4", source.data, source.pos + length - 4) ~= length then
    return malformed(self, "a block whose two lengths differ")
  end
  self.order, self.option = order, order .. "I2I2"
  return kind, length
end

local function read_block(self)
  local kind, length, code, at = next_block(self)
  if not kind then return nil, length, code, at end
  local source, known = self.source, block[kind]
  local data, info = true, nil
  if known then
    data, info, code, at = known(self, source.data, source.pos + 8, source.pos + length - 5)
    if not data then return nil, info, code, at end
  end
  source:take(length)
  return data, info
end

local function read_pcapng(self)
  while true do
    local data, info, code, at = read_block(self)
    if data ~= true then return data, info, code, at end
  end
end

-- Up to the first interface, so that the link type is known; what is amiss
-- there is for the first read to find.
local function open_pcapng(self)
  self.format, self.next, self.interfaces = "pcapng", read_pcapng, {}
  self.order = "<"
  local ok, why, code, at = read_block(self)
  if not ok then return nil, why, code, at end
  while not self.linktype do
    local kind = next_block(self)
    if not kind or kind == ENHANCED or kind == SIMPLE or kind == OBSOLETE or not read_block(self) then break end
  end
  return self
end

-- ---- opening ----

local MAGIC <const> = {
  ["\xa1\xb2\xc3\xd4"] = { ">", 1000 }, ["\xd4\xc3\xb2\xa1"] = { "<", 1000 },
  ["\xa1\xb2\x3c\x4d"] = { ">", 1 }, ["\x4d\x3c\xb2\xa1"] = { "<", 1 },
}

local function open(self)
  local source = self.source
  local ok, why, code, at = need(self, 4)
  if not ok and code == "EOF" then return malformed(self, "an empty file, no capture,") end
  if not ok then return nil, why, code, at end
  local magic = source.data:sub(source.pos, source.pos + 3)
  if magic == "\n\r\r\n" then return open_pcapng(self) end
  local kind = MAGIC[magic]
  if kind then return open_pcap(self, kind[1], kind[2]) end
  return malformed(self, "no capture: it begins with %s", (magic:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end)))
end

-- ---- methods ----

--- The next packet: its bytes, and what is known of it.
function reader:read()
  if self.closed then return nil, "closed", "ECLOSED" end
  local data, info, code, at = self:next()
  if data then return data, info end
  if at then return nil, info, code, at end
  return nil, info, code
end

--- for data, info in reader:packets() do: to the end; raises on a failure.
function reader:packets()
  return function()
    local data, info, code = self:read()
    if data or code == "EOF" then return data, info end
    error(info, 2)
  end
end

--- Closes what it reads from, too.
function reader:close()
  if self.closed then return true end
  self.closed = true
  return self.source:close()
end

reader.__close = reader.close

function reader:__tostring()
  return ("neap.pcap.reader (%s)"):format(self.closed and "closed" or self.format)
end

--- Of what can be read from; false when nothing can.
return function(from, options_given)
  local source = new_source(from)
  if not source then return false end
  local self = setmetatable({
    source = source, maxpacket = options_given.maxpacket or MAXPACKET, closed = false,
  }, reader)
  return open(self)
end
