-- SPDX-License-Identifier: MIT
--- neap.http's server with clients and proxies that others made.
local helper <const> = require "support.helper"
local lab <const> = require "support.http_lab"
local http <const> = require "neap.http"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"

local in_task <const>, response <const> = helper.in_task, lab.response

local function each(n, piece)
  return function()
    n = n - 1
    return n >= 0 and piece or nil
  end
end

-- What every peer asks for.
local function routes()
  return http.router()
    :get("/", function() return "hello" end)
    :get("/chunks", function() return 200, each(100, ("c"):rep(1000)) end)
    :get("/big", function() return ("b"):rep(3000000) end)
    :get("/trailers", function() return { body = each(2, "x"), trailers = { ["X-T"] = "t" } } end)
    :get("/query", function(r) return r:query_params().q or "" end)
    :get("/peer", function(r) return ("%s %s"):format(r.peer.ip, r.scheme) end)
    :get("/slow", function()
      neap.sleep(0.05)
      return "slow"
    end)
    :post("/echo", function(r) return 200, assert(r:text()), { ["Content-Type"] = r.headers:get "content-type" } end)
    :put("/length", function(r)
      local n = 0
      for data in r:chunks() do n = n + #data end
      return tostring(n)
    end)
end

local function exists(path)
  local file <const> = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- Runs a command while the loop turns: all that it printed.
local function command(...)
  local words <const> = { ... }
  for i, word in ipairs(words) do words[i] = helper.quote(word) end
  local out <const> = helper.tmpname()
  local done <const> = out .. ".done"
  os.execute(("( timeout %d %s >%s 2>&1 </dev/null; echo $? >%s.new; mv %s.new %s ) &"):format(
    9 * helper.slow, table.concat(words, " "), out, done, done, done))
  helper.eventually(function() return exists(done) end, 10)
  local file <close> = assert(io.open(out, "rb"))
  local status <close> = assert(io.open(done))
  return file:read "a", status:read "n"
end

-- Starts a command, which ends with the scope.
local function background(text)
  local pipe <const> = assert(io.popen(("%s >/dev/null 2>&1 </dev/null & echo $!"):format(text)))
  local pid <const> = pipe:read "n"
  pipe:close()
  return helper.defer(function() os.execute(("kill %d 2>/dev/null"):format(pid)) end)
end

local function free_port()
  local listener <close> = assert(tcp.listen("127.0.0.1", 0))
  local _, port <const> = listener:getsockname()
  return port
end

local function wait_for(port)
  helper.eventually(function()
    local conn <close> = tcp.connect("127.0.0.1", port)
    return conn ~= nil
  end, 8)
end

describe("an HTTP server talks to", function()
  it("curl", function()
    helper.need_program "curl"
    in_task(function()
      local at <close> = lab.start(routes(), { max_body = 1 << 24 })
      local file <const> = helper.tmpname()
      local handle = assert(io.open(file, "wb"))
      handle:write(("f"):rep(2000000))
      handle:close()
      local function curl(...) return command("curl", "-sS", "-m", "8", ...) end
      assert.equal("hello", (curl(at:url "/")))
      assert.equal("hellohello", (curl(at:url "/", at:url "/")))
      assert.equal(100000, #curl(at:url "/chunks"))
      assert.equal(3000000, #curl(at:url "/big"))
      assert.truthy((curl("-i", at:url "/trailers")):find "\r\n\r\nxx")
      assert.equal("a=1", (curl("-d", "a=1", at:url "/echo")))
      assert.equal("2000000", (curl("-T", file, at:url "/length")))
      assert.equal("2000000", (curl("-T", file, "-H", "Transfer-Encoding: chunked", at:url "/length")))
      assert.equal("2000000", (curl("-T", file, "-H", "Expect: 100-continue", at:url "/length")))
      assert.truthy((curl("-I", at:url "/")):find "Content%-Length: 5\r\n")
      assert.equal("hello", (curl("-0", at:url "/")))
      assert.equal("404", (curl("-o", "/dev/null", "-w", "%{http_code}", at:url "/nowhere")))
      assert.equal("x y", (curl("-G", "--data-urlencode", "q=x y", at:url "/query")))
      assert.same({}, at.errors)
    end)
  end)

  it("curl over TLS and over a Unix socket", function()
    helper.need_program "curl"
    local certs <const> = require "support.certs"
    in_task(function()
      local cert <const> = certs.get "good"
      local at <close> = lab.start(routes(), { tls = { cert = cert.chain, key = cert.key } })
      local out = command("curl", "-sS", "-m", "8", "-k",
        "--resolve", ("good.example:%d:127.0.0.1"):format(at.port), ("https://good.example:%d/peer"):format(at.port))
      assert.equal("127.0.0.1 https", out)
    end)
    in_task(function()
      local path <const> = helper.tmpname()
      local at <close> = lab.start(routes(), nil, "unix:" .. path)
      assert.equal("hello", (command("curl", "-sS", "-m", "8", "--unix-socket", path, "http://a.example/")))
    end)
  end)

  it("Python's http.client", function()
    helper.need(helper.has_program "/usr/bin/python3", "needs the program python3")
    in_task(function()
      local at <close> = lab.start(routes())
      local script <const> = [[
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
out = []
for _ in range(3):
    c.request("GET", "/"); r = c.getresponse(); out.append(str(r.status) + r.read().decode())
c.request("GET", "/chunks"); out.append(str(len(c.getresponse().read())))
c.request("POST", "/echo", body=b"abc"); out.append(c.getresponse().read().decode())
c.request("POST", "/echo", body=iter([b"ab", b"cd"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
out.append(c.getresponse().read().decode())
c.request("HEAD", "/big"); r = c.getresponse(); out.append(r.getheader("Content-Length")); r.read()
c.request("GET", "/nowhere"); r = c.getresponse(); out.append(str(r.status)); r.read()
print(" ".join(out))
]]
      assert.equal("200hello 200hello 200hello 100000 abc abcd 3000000 404\n",
        (command("/usr/bin/python3", "-c", script, tostring(at.port))))
    end)
  end)

  it("Node's http", function()
    helper.need_program "node"
    in_task(function()
      local at <close> = lab.start(routes())
      local script <const> = [[
const http = require("http"), agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
const port = Number(process.argv[1]);
const ask = (method, path, body, headers) => new Promise((ok, bad) => {
  const r = http.request({ port, host: "127.0.0.1", agent, method, path, headers }, res => {
    let n = 0, text = ""; res.on("data", d => { n += d.length; if (n < 100) text += d });
    res.on("end", () => ok(res.statusCode + ":" + n + ":" + text + (res.trailers["x-t"] || ""))); });
  r.on("error", bad); if (body) for (const b of body) r.write(b); r.end(); });
(async () => {
  const out = await Promise.all([..."abcdefgh"].map(() => ask("GET", "/slow")));
  out.push(await ask("GET", "/chunks"), await ask("GET", "/trailers"), await ask("POST", "/echo", ["ab", "cd"]));
  out.push(await ask("PUT", "/length", ["x".repeat(100000)], { "Content-Length": 100000 }));
  console.log(out.slice(7).join(" ")); agent.destroy(); })();
]]
      assert.equal("200:4:slow 200:100000: 200:2:xxt 200:4:abcd 200:6:100000\n",
        (command("node", "-e", script, tostring(at.port))))
    end)
  end)

  it("wrk and ab", function()
    helper.need_program("wrk", "ab")
    in_task(function()
      local at <close> = lab.start(routes())
      local out = command("wrk", "-t1", "-c20", "-d1", at:url "/")
      assert.truthy(out:find "requests in")
      assert.falsy(out:find "Non%-2xx" or out:find "Socket errors")
      out = command("ab", "-q", "-k", "-n", "300", "-c", "10", at:url "/")
      assert.truthy(out:find "Failed requests: +0\n")
      assert.truthy(out:find "Keep%-Alive requests: +300\n")
      out = command("ab", "-q", "-n", "100", "-c", "10", at:url "/chunks")
      assert.truthy(out:find "Complete requests: +100\n")
      assert.truthy(out:find "Failed requests: +0\n")
      assert.same({}, at.errors)
    end)
  end)

  -- Asks through a proxy that passes all to the server.
  local function through(port, at, wanted)
    wait_for(port)
    local conn <close> = assert(tcp.connect("127.0.0.1", port, { timeout = 8 * helper.slow }))
    conn:write "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
    local _, _, body = response(conn)
    assert.equal("hello", body)
    for _ = 1, 3 do
      conn:write "GET /chunks HTTP/1.1\r\nHost: a.example\r\n\r\n"
      _, _, body = response(conn)
      assert.equal(100000, #body)
    end
    conn:write "GET /big HTTP/1.1\r\nHost: a.example\r\n\r\n"
    _, _, body = response(conn)
    assert.equal(3000000, #body)
    conn:write("PUT /length HTTP/1.1\r\nHost: a.example\r\nContent-Length: 300000\r\n\r\n", ("x"):rep(300000))
    _, _, body = response(conn)
    assert.equal("300000", body)
    conn:write "GET /peer HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
    _, _, body = response(conn)
    assert.equal(wanted, body)
    assert.same({}, at.errors)
  end

  it("nginx in front of it", function()
    helper.need_program "nginx"
    in_task(function()
      local at <close> = lab.start(routes(), { trusted_proxies = { "127.0.0.1" } })
      local port <const>, path <const> = free_port(), helper.tmpname()
      local file <close> = assert(io.open(path, "w"))
      file:write(([[
daemon off; master_process off; pid %s.pid; error_log %s.err;
events { worker_connections 64; }
http { access_log off; client_body_temp_path %s.b; proxy_temp_path %s.p; fastcgi_temp_path %s.f; uwsgi_temp_path %s.u;
scgi_temp_path %s.s;
upstream us { server 127.0.0.1:%d; keepalive 4; }
server { listen 127.0.0.1:%d; location / { proxy_pass http://us; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https; } } }
]]):format(path, path, path, path, path, path, path, at.port, port))
      file:close()
      local nginx <close> = background("exec nginx -e " .. path .. ".err -c " .. path)
      through(port, at, "127.0.0.1 https")
    end)
  end)

  it("haproxy in front of it, which says whom it speaks for", function()
    helper.need_program "haproxy"
    for _, send in ipairs { "send-proxy", "send-proxy-v2" } do
      in_task(function()
        local at <close> = lab.start(routes(), { proxy_protocol = true })
        local port <const>, path <const> = free_port(), helper.tmpname()
        local file <close> = assert(io.open(path, "w"))
        file:write(([[
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
listen all
  bind 127.0.0.1:%d
  server one 127.0.0.1:%d %s
]]):format(port, at.port, send))
        file:close()
        local haproxy <close> = background("exec haproxy -db -f " .. path)
        through(port, at, "127.0.0.1 http")
      end)
    end
  end)

  it("slowhttptest, and others meanwhile", function()
    helper.need_program "slowhttptest"
    for _, mode in ipairs {
      { "-H", "-i", "1" }, { "-B", "-i", "1", "-s", "8192" }, { "-X", "-w", "10", "-y", "20", "-n", "1", "-z", "5" },
    } do
      in_task(function()
        local at <close> = lab.start(routes(),
          { head_timeout = 1, body_timeout = 0.5, idle_timeout = 1, write_timeout = 1, max_connections = 300 })
        local words <const> = { "slowhttptest", "-c", "100", "-r", "100", "-l", "3", "-p", "2", "-u", at:url "/big" }
        table.move(mode, 1, #mode, #words + 1, words)
        local attack = neap.spawn(command, table.unpack(words))
        for _ = 1, 10 do
          neap.sleep(0.1)
          assert.equal(200, (at:ask("GET", "/")))
        end
        attack:join()
        helper.eventually(function() return at.server:connections() == 0 end, 8)
        assert.same({}, at.errors)
      end)
    end
  end)
end)

describe("the examples of HTTP", function()
  -- Starts one: its port, and what ends it.
  local function example(name, ...)
    local words <const> = { ... }
    for i, word in ipairs(words) do words[i] = helper.quote(word) end
    local out <const> = helper.tmpname()
    local command_line <const> = "LUA_PATH=%s LUA_CPATH=%s %s examples/%s %s >%s 2>&1 </dev/null & echo $!"
    local pipe <const> = assert(io.popen(command_line:format(
      helper.quote(package.path), helper.quote(package.cpath), helper.quote(helper.lua), name,
      table.concat(words, " "), out)))
    local pid <const> = pipe:read "n"
    pipe:close()
    local function stop() os.execute(("kill %d 2>/dev/null"):format(pid)) end
    local port
    local said <const>, why <const> = pcall(helper.eventually, function()
      local file <close> = io.open(out)
      port = file and file:read "a":match "port (%d+)"
      return port
    end, 10)
    if not said then
      stop()
      error(why, 0)
    end
    return math.tointeger(port), helper.defer(stop)
  end

  it("serve, and pass on", function()
    in_task(function()
      local port <const>, server = example("http_server.lua", "127.0.0.1:0", "examples")
      local first <close> = server
      local proxied <const>, proxy = example("reverse_proxy.lua", "127.0.0.1:0", "http://127.0.0.1:" .. port)
      local second <close> = proxy
      for _, at in ipairs { port, proxied } do
        local url <const> = ("http://127.0.0.1:%d"):format(at)
        local function get(path, method, body)
          local answer <close> = assert(http.request(method or "GET", url .. path,
            { body = body, timeout = 8 * helper.slow }))
          return answer.status, assert(answer:text()), answer.headers
        end
        local status, text, headers = get "/"
        assert.equal(200, status)
        assert.truthy(text:find("<h1>neap</h1>", 1, true))
        assert.equal("text/html; charset=utf-8", headers:get "content-type")
        status, text = get "/numbers.csv"
        assert.equal(200, status)
        assert.truthy(text:find "\n100000,10000000000\n$")
        _, text = get("/greet", "POST", { form = { name = "<me>" } })
        assert.equal("<p>Hello, &lt;me&gt;!</p>\n", text)
        _, text = get "/events?n=1"
        assert.truthy(text:find "^id: 1\ndata: ")
        status, text = get "/files/http_server.lua"
        assert.equal(200, status)
        assert.truthy(text:find "^%-%- A web server")
        assert.equal(404, (get "/nowhere"))
        local head <close> = assert(http.head(url .. "/files/http_server.lua"))
        assert.equal(tostring(#text), head.headers:get "content-length")
      end
    end)
  end)
end)
