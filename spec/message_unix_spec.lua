--- Message sockets: the contract over the Unix kinds.
local contract <const> = require "support.message_contract"
local helper <const> = require "support.helper"
local probe <const> = require "probe"
local unix <const> = require "neap.unix"

local function name_of(s) return s:getsockname() end

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
  name = "neap.unix", max = LONGEST, over = TOO_LONG, polls = true, flood = 1000,
  to = name_of, from = name_of, info = function(s) return { path = s:getsockname() } end,
  open = function() return unix.datagram.open() end,
})

contract(_ENV, "a pair of Unix packets", unix.seqpacket.pair, {
  name = "neap.seqpacket", max = LONGEST, over = TOO_LONG, ends = true,
  open = unix.seqpacket.pair,
  chunk = [[return assert(require "neap.unix".seqpacket.pair())]],
})

-- Those are the same once they are connected: not where all takes long.
local names = 0

if helper.slow == 1 then
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
end
