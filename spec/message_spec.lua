--- Message sockets: the contract over UDP. (message_unix_spec.lua and
-- message_raw_spec.lua have the other kinds.)
local contract <const> = require "support.message_contract"
local helper <const> = require "support.helper"
local udp <const> = require "neap.udp"

local function name_of(s) return s:getsockname() end

local function info_of(s)
  local ip, port = s:getsockname()
  return { ip = ip, port = port }
end

local UDP <const>, UDP_OVER <const> = 65507, 65508

local function udp_free(ip)
  return function(options)
    return assert(udp.open(ip, 0, options)), assert(udp.open(ip, 0, options))
  end
end

local function udp_connected(ip)
  return function(options)
    local a, b = udp_free(ip)(options)
    assert(a:connect(b:getsockname()))
    assert(b:connect(a:getsockname()))
    return a, b
  end
end

contract(_ENV, "UDP", udp_free "127.0.0.1", {
  name = "neap.udp", flood = 100000, max = UDP, over = UDP_OVER, lossy = true,
  to = name_of, from = name_of, info = info_of,
  open = function() return udp.open("127.0.0.1", 0) end,
  chunk = [[
    local udp = require "neap.udp"
    to = function(s) return s:getsockname() end
    return assert(udp.open("127.0.0.1", 0)), assert(udp.open("127.0.0.1", 0))
  ]],
})

contract(_ENV, "connected UDP", udp_connected "127.0.0.1", {
  name = "neap.udp", max = UDP, over = UDP_OVER, lossy = true, from = name_of,
  open = function() return udp.connect("127.0.0.1", 9) end,
})

if helper.is_ipv6() and helper.slow == 1 then
  contract(_ENV, "UDP over IPv6", udp_free "::1", {
    name = "neap.udp", max = 65527, over = 65528, lossy = true, to = name_of, from = name_of, info = info_of,
    open = function() return udp.open("::1", 0) end,
  })
end
