-- neap's servers and clients for the benchmark.
-- SPDX-License-Identifier: MIT

local neap = require "neap"
local tcp = require "neap.tcp"

local bench = ...
local roles = {}

local function serve(handler)
  neap.run(function()
    local server <close> = assert(tcp.listen("127.0.0.1", 0))
    local _, port = server:getsockname()
    bench.announce(port)
    server:serve(handler)
  end)
end

function roles.echo()
  serve(function(conn)
    while true do
      local data = conn:receive()
      if not data or not conn:write(data) then return end
    end
  end)
end

function roles.sink()
  serve(function(conn)
    while conn:receive() do end
  end)
end

function roles.exchange()
  serve(function(conn)
    local data = conn:receive()
    if data then conn:write(data) end
  end)
end

function roles.pingpong(size, port)
  neap.run(function()
    local conn <close> = assert(tcp.connect("127.0.0.1", port))
    local message = ("x"):rep(size)
    while conn:write(message) and conn:read(size) do end
  end)
end

function roles.lines(_, port)
  neap.run(function()
    local conn <close> = assert(tcp.connect("127.0.0.1", port))
    while conn:read("l") do end
  end)
end

local function nothing() end

-- These three take seconds in the place of the size.
function roles.spawn(seconds)
  neap.run(bench.measure, seconds, function(n)
    for _ = 1, n do neap.spawn(nothing):join() end
  end)
end

function roles.sleep(seconds)
  neap.run(bench.measure, seconds, function(n)
    for _ = 1, n do neap.sleep(0) end
  end)
end

function roles.channel(seconds)
  neap.run(bench.measure, seconds, function(n)
    local channel = neap.channel()
    neap.spawn(function()
      for i = 1, n do channel:send(i) end
    end)
    for _ = 1, n do channel:receive() end
  end)
end

return roles
