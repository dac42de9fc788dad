-- neap.timeout: a deadline for everything that happens inside.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local tcp <const>, unix <const> = require "neap.tcp", require "neap.unix"
local in_task <const> = helper.in_task

local function forever() return neap.sleep(1000) end

-- Everything here holds in a task and at top level.
local function both(name, fn)
  it(name, function() in_task(fn) end)
  it(name .. ", at top level", fn)
end

describe("a timeout scope", function()
  both("gives the function's results", function()
    assert.same(table.pack(1, nil, 3, nil),
      table.pack(neap.timeout(1, function(...) return ... end, 1, nil, 3, nil)))
    assert.equal(0, select("#", neap.timeout(1, function() end)))
    assert.equal("x", neap.timeout(1, function()
      neap.sleep(0.001)
      return "x"
    end))
  end)

  both("fails with ETIMEDOUT when it expires, in time", function()
    assert.takes(0.02, 0.5, function()
      assert.same(table.pack(nil, "timed out", "ETIMEDOUT"), table.pack(neap.timeout(0.02, forever)))
    end)
  end)

  both("passes the function's own error through, the very value", function()
    local err = {}
    local ok, got = pcall(neap.timeout, 1, function()
      neap.sleep(0)
      error(err)
    end)
    assert.is_false(ok)
    assert.is_true(rawequal(err, got))
  end)

  both("runs the handlers, which may wait", function()
    local log = {}
    assert.fails("ETIMEDOUT", neap.timeout(0.01, function()
      local guard <close> = helper.defer(function(_, err)
        neap.sleep(0.01)
        log[#log + 1] = tostring(err) .. " " .. err.code
      end)
      forever()
    end))
    assert.same({ "timed out ETIMEDOUT" }, log)
  end)

  both("does nothing any more once it was left", function()
    neap.timeout(0.01, neap.sleep, 0)
    neap.sleep(0.02)
    neap.timeout(0.01, forever)
    neap.sleep(0.01)
  end)

  it("refuses what is no time or no function", function()
    for _, seconds in ipairs { -1, -0.001, 0 / 0, "soon", {}, false } do
      assert.raises("bad argument #1", neap.timeout, seconds, print)
    end
    assert.raises("bad argument #1", neap.timeout)
    assert.raises("bad argument #2", neap.timeout, 1)
  end)

  it("may be as long as one likes", function()
    in_task(function()
      for _, seconds in ipairs { math.huge, math.maxinteger, 1e300, 1e10 } do
        assert.equal(1, neap.timeout(seconds, function()
          neap.sleep(0.001)
          return 1
        end))
      end
    end)
  end)
end)

describe("a timeout of zero", function()
  both("lets everything be done that need not wait", function()
    assert.equal("x", neap.timeout(0, function() return "x" end))
    assert.equal(1, neap.timeout(0, function()
      local channel = neap.channel(1)
      channel:send(1)
      return channel:receive()
    end))
  end)

  both("fails at the first wait", function()
    assert.takes(0, 0.5, function() assert.fails("ETIMEDOUT", neap.timeout(0, forever)) end)
    local a, b = assert(unix.pair())
    local guard <close> = a
    local held <close> = b
    assert.fails("ETIMEDOUT", neap.timeout(0, a.read, a))
  end)

  both("reads what is there already", function()
    local a, b = assert(unix.pair())
    local guard <close> = a
    local held <close> = b
    assert(b:write "here\n")
    assert.equal("here", neap.timeout(0, a.read, a))
  end)
end)

describe("everything inside of a timeout", function()
  local function expires(fn, ...)
    local began = neap.now()
    assert.fails("ETIMEDOUT", neap.timeout(0.01, fn, ...))
    assert.is_true(neap.now() - began < 1 * helper.slow, "it took too long")
  end

  it("obeys it: sleeping, joining, channels and their like", function()
    in_task(function()
      local sleeper <close> = neap.spawn(forever)
      expires(forever)
      expires(sleeper.join, sleeper)
      expires(function() neap.channel():receive() end)
      expires(function() neap.channel():send(1) end)
      expires(function() neap.event():wait() end)
      expires(function() neap.semaphore(0):acquire() end)
      expires(function() neap.semaphore(0):with(print) end)
      expires(neap.select, { { neap.channel(), "receive" } })
    end)
  end)

  it("obeys it: reading, writing, accepting, waiting for a descriptor", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      expires(a.read, a, "l")
      expires(a.receive, a)
      expires(a.write, a, ("x"):rep(8 * 1024 * 1024))
      expires(listener.accept, listener)
      local r, w = probe.pipe()
      expires(neap.wait, r, "r", 10)
      probe.close(r)
      probe.close(w)
    end)
  end)

  it("obeys it: a run, a group, another timeout that is longer, a semaphore's holder", function()
    in_task(function()
      local semaphore = neap.semaphore(1)
      expires(neap.run, forever)
      expires(neap.timeout, 10, forever)
      expires(function() semaphore:with(forever) end)
      assert.equal(1, semaphore:count())
      expires(function()
        local group <close> = neap.group()
        group:spawn(forever)
        group:wait()
      end)
    end)
  end)

  it("obeys it within generators", function()
    in_task(function()
      expires(function()
        for _ in neap.coroutine.wrap(function()
          neap.coroutine.wrap(forever)()
        end) do error "not reached" end
      end)
    end)
  end)

  it("obeys it though each single wait is short", function()
    in_task(function()
      expires(function()
        while true do neap.sleep(0.001) end
      end)
      expires(function()
        while true do neap.sleep(0) end
      end)
    end)
  end)

  it("does not bind the tasks that it spawned, but who joins them", function()
    in_task(function()
      local task
      expires(function()
        task = neap.spawn(function()
          neap.sleep(0.03)
          return "outlived it"
        end)
        task:join()
      end)
      assert.equal("outlived it", task:join())
    end)
  end)
end)

describe("a call's own timeout", function()
  it("is a value returned from that call, inside of a scope as well", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      a:settimeout(0.01)
      local code, after = neap.timeout(5, function()
        local _, _, c = a:read()
        return c, "went on"
      end)
      assert.equal("ETIMEDOUT", code)
      assert.equal("went on", after)
    end)
  end)

  it("counts anew for each call", function()
    in_task(function()
      local channel = neap.channel()
      for _ = 1, 3 do
        assert.takes(0.01, 0.5, function()
          assert.fails("ETIMEDOUT", channel:receive(0.01))
        end)
      end
    end)
  end)

  it("does not lose to a scope that is longer, nor win over one that is shorter", function()
    in_task(function()
      local channel = neap.channel()
      local inner
      assert.fails("ETIMEDOUT", neap.timeout(0.005, function() inner = { channel:receive(10) } end))
      assert.is_nil(inner)
    end)
  end)
end)

describe("nested timeout scopes", function()
  both("let the inner one expire alone", function()
    assert.equal("outer goes on", neap.timeout(10, function()
      assert.fails("ETIMEDOUT", neap.timeout(0.005, forever))
      return "outer goes on"
    end))
  end)

  both("let the outer one expire through the inner one", function()
    local inner_returned = false
    assert.fails("ETIMEDOUT", neap.timeout(0.005, function()
      neap.timeout(10, forever)
      inner_returned = true
    end))
    assert.is_false(inner_returned)
  end)

  both("let the outermost win if several expired", function()
    local returned = {}
    assert.fails("ETIMEDOUT", neap.timeout(0.01, function()
      neap.timeout(0.005, function()
        neap.timeout(0.008, function()
          probe.sleep(0.02) -- blocks: all three expire before the next wait
          neap.sleep(0)
        end)
        returned[#returned + 1] = "innermost"
      end)
      returned[#returned + 1] = "middle"
    end))
    assert.same({}, returned)
  end)

  both("let the outer one expire while the inner one's handlers run", function()
    local log = {}
    assert.fails("ETIMEDOUT", neap.timeout(0.03, function()
      assert.fails("ETIMEDOUT", neap.timeout(0.005, function()
        local guard <close> = helper.defer(function()
          log[#log + 1] = pcall(neap.sleep, 10)
        end)
        forever()
      end))
      log[#log + 1] = "inner returned"
    end))
    assert.same({ false }, log)
  end)

  both("leave an outer one's handlers in peace when they expire while it unwinds", function()
    local finished
    assert.fails("ETIMEDOUT", neap.timeout(0.005, function()
      neap.timeout(0.01, function()
        local guard <close> = helper.defer(function() finished = pcall(neap.sleep, 0.02) end)
        forever()
      end)
    end))
    assert.is_true(finished)
  end)

  it("leave the handlers of a cancelled task in peace", function()
    in_task(function()
      local finished
      local task = neap.spawn(neap.timeout, 0.01, function()
        local guard <close> = helper.defer(function() finished = pcall(neap.sleep, 0.03) end)
        forever()
      end)
      neap.sleep(0.002)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.is_true(finished)
    end)
  end)

  both("may be entered in a handler of an expired one", function()
    local got
    assert.fails("ETIMEDOUT", neap.timeout(0.005, function()
      local guard <close> = helper.defer(function()
        got = { neap.timeout(0.005, forever) }
      end)
      forever()
    end))
    assert.same({ nil, "timed out", "ETIMEDOUT" }, got)
  end)
end)

describe("an expired scope's error", function()
  it("is a value that prints, has a code, and is no table to be changed", function()
    in_task(function()
      local err
      neap.timeout(0.005, function() err = select(2, pcall(forever)) end)
      assert.equal("userdata", type(err))
      assert.equal("timed out", tostring(err))
      assert.equal("ETIMEDOUT", err.code)
      assert.is_false(pcall(function() err.code = 1 end))
    end)
  end)

  it("that is caught by pcall leaves a time to clean up in; the results count", function()
    in_task(function()
      assert.equal("cleaned up", neap.timeout(0.005, function()
        pcall(forever)
        neap.sleep(0.01)
        return "cleaned up"
      end))
    end)
  end)

  it("that was swallowed is raised again after the grace, at every wait", function()
    in_task(function()
      local raised = {}
      local began = neap.now()
      assert.fails("ETIMEDOUT", neap.timeout(0.005, function()
        for i = 1, 3 do
          local ok, err = pcall(forever)
          raised[i] = not ok and tostring(err)
          if i == 2 then -- five seconds are over
            assert.is_true(neap.now() - began >= 5)
            assert.is_true(neap.now() - began < 5 + 1 * helper.slow)
          end
        end
        forever()
      end))
      assert.same({ "timed out", "timed out", "timed out" }, raised)
      assert.is_true(neap.now() - began < 5 + 1 * helper.slow)
    end)
  end)

  it("of another scope is not caught by this one", function()
    in_task(function()
      local err
      neap.timeout(0.005, function() err = select(2, pcall(forever)) end)
      local ok, got = pcall(neap.timeout, 10, error, err)
      assert.is_false(ok)
      assert.is_true(rawequal(err, got))
    end)
  end)

  it("fails a task that lets one of long ago go", function()
    in_task(function()
      helper.reports()
      local err
      neap.timeout(0.005, function() err = select(2, pcall(forever)) end)
      local task = neap.spawn(error, err)
      local ok, got = pcall(task.join, task)
      assert.is_false(ok)
      assert.is_true(rawequal(err, got))
      assert.equal("failed", task:status())
    end)
  end)

  it("does not hide an error that a handler raised", function()
    in_task(function()
      assert.raises("of the handler", neap.timeout, 0.005, function()
        local guard <close> = helper.defer(function() error "of the handler" end)
        forever()
      end)
    end)
  end)
end)

describe("a wait that is already satisfied", function()
  both("gives its result though the scope has expired meanwhile", function()
    local channel, got = neap.channel(), nil
    neap.timeout(0.01, function()
      neap.spawn(function()
        channel:send "handed over"
        probe.sleep(0.02)
      end)
      got = channel:receive()
    end)
    assert.equal("handed over", got)
  end)

  both("is followed by the error at the next wait", function()
    local channel, got, later = neap.channel(), nil, nil
    assert.fails("ETIMEDOUT", neap.timeout(0.01, function()
      neap.spawn(function()
        channel:send "handed over"
        probe.sleep(0.02)
      end)
      got = channel:receive()
      neap.sleep(0)
      later = true
    end))
    assert.equal("handed over", got)
    assert.is_nil(later)
  end)
end)

describe("a timeout scope that a generator leaves", function()
  it("by yielding raises there and then", function()
    in_task(function()
      local generator = neap.coroutine.wrap(function()
        neap.timeout(0.005, function() neap.coroutine.yield "out" end)
      end)
      assert.raises("yielded out of", generator)
      neap.sleep(0.01) -- and it does not bind who called
    end)
  end)

  it("of the plain kind raises at the next wait at the latest", function()
    in_task(function()
      local generator = coroutine.wrap(function()
        neap.timeout(0.005, coroutine.yield, "out")
      end)
      assert.raises("yielded out of", function()
        generator()
        neap.sleep(0)
      end)
      neap.sleep(0.01)
    end)
  end)

  it("may stay in it while everything yields within it", function()
    in_task(function()
      assert.same({ 1, 2, 3 }, { neap.timeout(1, function()
        local generator = neap.coroutine.wrap(function()
          for i = 1, 3 do
            neap.sleep(0)
            neap.coroutine.yield(i)
          end
        end)
        return generator(), generator(), generator()
      end) })
    end)
  end)

  it("may hold it between two waits that pass through", function()
    in_task(function()
      assert.equal("x", neap.coroutine.wrap(function()
        return neap.timeout(1, function()
          neap.sleep(0.001)
          return "x"
        end)
      end)())
    end)
  end)
end)

describe("timeouts", function()
  it("of many tasks expire in their order", function()
    in_task(function()
      local order = {}
      local group <close> = neap.group()
      for _, ms in ipairs { 20, 5, 15, 10 } do
        group:spawn(function()
          neap.timeout(ms / 1000, forever)
          order[#order + 1] = ms
        end)
      end
      group:wait()
      assert.same({ 5, 10, 15, 20 }, order)
    end)
  end)

  it("leave nothing behind, tens of thousands of times", function()
    in_task(function()
      local function round()
        for _ = 1, 20000 do neap.timeout(10, neap.now) end
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end
      round()
      local before = round()
      assert.is_true(round() - before < 20)
    end)
  end)
end)
