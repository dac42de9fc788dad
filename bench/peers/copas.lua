-- The servers and clients of Copas for the benchmark.
-- SPDX-License-Identifier: MIT

local copas = require "copas"
local socket = require "socket"

local bench = ...
local roles = {}

bench.now = socket.gettime

local function serve(handler)
  local server = assert(socket.bind("127.0.0.1", 0, 1000))
  server:setoption("tcp-nodelay", true)
  copas.addserver(server, function(conn)
    handler(conn)
    conn:close()
  end)
  bench.announce(select(2, server:getsockname()))
  copas.loop()
end

local function connect(port, body)
  copas.addthread(function()
    local conn = socket.tcp()
    assert(copas.connect(conn, "127.0.0.1", port))
    conn:setoption("tcp-nodelay", true)
    body(conn)
    conn:close()
  end)
  copas.loop()
end

-- At least one byte; what came before a timeout is in the third result.
local function receive(conn, size)
  local data, _, part = copas.receivePartial(conn, size)
  if data then return data end
  if part and part ~= "" then return part end
end

local function echo(conn, size)
  while true do
    local data = receive(conn, size)
    if not data or not copas.send(conn, data) then return end
  end
end

local function sink(conn, size)
  while receive(conn, size) do end
end

function roles.echo(size)
  serve(function(conn) echo(conn, size) end)
end

function roles.sink(size)
  serve(function(conn) sink(conn, size) end)
end

function roles.exchange(size)
  serve(function(conn)
    local data = receive(conn, size)
    if data then copas.send(conn, data) end
  end)
end

function roles.pingpong(size, port)
  local message = ("x"):rep(size)
  connect(port, function(conn)
    while copas.send(conn, message) and copas.receive(conn, size) do end
  end)
end

function roles.lines(_, port)
  connect(port, function(conn)
    while copas.receive(conn, "*l") do end
  end)
end

-- Debian's Copas knows no TLS: this stands for LuaSec's connection, and says
-- what Copas waits after.
local function waiting(result, why, ...)
  if why == "wantread" or why == "wantwrite" then why = "timeout" end
  return result, why, ...
end

local secured = {}
secured.__index = secured

function secured:receive(...) return waiting(self.conn:receive(...)) end

function secured:send(...) return waiting(self.conn:send(...)) end

function secured:getfd() return self.conn:getfd() end

function secured:dirty() return self.conn:dirty() end

function secured:close() return self.conn:close() end

-- Copas waits until it has been received.
local handshake = setmetatable({}, { __index = secured })
handshake.__index = handshake

function handshake:receive() return waiting(self.conn:dohandshake()) end

local function serve_tls(size, handler)
  local ssl = require "ssl"
  local context = assert(ssl.newcontext {
    mode = "server", protocol = "any", certificate = bench.certificate, key = bench.key,
  })
  copas.autoclose = false
  serve(function(plain)
    local conn = ssl.wrap(plain, context)
    conn:settimeout(0)
    if copas.receive(setmetatable({ conn = conn }, handshake)) then
      handler(setmetatable({ conn = conn }, secured), size)
    end
    conn:close()
  end)
end

function roles.tls_echo(size) serve_tls(size, echo) end

function roles.tls_sink(size) serve_tls(size, sink) end

function roles.tls_source(size)
  local block = ("x"):rep(size)
  serve_tls(size, function(conn)
    while copas.send(conn, block) do end
  end)
end

function roles.tls_accept(size)
  serve_tls(size, function() end)
end

local function bound()
  local sock = socket.udp()
  sock:settimeout(0)
  assert(sock:setsockname("127.0.0.1", 0))
  return sock, select(2, sock:getsockname())
end

function roles.udp_echo(size)
  local ports = {}
  for i = 1, bench.count do
    local sock, port = bound()
    ports[i] = port
    copas.addthread(function()
      while true do
        local data, ip, from = copas.receivefrom(sock, size)
        if data then copas.sendto(sock, data, ip, from) end
      end
    end)
  end
  bench.announce(ports)
  copas.loop()
end

function roles.udp_receive(size)
  local sock, port = bound()
  bench.announce(port)
  copas.addthread(function()
    bench.measure(bench.seconds, function(n)
      for _ = 1, n do assert(copas.receivefrom(sock, size)) end
    end)
  end)
  copas.loop()
end

function roles.udp_send(size, port)
  local sock, data = bound(), ("x"):rep(size)
  copas.addthread(function()
    bench.measure(bench.seconds, function(n)
      for _ = 1, n do assert(copas.sendto(sock, data, "127.0.0.1", port)) end
    end)
  end)
  copas.loop()
end

roles.udp_apart, roles.udp_segments = roles.udp_receive, roles.udp_send

return roles
