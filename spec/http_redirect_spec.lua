--- Redirects: which are followed, with which method and body, and what of a
-- request stays with its origin.
local helper <const> = require "support.helper"
local http <const> = require "neap.http"
local peer <const> = require "support.http_peer"

local in_task <const> = helper.in_task
local ok <const> = peer.ok

local function works(name, body)
  it(name, function() in_task(body) end)
end

local function redirect(status, location, fields)
  return ("HTTP/1.1 %d Over There\r\nLocation: %s\r\nContent-Length: 4\r\n%s\r\nbody"):format(status, location, fields
    or "")
end

-- A server that redirects /from to `location` by `status`.
local function leading(status, location)
  return peer.server(function(request)
    if request.target == "/from" then return redirect(status, location) end
    return ok(("%s %s %s"):format(request.method, request.target, request.body))
  end)
end

describe("http: a redirect", function()
  -- status, method, and what arrives.
  local rows <const> = {
    { 301, "GET", "GET /to " }, { 301, "HEAD", "" }, { 301, "POST", "GET /to " }, { 301, "PUT", "PUT /to body" },
    { 302, "GET", "GET /to " }, { 302, "POST", "GET /to " }, { 302, "PUT", "PUT /to body" }, { 302, "DELETE",
      "DELETE /to body" },
    { 303, "GET", "GET /to " }, { 303, "HEAD", "" }, { 303, "POST", "GET /to " }, { 303, "PUT", "GET /to " },
    { 307, "GET", "GET /to " }, { 307, "POST", "POST /to body" }, { 307, "PUT", "PUT /to body" },
    { 308, "GET", "GET /to " }, { 308, "POST", "POST /to body" }, { 308, "PATCH", "PATCH /to body" },
  }
  for _, row in ipairs(rows) do
    works(("%d of %s is followed as Fetch says"):format(row[1], row[2]), function()
      local server <close> = leading(row[1], "/to")
      local client <close> = http.client {}
      local body = row[2] ~= "GET" and row[2] ~= "HEAD" and "body" or nil
      local response = assert(client:request(row[2], server.url .. "/from", {
        body = body, headers = body and { ["Content-Type"] = "text/x", ["X-Mine"] = "1" } or { ["X-Mine"] = "1" },
      }))
      assert.equal(200, response.status)
      assert.equal(row[3], response:text())
      assert.equal(server.url .. "/to", response.url)
      assert.equal(1, #response.history)
      assert.equal(server.url .. "/from", response.history[1].url)
      assert.equal(row[1], response.history[1].status)
      local second = server.requests[2]
      assert.equal("1", second.headers:get "x-mine")
      if second.body == "" then
        assert.is_nil(second.headers:get "content-type")
        assert.is_nil(second.headers:get "content-length")
      end
      assert.is_nil(second.headers:get "referer")
      assert.equal(1, server.connections)
    end)
  end

  for _, status in ipairs { 300, 304, 305, 306, 399 } do
    works(status .. " is an answer like others", function()
      local server <close> = leading(status, "/to")
      assert.equal(status, assert(http.get(server.url .. "/from")).status)
    end)
  end

  works("without Location is an answer like others", function()
    local server <close> = peer.server(function() return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n" end)
    assert.equal(302, assert(http.get(server.url)).status)
  end)

  works("is not followed where that is not wanted", function()
    local server <close> = leading(302, "/to")
    for _, follow in ipairs { false, 0 } do
      local response = assert(http.get(server.url .. "/from", { follow = follow }))
      assert.equal(302, response.status)
      assert.equal("body", response:text())
    end
    local client <close> = http.client { follow = false }
    assert.equal(302, client:get(server.url .. "/from").status)
    assert.equal(200, client:get(server.url .. "/from", { follow = 1 }).status)
  end)

  works("is followed so often, and no more", function()
    local server <close> = peer.server(function(request)
      local n = tonumber(request.target:match "%d+")
      return n > 0 and redirect(302, "/" .. n - 1) or ok "there"
    end)
    local response = assert(http.get(server.url .. "/10"))
    assert.equal("there", response:text())
    assert.equal(10, #response.history)
    local _, why, code = http.get(server.url .. "/11")
    assert.equal("ELOOP", code)
    assert.truthy(why:find "more than 10 redirects")
    assert.fails("ELOOP", http.get(server.url .. "/2", { follow = 1 }))
    assert.equal("there", http.get(server.url .. "/15", { follow = 15 }):text())
  end)

  works("with a body that cannot be read again is a failure", function()
    local server <close> = leading(307, "/to")
    local given
    local function body()
      if given then return nil end
      given = true
      return "body"
    end
    assert.fails("ESPIPE", http.post(server.url .. "/from", { body = body }))
    given = nil
    server:close()
    local other <close> = leading(303, "/to")
    assert.equal("GET /to ", http.post(other.url .. "/from", { body = body }):text())
  end)

  works("has a file read again", function()
    local server <close> = leading(307, "/to")
    local path = helper.tmpname()
    local out = assert(io.open(path, "wb"))
    out:write "0123456789"
    out:close()
    local handle <close> = assert(io.open(path, "rb"))
    handle:seek("set", 4)
    assert.equal("POST /to 456789", http.post(server.url .. "/from", { body = handle }):text())
    local file <close> = assert(http.file(path))
    assert.equal("POST /to 0123456789", http.post(server.url .. "/from", { body = file }):text())
    local text = http.post(server.url .. "/from", { body = { multipart = { a = "b", f = { path = path } } } }):text()
    assert.truthy(text:find("0123456789", 1, true))
  end)

  works("with a body of its own that is long, or has no end, is followed", function()
    local server <close> = peer.server(function(request, conn)
      if request.target == "/long" then return redirect(302, "/to"):gsub("Content%-Length: 4",
        "Content-Length: 50000000") end
      if request.target == "/endless" then
        conn:write "HTTP/1.1 302 Found\r\nLocation: /to\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        return nil
      end
      return ok "there"
    end)
    assert.equal("there", http.get(server.url .. "/long", { timeout = 5 }):text())
    assert.equal("there", http.get(server.url .. "/endless", { timeout = 5 }):text())
  end)
end)

describe("http: where a redirect leads", function()
  local rows <const> = {
    { "/x", "/x" }, { "x", "/dir/x" }, { "../x", "/x" }, { "?q", "/dir/from?q" }, { "", "/dir/from" }, { "./x/../y",
      "/dir/y" },
    { "//127.0.0.1:PORT/x", "/x" }, { "http://127.0.0.1:PORT/x", "/x" }, { "HTTP://127.0.0.1:PORT", "/" },
    { "http:/x", "/x" }, { "/a b", "/a%20b" }, { "/a|b{c}", "/a|b%7Bc%7D" }, { "/ä", "/%C3%A4" }, { "\\x", "/x" },
    { "/a\tb", "/ab" }, { "/?a[]=1", "/?a[]=1" }, { "/\"<>", "/%22%3C%3E" }, { "/%zz", "/%zz" },
  }
  for _, row in ipairs(rows) do
    works("is read as browsers do: " .. row[1], function()
      local server
      server = peer.server(function(request)
        if #server.requests == 1 then return redirect(302, (row[1]:gsub("PORT", server.port))) end
        return ok(request.target)
      end)
      local held <close> = server
      assert.equal(row[2], assert(http.get(server.url .. "/dir/from")):text())
    end)
  end

  local refused <const> = {
    { "ftp://127.0.0.1/", "EPROTONOSUPPORT" }, { "file:///etc/passwd", "EPROTONOSUPPORT" },
    { "javascript:alert(1)", "EPROTONOSUPPORT" }, { "gopher://127.0.0.1:70/_x", "EPROTONOSUPPORT" },
    { "http://", "EBADMSG" }, { "http://[::1", "EBADMSG" }, { "http://h:99999/", "EBADMSG" }, { "http://a b/",
      "EBADMSG" },
    { "http://127.0.0.1:0/", "EBADMSG" },
  }
  for _, row in ipairs(refused) do
    works("may be nowhere: " .. row[1], function()
      local server <close> = leading(302, row[1])
      assert.fails(row[2], http.get(server.url .. "/from"))
    end)
  end

  works("must be one place", function()
    local server <close> = peer.server(function() return redirect(302, "/a", "Location: /b\r\n") end)
    assert.fails("EBADMSG", http.get(server.url))
  end)

  works("keeps the fragment, unless it has one", function()
    local server <close> = leading(302, "/to")
    assert.equal(server.url .. "/to#part", http.get(server.url .. "/from#part").url)
    local other <close> = leading(302, "/to#own")
    assert.equal(other.url .. "/to#own", http.get(other.url .. "/from#part").url)
  end)

  works("can be another host", function()
    local there <close> = leading(302, "/x")
    local here <close> = leading(302, there.url .. "/from")
    local response = assert(http.get(here.url .. "/from"))
    assert.equal("GET /x ", response:text())
    assert.equal(2, #response.history)
    assert.equal("127.0.0.1:" .. there.port, there.requests[1].headers:get "host")
  end)

  works("can be nobody there", function()
    local here <close> = leading(302, "http://127.0.0.1:1/")
    local _, why, code = http.get(here.url .. "/from")
    assert.equal("ECONNREFUSED", code)
    assert.truthy(why:find("GET http://127.0.0.1:1:", 1, true))
  end)
end)

describe("http: to another origin", function()
  local SECRET <const> = {
    Authorization = "Bearer secret", Cookie = "id=secret", ["Proxy-Authorization"] = "Basic secret",
      Host = "secret.example",
    ["X-Mine"] = "1",
  }

  local function kept_names(request)
    local names = {}
    for name, value in request.headers:pairs() do
      if value:find "secret" then names[#names + 1] = name end
    end
    table.sort(names)
    return names
  end

  works("nothing goes that is meant for the first", function()
    local there <close> = peer.server(function() return ok "x" end)
    local here <close> = leading(302, there.url .. "/")
    assert(http.get(here.url .. "/from", { headers = SECRET }))
    assert.equal(4, #kept_names(here.requests[1]))
    assert.same({}, kept_names(there.requests[1]))
    assert.equal("1", there.requests[1].headers:get "x-mine")
    assert.equal("127.0.0.1:" .. there.port, there.requests[1].headers:get "host")
  end)

  works("no password goes, and none comes back", function()
    local here
    local there <close> = peer.server(function() return redirect(302, here.url .. "/back") end)
    here = leading(302, there.url .. "/")
    local held <close> = here
    assert(http.get(here.url .. "/from", { auth = { "me", "secret" } }))
    assert.truthy(here.requests[1].headers:get "authorization")
    assert.is_nil(there.requests[1].headers:get "authorization")
    assert.is_nil(here.requests[2].headers:get "authorization")
    assert(http.get(("http://me:secret@127.0.0.1:%d/from"):format(here.port)))
    assert.is_nil(there.requests[2].headers:get "authorization")
  end)

  works("goes what a redirect to the same origin keeps", function()
    local server <close> = leading(302, "/to")
    assert(http.get(server.url .. "/from", { headers = SECRET, auth = { "me", "x" } }))
    assert.equal(4, #kept_names(server.requests[2]))
    assert(http.get(server.url .. "/from", { auth = { "me", "x" } }))
    assert.truthy(server.requests[4].headers:get "authorization")
  end)

  works("counts a port, and a name for the same address", function()
    local server
    server = peer.server(function(request)
      if request.target == "/from" then return redirect(302, ("http://localhost.example:%d/to"):format(server.port)) end
      return ok "x"
    end)
    local held <close> = server
    local client <close> = http.client { resolve = { ["localhost.example"] = "127.0.0.1" } }
    assert(client:get(server.url .. "/from", { headers = SECRET }))
    assert.same({}, kept_names(server.requests[2]))
  end)

  works("a password of a Location is nobody's", function()
    local server
    server = peer.server(function(request)
      if request.target == "/from" then return redirect(302, ("http://evil:pw@127.0.0.1:%d/to"):format(server.port)) end
      return ok "x"
    end)
    local held <close> = server
    local response = assert(http.get(server.url .. "/from"))
    assert.is_nil(server.requests[2].headers:get "authorization")
    assert.equal(server.url .. "/to", response.url)
  end)

  works("a challenge there gets no password", function()
    local there <close> = peer.server(function()
      return 'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length: 0\r\n\r\n'
    end)
    local here <close> = leading(302, there.url .. "/")
    assert.equal(401, http.get(here.url .. "/from", { auth = { "me", "secret", scheme = "digest" } }).status)
    assert.equal(1, #there.requests)
  end)
end)

describe("http: what servers asked for", function()
  local CHALLENGE <const> = 'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
    .. "Content-Length: 0\r\n\r\n"

  works("is remembered, up to a number of users", function()
    helper.need(pcall(require, "neap.tlscore"), "neap was built without OpenSSL")
    local server <close> = peer.server(function(request)
      if (request.headers:get "authorization" or ""):find "^Digest " then return ok "x" end
      return CHALLENGE
    end)
    local client <close> = http.client {}
    local function ask(user)
      local before = #server.requests
      local response = assert(client:get(server.url, { auth = { user, "pw", scheme = "digest" } }))
      assert.equal("x", response:text())
      return #server.requests - before
    end
    assert.equal(2, ask "me")
    assert.equal(1, ask "me")
    for i = 1, 300 do assert.equal(2, ask("user" .. i)) end
    assert.equal(1, ask "user300")
    assert.equal(2, ask "me") -- it was forgotten
    local n = 0
    for _ in pairs(client.logins) do n = n + 1 end
    assert.is_true(n <= 128)
  end)
end)

describe("http: from https to http", function()
  local certs <const> = require "support.certs"
  local lab <const> = require "support.tls_lab"
  local tls <const> = require "neap.tls"

  it("nothing goes, unless that is allowed", function()
    certs.need()
    in_task(function()
      local plain <close> = peer.server(function() return ok "in the clear" end)
      local listener = assert(tls.listen("127.0.0.1", 0, lab.listener()))
      local secure <close> = peer.server(function(request)
        if request.target == "/up" then return ok "secure" end
        return redirect(302, plain.url .. "/")
      end, listener, "https")
      local client <close> = http.client { tls = { ca = certs.ca() }, resolve = { ["good.example"] = "127.0.0.1" } }
      local url = "https://good.example:" .. secure.port
      local _, why, code = client:get(url)
      assert.equal("EPERM", code)
      assert.truthy(why:find "allow_downgrade")
      assert.equal(0, #plain.requests)
      local response = assert(client:get(url, { allow_downgrade = true }))
      assert.equal("in the clear", response:text())
      assert.is_nil(response.tls)
      local up <close> = leading(302, url .. "/up")
      response = assert(client:get(up.url .. "/from"))
      assert.equal("secure", response:text())
      assert.equal("TLSv1.3", response.tls.version)
    end)
  end)
end)
