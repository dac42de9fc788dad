--- DTLS with real peers, both ways: OpenSSL's and GnuTLS's programs.
local certs <const> = require "support.certs"
local dtls <const> = require "neap.dtls"
local helper <const> = require "support.helper"
local lab <const> = require "support.dtls_lab"
local programs <const> = require "support.tls_lab"
local udp <const> = require "neap.udp"

local in_task <const> = helper.in_task

local function works(name, words, body)
  it(name, function()
    certs.need()
    helper.need_program("timeout", table.unpack(words))
    in_task(body)
  end)
end

local function free_port()
  local sock <close> = assert(udp.open("127.0.0.1", 0))
  return select(2, sock:getsockname())
end

-- Reads what a program prints until this is there.
local function printed(process, text)
  local out = ""
  while not out:find(text, 1, true) do
    local more, why = process.output:receive()
    if not more then error(("%s: %s"):format(why, out)) end
    out = out .. more
  end
  return out
end

-- ---- our server, their client ----

-- Lets a program talk to ours, which answers in capitals.
local function call(name, options, words)
  local cert <const> = certs.get(name)
  local listener <close>, port = lab.listen(lab.with({ context = false, cert = cert.chain, key = cert.key }, options))
  local process <close> = programs.start(words(tostring(port)), { input = true })
  local peer <close> = assert(listener:accept(8 * helper.slow))
  assert.matches("^DTLSv1%.[23]$", peer:tlsinfo().version)
  for _, text in ipairs { "one\n", "another line\n" } do
    assert(process.input:write(text))
    assert.equal(text, (peer:settimeout(5):receive()))
    assert(peer:send(text:upper()))
    printed(process, text:upper())
  end
  assert.equal(0, listener:tlsfailures())
  return process, peer
end

for _, name in ipairs { "good", "rsa", "p384" } do
  works(("openssl s_client talks to us, with our key %s"):format(name), { "openssl" }, function()
    call(name, nil, function(port)
      return { "openssl", "s_client", "-dtls1_2", "-connect", "127.0.0.1:" .. port, "-quiet", "-CAfile", certs.ca(),
        "-servername", "good.example", "-verify_hostname", "good.example", "-verify_return_error" }
    end)
  end)

  works(("gnutls-cli talks to us, with our key %s"):format(name), { "gnutls-cli" }, function()
    call(name, nil, function(port)
      return { "gnutls-cli", "--udp", "127.0.0.1", "-p", port, "--x509cafile", certs.ca(), "--logfile", "/dev/null",
        "--sni-hostname", "good.example", "--verify-hostname", "good.example" }
    end)
  end)
end

works("openssl s_client talks to us in short datagrams", { "openssl" }, function()
  call("long chain", { mtu = 300 }, function(port)
    return { "openssl", "s_client", "-dtls1_2", "-mtu", "300", "-connect", "127.0.0.1:" .. port, "-quiet",
      "-CAfile", certs.ca(), "-verify_return_error" }
  end)
end)

works("a client of another time is refused", { "openssl" }, function()
  local cert <const> = certs.get "good"
  local listener <close>, port = lab.listen { context = false, cert = cert.chain, key = cert.key }
  local process <close> = programs.start { "openssl", "s_client", "-dtls1", "-cipher", "DEFAULT:@SECLEVEL=0",
    "-connect", "127.0.0.1:" .. port }
  local out <const> = process.output:read "a"
  assert.matches("alert", out)
  assert.fails("ETIMEDOUT", listener:accept(0.01))
  assert.equal(1, listener:tlsfailures())
end)

-- ---- our client, their server ----

-- Connects as soon as the program listens.
local function patiently(port)
  local peer, why
  helper.eventually(function()
    local code
    peer, why, code = lab.connect(port, { context = false, ca = certs.ca(), servername = "good.example" })
    if not peer and code ~= "ECONNREFUSED" then error(why) end
    return peer
  end)
  return peer
end

for _, name in ipairs { "good", "rsa" } do
  works(("we talk to openssl s_server, with its key %s"):format(name), { "openssl" }, function()
    local cert <const>, port <const> = certs.get(name), free_port()
    local process <close> = programs.start({ "openssl", "s_server", "-dtls1_2", "-listen", "-quiet", "-accept",
      "127.0.0.1:" .. port, "-cert", cert.leaf, "-key", cert.key, "-cert_chain", cert.chain }, { input = true })
    local a <close> = patiently(port)
    assert(a:send "from us\n")
    printed(process, "from us\n")
    assert(process.input:write "from them\n")
    assert.equal("from them\n", (a:settimeout(5):receive()))
    a:close()
  end)

  works(("we talk to gnutls-serv, with its key %s"):format(name), { "gnutls-serv" }, function()
    local cert <const>, port <const> = certs.get(name), free_port()
    local words <const> = { "gnutls-serv", "--udp", "--echo", "-p", tostring(port), "--x509certfile", cert.chain,
      "--x509keyfile", cert.key }
    local process <close> = programs.start(words) -- luacheck: ignore 211
    local a <close> = patiently(port)
    assert.matches("^DTLSv1%.2", a:tlsinfo().version)
    for i = 1, 20 do
      local text <const> = ("message %d\n"):format(i)
      assert(a:send(text))
      assert.equal(text, (a:settimeout(5):receive()))
    end
  end)
end

works("a server of another name is not believed", { "openssl" }, function()
  local cert <const>, port <const> = certs.get "other", free_port()
  local words <const> = { "openssl", "s_server", "-dtls1_2", "-listen", "-quiet", "-accept", "127.0.0.1:" .. port,
    "-cert", cert.leaf, "-key", cert.key, "-cert_chain", cert.chain }
  local process <close> = programs.start(words) -- luacheck: ignore 211
  local code
  helper.eventually(function()
    local peer, _
    peer, _, code = dtls.connect("127.0.0.1", port, { ca = certs.ca(), servername = "good.example", timeout = 5 })
    return peer or code ~= "ECONNREFUSED"
  end)
  assert.equal("X509_V_ERR_HOSTNAME_MISMATCH", code)
end)
