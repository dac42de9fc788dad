--- What every message socket promises, run over each kind of it.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local probe <const> = require "probe"
local assert <const> = require "luassert"

local in_task <const> = helper.in_task
local eventually <const> = helper.eventually

-- Until the task waits.
local function waiting(task)
  eventually(function() return task:status() == "waiting" end)
end

-- Bytes that tell where they are.
local words <const> = {}
for i = 1, 5000 do words[i] = ("%05x;"):format(i) end
local block <const> = table.concat(words)

local function pattern(n) return block:rep(n // #block + 1):sub(1, n) end

-- Raises with the text, and blames this file, which called.
local function raises(text, fn)
  local ok, err = pcall(fn)
  assert.is_false(ok, "no error")
  assert.matches("message_contract%.lua:%d+: ", tostring(err))
  assert.is_truthy(tostring(err):find(text, 1, true), tostring(err))
end

-- Runs fn with so few descriptors that there is none left.
local function without_descriptors(fn)
  local highest = 0
  for fd in pairs(helper.fds()) do highest = math.max(highest, fd) end
  local limit = probe.nofile(highest + 1)
  local filler = {}
  for fd = 0, highest do
    if not probe.isopen(fd) then filler[#filler + 1] = probe.dup(0) end
  end
  local results = table.pack(pcall(fn))
  for _, fd in ipairs(filler) do probe.close(fd) end
  probe.nofile(limit)
  assert(results[1], results[2])
  return table.unpack(results, 2, results.n)
end

--- kind: how the suite names it. make_pair(options): two message sockets; what
-- the first sends, the second receives, and the other way round. traits:
--   name   what tostring begins with: "neap.udp"
--   max    the longest message that can be sent; it is received whole
--   over   a length that cannot be sent
--   to     if they are not connected: to(b) is the address of b, in as many
--          values as sendto takes
--   from   from(a): the values of the address that come with what a sent
--   lossy  what is too much is dropped; otherwise the sender waits
--   polls  who waits to send asks again now and then, which takes its time
--   flood  how many messages a reader that sleeps is sent: 20000 if absent
--   ends   an end can be sent, by shutdown or close; a message is never empty
--   least  the shortest message: 0 if absent, 1 if there is an end
--   chunk  a Lua chunk that returns such a pair, for states of their own
--   info   info(b): the address of b as sendmsg takes it, if they are not
--          connected
--   shared others of the kind receive the same; no peer has a name
--   within calls the function that it is given, in another network namespace
--   lull   seconds of silence after which nothing more comes, 0.02 unless given
--   later  what is sent comes a little later, by another task
--   parents in a child after fork nothing of it works
--   wrapped what its descriptor carries are not the messages: it stays its own
return function(_ENV, kind, make_pair, traits) -- luacheck: ignore 212/_ENV
  local to <const> = traits.to
  local from <const> = traits.from or function() end
  local least <const> = traits.least or traits.ends and 1 or 0
  local it <const> = traits.within and function(name, body)
    it(name, function() traits.within(body) end)
  end or it

  local function with_pair(options, body)
    local a <close>, b = make_pair(options)
    local held <close> = b
    return body(a, b)
  end

  -- A test that gets a pair, in a task.
  local function works(name, options, body)
    if not body then options, body = nil, options end
    it(name, function() in_task(with_pair, options, body) end)
  end

  -- From one to the other.
  local function send(a, b, data)
    if to then return a:sendto(data, to(b)) end
    return a:send(data)
  end

  local function send_many(a, b, datas)
    if to then return a:sendmany(datas, to(b)) end
    return a:sendmany(datas)
  end

  local function info_to(b, info)
    for name, value in pairs(to and traits.info(b) or {}) do
      if info[name] == nil then info[name] = value end
    end
    return info
  end

  -- What is there, up to a time without any; in what they came.
  local function drain(b, seconds)
    local got, before = {}, b:gettimeout()
    b:settimeout(seconds or traits.lull or 0.02)
    while true do
      local data, _, code = b:receive()
      if not data then
        assert(code == "ETIMEDOUT" or code == "EOF", code)
        b:settimeout(before)
        return got
      end
      got[#got + 1] = data
    end
  end

  -- A list of n different messages.
  local function numbered(n, tail)
    local list = {}
    for i = 1, n do list[i] = ("%06d%s"):format(i, tail or "") end
    return list
  end

  -- Whether that many small messages have room at b, before it reads; asks
  -- for the room.
  local function roomy(b, n)
    if not traits.lossy then return false end
    if not b:setsockopt("SO_RCVBUFFORCE", n * 2048) then b:setsockopt("SO_RCVBUF", n * 2048) end
    return b:getsockopt "SO_RCVBUF" >= n * 1024
  end

  -- Sends until there is no more room; returns how many went.
  local function fill(a, b, data)
    local before, n = a:gettimeout(), 0
    a:settimeout(traits.later and 0.05 * helper.slow or 0)
    while true do
      local ok, _, code = send(a, b, data)
      if not ok then
        assert(code == "ETIMEDOUT", code)
        a:settimeout(before)
        return n
      end
      n = n + 1
    end
  end

  describe("messages of " .. kind, function()
    works("keep their borders, of whatever length", function(a, b)
      for _, n in ipairs { least, 1, 2, 3, 7, 8, 100, 511, 512, 1471, 1472, 1473, 4096, 9000, 16384 } do
        if n <= traits.max then
          local data = pattern(n)
          assert.equal(a, send(a, b, data))
          assert.equal(a, send(a, b, "next"))
          local got = table.pack(b:receive())
          assert.is_true(got[1] == data, n)
          assert.same({ from(a) }, { table.unpack(got, 2, got.n) })
          assert.equal("next", (b:receive()))
        end
      end
    end)

    works("may be as long as the system lets them", function(a, b)
      for _, n in ipairs { traits.max - 1, traits.max } do
        local data = pattern(n)
        assert.equal(a, send(a, b, data))
        assert.is_true(b:receive(1 << 20) == data)
      end
      local value, why, code = send(a, b, ("x"):rep(traits.over))
      assert.fails("EMSGSIZE", value, why, code)
      assert.matches("^send", why)
      assert.equal(a, send(a, b, "goes on"))
      assert.equal("goes on", (b:receive()))
    end)

    works("may hold any byte", function(a, b)
      local all = {}
      for byte = 0, 255 do all[#all + 1] = string.char(byte) end
      for _, data in ipairs { table.concat(all), "\0", "\0\0\0", "a\0b\r\n\0", "\xff\xfe" } do
        assert(send(a, b, data))
        assert.equal(data, (b:receive()))
      end
    end)

    works("come in their order", function(a, b)
      local next_in = 1
      for i = 1, 700 do
        assert(send(a, b, tostring(i)))
        if i % 7 == 0 then
          repeat
            local data = b:receive()
            if data ~= tostring(next_in) then error(("%s is number %d"):format(data, next_in)) end
            next_in = next_in + 1
          until next_in == i
        end
      end
      assert.equal(700 - next_in + 1, #drain(b, 0))
    end)

    works("go both ways", function(a, b)
      assert(send(a, b, "there"))
      assert(send(b, a, "and back"))
      assert.equal("there", (b:receive()))
      assert.same({ "and back", from(b) }, { a:receive() })
    end)

    if least == 0 then
      works("may be empty, and that is no end", function(a, b)
        assert(send(a, b, ""))
        assert(send(a, b, ""))
        assert(send(a, b, "x"))
        assert.same({ "", from(a) }, { b:receive() })
        local data, info = b:receivemsg()
        assert.equal("", data)
        assert.equal(0, info.length)
        assert.equal("x", (b:receive()))
        assert(send(a, b, ""))
        assert.same({ "" }, (b:receivemany()))
      end)
    end

    works("that are more than a reader takes at once are none lost", function(a, b)
      local list = numbered(traits.polls and 200 or 1000, "|" .. pattern(50))
      local sender = neap.spawn(function()
        for i = 1, #list do
          assert(send(a, b, list[i]))
          if traits.lossy and i % 50 == 0 then
            eventually(function() return b:counters() == i end)
          end
        end
      end)
      for i = 1, #list do
        if b:receive() ~= list[i] then error("message " .. i) end
      end
      sender:join()
      assert.same({}, drain(b, 0))
    end)
  end)

  describe("receiving from " .. kind, function()
    works("into just enough room takes it whole", function(a, b)
      for _, n in ipairs { 1, 2, 10, 1000, 5000 } do
        assert(send(a, b, pattern(n)))
        assert.equal(pattern(n), (b:receive(n)))
      end
    end)

    works("what is longer fails with its length, takes it away, and leaves the next", function(a, b)
      for _, case in ipairs { { 5, 4 }, { 9000, 100 }, { traits.max, traits.max - 1 }, { 2, 1 } } do
        assert(send(a, b, pattern(case[1])))
        assert(send(a, b, "intact"))
        local value, why, code, length = b:receive(case[2])
        assert.fails("EMSGSIZE", value, why, code)
        assert.equal(case[1], length)
        assert.matches("^receive", why)
        assert.equal("intact", (b:receive()))
      end
      assert.equal(4, (select(5, b:counters())))
    end)

    works("goes by the option maxmessage", { maxmessage = 1000 }, function(a, b)
      assert(send(a, b, pattern(1000)))
      assert(send(a, b, pattern(1001)))
      assert(send(a, b, pattern(1001)))
      assert(send(a, b, pattern(1001)))
      assert(send(a, b, "intact"))
      assert.equal(1000, #b:receive())
      local value, why, code, length = b:receive()
      assert.fails("EMSGSIZE", value, why, code)
      assert.equal(1001, length)
      assert.equal(1001, #b:receive(2000))
      local data, info = b:receivemsg()
      assert.equal(1000, #data)
      assert.is_true(info.truncated)
      assert.equal("intact", (b:receive()))
    end)

    works("with all that came along tells when it was cut", function(a, b)
      assert(send(a, b, pattern(5000)))
      assert(send(a, b, "whole"))
      local data, info = assert(b:receivemsg(100))
      assert.equal(pattern(100), data)
      assert.is_true(info.truncated)
      assert.equal(5000, info.length)
      data, info = assert(b:receivemsg(5))
      assert.equal("whole", data)
      assert.is_nil(info.truncated)
      assert.equal(5, info.length)
      assert.is_nil(info.control_truncated)
    end)

    works("by two tasks gives each whole messages, in turn", function(a, b)
      local first = neap.spawn(function() return b:receive() end)
      waiting(first)
      local second = neap.spawn(function() return b:receivemsg() end)
      waiting(second)
      assert(send(a, b, "for the first"))
      assert.equal("for the first", (first:join()))
      assert.equal("waiting", second:status())
      assert(send(a, b, "for the second"))
      assert.equal("for the second", (second:join()))
    end)

    works("by many tasks shares all out, each once", function(a, b)
      local seen, count = {}, 0
      local group <close> = neap.group()
      for _ = 1, 8 do
        group:spawn(function()
          while true do
            local data = assert(b:receive())
            if data == "end" then return end
            assert.is_nil(seen[data])
            seen[data], count = true, count + 1
            if count % 3 == 0 then neap.sleep(0) end
          end
        end)
      end
      for i = 1, 100 do
        assert(send(a, b, pattern(i)))
        if i % 20 == 0 then eventually(function() return count == i end) end
      end
      for _ = 1, 8 do assert(send(a, b, "end")) end
      group:wait()
    end)

    works("raises on a max that is none, and takes nothing", function(a, b)
      assert(send(a, b, "still there"))
      for _, wrong in ipairs { 0, -1, 1.5, "many", {}, true, 1 << 40 } do
        raises("bad argument #1", function() b:receive(wrong) end)
        raises("bad argument #1", function() b:receivemsg(wrong) end)
        raises("bad argument #1", function() b:receivemany(wrong) end)
      end
      assert.equal("still there", (b:receive()))
    end)
  end)

  describe("the timeout of " .. kind, function()
    works("loses no message, time after time", function(a, b)
      assert.equal(b, b:settimeout(0.01))
      assert.equal(0.01, b:gettimeout())
      for _, call in ipairs {
        function() return b:receive() end,
        function() return b:receive(100) end,
        function() return b:receivemsg() end,
        function() return b:receivemany() end,
        function() return b:receivemany(3, {}) end,
      } do
        local value, why, code = assert.takes(0.008, 1, call)
        assert.fails("ETIMEDOUT", value, why, code)
        assert.matches("^receive.*timed out", why)
      end
      assert(send(a, b, "late"))
      assert.equal("late", (b:receive()))
    end)

    works("is for each call, and nil means none", function(a, b)
      b:settimeout(0.1 * helper.slow)
      for _ = 1, 2 do
        local sender = neap.spawn(function()
          neap.sleep(0.055 * helper.slow)
          assert(send(a, b, "x"))
        end)
        assert.equal("x", (b:receive()))
        sender:join()
      end
      assert.equal(b, b:settimeout(nil))
      assert.is_nil(b:gettimeout())
      local reader = neap.spawn(function() return b:receive() end)
      neap.sleep(0.025)
      assert.equal("waiting", reader:status())
      assert(send(a, b, "y"))
      assert.equal("y", (reader:join()))
    end)

    works("of the options holds from the start", { timeout = 0.02 }, function(_, b)
      assert.equal(0.02, b:gettimeout())
      assert.takes(0.015, 1, function() assert.fails("ETIMEDOUT", b:receive()) end)
    end)

    works("of nothing tries once", { timeout = 0 }, function(a, b)
      assert.takes(0, 0.05, function() assert.fails("ETIMEDOUT", b:receive()) end)
      assert.equal(a, send(a, b, "x"))
      assert.equal("x", (b:receive()))
      assert.fails("ETIMEDOUT", b:receivemany())
    end)

    works("must be seconds", function(a)
      for _, wrong in ipairs { -1, 0 / 0, "soon", {}, true } do
        raises("bad argument #1", function() a:settimeout(wrong) end)
      end
      assert.is_nil(a:gettimeout())
    end)

    it("holds outside of any task, too", function()
      with_pair({ timeout = 0.02 }, function(a, b)
        assert.fails("ETIMEDOUT", b:receive())
        assert(send(a, b, "x"))
        assert.equal("x", (b:receive()))
      end)
    end)
  end)

  describe("a task that is interrupted on " .. kind, function()
    for name, read in pairs {
      receive = function(s) return s:receive() end,
      receivemsg = function(s) return s:receivemsg() end,
      receivemany = function(s) return s:receivemany()[1] end,
      messages = function(s) return s:messages()() end,
    } do
      works(("by a deadline in %s loses nothing"):format(name), function(a, b)
        assert.fails("ETIMEDOUT", neap.timeout(0.01, read, b))
        assert.fails("ETIMEDOUT", neap.timeout(0.01, read, b))
        assert(send(a, b, "kept"))
        assert.equal("kept", (read(b)))
      end)

      works(("by cancelling in %s loses nothing"):format(name), function(a, b)
        local reader = neap.spawn(function()
          local ok, err = pcall(read, b)
          return ok, tostring(err)
        end)
        waiting(reader)
        reader:cancel()
        assert.same({ false, "cancelled" }, { reader:join() })
        assert(send(a, b, "kept"))
        assert.equal("kept", (read(b)))
      end)

      works(("when a message has come to %s already gets it, or leaves it"):format(name), function(a, b)
        for _ = 1, 5 do
          local reader = neap.spawn(function()
            local ok, data = pcall(read, b)
            return ok and data or nil
          end)
          waiting(reader)
          assert(send(a, b, "once"))
          reader:cancel()
          local got = reader:join() or (b:receive())
          assert.equal("once", got)
          b:settimeout(0)
          assert.fails("ETIMEDOUT", b:receive())
          b:settimeout(nil)
        end
      end)
    end

    works("again and again, at any moment, loses nothing and reorders nothing", function(a, b)
      local COUNT <const> = 60
      local sender = neap.spawn(function()
        for i = 1, COUNT do
          assert(send(a, b, tostring(i)))
          neap.sleep(i % 4 / 2000)
        end
      end)
      local got = 0
      while got < COUNT do
        local data = neap.timeout(0.001, b.receive, b)
        if data then
          got = got + 1
          assert.equal(tostring(got), data)
        end
      end
      sender:join()
    end)

    works("lets the next one have its turn", function(a, b)
      local first = neap.spawn(function() return b:receive() end)
      waiting(first)
      local second = neap.spawn(function() return b:receive() end)
      local third = neap.spawn(function() return b:receive() end)
      waiting(second)
      waiting(third)
      second:cancel()
      assert.fails("ECANCELED", second:join())
      first:cancel()
      assert.fails("ECANCELED", first:join())
      assert(send(a, b, "x"))
      assert.equal("x", (third:join()))
    end)

    works("by the end of its group wakes, and the socket is none the worse", function(a, b)
      local reader
      assert.raises("the end", function()
        local group <close> = neap.group()
        reader = group:spawn(function() return b:receive() end)
        waiting(reader)
        error "the end"
      end)
      assert.fails("ECANCELED", reader:join())
      assert(send(a, b, "x"))
      assert.equal("x", (b:receive()))
    end)
  end)

  describe("where it can wait, " .. kind, function()
    works("does, in a generator, too", function(a, b)
      local next_message = neap.coroutine.wrap(function()
        for data in b:messages() do neap.coroutine.yield(data) end
      end)
      local sender = neap.spawn(function()
        for i = 1, 3 do
          neap.sleep(0.001)
          assert(send(a, b, "message " .. i))
        end
      end)
      for i = 1, 3 do assert.equal("message " .. i, next_message()) end
      sender:join()
    end)

    works("gives way now and then, though it never has to wait", function(a, b)
      local ticks = 0
      local ticker <close> = neap.spawn({ daemon = true }, function()
        while true do
          neap.sleep(0)
          ticks = ticks + 1
        end
      end)
      local datas = {}
      for _ = 1, 1500 do
        assert(send(a, b, "x"))
        assert(b:receive())
        assert(send_many(a, b, { "x" }))
        assert(b:receivemany(1, datas))
      end
      assert.is_true(ticks >= 10, ticks)
    end)
  end)

  describe("where it cannot wait, " .. kind, function()
    works("refuses at once, whether or not anything is there", function(a, b)
      for _, there in ipairs { false, true } do
        if there then assert(send(a, b, "kept")) end
        for name, call in pairs {
          receive = function() return b:receive() end,
          receivemsg = function() return b:receivemsg() end,
          receivemany = function() return b:receivemany() end,
          messages = function() return b:messages()() end,
          send = function() return send(a, b, "never sent") end,
          sendmany = function() return send_many(a, b, { "never sent" }) end,
          sendmsg = function() return a:sendmsg("never sent", info_to(b, {})) end,
        } do
          local ok, err
          table.sort({ 2, 1 }, function(x, y)
            ok, err = pcall(call)
            return x < y
          end)
          assert.is_false(ok, name)
          assert.matches("cannot wait here", err)
        end
      end
      assert.same({ "kept" }, drain(b))
    end)
  end)

  describe("many at once of " .. kind, function()
    works("are sent and received in order, in any number", function(a, b)
      for _, count in ipairs { 1, 63, 64, 65, 130 } do
        local list = numbered(count)
        local sender = neap.spawn(function() return send_many(a, b, list) end)
        local got = {}
        while #got < count do
          local results = table.pack(b:receivemany())
          local datas = results[1]
          assert.is_true(#datas >= 1 and #datas <= 64)
          for at, value in ipairs { from(a) } do
            for i = 1, #datas do
              if results[1 + at][i] ~= value then error(("%s is not %s"):format(results[1 + at][i], value)) end
            end
          end
          for at = 2, results.n do assert.equal(#datas, #results[at]) end
          table.move(datas, 1, #datas, #got + 1, got)
        end
        assert.equal(table.concat(list, " "), table.concat(got, " "))
        assert.equal(count, sender:join())
      end
    end)

    works("may be none", function(a, b)
      assert.equal(0, send_many(a, b, {}))
      assert.same({}, drain(b, 0))
      assert.same({ 0, 0, 0, 0, 0 }, { a:counters() })
    end)

    works("may be a thousand", function(a, b)
      local COUNT <const> = traits.polls and 200 or 1000
      local list = numbered(COUNT)
      local whole = roomy(b, COUNT)
      local sender = neap.spawn(function() return send_many(a, b, list) end)
      local got = {}
      b:settimeout(0.1 * helper.slow)
      while #got < COUNT do
        local datas, _, code = b:receivemany(300)
        if not datas then
          assert(traits.lossy and not whole and code == "ETIMEDOUT", code)
          break
        end
        table.move(datas, 1, #datas, #got + 1, got)
      end
      assert.equal(COUNT, sender:join())
      for i, data in ipairs(got) do
        if data ~= list[i] then error(("%d is %s"):format(i, data)) end
      end
      assert.is_true(#got >= 100)
    end)

    works("are of different lengths, kept apart", function(a, b)
      local list = {}
      for i = 1, 60 do list[i] = pattern((i * 37) % 1400 + least) end
      list[61], list[62] = pattern(math.min(9000, traits.max)), "last"
      local sender = neap.spawn(function() return send_many(a, b, list) end)
      local got = {}
      while #got < #list do
        local datas = assert(b:receivemany())
        table.move(datas, 1, #datas, #got + 1, got)
      end
      assert.is_true(table.concat(list, "|") == table.concat(got, "|"))
      assert.equal(#list, sender:join())
    end)

    works("are at most as many as were asked for, and none is lost", function(a, b)
      for i = 1, 10 do assert(send(a, b, tostring(i))) end
      assert.same({ "1", "2", "3" }, (b:receivemany(3)))
      assert.same({ "4" }, (b:receivemany(1)))
      assert.same({ "5", "6", "7", "8", "9", "10" }, (b:receivemany()))
    end)

    works("go into tables that are given, which are cut to what came", function(a, b)
      local datas <const> = {}
      for i = 1, 20 do datas[i] = "old" end
      local columns <const> = {}
      for i = 1, select("#", from(a)) do
        columns[i] = { "old", "old", "old", "old" }
      end
      assert(send(a, b, "one"))
      assert(send(a, b, "two"))
      local results = table.pack(b:receivemany(10, datas, table.unpack(columns)))
      assert.equal(datas, results[1])
      assert.same({ "one", "two" }, datas)
      for i, value in ipairs { from(a) } do
        assert.equal(columns[i], results[1 + i])
        assert.same({ value, value }, columns[i])
      end
      assert.equal(1 + #columns, results.n)
      assert(send(a, b, "three"))
      assert.equal(datas, (b:receivemany(nil, datas)))
      assert.same({ "three" }, datas)
    end)

    works("wait for the first, then take what is there", function(a, b)
      local reader = neap.spawn(function() return b:receivemany() end)
      waiting(reader)
      assert(send(a, b, "one"))
      assert(send(a, b, "two"))
      assert.same({ "one", "two" }, (reader:join()))
    end)

    if not traits.later then works("skip those that are too long, and count them", { maxmessage = 100 }, function(a, b)
      for _, n in ipairs { 101, 3, 5000, 100, 101 } do assert(send(a, b, pattern(n))) end
      assert.same({ pattern(3), pattern(100) }, (b:receivemany()))
      assert.equal(3, (select(5, b:counters())))
      assert(send(a, b, "x"))
      assert.same({ "x" }, (b:receivemany()))
      -- one that is alone is no result: it goes on waiting
      local reader = neap.spawn(function() return b:receivemany() end)
      waiting(reader)
      assert(send(a, b, pattern(101)))
      neap.sleep(0.005)
      assert.equal("waiting", reader:status())
      assert(send(a, b, "y"))
      assert.same({ "y" }, (reader:join()))
    end) end

    works("raise on what is no list of strings, and send nothing", function(a, b)
      for _, wrong in ipairs { 5, true, "text" } do
        raises("bad argument #1", function() send_many(a, b, wrong) end)
      end
      for _, wrong in ipairs { { 1 }, { "a", false }, { "a", {} } } do
        raises("bad argument #1", function() send_many(a, b, wrong) end)
      end
      raises("bad argument #2", function() b:receivemany(1, "datas") end)
      assert.same({}, drain(b, 0))
    end)
  end)

  describe("the iterator of " .. kind, function()
    works("gives what receive gives, until it is closed", function(a, b)
      local got = {}
      local reader = neap.spawn(function()
        for data, one, two, three in b:messages() do got[#got + 1] = { data, one, two, three } end
        return "ended"
      end)
      for i = 1, 3 do
        assert(send(a, b, "message " .. i))
        eventually(function() return #got == i end)
      end
      waiting(reader)
      b:close()
      assert.equal("ended", reader:join())
      for i = 1, 3 do assert.same({ "message " .. i, from(a) }, got[i]) end
    end)

    works("ends at once where it is closed already", function(_, b)
      b:close()
      for _ in b:messages() do error "a message of what is closed" end
    end)

    works("raises on a failure, and loses nothing", { timeout = 0.01 }, function(a, b)
      assert(send(a, b, "one"))
      local got = {}
      raises("timed out", function()
        for data in b:messages() do got[#got + 1] = data end
      end)
      assert.same({ "one" }, got)
      assert(send(a, b, "two"))
      assert.equal("two", (b:messages()()))
    end)

    works("passes over what is too long, and counts it", { maxmessage = 100 }, function(a, b)
      assert(send(a, b, pattern(101)))
      assert(send(a, b, "one"))
      assert(send(a, b, pattern(101)))
      assert(send(a, b, pattern(200)))
      assert(send(a, b, "two"))
      local next_message = b:messages()
      assert.equal("one", (next_message()))
      assert.equal("two", (next_message()))
      assert.equal(3, (select(5, b:counters())))
    end)

    if least == 0 then
      works("goes on after an empty one", function(a, b)
        assert(send(a, b, ""))
        assert(send(a, b, "x"))
        local got = {}
        for data in b:messages() do
          got[#got + 1] = data
          if #got == 2 then break end
        end
        assert.same({ "", "x" }, got)
      end)
    end
  end)

  if traits.ends then
    describe("the end of " .. kind, function()
      local ways <const> = {
        close = function(a) assert.is_true(a:close()) end,
        shutdown = function(a) assert.equal(a, a:shutdown "w") end,
      }
      for name, finish in pairs(ways) do
        works(("by %s comes after all messages, to every way of receiving, each time"):format(name), function(a, b)
          assert(a:send "last")
          finish(a)
          assert.equal("last", (b:receive()))
          for _ = 1, 2 do
            local value, why, code = b:receive()
            assert.fails("EOF", value, why, code)
            assert.equal("end of stream", why)
            assert.fails("EOF", b:receivemsg())
            assert.fails("EOF", b:receivemany())
            for _ in b:messages() do error "a message after the end" end
          end
        end)

        works(("by %s wakes who waits"):format(name), function(a, b)
          local reader = neap.spawn(function() return b:receive() end)
          waiting(reader)
          local other = neap.spawn(function() return b:receivemany() end)
          waiting(other)
          finish(a)
          assert.fails("EOF", reader:join())
          assert.fails("EOF", other:join())
        end)
      end

      works("leaves the messages that came just before it to receivemany", function(a, b)
        assert.equal(3, a:sendmany { "one", "two", "three" })
        a:close()
        assert.same({ "one", "two", "three" }, (b:receivemany()))
        assert.fails("EOF", b:receivemany())
      end)

      works("of one direction leaves the other", function(a, b)
        assert(a:shutdown "w")
        assert.fails("EOF", b:receive())
        assert(b:send "still")
        assert.equal("still", a:receive())
        assert.fails("EPIPE", a:send "x")
      end)

      works("makes sending fail with EPIPE, and no signal ends the process", function(a, b)
        b:close()
        local value, why, code = a:send "x"
        assert.fails("EPIPE", value, why, code)
        assert.matches("^send", why)
        assert.fails("EPIPE", a:sendmsg("x", {}))
        assert.fails("EPIPE", a:sendmany { "x", "y" })
      end)

      works("by an empty message is refused: none could be told from it", function(a)
        raises("bad argument #1", function() a:send "" end)
      end)
    end)
  end

  if traits.lossy then
    describe("a reader that is slower than what comes to " .. kind, function()
      works("gets what there is room for, whole and in order; the rest is counted", function(a, b)
        local TOTAL <const>, AT_ONCE <const> = (traits.flood or 20000) // helper.slow, 500
        assert(b:setsockopt("SO_RXQ_OVFL", true))
        local tail = pattern(90)
        local sender = neap.spawn(function()
          local list = {}
          for first = 1, TOTAL, AT_ONCE do
            for i = 1, AT_ONCE do list[i] = ("%06d%s"):format(first + i - 1, tail) end
            assert.equal(AT_ONCE, send_many(a, b, list))
          end
        end)
        local last, count, drops = 0, 0, 0
        local function take(data, info)
          local number = math.tointeger(tonumber(data:sub(1, 6)))
          if #data ~= 96 or data:sub(7) ~= tail or number <= last then
            error(("%d after %d"):format(number, last))
          end
          last, count, drops = number, count + 1, info.drops or drops
        end
        for _ = 1, 20 do -- it reads a little, and sleeps
          take(b:receivemsg())
          neap.sleep(0.002)
        end
        sender:join()
        b:settimeout(0.02)
        while true do
          local data, info = b:receivemsg()
          if not data then break end
          take(data, info)
        end
        assert.is_true(count >= 50, count)
        assert(send(a, b, ("%06d%s"):format(TOTAL + 1, tail)))
        take(b:receivemsg())
        assert.equal(TOTAL + 1, count + drops)
        assert.equal(count, (b:counters()))
        assert.equal(TOTAL + 1, (select(3, a:counters())))
      end)
    end)
  else
    describe("a sender that is faster than the reader of " .. kind, function()
      -- Longer than what fills: a shorter one may still have room.
      local function late(text) return text .. pattern(1000) end

      works("waits for room, and goes on", function(a, b)
        local n = fill(a, b, pattern(1000))
        assert.is_true(n >= 1)
        local sender = neap.spawn(function() return send(a, b, late "in the end") end)
        neap.sleep(0.02)
        waiting(sender) -- still
        for _ = 1, n do assert.equal(1000, #b:receive()) end
        assert.equal(a, neap.timeout(2 * helper.slow, sender.join, sender))
        assert.equal(late "in the end", (b:receive()))
      end)

      works("waits no longer than its timeout, and sends nothing then", { timeout = 0.01 }, function(a, b)
        local n = fill(a, b, pattern(1000))
        local value, why, code = assert.takes(0.008, 1, function() return send(a, b, late "too late") end)
        assert.fails("ETIMEDOUT", value, why, code)
        assert.matches("^send.*timed out", why)
        value, why, code = a:sendmsg(late "too late", info_to(b, {}))
        assert.fails("ETIMEDOUT", value, why, code)
        local v, w, c, sent = send_many(a, b, { late "too late" })
        assert.fails("ETIMEDOUT", v, w, c)
        assert.is_true(sent == nil or sent == 0)
        assert.equal(n, #drain(b))
      end)

      works("tells how many of many went out", { timeout = 0.02 }, function(a, b)
        local list = numbered(1000, pattern(1000))
        local value, why, code, sent = send_many(a, b, list)
        assert.fails("ETIMEDOUT", value, why, code)
        assert.equal("integer", math.type(sent))
        assert.is_true(sent > 0 and sent < #list)
        assert.equal(sent, (select(3, a:counters())))
        local got = drain(b)
        assert.equal(sent, #got)
        assert.equal(list[sent], got[sent])
      end)

      -- small ones are too many for the reader's queue, large ones for the
      -- sender's buffer
      for _, size in ipairs { 1000, 60000 } do works(("takes no processor time while %d bytes have no room")
        :format(size), function(a, b)
        local n = fill(a, b, pattern(size))
        local sender = neap.spawn(function() return send(a, b, pattern(size)) end)
        waiting(sender)
        neap.sleep(0.02)
        local before = os.clock()
        neap.sleep(0.04)
        assert.is_true(os.clock() - before < 0.02)
        waiting(sender) -- still
        for _ = 1, n do assert(b:receive()) end
        assert.equal(a, assert.takes(0, 0.5, sender.join, sender))
      end) end

      works("when it is interrupted sends nothing later", function(a, b)
        local n = fill(a, b, pattern(1000))
        local sender = neap.spawn(function() return send(a, b, late "never") end)
        waiting(sender)
        sender:cancel()
        assert.fails("ECANCELED", sender:join())
        assert.fails("ETIMEDOUT", neap.timeout(0.01, send, a, b, late "never"))
        assert.equal(n, #drain(b))
        assert(send(a, b, "now"))
        assert.equal("now", (b:receive()))
      end)

      works("is woken when it is closed", function(a, b)
        fill(a, b, pattern(1000))
        local tasks = {
          neap.spawn(function() return send(a, b, late "x") end),
          neap.spawn(function() return send_many(a, b, { late "x" }) end),
          neap.spawn(function() return a:sendmsg(late "x", info_to(b, {})) end),
        }
        for _, task in ipairs(tasks) do waiting(task) end
        a:close()
        assert.takes(0, 0.3, function()
          for _, task in ipairs(tasks) do assert.fails("ECLOSED", task:join()) end
        end)
      end)

      works("and another beside it each send whole messages", function(a, b)
        local group <close> = neap.group()
        for letter in ("abcd"):gmatch "." do
          group:spawn(function()
            for i = 1, 50 do assert(send(a, b, letter:rep(1000) .. i)) end
          end)
        end
        local next_of = {}
        for _ = 1, 200 do
          local data = b:receive()
          local letter = data:sub(1, 1)
          next_of[letter] = (next_of[letter] or 0) + 1
          if data ~= letter:rep(1000) .. next_of[letter] then error(data) end
        end
        group:wait()
      end)

      works("and a reader that sleeps lose nothing", function(a, b)
        local TOTAL <const> = (traits.flood or 20000) // helper.slow
        local sender = neap.spawn(function()
          local list = {}
          for first = 1, TOTAL, 100 do
            for i = 1, 100 do list[i] = ("%06d"):format(first + i - 1) end
            assert.equal(100, send_many(a, b, list))
          end
        end)
        neap.sleep(0.02)
        local count, datas = 0, {}
        while count < TOTAL do
          assert(b:receivemany(512, datas))
          for i = 1, #datas do
            count = count + 1
            if tonumber(datas[i]) ~= count then error(("%s is number %d"):format(datas[i], count)) end
          end
        end
        sender:join()
      end)
    end)
  end

  describe("the counters of " .. kind, function()
    works("tell messages and bytes in and out, also once it is closed", function(a, b)
      assert.same({ 0, 0, 0, 0, 0 }, { a:counters() })
      assert(send(a, b, "12345"))
      assert.equal(2, send_many(a, b, { "678", "9" }))
      assert(a:sendmsg("0", info_to(b, {})))
      assert.same({ 0, 0, 4, 10, 0 }, { a:counters() })
      assert(b:receive())
      assert.same({ 1, 5, 0, 0, 0 }, { b:counters() })
      assert(b:receivemany(2))
      assert(b:receivemsg())
      assert.same({ 4, 10, 0, 0, 0 }, { b:counters() })
      a:close()
      b:close()
      assert.same({ 0, 0, 4, 10, 0 }, { a:counters() })
      assert.same({ 4, 10, 0, 0, 0 }, { b:counters() })
    end)

    works("do not count what was not sent", function(a, b)
      assert.fails("EMSGSIZE", send(a, b, ("x"):rep(traits.over)))
      assert.same({ 0, 0, 0, 0, 0 }, { a:counters() })
    end)
  end)

  describe("the tap of " .. kind, function()
    works("is told of every message, both ways, with its address", function(a, b)
      local out, into = {}, {}
      assert.equal(a, a:settap(function(...) out[#out + 1] = { ... } end))
      assert.equal(b, b:settap(function(...) into[#into + 1] = { ... } end))
      assert(send(a, b, "one"))
      assert.equal(2, send_many(a, b, { "two", "three" }))
      assert(a:sendmsg("four", info_to(b, {})))
      assert(b:receive())
      assert(b:receivemany(2))
      assert(b:receivemsg())
      for i, data in ipairs { "one", "two", "three", "four" } do
        assert.same({ "in", data, from(a) }, into[i])
        assert.same({ "out", data }, { out[i][1], out[i][2] })
        if to then assert.same({ to(b) }, { table.unpack(out[i], 3) }) end
      end
      assert.same({ 4, 4 }, { #out, #into })
      assert.equal(a, a:settap(nil))
      assert(send(a, b, "five"))
      assert.equal(4, #out)
    end)

    works("that raises is taken away, and its error is told", function(a, b)
      local reports, calls = helper.reports(), 0
      a:settap(function()
        calls = calls + 1
        error "the tap leaks"
      end)
      assert.equal(a, send(a, b, "one"))
      assert.equal(a, send(a, b, "two"))
      assert.equal(1, calls)
      assert.equal(1, #reports)
      assert.matches("the tap leaks", tostring(reports[1].err))
      b:settap(function() error {} end)
      assert.equal("one", (b:receive()))
      assert.equal("two", (b:receive()))
      assert.equal(2, #reports)
    end)

    works("that raises in the middle of many loses none", function(a, b)
      local reports, calls = helper.reports(), 0
      local function tap()
        calls = calls + 1
        if calls == 2 then error "enough" end
      end
      a:settap(tap)
      assert.equal(5, send_many(a, b, numbered(5)))
      assert.equal(2, calls)
      calls = 0
      b:settap(tap)
      assert.same(numbered(5), (b:receivemany()))
      assert.equal(2, calls)
      assert.equal(2, #reports)
    end)

    works("cannot wait, and may close what it taps", function(a, b)
      local reports = helper.reports()
      b:settap(function() neap.sleep(0) end)
      assert(send(a, b, "x"))
      assert.equal("x", (b:receive()))
      assert.equal(1, #reports)
      assert.matches("cannot wait here", tostring(reports[1].err))
      b:settap(function() b:close() end)
      assert(send(a, b, "the last"))
      assert.equal("the last", (b:receive()))
      assert.is_false(b:isopen())
      a:settap(function() a:close() end)
      if traits.ends then assert.fails("EPIPE", a:send "x") end
    end)

    works("that closes in the middle of many does no harm", function(a, b)
      local calls = 0
      assert.equal(5, send_many(a, b, numbered(5)))
      b:settap(function()
        calls = calls + 1
        if calls == 2 then b:close() end
      end)
      local datas = b:receivemany()
      assert.is_true(#datas >= 2)
      assert.is_false(b:isopen())
      assert.fails("ECLOSED", b:receivemany())
    end)

    works("must be a function", function(a)
      raises("bad argument #1", function() a:settap(5) end)
      raises("bad argument #1", function() a:settap "out" end)
    end)
  end)

  describe("wrong arguments to " .. kind, function()
    works("raise with their number, blame who calls, and send nothing", function(a, b)
      for _, wrong in ipairs { 5, true, {}, print } do
        raises("bad argument #1", function() send(a, b, wrong) end)
        raises("bad argument #1", function() a:sendmsg(wrong, info_to(b, {})) end)
      end
      raises("bad argument #1", function() a:send() end)
      raises("bad argument #1", function() a:sendmany() end)
      raises("bad argument #2", function() a:sendmsg "x" end)
      raises("bad argument #2", function() a:sendmsg("x", 5) end)
      for field, value in pairs {
        tll = 5, ttl = "x", tos = 256, ecn = 4, interface = {}, fds = 5, credentials = "me",
      } do
        raises(field, function() a:sendmsg("x", info_to(b, { [field] = value })) end)
      end
      raises("bad argument #2", function() a:sendmsg("x", info_to(b, { "x" })) end)
      assert.same({}, drain(b, 0))
      assert.same({ 0, 0, 0, 0, 0 }, { a:counters() })
    end)

    works("raise when it is no message socket", function(a)
      for _, wrong in ipairs { 5, "x", {}, io.stdout } do
        assert.raises("bad", a.send, wrong, "x")
        assert.raises("bad", a.receive, wrong)
        assert.raises("bad", a.close, wrong)
      end
      assert.raises("bad", a.send)
    end)
  end)

  describe("closing " .. kind, function()
    for name, wait in pairs {
      receive = function(s) return s:receive() end,
      receivemsg = function(s) return s:receivemsg() end,
      receivemany = function(s) return s:receivemany() end,
    } do
      works(("wakes those who wait in %s"):format(name), function(_, b)
        local first = neap.spawn(function() return wait(b) end)
        waiting(first)
        local second = neap.spawn(function() return wait(b) end)
        waiting(second)
        assert.is_true(b:close())
        assert.fails("ECLOSED", first:join())
        assert.fails("ECLOSED", second:join())
      end)
    end

    works("makes every later method fail, and none raise", function(a, b)
      local address = to and table.pack(to(b)) or { "x", n = 0 }
      for _, s in ipairs { a, b } do
        assert.is_true(s:isopen())
        assert.is_true(s:close())
        assert.is_true(s:close())
        assert.is_false(s:isopen())
        local calls = {
          { "send", "x" }, { "sendmsg", "x", {} }, { "sendmany", { "x" } }, { "receive" }, { "receive", 10 },
          { "receivemsg" }, { "receivemany" }, { "geterror" }, { "geterror", 0 }, { "shutdown", "w" },
          { "connect" }, { "attachfilter", { { 6, 0, 0, 65535 } } }, { "detachfilter" },
          { "join", "224.0.0.251" }, { "leave", "224.0.0.251" }, { "block", "232.0.0.1", "lo", "127.0.0.1" },
          { "unblock", "232.0.0.1", "lo", "127.0.0.1" },
          { "getsockname" }, { "getpeername" }, { "setsockopt", "SO_REUSEADDR", true },
          { "getsockopt", "SO_REUSEADDR" }, { "settimeout", 1 }, { "gettimeout" }, { "fileno" }, { "detach" },
          { "settap" }, { "settap", print },
        }
        if address.n > 0 then
          calls[#calls + 1] = { "sendto", "x", table.unpack(address) }
          calls[#calls + 1] = { "connect", table.unpack(address) }
          calls[#calls + 1] = { "bind", table.unpack(address) }
        end
        for _, call in ipairs(calls) do
          local value, why, code = s[call[1]](s, table.unpack(call, 2))
          assert.message(call[1]).is_nil(value)
          assert.message(call[1]).equal("ECLOSED", code)
          assert.message(call[1]).equal("closed", why)
        end
        assert.equal(traits.name .. " (closed)", tostring(s))
      end
    end)

    works("drops what was not received", function(a, b)
      assert(send(a, b, "unread"))
      assert.is_true(b:close())
      assert.fails("ECLOSED", b:receive())
    end)

    it("is what the end of a scope does, and of a collection", function()
      local before = helper.count_fds()
      in_task(function()
        local a, b <close> = make_pair()
        do
          local held <close> = a
          assert(send(held, b, "x"))
        end
        assert.is_false(a:isopen())
        assert.equal("x", (b:receive()))
      end)
      in_task(function() make_pair() end)
      if traits.later then -- what carried it goes once the end was said
        eventually(function() return helper.count_fds() == before end)
      end
      assert.equal(before, helper.count_fds())
    end)

    it("leaves nothing behind of those that were used and forgotten", function()
      in_task(make_pair) -- whatever the loop opens is open
      local before = helper.count_fds()
      in_task(function()
        for _ = 1, 20 do
          local a, b = make_pair { timeout = 0 }
          a:settap(function() return b end)
          send(a, b, "x")
          b:receive()
          b:receive()
        end
      end)
      assert.equal(before, helper.count_fds())
    end)
  end)

  describe("the descriptor of " .. kind, function()
    works("is told, and named", function(a, b)
      assert.equal("integer", math.type(a:fileno()))
      assert.not_equal(a:fileno(), b:fileno())
      assert.equal(("%s (%d)"):format(traits.name, a:fileno()), tostring(a))
      assert.same({ nonblock = true, cloexec = true }, probe.flags(a:fileno()))
    end)

    if traits.wrapped then works("is not given away", function(a)
      assert.fails("EOPNOTSUPP", a:detach())
      assert.is_true(a:isopen())
    end) else works("is given away, with what nobody received", function(a, b)
      assert(send(a, b, "left"))
      local number = b:fileno()
      local fd = b:detach()
      local cleanup <close> = helper.defer(function() probe.close(fd) end)
      assert.equal(number, fd)
      assert.is_false(b:isopen())
      assert.fails("ECLOSED", b:receive())
      assert.is_true(b:close())
      assert.is_true(probe.isopen(fd))
      assert.equal("left", probe.read(fd))
    end) end

    if not traits.wrapped then works("wakes who waits when it is given away", function(_, b)
      local reader = neap.spawn(function() return b:receive() end)
      waiting(reader)
      local fd = b:detach()
      assert.fails("ECLOSED", reader:join())
      probe.close(fd)
    end) end

    works("can be waited for beside the socket", function(a, b)
      local fd = b:fileno()
      assert.fails("ETIMEDOUT", neap.wait(fd, "r", 0.01))
      assert(send(a, b, "x"))
      assert.equal("r", neap.wait(fd, "r", 1))
      assert.equal("x", (b:receive()))
      assert(send(a, b, "y"))
      assert.equal("y", (b:receive()))
    end)

    it("is not there when there are none left", function()
      in_task(function()
        neap.sleep(0.001) -- whatever the loop opens is open
        local ok, why, code = without_descriptors(function()
          local s, why, code = traits.open()
          if s then s:close() end
          return s, why, code
        end)
        assert.fails("EMFILE", ok, why, code)
      end)
    end)

    works("takes options by their names, and tells them", function(a)
      assert.equal(a, a:setsockopt("SO_PRIORITY", 3))
      assert.equal(3, a:getsockopt "SO_PRIORITY")
      raises("unknown socket option 'SO_PRIORITEE'", function() a:setsockopt("SO_PRIORITEE", 1) end)
      raises("bad argument #2", function() a:setsockopt("SO_PRIORITY", "x") end)
      raises("unknown socket option", function() a:getsockopt "SO_PRIORITEE" end)
    end)
  end)

  if not traits.shared then describe("the names of " .. kind, function()
    works("are told, each side's by itself and by the other", function(a, b)
      if to then
        assert.fails("ENOTCONN", a:getpeername())
        assert.same({ from(a) }, { a:getsockname() })
      else
        assert.same({ a:getsockname() }, { b:getpeername() })
        assert.same({ b:getsockname() }, { a:getpeername() })
        assert.is_true(select("#", a:getsockname()) >= 1)
      end
    end)
  end) end

  describe("many tasks, each with " .. kind, function()
    if not traits.shared then it("do not meet", function()
      in_task(function()
        local group <close> = neap.group()
        for i = 1, helper.slow > 1 and 20 or 60 do
          group:spawn(function()
            with_pair({ timeout = 5 }, function(a, b)
              for round = 1, 5 do
                assert(send(a, b, ("%d/%d"):format(i, round)))
                neap.sleep(0)
                local data = assert(b:receive())
                assert.equal(("%d/%d"):format(i, round), data)
                assert(send(b, a, data:reverse()))
                assert.equal(data:reverse(), (a:receive()))
              end
            end)
          end)
        end
        group:wait()
      end)
    end) end

    if traits.chunk then
      local talk <const> = ([[
        local neap = require "neap"
        local a, b = (function() %s end)()
        return neap.run(function()
          local receiver = neap.spawn(function()
            for i = 1, 200 do assert(b:receive() == "message " .. i) end
          end)
          for i = 1, 200 do
            local data = "message " .. i
            if to then assert(a:sendto(data, to(b))) else assert(a:send(data)) end
            if i %% 50 == 0 then neap.sleep(0) end
          end
          receiver:join()
          local stuck = neap.spawn({ daemon = true }, function() b:receive() end)
          neap.sleep(0.001)
          return "well"
        end)
      ]]):format(traits.chunk)

      it("in several Lua states at once, which end with tasks that wait", function()
        for _, result in ipairs(helper.threads(4, talk)) do assert.same({ true, "well" }, result) end
        local ok, said = helper.state(talk)
        assert.same({ true, "well" }, { ok, said })
      end)
    end
  end)

  describe("after a fork, a child's " .. kind, function()
    works("may send, receive and close, and the parent's is not touched", function(a, b)
      local reader = neap.spawn(function() return b:receive() end)
      waiting(reader)
      local text, code = helper.forked(function()
        a:close()
        b:close()
        return "closed"
      end)
      assert.same({ "closed", 0 }, { text, code })
      neap.sleep(0.005)
      assert.equal("waiting", reader:status())
      assert(send(a, b, "still heard"))
      assert.equal("still heard", (neap.timeout(2, reader.join, reader)))
      reader = neap.spawn(function() return b:receive() end)
      waiting(reader)
      assert(send(a, b, "and again"))
      assert.equal("and again", (neap.timeout(2, reader.join, reader)))
    end)

    if traits.parents then return end
    it("works as ever once it has begun anew", function()
      local text, code = helper.forked(function()
        neap.reset()
        return neap.run(function()
          return with_pair({ timeout = 2 }, function(a, b)
            local reader = neap.spawn(function() return b:receive() end)
            neap.sleep(0.002)
            assert(send(a, b, "in the child"))
            return (reader:join())
          end)
        end)
      end)
      assert.same({ "in the child", 0 }, { text, code })
    end)

    it("does what need not wait, and is told where it would have to", function()
      with_pair(nil, function(a, b)
        assert(send(a, b, "for the child"))
        local text, code = helper.forked(function()
          local data = assert(b:receive())
          assert(send(b, a, "from the child"))
          local ok, err = pcall(function() return b:receive() end)
          return ("%s|%s|%s"):format(data, ok, err)
        end)
        assert.equal(0, code, text)
        assert.matches("^for the child|false|.*neap%.reset", text)
        assert.equal("from the child", (a:receive()))
      end)
    end)
  end)

  describe("a script without tasks on " .. kind, function()
    it("sends, receives and closes", function()
      with_pair(nil, function(a, b)
        assert(send(a, b, "one"))
        assert.equal(2, send_many(a, b, { "two", "three" }))
        assert.equal("one", (b:receive()))
        assert.same({ "two", "three" }, (b:receivemany()))
        assert.is_true(b:close())
      end)
    end)

    it("waits for what a task sends", function()
      with_pair(nil, function(a, b)
        local sender = neap.spawn(function()
          neap.sleep(0.01)
          assert(send(a, b, "late"))
        end)
        assert.equal("late", (b:receive()))
        sender:join()
      end)
    end)
  end)
end
