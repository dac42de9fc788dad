--- Authentication, base64, and the words that fields are made of.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local auth <const> = require "neap.http.auth"
local base64 <const> = require "neap.base64"
local random <const> = require "neap.random"
local setcookie <const> = require "neap.http.setcookie"
local words <const> = require "neap.http.words"

local function need_openssl() helper.need(pcall(require, "neap.tlscore"), "needs OpenSSL (libssl-dev)") end

-- ---- base64 ----

describe("base64", function()
  it("is RFC 4648's", function()
    for plain, coded in pairs {
      [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy",
      ["\xff\xfe\xfd"] = "//79", ["\0\0\0"] = "AAAA",
    } do
      assert.equal(coded, base64.encode(plain))
      assert.equal(plain, base64.decode(coded))
      local url <const> = coded:gsub("=", ""):gsub("/", "_"):gsub("+", "-")
      assert.equal(url, base64.encode(plain, true))
      assert.equal(plain, base64.decode(url, true))
    end
    for n = 0, 100 do
      local bytes <const> = random.bytes(n)
      assert.equal(bytes, base64.decode(base64.encode(bytes)))
      assert.equal(bytes, base64.decode(base64.encode(bytes, true), true))
    end
  end)

  it("takes nothing else", function()
    for _, text in ipairs {
      "Zg", "Zg=", "Zg===", "Z===", "====", "=", "Zh==", "Zm9=", "Zm9v\n", "Zm 9", "Zm9!", "Zg==Zg==", "_-79", "Zm9v=",
      "\0\0\0\0",
    } do
      assert.fails("EINVAL", base64.decode(text))
    end
    for _, text in ipairs { "Zg==", "Z", "Zh", "//79", "Zm9vZ" } do
      assert.fails("EINVAL", base64.decode(text, true))
    end
  end)
end)

describe("random", function()
  it("is never the same", function()
    assert.equal(16, #random.bytes(16))
    assert.is_truthy(random.hex(8):find "^%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x$")
    assert.are_not.equal(random.bytes(16), random.bytes(16))
    assert.equal("", random.bytes(0))
  end)
end)

-- ---- words ----

describe("words", function()
  it("take no more time for blanks than for others", function()
    assert.same({ "a b", "c" }, words.list " \t a b\t, \t ,c")
    assert.equal("", words.trim " \t")
    assert.equal("", words.trim "")
    local blanks <const> = (" "):rep(1 << 18)
    assert.takes(0, 5, function()
      assert.same({ "a" .. blanks .. "b" }, words.list(blanks .. "a" .. blanks .. "b" .. blanks .. ","))
      assert.same({}, words.list(blanks))
      local by_name <const> = setcookie.cookies("a" .. blanks .. "b" .. blanks .. "=" .. blanks .. "c" .. blanks .. "d")
      assert.equal("c" .. blanks .. "d", by_name["a" .. blanks .. "b"])
      assert.is_nil(next((setcookie.cookies(blanks .. ";" .. blanks .. "="))))
    end)
  end)

  it("takes lists and parameters apart", function()
    assert.same({ "a", "b c", '"d, e"', "f" }, words.list 'a ,, b c,"d, e", f ,')
    assert.is_nil(words.list 'a, "b')
    assert.same({ a = "1", b = 'x"y' }, words.parameters(';a=1 ; B="x\\"y";', 1))
    for _, text in ipairs { ";a", ";a=", "a=1", ";a=1 b=2", ";a=1;a=2", ';a="', ";=1", ';a="\\', ";a=1 x" } do
      assert.is_nil(words.parameters(text, 1), text)
    end
    assert.equal('"a\\"\\\\b"', words.quote 'a"\\b')
    for text, q in pairs {
      ["0"] = 0, ["1"] = 1000, ["0."] = 0, ["1."] = 1000, ["0.5"] = 500, ["0.123"] = 123, ["1.000"] = 1000,
    } do
      assert.equal(q, words.quality(text), text)
    end
    for _, text in ipairs { "", "2", "0.1234", "1.1", "1.0000", "-1", ".5", "0,5", "05", "10", "1e0", "0x1" } do
      assert.is_nil(words.quality(text), text)
    end
  end)
end)

-- ---- challenges ----

-- As one text: "scheme token68 a=1 b=2", ...
local function shown(list)
  local out = {}
  for _, challenge in ipairs(list) do
    local names, parts = {}, { challenge.scheme, challenge.token68 }
    for name in pairs(challenge.params) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do parts[#parts + 1] = name .. "=" .. challenge.params[name] end
    out[#out + 1] = table.concat(parts, " ")
  end
  return table.concat(out, "; ")
end

describe("auth.challenges", function()
  it("takes several apart", function()
    for text, wanted in pairs {
      ['Basic realm="a, b"'] = "basic realm=a, b",
      ['Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"'] =
        'newauth realm=apps title=Login to "apps" type=1; basic realm=simple',
      ['Negotiate, Digest realm="x" , nonce=abc, Negotiate abcd==, , Basic'] =
        "negotiate; digest nonce=abc realm=x; negotiate abcd==; basic",
      ["NTLM TlRM, Basic realm=x"] = "ntlm TlRM; basic realm=x", [""] = "", [" , ,"] = "", ["A"] = "a",
      ['BASIC Realm = "x"'] = "basic realm=x", ["A b=c,D"] = "a b=c; d", ["A b=,c=d"] = "a b=; c=d",
      ["A a=b=c"] = false, ["=a"] = false, ['Basic realm="x'] = false, ["Basic realm=x, realm=y"] = false,
      ["A b c"] = false, ["A\tb=c"] = false, ["A b=c d=e"] = false, ["A b=c;d=e"] = false, ['A "b"'] = false,
      [("A,"):rep(17)] = false, ["\xff"] = false, ["A b="] = "a b=",
    } do
      if wanted and not text:find("A b=,", 1, true) then
        assert.equal(wanted, shown(assert(auth.challenges(text))), text)
      elseif not wanted then
        assert.fails("EBADMSG", auth.challenges(text))
      end
    end
    local many = {}
    for i = 1, 40 do many[i] = ("p%d=1"):format(i) end
    assert.fails("EBADMSG", auth.challenges("A " .. table.concat(many, ",")))
    assert.same({ nextnonce = "x", qop = "auth" }, auth.parameters 'nextnonce="x", qop=auth')
    for _, text in ipairs { "a", "a=1 b=2", 'a="', "a=1,a=2" } do assert.fails("EBADMSG", auth.parameters(text)) end
  end)

  it("never raises", function()
    local parts <const> = { "Basic", " ", ",", "=", '"', "\\", "a", "realm", "==", "\t", "\0", "Digest nonce=x", "1" }
    for _ = 1, 3000 // helper.slow do
      local out = {}
      for i = 1, math.random(1, 20) do out[i] = parts[math.random(#parts)] end
      local text <const> = table.concat(out)
      local list, why, code = auth.challenges(text)
      assert.is_truthy(list or why and code)
      if list then auth.best(list) end
      auth.basic_credentials(text)
      auth.parameters(text)
    end
  end)
end)

-- ---- Basic ----

describe("Basic", function()
  it("is RFC 7617's, on both sides", function()
    assert.equal("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", auth.basic("Aladdin", "open sesame"))
    assert.equal("Basic dGVzdDoxMjPCow==", auth.basic("test", "123\xc2\xa3"))
    assert.same({ "a", "b:c" }, { auth.basic_credentials(auth.basic("a", "b:c")) })
    assert.same({ "", "" }, { auth.basic_credentials "basic  Og==  " })
    for _, field in ipairs {
      "", "Basic", "Basic ", "Basic a", "Basic YQ==", "Bearer Og==", "Basic Og== x", "Basic Ogo6", "Basic ADo=",
    } do
      assert.fails("EBADMSG", auth.basic_credentials(field))
    end
    assert.fails("EBADMSG", auth.basic_credentials(nil))
    assert.fails("EINVAL", auth.basic("a:b", "c"))
    assert.fails("EINVAL", auth.basic("a", "c\n"))
    assert.equal('Basic realm="a\\"b", charset="UTF-8"', auth.basic_challenge 'a"b')
    assert.is_true(auth.same("abc", "abc"))
    for _, other in ipairs { "", "ab", "abd", "abcd", "Abc" } do assert.is_false(auth.same("abc", other)) end
  end)
end)

-- ---- Digest ----

local MUFASA <const> = {
  user = "Mufasa", password = "Circle of Life", method = "GET", uri = "/dir/index.html",
  cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
}

local RFC7616 <const> = 'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=%s, '
  .. 'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'

local function challenge(text) return assert(auth.challenges(text))[1] end

describe("Digest", function()
  it("answers as RFC 7616 and RFC 2617 have it", function()
    need_openssl()
    for algorithm, response in pairs {
      MD5 = "8ca523f5e9506fed4657c9700eebdbec",
      ["SHA-256"] = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    } do
      assert.equal(('Digest username="Mufasa", realm="http-auth@example.org", '
        .. 'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", algorithm=%s, '
        .. 'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", nc=00000001, qop=auth, response="%s", '
        .. 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'):format(algorithm, response),
        auth.digest(challenge(RFC7616:format(algorithm)), MUFASA))
    end
    local field <const> = assert(auth.digest(challenge('Digest realm="testrealm@host.com", qop="auth,auth-int", '
      .. 'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'), {
        user = "Mufasa", password = "Circle Of Life", method = "GET", uri = "/dir/index.html", cnonce = "0a4f113b",
      }))
    assert.is_truthy(field:find('response="6629fae49393a05397450978507c4ef1"', 1, true))
  end)

  it("takes the strongest that there is", function()
    need_openssl()
    local list <const> = auth.challenges('Basic realm=x, Digest realm=x, nonce=y, ' .. RFC7616:format "MD5" .. ", "
      .. RFC7616:format "SHA-256" .. ", " .. RFC7616:format "SHA-9")
    assert.equal("SHA-256", auth.best(list).params.algorithm)
    assert.equal("basic", auth.best(list, { basic = true }).scheme)
    assert.is_nil(auth.best(auth.challenges "Bearer, Negotiate"))
    assert.equal("basic", auth.best(auth.challenges 'Digest realm=x, nonce=y, algorithm=foo, Basic realm=x').scheme)
    for _, text in ipairs { "qop=other", 'opaque="\\\t"', "algorithm=foo" } do
      assert.is_nil(auth.best { challenge("Digest realm=x, nonce=y, " .. text) })
    end
    assert.equal("y", auth.best({ challenge "Digest realm=x, nonce=y, qop=auth-int" }).params.nonce)
  end)

  it("says no to what it cannot do", function()
    need_openssl()
    for text, code in pairs {
      ["Digest realm=x"] = "EBADMSG", ["Digest nonce=x"] = "EBADMSG",
      ["Digest realm=x, nonce=y, algorithm=foo"] = "ENOTSUP",
      ["Digest realm=x, nonce=y, qop=other"] = "ENOTSUP", ["Digest realm=x, nonce=y, qop=auth-int"] = "ENOTSUP",
    } do
      assert.fails(code, auth.digest(challenge(text), MUFASA))
    end
    local bad = {}
    for name, value in pairs(MUFASA) do bad[name] = value end
    bad.user = "a\r\nX: y"
    assert.fails("EINVAL", auth.digest(challenge "Digest realm=x, nonce=y", bad))
  end)

  -- curl answers a challenge of ours; with its cnonce we answer the same.
  local function curl_answers(text, user, password)
    local answer
    helper.in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local _, port = listener:getsockname()
      local server <close> = neap.spawn(function()
        for i = 1, 2 do
          local conn <close> = assert(listener:accept())
          for line in conn:lines() do
            line = line:gsub("\r$", "")
            if line == "" then break end
            answer = line:match "^[Aa]uthorization: (.*)$" or answer
          end
          conn:write(i == 1 and "HTTP/1.1 401 No\r\nWWW-Authenticate: " .. text or "HTTP/1.1 200 OK",
            "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        end
      end)
      local path <const> = helper.tmpname()
      local command <const> = ("curl -s -m 8 --digest -u %s http://127.0.0.1:%d/dir/x?y=z >%s 2>&1 &"):format(
        helper.quote(user .. ":" .. password), port, path)
      os.execute(command)
      server:join()
    end)
    return answer
  end

  it("answers as curl does", function()
    need_openssl()
    helper.need_program "curl"
    for _, row in ipairs {
      { 'Digest realm="r", nonce="n"' }, { 'Digest realm="r", nonce="n", algorithm=MD5, opaque="o"' },
      { 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256' },
      { 'Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=MD5-sess' },
      { 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256-sess, userhash=true' },
    } do
      local theirs <const> = curl_answers(row[1], "us er", 'pass"word')
      assert.is_string(theirs)
      local said <const> = challenge(theirs).params
      local ours <const> = challenge(assert(auth.digest(challenge(row[1]), {
        user = "us er", password = 'pass"word', method = "GET", uri = "/dir/x?y=z", cnonce = said.cnonce,
      }))).params
      assert.equal(said.response, ours.response, row[1])
      for _, name in ipairs { "username", "realm", "nonce", "uri", "nc", "qop", "opaque", "userhash" } do
        assert.equal(said[name], ours[name], name)
      end
    end
  end)

  it("protects a body where nothing else is offered, and names beyond ASCII", function()
    need_openssl()
    local digest <const> = require "neap.tlscore".digest
    local function md5(text)
      return (digest("md5", text):gsub(".", function(b) return ("%02x"):format(b:byte()) end))
    end
    local field <const> = assert(auth.digest(challenge "Digest realm=r, nonce=n, qop=auth-int", {
      user = "\xc3\xbc", password = "p", method = "POST", uri = "/", body = "data", cnonce = "c", nc = 255,
    }))
    local wanted <const> = md5(("%s:n:000000ff:c:auth-int:%s"):format(md5 "\xc3\xbc:r:p", md5("POST:/:" .. md5 "data")))
    assert.is_truthy(field:find('response="' .. wanted .. '"', 1, true))
    assert.is_truthy(field:find("username*=UTF-8''%C3%BC", 1, true))
    assert.is_truthy(field:find("nc=000000ff, qop=auth-int", 1, true))
  end)
end)

describe("tlscore's digests", function()
  it("are OpenSSL's", function()
    need_openssl()
    local tlscore <const> = require "neap.tlscore"
    local function hex(bytes) return (bytes:gsub(".", function(b) return ("%02x"):format(b:byte()) end)) end
    assert.equal("d41d8cd98f00b204e9800998ecf8427e", hex(tlscore.digest("md5", "")))
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", hex(tlscore.digest("sha1", "abc")))
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      hex(tlscore.digest("sha256", "abc")))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      hex(tlscore.hmac("sha256", "Jefe", "what do ya want for nothing?")))
    assert.fails("ENOTSUP", tlscore.digest("nope", ""))
    assert.fails("ENOTSUP", tlscore.hmac("nope", "", ""))
  end)
end)
