--- What an association is to its user: a message socket like the others.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local peers <const> = require "neap.dtls.peer"
local tlscore <const> = require "neap.tlscore"
local x509 <const> = require "neap.x509"

local class <const> = peers.class
local methods <const> = {}
class.__index = methods

local sends <const>, receives <const> = core.turn "send", core.turn "receive"
local MANY <const>, MOST <const> = 64, 1024 -- of receivemany
local LONGEST <const> = 1 << 30

local function check(self, name)
  if getmetatable(self) ~= class then args.method(self, class, name, 3) end
  return self.state ~= "closed"
end

local function is_closed() return nil, "closed", "ECLOSED" end

-- Calls a function of the core with the UDP socket in our place; what it
-- raises blames who called the method, by the numbers of its arguments.
local function instead(level, shift, fn, ...)
  local results <const> = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local err <const> = results[2]
  if type(err) ~= "string" then error(err, 0) end
  local text <const> = err:gsub("^[^\n:]+:%d+: ", ""):gsub("neap%.udp", "neap.dtls")
  error(text:gsub("^bad argument #(%d+) to '[%w_.?]+'", function(n)
    return ("bad argument #%d"):format(n - shift)
  end), level + 1)
end

-- ---- the tap ----

-- Who is told must not disturb: one that raises is taken away.
local function tell(self, ...)
  local ok, err = core.unwaiting(self.tap, ...)
  if ok then return end
  self.tap = nil
  local neap <const> = package.loaded.neap
  if neap and neap.onerror then pcall(neap.onerror, self, err, "") end
end

function methods:settap(fn)
  if not check(self, "settap") then return is_closed() end
  if fn ~= nil then args.argument(fn, "function", 1, 2) end
  self.tap = fn
  return self
end

-- ---- sending ----

local function check_data(self, data, arg, level)
  if type(data) ~= "string" then
    error(("bad argument #%d (string expected, got %s)"):format(arg, type(data)), level + 1)
  end
  if data == "" then error(("bad argument #%d (an empty message cannot be sent)"):format(arg), level + 1) end
end

local function told(self, data)
  self.sent, self.sentbytes = self.sent + 1, self.sentbytes + #data
  if self.tap then tell(self, "out", data) end
end

-- There was no room for the datagram: waits for it.
local function put_later(self, datagram, address, control, deadline)
  local udp <const> = self.endpoint.udp
  while true do
    local left <const> = deadline and deadline - core.now()
    if left and left <= 0 then return nil, "timed out", "ETIMEDOUT" end
    core.wait(udp, "w", left and math.min(left, 0.2) or 0.2)
    if self.state == "closed" then return is_closed() end
    local ok, why, code = core.message_put(udp, datagram, address, control)
    if code ~= "EAGAIN" then return ok, why, code end
  end
end

-- True, or nil, message, code.
local function send_one(self, name, data, address, control)
  if self.broken then return nil, ("%s %s: %s"):format(name, peers.text(self), self.broken[1]), self.broken[2] end
  if self.ended or self.told then
    return nil, ("%s %s: Broken pipe"):format(name, peers.text(self)), "EPIPE"
  end
  local datagram, why, code = self.machine:seal(data)
  local ok
  if datagram then
    ok, why, code = core.message_put(self.endpoint.udp, datagram, address, control)
    if code == "EAGAIN" then
      ok, why, code = put_later(self, datagram, address, control, self.timeout and core.now() + self.timeout)
    elseif code == "EMSGSIZE" then
      peers.narrow(self)
      why = ("a message of %d bytes, room for %d"):format(#data, self.machine:most())
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
  check_data(self, data, 1, 2)
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
  local address, control, code = instead(level + 1, 1, core.message_route, udp, "", all)
  return address, control, code
end

function methods:sendmsg(data, info)
  if not check(self, "sendmsg") then return is_closed() end
  check_data(self, data, 1, 2)
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
  for i = 1, #datas do check_data(self, datas[i], 1, 2) end
  sends()
  for i, data in ipairs(datas) do
    if self.state == "closed" then return nil, "closed", "ECLOSED", i - 1 end
    local ok, why, code = send_one(self, "sendmany", data, self.address, self.control)
    if not ok then return nil, why, code, i - 1 end
  end
  return #datas
end

-- ---- receiving ----

local function check_max(max, most)
  if max == nil then return end
  if math.type(max) ~= "integer" or max < 1 or max > most then
    error(("bad argument #1 (an integer in [1, %d] expected)"):format(most), 3)
  end
end

-- What it fails with, where nothing is there and nothing will come.
local function over(self, name)
  if self.state == "closed" then return is_closed() end
  if self.ended or self.deaf then return nil, "end of stream", "EOF" end
  if self.broken then return nil, ("%s %s: %s"):format(name, peers.text(self), self.broken[1]), self.broken[2] end
end

-- What is there now, if anything.
local function take(self)
  local item = self.inbox:take()
  if not item then
    self.endpoint:drain()
    item = self.inbox:take()
  end
  return item
end

-- The next message, and how many were dropped before it; or nil, message, code.
local function next_message(self, name, deadline)
  receives()
  if self.state == "closed" then return is_closed() end
  local item = take(self)
  if not item then
    if self.state == "closed" or self.ended or self.deaf or self.broken then return over(self, name) end
    self.endpoint:needs_pump()
    local why, code
    item, why, code = self.inbox:wait(deadline and math.max(0, deadline - core.now()))
    if not item then
      if code == "ETIMEDOUT" then
        return nil, ("%s %s: %s"):format(name, peers.text(self), why), code
      end
      return over(self, name)
    end
  end
  if not item[1] then return nil, item[2], item[3] end
  local data, drops = peers.taken(self, item)
  self.received, self.receivedbytes = self.received + 1, self.receivedbytes + #data
  return data, drops
end

local function deadline_of(self) return self.timeout and core.now() + self.timeout end

local function too_long(self, data, max)
  self.oversized = self.oversized + 1
  return nil, ("receive: a message of %d bytes, room for %d"):format(#data, max), "EMSGSIZE", #data
end

function methods:receive(max)
  if not check(self, "receive") then return is_closed() end
  check_max(max, LONGEST)
  local data, why, code = next_message(self, "receive", deadline_of(self))
  if not data then return nil, why, code end
  max = max or self.maxmessage
  if #data > max then return too_long(self, data, max) end
  if self.tap then tell(self, "in", data, self.ip, self.port) end
  return data, self.ip, self.port
end

function methods:receivemsg(max)
  if not check(self, "receivemsg") then return is_closed() end
  check_max(max, LONGEST)
  local data, drops, code = next_message(self, "receivemsg", deadline_of(self))
  if not data then return nil, drops, code end
  local info <const> = { ip = self.ip, port = self.port, local_ip = self.local_ip, length = #data, drops = drops }
  max = max or self.maxmessage
  if #data > max then
    data, info.truncated = data:sub(1, max), true
  end
  if self.tap then tell(self, "in", data, self.ip, self.port) end
  return data, info
end

-- Adds those that are there, up to max.
local function collect(self, lists, n, max)
  while n < max and self.state ~= "closed" do
    local item <const> = take(self)
    if not item then break end
    if item[1] then
      local data <const> = peers.taken(self, item)
      self.received, self.receivedbytes = self.received + 1, self.receivedbytes + #data
      if #data > self.maxmessage then
        self.oversized = self.oversized + 1
      else
        n = n + 1
        lists[1][n], lists[2][n], lists[3][n] = data, self.ip, self.port
        if self.tap then tell(self, "in", data, self.ip, self.port) end
      end
    end
  end
  return n
end

function methods:receivemany(max, ...)
  if not check(self, "receivemany") then return is_closed() end
  check_max(max, MOST)
  local lists <const> = { ... }
  for i = 1, 3 do
    if lists[i] == nil then lists[i] = {} end
    if type(lists[i]) ~= "table" then
      error(("bad argument #%d (table expected, got %s)"):format(i + 1, type(lists[i])), 2)
    end
  end
  local deadline <const>, n = deadline_of(self), 0
  repeat
    local data, why, code = next_message(self, "receivemany", deadline)
    if not data then return nil, why, code end
    if #data > self.maxmessage then
      self.oversized = self.oversized + 1
    else
      n = 1
      lists[1][1], lists[2][1], lists[3][1] = data, self.ip, self.port
      if self.tap then tell(self, "in", data, self.ip, self.port) end
    end
  until n == 1
  n = collect(self, lists, n, max or MANY)
  for _, list in ipairs(lists) do
    for i = #list, n + 1, -1 do list[i] = nil end
  end
  return table.unpack(lists, 1, 3)
end

function methods:messages()
  check(self, "messages")
  local function step(data, why, code, ...)
    if data then return data, why, code, ... end
    if code == "EMSGSIZE" then return step(self:receive()) end
    if code ~= "ECLOSED" and code ~= "EOF" then error(why, 2) end
  end
  return function() return step(self:receive()) end
end

-- ---- the end ----

function methods:close()
  check(self, "close")
  return peers.close(self)
end

--- Nothing more is sent ("w"), or taken ("r").
function methods:shutdown(how)
  if not check(self, "shutdown") then return is_closed() end
  if how ~= "r" and how ~= "w" and how ~= "rw" then
    error("bad argument #1 (\"r\", \"w\" or \"rw\" expected)", 2)
  end
  if how ~= "r" and not self.told then
    self.told = true
    peers.farewell(self)
  end
  if how ~= "w" then
    self.deaf = true
    self.inbox:clear()
    self.queued = 0
    self.inbox:finish "EOF"
  end
  return self
end

-- ---- what it is ----

function methods:settimeout(seconds)
  if not check(self, "settimeout") then return is_closed() end
  self.timeout = args.timeout(seconds, 1, 2)
  return self
end

function methods:gettimeout()
  if not check(self, "gettimeout") then return is_closed() end
  return self.timeout
end

function methods:counters()
  check(self, "counters")
  return self.received, self.receivedbytes, self.sent, self.sentbytes, self.oversized
end

function methods:isopen() return check(self, "isopen") end

function methods:kind()
  check(self, "kind")
  return "dtls"
end

function methods:getpeername()
  if not check(self, "getpeername") then return is_closed() end
  return self.ip, self.port
end

function methods:getsockname()
  if not check(self, "getsockname") then return is_closed() end
  local ip, port, code = self.endpoint.udp:getsockname()
  if not ip then return nil, port, code end
  return self.local_ip or ip, port
end

--- What was agreed on, as of a TLS stream; and `most`, the longest message.
function methods:tlsinfo()
  if not check(self, "tlsinfo") then return is_closed() end
  local info, why, code = tlscore.info(self.machine)
  if not info then return nil, why, code end
  for i, der in ipairs(info.peer) do info.peer[i] = x509.load(der) end
  info.most = self.machine:most()
  return info
end

--- What was dropped because nobody took it: `drops` messages.
function methods:statistics()
  if not check(self, "statistics") then return is_closed() end
  return { drops = self.dropped, queued = self.inbox:count() }
end

-- What the UDP socket does; of a server's it is shared by all clients.
for _, name in ipairs { "setsockopt", "getsockopt", "fileno", "family", "geterror", "attachfilter", "detachfilter" } do
  methods[name] = function(self, ...)
    if not check(self, name) then return is_closed() end
    local udp <const> = self.endpoint.udp
    local results <const> = table.pack(instead(2, 1, udp[name], udp, ...))
    if name == "setsockopt" and (...) == "SO_RXQ_OVFL" then self.endpoint:tell_drops(select(2, ...)) end
    if results[1] == udp then return self end
    return table.unpack(results, 1, results.n)
  end
end

for _, name in ipairs { "connect", "bind", "detach", "join", "leave", "block", "unblock" } do
  methods[name] = function(self)
    if not check(self, name) then return is_closed() end
    return nil, ("%s: Operation not supported"):format(name), "EOPNOTSUPP"
  end
end

local function close(self) peers.close(self) end
class.__close, class.__gc = close, close

function class.__tostring(self)
  if self.state == "closed" then return "neap.dtls (closed)" end
  return ("neap.dtls (%d)"):format(self.endpoint.udp:fileno())
end

return methods
