--- TLS: whose certificate is refused and why, what is agreed on, how
-- connections end, and peers that vanish, lie, dribble and never answer.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local tls <const> = require "neap.tls"
local unix <const> = require "neap.unix"

local in_task <const> = helper.in_task

-- A spec of this file needs the laboratory, and runs in a task.
local function works(name, body)
  it(name, function()
    certs.need()
    in_task(body)
  end)
end

local function waiting(task)
  helper.eventually(function() return task:status() == "waiting" end)
end

-- The failure is with this code, and says all of these words (plain text).
local function refused(code, words, value, why, got)
  assert.fails(code, value, why, got)
  for _, word in ipairs(words) do
    if not why:find(word, 1, true) then error(("%q does not say %q"):format(why, word), 2) end
  end
end

-- Any of these codes.
local function fails_with(codes, value, why, code)
  assert.is_nil(value)
  if not codes[code] then error(("%s: %s"):format(code, why), 2) end
end
-- What a peer that goes away looks like, by when and how it does.
local GONE <const> = { ETLS = true, ECONNRESET = true, EPIPE = true }

-- Client's and server's results over a pair of sockets, which are closed.
local function shake(client, server)
  local a <close>, b = assert(unix.pair())
  local held <close> = b
  local mine, theirs = lab.shake(a, lab.client(client), b, lab.server(server))
  return mine, theirs
end

-- Both ends agree, and body gets them.
local function with_pair(client, server, body)
  local a <close>, b = lab.pair(client, server)
  local held <close> = b
  return body(a, b)
end

-- ---- certificates ----

-- What the client comes to with this server's certificate: the stream's
-- tlsinfo(), or the failure.
local function visit(options, name)
  return lab.serving(lab.listener(nil, name), nil, function(connect)
    local conn <close>, why, code = connect(options)
    if not conn then return nil, why, code end
    return conn:tlsinfo()
  end)
end

-- The same with a server that has no scruples.
local function visit_weak(options, name)
  local server <close> = lab.s_server(name, { "-cipher", "ALL:@SECLEVEL=0", "-www" })
  local conn <close>, why, code = tls.connect("127.0.0.1", server.port, lab.client(options))
  if not conn then return nil, why, code end
  return conn:tlsinfo()
end

describe("a server's certificate", function()
  for _, case in ipairs {
    { "good" }, { "direct" }, { "several" }, { "no purposes" }, { "long chain" },
    { "chain out of order" }, { "under an RSA one" }, { "under an RSA-PSS one" },
    { "good", host = "GOOD.Example" }, { "good", host = "good.example." },
    { "inside the constraints", host = "www.inside.example" },
    { "wildcard", host = "a.wild.example" }, { "wildcard", host = "A-b.WILD.example." },
    { "ip4", host = "127.0.0.1" }, { "ip6", host = "::1" }, { "ip6", host = "0:0::1" },
    { "punycode", host = "xn--bcher-kva.example" }, { "punycode", host = "XN--BCHER-KVA.example" },
    { "underscore", host = "a_b.example" },
  } do
    local name <const>, host <const> = case[1], case.host or "good.example"
    works(("is taken: %s, for %s"):format(name, host), function()
      local info = assert(visit({ servername = host }, name))
      assert.is_string(info.version)
    end)
  end

  for name, key in pairs {
    good = { "ec", "P-256" }, p384 = { "ec", "P-384" }, p521 = { "ec", "P-521" }, rsa = { "rsa", 2048 },
    rsa3072 = { "rsa", 3072 }, rsa4096 = { "rsa", 4096 }, rsapss = { "rsa-pss", 2048 }, ed25519 = { "ed25519" },
    ed448 = { "ed448" },
  } do
    works(("is taken: one with a key %s"):format(table.concat(key, " ")), function()
      for _, version in ipairs { "1.2", "1.3" } do
        local info <const> = assert(visit({ max_version = version }, name))
        assert.equal("TLSv" .. version, info.version)
        local got <const> = info.peer[1]:key()
        assert.equal(key[1], got.type)
        assert.equal(key[2], type(key[2]) == "number" and got.bits or got.curve)
      end
    end)
  end

  local MISMATCH <const>, IP_MISMATCH <const> = "X509_V_ERR_HOSTNAME_MISMATCH", "X509_V_ERR_IP_ADDRESS_MISMATCH"
  local NO_ISSUER <const> = "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
  local EXPIRED <const>, EARLY <const> = "X509_V_ERR_CERT_HAS_EXPIRED", "X509_V_ERR_CERT_NOT_YET_VALID"
  local PURPOSE <const> = "X509_V_ERR_INVALID_PURPOSE"

  -- certificate, code, words of the message: of what, and of whom.
  for _, case in ipairs {
    { "expired", EXPIRED, { "expired", "The Expired" } },
    { "future", EARLY, { "not yet valid", "The Future" } },
    { "under an expired one", EXPIRED, { "expired", "Old Intermediate" } },
    { "under a future one", EARLY, { "not yet valid", "Young Intermediate" } },

    { "other", MISMATCH, { "good.example", "other.example" } },
    { "CN only", MISMATCH, { "good.example" } },
    { "wrong SAN, right CN", MISMATCH, { "other.example" } },
    { "mail only", MISMATCH, { "good.example" } },
    { "NUL in the name", MISMATCH, { "good.example" } },
    { "good", MISMATCH, { "sub.good.example" }, host = "sub.good.example" },
    { "good", MISMATCH, { "example" }, host = "example" },
    { "wildcard", MISMATCH, { "wild.example" }, host = "wild.example" },
    { "wildcard", MISMATCH, { "a.b.wild.example" }, host = "a.b.wild.example" },
    { "wildcard within", MISMATCH, { "x.y.example" }, host = "x.y.example" },
    { "wildcard in part", MISMATCH, { "foo.wild.example" }, host = "foo.wild.example" },
    { "wildcard alone", MISMATCH, { "localhost" }, host = "localhost" },
    { "wildcard alone", MISMATCH, { "good.example" } },
    { "wildcard over all of com", MISMATCH, { "evil.com" }, host = "evil.com" },
    { "wildcard twice", MISMATCH, { "a.b.example" }, host = "a.b.example" },
    { "leading dot", MISMATCH, { "a.wild.example" }, host = "a.wild.example" },
    { "ip4", MISMATCH, { "good.example" } },
    { "ip4", IP_MISMATCH, { "127.0.0.2" }, host = "127.0.0.2" },
    { "ip6", IP_MISMATCH, { "::2" }, host = "::2" },
    { "address as a name", IP_MISMATCH, { "127.0.0.1" }, host = "127.0.0.1" },
    { "NUL in the CN", MISMATCH, { "evil.example", "good.example" } },
    { "name as CN of an address", IP_MISMATCH, { "127.0.0.1" }, host = "127.0.0.1" },
    { "wildcard of addresses", IP_MISMATCH, { "127.0.0.1" }, host = "127.0.0.1" },

    { "unknown CA", NO_ISSUER, { "issuer", "The Unknown CA", "Rogue Root" } },
    { "unknown CA, sent with it", "X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN", { "self-signed", "Rogue Root" } },
    { "self-signed", "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT", { "self-signed", "The Self-signed" } },
    { "missing intermediate", NO_ISSUER, { "issuer", "The Missing intermediate", "Spec Intermediate" } },
    { "wrong intermediate", NO_ISSUER, { "issuer", "The Wrong intermediate" } },
    { "good", NO_ISSUER, { "issuer", "Spec Intermediate" }, options = { ca = "rogue" } },
    { "under no CA", "X509_V_ERR_INVALID_CA", { "CA", "Not a CA" } },
    { "under no signer", "X509_V_ERR_INVALID_CA", { "CA", "No Signer" } },
    { "under one too many", "X509_V_ERR_PATH_LENGTH_EXCEEDED", { "path length", "Spec Intermediate" } },
    { "outside the constraints", "X509_V_ERR_PERMITTED_VIOLATION", { "permitted", "The Outside" } },
    { "excluded by the constraints", "X509_V_ERR_EXCLUDED_VIOLATION", { "excluded", "The Excluded" },
      host = "www.secret.inside.example" },
    { "long chain", "X509_V_ERR_CERT_CHAIN_TOO_LONG", { "chain too long" }, options = { depth = 1 } },

    { "client only", PURPOSE, { "purpose", "The Client only" } },
    { "under a client only one", PURPOSE, { "purpose", "Client Only Intermediate" } },
    { "code signing", PURPOSE, { "purpose", "The Code signing" } },
    { "no signature usage", PURPOSE, { "purpose", "The No signature usage" } },
    { "unknown critical", "X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION", { "critical", "The Unknown critical" } },
    { "bad signature", "X509_V_ERR_CERT_SIGNATURE_FAILURE", { "signature", "The Bad signature" } },

    { "RSA 1024", "X509_V_ERR_EE_KEY_TOO_SMALL", { "key", "The RSA 1024" }, weak = true },
    { "SHA-1", "X509_V_ERR_CA_MD_TOO_WEAK", { "digest", "The SHA-1" }, weak = true },
    { "MD5", "X509_V_ERR_CA_MD_TOO_WEAK", { "digest", "The MD5" }, weak = true },
    { "under a weak one", "X509_V_ERR_CA_KEY_TOO_SMALL", { "key", "Weak Intermediate" }, weak = true },
    { "under a SHA-1 one", "X509_V_ERR_CA_MD_TOO_WEAK", { "digest", "Sloppy Intermediate" }, weak = true },
  } do
    local name <const>, code <const>, words <const> = case[1], case[2], case[3]
    local host <const> = case.host or "good.example"
    works(("is refused: %s, for %s"):format(name, host), function()
      local options <const> = lab.with({ servername = host }, case.options)
      if options.ca then options.ca = certs.ca(options.ca) end
      refused(code, words, (case.weak and visit_weak or visit)(options, name))
    end)
  end

  works("that is weak is refused to the server, too", function()
    for _, name in ipairs { "RSA 1024", "P-192", "SHA-1" } do
      local cert <const> = certs.get(name)
      local context, why, code = tls.context { cert = cert.chain, key = cert.key }
      refused("ETLS", { "too" }, context, why, code)
    end
  end)

  for name, case in pairs {
    ["is on the list"] = { "revoked", { "revoked" }, "X509_V_ERR_CERT_REVOKED", { "revoked", "Revoked" } },
    ["has an issuer that is"] = {
      "under a revoked one", { "revoked middle" }, "X509_V_ERR_CERT_REVOKED", { "revoked", "Revoked Intermediate" },
    },
    ["has a list that is old"] = { "good", {}, "X509_V_ERR_CRL_HAS_EXPIRED", { "CRL", "expired" }, days = -3 },
    ["has no list"] = { "good", {}, "X509_V_ERR_UNABLE_TO_GET_CRL", { "CRL" }, of = { "root" } },
  } do
    works("is refused by a list of revocations when it " .. name, function()
      local of <const> = case.of or case[1] == "under a revoked one" and { "root", "revoked middle" } or nil
      refused(case[3], case[4], visit({ crl = certs.crl(case[2], case.days, of) }, case[1]))
    end)
  end

  works("that is on no list is taken", function()
    assert(visit({ crl = certs.crl { "revoked" } }, "good"))
    assert(visit(nil, "revoked"))
  end)

  works("is believed by a file, a text, a directory", function()
    local file <close> = assert(io.open(certs.ca()))
    for _, ca in ipairs { certs.ca(), file:read "a", certs.ca_directory "root", certs.ca_directory("rogue", "root") } do
      assert(visit { ca = ca })
    end
    refused(NO_ISSUER, { "issuer" }, visit { ca = certs.ca_directory "rogue" })
    assert(visit { ca = certs.capem "rogue" .. certs.capem() })
  end)

  works("is believed by the intermediate, or by itself", function()
    assert(visit { ca = certs.ca "middle" })
    assert(visit({ ca = certs.ca "self-signed" }, "self-signed"))
    local options <const> = { ca = certs.ca "self-signed", servername = "other.example" }
    refused(MISMATCH, { "other.example" }, visit(options, "self-signed"))
  end)

  works("is not believed by the system, which does not know our root", function()
    local info, why, code = lab.serving(lab.listener(), nil, function(_, _, port)
      return tls.connect("127.0.0.1", port, { servername = "good.example" })
    end)
    assert.is_nil(info)
    assert.is_true(code == NO_ISSUER or code == "X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN", why)
    -- ca beside the system's
    assert(visit { ca_only = false })
  end)

  works("is refused to servers, too, when they ask", function()
    for name, code in pairs { expired = EXPIRED, ["unknown CA"] = NO_ISSUER, ["self-signed"] =
      "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT" } do
      local cert <const> = certs.get(name)
      local _, theirs = shake({ cert = cert.chain, key = cert.key },
        { client_certificates = "require", ca = certs.ca(), max_version = "1.2" })
      if name ~= "expired" then refused(code, { cert.cn }, table.unpack(theirs)) end
      assert.is_nil(theirs[1])
    end
  end)

  works("of any kind is taken by who does not verify", function()
    for _, name in ipairs { "expired", "other", "self-signed", "unknown CA", "bad signature", "client only" } do
      assert(visit({ insecure_no_verify = true }, name))
    end
  end)

  works("of any name is taken by who does not verify names, but nothing else is", function()
    assert(visit({ insecure_no_verify_name = true }, "other"))
    assert(visit({ insecure_no_verify_name = true }, "CN only"))
    refused(EXPIRED, { "expired" }, visit({ insecure_no_verify_name = true }, "expired"))
    refused(NO_ISSUER, { "issuer" }, visit({ insecure_no_verify_name = true }, "unknown CA"))
  end)

  works("is for the host that was said, unless servername is given", function()
    lab.serving(lab.listener(nil, "ip4"), function(conn) assert(conn:write(tostring(conn:tlsinfo().servername))) end,
      function(_, _, port)
        local conn <close> = assert(tls.connect("127.0.0.1", port, { ca = certs.ca() }))
        assert.equal("nil", conn:read "a") -- an address is no name to send
        refused(MISMATCH, { "localhost" }, tls.connect("localhost", port, { ca = certs.ca(), family = "inet" }))
      end)
  end)

  works("is for no name that begins with a dot, or is none", function()
    -- to OpenSSL ".example" would be whatever is below example
    for _, host in ipairs { ".example", ".good.example", ".", "" } do
      local ok, value, why, code = pcall(visit, { servername = host })
      assert.is_true(not ok or value == nil, host)
      if ok then assert.is_string(code, why) else assert.matches("servername", value) end
    end
    assert.raises("servername", tls.connect, "127.0.0.1", 1, { servername = "good.example\0.evil.example" })
    assert.raises("A-labels", tls.connect, "127.0.0.1", 1, { servername = "b\xc3\xbccher.example" })
    assert.raises("servername", tls.connect, "127.0.0.1", 1, { servername = ("a"):rep(256) })
  end)

  works("is of two kinds, by what the client can do", function()
    local ec <const>, rsa <const> = certs.get "good", certs.get "rsa"
    local both <const> = { cert = { rsa.chain, ec.chain }, key = { rsa.key, ec.key } }
    lab.serving(both, nil, function(connect)
      for kind, ciphers in pairs { rsa = "ECDHE-RSA-AES128-GCM-SHA256", ec = "ECDHE-ECDSA-AES128-GCM-SHA256" } do
        local conn <close> = assert(connect { max_version = "1.2", ciphers = ciphers })
        assert.equal(ciphers, conn:tlsinfo().cipher)
        assert.equal(kind, conn:tlsinfo().peer[1]:key().type)
      end
      local conn <close> = assert(connect { min_version = "1.3" })
      assert.equal("TLSv1.3", conn:tlsinfo().version)
    end)
  end)

  works("is shown, with its chain", function()
    with_pair(nil, nil, function(a, b)
      local peer <const> = a:tlsinfo().peer
      assert.equal(2, #peer)
      assert.matches("The Good", (peer[1]:subject()))
      assert.matches("Spec Intermediate", (peer[2]:subject()))
      assert.is_true(peer[1]:matches "good.example")
      assert.same({}, b:tlsinfo().peer)
    end)
  end)
end)

describe("a pin", function()
  for _, name in ipairs { "good", "middle", "root" } do
    works(("holds for the key of %s"):format(name), function()
      assert(visit { pins = { certs.pin(name) } })
      assert(visit { pins = { certs.pin "rogue", certs.pin(name) } })
    end)
  end

  works("that no key of the chain has refuses it", function()
    refused("X509_V_ERR_APPLICATION_VERIFICATION", { "pin" }, visit { pins = { certs.pin "rogue" } })
  end)

  works("saves no certificate that is bad otherwise", function()
    refused("X509_V_ERR_CERT_HAS_EXPIRED", { "expired" }, visit({ pins = { certs.pin "root" } }, "expired"))
  end)

  works("is not forgotten when nothing else is verified", function()
    local ok, value = pcall(visit, { pins = { certs.pin "rogue" }, insecure_no_verify = true })
    assert.is_true(not ok or value == nil)
  end)

  works("must be one", function()
    for _, pins in ipairs { { "short" }, { 5 }, { "" }, "AAAA" } do
      assert.raises("pins", tls.context, { pins = pins })
    end
  end)
end)

describe("a client's certificate", function()
  local function asking(how, more)
    return lab.with({ client_certificates = how, ca = certs.ca() }, more)
  end
  local function having(name, more)
    local cert <const> = certs.get(name)
    return lab.with({ cert = cert.chain, key = cert.key }, more)
  end

  works("is not asked for unless wanted", function()
    with_pair(having "client", nil, function(_, b) assert.same({}, b:tlsinfo().peer) end)
  end)

  for _, version in ipairs { "1.2", "1.3" } do
    works("is verified, and shown to the server, over TLS " .. version, function()
      for _, how in ipairs { "request", "require" } do
        with_pair(having("client", { max_version = version }), asking(how), function(a, b)
          assert(a:write "x")
          assert.equal("x", b:read(1))
          local info <const> = b:tlsinfo()
          assert.equal("TLSv" .. version, info.version)
          assert.equal(2, #info.peer)
          assert.matches("A Client", (info.peer[1]:subject()))
        end)
      end
    end)

    works("may be missing when it is requested, over TLS " .. version, function()
      with_pair({ max_version = version }, asking "request", function(_, b) assert.same({}, b:tlsinfo().peer) end)
    end)

    for name, case in pairs {
      ["that is missing"] = { nil, "ETLS", { "certificate" } },
      ["of a CA that is not known"] = {
        "rogue client", "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", { "issuer", "Rogue Client" },
      },
      ["that has expired"] = { "expired client", "X509_V_ERR_CERT_HAS_EXPIRED", { "expired", "Old Client" } },
      ["of a server"] = { "server as client", "X509_V_ERR_INVALID_PURPOSE", { "purpose", "Server Only" } },
    } do
      works(("%s is refused when it is required, over TLS %s, and the client is told"):format(name, version), function()
        local options <const> = case[1] and having(case[1]) or {}
        options.max_version = version
        local a <close>, b = assert(unix.pair())
        local held <close> = b
        local mine, theirs = lab.shake(a, lab.client(options), b, lab.server(asking "require"))
        refused(case[2], case[3], table.unpack(theirs))
        if mine[1] then -- over TLS 1.3 the client is done before the server
          fails_with(GONE, a:read(1))
        else
          fails_with(GONE, table.unpack(mine))
        end
      end)
    end
  end

  works("that is bad is refused when it is only requested, too", function()
    local _, theirs = shake(having "rogue client", asking "request")
    refused("X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", { "issuer" }, table.unpack(theirs))
  end)

  works("is needed for what the table of names says", function()
    local good <const> = certs.get "good"
    local strict <const> = assert(tls.context(asking("require",
      { cert = good.chain, key = good.key })))
    local server <const> = { sni = { ["good.example"] = strict } }
    local _, theirs = shake(nil, server)
    refused("ETLS", { "certificate" }, table.unpack(theirs))
    with_pair(having "client", server, function(_, b) assert.equal(2, #b:tlsinfo().peer) end)
  end)

  works("is not got round by the session of another name", function()
    local good <const>, other <const> = certs.get "several", certs.get "other"
    local strict <const> = assert(tls.context(asking("require",
      { cert = good.chain, key = good.key })))
    local session <const> = helper.tmpname()
    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
      local told = {}
      lab.serving({ cert = other.chain, key = other.key, sni = { ["one.example"] = strict } }, function(conn)
        told[#told + 1] = #conn:tlsinfo().peer .. tostring(conn:tlsinfo().servername)
        assert(conn:write "for members\n")
      end, function(_, failures, port)
        local function call(name, ...)
          local process <close> = lab.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, version,
            "-servername", name, "-ign_eof", ... }
          return process.output:read "a"
        end
        assert.matches("for members", call("other.example", "-sess_out", session))
        assert.not_matches("for members", call("one.example", "-sess_in", session))
        helper.eventually(function() return #failures == 1 end)
        assert.same({ "0other.example" }, told)
      end)
    end
  end)
end)

describe("a context", function()
  works("is made of files, of texts, and of a key with a passphrase", function()
    local good <const> = certs.get "good"
    local locked <const> = certs.encrypted("good", "open sesame")
    for _, options in ipairs {
      { cert = good.chain, key = good.key }, { cert = good.pem, key = good.keypem },
      { cert = good.pem .. good.keypem }, { cert = good.pem, key = good.key },
      { cert = { good.chain }, key = { good.key } },
      { cert = good.chain, key = locked, passphrase = "open sesame" },
      { cert = good.chain, key = locked, passphrase = function() return "open sesame" end },
    } do
      local context <const> = assert(tls.context(options))
      with_pair(nil, { cert = lab.none, key = lab.none, context = context }, function(a)
        assert.equal(2, #a:tlsinfo().peer)
      end)
    end
  end)

  works("says what is wrong with its files", function()
    local good <const>, rsa <const> = certs.get "good", certs.get "rsa"
    local nothing <const>, locked <const> = helper.tmpname(), certs.encrypted("good", "open sesame")
    local junk <const> = helper.tmpname()
    local file <const> = assert(io.open(junk, "w"))
    file:write "junk"
    file:close()
    for _, case in ipairs {
      { { cert = nothing, key = good.key }, { ENOENT = true }, nothing },
      { { cert = good.chain, key = nothing }, { ENOENT = true }, nothing },
      { { ca = nothing }, { ENOENT = true }, nothing },
      { { crl = nothing }, { ENOENT = true }, nothing },
      { { cert = junk, key = good.key }, { ETLS = true, EBADMSG = true }, "cert" },
      { { cert = good.chain, key = junk }, { ETLS = true, EBADMSG = true }, "key" },
      { { ca = junk }, { ETLS = true, EBADMSG = true }, "ca" },
      { { crl = junk }, { ETLS = true, EBADMSG = true }, "crl" },
      { { cert = good.chain, key = rsa.key }, { ETLS = true, EBADMSG = true }, "key" },
      { { cert = good.chain, key = locked, passphrase = "wrong" }, { EACCES = true, ETLS = true }, "passphrase" },
      { { cert = good.chain, key = locked }, { EACCES = true, ETLS = true }, "passphrase" },
      { { ciphers = "NO-SUCH-CIPHER" }, { ETLS = true }, "cipher" },
      { { ciphersuites = "TLS_NO_SUCH" }, { ETLS = true }, "cipher" },
      { { groups = "P-1" }, { ETLS = true }, "group" },
    } do
      local context, why, code = tls.context(case[1])
      fails_with(case[2], context, why, code)
      assert.is_truthy(why:find(case[3], 1, true), why)
    end
  end)

  it("raises on options that it does not know, and on wrong values", function()
    for _, case in ipairs {
      { { cret = "x" }, "unknown option 'cret'" }, { { host = "x" }, "unknown option 'host'" },
      { { min_version = "1.0" }, "min_version" }, { { min_version = 1.2 }, "min_version" },
      { { max_version = "1.4" }, "max_version" }, { { alpn = "h2" }, "alpn" }, { { alpn = { "" } }, "alpn" },
      { { alpn = {} }, "alpn" }, { { alpn = { ("x"):rep(256) } }, "alpn" }, { { alpn = { 5 } }, "alpn" },
      { { client_certificates = true }, "client_certificates" },
      { { client_certificates = "no" }, "client_certificates" },
      { { depth = -1 }, "depth" }, { { sni = {} }, nil }, { { sni = { ["a.example"] = {} } }, "sni" },
      { { sni = { [1] = 2 } }, "sni" }, { { insecure_no_verify = 1 }, "insecure_no_verify" },
      { { insecure_no_verify_name = "yes" }, "insecure_no_verify_name" }, { { ca = 5 }, "ca" },
      { { cert = 5 }, "cert" }, { { crl = true }, "crl" }, { { ciphers = 5 }, "ciphers" },
      { { min_version = "1.3", max_version = "1.2" }, "version" },
      { 5, "bad argument #1" },
    } do
      if case[2] then assert.raises(case[2], tls.context, case[1]) end
    end
  end)

  works("is shared by connections, states of it in none", function()
    local client <const>, server <const> = lab.client_context(), lab.server_context()
    for _ = 1, 3 do
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      local mine, theirs = lab.shake(a, { context = client, servername = "good.example" }, b,
        { context = server, server = true })
      assert(mine[1], mine[2])
      assert(theirs[1], theirs[2])
      assert(a:write "x")
      assert.equal("x", b:read(1))
    end
  end)

  works("asks no client for a certificate unless it was told to", function()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    local client <const> = certs.get "rogue client"
    local good <const> = certs.get "good"
    local context <const> = assert(tls.context { cert = good.chain, key = good.key })
    local ok, _, theirs = pcall(lab.shake, a, lab.client { cert = client.chain, key = client.key }, b,
      { context = context, server = true })
    if not ok then return end -- or is refused to servers
    assert(theirs[1], theirs[2])
    assert.same({}, b:tlsinfo().peer)
  end)

  works("of a server does not make a client that verifies nothing", function()
    local ok, value = pcall(visit, { ca = lab.none, context = lab.server_context() }, "other")
    assert.is_true(not ok or value == nil)
  end)
end)

-- ---- what is agreed on ----

describe("the table of names", function()
  works("chooses the certificate, exact names first, then wildcards, then the listener's", function()
    local function context(name) return assert(tls.context(lab.listener(nil, name))) end
    local server <const> = lab.server({ sni = {
      ["one.example"] = context "several", ["*.wild.example"] = context "wildcard",
      ["*.example"] = context "other", ["exact.wild.example"] = context "rsa",
    } }, "direct")
    for name, wanted in pairs {
      ["one.example"] = "The Several", ["ONE.example"] = "The Several", ["a.wild.example"] = "The Wildcard",
      ["a.b.wild.example"] = "The Direct", ["exact.wild.example"] = "The Rsa", ["two.example"] = "The Other",
      ["wild.example"] = "The Other", ["nowhere.test"] = "The Direct", ["127.0.0.1"] = "The Direct",
      ["xone.example"] = "The Other",
    } do
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      local mine = lab.shake(a, { servername = name, ca = certs.ca(), insecure_no_verify_name = true }, b, server)
      assert(mine[1], mine[2])
      assert.equal(wanted, (a:tlsinfo().peer[1]:subject():match "The %a+"), name)
      if name ~= "127.0.0.1" then assert.equal(name:lower(), b:tlsinfo().servername:lower()) end
    end
  end)
end)

describe("ALPN", function()
  for _, case in ipairs {
    { { "h2", "http/1.1" }, { "http/1.1", "h2" }, "http/1.1" }, -- the server's order
    { { "h2", "http/1.1" }, { "http/1.1" }, "http/1.1" }, { { "h2" }, { "h2" }, "h2" },
    { { "h2" }, nil, nil }, { nil, { "h2" }, nil }, { nil, nil, nil },
    { { "a\0b", ("x"):rep(255) }, { ("x"):rep(255) }, ("x"):rep(255) },
  } do
    local function show(list) return list and ("%q"):format(table.concat(list, ",")):sub(1, 30) or "none" end
    works(("of %s and %s"):format(show(case[1]), show(case[2])), function()
      with_pair({ alpn = case[1] }, { alpn = case[2] }, function(a, b)
        assert.equal(case[3], a:tlsinfo().alpn)
        assert.equal(case[3], b:tlsinfo().alpn)
      end)
    end)
  end

  works("with nothing in common ends it", function()
    local mine, theirs = shake({ alpn = { "h2" } }, { alpn = { "http/1.1" } })
    refused("ETLS", { "application protocol" }, table.unpack(mine))
    fails_with(GONE, table.unpack(theirs))
  end)
end)

describe("versions and ciphers", function()
  works("are the best that there are, unless told otherwise", function()
    with_pair(nil, nil, function(a, b)
      local info <const> = a:tlsinfo()
      assert.equal("TLSv1.3", info.version)
      assert.matches("^TLS_", info.cipher)
      assert.is_string(info.group)
      assert.equal(info.cipher, b:tlsinfo().cipher)
    end)
  end)

  works("are bound by both sides", function()
    for _, case in ipairs {
      { { max_version = "1.2" }, nil, "TLSv1.2" }, { nil, { max_version = "1.2" }, "TLSv1.2" },
      { { min_version = "1.3" }, { min_version = "1.2" }, "TLSv1.3" },
    } do
      with_pair(case[1], case[2], function(a) assert.equal(case[3], a:tlsinfo().version) end)
    end
    local mine, theirs = shake({ max_version = "1.2" }, { min_version = "1.3" })
    refused("ETLS", { "version" }, table.unpack(mine))
    refused("ETLS", { "protocol" }, table.unpack(theirs))
  end)

  works("are chosen by name", function()
    with_pair({ max_version = "1.2", ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305" }, nil, function(a)
      assert.equal("ECDHE-ECDSA-CHACHA20-POLY1305", a:tlsinfo().cipher)
    end)
    with_pair({ ciphersuites = "TLS_CHACHA20_POLY1305_SHA256" }, nil, function(a)
      assert.equal("TLS_CHACHA20_POLY1305_SHA256", a:tlsinfo().cipher)
    end)
    for _, version in ipairs { "1.2", "1.3" } do
      local groups <const> = "P-384:P-256"
      with_pair({ groups = groups, max_version = version }, { groups = groups }, function(a)
        assert.matches("384", a:tlsinfo().group)
      end)
    end
    local mine, theirs = shake({ max_version = "1.2", ciphers = "ECDHE-RSA-AES128-GCM-SHA256" }, nil)
    refused("ETLS", { "handshake failure" }, table.unpack(mine))
    refused("ETLS", { "cipher" }, table.unpack(theirs))
  end)

  works("older than 1.2 are refused on both sides, whatever the peer has", function()
    for _, version in ipairs { "-tls1", "-tls1_1" } do
      local server <close> = lab.s_server("good", { "-cipher", "ALL:@SECLEVEL=0", version, "-www" })
      refused("ETLS", { "protocol version" }, tls.connect("127.0.0.1", server.port, lab.client()))
      lab.serving(lab.listener(), nil, function(_, failures, port)
        local process <close> = lab.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port,
          "-cipher", "ALL:@SECLEVEL=0", version }
        assert.matches("alert protocol version", process.output:read "a")
        helper.eventually(function() return #failures == 1 end)
        assert.matches("unsupported protocol", failures[1][1])
      end)
    end
  end)

  for name, ciphers in pairs { anonymous = "aNULL", ["without encryption"] = "eNULL" } do
    works(("that are %s are nothing that a peer can ask for"):format(name), function()
      lab.serving(lab.listener(nil, "rsa"), nil, function(_, failures, port)
        local process <close> = lab.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-tls1_2",
          "-cipher", ciphers .. ":@SECLEVEL=0" }
        assert.matches("handshake failure", process.output:read "a")
        helper.eventually(function() return #failures == 1 end)
        assert.matches("no shared cipher", failures[1][1])
      end)
    end)
  end

  works("are not renegotiated", function()
    lab.serving(lab.listener(), function(conn) repeat until not conn:receive() end, function(_, _, port)
      local process <close> = lab.start({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-tls1_2" },
        { input = true })
      repeat local line = assert(process.output:read()) until line:find "Extended master"
      assert(process.input:write "R\n")
      assert.matches("no renegotiation", process.output:readuntil("no renegotiation", 100000))
    end)
  end)
end)

describe("resuming", function()
  -- Twice by the same context of a client; what the second says.
  local function twice(client, server, second)
    local context <const> = assert(tls.context(lab.with({ ca = certs.ca() }, client)))
    server = assert(tls.context(lab.listener(server)))
    local resumed
    for i = 1, 2 do
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      local options <const> = { context = context, servername = "good.example" }
      local mine, theirs = lab.shake(a, i == 2 and lab.with(options, second) or options, b,
        { context = server, server = true })
      assert(mine[1], mine[2])
      assert(theirs[1], theirs[2])
      assert(a:write "ping")
      assert.equal("ping", b:read(4))
      assert(b:write "pong")
      assert.equal("pong", a:read(4)) -- and the tickets, which came before
      assert.equal(a:tlsinfo().resumed, b:tlsinfo().resumed)
      if i == 1 then assert.is_false(a:tlsinfo().resumed) end
      resumed = a:tlsinfo()
    end
    return resumed
  end

  for _, version in ipairs { "1.2", "1.3" } do
    works("works by itself over TLS " .. version, function()
      local info <const> = twice { max_version = version }
      assert.is_true(info.resumed)
      assert.equal("TLSv" .. version, info.version)
      assert.matches("The Good", (info.peer[1]:subject()))
    end)
  end

  works("is not done for another name", function()
    local good <const> = certs.get "several"
    assert.is_false(twice(nil, { cert = good.chain, key = good.key }, { servername = "one.example" }).resumed)
  end)

  works("goes over connections of tls.connect and tls.listen", function()
    lab.serving(lab.listener(), function(conn) conn:write(conn:read(1)) end, function(connect)
      local context <const> = assert(tls.context { ca = certs.ca() })
      local resumed = {}
      for i = 1, 3 do
        local conn <close> = assert(connect { ca = lab.none, context = context })
        assert(conn:write "x")
        assert.equal("x", conn:read "a")
        resumed[i] = conn:tlsinfo().resumed
      end
      assert.same({ false, true, true }, resumed)
    end)
  end)

  works("goes on with a full handshake when the server forgot", function()
    local context <const> = assert(tls.context { ca = certs.ca() })
    for _ = 1, 2 do -- a new context for the server each time: new keys of tickets
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      local mine = lab.shake(a, { context = context, servername = "good.example" }, b, lab.server())
      assert(mine[1], mine[2])
      assert.is_false(a:tlsinfo().resumed)
      assert(b:write "x")
      assert.equal("x", a:read(1))
    end
  end)

  works("keeps the client's certificate", function()
    local client <const> = certs.get "client"
    local context <const> = assert(tls.context { ca = certs.ca(), cert = client.chain, key = client.key })
    local server <const> = assert(tls.context(lab.listener { client_certificates = "require", ca = certs.ca() }))
    for i = 1, 2 do
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      local mine, theirs = lab.shake(a, { context = context, servername = "good.example" }, b,
        { context = server, server = true })
      assert(mine[1] and theirs[1], theirs[2])
      assert(b:write "x")
      assert.equal("x", a:read(1))
      assert.equal(i == 2, b:tlsinfo().resumed)
      assert.matches("A Client", (b:tlsinfo().peer[1]:subject()))
    end
  end)
end)

-- ---- how connections end ----

describe("the end of a TLS stream", function()
  for _, version in ipairs { "1.2", "1.3" } do
    works("of one direction leaves the other, over TLS " .. version, function()
      with_pair({ max_version = version }, nil, function(a, b)
        assert(a:write "question")
        assert(a:shutdown "w")
        assert.equal("question", b:read "a")
        assert.fails("EOF", b:read(1))
        assert(b:write(("answer"):rep(10000)))
        assert(b:shutdown "w")
        assert.equal(("answer"):rep(10000), a:read "a")
        assert.fails("EPIPE", a:write "late")
      end)
    end)
  end

  works("comes with close, from either side", function()
    with_pair(nil, nil, function(a, b)
      assert(a:write "last")
      assert.is_true(a:close())
      assert.equal("last", b:read "a")
      assert.fails("EOF", b:read(1))
    end)
    with_pair(nil, nil, function(a, b)
      assert.is_true(b:close())
      assert.fails("EOF", a:read(1))
    end)
  end)

  -- What the peer sent and nobody read must not make a reset of it: tickets,
  -- the peer's own end.
  for _, version in ipairs { "1.2", "1.3" } do
    works("lets the peer have all that was written, over TCP and TLS " .. version, function()
      local all <const> = ("0123456789abcdef"):rep(1 << 16) -- 1 MB
      for _ = 1, 10 do
        local a <close>, b = lab.pair({ max_version = version }, nil, tcp.pair)
        local held <close> = b
        local writer <const> = neap.spawn(function()
          assert(a:write(all))
          return a:close()
        end)
        local got <const>, why = b:read "a"
        assert.is_true(got == all, why)
        assert.is_true(writer:join())
      end
      for _ = 1, 10 do
        local a <close>, b = lab.pair({ max_version = version }, nil, tcp.pair)
        local held <close> = b
        assert(a:write "an unread question")
        assert(a:shutdown "w")
        local writer <const> = neap.spawn(function()
          b:read(2)
          assert(b:write(all))
          return b:close()
        end)
        local got <const>, why = a:read "a"
        assert.is_true(got == all, why)
        assert.is_true(writer:join())
      end
    end)
  end

  works("that is cut off is no end, each time that it is asked for", function()
    local a <close>, b, relay, seen = lab.through()
    local held <close> = b
    local middle <close> = relay
    local mine, theirs = lab.shake(a, lab.client(), b, lab.server())
    assert(mine[1] and theirs[1])
    assert(b:write "all of it?")
    assert.equal("all", a:read(3))
    relay.cut()
    for _, read in ipairs {
      function() return a:read "a" end, function() return a:read(100) end, function() return a:read "l" end,
      function() return a:readuntil ";" end,
    } do
      refused("ETLS", { "truncated" }, read())
    end
    assert.equal(" of it?", a:receive())
    refused("ETLS", { "truncated" }, a:receive())
    assert.raises("truncated", a:lines())
    assert.is_true(seen.down.n > 0)
  end)

  works("in the descriptor of a process that died is no end", function()
    with_pair(nil, nil, function(a, b)
      assert(b:write "x")
      assert.equal("x", a:read(1))
      require "probe".close(b:fileno()) -- as the kernel does, with no word said
      local value, why, code = a:read(1)
      fails_with(GONE, value, why, code)
      b:close()
    end)
  end)

  works("wakes the task that reads when another one closes it", function()
    with_pair(nil, nil, function(a)
      local reader <const> = neap.spawn(function() return a:read(1) end)
      waiting(reader)
      assert.is_true(a:close())
      assert.fails("ECLOSED", reader:join())
      assert.fails("ECLOSED", a:tlsinfo())
      assert.fails("ECLOSED", a:write "x")
    end)
  end)

  works("is not waited for longer than the timeout", function()
    local a <close>, b, relay = lab.through()
    local held <close> = b
    local middle <close> = relay
    local mine, theirs = lab.shake(a, lab.client(), b, lab.server())
    assert(mine[1] and theirs[1])
    a:settimeout(0.05)
    local writer <const> = neap.spawn(function() return a:write(("x"):rep(16 * 1024 * 1024)) end)
    local _, _, code = writer:join()
    assert.equal("ETIMEDOUT", code)
    assert.takes(0, 1, function() a:close() end)
  end)
end)

-- ---- peers that misbehave ----

-- How many records go each way: of a client that says "ping" and is answered
-- "pong", and of both ends.
local function converse(client, server, up, down, timeout)
  local a <close>, b, relay, seen = lab.through(up, down)
  local held <close> = b
  local middle <close> = relay
  local function side(stream, options, talk)
    stream:settimeout(timeout)
    local ok, why, code = stream:starttls(options)
    if ok then ok, why, code = talk(stream) end
    stream:close()
    return ok, why, code
  end
  local servers <const> = neap.spawn(side, b, server, function(s)
    local ok, why, code = s:read(4)
    if ok then ok, why, code = s:write "pong" end
    if ok then ok, why, code = s:shutdown "w" end
    if ok then ok, why, code = s:read "a" end
    return ok, why, code
  end)
  local mine <const> = table.pack(side(a, client, function(s)
    local ok, why, code = s:write "ping"
    if ok then ok, why, code = s:read "a" end
    if ok then s:shutdown "w" end
    return ok, why, code
  end))
  return mine, table.pack(servers:join()), seen, relay
end

local LIMITED <const> = lab.with({ ETIMEDOUT = true, ECLOSED = true }, GONE)

for _, version in ipairs { "1.2", "1.3" } do
  describe("over TLS " .. version, function()
    local client, server, whole

    -- Their contexts, and how many records a whole conversation has.
    local function prepare()
      client = client or lab.client { max_version = version }
      server = server or lab.server()
      if whole then return end
      local mine, theirs, seen = converse(client, server)
      assert.equal("pong", mine[1], mine[2])
      assert.equal("", theirs[1], theirs[2])
      whole = seen
      assert.is_true(whole.up.n >= 4 and whole.down.n >= 5)
    end

    local function converse_with(way, forward, timeout)
      return converse(client, server, way == "up" and forward or nil, way == "down" and forward or nil, timeout)
    end

    for _, way in ipairs { "up", "down" } do
      works(("a peer that vanishes before any record %s is no end"):format(way), function()
        prepare()
        for k = 1, whole[way].n do
          local relay
          local function cut(record, n)
            if n < k then return record end
            relay.cut()
          end
          local a <close>, b, made = lab.through(way == "up" and cut or nil, way == "down" and cut or nil)
          local held <close> = b
          local middle <close> = made
          relay = made
          local other <const> = neap.spawn(function()
            local ok, why, code = b:starttls(server)
            if ok then ok, why, code = b:read(4) end
            if ok then ok, why, code = b:write "pong" end
            if ok then ok, why, code = b:shutdown "w" end
            if ok then ok, why, code = b:read "a" end
            return ok, why, code
          end)
          local ok, why, code = a:starttls(client)
          if ok then ok, why, code = a:write "ping" end
          if ok then ok, why, code = a:read "a" end
          if ok then
            -- the answer and the server's end were there: the cut came after
            assert.is_true(way == "up" and ok == "pong", ("%s of %d: %q"):format(k, whole[way].n, ok))
            a:shutdown "w"
          else
            fails_with(GONE, ok, why, code)
          end
          a:close()
          ok, why, code = other:join()
          if ok then
            assert.is_true(way == "down", ("%s of %d: %q"):format(k, whole[way].n, ok))
          else
            fails_with(GONE, ok, why, code)
          end
        end
      end)

      works(("a peer that falls silent before any record %s is timed out"):format(way), function()
        prepare()
        for k = 1, whole[way].n - 1 do
          local function hold(record, n) return n < k and record or "" end
          local mine, theirs = converse_with(way, hold, 0.02)
          assert.is_true(mine[1] ~= "pong" or not theirs[1])
          for _, results in ipairs { mine, theirs } do
            if not results[1] then fails_with(LIMITED, table.unpack(results)) end
          end
        end
      end)

      works(("a record %s that is damaged is found out"):format(way), function()
        prepare()
        for k = 1, whole[way].n - 1 do
          local damaged
          local function damage(record, n)
            if n ~= k or record:byte() == 20 then return record end -- 20: no more than a word of compatibility
            damaged = true
            local at <const> = 6 + (#record - 6) // 2
            return record:sub(1, at - 1) .. string.char(record:byte(at) ~ 0x40) .. record:sub(at + 1)
          end
          local mine, theirs = converse_with(way, damage, 1)
          if damaged then assert.is_true(mine[1] ~= "pong" or not theirs[1], ("record %d"):format(k)) end
        end
      end)

      works(("a task that is cancelled at any record %s leaves nothing"):format(way), function()
        prepare()
        for k = 1, whole[way].n - 1 do
          local stopped <const> = {}
          local function hold(record, n)
            if n < k then return record end
            stopped.yes = true
            return ""
          end
          local a <close>, b, relay = lab.through(way == "up" and hold or nil, way == "down" and hold or nil)
          local held <close> = b
          local middle <close> = relay
          local function run(stream, options)
            return neap.spawn(function()
              local closing <close> = stream
              local ok = stream:starttls(options)
              if ok and options == client then ok = stream:write "ping" end
              if ok then stream:read "a" end
            end)
          end
          local one <const>, two <const> = run(a, client), run(b, server)
          helper.eventually(function()
            return stopped.yes or one:status() == "dead" or two:status() == "dead" or
              one:status() == "waiting" and two:status() == "waiting"
          end)
          one:cancel()
          two:cancel()
          one:join()
          two:join()
          assert.is_false(a:isopen())
          assert.is_false(b:isopen())
        end
      end)
    end

    works("all of it may come a byte at a time", function()
      prepare()
      local function dribble(record, _, to)
        for i = 1, #record do
          if not to:write(record:sub(i, i)) then return end
          neap.sleep(0)
        end
        return ""
      end
      local mine, theirs = converse(client, server, dribble, dribble, 5)
      assert.equal("pong", mine[1], mine[2])
      assert.equal("", theirs[1], theirs[2])
    end)

    works("records may come cut anywhere", function()
      prepare()
      for _, size in ipairs { 2, 5, 6, 100 } do
        local function chop(record, _, to)
          for i = 1, #record, size do
            if not to:write(record:sub(i, i + size - 1)) then return end
            if size > 2 then neap.sleep(0) end
          end
          return ""
        end
        local mine = converse(client, server, chop, chop, 5)
        assert.equal("pong", mine[1], mine[2])
      end
    end)
  end)
end

describe("a server", function()
  -- What the plain peer gets, and what the server says of it.
  local function told(bytes, linger)
    return lab.serving(lab.listener { handshake_timeout = 0.3 }, nil, function(_, failures, port)
      local conn <close> = assert(tcp.connect("127.0.0.1", port))
      if bytes then conn:write(bytes) end
      if not linger then conn:shutdown "w" end
      local answer <const> = conn:read "a"
      helper.eventually(function() return #failures == 1 end)
      return failures[1][1], answer, (select(2, conn:getsockname()))
    end)
  end

  for name, case in pairs {
    ["plaintext HTTP"] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", { "[Hh][Tt][Tt][Pp]" } },
    ["a proxy's CONNECT"] = { "CONNECT x:443 HTTP/1.1\r\n\r\n", { "." } },
    ["garbage"] = { ("\xde\xad\xbe\xef"):rep(5000), { "." } },
    ["zeros"] = { ("\0"):rep(5000), { "." } },
    ["SSH"] = { "SSH-2.0-OpenSSH_9.2\r\n", { "." } },
    ["a record of 65535 bytes"] = { "\22\3\1\255\255" .. ("x"):rep(65535), { "." } },
    ["a ClientHello of 16 MB"] = { "\22\3\1\64\0\1\255\255\255" .. ("x"):rep(16380), { "." } },
    ["an alert"] = { "\21\3\1\0\2\2\40", { "." } },
    ["data before the handshake"] = { "\23\3\3\0\4abcd", { "." } },
    ["nothing, and its end"] = { nil, { "handshake" } },
    ["half a ClientHello"] = { "\22\3\1\2\0\1\0\1\252\3\3", { "handshake" } },
  } do
    works("that gets " .. name .. " says so, and serves on", function()
      local why <const>, _, port <const> = told(case[1])
      for _, word in ipairs(case[2]) do assert.matches(word, why) end
      assert.matches(("127.0.0.1:%d"):format(port), why, 1, true)
    end)
  end

  works("that gets a 16 MB message a fragment at a time does not keep it", function()
    lab.serving(lab.listener { handshake_timeout = 2 }, nil, function(_, failures, port)
      local conn <close> = assert(tcp.connect("127.0.0.1", port))
      collectgarbage()
      local before <const> = collectgarbage "count"
      local sent = 0
      for i = 1, 1024 do
        local head = i == 1 and "\1\255\255\255" or ""
        local ok = conn:write("\22\3\1\64\0", head, ("x"):rep(16384 - #head))
        if not ok then break end
        sent = sent + 16384
        if #failures > 0 then break end
      end
      helper.eventually(function() return #failures == 1 end)
      assert.is_true(sent < 4 * 1024 * 1024)
      assert.is_true(collectgarbage "count" - before < 4096)
    end)
  end)

  works("gives who says nothing its handshake_timeout, and the others service", function()
    lab.serving(lab.listener { handshake_timeout = 0.15 }, function(conn) conn:write "served" end,
      function(connect, failures, port)
        local silent <close> = assert(tcp.connect("127.0.0.1", port))
        local half <close> = assert(tcp.connect("127.0.0.1", port))
        assert(half:write "\22\3\1\2\0\1\0")
        local conn <close> = assert(connect())
        assert.equal("served", conn:read "a")
        assert.equal(0, #failures)
        assert.equal("", silent:read "a")
        half:read "a"
        helper.eventually(function() return #failures == 2 end)
        for i = 1, 2 do assert.matches("timed out", failures[i][1]) end
      end)
  end)

  works("has the timeout of its streams after the handshake, not the handshake's", function()
    local timeout
    lab.serving(lab.listener { handshake_timeout = 1, timeout = 7 }, function(conn) timeout = conn:gettimeout() end,
      function(connect)
        local conn <close> = assert(connect())
        conn:read "a"
        assert.equal(7, timeout)
      end)
  end)

  works("accepts who is shaken", function()
    local listener <close> = assert(tls.listen("127.0.0.1", 0, lab.listener()))
    local _, port = listener:getsockname()
    local client <const> = neap.spawn(function()
      local conn <close> = assert(tls.connect("127.0.0.1", port, lab.client()))
      return conn:read "a"
    end)
    local conn <close> = assert(listener:accept(5))
    assert.equal("TLSv1.3", conn:tlsinfo().version)
    assert(conn:write "hello")
    conn:close()
    assert.equal("hello", client:join())
  end)

  works("whose accept meets a bad client goes on", function()
    local listener <close> = assert(tls.listen("127.0.0.1", 0, lab.listener()))
    local _, port = listener:getsockname()
    local bad <close> = assert(tcp.connect("127.0.0.1", port))
    assert(bad:write "GET / HTTP/1.0\r\n\r\n")
    local client <const> = neap.spawn(function()
      local conn <close> = assert(tls.connect("127.0.0.1", port, lab.client()))
      return conn:read "a"
    end)
    assert(listener:accept(5)):close()
    assert.equal("", client:join())
    assert.equal(1, listener:tlsfailures())
  end)

  works("serves no more at once than it was told, each after a handshake of its own", function()
    local listener <const> = assert(tls.listen("127.0.0.1", 0, lab.listener { handshake_timeout = 2 }))
    local _, port = listener:getsockname()
    local server <const> = neap.spawn(function()
      return listener:serve(function(conn) conn:write(conn:read "l", "\n") end, { max_connections = 2 })
    end)
    local mute <close> = assert(tcp.connect("127.0.0.1", port)) -- has one place, and holds up nobody else
    for i = 1, 3 do
      local conn <close> = assert(tls.connect("127.0.0.1", port, lab.client { timeout = 1 }))
      assert(conn:write(i, "\n"))
      assert.equal(tostring(i), conn:read "l")
    end
    listener:stop(0)
    server:join()
  end)

  works("whose connections() meets a bad client goes on", function()
    local listener <close> = assert(tls.listen("127.0.0.1", 0, lab.listener()))
    local _, port = listener:getsockname()
    local bad <close> = assert(tcp.connect("127.0.0.1", port))
    assert(bad:write "GET / HTTP/1.0\r\n\r\n")
    local client <const> = neap.spawn(function()
      local conn <close> = assert(tls.connect("127.0.0.1", port, lab.client()))
      return conn:read "a"
    end)
    local conn <close> = assert(listener:connections()())
    assert(conn:write "hello")
    conn:close()
    assert.equal("hello", client:join())
    assert.equal(1, listener:tlsfailures())
  end)

  it("needs a certificate", function()
    assert.raises("cert", tls.listen, "127.0.0.1", 0, {})
    assert.raises("cert", tls.listen, "127.0.0.1", 0)
    assert.raises("unknown option 'certt'", tls.listen, "127.0.0.1", 0, { certt = "x" })
  end)

  it("blames its caller", function()
    local cert <const> = certs.get "good"
    local options <const> = { cert = cert.chain, key = cert.key }
    local function listen() return (tls.listen("127.0.0.1", 70000, options)) end
    local function connect() return (tls.connect("127.0.0.1", 9, { bind = "nonsense" })) end
    for what, call in pairs { ["bad argument #2"] = listen, ["option 'bind'"] = connect } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches("tls_spec%.lua:%d+: " .. what, message)
    end
  end)

  it("refuses what would do nothing for a server", function()
    local cert <const> = certs.get "good"
    for name, value in pairs { ocsp = true, pins = { ("p"):rep(32) }, crl = "x" } do
      local options <const> = { cert = cert.chain, key = cert.key, [name] = value }
      assert.raises("'" .. name .. "' of a server", tls.listen, "127.0.0.1", 0, options)
    end
    assert.raises("'ocsp' of a client", tls.connect, "127.0.0.1", 9, { ocsp = "response.der" })
  end)

  works("that stops ends handshakes that are under way", function()
    local listener <const> = assert(tls.listen("127.0.0.1", 0, lab.listener()))
    local _, port = listener:getsockname()
    local server <const> = neap.spawn(function() return listener:serve(function() end) end)
    local conn <close> = assert(tcp.connect("127.0.0.1", port))
    neap.sleep(0.02)
    assert.takes(0, 1, function() assert.is_true(listener:stop(0.02)) end)
    assert.is_true(server:join())
    fails_with(lab.with({ EOF = true }, GONE), conn:read(1))
  end)
end)

describe("a client", function()
  -- Connects to a plain server that does this.
  local function meeting(options, handler, body)
    local listener <close> = assert(tcp.listen("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local group <close> = neap.group()
    group:spawn(function()
      local conn <close> = assert(listener:accept(5))
      handler(conn)
    end)
    return body(tls.connect("127.0.0.1", port, lab.client(options)))
  end

  for name, bytes in pairs {
    ["plaintext HTTP"] = "HTTP/1.1 400 Bad Request\r\n\r\n", SMTP = "220 mail.example ESMTP\r\n",
    ["garbage"] = ("\xde\xad\xbe\xef"):rep(5000), ["a record of 65535 bytes"] = "\22\3\3\255\255" .. ("x"):rep(65535),
    ["a ServerHello of 16 MB"] = "\22\3\3\64\0\2\255\255\255" .. ("x"):rep(16380), ["zeros"] = ("\0"):rep(100),
    ["data before the handshake"] = "\23\3\3\0\4abcd",
  } do
    works("that gets " .. name .. " says so", function()
      meeting(nil, function(conn)
        conn:receive()
        conn:write(bytes)
        conn:read "a"
      end, function(value, why, code)
        refused("ETLS", { "127.0.0.1:" }, value, why, code)
      end)
    end)
  end

  works("that gets an alert says which", function()
    for number, words in pairs { [40] = "handshake failure", [70] = "protocol version", [112] = "unrecognized name" } do
      meeting(nil, function(conn)
        conn:receive()
        conn:write("\21\3\3\0\2\2" .. string.char(number))
        conn:read "a"
      end, function(value, why, code)
        refused("ETLS", { words }, value, why, code)
      end)
    end
  end)

  works("whose server is silent is timed out, all in all", function()
    meeting({ timeout = 0.05 }, function(conn) conn:read "a" end, function(value, why, code)
      refused("ETIMEDOUT", { "timed out" }, value, why, code)
    end)
  end)

  works("is cancelled in its handshake, and by a scope", function()
    local listener <close> = assert(tcp.listen("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local before <const> = helper.count_fds()
    assert.fails("ETIMEDOUT", neap.timeout(0.05, tls.connect, "127.0.0.1", port, lab.client()))
    local task <const> = neap.spawn(tls.connect, "127.0.0.1", port, lab.client())
    waiting(task)
    neap.sleep(0.01)
    task:cancel()
    assert.fails("ECANCELED", task:join())
    assert.equal(before, helper.count_fds())
  end)

  it("raises on options that it does not know", function()
    assert.raises("unknown option 'sever'", tls.connect, "127.0.0.1", 1, { sever = 1 })
    assert.raises("unknown option 'handshake_timeoutt'", tls.connect, "127.0.0.1", 1, { handshake_timeoutt = 1 })
    assert.raises("bad argument #2", tls.connect, "127.0.0.1", 0)
    assert.raises("context", tls.connect, "127.0.0.1", 1, { context = {} })
    assert.raises("'pins' is one of tls.context", tls.connect, "127.0.0.1", 1,
      { context = assert(tls.context {}), pins = { ("p"):rep(32) } })
  end)

  works("says whom it wanted when that one has hung up, or speaks no TLS", function()
    for text, reason in pairs { [""] = "ended during", ["HTTP/1.0 400 Bad Request\r\n\r\n"] = "does it speak TLS" } do
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local _, port = listener:getsockname()
      neap.spawn(function()
        local conn <close> = assert(listener:accept())
        conn:receive()
        if text ~= "" then conn:write(text) end
      end)
      local conn, why = tls.connect("127.0.0.1", port, { timeout = 5 })
      assert.is_nil(conn)
      assert.matches("^handshake 127%.0%.0%.1:" .. port .. ": .*" .. reason, why)
    end
  end)

  it("says who refused the connection", function()
    in_task(function()
      local listener <const> = assert(tcp.listen("127.0.0.1", 0))
      local _, port = listener:getsockname()
      listener:close()
      refused("ECONNREFUSED", { ("127.0.0.1:%d"):format(port) }, tls.connect("127.0.0.1", port))
    end)
  end)
end)

-- ---- layers ----

describe("starttls", function()
  works("follows a conversation in the open", function()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    assert(a:write "STARTTLS\r\n")
    assert.equal("STARTTLS", b:read())
    assert(b:write "220 go ahead\r\n")
    assert.equal("220 go ahead", a:read())
    local mine, theirs = lab.shake(a, lab.client(), b, lab.server())
    assert.equal(a, mine[1])
    assert.equal(b, theirs[1])
    assert(a:write "in secret\n")
    assert.equal("in secret", b:read())
  end)

  works("is refused while plaintext lies in the buffer, and all goes on", function()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    assert(b:write "220 go ahead\r\nQUIT\r\n") -- injected (CVE-2011-0411)
    assert.equal("220 go ahead", a:read())
    local value, why, code = a:starttls(lab.client())
    assert.is_nil(value)
    assert.is_string(code)
    assert.matches("plain", why)
    assert.equal("QUIT", a:read())
    local mine, theirs = lab.shake(a, lab.client(), b, lab.server())
    assert(mine[1] and theirs[1], mine[2])
    assert.fails("ETIMEDOUT", neap.timeout(0.02, a.receive, a))
  end)

  works("is refused while something written is kept back", function()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    a:setvbuf "full"
    assert(a:write "STARTTLS\n")
    assert.fails("EBUSY", a:starttls(lab.client()))
    assert(a:flush())
    assert.equal("STARTTLS", b:read())
    local mine, theirs = lab.shake(a, lab.client(), b, lab.server())
    assert(mine[1] and theirs[1], mine[2])
    assert(a:write "still buffered")
    b:settimeout(0.01)
    assert.fails("ETIMEDOUT", b:read(1))
    assert(a:flush())
    assert.equal("still buffered", b:read(14))
  end)

  works("is refused while another task reads", function()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    local reader <const> = neap.spawn(function() return a:read(1) end)
    waiting(reader)
    assert.fails("EBUSY", a:starttls(lab.client()))
    assert(b:write "x")
    assert.equal("x", reader:join())
  end)

  works("must know whom it talks to", function()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    assert.raises("servername", function() a:starttls { ca = certs.ca() } end)
    assert.raises("unknown option", function() a:starttls { hostname = "x" } end)
    assert.raises("cert", function() a:starttls { server = true } end)
    assert.raises("bad argument #1", function() a:starttls(5) end)
    assert(a:write "not closed by that")
    assert.equal("not", b:read(3))
  end)

  works("that fails leaves nothing that could be taken for a secure stream", function()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    local server <const> = neap.spawn(function() return b:starttls(lab.server()) end)
    local value, why, code = a:starttls(lab.client { servername = "other.example" })
    refused("X509_V_ERR_HOSTNAME_MISMATCH", { "other.example" }, value, why, code)
    assert.is_nil((server:join()))
    for _, s in ipairs { a, b } do
      value, why, code = s:write "plain?"
      assert.is_nil(value, why)
      assert.is_string(code)
      assert.is_nil((s:receive()))
      assert.is_nil((s:tlsinfo()))
    end
  end)

  works("fails on a stream that is closed", function()
    local a <close>, b = assert(unix.pair())
    b:close()
    a:close()
    assert.fails("ECLOSED", a:starttls(lab.client()))
    assert.fails("ECLOSED", a:tlsinfo())
  end)

  works("has its own timeout, and leaves the stream's", function()
    local a <close>, b = assert(unix.pair { timeout = 3 })
    local held <close> = b
    assert.takes(0.04, 1, function()
      assert.fails("ETIMEDOUT", a:starttls(lab.client { timeout = 0.05 }))
    end)
    with_pair({ timeout = 5 }, { timeout = 5 }, function(c) assert.is_nil(c:gettimeout()) end)
  end)

  works("is told apart by tlsinfo", function()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    local info, why = a:tlsinfo()
    assert.is_nil(info)
    assert.is_string(why)
  end)

  works("goes over a pipe of TLS, and over TLS of TLS", function()
    local outer_a <close>, outer_b = lab.pair()
    local held <close> = outer_b
    for depth = 2, 3 do
      local mine, theirs = lab.shake(outer_a, lab.client(), outer_b, lab.server())
      assert(mine[1], ("%d: %s"):format(depth, mine[2]))
      assert(theirs[1], theirs[2])
      local all <const> = ("deep"):rep(100000)
      local writer <const> = neap.spawn(function() assert(outer_a:write(all)) end)
      assert.is_true(outer_b:read(#all) == all)
      writer:join()
    end
    assert(outer_a:shutdown "w")
    assert.equal("", outer_b:read "a")
    assert(outer_b:close())
    assert.equal("", outer_a:read "a")
  end)

  works("keeps tasks that read and write at the same time apart", function()
    with_pair(nil, nil, function(a, b)
      local all <const> = ("0123456789abcdef"):rep(1 << 17) -- 2 MB
      local group <close> = neap.group()
      for _, s in ipairs { a, b } do
        group:spawn(function() assert(s:write(all)) end)
        group:spawn(function() assert.is_true(s:read(#all) == all) end)
      end
      group:wait()
    end)
  end)
end)

-- ---- states, threads, leaks ----

local chunk <const> = [[
  local neap, tls, unix = require "neap", require "neap.tls", require "neap.unix"
  local cert, key, ca = %q, %q, %q
  for i = 1, 5 do
    neap.run(function()
      local a <close>, b = assert(unix.pair())
      local held <close> = b
      local server = neap.spawn(function() return b:starttls { server = true, cert = cert, key = key } end)
      assert(a:starttls { ca = ca, servername = i %% 2 == 0 and "good.example" or "GOOD.example" })
      assert(server:join())
      assert(a:write "over threads\n")
      assert(b:read() == "over threads")
      local bad, why, code = unix.pair()
      local other = why
      local task = neap.spawn(function() return why end)
      task:join()
      bad:close()
    end)
  end
  return "well"
]]

describe("TLS in several states", function()
  it("works in each, one after the other and in threads at once", function()
    certs.need()
    local good <const> = certs.get "good"
    local text <const> = chunk:format(good.chain, good.key, certs.ca())
    local ok, why = helper.state(text)
    assert.is_true(ok, why)
    for _, result in ipairs(helper.threads(4, text)) do assert.same({ true, "well" }, { result[1], result[2] }) end
  end)

  it("is closed with the state, in any state of a connection", function()
    certs.need()
    local good <const> = certs.get "good"
    for _, ending in ipairs {
      "", "return 'left'", "error 'left'",
    } do
      local ok, why = helper.state(([[
        local neap, tls, unix = require "neap", require "neap.tls", require "neap.unix"
        local a, b = unix.pair()
        local c, d = unix.pair()
        neap.spawn(function() return b:starttls { server = true, cert = %q, key = %q } end)
        neap.spawn(function() c:starttls { ca = %q, servername = "x" } end)
        assert(a:starttls { ca = %q, servername = "good.example" })
        a:write "x"
        for _ = 1, 3 do neap.step(0) end
        %s
      ]]):format(good.chain, good.key, certs.ca(), certs.ca(), ending))
      assert.is_true(ok or tostring(why):find("left", 1, true) ~= nil, why)
    end
  end)
end)

describe("many handshakes", function()
  works("good and bad, leave nothing", function()
    local rogue <const> = certs.ca "rogue"
    local client <const>, server <const> = lab.client_context(), lab.server_context()
    local refusing <const> = assert(tls.context { ca = rogue })
    local function round()
      for i = 1, 60 do
        local a <close>, b = assert(unix.pair())
        local held <close> = b
        local mine = lab.shake(a, { context = i % 3 == 0 and refusing or client, servername = "good.example" }, b,
          { context = server, server = true })
        assert.equal(i % 3 ~= 0, mine[1] ~= nil)
        if i % 5 == 0 and mine[1] then a:write "x" end -- and nobody says good-bye
      end
    end
    local function resident()
      collectgarbage()
      collectgarbage()
      local file <close> = assert(io.open "/proc/self/statm")
      local _, pages = file:read("n", "n")
      return math.tointeger(pages) * 4096
    end
    round()
    local fds <const>, before <const> = helper.count_fds(), resident()
    for _ = 1, 3 do round() end
    assert.equal(fds, helper.count_fds())
    if helper.slow == 1 then assert.is_true(resident() - before < 2 * 1024 * 1024) end
  end)
end)

describe("a TLS stream in a child after fork", function()
  works("is closed there without a word to the peer", function()
    local a, b = lab.pair()
    local guard <close> = a
    local held <close> = b
    local text, code = helper.forked(function() return tostring(a:close()) end)
    assert.same({ "true", 0 }, { text, code })
    for i = 1, 3 do -- neither an end, nor a record that is out of turn
      assert(a:write("still here ", i, "\n"))
      assert.equal("still here " .. i, b:read "l")
    end
    assert(b:write "and back\n")
    assert.equal("and back", a:read "l")
  end)
end)
