-- SPDX-License-Identifier: MIT
--- Whom a proxy speaks for: Forwarded (RFC 7239), X-Forwarded-For, and the
-- PROXY protocol, versions 1 and 2.
local ip <const> = require "neap.dns.ip"
local words <const> = require "neap.http.words"

local M = {}

local MSG_PEEK <const> = 2
local SIGNATURE <const> = "\r\n\r\n\0\r\nQUIT\n"
local LINE <const>, BLOCK <const> = 107, 4096 -- bytes, of version 1 and of version 2

-- ---- who is trusted ----

-- The bytes of an address; those of IPv4 in IPv6 are IPv4's.
local function bytes_of(text)
  local four <const> = ip.bytes4(text)
  if four then return four end
  local six <const> = ip.bytes6((text:gsub("%%.*$", "")))
  if six and six:sub(1, 12) == ("\0"):rep(10) .. "\xff\xff" then return six:sub(13) end
  return six
end

-- "10.0.0.0/8" as { bytes =, bits = }; nil for what is none.
local function network(text)
  local address, length <const> = text:match "^([^/]+)/(%d%d?%d?)$"
  local bytes <const> = bytes_of(address or text)
  if not bytes then return nil end
  local bits <const> = length and math.tointeger(tonumber(length)) or 8 * #bytes
  if bits > 8 * #bytes then return nil end
  return { bytes = bytes, bits = bits }
end

local function within(bytes, net)
  if #bytes ~= #net.bytes then return false end
  local whole <const>, left <const> = net.bits // 8, net.bits % 8
  if bytes:sub(1, whole) ~= net.bytes:sub(1, whole) then return false end
  if left == 0 then return true end
  return bytes:byte(whole + 1) >> (8 - left) == net.bytes:byte(whole + 1) >> (8 - left)
end

--- What says whether an address is one of these: addresses, networks, "unix".
-- Nil and the first that is none of them.
function M.trust(list)
  local nets <const>, unix = {}, false
  for _, text in ipairs(list) do
    local net <const> = type(text) == "string" and text ~= "unix" and network(text) or nil
    if net then
      nets[#nets + 1] = net
    elseif text == "unix" then
      unix = true
    else
      return nil, tostring(text)
    end
  end
  return function(address, port)
    if not port and unix then return true end
    local bytes <const> = address and bytes_of(address)
    if not bytes then return false end
    for _, net in ipairs(nets) do
      if within(bytes, net) then return true end
    end
    return false
  end
end

-- ---- fields ----

-- "1.2.3.4:80", "[::1]:80", "::1", "1.2.3.4" -> ip, port or nil.
local function node(text)
  local address, port = text:match "^%[(.+)%]:?(%d*)$"
  if not address then address, port = text:match "^([%d.]+):?(%d*)$" end
  address = address or text
  if not bytes_of(address) then return nil end
  port = math.tointeger(tonumber(port or ""))
  return address, port and port <= 65535 and port or nil
end

-- The elements of X-Forwarded-For, as Forwarded would have them.
local function listed(request)
  local list <const> = {}
  for item in (request.headers:get "x-forwarded-for" or ""):gmatch "[^,]+" do
    list[#list + 1] = { ["for"] = words.trim(item) }
  end
  local schemes <const> = {}
  for item in (request.headers:get "x-forwarded-proto" or ""):gmatch "[^, \t]+" do schemes[#schemes + 1] = item end
  for i, element in ipairs(list) do element.proto = schemes[#schemes - #list + i] or schemes[#schemes] end
  return list
end

-- The elements of Forwarded; nil if it is malformed.
local function forwarded(request)
  local text <const> = request.headers:get "forwarded" or ""
  local list, element, at = {}, {}, 1
  while true do
    at = words.skip(text, at)
    local name <const>, after <const> = words.token(text, at)
    if name and text:sub(after, after) == "=" then
      local value <const>, behind <const> = words.value(text, after + 1)
      if not value then return nil end
      element[name:lower()] = value
      at = words.skip(text, behind)
    end
    local mark <const> = text:sub(at, at)
    if mark == "," or mark == "" then
      if next(element) then list[#list + 1] = element end
      element = {}
      if mark == "" then return list end
    elseif mark ~= ";" then
      return nil
    end
    at = at + 1
  end
end

--- What proxies that are trusted say: { peer =, scheme =, host = }, or nil. From
-- the last one on, up to the first that is not trusted: it is the peer.
function M.origin(request, trusted)
  local conn <const> = request.conn
  if not trusted.is(conn.ip, conn.port) then return nil end
  local list <const> = (trusted.field == "forwarded" and forwarded or listed)(request) or {}
  local found
  for i = #list, 1, -1 do
    local address <const>, port <const> = node(list[i]["for"] or "")
    if not address then break end
    found = { peer = { ip = address, port = port }, scheme = list[i].proto, host = list[i].host }
    if not trusted.is(address, port or 0) then break end
  end
  if found and found.scheme then
    local scheme <const> = found.scheme:lower()
    found.scheme = (scheme == "http" or scheme == "https") and scheme or nil
  end
  return found
end

-- ---- the PROXY protocol ----

local function bad(why) return nil, "PROXY protocol: " .. why, "EPROTO" end

-- 0 to 65535, without zeros in front; or nil.
local function port_number(digits)
  if digits:find "^0." or #digits > 5 then return nil end
  local number <const> = math.tointeger(tonumber(digits))
  return number <= 65535 and number or nil
end

local function first_version(line)
  local family, from, to, from_port, to_port = line:match "^PROXY (TCP[46]) ([^ ]+) ([^ ]+) (%d+) (%d+)\r\n$"
  if not family then
    if line:find "^PROXY UNKNOWN[ \r]" then return {} end
    return bad "a malformed line"
  end
  local read <const> = family == "TCP4" and ip.bytes4 or ip.bytes6
  from_port, to_port = port_number(from_port), port_number(to_port)
  if not read(from) or not read(to) or not from_port or not to_port then
    return bad "a malformed address"
  end
  return { ip = from, port = from_port, local_ip = to, local_port = to_port }
end

local function second_version(command, family, block)
  if command == 0x20 then return {} end -- a check of the proxy's own
  if command ~= 0x21 then return bad "an unknown command" end
  local size <const>, text <const> = table.unpack(
    family == 0x11 and { 4, ip.text4 } or family == 0x21 and { 16, ip.text6 } or {})
  if not size then return {} end -- what is no TCP says nothing that we know
  if #block < 2 * size + 4 then return bad "a block that is too short" end
  local from_port <const>, to_port <const> = (">I2I2"):unpack(block, 2 * size + 1)
  return {
    ip = text(block:sub(1, size)), port = from_port,
    local_ip = text(block:sub(size + 1, 2 * size)), local_port = to_port,
  }
end

-- Exactly n bytes: what follows may be for TLS.
local function exactly(sock, n, before)
  local data = before or ""
  while #data < n do
    local more <const>, why <const>, code <const> = sock:recv(n - #data)
    if not more then return nil, why, code end
    if more == "" then return bad "the connection ended" end
    data = data .. more
  end
  return data
end

--- Reads what a proxy says first: a table with ip, port, local_ip, local_port,
-- empty if it says nothing of them; or nil, message, code. With `optional` it may
-- be missing: then a second result are the bytes that came in its place.
function M.read(sock, optional)
  local data, why, code = sock:recv(1, MSG_PEEK)
  if not data then return nil, why, code end
  if optional and data ~= "P" and data ~= "\r" then return {}, "" end
  data, why, code = exactly(sock, 1)
  if not data then return nil, why, code end
  local first <const> = data
  while #data < 12 do
    local is_first <const> = ("PROXY "):sub(1, #data) == data:sub(1, 6)
    local is_second <const> = SIGNATURE:sub(1, #data) == data
    if not is_first and not is_second then
      if optional then return {}, data end
      return bad "there is none"
    end
    data, why, code = exactly(sock, #data + (first == "P" and #data >= 6 and 12 - #data or 1), data)
    if not data then return nil, why, code end
  end
  if data == SIGNATURE then
    local head
    head, why, code = exactly(sock, 4)
    if not head then return nil, why, code end
    local command <const>, family <const>, length <const> = (">BBI2"):unpack(head)
    if length > BLOCK then return bad "a block that is too long" end
    local block
    block, why, code = exactly(sock, length)
    if not block then return nil, why, code end
    return second_version(command, family, block)
  end
  if data:sub(1, 6) ~= "PROXY " then
    if optional then return {}, data end
    return bad "there is none"
  end
  while data:sub(-2) ~= "\r\n" do
    if #data >= LINE then return bad "a line that is too long" end
    data, why, code = exactly(sock, #data + 1, data)
    if not data then return nil, why, code end
  end
  return first_version(data)
end

return M
