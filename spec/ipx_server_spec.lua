--- What DOSBoxes meet at (ipx.server), and who goes there (ipx.ipxnet); what a
-- peer by hand sees of them. (ipx_dosbox_spec.lua has the real ones.)
local helper <const> = require "support.helper"
local lab <const> = require "support.ipx_lab"
local ipx <const> = require "neap.ipx"
local neap <const> = require "neap"
local udp <const> = require "neap.udp"
local wire <const> = require "neap.wire"

local eventually <const> = helper.eventually
local NOWHERE <const> = "00:00:00:00:00:00"
local ECHO <const> = 2

local function works(name, body)
  it(name, function() helper.in_task(body) end)
end

local function raises(text, fn, ...)
  local given <const> = table.pack(...)
  local ok <const>, err <const> = pcall(function()
    local result = fn(table.unpack(given, 1, given.n))
    return result -- no tail call: that has no line
  end)
  assert.is_false(ok, text)
  assert.matches("^spec/ipx_server_spec%.lua:%d+: ", tostring(err))
  assert.is_truthy(tostring(err):find(text, 1, true), tostring(err))
end

local function packet_of(fields, data)
  local layer <const> = { layer = "ipx", dst_socket = ECHO, src_socket = ECHO }
  for name, value in pairs(fields) do layer[name] = value end
  return wire.encode { layer, data or "" }
end

local REGISTRATION <const> = packet_of { packet_type = 0 }

-- A server: its port.
local function serve(options)
  local server <const> = assert(ipx.server("127.0.0.1", 0, options))
  return server, (select(2, server:getsockname()))
end

-- A DOSBox by hand: a socket, and its node once it is registered.
local function box(port, quiet)
  local sock <const> = assert(udp.connect("127.0.0.1", port, { timeout = 5 }))
  if quiet then return sock end
  assert(sock:send(REGISTRATION))
  local answer <const> = assert(wire.decode((assert(sock:receive())), "ipx")).ipx
  return sock, answer.dst_node, answer
end

describe("ipx.server", function()
  works("gives each client the node of its address, as DOSBox does", function()
    local server <close>, port = serve()
    local sock <close>, node, answer = box(port)
    assert.equal(ipx.node(sock:getsockname()), node)
    assert.same({ 0, ECHO, 1, ECHO, ipx.node("127.0.0.1", port), 30 }, { answer.dst_network, answer.dst_socket,
      answer.src_network, answer.src_socket, answer.src_node, answer.length })
    local list <const> = server:clients()
    local ip, from = sock:getsockname()
    assert.same({ 1, ip, from, node, 0 }, { #list, list[1].ip, list[1].port, list[1].node, list[1].packets })
    -- once more: it is the same one
    assert(sock:send(REGISTRATION))
    assert.equal(node, assert(wire.decode((assert(sock:receive())), "ipx")).ipx.dst_node)
    assert.equal(1, #server:clients())
    assert.equal(2, server:statistics().registrations)
  end)

  works("forwards to whom it is for, and to all but the sender", function()
    local server <close>, port = serve()
    local list <const>, nodes <const> = {}, {}
    for i = 1, 4 do list[i], nodes[i] = box(port) end
    local one <const> = packet_of({ src_node = nodes[1], dst_node = nodes[3], dst_socket = 9 }, "for the third")
    assert(list[1]:send(one))
    assert.equal(one, (list[3]:receive()))
    local all <const> = packet_of({ src_node = nodes[1], dst_node = ipx.BROADCAST, dst_socket = 9 }, "for all")
    assert(list[1]:send(all .. "and what is behind it"))
    for i = 2, 4 do assert.equal(all, (list[i]:receive())) end
    assert(list[1]:send(packet_of({ src_node = nodes[1], dst_node = nodes[1] }, "to itself")))
    assert(list[1]:send(packet_of({ src_node = nodes[1], dst_node = "0a:00:00:01:00:07" }, "to nobody")))
    eventually(function() return server:statistics().received == 8 end)
    for i = 1, 4 do
      assert.fails("ETIMEDOUT", list[i]:settimeout(0):receive())
      list[i]:close()
    end
    local did <const> = server:statistics()
    assert.same({ 4, 1, 0, 4 }, { did.forwarded, did.elsewhere, did.lost, did.clients })
  end)

  works("refuses what is from others, or in the name of others", function()
    local server <close>, port = serve()
    local sock <close>, node = box(port)
    local other <close>, other_node = box(port)
    local stranger <close> = box(port, true)
    local data <const> = packet_of({ src_node = node, dst_node = other_node }, "not from whom it says")
    assert(stranger:send(data))
    assert(other:send(packet_of({ src_node = node, dst_node = ipx.BROADCAST }, "nor this")))
    eventually(function() return server:statistics().received == 4 end)
    assert.same({ 1, 1 }, { server:statistics().foreign, server:statistics().spoofed })
    assert.fails("ETIMEDOUT", other:settimeout(0):receive())
    assert.fails("ETIMEDOUT", sock:settimeout(0):receive())
    assert(sock:send(data))
    assert.equal(data, (other:settimeout(5):receive()))
  end)

  works("has no more clients than it may", function()
    local server <close>, port = serve { max_clients = 2 }
    local a <close> = box(port)
    local b <close> = box(port)
    local c <close> = box(port, true)
    assert(c:send(REGISTRATION))
    eventually(function() return server:statistics().refused == 1 end)
    assert.fails("ETIMEDOUT", c:settimeout(0.01):receive())
    assert.equal(2, #server:clients())
    assert.is_truthy(a:isopen() and b:isopen())
    local value, why, code = ipx.ipxnet("127.0.0.1", port, { timeout = 0.1 })
    assert.fails("ETIMEDOUT", value, why, code)
    assert.matches("no answer to the registration$", why)
  end)

  works("asks who is silent, and forgets who does not answer", function()
    local server <close>, port = serve { idle = 0.2 * helper.slow }
    local answers <close>, node = box(port)
    local silent <close> = box(port)
    local asked = 0
    local answerer <close> = neap.spawn({ daemon = true }, function()
      for data in answers:messages() do
        local ping <const> = assert(wire.decode(data, "ipx")).ipx
        assert.same({ ipx.BROADCAST, ECHO }, { ping.dst_node, ping.dst_socket })
        asked = asked + 1
        answers:send(packet_of { src_node = node, dst_node = ping.src_node })
      end
    end)
    assert.equal(2, #server:clients())
    eventually(function() return #server:clients() == 1 end)
    assert.equal(node, server:clients()[1].node)
    assert.is_true(asked >= 2)
    assert.equal(1, server:statistics().expired)
    -- it can come back
    assert(silent:send(REGISTRATION))
    eventually(function() return #server:clients() == 2 end)
    answerer:cancel()
  end)

  works("is no worse for what is no packet, by the thousand", function()
    local server <close>, port = serve()
    local a <close>, node = box(port)
    local b <close>, other <const> = box(port)
    local good <const> = packet_of({ src_node = node, dst_node = other, dst_socket = 9 }, "data")
    local TOTAL <const> = 4000 // helper.slow
    for i = 1, TOTAL do
      local at <const> = math.random(#good)
      local bad = good:sub(1, at - 1) .. string.char(math.random(0, 255)) .. good:sub(at + 1)
      if i % 3 == 0 then bad = bad:sub(1, math.random(0, #bad)) end
      assert(a:send(bad))
      if i % 100 == 0 then eventually(function() return server:statistics().received == i + 2 end) end
    end
    b:settimeout(0)
    while b:receive() do end -- luacheck: ignore 542
    b:settimeout(5)
    assert(a:send(good))
    local data
    repeat data = assert(b:receive()) until data == good
    assert.is_true(#server:clients() <= 2)
  end)

  works("is one client more, for sockets on it", function()
    local server <close>, port = serve()
    local sock <close>, node = box(port)
    local a <close> = assert(ipx.open { carrier = server, socket = 0x5000, broadcast = true, timeout = 5 })
    local _, own = a:getsockname()
    assert.equal(ipx.node("127.0.0.1", port), own)
    assert(a:sendto("to all", 0, ipx.BROADCAST, 7))
    assert.equal("to all", assert(wire.decode((assert(sock:receive())), "ipx")).payload)
    assert(sock:send(packet_of({ src_node = node, dst_node = own, dst_socket = 0x5000 }, "to it")))
    assert.equal("to it", (a:receive()))
    assert(sock:send(packet_of({ src_node = node, dst_node = ipx.BROADCAST, dst_socket = 0x5000 }, "to everybody")))
    assert.equal("to everybody", (a:receive()))
    assert.fails("EHOSTUNREACH", a:sendto("x", 0, "0a:00:00:01:00:07", 1))
  end)

  works("is stopped, and wakes who waits for that", function()
    local server = serve()
    local a = assert(ipx.open { carrier = server })
    assert.fails("ETIMEDOUT", server:wait(0.01))
    local waiter <const> = neap.spawn(server.wait, server)
    eventually(function() return waiter:status() == "waiting" end)
    assert.matches("^neap%.ipx%.server %(0 clients%)$", tostring(server))
    assert.is_true(server:isopen())
    assert.is_true(server:stop())
    assert.is_true(server:stop())
    assert.is_true(waiter:join())
    assert.is_true(server:wait())
    assert.is_false(server:isopen())
    assert.is_false(a:isopen())
    assert.same({}, server:clients())
    assert.fails("ECLOSED", server:getsockname())
    assert.fails("ECLOSED", ipx.open { carrier = server })
    assert.equal("neap.ipx.server (closed)", tostring(server))
  end)

  works("answers from the address that was asked, on a machine that has several", function()
    local server <close> = assert(ipx.server("*", 0))
    local ip, port = server:getsockname()
    assert.equal("0.0.0.0", ip)
    for i = 1, 3 do
      local carrier <close> = assert(ipx.ipxnet("127.0.0." .. i, port, { timeout = 5, bind = "127.0.0.9" }))
      assert.equal(ipx.node("127.0.0.9", select(2, carrier:getsockname())), (select(2, carrier:getaddress())))
    end
    assert.equal(3, #server:clients())
  end)

  works("is forgotten by the collector", function()
    local function make() return (select(2, serve())) end
    local port <const> = make()
    collectgarbage()
    collectgarbage()
    assert(udp.open("127.0.0.1", port)):close()
  end)

  works("raises on wrong arguments", function()
    raises("bad argument #1", ipx.server, 5, 213)
    raises("bad argument #2", ipx.server, "127.0.0.1", 65536)
    raises("option 'max_clients'", ipx.server, "127.0.0.1", 0, { max_clients = 0 })
    for _, idle in ipairs { -1, 0, 0.001 } do raises("option 'idle'", ipx.server, "127.0.0.1", 0, { idle = idle }) end
    raises("unknown option 'maxclients'", ipx.server, "127.0.0.1", 0, { maxclients = 1 })
    local server <close>, port = serve()
    assert.fails("EADDRINUSE", ipx.server("127.0.0.1", port))
    raises("bad argument #1", server.wait, server, "long")
    raises("bad self", server.clients, 5)
    raises("bad self", server.statistics, 5)
  end)
end)

describe("ipx.ipxnet", function()
  works("asks again when the answer is lost", function()
    local fake <close> = assert(udp.open("127.0.0.1", 0, { timeout = 5 }))
    local _, port = fake:getsockname()
    local connecting <const> = neap.spawn(ipx.ipxnet, "127.0.0.1", port, { timeout = 5 })
    local data, ip, from
    for i = 1, 3 do
      data, ip, from = fake:receive()
      assert.equal(REGISTRATION, data)
      if i == 1 then fake:sendto("no packet", ip, from) end
      if i == 2 then fake:sendto(REGISTRATION, ip, from) end -- no answer either: to no node
    end
    assert(fake:sendto(packet_of { dst_node = "0a:00:00:01:00:07", src_network = 1 }, ip, from))
    local carrier <close> = assert(connecting:join())
    assert.same({ 0, "0a:00:00:01:00:07" }, { carrier:getaddress() })
    assert.is_true(carrier:statistics().registered)
    assert.equal(3, carrier:statistics().registrations)
    assert.equal("ipxnet", carrier:kind())
  end)

  works("fails at once where nobody listens, and in time where nobody answers", function()
    local silent <close> = assert(udp.open("127.0.0.1", 0))
    local _, port = silent:getsockname()
    assert.takes(0.1, 2, function()
      assert.fails("ETIMEDOUT", ipx.ipxnet("127.0.0.1", port, { timeout = 0.1 }))
    end)
    silent:close()
    local value, why, code = ipx.ipxnet("127.0.0.1", port)
    assert.fails("ECONNREFUSED", value, why, code)
    assert.equal(("ipx.ipxnet 127.0.0.1:%d: Connection refused"):format(port), why)
  end)

  works("can be interrupted, and leaves nothing behind", function()
    local silent <close> = assert(udp.open("127.0.0.1", 0))
    local _, port = silent:getsockname()
    assert.fails("ETIMEDOUT", neap.timeout(0.02, ipx.ipxnet, "127.0.0.1", port))
  end)

  works("answers pings, while nobody waits for anything", function()
    local server <close>, port = serve()
    local carrier <close> = assert(ipx.ipxnet("127.0.0.1", port))
    local sock <close>, node = box(port)
    assert(sock:send(packet_of { src_node = node, dst_node = ipx.BROADCAST, src_network = 3 }))
    local pong <const> = assert(wire.decode((assert(sock:receive())), "ipx")).ipx
    assert.same({ node, ECHO, 3, (select(2, carrier:getaddress())), ECHO, 30 }, { pong.dst_node, pong.dst_socket,
      pong.dst_network, pong.src_node, pong.src_socket, pong.length })
    assert.equal(1, carrier:statistics().pings)
    assert.is_true(server:isopen())
  end)

  works("is known again by a server that was away", function()
    local server = assert(ipx.server("127.0.0.1", 0))
    local _, port = server:getsockname()
    local carrier <close> = assert(ipx.ipxnet("127.0.0.1", port, { keepalive = 0.05 * helper.slow }))
    local a <close> = assert(ipx.open { carrier = carrier, socket = 0x5000, timeout = 5 })
    local reader <const> = neap.spawn(a.receive, a)
    eventually(function() return carrier:statistics().registrations >= 3 end) -- it says that it is there
    server:stop()
    eventually(function() return not carrier:statistics().registered end)
    server = assert(ipx.server("127.0.0.1", port))
    local held <close> = server
    eventually(function() return carrier:statistics().registered and #server:clients() == 1 end)
    local b <close> = assert(ipx.open { carrier = server })
    assert(b:sendto("welcome back", a:getsockname()))
    assert.equal("welcome back", (reader:join()))
  end)

  works("takes the node that it is given anew", function()
    local fake <close> = assert(udp.open("127.0.0.1", 0, { timeout = 5 }))
    local _, port = fake:getsockname()
    local connecting <const> = neap.spawn(ipx.ipxnet, "127.0.0.1", port, { timeout = 5, keepalive = 0.05 })
    local _, ip, from = fake:receive()
    assert(fake:sendto(packet_of { dst_node = "0a:00:00:01:00:07" }, ip, from))
    local carrier <close> = assert(connecting:join())
    local data
    repeat data = assert(fake:receive()) until data ~= REGISTRATION
    assert.equal("0a:00:00:01:00:07", assert(wire.decode(data, "ipx")).ipx.src_node) -- it says who it was
    assert(fake:sendto(packet_of { dst_node = "0a:00:00:01:00:08" }, ip, from))
    eventually(function() return select(2, carrier:getaddress()) == "0a:00:00:01:00:08" end)
    -- and is not sent elsewhere by what it did not ask for
    assert(fake:sendto(packet_of { dst_node = NOWHERE }, ip, from))
  end)

  works("has checksums, which whoever has them checks", function()
    local server <close>, port = serve()
    local carrier <close> = assert(ipx.ipxnet("127.0.0.1", port))
    local a <close> = assert(ipx.open { carrier = carrier, checksum = true, timeout = 5 })
    local sock <close>, node = box(port)
    for _, text in ipairs { "", "odd", "even" } do
      assert(a:sendto(text, 0, node, 9))
      local data <const> = assert(sock:receive())
      local read <const> = assert(wire.decode(data, "ipx"))
      assert.not_equal(0xffff, read.ipx.checksum)
      assert.is_nil(read.ipx.checksum_ok)
      -- back with the addresses turned round the sum is the same: it is a sum
      local head <const>, to <const>, back <const>, rest <const> = data:sub(1, 6), data:sub(7, 18), data:sub(19, 30),
        data:sub(31)
      if text == "even" then assert(sock:send(head .. back .. to .. "evil")) end
      assert(sock:send(head .. back .. to .. rest))
      assert.equal(text, (a:receive()))
    end
    assert.equal(1, carrier:statistics().checksum)
    assert.is_true(server:isopen())
  end)

  works("raises on wrong arguments", function()
    raises("bad argument #1", ipx.ipxnet)
    raises("bad argument #2", ipx.ipxnet, "127.0.0.1", 0)
    for _, keepalive in ipairs { "yes", 0, 0.001 } do
      raises("option 'keepalive'", ipx.ipxnet, "127.0.0.1", 213, { keepalive = keepalive })
    end
    raises("option 'bind'", ipx.ipxnet, "127.0.0.1", 213, { bind = "localhost" })
    raises("option 'mtu'", ipx.ipxnet, "127.0.0.1", 213, { mtu = 65508 })
  end)
end)

describe("examples/ipxnet_server.lua", function()
  works("is where chats meet, and tells who came and went", function()
    local server <close> = lab.example("ipxnet_server.lua", "-i", "30", "-m", "3", "127.0.0.1", "0")
    local port <const> = lab.printed(server, "\n"):match "port (%d+)\n"
    local ann <close> = lab.example("ipx_chat.lua", "-n", "ann", "ipxnet:127.0.0.1:" .. port)
    lab.printed(ann, "* ipxnet:")
    local bob <close> = lab.example("ipx_chat.lua", "-nbob", "-s0x5000", "ipxnet:127.0.0.1:" .. port)
    lab.printed(bob, "* ipxnet:")
    assert(ann.input:write "ahoy\27[2J\n")
    lab.printed(bob, ": ann: ahoy?[2J\n")
    assert(bob.input:write "ahoy yourself\n")
    lab.printed(ann, ": bob: ahoy yourself\n")
    lab.printed(server, "is here, as 7f:00:00:01:")
    require "probe".kill(server.pid, require "probe".SIGTERM)
    assert.matches("%* %d+ packets came, 2 went on, 0 clients were refused", server.output:read "a")
  end)

  works("say how they are used", function()
    for _, name in ipairs { "ipx_chat.lua", "ipxnet_server.lua" } do
      local program <close> = lab.example(name, "-z")
      assert.matches("usage: " .. name:gsub("%p", "%%%0"), program.output:read "a")
    end
    local program <close> = lab.example("ipx_chat.lua", "token-ring:0")
    assert.matches("option 'carrier'", program.output:read "a")
  end)
end)
