-- The servers and clients of luv for the benchmark: callbacks.
-- SPDX-License-Identifier: MIT

local uv = require "luv"

local bench = ...
local roles = {}

function bench.now() return uv.hrtime() / 1e9 end

-- Writes at once what the socket takes, and queues the rest.
local function write(conn, data)
  local n = conn:try_write(data) or 0
  if n < #data then conn:write(n == 0 and data or data:sub(n + 1)) end
end

local function serve(on_data)
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  server:nodelay(true)
  assert(server:listen(4096, function()
    local conn = uv.new_tcp()
    server:accept(conn)
    conn:read_start(function(_, data)
      if not data then return conn:close() end
      on_data(conn, data)
    end)
  end))
  bench.announce(server:getsockname().port)
  uv.run()
end

local function connect(port, on_connect, on_data)
  local conn = uv.new_tcp()
  conn:connect("127.0.0.1", port, function(err)
    assert(not err, err)
    conn:nodelay(true)
    on_connect(conn)
    conn:read_start(function(_, data)
      if not data then return conn:close() end
      on_data(conn, data)
    end)
  end)
  uv.run()
end

local function nothing() end

function roles.echo()
  serve(write)
end

function roles.sink()
  serve(nothing)
end

function roles.exchange()
  serve(function(conn, data)
    write(conn, data)
    conn:close()
  end)
end

function roles.pingpong(size, port)
  local message, got = ("x"):rep(size), 0
  connect(port, function(conn)
    write(conn, message)
  end, function(conn, data)
    got = got + #data
    if got == size then
      got = 0
      write(conn, message)
    end
  end)
end

-- luv has no HTTP: each chunk counts as a request, and nothing is parsed.
function roles.http()
  local answer = table.concat({
    "HTTP/1.1 200 OK", "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Content-Type: text/plain",
    "Content-Length: 13", "", "hello, world\n",
  }, "\r\n")
  serve(function(conn) write(conn, answer) end)
end

local function bound(options)
  local sock = uv.new_udp(options)
  assert(sock:bind("127.0.0.1", 0))
  return sock, sock:getsockname().port
end

function roles.udp_echo()
  local ports = {}
  for i = 1, bench.count do
    local sock, port = bound()
    ports[i] = port
    sock:recv_start(function(_, data, from)
      if data then sock:try_send(data, from.ip, from.port) end
    end)
  end
  bench.announce(ports)
  uv.run()
end

-- With recvmmsg(2), as luv can be told to.
function roles.udp_receive()
  local sock, port = bound { mmsgs = 64 }
  local received = 0
  sock:recv_start(function(_, data)
    if data then received = received + 1 end
  end)
  bench.announce(port)
  bench.measure(bench.seconds, function(n)
    local before = received
    while received < before + n do uv.run "once" end
    return received - before
  end)
end

function roles.udp_send(size, port)
  local sock, data = bound(), ("x"):rep(size)
  bench.measure(bench.seconds, function(n)
    for _ = 1, n do assert(sock:try_send(data, "127.0.0.1", port)) end
  end)
end

roles.udp_apart, roles.udp_segments = roles.udp_receive, roles.udp_send

-- luv has no line reader; this one joins and splits chunks.
function roles.lines(_, port)
  local rest = ""
  local find, sub = string.find, string.sub
  local line
  connect(port, nothing, function(_, data)
    data = rest .. data
    local at = 1
    while true do
      local stop = find(data, "\n", at, true)
      if not stop then break end
      line = sub(data, at, stop - 1)
      at = stop + 1
    end
    rest = sub(data, at)
  end)
  return line
end

return roles
