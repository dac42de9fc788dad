-- SPDX-License-Identifier: MIT
--- neap.http: the server: requests, answers, connections.
local helper <const> = require "support.helper"
local lab <const> = require "support.http_lab"
local http <const> = require "neap.http"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"

local in_task <const>, response <const> = helper.in_task, lab.response

local GET <const> = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
local LAST <const> = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

local function post(body, more)
  return ("POST / HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s"):format(more or "", #body, body)
end

-- An iterator over these.
local function each(...)
  local list <const>, i = { ... }, 0
  return function()
    i = i + 1
    return list[i]
  end
end

describe("an HTTP server", function()
  describe("answers with", function()
    local function answers(handler, method, options)
      return in_task(function()
        local at <close> = lab.start(handler, options)
        local status, headers, body = at:ask(method or "GET", "/")
        return status, headers, body, at.errors
      end)
    end

    it("a string", function()
      local status, headers, body = answers(function() return "hello" end)
      assert.same({ 200, "hello" }, { status, body })
      assert.equal("text/plain; charset=utf-8", headers["content-type"])
      assert.equal("5", headers["content-length"])
      assert.truthy(headers.date:find "^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$")
      assert.is_nil(headers.server)
    end)

    it("a long string", function()
      local long <const> = ("0123456789"):rep(100000)
      local status, _, body = answers(function() return long end)
      assert.equal(200, status)
      assert.is_true(body == long)
    end)

    it("a status", function()
      local status, _, body = answers(function() return 404 end)
      assert.same({ 404, "404 Not Found\n" }, { status, body })
      local headers
      status, headers, body = answers(function() return 204 end)
      assert.same({ 204, "" }, { status, body })
      assert.is_nil(headers["content-length"])
    end)

    it("a status, a body and headers", function()
      local status, headers, body = answers(function()
        return 201, "{}", { ["Content-Type"] = "application/json", ["X-Twice"] = { "a", "b" } }
      end)
      assert.same({ 201, "{}", "application/json" }, { status, body, headers["content-type"] })
      assert.equal("b", headers["x-twice"])
    end)

    it("a table", function()
      local status, headers, body = answers(function()
        return { status = 202, headers = { { "X-A", "1" } }, body = "all" }
      end)
      assert.same({ 202, "1", "all" }, { status, headers["x-a"], body })
    end)

    it("an iterator, in chunks", function()
      local status, headers, body = answers(function() return 200, each("one ", "", "two ", ("x"):rep(9000)) end)
      assert.equal(200, status)
      assert.equal("chunked", headers["transfer-encoding"])
      assert.equal("one two " .. ("x"):rep(9000), body)
    end)

    it("trailers", function()
      local _, headers, body = answers(function()
        local sum = 0
        return {
          body = function() sum = sum + 1 return sum < 4 and "x" or nil end,
          headers = { Trailer = "X-Sum" },
          trailers = function() return { ["X-Sum"] = tostring(sum) } end,
        }
      end)
      assert.same({ "xxx", "4" }, { body, headers["trailer x-sum"] })
    end)

    it("a stream, which it closes", function()
      local kept
      local _, _, body = answers(function()
        local near, far = tcp.pair()
        near:write "from afar"
        near:close()
        kept = far
        return 200, far
      end)
      assert.equal("from afar", body)
      assert.is_false(kept:isopen())
    end)

    it("a file of Lua's and one by its path", function()
      local path <const> = helper.tmpname ".html"
      local file = assert(io.open(path, "w"))
      file:write(("<p>"):rep(20000))
      file:close()
      local status, headers, body = answers(function() return 200, io.open(path) end)
      assert.same({ 200, "60000" }, { status, headers["content-length"] })
      assert.equal(60000, #body)
      status, headers, body = answers(function() return 200, assert(http.file(path, 3, 6)) end)
      assert.same({ 200, "6", "<p><p>" }, { status, headers["content-length"], body })
      assert.equal("text/html; charset=utf-8", headers["content-type"])
    end)

    it("a length of its own, which is checked", function()
      local status, headers, body = answers(function()
        return 200, each("12", "345"), { ["Content-Length"] = "5" }
      end)
      assert.same({ 200, "5", "12345" }, { status, headers["content-length"], body })
      local _, errors
      status, _, _, errors = answers(function() return 200, "12345", { ["Content-Length"] = 4 } end)
      assert.equal(500, status)
      assert.truthy(errors[1].err:find "Content%-Length is 4, but the body has 5 bytes")
    end)

    it("Upgrade, which Connection then says, too", function()
      local list = { { "Upgrade", "shout" } }
      for _, given in ipairs { { Upgrade = "shout" }, list, { upgrade = "shout", Connection = "Upgrade" } } do
        local status, headers = answers(function() return 426, nil, given end)
        assert.same({ 426, "shout", "Upgrade" }, { status, headers.upgrade, headers.connection })
      end
      local _, headers = answers(function() return 426, nil, list end, "GET", { keepalive = false })
      assert.equal("close, Upgrade", headers.connection)
    end)

    it("no body to HEAD", function()
      for _, case in ipairs {
        { function() return "hello" end, "5" },
        { function() return 200, each "hello" end, nil },
        { function() return 200, nil, { ["content-length"] = "77" } end, "77" },
        { function() return 200, assert(http.file(arg[0])) end, false },
      } do
        in_task(function()
          local at <close> = lab.start(case[1])
          local conn <close> = at:connect()
          conn:write("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
          for _ = 1, 2 do
            local status, headers = response(conn, "HEAD")
            assert.equal(200, status)
            if case[2] ~= false then assert.equal(case[2], headers["content-length"]) end
            assert.is_nil(headers["transfer-encoding"])
          end
          assert.equal("", conn:read "a")
        end)
      end
    end)

    it("a name in Server, if it is told one", function()
      local _, headers = answers(function() return "x" end, "GET", { server_name = "neap" })
      assert.equal("neap", headers.server)
    end)

    it("no body where there can be none", function()
      for _, status in ipairs { 204, 304 } do
        local got, headers, body = answers(function() return status, "a body" end)
        assert.same({ status, "" }, { got, body })
        assert.is_nil(headers["transfer-encoding"])
        assert.is_nil(headers.connection) -- it goes on, as it does unless something else is said
      end
      local _, headers = answers(function() return 204, nil, { ["Content-Length"] = "5", Connection = "x" } end)
      assert.is_nil(headers["content-length"] or headers.connection)
    end)
  end)

  describe("gives a request", function()
    local function seen(bytes, look, options)
      local found
      in_task(function()
        local at <close> = lab.start(function(request)
          found = table.pack(look(request))
          return "ok"
        end, options)
        at:raw(bytes)
        if at.errors[1] then error(at.errors[1].err) end
      end)
      return table.unpack(found, 1, found.n)
    end

    it("its line and its fields", function()
      assert.same({ "GET", "/a%20b?x=1&y=2", "/a%20b", "x=1&y=2", "1.1", "two" }, {
        seen("GET /a%20b?x=1&y=2 HTTP/1.1\r\nHost: a\r\nX-One: two\r\nConnection: close\r\n\r\n", function(r)
          return r.method, r.target, r.path, r.query, r.version, r.headers:get "x-one"
        end),
      })
    end)

    it("the query alone", function()
      assert.same({ "x=1", nil }, { seen("GET /?x=1 HTTP/1.0\r\n\r\n", function(r) return r.query end) })
      assert.is_nil(seen("GET / HTTP/1.0\r\n\r\n", function(r) return r.query end))
    end)

    it("whom it is for and from", function()
      local host, scheme, peer, address, tls = seen(
        "GET http://b.example:81/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        function(r) return r.host, r.scheme, r.peer, r.address, r.tls end)
      assert.same({ "b.example:81", "http" }, { host, scheme })
      assert.equal("127.0.0.1", peer.ip)
      assert.equal("integer", math.type(peer.port))
      assert.equal("127.0.0.1", address.ip)
      assert.is_nil(tls)
    end)

    it("an id that no other has", function()
      local a, b = seen(LAST, function(r) return r.id, r.id end)
      assert.equal(a, b)
      assert.not_equal(a, seen(LAST, function(r) return r.id end))
    end)

    it("query parameters and cookies", function()
      local params, cookies = seen(
        "GET /?a=1&b=x+y&a=2 HTTP/1.1\r\nHost: a\r\nCookie: c=3; d=4\r\nConnection: close\r\n\r\n",
        function(r) return r:query_params(), r:cookies() end)
      assert.same({ "1", "x y", 3 }, { params.a, params.b, #params })
      assert.same({ "3", "4" }, { cookies.c, cookies.d })
    end)

    it("a form", function()
      local form = seen(post("a=1&b=%C3%A4", "Content-Type: application/x-www-form-urlencoded\r\n")
        :gsub("Host", "Connection: close\r\nHost"), function(r) return assert(r:form()) end)
      assert.same({ "1", "ä" }, { form.a, form.b })
      local none, _, code = seen(post("a=1"):gsub("Host", "Connection: close\r\nHost"), function(r) return r:form() end)
      assert.same({ nil, "EBADMSG" }, { none, code })
    end)

    it("the parts of a multipart form", function()
      local body <const> = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
        .. "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n.txt\"\r\n\r\ntwo\r\n--x--\r\n"
      local parts = seen(post(body, "Connection: close\r\nContent-Type: multipart/form-data; boundary=x\r\n"),
        function(r)
          local list = {}
          local reader = assert(r:multipart())
          for part in function() return reader:next() end do
            list[#list + 1] = ("%s %s %s"):format(part.name, part.filename, part:text())
          end
          return list
        end)
      assert.same({ "a nil one", "f n.txt two" }, parts)
    end)
  end)

  describe("reads a body", function()
    local function echo(bytes, handler, options)
      return in_task(function()
        local at <close> = lab.start(handler or function(r) return assert(r:text()) end, options)
        local conn <close> = at:connect()
        conn:write(bytes)
        local status, headers, body = response(conn)
        return status, body, headers, at.errors
      end)
    end

    it("with a length", function()
      assert.same({ 200, "hello" }, { table.unpack({ echo(post "hello") }, 1, 2) })
    end)

    it("in chunks, with trailers", function()
      local status, body = echo(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
          .. "4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\nX-T: v\r\n\r\n",
        function(r) return r:text() .. " " .. r.trailers:get "x-t" end)
      assert.same({ 200, "wikipedia v" }, { status, body })
    end)

    it("in pieces and in lines", function()
      local _, body = echo(post "one\ntwo\n", function(r)
        local list = {}
        for line in r:lines() do list[#list + 1] = line end
        return table.concat(list, "|")
      end)
      assert.equal("one|two", body)
      local function shown(r)
        local list = {}
        for line in r:lines() do list[#list + 1] = ("%q"):format(line) end
        return table.concat(list)
      end
      _, body = echo(post "\r\n\n\rx\r\r\n\ny\r", shown)
      assert.equal('"""""\\13x\\13""""y\\13"', body)
      _, body = echo("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "2\r\nab\r\n3\r\nc\r\n\r\n4\r\nd\ne\n\r\n0\r\n\r\n", shown)
      assert.equal('"abc""d""e"', body)
      assert.takes(0, 4 * helper.slow, function() -- not a copy of all the rest for each
        _, body = echo(post(("\n"):rep(1 << 20)), function(r)
          local n = 0
          for _ in r:lines() do n = n + 1 end
          return tostring(n)
        end)
      end)
      assert.equal(tostring(1 << 20), body)
      _, body = echo(post "abcdef", function(r) return r:receive(2) .. "|" .. r:receive(3) .. "|" .. r:text() end)
      assert.equal("ab|cde|f", body)
    end)

    it("and has none when there is none", function()
      local status, body = echo(GET, function(r)
        local data, _, code = r:receive()
        return ("%s %s %s"):format(data, code, r:text())
      end)
      assert.same({ 200, "nil EOF " }, { status, body })
    end)

    it("while it answers", function()
      local _, body = echo(post(("x"):rep(200000)), function(r)
        return 200, function()
          local data, why, code = r:receive(50000)
          if data or code == "EOF" then return data and data:upper() end
          return nil, why, code
        end
      end)
      assert.is_true(body == ("X"):rep(200000))
    end)

    it("that is cut short: 400, and nobody is told", function()
      in_task(function()
        local at <close> = lab.start(function(r) return assert(r:text()) end)
        local conn <close> = at:connect()
        conn:write "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"
        conn:shutdown "w"
        local status, headers = response(conn)
        assert.same({ 400, "close" }, { status, headers.connection })
        assert.same({}, at.errors)
      end)
    end)

    it("that is of another type than a form: 415, and nobody is told", function()
      for _, method in ipairs { "form", "multipart" } do
        local handler <const> = function(r) return assert(r[method](r)) end
        local status, body, _, errors = echo(post("a=1", "Content-Type: text/plain\r\n"), handler)
        assert.same({ 415, "415 Unsupported Media Type\n", {} }, { status, body, errors })
      end
    end)

    it("that is malformed: 400", function()
      local status, _, headers = echo "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
      assert.same({ 400, "close" }, { status, headers.connection })
    end)

    it("and says 100 only when it is wanted", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          if r.path == "/no" then return 403, "no" end
          return assert(r:text())
        end)
        local conn <close> = at:connect()
        conn:write "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        assert.equal("HTTP/1.1 100 Continue\r\n\r\n", conn:read(25))
        conn:write "hello"
        local _, _, body = response(conn)
        assert.equal("hello", body)
        conn:write "POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        local status, headers = response(conn)
        assert.same({ 403, "close" }, { status, headers.connection })
        assert.equal("", conn:read "a")
      end)
    end)

    it("and lets go of one that nobody read", function()
      in_task(function()
        local at <close> = lab.start(function(r) return r.path end)
        local conn <close> = at:connect()
        conn:write("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", ("x"):rep(100000),
          "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", LAST)
        for _, wanted in ipairs { "/1", "/2", "/" } do
          local status, _, body = response(conn)
          assert.same({ 200, wanted }, { status, body })
        end
        assert.equal("", conn:read "a")
      end)
    end)

    it("and closes after one that nobody read and is too long for that", function()
      in_task(function()
        local at <close> = lab.start(function() return "enough" end, { max_body = 1 << 24 })
        local conn <close> = at:connect()
        local writer = neap.spawn(function()
          conn:write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
          conn:write(("x"):rep(1000000))
        end)
        local status, headers, body = response(conn)
        assert.same({ 200, "close", "enough" }, { status, headers.connection, body })
        writer:join()
      end)
    end)
  end)

  describe("keeps a connection", function()
    it("for one request after the other", function()
      in_task(function()
        local at <close> = lab.start(function(r) return r.path end)
        local conn <close> = at:connect()
        for i = 1, 5 do
          conn:write(("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(i))
          local _, headers, body = response(conn)
          assert.same({ "/" .. i, nil }, { body, headers.connection })
        end
        assert.equal(1, at.server:connections())
      end)
    end)

    it("and answers what comes at once in its order", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          if r.path == "/3" then neap.sleep(0.02) end
          if r.path == "/5" then return 200, each("/", "5") end
          if r.path == "/6" then return 200, ("6"):rep(20000) end
          return r.path
        end)
        local conn <close> = at:connect()
        local out = {}
        for i = 1, 60 do out[i] = ("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(i) end
        conn:write(table.concat(out))
        for i = 1, 60 do
          local _, _, body = response(conn)
          assert.equal(i == 6 and ("6"):rep(20000) or "/" .. i, body)
        end
      end)
    end)

    it("each whole, if a slow reader takes it in parts", function()
      in_task(function()
        local path <const> = helper.tmpname()
        local body <const> = ("s"):rep(60000)
        local at <close> = lab.start(function(r)
          if r.path == "/first" then
            r.conn.stream:setsockopt("SO_SNDBUF", 4096)
            return body
          end
          neap.sleep(0.5) -- the first goes out meanwhile, but not all of it
          return "second"
        end, { write_timeout = 1 }, "unix:" .. path)
        local conn <close> = at:connect()
        conn:write("GET /first HTTP/1.1\r\nHost: a\r\n\r\n" .. GET)
        neap.sleep(1.2) -- so that its time runs out once
        local _, _, first = response(conn)
        assert.is_true(first == body)
        local _, _, second = response(conn)
        assert.equal("second", second)
        assert.same({}, at.errors)
      end)
    end)

    it("and does not hold an answer back while a later handler waits", function()
      in_task(function()
        local go <const> = neap.event()
        local at <close> = lab.start(function(r)
          if r.path == "/2" then go:wait() end
          return r.path
        end)
        local conn <close> = at:connect()
        conn:write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        local _, _, body = response(conn)
        assert.equal("/1", body)
        go:set()
        _, _, body = response(conn) -- the second
        assert.equal("/2", body)
      end)
    end)

    it("whatever the pieces are in which requests come", function()
      in_task(function()
        local at <close> = lab.start(function(r) return r.path .. r:text() end)
        local bytes <const> = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
          .. "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
          .. "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nde"
        for _, step in ipairs { 1, 7, 64 } do
          local conn <close> = at:connect()
          for from = 1, #bytes, step do
            conn:write(bytes:sub(from, from + step - 1))
            if from % 5 == 0 then neap.sleep(0) end
          end
          for _, wanted in ipairs { "/1", "/2abc", "/3de" } do
            local _, _, body = response(conn)
            assert.equal(wanted, body)
          end
          assert.equal("", conn:read "a")
        end
      end)
    end)

    it("until the client says that it is the last", function()
      in_task(function()
        local at <close> = lab.start(function() return "x" end)
        local conn <close> = at:connect()
        conn:write(LAST)
        local _, headers = response(conn)
        assert.equal("close", headers.connection)
        assert.equal("", conn:read "a")
      end)
    end)

    it("until the handler, an option or the number says so", function()
      for _, case in ipairs {
        { function() return 200, "x", { Connection = "close" } end },
        { function() return "x" end, { keepalive = false } },
        { function() return "x" end, { max_requests = 1 } },
      } do
        in_task(function()
          local at <close> = lab.start(case[1], case[2])
          local conn <close> = at:connect()
          conn:write(GET)
          local _, headers = response(conn)
          assert.equal("close", headers.connection)
          assert.equal("", conn:read "a")
        end)
      end
    end)

    it("of HTTP/1.0 only if it is asked to", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          if r.path == "/it" then return 200, each("a", "b") end
          return "x"
        end)
        assert.truthy(at:raw("GET / HTTP/1.0\r\n\r\n"):find "\r\nConnection: close\r\n.*\r\n\r\nx$")
        local conn <close> = at:connect()
        conn:write "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        local _, headers = response(conn)
        assert.equal("keep-alive", headers.connection)
        conn:write "GET /it HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        local body
        _, headers, body = response(conn)
        assert.same({ "close", "ab" }, { headers.connection, body })
        assert.is_nil(headers["transfer-encoding"])
      end)
    end)

    it("though the client has ended its side", function()
      in_task(function()
        local gone
        local at <close> = lab.start(function(r)
          neap.sleep(0.02)
          gone = r:gone()
          return "late"
        end)
        assert.truthy(at:raw(GET, true):find "late$")
        assert.is_false(gone)
      end)
    end)
  end)

  it("knows when the client is gone", function()
    in_task(function()
      local gone
      local at <close> = lab.start(function(r)
        helper.eventually(function() return r:gone() end)
        gone = true
        return "nobody"
      end)
      local conn = at:connect()
      conn:write(GET)
      neap.sleep(0.02)
      conn:setsockopt("SO_LINGER", 0)
      conn:close()
      helper.eventually(function() return gone and at.server:connections() == 0 end)
      assert.same({}, at.errors)
    end)
  end)

  it("answers OPTIONS * itself", function()
    in_task(function()
      local at <close> = lab.start(function() error "not asked" end)
      assert.truthy(at:raw("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):find "^HTTP/1.1 204 ")
    end)
  end)

  describe("survives", function()
    it("a handler that raises: 500, and on_error is told", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          if r.path == "/bad" then error "the secret" end
          return "fine"
        end)
        local conn <close> = at:connect()
        conn:write("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n", GET)
        local status, headers, body = response(conn)
        assert.same({ 500, "500 Internal Server Error\n" }, { status, body })
        assert.is_nil(headers.connection)
        local again <const>, _, text = response(conn)
        assert.same({ 200, "fine" }, { again, text })
        assert.equal(1, #at.errors)
        assert.truthy(at.errors[1].err:find "the secret")
        assert.truthy(at.errors[1].traceback:find "http_server_spec")
        assert.equal("/bad", at.errors[1].request.path)
      end)
    end)

    it("a handler that raises and an on_error that does", function()
      local reports <const> = helper.reports()
      in_task(function()
        local at <close> = lab.start(function() error "one" end, { on_error = function() error "two" end })
        local status = at:ask("GET", "/")
        assert.equal(500, status)
      end)
      assert.equal(1, #reports)
      assert.truthy(tostring(reports[1].err):find "two")
    end)

    it("a handler that raises, without on_error", function()
      local reports <const> = helper.reports()
      in_task(function()
        local server <close> = assert(http.listen "127.0.0.1:0")
        local task = neap.spawn(server.serve, server, function() error({ "a table" }) end)
        local conn <close> = assert(tcp.connect(server:getsockname()))
        conn:write(LAST)
        assert.truthy(conn:read("a"):find "^HTTP/1.1 500 ")
        server:stop(0)
        task:join()
      end)
      assert.equal("a table", reports[1].err[1])
    end)

    for name, case in pairs {
      ["nothing"] = { function() end, "returned nothing" },
      ["a failure"] = { function() return nil, "no luck", "EWHY" end, "no luck" },
      ["what cannot be a body"] = { function() return 200, true end, "a boolean cannot be a body" },
      ["headers without a status"] = { function() return "x", { a = "b" } end, "begins with its status" },
      ["a status that is none"] = { function() return 99 end, "bad status 99" },
      ["a status of four digits"] = { function() return 1000 end, "bad status 1000" },
      ["an unknown field"] = { function() return { statut = 200 } end, "has no 'statut'" },
      ["a line end in a field"] = { function() return 200, "x", { ["X-A"] = "a\r\nB: c" } end, "control character" },
      ["a bad name of a field"] = { function() return 200, "x", { ["X A"] = "a" } end, "bad name" },
      ["an iterator that raises at once"] = { function() return 200, function() error "early" end end, "early" },
      ["a stream that fails at once"] = { function()
        return 200, { receive = function() return nil, "no upstream", "ECONNRESET" end }
      end, "no upstream" },
    } do
      it("a handler that returns " .. name .. ": 500", function()
        in_task(function()
          local at <close> = lab.start(case[1])
          local conn <close> = at:connect()
          conn:write(GET, LAST)
          for _ = 1, 2 do
            local status, _, body = response(conn)
            assert.same({ 500, "500 Internal Server Error\n" }, { status, body })
          end
          assert.equal("", conn:read "a")
          assert.equal(2, #at.errors)
          assert.truthy(tostring(at.errors[1].err):find(case[2], 1, true))
        end)
      end)
    end

    it("an error in the midst of a body: the connection is cut", function()
      in_task(function()
        local at <close> = lab.start(function()
          local n = 0
          return 200, function()
            n = n + 1
            if n == 3 then error "late" end
            return "part"
          end
        end)
        local text = at:raw(GET)
        assert.falsy(text:find "\r\n0\r\n\r\n")
        assert.equal(1, #at.errors)
      end)
    end)

    it("an error in the midst of a body without frames: it is reset", function()
      in_task(function()
        local at <close> = lab.start(function()
          local n = 0
          return 200, function()
            n = n + 1
            if n == 3 then
              neap.sleep(0.02)
              error "late"
            end
            return "part"
          end
        end)
        local conn <close> = at:connect()
        conn:write "GET / HTTP/1.0\r\n\r\n"
        assert.truthy(conn:receive())
        local data, code, _
        repeat data, _, code = conn:receive() until not data
        assert.equal("ECONNRESET", code)
      end)
    end)

    it("a body that is shorter than was said", function()
      in_task(function()
        local at <close> = lab.start(function() return 200, each("1234", "5"), { ["content-length"] = "9" } end)
        local conn <close> = at:connect()
        conn:write(GET)
        assert.is_nil((conn:read(1000)))
        helper.eventually(function() return #at.errors == 1 end)
        assert.truthy(at.errors[1].err:find "less than the 9 bytes")
      end)
    end)

    it("a client that goes in the midst of an answer", function()
      in_task(function()
        local at <close> = lab.start(function() return 200, function() return ("x"):rep(10000) end end)
        local conn = at:connect()
        conn:write(GET)
        conn:read(20000)
        conn:close()
        helper.eventually(function() return at.server:connections() == 0 end)
        assert.same({}, at.errors)
      end)
    end)
  end)

  describe("hands a connection over", function()
    it("with what came already", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          local stream = assert(r:upgrade("echo", { ["X-A"] = "1" }))
          for line in stream:lines() do stream:write(line:upper(), "\n") end
        end)
        local conn <close> = at:connect()
        conn:write "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly\n"
        local status, headers = response(conn)
        assert.same({ 101, "echo", "Upgrade", "1" },
          { status, headers.upgrade, headers.connection, headers["x-a"] })
        assert.equal("EARLY", conn:read())
        conn:write "more\n"
        assert.equal("MORE", conn:read())
        conn:shutdown "w"
        assert.equal("", conn:read "a")
      end)
    end)

    it("as a tunnel", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          assert(r.target == "b.example:443")
          local stream = assert(r:upgrade())
          stream:write(stream:read(3))
        end)
        local conn <close> = at:connect()
        conn:write "CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\nabc"
        assert.truthy(conn:read "l":find "^HTTP/1.1 200 ")
        repeat until conn:read "l" == ""
        assert.equal("abc", conn:read(3))
      end)
    end)

    it("only if it was asked for", function()
      in_task(function()
        local at <close> = lab.start(function(r) return r:upgrade "echo" end)
        assert.equal(500, (at:ask("GET", "/")))
        assert.truthy(at.errors[1].err:find "has not asked for an upgrade")
      end)
    end)
  end)

  describe("answers piece by piece", function()
    it("in chunks", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          local out = assert(r:respond(201, { ["X-A"] = "1" }))
          assert(out:write "one "):write "two"
          out:finish { ["X-T"] = "t" }
        end)
        local status, headers, body = at:ask("GET", "/")
        assert.same({ 201, "1", "one two", "t" }, { status, headers["x-a"], body, headers["trailer x-t"] })
      end)
    end)

    it("of a length that it does not reach: the connection is cut, and on_error is told", function()
      in_task(function()
        local at <close> = lab.start(function(r) assert(r:respond(200, { ["Content-Length"] = "6" })):write "abc" end)
        local conn <close> = at:connect()
        conn:write(GET)
        local text = conn:read "a"
        assert.equal("abc", text:match "\r\n\r\n(.*)$")
        assert.equal("3 bytes of the Content-Length are missing", at.errors[1].err)
      end)
    end)

    it("of a length, and goes on", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          local out = assert(r:respond(200, { ["Content-Length"] = "6" }))
          out:write "abc"
          out:write "def"
        end)
        local conn <close> = at:connect()
        conn:write(GET, LAST)
        for _ = 1, 2 do
          local _, _, body = response(conn)
          assert.equal("abcdef", body)
        end
      end)
    end)

    it("and not twice", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          r:respond(200):write "x"
          r:respond(200)
        end)
        at:raw(GET)
        assert.truthy(at.errors[1].err:find "answered before")
      end)
    end)
  end)

  describe("stops", function()
    it("when what runs has ended, and refuses what is new", function()
      in_task(function()
        local begun <const>, go <const> = neap.event(), neap.event()
        local at <close> = lab.start(function()
          begun:set()
          go:wait()
          return "done"
        end)
        local idle <close> = at:connect()
        local busy <close> = at:connect()
        busy:write(GET, GET)
        begun:wait()
        local stopper = neap.spawn(function() at.server:stop(5) end)
        assert.fails("EOF", idle:receive())
        assert.fails("ECONNREFUSED", tcp.connect(at.host, at.port))
        go:set()
        local status, headers, body = response(busy)
        assert.same({ 200, "close", "done" }, { status, headers.connection, body })
        stopper:join()
        assert.is_true(at.task:join())
        assert.equal(0, at.server:connections())
      end)
    end)

    it("and cancels what takes too long", function()
      in_task(function()
        local cleaned
        local at <close> = lab.start(function()
          local guard <close> = helper.defer(function() cleaned = true end)
          neap.sleep(60)
          return "never"
        end)
        local conn <close> = at:connect()
        conn:write(GET)
        neap.sleep(0.02)
        at.server:stop(0.02)
        assert.is_true(cleaned)
        assert.is_nil((conn:receive()))
        assert.same({}, at.errors)
      end)
    end)

    it("from within a handler", function()
      in_task(function()
        local at <close> = lab.start(function(r)
          r.conn.server:stop(1)
          return "last"
        end)
        local _, _, body = at:ask("GET", "/")
        assert.equal("last", body)
        assert.is_true(at.task:join())
      end)
    end)
  end)

  it("answers once, and goes on, if the log fails", function()
    in_task(function()
      local at <close> = lab.start(function() return "fine" end, { access_log = function() error("disk full", 0) end })
      local conn <close> = at:connect()
      for _ = 1, 2 do
        conn:write(GET)
        local status, _, body = response(conn)
        assert.same({ 200, "fine" }, { status, body })
      end
      conn:write "GET / HTTP/3.0\r\n\r\n"
      assert.equal(505, (response(conn)))
      assert.fails("EOF", conn:receive())
      assert.equal(3, #at.errors)
      assert.equal(200, (at:ask("GET", "/")))
    end)
  end)

  it("raises on what it cannot be told", function()
    assert.raises("unknown option 'max_bdy'", http.listen, "127.0.0.1:0", { max_bdy = 1 })
    assert.raises("option 'head_timeout' must be", http.listen, "127.0.0.1:0", { head_timeout = "1" })
    assert.raises("option 'access_log' must be", http.listen, "127.0.0.1:0", { access_log = 1 })
    assert.raises("option 'log_format' must be", http.listen, "127.0.0.1:0", { log_format = "xml" })
    assert.raises("option 'proxy_protocol' must be", http.listen, "127.0.0.1:0", { proxy_protocol = "maybe" })
    assert.raises("'x/8' is no address", http.listen, "127.0.0.1:0", { trusted_proxies = { "x/8" } })
    assert.raises("option 'cert' is missing", http.listen, "127.0.0.1:0", { tls = {} })
    assert.raises("without control characters", http.listen, "127.0.0.1:0", { server_name = "a\r\nb" })
    for _, address in ipairs { "nowhere", "a:b", "a:70000", true, 1.5 } do
      assert.raises("bad argument #1", http.listen, address)
    end
    assert.raises("a port up to 65535 or a listener expected, got 70000", http.listen, 70000)
    assert.raises("bad argument #2 (function expected", http.serve, "127.0.0.1:0", 1)
    local err <const> = assert.raises("unknown option", http.listen, "127.0.0.1:0", { x = 1 })
    assert.truthy(tostring(err):find "helper.lua" or tostring(err):find "unknown option")
  end)

  it("fails where it cannot listen", function()
    in_task(function()
      local server <close> = assert(http.listen "127.0.0.1:0")
      local ip, port = server:getsockname()
      assert.fails("EADDRINUSE", http.listen(("%s:%d"):format(ip, port)))
      assert.fails("EADDRINUSE", http.serve(("%s:%d"):format(ip, port), function() end))
    end)
  end)

  it("listens on a path", function()
    in_task(function()
      local path <const> = helper.tmpname()
      local at <close> = lab.start(function(r) return tostring(r.peer.path) .. r.host end, nil, "unix:" .. path)
      local status, _, body = at:ask("GET", "/")
      assert.same({ 200, "a.example" }, { status, body })
    end)
  end)

  it("takes a listener of anyone's", function()
    in_task(function()
      local at <close> = lab.start(function() return "x" end, nil, assert(tcp.listen("127.0.0.1", 0)))
      assert.equal(200, (at:ask("GET", "/")))
    end)
  end)

  it("takes no more connections than it may", function()
    in_task(function()
      local at <close> = lab.start(function(r) return r.path end, { max_connections = 2 })
      local a <close> = at:connect()
      local b <close> = at:connect()
      local c <close> = at:connect()
      for _, conn in ipairs { a, b } do
        conn:write(GET)
        assert.equal(200, (response(conn)))
      end
      c:write(GET)
      c:settimeout(0.05)
      assert.fails("ETIMEDOUT", c:receive())
      a:close()
      c:settimeout(5)
      assert.equal(200, (response(c)))
    end)
  end)
end)
