--- Writes captures: pcap and pcapng. Each record leaves in one write, so that
-- several tasks may write at once.
local core <const> = require "neap.core"
local linktype <const> = require "neap.linktype"

---@class neap.pcap.writer
local writer <const> = { __name = "neap.pcap.writer" }
writer.__index = writer

local SNAPLEN <const> = 262144 -- as tcpdump has it
local OPTION <const> = 65535 -- the most bytes that an option of a block can have
local SECOND <const> = 1000000000

local pack <const> = string.pack

local DIRECTION <const> = { ["in"] = 1, out = 2 }

-- Raises with the field's name, and blames the caller of `write`.
local function bad_field(name, what) error(("field '%s' must be %s"):format(name, what), 5) end

local function link_number(given)
  local number = given
  if type(given) == "string" then number = linktype.NUMBER[given] end
  if math.type(number) ~= "integer" or number < 0 or number > 65535 then return nil end
  return number
end

-- ---- pcapng: options and blocks ----

-- Options as { code, value, ... }; none is no bytes.
local function options(list)
  local out = {}
  for i = 1, #list, 2 do
    local value = list[i + 1]
    out[#out + 1] = pack("<I2I2", list[i], #value) .. value .. ("\0"):rep(-#value & 3)
  end
  if not out[1] then return "" end
  return table.concat(out) .. "\0\0\0\0"
end

local function option(list, code, value)
  if value then
    list[#list + 1] = code
    list[#list + 1] = value
  end
  return list
end

local function block(kind, body)
  local length = 12 + #body
  return pack("<I4I4", kind, length) .. body .. pack("<I4", length)
end

local function section(o)
  local list = option(option({}, 1, o.comment), 4, o.application or "neap")
  return block(0x0a0d0d0a, pack("<I4I2I2i8", 0x1a2b3c4d, 1, 0, -1) .. options(list))
end

local function interface(self, name, link)
  local list = option({}, 2, type(name) == "string" and name or nil)
  option(list, 9, self.nanoseconds and "\9" or "\6")
  return block(1, pack("<I2I2I4", link, 0, self.snaplen) .. options(list))
end

-- The number of the interface with this name and link type, and the block that
-- has to come first when there was none.
local function interface_of(self, name, link)
  local key = ("%s %s %d"):format(type(name), name, link)
  local id = self.ids[key]
  if id then return id, "" end
  id = self.nids
  self.ids[key], self.nids = id, id + 1
  return id, interface(self, name, link)
end

-- ---- packets ----

local function stamp(timestamp)
  if timestamp == nil then return core.realtime() end
  if math.type(timestamp) ~= "integer" then bad_field("timestamp", "an integer of nanoseconds") end
  return timestamp
end

local function length_of(info, data)
  local length = info.length
  if length == nil then return #data end
  if math.type(length) ~= "integer" or length < #data or length > 0xffffffff then
    bad_field("length", "an integer, not less than the data's")
  end
  return length
end

local function refuse(code, what, ...) return nil, "pcap: " .. what:format(...), code end

local function too_early(timestamp)
  return refuse("ERANGE", "the format cannot hold the time %d ns", timestamp)
end

local function write_pcap(self, data, length, timestamp, info)
  if info.linktype ~= nil and link_number(info.linktype) ~= self.link then
    return refuse("EINVAL", "a packet of link type %s in a file of %s", info.linktype, self.linktype)
  end
  local seconds, fraction = timestamp // SECOND, timestamp % SECOND
  if seconds < 0 or seconds > 0xffffffff then return too_early(timestamp) end
  if not self.nanoseconds then fraction = fraction // 1000 end
  return self.to:write(pack("<I4I4I4I4", seconds, fraction, #data, length), data)
end

local function write_pcapng(self, data, length, timestamp, info)
  if timestamp < 0 then return too_early(timestamp) end
  local link = self.link
  if info.linktype ~= nil then link = link_number(info.linktype) end
  local name = info.interface
  if name == nil then name = self.interface end
  local id, first = interface_of(self, name, link)
  local ts = self.nanoseconds and timestamp or timestamp // 1000
  local flags = DIRECTION[info.direction] or info.type and (info.type == "outgoing" and 2 or 1)
  local list = option(option({}, 1, info.comment), 2, flags and pack("<I4", flags))
  local tail = ("\0"):rep(-#data & 3) .. options(list)
  local total = 32 + #data + #tail
  return self.to:write(first, pack("<I4I4I4I4I4I4I4", 6, total, id, ts >> 32, ts & 0xffffffff, #data, length),
    data, tail, pack("<I4", total))
end

local function check_info(info)
  if info.linktype ~= nil and not link_number(info.linktype) then bad_field("linktype", "a known name, or a number") end
  local name = info.interface
  if name ~= nil and type(name) ~= "string" and math.type(name) ~= "integer" then
    bad_field("interface", "a name or an integer")
  end
  local comment = info.comment
  if comment ~= nil and (type(comment) ~= "string" or #comment > OPTION) then
    bad_field("comment", "a string of at most 65535 bytes")
  end
  if info.direction ~= nil and not DIRECTION[info.direction] then bad_field("direction", '"in" or "out"') end
end

local none <const> = {}

-- What a file or a stream answered. Lua's files have numbers for codes, and a
-- pipe to a program the program's exit.
local function answer(self, ok, why, code)
  if ok then return self end
  if type(code) == "string" then return nil, why, code end
  if why == "exit" or why == "signal" then
    why, code = ("the program ended with %s %s"):format(why, code), 5
  end
  return nil, ("write %s: %s"):format(self.name or "capture", why), core.errname(code or 5)
end

local function write(self, data, info)
  if type(data) ~= "string" then error(("bad argument #1 (string expected, got %s)"):format(type(data)), 3) end
  if info ~= nil and type(info) ~= "table" then
    error(("bad argument #2 (table expected, got %s)"):format(type(info)), 3)
  end
  info = info or none
  check_info(info)
  local length, timestamp = length_of(info, data), stamp(info.timestamp)
  if self.closed then return nil, "closed", "ECLOSED" end
  if #data > self.snaplen then data = data:sub(1, self.snaplen) end
  return answer(self, self.put(self, data, length, timestamp, info))
end

-- ---- methods ----

--- Writes a packet, with what is known of it.
function writer:write(data, info)
  local ok, why, code = write(self, data, info) -- no tail call: the level of errors counts
  if ok then return ok end
  return nil, why, code
end

--- What a file or a stream keeps back is sent.
function writer:flush()
  if self.closed then return nil, "closed", "ECLOSED" end
  if not self.to.flush then return self end
  return answer(self, self.to:flush())
end

--- Closes what it writes to, too.
function writer:close()
  if self.closed then return true end
  self.closed = true
  local to = self.to
  self.to = nil
  if io.type(to) == "closed file" then return true end
  local standard = to == io.stdout or to == io.stderr -- which Lua does not close
  if not standard and not to.close then return true end
  local ok, why, code = answer(self, to[standard and "flush" or "close"](to))
  if not ok then return nil, why, code end
  return true
end

writer.__close = writer.close

function writer:__tostring()
  return ("neap.pcap.writer (%s)"):format(self.closed and "closed" or self.format)
end

-- ---- opening ----

local function header(self, o)
  if self.format == "pcapng" then return section(o) .. select(2, interface_of(self, self.interface, self.link)) end
  return pack("<I4I2I2i4I4I4I4", self.nanoseconds and 0xa1b23c4d or 0xa1b2c3d4, 2, 4, 0, 0, self.snaplen, self.link)
end

--- Of what is open and has a method `write`; `name` is for messages.
return function(to, o, name)
  local link = link_number(o.linktype or "ethernet")
  local self = setmetatable({
    to = to, name = name, closed = false, format = o.format or "pcap", link = link,
    linktype = linktype.NAME[link] or link, snaplen = o.snaplen or SNAPLEN,
    nanoseconds = o.nanoseconds ~= false, interface = o.interface, ids = {}, nids = 0,
    waits = not io.type(to), -- not so the files of Lua: they block
  }, writer)
  self.put = self.format == "pcapng" and write_pcapng or write_pcap
  return answer(self, to:write(header(self, o)))
end
