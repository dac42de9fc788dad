--- The HTTP client: what it sends, what it makes of answers, and what it does
-- about servers that lie, vanish, dribble, flood, and never say anything.
local helper <const> = require "support.helper"
local http <const> = require "neap.http"
local httpcore <const> = require "neap.httpcore"
local neap <const> = require "neap"
local peer <const> = require "support.http_peer"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"

local in_task <const> = helper.in_task
local ok <const> = peer.ok

local function works(name, body)
  it(name, function() in_task(body) end)
end

-- A server that answers all with the same.
local function answering(text)
  return peer.server(function() return text end)
end

local function hello() return answering(ok "hello") end

-- ---- what is sent ----

describe("http: a request", function()
  works("says who is asked, for what, and what can be taken", function()
    local server <close> = hello()
    local response = assert(http.get(server.url .. "/a/b?c=d#e"))
    assert.equal("hello", response:text())
    local request = server.requests[1]
    assert.equal("GET /a/b?c=d HTTP/1.1", request.head:match "^[^\r]*")
    assert.equal("Host: 127.0.0.1:" .. server.port, request.head:match "\r\n([^\r]*)")
    assert.equal("*/*", request.headers:get "accept")
    assert.equal("neap", request.headers:get "user-agent")
    assert.truthy(request.headers:get "accept-encoding")
    assert.is_nil(request.headers:get "referer")
    assert.is_nil(request.headers:get "content-length")
    assert.is_nil(request.headers:get "connection")
  end)

  for _, method in ipairs { "get", "head", "post", "put", "patch", "delete", "options" } do
    works("has the method " .. method, function()
      local server <close> = answering "HTTP/1.1 204 No Content\r\n\r\n"
      local response = assert(http[method](server.url))
      assert.equal(204, response.status)
      assert.equal("", response:text())
      assert.equal(method:upper(), server.requests[1].method)
      local none = method == "post" or method == "put" or method == "patch"
      assert.equal(none and "0" or nil, server.requests[1].headers:get "content-length")
    end)
  end

  works("has any other method", function()
    local server <close> = hello()
    assert(http.request { method = "PROPFIND", url = server.url })
    assert(http.request("REPORT", server.url, { body = "x" }))
    assert.equal("PROPFIND", server.requests[1].method)
    assert.equal("x", server.requests[2].body)
  end)

  works("adds parameters to the query", function()
    local server <close> = hello()
    http.get(server.url, { query = { a = "x y&z" } })
    http.get(server.url .. "/?b=1", { query = { { "a", 2 }, { "c", "ü" } } })
    http.get(server.url .. "/?", { query = {} })
    assert.equal("/?a=x+y%26z", server.requests[1].target)
    assert.equal("/?b=1&a=2&c=%C3%BC", server.requests[2].target)
    assert.equal("/?", server.requests[3].target)
  end)

  -- What follows the host, and what is sent.
  works("reads behind the host as browsers do, what is no URL by RFC 3986", function()
    local server <close> = hello()
    local rows = {
      { "/?a[]=1&b[c]=2", "/?a[]=1&b[c]=2" }, { "?a[]", "/?a[]" }, { "/a|b/[c]/../{d}?e|{f}^`\"<>'",
        "/a|b/%7Bd%7D?e|{f}^`%22%3C%3E%27" },
      { "/%zz?100%", "/%zz?100%" }, { "/ä[?ü]", "/%C3%A4[?%C3%BC]" }, { "/#[", "/" }, { "/a/../b", "/a/../b" },
    }
    for i, row in ipairs(rows) do
      assert.equal("hello", assert(http.get(server.url .. row[1])):text())
      assert.equal(row[2], server.requests[i].target)
    end
    local refused = { "/a b[]", "/\\[]", "/\t[]", "/\0[]", "/[]\r\nX: y", "/\xff[]", "\\@127.0.0.1/[]", "[]/", "%/?[]" }
    for _, rest in ipairs(refused) do
      assert.fails("EINVAL", http.get(server.url .. rest))
    end
    for _, text in ipairs { "http://127.1/?a[]", "http://0x7f000001/?a[]", "http:/127.0.0.1/?a[]", "http://a..b/[]" } do
      assert.fails("EINVAL", http.get(text))
    end
  end)

  works("has the program's header fields in place of its own", function()
    local server <close> = hello()
    local client <close> = http.client { headers = { ["X-One"] = "1", ["x-two"] = "client" } }
    client:get(server.url, { headers = { ["X-Two"] = { "a", "b" }, ["user-agent"] = "me", Host = "other.example" } })
    local headers = server.requests[1].headers
    assert.equal("1", headers:get "x-one")
    assert.same({ "a", "b" }, headers:getall "x-two")
    assert.same({ "me" }, headers:getall "user-agent")
    assert.same({ "other.example" }, headers:getall "host")
    client:get(server.url, { headers = { { "X-List", "1" }, { "X-List", "2" } } })
    assert.same({ "1", "2" }, server.requests[2].headers:getall "x-list")
    client:get(server.url, { headers = httpcore.headers { a = "b" } })
    assert.equal("b", server.requests[3].headers:get "a")
  end)

  works("asks for a range, and then for no coding", function()
    local server <close> = hello()
    http.get(server.url, { range = { 5, 9 } })
    http.get(server.url, { range = { 7 } })
    assert.equal("bytes=5-9", server.requests[1].headers:get "range")
    assert.equal("bytes=7-", server.requests[2].headers:get "range")
    assert.is_nil(server.requests[1].headers:get "accept-encoding")
  end)

  works("goes over a Unix socket", function()
    local path = helper.tmpname ".sock"
    local server <close> = peer.server(function() return ok "unix" end, assert(unix.listen(path)))
    local response = assert(http.get("http://service.example/x", { unix = path }))
    assert.equal("unix", response:text())
    assert.equal("service.example", server.requests[1].headers:get "host")
  end)

  works("goes where option 'resolve' says", function()
    local server <close> = hello()
    local client <close> = http.client { resolve = { ["a.example"] = "127.0.0.1:" .. server.port,
      ["b.example:81"] = "127.0.0.1:" .. server.port } }
    assert.equal("hello", client:get("http://a.example/"):text())
    assert.equal("hello", client:get("http://b.example:81/"):text())
    assert.equal("b.example:81", server.requests[2].headers:get "host")
  end)
end)

describe("http: what could be taken for another request is never sent:", function()
  local bad <const> = { "a\r\nX: y", "a\nX: y", "a\rX", "a\0b", "\127" }
  works("header values and names", function()
    for _, text in ipairs(bad) do
      assert.raises("control character", http.get, "http://127.0.0.1:1/", { headers = { a = text } })
      assert.raises("bad name", http.get, "http://127.0.0.1:1/", { headers = { [text] = "a" } })
    end
    for _, name in ipairs { "a b", "a:", "", "ä", "a(" } do
      assert.raises("name", http.get, "http://127.0.0.1:1/", { headers = { [name] = "a" } })
    end
  end)

  works("methods and protocols", function()
    for _, text in ipairs { "GET /x HTTP/1.1\r\nA: b\r\n\r\nGET", "G T", "", "G\0T", "GÄT" } do
      assert.raises("token", http.request, text, "http://127.0.0.1:1/")
    end
    assert.raises("bad method 'G??T'", http.request, "G\r\nT", "http://127.0.0.1:1/")
    assert.raises("CONNECT", http.request, "CONNECT", "http://127.0.0.1:1/")
    for _, text in ipairs(bad) do
      assert.raises("option 'upgrade'", http.get, "http://127.0.0.1:1/", { upgrade = text })
    end
  end)

  works("URLs, which are values from elsewhere", function()
    for _, text in ipairs(bad) do
      assert.fails("EINVAL", http.get("http://127.0.0.1:1/" .. text))
      assert.fails("EINVAL", http.get("http://127.0.0.1" .. text .. ":1/"))
      assert.fails("EINVAL", http.get("http://127.0.0.1:1/?" .. text))
    end
    assert.fails("EINVAL", http.get "http://127.0.0.1:1/ HTTP/1.1")
  end)

  works("parameters, users, passwords, tokens, ranges, trailers", function()
    local server <close> = hello()
    for _, text in ipairs(bad) do
      assert(http.get(server.url, { query = { [text] = text } }))
      assert.raises("control character", http.get, server.url, { auth = { text, "b" } })
      assert.raises("control character", http.get, server.url, { auth = { "a", text } })
      assert.raises("token", http.get, server.url, { auth = { bearer = text } })
      assert.raises("control character", http.post, server.url, { body = "a", trailers = { a = text } })
    end
    assert.raises("option 'range'", http.get, server.url, { range = { "0\r\n" } })
    assert.raises("option 'range'", http.get, server.url, { range = { 5, 4 } })
    for _, request in ipairs(server.requests) do assert.truthy(request.target:find("%?[%w%%=+]+$")) end
  end)

  works("fields that say how a message is framed", function()
    for _, name in ipairs { "Content-Length", "transfer-encoding", "Connection", "Upgrade", "Expect", "Trailer" } do
      assert.raises("cannot be set", http.post, "http://127.0.0.1:1/", { headers = { [name] = "1" } })
    end
  end)
end)

describe("http: misuse", function()
  local U <const> = "http://127.0.0.1:1/"
  local rows <const> = {
    { "unknown option 'timeuot'", { timeuot = 1 } },
    { "option 'timeout'", { timeout = "1" } },
    { "option 'follow'", { follow = -1 } },
    { "option 'follow'", { follow = "yes" } },
    { "option 'auth'", { auth = { "a" } } },
    { "option 'auth'", { auth = { "a", "b", scheme = "ntlm" } } },
    { "colon", { auth = { "a:b", "c" } } },
    { "option 'proxy'", { proxy = 1 } },
    { "option 'proxy'", { proxy = "ftp://h" } },
    { "option 'expect'", { expect = "yes" } },
    { "option 'body'", { body = { foo = 1 } } },
    { "option 'body'", { body = 5 } },
    { "option 'body'", { body = { form = {}, multipart = {} } } },
    { "option 'headers'", { headers = "a: b" } },
    { "a table expected", { headers = { "a" } }, "expected" },
    { "option 'max_per_host'", { max_per_host = 0 } },
    { "option 'cookies'", { cookies = 5 } },
    { "option 'tls'", { tls = 5 } },
    { "unknown option 'certificate'", { tls = { certificate = "x" } } },
    { "unknown option 'nodealy'", { tcp = { nodealy = true } } },
    { "option 'resolve'", { resolve = { a = 5 } } },
  }
  for _, row in ipairs(rows) do
    it("raises: " .. row[1], function()
      local err = assert.raises(row[3] or row[1], http.get, U, row[2])
      assert.truthy(tostring(err):find "http_client_spec" or tostring(err):find "^[%l]", tostring(err))
    end)
  end

  it("blames the line that called", function()
    local client <close> = http.client {}
    local calls <const> = {
      function() http.get(U, { bad = 1 }) end, function() http.client { bad = 1 } end,
      function() client:get(U, { bad = 1 }) end, function() client:request(U, U, { bad = 1 }) end,
      function() client:request { url = U, bad = 1 } end, function() http.request { url = U, bad = 1 } end,
      function() http.request("GET", U, { bad = 1 }) end, function() http.request { } end,
      function() http.post(U, { body = { a = 1 } }) end, function() http.get(U, { headers = { a = "\n" } }) end,
      function() http.get(U, { headers = { ["content-length"] = "1" } }) end, function() http.get(5) end,
      function() client:get() end, function() client.get({}, U) end, function() http.get(U, { range = {} }) end,
      function() http.get(U, { auth = {} }) end, function() http.get(U, { proxy = "x y" }) end,
      function() http.get(U, { query = { {} } }) end, function() http.request("A B", U) end,
      function() http.post(U, { body = "a", trailers = { a = "\n" } }) end,
    }
    for i, call in ipairs(calls) do
      local fine, err = pcall(call)
      assert.is_false(fine, "call " .. i)
      assert.truthy(tostring(err):find("http_client_spec.lua:", 1, true), ("call %d: %s"):format(i, err))
    end
  end)
end)

describe("http: addresses that lead nowhere", function()
  works("fail with what happened, and without passwords", function()
    local _, why, code = http.get "http://user:secret@127.0.0.1:1/path?token=1"
    assert.equal("ECONNREFUSED", code)
    assert.equal("GET http://127.0.0.1:1: connect 127.0.0.1:1: Connection refused", why)
    assert.fails("EINVAL", http.get "no url")
    assert.fails("EINVAL", http.get "http:///x")
    assert.fails("EINVAL", http.get "http://h:0/")
    assert.fails("EPROTONOSUPPORT", http.get "ftp://h/")
    assert.fails("EPROTONOSUPPORT", http.get "file:///etc/passwd")
    assert.fails("ENOENT", http.get("http://h/", { unix = helper.tmpname() }))
    _, why = http.get "http://u:secret@h:99999/"
    assert.is_nil(why:find("secret", 1, true))
  end)
end)

-- ---- bodies that are sent ----

describe("http: a body", function()
  local function sent(body, options)
    local server <close> = hello()
    options = options or {}
    options.body = body
    assert(http.post(server.url, options))
    return server.requests[1]
  end

  works("is a string", function()
    local request = sent "some text"
    assert.equal("9", request.headers:get "content-length")
    assert.equal("some text", request.body)
    assert.equal("", sent("").body)
    local long = ("x"):rep(300000)
    assert.equal(long, sent(long).body)
  end)

  works("is a function that gives pieces", function()
    local i = 0
    local request = sent(function()
      i = i + 1
      if i == 3 then neap.sleep(0.01) end
      return ({ "one ", "", "two ", "three" })[i]
    end)
    assert.equal("chunked", request.headers:get "transfer-encoding")
    assert.is_nil(request.headers:get "content-length")
    assert.equal("one two three", request.body)
  end)

  works("is a file", function()
    local path = helper.tmpname()
    local out = assert(io.open(path, "wb"))
    out:write(("0123456789"):rep(20000))
    out:close()
    local file <close> = assert(io.open(path, "rb"))
    file:seek("set", 5)
    local request = sent(file)
    assert.equal("199995", request.headers:get "content-length")
    assert.equal("56789", request.body:sub(1, 5))
    assert.equal(199995, #request.body)
    local whole <close> = assert(http.file(path))
    assert.equal(200000, #sent(whole).body)
  end)

  works("is a stream, or another response", function()
    local a <close>, b = assert(tcp.pair())
    neap.spawn(function()
      b:write "from "
      neap.sleep(0.01)
      b:write "a stream"
      b:close()
    end)
    assert.equal("from a stream", sent(a).body)
    local other <close> = hello()
    assert.equal("hello", sent(assert(http.get(other.url))).body)
  end)

  works("is a form", function()
    local request = sent { form = { a = "x y", b = { "1", "2" } } }
    assert.equal("application/x-www-form-urlencoded", request.headers:get "content-type")
    assert.equal("a=x+y&b=1&b=2", request.body)
  end)

  works("is a form with files", function()
    local path = helper.tmpname ".txt"
    local out = assert(io.open(path, "wb"))
    out:write "contents"
    out:close()
    local request = sent { multipart = { { name = "a", value = "b" }, { name = "f", path = path } } }
    local boundary = request.headers:get "content-type":match "^multipart/form%-data; boundary=(.*)$"
    assert.truthy(boundary)
    assert.equal(tostring(#request.body), request.headers:get "content-length")
    assert.truthy(request.body:find("contents\r\n--" .. boundary .. "--\r\n", 1, true))
    assert.fails("ENOENT", http.post("http://127.0.0.1:1/", { body = { multipart = { f = { path = "/nowhere/x" } } } }))
  end)

  works("has the program's type rather than its own", function()
    local request = sent({ form = { a = "b" } }, { headers = { ["Content-Type"] = "text/x" } })
    assert.same({ "text/x" }, request.headers:getall "content-type")
  end)

  works("has trailers", function()
    local request = sent(function() end, { trailers = { ["X-Sum"] = "7" } })
    assert.equal("x-sum", request.headers:get "trailer")
    assert.equal("7", request.trailers:get "x-sum")
    assert.equal("8", sent("text", { trailers = { ["X-Sum"] = "8" } }).trailers:get "x-sum")
  end)

  works("whose function raises ends the request", function()
    local server <close> = hello()
    local client <close> = http.client {}
    local n = 0
    assert.raises("out of paper", client.post, client, server.url, { body = function()
      n = n + 1
      if n == 2 then error("out of paper", 0) end
      return "x"
    end })
    assert.equal(0, client:connections().active)
    assert.raises("not a string", client.post, client, server.url, { body = function() return 5 end })
  end)

  works("that fails is why the request fails", function()
    local server <close> = hello()
    assert.fails("EIO", http.post(server.url, { body = function() return nil, "the tape is torn", "EIO" end }))
    local a <close>, b = assert(tcp.pair())
    b:close()
    a:close()
    assert.fails("ECLOSED", http.post(server.url, { body = a }))
  end)

  works("waits for 100, and goes when it does not come", function()
    local server <close> = peer.server(function(request) return ok(request.headers:get "expect" .. request.body) end)
    assert.equal("100-continuebody", assert(http.put(server.url, { body = "body", expect = 5 })):text())
    local silent <close> = peer.raw(function(conn)
      local request = peer.read_head(conn)
      conn:write(ok(peer.body_of(conn, request)))
    end)
    assert.equal("body", assert(http.put(silent.url, { body = "body", expect = 0.02 })):text())
  end)

  works("is not sent when the answer is there before it", function()
    local server <close> = peer.raw(function(conn, self)
      peer.read_head(conn)
      conn:write "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"
      self.rest = conn:read "a"
    end)
    local asked = false
    local response = assert(http.put(server.url, { expect = 5, body = function() asked = true end }))
    assert.equal(413, response.status)
    assert.equal("big", response:text())
    helper.eventually(function() return server.rest end)
    assert.equal("", server.rest)
    assert.is_false(asked)
  end)

  works("is sent without asking after 417", function()
    local server <close> = peer.raw(function(conn, self, n)
      local request = peer.read_head(conn)
      if n == 1 then return conn:write "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n" end
      self.expect = request.headers:get "expect"
      conn:write(ok(peer.body_of(conn, request)))
    end)
    assert.equal("body", assert(http.put(server.url, { body = "body", expect = 5 })):text())
    assert.is_nil(server.expect)
  end)

  works("is given up when the answer comes before its end", function()
    local server <close> = peer.raw(function(conn)
      peer.read_head(conn)
      conn:read(100)
      conn:write "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"
      neap.sleep(3600) -- and takes no more
    end)
    local client <close> = http.client {}
    local response = assert(client:post(server.url, { body = ("x"):rep(20 << 20), timeout = 9 }))
    assert.equal(403, response.status)
    assert.equal("no", response:text())
    assert.equal(0, client:connections().idle)
    local endless = assert(client:post(server.url, { body = function() return ("y"):rep(100) end, timeout = 9 }))
    assert.equal("no", endless:text())
  end)

  works("goes on while its answer is read", function()
    local server <close> = peer.raw(function(conn)
      local decoder = httpcore.decoder()
      peer.read_head(conn)
      conn:write "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      while true do
        local bytes = conn:receive()
        if not bytes then return end
        local data, at = decoder:feed(bytes)
        if data ~= "" then conn:write(httpcore.chunk(data)) end
        if at then
          conn:write(httpcore.last_chunk())
          break
        end
      end
      conn:receive()
    end)
    local client <close> = http.client {}
    local words = neap.channel(4)
    local response = assert(client:post(server.url, { body = function() return (words:receive()) end }))
    for _, word in ipairs { "one", "two", "three" } do
      words:send(word)
      assert.equal(word, response:receive())
    end
    words:close()
    assert.fails("EOF", response:receive())
    helper.eventually(function() return client:connections().active == 0 end)
  end)
end)

-- ---- answers ----

local LONG <const> = ("v"):rep(70000)

-- name, bytes, and what becomes of them: { status, body }, or the code that the
-- request fails with, or { status, nil, code } where its body fails.
local answers <const> = {
  { "a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", { 200, "hello" } },
  { "a length of 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", { 200, "" } },
  { "the connection's end", "HTTP/1.1 200 OK\r\n\r\nup to the end", { 200, "up to the end" } },
  { "the connection's end at once", "HTTP/1.1 200 OK\r\n\r\n", { 200, "" } },
  { "chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\n\r\n", { 200,
    "abcde" } },
  { "chunks in capitals", "HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\nA\r\n0123456789\r\n00\r\n\r\n",
    { 200, "0123456789" } },
  { "no reason", "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", { 200, "x" } },
  { "no reason and no space", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", { 200, "x" } },
  { "HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", { 200, "x" } },
  { "HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nx", { 200, "x" } },
  { "an unknown status", "HTTP/1.1 299 Fine\r\nContent-Length: 1\r\n\r\nx", { 299, "x" } },
  { "204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", { 204, "" } },
  { "304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", { 304, "" } },
  { "interim answers", "HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n"
    .. "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    { 200, "x" } },
  { "the same length twice in one field", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", { 200, "x" } },
  { "a folded field", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\nx", { 200, "x" } },
  { "garbage after the body", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxGARBAGE", { 200, "x" } },
  { "garbage after the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGARBAGE",
    { 200, "x" } },
  { "a second answer", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 500 Evil\r\nContent-Length: 0\r\n\r\n",
    { 200, "x" } },
  { "garbage after 204", "HTTP/1.1 204 No Content\r\n\r\nGARBAGE", { 204, "" } },
  { "trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: 1\r\n\r\n", { 200, "x" } },
  { "a long field", "HTTP/1.1 200 OK\r\nX: " .. LONG .. "\r\nContent-Length: 1\r\n\r\nx", { 200, "x" }, slow = true },

  { "nothing", "", "EPROTO" },
  { "an empty line", "\r\n", "EBADMSG" },
  { "half a status line", "HTTP/1.1 20", "EPROTO" },
  { "half a head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "EPROTO" },
  { "no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", "EBADMSG" },
  { "HTTP/0.9", "<html>hello</html>\r\n\r\n", "EBADMSG" },
  { "TLS", "\21\3\1\0\2\2\70\r\n", "EBADMSG" },
  { "HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "EPROTONOSUPPORT" },
  { "HTTP/2", "HTTP/2 200\r\n\r\n", "EBADMSG" },
  { "another case", "http/1.1 200 OK\r\n\r\n", "EBADMSG" },
  { "a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "EBADMSG" },
  { "a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "EBADMSG" },
  { "a status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n", "EBADMSG" },
  { "a negative status", "HTTP/1.1 -20 OK\r\n\r\n", "EBADMSG" },
  { "a status below 100", "HTTP/1.1 099 Low\r\n\r\n", "EBADMSG" },
  { "a space before the version", " HTTP/1.1 200 OK\r\n\r\n", "EBADMSG" },
  { "two spaces", "HTTP/1.1  200 OK\r\n\r\n", "EBADMSG" },
  { "a tab", "HTTP/1.1\t200 OK\r\n\r\n", "EBADMSG" },
  { "bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx", "EBADMSG" },
  { "a bare line feed in the head", "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 1\r\n\r\nx", "EBADMSG" },
  { "a bare carriage return", "HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 1\r\n\r\nx", "EBADMSG" },
  { "a NUL in a value", "HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 1\r\n\r\nx", "EBADMSG" },
  { "a NUL in the reason", "HTTP/1.1 200 O\0K\r\nContent-Length: 1\r\n\r\nx", "EBADMSG" },
  { "a control character in a name", "HTTP/1.1 200 OK\r\nA\1: b\r\n\r\n", "EBADMSG" },
  { "a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx", "EBADMSG" },
  { "a field without a colon", "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n", "EBADMSG" },
  { "a field without a name", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "EBADMSG" },
  { "a folded first field", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "EBADMSG" },
  { "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", "EBADMSG" },
  { "two lengths in one field", "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nxy", "EBADMSG" },
  { "a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "EBADMSG" },
  { "a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx", "EBADMSG" },
  { "a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", "EBADMSG" },
  { "a length in hexadecimal", "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\nx", "EBADMSG" },
  { "a length with a fraction", "HTTP/1.1 200 OK\r\nContent-Length: 1.0\r\n\r\nx", "EBADMSG" },
  { "an empty length", "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nx", "EBADMSG" },
  { "a length that overflows", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx", "EBADMSG" },
  { "a length with a space in it", "HTTP/1.1 200 OK\r\nContent-Length: 1 1\r\n\r\nx", "EBADMSG" },
  { "an unknown transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: frob\r\n\r\nx", "EPROTONOSUPPORT" },
  { "chunks twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "EBADMSG" },
  { "chunks of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "EBADMSG" },
  { "101, which nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    "EPROTO" },
  { "interim answers without end", ("HTTP/1.1 100 Continue\r\n\r\n"):rep(40), "EBADMSG" },
  { "interim answers alone", ("HTTP/1.1 100 Continue\r\n\r\n"):rep(3), "EPROTO" },
  { "too many fields", "HTTP/1.1 200 OK\r\n" .. ("A: b\r\n"):rep(1001) .. "\r\n", "EMSGSIZE", slow = true },
  { "a head without end", "HTTP/1.1 200 OK\r\nX: " .. ("v"):rep(300000), "EMSGSIZE", slow = true },

  { "a body shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", { 200, nil, "EPROTO" } },
  { "no body for a length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", { 200, nil, "EPROTO" } },
  { "chunks that end within one", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", { 200, nil,
    "EPROTO" } },
  { "chunks that end between two", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", { 200, nil,
    "EPROTO" } },
  { "chunks that end within a size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5", { 200, nil, "EPROTO" } },
  { "chunks without the last line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", { 200, nil,
    "EPROTO" } },
  { "a chunk's size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
    { 200, nil, "EBADMSG" } },
  { "a negative chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", { 200, nil,
    "EBADMSG" } },
  { "a chunk's size with a prefix", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    { 200, nil, "EBADMSG" } },
  { "an empty chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", { 200, nil,
    "EBADMSG" } },
  { "a chunk's size that overflows", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
    { 200, nil, "EBADMSG" } },
  { "a chunk that is longer than it says",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n", { 200, nil, "EBADMSG" } },
  { "a chunk with a bare line feed", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    { 200, nil, "EBADMSG" } },
  { "a trailer that is malformed", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n", { 200,
    nil, "EBADMSG" } },
  { "a trailer that says a length",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n", { 200, nil, "EBADMSG" } },
  { "trailers without end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" .. ("A: b\r\n"):rep(200)
    .. "\r\n",
    { 200, nil, "EMSGSIZE" } },
  { "gzip that is none", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", { 200, nil,
    "EBADMSG" } },
  { "gzip that is nothing", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", { 200, "" } },
  { "an unknown content coding", "HTTP/1.1 200 OK\r\nContent-Encoding: frob\r\nContent-Length: 5\r\n\r\nhello", { 200,
    nil, "ENOTSUP" } },
  { "five codings",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip, gzip, gzip\r\nContent-Length: 5\r\n\r\nhello",
    { 200, nil, "ENOTSUP" } },
}

describe("http: an answer that is", function()
  local function check(wanted, url, garbage)
    local client <close> = http.client {}
    local response, why, code = client:get(url, { timeout = 20 })
    if type(wanted) == "string" then
      assert.fails(wanted, response, why, code)
      assert.truthy(why:find("GET http://127.0.0.1:", 1, true), why)
    else
      assert.is_nil(why)
      assert.equal(wanted[1], response.status)
      local text
      text, why, code = response:text()
      if wanted[3] then
        assert.fails(wanted[3], text, why, code)
        assert.fails(wanted[3], response:text()) -- and again
        assert.fails(wanted[3], response:receive())
      else
        assert.equal(wanted[2], text)
        assert.equal("", response:text())
      end
    end
    local state = client:connections()
    assert.equal(0, state.active)
    if garbage or type(wanted) == "string" then assert.equal(0, state.idle) end
  end

  for _, row in ipairs(answers) do
    works(row[1], function()
      local server <close> = peer.says(row[2])
      check(row[3], server.url, row[1]:find "garbage" or row[1]:find "second")
    end)
    if not row.slow then
      works(row[1] .. ", byte by byte", function()
        local server <close> = peer.says(row[2], true)
        check(row[3], server.url, row[1]:find "garbage" or row[1]:find "second")
      end)
    end
  end

  it("of at least sixty kinds", function() assert.truthy(#answers >= 60) end)
end)
