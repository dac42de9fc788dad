--- TLS with real peers, both ways: OpenSSL's and GnuTLS's programs, curl,
-- nginx, Node, Python, stunnel.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local tls <const> = require "neap.tls"

local in_task <const> = helper.in_task

local function works(name, programs, body)
  it(name, function()
    certs.need()
    helper.need_program("timeout", table.unpack(programs))
    in_task(body)
  end)
end

local function write_file(text)
  local path = helper.tmpname()
  assert(assert(io.open(path, "wb")):write(text)):close()
  return path
end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function free_port()
  local listener <close> = assert(tcp.listen("127.0.0.1", 0))
  return select(2, listener:getsockname())
end

-- Connects as soon as the program listens.
local function patiently(connect, ...)
  local args <const> = table.pack(...)
  local conn, why
  helper.eventually(function()
    local code
    conn, why, code = connect(table.unpack(args, 1, args.n))
    if not conn and code ~= "ECONNREFUSED" then error(why) end
    return conn
  end)
  return conn
end

local lines <const> = {}
for i = 1, 10000 do lines[i] = ("%d: %x\n"):format(i, i * 2654435761) end
local text <const> = table.concat(lines) -- about 150 kB; each line a record of gnutls-cli
local reply <const> = text:reverse()

local KINDS <const> = { "good", "rsa", "ed25519" } -- of certificates

-- ---- our server, their client ----

-- Takes the text, and answers by the reply. What the client says after that
-- is read: unread, it would make a reset of our close.
local function exchange(conn)
  assert.is_true(conn:read(#text) == text)
  assert(conn:write(reply))
  assert(conn:shutdown "w")
  conn:read "a"
end

-- A program that connects to ours, sends the text and prints what comes: the
-- words are made of the port. Returns what it printed.
local function call(options, name, words)
  return lab.serving(lab.listener(options, name), exchange, function(_, failures, port)
    local process <close> = lab.start(words(port), { from = write_file(text) })
    local out <const> = process.output:read "a"
    assert.same({}, failures)
    return out
  end)
end

for _, version in ipairs { "1.2", "1.3" } do
  for _, kind in ipairs(KINDS) do
    works(("openssl s_client talks TLS %s to us, with our key %s"):format(version, kind), { "openssl" }, function()
      local out <const> = call(nil, kind, function(port)
        return { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-quiet", "-CAfile", certs.ca(),
          "-servername", "good.example", "-verify_hostname", "good.example", "-verify_return_error",
          "-tls" .. version:gsub("%.", "_") }
      end)
      assert.is_true(out:sub(-#reply) == reply)
    end)

    works(("gnutls-cli talks TLS %s to us, with our key %s"):format(version, kind), { "gnutls-cli" }, function()
      local out <const> = call(nil, kind, function(port)
        return { "gnutls-cli", "127.0.0.1", "-p", port, "--x509cafile", certs.ca(), "--logfile", "/dev/null",
          "--sni-hostname", "good.example", "--verify-hostname", "good.example",
          "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" .. version }
      end)
      assert.is_true(out:sub(-#reply) == reply, out:sub(1, 300))
    end)
  end

  works(("openssl s_client resumes TLS %s with us"):format(version), { "openssl" }, function()
    local session <const> = helper.tmpname()
    lab.serving(lab.listener(), function(conn) conn:write(conn:tlsinfo().resumed and "resumed" or "anew") end,
      function(_, _, port)
        local function dial(...)
          local process <close> = lab.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-ign_eof",
            "-servername", "good.example", "-tls" .. version:gsub("%.", "_"), ... }
          return process.output:read "a"
        end
        assert.matches("anew", dial("-sess_out", session))
        local out <const> = dial("-sess_in", session)
        assert.matches("Reused", out)
        assert.matches("resumed", out)
      end)
  end)

  works(("gnutls-cli resumes TLS %s with us"):format(version), { "gnutls-cli" }, function()
    local seen <const> = {}
    lab.serving(lab.listener(), function(conn)
      seen[#seen + 1] = conn:tlsinfo().resumed
      conn:write "hello\n"
      conn:read "a"
    end, function(_, _, port)
      local process <close> = lab.start { "gnutls-cli", "127.0.0.1", "-p", tostring(port), "--x509cafile", certs.ca(),
        "--sni-hostname", "good.example", "--verify-hostname", "good.example", "--resume", "--waitresumption",
        "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" .. version }
      process.output:read "a"
      assert.same({ false, true }, seen)
    end)
  end)
end

for _, program in ipairs { "openssl", "gnutls-cli" } do
  works(program .. " shows us its certificate", { program }, function()
    local client <const> = certs.get "client"
    local words <const> = {
      openssl = { "openssl", "s_client", "-ign_eof", "-cert", client.leaf, "-cert_chain", client.chain,
        "-key", client.key, "-connect" },
      ["gnutls-cli"] = { "gnutls-cli", "--insecure", "--x509certfile", client.chain, "--x509keyfile", client.key },
    }
    local options <const> = lab.listener { client_certificates = "require", ca = certs.ca() }
    lab.serving(options, function(conn) conn:write((conn:tlsinfo().peer[1]:subject())) end, function(_, failures, port)
      local list <const> = words[program]
      if program == "openssl" then
        list[#list + 1] = "127.0.0.1:" .. port
      else
        table.move({ "127.0.0.1", "-p", tostring(port) }, 1, 3, #list + 1, list)
      end
      local process <close> = lab.start(list)
      assert.matches("A Client", process.output:read "a")
      assert.same({}, failures)
    end)
  end)

  works(program .. " without one is told so", { program }, function()
    local words <const> = {
      openssl = { "openssl", "s_client", "-ign_eof", "-connect" }, ["gnutls-cli"] = { "gnutls-cli", "--insecure" },
    }
    local options <const> = lab.listener { client_certificates = "require", ca = certs.ca() }
    lab.serving(options, nil, function(_, failures, port)
      local list <const> = words[program]
      if program == "openssl" then
        list[#list + 1] = "127.0.0.1:" .. port
      else
        table.move({ "127.0.0.1", "-p", tostring(port) }, 1, 3, #list + 1, list)
      end
      local process <close> = lab.start(list)
      assert.matches("[Cc]ertificate i?s? ?required", process.output:read "a")
      helper.eventually(function() return #failures == 1 end) -- the alert may overtake it
    end)
  end)
end

-- ---- our client, their server ----

-- Sends lines and gets each back as it is turned; then the end.
local function turn(conn, turned, last)
  for i = 1, 200 do
    assert(conn:write("line ", i, ("x"):rep(i), "\n"))
    assert.equal(turned("line " .. i .. ("x"):rep(i)), conn:read())
  end
  if last then assert(conn:write(last)) else assert(conn:shutdown "w") end
  assert.equal("", conn:read "a")
  assert.fails("EOF", conn:read(1))
end

for _, version in ipairs { "1.2", "1.3" } do
  for _, kind in ipairs(KINDS) do
    works(("we talk TLS %s to openssl s_server, with its key %s"):format(version, kind), { "openssl" }, function()
      local server <close> = lab.s_server(kind, { "-rev", "-tls" .. version:gsub("%.", "_") })
      local conn <close> = assert(tls.connect("127.0.0.1", server.port, lab.client()))
      assert.equal("TLSv" .. version, conn:tlsinfo().version)
      turn(conn, string.reverse, "CLOSE\n")
    end)

    works(("we talk TLS %s to gnutls-serv, with its key %s"):format(version, kind), { "gnutls-serv" }, function()
      local cert <const> = certs.get(kind)
      local port <const> = free_port()
      local server <close> = lab.start { "gnutls-serv", "--echo", "-p", tostring(port), "--x509certfile", cert.chain,
        "--x509keyfile", cert.key, "--quiet", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" .. version }
      local conn <close> = patiently(tls.connect, "127.0.0.1", port, lab.client())
      assert.equal("TLSv" .. version, conn:tlsinfo().version)
      turn(conn, function(line) return line end)
    end)
  end

  works(("we resume TLS %s with openssl s_server, and with gnutls-serv"):format(version), { "openssl", "gnutls-serv" },
    function()
      local cert <const>, port <const> = certs.get "good", free_port()
      local one <close> = lab.s_server("good", { "-rev", "-tls" .. version:gsub("%.", "_") })
      local two <close> = lab.start { "gnutls-serv", "--echo", "-p", tostring(port), "--x509certfile", cert.chain,
        "--x509keyfile", cert.key, "--quiet", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" .. version }
      for _, to in ipairs { one.port, port } do
        local context <const> = assert(tls.context { ca = certs.ca() })
        local options <const> = { context = context, servername = "good.example" }
        local resumed <const> = {}
        for i = 1, 2 do
          local conn <close> = patiently(tls.connect, "127.0.0.1", to, options)
          assert(conn:write "abc\n")
          assert.equal(3, #conn:read())
          resumed[i] = conn:tlsinfo().resumed
          if to == one.port then assert(conn:write "CLOSE\n") else assert(conn:shutdown "w") end
          conn:read "a"
        end
        assert.same({ false, true }, resumed)
      end
    end)
end

works("we show our certificate to openssl s_server and to gnutls-serv", { "openssl", "gnutls-serv" }, function()
  local client <const>, cert <const>, port <const> = certs.get "client", certs.get "good", free_port()
  local one <close> = lab.s_server("good", { "-rev", "-Verify", "3", "-verify_return_error", "-CAfile", certs.ca() })
  local two <close> = lab.start { "gnutls-serv", "--echo", "-p", tostring(port), "--x509certfile", cert.chain,
    "--x509keyfile", cert.key, "--quiet", "--require-client-cert", "--verify-client-cert", "--x509cafile", certs.ca() }
  for _, to in ipairs { one.port, port } do
    for _, options in ipairs { {}, { cert = client.chain, key = client.key } } do
      local conn <close> = patiently(tls.connect, "127.0.0.1", to, lab.client(options))
      local line, why, code = conn:write "abc\n"
      if line then line, why, code = conn:read() end
      if options.cert then
        assert.equal(3, #assert(line, why))
      elseif line or code ~= "ETLS" and code ~= "ECONNRESET" and code ~= "EPIPE" then
        error(("%s, %s: %s"):format(line, code, why))
      end
    end
  end
end)

works("we are refused by TLS 1.1 alone", { "openssl" }, function()
  local server <close> = lab.s_server("good", { "-www", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0" })
  assert.fails("ETLS", tls.connect("127.0.0.1", server.port, lab.client()))
end)

-- ---- curl ----

-- The least of a server of HTTP: tells what it got.
local function http(conn)
  local first <const> = assert(conn:read())
  local length = 0
  for line in conn:lines() do
    if line == "" then break end
    length = math.tointeger(tonumber(line:match "^[Cc]ontent%-[Ll]ength: (%d+)")) or length
  end
  local body <const> = assert(conn:read(length))
  local answer <const> = first .. "\n" .. (body == text and reply or body)
  assert(conn:write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ", #answer, "\r\n\r\n", answer))
end

local function curl(port, ...)
  local process <close> = lab.start { "curl", "-sS", "--resolve", "good.example:" .. port .. ":127.0.0.1",
    "--resolve", "other.example:" .. port .. ":127.0.0.1", "--cacert", certs.ca(), ... }
  return process.output:read "a"
end

for _, version in ipairs { "1.2", "1.3" } do
  works("curl gets and posts over TLS " .. version, { "curl" }, function()
    local options <const> = lab.listener { alpn = { "http/1.1" } }
    lab.serving(options, http, function(_, failures, port)
      local url <const> = ("https://good.example:%d/page"):format(port)
      local bounds <const> = { "--tlsv" .. version, "--tls-max", version }
      assert.equal("GET /page HTTP/1.1\n", curl(port, bounds[1], bounds[2], bounds[3], url))
      local out <const> = curl(port, bounds[1], bounds[2], bounds[3], "-H", "Expect:", "--data-binary",
        "@" .. write_file(text), url)
      assert.is_true(out == "POST /page HTTP/1.1\n" .. reply)
      assert.same({}, failures)
    end)
  end)
end

works("curl refuses what it should, and we hear of it", { "curl" }, function()
  lab.serving(lab.listener(), http, function(_, failures, port)
    assert.matches("no alternative certificate subject name", curl(port, ("https://other.example:%d/"):format(port)))
    assert.matches("SSL certificate problem", curl(port, "--cacert", certs.ca "rogue",
      ("https://good.example:%d/"):format(port)))
    assert.is_true(curl(port, "--tls-max", "1.1", ("https://good.example:%d/"):format(port)) ~= "")
    assert.matches(".", curl(port, ("http://good.example:%d/"):format(port)))
    helper.eventually(function() return #failures >= 3 end)
  end)
end)

-- ---- nginx ----

describe("nginx", function()
  local SIZE <const> = 8 * 1024 * 1024

  -- more: lines of the server's configuration.
  local function with_nginx(more, body)
    local cert <const>, rsa <const> = certs.get "good", certs.get "rsa"
    local root <const> = helper.tmpname()
    assert(os.execute(("mkdir %s && head -c %d /dev/urandom >%s/big && chmod -R a+rX %s"):format(
      root, SIZE, root, root:match "^(.*)/")))
    local port <const> = free_port()
    local config <const> = write_file(([[
daemon off; master_process off; worker_processes 1; pid ROOT/pid; error_log stderr crit;
events { worker_connections 64; }
http {
  access_log off; sendfile on;
  client_body_temp_path ROOT/body; proxy_temp_path ROOT/proxy; fastcgi_temp_path ROOT/fastcgi;
  uwsgi_temp_path ROOT/uwsgi; scgi_temp_path ROOT/scgi;
  server {
    listen 127.0.0.1:PORT ssl; root ROOT; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate %s; ssl_certificate_key %s; ssl_certificate %s; ssl_certificate_key %s;
    ssl_session_cache shared:x:1m;
    location /who { return 200 "$ssl_client_verify $ssl_client_s_dn $ssl_session_reused $ssl_server_name\n"; }
    %s
  }
}
]]):format(cert.chain, cert.key, rsa.chain, rsa.key, more):gsub("ROOT", root):gsub("PORT", port))
    local held <close> = lab.start { "nginx", "-p", root, "-c", config }
    patiently(tcp.connect, "127.0.0.1", port):close()
    body(port, root .. "/big")
  end

  local function get(port, path, options)
    local conn <close> = assert(tls.connect("127.0.0.1", port, options))
    assert(conn:write("GET ", path, " HTTP/1.1\r\nHost: good.example\r\nConnection: close\r\n\r\n"))
    local status <const> = assert(conn:read())
    local length
    for line in conn:lines() do
      if line == "" then break end
      length = length or line:match "^[Cc]ontent%-[Ll]ength: (%d+)$"
    end
    local body <const> = assert(conn:read(math.tointeger(tonumber(length))))
    assert.equal("", conn:read "a") -- which ends with close_notify
    return body, status
  end

  for _, version in ipairs { "1.2", "1.3" } do
    works(("serves 8 MB over TLS %s, byte for byte"):format(version), { "nginx" }, function()
      with_nginx("", function(port, path)
        local options <const> = lab.client { min_version = version, max_version = version }
        assert.is_true(get(port, "/big", options) == read_file(path))
        local rsa <const> = lab.client { max_version = "1.2", ciphers = "ECDHE-RSA-AES256-GCM-SHA384" }
        assert.is_true(get(port, "/big", rsa) == read_file(path))
      end)
    end)
  end

  works("staples an OCSP response", { "nginx" }, function()
    local staple <const> = write_file(certs.ocsp "good")
    with_nginx(("ssl_stapling on; ssl_stapling_file %s;"):format(staple), function(port)
      local conn <close> = assert(tls.connect("127.0.0.1", port, lab.client { ocsp = "require", max_version = "1.2",
        ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }))
      assert.equal("good", conn:tlsinfo().ocsp)
    end)
  end)

  works("passes requests on to us, and verifies our certificate", { "nginx" }, function()
    lab.serving(lab.listener(), http, function(_, failures, ours)
      with_nginx(([[
        location /good { proxy_pass https://127.0.0.1:PEER/good; proxy_ssl_name good.example; }
        location /other { proxy_pass https://127.0.0.1:PEER/other; proxy_ssl_name other.example; }
        proxy_ssl_trusted_certificate %s; proxy_ssl_verify on; proxy_ssl_verify_depth 3; proxy_ssl_server_name on;
      ]]):format(certs.ca()):gsub("PEER", tostring(ours)), function(port)
        for _ = 1, 2 do assert.equal("GET /good HTTP/1.0\n", (get(port, "/good", lab.client()))) end
        assert.same({}, failures)
        local _, status = get(port, "/other", lab.client())
        assert.matches("502", status)
      end)
    end)
  end)

  works("resumes our sessions, and verifies our certificate", { "nginx" }, function()
    with_nginx(("ssl_verify_client optional; ssl_verify_depth 3; ssl_client_certificate %s;"):format(certs.ca()),
      function(port)
        local client <const>, rogue <const> = certs.get "client", certs.get "rogue client"
        local context <const> = assert(tls.context { ca = certs.ca() })
        local options <const> = { context = context, servername = "good.example" }
        assert.equal("NONE  . good.example\n", (get(port, "/who", options)))
        assert.equal("NONE  r good.example\n", (get(port, "/who", options)))
        assert.equal("SUCCESS CN=A Client . good.example\n",
          (get(port, "/who", lab.client { cert = client.chain, key = client.key })))
        local _, status = get(port, "/who", lab.client { cert = rogue.chain, key = rogue.key })
        assert.matches("400", status)
      end)
  end)
end)

-- ---- Node ----

describe("Node", function()
  local function script(body, ...)
    return { "node", "-e", "const tls = require('tls'), fs = require('fs'), [" ..
      "a, b, c, d] = process.argv.slice(1);" .. body, ... }
  end

  for _, version in ipairs { "1.2", "1.3" } do
    works("connects to us over TLS " .. version, { "node" }, function()
      local out <const> = call({ alpn = { "x" } }, "good", function(port)
        return script([[
          const s = tls.connect({ port: +a, host: '127.0.0.1', servername: 'good.example', ca: fs.readFileSync(b),
            minVersion: 'TLSv' + c, maxVersion: 'TLSv' + c, ALPNProtocols: ['x'] });
          s.on('secureConnect', () => { if (!s.authorized || s.alpnProtocol != 'x') throw 'not authorized';
            process.stdin.pipe(s, { end: false }); });
          s.pipe(process.stdout);
        ]], tostring(port), certs.ca(), version)
      end)
      assert.is_true(out == reply, out:sub(1, 300))
    end)

    works("serves us over TLS " .. version, { "node" }, function()
      local cert <const> = certs.get "good"
      local process <close> = lab.start(script([[
        tls.createServer({ cert: fs.readFileSync(a), key: fs.readFileSync(b), minVersion: 'TLSv' + c,
          maxVersion: 'TLSv' + c, allowHalfOpen: true }, s => s.pipe(s)).listen(0, '127.0.0.1', function () {
          console.log(this.address().port) });
      ]], cert.chain, cert.key, version))
      local port <const> = math.tointeger(tonumber(process.output:read()))
      local context <const> = assert(tls.context { ca = certs.ca() })
      for i = 1, 2 do
        local conn <close> = assert(tls.connect("127.0.0.1", port, { context = context, servername = "good.example" }))
        local writer <const> = neap.spawn(function()
          assert(conn:write(text))
          assert(conn:shutdown "w")
        end)
        assert.is_true(conn:read "a" == text)
        writer:join()
        assert.equal(i == 2, conn:tlsinfo().resumed)
      end
    end)
  end
end)

-- ---- Python ----

describe("Python", function()
  local function script(body, ...)
    return { "python3", "-c", "import socket, ssl, sys\na = sys.argv[1:]\n" .. body, ... }
  end

  for _, version in ipairs { "1.2", "1.3" } do
    works("connects to us over TLS " .. version, { "python3" }, function()
      local out <const> = call(nil, "good", function(port)
        return script([[
c = ssl.create_default_context(cafile=a[1])
c.minimum_version = c.maximum_version = ssl.TLSVersion['TLSv' + a[2].replace('.', '_')]
s = c.wrap_socket(socket.create_connection(('127.0.0.1', int(a[0]))), server_hostname='good.example')
s.sendall(sys.stdin.buffer.read())
got = b''
while True:
  data = s.recv(65536)
  if not data: break
  got += data
s.unwrap()
sys.stdout.buffer.write(got)
]], tostring(port), certs.ca(), version)
      end)
      assert.is_true(out == reply, out:sub(1, 300))
    end)

    works("serves us over TLS " .. version, { "python3" }, function()
      local cert <const> = certs.get "good"
      local process <close> = lab.start(script([[
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain(a[0], a[1])
c.minimum_version = c.maximum_version = ssl.TLSVersion['TLSv' + a[2].replace('.', '_')]
l = socket.create_server(('127.0.0.1', 0))
print(l.getsockname()[1], flush=True)
s = c.wrap_socket(l.accept()[0], server_side=True)
got = b''
while len(got) < int(a[3]): got += s.recv(65536)
s.sendall(got)
s.unwrap()
]], cert.chain, cert.key, version, tostring(#text)))
      local port <const> = math.tointeger(tonumber(process.output:read()))
      local conn <close> = assert(tls.connect("127.0.0.1", port, lab.client()))
      assert.equal("TLSv" .. version, conn:tlsinfo().version)
      local writer <const> = neap.spawn(function() assert(conn:write(text)) end)
      assert.is_true(conn:read "a" == text)
      writer:join()
    end)
  end
end)

-- ---- stunnel ----

describe("stunnel", function()
  local function tunnel(...)
    return lab.start { "stunnel4", write_file(("foreground = yes\ndebug = err\npid =\n[x]\n"
      .. table.concat({ ... }, "\n") .. "\n")) }
  end

  works("brings plain text to us", { "stunnel4" }, function()
    lab.serving(lab.listener(), exchange, function(_, failures, port)
      local entry <const> = free_port()
      local process <close> = tunnel("client = yes", "accept = 127.0.0.1:" .. entry, "connect = 127.0.0.1:" .. port,
        "sni = good.example", "checkHost = good.example", "verifyChain = yes", "CAfile = " .. certs.ca())
      local conn <close> = patiently(tcp.connect, "127.0.0.1", entry)
      local writer <const> = neap.spawn(function() assert(conn:write(text)) end)
      assert.is_true(conn:read(#reply) == reply)
      writer:join()
      assert(conn:shutdown "w")
      assert.equal("", conn:read "a")
      assert.same({}, failures)
    end)
  end)

  works("takes what we bring", { "stunnel4" }, function()
    local good <const>, plain <close> = certs.get "good", assert(tcp.listen("127.0.0.1", 0))
    local group <close> = neap.group()
    group:spawn(function()
      for conn in plain:connections() do group:spawn(function() pcall(exchange, conn) end) end
    end)
    local entry <const> = free_port()
    local process <close> = tunnel("accept = 127.0.0.1:" .. entry, "connect = 127.0.0.1:" ..
      select(2, plain:getsockname()), "cert = " .. good.chain, "key = " .. good.key)
    local conn <close> = patiently(tls.connect, "127.0.0.1", entry, lab.client())
    local writer <const> = neap.spawn(function() assert(conn:write(text)) end)
    assert.is_true(conn:read(#reply) == reply)
    writer:join()
    assert(conn:shutdown "w")
    assert.equal("", conn:read "a")
    plain:close()
  end)
end)
