--- Message sockets: what would be lost, mixed up or waited for in vain: queues of
-- errors that nobody reads, datagrams that the kernel put together, sockets that
-- are closed by their own tap, descriptors of another kind.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local udp <const> = require "neap.udp"
local unix <const> = require "neap.unix"

local in_task <const> = helper.in_task

local SHORT <const> = 0.05

-- A port of UDP that nobody has (any more).
local function closed_port()
  local s <close> = assert(udp.open("127.0.0.1", 0))
  return select(2, s:getsockname())
end

-- A socket, and one that is connected to it.
local function two(options)
  local far = assert(udp.open("127.0.0.1", 0, options))
  local near = assert(udp.connect(far:getsockname()))
  return far, near
end

-- Processor time of this process while a task waits in fn.
local function busy(fn)
  local task <const> = neap.spawn(fn)
  neap.sleep(SHORT)
  local began <const> = os.clock()
  neap.sleep(2 * SHORT)
  local spent <const> = os.clock() - began
  task:cancel()
  task:join()
  return spent
end

local function assert_idle(fn) assert.is_true(busy(fn) < SHORT) end

local WAYS <const> = { "receive", "receivemsg", "receivemany" }

describe("a wait of a message socket", function()
  for _, how in ipairs(WAYS) do
    it("is quiet while errors are queued that nobody takes: " .. how, function()
      in_task(function()
        local port <const> = closed_port()
        local s <close> = assert(udp.open("127.0.0.1", 0, { errors = true }))
        for _ = 1, 3 do assert(s:sendto("x", "127.0.0.1", port)) end
        assert_idle(function() s[how](s) end)
        assert.equal("ECONNREFUSED", assert(s:geterror(0)).code)
        local c <close> = assert(udp.connect("127.0.0.1", port, { errors = true }))
        c:send "x"
        helper.eventually(function() return select(3, c[how](c)) == "ECONNREFUSED" end)
        assert_idle(function() c[how](c) end)
      end)
    end)

    it("is quiet on a socket that came with its queue of errors: " .. how, function()
      in_task(function()
        local before <const> = assert(udp.open("127.0.0.1", 0, { errors = true }))
        local s <close> = assert(udp.open(nil, nil, { fd = before:detach() }))
        assert(s:sendto("x", "127.0.0.1", closed_port()))
        helper.eventually(function() return select(3, s[how](s)) == "ECONNREFUSED" end)
        assert_idle(function() s[how](s) end)
      end)
    end)

    it("ends on a socket that another has shut down: " .. how, function()
      in_task(function()
        local a <close>, b = assert(unix.datagram.pair())
        local again <close> = b
        assert(b:send "left")
        local other <const> = assert(unix.datagram.open(nil, { fd = a:fileno() }))
        assert(other:shutdown "r")
        assert.equal("left", a:receive())
        assert.same({ nil, "end of stream", "EOF" }, { a[how](a) })
        other:detach()
        assert(again:isopen())
      end)
    end)
  end

  it("for errors ends on a socket that was shut down", function()
    in_task(function()
      local far <close>, near = two()
      local s <close> = near
      assert(s:setsockopt("IP_RECVERR", true))
      assert(far:isopen() and s:shutdown "rw")
      assert.equal("EOF", (select(3, s:geterror())))
    end)
  end)

  it("for errors ends with one for which the queue had no room", function()
    in_task(function()
      local far <close>, near = two { errors = true, rcvbuf = 2304 }
      local c <close> = near
      for _ = 1, 50 do c:send(("x"):rep(1000)) end
      local task <const> = neap.spawn(function() return far:geterror(1) end)
      neap.sleep(0)
      assert(far:sendto("x", "127.0.0.1", closed_port()))
      assert.equal("ECONNREFUSED", task:join().code)
    end)
  end)
end)

describe("what was sent to others", function()
  it("fails neither receivemany nor sendmany", function()
    in_task(function()
      local s <close> = assert(udp.open("127.0.0.1", 0, { errors = true, timeout = SHORT }))
      local far <close> = assert(udp.open("127.0.0.1", 0))
      local ip <const>, port <const> = far:getsockname()
      assert(s:sendto("x", "127.0.0.1", closed_port()))
      assert.equal("ETIMEDOUT", (select(3, s:receivemany())))
      assert(s:sendto("x", "127.0.0.1", closed_port()))
      assert.equal(2, s:sendmany({ "a", "b" }, ip, port))
    end)
  end)
end)

describe("datagrams that came together", function()
  local TWO <const> = ("a"):rep(100) .. ("b"):rep(100)

  local function need_gro(s)
    helper.need(s:setsockopt("UDP_GRO", true), "the kernel does not put datagrams together")
    s:setsockopt("UDP_GRO", false)
  end

  it("come apart also when they are no longer to be put together", function()
    in_task(function()
      local far <close>, near = two { timeout = 1 }
      local c <close> = near
      for _ = 1, 256 do -- each alone: so many that it is given up
        assert(c:send "alone")
        assert(far:receivemany(1))
      end
      assert(c:sendmsg(TWO, { segment = 100 }))
      local sizes = {}
      while #sizes < 2 do
        for _, data in ipairs(assert(far:receivemany())) do sizes[#sizes + 1] = #data end
      end
      assert.same({ 100, 100 }, sizes)
      assert(c:send "alone")
      assert.same({ "alone" }, (far:receivemany(1)))
    end)
  end)

  it("come apart on a socket that is adopted; one is not given away with some", function()
    in_task(function()
      do
        local s <close> = assert(udp.open("127.0.0.1", 0))
        need_gro(s)
      end
      local far, near = two { timeout = 1 }
      local c <close> = near
      assert(c:send "alone")
      assert(far:receivemany(1))
      assert(c:sendmsg(TWO, { segment = 100 }))
      assert.equal(1, #far:receivemany(1))
      assert.equal("EBUSY", (select(3, far:detach())))
      assert.equal(100, #far:receive())
      assert(c:sendmsg(TWO, { segment = 100 }))
      local again <close> = assert(udp.open(nil, nil, { fd = far:detach(), timeout = 1 }))
      assert.equal(100, #again:receive())
      assert.equal(100, #again:receive())
    end)
  end)

  it("are not put together for who gets the descriptor", function()
    in_task(function()
      local far, near = two { timeout = 1 }
      local c <close> = near
      assert(c:send "alone")
      assert(far:receivemany(1))
      local again <close> = assert(udp.open(nil, nil, { fd = far:detach(), timeout = 1 }))
      assert.is_false(again:getsockopt "UDP_GRO" or false)
    end)
  end)
end)

describe("a tap that closes its socket", function()
  for _, how in ipairs(WAYS) do
    it("leaves the message to " .. how, function()
      in_task(function()
        local a <close>, b = assert(unix.datagram.pair())
        assert(a:sendmany { "one", "two" })
        b:settap(function() b:close() end)
        local got = b[how](b)
        assert.equal("one", how == "receivemany" and got[1] or got)
        assert.equal("ECLOSED", (select(3, b[how](b))))
      end)
    end)
  end

  it("ends a wait for what is not too long", function()
    in_task(function()
      local far, near = two { maxmessage = 50, timeout = 1 }
      local c <close> = near
      helper.need(far:setsockopt("UDP_GRO", true), "the kernel does not put datagrams together")
      far:settap(function() far:close() end)
      assert(c:sendmsg(("x"):rep(200), { segment = 100 }))
      assert.equal("ECLOSED", (select(3, far:receivemany())))
    end)
  end)

  it("ends sendmany", function()
    in_task(function()
      local a, far = assert(unix.datagram.pair { sndbuf = 1 << 20 })
      local b <close> = far
      local eater <close> = neap.spawn(function() while b:receivemany() do neap.sleep(0) end end)
      local datas = {}
      for i = 1, 100 do datas[i] = "x" end
      a:settap(function() a:close() end)
      local n, _, code, sent = a:sendmany(datas)
      assert.same({ nil, "ECLOSED" }, { n, code })
      assert.is_true(sent > 0 and sent < 100)
      eater:cancel()
    end)
  end)
end)

describe("a descriptor of another kind", function()
  it("is no message socket", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local one, other = assert(unix.seqpacket.pair())
      local guard <close> = helper.defer(function() one:close() other:close() end)
      for _, fd in ipairs { listener:fileno(), one:fileno() } do
        assert.equal("EINVAL", (select(3, udp.open(nil, nil, { fd = fd }))))
        assert.equal("EINVAL", (select(3, unix.datagram.open(nil, { fd = fd }))))
      end
      assert(guard)
    end)
  end)
end)

describe("a finalizer", function()
  it("cannot drive the loop, while a message is received", function()
    local out <const> = helper.script [[
      local neap, udp = require "neap", require "neap.udp"
      local far <const> = assert(udp.open("127.0.0.1", 0))
      local other <const> = assert(udp.open("127.0.0.1", 0))
      local near <const> = assert(udp.connect(far:getsockname()))
      local ip <const>, port <const> = other:getsockname()
      local function arm()
        setmetatable({}, { __gc = function()
          local ok, why = pcall(neap.step, 0)
          assert(not ok and (why:find "finalizer" or why:find "inside a task"))
          arm()
        end })
      end
      neap.spawn({ daemon = true }, function() while other:receivemany() do end end)
      arm()
      collectgarbage("setpause", 0)
      collectgarbage("setstepmul", 10000)
      local datas <const> = {}
      for i = 1, 60 do datas[i] = ("a"):rep(500) end
      for _ = 1, 50 do
        near:sendmany(datas)
        near:sendmany({ ("z"):rep(700), ("z"):rep(700) }, ip, port)
        for _, data in ipairs(far:receivemany()) do assert(data == datas[1]) end
      end
      print "done"
    ]]
    assert.equal("done\n", out)
  end)
end)

describe("message sockets", function()
  it("live in several states of several threads", function()
    local ended <const> = helper.threads(4, [[
      local neap, udp, unix = require "neap", require "neap.udp", require "neap.unix"
      neap.run(function()
        local far <close> = assert(udp.open("127.0.0.1", 0, { errors = true }))
        local near <close> = assert(udp.connect(far:getsockname()))
        neap.spawn(function() for i = 1, 200 do near:send(("x"):rep(i)) neap.sleep(0) end end)
        for i = 1, 200 do assert(#far:receive() == i) end
        local a = assert(unix.datagram.pair())
        a:send "never received"
      end)
    ]])
    for _, state in ipairs(ended) do assert.is_true(state[1], state[2]) end
  end)
end)
