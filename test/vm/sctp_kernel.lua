-- The kernel's engine by itself: streams, messages, options, notifications.
-- modules: sctp hmac sha1_generic sha256_generic
local neap = require "neap"
local sctp = require "neap.sctp"

local function same(wanted, got, what)
  if wanted ~= got then error(("%s: %s instead of %s"):format(what or "value", got, wanted), 2) end
end

local function fails(code, value, why, got)
  if value ~= nil or got ~= code then error(("%s %s %s instead of %s"):format(value, why, got, code), 2) end
end

local function pair(o)
  local a, b = assert(sctp.pair(o or { timeout = 10 }))
  return a, b
end

local cases = {}

function cases.bytes()
  local a <close>, b = pair()
  local other <close> = b -- luacheck: ignore 211
  assert(a:write "one\ntwo\n")
  same("one", b:read())
  assert(b:write "back\n")
  same("back", a:read())
  same("two", b:read())
  assert(a:close())
  fails("EOF", b:read())
end

function cases.messages()
  local a <close>, b = pair { timeout = 10, init = { streams_out = 20, streams_in = 20 } }
  local other <close> = b -- luacheck: ignore 211
  assert(a:send("hello", { stream = 7, ppid = 51 }))
  assert(a:send("there", { stream = 7, unordered = true }))
  local data, info = assert(b:receivemsg())
  same("hello", data)
  same(7, info.stream)
  same(51, info.ppid)
  same(0, info.ssn)
  data, info = assert(b:receivemsg())
  same("there", data)
  same(true, info.unordered)
  fails("EINVAL", a:send("nowhere", { stream = 30 }))
  fails("EOPNOTSUPP", a:send("a part", { eor = false }))
  local long = ("0123456789abcdef"):rep(50000)
  local sender = neap.spawn(function() assert(a:send(long)) end)
  local got, why = b:receivemsg()
  if got ~= long then error(("%s bytes: %s"):format(got and #got, why)) end
  sender:join()
  local status = assert(a:sctpinfo())
  same("established", status.state)
  same(20, status.streams_out)
  same("127.0.0.1", status.primary.ip)
  same("kernel", status.engine)
  assert(#status.peers >= 1)
  assert(a:sctpget "statistics".packets_out > 0)
end

function cases.too_long()
  local a <close>, b = pair { timeout = 10, maxmessage = 1000 }
  local other <close> = b -- luacheck: ignore 211
  assert(a:send(("x"):rep(5000)) and a:send "next")
  local _, why, code = b:receivemsg()
  same("EMSGSIZE", code)
  assert(why:find("5000 bytes", 1, true), why)
  same("next", (b:receivemsg()))
end

function cases.options()
  local a <close>, b = pair {
    timeout = 10, rto = { initial = 0.5, min = 0.2, max = 2 }, association = { maxrxt = 4, cookie_life = 30 },
    heartbeat = 5, pmtu = 1400, nodelay = true, maxseg = 1000, sack = { delay = 0.05, frequency = 3 },
    default_send = { stream = 2, ppid = 77 }, adaptation = 42, path_maxrxt = 3, scheduler = "round_robin",
    partial_delivery_point = 5000, pr_supported = true, reconfig_supported = true,
  }
  local other <close> = b -- luacheck: ignore 211
  for _, s in ipairs { a, b } do
    local rto = assert(s:sctpget "rto")
    same(0.2, rto.min)
    same(2.0, rto.max)
    same(4, s:sctpget "association".maxrxt)
    same(5.0, s:sctpget "heartbeat")
    same(1400, s:sctpget "pmtu")
    same(true, s:sctpget "nodelay")
    same(1000, s:sctpget "maxseg")
    assert(s:sctpget "sack".delay < 0.06)
    same(77, s:sctpget "default_send".ppid)
    same(42, s:sctpget "adaptation")
    same(3, s:sctpget "path_maxrxt")
    same("round_robin", s:sctpget "scheduler")
    same(5000, s:sctpget "partial_delivery_point")
    same(true, s:sctpget "reconfig_supported")
  end
  assert(a:send "as usual")
  local _, info = assert(b:receivemsg())
  same(2, info.stream)
  same(77, info.ppid)
  assert(a:write "bytes")
  _, info = assert(b:receivemsg())
  same(2, info.stream)
  same(a, a:sctpset("heartbeat", false))
  same(false, a:sctpget "heartbeat")
  same(a, a:sctpset("nodelay", false))
  same(false, a:sctpget "nodelay")
  fails("EINVAL", a:sctpset("rto", { min = 5 }))
end

-- The next notification of a type.
local function event(s, kind)
  for _ = 1, 20 do
    local _, info, code = s:receivemsg()
    if not info or code then error(("no event %s: %s"):format(kind, info)) end
    if info.notification and info.notification.type == kind then return info.notification end
  end
end

function cases.streams_are_reset_and_added()
  local a <close>, b = pair {
    timeout = 10, events = { "stream_reset", "stream_change" }, init = { streams_out = 4, streams_in = 10 },
  }
  local other <close> = b -- luacheck: ignore 211
  for i = 0, 2 do
    assert(a:send("m" .. i, { stream = 1 }))
    same(i, (select(2, assert(b:receivemsg()))).ssn)
  end
  assert(a:resetstreams { outgoing = true, streams = { 1 } })
  local e = event(b, "stream_reset")
  assert(e.incoming and e.streams[1] == 1 and not e.failed)
  assert(event(a, "stream_reset").outgoing)
  assert(a:send("anew", { stream = 1 }))
  same(0, (select(2, assert(b:receivemsg()))).ssn)
  assert(a:addstreams { outgoing = 3 })
  e = event(a, "stream_change")
  assert(not e.failed and not e.denied)
  same(7, a:sctpinfo().streams_out)
  assert(a:send("more", { stream = 6 }))
  repeat
    local data, info = assert(b:receivemsg())
  until data == "more" and info.stream == 6
end

function cases.abort_tells_why()
  local a <close>, b = pair { timeout = 10, events = { "association" } }
  local other <close> = b -- luacheck: ignore 211
  assert(event(b, "association").state == "up")
  assert(a:abort "enough")
  same(false, a:isopen())
  local e = event(b, "association")
  same("lost", e.state)
  fails("ECONNRESET", b:receivemsg())
end

function cases.abort_is_a_failure_for_who_reads()
  local a <close>, b = pair()
  local other <close> = b -- luacheck: ignore 211
  assert(a:write "x")
  assert(a:abort())
  same("x", b:read(1))
  fails("ECONNRESET", b:read(1))
end

function cases.shutdown_says_so_at_both_ends()
  local a <close>, b = pair { timeout = 10, events = { "association", "shutdown" } }
  local other <close> = b -- luacheck: ignore 211
  assert(a:send "last")
  assert(a:shutdown "w")
  same("up", event(b, "association").state)
  same("last", (b:receivemsg()))
  event(b, "shutdown")
  same("up", event(a, "association").state)
  same("shutdown", event(a, "association").state)
  fails("EOF", a:receivemsg())
end

function cases.sender_dry()
  local a <close>, b = pair { timeout = 10, events = { "sender_dry" } }
  local other <close> = b -- luacheck: ignore 211
  assert(a:send "x")
  event(a, "sender_dry")
end

function cases.late_messages_are_given_up()
  local a <close>, b = pair { timeout = 10, events = { "send_failed" }, sndbuf = 20000, rcvbuf = 20000 }
  local other <close> = b -- luacheck: ignore 211
  local sent = 0
  a:settimeout(0)
  while a:send(("x"):rep(1000), { lifetime = 0.05 }) do sent = sent + 1 end
  assert(sent > 5, sent)
  neap.sleep(0.3)
  a:settimeout(10)
  local got, gone = 0, 0
  b:settimeout(1)
  while b:receivemsg() do got = got + 1 end
  a:settimeout(0.1)
  while true do
    local _, info = a:receivemsg()
    if type(info) ~= "table" then break end
    if info.notification and info.notification.type == "send_failed" then gone = gone + 1 end
  end
  same(sent, got + gone, "delivered and given up")
  assert(a:settimeout(5):send("goes on", { retransmissions = 3 }))
  same("goes on", (b:settimeout(5):receivemsg()))
end

function cases.authenticated()
  local o = { timeout = 10, auth = true, auth_chunks = { 0 }, hmac = { "sha256", "sha1" },
    auth_key = { number = 1, secret = "a secret of theirs" }, auth_active_key = 1 }
  local a <close>, b = pair(o)
  local other <close> = b -- luacheck: ignore 211
  assert(a:send "signed")
  same("signed", (b:receivemsg()))
  same(1, a:sctpget "auth_active_key")
  same("sha256", a:sctpget "hmac"[1])
end

function cases.nobody_there()
  local began = neap.now()
  fails("ECONNREFUSED", sctp.connect("127.0.0.1", 9, { timeout = 3 }))
  assert(neap.now() - began < 2)
  os.execute "ip addr add 198.51.100.1/32 dev lo; ip route add 192.0.2.0/24 dev lo"
  began = neap.now()
  fails("ETIMEDOUT", sctp.connect("192.0.2.1", 9, { timeout = 0.3, bind = "198.51.100.1" }))
  assert(neap.now() - began < 2)
  fails("EADDRNOTAVAIL", sctp.listen("192.0.2.1", 5000))
  fails("ENOTSUP", sctp.connect("127.0.0.1", 9, { engine = "kernel", udp_port = 5 }))
end

function cases.several_addresses()
  local listener <close> = assert(sctp.listen({ "127.0.0.1", "127.0.0.2" }, 0, { timeout = 5 }))
  local _, port = listener:getsockname()
  local a <close> = assert(sctp.connect({ "127.0.0.1", "127.0.0.2" }, port, { timeout = 5, bind = "127.0.0.1" }))
  local b <close> = assert(listener:accept())
  assert(a:write "hello\n" and b:read() == "hello")
  same(2, #a:sctpget "peers")
  same(a, a:setprimary "127.0.0.2")
  same("127.0.0.2", a:sctpget "primary")
  same("127.0.0.2", a:sctpinfo().primary.ip)
  assert(a:write "goes on\n" and b:read() == "goes on")
end

function cases.one_to_many()
  local hub <close> = assert(sctp.open("127.0.0.1", 0, { timeout = 5, events = { "association" } }))
  local _, port = hub:getsockname()
  local a <close> = assert(sctp.open("127.0.0.1", 0, { timeout = 5 }))
  local b <close> = assert(sctp.connect("127.0.0.1", port, { timeout = 5 }))
  assert(a:sendto("from a", "127.0.0.1", port))
  assert(b:send("from b", { stream = 3, ppid = 9 }))
  local from = {}
  for _ = 1, 4 do
    local data, info = assert(hub:receivemsg())
    if info.notification then
      same("up", info.notification.state)
    else
      from[data] = info
    end
  end
  same(9, from["from b"].ppid)
  same(2, #hub:associations())
  assert(hub:sendmsg("to b", { association = from["from b"].association, stream = 1 }))
  local data, info = assert(b:receivemsg())
  same("to b", data)
  same(1, info.stream)
  local peer = hub:association(from["from a"].association)
  assert(peer:send "to a")
  same("to a", (a:receive()))
  same("established", peer:sctpinfo().state)
  local peeled <close> = assert(peer:peeloff())
  same(1, #hub:associations())
  assert(a:sendto("again", "127.0.0.1", port))
  same("again", (peeled:receivemsg()))
  assert(peeled:write "bytes")
  same("bytes", (a:receive()))
  local left = hub:associations()[1]
  assert(left:abort "that is all")
  fails("ECONNRESET", b:read(1))
  fails("ECONNREFUSED", a:connect("127.0.0.1", 9))
end

local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)
local bad = 0
for _, name in ipairs(names) do
  local ok, why = pcall(neap.run, function()
    neap.timeout(20, cases[name])
  end)
  if not ok then
    bad = bad + 1
    print(("  %s: %s"):format(name, why))
  end
end
print(("sctp_kernel: %d of %d"):format(#names - bad, #names))
os.exit(bad == 0)
