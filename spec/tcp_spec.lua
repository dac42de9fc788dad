--- TCP: connecting by name and address, listening, options, what goes wrong.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local probe <const> = require "probe"

local in_task <const> = helper.in_task

-- A port that nobody listens on (any more).
local function closed_port(ip)
  local listener <close> = assert(tcp.listen(ip or "127.0.0.1", 0))
  return select(2, listener:getsockname())
end

-- Client and server end of a connection.
local function pair(options, listen_options)
  local listener <close> = assert(tcp.listen("127.0.0.1", 0, listen_options))
  local ip, port = listener:getsockname()
  local client = assert(tcp.connect(ip, port, options))
  return client, assert(listener:accept(5))
end

local function with_pair(body, options, listen_options)
  in_task(function()
    local a <close>, b = pair(options, listen_options)
    local held <close> = b
    body(a, b)
  end)
end

-- A listener that answers nobody any more: its queue is full. Then the
-- connections that fill it.
local function full_listener(ip)
  local listener = assert(tcp.listen(ip or "127.0.0.1", 0, { backlog = 1 }))
  local host, port = listener:getsockname()
  local held = {}
  repeat
    held[#held + 1] = tcp.connect(host, port, { timeout = 0.05 })
  until #held == 0 or #held > 10 or not tcp.connect(host, port, { timeout = 0.05 })
  return listener, setmetatable(held, { __close = function()
    for _, conn in ipairs(held) do conn:close() end
  end })
end

-- Aborts the connection: the peer sees a reset.
local function reset(conn)
  probe.reset((conn:detach()))
end

local function waiting(task)
  helper.eventually(function() return task:status() == "waiting" end)
end

describe("connecting over TCP", function()
  it("gives a stream that knows both ends, with integer ports", function()
    with_pair(function(a, b)
      local ip, port = a:getsockname()
      assert.equal("127.0.0.1", ip)
      assert.equal("integer", math.type(port))
      assert.same({ ip, port }, { b:getpeername() })
      assert.same({ a:getpeername() }, { b:getsockname() })
      assert.equal(2, select("#", a:getpeername()))
    end)
  end)

  it("takes IPv6 addresses, bare and in brackets", function()
    helper.need_ipv6()
    in_task(function()
      local listener <close> = assert(tcp.listen("::1", 0))
      local ip, port = listener:getsockname()
      assert.equal("::1", ip)
      for _, host in ipairs { "::1", "[::1]", "0:0::1" } do
        local conn <close> = assert(tcp.connect(host, port))
        local peer <close> = assert(listener:accept(5))
        assert.same({ "::1", port }, { conn:getpeername() })
        assert.equal("::1", (peer:getpeername()))
      end
    end)
  end)

  it("takes names", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("localhost", 0))
      local _, port = listener:getsockname()
      local conn <close> = assert(tcp.connect("localhost", port, { timeout = 5 }))
      local peer <close> = assert(listener:accept(5))
      assert.equal(5, conn:gettimeout())
      assert(peer:write "hello\n")
      assert.equal("hello", conn:read())
    end)
  end)

  it("says who refused", function()
    in_task(function()
      local port = closed_port()
      local value, why, code = tcp.connect("127.0.0.1", port)
      assert.fails("ECONNREFUSED", value, why, code)
      assert.equal(("connect 127.0.0.1:%d: Connection refused"):format(port), why)
      value, why, code = tcp.connect("localhost", port, { family = "inet" })
      assert.fails("ECONNREFUSED", value, why, code)
      assert.equal(("connect localhost:%d (127.0.0.1:%d: Connection refused)"):format(port, port), why)
    end)
  end)

  it("says who refused over IPv6", function()
    helper.need_ipv6()
    in_task(function()
      local port = closed_port "::1"
      local value, why, code = tcp.connect("::1", port)
      assert.fails("ECONNREFUSED", value, why, code)
      assert.equal(("connect [::1]:%d: Connection refused"):format(port), why)
    end)
  end)

  it("says which name does not resolve", function()
    in_task(function()
      local value, why, code = tcp.connect("nothing.invalid", 80, { timeout = 5 })
      assert.is_nil(value)
      assert.matches("nothing%.invalid", why)
      assert.matches("^EAI_", code)
      assert.fails("EAI_ADDRFAMILY", tcp.connect("::1", 80, { family = "inet" }))
    end)
  end)

  it("takes a service's name for the port", function()
    in_task(function()
      local value, why, code = tcp.connect("127.0.0.1", "tcpmux") -- 1: nobody has it
      assert.fails("ECONNREFUSED", value, why, code)
      assert.matches("127%.0%.0%.1:1:", why)
      assert.fails("EAI_SERVICE", tcp.connect("127.0.0.1", "no-such-service"))
    end)
  end)

  it("takes a port written as a string or as a whole float", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local _, port = listener:getsockname()
      for _, written in ipairs { tostring(port), port + 0.0 } do
        local conn <close> = assert(tcp.connect("127.0.0.1", written))
        local _, to = conn:getpeername()
        assert.equal(port, to)
        assert.equal("integer", math.type(to))
      end
    end)
  end)

  for _, port in ipairs { 0, -1, 65536, 70000, 1 << 40, 80.5, 0 / 0, "", "0", "70000", "80\0", true } do
    it(("raises on the port %s"):format(tostring(port):gsub("%c", "?")), function()
      assert.raises("bad argument #2", tcp.connect, "127.0.0.1", port)
    end)
  end

  for _, host in ipairs { "", "a\0b", 127, true } do
    it(("raises on the host %s"):format(tostring(host):gsub("%c", "?")), function()
      assert.raises("bad argument #1", tcp.connect, host, 80)
    end)
  end

  it("raises on options that it does not know, and on wrong values", function()
    for _, case in ipairs {
      { { nodealy = true }, "unknown option 'nodealy'" },
      { { backlog = 5 }, "unknown option 'backlog'" },
      { { 5 }, "unknown option '1'" },
      { { timeout = -1 }, "timeout" }, { { timeout = "1" }, "timeout" }, { { timeout = 0 / 0 }, "timeout" },
      { { nodelay = 1 }, "nodelay" }, { { keepalive = 0 }, "keepalive" }, { { keepalive = "x" }, "keepalive" },
      { { family = "ipv4" }, "family" }, { { bind = 5 }, "bind" }, { { mptcp = "yes" }, "mptcp" },
      { { attempt_delay = -1 }, "attempt_delay" }, { { maxline = 0 }, "maxline" }, { { maxread = 1.5 }, "maxread" },
      { 5, "bad argument #3" },
    } do
      assert.raises(case[2], tcp.connect, "127.0.0.1", 1, case[1])
    end
  end)

  it("gives up after its timeout", function()
    in_task(function()
      local listener <close>, fill = full_listener()
      local held <close> = fill
      local ip, port = listener:getsockname()
      local value, why, code = assert.takes(0.09, 1, tcp.connect, ip, port, { timeout = 0.1 })
      assert.fails("ETIMEDOUT", value, why, code)
      assert.equal(("connect 127.0.0.1:%d: timed out"):format(port), why)
      value, why, code = assert.takes(0.09, 1, tcp.connect, "localhost", port, { timeout = 0.1 })
      assert.fails("ETIMEDOUT", value, why, code)
      assert.matches(("127.0.0.1:%d: timed out"):format(port), why, 1, true)
    end)
  end)

  it("leaves no socket behind when it is interrupted", function()
    in_task(function()
      local listener <close>, fill = full_listener()
      local held <close> = fill
      local ip, port = listener:getsockname()
      local before = helper.count_fds()
      assert.fails("ETIMEDOUT", neap.timeout(0.05, tcp.connect, ip, port))
      assert.equal(before, helper.count_fds())
      local task = neap.spawn(tcp.connect, ip, port)
      waiting(task)
      assert.equal(before + 1, helper.count_fds())
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.equal(before, helper.count_fds())
    end)
  end)

  it("comes from where bind says", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local ip, port = listener:getsockname()
      local free = closed_port "127.0.0.2"
      for from, wanted in pairs {
        ["127.0.0.2"] = false, ["127.0.0.2:0"] = false, ["127.0.0.2:" .. free] = free,
      } do
        local conn <close> = assert(tcp.connect(ip, port, { bind = from }))
        local peer <close> = assert(listener:accept(5))
        local source, number = peer:getpeername()
        assert.equal("127.0.0.2", source)
        if wanted then assert.equal(wanted, number) end
        conn:setsockopt("SO_LINGER", 0)
      end
    end)
  end)

  it("comes from where bind says over IPv6", function()
    helper.need_ipv6()
    in_task(function()
      local listener <close> = assert(tcp.listen("::1", 0))
      local ip, port = listener:getsockname()
      local free = closed_port "::1"
      local conn <close> = assert(tcp.connect(ip, port, { bind = ("[::1]:%d"):format(free) }))
      assert.same({ "::1", free }, { conn:getsockname() })
      local other <close> = assert(tcp.connect(ip, port, { bind = "::1" }))
      assert.equal("::1", (other:getsockname()))
    end)
  end)

  it("fails when it cannot come from there", function()
    in_task(function()
      local value, why, code = tcp.connect("127.0.0.1", closed_port(), { bind = "192.0.2.1" })
      assert.fails("EADDRNOTAVAIL", value, why, code)
      assert.raises("option 'bind'", tcp.connect, "127.0.0.1", 1, { bind = "127.0.0.1:70000" })
      assert.raises("option 'bind'", tcp.connect, "127.0.0.1", 1, { bind = "localhost" })
      assert.raises("option 'bind'", tcp.connect, "127.0.0.1", 1, { bind = "" })
    end)
  end)

  it("sends without delay unless told otherwise", function()
    with_pair(function(a, b)
      assert.is_true(a:getsockopt "TCP_NODELAY")
      assert.is_true(b:getsockopt "TCP_NODELAY")
    end)
    with_pair(function(a, b)
      assert.is_false(a:getsockopt "TCP_NODELAY")
      assert.is_false(b:getsockopt "TCP_NODELAY")
    end, { nodelay = false }, { nodelay = false })
  end)

  it("keeps alive when asked, after the seconds given", function()
    with_pair(function(a, b)
      assert.is_false(a:getsockopt "SO_KEEPALIVE")
      assert.is_false(b:getsockopt "SO_KEEPALIVE")
    end)
    with_pair(function(a, b)
      assert.is_true(a:getsockopt "SO_KEEPALIVE")
      assert.is_true(b:getsockopt "SO_KEEPALIVE")
      assert.equal(33, b:getsockopt "TCP_KEEPIDLE")
    end, { keepalive = true }, { keepalive = 33 })
    with_pair(function(a)
      assert.is_false(a:getsockopt "SO_KEEPALIVE")
    end, { keepalive = false })
  end)

  it("closes on exec, and neither blocks nor waits when it closes", function()
    with_pair(function(a, b)
      for _, s in ipairs { a, b } do
        assert.same({ nonblock = true, cloexec = true }, probe.flags(s:fileno()))
      end
    end)
  end)

  it("speaks Multipath TCP when asked", function()
    in_task(function()
      local listener <const>, why, code = tcp.listen("127.0.0.1", 0, { mptcp = true })
      helper.need(listener, ("this kernel has no MPTCP (%s)"):format(why))
      assert.is_nil(code)
      local held <close> = listener
      local ip, port = listener:getsockname()
      local a <close> = assert(tcp.connect(ip, port, { mptcp = true }))
      local b <close> = assert(listener:accept(5))
      assert.equal(262, a:getsockopt "SO_PROTOCOL")
      local text = ("multipath\n"):rep(100000)
      local writer = neap.spawn(function()
        assert(a:write(text))
        assert(a:shutdown "w")
      end)
      assert.is_true(b:read "a" == text)
      writer:join()
      assert(b:write "back")
      assert(b:close())
      assert.equal("back", a:read "a")
    end)
  end)

  it("opens fast when asked", function()
    in_task(function()
      local listener <const>, why = tcp.listen("127.0.0.1", 0, { fastopen = true })
      helper.need(listener, ("this kernel has no TCP Fast Open (%s)"):format(why))
      local held <close> = listener
      local ip, port = listener:getsockname()
      for i = 1, 3 do -- the first gets a cookie, the others use it
        local a <close> = assert(tcp.connect(ip, port, { fastopen = true }))
        assert(a:write("early ", i, "\n"))
        local b <close> = assert(listener:accept(5))
        assert.equal("early " .. i, b:read())
        assert(b:write "late\n")
        assert.equal("late", a:read())
      end
    end)
  end)

  it("works for many tasks at once", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local ip, port = listener:getsockname()
      local held <close> = neap.spawn({ daemon = true }, function()
        listener:serve(function(conn) assert(conn:write(conn:read(), "\n")) end)
      end)
      local group <close> = neap.group()
      for i = 1, 200 do
        group:spawn(function()
          local conn <close> = assert(tcp.connect(ip, port))
          assert(conn:write(i, "\n"))
          assert.equal(tostring(i), conn:read())
        end)
      end
      group:wait()
    end)
  end)

  it("is what neap.connect and neap.listen do for tcp:// URLs", function()
    in_task(function()
      local listener <close> = assert(neap.listen("tcp://127.0.0.1:0", { backlog = 5 }))
      local _, port = listener:getsockname()
      local conn <close> = assert(neap.connect("tcp://127.0.0.1:" .. port, { timeout = 2 }))
      assert.equal(2, conn:gettimeout())
      assert.same({ "127.0.0.1", port }, { conn:getpeername() })
      assert.raises("unknown option", neap.connect, "tcp://127.0.0.1:1", { port = 1 })
      for _, wrong in ipairs { "tcp:127.0.0.1:1", "tcp://127.0.0.1", "gopher://x:1", "127.0.0.1:80", "", 80 } do
        assert.raises("bad argument #1", neap.connect, wrong)
      end
    end)
  end)

  it("is what they do for IPv6 URLs", function()
    helper.need_ipv6()
    in_task(function()
      local listener <close> = assert(neap.listen "tcp://[::1]:0")
      local _, port = listener:getsockname()
      local conn <close> = assert(neap.connect(("tcp://[::1]:%d"):format(port)))
      assert.equal("::1", (conn:getpeername()))
    end)
  end)
end)

describe("listening over TCP", function()
  it("on all addresses takes both families", function()
    helper.need_ipv6()
    in_task(function()
      for _, host in ipairs { "*", false } do
        local listener <close> = assert(tcp.listen(host or nil, 0))
        local ip, port = listener:getsockname()
        assert.equal("::", ip)
        local four <close> = assert(tcp.connect("127.0.0.1", port, { timeout = 2 }))
        local six <close> = assert(tcp.connect("::1", port, { timeout = 2 }))
        assert.equal("127.0.0.1", (four:getpeername()))
        assert.equal("::1", (six:getpeername()))
        local first <close> = assert(listener:accept(2))
        local second <close> = assert(listener:accept(2))
        assert.matches("127%.0%.0%.1$", (first:getpeername()))
        assert.equal("::1", (second:getpeername()))
      end
    end)
  end)

  it("with v6only takes IPv6 alone", function()
    helper.need_ipv6()
    in_task(function()
      local listener <close> = assert(tcp.listen("::", 0, { v6only = true }))
      local _, port = listener:getsockname()
      assert.fails("ECONNREFUSED", tcp.connect("127.0.0.1", port))
      local held <close> = assert(tcp.connect("::1", port, { timeout = 2 }))
      local cleanup <close> = assert(tcp.listen("0.0.0.0", port))
      local guard <close> = assert(tcp.connect("127.0.0.1", port))
    end)
  end)

  it("fails where another listens, and says where", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local _, port = listener:getsockname()
      local value, why, code = tcp.listen("127.0.0.1", port)
      assert.fails("EADDRINUSE", value, why, code)
      assert.equal(("listen 127.0.0.1:%d: Address already in use"):format(port), why)
      assert.fails("EADDRNOTAVAIL", tcp.listen("192.0.2.1", 0))
    end)
  end)

  it("shares a port with reuseport", function()
    in_task(function()
      local first <close> = assert(tcp.listen("127.0.0.1", 0, { reuseport = true }))
      local ip, port = first:getsockname()
      local second <close> = assert(tcp.listen(ip, port, { reuseport = true }))
      assert.same({ ip, port }, { second:getsockname() })
      assert.fails("EADDRINUSE", tcp.listen(ip, port))
    end)
  end)

  it("takes a port again at once, unless reuseaddr is off", function()
    in_task(function()
      local listener = assert(tcp.listen("127.0.0.1", 0))
      local ip, port = listener:getsockname()
      local client <close> = assert(tcp.connect(ip, port))
      local conn = assert(listener:accept(5))
      conn:close() -- first: this side keeps the port for a while
      assert.fails("EOF", client:read())
      client:close()
      listener:close()
      assert.fails("EADDRINUSE", tcp.listen(ip, port, { reuseaddr = false }))
      local held <close> = assert(tcp.listen(ip, port))
    end)
  end)

  it("gives its connections the options of a stream", function()
    with_pair(function(_, b)
      assert.equal(0.02, b:gettimeout())
      assert.fails("ETIMEDOUT", b:read())
    end, nil, { timeout = 0.02 })
    with_pair(function(a, b)
      assert(a:write "four\n")
      assert.fails("EMSGSIZE", b:read())
      assert.fails("EMSGSIZE", b:read "a")
    end, nil, { maxline = 3, maxread = 4 })
  end)

  it("raises on ports and options that are wrong", function()
    for _, port in ipairs { -1, 65536, 70000, 1.5, "", true } do
      assert.raises("bad argument #2", tcp.listen, "127.0.0.1", port)
    end
    assert.raises("bad argument #2", tcp.listen, "127.0.0.1")
    assert.raises("bad argument #1", tcp.listen, 127, 0)
    for _, case in ipairs {
      { { reuse = true }, "unknown option 'reuse'" }, { { mode = 384 }, "unknown option 'mode'" },
      { { bind = "127.0.0.1" }, "unknown option 'bind'" }, { { backlog = 0 }, "backlog" },
      { { backlog = "many" }, "backlog" }, { { v6only = 1 }, "v6only" }, { { timeout = -1 }, "timeout" },
    } do
      assert.raises(case[2], tcp.listen, "127.0.0.1", 0, case[1])
    end
  end)
end)

describe("a TCP connection that goes wrong", function()
  it("is reset, and stays so", function()
    with_pair(function(a, b)
      assert(a:write "abc")
      assert.equal("a", b:read(1))
      reset(a)
      helper.eventually(function()
        local _, _, code = b:read(4)
        return code == "ECONNRESET"
      end)
      local value, why, code = b:read(4)
      assert.fails("ECONNRESET", value, why, code)
      assert.matches("read.*Connection reset by peer", why)
      assert.equal("bc", b:read(2)) -- what came before is there
      for _ = 1, 2 do
        assert.fails("ECONNRESET", b:read())
        assert.fails("ECONNRESET", b:read "a") -- not all: the end never came
        assert.fails("ECONNRESET", b:receive())
        assert.fails("ECONNRESET", b:readuntil ";")
      end
      assert.raises("Connection reset by peer", b:lines())
      assert.fails("EPIPE", b:write "x")
      assert.is_true(b:close())
    end)
  end)

  it("wakes its reader when it is reset", function()
    with_pair(function(a, b)
      local reader = neap.spawn(function() return b:read() end)
      waiting(reader)
      reset(a)
      assert.fails("ECONNRESET", reader:join())
    end)
  end)

  it("wakes its writer when it is reset, who learns what was taken", function()
    with_pair(function(a, b)
      local writer = neap.spawn(function() return b:write(("x"):rep(32 * 1024 * 1024)) end)
      waiting(writer)
      reset(a)
      local value, why, code, taken = writer:join()
      assert.fails("ECONNRESET", value, why, code)
      assert.matches("^write", why)
      assert.is_true(taken > 0 and taken < 32 * 1024 * 1024)
      assert.equal((select(2, b:counters())), taken)
    end)
  end)

  it("is closed by the peer while it is written to: no signal, a code", function()
    with_pair(function(a, b)
      a:close()
      assert.fails("EOF", b:read())
      local code
      helper.eventually(function()
        local ok, _, why = b:write "x"
        code = why
        return not ok
      end)
      assert.is_true(code == "EPIPE" or code == "ECONNRESET", code)
    end)
  end)

  it("gives data and end that come in one event", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local ip, port = listener:getsockname()
      for round = 1, 60 do
        local a <close> = assert(tcp.connect(ip, port))
        local b <close> = assert(listener:accept(5))
        b:settimeout(2)
        local reader
        if round % 3 == 1 then -- it has waited before: the poller knows it
          assert(a:write "0")
          assert.equal("0", b:read(1))
          b:settimeout(0)
          assert.fails("ETIMEDOUT", b:read(1))
          b:settimeout(2)
        elseif round % 3 == 2 then -- it waits
          reader = neap.spawn(function() return b:read(4) end)
          waiting(reader)
        end
        local fd = a:detach() -- in one go, with no turn of the loop between
        probe.write(fd, "last")
        probe.close(fd)
        assert.equal("last", reader and reader:join() or b:read(4))
        assert.fails("EOF", b:read(1))
      end
    end)
  end)

  it("passes over an urgent mark, and stops at none", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local ip, port = listener:getsockname()
      for round = 1, 30 do
        local a <close> = assert(tcp.connect(ip, port))
        local b <close> = assert(listener:accept(5))
        b:settimeout(2)
        local reader
        if round % 3 == 1 then
          assert(a:write "0")
          assert.equal("0", b:read(1))
          b:settimeout(0)
          assert.fails("ETIMEDOUT", b:read(1))
          b:settimeout(2)
        elseif round % 3 == 2 then
          reader = neap.spawn(function() return b:read(5) end)
          waiting(reader)
        end
        local fd = a:fileno()
        probe.write(fd, "ab")
        probe.sendurgent(fd, "!")
        probe.write(fd, "cde")
        assert.equal("abcde", reader and reader:join() or b:read(5))
        assert(a:write "f")
        assert.equal("f", b:read(1))
      end
    end)
  end)

  it("takes no processor time while an urgent mark or a half-close lies there unread", function()
    with_pair(function(a, b)
      local writer = neap.spawn(function() return b:write(("x"):rep(32 * 1024 * 1024)) end)
      waiting(writer)
      probe.sendurgent(a:fileno(), "!")
      assert(a:write "unread")
      assert(a:shutdown "w")
      neap.sleep(0.02)
      local before = os.clock()
      neap.sleep(0.2)
      assert.is_true(os.clock() - before < 0.1)
      writer:cancel()
      writer:join()
    end)
  end)
end)

-- What needs names with several addresses runs in a network of its own, with
-- a hosts file of its own. Without root a user namespace gives the right.
local function unshare() return helper.is_root() and "unshare -mn" or "unshare -mnUr" end

local function in_network(hosts, script)
  local list, file = helper.tmpname(), helper.tmpname ".lua"
  assert(assert(io.open(list, "w")):write(hosts)):close()
  assert(assert(io.open(file, "w")):write(script)):close()
  local commands = ("mount --bind %s /etc/hosts && ip link set lo up && exec timeout -k 1 %d %s %s"):format(
    helper.quote(list), 20 * helper.slow, helper.quote(helper.lua), helper.quote(file))
  local pipe = assert(io.popen(("LUA_PATH=%s LUA_CPATH=%s %s sh -c %s 2>&1 </dev/null"):format(
    helper.quote(package.path), helper.quote(package.cpath), unshare(), helper.quote(commands))))
  local out = pipe:read "a"
  pipe:close()
  return out
end

describe("happy eyeballs", function()
  -- At one port: 127.0.0.2 answers nobody, 127.0.0.3 refuses, 127.0.0.4 and
  -- ::1 answer; at another 127.0.0.2 and ::1 answer nobody.
  local hosts <const> = [[
127.0.0.1 localhost
127.0.0.2 holefirst
127.0.0.3 holefirst
127.0.0.4 holefirst
127.0.0.3 refusedfirst
127.0.0.4 refusedfirst
127.0.0.3 allrefused
127.0.0.5 allrefused
127.0.0.2 holes
127.0.0.6 holes
::1 both
127.0.0.4 both
]]
  local prelude <const> = [[
local neap, tcp = require "neap", require "neap.tcp"
local probe = require "probe"
local alive = assert(tcp.listen("127.0.0.4", 0))
local _, port = alive:getsockname()

neap.resolve "localhost" -- what the first lookup opens stays open

local function hole(ip)
  local listener = assert(tcp.listen(ip, port, { backlog = 1 }))
  local held = { listener }
  repeat
    local conn = tcp.connect(ip, port, { timeout = 0.05 })
    held[#held + 1] = conn
  until not conn
  return held
end

local function timed(...)
  local before = neap.now()
  local conn, why, code = tcp.connect(...)
  return neap.now() - before, conn, why, code
end

local function descriptors()
  local n = 0
  for fd = 0, 63 do if probe.isopen(fd) then n = n + 1 end end
  return n
end

local function check(ok, ...)
  if not ok then error(table.concat({ ... }, " "), 2) end
  return ok
end
]]

  -- What goes wrong, with the addresses' order turned by the resolver, would
  -- show another time: so the script tells the times and the specs judge.
  local function runs(name, script)
    it(name, function()
      helper.need_program("unshare", "ip", "mount")
      helper.need(os.execute(unshare() .. " true 2>/dev/null"), "needs the right to make a network namespace")
      local out = in_network(hosts, prelude .. script .. "\nprint 'done'")
      assert.equal("done\n", out)
    end)
  end

  runs("pass by an address that does not answer and one that refuses", [[
local holes = hole "127.0.0.2"
neap.run(function()
  local before = descriptors()
  local took, conn, why = timed("holefirst", port)
  check(conn, why)
  check(conn:getpeername() == "127.0.0.4", "peer")
  -- the second begins after the delay, the third when that was refused
  check(took > 0.2 and took < 0.6, took)
  check(descriptors() == before + 1, "the losers are closed")
  conn:close()
  took, conn = timed("holefirst", port, { attempt_delay = 0.05 })
  check(conn and took > 0.03 and took < 0.2, took)
  conn:close()
end)]])

  runs("do not wait after a refusal", [[
neap.run(function()
  local took, conn, why = timed("refusedfirst", port)
  check(conn, why)
  check(conn:getpeername() == "127.0.0.4", "peer")
  check(took < 0.2, took)
end)]])

  runs("name every address that was tried", [[
neap.run(function()
  local took, conn, why, code = timed("allrefused", port)
  check(not conn and code == "ECONNREFUSED", code)
  check(took < 0.2, took)
  local wanted = ("connect allrefused:%d (127.0.0.3:%d: Connection refused; 127.0.0.5:%d: Connection refused)"):format(
    port, port, port)
  check(why == wanted, why)
end)]])

  runs("obey one deadline for all addresses together", [[
local holes, more = hole "127.0.0.2", hole "127.0.0.6"
neap.run(function()
  local before = descriptors()
  local took, conn, why, code = timed("holes", port, { timeout = 0.4 })
  check(not conn and code == "ETIMEDOUT", code)
  check(took > 0.35 and took < 0.7, took)
  for _, ip in ipairs { "127.0.0.2", "127.0.0.6" } do
    check(why:find(("%s:%d: timed out"):format(ip, port), 1, true), why)
  end
  check(descriptors() == before, "all are closed")
end)]])

  runs("leave nothing behind when they are interrupted", [[
local holes, more = hole "127.0.0.2", hole "127.0.0.6"
neap.run(function()
  local before = descriptors()
  local _, why, code = neap.timeout(0.35, tcp.connect, "holes", port)
  check(code == "ETIMEDOUT", code, why)
  check(descriptors() == before, "all are closed")
  local task = neap.spawn(tcp.connect, "holes", port)
  neap.sleep(0.3)
  check(descriptors() == before + 2, "two attempts at once")
  task:cancel()
  _, why, code = task:join()
  check(code == "ECANCELED", code)
  check(descriptors() == before, "all are closed")
end)]])

  runs("reach the other family when one does not answer", [[
local holes = hole "::1"
neap.run(function()
  local took, conn, why = timed("both", port)
  check(conn, why)
  check(conn:getpeername() == "127.0.0.4", "peer")
  check(took < 0.6, took)
  conn:close()
  took, conn = timed("both", port, { family = "inet" })
  check(conn and took < 0.2, took)
  conn:close()
  local _, none, why, code = timed("both", port, { family = "inet6", timeout = 0.1 })
  check(not none and code == "ETIMEDOUT", why)
end)]])

  runs("close a second one that answers at the same time", [[
local holes, more = hole "127.0.0.2", hole "127.0.0.6"
collectgarbage "stop" -- it must not be what closes it
neap.run(function()
  local task = neap.spawn(tcp.connect, "holes", port, { attempt_delay = 0, timeout = 5 })
  neap.sleep(0.1)
  for _, conns in ipairs { holes, more } do
    repeat
      local conn = conns[1]:accept(0)
      if conn then conn:close() end
    until not conn
  end
  local before = descriptors() -- with the sockets of both attempts
  probe.sleep(1.3) -- both ask again after a second, and both are answered
  check(task:join())
  neap.sleep(0.01)
  check(descriptors() == before - 1, "it left", descriptors() - before + 1)
  local second = holes[1]:accept(1)
  check(second and more[1]:accept(1), "both did answer")
end)]])

  runs("give the winner the timeout of the options, not what was left of it", [[
neap.run(function()
  local conn = assert(tcp.connect("refusedfirst", port, { timeout = 7 }))
  check(conn:gettimeout() == 7, conn:gettimeout())
  conn = assert(tcp.connect("refusedfirst", port))
  check(conn:gettimeout() == nil, conn:gettimeout())
end)]])
end)
