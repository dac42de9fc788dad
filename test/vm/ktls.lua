-- TLS that the kernel encrypts, both ways with TLS 1.2, one way with 1.3.
-- modules: tls gcm ctr ghash_generic aes_generic aesni_intel ghash_clmulni_intel
local neap = require "neap"
local tcp = require "neap.tcp"
require "neap.tls"
local x509 = require "neap.x509"

local key = assert(x509.key {})
local pem = assert(x509.make { subject = "CN=localhost", key = key, names = { "localhost" } }):pem() .. key:pem()
local data = ("0123456789abcdef"):rep(100000)
local file <close> = assert(io.open("/tmp/data", "wb"))
assert(file:write(data) and file:flush())

-- Of both ends, one of which it writes by write, the other by sendfile.
local function pair(version)
  local a, b = assert(tcp.pair { timeout = 20 })
  local server = neap.spawn(function()
    return assert(b:starttls {
      server = true, cert = pem, max_version = version, ktls = true, ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256",
      ciphersuites = "TLS_AES_128_GCM_SHA256",
    })
  end)
  assert(a:starttls { ca = pem, servername = "localhost", ktls = true })
  server:join()
  return a, b
end

local function carries(version, how)
  local a <close>, b = pair(version)
  local held <close> = b
  assert(a:tlsinfo().ktls == how and b:tlsinfo().ktls == how, a:tlsinfo().ktls)
  local writer = neap.spawn(function()
    assert(a:sendfile "/tmp/data" == #data)
    assert(a:write(data, "tail"))
    assert(select(3, a:tlsrekey()) == "ENOTSUP")
    assert(a:shutdown "w")
  end)
  assert(assert(b:read(2 * #data + 4)) == data .. data .. "tail")
  assert(select(3, b:read(1)) == "EOF")
  writer:join()
  assert(b:sendfile "/tmp/data")
  assert(b:close())
  assert(assert(a:read "a") == data)
end

-- No signal, whatever is written to a peer that is gone.
local function survives(version)
  local a <close>, b = pair(version)
  assert(b:close())
  local code
  for _ = 1, 20 do
    local _
    _, _, code = a:write(data)
    if code then break end
    neap.sleep(0.01)
  end
  assert(code == "EPIPE" or code == "ECONNRESET", code)
end

for version, how in pairs { ["1.2"] = "both", ["1.3"] = "send" } do
  neap.run(carries, version, how)
  neap.run(survives, version)
end
