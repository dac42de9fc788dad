--- What contexts of TLS are made of, and made anew of while they serve: files,
-- keys, whom to trust; and the log of secrets.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local tls <const> = require "neap.tls"
local unix <const> = require "neap.unix"

local in_task <const> = helper.in_task

local function works(name, body)
  it(name, function()
    certs.need()
    in_task(body)
  end)
end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

local function temporary(text)
  local path <const> = helper.tmpname()
  write_file(path, text or "")
  return path
end

-- The failure says all of these words (plain text).
local function refused(code, words, value, why, got)
  assert.fails(code, value, why, got)
  for _, word in ipairs(words) do
    if not why:find(word, 1, true) then error(("%q does not say %q"):format(why, word), 2) end
  end
end

-- Client's and server's results over a pair of sockets, and the ends.
local function shake(client, server, body)
  local a <close>, b = assert(unix.pair())
  local held <close> = b
  local mine, theirs = lab.shake(a, lab.client(client), b, lab.server(server))
  if body then
    assert(mine[1] and theirs[1], tostring(mine[2]) .. "; " .. tostring(theirs[2]))
    assert(b:write "x")
    assert.equal("x", a:read(1))
    body(a:tlsinfo(), b:tlsinfo())
  end
  return mine, theirs
end

local function subject(info) return (info.peer[1]:subject():match "The %w+") end

-- ---- reload ----

describe("listener:reload", function()
  -- A server whose certificate is in files that can be changed.
  local function files_of(name)
    local cert <const> = certs.get(name)
    local chain <const>, key <const> = temporary(cert.pem), temporary(cert.keypem)
    return chain, key, function(other)
      write_file(chain, certs.get(other).pem)
      write_file(key, certs.get(other).keypem)
    end
  end

  local function echo(conn)
    for line in conn:lines() do assert(conn:write(line, "\n")) end
  end

  works("reads the files again, and disturbs nobody", function()
    local chain <const>, key <const>, change = files_of "good"
    lab.serving({ cert = chain, key = key }, echo, function(connect, failures, _, listener)
      local old <close> = assert(connect())
      assert.equal("The Good", subject(old:tlsinfo()))
      change "rsa"
      assert.equal(listener, listener:reload())
      local new <close> = assert(connect())
      assert.equal("The Rsa", subject(new:tlsinfo()))
      for _, conn in ipairs { old, new } do
        assert(conn:write "still here\n")
        assert.equal("still here", conn:read())
      end
      assert.same({}, failures)
    end)
  end)

  works("takes what is said in place of what was", function()
    local rsa <const> = certs.get "rsa"
    lab.serving(lab.listener { max_version = "1.2" }, echo, function(connect, _, _, listener)
      assert(listener:reload { cert = rsa.chain, key = rsa.key })
      local one <close> = assert(connect())
      assert.equal("The Rsa", subject(one:tlsinfo()))
      assert.equal("TLSv1.2", one:tlsinfo().version) -- as it was
      assert(listener:reload { max_version = "1.3" })
      local two <close> = assert(connect())
      assert.equal("The Rsa", subject(two:tlsinfo()))
      assert.equal("TLSv1.3", two:tlsinfo().version)
    end)
  end)

  works("leaves all as it was when something is wrong", function()
    local good <const>, rsa <const> = certs.get "good", certs.get "rsa"
    local chain <const>, key <const> = files_of "good"
    lab.serving({ cert = chain, key = key }, echo, function(connect, _, _, listener)
      for _, case in ipairs {
        { function() write_file(chain, rsa.pem) end, nil, "ETLS", { "key" } },
        { function() write_file(chain, "junk") end, nil, "ETLS", { "cert" } },
        { function() os.remove(chain) end, nil, "ENOENT", { chain } },
        { function() write_file(chain, good.pem) end, { cert = "/nowhere" }, "ENOENT", { "/nowhere" } },
        { function() end, { key = rsa.key }, "ETLS", { "key" } },
        { function() end, { ca = "/nowhere" }, "ENOENT", { "ca" } },
      } do
        case[1]()
        refused(case[3], case[4], listener:reload(case[2]))
        local conn <close> = assert(connect())
        assert.equal("The Good", subject(conn:tlsinfo()))
      end
      assert(listener:reload())
    end)
  end)

  for _, version in ipairs { "1.2", "1.3" } do
    works("lets clients resume what they had, over TLS " .. version, function()
      local chain <const>, key <const>, change = files_of "good"
      local context <const> = assert(tls.context { ca = certs.ca(), max_version = version })
      lab.serving({ cert = chain, key = key }, echo, function(connect, _, _, listener)
        local resumed <const> = {}
        for i = 1, 3 do
          local conn <close> = assert(connect { ca = lab.none, context = context })
          assert(conn:write "x\n")
          assert.equal("x", conn:read())
          resumed[i] = conn:tlsinfo().resumed
          change(i == 1 and "rsa" or "good")
          assert(listener:reload(i == 2 and { ticket_secret = ("s"):rep(32) } or nil))
        end
        assert.same({ false, true, false }, resumed)
      end)
    end)

    works("lets nobody resume who is revoked since, over TLS " .. version, function()
      local client <const> = certs.get "client"
      local list <const> = temporary(read_file(certs.crl {}))
      local context <const> = assert(tls.context { ca = certs.ca(), cert = client.chain, key = client.key,
        max_version = version })
      local options <const> = lab.listener { client_certificates = "require", ca = certs.ca(), crl = list }
      lab.serving(options, echo, function(connect, failures, _, listener)
        local function visit()
          local conn <close> = assert(connect { ca = lab.none, context = context })
          return conn:write "x\n" and conn:read()
        end
        assert.equal("x", visit())
        assert.equal("x", visit())
        write_file(list, read_file(certs.crl { "client" }))
        assert(listener:reload())
        pcall(visit)
        helper.eventually(function() return #failures == 1 end)
        assert.matches("revoked", failures[1][1])
      end)
    end)
  end

  works("under load costs nobody a connection", function()
    local chain <const>, key <const>, change = files_of "good"
    lab.serving({ cert = chain, key = key }, echo, function(connect, failures, _, listener)
      local busy, seen = true, {}
      local long <close> = assert(connect())
      local clients <const> = {}
      for i = 1, 4 do
        clients[i] = neap.spawn(function()
          while busy do
            local conn <close> = assert(connect())
            seen[subject(conn:tlsinfo())] = true
            assert(conn:write "x\n")
            assert.equal("x", conn:read())
          end
        end)
      end
      for i = 1, 20 do
        change(i % 2 == 1 and "rsa" or "good")
        assert(listener:reload())
        neap.sleep(0.01)
        assert(long:write "x\n")
        assert.equal("x", long:read())
      end
      helper.eventually(function() return seen["The Good"] end)
      change "rsa"
      assert(listener:reload())
      helper.eventually(function() return seen["The Rsa"] end)
      busy = false
      for _, task in ipairs(clients) do task:join() end
      assert.same({}, failures)
    end)
  end)

  works("of a listener with a context takes another", function()
    local function context(name) return assert(tls.context(lab.listener(nil, name))) end
    lab.serving({ context = context "good" }, echo, function(connect, _, _, listener)
      assert.raises("context", listener.reload, listener)
      assert.raises("context", listener.reload, listener, { cert = "x" })
      assert.raises("alone", listener.reload, listener, { cert = "x", context = context "rsa" })
      assert(listener:reload { context = context "rsa" })
      local conn <close> = assert(connect())
      assert.equal("The Rsa", subject(conn:tlsinfo()))
    end)
  end)

  works("raises and fails as others do", function()
    local listener <const> = assert(tls.listen("127.0.0.1", 0, lab.listener()))
    assert.raises("unknown option 'cret'", listener.reload, listener, { cret = "x" })
    assert.raises("unknown option 'backlog'", listener.reload, listener, { backlog = 5 })
    assert.raises("psk", listener.reload, listener, { psk = { identity = "a", key = "b" } })
    listener:close()
    assert.fails("ECLOSED", listener:reload())
    local plain <close> = assert(tcp.listen("127.0.0.1", 0))
    assert.fails("EINVAL", plain:reload())
  end)
end)

-- ---- keys and PKCS#12 ----

describe("certificates and keys that neap.x509 has", function()
  local x509 <const> = require "neap.x509"

  local function made(name, kind)
    local key <const> = x509.key(kind)
    return assert(x509.make { key = key, subject = "CN=" .. name, names = { "good.example" }, ca = true,
      purposes = { "serverAuth" }, keyusage = { "digitalSignature", "keyCertSign" } }), key
  end

  works("do for PEM text, alone and in lists", function()
    local cert <const>, key <const> = made "The One"
    local other <const>, other_key <const> = made("The Other", { type = "rsa" })
    local lists <const> = { { cert, other:pem() }, { key, other_key } }
    for _, server in ipairs {
      { cert = cert, key = key }, { cert = cert:pem(), key = key }, { cert = cert, key = key:pem() },
      { cert = lists[1], key = lists[2] },
    } do
      shake({ ca = cert:pem() }, server, function(mine) assert.equal("The One", subject(mine)) end)
    end
    assert.equal(cert, lists[1][1]) -- it is as it was
    assert.equal(key, lists[2][1])
  end)

  it("are no others than what is asked for", function()
    local cert <const>, key <const> = made "The One"
    for _, o in ipairs { { cert = key, key = key }, { cert = { io.stdout } } } do
      assert.raises("option 'cert' must be a string or a list of strings, or of what neap.x509 has", tls.context, o)
    end
    assert.raises("option 'key' must be a string", tls.context, { cert = cert, key = cert })
    assert.raises("option 'crl' must be a string", tls.context, { crl = cert })
  end)
end)

describe("a key with a passphrase", function()
  works("is one of several, on both sides, and the function is told which", function()
    local rsa <const>, client <const> = certs.get "rsa", certs.get "client"
    local one <const>, two <const> = certs.encrypted("rsa", "first"), certs.encrypted("good", "second")
    local asked <const> = {}
    local server <const> = {
      cert = { rsa.chain, certs.get "p384".chain, certs.get "good".chain },
      key = { one, certs.get "p384".key, two },
      passphrase = function(i, path)
        asked[#asked + 1] = { i, path }
        neap.sleep(0.01) -- it may wait
        return i == 1 and "first" or "second"
      end,
      client_certificates = "require", ca = certs.ca(),
    }
    shake({ cert = client.chain, key = certs.encrypted("client", "third"), passphrase = "third" }, server,
      function(_, theirs) assert.matches("A Client", (theirs.peer[1]:subject())) end)
    assert.same({ { 1, one }, { 3, two } }, asked)
  end)

  works("is told without a path where there is only text", function()
    local asked <const> = {}
    assert(tls.context { cert = certs.get "good".pem, key = read_file(certs.encrypted("good", "open")),
      passphrase = function(...)
        asked[#asked + 1] = table.pack(...)
        return "open"
      end })
    assert.same({ { 1, nil, n = 2 } }, asked)
  end)

  works("fails as its function does", function()
    local good <const> = certs.get "good"
    local function with(passphrase)
      return tls.context { cert = good.chain, key = certs.encrypted("good", "open"), passphrase = passphrase }
    end
    refused("ETLS", { "key", "no passphrase" }, with(function() end))
    refused("EAGAIN", { "key", "not today" }, with(function() return nil, "not today", "EAGAIN" end))
    refused("ETLS", { "passphrase is wrong" }, with(function() return "shut" end))
    refused("ETLS", { "passphrase is wrong" }, with(function() return "" end))
    refused("ETLS", { "NUL" }, with "open\0sesame")
    refused("ETLS", { "needs a passphrase" }, with(nil))
    assert.raises("no string", with, function() return 5 end)
    assert.raises("burns", with, function() error "burns" end)
    -- who needs none is not asked
    assert(tls.context { cert = good.chain, key = good.key, passphrase = function() error "asked" end })
  end)
end)

describe("PKCS#12", function()
  local function export(name, passphrase)
    local cert <const>, path <const> = certs.get(name), helper.tmpname()
    local others <const> = temporary(certs.capem() .. cert.pem) -- in no order
    certs.openssl("pkcs12 -export -inkey %s -in %s -certfile %s -out %s -passout %s", cert.key, cert.leaf,
      others, path, helper.quote("pass:" .. passphrase))
    return path
  end

  works("is certificate, key and chain, of either side", function()
    local path <const> = export("good", "open")
    for _, source in ipairs { path, read_file(path) } do
      shake(nil, { cert = lab.none, key = lab.none, pkcs12 = source, passphrase = "open" }, function(info)
        assert.equal("The Good", subject(info))
        assert.equal(2, #info.peer) -- without the root
      end)
    end
    shake({ pkcs12 = export("client", "open"), passphrase = function(i, file)
      assert.equal(1, i)
      assert.is_string(file)
      return "open"
    end }, { client_certificates = "require", ca = certs.ca() }, function(_, theirs)
      assert.matches("A Client", (theirs.peer[1]:subject()))
    end)
  end)

  works("needs no passphrase if it has none", function()
    local path <const> = export("good", "")
    shake(nil, { cert = lab.none, key = lab.none, pkcs12 = path }, function(info)
      assert.equal("The Good", subject(info))
    end)
    assert(tls.context { pkcs12 = path, passphrase = function() error "asked" end })
  end)

  works("may be a list, and beside certificates", function()
    local ec <const>, rsa <const> = export("good", "open"), export("rsa", "open")
    for _, server in ipairs {
      { cert = lab.none, key = lab.none, pkcs12 = { ec, rsa }, passphrase = "open" },
      { pkcs12 = rsa, passphrase = "open" },
    } do
      for ciphers, name in pairs { ["ECDHE-RSA-AES128-GCM-SHA256"] = "The Rsa",
        ["ECDHE-ECDSA-AES128-GCM-SHA256"] = "The Good" } do
        shake({ ciphers = ciphers, max_version = "1.2" }, server, function(info) assert.equal(name, subject(info)) end)
      end
    end
  end)

  works("says what is wrong with it", function()
    local path <const> = export("good", "open")
    local function with(source, passphrase) return tls.context { pkcs12 = source, passphrase = passphrase } end
    refused("ETLS", { "pkcs12", "passphrase is wrong" }, with(path, "shut"))
    refused("ETLS", { "pkcs12", "needs a passphrase" }, with(path))
    refused("ENOENT", { "pkcs12", "/nowhere" }, with "/nowhere")
    refused("ETLS", { "pkcs12", "not PKCS#12" }, with(temporary "junk"))
    refused("ETLS", { "pkcs12", "not PKCS#12" }, with(temporary(read_file(path):sub(1, 100))))
    refused("ETLS", { "pkcs12", "not PKCS#12" }, with(certs.get "good".chain))
    local damaged <const> = read_file(path)
    refused("ETLS", { "passphrase" }, with(temporary(damaged:sub(1, 200) .. "\0" .. damaged:sub(202)), "open"))
    local keyless <const> = helper.tmpname()
    certs.openssl("pkcs12 -export -nokeys -in %s -out %s -passout pass:open", certs.get "good".chain, keyless)
    refused("ETLS", { "pkcs12", "no certificate with its key" }, with(keyless, "open"))
  end)
end)

-- ---- whom to trust ----

describe("whom a context trusts", function()
  works("must be said where clients are asked", function()
    local good <const> = certs.get "good"
    for _, how in ipairs { "request", "require" } do
      assert.raises("needs 'ca'", tls.context, { cert = good.chain, key = good.key, client_certificates = how })
      assert(tls.context { cert = good.chain, key = good.key, client_certificates = how, ca_only = false })
    end
    assert.raises("'ca_only' needs 'ca'", tls.context, { ca_only = true })
  end)

  works("is somebody", function()
    local empty <const> = helper.tmpname()
    assert(os.execute("mkdir " .. empty))
    local unnamed <const> = helper.tmpname()
    assert(os.execute("mkdir " .. unnamed))
    write_file(unnamed .. "/root.pem", certs.capem())
    local cleanup <close> = helper.defer(function()
      os.remove(unnamed .. "/root.pem")
      os.remove(unnamed)
      os.remove(empty)
    end)
    assert.is_not_nil(cleanup)
    refused("ETLS", { "ca", "no certificate in it" }, tls.context { ca = empty })
    refused("ETLS", { "ca", "openssl rehash" }, tls.context { ca = unnamed })
    refused("ETLS", { "ca", "no certificate in it" }, tls.context { ca = temporary "nothing\n" })
    refused("ETLS", { "ca", "no certificate in it" }, tls.context { ca = temporary(certs.get "good".keypem) })
    refused("ETLS", { "ca" }, tls.context { ca = temporary((certs.capem():gsub("MII", "M!I"))) })
    refused("ETLS", { "ca" }, tls.context { ca = certs.capem() .. (certs.capem "middle":gsub("MII", "M!I")) })
    refused("EINVAL", { "NUL" }, tls.context { ca = "a\0b" })
    refused("ETLS", { "crl", "no list" }, tls.context { crl = certs.ca() })
    refused("ETLS", { "cert", "no certificate in it" }, tls.context { cert = certs.get "good".key })
    refused("ETLS", { "key", "no key in it" }, tls.context { cert = certs.get "good".chain })
    refused("EISDIR", { "cert" }, tls.context { cert = "/", key = certs.get "good".key })
    local chain <const> = certs.get "good".pem
    refused("ETLS", { "cert" }, tls.context { cert = chain .. chain:gsub("MII", "M!I"), key = certs.get "good".key })
  end)

  works("may be an intermediate in a directory, too", function()
    shake({ ca = certs.ca_directory "middle" }, nil, function() end)
  end)

  works("is told to clients, of a directory, too", function()
    for _, ca in ipairs { certs.ca(), certs.ca_directory "root" } do
      lab.serving(lab.listener { client_certificates = "request", ca = ca }, function(conn) conn:write "x" end,
        function(_, _, port)
          local process <close> = lab.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-ign_eof" }
          assert.matches("Acceptable client certificate CA names\n[^\n]*Spec Root", process.output:read "a")
        end)
    end
  end)

  works("is less who is on a list of several files", function()
    local root <const>, middle <const> = certs.crl({}, nil, { "root" }), certs.crl({ "revoked" }, nil, { "middle" })
    shake({ crl = { root, read_file(middle) } }, nil, function() end)
    local cert <const> = certs.get "revoked"
    local mine = shake({ crl = { root, middle } }, { cert = cert.chain, key = cert.key })
    refused("X509_V_ERR_CERT_REVOKED", { "revoked" }, table.unpack(mine))
    mine = shake { crl = { root } }
    refused("X509_V_ERR_UNABLE_TO_GET_CRL", { "CRL" }, table.unpack(mine))
  end)

  works("is who has a pinned key, of clients, too", function()
    local client <const> = certs.get "client"
    local mine <const> = { cert = client.chain, key = client.key }
    local function server(pin)
      return { client_certificates = "require", ca = certs.ca(), pins = { certs.pin(pin) } }
    end
    shake(mine, server "client", function() end)
    shake(mine, server "root", function() end)
    local _, theirs = shake(mine, server "rogue")
    refused("X509_V_ERR_APPLICATION_VERIFICATION", { "pin" }, table.unpack(theirs))
  end)

  it("raises on what can mean nothing", function()
    for _, case in ipairs {
      { { key = "x" }, "'key' needs 'cert'" }, { { cert = {} }, "cert" }, { { cert = { 5 } }, "cert" },
      { { cert = "x", key = { "x", "y" } }, "key" }, { { pkcs12 = {} }, "pkcs12" }, { { pkcs12 = 5 }, "pkcs12" },
      { { crl = { 5 } }, "crl" }, { { crl = {} }, "crl" }, { { pins = {} }, "pins" },
      { { ciphers = "DEFAULT:@SECLEVEL=0" }, "ciphers" }, { { ciphers = "default:@seclevel=0" }, "ciphers" },
      { { ciphers = "a\0b" }, "ciphers" }, { { keylog = 5 }, "keylog" },
    } do
      assert.raises(case[2], tls.context, case[1])
    end
    local other <const> = assert(tls.context {})
    for _, name in ipairs { "*", "", "a.*.example", "*.", "*.*.example", "b\xc3\xbccher.example" } do
      assert.raises("'sni'", tls.context, { sni = { [name] = other } })
    end
    assert.is_truthy(tls.context { sni = { ["A.example"] = other, ["*.example"] = other, localhost = other } })
    refused("ETLS", { "groups", "does not know" }, tls.context { groups = "P-255" })
  end)
end)

-- ---- the log of secrets ----

describe("a context of names", function()
  works("keeps those that it has, whatever becomes of the table", function()
    local names <const> = { ["*.wild.example"] = assert(tls.context(lab.listener({}, "wildcard"))) }
    local server <const> = assert(tls.context(lab.listener { sni = names }))
    local kept <const> = setmetatable({ names["*.wild.example"] }, { __mode = "v" })
    names["*.wild.example"] = nil
    for _ = 1, 3 do collectgarbage() end
    assert.is_truthy(kept[1])
    local a <close>, b = lab.pair({ servername = "a.wild.example" },
      { cert = lab.none, key = lab.none, context = server })
    local held <close> = b
    assert.is_true(a:tlsinfo().peer[1]:matches "a.wild.example")
  end)

  -- Of those that a context has, 64 keep their buffers; one that is used takes
  -- the place of who had it for longest: here of the one over it, which reads.
  works("is that of a session, and of the one under it", function()
    local client <const> = assert(tls.context { ca = certs.ca() })
    local open <close> = setmetatable({}, { __close = function(open)
      for _, stream in ipairs(open) do stream:close() end
    end })
    local function pair(a, b)
      if not a then a, b = assert(unix.pair()) end
      open[#open + 1], open[#open + 2] = a, b
      local mine <const>, theirs <const> = lab.shake(a, { context = client, servername = "good.example" }, b,
        { server = true, context = lab.server_context() })
      assert(mine[1] and theirs[1], mine[2])
      return a, b
    end
    local a <const>, b <const> = pair(pair())
    assert(a:write "first\n")
    assert.equal("first", b:read())
    for _ = 1, 63 do assert(pair():write "!") end
    assert(b:write "then\n")
    assert.equal("then", a:read())
  end)
end)

describe("the key log", function()
  local function lines_of(path)
    local list <const> = {}
    for line in io.lines(path) do list[#list + 1] = line end
    table.sort(list)
    return list
  end

  for _, version in ipairs { "1.2", "1.3" } do
    works("is the same on both sides, appended to a file, over TLS " .. version, function()
      local path <const> = temporary "# what was there\n"
      local told <const> = { "# what was there" }
      shake({ keylog = path, max_version = version }, { keylog = function(line) told[#told + 1] = line end },
        function() end)
      table.sort(told)
      local written <const> = lines_of(path)
      assert.same(told, written)
      for i = 2, #written do assert.matches("^[A-Z_0-9]+ " .. ("%x"):rep(64) .. " %x+$", written[i]) end
      assert.equal(version == "1.2" and 2 or 6, #written)
      assert.matches(version == "1.2" and "^CLIENT_RANDOM" or "^CLIENT_HANDSHAKE", written[2])
    end)
  end

  works("is for nobody's eyes but its owner's", function()
    local path <const> = helper.tmpname()
    os.remove(path)
    local cleanup <close> = helper.defer(function() os.remove(path) end)
    shake({ keylog = path }, nil, function() end)
    assert.is_not_nil(cleanup)
    local pipe <close> = assert(io.popen("ls -l " .. path))
    assert.equal("-rw-------", pipe:read(10))
  end)

  works("fails at once where it cannot be written", function()
    refused("ENOENT", { "keylog", "/nowhere/log" }, tls.context { keylog = "/nowhere/log" })
    refused("EISDIR", { "keylog" }, tls.context { keylog = "/" })
  end)

  works("is written only if it is asked for", function()
    local path <const> = temporary()
    for _, case in ipairs { { "nil", 0 }, { "false", 0 }, { "true", 5 } } do
      local output <const>, code <const> = helper.script_under("SSLKEYLOGFILE=" .. path, ([[
        local neap, tls, unix = require "neap", require "neap.tls", require "neap.unix"
        local a, b = unix.pair()
        local server = neap.spawn(function() return b:starttls { server = true, cert = %q, key = %q } end)
        assert(a:starttls { servername = "good.example", ca = %q, keylog = %s })
        assert(server:join())
      ]]):format(certs.get "good".chain, certs.get "good".key, certs.ca(), case[1]))
      assert.equal(0, code, output)
      assert.equal(case[2], #lines_of(path))
    end
    local output <const>, code <const> = helper.script_under("env -u SSLKEYLOGFILE",
      [[assert(require "neap.tls".context { keylog = true })]])
    assert.equal(0, code, output)
  end)

  works("has a function whose errors fail the handshake", function()
    local mine = shake({ keylog = function() error("no more paper", 0) end })
    refused("ETLS", { "keylog: no more paper" }, table.unpack(mine))
    local _, theirs = shake(nil, { keylog = function(line)
      if line:find "^EXPORTER" then error("not this one", 0) end
    end })
    refused("ETLS", { "keylog: not this one" }, table.unpack(theirs))
  end)

  works("has a function that may close its stream", function()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    local mine, theirs = lab.shake(a, lab.client { keylog = function() a:close() end }, b, lab.server())
    assert.fails("ECLOSED", table.unpack(mine))
    assert.is_nil(theirs[1])
  end)

  for _, version in ipairs { "1.2", "1.3" } do
    works("lets tshark read what was recorded of TLS " .. version, function()
      helper.need_program("tshark", "text2pcap")
      local log <const>, dump <const>, capture <const> = helper.tmpname(), {}, helper.tmpname()
      local function record(direction)
        return function(bytes)
          local hex <const> = bytes:gsub(".", function(c) return ("%02x "):format(c:byte()) end)
          dump[#dump + 1] = direction .. "\n000000 " .. hex
          return bytes
        end
      end
      local a <close>, b, relay = lab.through(record "O", record "I")
      local held <close> = b
      local cut <close> = relay
      assert.is_not_nil(cut)
      local mine, theirs = lab.shake(a, lab.client { keylog = log, max_version = version }, b, lab.server())
      assert(mine[1] and theirs[1])
      assert(a:write "GET /the-secret HTTP/1.0\r\n\r\n")
      assert.equal("GET /the-secret HTTP/1.0\r\n\r\n", b:read(28))
      local text <const> = temporary(table.concat(dump, "\n") .. "\n")
      assert(os.execute(("text2pcap -q -D -T 40000,443 %s %s 2>/dev/null"):format(text, capture)))
      local pipe <close> = assert(io.popen(("tshark -o tls.keylog_file:%s -r %s -Y http.request -T fields"
        .. " -e http.request.uri 2>/dev/null"):format(log, capture)))
      assert.equal("/the-secret", pipe:read "l")
    end)
  end
end)
