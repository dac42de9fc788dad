--- Raw IP: protocols, headers, filters, checksums, what comes along, fragments.
local helper <const> = require "support.helper"
local netns <const> = require "support.netns"
local neap <const> = require "neap"
local raw <const> = require "neap.raw"
local udp <const> = require "neap.udp"

-- A name that there is not; which code it is depends on who was asked.
local function unknown(value, _, code)
  assert.is_nil(value)
  assert.matches("^EAI_", code)
end

local in_task <const> = helper.in_task

local EXPERIMENT <const> = 253 -- RFC 3692: nobody else's
local HEADER <const> = ">BBI2I2I2BBI2c4c4"

local allowed -- or why not

local function need_raw()
  if allowed == nil then
    local sock, why = raw.open(EXPERIMENT)
    allowed = sock and sock:close() and true or why
  end
  helper.need(allowed == true, allowed)
end

-- In a task, with the right to do it; on a loopback of its own, if possible,
-- where nothing is heard of what others do.
local function with_raw(fn)
  return function()
    need_raw()
    if not (helper.is_root() and helper.is_namespaced() and helper.has_program "ip") then return in_task(fn) end
    local lab <close> = netns.lab()
    lab:space():inside(in_task, fn)
  end
end

local function open(options, protocol)
  local o = { timeout = 2 }
  for name, value in pairs(options or {}) do o[name] = value end
  return assert(raw.open(protocol or EXPERIMENT, o))
end

local function silent(s)
  s:settimeout(0.01)
  assert.fails("ETIMEDOUT", s:receive())
  s:settimeout(2)
end

local function bytes_of(ip)
  local a, b, c, d = ip:match "(%d+)%.(%d+)%.(%d+)%.(%d+)"
  return string.char(a // 1, b // 1, c // 1, d // 1)
end

-- An IPv4 header as a table, and what follows it.
local function parse(packet)
  local h = {}
  h.version, h.tos, h.length, h.id, h.fragment, h.ttl, h.protocol, h.checksum, h.src, h.dst = HEADER:unpack(packet)
  return h, packet:sub((h.version & 15) * 4 + 1)
end

-- The sum that must be 0xffff over a whole header.
local function sum(bytes)
  local total = 0
  if #bytes % 2 == 1 then bytes = bytes .. "\0" end
  for i = 1, #bytes, 2 do total = total + (">I2"):unpack(bytes, i) end
  while total > 0xffff do total = (total & 0xffff) + (total >> 16) end
  return total
end

local function echo_request(six, id)
  local head <const> = string.pack(">BBI2I2I2", six and 128 or 8, 0, 0, id, 1)
  return string.pack(">BBI2I2I2", six and 128 or 8, 0, six and 0 or ~sum(head) & 0xffff, id, 1)
end

describe("opening a raw socket", function()
  it("goes by number and by name", with_raw(function()
    local numbers <const> = { [EXPERIMENT] = 253, icmp = 1, ospf = 89, gre = 47, ["ipv6-icmp"] = 58, sctp = 132 }
    for protocol, number in pairs(numbers) do
      local s <close> = assert(raw.open(protocol))
      assert.equal(number, s:getsockopt "SO_PROTOCOL")
      assert.equal("inet", s:family())
      assert.is_truthy(tostring(s):find "^neap%.raw %(%d+%)$", tostring(s))
    end
    local six <close> = assert(raw.open(EXPERIMENT, { family = "inet6" }))
    assert.equal("inet6", six:family())
    local any <close> = assert(raw.open(EXPERIMENT, { family = "any" }))
    assert.equal("inet", any:family())
  end))

  it("knows the system's list of protocols", with_raw(function()
    local file <close> = io.open "/etc/protocols"
    helper.need(file, "needs /etc/protocols")
    local name, number, alias
    for line in file:lines() do
      name, number, alias = line:match "^([%w-]+)%s+(%d+)%s+([%w-]+)"
      if name and number == "88" then break end -- EIGRP, which is in no list of ours
    end
    helper.need(number == "88", "needs EIGRP in /etc/protocols")
    for _, known in ipairs { name, alias } do
      local s <close> = assert(raw.open(known))
      assert.equal(88, s:getsockopt "SO_PROTOCOL")
    end
  end))

  it("raises on what cannot be meant, blaming the caller", function()
    local function refuses(text, ...)
      local args = table.pack(...)
      local err = assert.raises(text, function() local _ = raw.open(table.unpack(args, 1, args.n)) end)
      assert.is_truthy(tostring(err):find("raw_spec.lua", 1, true), err)
    end
    refuses("unknown protocol 'nosuchthing'", "nosuchthing")
    refuses("bad argument #1 (protocol must be in [0, 255])", 256)
    refuses("bad argument #1 (protocol must be in [0, 255])", -1)
    refuses("bad argument #1", 1.5)
    refuses("bad argument #1", nil)
    refuses("bad argument #1", {})
    refuses("bad argument #2", 253, "options")
    refuses("unknown option 'heder_included'", 253, { heder_included = true })
    refuses("option 'header_included' must be", 253, { header_included = 1 })
    refuses("option 'icmp_types' must be", 1, { icmp_types = 8 })
    refuses("option 'icmp_types' must be", 1, { icmp_types = { 32 } })
    refuses("option 'icmp_types' must be", 58, { family = "inet6", icmp_types = { 256 } })
    refuses("option 'icmp_types' must be", 1, { icmp_types = { "echo" } })
    refuses("option 'checksum' is for", 253, { checksum = 2 })
    refuses("option 'bind' must be", 253, { bind = "localhost" })
    refuses("option 'family' must be", 253, { family = "unix" })
  end)

  it("fails as the system does", with_raw(function()
    assert.fails("EADDRNOTAVAIL", raw.open(EXPERIMENT, { bind = "203.0.113.1" }))
    assert.fails("ENODEV", raw.open(EXPERIMENT, { interface = "nosuchdev0" }))
    assert.fails("EINVAL", raw.open(EXPERIMENT, { family = "inet6", checksum = 3 })) -- it must be even
  end))

  it("without privilege says what would help", function()
    helper.need_root()
    helper.need_program "setpriv"
    local function nobody(code)
      local pipe = io.popen(("setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all " ..
        "--bounding-set=-all env LUA_PATH=%s LUA_CPATH=%s %s -e %s 2>&1"):format(helper.quote(package.path),
        helper.quote(package.cpath), helper.lua, helper.quote(code)))
      local out = pipe:read "a"
      return pipe:close(), out
    end
    helper.need((nobody "require 'neap.core'"), "needs a build that nobody can read")
    local _, out = nobody [[
      local _, why, code = require "neap.raw".open "ospf"
      print(code, why)
    ]]
    assert.is_truthy(out:find("EPERM\traw.open ospf: ", 1, true), out)
    assert.is_truthy(out:find("CAP_NET_RAW", 1, true), out)
  end)

  it("takes a descriptor", with_raw(function()
    local a <close> = open()
    local fd = assert(open { bind = "127.0.0.9" }):detach()
    local b <close> = assert(raw.open(EXPERIMENT, { fd = fd, timeout = 1 }))
    assert.equal("127.0.0.9", b:getsockname())
    assert(a:sendto("to the descriptor", "127.0.0.9"))
    assert.equal("to the descriptor", select(2, parse((b:receive()))))
    b:close()
    assert.fails("EBADF", raw.open(EXPERIMENT, { fd = fd }))
  end))
end)

describe("raw IP", function()
  it("carries an experiment over IPv4, with its header", with_raw(function()
    local a <close> = open { bind = "127.0.0.1" }
    local b <close> = open { bind = "127.0.0.2" }
    for _, size in ipairs { 0, 1, 1000, 65515 } do
      local payload = ("x"):rep(size)
      assert.equal(a, a:sendto(payload, "127.0.0.2"))
      local packet, ip, nothing = assert(b:receive())
      assert.same({ "127.0.0.1", nil }, { ip, nothing })
      local h, data = parse(packet)
      assert.is_true(data == payload)
      assert.same({ 0x45, 20 + size, 64, EXPERIMENT }, { h.version, h.length, h.ttl, h.protocol })
      assert.same({ bytes_of "127.0.0.1", bytes_of "127.0.0.2" }, { h.src, h.dst })
    end
    assert.fails("EMSGSIZE", a:sendto(("x"):rep(65516), "127.0.0.2"))
    silent(a)
  end))

  it("carries it over IPv6, without", with_raw(function()
    helper.need_ipv6()
    local a <close> = open { family = "inet6" }
    local b <close> = open { bind = "::1" }
    assert.equal("inet6", b:family()) -- by the address
    for _, size in ipairs { 0, 1, 60000 } do
      local payload = ("6"):rep(size)
      assert(a:sendto(payload, "::1"))
      local data, ip = assert(b:receive())
      assert.equal("::1", ip)
      assert.is_true(data == payload)
    end
    assert.equal("", a:receive()) -- what it sends to itself comes, too
  end))

  it("looks names up, and needs no port", with_raw(function()
    local a <close> = open()
    assert(a:sendto("by name", "localhost"))
    assert.equal("by name", select(2, parse((a:receive()))))
    unknown(a:sendto("x", "nobody.invalid"))
    assert.raises("bad argument", a.sendto, a, "x", 1)
    assert.raises("has no field 'port'", a.sendmsg, a, "x", { ip = "127.0.0.1", port = 1 })
  end))

  it("receives from its peer alone when connected", with_raw(function()
    local a <close> = open { bind = "127.0.0.1" }
    local b <close> = open { bind = "127.0.0.2" }
    local other <close> = open { bind = "127.0.0.3" }
    assert.equal(b, b:connect "127.0.0.1")
    assert(other:sendto("unasked", "127.0.0.2"))
    assert(a:sendto("asked", "127.0.0.2"))
    assert.equal("asked", select(2, parse((b:receive()))))
    assert.fails("EOPNOTSUPP", b:connect()) -- it would hear nobody any more
    assert(b:send "answer")
    assert.equal("answer", select(2, parse((a:receive()))))
  end))

  it("tells what came along, and sends as it is told", with_raw(function()
    local a <close> = open()
    local b <close> = open { bind = "127.0.0.2" }
    assert(a:sendmsg("x", { ip = "127.0.0.2", local_ip = "127.0.0.7", ttl = 7, tos = 0x28, ecn = 1 }))
    local packet, info = assert(b:receivemsg())
    local h = parse(packet)
    assert.same({ 7, 0x29, bytes_of "127.0.0.7" }, { h.ttl, h.tos, h.src })
    assert.same({ "127.0.0.7", 7, 0x29, 1, "127.0.0.2", "lo", 21 },
      { info.ip, info.ttl, info.tos, info.ecn, info.local_ip, info.interface, info.length })
    if not helper.is_ipv6() then return end
    local a6 <close> = open { family = "inet6" }
    local b6 <close> = open { bind = "::1" }
    assert(a6:sendmsg("y", { ip = "::1", ttl = 9, tos = 0x20, local_ip = "::1", interface = "lo" }))
    local _, info6 = assert(b6:receivemsg())
    assert.same({ "::1", 9, 0x20, "::1", "lo", 1 },
      { info6.ip, info6.ttl, info6.tos, info6.local_ip, info6.interface, info6.length })
  end))

  it("takes options for all that it sends", with_raw(function()
    local a <close> = open { ttl = 3, tos = 0x10, interface = "lo", mtu_discover = "do" }
    local b <close> = open { bind = "127.0.0.2", timestamps = true }
    local info
    for _ = 1, 50 do -- the kernel begins to stamp a moment after it was asked
      assert(a:sendto("x", "127.0.0.2"))
      local packet
      packet, info = assert(b:receivemsg())
      local h = parse(packet)
      assert.same({ 3, 0x10, 0x4000 }, { h.ttl, h.tos, h.fragment })
      if info.timestamp then break end
      neap.sleep(0.002)
    end
    assert.is_true(math.abs(info.timestamp / 1e9 - os.time()) < 5)
    assert.fails("EACCES", a:sendto("x", "127.255.255.255")) -- broadcast was not allowed
  end))

  it("moves many at a time, and cuts no long ones", with_raw(function()
    local a <close> = open()
    local b <close> = open { bind = "127.0.0.2", maxmessage = 100 }
    local datas = {}
    for i = 1, 20 do datas[i] = ("%d"):format(i) end
    datas[5] = ("long"):rep(100)
    assert.equal(20, a:sendmany(datas, "127.0.0.2"))
    local packets, ips = b:receivemany(64)
    assert.same({ 19, 19 }, { #packets, #ips })
    for i, packet in ipairs(packets) do
      assert.equal(tostring(i < 5 and i or i + 1), (select(2, parse(packet))))
    end
    assert.equal("127.0.0.1", ips[19])
    assert(a:sendto(datas[5], "127.0.0.2"))
    local data, _, code, length = b:receive()
    assert.same({ nil, "EMSGSIZE", 420 }, { data, code, length })
  end))
end)

describe("a raw socket with headers of our own", function()
  local function header(more)
    local h = { version = 0x45, tos = 0, length = 0, id = 0, fragment = 0, ttl = 5, checksum = 0, src = ("\0"):rep(4) }
    for name, value in pairs(more) do h[name] = value end
    return HEADER:pack(h.version, h.tos, h.length, h.id, h.fragment, h.ttl, EXPERIMENT, h.checksum, h.src,
      bytes_of "127.0.0.2")
  end

  it("sends what we say, and has the rest filled in", with_raw(function()
    local a <close> = open({ header_included = true })
    local b <close> = open { bind = "127.0.0.2" }
    -- length and checksum are always the kernel's; id and source if they are 0
    assert(a:sendto(header { length = 4711, checksum = 4711 } .. "data", "127.0.0.2"))
    local packet, ip = assert(b:receive())
    local h, data = parse(packet)
    assert.equal("data", data)
    assert.same({ 24, 5, bytes_of "127.0.0.1", "127.0.0.1" }, { h.length, h.ttl, h.src, ip })
    assert.equal(0xffff, sum(packet:sub(1, 20)))
    assert.are_not.equal(0, h.id)
    -- what is given stays
    assert(a:sendto(header { id = 77, tos = 0x48, src = bytes_of "192.0.2.1" } .. "spoofed", "127.0.0.2"))
    packet, ip = b:receive()
    if packet then -- some systems drop such a source
      h, data = parse(packet)
      assert.same({ "spoofed", 77, 0x48, "192.0.2.1" }, { data, h.id, h.tos, ip })
    end
    -- options
    assert(a:sendto(header { version = 0x46, id = 1 } .. "\1\1\1\0" .. "after options", "127.0.0.2"))
    h, data = parse((assert(b:receive())))
    assert.same({ 0x46, 37, "after options" }, { h.version, h.length, data })
  end))

  it("refuses what is no header", with_raw(function()
    local a <close> = open { header_included = true }
    assert.fails("EINVAL", a:sendto("short", "127.0.0.2"))
    assert.fails("EINVAL", a:sendto(header { version = 0x4f } .. "x", "127.0.0.2")) -- longer than all
  end))

  it("is what protocol \"raw\" is, which receives nothing", with_raw(function()
    local a <close> = open(nil, "raw")
    local b <close> = open { bind = "127.0.0.2" }
    assert.is_true(a:getsockopt "IP_HDRINCL")
    assert(a:sendto(header { id = 5 } .. "by 255", "127.0.0.2"))
    local h, data = parse((assert(b:receive())))
    assert.same({ 5, "by 255" }, { h.id, data })
    silent(a)
  end))

  it("does so over IPv6, too", with_raw(function()
    helper.need_ipv6()
    local a <close> = open { family = "inet6", header_included = true }
    local b <close> = open { bind = "::1" }
    local one <const> = ("\0"):rep(15) .. "\1"
    local ok, why, code = a:sendto(string.pack(">I4I2BB", 6 << 28, 4, EXPERIMENT, 6) .. one .. one .. "data", "::1")
    assert(ok, why, code)
    local data, info = assert(b:receivemsg())
    assert.same({ "data", "::1", 6 }, { data, info.ip, info.ttl })
  end))
end)

describe("a raw socket of ICMP", function()
  -- The types that come to s in answer to a ping of `ip`.
  local function types_of(s, sender, six, ip)
    local request = echo_request(six, 4242)
    assert(sender:sendto(request, ip))
    local types = {}
    s:settimeout(0.02 * helper.slow)
    while true do
      local packet = s:receive()
      if not packet then break end
      local data = six and packet or select(2, parse(packet))
      if (">I2"):unpack(data, 5) == 4242 then types[#types + 1] = data:byte() end
    end
    return types
  end

  it("lets in the types that it is told", with_raw(function()
    local all <close> = open(nil, "icmp")
    local replies <close> = open({ icmp_types = { 0 } }, "icmp")
    local none <close> = open({ icmp_types = {} }, 1)
    local both <close> = open({ icmp_types = { 0, 8, 31 } }, 1)
    assert.same({ 8, 0 }, types_of(all, all, false, "127.0.0.1"))
    assert.same({ 0, 0 }, types_of(replies, all, false, "127.0.0.1")) -- of both pings
    assert.same({}, types_of(none, all, false, "127.0.0.1"))
    assert.equal(0xffffffff, none:getsockopt "ICMP_FILTER")
    assert.is_true(#types_of(both, all, false, "127.0.0.1") >= 2)
  end))

  it("does the same for IPv6, whose checksum is the kernel's affair", with_raw(function()
    helper.need_ipv6()
    local all <close> = open({ family = "inet6" }, "icmp6")
    local replies <close> = open({ family = "inet6", icmp_types = { 129 } }, "ipv6-icmp")
    local none <close> = open({ family = "inet6", icmp_types = {} }, 58)
    assert.same({ 128, 129 }, types_of(all, all, true, "::1"))
    assert.same({ 129, 129 }, types_of(replies, all, true, "::1"))
    assert.same({}, types_of(none, all, true, "::1"))
  end))
end)

describe("the checksum of IPv6", function()
  it("is put in and checked at the place that is named", with_raw(function()
    helper.need_ipv6()
    local a <close> = open { family = "inet6", checksum = 2 }
    local plain <close> = open { bind = "::1" }
    local checking <close> = open { bind = "::1", checksum = 2 }
    assert(a:sendto("ab\0\0payload", "::1"))
    local data = assert(plain:receive())
    assert.equal("ab", data:sub(1, 2))
    assert.are_not.equal("\0\0", data:sub(3, 4))
    local one <const> = ("\0"):rep(15) .. "\1"
    assert.equal(0xffff, sum(one .. one .. string.pack(">I4I4", #data, EXPERIMENT) .. data))
    assert.equal(data, checking:receive())
    local wrong <close> = open { family = "inet6" }
    assert(wrong:sendto("ab\0\1payload", "::1"))
    assert.equal("ab\0\1payload", plain:receive())
    silent(checking)
    assert.fails("EINVAL", a:sendto("abc", "::1")) -- it would be behind the end
  end))
end)

describe("raw IP between machines", function()
  it("puts fragments together, and says what is unreachable", function()
    netns.need()
    local lab <close> = netns.pair()
    in_task(function()
      for _, six in ipairs { false, true } do
        local family, to = six and "inet6" or "inet", six and lab.b.ip6 or lab.b.ip
        local a <close> = lab.a:inside(open, { family = family, errors = true })
        local b <close> = lab.b:inside(open, { family = family })
        local payload = {}
        for i = 1, 15000 do payload[i] = ("%04d"):format(i % 10000) end
        payload = table.concat(payload)
        assert(a:sendto(payload, to))
        local packet, from = assert(b:receive())
        assert.equal(six and lab.a.ip6 or lab.a.ip, from)
        assert.is_true((six and packet or select(2, parse(packet))) == payload)
        b:close()
        assert(a:sendto("nobody listens", to))
        local e = assert(a:geterror(2))
        assert.same({ "nobody listens", to }, { e.data:sub(-14), e.offender })
        assert.same(six and { 4, 1 } or { 3, 2 }, { e.type, e.icmpcode })
      end
    end)
  end)

  it("stays on its interface", function()
    netns.need()
    local lab <close> = netns.pair()
    in_task(function()
      local on_lo <close> = lab.b:inside(open, { interface = "lo" })
      local on_link <close> = lab.b:inside(open, { interface = lab.b.interface })
      local a <close> = lab.a:inside(open)
      assert(a:sendto("over the link", lab.b.ip))
      assert.equal("over the link", select(2, parse((on_link:receive()))))
      silent(on_lo)
    end)
  end)

  it("sees what UDP sends, too", with_raw(function()
    local s <close> = open({ bind = "127.0.0.1" }, "udp")
    local sender <close> = assert(udp.open("127.0.0.1", 0))
    local sink <close> = assert(udp.open("127.0.0.1", 0))
    local ip, port = sink:getsockname()
    assert(sender:sendto("seen by both", ip, port))
    assert.equal("seen by both", (sink:receive()))
    local data
    repeat data = select(2, parse((assert(s:receive())))) until (">I2"):unpack(data, 3) == port
    assert.equal("seen by both", data:sub(9))
  end))
end)
