--- Resuming: who may resume whose sessions, for how long, and what is kept.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tls <const> = require "neap.tls"
local unix <const> = require "neap.unix"
local x509 <const> = require "neap.x509"

local in_task <const> = helper.in_task

local function works(name, body)
  it(name, function()
    certs.need()
    in_task(body)
  end)
end

local SECRET <const>, OTHER <const>, THIRD <const> = ("s"):rep(32), ("t"):rep(40), ("u"):rep(32)

local function client(more) return assert(tls.context(lab.with({ ca = certs.ca() }, more))) end
local function server(more, name) return assert(tls.context(lab.listener(more, name))) end

-- A connection of these contexts; what each end says of it, packed or failed.
-- The client has the tickets when this returns.
local function meet(mine, theirs, name)
  local a <close>, b = assert(unix.pair())
  local held <close> = b
  local first, second = lab.shake(a, { context = mine, servername = name or "good.example" }, b,
    { context = theirs, server = true })
  if not first[1] or not second[1] then
    return nil, ("client: %s; server: %s"):format(first[2], second[2])
  end
  if not b:write "x" or not a:read(1) then return nil, "the server went away" end
  local one <const>, other <const> = a:tlsinfo(), b:tlsinfo()
  assert.equal(one.resumed, other.resumed)
  return one, other
end

-- Whether a session made with the first server is resumed by the second.
local function carries(first, second, options, name)
  local mine <const> = client(options)
  assert.is_false(assert(meet(mine, first, name)).resumed)
  return assert(meet(mine, second, name)).resumed
end

local VERSIONS <const> = { "1.2", "1.3" }

describe("tickets", function()
  for _, version in ipairs(VERSIONS) do
    local limit <const> = { max_version = version }

    works(("of one secret are good for each server that has it, over TLS %s"):format(version), function()
      local one <const>, other <const> = server { ticket_secret = SECRET }, server { ticket_secret = SECRET }
      assert.is_true(carries(one, other, limit))
      assert.is_true(carries(other, one, limit))
    end)

    works(("of no secret are good for nobody else, over TLS %s"):format(version), function()
      assert.is_false(carries(server(), server(), limit))
      local one <const> = server()
      assert.is_true(carries(one, one, limit))
    end)

    works(("of another secret are not, over TLS %s"):format(version), function()
      assert.is_false(carries(server { ticket_secret = SECRET }, server { ticket_secret = OTHER }, limit))
      -- a secret is not what begins with it
      assert.is_false(carries(server { ticket_secret = SECRET }, server { ticket_secret = SECRET .. "s" }, limit))
    end)

    works(("of an older secret are, where it is in the list, over TLS %s"):format(version), function()
      local before <const> = server { ticket_secret = SECRET }
      local after <const> = server { ticket_secret = { OTHER, THIRD, SECRET } }
      assert.is_true(carries(before, after, limit))
      -- who has not heard of the new one does not open what the first makes
      assert.is_false(carries(after, before, limit))
      -- and what is resumed by the old one is made anew by the first; over TLS
      -- 1.2 OpenSSL's clients keep what they have
      local mine <const> = client(limit)
      meet(mine, before)
      assert.is_true(meet(mine, after).resumed)
      assert.equal(version == "1.3", meet(mine, server { ticket_secret = OTHER }).resumed)
    end)

    works(("are neither made nor opened where they are off, over TLS %s"):format(version), function()
      local off <const> = server { tickets = false }
      assert.is_false(carries(off, off, limit))
      local on <const> = server { ticket_secret = SECRET }
      assert.is_false(carries(on, server { tickets = false, ticket_secret = SECRET }, limit))
      -- a client that keeps none
      assert.is_false(carries(on, on, { max_version = version, tickets = false }))
    end)

    works(("are for who came in by the same rules, over TLS %s"):format(version), function()
      local function rules(more)
        return server(lab.with({ ticket_secret = SECRET, client_certificates = "request", ca = certs.ca() }, more))
      end
      local cert <const> = certs.get "client"
      local options <const> = { cert = cert.chain, key = cert.key, max_version = version }
      assert.is_true(carries(rules(), rules(), options))
      for _, more in ipairs {
        { client_certificates = "require" }, { ca = certs.ca "middle" }, { depth = 3 }, { ca_only = false },
        { crl = certs.crl {} }, { pins = { certs.pin "client" } },
        { client_certificates = lab.none, ca = lab.none },
      } do
        assert.is_false(carries(rules(), rules(more), options))
        assert.is_false(carries(rules(more), rules(), options))
      end
    end)

    works(("of who has shown nothing let nobody in who must show something, over TLS %s"):format(version), function()
      local open <const> = server { ticket_secret = SECRET }
      local strict <const> = server { ticket_secret = SECRET, client_certificates = "require", ca = certs.ca() }
      local mine <const> = client(limit)
      assert(meet(mine, open))
      local info, why = meet(mine, strict)
      assert.is_nil(info)
      assert.is_string(why)
    end)

    works(("are for the name that chose the context, over TLS %s"):format(version), function()
      local several <const> = server({ ticket_secret = OTHER }, "several")
      local function named() return server { ticket_secret = SECRET, sni = { ["one.example"] = several } } end
      -- the secret is the listener's
      assert.is_true(carries(named(), named(), limit, "one.example"))
      assert.is_false(carries(named(), server({ ticket_secret = SECRET }, "several"), limit, "one.example"))
    end)

    works(("are not made by a name's context that makes none, over TLS %s"):format(version), function()
      local theirs <const> = server { sni = { ["one.example"] = server({ tickets = false }, "several") } }
      assert.is_false(carries(theirs, theirs, limit, "one.example"))
      assert.is_true(carries(theirs, theirs, limit))
    end)
  end

  works("end when their time is over", function()
    local began <const> = {}
    local mine <const> = {}
    local theirs <const> = server { ticket_secret = SECRET, ticket_lifetime = 2 }
    for _, version in ipairs(VERSIONS) do
      mine[version] = client { max_version = version }
      assert.is_false(meet(mine[version], theirs).resumed)
      began[version] = os.time()
    end
    -- resumed again and again, but no longer than that after the first
    while next(mine) do
      neap.sleep(0.1)
      for _, version in ipairs(VERSIONS) do
        local before <const> = os.time()
        if mine[version] and not meet(mine[version], theirs).resumed then
          assert.is_true(os.time() - began[version] >= 1)
          mine[version] = nil
        end
        assert.is_true(not mine[version] or before - began[version] <= 2)
      end
    end
  end)

  works("are opened in the slot after the one that made them", function()
    -- the slots change each 3 seconds
    local theirs <const> = server { ticket_secret = SECRET, ticket_lifetime = 3 }
    helper.eventually(function()
      neap.sleep(0.05)
      return os.time() % 3 == 2
    end)
    local mine <const> = {}
    for _, version in ipairs(VERSIONS) do
      mine[version] = client { max_version = version }
      assert.is_false(meet(mine[version], theirs).resumed)
    end
    local slot <const> = os.time() // 3
    helper.eventually(function()
      neap.sleep(0.05)
      return os.time() // 3 > slot
    end)
    for _, version in ipairs(VERSIONS) do
      local resumed <const> = meet(mine[version], theirs).resumed
      if os.time() == (slot + 1) * 3 then assert.is_true(resumed) end -- else it took too long
    end
  end)

  works("of TLS 1.3 are used once, and there are several", function()
    local mine <const>, theirs <const> = client { min_version = "1.3" }, server()
    local seen <const> = {}
    -- the tickets of a first connection; then others at the same time
    meet(mine, theirs)
    local pairs_of <const> = {}
    for i = 1, 3 do
      local a <const>, b <const> = assert(unix.pair())
      pairs_of[i] = { a, b }
      local first, second = lab.shake(a, { context = mine, servername = "good.example" }, b,
        { context = theirs, server = true })
      assert(first[1] and second[1], first[2] or second[2])
      seen[i] = b:tlsinfo().resumed -- nothing was read, so no new ticket was
    end
    for _, two in ipairs(pairs_of) do
      two[1]:close()
      two[2]:close()
    end
    assert.same({ true, true, false }, seen)
  end)

  works("of TLS 1.3 are made anew each time", function()
    local mine <const>, theirs <const> = client { min_version = "1.3" }, server()
    meet(mine, theirs)
    for _ = 1, 6 do assert.is_true(meet(mine, theirs).resumed) end
  end)

  works("of TLS 1.2 are used as long as they are good", function()
    local mine <const>, theirs <const> = client { max_version = "1.2" }, server()
    meet(mine, theirs)
    for _ = 1, 5 do assert.is_true(meet(mine, theirs).resumed) end
  end)

  works("are kept of many names, the newest of them", function()
    local mine <const> = client { insecure_no_verify_name = true }
    local theirs <const> = server()
    for i = 1, 70 do assert.is_false(meet(mine, theirs, ("host%d.example"):format(i)).resumed) end
    assert.is_true(meet(mine, theirs, "host70.example").resumed)
    assert.is_true(meet(mine, theirs, "host40.example").resumed)
    assert.is_false(meet(mine, theirs, "host1.example").resumed)
  end)

  works("are not kept of a server that was not believed, nor lent to who verifies", function()
    local theirs <const> = server { ticket_secret = SECRET }
    local careless <const> = client { insecure_no_verify = true }
    meet(careless, theirs)
    assert.is_true(meet(careless, theirs).resumed)
    -- the same options, another context: nothing is shared
    assert.is_false(meet(client { insecure_no_verify = true }, theirs).resumed)
    local strict <const> = client { ca = certs.ca "rogue" }
    for _ = 1, 2 do assert.is_nil((meet(strict, theirs))) end
  end)

  works("are given up when the certificate that was verified is over", function()
    local cakey <const>, key <const> = x509.key(), x509.key()
    local ca <const> = x509.make { subject = "CN=A CA", key = cakey, ca = true }
    local cert <const> = x509.make { key = key, names = { "good.example" }, issuer = ca, issuerkey = cakey,
      notafter = os.time() + 2 }
    local theirs <const> = assert(tls.context { cert = cert:pem(), key = key:pem() })
    local mine <const> = assert(tls.context { ca = ca:pem() })
    if not meet(mine, theirs) then helper.skip "this machine is too slow" end
    local resumed, why = meet(mine, theirs)
    assert.is_true(not resumed or resumed.resumed, why)
    helper.eventually(function()
      neap.sleep(0.1)
      resumed, why = meet(mine, theirs)
      return not resumed
    end)
    assert.matches("expired", why)
  end)

  works("of a client's certificate that is over are opened no more", function()
    local cakey <const>, key <const> = x509.key(), x509.key()
    local ca <const> = x509.make { subject = "CN=A CA", key = cakey, ca = true }
    local cert <const> = x509.make { key = key, subject = "CN=me", issuer = ca, issuerkey = cakey,
      notafter = os.time() + 2, purposes = { "clientAuth" } }
    local theirs <const> = server { client_certificates = "require", ca = ca:pem() }
    local mine <const> = client { cert = cert:pem(), key = key:pem() }
    if not meet(mine, theirs) then helper.skip "this machine is too slow" end
    local info, why
    helper.eventually(function()
      info, why = meet(mine, theirs)
      neap.sleep(0.1)
      return not info
    end)
    assert.is_string(why)
  end)

  works("that are damaged cost a full handshake, and nothing else", function()
    local session <const> = helper.tmpname()
    lab.serving(lab.listener { ticket_secret = SECRET }, function(conn)
      conn:write(conn:tlsinfo().resumed and "resumed" or "anew")
    end, function(_, failures, port)
      local function dial(...)
        local process <close> = lab.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-ign_eof",
          "-servername", "good.example", "-tls1_2", ... }
        return process.output:read "a"
      end
      assert.matches("anew", dial("-sess_out", session))
      local file = assert(io.open(session, "rb"))
      local pem <const> = file:read "a"
      file:close()
      assert.matches("resumed", dial("-sess_in", session))
      local der <const> = certs.openssl("sess_id -in %s -outform DER -out %s.der", session, session)
      assert.is_string(der)
      file = assert(io.open(session .. ".der", "rb"))
      local bytes <const> = file:read "a"
      file:close()
      os.remove(session .. ".der")
      -- the ticket is the last long string of it: a byte of its middle is another
      local at <const> = #bytes - 60
      file = assert(io.open(session, "wb"))
      file:write("-----BEGIN SSL SESSION PARAMETERS-----\n")
      file:close()
      local pipe <const> = assert(io.popen(("openssl base64 >> %s"):format(session), "w"))
      pipe:write(bytes:sub(1, at), string.char(bytes:byte(at + 1) ~ 1), bytes:sub(at + 2))
      pipe:close()
      file = assert(io.open(session, "ab"))
      file:write("-----END SSL SESSION PARAMETERS-----\n")
      file:close()
      assert.matches("anew", dial("-sess_in", session))
      assert.is_string(pem)
      assert.same({}, failures)
    end)
  end)

  it("raise on options that do not do", function()
    for _, case in ipairs {
      { { ticket_secret = "short" }, "ticket_secret" }, { { ticket_secret = {} }, "ticket_secret" },
      { { ticket_secret = { SECRET, "short" } }, "ticket_secret" }, { { ticket_secret = 5 }, "ticket_secret" },
      { { ticket_secret = { SECRET, 5 } }, "ticket_secret" }, { { ticket_lifetime = 0 }, "ticket_lifetime" },
      { { ticket_lifetime = 1.5 }, "ticket_lifetime" }, { { ticket_lifetime = 8 * 86400 }, "ticket_lifetime" },
      { { tickets = "no" }, "tickets" },
      { { ticket_secret = { SECRET, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET, SECRET } },
        "ticket_secret" },
    } do
      assert.raises(case[2], tls.context, case[1])
    end
  end)
end)
