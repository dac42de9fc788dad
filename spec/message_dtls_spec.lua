--- Message sockets: the contract over DTLS.
local contract <const> = require "support.message_contract"
local helper <const> = require "support.helper"
local dtls <const> = require "neap.dtls"
local x509 <const> = require "neap.x509"

local key <const> = x509.key()
local cert <const> = x509.make { key = key, names = { "127.0.0.1", "::1" } }
local pem <const>, keypem <const> = cert:pem(), key:pem()

-- A datagram over loopback has room for the longest record.
local LONGEST <const>, MTU <const> = 16384, 16500

local client <const> = assert(dtls.context { ca = pem })
local server <const> = assert(dtls.context { cert = pem, key = keypem })

local function with(options, more)
  local all = {}
  for _, list in ipairs { options or {}, more } do
    for name, value in pairs(list) do all[name] = value end
  end
  return all
end

-- A client, and what its server has accepted.
local function pair(ip)
  return function(options)
    local listener <close> = assert(dtls.listen(ip, 0, with(options, { context = server, mtu = MTU })))
    local _, port = listener:getsockname()
    local a = assert(dtls.connect(ip == "*" and "::1" or ip, port,
      with(options, { context = client, mtu = MTU, timeout = 5 })))
    a:settimeout(options and options.timeout)
    return a, assert(listener:accept(5))
  end
end

-- The same, the other way round.
local function reversed(ip)
  return function(options)
    local a, b = pair(ip)(options)
    return b, a
  end
end

local function name_of(s) return s:getsockname() end

contract(_ENV, "DTLS, from a client", pair "127.0.0.1", {
  name = "neap.dtls", least = 1, max = LONGEST, over = LONGEST + 1, lossy = true, wrapped = true, from = name_of,
  open = function() return dtls.connect("127.0.0.1", 9, { context = client, timeout = 1 }) end,
  chunk = [[
    local dtls, x509 = require "neap.dtls", require "neap.x509"
    local key = x509.key()
    local pem = x509.make({ key = key, names = { "127.0.0.1" } }):pem()
    local listener <close> = assert(dtls.listen("127.0.0.1", 0, { cert = pem, key = key:pem() }))
    local a = assert(dtls.connect("127.0.0.1", select(2, listener:getsockname()), { ca = pem, timeout = 5 }))
    return a:settimeout(nil), assert(listener:accept(5))
  ]],
})

contract(_ENV, "DTLS, from a server", reversed "127.0.0.1", {
  name = "neap.dtls", least = 1, max = LONGEST, over = LONGEST + 1, lossy = true, wrapped = true, from = name_of,
  open = function() return dtls.listen("127.0.0.1", 0, { context = server }) end,
})

if helper.is_ipv6() and helper.slow == 1 then
  contract(_ENV, "DTLS over IPv6, to all addresses", pair "*", {
    name = "neap.dtls", least = 1, max = LONGEST, over = LONGEST + 1, lossy = true, wrapped = true, from = name_of,
    open = function() return dtls.listen("*", 0, { context = server }) end,
  })
end
