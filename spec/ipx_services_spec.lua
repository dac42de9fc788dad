--- Who tells of services on an IPX network, and who asks for them: SAP and RIP,
-- also as a peer by hand and tshark see them.
local helper <const> = require "support.helper"
local lab <const> = require "support.ipx_lab"
local ipx <const> = require "neap.ipx"
local pcap <const> = require "neap.pcap"
local wire <const> = require "neap.wire"

local eventually <const> = helper.eventually
local SAP <const>, RIP <const>, FILES <const>, PRINTS <const> = 0x452, 0x453, 4, 7
local SERVICES <const> = {
  { name = "HARBOUR", type = FILES, socket = 0x451 }, { name = "QUAY", type = FILES, socket = 0x4010 },
  { name = "PRESS", type = PRINTS, socket = 0x8060 },
}

-- A network of two: body(left carrier, right carrier, a socket on the left).
local function works(name, body)
  it(name, function()
    helper.in_task(function()
      local left <close>, right = lab.udp_pair { network = 0xcafe }
      local held <close> = right
      local sock <close> = assert(ipx.open { carrier = left, broadcast = true, timeout = 5 })
      return body(left, right, sock)
    end)
  end)
end

local function raises(text, fn, ...)
  local given <const> = table.pack(...)
  local ok <const>, err <const> = pcall(function()
    local result = fn(table.unpack(given, 1, given.n))
    return result -- no tail call: that has no line
  end)
  assert.is_false(ok, text)
  assert.matches("^spec/ipx_services_spec%.lua:%d+: ", tostring(err))
  assert.is_truthy(tostring(err):find(text, 1, true), tostring(err))
end

local function offer(carrier, more)
  local o <const> = { carrier = carrier, services = SERVICES, interval = 0 }
  for name, value in pairs(more or {}) do o[name] = value end
  return assert(ipx.services(o))
end

-- Asks everybody, and returns what the next packet of that layer says.
local function ask(sock, layer, socket)
  assert(sock:sendto(wire.encode { layer }, 0, ipx.BROADCAST, socket))
  local data, info = assert(sock:receivemsg())
  return assert(wire.decode(data, layer.layer))[layer.layer], info
end

local function names(list)
  local all <const> = {}
  for i, one in ipairs(list) do all[i] = one.name end
  return all
end

describe("ipx.services", function()
  works("answers who asks for all of a type, for all there are, and for the nearest", function(_, right, sock)
    local services <close> = offer(right)
    local answer, info = ask(sock, { layer = "sap", operation = 1, type = FILES }, SAP)
    local network, node = right:getaddress()
    assert.same({ 2, { "HARBOUR", "QUAY" } }, { answer.operation, names(answer.services) })
    assert.same({ SAP, 4, node }, { info.socket, info.type, info.node })
    assert.same({ type = FILES, name = "HARBOUR", network = network, node = node, socket = 0x451, hops = 1 },
      answer.services[1])
    answer = ask(sock, { layer = "sap", operation = 1, type = 0xffff }, SAP)
    assert.same({ "HARBOUR", "QUAY", "PRESS" }, names(answer.services))
    answer = ask(sock, { layer = "sap", operation = 3, type = PRINTS }, SAP)
    assert.same({ 4, { "PRESS" } }, { answer.operation, names(answer.services) })
    answer = ask(sock, { layer = "sap", operation = 3, type = FILES }, SAP)
    assert.same({ 4, { "HARBOUR" } }, { answer.operation, names(answer.services) })
    assert.equal(4, services:statistics().questions)
  end)

  works("is silent on what it has not, and what is no question", function(_, right, sock)
    local services <close> = offer(right)
    local _, node = right:getaddress()
    for _, layers in ipairs {
      { { layer = "sap", operation = 1, type = 99 } }, { { layer = "sap", operation = 3, type = 99 } },
      { { layer = "sap", operation = 2, services = {} } }, { { layer = "sap", operation = 77 } }, { "\1" }, { "" },
      { { layer = "sap", operation = 1 }, "more than a question" },
    } do
      assert(sock:sendto(wire.encode(layers), 0, node, SAP))
    end
    for _, layers in ipairs {
      { { layer = "rip", operation = 1, routes = { { network = 5 } } } }, { { layer = "rip", operation = 2 } },
      { { layer = "rip", operation = 1 }, "\0\0\0\0" }, { "" },
    } do
      assert(sock:sendto(wire.encode(layers), 0, node, RIP))
    end
    local answer <const> = ask(sock, { layer = "rip", routes = { { network = 0xffffffff } } }, RIP)
    assert.equal(2, answer.operation) -- the first answer of all
    assert.is_true(services:isopen())
  end)

  works("tells many services in as many packets as it takes", function(_, right, sock)
    local many <const> = {}
    for i = 1, 20 do many[i] = { name = ("SERVICE %d"):format(i), type = FILES, socket = i } end
    local services <close> = offer(right, { services = many })
    local seen <const> = names(ask(sock, { layer = "sap", operation = 1, type = FILES }, SAP).services)
    assert.equal(7, #seen)
    for _, n in ipairs { 7, 6 } do
      local list <const> = names(assert(wire.decode((assert(sock:receive())), "sap")).sap.services)
      assert.equal(n, #list)
      table.move(list, 1, #list, #seen + 1, seen)
    end
    for i = 1, 20 do assert.equal(("SERVICE %d"):format(i), seen[i]) end
    assert.is_true(services:isopen())
  end)

  works("answers who asks for networks: its own, or those that are named", function(_, right, sock)
    do
      local services <close> = offer(right)
      local answer <const>, info <const> = ask(sock, { layer = "rip", routes = { { network = 0xcafe } } }, RIP)
      assert.same({ 2, { { network = 0xcafe, hops = 1, ticks = 1 } } }, { answer.operation, answer.routes })
      assert.same({ RIP, 1 }, { info.socket, info.type })
      assert.equal(1, services:statistics().questions)
    end
    local services <close> = offer(right, { networks = { 1, 2, 3 } })
    local answer = ask(sock, { layer = "rip", routes = { { network = 3 }, { network = 9 } } }, RIP)
    assert.same({ { network = 3, hops = 1, ticks = 1 } }, answer.routes)
    answer = ask(sock, { layer = "rip", routes = { { network = 0xffffffff } } }, RIP)
    assert.equal(3, #answer.routes)
    assert.is_true(services:isopen())
  end)

  works("says again and again what there is, and in the end that it is gone", function(left, right)
    local sap <close> = assert(ipx.open { carrier = left, socket = SAP, timeout = 5 })
    local rip <close> = assert(ipx.open { carrier = left, socket = RIP, timeout = 5 })
    local services <close> = offer(right, { interval = 0.02 })
    for _ = 1, 3 do
      local data, info = assert(sap:receivemsg())
      local said <const> = assert(wire.decode(data, "sap")).sap
      assert.same({ 2, { "HARBOUR", "QUAY", "PRESS" } }, { said.operation, names(said.services) })
      assert.equal(ipx.BROADCAST, info.local_node)
      assert.equal(0xcafe, assert(wire.decode((assert(rip:receive())), "rip")).rip.routes[1].network)
    end
    assert.is_true(services:stop())
    local hops
    repeat hops = assert(wire.decode((assert(sap:receive())), "sap")).sap.services[1].hops until hops == 16
    repeat hops = assert(wire.decode((assert(rip:receive())), "rip")).rip.routes[1].hops until hops == 16
    assert.is_false(services:isopen())
    assert.is_true(services:stop())
  end)

  works("has both sockets to itself, and gives them back", function(_, right)
    local services <close> = offer(right)
    assert.fails("EADDRINUSE", ipx.services { carrier = right, services = SERVICES })
    assert.fails("EADDRINUSE", ipx.open { carrier = right, socket = SAP })
    assert.is_true(services:close())
    local rip <close> = assert(ipx.open { carrier = right, socket = RIP })
    assert.fails("EADDRINUSE", ipx.services { carrier = right, services = SERVICES })
    assert.is_true(rip:close())
    offer(right):close()
    right:close()
    assert.fails("ECLOSED", ipx.services { carrier = right, services = SERVICES })
  end)

  works("ends with its carrier, and when it is forgotten", function(_, right)
    local function forget() offer(right, { interval = 60 }) end
    forget()
    collectgarbage()
    collectgarbage()
    eventually(function() return right:statistics().sockets == 0 end)
    local services <const> = offer(right, { interval = 60 })
    right:close()
    eventually(function() return not services:isopen() end)
    assert.is_true(services:stop())
  end)

  works("tells what a short packet has room for, and needs room for one", function(left, right)
    right:close()
    local port <const> = select(2, left:getsockname())
    local function short(mtu)
      return assert(ipx.udp { bind = "127.0.0.2", port = port, peers = { "127.0.0.1" }, network = 0xcafe, mtu = mtu })
    end
    do
      local carrier <close> = short(95)
      assert.fails("EMSGSIZE", ipx.services { carrier = carrier, services = SERVICES })
    end
    local carrier <close> = short(96)
    local services <close> = offer(carrier, { networks = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } })
    assert.equal(3, #assert(ipx.find { carrier = left, timeout = 0.1 }))
    local sock <close> = assert(ipx.open { carrier = left, broadcast = true, timeout = 5 })
    local first <const> = ask(sock, { layer = "rip", routes = { { network = 0xffffffff } } }, RIP)
    local second <const> = assert(wire.decode((assert(sock:receive())), "rip")).rip
    assert.same({ 8, 2 }, { #first.routes, #second.routes })
    assert.is_true(services:isopen())
  end)

  works("is what tshark reads", function(_, right, sock)
    helper.need_program "tshark"
    local services <close> = offer(right)
    local file <const> = helper.tmpname ".pcap"
    local out <close> = assert(pcap.create(file, { linktype = "ethernet" }))
    local function keep(layers, socket, data)
      out:write(wire.encode { { layer = "ethernet" }, { layer = "ipx", src_socket = socket, dst_socket = 0x4000,
        packet_type = 4 }, data })
      return layers
    end
    assert(sock:sendto(wire.encode { { layer = "sap", operation = 1, type = 0xffff } }, 0, ipx.BROADCAST, SAP))
    keep("sap", SAP, (assert(sock:receive())))
    assert(sock:sendto(wire.encode { { layer = "rip", routes = { { network = 0xcafe } } } }, 0, ipx.BROADCAST, RIP))
    keep("rip", RIP, (assert(sock:receive())))
    out:close()
    local pipe <close> = assert(io.popen(("tshark -r %s -V 2>/dev/null"):format(helper.quote(file))))
    local told <const> = pipe:read "a"
    for _, text in ipairs { "Server Name: HARBOUR", "Server Name: QUAY", "Server Name: PRESS",
      "Packet Type: General Response", "0000cafe", "Routing Information Protocol" } do
      assert.is_truthy(told:lower():find(text:lower(), 1, true), ("no %q in:\n%s"):format(text, told))
    end
    assert.is_nil(told:find("Malformed", 1, true))
    assert.is_true(services:isopen())
  end)

  works("raises on wrong options", function(left)
    for _, case in ipairs {
      { {}, "option 'carrier'" }, { { carrier = "udp:127.0.0.1" }, "option 'carrier'" },
      { { carrier = left, services = { { type = 4, socket = 1 } } }, "the name of number 1" },
      { { carrier = left, services = { { name = ("x"):rep(48), type = 4, socket = 1 } } }, "the name of number 1" },
      { { carrier = left, services = { { name = "A\0B", type = 4, socket = 1 } } }, "the name of number 1" },
      { { carrier = left, services = { { name = "A", socket = 1 } } }, "needs a type and a socket" },
      { { carrier = left, services = { { name = "A", type = 0xffff, socket = 1 } } }, "needs a type and a socket" },
      { { carrier = left, services = { { name = "A", type = 1, socket = 65536 } } }, "needs a type and a socket" },
      { { carrier = left, services = { { name = "A", kind = 1 } } }, "unknown option 'kind'" },
      { { carrier = left, services = { name = "A", type = 1, socket = 1 } }, "option 'services' must be a list" },
      { { carrier = left, networks = { 0 } }, "option 'networks'" },
      { { carrier = left, networks = { first = 1 } }, "option 'networks'" },
      { { carrier = left, interval = -1 }, "option 'interval'" },
      { { carrier = left, interval = 0.001 }, "option 'interval'" },
      { { carrier = left, period = 1 }, "unknown option 'period'" },
    } do
      raises(case[2], ipx.services, case[1])
    end
    raises("bad argument #1", ipx.services)
    local services <const> = offer(left)
    raises("bad self", services.stop, 5)
    services:close()
  end)
end)

describe("ipx.find", function()
  works("lists who offers a type, or anything, or the first that answers", function(left, right)
    assert.same({}, ipx.find { carrier = left, timeout = 0.02 })
    local services <close> = offer(right)
    local network, node = right:getaddress()
    local list <const> = assert(ipx.find { carrier = left, type = FILES, timeout = 0.1 })
    assert.same({ "HARBOUR", "QUAY" }, names(list))
    assert.same({ type = FILES, name = "HARBOUR", network = network, node = node, socket = 0x451, hops = 1 }, list[1])
    assert.equal(3, #assert(ipx.find { carrier = left, timeout = 0.1 }))
    local nearest <const> = assert.takes(0, 1, ipx.find, { carrier = left, type = PRINTS, nearest = true, timeout = 5 })
    assert.same({ "PRESS" }, names(nearest))
    assert.is_true(services:isopen())
  end)

  works("finds what is on the same carrier, too", function(left)
    local services <close> = offer(left)
    assert.equal(1, #assert(ipx.find { carrier = left, type = PRINTS, nearest = true, timeout = 5 }))
    assert.is_true(services:isopen())
  end)

  works("is not taken in by answers that are none", function(left, right)
    local fake <close> = assert(ipx.open { carrier = right, socket = SAP, timeout = 5 })
    local neap <const> = require "neap"
    local liar <const> = neap.spawn(function()
      local _, network, node, socket = fake:receive()
      local function say(...) assert(fake:sendto(wire.encode { ... }, network, node, socket)) end
      say "nonsense"
      say { layer = "sap", operation = 1, type = 4 }
      say { layer = "sap", operation = 4, services = { { type = FILES, name = "GONE", hops = 16 } } }
      say { layer = "sap", operation = 4, services = { { type = PRINTS, name = "OTHER", hops = 1 } } }
      say { layer = "sap", operation = 4, services = { { type = FILES, name = "HERE", hops = 2 },
        { type = FILES, name = "HERE", hops = 3 }, { type = FILES, name = "HERE\0and what was in memory", hops = 3 },
        { type = FILES, name = "THERE\0..", hops = 3 } } }
    end)
    assert.same({ "HERE", "THERE" }, names(assert(ipx.find { carrier = left, type = FILES, timeout = 0.1 })))
    liar:join()
  end)

  works("raises on wrong options", function(left)
    raises("option 'carrier'", ipx.find, { type = 4 })
    raises("option 'type'", ipx.find, { carrier = left, type = 0 })
    raises("unknown option 'kind'", ipx.find, { carrier = left, kind = 4 })
    left:close()
    assert.fails("ECLOSED", ipx.find { carrier = left })
  end)

  it("says what failed, and fails on a carrier that is closed", function()
    helper.in_task(function()
      local carrier <const> = assert(ipx.udp { bind = "127.0.0.1", port = 0 })
      local value, why, code = ipx.find { carrier = carrier }
      assert.fails("ENETUNREACH", value, why, code)
      assert.matches("^ipx%.find: ", why)
      carrier:close()
      value, why, code = ipx.find { carrier = carrier }
      assert.fails("ECLOSED", value, why, code)
      assert.matches("^ipx%.find: ", why)
    end)
  end)

  works("ends in time, though answers come without end", function(left)
    local fake <close> = assert(ipx.open { carrier = left, socket = SAP, timeout = 5 })
    local neap <const> = require "neap"
    local finding <const> = neap.spawn(ipx.find, { carrier = left, type = FILES, timeout = 0.1 })
    local _, network, node, socket = fake:receive()
    local answer <const> = wire.encode {
      { layer = "sap", operation = 2, services = { { type = FILES, name = "QUAY", hops = 1 } } },
    }
    local enough <const> = neap.now() + 2
    while finding:status() ~= "done" and neap.now() < enough do
      for _ = 1, 100 do fake:put(answer, { network = network, node = node, socket = socket }) end
      neap.sleep(0)
    end
    assert.equal("done", finding:status())
    assert.same({ "QUAY" }, names(finding:join()))
  end)
end)
