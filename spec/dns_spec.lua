-- SPDX-License-Identifier: MIT
--- Asking for records, and answering: servers that lie, are silent, cut off,
-- refuse or talk too much; all on the loopback.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local dns <const> = require "neap.dns"
local tcp <const> = require "neap.tcp"
local udp <const> = require "neap.udp"

local in_task <const> = helper.in_task

local SOON <const> = 0.1 * helper.slow -- until a server is given up that will not answer
local LATE <const> = 5 * helper.slow -- of one that will

local function named(name, fn) it(name, function() in_task(fn) end) end

-- A server with this handler, in the background: its address as an option has
-- it, a function that ends it, the server.
local function serve(handler, options)
  local server = assert(dns.server(handler, options))
  local task = neap.spawn({ name = "server", daemon = true }, server.serve, server)
  local ip, port = server:getsockname()
  return ("%s:%d"):format(ip, port), helper.defer(function()
    server:close()
    task:join()
  end), server
end

-- A socket that does with each query what act(query, reply, sock, ip, port)
-- does: query is decoded, reply an answer without records.
local function fake(act)
  local sock = assert(udp.open("127.0.0.1", 0))
  local task = neap.spawn({ name = "fake", daemon = true }, function()
    for data, ip, port in sock:messages() do
      local query = assert(dns.decode(data))
      local reply = dns.decode(data)
      reply.qr, reply.ra, reply.edns = true, true, nil
      act(query, reply, sock, ip, port)
    end
  end)
  local _, port = sock:getsockname()
  return "127.0.0.1:" .. port, helper.defer(function()
    sock:close()
    task:cancel():join()
  end)
end

-- The same by TCP, for queries that TCP is for from the beginning.
local function fake_tcp(act)
  local listener = assert(tcp.listen("127.0.0.1", 0))
  local task = neap.spawn({ name = "fake", daemon = true }, listener.serve, listener, function(conn)
    local size = (">I2"):unpack(conn:read(2))
    local query = conn:read(size)
    local reply = dns.decode(query)
    reply.qr, reply.ra, reply.edns = true, true, nil
    reply.answer = { { name = "a.test", type = "A", address = "192.0.2.1" } }
    act(conn, reply, query)
  end)
  local _, port = listener:getsockname()
  return "tcp://127.0.0.1:" .. port, helper.defer(function()
    listener:stop(0)
    task:join()
  end)
end

local function closed_port()
  local sock <close> = assert(udp.open("127.0.0.1", 0))
  local _, port = sock:getsockname()
  return "127.0.0.1:" .. port
end

local function resolver(servers, more)
  local o = { servers = type(servers) == "table" and servers or { servers }, try_timeout = LATE }
  for name, value in pairs(more or {}) do o[name] = value end
  return assert(dns.resolver(o))
end

local SOA <const> = {
  name = "test", type = "SOA", ttl = 300, mname = "ns.test", rname = "root.test", serial = 1, refresh = 1, retry = 1,
  expire = 1, minimum = 60,
}
local ONE <const> = { { type = "A", address = "192.0.2.1", ttl = 60 } }

-- Fails with this code: the message.
local function failing(code, ...)
  assert.fails(code, ...)
  return (select(2, ...))
end

local function addresses(list)
  local all = {}
  for i, one in ipairs(list) do all[i] = one.address end
  return table.concat(all, " ")
end

-- ---- asking ----

describe("dns.query", function()
  named("gives the records of a type, at the end of their aliases", function()
    local address, guard <close> = serve(function(question)
      assert.same({ name = "www.test", type = "A", class = "IN" }, question)
      return {
        { type = "CNAME", cname = "Host.test", ttl = 30 },
        { name = "host.test", type = "A", address = "192.0.2.1", ttl = 20 },
        { name = "host.test", type = "A", address = "192.0.2.2", ttl = 20 },
        { name = "bank.test", type = "A", address = "192.0.2.66", ttl = 99999 }, ra = true, ad = true,
      }
    end)
    local list = assert(dns.query("WWW.Test", "a", { servers = { address } }))
    assert.equal("192.0.2.1 192.0.2.2", addresses(list))
    assert.same({ name = "host.test", type = "A", class = "IN", ttl = 20, address = "192.0.2.1" }, list[1])
    assert.same({ "Host.test", "Host.test", true, false, address },
      { list.canonname, list.aliases[1].cname, list.authenticated, list.cached, list.server })
    list = assert(dns.query("www.test.", nil, { servers = { address } }))
    assert.equal(2, #list)
    assert.is_true(list.cached)
  end)

  named("says in two ways that there is nothing", function()
    local address, guard <close> = serve(function(question)
      return { rcode = question.name == "no.test" and "NXDOMAIN" or nil, authority = { SOA } }
    end)
    local r = resolver(address)
    assert.equal("dns no.test MX: no such name", failing("EAI_NONAME", r:query("no.test", "MX")))
    assert.fails("EAI_NODATA", r:query("there.test", "TYPE65280"))
    for _, name in ipairs { "", "a..b", ".a", ("x"):rep(64), ("x."):rep(128), "a\\999" } do
      assert.fails("EAI_NONAME", r:query(name, "A"))
    end
  end)

  named("looks addresses up in reverse", function()
    local address, guard <close> = serve(function(question)
      return { { type = "PTR", ptrdname = question.name == "1.2.0.192.in-addr.arpa" and "four.test" or "six.test" } }
    end)
    assert.equal("four.test", dns.reverse("192.0.2.1", { servers = { address } })[1].ptrdname)
    assert.equal("six.test", resolver(address):reverse("2001:db8::1")[1].ptrdname)
    assert.raises("bad argument #1 (an IP address expected)", dns.reverse, "localhost")
    assert.raises("bad argument #1 (an IP address expected)", dns.reverse)
  end)

  named("asks with EDNS, its flags and sizes, or without", function()
    local query
    local address, guard <close> = serve(function(_, asked)
      query = asked
      return {}
    end)
    local r = resolver(address, { cache = false })
    r:query("a.test", "A")
    assert.same({ 1232, false, true, false }, { query.edns.udp_size, query.edns.dnssec, query.rd, query.cd })
    r:query("a.test", "A", { udp_size = 4000, dnssec = true, checking_disabled = true, recursion = false })
    assert.same({ 4000, true, false, true }, { query.edns.udp_size, query.edns.dnssec, query.rd, query.cd })
    r:query("a.test", "A", { edns = false, dnssec = true, class = "CH" })
    assert.is_nil(query.edns)
    assert.equal("CH", query.question[1].class)
  end)

  named("gives up a server that does not know EDNS for what it knows", function()
    local asked = 0
    local address, guard <close> = fake(function(query, reply, sock, ip, port)
      asked = asked + 1
      if query.edns then
        reply.rcode, reply.question = "FORMERR", asked == 1 and {} or reply.question
      else
        reply.answer = { { name = "a.test", type = "A", address = "192.0.2.1" } }
      end
      sock:sendto(dns.encode(reply), ip, port)
    end)
    for i = 1, 2 do
      assert.equal("192.0.2.1", addresses(assert(dns.query("a.test", "A", { servers = { address }, cache = false }))))
      assert.equal(2 * i, asked)
    end
  end)

  named("asks by TCP what is too long for UDP", function()
    local ways = {}
    local address, guard <close> = serve(function(_, _, peer)
      ways[#ways + 1] = peer.transport
      local list = {}
      for i = 1, 250 do list[i] = { type = "TXT", text = ("%d"):format(i):rep(60) } end
      return list
    end)
    local list = assert(dns.query("big.test", "TXT", { servers = { address } }))
    assert.equal(250, #list)
    assert.equal("250", list[250].text:sub(-3))
    assert.same({ "udp", "tcp" }, ways)
    assert.equal(250, #assert(dns.query("big.test", "TXT", { servers = { address }, tcp = true, cache = false })))
    assert.equal(250, #assert(dns.query("big.test", "TXT", { servers = { "tcp://" .. address } })))
    assert.same({ "udp", "tcp", "tcp", "tcp" }, ways)
  end)

  named("believes nothing of an answer that is cut, not even that it is well-formed", function()
    local address, guard <close> = fake(function(_, reply, sock, ip, port)
      reply.tc, reply.answer = true, { { name = "a.test", type = "A", address = "192.0.2.66" } }
      sock:sendto(dns.encode(reply):sub(1, -3), ip, port)
    end)
    assert.fails("ECONNREFUSED", dns.query("a.test", "A", { servers = { address } })) -- by TCP nobody is there
  end)
end)

-- ---- lies ----

describe("an answer by somebody else", function()
  local function good(reply)
    reply.answer = { { name = reply.question[1].name, type = "A", address = "192.0.2.1" } }
    return dns.encode(reply)
  end

  local function bad(reply)
    reply.answer = { { name = reply.question[1].name, type = "A", address = "192.0.2.66" } }
    return dns.encode(reply)
  end

  local FORGERIES <const> = {
    ["another id"] = function(reply) reply.id = reply.id ~ 1 end,
    ["no answer at all"] = function(reply) reply.qr = false end,
    ["another question"] = function(reply) reply.question[1].name = "b.test" end,
    ["another type"] = function(reply) reply.question[1].type = "AAAA" end,
    ["no question"] = function(reply) reply.question, reply.answer = {}, {} end,
    ["two questions"] = function(reply) reply.question[2] = reply.question[1] end,
    ["another opcode"] = function(reply) reply.opcode = "STATUS" end,
  }
  for name, forge in pairs(FORGERIES) do
    named("is as if it had not come: " .. name, function()
      local address, guard <close> = fake(function(query, reply, sock, ip, port)
        local forged = dns.decode(dns.encode(reply))
        forge(forged)
        if forged.question[1] then sock:sendto(bad(forged), ip, port) else sock:sendto(dns.encode(forged), ip, port) end
        for _, bytes in ipairs { "", "x", ("\0"):rep(12), dns.encode(query), dns.encode(reply):sub(1, 11) } do
          sock:sendto(bytes, ip, port)
        end
        sock:sendto(good(reply), ip, port)
      end)
      assert.equal("192.0.2.1", addresses(assert(dns.query("a.test", "A", { servers = { address } }))))
    end)
  end

  named("is not even seen when it comes from elsewhere", function()
    local other <close> = assert(udp.open("127.0.0.1", 0))
    local address, guard <close> = fake(function(_, reply, sock, ip, port)
      other:sendto(bad(reply), ip, port)
      sock:sendto(good(reply), ip, port)
    end)
    assert.equal("192.0.2.1", addresses(assert(dns.query("a.test", "A", { servers = { address } }))))
  end)

  named("may come without end, and puts nothing off", function()
    local stop
    local address, guard <close> = fake(function(_, reply, sock, ip, port)
      reply.id = reply.id ~ 1
      local bytes = bad(reply)
      while not stop do
        if not sock:sendto(bytes, ip, port) then return end
        neap.sleep(0)
      end
    end)
    local why
    assert.takes(0.1, 3, function()
      local o = { servers = { address }, try_timeout = SOON, tries = 1 }
      why = failing("ETIMEDOUT", dns.query("a.test", "A", o))
    end)
    assert.matches("timed out %(%d+ messages were no answer to this%)", why)
    stop = true
  end)

  named("does not have our capitals", function()
    local lower = false
    local address, guard <close> = fake(function(_, reply, sock, ip, port)
      if lower then reply.question[1].name = reply.question[1].name:lower() end
      sock:sendto(good(reply), ip, port)
    end)
    local name = "a-name-with-many-letters.test"
    local o = { servers = { address }, random_case = true, try_timeout = SOON, tries = 1, cache = false }
    assert(dns.query(name, "A", o))
    lower = true
    assert.fails("ETIMEDOUT", dns.query(name, "A", o))
    o.random_case = false
    assert(dns.query(name, "A", o))
  end)

  named("cannot be guessed: ids and ports are others each time", function()
    local ids, ports, n = {}, {}, 0
    local address, guard <close> = fake(function(query, reply, sock, ip, port)
      ids[query.id], ports[port], n = true, true, n + 1
      sock:sendto(good(reply), ip, port)
    end)
    for _ = 1, 20 do assert(dns.query("a.test", "A", { servers = { address }, cache = false })) end
    local function count(set)
      local many = 0
      for _ in pairs(set) do many = many + 1 end
      return many
    end
    assert.equal(20, n)
    assert.is_true(count(ids) > 15 and count(ports) > 15)
  end)
end)

-- ---- servers that fail ----

describe("a server that fails", function()
  named("leaves it to the next", function()
    local rcode
    local first, guard1 <close> = serve(function() return rcode and { rcode = rcode } or "xx" end)
    local second, guard2 <close> = serve(function() return ONE end)
    local r = resolver({ first, closed_port(), second }, { cache = false })
    for _, value in ipairs { "SERVFAIL", "REFUSED", "NOTIMP", "FORMERR", "NOTAUTH", "YXDOMAIN", "RCODE12" } do
      rcode = value
      local list = assert(r:query("a.test", "A"))
      assert.same({ "192.0.2.1", second }, { addresses(list), list.server })
    end
  end)

  named("is told of with all others", function()
    local silent <close> = assert(udp.open("127.0.0.1", 0))
    local refusing, guard1 <close> = serve(function() return nil end)
    local garbled, guard2 <close> = fake(function(_, reply, sock, ip, port)
      sock:sendto(dns.encode(reply) .. "\0", ip, port)
    end)
    local _, port = silent:getsockname()
    local gone = closed_port()
    local r = resolver({ "127.0.0.1:" .. port, refusing, gone, garbled }, { try_timeout = SOON, tries = 1 })
    local _, why, code = r:query("a.test", "A")
    assert.equal("EBADMSG", code)
    for _, text in ipairs { "dns a.test A: ", "127.0.0.1:" .. port .. ": timed out", refusing .. ": REFUSED",
      gone .. ": Connection refused", garbled .. ": malformed answer: there are bytes behind the last record" } do
      assert.is_truthy(why:find(text, 1, true), why)
    end
    assert.fails("EAI_FAIL", r:query("a.test", "A", { servers = { refusing } }))
    assert.fails("ECONNREFUSED", r:query("a.test", "A", { servers = { gone } }))
  end)

  named("by silence is asked again, as often as it is said", function()
    local asked, answer_at = 0, 3
    local address, guard <close> = fake(function(_, reply, sock, ip, port)
      asked = asked + 1
      if asked == answer_at then sock:sendto(dns.encode(reply), ip, port) end
    end)
    local o = { servers = { address }, try_timeout = SOON, tries = 3 }
    assert.fails("EAI_NODATA", dns.query("a.test", "A", o))
    asked, answer_at = 0, 0
    assert.fails("ETIMEDOUT", dns.query("b.test", "A", o))
    assert.equal(3, asked)
  end)

  named("is not waited for longer than the whole may take", function()
    local asked = 0
    local address, guard <close> = fake(function() asked = asked + 1 end)
    assert.takes(0.1, 1.5, function()
      assert.fails("ETIMEDOUT", dns.query("a.test", "A", { servers = { address, address }, timeout = 0.1, tries = 9 }))
    end)
    assert.equal(1, asked)
    assert.fails("ETIMEDOUT", dns.query("a.test", "A", { servers = { address }, timeout = 0 }))
    assert.fails("ETIMEDOUT", neap.timeout(0.05, dns.query, "a.test", "A", { servers = { address } }))
  end)

  named("leaves a query that can be cancelled", function()
    local address, guard <close> = fake(function() end)
    local task = neap.spawn(dns.query, "a.test", "A", { servers = { address } })
    neap.sleep(0.01)
    assert.fails("ECANCELED", task:cancel():join())
  end)

  named("by naming others that know better fails", function()
    local address, guard <close> = serve(function()
      return { authority = { { name = "test", type = "NS", nsdname = "ns.test" } } }
    end)
    assert.fails("EAI_FAIL", dns.query("a.test", "A", { servers = { address } }))
    assert.fails("EAI_NODATA", dns.query("a.test", "A", { servers = { address }, recursion = false }))
  end)

  local STREAMS <const> = {
    ["ends at once"] = { "EOF", function() end },
    ["ends within the length"] = { "EOF", function(conn) conn:write "\0" end },
    ["ends within its answer"] = { "EOF", function(conn, reply)
      conn:write((">s2"):pack(dns.encode(reply)):sub(1, -2))
    end },
    ["says nothing"] = { "ETIMEDOUT", function(conn) conn:read(1) end },
    ["dribbles"] = { "ETIMEDOUT", function(conn)
      repeat neap.sleep(0.005) until not conn:write "\0\1x"
    end },
    ["sends empty messages without end"] = { "ETIMEDOUT", function(conn)
      repeat neap.sleep(0) until not conn:write(("\0"):rep(1000))
    end },
    ["sends garbage of the longest kind"] = { "EBADMSG", function(conn, reply)
      conn:write((">s2"):pack(dns.encode(reply) .. ("x"):rep(65000)))
      conn:read(1)
    end },
    ["is truncated even so"] = { "EBADMSG", function(conn, reply)
      reply.tc = true
      conn:write((">s2"):pack(dns.encode(reply)))
    end },
  }
  for name, row in pairs(STREAMS) do
    named("by TCP " .. name, function()
      local address, guard <close> = fake_tcp(row[2])
      local o = { servers = { address }, tries = 1, try_timeout = row[1] == "ETIMEDOUT" and SOON or LATE }
      assert.fails(row[1], dns.query("a.test", "A", o))
    end)
  end

  named("by TCP is heard, in pieces and behind what is no answer", function()
    local address, guard <close> = fake_tcp(function(conn, reply, query)
      local bytes = (">s2"):pack(dns.encode(reply))
      reply.id = reply.id ~ 1
      bytes = (">s2"):pack(dns.encode(reply)) .. "\0\0" .. (">s2"):pack(query) .. bytes
      for i = 1, #bytes do
        conn:write(bytes:sub(i, i))
        if i % 16 == 0 then neap.sleep(0) end
      end
    end)
    assert.equal("192.0.2.1", addresses(assert(dns.query("a.test", "A", { servers = { address } }))))
  end)
end)

-- ---- remembering ----

describe("a resolver", function()
  named("remembers what is and what is not, as long as it holds", function()
    local asked = 0
    local address, guard <close> = serve(function(question)
      asked = asked + 1
      if question.name == "yes.test" then return question.class == "IN" and ONE or {} end
      if question.name == "zero.test" then return { { type = "A", address = "192.0.2.1", ttl = 0 } } end
      if question.name == "broken.test" then return { rcode = "SERVFAIL" } end
      return { rcode = question.name == "no.test" and "NXDOMAIN" or nil,
        authority = question.name ~= "unsaid.test" and { SOA } or nil }
    end)
    local r = resolver(address)
    local function asks(n, name, ...)
      local before = asked
      local list, why, code = r:query(name, ...)
      assert.equal(n, asked - before, name)
      return list, why, code
    end
    assert.is_false(asks(1, "yes.test").cached)
    local list = asks(0, "YES.test.")
    assert.is_true(list.cached)
    assert.is_true(list[1].ttl <= 60 and list[1].ttl > 30)
    list[1].address = "spoilt"
    assert.equal("192.0.2.1", asks(0, "yes.test")[1].address)
    asks(1, "yes.test", "A", { cache = false })
    asks(1, "yes.test", "A", { dnssec = true })
    asks(1, "yes.test", "A", { class = "CH" })
    asks(1, "yes.test", "A", { recursion = false })
    for name, code in pairs { ["no.test"] = "EAI_NONAME", ["empty.test"] = "EAI_NODATA" } do
      assert.fails(code, asks(1, name, "MX"))
      assert.fails(code, asks(0, name, "MX"))
    end
    for _, name in ipairs { "zero.test", "broken.test", "unsaid.test" } do
      asks(1, name)
      asks(1, name)
    end
    assert.equal(r, r:flush())
    asks(1, "yes.test")
    local other = resolver(address, { max_ttl = 0 })
    other:query("yes.test")
    local before = asked
    other:query("yes.test")
    assert.equal(1, asked - before)
  end)

  named("keeps no more than it has room for", function()
    local address, guard <close> = serve(function() return ONE end)
    local r = resolver(address, { cache = 8192 })
    for i = 1, 100 do assert(r:query(("n%d.test"):format(i))) end
    assert.is_false(r:query("n1.test").cached)
    assert.is_true(r:query("n100.test").cached)
  end)

  named("tries longer names, in the order that ndots says", function()
    local asked = {}
    local address, guard <close> = serve(function(question)
      asked[#asked + 1] = question.name
      if question.name == "a.b.two.test" then return ONE end
      return { rcode = "NXDOMAIN" }
    end)
    local r = resolver(address, { search = { "one.test", "two.test." }, cache = false })
    local function asks(names, name, o)
      asked = {}
      local list, _, code = r:query(name, "A", o)
      assert.equal(names, table.concat(asked, " "))
      return list and list.canonname or code
    end
    assert.equal("a.b.two.test", asks("a.b a.b.one.test a.b.two.test", "a.b"))
    assert.equal("a.b.two.test", asks("a.b.one.test a.b.two.test", "a.b", { ndots = 2 }))
    assert.equal("EAI_NONAME", asks("x.one.test x.two.test x", "x"))
    assert.equal("EAI_NONAME", asks("x", "x."))
    assert.equal("EAI_NONAME", asks("x", "x", { search = false }))
    assert.equal("EAI_NONAME", asks(".", ".", { search = { "one.test" } }))
    local long = ("x"):rep(63) .. "." .. ("y"):rep(63) .. "." .. ("z"):rep(63) .. "." .. ("w"):rep(58)
    assert.equal("EAI_NONAME", asks(long, long)) -- with more it is no name
  end)

  named("stops searching at a failure, and says that a name exists", function()
    local address, guard <close> = serve(function(question)
      if question.name == "x.one.test" then return {} end
      return { rcode = question.name == "y.one.test" and "SERVFAIL" or "NXDOMAIN" }
    end)
    local r = resolver(address, { search = { "one.test", "two.test" } })
    assert.matches("^dns x.one.test A: ", failing("EAI_NODATA", r:query("x")))
    assert.fails("EAI_FAIL", r:query("y"))
  end)

  named("does as a resolv.conf says", function()
    local asked = {}
    local address, guard <close> = serve(function(question, _, peer)
      asked[#asked + 1] = question.name .. " " .. peer.transport
      return { rcode = "NXDOMAIN" }
    end, { host = "127.0.0.1" })
    local path = helper.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("nameserver 127.0.0.9\nsearch s.test\noptions timeout:1 attempts:1 ndots:3 use-vc\n")
    file:close()
    local r = assert(dns.resolver { resolv_conf = path, search = true })
    assert.fails("EAI_NONAME", r:query("a.b", "A", { servers = { address } }))
    assert.same({ "a.b.s.test tcp", "a.b tcp" }, asked)
    local _, why = r:query("a.b.")
    assert.is_truthy(why:find("127.0.0.9:53", 1, true), why)
  end)

  named("lets servers take turns", function()
    local asked = ""
    local function letter(c)
      return function()
        asked = asked .. c
        return ONE
      end
    end
    local a, guard1 <close> = serve(letter "a")
    local b, guard2 <close> = serve(letter "b")
    local c, guard3 <close> = serve(letter "c")
    local r = resolver({ a, b, c }, { rotate = true, cache = false })
    for _ = 1, 6 do assert(r:query("a.test")) end
    assert.equal("abcabc", asked)
  end)

  named("gives whole messages, whatever they say", function()
    local address, guard <close> = serve(function() return { rcode = "SERVFAIL", authority = { SOA }, aa = true } end)
    local message, server, size = assert(resolver(address):exchange("a.test", "MX"))
    assert.same({ "SERVFAIL", true, 1, 1, 1232 }, { message.rcode, message.aa, #message.question, #message.authority,
      message.edns.udp_size })
    assert.same({ address, "integer" }, { server, math.type(size) })
    assert.fails("ECONNREFUSED", dns.exchange("a.test", "MX", { servers = { closed_port() } }))
    assert.fails("EAI_NONAME", dns.exchange("a..b", "MX", { servers = { closed_port() } }))
  end)

  named("raises on what cannot be meant, and blames the caller", function()
    local r = resolver "127.0.0.1"
    local function refuses(text, fn, ...)
      local arguments = table.pack(...)
      local err = assert.raises(text, function() return (fn(table.unpack(arguments, 1, arguments.n))) end)
      assert.is_truthy(tostring(err):find("dns_spec.lua:", 1, true), err)
    end
    refuses("bad argument #1 (string expected, got nil)", dns.query)
    for _, kind in ipairs { "FOO", "", "TYPE65536", "TYPE99999999999999", -1, 65536, 1.5, {} } do
      refuses("bad argument #2", dns.query, "a", kind)
      refuses("bad argument #2", r.query, r, "a", kind)
      refuses("bad argument #2", r.exchange, r, "a", kind)
    end
    for _, kind in ipairs { "AXFR", "ixfr", 41, "TSIG" } do refuses("is nothing to query for", dns.query, "a", kind) end
    local function option(text, o)
      refuses(text, dns.query, "a", "A", o)
      refuses(text, r.query, r, "a", "A", o)
      refuses(text, dns.exchange, "a", "A", o)
      refuses(text, dns.reverse, "127.0.0.1", o)
      refuses(text, r.reverse, r, "127.0.0.1", o)
      refuses(text, dns.resolver, o)
    end
    option("unknown option 'server'", { server = "127.0.0.1" })
    option("option 'servers' must be a list of servers", { servers = {} })
    option("option 'servers': 'dns.test' is no", { servers = { "127.0.0.1", "dns.test" } })
    option("option 'tries' must be a positive integer", { tries = 0 })
    option("option 'udp_size' must be an integer from 512 to 65535", { udp_size = 511 })
    option("option 'search' must be a boolean or a list", { search = "a.test" })
    option("option 'search' must be a list of domain names", { search = { "a..b" } })
    option("option 'class' must be a class", { class = "XX" })
    option("option 'timeout' must be", { timeout = -1 })
    option("option 'cache' must be", { cache = "yes" })
    refuses("option 'cache' must be a boolean", dns.query, "a", "A", { cache = 5 })
    refuses("option 'cache' must be a boolean or a number", dns.resolver, { cache = -5 })
    refuses("option 'tls' must be", dns.resolver, { tls = true })
    refuses("unknown option 'rotate'", dns.query, "a", "A", { rotate = true })
    refuses("bad argument #3 (table of options expected", dns.query, "a", "A", 5)
    refuses("bad argument #2 (table of options expected", dns.reverse, "127.0.0.1", 5)
    refuses("bad self", r.query, {}, "a")
    refuses("bad self", r.flush, nil)
  end)
end)

-- ---- over TLS ----

describe("DNS over TLS", function()
  local function works(name, fn)
    it(name, function()
      certs.need()
      helper.need(pcall(require, "neap.tls"), "neap.tls is not built")
      in_task(fn)
    end)
  end

  local function serve_tls(name, handler)
    local cert = certs.get(name)
    local address, guard = serve(handler or function(_, query, peer)
      assert.equal("tls", peer.transport)
      assert.equal(12, query.edns.options[1].code) -- padded
      return ONE
    end, { tls = { cert = cert.chain, key = cert.key } })
    return "tls://" .. address, guard
  end

  works("asks a server whose certificate is for its name", function()
    local address, guard <close> = serve_tls "good"
    local r = resolver(address .. "#good.example", { tls = { ca = certs.ca() }, cache = false })
    for _ = 1, 3 do
      local list = assert(r:query("a.test"))
      assert.same({ "192.0.2.1", address }, { addresses(list), list.server })
    end
  end)

  works("or for its address", function()
    local address, guard <close> = serve_tls "ip4"
    assert(resolver(address, { tls = { ca = certs.ca() } }):query("a.test"))
  end)

  works("asks no other, and nobody in plain text", function()
    local asked = 0
    local address, guard <close> = serve_tls("good", function()
      asked = asked + 1
      return ONE
    end)
    local function fails(code, ...) assert.fails(code, resolver(...):query("a.test")) end
    fails("X509_V_ERR_HOSTNAME_MISMATCH", address .. "#other.example", { tls = { ca = certs.ca() } })
    fails("X509_V_ERR_IP_ADDRESS_MISMATCH", address, { tls = { ca = certs.ca() } })
    local _, _, code = resolver(address .. "#good.example"):query("a.test")
    assert.matches("^X509_V_ERR_", code)
    assert.equal(0, asked)
    local plain, guard2 <close> = serve(function() return ONE end)
    local o = { servers = { "tls://" .. plain }, tries = 1, try_timeout = SOON }
    assert.is_nil(dns.query("a.test", "A", o))
  end)

  -- A server that notes each query's connection; and a resolver that asks it.
  local function noting(options, server_options)
    local cert = certs.get "good"
    local ports, n = {}, 0
    server_options = server_options or {}
    server_options.tls = { cert = cert.chain, key = cert.key }
    local address, guard = serve(function(_, query, peer)
      if query.question[1].name:find "^slow" then neap.sleep(0.05) end
      if query.question[1].name:find "^never" then neap.sleep(3600) end
      if not ports[peer.port] then n = n + 1 end
      ports[peer.port] = true
      return ONE
    end, server_options)
    options.tls, options.cache = { ca = certs.ca() }, false
    return resolver(("tls://%s#good.example"):format(address), options), function() return n end, guard
  end

  works("keeps a connection for the next query", function()
    local r, connections, guard <close> = noting {}
    for _ = 1, 5 do assert(r:query "a.test") end
    assert.equal(1, connections())
    local group = neap.group()
    for i = 1, 6 do group:spawn(r.query, r, ("slow%d.test"):format(i)) end
    assert(group:wait())
    assert.equal(6, connections())
    for i = 1, 4 do group:spawn(r.query, r, ("slow%d.test"):format(i)) end -- so many were kept
    assert(group:wait())
    assert.equal(6, connections())
    group:close()
    r:flush()
    assert(r:query "a.test")
    assert.equal(7, connections())
  end)

  works("keeps none that was silent, or that is idle for too long, or if it is told so", function()
    do
      local r, connections, guard <close> = noting { try_timeout = SOON, tries = 1 }
      assert(r:query("a.test", "A", { try_timeout = LATE }))
      assert.fails("ETIMEDOUT", r:query "never.test")
      assert(r:query("a.test", "A", { try_timeout = LATE }))
      assert.equal(2, connections())
    end
    do
      local r, connections, guard <close> = noting { idle_timeout = 0.02 }
      assert(r:query "a.test")
      neap.sleep(0.03)
      assert(r:query "a.test")
      assert.equal(2, connections())
    end
    local r, connections, guard <close> = noting { idle_timeout = 0 }
    for _ = 1, 3 do assert(r:query "a.test") end
    assert.equal(3, connections())
  end)

  works("keeps it for the name that its certificate was verified for", function()
    local r, connections, guard <close> = noting { tries = 1 }
    assert(r:query "a.test")
    local other = r.o.servers[1].text .. "#other.example"
    assert.fails("X509_V_ERR_HOSTNAME_MISMATCH", r:query("a.test", "A", { servers = { other } }))
    assert.equal(1, connections())
  end)

  works("bears it that a server has closed what was kept", function()
    local r, connections, guard <close> = noting({}, { timeout = 0.02 })
    for i = 1, 3 do
      assert(r:query "a.test")
      assert.equal(i, connections())
      neap.sleep(0.05 * helper.slow)
    end
  end)

  works("takes a context, and raises on options that it does not have", function()
    local address, guard <close> = serve_tls "good"
    local context = assert(require "neap.tls".context { ca = certs.ca() })
    assert(resolver(address .. "#good.example", { tls = context }):query("a.test"))
    assert.raises("unknown option 'cafile'", dns.resolver, { tls = { cafile = "x" } })
    assert.fails("ENOENT", dns.resolver { tls = { ca = "/nowhere/ca.pem" } })
    assert.raises("unknown option 'certificate'", dns.server, print, { tls = { certificate = "x" } })
    assert.is_nil(dns.server(print, { tls = { cert = "/nowhere/cert.pem" } }))
  end)
end)

-- ---- answering ----

describe("dns.server", function()
  -- Sends bytes and returns what comes back, decoded.
  local function send(address, bytes)
    local sock <close> = assert(udp.connect("127.0.0.1", math.tointeger(address:match ":(%d+)$"), { timeout = LATE }))
    assert(sock:send(bytes))
    local data = assert(sock:receive())
    return assert(dns.decode(data)), #data
  end

  local function query(more)
    local message = { id = 77, rd = true, question = { { name = "A.Test", type = "A" } } }
    for name, value in pairs(more or {}) do message[name] = value end
    return dns.encode(message)
  end

  named("answers with what the handler says", function()
    local address, guard <close> = serve(function(question, message, peer)
      assert.same({ "a.test", "A.Test", "127.0.0.1", "udp" },
        { question.name, message.question[1].name, peer.ip, peer.transport })
      return { { type = "A", address = "192.0.2.1" }, aa = true, additional = { { name = "b", type = "A", ttl = 7,
        address = "192.0.2.2" } } }
    end)
    local reply = send(address, query())
    assert.same({ 77, true, true, true, "NOERROR", "A.Test", "A.Test", 0, 7 }, { reply.id, reply.qr, reply.aa, reply.rd,
      reply.rcode, reply.question[1].name, reply.answer[1].name, reply.answer[1].ttl, reply.additional[1].ttl })
    assert.is_nil(reply.edns)
    assert.same({ 1232, false }, { send(address, query { edns = {} }).edns.udp_size,
      send(address, query { edns = {} }).edns.dnssec })
    assert.is_true(send(address, query { edns = { dnssec = true } }).edns.dnssec)
  end)

  named("refuses by itself what nobody can answer", function()
    local handled = 0
    local address, guard <close> = serve(function() handled = handled + 1 end)
    local function rcode(bytes) return send(address, bytes).rcode end
    assert.equal("NOTIMP", rcode(query { opcode = "UPDATE" }))
    assert.equal("FORMERR", rcode(query { question = {} }))
    assert.equal("FORMERR", rcode(query():sub(1, -2)))
    assert.equal("FORMERR", rcode(query() .. "\0"))
    local reply = send(address, query { opcode = "UPDATE" }:sub(1, -2))
    assert.same({ 77, "FORMERR", "UPDATE", true }, { reply.id, reply.rcode, reply.opcode, reply.rd })
    assert.equal("BADVERS", rcode(query { edns = { version = 1 } }))
    assert.equal(0, handled)
    assert.equal("REFUSED", rcode(query()))
    assert.equal(1, handled)
  end)

  named("says nothing to answers, to what is too short, and when told so", function()
    local heard = 0
    local address, guard <close> = serve(function(question)
      heard = heard + 1
      return question.type == "MX" and { rcode = "NXDOMAIN" }
    end)
    local sock <close> = assert(udp.connect("127.0.0.1", math.tointeger(address:match ":(%d+)$"), { timeout = LATE }))
    sock:sendmany { "", "x", query { qr = true }, query { qr = true } .. "\0", query() }
    sock:send(query { question = { { name = "a", type = "MX" } }, id = 5 })
    assert.equal(5, dns.decode(sock:receive()).id)
    assert.equal(2, heard)
  end)

  named("sends bytes of the handler's own as they are", function()
    local address, guard <close> = serve(function(_, message)
      return (">I2I2I8"):pack(message.id, 0x8185, 0)
    end)
    assert.same({ 77, "REFUSED" }, { send(address, query()).id, send(address, query()).rcode })
  end)

  named("hands on what another server answered, as a list or as a message", function()
    local inner, inner_guard <close> = serve(function() return { { type = "A", address = "192.0.2.1" } } end)
    for _, call in ipairs { "query", "exchange" } do
      local address, guard <close> = serve(function(question)
        return (dns[call](question.name, question.type, { servers = { inner }, cache = false }))
      end)
      assert.equal("192.0.2.1", assert(dns.query("a.test", "A", { servers = { address }, cache = false }))[1].address)
    end
  end)

  named("survives handlers that fail, and tells of them", function()
    local told = {}
    local act
    local address, guard <close> = serve(function() return act() end, { on_error = function(err, traceback)
      told[#told + 1] = { err, traceback }
    end })
    for text, fn in pairs {
      ["boom"] = function() error("boom", 0) end,
      ["the handler must return a table"] = function() return 5 end,
      ["the handler must return records"] = function() return { 5 } end,
      ["an answer has no 'answr'"] = function() return { answr = {} } end,
      ["field 'address' must be an IPv4 address"] = function() return { { type = "A", address = "x" } } end,
      ["type nil is not known"] = function() return { { address = "192.0.2.1" } } end,
      ["longer than 65535"] = function()
        local list = {}
        for i = 1, 300 do list[i] = { type = "TXT", text = ("x"):rep(250) } end
        return list
      end,
    } do
      act = fn
      told = {}
      assert.equal("SERVFAIL", send(address, query()).rcode)
      assert.equal(1, #told)
      assert.is_truthy(tostring(told[1][1]):find(text, 1, true), told[1][1])
    end
    assert.equal("string", type(told[1][2]))
    local reports = helper.reports()
    local other, guard2 <close> = serve(function() error "boom" end)
    assert.equal("SERVFAIL", send(other, query()).rcode)
    assert.matches("boom", reports[1].err)
  end)

  named("cuts what is longer than the asker takes", function()
    local n
    local address, guard <close> = serve(function()
      local list = {}
      for i = 1, n do list[i] = { type = "A", address = "192.0.2." .. i } end
      return list
    end)
    for size, most in pairs { [0] = 30, [512] = 29, [100] = 29, [1000] = 60, [4000] = 74 } do
      local asked = query { edns = size > 0 and { udp_size = size } or nil }
      n = most
      local reply, length = send(address, asked)
      assert.same({ false, most }, { reply.tc, #reply.answer })
      assert.is_true(length <= math.min(math.max(size, 512), 1232))
      n = most + 1
      reply = send(address, asked)
      assert.same({ true, 0 }, { reply.tc, #reply.answer })
    end
  end)

  named("does not let a slow handler hold up others", function()
    local waiting = neap.event()
    local address, guard <close> = serve(function(question)
      if question.name == "slow.test" then waiting:wait() end
      return ONE
    end)
    local slow = neap.spawn(dns.query, "slow.test", "A", { servers = { address }, try_timeout = LATE })
    for _ = 1, 50 do assert(dns.query("a.test", "A", { servers = { address }, cache = false })) end
    waiting:set()
    assert.is_truthy(slow:join())
  end)

  named("answers many at once, and from the address that was asked", function()
    local _, guard <close>, server = serve(function() return ONE end, { host = "*" })
    local _, port = server:getsockname()
    local group <close> = neap.group()
    for i = 1, 100 do
      group:spawn(function()
        local where = ("%s127.0.0.%d:%d"):format(i % 10 == 0 and "tcp://" or "", i % 3 + 1, port)
        assert(dns.query("a.test", "A", { servers = { where }, cache = false, try_timeout = LATE }))
      end)
    end
    if helper.is_ipv6() then assert(dns.query("a.test", "A", { servers = { ("[::1]:%d"):format(port) } })) end
    group:wait()
  end)

  named("answers several queries of one connection, and ends one that is idle", function()
    local address, guard <close> = serve(function() return ONE end, { timeout = SOON })
    local conn <close> = assert(tcp.connect("127.0.0.1", math.tointeger(address:match ":(%d+)$"), { timeout = LATE }))
    conn:write((">s2"):pack(query { id = 1 }), (">s2"):pack(query { id = 2 }))
    for id = 1, 2 do
      local size = (">I2"):unpack(assert(conn:read(2)))
      assert.equal(id, dns.decode(conn:read(size)).id)
    end
    conn:write "\0"
    assert.fails("EOF", conn:read(1))
  end)

  named("ends when it is closed, with what its handlers do", function()
    local server = assert(dns.server(function() neap.sleep(3600) end))
    local serving = neap.spawn(server.serve, server)
    local ip, port = server:getsockname()
    local asking = neap.spawn(dns.query, "a.test", "A",
      { servers = { ("%s:%d"):format(ip, port), ("tcp://%s:%d"):format(ip, port) }, try_timeout = 30, timeout = 1 })
    neap.sleep(0.05)
    assert.raises("serving already", server.serve, server)
    assert.is_true(server:close())
    assert.is_true(server:close())
    assert.is_true(serving:join())
    assert.fails("ECLOSED", server:serve())
    asking:cancel():join()
    local again <close> = assert(dns.server(function() end))
    local task = neap.spawn(again.serve, again)
    neap.sleep(0)
    assert.fails("ECANCELED", task:cancel():join())
  end)

  named("says what is wrong", function()
    local one <close> = assert(dns.server(function() end))
    local _, port = one:getsockname()
    assert.fails("EADDRINUSE", dns.server(function() end, { port = port }))
    assert.fails("EADDRNOTAVAIL", dns.server(function() end, { host = "192.0.2.1" }))
    assert.raises("bad argument #1 (function expected, got nil)", dns.server)
    assert.raises("option 'port' must be an integer from 0 to 65535", dns.server, print, { port = 65536 })
    assert.raises("unknown option 'ports'", dns.server, print, { ports = 53 })
    assert.raises("bad self", one.serve, {})
  end)
end)
