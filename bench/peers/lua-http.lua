-- lua-http's server and client for the benchmark.
-- SPDX-License-Identifier: MIT

local cqueues = require "cqueues"
local client = require "http.client"
local headers = require "http.headers"

local bench = ...
local roles = {}

local BODY = "hello, world\n"

local function serve(handler)
  local server = assert(require "http.server".listen {
    host = "127.0.0.1", port = 0, tls = false,
    onstream = handler, onerror = function() end,
  })
  assert(server:listen())
  bench.announce(select(3, server:localname()))
  assert(server:loop())
end

function roles.http()
  serve(function(_, stream)
    assert(stream:get_headers())
    local answer = headers.new()
    answer:append(":status", "200")
    answer:append("content-type", "text/plain")
    answer:append("content-length", tostring(#BODY))
    assert(stream:write_headers(answer, false))
    assert(stream:write_chunk(BODY, true))
  end)
end

roles.http_pipelined = roles.http

function roles.websocket()
  local websocket = require "http.websocket"
  serve(function(_, stream)
    local ws = assert(websocket.new_from_stream(stream, assert(stream:get_headers())))
    assert(ws:accept())
    while true do
      local data, kind = ws:receive()
      if not data or not ws:send(data, kind) then return end
    end
  end)
end

-- Its request:go() takes a connection for each; this keeps one.
local function get_forever(port)
  local conn = assert(client.connect { host = "127.0.0.1", port = port })
  local asked = headers.new()
  asked:append(":method", "GET")
  asked:append(":scheme", "http")
  asked:append(":authority", "127.0.0.1:" .. port)
  asked:append(":path", "/")
  while true do
    local stream = assert(conn:new_stream())
    assert(stream:write_headers(asked, true))
    local got = assert(stream:get_headers())
    assert(got:get(":status") == "200" and stream:get_body_as_string() == BODY)
  end
end

local function run(count, port)
  local loop = cqueues.new()
  for _ = 1, count do loop:wrap(get_forever, port) end
  assert(loop:loop())
end

function roles.http_get(_, port) run(1, port) end

function roles.http_pool(_, port) run(bench.count, port) end

return roles
