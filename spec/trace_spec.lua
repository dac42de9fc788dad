-- What neap tells about tasks: neap.tasks(), neap.onerror, tracebacks, the
-- report of a deadlock.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local tcp <const>, unix <const> = require "neap.tcp", require "neap.unix"
local in_task <const> = helper.in_task

-- The entry of a task in neap.tasks(), or nil.
local function entry(task)
  for _, t in ipairs(neap.tasks()) do
    if t.task == task then return t end
  end
end

local function begun(...)
  local task = neap.spawn(...)
  neap.sleep(0)
  return task
end

local function line() return debug.getinfo(2, "l").currentline end

describe("neap.tasks", function()
  it("is empty where there are none", function() assert.same({}, neap.tasks()) end)

  it("has each live task once, and no other", function()
    in_task(function()
      local ended = neap.spawn(function() end)
      ended:join()
      local cancelled = neap.spawn(neap.sleep, 10):cancel()
      local a, b = begun(neap.sleep, 10), neap.spawn({ name = "second" }, neap.sleep, 10)
      local count = {}
      for _, t in ipairs(neap.tasks()) do count[t.task] = (count[t.task] or 0) + 1 end
      assert.equal(1, count[a])
      assert.equal(1, count[b])
      assert.equal(1, count[neap.running()])
      assert.is_nil(count[ended])
      assert.is_nil(count[cancelled])
      for _, t in ipairs { a, b } do t:cancel():join() end
    end)
  end)

  it("tells id, name and status", function()
    in_task(function()
      local task = neap.spawn({ name = "worker" }, neap.sleep, 10)
      local e = entry(task)
      assert.equal(task:id(), e.id)
      assert.equal("worker", e.name)
      assert.equal("ready", e.status)
      assert.is_nil(e.waits_for)
      assert.is_nil(e.since)
      neap.sleep(0)
      assert.equal("waiting", entry(task).status)
      assert.is_nil(entry(begun(function() end)))
      local mine = entry(neap.running())
      assert.equal("running", mine.status)
      assert.is_nil(mine.name)
      assert.is_nil(mine.waits_for)
      task:cancel():join()
    end)
  end)

  it("tells what each waits for", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local r, w = probe.pipe()
      local sleeper <close> = begun(neap.sleep, 100)
      for _, case in ipairs {
        { "sleep", neap.sleep, 100 },
        { "read", a.read, a },
        { "write", a.write, a, ("x"):rep(1e7) },
        { "accept", listener.accept, listener },
        { "wait", neap.wait, r, "r" },
        { "join", sleeper.join, sleeper },
        { "channel receive", function() neap.channel():receive() end },
        { "channel send", function() neap.channel():send(1) end },
        { "select", neap.select, { { neap.channel(), "receive" } } },
        { "event", function() neap.event():wait() end },
        { "semaphore", function() neap.semaphore(0):acquire() end },
        { "group", function()
          local scope <close> = neap.group()
          scope:spawn(neap.sleep, 100)
          scope:wait()
        end },
      } do
        local task = begun(table.unpack(case, 2))
        local e = entry(task)
        assert.is_string(e.waits_for, case[1])
        assert.is_truthy(e.waits_for:find(case[1], 1, true), case[1] .. ": " .. e.waits_for)
        task:cancel():join()
      end
      probe.close(r)
      probe.close(w)
    end)
  end)

  it("tells since when, in seconds", function()
    in_task(function()
      neap.sleep(0.001) -- the time is the one of the last poll
      local task = begun(neap.sleep, 10)
      assert.is_true(entry(task).since < 0.03)
      neap.sleep(0.05)
      local since = entry(task).since
      assert.is_true(since > 0.03 and since < 0.05 + 0.1 * helper.slow, tostring(since))
      task:cancel():join()
    end)
  end)

  it("tells where, through every coroutine, the innermost first", function()
    in_task(function()
      local lines = {}
      local function innermost()
        lines[1] = line() + 1
        neap.sleep(10)
      end
      local task = begun(function()
        lines[3] = line() + 1
        neap.coroutine.wrap(function()
          lines[2] = line() + 1
          neap.coroutine.resume(neap.coroutine.create(innermost))
        end)()
      end)
      local traceback = entry(task).traceback
      local at = 0
      for i = 1, 3 do
        local found = traceback:find(("trace_spec%%.lua:%d"):format(lines[i]), at + 1)
        assert.is_truthy(found, ("no line %d, or not in order, in:\n%s"):format(lines[i], traceback))
        at = found
      end
      task:cancel():join()
    end)
  end)

  it("tells where the one runs that asks", function()
    in_task(function()
      local here = line() + 1
      local traceback = entry(neap.running()).traceback
      assert.is_truthy(traceback:find(("trace_spec%%.lua:%d"):format(here)), traceback)
    end)
  end)

  it("tells of a task that waits in pcall, in a metamethod, in a handler of <close>", function()
    in_task(function()
      local here
      local function wait()
        here = line() + 1
        neap.sleep(10)
      end
      for _, fn in ipairs {
        function() pcall(wait) end,
        function() return setmetatable({}, { __index = function() wait() end }).x end,
        function() local guard <close> = helper.defer(wait) end,
        function()
          local guard <close> = helper.defer(wait)
          error "unwinding"
        end,
      } do
        helper.reports()
        local task = begun(fn)
        assert.is_truthy(entry(task).traceback:find(("trace_spec%%.lua:%d"):format(here)))
        task:cancel()
        pcall(task.join, task)
      end
    end)
  end)

  it("may be asked at top level, and by what the loop calls", function()
    local task = neap.spawn({ name = "x" }, neap.sleep, 10)
    neap.step()
    assert.equal(1, #neap.tasks())
    assert.equal("sleep", neap.tasks()[1].waits_for)
    local seen
    helper.reports()
    neap.onerror = function() seen = #neap.tasks() end
    neap.spawn(error, "x")
    neap.step()
    assert.equal(1, seen)
    task:cancel():join()
  end)
end)

describe("neap.onerror", function()
  it("is told once of a task that fails and that nobody joins", function()
    in_task(function()
      local reports = helper.reports()
      local err = { "mine" }
      local here
      local function fail()
        here = line() + 1
        error(err)
      end
      local task = neap.spawn(function()
        neap.sleep(0.001)
        fail()
      end)
      neap.sleep(0.005)
      assert.equal(1, #reports)
      assert.equal(task, reports[1].task)
      assert.is_true(rawequal(err, reports[1].err))
      assert.is_truthy(reports[1].traceback:find(("trace_spec%%.lua:%d"):format(here)),
        reports[1].traceback)
      assert.is_false(pcall(task.join, task)) -- a later join raises it all the same
      assert.equal(1, #reports)
    end)
  end)

  it("is not told if someone was joining, or will see it as the group's error", function()
    in_task(function()
      local reports = helper.reports()
      local task = neap.spawn(function()
        neap.sleep(0.001)
        error "joined"
      end)
      assert.is_false(pcall(task.join, task))
      assert.is_false(pcall(function()
        local group <close> = neap.group()
        group:spawn(error, "of a member")
      end))
      neap.spawn(neap.sleep, 10):cancel()
      begun(neap.sleep, 10):cancel()
      neap.sleep(0.001)
      assert.same({}, reports)
    end)
  end)

  it("is not told of a task of the top level's that someone is joining", function()
    local reports = helper.reports()
    local task = neap.spawn(function()
      neap.sleep(0.001)
      error("joined", 0)
    end)
    assert.same({ false, "joined" }, { pcall(task.join, task) })
    assert.same({}, reports)
    neap.spawn(error, "alone", 0)
    neap.step()
    assert.equal(1, #reports)
  end)

  it("is told if who was joining gave up before", function()
    in_task(function()
      local reports = helper.reports()
      local task = neap.spawn(function()
        neap.sleep(0.01)
        error("late", 0)
      end)
      assert.fails("ETIMEDOUT", neap.timeout(0.001, task.join, task))
      helper.eventually(function() return #reports > 0 end)
      assert.equal("late", reports[1].err)
    end)
  end)

  it("gets a traceback through every coroutine that the error passed", function()
    in_task(function()
      local reports = helper.reports()
      local lines = {}
      local function innermost()
        neap.sleep(0)
        lines[1] = line() + 1
        error "deep"
      end
      neap.spawn(function()
        lines[3] = line() + 1
        neap.coroutine.wrap(function()
          neap.sleep(0)
          lines[2] = line() + 1
          neap.coroutine.wrap(innermost)()
        end)()
      end)
      helper.eventually(function() return #reports > 0 end)
      for i = 1, 3 do
        assert.is_truthy(reports[1].traceback:find(("trace_spec%%.lua:%d"):format(lines[i])),
          ("no line %d in:\n%s"):format(lines[i], reports[1].traceback))
      end
    end)
  end)

  it("gets the place where it was raised though handlers waited meanwhile", function()
    in_task(function()
      local reports = helper.reports()
      local here
      neap.spawn(function()
        local guard <close> = helper.defer(function()
          pcall(error, "another, that was caught")
          neap.sleep(0.002)
        end)
        here = line() + 1
        error "the one"
      end)
      helper.eventually(function() return #reports > 0 end)
      assert.matches("the one", reports[1].err)
      assert.is_truthy(reports[1].traceback:find(("trace_spec%%.lua:%d"):format(here)))
    end)
  end)

  it("that raises or waits is the end of nothing", function()
    local out, code = helper.script [[
      local neap = require "neap"
      function neap.onerror(task, err) error("in onerror, of " .. err) end
      neap.run(function()
        neap.spawn(error, "one", 0)
        neap.sleep(0.001)
        function neap.onerror() neap.sleep(1) end
        neap.spawn(error, "two", 0)
        neap.sleep(0.001)
        neap.onerror = nil
        neap.spawn(error, "three", 0)
        neap.sleep(0.001)
        neap.onerror = 42
        neap.spawn(error, "four", 0)
        neap.sleep(0.001)
        print "well"
      end)
    ]]
    assert.matches("in onerror, of one", out)
    assert.matches("cannot wait", out)
    assert.matches("well\n$", out)
    assert.equal(0, code)
  end)

  it("prints to standard error by itself: the task, the error, the traceback", function()
    local out, code = helper.script [[
      local neap = require "neap"
      neap.run(function()
        neap.spawn({ name = "loser" }, function()
          neap.sleep(0)
          error "lost" -- line 5
        end)
      end)
      neap.run(function() neap.spawn(error) end)
      neap.run(function() neap.spawn(error, setmetatable({}, { __tostring = function() return "an object" end })) end)
    ]]
    assert.matches("task %d+ %(loser%)", out)
    assert.matches(":5: lost", out)
    assert.matches("stack traceback", out)
    assert.matches("nil", out)
    assert.matches("an object", out)
    assert.equal(0, code)
  end)

  it("may spawn and cancel", function()
    in_task(function()
      helper.reports()
      local restarted
      neap.onerror = function(_, err)
        neap.spawn(function() restarted = err end)
      end
      neap.spawn(error, "again", 0)
      helper.eventually(function() return restarted end)
      assert.equal("again", restarted)
    end)
  end)

  it("is told of an error that is no string, or whose text cannot be made", function()
    in_task(function()
      local reports = helper.reports()
      local bad = setmetatable({}, { __tostring = function() error "no text" end })
      for _, err in ipairs { 42, false, bad, print } do neap.spawn(error, err) end
      neap.spawn(error)
      helper.eventually(function() return #reports == 5 end)
      assert.is_true(rawequal(bad, reports[3].err))
      assert.is_nil(reports[5].err)
    end)
  end)

  it("is told of a stack overflow and of an error in an error's handler", function()
    in_task(function()
      local reports = helper.reports()
      local function deeper() return 1 + deeper() end
      neap.spawn(deeper)
      neap.spawn(string.rep, "x", 1 << 40)
      helper.eventually(function() return #reports == 2 end)
      assert.matches("stack overflow", tostring(reports[1].err))
      assert.is_truthy(tostring(reports[2].err):find "memory" or tostring(reports[2].err):find "too large")
    end)
  end)
end)

describe("the report of a deadlock", function()
  it("lists each task with its name, what it waits for, and where", function()
    local lines = {}
    local ok, err = pcall(neap.run, function()
      local channel = neap.channel()
      neap.spawn({ name = "first" }, function()
        neap.coroutine.wrap(function()
          lines[1] = line() + 1
          channel:receive()
        end)()
      end)
      neap.spawn({ name = "second" }, function()
        lines[2] = line() + 1
        neap.event():wait()
      end)
      lines[3] = line() + 1
      neap.semaphore(0):acquire()
    end)
    assert.is_false(ok)
    assert.matches("^deadlock", err)
    assert.matches("%(first%).-channel receive", err)
    assert.matches("%(second%).-event", err)
    assert.matches("semaphore", err)
    for i = 1, 3 do
      assert.is_truthy(err:find(("trace_spec%%.lua:%d"):format(lines[i])), ("no line %d in:\n%s"):format(lines[i], err))
    end
  end)

  it("comes when the last thing that could wake someone is gone", function()
    local began = neap.now()
    local ok, err = pcall(neap.run, function()
      local channel = neap.channel()
      neap.spawn(neap.sleep, 0.01)
      channel:receive()
    end)
    assert.is_false(ok)
    assert.matches("^deadlock", err)
    assert.is_true(neap.now() - began >= 0.009)
  end)

  it("ends a stand-alone script with an error", function()
    local out, code = helper.script [[
      local neap = require "neap"
      neap.spawn({ name = "forgotten" }, function() neap.channel():receive() end)
      neap.event():wait()
      print "not reached"
    ]]
    assert.matches("deadlock", out)
    assert.matches("forgotten", out)
    assert.is_nil(out:find("not reached", 1, true))
    assert.equal(1, code)
  end)
end)
