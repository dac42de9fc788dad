--- What TLS does beside carrying bytes: names by a function, early data, keying
-- material, new keys, the kernel's encryption.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tls <const> = require "neap.tls"
local unix <const> = require "neap.unix"

local in_task <const> = helper.in_task

if not helper.has_program "openssl" then
  pending "what TLS does beside carrying bytes: needs the program openssl"
  return
end

describe("a function that says which context a name has", function()
  local other
  local function contexts()
    other = other or assert(tls.context(lab.listener({}, "wildcard")))
    return other
  end

  it("is asked for the name, may wait, and decides", function()
    in_task(function()
      local asked <const> = {}
      local options <const> = lab.listener { sni = function(name, conn)
        asked[#asked + 1] = { name, (conn:getpeername()) }
        neap.sleep(0.01)
        return name == "a.wild.example" and contexts() or nil
      end }
      lab.serving(options, nil, function(connect)
        local conn <close> = assert(connect())
        assert.is_true(conn:tlsinfo().peer[1]:matches "good.example")
        local second <close> = assert(connect { servername = "a.wild.example", ca = certs.ca() })
        assert.is_true(second:tlsinfo().peer[1]:matches "a.wild.example")
      end)
      assert.same({ { "good.example", "127.0.0.1" }, { "a.wild.example", "127.0.0.1" } }, asked)
    end)
  end)

  it("is asked once, after a HelloRetryRequest, too", function()
    in_task(function()
      local n = 0
      local options <const> = lab.listener { groups = "P-384", sni = function()
        n = n + 1
        return nil
      end }
      lab.serving(options, nil, function(connect)
        local conn <close> = assert(connect { groups = "X25519:P-384" })
        assert.equal("secp384r1", conn:tlsinfo().group)
      end)
      assert.equal(1, n)
    end)
  end)

  it("refuses a name", function()
    in_task(function()
      lab.serving(lab.listener { sni = function() return false end }, nil, function(connect, failures)
        local conn, why, code = connect()
        assert.is_nil(conn)
        assert.equal("ETLS", code)
        assert.matches("unrecognized name", why)
        helper.eventually(function() return #failures == 1 end)
        assert.matches("'sni' refused the name", failures[1][1])
      end)
    end)
  end)

  it("that raises, or returns something else, fails its connection alone", function()
    in_task(function()
      local results <const> = { function() error "no such luck" end, function() return 5 end, function() end }
      local n = 0
      local options <const> = lab.listener { sni = function()
        n = n + 1
        return results[n]()
      end }
      lab.serving(options, nil, function(connect, failures)
        assert.is_nil((connect()))
        assert.is_nil((connect()))
        local conn <close> = assert(connect())
        helper.eventually(function() return #failures == 2 end)
        assert.matches("no such luck", failures[1][1])
        assert.matches("returned no context", failures[2][1])
      end)
    end)
  end)

  it("takes no longer than the handshake may", function()
    in_task(function()
      local a, b = unix.pair()
      local mine, theirs = lab.shake(a, lab.client(), b, lab.server { timeout = 0.1, sni = function()
        neap.sleep(0.15)
        return nil
      end })
      assert.is_nil(theirs[1])
      assert.equal("ETIMEDOUT", theirs[3])
      assert.is_nil(mine[1])
    end)
  end)
end)

describe("early data", function()
  -- What the server was sent early, and then; and the client's tlsinfo.
  local function exchange(server, client, early, later)
    local a <close>, b = unix.pair()
    local held <close> = b
    local theirs <const> = neap.spawn(function()
      assert(b:starttls { server = true, context = server, timeout = 5 })
      local first <const> = b:tlsearlydata()
      b:write "hello\n"
      local rest <const> = b:read "a"
      b:shutdown "w"
      return first, rest, b:tlsinfo().early_data
    end)
    assert(a:starttls { context = client, servername = "good.example", timeout = 5, early_data = early })
    assert.equal("hello", a:read())
    if later then assert(a:write(later)) end
    local state <const> = a:tlsinfo().early_data
    a:shutdown "w"
    a:read "a"
    local first, rest, said = theirs:join()
    assert.equal(state == "accepted", said == "accepted") -- who takes none says nothing of it
    return first, rest, state
  end

  local function pair(most)
    return assert(tls.context(lab.listener { max_early_data = most })), assert(tls.context { ca = certs.ca() })
  end

  it("comes before the handshake is over, apart from the rest", function()
    in_task(function()
      local server, client = pair(1000)
      local first, rest, state = exchange(server, client, "GET", "!")
      assert.is_nil(first)
      assert.same({ "GET!", nil }, { rest, state }) -- there was nothing to resume
      first, rest, state = exchange(server, client, "GET", "!")
      assert.same({ "GET", "!", "accepted" }, { first, rest, state })
    end)
  end)

  it("goes once in any case: after the handshake, where the server does not take it", function()
    in_task(function()
      local server, client = pair(1000)
      exchange(server, client)
      local first, rest = exchange(server, client, ("x"):rep(1001))
      assert.is_nil(first)
      assert.equal(("x"):rep(1001), rest)
      first, rest = exchange(server, client, ("x"):rep(1000))
      assert.same({ ("x"):rep(1000), "" }, { first, rest })
      local other <const> = assert(tls.context(lab.listener { max_early_data = 1000 }))
      first, rest = exchange(other, client, "again")
      assert.is_nil(first)
      assert.equal("again", rest)
    end)
  end)

  it("is taken by nobody who did not ask for it", function()
    in_task(function()
      local server <const> = assert(tls.context(lab.listener()))
      local _, client = pair(1)
      exchange(server, client)
      local first, rest, state = exchange(server, client, "GET")
      assert.same({ nil, "GET", nil }, { first, rest, state })
    end)
  end)

  it("cannot be replayed: a ticket is good for one connection", function()
    in_task(function()
      local server, client = pair(1000)
      exchange(server, client)
      -- What the client sends, recorded up to where it waits for an answer.
      local sent <const> = {}
      local a, b, relay = lab.through(function(record)
        sent[#sent + 1] = record
        return record
      end)
      local held <close> = relay
      local theirs <const> = neap.spawn(function()
        assert(b:starttls { server = true, context = server, timeout = 5 })
        return b:tlsearlydata()
      end)
      assert(a:starttls { context = client, servername = "good.example", early_data = "pay 5", timeout = 5 })
      assert.equal("pay 5", theirs:join())
      a:close()
      b:close()
      local c <close>, d = unix.pair()
      local again <close> = d
      local second <const> = neap.spawn(function()
        local ok = d:starttls { server = true, context = server, timeout = 0.3 }
        return ok, ok and d:tlsearlydata()
      end)
      c:write(table.concat(sent))
      local ok, data = second:join()
      assert.is_falsy(ok)
      assert.is_falsy(data)
    end)
  end)

  it("comes late where there is less room for it than there was", function()
    in_task(function()
      local named <const> = pair(100)
      for _, less in ipairs { { max_early_data = 1000 }, {}, { sni = { ["good.example"] = named } },
        { max_early_data = 1000, sni = { ["good.example"] = named } } } do
        local before, client = pair(10000)
        exchange(before, client, nil, "!")
        local first, rest = exchange(assert(tls.context(lab.listener(less))), client, ("x"):rep(10000), "!")
        assert.same({ nil, ("x"):rep(10000) .. "!" }, { first, rest })
      end
    end)
  end)

  it("is no more than the server's first context takes, whatever a name's does", function()
    in_task(function()
      local named <const>, client = pair(40000)
      for most, taken in pairs { [1000] = true, [false] = false } do
        local server <const> = assert(tls.context(lab.listener {
          max_early_data = most or nil, sni = { ["good.example"] = named },
        }))
        exchange(server, client, nil, "!")
        local first, rest = exchange(server, client, ("x"):rep(1000), "!")
        assert.equal(taken and ("x"):rep(1000) or nil, first)
        assert.equal(taken and "!" or ("x"):rep(1000) .. "!", rest)
        first, rest = exchange(server, client, ("x"):rep(1001), "!") -- comes late
        assert.same({ nil, ("x"):rep(1001) .. "!" }, { first, rest })
      end
    end)
  end)
end)

describe("keying material", function()
  it("is the same at both ends, and another for another label, context, connection", function()
    in_task(function()
      for _, version in ipairs { "1.2", "1.3" } do
        local a, b = lab.pair({ max_version = version })
        local key <const> = a:tlsexport("EXPORTER-neap", 32)
        assert.equal(32, #key)
        assert.equal(key, b:tlsexport("EXPORTER-neap", 32))
        assert.not_equal(key, a:tlsexport("EXPORTER-other", 32))
        assert.not_equal(key, a:tlsexport("EXPORTER-neap", 32, "context"))
        assert.equal(a:tlsexport("EXPORTER-neap", 4096, "c"), b:tlsexport("EXPORTER-neap", 4096, "c"))
        local c, d = lab.pair({ max_version = version })
        assert.not_equal(key, c:tlsexport("EXPORTER-neap", 32))
        for _, conn in ipairs { a, b, c, d } do conn:close() end
      end
    end)
  end)

  it("raises on what cannot be asked for", function()
    in_task(function()
      local a <close>, b = lab.pair()
      local held <close> = b
      assert.error_matches(function() a:tlsexport() end, "bad argument #1")
      assert.error_matches(function() a:tlsexport("EXPORTER-neap", 4097) end, "4096")
      assert.error_matches(function() a:tlsexport("EXPORTER-neap", 0) end, "1 to 4096")
      assert.error_matches(function() a:tlsexport("EXPORTER-neap", 1, 5) end, "bad argument #3")
      assert.error_matches(function() a:tlsbinding "tls-never" end, "bad argument #1")
      a:close()
      assert.equal("ECLOSED", select(3, a:tlsexport("EXPORTER-neap", 1)))
      local plain <close>, other = unix.pair()
      other:close()
      for _, method in ipairs { "tlsbinding", "tlsrekey", "tlsearlydata" } do
        assert.equal("EINVAL", select(3, plain[method](plain)), method)
      end
    end)
  end)

  it("ties an authentication to the connection", function()
    in_task(function()
      for _, kind in ipairs { "tls-exporter", "tls-server-end-point", "tls-unique" } do
        for _, version in ipairs { "1.2", "1.3" } do
          local a, b = lab.pair({ max_version = version })
          local binding, why, code = a:tlsbinding(kind)
          local other <const> = b:tlsbinding(kind)
          if kind == "tls-unique" and version == "1.3" then
            assert.equal("ENOTSUP", code)
            assert.matches("TLS 1.2", why)
          else
            assert.is_true(#binding >= 12)
          end
          assert.equal(binding, other)
          a:close()
          b:close()
        end
      end
    end)
  end)

  it("is the certificate's digest for the server's end point, and RFC 9266's by default", function()
    in_task(function()
      local a <close>, b = lab.pair()
      local held <close> = b
      local digest <const> = a:tlsinfo().peer[1]:fingerprint("sha256"):gsub(":", ""):lower()
      local binding <const> = a:tlsbinding "tls-server-end-point"
      assert.equal(digest, (binding:gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
      assert.equal(a:tlsexport("EXPORTER-Channel-Binding", 32, ""), a:tlsbinding())
    end)
  end)

  it("is unique after a session was resumed, too", function()
    in_task(function()
      local client <const> = assert(tls.context { ca = certs.ca(), max_version = "1.2" })
      local server <const> = lab.server_context()
      local seen <const> = {}
      for i = 1, 2 do
        local a, b = unix.pair()
        local mine, theirs = lab.shake(a, { context = client, servername = "good.example" }, b,
          { server = true, context = server })
        assert(mine[1] and theirs[1])
        assert.equal(i == 2, a:tlsinfo().resumed)
        assert.equal(a:tlsbinding "tls-unique", b:tlsbinding "tls-unique")
        assert.is_nil(seen[a:tlsbinding "tls-unique"])
        seen[a:tlsbinding "tls-unique"] = true
        a:close()
        b:close()
      end
    end)
  end)
end)

describe("new keys", function()
  it("are used by one direction, or both, in the midst of data", function()
    in_task(function()
      local a <close>, b = lab.pair()
      local held <close> = b
      local echo <close> = neap.spawn(function()
        for line in b:lines() do
          if line:find "rekey" then assert(b:tlsrekey()) end
          b:write(line, "\n")
        end
      end)
      for i, line in ipairs { "one", "rekey", "two", "three", "rekey", "four" } do
        assert.equal(a, a:tlsrekey(i % 2 == 0))
        a:write(line, "\n")
        assert.equal(line, a:read())
      end
      a:shutdown "w"
    end)
  end)

  it("are none of TLS 1.2's", function()
    in_task(function()
      local a <close>, b = lab.pair({ max_version = "1.2" })
      local held <close> = b
      local ok, why, code = a:tlsrekey()
      assert.is_nil(ok)
      assert.equal("ENOTSUP", code)
      assert.matches("only TLS 1.3", why)
    end)
  end)
end)

describe("the kernel's encryption", function()
  it("is told of, and without it all is as ever", function()
    in_task(function()
      local a <close>, b = lab.pair({ ktls = true }, { ktls = true }, require "neap.tcp".pair)
      local held <close> = b
      assert.is_truthy(({ none = true, send = true, both = true })[a:tlsinfo().ktls])
      assert.is_nil(lab.pair():tlsinfo().ktls)
      local data <const> = ("0123456789"):rep(100000)
      local writer <close> = neap.spawn(function()
        a:write(data)
        a:shutdown "w"
      end)
      assert.is_true(b:read "a" == data)
      b:write("back")
      b:shutdown "w"
      assert.equal("back", a:read "a")
    end)
  end)
end)
