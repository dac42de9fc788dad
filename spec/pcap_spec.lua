--- Captures: pcap and pcapng, read and written; against tcpdump, tshark and
-- scapy; and the tap on a socket.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local pcap <const> = require "neap.pcap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"

local in_task <const>, quote <const> = helper.in_task, helper.quote
local pack <const> = string.pack

local ARP <const> = ("\xff"):rep(6) .. ("\2"):rep(6) .. "\8\6\0\1\8\0\6\4\0\1" .. ("\2"):rep(6) .. "\10\0\0\1"
  .. ("\0"):rep(6) .. "\10\0\0\2"
local AT <const> = 1234567890123456789

-- A source that gives the string, n bytes at a time.
local function giver(data, n)
  local at = 1
  return function()
    local piece = data:sub(at, n and at + n - 1 or -1)
    at = at + #piece
    return piece ~= "" and piece or nil
  end
end

-- What is written, kept: local sink = keeper(); sink:data().
local function keeper()
  local list = {}
  return {
    write = function(self, ...)
      for _, piece in ipairs { ... } do list[#list + 1] = piece end
      return self
    end,
    data = function() return table.concat(list) end,
  }
end

local function contents(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function save(data, suffix)
  local path = helper.tmpname(suffix)
  local file <close> = assert(io.open(path, "wb"))
  file:write(data)
  return path
end

-- All the packets: a list of { data, info }.
local function all(source, options)
  local reader <close> = assert(pcap.open(source, options))
  local list = {}
  for data, info in reader:packets() do list[#list + 1] = { data, info } end
  return list, reader
end

-- A program's output, and what it complained of. Being root is not news.
local function run(command)
  local errors = helper.tmpname()
  local pipe = assert(io.popen(("%s 2>%s"):format(command, errors)))
  local out = pipe:read "a"
  local ok, _, code = pipe:close()
  local said = contents(errors):gsub("Running as user[^\n]*\n", "")
  return out, said, ok and 0 or code
end

-- What tshark says of each packet, a list of lines; nothing else may be said.
local function tshark(path, ...)
  helper.need_program "tshark"
  local words = { "tshark -n -r", quote(path), "-T fields -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE" }
  for _, field in ipairs { ... } do words[#words + 1] = "-e " .. field end
  local out, said, code = run(table.concat(words, " "))
  assert.same({ "", 0 }, { said, code })
  local lines = {}
  for line in out:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

local function python()
  for _, name in ipairs { "/usr/bin/python3", "python3" } do
    if os.execute(("%s -c 'import scapy' >/dev/null 2>&1"):format(name)) then return name end
  end
  helper.skip "needs scapy (python3-scapy)"
end

-- Runs a Python script with scapy; its output.
local function scapy(script, ...)
  local words = { python(), save("import sys, logging\nlogging.disable(50)\nfrom scapy.utils import *\n" .. script) }
  for _, word in ipairs { ... } do words[#words + 1] = quote(word) end
  local out, said, code = run(table.concat(words, " "))
  assert.equal(0, code, said)
  return out
end

-- ---- files by hand ----

local function pcap_file(order, magic, packets, minor)
  local out = { pack(order .. "I4I2I2i4I4I4I4", magic, 2, minor or 4, 0, 0, 65535, 1) }
  for _, p in ipairs(packets) do
    out[#out + 1] = pack(order .. "I4I4I4I4", p[1], p[2], p[4] or #p[3], p[5] or #p[3]) .. p[3]
  end
  return table.concat(out)
end

local function padded(data) return data .. ("\0"):rep(-#data & 3) end

local function block(order, kind, body)
  local length = 12 + #body
  return pack(order .. "I4I4", kind, length) .. body .. pack(order .. "I4", length)
end

local function option(order, code, value) return pack(order .. "I2I2", code, #value) .. padded(value) end

local function section(order) return block(order, 0x0a0d0d0a, pack(order .. "I4I2I2i8", 0x1a2b3c4d, 1, 0, -1)) end

local function interface(order, link, snaplen, options)
  return block(order, 1, pack(order .. "I2I2I4", link, 0, snaplen) .. (options or ""))
end

local function enhanced(order, id, ts, data, options)
  return block(order, 6, pack(order .. "I4I4I4I4I4", id, ts >> 32, ts & 0xffffffff, #data, #data + 7) .. padded(data)
    .. (options or ""))
end

-- Every kind of block, in two sections, the second one empty but for one.
local function busy_file(order)
  local o = order
  return section(o)
    .. interface(o, 1, 0, option(o, 2, "eth0") .. option(o, 9, "\9") .. pack(o .. "I2I2", 0, 0))
    .. block(o, 4, pack(o .. "I2I2", 1, 8) .. "\10\0\0\1" .. "ab\0\0" .. "\0\0\0\0")
    .. enhanced(o, 0, AT, "one", option(o, 1, "first") .. option(o, 1, "again") .. option(o, 2, pack(o .. "I4", 2)))
    .. interface(o, 101, 4, option(o, 2, "tun0") .. option(o, 9, "\6") .. option(o, 14, pack(o .. "i8", 100)))
    .. enhanced(o, 1, 1234567890123456, "four", option(o, 2, pack(o .. "I4", 1)))
    .. interface(o, 113, 0, option(o, 9, "\x8a")) -- 2^-10
    .. enhanced(o, 2, 5 << 10 | 512, "half")
    .. block(o, 0x0bad, "what nobody knows   ")
    .. block(o, 2, pack(o .. "I2I2I4I4I4I4", 1, 3, 0, 1000001, 5, 6) .. padded "obsol")
    .. block(o, 3, pack(o .. "I4", 6) .. padded "simple")
    .. block(o, 5, pack(o .. "I4I4I4", 0, 0, 0))
    .. section(o) .. interface(o, 12, 2) .. block(o, 3, pack(o .. "I4", 9) .. padded "cu")
end

local BUSY <const> = {
  { "one", { timestamp = AT, length = 10, linktype = "ethernet", interface = "eth0", comment = "first\nagain",
    direction = "out" } },
  { "four", { timestamp = 1234567990123456000, length = 11, linktype = "raw", interface = "tun0",
    direction = "in" } },
  { "half", { timestamp = 5500000000, length = 11, linktype = "linux_sll", interface = 2 } },
  { "obsol", { timestamp = 101000001000, length = 6, linktype = "raw", interface = "tun0" } },
  { "simple", { length = 6, linktype = "ethernet", interface = "eth0" } },
  { "cu", { length = 9, linktype = 12, interface = 0 } },
}

describe("pcap.open", function()
  it("reads pcap in both byte orders and both units", function()
    for _, case in ipairs { { "<", 0xa1b2c3d4, 1000 }, { ">", 0xa1b2c3d4, 1000 }, { "<", 0xa1b23c4d, 1 },
      { ">", 0xa1b23c4d, 1 } } do
      local data = pcap_file(case[1], case[2], { { 4000000000, 999999, ARP }, { 5, 6, "cut", 3, 1500 }, { 7, 8, "" } })
      local list, reader = all(giver(data))
      assert.same({
        { ARP, { timestamp = 4000000000000000000 + 999999 * case[3], length = 42, linktype = "ethernet" } },
        { "cut", { timestamp = 5000000000 + 6 * case[3], length = 1500, linktype = "ethernet" } },
        { "", { timestamp = 7000000000 + 8 * case[3], length = 0, linktype = "ethernet" } },
      }, list)
      assert.same({ "pcap", "ethernet", 65535 }, { reader.format, reader.linktype, reader.snaplen })
    end
  end)

  it("knows the swapped lengths of old files", function()
    local list = all(giver(pcap_file("<", 0xa1b2c3d4, { { 1, 2, "cut", 1500, 3 }, { 1, 2, "whole" } }, 2)))
    assert.same({ "cut", 1500, "whole", 5 }, { list[1][1], list[1][2].length, list[2][1], list[2][2].length })
  end)

  it("reads pcapng with all its blocks, sections, interfaces and units", function()
    for _, order in ipairs { "<", ">" } do
      local list, reader = all(giver(busy_file(order)))
      assert.same(BUSY, list)
      assert.same({ "pcapng", "ethernet", 0 }, { reader.format, reader.linktype, reader.snaplen })
      assert.same({ "eth0", "tun0", nil, nil }, { reader.interfaces[1].name, reader.interfaces[2].name,
        reader.interfaces[3].name, reader.interfaces[4].name })
      assert.equal(4, #reader.interfaces)
    end
  end)

  it("reads sections of different byte orders in one file", function()
    local list = all(giver(busy_file "<" .. busy_file ">"))
    assert.equal(2 * #BUSY, #list)
    for i = 1, #list do assert.same(BUSY[(i - 1) % #BUSY + 1], list[i]) end
  end)

  it("counts time in every unit", function()
    local cases = {
      { "\0", 5, 5000000000 }, { "\3", 1500, 1500000000 }, { "\6", 1, 1000 }, { "\9", AT, AT },
      { "\12", 1500123, 1500 }, { "\12", -1, 18446744073709551 }, { "\27", 1 << 62, 4 }, { "\28", -1, 0 },
      { "\x7f", -1, 0 }, { "\x80", 3, 3000000000 }, { "\x81", 3, 1500000000 }, { "\x9f", 1 << 31, 1000000000 },
      { "\xa0", 1 << 32 | 1 << 31, 1500000000 }, { "\xbf", 1 << 63 | 1 << 62, 1500000000 },
      { "\xbf", -1, 1999999999 }, { "\xc0", 1 << 63, 500000000 }, { "\xff", -1, 0 },
    }
    for _, case in ipairs(cases) do
      local list = all(giver(section "<" .. interface("<", 1, 0, option("<", 9, case[1]))
        .. enhanced("<", 0, case[2], "x")))
      assert.equal(case[3], list[1][2].timestamp, ("unit %d"):format(case[1]:byte()))
    end
  end)

  it("agrees with tshark about both", function()
    local path = save(busy_file(">"), ".pcapng")
    assert.same({ "1234567890.123456789\t3\t10\teth0", "1234567990.123456000\t4\t11\ttun0" }, {
      table.unpack(tshark(path, "frame.time_epoch", "frame.cap_len", "frame.len", "frame.interface_name"), 1, 2) })
  end)

  it("takes a path, a file, a stream, an object and a function", function()
    local data = busy_file "<"
    local path = save(data)
    assert.same(BUSY, (all(path)))
    assert.same(BUSY, (all(assert(io.open(path, "rb")))))
    assert.same(BUSY, (all(giver(data, 5))))
    local more = giver(data, 7)
    assert.same(BUSY, (all { read = function() return more() end }))
    in_task(function()
      local near, far = unix.pair()
      neap.spawn(function()
        near:write(data)
        near:close()
      end)
      assert.same(BUSY, (all(far)))
      assert.is_false(far:isopen())
    end)
  end)

  it("reads a stream that gives a byte at a time", function()
    in_task(function()
      for _, data in ipairs { busy_file ">", pcap_file(">", 0xa1b23c4d, { { 1, 2, ARP }, { 3, 4, ARP } }) } do
        local listener <close> = assert(tcp.listen("127.0.0.1", 0))
        local near <close> = assert(tcp.connect(listener:getsockname()))
        local far <close> = assert(listener:accept())
        neap.spawn(function()
          for i = 1, #data do
            near:write(data:sub(i, i))
            if i % 16 == 0 then neap.sleep(0) end
          end
          near:shutdown "w"
        end)
        assert.same(all(giver(data)), (all(far)))
      end
    end)
  end)

  it("loses nothing to a timeout", function()
    in_task(function()
      local near <close>, far = unix.pair()
      local data = pcap_file("<", 0xa1b23c4d, { { 1, 2, ARP } })
      far:settimeout(0.02)
      near:write(data:sub(1, 10))
      assert.fails("ETIMEDOUT", pcap.open(far))
      local other <close>, there = unix.pair()
      there:settimeout(0.02)
      other:write(data:sub(1, 30))
      local reader <close> = assert(pcap.open(there))
      assert.fails("ETIMEDOUT", reader:read())
      other:write(data:sub(31, 50))
      assert.fails("ETIMEDOUT", reader:read())
      other:write(data:sub(51))
      assert.equal(ARP, (reader:read()))
      assert.fails("ETIMEDOUT", reader:read())
      other:close()
      assert.fails("EOF", reader:read())
      assert.fails("EOF", reader:read())
      far:close()
    end)
  end)

  it("says where a file is malformed", function()
    local header = pcap_file("<", 0xa1b2c3d4, { { 1, 2, ARP } })
    local ng = section "<"
    for _, case in ipairs {
      { "", 0, "empty" }, { "\xa1", 0, "truncated" }, { "not a capture at all, is it?", 0, "no capture" },
      { header:sub(1, 20), 0, "truncated: 20 bytes, of 24" }, { header .. header:sub(25, 30), 82, "truncated" },
      { header:sub(1, -2), 24, "truncated: 57 bytes, of 58" },
      { "\xa1\xb2\xc3\xd4\0\3" .. ("\0"):rep(18), 0, "version 3.0" },
      { ng:sub(1, 20), 0, "truncated" }, { ng .. interface("<", 1, 0):sub(1, -2), 28, "truncated" },
      { ng .. "\1\0\0\0\13\0\0\0" .. ("\0"):rep(8), 28, "a block of 13 bytes" },
      { ng .. "\1\0\0\0\8\0\0\0" .. ("\0"):rep(8), 28, "a block of 8 bytes" },
      { ng .. "\1\0\0\0\12\0\0\0\16\0\0\0", 28, "two lengths differ" },
      { ng .. block("<", 1, "\1\0\0\0"), 28, "too short" },
      { ng .. interface("<", 1, 0, "\2\0\5\0abcd"), 28, "an option is longer" },
      { ng .. interface("<", 1, 0, option("<", 9, "\6\6")), 28, "wrong length" },
      { ng .. enhanced("<", 0, 1, "x"), 28, "interface 0, which was not described" },
      { ng .. block("<", 3, pack("<I4", 1) .. "x\0\0\0"), 28, "interface 0, which" },
      { ng .. interface("<", 1, 0) .. block("<", 6, ("\0"):rep(16)), 48, "too short" },
      { ng .. interface("<", 1, 0) .. block("<", 2, ("\0"):rep(16)), 48, "too short" },
      { ng .. interface("<", 1, 0) .. block("<", 3, ""), 48, "too short" },
      { ng .. interface("<", 1, 0) .. block("<", 3, pack("<I4", 5) .. "abcd"), 48, "longer than its block" },
      { ng .. interface("<", 1, 0) .. block("<", 6, pack("<I4I4I4I4I4", 0, 0, 0, 5, 5) .. "abcd"), 48, "longer" },
      { ng .. interface("<", 1, 0) .. enhanced("<", 1, 1, "x"), 48, "interface 1, which" },
      { block("<", 0x0a0d0d0a, pack("<I4I2I2i8", 0x1a2b3c4d, 2, 0, -1)), 0, "version 2.0" },
      { block("<", 0x0a0d0d0a, pack("<I4I2I2", 0x1a2b3c4d, 1, 0)), 0, "too short" },
      { block("<", 0x0a0d0d0a, pack("<I4I2I2i8", 0x1a2b3c4e, 1, 0, -1)), 0, "no byte order" },
    } do
      local reader, why, code, at = pcap.open(giver(case[1]))
      while reader do
        local data
        data, why, code, at = reader:read()
        if not data then break end
      end
      assert.same({ "EBADMSG", case[2] }, { code, at }, why)
      assert.matches(case[3], why, 1, true)
      assert.matches(("at offset %d"):format(case[2]), why, 1, true)
    end
  end)

  it("raises in a loop over what is malformed, and tells the line", function()
    local _, err = pcall(all, giver(pcap_file("<", 0xa1b2c3d4, { { 1, 2, ARP } }):sub(1, -2)))
    assert.matches("^spec/pcap_spec.lua:%d+: pcap: truncated", err)
  end)

  it("has a limit for a packet and for a block", function()
    local long = pcap_file("<", 0xa1b2c3d4, { { 1, 2, ("x"):rep(1001) } })
    local _, why, code, at = assert(pcap.open(giver(long), { maxpacket = 1000 })):read()
    assert.same({ "EMSGSIZE", 24, "pcap: a packet of 1001 bytes, of at most 1000, at offset 24" }, { code, at, why })
    assert.equal(1001, #all(giver(long), { maxpacket = 1001 })[1][1])
    local most = pcap_file("<", 0xa1b2c3d4, { { 1, 2, "", (16 << 20) + 1, 1 } })
    assert.fails("EMSGSIZE", assert(pcap.open(giver(most))):read())
    local ng = section "<" .. interface("<", 1, 0) .. pack("<I4I4I4", 99, (16 << 20) + 4, 0)
    assert.fails("EMSGSIZE", assert(pcap.open(giver(ng))):read())
  end)

  it("never raises, and never hangs, on a file that is cut or broken anywhere", function()
    local good <const> = { EOF = true, EBADMSG = true, EMSGSIZE = true }
    local function try(data)
      local reader, why, code, at = pcap.open(giver(data))
      local packets = 0
      while reader do
        local bytes
        bytes, why, code, at = reader:read()
        if not bytes then break end
        assert(math.type(why.length) == "integer" and #bytes <= #data)
        packets = packets + 1
        assert(packets < 100)
      end
      assert(good[code] and type(why) == "string", why)
      assert(code == "EOF" or math.type(at) == "integer" and at >= 0 and at <= #data, why)
      return code
    end
    local old = pcap_file(">", 0xa1b23c4d, { { 1, 2, ARP }, { 3, 4, "" } })
    for _, data in ipairs { busy_file "<", busy_file ">", old } do
      assert.equal("EOF", try(data))
      for i = 1, #data, helper.slow == 1 and 1 or 7 do
        try(data:sub(1, i - 1))
        for _, bits in ipairs { 0x01, 0x80, 0xff } do
          try(data:sub(1, i - 1) .. string.char(data:byte(i) ~ bits) .. data:sub(i + 1))
        end
      end
    end
  end)

  it("fails with the system's codes", function()
    local value, why, code = pcap.open "/nowhere/at.all"
    assert.fails("ENOENT", value, why, code)
    assert.equal("open /nowhere/at.all: No such file or directory", why)
    assert.fails("EISDIR", pcap.open "/")
    assert.fails("ENOENT", pcap.create "/nowhere/at.all")
    assert.fails("ECONNRESET", pcap.open(function() return nil, "gone", "ECONNRESET" end))
  end)

  it("raises on what is no argument of its", function()
    for _, from in ipairs { 5, true, {}, "", "a\0b" } do assert.raises("bad argument #1", pcap.open, from) end
    assert.raises("bad argument #1", pcap.open)
    assert.raises("bad argument #1", pcap.create, print)
    local closed = assert(io.tmpfile())
    closed:close()
    assert.raises("bad argument #1", pcap.open, closed)
    assert.raises("bad argument #1", pcap.create, closed)
    assert.raises("unknown option 'maxpaket'", pcap.open, "x", { maxpaket = 1 })
    assert.raises("maxpacket", pcap.open, "x", { maxpacket = 0 })
    for name, value in pairs { format = "pcapnf", linktype = "ehternet", snaplen = 0, nanoseconds = 1, interface = 5,
      comment = ("x"):rep(65536), application = 5, formt = "pcap" } do
      assert.raises("option '" .. name, pcap.create, keeper(), { [name] = value })
    end
    local _, err = pcall(function() pcap.open(5) end)
    assert.matches("^spec/pcap_spec.lua:", err)
  end)

  it("closes what it was given, once", function()
    local path = save(busy_file "<")
    local file = assert(io.open(path))
    local reader = assert(pcap.open(file))
    assert.matches("neap.pcap.reader %(pcapng%)", tostring(reader))
    assert.is_true(reader:close())
    assert.equal("closed file", io.type(file))
    assert.is_true(reader:close())
    assert.fails("ECLOSED", reader:read())
    assert.matches("closed", tostring(reader))
  end)
end)

describe("pcap.create", function()
  local function write_some(writer)
    assert(writer:write(ARP, { timestamp = AT }))
    assert(writer:write(ARP, { timestamp = AT + 1000, length = 1500 }))
    assert(writer:write("", { timestamp = 0 }))
    assert(writer:close())
  end

  for _, format in ipairs { "pcap", "pcapng" } do
    it(("writes what it reads: %s"):format(format), function()
      for _, exact in ipairs { true, false } do
        local sink = keeper()
        write_some(assert(pcap.create(sink, { format = format, nanoseconds = exact, linktype = "raw", snaplen = 96 })))
        local list, reader = all(giver(sink.data()))
        local at = exact and AT or AT // 1000 * 1000
        assert.same({ ARP, ARP, "" }, { list[1][1], list[2][1], list[3][1] })
        assert.same({ at, at + 1000, 0 }, { list[1][2].timestamp, list[2][2].timestamp, list[3][2].timestamp })
        assert.same({ 42, 1500, 0 }, { list[1][2].length, list[2][2].length, list[3][2].length })
        assert.same({ format, "raw", 96 }, { reader.format, reader.linktype, reader.snaplen })
      end
    end)

    it(("writes what tshark reads without a word: %s"):format(format), function()
      local path = helper.tmpname "." .. format
      for _, exact in ipairs { true, false } do
        write_some(assert(pcap.create(path, { format = format, nanoseconds = exact })))
        local last = exact and "789" or "000"
        assert.same({ "1234567890.123456" .. last .. "\t42\t42\t10.0.0.2",
          "1234567890.123457" .. last .. "\t42\t1500\t10.0.0.2", "0.000000000\t0\t0\t" },
          tshark(path, "frame.time_epoch", "frame.cap_len", "frame.len", "arp.dst.proto_ipv4"))
      end
    end)

    it(("writes what scapy reads, and reads what it writes: %s"):format(format), function()
      local path, back = helper.tmpname "." .. format, helper.tmpname "." .. format
      write_some(assert(pcap.create(path, { format = format })))
      local name = format == "pcap" and "Pcap" or "PcapNg"
      local out = scapy(([[
out = Raw%sWriter(sys.argv[2], nano=True) if "%s" == "Pcap" else RawPcapNgWriter(sys.argv[2])
out.linktype = 1
for data, meta in RawPcapReader(sys.argv[1]):
    print(len(data), bytes(data).hex())
out.write_header(None)
for i in range(3):
    out.write_packet(bytes([i]) * (i * 7), sec=1000 + i, usec=i * (1000 if "%s" == "Pcap" else 1))
out.close()
]]):format(name, name, name), path, back)
      local hex = ARP:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
      assert.equal(("42 %s\n42 %s\n0 \n"):format(hex, hex), out)
      local list = all(back)
      for i = 0, 2 do
        assert.equal(string.char(i):rep(i * 7), list[i + 1][1])
        assert.equal(1000 + i, list[i + 1][2].timestamp // 1000000000)
      end
    end)
  end

  it("writes the same bytes as tcpdump", function()
    helper.need_program "tcpdump"
    local path = helper.tmpname()
    write_some(assert(pcap.create(path, { nanoseconds = false })))
    local _, _, code = run(("tcpdump -r %s -w %s.out"):format(path, path))
    assert.equal(0, code)
    assert.same(all(path), (all(path .. ".out")))
    local _, _, exact = run(("tcpdump --time-stamp-precision=nano -r %s -w %s.nano"):format(path, path))
    assert.equal(0, exact)
    assert.same(all(path), (all(path .. ".nano")))
  end)

  it("writes what editcap turns into the other format", function()
    helper.need_program "editcap"
    local path = helper.tmpname ".pcapng"
    local writer <close> = assert(pcap.create(path, { interface = "eth0", comment = "made here" }))
    for i = 1, 20 do assert(writer:write(ARP:sub(1, 20 + i), { timestamp = AT + i, length = 60 })) end
    assert(writer:flush())
    local _, said, code = run(("editcap -F nsecpcap %s %s.pcap"):format(path, path))
    assert.same({ "", 0 }, { said, code })
    local list = all(path)
    for _, p in ipairs(list) do p[2].interface = nil end
    assert.same(list, (all(path .. ".pcap")))
    _, said, code = run(("editcap -F pcapng %s.pcap %s.pcapng"):format(path, path))
    assert.same({ "", 0 }, { said, code })
    for i, p in ipairs(all(path .. ".pcapng")) do
      assert.same({ list[i][1], list[i][2].timestamp }, { p[1], p[2].timestamp })
    end
  end)

  it("keeps interfaces, comments and directions in pcapng", function()
    local path = helper.tmpname ".pcapng"
    local writer = assert(pcap.create(path, { interface = "eth0", application = "spec" }))
    local infos = {
      { timestamp = 1, interface = "eth0", direction = "in", comment = "c" }, { timestamp = 2, interface = "tun0",
        linktype = "raw", direction = "out" }, { timestamp = 3, interface = 7, linktype = 147 },
      { timestamp = 4, interface = "tun0", linktype = 101 }, { timestamp = 5, type = "outgoing", mac = "ignored" },
    }
    for _, info in ipairs(infos) do assert(writer:write("\x45" .. ARP, info)) end
    assert(writer:close())
    local list, reader = all(path)
    local function field(name)
      local out = {}
      for i, p in ipairs(list) do out[i] = tostring(p[2][name]) end
      return table.concat(out, " ")
    end
    assert.equal("eth0 tun0 2 tun0 eth0", field "interface")
    assert.equal("ethernet raw user0 raw ethernet", field "linktype")
    assert.equal("in out nil nil out", field "direction")
    assert.equal("c nil nil nil nil", field "comment")
    assert.equal(3, #reader.interfaces)
    assert.equal("eth0 c|tun0 ||tun0 |eth0 ", (table.concat(tshark(path, "frame.interface_name", "frame.comment"), "|")
      :gsub("\t", " "):gsub("|[^|]*|tun0", "||tun0", 1):gsub("| |", "||")))
  end)

  it("copies one format into the other", function()
    local sink = keeper()
    local writer = assert(pcap.create(sink, { format = "pcapng" }))
    local reader = assert(pcap.open(giver(busy_file ">")))
    for data, info in reader:packets() do assert(writer:write(data, info)) end
    local list = all(giver(sink.data()))
    for i = 1, 4 do
      assert.same({ BUSY[i][1], BUSY[i][2].timestamp, BUSY[i][2].length, BUSY[i][2].linktype, BUSY[i][2].comment },
        { list[i][1], list[i][2].timestamp, list[i][2].length, list[i][2].linktype, list[i][2].comment })
    end
  end)

  it("stamps what has no time, and cuts at snaplen", function()
    local sink = keeper()
    local writer = assert(pcap.create(sink, { snaplen = 10 }))
    assert(writer:write(ARP))
    assert(writer:write(ARP, { length = 100 }))
    local list = all(giver(sink.data()))
    assert(math.abs(list[1][2].timestamp // 1000000000 - os.time()) < 5)
    assert.same({ ARP:sub(1, 10), 42 }, { list[1][1], list[1][2].length })
    assert.same({ ARP:sub(1, 10), 100 }, { list[2][1], list[2][2].length })
  end)

  it("refuses what the format cannot hold", function()
    local writer = assert(pcap.create(keeper()))
    assert.fails("ERANGE", writer:write("x", { timestamp = -1 }))
    assert.fails("ERANGE", writer:write("x", { timestamp = 4294967296000000000 }))
    assert(writer:write("x", { timestamp = 4294967295999999999 }))
    local value, why, code = writer:write("x", { linktype = "raw" })
    assert.fails("EINVAL", value, why, code)
    assert.equal("pcap: a packet of link type raw in a file of ethernet", why)
    assert(writer:write("x", { linktype = 1 }))
    local other = assert(pcap.create(keeper(), { format = "pcapng" }))
    assert.fails("ERANGE", other:write("x", { timestamp = -1 }))
    assert(other:write("x", { timestamp = math.maxinteger }))
  end)

  it("raises on a field of the wrong type, and blames the caller", function()
    local writer = assert(pcap.create(keeper(), { format = "pcapng" }))
    for name, value in pairs { timestamp = 1.5, length = 0, linktype = "x", interface = true, comment = 5,
      direction = "up" } do
      assert.raises(("field '%s'"):format(name), writer.write, writer, "x", { [name] = value })
    end
    assert.raises("field 'length'", writer.write, writer, "x", { length = 1 << 32 })
    assert.raises("bad argument #1", writer.write, writer, 5)
    assert.raises("bad argument #2", writer.write, writer, "x", 5)
    for _, field in ipairs { "timestamp", "linktype", "length" } do
      local _, err = pcall(function() writer:write("x", { [field] = {} }) end)
      assert.matches("^spec/pcap_spec.lua:", err)
    end
  end)

  it("tells of a disk that is full, and of a peer that is gone", function()
    helper.need(io.open "/dev/full", "needs /dev/full")
    local writer = assert(pcap.create "/dev/full")
    local value, why, code = writer:flush()
    assert.fails("ENOSPC", value, why, code)
    assert.equal("write /dev/full: No space left on device", why)
    writer:close()
    in_task(function()
      local near, far = unix.pair()
      local other = assert(pcap.create(near))
      far:close()
      assert.fails("EPIPE", other:write(ARP))
      other:close()
    end)
  end)

  it("is to be closed, once, with what it writes to", function()
    local path = helper.tmpname()
    local kept
    do
      local writer <close> = assert(pcap.create(path))
      kept = writer
      assert(writer:write(ARP))
    end
    assert.equal(1, #all(path))
    assert.is_true(kept:close())
    assert.fails("ECLOSED", kept:write(ARP))
    assert.fails("ECLOSED", kept:flush())
    assert.matches("neap.pcap.writer %(closed%)", tostring(kept))
  end)

  it("chooses pcapng by the name", function()
    local path = helper.tmpname ".pcapng"
    assert(pcap.create(path)):close()
    assert.equal("\n\r\r\n", contents(path):sub(1, 4))
    assert(pcap.create(path, { format = "pcap" })):close()
    assert.equal("\x4d\x3c\xb2\xa1", contents(path):sub(1, 4))
  end)

  it("writes from several tasks at once, to a stream", function()
    in_task(function()
      local near, far = unix.pair()
      local reading = neap.spawn(all, far)
      local writer = assert(pcap.create(near, { format = "pcapng" }))
      local group <close> = neap.group()
      for i = 1, 8 do
        group:spawn(function()
          for j = 1, 50 do assert(writer:write(("%d"):format(i):rep(j * 40), { interface = i })) end
        end)
      end
      group:wait()
      writer:close()
      local list = reading:join()
      assert.equal(400, #list)
      for _, p in ipairs(list) do assert.equal(0, #p[1] % 40) end
    end)
  end)
end)

describe("pcap.tap", function()
  local udp

  before_each(function()
    local found, module = pcall(require, "neap.udp")
    helper.need(found, "needs neap.udp")
    udp = module
  end)

  local STATUS <const> = { "ip.src", "ipv6.src", "udp.srcport", "ip.dst", "ipv6.dst", "udp.dstport", "udp.length",
    "ip.checksum.status", "udp.checksum.status", "frame.packet_flags_direction", "_ws.expert" }

  local function talk(host, family)
    local path = helper.tmpname ".pcapng"
    in_task(function()
      local writer <close> = assert(pcap.create(path))
      local server <close> = assert(udp.open(family and host or nil, 0, { family = family }))
      local _, port = server:getsockname()
      local client <close> = assert(udp.connect(host, port))
      local tapping <close> = assert(pcap.tap(server, writer))
      for _, size in ipairs { 5, 0, 1, 60000 } do
        client:send(("q"):rep(size))
        local data, ip, from = server:receive()
        server:sendto(data, ip, from)
        client:receive()
      end
      assert.equal(8, tapping.packets)
      assert.is_true(tapping:close())
      client:send "not written any more"
      server:receive()
    end)
    return path
  end

  local function check(path, v6)
    local lines = tshark(path, table.unpack(STATUS))
    assert.equal(8, #lines)
    for i, line in ipairs(lines) do
      local at, f = 1, {}
      for value in (line .. "\t"):gmatch "([^\t]*)\t" do f[STATUS[at]], at = value, at + 1 end
      local ip = v6 and "::1" or "127.0.0.1"
      assert.same({ ip, ip }, v6 and { f["ipv6.src"], f["ipv6.dst"] } or { f["ip.src"], f["ip.dst"] })
      assert.same({ "1", v6 and "" or "1", "" }, { f["udp.checksum.status"], f["ip.checksum.status"], f["_ws.expert"] })
      assert.equal(({ 13, 8, 9, 60008 })[(i + 1) // 2], tonumber(f["udp.length"]))
      assert.equal(i % 2 == 1 and "0x00000001" or "0x00000002", f["frame.packet_flags_direction"])
    end
  end

  it("writes a UDP socket's datagrams as packets that tshark finds no fault with", function()
    check(talk("127.0.0.1", "inet"))
  end)

  it("does so over IPv6", function()
    helper.need_ipv6()
    check(talk("::1", "inet6"), true)
  end)

  it("finds out the address of a socket that is bound to all", function()
    check(talk "127.0.0.1")
  end)

  it("writes to a stream without holding up the socket", function()
    in_task(function()
      local near, far = unix.pair()
      local writer = assert(pcap.create(near, { linktype = "raw" }))
      local a <close> = assert(udp.open("127.0.0.1", 0))
      local b <close> = assert(udp.open("127.0.0.1", 0))
      local _, port = b:getsockname()
      local tapping = assert(pcap.tap(a, writer))
      for i = 1, 50 do assert(a:sendto(("%d"):format(i), "127.0.0.1", port)) end
      local reading = neap.spawn(all, far)
      assert.is_true(tapping:close())
      assert.is_true(tapping:close())
      assert.same({ 50, 0 }, { tapping.packets, tapping.dropped })
      writer:close()
      local list = reading:join()
      assert.equal(50, #list)
      assert.equal("50", list[50][1]:sub(29))
    end)
  end)

  it("ends when its writer fails, and the socket goes on", function()
    local reports = helper.reports()
    in_task(function()
      local writer = assert(pcap.create(helper.tmpname(), { linktype = "raw" }))
      local a <close> = assert(udp.open("127.0.0.1", 0))
      local b <close> = assert(udp.open("127.0.0.1", 0))
      local _, port = b:getsockname()
      local tapping = assert(pcap.tap(a, writer))
      assert(a:sendto("first", "127.0.0.1", port))
      writer:close()
      assert(a:sendto("second", "127.0.0.1", port))
      assert(a:sendto("third", "127.0.0.1", port))
      assert.fails("ECLOSED", tapping:close())
      assert.equal(1, tapping.packets)
      for _, text in ipairs { "first", "second", "third" } do assert.equal(text, (b:receive())) end
    end)
    assert.equal(1, #reports)
    assert.matches("pcap.tap: closed", reports[1].err)
  end)

  it("writes Unix datagrams as they are", function()
    in_task(function()
      local path = helper.tmpname ".pcapng"
      local writer = assert(pcap.create(path))
      local a <close>, b = assert(unix.datagram.pair())
      local held <close> = b
      local tapping = assert(pcap.tap(b, writer))
      a:send "to you"
      b:receive()
      b:send "to me"
      tapping:close()
      writer:close()
      local list = all(path)
      assert.same({ "to you", "user0", "in" }, { list[1][1], list[1][2].linktype, list[1][2].direction })
      assert.same({ "to me", "user0", "out" }, { list[2][1], list[2][2].linktype, list[2][2].direction })
    end)
  end)

  it("refuses a writer of another link type, and what is no socket", function()
    in_task(function()
      local a <close> = assert(udp.open("127.0.0.1", 0))
      assert.raises("link type raw, the writer's is ethernet", pcap.tap, a, (assert(pcap.create(keeper()))))
      assert.raises("bad argument #2", pcap.tap, a, io.stdout)
      assert.raises("bad argument #1", pcap.tap, io.stdout, (assert(pcap.create(keeper()))))
      assert.raises("bad argument #1", pcap.tap)
      local _, err = pcall(function() pcap.tap(5, 5) end)
      assert.matches("^spec/pcap_spec.lua:", err)
    end)
  end)
end)
