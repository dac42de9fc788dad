--- The HTTP client through proxies: what they are told, what they must not be,
-- and proxies that refuse, lie, and vanish.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local http <const> = require "neap.http"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local peer <const> = require "support.http_peer"
local proxies <const> = require "neap.http.client.proxy"
local tcp <const> = require "neap.tcp"
local tls <const> = require "neap.tls"
local unix <const> = require "neap.unix"

local in_task <const> = helper.in_task
local ok <const> = peer.ok

local function works(name, body)
  it(name, function() in_task(body) end)
end

local function works_with_tls(name, body)
  it(name, function()
    certs.need()
    in_task(body)
  end)
end

local function pump(from, to)
  while true do
    local bytes = from:receive()
    if not bytes then break end
    if not to:write(bytes) then break end
  end
  if to:isopen() then to:shutdown "w" end
end

local function join(a, b)
  local group <close> = neap.group()
  group:spawn(pump, a, b)
  pump(b, a)
end

-- A proxy of HTTP: CONNECT and absolute targets, to this address whatever the
-- name is. o.authorization: what it wants.
local function proxy_server(o, listener, scheme)
  o = o or {}
  return peer.raw(function(conn, self)
    while true do
      local request = peer.read_request(conn)
      if not request then return end
      self.requests[#self.requests + 1] = request
      if o.authorization and request.headers:get "proxy-authorization" ~= o.authorization then
        conn:write "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 3\r\n\r\nwho"
      elseif o.answer then
        conn:write(o.answer)
      elseif request.method == "CONNECT" then
        local port = request.target:match ":(%d+)$"
        local to <close> = tcp.connect("127.0.0.1", math.tointeger(tonumber(port)))
        if not to then return conn:write "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n" end
        conn:write "HTTP/1.1 200 Connection established\r\n\r\n"
        return join(conn, to)
      else
        conn:write(ok("via " .. request.target))
      end
    end
  end, listener, scheme)
end

local function secure_server(answer)
  return peer.server(answer or function() return ok "secret" end, assert(tls.listen("127.0.0.1", 0, lab.listener())),
    "https")
end

describe("http: a proxy of HTTP", function()
  works("is asked for the whole URL", function()
    local proxy <close> = proxy_server()
    local client <close> = http.client { proxy = proxy.url }
    assert.equal("via http://any.example/a?b=c", client:get "http://any.example/a?b=c#d":text())
    assert.equal("via http://other.example:81/", client:get "http://me:secret@other.example:81":text())
    local first, second = proxy.requests[1], proxy.requests[2]
    assert.equal("any.example", first.headers:get "host")
    assert.equal("other.example:81", second.headers:get "host")
    assert.equal(1, proxy.connections) -- for both hosts
    assert.is_nil(first.headers:get "proxy-authorization")
  end)

  works("is told who asks, which nobody else is", function()
    local proxy <close> = proxy_server { authorization = "Basic bWU6cGEgc3M=" }
    local client <close> = http.client { proxy = ("http://me:pa%%20ss@127.0.0.1:%d"):format(proxy.port) }
    assert.equal("via http://any.example/", client:get "http://any.example/":text())
    assert.is_nil(proxy.requests[1].headers:get "authorization")
    assert.equal(407, assert(http.get("http://any.example/", { proxy = proxy.url })).status)
  end)

  works("that is not there is named, without its password", function()
    local _, why, code = http.get("http://any.example/", { proxy = "http://me:secret@127.0.0.1:1" })
    assert.equal("ECONNREFUSED", code)
    assert.equal("GET http://any.example: http://127.0.0.1:1: connect 127.0.0.1:1: Connection refused", why)
    for _, text in ipairs { "http://me:secret@h:99999", "http://me:sec ret@h", "http://", "http://h/path",
      "gopher://me:secret@h" } do
      local _, err = pcall(http.get, "http://a/", { proxy = text })
      assert.is_nil(tostring(err):find "sec ?ret", err)
    end
  end)

  works("makes a tunnel to what is encrypted", function()
    certs.need()
    local server <close> = secure_server()
    local proxy <close> = proxy_server()
    local client <close> = http.client { proxy = proxy.url, tls = { ca = certs.ca() } }
    local url = ("https://good.example:%d/path?token=1"):format(server.port)
    for _ = 1, 3 do
      local response = assert(client:get(url, { auth = { "me", "x" }, headers = { Cookie = "a=b" } }))
      assert.equal("secret", response:text())
      assert.equal("TLSv1.3", response.tls.version)
    end
    assert.equal(1, #proxy.requests)
    local head = proxy.requests[1].head
    assert.equal(("CONNECT good.example:%d HTTP/1.1\r\nHost: good.example:%d\r\n\r\n"):format(server.port,
      server.port), head)
    assert.equal("/path?token=1", server.requests[1].target)
    assert.equal(1, client:connections().idle)
  end)

  works_with_tls("is no reason to believe a certificate", function()
    local server <close> = secure_server()
    local proxy <close> = proxy_server()
    local _, why, code = http.get(("https://wrong.example:%d/"):format(server.port), { proxy = proxy.url,
      tls = { ca = certs.ca() } })
    assert.equal("X509_V_ERR_HOSTNAME_MISMATCH", code)
    assert.truthy(why:find("https://wrong.example", 1, true))
    assert.equal(0, #server.requests)
  end)

  works_with_tls("can be encrypted itself, with encryption within", function()
    local server <close> = secure_server()
    local proxy <close> = proxy_server(nil, assert(tls.listen("127.0.0.1", 0, lab.listener(nil, "other"))), "https")
    local client <close> = http.client {
      proxy = "https://me:secret@other.example:" .. proxy.port, tls = { ca = certs.ca() },
        proxy_tls = { ca = certs.ca() },
      resolve = { ["other.example"] = "127.0.0.1" },
    }
    local url = ("https://good.example:%d/"):format(server.port)
    for _ = 1, 2 do assert.equal("secret", client:get(url):text()) end
    assert.equal("via http://any.example/", client:get "http://any.example/":text())
    assert.truthy(proxy.requests[1].headers:get "proxy-authorization")
    assert.is_nil(server.requests[1].headers:get "proxy-authorization")
    local wary <close> = http.client { proxy = "https://other.example:" .. proxy.port, tls = { ca = certs.ca() },
      resolve = { ["other.example"] = "127.0.0.1" } }
    local _, why = wary:get(url)
    assert.truthy(why:find("https://other.example:" .. proxy.port .. ": ", 1, true), why)
  end)

  -- What a proxy says to CONNECT, and what becomes of it.
  local rows <const> = {
    { "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "ECONNREFUSED", "403 Forbidden" },
    { "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n", "EACCES", "wants a user" },
    { "HTTP/1.1 502 Bad\r\n\r\n", "ECONNREFUSED", "502" },
    { "HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\n\r\n", "ECONNREFUSED", "302" },
    { "HTTP/1.1 200 OK\r\n\r\nsome more", "EPROTO", "more than its answer" },
    { "garbage\r\n\r\n", "EBADMSG", "bad response" },
    { ("HTTP/1.1 100 Continue\r\n\r\n"):rep(20), "EBADMSG", "too many" },
    { "HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(70000), "EMSGSIZE", "" },
  }
  for _, row in ipairs(rows) do
    works("that answers " .. row[1]:sub(1, 30):gsub("\r\n", " ") .. " is a failure", function()
      local proxy <close> = proxy_server { answer = row[1] }
      local client <close> = http.client { proxy = proxy.url }
      local _, why, code = client:get "https://me:secret@good.example/"
      assert.equal(row[2], code, why)
      assert.truthy(why:find("GET https://good.example: " .. proxy.url .. ": ", 1, true), why)
      assert.truthy(why:find(row[3], 1, true), why)
      assert.equal(0, client:connections().active + client:connections().idle)
    end)
  end

  works("that vanishes, or says nothing, is a failure", function()
    local gone <close> = peer.raw(function(conn) peer.read_head(conn) end)
    assert.fails("EPROTO", http.get("https://good.example/", { proxy = gone.url }))
    local silent <close> = peer.raw(function() neap.sleep(3600) end)
    assert.takes(0.05, 2, function()
      assert.fails("ETIMEDOUT", http.get("https://good.example/", { proxy = silent.url, timeout = 0.05 }))
    end)
    local left
    local waits <close> = peer.raw(function(conn)
      peer.read_head(conn)
      conn:receive()
      left = true
    end)
    assert.fails("ETIMEDOUT", neap.timeout(0.05, http.get, "https://good.example/", { proxy = waits.url }))
    helper.eventually(function() return left end)
  end)

  works("that wants Digest gets it", function()
    local auth <const> = require "neap.http.auth"
    local wanted <const> = 'Proxy-Authenticate: Digest realm="p", nonce="n", qop="auth"\r\nContent-Length: 0\r\n\r\n'
    local proxy <close> = peer.server(function(request)
      local given = request.headers:get "proxy-authorization" or ""
      local params = auth.parameters(given:match "^Digest (.*)$" or "")
      if not params or not params.response then return "HTTP/1.1 407 Who\r\n" .. wanted end
      local expected = auth.digest({ params = { realm = "p", nonce = "n", qop = "auth" } }, { user = "me",
        password = "secret",
        method = request.method, uri = request.target, cnonce = params.cnonce })
      if expected:match 'response="(%x+)"' ~= params.response then return "HTTP/1.1 407 Wrong\r\n" .. wanted end
      return request.method == "CONNECT" and "HTTP/1.1 503 In\r\nContent-Length: 0\r\n\r\n" or ok "in"
    end)
    local named = ("http://me:secret@127.0.0.1:%d"):format(proxy.port)
    assert.equal("in", http.get("http://any.example/x", { proxy = named }):text())
    local _, why = http.get("https://any.example/x", { proxy = named })
    assert.truthy(why:find("503 In", 1, true), why)
    _, why = http.get("https://any.example/x", { proxy = named:gsub("secret", "wrong") })
    assert.truthy(why:find("407 Wrong", 1, true), why)
    assert.is_nil(why:find "wrong@")
  end)

  works("is left by a redirect, and not told the rest", function()
    local proxy <close> = proxy_server {
      answer = "HTTP/1.1 302 Found\r\nLocation: http://two.example/\r\nContent-Length: 0\r\n\r\n",
    }
    assert.fails("ELOOP", http.get("http://one.example/", { proxy = ("http://me:pw@127.0.0.1:%d"):format(proxy.port),
      follow = 1, headers = { Authorization = "secret" } }))
    assert.truthy(proxy.requests[2].headers:get "proxy-authorization")
    assert.is_nil(proxy.requests[2].headers:get "authorization")
  end)

  works("is not for Unix sockets, and makes tunnels for other protocols", function()
    local path = helper.tmpname ".sock"
    local server <close> = peer.server(function() return ok "unix" end, assert(unix.listen(path)))
    assert.equal("unix", http.get("http://h/", { unix = path, proxy = "http://127.0.0.1:1" }):text())
    local plain <close> = peer.server(function()
      return "HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    end)
    local proxy <close> = proxy_server()
    local response = assert(http.get(plain.url, { proxy = proxy.url, upgrade = "echo" }))
    assert.equal("CONNECT", proxy.requests[1].method)
    local stream <close> = response:stream()
    assert.truthy(stream)
  end)
end)

-- ---- SOCKS ----

-- A SOCKS5 server, by the bytes that it answers. o.reply: what it says to the
-- request; o.method: what it chooses; o.user, o.password.
local function socks_server(o)
  o = o or {}
  return peer.raw(function(conn, self)
    local greeting = conn:read(2)
    if not greeting then return end
    local n = greeting:byte(2)
    local offered = conn:read(n)
    local method = o.method or o.user and 2 or 0
    if not offered:find(string.char(method), 1, true) and not o.method then method = 255 end
    conn:write("\5", string.char(method))
    if method == 2 and o.user then
      conn:read(1)
      local user = conn:read(conn:read(1):byte())
      local password = conn:read(conn:read(1):byte())
      self.user, self.password = user, password
      local fine = user == o.user and password == o.password
      conn:write("\1", fine and "\0" or "\1")
      if not fine then return end
    end
    local head = conn:read(4)
    if not head then return end
    local kind = head:byte(4)
    self.asked = kind == 3 and conn:read(conn:read(1):byte()) or conn:read(kind == 1 and 4 or 16)
    local port = (">I2"):unpack(conn:read(2))
    if o.reply then return conn:write(o.reply) end
    local to <close> = tcp.connect("127.0.0.1", port)
    conn:write(to and "\5\0\0\1\0\0\0\0\0\0" or "\5\5\0\1\0\0\0\0\0\0")
    if to then join(conn, to) end
  end, nil, "socks5h")
end

describe("http: a SOCKS5 proxy", function()
  works("looks names up itself", function()
    local server <close> = peer.server(function() return ok "x" end)
    local proxy <close> = socks_server()
    local client <close> = http.client { proxy = proxy.url }
    local url = ("http://name.invalid:%d/"):format(server.port)
    for _ = 1, 2 do assert.equal("x", client:get(url):text()) end
    assert.equal("name.invalid", proxy.asked)
    assert.equal(1, proxy.connections)
    assert.equal("name.invalid:" .. server.port, server.requests[1].headers:get "host")
    assert.equal("/", server.requests[1].target)
    client:closeidle()
    assert.equal("x", client:get(server.url):text())
    assert.equal("\127\0\0\1", proxy.asked)
  end)

  works("gets addresses, where it is socks5", function()
    local server <close> = peer.server(function() return ok "x" end)
    local proxy <close> = socks_server()
    assert.equal("x", http.get("http://localhost:" .. server.port, { proxy = "socks5://127.0.0.1:"
      .. proxy.port }):text())
    assert.truthy(#proxy.asked == 4 or #proxy.asked == 16)
    local _, _, code = http.get("http://[::1]:" .. server.port, { proxy = proxy.url })
    assert.equal(("\0"):rep(15) .. "\1", proxy.asked)
    assert.is_nil(code)
  end)

  works("gets user and password", function()
    local server <close> = peer.server(function(request) return ok(request.headers:get "proxy-authorization"
      or "none") end)
    local proxy <close> = socks_server { user = "me", password = "se:cret" }
    local function via(login) return { proxy = ("socks5h://%s127.0.0.1:%d"):format(login, proxy.port) } end
    assert.equal("none", http.get(server.url, via "me:se%3Acret@"):text())
    assert.equal("se:cret", proxy.password)
    local _, why, code = http.get(server.url, via "me:wrong@")
    assert.equal("EACCES", code)
    assert.is_nil(why:find "wrong")
    assert.fails("EACCES", http.get(server.url, via ""))
    assert.fails("EINVAL", http.get(server.url, via(("x"):rep(256) .. ":y@")))
  end)

  works_with_tls("carries what is encrypted", function()
    local server <close> = secure_server()
    local proxy <close> = socks_server()
    local response = assert(http.get(("https://good.example:%d/"):format(server.port), { proxy = proxy.url,
      tls = { ca = certs.ca() } }))
    assert.equal("secret", response:text())
    assert.equal("good.example", proxy.asked)
  end)

  local rows <const> = {
    { "\5\1\0\1\0\0\0\0\0\0", "ECONNABORTED" }, { "\5\2\0\1\0\0\0\0\0\0", "EACCES" }, { "\5\3\0\1\0\0\0\0\0\0",
      "ENETUNREACH" },
    { "\5\4\0\1\0\0\0\0\0\0", "EHOSTUNREACH" }, { "\5\5\0\1\0\0\0\0\0\0", "ECONNREFUSED" }, { "\5\6\0\1\0\0\0\0\0\0",
      "ETIMEDOUT" },
    { "\5\7\0\1\0\0\0\0\0\0", "EOPNOTSUPP" }, { "\5\8\0\1\0\0\0\0\0\0", "EAFNOSUPPORT" }, { "\5\99\0\1\0\0\0\0\0\0",
      "ECONNABORTED" },
    { "\4\0\0\1\0\0\0\0\0\0", "EPROTO" }, { "\5\0\0\9\0\0\0\0\0\0", "EPROTO" }, { "\5\0\0", "EPROTO" },
      { "\5\0\0\1\0\0", "EPROTO" },
    { "\5\0\0\3\255abc", "EPROTO" }, { "", "EPROTO" },
  }
  for i, row in ipairs(rows) do
    works("may refuse, or answer nonsense: " .. i, function()
      local proxy <close> = socks_server { reply = row[1] }
      local _, why, code = http.get("http://any.example/", { proxy = proxy.url })
      assert.equal(row[2], code, why)
      assert.truthy(why:find("GET http://any.example: socks5h://127.0.0.1:", 1, true), why)
    end)
  end

  works("may be none, or choose what was not offered", function()
    local web <close> = peer.says "HTTP/1.1 400 Bad\r\n\r\n"
    assert.is_nil(http.get("http://any.example/", { proxy = "socks5h://127.0.0.1:" .. web.port, timeout = 0.05 }))
    local other <close> = peer.raw(function(conn)
      conn:receive()
      conn:write "HTTP/1.1 400 Bad Request\r\n\r\n"
    end)
    assert.fails("EPROTO", http.get("http://any.example/", { proxy = "socks5h://127.0.0.1:" .. other.port }))
    for _, method in ipairs { 1, 2, 128 } do
      local proxy <close> = socks_server { method = method }
      assert.fails("EPROTO", http.get("http://any.example/", { proxy = proxy.url }))
    end
    assert.fails("EINVAL", http.get("http://" .. ("a"):rep(60) .. (".a"):rep(100) .. "/",
      { proxy = "socks5h://127.0.0.1:1" }))
  end)
end)

-- ---- which ----

describe("http: the list of no_proxy", function()
  local rows <const> = {
    { "*", "any.example", 80, true }, { "", "any.example", 80, false }, { "example.com", "example.com", 80, true },
    { "example.com", "www.example.com", 80, true }, { ".example.com", "www.example.com", 80, true },
    { ".example.com", "example.com", 80, true }, { "*.example.com", "a.example.com", 80, true },
    { "example.com", "notexample.com", 80, false }, { "example.com", "example.com.evil", 80, false },
    { "a.com, EXAMPLE.com ,b", "example.com", 80, true }, { "a.com b.com", "b.com", 80, true },
    { "example.com:81", "example.com", 80, false }, { "example.com:81", "example.com", 81, true },
    { "example.com.", "example.com", 80, true }, { "example.com", "example.com.", 80, true },
    { "127.0.0.1", "127.0.0.1", 80, true }, { "127.0.0.1", "127.0.0.2", 80, false }, { "0.0.1", "127.0.0.1", 80,
      false },
    { "10.0.0.0/8", "10.1.2.3", 80, true }, { "10.0.0.0/8", "11.1.2.3", 80, false }, { "10.0.0.0/9", "10.127.2.3", 80,
      true },
    { "10.0.0.0/9", "10.128.2.3", 80, false }, { "10.0.0.0/33", "10.0.0.0", 80, false }, { "10.0.0.0/x", "10.0.0.0",
      80, false },
    { "::1", "::1", 80, true }, { "[::1]:80", "::1", 80, true }, { "[::1]:81", "::1", 80, false },
    { "fe80::/10", "fe80::1", 80, true }, { "fe80::/10", "10.0.0.1", 80, false }, { "example.com/8", "10.0.0.1", 80,
      false },
    { ",,,", "a", 80, false }, { ".", "a", 80, false },
  }
  for _, row in ipairs(rows) do
    it(("%q %s %s"):format(row[1], row[4] and "names" or "does not name", row[2]), function()
      assert.equal(row[4], proxies.bypasses(row[1], row[2], row[3]))
    end)
  end

  works("goes with a proxy that was named", function()
    local server <close> = peer.server(function() return ok "x" end)
    assert.equal("x", http.get(server.url, { proxy = "http://127.0.0.1:1", no_proxy = "127.0.0.0/8" }):text())
    assert.fails("ECONNREFUSED", http.get(server.url, { proxy = "http://127.0.0.1:1", no_proxy = "other" }))
  end)
end)

describe("http: the environment", function()
  -- What a process with these variables gets.
  local function get(variables, url, options)
    return helper.script_under("env -u http_proxy -u https_proxy -u all_proxy -u no_proxy " .. variables, ([[
      local response, why = require "neap.http".get(%q, %s)
      io.write(response and response:text() or why)
    ]]):format(url, options or "{ proxy = true, timeout = 5 }"))
  end

  -- io.popen stops everything else: the proxy is in a process of its own.
  it("is looked at only if that is asked for", function()
    local refused = "connect 127.0.0.1:1: Connection refused"
    local function says(text, out) assert.truthy(out:find(text, 1, true), out) end
    says("http://127.0.0.1:1: " .. refused, get("http_proxy=http://127.0.0.1:1", "http://any.invalid/"))
    says("http://127.0.0.1:1: " .. refused, get("http_proxy=127.0.0.1:1", "http://any.invalid/"))
    says("https://any.invalid: http://127.0.0.1:1: ", get("HTTPS_PROXY=http://127.0.0.1:1", "https://any.invalid/"))
    says("https://any.invalid: http://127.0.0.1:1: ", get("https_proxy=http://127.0.0.1:1", "https://any.invalid/"))
    says("socks5h://127.0.0.1:1: ", get("all_proxy=socks5h://127.0.0.1:1", "http://any.invalid/"))
    says("http://127.0.0.1:2: " .. refused, get("HTTP_PROXY=http://127.0.0.1:1",
      "http://127.0.0.1:2/"):gsub("http://127.0.0.1:2: connect 127.0.0.1:2", "http://127.0.0.1:2: connect 127.0.0.1:1"))
    says("GET http://127.0.0.1:1: " .. refused, get("no_proxy=127.0.0.1 http_proxy=http://127.0.0.1:2",
      "http://127.0.0.1:1/"))
    says("GET http://127.0.0.1:1: " .. refused, get("http_proxy=http://127.0.0.1:2", "http://127.0.0.1:1/", "{}"))
    says("proxy: ", get("http_proxy=gopher://me:secret@h", "http://127.0.0.1:1/"))
    assert.is_nil(get("http_proxy=gopher://me:secret@h", "http://127.0.0.1:1/"):find "secret")
  end)
end)

