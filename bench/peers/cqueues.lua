-- The servers and clients of cqueues for the benchmark.
-- SPDX-License-Identifier: MIT

local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local socket = require "cqueues.socket"

local bench = ...
local roles = {}

-- Above, Nagle and the buffers that cqueues begins with stand in the way.
local SMALL = 4096

local function run(body)
  local loop = cqueues.new()
  loop:wrap(body, loop)
  assert(loop:loop())
end

local function serve(size, handler, context)
  run(function(loop)
    local server = assert(socket.listen("127.0.0.1", 0))
    server:listen()
    bench.announce(select(3, server:localname()))
    for conn in server:clients { nodelay = size > SMALL or context ~= nil } do
      loop:wrap(function()
        conn:setmode("b", "bn")
        if size > SMALL then conn:setbufsiz(size, size) end
        if not context or conn:starttls(context) then handler(conn, size) end
        conn:close()
      end)
    end
  end)
end

local function connect(port)
  local conn = socket.connect { host = "127.0.0.1", port = port, nodelay = true }
  conn:setmode("b", "bn")
  assert(conn:connect())
  return conn
end

local function echo(conn, size)
  while true do
    local data = conn:read(-size)
    if not data or not conn:write(data) then return end
  end
end

local function sink(conn, size)
  while conn:read(-size) do end
end

function roles.echo(size) serve(size, echo) end

function roles.sink(size) serve(size, sink) end

function roles.exchange(size)
  serve(size, function(conn)
    local data = conn:read(-size)
    if data then conn:write(data) end
  end)
end

function roles.pingpong(size, port)
  run(function()
    local conn, message = connect(port), ("x"):rep(size)
    while conn:write(message) and conn:read(size) do end
  end)
end

function roles.lines(_, port)
  run(function()
    local conn = connect(port)
    while conn:read("*l") do end
  end)
end

local function contents(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- By luaossl, which knows no modes.
local function tls_context()
  local context = require("openssl.ssl.context").new("TLS", true)
  context:setCertificate(require("openssl.x509").new(contents(bench.certificate)))
  context:setPrivateKey(require("openssl.pkey").new(contents(bench.key)))
  return context
end

function roles.tls_echo(size) serve(size, echo, tls_context()) end

function roles.tls_sink(size) serve(size, sink, tls_context()) end

function roles.tls_source(size)
  local block = ("x"):rep(size)
  serve(size, function(conn)
    while conn:write(block) do end
  end, tls_context())
end

function roles.tls_accept(size)
  serve(size, function() end, tls_context())
end

local function nothing() end

-- These three take seconds in the place of the size.
function roles.spawn(seconds)
  local loop = cqueues.new()
  bench.measure(seconds, function(n)
    for _ = 1, n do
      loop:wrap(nothing)
      loop:loop()
    end
  end)
end

function roles.sleep(seconds)
  run(function()
    bench.measure(seconds, function(n)
      for _ = 1, n do cqueues.sleep(0) end
    end)
  end)
end

-- cqueues has no channel; this one holds a value and two conditions.
function roles.channel(seconds)
  local value
  local filled, emptied = condition.new(), condition.new()
  run(function(loop)
    bench.measure(seconds, function(n)
      loop:wrap(function()
        for i = 1, n do
          while value do emptied:wait() end
          value = i
          filled:signal()
        end
      end)
      for _ = 1, n do
        while not value do filled:wait() end
        value = nil
        emptied:signal()
      end
    end)
  end)
end

return roles
