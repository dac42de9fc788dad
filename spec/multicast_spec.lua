--- Multicast over UDP: joining and leaving, by any source and by one, on the
-- loopback and between two machines.
local helper <const> = require "support.helper"
local netns <const> = require "support.netns"
local neap <const> = require "neap"
local udp <const> = require "neap.udp"

local in_task <const> = helper.in_task

local function index_of(name)
  for _, row in ipairs(neap.interfaces()) do
    if row.name == name then return row.index end
  end
end

-- A receiver at any address; several may share the port.
local function receiver(ip, port)
  return assert(udp.open(ip, port or 0, { reuseaddr = true, timeout = 0.02 * helper.slow }))
end

local function port_of(s) return (select(2, s:getsockname())) end

local function silent(s)
  local before = s:gettimeout()
  s:settimeout(0.01)
  assert.fails("ETIMEDOUT", s:receive())
  s:settimeout(before)
end

-- The loopback has no route to IPv6's groups: what goes out by the interface
-- of a namespace comes back from it just as well.
local function in_namespace(body)
  netns.need()
  local lab <close> = netns.pair()
  lab.a:run "ip addr add fd77::9/64 dev left nodad"
  lab.a:inside(in_task, body)
end

local families <const> = {
  {
    name = "IPv4", any = "0.0.0.0", group = "239.255.77.7", other = "239.255.77.8", sourced = "232.77.7.7",
    loop = "IP_MULTICAST_LOOP", ttl = "IP_MULTICAST_TTL", need = function() end,
    interface = "lo", here = "127.0.0.1", second = "127.0.0.2", on_one_machine = in_task,
  },
  {
    name = "IPv6", any = "::", group = "ff15::77:7", other = "ff15::77:8", sourced = "ff35::77:7",
    loop = "IPV6_MULTICAST_LOOP", ttl = "IPV6_MULTICAST_HOPS", need = helper.need_ipv6,
    interface = "left", here = "fd77::1", second = "fd77::9", on_one_machine = in_namespace,
  },
}

for _, family in ipairs(families) do
  local interface <const> = family.interface

  describe("multicast on one machine over " .. family.name, function()
    local function with_sockets(body)
      family.need()
      family.on_one_machine(function()
        local s <close> = receiver(family.any)
        local a <close> = assert(udp.open(family.here, 0))
        local other <close> = assert(udp.open(family.second, 0))
        -- says it to the group, from its own address
        local function say(data, group, from)
          return (from or a):sendmsg(data, {
            ip = group or family.group, port = port_of(s), interface = interface,
            local_ip = from and family.second or family.here,
          })
        end
        body(s, a, say, other)
      end)
    end

    it("comes to who joined, by the interface's name or number, until it leaves", function()
      with_sockets(function(s, a, say)
        for _, named in ipairs { interface, index_of(interface) } do
          assert(say "nobody hears")
          silent(s)
          assert.equal(s, s:join(family.group, named))
          assert.equal(a, say "hello")
          local data, info = s:receivemsg()
          assert.equal("hello", data)
          assert.same({ family.here, port_of(a) }, { info.ip, info.port })
          assert.equal(family.group, info.destination)
          assert.equal(interface, info.interface)
          assert(say("to others", family.other))
          silent(s)
          assert.equal(s, s:leave(family.group, named))
          assert(say "gone")
          silent(s)
        end
      end)
    end)

    it("may be joined in many groups", function()
      with_sockets(function(s, _, say)
        assert(s:join(family.group, interface))
        assert(s:join(family.other, interface))
        assert(say "one")
        assert(say("two", family.other))
        assert.same({ "one", "two" }, (s:receivemany()))
        assert(s:leave(family.group, interface))
        assert(say "three")
        assert(say("four", family.other))
        assert.same({ "four" }, (s:receivemany()))
      end)
    end)

    it("cannot be joined twice, nor left by who has not joined", function()
      with_sockets(function(s)
        assert(s:join(family.group, interface))
        local value, why, code = s:join(family.group, interface)
        assert.fails("EADDRINUSE", value, why, code)
        assert.is_truthy(why:find(family.group, 1, true), why)
        assert(s:leave(family.group, interface))
        value, why, code = s:leave(family.group, interface)
        assert.fails("EADDRNOTAVAIL", value, why, code)
        assert.is_truthy(why:find(family.group, 1, true), why)
        value, why, code = s:join(family.group, "nothing0")
        assert.fails("ENODEV", value, why, code)
        assert.fails("ENODEV", s:join(family.group, 12345))
      end)
    end)

    it("by source comes from that one alone", function()
      with_sockets(function(s, _, say, other)
        assert.equal(s, s:join(family.sourced, interface, family.here))
        assert(say("not heard", family.sourced, other))
        assert(say("heard", family.sourced))
        assert.same({ "heard", family.here }, { table.unpack({ s:receive() }, 1, 2) })
        assert.equal(s, s:join(family.sourced, interface, family.second))
        assert(say("heard now", family.sourced, other))
        assert.equal("heard now", (s:receive()))
        assert.equal(s, s:leave(family.sourced, interface, family.here))
        assert(say("not any more", family.sourced))
        silent(s)
        assert.equal(s, s:leave(family.sourced, interface, family.second))
        local value, _, code = s:leave(family.sourced, interface, family.second)
        assert.is_nil(value)
        assert.is_true(code == "EADDRNOTAVAIL" or code == "EINVAL", code)
      end)
    end)

    it("can block one source, and let it again", function()
      with_sockets(function(s, a, say, other)
        assert(s:join(family.group, interface))
        assert.equal(s, s:block(family.group, interface, family.here))
        assert(say "blocked")
        assert(say("another", nil, other))
        assert.equal("another", (s:receive()))
        assert.equal(s, s:unblock(family.group, interface, family.here))
        assert(say "let again")
        assert.same({ "let again", family.here, port_of(a) }, { s:receive() })
        assert.fails("EADDRNOTAVAIL", s:unblock(family.group, interface, family.here))
      end)
    end)

    it("comes to each of several receivers that share the port", function()
      with_sockets(function(s, _, say)
        local t <close> = receiver(family.any, port_of(s))
        assert(s:join(family.group, interface))
        assert(t:join(family.group, interface))
        for i = 1, 3 do assert(say("for both " .. i)) end
        local wanted = { "for both 1", "for both 2", "for both 3" }
        assert.same(wanted, (s:receivemany()))
        assert.same(wanted, (t:receivemany()))
        t:close()
        assert(say "for one")
        assert.equal("for one", (s:receive()))
      end)
    end)

    it("is sent as the options say", function()
      with_sockets(function(s)
        assert(s:join(family.group, interface))
        local c <close> = assert(udp.open(family.here, 0,
          { multicast_ttl = 5, multicast_loop = true, multicast_interface = interface }))
        assert(c:sendto("by the options", family.group, port_of(s)))
        local data, info = s:receivemsg()
        assert.same({ "by the options", 5, interface }, { data, info.ttl, info.interface })
        assert.fails("ENODEV", udp.open(family.here, 0, { multicast_interface = "nothing0" }))
      end)
    end)

    it("raises on what is no group, no interface, no source", function()
      with_sockets(function(s)
        for _, wrong in ipairs { "", "a\0b", "not an address", 5, true, {} } do
          assert.raises("bad argument #1", function() s:join(wrong, interface) end)
          assert.raises("bad argument #1", function() s:leave(wrong, interface) end)
          assert.raises("bad argument #3", function() s:join(family.group, interface, wrong) end)
          assert.raises("bad argument #3", function() s:block(family.group, interface, wrong) end)
        end
        assert.raises("bad argument #1", function() s:join() end)
        for _, wrong in ipairs { -1, 1.5, {}, true, ("x"):rep(40) } do
          assert.raises("bad argument #2", function() s:join(family.group, wrong) end)
        end
        assert.raises("bad argument #3", function() s:block(family.group, interface) end)
        assert.fails("EINVAL", s:join(family.here, interface)) -- an address, but no group
      end)
    end)
  end)
end

describe("multicast between two machines", function()
  for _, family in ipairs(families) do
    local near <const> = family.name == "IPv4" and "ip" or "ip6"
    local second <const> = family.name == "IPv4" and "10.77.0.9" or "fd77::9"

    local function with_machines(body)
      netns.need()
      family.need()
      local lab <close> = netns.pair()
      lab.a:run(("ip addr add %s dev left %s"):format(
        second .. (near == "ip" and "/24" or "/64"), near == "ip6" and "nodad" or ""))
      lab.b:inside(in_task, function()
        local s <close> = receiver(family.any, 7000)
        s:settimeout(1)
        local a <close> = assert(lab.a:inside(udp.open, lab.a[near], 0))
        body(lab, s, a)
      end)
    end

    it("comes over the wire, to who joined on its interface, over " .. family.name, function()
      with_machines(function(lab, s, a)
        assert(s:join(family.group, "right"))
        local function say(data)
          return lab.a:inside(a.sendmsg, a, data, { ip = family.group, port = 7000, interface = "left" })
        end
        assert(say "hello")
        local data, info = s:receivemsg()
        assert.equal("hello", data)
        assert.same({ lab.a[near], family.group, "right", 1 },
          { info.ip, info.destination, info.interface, info.ttl })
        if near == "ip" then assert.equal(lab.b.ip, info.local_ip) end -- where an answer comes from
        assert(a:setsockopt(family.ttl, 9))
        assert(say "further")
        data, info = s:receivemsg()
        assert.same({ "further", 9 }, { data, info.ttl })
        assert(s:leave(family.group, "right"))
        assert(say "gone")
        silent(s)
        assert(s:join(family.group, lab.b:index()))
        assert(say "by number")
        assert.equal("by number", (s:receive()))
      end)
    end)

    it("leaves by the route where no interface is named, over " .. family.name, function()
      with_machines(function(_, s, a)
        assert(s:join(family.group))
        assert(a:sendto("hello", family.group, 7000))
        assert.equal("hello", (s:receive()))
        assert(s:leave(family.group))
        assert(a:sendto("gone", family.group, 7000))
        silent(s)
      end)
    end)

    it("by source comes from that one alone, over " .. family.name, function()
      with_machines(function(lab, s, a)
        local other <close> = assert(lab.a:inside(udp.open, second, 0))
        assert(s:join(family.sourced, "right", second))
        assert(a:sendto("not heard", family.sourced, 7000))
        assert(other:sendto("heard", family.sourced, 7000))
        assert.same({ "heard", second }, { table.unpack({ s:receive() }, 1, 2) })
        assert(s:join(family.sourced, "right", lab.a[near]))
        assert(a:sendto("both", family.sourced, 7000))
        assert.equal("both", (s:receive()))
        assert(s:leave(family.sourced, "right", second))
        assert(other:sendto("left", family.sourced, 7000))
        silent(s)
      end)
    end)

    it("blocks a source, over " .. family.name, function()
      with_machines(function(lab, s, a)
        local other <close> = assert(lab.a:inside(udp.open, second, 0))
        assert(s:join(family.group, "right"))
        assert(s:block(family.group, "right", lab.a[near]))
        assert(a:sendto("blocked", family.group, 7000))
        assert(other:sendto("not blocked", family.group, 7000))
        assert.equal("not blocked", (s:receive()))
        assert(s:unblock(family.group, "right", lab.a[near]))
        assert(a:sendto("let again", family.group, 7000))
        assert.equal("let again", (s:receive()))
      end)
    end)

    it("comes back to its sender unless the loop is off, over " .. family.name, function()
      with_machines(function(lab, s, a)
        local own <close> = lab.a:inside(receiver, family.any, 7000)
        assert(lab.a:inside(own.join, own, family.group, "left"))
        assert(s:join(family.group, "right"))
        assert(a:sendto("to both", family.group, 7000))
        assert.equal("to both", (own:receive()))
        assert.equal("to both", (s:receive()))
        assert(a:setsockopt(family.loop, false))
        assert(a:sendto("to the other", family.group, 7000))
        assert.equal("to the other", (s:receive()))
        silent(own)
      end)
    end)
  end

  it("of IPv4 is heard by a socket of both families", function()
    netns.need()
    helper.need_ipv6()
    local lab <close> = netns.pair()
    lab.b:inside(in_task, function()
      local s <close> = assert(udp.open(nil, 7000, { timeout = 1 }))
      local a <close> = assert(lab.a:inside(udp.open, lab.a.ip, 0))
      local six <close> = assert(lab.a:inside(udp.open, lab.a.ip6, 0))
      assert(s:join("239.255.77.7", "right"))
      assert(s:join("ff15::77:7", "right"))
      assert(a:sendto("four", "239.255.77.7", 7000))
      assert.same({ "four", a:getsockname() }, { s:receive() })
      assert(six:sendto("six", "ff15::77:7", 7000))
      assert.same({ "six", six:getsockname() }, { s:receive() })
      assert(s:leave("239.255.77.7", "right"))
      assert(a:sendto("gone", "239.255.77.7", 7000))
      silent(s)
    end)
  end)
end)
