-- SPDX-License-Identifier: MIT
--- Sending over IPX.
local core <const> = require "neap.core"
local carriers <const> = require "neap.ipx.carrier"
local datagram <const> = require "neap.datagram"
local packets <const> = require "neap.ipx.packet"
local sockets <const> = require "neap.ipx.socket"

local methods <const> = sockets.methods
local check <const>, is_closed <const>, tell <const> = sockets.check, datagram.is_closed, datagram.tell
local sends <const> = core.turn "send"
local FIELDS <const> = { network = true, node = true, socket = true, type = true }

local M = {}

-- ---- arguments ----

local function bad(arg, what, level) error(("bad argument #%d (%s)"):format(arg, what), level + 1) end

local function check_data(data, arg, level)
  if type(data) ~= "string" then
    bad(arg, ("string expected, got %s"):format(data == nil and "no value" or type(data)), level + 1)
  end
end

local function within(value, least, most)
  local number <const> = math.type(value) == "integer" and value or nil
  return number and number >= least and number <= most and number or nil
end

--- The address in three arguments, from this number on; raises on what is
-- none.
function M.address(network, node, socket, arg, level)
  if not within(network, 0, 0xffffffff) then bad(arg, "a network (0 to 0xffffffff) expected", level + 1) end
  local bytes <const> = packets.bytes(node)
  if not bytes then bad(arg + 1, 'a node ("00:11:22:33:44:55") expected', level + 1) end
  if not within(socket, 1, 0xffff) then bad(arg + 2, "a socket (1 to 0xffff) expected", level + 1) end
  return { network = network, node = bytes, socket = socket }
end

local function check_info(info, level)
  if type(info) ~= "table" then
    bad(2, ("table expected, got %s"):format(info == nil and "no value" or type(info)), level + 1)
  end
  for name in pairs(info) do
    if not FIELDS[name] then bad(2, ("a neap.ipx knows no field '%s'"):format(tostring(name)), level + 1) end
  end
  if info.type ~= nil and not within(info.type, 0, 255) then bad(2, "'type' must be from 0 to 255", level + 1) end
end

-- Of sendmsg: to whom, or nil for the peer.
local function info_address(info, level)
  check_info(info, level + 1)
  if info.network == nil and info.node == nil and info.socket == nil then return nil end
  if not within(info.network, 0, 0xffffffff) then bad(2, "'network' must be from 0 to 0xffffffff", level + 1) end
  local node <const> = packets.bytes(info.node)
  if not node then bad(2, '\'node\' must be such as "00:11:22:33:44:55"', level + 1) end
  if not within(info.socket, 1, 0xffff) then bad(2, "'socket' must be from 1 to 0xffff", level + 1) end
  return { network = info.network, node = node, socket = info.socket }
end

-- ---- one packet ----

local function put(self, to, data, kind)
  local carrier <const> = self.carrier
  return carriers.put(carrier, {
    type = kind or self.type, to_network = to.network, to_node = to.node, to_socket = to.socket,
    network = carrier.network, node = carrier.node, socket = self.number,
  }, data, self.sum, self)
end

-- What cannot be sent at all: message, code.
local function refusal(self, to, data)
  if self.mute then return "Broken pipe", "EPIPE" end
  if not to then return "Destination address required", "EDESTADDRREQ" end
  local room <const> = self.carrier.longest - packets.HEADER
  if #data > room then return ("a message of %d bytes, room for %d"):format(#data, room), "EMSGSIZE" end
  if to.node == packets.BROADCAST and not self.broadcast then return "Permission denied", "EACCES" end
end

local function told(self, data, to)
  self.sent, self.sentbytes = self.sent + 1, self.sentbytes + #data
  if self.tap then tell(self, "out", data, to.network, packets.text(to.node), to.socket) end
end

-- True, or nil, message, code. waits: until there is room.
local function send_one(self, name, to, data, kind, waits)
  to = to or self.peer
  local why, code = refusal(self, to, data)
  local ok
  if not why then
    ok, why, code = put(self, to, data, kind)
    if code == "EAGAIN" and waits then
      ok, why, code = datagram.put_later(self, check, self.carrier.links[1], put, self, to, data, kind)
    end
  end
  if ok then
    told(self, data, to)
    return true
  end
  if code == "ECLOSED" then return is_closed() end
  why = why:gsub("^send: ", "")
  if not to then return nil, ("%s: %s"):format(name, why), code end
  return nil, ("%s %s: %s"):format(name, packets.address(to.network, to.node, to.socket), why), code
end

local function send_waiting(self, name, to, data, kind)
  sends()
  if self.closed then return is_closed() end
  local ok, why, code = send_one(self, name, to, data, kind, true)
  if ok then return self end
  return nil, why, code
end

-- ---- methods ----

function methods:send(data)
  if not check(self, "send") then return is_closed() end
  check_data(data, 1, 2)
  return send_waiting(self, "send", nil, data)
end

function methods:sendto(data, network, node, socket)
  if not check(self, "sendto") then return is_closed() end
  check_data(data, 1, 2)
  return send_waiting(self, "sendto", M.address(network, node, socket, 2, 2), data)
end

function methods:sendmsg(data, info)
  if not check(self, "sendmsg") then return is_closed() end
  check_data(data, 1, 2)
  return send_waiting(self, "sendmsg", info_address(info, 2), data, info.type)
end

--- As sendmsg, but it never waits: true, or nil, message, code: "EAGAIN" where
-- there is no room.
function methods:put(data, info)
  if not check(self, "put") then return is_closed() end
  check_data(data, 1, 2)
  return send_one(self, "put", info_address(info, 2), data, info.type, false)
end

-- One of the columns: a list, or the same for all.
local function cell(column, i)
  if type(column) == "table" then return column[i] end
  return column
end

function methods:sendmany(datas, networks, nodes, numbers)
  if not check(self, "sendmany") then return is_closed() end
  if type(datas) ~= "table" then
    bad(1, ("table expected, got %s"):format(datas == nil and "no value" or type(datas)), 2)
  end
  local to <const> = {}
  local addressed <const> = networks ~= nil or nodes ~= nil or numbers ~= nil
  local all <const> = type(nodes) == "string" and math.type(networks) and math.type(numbers)
    and M.address(networks, nodes, numbers, 2, 2)
  for i = 1, #datas do
    check_data(datas[i], 1, 2)
    to[i] = all or addressed and M.address(cell(networks, i), cell(nodes, i), cell(numbers, i), 2, 2) or false
  end
  sends()
  for i, data in ipairs(datas) do
    if self.closed then return nil, "closed", "ECLOSED", i - 1 end
    local ok, why, code = send_one(self, "sendmany", to[i] or nil, data, nil, true)
    if not ok then return nil, why, code, i - 1 end
  end
  return #datas
end

--- Sends to one peer, and receives from no other. Nobody (no arguments): to and
-- from all again.
function methods:connect(network, node, socket)
  if not check(self, "connect") then return is_closed() end
  if network == nil and node == nil and socket == nil then
    self.peer = nil
  else
    self.peer = M.address(network, node, socket, 1, 2)
  end
  return self
end

return M
