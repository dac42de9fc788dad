--- Cookies: Set-Cookie read as user agents do and written as servers should,
-- and the jar.
local helper <const> = require "support.helper"
local setcookie <const> = require "neap.http.setcookie"
local cookies <const> = require "neap.http.cookies"
local date <const> = require "neap.http.date"

local NOW <const> = 1000000000 -- Sun, 09 Sep 2001 01:46:40 GMT

-- ---- Set-Cookie ----

describe("setcookie.parse", function()
  it("takes names and values as user agents do", function()
    for _, row in ipairs {
      { "a=b", "a", "b" }, { " a = b ;", "a", "b" }, { "a=b=c", "a", "b=c" }, { "a=", "a", "" }, { "b", "", "b" },
      { "=b", "", "b" }, { "a=\"b c\"", "a", "\"b c\"" }, { "a=b\tc", "a", "b\tc" }, { "a,b=c,d", "a,b", "c,d" },
      { "a=b; ; ;;=;x=y", "a", "b" }, { "a=\xff", "a", "\xff" }, { "a b=c", "a b", "c" }, { "\ta\t=\tb\t", "a", "b" },
    } do
      local cookie = assert(setcookie.parse(row[1]))
      assert.equal(row[2], cookie.name, row[1])
      assert.equal(row[3], cookie.value, row[1])
    end
    for _, text in ipairs { "", "=", " ; Path=/", "a=b\0", "a=\x01", "a=b;\x7f", "a=\r\n", "a=b; Path=/\n" } do
      assert.fails("EBADMSG", setcookie.parse(text))
    end
    assert.is_truthy(setcookie.parse("a=" .. ("x"):rep(4095)))
    assert.fails("EMSGSIZE", setcookie.parse("a=" .. ("x"):rep(4096)))
  end)

  it("takes attributes, the last of each", function()
    for _, row in ipairs {
      { "Path=/x", "path", "/x" }, { "path=x", "path", nil }, { "Path=/x; Path", "path", nil },
      { "Path=/a; PATH=/b", "path", "/b" },
      { "Domain=.Example.COM", "domain", "example.com" }, { "Domain=a; Domain=b", "domain", "b" },
      { "Domain", "domain", "" },
      { "Domain=..a", "domain", ".a" }, { "Secure", "secure", true }, { "Secure=no", "secure", true },
      { "secure ", "secure", true },
      { "HttpOnly", "httponly", true }, { "Max-Age=60", "max_age", 60 }, { "Max-Age=-5", "max_age", 0 },
      { "Max-Age=0", "max_age", 0 },
      { "Max-Age=5x", "max_age", nil }, { "Max-Age=+5", "max_age", nil }, { "Max-Age=", "max_age", nil },
      { "Max-Age=1.5", "max_age", nil },
      { "Max-Age=60; Max-Age=x", "max_age", 60 }, { "Max-Age=" .. ("9"):rep(30), "max_age", 1000000000000 },
      { "SameSite=lax", "samesite", "Lax" }, { "SameSite=Strict", "samesite", "Strict" },
      { "SameSite=none", "samesite", "None" },
      { "SameSite=other", "samesite", nil }, { "SameSite=Lax; SameSite=x", "samesite", nil },
      { "Unknown=1", "path", nil },
      { "Expires=Sun, 06 Nov 1994 08:49:37 GMT", "expires", 784111777 }, { "Expires=never", "expires", nil },
      { "Path=/" .. ("x"):rep(1023), "path", "/" .. ("x"):rep(1023) }, { "Path=/" .. ("x"):rep(1024), "path", nil },
    } do
      assert.equal(row[3], assert(setcookie.parse("a=b; " .. row[1]))[row[2]], row[1])
    end
  end)

  it("reads dates in whatever form", function()
    local at <const> = 784111777
    for _, row in ipairs {
      { "Sun, 06 Nov 1994 08:49:37 GMT", at }, { "Sunday, 06-Nov-94 08:49:37 GMT", at },
      { "Sun Nov  6 08:49:37 1994", at },
      { "6 nov 94 8:49:37", at }, { "1994 Nov 6 08:49:37", at },
      { "nov;6;1994;08:49:37", at }, { "06 November 1994 08:49:37 PST", at },
      { "08:49:37 6 Nov 1994 7 Dec 1999 1:1:1", at },
      { "6Nov 1994 08:49:37", nil }, { "6th Nov 1994 08:49:37xyz", at }, { "06 Nov 1994 08:49", nil },
      { "06 Nov 08:49:37", nil },
      { "31 Feb 2000 00:00:00", nil }, { "29 Feb 2000 00:00:00", 951782400 }, { "29 Feb 1900 00:00:00", nil },
      { "0 Nov 1994 08:49:37", nil },
      { "06 Nov 1600 08:49:37", nil }, { "06 Nov 1601 08:49:37", -11617744223 }, { "06 Nov 1994 24:00:00", nil },
      { "06 Nov 1994 00:60:00", nil }, { "06 Nov 1994 00:00:60", nil }, { "1 Jan 69 0:0:0", 3124224000 },
      { "1 Jan 70 0:0:0", 0 },
      { "1 Jan 00 0:0:0", 946684800 }, { "06 Nov 19945 08:49:37", nil }, { "", nil }, { "06 Nov 1994 008:49:37", nil },
    } do
      assert.equal(row[2], setcookie.date(row[1]), row[1])
    end
  end)

  it("never raises", function()
    local words <const> = {
      "a", "=", ";", " ", "Path", "Max-Age", "Expires", "Domain", "/", "1", ":", "Nov", "\xff", "\t", "%", "Secure",
    }
    for _ = 1, 3000 // helper.slow do
      local out = {}
      for i = 1, math.random(1, 25) do out[i] = words[math.random(#words)] end
      local cookie, why, code = setcookie.parse(table.concat(out))
      assert.is_truthy(cookie or why and code)
      if cookie then cookies.jar():set("http://example.com/", table.concat(out), NOW) end
      setcookie.date(table.concat(out))
      setcookie.cookies(table.concat(out))
    end
  end)
end)

describe("setcookie.build", function()
  it("writes what it reads", function()
    assert.equal("a=b", setcookie.build("a", "b"))
    local text <const> = setcookie.build("__Host-id", "x", {
      path = "/", secure = true, httponly = true, samesite = "lax", max_age = 60, expires = 784111777,
    })
    assert.equal("__Host-id=x; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60; Path=/; Secure; HttpOnly; "
      .. "SameSite=Lax", text)
    local cookie <const> = setcookie.parse(text)
    assert.equal(784111777, cookie.expires)
    assert.equal("Lax", cookie.samesite)
  end)

  it("raises on what would not be read so", function()
    for _, row in ipairs {
      { "a b", "x", nil, "token" }, { "", "x", nil, "token" }, { "a\r\n", "x", nil, "token" },
      { "a", "b;c", nil, "value" },
      { "a", "b\r\nX: y", nil, "value" }, { "a", "b c", nil, "value" }, { "a", "b,c", nil, "value" },
      { "a", 'b"', nil, "value" },
      { "a", "b\0", nil, "value" }, { "a", "\xff", nil, "value" }, { "a", "b\\", nil, "value" },
      { "a", 1, nil, "value" },
      { "a", "b", { path = "/;x" }, "'path'" }, { "a", "b", { path = "x" }, "slash" },
      { "a", "b", { domain = "a\n" }, "'domain'" },
      { "a", "b", { samesite = "no" }, "samesite" }, { "a", "b", { samesite = "none" }, "secure" },
      { "a", "b", { max_age = 1.5 }, "max_age" },
      { "__Secure-a", "b", {}, "secure" }, { "__Host-a", "b", { secure = true }, "__Host-" },
      { "a", "b", { pth = "/" }, "pth" },
      { "__host-a", "b", { secure = true, path = "/", domain = "x" }, "__Host-" },
      { "a", ("b"):rep(4096), nil, "4096" },
      { "a", "b", { secure = 1 }, "'secure'" },
    } do
      assert.raises(row[4], setcookie.build, row[1], row[2], row[3])
    end
  end)
end)

describe("setcookie.cookies", function()
  it("gives names and values, the first of each", function()
    local by_name, list = setcookie.cookies 'a=1; b="two"; a=3;c=;  d = x=y ;; =z; e'
    assert.same({ a = "1", b = "two", c = "", d = "x=y" }, by_name)
    assert.equal(5, #list)
    assert.same({}, (setcookie.cookies(nil)))
  end)
end)

-- ---- the jar ----

describe("a cookie jar", function()
  local function set(jar, url, ...)
    for _, field in ipairs { ... } do assert(jar:set(url, field, NOW)) end
    return jar
  end

  local function new(...) return set(cookies.jar(), ...) end

  it("sends to whom it belongs", function()
    for _, row in ipairs { -- set by, Set-Cookie, asked for, whether it is sent
      { "http://example.com/", "a=b", "http://example.com/", true },
      { "http://example.com/", "a=b", "http://EXAMPLE.com:8080/x/y", true },
      { "http://example.com/", "a=b", "http://www.example.com/", false },
      { "http://example.com/", "a=b", "https://example.com/", true },
      { "http://www.example.com/", "a=b; Domain=example.com", "http://example.com/", true },
      { "http://www.example.com/", "a=b; Domain=.example.com", "http://a.b.example.com/", true },
      { "http://example.com/", "a=b; Domain=example.com", "http://badexample.com/", false },
      { "http://example.com/", "a=b; Domain=", "http://www.example.com/", false },
      { "https://example.com/", "a=b; Secure", "http://example.com/", false },
      { "https://example.com/", "a=b; Secure", "wss://example.com/", true },
      { "http://example.com/x/y", "a=b", "http://example.com/x/", true },
      { "http://example.com/x/y", "a=b", "http://example.com/x", true },
      { "http://example.com/x/y", "a=b", "http://example.com/xy", false },
      { "http://example.com/x/y", "a=b", "http://example.com/", false },
      { "http://example.com/x", "a=b", "http://example.com/", true },
      { "http://example.com", "a=b", "http://example.com", true },
      { "http://example.com/x", "a=b; Path=/x", "http://example.com/x/z", true },
      { "http://example.com/x", "a=b; Path=/x", "http://example.com/x?q", true },
      { "http://example.com/x", "a=b; Path=/x/", "http://example.com/x", false },
      { "http://example.com/x/y", "a=b; Path=z", "http://example.com/x/q", true },
      { "http://localhost/", "a=b", "http://localhost/", true },
      { "http://localhost/", "a=b; Domain=localhost", "http://localhost/", true },
      { "http://127.0.0.1/", "a=b", "http://127.0.0.1/", true },
      { "http://127.0.0.1/", "a=b; Domain=127.0.0.1", "http://127.0.0.1/", true },
      { "http://[::1]/", "a=b", "http://[::1]:80/", true },
      { "http://[::1]/", "a=b; Domain=::1", "http://[::1]/", true },
    } do
      local jar <const> = new(row[1], row[2])
      assert.equal(row[4] and "a=b" or nil, (jar:header(row[3], NOW)), table.concat(row, " ", 1, 3))
    end
  end)

  it("refuses what a host may not set", function()
    for _, row in ipairs {
      { "http://example.com/", "a=b; Domain=other.com" }, { "http://example.com/", "a=b; Domain=www.example.com" },
      { "http://example.com/", "a=b; Domain=com" }, { "http://example.com/", "a=b; Domain=.com" },
      { "http://example.com/", "a=b; Domain=..example.com" }, { "http://example.com/", "a=b; Secure" },
      { "http://10.0.0.1/", "a=b; Domain=0.0.1" }, { "http://10.0.0.1/", "a=b; Domain=.0.1" },
      { "https://example.com/", "__Secure-a=b" }, { "http://example.com/", "__Secure-a=b; Secure" },
      { "https://example.com/", "__Host-a=b; Path=/" }, { "https://example.com/", "__Host-a=b; Secure" },
      { "https://example.com/", "__host-a=b; Secure; Path=/; Domain=example.com" },
      { "https://example.com/", "__Host-a=b; Secure; Path=/x" }, { "https://example.com/", "__Host-a; Secure; Path=/" },
      { "https://example.com/", "=__Secure-a; Secure" },
    } do
      local jar <const> = cookies.jar()
      assert.fails("EPERM", jar:set(row[1], row[2], NOW))
      assert.same({}, jar:cookies())
    end
    local jar <const> = new("https://example.com/x", "__Secure-a=b; Secure", "__Host-a=b; Secure; Path=/")
    assert.equal(2, jar.count)
    assert.fails("EINVAL", jar:set("urn:x", "a=b", NOW))
    assert.fails("EINVAL", jar:header("http://", NOW))
  end)

  it("asks for public suffixes", function()
    local jar <const> = cookies.jar { is_public_suffix = function(domain) return domain == "co.uk" end }
    assert.fails("EPERM", jar:set("http://example.co.uk/", "a=b; Domain=co.uk", NOW))
    assert(jar:set("http://co.uk/", "a=b; Domain=co.uk", NOW)) -- of that host alone
    assert.is_nil((jar:header("http://example.co.uk/", NOW)))
    assert.equal("a=b", jar:header("http://co.uk/", NOW))
    assert(jar:set("http://www.example.co.uk/", "c=d; Domain=example.co.uk", NOW))
    assert.equal("c=d", jar:header("http://example.co.uk/", NOW))
  end)

  it("keeps what is secure from those who are not", function()
    local jar <const> = new("https://example.com/", "a=1; Secure", "b=1; Secure; Path=/x")
    assert.fails("EPERM", jar:set("http://example.com/", "a=2", NOW))
    assert.fails("EPERM", jar:set("http://www.example.com/", "a=2; Domain=example.com", NOW))
    assert.fails("EPERM", jar:set("http://www.example.com/", "a=2", NOW))
    assert.fails("EPERM", jar:set("http://example.com/", "b=2; Path=/x/y", NOW))
    assert(jar:set("http://example.com/", "b=2; Path=/", NOW))
    assert(jar:set("https://example.com/", "a=3", NOW))
    assert.equal("a=3; b=2", jar:header("https://example.com/", NOW))
  end)

  it("replaces, deletes, and lets go in time", function()
    local jar <const> = new("http://example.com/", "a=1", "a=2")
    assert.equal("a=2", jar:header("http://example.com/", NOW))
    assert.equal(1, jar.count)
    set(jar, "http://example.com/", "a=; Max-Age=0")
    assert.equal(0, jar.count)
    set(jar, "http://example.com/", "a=1; Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT",
      "b=1; Expires=" .. date.format(NOW + 10), "c=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT")
    assert.equal("a=1; b=1", jar:header("http://example.com/", NOW))
    assert.equal("a=1; b=1", jar:header("http://example.com/", NOW + 9.5))
    assert.equal("a=1", jar:header("http://example.com/", NOW + 10))
    assert.is_nil((jar:header("http://example.com/", NOW + 60)))
    assert.equal(0, jar:expire(NOW + 60))
    set(jar, "http://example.com/", "a=1; Max-Age=" .. ("9"):rep(20))
    assert.equal(NOW + 400 * 86400, jar:cookies()[1].expires)
  end)

  it("sends longer paths first, then what is older", function()
    local jar <const> = cookies.jar()
    jar:set("http://example.com/x/y", "a=1; Path=/", NOW + 2)
    jar:set("http://example.com/x/y", "b=1; Path=/x", NOW + 3)
    jar:set("http://example.com/x/y", "c=1; Path=/", NOW + 1)
    jar:set("http://example.com/x/y", "d=1; Path=/", NOW + 1)
    assert.equal("b=1; c=1; d=1; a=1", jar:header("http://example.com/x", NOW))
    jar:set("http://example.com/x/y", "c=2; Path=/", NOW + 9) -- keeps its place
    assert.equal("b=1; c=2; d=1; a=1", jar:header("http://example.com/x", NOW))
    jar:set("http://example.com/", "alone", NOW)
    assert.equal("alone; c=2; d=1; a=1", jar:header("http://example.com/", NOW))
  end)

  it("has limits", function()
    local jar <const> = cookies.jar { each = 5, all = 8 }
    jar:set("https://a.com/", "s=1; Secure", NOW - 100)
    for i = 1, 7 do jar:set("https://a.com/", ("n%d=1"):format(i), NOW + i) end
    assert.equal("s=1; n4=1; n5=1; n6=1; n7=1", jar:header("https://a.com/", NOW + 50)) -- the oldest, the secure last
    jar:set("https://a.com/", "t=1; Max-Age=1", NOW + 60)
    jar:set("https://a.com/", "u=1", NOW + 70) -- what is over goes first
    assert.is_truthy(jar:header("https://a.com/", NOW + 70):find "n5=1")
    for i = 1, 20 do jar:set(("https://h%d.com/"):format(i), "a=1", NOW + 100 + i) end
    assert.equal(8, jar.count)
    assert.equal(8, #jar:cookies())
    local many <const> = cookies.jar { each = 1000 }
    for i = 1, 500 do many:set("http://a.com/", ("n%d=%s"):format(i, ("x"):rep(i < 100 and 10 or 100)), NOW) end
    assert.is_true(#many:header("http://a.com/", NOW) <= 8190)
    many:clear()
    for i = 1, 500 do many:set("http://a.com/", ("n%d=x"):format(i), NOW) end
    assert.equal(150, select(2, many:header("http://a.com/", NOW):gsub("=", "")))
    local default <const> = cookies.jar()
    for i = 1, 400 do default:set("http://a.com/", ("n%d=x"):format(i), NOW + i) end
    assert.equal(180, default.count)
  end)

  it("is saved and loaded", function()
    local jar <const> = new("https://www.example.com/x/y",
      "a=\"b\tc\" \xff; Max-Age=100; Secure; HttpOnly; SameSite=Lax; Domain=example.com",
      "s=1", "alone; Max-Age=50; Path=/")
    local text <const> = jar:save()
    assert.is_nil(text:find("\0", 1, true))
    local other <const> = cookies.jar()
    assert.same({ 2, 0 }, { other:load(text, NOW) })
    assert.equal(text, other:save())
    assert.equal("a=\"b\tc\" \xff; alone", other:header("https://www.example.com/x/", NOW))
    assert.equal("Lax", other:matching("https://example.com/x/", NOW)[1].samesite)
    assert.same({ 1, 0 }, { cookies.jar():load(text, NOW + 60) })
    assert.same({ 3, 0 }, { cookies.jar():load(jar:save(true), NOW) })
    jar:endsession()
    assert.equal(2, jar.count)
    jar:clear "example.com"
    assert.equal(1, jar.count)
    -- Lines that are not ours count, and do no harm.
    local damaged <const> = text:gsub("=example.com", "nonsense"):gsub("\n$", "\nx\ty\n")
    assert.same({ 1, 2 }, { cookies.jar():load(damaged, NOW) })
    for cut = 1, #text, helper.slow do cookies.jar():load(text:sub(1, cut), NOW) end
  end)

  it("loads what curl saved", function()
    local jar <const> = cookies.jar()
    assert.same({ 3, 1 }, { jar:load(table.concat({
      "# Netscape HTTP Cookie File", "", ".example.com\tTRUE\t/\tFALSE\t0\ta\t1",
      "#HttpOnly_example.com\tFALSE\t/x\tTRUE\t2000000000\tb\t2", "example.com\tFALSE\t/\tFALSE\t1\told\t1",
      "example.com\tFALSE\t/\tFALSE\t0\tempty\t\r", "not a line", "",
    }, "\n"), NOW) })
    assert.equal("b=2; a=1; empty=", jar:header("https://example.com/x", NOW))
    assert.equal("a=1", jar:header("http://www.example.com/", NOW))
  end)
end)
