--- Keys in place of certificates: who comes in, what is agreed on, and what a
-- function that is asked for a key may do.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local dtls <const> = require "neap.dtls"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local tls <const> = require "neap.tls"
local unix <const> = require "neap.unix"

local in_task <const> = helper.in_task

-- Needs no certificate.
local function works(name, body) it(name, function() in_task(body) end) end

local function needs_certs(name, body)
  it(name, function()
    certs.need()
    in_task(body)
  end)
end

local KEY <const>, OTHER <const> = ("k"):rep(32), ("o"):rep(32)
local ME <const> = { identity = "me", key = KEY }

-- Client's and server's results over a pair of sockets; body gets both ends.
local function meet(client, server, body)
  local a <close>, b = assert(unix.pair())
  local held <close> = b
  local mine, theirs = lab.shake(a, lab.with({ servername = "good.example" }, client), b,
    lab.with({ server = true }, server))
  if mine[1] and theirs[1] and body then
    assert(a:write "ping")
    assert.equal("ping", b:read(4))
    assert(b:write "pong")
    assert.equal("pong", a:read(4))
    body(a:tlsinfo(), b:tlsinfo(), a, b)
  elseif body then
    error(("client: %s; server: %s"):format(mine[2], theirs[2]), 2)
  end
  return mine, theirs
end

-- The failure says all of these words (plain text).
local function says(results, ...)
  assert.is_nil(results[1])
  for _, word in ipairs { ... } do
    if not tostring(results[2]):find(word, 1, true) then
      error(("%q does not say %q"):format(results[2], word), 2)
    end
  end
end

local VERSIONS <const> = { "1.2", "1.3" }

describe("a key in place of certificates", function()
  for _, version in ipairs(VERSIONS) do
    local function with(psk, more)
      return lab.with({ psk = psk, min_version = version, max_version = version }, more)
    end

    works("is enough for both sides, over TLS " .. version, function()
      meet(with(ME), { psk = { me = KEY, you = OTHER } }, function(mine, theirs)
        assert.equal("TLSv" .. version, mine.version)
        assert.equal("me", mine.psk_identity)
        assert.equal("me", theirs.psk_identity)
        assert.is_false(mine.resumed)
        assert.is_false(theirs.resumed)
        assert.same({}, mine.peer)
        assert.same({}, theirs.peer)
        if version == "1.2" then assert.equal("ECDHE-PSK-CHACHA20-POLY1305", mine.cipher) end
      end)
    end)

    works("is each client's own, over TLS " .. version, function()
      for identity, key in pairs { me = KEY, you = OTHER } do
        meet(with { identity = identity, key = key }, { psk = { me = KEY, you = OTHER } }, function(_, theirs)
          assert.equal(identity, theirs.psk_identity)
        end)
      end
    end)

    works("is found by a function, over TLS " .. version, function()
      local asked <const> = {}
      meet(with(ME), { psk = function(identity)
        asked[#asked + 1] = identity
        return identity == "me" and KEY or nil
      end }, function(_, theirs) assert.equal("me", theirs.psk_identity) end)
      assert.same({ "me" }, asked)
    end)

    works("that is wrong lets nobody in, over TLS " .. version, function()
      local mine, theirs = meet(with { identity = "me", key = OTHER }, { psk = { me = KEY } })
      assert.fails("ETLS", table.unpack(mine))
      assert.fails("ETLS", table.unpack(theirs))
    end)

    works("of nobody who is known lets nobody in, and it is told who it was, over TLS " .. version, function()
      local mine, theirs = meet(with { identity = "st\1ranger", key = KEY }, { psk = { me = KEY } })
      assert.is_nil(mine[1])
      says(theirs, "no key of 'st?ranger'")
      assert.equal("ETLS", theirs[3])
      local _, others = meet(with(ME), { psk = function() end })
      says(others, "no key of 'me'")
    end)

    works("that was taken away lets nobody in again, over TLS " .. version, function()
      local keys <const> = { me = KEY }
      local context <const> = assert(tls.context { psk = function(identity) return keys[identity] end })
      local mine <const> = assert(tls.context(with(ME)))
      for _ = 1, 2 do -- nothing is resumed
        meet({ context = mine }, { context = context }, function(info, theirs)
          assert.is_false(info.resumed)
          assert.equal("me", theirs.psk_identity)
        end)
      end
      keys.me = nil
      local _, theirs = meet({ context = mine }, { context = context })
      assert.is_nil(theirs[1])
    end)

    works("is of 1 to 256 bytes, its identity of 1 to 128, over TLS " .. version, function()
      for _, case in ipairs { { "x", "\0" }, { ("i"):rep(128), ("\255\0"):rep(128) } } do
        meet(with { identity = case[1], key = case[2] }, { psk = { [case[1]] = case[2] } }, function(_, theirs)
          assert.equal(case[1], theirs.psk_identity)
        end)
      end
    end)

    works("fails with what its function raises, over TLS " .. version, function()
      local mine, theirs = meet(with(ME), { psk = function() error("the table burns", 0) end })
      says(theirs, "psk: the table burns")
      assert.equal("ETLS", theirs[3])
      assert.is_nil(mine[1])
      local _, others = meet(with(ME), { psk = function() error(setmetatable({}, { __tostring = function()
        return "an object" end })) end })
      says(others, "psk: an object")
      _, others = meet(with(ME), { psk = function() return 5 end })
      says(others, "psk: ", "must be a string of 1 to 256 bytes")
      _, others = meet(with(ME), { psk = function() return ("k"):rep(257) end })
      says(others, "must be a string of 1 to 256 bytes")
      _, others = meet(with(ME), { psk = function() return "" end })
      says(others, "must be a string of 1 to 256 bytes")
      _, others = meet(with(ME), { psk = function() error(("x"):rep(5000)) end })
      says(others, "psk: ", "xxxx")
    end)

    works("has a function that cannot wait, over TLS " .. version, function()
      for _, wait in ipairs {
        function() neap.sleep(0.01) end,
        function() coroutine.yield() end,
        function()
          local a <close>, b = unix.pair()
          local held <close> = b
          a:read(1)
        end,
      } do
        local _, theirs = meet(with(ME), { psk = function()
          wait()
          return KEY
        end })
        says(theirs, "psk: ")
      end
      -- nothing is left behind
      meet(with(ME), { psk = { me = KEY } }, function() end)
    end)

    works("has a function that may close its stream, over TLS " .. version, function()
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      local mine, theirs = lab.shake(a, with(ME, { servername = "good.example" }), b, { server = true,
        psk = function()
          b:close()
          collectgarbage()
          return KEY
        end })
      assert.fails("ECLOSED", table.unpack(theirs))
      assert.is_nil(mine[1])
    end)

    works("has a function that may do as it likes with Lua, over TLS " .. version, function()
      local context
      context = assert(tls.context { psk = function(identity)
        for _ = 1, 3 do collectgarbage() end
        local co <const> = coroutine.wrap(function() coroutine.yield(identity) end)
        assert.equal("me", co())
        assert(tls.context {})
        local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end
        assert.equal(5000, deep(5000))
        assert.is_true(tls.iscontext(context))
        return select(2, pcall(error, KEY))
      end })
      for _ = 1, 3 do meet(with(ME), { context = context }, function() end) end
    end)

    needs_certs("is beside certificates for who has none of them, over TLS " .. version, function()
      local both <const> = assert(tls.context(lab.listener { psk = { me = KEY } }))
      meet(with(ME), { context = both }, function(mine) assert.equal("me", mine.psk_identity) end)
      meet({ ca = certs.ca(), max_version = version }, { context = both }, function(mine, theirs)
        assert.is_nil(mine.psk_identity)
        assert.is_nil(theirs.psk_identity)
        assert.equal(2, #mine.peer)
      end)
    end)

    needs_certs("saves no server from being verified that shows a certificate, over TLS " .. version, function()
      local function server(name) return lab.server(nil, name) end
      -- it takes no keys: its certificate counts
      meet(with(ME, { ca = certs.ca() }), server(), function(mine)
        assert.is_nil(mine.psk_identity)
        assert.equal(2, #mine.peer)
      end)
      local mine = meet(with(ME, { ca = certs.ca() }), server "other")
      assert.fails("X509_V_ERR_HOSTNAME_MISMATCH", table.unpack(mine))
      mine = meet(with(ME, { ca = certs.ca "rogue" }), server())
      assert.fails("X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", table.unpack(mine))
    end)

    needs_certs("is no certificate, for who knows no key, over TLS " .. version, function()
      local mine, theirs = meet({ ca = certs.ca(), max_version = version }, { psk = { me = KEY } })
      assert.is_nil(mine[1])
      assert.fails("ETLS", table.unpack(theirs))
    end)

    needs_certs("is not got round by the ticket of a server with the same secret, over TLS " .. version, function()
      local secret <const> = ("s"):rep(32)
      local open <const> = assert(tls.context(lab.listener { ticket_secret = secret }))
      local mine <const> = assert(tls.context { ca = certs.ca(), max_version = version })
      meet({ context = mine }, { context = open }, function() end)
      local _, theirs = meet({ context = mine }, { psk = { me = KEY }, ticket_secret = secret })
      assert.is_nil(theirs[1])
    end)

    needs_certs("is that of the context that the name chooses, over TLS " .. version, function()
      local keyed <const> = assert(tls.context { psk = { me = KEY } })
      local certified <const> = assert(tls.context(lab.listener()))
      local first <const> = assert(tls.context(lab.listener { sni = { ["keys.example"] = keyed } }))
      meet(with(ME, { servername = "keys.example" }), { context = first }, function(info)
        assert.equal("me", info.psk_identity)
      end)
      local second <const> = assert(tls.context { psk = { me = KEY }, sni = { ["good.example"] = certified } })
      meet(with(ME, { ca = certs.ca() }), { context = second }, function(info) assert.is_nil(info.psk_identity) end)
    end)
  end

  works("is found by functions of several states, each on its own thread", function()
    for _, result in ipairs(helper.threads(4, [[
      local neap, tls, unix = require "neap", require "neap.tls", require "neap.unix"
      local key, lines, asked = ("k"):rep(32), 0, 0
      local function context(psk)
        return assert(tls.context { psk = psk, keylog = function() lines = lines + 1 end })
      end
      local client = context { identity = "me", key = key }
      local server = context(function(identity)
        asked = asked + 1
        assert(asked % 3 > 0, "the third has bad luck")
        return identity == "me" and key
      end)
      neap.run(function()
        for i = 1, 30 do
          local a <close>, b = assert(unix.pair())
          local task = neap.spawn(function()
            local ok, why = b:starttls { server = true, context = server }
            b:close()
            return ok, why
          end)
          a:starttls { servername = "x.example", context = client }
          local ok, why = task:join()
          assert(i % 3 > 0 and ok or why:find("psk: .*bad luck"), why)
        end
      end)
      assert(asked == 30 and lines > 100, lines)
      return "well"
    ]])) do assert.same({ true, "well" }, { result[1], result[2] }) end
  end)

  works("is enough for messages, too", function()
    local listener <close> = assert(dtls.listen("127.0.0.1", 0, { psk_hint = "who?", psk = function(identity)
      assert(identity ~= "unlucky", "bad luck")
      return identity == "me" and KEY or nil
    end }))
    local ip <const>, port <const> = listener:getsockname()
    local failures <const> = {}
    local server <const> = neap.spawn(function()
      listener:serve(function(conn) conn:send(conn:receive() .. conn:tlsinfo().psk_identity) end, {
        on_error = function(why) failures[#failures + 1] = why end,
      })
    end)
    local conn <const> = assert(dtls.connect(ip, port, { psk = ME }))
    assert(conn:send "hello ")
    assert.equal("hello me", conn:receive())
    assert.is_false(conn:tlsinfo().resumed)
    conn:close()
    for identity, why in pairs { stranger = "no key of 'stranger'", unlucky = "psk: .*bad luck" } do
      assert.fails("ETLS", dtls.connect(ip, port, { psk = { identity = identity, key = KEY } }))
      helper.eventually(function() return failures[1] end)
      assert.matches(why, table.remove(failures))
    end
    listener:close()
    server:cancel()
    server:join()
  end)

  works("may come with a hint of TLS 1.2", function()
    meet(lab.with({ psk = ME }, { max_version = "1.2" }), { psk = { me = KEY }, psk_hint = "which one?" },
      function() end)
  end)

  works("works over tls.connect and tls.listen, resumed by nobody", function()
    local listener <close> = assert(tls.listen("127.0.0.1", 0, { psk = { me = KEY } }))
    local _, port = listener:getsockname()
    local server <close> = helper.defer(function() listener:stop(0) end)
    neap.spawn(listener.serve, listener, function(conn) conn:write(conn:tlsinfo().psk_identity) end)
    for _ = 1, 2 do
      local conn <close> = assert(tls.connect("127.0.0.1", port, { psk = ME }))
      assert.equal("me", conn:read "a")
    end
    assert.is_not_nil(server)
  end)

  it("raises on what is none", function()
    local long <const> = ("x"):rep(129)
    for _, psk in ipairs {
      {}, { identity = "me", key = "" }, { identity = "", key = KEY }, { identity = "a\0b", key = KEY },
      { identity = long, key = KEY }, { identity = 5, key = KEY }, { identity = "me", key = 5 },
      { identity = "me", key = ("k"):rep(257) }, { [""] = KEY }, { ["a\0b"] = KEY }, { [5] = KEY }, { me = 5 },
      { me = "" }, { [long] = KEY }, { me = ("k"):rep(257) }, "me", 5,
    } do
      assert.raises("psk", tls.context, { psk = psk })
    end
    assert.raises("psk_hint", tls.context, { psk_hint = "x" })
    assert.raises("psk_hint", tls.context, { psk = ME, psk_hint = "x" })
    assert.raises("psk_hint", tls.context, { psk = { me = KEY }, psk_hint = ("x"):rep(129) })
    assert.raises("psk", tls.connect, "127.0.0.1", 1, { psk = { me = KEY } })
    assert.raises("psk", tls.connect, "127.0.0.1", 1, { psk = function() end })
    assert.raises("psk", tls.listen, "127.0.0.1", 0, { psk = ME })
  end)
end)

-- ---- real peers ----

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

local function free_port()
  local listener <close> = assert(tcp.listen("127.0.0.1", 0))
  return select(2, listener:getsockname())
end

local function patiently(...)
  local given <const> = table.pack(...)
  local conn, why
  helper.eventually(function()
    local code
    conn, why, code = tls.connect(table.unpack(given, 1, given.n))
    if not conn and code ~= "ECONNREFUSED" then error(why) end
    return conn
  end)
  return conn
end

-- A server of ours, which says who came; what the program prints.
local function visit(words)
  local listener <close> = assert(tls.listen("127.0.0.1", 0, { psk = { me = KEY } }))
  local _, port = listener:getsockname()
  local server <const> = neap.spawn(function()
    return listener:serve(function(conn)
      conn:write("hello ", conn:tlsinfo().psk_identity, "\n")
    end)
  end)
  local done <close> = helper.defer(function()
    listener:stop(0)
    server:join()
  end)
  local process <close> = lab.start(words(port))
  assert.is_not_nil(done)
  return process.output:read "a"
end

describe("a key, between us and others", function()
  for _, version in ipairs(VERSIONS) do
    local flag <const> = "-tls" .. version:gsub("%.", "_")

    it("is openssl s_client's, over TLS " .. version, function()
      helper.need_program("openssl", "timeout")
      in_task(function()
        assert.matches("hello me", visit(function(port)
          return { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-ign_eof", flag, "-psk_identity", "me",
            "-psk", hex(KEY) }
        end))
      end)
    end)

    it("is openssl s_server's, over TLS " .. version, function()
      helper.need_program("openssl", "timeout")
      in_task(function()
        local process <close> = lab.start { "openssl", "s_server", "-accept", "127.0.0.1:0", "-nocert", flag,
          "-psk_identity", "me", "-psk", hex(KEY), "-rev", "-psk_hint", "hint" }
        local port
        for line in process.output:lines() do
          port = math.tointeger(tonumber(line:match "^ACCEPT .*:(%d+)$"))
          if port then break end
        end
        for _ = 1, 2 do
          local conn <close> = assert(tls.connect("127.0.0.1", port, { psk = ME }))
          assert(conn:write "abc\n")
          assert.equal("cba", conn:read())
          local info <const> = conn:tlsinfo()
          assert.equal("TLSv" .. version, info.version)
          assert.equal("me", info.psk_identity)
          assert.is_false(info.resumed)
        end
      end)
    end)

    local priority <const> = "NORMAL:-VERS-ALL:+VERS-TLS" .. version .. ":+ECDHE-PSK:+DHE-PSK"

    it("is gnutls-cli's, over TLS " .. version, function()
      helper.need_program("gnutls-cli", "timeout")
      if version == "1.2" then helper.skip "gnutls-cli 3.7 dies of it, with OpenSSL's s_server, too" end
      in_task(function()
        assert.matches("hello me", visit(function(port)
          return { "gnutls-cli", "127.0.0.1", "-p", tostring(port), "--pskusername", "me", "--pskkey", hex(KEY),
            "--priority", priority }
        end))
      end)
    end)

    it("is gnutls-serv's, over TLS " .. version, function()
      helper.need_program("gnutls-serv", "timeout")
      in_task(function()
        local path <const>, port <const> = helper.tmpname(), free_port()
        local file <const> = assert(io.open(path, "w"))
        file:write("me:", hex(KEY), "\n")
        file:close()
        local process <close> = lab.start { "gnutls-serv", "--echo", "-p", tostring(port), "--pskpasswd", path,
          "--priority", priority }
        local conn <close> = patiently("127.0.0.1", port, { psk = ME, timeout = 10 })
        assert.is_not_nil(process)
        assert(conn:write "hello\n")
        assert.equal("hello", conn:read())
        assert.equal("TLSv" .. version, conn:tlsinfo().version)
        assert.equal("me", conn:tlsinfo().psk_identity)
      end)
    end)
  end
end)
