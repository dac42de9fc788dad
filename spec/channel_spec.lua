-- How tasks meet: channels, select over channels, events, semaphores.
local neap <const> = require "neap"
local helper <const> = require "support.helper"
local in_task <const> = helper.in_task

-- A task that has begun and waits.
local function begun(fn, ...)
  local task = neap.spawn(fn, ...)
  neap.sleep(0)
  return task
end

local function take_all(channel)
  local all = {}
  for v in channel:values() do all[#all + 1] = v end
  return all
end

describe("a channel", function()
  it("hands a value over from who sends to who receives, whoever comes first", function()
    in_task(function()
      local channel = neap.channel()
      local receiver = begun(channel.receive, channel)
      assert.is_true(channel:send "first")
      assert.equal("first", receiver:join())
      local sender = begun(channel.send, channel, "second")
      assert.equal("second", channel:receive())
      assert.is_true(sender:join())
    end)
  end)

  it("without a capacity makes the sender wait until the value is taken", function()
    in_task(function()
      local channel = neap.channel()
      local sender = begun(channel.send, channel, 1)
      neap.sleep(0.002)
      assert.equal("waiting", sender:status())
      assert.equal(0, #channel)
      assert.equal(1, channel:receive())
      assert.is_true(sender:join())
    end)
  end)

  it("with a capacity holds so many values, and no more", function()
    in_task(function()
      local channel = neap.channel(2)
      assert.is_true(channel:send(1))
      assert.is_true(channel:send(2))
      assert.equal(2, #channel)
      assert.fails("ETIMEDOUT", channel:send(3, 0.002))
      local sender = begun(channel.send, channel, 4)
      assert.equal("waiting", sender:status())
      assert.equal(1, channel:receive())
      assert.is_true(sender:join())
      assert.equal(2, #channel)
      assert.same({ 2, 4 }, { channel:receive(), channel:receive() })
      assert.equal(0, #channel)
    end)
  end)

  it("keeps the order of values and of those who wait", function()
    in_task(function()
      for capacity = 0, 3 do
        local channel, got = neap.channel(capacity), {}
        local group <close> = neap.group()
        for i = 1, 10 do group:spawn(channel.send, channel, i) end
        for i = 1, 10 do got[i] = channel:receive() end
        assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, got)
        got = {}
        for i = 1, 10 do group:spawn(function() got[i] = channel:receive() end) end
        neap.sleep(0)
        for i = 1, 10 do channel:send(i) end
        group:wait()
        assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, got)
      end
    end)
  end)

  it("carries anything but nil: false, itself, functions", function()
    in_task(function()
      local channel = neap.channel(4)
      for _, v in ipairs { false, channel, print, 0 / 0 } do channel:send(v) end
      assert.is_false(channel:receive())
      assert.equal(channel, channel:receive())
      assert.equal(print, channel:receive())
      local nan = channel:receive()
      assert.is_true(nan ~= nan)
      assert.raises("nil", channel.send, channel, nil)
      assert.raises("nil", channel.send, channel)
      assert.equal(0, #channel)
    end)
  end)

  it("refuses what is no capacity", function()
    for _, capacity in ipairs { -1, 1.5, "1", {}, true } do
      assert.raises("capacity", neap.channel, capacity)
    end
    assert.equal(0, #neap.channel())
  end)

  it("fails with ETIMEDOUT when its call's time is over, and loses nothing", function()
    in_task(function()
      local channel = neap.channel()
      assert.takes(0.01, 0.5, function()
        assert.fails("ETIMEDOUT", channel:receive(0.01))
        assert.fails("ETIMEDOUT", channel:send("x", 0.01))
      end)
      assert.fails("ETIMEDOUT", channel:receive(0)) -- what was not sent is not there
      local sender = begun(channel.send, channel, "y")
      assert.equal("y", channel:receive(0))
      assert.is_true(sender:join())
      for _, seconds in ipairs { -1, 0 / 0, "soon" } do
        assert.raises("bad argument", channel.receive, channel, seconds)
      end
    end)
  end)

  it("works at top level, where it drives the loop", function()
    local channel = neap.channel()
    local task = neap.spawn(function()
      channel:send "ping"
      return channel:receive()
    end)
    assert.equal("ping", channel:receive())
    assert.is_true(channel:send "pong")
    assert.equal("pong", task:join())
  end)

  it("serves a thousand tasks at both ends", function()
    in_task(function()
      local channel, sum = neap.channel(7), 0
      local group <close> = neap.group()
      for i = 1, 1000 do group:spawn(channel.send, channel, i) end
      for _ = 1, 1000 do group:spawn(function() sum = sum + channel:receive() end) end
      group:wait()
      assert.equal(500500, sum)
      assert.equal(0, #channel)
    end)
  end)

  it("does not grow with those who gave up", function()
    in_task(function()
      local channel = neap.channel()
      local held <close> = begun(channel.receive, channel) -- one that stays, before them
      local function round()
        for _ = 1, 500 do channel:receive(0) end
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end
      round()
      local before = round()
      round()
      assert.is_true(round() - before < 10)
    end)
  end)
end)

describe("a closed channel", function()
  it("fails who sends, and gives what was sent before to who receives", function()
    in_task(function()
      local channel = neap.channel(3)
      channel:send(1)
      channel:send(2)
      channel:close()
      assert.fails("ECLOSED", channel:send(3))
      assert.equal(2, #channel)
      assert.same({ 1, 2 }, { channel:receive(), channel:receive() })
      assert.same(table.pack(nil, "closed", "ECLOSED"), table.pack(channel:receive()))
      assert.fails("ECLOSED", channel:receive())
    end)
  end)

  it("wakes all who wait at either end", function()
    in_task(function()
      local channel = neap.channel()
      local receivers, senders = {}, {}
      for i = 1, 3 do receivers[i] = begun(channel.receive, channel) end
      channel:close()
      for i = 1, 3 do assert.fails("ECLOSED", receivers[i]:join()) end
      channel = neap.channel(1)
      channel:send "kept"
      for i = 1, 3 do senders[i] = begun(channel.send, channel, i) end
      channel:close()
      for i = 1, 3 do assert.fails("ECLOSED", senders[i]:join()) end
      assert.equal("kept", channel:receive())
      assert.fails("ECLOSED", channel:receive())
    end)
  end)

  it("may be closed twice, and at the end of a scope", function()
    in_task(function()
      local kept
      do
        local channel <close> = neap.channel()
        kept = channel
      end
      assert.fails("ECLOSED", kept:receive())
      kept:close()
      assert.raises("nil", kept.send, kept, nil) -- a mistake stays one
    end)
  end)
end)

describe("iterating over a channel", function()
  it("ends when it is closed and empty", function()
    in_task(function()
      local channel = neap.channel(2)
      local producer = neap.spawn(function()
        for i = 1, 5 do channel:send(i) end
        channel:close()
      end)
      assert.same({ 1, 2, 3, 4, 5 }, take_all(channel))
      producer:join()
    end)
  end)

  it("shares the values out among several who do it", function()
    in_task(function()
      local channel, seen = neap.channel(), {}
      local group <close> = neap.group()
      for _ = 1, 4 do
        group:spawn(function()
          for v in channel:values() do
            seen[#seen + 1] = v
            neap.sleep(0)
          end
        end)
      end
      for i = 1, 20 do channel:send(i) end
      channel:close()
      group:wait()
      table.sort(seen)
      assert.equal(20, #seen)
      assert.same({ 1, 20 }, { seen[1], seen[20] })
    end)
  end)

  it("gives false as a value", function()
    in_task(function()
      local channel = neap.channel(2)
      channel:send(false)
      channel:send(1)
      channel:close()
      assert.same({ false, 1 }, take_all(channel))
    end)
  end)
end)

describe("select", function()
  it("takes the case that can happen, and no other", function()
    in_task(function()
      local a, b, c = neap.channel(1), neap.channel(1), neap.channel(1)
      b:send "b"
      assert.same({ 2, "b" }, { neap.select { { a, "receive" }, { b, "receive" } } })
      c:send "full"
      assert.same(table.pack(1, nil),
        table.pack(table.unpack({ neap.select { { a, "send", "x" }, { c, "send", "y" } } }, 1, 2)))
      assert.equal("x", a:receive())
      assert.equal("full", c:receive())
      assert.fails("ETIMEDOUT", c:receive(0))
    end)
  end)

  it("waits for the first that happens", function()
    in_task(function()
      local a, b = neap.channel(), neap.channel()
      local task = begun(neap.select, { { a, "receive" }, { b, "receive" } })
      assert.is_true(b:send "second")
      assert.same({ 2, "second" }, { task:join() })
      assert.fails("ETIMEDOUT", a:send("x", 0)) -- it waits on a no more
      task = begun(neap.select, { { a, "receive" }, { b, "send", "given" } })
      assert.equal("given", b:receive())
      assert.equal(2, (task:join()))
      assert.fails("ETIMEDOUT", a:send("x", 0))
      assert.fails("ETIMEDOUT", b:receive(0)) -- sent once
    end)
  end)

  it("fails with ETIMEDOUT in time, or tries once with 0", function()
    in_task(function()
      local a = neap.channel()
      assert.takes(0.01, 0.5, function()
        assert.fails("ETIMEDOUT", neap.select { { a, "receive" }, timeout = 0.01 })
      end)
      assert.fails("ETIMEDOUT", neap.select { { a, "receive" }, timeout = 0 })
      assert.fails("ETIMEDOUT", neap.select { timeout = 0.001 })
      assert.fails("ETIMEDOUT", a:send("x", 0))
    end)
  end)

  it("chooses a closed channel, too", function()
    in_task(function()
      local a, b = neap.channel(), neap.channel()
      local task = begun(neap.select, { { b, "receive" }, { a, "receive" } })
      a:close()
      assert.same(table.pack(2, nil, "ECLOSED"), table.pack(task:join()))
      assert.same(table.pack(1, nil, "ECLOSED"), table.pack(neap.select { { a, "receive" } }))
      assert.same(table.pack(1, nil, "ECLOSED"), table.pack(neap.select { { a, "send", 1 } }))
      task = begun(neap.select, { { b, "send", 1 } })
      b:close()
      assert.same(table.pack(1, nil, "ECLOSED"), table.pack(task:join()))
    end)
  end)

  it("takes a value that is left in a closed channel", function()
    in_task(function()
      local a = neap.channel(1)
      a:send "last"
      a:close()
      assert.same({ 1, "last" }, { neap.select { { a, "receive" } } })
      assert.same(table.pack(1, nil, "ECLOSED"), table.pack(neap.select { { a, "receive" } }))
    end)
  end)

  it("starves no case that is always ready", function()
    in_task(function()
      local count = { 0, 0, 0 }
      local channels = {}
      for i = 1, 3 do
        channels[i] = neap.channel(1)
        channels[i]:send(true)
      end
      for _ = 1, 300 do
        local i = neap.select {
          { channels[1], "receive" }, { channels[2], "receive" }, { channels[3], "receive" },
        }
        count[i] = count[i] + 1
        channels[i]:send(true)
      end
      for i = 1, 3 do assert.is_true(count[i] > 30, ("case %d was chosen %d times"):format(i, count[i])) end
    end)
  end)

  it("may name a channel more than once, at both ends", function()
    in_task(function()
      local a = neap.channel()
      local task = begun(neap.select, { { a, "receive" }, { a, "send", "mine" }, { a, "receive" } })
      -- it does not meet itself
      assert.equal("waiting", task:status())
      assert.equal("mine", a:receive())
      assert.equal(2, (task:join()))
      task = begun(neap.select, { { a, "receive" }, { a, "send", "mine" } })
      a:send "yours"
      assert.same({ 1, "yours" }, { task:join() })
    end)
  end)

  it("meets another select", function()
    in_task(function()
      local a, b = neap.channel(), neap.channel()
      local one = begun(neap.select, { { a, "receive" }, { b, "send", "from one" } })
      local two = begun(neap.select, { { b, "receive" } })
      assert.same({ 1, "from one" }, { two:join() })
      assert.equal(2, (one:join()))
    end)
  end)

  it("of many tasks loses nothing and doubles nothing", function()
    in_task(function()
      local channels, got = {}, {}
      for i = 1, 5 do channels[i] = neap.channel(i % 2) end
      local group <close> = neap.group()
      local cases = {}
      for i = 1, 5 do cases[i] = { channels[i], "receive" } end
      for _ = 1, 10 do
        group:spawn(function()
          for _ = 1, 20 do
            local _, v = neap.select(cases)
            got[v] = (got[v] or 0) + 1
          end
        end)
      end
      for i = 1, 10 do
        group:spawn(function()
          for j = 1, 20 do
            local v = i * 100 + j
            local sends = {}
            for k = 1, 5 do sends[k] = { channels[k], "send", v } end
            neap.select(sends)
            if j % 7 == 0 then neap.sleep(0) end
          end
        end)
      end
      group:wait()
      local n = 0
      for _, times in pairs(got) do
        assert.equal(1, times)
        n = n + 1
      end
      assert.equal(200, n)
    end)
  end)

  it("refuses what is no case, and options that it does not know", function()
    local a = neap.channel()
    for _, cases in ipairs {
      { { a } }, { { a, "take" } }, { { {}, "receive" } }, { "receive" }, { { a, "send" } },
      { { a, "receive" }, nil, { a, "receive" } }, { { a, "receive" }, timeOut = 1 },
    } do
      local ok, err = pcall(neap.select, cases)
      assert.is_false(ok)
      assert.is_string(err)
    end
    assert.raises("bad argument #1", neap.select)
    assert.raises("bad argument #1", neap.select, 42)
    for _, seconds in ipairs { -1, 0 / 0, "soon" } do
      assert.is_false(pcall(neap.select, { { a, "receive" }, timeout = seconds }))
    end
    in_task(function() assert.fails("ETIMEDOUT", a:send(1, 0)) end) -- nothing was left in the queue
  end)
end)

describe("an event", function()
  it("lets all through once it is set, until it is cleared", function()
    in_task(function()
      local event = neap.event()
      assert.is_false(event:isset())
      local waiting = {}
      for i = 1, 3 do waiting[i] = begun(event.wait, event) end
      event:set()
      assert.is_true(event:isset())
      for i = 1, 3 do assert.is_true(waiting[i]:join()) end
      assert.is_true(event:wait())
      assert.is_true(event:wait(0))
      event:clear()
      assert.is_false(event:isset())
      assert.fails("ETIMEDOUT", event:wait(0.005))
      event:set()
      event:set()
      assert.is_true(event:wait())
    end)
  end)

  it("wakes those who waited when it was set, though it is cleared at once", function()
    in_task(function()
      local event = neap.event()
      local task = begun(event.wait, event)
      event:set()
      event:clear()
      assert.is_true(task:join())
      assert.fails("ETIMEDOUT", event:wait(0))
    end)
  end)
end)

describe("a semaphore", function()
  it("lets so many in at a time", function()
    in_task(function()
      local semaphore, inside, most = neap.semaphore(3), 0, 0
      local group <close> = neap.group()
      for _ = 1, 20 do
        group:spawn(function()
          semaphore:with(function()
            inside = inside + 1
            most = math.max(most, inside)
            neap.sleep(0.001)
            inside = inside - 1
          end)
        end)
      end
      group:wait()
      assert.equal(3, most)
      assert.equal(3, semaphore:count())
    end)
  end)

  it("hands a place on in the order of those who wait", function()
    in_task(function()
      local semaphore, order = neap.semaphore(0), {}
      local group <close> = neap.group()
      for i = 1, 5 do
        group:spawn(function()
          semaphore:acquire()
          order[#order + 1] = i
          semaphore:release()
        end)
      end
      neap.sleep(0)
      semaphore:release()
      -- who comes now does not get in before them
      assert.is_true(semaphore:acquire())
      order[#order + 1] = "last"
      group:spawn(semaphore.release, semaphore)
      group:wait()
      assert.same({ 1, 2, 3, 4, 5, "last" }, order)
    end)
  end)

  it("fails with ETIMEDOUT when there is no place in time", function()
    in_task(function()
      local semaphore = neap.semaphore(1)
      assert.is_true(semaphore:acquire(0))
      assert.fails("ETIMEDOUT", semaphore:acquire(0.005))
      assert.fails("ETIMEDOUT", semaphore:acquire(0))
      semaphore:release()
      assert.equal(1, semaphore:count())
    end)
  end)

  it("gives a place back however its function ends, and passes on what it returns or raises", function()
    in_task(function()
      local semaphore = neap.semaphore(1)
      assert.same(table.pack(1, nil, 3),
        table.pack(semaphore:with(function(...) return ... end, 1, nil, 3)))
      local err = {}
      local ok, got = pcall(semaphore.with, semaphore, function()
        neap.sleep(0)
        error(err)
      end)
      assert.is_false(ok)
      assert.is_true(rawequal(err, got))
      assert.equal(1, semaphore:count())
      local task = begun(semaphore.with, semaphore, neap.sleep, 10)
      assert.equal(0, semaphore:count())
      task:cancel():join()
      assert.equal(1, semaphore:count())
    end)
  end)

  it("may be given more places than it began with", function()
    in_task(function()
      local semaphore = neap.semaphore(0)
      semaphore:release()
      semaphore:release()
      assert.equal(2, semaphore:count())
      assert.is_true(semaphore:acquire())
      assert.equal(1, semaphore:count())
    end)
  end)

  it("refuses what is no count", function()
    for _, n in ipairs { -1, 1.5, "1", {} } do assert.raises("count", neap.semaphore, n) end
    assert.raises("count", neap.semaphore)
  end)
end)

describe("every one of these calls", function()
  it("is refused with a wrong receiver", function()
    for _, method in ipairs { neap.channel().receive, neap.event().wait, neap.semaphore(0).acquire } do
      assert.is_false(pcall(method, nil))
      assert.is_false(pcall(method, 42))
    end
  end)
end)
