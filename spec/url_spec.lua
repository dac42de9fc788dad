--- neap.url: RFC 3986 at its word, and as browsers read.
local helper <const> = require "support.helper"
local url <const> = require "neap.url"

local BROWSER <const> = { mode = "browser" }
local HAS_IDN <const> = pcall(require, "neap.idncore")
local function need_idn() helper.need(HAS_IDN, "needs libidn2 (libidn2-dev)") end

-- The fields without the metatable.
local function plain(parts)
  local copy = {}
  for name, value in pairs(parts) do copy[name] = value end
  return copy
end

-- A generator of its own: the same texts each time.
local function random_source(seed)
  return function(n)
    seed = (seed * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return (seed >> 33) % n + 1
  end
end

-- ---- parsing ----

-- text, and its parts
local TAKEN <const> = {
  { "http://example.com", scheme = "http", host = "example.com", path = "" },
  { "HTTP://Example.COM/A", scheme = "http", host = "example.com", path = "/A" },
  { "https://u:p@h.org:8443/a/b?x=1&y#top", scheme = "https", user = "u", password = "p", host = "h.org",
    port = 8443, path = "/a/b", query = "x=1&y", fragment = "top" },
  { "http://h/?", scheme = "http", host = "h", path = "/", query = "" },
  { "http://h#", scheme = "http", host = "h", path = "", fragment = "" },
  { "http://h?a/b?c#d/e?f", scheme = "http", host = "h", path = "", query = "a/b?c", fragment = "d/e?f" },
  { "http://h:/", scheme = "http", host = "h", path = "/" },
  { "http://h:0080/", scheme = "http", host = "h", port = 80, path = "/" },
  { "http://h:00000/", scheme = "http", host = "h", port = 0, path = "/" },
  { "http://h:65535/", scheme = "http", host = "h", port = 65535, path = "/" },
  { "http://@h/", scheme = "http", user = "", host = "h", path = "/" },
  { "http://u@h/", scheme = "http", user = "u", host = "h", path = "/" },
  { "http://u:@h/", scheme = "http", user = "u", password = "", host = "h", path = "/" },
  { "http://:p:q@h/", scheme = "http", user = "", password = "p:q", host = "h", path = "/" },
  { "http://good.com:80@evil.com/", scheme = "http", user = "good.com", password = "80", host = "evil.com",
    path = "/" },
  { "http://evil.com#@good.com/", scheme = "http", host = "evil.com", path = "", fragment = "@good.com/" },
  { "http://evil.com?@good.com/", scheme = "http", host = "evil.com", path = "", query = "@good.com/" },
  { "http://u%40x:p%3A@h/", scheme = "http", user = "u%40x", password = "p%3A", host = "h", path = "/" },
  { "http://127.0.0.1:8080/", scheme = "http", host = "127.0.0.1", port = 8080, path = "/" },
  { "http://[::1]:80/", scheme = "http", host = "::1", port = 80, path = "/" },
  { "http://[2001:DB8:0:0:1:0:0:1]", scheme = "http", host = "2001:db8::1:0:0:1", path = "" },
  { "http://[::FFFF:7f00:1]/", scheme = "http", host = "::ffff:127.0.0.1", path = "/" },
  { "http://[::ffff:10.0.0.1]/", scheme = "http", host = "::ffff:10.0.0.1", path = "/" },
  { "http://[64:ff9b::192.0.2.33]/", scheme = "http", host = "64:ff9b::c000:221", path = "/" },
  { "http://[fe80::1%25eth0]:81/", scheme = "http", host = "fe80::1%eth0", port = 81, path = "/" },
  { "http://[fe80::1%25a%2Db%3A1]/", scheme = "http", host = "fe80::1%a-b:1", path = "/" },
  { "http://example.com./", scheme = "http", host = "example.com.", path = "/" },
  { "http://a_b-.x--y.com/", scheme = "http", host = "a_b-.x--y.com", path = "/" },
  { "http://1and1.com/", scheme = "http", host = "1and1.com", path = "/" },
  { "http://1.2.3.com/", scheme = "http", host = "1.2.3.com", path = "/" },
  { "http://h/a/../b/./c", scheme = "http", host = "h", path = "/a/../b/./c" },
  { "http://h//a//", scheme = "http", host = "h", path = "//a//" },
  { "http://h/!$&'()*+,;=:@-._~/%00%fF", scheme = "http", host = "h", path = "/!$&'()*+,;=:@-._~/%00%fF" },
  { "http://h/\u{E4}?\u{20AC}#\u{1F600}", scheme = "http", host = "h", path = "/%C3%A4", query = "%E2%82%AC",
    fragment = "%F0%9F%98%80" },
  { "http://\u{E4}:\u{F6}@h/", scheme = "http", user = "%C3%A4", password = "%C3%B6", host = "h", path = "/" },
  { "ws://h/chat", scheme = "ws", host = "h", path = "/chat" },
  { "wss://h:443", scheme = "wss", host = "h", port = 443, path = "" },
  { "file:///etc/hosts", scheme = "file", host = "", path = "/etc/hosts" },
  { "file:/etc/hosts", scheme = "file", path = "/etc/hosts" },
  { "mailto:John.Doe@example.com", scheme = "mailto", path = "John.Doe@example.com" },
  { "urn:oasis:names:tc:4.1.2", scheme = "urn", path = "oasis:names:tc:4.1.2" },
  { "tel:+1-816-555-1212", scheme = "tel", path = "+1-816-555-1212" },
  { "news:comp.infosystems.www.servers.unix", scheme = "news", path = "comp.infosystems.www.servers.unix" },
  { "ldap://[2001:db8::7]/c=GB?objectClass?one", scheme = "ldap", host = "2001:db8::7", path = "/c=GB",
    query = "objectClass?one" },
  { "telnet://192.0.2.16:80/", scheme = "telnet", host = "192.0.2.16", port = 80, path = "/" },
  { "ftp://ftp.is.co.za/rfc/rfc1808.txt", scheme = "ftp", host = "ftp.is.co.za", path = "/rfc/rfc1808.txt" },
  { "foo://Ex%2fA,!;b:1/", scheme = "foo", host = "ex%2Fa,!;b", port = 1, path = "/" },
  { "udp://:53", scheme = "udp", host = "", port = 53, path = "" },
  { "a+b-c.1:", scheme = "a+b-c.1", path = "" },
  { "x:/.//y", scheme = "x", path = "/.//y" },
}

-- text, and a part of what is said about it
local REFUSED <const> = {
  { "", "no scheme" }, { "/a", "no scheme" }, { "//h/a", "no scheme" }, { "a", "no scheme" }, { ":a", "no scheme" },
  { "1a://h", "no scheme" }, { "a_b://h", "no scheme" }, { "http//h", "no scheme" }, { "#", "no scheme" },
  { " http://h/", "a space at byte 1" }, { "http://h/ ", "a space at byte 10" }, { "http://h/a b", "a space" },
  { "http://h\t/", "a control character at byte 9" }, { "http://h/\r\nHost: x", "a control character" },
  { "http://h/\0", "a control character" }, { "http://h/\127", "a control character" },
  { "http://h/\u{85}", "a control character" }, { "http://h/\xff", "no UTF-8 at byte 10" },
  { "http://h/\xed\xa0\x80", "no UTF-8" }, { "http://h/\xc0\xaf", "no UTF-8" },
  { "http:\\\\h\\a", "'\\'" }, { "http://good.com\\@evil.com/", "'\\'" }, { "http://h/a\\b", "'\\'" },
  { "http://h/<a>", "'<'" }, { 'http://h/"', "'\"'" }, { "http://h/^", "'^'" }, { "http://h/`", "'`'" },
  { "http://h/{a}", "'{'" }, { "http://h/a|b", "'|'" }, { "http://h/>", "'>'" }, { "http://h/}", "'}'" },
  { "http://h/[a]", "a bracket" }, { "http://h/?a[]=1", "a bracket" }, { "http://h/#]", "a bracket" },
  { "http://h/%", "hex digits after the % at byte 10" }, { "http://h/%4", "hex digits" },
  { "http://h/%zz", "hex digits" }, { "http://h/%4g", "hex digits" }, { "http://h/?%", "hex digits" },
  { "http://u%@h/", "hex digits" }, { "http://h%/", "hex digits" }, { "http://h/%u0041", "hex digits" },
  { "http://h/#a#b", "a second #" }, { "http://a@b@c/", "two @" }, { "http://a:b@c:d@e/", "two @" },
  { "http://[a@b]/", "bracket" }, { "http://[@h/", "bracket" },
  { "http:a", "no // after http:" }, { "http:/a", "no // after http:" }, { "https:", "no // after https:" },
  { "http://", "no host" }, { "http:///a", "no host" }, { "http://:80/", "no host" }, { "http://u@/", "no host" },
  { "http://u@:80/", "no host" }, { "http://?a", "no host" }, { "http://#a", "no host" },
  { "ws:///a", "no host" }, { "ftp:///a", "no host" },
  { "http://h:70000/", "a port is at most 65535" }, { "http://h:65536/", "a port is at most" },
  { "http://h:99999999999999999999/", "a port is at most" }, { "http://h:-1/", "a port is a number" },
  { "http://h:+1/", "a port is a number" }, { "http://h:8o/", "a port is a number" },
  { "http://h:0x50/", "a port is a number" }, { "http://h:80:80/", "a port is a number" },
  { "http://::1/", "no host" }, { "http://1:2:3/", "a number" }, { "http://h:80%20/", "a port is a number" },
  { "http://h:%38%30/", "a port is a number" },
  { "http://127.1/", "ends in a number" }, { "http://127.0.1/", "ends in a number" },
  { "http://0x7f.1/", "ends in a number" }, { "http://0x7f.0.0.0x1/", "ends in a number" },
  { "http://0177.0.0.1/", "ends in a number" }, { "http://127.0.0.01/", "ends in a number" },
  { "http://2130706433/", "ends in a number" }, { "http://0x7f000001/", "ends in a number" },
  { "http://017700000001/", "ends in a number" }, { "http://0/", "ends in a number" },
  { "http://256.1.1.1/", "ends in a number" }, { "http://1.2.3.4.5/", "ends in a number" },
  { "http://1.2.3.4./", "ends in a number" }, { "http://a.0X7F/", "ends in a number" },
  { "http://a.1/", "ends in a number" }, { "http://1.2.3.999999999999999999999/", "ends in a number" },
  { "http://18446744073709551617.0.0.1/", "ends in a number" },
  { "http://a..b/", "an empty label" }, { "http://.a/", "an empty label" }, { "http://./", "an empty label" },
  { "http://../", "an empty label" }, { "http://a../", "an empty label" },
  { "http://" .. ("a"):rep(64) .. ".com/", "too long" }, { "http://" .. ("a."):rep(128) .. "/", "too long" },
  { "http://ex%61mple.com/", "percent-coded ASCII" }, { "http://127%2E0.0.1/", "percent-coded ASCII" },
  { "http://good.com%2f@evil.com%2f/", "percent-coded ASCII" },
  { "http://good.com%00.evil.com/", "percent-coded ASCII" }, { "http://h%0d%0aX:1/", "percent-coded ASCII" },
  { "http://a,b/", "',' in the host" }, { "http://a!b/", "'!' in the host" }, { "http://a*/", "'*' in the host" },
  { "http://a~b/", "'~' in the host" },
  { "http://[]/", "no IPv6" }, { "http://[:]/", "no IPv6" }, { "http://[:::]/", "no IPv6" },
  { "http://[1]/", "no IPv6" }, { "http://[1:2:3:4:5:6:7]/", "no IPv6" },
  { "http://[1:2:3:4:5:6:7:8:9]/", "no IPv6" }, { "http://[1:2:3:4:5:6:7:8::]/", "no IPv6" },
  { "http://[::1::]/", "no IPv6" }, { "http://[12345::]/", "no IPv6" }, { "http://[g::]/", "no IPv6" },
  { "http://[1:]/", "no IPv6" }, { "http://[:1]/", "no IPv6" }, { "http://[::1.2.3]/", "no IPv6" },
  { "http://[::1.2.3.256]/", "no IPv6" }, { "http://[::01.2.3.4]/", "no IPv6" },
  { "http://[1.2.3.4::]/", "no IPv6" }, { "http://[1.2.3.4]/", "no IPv6" }, { "http://[example.com]/", "no IPv6" },
  { "http://[1:2:3:4:5:6:7:1.2.3.4]/", "no IPv6" }, { "http://[::" .. ("0"):rep(100) .. "]/", "no IPv6" },
  { "http://[::1/", "bracket" }, { "http://::1]/", "no host" }, { "http://[::1]x/", "bracket" },
  { "http://[[::1]]/", "bracket" }, { "http://x[::1]/", "'[' in the host" }, { "http://[::1]80/", "bracket" },
  { "http://[v1.fe80::a]/", "not known" }, { "http://[fe80::1%eth0]/", "hex digits" },
  { "http://[fe80::1%ab]/", "after %25" }, { "http://[fe80::1%25]/", "after %25" },
  { "http://[fe80::1%25a%2fb]/", "a bad zone" }, { "http://[fe80::1%25a%00]/", "a bad zone" },
  { "http://[fe80::1%25a%5d]/", "a bad zone" }, { "http://[%25eth0]/", "no IPv6" },
}

describe("url.parse", function()
  for _, case in ipairs(TAKEN) do
    it("takes " .. case[1], function()
      local wanted = plain(case)
      wanted[1] = nil
      local parts = assert(url.parse(case[1]))
      assert.same(wanted, plain(parts))
      assert.same(wanted, plain(assert(url.parse(tostring(parts)))))
      assert.equal(tostring(parts), assert(url.build(parts)))
    end)
  end

  it("gives the text back", function()
    for _, text in ipairs {
      "http://example.com", "http://u:p@h:80/a?b#c", "http://u:@h/", "http://@h/", "http://h/?#", "http://[::1]:80/",
      "http://[fe80::1%25eth0]/", "file:///a", "file:/a", "mailto:a@b", "urn:a:b", "x:", "x://", "x:///",
      "x:/.//y", "http://h/%7e%7E/./../a",
    } do
      assert.equal(text, tostring(assert(url.parse(text))))
    end
  end)

  for _, case in ipairs(REFUSED) do
    it(("refuses %q: %s"):format(case[1]:sub(1, 60), case[2]), function()
      local parts, why, code = url.parse(case[1])
      assert.is_nil(parts)
      assert(why:find(case[2], 1, true), why)
      assert.equal("url: ", why:sub(1, 5))
      assert.equal("EINVAL", code)
    end)
  end

  it("says nothing of what may be secret", function()
    local _, why = url.parse "http://me:secret@h/ /"
    assert.is_nil(why:find("secret", 1, true))
  end)

  it("takes a name of any length that DNS takes", function()
    assert(url.parse("http://" .. ("a"):rep(63) .. ".com/"))
    assert(url.parse("http://" .. ("a."):rep(126) .. "a/"))
    assert(url.parse("http://" .. ("a."):rep(127) .. "/"))
  end)

  it("takes a reference when it is told to", function()
    local function parts(text) return plain(assert(url.parse(text, { relative = true }))) end
    assert.same({ path = "/a", query = "b" }, parts "/a?b")
    assert.same({ path = "" }, parts "")
    assert.same({ path = "", fragment = "a:b" }, parts "#a:b")
    assert.same({ host = "h", port = 1, path = "/p" }, parts "//h:1/p")
    assert.same({ path = "./a:b" }, parts "./a:b")
    assert.same({ path = "a", query = ":" }, parts "a?:")
    assert.same({ scheme = "http", host = "h", path = "" }, parts "http://h")
    assert.fails("EINVAL", url.parse("1:b", { relative = true }))
    assert.fails("EINVAL", url.parse("http:a", { relative = true }))
  end)

  it("raises on what is no text, and on options that are none", function()
    assert.raises("bad argument #1 (string expected, got nil)", url.parse)
    assert.raises("bad argument #1 (string expected, got table)", url.parse, {})
    assert.raises("bad argument #2 (table of options expected", url.parse, "http://h", "browser")
    assert.raises("unknown option 'base'", url.parse, "http://h", { base = "x" })
    assert.raises("option 'mode' must be", url.parse, "http://h", { mode = "chrome" })
    assert.raises("option 'mode' must be a string", url.parse, "http://h", { mode = 1 })
    assert.raises("option 'relative' is not for", url.parse, "/a", { mode = "browser", relative = true })
  end)
end)

describe("a mistake", function()
  it("is blamed on the caller", function()
    for _, fn in ipairs {
      function() url.parse(1) end, function() url.parse("a", { mode = "x" }) end, function() url.build { host = 1 } end,
      function() url.build { hots = "h" } end, function() url.build { query = { a = print } } end,
      function() url.build({}, { mode = "x" }) end, function() url.resolve(1, "a") end,
      function() url.resolve("http://h", 1) end, function() url.resolve(1, "a", BROWSER) end,
      function() url.normalize(1) end, function() url.origin(1) end, function() url.sameorigin("x:", 1) end,
      function() url.authority(1) end, function() url.target(1) end, function() url.port(1) end,
      function() url.encode("a", "html") end, function() url.decode(1) end, function() url.query({}) end,
      function() url.query("a", { set = "x" }) end, function() url.buildquery { { {}, 1 } } end,
      function() url.toascii(1) end, function() url.tounicode(1) end,
    } do
      local ok, err = pcall(fn)
      assert(not ok and err:find("url_spec.lua", 1, true), err)
    end
  end)
end)

-- ---- as browsers do it ----

-- text, what a browser makes of it (nil: refused), base
local BROWSERS <const> = {
  { "http://example.com", "http://example.com/" }, { "  http://example.com/ \n", "http://example.com/" },
  { "ht\ntp://exa\tmple.com/\ra", "http://example.com/a" }, { "HTTP://EXAMPLE.com/A", "http://example.com/A" },
  { "http:example.com/", "http://example.com/" }, { "http:/example.com/", "http://example.com/" },
  { "http:////example.com/", "http://example.com/" },
  { "http:\\\\example.com\\a\\..\\b?c\\d#e\\f", "http://example.com/b?c\\d#e\\f" },
  { "http:///evil.com/", "http://evil.com/" }, { "http://good.com\\@evil.com/", "http://good.com/@evil.com/" },
  { "http://a@b@c/", "http://a%40b@c/" }, { "http://u:p:q@h/", "http://u:p%3Aq@h/" },
  { "http://@h/", "http://h/" }, { "http://:@h/", "http://h/" }, { "http://u:@h/", "http://u@h/" },
  { "http://:p@h/", "http://:p@h/" },
  { "http://h:80/", "http://h/" }, { "https://h:443/", "https://h/" }, { "http://h:443/", "http://h:443/" },
  { "ws://h:80", "ws://h/" }, { "wss://h:0443", "wss://h/" }, { "ftp://h:21/", "ftp://h/" },
  { "http://h:/", "http://h/" }, { "http://h:0/", "http://h:0/" }, { "foo://h:80/", "foo://h:80/" },
  { "http://127.1/", "http://127.0.0.1/" }, { "http://0x7f.1/", "http://127.0.0.1/" },
  { "http://2130706433/", "http://127.0.0.1/" }, { "http://017700000001/", "http://127.0.0.1/" },
  { "http://0x/", "http://0.0.0.0/" }, { "http://0X7F.0.0.0x1./", "http://127.0.0.1/" },
  { "http://4294967295/", "http://255.255.255.255/" }, { "http://1.2.65535/", "http://1.2.255.255/" },
  { "http://00000000000000000000000000000000000177.1/", "http://127.0.0.1/" },
  { "http://4294967296/" }, { "http://256.0.0.1/" }, { "http://1.2.3.256/" }, { "http://1.2.65536/" },
  { "http://1.2.3.4.5/" }, { "http://09/" }, { "http://0x7g/", "http://0x7g/" }, { "http://1..2/" },
  { "http://a.1/" }, { "http://1.-2/", "http://1.-2/" }, { "http://99999999999999999999999999/" },
  { "http://1../", "http://1../" },
  { "http://[::1]/", "http://[::1]/" }, { "http://[1:0:0:2:0:0:0:3]/", "http://[1:0:0:2::3]/" },
  { "http://[::FFFF:127.0.0.1]/", "http://[::ffff:7f00:1]/" },
  { "http://[1:0:2:3:4:5:6:7]/", "http://[1:0:2:3:4:5:6:7]/" },
  { "http://[fe80::1%25eth0]/" }, { "http://[::1" }, { "http://[::1]a/" }, { "http://[]/" }, { "http://a[::1]/" },
  { "http://ex%41mple.com/", "http://example.com/" }, { "http://127%2e1/", "http://127.0.0.1/" },
  { "http://a%2fb/" }, { "http://a%00b/" }, { "http://a%zzb/" }, { "http://a b/" }, { "http://a<b/" },
  { "http://a^b/" }, { "http://a%b/" }, { "http://a\127b/" },
  { "http://!\"$&'()*+,;=_~`{}-/", "http://!\"$&'()*+,;=_~`{}-/" },
  { "http://" }, { "http://?a" }, { "http://u@/" }, { "http://:80/" }, { "https:///" }, { "http://h:a/" },
  { "http://h:65536/" }, { "http://h:80:80/" }, { "foo://:80/" }, { "foo://u@/" }, { "foo://a b/" },
  { "foo://a[b/" }, { "foo://\u{E4}/", "foo://%C3%A4/" },
  { "http://h/a b\"<>`{}^", "http://h/a%20b%22%3C%3E%60%7B%7D%5E" }, { "http://h/[|]'", "http://h/[|]'" },
  { "http://h/?a b\"<>`{}|^'", "http://h/?a%20b%22%3C%3E`{}|^%27" }, { "foo://h?'", "foo://h?'" },
  { "http://h/#a b\"<>`{}|^'#", "http://h/#a%20b%22%3C%3E%60{}|^'#" },
  { "http://h/%zz%", "http://h/%zz%" }, { "http://h/\xff\u{E4}", "http://h/%EF%BF%BD%C3%A4" },
  { "http://a \"':;=@b@h/", "http://a%20%22':%3B%3D%40b@h/" },
  { "http://h/a/./b/../c", "http://h/a/c" }, { "http://h/%2e/%2E%2e/.%2e/a/%2E", "http://h/a/" },
  { "http://h/../../a", "http://h/a" }, { "http://h/a/..", "http://h/" }, { "http://h//a//../b", "http://h//a/b" },
  { "http://h/...", "http://h/..." },
  { "foo:a b/../c", "foo:a b/../c" }, { "foo:a ?b", "foo:a%20?b" }, { "foo:/a/../b", "foo:/b" },
  { "foo:/..//a", "foo:/.//a" }, { "foo://h", "foo://h" }, { "foo://h/..", "foo://h/" },
  { "foo://H/\\", "foo://H/\\" }, { "foo:", "foo:" }, { "foo:///a", "foo:///a" }, { "mailto:a@b", "mailto:a@b" },
  { "javascript:alert(1)", "javascript:alert(1)" }, { "data:text/plain,a\tb#c d", "data:text/plain,ab#c%20d" },
  { "file:a", "file:///a" }, { "file://", "file:///" }, { "file:///C|/a/../..", "file:///C:/" },
  { "file://C:/a", "file:///C:/a" }, { "file://localhost/a", "file:///a" }, { "file://h/a", "file://h/a" },
  { "file:\\\\h\\a", "file://h/a" }, { "file://h:80/" },
  { "example.com" }, { "//h/" }, { "/a" }, { "" }, { ":a" }, { "1:a" },
  { "b", "http://h/a/b", "http://h/a/c?d#e" }, { "", "http://h/a?d", "http://h/a?d#e" },
  { "?x", "http://h/a?x", "http://h/a?d#e" }, { "#x", "http://h/a?d#x", "http://h/a?d#e" },
  { "/b", "http://u:p@h:8/b", "http://u:p@h:8/a/b" }, { "\\b", "http://h/b", "http://h/a" },
  { "//x/b", "http://x/b", "http://h/a" }, { "\\\\x/b", "http://x/b", "http://h/a" },
  { "/\\x", "http://x/", "http://h/a" }, { "///x", "http://x/", "http://h/a" },
  { "http:b", "http://h/b", "http://h/a" }, { "http:/b", "http://h/b", "http://h/a" },
  { "https:b", "https://b/", "http://h/a" }, { "..", "http://h/", "http://h/a/b" },
  { "b", "foo:/a/b", "foo:/a/c" }, { "b", "foo://h/b", "foo://h" }, { "///x", "foo:///x", "foo://h" },
  { "b", nil, "foo:c" }, { "", nil, "mailto:a" }, { "#b", "mailto:a#b", "mailto:a#c" }, { "?b", nil, "mailto:a" },
  { "a:b", "a:b", "http://h/" },
  { "b", "file:///C:/b", "file:///C:/a" }, { "/b", "file:///C:/b", "file:///C:/a" },
  { "..", "file:///C:/", "file:///C:/a" }, { "D|", "file:///D:", "file:///C:/a" },
  { "//h", "file://h/", "file:///C:/a" }, { "?q", "file:///C:/a?q", "file:///C:/a" },
  { "/b", "file://h/b", "file://h/a" }, { "", "file://h/a", "file://h/a#b" },
}

local function in_browser(case)
  if case[3] then return url.resolve(case[3], case[1], BROWSER) end
  return url.normalize(case[1], BROWSER)
end

local NODE <const> = [[
const text = hex => Buffer.from(hex, "hex").toString("utf8");
for (const line of require("fs").readFileSync(process.argv[1], "latin1").split("\n").slice(0, -1)) {
  const [a, b] = line.slice(1).split(" ");
  try { console.log((b === "-" ? new URL(text(a)) : new URL(text(a), text(b))).href); }
  catch { console.log("fail"); }
}]]

-- What Node's URL makes of each { text, nil, base }: a list of texts, "fail".
local function asked_of_node(cases)
  local input = helper.tmpname()
  local file = assert(io.open(input, "wb"))
  local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
  for _, case in ipairs(cases) do file:write("x", hex(case[1]), " ", case[3] and hex(case[3]) or "-", "\n") end
  file:close()
  local pipe <close> = assert(io.popen(("node -e %s %s"):format(helper.quote(NODE), helper.quote(input))))
  local answers = {}
  for line in pipe:lines() do answers[#answers + 1] = line end
  assert.equal(#cases, #answers)
  return answers
end

local ATOMS <const> = {
  "http:", "https:", "file:", "foo:", "ws:", "/", "//", "\\", "?", "#", "@", ":", "a", "b", "c:", "C|", "example.com",
  "..", ".", "%2e", "%2E%2e", "80", "65536", "00080", "[::1]", "[1:2::3]", "[::ffff:1.2.3.4]", "[", "]", "127.1",
  "0x7f.1", "256", "1.2.3.4", "0x", "09", " ", "\t", "%", "%41", "%zz", "|", "`", "{", "<", "\"", "'", "\1", "&", "=",
  "+", "user:pw@", "..a", "-", "_", "~", "!", ",", ".com", "A",
}
local STARTS <const> = { "", "http://", "https://", "file://", "foo://", "//", "http:", "/" }

local function random_text(random)
  local out = { STARTS[random(#STARTS)] }
  for i = 2, random(8) + 1 do out[i] = ATOMS[random(#ATOMS)] end
  return table.concat(out)
end

describe("url.parse as browsers do it", function()
  it("knows what they make of hard cases", function()
    for _, case in ipairs(BROWSERS) do
      assert.equal(case[2], (in_browser(case)), ("%q from %s"):format(case[1], case[3]))
    end
  end)

  it("gives the same again", function()
    for _, case in ipairs(BROWSERS) do
      if case[2] then
        local parts = assert(url.parse(case[2], BROWSER))
        assert.equal(case[2], tostring(parts))
        assert.equal(case[2], (url.build(parts, BROWSER)))
      end
    end
  end)

  it("gives parts", function()
    assert.same({ scheme = "http", user = "u", password = "p", host = "127.0.0.1", port = 8080, path = "/a",
      query = "b", fragment = "c" }, plain(assert(url.parse("http://u:p@0x7f.1:8080\\a?b#c", BROWSER))))
    assert.same({ scheme = "https", host = "::1", path = "/" }, plain(assert(url.parse("https:[::1]:443", BROWSER))))
    assert.same({ scheme = "data", path = "," }, plain(assert(url.parse("data:,", BROWSER))))
    assert.fails("EINVAL", url.parse("http://[", BROWSER))
  end)

  -- Where a Node is older than today's standard: ^ in a path, and schemes that
  -- browsers do not know, with ".." and with references.
  local function is_debatable(case)
    return case[1]:find "%^" or not (case[3] or case[1]):find "^[hwf][tsi]" or case[1]:find "foo:"
  end

  it("is of one mind with Node", function()
    helper.need_program "node"
    local random = random_source(42)
    local bases = { "http://u:p@h:8/a/b?c#d", "file:///C:/a/b", "https://h/", "file://h/x/y" }
    local cases = {}
    for _, case in ipairs(BROWSERS) do
      if not is_debatable(case) then cases[#cases + 1] = case end
    end
    for _ = 1, 4000 // helper.slow do
      local case = { random_text(random), nil, bases[random(#bases)] }
      if not is_debatable(case) then cases[#cases + 1] = case end
    end
    for i, answer in ipairs(asked_of_node(cases)) do
      local case = cases[i]
      assert.equal(answer, (in_browser(case)) or "fail", ("%q from %s"):format(case[1], case[3]))
    end
  end)
end)

describe("what two programs could read in two ways", function()
  it("is refused, or read as browsers read it", function()
    local random = random_source(7)
    local taken = 0
    for _ = 1, 10000 // helper.slow do
      local text = random_text(random)
      local one = url.parse(text)
      if one and url.origin(one) ~= "null" then
        taken = taken + 1
        local other = assert(url.parse(text, BROWSER), text)
        if one.host:find("::ffff:", 1, true) then one.host = other.host end -- written in another way
        assert.is_true(url.sameorigin(one, other), text)
      end
    end
    assert(taken > 100 // helper.slow, taken)
  end)
end)

-- ---- resolving ----

-- RFC 3986, 5.4
local BASE <const> = "http://a/b/c/d;p?q"
local REFERENCES <const> = {
  ["g:h"] = "g:h", ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/",
  ["/g"] = "http://a/g", ["//g"] = "http://g", ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y",
  ["#s"] = "http://a/b/c/d;p?q#s", ["g#s"] = "http://a/b/c/g#s", ["g?y#s"] = "http://a/b/c/g?y#s",
  [";x"] = "http://a/b/c/;x", ["g;x"] = "http://a/b/c/g;x", ["g;x?y#s"] = "http://a/b/c/g;x?y#s",
  [""] = "http://a/b/c/d;p?q", ["."] = "http://a/b/c/", ["./"] = "http://a/b/c/", [".."] = "http://a/b/",
  ["../"] = "http://a/b/", ["../g"] = "http://a/b/g", ["../.."] = "http://a/", ["../../"] = "http://a/",
  ["../../g"] = "http://a/g",
  -- abnormal ones
  ["../../../g"] = "http://a/g", ["../../../../g"] = "http://a/g", ["/./g"] = "http://a/g", ["/../g"] = "http://a/g",
  ["g."] = "http://a/b/c/g.", [".g"] = "http://a/b/c/.g", ["g.."] = "http://a/b/c/g..", ["..g"] = "http://a/b/c/..g",
  ["./../g"] = "http://a/b/g", ["./g/."] = "http://a/b/c/g/", ["g/./h"] = "http://a/b/c/g/h",
  ["g/../h"] = "http://a/b/c/h", ["g;x=1/./y"] = "http://a/b/c/g;x=1/y", ["g;x=1/../y"] = "http://a/b/c/y",
  ["g?y/./x"] = "http://a/b/c/g?y/./x", ["g?y/../x"] = "http://a/b/c/g?y/../x",
  ["g#s/./x"] = "http://a/b/c/g#s/./x", ["g#s/../x"] = "http://a/b/c/g#s/../x", ["http:g"] = "http:g",
}

describe("url.resolve", function()
  it("does all the examples of RFC 3986", function()
    local base = assert(url.parse(BASE))
    for reference, result in pairs(REFERENCES) do
      assert.equal(result, (url.resolve(BASE, reference)), reference)
      assert.equal(result, (url.resolve(base, reference)), reference)
    end
    assert.equal(BASE, tostring(base))
  end)

  it("does them as browsers do", function()
    for reference, result in pairs(REFERENCES) do
      if reference == "http:g" then result = "http://a/b/c/g" elseif reference == "//g" then result = "http://g/" end
      assert.equal(result, (url.resolve(BASE, reference, BROWSER)), reference)
      assert.equal(result, (url.resolve(assert(url.parse(BASE)), reference, BROWSER)), reference)
    end
  end)

  for _, case in ipairs {
    { "http://h", "a", "http://h/a" }, { "http://h", "", "http://h" }, { "http://h", "?a", "http://h?a" },
    { "http://h", "..", "http://h/" }, { "http://h?x", "#f", "http://h?x#f" }, { "http://h/a#f", "", "http://h/a" },
    { "http://u:p@h:8/a", "b", "http://u:p@h:8/b" }, { "http://u:p@h:8/a", "//x", "http://x" },
    { "http://h/a", "https://x/../b/./c", "https://x/b/c" }, { "http://h/a", "http://X:80/", "http://x:80/" },
    { "foo:/a/b", "..//c", "foo:/.//c" }, { "foo:a/b", "c", "foo:a/c" }, { "foo:a/b", "../c", "foo:/c" },
    { "foo:a", "c", "foo:c" }, { "foo:a", ".", "foo:" }, { "urn:a:b", "c", "urn:c" }, { "urn:a:b", "#c", "urn:a:b#c" },
    { "mailto:a@b", "?subject=c", "mailto:a@b?subject=c" }, { "file:///a/b", "c", "file:///a/c" },
    { "http://h/a/", "./b:c", "http://h/a/b:c" }, { "http://h/a//b", "../c", "http://h/a/c" },
    { "http://h/a", "//[::1]:8/", "http://[::1]:8/" }, { "http://h/a", "\u{E4}", "http://h/%C3%A4" },
  } do
    it(("makes %s of %s and %q"):format(case[3], case[1], case[2]), function()
      assert.equal(case[3], (url.resolve(case[1], case[2])))
    end)
  end

  it("fails on what is no URL or no reference", function()
    for _, case in ipairs {
      { "/a", "b" }, { "", "b" }, { "http:///", "b" }, { BASE, "a b" }, { BASE, "//a:b" }, { BASE, "http://127.1/" },
      { BASE, "1:a" }, { BASE, "/\\evil.com" }, { BASE, "///evil.com" }, { BASE, "//127.1" },
      { BASE, "//a%2fb" }, { BASE, "//a@b@c" }, { BASE, "//:80" }, { BASE, "//" },
    } do
      assert.fails("EINVAL", url.resolve(case[1], case[2]))
    end
    assert.fails("EINVAL", url.resolve(assert(url.parse("/a", { relative = true })), "b"))
    assert.fails("EINVAL", url.resolve("mailto:a", "b", BROWSER))
    assert.fails("EINVAL", url.resolve("b", "a", BROWSER))
    assert.raises("bad argument #1 (URL expected", url.resolve, { scheme = "http" }, "a")
    assert.raises("bad argument #1 (URL expected", url.resolve, nil, "a")
    assert.raises("bad argument #1 (string expected", url.resolve, nil, "a", BROWSER)
    assert.raises("bad argument #2 (string expected", url.resolve, BASE, nil)
    assert.raises("unknown option", url.resolve, BASE, "a", { relative = true })
  end)
end)

describe("url.normalize", function()
  for _, case in ipairs {
    { "HTTP://www.EXAMPLE.com/", "http://www.example.com/" }, { "http://h", "http://h/" },
    { "http://h:80", "http://h/" }, { "http://h:/", "http://h/" }, { "https://h:443/", "https://h/" },
    { "https://h:80/", "https://h:80/" }, { "foo://h:80", "foo://h:80" },
    { "http://h/%7efoo/%7e", "http://h/~foo/~" }, { "http://h/a%2fb", "http://h/a%2Fb" },
    { "http://h/%41%2d", "http://h/A-" }, { "http://h/a/./b/../../../c", "http://h/c" },
    { "http://h/a/%2e%2E/b", "http://h/b" }, { "http://h/a/..", "http://h/" }, { "http://h?%7e#%7E", "http://h/?~#~" },
    { "http://%75:%70@h", "http://u:p@h/" }, { "foo://A%62%2f/", "foo://ab%2F/" },
    { "http://[0:0::1]/", "http://[::1]/" }, { "x:/a/..//b", "x:/.//b" }, { "urn:A:%41/..", "urn:A:A/.." },
    { "eXAMPLE://a/./b/../b/%63/%7bfoo%7d", "example://a/b/c/%7Bfoo%7D" },
    { "http://h/%E4%f6", "http://h/%E4%F6" }, { "http://h/?", "http://h/?" },
  } do
    it("makes " .. case[2] .. " of " .. case[1], function()
      assert.equal(case[2], (url.normalize(case[1])))
      assert.equal(case[2], (url.normalize(case[2])))
    end)
  end

  it("takes references and browsers' URLs by option", function()
    assert.fails("EINVAL", url.normalize "/a")
    assert.equal("/b?~", (url.normalize("/a/../b?%7e", { relative = true })))
    assert.equal("http://h/", (url.normalize("http:h", BROWSER)))
    assert.raises("bad argument #1", url.normalize)
  end)
end)

-- ---- building ----

local HTTP <const> = "http"

describe("url.build", function()
  for _, case in ipairs {
    { "http://h", { scheme = HTTP, host = "h" } },
    { "http://h:80/A", { scheme = "HTTP", host = "H", port = 80, path = "/A" } },
    { "http://[::1]:8", { scheme = HTTP, host = "::1", port = 8 } },
    { "http://[::1]", { scheme = HTTP, host = "[::1]" } },
    { "http://[fe80::1%25eth0]", { scheme = HTTP, host = "fe80::1%eth0" } },
    { "http://[fe80::1%25eth0]", { scheme = HTTP, host = "[fe80::1%25eth0]" } },
    { "http://u:@h", { scheme = HTTP, user = "u", password = "", host = "h" } },
    { "http://h/a?a=1&a=2&b=c+d%26", { scheme = HTTP, host = "h", path = "/a", query = { b = "c d&", a = { 1, 2 } } } },
    { "http://h?z=1&a=true#f", { scheme = HTTP, host = "h", query = { { "z", "1" }, { "a", true } }, fragment = "f" } },
    { "http://h?", { scheme = HTTP, host = "h", query = {} } },
    { "http://h/%C3%A4", { scheme = HTTP, host = "h", path = "/\u{E4}" } },
    { "file:///a", { scheme = "file", host = "", path = "/a" } }, { "mailto:a@b", { scheme = "mailto", path = "a@b" } },
    { "x:/.//a", { scheme = "x", path = "//a" } }, { "x:////a", { scheme = "x", host = "", path = "//a" } },
    { "/a?b", { path = "/a", query = "b" } }, { "./a:b", { path = "a:b" } }, { "/.//a", { path = "//a" } },
    { "//h/a", { host = "h", path = "/a" } }, { "", {} },
  } do
    it("makes " .. case[1], function()
      assert.equal(case[1], (url.build(case[2])))
      assert.equal(case[1], tostring(assert(url.parse(case[1], { relative = true }))))
    end)
  end

  it("lets no part become another", function()
    for _, parts in ipairs {
      { host = "h/x" }, { host = "h?x" }, { host = "u@h" }, { host = "h:80" }, { host = "h#x" }, { host = "a b" },
      { host = "" }, { path = "/a" }, { host = "127.1" }, { host = "[::1" }, { host = "[::1]:80" }, { host = "::1]" },
      { host = "fe80::1%" }, { host = "fe80::1%a/b" }, { host = "h\r\n" }, { scheme = "x", host = "h/x" },
      { scheme = "x", host = "a%" }, { scheme = "x", host = "u@h" }, { scheme = "ht tp", host = "h" },
      { scheme = "", host = "h" }, { scheme = "a:b", host = "h" }, { scheme = "1", host = "h" },
      { host = "h", user = "a:b" }, { host = "h", user = "a@b" }, { host = "h", user = "a/b" },
      { host = "h", password = "a" }, { host = "h", user = "", password = "a@b" }, { host = "h", path = "a" },
      { host = "h", path = "/a?b" }, { host = "h", path = "/a#b" }, { host = "h", path = "/a b" },
      { host = "h", path = "/%" }, { host = "h", path = "/\n" }, { host = "h", query = "a#b" },
      { host = "h", query = "a b" }, { host = "h", query = "\xff" }, { host = "h", fragment = "a#b" },
      { scheme = "x", user = "u" }, { scheme = "x", port = 1 },
    } do
      parts.scheme = parts.scheme or HTTP
      assert.fails("EINVAL", url.build(parts))
    end
  end)

  it("encodes what cannot stand there, for browsers", function()
    local function build(parts) return url.build(parts, BROWSER) end
    assert.equal("http://a%3Ab:c%2F@h/a%20b%3Fc%23d?e%23f#g%20h", (build {
      scheme = HTTP, user = "a:b", password = "c/", host = "H", port = 80, path = "/a b?c#d", query = "e#f",
      fragment = "g h" }))
    assert.equal("http://127.0.0.1/", (build { scheme = HTTP, host = "127.1" }))
    assert.equal("http://[::1]:81/", (build { scheme = HTTP, host = "::1", port = 81 }))
    assert.equal("foo:a b%3F", (build { scheme = "foo", path = "a b?" }))
    for _, host in ipairs { "h/x", "h:80", "u@h", "h?x", "h#x", "a\\b", "[::1]:80", "" } do
      assert.fails("EINVAL", build { scheme = HTTP, host = host })
    end
    assert.fails("EINVAL", build { host = "h" })
  end)

  it("raises on what is no part", function()
    assert.raises("unknown part 'hots'", url.build, { scheme = HTTP, hots = "h" })
    assert.raises("part 'host' must be a string, got boolean", url.build, { host = true })
    assert.raises("part 'port' must be an integer, got string", url.build, { host = "h", port = "80" })
    assert.raises("part 'port' must be an integer, got float", url.build, { host = "h", port = 80.5 })
    assert.raises("part 'port' must be in [0, 65535]", url.build, { host = "h", port = 70000 })
    assert.raises("part 'port' must be in [0, 65535]", url.build, { host = "h", port = -1 })
    assert.raises("part 'path' must be a string, got integer", url.build, { path = 1 })
    assert.raises("bad argument #1 (table expected", url.build, "http://h")
    assert.raises("must be a string, a number or a boolean", url.build, { query = { a = { {} } } })
    assert.raises("cannot be mixed", url.build, { query = { { "a", "b" }, a = "b" } })
  end)
end)

-- ---- percent coding, queries ----

describe("percent coding", function()
  local every = {}
  for i = 0, 255 do every[#every + 1] = string.char(i) end
  local all <const> = table.concat(every)

  it("comes back, whatever the bytes and the set", function()
    for _, set in ipairs { "component", "path", "query", "form" } do
      local encoded = url.encode(all, set)
      assert.is_nil(encoded:find "[^\x21-\x7e]")
      assert.equal(all, (url.decode(encoded, set)))
    end
    assert.equal(all, (url.decode(url.encode(all))))
  end)

  it("lets stand what may", function()
    assert.equal("a-b._~%2F%3F%23%26%3D%2B%20%25%21%27%28%29%2A%C3%A4", url.encode "a-b._~/?#&=+ %!'()*\u{E4}")
    assert.equal("/a:@!$&'()*+,;=%3F%23%20%5B", url.encode("/a:@!$&'()*+,;=?# [", "path"))
    assert.equal("/a:@!$&'()*+,;=?%23%20%5B", url.encode("/a:@!$&'()*+,;=?# [", "query"))
    assert.equal("a+b%2Bc*-._%7E%2F", url.encode("a b+c*-._~/", "form"))
  end)

  it("refuses triplets that are none", function()
    for _, text in ipairs { "%", "a%", "%4", "%zz", "%4z", "%%41", "%41%" } do
      assert.fails("EINVAL", url.decode(text))
      assert.fails("EINVAL", url.decode(text, "form"))
    end
    assert.equal("a+b c", (url.decode "a+b%20c"))
    assert.equal("a b+c", (url.decode("a+b%2bc", "form")))
    assert.equal("\0\255%", (url.decode "%00%fF%25"))
    assert.equal("%41", (url.decode "%2541")) -- once, not twice
  end)

  it("raises on other sets", function()
    assert.raises('bad argument #2 (set expected, "component"', url.encode, "a", "html")
    assert.raises("bad argument #2", url.decode, "a", {})
    assert.raises("bad argument #1", url.encode)
    assert.raises("bad argument #1", url.decode, 1)
  end)
end)

describe("url.query", function()
  it("is an ordered list in which names find their first value", function()
    local query = url.query "a=1&b=two+words&a=%33&c&=d&e=f=g&&%26=%3D"
    assert.equal(7, #query)
    assert.same({ { "a", "1" }, { "b", "two words" }, { "a", "3" }, { "c", "" }, { "", "d" }, { "e", "f=g" },
      { "&", "=" } }, plain(query))
    assert.same({ "1", "two words", "", "d", "=" }, { query.a, query.b, query.c, query[""], query["&"] })
    assert.is_nil(query.d)
    assert.is_nil(query[99])
    assert.is_nil(query[1.5])
  end)

  it("can be changed by name, and written again", function()
    local query = url.query "a=1&b=2&a=3&c=4"
    query.a = "x y"
    query.d = 5
    query.b = nil
    query.missing = nil
    query[#query + 1] = { "a", "again" }
    assert.equal("a=x+y&c=4&d=5&a=again", url.buildquery(query))
    assert.equal("http://h?a=x+y&c=4&d=5&a=again", (url.build { scheme = HTTP, host = "h", query = query }))
    query.a, query.c, query.d = nil, nil, nil
    assert.equal(0, #query)
    assert.equal("", url.buildquery(query))
  end)

  it("has names that are a table's or a number's", function()
    local query = url.query "1=one&__index=x&n=2"
    assert.same({ "one", "x", "2" }, { query["1"], query.__index, query.n })
    assert.same({ "1", "one" }, query[1])
  end)

  it("takes what cannot be decoded as it is, as browsers do", function()
    local query = url.query "%=%zz&a=%4&b=%ff"
    assert.same({ "%zz", "%4", "\xff" }, { query["%"], query.a, query.b })
  end)

  it("leaves plus alone outside forms", function()
    assert.equal("a+b", url.query("x=a+b", { set = "query" }).x)
    assert.equal("a b", url.query("x=a+b", { set = "form" }).x)
  end)

  it("has a limit", function()
    assert.fails("EMSGSIZE", url.query(("a=b&"):rep(1001)))
    assert.equal(1000, #url.query(("a=b&"):rep(1000)))
    assert.fails("EMSGSIZE", url.query("a&b&c", { max = 2 }))
    assert.equal(2000, #url.query(("a&"):rep(2000), { max = 2000 }))
  end)

  it("is empty for nothing", function()
    assert.equal(0, #url.query(nil))
    assert.equal(0, #url.query "")
    assert.equal(0, #url.query "&&&")
    assert.is_nil(url.query "".a)
  end)

  it("raises on what is none", function()
    assert.raises("bad argument #1 (string expected, got table)", url.query, {})
    assert.raises("unknown option 'plus'", url.query, "a", { plus = true })
    assert.raises("option 'set' must be", url.query, "a", { set = "html" })
    assert.raises("option 'max' must be a positive integer", url.query, "a", { max = 0 })
  end)
end)

describe("url.buildquery", function()
  it("takes a list of pairs, or a table by names", function()
    assert.equal("b=2&a=1&b=3", url.buildquery { { "b", 2 }, { "a", "1" }, { "b", 3 } })
    assert.equal("a=1&b=x+y&c=1&c=2", url.buildquery { c = { 1, 2 }, a = 1, b = "x y" })
    assert.equal("", url.buildquery {})
    assert.equal("a=", url.buildquery { a = "" })
    assert.equal("b=false&%C3%A4=%26%3D%2B%23", url.buildquery { ["\u{E4}"] = "&=+#", b = false })
  end)

  it("writes a space as %20 outside forms", function()
    for _, set in ipairs { "query", "component", "path" } do
      assert.equal("a=b%20c%26%3D%2B", url.buildquery({ a = "b c&=+" }, { set = set }))
    end
  end)

  it("comes back", function()
    local list = { { "a", "\0\255 +&=%" }, { "", "" }, { "a", "b" }, { "\r\n", "\u{20AC}" } }
    for _, set in ipairs { "form", "query" } do
      local text = url.buildquery(list, { set = set })
      assert.same(list, plain(url.query(text, { set = set })))
      assert(url.parse("http://h/?" .. text))
    end
  end)

  it("raises on what is neither", function()
    assert.raises("bad argument #1 (table expected", url.buildquery, "a=b")
    assert.raises("item 1 must be a pair", url.buildquery, { "a" })
    assert.raises("a name must be a string", url.buildquery, { { nil, "a" } })
    assert.raises("the value of 'a' must be", url.buildquery, { { "a" } })
    assert.raises("the value of 'a' must be", url.buildquery, { a = print })
    assert.raises("cannot be mixed", url.buildquery, { { "a", "b" }, c = "d" })
    assert.raises("cannot be mixed", url.buildquery, { [true] = "d" })
  end)
end)

-- ---- origins, requests ----

describe("origins", function()
  it("are scheme, host and port", function()
    for text, origin in pairs {
      ["http://example.com/a?b#c"] = "http://example.com", ["HTTP://u:p@EXAMPLE.com:80"] = "http://example.com",
      ["https://h:8443/"] = "https://h:8443", ["wss://h:443"] = "wss://h", ["http://[::1]:8/"] = "http://[::1]:8",
      ["http://[0::1]"] = "http://[::1]", ["file:///a"] = "null", ["mailto:a@b"] = "null", ["data:,"] = "null",
      ["x://h"] = "null",
    } do
      assert.equal(origin, (url.origin(text)))
      assert.equal(origin, (url.origin(assert(url.parse(text)))))
    end
    assert.fails("EINVAL", url.origin "/a")
    assert.raises("bad argument #1 (URL expected", url.origin, nil)
  end)

  it("are the same, or not", function()
    for _, case in ipairs {
      { "http://h/a", "http://H:80/b", true }, { "http://h", "https://h", false }, { "http://h", "http://h:81", false },
      { "http://h", "http://x.h", false }, { "http://h", "http://h.", false }, { "http://u@h", "http://v@h", true },
      { "http://[::1]", "http://[0:0::1]", true }, { "data:,", "data:,", false }, { "file:///a", "file:///a", false },
      { "http://h", "ws://h", false }, { "http://h@evil.com", "http://h", false },
    } do
      assert.equal(case[3], (url.sameorigin(case[1], case[2])), case[1] .. " " .. case[2])
      assert.equal(case[3], (url.sameorigin(assert(url.parse(case[2])), case[1])))
    end
    assert.fails("EINVAL", url.sameorigin("http://h", ""))
    assert.fails("EINVAL", url.sameorigin("", "http://h"))
    assert.raises("bad argument #2 (URL expected", url.sameorigin, "http://h", 1)
  end)
end)

describe("what a request is made of", function()
  it("comes from a URL", function()
    for _, case in ipairs {
      { "http://h", "h", "/", 80 }, { "https://u:p@h:443?a#b", "h", "/?a", 443 },
      { "https://h:8443/a/b?c", "h:8443", "/a/b?c", 8443 },
      { "http://[fe80::1%25eth0]:81/%7e?", "[fe80::1]:81", "/%7e?", 81 }, { "ws://h/c", "h", "/c", 80 },
      { "x://h:9", "h:9", "/", 9 },
    } do
      for _, u in ipairs { case[1], assert(url.parse(case[1])) } do
        assert.same({ case[2], case[3], case[4] }, { (url.authority(u)), (url.target(u)), (url.port(u)) })
      end
    end
    assert.fails("EINVAL", url.authority "mailto:a@b")
    assert.fails("EINVAL", url.port "x://h")
    for _, name in ipairs { "authority", "target", "port" } do
      assert.fails("EINVAL", url[name] "")
      assert.raises("bad argument #1 (URL expected", url[name], {})
    end
  end)
end)

-- ---- names ----

describe("names beyond ASCII", function()
  it("become xn--, and back", function()
    need_idn()
    for text, ascii in pairs {
      ["b\u{FC}cher.example"] = "xn--bcher-kva.example", ["B\u{DC}CHER.Example"] = "xn--bcher-kva.example",
      ["fa\u{DF}.de"] = "xn--fa-hia.de", ["\u{5E9}\u{5DC}\u{5D5}\u{5DD}.com"] = "xn--9dbne9b.com",
      ["\u{E4}\u{3002}de"] = "xn--4ca.de", ["\u{2167}.com"] = "viii.com", ["_x.\u{E4}.de"] = "_x.xn--4ca.de",
      ["a\u{308}.de"] = "xn--4ca.de",
    } do
      assert.equal(ascii, (url.toascii(text)))
      assert.equal(ascii, assert(url.parse("http://" .. text .. "/")).host)
      assert.equal(ascii, assert(url.parse("http://" .. text:gsub("[\x80-\xff]", url.encode) .. "/")).host)
      assert.equal(ascii, assert(url.parse("http://" .. text .. "/", BROWSER)).host)
      assert.equal(ascii, assert(url.parse(assert(url.build { scheme = HTTP, host = text }))).host)
    end
    assert.equal("b\u{FC}cher.example", (url.tounicode "xn--bcher-kva.example"))
    assert.equal("b\u{FC}cher.example", (url.tounicode "XN--bcher-kva.example"))
  end)

  it("are refused where they cannot be", function()
    need_idn()
    for _, text in ipairs {
      "c\u{2100}.com", "\u{FF11}\u{FF12}\u{FF17}.\u{FF10}.\u{FF10}.\u{FF11}", "\u{E4}.1", "\u{2024}\u{2024}",
      "a\u{3002}\u{3002}\u{E4}", ("\u{E4}"):rep(64) .. ".de", ("\u{E4}"):rep(2000), "\u{AD}", "\u{FEFF}",
      "\u{301}a.de", "a\u{200D}b.de", "\u{E4}\u{FF0F}b.de", "\u{E4}\u{FF20}b.de", "\u{E4}\u{FF1A}80",
      "\u{E4}\u{FF05}41.de",
    } do
      assert.fails("EINVAL", url.parse("http://" .. text .. "/"))
    end
    assert.equal("127.0.0.1", url.parse("http://\u{FF11}\u{FF12}\u{FF17}.1/", BROWSER).host)
    assert.fails("EINVAL", url.parse("http://c\u{2100}.com/", BROWSER))
    assert.fails("EINVAL", url.parse "http://%ff.com/")
    assert.fails("EINVAL", url.toascii "\xff")
    assert.fails("EINVAL", url.toascii "\u{E4}\0b")
    assert.fails("EINVAL", url.tounicode "xn--\xff")
  end)

  it("that are ASCII need nothing", function()
    local loaded, cpath = package.loaded["neap.idncore"], package.cpath
    local guard <close> = helper.defer(function() package.loaded["neap.idncore"], package.cpath = loaded, cpath end)
    package.loaded["neap.idncore"], package.cpath = nil, ""
    assert.equal("xn--bcher-kva.example", assert(url.parse "http://XN--bcher-kva.example/").host)
    assert.equal("example", (url.toascii "EXAMPLE"))
    assert.equal("example", (url.tounicode "example"))
    for _, call in ipairs {
      { url.parse, "http://b\u{FC}cher.example/" }, { url.parse, "http://b\u{FC}cher.example/", BROWSER },
      { url.parse, "http://b%C3%BCcher.example/" }, { url.build, { scheme = HTTP, host = "b\u{FC}cher" } },
      { url.toascii, "b\u{FC}cher" }, { url.tounicode, "xn--bcher-kva" }, { url.resolve, BASE, "//b\u{FC}cher" },
    } do
      local value, why, code = call[1](table.unpack(call, 2))
      assert.same({ nil, "ENOTSUP" }, { value, code })
      assert(why:find("libidn2", 1, true), why)
    end
    assert.equal("b%C3%BCcher", assert(url.parse "redis://b\u{FC}cher/").host)
  end)
end)

-- ---- anything ----

describe("any bytes", function()
  -- Never raises; what was taken comes back the same.
  local function try(text)
    for _, options in ipairs { {}, { relative = true }, BROWSER } do
      local parts, why, code = url.parse(text, options)
      if parts then
        local again = tostring(parts)
        assert.same(plain(parts), plain(assert(url.parse(again, options))))
        assert.equal(again, (url.build(parts, { mode = options.mode })))
        local normal = assert(url.normalize(text, options))
        assert.equal(normal, (url.normalize(normal, options)))
        assert(url.target(parts))
      else
        assert(type(why) == "string" and not why:find "%c", why)
        assert(code == "EINVAL" or code == "ENOTSUP", code)
      end
    end
    for _, base in ipairs { BASE, "foo:/a/b", "urn:x", "foo://h" } do
      local result = url.resolve(base, text, BROWSER)
      if result then assert.equal(result, (url.normalize(result, BROWSER))) end
      url.resolve(base, text)
    end
    url.query(text)
    url.decode(text)
  end

  local SEEDS <const> = {
    "https://u:p%40@www.example.com:8443/a/./b/../c%2F?x=1&y=%20#frag", "http://[fe80::1%25eth0]:80/a", "foo:/.//a?b",
    "file:///C:/a/../b", "http://b\u{FC}cher.example/\u{E4}?\u{20AC}", "../a/b?c#d",
  }

  it("at every split", function()
    for _, text in ipairs(SEEDS) do
      for i = 0, #text, helper.slow do
        try(text:sub(1, i))
        try(text:sub(i + 1))
      end
    end
  end)

  it("with each byte replaced, taken out, or put in", function()
    local random = random_source(11)
    local bytes = { "\0", "\n", " ", "%", "/", ":", "@", "[", "]", "?", "#", "\\", "\xff", ".", "0", "x", "\u{E4}" }
    for _, text in ipairs(SEEDS) do
      for i = 1, #text, helper.slow do
        local byte = bytes[random(#bytes)]
        try(text:sub(1, i - 1) .. byte .. text:sub(i + 1))
        try(text:sub(1, i - 1) .. text:sub(i + 1))
        try(text:sub(1, i - 1) .. byte .. text:sub(i))
        try(text:sub(1, i - 1) .. string.char(random(256) - 1) .. text:sub(i))
      end
    end
  end)

  it("in random order", function()
    local random = random_source(13)
    for _ = 1, 1000 // helper.slow do try(random_text(random)) end
  end)

  it("take time that grows no faster than they do", function()
    local n <const> = 100000 // helper.slow -- what grows with the square takes minutes
    assert.takes(0, 5, function()
      for _, text in ipairs {
        ("a"):rep(n), "http://" .. ("a"):rep(n), "http://" .. ("a."):rep(n), "http://" .. ("1."):rep(n),
        "http://" .. ("0"):rep(n), "http://[" .. ("1:"):rep(n) .. "]", "http://" .. ("@"):rep(n),
        "http://h/" .. ("../"):rep(n), "http://h/" .. ("%41"):rep(n), "http://h/" .. (" "):rep(n) .. "x",
        (" "):rep(n) .. "x" .. (" "):rep(n) .. "y", "http://h/" .. ("\xff"):rep(n), "http://" .. ("\u{E4}"):rep(n),
        "http://u:" .. (":"):rep(n) .. "@h", "x:" .. ("/"):rep(n), "http://h:" .. ("0"):rep(n),
        "http://" .. ("a"):rep(n) .. "." .. ("a"):rep(n) .. "/",
      } do
        url.parse(text)
        url.parse(text, { relative = true })
        url.parse(text, BROWSER)
        url.normalize(text)
        url.resolve(BASE, text)
      end
    end)
  end)
end)
