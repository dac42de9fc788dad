-- SPDX-License-Identifier: MIT
--- IPX: headers and addresses, bytes to values and back. Nothing here waits.
-- Nodes are six bytes inside, "00:11:22:33:44:55" to people.
local checksum <const> = require "neap.wire".checksum

local M = {}

local HEAD <const> = ">I2I2BBI4c6I2I4c6I2"
local HEADER <const> = 30
local MOST_TEXTS <const> = 4096 -- addresses that are remembered as text

M.HEADER = HEADER
M.LONGEST = 65535 -- what the length can tell
M.BROADCAST = ("\xff"):rep(6)
M.NOWHERE = ("\0"):rep(6)
M.NO_CHECKSUM = "\xff\xff"

-- ---- nodes ----

local texts, bytes_of = {}, {}
local remembered = 0

local function remember(bytes, text)
  if remembered >= MOST_TEXTS then
    texts, bytes_of, remembered = {}, {}, 0
  end
  texts[bytes], bytes_of[text] = text, bytes
  remembered = remembered + 1
end

--- Six bytes as text.
function M.text(bytes)
  local text = texts[bytes]
  if not text then
    text = ("%02x:%02x:%02x:%02x:%02x:%02x"):format(bytes:byte(1, 6))
    remember(bytes, text)
  end
  return text
end

--- Text as six bytes; nil if it is no node.
function M.bytes(text)
  local bytes = bytes_of[text]
  if bytes then return bytes end
  if type(text) ~= "string" or #text ~= 17 then return nil end
  local pairs_of <const> = { text:match("^" .. ("(%x%x):"):rep(6):sub(1, -2) .. "$") }
  if #pairs_of ~= 6 then return nil end
  for i, pair in ipairs(pairs_of) do pairs_of[i] = string.char(tonumber(pair, 16)) end
  bytes = table.concat(pairs_of)
  if text == text:lower() then remember(bytes, text) end
  return bytes
end

--- The four bytes of an IPv4 address; nil if it is none.
function M.ip_bytes(ip)
  local bytes <const> = { ip:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$" }
  if #bytes ~= 4 then return nil end
  for i, byte in ipairs(bytes) do
    if #byte > 3 or byte:find "^0." or tonumber(byte) > 255 then return nil end -- 010 may be eight
    bytes[i] = string.char(tonumber(byte))
  end
  return table.concat(bytes)
end

--- The node of an IPv4 address: as RFC 1234 has it, or with a port as DOSBox
-- has it.
function M.of_ip(ip, port)
  if not port then return "\0\0" .. M.ip_bytes(ip) end
  return M.ip_bytes(ip) .. (">I2"):pack(port)
end

--- "00000001:00:11:22:33:44:55:4000", for messages.
function M.address(network, node, socket)
  return ("%08x:%s:%04x"):format(network, M.text(node), socket)
end

-- ---- packets ----

--- The bytes of a packet. sum: with a checksum.
function M.encode(p, data, sum)
  local length <const> = HEADER + #data
  local packet = HEAD:pack(0xffff, length, 0, p.type, p.to_network, p.to_node, p.to_socket, p.network, p.node,
    p.socket) .. data
  if not sum then return packet end
  packet = packet:sub(3)
  return (">I2"):pack(checksum(packet:sub(5), length + p.type)) .. packet
end

--- The packet that begins at this byte: its header as a table; what it carries
-- is `data`, unless `bare`. Or nil and what is wrong: "short", "malformed",
-- "checksum". What lies behind its end is none of it.
function M.decode(bytes, at, bare)
  local room <const> = #bytes - at + 1
  if room < HEADER then return nil, "short" end
  local sum <const>, length <const>, hops <const>, kind <const>, to_network <const>, to_node <const>, to_socket <const>,
    network <const>, node <const>, socket <const> = HEAD:unpack(bytes, at)
  if length < HEADER then return nil, "malformed" end
  if length > room then return nil, "short" end
  if not bare and sum ~= 0xffff and sum ~= checksum(bytes:sub(at + 6, at + length - 1), length + kind) then
    return nil, "checksum"
  end
  return {
    data = not bare and bytes:sub(at + HEADER, at + length - 1) or nil,
    length = length, hops = hops, type = kind, to_network = to_network, to_node = to_node, to_socket = to_socket,
    network = network, node = node, socket = socket,
  }
end

return M
