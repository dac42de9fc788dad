--- SPX over carriers that are there: UDP on loopback, a server for DOSBoxes,
-- Ethernet between namespaces. The streams themselves are in spx_stream_spec,
-- the rules in spx_machine_spec.
local helper <const> = require "support.helper"
local ipx <const> = require "neap.ipx"
local ipx_lab <const> = require "support.ipx_lab"
local lab <const> = require "support.spx_lab"
local neap <const> = require "neap"
local netns <const> = require "support.netns"
local packet <const> = require "neap.packet"
local pcap <const> = require "neap.pcap"
local peers <const> = require "support.spx_peer"
local spx <const> = require "neap.spx"

local in_task <const> = helper.in_task
local eventually <const> = helper.eventually
local with <const> = lab.with

-- A test in a task that gets two carriers.
local function works(name, body, mtu)
  it(name, function()
    in_task(function()
      local ca <close>, cb = lab.carriers(mtu)
      local held <close> = cb
      body(ca, cb)
    end)
  end)
end

-- A test that gets a pair of streams.
local function paired(name, options, body, mtu)
  works(name, function(ca, cb)
    local a <close>, b = lab.over(ca, cb, options)
    local held <close> = b
    body(a, b, ca, cb)
  end, mtu)
end

local function node(carrier) return select(2, carrier:getaddress()) end

-- Random bytes, the same each time.
local function bytes(n)
  local block, state = {}, 99
  for i = 1, 4096 do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    block[i] = string.char(state >> 16 & 255)
  end
  block = table.concat(block)
  local parts <const> = {}
  for i = 1, n // #block + 1 do parts[i] = ("%08d"):format(i) .. block:sub(9) end
  return table.concat(parts):sub(1, n)
end

-- Brings data from one to the other and ends that direction; what came.
local function bring(from, to, data)
  local writer <const> = neap.spawn(function()
    assert(from:write(data))
    assert(from:shutdown "w")
  end)
  local got <const> = assert(to:read "a")
  writer:join()
  return got
end

for _, kind in ipairs { { "SPX", false, 534 }, { "SPX II", true, 1456 } } do
  local name <const>, two <const>, most <const> = table.unpack(kind)
  local options <const> = { spx2 = two, timeout = 5 }

  describe(name, function()
    paired("knows both ends", options, function(a, b, ca, cb)
      local network, its_node, socket = a:getpeername()
      assert.same({ 0, node(cb), 0x5000 }, { network, its_node, socket })
      assert.same({ a:getsockname() }, { b:getpeername() })
      assert.same({ b:getsockname() }, { a:getpeername() })
      assert.equal(node(ca), (select(2, a:getsockname())))
      for _, s in ipairs { a, b } do
        local info <const> = s:spxinfo()
        assert.same({ two and 2 or 1, most, "open", 0 },
          { info.version, info.maxdata, info.state, info.retransmissions })
      end
      assert.equal(a:spxinfo().id, b:spxinfo().remote_id)
      assert.equal(b:spxinfo().id, a:spxinfo().remote_id)
      assert.fails("EOPNOTSUPP", a:setsockopt("SO_KEEPALIVE", true))
      assert.fails("EOPNOTSUPP", a:getsockopt "SO_KEEPALIVE")
      assert.fails("EOPNOTSUPP", a:detach())
      a:close()
      assert.fails("ECLOSED", a:spxinfo())
    end, 1500)

    paired("keeps the borders and types of messages", options, function(a, b)
      assert.equal(a, a:send("one", { type = 7 }))
      assert.equal(a, a:send "two")
      assert.equal(a, a:send("", { type = 9 }))
      assert.equal(a, a:send("three, ", { eor = false }))
      assert.equal(a, a:send "and its end")
      for _, wanted in ipairs { { "one", 7 }, { "two", 0 }, { "", 9 }, { "three, and its end", 0 } } do
        local data, info = b:receivemsg()
        assert.equal(wanted[1], data)
        assert.same({ type = wanted[2], eor = true }, info)
      end
      local long <const> = bytes(300000)
      local writer <const> = neap.spawn(function() return a:send(long, { type = 3 }) end)
      local data, info = b:receivemsg()
      assert.is_true(data == long)
      assert.equal(3, info.type)
      assert.equal(a, writer:join())
      assert(a:write "bytes\n")
      assert.equal("bytes", b:read())
    end, 1500)

    paired("ends what setvbuf kept back by an empty message", options, function(a, b)
      a:setvbuf "full"
      assert(a:write "kept back")
      assert.equal(a, a:send "")
      assert.equal("kept back", (b:receivemsg()))
    end, 1500)

    paired("lets nothing go on with a message that was given up midway", with(options, { timeout = 0.3 }), function(a)
      local data, why, code, taken = a:send(bytes(1000000))
      assert.fails("ETIMEDOUT", data, why, code)
      assert.is_true(taken > 0 and taken < 1000000)
      for _ = 1, 2 do
        data, why, code, taken = a:send "another"
        assert.fails("EPIPE", data, why, code)
        assert.equal(0, taken)
      end
    end, 1500)

    paired("tells the length of a message that is too long, and goes on", with(options, { maxmessage = 1000 }),
      function(a, b)
        local writer <const> = neap.spawn(function()
          assert(a:send(("x"):rep(1001)))
          assert(a:send(("y"):rep(1000)))
        end)
        local data, why, code = b:receivemsg()
        assert.fails("EMSGSIZE", data, why, code)
        assert.matches("1001 bytes, limit 1000", why)
        assert.equal(("y"):rep(1000), b:receivemsg())
        writer:join()
      end)

    paired("ends a stream of messages", options, function(a, b)
      assert(a:send "last")
      assert(a:close())
      assert.equal("last", b:receivemsg())
      assert.fails("EOF", b:receivemsg())
      assert.fails("EPIPE", b:send "too late")
    end)

    paired("refuses types that are its own", options, function(a)
      for _, type in ipairs { 0xfc, 0xfd, 0xfe, 0xff } do assert.fails("EINVAL", a:send("x", { type = type })) end
      assert.raises("'type'", function() a:send("x", { type = 256 }) end)
      assert.raises("unknown field 'typ'", function() a:send("x", { typ = 1 }) end)
      assert.raises("unknown field 'ppid'", function() a:send("x", { ppid = 1 }) end)
      assert.equal(a, a:send("x", { type = 0xfb }))
    end)

    paired("stops who writes when nobody reads, and goes on", with(options, {
      window = 4, timeout = 0.1 * helper.slow,
    }), function(a, b)
      local all <const> = bytes(1 << 20)
      local _, _, code, taken = a:write(all)
      assert.equal("ETIMEDOUT", code)
      assert.is_true(taken < 150000)
      helper.eventually(function() return a:spxinfo().peer_window == 0 end)
      a:settimeout(5 * helper.slow)
      b:settimeout(5 * helper.slow)
      local writer <const> = neap.spawn(function()
        assert(a:write(all:sub(taken + 1)))
        assert(a:close())
      end)
      assert.is_true(b:read "a" == all)
      writer:join()
    end)

    paired("outlives the close of its stream with what was written", options, function(a, b)
      local all <const> = bytes(40000)
      assert(a:write(all))
      a:settimeout(0.01)
      a:close()
      assert.is_true(b:read "a" == all)
    end)

    works("connects many at once", function(ca, cb)
      local l <close> = assert(spx.listen(with({ carrier = cb, socket = 0x1234 }, options)))
      local server <const> = neap.spawn(l.serve, l, function(s)
        for line in s:lines() do assert(s:write(line:upper(), "\n")) end
      end)
      local group <close> = neap.group()
      for i = 1, 60 do
        group:spawn(function()
          local s <close> = assert(spx.connect(0, node(cb), 0x1234, with({ carrier = ca }, options)))
          for j = 1, 5 do
            assert(s:write("line ", i, ".", j, "\n"))
            assert.equal(("LINE %d.%d"):format(i, j), s:read())
          end
        end)
      end
      group:wait()
      eventually(function() return l:statistics().connections == 0 end)
      local seen <const> = l:statistics()
      assert.same({ 60, 0, 0 }, { seen.requests, seen.refused, seen.failed })
      assert(l:stop())
      assert.is_true(server:join())
    end)

    works("works between two sockets of one carrier", function(ca)
      local a <close>, b = lab.over(ca, ca, options)
      local held <close> = b
      local all <const> = bytes(200000)
      local writer <const> = neap.spawn(function() assert(a:write(all)) assert(a:close()) end)
      assert.is_true(b:read "a" == all)
      writer:join()
    end)

    works("bears a client that vanishes", function(ca, cb)
      local l <close> = assert(spx.listen(with({
        carrier = cb, socket = 7, watchdog = { verify = 0.05, listen = 0.1, abort = 0.4 },
      }, options)))
      local accepted <const> = neap.spawn(function() return l:accept() end)
      local dumb <close> = assert(ipx.open { carrier = ca, socket = 0x4444 })
      local to <const> = { network = 0, node = node(cb), socket = 7, type = 5 }
      assert(dumb:sendmsg(peers.bytes { cc = 0xc0, src = 3, dst = 0xffff, alloc = 9 }, to))
      local answer <const> = peers.packet((dumb:receivemsg()))
      assert(dumb:sendmsg(peers.bytes { cc = 0x80, src = 3, dst = answer.src, alloc = 9 }, to))
      local s <close> = assert(accepted:join())
      assert.takes(0.2, 2, function() assert.fails("ETIMEDOUT", s:read(1)) end)
      assert.fails("ETIMEDOUT", s:write "x")
      assert.equal("closed", s:spxinfo().state)
    end)
  end)
end

describe("SPX without SPX II", function()
  paired("has no half-close, but an end", { spx2 = false, timeout = 5 }, function(a, b)
    assert.fails("EOPNOTSUPP", a:shutdown "w")
    assert(a:write "before")
    assert.equal(a, a:shutdown "rw")
    assert.equal("before", b:read "a")
    assert.fails("EPIPE", b:write "after")
    assert.fails("EPIPE", a:write "after")
  end)

  for _, case in ipairs {
    { false, true, 1 }, { true, false, 1 }, { true, true, 2 }, { "require", true, 2 }, { true, "require", 2 },
  } do
    works(("is what remains of %s and %s"):format(case[1], case[2]), function(ca, cb)
      local l <close> = assert(spx.listen { carrier = cb, socket = 9, spx2 = case[2] })
      local server <const> = neap.spawn(function() return l:accept(5) end)
      local a <close> = assert(spx.connect(0, node(cb), 9, { carrier = ca, spx2 = case[1], timeout = 5 }))
      local b <close> = assert(server:join())
      assert.same({ case[3], case[3] }, { a:spxinfo().version, b:spxinfo().version })
      assert(a:write "through")
      assert(a:close())
      assert.equal("through", b:read "a")
    end)
  end

  works("is refused where SPX II is required", function(ca, cb)
    local l <close> = assert(spx.listen { carrier = cb, socket = 9, spx2 = false })
    local s, why, code = spx.connect(0, node(cb), 9, { carrier = ca, spx2 = "require", timeout = 5 })
    assert.fails("EPROTONOSUPPORT", s, why, code)
    assert.matches("the peer has no SPX II", why)
    local m <close> = assert(spx.listen { carrier = cb, socket = 10, spx2 = "require" })
    assert.fails("ETIMEDOUT", spx.connect(0, node(cb), 10, { carrier = ca, spx2 = false, timeout = 0.05 }))
  end)
end)

describe("spx.connect", function()
  works("to nobody fails within its timeout", function(ca, cb)
    assert.takes(0.04, 1, function()
      local s, why, code = spx.connect(0, node(cb), 0x5555, { carrier = ca, timeout = 0.05 })
      assert.fails("ETIMEDOUT", s, why, code)
      assert.matches("^spx.connect 00000000:00:00:7f:00:00:02:5555: timed out", why)
    end)
    assert.fails("ETIMEDOUT", neap.timeout(0.05, spx.connect, 0, node(cb), 0x5555, { carrier = ca }))
    assert.equal(0, ca:statistics().sockets)
  end)

  works("gives up after its retries", function(ca, cb)
    assert.takes(0.4, 2, function()
      assert.fails("ETIMEDOUT", spx.connect(0, node(cb), 0x5555, { carrier = ca, retries = 0 }))
    end)
  end)

  works("fails at once where there is no way", function(ca)
    assert.takes(0, 0.4, function()
      assert.fails("EHOSTUNREACH", spx.connect(0, "02:00:00:00:00:01", 5, { carrier = ca }))
    end)
    local cc <close> = assert(ipx.udp { bind = "127.0.0.3", port = 0, peers = { "127.0.0.1" }, network = 7 })
    assert.fails("ENETUNREACH", spx.connect(8, node(cc), 5, { carrier = cc }))
  end)

  works("can be cancelled, and leaves nothing", function(ca, cb)
    local task <const> = neap.spawn(spx.connect, 0, node(cb), 0x5555, { carrier = ca })
    neap.sleep(0.01)
    task:cancel()
    assert.fails("ECANCELED", task:join())
    eventually(function() return ca:statistics().sockets == 0 end)
  end)

  works("raises on what cannot be", function(ca, cb)
    local l <close> = assert(spx.listen { carrier = cb, socket = 9 })
    for _, case in ipairs {
      { "bad argument #1", -1, node(cb), 5 }, { "bad argument #1", 1 << 32, node(cb), 5 },
      { "bad argument #2", 0, "nobody", 5 }, { "bad argument #2", 0, ipx.BROADCAST, 5 },
      { "bad argument #3", 0, node(cb), 0 }, { "bad argument #3", 0, node(cb), 65536 },
    } do
      assert.raises(case[1], function() return spx.connect(case[2], case[3], case[4], { carrier = ca }) end)
    end
    for text, o in pairs {
      ["option 'carrier' is missing"] = {},
      ["option 'carrier' must be"] = { carrier = 5 },
      ["unknown option 'windw'"] = { carrier = ca, windw = 1 },
      ["option 'window' must be from 1 to 4096"] = { carrier = ca, window = 5000 },
      ["option 'buffer' must be"] = { carrier = ca, buffer = 1 },
      ["option 'spx2' must be"] = { carrier = ca, spx2 = "yes" },
      ["option 'socket' must be"] = { carrier = ca, socket = 70000 },
      ["option 'watchdog' must be"] = { carrier = ca, watchdog = true },
      ["unknown option 'watchdog.bark'"] = { carrier = ca, watchdog = { bark = 1 } },
      ["option 'watchdog.listen' must be"] = { carrier = ca, watchdog = { listen = 0 } },
      ["option 'watchdog.abort' must be"] = { carrier = ca, watchdog = { listen = 9, abort = 9 } },
    } do
      local err <const> = assert.raises(text, function()
        local s = spx.connect(0, node(cb), 9, o)
        return s
      end)
      assert.matches("^spec/spx_spec.lua", tostring(err))
    end
    assert.raises("unknown option 'backlog'", function() return spx.connect(0, node(cb), 9, { backlog = 1 }) end)
  end)

  it("makes a carrier of text, and closes it", function()
    in_task(function()
      local ca <close>, cb = lab.carriers()
      local _, port = cb:getsockname()
      cb:close()
      local l <close> = assert(spx.listen { carrier = ca, socket = 9 })
      local server <const> = neap.spawn(function() return l:accept(5) end)
      local text <const> = ("udp:127.0.0.2:%d"):format(port)
      local a <close> = assert(spx.connect(0, node(ca), 9, { carrier = text, timeout = 5 }))
      local b <close> = assert(server:join())
      assert.fails("EADDRINUSE", spx.connect(0, node(ca), 9, { carrier = text }))
      assert(a:write "x")
      assert.equal("x", b:read(1))
      a:close()
      assert.fails("EOF", b:read(1))
      local again
      eventually(function()
        again = ipx.udp { bind = "127.0.0.2", port = port, peers = {} }
        return again
      end)
      again:close()
    end)
  end)
end)

describe("spx.listen", function()
  works("keeps few who ask and say no more", function(ca, cb)
    local l <close> = assert(spx.listen { carrier = cb, socket = 7, backlog = 5 })
    local dumb <close> = assert(ipx.open { carrier = ca, socket = 0x4444 })
    for i = 1, 500 do
      assert(dumb:sendmsg(peers.bytes { cc = 0xc0, src = i, dst = 0xffff, alloc = 9 },
        { network = 0, node = node(cb), socket = 7, type = 5 }))
      if i % 50 == 0 then neap.sleep(0) end
    end
    eventually(function() return l:statistics().requests == 500 end)
    local seen <const> = l:statistics()
    assert.same({ 5, 495, 0 }, { seen.embryos, seen.refused, seen.ready })
    assert.fails("ETIMEDOUT", l:accept(0.01))
    assert.fails("ETIMEDOUT", spx.connect(0, node(cb), 7, { carrier = ca, timeout = 0.05 }))
  end)

  works("keeps few who are there and nobody accepts", function(ca, cb)
    local l <close> = assert(spx.listen { carrier = cb, socket = 7, backlog = 2 })
    local a <close> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    local b <close> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    eventually(function() return l:statistics().ready == 2 end)
    assert.fails("ETIMEDOUT", spx.connect(0, node(cb), 7, { carrier = ca, timeout = 0.05 }))
    assert(a:write "a") -- before it is accepted
    local first <close> = assert(l:accept(5))
    local c <close> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    assert.equal("a", first:read(1))
    assert.truthy(b and c)
  end)

  works("has no more connections than it is to have", function(ca, cb)
    local l <close> = assert(spx.listen { carrier = cb, socket = 7, max_connections = 1 })
    local a <const> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    local b <close> = assert(l:accept(5))
    assert.fails("ETIMEDOUT", spx.connect(0, node(cb), 7, { carrier = ca, timeout = 0.05 }))
    a:close()
    assert.fails("EOF", b:read(1))
    eventually(function() return l:statistics().connections == 0 end)
    local c <close> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    assert.truthy(c)
  end)

  works("closed, lets those live that it had accepted", function(ca, cb)
    local l <const> = assert(spx.listen { carrier = cb, socket = 7 })
    assert.same({ 0, node(cb), 7 }, { l:getsockname() })
    assert.matches("^neap.spx.listener %(0007%)$", tostring(l))
    local waits <const> = neap.spawn(function() return l:accept() end)
    local a <close> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    local b <close> = assert(waits:join())
    local left <close> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    eventually(function() return l:statistics().ready == 1 end)
    local more <const> = neap.spawn(function()
      local n = 0
      for s in l:connections() do
        s:close()
        n = n + 1
      end
      return n
    end)
    eventually(function() return l:statistics().ready == 0 end)
    assert.is_true(l:close())
    assert.is_true(l:close())
    assert.equal(1, more:join())
    assert.is_false(l:isopen())
    assert.fails("ECLOSED", l:accept())
    assert.fails("ECLOSED", l:getsockname())
    assert.matches("closed", tostring(l))
    assert.fails("EOF", left:read(1))
    assert(a:write "on")
    assert.equal("on", b:read(2))
    assert.fails("EADDRINUSE", spx.listen { carrier = cb, socket = 7 })
  end)

  works("closed, ends those that nobody has accepted", function(ca, cb)
    local l <const> = assert(spx.listen { carrier = cb, socket = 7 })
    local a <close> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    eventually(function() return l:statistics().ready == 1 end)
    l:close()
    assert.fails("EOF", a:read(1))
  end)

  works("tells what its handlers raise", function(ca, cb)
    local l <close> = assert(spx.listen { carrier = cb, socket = 7 })
    local told
    local server <const> = neap.spawn(l.serve, l, function(s)
      if s:read() == "bad" then error "a handler's" end
    end, { max_connections = 2, on_error = function(err, traceback, s) told = { err, traceback, s } end })
    local a <close> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    assert(a:write "bad\n")
    assert.fails("EOF", a:read())
    assert.matches("a handler's", told[1])
    assert.matches("stack traceback", told[2])
    assert(l:stop(1))
    assert.is_true(server:join())
    assert.raises("bad self", function() l.accept {} end)
  end)
end)

describe("an SPX socket", function()
  works("bears garbage by the thousand, and goes on", function(ca, cb)
    local l <close> = assert(spx.listen { carrier = cb, socket = 7 })
    local server <const> = neap.spawn(function() return l:accept(5) end)
    local a <close> = assert(spx.connect(0, node(cb), 7, { carrier = ca, timeout = 5 }))
    local b <close> = assert(server:join())
    local state = 31
    local function random(n)
      state = (state * 1103515245 + 12345) & 0x7fffffff
      return (state >> 8) % n
    end
    local evil <close> = assert(ipx.open { carrier = ca, socket = 0x4444 })
    local id <const> = b:spxinfo().id
    for i = 1, 3000 do
      local junk <const> = {}
      for j = 1, random(40) do junk[j] = string.char(random(256)) end
      local text = table.concat(junk)
      if i % 2 == 0 then
        text = peers.bytes { cc = random(256), type = random(256), src = random(65536), dst = id, seq = random(65536),
          ack = random(65536), alloc = random(65536), data = text }
      end
      assert(evil:sendmsg(text, { network = 0, node = node(cb), socket = 7, type = i % 10 == 0 and 4 or 5 }))
      if i % 100 == 0 then neap.sleep(0) end
    end
    local all <const> = bytes(100000)
    assert.is_true(bring(a, b, all) == all)
    assert.is_true(bring(b, a, all) == all)
  end)

  works("answers the end of a connection that it does not know", function(ca, cb)
    local l <close> = assert(spx.listen { carrier = cb, socket = 7 })
    local one <close> = assert(ipx.open { carrier = ca, socket = 0x4444, timeout = 5 })
    assert(one:sendmsg(peers.bytes { cc = 0x40, type = 0xfe, src = 5, dst = 6, seq = 3 },
      { network = 0, node = node(cb), socket = 7, type = 5 }))
    local p <const> = peers.packet((one:receivemsg()))
    assert.same({ 0, 0xff, 6, 5 }, { p.cc, p.type, p.src, p.dst })
    assert.is_true(l:isopen())
  end)

  works("whose carrier is closed fails", function(ca, cb)
    local a <close>, b = lab.over(ca, cb)
    local held <close> = b
    local reader <const> = neap.spawn(function() return a:read(1) end)
    neap.sleep(0)
    ca:close()
    assert.fails("ECONNABORTED", reader:join())
    assert.fails("ECONNABORTED", a:write "x")
    assert.fails("EOF", b:read(1))
  end)

  it("that nobody has any more tells the other side", function()
    in_task(function()
      local ca <close>, cb = lab.carriers()
      local held <close> = cb
      local b
      do
        local a
        a, b = lab.over(ca, cb)
        assert(a:write "x")
        assert.equal("x", b:read(1))
      end
      local guard <close> = b
      collectgarbage()
      collectgarbage()
      assert.fails("EOF", b:read(1))
      assert.equal(0, ca:statistics().sockets)
    end)
  end)

  paired("carries TLS", { timeout = 5 }, function(a, b)
    helper.need_program "openssl"
    local tls <const> = require "support.tls_lab"
    require "neap.tls"
    local server <const> = neap.spawn(function()
      return b:starttls { server = true, context = tls.server_context(), timeout = 5 }
    end)
    assert(a:starttls { context = tls.client_context(), servername = "good.example", timeout = 5 })
    assert(server:join())
    local all <const> = bytes(500000)
    local writer <const> = neap.spawn(function() assert(a:write(all)) assert(a:close()) end)
    assert.is_true(b:read "a" == all)
    writer:join()
  end, 1500)

  works("talks to a stack of another's", function(ca, cb)
    local out <const>, back <const> = {}, {}
    for i = 1, 40 do
      out[i] = { ("out %d "):format(i):rep(20), i, true }
      back[i] = { ("back %d "):format(i):rep(20), i, true }
    end
    for _, two in ipairs { false, true } do
      local sock <close> = assert(ipx.open { carrier = cb, socket = 9, timeout = 5 })
      local peer <const> = peers.new({
        id = 77, spx2 = two, messages = back, expects = 40, leaves = true, window = 4,
      }, 0)
      local task <const> = neap.spawn(function()
        while peer.state ~= "gone" do
          local data, info = sock:receivemsg()
          if info.type == 5 then peer:input(data, neap.now()) end
          for p in function() return peer:take() end do
            assert(sock:sendmsg(p, { network = info.network, node = info.node, socket = info.socket, type = 5 }))
          end
        end
      end)
      local s <close> = assert(spx.connect(0, node(cb), 9, { carrier = ca, timeout = 5 }))
      assert.equal(two and 2 or 1, s:spxinfo().version)
      for _, m in ipairs(out) do assert(s:send(m[1], { type = m[2] })) end
      for _, m in ipairs(back) do
        local data, info = s:receivemsg()
        assert.same({ m[1], m[2] }, { data, info.type })
      end
      assert.fails("EOF", s:receivemsg())
      task:join()
      assert.same(out, peer.got)
    end
  end)
end)

describe("SPX through a server for DOSBoxes", function()
  it("works between its clients, and with itself", function()
    in_task(function()
      local server <close> = assert(ipx.server("127.0.0.1", 0))
      local _, port = server:getsockname()
      local ca <close> = assert(ipx.ipxnet("127.0.0.1", port, { timeout = 5 }))
      local cb <close> = assert(ipx.ipxnet("127.0.0.1", port, { timeout = 5 }))
      for _, pair in ipairs { { ca, cb }, { cb, server } } do
        local l <close> = assert(spx.listen { carrier = pair[2], socket = 0x6000 })
        local accepted <const> = neap.spawn(function() return l:accept(5) end)
        local _, its_node = l:getsockname()
        local a <close> = assert(spx.connect(0, its_node, 0x6000, { carrier = pair[1], timeout = 5 }))
        local b <close> = assert(accepted:join())
        local all <const> = bytes(300000)
        assert.is_true(bring(a, b, all) == all)
        assert.is_true(bring(b, a, all) == all)
      end
    end)
  end)
end)

describe("examples/spx_copy.lua", function()
  local function file_of(data)
    local path <const> = helper.tmpname()
    local file <close> = assert(io.open(path, "wb"))
    file:write(data)
    return path
  end

  local function contents(path)
    local file <close> = io.open(path, "rb")
    return file and file:read "a"
  end

  it("puts files and gets them", function()
    in_task(function()
      local server <close> = assert(ipx.server("127.0.0.1", 0))
      local _, port = server:getsockname()
      local carrier <const> = "ipxnet:127.0.0.1:" .. port
      local directory <const> = helper.tmpname()
      assert(os.execute("mkdir " .. directory))
      local there <close> = ipx_lab.example("spx_copy.lua", carrier, "serve", directory)
      local its_node <const> = ipx_lab.printed(there, "socket 0x5000"):match " at (%S+),"
      local all <const> = bytes(200000)
      local path <const>, back <const> = file_of(all), helper.tmpname()
      local name <const> = path:match "[^/]*$"
      local function copy(wanted, ...)
        local one <close> = ipx_lab.example("spx_copy.lua", carrier, its_node, ...)
        ipx_lab.printed(one, wanted)
      end
      copy("200000 bytes put", "put", path)
      assert.is_true(contents(directory .. "/" .. name) == all)
      copy("200000 bytes got", "get", name, back)
      assert.is_true(contents(back) == all)
      copy("0 bytes put", "put", file_of "")
      copy("spx_copy.lua: that is no name of a file", "get", "../" .. name, back)
      copy("No such file", "get", "nothing", back)
      copy("usage", "give")
    end)
  end)
end)

-- ---- between namespaces ----

-- What tshark makes of a capture: a list of tables of these fields.
local function read_capture(path, ...)
  local names <const> = { ... }
  local pipe <close> = assert(io.popen(("tshark -n -r %s -T fields -e %s 2>/dev/null"):format(path,
    table.concat(names, " -e "))))
  local list <const> = {}
  for line in pipe:lines() do
    local row <const>, i = {}, 0
    for value in (line .. "\t"):gmatch "(.-)\t" do
      i = i + 1
      row[names[i]] = value
    end
    list[#list + 1] = row
  end
  return list
end

-- Writes what passes the interface into a file until `done` is called: which
-- returns its path.
local function capture(space)
  local sock <const> = assert(space:inside(packet.open, space.interface, { rcvbuf = 8 << 20 }))
  local path <const> = helper.tmpname ".pcap"
  local writer <const> = assert(pcap.create(path))
  local task <const> = neap.spawn(function()
    for data in function() return (sock:receive()) end do assert(writer:write(data)) end
  end)
  return function()
    neap.sleep(0.05)
    sock:close()
    task:join()
    writer:close()
    return path
  end
end

describe("SPX over Ethernet", function()
  for _, framing in ipairs(helper.slow == 1 and { "ethernet2", "802.3", "802.2", "snap" } or { "ethernet2" }) do
    for _, two in ipairs { false, true } do
      it(("with the framing %s, %s, is what tshark knows"):format(framing, two and "SPX II" or "SPX"), function()
        netns.need()
        helper.need_program "tshark"
        in_task(function()
          local net <close> = netns.pair()
          local done <const> = capture(net.a)
          local mtu <const> = framing == "ethernet2" and 1500 or 1492
          local ca <close> = assert(net.a:inside(ipx.ethernet, "left", { framing = framing, mtu = mtu }))
          local cb <close> = assert(net.b:inside(ipx.ethernet, "right", { framing = framing, mtu = mtu }))
          local all <const> = bytes(100000)
          do
            local a <close>, b = lab.over(ca, cb, { spx2 = two, timeout = 5 })
            local held <close> = b
            assert.equal(two and mtu - 44 or 534, a:spxinfo().maxdata)
            assert(a:send("question", { type = 5 }))
            assert.equal("question", b:receivemsg())
            assert(b:write "answer\n")
            assert.equal("answer", a:read())
            local writer <const> = neap.spawn(function() assert(a:write(all)) assert(a:close()) end)
            assert.is_true(b:read "a" == all)
            writer:join()
            assert.equal(0, a:spxinfo() and 1 or 0)
          end
          local list <const> = read_capture(done(), "spx.ctl", "spx.type", "spx.seq", "spx.ack", "spx.alloc",
            "spx.rexmt_frame", "_ws.malformed", "spx.ctl.v2")
          local seen, second, malformed, again = 0, 0, 0, 0
          local kinds <const> = {}
          for _, p in ipairs(list) do
            if p["spx.ctl"] ~= "" then
              seen = seen + 1
              if p["spx.ctl.v2"] == "1" or p["spx.ctl.v2"] == "True" then second = second + 1 end
              -- The upper four bits; hexadecimal in one version, and not in another.
              kinds[("%02x %02x"):format(tonumber(p["spx.ctl"]), tonumber(p["spx.type"]))] = true
            end
            if p["_ws.malformed"] ~= "" then malformed = malformed + 1 end
            if p["spx.rexmt_frame"] ~= "" then again = again + 1 end
          end
          assert.equal(0, malformed)
          if helper.slow == 1 then assert.equal(0, again) end -- whoever answers late is asked again
          assert.is_true(seen > #all / mtu)
          assert.equal(two and seen or 0, second)
          for _, one in ipairs { "0c 00", "08 00", "05 05", "04 fe", "00 ff" } do
            assert.is_true(kinds[one] or false, one)
          end
        end)
      end)
    end
  end
end)

describe("SPX through a way that loses every tenth packet", function()
  -- MiB; NEAP_SPX_LOSS=64 for more, which takes longer.
  local size <const> = math.tointeger(tonumber(os.getenv "NEAP_SPX_LOSS" or "") or (helper.slow > 1 and 1 or 4))

  it(("brings %d MiB whole"):format(size), function()
    netns.need_drop()
    local function go()
      local net <close> = netns.pair()
      net.a:drop { every = 10 }
      net.b:drop { every = 10 }
      local ca <close> = assert(net.a:inside(ipx.udp, { bind = net.a.ip, peers = {}, mtu = 1452 }))
      local cb <close> = assert(net.b:inside(ipx.udp, { bind = net.b.ip, peers = {}, mtu = 1452 }))
      local a <close>, b = lab.over(ca, cb)
      local held <close> = b
      local all <const> = bytes(1 << 20)
      local writer <const> = neap.spawn(function()
        for _ = 1, size do assert(a:write(all)) end
        assert(a:shutdown "w")
      end)
      local began <const> = neap.now()
      for i = 1, size do assert(b:read(#all) == all, i) end
      assert.fails("EOF", b:read(1))
      writer:join()
      local took <const>, info <const> = neap.now() - began, a:spxinfo()
      if os.getenv "NEAP_SPX_LOSS" then
        print(("%d MiB in %.1f s, %d packets, %d again, round trip %.4f s"):format(size, took, info.packets_out,
          info.retransmissions, info.rtt))
      end
      assert.is_true(info.retransmissions > size * 700 * 0.05)
      a:close()
    end
    if size > 8 then neap.run(go) else in_task(go) end
  end)
end)
