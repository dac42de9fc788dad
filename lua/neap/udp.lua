--- UDP, and UDP-Lite: datagrams to and from anybody, or one peer.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local message <const> = require "neap.message"

---@class neap.udp
local M = {}

local SOCK_DGRAM <const> = 2
local IPPROTO_UDP <const>, IPPROTO_UDPLITE <const> = 17, 136

local options <const> = args.with(message.ip_options, {
  v6only = "boolean", gro = "boolean", lite = "lite", fd = "fd",
})

local open_options <const> = args.without(options, "bind")
local connect_options <const> = args.without(options, "fd")

local function coverage(sock, o)
  if math.type(o.lite) ~= "integer" then return true end
  local done, why, code = sock:setsockopt("UDPLITE_SEND_CSCOV", o.lite)
  if done then done, why, code = sock:setsockopt("UDPLITE_RECV_CSCOV", o.lite) end
  return done, why, code
end

-- What only UDP has. A kernel that cannot put datagrams together gives them
-- one by one.
local settings <const> = {
  coverage,
  function(sock, o)
    if o.gro ~= nil then sock:setsockopt("UDP_GRO", o.gro) end
    return true
  end,
  function(sock, o)
    if sock:family() ~= "inet6" then return true end
    return sock:setsockopt("IPV6_V6ONLY", o.v6only or false)
  end,
}

local function check(given, known, level)
  local o = args.check(given, known, 3, level + 1)
  message.check_ip(o, level + 1)
  return o
end

local function make(family, o, operation)
  local protocol <const> = o.lite and IPPROTO_UDPLITE or IPPROTO_UDP
  local sock, why, code = core.message("udp", family, SOCK_DGRAM, protocol, o)
  if not sock then return nil, ("%s: %s"):format(operation, why), code end
  return message.set_up(sock, o, operation, settings)
end

local function bind(sock, ip, port, operation)
  if not sock then return end
  local done, why, code = sock:bind(ip, port)
  if done then return sock end
  sock:close()
  return nil, ("%s: %s"):format(operation, why), code
end

--- A socket that is bound to a host's address (nil or "*": all of this
-- machine's, of both families) and port (nil or 0: any that is free).
function M.open(host, port, given)
  local o = check(given, open_options, 2)
  if o.fd then return message.adopt("udp", o, "udp.open") end
  port = args.port(port or 0, 0, 2, 2)
  local all <const> = host == nil or host == "*"
  if not all then host = args.host(host, 1, 2) end
  local list, why, code = core.resolve(all and "0.0.0.0" or host, port, {
    family = not all and o.family or "any", timeout = o.timeout,
  })
  if not list then return nil, why, code end
  local family, ip = list[1].family, list[1].ip
  if all and o.family ~= "inet" then family, ip = "inet6", "::" end
  local name <const> = "udp.open " .. args.text(all and "*" or host, port)
  local sock
  sock, why, code = make(family, o, name)
  if not sock and all and code == "EAFNOSUPPORT" and o.family ~= "inet6" then
    family, ip = "inet", "0.0.0.0"
    sock, why, code = make(family, o, name)
  end
  if not sock then return nil, why, code end
  return bind(sock, ip, list[1].port, name)
end

--- A socket that sends to one peer and receives from no other. Nothing goes
-- over the network yet: the first of the host's addresses for which there is
-- a route is taken.
function M.connect(host, port, given)
  host = args.host(host, 1, 2)
  port = args.port(port, 1, 2, 2)
  local o = check(given, connect_options, 2)
  local list, why, code = core.resolve(host, port, { family = o.family or "any", timeout = o.timeout })
  if not list then return nil, why, code end
  local name <const> = "udp.connect " .. args.text(host, port)
  for _, to in ipairs(list) do
    local sock
    sock, why, code = make(to.family, o, name)
    if sock and o.bindip then sock, why, code = bind(sock, o.bindip, o.bindport, name) end
    if sock then
      local done
      done, why, code = sock:connect(to.ip, to.port)
      if done then return sock end
      sock:close()
      why = ("%s: %s"):format(name, why)
    end
  end
  return nil, why, code
end

return M
