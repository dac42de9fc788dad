--- neap.tun: interfaces of our own, in network namespaces. The system itself is
-- the peer: it answers pings, asks for addresses, routes.
local helper <const> = require "support.helper"
local netns <const> = require "support.netns"
local neap <const> = require "neap"
local probe <const> = require "probe"
local tun <const> = require "neap.tun"
local udp <const> = require "neap.udp"

local in_task <const> = helper.in_task

local function need()
  netns.need()
  local device = io.open("/dev/net/tun", "r+")
  helper.need(device, "needs /dev/net/tun")
  device:close()
end

-- In a task, with a namespace that has no IPv6 unless it is asked for.
local function with_space(body, six)
  need()
  in_task(function()
    local lab <close> = netns.lab()
    local space = lab:space()
    if not six then
      for _, which in ipairs { "default", "all" } do space:sysctl(("ipv6/conf/%s/disable_ipv6"):format(which), 1) end
    end
    body(space, lab)
  end)
end

local function open(space, ...)
  local device, name = space:inside(tun.open, ...)
  assert(device, name)
  return device, name
end

local function fails(code, ok, why, got)
  assert.is_nil(ok)
  assert.equal("string", type(why))
  assert.equal(code, got, why)
end

-- ---- packets, by hand ----

local function checksum(bytes)
  local sum = 0
  if #bytes % 2 == 1 then bytes = bytes .. "\0" end
  for i = 1, #bytes, 2 do sum = sum + string.unpack(">I2", bytes, i) end
  while sum > 0xffff do sum = (sum & 0xffff) + (sum >> 16) end
  return ~sum & 0xffff
end

local function ip4(text) return string.char(text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$") end

local function ping(from, to, seq, data)
  local icmp = string.pack(">BBI2I2I2", 8, 0, 0, 7, seq) .. (data or "")
  icmp = icmp:sub(1, 2) .. string.pack(">I2", checksum(icmp)) .. icmp:sub(5)
  local head = string.pack(">BBI2I2I2BBI2", 0x45, 0, 20 + #icmp, 1, 0, 64, 1, 0) .. ip4(from) .. ip4(to)
  return head:sub(1, 10) .. string.pack(">I2", checksum(head)) .. head:sub(13) .. icmp
end

local function is_reply(packet, seq)
  return packet:byte(10) == 1 and packet:byte(21) == 0 and string.unpack(">I2", packet, 27) == seq
end

-- What neap.interfaces says of one, in its namespace.
local function interface(space, name)
  for _, one in ipairs(assert(space:inside(neap.interfaces))) do
    if one.name == name then return one end
  end
end

local function address(space, name, ip)
  for _, one in ipairs(interface(space, name).addresses) do
    if one.ip == ip then return one end
  end
end

describe("tun.open", function()
  it("makes an interface that goes with its socket", function()
    with_space(function(space)
      local device, name = open(space)
      assert.equal("tun0", name)
      assert.matches("^neap%.tun %(%d+%)$", tostring(device))
      assert.equal("tun", device:kind())
      assert.is_true(interface(space, name).flags.UP)
      assert.is_true(interface(space, name).flags.POINTOPOINT)
      assert.is_true(device:close())
      assert.is_nil(interface(space, name))
      assert.equal("neap.tun (closed)", tostring(device))
      fails("ECLOSED", device:receive())
    end)
  end)

  it("takes a name, or a number that is free", function()
    with_space(function(space)
      local mine <close>, a = open(space, "mine", { up = false })
      local first, b = open(space, "vpn%d")
      local second, c = open(space, "vpn%d")
      assert.same({ "mine", "vpn0", "vpn1" }, { a, b, c })
      assert.is_nil(interface(space, "mine").flags.UP)
      first:close()
      second:close()
    end)
  end)

  it("gives addresses, an MTU, and brings it up", function()
    with_space(function(space)
      local device <close>, name = open(space, nil, { address = "10.1.0.1/24", mtu = 1300 })
      assert.equal(1300, interface(space, name).mtu)
      assert.equal(24, address(space, name, "10.1.0.1").prefix)
      local point <close>, other = open(space, nil, { address = "10.2.0.1", peer = "10.2.0.9" })
      assert.equal(32, address(space, other, "10.2.0.1").prefix)
      assert.equal("10.2.0.9", address(space, other, "10.2.0.1").peer)
      local wide <close>, third = open(space, nil, { address = "10.3.0.1/24", peer = "10.3.0.9" })
      assert.equal(24, address(space, third, "10.3.0.1").prefix)
      assert.equal("10.3.0.9", address(space, third, "10.3.0.1").peer)
    end)
  end)

  it("gives addresses of both families", function()
    helper.need_ipv6()
    with_space(function(space)
      local device <close>, name = open(space, nil, { address = { "10.1.0.1/24", "fd01::1/64", "fd02::1" } })
      assert.equal(24, address(space, name, "10.1.0.1").prefix)
      assert.equal(64, address(space, name, "fd01::1").prefix)
      assert.equal(128, address(space, name, "fd02::1").prefix)
    end, true)
  end)

  it("fails where it cannot be, and leaves nothing", function()
    with_space(function(space)
      local device <close>, name = open(space, "taken")
      local before = helper.count_fds()
      fails("EBUSY", space:inside(tun.open, name))
      fails("EINVAL", space:inside(tun.open, name, { mode = "tap" }))
      fails("EINVAL", space:inside(tun.open, "a/b"))
      fails("EINVAL", space:inside(tun.open, "lo"))
      fails("EINVAL", space:inside(tun.open, "small", { mtu = 1 }))
      fails("EINVAL", space:inside(tun.open, "small", { mtu = 1, persist = true }))
      assert.is_nil(interface(space, "small"))
      assert.equal(before, helper.count_fds())
      local _, why = space:inside(tun.open, name)
      assert.matches("^tun%.open taken: ", why)
      _, why = space:inside(tun.open, "small", { mtu = 1 })
      assert.matches("^tun%.open small: mtu 1: ", why)
    end)
  end)

  it("is refused to who may not", function()
    need()
    helper.need(os.execute "unshare -U true 2>/dev/null", "needs the right to make a user namespace")
    local pipe <close> = assert(io.popen(("LUA_PATH=%s LUA_CPATH=%s unshare -U %s -e %s 2>&1 </dev/null"):format(
      helper.quote(package.path), helper.quote(package.cpath), helper.quote(helper.lua),
      helper.quote "print(require 'neap.tun'.open 'x')")))
    local out = pipe:read "a"
    assert.matches("^nil\ttun.open x: Operation not permitted %(it needs CAP_NET_ADMIN.*\tEPERM\n$", out)
  end)

  for _, case in ipairs {
    { "a number for a name", "#1.*name of an interface", 7 },
    { "an empty name", "#1.*cannot be the name", "" },
    { "too long a name", "#1.*cannot be the name", ("x"):rep(16) },
    { "a NUL in a name", "#1.*cannot be the name", "a\0b" },
    { "an unknown option", "unknown option 'adress'", "x", { adress = "10.0.0.1" } },
    { "an unknown mode", "'mode' must be", "x", { mode = "tup" } },
    { "no address", "'address' must be \"ip/prefix\"", "x", { address = "example.org/24" } },
    { "an address that is no text", "'address' must be \"ip/prefix\"", "x", { address = 10 } },
    { "too long a prefix", "'address' must be \"ip/prefix\"", "x", { address = "10.0.0.1/33" } },
    { "too long a prefix of IPv6", "'address' must be \"ip/prefix\"", "x", { address = "::1/129" } },
    { "half an address", "'address' must be \"ip/prefix\"", "x", { address = "10.0.0.1/" } },
    { "a peer without an address", "'peer' goes with one 'address'", "x", { peer = "10.0.0.2" } },
    { "a peer of two", "'peer' goes with one", "x", { address = { "10.0.0.1", "10.0.1.1" }, peer = "10.0.0.2" } },
    { "a peer of another family", "of one family", "x", { address = "10.0.0.1", peer = "::1" } },
    { "two prefixes", "different prefixes", "x", { address = "10.0.0.1/24", peer = "10.0.0.2/32" } },
    { "an MTU of zero", "'mtu' must be", "x", { mtu = 0 } },
  } do
    it("raises for " .. case[1], function()
      local ok, why = pcall(function() tun.open(case[3], case[4]) end)
      assert.is_false(ok)
      assert.matches(case[2], why)
      assert.matches("tun_spec%.lua:%d+: ", why)
    end)
  end
end)

describe("a tun device", function()
  it("receives what the system sends by it", function()
    with_space(function(space)
      local device <close> = open(space, nil, { address = "10.1.0.1/24", timeout = 2 * helper.slow })
      local s <close> = assert(space:inside(udp.open, "10.1.0.1", 0))
      for _, size in ipairs { 0, 1, 1000, 1472 } do
        assert(s:sendto(("x"):rep(size), "10.1.0.2", 7))
        local packet = assert(device:receive())
        assert.equal(28 + size, #packet)
        assert.equal(0x45, packet:byte(1))
        assert.equal(ip4 "10.1.0.2", packet:sub(17, 20))
        assert.equal(("x"):rep(size), packet:sub(29))
      end
    end)
  end)

  it("sends what the system answers", function()
    with_space(function(space)
      local device <close> = open(space, nil, { address = "10.1.0.1/24", timeout = 2 * helper.slow })
      for seq, data in ipairs { "", "x", ("0123456789"):rep(100) } do
        assert.equal(device, device:send(ping("10.1.0.2", "10.1.0.1", seq, data)))
        local packet = assert(device:receive())
        assert.is_true(is_reply(packet, seq))
        assert.equal(data, packet:sub(29))
      end
      local bytes = 3 * 28 + 1001
      assert.same({ 3, bytes, 3, bytes, 0 }, { device:counters() })
    end)
  end)

  it("lets a task wait, and another send meanwhile", function()
    with_space(function(space)
      local device <close> = open(space, nil, { address = "10.1.0.1/24" })
      local reader = neap.spawn(device.receive, device)
      helper.eventually(function() return reader:status() == "waiting" end)
      assert(device:send(ping("10.1.0.2", "10.1.0.1", 9)))
      assert.is_true(is_reply(reader:join(), 9))
    end)
  end)

  it("tells how long a message was that does not fit", function()
    with_space(function(space)
      local device <close> = open(space, nil, { address = "10.1.0.1/24", maxmessage = 100 })
      local s <close> = assert(space:inside(udp.open, "10.1.0.1", 0))
      assert(s:sendto(("x"):rep(200), "10.1.0.2", 7))
      local data, _, code, length = device:receive()
      assert.same({ nil, "EMSGSIZE", 228 }, { data, code, length })
      assert(s:sendto(("x"):rep(300), "10.1.0.2", 7))
      local cut, info = device:receivemsg(64)
      assert.equal(64, #cut)
      assert.equal(328, info.length)
      assert.is_true(info.truncated)
    end)
  end)

  it("takes and gives many at once, in order", function()
    with_space(function(space)
      local device <close> = open(space, nil, { address = "10.1.0.1/24", timeout = 2 * helper.slow })
      local datas = {}
      for i = 1, 100 do datas[i] = ping("10.1.0.2", "10.1.0.1", i) end
      assert.equal(100, device:sendmany(datas))
      local seq = 0
      while seq < 100 do
        for _, packet in ipairs(assert(device:receivemany())) do
          seq = seq + 1
          assert.is_true(is_reply(packet, seq))
        end
      end
    end)
  end)

  it("times out, and closes under who waits", function()
    with_space(function(space)
      local device <close> = open(space)
      device:settimeout(0.02)
      fails("ETIMEDOUT", device:receive())
      device:settimeout(nil)
      local reader = neap.spawn(device.receive, device)
      helper.eventually(function() return reader:status() == "waiting" end)
      device:close()
      fails("ECLOSED", reader:join())
    end)
  end)

  it("survives that its interface goes down, and up again", function()
    with_space(function(space)
      local device <close>, name = open(space, nil, { address = "10.1.0.1/24" })
      local reader = neap.spawn(device.receive, device)
      helper.eventually(function() return reader:status() == "waiting" end)
      assert(space:inside(tun.configure, name, { up = false }))
      fails("EIO", device:send(ping("10.1.0.2", "10.1.0.1", 1)))
      neap.sleep(0.02)
      assert.equal("waiting", reader:status())
      assert(space:inside(tun.configure, name, { up = true }))
      assert(device:send(ping("10.1.0.2", "10.1.0.1", 2)))
      assert.is_true(is_reply(reader:join(), 2))
    end)
  end)

  it("wakes when its interface is deleted", function()
    with_space(function(space)
      local device <close>, name = open(space)
      local reader = neap.spawn(device.receive, device)
      helper.eventually(function() return reader:status() == "waiting" end)
      space:run("ip link del " .. name)
      fails("EBADFD", reader:join())
      fails("EBADFD", device:receive())
      fails("EBADFD", device:send "x")
    end)
  end)

  it("refuses what is no packet", function()
    with_space(function(space)
      local device <close> = open(space)
      fails("EINVAL", device:send "\0 no packet at all, of no version of IP")
      fails("EOPNOTSUPP", device:getsockname())
    end)
  end)

  it("shares its packets with others that open it", function()
    with_space(function(space)
      local one <close>, name = open(space, nil, { multiqueue = true, address = "10.1.0.1/24" })
      local two <close> = open(space, name, { multiqueue = true })
      fails("EINVAL", space:inside(tun.open, name))
      local got
      local readers = {}
      for i, device in ipairs { one, two } do
        readers[i] = neap.spawn(function() got = device:receive() end)
      end
      assert(two:send(ping("10.1.0.2", "10.1.0.1", 5)))
      helper.eventually(function() return got end)
      assert.is_true(is_reply(got, 5))
      for _, reader in ipairs(readers) do reader:cancel() end
    end)
  end)

  it("is made of a descriptor that was inherited", function()
    with_space(function(space)
      local device, name = open(space, nil, { address = "10.1.0.1/24" })
      local fd = device:detach()
      local same <close>, again = open(space, nil, { fd = fd, timeout = 2 * helper.slow })
      assert.equal(name, again)
      assert(same:send(ping("10.1.0.2", "10.1.0.1", 5)))
      assert.is_true(is_reply(same:receive(), 5))
      local r, w = probe.pipe()
      fails("EINVAL", tun.open(nil, { fd = r }))
      probe.close(r)
      probe.close(w)
    end)
  end)
end)

describe("a tap device", function()
  it("carries frames", function()
    with_space(function(space)
      local device <close>, name = open(space, nil, { mode = "tap", address = "10.1.0.1/24" })
      device:settimeout(2 * helper.slow)
      assert.equal("tap0", name)
      local mac = assert(interface(space, name).mac):gsub("(%x%x):?", function(x)
        return string.char(tonumber(x, 16))
      end)
      local mine = "\2\0\0\0\0\1"
      -- who has 10.1.0.1? tell 10.1.0.2
      local arp = ("\xff"):rep(6) .. mine .. string.pack(">I2I2I2BBI2", 0x0806, 1, 0x0800, 6, 4, 1)
        .. mine .. ip4 "10.1.0.2" .. ("\0"):rep(6) .. ip4 "10.1.0.1"
      assert(device:send(arp))
      local answer = assert(device:receive())
      assert.equal(mine .. mac .. "\8\6", answer:sub(1, 14))
      assert.equal(2, string.unpack(">I2", answer, 21))
      assert.equal(mac .. ip4 "10.1.0.1", answer:sub(23, 32))
      assert(device:send(mac .. mine .. "\8\0" .. ping("10.1.0.2", "10.1.0.1", 3)))
      assert.is_true(is_reply(device:receive():sub(15), 3))
    end)
  end)
end)

describe("tun.configure", function()
  it("sets up an interface by name and by number", function()
    with_space(function(space)
      local device <close>, name = open(space, nil, { up = false })
      assert.is_true(space:inside(tun.configure, name, { address = "10.1.0.1/24" }))
      assert.is_nil(interface(space, name).flags.UP)
      local index = interface(space, name).index
      assert.is_true(space:inside(tun.configure, index, { up = true, mtu = 1200 }))
      assert.is_true(interface(space, name).flags.UP)
      assert.equal(1200, interface(space, name).mtu)
      assert.is_true(space:inside(tun.configure, name, { address = { "10.1.0.1/24", "10.2.0.1/24" } }))
      assert.equal(24, address(space, name, "10.1.0.1").prefix)
      assert.equal(24, address(space, name, "10.2.0.1").prefix)
      assert.is_true(space:inside(tun.configure, "lo", {}))
    end)
  end)

  it("fails where there is no such interface, or it refuses", function()
    with_space(function(space)
      local _, why = space:inside(tun.configure, "nobody", { up = true })
      assert.equal("tun.configure nobody: up: No such device", why)
      fails("ENODEV", space:inside(tun.configure, "nobody", { mtu = 1400 }))
      fails("ENODEV", space:inside(tun.configure, 1 << 20, { address = "10.0.0.1" }))
      local device <close>, name = open(space)
      _, why = space:inside(tun.configure, name, { mtu = 1 })
      assert.equal(("tun.configure %s: mtu 1: Invalid argument"):format(name), why)
    end)
  end)

  it("raises for what is no interface and no option", function()
    assert.has_error(function() tun.configure() end)
    assert.has_error(function() tun.configure("", {}) end)
    assert.has_error(function() tun.configure("lo", { mode = "tun" }) end)
    assert.has_error(function() tun.configure("lo", { up = 1 }) end)
  end)
end)

describe("an interface that persists", function()
  it("stays, is taken again, and is removed", function()
    with_space(function(space)
      local device, name = open(space, "stays", { mode = "tap", persist = true, owner = 1000 })
      fails("EBUSY", space:inside(tun.remove, name))
      device:close()
      assert.truthy(interface(space, name))
      fails("EBUSY", space:inside(tun.open, name, { mode = "tap", exclusive = true }))
      open(space, name, { mode = "tap" }):close()
      assert.truthy(interface(space, name))
      assert.is_true(space:inside(tun.remove, name))
      assert.is_nil(interface(space, name))
      fails("ENODEV", space:inside(tun.remove, name))
      fails("EINVAL", space:inside(tun.remove, "lo"))
      assert.has_error(function() tun.remove() end)
    end)
  end)

  it("goes with its socket when that says so", function()
    with_space(function(space)
      open(space, "stays", { persist = true }):close()
      assert.truthy(interface(space, "stays"))
      open(space, "stays", { persist = false }):close()
      assert.is_nil(interface(space, "stays"))
    end)
  end)
end)

describe("examples/vpn.lua", function()
  local usage <const> = "usage: vpn.lua own-ip:port peer-ip:port tunnel-ip tunnel-peer-ip"

  local function vpn(space, ...)
    local command = ("LUA_PATH=%s LUA_CPATH=%s exec timeout -k 1 20 %s examples/vpn.lua %s"):format(
      helper.quote(package.path), helper.quote(package.cpath), helper.quote(helper.lua), table.concat({ ... }, " "))
    local pipe = space:popen("echo $$; " .. command)
    pipe:setvbuf "no"
    local pid = math.tointeger(tonumber(pipe:read "l"))
    return setmetatable({ pipe = pipe }, { __close = function()
      probe.kill(pid, probe.SIGTERM)
      pipe:close()
    end })
  end

  it("joins two namespaces", function()
    need()
    helper.need_program "ping"
    in_task(function()
      local lab <close> = netns.pair()
      local a <close> = vpn(lab.a, "10.77.0.1:5000", "10.77.0.2:5001", "10.9.0.1", "10.9.0.2")
      local b <close> = vpn(lab.b, "10.77.0.2:5001", "10.77.0.1:5000", "10.9.0.2", "10.9.0.1")
      assert.equal("tun0: 10.9.0.1 to 10.9.0.2", a.pipe:read "l")
      assert.equal("tun0: 10.9.0.2 to 10.9.0.1", b.pipe:read "l")
      local out = lab.a:run "ping -n -c 3 -i 0.01 -s 1000 -W 2 10.9.0.2"
      assert.matches("3 received", out)
      assert.matches("3 received", lab.b:run "ping -n -c 3 -i 0.01 -W 2 10.9.0.1")
    end)
  end)

  it("says how it is used", function()
    local file <close> = assert(io.open "examples/vpn.lua")
    local out, code = helper.script(file:read "a")
    assert.equal(2, code)
    assert.matches(usage, out, 1, true)
  end)
end)
