-- Nobody is starved: not by a task that never has to wait, not by tasks that
-- are always ready.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local unix <const> = require "neap.unix"
local in_task <const> = helper.in_task

-- A stream that can always be read, one that can always be written.
local function endless() return assert(neap.stream(probe.open "/dev/zero")) end
local function bottomless() return assert(neap.stream(probe.open("/dev/null", "w"))) end

-- What a task may do for ever without having to wait: name, and a function
-- that does it once; and how to end.
local function busy()
  local zero, null = endless(), bottomless()
  local a, b = assert(unix.pair())
  local event = neap.event():set()
  local semaphore, channel = neap.semaphore(1), neap.channel(1)
  local done = neap.spawn(function() end)
  return {
    { "reading", function() zero:read(1) end },
    { "receiving", function() zero:receive(100) end },
    { "writing", function() null:write "x" end },
    { "writing to itself", function()
      a:write "x"
      b:receive()
    end },
    { "joining what has ended", function() done:join() end },
    { "waiting for an event that is set", function() event:wait() end },
    { "taking a semaphore that is free", function()
      semaphore:acquire()
      semaphore:release()
    end },
    { "sending to and receiving from a channel that is ready", function()
      channel:send(1)
      channel:receive()
    end },
    { "selecting what is ready", function()
      neap.select { { channel, "send", 1 } }
      neap.select { { channel, "receive" } }
    end },
    { "yielding", function() neap.sleep(0) end },
  }, function()
    for _, s in ipairs { zero, null, a, b } do s:close() end
  end
end

local names <const> = {}
do
  local list, close = busy()
  for i, case in ipairs(list) do names[i] = case[1] end
  close()
  while neap.step() do end
end

describe("a task that never has to wait", function()
  for i, name in ipairs(names) do
    it("lets others have their turns: " .. name, function()
      in_task(function()
        local list, close = busy()
        local once = list[i][2]
        local turns, rounds, stop = 0, 0, false
        local other = neap.spawn(function()
          while not stop do
            turns = turns + 1
            neap.sleep(0)
          end
        end)
        local task = neap.spawn(function()
          for n = 1, 20000 do
            rounds = n
            once()
            if turns > 20 then break end
          end
          stop = true
        end)
        task:join()
        other:join()
        assert.is_true(turns > 20, ("%d turns in %d rounds"):format(turns, rounds))
        close()
      end)
    end)

    it("hears a timeout and a cancellation: " .. name, function()
      in_task(function()
        local list, close = busy()
        local once = list[i][2]
        local deadline = neap.now() + 2 * helper.slow
        local function forever()
          while neap.now() < deadline do once() end
          return "it was not heard"
        end
        assert.fails("ETIMEDOUT", neap.timeout(0.01, forever))
        local task = neap.spawn(forever)
        neap.sleep(0.005)
        task:cancel()
        assert.fails("ECANCELED", task:join())
        close()
      end)
    end)

    it("lets a timer and a descriptor be heard in time: " .. name, function()
      in_task(function()
        local list, close = busy()
        local once = list[i][2]
        local stop = false
        local task = neap.spawn(function()
          local deadline = neap.now() + 2 * helper.slow
          while not stop and neap.now() < deadline do once() end
        end)
        assert.takes(0.01, 0.5, neap.sleep, 0.01)
        local r, w = probe.pipe()
        os.execute(("(sleep 0.02; echo) >/proc/%d/fd/%d &"):format(probe.getpid(), w))
        assert.takes(0.01, 0.5, function() assert.equal("r", neap.wait(r, "r", 1)) end)
        stop = true
        task:join()
        probe.close(r)
        probe.close(w)
        close()
      end)
    end)
  end

  it("at top level lets others have their turns, too", function()
    local zero = endless()
    local turns, stop = 0, false
    local other = neap.spawn(function()
      while not stop do
        turns = turns + 1
        neap.sleep(0)
      end
    end)
    for _ = 1, 20000 do zero:read(1) end
    stop = true
    other:join()
    assert.is_true(turns > 20, turns .. " turns")
    zero:close()
  end)

  it("loses nothing by giving way: every result arrives", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      local data = {}
      for i = 1, 3000 do data[i] = tostring(i) end
      assert(a:write(table.concat(data, "\n"), "\n"))
      neap.spawn(function() for _ = 1, 50 do neap.sleep(0) end end)
      for i = 1, 3000 do assert.equal(data[i], b:read()) end
    end)
  end)
end)

describe("tasks that are always ready", function()
  it("have about as many turns as each other", function()
    in_task(function()
      local turns, tasks = {}, {}
      for i = 1, 10 do
        turns[i] = 0
        tasks[i] = neap.spawn(function()
          while true do
            turns[i] = turns[i] + 1
            neap.sleep(0)
          end
        end)
      end
      for _ = 1, 100 do neap.sleep(0) end
      for i = 1, 10 do
        assert.is_true(turns[i] >= 99 and turns[i] <= 101, ("task %d: %d turns"):format(i, turns[i]))
      end
      for i = 1, 10 do tasks[i]:cancel():join() end
    end)
  end)

  it("that hand a value back and forth keep nobody from a timer or a descriptor", function()
    in_task(function()
      local ping, pong = neap.channel(), neap.channel()
      local one = neap.spawn(function() while true do ping:send(pong:receive()) end end)
      local two = neap.spawn(function()
        while true do
          pong:send(1)
          ping:receive()
        end
      end)
      assert.takes(0.01, 0.5, neap.sleep, 0.01)
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      local reader = neap.spawn(a.read, a)
      neap.sleep(0.002)
      b:write "x\n"
      assert.takes(0, 0.5, function() assert.equal("x", reader:join()) end)
      one:cancel():join()
      two:cancel():join()
    end)
  end)

  it("that spawn ever more of them do not keep the loop from its timers", function()
    in_task(function()
      local stop, n = false, 0
      local function spawner()
        n = n + 1
        if not stop then neap.spawn(spawner) end
      end
      neap.spawn(spawner)
      local pause <const> = 0.01 * helper.slow
      assert.takes(pause, 0.5, neap.sleep, pause)
      stop = true
      assert.is_true(n > 3)
    end)
  end)

  it("serve a busy client and a quiet one of the same server", function()
    in_task(function()
      local path = helper.tmpname ".sock"
      local server <close> = assert(unix.listen(path))
      neap.spawn(function()
        server:serve(function(conn)
          for line in conn:lines() do assert(conn:write(line, "\n")) end
        end)
      end)
      local stop = false
      local busy_one = neap.spawn(function()
        local conn <close> = assert(unix.connect(path))
        local batch = ("x\n"):rep(1000)
        while not stop do
          assert(conn:write(batch))
          assert(#conn:read(#batch) == #batch)
        end
      end)
      local quiet <close> = assert(unix.connect(path))
      for _ = 1, 10 do
        assert.takes(0, 0.5, function()
          assert(quiet:write "hello\n")
          assert.equal("hello", quiet:read())
        end)
        neap.sleep(0.001)
      end
      stop = true
      busy_one:join()
      server:stop(1)
    end)
  end)
end)
