--- DTLS: associations, their ends, and what the network and strangers do to
-- them. The contract of message sockets is in message_dtls_spec.lua.
local certs <const> = require "support.certs"
local dtls <const> = require "neap.dtls"
local helper <const> = require "support.helper"
local lab <const> = require "support.dtls_lab"
local neap <const> = require "neap"
local tls <const> = require "neap.tls"
local machines <const> = require "neap.tlscore".dtls
local peers <const> = require "neap.dtls.peer"
local udp <const> = require "neap.udp"

local in_task <const>, eventually <const> = helper.in_task, helper.eventually

-- A test in a task.
local function works(name, body)
  it(name, function() in_task(body) end)
end

-- A test that gets a client, its server's end, and the listener.
local function with_pair(name, body, options, listen_options)
  works(name, function()
    local a <close>, b, listener = lab.pair(options, listen_options)
    local held <close> = b
    local door <close> = listener -- luacheck: ignore 211
    return body(a, b, listener)
  end)
end

local function waiting(task)
  eventually(function() return task:status() == "waiting" end)
end

-- Raises with the text, and blames this file.
local function raises(text, fn)
  local ok, err = pcall(fn)
  assert.is_false(ok)
  assert.matches("dtls_spec%.lua:%d+: ", tostring(err))
  assert.is_truthy(tostring(err):find(text, 1, true), tostring(err))
end

describe("an association", function()
  with_pair("carries messages both ways, and tells what was agreed on", function(a, b)
    assert.equal(a, a:send "there")
    assert.same({ "there", a:getsockname() }, { b:receive() })
    assert(b:send "and back")
    assert.same({ "and back", b:getsockname() }, { a:receive() })
    local info = a:tlsinfo()
    assert.matches("^DTLSv1%.[23]$", info.version)
    assert.matches("GCM", info.cipher)
    assert.is_false(info.resumed)
    assert.equal("CN=Spec Root", tostring(info.peer[1]:issuer()):gsub("^.-CN", "CN"))
    assert.is_true(info.most > 1300 and info.most < 1400)
    assert.equal("dtls", a:kind())
    assert.equal("inet", a:family())
    assert.same({}, b:tlsinfo().peer)
  end)

  it("works without any task", function()
    local a <close>, b, listener = lab.pair()
    local held <close> = b
    local door <close> = listener -- luacheck: ignore 211
    assert(a:send "top level")
    assert.equal("top level", (b:receive()))
    assert(b:sendmany { "one", "two" })
    assert.same({ "one", "two" }, (a:receivemany()))
    a:close()
    assert.fails("EOF", b:receive())
  end)

  it("outlives the neap.run in which it was made", function()
    local a, b, listener
    in_task(function() a, b, listener = lab.pair() end)
    in_task(function()
      assert(a:send "still")
      assert.equal("still", (b:receive()))
    end)
    assert(b:send "and now")
    assert.equal("and now", (a:receive()))
    a:close()
    b:close()
    listener:close()
  end)

  works("resumes what the context has kept", function()
    local listener <close>, port = lab.listen()
    local context = assert(dtls.context { ca = lab.root })
    for round = 1, 2 do
      local a <close> = assert(lab.connect(port, { context = context }))
      local b <close> = assert(listener:accept(5))
      assert.equal(round == 2, a:tlsinfo().resumed)
      assert.equal(round == 2, b:tlsinfo().resumed)
      assert(a:send "x")
      assert.equal("x", (b:receive()))
    end
  end)

  works("resumes in short datagrams, though the ticket takes several", function()
    local listener <close>, port = lab.listen { mtu = 256 }
    local context = assert(dtls.context { ca = lab.root })
    for round = 1, 2 do
      local a <close> = assert(lab.connect(port, { context = context, mtu = 256, timeout = 3 }))
      local b <close> = assert(listener:accept(5))
      assert.equal(round == 2, b:tlsinfo().resumed)
      assert(a:send "x")
      assert.equal("x", (b:receive()))
    end
  end)

  works("resumes though the last flight is lost", function()
    local listener <close>, port = lab.listen { retransmit = 0.03 }
    local context = assert(dtls.context { ca = lab.root })
    assert(lab.connect(port, { context = context })):close()
    assert(listener:accept(5)):close()
    local relay <close> = lab.relay(port, function(data, n) return n ~= 3 and data or nil end)
    local a <close> = assert(lab.connect(relay.port, { context = context }))
    assert.is_true(a:tlsinfo().resumed)
    local b <close> = assert(listener:accept(5))
    assert(a:send "x")
    assert.equal("x", (b:receive()))
    assert(b:send "y")
    assert.equal("y", (a:receive()))
  end)

  works("needs no certificate where both have a key", function()
    local secret = ("k"):rep(32)
    local listener <close>, port = lab.listen { context = false, psk = { me = secret } }
    local a <close> = assert(lab.connect(port, { context = false, psk = { identity = "me", key = secret } }))
    local b <close> = assert(listener:accept(5))
    assert.equal("me", b:tlsinfo().psk_identity)
    assert(a:send "x")
    assert.equal("x", (b:receive()))
    local other, why, code = lab.connect(port, { context = false, psk = { identity = "you", key = secret } })
    assert.fails("ETLS", other, why, code)
    assert.equal(1, listener:tlsfailures())
  end)

  works("answers from the address that was asked", function()
    local listener <close>, port = lab.listen(nil, "*")
    for _, ip in ipairs { "127.0.0.1", "127.0.0.9", helper.is_ipv6() and "::1" or nil } do
      local a <close> = assert(lab.connect(port, { servername = "good.example" }, ip))
      local b <close> = assert(listener:accept(5))
      assert(a:send "x")
      assert.equal("x", (b:receive()))
      assert(b:send "y")
      assert.same({ "y", ip, port }, { a:receive() })
      assert.same({ ip, port }, { b:getsockname() })
    end
  end)

  works("is of one name among several", function()
    local other, key = lab.certificate { "other.example" }
    local listener <close>, port = lab.listen {
      context = false, cert = lab.cert, key = lab.key,
      sni = { ["other.example"] = assert(dtls.context { cert = other, key = key }) },
    }
    for _, name in ipairs { "good.example", "other.example" } do
      local a <close> = assert(lab.connect(port, { servername = name }))
      assert.is_true(a:tlsinfo().peer[1]:matches(name))
      local b <close> = assert(listener:accept(5))
      assert.equal(name, b:tlsinfo().servername)
    end
  end)

  works("is one of a hundred on one socket", function()
    local COUNT <const> = helper.slow > 1 and 30 or 100
    local listener <close>, port = lab.listen()
    local server = neap.spawn(function()
      return listener:serve(function(peer)
        for data in peer:messages() do peer:send(data:upper()) end
      end)
    end)
    local group <close> = neap.group()
    local places = neap.semaphore(8) -- more at once, and the kernel would drop some
    local all, there = neap.event(), 0
    local function talk(a, i, round)
      assert(a:send(("client %d, %d"):format(i, round)))
      assert.equal(("CLIENT %d, %d"):format(i, round), (a:receive()))
    end
    for i = 1, COUNT do
      group:spawn(function()
        local a = assert(places:with(lab.connect, port, { timeout = 9 }))
        there = there + 1
        if there == COUNT then all:set() end
        all:wait()
        for round = 1, 5 do places:with(talk, a, i, round) end
        places:with(function()
          a:close()
          neap.sleep(0.001)
        end)
      end)
    end
    all:wait()
    eventually(function() return listener:statistics().peers == COUNT end)
    group:wait()
    eventually(function() return listener:statistics().peers == 0 end)
    assert.equal(0, listener:tlsfailures())
    listener:stop()
    assert.is_true(server:join())
  end)
end)

describe("the end of an association", function()
  for name, finish in pairs {
    close = function(s) s:close() end,
    shutdown = function(s) assert(s:shutdown "w") end,
  } do
    with_pair(("by %s comes after all messages, and wakes who waits"):format(name), function(a, b)
      assert(a:send "last")
      finish(a)
      assert.equal("last", (b:receive()))
      for _ = 1, 2 do
        local value, why, code = b:receive()
        assert.fails("EOF", value, why, code)
        assert.equal("end of stream", why)
        assert.fails("EOF", b:receivemsg())
        assert.fails("EOF", b:receivemany())
        for _ in b:messages() do error "a message after the end" end
      end
      assert.fails("EPIPE", b:send "x")
      assert.fails("EPIPE", b:sendmsg("x", {}))
      assert.fails("EPIPE", b:sendmany { "x" })
      assert.is_true(b:isopen())
      assert.is_true(b:close())
    end)

    with_pair(("by %s wakes who waits"):format(name), function(a, b)
      local one = neap.spawn(function() return b:receive() end)
      local two = neap.spawn(function() return b:receivemany() end)
      waiting(one)
      waiting(two)
      finish(a)
      assert.fails("EOF", one:join())
      assert.fails("EOF", two:join())
    end)
  end

  with_pair("of what is sent leaves what comes, until the peer answers", function(a, b)
    assert(b:send "before")
    assert(a:shutdown "w")
    assert.fails("EPIPE", a:send "x")
    assert.equal("before", (a:receive()))
    assert.fails("EOF", b:receive())
    assert.fails("EOF", a:receive())
    raises("bad argument #1", function() a:shutdown "x" end)
  end)

  with_pair("of what comes", function(a, b)
    assert(b:send "never read")
    assert(a:shutdown "r")
    assert.fails("EOF", a:receive())
    assert(a:send "on")
    assert.equal("on", (b:receive()))
  end)

  works("is told by the collector, too", function()
    local listener <close>, port = lab.listen()
    do
      local a = assert(lab.connect(port))
      assert(a:send "forgotten")
    end
    local b <close> = assert(listener:accept(5))
    assert.equal("forgotten", (b:receive()))
    collectgarbage()
    collectgarbage()
    assert.fails("EOF", b:receive())
    eventually(function() return #neap.tasks() <= 3 end) -- its pump has ended, too
  end)

  works("of a listener leaves its clients; of them the socket is the last thing", function()
    local before = helper.count_fds()
    local listener, port = lab.listen()
    local a <close> = assert(lab.connect(port))
    local b = assert(listener:accept(5))
    local acceptor = neap.spawn(function() return listener:accept() end)
    waiting(acceptor)
    assert.is_true(listener:close())
    assert.fails("ECLOSED", acceptor:join())
    assert.fails("ECLOSED", listener:accept())
    assert.fails("ECLOSED", listener:getsockname())
    assert.equal("neap.dtls.listener (closed)", tostring(listener))
    assert(a:send "x")
    assert.equal("x", (b:receive()))
    b:close()
    assert.fails("EOF", a:receive())
    a:close()
    assert.equal(before, helper.count_fds())
  end)

  works("of a listener that was forgotten leaves its clients", function()
    local listener, port = lab.listen()
    local a <close> = assert(lab.connect(port))
    local b <close> = assert(listener:accept(5))
    listener = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert(a:send "x")
    assert.equal("x", (b:receive()))
    assert.fails("ETIMEDOUT", lab.connect(port, { timeout = 0.2 }))
  end)
end)

describe("serving DTLS", function()
  works("has a task for each client, bounded, and stops", function()
    local listener <close>, port = lab.listen()
    local live, most, ended = 0, 0, 0
    local server = neap.spawn(function()
      return listener:serve(function(peer)
        live = live + 1
        most = math.max(most, live)
        local guard <close> = helper.defer(function() live, ended = live - 1, ended + 1 end) -- luacheck: ignore 211
        for data in peer:messages() do peer:send(data) end
      end, { max_connections = 2 })
    end)
    waiting(server)
    raises("being served", function() listener:serve(print) end)
    local group = neap.group()
    for _ = 1, 5 do
      group:spawn(function()
        local a <close> = assert(lab.connect(port))
        assert(a:send "x")
        assert.equal("x", (a:receive()))
      end)
    end
    group:wait()
    group:close()
    eventually(function() return ended == 5 end)
    assert.equal(2, most)
    local a <close> = assert(lab.connect(port))
    assert(a:send "y")
    assert(a:receive())
    assert.is_true(listener:stop(0))
    assert.is_true(server:join())
    assert.equal(0, live)
    assert.fails("EOF", a:receive())
  end)

  works("tells of handshakes that failed, and of handlers", function()
    local reports = {}
    local listener <close>, port = lab.listen()
    local server = neap.spawn(function()
      return listener:serve(function() error "the handler" end, {
        on_error = function(err, traceback) reports[#reports + 1] = { tostring(err), traceback } end,
      })
    end)
    local stranger = lab.certificate { "x" }
    assert.fails("X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", lab.connect(port, { context = false, ca = stranger }))
    eventually(function() return #reports == 1 end)
    assert.matches("^handshake with 127%.0%.0%.1:%d+: ", reports[1][1])
    assert.equal(1, listener:tlsfailures())
    local a <close> = assert(lab.connect(port))
    eventually(function() return #reports == 2 end)
    assert.matches("the handler", reports[2][1])
    assert.fails("EOF", a:receive())
    listener:stop(0)
    assert.is_true(server:join())
  end)

  works("iterates over clients", function()
    local listener <close>, port = lab.listen()
    local acceptor = neap.spawn(function()
      local n = 0
      for peer in listener:connections() do
        n = n + 1
        peer:close()
      end
      return n
    end)
    for _ = 1, 3 do
      local a <close> = assert(lab.connect(port))
      assert.fails("EOF", a:receive())
    end
    listener:close()
    assert.equal(3, acceptor:join())
  end)
end)

describe("whom it believes:", function()
  local cases <const> = {
    { "good" },
    { "long chain" },
    { "expired", "X509_V_ERR_CERT_HAS_EXPIRED" },
    { "future", "X509_V_ERR_CERT_NOT_YET_VALID" },
    { "other", "X509_V_ERR_HOSTNAME_MISMATCH", "other%.example" },
    { "CN only", "X509_V_ERR_HOSTNAME_MISMATCH" },
    { "unknown CA", "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY" },
    { "self-signed", "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT" },
    { "missing intermediate", "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY" },
    { "under no CA", "X509_V_ERR_INVALID_CA" },
    { "client only", "X509_V_ERR_INVALID_PURPOSE" },
    { "wildcard in part", "X509_V_ERR_HOSTNAME_MISMATCH" },
    { "NUL in the name", "X509_V_ERR_HOSTNAME_MISMATCH" },
    { "bad signature", "X509_V_ERR_CERT_SIGNATURE_FAILURE" },
  }
  for _, case in ipairs(cases) do
    works(("%s is %s"):format(case[1], case[2] or "believed"), function()
      certs.need()
      local cert <const> = certs.get(case[1])
      local listener <close>, port = lab.listen { context = false, cert = cert.chain, key = cert.key }
      local options <const> = { context = false, ca = certs.ca(), servername = "good.example" }
      local a <close>, why, code = lab.connect(port, options)
      if not case[2] then
        assert(a, why)
        return
      end
      assert.fails(case[2], a, why, code)
      assert.matches("^handshake with 127%.0%.0%.1:%d+: ", why)
      if case[3] then assert.matches(case[3], why) end
      eventually(function() return listener:tlsfailures() == 1 end)
      options.insecure_no_verify = true
      local b <close> = assert(lab.connect(port, options)) -- luacheck: ignore 211
    end)
  end

  works("clients show certificates when they must", function()
    local pem, key = lab.certificate({ "client@good.example" }, { purposes = { "clientAuth" } })
    local listener <close>, port = lab.listen {
      context = false, cert = lab.cert, key = lab.key, ca = lab.root, client_certificates = "require",
    }
    local a <close> = assert(lab.connect(port, { context = false, ca = lab.root, cert = pem, key = key }))
    local b <close> = assert(listener:accept(5))
    assert.is_true(#b:tlsinfo().peer >= 1)
    assert(a:send "x")
    assert.equal("x", (b:receive()))
    local _, why, code = lab.connect(port)
    assert.equal("ETLS", code)
    assert.matches("handshake failure", why)
    assert.equal(1, listener:tlsfailures())
  end)

  works("what ends have not in common fails on both", function()
    local listener <close>, port = lab.listen { context = false, cert = lab.cert, key = lab.key,
      ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }
    local reports = {}
    local server = neap.spawn(function()
      listener:serve(print, { on_error = function(err) reports[#reports + 1] = err end })
    end)
    local a, why, code = lab.connect(port,
      { context = false, ca = lab.root, ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384" })
    assert.fails("ETLS", a, why, code)
    assert.matches("handshake failure", why)
    eventually(function() return #reports == 1 end)
    assert.matches("no shared cipher", reports[1])
    listener:close()
    server:join()
  end)
end)

describe("the path", function()
  works("may be narrow: a long chain of certificates is cut to fit", function()
    local pem, key = lab.certificate({ "127.0.0.1" }, nil, 6)
    local listener <close>, port = lab.listen { context = false, cert = pem, key = key, mtu = 256 }
    local longest = 0
    local function measure(data)
      longest = math.max(longest, #data)
      return data
    end
    local relay <close> = lab.relay(port, measure, measure)
    local a <close> = assert(lab.connect(relay.port, { mtu = 256 }))
    local b <close> = assert(listener:accept(5))
    assert.is_true(longest <= 256, longest)
    assert.equal(7, #a:tlsinfo().peer)
    local most = a:tlsinfo().most
    assert(a:send(("x"):rep(most)))
    assert.equal(most, #b:receive())
    assert.equal(256, longest)
    local value, why, code = a:send(("x"):rep(most + 1))
    assert.fails("EMSGSIZE", value, why, code)
    assert.matches(("^send .* %d bytes, room for %d$"):format(most + 1, most), why)
  end)

  works("that carries only short datagrams is found out by the handshake", function()
    local pem, key = lab.certificate({ "127.0.0.1" }, nil, 3)
    local listener <close>, port = lab.listen { context = false, cert = pem, key = key, retransmit = 0.03 }
    local function narrow(data) return #data <= 600 and data or nil end
    local relay <close> = lab.relay(port, narrow, narrow)
    local a <close> = assert(lab.connect(relay.port))
    local b <close> = assert(listener:accept(5))
    assert(a:send "x")
    assert.equal("x", (b:receive()))
    assert.is_true(b:tlsinfo().most < 548)
  end)

  with_pair("may be wide: a message is as long as a record", function(a, b)
    local data = ("y"):rep(16384)
    assert(a:send(data))
    assert.is_true(b:receive() == data)
    local value, why, code = a:send(data .. "z")
    assert.fails("EMSGSIZE", value, why, code)
    assert.matches("room for 16384$", why)
  end, { mtu = 65507 }, { mtu = 65507 })
end)

describe("bad weather", function()
  -- Each flight of the handshake, both ways: its first n datagrams are lost.
  for _, case in ipairs {
    { "the first hello", up = 1 }, { "both first hellos", up = 2 }, { "the cookie", down = 1 },
    { "the first answers", down = 3 }, { "several", up = 2, down = 2 },
  } do
    works(("that loses %s delays the handshake"):format(case[1]), function()
      local listener <close>, port = lab.listen { retransmit = 0.05 }
      local function losing(count)
        return function(data, n) return n > (count or 0) and data or nil end
      end
      local relay <close> = lab.relay(port, losing(case.up), losing(case.down))
      local a <close> = assert(lab.connect(relay.port))
      local b <close> = assert(listener:accept(5))
      assert(a:send "x")
      assert.equal("x", (b:receive()))
      assert.equal(0, listener:tlsfailures())
    end)
  end

  works("that loses every fifth datagram", function()
    local listener <close>, port = lab.listen { retransmit = 0.03, mtu = 400 }
    local function lossy(data, n) return n % 5 ~= 0 and data or nil end
    local relay <close> = lab.relay(port, lossy, lossy)
    local a <close> = assert(lab.connect(relay.port, { retransmit = 0.03, mtu = 400 }))
    local b <close> = assert(listener:accept(5)) -- luacheck: ignore 211
    assert(a:isopen())
  end)

  local SEEDS <const> = helper.slow > 1 and 3 or 8
  for seed = 1, SEEDS do
    works(("number %d: what arrives is whole, and arrives once"):format(seed), function()
      local listener <close>, port = lab.listen { retransmit = 0.02, mtu = 500, handshake_timeout = 9 }
      local relay <close> = lab.relay(port, lab.bad_weather(seed, 0.2, 0.2, 0.2),
        lab.bad_weather(seed + 1000, 0.2, 0.2, 0.2))
      local a <close> = assert(lab.connect(relay.port, { retransmit = 0.02, mtu = 500, timeout = 9 }))
      local b <close> = assert(listener:accept(9))
      local function hear(from)
        local seen, n = {}, 0
        from:settimeout(0.3 * helper.slow)
        for data in function() return (from:receive()) end do
          local number, text = data:match "^(%d+) (x*)$"
          assert.equal(tonumber(number) % 300, #text)
          assert.is_nil(seen[number])
          seen[number], n = true, n + 1
        end
        return n
      end
      local ears = { neap.spawn(hear, a), neap.spawn(hear, b) }
      for i = 1, 200 do
        local data = ("%d %s"):format(i, ("x"):rep(i % 300))
        assert(a:send(data))
        assert(b:send(data))
        if i % 20 == 0 then neap.sleep(0.001) end
      end
      for _, ear in ipairs(ears) do
        local n = ear:join()
        assert.is_true(n > 110 / helper.slow and n <= 190, n) -- a slow receiver's queue overflows, too
      end
    end)
  end
end)

describe("who vanishes", function()
  -- Of the handshake's datagrams, only so many get through in a direction.
  for up = 0, 4 do
    works(("after %d datagrams of a client's fails both ends in time"):format(up), function()
      local listener <close>, port = lab.listen { handshake_timeout = 0.2, retransmit = 0.02 }
      local relay <close> = lab.relay(port, function(data, n) return n <= up and data or nil end,
        up == 0 and nil or function(data, n) return n <= up and data or nil end)
      local began = neap.now()
      local a, why, code = lab.connect(relay.port, { timeout = 0.3, retransmit = 0.02 })
      if a then -- that was all that it needed
        a:close()
        return
      end
      assert.fails("ETIMEDOUT", a, why, code)
      assert.matches("^handshake with 127%.0%.0%.1:%d+: ", why)
      assert.is_true(neap.now() - began < 2 * helper.slow)
      eventually(function()
        local counts = listener:statistics()
        return counts.handshakes == 0 and counts.peers == 0
      end)
    end)
  end

  works("of a server that is not there: the client is told at once", function()
    local gone = assert(udp.open("127.0.0.1", 0))
    local _, port = gone:getsockname()
    gone:close()
    local a, why, code = assert.takes(0, 1, lab.connect, port)
    assert.fails("ECONNREFUSED", a, why, code)
    assert.matches("^handshake with 127%.0%.0%.1:%d+: Connection refused", why)
  end)

  with_pair("later: who waits is told, and the socket can be used on", function(a, b, listener)
    listener:close()
    b.endpoint.udp:close() -- without a word
    assert(a:settimeout(2))
    a:send "anybody?"
    local _, _, code = a:receive()
    assert.is_true(code == "ECONNREFUSED" or code == "ETIMEDOUT", code)
    assert.is_true(a:isopen())
  end)

  works("has its time: handshake_timeout bounds a client without a timeout", function()
    local silent <close> = assert(udp.open("127.0.0.1", 0))
    assert.takes(0.05, 1, function()
      assert.fails("ETIMEDOUT", dtls.connect("127.0.0.1", select(2, silent:getsockname()),
        { context = lab.contexts.client, handshake_timeout = 0.06, retransmit = 0.01 }))
    end)
  end)
end)

describe("strangers", function()
  -- What a client says, up to the hello with the cookie.
  local function hellos(port)
    local sent = {}
    local relay <close> = lab.relay(port, function(data, n)
      sent[n] = data
      return n == 1 and data or nil
    end)
    lab.connect(relay.port, { timeout = 0.05, retransmit = 1 })
    return sent
  end

  works("who say hello without a cookie cost nothing", function()
    local listener <close>, port = lab.listen()
    local COUNT <const> = 20000 // helper.slow
    local hello = hellos(port)[1]
    local flood <close> = assert(udp.open("127.0.0.1", 0))
    local function round(n)
      for i = 1, n do
        local random = string.pack(">I8", i):rep(4) -- another client each time
        flood:sendto(hello:sub(1, 27) .. random .. hello:sub(60), "127.0.0.1", port)
        if i % 100 == 0 then neap.sleep(0) end
      end
      neap.sleep(0.01)
    end
    round(COUNT // 4)
    local before, kept = lab.memory(), collectgarbage "count"
    round(COUNT)
    local counts = listener:statistics()
    assert.is_true(counts.hellos > COUNT // 8, counts.hellos)
    assert.same({ 0, 0, 0 }, { counts.peers, counts.handshakes, counts.failed })
    assert.is_true(lab.memory() - before < 1024, lab.memory() - before)
    assert.is_true(collectgarbage "count" - kept < 200)
    local a <close> = assert(lab.connect(port)) -- and honest ones are served
  end)

  works("cannot use another's cookie, nor make one", function()
    local listener <close>, port = lab.listen()
    local sent = hellos(port)
    local thief <close> = assert(udp.connect("127.0.0.1", port))
    assert(#sent >= 2)
    for _, hello in ipairs {
      sent[2], -- from another address
      sent[2]:sub(1, 80) .. ("\0"):rep(20) .. sent[2]:sub(101),
      sent[1],
    } do
      thief:send(hello)
      local answer = thief:settimeout(2):receive()
      assert.equal(3, answer:byte(14)) -- a HelloVerifyRequest
      assert.is_true(#answer <= #hello)
    end
    local counts = listener:statistics()
    assert.same({ 0, 0, 0 }, { counts.peers, counts.handshakes, counts.failed })
  end)

  works("who send garbage are not answered, and disturb nobody", function()
    local listener <close>, port = lab.listen()
    local seen = {}
    local relay <close> = lab.relay(port, function(data)
      seen[#seen + 1] = data
      return data
    end, function(data)
      seen[#seen + 1] = data
      return data
    end)
    local a <close> = assert(lab.connect(relay.port))
    local b <close> = assert(listener:accept(5))
    assert(a:send "first")
    assert.equal("first", (b:receive()))
    local chance = lab.dice(7)
    local function random(n) return math.floor(chance() * n) end
    local stranger <close> = assert(udp.connect("127.0.0.1", port))
    for i = 1, 300 do
      local data = seen[random(#seen) + 1]
      if i % 3 == 0 then
        data = data:sub(1, random(#data))
      elseif i % 3 == 1 then
        local at = random(#data) + 1
        data = data:sub(1, at - 1) .. string.char(random(256)) .. data:sub(at + 1)
      else
        local bytes = {}
        for k = 1, random(300) do bytes[k] = string.char(random(256)) end
        data = table.concat(bytes)
      end
      relay.inject(data)
      relay.inject_down(data)
      stranger:send(data)
      if i % 10 == 0 then
        neap.sleep(0.001)
        assert(a:send("from a " .. i))
        assert.equal("from a " .. i, (b:receive()))
        assert(b:send("from b " .. i))
        assert.equal("from b " .. i, (a:receive()))
      end
    end
    assert.equal(1, listener:statistics().peers)
    assert.fails("ETIMEDOUT", listener:accept(0.01))
  end)

  works("who play again what they heard are not heard", function()
    local listener <close>, port = lab.listen()
    local seen = {}
    local relay <close> = lab.relay(port, function(data)
      seen[#seen + 1] = data
      return data
    end)
    local a <close> = assert(lab.connect(relay.port))
    local b <close> = assert(listener:accept(5))
    for i = 1, 5 do assert(a:send("message " .. i)) end
    for i = 1, 5 do assert.equal("message " .. i, (b:receive())) end
    for _ = 1, 3 do
      for _, data in ipairs(seen) do relay.inject(data) end -- the handshake, too
    end
    assert.fails("ETIMEDOUT", b:settimeout(0.05):receive())
    assert.fails("ETIMEDOUT", listener:accept(0.01))
    assert(a:send "and on")
    assert.equal("and on", (b:settimeout(2):receive()))
    local counts = listener:statistics()
    assert.same({ 1, 0 }, { counts.peers, counts.handshakes })
  end)

  works("at another address are not who they say", function()
    local listener <close>, port = lab.listen()
    local relay <close> = lab.relay(port)
    local a <close> = assert(lab.connect(relay.port))
    local b <close> = assert(listener:accept(5))
    assert(a:send "here")
    assert.equal("here", (b:receive()))
    relay.move()
    assert(a:send "elsewhere")
    assert.fails("ETIMEDOUT", b:settimeout(0.05):receive())
    local counts = listener:statistics()
    assert.same({ 1, 0 }, { counts.peers, counts.handshakes })
    assert(b:isopen())
  end)

  works("who guess an address find out nothing", function()
    local listener <close>, port = lab.listen()
    local stranger <close> = assert(udp.connect("127.0.0.1", port))
    for _, data in ipairs { "", "x", ("\22"):rep(100), "\23\254\253" .. ("\0"):rep(40), ("\0"):rep(60000) } do
      stranger:send(data)
    end
    assert.fails("ETIMEDOUT", stranger:settimeout(0.03):receive())
    assert.equal(0, listener:statistics().hellos)
  end)
end)

describe("a client that begins anew at its old address", function()
  local function at(port, from, options)
    return lab.connect(port, lab.with({ bind = "127.0.0.1:" .. from }, options or {}))
  end

  -- A port, and a client that leaves it without a word.
  local function leave(port, listener)
    local a = assert(lab.connect(port))
    local _, from = a:getsockname()
    local b = assert(listener:accept(5))
    assert(a:send "x")
    assert.equal("x", (b:receive()))
    a.endpoint.udp:close()
    return from, b
  end

  works("takes the place of the old one, once its handshake is done", function()
    local listener <close>, port = lab.listen()
    local from, old = leave(port, listener)
    local held <close> = old
    local reader = neap.spawn(function() return old:receive() end)
    local a <close> = assert(at(port, from))
    local b <close> = assert(listener:accept(5))
    assert.fails("ECONNRESET", reader:join())
    assert.fails("ECONNRESET", old:receive())
    assert.fails("ECONNRESET", old:send "x")
    for _ = 1, 3 do
      assert(a:send "anew")
      assert.equal("anew", (b:receive()))
      assert(b:send "yes")
      assert.equal("yes", (a:receive()))
    end
    old:close()
    assert(a:send "on")
    assert.equal("on", (b:receive()))
    assert.equal(1, listener:statistics().peers)
  end)

  works("takes the place of one that is broken, though nobody has closed it", function()
    local listener <close>, port = lab.listen()
    local from, old = leave(port, listener)
    local held <close> = old
    peers.breakdown(old, "alert", "ETLS") -- as a fatal alert does
    local a <close> = assert(at(port, from, { timeout = 2 * helper.slow }))
    local b <close> = assert(listener:accept(5))
    assert.fails("ETLS", old:receive())
    old:close()
    assert(a:send "anew")
    assert.equal("anew", (b:receive()))
    assert.equal(1, listener:statistics().peers)
  end)

  works("and whose handshake fails leaves the old one alone", function()
    local listener <close>, port = lab.listen { handshake_timeout = 0.2 * helper.slow, retransmit = 0.02 }
    local relay <close> = lab.relay(port)
    local a <close> = assert(lab.connect(relay.port))
    local b <close> = assert(listener:accept(5))
    -- somebody at the same address, as far as the server sees
    local context = lab.contexts.client
    local liar = assert(machines.open(context, false, "good.example", "good.example", 1400, 1000000))
    machines.feed(liar, nil, {})
    relay.inject(machines.take(liar))
    local answers = 0
    relay.down = function(data)
      answers = answers + 1
      if answers == 1 then -- the cookie comes back; and then nothing
        machines.feed(liar, data, {})
        relay.inject(machines.take(liar))
      end
      return data
    end
    eventually(function() return listener:statistics().handshakes == 1 or listener:tlsfailures() == 1 end)
    assert(a:send "still here")
    assert.equal("still here", (b:receive()))
    assert(b:send "me, too")
    assert.equal("me, too", (a:receive()))
    eventually(function() return listener:statistics().handshakes == 0 end)
    assert.equal(1, listener:tlsfailures())
    assert(a:send "and on")
    assert.equal("and on", (b:receive()))
    assert.equal(1, listener:statistics().peers)
  end)

  works("while the old one is closed is let in, too", function()
    local listener <close>, port = lab.listen()
    local from, old = leave(port, listener)
    local shaking = neap.spawn(at, port, from)
    eventually(function() return listener:statistics().handshakes == 1 or shaking:status() == "done" end)
    old:close()
    local a <close> = assert(shaking:join())
    local b <close> = assert(listener:accept(5))
    assert(a:send "x")
    assert.equal("x", (b:receive()))
    assert.equal(1, listener:statistics().peers)
  end)

  works("in the middle of its handshake is let in, too", function()
    local listener <close>, port = lab.listen()
    local one <const> = assert(udp.open("127.0.0.1", 0))
    local _, from = one:getsockname()
    one:close()
    -- this one hears nothing after the cookie
    local first = neap.spawn(function()
      local context = lab.contexts.client
      local machine = assert(machines.open(context, false, "good.example", "good.example", 1400, 1000000))
      local sock <close> = assert(udp.connect("127.0.0.1", port, { bind = "127.0.0.1:" .. from }))
      machines.feed(machine, nil, {})
      sock:send(machines.take(machine))
      machines.feed(machine, (sock:receive()), {})
      sock:send(machines.take(machine))
      sock:receive()
    end)
    first:join()
    assert.equal(1, listener:statistics().handshakes)
    local a <close> = assert(at(port, from))
    local b <close> = assert(listener:accept(5))
    assert(a:send "x")
    assert.equal("x", (b:receive()))
    assert.same({ 1, 0 }, { listener:statistics().peers, listener:statistics().handshakes })
  end)
end)

describe("limits:", function()
  works("no more peers than max_peers", function()
    local listener <close>, port = lab.listen { max_peers = 2 }
    local a <close> = assert(lab.connect(port)) -- luacheck: ignore 211
    local c <close> = assert(lab.connect(port))
    assert.fails("ETIMEDOUT", lab.connect(port, { timeout = 0.1 }))
    assert.is_true(listener:statistics().refused > 0)
    assert(listener:accept(5)):close()
    local d <close> = assert(lab.connect(port))
    assert(d:isopen() and c:isopen())
  end)

  works("no more that nobody accepts than backlog", function()
    local listener <close>, port = lab.listen { backlog = 1 }
    local a <close> = assert(lab.connect(port))
    assert.fails("ETIMEDOUT", lab.connect(port, { timeout = 0.1 }))
    local b <close> = assert(listener:accept(5))
    local c <close> = assert(lab.connect(port))
    assert(a:isopen() and b:isopen() and c:isopen())
  end)

  with_pair("no more that nobody takes than maxqueue, and that is counted", function(a, b)
    for i = 1, 100 do assert(a:send(("%03d"):format(i) .. ("x"):rep(97))) end
    assert.equal("001", b:receive():sub(1, 3))
    neap.sleep(0.02)
    local n, counts = 1, b:statistics()
    b:settimeout(0.02)
    while b:receive() do n = n + 1 end
    assert.is_true(n >= 10 and n < 60, n)
    assert.equal(100, n + counts.drops)
    assert(a:send "room again")
    assert.equal("room again", (b:receive()))
  end, nil, { maxqueue = 2000 })
end)

describe("interrupted", function()
  works("while it connects, it leaves nothing", function()
    local silent <close> = assert(udp.open("127.0.0.1", 0))
    local _, port = silent:getsockname()
    local before = helper.count_fds()
    assert.fails("ETIMEDOUT", neap.timeout(0.03, lab.connect, port))
    local task = neap.spawn(lab.connect, port)
    waiting(task)
    task:cancel()
    assert.fails("ECANCELED", task:join())
    eventually(function() return helper.count_fds() == before end)
  end)

  works("while it accepts, no client is lost", function()
    local listener <close>, port = lab.listen()
    for _ = 1, 5 do
      local acceptor = neap.spawn(function()
        local ok, peer = pcall(listener.accept, listener)
        return ok and peer or nil
      end)
      waiting(acceptor)
      local a <close> = assert(lab.connect(port))
      acceptor:cancel()
      local b <close> = acceptor:join() or assert(listener:accept(2))
      assert(a:send "x")
      assert.equal("x", (b:receive()))
    end
    assert.fails("ETIMEDOUT", listener:accept(0.01))
    assert.fails("ETIMEDOUT", neap.timeout(0.01, listener.accept, listener))
  end)

  works("by stop in every state of a handshake", function()
    for _, count in ipairs { 1, 2, 3 } do
      local listener, port = lab.listen()
      local relay <close> = lab.relay(port, nil, function(data, n) return n < count and data or nil end)
      local client = neap.spawn(lab.connect, relay.port, { timeout = 0.1 })
      neap.sleep(0.02)
      assert.is_true(listener:stop(0))
      local a <close> = client:join() -- luacheck: ignore 211
    end
  end)
end)

describe("options", function()
  it("that nobody knows raise, and values that cannot be", function()
    for name, value in pairs {
      nodelay = true, ktls = true, max_early_data = 5, mtuu = 1400, mtu = 255, retransmit = 0, maxqueue = "much",
      handshake_timeout = -1, servername = "", max_version = "1.1", timestamps = true, gro = true,
    } do
      raises("'" .. name .. "'", function() dtls.connect("127.0.0.1", 9, { [name] = value }) end)
    end
    for name, value in pairs { bind = "127.0.0.1", servername = "x", max_peers = 0, backlog = "x", mtu = 65508 } do
      raises("'" .. name .. "'", function()
        dtls.listen("127.0.0.1", 0, { context = lab.contexts.server, [name] = value })
      end)
    end
    raises("option 'cert' is missing", function() dtls.listen("127.0.0.1", 0) end)
    raises("bad argument #2", function() dtls.listen("127.0.0.1", 70000, { context = lab.contexts.server }) end)
    raises("bad argument #1", function() dtls.listen({}, 0, { context = lab.contexts.server }) end)
    raises("option 'bind'", function() dtls.connect("127.0.0.1", 9, { bind = "nonsense" }) end)
    raises("option 'sni'", function()
      dtls.listen("127.0.0.1", 0, { cert = lab.cert, key = lab.key, sni = function() end })
    end)
    raises("bad argument #1", function() dtls.connect(5, 9) end)
    raises("bad argument #2", function() dtls.connect("127.0.0.1", 0) end)
  end)

  it("name contexts of the right kind", function()
    local stream = assert(tls.context { ca = lab.root })
    raises("dtls.context", function() dtls.connect("127.0.0.1", 9, { context = stream }) end)
    raises("tls.context", function() tls.connect("127.0.0.1", 9, { context = lab.contexts.client }) end)
    assert.is_true(dtls.iscontext(lab.contexts.client))
    assert.is_false(dtls.iscontext(stream))
    assert.is_false(tls.iscontext(lab.contexts.client))
    assert.is_false(dtls.iscontext(5))
    local old, why, code = dtls.context { min_version = "1.3" }
    if not old then
      assert.fails("ETLS", old, why, code)
      assert.matches("^dtls.context: version: ", why)
    end
  end)

  with_pair("of the UDP socket are set and told", function(a, b, listener)
    assert.equal(7, a:getsockopt "IP_TTL")
    assert.equal(a, a:setsockopt("IP_TTL", 9))
    assert.equal(9, a:getsockopt "IP_TTL")
    assert(a:sendmsg("x", { ttl = 3, tos = 4 }))
    assert.equal("x", (b:receive()))
    raises("'ip'", function() a:sendmsg("x", { ip = "127.0.0.1" }) end)
    raises("sendto", function() error("sendto " .. tostring(select(2, pcall(a.sendto, a, "x", "127.0.0.1", 9))), 1) end)
    raises("unknown socket option 'SO_X'", function() b:getsockopt "SO_X" end)
    raises("unknown socket option 'SO_X'", function() listener:setsockopt("SO_X", 1) end)
    raises("bad argument #1", function() listener:accept "soon" end)
    raises("bad argument #1", function() listener:serve(5) end)
    raises("unknown option 'max'", function() listener:serve(print, { max = 5 }) end)
    assert.raises("bad self", listener.accept, {})
    assert.equal(listener, listener:setsockopt("IP_TTL", 8))
    assert.equal(8, b:getsockopt "IP_TTL")
    assert.fails("EOPNOTSUPP", a:join "239.1.2.3")
    assert.fails("EOPNOTSUPP", a:connect("127.0.0.1", 9))
    assert.fails("EOPNOTSUPP", a:detach())
  end, { ttl = 7 })
end)

describe("in the long run", function()
  works("associations leave no memory and no descriptor", function()
    local ROUNDS <const> = 150 // helper.slow
    local listener <close>, port = lab.listen()
    local function round(n)
      for i = 1, n do
        local a = assert(lab.connect(port))
        local b = assert(listener:accept(5))
        assert(a:send "x")
        assert(b:receive())
        if i % 3 ~= 0 then a:close() end
        if i % 2 == 0 then b:close() end
      end
      collectgarbage()
      collectgarbage()
    end
    round(ROUNDS)
    local before, fds = lab.memory(), helper.count_fds()
    round(2 * ROUNDS)
    neap.sleep(0.01)
    assert.equal(fds, helper.count_fds())
    assert.is_true(lab.memory() - before < 3000, lab.memory() - before)
    eventually(function()
      collectgarbage()
      return listener:statistics().peers == 0
    end)
  end)
end)

describe("reload of a listener of DTLS", function()
  it("gives other certificates to those who come later, and no other to those who are there", function()
    in_task(function()
      local cert <const>, key <const> = lab.certificate { "other.example" }
      local listener <close> = assert(dtls.listen("127.0.0.1", 0, { cert = lab.cert, key = lab.key, timeout = 5 }))
      local _, port = listener:getsockname()
      local server <const> = neap.spawn(listener.serve, listener, function(peer)
        for data in peer:messages() do peer:send(data) end
      end)
      local function connect(name)
        return dtls.connect("127.0.0.1", port, { ca = lab.root, servername = name, timeout = 5 })
      end
      local before <close> = assert(connect "good.example")
      assert.fails("X509_V_ERR_HOSTNAME_MISMATCH", connect "other.example")
      assert.fails("ENOENT", listener:reload { cert = "/nowhere/cert.pem", key = key })
      local again <close> = assert(connect "good.example")
      assert.equal(listener, listener:reload { cert = cert, key = key })
      local after <close> = assert(connect "other.example")
      for _, sock in ipairs { before, again, after } do
        assert(sock:send "still there")
        assert.equal("still there", (sock:receive()))
      end
      assert.raises("unknown option 'ktls'", listener.reload, listener, { ktls = true })
      assert.raises("option 'sni'", listener.reload, listener, { sni = function() end })
      assert.raises("must be alone", listener.reload, listener, { context = lab.contexts.server, cert = cert })
      listener:stop(0)
      assert.fails("ECLOSED", listener:reload())
      server:join()
    end)
  end)
end)
