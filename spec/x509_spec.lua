--- Certificates: read as the openssl command reads them, asked, made, damaged.
local helper <const> = require "support.helper"
helper.need(pcall(require, "neap.tlscore"), "needs OpenSSL (libssl-dev)")
local x509 <const> = require "neap.x509"

-- ---- what the tests share ----

local function openssl(words, input, silent)
  helper.need_program "openssl"
  local path <const> = helper.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(input)
  file:close()
  local pipe = assert(io.popen(("<%s openssl %s 2>%s"):format(path, words, silent and "/dev/null" or "&1")))
  local out = pipe:read "a"
  pipe:close()
  os.remove(path)
  return out
end

local made <const> = {}

-- A key of this type, made once: RSA takes its time.
local function key(kind, bits)
  local name <const> = kind .. (bits or "")
  made[name] = made[name] or assert(x509.key { type = kind, bits = bits })
  return made[name]
end

local function ca(options)
  options = options or {}
  if options.ca == nil then options.ca = true end
  options.subject = options.subject or "CN=Spec Root"
  options.key = options.key or key "ec"
  return assert(x509.make(options))
end

local function with(base, more)
  local all <const> = {}
  for name, value in pairs(base) do all[name] = value end
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

local leaf_key <const> = assert(x509.key())
local root <const> = ca()

local function leaf(options)
  return assert(x509.make(with({ subject = "CN=leaf", key = leaf_key, issuer = root, issuerkey = key "ec" }, options)))
end

local function named(...) return leaf { names = { ... } } end

local function values(list)
  local all <const> = {}
  for i, name in ipairs(list) do all[i] = name.type .. "=" .. name.value end
  return table.concat(all, " ")
end

local rich <const> = leaf {
  subject = { { type = "C", value = "DE" }, { type = "O", value = "Bücher, \"und\" <mehr>; GmbH" },
    { type = "OU", value = "#one" }, { type = "CN", value = " good.example " } },
  names = { "good.example", "*.good.example", "192.0.2.7", "2001:db8::1", "::", "a@good.example",
    "https://good.example/a,b" },
  serial = "00:c0:ff:ee", must_staple = true, crl = "http://crl.example/a,b.crl",
  ocsp = "http://ocsp.example/", caissuers = "http://ca.example/ca.der",
  notbefore = 951782400, notafter = 4107542400, -- a 29th of February, and beyond 2050
  purposes = { "serverAuth", "1.2.3.4" },
}

-- ---- reading ----

describe("a certificate", function()
  it("says what the openssl command says", function()
    local pem <const> = rich:pem()
    local function says(words) return (openssl("x509 -noout " .. words, pem):gsub("\n$", "")) end
    assert.equal("subject=" .. rich:subject(), says "-subject -nameopt RFC2253,-esc_msb")
    assert.equal("issuer=" .. rich:issuer(), says "-issuer -nameopt RFC2253")
    assert.equal(says "-serial", "serial=" .. rich:serial():upper())
    assert.equal("00c0ffee", (rich:serial():gsub("^c", "00c")))
    for _, digest in ipairs { "sha256", "sha1", "sha512" } do
      local theirs <const> = says("-fingerprint -" .. digest):match "=(.*)":gsub(":", ""):lower()
      assert.equal(theirs, rich:fingerprint(digest))
    end
    assert.equal(rich:fingerprint "sha256", rich:fingerprint())
    assert.equal(openssl("x509 -pubkey -noout | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary |"
      .. " openssl base64", pem), rich:pin() .. "\n")
    assert.equal(openssl("x509", pem), pem)
    assert.equal(openssl("x509 -outform DER", pem), rich:der())
  end)

  it("prints what the openssl command prints", function()
    local theirs <const> = openssl("x509 -noout -text -nameopt oneline,-esc_msb", rich:pem())
    assert.equal(theirs, rich:text())
    for _, extension in ipairs(rich:extensions()) do
      assert.truthy(theirs:gsub("%s+", ""):find(extension.text:gsub("%s+", ""), 1, true), extension.name)
    end
  end)

  it("has a subject and an issuer, as text and as a list", function()
    local text, list = rich:subject()
    assert.equal([[CN=\ good.example\ ,OU=\#one,O=Bücher\, \"und\" \<mehr\>\; GmbH,C=DE]], text)
    assert.same({ type = "C", value = "DE" }, list[1])
    assert.same({ type = "CN", value = " good.example " }, list[4])
    assert.same({ "CN=Spec Root", { { type = "CN", value = "Spec Root" } } }, { rich:issuer() })
    assert.equal(text, leaf({ subject = text }):subject())
    assert.equal(text, leaf({ subject = list }):subject())
    assert.same({ "", {} }, { leaf({ subject = "" }):subject() })
  end)

  it("has names", function()
    assert.equal("dns=good.example dns=*.good.example ip=192.0.2.7 ip=2001:db8::1 ip=:: email=a@good.example"
      .. " uri=https://good.example/a,b", values(rich:names()))
    assert.same({}, root:names())
    assert.same(rich:names(), leaf({ names = rich:names() }):names())
    for _, text in ipairs { "::1", "1::", "1:0:0:1::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:0:2:3:4:5:6:7" } do
      assert.equal("ip=" .. text, values(named(text):names()))
    end
  end)

  it("has names of rarer types", function()
    local function names(text)
      return leaf({ extensions = { { name = "subjectAltName", text = text } } }):names()
    end
    assert.equal("rid=1.2.3.4", values(names "RID:1.2.3.4"))
    assert.same({ { type = "other", oid = "1.3.6.1.4.1.311.20.2.3", value = "user@example" } },
      names "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:user@example")
    assert.same({ { type = "other", oid = "1.2.3", value = "\2\1\5" } }, names "otherName:1.2.3;INT:5")
    assert.equal("ip=010203", values(names "DER:30:05:87:03:01:02:03"))
    assert.fails("EBADMSG", leaf({ extensions = { { name = "2.5.29.17", value = "junk" } } }):names())
  end)

  it("has a time, an algorithm, a key, and purposes", function()
    assert.same({ 951782400, 4107542400 }, { rich:validity() })
    assert.equal("ecdsa-with-SHA256", rich:signature())
    assert.same({ type = "ec", bits = 256, curve = "P-256" }, rich:key())
    assert.same({ "serverAuth", "1.2.3.4" }, rich:purposes())
    assert.same({ "digitalSignature" }, rich:keyusage())
    assert.same({ false }, { rich:isca() })
    assert.same({ true }, { root:isca() })
    assert.same({ true, 0 }, { ca({ pathlen = 0 }):isca() })
    local bare <const> = ca { ca = false, purposes = false, keyusage = false }
    assert.same({ n = 1 }, table.pack(bare:purposes()))
    assert.same({ n = 1 }, table.pack(bare:keyusage()))
    local junk <const> = ca { ca = false, purposes = false, keyusage = false, extensions = {
      { name = "extendedKeyUsage", value = "junk" }, { name = "keyUsage", value = "junk" },
      { name = "1.2.3.4.5", value = "\5\0", critical = true } } }
    assert.fails("EBADMSG", junk:purposes())
    assert.fails("EBADMSG", junk:keyusage())
    local list <const> = junk:extensions()
    assert.same({ oid = "1.2.3.4.5", value = "\5\0", critical = true }, list[4])
    assert.same({ oid = "2.5.29.37", name = "extendedKeyUsage", value = "junk", critical = false }, list[2])
  end)

  it("is equal to itself, read again", function()
    assert.equal(rich, x509.load(rich:pem()))
    assert.equal(rich, x509.load(rich:der()))
    assert.are_not.equal(rich, root)
    assert.is_false(rich == leaf_key)
    assert.equal("certificate (CN=Spec Root)", tostring(root))
    assert.is_false(getmetatable(root))
    assert.raises("no digest 'nothing'", root.fingerprint, root, "nothing")
    assert.raises("certificate expected", root.subject, leaf_key)
  end)
end)

describe("x509.load and x509.loadall", function()
  it("take the first, or all", function()
    local both <const> = "0 s:CN=x\n" .. rich:pem() .. "0 between\n" .. root:pem() .. "0 behind"
    assert.equal(rich, x509.load(both))
    assert.same({ rich, root }, x509.loadall(both))
    assert.equal(root, x509.loadall(both)[2])
    assert.equal(2, #assert(x509.loadall(rich:der() .. root:der())))
    assert.equal(rich, x509.load((rich:pem():gsub("\n", "\r\n"))))
    assert.equal(1, #assert(x509.loadall(leaf_key:pem() .. rich:pem())))
  end)

  it("say why not", function()
    local pem <const>, der <const> = rich:pem(), rich:der()
    for _, bad in ipairs { "", "x", "0", der .. "x", der:sub(1, -2), pem:sub(1, -40), "\0\0", leaf_key:pem(),
      (pem:gsub("MII", "M!I")), "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" } do
      assert.fails("EBADMSG", x509.load(bad))
    end
    assert.fails("EBADMSG", x509.loadall "")
    local _, message = x509.loadall(pem .. pem:sub(1, -40))
    assert.matches("certificate 2: ", message, 1, true)
    assert.fails("EBADMSG", x509.loadall(der .. "junk"))
    -- which must ask nobody for a passphrase
    assert.fails("EBADMSG", x509.load((pem:gsub("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,"
      .. ("0"):rep(32) .. "\n\n", 1))))
    assert.raises("string expected", x509.load)
    assert.raises("string expected", x509.loadall, {})
  end)
end)

-- ---- names of hosts ----

describe("certificate:matches", function()
  local rows <const> = {
    -- names of the certificate, hosts that it is for, hosts that it is not for
    { { "good.example" }, { "good.example", "GOOD.Example", "good.example." },
      { "www.good.example", "bad.example", "good.example..", ".good.example", "good.exampl", "good.examplee",
        "", ".", "good.example\0", "good.example\0.evil.example", "good example", "example", "leaf" } },
    { { "*.good.example" },
      { "www.good.example", "WWW.good.example.", "xn--bcher-kva.good.example", "a_b.good.example" },
      { "good.example", "a.b.good.example", ".good.example", "*.good.example", "..good.example", "wwwgood.example" } },
    { { "*" }, {}, { "a", "a.b", "*" } },
    { { "*.example" }, {}, { "a.example", "*.example" } },
    { { "f*.good.example", "*f.good.example", "f*f.good.example", "x.*.example", "*.*.example", "**.good.example" }, {},
      { "foo.good.example", "of.good.example", "fof.good.example", "x.y.example", "a.b.example", "a.good.example" } },
    { { { type = "dns", value = ".good.example" } }, {}, { "good.example", "www.good.example", ".good.example" } },
    { { { type = "dns", value = "good.example." } }, {}, { "good.example", "good.example." } },
    { { { type = "dns", value = "good.example\0.evil.example" } }, {},
      { "good.example", "good.example\0.evil.example" } },
    { { { type = "dns", value = "b\u{fc}cher.example" } }, {}, { "b\u{fc}cher.example", "bcher.example" } },
    { { "xn--bcher-kva.example" }, { "XN--BCHER-KVA.example" }, { "bücher.example" } },
    { { "127.0.0.1" }, { "127.0.0.1" }, { "127.0.0.2", "127.0.0.01", "127.1", "2130706433", "::ffff:127.0.0.1",
      " 127.0.0.1", "127.0.0.1\0", "+127.0.0.1", "0x7f.0.0.1", "127.0.0.1.1" } },
    { { "::1" }, { "::1", "[::1]", "0:0:0:0:0:0:0:1", "::1%lo", "0::0.0.0.1" }, { "::", "1::", ":::1", "::1::" } },
    { { { type = "dns", value = "127.0.0.1" }, { type = "dns", value = "::1" } }, {}, { "127.0.0.1", "::1" } },
    { { { type = "dns", value = "*.0.0.1" } }, {}, { "127.0.0.1" } },
    { { "root@good.example", "https://good.example/" }, {}, { "good.example" } },
    { { { type = "ip", bytes = "\127\0\0" }, { type = "ip", bytes = "\127\0\0\1\0" } }, {},
      { "127.0.0.1", "127.0.0" } },
    { { "one.example", "two.example", "10.0.0.1" }, { "one.example", "two.example", "10.0.0.1" }, { "three.example" } },
  }

  it("is as RFC 9525 has it", function()
    for i, row in ipairs(rows) do
      local cert <const> = leaf { names = row[1] }
      for _, host in ipairs(row[2]) do assert.is_true(cert:matches(host), ("row %d: %q"):format(i, host)) end
      for _, host in ipairs(row[3]) do assert.is_false(cert:matches(host), ("row %d: %q"):format(i, host)) end
    end
  end)

  it("looks at no common name", function()
    assert.is_false(leaf({ subject = "CN=good.example" }):matches "good.example")
    assert.is_false(leaf({ subject = "CN=good.example", names = { "b.example" } }):matches "good.example")
    assert.is_false(leaf({ subject = { CN = "good.example\0.evil" } }):matches "good.example")
    assert.is_false(leaf({ extensions = { { name = "2.5.29.17", value = "junk" } } }):matches "good.example")
    assert.raises("string expected", root.matches, root)
  end)

  it("knows limits of names", function()
    local label <const> = ("a"):rep(63)
    local long <const> = table.concat({ label, label, label, ("a"):rep(61) }, ".")
    assert.is_true(named(long):matches(long))
    assert.is_false(named(long .. "a"):matches(long .. "a"))
    assert.is_false(named(label .. "a.example"):matches(label .. "a.example"))
  end)
end)

-- ---- keys ----

describe("a key", function()
  it("is written and read, plain and encrypted", function()
    for _, k in ipairs { leaf_key, key "ed25519", key("rsa", 1024), key("ec", 384) } do
      assert.equal(k, assert(x509.loadkey(k:pem())))
      local locked <const> = k:pem "secret"
      assert.matches("^%-%-%-%-%-BEGIN ENCRYPTED PRIVATE KEY", locked)
      assert.equal(k, assert(x509.loadkey(locked, "secret")))
      assert.fails("EACCES", x509.loadkey(locked))
      assert.fails("EACCES", x509.loadkey(locked, "wrong"))
      assert.equal(k, assert(x509.loadkey(locked, function() return "secret" end)))
      assert.fails("EACCES", x509.loadkey(locked, function() return "wrong" end))
      assert.fails("EACCES", x509.loadkey(locked, function() end))
      assert.equal(k:publicpem(), openssl("pkey -pubout", k:pem()))
      assert.equal(k:publicpem(), openssl("pkey -pubout -passin pass:secret", locked))
    end
    local function never() error "asked" end
    assert.equal(leaf_key, x509.loadkey(leaf_key:pem(), never))
    assert.fails("EBADMSG", x509.loadkey("junk", never))
    assert.raises("why not", x509.loadkey, leaf_key:pem "x", function() error "why not" end)
    assert.raises("string expected", x509.loadkey, leaf_key:pem "x", function() return {} end)
    assert.raises("too long", x509.loadkey, leaf_key:pem "x", ("x"):rep(1024))
    assert.equal(leaf_key, x509.loadkey(leaf_key:pem(("x"):rep(1023)), ("x"):rep(1023)))
  end)

  it("is read in the forms of the openssl command", function()
    for words, want in pairs {
      ["ec"] = leaf_key, ["ec -outform DER"] = leaf_key, ["pkcs8 -topk8 -nocrypt -outform DER"] = leaf_key,
      ["ec -aes128 -passout pass:secret"] = "EACCES",
      ["pkcs8 -topk8 -outform DER -passout pass:secret"] = "EACCES",
      ["pkey -pubout"] = "EBADMSG",
    } do
      local text <const> = openssl(words, leaf_key:pem(), true)
      if want == "EBADMSG" then
        assert.fails(want, x509.loadkey(text, "secret"))
      elseif want == "EACCES" then
        assert.fails(want, x509.loadkey(text))
        assert.fails(want, x509.loadkey(text, "wrong"))
        assert.equal(leaf_key, x509.loadkey(text, "secret"), words)
      else
        assert.equal(want, x509.loadkey(text), words)
      end
    end
  end)

  it("tells what it is, and nothing secret", function()
    assert.same({ type = "ec", bits = 384, curve = "P-384" }, key("ec", 384):details())
    assert.same({ type = "rsa", bits = 1024 }, key("rsa", 1024):details())
    assert.equal("ed25519", key("ed25519"):details().type)
    assert.equal("secp256k1", x509.key({ curve = "secp256k1" }):details().curve)
    assert.equal("key (ec, 256 bits)", tostring(leaf_key))
    assert.equal(leaf():pin(), leaf_key:pin())
    assert.is_true(leaf():haskey(leaf_key))
    assert.is_false(leaf():haskey(key "ec"))
    assert.is_false(leaf():haskey(key "ed25519"))
    assert.is_false(leaf_key == key "ed25519")
    assert.raises("key expected", rich.haskey, rich, rich)
  end)

  it("is refused when there is none like it", function()
    for want, options in pairs {
      ["there is no type of keys 'x'"] = { type = "x" }, ["no such curve"] = { type = "rsa", curve = "P-256" },
      ["no such curve or"] = { bits = 100 }, ["[512, 16384]"] = { type = "rsa", bits = 511 },
      ["unknown option 'size'"] = { size = 1 },
    } do
      assert.raises(want, x509.key, options)
    end
    assert.fails("EINVAL", x509.key { curve = "no such" })
  end)
end)

-- ---- making ----

describe("x509.make", function()
  it("makes chains that the openssl command believes", function()
    local middle_key <const>, stranger <const> = key "ed25519", assert(x509.key { type = "ed25519" })
    local middle <const> = assert(x509.make {
      subject = "CN=Middle", key = middle_key, issuer = root, issuerkey = key "ec", ca = true, pathlen = 0,
    })
    local cert <const> = assert(x509.make {
      names = { "good.example" }, key = leaf_key, issuer = middle, issuerkey = middle_key,
    })
    local anchors <const>, between <const> = helper.tmpname(), helper.tmpname()
    local more = ""
    local function verify(one, words)
      for path, text in pairs { [anchors] = root:pem(), [between] = middle:pem() .. more } do
        local file <close> = assert(io.open(path, "w"))
        file:write(text)
      end
      words = ("verify -x509_strict -CAfile %s -untrusted %s %s"):format(anchors, between, words or "")
      return openssl(words, one:pem())
    end
    assert.matches("OK", verify(cert, "-purpose sslserver -verify_hostname good.example"))
    assert.matches("OK", verify(middle))
    local function under(options)
      return assert(x509.make(with({ key = leaf_key, issuer = middle, issuerkey = middle_key, names = { "a.example" } },
        options)))
    end
    for why, options in pairs {
      ["has expired"] = { notbefore = 0, notafter = 1 }, ["not yet valid"] = { notbefore = os.time() + 9999 },
      ["purpose"] = { purposes = { "clientAuth" } }, ["signature failure"] = { issuerkey = stranger },
      ["unhandled critical"] = { extensions = { { name = "1.2.3", value = "\5\0", critical = true } } },
    } do
      assert.matches(why, verify(under(options), "-purpose sslserver"), 1, true)
    end
    local deep <const> = under { ca = true, subject = "CN=deep", key = stranger }
    more = deep:pem()
    assert.matches("path length", verify(under { issuer = deep, issuerkey = stranger }), 1, true)
    os.remove(anchors)
    os.remove(between)
    assert.is_true(root:issued(middle))
    assert.same({ false, "subject issuer mismatch" }, { root:issued(cert) })
    assert.same({ false, "signature failure" }, { middle:issued(under { issuerkey = stranger }) })
    assert.is_true(root:issued(root))
    assert.is_true(cert:verify_signature(middle))
    assert.is_true(cert:verify_signature(middle_key))
    assert.is_false(cert:verify_signature(root))
    assert.is_true(cert:extensions()[4].critical) -- the names of who has no subject
  end)

  it("makes weak and odd ones", function()
    for digest, name in pairs { md5 = "md5WithRSAEncryption", sha1 = "sha1WithRSAEncryption",
      sha384 = "sha384WithRSAEncryption" } do
      local cert <const> = ca { key = key("rsa", 1024), digest = digest }
      assert.equal(name, cert:signature())
      assert.is_true(cert:verify_signature(cert))
    end
    assert.same({ type = "rsa", bits = 512 }, ca({ key = key("rsa", 512) }):key())
    assert.equal("ED25519", ca({ key = key "ed25519" }):signature())
    local old <const> = ca { version = 1 }
    assert.same({}, old:extensions())
    assert.matches("Version: 1", old:text())
    assert.equal("-05", ca({ serial = -5 }):serial())
    assert.equal("00", ca({ serial = 0 }):serial())
    assert.equal(("ab"):rep(30), ca({ serial = ("AB"):rep(30) }):serial())
    assert.are_not.equal(root:serial(), ca():serial())
    local constrained <const> = ca { extensions = {
      { name = "nameConstraints", text = "critical,permitted;DNS:inside.example" } } }
    assert.matches("DNS:inside.example", constrained:text())
    assert.same({ { type = "CN", value = "a\0b" } }, select(2, leaf({ subject = { CN = "a\0b" } }):subject()))
    assert.equal("dns=\0\255", values(leaf({ names = { { type = "dns", bytes = "\0\255" } } }):names()))
  end)

  it("takes subjects in three forms", function()
    local function subject(what) return (leaf({ subject = what }):subject()) end
    assert.equal("CN=x,OU=b+OU=a,O=A\\\\2C\\,\\, B,C=DE", subject { { type = "C", value = "DE" },
      { type = "O", value = "A\\2C,, B" }, { type = "OU", value = "a" }, { type = "OU", value = "b", joined = true },
      { type = "CN", value = "x" } })
    assert.equal("CN=x,O=A\\\\2C\\,\\, B,C=DE", subject "CN=x, O=A\\\\2C\\2c\\, B ,C=DE")
    assert.equal("emailAddress=a@b,CN=x,O=y,C=DE", subject { CN = "x", O = "y", C = "DE", emailAddress = "a@b" })
    assert.is_true(select(2, leaf({ subject = "CN=x,OU=b+OU=a" }):subject())[2].joined)
    for _, bad in ipairs { "x", "CN", "=x", "CN=x,", 5, { 1 }, { { type = "CN" } }, { CN = 5 } } do
      assert.raises("subject", leaf, { subject = bad })
    end
    assert.fails("EINVAL", x509.make { key = leaf_key, subject = { CN = ("x"):rep(65) } })
    assert.fails("EINVAL", x509.make { key = leaf_key, subject = { CN = "\255" } })
    assert.fails("EINVAL", x509.make { key = leaf_key, subject = { nothing = "x" } })
  end)

  it("refuses what makes none", function()
    for want, options in pairs {
      ["option 'key' must be a key"] = {}, ["unknown option 'x'"] = { x = 1 },
      ["must be a certificate"] = { key = leaf_key, issuer = leaf_key },
      ["'issuerkey' must be a key"] = { key = leaf_key, issuer = root },
      ["no digest 'x'"] = { key = leaf_key, digest = "x" }, ["is no name"] = { key = leaf_key, names = { "a b" } },
      ["a name must be"] = { key = leaf_key, names = { { type = "x", value = "y" } } },
      ["bad name of the type 'ip'"] = { key = leaf_key, names = { { type = "ip", value = "y" } } },
      ["serial"] = { key = leaf_key, serial = "xyz" }, ["version"] = { key = leaf_key, version = 4 },
      ["an extension must be"] = { key = leaf_key, extensions = { {} } },
      ["option 'purposes' must"] = { key = leaf_key, purposes = 5 },
      ["'crl' must be a URL"] = { key = leaf_key, crl = "a b" },
    } do
      assert.raises(want, x509.make, options)
    end
    for _, options in ipairs { { purposes = { "nonsense" } }, { keyusage = "nonsense" },
      { extensions = { { name = "nonsense", text = "x" } } }, { extensions = { { name = "nonsense", value = "x" } } },
      { extensions = { { name = "nameConstraints", text = "@section" } } }, { notafter = math.maxinteger } } do
      assert.fails("EINVAL", x509.make(with({ key = leaf_key }, options)))
    end
  end)
end)

describe("x509.request", function()
  it("asks for a certificate", function()
    local request <const> = assert(x509.request {
      subject = "CN=asks", key = leaf_key, names = { "asks.example", "10.0.0.1" }, ca = true, must_staple = true,
    })
    assert.equal("CN=asks", request:subject())
    assert.equal("dns=asks.example ip=10.0.0.1", values(request:names()))
    assert.same(leaf_key:details(), request:key())
    assert.is_true(request:verify_signature())
    assert.equal("request (CN=asks)", tostring(request))
    assert.matches("verify OK", openssl("req -noout -verify", request:pem()))
    assert.matches("DNS:asks.example, IP Address:10.0.0.1", openssl("req -noout -text", request:pem()))
    assert.equal(request:der(), x509.loadrequest(request:pem()):der())
    local cert <const> = assert(x509.make { request = assert(x509.loadrequest(request:der())), issuer = root,
      issuerkey = key "ec" })
    assert.equal("CN=asks", cert:subject())
    assert.equal("dns=asks.example ip=10.0.0.1", values(cert:names()))
    assert.is_true(cert:haskey(leaf_key))
    assert.is_false(cert:isca()) -- whatever it asks for
    local other <const> = assert(x509.make { request = request, issuer = root, issuerkey = key "ec",
      subject = "CN=other", names = { "other.example" } })
    assert.equal("CN=other dns=other.example", other:subject() .. " " .. values(other:names()))
    assert.raises("exclude each other", x509.make, { request = request, key = leaf_key, issuer = root,
      issuerkey = key "ec" })
    assert.raises("option 'issuer' is missing", x509.make, { request = request })
    assert.fails("EBADMSG", x509.loadrequest(root:pem()))
    local der <const> = request:der()
    local forged <const> = x509.loadrequest(der:sub(1, -2) .. string.char(der:byte(-1) ~ 1))
    assert.is_false(forged:verify_signature())
    assert.fails("EBADMSG", x509.make { request = forged, issuer = root, issuerkey = key "ec" })
  end)
end)

describe("x509.crl", function()
  it("lists what is revoked", function()
    local cert <const> = leaf { serial = "77" }
    local list <const> = assert(x509.crl {
      issuer = root, issuerkey = key "ec", number = 200, notbefore = 1000000000, notafter = 2000000000,
      revoked = { cert, 5, "abcdef", { serial = "01", reason = "keyCompromise", time = 999999999 } },
    })
    local text <const> = openssl("crl -noout -text", list)
    for _, want in ipairs { "Serial Number: 77", "Serial Number: 05", "Serial Number: ABCDEF", "Key Compromise",
      "Sep  9 01:46:39 2001", "May 18 03:33:20 2033", "CRL Number", "200", "Issuer: CN = Spec Root" } do
      assert.matches(want, text, 1, true)
    end
    local path <const>, lists <const> = helper.tmpname(), helper.tmpname()
    for file, words in pairs { [path] = root:pem(), [lists] = x509.crl { issuer = root, issuerkey = key "ec",
      revoked = { cert } } } do
      local out <close> = assert(io.open(file, "w"))
      out:write(words)
    end
    local function verify(one)
      return openssl(("verify -crl_check -CAfile %s -CRLfile %s"):format(path, lists), one:pem())
    end
    assert.matches("certificate revoked", verify(cert))
    assert.matches("OK", verify(leaf()))
    os.remove(path)
    os.remove(lists)
    assert.raises("what is revoked must be", x509.crl, { issuer = root, issuerkey = key "ec",
      revoked = { { serial = 1, reason = "boredom" } } })
    assert.raises("must be a certificate", x509.crl, { issuerkey = key "ec" })
  end)
end)

-- ---- damage ----

-- Asks a certificate everything.
local function ask(cert)
  for _, name in ipairs { "subject", "issuer", "names", "validity", "serial", "fingerprint", "pin", "key", "signature",
    "isca", "purposes", "keyusage", "extensions", "pem", "der", "text" } do
    local result <const>, why <const>, code <const> = cert[name](cert)
    if result == nil and why then assert.fails("EBADMSG", result, why, code) end
  end
  cert:matches "good.example"
  cert:matches "127.0.0.1"
  cert:haskey(leaf_key)
  root:issued(cert)
  cert:verify_signature(cert)
  return tostring(cert) .. tostring(cert == root)
end

describe("damage", function()
  it("breaks nothing: bits of DER", function()
    local der <const> = rich:der()
    local loaded = 0
    for i = 1, #der do
      local bit <const> = 1 << math.random(0, 7)
      local cert, why, code = x509.load(der:sub(1, i - 1) .. string.char(der:byte(i) ~ bit) .. der:sub(i + 1))
      if cert then
        loaded = loaded + 1
        ask(cert)
      else
        assert.fails("EBADMSG", cert, why, code)
      end
    end
    assert.is_true(loaded > #der // 4)
  end)

  it("breaks nothing: truncations", function()
    local der <const>, pem <const>, locked <const> = rich:der(), rich:pem(), leaf_key:pem "x"
    for i = 0, #der - 1 do assert.fails("EBADMSG", x509.load(der:sub(1, i))) end
    for i = 0, #pem - 27, 3 do
      assert.fails("EBADMSG", x509.load(pem:sub(1, i)))
      assert.fails("EBADMSG", x509.loadall(pem:sub(1, i)))
    end
    for i = 0, #locked - 40, 7 do assert.fails("EBADMSG", x509.loadkey(locked:sub(1, i), "x")) end
  end)

  it("breaks nothing: PEM and keys", function()
    local pem <const>, plain <const> = rich:pem(), leaf_key:pem()
    for _ = 1, 150 do
      local at <const> = math.random(#pem)
      local cert <const> = x509.load(pem:sub(1, at - 1) .. string.char(math.random(0, 255)) .. pem:sub(at + 1))
      if cert then ask(cert) end
      local place <const> = math.random(#plain)
      local found <const> = x509.loadkey(plain:sub(1, place - 1) .. string.char(math.random(0, 255))
        .. plain:sub(place + 1))
      if found then assert.is_table(found:details()) end
    end
    local request <const> = assert(x509.request { key = leaf_key, names = { "a.example" } }):der()
    for i = 1, #request do
      local found <const> = x509.loadrequest(request:sub(1, i - 1) .. string.char(math.random(0, 255))
        .. request:sub(i + 1))
      if found then
        found:names()
        found:key()
        found:subject()
        found:verify_signature()
      end
    end
  end)
end)

describe("certificates", function()
  it("are made and read in several threads", function()
    local results <const> = helper.threads(4, [[
      local x509 = require "neap.x509"
      local key = x509.key()
      for i = 1, 20 do
        local cert = assert(x509.make { subject = "CN=x", key = key, names = { "a.example" } })
        assert(x509.load(cert:pem()) == cert and cert:matches "a.example" and not x509.load "junk")
      end
      return true
    ]])
    for i = 1, 4 do assert.same({ true, "true" }, results[i]) end
  end)

  it("go when nobody has them", function()
    local pem <const> = rich:pem()
    local function many()
      for _ = 1, 200 do
        local cert <const> = x509.load(pem)
        cert:names()
        x509.load "junk"
      end
      collectgarbage()
    end
    many()
    local before <const> = collectgarbage "count"
    many()
    assert.is_true(collectgarbage "count" < before + 50)
  end)
end)
