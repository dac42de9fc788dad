-- A tour of neap, as `make run` takes it: each stop is one thing that a network
-- program needs, done for real over loopback. Read it from the bottom up.
-- SPDX-License-Identifier: MIT
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local udp <const> = require "neap.udp"
local unix <const> = require "neap.unix"

local CLIENTS <const> = 200

local function say(...) print("  " .. string.format(...)) end

local function stop(title) print("\n" .. title) end

-- What runs when the scope that holds it ends, however it ends.
local function finally(fn) return setmetatable({}, { __close = fn }) end

-- ---- 1. a server, and two hundred clients ----

local function echo(conn)
  while true do
    local data = conn:receive()
    if not data then return end -- the end of the stream
    assert(conn:write(data))
  end
end

local function ask(host, port, question)
  local conn <close> = assert(tcp.connect(host, port, { timeout = 3 }))
  assert(conn:write(question, "\n"))
  return assert(conn:read("l"))
end

local function clients(port)
  stop(("1. %d clients, a task each, against a server with a task for each"):format(CLIENTS))
  local answered = { localhost = 0, ["127.0.0.1"] = 0 }
  local began <const> = neap.now()
  do
    local group <close> = neap.group() -- its end is where all of them have ended
    for i = 1, CLIENTS do
      local host = i % 2 == 0 and "localhost" or "127.0.0.1"
      group:spawn(function()
        local question = "question " .. i
        assert(ask(host, port, question) == question)
        answered[host] = answered[host] + 1
      end)
    end
  end
  say("%d by name and %d by address had their answer after %.0f ms",
    answered.localhost, answered["127.0.0.1"], (neap.now() - began) * 1000)
end

-- ---- 2. a deadline ----

local function deadline()
  stop "2. a deadline: the server says half of it, and then nothing"
  local near, far <close> = assert(tcp.pair())
  assert(far:write("half a li"))
  local line, why, code = neap.timeout(0.2, near.read, near, "l")
  say("read, given 0.2 s: %s, %q, %s", line, why, code)
  assert(code == "ETIMEDOUT")
  assert(far:write("ne\n"))
  say("nothing was lost; read again: %q", assert(near:read("l")))
  near:close()
end

-- ---- 3. cancellation ----

local function polite(name, said)
  local conn, peer = assert(unix.pair())
  local cleanup <close> = finally(function()
    assert(conn:write(name, " says goodbye\n")) -- a handler may use the network
    said[#said + 1] = assert(peer:read("l"))
    conn:close()
    peer:close()
  end)
  conn:read("l") -- for ever
end

local function cancellation()
  stop "3. a group that is cancelled: its members clean up before it ends"
  local said = {}
  do
    local group <close> = neap.group()
    for _, name in ipairs { "the first", "the second", "the third" } do
      group:spawn({ name = name }, polite, name, said)
    end
    neap.sleep(0.05)
    for _, task in ipairs(neap.tasks()) do
      if task.name and task.name:find "^the " then
        say("%s waits for: %s", task.name, task.waits_for)
      end
    end
    group:cancel()
  end
  say("%s", table.concat(said, ", "))
  assert(#said == 3)
end

-- ---- 4. a descriptor for another process ----

-- What the other process runs: it is given a connection that it never made.
local function child(path)
  local parent <close> = assert(unix.connect(path))
  local fd = assert(parent:receivefd())
  local conn <close> = neap.stream(fd)
  assert(conn:write("hello from the other process\n"))
  assert(parent:write(assert(conn:read("L"))))
end

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- Which Lua runs this: `make` says it, else it is before the script's name.
local function interpreter()
  local i = 0
  if os.getenv "LUA" then return os.getenv "LUA" end
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

local function passing(port)
  stop "4. a connection that is handed to another process"
  local path <const> = os.tmpname()
  os.remove(path)
  local listener <close> = assert(unix.listen(path, { mode = tonumber("600", 8) }))
  local command = table.concat({ quote(interpreter()), quote(arg[0]), "child", quote(path) }, " ")
  local held <close> = assert(io.popen(command, "r"))
  local peer <close> = assert(listener:accept(3))
  say("process %d asked for it", peer:getpeercred().pid)
  do
    local conn <close> = assert(tcp.connect("127.0.0.1", port))
    assert(peer:sendfd(conn)) -- ours is closed here, the child's lives on
  end
  say("through it came: %q", assert(peer:read("l")))
end

-- ---- 5. datagrams ----

local function datagrams()
  stop "5. UDP: a datagram, and what is known of it"
  local server <close> = assert(udp.open("*", 0, { timestamps = true, timeout = 3 }))
  local _, port = server:getsockname()
  local client <close> = assert(udp.connect("127.0.0.1", port, { timeout = 3 }))
  assert(client:sendmsg("high water at six", { ttl = 3, ecn = 1 }))
  local data, info = server:receivemsg()
  say("%q came from port %d to %s, by %s, with ttl %d and ecn %d", data, info.port, info.local_ip, info.interface,
    info.ttl, info.ecn)
  assert(server:sendmsg("thank you", { ip = info.ip, port = info.port, local_ip = info.local_ip }))
  say("the answer: %q", (assert(client:receive())))

  local datas = {}
  for i = 1, 100 do datas[i] = "datagram " .. i end
  assert(client:sendmany(datas) == #datas)
  local received, calls = 0, 0
  while received < #datas do
    received, calls = received + #assert(server:receivemany()), calls + 1
  end
  say("%d more in %d calls", received, calls)
end

local function multicast()
  stop "6. multicast: one sends, two receive"
  local first <close> = assert(udp.open("0.0.0.0", 0, { reuseaddr = true, timeout = 3 }))
  local _, port = first:getsockname()
  local second <close> = assert(udp.open("0.0.0.0", port, { reuseaddr = true, timeout = 3 }))
  for _, sock in ipairs { first, second } do assert(sock:join("239.255.110.101", "lo")) end
  local sender <close> = assert(udp.open("127.0.0.1", 0, { multicast_interface = "lo" }))
  assert(sender:sendto("to whom it may concern", "239.255.110.101", port))
  for i, sock in ipairs { first, second } do
    local data, info = sock:receivemsg()
    say("member %d: %q to %s", i, data, info.destination)
  end
end

local function errors()
  stop "7. what ICMP says: nobody is there"
  local gone = assert(udp.open("127.0.0.1", 0))
  local ip, port = gone:getsockname()
  gone:close()
  local sock <close> = assert(udp.open("127.0.0.1", 0, { errors = true, timeout = 3 }))
  assert(sock:sendto("anybody?", ip, port))
  local err = assert(sock:geterror())
  say("%s: of %q to port %d, says %s by %s %d/%d", err.message, err.data, err.port, err.offender, err.origin, err.type,
    err.icmpcode)
end

local function unix_datagrams()
  stop "8. a Unix datagram that carries a file"
  local near, far <close> = assert(unix.datagram.pair { credentials = true, timeout = 3 })
  local file <close> = assert(io.tmpfile())
  file:write "written by one, read by the other"
  file:seek "set"
  assert(near:sendmsg("with a file", { fds = { file } }))
  near:close() -- what was sent stays sent
  local data, info = far:receivemsg()
  local copy <close> = assert(neap.stream(info.fds[1]))
  say("%q from process %d: %q", data, info.credentials.pid, assert(copy:read "a"))
end

-- ---- 9. TLS ----

local function hello_over_tls(tls, port, options)
  local conn <close>, why = tls.connect("127.0.0.1", port, options)
  if not conn then return why end
  local info <const> = conn:tlsinfo()
  return ("%q over %s with %s"):format(assert(conn:read "l"), info.version, info.cipher)
end

-- The same certificate, for messages over UDP.
local function secret_messages(cert, key)
  local dtls <const> = require "neap.dtls"
  local listener <const> = assert(dtls.listen("127.0.0.1", 0, { cert = cert:pem(), key = key:pem(), timeout = 3 }))
  local _, port = listener:getsockname()
  local server <const> = neap.spawn(listener.serve, listener, function(peer) peer:send(peer:receive():upper()) end)
  local sock <close> = assert(dtls.connect("127.0.0.1", port, {
    ca = cert:pem(), servername = "tour.example", timeout = 3,
  }))
  assert(sock:send "low water at noon")
  say("and over UDP: %q with %s", assert(sock:receive()), sock:tlsinfo().version)
  assert(listener:stop(1))
  assert(server:join())
end

local function secrets()
  stop "9. TLS: a certificate made on the spot, and who believes it"
  local found, tls = pcall(require, "neap.tls")
  if not found then return say("skipped: %s", (tls:match "[^\n]+")) end
  local x509 <const> = require "neap.x509"
  local key <const> = x509.key()
  local cert <const> = assert(x509.make { subject = "CN=tour", names = { "tour.example" }, key = key })
  local listener <const> = assert(tls.listen("127.0.0.1", 0, { cert = cert:pem(), key = key:pem(), timeout = 3 }))
  local _, port = listener:getsockname()
  local server <const> = neap.spawn(listener.serve, listener, function(conn) conn:write "high water at six\n" end)
  local believing <const> = { ca = cert:pem(), servername = "tour.example", timeout = 3 }
  say("who was given it: %s", hello_over_tls(tls, port, believing))
  say("who wants another: %s", hello_over_tls(tls, port, { ca = cert:pem(), timeout = 3 }))
  say("who knows nothing: %s", hello_over_tls(tls, port, { servername = "tour.example", timeout = 3 }))
  assert(listener:stop(1))
  assert(server:join())
  secret_messages(cert, key)
end

-- ---- 10. HTTP ----

local function pages()
  stop "10. HTTP: a server, a client with kept connections, and messages both ways"
  local http <const>, websocket <const> = require "neap.http", require "neap.websocket"
  local routes <const> = http.router()
  routes:get("/tide/:place", function(request) return "high water at " .. request.params.place .. ": six" end)
  routes:get("/talk", function(request)
    local ws <close> = assert(websocket.accept(request))
    for text in ws:messages() do assert(ws:send(text:upper())) end
  end)
  local server <close> = assert(http.listen "127.0.0.1:0")
  local host, port = server:getsockname()
  local task <const> = neap.spawn(server.serve, server, routes)
  local client <close> = http.client { timeout = 5 }
  for _, place in ipairs { "Brest", "Dover" } do
    local response <const> = assert(client:get(("http://%s:%d/tide/%s"):format(host, port, place)))
    say("%d, %q", response.status, assert(response:text()))
  end
  local ws <close> = assert(websocket.connect(("ws://%s:%d/talk"):format(host, port), { timeout = 5 }))
  assert(ws:send "and over a WebSocket?")
  say("%s", assert(ws:receive()))
  ws:close()
  server:stop(1)
  assert(task:join())
end

-- ---- 11. transports that Lua never had ----

-- Messages keep their borders, and each stream of an association its order.
local function associations()
  local sctp <const> = require "neap.sctp"
  local engine, missing = sctp.engine()
  if not engine then return say("sctp: skipped: %s", missing) end
  local near, far <close> = sctp.pair { timeout = 5 }
  assert(near, far)
  assert(near:send("a page", { stream = 1, ppid = 7 }))
  assert(near:send("a picture", { stream = 2 }))
  for _ = 1, 2 do
    local data, info = assert(far:receivemsg())
    say("sctp, %s engine: %q in stream %d", engine, data, info.stream)
  end
  near:close()
end

-- Two nodes of one IPX network, which lies in UDP; and a stream between them.
local function office()
  local ipx <const>, spx <const> = require "neap.ipx", require "neap.spx"
  local server <close> = assert(ipx.server("127.0.0.1", 0))
  local _, port = server:getsockname()
  local here <close> = assert(ipx.ipxnet("127.0.0.1", port))
  local there <close> = assert(ipx.ipxnet("127.0.0.1", port))
  local listener <close> = assert(spx.listen { carrier = there, socket = 0x5000 })
  local greeter <const> = neap.spawn(function()
    local conn <close> = assert(listener:accept(5))
    assert(conn:write("welcome, " .. conn:read("l")))
  end)
  local conn <close> = assert(spx.connect(0, select(2, there:getaddress()), 0x5000, { carrier = here, timeout = 5 }))
  assert(conn:write("node " .. select(2, here:getaddress()), "\n"))
  say("spx, over a DOSBox server of our own: %s", assert(conn:read("a")))
  greeter:join()
end

local function seldom()
  stop "11. SCTP, and IPX with SPX over it"
  associations()
  office()
end

-- ---- 12. with privilege ----

local PROTOCOL <const>, ETHERTYPE <const> = 253, 0x88b5 -- for experiments

local function raw_ip()
  local sock <close> = assert(require "neap.raw".open(PROTOCOL, { bind = "127.0.0.77", timeout = 3 }))
  assert(sock:sendto("a protocol of our own", "127.0.0.77"))
  local packet, from = assert(sock:receive())
  say("raw: protocol %d from %s: %q", packet:byte(10), from, packet:sub((packet:byte() & 15) * 4 + 1))
end

local function frames()
  local sock <close> = assert(require "neap.packet".open("lo", { protocol = ETHERTYPE, cooked = true, timeout = 3 }))
  assert(sock:sendto("no IP at all", "lo", "00:00:00:00:00:00"))
  local data, interface, mac, protocol = assert(sock:receive())
  say("packet: %q by %s, from %s, type 0x%04x", data, interface, mac, protocol)
end

-- Our end of the wire asks the system's end whether it is there.
local function tunnel()
  local wire <const> = require "neap.wire"
  local device <close>, name = require "neap.tun".open(nil, { address = "198.18.77.1", peer = "198.18.77.2" })
  assert(device, name)
  assert(device:settimeout(3):send(wire.encode {
    { layer = "ipv4", src = "198.18.77.2", dst = "198.18.77.1" }, { layer = "icmp", type = 8, id = 1, sequence = 1 },
    "are you there?",
  }))
  for data in device:messages() do -- the system has more to say than this
    local packet = wire.decode(data, "raw")
    if packet and packet.icmp and packet.icmp.type == 0 then
      return say("tun: %s, and %s answers: %q", name, packet.ipv4.src, packet.payload)
    end
  end
end

local refusals <const> = { "Operation not permitted", "Permission denied", "No such file", "No such device",
  "not supported" }

local function privileged()
  stop "12. below UDP: what needs root"
  for _, try in ipairs { { "raw", raw_ip }, { "packet", frames }, { "tun", tunnel } } do
    local name, fn = try[1], try[2]
    local ok, why = pcall(fn)
    local refused = false
    for _, text in ipairs(refusals) do refused = refused or tostring(why):find(text, 1, true) end
    if not ok and not refused then error(why, 0) end
    if not ok then say("%s: skipped: %s", name, (why:gsub("^[^:]*:%d+: ", ""))) end
  end
end

-- ---- 13. how fast ----

local function round_trips(port, seconds)
  local conn <close> = assert(tcp.connect("127.0.0.1", port))
  local message <const> = ("x"):rep(64)
  local count, began <const> = 0, neap.now()
  while neap.now() - began < seconds do
    assert(conn:write(message))
    assert(conn:read(64))
    count = count + 1
  end
  return count / (neap.now() - began)
end

local function bulk(port, seconds)
  local conn <close> = assert(tcp.connect("127.0.0.1", port))
  local block <const> = ("x"):rep(65536)
  local writer = neap.spawn(function()
    local until_ <const> = neap.now() + seconds
    while neap.now() < until_ do assert(conn:write(block)) end
    assert(conn:shutdown("w"))
  end)
  local began <const> = neap.now()
  while conn:receive() do end
  writer:join()
  local received = conn:counters()
  return received / (neap.now() - began)
end

local function speed(port)
  stop "13. how fast, client and server being this one process"
  local trips, bytes = round_trips(port, 0.4), bulk(port, 0.4)
  say("throughput: %.0f round trips of 64 bytes/s, %.0f MB/s there and back",
    trips, bytes / 1e6)
end

-- ---- the way ----

local function tour()
  print(("neap on %s, poller %s"):format(_VERSION, neap.poller()))
  local listener <close> = assert(tcp.listen("127.0.0.1", 0, { backlog = CLIENTS }))
  local _, port = listener:getsockname()
  local server = neap.spawn({ name = "server" }, listener.serve, listener, echo)
  clients(port)
  deadline()
  cancellation()
  passing(port)
  datagrams()
  multicast()
  errors()
  unix_datagrams()
  secrets()
  pages()
  seldom()
  privileged()
  speed(port)
  assert(listener:stop(1))
  assert(server:join())
  print(("\nThe tour is over; tasks left: %d."):format(#neap.tasks() - 1))
end

if arg[1] == "child" then child(arg[2]) else neap.run(tour) end
