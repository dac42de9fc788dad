-- SPDX-License-Identifier: MIT
--- DNS with real peers, both ways: dnsmasq, NSD and Unbound as servers, dig and
-- kdig as clients; and examples/dig.lua beside dig.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local dns <const> = require "neap.dns"
local tcp <const> = require "neap.tcp"
local udp <const> = require "neap.udp"

local in_task <const>, quote <const> = helper.in_task, helper.quote

local PATH <const> = "PATH=$PATH:/usr/sbin:/sbin "

local function need(...)
  for _, name in ipairs { ... } do
    helper.need(os.execute(("%s command -v %s >/dev/null 2>&1"):format(PATH:gsub(" $", ";"), name)),
      ("needs the program %s"):format(name))
  end
end

local function works(name, programs, body)
  it(name, function()
    need("timeout", table.unpack(programs))
    in_task(body)
  end)
end

-- A port that nobody has, by TCP nor by UDP.
local function free_port()
  for _ = 1, 20 do
    local listener <close> = assert(tcp.listen("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local sock <close> = udp.open("127.0.0.1", port)
    if sock then return port end
  end
  error "no port is free"
end

local function write_file(text)
  local path = helper.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

-- What a command prints, on both outputs, and its exit code; our tasks run
-- meanwhile.
local function run(...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = quote(word) end
  local pipe = io.popen(("LD_PRELOAD= timeout -k 5 %d %s 2>&1 </dev/null; echo $?"):format(20 * helper.slow,
    table.concat(words, " ")))
  local stream <close> = assert(neap.stream(pipe))
  local out, code = stream:read("a"):match "^(.-)(%d+)\n$"
  return out, math.tointeger(tonumber(code))
end

-- Under a sanitizer the interpreter that the suite names preloads it again.
local function dig_lua(...)
  return run("env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath, helper.lua, "examples/dig.lua", ...)
end

-- ---- servers of others ----

local SOON <const> = 0.2 * helper.slow

-- Starts a server by these words and waits until it answers for the name.
local function start(address, name, ...)
  local process = lab.start { "env", "LD_PRELOAD=", "sh", "-c", PATH .. 'exec "$@"', "sh", ... }
  local o = { servers = { address }, try_timeout = SOON, tries = 1, cache = false }
  local ok, why = pcall(helper.eventually, function()
    local _, _, code = dns.query(name, "SOA", o)
    return code == nil or code == "EAI_NODATA" or code == "EAI_NONAME"
  end)
  if not ok then
    local guard <close> = process
    local said = process.output:settimeout(0.1):receive()
    error(("%s: %s; it said: %s"):format((...), why, said), 0)
  end
  return process
end

local ZONE <const> = [[
$ORIGIN test.
$TTL 300
@ SOA ns1 host\.master 2024010101 7200 3600 1209600 60
@ NS ns1
@ MX 10 mail
@ MX 20 mail.example.org.
@ TXT "v=spf1 -all" "second \"one\"" "tab	and \\ back"
@ CAA 128 issue "ca.example.org"
ns1 A 127.0.0.1
ns1 AAAA ::1
www 60 A 192.0.2.1
www 60 A 192.0.2.2
www AAAA 2001:db8:0:0:1::1
alias CNAME alias2
alias2 CNAME www
dead CNAME nothing
out CNAME www.example.org.
ptr PTR host
hinfo HINFO "RFC8482" ""
_sip._udp SRV 1 2 5060 www
naptr NAPTR 100 10 "s" "SIP+D2U" "" _sip._udp
dname DNAME www
ds DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
ds NS ns1
@ DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
ssh SSHFP 4 2 0101010101010101010101010101010101010101010101010101010101010101
_443._tcp.www TLSA 3 1 1 0202020202020202020202020202020202020202020202020202020202020202
uri URI 10 1 "https://example.org/"
svc SVCB 0 www
https HTTPS 1 . mandatory=alpn,port alpn=h3,h2 no-default-alpn port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1
odd TYPE65280 \# 3 010203
a\.b A 192.0.2.3
a\032b A 192.0.2.4
big TXT "]] .. ("x"):rep(250) .. '" "' .. ("y"):rep(250) .. '" "' .. ("z"):rep(250) .. [["
big TXT "]] .. ("1"):rep(250) .. '" "' .. ("2"):rep(250) .. '" "' .. ("3"):rep(250) .. [["
]]

local QUESTIONS <const> = {
  "test. SOA", "test. NS", "test. MX", "test. TXT", "test. CAA", "test. DNSKEY", "ns1.test. A", "ns1.test. AAAA",
  "www.test. A", "www.test. AAAA", "alias.test. A", "alias.test. CNAME", "ptr.test. PTR", "hinfo.test. HINFO",
  "_sip._udp.test. SRV", "naptr.test. NAPTR", "dname.test. DNAME", "x.dname.test. A", "ds.test. DS", "ssh.test. SSHFP",
  "_443._tcp.www.test. TLSA", "uri.test. URI", "svc.test. SVCB", "https.test. HTTPS", "odd.test. TYPE65280",
  "a\\.b.test. A", "a\\032b.test. A", "big.test. TXT", "dead.test. A", "out.test. A", "nothing.test. A", "www.test. MX",
}

local function start_nsd(port)
  local zone = write_file(ZONE)
  local config = write_file(([[
server:
  ip-address: 127.0.0.1
  port: %d
  username: ""
  chroot: ""
  zonesdir: "/"
  database: ""
  pidfile: ""
  xfrdfile: "%s"
  zonelistfile: "%s"
  server-count: 1
  hide-version: yes
remote-control:
  control-enable: no
zone:
  name: test
  zonefile: "%s"
]]):format(port, helper.tmpname(), helper.tmpname(), zone))
  return start("127.0.0.1:" .. port, "test", "nsd", "-d", "-c", config)
end

-- The words of the lines that are records, in an order of their own.
local function records_of(out)
  local lines = {}
  for line in out:gmatch "[^\n]+" do
    if not line:find "^;" then lines[#lines + 1] = line:gsub("%s+", " ") end
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

describe("NSD", function()
  works("is understood as dig understands it, in every type", { "nsd", "dig" }, function()
    local port = free_port()
    local server <close> = start_nsd(port)
    for _, question in ipairs(QUESTIONS) do
      local name, kind = question:match "^(.*) (%S+)$"
      local theirs = run("dig", "@127.0.0.1", "-p", tostring(port), "+noall", "+answer", "+authority", "+nosplit",
        "+norec", name, kind)
      local ours = dig_lua("-n", "@127.0.0.1:" .. port, name, kind)
      local _, additional = ours:find "\n;; ADDITIONAL"
      ours = ours:sub(1, additional)
      assert.equal(records_of(theirs), records_of(ours), question)
      assert.is_truthy(#records_of(theirs) > 0, question)
    end
  end)

  works("gives records, aliases and the lack of them", { "nsd" }, function()
    local port = free_port()
    local server <close> = start_nsd(port)
    local r = assert(dns.resolver { servers = { "127.0.0.1:" .. port }, random_case = true })
    local list = assert(r:query("alias.test", "A"))
    assert.same({ 2, 60, "www.test", 2 }, { #list, list[1].ttl, list.canonname, #list.aliases })
    list = assert(r:query("x.dname.test", "DNAME") or r:query("dname.test", "DNAME"))
    assert.equal("www.test", list[1].target)
    assert.equal("host\\.master.test", r:query("test", "SOA")[1].rname)
    assert.fails("EAI_NONAME", r:query("nothing.test", "A"))
    assert.fails("EAI_NONAME", r:query("dead.test", "A"))
    assert.fails("EAI_NODATA", r:query("www.test", "MX"))
    assert.fails("EAI_NODATA", r:query("out.test", "A"))
    assert.fails("EAI_FAIL", r:query("example.org", "A")) -- refused
    assert.equal(750, #r:query("big.test", "TXT", { udp_size = 512 })[1].text) -- by TCP
    assert.equal("127.0.0.1", assert(r:query("ns1.test"))[1].address)
  end)
end)

describe("dnsmasq", function()
  works("answers what it was told", { "dnsmasq" }, function()
    local port = free_port()
    local server <close> = start("127.0.0.1:" .. port, "www.test", "dnsmasq", "--keep-in-foreground",
      "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=root", "--pid-file=", "--listen-address=127.0.0.1",
      "--bind-interfaces", "--no-dhcp-interface=lo", "--local=/test/", "--local-ttl=30", "--port=" .. port,
      "--host-record=www.test,192.0.2.1,2001:db8::1", "--mx-host=test,mail.test,10", "--txt-record=test,one,two",
      "--srv-host=_x._tcp.test,www.test,80,1,2", "--cname=alias.test,www.test", "--dns-rr=odd.test,65280,010203",
      "--caa-record=test,128,issue,ca.test", "--naptr-record=n.test,1,2,s,SIP,,r.test")
    local o = { servers = { "127.0.0.1:" .. port }, timeout = 5 * helper.slow }
    assert.equal("192.0.2.1", assert(dns.query("alias.test", "A", o))[1].address)
    assert.equal("2001:db8::1", assert(dns.query("www.test", "AAAA", o))[1].address)
    local mx = assert(dns.query("test", "MX", o))[1]
    assert.same({ 10, "mail.test" }, { mx.preference, mx.exchange })
    assert.same({ "one", "two" }, assert(dns.query("test", "TXT", o))[1].strings)
    assert.equal(80, assert(dns.query("_x._tcp.test", "SRV", o))[1].port)
    assert.equal("\1\2\3", assert(dns.query("odd.test", 65280, o))[1].data)
    assert.equal("ca.test", assert(dns.query("test", "CAA", o))[1].value)
    assert.equal("SIP", assert(dns.query("n.test", "NAPTR", o))[1].services)
    assert.equal("www.test", assert(dns.reverse("192.0.2.1", o))[1].ptrdname)
    assert.equal("www.test", assert(dns.reverse("2001:db8::1", o))[1].ptrdname)
    assert.fails("EAI_NONAME", dns.query("nobody.test", "A", o))
    assert.fails("EAI_NODATA", dns.query("www.test", "MX", o))
    o.tcp = true
    assert.equal("192.0.2.1", assert(dns.query("www.test", "A", o))[1].address)
    o.class = "CH"
    assert.matches("^dnsmasq", assert(dns.query("version.bind", "TXT", o))[1].text)
  end)
end)

describe("Unbound", function()
  local function config(port, tls_port, more)
    local cert = certs.get "good"
    return write_file(([[
server:
  interface: 127.0.0.1@%d
  interface: 127.0.0.1@%d
  tls-port: %d
  tls-service-key: "%s"
  tls-service-pem: "%s"
  username: ""
  chroot: ""
  directory: ""
  pidfile: ""
  use-syslog: no
  do-not-query-localhost: no
  do-ip6: no
  module-config: "iterator"
  num-threads: 1
  local-zone: "test." nodefault
%s
remote-control:
  control-enable: no
]]):format(port, tls_port, tls_port, cert.key, cert.chain, more))
  end

  works("answers over TLS, and is who it is", { "unbound" }, function()
    certs.need()
    local port, tls_port = free_port(), free_port()
    local path = config(port, tls_port, '  local-data: "www.test. 60 A 192.0.2.1"')
    local server <close> = start("127.0.0.1:" .. port, "www.test", "unbound", "-d", "-c", path)
    local address = "tls://127.0.0.1:" .. tls_port
    local servers = { address .. "#good.example" }
    local r = assert(dns.resolver { tls = { ca = certs.ca() }, cache = false, servers = servers })
    for _ = 1, 3 do assert.equal("192.0.2.1", assert(r:query("www.test", "A"))[1].address) end
    assert.fails("X509_V_ERR_HOSTNAME_MISMATCH", r:query("www.test", "A", { servers = { address .. "#bad.example" } }))
    assert.equal("192.0.2.1", assert(dns.query("www.test", "A", { servers = { "127.0.0.1:" .. port } }))[1].address)
  end)

  works("finds the answers of NSD, and of our server", { "unbound", "nsd" }, function()
    certs.need()
    local port, tls_port, nsd_port = free_port(), free_port(), free_port()
    local nsd <close> = start_nsd(nsd_port)
    local ours <close> = assert(dns.server(function(question)
      local aa = { aa = true, authority = { { name = "ours", type = "SOA", mname = "ns.ours", rname = "a.ours",
        serial = 1, refresh = 1, retry = 1, expire = 1, minimum = 30, ttl = 30 } } }
      if question.name == "www.ours" and question.type == "A" then
        return { { type = "A", address = "192.0.2.7", ttl = 30 }, aa = true }
      end
      if question.name ~= "www.ours" then aa.rcode = "NXDOMAIN" end
      return aa
    end))
    local task <close> = neap.spawn(ours.serve, ours)
    local _, our_port = ours:getsockname()
    local path = config(port, tls_port, ([[
stub-zone:
  name: "test"
  stub-addr: 127.0.0.1@%d
stub-zone:
  name: "ours"
  stub-addr: 127.0.0.1@%d]]):format(nsd_port, our_port))
    local server <close> = start("127.0.0.1:" .. port, "www.test", "unbound", "-d", "-c", path)
    local r = assert(dns.resolver { servers = { "127.0.0.1:" .. port }, try_timeout = 5 * helper.slow })
    assert.equal(2, #assert(r:query("alias.test", "A")))
    assert.fails("EAI_NONAME", r:query("nothing.test", "A"))
    assert.equal("192.0.2.7", assert(r:query("www.ours", "A"))[1].address)
    assert.fails("EAI_NODATA", r:query("www.ours", "MX"))
    assert.fails("EAI_NONAME", r:query("nobody.ours", "A"))
    assert.equal(750, #assert(r:query("big.test", "TXT", { udp_size = 512 }))[1].text)
    local message = assert(r:exchange("www.test", "A"))
    assert.is_true(message.ra)
  end)
end)

-- ---- our server ----

local function handler(question)
  if question.name == "big.test" then
    local list = {}
    for i = 1, 100 do list[i] = { type = "TXT", text = ("%03d"):format(i):rep(20), ttl = 5 } end
    return list
  end
  if question.name == "no.test" then return { rcode = "NXDOMAIN", aa = true } end
  return { { type = "A", address = "192.0.2.1", ttl = 60 }, aa = true, ra = true }
end

local function serving(options, body)
  local server <close> = assert(dns.server(handler, options))
  local task <close> = neap.spawn(server.serve, server)
  local _, port = server:getsockname()
  body(tostring(port))
end

describe("our server", function()
  works("is understood by dig", { "dig" }, function()
    serving(nil, function(port)
      local function dig(...) return (run("dig", "@127.0.0.1", "-p", port, ...)) end
      assert.equal("192.0.2.1\n", dig("+short", "www.test"))
      assert.equal("192.0.2.1\n", dig("+short", "+tcp", "www.test"))
      assert.equal("192.0.2.1\n", dig("+short", "+noedns", "www.test"))
      local out = dig "www.test"
      for _, text in ipairs { "status: NOERROR", "flags: qr aa rd ra;", "EDNS: version: 0, flags:; udp: 1232" } do
        assert.is_truthy(out:find(text, 1, true), out)
      end
      assert.is_nil(out:find("WARNING", 1, true), out)
      assert.is_truthy(dig("no.test"):find("status: NXDOMAIN", 1, true))
      local _, lines = dig("+short", "big.test", "TXT"):gsub("\n", "")
      assert.equal(100, lines) -- by TCP, and without a line that says so
      assert.is_truthy(dig("+ignore", "big.test", "TXT"):find("flags: qr tc rd", 1, true))
      assert.is_truthy(dig("+edns=1", "+noednsnegotiation", "www.test"):find("status: BADVERS", 1, true))
      assert.is_truthy(dig("+opcode=update", "www.test"):find("status: NOTIMP", 1, true))
    end)
  end)

  works("is understood by kdig, over TLS too", { "kdig" }, function()
    serving(nil, function(port)
      local out = run("kdig", "@127.0.0.1", "-p", port, "+short", "www.test", "A")
      assert.equal("192.0.2.1\n", out)
      out = run("kdig", "@127.0.0.1", "-p", port, "+tcp", "+keepopen", "www.test", "A", "no.test", "A")
      assert.is_truthy(out:find("status: NOERROR", 1, true) and out:find("status: NXDOMAIN", 1, true), out)
    end)
    certs.need()
    local cert = certs.get "good"
    serving({ tls = { cert = cert.chain, key = cert.key } }, function(port)
      local out = run("kdig", "@127.0.0.1", "-p", port, "+tls-ca=" .. certs.ca(), "+tls-hostname=good.example",
        "+padding", "www.test", "A")
      for _, text in ipairs { "status: NOERROR", "192.0.2.1", "TLS session (TLS1.3)" } do
        assert.is_truthy(out:find(text, 1, true), out)
      end
    end)
  end)
end)

-- ---- the example ----

describe("examples/dig.lua", function()
  local function has(out, ...)
    for _, text in ipairs { ... } do assert.is_truthy(out:find(text, 1, true), ("no %q in:\n%s"):format(text, out)) end
  end

  it("prints what a server says", function()
    in_task(serving, nil, function(port)
      local at = "@127.0.0.1:" .. port
      local out, code = dig_lua(at, "WWW.test")
      has(out, ";; NOERROR, id ", "flags: qr aa rd ra", ";; EDNS version 0, up to 1232 bytes", ";WWW.test.\tIN\tA",
        ";; ANSWER\nWWW.test.\t60\tIN\tA\t192.0.2.1\n", ";; 127.0.0.1:" .. port .. ", ")
      assert.equal(0, code)
      out, code = dig_lua("-s", "-r", at, "www.test", "A", "type1")
      assert.same({ "192.0.2.1\n192.0.2.1\n", 0 }, { out, code })
      out, code = dig_lua("-sT", at, "big.test", "TXT")
      has(out, '"001001', '"100100')
      assert.equal(0, code)
      out, code = dig_lua("-x", at, "192.0.2.9")
      has(out, "has no record of this type")
      assert.equal(1, code)
      out, code = dig_lua(at, "no.test")
      has(out, ";; NXDOMAIN")
      assert.equal(1, code)
    end)
  end)

  it("says what is wrong with its arguments and with the world", function()
    in_task(function()
      for _, words in ipairs { {}, { "-s" }, { "-q", "a" }, { "a", "-c" }, { "-W", "x", "a" } } do
        local out, code = dig_lua(table.unpack(words))
        has(out, "usage: dig.lua")
        assert.equal(2, code)
      end
      local out, code = dig_lua("@127.0.0.1", "a", "FOO")
      has(out, "dig.lua: bad argument #2 (a type such as")
      assert.equal(2, code)
      out, code = dig_lua("@dns.test", "a")
      has(out, "dig.lua: option 'servers': 'dns.test' is no")
      assert.equal(2, code)
      out, code = dig_lua("@127.0.0.1:" .. free_port(), "a")
      has(out, "dig.lua: dns a A: receive 127.0.0.1:", "Connection refused")
      assert.equal(2, code)
    end)
  end)
end)
