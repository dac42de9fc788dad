--- SPX's rules, by virtual time: each against packets made by hand, and whole
-- conversations with every packet lost, doubled or late in its turn.
local helper <const> = require "support.helper"
local machines <const> = require "neap.spx.machine"
local peers <const> = require "support.spx_peer"
local wire <const> = require "neap.wire"

local SLOW <const> = helper.slow > 1

local function options(more)
  local o <const> = {
    id = 0x10, longest = 576, window = 8, retries = 10, spx2 = false,
    watchdog = { verify = 3, listen = 6, abort = 30 },
  }
  for name, value in pairs(more or {}) do o[name] = value end
  return o
end

-- ---- one machine, and packets made by hand ----

local bench <const> = {}
bench.__index = bench

-- What the machine has to say: a list of packets.
function bench:said()
  local list <const> = {}
  for bytes in function() return self.m:take(self.now) end do list[#list + 1] = peers.packet(bytes) end
  return list
end

-- The only thing it has to say.
function bench:says(wanted)
  local list <const> = self:said()
  assert.equal(1, #list)
  for name, value in pairs(wanted) do assert.equal(value, list[1][name], name) end
  return list[1]
end

function bench:silent() assert.same({}, self:said()) end

function bench:give(p)
  p.src, p.dst = p.src or 0x77, p.dst or 0x10
  self.m:input(peers.bytes(p), self.now)
  return self
end

-- Time passes, up to what is due within these seconds; packets with `at`.
function bench:pass(seconds)
  local list <const>, till <const> = {}, self.now + seconds
  while true do
    local due <const> = self.m:deadline()
    if not due or due > till then break end
    self.now = math.max(self.now, due)
    self.m:expire(self.now)
    for _, p in ipairs(self:said()) do
      p.at = self.now
      list[#list + 1] = p
    end
  end
  self.now = till
  return list
end

local function calling(more)
  return setmetatable({ m = machines.client(options(more), 0), now = 0 }, bench)
end

-- A client of SPX whose server, 0x77, has answered; alloc: what it may send.
local function connected(more, alloc)
  local b <const> = calling(more)
  b:said()
  b:give { cc = 0x80, alloc = alloc or 7 }
  b:says { cc = 0xc0, dst = 0x77 }
  b:give { cc = 0x80, alloc = alloc or 7 }
  assert.equal("open", b.m.state)
  return b
end

local function send(b, ...)
  for _, data in ipairs { ... } do b.m:send(data, 0, false, false, b.now) end
end

local function received(m)
  local list <const> = {}
  for data, type, ends in function() return m:receive() end do list[#list + 1] = { data, type, ends } end
  return list
end

local function times(list, from)
  local at <const> = {}
  for i, p in ipairs(list) do at[i] = math.floor((p.at - (from or 0)) * 1000 + 0.5) / 1000 end
  return at
end

describe("an SPX header", function()
  it("lies as neap.wire has it", function()
    local b <const> = calling()
    local bytes <const> = b.m:take(0)
    local spx <const> = assert(wire.decode(bytes, "spx")).spx
    for name, value in pairs {
      connection_control = "ack+system", datastream_type = 0, src_connection = 0x10, dst_connection = 0xffff, seq = 0,
      ack = 0, allocation = 7,
    } do assert.equal(value, spx[name], name) end
    assert.equal("c000" .. "0010" .. "ffff" .. "0000" .. "0000" .. "0007", (bytes:gsub(".", function(c)
      return ("%02x"):format(c:byte())
    end)))
  end)

  it("of SPX II has its size at the end, but for the request", function()
    local b <const> = calling { spx2 = true, longest = 1500 }
    assert.equal(12, #b.m.out[1])
    b:says { cc = 0xcc, dst = 0xffff, seq = 0, ack = 0, alloc = 7 }
    b:give { cc = 0x8c, alloc = 7, size = 1500 }
    local p <const> = b:says { cc = 0xcc, src = 0x10, dst = 0x77, size = 1500, length = 1500 }
    assert.equal(1500 - 44, #p.data)
  end)

  it("of SPX II with data lies as neap.wire has it", function()
    local b <const> = connected { longest = 1500 }
    b.m.version, b.m.size = 2, 1500
    b.m:send("data", 9, true, false, 0)
    local spx <const> = assert(wire.decode(b.m:take(0), "spx"))
    assert.same({ "spx2+eom+ack", 9, 1500, "data" }, {
      spx.spx.connection_control, spx.spx.datastream_type, spx.spx.negotiation_size, spx.payload,
    })
  end)
end)

describe("the set-up of SPX", function()
  it("asks, and hears, and says that it is there", function()
    local b <const> = calling()
    b:says { cc = 0xc0, type = 0, src = 0x10, dst = 0xffff, seq = 0, ack = 0, alloc = 7, length = 42 }
    b:give { cc = 0x80, alloc = 4 }
    assert.equal("open", b.m.state)
    assert.equal(1, b.m.version)
    assert.equal(5, b.m:room())
    assert.equal(534, b.m.maxdata)
    b:says { cc = 0xc0, src = 0x10, dst = 0x77, seq = 0, ack = 0, alloc = 7 }
  end)

  it("asks again, later each time, and gives up", function()
    local b <const> = calling { retries = 5 }
    b:said()
    local list <const> = b:pass(100)
    assert.same({ 0.5, 1.5, 3.5, 7.5, 12.5 }, times(list))
    for _, p in ipairs(list) do
      assert.equal(0xc0, p.cc)
      assert.equal(0x10, p.src)
      assert.equal(0xffff, p.dst)
    end
    assert.equal("closed", b.m.state)
    assert.equal("ETIMEDOUT", b.m.code)
    assert.is_nil(b.m:deadline())
  end)

  it("answers, and the same again, and asks whether anybody is there", function()
    local request <const> = peers.bytes { cc = 0xc0, src = 0x77, dst = 0xffff, alloc = 3 }
    local b <const> = setmetatable({ m = machines.server(options(), request, 0), now = 0 }, bench)
    local answer <const> = b:says { cc = 0x80, src = 0x10, dst = 0x77, seq = 0, ack = 0, alloc = 7, length = 42 }
    b.m:requested(0.1)
    assert.same(answer, b:says { cc = 0x80 })
    local list <const> = b:pass(100)
    assert.same({ 0.5, 0.5, 1.5, 1.5, 3.5, 3.5, 7.5, 7.5 }, times(list))
    assert.equal(0x80, list[1].cc)
    assert.equal(0xc0, list[2].cc)
    assert.equal(0x77, list[2].dst)
    assert.equal("closed", b.m.state)
  end)

  it("is done for a server when it hears of the client again", function()
    local request <const> = peers.bytes { cc = 0xc0, src = 0x77, dst = 0xffff, alloc = 3 }
    for _, p in ipairs { { cc = 0x80 }, { cc = 0xc0 }, { cc = 0x40, data = "x" } } do
      local b <const> = setmetatable({ m = machines.server(options(), request, 0), now = 0 }, bench)
      b:said()
      p.alloc = 3
      b:give(p)
      assert.equal("open", b.m.state)
      assert.equal(4, b.m:room())
      b.m:requested(0.1)
      for _, q in ipairs(b:said()) do assert.equal(0x80, q.cc) end
    end
  end)

  it("takes the first data for an answer that was lost", function()
    local b <const> = calling()
    b:said()
    b:give { cc = 0x50, data = "early", alloc = 7 }
    assert.equal("open", b.m.state)
    assert.same({ { "early", 0, true } }, received(b.m))
  end)

  it("takes no request for a connection that it is not", function()
    assert.is_nil(machines.request(peers.bytes { cc = 0x80, src = 1, dst = 0xffff }))
    assert.is_nil(machines.request(peers.bytes { cc = 0xc0, src = 1, dst = 2 }))
    assert.is_nil(machines.request "short")
    assert.is_nil(machines.server(options(), peers.bytes { cc = 0xc0, src = 0xffff, dst = 0xffff }, 0))
  end)
end)

describe("the set-up of SPX II", function()
  local function asked(more)
    local request <const> = peers.bytes { cc = 0xcc, src = 0x77, dst = 0xffff, alloc = 7 }
    local o <const> = options { spx2 = true, longest = 1500 }
    for name, value in pairs(more or {}) do o[name] = value end
    return setmetatable({ m = machines.server(o, request, 0), now = 0 }, bench)
  end

  it("goes as in the trace of KB Q163267", function()
    local a <const> = calling { spx2 = true, longest = 1500, id = 0x77 }
    a:says { cc = 0xcc, src = 0x77, dst = 0xffff }
    local b <const> = asked()
    b:says { cc = 0x8c, src = 0x10, dst = 0x77 }
    a:give { cc = 0x8c, src = 0x10, dst = 0x77, alloc = 7, size = 1500 }
    local p <const> = a:says { cc = 0xcc, size = 1500, length = 1500 }
    b:give { cc = 0xcc, size = 1500, data = p.data, alloc = 7 }
    local list <const> = b:said()
    assert.equal(2, #list)
    assert.same({ 0x8c, 0xcc }, { list[1].cc, list[2].cc })
    assert.equal(1500, list[2].length)
    a:give { cc = 0x8c, src = 0x10, dst = 0x77, alloc = 7, size = 1500 }
    a:silent()
    a:give { cc = 0xcc, src = 0x10, dst = 0x77, alloc = 7, size = 1500, data = list[2].data }
    list[1], list[2] = table.unpack(a:said())
    assert.same({ 0x8c, 0xc8 }, { list[1].cc, list[2].cc })
    b:give { cc = 0x8c, size = 1500, alloc = 7 }
    assert.equal("open", b.m.state)
    b:give { cc = 0xc8, size = 1500, alloc = 7 }
    b:says { cc = 0x88, size = 1500 }
    for _, m in ipairs { a.m, b.m } do
      assert.equal(2, m.version)
      assert.equal(1500 - 44, m.maxdata)
    end
  end)

  it("falls back to SPX when the answer says so", function()
    local b <const> = calling { spx2 = true, longest = 1500 }
    b:said()
    b:give { cc = 0x80, alloc = 7 }
    assert.equal("open", b.m.state)
    b:says { cc = 0xc0, length = 42 }
    assert.same({ 1, 534 }, { b.m.version, b.m.maxdata })
  end)

  it("answers SPX to who asks for SPX, and to all if it is told so", function()
    local b <const> = setmetatable({
      m = machines.server(options { spx2 = true }, peers.bytes { cc = 0xc0, src = 0x77, dst = 0xffff }, 0), now = 0,
    }, bench)
    b:says { cc = 0x80, length = 42 }
    asked { spx2 = false }:says { cc = 0x80, length = 42 }
  end)

  it("is refused when it is required and not there", function()
    local b <const> = calling { spx2 = "require" }
    b:said()
    b:give { cc = 0x80, alloc = 7 }
    assert.same({ "closed", "EPROTONOSUPPORT" }, { b.m.state, b.m.code })
    assert.is_nil(machines.server(options { spx2 = "require" }, peers.bytes { cc = 0xc0, src = 1, dst = 0xffff }, 0))
  end)

  it("tries smaller packets where long ones get lost, either way", function()
    local b = calling { spx2 = true, longest = 9000 }
    b:said()
    b:give { cc = 0x8c, alloc = 7, size = 9000 }
    b:says { length = 9000 }
    local sizes = {}
    for i, p in ipairs(b:pass(25)) do sizes[i] = p.length end
    assert.same({ 9000, 1500, 1500, 1024, 1024, 576 }, { table.unpack(sizes, 1, 6) })
    b:give { cc = 0xcc, alloc = 7, size = 1024 }
    assert.equal(576 - 44, b.m.maxdata)

    b = asked()
    b:said()
    b:give { cc = 0xcc, alloc = 7, size = 1500, data = ("\0"):rep(1400 - 44) }
    local list <const> = b:said()
    assert.equal(1400, list[2].length) -- what came, and not what was said
    sizes = {}
    for i, p in ipairs(b:pass(6)) do sizes[i] = p.length end
    assert.same({ 1400, 1024, 1024 }, { table.unpack(sizes, 1, 3) })
    b:give { cc = 0x40, data = "x", alloc = 7 }
    assert.equal("open", b.m.state)
  end)

  it("takes a peer that says nothing of sizes at the shortest", function()
    local b <const> = asked()
    b:said()
    b:give { cc = 0x48, data = "x", size = 0, alloc = 7 }
    assert.equal(576 - 44, b.m.maxdata)
    assert.same({ { "x", 0, false } }, received(b.m))
  end)

  it("is said again when the other side has missed a part of it", function()
    local b <const> = asked()
    b:said()
    b:give { cc = 0xcc, alloc = 7, size = 1500, data = ("\0"):rep(1456) }
    b:said()
    b:give { cc = 0x8c, alloc = 7, size = 1500 }
    b:give { cc = 0xcc, alloc = 7, size = 1500, data = ("\0"):rep(1456) }
    local list <const> = b:said()
    assert.same({ 0x8c, 0xcc }, { list[1].cc, list[2].cc })
  end)
end)

describe("SPX, receiving,", function()
  it("gives data in its order, with types and ends of messages", function()
    local b <const> = connected()
    b:give { cc = 0x40, data = "one", type = 5 }
    b:says { cc = 0x80, seq = 0, ack = 1 }
    b:give { cc = 0x50, data = "two", seq = 1 }
    b:give { cc = 0x50, seq = 2, type = 9 }
    assert.same({ { "one", 5, false }, { "two", 0, true }, { "", 9, true } }, received(b.m))
    b:says { cc = 0x80, ack = 3, alloc = 10 }
  end)

  it("drops what it has, and says again what it has", function()
    local b <const> = connected()
    b:give { cc = 0x40, data = "one" }
    b:said()
    for _ = 1, 3 do
      b:give { cc = 0x40, data = "one" }
      b:says { cc = 0x80, ack = 1 }
    end
    assert.same({ { "one", 0, false } }, received(b.m))
    assert.equal(3, b.m.duplicates)
  end)

  it("keeps what comes too early, and says each time what it lacks", function()
    local b <const> = connected()
    for _, seq in ipairs { 2, 1, 2, 3 } do
      b:give { cc = 0x40, data = "d" .. seq, seq = seq }
      b:says { cc = 0x80, ack = 0 }
    end
    b:give { cc = 0x40, data = "d0" }
    b:says { cc = 0x80, ack = 4 }
    assert.same({ { "d0", 0, false }, { "d1", 0, false }, { "d2", 0, false }, { "d3", 0, false } }, received(b.m))
  end)

  it("drops what is beyond its window, and never takes a promise back", function()
    local b <const> = connected { window = 2 }
    b:give { cc = 0x40, data = "far", seq = 2 }
    b:says { cc = 0x80, ack = 0, alloc = 1 }
    assert.equal(0, b.m.nearly)
    b:give { cc = 0x40, data = "a" }
    b:says { ack = 1, alloc = 1 } -- nobody has taken it
    b:give { cc = 0x40, data = "b", seq = 1 }
    b:says { ack = 2, alloc = 1 }
    b:give { cc = 0x40, data = "c", seq = 2 }
    b:says { ack = 2, alloc = 1 }
    assert.equal(2, #received(b.m))
  end)

  it("tells when there is room again", function()
    local b <const> = connected { window = 4 }
    for seq = 0, 3 do b:give { cc = 0x40, data = "x", seq = seq } end
    b:says { ack = 4, alloc = 3 }
    assert(b.m:receive())
    b:silent()
    assert(b.m:receive())
    b:says { cc = 0x80, ack = 4, alloc = 5 }
    received(b.m)
    b:says { cc = 0x80, ack = 4, alloc = 7 }
  end)

  it("answers at once who asks, and many at once", function()
    local b <const> = connected()
    b:give { cc = 0xc0 }
    b:says { cc = 0x80 }
    for seq = 0, 5 do b:give { cc = 0x40, data = "x", seq = seq } end
    b:says { cc = 0x80, ack = 6 }
  end)

  it("lets the acknowledgement go with the answer, in a dialogue, or after a little while", function()
    local b <const> = connected()
    for i = 0, 2 do
      b:give { cc = 0x40, data = "?", seq = i, ack = i }
      if i > 0 then b:silent() end
      send(b, "!")
      b:said()
    end
    b:give { cc = 0x40, data = "?", seq = 3, ack = 3 }
    b:silent()
    local list <const> = b:pass(0.1)
    assert.same({ 0.02 }, times(list))
    assert.same({ 0x80, 4 }, { list[1].cc, list[1].ack })
    b:give { cc = 0x40, data = "?", seq = 4, ack = 3 }
    b:says { cc = 0x80, ack = 5 } -- it is no dialogue any more
  end)

  it("takes attention and reserved bits for data", function()
    local b <const> = connected()
    b:give { cc = 0x62, data = "x" }
    assert.same({ { "x", 0, false } }, received(b.m))
  end)
end)

describe("SPX, sending,", function()
  it("numbers packets, tells what it got, and asks for an answer", function()
    local b <const> = connected()
    b.m:send("one", 3, false, true, 0)
    b.m:send("two", 0, true, false, 0)
    local list <const> = b:said()
    assert.same({ 0x40, 3, 0, "one" }, { list[1].cc, list[1].type, list[1].seq, list[1].data })
    assert.same({ 0x50, 0, 1, "two" }, { list[2].cc, list[2].type, list[2].seq, list[2].data })
  end)

  it("goes no further than it may", function()
    local b <const> = connected({}, 2)
    assert.equal(3, b.m:room())
    send(b, "a", "b", "c")
    assert.equal(0, b.m:room())
    b:said()
    b:give { cc = 0x80, ack = 1, alloc = 2 }
    assert.equal(0, b.m:room())
    b:give { cc = 0x80, ack = 3, alloc = 5 }
    assert.equal(3, b.m:room())
    b:give { cc = 0x80, ack = 3, alloc = 1 } -- an old one
    assert.equal(3, b.m:room())
  end)

  it("believes no acknowledgement of what it has not sent", function()
    local b <const> = connected()
    send(b, "a")
    b:said()
    b:give { cc = 0x80, ack = 2, alloc = 60 }
    b:give { cc = 0x80, ack = 0x9000, alloc = 0x9060 }
    assert.same({ 0, 7 }, { b.m.una, b.m.limit })
    b:give { cc = 0x80, ack = 1, alloc = 60 }
    assert.same({ 1, 60 }, { b.m.una, b.m.limit })
  end)

  it("takes what data says of its own for an acknowledgement", function()
    local b <const> = connected()
    send(b, "a")
    b:said()
    b:give { cc = 0x40, data = "x", ack = 1, alloc = 9 }
    assert.same({ 1, 9 }, { b.m.una, b.m.limit })
  end)

  it("sends again what is not acknowledged, later each time, and gives up in silence", function()
    local b <const> = connected { retries = 4, watchdog = false }
    send(b, "a", "b")
    b:said()
    local list <const> = b:pass(60)
    assert.same({ 0.1, 0.3, 0.7, 1.5 }, times(list))
    for _, p in ipairs(list) do assert.same({ 0x40, 0, "a" }, { p.cc, p.seq, p.data }) end
    assert.same({ "closed", "ETIMEDOUT" }, { b.m.state, b.m.code })
    assert.equal(4, b.m.retransmissions)
  end)

  it("measures the round trip, and waits for it and four times its deviation", function()
    local b <const> = connected { watchdog = false }
    b.m.rtt = nil
    for i = 1, 30 do
      send(b, "x")
      b:said()
      b.now = b.now + (i % 2 == 0 and 1 or 0.8)
      b:give { cc = 0x80, ack = i, alloc = i + 7 }
    end
    assert.is_true(b.m.rtt > 0.85 and b.m.rtt < 0.95)
    assert.is_true(math.abs(b.m.rto - b.m.rtt - 4 * b.m.deviation) < 1e-9)
    local from <const> = b.now
    send(b, "lost")
    b:said()
    assert.equal(math.floor(b.m.rto * 1000 + 0.5) / 1000, times(b:pass(2), from)[1])
  end)

  it("measures nothing by what it sent twice (Karn)", function()
    local b <const> = connected { watchdog = false }
    send(b, "x")
    b:said()
    local rtt <const> = b.m.rtt
    b:pass(0.15)
    b:give { cc = 0x80, ack = 1, alloc = 8 }
    assert.equal(rtt, b.m.rtt)
  end)

  it("sends again at once what three others tell of", function()
    local b <const> = connected()
    send(b, "a", "b", "c", "d", "e")
    b:said()
    for i = 1, 2 do
      b:give { cc = 0x80, ack = 0, alloc = 7 }
      b:silent()
      assert.equal(i, b.m.repeats)
    end
    b:give { cc = 0x80, ack = 0, alloc = 7 }
    b:says { seq = 0, data = "a", cc = 0x40 }
    b:give { cc = 0x80, ack = 0, alloc = 7 }
    b:silent()
    b:give { cc = 0x80, ack = 3, alloc = 10 } -- and the next that is missing
    b:says { seq = 3, data = "d" }
    b:give { cc = 0x80, ack = 5, alloc = 12 }
    b:silent()
    assert.equal(2, b.m.retransmissions)
    assert.is_nil(b.m:deadline() < b.now + 1 or nil)
  end)

  it("takes a larger window, or an answer to a question, for no loss", function()
    local b <const> = connected()
    send(b, "a", "b", "c", "d", "e")
    b:said()
    for i = 1, 5 do b:give { cc = 0x80, ack = 0, alloc = 7 + i } end
    for _ = 1, 5 do b:give { cc = 0xc0, ack = 0, alloc = 12 } end
    for _, p in ipairs(b:said()) do assert.equal(0x80, p.cc) end
    assert.equal(0, b.m.retransmissions)
  end)

  it("asks, when it may not go on, until it may", function()
    local b <const> = connected({}, 0)
    send(b, "a")
    b:said()
    b:give { cc = 0x80, ack = 1, alloc = 0 }
    b.m:blocked(b.now)
    local list = b:pass(1)
    assert.same({ 0.1, 0.3, 0.7 }, times(list))
    for _, p in ipairs(list) do assert.same({ 0xc0, "" }, { p.cc, p.data }) end
    b:give { cc = 0x80, ack = 1, alloc = 1 }
    assert.equal(1, b.m:room())
    list = b:pass(2)
    assert.same({}, list)
  end)
end)

describe("the numbers of SPX", function()
  for _, two in ipairs { false, true } do
    it(("go round, %s"):format(two and "SPX II" or "SPX"), function()
      local b <const> = connected { longest = 1500 }
      if two then b.m.version, b.m.size = 2, 1500 end
      for i = 0, 70000 do
        local seq <const> = i & 0xffff
        send(b, "x")
        local list <const> = b:said()
        assert(list[1].seq == seq and list[1].ack == seq, i)
        b:give { cc = two and 0x48 or 0x40, data = "y", seq = seq, ack = seq + 1 & 0xffff, alloc = seq + 8 & 0xffff }
        assert(b.m:receive() == "y", i)
        b:give { cc = two and 0x48 or 0x40, data = "y", seq = seq, ack = seq, alloc = seq + 7 & 0xffff } -- again
        b:said()
      end
      assert.same({ 70001, 70001, 70001 }, { b.m.una, b.m.next, b.m.expected })
      assert.equal(70001, b.m.duplicates)
    end)
  end
end)

describe("the watchdog of SPX", function()
  it("says something when it has said nothing for a while", function()
    local b <const> = connected()
    b:said()
    local seen <const> = {}
    for _ = 1, 4 do
      for _, p in ipairs(b:pass(2)) do seen[#seen + 1] = { p.at, p.cc } end
      b:give { cc = 0x80, alloc = 7 }
    end
    assert.same({ { 3, 0x80 }, { 6, 0x80 } }, seen)
  end)

  it("asks when it hears nothing, with the real ids, and gives up", function()
    local b <const> = connected()
    b:said()
    local asked <const> = {}
    for _, p in ipairs(b:pass(60)) do
      if p.cc == 0xc0 then asked[#asked + 1] = p.at end
      assert.same({ 0x10, 0x77 }, { p.src, p.dst })
    end
    assert.same({ 6, 9, 12, 15, 18, 21, 24, 27 }, asked)
    assert.same({ "closed", "ETIMEDOUT", 60 }, { b.m.state, b.m.code, b.now })
  end)

  it("is content with any packet", function()
    for _, p in ipairs { { cc = 0x80, alloc = 7 }, { cc = 0xc0, alloc = 7 }, { cc = 0x40, data = "x" } } do
      local b <const> = connected()
      b:pass(29)
      b:give(p)
      b:pass(29)
      assert.equal("open", b.m.state)
      b:pass(2)
      assert.equal("closed", b.m.state)
    end
  end)

  it("has times of its own, or none", function()
    local b = connected { watchdog = { verify = 1, listen = 2, abort = 4 } }
    b:pass(3.9)
    assert.equal("open", b.m.state)
    b:pass(0.2)
    assert.equal("closed", b.m.state)
    b = connected { watchdog = false }
    assert.is_nil(b.m:deadline())
    assert.same({}, b:pass(10000))
  end)
end)

describe("the end of SPX", function()
  it("is said once all is acknowledged, and said again until it is answered", function()
    local b <const> = connected { watchdog = false }
    send(b, "last")
    b:said()
    b.m:leave(b.now)
    b:silent()
    b:give { cc = 0x80, ack = 1, alloc = 8 }
    b:says { cc = 0x40, type = 0xfe, seq = 1, length = 42 }
    local list <const> = b:pass(0.35)
    assert.same({ 0.1, 0.3 }, times(list))
    for _, p in ipairs(list) do assert.same({ 0x40, 0xfe, 1 }, { p.cc, p.type, p.seq }) end
    b:give { cc = 0, type = 0xff, seq = 0 }
    assert.same({ "closed" }, { b.m.state, b.m.code })
    assert.is_nil(b.m:deadline())
  end)

  it("comes, when nobody answers, after some tries", function()
    local b <const> = connected { watchdog = false }
    b.m:leave(b.now)
    b:said()
    assert.equal(4, #b:pass(60))
    assert.same({ "closed" }, { b.m.state, b.m.code })
  end)

  for _, seq in ipairs { 1, 0 } do
    it(("is answered, and comes after the data (number %d)"):format(seq), function()
      local b <const> = connected()
      b:give { cc = 0x40, data = "last" }
      b:give { cc = 0x40, type = 0xfe, seq = seq }
      local list <const> = b:said()
      assert.equal(0xff, list[#list].type)
      assert.is_false(b.m:finished())
      assert.same({ { "last", 0, false } }, received(b.m))
      assert.is_true(b.m:finished())
      assert.same({ "closed" }, { b.m.state, b.m.code })
    end)
  end

  it("before all has come is a failure", function()
    local b <const> = connected()
    b:give { cc = 0x40, data = "a" }
    b:give { cc = 0x40, type = 0xfe, seq = 2 }
    assert.same({ "closed", "ECONNRESET" }, { b.m.state, b.m.code })
    assert.same({ { "a", 0, false } }, received(b.m))
  end)

  it("of both at once is answered by both", function()
    local b <const> = connected()
    b.m:leave(b.now)
    b:says { type = 0xfe }
    b:give { cc = 0x40, type = 0xfe, seq = 0 }
    b:says { type = 0xff }
    assert.same({ "closed" }, { b.m.state, b.m.code })
  end)

  it("is answered for those that are no more", function()
    local answer <const> = peers.packet(machines.goodbye(peers.bytes { cc = 0x40, type = 0xfe, src = 7, dst = 9 }))
    assert.same({ 0, 0xff, 9, 7 }, { answer.cc, answer.type, answer.src, answer.dst })
    assert.is_nil(machines.goodbye(peers.bytes { cc = 0, type = 0xff, src = 7, dst = 9 }))
    assert.is_nil(machines.goodbye(peers.bytes { cc = 0x80, src = 7, dst = 9 }))
    assert.is_nil(machines.goodbye "")
  end)

  it("does not wait for ever for what nobody takes", function()
    local b <const> = connected({ watchdog = false }, 0)
    send(b, "a")
    b.m:leave(b.now)
    for i = 1, 40 do -- it is there, but it takes nothing
      b:give { cc = 0x80, ack = 0, alloc = 0 }
      b.m.tries = 0
      if i == 40 then assert.equal("closed", b.m.state) end
      b:pass(4)
    end
  end)

  it("at once says it once", function()
    local b <const> = connected()
    send(b, "never mind")
    b:said()
    b.m:abort(b.now)
    b:says { type = 0xfe }
    assert.same({ "closed", "ECONNABORTED" }, { b.m.state, b.m.code })
  end)

  it("of one direction is for SPX II, and in its turn", function()
    local b <const> = connected { longest = 1500 }
    b.m.version, b.m.size = 2, 1500
    send(b, "last")
    b:said()
    b.m:release(b.now)
    b:says { cc = 0x48, type = 0xfc, seq = 1 }
    assert.equal(0, b.m:room())
    assert.falsy(b.m:released())
    b:give { cc = 0x88, ack = 2, alloc = 9 }
    assert.truthy(b.m:released())
    b:give { cc = 0x48, data = "goes on", ack = 2, alloc = 9 }
    b:give { cc = 0x48, type = 0xfd, seq = 1, ack = 2, alloc = 9 }
    b:says { cc = 0x88, ack = 2 }
    assert.is_false(b.m:finished())
    assert.same({ { "goes on", 0, false } }, received(b.m))
    assert.is_true(b.m:finished())
    assert.equal("open", b.m.state)
    b.m:leave(b.now)
    b:says { type = 0xfe }
  end)

  it("of the second direction says that it is the second", function()
    local b <const> = connected { longest = 1500 }
    b.m.version, b.m.size = 2, 1500
    b:give { cc = 0x48, type = 0xfc }
    b:says { cc = 0x88, ack = 1 }
    assert.is_true(b.m:finished())
    b.m:release(b.now)
    b:says { cc = 0x48, type = 0xfd, seq = 0 }
  end)

  it("of one direction waits for room", function()
    local b <const> = connected({ longest = 1500 }, 0)
    b.m.version, b.m.size = 2, 1500
    send(b, "x")
    b:said()
    b.m:release(b.now)
    b:silent()
    b:give { cc = 0x88, ack = 1, alloc = 0 }
    assert.equal(0xc8, b:pass(0.2)[1].cc) -- it asks
    b:give { cc = 0x88, ack = 1, alloc = 1 }
    b:says { type = 0xfc, seq = 1 }
  end)
end)

-- ---- whole conversations ----

-- A machine that says and hears what a script wants.
local actor <const> = {}
actor.__index = actor

function actor:go_on(now)
  local m <const> = self.m
  for _, got in ipairs(received(m)) do self.got[#self.got + 1] = got end
  while self.at <= #self.todo and m:room() > 0 do
    local message <const> = self.todo[self.at]
    self.at = self.at + 1
    m:send(message[1], message[2], message[3], self.at <= #self.todo, now)
  end
  if self.at <= #self.todo then
    m:blocked(now)
  elseif self.leaves and #self.got >= self.expects and m.state == "open" then
    m:leave(now)
  end
end

function actor:input(bytes, now)
  local from <const> = machines.request(bytes)
  if self.m and self.m.state == "closed" then
    self.last_word = machines.goodbye(bytes) -- as an endpoint does
  elseif not from then
    if self.m then self.m:input(bytes, now) end
  elseif not self.m then
    self.m = machines.server(self.o, bytes, now)
  elseif from == self.m.remote then
    self.m:requested(now)
  end
  if self.m then self:go_on(now) end
end

function actor:expire(now)
  if not self.m then return end
  self.m:expire(now)
  self:go_on(now)
end

function actor:deadline() return self.m and self.m:deadline() end

function actor:take(now)
  local word <const> = self.last_word
  self.last_word = nil
  return word or self.m and self.m:take(now)
end

function actor:over() return self.m and self.m.state == "closed" end

local function act(o, script)
  local self <const> = setmetatable({ o = o, at = 1, got = {} }, actor)
  for name, value in pairs(script) do self[name] = value end
  if script.client then self.m = machines.client(o, 0) end
  return self
end

-- The same of the other kind.
local function stack(script, id, two)
  local p <const> = peers.new({
    id = id, client = script.client, spx2 = two, messages = script.todo, expects = script.expects,
    leaves = script.leaves, window = 3,
  }, 0)
  p.over = function(self) return self.state == "gone" or self.state == "lost" end
  return p
end

local DELAY <const> = 0.01

-- Runs both until both are over, or for a day. fault(n, from): what becomes of
-- the n-th packet: "drop", "double", "late", or nothing. How many there were.
local function converse(a, b, fault)
  local now, n = 0, 0
  local way <const> = {}
  local function put(at, to, bytes)
    local i = #way + 1
    while i > 1 and way[i - 1].at > at do i = i - 1 end
    table.insert(way, i, { at = at, to = to, bytes = bytes })
  end
  local function collect(from, to)
    for bytes in function() return from:take(now) end do
      n = n + 1
      local how <const> = fault and fault(n)
      if how ~= "drop" then put(now + (how == "late" and 3.5 * DELAY or DELAY), to, bytes) end
      if how == "double" then put(now + 1.5 * DELAY, to, bytes) end
    end
  end
  while now < 86400 and not (a:over() and b:over()) do
    collect(a, b)
    collect(b, a)
    local due = way[1] and way[1].at or math.huge
    due = math.min(due, a:deadline() or math.huge, b:deadline() or math.huge)
    if due == math.huge then break end
    now = math.max(now, due)
    while way[1] and way[1].at <= now do
      local p <const> = table.remove(way, 1)
      p.to:input(p.bytes, now)
    end
    a:expire(now)
    b:expire(now)
  end
  collect(a, b)
  collect(b, a)
  return n, now
end

local long <const> = ("x"):rep(500)
local question <const> = {
  { "who", 0, false }, { "is", 0, false }, { "there", 0, true }, { "", 17, true }, { long, 251, false },
  { long .. "!", 1, true }, { "?", 0, true },
}
local answer <const> = { { "I", 2, false }, { "am", 2, true }, { long, 0, false }, { "end", 0, true } }

local function scripts()
  return { client = true, todo = question, expects = #answer, leaves = true },
    { todo = answer, expects = #question }
end

local kinds <const> = {
  machines = function(two)
    local a <const>, b <const> = scripts()
    return act(options { id = 0x10, spx2 = two, longest = two and 1500 or 576 }, a),
      act(options { id = 0x20, spx2 = two, longest = two and 1500 or 576 }, b)
  end,
  ["a machine that calls a stack of another's"] = function(two)
    local a <const>, b <const> = scripts()
    return act(options { id = 0x10, spx2 = two }, a), stack(b, 0x20, two)
  end,
  ["a stack of another's that calls a machine"] = function(two)
    local a <const>, b <const> = scripts()
    return stack(a, 0x10, two), act(options { id = 0x20, spx2 = two }, b)
  end,
}

describe("a conversation in SPX", function()
  for name, make in pairs(kinds) do
    for _, two in ipairs { false, true } do
      for _, how in ipairs { "drop", "double", "late" } do
        it(("between %s, %s, bears any packet's %s"):format(name, two and "SPX II" or "SPX",
          ({ drop = "loss", double = "double", late = "delay" })[how]), function()
          local n <const> = converse(make(two))
          assert.is_true(n > 15)
          for i = 0, n do
            local a <const>, b <const> = make(two)
            converse(a, b, function(at) return at == i and how or nil end)
            assert.same(answer, a.got, i)
            assert.same(question, b.got, i)
            assert.is_true(a:over() and b:over(), i)
            for _, one in ipairs { a, b } do
              if one.m then assert.is_nil(one.m.code, i) end
              assert.not_equal("lost", one.state)
            end
          end
        end)
      end

      it(("between %s, %s, bears all at once"):format(name, two and "SPX II" or "SPX"), function()
        for seed = 1, SLOW and 10 or 60 do
          local state = seed * 7919
          local function random()
            state = (state * 1103515245 + 12345) & 0x7fffffff
            return state >> 16 & 255
          end
          local a <const>, b <const> = make(two)
          converse(a, b, function()
            local dice <const> = random()
            return dice < 26 and "drop" or dice < 40 and "double" or dice < 60 and "late" or nil
          end)
          assert.same(question, b.got, seed)
          assert.same(answer, a.got, seed)
        end
      end)
    end
  end

  it("falls back to what the other knows", function()
    for _, who in ipairs { "machine", "stack" } do
      local a <const>, b <const> = scripts()
      local x, y
      if who == "machine" then
        x, y = act(options { spx2 = true, longest = 1500 }, a), stack(b, 0x20, false)
      else
        x, y = stack(a, 0x10, false), act(options { id = 0x20, spx2 = true }, b)
      end
      converse(x, y)
      assert.same(question, y.got)
      assert.same(answer, x.got)
      assert.equal(1, (x.m or y.m).version)
    end
  end)
end)

describe("SPX in bulk", function()
  -- size bytes through a way that loses and delays; what it took.
  local function carry(size, loss, o)
    local a <const> = machines.client(options { id = 1, window = 64, spx2 = true, longest = o.longest }, 0)
    local block <const> = ("0123456789abcdef"):rep(100)
    local b
    local now, sent, got, sum = 0, 0, 0, 0
    local way, first, last = {}, 1, 0
    local state = 12345
    local function put(to, bytes)
      state = (state * 1103515245 + 12345) & 0x7fffffff
      if (state >> 12 & 0xffff) < loss * 65536 then return end
      last = last + 1
      way[last] = { now + 0.001, to, bytes }
    end
    while got < size do
      if b then
        for data in function() return b:receive() end do
          if data ~= block:sub(got % 16 + 1, got % 16 + #data) then error(("wrong at %d"):format(got)) end
          got = got + #data
        end
      end
      while a.state == "open" and sent < size and a:room() > 0 do
        local n <const> = math.min(a.maxdata, size - sent)
        a:send(block:sub(sent % 16 + 1, sent % 16 + n), 0, false, sent + n < size, now)
        sent = sent + n
      end
      if sent < size then a:blocked(now) end
      for bytes in function() return a:take(now) end do put("b", bytes) end
      if b then
        for bytes in function() return b:take(now) end do put("a", bytes) end
      end
      local due = way[first] and way[first][1] or math.huge
      due = math.min(due, a:deadline() or math.huge, b and b:deadline() or math.huge)
      now = math.max(now, due)
      while way[first] and way[first][1] <= now do
        local to <const>, bytes <const> = way[first][2], way[first][3]
        way[first], first = nil, first + 1
        if to == "a" then
          a:input(bytes, now)
        elseif not machines.request(bytes) then
          b:input(bytes, now)
        elseif b then
          b:requested(now)
        else
          b = machines.server(options { id = 2, window = 64, spx2 = true, longest = o.longest }, bytes, now)
        end
      end
      for _, m in ipairs { a, b } do
        if m:deadline() and m:deadline() <= now then m:expire(now) end
        assert(m.state ~= "closed", m.code)
      end
      sum = sum + 1
    end
    return a, b, now
  end

  it("brings 64 MiB whole through a way that loses every tenth packet", function()
    local size <const> = SLOW and 4 << 20 or 64 << 20
    local a <const>, b <const>, took <const> = carry(size, 0.1, { longest = 576 })
    assert.is_true(took < 400)
    assert.is_true(a.retransmissions > size / 532 * 0.08)
    assert.is_true(a.retransmissions < size / 532 * 0.16)
    assert.is_true(b.duplicates < a.retransmissions / 5)
  end)

  it("sends nothing twice where nothing is lost", function()
    local a <const>, b <const>, took <const> = carry(4 << 20, 0, { longest = 1500 })
    assert.same({ 0, 0, 0 }, { a.retransmissions, b.duplicates, b.reordered })
    assert.is_true(took < 1)
  end)

  it("keeps no more than its window of what nobody takes, whatever comes", function()
    local b <const> = connected { window = 16 }
    for i = 0, 5000 do
      b:give { cc = 0x40, data = long, seq = i * 7 & 0xffff }
      b:said()
    end
    local n = 0
    for _ in pairs(b.m.early) do n = n + 1 end
    assert.is_true(n + b.m.last - b.m.first + 1 <= 16)
  end)
end)

describe("SPX that is garbage", function()
  it("breaks nothing, by the thousand", function()
    local state = 4711
    local function random(n)
      state = (state * 1103515245 + 12345) & 0x7fffffff
      return (state >> 8) % n
    end
    for round = 1, SLOW and 30 or 200 do
      local two <const> = round % 2 == 0
      local a = calling { spx2 = two, longest = 1500 }
      if round % 3 == 0 then a = connected { spx2 = two } end
      local fine <const> = peers.bytes { cc = 0x40, data = long, src = 0x77, dst = 0x10 }
      for _ = 1, 100 do
        local bytes = fine:sub(1, random(#fine + 1))
        for _ = 1, random(6) do
          local at <const> = random(14) + 1
          bytes = bytes:sub(1, at - 1) .. string.char(random(256)) .. bytes:sub(at + 1)
        end
        a.m:input(bytes, a.now)
        machines.goodbye(bytes)
        machines.server(options(), bytes, 0)
        received(a.m)
        local said <const> = a:said()
        assert.is_true(#said <= 4)
        a:pass(random(100) / 1000)
      end
      assert.is_true(#a.m.out < 100)
    end
  end)

  it("of another's connection changes nothing", function()
    local b <const> = connected()
    b:give { cc = 0x40, data = "x", src = 0x78 }
    b:give { cc = 0x40, type = 0xfe, src = 0x78 }
    b:give { cc = 0x40, data = ("x"):rep(5000) }
    assert.same({}, received(b.m))
    assert.equal("open", b.m.state)
    assert.equal(3, b.m.malformed)
  end)
end)
