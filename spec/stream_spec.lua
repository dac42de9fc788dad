--- Streams: the contract over every kind, and descriptors that are adopted.
local contract <const> = require "support.stream_contract"
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"
local probe <const> = require "probe"

local in_task <const> = helper.in_task

-- Both ends of a connection to a listener that is closed then.
local function connected(listener, connect, options)
  local server <close> = assert(listener)
  local a = assert(connect(server))
  return a, assert(server:accept(5))
end

local function over_tcp(ip)
  return function(options)
    return connected(tcp.listen(ip, 0, options), function(server)
      local host, port = server:getsockname()
      return tcp.connect(host, port, options)
    end)
  end
end

local function over_unix(name)
  return function(options)
    local path = name()
    return connected(unix.listen(path, options), function() return unix.connect(path, options) end)
  end
end

local names = 0
local function abstract()
  names = names + 1
  return ("\0neap-spec-%d-%d"):format(math.random(0), names)
end

local function pipe(options)
  local read, write = probe.pipe()
  return assert(neap.stream(write, options)), assert(neap.stream(read, options))
end

contract(_ENV, "a Unix pair", function(options) return assert(unix.pair(options)) end)
contract(_ENV, "a TCP connection", over_tcp "127.0.0.1")
if helper.is_ipv6() then contract(_ENV, "a TCP connection over IPv6", over_tcp "::1") end
contract(_ENV, "a Unix connection by path", over_unix(helper.tmpname))
contract(_ENV, "a Unix connection by abstract name", over_unix(abstract))
contract(_ENV, "an adopted pipe", pipe, { oneway = true, plain = true })
contract(_ENV, "an adopted socket", function(options)
  local a, b = assert(unix.pair())
  local first, second = a:detach(), b:detach()
  return assert(neap.stream(first, options)), assert(neap.stream(second, options))
end)
