-- neap.signal: signals as something to wait for, and nothing more.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local in_task <const> = helper.in_task

local USR1 <const> = probe.SIGUSR1
local self <const> = probe.getpid()

local function raise(number) return probe.kill(self, number or USR1) end

describe("a watcher of signals", function()
  it("tells the signal's name, to who waits and to who comes later", function()
    in_task(function()
      local watcher <close> = neap.signal "USR1"
      neap.spawn(function()
        neap.sleep(0.005)
        raise()
      end)
      assert.takes(0.004, 1, function() assert.equal("USR1", watcher:wait()) end)
      raise()
      neap.sleep(0.002)
      assert.equal("USR1", watcher:wait(0))
      assert.fails("ETIMEDOUT", watcher:wait(0))
    end)
  end)

  it("works at top level", function()
    local watcher <close> = neap.signal "USR1"
    raise()
    assert.equal("USR1", watcher:wait(1))
    assert.fails("ETIMEDOUT", watcher:wait(0.002))
  end)

  it("takes names with and without SIG, and numbers; several at once", function()
    in_task(function()
      local watcher <close> = neap.signal("SIGUSR1", "USR2", 1)
      raise()
      assert.equal("USR1", watcher:wait(1))
      raise(12)
      assert.equal("USR2", watcher:wait(1))
      raise(1)
      assert.equal("HUP", watcher:wait(1))
    end)
  end)

  it("keeps the order of their coming", function()
    in_task(function()
      local watcher <close> = neap.signal("USR1", "USR2")
      raise(12)
      raise()
      raise(12)
      assert.same({ "USR2", "USR1", "USR2" }, { watcher:wait(1), watcher:wait(1), watcher:wait(1) })
    end)
  end)

  it("takes real-time signals by number", function()
    in_task(function()
      local watcher <close> = neap.signal(40)
      raise(40)
      assert.equal("40", watcher:wait(1))
    end)
  end)

  it("serves several tasks, one signal each", function()
    in_task(function()
      local watcher <close> = neap.signal "USR1"
      local tasks = {}
      for i = 1, 3 do tasks[i] = neap.spawn(watcher.wait, watcher, 5) end
      neap.sleep(0.001)
      for _ = 1, 3 do
        raise()
        neap.sleep(0.001)
      end
      for i = 1, 3 do assert.equal("USR1", tasks[i]:join()) end
      assert.fails("ETIMEDOUT", watcher:wait(0))
    end)
  end)

  it("survives a thousand of them at once", function()
    in_task(function()
      local watcher <close> = neap.signal "USR1"
      for _ = 1, 1000 do raise() end
      local seen = 0
      while watcher:wait(0.01) do seen = seen + 1 end
      assert.is_true(seen >= 1 and seen <= 1000)
      raise()
      assert.equal("USR1", watcher:wait(1))
    end)
  end)

  it("is no deadlock to wait for", function()
    assert.equal("USR1", neap.run(function()
      local watcher <close> = neap.signal "USR1"
      os.execute(("(sleep 0.05; kill -USR1 %d) &"):format(self))
      return watcher:wait()
    end))
  end)

  it("obeys cancellation and deadlines", function()
    in_task(function()
      local watcher <close> = neap.signal "USR1"
      assert.fails("ETIMEDOUT", neap.timeout(0.005, watcher.wait, watcher))
      local task = neap.spawn(watcher.wait, watcher)
      neap.sleep(0)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      raise()
      assert.equal("USR1", watcher:wait(1)) -- was not taken by those who are gone
    end)
  end)

  it("hears a signal that comes while the process computes or sleeps in C", function()
    in_task(function()
      local watcher <close> = neap.signal "USR1"
      os.execute(("(sleep 0.01; kill -USR1 %d) &"):format(self))
      local began = os.clock()
      while os.clock() - began < 0.03 do end -- computing: the handler only writes a byte
      assert.equal("USR1", watcher:wait(1))
    end)
  end)
end)

describe("closing a watcher", function()
  for _, was in ipairs { "default", "ignore", "count" } do
    it("puts back what was there before: " .. was, function()
      probe.signal(USR1, was)
      local guard <close> = helper.defer(function() probe.signal(USR1, "default") end)
      local watcher = neap.signal "USR1"
      assert.equal("other", probe.signal(USR1))
      watcher:close()
      assert.equal(was, probe.signal(USR1))
      if was ~= "default" then
        local before = probe.counted()
        raise()
        assert.equal(before + (was == "count" and 1 or 0), probe.counted())
      end
    end)
  end

  it("wakes who waits, with ECLOSED; may be done twice; and it stays closed", function()
    in_task(function()
      local watcher = neap.signal "USR1"
      local task = neap.spawn(watcher.wait, watcher)
      local other = neap.spawn(watcher.wait, watcher)
      neap.sleep(0.001)
      watcher:close()
      assert.fails("ECLOSED", task:join())
      assert.fails("ECLOSED", other:join())
      watcher:close()
      assert.fails("ECLOSED", watcher:wait())
      assert.fails("ECLOSED", watcher:wait(0))
    end)
  end)

  it("happens at the end of a scope and by the collector", function()
    do local guard <close> = neap.signal "USR1" end
    assert.equal("default", probe.signal(USR1))
    do neap.signal "USR1" end
    collectgarbage()
    collectgarbage()
    assert.equal("default", probe.signal(USR1))
  end)
end)

describe("neap.signal", function()
  it("installs nothing until asked", function()
    local out, code = helper.script [[
      local probe = require "probe"
      local before = {}
      for i = 1, 31 do before[i] = probe.signal(i) end
      local neap = require "neap"
      require "neap.tcp"
      require "neap.unix"
      neap.run(function()
        local a, b = require "neap.unix".pair()
        b:close()
        assert(not a:write "x")
        neap.resolve "localhost"
        neap.sleep(0.001)
      end)
      for i = 1, 31 do
        if i ~= 9 and i ~= 19 then assert(probe.signal(i) == before[i], i) end
      end
      print "well"
    ]]
    assert.equal("well\n", out)
    assert.equal(0, code)
  end)

  it("raises for a second claimant, and lets the first go on", function()
    in_task(function()
      local watcher <close> = neap.signal "USR1"
      assert.raises("USR1", neap.signal, "USR1")
      assert.raises("USR1", neap.signal, "USR2", "USR1")
      assert.equal("default", probe.signal(12)) -- USR2 was let go again
      raise()
      assert.equal("USR1", watcher:wait(1))
      watcher:close()
      local guard <close> = neap.signal "USR1"
    end)
  end)

  it("takes the same one twice in one call as once", function()
    local watcher <close> = neap.signal("USR1", "SIGUSR1", USR1)
    raise()
    assert.equal("USR1", watcher:wait(1))
    assert.fails("ETIMEDOUT", watcher:wait(0))
  end)

  it("raises for what cannot be waited for and for what is unknown", function()
    for _, name in ipairs {
      "KILL", "SIGSTOP", 9, 19, "SEGV", "NOPE", "", "SIG", "term", 0, -1, 65, 1000, 1.5, {}, true,
    } do
      local ok, err = pcall(neap.signal, name)
      assert.is_false(ok, tostring(name))
      assert.matches("bad argument #1", err)
    end
    assert.raises("bad argument #2", neap.signal, "USR1", "NOPE")
    assert.raises("bad argument #1", neap.signal)
    assert.equal("default", probe.signal(USR1))
  end)

  it("does not disturb a read that waits in the kernel", function()
    -- SA_RESTART: a C library that does not expect EINTR goes on.
    local watcher <close> = neap.signal "USR1"
    local pipe = io.popen(("sleep 0.03; kill -USR1 %d; sleep 0.03; echo undisturbed"):format(self))
    assert.equal("undisturbed", pipe:read())
    pipe:close()
    assert.equal("USR1", watcher:wait(1))
  end)

  it("makes SIGTERM end a server in good order", function()
    local out, code = helper.script [[
      local neap, probe, tcp = require "neap", require "probe", require "neap.tcp"
      neap.run(function()
        local server <close> = assert(tcp.listen("127.0.0.1", 0))
        neap.spawn({ daemon = true }, function()
          local watcher <close> = neap.signal("TERM", "INT")
          print(watcher:wait())
          server:stop(0.1)
        end)
        neap.spawn({ daemon = true }, function()
          neap.sleep(0.01)
          probe.kill(probe.getpid(), probe.SIGTERM)
        end)
        print(server:serve(function() end))
      end)
    ]]
    assert.equal("TERM\ntrue\n", out)
    assert.equal(0, code)
  end)
end)

describe("a child after fork", function()
  it("hears nothing through its parent's watcher, and the parent nothing of the child's", function()
    in_task(function()
      local watcher <close> = neap.signal "USR1"
      local text, code = helper.forked(function()
        probe.kill(probe.getpid(), USR1) -- is handled, and tells nobody
        neap.reset()
        watcher:close() -- only closes: the claim is the parent's
        return "well"
      end)
      assert.equal("well", text)
      assert.equal(0, code)
      assert.fails("ETIMEDOUT", watcher:wait(0.005))
      assert.equal("other", probe.signal(USR1))
      raise()
      assert.equal("USR1", watcher:wait(1))
    end)
  end)
end)

describe("a signal of the host's", function()
  it("does not end a wait", function()
    probe.signal(USR1, "count")
    local guard <close> = helper.defer(function() probe.signal(USR1, "default") end)
    local before = probe.counted()
    os.execute(("(sleep 0.01; kill -USR1 %d; sleep 0.01; kill -USR1 %d) &"):format(self, self))
    assert.takes(0.05, 0.5, neap.sleep, 0.05)
    helper.eventually(function() return probe.counted() == before + 2 end) -- they may be late
    os.execute(("(sleep 0.01; kill -USR1 %d) &"):format(self))
    in_task(function() assert.takes(0.05, 0.5, neap.sleep, 0.05) end)
    helper.eventually(function() return probe.counted() == before + 3 end)
  end)

  it("SIGINT interrupts a script in the stand-alone interpreter that waits", function()
    for _, body in ipairs { "neap.sleep(100)", "neap.run(neap.sleep, 100)" } do
      local out, code = helper.script(([[
        local neap, probe = require "neap", require "probe"
        local pid = probe.getpid()
        os.execute(("(sleep 0.05; kill -INT %%d) &"):format(pid))
        %s
        print "not reached"
      ]]):format(body))
      assert.matches("interrupted", out)
      assert.is_nil(out:find("not reached", 1, true))
      assert.equal(1, code)
    end
  end)
end)
