--- examples/sniff.lua: live on loopback, and from files.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local pcap <const> = require "neap.pcap"
local udp <const> = require "neap.udp"

local quote <const> = helper.quote

-- "" for what is not there yet.
local function contents(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

-- The command line of the example; what it says on its outputs goes to files.
local function sniff(...)
  local words = { "LUA_PATH=" .. quote(package.path), "LUA_CPATH=" .. quote(package.cpath), "timeout -k 5",
    10 * helper.slow, quote(helper.lua), "examples/sniff.lua" }
  for _, word in ipairs { ... } do words[#words + 1] = quote(word) end
  return table.concat(words, " ")
end

local function run(command)
  local out, err = helper.tmpname(), helper.tmpname()
  local _, _, code = os.execute(("{ %s; } >%s 2>%s"):format(command, out, err))
  return code, contents(out), contents(err)
end

-- A UDP datagram in IPv4, bare.
local function datagram(port, data)
  return string.pack(">I2I2I4BBI2I4I4", 0x4500, 28 + #data, 0, 64, 17, 0, 0x0a000001, 0x0a000002)
    .. string.pack(">I2I2I2I2", 5000, port, 8 + #data, 0) .. data
end

local function capture(n)
  local path = helper.tmpname ".pcap"
  local writer <close> = assert(pcap.create(path, { linktype = "raw" }))
  for i = 1, n do assert(writer:write(datagram(i, ("x"):rep(i)), { timestamp = i * 1000000000 })) end
  return path
end

local function need_libpcap() helper.need(pcall(require, "neap.filtercore"), "needs libpcap (libpcap-dev)") end

describe("examples/sniff.lua", function()
  it("prints a line for each packet of a file", function()
    local code, out, err = run("TZ=UTC " .. sniff("-r", capture(3)))
    assert.same({ 0, "3 packets\n" }, { code, err })
    assert.equal("00:00:01.000000 IP 10.0.0.1.5000 > 10.0.0.2.1: UDP, length 1\n"
      .. "00:00:02.000000 IP 10.0.0.1.5000 > 10.0.0.2.2: UDP, length 2\n"
      .. "00:00:03.000000 IP 10.0.0.1.5000 > 10.0.0.2.3: UDP, length 3\n", out)
  end)

  it("takes what a filter lets through, counts, and writes it", function()
    need_libpcap()
    local path, to = capture(9), helper.tmpname ".pcapng"
    assert.equal(0, (run(sniff("-r", path, "-c", "2", "-w", to, "udp", "dst", "portrange", "4-7"))))
    local sizes = {}
    local reader <close> = assert(pcap.open(to))
    for data in reader:packets() do sizes[#sizes + 1] = #data end
    assert.same({ 32, 33 }, sizes)
    local code, out = run(("%s <%s | %s"):format(sniff("-r", "-", "-w", "-", "udp port 9"), path, sniff("-r", "-")))
    assert.equal(0, code)
    assert.matches("^[^\n]*10%.0%.0%.2%.9: UDP, length 9\n$", out)
  end)

  it("captures live what tshark reads", function()
    need_libpcap()
    local probe, why, code = require "neap.packet".open "lo"
    helper.need(probe, "needs CAP_NET_RAW: " .. tostring(why or code))
    probe:close()
    helper.in_task(function()
      local a <close> = assert(udp.open("127.0.0.1", 0))
      local _, port = a:getsockname()
      local to, out = helper.tmpname(), helper.tmpname()
      local pipe = assert(io.popen(("{ %s; } >%s 2>&1; echo ended with $?"):format(
        sniff("-i", "lo", "-s", "40", "-c", "4", "-w", to, ("udp port %d"):format(port)), out)))
      helper.eventually(function() return contents(out):find "listening on lo, link type ethernet\n" end)
      for _ = 1, 2 do assert(a:sendto(("y"):rep(100), "127.0.0.1", port)) end
      assert(neap.wait(pipe, "r", 10 * helper.slow))
      assert.equal("ended with 0\n", pipe:read "a")
      pipe:close()
      assert.matches("4 packets, 0 dropped by the kernel\n", contents(out))
      local reader <close> = assert(pcap.open(to))
      for data, info in reader:packets() do assert.same({ 40, 142 }, { #data, info.length }) end
      helper.need_program "tshark"
      local status, lines = run(("tshark -n -r %s -T fields -e ip.src -e frame.len -e frame.cap_len"):format(to))
      assert.same({ 0, ("127.0.0.1\t142\t40\n"):rep(4) }, { status, lines })
    end)
  end)

  it("ends well at a signal", function()
    local probe = require "neap.packet".open "lo"
    helper.need(probe, "needs CAP_NET_RAW")
    probe:close()
    helper.in_task(function()
      local out = helper.tmpname()
      local pipe = assert(io.popen(("%s >%s 2>&1 & echo $!; wait $!; echo ended with $?"):format(
        sniff("-i", "lo"), out)))
      local pid = pipe:read "l"
      helper.eventually(function() return contents(out):find "listening on lo, link type ethernet\n" end)
      neap.sleep(0.05)
      os.execute("kill -TERM " .. pid)
      assert(neap.wait(pipe, "r", 10 * helper.slow))
      assert.equal("ended with 0\n", pipe:read "a")
      pipe:close()
      assert.matches("%d+ packets, %d+ dropped by the kernel\n$", contents(out))
    end)
  end)

  it("says what it cannot do", function()
    for _, case in ipairs {
      { { "-x" }, "usage" }, { { "-c", "no" }, "-c is not a number" }, { { "-r", "/nowhere" }, "No such file" },
      { { "-i", "nosuch0" }, "packet.open nosuch0: " },
    } do
      local code, out, err = run(sniff(table.unpack(case[1])))
      assert.same({ 1, "" }, { code, out })
      assert.matches(case[2], err, 1, true)
      assert.matches("^sniff.lua: ", err)
    end
  end)
end)
