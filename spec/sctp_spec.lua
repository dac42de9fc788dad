--- SCTP: what needs no kernel that has it: options, misuse, addresses, what is
-- missing; and, where there is an engine, what both have in common.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local sctp <const> = require "neap.sctp"
local tcp <const> = require "neap.tcp"

local in_task <const> = helper.in_task

local engine <const> = sctp.engine()

-- The user engine's listeners have a UDP port, too.
local function listen(options)
  local o <const> = { timeout = 5, udp_port = engine == "user" and 0 or nil }
  for name, value in pairs(options or {}) do o[name] = value end
  local listener = assert(sctp.listen("127.0.0.1", 0, o))
  local _, port <const>, udp_port <const> = listener:getsockname()
  return listener, port, udp_port
end

describe("the options of SCTP", function()
  for _, case in ipairs {
    { { nodealy = true }, "unknown option 'nodealy'" },
    { { engine = "linux" }, "option 'engine' must be \"kernel\" or \"user\"" },
    { { carrier = "ip" }, "option 'carrier'" },
    { { udp_port = 70000 }, "option 'udp_port'" },
    { { encap_port = -1 }, "option 'encap_port'" },
    { { timeout = "soon" }, "option 'timeout'" },
    { { rto = 5 }, "option 'rto' must be a table" },
    { { rto = { least = 5 } }, "option 'rto' has no field 'least'" },
    { { rto = { min = 2, max = 1 } }, "option 'rto' must have min <= initial <= max" },
    { { rto = { initial = 0 } }, "option 'rto'.initial must be a number of seconds" },
    { { init = { streams_out = 0 } }, "option 'init'.streams_out must be an integer" },
    { { init = { streams_in = 65536 } }, "option 'init'.streams_in" },
    { { heartbeat = true }, "option 'heartbeat' must be a number of seconds, or false" },
    { { pmtu = 100 }, "option 'pmtu'" },
    { { sack = { delay = 1 } }, "option 'sack'.delay" },
    { { events = "association" }, "option 'events'" },
    { { events = { "everything" } }, "option 'events'" },
    { { hmac = { "md5" } }, "option 'hmac'" },
    { { auth_chunks = { 256 } }, "option 'auth_chunks'" },
    { { auth_key = { secret = 5 } }, "option 'auth_key'.secret must be a string" },
    { { default_send = { stream = -1 } }, "option 'default_send'.stream" },
    { { scheduler = "fair" }, "option 'scheduler'" },
    { { bind = "localhost" }, "option 'bind'" },
    { { bind = { "127.0.0.1", "x" } }, "option 'bind'" },
    { { bind = {} }, "option 'bind'" },
  } do
    it(("say what is wrong: %s"):format(case[2]), function()
      local err = assert.raises(case[2], function() sctp.connect("127.0.0.1", 7, case[1]) end)
      assert.matches("sctp_spec%.lua:%d+: ", tostring(err))
    end)
  end

  it("are refused by those that do not have them", function()
    assert.raises("unknown option 'bind'", function() sctp.listen("127.0.0.1", 0, { bind = "127.0.0.1" }) end)
    assert.raises("unknown option 'backlog'", function() sctp.pair { backlog = 5 } end)
    assert.raises("bad argument #3", function() sctp.connect("127.0.0.1", 7, 5) end)
  end)
end)

describe("the arguments of SCTP", function()
  it("are hosts and ports", function()
    assert.raises("bad argument #1", function() sctp.connect(nil, 7) end)
    assert.raises("bad argument #1", function() sctp.connect({}, 7) end)
    assert.raises("bad argument #1", function() sctp.connect({ "127.0.0.1", 5 }, 7) end)
    assert.raises("bad argument #2", function() sctp.connect("127.0.0.1", 0) end)
    assert.raises("bad argument #2", function() sctp.connect("127.0.0.1", 70000) end)
    assert.raises("bad argument #2", function() sctp.listen("127.0.0.1", -1) end)
    assert.raises("bad argument #1", function() sctp.listen({}, 0) end)
    assert.raises("no sctp://host:port", function() neap.connect "sctp://host" end)
  end)
end)

describe("engines of SCTP", function()
  it("are told, or what they lack", function()
    local engines <const> = sctp.engines()
    for _, name in ipairs { "kernel", "user" } do
      local there <const> = engines[name]
      assert.is_true(there == true or type(there) == "string" and #there > 10, name)
      if there ~= true then
        in_task(function()
          local value, why, code = sctp.connect("127.0.0.1", 7, { engine = name, timeout = 1 })
          assert.is_nil(value)
          assert.is_truthy(why:find(there, 1, true), why)
          assert.matches("^sctp: the " .. name .. " engine is not there: ", why)
          assert.matches("^E[A-Z]+$", code)
        end)
      end
    end
    if engines.kernel == true then assert.equal("kernel", engine) end
  end)

  it("that are none of them say what is missing", function()
    local output <const>, code <const> = helper.script([[
      package.preload["neap.sctp.kernel"] = function()
        return { available = function() return nil, "no kernel today", "EPROTONOSUPPORT" end }
      end
      package.preload["neap.sctp.user"] = function() error "no stack, either" end
      local sctp = require "neap.sctp"
      print(sctp.engine())
      print(sctp.listen("127.0.0.1", 0))
      print(sctp.open("127.0.0.1", 0))
      print(sctp.pair())
    ]])
    assert.equal(0, code, output)
    local _, count = output:gsub("sctp: there is no engine: kernel: no kernel today; user: [^\n]*no stack, either" ..
      "\tEPROTONOSUPPORT", "")
    assert.equal(4, count, output)
  end)
end)

describe("a stream that is not SCTP's", function()
  it("says so", function()
    in_task(function()
      local a <close>, b = assert(tcp.pair())
      local other <close> = b -- luacheck: ignore 211
      for _, call in ipairs { "sctpinfo", "sctpget", "sctpset", "resetstreams", "addstreams", "setprimary", "abort" } do
        assert.fails("EOPNOTSUPP", a[call](a, "rto"))
      end
      assert.fails("EOPNOTSUPP", a:send "x")
      assert.fails("EOPNOTSUPP", a:receivemsg())
      a:close()
      assert.fails("ECLOSED", a:sctpinfo())
      assert.fails("ECLOSED", a:abort())
    end)
  end)
end)

local function works(name, body)
  it(name, function()
    helper.need(engine ~= nil, "needs an engine of SCTP")
    in_task(body)
  end)
end

describe("SCTP", function()
  works("connects by URL", function()
    local listener <close>, port <const>, udp_port <const> = listen()
    local a <close> = assert(neap.connect("sctp://127.0.0.1:" .. port, { timeout = 5, encap_port = udp_port }))
    local b <close> = assert(listener:accept())
    assert(a:write "hello\n")
    assert.equal("hello", b:read())
  end)

  works("serves each connection in a task of its own", function()
    local listener <close>, port <const>, udp_port <const> = listen()
    local server <close> = neap.spawn(function()
      return listener:serve(function(conn)
        for data, info in function() return conn:receivemsg() end do
          assert(conn:send(data:upper(), { stream = info.stream }))
        end
      end)
    end)
    local group <close> = neap.group()
    for i = 1, 5 do
      group:spawn(function()
        local a <close> = assert(sctp.connect("127.0.0.1", port, { timeout = 5, encap_port = udp_port }))
        assert(a:send("task " .. i, { stream = i }))
        local data, info = assert(a:receivemsg())
        assert.equal("TASK " .. i, data)
        assert.equal(i, info.stream)
      end)
    end
    group:wait()
    assert.is_true(listener:stop(1))
    assert.is_true(server:join())
  end)

  works("keeps streams apart, and each in order", function()
    local a <close>, b = assert(sctp.pair { timeout = 5, init = { streams_out = 16, streams_in = 16 } })
    local other <close> = b -- luacheck: ignore 211
    for i = 0, 99 do assert(a:send(tostring(i), { stream = i % 16, ppid = i })) end
    local count <const> = {}
    for i = 0, 99 do
      local data, info = assert(b:receivemsg())
      assert.equal(tostring(info.ppid), data)
      assert.equal(count[info.stream] or 0, info.ssn)
      count[info.stream] = info.ssn + 1
      assert.equal(i % 16, info.stream)
    end
  end)

  works("puts long messages together, up to maxmessage", function()
    local a <close>, b = assert(sctp.pair { timeout = 5, maxmessage = 150000 })
    local other <close> = b -- luacheck: ignore 211
    local long <const> = ("0123456789"):rep(15000)
    local sender <const> = neap.spawn(function()
      assert(a:send(long))
      assert(a:send(long .. "x"))
      assert(a:send "after it")
    end)
    assert.is_true((b:receivemsg()) == long)
    local value, why, code = b:receivemsg()
    assert.fails("EMSGSIZE", value, why, code)
    assert.is_truthy(why:find("150001", 1, true), why)
    assert.equal("after it", (b:receivemsg()))
    sender:join()
  end)

  works("is refused where nobody listens, in time", function()
    local listener <close>, port <const>, udp_port <const> = listen()
    assert(listener:close())
    assert.takes(0, 3, function()
      local conn, why, code = sctp.connect("127.0.0.1", port, { timeout = 2, encap_port = udp_port })
      assert.is_nil(conn)
      assert.is_truthy(code == "ECONNREFUSED" or code == "ETIMEDOUT", why)
      assert.is_truthy(why:find("127.0.0.1:" .. port, 1, true), why)
    end)
  end)

  works("checks what is set and got", function()
    local a <close>, b = assert(sctp.pair { timeout = 5 })
    local other <close> = b -- luacheck: ignore 211
    assert.raises("bad argument #1", function() a:sctpget "everything" end)
    assert.raises("bad argument #1", function() a:sctpget "abort" end)
    assert.raises("bad argument #1", function() a:sctpset("status", 5) end)
    assert.raises("bad argument #2", function() a:sctpset("nodelay", 5) end)
    assert.raises("bad argument #2", function() a:addstreams { more = 5 } end)
    assert.raises("bad argument #2", function() a:setprimary "somewhere" end)
    assert.raises("unknown field", function() a:send("x", { streem = 5 }) end)
    assert.raises("unknown field 'type'", function() a:send("x", { type = 1 }) end)
    assert.equal(a, a:sctpset("nodelay", false))
    assert.is_false(a:sctpget "nodelay")
    local info <const> = assert(a:sctpinfo())
    assert.equal("established", info.state)
    assert.equal(engine, info.engine)
  end)

  works("has associations on one socket, and peels them off", function()
    local o <const> = { timeout = 5, udp_port = engine == "user" and 0 or nil, events = { "association" } }
    local hub <close> = assert(sctp.open("127.0.0.1", 0, o))
    local _, port <const> = hub:getsockname()
    local encap <const> = engine == "user" and hub:sctpget "udp_port" or nil
    local a <close> = assert(sctp.connect("127.0.0.1", port, { timeout = 5, encap_port = encap }))
    local b <close> = assert(sctp.connect("127.0.0.1", port, { timeout = 5, encap_port = encap }))
    assert(a:send "from a")
    assert(b:send("from b", { stream = 2 }))
    local of <const> = {}
    while not (of["from a"] and of["from b"]) do
      local data, info = assert(hub:receivemsg())
      if data ~= "" then of[data] = info.association end
    end
    assert.equal(2, #hub:associations())
    assert(hub:sendmsg("to b", { association = of["from b"], stream = 1 }))
    assert.equal("to b", (b:receivemsg()))
    local peer <const> = hub:association(of["from a"])
    assert.equal("127.0.0.1", (peer:getpeername()))
    local peeled <close> = assert(peer:peeloff())
    assert.equal(1, #hub:associations())
    assert.is_false(peer:isopen())
    assert(a:send "to the peeled")
    assert.equal("to the peeled", (peeled:receivemsg()))
    local left <const> = hub:associations()[1]
    assert(left:abort "that is all")
    assert.fails("ECONNRESET", b:receivemsg())
    assert.is_true(left:wait(5))
    assert.fails("ENOTCONN", left:send "late")
  end)
end)

describe("notifications of the kernel", function()
  local core <const> = require "neap.core"
  core.open_sctp()
  local events <const> = require "neap.sctp.events"

  local function storage(ip, port)
    local bytes <const> = assert(core.sctp_pack(ip, port))
    return bytes .. ("\0"):rep(128 - #bytes)
  end

  local function notification(number, flags, format, ...)
    local body <const> = string.pack(format, ...)
    return string.pack("=I2I2I4", number, flags, 8 + #body) .. body
  end

  local cases <const> = {
    {
      notification(0x8001, 0, "=I2I2I2I2i4c3", 1, 12, 10, 20, 7, "why"),
      {
        type = "association", state = "lost", error = 12, streams_out = 10, streams_in = 20, association = 7,
        info = "why",
      },
    },
    {
      notification(0x8002, 0, "=c128i4i4i4", storage("192.0.2.1", 7), 1, 3, 7),
      { type = "address", ip = "192.0.2.1", port = 7, state = "unreachable", error = 3, association = 7 },
    },
    {
      notification(0x800d, 1, "=I4I2I2c4I4i4i4c4", 11, 5, 1, string.pack(">I4", 51), 99, 7, 7, "data"),
      {
        type = "send_failed", error = 11, sent = true, stream = 5, ppid = 51, context = 99, unordered = true,
        association = 7, data = "data",
      },
    },
    { notification(0x8005, 0, "=i4", 7), { type = "shutdown", association = 7 } },
    { notification(0x8009, 0, "=i4", 7), { type = "sender_dry", association = 7 } },
    { notification(0x8007, 0, "=I4i4", 42, 7), { type = "adaptation", indication = 42, association = 7 } },
    {
      notification(0x800a, 2 | 8, "=i4I2I2", 7, 1, 3),
      {
        type = "stream_reset", incoming = false, outgoing = true, denied = false, failed = true, streams = { 1, 3 },
        association = 7,
      },
    },
    {
      notification(0x800c, 4, "=i4I2I2", 7, 5, 6),
      { type = "stream_change", denied = true, failed = false, streams_in = 5, streams_out = 6, association = 7 },
    },
    { notification(0x8008, 0, "=I2I2I4i4", 1, 0, 1, 7),
      { type = "authentication", key = 1, indication = "free_key", association = 7 } },
    { notification(0x80ff, 0, "=i4", 7), { type = "unknown", number = 0x80ff } },
  }

  it("become tables", function()
    for _, case in ipairs(cases) do assert.same(case[2], events.event(case[1])) end
  end)

  it("that are cut short are no error", function()
    for _, case in ipairs(cases) do
      for n = 0, #case[1] - 1 do assert.is_string(events.event(case[1]:sub(1, n)).type) end
    end
  end)

  it("have addresses that are packed and unpacked", function()
    for _, at in ipairs { { "192.0.2.1", 7 }, { "2001:db8::1", 65535 } } do
      local bytes <const> = assert(core.sctp_pack(at[1], at[2]))
      assert.same({ at[1], at[2], #bytes + 1 }, { core.sctp_unpack(bytes, 1) })
      assert.same({ at[1], at[2], #bytes + 4 }, { core.sctp_unpack("abc" .. bytes, 4) })
      for n = 0, #bytes - 1 do assert.is_nil((core.sctp_unpack(bytes:sub(1, n), 1))) end
    end
    assert.fails("EINVAL", core.sctp_pack("nobody", 7))
  end)
end)
