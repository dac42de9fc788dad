-- neap inside a loop that is not its own: pollfd, step, next_deadline.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local unix <const> = require "neap.unix"
local in_task <const> = helper.in_task

-- A foreign loop: sleeps in poll(2) alone, steps when told to. Returns how
-- often it stepped.
local function foreign_loop(done, fd)
  local steps = 0
  local deadline = neap.now() + 10 * helper.slow
  while not done() do
    assert(neap.now() < deadline, "the foreign loop found no end")
    local due = neap.next_deadline()
    if due ~= 0 then probe.poll(fd, "r", math.min(due or 1, 1)) end
    neap.step()
    steps = steps + 1
  end
  return steps
end

describe("step", function()
  it("runs what is ready, and says whether tasks live", function()
    assert.is_false(neap.step())
    local log = {}
    local task = neap.spawn(function()
      log[1] = "begun"
      neap.sleep(0)
      log[2] = "ended"
    end)
    assert.is_true(neap.step())
    assert.same({ "begun" }, log)
    assert.is_false(neap.step())
    assert.same({ "begun", "ended" }, log)
    assert.equal("done", task:status())
  end)

  it("does not wait, unless told for how long", function()
    local task = neap.spawn(neap.sleep, 0.2)
    assert.takes(0, 0.15 / helper.slow, function()
      for _ = 1, 3 do assert.is_true(neap.step()) end
      assert.is_true(neap.step(0))
    end)
    assert.takes(0.05, 0.5, function()
      while neap.step(1) do end
    end)
    assert.equal("done", task:status())
    assert.takes(0.01, 0.3, neap.step, 0.01) -- it sleeps though there is no task
  end)

  it("runs each ready task once, so that a busy one keeps no host from its work", function()
    local turns = 0
    local task = neap.spawn(function()
      while true do
        turns = turns + 1
        neap.sleep(0)
      end
    end)
    for i = 1, 5 do
      neap.step(10) -- does not sleep: someone is ready
      assert.equal(i, turns)
    end
    task:cancel():join()
  end)

  it("polls each time, though tasks are always ready", function()
    local r, w = probe.pipe()
    local busy = neap.spawn(function() while true do neap.sleep(0) end end)
    local waiting = neap.spawn(neap.wait, r, "r")
    neap.step()
    probe.write(w, "x")
    for _ = 1, 3 do neap.step() end
    assert.equal("done", waiting:status())
    busy:cancel():join()
    probe.close(r)
    probe.close(w)
  end)

  it("refuses what is no time", function()
    for _, seconds in ipairs { -1, 0 / 0, "soon", {} } do
      assert.raises("bad argument #1", neap.step, seconds)
    end
  end)

  it("raises inside of a task, and does no harm", function()
    in_task(function()
      assert.raises("step drives the loop", neap.step)
      local generator = coroutine.wrap(function() return neap.step() end)
      assert.raises("step drives the loop", generator)
      neap.sleep(0.001)
    end)
  end)

  it("raises in what is called while the loop is driven", function()
    helper.reports()
    local refused
    neap.onerror = function() refused = { pcall(neap.step) } end
    neap.spawn(error, "x")
    neap.sleep(0.002)
    assert.is_false(refused[1])
    assert.matches("drives the loop", refused[2])
  end)

  it("is not stopped by an error of a task", function()
    local reports = helper.reports()
    neap.spawn(error, "one", 0)
    neap.spawn(error, "two", 0)
    local fine = neap.spawn(function() return "fine" end)
    neap.step()
    assert.equal(2, #reports)
    assert.equal("fine", fine:join())
  end)
end)

describe("next_deadline", function()
  it("is nil if there is none, 0 if a task is ready, else the seconds until then", function()
    in_task(function() end)
    neap.step() -- whatever an earlier test left behind
    assert.is_nil(neap.next_deadline())
    local sleeper = neap.spawn(neap.sleep, 30)
    assert.equal(0, neap.next_deadline())
    neap.step()
    local due = neap.next_deadline()
    assert.is_true(due > 29 and due <= 30, tostring(due))
    local nearer = neap.spawn(neap.sleep, 0.01)
    neap.step()
    assert.is_true(neap.next_deadline() <= 0.01)
    probe.sleep(0.02)
    assert.equal(0, neap.next_deadline())
    neap.step()
    assert.equal("done", nearer:status())
    sleeper:cancel()
    assert.equal(0, neap.next_deadline())
    neap.step()
    assert.equal("cancelled", sleeper:status())
    assert.is_nil(neap.next_deadline())
  end)

  it("counts the timeouts of calls, scopes and grace", function()
    for _, fn in ipairs {
      function() neap.channel():receive(0.5) end,
      function() neap.timeout(0.5, function() neap.channel():receive() end) end,
    } do
      local task = neap.spawn(fn)
      neap.step()
      local due = neap.next_deadline()
      assert.is_true(due and due <= 0.5 and due > 0.3)
      task:cancel()
      while neap.step() do end
    end
    local task = neap.spawn(function()
      local guard <close> = helper.defer(function() neap.sleep(100) end)
      neap.channel():receive()
    end)
    neap.step()
    task:cancel(0.5)
    neap.step()
    local due = neap.next_deadline()
    assert.is_true(due and due <= 0.5 and due > 0.3)
    neap.timeout(5, task.join, task)
  end)

  it("is nil while tasks wait for descriptors alone", function()
    local r, w = probe.pipe()
    local task = neap.spawn(neap.wait, r, "r")
    neap.step()
    assert.is_nil(neap.next_deadline())
    probe.write(w, "x")
    while neap.step(1) do end
    assert.equal("r", task:join())
    probe.close(r)
    probe.close(w)
  end)
end)

describe("pollfd", function()
  it("is one descriptor, always the same, close-on-exec; or fails with ENOTSUP", function()
    if neap.poller() == "poll" then
      assert.fails("ENOTSUP", neap.pollfd())
      return
    end
    local fd = neap.pollfd()
    assert.equal("integer", math.type(fd))
    assert.equal(fd, neap.pollfd())
    assert.is_true(probe.flags(fd).cloexec)
    in_task(function() assert.equal(fd, neap.pollfd()) end)
  end)

  it("is readable exactly when step has something to do with a descriptor", function()
    helper.need_pollfd()
    local fd = neap.pollfd()
    local r, w = probe.pipe()
    local task = neap.spawn(neap.wait, r, "r")
    neap.step()
    assert.is_false(probe.poll(fd, "r", 0))
    probe.write(w, "x")
    assert.is_true(probe.poll(fd, "r", 1))
    neap.step()
    assert.equal("done", task:status())
    assert.is_false(probe.poll(fd, "r", 0)) -- nobody waits: it does not spin the host
    probe.close(r)
    probe.close(w)
  end)

  it("does not spin the host when data waits for nobody", function()
    helper.need_pollfd()
    local a, b = assert(unix.pair())
    a:settimeout(0.001)
    assert.fails("ETIMEDOUT", a:read())
    assert(b:write "x\n")
    for _ = 1, 3 do neap.step() end
    assert.is_false(probe.poll(neap.pollfd(), "r", 0))
    assert.equal("x", a:read())
    a:close()
    b:close()
  end)
end)

describe("a foreign loop with poll(2)", function()
  it("runs an echo server and its clients, without a busy step", function()
    helper.need_pollfd()
    local done, echoed = false, {}
    neap.spawn(function()
      local path = helper.tmpname ".sock"
      local server <close> = assert(unix.listen(path))
      neap.spawn(function()
        server:serve(function(conn)
          for line in conn:lines() do
            neap.sleep(0.001)
            assert(conn:write(line, "\n"))
          end
        end)
      end)
      local group <close> = neap.group()
      for i = 1, 5 do
        group:spawn(function()
          local conn <close> = assert(unix.connect(path))
          for j = 1, 3 do
            assert(conn:write(("%d-%d\n"):format(i, j)))
            local line = assert(conn:read())
            echoed[#echoed + 1] = line
          end
        end)
      end
      group:wait()
      server:stop(1)
      done = true
    end)
    local steps = foreign_loop(function() return done end, neap.pollfd())
    while neap.step(0.01) do end
    assert.equal(15, #echoed)
    assert.is_true(steps < 500, "it stepped " .. steps .. " times")
  end)

  it("sleeps until a timer is due, and no longer", function()
    helper.need_pollfd()
    local woken = 0
    for i = 1, 5 do
      neap.spawn(function()
        neap.sleep(i * 0.004)
        woken = woken + 1
      end)
    end
    local steps
    assert.takes(0.019, 0.2, function()
      steps = foreign_loop(function() return woken == 5 end, neap.pollfd())
    end)
    assert.is_true(steps < 30, "it stepped " .. steps .. " times")
  end)

  it("hears of a name that was looked up by a thread", function()
    helper.need_pollfd()
    local list
    neap.spawn(function() list = assert(neap.resolve "localhost") end)
    foreign_loop(function() return list end, neap.pollfd())
    assert.is_true(#list > 0)
  end)
end)

describe("driving the loop", function()
  it("never nests: a wait in a task within run within step is the task's", function()
    local depth, most = 0, 0
    local function nested(n)
      depth = depth + 1
      most = math.max(most, depth)
      if n > 0 then neap.run(nested, n - 1) end
      neap.sleep(0.001)
      depth = depth - 1
    end
    neap.spawn(nested, 5)
    while neap.step(0.1) do end
    assert.equal(6, most)
    assert.equal(0, depth)
  end)

  it("is refused to run while it is driven from outside", function()
    local refused
    helper.reports()
    neap.onerror = function() refused = { pcall(neap.run, print) } end
    neap.spawn(error, "x")
    neap.step()
    assert.is_false(refused[1])
    assert.is_string(refused[2])
    while neap.step(0.01) do end
    assert.same({}, neap.tasks())
  end)

  it("ends with the top level's wait: others go on at the next one", function()
    local log = {}
    local other = neap.spawn(function()
      for i = 1, 3 do
        neap.sleep(0.004)
        log[#log + 1] = i
      end
    end)
    neap.sleep(0.006)
    local seen = #log
    probe.sleep(0.02)
    assert.equal(seen, #log) -- nothing runs behind one's back
    other:join()
    assert.same({ 1, 2, 3 }, log)
  end)

  it("goes on after an error at top level", function()
    assert.raises("deadlock", function() neap.channel():receive() end)
    assert.equal("x", neap.run(function()
      neap.sleep(0.001)
      return "x"
    end))
  end)
end)

describe("neap.poller", function()
  it("is the one that NEAP_POLLER names, or the system's best", function()
    local wanted = os.getenv "NEAP_POLLER"
    if wanted then assert.equal(wanted, neap.poller()) end
    local script = [[print(require "neap".poller())]]
    for _, name in ipairs { "poll", "epoll" } do
      local path = helper.tmpname()
      local file = assert(io.open(path, "w"))
      file:write(script)
      file:close()
      local pipe = io.popen(("NEAP_POLLER=%s LUA_PATH=%s LUA_CPATH=%s %s %s 2>&1"):format(name,
        helper.quote(package.path), helper.quote(package.cpath), helper.quote(helper.lua), path))
      assert.equal(name .. "\n", pipe:read "a")
      pipe:close()
    end
  end)

  it("that is unknown is an error at require that names the choices", function()
    local pipe = io.popen(("NEAP_POLLER=kqueue LUA_PATH=%s LUA_CPATH=%s %s -e 'require \"neap\"' 2>&1"):format(
      helper.quote(package.path), helper.quote(package.cpath), helper.quote(helper.lua)))
    local out = pipe:read "a"
    assert.is_nil((pipe:close()))
    assert.matches("NEAP_POLLER", out)
    assert.matches("epoll, poll", out)
  end)
end)
