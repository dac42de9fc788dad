-- Tasks: how they begin, end, are joined, and what a stranger may do to them.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local unix <const> = require "neap.unix"
local in_task <const> = helper.in_task

-- The coroutine of a task that waits in its body.
local function parked(body)
  local co
  local task = neap.spawn(function()
    co = coroutine.running()
    return body()
  end)
  neap.sleep(0)
  return task, co
end

describe("a task", function()
  it("gives what its function returned to whoever joins, every time", function()
    in_task(function()
      local task = neap.spawn(function(...) return select("#", ...), ..., nil end, 1, nil, 3)
      assert.same(table.pack(3, 1, nil), table.pack(task:join()))
      local all = neap.spawn(function(...) return ... end, 1, nil, 3, nil)
      assert.same(table.pack(1, nil, 3, nil), table.pack(all:join()))
      assert.same(table.pack(1, nil, 3, nil), table.pack(all:join()))
    end)
  end)

  it("can return more values than a C function has room for", function()
    in_task(function()
      local task = neap.spawn(function() return table.unpack({}, 1, 1000) end)
      assert.equal(1000, select("#", task:join()))
    end)
  end)

  it("does not run before who spawned it gives way", function()
    in_task(function()
      local ran = false
      local task = neap.spawn(function() ran = true end)
      assert.is_false(ran)
      task:join()
      assert.is_true(ran)
    end)
  end)

  it("runs when the top level waits", function()
    local task = neap.spawn(function()
      neap.sleep(0.001)
      return "done"
    end)
    assert.equal("done", task:join())
  end)

  it("begins in the order in which tasks were spawned", function()
    in_task(function()
      local order = {}
      local tasks = {}
      for i = 1, 5 do tasks[i] = neap.spawn(function() order[#order + 1] = i end) end
      for i = 1, 5 do tasks[i]:join() end
      assert.same({ 1, 2, 3, 4, 5 }, order)
    end)
  end)

  it("raises its error, the very value, in whoever joins, every time", function()
    in_task(function()
      local err = setmetatable({}, { __tostring = function() return "mine" end })
      local reports = helper.reports()
      local task = neap.spawn(function()
        neap.sleep(0)
        error(err)
      end)
      for _ = 1, 2 do
        local ok, got = pcall(task.join, task)
        assert.is_false(ok)
        assert.is_true(rawequal(err, got))
      end
      assert.equal("failed", task:status())
      assert.same({}, reports)
    end)
  end)

  it("can raise nil", function()
    in_task(function()
      local task = neap.spawn(function()
        neap.sleep(0)
        error(nil)
      end)
      assert.same(table.pack(false, nil), table.pack(pcall(task.join, task)))
    end)
  end)

  it("fails with what is no function at once", function()
    assert.raises("bad argument #1", neap.spawn, nil)
    assert.raises("bad argument #1", neap.spawn)
    assert.raises("bad argument #1", neap.spawn, 42)
    assert.raises("bad argument #2", neap.spawn, { name = "x" }, 42)
    assert.raises("bad argument #2", neap.spawn, { name = "x" })
  end)

  it("can be any value that can be called", function()
    in_task(function()
      local callable = setmetatable({}, { __call = function(_, a) return a end })
      assert.equal("x", neap.spawn(callable, "x"):join())
      assert.equal("y", neap.spawn({ name = "called" }, callable, "y"):join())
      assert.equal("table", neap.spawn(type, {}):join())
    end)
  end)

  it("refuses options that it does not know, or of the wrong type", function()
    assert.raises("nome", neap.spawn, { nome = "x" }, print)
    assert.raises("name", neap.spawn, { name = 1 }, print)
    assert.raises("daemon", neap.spawn, { daemon = "yes" }, print)
    assert.raises("bad argument #1", neap.spawn, { "x" }, print)
    assert.same({}, neap.tasks())
  end)

  it("has an id, a name, and says both", function()
    in_task(function()
      local a, b = neap.spawn(neap.sleep, 0), neap.spawn({ name = "sleeper" }, neap.sleep, 0)
      assert.equal("integer", math.type(a:id()))
      assert.equal(a:id() + 1, b:id())
      assert.is_nil(a:name())
      assert.equal("sleeper", b:name())
      assert.equal(("task %d"):format(a:id()), tostring(a))
      assert.equal(("task %d (sleeper)"):format(b:id()), tostring(b))
      b:join()
      assert.equal("sleeper", b:name())
      a:join()
    end)
  end)

  it("knows how it is", function()
    in_task(function()
      local channel = neap.channel()
      local task
      task = neap.spawn(function()
        assert.equal("running", task:status())
        channel:receive()
      end)
      assert.equal("ready", task:status())
      neap.sleep(0)
      assert.equal("waiting", task:status())
      channel:send(1)
      assert.equal("ready", task:status())
      task:join()
      assert.equal("done", task:status())
      local failed = neap.spawn(error, "x")
      pcall(failed.join, failed)
      assert.equal("failed", failed:status())
      local cancelled = neap.spawn(neap.sleep, 10):cancel()
      cancelled:join()
      assert.equal("cancelled", cancelled:status())
    end)
  end)

  it("is what runs", function()
    assert.is_nil(neap.running())
    in_task(function()
      local seen
      local task = neap.spawn(function()
        seen = neap.running()
        neap.sleep(0)
        assert.equal(seen, neap.running())
      end)
      task:join()
      assert.equal(task, seen)
      assert.are_not.equal(task, neap.running())
    end)
    assert.is_nil(neap.running())
  end)

  it("wakes all who join it", function()
    in_task(function()
      local gate = neap.event()
      local task = neap.spawn(function()
        gate:wait()
        return "x"
      end)
      local joiners = {}
      for i = 1, 10 do joiners[i] = neap.spawn(task.join, task) end
      neap.sleep(0)
      gate:set()
      for i = 1, 10 do assert.equal("x", joiners[i]:join()) end
    end)
  end)

  it("cannot join itself", function()
    in_task(function()
      local task
      task = neap.spawn(function() return pcall(task.join, task) end)
      local ok, err = task:join()
      assert.is_false(ok)
      assert.matches("join itself", err)
    end)
  end)

  it("cannot be made from outside nor be told apart by its metatable", function()
    in_task(function()
      local task = neap.spawn(function() end)
      assert.is_false(getmetatable(task))
      assert.raises("neap.task expected", task.join, io.stdout)
      assert.raises("neap.task expected", task.cancel, {})
      task:join()
    end)
  end)

  it("is kept alive by the loop alone", function()
    in_task(function()
      local channel, got = neap.channel(), nil
      neap.spawn(function() got = channel:receive() end)
      neap.sleep(0)
      collectgarbage()
      collectgarbage()
      channel:send("still here")
      helper.eventually(function() return got end)
      assert.equal("still here", got)
    end)
  end)

  it("is garbage when it has ended, with all that it returned", function()
    in_task(function()
      local weak = setmetatable({}, { __mode = "v" })
      do
        local task = neap.spawn(function() return {} end)
        weak[1], weak[2] = task, task:join()
      end
      neap.sleep(0)
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak[1])
      assert.is_nil(weak[2])
    end)
  end)

  it("leaves no memory behind, however it ended", function()
    in_task(function()
      helper.reports()
      local function round()
        for _ = 1, 200 do
          neap.spawn({ name = "one" }, function() end):join()
          local failed = neap.spawn(error, {})
          pcall(failed.join, failed)
          neap.spawn(error, {})
          neap.spawn(neap.sleep, 10):cancel():join()
          local late = neap.spawn(neap.sleep, 10)
          neap.sleep(0)
          late:cancel():join()
        end
        helper.reports()
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end
      round()
      local first = round()
      round()
      assert.is_true(round() - first < 20, "memory grows with the number of tasks")
    end)
  end)
end)

describe("a task as a to-be-closed value", function()
  it("is cancelled and waited for at the end of the scope", function()
    in_task(function()
      local said
      do
        local task <close> = neap.spawn(function()
          local guard <close> = helper.defer(function()
            neap.sleep(0.01)
            said = "bye"
          end)
          neap.sleep(10)
        end)
        neap.sleep(0)
        assert.equal("waiting", task:status())
      end
      assert.equal("bye", said)
    end)
  end)

  it("does nothing when it has ended", function()
    in_task(function()
      local task <close> = neap.spawn(function() return 1 end)
      assert.equal(1, task:join())
    end)
  end)

  it("does not replace the error that leaves the scope", function()
    in_task(function()
      helper.reports()
      local ok, err = pcall(function()
        local scope <close> = neap.spawn(function()
          local guard <close> = helper.defer(function() error "of the handler" end)
          neap.sleep(10)
        end)
        neap.sleep(0)
        error("of the scope", 0)
      end)
      assert.is_false(ok)
      assert.equal("of the scope", err)
    end)
  end)
end)

describe("a stranger's coroutine.resume of a parked task", function()
  for name, resume in pairs { coroutine = coroutine.resume, ["neap.coroutine"] = neap.coroutine.resume } do
    it("raises in that task, and fails it only: " .. name, function()
      in_task(function()
        local reports = helper.reports()
        local a, b = assert(unix.pair())
        local guard <close> = a
        local held <close> = b
        local task, co = parked(function() return a:read(5) end)
        local bystander = neap.spawn(function()
          neap.sleep(0.01)
          return "well"
        end)
        resume(co, "forged")
        local ok, err = pcall(task.join, task)
        assert.is_false(ok)
        assert.matches("resumed .*from outside", tostring(err))
        assert.equal("failed", task:status())
        assert.equal("well", bystander:join())
        assert(b:write "hello")
        assert.equal("hello", a:read(5)) -- nothing was lost, the place is free
        assert.equal(1, #reports) -- nobody was joining it when it died
        assert.equal(task, reports[1].task)
      end)
    end)
  end

  for name, resume in pairs { coroutine = coroutine.resume, ["neap.coroutine"] = neap.coroutine.resume } do
    it("at top level does the same: " .. name, function()
      local reports = helper.reports()
      local task, co = parked(function() neap.sleep(10) end)
      resume(co)
      assert.raises("from outside", task.join, task)
      assert.equal(1, #reports)
      assert.same({}, neap.tasks())
    end)
  end

  it("wakes those who were joining it already", function()
    in_task(function()
      local task, co = parked(function() neap.sleep(10) end)
      local joiner = neap.spawn(function() return pcall(task.join, task) end)
      neap.sleep(0)
      coroutine.resume(co)
      local ok, err = joiner:join()
      assert.is_false(ok)
      assert.matches("from outside", tostring(err))
    end)
  end)

  it("raises also where the body catches it, at every wait", function()
    in_task(function()
      local errors = {}
      local task, co = parked(function()
        for i = 1, 2 do
          local ok, err = pcall(neap.sleep, 10)
          errors[i] = ok or err
        end
        return "over"
      end)
      coroutine.resume(co)
      pcall(task.join, task)
      assert.matches("from outside", errors[1])
      assert.is_string(errors[2])
    end)
  end)

  it("does not come in the way of one that is parked in a group's end", function()
    in_task(function()
      helper.reports()
      local co
      local task = neap.spawn(function()
        co = coroutine.running()
        local group <close> = neap.group()
        group:spawn(neap.sleep, 0.02)
      end)
      neap.sleep(0)
      coroutine.resume(co)
      assert.is_false(pcall(task.join, task))
      neap.sleep(0.03)
    end)
  end)
end)

describe("coroutine.close of a parked task", function()
  it("fails the task and wakes those who join it", function()
    in_task(function()
      local reports = helper.reports()
      local task, co = parked(function() neap.sleep(10) end)
      local joiner = neap.spawn(function() return pcall(task.join, task) end)
      neap.sleep(0)
      coroutine.close(co)
      local ok, err = joiner:join()
      assert.is_false(ok)
      assert.matches("closed from outside", tostring(err))
      assert.equal("failed", task:status())
      assert.same({}, reports)
    end)
  end)

  it("goes to onerror when nobody joins", function()
    in_task(function()
      local reports = helper.reports()
      local task, co = parked(function() neap.sleep(10) end)
      coroutine.close(co)
      assert.equal(1, #reports)
      assert.equal(task, reports[1].task)
      assert.matches("closed from outside", tostring(reports[1].err))
    end)
  end)

  it("runs its handlers, which cannot wait, and frees its descriptor", function()
    in_task(function()
      helper.reports()
      local a, b = assert(unix.pair())
      local scope <close> = a
      local held <close> = b
      local waited
      local _, co = parked(function()
        local guard <close> = helper.defer(function() waited = pcall(neap.sleep, 0) end)
        a:read(5)
      end)
      coroutine.close(co)
      assert.is_false(waited)
      assert(b:write "hello")
      assert.equal("hello", a:read(5))
    end)
  end)

  it("fails its group as any other failure does", function()
    in_task(function()
      local ok, err = pcall(function()
        local group <close> = neap.group()
        local co
        group:spawn(function()
          co = coroutine.running()
          neap.sleep(10)
        end)
        local sibling = group:spawn(neap.sleep, 10)
        neap.sleep(0)
        coroutine.close(co)
        assert.fails("ECANCELED", sibling:join())
      end)
      assert.is_false(ok)
      assert.matches("from outside", tostring(err))
    end)
  end)
end)

describe("coroutine.yield in a task", function()
  it("fails the task with a message that says why", function()
    in_task(function()
      local task = neap.spawn(function() coroutine.yield(1) end)
      local ok, err = pcall(task.join, task)
      assert.is_false(ok)
      assert.matches("coroutine%.yield in a task", err)
      assert.matches("neap%.sleep", err)
    end)
  end)

  it("runs the handlers of the task", function()
    in_task(function()
      local closed = false
      local task = neap.spawn(function()
        local guard <close> = helper.defer(function() closed = true end)
        coroutine.yield()
      end)
      assert.is_false(pcall(task.join, task))
      assert.is_true(closed)
    end)
  end)

  it("goes on working in coroutines of the task's own", function()
    in_task(function()
      local gen = coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(i) end
      end)
      assert.same({ 1, 2, 3 }, { gen(), gen(), gen() })
    end)
  end)
end)

describe("an error with closers that wait while it unwinds", function()
  local function closer(log, name, fails)
    return helper.defer(function(_, err)
      neap.sleep(0.002)
      log[#log + 1] = name .. ":" .. tostring(err)
      if fails then error(fails, 0) end
    end)
  end

  it("waits in Lua closers, straight out of the task", function()
    in_task(function()
      local log = {}
      local task = neap.spawn(function()
        local held <close> = closer(log, "outer")
        local guard <close> = closer(log, "inner")
        error("boom", 0)
      end)
      assert.same({ false, "boom" }, { pcall(task.join, task) })
      assert.same({ "inner:boom", "outer:boom" }, log)
    end)
  end)

  it("waits in Lua closers, through pcall", function()
    in_task(function()
      local log = {}
      local ok, err = pcall(function()
        local guard <close> = closer(log, "one")
        pcall(function()
          local held <close> = closer(log, "two")
          error("first", 0)
        end)
        error("second", 0)
      end)
      assert.same({ false, "second" }, { ok, err })
      assert.same({ "two:first", "one:second" }, log)
    end)
  end)

  it("waits in closers that a runtime error, not error(), runs", function()
    in_task(function()
      local log = {}
      local task = neap.spawn(function()
        local guard <close> = closer(log, "x")
        return ("x").field.field
      end)
      assert.raises("attempt to index", task.join, task)
      assert.equal(1, #log)
    end)
  end)

  it("takes the error of a closer in place of the first", function()
    in_task(function()
      local log = {}
      local task = neap.spawn(function()
        local held <close> = closer(log, "outer")
        local guard <close> = closer(log, "inner", "worse")
        error("boom", 0)
      end)
      assert.same({ false, "worse" }, { pcall(task.join, task) })
      assert.same({ "inner:boom", "outer:worse" }, log)
    end)
  end)

  it("waits in C closers: a task, a group, a stream that flushes", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = b
      local ended = false
      local task = neap.spawn(function()
        local scope <close> = neap.spawn(function()
          local held <close> = helper.defer(function()
            neap.sleep(0.005)
            ended = true
          end)
          neap.sleep(10)
        end)
        local group <close> = neap.group()
        group:spawn(neap.sleep, 0.005)
        local cleanup <close> = a
        a:setvbuf "full"
        a:write "the rest"
        neap.sleep(0)
        error("boom", 0)
      end)
      assert.same({ false, "boom" }, { pcall(task.join, task) })
      assert.is_true(ended)
      assert.equal("the rest", b:read "a")
    end)
  end)

  it("waits in closers through a generator, and through two", function()
    in_task(function()
      for depth = 1, 2 do
        local log = {}
        local function body(level)
          local guard <close> = closer(log, "level" .. level)
          if level > depth then error("boom", 0) end
          return neap.coroutine.wrap(body)(level + 1)
        end
        local ok, err = pcall(body, 1)
        assert.same({ false, "boom" }, { ok, err })
        assert.equal(depth + 1, #log)
        assert.equal("level1:boom", log[#log])
      end
    end)
  end)

  it("waits in closers of a generator that is left in the middle", function()
    in_task(function()
      local log = {}
      local ok = pcall(function()
        for i in neap.coroutine.wrap(function()
          local guard <close> = closer(log, "generator")
          for i = 1, 3 do
            neap.sleep(0)
            neap.coroutine.yield(i)
          end
          error("boom", 0)
        end) do log[#log + 1] = i end
      end)
      assert.is_false(ok)
      assert.same({ 1, 2, 3, "generator:boom" }, log)
    end)
  end)

  it("waits in closers of a normal end, too", function()
    in_task(function()
      local log = {}
      local task = neap.spawn(function()
        local guard <close> = closer(log, "x")
        return "result"
      end)
      assert.equal("result", task:join())
      assert.same({ "x:nil" }, log)
    end)
  end)
end)

describe("metamethods, iterators and pcall in a task", function()
  it("may wait", function()
    in_task(function()
      local slow = setmetatable({}, {
        __index = function(_, key)
          neap.sleep(0)
          return key
        end,
        __add = function(_, n)
          neap.sleep(0)
          return n
        end,
        __call = function(_, x)
          neap.sleep(0)
          return x
        end,
        __eq = function()
          neap.sleep(0)
          return true
        end,
        __concat = function()
          neap.sleep(0)
          return "joined"
        end,
        __close = function() neap.sleep(0) end,
      })
      assert.equal("x", slow.x)
      assert.equal(5, slow + 5)
      assert.equal(6, slow(6))
      assert.is_true(slow == setmetatable({}, getmetatable(slow)))
      assert.equal("joined", slow .. "x")
      local seen = 0
      for i in function(_, i)
        neap.sleep(0)
        if i < 3 then return i + 1 end
      end, nil, 0 do seen = i end
      assert.equal(3, seen)
      assert.same({ true, "v" }, { pcall(function()
        neap.sleep(0)
        return "v"
      end) })
      assert.same({ false, "E!" }, { xpcall(function()
        neap.sleep(0)
        error("E", 0)
      end, function(e) return e .. "!" end) })
      do local guard <close> = slow end
    end)
  end)
end)

describe("a host that is deep in C calls", function()
  it("runs tasks that go deep themselves", function()
    -- Lua allows 200 C calls within each other: 150 of the host's and 100 of
    -- the task's are too many unless the task begins to count anew.
    assert.equal("deep", probe.deep(150, neap.run, function()
      return probe.deep(100, function() return "deep" end)
    end))
    assert.equal("deep", probe.deep(150, function()
      local task = neap.spawn(probe.deep, 100, function() return "deep" end)
      return task:join()
    end))
  end)

  it("runs tasks that it spawned at one depth and steps at another", function()
    local task = neap.spawn(function()
      neap.sleep(0)
      return probe.deep(100, function() return "deep" end)
    end)
    probe.deep(150, function()
      while neap.step(0.01) do end
    end)
    assert.equal("deep", task:join())
  end)
end)

describe("neap.core", function()
  it("is one for each state, however often it is required", function()
    local out, code = helper.script [[
      local neap = require "neap"
      neap.run(function()
        local task = neap.spawn(function() return neap.running() end)
        for name in pairs(package.loaded) do
          if name:find "^neap" then package.loaded[name] = nil end
        end
        local again = require "neap"
        assert(again.running() == neap.running())
        assert(#again.tasks() == 2)
        assert(again.run(function() return task:join() end) == task)
      end)
      print "well"
    ]]
    assert.equal("well\n", out)
    assert.equal(0, code)
  end)

  it("sets no global and patches nothing", function()
    local out, code = helper.script [[
      local function all(t, at, seen)
        for k, v in pairs(t) do
          local name = at .. "." .. tostring(k)
          seen[name] = v
          if type(v) == "table" and v ~= _G and v ~= package.loaded and v ~= package.preload then
            all(v, name, seen)
          end
        end
        return seen
      end
      local before = all(_G, "_G", {})
      require "neap"
      require "neap.tcp"
      require "neap.unix"
      for name, v in pairs(all(_G, "_G", {})) do
        if before[name] ~= v then print("changed", name) end
      end
      for name, v in pairs(getmetatable("").__index) do
        if string[name] ~= v then print("changed string", name) end
      end
    ]]
    assert.equal("", out)
    assert.equal(0, code)
  end)
end)
