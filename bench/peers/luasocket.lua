-- The clients of LuaSocket for the benchmark: blocking, one connection.
-- SPDX-License-Identifier: MIT

local socket = require "socket"

local bench = ...
local roles = {}

bench.now = socket.gettime

local function connect(port)
  local conn = assert(socket.connect("127.0.0.1", port))
  conn:setoption("tcp-nodelay", true)
  return conn
end

function roles.pingpong(size, port)
  local conn, message = connect(port), ("x"):rep(size)
  while conn:send(message) and conn:receive(size) do end
end

function roles.lines(_, port)
  local conn = connect(port)
  while conn:receive("*l") do end
end

local function bound()
  local sock = socket.udp()
  assert(sock:setsockname("127.0.0.1", 0))
  return sock, select(2, sock:getsockname())
end

function roles.udp_receive(size)
  local sock, port = bound()
  bench.announce(port)
  bench.measure(bench.seconds, function(n)
    for _ = 1, n do assert(sock:receivefrom(size)) end
  end)
end

function roles.udp_send(size, port)
  local sock, data = bound(), ("x"):rep(size)
  bench.measure(bench.seconds, function(n)
    for _ = 1, n do assert(sock:sendto(data, "127.0.0.1", port)) end
  end)
end

roles.udp_apart, roles.udp_segments = roles.udp_receive, roles.udp_send

return roles
