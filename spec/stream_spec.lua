--- Streams: the contract over every kind, and descriptors that are adopted.
local contract <const> = require "support.stream_contract"
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"
local probe <const> = require "probe"

local in_task <const> = helper.in_task

-- Both ends of a connection to a listener that is closed then.
local function connected(listener, connect)
  local server <close> = assert(listener)
  local a = assert(connect(server))
  return a, assert(server:accept(5))
end

local function over_tcp(ip)
  return function(options)
    return connected(tcp.listen(ip, 0, options), function(server)
      local host, port = server:getsockname()
      return tcp.connect(host, port, options)
    end)
  end
end

local function over_unix(name)
  return function(options)
    local path = name()
    return connected(unix.listen(path, options), function() return unix.connect(path, options) end)
  end
end

local names = 0
local function abstract()
  names = names + 1
  return ("\0neap-spec-%d-%d"):format(math.random(0), names)
end

local function pipe(options)
  local read, write = probe.pipe()
  return assert(neap.stream(write, options)), assert(neap.stream(read, options))
end

contract(_ENV, "a Unix pair", function(options) return assert(unix.pair(options)) end)
contract(_ENV, "a TCP connection", over_tcp "127.0.0.1")
if helper.is_ipv6() then contract(_ENV, "a TCP connection over IPv6", over_tcp "::1") end
contract(_ENV, "a Unix connection by path", over_unix(helper.tmpname))
contract(_ENV, "a Unix connection by abstract name", over_unix(abstract))
contract(_ENV, "an adopted pipe", pipe, { oneway = true, plain = true })
contract(_ENV, "an adopted socket", function(options)
  local a, b = assert(unix.pair())
  local first, second = a:detach(), b:detach()
  return assert(neap.stream(first, options)), assert(neap.stream(second, options))
end)

-- A descriptor of its own for what the Lua file has open.
local function duplicate(file)
  return probe.dup((assert(neap.stream(file)):detach()))
end

describe("neap.stream", function()
  it("adopts a number or an object, and makes it non-blocking", function()
    in_task(function()
      local read, write = probe.pipe()
      assert.is_false(probe.flags(read).nonblock)
      local b <close> = assert(neap.stream(read))
      assert.is_true(probe.flags(read).nonblock)
      local a <close> = assert(neap.stream { fileno = function() return write end })
      assert.equal(write, a:fileno())
      assert(a:write "x")
      assert.equal("x", b:read(1))
    end)
  end)

  it("adopts a device that no poller takes", function()
    in_task(function()
      local file <close> = assert(io.open("/dev/null", "r+"))
      local null <close> = assert(neap.stream(duplicate(file)))
      assert.equal(null, null:write "away")
      assert.fails("EOF", null:read(1))
      assert.equal("", null:read "a")
    end)
  end)

  it("reads and writes a regular file plainly", function()
    in_task(function()
      local path = helper.tmpname()
      local file <close> = assert(io.open(path, "w+"))
      assert(file:write "one\r\ntwo\nthree")
      file:seek "set"
      local s <close> = assert(neap.stream(duplicate(file)))
      assert.equal("one", s:read())
      assert.same({ "two", "three" }, { s:read("l", "a") })
      assert.fails("EOF", s:read())
      assert(s:write " four")
      assert.fails("ENOTSOCK", s:shutdown "w")
      assert.is_true(s:close())
      file:seek "set"
      assert.equal("one\r\ntwo\nthree four", file:read "a")
    end)
  end)

  it("takes the options of every stream, and says which it does not know", function()
    in_task(function()
      local from, to = probe.pipe()
      local a <close> = assert(neap.stream(to))
      local b <close> = assert(neap.stream(from, { timeout = 0.01, maxline = 3, maxread = 4 }))
      assert.fails("ETIMEDOUT", b:read(1))
      assert(a:write "four and more")
      assert.fails("EMSGSIZE", b:read())
      assert.fails("EMSGSIZE", b:read "a")
    end)
  end)

  it("raises on options that it does not know, and takes nothing then", function()
    local from, to = probe.pipe()
    local cleanup <close> = helper.defer(function()
      probe.close(from)
      probe.close(to)
    end)
    for wrong, why in pairs {
      [{ maxline = 0 }] = "maxline", [{ maxread = "x" }] = "maxread", [{ timeout = -1 }] = "timeout",
      [{ nodealy = true }] = "unknown option 'nodealy'",
    } do
      assert.raises(why, neap.stream, from, wrong)
    end
    assert.raises("bad argument #2", neap.stream, from, "x")
    collectgarbage()
    assert.is_true(probe.isopen(from))
  end)

  it("fails on what is no open descriptor, and raises on what is none at all", function()
    local fd, other = probe.pipe()
    probe.close(fd)
    probe.close(other)
    assert.fails("EBADF", neap.stream(fd))
    for _, wrong in ipairs { -1, 1.5, "0", {}, true } do
      assert.raises("bad argument #1", neap.stream, wrong)
    end
    assert.raises("bad argument #1", neap.stream)
  end)

  it("fails a write into a pipe that nobody reads with EPIPE, and no signal ends the process", function()
    in_task(function()
      local from, to = probe.pipe()
      local a <close> = assert(neap.stream(to))
      probe.close(from)
      local value, why, code, taken = a:write "x"
      assert.fails("EPIPE", value, why, code)
      assert.equal(0, taken)
      assert.fails("EPIPE", a:write "y")
      local file = helper.tmpname()
      assert(io.open(file, "w")):write("z"):close()
      assert.fails("EPIPE", a:sendfile(file))
    end)
  end)

  it("wakes a writer into a pipe whose reader goes away", function()
    in_task(function()
      local from, to = probe.pipe()
      local a <close> = assert(neap.stream(to))
      local writer = neap.spawn(function() return a:write(("x"):rep(1024 * 1024)) end)
      helper.eventually(function() return writer:status() == "waiting" end)
      probe.close(from)
      local value, why, code, taken = writer:join()
      assert.fails("EPIPE", value, why, code)
      assert.is_true(taken > 0 and taken < 1024 * 1024)
    end)
  end)

  it("reads what a program prints, while other tasks run", function()
    in_task(function()
      local ticks, program = 0, assert(io.popen "echo one; sleep 0.1; echo two")
      local s <close> = assert(neap.stream(duplicate(program)))
      local held <close> = neap.spawn(function()
        while true do
          neap.sleep(0.01)
          ticks = ticks + 1
        end
      end)
      assert.equal("one", s:read())
      assert.equal("two", s:read())
      assert.equal("", s:read "a")
      assert.is_true(ticks >= 3)
      program:close()
    end)
  end)

  it("takes standard input and output", function()
    local out, code = helper.script [[
      local neap = require "neap"
      local output = assert(neap.stream(1))
      local input = assert(neap.stream(0)) -- /dev/null here
      assert(output:write("read ", #input:read "a", " bytes\n"))
    ]]
    assert.equal("read 0 bytes\n", out)
    assert.equal(0, code)
  end)
end)

describe("a pair", function()
  it("is told apart by its options", function()
    assert.raises("unknown option 'maxlin'", unix.pair, { maxlin = 1 })
    assert.raises("unknown option 'path'", tcp.pair, { path = "x" })
    assert.raises("option 'maxline' must be", tcp.pair, { maxline = 0 })
    assert.raises("bad argument #1", unix.pair, "x")
    for _, pair in ipairs { unix.pair, tcp.pair } do
      local a <close>, b = assert(pair { timeout = 0.5, maxline = 3 })
      local held <close> = b
      assert.equal(0.5, a:gettimeout())
      assert.equal(0.5, b:gettimeout())
      assert(a:write "long\n")
      assert.fails("EMSGSIZE", b:read())
    end
  end)

  it("of TCP streams is connected over loopback, without delay", function()
    local a <close>, b = assert(tcp.pair())
    local held <close> = b
    local ip, port = a:getsockname()
    assert.same({ ip, port }, { b:getpeername() })
    assert.equal("127.0.0.1", ip)
    assert.is_true(a:getsockopt "TCP_NODELAY")
    assert.is_true(b:getsockopt "TCP_NODELAY")
  end)
end)
