-- SPDX-License-Identifier: MIT
--- SPX: headers, bytes to values and back. Nothing here waits. A header has 12
-- bytes; SPX II's has 14, but for the request of a connection.
local M = {}

-- ---- connection control ----

M.SYSTEM = 0x80 -- no data, and no sequence number is used up
M.ASK = 0x40 -- is to be acknowledged
M.ATTENTION = 0x20
M.END = 0x10 -- of a message
M.SPX2 = 0x08
M.SIZE = 0x04 -- negotiates how long packets may be (SPX II)
M.EXTENDED = 0x01

-- ---- datastream types ----

M.RELEASE = 0xfc -- nothing more comes from this side (SPX II)
M.RELEASED = 0xfd -- nor from this one
M.DISCONNECT = 0xfe
M.DISCONNECTED = 0xff

--- A connection's number at the other side, while it is not known.
M.NOBODY = 0xffff

M.IPX_HEADER = 30
local HEADER <const>, HEADER2 <const> = 12, 14
local FORMAT <const>, FORMAT2 <const> = ">BBI2I2I2I2I2", ">BBI2I2I2I2I2I2"

--- Bytes in front of the data, of IPX and of SPX or SPX II.
M.OVERHEAD, M.OVERHEAD2 = M.IPX_HEADER + HEADER, M.IPX_HEADER + HEADER2

--- The longest packet that every network carries, IPX header included.
M.SHORTEST = 576

--- The header. size: of SPX II, or nil. Numbers are taken modulo 65536.
function M.encode(control, type, from, to, sequence, acknowledge, allocation, size)
  if size then
    return FORMAT2:pack(control, type, from, to, sequence & 0xffff, acknowledge & 0xffff, allocation & 0xffff, size)
  end
  return FORMAT:pack(control, type, from, to, sequence & 0xffff, acknowledge & 0xffff, allocation & 0xffff)
end

--- control, type, from, to, sequence, acknowledge, allocation, size (nil: SPX),
-- where the data begins; or nothing, if it is too short to be a packet.
function M.decode(packet)
  local n <const> = #packet
  if n < HEADER then return end
  local control <const>, type <const>, from <const>, to <const>, sequence <const>, acknowledge <const>,
    allocation <const> = FORMAT:unpack(packet)
  if control & 0x08 == 0 or to == 0xffff then
    return control, type, from, to, sequence, acknowledge, allocation, nil, HEADER + 1
  end
  if n < HEADER2 then return end
  return control, type, from, to, sequence, acknowledge, allocation, (">I2"):unpack(packet, HEADER + 1), HEADER2 + 1
end

--- The whole number that is nearest to `near` and looks like this modulo 65536.
function M.unwrap(wire, near) return near + ((wire - near + 0x8000) & 0xffff) - 0x8000 end

return M
