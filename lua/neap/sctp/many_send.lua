--- Sending over the associations of a message socket, and beginning them.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local sends <const> = core.turn "send"

local LONGEST <const> = 16 * 1024 * 1024 -- bytes of a message
local PATIENCE <const>, AGAIN <const> = 20, 0.01 -- seconds: to connect; until an event is looked for again

-- What goes with a message, as a stream's send has it.
local FIELDS <const> = {
  "stream", "ppid", "context", "association", "key", "unordered", "abort", "eof", "immediate", "lifetime",
  "retransmissions", "priority", "ip", "port",
}
local is_field <const> = {}
for _, name in ipairs(FIELDS) do is_field[name] = true end

return function(sockets)
  local methods <const> = sockets.methods
  local check <const>, is_closed <const>, tell <const> = sockets.check, sockets.is_closed, sockets.tell

  local function bad(arg, what, level) error(("bad argument #%d (%s)"):format(arg, what), level + 1) end

  local function kind_of(value) return value == nil and "no value" or type(value) end

  local function check_data(data, arg, level)
    if type(data) ~= "string" then bad(arg, ("string expected, got %s"):format(kind_of(data)), level + 1) end
    if data == "" then bad(arg, "an empty message cannot be sent", level + 1) end
  end

  -- ---- associations ----

  -- Until the association is up; true, or nil, message, code.
  local function await(self, association, deadline)
    local ok, why, code
    if self.pumping then
      ok, why, code = association.settled:wait(deadline and math.max(0, deadline - core.now()))
    else
      ok, code = sockets.read(self, deadline, false, function() return association.state ~= "connecting" end)
      why = "timed out"
    end
    if self.closed then return is_closed() end
    if association.state == "established" then return true end
    if ok and association.failure then why, code = association.failure[1], association.failure[2] end
    if ok and not association.failure then why, code = "the association has ended", "ECONNABORTED" end
    return nil, why, code
  end

  -- The engine says that there is one: the event that tells so is on its way.
  local function found(self, key, deadline)
    while core.now() < deadline do
      sockets.drain(self, true)
      if self.byaddress[key] or self.closed then return self.byaddress[key] end
      core.sleep(AGAIN)
    end
  end

  -- Begins one, at all of these addresses of one peer.
  local function begin(self, list, o)
    local deadline <const> = core.now() + (o.timeout or PATIENCE)
    local key <const> = args.text(list[1].ip, list[1].port)
    o.deadline, o.name = deadline, key
    local id, why, code = self.engine.connect_to(self.stream, list, o)
    if not id and code == "EISCONN" then return found(self, key, deadline), "timed out", "ETIMEDOUT" end
    if not id then return nil, why, code end
    local association = self.byid[id]
    if not association then
      association = require "neap.sctp.association".new(self, id)
      self.byid[id] = association
    end
    association.ip, association.port = association.ip or list[1].ip, association.port or list[1].port
    for _, at in ipairs(list) do self.byaddress[args.text(at.ip, at.port)] = association end
    local ok
    ok, why, code = await(self, association, deadline)
    if ok then return association end
    if self.byid[id] == association then
      self.engine.set(self.stream, "abort", "", id)
      self:_forget(association)
    end
    return nil, why, code
  end

  -- The association with this address, which begins if there is none.
  local function to_address(self, ip, port)
    local key <const> = args.text(ip, port)
    local association = self.byaddress[key]
    if not association then
      sockets.drain(self, true)
      association = self.byaddress[key]
    end
    if association and association.state == "established" then return association end
    if association then -- another task has begun it
      local ok <const>, why, code = await(self, association, core.now() + (self.timeout or PATIENCE))
      return ok and association, why, code
    end
    return begin(self, { { ip = ip, port = port } }, { timeout = self.timeout })
  end

  local function resolve(self, host, port)
    if core.isip(host) and math.type(port) == "integer" then return { { ip = host, port = port } } end
    return core.resolve(host, port, { family = "any", timeout = self.timeout })
  end

  --- Begins an association with a peer, whose addresses the hosts of a list all
  -- are.
  function methods:connect(host, port, given)
    if not check(self, "connect") then return is_closed() end
    local o <const> = args.check(given, { timeout = "seconds" }, 3, 2)
    local hosts <const> = {}
    for i, each in ipairs(type(host) == "table" and host or { host }) do hosts[i] = args.host(each, 1, 2) end
    if #hosts == 0 then bad(1, "a host or a list of hosts expected", 2) end
    port = args.port(port, 1, 2, 2)
    o.timeout = o.timeout or self.timeout
    sends()
    local list <const> = {}
    for i, each in ipairs(hosts) do
      local at <const>, why, code = resolve(self, each, port)
      if not at then return nil, why, code end
      list[i] = { ip = at[1].ip, port = at[1].port }
    end
    local association <const>, why, code = begin(self, list, o)
    if association then return association end
    if code == "ECLOSED" then return is_closed() end
    return nil, ("connect %s: %s"):format(args.text(table.concat(hosts, ","), port), why), code
  end

  --- All that there are.
  function methods:associations()
    if not check(self, "associations") then return is_closed() end
    sockets.drain(self, true)
    local list <const> = {}
    for _, association in pairs(self.byid) do
      if association.state == "established" then list[#list + 1] = association end
    end
    table.sort(list, function(x, y) return x.id < y.id end)
    return list
  end

  --- The association of this number, as what was received tells it.
  function methods:association(id)
    if not check(self, "association") then return is_closed() end
    if math.type(id) ~= "integer" then bad(1, ("integer expected, got %s"):format(kind_of(id)), 2) end
    return self.byid[id]
  end

  function methods:_needs_pump() sockets.needs_pump(self) end

  --- Ours no more.
  function methods:_forget(association)
    self.byid[association.id] = nil
    for key, other in pairs(self.byaddress) do
      if other == association then self.byaddress[key] = nil end
    end
    association.state = "closed"
  end

  -- ---- messages ----

  local function told(self, data, association)
    self.sent, self.sentbytes = self.sent + 1, self.sentbytes + #data
    if self.tap then tell(self, "out", data, association.ip, association.port) end
  end

  -- True, or nil, message, code.
  local function send_one(self, name, data, association, info, level)
    if #data > LONGEST then
      return nil, ("%s: a message of %d bytes, room for %d"):format(name, #data, LONGEST), "EMSGSIZE"
    end
    self.stream:settimeout(self.timeout)
    local done <const>, why, code = args.blame(level + 1, self.stream.send, self.stream, data, info)
    if done then
      told(self, data, association)
      return true
    end
    if code == "ECLOSED" then return is_closed() end
    local to <const> = association.ip and " " .. args.text(association.ip, association.port) or ""
    return nil, ("%s%s: %s"):format(name, to, why:gsub("^send[^:]*: ", "")), code
  end

  -- What goes with every message that nothing is said of.
  local function info_of(self, association, given)
    local info <const> = { association = association.id }
    for name, value in pairs(given or self.options.default_send or {}) do
      if name ~= "ip" and name ~= "port" and name ~= "association" then info[name] = value end
    end
    return info
  end

  local function failed(name, ip, port, why, code)
    if code == "ECLOSED" then return is_closed() end
    return nil, ("%s %s: %s"):format(name, args.text(ip, port), why), code
  end

  -- host and port, checked.
  local function check_address(host, port, arg, level)
    return args.host(host, arg, level + 1), args.port(port, 1, arg + 1, level + 1)
  end

  -- The association for a host that may have to be looked up.
  local function to_host(self, name, host, port)
    local list <const>, why, code = resolve(self, host, port)
    if not list then return nil, why, code end
    local association, because
    association, because, code = to_address(self, list[1].ip, list[1].port)
    if association then return association end
    return failed(name, list[1].ip, list[1].port, because or "timed out", code or "ETIMEDOUT")
  end

  function methods:send(data)
    if not check(self, "send") then return is_closed() end
    check_data(data, 1, 2)
    error("a neap.sctp has many peers: use sendto, or an association's send", 2)
  end

  --- To this address; an association begins if there is none.
  function methods:sendto(data, host, port)
    if not check(self, "sendto") then return is_closed() end
    check_data(data, 1, 2)
    host, port = check_address(host, port, 2, 2)
    sends()
    if self.closed then return is_closed() end
    local association, why, code = to_host(self, "sendto", host, port)
    local ok
    if association then ok, why, code = send_one(self, "sendto", data, association, info_of(self, association), 2) end
    if ok then return self end
    return nil, why, code
  end

  local function check_info(info, level)
    if type(info) ~= "table" then bad(2, ("table expected, got %s"):format(kind_of(info)), level + 1) end
    for name in pairs(info) do
      if not is_field[name] then bad(2, ("a neap.sctp knows no field '%s'"):format(tostring(name)), level + 1) end
    end
    if info.association == nil then
      if type(info.ip) ~= "string" or not core.isip(info.ip) then bad(2, "'ip' must be an address", level + 1) end
      if math.type(info.port) ~= "integer" or info.port < 1 or info.port > 65535 then
        bad(2, "'port' must be an integer in [1, 65535]", level + 1)
      end
    elseif math.type(info.association) ~= "integer" then
      bad(2, "'association' must be an integer", level + 1)
    end
  end

  --- With what goes beside it; to info.association, or info.ip and info.port.
  function methods:sendmsg(data, info)
    if not check(self, "sendmsg") then return is_closed() end
    check_data(data, 1, 2)
    check_info(info, 2)
    sends()
    if self.closed then return is_closed() end
    local association, why, code
    if info.association then
      association = self.byid[info.association]
      if not association then return nil, "sendmsg: there is no such association", "ENOTCONN" end
    else
      association, why, code = to_host(self, "sendmsg", info.ip, info.port)
      if not association then return nil, why, code end
    end
    local ok
    ok, why, code = send_one(self, "sendmsg", data, association, info_of(self, association, info), 2)
    if ok then return self end
    return nil, why, code
  end

  -- One of the columns: a list, or the same for all.
  local function cell(column, i)
    if type(column) == "table" then return column[i] end
    return column
  end

  --- Many, each to its own address or all to one. How many were sent; or nil,
  -- message, code, how many.
  function methods:sendmany(datas, hosts, ports)
    if not check(self, "sendmany") then return is_closed() end
    if type(datas) ~= "table" then bad(1, ("table expected, got %s"):format(kind_of(datas)), 2) end
    for i = 1, #datas do
      check_data(datas[i], 1, 2)
      check_address(cell(hosts, i), cell(ports, i), 2, 2)
    end
    sends()
    for i, data in ipairs(datas) do
      if self.closed then return nil, "closed", "ECLOSED", i - 1 end
      local association, why, code = to_host(self, "sendmany", cell(hosts, i), cell(ports, i))
      local ok
      if association then
        ok, why, code = send_one(self, "sendmany", data, association, info_of(self, association), 2)
      end
      if not ok then return nil, why, code, i - 1 end
      if i % 64 == 0 then sends() end
    end
    return #datas
  end
end
