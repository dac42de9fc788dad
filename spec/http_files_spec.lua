-- SPDX-License-Identifier: MIT
--- http.files and http.router: what is beneath a directory, and who answers.
local helper <const> = require "support.helper"
local lab <const> = require "support.http_lab"
local http <const> = require "neap.http"
local lfs <const> = require "lfs"
local neap <const> = require "neap"

local in_task <const>, response <const> = helper.in_task, lab.response

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

-- A directory with what is asked for, and beside it a secret.
local function tree()
  local top <const> = helper.tmpname()
  local root <const> = top .. "/root"
  for _, name in ipairs { top, root, root .. "/sub", root .. "/empty", root .. "/.git", root .. "/.well-known",
    top .. "/root2" } do
    assert(lfs.mkdir(name))
  end
  write(top .. "/secret.txt", "the secret")
  write(top .. "/root2/secret.txt", "the secret")
  write(root .. "/index.html", "<h1>home</h1>")
  write(root .. "/ten.txt", "0123456789")
  write(root .. "/a b&c.txt", "blank")
  write(root .. "/data.xyz", "unknown")
  write(root .. "/nothing", "")
  write(root .. "/sub/page.html", "page")
  write(root .. "/.hidden", "hidden")
  write(root .. "/.git/config", "hidden")
  write(root .. "/.well-known/thing", "known")
  lfs.link(top .. "/secret.txt", root .. "/out.txt", true)
  lfs.link("../secret.txt", root .. "/up.txt", true)
  lfs.link("ten.txt", root .. "/in.txt", true)
  lfs.link("..", root .. "/parent", true)
  lfs.link("sub", root .. "/down", true)
  lfs.link("loop", root .. "/loop", true)
  os.execute("mkfifo " .. helper.quote(root .. "/fifo"))
  return root, top
end

local function with_files(options, fn)
  in_task(function()
    local root, top = tree()
    local at <close> = lab.start(assert(http.files(root, options)))
    fn(at, root, top)
    assert.same({}, at.errors)
  end)
end

describe("http.files", function()
  it("answers with files, their types and sizes", function()
    with_files(nil, function(at)
      for path, wanted in pairs {
        ["/ten.txt"] = { "0123456789", "text/plain; charset=utf-8" },
        ["/data.xyz"] = { "unknown", "application/octet-stream" },
        ["/sub/page.html"] = { "page", "text/html; charset=utf-8" },
        ["/a%20b&c.txt"] = { "blank", "text/plain; charset=utf-8" },
        ["/%74en.txt?x"] = { "0123456789", "text/plain; charset=utf-8" },
        ["/nothing"] = { "", "application/octet-stream" },
        ["/"] = { "<h1>home</h1>", "text/html; charset=utf-8" },
        ["/.well-known/thing"] = { "known", "application/octet-stream" },
      } do
        local status, headers, body = at:ask("GET", path)
        assert.same({ 200, wanted[1], wanted[2], tostring(#wanted[1]) },
          { status, body, headers["content-type"], headers["content-length"] }, path)
        assert.equal("nosniff", headers["x-content-type-options"])
        assert.equal("bytes", headers["accept-ranges"])
        assert.truthy(headers["last-modified"]:find "GMT$")
      end
    end)
  end)

  it("answers with nothing that is not beneath the root", function()
    with_files({ dotfiles = true, listing = true }, function(at)
      for _, path in ipairs {
        "/../secret.txt", "/..", "/../", "/sub/../../secret.txt", "/sub/..", "/./ten.txt", "/sub/../ten.txt",
        "/%2e%2e/secret.txt", "/%2E%2E/secret.txt", "/.%2e/secret.txt", "/%2e./secret.txt", "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt", "/sub%2fpage.html", "/..%5csecret.txt", "/%5c..%5csecret.txt", "/%2fetc/passwd",
        "//etc/passwd", "/sub//page.html", "//", "/ten.txt%00", "/ten.txt%00.html", "/%00", "/..%00/secret.txt",
        "/%252e%252e/secret.txt", "/..;/secret.txt", "/%c0%ae%c0%ae/secret.txt", "/%c0%af../secret.txt",
        "/....//secret.txt", "/..../secret.txt", "/%uff0e%uff0e/secret.txt", "/%", "/%2", "/%zz", "/out.txt", "/up.txt",
        "/parent/secret.txt",
        "/parent/root2/secret.txt", "/parent/", "/down/page.html", "/in.txt", "/loop", "/fifo",
        "/ten.txt/", "/ten.txt/x",
        "/nowhere", "/" .. ("x"):rep(300), "/" .. ("x/"):rep(2000), "/../root2/secret.txt",
      } do
        local status, _, body = at:ask("GET", path)
        assert.equal(404, status, path)
        assert.equal("404 Not Found\n", body)
      end
    end)
  end)

  it("takes no path that only another form of target has", function()
    with_files(nil, function(at)
      assert.truthy(at:raw("GET http://x/../secret.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        :find "^HTTP/1.1 404 ")
      assert.truthy(at:raw("GET http://x/ten.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        :find "0123456789$")
    end)
  end)

  it("follows links that stay beneath the root, or all, where it may", function()
    with_files({ symlinks = "beneath" }, function(at)
      assert.equal(200, (at:ask("GET", "/in.txt")))
      assert.equal(200, (at:ask("GET", "/down/page.html")))
      for _, path in ipairs { "/out.txt", "/up.txt", "/parent/secret.txt", "/loop" } do
        assert.equal(404, (at:ask("GET", path)), path)
      end
    end)
    with_files({ symlinks = true }, function(at)
      local _, _, body = at:ask("GET", "/out.txt")
      assert.equal("the secret", body)
      assert.equal(404, (at:ask("GET", "/loop")))
    end)
  end)

  it("hides what begins with a dot, unless it is told not to", function()
    with_files(nil, function(at)
      for _, path in ipairs { "/.hidden", "/.git/config", "/.git", "/%2ehidden" } do
        assert.equal(404, (at:ask("GET", path)), path)
      end
    end)
    with_files({ dotfiles = true }, function(at) assert.equal(200, (at:ask("GET", "/.git/config"))) end)
  end)

  it("forbids what it may not read", function()
    with_files(nil, function(at, root)
      helper.need(not helper.is_root(), "root reads everything")
      os.execute("chmod 000 " .. helper.quote(root .. "/ten.txt"))
      assert.equal(403, (at:ask("GET", "/ten.txt")))
    end)
  end)

  it("has no body for HEAD, and no other methods", function()
    with_files(nil, function(at)
      local status, headers = at:ask("HEAD", "/ten.txt")
      assert.same({ 200, "10" }, { status, headers["content-length"] })
      for _, method in ipairs { "POST", "PUT", "DELETE", "FOO" } do
        status, headers = at:ask(method, "/ten.txt")
        assert.same({ 405, "GET, HEAD, OPTIONS" }, { status, headers.allow })
      end
      status, headers = at:ask("OPTIONS", "/ten.txt")
      assert.same({ 204, "GET, HEAD, OPTIONS" }, { status, headers.allow })
    end)
  end)

  it("answers conditional requests", function()
    with_files(nil, function(at)
      local _, headers = at:ask("GET", "/ten.txt")
      local etag <const>, modified <const> = headers.etag, headers["last-modified"]
      local old <const> = "Sun, 06 Nov 1994 08:49:37 GMT"
      for _, case in ipairs {
        { 304, { ["If-None-Match"] = etag } },
        { 304, { ["If-None-Match"] = '"x", W/' .. etag } },
        { 304, { ["If-None-Match"] = "*" } },
        { 304, { ["If-Modified-Since"] = modified } },
        { 200, { ["If-None-Match"] = '"x"' } },
        { 200, { ["If-None-Match"] = '"x"', ["If-Modified-Since"] = modified } },
        { 200, { ["If-Modified-Since"] = old } },
        { 200, { ["If-Modified-Since"] = "rubbish" } },
        { 412, { ["If-Match"] = '"x"' } },
        { 200, { ["If-Match"] = etag } },
        { 412, { ["If-Unmodified-Since"] = old } },
        { 200, { ["If-Unmodified-Since"] = modified } },
      } do
        local status, got, body = at:ask("GET", "/ten.txt", case[2])
        assert.equal(case[1], status)
        assert.equal(status == 200 and "0123456789" or "", body)
        if status == 304 then assert.equal(etag, got.etag) end
      end
    end)
  end)

  it("gives another tag to another content", function()
    with_files(nil, function(at, root)
      local _, before = at:ask("GET", "/ten.txt")
      write(root .. "/ten.txt", "9876543210")
      local _, after, body = at:ask("GET", "/ten.txt", { ["If-None-Match"] = before.etag })
      assert.equal("9876543210", body)
      assert.not_equal(before.etag, after.etag)
    end)
  end)

  it("answers with ranges", function()
    with_files(nil, function(at)
      local _, whole = at:ask("GET", "/ten.txt")
      for range, wanted in pairs {
        ["bytes=0-3"] = { 206, "0123", "bytes 0-3/10" },
        ["bytes=7-"] = { 206, "789", "bytes 7-9/10" },
        ["bytes=-2"] = { 206, "89", "bytes 8-9/10" },
        ["bytes=5-100"] = { 206, "56789", "bytes 5-9/10" },
        ["bytes=10-"] = { 416, nil, "bytes */10" },
        ["bytes=-0"] = { 416, nil, "bytes */10" },
        ["bytes=3-1"] = { 200, "0123456789" },
        ["rubbish"] = { 200, "0123456789" },
        ["lines=1-2"] = { 200, "0123456789" },
      } do
        local status, headers, body = at:ask("GET", "/ten.txt", { Range = range })
        assert.same({ wanted[1], wanted[3] }, { status, headers["content-range"] }, range)
        if wanted[2] then assert.equal(wanted[2], body) end
      end
      local status, _, body = at:ask("GET", "/ten.txt", { Range = "bytes=0-3", ["If-Range"] = whole.etag })
      assert.same({ 206, "0123" }, { status, body })
      status, _, body = at:ask("GET", "/ten.txt", { Range = "bytes=0-3", ["If-Range"] = '"x"' })
      assert.same({ 200, "0123456789" }, { status, body })
      status = at:ask("HEAD", "/ten.txt", { Range = "bytes=0-3" })
      assert.equal(200, status)
    end)
  end)

  it("answers with several ranges, and not with too many", function()
    with_files(nil, function(at)
      local status, headers, body = at:ask("GET", "/ten.txt", { Range = "bytes=0-1,-2,4-4" })
      local boundary <const> = headers["content-type"]:match "^multipart/byteranges; boundary=(.+)$"
      assert.equal(206, status)
      assert.equal(tostring(#body), headers["content-length"])
      local found = {}
      for range, data in body:gmatch "Content%-Range: (bytes [^\r]+)\r\n\r\n(.-)\r\n%-%-" do
        found[#found + 1] = range .. " " .. data
      end
      assert.same({ "bytes 0-1/10 01", "bytes 8-9/10 89", "bytes 4-4/10 4" }, found)
      assert.truthy(body:find("--" .. boundary:gsub('"', "") .. "--", 1, true))
      local many = {}
      for i = 1, 200 do many[i] = "0-0" end
      status = at:ask("GET", "/ten.txt", { Range = "bytes=" .. table.concat(many, ",") })
      assert.equal(200, status)
    end)
  end)

  it("sends directories to where they are, and nowhere else", function()
    with_files(nil, function(at)
      local status, headers = at:ask("GET", "/sub?x=1")
      assert.same({ 301, "/sub/?x=1" }, { status, headers.location })
      assert.equal(404, (at:ask("GET", "/sub/")))
      assert.equal(404, (at:ask("GET", "//b.example/..")))
    end)
  end)

  it("lists directories if it is told to", function()
    with_files({ listing = true, index = false }, function(at, root)
      write(root .. "/<script>.txt", "")
      write(root .. "/javascript:x", "")
      local status, headers, body = at:ask("GET", "/")
      assert.same({ 200, "text/html; charset=utf-8" }, { status, headers["content-type"] })
      assert.truthy(body:find('<a href="./sub/">sub/</a>', 1, true))
      assert.truthy(body:find('<a href="./a%20b%26c.txt">a b&amp;c.txt</a>', 1, true))
      assert.truthy(body:find('<a href="./%3Cscript%3E.txt">&lt;script&gt;.txt</a>', 1, true))
      assert.truthy(body:find('<a href="./javascript%3Ax">', 1, true))
      assert.falsy(body:find "hidden")
      assert.falsy(body:find "<script>")
    end)
  end)

  it("has options for the index, types and caches", function()
    with_files({ index = { "none", "ten.txt" }, types = { xyz = "text/x" }, cache_control = "max-age=60" }, function(at)
      local _, headers, body = at:ask("GET", "/")
      assert.same({ "0123456789", "max-age=60" }, { body, headers["cache-control"] })
      _, headers = at:ask("GET", "/data.xyz")
      assert.equal("text/x", headers["content-type"])
    end)
  end)

  it("sends what is large, many times on a connection", function()
    with_files(nil, function(at, root)
      local data <const> = ("0123456789abcdef"):rep(1 << 16)
      write(root .. "/large.bin", data)
      local conn <close> = at:connect()
      for _ = 1, 5 do
        conn:write "GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n"
        local status, _, body = response(conn)
        assert.equal(200, status)
        assert.is_true(body == data)
      end
    end)
  end)

  it("sends what is huge, and has holes", function()
    with_files(nil, function(at, root)
      local file = assert(io.open(root .. "/huge", "wb"))
      file:seek("set", 5000000000 - 3)
      file:write "end"
      file:close()
      local status, headers, body = at:ask("GET", "/huge", { Range = "bytes=-5" })
      assert.same({ 206, "bytes 4999999995-4999999999/5000000000", "\0\0end" },
        { status, headers["content-range"], body })
      local conn <close> = at:connect()
      conn:write "GET /huge HTTP/1.1\r\nHost: a\r\n\r\n"
      assert.truthy(conn:readuntil "\r\n\r\n":find "Content%-Length: 5000000000\r\n")
      assert(conn:read(1000000))
    end)
  end)

  it("cuts an answer whose file gets shorter meanwhile", function()
    in_task(function()
      local root <const> = tree()
      write(root .. "/large.bin", ("x"):rep(20000000))
      local at <close> = lab.start(assert(http.files(root)))
      local conn <close> = at:connect()
      conn:write "GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n"
      conn:readuntil "\r\n\r\n"
      neap.sleep(0.02)
      write(root .. "/large.bin", "short")
      local n = 0
      for data in function() return (conn:receive()) end do n = n + #data end
      assert.is_true(n < 20000000)
      helper.eventually(function() return at.server:connections() == 0 end)
    end)
  end)

  it("finds the root where it is now", function()
    in_task(function()
      local top <const> = helper.tmpname()
      lfs.mkdir(top)
      lfs.mkdir(top .. "/one")
      lfs.mkdir(top .. "/two")
      write(top .. "/one/x", "one")
      write(top .. "/two/x", "two")
      lfs.link("one", top .. "/now", true)
      local at <close> = lab.start(assert(http.files(top .. "/now")))
      local _, _, body = at:ask("GET", "/x")
      assert.equal("one", body)
      lfs.link("two", top .. "/next", true)
      os.rename(top .. "/next", top .. "/now")
      neap.sleep(1.05)
      _, _, body = at:ask("GET", "/x")
      assert.equal("two", body)
    end)
  end)

  it("fails without a directory, and raises on what it cannot be told", function()
    assert.fails("ENOENT", http.files "/nowhere/at/all")
    local path <const> = helper.tmpname()
    write(path, "x")
    assert.fails("ENOTDIR", http.files(path))
    assert.raises("unknown option 'idnex'", http.files, "/", { idnex = 1 })
    assert.raises("option 'symlinks' must be", http.files, "/", { symlinks = "some" })
    assert.raises("option 'index' must be", http.files, "/", { index = "../x" })
    assert.raises("bad argument #1", http.files)
  end)
end)

describe("http.file", function()
  it("fails for what is no regular file", function()
    assert.fails("ENOENT", http.file "/nowhere")
    assert.fails("EISDIR", http.file "/")
    assert.fails("EINVAL", http.file "/dev/null")
  end)
end)

describe("http.router", function()
  local function said(...)
    local words = { ... }
    return function(request)
      local out = {}
      for name, value in pairs(request.params or {}) do out[#out + 1] = name .. "=" .. value end
      table.sort(out)
      return table.concat(table.move(out, 1, #out, #words + 1, { table.unpack(words) }), " ")
    end
  end

  local function routes()
    local router <const> = http.router()
    router:get("/", said "home"):get("/users", said "users"):post("/users", said "new")
    router:get("/users/me", said "me"):get("/users/:id", said "user"):delete("/users/:id", said "gone")
    router:get("/users/:id/posts/:post", said "post"):get("/files/*path", said "files")
    router:any("/any", said "any"):on("PURGE", "/cache", said "purged"):get("/a%20b", said "never")
    router:mount("/sub/", function(r) return "mounted " .. r.path .. " " .. r.mount end)
    return router
  end

  for _, case in ipairs {
    { "GET", "/", 200, "home" },
    { "GET", "/users", 200, "users" },
    { "POST", "/users", 200, "new" },
    { "GET", "/users/", 404 },
    { "GET", "/users/me", 200, "me" },
    { "GET", "/users/7", 200, "user id=7" },
    { "GET", "/users/%6de", 200, "me" },
    { "GET", "/users/a%2Fb", 200, "user id=a/b" },
    { "DELETE", "/users/me", 405, nil, "GET, HEAD, OPTIONS" },
    { "DELETE", "/users/7", 200, "gone id=7" },
    { "GET", "/users/7/posts/8", 200, "post id=7 post=8" },
    { "GET", "/users/7/posts", 404 },
    { "GET", "/files/a/b%2e/c", 200, "files path=a/b%2e/c" },
    { "GET", "/files/", 200, "files path=" },
    { "GET", "/files", 404 },
    { "PUT", "/any", 200, "any" },
    { "PURGE", "/cache", 200, "purged" },
    { "GET", "/cache", 405, nil, "OPTIONS, PURGE" },
    { "PUT", "/users", 405, nil, "GET, HEAD, OPTIONS, POST" },
    { "HEAD", "/users", 200, "" },
    { "OPTIONS", "/users", 204, "", "GET, HEAD, OPTIONS, POST" },
    { "GET", "/sub/x/y", 200, "mounted /x/y /sub" },
    { "GET", "/sub", 200, "mounted / /sub" },
    { "GET", "/subway", 404 },
    { "GET", "/nowhere", 404 },
    { "GET", "//", 404 },
  } do
    it(("answers %s %s with %d"):format(case[1], case[2], case[3]), function()
      in_task(function()
        local at <close> = lab.start(routes())
        local status, headers, body = at:ask(case[1], case[2])
        assert.equal(case[3], status)
        if case[4] then assert.equal(case[4], body) end
        assert.equal(case[5], headers.allow)
      end)
    end)
  end

  it("has a fallback, and mounts files and routers", function()
    in_task(function()
      local root <const> = tree()
      local inner <const> = http.router():get("/in/:x", function(r) return r.mount .. " " .. r.params.x end)
      local outer <const> = http.router():mount("/static", assert(http.files(root))):mount("/r", inner)
        :fallback(function() return 404, "nobody" end)
      local at <close> = lab.start(outer)
      local _, _, body = at:ask("GET", "/static/ten.txt")
      assert.equal("0123456789", body)
      local status, headers = at:ask("GET", "/static/sub")
      assert.same({ 301, "/static/sub/" }, { status, headers.location })
      status, headers = at:ask("GET", "/static?a=b") -- what its page names is beneath /static/
      assert.same({ 301, "/static/?a=b" }, { status, headers.location })
      _, _, body = at:ask("GET", "/static/")
      assert.equal("<h1>home</h1>", body)
      assert.equal(404, (at:ask("GET", "/static/../secret.txt")))
      _, _, body = at:ask("GET", "/r/in/1")
      assert.equal("/r 1", body)
      _, _, body = at:ask("GET", "/x")
      assert.equal("nobody", body)
    end)
  end)

  it("raises on what it cannot be told", function()
    local router <const> = http.router()
    assert.raises("a path that begins with '/'", router.get, router, "x", print)
    assert.raises("'*' is not at the end", router.get, router, "/*a/b", print)
    assert.raises("':' without a name", router.get, router, "/:", print)
    assert.raises("bad argument #2 (function expected", router.get, router, "/", 1)
    assert.raises("two are called 'a'", router.get, router, "/:a/b/*a", print)
    router:get("/", print)
    assert.raises("has a handler for GET", router.get, router, "/", print)
    assert.raises("a method expected", router.on, router, "a b", "/", print)
  end)
end)
