--- Message sockets: the contract over raw IP and packets, in a network
-- namespace of our own.
local contract <const> = require "support.message_contract"
local netns <const> = require "support.netns"
local packet <const> = require "neap.packet"
local raw <const> = require "neap.raw"

local FOR_EXPERIMENTS <const> = 253 -- RFC 3692
local ETHERTYPE <const> = 0x88b5 -- IEEE 802, for local experiments

if netns.usable() ~= true then -- said once, not of each test
  it("the contract over raw IP and packets", netns.need)
  return
end

-- A namespace with both ends of a wire, which all of these tests share.
local lab, space
local macs <const> = {}

local function within(body)
  if not lab then
    lab = netns.lab():keep()
    space = lab:space()
    lab:link({ space, "left", "fd77::1/64" }, { space, "right", "fd77::2/64" })
    space:run "ip link set left mtu 65535; ip link set right mtu 65535"
    for _, name in ipairs { "left", "right" } do macs[name] = space:mac(name) end
  end
  space:inside(body)
end

teardown(function() if lab then lab:remove() end end)

-- ---- raw IPv6: what comes has no header ----

local function name_of(s) return s:getsockname() end

contract(_ENV, "raw IPv6", function(options)
  local function open(ip)
    local o = { family = "inet6", bind = ip }
    for name, value in pairs(options or {}) do o[name] = value end
    return assert(raw.open(FOR_EXPERIMENTS, o))
  end
  return open "fd77::1", open "fd77::2"
end, {
  name = "neap.raw", shared = true, max = 65000, over = 70000, lossy = true, within = within,
  to = name_of, from = name_of,
  info = function(s) return { ip = s:getsockname() } end,
  open = function() return raw.open(FOR_EXPERIMENTS, { family = "inet6" }) end,
})

-- ---- packets over the wire, without its header ----

local OTHER <const> = { left = "right", right = "left" }

-- Of a socket: where its packets arrive, and by which a packet for it leaves;
-- and its hardware address.
local function other_side(s)
  local interface = s:getsockname()
  return OTHER[interface], macs[interface], ETHERTYPE
end

contract(_ENV, "cooked packets", function(options)
  local function open(interface)
    local o = { cooked = true, protocol = ETHERTYPE }
    for name, value in pairs(options or {}) do o[name] = value end
    return assert(packet.open(interface, o))
  end
  return open "left", open "right"
end, {
  name = "neap.packet", shared = true, least = 1, max = 65535, over = 65536, lossy = true, within = within,
  to = other_side, from = other_side,
  info = function(s)
    local interface, mac, protocol = other_side(s)
    return { interface = interface, mac = mac, protocol = protocol }
  end,
  open = function() return packet.open("left", { cooked = true, protocol = ETHERTYPE }) end,
})
