-- Cancelling: where it is raised, what handlers may do, what is never lost.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local tcp <const>, unix <const> = require "neap.tcp", require "neap.unix"
local in_task <const> = helper.in_task

local function forever() return neap.sleep(1000) end

-- A task that has begun and waits.
local function begun(fn, ...)
  local task = neap.spawn(fn, ...)
  neap.sleep(0)
  return task
end

describe("cancelling a task", function()
  it("returns the task at once and is raised where it waits", function()
    in_task(function()
      local err
      local task = begun(function()
        local ok
        ok, err = pcall(forever)
        assert(not ok)
        error(err, 0)
      end)
      assert.equal(task, task:cancel())
      assert.is_nil(err) -- it has not run yet
      assert.same(table.pack(nil, "cancelled", "ECANCELED"), table.pack(task:join()))
      assert.equal("userdata", type(err))
      assert.equal("cancelled", tostring(err))
      assert.equal("ECANCELED", err.code)
      assert.equal("cancelled", task:status())
    end)
  end)

  it("gives the same to everyone who joins it, every time", function()
    in_task(function()
      local task = begun(forever)
      local joiner = begun(task.join, task)
      task:cancel()
      assert.fails("ECANCELED", joiner:join())
      assert.fails("ECANCELED", task:join())
      assert.fails("ECANCELED", task:join())
    end)
  end)

  it("is raised at its next wait if it does not wait now", function()
    in_task(function()
      local reached
      local task
      task = neap.spawn(function()
        task:cancel()
        reached = true
        forever()
        reached = "too far"
      end)
      assert.fails("ECANCELED", task:join())
      assert.is_true(reached)
    end)
  end)

  it("is no failure of a task that never waits again", function()
    in_task(function()
      local task
      task = neap.spawn(function()
        task:cancel()
        return "result"
      end)
      assert.equal("result", task:join())
      assert.equal("done", task:status())
    end)
  end)

  it("before it first ran: it never runs", function()
    in_task(function()
      local ran = false
      local task = neap.spawn(function() ran = true end):cancel()
      assert.equal("cancelled", task:status())
      assert.fails("ECANCELED", task:join())
      neap.sleep(0.002)
      assert.is_false(ran)
    end)
  end)

  it("before it first ran lets go of its arguments", function()
    in_task(function()
      local weak = setmetatable({ {} }, { __mode = "v" })
      local task = neap.spawn(print, weak[1]):cancel()
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak[1])
      assert.fails("ECANCELED", task:join())
    end)
  end)

  it("is raised once: a second cancel changes nothing", function()
    in_task(function()
      local raised = 0
      local task = begun(function()
        for _ = 1, 3 do
          if not pcall(neap.sleep, 0.001) then raised = raised + 1 end
        end
        return "survived"
      end)
      task:cancel()
      task:cancel()
      neap.sleep(0)
      task:cancel()
      assert.equal("survived", task:join())
      assert.equal(1, raised)
    end)
  end)

  it("that has ended does nothing", function()
    in_task(function()
      local task = neap.spawn(function() return 1 end)
      assert.equal(1, task:join())
      assert.equal(task, task:cancel())
      assert.equal(1, task:join())
      assert.equal("done", task:status())
    end)
  end)

  it("makes it fail if it raises another error instead", function()
    in_task(function()
      local task = begun(function()
        pcall(forever)
        error("another", 0)
      end)
      task:cancel()
      assert.same({ false, "another" }, { pcall(task.join, task) })
      assert.equal("failed", task:status())
    end)
  end)

  it("reaches through generators", function()
    in_task(function()
      local log = {}
      local task = begun(function()
        local outer = neap.coroutine.wrap(function()
          local guard <close> = helper.defer(function()
            neap.sleep(0.001)
            log[#log + 1] = "outer"
          end)
          neap.coroutine.wrap(function()
            local held <close> = helper.defer(function()
              neap.sleep(0.001)
              log[#log + 1] = "inner"
            end)
            forever()
          end)()
        end)
        outer()
      end)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.same({ "inner", "outer" }, log)
    end)
  end)

  it("does not reach the tasks that it spawned", function()
    in_task(function()
      local child
      local task = begun(function()
        child = neap.spawn(function()
          neap.sleep(0.005)
          return "alive"
        end)
        child:join()
      end)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.equal("alive", child:join())
    end)
  end)

  it("refuses a grace that is no time", function()
    in_task(function()
      local task = begun(forever)
      for _, grace in ipairs { -1, 0 / 0, "soon", {} } do
        assert.raises("bad argument #1 to 'cancel'", function() task:cancel(grace) end)
      end
      task:cancel():join()
    end)
  end)
end)

describe("a task cancelled inside pcall", function()
  it("gets the error as a value and may go on, within its grace", function()
    in_task(function()
      local caught
      local task = begun(function()
        caught = select(2, pcall(forever))
        neap.sleep(0.005)
        return "went on"
      end)
      task:cancel()
      assert.equal("went on", task:join())
      assert.equal("ECANCELED", caught.code)
    end)
  end)

  it("gets it in xpcall's handler, too", function()
    in_task(function()
      local seen
      local task = begun(function()
        local _, err = xpcall(forever, function(e)
          seen = tostring(e)
          return e
        end)
        error(err, 0)
      end)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.equal("cancelled", seen)
    end)
  end)

  it("and again after its grace, at every wait", function()
    in_task(function()
      local raised = {}
      local began = neap.now()
      local task = begun(function()
        for i = 1, 4 do
          local ok, err = pcall(forever)
          raised[i] = { ok, tostring(err), neap.now() - began }
        end
        forever()
      end)
      task:cancel(0.2)
      assert.fails("ECANCELED", task:join())
      for i = 1, 4 do
        assert.is_false(raised[i][1])
        assert.equal("cancelled", raised[i][2])
      end
      assert.is_true(raised[1][3] < 0.15) -- at once
      assert.is_true(raised[2][3] >= 0.2) -- the grace
      assert.is_true(raised[4][3] - raised[2][3] < 0.15) -- over
    end)
  end)

  it("in a loop that never gives up: it ends it all the same when that ends", function()
    in_task(function()
      local rounds = 0
      local task = begun(function()
        while rounds < 100 do
          rounds = rounds + 1
          pcall(neap.sleep, 1000)
        end
        return rounds
      end)
      task:cancel(0)
      assert.takes(0, 1, function() assert.equal(100, task:join()) end)
    end)
  end)
end)

describe("handlers of a cancelled task", function()
  it("may wait, for the grace in all", function()
    in_task(function()
      local log = {}
      local task = begun(function()
        local held <close> = helper.defer(function() log[#log + 1] = pcall(neap.sleep, 1) end)
        local guard <close> = helper.defer(function() log[#log + 1] = pcall(neap.sleep, 0.05) end)
        local scope <close> = helper.defer(function() log[#log + 1] = pcall(neap.sleep, 0.02) end)
        forever()
      end)
      task:cancel(0.2)
      assert.takes(0.19, 0.5, function() assert.fails("ECANCELED", task:join()) end)
      assert.same({ true, true, false }, log) -- 20 ms, 50 ms, and cut after the rest
    end)
  end)

  it("may wait for five seconds if nothing else was said", function()
    in_task(function()
      local cut, took
      local task = begun(function()
        local guard <close> = helper.defer(function()
          local began = neap.now()
          cut = not pcall(forever)
          took = neap.now() - began
        end)
        forever()
      end)
      task:cancel()
      neap.sleep(0.01)
      task:cancel(0) -- is not heeded: the first counts
      assert.fails("ECANCELED", task:join())
      assert.is_true(cut)
      assert.is_true(took > 4.9 and took < 5 + 1 * helper.slow)
    end)
  end)

  it("cannot wait at all with a grace of zero", function()
    in_task(function()
      local ok
      local task = begun(function()
        local guard <close> = helper.defer(function() ok = pcall(neap.sleep, 0) end)
        forever()
      end)
      task:cancel(0)
      assert.takes(0, 0.5, function() assert.fails("ECANCELED", task:join()) end)
      assert.is_false(ok)
    end)
  end)

  it("see the error; their own replaces it", function()
    in_task(function()
      local seen
      local task = begun(function()
        local guard <close> = helper.defer(function(_, err)
          seen = err.code
          error("of the handler", 0)
        end)
        forever()
      end)
      task:cancel()
      assert.same({ false, "of the handler" }, { pcall(task.join, task) })
      assert.equal("ECANCELED", seen)
      assert.equal("failed", task:status())
    end)
  end)

  it("may use timeouts, groups, tasks and streams as ever", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local held <close> = b
      local log = {}
      local task = begun(function()
        local guard <close> = helper.defer(function()
          log[1] = select(3, neap.timeout(0.005, forever))
          do
            local group <close> = neap.group()
            group:spawn(function() log[2] = "member" end)
          end
          log[3] = neap.spawn(function() return "spawned" end):join()
          assert(a:write "goodbye\n")
          log[4] = a:read()
          a:close()
        end)
        a:read()
      end)
      task:cancel()
      assert.equal("goodbye", b:read())
      assert(b:write "farewell\n")
      assert.fails("ECANCELED", task:join())
      assert.same({ "ETIMEDOUT", "member", "spawned", "farewell" }, log)
    end)
  end)

  it("may be interrupted by cancelling inside <close>, and finish their own handlers", function()
    in_task(function()
      local log = {}
      local task = begun(function()
        local guard <close> = helper.defer(function()
          local held <close> = helper.defer(function()
            neap.sleep(0.002)
            log[#log + 1] = "innermost"
          end)
          log[#log + 1] = "closing"
          forever() -- the scope is being left in peace; then comes cancel
        end)
        log[#log + 1] = "leaving"
      end)
      assert.same({ "leaving", "closing" }, log)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.same({ "leaving", "closing", "innermost" }, log)
    end)
  end)
end)

describe("cancelling oneself", function()
  it("is raised at the next wait", function()
    in_task(function()
      local after
      local task = neap.spawn(function()
        neap.running():cancel()
        after = true
        neap.sleep(0)
        after = "too far"
      end)
      assert.fails("ECANCELED", task:join())
      assert.is_true(after)
    end)
  end)
end)

describe("the error of a cancellation", function()
  it("raised in a task that was not cancelled is an error like any other", function()
    in_task(function()
      local err
      local task = begun(function()
        err = select(2, pcall(forever))
        error(err)
      end)
      task:cancel():join()
      local other = neap.spawn(error, err)
      local ok, got = pcall(other.join, other)
      assert.is_false(ok)
      assert.is_true(rawequal(err, got))
      assert.equal("failed", other:status())
    end)
  end)

  it("goes to nobody: no report, no traceback", function()
    in_task(function()
      local reports = helper.reports()
      begun(forever):cancel()
      neap.sleep(0.002)
      assert.same({}, reports)
    end)
  end)

  it("ends a timeout scope without being its expiry", function()
    in_task(function()
      local task = begun(function() return neap.timeout(10, forever) end)
      task:cancel()
      assert.fails("ECANCELED", task:join())
    end)
  end)

  it("wins over a timeout that expired at the same time", function()
    in_task(function()
      local task = begun(function() return neap.timeout(0.005, forever) end)
      probe.sleep(0.02)
      task:cancel()
      assert.fails("ECANCELED", task:join())
    end)
  end)
end)

describe("what was handed over", function()
  it("is never lost: a value sent to a task that is then cancelled", function()
    in_task(function()
      local channel, got = neap.channel(), nil
      local task = begun(function()
        got = channel:receive()
        forever()
      end)
      channel:send "mine"
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.equal("mine", got)
    end)
  end)

  it("is never lost: a value that a cancelled task would have received", function()
    in_task(function()
      local channel = neap.channel()
      local task = begun(channel.receive, channel)
      task:cancel()
      local sender = begun(channel.send, channel, "kept") -- nobody is there to take it
      assert.fails("ECANCELED", task:join())
      assert.equal("waiting", sender:status())
      assert.equal("kept", channel:receive())
      assert.is_true(sender:join())
    end)
  end)

  it("is never lost: a semaphore's place", function()
    in_task(function()
      local semaphore = neap.semaphore(1)
      semaphore:acquire()
      local task = begun(function()
        semaphore:with(function() forever() end)
      end)
      semaphore:release()
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.equal(1, semaphore:count())
    end)
  end)

  it("is never lost: the results of a task that was joined", function()
    in_task(function()
      local worker = neap.spawn(function() return "work" end)
      local got
      local task = neap.spawn(function()
        got = worker:join()
        forever()
      end)
      neap.sleep(0) -- both began; the worker has ended
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.equal("work", got)
    end)
  end)

  it("is never lost: a connection that was accepted", function()
    in_task(function()
      local listener <close> = assert(unix.listen(helper.tmpname ".sock"))
      local accepted
      local task = begun(function()
        accepted = listener:accept()
        forever()
      end)
      local client <close> = assert(unix.connect(listener:getsockname()))
      helper.eventually(function() return accepted end)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert(client:write "x\n")
      assert.equal("x", accepted:read())
      accepted:close()
    end)
  end)

  it("is never lost: bytes, when a read is cancelled in the middle", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      local task = begun(a.read, a, 10)
      assert(b:write "hello")
      neap.sleep(0.005)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert(b:write "world")
      assert.equal("helloworld", a:read(10))
    end)
  end)
end)

describe("every kind of wait", function()
  -- what is waited in -> how it is begun, and what proves that it is free again
  local pair = function()
    local a, b = assert(unix.pair())
    return a, b
  end
  local kinds = {
    { "sleep", function() return forever end },
    { "giving way", function() return function() while true do neap.sleep(0) end end end },
    { "join", function()
      local other = neap.spawn(forever)
      return function() other:join() end, function() other:cancel():join() end
    end },
    { "a channel's receive", function()
      local channel = neap.channel()
      return function() channel:receive() end, function()
        local task = begun(channel.receive, channel)
        channel:send(1)
        assert.equal(1, task:join())
      end
    end },
    { "a channel's send", function()
      local channel = neap.channel()
      return function() channel:send "cancelled" end, function()
        local task = begun(channel.send, channel, 2)
        assert.equal(2, channel:receive())
        task:join()
      end
    end },
    { "select", function()
      local one, two = neap.channel(), neap.channel()
      return function() neap.select { { one, "receive" }, { two, "send", 1 } } end, function()
        assert.fails("ETIMEDOUT", one:send(1, 0))
        assert.fails("ETIMEDOUT", two:receive(0))
      end
    end },
    { "an event", function()
      local event = neap.event()
      return function() event:wait() end, function() event:set() end
    end },
    { "a semaphore", function()
      local semaphore = neap.semaphore(0)
      return function() semaphore:acquire() end, function()
        semaphore:release()
        assert.equal(1, semaphore:count())
      end
    end },
    { "a group's wait", function()
      return function()
        local group <close> = neap.group()
        group:spawn(forever)
        group:wait()
      end
    end },
    { "a run", function() return function() neap.run(forever) end end },
    { "a timeout", function() return function() neap.timeout(1000, forever) end end },
    { "a read", function()
      local a, b = pair()
      return function() a:read(5) end, function()
        assert(b:write "hello")
        assert.equal("hello", a:read(5))
        a:close()
        b:close()
      end
    end },
    { "a write", function()
      local a, b = pair()
      local data = ("x"):rep(4 * 1024 * 1024)
      return function() a:write(data) end, function()
        local _, taken = a:counters()
        assert.is_true(taken < #data)
        assert.equal(taken, #b:read(taken))
        assert(a:write "y")
        assert.equal("y", b:read(1))
        a:close()
        b:close()
      end
    end },
    { "a write that queues behind another", function()
      local a, b = pair()
      local data = ("x"):rep(4 * 1024 * 1024)
      local first = begun(a.write, a, data)
      return function() a:write "second" end, function()
        assert.equal(data, b:read(#data))
        assert(first:join())
        assert(a:write "third")
        assert.equal("third", b:read(5))
        a:close()
        b:close()
      end
    end },
    { "accept", function()
      local listener = assert(tcp.listen("127.0.0.1", 0))
      return function() listener:accept() end, function()
        local task = begun(listener.accept, listener)
        local client <close> = assert(tcp.connect(listener:getsockname()))
        local conn <close> = assert(task:join())
        assert(conn:isopen() and client:isopen())
        listener:close()
      end
    end },
    { "a foreign descriptor", function()
      local r, w = probe.pipe()
      return function() neap.wait(r, "r") end, function()
        probe.write(w, "x")
        assert.equal("r", neap.wait(r, "r", 1))
        probe.close(r)
        probe.close(w)
      end
    end },
    { "a generator's wait", function()
      return function() neap.coroutine.wrap(forever)() end
    end },
  }
  for _, kind in ipairs(kinds) do
    it("can be cancelled at once, and leaves no trace: " .. kind[1], function()
      in_task(function()
        local body, after = kind[2]()
        local task = begun(body)
        neap.sleep(0.002)
        task:cancel()
        assert.takes(0, 1, function() assert.fails("ECANCELED", task:join()) end)
        if after then after() end
      end)
    end)
  end
end)
