-- SPDX-License-Identifier: MIT
--- Messages of DNS: bytes to tables and back, beside another library's; and
-- what is malformed, cut, flipped or goes round in circles.
local helper <const> = require "support.helper"
local dns <const> = require "neap.dns"
local answers <const> = require "neap.dns.answer"
local caches <const> = require "neap.dns.cache"
local conf <const> = require "neap.dns.conf"
local core <const> = require "neap.core"
local ip <const> = require "neap.dns.ip"
local names <const> = require "neap.dns.name"
local queries <const> = require "neap.dns.query"

-- ---- what is in a message ----

local function header(qd, an, ns, ar, flags) return (">I2I2I2I2I2I2"):pack(7, flags or 0x8180, qd, an, ns, ar) end

-- The bytes of a record whose name is the root.
local function record(kind, data, class) return (">BI2I2I4s2"):pack(0, kind, class or 1, 60, data) end

local function malformed(text, bytes)
  local message, why, code = dns.decode(bytes)
  assert.is_nil(message, text)
  assert.equal("EBADMSG", code)
  assert.is_truthy(why:find(text, 1, true), ("%q is not in %q"):format(text, why))
end

-- One record of each kind, with its fields.
local RECORDS <const> = {
  { type = "A", address = "192.0.2.1" },
  { type = "AAAA", address = "2001:db8::1" },
  { type = "NS", nsdname = "ns1.example.org" },
  { type = "CNAME", cname = "www.example.org" },
  { type = "SOA", mname = "ns1.example.org", rname = "host\\.master.example.org", serial = 4294967295, refresh = 1,
    retry = 2, expire = 3, minimum = 4 },
  { type = "PTR", ptrdname = "." },
  { type = "HINFO", cpu = "RFC8482", os = "" },
  { type = "MX", preference = 10, exchange = "mail.example.org" },
  { type = "TXT", strings = { "v=spf1", "", "\0\255" } },
  { type = "SPF", strings = { "v=spf1" } },
  { type = "RP", mbox = "a.example.org", txt = "." },
  { type = "AFSDB", subtype = 1, hostname = "afs.example.org" },
  { type = "SRV", priority = 1, weight = 2, port = 443, target = "www.example.org" },
  { type = "NAPTR", order = 1, preference = 2, flags = "s", services = "SIP+D2U", regexp = "", replacement = "_sip.x" },
  { type = "DNAME", target = "other.example" },
  { type = "DS", key_tag = 20326, algorithm = 8, digest_type = 2, digest = ("\1\2"):rep(16) },
  { type = "CDS", key_tag = 0, algorithm = 0, digest_type = 0, digest = "\0" },
  { type = "DNSKEY", flags = 257, protocol = 3, algorithm = 13, key = ("\3"):rep(64) },
  { type = "CDNSKEY", flags = 0, protocol = 3, algorithm = 0, key = "\0" },
  { type = "RRSIG", type_covered = "A", algorithm = 13, labels = 2, original_ttl = 60, expiration = 1800000000,
    inception = 1700000000, key_tag = 1, signer = "example.org", signature = ("\4"):rep(64) },
  { type = "SSHFP", algorithm = 4, fp_type = 2, fingerprint = ("\5"):rep(32) },
  { type = "TLSA", usage = 3, selector = 1, matching_type = 1, data = ("\6"):rep(32) },
  { type = "SMIMEA", usage = 3, selector = 1, matching_type = 0, data = "x" },
  { type = "URI", priority = 10, weight = 1, target = "https://example.org/" },
  { type = "CAA", flags = 128, tag = "issue", value = "ca.example.org; a=b" },
  { type = "SVCB", priority = 0, target = "svc.example.org", params = {} },
  { type = "HTTPS", priority = 1, target = ".", params = {
    mandatory = { "alpn", "port" }, alpn = { "h3", "h2" }, ["no-default-alpn"] = true, port = 8443,
    ipv4hint = { "192.0.2.1", "192.0.2.2" }, ech = "\0\1", ipv6hint = { "2001:db8::1" }, dohpath = "/q{?dns}",
    ohttp = true, key65280 = "private",
  } },
  { type = "TYPE65280", data = "whatever\0" },
  { type = "NSEC", data = "\0\0\1\64" },
}

local function copies(list)
  local all = {}
  for i, one in ipairs(list) do
    all[i] = { name = ("r%d.example.org"):format(i), class = "IN", ttl = 60 * i }
    for name, value in pairs(one) do all[i][name] = value end
    if one.strings then all[i].text = table.concat(one.strings) end
  end
  return all
end

local function full_message()
  return {
    id = 4711, qr = true, aa = true, tc = false, rd = true, ra = true, ad = true, cd = false, opcode = "QUERY",
    rcode = "BADVERS", question = { { name = "Example.ORG", type = "ANY", class = "IN" } },
    answer = copies(RECORDS), authority = copies { RECORDS[5] }, additional = copies { RECORDS[1] },
    edns = { udp_size = 1232, version = 0, dnssec = true, options = { { code = 10, data = "12345678" } } },
  }
end

describe("dns.encode and dns.decode", function()
  it("make of a table what makes of it the table", function()
    local message = full_message()
    local bytes = assert(dns.encode(message))
    local back = assert(dns.decode(bytes))
    assert.same(message, back)
    assert.is_true(dns.encode(back) == bytes)
  end)

  it("have defaults: class, TTL, flags, sections", function()
    local message = assert(dns.decode(dns.encode {
      question = { { name = "a", type = "mx" } }, answer = { { name = "a.", type = 16, text = ("x"):rep(300) } },
    }))
    assert.same({ { name = "a", type = "MX", class = "IN" } }, message.question)
    assert.same({ name = "a", type = "TXT", class = "IN", ttl = 0, strings = { ("x"):rep(255), ("x"):rep(45) },
      text = ("x"):rep(300) }, message.answer[1])
    assert.same({ 0, false, "NOERROR", "QUERY" }, { message.id, message.qr, message.rcode, message.opcode })
    assert.is_nil(message.edns)
  end)

  it("leave to other classes what is theirs", function()
    for _, class in ipairs { "CH", "HS", "NONE", "ANY", "CLASS32" } do
      local bytes = dns.encode { answer = { { name = "a", type = "A", class = class, data = "abc" } } }
      local one = dns.decode(bytes).answer[1]
      assert.same({ class, "abc" }, { one.class, one.data })
    end
    local text = dns.encode { answer = { { name = "version.bind", type = "TXT", class = "CH", text = "9" } } }
    assert.equal("9", dns.decode(text).answer[1].text)
  end)

  it("compress names where that is allowed, and keep their capitals", function()
    local function size(...)
      local list = {}
      for i, one in ipairs { ... } do list[i] = one end
      return #dns.encode { question = { { name = "a.example.org", type = "A" } }, answer = list }
    end
    local plain = 12 + 15 + 4
    assert.equal(plain + 2 + 10 + 4, size { name = "a.example.org", type = "A", address = "1.2.3.4" })
    assert.equal(plain + 2 + 10 + 4, size { name = "a.example.org", type = "NS", nsdname = "b.example.org" })
    assert.equal(plain + 2 + 10 + 6 + 15,
      size { name = "a.example.org", type = "SRV", priority = 1, weight = 1, port = 1, target = "b.example.org" })
    assert.equal(plain + 2 + 2 + 10 + 4, size { name = "b.example.org", type = "A", address = "1.2.3.4" })
    assert.equal(plain + 15 + 10 + 4, size { name = "a.example.ORG", type = "A", address = "1.2.3.4" })
    local many = {}
    for i = 1, 2000 // helper.slow do
      many[i] = { name = ("host%d.example.org"):format(i), type = "A", address = "1.2.3.4" }
    end
    local back = dns.decode(dns.encode { answer = many })
    for i, one in ipairs(back.answer) do assert.equal(many[i].name, one.name) end
  end)

  it("take a TTL with its highest bit for none", function()
    assert.equal(0, dns.decode(header(0, 1, 0, 0) .. (">BI2I2I4s2"):pack(0, 1, 1, 0x80000000, "abcd")).answer[1].ttl)
  end)

  it("raise on what cannot be a message, and say where", function()
    local function bad(text, message) assert.raises(text, dns.encode, message) end
    local function bad_record(text, one)
      one.name = one.name or "a"
      bad("record 1 of the answer section: " .. text, { answer = { one } })
    end
    bad_record("field 'address' must be an IPv4 address", { type = "A", address = "1.2.3" })
    bad_record("field 'address' must be an IPv6 address", { type = "AAAA", address = "1.2.3.4" })
    bad_record("field 'preference' must be an integer from 0 to 65535", { type = "MX", preference = 65536 })
    bad_record("field 'preference' must be an integer", { type = "MX", preference = 1.0, exchange = "." })
    bad_record("field 'exchange' must be a name: a label is empty", { type = "MX", preference = 1, exchange = "a..b" })
    bad_record("field 'exchange' must be a name", { type = "MX", preference = 1 })
    bad_record("field 'strings' must be a string, or a list", { type = "TXT" })
    bad_record("field 'strings' must be a string of at most 255", { type = "TXT", strings = { ("x"):rep(256) } })
    bad_record("field 'tag' must not be empty", { type = "CAA", flags = 0, tag = "", value = "" })
    bad_record("field 'type_covered' must be a type", { type = "RRSIG", type_covered = "FOO" })
    bad_record("field 'data' must be a string", { type = "TYPE7777" })
    bad_record("type FOO is not known", { type = "FOO" })
    bad_record("class XX is not known", { type = "A", class = "XX" })
    bad_record("field 'ttl' must be", { type = "A", address = "1.2.3.4", ttl = -1 })
    bad_record("field 'name' must be a name: a label is longer", { name = ("a"):rep(64), type = "A" })
    bad_record("its data are longer", { type = 777, data = ("x"):rep(65536) })
    local function params(text, value)
      bad_record("field 'params' " .. text, { type = "SVCB", priority = 1, target = ".", params = value })
    end
    params("must be a table", 1)
    params("has no parameter 'foo'", { foo = 1 })
    params("has no parameter 'key65536'", { key65536 = "" })
    params("is wrong: alpn must be a list", { alpn = {} })
    params("is wrong: alpn must not be empty", { alpn = { "" } })
    params("is wrong: port must be an integer", { port = "443" })
    params("is wrong: the mandatory parameter port is missing", { mandatory = { "port" } })
    params("is wrong: mandatory must be a list of parameters", { mandatory = { "mandatory" } })
    params("is wrong: no-default-alpn without alpn", { ["no-default-alpn"] = true })
    bad("this rcode needs EDNS", { rcode = "BADVERS" })
    bad("rcode X is not known", { rcode = "X" })
    bad("EDNS option 1 must be", { edns = { options = { { code = 1 } } } })
    bad("field 'edns' has a number", { edns = { udp_size = 65536 } })
    bad("section 'answer' must be a list", { answer = 1 })
    bad("bad argument #1", 1)
    assert.raises("bad argument #1", dns.decode, 1)
    assert.raises("dns_message_spec.lua:", function() return (dns.encode { rcode = "X" }) end)
  end)

  it("say what is too long", function()
    local list = {}
    for i = 1, 300 do list[i] = { name = "a", type = 777, data = ("x"):rep(255) } end
    assert.fails("EMSGSIZE", dns.encode { answer = list })
  end)
end)

-- ---- what is malformed ----

describe("dns.decode", function()
  it("refuses what is cut off or too long", function()
    malformed("the header is cut off", "")
    malformed("the header is cut off", header(0, 0, 0, 0):sub(1, 11))
    malformed("question 1: a question is cut off", header(1, 0, 0, 0) .. "\1a\0\0\1")
    malformed("question 1: a name is cut off", header(1, 0, 0, 0) .. "\7abcde")
    malformed("bytes behind the last record", header(0, 0, 0, 0) .. "\0")
    malformed("longer than 65535", header(0, 0, 0, 0) .. ("\0"):rep(65524))
    malformed("record 1 of the answer section: its data are cut off",
      header(0, 1, 0, 0) .. record(1, "abcd"):sub(1, -2))
    malformed("record 1 of the authority section: it is cut off", header(0, 0, 1, 0) .. "\7abcdefg\0\0\1\0")
  end)

  it("refuses more records than there is room for", function()
    for _, counts in ipairs { { 65535, 0, 0, 0 }, { 0, 65535, 0, 0 }, { 0, 0, 65535, 65535 }, { 1, 1, 1, 1 } } do
      malformed("more records than there is room for", header(table.unpack(counts)) .. ("\0"):rep(30))
    end
  end)

  it("follows pointers only backward", function()
    local function name(bytes, before) return header(1, 0, 0, 0) .. (before or "") .. bytes .. "\0\1\0\1" end
    malformed("points forward, or at itself", name "\xc0\x0c")
    malformed("points forward, or at itself", name "\xc0\x0e")
    malformed("points forward, or at itself", name "\1a\xc0\x0c") -- into its own beginning: round and round
    malformed("points forward, or at itself", name "\xff\xff")
    malformed("points into the header", name "\xc0\x00")
    malformed("points into the header", name "\xc0\x0b")
    malformed("a name is cut off", header(1, 0, 0, 0) .. "\3abc\xc0")
    for _, kind in ipairs { "\x40", "\x41", "\x80", "\xbf" } do malformed("of no known kind", name(kind)) end
    -- two that point at each other
    local two = header(1, 1, 0, 0) .. "\xc0\x12\0\1\0\1" .. "\xc0\x0c" .. ("\0"):rep(10)
    malformed("points forward", two)
    -- backward, but into bytes that lead on to where it came from
    malformed("points forward, or at itself",
      header(1, 1, 0, 0) .. "\1a\1b\0\0\1\0\1" .. "\3abc\xc0\x15" .. ("\0"):rep(10))
  end)

  it("takes no name longer than 255 bytes, and one of 255", function()
    local label = "\63" .. ("x"):rep(63)
    local function message(name) return header(1, 0, 0, 0) .. name .. "\0\1\0\1" end
    assert.equal(253, #dns.decode(message(label:rep(3) .. "\61" .. ("y"):rep(61) .. "\0")).question[1].name)
    malformed("longer than 255 bytes", message(label:rep(3) .. "\62" .. ("y"):rep(62) .. "\0"))
    malformed("longer than 255 bytes", message(label:rep(4) .. "\0"))
    -- by pointers, too: each name is a label longer than the one before it
    local function chain(n)
      local bytes = header(0, n, 0, 0)
      local last
      for _ = 1, n do
        local at = #bytes
        bytes = bytes .. label .. (last and (">I2"):pack(0xc000 | last) or "\0")
          .. (">I2I2I4s2"):pack(16, 1, 0, "\0")
        last = at
      end
      return bytes
    end
    assert.equal(3 * 64 - 1, #dns.decode(chain(3)).answer[3].name)
    malformed("record 4 of the answer section: a name is longer than 255 bytes", chain(4))
  end)

  it("is not kept busy by chains of pointers", function()
    -- A record whose data are 30000 pointers, each to the one before; and then
    -- 2900 names that begin at the last.
    local chain = { "\0" }
    local first = 12 + 11
    for i = 1, 20000 do
      if first + 2 * i - 1 > 0x3fff then break end
      chain[#chain + 1] = (">I2"):pack(0xc000 | (i == 1 and first or first + 2 * i - 3))
    end
    local data = table.concat(chain)
    local last = first + #data - 2
    local rest = ((">I2I2I2I4s2"):pack(0xc000 | last, 16, 1, 0, "\0")):rep(2900)
    local bytes = header(0, 2901, 0, 0) .. record(65280, data) .. rest
    assert.takes(0, 2, malformed, "too many pointers", bytes)
  end)

  it("refuses data that are not as their type has them", function()
    local rows <const> = {
      { 1, "abc", "cut off" }, { 1, "abcde", "behind its last field" }, { 28, ("x"):rep(15), "cut off" },
      { 28, ("x"):rep(17), "behind" }, { 2, "", "cut off" }, { 2, "\0\0", "behind" }, { 5, "\1a", "cut off" },
      { 15, "\0", "cut off" }, { 15, "\0\1", "cut off" }, { 15, "\0\1\0\0", "behind" }, { 16, "", "cut off" },
      { 16, "\5abc", "cut off" }, { 16, "\1a\3b", "cut off" }, { 6, "\0\0" .. ("x"):rep(19), "cut off" },
      { 6, "\0\0" .. ("x"):rep(21), "behind" }, { 33, "\0\1\0\1\0\1", "cut off" }, { 257, "\0", "cut off" },
      { 257, "\0\0", "is empty" }, { 257, "\0\5abc", "cut off" }, { 52, "\3\1", "cut off" },
      { 43, "\0\1\1", "cut off" },
      { 48, "\1\1\3", "cut off" }, { 46, ("x"):rep(18), "cut off" }, { 13, "\3abc", "cut off" },
      { 46, ("\0"):rep(18) .. "\xc0\x0c", "must not be" }, -- compressed
      { 65, "\0\1\xc0\x0c", "must not be" }, { 64, "\0\1", "cut off" }, { 64, "\0\1\0\0", "cut off" },
      { 64, "\0\1\0" .. "\0\1\0\5\2h2", "cut off" }, { 64, "\0\1\0" .. "\0\1\0\0", "cut off" },
      { 64, "\0\1\0" .. "\0\1\0\1\0", "is empty" }, { 64, "\0\1\0" .. "\0\1\0\3\3h2", "cut off" },
      { 64, "\0\1\0" .. "\0\3\0\1\0", "cut off" }, { 64, "\0\1\0" .. "\0\3\0\3\0\0\0", "too long" },
      { 64, "\0\1\0" .. "\0\3\0\2\1\1\0\1\0\3\2h2", "not in order" },
      { 64, "\0\1\0" .. ("\0\3\0\2\1\1"):rep(2), "not in order" },
      { 64, "\0\1\0" .. "\0\2\0\0", "without alpn" }, { 64, "\0\1\0" .. "\0\2\0\1x", "too long" },
      { 64, "\0\1\0" .. "\0\4\0\5abcde", "cut off" }, { 64, "\0\1\0" .. "\0\4\0\0", "cut off" },
      { 64, "\0\1\0" .. "\0\0\0\2\0\3", "is missing" }, { 64, "\0\1\0" .. "\0\0\0\2\0\0", "not in order" },
      { 64, "\0\1\0" .. "\0\0\0\4\0\3\0\3\0\3\0\2\1\1", "not in order" },
      { 64, "\0\1\0" .. "\0\0\0\3\0\3\0", "cut off" },
    }
    for i, row in ipairs(rows) do
      local bytes = header(0, 1, 0, 0) .. record(row[1], row[2])
      local message, why, code = dns.decode(bytes)
      assert.is_nil(message, "row " .. i)
      assert.equal("EBADMSG", code)
      assert.is_truthy(why:find(row[3], 1, true), ("row %d: %s"):format(i, why))
    end
  end)

  it("takes one OPT record, of the root, in its place", function()
    local opt = record(41, "")
    assert.equal(1, dns.decode(header(0, 0, 0, 1) .. opt).edns.udp_size)
    malformed("two OPT records", header(0, 0, 0, 2) .. opt .. opt)
    malformed("out of place", header(0, 1, 0, 0) .. opt)
    malformed("has a name", header(0, 0, 0, 1) .. "\1a" .. opt)
    malformed("option is cut off", header(0, 0, 0, 1) .. record(41, "\0\1\0"))
    malformed("option is cut off", header(0, 0, 0, 1) .. record(41, "\0\1\0\2x"))
  end)

  local STEP <const> = helper.slow > 1 and 31 or 1 -- through the bytes of a message

  -- Neither raises nor hangs, whatever comes: a table, or nil, why, code.
  local function survives(bytes)
    local message, why, code = dns.decode(bytes)
    if message then
      assert.equal("table", type(message))
      pcall(answers.select, message, { name = "r4.example.org", type = "A", class = "IN" })
      pcall(answers.is_referral, message)
      return true
    end
    assert.equal("string", type(why))
    assert.equal("EBADMSG", code)
    return false
  end

  it("fails on every truncation", function()
    local bytes = dns.encode(full_message())
    for n = 0, #bytes - 1, STEP do assert.is_false(survives(bytes:sub(1, n)), n) end
    for n = 1, 20 do assert.is_false(survives(bytes .. ("\0"):rep(n))) end
  end)

  it("survives every flip of a bit, and every byte made 0, 63, 192 or 255", function()
    local bytes = dns.encode(full_message())
    for i = 1, #bytes, STEP do
      local before, after, byte = bytes:sub(1, i - 1), bytes:sub(i + 1), bytes:byte(i)
      for bit = 0, 7 do survives(before .. string.char(byte ~ 1 << bit) .. after) end
      for _, value in ipairs { 0, 63, 192, 255 } do survives(before .. string.char(value) .. after) end
    end
  end)

  it("survives bytes at random, and pieces of messages at random places", function()
    math.randomseed(4711)
    local bytes = dns.encode(full_message())
    for _ = 1, 2000 // STEP do
      local parts = {}
      for i = 1, math.random(1, 60) do parts[i] = string.char(math.random(0, 255)) end
      survives(header(math.random(0, 2), math.random(0, 2), 0, math.random(0, 1)) .. table.concat(parts))
      local at, n = math.random(1, #bytes), math.random(1, 40)
      local from = math.random(1, #bytes)
      survives(bytes:sub(1, at) .. bytes:sub(from, from + n) .. bytes:sub(at + n + 2))
    end
  end)
end)

-- ---- names and addresses ----

describe("names", function()
  it("are read with what a backslash stands for, and written so", function()
    local rows <const> = {
      { ".", {}, "." }, { "a", { "a" }, "a" }, { "a.", { "a" }, "a" }, { "A.b", { "A", "b" }, "A.b" },
      { "a\\.b.c", { "a.b", "c" }, "a\\.b.c" }, { "a\\046b", { "a.b" }, "a\\.b" },
      { "\\\\.x", { "\\", "x" }, "\\\\.x" },
      { "\\000\\255.x", { "\0\255", "x" }, "\\000\\255.x" }, { "a b", { "a b" }, "a\\032b" }, { "\\a", { "a" }, "a" },
      { "x\\.", { "x." }, "x\\." }, { "b\xc3\xbc", { "b\xc3\xbc" }, "b\\195\\188" },
    }
    for _, row in ipairs(rows) do
      local labels = assert(names.parse(row[1]))
      assert.same(row[2], labels)
      assert.equal(row[3], names.text(labels))
      assert.same(row[2], names.parse(row[3]))
    end
    assert.is_true(select(2, names.parse "a."))
    assert.is_false(select(2, names.parse "a\\."))
  end)

  it("are refused when they cannot be one", function()
    for _, text in ipairs { "", "..", ".a", "a..b", "a\\", "a\\25", "a\\256", ("a"):rep(64), ("a."):rep(128) } do
      assert.is_nil(names.parse(text), text)
    end
    assert.is_truthy(names.parse(("a."):rep(127)))
  end)

  it("are in a zone label by label", function()
    for _, row in ipairs {
      { "a.b", "b", true }, { "a.b", ".", true }, { "a.b", "a.b", true }, { "ab", "b", false }, { "b", "a.b", false },
      { "a\\.b", "b", false }, { "a\\\\.b", "b", true }, { "a\\\\\\.b", "b", false },
    } do
      assert.equal(row[3], names.is_within(row[1], row[2]), row[1] .. " " .. row[2])
    end
  end)
end)

describe("addresses", function()
  it("are written as the system writes them, and read back", function()
    math.randomseed(1)
    local function check6(bytes)
      local text = ip.text6(bytes)
      assert.equal(core.resolve(text)[1].ip, text)
      assert.is_true(ip.bytes6(text) == bytes, text)
    end
    for mask = 0, 255 do -- each pattern of zeros
      local groups = {}
      for i = 1, 8 do groups[i] = mask & 1 << (i - 1) == 0 and 0 or math.random(1, 0xffff) end
      if mask & 0x3f ~= 0 then check6((">I2I2I2I2I2I2I2I2"):pack(table.unpack(groups))) end
    end
    check6(("\0"):rep(10) .. "\xff\xff\1\2\3\4")
    assert.equal("::", ip.text6(("\0"):rep(16)))
    assert.equal("::1", ip.text6(("\0"):rep(15) .. "\1"))
    assert.equal(("\0"):rep(12) .. "\1\2\3\4", ip.bytes6 "::1.2.3.4")
    for _, text in ipairs { "", ":", ":::", "1", "1:2", "1::2::3", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "g::",
      "12345::", "::1.2.3", "::1.2.3.4:1", "1.2.3.4", "::1 ", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:" } do
      assert.is_nil(ip.bytes6(text), text)
    end
    for _, text in ipairs { "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.04", "a.b.c.d", " 1.2.3.4", "::1" } do
      assert.is_nil(ip.bytes4(text), text)
    end
    assert.equal("\0\255\10\9", ip.bytes4 "0.255.10.9")
  end)

  it("have names in the reverse tree", function()
    assert.equal("4.3.2.1.in-addr.arpa", ip.arpa "1.2.3.4")
    assert.equal("1" .. (".0"):rep(23) .. ".8.b.d.0.1.0.0.2.ip6.arpa", ip.arpa "2001:db8::1")
    assert.equal(ip.arpa "fe80::1", ip.arpa "fe80::1%eth0")
    assert.is_nil(ip.arpa "localhost")
  end)
end)

-- ---- questions and answers ----

describe("a query", function()
  local function ask(o)
    o = o or {}
    if o.recursion == nil then o.recursion = true end
    return queries.new({ labels = { "www", "example", "org" }, type = 1, class = 1 }, o)
  end

  local function reply(query, change)
    local message = dns.decode(query.bytes)
    message.qr, message.edns = true, nil
    if change then change(message) end
    return dns.encode(message)
  end

  it("has another id each time, and asks what it is told to", function()
    local ids, different = {}, 0
    for _ = 1, 64 do
      local id = ask().id
      if not ids[id] then ids[id], different = true, different + 1 end
    end
    assert.is_true(different > 50)
    local message = dns.decode(ask { edns = true, udp_size = 1400, dnssec = true, checking_disabled = true }.bytes)
    assert.same({ udp_size = 1400, version = 0, dnssec = true, options = {} }, message.edns)
    assert.same({ true, true, false }, { message.rd, message.cd, message.qr })
    message = dns.decode(ask { recursion = false }.bytes)
    assert.is_nil(message.edns)
    assert.is_false(message.rd)
  end)

  it("is padded to blocks of 128 bytes over TLS", function()
    for n = 1, 60 do
      local query = queries.new({ labels = { ("x"):rep(n) }, type = 1, class = 1 }, { edns = true, pad = true })
      assert.equal(0, #query.bytes % 128)
      assert.equal(12, dns.decode(query.bytes).edns.options[1].code)
    end
  end)

  it("takes its answer, and nobody else's", function()
    local query = ask()
    assert.is_true(queries.answers(query, reply(query)))
    assert.is_true(queries.answers(query, reply(query, function(m) m.question[1].name = "WWW.example.org" end)))
    for i, change in ipairs {
      function(m) m.id = m.id ~ 1 end,
      function(m) m.qr = false end,
      function(m) m.opcode = "STATUS" end,
      function(m) m.question[1].name = "www.example.net" end,
      function(m) m.question[1].name = "www.example.org.x" end,
      function(m) m.question[1].type = "AAAA" end,
      function(m) m.question[1].class = "CH" end,
      function(m) m.question = {} end,
      function(m) m.question[2] = m.question[1] end,
      function(m) m.question, m.rcode = {}, "NXDOMAIN" end,
    } do
      assert.is_false(queries.answers(query, reply(query, change)), "row " .. i)
    end
    assert.is_true(queries.answers(query, reply(query, function(m) m.question, m.rcode = {}, "FORMERR" end)))
    assert.is_false(queries.answers(query, ""))
    assert.is_false(queries.answers(query, query.bytes:sub(1, 11)))
    -- 65 and 97 are A and a: but these are no letters
    local https = queries.new({ labels = { "a" }, type = 65, class = 1 }, {})
    assert.is_false(queries.answers(https, reply(https, function(m) m.question[1].type = 97 end)))
  end)

  it("mixes capitals by 0x20, and takes only the same", function()
    local seen, n = {}, 0
    for _ = 1, 40 do
      local query = ask { random_case = true }
      local name = dns.decode(query.bytes).question[1].name
      assert.equal("www.example.org", name:lower())
      if not seen[name] then seen[name], n = true, n + 1 end
      assert.is_true(queries.answers(query, reply(query)))
      assert.is_false(queries.answers(query, reply(query, function(m)
        local at = m.question[1].name
        m.question[1].name = at:upper() == at and at:lower() or at:upper()
      end)))
    end
    assert.is_true(n > 20)
  end)
end)

describe("an answer", function()
  local A, SOA = "A", { name = "Example.org", type = "SOA", class = "IN", ttl = 100, minimum = 60 }
  local function select(answer, more, question)
    local message = { rcode = "NOERROR", answer = answer, authority = {}, additional = {} }
    for name, value in pairs(more or {}) do message[name] = value end
    for _, one in ipairs(answer) do one.class, one.ttl = one.class or "IN", one.ttl or 60 end
    return answers.select(message, question or { name = "www.example.org", type = A, class = "IN" })
  end
  local function a(name, address, ttl) return { name = name, type = A, address = address, ttl = ttl } end
  local function alias(name, cname, ttl) return { name = name, type = "CNAME", cname = cname, ttl = ttl } end

  it("has only what was asked for", function()
    local list, ttl = select {
      a("evil.example", "6.6.6.6"), a("WWW.example.org", "1.1.1.1"), a("www.example.org", "2.2.2.2", 30),
      { name = "www.example.org", type = "TXT" }, { name = "www.example.org", type = A, class = "CH" },
    }
    assert.equal(2, #list)
    assert.same({ "1.1.1.1", "2.2.2.2", 30 }, { list[1].address, list[2].address, ttl })
    assert.same({ "www.example.org", {} }, { list.canonname, list.aliases })
  end)

  it("follows aliases within itself, and no others", function()
    local list, ttl = select {
      a("c.example.net", "1.1.1.1"), alias("b.example.com", "C.example.net", 5),
      alias("www.example.org", "b.example.com"),
      alias("x.example", "y.example"), a("y.example", "6.6.6.6"),
    }
    assert.same({ 1, "1.1.1.1", "C.example.net", 2, 5 }, { #list, list[1].address, list.canonname, #list.aliases, ttl })
    list = select({ alias("www.example.org", "b"), a("b", "1.1.1.1") }, nil,
      { name = "www.example.org", type = "CNAME", class = "IN" })
    assert.same({ 1, "b" }, { #list, list[1].cname })
    list = select({ alias("www.example.org", "b"), a("b", "1.1.1.1"), a("www.example.org", "1.1.1.1") }, nil,
      { name = "www.example.org", type = "ANY", class = "IN" })
    assert.equal(2, #list)
  end)

  it("whose aliases go round, or on for ever, is a failure", function()
    local function fails(...)
      local list, _, code, ttl = select(...)
      assert.is_nil(list)
      assert.same({ "ELOOP", 0 }, { code, ttl })
    end
    fails { alias("www.example.org", "WWW.example.org") }
    fails { alias("www.example.org", "a"), alias("a", "b"), alias("b", "a") }
    local list = { alias("www.example.org", "n1") }
    for i = 1, 100 do list[#list + 1] = alias("n" .. i, "n" .. i + 1) end
    list[#list + 1] = a("n101", "1.1.1.1")
    fails(list)
  end)

  it("that there is nothing holds as long as its zone says (RFC 2308)", function()
    local function nothing(code, ttl, ...)
      local list, _, got, seconds = select(...)
      assert.is_nil(list)
      assert.same({ code, ttl }, { got, seconds })
    end
    nothing("EAI_NODATA", 60, {}, { authority = { SOA } })
    nothing("EAI_NODATA", 0, {})
    nothing("EAI_NONAME", 60, {}, { rcode = "NXDOMAIN", authority = { SOA } })
    nothing("EAI_NONAME", 0, {}, { rcode = "NXDOMAIN", authority = {
      { name = "example.net", type = "SOA", class = "IN", ttl = 100, minimum = 60 },
    } })
    nothing("EAI_NONAME", 10800, {}, { rcode = "NXDOMAIN", authority = {
      { name = ".", type = "SOA", class = "IN", ttl = 1 << 30, minimum = 1 << 30 },
    } })
    nothing("EAI_NONAME", 7,
      { alias("www.example.org", "x.example.org", 7) }, { rcode = "NXDOMAIN", authority = { SOA } })
    nothing("EAI_NODATA", 0, { alias("www.example.org", "x.example.net", 7) }, { authority = { SOA } })
  end)

  it("has the signatures of what was asked for", function()
    local list = select {
      a("www.example.org", "1.1.1.1"), { name = "www.example.org", type = "RRSIG", type_covered = "A" },
      { name = "www.example.org", type = "RRSIG", type_covered = "TXT" },
    }
    assert.equal(1, #list.signatures)
  end)
end)

describe("a cache of answers", function()
  it("keeps each as long as it holds", function()
    local cache = caches.new(10000)
    caches.put(cache, "a", "bytes", 100, 60)
    caches.put(cache, "never", "bytes", 100, 0)
    assert.same({ "bytes", 59 }, { caches.get(cache, "a", 159) })
    assert.is_nil(caches.get(cache, "a", 160))
    assert.is_nil(caches.get(cache, "never", 100))
    assert.is_nil(caches.get(cache, "b", 100))
  end)

  it("is never larger than it may be, and keeps what is used", function()
    local cache = caches.new(20000)
    caches.put(cache, "dear", "used all the time", 0, 1e6)
    for i = 1, 5000 // helper.slow do
      caches.put(cache, "key" .. i, ("x"):rep(i % 700), 0, 1e6)
      assert.equal("used all the time", caches.get(cache, "dear", 1))
    end
    local n, bytes = caches.usage(cache)
    assert.is_true(n > 10 and bytes <= 20000, ("%d %d"):format(n, bytes))
    caches.put(cache, "huge", ("x"):rep(15000), 0, 1e6)
    assert.is_nil(caches.get(cache, "huge", 1))
  end)
end)

describe("resolv.conf", function()
  it("says whom to ask, and how", function()
    local c = conf.parse [[
# a comment
nameserver 192.0.2.1
nameserver	2001:db8::53
nameserver fe80::1%eth0
nameserver not.an.address
nameserver
 nameserver 9.9.9.9
search example.org  sub.example.org # trailing
options ndots:2 timeout:3 attempts:4 rotate use-vc edns0 nonsense ndots:x
]]
    local texts = {}
    for i, server in ipairs(c.servers) do texts[i] = server.text end
    assert.same({ "192.0.2.1:53", "[2001:db8::53]:53", "[fe80::1%eth0]:53" }, texts)
    assert.same({ { "example.org", "sub.example.org" }, 2, 3, 4, true, true },
      { c.search, c.ndots, c.try_timeout, c.tries, c.rotate, c.tcp })
  end)

  it("may be empty, wrong, or not there", function()
    local nothing = { conf.parse "", conf.parse "\0\n;;\nnameserver", conf.read "/nowhere/resolv.conf", conf.read "/" }
    for _, c in ipairs(nothing) do
      assert.same({ "127.0.0.1:53", 1, 5, 2 }, { c.servers[1].text, c.ndots, c.try_timeout, c.tries })
    end
    local c = conf.parse "domain a\nsearch b\ndomain c\noptions ndots:99999999999999999999 timeout:0 attempts:0\n"
    assert.same({ { "c" }, 15, 1, 1 }, { c.search, c.ndots, c.try_timeout, c.tries })
  end)

  it("or people write a server", function()
    for text, want in pairs {
      ["1.2.3.4"] = "1.2.3.4:53", ["1.2.3.4:5353"] = "1.2.3.4:5353", ["::1"] = "[::1]:53", ["[::1]:54"] = "[::1]:54",
      ["udp://1.2.3.4"] = "1.2.3.4:53", ["tcp://1.2.3.4"] = "tcp://1.2.3.4:53", ["tls://::1"] = "tls://[::1]:853",
      ["tls://1.2.3.4:5#dns.example"] = "tls://1.2.3.4:5", ["https://dns.example/q"] = "https://dns.example/q",
    } do
      assert.equal(want, conf.server(text).text, text)
    end
    assert.equal("dns.example", conf.server("tls://1.2.3.4#dns.example").name)
    for _, text in ipairs { "", "a.example", "ftp://1.2.3.4", "1.2.3.4:99999", "tls://a.example", "tls://1.2.3.4#" } do
      assert.is_nil(conf.server(text), text)
    end
  end)
end)

-- ---- beside dnspython ----

local SCRIPT <const> = [[
import sys, binascii, dns.message, dns.rrset, dns.flags
zone = [line for line in sys.stdin.read().split("\n") if line]
if sys.argv[1] == "make":
    m = dns.message.make_query("example.org", "ANY", want_dnssec=True)
    m.id = 99
    m.flags |= dns.flags.QR
    for i, line in enumerate(zone):
        kind, text = line.split(" ", 1)
        m.answer.append(dns.rrset.from_text("r%d.example.org." % (i + 1), 300, "IN", kind, text))
    print(binascii.hexlify(m.to_wire()).decode())
else:
    for line in zone:
        m = dns.message.from_wire(binascii.unhexlify(line))
        for r in m.answer:
            print(r.to_text())
]]

local function python(mode, input)
  local script, file = helper.tmpname ".py", helper.tmpname()
  for path, text in pairs { [script] = SCRIPT, [file] = input } do
    local f <close> = assert(io.open(path, "wb"))
    f:write(text)
  end
  local pipe <close> = io.popen(("LD_PRELOAD= /usr/bin/python3 %s %s <%s 2>&1"):format(script, mode, file))
  return (pipe:read "a")
end

local ZONE <const> = [[
A 192.0.2.1
AAAA 2001:db8:0:0:1::1
NS ns1.example.org.
CNAME a\.b.example.org.
SOA ns1.example.org. host\.master.example.org. 2024010101 7200 3600 1209600 300
PTR host.example.org.
HINFO "RFC8482" ""
MX 10 mail.example.org.
TXT "v=spf1 -all" "second \"one\""
SRV 1 2 443 www.example.org.
NAPTR 100 10 "s" "SIP+D2U" "" _sip._udp.example.org.
DNAME other.example.
DS 20326 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d
DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
RRSIG A 13 2 3600 20300101000000 20200101000000 12345 example.org. bWRzc3dVeXIzRFBXMTMybU9pOFY5eEVTV0U4alRvMGQ=
SSHFP 4 2 0101010101010101010101010101010101010101010101010101010101010101
TLSA 3 1 1 0202020202020202020202020202020202020202020202020202020202020202
URI 10 1 "https://example.org/"
CAA 128 issue "ca.example.org"
SVCB 0 svc.example.org.
HTTPS 1 . mandatory=alpn,port alpn=h3,h2 no-default-alpn port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1
TYPE65280 \# 3 010203
]]

describe("dnspython", function()
  local function need()
    local there = os.execute "LD_PRELOAD= /usr/bin/python3 -c 'import dns.version' 2>/dev/null"
    helper.need(there, "needs python3-dnspython")
  end
  local function unhex(text) return (text:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)) end
  local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

  it("makes a message that we read and make the same again", function()
    need()
    local bytes = unhex(python("make", ZONE):match "%x+")
    local message = assert(dns.decode(bytes))
    local by_type = {}
    for _, one in ipairs(message.answer) do by_type[one.type] = one end
    assert.equal(22, #message.answer)
    assert.equal("2001:db8::1:0:0:1", by_type.AAAA.address)
    assert.equal("a\\.b.example.org", by_type.CNAME.cname)
    assert.same({ "host\\.master.example.org", 2024010101 }, { by_type.SOA.rname, by_type.SOA.serial })
    assert.same({ "v=spf1 -all", 'second "one"' }, by_type.TXT.strings)
    assert.same({ "A", 1893456000, "example.org" },
      { by_type.RRSIG.type_covered, by_type.RRSIG.expiration, by_type.RRSIG.signer })
    assert.same({ alpn = { "h3", "h2" }, ["no-default-alpn"] = true, port = 8443, ipv4hint = { "192.0.2.1" },
      ipv6hint = { "2001:db8::1" }, mandatory = { "alpn", "port" } }, by_type.HTTPS.params)
    assert.same({ 128, "issue", "ca.example.org" }, { by_type.CAA.flags, by_type.CAA.tag, by_type.CAA.value })
    assert.equal("\1\2\3", by_type.TYPE65280.data)
    assert.is_true(message.edns.dnssec)
    local theirs, ours = python("read", hex(bytes)), python("read", hex(dns.encode(message)))
    assert.equal(theirs, ours)
    local _, lines = ours:gsub("\n", "")
    assert.equal(22, lines)
  end)

  it("reads what we make of every kind", function()
    need()
    local message = full_message()
    message.rcode = "NOERROR"
    local out = python("read", hex(dns.encode(message)))
    local _, lines = out:gsub("\n", "")
    assert.equal(#RECORDS, lines, out)
    for _, text in ipairs { "IN MX 10 mail.example.org.", 'CAA 128 issue "ca.example.org; a=b"', "IN A 192.0.2.1",
      'TXT "v=spf1" "" "\\000\\255"', "SOA ns1.example.org. host\\.master.example.org. 4294967295 1 2 3 4",
      'HTTPS 1 . mandatory="alpn,port" alpn="h3,h2" no-default-alpn port="8443"' } do
      assert.is_truthy(out:find(text, 1, true), text .. " is not in\n" .. out)
    end
  end)
end)
