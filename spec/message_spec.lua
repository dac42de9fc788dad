--- Message sockets: the contract over each kind of them.
local contract <const> = require "support.message_contract"
local helper <const> = require "support.helper"
local probe <const> = require "probe"
local udp <const> = require "neap.udp"
local unix <const> = require "neap.unix"

local function name_of(s) return s:getsockname() end

-- ---- UDP ----

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
  name = "neap.udp", flood = 100000, max = UDP, over = UDP_OVER, lossy = true, to = name_of, from = name_of,
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

if helper.is_ipv6() then
  contract(_ENV, "UDP over IPv6", udp_free "::1", {
    name = "neap.udp", max = 65527, over = 65528, lossy = true, to = name_of, from = name_of,
    open = function() return udp.open("::1", 0) end,
  })
end

-- ---- Unix ----

local LONGEST <const> = 200000 -- net.core.wmem_default bounds it
local TOO_LONG <const> = 4 * 1024 * 1024

local function nobody() return "" end

contract(_ENV, "a pair of Unix datagrams", unix.datagram.pair, {
  name = "neap.unix", max = LONGEST, over = TOO_LONG, from = nobody, flood = 100000,
  open = unix.datagram.pair,
  chunk = [[return assert(require "neap.unix".datagram.pair())]],
})

contract(_ENV, "Unix datagrams by path", function(options)
  return assert(unix.datagram.open(helper.tmpname(), options)), assert(unix.datagram.open(helper.tmpname(), options))
end, {
  name = "neap.unix", max = LONGEST, over = TOO_LONG, to = name_of, from = name_of, polls = true, flood = 1000,
  open = function() return unix.datagram.open() end,
})

contract(_ENV, "a pair of Unix packets", unix.seqpacket.pair, {
  name = "neap.seqpacket", max = LONGEST, over = TOO_LONG, ends = true,
  open = unix.seqpacket.pair,
  chunk = [[return assert(require "neap.unix".seqpacket.pair())]],
})

local names = 0

contract(_ENV, "a connection of Unix packets", function(options)
  names = names + 1
  local name = ("\0neap-spec-%d-packet-%d"):format(probe.getpid(), names)
  local listener <close> = assert(unix.seqpacket.listen(name, options))
  local a = assert(unix.seqpacket.connect(name, options))
  return a, assert(listener:accept(5))
end, {
  name = "neap.seqpacket", max = LONGEST, over = TOO_LONG, ends = true,
  open = unix.seqpacket.pair,
})
