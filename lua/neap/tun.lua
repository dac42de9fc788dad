--- Tunnels: interfaces whose other end is this program. What the system sends
-- by one is received from it, and what is sent to it arrives at the system.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local message <const> = require "neap.message"

---@class neap.tun
local M = {}

local settings <const> = { mtu = "count", up = "boolean", address = "fd", peer = "string" }

local options <const> = args.with(settings, {
  mode = "string", multiqueue = "boolean", exclusive = "boolean", persist = "boolean", owner = "natural",
  timeout = "seconds", maxmessage = "size", fd = "fd",
})

-- ---- what is asked for ----

-- "10.0.0.1/24" -> ip, 24; "10.0.0.1" -> ip.
local function parse(text, name, level)
  local ip, prefix = text, nil
  if type(text) == "string" and text:find("/", 1, true) then ip, prefix = text:match "^([^/]+)/(%d%d?%d?)$" end
  prefix = prefix and math.tointeger(tonumber(prefix))
  local good = type(ip) == "string" and core.isip(ip)
  if not good or (prefix or 0) > (ip:find(":", 1, true) and 128 or 32) then
    error(("option '%s' must be \"ip/prefix\", as \"10.0.0.1/24\""):format(name), level + 1)
  end
  return ip, prefix
end

local function is_six(ip) return ip:find(":", 1, true) ~= nil end

-- The list of { ip, prefix, peer } that the options ask for.
local function addresses(o, level)
  local texts = o.address
  if type(texts) ~= "table" then texts = { texts } end
  local list, peer, wide = {}, nil, nil
  if o.peer then
    if #texts ~= 1 then error("option 'peer' goes with one 'address'", level + 1) end
    peer, wide = parse(o.peer, "peer", level + 1)
  end
  for i, text in ipairs(texts) do
    local ip, prefix = parse(text, "address", level + 1)
    if peer and is_six(peer) ~= is_six(ip) then
      error("options 'address' and 'peer' must be of one family", level + 1)
    end
    if prefix and wide and prefix ~= wide then
      error("options 'address' and 'peer' have different prefixes", level + 1)
    end
    list[i] = { ip = ip, prefix = prefix or wide or (is_six(ip) and 128 or 32), peer = peer }
  end
  return list
end

-- ---- the interface ----

local function set(interface, o, list)
  local done, why, code = true, nil, nil
  if o.up == false then done, why, code = core.iface_setup(interface, false) end
  if done and o.mtu then done, why, code = core.iface_setmtu(interface, o.mtu) end
  for _, a in ipairs(list) do
    if done then done, why, code = core.iface_addaddr(interface, a.ip, a.prefix, a.peer) end
    if code == "EEXIST" then done, code = true, nil end
  end
  if done and o.up then done, why, code = core.iface_setup(interface, true) end
  return done, why, code
end

--- Sets up an interface of any kind: its MTU, addresses that it gets besides
-- those it has, and whether it is up.
function M.configure(interface, given)
  args.argument(interface, "interface", 1, 2)
  local o = args.check(given, settings, 2, 2)
  local done, why, code = set(interface, o, addresses(o, 2))
  if done then return true end
  return nil, message.explain(("tun.configure %s: %s"):format(interface, why), code, "CAP_NET_ADMIN")
end

local function check_name(name, level)
  if name == nil then return end
  if type(name) ~= "string" then
    error(("bad argument #1 (the name of an interface expected, got %s)"):format(type(name)), level + 1)
  end
  if name == "" or #name > 15 or name:find("\0", 1, true) then
    error("bad argument #1 (this cannot be the name of an interface)", level + 1)
  end
end

local function make(name, o)
  if o.fd then
    local made, why, code = args.blame(3, core.tun_fd, o.fd, o)
    return made, why, code -- no tail call: this frame counts
  end
  return core.tun(name, o.mode == "tap", o.multiqueue, o.exclusive, o)
end

-- What must be said of the device once it is there; what persists last, so
-- that nothing stays if something fails.
local function finish(device, name, o, list)
  local done, why, code = set(name, o, list)
  if done and o.owner then done, why, code = core.tun_owner(device, o.owner) end
  if done and o.persist ~= nil then done, why, code = core.tun_persist(device, o.persist) end
  return done, why, code
end

--- Makes an interface, or takes one that persists and that nobody has open.
-- Returns a message socket, and the interface's name. The interface goes when
-- the socket is closed, unless it persists.
function M.open(name, given)
  check_name(name, 2)
  local o = args.check(given, options, 2, 2)
  if o.mode and o.mode ~= "tun" and o.mode ~= "tap" then error("option 'mode' must be \"tun\" or \"tap\"", 2) end
  local list <const> = addresses(o, 2)
  if o.up == nil and not o.fd then o.up = true end
  local operation <const> = name and "tun.open " .. name or "tun.open"
  local device, taken, code = make(name, o)
  if not device then return nil, message.explain(("%s: %s"):format(operation, taken), code, "CAP_NET_ADMIN") end
  local done, why
  done, why, code = finish(device, taken, o, list)
  if done then return device, taken end
  device:close()
  return nil, message.explain(("%s: %s"):format(operation, why), code, "CAP_NET_ADMIN")
end

--- Removes an interface that persists and that nobody has open.
function M.remove(name)
  if name == nil then error("bad argument #1 (the name of an interface expected, got nil)", 2) end
  check_name(name, 2)
  local done, why, code = core.tun_remove(name)
  if done then return true end
  return nil, message.explain(("tun.remove %s: %s"):format(name, why), code, "CAP_NET_ADMIN")
end

return M
