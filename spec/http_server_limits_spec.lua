-- SPDX-License-Identifier: MIT
--- neap.http: what a server does not put up with: sizes, times, what is
-- malformed, who says that he is somebody else.
local helper <const> = require "support.helper"
local certs <const> = require "support.certs"
local lab <const> = require "support.http_lab"
local neap <const> = require "neap"

local in_task <const>, response <const> = helper.in_task, lab.response

local GET <const> = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

local function hello() return "hello" end

-- Sends what is refused while it still sends on, and then asks the server,
-- on another connection, whether all is well.
local function refused(bytes, options, handler)
  return in_task(function()
    local at <close> = lab.start(handler or hello, options)
    local conn <close> = at:connect()
    conn:write(bytes)
    local status, headers, body = response(conn)
    assert.equal("close", headers.connection)
    assert.fails("EOF", conn:receive())
    assert.equal(200, (at:ask("GET", "/")))
    assert.same({}, at.errors)
    return status, headers, body
  end)
end

describe("an HTTP server limits", function()
  for _, case in ipairs {
    { "a target", 414, ("GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"):format(("x"):rep(8192)) },
    { "a target, as it is told", 414, "GET /123456789 HTTP/1.1\r\nHost: a\r\n\r\n", { max_target = 9 } },
    { "a head", 431, "GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("x"):rep(66000) .. "\r\n\r\n" },
    { "a head that does not end", 431, "GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: yyyyyyyyyyyyyyy\r\n"):rep(3000),
      { max_head = 4096 } },
    { "the number of fields", 431, "GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: y\r\n"):rep(1001) .. "\r\n" },
    { "a body, by its length", 413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n" },
    { "a body that nobody can have", 413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999\r\n\r\n" },
    { "a body whose sending goes on", 413,
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" .. ("x"):rep(200000) },
  } do
    it(case[1], function() assert.equal(case[2], (refused(case[3], case[4]))) end)
  end

  it("a body in chunks", function()
    local status = refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n",
      { max_body = 10 }, function(r) return r.method == "GET" and "x" or assert(r:text()) end)
    assert.equal(413, status)
  end)

  it("nothing that a head of the allowed size holds", function()
    in_task(function()
      local at <close> = lab.start(function(r) return tostring(#r.headers) end)
      local conn <close> = at:connect()
      conn:write("GET /" .. ("x"):rep(8000) .. " HTTP/1.1\r\nHost: a\r\n" .. ("X: y\r\n"):rep(999) .. "\r\n")
      local status, _, body = response(conn)
      assert.same({ 200, "1000" }, { status, body })
    end)
  end)

  it("an answer that is lost to nobody, though the client sends on", function()
    in_task(function()
      local at <close> = lab.start(hello, { max_body = 10 })
      local conn <close> = at:connect()
      local writer = neap.spawn(function()
        conn:write "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n"
        for _ = 1, 40 do
          if not conn:write(("x"):rep(100000)) then break end
        end
        return true
      end)
      writer:join()
      neap.sleep(0.02)
      assert.equal(413, (response(conn)))
    end)
  end)
end)

describe("an HTTP server refuses", function()
  for _, case in ipairs {
    { "what is no HTTP", 400, "\22\3\1\2\0\1\0\1\252\3\3\r\n\r\n" },
    { "another version", 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
    { "no Host", 400, "GET / HTTP/1.1\r\n\r\n" },
    { "two Hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" },
    { "a bad Host", 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
    { "two lengths", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" },
    { "a negative length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n" },
    { "a length with a sign", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello" },
    { "both framings", 400,
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
    { "an unknown coding", 501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: frob\r\n\r\n" },
    { "an unknown expectation", 417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n" },
    { "a folded line", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n" },
    { "a bare CR", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n" },
    { "a space before a colon", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n" },
    { "a NUL", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n" },
    { "a target that is none", 400, "GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n" },
  } do
    it(case[1], function() assert.equal(case[2], (refused(case[3]))) end)
  end

  it("what comes after a good request, in its turn", function()
    in_task(function()
      local at <close> = lab.start(hello)
      local conn <close> = at:connect()
      conn:write(GET, GET, "NONSENSE\r\n\r\n", GET)
      for _, wanted in ipairs { 200, 200, 400 } do assert.equal(wanted, (response(conn))) end
      assert.fails("EOF", conn:receive())
    end)
  end)

  it("a head that ends in its midst", function()
    in_task(function()
      local at <close> = lab.start(hello)
      assert.truthy(at:raw("GET / HTTP/1.1\r\nHo", true):find "^HTTP/1.1 400 ")
      assert.equal("", at:raw("", true))
    end)
  end)
end)

describe("an HTTP server waits", function()
  local function ends(bytes, options, least, most, handler)
    return in_task(function()
      local at <close> = lab.start(handler or hello, options)
      local conn <close> = at:connect()
      conn:write(bytes)
      local began <const> = neap.now()
      local text = conn:read "a"
      local took <const> = neap.now() - began
      assert.is_true(took >= least and took < most * helper.slow, ("it took %.3f s"):format(took))
      assert.same({}, at.errors)
      return text
    end)
  end

  it("for a head no longer than it should: 408", function()
    assert.truthy(ends("GET / HTTP/1.1\r\nHost: a\r\n", { head_timeout = 0.1 }, 0.09, 1):find "^HTTP/1.1 408 ")
  end)

  it("for a head that dribbles no longer either", function()
    in_task(function()
      local at <close> = lab.start(hello, { head_timeout = 0.15 })
      local conn <close> = at:connect()
      local dribble <close> = neap.spawn({ daemon = true }, function()
        conn:write "GET / HTTP/1.1\r\nHost: a\r\n"
        while conn:write "X: y\r\n" do neap.sleep(0.01) end
      end)
      assert.equal(408, (response(conn)))
      dribble:cancel()
    end)
  end)

  it("for a first request as long as for a head, and says nothing", function()
    assert.equal("", ends("", { head_timeout = 0.05 }, 0.04, 1))
  end)

  it("for another request, and says nothing", function()
    local text <const> = ends(GET, { idle_timeout = 0.1 }, 0.09, 1)
    assert.truthy(text:find "hello$")
  end)

  it("for a body, between its bytes: 408", function()
    local text <const> = ends("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
      { body_timeout = 0.1 }, 0.09, 1, function(r) return assert(r:text()) end)
    assert.truthy(text:find "^HTTP/1.1 408 ")
  end)

  it("for a body that comes slowly, but comes", function()
    in_task(function()
      local at <close> = lab.start(function(r) return assert(r:text()) end, { body_timeout = 0.3 })
      local conn <close> = at:connect()
      conn:write "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
      for c in ("hello"):gmatch "." do
        conn:write(c)
        neap.sleep(0.02)
      end
      local status, _, body = response(conn)
      assert.same({ 200, "hello" }, { status, body })
    end)
  end)

  it("for who does not read, and then cuts", function()
    for _, handler in ipairs {
      function() return ("x"):rep(30000000) end,
      function() return 200, function() return ("x"):rep(100000) end end,
    } do
      in_task(function()
        local at <close> = lab.start(handler, { write_timeout = 0.1 })
        local conn <close> = at:connect()
        conn:write(GET)
        helper.eventually(function() return at.server:connections() == 1 end)
        helper.eventually(function() return at.server:connections() == 0 end)
        assert.same({}, at.errors)
      end)
    end
  end)

  it("for who reads slowly, but reads", function()
    in_task(function()
      local at <close> = lab.start(function() return ("x"):rep(6000000) end, { write_timeout = 0.4 * helper.slow })
      local conn <close> = at:connect()
      conn:setsockopt("SO_RCVBUF", 65536)
      conn:write(GET)
      local n = 0
      while n < 6000000 do
        local data = conn:receive(65536)
        if not data then break end
        n = n + #data
        neap.sleep(0.005)
      end
      assert.is_true(n > 6000000, n)
    end)
  end)

  it("on many that dribble, and serves the others", function()
    in_task(function()
      local at <close> = lab.start(hello, { head_timeout = 0.4, body_timeout = 0.4 })
      local slow <const> = {}
      for i = 1, 60 do
        slow[i] = at:connect()
        slow[i]:write(i % 2 == 0 and "GET / HTTP/1.1\r\nHost: a\r\nX-" or
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nab")
      end
      for _ = 1, 20 do assert.equal(200, (at:ask("GET", "/"))) end
      helper.eventually(function() return at.server:connections() == 0 end)
      for _, conn in ipairs(slow) do conn:close() end
    end)
  end)
end)

describe("an HTTP server behind a proxy", function()
  local function seen(headers, options)
    return in_task(function()
      local at <close> = lab.start(function(r)
        return ("%s %s %s"):format(r.peer.ip, r.scheme, r.host)
      end, options)
      local status, _, body = at:ask("GET", "/", headers)
      assert.equal(200, status)
      return body
    end)
  end

  local XFF <const> = { ["X-Forwarded-For"] = "203.0.113.9", ["X-Forwarded-Proto"] = "https" }

  it("believes nobody unless it is told to", function()
    assert.equal("127.0.0.1 http a.example", seen(XFF))
    assert.equal("127.0.0.1 http a.example", seen(XFF, { trusted_proxies = { "10.0.0.0/8", "::1" } }))
    assert.equal("127.0.0.1 http a.example", seen({ Forwarded = "for=203.0.113.9" },
      { trusted_proxies = { "127.0.0.1" } }))
  end)

  it("believes those that it trusts, and goes no further", function()
    for field, wanted in pairs {
      ["203.0.113.9"] = "203.0.113.9",
      ["1.1.1.1, 203.0.113.9"] = "203.0.113.9",
      ["1.1.1.1, 203.0.113.9, 10.1.2.3"] = "203.0.113.9",
      ["10.9.9.9, 10.1.2.3"] = "10.9.9.9",
      ["203.0.113.9:1234"] = "203.0.113.9",
      ["[2001:db8::1]:80"] = "2001:db8::1",
      ["2001:db8::1"] = "2001:db8::1",
      ["unknown"] = "127.0.0.1",
      ["1.1.1.1, rubbish, 10.1.2.3"] = "10.1.2.3",
      [""] = "127.0.0.1",
    } do
      assert.equal(wanted .. " http a.example",
        seen({ ["X-Forwarded-For"] = field }, { trusted_proxies = { "127.0.0.0/8", "10.0.0.0/8" } }))
    end
    assert.equal("203.0.113.9 https a.example", seen(XFF, { trusted_proxies = { "127.0.0.1" } }))
  end)

  it("reads Forwarded where it is told to", function()
    local options <const> = { trusted_proxies = { "127.0.0.1" }, forwarded = "Forwarded" }
    assert.equal("2001:db8::7 https b.example", seen({
      Forwarded = 'for=1.1.1.1, For="[2001:db8::7]:4711";proto=https;host=b.example',
    }, options))
    assert.equal("127.0.0.1 http a.example", seen(XFF, options))
    assert.equal("127.0.0.1 http a.example", seen({ Forwarded = 'for="1.2.3.4' }, options))
  end)

  local function proxied(bytes, options, optional)
    return in_task(function()
      options = options or {}
      options.proxy_protocol = optional or true
      local at <close> = lab.start(function(r)
        return ("%s %s %s"):format(r.peer.ip, r.peer.port, r.address.port)
      end, options)
      return (at:raw(bytes .. "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):match "\r\n\r\n(.*)$")
    end)
  end

  local V2 <const> = "\r\n\r\n\0\r\nQUIT\n"

  it("takes the PROXY protocol", function()
    assert.equal("192.0.2.1 4711 443", proxied "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n")
    assert.equal("2001:db8::1 1 2", proxied "PROXY TCP6 2001:db8::1 ::1 1 2\r\n")
    assert.truthy(proxied "PROXY UNKNOWN\r\n":find "^127.0.0.1 ")
    assert.equal("192.0.2.1 258 443",
      proxied(V2 .. "\x21\x11\0\x0f\192\0\2\1\192\0\2\2\1\2\1\xbb\4\0\0"))
    assert.equal("2001:db8::1 1 2",
      proxied(V2 .. "\x21\x21\0\x24\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\1" .. ("\0"):rep(15) .. "\1" .. "\0\1\0\2"))
    assert.truthy(proxied(V2 .. "\x20\0\0\0"):find "^127.0.0.1 ")
  end)

  it("and no connection that does not begin with it", function()
    for _, bytes in ipairs {
      "", "PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n", "PROXY TCP4 1.2.3.4 4.5.6.7 1 99999\r\n",
      "PROXY TCP4 1.2.3.4 4.5.6.7 1 080\r\n",
      "PROXY " .. ("x"):rep(200), V2 .. "\x31\x11\0\0", V2 .. "\x21\x11\xff\xff", V2 .. "\x21\x11\0\1x",
    } do
      assert.is_nil(proxied(bytes))
    end
  end)

  it("nor waits for one that comes byte by byte", function()
    in_task(function()
      local at <close> = lab.start(hello, { proxy_protocol = true, head_timeout = 0.2 })
      local conn <close> = at:connect(10)
      local dribble <close> = neap.spawn(function()
        for c in (V2 .. "\x21\x11\x0f\0" .. ("x"):rep(400)):gmatch "." do
          if not conn:write(c) then return end
          neap.sleep(0.02)
        end
      end)
      assert.takes(0.1, 5, function() assert.is_nil((conn:receive())) end)
    end)
  end)

  it("or takes it where it is", function()
    assert.equal("192.0.2.1 4711 443", proxied("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", nil, "optional"))
    assert.truthy(proxied("", nil, "optional"):find "^127.0.0.1 ")
    assert.equal("400 Bad Request\n", proxied("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n",
      { trusted_proxies = { "10.0.0.1" } }, "optional"))
    in_task(function()
      local at <close> = lab.start(function(r) return r.method end, { proxy_protocol = "optional" })
      assert.truthy(at:raw("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):find "PUT$")
    end)
  end)
end)

describe("an HTTP server over TLS", function()
  local tls <const> = require "neap.tls"

  it("is told a certificate, and what was agreed on", function()
    in_task(function()
      local cert <const> = certs.get "good"
      local at <close> = lab.start(function(r)
        return ("%s %s %s"):format(r.scheme, r.tls.version, r.tls.alpn)
      end, { tls = { cert = cert.chain, key = cert.key } })
      local conn <close> = assert(tls.connect(at.host, at.port,
        { ca = certs.ca(), servername = "good.example", alpn = { "h2", "http/1.1" }, timeout = 5 * helper.slow }))
      for _ = 1, 2 do
        conn:write(GET)
        local status, _, body = response(conn)
        assert.same({ 200, "https TLSv1.3 http/1.1" }, { status, body })
      end
      assert(at.server:reload())
      conn:write "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      assert.truthy(conn:read "a":find "http/1.1$")
    end)
  end)

  it("survives who speaks no TLS, and says so to on_error", function()
    in_task(function()
      local cert <const> = certs.get "good"
      local at <close> = lab.start(hello, { tls = { cert = cert.chain, key = cert.key } })
      at:raw(GET)
      helper.eventually(function() return #at.errors == 1 end)
      assert.truthy(at.errors[1].err:find "^tls: ")
      local conn <close> = assert(tls.connect(at.host, at.port,
        { ca = certs.ca(), servername = "good.example", timeout = 5 * helper.slow }))
      conn:write(GET)
      assert.equal(200, (response(conn)))
    end)
  end)

  it("waits for a handshake no longer than for a head", function()
    in_task(function()
      local cert <const> = certs.get "good"
      local at <close> = lab.start(hello, { tls = { cert = cert.chain, key = cert.key }, head_timeout = 0.05 })
      assert.equal("", at:raw "")
    end)
  end)

  it("takes the PROXY protocol before it", function()
    in_task(function()
      local cert <const> = certs.get "good"
      for _, how in ipairs { true, "optional" } do
        local at <close> = lab.start(function(r) return ("%s %s"):format(r.peer.ip, r.scheme) end,
          { tls = { cert = cert.chain, key = cert.key }, proxy_protocol = how })
        for i = how == true and 1 or 0, 1 do
          local conn <close> = at:connect()
          if i == 1 then conn:write "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n" end
          assert(conn:starttls { ca = certs.ca(), servername = "good.example" })
          conn:write(GET)
          local _, _, body = response(conn)
          assert.equal(i == 1 and "192.0.2.1 https" or "127.0.0.1 https", body)
        end
      end
    end)
  end)

  it("takes a listener of tls.listen's", function()
    in_task(function()
      local cert <const> = certs.get "good"
      local at <close> = lab.start(function(r) return r.scheme end, nil,
        assert(tls.listen("127.0.0.1", 0, { cert = cert.chain, key = cert.key })))
      local conn <close> = assert(tls.connect(at.host, at.port,
        { ca = certs.ca(), servername = "good.example", timeout = 5 * helper.slow }))
      conn:write(GET)
      local _, _, body = response(conn)
      assert.equal("https", body)
    end)
  end)
end)

describe("an HTTP server's log", function()
  local function logged(bytes, options, handler)
    local path <const> = helper.tmpname()
    in_task(function()
      options.access_log = options.access_log or path
      local at <close> = lab.start(handler or hello, options)
      at:raw(bytes)
    end)
    local file <close> = io.open(path)
    return file and file:read "a"
  end

  local LAST <const> = "GET /x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"

  it("has the common format", function()
    local text <const> = logged(LAST .. "\r\n", {})
    assert.truthy(text:find(
      '^127%.0%.0%.1 %- %- %[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d %+0000%] "GET /x%?y HTTP/1%.1" 200 5\n$'))
  end)

  it("has the combined format", function()
    local text <const> = logged(LAST .. "User-Agent: me\r\nReferer: http://b/\r\n\r\n", { log_format = "combined" })
    assert.truthy(text:find '" 200 5 "http://b/" "me"\n$')
  end)

  it("has JSON", function()
    local text <const> = logged(LAST .. "User-Agent: \"me\"\\\xff\xc3\xa4\r\n\r\n", { log_format = "json" })
    assert.truthy(text:find(
      '"method":"GET","target":"/x?y","version":"1.1","host":"a","status":200,"bytes":5,', 1, true))
    assert.truthy(text:find([["agent":"\u0022me\u0022\u005c\u00ff\u00c3\u00a4"}]], 1, true))
  end)

  it("has no line that a client made", function()
    local text <const> = logged(LAST .. "User-Agent: a\"b\tc\\\xff\r\n\r\n", { log_format = "combined" })
    assert.truthy(text:find([["a\x22b\x09c\x5c\xff"]], 1, true))
    local _, lines = text:gsub("\n", "")
    assert.equal(1, lines)
    assert.falsy(text:sub(1, -2):find "[%c\x7f-\xff]")
  end)

  it("tells of what was refused and of what failed", function()
    assert.truthy(logged("BAD\r\n\r\n", {}):find '"%-" 400 %d+\n$')
    assert.truthy(logged(LAST .. "Content-Length: 9999999\r\n\r\n", {}):find 'HTTP/1.1" 413 %d+\n$')
    assert.truthy(logged(LAST .. "\r\n", {}, function() error "x" end):find '" 500 %d+\n$')
    assert.truthy(logged(LAST .. "\r\n", {}, function()
      local n = 0
      return 200, function() n = n + 1 return n < 3 and ("x"):rep(1000) or nil end
    end):find '" 200 %d+\n$')
  end)

  it("may be a function", function()
    local found
    logged(LAST .. "\r\n", { access_log = function(request, line) found = { request, line } end })
    assert.same({ 200, 5 }, { found[1].status, found[1].sent })
    assert.is_true(found[1].seconds >= 0)
    assert.truthy(found[2]:find '" 200 5$')
  end)

  it("fails to open where it cannot", function()
    in_task(function()
      assert.fails("EIO", require "neap.http".listen("127.0.0.1:0", { access_log = "/nowhere/at/all" }))
    end)
  end)
end)
