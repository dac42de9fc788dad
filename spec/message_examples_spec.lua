--- The examples of message sockets, each run for real. Those that need a
-- network of several machines have one of namespaces.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local netns <const> = require "support.netns"
local sctp <const> = require "neap.sctp"
local udp <const> = require "neap.udp"

local in_task <const>, quote <const> = helper.in_task, helper.quote

local SECONDS <const> = 20 * helper.slow

local function read_file(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or "" -- not made yet
end

-- ---- processes that run beside the test ----

local process <const> = {}
process.__index = process

-- Begins an example, with arguments, in a namespace or here (nil). Its input is
-- a pipe that the test holds, unless it is given; its outputs go to files.
-- environment: more of it, as a shell has it.
local function start(space, name, words, input, environment)
  local self = setmetatable({ out = helper.tmpname(), err = helper.tmpname(), status = helper.tmpname() }, process)
  -- In the background of its own group it would pass a signal on twice.
  local line = { "timeout --foreground -k 5", SECONDS, quote(helper.lua), "examples/" .. name }
  for _, word in ipairs(words) do line[#line + 1] = quote(word) end
  local command = ("export LUA_PATH=%s LUA_CPATH=%s %s; %s %s >%s 2>%s & " ..
    "echo $! >%s.pid; wait $!; echo $? >%s"):format(
    quote(package.path), quote(package.cpath), environment or "", table.concat(line, " "), input or "<&3", self.out,
    self.err, self.status, self.status)
  -- A shell's background job has no input unless it says so: hence the 3.
  local function open() return assert(io.popen(("exec 3<&0 2>/dev/null; %s"):format(command), "w")) end
  self.pipe = space and space:inside(open) or open()
  self.pipe:setvbuf "no"
  return self
end

function process:write(text) assert(self.pipe:write(text)) end

-- Waits until it has printed this; returns the whole.
function process:printed(text)
  helper.eventually(function()
    return read_file(self.out):find(text, 1, true) or os.rename(self.status, self.status)
  end, SECONDS)
  local out = read_file(self.out)
  assert.is_truthy(out:find(text, 1, true), out .. read_file(self.err))
  return out
end

function process:kill(signal)
  local pid = read_file(self.status .. ".pid"):match "%d+"
  if pid then os.execute(("kill -%s %s 2>/dev/null"):format(signal, pid)) end
end

-- Ends its input and waits for its end. Returns its exit code and outputs.
function process:wait()
  helper.eventually(function() -- while other tasks run
    return os.rename(self.status, self.status)
  end, SECONDS)
  self.pipe:close()
  self.pipe = nil
  return math.tointeger(tonumber(read_file(self.status):match "%d+")), read_file(self.out), read_file(self.err)
end

-- Ends its input before.
function process:finish()
  self.pipe:close() -- waits for it
  self.pipe = nil
  return math.tointeger(tonumber(read_file(self.status):match "%d+")), read_file(self.out), read_file(self.err)
end

function process:__close()
  if not self.pipe then return end
  self:kill "TERM"
  self:finish()
end

local function run(space, name, words) return start(space, name, words, "</dev/null"):wait() end

local function port_of(server)
  return server:printed "port ":match "port (%d+)\n"
end

describe("examples/udp_echo.lua", function()
  it("answers itself, by the texts of the command line and the lines of the input", function()
    in_task(function()
      local server <close> = start(nil, "udp_echo.lua", { "-l", "127.0.0.1", "0" })
      local port = port_of(server)
      local code, out, err = run(nil, "udp_echo.lua", { "127.0.0.1", port, "one", "two words" })
      assert.same({ 0, "" }, { code, err })
      assert.is_truthy(out:find "^one %([%d.]+ ms, try 1%)\ntwo words %([%d.]+ ms, try 1%)\n$", out)
      local client = start(nil, "udp_echo.lua", { "127.0.0.1", port })
      client:write "ebb\n"
      client:printed "ebb ("
      client:write "flood"
      code, out = client:finish()
      assert.equal(0, code)
      assert.is_truthy(out:find "\nflood %(", out)
      server:kill "TERM"
      code, out = server:wait()
      assert.equal(0, code)
      assert.is_truthy(out:find("4 datagrams, 20 bytes\n", 1, true), out)
    end)
  end)

  it("answers from the address that was asked", function()
    in_task(function()
      local server <close> = start(nil, "udp_echo.lua", { "-l", "0" })
      local port = math.tointeger(tonumber(port_of(server)))
      for _, ip in ipairs { "127.0.0.1", "127.0.0.9", helper.is_ipv6() and "::1" or nil } do
        local client <close> = assert(udp.connect(ip, port, { timeout = SECONDS }))
        assert(client:send("to " .. ip))
        assert.equal("to " .. ip, (client:receive()))
      end
    end)
  end)

  it("asks again what was lost", function()
    in_task(function()
      local server <close> = assert(udp.open("127.0.0.1", 0))
      local _, port = server:getsockname()
      local task <close> = neap.spawn({ daemon = true }, function()
        local lost, ip, from = server:receive()
        server:sendto("something else", ip, from)
        local again
        again, ip, from = server:receive()
        assert.equal(lost, again)
        server:sendto(again, ip, from)
      end)
      local code, out = run(nil, "udp_echo.lua", { "127.0.0.1", port, "moon" })
      assert.equal(0, code)
      assert.is_truthy(out:find "^moon %([%d.]+ ms, try 2%)\n$", out)
    end)
  end)

  it("says what it does not understand, and what cannot be", function()
    in_task(function()
      local code, out, err = run(nil, "udp_echo.lua", { "-x", "1" })
      assert.same({ 1, "" }, { code, out })
      assert.is_truthy(err:find("usage:", 1, true))
      local taken <close> = assert(udp.open("127.0.0.1", 0))
      local _, port = taken:getsockname()
      code, out, err = run(nil, "udp_echo.lua", { "-l", "127.0.0.1", port })
      assert.same({ 1, "" }, { code, out })
      assert.is_truthy(err:find("Address already in use", 1, true), err)
    end)
  end)
end)

describe("examples/multicast_chat.lua", function()
  local function chats(lab, words)
    local ann <close> = start(lab.a, "multicast_chat.lua", { "-n", "ann", table.unpack(words) })
    ann:printed "* "
    local bob <close> = start(lab.b, "multicast_chat.lua", { "-n", "bob\27 x", table.unpack(words) })
    ann:printed "bob?_x ("
    bob:write "hello\n\27[2J\n"
    local out = ann:printed "[2J"
    assert.is_truthy(out:find("): hello\n", 1, true), out)
    assert.is_nil(out:find("\27", 1, true), "control characters came through")
    ann:write "good bye\n"
    bob:printed "): good bye\n"
    local code, _, err = bob:finish()
    assert.same({ 0, "" }, { code, err })
    ann:printed "): * has left\n"
    code, out, err = ann:finish()
    assert.same({ 0, "" }, { code, err })
    assert.is_nil(out:find("ann (", 1, true), "it heard itself")
    return out
  end

  it("is heard by the others on the link, with IPv4", function()
    netns.need()
    in_task(function()
      local lab <close> = netns.pair()
      assert.is_truthy(chats(lab, {}):find("bob?_x (10.77.0.2)", 1, true))
    end)
  end)

  it("is heard by the others on the link, with IPv6", function()
    netns.need()
    helper.need_ipv6()
    in_task(function()
      local lab <close> = netns.pair()
      local ann <close> = start(lab.a, "multicast_chat.lua", { "-6", "-i", lab.a.interface, "-n", "ann" })
      ann:printed "* ff02"
      local bob <close> = start(lab.b, "multicast_chat.lua", { "-6", "-i" .. lab.b.interface, "-n", "bob" })
      assert.is_truthy(ann:printed ": * is here":find "bob %(fe80:[%x:]+%%left%)")
      ann:write "hello\n"
      bob:printed "): hello\n"
    end)
  end)

  it("may chat with others on this machine, by its loopback", function()
    in_task(function()
      local sock <close> = assert(udp.open("0.0.0.0", 0))
      local _, port = sock:getsockname()
      sock:close()
      local words = { "-i", "lo", "-p", tostring(port) }
      local ann <close> = start(nil, "multicast_chat.lua", { "-n", "ann", table.unpack(words) })
      ann:printed "* 239."
      local bob <close> = start(nil, "multicast_chat.lua", { "-n", "bob", table.unpack(words) })
      ann:printed ": * is here"
      bob:write "hello\n"
      ann:printed ": hello"
    end)
  end)

  it("says what cannot be", function()
    in_task(function()
      for _, words in ipairs { { "-g", "10.0.0.1" }, { "-i", "nope" }, { "-g", "name" }, { "-x" } } do
        local code, out, err = run(nil, "multicast_chat.lua", words)
        assert.same({ 1, "" }, { code, out })
        assert.is_truthy(err:find "^multicast_chat.lua: [^\n]+", err)
      end
    end)
  end)
end)

describe("examples/arpscan.lua", function()
  it("finds who is on the link, and what its hardware's address is", function()
    netns.need()
    in_task(function()
      local lab <close> = netns.pair()
      lab.b:run("ip addr add 10.77.0.200/24 dev " .. lab.b.interface)
      local code, out, err = run(lab.a, "arpscan.lua", { "-t", "0.2" })
      assert.same({ 0, "" }, { code, err })
      for _, ip in ipairs { "10.77.0.2", "10.77.0.200" } do
        assert.is_truthy(out:find(("%-15s %s\n"):format(ip, lab.b:mac()), 1, true), out)
      end
      assert.is_truthy(out:find("2 answered on left, 10.77.0.1 to 10.77.0.254\n", 1, true), out)
      code, out = run(lab.a, "arpscan.lua", { "-t", "0.2", "left", "10.77.0.2/31" })
      assert.equal(0, code)
      assert.is_truthy(out:find("1 answered on left, 10.77.0.2 to 10.77.0.3\n", 1, true), out)
    end)
  end)

  it("says what cannot be", function()
    in_task(function()
      for _, words in ipairs { { "-x" }, { "nope" }, { "lo", "127.0.0.0/8" }, { "lo", "1.2.3/24" } } do
        local code, out, err = run(nil, "arpscan.lua", words)
        assert.same({ 1, "" }, { code, out })
        assert.is_truthy(err:find "^arpscan.lua: [^\n]+", err)
      end
    end)
  end)
end)

describe("examples/tour.lua", function()
  local datagrams <const> = { '"high water at six" came from port ', "100 more in ", "member 2: ", "by icmp 3/3",
    '"with a file" from process ' }

  local function shows(out, texts)
    for _, text in ipairs(texts) do assert.is_truthy(out:find(text, 1, true), out) end
  end

  it("stops at datagrams, and with privilege below them", function()
    netns.need()
    in_task(function()
      local lab <close> = netns.lab()
      local code, out, err = run(lab:space(), "tour.lua", {})
      assert.same({ 0, "" }, { code, err })
      shows(out, datagrams)
      shows(out, { 'raw: protocol 253 from 127.0.0.77: "a protocol of our own"', 'packet: "no IP at all" by lo' })
      assert.is_truthy(out:find "tun: [^\n]+", out) -- a container may have no /dev/net/tun
    end)
  end)

  it("skips by name what it may not do", function()
    helper.need_root()
    helper.need_program "setpriv"
    local nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "
    helper.need(os.execute(("%s test -r lua/neap/init.lua -a -r %s"):format(nobody,
      quote(package.searchpath("neap.core", package.cpath)))), "needs a checkout that everybody may read")
    local settings = ("LUA=%s LUA_PATH=%s LUA_CPATH=%s"):format(quote(helper.lua), quote(package.path),
      quote(package.cpath))
    local pipe = assert(io.popen(("%s timeout %d %s %s examples/tour.lua 2>&1 </dev/null"):format(settings, SECONDS,
      nobody, quote(helper.lua))))
    local out = pipe:read "a"
    assert.is_true(pipe:close(), out)
    shows(out, datagrams)
    shows(out, { "raw: skipped: raw.open 253: socket: Operation not permitted", "packet: skipped: ", "tun: " })
  end)
end)

describe("examples/dtls_echo.lua", function()
  it("answers itself, and believes whom it is told to", function()
    in_task(function()
      local server <close> = start(nil, "dtls_echo.lua", { "-l", "127.0.0.1", "0" })
      local port = port_of(server)
      local pin = server:printed "pin ":match "pin (%S+)"
      local code, out, err = run(nil, "dtls_echo.lua", { "-p", pin, "127.0.0.1", port, "one", "two words" })
      assert.same({ 0, "" }, { code, err })
      assert.is_truthy(out:find "^DTLSv1.- bytes\none %([%d.]+ ms, try 1%)\ntwo words %([%d.]+ ms, try 1%)\n$", out)
      local client = start(nil, "dtls_echo.lua", { "-p", pin, "127.0.0.1", port })
      client:write "ebb\n"
      client:printed "ebb ("
      client:write "flood\n"
      code, out = client:finish()
      assert.equal(0, code)
      assert.is_truthy(out:find "\nflood %(", out)
      code, out, err = run(nil, "dtls_echo.lua", { "-p", ("A"):rep(43) .. "=", "127.0.0.1", port, "x" })
      assert.same({ 1, "" }, { code, out })
      assert.is_truthy(err:find("no key of the chain is pinned", 1, true), err)
      code, out, err = run(nil, "dtls_echo.lua", { "127.0.0.1", port, "x" })
      assert.same({ 1, "" }, { code, out })
      assert.is_truthy(err:find("self", 1, true), err)
      server:kill "TERM"
      code, out = server:wait()
      assert.equal(0, code)
      assert.is_truthy(out:find "%d clients, 2 failed\n", out)
    end)
  end)

  it("complains about its arguments", function()
    in_task(function()
      for _, words in ipairs { {}, { "-l" }, { "-x", "1" }, { "-l", "127.0.0.1", "x" }, { "127.0.0.1" } } do
        local code, out, err = run(nil, "dtls_echo.lua", words)
        assert.same({ 1, "" }, { code, out })
        assert.is_truthy(err:find("usage: ", 1, true), err)
      end
    end)
  end)
end)

describe("examples of SCTP", function()
  local there <const> = sctp.engines().user -- what it opens once is open before the tests
  local function need_user() helper.need(there == true, there) end

  it("echo lines, each in a stream of its own", function()
    need_user()
    in_task(function()
      local server <close> = start(nil, "sctp_echo.lua", { "listen", "0", "0" })
      local port <const>, udp_port <const> = server:printed "UDP port "
        :match "listening on port (%d+), UDP port (%d+)"
      local client = start(nil, "sctp_echo.lua", { "connect", "127.0.0.1", port, udp_port })
      client:write "ebb\n\nflood\n"
      client:printed "1: flood\n"
      local code, out, err = client:finish()
      assert.same({ 0, "" }, { code, err })
      assert.is_truthy(out:find("0: ebb\n", 1, true), out)
      code, out, err = run(nil, "sctp_echo.lua", {})
      assert.same({ 1, "" }, { code, out })
      assert.is_truthy(err:find("usage: ", 1, true), err)
    end)
  end)

  it("chat without a server", function()
    need_user()
    in_task(function()
      local ann <close> = start(nil, "sctp_chat.lua", { "ann", "0" }, nil, "UDP_PORT=0")
      local udp_port <const>, port <const> = ann:printed "* port ":match "UDP port (%d+)\n%* port (%d+)\n"
      local bob <close> = start(nil, "sctp_chat.lua", { "bob", "0", "127.0.0.1", port }, nil,
        "UDP_PORT=0 ENCAP_PORT=" .. udp_port)
      bob:printed "is here"
      ann:printed "is here"
      bob:write "hello\n"
      ann:printed "bob: hello\n"
      ann:write "hello, too\n"
      bob:printed "ann: hello, too\n"
      bob:finish()
      ann:printed "* somebody has left\n"
    end)
  end)
end)
