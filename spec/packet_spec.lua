--- Packet sockets in namespaces of our own: what they tell of a frame, filters,
-- rings, fanout, sending, interfaces that go away; scapy and tcpdump as peers.
local helper <const> = require "support.helper"
local netns <const> = require "support.netns"
local neap <const> = require "neap"
local packet <const> = require "neap.packet"
local probe <const> = require "probe"

local ETHERTYPE <const> = 0x88b5 -- IEEE 802, for local experiments
local RING <const> = { block_size = 1 << 16, blocks = 4, frame_timeout = 0.004 }
-- So many blocks that a slow writer, who sees none of them read, fills few.
local WIDE_RING <const> = { block_size = 4096, blocks = 256, frame_timeout = 0.004 }
local TO_ALL <const>, TO_GROUP <const> = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:07"
local TO_NOBODY <const> = "02:00:00:00:00:99"

if netns.usable() ~= true then -- said once, not of each test
  it("packet sockets", netns.need)
  return
end

-- A namespace with both ends of a wire, on which nobody else talks.
local lab, space
local macs <const> = {}

local function quiet(where, ...)
  for _, name in ipairs { ... } do where:sysctl(("ipv6/conf/%s/disable_ipv6"):format(name), 1) end
end

local function need_lab()
  if lab then return end
  lab = netns.lab():keep()
  space = lab:space()
  lab:link({ space, "left" }, { space, "right" })
  quiet(space, "left", "right")
  for _, name in ipairs { "left", "right" } do macs[name] = space:mac(name) end
end

teardown(function() if lab then lab:remove() end end)

-- An interface is up again, and its other end has noticed.
local function raise_up(name)
  space:up(name)
  helper.eventually(function() return space:run("ip -o link show " .. name):find "state UP" end)
end

-- A test in the namespace, in a task.
local function works(name, body, ...)
  local args <const> = table.pack(...)
  it(name, function()
    need_lab()
    space:inside(helper.in_task, body, table.unpack(args, 1, args.n))
  end)
end

local function open(interface, options)
  local o = { protocol = ETHERTYPE, timeout = 2 * helper.slow }
  for key, value in pairs(options or {}) do o[key] = value end
  return assert(packet.open(interface, o))
end

local function bytes(mac) return (mac:gsub("(%x%x):?", function(x) return string.char(tonumber(x, 16)) end)) end

-- A frame from left to right, or to another address.
local function frame(data, to, ethertype)
  return bytes(to or macs.right) .. bytes(macs.left) .. string.pack(">I2", ethertype or ETHERTYPE) .. data
end

-- The same with UDP in IPv4, to this port.
local function datagram(port, data)
  return frame(string.pack(">I2I2I4BBI2I4I4", 0x4500, 28 + #data, 0, 64, 17, 0, 0x0a000001, 0x0a000002)
    .. string.pack(">I2I2I2I2", 5000, port, 8 + #data, 0) .. data, nil, 0x0800)
end

local function payload(data) return data and data:sub(15) end

local function payloads(frames)
  local out = {}
  for i, data in ipairs(frames) do out[i] = payload(data) end
  return out
end

-- What comes within a moment.
local function all_of(sock)
  sock:settimeout(0.015 * helper.slow)
  local out = {}
  local frames = sock:receivemany(1024)
  while frames do
    table.move(frames, 1, #frames, #out + 1, out)
    frames = sock:receivemany(1024)
  end
  return out
end

-- Misuse is the caller's fault: of this file.
local function raises(text, fn, ...)
  local args <const> = table.pack(...)
  local err = assert.raises(text, function()
    local value = fn(table.unpack(args, 1, args.n))
    return value
  end)
  assert.matches("packet_spec%.lua:%d+: ", err)
end

local function waiting(task)
  helper.eventually(function() return task:status() == "waiting" end)
end

local function need_libpcap() helper.need(pcall(require, "neap.filtercore"), "needs libpcap (libpcap-dev)") end

-- A program that runs beside this one; ended, by its id, with the scope.
local function start(command)
  local pipe <const> = assert(io.popen(("echo $$; exec timeout -k 1 %d %s 2>&1"):format(20 * helper.slow, command)))
  pipe:setvbuf "no"
  local pid = assert(math.tointeger(tonumber(pipe:read "l")))
  return setmetatable({ pipe = pipe }, { __close = function()
    probe.kill(pid, probe.SIGTERM)
    pipe:close()
  end })
end

local function lua_path()
  return ("LUA_PATH=%s LUA_CPATH=%s"):format(helper.quote(package.path), helper.quote(package.cpath))
end

-- ---- opening ----

describe("opening a packet socket", function()
  works("by name, by number, and for all interfaces", function()
    local left <close> = open "left"
    for _, interface in ipairs { "right", space:index "right" } do
      local right <close> = open(interface)
      assert.equal("right", (right:getsockname()))
      assert.matches("^neap%.packet %(%d+%)$", tostring(right))
      assert(left:send(frame "hello"))
      assert.same({ frame "hello", "right" }, { right:receive() })
    end
    local every <close> = open(nil, { protocol = "all" })
    assert(left:send(frame "to whom it may concern"))
    local seen = {}
    for _ = 1, 2 do
      local data, info = every:receivemsg()
      assert.equal("to whom it may concern", payload(data))
      seen[info.interface] = info.type
    end
    assert.same({ left = "outgoing", right = "host" }, seen)
  end)

  works("takes only its interface's packets, and only its protocol's", function()
    local left <close> = open("left", { protocol = "all" })
    local other <close> = open("lo", { protocol = "all" })
    local arp <close> = open("right", { protocol = "arp" })
    local number <close> = open("right", { protocol = 0x0806 })
    local ip6 <close> = open("right", { protocol = "ip6" })
    local request = frame(("a"):rep(28), TO_ALL, 0x0806)
    assert(left:send(frame "no ARP")):send(request)
    assert.equal(request, (arp:receive()))
    assert.equal(request, (number:receive()))
    for _, sock in ipairs { other, arp, number, ip6 } do assert.fails("ETIMEDOUT", sock:settimeout(0.002):receive()) end
  end)

  works("with protocol 0 receives nothing, and sends", function()
    local left <close> = open("left", { protocol = 0 })
    local right <close> = open "right"
    local back <close> = open "right"
    assert(back:send(frame "unheard"))
    assert(left:send(frame "said"))
    assert.equal("said", payload(right:receive()))
    assert.fails("ETIMEDOUT", left:settimeout(0.005):receive())
  end)

  works("fails where there is no such interface", function()
    for _, interface in ipairs { "nosuch0", 99999 } do
      for _, o in ipairs { {}, { ring = RING, promiscuous = true } } do
        local value, why, code = packet.open(interface, o)
        assert.fails("ENODEV", value, why, code)
        assert.matches("^packet%.open " .. interface .. ": ", why)
      end
    end
  end)

  works("raises on what it does not know, and leaves no socket behind", function()
    local before = helper.count_fds()
    collectgarbage "stop"
    local again <close> = helper.defer(function() collectgarbage "restart" end)
    for _, case in ipairs {
      { { protocol = "ipp" }, "option 'protocol': unknown protocol 'ipp'" }, { { protocol = -1 }, "protocol" },
      { { protocol = 65536 }, "protocol" }, { { protocol = {} }, "protocol" }, { { cooked = 1 }, "cooked" },
      { { promiscuous = "yes" }, "promiscuous" }, { { outgoing = 0 }, "outgoing" }, { { snaplen = 0 }, "snaplen" },
      { { snaplen = 1 << 30 }, "snaplen" }, { { promisc = true }, "unknown option 'promisc'" },
      { { ring = 5 }, "ring" }, { { ring = { bloks = 4 } }, "unknown option 'bloks'" },
      { { ring = { blocks = 0 } }, "blocks" }, { { ring = { blocks = 1 << 40 } }, "blocks" },
      { { ring = { block_size = 1 << 31 } }, "block_size" }, { { ring = { block_size = 4096.5 } }, "block_size" },
      { { ring = { frame_timeout = -1 } }, "frame_timeout" }, { { ring = { frame_timeout = "x" } }, "frame_timeout" },
      { { fanout = true }, "fanout" }, { { fanout = {} }, "fanout" }, { { fanout = { group = 65536 } }, "fanout" },
      { { fanout = { group = 1, mode = "hsah" } }, "option 'fanout' must be" },
      { { fanout = { group = 1, flags = 65536 } }, "flags" }, { { fanout = { group = 1, flags = 6 } }, "flags" },
      { { fanout = { group = 1, mod = "lb" } }, "unknown option 'mod'" }, { 5, "bad argument #2" },
    } do
      raises(case[2], packet.open, "left", case[1])
    end
    for _, wrong in ipairs { "", ("x"):rep(16), "a\0b", 0, -1, 1.5, true } do
      raises("bad argument #1", packet.open, wrong)
    end
    raises("option 'promiscuous' needs an interface", packet.open, nil, { promiscuous = true })
    local n = 0
    for _ in pairs(helper.fds()) do n = n + 1 end
    assert.equal(before, n)
  end)

  works("has no peer, and is bound once and for all", function()
    local left <close> = open "left"
    assert.fails("EOPNOTSUPP", left:bind "right")
    assert.fails("EOPNOTSUPP", left:connect "right")
    assert.fails("EOPNOTSUPP", left:getpeername())
  end)

  works("without privilege is refused, and says what would help", function()
    helper.need_program "setpriv"
    local function nobody(code)
      local pipe = io.popen(("setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all "
        .. "env %s %s -e %s 2>&1"):format(lua_path(), helper.lua, helper.quote(code)))
      local out = pipe:read "a"
      return pipe:close(), out
    end
    helper.need((nobody "require 'neap.core'"), "needs a build that nobody can read")
    local _, out = nobody [[
      local _, why, code = require "neap.packet".open("left", { ring = true, promiscuous = true })
      print(code, why)
    ]]
    assert.matches("^EPERM\tpacket%.open left: ", out)
    assert.matches("CAP_NET_RAW", out, 1, true)
  end)
end)

-- ---- what is told, with a ring and without ----

for _, way in ipairs { { "a packet socket" }, { "a ring", RING } } do
  local name <const>, ring <const> = way[1], way[2]

  describe(name .. " tells", function()
    works("where a packet came from, and for whom it was", function()
      local left <close> = open("left")
      local right <close> = open("right", { ring = ring })
      for kind, to in pairs { host = macs.right, broadcast = TO_ALL, multicast = TO_GROUP, otherhost = TO_NOBODY } do
        assert(left:send(frame("x", to)))
        local data, info = right:receivemsg()
        assert.equal(frame("x", to), data)
        assert.same({ "right", space:index "right", ETHERTYPE, kind, macs.left, 1, 15 },
          { info.interface, info.ifindex, info.protocol, info.type, info.mac, info.hatype, info.length })
        assert.is_nil(info.truncated or info.vlan or info.vlan_tpid)
      end
    end)

    works("what is sent as outgoing, unless that is not wanted", function()
      local left <close> = open("left", { protocol = "all", ring = ring })
      local deaf <close> = open("left", { protocol = "all", ring = ring, outgoing = false })
      local right <close> = open "right"
      local sender <close> = open("left", { protocol = 0 })
      assert(right:send(frame("in", macs.left)))
      assert(sender:send(frame "out"))
      local seen = {}
      for _ = 1, 2 do
        local data, info = left:receivemsg()
        seen[payload(data)] = info.type
      end
      assert.same({ ["in"] = "host", out = "outgoing" }, seen)
      assert.same({ "in" }, payloads(all_of(deaf)))
    end)

    works("without the header, if it is cooked, what was in it", function()
      local left <close> = open("left")
      local right <close> = open("right", { cooked = true, ring = ring })
      assert(left:send(frame "what is in it"))
      assert.same({ "what is in it", "right", macs.left, ETHERTYPE }, { right:receive() })
      assert(left:send(frame("once more", TO_ALL)))
      local data, info = right:receivemsg()
      assert.equal("once more", data)
      assert.same({ "right", macs.left, ETHERTYPE, "broadcast", 9 },
        { info.interface, info.mac, info.protocol, info.type, info.length })
      assert.equal(2, left:sendmany { frame "1", frame "2" })
      local datas, interfaces, addresses, protocols = right:receivemany(2)
      local more = #datas == 1 and right:receive() or datas[2]
      assert.same({ "1", "2" }, { datas[1], more })
      assert.same({ "right", macs.left, ETHERTYPE }, { interfaces[1], addresses[1], protocols[1] })
    end)

    works("the true length of what snaplen or max cuts", function()
      local left <close> = open("left")
      local right <close> = open("right", { snaplen = 40, ring = ring })
      local long = frame(("abcdefghij"):rep(10))
      assert(left:send(long))
      local data, info = right:receivemsg()
      assert.same({ long:sub(1, 40), 114, true }, { data, info.length, info.truncated })
      assert(left:send(long))
      data, info = right:receivemsg(20)
      assert.same({ long:sub(1, 20), 114, true }, { data, info.length, info.truncated })
      assert(left:send(frame "short"))
      data, info = right:receivemsg()
      assert.same({ frame "short", 19 }, { data, info.length })
      assert.is_nil(info.truncated)
      assert(left:send(long))
      assert.equal(long:sub(1, 40), (right:receive()))
      assert(left:send(long))
      assert.equal(long:sub(1, 40), right:receivemany()[1])
    end)

    works("of what is longer than its room, how long it was", function()
      local left <close> = open("left")
      local right <close> = open("right", { maxmessage = 50, ring = ring })
      assert.equal(2, left:sendmany { frame(("x"):rep(100)), frame "short" })
      local value, why, code, length = right:receive()
      assert.fails("EMSGSIZE", value, why, code)
      assert.equal(114, length)
      assert.equal("short", payload(right:receive()))
      assert.equal(2, left:sendmany { frame(("x"):rep(100)), frame "next" })
      assert.same({ "next" }, payloads(right:receivemany()))
      assert.same({ 4, 265, 0, 0, 2 }, { right:counters() })
      assert(left:send(frame "long enough"))
      assert.fails("EMSGSIZE", right:receive(10))
    end)

    works("when it came", function()
      local left <close> = open("left")
      local right <close> = open("right", { timestamps = true, ring = ring })
      local last = 0
      for _ = 1, 3 do
        assert(left:send(frame "x"))
        local _, info = right:receivemsg()
        assert.equal("integer", math.type(info.timestamp))
        assert.is_true(math.abs(info.timestamp / 1e9 - os.time()) < 3)
        assert.is_true(info.timestamp >= last)
        last = info.timestamp
      end
    end)

    works("a VLAN tag, which is out of the frame then", function()
      local left <close> = open("left", { protocol = "all" })
      local right <close> = open("right", { protocol = "all", ring = ring })
      for _, case in ipairs { { 0x8100, 7 }, { 0x88a8, 4094 }, { 0x8100, 0xa007 }, { 0x8100, 0 } } do
        local tag = string.pack(">I2I2", case[1], case[2])
        assert(left:send(frame("tagged"):sub(1, 12) .. tag .. frame("tagged"):sub(13)))
        local data, info = right:receivemsg()
        assert.same({ case[2], case[1], "host" }, { info.vlan, info.vlan_tpid, info.type })
        assert.same({ frame "tagged", ETHERTYPE, 20 }, { data, info.protocol, info.length })
      end
      assert(left:send(frame "none"))
      local _, info = right:receivemsg()
      assert.is_nil(info.vlan)
      assert.is_nil(info.vlan_tpid)
    end)

    works("to a tap what comes and goes", function()
      local left <close> = open("left")
      local right <close> = open("right", { ring = ring })
      local seen = {}
      local function tap(...) seen[#seen + 1] = { ... } end
      assert(left:settap(tap))
      assert(right:settap(tap))
      assert(left:send(frame "1"))
      assert(left:sendto(frame "2", "left"))
      right:receive()
      right:receivemsg()
      assert.same({ { "out", frame "1" }, { "out", frame "2", "left" }, { "in", frame "1", "right" },
        { "in", frame "2", "right" } }, seen)
      right:settap(function() right:close() end)
      assert.equal(2, left:sendmany { frame "3", frame "4" })
      assert.same({ "3" }, payloads(right:receivemany()))
      assert.is_false(right:isopen())
    end)
  end)

  -- ---- waiting ----

  describe(name .. " waits", function()
    works("until its time is up, each way", function()
      local right <close> = open("right", { ring = ring, timeout = 0.02 })
      for _, method in ipairs { "receive", "receivemsg", "receivemany" } do
        local value, why, code = assert.takes(0.015, 0.3, right[method], right)
        assert.fails("ETIMEDOUT", value, why, code)
        assert.matches(method .. " at right", why, 1, true)
      end
      assert.equal(nil, (neap.timeout(0.01, function() return right:settimeout(nil):receive() end)))
    end)

    works("in many tasks, each of which has whole frames in turn", function()
      local left <close> = open("left")
      local right <close> = open("right", { ring = ring })
      local readers = {}
      for i = 1, 4 do
        readers[i] = neap.spawn(function() return payload(right:receive()) end)
        waiting(readers[i])
      end
      assert.equal(4, left:sendmany { frame "1", frame "2", frame "3", frame "4" })
      for i = 1, 4 do assert.equal(tostring(i), (readers[i]:join())) end
    end)

    works("and lets go when it is closed, or the task is cancelled", function()
      local left <close> = open("left")
      local right = open("right", { ring = ring })
      local gone = neap.spawn(function() right:receive() end)
      waiting(gone)
      gone:cancel()
      assert.fails("ECANCELED", gone:join())
      assert(left:send(frame "not lost"))
      assert.equal("not lost", payload(right:receive()))
      local tasks = {}
      for i, method in ipairs { "receive", "receivemsg", "receivemany" } do
        tasks[i] = neap.spawn(function() return right[method](right) end)
        waiting(tasks[i])
      end
      local loop = neap.spawn(function()
        local n = 0
        for _ in right:messages() do n = n + 1 end
        return n
      end)
      waiting(loop)
      assert.is_true(right:close())
      for _, task in ipairs(tasks) do assert.fails("ECLOSED", task:join()) end
      assert.equal(0, loop:join())
      assert.fails("ECLOSED", right:receive())
      assert.fails("ECLOSED", right:statistics())
    end)

    works("in a loop over its messages", function()
      local left <close> = open("left")
      local right <close> = open("right", { ring = ring, maxmessage = 60 })
      assert.equal(4, left:sendmany { frame "one", frame(("x"):rep(100)), frame "two", frame "stop" })
      local seen = {}
      for data, interface in right:messages() do
        assert.equal("right", interface)
        seen[#seen + 1] = payload(data)
        if seen[#seen] == "stop" then right:close() end
      end
      assert.same({ "one", "two", "stop" }, seen)
    end)

    works("through a fall of its interface, which it tells once", function()
      local left <close> = open("left")
      local right <close> = open("right", { ring = ring })
      local up <close> = helper.defer(function() raise_up "right" end)
      local reader = neap.spawn(function() return right:receive() end)
      waiting(reader)
      space:down "right"
      local value, why, code = reader:join()
      assert.fails("ENETDOWN", value, why, code)
      assert.matches("^receive at right", why)
      assert.fails("ENETDOWN", right:sendto(frame "x", "right"))
      assert.fails("ETIMEDOUT", right:settimeout(0.01):receive())
      raise_up "right"
      assert(left:send(frame "again"))
      assert.equal("again", payload(right:settimeout(2 * helper.slow):receive()))
    end)

    works("until its interface is no more", function()
      local own <close> = netns.lab()
      local there = own:space()
      own:link({ there, "here" }, { there, "gone" })
      quiet(there, "here", "gone")
      there:inside(function()
        neap.run(function()
          local sock <close> = open("gone", { ring = ring })
          local reader = neap.spawn(function() return sock:receivemany() end)
          waiting(reader)
          there:run "ip link del gone"
          assert.fails("ENETDOWN", reader:join())
          assert.fails("ETIMEDOUT", sock:settimeout(0.01):receive())
          local value, why, code = sock:send(frame "x")
          assert.is_nil(value, why)
          assert.is_true(code == "ENXIO" or code == "ENODEV", code)
          assert.fails("ENODEV", sock:sendto(frame "x", "gone"))
        end)
      end)
    end)
  end)

  -- ---- filters ----

  describe(name .. " with a filter", function()
    works("in tcpdump's language takes what it says", function()
      need_libpcap()
      local left <close> = open("left", { protocol = "all" })
      local right <close> = open("right", { protocol = "all", ring = ring, filter = "udp dst port 7 and less 100" })
      local cooked <close> = open("right", { protocol = "all", ring = ring, filter = "udp dst port 8", cooked = true })
      for _, data in ipairs { datagram(7, "yes"), datagram(8, "no"), frame "no", datagram(7, ("x"):rep(80)),
        datagram(7, "yes, too") } do
        assert(left:send(data))
      end
      assert.same({ datagram(7, "yes"), datagram(7, "yes, too") }, all_of(right))
      assert.same({ datagram(8, "no"):sub(15) }, all_of(cooked))
    end)

    works("cuts to snaplen what it takes", function()
      need_libpcap()
      local left <close> = open("left", { protocol = "all" })
      local right <close> = open("right", { protocol = "all", ring = ring, filter = "udp port 7", snaplen = 44 })
      assert(left:send(datagram(7, "four and more")))
      local data, info = right:receivemsg()
      assert.same({ datagram(7, "four and more"):sub(1, 44), 55, true }, { data, info.length, info.truncated })
    end)

    works("as a program, that is changed and taken away", function()
      local left <close> = open "left"
      local function first(byte)
        return { { 0x30, 0, 0, 14 }, { 0x15, 0, 1, byte:byte() }, { 6, 0, 0, 65535 }, { 6, 0, 0, 0 } }
      end
      local right <close> = open("right", { ring = ring, filter = first "x" })
      assert.equal(2, left:sendmany { frame "no", frame "xyz" })
      assert.equal("xyz", payload(right:receive()))
      assert.equal(right, right:attachfilter(first "n"))
      assert.equal(2, left:sendmany { frame "no", frame "xyz" })
      assert.equal("no", payload(right:receive()))
      assert.equal(right, right:detachfilter())
      assert.fails("ENOENT", right:detachfilter())
      assert(left:send(frame "all"))
      assert.equal("all", payload(right:receive()))
    end)

    works("lets nothing in from before it was there", function()
      need_libpcap()
      local script = helper.tmpname()
      local file = assert(io.open(script, "w"))
      file:write(([[
        local sock = require "neap.packet".open("left", { protocol = 0 })
        local frames = {}
        for i = 1, 64 do frames[i] = %q end
        print "talks"
        io.stdout:flush()
        while sock:sendmany(frames) do end
      ]]):format(datagram(9, "not for you")))
      file:close()
      local talker <close> = start(("env %s %s %s"):format(lua_path(), helper.lua, script))
      assert.equal("talks", talker.pipe:read "l")
      for _, o in ipairs { { promiscuous = true }, { fanout = { group = 77 } } } do
        o.protocol, o.ring, o.filter, o.timeout = "all", ring, "udp dst port 7", 0.002
        for _ = 1, 2 do
          local sock <close> = open("right", o)
          assert.fails("ETIMEDOUT", sock:receive())
        end
      end
      local sock <close> = open("right", { protocol = "all", ring = ring }) -- there was some
      assert.is_truthy(sock:receive())
    end)
  end)

  describe(name .. " counts", function()
    works("the packets since it was last asked", function()
      local left <close> = open("left")
      local right <close> = open("right", { ring = ring })
      assert.equal(3, left:sendmany { frame "1", frame "2", frame "3" })
      assert.same({ packets = 3, drops = 0, freezes = 0 }, right:statistics())
      assert.same({ packets = 0, drops = 0, freezes = 0 }, right:statistics())
      assert(right:receive())
    end)
  end)
end

describe("a filter for packets", function()
  works("that is wrong raises, or says where", function()
    need_libpcap()
    local before = helper.count_fds()
    local long = {}
    for i = 1, 4097 do long[i] = { 6, 0, 0, 1 } end
    for _, case in ipairs {
      { long, "1 to 4096 instructions" }, { {}, "1 to 4096 instructions" }, { { { 6, 0, 0 } }, "instruction 0: k" },
      { { 6 }, "instruction 0" }, { { { 0x15, 9, 9, 0 }, { 6, 0, 0, 0 } }, "jumps beyond the end" },
      { { { 0xffff, 0, 0, 0 } }, "no such code" }, { { { 0x30, 0, 0, 0 } }, "must be a ret" }, { true, "a filter" },
      { "ip\0udp", "NUL" }, { -1, "filter" }, { 1 << 40, "filter" },
    } do
      raises(case[2], packet.open, "left", { filter = case[1] })
      raises("option 'filter'", packet.open, "left", { filter = case[1] })
    end
    for _, text in ipairs { "udp prot 7", "ether host", ("("):rep(20000) } do
      local value, why, code = packet.open("left", { filter = text })
      assert.fails("EINVAL", value, why, code)
      assert.matches("packet.open left: filter: ", why, 1, true)
    end
    assert.fails("EBADF", packet.open("left", { filter = 9999 }))
    local most = {}
    for i = 1, 4096 do most[i] = { 6, 0, 0, 65535 } end
    local right <close> = open("right", { filter = most })
    local left <close> = open "left"
    assert(left:send(frame "x"))
    assert.equal("x", payload(right:receive()))
    left:close()
    right:close()
    assert.equal(before, helper.count_fds())
  end)

  works("from text that becomes too long is refused", function()
    need_libpcap()
    local words = {}
    for i = 1, 300 do words[i] = ("host ::%x"):format(i) end
    local value, why, code = packet.open("left", { filter = table.concat(words, " or ") })
    assert.fails("EINVAL", value, why, code)
    assert.matches("packet.open left: filter: ", why, 1, true)
  end)
end)

-- ---- dropping ----

describe("a packet socket that nobody reads", function()
  works("tells what it dropped for want of room", function()
    local left <close> = open("left", { protocol = 0 })
    local right <close> = open("right", { rcvbuf = 4096 })
    local frames = {}
    for i = 1, 100 do frames[i] = frame(("x"):rep(1000) .. i) end
    assert.equal(100, left:sendmany(frames))
    local kept = #all_of(right)
    assert.is_true(kept > 0 and kept < 100, kept)
    assert.same({ packets = 100, drops = 100 - kept, freezes = 0 }, right:statistics())
    assert(left:send(frame "there is room again"))
    assert.equal("there is room again", payload(right:receive()))
    assert.same({ packets = 1, drops = 0, freezes = 0 }, right:statistics())
  end)
end)

describe("a ring that nobody reads", function()
  works("keeps the first of 20,000, in their order, and tells of the others", function()
    local left <close> = open("left", { protocol = 0 })
    local right <close> = open("right", { ring = RING })
    local reader = neap.spawn(function()
      neap.sleep(0.05)
      return right:receive()
    end)
    for from = 1, 20000, 1000 do
      local frames = {}
      for i = from, from + 999 do frames[i - from + 1] = frame(tostring(i)) end
      assert.equal(1000, left:sendmany(frames))
    end
    assert.equal("1", payload(reader:join()))
    local kept = all_of(right)
    for i, data in ipairs(kept) do
      if payload(data) ~= tostring(i + 1) then assert.equal(tostring(i + 1), payload(data)) end
    end
    local stats = right:statistics()
    assert.equal(20000, stats.packets)
    assert.equal(20000, stats.drops + #kept + 1)
    assert.is_true(#kept > 100 and stats.drops > 1000)
    assert.is_true(stats.freezes > 0)
    for i = 1, 12 do -- once round and further
      assert.equal(20, left:sendmany((function()
        local frames = {}
        for k = 1, 20 do frames[k] = frame(("%d/%d"):format(i, k)) end
        return frames
      end)()))
      local got = {}
      while #got < 20 do
        local more = assert(right:settimeout(2 * helper.slow):receivemany(20 - #got))
        table.move(more, 1, #more, #got + 1, got)
      end
      assert.equal(("%d/1"):format(i), payload(got[1]))
      assert.equal(("%d/20"):format(i), payload(got[20]))
    end
    assert.same({ packets = 240, drops = 0, freezes = 0 }, right:statistics())
  end)
end)

describe("a ring", function()
  works("of default sizes, and of the least", function()
    local left <close> = open "left"
    for _, ring in ipairs { true, {}, { block_size = 4096, blocks = 1 }, { blocks = 2, frame_timeout = 0 },
      { frame_timeout = 1e300, block_size = 4096, blocks = 2 } } do
      local right <close> = open("right", { ring = ring })
      local frames = {}
      for i = 1, 8 do frames[i] = frame(("x"):rep(1000)) end -- more than 4096
      assert.equal(8, left:sendmany(frames))
      assert.equal(frames[1], (right:receive()))
    end
    local none <close> = open("right", { ring = false })
    assert(left:send(frame "x"))
    assert.is_nil(select(2, none:receivemsg()).timestamp)
  end)

  works("of wrong sizes is refused", function()
    for _, ring in ipairs { { block_size = 5000 }, { block_size = 1 }, { block_size = 1 << 29, blocks = 1 << 20 },
      { blocks = (1 << 30) - 1 } } do
      local value, why, code = packet.open("left", { ring = ring })
      assert.fails("EINVAL", value, why, code)
      assert.matches("^packet%.open left: ring: ", why)
    end
  end)

  works("wakes its reader when a block is full, however long its time", function()
    local left <close> = open "left"
    local right <close> = open("right", { ring = { block_size = 4096, blocks = 8, frame_timeout = 5 }, timeout = 0.02 })
    assert(left:send(frame "alone"))
    assert.fails("ETIMEDOUT", right:receive())
    local frames = {}
    for i = 1, 10 do frames[i] = frame(("x"):rep(900)) end
    assert.equal(10, left:sendmany(frames))
    assert.equal("alone", payload(right:settimeout(2):receive()))
  end)

  works("is taken many at a time, over its blocks, into the same tables", function()
    local left <close> = open("left")
    local right <close> = open("right", { ring = WIDE_RING })
    local frames = {}
    for i = 1, 500 do frames[i] = frame(("%04d"):format(i) .. ("x"):rep(i)) end
    assert.equal(500, left:sendmany(frames))
    local got, datas, interfaces = {}, {}, {}
    while #got < 500 do
      assert.equal(datas, (right:receivemany(70, datas, interfaces)))
      assert.is_true(#datas <= 70)
      assert.equal(#datas, #interfaces)
      table.move(datas, 1, #datas, #got + 1, got)
    end
    assert.same(frames, got)
    assert.same({ 500, 500 * 18 + 500 * 501 // 2, 0, 0, 0 }, { right:counters() })
  end)

  works("is read in all its ways in turn, while it is filled", function()
    local left <close> = open("left")
    local right <close> = open("right", { ring = WIDE_RING })
    local total = helper.slow > 1 and 400 or 2000
    local writer = neap.spawn(function()
      for i = 1, total do
        assert(left:send(frame(tostring(i))))
        if i % 100 == 0 then neap.sleep(0.001) end
      end
    end)
    local i = 0
    local function expect(data)
      i = i + 1
      if payload(data) ~= tostring(i) then assert.equal(tostring(i), payload(data)) end
    end
    while i < total do
      expect(assert(right:receive()))
      if i < total then expect((assert(right:receivemsg()))) end
      if i < total then
        for _, data in ipairs(assert(right:receivemany(7))) do expect(data) end
      end
    end
    writer:join()
    assert.equal(0, right:statistics().drops)
  end)

  works("cannot be given away", function()
    local right <close> = open("right", { ring = RING })
    assert.fails("EBUSY", right:detach())
    assert.is_true(right:isopen())
  end)

  works("is collected with its mapping", function()
    local function mapped()
      local file <close> = assert(io.open "/proc/self/maps")
      local _, n = file:read("a"):gsub("socket:", "")
      return n
    end
    local before = mapped()
    for _ = 1, 3 do open("right", { ring = RING }) end
    local fourth = open("right", { ring = RING })
    assert.is_true(mapped() > before)
    fourth:close()
    fourth:close()
    helper.count_fds()
    assert.equal(before, mapped())
  end)
end)

-- ---- promiscuous ----

describe("a promiscuous socket", function()
  -- A bridge takes up only what is for itself.
  works("sees what is for others, as no other does", function()
    local own <close> = netns.lab()
    local there = own:space()
    own:link({ there, "here" }, { there, "port" })
    helper.veths = helper.veths + 2
    local make = ("ip link add bridge index %d type bridge"):format(helper.veths)
    helper.need((pcall(there.run, there, make)), "needs bridges")
    quiet(there, "here", "port", "bridge")
    there:run "ip link set port master bridge; ip link set bridge up"
    local up = there:mac "bridge"
    there:inside(function()
      neap.run(function()
        local here <close> = open("here")
        local plain <close> = open "bridge"
        local function say(data, to) assert(here:send(frame(data, to))) end
        helper.eventually(function() -- the port forwards
          say("ready", up)
          return plain:settimeout(0.005):receive()
        end)
        all_of(plain)
        say("unseen", TO_NOBODY)
        say("seen", up)
        assert.same({ "seen" }, payloads(all_of(plain)))
        do
          local all <close> = open("bridge", { promiscuous = true })
          assert.matches("promiscuity 1", there:run "ip -d link show bridge", 1, true)
          say("for others", TO_NOBODY)
          local data, info = all:receivemsg()
          assert.same({ "for others", "otherhost" }, { payload(data), info.type })
        end
        assert.matches("promiscuity 0", there:run "ip -d link show bridge", 1, true)
      end)
    end)
  end)
end)

-- ---- fanout ----

describe("sockets of a fanout group", function()
  for _, ring in ipairs { false, WIDE_RING } do
    local with = ring and ", with rings" or ""
    works("get each packet once, one after the other" .. with, function()
      local left <close> = open "left"
      local share = { ring = ring, fanout = { group = 501, mode = "lb" } }
      local first <close> = open("right", share)
      local second <close> = open("right", share)
      for i = 1, 10 do assert(left:send(frame(tostring(i)))) end
      local a, b = payloads(all_of(first)), payloads(all_of(second))
      assert.same({ 5, 5 }, { #a, #b })
      local seen = {}
      for _, list in ipairs { a, b } do
        for _, data in ipairs(list) do
          assert.is_nil(seen[data])
          seen[data] = true
        end
      end
    end)

    works("get a connection each, by its hash" .. with, function()
      local left <close> = open("left", { protocol = 0 })
      local share = { protocol = "ip", ring = ring, fanout = { group = 502 } }
      local first <close> = open("right", share)
      local second <close> = open("right", share)
      for port = 1, 64 do
        assert.equal(2, left:sendmany { datagram(port, "one"), datagram(port, "two") })
      end
      local a, b = all_of(first), all_of(second)
      assert.equal(128, #a + #b)
      assert.is_true(#a > 0 and #b > 0)
      local owner = {}
      for who, list in ipairs { a, b } do
        for _, data in ipairs(list) do
          local port = string.unpack(">I2", data, 37)
          assert.is_true(owner[port] == nil or owner[port] == who)
          owner[port] = who
        end
      end
    end)
  end

  works("are all of one mode", function()
    local first <close> = open("right", { fanout = { group = 503, mode = "lb" } })
    local value, why, code = packet.open("right", { protocol = ETHERTYPE, fanout = { group = 503, mode = "hash" } })
    assert.fails("EINVAL", value, why, code)
    assert.matches("^packet%.open right: fanout: ", why)
    for i, mode in ipairs { "hash", "lb", "cpu", "rollover", "random", "queue" } do
      local sock <close> = open("right", { fanout = { group = 510 + i, mode = mode, flags = 0x8000 } })
      assert.equal("right", (sock:getsockname()))
    end
  end)
end)

-- ---- sending ----

describe("sending packets", function()
  works("by the interface of the socket, or any", function()
    local left <close> = open("left")
    local every <close> = open()
    local right <close> = open "right"
    assert.equal(left, left:send(frame "send"))
    assert.equal(every, every:sendto(frame "by name", "left"))
    assert.equal(every, every:sendto(frame "by number", space:index "left"))
    assert.equal(every, every:sendmsg(frame "with fields", { interface = "left" }))
    assert.equal(left, left:sendmsg(frame "without", {}))
    assert.equal(2, every:sendmany({ frame "many", frame "more" }, "left"))
    local value, why, code = every:send(frame "whither?")
    assert.is_nil(value)
    assert.is_string(why)
    assert.is_true(code == "EDESTADDRREQ" or code == "ENXIO" or code == "ENOTCONN", code)
    assert.same({ "send", "by name", "by number", "with fields", "without", "many", "more" }, payloads(all_of(right)))
    assert.same({ 2, 18 + 21, 0 }, { select(3, left:counters()) })
  end)

  works("whose header the kernel makes", function()
    local left <close> = open("left", { cooked = true })
    local right <close> = open("right", { protocol = "all" })
    assert(left:sendto("the socket's protocol", "left", macs.right))
    assert.equal(frame "the socket's protocol", (right:receive()))
    assert(left:sendto("another", "left", TO_ALL:upper(), 0x88b6))
    assert.equal(frame("another", TO_ALL, 0x88b6), (right:receive()))
    assert(left:sendmsg("fields", { interface = "left", mac = macs.right, protocol = 0x88b6 }))
    assert.equal(frame("fields", nil, 0x88b6), (right:receive()))
    assert.equal(2, left:sendmany({ "a", "b" }, "left", { TO_ALL, macs.right }, 0x88b6))
    assert.equal(frame("a", TO_ALL, 0x88b6), (right:receive()))
    assert.equal(frame("b", nil, 0x88b6), (right:receive()))
  end)

  works("that are too long or too short", function()
    local left <close> = open("left")
    local right <close> = open "right"
    local longest = frame(("x"):rep(1500))
    assert(left:send(longest))
    assert.equal(longest, (right:receive()))
    local value, why, code = left:send(frame(("x"):rep(1600)))
    assert.fails("EMSGSIZE", value, why, code)
    assert.matches("^send at left", why)
    value, why, code = left:sendto(frame(("x"):rep(1600)), "left")
    assert.fails("EMSGSIZE", value, why, code)
    assert.matches("^sendto left", why)
    for _, short in ipairs { "", "x", ("x"):rep(13) } do assert.fails("EINVAL", left:send(short)) end
    local n
    value, why, code, n = left:sendmany { frame "1", "short", frame "3" }
    assert.fails("EINVAL", value, why, code)
    assert.equal(1, n)
    assert.same({ "1" }, payloads(all_of(right)))
    assert.same({ 2, 1514 + 15, 0 }, { select(3, left:counters()) })
  end)

  works("to an interface that is down, or is not", function()
    local left <close> = open("left")
    local every <close> = open()
    local up <close> = helper.defer(function() raise_up "left" end)
    space:down "left"
    assert.fails("ENETDOWN", every:sendto(frame "x", "left"))
    assert.fails("ENODEV", every:sendto(frame "x", "nosuch0"))
    assert.fails("ENETDOWN", left:receive())
    local down <close> = packet.open("left", { protocol = ETHERTYPE, timeout = 1 })
    if down then assert.fails("ENETDOWN", down:receive()) end
    assert.fails("ENETDOWN", left:send(frame "x"))
  end)

  works("to what is no address raises", function()
    local left <close> = open("left")
    local cooked <close> = open("left", { cooked = true })
    for _, wrong in ipairs { "", true, {}, -1, 1.5, 0 } do
      raises("bad argument #2", function() left:sendto(frame "x", wrong) end)
    end
    raises("bad argument", function() left:sendto(frame "x") end)
    for _, wrong in ipairs { "", "nonsense", "00:11:22:33:44", "00:11:22:33:44:5g", 5, "00-11-22-33-44-55" } do
      if wrong ~= "00:11:22:33:44" then -- a short one is one of another kind of link
        raises("bad argument #3", function() cooked:sendto("x", "left", wrong) end)
      end
    end
    for _, wrong in ipairs { -1, 65536, "ip!", 1.5 } do
      raises("bad argument #4", function() cooked:sendto("x", "left", macs.right, wrong) end)
    end
    for _, info in ipairs { { ttl = 5 }, { ip = "10.0.0.1" }, { mac = "x", interface = "left" } } do
      assert.is_false((pcall(cooked.sendmsg, cooked, "x", info)))
    end
  end)
end)

-- ---- peers ----

describe("beside other programs", function()
  works("a frame of scapy's arrives byte for byte", function()
    local python
    for _, name in ipairs { "/usr/bin/python3", "python3" } do
      if os.execute(("%s -c 'import scapy' >/dev/null 2>&1"):format(name)) then python = name break end
    end
    helper.need(python, "needs scapy (python3-scapy)")
    local plain <close> = open("right", { protocol = "all" })
    local ring <close> = open("right", { protocol = "all", ring = RING })
    local out = space:run(("%s -c %s"):format(python, helper.quote(([[
import logging
logging.disable(50)
from scapy.layers.l2 import Ether
from scapy.layers.inet import IP, UDP
f = bytes(Ether(src="%s", dst="%s") / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=5, dport=7) / (b"scapy" * 20))
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("left", 0))
s.send(f)
print(f.hex())
]]):format(macs.left, macs.right))))
    local sent = out:match "(%x+)%s*$":gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)
    assert.equal(142, #sent)
    assert.equal(sent, (plain:receive()))
    assert.equal(sent, (ring:receive()))
  end)

  works("tcpdump sees ours", function()
    helper.need_program "tcpdump"
    local left <close> = open "left"
    local dump <close> = start "tcpdump -Z root -l -n -e -x -c 2 -i right ether proto 0x88b5"
    repeat
      local line = assert(dump.pipe:read "l")
    until line:find "listening on right"
    assert(left:send(frame "\xca\xfe"))
    assert(left:send(frame("\xba\xbe", TO_ALL)))
    local text = ""
    repeat
      assert(neap.wait(dump.pipe, "r", 5 * helper.slow))
      local line = dump.pipe:read "l"
      text = text .. (line or "") .. "\n"
    until not line or line:find "captured"
    assert.matches(("%s > %s, ethertype Unknown (0x88b5), length 16"):format(macs.left, macs.right), text, 1, true)
    assert.matches("cafe", text)
    assert.matches(macs.left .. " > Broadcast,.*babe", (text:gsub(TO_ALL, "Broadcast")))
  end)
end)
