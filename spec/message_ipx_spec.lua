--- Message sockets: the contract over IPX, on each of its carriers.
local contract <const> = require "support.message_contract"
local helper <const> = require "support.helper"
local pairs_of <const> = require "support.ipx_lab"
local netns <const> = require "support.netns"
local ipx <const> = require "neap.ipx"

local LONGEST <const> = 65507 -- a datagram of UDP
local HEADER <const> = 30

local function with(options, carrier)
  local all = { carrier = carrier }
  for name, value in pairs(options or {}) do all[name] = value end
  return all
end

local function name_of(s) return s:getsockname() end

local function info_of(s)
  local network, node, socket = s:getsockname()
  return { network = network, node = node, socket = socket }
end

local function sockets_on(carriers)
  return function(options)
    local left, right = carriers()
    return assert(ipx.open(with(options, left))), assert(ipx.open(with(options, right)))
  end
end

local function connected(make_pair)
  return function(options)
    local a, b = make_pair(options)
    assert(a:connect(b:getsockname()))
    assert(b:connect(a:getsockname()))
    return a, b
  end
end

-- ---- over UDP ----

local udp_pair <const> = sockets_on(function() return pairs_of.udp_pair { mtu = LONGEST } end)

local function open_udp()
  local carrier, why, code = ipx.udp { bind = "127.0.0.1", port = 0 }
  if not carrier then return nil, why, code end
  return ipx.open { carrier = carrier }
end

contract(_ENV, "IPX over UDP", udp_pair, {
  name = "neap.ipx", max = LONGEST - HEADER, over = LONGEST - HEADER + 1, lossy = true, wrapped = true,
  to = name_of, from = name_of, info = info_of, open = open_udp,
  chunk = [[
    local ipx = require "neap.ipx"
    to = function(s) return s:getsockname() end
    local a = assert(ipx.open { carrier = "server:127.0.0.1:0" })
    local _, port = a:getcarrier():getsockname()
    return a, assert(ipx.open { carrier = "ipxnet:127.0.0.1:" .. port })
  ]],
})

if helper.slow == 1 then
  contract(_ENV, "connected IPX over UDP", connected(udp_pair), {
    name = "neap.ipx", max = LONGEST - HEADER, over = LONGEST - HEADER + 1, lossy = true, wrapped = true,
    from = name_of, open = open_udp,
  })
end

-- ---- as DOSBoxes do: one that serves, and one that is registered ----

local function dosboxes(options)
  local function open(carrier)
    local o <const> = with(options, carrier)
    o.mtu = LONGEST
    return assert(ipx.open(o))
  end
  local a <const> = open "server:127.0.0.1:0"
  local _, port = a:getcarrier():getsockname()
  return a, open("ipxnet:127.0.0.1:" .. port)
end

local function reversed(options)
  local a, b = dosboxes(options)
  return b, a
end

local function open_server() return ipx.open { carrier = "server:127.0.0.1:0" } end

contract(_ENV, "IPX from a server of DOSBoxes", dosboxes, {
  name = "neap.ipx", max = LONGEST - HEADER, over = LONGEST - HEADER + 1, lossy = true, wrapped = true,
  to = name_of, from = name_of, info = info_of, open = open_server,
})

if helper.slow == 1 then
  contract(_ENV, "IPX to a server of DOSBoxes", reversed, {
    name = "neap.ipx", max = LONGEST - HEADER, over = LONGEST - HEADER + 1, lossy = true, wrapped = true,
    to = name_of, from = name_of, info = info_of, open = open_server,
  })
end

-- ---- over Ethernet ----

if netns.usable() ~= true then -- said once, not of each test
  it("the contract of IPX over Ethernet", netns.need)
  return
end

-- A namespace with both ends of a wire, which all of these tests share.
local lab, space

local function within(body)
  if not lab then
    lab = netns.lab():keep()
    space = lab:space()
    lab:link({ space, "left" }, { space, "right" })
    space:run "ip link set left mtu 65535; ip link set right mtu 65535"
  end
  space:inside(body)
end

teardown(function() if lab then lab:remove() end end)

-- Carriers of one interface do not know of each other's numbers.
local number = 0x4000

contract(_ENV, "IPX over Ethernet", function(options)
  local function open(interface)
    local o <const> = with(options, "ethernet:" .. interface)
    number = number + 1
    o.mtu, o.socket = 65535, number
    return assert(ipx.open(o))
  end
  return open "left", open "right"
end, {
  name = "neap.ipx", max = 65535 - HEADER, over = 65535 - HEADER + 1, lossy = true, wrapped = true, within = within,
  to = name_of, from = name_of, info = info_of,
  open = function() return ipx.open { carrier = "ethernet:left" } end,
})
