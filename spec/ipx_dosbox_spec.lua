--- IPX with DOSBoxes, as their server and as their client: each runs in a
-- network namespace of the spec's own, and in it a small program of ours
-- (support/ipxecho.asm) that sends back what comes to its socket.
local helper <const> = require "support.helper"
local lab <const> = require "support.ipx_lab"
local netns <const> = require "support.netns"
local ipx <const> = require "neap.ipx"
local neap <const> = require "neap"

local eventually <const> = helper.eventually
local PORT <const>, SOCKET <const> = 213, 0x5000
local LONGEST <const> = 1423 -- a packet that DOSBox takes

local function works(name, body)
  it(name, function()
    lab.need_dosbox()
    netns.need()
    local l <close> = netns.lab()
    l:space():inside(helper.in_task, body)
  end)
end

-- Sends a message to whom the program is, and gets it back.
local function echoes(sock, node, data, options)
  local info <const> = { network = 0, node = node, socket = SOCKET, type = options and options.type }
  assert(sock:sendmsg(data, info))
  local got, from
  repeat
    got, from = assert(sock:receivemsg())
  until got ~= "ready"
  assert.is_true(data == got, ("%d bytes, got %d"):format(#data, #got))
  assert.same({ node, SOCKET }, { from.node, from.socket })
  return from
end

-- All that a DOS program can be asked for, by a socket here.
local function converse(sock, node)
  for _, n in ipairs { 1, 2, 3, 45, 46, 47, 511, 512, 545, 546, 547, 1393, LONGEST - 30 } do
    echoes(sock, node, ("\xa5\0"):rep(n):sub(1, n))
  end
  for _, type in ipairs { 0, 4, 17, 20, 255 } do
    assert.equal(type, echoes(sock, node, "of type " .. type, { type = type }).type)
  end
  for i = 1, 200 do echoes(sock, node, "round " .. i) end
end

local function waits_for(sock, text)
  local data, network, node, number
  repeat data, network, node, number = assert(sock:receive()) until data == text
  return network, node, number
end

describe("a DOSBox that is connected to ipx.server", function()
  works("talks to a socket of the server's, and to another client", function()
    local server <close> = assert(ipx.server("127.0.0.1", PORT, { mtu = LONGEST }))
    local a <close> = assert(ipx.open { carrier = server, socket = SOCKET, timeout = 20, broadcast = true })
    local other <close> = assert(ipx.ipxnet("127.0.0.1", PORT, { mtu = LONGEST }))
    local b <close> = assert(ipx.open { carrier = other, socket = SOCKET, timeout = 20, broadcast = true })
    local box <close> = lab.dosbox(("ipxnet connect 127.0.0.1 %d"):format(PORT), "ipxecho")
    local network, node, number = waits_for(a, "ready") -- it was broadcast
    assert.same({ 0, SOCKET }, { network, number })
    assert.equal(node, (select(2, waits_for(b, "ready"))))
    assert.matches("^7f:00:00:01:", node)
    assert.equal(2, #server:clients())

    converse(a, node)
    converse(b, node)
    assert(a:sendto("to everybody", 0, ipx.BROADCAST, SOCKET))
    waits_for(a, "to everybody") -- comes back from the DOSBox
    waits_for(b, "to everybody") -- comes from the socket
    assert(b:sendto("quit", 0, node, SOCKET))
    waits_for(b, "quit")
    assert(box.output:read "a")
  end)

  works("answers pings, so it is not taken for gone", function()
    local server <close> = assert(ipx.server("127.0.0.1", PORT, { idle = 0.4 * helper.slow }))
    local a <close> = assert(ipx.open { carrier = server, socket = SOCKET, timeout = 20 })
    local box <close> = lab.dosbox(("ipxnet connect 127.0.0.1 %d"):format(PORT), "ipxecho")
    local _, node = waits_for(a, "ready")
    neap.sleep(1 * helper.slow)
    assert.equal(1, #server:clients())
    assert.is_true(server:clients()[1].idle < 0.4 * helper.slow)
    echoes(a, node, "still there")
    assert(a:sendto("quit", 0, node, SOCKET))
    assert(box.output:read "a")
    eventually(function() return #server:clients() == 0 end)
    assert.equal(1, server:statistics().expired)
  end)

  works("lives through a flood, and what is no packet", function()
    local server <close> = assert(ipx.server("127.0.0.1", PORT, { mtu = LONGEST }))
    local a <close> = assert(ipx.open { carrier = server, socket = SOCKET, timeout = 20 })
    local box <close> = lab.dosbox(("ipxnet connect 127.0.0.1 %d"):format(PORT), "ipxecho")
    local _, node = waits_for(a, "ready")
    for i = 1, 3000 do assert(a:sendto("flood " .. i, 0, node, SOCKET)) end
    local last, count = 0, 0
    a:settimeout(0.3 * helper.slow)
    while true do
      local data <const> = a:receive()
      if not data then break end
      local number <const> = math.tointeger(tonumber(data:match "^flood (%d+)$"))
      assert.is_true(number > last) -- in order, though not all
      last, count = number, count + 1
    end
    assert.is_true(count > 0)
    a:settimeout(20)
    echoes(a, node, "after the flood")
    assert(a:sendto("quit", 0, node, SOCKET))
    assert(box.output:read "a")
  end)
end)

describe("a DOSBox that serves", function()
  -- A client of its, once it is there.
  local function patiently(options)
    local carrier
    eventually(function()
      local code, why
      carrier, why, code = ipx.ipxnet("127.0.0.1", PORT, options)
      if not carrier and code ~= "ECONNREFUSED" and code ~= "ETIMEDOUT" then error(why) end
      return carrier
    end, 20)
    return carrier
  end

  -- Who the program is: it says only once that it is ready, before we are
  -- there, so it is asked until it answers.
  local function find(sock)
    local before <const> = sock:gettimeout()
    local there
    sock:settimeout(0.1)
    eventually(function()
      assert(sock:sendto("who is there?", 0, ipx.BROADCAST, SOCKET))
      local data <const>, _, node <const> = sock:receive()
      there = data == "who is there?" and node
      return there
    end)
    while sock:receive() do end -- luacheck: ignore 542 -- it was asked more than once
    sock:settimeout(before)
    return there
  end

  -- It ends before its server has forwarded the answer.
  local function quit(sock, box)
    assert(sock:sendto("quit", 0, find(sock), SOCKET))
    assert(box.output:read "a")
  end

  works("registers us, and carries what we send to it and to each other", function()
    local box <close> = lab.dosbox(("ipxnet startserver %d"):format(PORT), "ipxecho")
    local left <close> = patiently { mtu = LONGEST }
    local right <close> = patiently { mtu = LONGEST }
    local a <close> = assert(ipx.open { carrier = left, timeout = 20, broadcast = true })
    local b <close> = assert(ipx.open { carrier = right, timeout = 20, broadcast = true })
    local network, node = left:getaddress()
    assert.equal(0, network)
    assert.equal(ipx.node(left:getsockname()), node)

    local there <const> = find(a)
    converse(a, there)
    converse(b, there)

    assert(a:sendto("from client to client", b:getsockname()))
    assert.same({ "from client to client", a:getsockname() }, { b:receive() })
    assert(b:sendto("to all", 0, ipx.BROADCAST, (select(3, a:getsockname()))))
    assert.equal("to all", (a:receive()))

    -- A ping by broadcast is answered by every client, us included.
    local ear <close> = assert(ipx.open { carrier = left, socket = 2, timeout = 20, broadcast = true })
    assert(ear:sendto("", 0, ipx.BROADCAST, 2))
    local answered <const> = {}
    for _ = 1, 2 do answered[select(3, assert(ear:receive()))] = true end
    assert.same({ [there] = true, [select(2, right:getaddress())] = true }, answered)

    quit(a, box)
  end)

  works("forgets us when it ends, and knows us again when it is back", function()
    local carrier <close> = (function()
      local box <close> = lab.dosbox(("ipxnet startserver %d"):format(PORT), "ipxecho")
      local made <const> = patiently { keepalive = 0.2 }
      local a <close> = assert(ipx.open { carrier = made, timeout = 5, broadcast = true })
      quit(a, box)
      return made
    end)()
    eventually(function() return not carrier:statistics().registered end)
    local box <close> = lab.dosbox(("ipxnet startserver %d"):format(PORT), "ipxecho")
    eventually(function() return carrier:statistics().registered end, 20)
    local a <close> = assert(ipx.open { carrier = carrier, timeout = 5, broadcast = true })
    quit(a, box)
  end)
end)

describe("examples/ipx_chat.lua", function()
  works("meets a DOSBox, as its server and as its client", function()
    local chat <close> = lab.example("ipx_chat.lua", "-n", "ann", ("server:127.0.0.1:%d"):format(PORT))
    lab.printed(chat, "* server:127.0.0.1:213 as 7f:00:00:01:00:d5\n")
    local box <close> = lab.dosbox(("ipxnet connect 127.0.0.1 %d"):format(PORT), "ipxecho")
    lab.printed(chat, ": ready\n")
    local other <close> = lab.example("ipx_chat.lua", "-n", "bob", ("ipxnet:127.0.0.1:%d"):format(PORT))
    lab.printed(other, "* ipxnet:")
    assert(other.input:write "ahoy\n")
    lab.printed(chat, ": bob: ahoy\n")
    lab.printed(other, ": bob: ahoy\n") -- from the DOSBox
    assert(chat.input:write "ahoy yourself\n")
    lab.printed(other, "7f:00:00:01:00:d5: ann: ahoy yourself\n")
    other.input:close()
    assert(other.output:read "a")
    chat.input:close()
    assert(chat.output:read "a")
    assert(box.pid)
  end)
end)
