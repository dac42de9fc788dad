--- HTTP responses: how their bodies are read, decoded, bounded, saved and
-- given up; and what happens when time is over, or a task is cancelled.
local helper <const> = require "support.helper"
local http <const> = require "neap.http"
local httpcore <const> = require "neap.httpcore"
local neap <const> = require "neap"
local peer <const> = require "support.http_peer"

local in_task <const> = helper.in_task
local ok <const> = peer.ok

local function works(name, body)
  it(name, function() in_task(body) end)
end

local function chunked(...)
  local out = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" }
  for _, piece in ipairs { ... } do out[#out + 1] = httpcore.chunk(piece) end
  out[#out + 1] = httpcore.last_chunk()
  return table.concat(out)
end

local function slurp(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

-- The names of files in a directory of the test's own.
local function names_in(path)
  local list, pipe = {}, assert(io.popen("ls -A " .. path))
  for name in pipe:lines() do list[#list + 1] = name end
  pipe:close()
  return list
end

local function directory()
  local path = helper.tmpname()
  assert(os.execute("mkdir " .. path))
  return path
end

describe("http: a response", function()
  works("has status, reason, headers, version and url", function()
    local server <close> = peer.server(function()
      return "HTTP/1.1 418 I'm a teapot\r\nX-A: 1\r\nX-a: 2\r\nContent-Length: 0\r\n\r\n"
    end)
    local response = assert(http.get("http://me:secret@127.0.0.1:" .. server.port .. "#top"))
    assert.equal(418, response.status)
    assert.equal("I'm a teapot", response.reason)
    assert.equal("1, 2", response.headers:get "X-A")
    assert.equal("1.1", response.version)
    assert.equal(server.url .. "/#top", response.url)
    assert.same({}, response.history)
    assert.is_nil(response.tls)
    assert.truthy(tostring(response):find "neap.http.response")
  end)

  works("to HEAD has no body, whatever its length says", function()
    local server <close> = peer.server(function(r) return r.method == "HEAD" and
      "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" or ok "x" end)
    local client <close> = http.client {}
    for _ = 1, 3 do
      local response = assert(client:head(server.url))
      assert.equal("500", response.headers:get "content-length")
      assert.equal("", response:text())
      assert.equal("x", client:get(server.url):text())
    end
    assert.equal(1, server.connections)
  end)

  works("may be one long line, which costs no more than it must", function()
    local piece, n = ("x"):rep(1 << 16), 256 * (helper.slow == 1 and 4 or 1)
    local server <close> = peer.raw(function(conn)
      peer.read_request(conn)
      conn:write "HTTP/1.1 200 OK\r\n\r\n"
      for _ = 1, n do conn:write(piece) end
      conn:write "\r\nlast\r"
    end)
    local response = assert(http.get(server.url))
    local began = os.clock()
    local lines = {}
    for line in response:lines() do lines[#lines + 1] = line end
    assert.same({ n << 16, "last\r", nil }, { #lines[1], lines[2], lines[3] })
    assert.is_true(os.clock() - began < 2 * helper.slow, ("it took %.1f s"):format(os.clock() - began))
  end)

  for name, text in pairs {
    ["that is all there"] = ok "one\ntwo\r\nthree",
    ["in chunks"] = chunked("one\nt", "wo\r", "\nthree"),
    ["up to the end"] = "HTTP/1.1 200 OK\r\n\r\none\ntwo\r\nthree",
  } do
    describe("with a body " .. name, function()
      local function each(body)
        for _, slowly in ipairs { false, true } do
          local server <close> = peer.says(text, slowly)
          body(assert(http.get(server.url)))
        end
      end
      works("is read at once", function()
        each(function(r)
          assert.equal("one\ntwo\r\nthree", r:text())
          assert.equal("", r:text())
          assert.fails("EOF", r:receive())
        end)
      end)
      works("is read in pieces", function()
        each(function(r)
          local out = {}
          for piece in r:chunks() do out[#out + 1] = piece end
          assert.equal("one\ntwo\r\nthree", table.concat(out))
        end)
        each(function(r)
          local all = ""
          while true do
            local piece, _, code = r:receive(2)
            if not piece then
              assert.equal("EOF", code)
              break
            end
            assert.truthy(#piece <= 2)
            all = all .. piece
          end
          assert.equal("one\ntwo\r\nthree", all)
        end)
      end)
      works("is read by lines", function()
        each(function(r)
          local out = {}
          for line in r:lines() do out[#out + 1] = line end
          assert.same({ "one", "two", "three" }, out)
        end)
      end)
      works("is discarded", function()
        each(function(r)
          assert.is_true(r:discard())
          assert.equal("", r:text())
        end)
      end)
      works("has a limit", function()
        each(function(r) assert.fails("EMSGSIZE", r:text(5)) end)
        each(function(r) assert.equal("one\ntwo\r\nthree", r:text(14)) end)
        each(function(r) assert.raises("bad argument #1 (an integer", r.text, r, "5") end)
      end)
      works("is saved", function()
        each(function(r)
          local path = directory()
          assert.equal(14, r:save(path .. "/f"))
          assert.equal("one\ntwo\r\nthree", slurp(path .. "/f"))
          assert.same({ "f" }, names_in(path))
        end)
      end)
    end)
  end

  works("has trailers at its end", function()
    local text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: 7\r\n\r\n"
    for _, slowly in ipairs { false, true } do
      local server <close> = peer.says(text, slowly)
      local response = assert(http.get(server.url))
      assert.equal("x", response:text())
      assert.equal("7", response.trailers:get "x-t")
    end
  end)

  works("that is closed says so", function()
    local server <close> = peer.server(function() return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc" end)
    local client <close> = http.client {}
    local response = assert(client:get(server.url))
    assert.equal("abc", response:receive())
    assert.is_true(response:close())
    assert.fails("ECLOSED", response:receive())
    assert.fails("ECLOSED", response:text())
    assert.is_true(response:close())
    assert.equal(0, client:connections().active + client:connections().idle)
    do
      local again <close> = assert(client:get(server.url))
      assert.equal(1, client:connections().active)
    end
    assert.equal(0, client:connections().active)
  end)

  works("is read by one task at a time, and another one is no harm", function()
    local go = neap.channel()
    local server <close> = peer.raw(function(conn)
      peer.read_request(conn)
      conn:write "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
      go:receive()
      conn:write "def"
    end)
    local response <close> = assert(http.get(server.url))
    assert.equal("abc", response:receive())
    local task <close> = neap.spawn(function() return response:receive() end)
    neap.sleep(0.01)
    assert.fails("EBUSY", response:receive())
    go:send(true)
    assert.equal("def", (task:join()))
    assert.fails("EOF", response:receive())
  end)

  works("that nobody has gives its connection up", function()
    local gone = 0
    local server <close> = peer.raw(function(conn)
      peer.read_request(conn)
      conn:write "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"
      conn:receive()
      gone = gone + 1
    end)
    local client <close> = http.client { max_per_host = 2 }
    for _ = 1, 7 do assert(client:get(server.url, { timeout = 5 })) end
    collectgarbage()
    collectgarbage()
    helper.eventually(function() return gone == 7 end)
    assert.equal(0, client:connections().active)
  end)

  works("of 101 hands the connection over", function()
    local server <close> = peer.raw(function(conn)
      local request = peer.read_request(conn)
      conn:write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ", request.upgrade,
        "\r\n\r\nfirst ")
      conn:write(conn:read(4))
    end)
    local client <close> = http.client {}
    local response = assert(client:get(server.url, { upgrade = "echo", timeout = 5 }))
    assert.equal(101, response.status)
    local stream <close> = assert(response:stream())
    assert.is_nil(stream:gettimeout())
    stream:write "ping"
    assert.equal("first ping", stream:read(10))
    assert.fails("EINVAL", response:stream())
    assert.equal(0, client:connections().active)
    local plain <close> = peer.server(function() return ok "no" end)
    assert.equal("no", assert(client:get(plain.url, { upgrade = "echo" })):text())
    assert.fails("EINVAL", client:get(plain.url, { upgrade = "echo" }):stream())
  end)
end)

-- ---- codings and limits ----

describe("http: a body that is coded", function()
  local coding <const> = require "neap.http.coding"
  if coding.accept() == "identity" then return pending "neap was built without zlib" end

  local function coded(name, text)
    local encoder = assert(coding.encoder(name))
    return encoder:feed(text) .. encoder:finish()
  end

  local plain <const> = ("hello "):rep(20000)

  for _, name in ipairs { "gzip", "deflate" } do
    works("is decoded: " .. name, function()
      local body = coded(name, plain)
      for _, framing in ipairs { "length", "chunked", "slow" } do
        local head = "HTTP/1.1 200 OK\r\nContent-Encoding: " .. name .. "\r\n"
        local text = framing == "length" and ("%sContent-Length: %d\r\n\r\n%s"):format(head, #body, body)
          or head .. "Transfer-Encoding: chunked\r\n\r\n" .. httpcore.chunk(body) .. httpcore.last_chunk()
        local server <close> = peer.says(text, framing == "slow")
        assert.equal(plain, assert(http.get(server.url)):text())
        assert.equal(body, assert(http.get(server.url, { decode = false })):text())
      end
    end)
  end

  works("is not, where only a part of it came", function()
    local body = coded("gzip", plain):sub(11, 20)
    local server <close> = peer.server(function()
      return "HTTP/1.1 206 Partial\r\nContent-Encoding: gzip\r\n"
        .. "Content-Range: bytes 10-19/500\r\nContent-Length: 10\r\n\r\n" .. body
    end)
    assert.equal(body, assert(http.get(server.url, { range = { 10, 19 } })):text())
  end)

  works("is not asked for, where it is not wanted", function()
    local server <close> = peer.server(function() return ok "x" end)
    http.get(server.url, { decode = false })
    assert.is_nil(server.requests[1].headers:get "accept-encoding")
  end)

  works("is no bomb", function()
    local body = coded("gzip", ("\0"):rep(50 << 20))
    local server <close> = peer.server(function()
      return ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body)
    end)
    local client <close> = http.client { maxbody = 100000 }
    collectgarbage()
    local before = collectgarbage "count"
    assert.fails("EMSGSIZE", client:get(server.url):text())
    assert.truthy(collectgarbage "count" - before < 4096)
    local n = 0
    assert.raises("more than is allowed", function()
      for piece in client:get(server.url):chunks() do n = n + #piece end
    end)
    assert.truthy(n <= 100000)
    local all = 0
    for piece in client:get(server.url, { maxbody = 60 << 20 }):chunks() do all = all + #piece end
    assert.equal(50 << 20, all)
  end)

  works("that is cut short is a failure", function()
    local body = coded("gzip", plain)
    local cut = body:sub(1, -10)
    local server <close> = peer.server(function()
      return ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"):format(#cut, cut)
    end)
    assert.fails("EBADMSG", http.get(server.url):text())
  end)
end)

describe("http: option 'maxbody'", function()
  works("bounds bodies however they come", function()
    for _, text in ipairs { ok "0123456789", chunked("01234", "56789"), "HTTP/1.1 200 OK\r\n\r\n0123456789" } do
      local server <close> = peer.says(text)
      assert.equal("0123456789", http.get(server.url, { maxbody = 10 }):text())
      local response = assert(http.get(server.url, { maxbody = 9 }))
      assert.equal(200, response.status)
      assert.fails("EMSGSIZE", response:text())
      assert.fails("EMSGSIZE", response:text())
    end
  end)
end)

-- ---- time ----

describe("http: option 'timeout'", function()
  local function slow(where)
    return peer.raw(function(conn)
      if where ~= "request" then peer.read_request(conn) end
      if where == "head" then conn:write "HTTP/1.1 200 OK\r\nCont" end
      if where == "body" then conn:write "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc" end
      if where == "dribble" then
        conn:write "HTTP/1.1 200 OK\r\n"
        while conn:write "X: y\r\n" do neap.sleep(0.01) end
      elseif where == "drip" then
        conn:write "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        while conn:write "x" do neap.sleep(0.01) end
      elseif where == "interim" then
        while conn:write "HTTP/1.1 103 Hints\r\n\r\n" do neap.sleep(0.05) end
      else
        neap.sleep(3600)
      end
    end)
  end

  for _, where in ipairs { "request", "answer", "head", "dribble", "interim" } do
    works("is over while waiting for the head: " .. where, function()
      local server <close> = slow(where)
      local client <close> = http.client {}
      assert.takes(0.1, 2, function()
        local _, why, code = client:get(server.url, { timeout = 0.1 })
        assert.equal("ETIMEDOUT", code)
        assert.truthy(why:find("GET " .. server.url, 1, true))
      end)
      assert.equal(0, client:connections().active + client:connections().idle)
    end)
  end

  for _, where in ipairs { "body", "drip" } do
    works("is over while reading the body: " .. where, function()
      local server <close> = slow(where)
      local client <close> = http.client {}
      assert.takes(0.1, 2, function()
        local response = assert(client:get(server.url, { timeout = 0.1 }))
        assert.fails("ETIMEDOUT", response:text())
        assert.fails("ETIMEDOUT", response:text())
      end)
      assert.equal(0, client:connections().active + client:connections().idle)
    end)
  end

  works("is over while the server takes nothing", function()
    local server <close> = slow "request"
    assert.takes(0.1, 2, function()
      assert.fails("ETIMEDOUT", http.post(server.url, { body = ("x"):rep(30 << 20), timeout = 0.1 }))
    end)
    assert.takes(0.1, 2, function()
      assert.fails("ETIMEDOUT", http.post(server.url, { body = function() return ("x"):rep(50000) end, timeout = 0.1 }))
    end)
  end)

  works("is over while the body that is sent does not come", function()
    local server <close> = slow "answer"
    assert.takes(0.1, 2, function()
      assert.fails("ETIMEDOUT", http.post(server.url, { body = function() neap.sleep(3600) end, timeout = 0.1 }))
    end)
  end)

  works("spans redirects", function()
    local server <close> = peer.server(function(_, conn)
      neap.sleep(0.04)
      conn:write "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    end)
    assert.takes(0.1, 2, function() assert.fails("ETIMEDOUT", http.get(server.url, { timeout = 0.1,
      follow = 100 })) end)
  end)

  works("of one request is not the next one's", function()
    local server <close> = peer.server(function()
      neap.sleep(0.08)
      return ok "x"
    end)
    local client <close> = http.client {}
    assert.equal("x", client:get(server.url, { timeout = 5 }):text())
    assert.equal("x", client:get(server.url):text())
    assert.fails("ETIMEDOUT", client:get(server.url, { timeout = 0.02 }))
    assert.equal("x", client:get(server.url):text())
  end)
end)

describe("http: what is interrupted", function()
  -- Answers a part, and tells when the client is gone.
  local function waiting_server(text)
    return peer.raw(function(conn, self)
      peer.read_request(conn)
      if text then conn:write(text) end
      self.waits = true
      conn:receive()
      self.gone = (self.gone or 0) + 1
    end)
  end

  for name, text in pairs { head = false, body = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" } do
    works("gives its connection up: a scope's time, in " .. name, function()
      local server <close> = waiting_server(text)
      local client <close> = http.client {}
      local response
      assert.fails("ETIMEDOUT", neap.timeout(0.05, function()
        response = client:get(server.url)
        return response:text()
      end))
      helper.eventually(function() return server.gone == 1 end)
      assert.equal(0, client:connections().active + client:connections().idle)
      if response then assert.fails("ECLOSED", response:text()) end
    end)

    works("gives its connection up: a cancelled task, in " .. name, function()
      local server <close> = waiting_server(text)
      local client <close> = http.client {}
      local task = neap.spawn(function() return client:get(server.url):text() end)
      helper.eventually(function() return server.waits end)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      helper.eventually(function() return server.gone == 1 end)
      assert.equal(0, client:connections().active + client:connections().idle)
    end)
  end

  works("ends a body that is being sent", function()
    local server <close> = peer.raw(function(conn, self)
      while conn:receive() do self.waits = true end
      self.gone = true
    end)
    local client <close> = http.client {}
    local task = neap.spawn(function()
      return client:post(server.url, { body = function()
        neap.sleep(0.001)
        return "more"
      end })
    end)
    helper.eventually(function() return server.waits end)
    task:cancel()
    assert.fails("ECANCELED", task:join())
    helper.eventually(function() return server.gone end)
    assert.equal(0, client:connections().active)
  end)
end)

-- ---- files ----

describe("http: response:save", function()
  local whole <const> = ("0123456789"):rep(1000)

  -- A server of one file that knows ranges; `cut`: so many bytes, and it ends.
  local function file_server(o)
    return peer.server(function(request, conn)
      local tag = o.tag or '"v1"'
      local from = request.headers:get "range" and tonumber(request.headers:get "range":match "^bytes=(%d+)%-$")
      local same = request.headers:get "if-range" == tag
      if from and same and from >= #whole then
        return ("HTTP/1.1 416 No\r\nContent-Range: bytes */%d\r\nContent-Length: 0\r\n\r\n"):format(#whole)
      end
      if not (from and same) then from = nil end
      local body = whole:sub((from or 0) + 1)
      local head = from and ("HTTP/1.1 206 Partial\r\nContent-Range: bytes %d-%d/%d\r\n"):format(from, #whole - 1,
        #whole)
        or "HTTP/1.1 200 OK\r\n"
      head = ("%sETag: %s\r\nContent-Length: %d\r\n\r\n"):format(head, tag, #body)
      if o.cut then
        conn:write(head, body:sub(1, o.cut))
        return false
      end
      return head .. body
    end)
  end

  works("leaves nothing behind when the body is cut short", function()
    local o = { cut = 500 }
    local server <close> = file_server(o)
    local path = directory()
    local file = assert(io.open(path .. "/f", "w"))
    file:write "before"
    file:close()
    assert.fails("EPROTO", http.get(server.url):save(path .. "/f"))
    assert.equal("before", slurp(path .. "/f"))
    assert.same({ "f" }, names_in(path))
    assert.fails("ENOENT", http.get(server.url):save(path .. "/nowhere/f"))
    o.cut = nil
    assert.equal(#whole, http.get(server.url):save(path .. "/f"))
    assert.equal(whole, slurp(path .. "/f"))
  end)

  works("goes on where it was cut short", function()
    local o = { cut = 3333 }
    local server <close> = file_server(o)
    local path = directory() .. "/f"
    for _ = 1, 2 do
      assert.fails("EPROTO", http.get(server.url, { resume = path }):save(path, { resume = true }))
      assert.is_nil(slurp(path))
    end
    assert.equal("bytes=3333-", server.requests[2].headers:get "range")
    assert.equal('"v1"', server.requests[2].headers:get "if-range")
    o.cut = nil
    local response = http.get(server.url, { resume = path })
    assert.equal(206, response.status)
    assert.equal(#whole, response:save(path, { resume = true }))
    assert.equal(whole, slurp(path))
    assert.same({ "f" }, names_in(path:match "^(.*)/"))
  end)

  works("begins anew when the file has changed", function()
    local o = { cut = 3333 }
    local server <close> = file_server(o)
    local path = directory() .. "/f"
    http.get(server.url, { resume = path }):save(path, { resume = true })
    o.cut, o.tag = nil, '"v2"'
    local response = http.get(server.url, { resume = path })
    assert.equal(200, response.status)
    assert.equal(#whole, response:save(path, { resume = true }))
    assert.equal(whole, slurp(path))
  end)

  works("is done when all was there", function()
    local server <close> = file_server {}
    local path = directory() .. "/f"
    local part = assert(io.open(path .. ".part", "wb"))
    part:write(whole)
    part:close()
    local tag = assert(io.open(path .. ".part.tag", "wb"))
    tag:write '"v1"'
    tag:close()
    local response = http.get(server.url, { resume = path })
    assert.equal(416, response.status)
    assert.equal(#whole, response:save(path, { resume = true }))
    assert.equal(whole, slurp(path))
  end)

  works("with resume refuses what is no answer to that", function()
    local path = directory() .. "/f"
    for text, code in pairs {
      ["HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\noops"] = "EPROTO",
      ["HTTP/1.1 206 Partial\r\nContent-Length: 4\r\n\r\noops"] = "EBADMSG",
      ["HTTP/1.1 206 Partial\r\nContent-Range: bytes 9-12/13\r\nContent-Length: 4\r\n\r\noops"] = "EBADMSG",
    } do
      local server <close> = peer.server(function() return text end)
      assert.fails(code, http.get(server.url, { resume = path }):save(path, { resume = true }))
    end
  end)

  it("blames the line that called", function()
    in_task(function()
      local server <close> = file_server {}
      local _, err = pcall(function() http.get(server.url):save(5) end)
      assert.truthy(tostring(err):find("http_response_spec.lua:", 1, true), err)
      _, err = pcall(function() http.get(server.url):save("x", { resumee = true }) end)
      assert.truthy(tostring(err):find("http_response_spec.lua:", 1, true), err)
    end)
  end)
end)

-- ---- who asks ----

describe("http: passwords", function()
  local auth <const> = require "neap.http.auth"

  works("go as Basic, from an option or from the URL", function()
    local server <close> = peer.server(function(request) return ok(request.headers:get "authorization" or "none") end)
    local basic = auth.basic("me", "se:cret")
    assert.equal(basic, http.get(server.url, { auth = { "me", "se:cret" } }):text())
    assert.equal(basic, http.get("http://me:se%3Acret@127.0.0.1:" .. server.port):text())
    assert.equal("Bearer abc=", http.get(server.url, { auth = { bearer = "abc=" } }):text())
    assert.equal("mine", http.get(server.url, { auth = { "me", "x" }, headers = { Authorization = "mine" } }):text())
    local client <close> = http.client { auth = { "me", "se:cret" } }
    assert.equal(basic, client:get(server.url):text())
  end)

  local function digest_server(o)
    o = o or {}
    local count = 0
    return peer.server(function(request)
      local field = request.headers:get "authorization" or ""
      local given = field:match "^Digest (.*)$"
      local params = given and assert(auth.parameters(given))
      count = count + 1
      if params and params.nonce == (o.nonce or "n1") and params.username == "me" then
        local expected = auth.digest({ params = { realm = "r", nonce = params.nonce, qop = "auth",
          algorithm = "SHA-256" } },
          { user = "me", password = "secret", method = request.method, uri = request.target, cnonce = params.cnonce,
            nc = tonumber(params.nc, 16) })
        if expected:match 'response="(%x+)"' == params.response then return ok("in " .. params.nc) end
      end
      local stale = params and params.nonce ~= (o.nonce or "n1") and ", stale=true" or ""
      return ('HTTP/1.1 401 No\r\n'
        .. 'WWW-Authenticate: Digest realm="r", nonce="%s", qop="auth", algorithm=SHA-256%s\r\n'
        .. "Content-Length: 4\r\n\r\noops")
        :format(o.nonce or "n1", stale)
    end)
  end

  works("go as Digest, when they are asked for", function()
    local o = {}
    local server <close> = digest_server(o)
    local client <close> = http.client { auth = { "me", "secret", scheme = "digest" } }
    assert.equal("in 00000001", client:get(server.url .. "/a?b"):text())
    assert.is_nil(server.requests[1].headers:get "authorization")
    assert.equal("in 00000002", client:get(server.url .. "/c"):text()) -- without being asked again
    assert.equal(3, #server.requests)
    o.nonce = "n2"
    assert.equal("in 00000001", client:post(server.url, { body = "x" }):text())
    assert.equal(5, #server.requests)
    assert.equal(1, server.connections)
    assert.equal("in 00000001", http.get("http://me:secret@127.0.0.1:" .. server.port):text())
  end)

  works("that are wrong end in the answer 401", function()
    local server <close> = digest_server()
    local response = assert(http.get(server.url, { auth = { "me", "wrong" } }))
    assert.equal(401, response.status)
    assert.equal("oops", response:text())
    assert.equal(2, #server.requests)
    assert.equal(401, http.get(server.url).status)
  end)

  works("cannot be asked for after a body that is gone", function()
    local server <close> = digest_server()
    local given = false
    local _, why, code = http.post(server.url, { auth = { "me", "secret" }, body = function()
      if given then return nil end
      given = true
      return "x"
    end })
    assert.equal("ESPIPE", code)
    assert.truthy(why:find "cannot be read again")
    local file <close> = io.tmpfile()
    file:write "contents"
    file:seek("set", 0)
    assert.equal("in 00000001", http.post(server.url, { auth = { "me", "secret" }, body = file }):text())
    assert.equal("contents", server.requests[#server.requests].body)
  end)

  works("are not made up for challenges that are malformed", function()
    for _, field in ipairs { "Digest", "Digest realm", 'Digest realm="r"', "Negotiate", '"',
      "Digest nonce=a, nonce=b, realm=c" } do
      local server <close> = peer.server(function()
        return ("HTTP/1.1 401 No\r\nWWW-Authenticate: %s\r\nContent-Length: 0\r\n\r\n"):format(field)
      end)
      assert.equal(401, assert(http.get(server.url, { auth = { "me", "x", scheme = "digest" } })).status)
      assert.equal(1, #server.requests)
    end
  end)
end)

describe("http: cookies", function()
  works("are kept in a jar, and sent where they belong", function()
    local server <close> = peer.server(function(request)
      if request.target == "/set" then
        return ok("set", "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Path=/sub\r\nSet-Cookie: c=3; Secure\r\n")
      end
      return ok(request.headers:get "cookie" or "none")
    end)
    local client <close> = http.client { cookies = true, resolve = { ["a.example"] = "127.0.0.1",
      ["b.example"] = "127.0.0.1" } }
    local function url(host, path) return ("http://%s:%d%s"):format(host, server.port, path) end
    client:get(url("a.example", "/set"))
    assert.equal("a=1", client:get(url("a.example", "/")):text())
    assert.equal("b=2; a=1", client:get(url("a.example", "/sub/x")):text())
    assert.equal("none", client:get(url("b.example", "/")):text())
    assert.equal("mine=1", client:get(url("a.example", "/"), { headers = { Cookie = "mine=1" } }):text())
    assert.equal(2, #client.cookies:cookies())
    assert.equal("none", http.get(server.url):text())
  end)

  works("of a redirect go along at once, and the jar may be shared", function()
    local server <close> = peer.server(function(request)
      if request.target == "/login" then
        return "HTTP/1.1 303 See Other\r\nLocation: /\r\nSet-Cookie: id=7\r\nContent-Length: 0\r\n\r\n"
      end
      return ok(request.headers:get "cookie" or "none")
    end)
    local jar = http.jar()
    local one <close> = http.client { cookies = jar }
    local other <close> = http.client { cookies = jar }
    assert.equal("id=7", one:post(server.url .. "/login", { body = { form = { user = "me" } } }):text())
    assert.equal("id=7", other:get(server.url):text())
  end)
end)
