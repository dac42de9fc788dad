-- The clients of LuaSocket for the benchmark: blocking, one connection.
-- SPDX-License-Identifier: MIT

local socket = require "socket"

local roles = {}

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

return roles
