--- Filters: compiled by libpcap as tcpdump has it, checked, run and shown by
-- neap itself.
local helper <const> = require "support.helper"
local filter <const> = require "neap.filter"

local RET <const>, ANY <const> = 0x06, { { 0x06, 0, 0, 65535 } }

local function need_libpcap()
  helper.need(pcall(require, "neap.filtercore"), "needs libpcap (libpcap-dev)")
end

local function output(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

local TEXTS <const> = {
  "", "ip", "ip6", "arp", "tcp", "udp port 53", "tcp dst port 80 or tcp dst port 443",
  "host 10.1.2.3", "net 192.168.0.0/16", "ip6 host fe80::1", "ether host 02:00:00:00:00:01",
  "icmp[icmptype] == icmp-echo", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "not broadcast and not multicast",
  "vlan 5 and ip", "greater 100", "less 64", "ip[0] & 0xf != 5", "portrange 1000-2000",
  "ip proto 132 or sctp", "len > 50 and (tcp or udp)", "ip[2:2] - ((ip[0]&0xf)<<2) > 100", "inbound",
  "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420", "ip multicast", "ether proto 0x88cc", "mpls", "pppoes",
  "ip[6:2] % 8 = 1", "tcp[2] * 3 / 7 ^ 5 = 1",
}

describe("filter.compile", function()
  it("makes what tcpdump makes", function()
    need_libpcap()
    helper.need_program "tcpdump"
    for _, text in ipairs(TEXTS) do
      local theirs = output(("tcpdump -d -y EN10MB -s 262144 %s 2>/dev/null"):format(helper.quote(text)))
      if theirs ~= "" then -- it asks the interface, which may not do
        assert.equal(theirs, filter.dump(assert(filter.compile(text))), text)
      end
    end
  end)

  it("gives plain lists of integers that a kernel takes", function()
    need_libpcap()
    for _, text in ipairs(TEXTS) do
      local program = assert(filter.compile(text))
      assert.is_true(filter.check(program))
      assert.is_nil(getmetatable(program))
      for i, instruction in ipairs(program) do
        assert.equal(4, #instruction)
        for j = 1, 4 do assert.equal("integer", math.type(program[i][j])) end
      end
    end
  end)

  it("knows link types by name and by number", function()
    need_libpcap()
    local function dump(...) return filter.dump(assert(filter.compile("ip", ...))) end
    assert.equal(dump "ethernet", dump())
    assert.equal(dump "ethernet", dump(1))
    assert.equal(dump "raw", dump(101))
    assert.equal(dump "raw", dump(12)) -- as this libpcap has it
    assert.equal(dump "cooked", dump "linux_sll")
    assert.equal(dump "cooked", dump(113))
    local seen = {}
    for _, name in ipairs { "ethernet", "raw", "cooked", "linux_sll2", "null", "ppp", "ieee802_11" } do
      local text = dump(name)
      assert.is_nil(seen[text], name)
      seen[text] = true
    end
    assert.fails("EINVAL", filter.compile("ip", 65535))
    assert.fails("EINVAL", filter.compile("wlan type mgt"))
  end)

  it("lets snaplen bytes through", function()
    need_libpcap()
    assert.same({ { RET, 0, 0, 262144 } }, filter.compile "")
    assert.same({ { RET, 0, 0, 96 } }, filter.compile("", "ethernet", 96))
  end)

  it("says what is wrong with a text", function()
    need_libpcap()
    local value, why, code = filter.compile "tcp prot 80"
    assert.fails("EINVAL", value, why, code)
    assert.equal("filter: syntax error in 'tcp prot 80'", why)
    for _, text in ipairs { "(", "foo", "host", "port 99999", "tcp[1", "ip broadcast", "1 / 0 = 1",
      "ip host ::1", "\1\2", "'", ("("):rep(16000), (" "):rep(16385) } do
      assert.fails("EINVAL", filter.compile(text))
    end
  end)

  it("raises on what is no argument of its", function()
    assert.raises("bad argument #1", filter.compile)
    assert.raises("bad argument #1", filter.compile, 5)
    assert.raises("NUL", filter.compile, "ip\0")
    assert.raises("bad argument #2 (there is no link type 'ehternet')", filter.compile, "ip", "ehternet")
    for _, link in ipairs { -1, 65536, 1.5, true, {} } do
      assert.raises("bad argument #2", filter.compile, "ip", link)
    end
    for _, snaplen in ipairs { 0, -1, 1 << 30, 1.5, "9" } do
      assert.raises("bad argument #3", filter.compile, "ip", nil, snaplen)
    end
    local _, err = pcall(function() filter.compile(nil) end)
    assert.matches("^spec/filter_spec.lua:", err)
  end)

  it("works in several threads at once", function()
    need_libpcap()
    for _, result in ipairs(helper.threads(4, [[
      local filter = require "neap.filter"
      local first = filter.dump(filter.compile "tcp port 80 or udp port 53")
      for i = 1, 50 do
        assert(filter.dump(filter.compile "tcp port 80 or udp port 53") == first)
        assert(not filter.compile "tcp prot 80")
      end
      return "well"
    ]])) do
      assert.same({ true, "well" }, { result[1], result[2] })
    end
  end)

  it("needs libpcap, and nothing else does", function()
    local place = helper.tmpname()
    os.execute(("mkdir -p %s/neap"):format(place))
    os.execute(("ln -s \"$(realpath %s)\" %s/neap/core.so"):format(
      helper.quote(assert(package.searchpath("neap.core", package.cpath))), place))
    local out, code = helper.script(([[
      package.cpath = %q
      local filter = require "neap.filter"
      print(filter.compile "tcp")
      local any = { { 6, 0, 0, 1 } }
      print(filter.check(any), filter.match(any, ""), filter.dump(any))
    ]]):format(place .. "/?.so"))
    assert.equal("nil\tfilter: neap was built without libpcap (libpcap-dev)\tENOTSUP\n"
      .. "true\ttrue\t(000) ret      #1\n\n", out)
    assert.equal(0, code)
  end)
end)

-- Ethernet, IPv4 and the beginning of TCP or UDP.
local function packet(protocol, src_port, dst_port)
  return ("\2"):rep(12) .. "\8\0" .. string.pack(">I2I2I4BBI2I4I4", 0x4500, 40, 0, 64, protocol, 0, 0x0a000001,
    0x0a000002) .. string.pack(">I2I2", src_port, dst_port) .. ("\0"):rep(16)
end

describe("filter.match", function()
  it("runs a program over a packet", function()
    need_libpcap()
    local program = assert(filter.compile "tcp dst port 80")
    assert.is_true(filter.match(program, packet(6, 1000, 80)))
    assert.is_false(filter.match(program, packet(6, 80, 1000)))
    assert.is_false(filter.match(program, packet(17, 1000, 80)))
    assert.is_false(filter.match(program, packet(6, 1000, 80):sub(1, 37)))
    assert.is_true(filter.match(program, packet(6, 1000, 80):sub(1, 38)))
    assert.is_false(filter.match(program, ""))
    assert.is_true(filter.match(filter.pack(program), packet(6, 1000, 80)))
  end)

  it("says the same as tcpdump of a file", function()
    need_libpcap()
    helper.need_program "tcpdump"
    local name = helper.tmpname()
    local writer = assert(require "neap.pcap".create(name))
    local packets = {}
    for i = 1, 60 do
      packets[i] = packet(i % 3 == 0 and 17 or 6, 1000 + i, i % 7 == 0 and 80 or 53) .. ("x"):rep(i * 3)
      assert(writer:write(packets[i], { timestamp = i * 1000000000 }))
    end
    writer:close()
    for _, text in ipairs(TEXTS) do
      if not text:find "inbound" then
        local program, want, got = assert(filter.compile(text)), {}, {}
        for second in output(("tcpdump -tt -nr %s %s 2>/dev/null"):format(name, helper.quote(text)))
          :gmatch "%f[^\n\0](%d+)%.%d+ " do
          want[#want + 1] = tonumber(second)
        end
        for i, bytes in ipairs(packets) do
          if filter.match(program, bytes) then got[#got + 1] = i end
        end
        assert.same(want, got, text)
      end
    end
  end)

  it("takes the length of the whole packet", function()
    local longer = { { 0x80, 0, 0, 0 }, { 0x25, 0, 1, 100 }, { RET, 0, 0, 1 }, { RET, 0, 0, 0 } }
    assert.is_false(filter.match(longer, "x"))
    assert.is_false(filter.match(longer, "x", 100))
    assert.is_true(filter.match(longer, "x", 101))
    assert.raises("bad argument #3", filter.match, longer, "xx", 1)
  end)

  it("tells when only the kernel could say", function()
    local value, why, code = filter.match({ { 0x28, 0, 0, 0xfffff004 }, { 0x16, 0, 0, 0 } }, "bytes")
    assert.fails("ENOTSUP", value, why, code)
    assert.equal("filter: instruction 0 asks for what only the kernel knows", why)
  end)

  it("raises on what is no program", function()
    assert.raises("bad argument #1", filter.match, nil, "x")
    assert.raises("bad argument #1", filter.match, {}, "x")
    assert.raises("bad argument #1", filter.match, { 6, 0, 0, 1 }, "x")
    assert.raises("instruction 0: k must be in", filter.match, { { 6, 0, 0 } }, "x")
    assert.raises("instruction 1: code must be in", filter.match, { { 6, 0, 0, 1 }, { 65536, 0, 0, 1 } }, "x")
    assert.raises("instruction 0: jt must be in", filter.match, { { 6, 256, 0, 1 } }, "x")
    assert.raises("instruction 0: jf must be in", filter.match, { { 6, 0, 1.5, 1 } }, "x")
    assert.raises("instruction 0: k must be in", filter.match, { { 6, 0, 0, 1 << 32 } }, "x")
    assert.raises("instruction 0: the last one must be a ret", filter.match, { { 0x28, 0, 0, 12 } }, "x")
    assert.raises("8 bytes", filter.match, "1234567", "x")
    assert.raises("bad argument #2", filter.match, ANY, 5)
    local many = table.move(ANY, 1, 1, 1, {})
    for i = 1, 4096 do many[i] = ANY[1] end
    assert.is_true(filter.match(many, "x"))
    many[4097] = ANY[1]
    assert.raises("1 to 4096", filter.match, many, "x")
    assert.raises("1 to 4096", filter.match, ("\6\0\0\0\1\0\0\0"):rep(4097), "x")
  end)
end)

describe("filter.check", function()
  it("says why a kernel would refuse", function()
    assert.is_true(filter.check(ANY))
    assert.is_true(filter.check { { 0x28, 0, 0, -0x1000 }, { 0x16, 0, 0, 0 } })
    for why, program in pairs {
      ["1 to 4096"] = {}, ["instruction 0: there is no such code"] = { { 0x0e, 0, 0, 0 } },
      ["instruction 0: it jumps beyond the end"] = { { 5, 0, 0, 1 }, { 6, 0, 0, 0 } },
      ["instruction 0: it divides by 0"] = { { 0x34, 0, 0, 0 }, { 6, 0, 0, 0 } },
      ["instruction 0: it shifts"] = { { 0x64, 0, 0, 32 }, { 6, 0, 0, 0 } },
      ["instruction 0: the memory has 16 words"] = { { 2, 0, 0, 16 }, { 6, 0, 0, 0 } },
      ["instruction 0: it loads a word"] = { { 0x60, 0, 0, 1 }, { 6, 0, 0, 0 } },
      ["instruction 0: the kernel knows nothing"] = { { 0x28, 0, 0, -0x0fff }, { 6, 0, 0, 0 } },
      ["instruction 0: the last one"] = { { 0, 0, 0, 0 } },
    } do
      local value, text, code = filter.check(program)
      assert.fails("EINVAL", value, text, code)
      assert.matches(why, text, 1, true)
    end
    assert.raises("bad argument #1", filter.check, 5)
  end)

  it("never breaks on any bytes", function()
    math.randomseed(7)
    for _ = 1, 3000 do
      local bytes = {}
      for i = 1, math.random(1, 6) * 8 do bytes[i] = string.char(math.random(4) == 1 and math.random(0, 255) or 6) end
      local program = table.concat(bytes)
      if filter.check(program) then
        filter.match(program, "some bytes of a packet")
        assert.is_string(filter.dump(program))
      end
    end
  end)
end)

describe("filter.dump and filter.pack", function()
  it("write a program as text and as bytes", function()
    local program = { { 0x28, 0, 0, 12 }, { 0x15, 0, 1, 0x800 }, { 6, 0, 0, 9 }, { 6, 0, 0, 0 } }
    local text = "(000) ldh      [12]\n(001) jeq      #0x800           jt 2\tjf 3\n(002) ret      #9\n"
      .. "(003) ret      #0\n"
    assert.equal(text, filter.dump(program))
    local packed = filter.pack(program)
    assert.equal(string.pack("=I2BBI4", 0x28, 0, 0, 12), packed:sub(1, 8))
    assert.equal(32, #packed)
    assert.equal(text, filter.dump(packed))
    assert.equal(packed, filter.pack(packed))
    assert.raises("bad argument #1", filter.dump, {})
    assert.raises("bad argument #1", filter.pack, "x")
  end)
end)
