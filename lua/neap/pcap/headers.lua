--- Headers that a socket's messages went without: IPv4, IPv6, UDP, and Linux's
-- cooked one, made up of what is known of the message.
local M = {}

local pack <const>, unpack <const> = string.pack, string.unpack

local UDP <const>, UDPLITE <const>, ICMPV6 <const> = 17, 136, 58
local LARGEST <const> = 65535

-- ---- addresses ----

local function v6_groups(text)
  local out = {}
  for group in text:gmatch "[^:]+" do
    if group:find(".", 1, true) then
      local a, b, c, d = group:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
      out[#out + 1] = pack("BBBB", a, b, c, d)
    else
      out[#out + 1] = pack(">I2", tonumber(group, 16))
    end
  end
  return table.concat(out)
end

--- The bytes of an address in text, 4 or 16 of them; its zone is nothing of
-- the packet's.
function M.bytes(ip)
  local a, b, c, d = ip:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  if a then return pack("BBBB", a, b, c, d) end
  ip = ip:gsub("%%.*$", "")
  local head, tail = ip:match "^(.-)::(.*)$"
  head, tail = v6_groups(head or ip), v6_groups(tail or "")
  return head .. ("\0"):rep(16 - #head - #tail) .. tail
end

-- ---- checksums ----

-- The sum of RFC 1071, of 16 bits.
local function sum(data)
  local total, at, n = 0, 1, #data
  while at + 15 <= n do
    local a, b, c, d = unpack(">I4I4I4I4", data, at)
    total, at = total + a + b + c + d, at + 16
  end
  data = data:sub(at) .. ("\0"):rep(16)
  local a, b, c, d = unpack(">I4I4I4I4", data)
  total = total + a + b + c + d
  while total > 0xffff do total = (total >> 16) + (total & 0xffff) end
  return total
end

local function checksum(...) return 0xffff - sum(table.concat { ... }) end

-- In front of what a transport's checksum covers.
local function pseudo(src, dst, protocol, length)
  if #src == 4 then return src .. dst .. pack(">I2I2", protocol, length) end
  return src .. dst .. pack(">I4I4", length, protocol)
end

-- ---- headers ----

-- The kernel's way for what does not fit: a length of 0.
local function length_field(n) return n > LARGEST and 0 or n end

local function v4(src, dst, protocol, payload)
  local head = pack(">I2I2I4BBI2", 0x4500, length_field(20 + #payload), 0x4000, 64, protocol, 0) .. src .. dst
  return head:sub(1, 10) .. pack(">I2", checksum(head)) .. head:sub(13) .. payload
end

local function v6(src, dst, protocol, payload)
  return pack(">I4I2BB", 0x60000000, length_field(#payload), protocol, 64) .. src .. dst .. payload
end

-- The checksum that the kernel puts into an ICMPv6 message that is sent.
local function with_checksum(src, dst, payload)
  if #payload < 4 then return payload end
  local rest = payload:sub(1, 2) .. "\0\0" .. payload:sub(5)
  local value = checksum(pseudo(src, dst, ICMPV6, #payload), rest)
  return payload:sub(1, 2) .. pack(">I2", value) .. payload:sub(5)
end

--- An IP packet of a payload; src and dst are bytes, of one family.
function M.ip(src, dst, protocol, payload, out)
  if #src == 4 then return v4(src, dst, protocol, payload) end
  if protocol == ICMPV6 and out then payload = with_checksum(src, dst, payload) end
  return v6(src, dst, protocol, payload)
end

--- The same of a datagram of UDP or UDP-Lite.
function M.datagram(src, sport, dst, dport, protocol, data)
  local length = 8 + #data
  local head = pack(">I2I2I2", sport, dport, protocol == UDPLITE and 0 or length_field(length))
  local value = checksum(pseudo(src, dst, protocol, length), head, "\0\0", data)
  if value == 0 then value = 0xffff end -- 0 would be none
  return M.ip(src, dst, protocol, head .. pack(">I2", value) .. data)
end

M.UDP = UDP

--- What the kernel fills in of an IPv4 header that comes with the data.
function M.complete(packet, src)
  if #packet < 20 then return packet end
  local ihl = (packet:byte() & 15) * 4
  if ihl < 20 or ihl > #packet then return packet end
  local from = packet:sub(13, 16)
  if from == "\0\0\0\0" then from = src end
  local head = packet:sub(1, 2) .. pack(">I2", length_field(#packet)) .. packet:sub(5, 10) .. "\0\0" .. from
    .. packet:sub(17, ihl)
  return head:sub(1, 10) .. pack(">I2", checksum(head)) .. head:sub(13) .. packet:sub(ihl + 1)
end

--- Whether it is an IPv4 packet, all of it.
function M.is_v4(data)
  return #data >= 20 and data:byte() >> 4 == 4 and unpack(">I2", data, 3) == length_field(#data)
end

--- Linux's cooked header (LINKTYPE_LINUX_SLL).
function M.cooked(data, out, mac, protocol)
  local address = mac and mac:gsub("%x%x:?", function(hex) return string.char(tonumber(hex:sub(1, 2), 16)) end) or ""
  if #address > 8 then address = address:sub(1, 8) end
  if not protocol then
    local version = #data > 0 and data:byte() >> 4
    protocol = version == 4 and 0x0800 or version == 6 and 0x86dd or 0
  end
  return pack(">I2I2I2", out and 4 or 0, 1, #address) .. address .. ("\0"):rep(8 - #address) .. pack(">I2", protocol)
    .. data
end

return function() return M end -- a function: it is no module of the user's
