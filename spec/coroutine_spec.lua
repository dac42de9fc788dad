-- neap.coroutine, a drop-in whose coroutines pass a wait through; and the
-- places where a call refuses to wait.
local neap <const> = require "neap"
local helper <const> = require "support.helper"
local unix <const> = require "neap.unix"
local in_task <const> = helper.in_task
local co <const> = neap.coroutine

describe("neap.coroutine", function()
  it("has all that the standard table has, and install", function()
    for name in pairs(coroutine) do assert.is_function(co[name], name) end
    assert.is_function(co.install)
  end)

  -- What the reference manual says of coroutines, with either table.
  for kind, lib in pairs { ["the standard table"] = coroutine, ["neap.coroutine"] = co } do
    for place, run in pairs { ["at top level"] = function(fn) fn() end, ["in a task"] = in_task } do
      it(("does as the manual says: %s, %s"):format(kind, place), function()
        run(function()
          local c = lib.create(function(a, b)
            local d = lib.yield(a + b)
            local e, f = lib.yield(d * 2)
            return e, f, nil
          end)
          assert.equal("thread", type(c))
          assert.equal("suspended", lib.status(c))
          assert.same({ true, 3 }, { lib.resume(c, 1, 2) })
          assert.same({ true, 20 }, { lib.resume(c, 10) })
          assert.same(table.pack(true, "e", nil, nil), table.pack(lib.resume(c, "e")))
          assert.equal("dead", lib.status(c))
          assert.same({ false, "cannot resume dead coroutine" }, { lib.resume(c) })

          local wrapped = lib.wrap(function(...)
            local n = select("#", ...)
            while true do n = n + select("#", lib.yield(n)) end
          end)
          assert.same({ 2, 3, 6 }, { wrapped(nil, nil), wrapped(nil), wrapped(1, 2, 3) })

          local err = {}
          local failing = lib.create(function() error(err) end)
          local ok, got = lib.resume(failing)
          assert.is_false(ok)
          assert.is_true(rawequal(err, got))
          assert.equal("dead", lib.status(failing))
          assert.raises("of wrap", lib.wrap(function() error "of wrap" end))
          local over = lib.wrap(function() end)
          over()
          assert.raises("cannot resume dead coroutine", over)

          local self
          self = lib.create(function()
            assert.equal(self, (lib.running()))
            assert.equal("running", lib.status(self))
            assert.is_true(lib.isyieldable())
            assert.is_false((lib.resume(self)))
            local inner = lib.wrap(function() return lib.status(self) end)
            return inner()
          end)
          assert.same({ true, "normal" }, { lib.resume(self) })

          local closed = false
          local open = lib.create(function()
            local guard <close> = helper.defer(function() closed = true end)
            lib.yield()
          end)
          lib.resume(open)
          assert.is_true(lib.close(open))
          assert.is_true(closed)
          assert.equal("dead", lib.status(open))

          assert.equal(1000, select("#", lib.wrap(function(...) return ... end)(table.unpack({}, 1, 1000))))
          assert.equal(500, select("#", lib.wrap(function()
            lib.yield()
            return table.unpack({}, 1, 500)
          end)()) + 500)
          assert.is_false(pcall(lib.create, 42))
          assert.is_false(pcall(lib.resume, 42))
          assert.is_false(pcall(lib.wrap, {}))
        end)
      end)
    end
  end

  it("passes a wait through wrap, resume, and generators within each other", function()
    in_task(function()
      local log = {}
      local other = neap.spawn(function()
        for _ = 1, 3 do
          log[#log + 1] = "other"
          neap.sleep(0)
        end
      end)
      local function level(n)
        return co.wrap(function()
          if n == 0 then
            for i = 1, 3 do
              neap.sleep(0)
              co.yield(i)
            end
          else
            for i in level(n - 1) do co.yield(i) end
          end
        end)
      end
      for i in level(5) do log[#log + 1] = i end
      other:join()
      assert.same({ 1, 2, 3 }, { log[2], log[4], log[6] })
      local c = co.create(function(x)
        neap.sleep(0.001)
        local y = co.yield(x + 1)
        neap.sleep(0.001)
        return y + 1
      end)
      assert.same({ true, 2 }, { co.resume(c, 1) })
      assert.same({ true, 11 }, { co.resume(c, 10) })
      assert.equal("dead", co.status(c))
    end)
  end)

  it("gives an error after a wait to resume as a value, and to wrap as an error", function()
    in_task(function()
      local err = {}
      local ok, got = co.resume(co.create(function()
        neap.sleep(0)
        error(err)
      end))
      assert.is_false(ok)
      assert.is_true(rawequal(err, got))
      ok, got = pcall(co.wrap(function()
        neap.sleep(0)
        error(err)
      end))
      assert.is_false(ok)
      assert.is_true(rawequal(err, got))
    end)
  end)

  it("passes a wait through a mixture of pcall, metamethods and generators", function()
    in_task(function()
      local t = setmetatable({}, { __index = function(_, k)
        return co.wrap(function()
          neap.sleep(0)
          return k
        end)()
      end })
      local ok, value = pcall(co.wrap(function() return t.key end))
      assert.same({ true, "key" }, { ok, value })
    end)
  end)

  it("made at top level waits there by driving the loop", function()
    local task = neap.spawn(function()
      neap.sleep(0.001)
      return "x"
    end)
    assert.equal("x", co.wrap(function() return task:join() end)())
    assert.same({ true, "y" }, { co.resume(co.create(function()
      neap.sleep(0.001)
      return "y"
    end)) })
  end)

  it("made outside may be resumed in a task, and the other way round", function()
    local c = co.wrap(function()
      for i = 1, 4 do
        neap.sleep(0)
        co.yield(i)
      end
    end)
    assert.equal(1, c())
    in_task(function() assert.equal(2, c()) end)
    assert.equal(3, c())
    in_task(function() neap.spawn(function() assert.equal(4, c()) end):join() end)
  end)

  it("that is abandoned in the middle is garbage", function()
    in_task(function()
      local weak = setmetatable({}, { __mode = "v" })
      do
        local c = co.create(function()
          neap.sleep(0)
          co.yield(1)
        end)
        co.resume(c)
        weak[1] = c
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak[1])
    end)
  end)

  for kind, lib in pairs { ["the standard table"] = coroutine, ["neap.coroutine"] = co } do
    it("cannot be resumed while a task waits in it, with " .. kind, function()
      in_task(function()
        helper.reports()
        local seen
        local inner = co.create(function()
          seen = { pcall(neap.sleep, 0.005) }
          return "inner"
        end)
        local task = neap.spawn(function() return co.resume(inner) end)
        neap.sleep(0)
        lib.resume(inner)
        assert.is_false(seen[1])
        assert.matches("from outside", seen[2])
        task:join() -- whatever it makes of it
        neap.sleep(0.01) -- the loop lives
      end)
    end)

    it("cannot be resumed around a generator that a task waits in, with " .. kind, function()
      in_task(function()
        helper.reports()
        local seen, outer
        local task = neap.spawn(function()
          outer = coroutine.running()
          co.wrap(function() seen = { pcall(neap.sleep, 0.005) } end)()
        end)
        neap.sleep(0)
        lib.resume(outer)
        assert.is_false(seen[1])
        pcall(task.join, task)
        neap.sleep(0.01)
      end)
    end)

    it("cannot be resumed by itself or by what it resumed, with " .. kind, function()
      in_task(function()
        local outer
        outer = lib.create(function(a, b)
          local c, d = {}, {}
          local mine = { lib.resume(outer, 1, 2, 3) }
          local inner = lib.wrap(function() return lib.resume(outer, 1, 2, 3) end)
          local its = { inner() }
          return mine, its, { a, b, c, d }
        end)
        local _, mine, its, locals = assert(lib.resume(outer, "a", "b"))
        assert.same({ false, "cannot resume non-suspended coroutine" }, mine)
        assert.same({ false, "cannot resume non-suspended coroutine" }, its)
        assert.same({ "a", "b", {}, {} }, locals) -- its stack is as it was
      end)
    end)
  end

  it("that is closed from outside while a task waits in it fails that task's wait", function()
    in_task(function()
      helper.reports()
      local log = {}
      local inner = co.create(function()
        local guard <close> = helper.defer(function() log[1] = pcall(neap.sleep, 0) end)
        neap.sleep(0.005)
        log[2] = "too far"
      end)
      local task = neap.spawn(function() return co.resume(inner) end)
      neap.sleep(0)
      coroutine.close(inner)
      assert.is_false((task:join()))
      assert.same({ false }, log)
    end)
  end)

  it("is put in place of the global one only when asked", function()
    local out, code = helper.script [[
      local standard = coroutine
      local neap = require "neap"
      assert(coroutine == standard)
      assert(require "coroutine" == standard)
      local before = neap.coroutine.install()
      assert(before == standard)
      assert(coroutine == neap.coroutine and coroutine ~= standard)
      assert(require "coroutine" == neap.coroutine)
      neap.run(function()
        local g = coroutine.wrap(function()
          neap.sleep(0.001)
          coroutine.yield "waited"
        end)
        assert(g() == "waited")
      end)
      neap.coroutine.install()
      assert(coroutine == neap.coroutine)
      print "well"
    ]]
    assert.equal("well\n", out)
    assert.equal(0, code)
  end)
end)

describe("a plain coroutine", function()
  it("outside of any task drives the loop", function()
    local log = {}
    local task = neap.spawn(function()
      neap.sleep(0.001)
      log[#log + 1] = "task"
      return "x"
    end)
    local got = coroutine.wrap(function()
      neap.sleep(0.003)
      log[#log + 1] = "coroutine"
      return task:join()
    end)()
    assert.equal("x", got)
    assert.same({ "task", "coroutine" }, log)
  end)

  it("inside of one outside of any task does so, too", function()
    assert.equal("x", coroutine.wrap(function()
      return coroutine.wrap(function()
        neap.sleep(0.001)
        return "x"
      end)()
    end)())
  end)
end)

-- Every one of these is a C function, or a coroutine, through which a yield
-- cannot go: name, how fn is called in it, a part of the error.
local walls <const> = {
  { "a plain coroutine within a task", function(fn) return coroutine.wrap(fn)() end, "neap.coroutine" },
  { "coroutine.resume within a task", function(fn)
    local ok, result = coroutine.resume(coroutine.create(fn))
    if not ok then error(result, 0) end
    return result
  end, "neap.coroutine" },
  { "a plain coroutine within one of ours", function(fn)
    return co.wrap(function() return coroutine.wrap(fn)() end)()
  end, "neap.coroutine" },
  { "one of ours within a plain one", function(fn)
    return coroutine.wrap(function() return co.wrap(fn)() end)()
  end, "cannot wait" },
  { "table.sort", function(fn)
    local result
    table.sort({ 1, 2 }, function(a, b)
      result = fn()
      return a < b
    end)
    return result
  end, "table.sort" },
  { "string.gsub", function(fn)
    local result
    string.gsub("x", "x", function() result = fn() end)
    return result
  end, "string.gsub" },
  { "require", function(fn)
    package.preload["neap-spec-module"] = fn
    package.loaded["neap-spec-module"] = nil
    local cleanup <close> = helper.defer(function()
      package.preload["neap-spec-module"], package.loaded["neap-spec-module"] = nil, nil
    end)
    return (require "neap-spec-module")
  end, "require" },
  { "load's reader", function(fn)
    local got
    load(function() got = got or table.pack(pcall(fn)) end)
    if not got[1] then error(got[2], 0) end
    return got[2]
  end, "cannot wait" },
}

describe("a call that could not wait", function()
  -- What must not have happened when the call was refused.
  local calls = {
    { "read, though data is there", function(a) return a:read(4) end, function(a)
      assert.equal("data", a:read(4))
    end },
    { "receive, though data is there", function(a) return a:receive() end, function(a)
      assert.equal("data", a:receive())
    end },
    { "write, though there is room", function(a) return a:write "sent" end, function(_, b)
      assert.fails("ETIMEDOUT", b:settimeout(0):receive())
    end },
    { "sleep(0)", function() return neap.sleep(0) end },
    { "sleep", function() return neap.sleep(0.001) end },
    { "wait, though it is ready", function(a) return neap.wait(a:fileno(), "r") end },
    { "joining a task that has ended", function(_, _, ended) return ended:join() end },
    { "receiving what a channel holds", function(_, _, _, channel) return channel:receive() end,
      function(_, _, channel) assert.equal("held", channel:receive()) end },
    { "sending where there is room", function(_, _, _, channel) return channel:send "x" end,
      function(_, _, channel) assert.equal(1, #channel) end },
    { "a semaphore that is free", function() return neap.semaphore(1):acquire() end },
    { "an event that is set", function() return neap.event():set():wait() end },
  }
  for _, wall in ipairs(walls) do
    for _, call in ipairs(calls) do
      it(("is refused before any I/O, in %s: %s"):format(wall[1], call[1]), function()
        in_task(function()
          local a, b = assert(unix.pair())
          local guard <close> = a
          local held <close> = b
          local ended = neap.spawn(function() end)
          ended:join()
          assert(b:write "data")
          local channel = neap.channel(2)
          channel:send "held"
          local ok, err = pcall(wall[2], function() return call[2](a, b, ended, channel) end)
          assert.is_false(ok)
          assert.matches("cannot wait here", err)
          assert.is_truthy(err:find(wall[3], 1, true), err)
          if call[3] then call[3](a, b, channel) end
        end)
      end)
    end
  end

  it("is refused in a finalizer, in a task and at top level", function()
    local a, b = assert(unix.pair())
    local guard <close> = a
    local held <close> = b
    local function try()
      local ok, err
      setmetatable({}, { __gc = function()
        ok, err = pcall(a.read, a, 1)
        if ok == false then ok, err = pcall(neap.sleep, 0) end
      end })
      collectgarbage()
      collectgarbage()
      assert.is_false(ok)
      assert.matches("finalizer", err)
    end
    assert(b:write "x")
    try()
    in_task(try)
    assert.equal("x", a:read(1))
  end)

  it("is refused at top level in what is called while the loop is driven", function()
    in_task(function()
      local reports = helper.reports()
      local refused
      neap.onerror = function() refused = { pcall(neap.sleep, 0) } end
      neap.spawn(error, "x")
      neap.sleep(0.002)
      assert.is_false(refused[1])
      assert.matches("driven", refused[2])
      assert.same({}, reports)
    end)
  end)

  it("may spawn, cancel, close and look around everywhere", function()
    in_task(function()
      for _, wall in ipairs(walls) do
        local task
        wall[2](function()
          task = neap.spawn(function() return "x" end)
          neap.spawn(neap.sleep, 10):cancel()
          neap.event():set():clear()
          neap.semaphore(0):release()
          neap.channel(1):close()
          local a, b = unix.pair()
          a:close()
          b:close()
          assert.is_true(#neap.tasks() > 0)
          assert.is_truthy(neap.running())
          return true
        end)
        assert.equal("x", task:join())
      end
    end)
  end)

  it("at top level may be inside of table.sort and its like: the loop is driven there", function()
    for _, wall in ipairs(walls) do
      local got
      wall[2](function()
        neap.sleep(0.001)
        got = "waited"
        return true
      end)
      assert.equal("waited", got, wall[1])
    end
  end)

  it("does not upset the tasks that run meanwhile", function()
    in_task(function()
      local task = neap.spawn(function()
        pcall(table.sort, { 3, 2, 1 }, function() return neap.sleep(0) end)
        pcall(coroutine.wrap(function() neap.sleep(0) end))
        neap.sleep(0.001)
        return "well"
      end)
      assert.equal("well", task:join())
    end)
  end)
end)
