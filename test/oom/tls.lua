-- TLS: certificates made and read, contexts, handshakes, data, what is known of
-- a connection, and the failures of all that.
local neap = require "neap"
local tls = require "neap.tls"
local unix = require "neap.unix"
local x509 = require "neap.x509"

function neap.onerror(_, err)
  if not tostring(err):find("memory", 1, true) then print("onerror: " .. tostring(err)) end
end

local key = x509.key()
local made = assert(x509.make { key = key, subject = "CN=localhost", names = { "localhost", "127.0.0.1" }, ca = true,
  purposes = { "serverAuth" }, keyusage = { "digitalSignature", "keyCertSign" } })
local cert, pem = made:pem(), key:pem()

local function certificates()
  local read = assert(x509.load(cert))
  assert(read:subject() and read:names() and read:validity() and read:fingerprint() and read:matches "localhost")
  assert(#assert(x509.loadall(cert .. cert)) == 2)
  assert(x509.loadkey(pem):details())
  assert(not x509.load "no certificate")
end

local function contexts()
  local inner = assert(tls.context { cert = cert, key = pem, ocsp = function() end })
  assert(tls.context { cert = cert, key = pem, alpn = { "h2", "http/1.1" }, sni = { ["a.example"] = inner },
    pins = { ("x"):rep(32) }, ciphers = "ECDHE+AESGCM", groups = "P-256", client_certificates = "request", ca = cert })
  assert(not tls.context { cert = cert, key = "no key" })
  assert(not tls.context { cert = cert, key = pem, ocsp = "\0" })
end

-- Over a pair: `talk` gets both ends.
local function shaken(client, server, talk)
  local a, b = assert(unix.pair())
  local held <close> = setmetatable({}, { __close = function() a:close() b:close() end })
  local other <close> = neap.spawn(function()
    local ok = b:starttls(server)
    if not ok then b:close() end
    return ok
  end)
  local ok, _, code = a:starttls(client)
  if not ok then a:close() end
  other:join()
  return talk(ok and a, b, code)
end

local function sessions()
  local server = { server = true, context = assert(tls.context { cert = cert, key = pem, alpn = { "x" } }) }
  local client = { context = assert(tls.context { ca = cert, alpn = { "x" } }), servername = "localhost" }
  for _ = 1, 2 do -- the second is resumed
    shaken(client, server, function(a, b, code)
      assert(a, code)
      assert(b:write(("x"):rep(20000), "\n"))
      assert(a:read "l")
      assert(a:write "question" and a:shutdown "w")
      assert(b:read "a" == "question")
      assert(a:tlsinfo().peer[1]:subject() and b:tlsinfo().alpn == "x")
      assert(b:close())
      assert(a:read "a" == "")
    end)
  end
  shaken({ ca = cert, servername = "other.example" }, server, function(a, _, code)
    assert(not a and code == "X509_V_ERR_HOSTNAME_MISMATCH", code)
  end)
end

local function served()
  local listener <close> = assert(tls.listen("127.0.0.1", 0, { cert = cert, key = pem, handshake_timeout = 0.2 }))
  local _, port = listener:getsockname()
  local server <close> = neap.spawn(function()
    return listener:serve(function(conn)
      for line in conn:lines() do conn:write(line, "\n") end
    end, { on_error = function() end })
  end)
  do
    local conn <close> = assert(tls.connect("127.0.0.1", port, { ca = cert, timeout = 0.2 }))
    assert(conn:write "there and back\n")
    assert(conn:read "l" == "there and back")
  end
  assert(not tls.connect("127.0.0.1", port, { servername = "x", timeout = 0.2 }))
  listener:stop(0.1)
  server:join()
end

certificates()
contexts()
for _, fn in ipairs { sessions, served } do
  neap.run(function() assert(neap.timeout(2, function() fn() return true end)) end)
end
