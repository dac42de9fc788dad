--- Sending messages over an association.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local datagram <const> = require "neap.datagram"
local peers <const> = require "neap.dtls.peer"
local sockets <const> = require "neap.dtls.socket"
local machines <const> = require "neap.tlscore".dtls

local methods <const> = sockets.methods
local check <const>, is_closed <const>, tell <const> = sockets.check, datagram.is_closed, datagram.tell
local sends <const> = core.turn "send"

local function check_data(data, arg, level)
  if type(data) ~= "string" then
    error(("bad argument #%d (string expected, got %s)"):format(arg, type(data)), level + 1)
  end
  if data == "" then error(("bad argument #%d (an empty message cannot be sent)"):format(arg), level + 1) end
end

local function told(self, data)
  self.sent, self.sentbytes = self.sent + 1, self.sentbytes + #data
  if self.tap then tell(self, "out", data) end
end

-- True, or nil, message, code.
local function send_one(self, name, data, address, control)
  if self.broken then return nil, ("%s %s: %s"):format(name, peers.text(self), self.broken[1]), self.broken[2] end
  if self.ended or self.told then
    return nil, ("%s %s: Broken pipe"):format(name, peers.text(self)), "EPIPE"
  end
  local udp <const> = self.endpoint.udp
  local record, why, code = machines.seal(self.machine, data)
  local ok
  if record then
    ok, why, code = core.message_put(udp, record, address, control)
    if code == "EAGAIN" then
      ok, why, code = datagram.put_later(self, check, udp, core.message_put, udp, record, address, control)
    elseif code == "EMSGSIZE" then
      peers.narrow(self)
      why = ("a message of %d bytes, room for %d"):format(#data, machines.most(self.machine))
    end
  end
  if ok then
    told(self, data)
    return true
  end
  if code == "ECLOSED" then return is_closed() end
  return nil, ("%s %s: %s"):format(name, peers.text(self), why:gsub("^send.-: ", "")), code
end

function methods:send(data)
  if not check(self, "send") then return is_closed() end
  check_data(data, 1, 2)
  sends()
  if self.state == "closed" then return is_closed() end
  local ok, why, code = send_one(self, "send", data, self.address, self.control)
  if ok then return self end
  return nil, why, code
end

function methods:sendto()
  if not check(self, "sendto") then return is_closed() end
  error("a neap.dtls has no addresses to send to: use send", 2)
end

local of_address <const> = { "ip", "port", "local_ip", "segment" }

-- Of sendmsg: what goes beside it; raises on what cannot.
local function route_of(self, info, level)
  for _, name in ipairs(of_address) do
    if info[name] ~= nil then
      error(("bad argument #2 (a neap.dtls knows no field '%s')"):format(name), level + 1)
    end
  end
  local udp <const> = self.endpoint.udp
  local all <const> = args.with(info)
  if self.address then all.ip, all.port, all.local_ip = self.ip, self.port, self.local_ip end
  local address, control, code = sockets.instead(level + 1, 1, core.message_route, udp, "", all)
  return address, control, code
end

function methods:sendmsg(data, info)
  if not check(self, "sendmsg") then return is_closed() end
  check_data(data, 1, 2)
  if type(info) ~= "table" then
    error(("bad argument #2 (table expected, got %s)"):format(info == nil and "no value" or type(info)), 2)
  end
  local address, control, code = route_of(self, info, 2)
  if code then return nil, control, code end
  sends()
  if self.state == "closed" then return is_closed() end
  local ok, why
  ok, why, code = send_one(self, "sendmsg", data, address or self.address, control or self.control)
  if ok then return self end
  return nil, why, code
end

function methods:sendmany(datas)
  if not check(self, "sendmany") then return is_closed() end
  if type(datas) ~= "table" then
    error(("bad argument #1 (table expected, got %s)"):format(datas == nil and "no value" or type(datas)), 2)
  end
  for i = 1, #datas do check_data(datas[i], 1, 2) end
  sends()
  for i, data in ipairs(datas) do
    if self.state == "closed" then return nil, "closed", "ECLOSED", i - 1 end
    local ok, why, code = send_one(self, "sendmany", data, self.address, self.control)
    if not ok then return nil, why, code, i - 1 end
  end
  return #datas
end
