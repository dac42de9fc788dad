--- SPX between two places of this machine: carriers over loopback, connections
-- over them.
local ipx <const> = require "neap.ipx"
local neap <const> = require "neap"
local spx <const> = require "neap.spx"

local M = {}

local TRIES <const> = 20 -- a port that is free at one address may be taken at another

--- Two carriers in UDP, at 127.0.0.1 and 127.0.0.2.
function M.carriers(mtu)
  for _ = 1, TRIES do
    local a <const> = assert(ipx.udp { bind = "127.0.0.1", port = 0, peers = { "127.0.0.2" }, mtu = mtu })
    local _, port <const> = a:getsockname()
    local b <const> = ipx.udp { bind = "127.0.0.2", port = port, peers = { "127.0.0.1" }, mtu = mtu }
    if b then return a, b end
    a:close()
  end
  error "no port is free at both addresses"
end

--- A table of options with more of them.
function M.with(...)
  local all <const> = {}
  for i = 1, select("#", ...) do
    for name, value in pairs(select(i, ...) or {}) do all[name] = value end
  end
  return all
end

--- Two streams over two carriers: the one that has connected, and the one that
-- was accepted. It waits: outside of a task it drives the loop.
function M.over(ca, cb, options)
  local listener <close> = assert(spx.listen(M.with({ carrier = cb, socket = 0x5000 }, options)))
  local accepted <const> = neap.spawn(function() return listener:accept(30) end)
  local mine <const> = M.with({ carrier = ca }, options)
  mine.timeout = 30 -- to connect; the option is for what comes after that
  local a <const> = assert(spx.connect(0, select(2, cb:getaddress()), 0x5000, mine))
  a:settimeout(options and options.timeout)
  return a, assert(accepted:join())
end

--- Two streams over carriers of their own, which go when those have gone.
function M.pair(options, mtu)
  local ca <const>, cb <const> = M.carriers(mtu)
  return M.over(ca, cb, options)
end

return M
