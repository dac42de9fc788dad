-- The kernel's SCTP against other programs, our own stack, and bad networks.
-- modules: sctp veth sch_netem udp_tunnel
-- programs: sh ip tc sctp_test ncat iperf3
local neap = require "neap"
local sctp = require "neap.sctp"

local function has(program) return os.execute(("command -v %s >/dev/null"):format(program)) end

local function sh(command)
  local pipe = assert(io.popen(("{ %s\n} 2>&1 </dev/null"):format(command)))
  local out = pipe:read "a"
  return pipe:close() == true, out
end

local function must(command)
  local ok, out = sh(command)
  if not ok then error(command .. "\n" .. out, 2) end
  return out
end

local function same(wanted, got, what)
  if wanted ~= got then error(("%s: %s instead of %s"):format(what or "value", got, wanted), 2) end
end

local function fails_with(code, value, why, got)
  if value ~= nil or got ~= code then error(("%s %s %s instead of %s"):format(value, why, got, code), 2) end
end

-- In the background; ends by itself, or with the machine.
local function start(command) os.execute(("{ %s\n} >/tmp/peer.log 2>&1 &"):format(command)) end

local function log()
  local file <close> = io.open "/tmp/peer.log"
  return file and file:read "a" or ""
end

-- Until a program listens.
local function connect(host, port, o)
  for _ = 1, 200 do
    local conn = sctp.connect(host, port, o)
    if conn then return conn end
    neap.sleep(0.05)
  end
  error("nobody listens: " .. log(), 2)
end

local quick <const> = { initial = 0.2, min = 0.1, max = 0.5 }

-- Numbered messages on four streams, each way; whole, in order, none doubled.
local function exchange(a, b, count)
  local next_of = { [0] = 1, 1, 1, 1 }
  local sender = neap.spawn(function()
    for i = 1, count do assert(a:send(("%d %s"):format(i // 4 + 1, ("x"):rep(i * 7 % 3000)), { stream = i % 4 })) end
  end)
  for i = 1, count do
    local data, info = assert(b:receivemsg())
    local number <const>, rest <const> = data:match "^(%d+) (x*)$"
    local wanted <const> = next_of[info.stream]
    -- stream 0 begins with number 4 // 4 + 1
    local first <const> = info.stream == 0 and 1 or 0
    same(wanted + first, math.tointeger(tonumber(number)), "number on stream " .. info.stream)
    same(((wanted - 1 + first) * 4 + info.stream) * 7 % 3000, #rest, "length of message " .. i)
    next_of[info.stream] = wanted + 1
  end
  sender:join()
end

local function echo_pair(o)
  local options = { timeout = 30, rto = quick, init = { streams_out = 4, streams_in = 4 } }
  for name, value in pairs(o or {}) do options[name] = value end
  return assert(sctp.pair(options))
end

local cases, order = {}, {}
local function case(name, fn)
  cases[name] = fn
  order[#order + 1] = name
end

-- ---- programs ----

case("sctp_test sends to us", function()
  if not has "sctp_test" then return "needs sctp_test" end
  local listener <close> = assert(sctp.listen("127.0.0.1", 0, { timeout = 10 }))
  local _, port = listener:getsockname()
  start(("sctp_test -H 127.0.0.1 -P %d -h 127.0.0.1 -p %d -s -x 2 -c 1"):format(port + 1, port))
  local conn <close> = assert(listener:accept())
  local count, bytes = 0, 0
  while true do
    local data, _, code = conn:receivemsg()
    if not data then
      same("EOF", code)
      break
    end
    count, bytes = count + 1, bytes + #data
  end
  assert(count >= 2, count)
  print(("    %d messages, %d bytes"):format(count, bytes))
end)

case("sctp_test receives from us", function()
  if not has "sctp_test" then return "needs sctp_test" end
  start "sctp_test -H 127.0.0.1 -P 7011 -l"
  local conn <close> = connect("127.0.0.1", 7011, { timeout = 5 })
  for i = 1, 100 do assert(conn:send(("message %d"):format(i), { stream = i % 10, ppid = i })) end
  assert(conn:close())
  neap.sleep(0.5)
  local said <const> = log()
  same(100, select(2, said:gsub("Data %d+ bytes", "")), "messages")
end)

case("ncat connects to us", function()
  if not has "ncat" then return "needs ncat" end
  local listener <close> = assert(sctp.listen("127.0.0.1", 0, { timeout = 10 }))
  local _, port = listener:getsockname()
  start(("(echo hello from ncat; sleep 1) | ncat --sctp 127.0.0.1 %d"):format(port))
  local conn <close> = assert(listener:accept())
  same("hello from ncat", conn:read())
  assert(conn:write "and back\n")
  fails_with("EOF", conn:read())
  same("and back\n", log())
end)

case("ncat listens to us", function()
  if not has "ncat" then return "needs ncat" end
  start "ncat --sctp -l 127.0.0.1 7012 --exec /bin/cat"
  local conn <close> = connect("127.0.0.1", 7012, { timeout = 10 })
  assert(conn:write "there and back\n")
  same("there and back", conn:read())
end)

-- ---- our own stack ----

case("our stack connects to the kernel's", function()
  if sctp.engines().user ~= true then return "needs the user engine" end
  must "echo 9899 >/proc/sys/net/sctp/udp_port; echo 19900 >/proc/sys/net/sctp/encap_port"
  local listener <close> = assert(sctp.listen("127.0.0.1", 0, {
    engine = "kernel", timeout = 10, init = { streams_out = 4, streams_in = 4 },
  }))
  local _, port = listener:getsockname()
  local a <close> = assert(sctp.connect("127.0.0.1", port, {
    engine = "user", udp_port = 19900, encap_port = 9899, timeout = 10, init = { streams_out = 4, streams_in = 4 },
  }))
  local b <close> = assert(listener:accept())
  exchange(a, b, 400)
  exchange(b, a, 400)
  assert(a:close())
  local _, _, code = b:receivemsg()
  same("EOF", code)
end)

case("the kernel connects to our stack", function()
  if sctp.engines().user ~= true then return "needs the user engine" end
  local listener <close> = assert(sctp.listen("127.0.0.1", 0, {
    engine = "user", udp_port = 19901, timeout = 10, init = { streams_out = 4, streams_in = 4 },
  }))
  local _, port = listener:getsockname()
  local a <close> = assert(sctp.connect("127.0.0.1", port, {
    engine = "kernel", encap_port = 19901, timeout = 10, init = { streams_out = 4, streams_in = 4 },
  }))
  local b <close> = assert(listener:accept())
  exchange(a, b, 400)
  exchange(b, a, 400)
  assert(b:abort "enough")
  local _, _, code = a:receivemsg()
  same("ECONNRESET", code)
  must "echo 0 >/proc/sys/net/sctp/udp_port; echo 0 >/proc/sys/net/sctp/encap_port"
end)

-- ---- bad networks ----

local restored <const> = setmetatable({}, { __close = function() sh "tc qdisc del dev lo root" end })

local function netem(what, body)
  return function()
    if not has "tc" then return "needs tc" end
    must("tc qdisc add dev lo root netem " .. what)
    local restore <close> = restored -- luacheck: ignore 211
    return body()
  end
end

for _, bad in ipairs {
  { "loss 3% delay 2ms", 1000 }, { "loss 20%", 300 }, { "duplicate 10% delay 1ms", 500 },
  { "delay 5ms reorder 25% 50%", 500 },
} do
  case("nothing is lost or doubled with " .. bad[1], netem(bad[1], function()
    local a <close>, b = echo_pair()
    local other <close> = b -- luacheck: ignore 211
    exchange(a, b, bad[2])
    exchange(b, a, bad[2])
    assert(a:close())
    local _, _, code = b:receivemsg()
    same("EOF", code)
  end))
end

case("a peer that vanishes is a failure, in bounded time", function()
  local a <close>, b = echo_pair { association = { maxrxt = 3 }, path_maxrxt = 3 }
  local other <close> = b -- luacheck: ignore 211
  local restore <close> = restored -- luacheck: ignore 211
  must "tc qdisc add dev lo root netem loss 100%"
  assert(a:send "lost")
  local began = neap.now()
  local _, why, code = a:receivemsg()
  same("ETIMEDOUT", code, why)
  assert(neap.now() - began < 10)
end)

-- ---- two networks ----

-- Runs Lua in a namespace.
local function inside(space, text)
  local path <const> = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text) and file:flush())
  return ("ip netns exec %s timeout 40 $LUA %s"):format(space, path)
end

local function lab()
  return [[
set -e
mkdir -p /var/run/netns /run/netns
for s in a b; do ip netns add $s; ip -n $s link set lo up; done
for i in 1 2; do
  ip link add n$i netns a type veth peer name m$i netns b
  ip -n a addr add 10.$i.0.1/24 dev n$i; ip -n b addr add 10.$i.0.2/24 dev m$i
  ip -n a link set n$i up; ip -n b link set m$i up
done]]
end

local SERVER <const> = [[
local sctp, neap = require "neap.sctp", require "neap"
neap.run(function()
  local listener <close> = assert(sctp.listen({ "10.1.0.2", "10.2.0.2" }, 7020, {
    timeout = 30, rto = { initial = 0.2, min = 0.1, max = 0.5 }, path_maxrxt = 2, heartbeat = 0.5,
    events = { "association" },
  }))
  print "listening" io.stdout:flush()
  for _ = 1, 1 do
    local conn <close> = assert(listener:accept())
    while true do
      local data, info, code = conn:receivemsg()
      if not data then print("end", info, code) io.stdout:flush() break end
      if info.notification then print("event", info.notification.state) io.stdout:flush() end
      if data ~= "" then assert(conn:send(data, { stream = info.stream })) end
    end
  end
end)]]

case("traffic goes on by the other path when one dies", function()
  if not has "ip" then return "needs ip" end
  must(lab())
  start(inside("b", SERVER))
  neap.sleep(1.5)
  local out = must(inside("a", [[
local sctp, neap = require "neap.sctp", require "neap"
neap.run(function()
  local a <close> = assert(sctp.connect({ "10.1.0.2", "10.2.0.2" }, 7020, {
    bind = { "10.1.0.1", "10.2.0.1" }, timeout = 30, rto = { initial = 0.2, min = 0.1, max = 0.5 }, path_maxrxt = 2,
    heartbeat = 0.5, events = { "address" },
  }))
  local states = {}
  local function echo(i)
    assert(a:send("number " .. i))
    while true do
      local data, info = assert(a:receivemsg())
      if info.notification then
        states[info.notification.ip] = info.notification.state
      else
        return assert(data == "number " .. i, data)
      end
    end
  end
  assert(#a:sctpget "peers" == 2)
  assert(a:setprimary "10.1.0.2")
  for i = 1, 50 do echo(i) end
  os.execute "ip link set n1 down"
  for i = 51, 150 do echo(i) neap.sleep(0.01) end
  assert(states["10.1.0.2"] == "unreachable", states["10.1.0.2"])
  os.execute "ip link set n1 up"
  for i = 151, 300 do
    echo(i)
    if states["10.1.0.2"] == "available" then break end
    neap.sleep(0.02)
  end
  assert(states["10.1.0.2"] == "available", states["10.1.0.2"])
  print "failed over, and back"
end)]]))
  assert(out:find "failed over, and back", out)
end)

case("sctp_test with two addresses fails over to us", function()
  if not has "sctp_test" or not has "ip" then return "needs sctp_test and ip" end
  start "ip netns exec b sctp_test -H 10.1.0.2 -B 10.2.0.2 -P 7021 -l"
  neap.sleep(1)
  local out = must(inside("a", [[
local sctp, neap = require "neap.sctp", require "neap"
neap.run(function()
  local a <close> = assert(sctp.connect({ "10.1.0.2", "10.2.0.2" }, 7021, {
    bind = { "10.1.0.1", "10.2.0.1" }, timeout = 30, rto = { initial = 0.2, min = 0.1, max = 0.5 }, path_maxrxt = 2,
    events = { "sender_dry" },
  }))
  assert(#a:sctpget "peers" == 2)
  os.execute "ip link set n1 down"
  for i = 1, 20 do assert(a:send("number " .. i)) end
  repeat
    local _, info = assert(a:receivemsg())
  until info.notification and info.notification.type == "sender_dry"
  os.execute "ip link set n1 up"
  print "all acknowledged"
end)]]))
  assert(out:find "all acknowledged", out)
end)

case("a peer that begins anew restarts the association", function()
  if not has "ip" or not has "tc" then return "needs ip and tc" end
  start(inside("b", (SERVER:gsub("heartbeat = 0.5", "heartbeat = false")))) -- it would find out
  neap.sleep(1.5)
  local CLIENT <const> = [[
local sctp, neap = require "neap.sctp", require "neap"
neap.run(function()
  local a <close> = assert(sctp.connect("10.1.0.2", 7020, { bind = "10.1.0.1:7030", timeout = 10 }))
  assert(a:send "hello")
  assert(a:receivemsg() == "hello")
  print "echoed" io.stdout:flush()
  %s
end)]]
  -- The first dies, and nobody hears of it.
  must(inside("a", CLIENT:format [[
    for i = 1, 2 do os.execute(("tc qdisc add dev n%d root netem loss 100%%"):format(i)) end
    a:abort()]]))
  neap.sleep(0.5)
  must "ip netns exec a tc qdisc del dev n1 root; ip netns exec a tc qdisc del dev n2 root"
  must(inside("a", CLIENT:format ""))
  neap.sleep(0.5)
  assert(log():find "restart", log())
end)

-- ---- how fast ----

-- Told, and not asked for: the machine is emulated, and others work beside it.
case("how fast, beside iperf3", function()
  if not has "iperf3" then return "needs iperf3" end
  must "ip link set lo mtu 1500"
  start "iperf3 -s -1 -p 7040"
  neap.sleep(1)
  local out = must "timeout 20 iperf3 -c 127.0.0.1 --sctp -p 7040 -t 3 -f m"
  local theirs = tonumber(out:match "([%d.]+) Mbits/sec[^\n]*receiver") or 0
  local a <close>, b = assert(sctp.pair { timeout = 20, pmtu = 1500 })
  local other <close> = b -- luacheck: ignore 211
  local block <const>, stop <const> = ("x"):rep(65536), neap.now() + 3
  local writer = neap.spawn(function()
    while neap.now() < stop do assert(a:write(block)) end
    assert(a:shutdown "w")
  end)
  local began, bytes = neap.now(), 0
  for part in function() return (b:receive()) end do bytes = bytes + #part end
  writer:join()
  local ours <const> = bytes * 8 / (neap.now() - began) / 1e6
  print(("    iperf3 (two processes) %.0f Mbit/s, neap (one) %.0f Mbit/s: %.2f"):format(theirs, ours, ours / theirs))
  assert(ours > 0 and theirs > 0)
end)

local bad = 0
for _, name in ipairs(order) do
  local began <const> = neap.now()
  local ok, why = pcall(neap.run, function()
    local result, message, code = neap.timeout(60, cases[name])
    if code == "ETIMEDOUT" then error(message) end
    return result
  end)
  if not ok then bad = bad + 1 end
  print(("  %s: %s (%.1f s)"):format(name, ok and (why and "skipped: " .. why or "ok") or "FAILED: " .. tostring(why),
    neap.now() - began))
end
os.exit(bad == 0)
