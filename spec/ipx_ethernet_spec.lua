--- IPX over Ethernet: the four framings, between the ends of a veth pair, and
-- what tshark makes of them.
local helper <const> = require "support.helper"
local netns <const> = require "support.netns"
local ipx <const> = require "neap.ipx"
local neap <const> = require "neap"
local packet <const> = require "neap.packet"
local pcap <const> = require "neap.pcap"
local wire <const> = require "neap.wire"

local eventually <const> = helper.eventually
local FRAMINGS <const> = { "ethernet2", "802.3", "802.2", "snap" }
local ROOM <const> = { ethernet2 = 1500, ["802.3"] = 1500, ["802.2"] = 1497, snap = 1492 }

-- A namespace with both ends of a wire, which all of these tests share.
local lab, space
local macs <const> = {}

local function within(body)
  netns.need()
  if not lab then
    lab = netns.lab():keep()
    space = lab:space()
    lab:link({ space, "left" }, { space, "right" })
    for _, name in ipairs { "left", "right" } do macs[name] = space:mac(name) end
  end
  space:inside(body)
end

teardown(function() if lab then lab:remove() end end)

local function works(name, body)
  it(name, function() within(function() helper.in_task(body) end) end)
end

-- A carrier at each end, and a socket on each: body(a, b).
local function with_pair(framing, options, body)
  local function open(interface)
    local o <const> = { framing = framing }
    for name, value in pairs(options or {}) do o[name] = value end
    return assert(ipx.ethernet(interface, o))
  end
  local left <close> = open "left"
  local right <close> = open "right"
  local a <close> = assert(ipx.open { carrier = left, timeout = 5, broadcast = true })
  local b <close> = assert(ipx.open { carrier = right, timeout = 5, broadcast = true, socket = 0x5000 })
  return body(a, b, left, right)
end

-- What passes the right end while body runs, as frames.
local function frames_of(body)
  local tap <close> = assert(packet.open("right", { timeout = 0.1 }))
  body()
  local frames <const> = {}
  for _ = 1, 1000 do
    local frame, info = tap:receivemsg()
    if not frame then break end
    local type <const> = (">I2"):unpack(frame, 13)
    if type <= 1500 or type == 0x8137 then frames[#frames + 1] = { frame, info } end
  end
  return frames
end

for _, framing in ipairs(FRAMINGS) do
  describe("IPX in frames of " .. framing, function()
    works("goes both ways, and to everybody", function()
      with_pair(framing, nil, function(a, b, left)
        assert.same({ 0, macs.left }, { left:getaddress() })
        assert.equal(framing, left:kind())
        assert(a:sendto("over there", b:getsockname()))
        local data, network, node, number = b:receive()
        assert.same({ "over there", a:getsockname() }, { data, network, node, number })
        assert(b:sendto("and back", network, node, number))
        assert.same({ "and back", b:getsockname() }, { a:receive() })
        assert(a:sendto("to all", 0, ipx.BROADCAST, 0x5000))
        assert.equal("to all", (b:receive()))
      end)
    end)

    works("has any length up to what a frame takes, and odd ones, too", function()
      with_pair(framing, { mtu = ROOM[framing] }, function(a, b)
        local network, node, number = b:getsockname()
        for _, n in ipairs { 0, 1, 2, 15, 16, 17, 97, 546, 547, ROOM[framing] - 31, ROOM[framing] - 30 } do
          local data <const> = ("\xa5"):rep(n)
          assert(a:sendto(data, network, node, number))
          assert.equal(data, (b:receive()))
        end
        assert.fails("EMSGSIZE", a:sendto(("x"):rep(ROOM[framing] - 29), network, node, number))
      end)
    end)

    works("is not longer than a frame: the carrier says so", function()
      local value, why, code = ipx.ethernet("left", { framing = framing, mtu = ROOM[framing] + 1 })
      assert.fails("EMSGSIZE", value, why, code)
      assert.matches(("at most %d bytes"):format(ROOM[framing]), why)
      local carrier <close> = assert(ipx.ethernet("left", { framing = framing }))
      assert.equal(576, carrier:mtu())
    end)

    works("is not heard by those of other framings", function()
      with_pair(framing, nil, function(a)
        local others <const> = {}
        for _, other in ipairs(FRAMINGS) do
          if other ~= framing then
            others[#others + 1] = assert(ipx.open {
              carrier = assert(ipx.ethernet("right", { framing = other })), socket = 0x5000, timeout = 0.02,
            })
          end
        end
        assert(a:sendto("x", 0, ipx.BROADCAST, 0x5000))
        for _, sock in ipairs(others) do
          assert.fails("ETIMEDOUT", sock:receive())
          sock:getcarrier():close()
        end
      end)
    end)

    works("is what tshark reads, with nothing malformed", function()
      helper.need_program "tshark"
      local file <const> = helper.tmpname ".pcap"
      local frames <const> = frames_of(function()
        with_pair(framing, { network = 0xcafe }, function(a, b)
          for _, n in ipairs { 0, 1, 40, 546 } do assert(a:sendto(("x"):rep(n), b:getsockname())) end
          assert(a:sendmsg("to all", { network = 0xcafe, node = ipx.BROADCAST, socket = 0x5000, type = 20 }))
        end)
      end)
      assert.equal(5, #frames)
      local out <close> = assert(pcap.create(file, { linktype = "ethernet" }))
      for _, one in ipairs(frames) do assert(out:write(one[1])) end
      out:close()
      local pipe <close> = assert(io.popen(("tshark -r %s -T fields -E separator=/s -e ipx.dst.net -e ipx.dst.node "
        .. "-e ipx.dst.socket -e ipx.src.node -e ipx.len -e ipx.packet_type -e _ws.malformed -e _ws.expert.message "
        .. "2>/dev/null"):format(helper.quote(file))))
      local told <const> = {}
      for line in pipe:lines() do
        -- The type is a number in one version, hexadecimal in another.
        told[#told + 1] = line:gsub("%s+$", ""):gsub("%S+$", function(type) return tonumber(type) end)
      end
      local address <const> = ("0x0000cafe %s 0x5000 %s "):format(macs.right, macs.left)
      assert.same({
        address .. "30 4", address .. "31 4", address .. "70 4", address .. "576 4",
        ("0x0000cafe %s 0x5000 %s 36 20"):format(ipx.BROADCAST, macs.left),
      }, told)
    end)

    works("is what neap.wire reads, in frames that are filled up", function()
      local frames <const> = frames_of(function()
        with_pair(framing, nil, function(a, b)
          for _, n in ipairs { 1, 101 } do assert(a:sendto(("x"):rep(n), b:getsockname())) end
        end)
      end)
      for i, n in ipairs { 1, 101 } do
        local frame <const> = frames[i][1]
        assert.is_true(#frame >= 60 and #frame % 2 == 0)
        local read <const> = assert(wire.decode(frame))
        assert.equal(30 + n, read.ipx.length)
        assert.equal(("x"):rep(n), read.payload)
        assert.equal(framing == "802.2" or framing == "snap", read.llc ~= nil)
        assert.equal(framing == "snap", read.snap ~= nil)
        assert.equal(framing == "ethernet2", read.ethernet.type == 0x8137)
      end
    end)

    works("that is damaged by the thousand does no harm", function()
      with_pair(framing, nil, function(a, b, _, right)
        local good
        for _, one in ipairs(frames_of(function()
          assert(a:sendto("data", b:getsockname()))
          assert(b:receive())
        end)) do good = one[1] end
        local raw <close> = assert(packet.open("left", { protocol = 0x88b5 }))
        local TOTAL <const> = 2000 // helper.slow
        for i = 1, TOTAL do
          local at <const> = math.random(13, #good)
          local bad = good:sub(1, at - 1) .. string.char(math.random(0, 255)) .. good:sub(at + 1)
          if i % 3 == 0 then bad = bad:sub(1, math.random(14, #bad)) end
          assert(raw:send(bad))
          if i % 50 == 0 then
            while b:take() do end -- luacheck: ignore 542
          end
        end
        while b:take() do end -- luacheck: ignore 542
        assert(a:sendto("intact", b:getsockname()))
        local data
        repeat data = b:receive() until data ~= "data"
        assert.equal("intact", data)
        local all <const> = right:statistics()
        assert.is_true(all.foreign + all.short + all.malformed + all.elsewhere + all.unclaimed > 0)
      end)
    end)
  end)
end

describe("IPX checksums over Ethernet", function()
  for _, framing in ipairs { "ethernet2", "802.2", "snap" } do
    works(("are right in frames of %s, and what is damaged is dropped"):format(framing), function()
      with_pair(framing, nil, function(_, b, left, right)
        local a <close> = assert(ipx.open { carrier = left, checksum = true })
        local frames
        for _, text in ipairs { "", "odd", "even" } do
          frames = frames_of(function() assert(a:sendto(text, b:getsockname())) end)
          local read <const> = assert(wire.decode(frames[1][1]))
          assert.not_equal(0xffff, read.ipx.checksum)
          assert.is_nil(read.ipx.checksum_ok)
          assert.equal(text, (b:receive()))
        end
        local raw <close> = assert(packet.open("left", { protocol = 0x88b5 }))
        assert(raw:send((frames[1][1]:gsub("even", "evil"))))
        assert(raw:send(frames[1][1]))
        assert.equal("even", (b:receive()))
        assert.equal(1, right:statistics().checksum)
      end)
    end)
  end

  works("are not to be had in raw frames of 802.3", function()
    local carrier <close> = assert(ipx.ethernet("left", { framing = "802.3" }))
    assert.fails("EOPNOTSUPP", ipx.open { carrier = carrier, checksum = true })
  end)
end)

describe("ipx.ethernet", function()
  it("raises on wrong options", function()
    assert.raises("bad argument #1", ipx.ethernet)
    assert.raises("option 'framing' must be", ipx.ethernet, "lo", { framing = "802.5" })
    assert.raises("option 'mtu'", ipx.ethernet, "lo", { mtu = 30 })
    assert.raises("option 'router'", ipx.ethernet, "lo", { router = "127.0.0.1" })
    assert.raises("option 'router' needs 'network'", ipx.ethernet, "lo", { router = "00:11:22:33:44:55" })
    assert.raises("unknown option 'bind'", ipx.ethernet, "lo", { bind = "x" })
  end)

  works("fails where there is no such interface", function()
    local value, why, code = ipx.ethernet "nowhere0"
    assert.fails("ENODEV", value, why, code)
    assert.equal("ipx.ethernet nowhere0: No such device", why)
  end)

  works("takes the interface by its number, too", function()
    local carrier <close> = assert(ipx.ethernet(space:index "left"))
    assert.same({ 0, macs.left }, { carrier:getaddress() })
  end)

  works("gives what is for other networks to the router", function()
    local router <const> = "02:00:00:00:00:fe"
    local frames <const> = frames_of(function()
      with_pair("802.2", { network = 1, router = router }, function(a)
        assert(a:sendto("near", 1, "02:00:00:00:00:01", 9))
        assert(a:sendto("far", 2, "02:00:00:00:00:02", 9))
        assert(a:sendto("all of them", 2, ipx.BROADCAST, 9))
      end)
    end)
    local told <const> = {}
    for i, one in ipairs(frames) do
      local read <const> = assert(wire.decode(one[1]))
      told[i] = ("%s %d %s"):format(read.ethernet.dst, read.ipx.dst_network, read.ipx.dst_node)
    end
    assert.same({ "02:00:00:00:00:01 1 02:00:00:00:00:01", router .. " 2 02:00:00:00:00:02",
      router .. " 2 " .. ipx.BROADCAST }, told)
  end)

  works("has no way to other networks without a router", function()
    with_pair("802.2", { network = 1 }, function(a)
      local value, why, code = a:sendto("x", 2, "02:00:00:00:00:01", 9)
      assert.fails("ENETUNREACH", value, why, code)
      assert.matches("^sendto 00000002:02:00:00:00:00:01:0009: ", why)
    end)
  end)

  works("tells once that the interface went down, to who waits and to who comes", function()
    with_pair("ethernet2", nil, function(a, b, _, right)
      local c <close> = assert(ipx.open { carrier = right, timeout = 5 })
      local reader <const> = neap.spawn(b.receive, b)
      eventually(function() return reader:status() == "waiting" end)
      local up <close> = helper.defer(function() space:up "right" end)
      space:down "right"
      assert.fails("ENETDOWN", reader:join())
      assert.fails("ENETDOWN", c:receive())
      space:up "right"
      space:wait_up "right"
      space:wait_up "left"
      eventually(function()
        assert(a:sendto("up again", b:getsockname()))
        return b:take() == "up again"
      end)
    end)
  end)
end)
