--- ping, traceroute and path_mtu: on the loopback, and over a router that
-- loses, refuses and is too narrow. What the system's programs say is compared.
local helper <const> = require "support.helper"
local netns <const> = require "support.netns"
local neap <const> = require "neap"
local icmp <const> = require "neap.icmp"
local raw <const> = require "neap.raw"
local tcp <const> = require "neap.tcp"
local udp <const> = require "neap.udp"

-- A name that there is not; which code it is depends on who was asked.
local function unknown(value, _, code)
  assert.is_nil(value)
  assert.matches("^EAI_", code)
end

local in_task <const> = helper.in_task

local allowed -- or why not

local function need_icmp()
  if allowed == nil then
    local sock, why = raw.open "icmp"
    allowed = sock and sock:close() and true or why
  end
  helper.need(allowed == true, allowed)
end

-- Runs in a namespace: what it opens is there.
local function at(space, fn) return space:inside(in_task, fn) end

local lab -- the three machines of a test; they are gone at its end

local function need_lab()
  netns.need()
  lab = netns.chain()
end

local function hops_of(host, options)
  local list = {}
  for hop in assert(icmp.traceroute(host, options)) do list[#list + 1] = hop end
  return list
end

-- "10.77.1.254 10.77.2.1", "*" for those that nobody answered.
local function ips(hops)
  local out = {}
  for i, hop in ipairs(hops) do out[i] = hop.ip or "*" end
  return table.concat(out, " ")
end

local function fast(more)
  local o = { timeout = 0.1 * helper.slow }
  for name, value in pairs(more or {}) do o[name] = value end
  return o
end

-- What is wrong with options, and that the caller is blamed.
local function refuses(text, fn, ...)
  local err = assert.raises(text, fn, ...)
  assert.is_truthy(tostring(err):find("icmp_spec.lua:", 1, true), err)
end

describe("icmp.ping", function()
  it("measures hosts of both families on the loopback", function()
    need_icmp()
    in_task(function()
      for _, ip in ipairs { "127.0.0.1", helper.is_ipv6() and "::1" or nil } do
        local r = assert(icmp.ping(ip, { count = 3, interval = 0.005 }))
        assert.equal(ip, r.host)
        assert.equal(ip, r.ip)
        assert.same({ 3, 3, 0, 0, 0, 0 }, { r.sent, r.received, r.lost, r.errors, r.duplicates, r.damaged })
        assert.equal(3, #r)
        for i, reply in ipairs(r) do
          assert.same({ i, ip, 64, 56 }, { reply.seq, reply.from, reply.ttl, reply.size })
          assert.is_true(math.type(reply.rtt) == "float" and reply.rtt > 0 and reply.rtt < 1)
          assert.is_nil(reply.code)
        end
        assert.is_true(r.min <= r.avg and r.avg <= r.max and r.mdev >= 0 and r.mdev <= r.max - r.min)
        assert.equal(r.min, math.min(r[1].rtt, r[2].rtt, r[3].rtt))
        assert.is_true(math.abs(r.avg - (r[1].rtt + r[2].rtt + r[3].rtt) / 3) < 1e-9)
      end
    end)
  end)

  it("works at top level, by name, and by either clock", function()
    need_icmp()
    for _, clock in ipairs { true, false } do
      local r = assert(icmp.ping("localhost", { timestamps = clock, family = "inet" }))
      assert.equal("localhost", r.host)
      assert.equal("127.0.0.1", r[1].ip)
      assert.is_true(r[1].rtt > 0 and r[1].rtt < 1)
    end
  end)

  it("sends what it is told, whole or empty", function()
    need_icmp()
    in_task(function()
      for _, size in ipairs { 0, 1, 7, 8, 9, 1472, 65507 } do
        local reply = assert(icmp.ping("127.0.0.1", { size = size }))[1]
        assert.same({ size }, { reply.size, reply.damaged, reply.code })
      end
      local listener <close> = assert(raw.open("icmp", { icmp_types = { 8 }, timeout = 2 }))
      assert(icmp.ping("127.0.0.1", { payload = "my own payload", tos = 0x20, ttl = 9 }))
      local function heard() -- others may ping, too
        while true do
          local data, info = assert(listener:receivemsg())
          if data:sub(20 + 8 + 8 + 1) == "my own payload" then return data:sub(29, 36), info end
        end
      end
      local cookie, info = heard()
      assert.same({ 9, 0x20 }, { info.ttl, info.tos })
      assert(icmp.ping("127.0.0.1", { payload = "my own payload" }))
      assert.are_not.equal(cookie, (heard())) -- nobody can guess it
      assert.equal("127.0.0.1", assert(icmp.ping("0.0.0.0"))[1].from) -- "this host" has another address
    end)
  end)

  it("asks hundreds at once on one socket, and keeps them apart", function()
    need_icmp()
    in_task(function()
      local hosts = {}
      for i = 1, 300 do hosts[i] = ("127.0.%d.%d"):format(i // 100, i % 100 + 1) end
      hosts[301] = helper.is_ipv6() and "::1" or "127.0.0.1"
      local fds = helper.count_fds()
      local all = assert(icmp.ping(hosts, { count = 2, interval = 0.01, timeout = 5 }))
      assert.equal(fds, helper.count_fds())
      for _, host in ipairs(hosts) do
        assert.same({ host, 2, 2 }, { all[host].host, all[host].sent, all[host].received })
        assert.equal(host, all[host][2].from)
      end
    end)
  end)

  it("tells which host has no address, and fails if there is but that", function()
    need_icmp()
    in_task(function()
      unknown(icmp.ping "nobody.invalid")
      local all = assert(icmp.ping { "nobody.invalid", "127.0.0.1" })
      assert.matches("^EAI_", all["nobody.invalid"].code)
      assert.equal(0, all["nobody.invalid"].sent)
      assert.equal(1, all["127.0.0.1"].received)
      assert.fails("EADDRNOTAVAIL", icmp.ping("127.0.0.1", { bind = "203.0.113.1" }))
      assert.fails("ENODEV", icmp.ping("127.0.0.1", { interface = "nosuchdev0" }))
      assert.equal(1, assert(icmp.ping("127.0.0.1", { bind = "127.0.0.5", interface = "lo" })).received)
    end)
  end)

  it("iterates line by line, and cleans up after a break", function()
    need_icmp()
    in_task(function()
      local fds = helper.count_fds()
      local seen = {}
      for reply, host in assert(icmp.pings("127.0.0.1", { interval = 0.05 })) do
        assert.equal(reply.seq, host.received)
        seen[#seen + 1] = reply.seq
        if reply.seq == 4 then break end
      end
      assert.same({ 1, 2, 3, 4 }, seen)
      local by_host = { ["127.0.0.1"] = 0, ["127.0.0.2"] = 0, ["nobody.invalid"] = 0 }
      local hosts = { "127.0.0.1", "nobody.invalid", "127.0.0.2" }
      if helper.is_ipv6() then hosts[4], by_host["::1"] = "::1", 0 end
      for reply in assert(icmp.pings(hosts, { count = 3, interval = 0.005 })) do
        by_host[reply.host] = by_host[reply.host] + 1
        if not reply.rtt then assert.matches("^EAI_", reply.code) end
      end
      for host, n in pairs(by_host) do assert.equal(host == "nobody.invalid" and 1 or 3, n) end
      if helper.is_ipv6() then -- a family each, by tasks
        for reply in icmp.pings({ "::1", "127.0.0.1" }, { interval = 0 }) do
          if reply.rtt then break end
        end
      end
      helper.eventually(function() return helper.count_fds() == fds end)
    end)
  end)

  it("does not call late what waits in the queue while the loop's body is slow", function()
    need_icmp()
    in_task(function()
      local n = 0
      for reply in assert(icmp.pings("127.0.0.1", { count = 3, interval = 0, timeout = 0.02 })) do
        neap.sleep(0.03)
        assert.is_nil(reply.code)
        assert.is_true(reply.rtt < 0.02 * helper.slow)
        n = n + 1
      end
      assert.equal(3, n)
    end)
  end)

  it("can be cancelled, and ends by neap.timeout", function()
    need_icmp()
    in_task(function()
      local fds = helper.count_fds()
      assert.fails("ETIMEDOUT", neap.timeout(0.02, icmp.ping, "127.0.0.1", { count = 1000 }))
      local task = neap.spawn(icmp.ping, { "127.0.0.1", helper.is_ipv6() and "::1" or "127.0.0.2" }, { count = 1000 })
      neap.sleep(0.01)
      assert.fails("ECANCELED", task:cancel():join())
      assert.equal(fds, helper.count_fds())
    end)
  end)

  it("raises on what cannot be meant", function()
    refuses("unknown option 'cuont'", function() icmp.ping("127.0.0.1", { cuont = 1 }) end)
    refuses("option 'count' must be", function() icmp.ping("127.0.0.1", { count = 0 }) end)
    refuses("option 'ttl' must be an integer from 1 to 255", function() icmp.ping("127.0.0.1", { ttl = 0 }) end)
    refuses("exclude each other", function() icmp.ping("127.0.0.1", { size = 1, payload = "" }) end)
    refuses("option 'size' must be at most 65507", function() icmp.pings("127.0.0.1", { size = 65508 }) end)
    refuses("at most 65507", function() icmp.pings("127.0.0.1", { payload = ("x"):rep(65500) }) end)
    refuses("option 'bind' is no address of the family", function()
      icmp.ping("127.0.0.1", { bind = "127.0.0.1", family = "inet6" })
    end)
    refuses("the list of hosts is empty", function() icmp.ping {} end)
    refuses("host or list of hosts expected", function() icmp.ping(1) end)
    refuses("bad argument #1 (host expected", function() icmp.ping { "127.0.0.1", 2 } end)
    refuses("bad argument #1", function() icmp.ping "a\0b" end)
    refuses("option 'method' must be", function() icmp.traceroute("127.0.0.1", { method = "igmp" }) end)
    refuses("'first_ttl' must be at most", function() icmp.traceroute("127.0.0.1", { first_ttl = 3, max_ttl = 2 }) end)
    refuses("option 'max_ttl' must be", function() icmp.traceroute("127.0.0.1", { max_ttl = 256 }) end)
    refuses("not as many ports", function() icmp.traceroute("127.0.0.1", { port = 65500 }) end)
    refuses("not for the method icmp", function() icmp.traceroute("127.0.0.1", { method = "icmp", port = 1 }) end)
    refuses("option 'port' must be", function() icmp.path_mtu("127.0.0.1", { port = 65536 }) end)
    refuses("\"udp\" or \"icmp\"", function() icmp.path_mtu("127.0.0.1", { method = "tcp" }) end)
    refuses("bad argument #1", function() icmp.path_mtu "" end)
  end)
end)

describe("icmp.ping over a router", function()
  it("is answered as ping is", function()
    need_lab()
    at(lab.client, function()
      local r = assert(icmp.ping("10.77.2.1", { count = 2, interval = 0.01 }))
      assert.same({ 2, "10.77.2.1", 63 }, { r.received, r[1].from, r[1].ttl })
      local six = assert(icmp.ping("fd77:2::1", { count = 2, interval = 0.01 }))
      assert.same({ 2, "fd77:2::1", 63 }, { six.received, six[2].from, six[2].ttl })
    end)
    helper.need_program "ping"
    local out = lab.client:run "ping -n -c 2 -i 0.01 10.77.2.1"
    assert.is_truthy(out:find("64 bytes from 10.77.2.1: icmp_seq=1 ttl=63", 1, true), out)
  end)

  it("knows link-local addresses with their zone, and groups of which many answer", function()
    need_lab()
    at(lab.client, function()
      local link_local = lab.router:run "ip -6 -o addr show near scope link":match "fe80::[%x:]+"
      local r = assert(icmp.ping(link_local .. "%eth0"))
      assert.equal(1, r.received)
      assert.equal(r[1].ip, r[1].from)
      local group = assert(icmp.ping("ff02::1%eth0", fast()))
      assert.is_true(group.received == 1 and group.duplicates >= 1) -- ourselves and the router
      assert.equal(group.duplicates, group[1].duplicates)
      lab.server:sysctl("ipv4/icmp_echo_ignore_broadcasts", 0)
    end)
    at(lab.router, function()
      local froms = {}
      for reply in assert(icmp.pings("10.77.2.255", fast { broadcast = true, count = 1 })) do
        froms[#froms + 1] = reply.from
      end
      assert.same({ "10.77.2.1" }, froms)
    end)
  end)

  it("says by name what went wrong, and who said so", function()
    need_lab()
    lab.router:run [[
ip route add unreachable 10.77.3.1; ip route add prohibit 10.77.3.2; ip route add blackhole 10.77.3.3
ip -6 route add unreachable fd77:3::1; ip -6 route add prohibit fd77:3::2; ip -6 route add blackhole fd77:3::3]]
    at(lab.client, function()
      local function said(ip, options)
        local r = assert(icmp.ping(ip, fast(options)))
        assert.equal(0, r.received)
        assert.is_nil(r.avg)
        local reply = r[1]
        return reply.code, reply.type, reply.icmpcode, reply.message
      end
      local near <const>, near6 <const> = "from 10.77.1.254", "from fd77:1::fe"
      assert.same({ "EHOSTUNREACH", 3, 1, "destination host unreachable " .. near }, { said "10.77.3.1" })
      assert.same({ "EHOSTUNREACH", 3, 13, "packet filtered " .. near }, { said "10.77.3.2" })
      assert.same({ "ETIMEDOUT", nil, nil, "no answer from 10.77.3.3" }, { said "10.77.3.3" })
      assert.same({ "ENETUNREACH", 3, 0, "destination net unreachable " .. near }, { said "10.77.3.4" })
      assert.same({ "EHOSTUNREACH", 11, 0, "time to live exceeded " .. near }, { said("10.77.2.1", { ttl = 1 }) })
      assert.same({ "ENETUNREACH", 1, 0, "no route to the destination " .. near6 }, { said "fd77:3::4" })
      assert.same({ "EACCES", 1, 1, "destination prohibited " .. near6 }, { said "fd77:3::2" })
      assert.same({ "ETIMEDOUT", nil, nil, "no answer from fd77:3::3" }, { said "fd77:3::3" })
      assert.same({ "EHOSTUNREACH", 3, 0, "hop limit exceeded " .. near6 }, { said("fd77:2::1", { ttl = 1 }) })
      local all = assert(icmp.ping({ "10.77.2.1", "10.77.3.3", "fd77:2::1", "fd77:3::2" }, fast {
        count = 20, interval = 0,
      }))
      assert.same({ 20, 0, 0 }, { all["10.77.2.1"].received, all["10.77.2.1"].lost, all["10.77.2.1"].errors })
      assert.same({ 0, 20, 0 }, { all["10.77.3.3"].received, all["10.77.3.3"].lost, all["10.77.3.3"].errors })
      assert.same({ 20, 20 }, { all["fd77:2::1"].received, all["fd77:3::2"].errors })
    end)
  end)

  it("tells what the own system refuses", function()
    need_lab()
    lab.client:run "ip route add unreachable 10.77.4.0/24"
    at(lab.client, function()
      local reply = assert(icmp.ping "10.77.4.1")[1]
      assert.equal("EHOSTUNREACH", reply.code)
      assert.is_nil(reply.from)
      reply = assert(icmp.ping("10.77.2.1", { size = 1473, dont_fragment = true }))[1]
      assert.same({ "EMSGSIZE", 1500 }, { reply.code, reply.mtu })
      assert.equal(1473, assert(icmp.ping("10.77.2.1", { size = 1473, dont_fragment = false }))[1].size)
    end)
  end)

  it("counts what is lost, and learns the MTU from the router", function()
    need_lab()
    netns.need_drop()
    local whole <close> = helper.defer(function()
      lab.router:keep()
      lab.router:mtu(1500, "far")
    end)
    lab.router:drop { hook = "forward", every = 4, match = "ip daddr 10.77.2.1" }
    lab.router:mtu(1400, "far")
    at(lab.client, function()
      local r = assert(icmp.ping("10.77.2.1", fast { count = 12, interval = 0.001 }))
      assert.same({ 12, 9, 3 }, { r.sent, r.received, r.lost })
      for i, reply in ipairs(r) do assert.equal(i % 4 == 1 and "ETIMEDOUT" or nil, reply.code) end
      local six = assert(icmp.ping("fd77:2::1", fast { size = 1400, dont_fragment = true }))[1]
      assert.same({ "EMSGSIZE", 1400, 2, "fd77:1::fe" }, { six.code, six.mtu, six.type, six.from })
    end)
  end)

  -- The server's kernel is silent, and we answer for it.
  local function with_answerer(answer, body)
    need_lab()
    lab.server:sysctl("ipv4/icmp_echo_ignore_all", 1)
    local normal <close> = helper.defer(function() lab.server:sysctl("ipv4/icmp_echo_ignore_all", 0) end)
    at(lab.client, function()
      local sock <close> = lab.server:inside(raw.open, "icmp", { icmp_types = { 8 } })
      local answerer <close> = neap.spawn(function()
        while true do
          local data, from = sock:receive()
          if not data then return end
          answer(data:sub(21), function(bytes, to) assert(sock:sendto(bytes, to or from)) end)
        end
      end)
      body()
      answerer:cancel()
    end)
  end

  local function echo_reply(id, sequence, payload)
    local checksum <const> = require "neap.icmp.echo".checksum
    local head <const> = string.pack(">BBI2I2I2", 0, 0, 0, id, sequence)
    return string.pack(">BBI2I2I2", 0, 0, checksum(head .. payload), id, sequence) .. payload
  end

  it("counts duplicates", function()
    with_answerer(function(request, send)
      local id, sequence, n = (">I2I2"):unpack(request, 5)
      for _ = 1, 3 do send(echo_reply(id, sequence, request:sub(n))) end
    end, function()
      local r = assert(icmp.ping("10.77.2.1", { count = 3, interval = 0.05 }))
      assert.same({ 3, 3 }, { r.received, #r })
      assert.equal(2, r[1].duplicates)
      assert.is_true(r.duplicates >= 4) -- those of the last may come too late
      local seen = 0
      for reply in assert(icmp.pings("10.77.2.1", { count = 3, interval = 0.05 })) do
        if reply.duplicate then seen = seen + 1 end
      end
      assert.is_true(seen >= 4)
    end)
  end)

  it("tells of damaged answers, and where", function()
    local kind
    with_answerer(function(request, send)
      local id, sequence, n = (">I2I2"):unpack(request, 5)
      local payload = request:sub(n)
      if kind == "flipped" then payload = payload:sub(1, 19) .. "\255" .. payload:sub(21) end
      if kind == "short" then payload = payload:sub(1, 30) end
      if kind == "long" then payload = payload .. "x" end
      send(echo_reply(id, sequence, payload))
    end, function()
      for name, place in pairs { flipped = 20, short = 31, long = 57 } do
        kind = name
        local r = assert(icmp.ping "10.77.2.1")
        assert.same({ 1, 1, place }, { r.received, r.damaged, r[1].damaged })
      end
    end)
  end)

  it("takes nothing for an answer that is none", function()
    with_answerer(function(request, send)
      local id, sequence, n = (">I2I2"):unpack(request, 5)
      local payload = request:sub(n)
      local good = echo_reply(id, sequence, payload)
      send(echo_reply(id, (sequence + 1) & 0xffff, payload)) -- what was not asked yet
      send(echo_reply(id ~ 1, sequence, payload))            -- another program
      send(echo_reply(id, sequence, ("\0"):rep(8) .. payload:sub(9))) -- without the cookie
      send(echo_reply(id, sequence, ""))
      send(good:sub(1, 2) .. "\0\1" .. good:sub(5))           -- a wrong checksum
      send(good:sub(1, 5))                                    -- half a header
      send(string.pack(">BBI2I2I2", 3, 1, 0xfcfe, 0, 0))      -- an error about nothing
    end, function()
      local r = assert(icmp.ping("10.77.2.1", fast()))
      assert.same({ 0, 1, "ETIMEDOUT" }, { r.received, r.lost, r[1].code })
    end)
  end)

  it("knows an answer that comes late", function()
    with_answerer(function(request, send)
      local id, sequence, n = (">I2I2"):unpack(request, 5)
      if (sequence & 1) == 0 then neap.sleep(0.03) end -- every other, and so those behind it
      send(echo_reply(id, sequence, request:sub(n)))
    end, function()
      local r = assert(icmp.ping("10.77.2.1", { count = 4, interval = 0.05, timeout = 0.015 }))
      assert.equal(4, r.received + r.lost)
      assert.equal(r.lost > 0, r.late > 0)
    end)
  end)
end)

describe("icmp.traceroute", function()
  for _, method in ipairs { "udp", "icmp", "tcp" } do
    it(("by %s finds the loopback at once"):format(method), function()
      if method ~= "udp" then need_icmp() end
      in_task(function()
        for _, ip in ipairs { "127.0.0.1", helper.is_ipv6() and "::1" or nil } do
          local hops = hops_of(ip, { method = method })
          assert.same({ 1, 1, true, ip, 3 }, { #hops, hops[1].ttl, hops[1].reached, hops[1].ip, #hops[1].probes })
          for _, probe in ipairs(hops[1].probes) do
            assert.equal(ip, probe.ip)
            assert.is_true(probe.rtt > 0 and probe.rtt < 1)
            assert.is_nil(probe.error)
          end
        end
      end)
    end)

    it(("by %s shows the way as traceroute does"):format(method), function()
      need_lab()
      at(lab.client, function()
        local hops = hops_of("10.77.2.1", fast { method = method })
        assert.equal("10.77.1.254 10.77.2.1", ips(hops))
        assert.same({ false, true }, { hops[1].reached, hops[2].reached })
        assert.equal("fd77:1::fe fd77:2::1", ips(hops_of("fd77:2::1", fast { method = method })))
        assert.equal("10.77.2.1", ips(hops_of("10.77.2.1", fast {
          method = method, first_ttl = 2, queries = 1, parallel = 1,
        })))
        assert.equal("10.77.1.254", ips(hops_of("10.77.2.1", fast { method = method, max_ttl = 1, queries = 10 })))
      end)
      helper.need_program "traceroute"
      local flag = ({ udp = "", icmp = "-I", tcp = "-T" })[method]
      local out = lab.client:run(("traceroute -n -q 1 -w 1 %s 10.77.2.1"):format(flag))
      local theirs = {}
      for ip in out:gsub("^[^\n]*\n", ""):gmatch "%d+%s+(%d+%.[%d.]+)" do theirs[#theirs + 1] = ip end
      assert.equal("10.77.1.254 10.77.2.1", table.concat(theirs, " "))
    end)

    it(("by %s marks errors as traceroute does"):format(method), function()
      need_lab()
      lab.router:run [[
ip route replace unreachable 10.77.3.1; ip route replace prohibit 10.77.3.2; ip route replace blackhole 10.77.3.3
ip -6 route replace prohibit fd77:3::2]]
      at(lab.client, function()
        local function mark(ip)
          -- A router spends one error a second on each host, after the first few.
          local hops = hops_of(ip, fast { method = method, max_ttl = 3, queries = 1, parallel = 1 })
          local probe = hops[1].probes[1]
          return #hops, probe and probe.error, probe and probe.code, hops[1].reached
        end
        assert.same({ 1, "!H", "EHOSTUNREACH", false }, { mark "10.77.3.1" })
        assert.same({ 1, "!X", "EHOSTUNREACH", false }, { mark "10.77.3.2" })
        assert.same({ 1, "!N", "ENETUNREACH", false }, { mark "10.77.3.4" })
        assert.same({ 1, "!X", "EACCES", false }, { mark "fd77:3::2" })
        local silent = hops_of("10.77.3.3", fast { method = method, max_ttl = 2, timeout = 0.1 })
        assert.equal("* *", ips(silent))
        assert.same({ false, false, false }, silent[2].probes)
      end)
    end)
  end

  it("tells where packets are too long", function()
    need_lab()
    local whole <close> = helper.defer(function() lab.router:mtu(1500, "far") end)
    lab.router:mtu(1400, "far")
    at(lab.client, function()
      local hops = hops_of("10.77.2.1", fast { size = 1450, dont_fragment = true, first_ttl = 2, queries = 1 })
      assert.same({ "!F-1400", 1400, "10.77.1.254" }, { hops[1].probes[1].error, hops[1].probes[1].mtu, hops[1].ip })
    end)
  end)

  it("by tcp tells open ports from closed ones, and leaves no connection behind", function()
    need_lab()
    at(lab.client, function()
      local listener <close> = lab.server:inside(tcp.listen, "10.77.2.1", 80)
      local accepted = false
      local accepting <close> = neap.spawn(function() accepted = listener:accept() end)
      local hops = hops_of("10.77.2.1", fast { method = "tcp" })
      for _, probe in ipairs(hops[2].probes) do assert.equal("open", probe.state) end
      hops = hops_of("10.77.2.1", fast { method = "tcp", port = 81 })
      for _, probe in ipairs(hops[2].probes) do assert.equal("closed", probe.state) end
      neap.sleep(0.02)
      assert.is_false(accepted)
      accepting:cancel()
    end)
    if helper.has_program "ss" then
      assert.equal("", lab.server:run "ss -Htn state syn-recv")
      assert.equal("", lab.server:run "ss -Htn state established")
    end
  end)

  it("takes an answer by UDP for an arrival, too", function()
    need_lab()
    at(lab.client, function()
      local answering = {}
      for i = 1, 12 do
        local s = lab.server:inside(udp.open, "10.77.2.1", 33433 + i)
        answering[i] = neap.spawn(function()
          local sock <close> = s
          local data, ip, port = sock:receive()
          if data then sock:sendto("here", ip, port) end
        end)
      end
      local hops = hops_of("10.77.2.1", fast { parallel = 6 })
      assert.equal("10.77.1.254 10.77.2.1", ips(hops))
      assert.is_true(hops[2].reached)
      for _, task in ipairs(answering) do task:cancel() end
    end)
  end)

  it("goes on where every second answer is lost", function()
    need_lab()
    netns.need_drop()
    local whole <close> = helper.defer(function() lab.router:keep() end)
    lab.router:drop { hook = "output", every = 2, match = "icmp type time-exceeded" }
    at(lab.client, function()
      local hops = hops_of("10.77.2.1", fast { queries = 4, timeout = 0.1 * helper.slow })
      assert.equal("10.77.1.254 10.77.2.1", ips(hops))
      local lost = 0
      for _, probe in ipairs(hops[1].probes) do if not probe then lost = lost + 1 end end
      assert.equal(2, lost)
    end)
  end)

  it("fails when nothing can be sent, and cleans up after a break", function()
    need_lab()
    lab.client:run "ip route replace unreachable 10.77.4.0/24"
    at(lab.client, function()
      local fds = helper.count_fds()
      assert.fails("EHOSTUNREACH", icmp.traceroute "10.77.4.1")
      assert.fails("EHOSTUNREACH", icmp.traceroute("10.77.4.1", { method = "icmp" }))
      assert.fails("EHOSTUNREACH", icmp.traceroute("10.77.4.1", { method = "tcp" }))
      for _, method in ipairs { "udp", "tcp" } do
        for hop in icmp.traceroute("10.77.2.1", { method = method }) do
          if hop.ttl == 1 then break end
        end
      end
      assert.equal(fds, helper.count_fds())
      unknown(icmp.traceroute "nobody.invalid")
    end)
  end)
end)

describe("icmp.path_mtu", function()
  it("is the loopback's own", function()
    in_task(function()
      local mtu, who, how = assert(icmp.path_mtu "127.0.0.1")
      assert.same({ 65535, nil, "interface" }, { mtu, who, how })
      assert.equal(1400, (icmp.path_mtu("127.0.0.1", { max = 1400 })))
      if helper.is_ipv6() then assert.equal(65536, (icmp.path_mtu "::1")) end
    end)
  end)

  it("is what the narrowest router says", function()
    need_lab()
    local whole <close> = helper.defer(function() lab.router:mtu(1500, "far") end)
    at(lab.client, function()
      for _, method in ipairs { "udp", "icmp" } do
        lab.router:mtu(1500, "far")
        assert.same({ 1500, nil, "interface" }, { icmp.path_mtu("10.77.2.1", { method = method }) })
        lab.router:mtu(1337, "far")
        assert.same({ 1337, "10.77.1.254", "icmp" }, { icmp.path_mtu("10.77.2.1", { method = method }) })
        assert.same({ 1337, "fd77:1::fe", "icmp" }, { icmp.path_mtu("fd77:2::1", { method = method }) })
      end
    end)
  end)

  it("is searched for where routers are silent", function()
    need_lab()
    netns.need_drop()
    local whole <close> = helper.defer(function()
      lab.router:keep()
      lab.router:mtu(1500, "far")
    end)
    lab.router:mtu(1430, "far")
    lab.router:run [[
nft add table inet neap
nft add chain inet neap output '{ type filter hook output priority 0; }'
nft add rule inet neap output icmp type destination-unreachable drop
nft add rule inet neap output icmpv6 type packet-too-big drop]]
    at(lab.client, function()
      local options = { timeout = 0.03 * helper.slow, tries = 1 }
      assert.same({ 1428, nil, "search" }, { icmp.path_mtu("10.77.2.1", options) })
      options.method = "icmp"
      assert.same({ 1428, nil, "search" }, { icmp.path_mtu("fd77:2::1", options) })
    end)
  end)

  it("fails where nobody answers, and says who refuses", function()
    need_lab()
    lab.router:run "ip route replace blackhole 10.77.3.3; ip route replace unreachable 10.77.3.1"
    at(lab.client, function()
      assert.fails("ETIMEDOUT", icmp.path_mtu("10.77.3.3", { timeout = 0.02, tries = 2 }))
      local _, why, code = icmp.path_mtu "10.77.3.1"
      assert.same({ "path_mtu 10.77.3.1: destination host unreachable from 10.77.1.254", "EHOSTUNREACH" },
        { why, code })
    end)
  end)
end)

describe("without privilege", function()
  local PREFIX <const> = "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all "

  local function lua(code)
    return ("%s env LUA_PATH=%s LUA_CPATH=%s %s -e %s"):format(PREFIX, helper.quote(package.path),
      helper.quote(package.cpath), helper.lua, helper.quote(code))
  end

  local function need_nobody()
    need_lab()
    helper.need_program "setpriv"
    helper.need((pcall(lab.client.run, lab.client, lua "require 'neap.core'")), "needs a build that nobody can read")
  end

  it("UDP is enough for traceroute and path_mtu", function()
    need_nobody()
    lab.client:sysctl("ipv4/ping_group_range", "1 0")
    local out = lab.client:run(lua [[
      local icmp = require "neap.icmp"
      for hop in assert(icmp.traceroute("10.77.2.1", { timeout = 1 })) do io.write(hop.ip, " ") end
      for hop in assert(icmp.traceroute("fd77:2::1", { timeout = 1 })) do io.write(hop.ip, " ") end
      io.write((icmp.path_mtu "10.77.2.1"))
    ]])
    assert.equal("10.77.1.254 10.77.2.1 fd77:1::fe fd77:2::1 1500", out)
  end)

  it("ping needs the group to be allowed, and else says what would help", function()
    need_nobody()
    local code <const> = lua [[
      local icmp = require "neap.icmp"
      for _, ip in ipairs { "10.77.2.1", "fd77:2::1" } do
        local r, why, code = icmp.ping(ip, { count = 2, interval = 0.01 })
        print(r and r.received or code, why)
        if r then print(icmp.ping(ip, { ttl = 1 })[1].message) end
        if r then for hop in icmp.traceroute(ip, { method = "icmp" }) do print(hop.ip) end end
      end
      local all, why = icmp.ping { "10.77.2.1", "fd77:2::1" }
      print(all and "both" or why)
      print(select(3, icmp.traceroute("10.77.2.1", { method = "tcp" })))
    ]]
    lab.client:sysctl("ipv4/ping_group_range", "1 0")
    local out = lab.client:run(code)
    assert.equal(3, select(2, out:gsub("CAP_NET_RAW", "")) - select(2, out:gsub("traceroute[^\n]*CAP_NET_RAW", "")))
    assert.is_truthy(out:find("net.ipv4.ping_group_range", 1, true), out)
    assert.is_truthy(out:find("EPERM\n$"), out)
    lab.client:sysctl("ipv4/ping_group_range", "0 2147483647")
    out = lab.client:run(code)
    assert.equal([[
2	nil
time to live exceeded from 10.77.1.254
10.77.1.254
10.77.2.1
2	nil
hop limit exceeded from fd77:1::fe
fd77:1::fe
fd77:2::1
both
EPERM
]], out)
  end)

  it("as root by raw sockets, where ping's are refused", function()
    need_lab()
    local again <close> = helper.defer(function() lab.client:sysctl("ipv4/ping_group_range", "0 2147483647") end)
    lab.client:sysctl("ipv4/ping_group_range", "1 0")
    at(lab.client, function()
      local all = assert(icmp.ping({ "10.77.2.1", "fd77:2::1", "10.77.3.9" }, fast { count = 2, interval = 0.01 }))
      assert.same({ 2, 2 }, { all["10.77.2.1"].received, all["fd77:2::1"].received })
      assert.equal("ENETUNREACH", all["10.77.3.9"][2].code)
      assert.equal("time to live exceeded from 10.77.1.254", assert(icmp.ping("10.77.2.1", { ttl = 1 }))[1].message)
      assert.equal("10.77.1.254 10.77.2.1", ips(hops_of("10.77.2.1", fast { method = "icmp" })))
      assert.equal("fd77:1::fe fd77:2::1", ips(hops_of("fd77:2::1", fast { method = "icmp" })))
    end)
  end)
end)
