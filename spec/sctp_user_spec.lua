--- SCTP by the user engine: over UDP and raw IP, through bad networks, and to
-- the end of associations.
local core <const> = require "neap.core"
local helper <const> = require "support.helper"
local lab <const> = require "support.sctp_lab"
local neap <const> = require "neap"
local netns <const> = require "support.netns"
local probe <const> = require "probe"
local udp <const> = require "neap.udp"

local in_task <const>, eventually <const> = helper.in_task, helper.eventually
local user <const> = lab.user

local function works(name, body)
  it(name, function()
    lab.need()
    in_task(body)
    eventually(function() return #neap.tasks() == 0 end) -- what was closed politely has ended
  end)
end

-- A task that answers each message on its stream.
local function echo(stream)
  return neap.spawn({ daemon = true }, function()
    while true do
      local data, info = stream:receivemsg()
      if not data then return end
      if not stream:send(data, { stream = info.stream, ppid = info.ppid, unordered = info.unordered }) then return end
    end
  end)
end

describe("an association", function()
  works("carries bytes and lines", function()
    local a, b, all = lab.pair()
    local held <close> = all
    assert(a:write("one\n", "two\n", ("x"):rep(60000), "\n"))
    assert.equal("one", b:read())
    assert.equal("two", b:read())
    assert.equal(60000, #b:read())
    assert(b:write "answer")
    assert.equal("answer", a:read(6))
  end)

  works("carries messages with their borders, streams and numbers", function()
    local a, b, all = lab.pair()
    local held <close> = all
    for stream = 0, 9 do assert(a:send("message " .. stream, { stream = stream, ppid = 0xdeadbe00 + stream })) end
    for stream = 0, 9 do
      local data, info = b:receivemsg()
      assert.equal("message " .. stream, data)
      assert.equal(stream, info.stream)
      assert.equal(0xdeadbe00 + stream, info.ppid)
      assert.equal(0, info.ssn)
      assert.is_false(info.unordered)
    end
    assert(b:send("loose", { unordered = true }))
    assert.is_true(select(2, a:receivemsg()).unordered)
  end)

  works("takes messages that are longer than any buffer", function()
    local a, b, all = lab.pair({ maxmessage = 2000000 })
    local held <close> = all
    local long <const> = ("0123456789"):rep(150000)
    local sender = neap.spawn(function()
      assert(a:send(long, { stream = 1 }))
      assert(a:send("next", { stream = 1 }))
    end)
    local data, info = b:receivemsg()
    assert.equal(1, info.stream)
    assert.is_true(data == long)
    assert.equal("next", (b:receivemsg()))
    sender:join()
  end)

  works("tells the true length of one that is too long, and goes on", function()
    local a, b, all = lab.pair(nil, { maxmessage = 1000 })
    local held <close> = all
    assert(a:send(("x"):rep(200000)))
    assert(a:send "short")
    assert.fails("EMSGSIZE", b:receivemsg())
    assert.equal("short", (b:receivemsg()))
  end)

  works("puts a message together of its parts", function()
    local a, b, all = lab.pair()
    local held <close> = all
    assert(a:send("one ", { eor = false }))
    assert(a:send("two", { eor = false }))
    assert(a:send("!", {}))
    assert.equal("one two!", (b:receivemsg()))
  end)

  works("waits for room in a message of many parts", function()
    local a, b, all = lab.pair({ maxmessage = 8000000 })
    local held <close> = all
    local reader <const> = neap.spawn(function()
      neap.sleep(0.1)
      return b:receivemsg()
    end)
    for _ = 1, 40 do assert(a:send(("x"):rep(50000), { eor = false })) end
    assert(a:send "!")
    assert.equal(2000001, #reader:join())
  end)

  works("sends long messages among those that need not arrive", function()
    local a, b, all = lab.pair({ sndbuf = 30000 })
    local held <close> = all
    local sender <const> = neap.spawn(function()
      for i = 1, 100 do
        assert(a:send(("y"):rep(i * 30), { stream = 1, priority = i % 10 }))
        if i % 3 == 0 then assert(a:send(("z"):rep(i * 2000), { stream = 2 })) end
      end
    end)
    for i = 3, 99, 3 do
      local data, info
      repeat
        data, info = assert(b:receivemsg())
      until info.stream == 2
      assert.equal(i * 2000, #data)
    end
    sender:join()
  end)

  works("lets nothing go on with a message that was given up midway", function()
    local a, b, all = lab.pair({ maxmessage = 8000000 })
    local held <close> = all
    a:settimeout(0.3)
    local sent, why, code, taken = a:send(("x"):rep(4000000), { stream = 3 })
    assert.fails("ETIMEDOUT", sent, why, code)
    assert.is_true(taken > 0)
    local reader <const> = neap.spawn(b.receivemsg, b)
    for stream = 2, 3 do assert.fails("EPIPE", a:send("another", { stream = stream })) end
    a:close()
    assert.is_nil((reader:join()))
  end)

  works("does not send what has no bytes", function()
    local a, b, all = lab.pair()
    local held <close> = all
    assert.fails("EINVAL", a:send "")
    assert.fails("EINVAL", a:send("x", { stream = 999 }))
  end)

  works("knows its names", function()
    local a, b, all = lab.pair()
    local held <close> = all
    local ip, port = all.listener:getsockname()
    assert.same({ "127.0.0.1", port }, { a:getpeername() })
    assert.same({ ip, port }, { b:getsockname() })
    assert.same({ a:getsockname() }, { b:getpeername() })
    assert.same(user.get(a, "locals"), user.get(b, "peers"))
    assert.equal("established", user.get(a, "status").state)
    assert.equal(user.udp_port(a), user.get(b, "encap_port"))
  end)

  works("goes over IPv6, and over both families at once", function()
    helper.need_ipv6()
    local listener <close>, port, udp_port = lab.listen(nil, "::")
    for _, ip in ipairs { "::1", "127.0.0.1" } do
      local a <close> = assert(lab.connect(port, udp_port, nil, ip))
      local b <close> = assert(listener:accept(5))
      assert.equal(ip, (b:getpeername()))
      assert.equal(ip, (b:getsockname()))
      assert(a:write "x")
      assert.equal("x", b:read(1))
    end
  end)

  works("carries TLS", function()
    local ok <const> = pcall(require, "neap.tlscore")
    helper.need(ok, "needs neap to be built with OpenSSL")
    local x509 <const>, tls <const> = require "neap.x509", require "neap.tls"
    local root_key <const>, key <const> = x509.key(), x509.key()
    local root <const> = assert(x509.make { key = root_key, subject = "CN=root", ca = true })
    local pem <const> = assert(x509.make {
      key = key, names = { "good.example" }, issuer = root, issuerkey = root_key,
    }):pem()
    local a, b, all = lab.pair()
    local held <close> = all
    assert(tls)
    local server = neap.spawn(function() return b:starttls { server = true, cert = pem, key = key:pem() } end)
    assert(a:starttls { ca = root:pem(), servername = "good.example" })
    assert(server:join())
    local text <const> = ("secret "):rep(20000)
    local writer = neap.spawn(function() assert(a:write(text)) end)
    assert.is_true(b:read(#text) == text)
    writer:join()
    assert(b:write "yes\n")
    assert.equal("yes", a:read())
  end)

  works("has options that can be read and set", function()
    local a, b, all = lab.pair { pmtu = 1400, nodelay = true, init = { streams_out = 20, streams_in = 30 } }
    local held <close> = all
    assert.equal(1400, user.get(a, "pmtu"))
    assert.is_true(user.get(a, "nodelay"))
    assert.equal(20, user.get(a, "status").streams_out)
    for what, value in pairs {
      nodelay = false, pmtu = 1300, path_maxrxt = 3, partial_delivery_point = 10000, heartbeat = 3.0,
      scheduler = "priority",
    } do
      assert(user.set(a, what, value))
      assert.equal(value, user.get(a, what))
    end
    assert(user.set(a, "heartbeat", false))
    assert.is_false(user.get(a, "heartbeat"))
    assert(user.set(a, "rto", { max = 2 }))
    assert.equal(2.0, user.get(a, "rto").max)
    assert.same({ { ip = "127.0.0.1", port = select(2, a:getpeername()) } }, user.get(a, "peers"))
    assert.fails("EOPNOTSUPP", user.get(a, "reset_streams"))
    assert.fails("EOPNOTSUPP", user.set(a, "status", {}))
  end)

  works("tells what happens, if that is wanted", function()
    local a, b, all = lab.pair { events = { "association", "stream_reset", "shutdown" } }
    local held <close> = all
    local data, info = b:receivemsg()
    assert.equal("", data)
    assert.equal("association", info.notification.type)
    assert.equal("up", info.notification.state)
    assert(a:receivemsg())
    assert(user.set(a, "reset_streams", { outgoing = true, streams = { 1 } }))
    local event = select(2, b:receivemsg()).notification
    assert.equal("stream_reset", event.type)
    assert.is_true(event.incoming)
    assert.same({ 1 }, event.streams)
    assert(a:shutdown "w")
    assert.equal("shutdown", select(2, b:receivemsg()).notification.type)
  end)
end)

describe("the end of an association", function()
  works("comes after all that was sent", function()
    local a, b, all = lab.pair()
    local held <close> = all
    local text <const> = ("all of it "):rep(30000)
    local writer = neap.spawn(function()
      assert(a:write(text))
      assert(a:close())
    end)
    assert.is_true(b:read "a" == text)
    assert.fails("EOF", b:read(1))
    assert.fails("EPIPE", b:write "x")
    writer:join()
  end)

  works("is at once if it is aborted", function()
    local a, b, all = lab.pair()
    local held <close> = all
    assert(user.set(a, "abort", "no more"))
    assert.fails("ECONNRESET", b:read(1))
  end)

  works("is an abort if nobody will read what came", function()
    local a, b, all = lab.pair()
    local held <close> = all
    assert(a:write "unread")
    eventually(function() return user.get(a, "status").unacked == 0 end)
    b:close()
    assert.fails("ECONNRESET", a:read(1))
  end)

  works("comes with a message that says so", function()
    local a, b, all = lab.pair()
    local held <close> = all
    assert(a:send("last", { eof = true }))
    assert.equal("last", (b:receivemsg()))
    assert.fails("EOF", b:receivemsg())
  end)

  works("is found out where the peer vanished", function()
    local listener <close>, port, udp_port = lab.listen()
    local relay <close> = lab.relay(udp_port)
    local a <close> = assert(lab.connect(port, relay.port, {
      association = { maxrxt = 3 }, rto = { initial = 0.05, min = 0.02, max = 0.05 },
    }))
    local b <const> = assert(listener:accept(5))
    local guard <close> = helper.defer(function() lab.abort(b) end)
    relay.change = function() return {} end
    assert(a:write "anybody?")
    assert.fails("ETIMEDOUT", a:settimeout(5 * helper.slow):read(1))
  end)

  works("is explained by what the network said", function()
    local listener <close>, port, udp_port = lab.listen()
    local relay = lab.relay(udp_port)
    local a <close> = assert(lab.connect(port, relay.port, {
      association = { maxrxt = 3 }, rto = { initial = 0.05, min = 0.02, max = 0.05 },
    }))
    local b <const> = assert(listener:accept(5))
    local guard <close> = helper.defer(function() lab.abort(b) end)
    getmetatable(relay).__close(relay)
    assert(a:write "anybody?")
    assert.fails("ECONNREFUSED", a:settimeout(5 * helper.slow):read(1))
  end)

  works("takes a reader along that waits", function()
    local a, b, all = lab.pair()
    local held <close> = all
    local reader = neap.spawn(function() return a:receivemsg() end)
    eventually(function() return reader:status() == "waiting" end)
    a:close()
    assert.fails("ECLOSED", reader:join())
  end)
end)

describe("connecting", function()
  works("to nobody is refused at once where the network says so", function()
    local began = neap.now()
    local scout = assert(udp.open("127.0.0.1", 0))
    local _, nobody = scout:getsockname()
    scout:close()
    local conn, why, code = lab.connect(5000, nobody)
    assert.is_nil(conn)
    assert.equal("ECONNREFUSED", code)
    assert.matches("^connect 127%.0%.0%.1:5000: ", why)
    assert.is_true(neap.now() - began < 2 * helper.slow)
  end)

  works("to a port that nobody has is refused by the peer", function()
    local listener <close>, port, udp_port = lab.listen()
    assert.fails("ECONNREFUSED", lab.connect(port == 1 and 2 or 1, udp_port))
  end)

  works("to nobody ends at its timeout, or after so many attempts", function()
    local silent <close> = assert(udp.open("127.0.0.1", 0))
    local _, nobody = silent:getsockname()
    local began = neap.now()
    assert.fails("ETIMEDOUT", user.connect({ { ip = "127.0.0.1", port = 5000 } }, {
      encap_port = nobody, deadline = core.now() + 0.1,
    }))
    assert.is_true(neap.now() - began < 2 * helper.slow)
    assert.fails("ETIMEDOUT", lab.connect(5000, nobody, {
      init = { attempts = 2, timeout = 0.05 }, rto = { initial = 0.02, min = 0.02, max = 0.05 },
    }))
  end)

  works("can be cancelled", function()
    local silent <close> = assert(udp.open("127.0.0.1", 0))
    local _, nobody = silent:getsockname()
    local task = neap.spawn(function() return lab.connect(5000, nobody) end)
    eventually(function() return task:status() == "waiting" end)
    task:cancel(0)
    eventually(function() return task:status() == "cancelled" end)
  end)

  works("to several addresses, or finding out the path's MTU, is refused", function()
    local two <const> = { { ip = "127.0.0.1", port = 1 }, { ip = "127.0.0.2", port = 1 } }
    assert.fails("EOPNOTSUPP", user.connect(two, { deadline = core.now() + 1 }))
    assert.fails("EOPNOTSUPP", user.connect({ two[1] }, { pmtu = false, deadline = core.now() + 1 }))
  end)
end)

describe("a listener", function()
  works("shares a port with another that is on another carrier", function()
    local first <close>, port, udp_port = lab.listen()
    local second <close>, _, other = lab.listen({ udp_port = 0, reuseaddr = false }, "127.0.0.2", port)
    for _, to in ipairs { { first, udp_port, "127.0.0.1" }, { second, other, "127.0.0.2" } } do
      local a <close> = assert(lab.connect(port, to[2], nil, to[3]))
      local b <close> = assert(to[1]:accept(5))
      assert(a:write "x")
      assert.equal("x", b:read(1))
    end
  end)

  works("has its port alone on its carrier", function()
    local first <close>, port, udp_port = lab.listen()
    assert.fails("EADDRINUSE", user.listen({ { ip = "127.0.0.1", port = port } }, { udp_port = udp_port }))
  end)

  works("shares the UDP port that was chosen for another", function()
    local listener <close>, _, udp_port = lab.listen()
    local other <close> = assert(user.listen({ { ip = "127.0.0.1", port = 0 } }, { udp_port = udp_port }))
    assert.equal(udp_port, (select(3, other:getsockname())))
    assert.is_true(listener:isopen())
    local conn <close> = assert(lab.connect(select(2, other:getsockname()), udp_port))
    local accepted <close> = assert(other:accept(2 * helper.slow))
    assert(conn:write "x")
    assert.equal("x", accepted:read(1))
  end)

  works("takes no more than its backlog until they are accepted", function()
    local listener <close>, port, udp_port = lab.listen { backlog = 2 }
    local first <close> = assert(lab.connect(port, udp_port))
    local second <close> = assert(lab.connect(port, udp_port))
    local third = neap.spawn(function() return lab.connect(port, udp_port) end)
    neap.sleep(0.02)
    assert.equal("waiting", third:status())
    local a <close> = assert(listener:accept(5))
    local b <close> = assert(listener:accept(5))
    local c <close> = assert(listener:accept(5))
    local conn <close> = assert(third:join())
    assert(conn:write "x")
    assert.equal("x", c:read(1))
  end)

  works("serves", function()
    local listener <close>, port, udp_port = lab.listen()
    local server = neap.spawn(function()
      return listener:serve(function(stream) stream:write(stream:read(), "!\n") end)
    end)
    for i = 1, 3 do
      local a <close> = assert(lab.connect(port, udp_port))
      assert(a:write(i, "\n"))
      assert.equal(i .. "!", a:read())
    end
    listener:stop(1)
    assert.is_true(server:join())
  end)

  works("wakes who waits when it is closed, and who was not accepted is aborted", function()
    local listener = lab.listen()
    local waiter = neap.spawn(function() return listener:accept() end)
    eventually(function() return waiter:status() == "waiting" end)
    listener:close()
    assert.fails("ECLOSED", waiter:join())
    assert.fails("ECLOSED", listener:accept())
    local other, port, udp_port = lab.listen()
    local a <close> = assert(lab.connect(port, udp_port))
    other:close()
    assert.fails("ECONNRESET", a:read(1))
  end)

  works("keeps nothing of those who only say INIT", function()
    local listener <close>, port, udp_port = lab.listen()
    local a <close> = assert(lab.connect(port, udp_port))
    local b <close> = assert(listener:accept(5))
    local before <const> = listener:statistics()
    for i = 1, 300 do
      local sock <close> = assert(udp.open("127.0.0.1", 0))
      local init <const> = (">I2I2I4I4BBI2I4I4I2I2I4"):pack(1000 + i, port, 0, 0, 1, 0, 20, i, 65536, 10, 10, i)
      assert(sock:sendto(lab.summed(init), "127.0.0.1", udp_port))
      assert.equal(2, sock:settimeout(5 * helper.slow):receive():byte(13)) -- INIT ACK
    end
    assert.equal(before.peers, listener:statistics().peers)
    assert(a:write "x")
    assert.equal("x", b:read(1))
  end)
end)

describe("a message socket for many", function()
  works("has associations, and gives one away", function()
    local server, udp_port = lab.many()
    local held <close> = server
    local _, port = server:getsockname()
    local clients <const> = {}
    local guard <close> = helper.defer(function()
      for _, client in ipairs(clients) do client:close() end
    end)
    for i = 1, 3 do
      clients[i] = lab.many { encap_port = udp_port }
      local id = assert(user.connect_to(clients[i], { { ip = "127.0.0.1", port = port } }))
      assert.equal("up", select(2, clients[i]:receivemsg()).notification.state)
      assert(clients[i]:send("from " .. i, { association = id }))
    end
    local ids <const>, got = {}, 0
    while got < 3 do
      local data, info = server:receivemsg()
      if data ~= "" then
        got = got + 1
        ids[data] = info.association
        assert(server:send("to " .. data, { ip = info.ip, port = info.port }))
      end
    end
    for i = 1, 3 do assert.equal("to from " .. i, (clients[i]:receivemsg())) end
    local peeled <close> = assert(user.peeloff(server, ids["from 2"], { timeout = 5 }))
    assert(peeled:write "alone")
    assert.equal("alone", (clients[2]:receivemsg()))
    assert(clients[2]:send("back", { ip = "127.0.0.1", port = port }))
    assert.equal("back", (peeled:receivemsg()))
    peeled:close()
    repeat
      local _, info = clients[2]:receivemsg()
    until info.notification and info.notification.state == "shutdown"
    assert.fails("ENOENT", user.peeloff(server, 4711, {}))
    assert.fails("ENOTCONN", server:send("x", { ip = "127.0.0.9", port = 1 }))
  end)

  works("tells of an association that cannot begin", function()
    local silent <close> = assert(udp.open("127.0.0.1", 0))
    local _, nobody = silent:getsockname()
    local client <close> = lab.many { encap_port = nobody, init = { attempts = 1, timeout = 0.05 },
      rto = { initial = 0.02, min = 0.02, max = 0.05 } }
    assert(user.connect_to(client, { { ip = "127.0.0.1", port = 1 } }))
    assert.equal("cannot_start", select(2, client:receivemsg()).notification.state)
  end)
end)

-- ---- bad networks ----

describe("through a network that", function()
  for name, weather in pairs {
    ["loses 3 of 100"] = { 7, 0.03, 0, 0 },
    ["loses 20 of 100"] = { 8, 0.2, 0, 0 },
    ["doubles and reorders"] = { 9, 0, 0.2, 0.3 },
    ["does all of that"] = { 10, 0.05, 0.1, 0.2 },
  } do
    works(name .. ", all messages arrive once, in order within their streams", function()
      local listener <close>, port, udp_port = lab.listen { nodelay = true }
      local relay <close> = lab.relay(udp_port, lab.weather(table.unpack(weather)))
      local a <const> = assert(lab.connect(port, relay.port, { nodelay = true }))
      local b <const> = assert(listener:accept(5))
      local guard <close> = helper.defer(function() lab.abort(a, b) end)
      echo(b)
      local n <const> = 150
      local sender = neap.spawn(function()
        for i = 1, n do assert(a:send(("%d:%s"):format(i, ("x"):rep(i * 13 % 3000)), { stream = i % 4 })) end
      end)
      local last <const> = { [0] = 0, 0, 0, 0 }
      for _ = 1, n do
        local data, info = a:settimeout(8 * helper.slow):receivemsg()
        local i = math.tointeger(tonumber((assert(data, info):match "^(%d+):")))
        assert.equal(i % 4, info.stream)
        assert.equal(last[info.stream] == 0 and (i % 4 == 0 and 4 or i % 4) or last[info.stream] + 4, i)
        assert.equal(i * 13 % 3000, #data - #tostring(i) - 1)
        last[info.stream] = i
      end
      sender:join()
    end)
  end

  works("loses all for a while, what has a lifetime is given up", function()
    local listener <close>, port, udp_port = lab.listen()
    local relay <close> = lab.relay(udp_port)
    local a <const> = assert(lab.connect(port, relay.port, { events = { "send_failed" } }))
    local b <const> = assert(listener:accept(5))
    local guard <close> = helper.defer(function() lab.abort(a, b) end)
    relay.change = function() return {} end
    assert(a:send("fleeting", { lifetime = 0.02, context = 42 }))
    local _, info = a:settimeout(5 * helper.slow):receivemsg()
    assert.equal("send_failed", info.notification.type)
    assert.is_true(info.notification.sent)
    assert.equal(42, info.notification.context)
    assert.equal("fleeting", info.notification.data)
    relay.change = nil
    assert(a:send "lasting")
    assert.equal("lasting", (b:settimeout(5 * helper.slow):receivemsg()))
  end)

  works("changes packets does not change what arrives", function()
    local listener <close>, port, udp_port = lab.listen()
    local chance <const> = lab.dice(3)
    local relay <close> = lab.relay(udp_port)
    local a <const> = assert(lab.connect(port, relay.port))
    local b <const> = assert(listener:accept(5))
    local guard <close> = helper.defer(function() lab.abort(a, b) end)
    relay.change = function(data)
      if chance() > 0.2 then return { data } end
      local at = 1 + math.floor(chance() * #data)
      return { data:sub(1, at - 1) .. string.char(data:byte(at) ~ 1 << math.floor(chance() * 8)) .. data:sub(at + 1) }
    end
    local text <const> = ("true "):rep(4000)
    assert(a:write(text))
    assert.is_true(b:settimeout(8 * helper.slow):read(#text) == text)
    assert.is_true(listener:statistics().dropped > 0)
  end)

  works("the peer restarted behind, the association goes on anew", function()
    local listener <close>, port, udp_port = lab.listen { events = { "association" } }
    local relay <close> = lab.relay(udp_port)
    local function client()
      return assert(lab.connect(port, relay.port, { bind = { { ip = "127.0.0.1", port = 4000 } } }))
    end
    local first <const> = client()
    local b <const> = assert(listener:accept(5))
    local guard <close> = helper.defer(function() lab.abort(b) end)
    assert.equal("up", select(2, b:receivemsg()).notification.state)
    relay.change = function() return {} end
    lab.abort(first)
    neap.sleep(0.01)
    relay.change = nil
    local second <const> = client()
    local _, info = b:settimeout(5 * helper.slow):receivemsg()
    assert.equal("restart", info.notification.state)
    assert(second:send "again")
    assert.equal("again", (b:receivemsg()))
    lab.abort(second)
  end)
end)

-- ---- garbage ----

describe("malformed packets", function()
  works("by the thousand harm nobody", function()
    local listener <close>, port, udp_port = lab.listen()
    local seen <const> = {} -- packets as they are, to begin with
    local relay <close> = lab.relay(udp_port, function(data, _, up)
      if up then seen[#seen + 1] = data end
      return { data }
    end)
    local a <close> = assert(lab.connect(port, relay.port))
    local b <close> = assert(listener:accept(5))
    echo(b)
    local guard <close> = helper.defer(function() lab.abort(a, b) end)
    assert(user.set(a, "reset_streams", { outgoing = true }))
    for i = 1, 5 do
      assert(a:send(("x"):rep(i * 700), { stream = i }))
      assert.equal(i * 700, #a:receivemsg())
    end
    local chance <const> = lab.dice(11)
    local function pick(n) return 1 + math.floor(chance() * n) end
    local sock <close> = assert(udp.connect("127.0.0.1", udp_port))
    for i = 1, 4000 // helper.slow do
      local packet = seen[pick(#seen)]
      for _ = 1, pick(6) do
        local at = pick(#packet)
        packet = packet:sub(1, at - 1) .. string.char(pick(256) - 1) .. packet:sub(at + 1)
      end
      if chance() < 0.2 then packet = packet:sub(1, pick(#packet)) end
      if chance() < 0.2 then packet = packet .. seen[pick(#seen)]:sub(13) end
      if #packet >= 12 and chance() < 0.9 then packet = lab.summed((">I2I2"):pack(pick(9), port) .. packet:sub(5)) end
      sock:send(packet)
      if i % 50 == 0 then neap.sleep(0) end
    end
    assert(a:send "still there?")
    assert.equal("still there?", (a:settimeout(5 * helper.slow):receivemsg()))
    eventually(function() return listener:statistics().peers <= 2 end)
  end)
end)

-- ---- the process ----

describe("the one stack", function()
  works("lives on when its object is loaded again", function()
    local name <const> = "neap.usrsctpcore"
    local a, b, all = lab.pair()
    local held <close> = all
    local first <const> = package.loaded[name]
    package.loaded[name] = nil
    local second <const> = require(name)
    package.loaded[name] = first
    assert.not_equal(first.bell(), second.bell())
    collectgarbage()
    collectgarbage()
    assert(a:send "still here")
    assert.equal("still here", (b:receivemsg()))
  end)

  it("is shared by the states of several threads", function()
    lab.need()
    for _, result in ipairs(helper.threads(4, [[
      local neap = require "neap"
      local core = require "neap.core"
      local user = require "neap.sctp.user"
      return neap.run(function()
        local n = 0
        for round = 1, 3 do
          local a, b = user.pair { deadline = core.now() + 30 }
          if not a then return b end
          neap.spawn({ daemon = true }, function()
            while true do
              local data = b:receivemsg()
              if not data or not b:send(data) then return end
            end
          end)
          for i = 1, 100 do
            assert(a:send(("x"):rep(i * 20)))
            local data = assert(a:receivemsg())
            assert(#data == i * 20)
            n = n + 1
          end
          a:close()
          b:close()
        end
        return n
      end)
    ]])) do
      assert.same({ true, "300" }, result)
    end
  end)

  it("is not a child's after fork", function()
    lab.need()
    local out = helper.script [[
      local neap = require "neap"
      local core = require "neap.core"
      local probe = require "probe"
      local user = require "neap.sctp.user"
      neap.run(function()
        local a, b = assert(user.pair { deadline = core.now() + 5 })
        local pid = probe.fork()
        if pid == 0 then
          local ok, result = pcall(function()
            local read = table.pack(a:settimeout(1):read(1))
            local made = table.pack(user.pair { deadline = core.now() + 1 })
            a:close()
            b:close()
            return ("%s %s %s"):format(read[1], made[1], made[3])
          end)
          io.stdout:write(result, "\n")
          io.stdout:flush()
          probe.exit(0)
        end
        probe.waitpid(pid)
        assert(a:write "still ours\n")
        print(b:read())
        a:close()
        b:close()
      end)
    ]]
    assert.equal("nil nil EOPNOTSUPP\nstill ours\n", out)
  end)

  it("stays as it is when endpoints come and go, and ends with the process", function()
    lab.need()
    local out, code = helper.script [[
      local neap = require "neap"
      local core = require "neap.core"
      local user = require "neap.sctp.user"
      local function count(what)
        local n = 0
        for _ in require "lfs".dir("/proc/self" .. what) do n = n + 1 end
        return n
      end
      local fds, threads = count "/fd"
      for i = 1, 5 do
        neap.run(function()
          local a, b = assert(user.pair { deadline = core.now() + 5 })
          assert(threads == nil or threads == count "/task")
          threads = count "/task"
          assert(count "/fd" > fds)
          a:close()
          b:close()
          local deadline = core.now() + 5
          while count "/fd" > fds and core.now() < deadline do core.sleep(0.01) end
          assert(count "/fd" == fds)
        end)
      end
      local a, b = assert(user.pair { deadline = core.now() + 5 })
      a:write "unread"
      local c = assert(user.open({ { ip = "127.0.0.1", port = 0 } }, { udp_port = 0 }))
      print "done"
    ]]
    assert.equal("done\n", out)
    assert.equal(0, code)
  end)

  it("sends what was written before the process ends", function()
    lab.need()
    in_task(function()
      local listener <close>, port, udp_port = lab.listen()
      local pipe <close> = assert(io.popen(("LUA_PATH=%s LUA_CPATH=%s %s -e %s"):format(helper.quote(package.path),
        helper.quote(package.cpath), helper.lua, helper.quote(([[
          local user = require "neap.sctp.user"
          local conn = assert(user.connect({ { ip = "127.0.0.1", port = %d } },
            { encap_port = %d, deadline = require "neap.core".now() + 5 }))
          conn:write(("x"):rep(50000))
          conn:close()
        ]]):format(port, udp_port)))))
      local b <close> = assert(listener:accept(8 * helper.slow))
      assert.equal(50000, #b:read "a")
    end)
  end)

  works("fails cleanly without descriptors", function()
    local a, b, all = lab.pair()
    local held <close> = all
    local limit <const> = probe.nofile(helper.count_fds() + 3)
    local back <close> = helper.defer(function() probe.nofile(limit) end)
    local made <const> = {}
    local code
    repeat
      local listener, _, why = user.listen({ { ip = "127.0.1." .. #made + 1, port = 0 } }, { udp_port = 0 })
      made[#made + 1], code = listener, why
    until not listener or #made == 50
    assert.equal("EMFILE", code)
    for _, listener in ipairs(made) do listener:close() end
    assert(a:write "x")
    assert.equal("x", b:read(1))
  end)

  works("forgets what nobody holds, in every state", function()
    local kept = { lab.listen() }
    local listener = kept[1]
    local port <const>, udp_port <const> = kept[2], kept[3]
    for i = 1, 12 do
      local a <const> = assert(lab.connect(port, udp_port))
      local b <const> = i % 2 == 0 and assert(listener:accept(5)) or nil
      if i % 3 == 0 then a:write(("x"):rep(1000)) end
      if i % 4 == 0 then a:shutdown "w" end
      kept[#kept + 1] = b
    end
    kept[5] = nil
    collectgarbage()
    collectgarbage()
    neap.sleep(0.01)
    assert.is_true(listener:isopen())
    kept, listener = nil, nil -- luacheck: ignore
    eventually(function()
      collectgarbage()
      return #neap.tasks() <= 2
    end)
  end)
end)

-- ---- raw IP ----

describe("over raw IP", function()
  for _, family in ipairs { "ip", "ip6" } do
    works("an association is as over UDP: " .. family, function()
      netns.need()
      local both <close> = netns.pair()
      local from <const>, to <const> = both.a[family], both.b[family]
      local listener <close> = both.b:inside(function()
        return assert(user.listen({ { ip = to, port = 5000 } }, { carrier = "raw" }))
      end)
      -- The carrier is made before anything waits.
      local connecting = both.a:inside(function()
        local carriers <const> = require "neap.sctp.carrier"
        return assert(carriers.at(from, 0, { carrier = "raw" }, true))
      end)
      assert.is_true(connecting.raw)
      local a <close> = assert(user.connect({ { ip = to, port = 5000 } }, {
        carrier = "raw", bind = { { ip = from, port = 0 } }, deadline = core.now() + 5 * helper.slow,
      }))
      local b <close> = assert(listener:accept(5 * helper.slow))
      assert.same({ to, 5000 }, { a:getpeername() })
      assert.equal(from, (b:getpeername()))
      local text <const> = ("raw "):rep(10000)
      assert(a:write(text))
      assert.is_true(b:read(#text) == text)
      assert(b:send("back", { stream = 2 }))
      assert.equal(2, select(2, a:receivemsg()).stream)
    end)
  end
end)
