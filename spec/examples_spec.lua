--- The programs in examples/, each run for real.
local helper <const> = require "support.helper"
local lfs <const> = require "lfs"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"

local in_task <const>, quote <const> = helper.in_task, helper.quote

local SECONDS <const> = 20 * helper.slow

-- ---- processes that run beside the test ----

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function write_file(data)
  local path = helper.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(data)
  return path
end

local process <const> = {}
process.__index = process

-- Begins a shell command. Its outputs go to files, so that nothing blocks; the
-- pipe is held open by it alone, until it has ended.
local function start(command)
  local self = { out = helper.tmpname(), err = helper.tmpname() }
  self.pipe = assert(io.popen(("exec 9>&1 >%s 2>%s; echo $$ >&9; export LUA_PATH=%s LUA_CPATH=%s; %s"):format(
    self.out, self.err, quote(package.path), quote(package.cpath), command)))
  self.pipe:setvbuf "no"
  self.pid = self.pipe:read "l"
  return setmetatable(self, process)
end

-- An example, by its name, with arguments.
local function lua(name, ...)
  local words = { "timeout -k 5", SECONDS, quote(helper.lua), "examples/" .. name }
  for _, word in ipairs { ... } do words[#words + 1] = quote(word) end
  return table.concat(words, " ")
end

-- Waits for its end while other tasks run. Returns its exit code and output.
function process:wait()
  assert(neap.wait(self.pipe, "r", SECONDS + 1))
  local _, _, code = self.pipe:close()
  self.pipe = nil
  return code, read_file(self.out), read_file(self.err)
end

-- The port that a server says it listens on.
function process:port()
  local port
  helper.eventually(function()
    port = read_file(self.out):match "port (%d+)\n"
    return port
  end, SECONDS)
  return math.tointeger(port)
end

function process:kill(signal) os.execute(("kill -%s %s"):format(signal, self.pid)) end

function process:__close()
  if not self.pipe then return end
  self:kill "TERM"
  self:wait()
end

local function run(command) return start(command):wait() end

-- A server in this process, for as long as the scope lasts.
local function served(handler)
  local listener = assert(tcp.listen("127.0.0.1", 0))
  local task = neap.spawn({ name = "served" }, listener.serve, listener, handler)
  local _, port = listener:getsockname()
  return helper.defer(function()
    listener:stop(0.1)
    task:join()
  end), port
end

local function bytes(n)
  local parts = {}
  for i = 1, n // 8 do parts[i] = string.pack("i8", i * 0x9E3779B97F4A7C15) end
  return table.concat(parts)
end

describe("examples/tour.lua", function()
  it("tells its story in time and ends well", function()
    in_task(function()
      local code, out, err = assert.takes(0, 5, run, lua "tour.lua")
      assert.equal("", err)
      assert.equal(0, code)
      for _, text in ipairs { "100 by name and 100 by address", "ETIMEDOUT", "half a line", "the third says goodbye",
        "hello from the other process", "high water at six\" over TLSv1.3", "not for 127.0.0.1",
        "throughput: ", "tasks left: 0" } do
        assert.is_truthy(out:find(text, 1, true), text)
      end
    end)
  end)
end)

describe("examples/nc.lua", function()
  -- What a command prints for an input, by way of a file and of a pipe.
  local function fed(data, command)
    local path = write_file(data)
    local code, out, err = run(("%s <%s"):format(command, path))
    assert.equal("", err)
    assert.equal(0, code)
    local piped_code, piped = run(("cat %s | %s | cat"):format(path, command))
    assert.equal(0, piped_code)
    assert.is_true(out == piped, "a pipe made a difference")
    return out
  end

  it("passes the end of its input on, and waits for the answer", function()
    in_task(function()
      local cleanup <close>, port = served(function(conn)
        local all = conn:read "a"
        neap.sleep(0.05)
        conn:write(#all, " bytes\n")
      end)
      assert.equal("6 bytes\n", fed("a\0b\r\n\255", lua("nc.lua", "127.0.0.1", port)))
      assert.equal("0 bytes\n", fed("", lua("nc.lua", "localhost", port)))
    end)
  end)

  it("prints what the real one prints", function()
    helper.need_program "ncat"
    in_task(function()
      local data = bytes(1000000)
      local cleanup <close>, port = served(function(conn)
        conn:readuntil "\r\n\r\n"
        conn:write("HTTP/1.0 200 OK\r\n\r\n", data)
      end)
      local request = "GET / HTTP/1.0\r\n\r\n"
      local ours = fed(request, lua("nc.lua", "localhost", port))
      local theirs = fed(request, "ncat 127.0.0.1 " .. port)
      assert.is_true(ours == theirs)
      assert.is_true(ours:sub(-#data) == data)
    end)
  end)

  it("talks to socat, which answers only at the end", function()
    helper.need_program("socat", "sort")
    in_task(function()
      local path = helper.tmpname ".sock"
      local held <close> = start(("exec timeout %d socat UNIX-LISTEN:%s EXEC:'sort -n'"):format(SECONDS, path))
      helper.eventually(function() return os.rename(path, path) end)
      local input = write_file "3\n1\n2\n"
      local code, out = run(("%s <%s"):format(lua("nc.lua", "-U", path), input))
      assert.equal(0, code)
      assert.equal("1\n2\n3\n", out)
    end)
  end)

  it("talks to itself, both directions at once, byte for byte", function()
    in_task(function()
      local up, down = bytes(3000000), bytes(2000000)
      local path = helper.tmpname ".sock"
      local server = start(("%s <%s"):format(lua("nc.lua", "-l", "-U", path), write_file(down)))
      helper.eventually(function() return os.rename(path, path) end)
      local code, out = run(("%s <%s"):format(lua("nc.lua", "-U", path), write_file(up)))
      assert.equal(0, code)
      assert.is_true(out == down, "what came down")
      code, out = server:wait()
      assert.equal(0, code)
      assert.is_true(out == up, "what came up")
      assert.is_nil(os.rename(path, path))
    end)
  end)

  it("gives up when nothing moves for as long as -w says", function()
    in_task(function()
      local cleanup <close>, port = served(function(conn)
        conn:write "something"
        conn:read "a"
        neap.sleep(10)
      end)
      local silence = helper.tmpname()
      local code, out, err = assert.takes(0.2, 4, run, ("mkfifo %s; exec 8<>%s; %s <&8"):format(silence,
        silence, lua("nc.lua", "-w", "0.2", "127.0.0.1", port)))
      assert.same({ 1, "something", "nc.lua: timed out\n" }, { code, out, err })
    end)
  end)

  it("says why it cannot connect, and what it does not understand", function()
    in_task(function()
      local code, out, err = run(lua("nc.lua", "127.0.0.1", 1))
      assert.same({ 1, "", "nc.lua: connect 127.0.0.1:1: Connection refused\n" }, { code, out, err })
      code, out, err = run(lua("nc.lua", "-x"))
      assert.same({ 1, "" }, { code, out })
      assert.is_truthy(err:find("usage:", 1, true))
    end)
  end)

  it("ends when nobody reads its output any more", function()
    in_task(function()
      local cleanup <close>, port = served(function(conn)
        while conn:write(("x"):rep(65536)) do end
      end)
      local code, out = run(lua("nc.lua", "127.0.0.1", port) .. " </dev/null | head -c 5")
      assert.same({ 0, "xxxxx" }, { code, out })
    end)
  end)

  it("works at a terminal", function()
    helper.need_program "script"
    in_task(function()
      local cleanup <close>, port = served(function(conn)
        conn:write("you said ", conn:read "l", "\n")
      end)
      -- Without exec a shell may keep itself in front: timeout's own process
      -- group is then in the background and stopped as it reads.
      local typed = "(sleep 0.3; echo hello; sleep 0.5; echo)"
      local code, out = run(("%s | SHELL=/bin/sh script -qec %s /dev/null"):format(typed,
        quote("exec " .. lua("nc.lua", "127.0.0.1", port))))
      assert.equal(0, code)
      assert.is_truthy(out:find("you said hello", 1, true), out)
    end)
  end)
end)

describe("examples/chat.lua", function()
  local function join(port, name, options)
    local conn = assert(tcp.connect("127.0.0.1", port, options))
    assert.equal("Your name?", conn:read "l")
    conn:write(name, "\n")
    return conn
  end

  it("passes lines on, and is not held up by who does not read", function()
    in_task(function()
      local server <close> = start("exec " .. lua("chat.lua", "0"))
      local port = server:port()
      local ann <close> = join(port, "ann", { timeout = SECONDS })
      assert.equal("* hello ann", ann:read "l")
      local sloth <close> = join(port, "sloth", { timeout = SECONDS })
      assert.equal("* sloth is here", ann:read "l")
      local bob <close> = join(port, "bob", { timeout = SECONDS })
      assert.equal("* bob is here", ann:read "l")

      local lines, line = 12000, ("x"):rep(900)
      local writer = neap.spawn(function()
        for i = 1, lines do
          bob:write(i, " ", line, "\n")
          if i % 50 == 0 then neap.sleep(0) end
        end
        bob:write "done\n"
      end)
      local last
      repeat last = assert(ann:read "l") until last == "bob: done"
      writer:join()

      local seen, missed = 0, 0
      for said in sloth:lines() do
        missed = missed + (math.tointeger(said:match "^%* you missed (%d+) lines$") or 0)
        if said:find "^bob: " then seen = seen + 1 end
        if missed > 0 and seen + missed >= lines then break end
      end
      assert.is_true(missed > 0 and seen > 0)
    end)
  end)

  it("says goodbye on SIGTERM", function()
    in_task(function()
      local server = start("exec " .. lua("chat.lua", "0"))
      local port = server:port()
      local ann <close> = join(port, "ann", { timeout = SECONDS })
      assert.equal("* hello ann", ann:read "l")
      server:kill "TERM"
      assert.equal("", ann:read "a")
      assert.equal(0, (server:wait()))
    end)
  end)
end)

describe("examples/proxy.lua", function()
  it("forwards, and passes the end of either side on by itself", function()
    in_task(function()
      local last
      local cleanup <close>, target = served(function(conn)
        local first = conn:read "l"
        conn:write("answer to ", first, "\n")
        if first == "server ends first" then
          conn:shutdown "w"
          last = conn:read "l"
        else
          conn:write(#conn:read "a", " bytes in all\n")
        end
      end)
      local proxy <close> = start("exec " .. lua("proxy.lua", "0", "127.0.0.1:" .. target))
      local port = proxy:port()

      local conn <close> = assert(tcp.connect("127.0.0.1", port, { timeout = SECONDS }))
      local data = bytes(1000000)
      conn:write("client ends first\n", data)
      conn:shutdown "w"
      assert.equal("answer to client ends first\n1000000 bytes in all\n", conn:read "a")

      local other <close> = assert(tcp.connect("127.0.0.1", port, { timeout = SECONDS }))
      other:write "server ends first\n"
      assert.equal("answer to server ends first\n", other:read "a")
      assert(other:write "said after the end\n")
      other:shutdown "w"
      helper.eventually(function() return last == "said after the end" end) -- before the proxy is ended
    end)
  end)

  it("closes the client when the target cannot be reached", function()
    in_task(function()
      local proxy <close> = start("exec " .. lua("proxy.lua", "0", "127.0.0.1:1"))
      local conn <close> = assert(tcp.connect("127.0.0.1", proxy:port(), { timeout = SECONDS }))
      assert.equal("", conn:read "a")
      helper.eventually(function()
        return read_file(proxy.err) == "proxy.lua: connect 127.0.0.1:1: Connection refused\n"
      end)
    end)
  end)
end)

describe("examples/pool.lua", function()
  it("tries every target, from the command line and from its input", function()
    in_task(function()
      local cleanup <close>, port = served(function() end)
      local open, closed = "127.0.0.1:" .. port, "127.0.0.1:1"
      local code, out = run(lua("pool.lua", "-n", "2", open, closed, open, "nonsense"))
      assert.equal(0, code)
      assert.is_truthy(out:find("2 open, 2 not, 2 workers", 1, true), out)
      local list = write_file((open .. "\n" .. closed .. "\n"):rep(100))
      code, out = run(lua "pool.lua" .. " <" .. list)
      assert.equal(0, code)
      assert.is_truthy(out:find("100 open, 100 not, 20 workers", 1, true), out:sub(-100))
    end)
  end)
end)

local function need_tls() helper.need(pcall(require, "neap.tls"), "needs neap.tls, which is not built") end

describe("examples/tls_server.lua", function()
  it("makes a certificate, and tls_client.lua tells what it is", function()
    need_tls()
    in_task(function()
      local path <const> = helper.tmpname ".pem"
      local server <close> = start("exec " .. lua("tls_server.lua", "-w", path, "0"))
      local port <const> = server:port()
      local code, out, err = run(lua("tls_client.lua", "-a", path, "-p", "h2,http/1.1", "localhost", port))
      assert.equal("", err)
      assert.equal(0, code)
      for _, text in ipairs { "TLSv1.3, TLS_", ", http/1.1\n", "is believed", "no response was stapled",
        "subject:     CN=localhost\n", "issuer:      CN=localhost\n", "localhost, ip 127.0.0.1, ip ::1", "29 days left",
        "ec P-256, signed with ecdsa-with-SHA256" } do
        assert.is_truthy(out:find(text, 1, true), text .. " in\n" .. out)
      end
      assert.equal(read_file(server.out):match "fingerprint (%x+)", out:match "SHA%-256 (%x+)")

      -- whom nobody told to believe it, and who expects another
      code, out, err = run(lua("tls_client.lua", "127.0.0.1", port))
      assert.equal(1, code)
      assert.equal("", out)
      assert.matches("self%-signed certificate %(certificate of CN=localhost", err)
      code, out, err = run(lua("tls_client.lua", "-k", "-a", path, "-n", "example.org", "127.0.0.1", port))
      assert.equal(1, code)
      assert.matches("the certificate is for localhost, 127%.0%.0%.1.*, not for example%.org", err)
      assert.matches("NOT believed", out)
      assert.matches("CN=localhost", out)
      helper.eventually(function() return select(2, read_file(server.err):gsub("alert", "")) >= 1 end)
      assert.matches("tls handshake with 127%.0%.0%.1:%d+: ", read_file(server.err))

      server:kill "INT"
      assert.equal(0, (server:wait()))
    end)
  end)

  it("serves a page and an echo, and reads its files again", function()
    need_tls()
    in_task(function()
      local tls <const>, x509 <const> = require "neap.tls", require "neap.x509"
      local cert_path <const>, key_path <const> = helper.tmpname ".pem", helper.tmpname ".pem"
      local function renew()
        local key <const> = x509.key()
        local made <const> = x509.make { key = key, names = { "localhost" } }
        for path, text in pairs { [cert_path] = made:pem(), [key_path] = key:pem() } do
          local file <close> = assert(io.open(path, "w"))
          file:write(text)
        end
        return made:pem()
      end
      for _, case in ipairs {
        { "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "^HTTP/1.1 200 OK\r\n.*\r\n\r\nhello\n\nYou came by TLSv1.3" },
        { "GET / HTTP/9\r\n\r\n", "^HTTP/1.1 400 Bad Request" },
        { "a\0b\r\n\255", "^a\0b\r\n\255$", echo = true },
      } do
        local pem = renew()
        local words <const> = { "-c", cert_path, "-k", key_path, "127.0.0.1", "0" }
        if case.echo then table.insert(words, 1, "-e") end
        local server <close> = start("exec " .. lua("tls_server.lua", table.unpack(words)))
        local port <const> = server:port()
        for _ = 1, 2 do
          local conn <close> = assert(tls.connect("127.0.0.1", port, {
            ca = pem, servername = "localhost", timeout = 5 }))
          assert(conn:write(case[1]))
          if case.echo then assert(conn:shutdown "w") end
          assert.matches(case[2], conn:read "a")
          pem = renew()
          -- not by `timeout`, which takes any signal for the end
          local pid <const> = read_file(("/proc/%s/task/%s/children"):format(server.pid, server.pid)):match "%d+"
          os.execute("kill -HUP " .. pid)
          helper.eventually(function()
            local again <close> = tls.connect("127.0.0.1", port, { ca = pem, servername = "localhost", timeout = 5 })
            return again
          end)
        end
      end
    end)
  end)
end)

describe("examples/starttls_smtp.lua", function()
  -- A mail server of few words. injected: what somebody else said with "go
  -- ahead".
  local function mail_server(cert, key, injected)
    return function(conn)
      conn:write "220-mail.example\r\n220 ESMTP\r\n"
      local secret = false
      for line in conn:lines() do
        local verb <const> = line:match "^%a+"
        if verb == "EHLO" then
          conn:write(secret and "250-mail.example\r\n250-SIZE 1000\r\n250 AUTH PLAIN\r\n"
            or "250-mail.example\r\n250 STARTTLS\r\n")
        elseif verb == "STARTTLS" then
          conn:write("220 go ahead\r\n", injected or "")
          if not conn:starttls { server = true, cert = cert, key = key } then return end
          secret = true
        else
          return conn:write "221 bye\r\n"
        end
      end
    end
  end

  it("talks to a server before and after, and trusts no other", function()
    need_tls()
    in_task(function()
      local x509 <const> = require "neap.x509"
      local key <const> = x509.key()
      local cert <const> = x509.make { key = key, names = { "mail.example" }, subject = "CN=mail.example" }
      local path <const> = write_file(cert:pem())
      local cleanup <close>, port = served(mail_server(cert:pem(), key:pem()))
      local code, out, err = run(lua("starttls_smtp.lua", "-a", path, "-n", "mail.example", "127.0.0.1", port))
      assert.equal("", err)
      assert.equal(0, code)
      for _, text in ipairs { "in the open:\n  < 220-mail.example\n",
        "> STARTTLS\n  < 220 go ahead\nencrypted, by TLSv1.3", "with CN=mail.example:\n  > EHLO localhost\n",
        "< 250 AUTH PLAIN\n", "< 221 bye\n" } do
        assert.is_truthy(out:find(text, 1, true), text .. " in\n" .. out)
      end
      code, out, err = run(lua("starttls_smtp.lua", "-a", path, "127.0.0.1", port))
      assert.equal(1, code)
      assert.matches("the certificate is for mail%.example, not for 127%.0%.0%.1", err)
      assert.not_matches("AUTH", out)

      local other <close>, injecting = served(mail_server(cert:pem(), key:pem(), "250 AUTH PLAIN\r\n"))
      code, out, err = run(lua("starttls_smtp.lua", "-a", path, "-n", "mail.example", "127.0.0.1", injecting))
      assert.equal(1, code)
      assert.not_matches("encrypted", out)
      assert.matches("plaintext was received before", err)

      local third <close>, plain = served(function(conn)
        conn:write "220 mail.example\r\n"
        conn:read "l"
        conn:write "250 mail.example\r\n"
        conn:read "a"
      end)
      code, out, err = run(lua("starttls_smtp.lua", "127.0.0.1", plain))
      assert.equal(1, code)
      assert.not_matches("encrypted", out)
      assert.matches("offers no STARTTLS", err)
    end)
  end)
end)

describe("examples/embed.c", function()
  it("runs tasks and its own work in its own loop", function()
    local program = (os.getenv "NEAP_BUILD" or "build") .. "/examples/embed"
    in_task(function()
      local code, out, err = run("timeout -k 1 " .. SECONDS .. " " .. program)
      assert.equal("", err)
      assert.equal(0, code)
      for _, text in ipairs { "the host ticks:  1", "the host ticks:  4", "a task read:     echo: message 3",
        "a deadline says: timed out", "all tasks have ended" } do
        assert.is_truthy(out:find(text, 1, true), text)
      end
    end)
  end)
end)

describe("examples/luv_host.lua", function()
  it("runs tasks in luv's loop", function()
    helper.need(package.searchpath("luv", package.cpath), "needs the library luv")
    helper.need_pollfd()
    in_task(function()
      local code, out, err = run(lua "luv_host.lua")
      assert.equal("", err)
      assert.equal(0, code)
      assert.is_truthy(out:find("a task read: luv echoes line 3\na deadline: timed out\n", 1, true), out)
      assert.is_truthy(out:find "uv's loop has ended\n$")
    end)
  end)
end)

describe("every example that has arguments", function()
  it("says which, when it is asked", function()
    local n = 0
    for name in lfs.dir "examples" do
      local text = name:find "%.lua$" and read_file("examples/" .. name) or ""
      if text:find("usage: " .. name, 1, true) then
        n = n + 1
        local code, out, err = run(lua(name, n % 2 == 0 and "-h" or "--help"))
        assert.same({ 0, "" }, { code, err }, name)
        assert.equal("usage: " .. name, out:match "^usage: [%w_]+%.lua", name)
      end
    end
    assert.is_true(n >= 20)
  end)
end)
