--- Stapled OCSP responses: which are served, and what a client thinks of them.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tls <const> = require "neap.tls"
local unix <const> = require "neap.unix"

local function works(name, body)
  it(name, function()
    certs.need()
    helper.in_task(body)
  end)
end

local function write_file(text)
  local path <const> = helper.tmpname()
  assert(assert(io.open(path, "wb")):write(text)):close()
  return path
end

-- The failure is with this code, and says all of these words.
local function refused(code, words, value, why, got)
  assert.fails(code, value, why, got)
  for _, word in ipairs(words) do
    if not why:find(word, 1, true) then error(("%q does not say %q"):format(why, word), 2) end
  end
end

-- The staple is one that our server would not serve: openssl's does.
local function visit(name, staple, options, words)
  local list <const> = words or {}
  if staple then table.move({ "-status_file", write_file(staple) }, 1, 2, #list + 1, list) end
  list[#list + 1] = "-www"
  local server <close> = lab.s_server(name, list)
  local conn <close>, why, code = tls.connect("127.0.0.1", server.port, lab.client(options))
  if not conn then return nil, why, code end
  return conn:tlsinfo()
end

local FAILED <const>, NEEDED <const> = "X509_V_ERR_OCSP_VERIFY_FAILED", "X509_V_ERR_OCSP_VERIFY_NEEDED"
local REVOKED <const> = "X509_V_ERR_CERT_REVOKED"

describe("a stapled response", function()
  for name, case in pairs {
    ["by the issuer"] = {}, ["by whom the issuer has certified for it"] = { signer = "responder" },
    ["of a minute to come, as clocks differ"] = { from = 60 / 86400 },
    ["that has just expired, as clocks differ"] = { till = -60 / 86400 },
    ["that does not say until when"] = { till = false },
    ["about several certificates"] = { of = { "other", "good", "several" } },
  } do
    works("is taken: " .. name, function()
      for _, version in ipairs { "1.2", "1.3" } do
        local info <const> = assert(visit("good", certs.ocsp("good", case), { max_version = version }))
        assert.equal("good", info.ocsp)
        assert.equal("TLSv" .. version, info.version)
      end
      assert.equal("good", assert(visit("good", certs.ocsp("good", case), { ocsp = "require" })).ocsp)
    end)
  end

  for name, case in pairs {
    ["revoked"] = { REVOKED, "revoked", status = "revoked" },
    ["revoked, in an old one"] = { REVOKED, "revoked", status = "revoked", from = -9, till = -2 },
    ["revoked, by a responder"] = { REVOKED, "revoked", status = "revoked", signer = "responder" },
    ["unknown"] = { "X509_V_ERR_OCSP_CERT_UNKNOWN", "does not know", status = "unknown" },
    ["old"] = { FAILED, "expired", from = -9, till = -2 },
    ["old, and does not say until when"] = { FAILED, "expired", from = -9, till = false },
    ["of the future"] = { FAILED, "not yet valid", from = 1, till = 2 },
    ["of another certificate"] = { FAILED, "another certificate", of = { "other" } },
    ["of another issuer's"] = { FAILED, "another certificate", issuer = "root" },
    ["signed by a stranger"] = { FAILED, "signed", signer = "rogue" },
    ["signed by a stranger's responder"] = { FAILED, "signed", signer = "rogue responder" },
    ["signed by another issuer of the chain"] = { FAILED, "signed", signer = "root" },
    ["signed by another issuer's responder"] = { FAILED, "signed", signer = "root's responder" },
    ["signed by the certificate itself"] = { FAILED, "signed", signer = "good" },
    ["signed by who may not"] = { FAILED, "signed", signer = "client" },
    ["signed by a responder that has expired"] = { FAILED, "signed", signer = "old responder" },
    ["damaged"] = { FAILED, "signed", damaged = true },
    ["signed with SHA-1"] = { FAILED, "signed", digest = "sha1" },
    ["revoked by a stranger"] = { FAILED, "signed", status = "revoked", signer = "rogue" },
  } do
    works("refuses its certificate when it is " .. name, function()
      for _, version in ipairs { "1.2", "1.3" } do
        refused(case[1], { case[2], "The Good" },
          visit("good", certs.ocsp("good", case), { max_version = version }))
      end
    end)
  end

  -- Over TLS 1.2 it passes in the open, and is looked at before that is found
  -- out.
  works("that is none refuses the certificate", function()
    local staple <const> = certs.ocsp "good"
    for _, junk in ipairs { ("\0"):rep(#staple), "1" .. staple:sub(2), staple:sub(1, -500) .. ("x"):rep(499) } do
      local a <close>, b, relay = lab.through(nil, function(record)
        local at <const> = record:find(staple, 1, true)
        return at and record:sub(1, at - 1) .. junk .. record:sub(at + #staple) or record
      end)
      local held <close> = b
      local middle <close> = relay
      local mine = lab.shake(a, lab.client { max_version = "1.2" }, b, lab.server { ocsp = staple })
      refused(FAILED, { "none", "The Good" }, table.unpack(mine))
    end
  end)

  works("that is a responder's error is as good as none", function()
    for number = 1, 6 do assert.is_nil(assert(visit("good", certs.ocsp_error(number))).ocsp) end
    refused(NEEDED, { "The Good" }, visit("good", certs.ocsp_error(3), { ocsp = "require" }))
    refused(NEEDED, { "The Must-staple" }, visit("must-staple", certs.ocsp_error(3)))
  end)

  works("is heard of by the peer that is refused for it", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local good <const> = certs.get "good"
      local _, theirs
      do
        local a <close>, b = assert(unix.pair())
        local held <close> = b
        _, theirs = lab.shake(a, lab.client { max_version = version }, b,
          { server = true, cert = good.chain, key = good.key, ocsp = certs.ocsp("good", { status = "revoked" }) })
      end
      refused("ETLS", { "bad certificate status response" }, table.unpack(theirs))
    end
  end)

  works("may be missing, unless it is required", function()
    for _, version in ipairs { "1.2", "1.3" } do
      assert.is_nil(assert(visit("good", nil, { max_version = version })).ocsp)
      refused(NEEDED, { "stapled", "The Good" }, visit("good", nil, { ocsp = "require", max_version = version }))
    end
  end)

  works("may not be missing when the certificate says that it must be there", function()
    for _, version in ipairs { "1.2", "1.3" } do
      refused(NEEDED, { "stapled", "The Must-staple" }, visit("must-staple", nil, { max_version = version }))
      local info <const> = assert(visit("must-staple", certs.ocsp "must-staple", { max_version = version }))
      assert.equal("good", info.ocsp)
    end
  end)

  works("is not asked for by who does not want it, or verifies nothing", function()
    local bad <const> = certs.ocsp("good", { status = "revoked" })
    assert.is_nil(assert(visit("good", bad, { ocsp = false })).ocsp)
    assert.is_nil(assert(visit("good", bad, { insecure_no_verify = true })).ocsp)
    assert(visit("must-staple", nil, { ocsp = false }))
    assert(visit("must-staple", nil, { insecure_no_verify = true }))
    refused(REVOKED, { "revoked" }, visit("good", bad, { insecure_no_verify_name = true }))
    refused(REVOKED, { "revoked" }, visit("good", bad, { ocsp = true }))
  end)

  works("does not save a certificate that is bad otherwise", function()
    refused("X509_V_ERR_CERT_HAS_EXPIRED", { "expired" }, visit("expired", certs.ocsp "expired"))
    refused("X509_V_ERR_HOSTNAME_MISMATCH", { "other" }, visit("other", certs.ocsp "other"))
  end)

  works("is of who signed itself, or of the root", function()
    assert.equal("good", assert(visit("direct", certs.ocsp "direct")).ocsp)
    refused(REVOKED, { "The Direct" }, visit("direct", certs.ocsp("direct", { status = "revoked" })))
    assert.equal("good", assert(visit("self-signed", certs.ocsp "self-signed",
      { ca = certs.ca "self-signed" })).ocsp)
  end)

  works("is judged where the intermediate is all that is trusted", function()
    assert.equal("good", assert(visit("good", certs.ocsp "good", { ca = certs.ca "middle" })).ocsp)
    refused(FAILED, { "signed" }, visit("good", certs.ocsp("good", { signer = "root" }), { ca = certs.ca "middle" }))
  end)

  works("comes from openssl's own responder, too", function()
    local good <const>, middle <const> = certs.get "good", certs.get "middle"
    local index <const>, path <const> = helper.tmpname(), helper.tmpname()
    for status, code in pairs { V = true, R = REVOKED } do
      assert(io.open(index, "w")):write(("%s\t%s\t%s\t%X\tunknown\t/CN=x\n"):format(status,
        os.date("!%y%m%d%H%M%SZ", os.time() + 86400), status == "R" and os.date("!%y%m%d%H%M%SZ") or "",
        good.serial)):close()
      certs.openssl("ocsp -index %s -CA %s -rsigner %s -rkey %s -issuer %s -sha256 -cert %s -ndays 1 -respout %s " ..
        "-noverify", index, middle.leaf, middle.leaf, middle.key, middle.leaf, good.leaf, path)
      local file <close> = assert(io.open(path, "rb"))
      local info, why, got = visit("good", file:read "a")
      if code == true then
        assert.equal("good", assert(info, why).ocsp)
      else
        refused(code, { "revoked" }, info, why, got)
      end
    end
  end)
end)

-- ---- servers ----

-- What the client knows then of the certificate.
local function told(server, client)
  local a <close>, b = lab.pair(client, server)
  local held <close> = b
  return a:tlsinfo()
end

describe("a server with a response", function()
  works("gives it to who asks, from DER, a file, a function", function()
    local der <const> = certs.ocsp "good"
    for _, ocsp in ipairs { der, write_file(der), { der }, function() return der end, { function()
      neap.sleep(0.001)
      return write_file(der)
    end } } do
      for _, version in ipairs { "1.2", "1.3" } do
        assert.equal("good", told({ ocsp = ocsp }, { ocsp = "require", max_version = version }).ocsp)
        assert.is_nil(told({ ocsp = ocsp }, { ocsp = false, max_version = version }).ocsp)
      end
    end
    assert.is_nil(told({ ocsp = function() end }).ocsp)
    assert.is_nil(told({ ocsp = {} }).ocsp)
  end)

  works("gives the one of the certificate that is used", function()
    local good <const>, rsa <const>, other <const> = certs.get "good", certs.get "rsa", certs.get "other"
    for _, responses in ipairs { { "good", "rsa" }, { "rsa", "good" } } do
      local list <const> = {}
      for i, name in ipairs(responses) do list[i] = certs.ocsp(name) end
      local server <const> = { cert = { rsa.chain, good.chain }, key = { rsa.key, good.key }, ocsp = list }
      for _, ciphers in ipairs { "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256" } do
        local info <const> = told(server, { ocsp = "require", max_version = "1.2", ciphers = ciphers })
        assert.equal("good", info.ocsp)
        assert.equal(ciphers, info.cipher)
      end
    end
    -- one of two has none; and the table of names has its own
    local server <const> = { cert = { rsa.chain, good.chain }, key = { rsa.key, good.key }, ocsp = certs.ocsp "good",
      sni = { ["other.example"] = assert(tls.context {
        cert = other.chain, key = other.key, ocsp = certs.ocsp "other" }) } }
    local info <const> = told(server, { max_version = "1.2", ciphers = "ECDHE-RSA-AES128-GCM-SHA256" })
    assert.is_nil(info.ocsp)
    assert.equal("good", told(server, { min_version = "1.3" }).ocsp)
    local named <const> = told(server, { servername = "other.example", ocsp = "require" })
    assert.matches("The Other", (named.peer[1]:subject()))
  end)

  works("of the root, or of itself, gives that", function()
    for _, name in ipairs { "direct", "self-signed" } do
      local cert <const> = certs.get(name)
      local client <const> = { ocsp = "require", ca = name == "self-signed" and certs.ca(name) or nil }
      assert.equal("good", told({ cert = cert.chain, key = cert.key, ocsp = certs.ocsp(name) }, client).ocsp)
    end
  end)

  works("gives it to nobody when it expires", function()
    local server <const> = assert(tls.context(lab.listener {
      ocsp = certs.ocsp("good", { till = 1.4 / 86400 }) }))
    local client <const> = lab.client()
    local function ask()
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      local mine <const> = lab.shake(a, client, b, { server = true, context = server })
      assert(mine[1], mine[2])
      return a:tlsinfo().ocsp
    end
    helper.eventually(function()
      neap.sleep(0.1)
      return ask() == nil
    end)
  end)

  works("is not made of one that nobody would take", function()
    local good <const> = certs.get "good"
    for name, case in pairs {
      ["another"] = { certs.ocsp "other", "another certificate" },
      ["of another issuer"] = { certs.ocsp("good", { issuer = "root" }), "another certificate" },
      ["old"] = { certs.ocsp("good", { from = -9, till = -2 }), "expired" },
      ["of the future"] = { certs.ocsp("good", { from = 1, till = 2 }), "not yet valid" },
      ["an error"] = { certs.ocsp_error(3) .. "\0", "no OCSP response" },
      ["junk"] = { "junk\0junk", "no OCSP response" },
      ["cut"] = { certs.ocsp("good"):sub(1, -2), "no OCSP response" },
      ["a file of junk"] = { write_file "junk", "no OCSP response" },
      ["a file of an error"] = { write_file(certs.ocsp_error(3)), "responder" },
      ["an empty file"] = { write_file "", "no OCSP response" },
      ["one of two"] = { { certs.ocsp "good", certs.ocsp "other" }, "another certificate" },
      ["a function's"] = { function() return certs.ocsp "other" end, "another certificate" },
    } do
      local context, why, code = tls.context { cert = good.chain, key = good.key, ocsp = case[1] }
      if context then error(name) end
      refused("ETLS", { "ocsp: ", case[2] }, context, why, code)
    end
    local missing <const> = helper.tmpname()
    refused("ENOENT", { "ocsp: ", missing }, tls.context { cert = good.chain, key = good.key, ocsp = missing })
    refused("EBADF", { "responder is down" }, tls.context { cert = good.chain, key = good.key, ocsp = function()
      return nil, "responder is down", "EBADF"
    end })
    refused("ETLS", { "another certificate" }, tls.context { ocsp = certs.ocsp "good" })
  end)

  it("raises on what is none of these", function()
    for _, wrong in ipairs { 5, { 5 }, { true }, { {} } } do assert.raises("ocsp", tls.context, { ocsp = wrong }) end
    assert.raises("ocsp", tls.context, { ocsp = function() return 5 end })
    assert.raises("of mine", tls.context, { ocsp = function() error "of mine" end })
  end)

  works("leaves the certificate that a client shows alone", function()
    -- which of a context's certificates was looked at last says nothing
    local client <const>, rsa <const> = certs.get "client", certs.get "rsa"
    local context <const> = assert(tls.context {
      ca = certs.ca(), cert = { rsa.chain, client.chain }, key = { rsa.key, client.key }, ocsp = certs.ocsp "rsa" })
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    local mine, theirs = lab.shake(a, { context = context, servername = "good.example" }, b,
      lab.server { client_certificates = "require", ca = certs.ca() })
    assert(mine[1], mine[2])
    assert(theirs[1], theirs[2])
    assert.matches("A Client", (b:tlsinfo().peer[1]:subject()))
  end)

  works("says it once: what is resumed has no certificate", function()
    local client <const> = assert(tls.context { ca = certs.ca(), ocsp = "require" })
    local server <const> = assert(tls.context(lab.listener { ocsp = certs.ocsp "good" }))
    for i = 1, 2 do
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      local mine = lab.shake(a, { context = client, servername = "good.example" }, b,
        { server = true, context = server })
      assert(mine[1], mine[2])
      assert(b:write "x")
      assert.equal("x", a:read(1))
      assert.equal(i == 2, a:tlsinfo().resumed)
      assert.equal(i == 1 and "good" or nil, a:tlsinfo().ocsp)
    end
  end)

  works("shows it to openssl and to gnutls", function()
    lab.serving(lab.listener { ocsp = certs.ocsp "good" }, function(conn) conn:read "a" end, function(_, _, port)
      for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        local process <close> = lab.start { "openssl", "s_client", "-status", version, "-connect",
          "127.0.0.1:" .. port }
        local out <const> = process.output:read "a"
        assert.matches("OCSP Response Status: successful", out)
        assert.matches("Cert Status: good", out)
      end
      helper.need_program "gnutls-cli"
      local process <close> = lab.start { "gnutls-cli", "127.0.0.1", "-p", tostring(port), "--x509cafile", certs.ca(),
        "--sni-hostname", "good.example", "--verify-hostname", "good.example" }
      assert.matches("OCSP", process.output:read "a")
    end)
  end)
end)
