--- The programs in examples/ that look at the network: ping and traceroute,
-- on the loopback and over a router, beside the system's own.
local helper <const> = require "support.helper"
local netns <const> = require "support.netns"
local raw <const> = require "neap.raw"

local quote <const> = helper.quote

local function lua(name, ...)
  local words = { ("LUA_PATH=%s LUA_CPATH=%s timeout -k 5 %d %s examples/%s"):format(quote(package.path),
    quote(package.cpath), 20 * helper.slow, quote(helper.lua), name) }
  for _, word in ipairs { ... } do words[#words + 1] = quote(word) end
  return table.concat(words, " ")
end

-- What a command prints, on both outputs, and its exit code.
local function run(command)
  local pipe = io.popen(("{ %s\n} 2>&1 </dev/null"):format(command))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  return out, code
end

local function need_icmp()
  local sock, why = raw.open "icmp"
  helper.need(sock and sock:close(), why)
end

local function has(out, ...)
  for _, text in ipairs { ... } do assert.is_truthy(out:find(text, 1, true), ("no %q in:\n%s"):format(text, out)) end
end

describe("examples/ping.lua", function()
  it("pings several hosts, prints each answer and a summary", function()
    need_icmp()
    local out, code = run(lua("ping.lua", "-c3", "-i", "0.01", "-s100", "127.0.0.1", "127.0.0.2"))
    has(out, "108 bytes from 127.0.0.1: seq=3 ttl=64 time=", "108 bytes from 127.0.0.2: seq=1 ttl=64 time=",
      "--- 127.0.0.2 ---\n3 sent, 3 received, 0 lost, 0 errors\nmin/avg/max/mdev = ")
    assert.equal(0, code)
    out, code = run(lua("ping.lua", "-qc1", "127.0.0.1"))
    assert.is_nil(out:find "bytes from")
    assert.equal(0, code)
  end)

  it("ends with its summary at a signal", function()
    need_icmp()
    local command = lua("ping.lua", "-i0.05", "-c200", "127.0.0.1"):gsub("timeout %-k 5 %d+ ", "") -- it signals twice
    local out, code = run(("%s & sleep %g; kill -TERM $!; wait $!"):format(command, 0.3 * helper.slow))
    has(out, "seq=2 ttl=64", "received, 0 lost, 0 errors")
    assert.equal(0, code)
  end)

  it("says what is wrong with its arguments and with the world", function()
    need_icmp()
    local out, code = run(lua "ping.lua")
    has(out, "usage: ping.lua")
    assert.equal(2, code)
    out, code = run(lua("ping.lua", "-c0", "127.0.0.1"))
    has(out, "option 'count' must be a positive integer")
    assert.equal(2, code)
    out, code = run(lua("ping.lua", "-c1", "-I203.0.113.1", "127.0.0.1"))
    has(out, "ping.lua: icmp: bind 203.0.113.1: ")
    assert.equal(2, code)
    out, code = run(lua("ping.lua", "-c1", "nobody.invalid", "127.0.0.1"))
    has(out, "nobody.invalid: seq=- ", "64 bytes from 127.0.0.1", "0 sent, 0 received")
    assert.equal(1, code)
  end)

  it("shows loss and errors as ping does", function()
    netns.need_drop()
    local lab <close> = netns.chain()
    lab.router:run "ip route add prohibit 10.77.3.0/24"
    lab.router:drop { hook = "forward", every = 2, match = "ip daddr 10.77.2.1" }
    local out = lab.client:inside(run, lua("ping.lua", "-c4", "-i0.01", "-W0.2", "10.77.2.1"))
    has(out, "10.77.2.1: seq=1 no answer from 10.77.2.1", "64 bytes from 10.77.2.1: seq=2 ttl=63",
      "4 sent, 2 received, 2 lost")
    out = lab.client:inside(run, lua("ping.lua", "-c1", "10.77.3.1"))
    has(out, "10.77.3.1: seq=1 packet filtered from 10.77.1.254", "0 received, 0 lost, 1 errors")
    helper.need_program "ping"
    local theirs = lab.client:inside(run, "ping -n -c 1 10.77.3.1")
    has(theirs, "From 10.77.1.254 icmp_seq=1 Packet filtered")
  end)
end)

describe("examples/traceroute.lua", function()
  it("traces the loopback, without privilege", function()
    local out, code = run(lua("traceroute.lua", "-n", "-M", "127.0.0.1"))
    assert.is_truthy(out:find "^ 1  127%.0%.0%.1 [%d.]+ ms [%d.]+ ms [%d.]+ ms\n", out)
    has(out, "path MTU: 65535, as the interface has it")
    assert.equal(0, code)
  end)

  it("says what is wrong with its arguments", function()
    for _, words in ipairs { {}, { "-x", "127.0.0.1" }, { "-f" }, { "a", "1", "2" } } do
      local out, code = run(lua("traceroute.lua", table.unpack(words)))
      has(out, "usage: traceroute.lua")
      assert.equal(2, code)
    end
    local out, code = run(lua("traceroute.lua", "-m0", "127.0.0.1"))
    has(out, "option 'max_ttl' must be an integer from 1 to 255")
    assert.equal(2, code)
  end)

  it("prints what traceroute prints", function()
    netns.need_drop()
    local lab <close> = netns.chain()
    lab.router:run [[
ip route add 10.77.3.0/24 via 10.77.2.1
nft add table inet neap
nft add chain inet neap forward '{ type filter hook forward priority 0; }'
nft add rule inet neap forward ip daddr 10.77.3.1 reject with icmp type admin-prohibited
nft add rule inet neap forward ip daddr 10.77.3.2 reject with icmp type host-unreachable]]
    lab.router:mtu(1400, "far")
    local function shape(out) -- without times, and their first line
      return (out:gsub("^traceroute to [^\n]*\n", ""):gsub("[%d.]+ ms", "t"):gsub(" +", " "))
    end
    local theirs_too <const> = helper.has_program "traceroute"
    for _, words in ipairs {
      { "-n", "10.77.2.1" }, { "-n", "-I", "10.77.2.1" }, { "-n", "-T", "10.77.2.1" }, { "-n", "fd77:2::1" },
      { "-n", "-q1", "10.77.3.1" }, { "-n", "-q1", "10.77.3.2" }, { "-n", "-q1", "-F", "10.77.2.1", "1450" },
    } do
      local out = shape((lab.client:inside(run, lua("traceroute.lua", table.unpack(words)))))
      if theirs_too then
        assert.equal(shape((lab.client:inside(run, "traceroute -w 1 " .. table.concat(words, " ")))), out)
      end
    end
    local out = lab.client:inside(run, lua("traceroute.lua", "-nM", "10.77.2.1"))
    has(out, "path MTU: 1400, says 10.77.1.254")
  end)
end)
