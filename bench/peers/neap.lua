-- neap's servers and clients for the benchmark.
-- SPDX-License-Identifier: MIT

local neap = require "neap"
local tcp = require "neap.tcp"

local bench = ...
local roles = {}

bench.now = neap.now

local function serve(handler, listen)
  neap.run(function()
    local server <close> = assert((listen or tcp.listen)("127.0.0.1", 0))
    local _, port = server:getsockname()
    bench.announce(port)
    server:serve(handler)
  end)
end

local function echo(conn)
  while true do
    local data = conn:receive()
    if not data or not conn:write(data) then return end
  end
end

local function sink(conn)
  while conn:receive() do end
end

function roles.echo() serve(echo) end

function roles.sink() serve(sink) end

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

-- Modules of single rows are loaded there, so that the others do not pay.

local function listen_tls(host, port)
  return require "neap.tls".listen(host, port, { cert = bench.certificate, key = bench.key })
end

function roles.tls_echo() serve(echo, listen_tls) end

function roles.tls_sink() serve(sink, listen_tls) end

function roles.tls_source(size)
  local block = ("x"):rep(size)
  serve(function(conn)
    while conn:write(block) do end
  end, listen_tls)
end

function roles.tls_accept() serve(function() end, listen_tls) end

function roles.udp_echo()
  local udp = require "neap.udp"
  neap.run(function()
    local ports = {}
    for i = 1, bench.count do
      local sock = assert(udp.open("127.0.0.1", 0))
      ports[i] = select(2, sock:getsockname())
      neap.spawn(function()
        while true do
          local data, ip, port = sock:receive()
          if not data or not sock:sendto(data, ip, port) then return end
        end
      end)
    end
    bench.announce(ports)
  end)
end

local function receive_many(options)
  local udp = require "neap.udp"
  neap.run(function()
    local sock <close> = assert(udp.open("127.0.0.1", 0, options))
    local _, own = sock:getsockname()
    local datas, ips, ports = {}, {}, {}
    bench.announce(own)
    bench.measure(bench.seconds, function(n)
      local done = 0
      while done < n do
        assert(sock:receivemany(64, datas, ips, ports))
        done = done + #datas
      end
      return done
    end)
  end)
end

function roles.udp_receive() receive_many() end

function roles.udp_apart() receive_many { gro = false } end

function roles.udp_send(size, port)
  local udp = require "neap.udp"
  neap.run(function()
    local sock <close> = assert(udp.open("127.0.0.1", 0))
    local datas = {}
    for i = 1, 64 do datas[i] = ("x"):rep(size) end
    bench.measure(bench.seconds, function(n)
      local done = 0
      while done < n do
        done = done + assert(sock:sendmany(datas, "127.0.0.1", port))
      end
      return done
    end)
  end)
end

function roles.udp_segments(size, port)
  local udp = require "neap.udp"
  neap.run(function()
    local sock <close> = assert(udp.open("127.0.0.1", 0))
    local count = math.min(64, 65507 // size)
    local data = ("x"):rep(size * count)
    local info = { ip = "127.0.0.1", port = port, segment = size }
    bench.measure(bench.seconds, function(n)
      local done = 0
      while done < n do
        assert(sock:sendmsg(data, info))
        done = done + count
      end
      return done
    end)
  end)
end

function roles.capture()
  local packet = require "neap.packet"
  neap.run(function()
    local sock <close> = assert(packet.open("bench1", { ring = true }))
    local lengths, datas, interfaces, macs, protocols = {}, {}, {}, {}, {}
    bench.announce(0)
    bench.measure(bench.seconds, function(n)
      local done = 0
      while done < n do
        assert(sock:receivemany(256, datas, interfaces, macs, protocols))
        for i = 1, #datas do
          local length = #datas[i]
          lengths[length] = (lengths[length] or 0) + 1
        end
        done = done + #datas
      end
      return done
    end)
  end)
end

local function contents(name)
  local file <close> = assert(io.open(bench.here .. "peers/" .. name))
  return file:read("a")
end

-- Takes seconds in the place of the size.
function roles.decode(seconds)
  local wire = require "neap.wire"
  local bytes = contents("packet.hex"):gsub("%s", ""):gsub("%x%x", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  assert(wire.decode(bytes, "ethernet").tcp.dst_port == 80)
  bench.measure(seconds, function(n)
    for _ = 1, n do wire.decode(bytes, "ethernet") end
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

-- HTTP and WebSocket.

local function serve_http(handler, options)
  local http = require "neap.http"
  neap.run(function()
    local server <close> = assert(http.listen("127.0.0.1:0", options))
    local _, port = server:getsockname()
    bench.announce(port)
    assert(server:serve(handler))
  end)
end

local function hello() return "hello, world\n" end

function roles.http() serve_http(hello) end

roles.http_pipelined = roles.http

function roles.https()
  serve_http(hello, { tls = { cert = bench.certificate, key = bench.key } })
end

function roles.http_file()
  serve_http(assert(require "neap.http".files(bench.files)))
end

local function get_forever(client, port)
  local url = ("http://127.0.0.1:%d/"):format(port)
  while true do
    local response = assert(client:get(url))
    assert(response.status == 200 and response:text() == hello())
  end
end

local function get_side_by_side(count, port)
  local http = require "neap.http"
  neap.run(function()
    local client <close> = http.client { max_per_host = count }
    for _ = 2, count do neap.spawn(get_forever, client, port) end
    get_forever(client, port)
  end)
end

function roles.http_get(_, port) get_side_by_side(1, port) end

function roles.http_pool(_, port) get_side_by_side(bench.count, port) end

-- As the server does it, but for the socket.
function roles.http_parse(seconds)
  local parser = require "neap.http.message".request_parser()
  local head = contents("request.txt"):gsub("\n", "\r\n")
  assert(parser:feed(head).headers:get "sec-fetch-dest" == "document")
  bench.measure(seconds, function(n)
    for _ = 1, n do parser:feed(head) end
  end)
end

function roles.websocket()
  serve_http(require "neap.websocket".handler(function(ws)
    for data, kind in ws:messages() do ws:send(data, kind) end
  end))
end

-- SCTP and SPX. The other end of SCTP's is C's.

local function with_sctp(port, batch)
  local sctp = require "neap.sctp"
  neap.run(function()
    local conn <close> = assert(sctp.connect("127.0.0.1", 5001, { engine = "user", encap_port = port }))
    bench.measure(bench.seconds, function(n) batch(conn, n) end)
  end)
end

-- The last one is answered: so all have arrived.
function roles.sctp_source(size, port)
  local data = ("x"):rep(size)
  with_sctp(port, function(conn, n)
    for _ = 1, n do assert(conn:send(data)) end
    assert(conn:send("x", { stream = 1 }))
    assert(conn:receivemsg())
  end)
end

function roles.sctp_pingpong(size, port)
  local data, streams, infos = ("x"):rep(size), 8, {}
  for i = 0, streams - 1 do infos[i] = { stream = i } end
  with_sctp(port, function(conn, n)
    for i = 0, streams - 1 do assert(conn:send(data, infos[i])) end
    for _ = 1, n - streams do
      local back, info = assert(conn:receivemsg())
      assert(conn:send(back, infos[info.stream]))
    end
    for _ = 1, streams do assert(conn:receivemsg()) end
  end)
end

-- Says how much comes, in KiB, and sends it; that it is there is answered.
local function send_bulk(size, connect)
  local block = ("x"):rep(size)
  neap.run(function()
    local conn <close> = assert(connect())
    bench.measure(bench.seconds, function(n)
      local blocks = math.ceil(n * 1024 / size)
      assert(conn:write(blocks * size, "\n"))
      for _ = 1, blocks do assert(conn:write(block)) end
      assert(conn:read("l"))
      return blocks * size // 1024
    end)
  end)
end

local function take_bulk(conn)
  for line in conn:lines() do
    local left = tonumber(line)
    while left > 0 do left = left - #assert(conn:receive()) end
    conn:write("all of it\n")
  end
end

function roles.tcp_source(size, port)
  send_bulk(size, function() return tcp.connect("127.0.0.1", port) end)
end

function roles.tcp_sink() serve(take_bulk) end

-- Two nodes of IPX have the same port, so they need an address each.
local function carrier_of(ip, port)
  return assert(require "neap.ipx".udp { bind = ip, port = port, mtu = 1500 })
end

function roles.spx_source(size, port)
  local node = require "neap.ipx".node("127.0.0.1")
  send_bulk(size, function()
    return require "neap.spx".connect(0, node, 0x5000, { carrier = carrier_of("127.0.0.2", port) })
  end)
end

function roles.spx_sink()
  neap.run(function()
    local carrier = carrier_of("127.0.0.1", 0)
    local listener <close> = assert(require "neap.spx".listen { carrier = carrier, socket = 0x5000 })
    bench.announce((select(2, carrier:getsockname())))
    listener:serve(take_bulk)
  end)
end

return roles
