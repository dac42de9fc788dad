--- The HTTP client with servers and proxies of others: nginx, haproxy, Node,
-- Python, tinyproxy, microsocks, Dante; and beside curl.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local http <const> = require "neap.http"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local peer <const> = require "support.http_peer"
local tcp <const> = require "neap.tcp"
local tls <const> = require "neap.tls"

local in_task <const> = helper.in_task

local PATH <const> = "PATH=$PATH:/usr/sbin:/sbin "

local function need(...)
  for _, name in ipairs { ... } do
    helper.need(os.execute(("%s command -v %s >/dev/null 2>&1"):format(PATH:gsub(" $", ";"), name)),
      ("needs the program %s"):format(name))
  end
end

local function works(name, programs, body)
  it(name, function()
    need(table.unpack(programs))
    in_task(body)
  end)
end

local function free_port()
  local listener <close> = assert(tcp.listen("127.0.0.1", 0))
  return select(2, listener:getsockname())
end

local function write_file(text, suffix, path)
  path = path or helper.tmpname(suffix)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

-- Starts a program, and waits until something listens on the port.
local function start(port, ...)
  local process = lab.start { "env", "LD_PRELOAD=", "sh", "-c", PATH .. 'exec "$@"', "sh", ... }
  local ready, why = pcall(helper.eventually, function()
    local conn = tcp.connect("127.0.0.1", port, { timeout = 1 })
    return conn and conn:close()
  end)
  if ready then return process end
  local guard <close> = process
  error(("%s: %s; it said: %s"):format((...), why, process.output:settimeout(0.1):receive()), 0)
end

local BIG <const> = {}
for i = 1, 40000 do BIG[i] = ("%07d\n"):format(i) end
local big <const> = table.concat(BIG)

-- ---- nginx ----

local function with_nginx(body)
  local root, port = helper.tmpname(), free_port()
  assert(os.execute("mkdir -p " .. root .. "/www"))
  write_file(big, nil, root .. "/www/big.txt")
  write_file("small\n", nil, root .. "/www/small.txt")
  local config = write_file(([[
    daemon off; pid %s/pid; error_log stderr crit; worker_processes 1; master_process off;
    events { worker_connections 64; }
    http {
      access_log off; default_type text/plain; types { text/plain txt; }
      client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u;
      scgi_temp_path %s/s;
      gzip on; gzip_types *; gzip_min_length 100; keepalive_requests 5;
      server {
        listen 127.0.0.1:%d; root %s/www;
        location /dav/ { dav_methods PUT DELETE; create_full_put_path on; root %s/www; }
        location /moved { return 301 /small.txt; }
        location /again { return 307 /small.txt; }
        location /empty { return 204; }
        location /private { auth_basic "p"; auth_basic_user_file %s/users; try_files /small.txt =404; }
        location /slow { limit_rate 1k; alias %s/www/big.txt; }
      }
    }]]):format(root, root, root, root, root, root, port, root, root, root, root))
  write_file("me:{PLAIN}secret\n", nil, root .. "/users")
  local held <close> = start(port, "nginx", "-p", root, "-c", config)
  return body(("http://127.0.0.1:%d"):format(port))
end

describe("nginx", function()
  works("serves files, coded and not, and closes when it likes", { "nginx" }, function()
    with_nginx(function(url)
      local client <close> = http.client {}
      for i = 1, 12 do
        local response = assert(client:get(url .. "/big.txt", { decode = i % 2 == 0 }))
        assert.equal(big, response:text())
        assert.equal(i % 2 == 0 and "gzip" or nil, response.headers:get "content-encoding")
      end
      local state = client:connections()
      assert.equal(3, state.made) -- keepalive_requests
      assert.equal(tostring(#big), assert(client:head(url .. "/big.txt",
        { decode = false })).headers:get "content-length")
      assert.equal(404, client:get(url .. "/nothing").status)
      assert.equal(204, client:get(url .. "/empty").status)
      local moved = assert(client:get(url .. "/moved"))
      assert.equal("small\n", moved:text())
      assert.equal(url .. "/small.txt", moved.url)
    end)
  end)

  works("gives ranges, of which a download is put together", { "nginx" }, function()
    with_nginx(function(url)
      local response = assert(http.get(url .. "/big.txt", { range = { 8, 15 } }))
      assert.equal(206, response.status)
      assert.equal("0000002\n", response:text())
      assert.equal(416, http.get(url .. "/big.txt", { range = { 1 << 30 } }).status)
      local path = helper.tmpname()
      local slow = assert(http.get(url .. "/slow", { resume = path, timeout = 0.3 }))
      assert.fails("ETIMEDOUT", slow:save(path, { resume = true }))
      local rest = assert(http.get(url .. "/big.txt", { resume = path }))
      assert.equal(206, rest.status)
      assert.equal(#big, rest:save(path, { resume = true }))
      local file <close> = assert(io.open(path, "rb"))
      assert.equal(big, file:read "a")
    end)
  end)

  works("asks for a password", { "nginx" }, function()
    with_nginx(function(url)
      assert.equal(401, http.get(url .. "/private").status)
      assert.equal(401, http.get(url .. "/private", { auth = { "me", "wrong" } }).status)
      assert.equal("small\n", http.get(url .. "/private", { auth = { "me", "secret" } }):text())
    end)
  end)
end)

-- ---- Node ----

local NODE <const> = [[
  const http = require(process.argv[2]), fs = require('fs');
  const options = process.argv[4] ? { cert: fs.readFileSync(process.argv[4]),
    key: fs.readFileSync(process.argv[5]) } : {};
  const server = http.createServer(options, (q, s) => {
    if (q.url == '/trailers') { s.writeHead(200, { Trailer: 'X-Sum' }); s.write('body');
      s.addTrailers({ 'X-Sum': '7' }); return s.end(); }
    if (q.url == '/hints') { s.writeEarlyHints({ link: '</x>; rel=preload' }); return s.end('hinted'); }
    if (q.url == '/cut') { s.writeHead(200, { 'Content-Length': 100 }); s.write('part');
      return setTimeout(() => s.destroy(), 20); }
    if (q.url == '/headers') return s.end(JSON.stringify(q.rawHeaders));
    let n = 0; const out = [];
    q.on('data', d => { n += d.length; if (n < 100) out.push(d); });
    q.on('end', () => s.end([q.method, n, Buffer.concat(out), JSON.stringify(q.trailers)].join(' ')));
  });
  server.on('checkContinue', (q, s) => { if (q.headers['x-no']) { s.writeHead(413); return s.end('no'); }
    s.writeContinue(); server.emit('request', q, s); });
  server.on('upgrade', (q, c) => {
    c.write('HTTP/1.1 101 Up\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'); c.pipe(c); });
  server.listen(+process.argv[3], '127.0.0.1');
]]

local function node_exchange(url, client)
  assert.equal("GET 0  {}", client:get(url):text())
  assert.equal("POST 5 hello {}", client:post(url, { body = "hello" }):text())
  assert.equal("POST 5 hello {}", client:post(url, { body = "hello", expect = 5 }):text())
  assert.equal("PUT 3000000  {}", client:put(url, { body = ("x"):rep(3000000) }):text():gsub("x", ""))
  local i = 0
  assert.equal('POST 6 123456 {"x-sum":"7"}', client:post(url, { trailers = { ["X-Sum"] = "7" }, body = function()
    i = i + 1
    return ({ "12", "34", "56" })[i]
  end }):text())
  local response = client:get(url .. "/trailers")
  assert.equal("body", response:text())
  assert.equal("7", response.trailers:get "x-sum")
  assert.equal("hinted", client:get(url .. "/hints"):text())
  response = client:post(url, { body = "hello", expect = 5, headers = { ["X-No"] = "1" } })
  assert.equal(413, response.status)
  assert.equal("no", response:text())
  response = client:get(url, { upgrade = "echo" })
  local stream <close> = response:stream()
  stream:write "ping"
  assert.equal("ping", stream:read(4))
  local text, _, code = client:get(url .. "/cut"):text()
  assert.is_nil(text)
  assert.truthy(code == "EPROTO" or code == "ETLS" or code == "ECONNRESET", code)
end

describe("Node", function()
  works("says the same as we do about bodies, trailers, hints and upgrades", { "node" }, function()
    local port = free_port()
    local held <close> = start(port, "node", write_file(NODE, ".js"), "http", port)
    local client <close> = http.client {}
    node_exchange("http://127.0.0.1:" .. port, client)
  end)

  works("does over TLS, too", { "node", "openssl" }, function()
    local port, cert = free_port(), certs.get "good"
    local held <close> = start(port, "node", write_file(NODE, ".js"), "https", port, cert.chain, cert.key)
    local client <close> = http.client { tls = { ca = certs.ca() }, resolve = { ["good.example"] = "127.0.0.1" } }
    node_exchange("https://good.example:" .. port, client)
    local _, why = http.get("https://127.0.0.1:" .. port, { tls = { ca = certs.ca() } })
    assert.truthy(why:find("https://127.0.0.1:" .. port, 1, true))
    assert.fails("X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", http.get("https://good.example:" .. port,
      { resolve = { ["good.example"] = "127.0.0.1" } }))
  end)
end)

-- ---- Python ----

describe("Python's http.server", function()
  works("is asked by HTTP/1.0", { "/usr/bin/python3" }, function()
    local root, port = helper.tmpname(), free_port()
    assert(os.execute("mkdir -p " .. root))
    write_file(big, nil, root .. "/big.txt")
    local held <close> = start(port, "/usr/bin/python3", "-m", "http.server", port, "--bind", "127.0.0.1",
      "--directory", root)
    local client <close> = http.client {}
    for _ = 1, 3 do
      local response = assert(client:get(("http://127.0.0.1:%d/big.txt"):format(port)))
      assert.equal("1.0", response.version)
      assert.equal(big, response:text())
    end
    assert.equal(3, client:connections().made)
    assert.equal(501, client:post("http://127.0.0.1:" .. port, { body = ("x"):rep(100000) }).status)
  end)
end)

-- ---- haproxy ----

describe("haproxy", function()
  works("stands between, and says what is wrong behind it", { "haproxy" }, function()
    local server <close> = peer.server(function(request)
      if request.target == "/bad" then return "HTTP/1.1 2x0 Bad\r\n\r\n" end
      return peer.ok(request.method .. " " .. request.body)
    end)
    local port = free_port()
    local config = write_file(([[
defaults
  mode http
  timeout connect 2s
  timeout client 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:%d
  default_backend b
backend b
  server s 127.0.0.1:%d
]]):format(port, server.port))
    local held <close> = start(port, "haproxy", "-db", "-f", config)
    local client <close> = http.client {}
    local url = "http://127.0.0.1:" .. port
    for i = 1, 4 do
      assert.equal("POST " .. i, client:post(url, { body = tostring(i) }):text())
      assert.equal("PUT abc", client:put(url, { body = ("abc"):gmatch "." }):text())
    end
    assert.equal(1, client:connections().made)
    assert.equal(502, client:get(url .. "/bad").status)
  end)
end)

-- ---- proxies ----

local function secure_server()
  return peer.server(function() return peer.ok "secret" end, assert(tls.listen("127.0.0.1", 0, lab.listener())),
    "https")
end

describe("tinyproxy", function()
  works("passes on, and makes tunnels, for who has the password", { "tinyproxy", "openssl" }, function()
    local server <close> = peer.server(function(request) return peer.ok(request.headers:get "via" or "straight") end)
    local secure <close> = secure_server()
    local port = free_port()
    local config = write_file(("Port %d\n"
      .. "Listen 127.0.0.1\nTimeout 30\nMaxClients 10\nAllow 127.0.0.1\nBasicAuth me secret\n%s")
      :format(port, "LogLevel Critical\n"))
    local held <close> = start(port, "tinyproxy", "-d", "-c", config)
    local proxy = ("http://me:secret@127.0.0.1:%d"):format(port)
    assert.truthy(assert(http.get(server.url, { proxy = proxy })):text():find "tinyproxy")
    assert.equal(407, http.get(server.url, { proxy = "http://127.0.0.1:" .. port }).status)
    local url = "https://localhost:" .. secure.port
    assert.equal("secret", assert(http.get(url, { proxy = proxy,
      tls = { ca = certs.ca(), servername = "good.example" } })):text())
    assert.fails("EACCES", http.get(url, { proxy = "http://127.0.0.1:" .. port }))
  end)
end)

describe("microsocks", function()
  works("looks names up, for who has the password", { "microsocks", "openssl" }, function()
    local server <close> = peer.server(function() return peer.ok "x" end)
    local secure <close> = secure_server()
    local port = free_port()
    local held <close> = start(port, "microsocks", "-i", "127.0.0.1", "-p", port, "-u", "me", "-P", "secret")
    local proxy = ("socks5h://me:secret@127.0.0.1:%d"):format(port)
    assert.equal("x", assert(http.get("http://localhost:" .. server.port, { proxy = proxy })):text())
    assert.equal("secret", assert(http.get("https://localhost:" .. secure.port, { proxy = proxy,
      tls = { ca = certs.ca(), servername = "good.example" } })):text())
    assert.fails("EACCES", http.get(server.url, { proxy = "socks5h://me:wrong@127.0.0.1:" .. port }))
    assert.fails("EACCES", http.get(server.url, { proxy = "socks5h://127.0.0.1:" .. port }))
    assert.fails("ECONNREFUSED", http.get("http://127.0.0.1:1", { proxy = proxy }))
  end)
end)

describe("Dante", function()
  works("is a SOCKS5 server, too", { "danted" }, function()
    helper.need_root()
    local server <close> = peer.server(function() return peer.ok "x" end)
    local port = free_port()
    local config = write_file(([[
logoutput: stderr
internal: 127.0.0.1 port = %d
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
]]):format(port))
    local held <close> = start(port, "danted", "-f", config)
    for _, kind in ipairs { "socks5", "socks5h" } do
      assert.equal("x", assert(http.get(server.url, { proxy = ("%s://127.0.0.1:%d"):format(kind, port) })):text())
    end
    assert.fails("ECONNREFUSED", http.get("http://127.0.0.1:1", { proxy = "socks5h://127.0.0.1:" .. port }))
  end)
end)

-- ---- curl ----

-- What a command says; our tasks run meanwhile.
local function run(...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = helper.quote(word) end
  -- Collected while it runs, it would stop us until it ends.
  local pipe = assert(io.popen("LD_PRELOAD= timeout 20 " .. table.concat(words, " ") .. " 2>&1 </dev/null"))
  local stream <close> = assert(neap.stream(pipe))
  return stream:read "a"
end

describe("curl", function()
  -- What both make of the same redirects.
  local rows <const> = {
    { 301, "POST" }, { 302, "POST" }, { 303, "POST" }, { 307, "POST" }, { 308, "POST" }, { 301, "GET" }, { 303, "GET" },
    { 307, "GET" },
  }
  works("follows redirects in the same way", { "curl" }, function()
    local server <close> = peer.server(function(request)
      local status = request.target:match "^/(%d+)$"
      if status then return ("HTTP/1.1 %s X\r\nLocation: to?x#y\r\nContent-Length: 0\r\n\r\n"):format(status) end
      return peer.ok(("%s %s %s %s"):format(request.method, request.target, request.body,
        request.headers:get "content-type" or "-"))
    end)
    for _, row in ipairs(rows) do
      local url = ("%s/%d"):format(server.url, row[1])
      local data = row[2] == "POST"
      local theirs = data and run("curl", "-sL", "-H", "Content-Type: text/x", "-d", "body", url) or run("curl",
        "-sL", url)
      local ours = http.request(row[2], url, data and { body = "body", headers = { ["Content-Type"] = "text/x" } }
        or nil):text()
      -- curl keeps the type of a body that it does not send.
      assert.equal(theirs:gsub("  text/x$", "  -"), ours, ("%d %s"):format(row[1], row[2]))
    end
  end)

  works("sends the same forms", { "curl" }, function()
    local server <close> = peer.server(function(request) return peer.ok(request.body) end)
    local path = write_file("contents", ".txt")
    local function plain(text) return text:gsub("%-%-+[%w-]+", "--BOUNDARY"):gsub("\r\n", "\n") end
    local theirs = run("curl", "-s", "-F", "a=b c", "-F", "f=@" .. path, server.url)
    local ours = http.post(server.url, { body = { multipart = { { name = "a", value = "b c" }, { name = "f",
      path = path } } } }):text()
    assert.equal(plain(theirs), plain(ours))
    theirs = run("curl", "-s", "--data-urlencode", "a=b c&d", server.url)
    assert.equal(theirs:gsub("%%20", "+"), http.post(server.url, { body = { form = { a = "b c&d" } } }):text())
  end)
end)

-- ---- examples ----

-- What examples/NAME prints, and its exit code.
local function example(name, ...)
  local out = run("sh", "-c", 'timeout -k 5 20 "$@"; echo "exit $?"', "sh", "env", "LUA_PATH=" .. package.path,
    "LUA_CPATH=" .. package.cpath, helper.lua, "examples/" .. name, ...)
  local text, code = out:match "^(.-)exit (%d+)\n$"
  return text, tonumber(code)
end

describe("examples/http_get.lua", function()
  works("prints what curl prints", { "curl" }, function()
    local server <close> = peer.server(function(request)
      if request.target == "/none" then return "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nno\n" end
      if request.target == "/old" then return "HTTP/1.1 302 X\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n" end
      return peer.ok(("%s %s %s %s\n"):format(request.method, request.target, request.body,
        request.headers:get "authorization" or "-"))
    end)
    for _, words in ipairs {
      { "/a?b" }, { "/a", "-u", "me:secret" }, { "/", "-d", "data" }, { "/", "-X", "PUT", "-d", "x" },
    } do
      local url = server.url .. words[1]
      local theirs = run("curl", "-s", url, table.unpack(words, 2))
      local ours, code = example("http_get.lua", url, table.unpack(words, 2))
      assert.equal(theirs, ours)
      assert.equal(0, code)
    end
    local text, code = example("http_get.lua", "-i", server.url .. "/none")
    assert.equal("HTTP/1.1 404 No\ncontent-length: 3\n\nno\n", text)
    assert.equal(1, code)
    assert.equal("GET /new  -\n", (example("http_get.lua", server.url .. "/old")))
    assert.equal("", (example("http_get.lua", "-L", server.url .. "/old")))
    text, code = example("http_get.lua", "-t", "5", "http://127.0.0.1:1/")
    assert.equal("http_get.lua: GET http://127.0.0.1:1: connect 127.0.0.1:1: Connection refused\n", text)
    assert.equal(2, code)
    local path = helper.tmpname()
    text = example("http_get.lua", "-o", path, "-r", server.url)
    assert.equal(path .. ": 9 bytes\n", text)
    assert.equal(2, select(2, example("http_get.lua", "--nonsense")))
  end)
end)

describe("examples/sse.lua", function()
  works("prints events", {}, function()
    local server <close> = peer.server(function(_, conn, self)
      if #self.requests > 1 then return "HTTP/1.1 204 Over\r\n\r\n" end
      conn:write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        "retry: 1\n\nid: 7\ndata: x\n\nevent: e\ndata: y\n\n")
      return false
    end)
    assert.same({ "7 message: x\n7 e: y\n", 0 }, { example("sse.lua", server.url) })
    assert.equal("7", server.requests[2].headers:get "last-event-id")
    assert.equal(2, select(2, example "sse.lua"))
  end)
end)
