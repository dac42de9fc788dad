-- After fork: a child may close and may begin anew, and nothing that it does
-- is felt by its parent.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local tcp <const>, unix <const> = require "neap.tcp", require "neap.unix"
local in_task <const> = helper.in_task

-- What a child that runs fn returned; it must have gone well.
local function child(fn, ...)
  local text, code = helper.forked(fn, ...)
  assert.equal(0, code, text)
  return text
end

describe("a child after fork", function()
  it("cannot wait, and is told to call neap.reset()", function()
    local a, b = assert(unix.pair())
    local guard <close> = a
    local held <close> = b
    local calls = {
      sleep = function() neap.sleep(0) end,
      read = function() a:read() end,
      wait = function() neap.wait(b:fileno(), "r") end,
      receive = function() neap.channel():receive() end,
      run = function() neap.run(function() end) end,
      step = function() neap.step() end,
      accept = function()
        local listener <close> = assert(tcp.listen("127.0.0.1", 0))
        listener:accept()
      end,
      resolve = function() assert(neap.resolve "localhost") end,
      timeout = function() neap.timeout(1, neap.sleep, 0) end,
      join = function() neap.spawn(print):join() end,
    }
    for name, call in pairs(calls) do
      assert.matches("neap%.reset", child(function()
        local ok, err = pcall(call)
        assert(not ok)
        return err
      end), name)
    end
    assert(b:write "x\n") -- and the parent goes on
    assert.equal("x", a:read())
  end)

  it("cannot wait within a task either", function()
    in_task(function()
      assert.matches("neap%.reset", child(function()
        local ok, err = pcall(neap.sleep, 0)
        assert(not ok)
        return err
      end))
      neap.sleep(0.001)
    end)
  end)

  it("may do what need not wait", function()
    local a, b = assert(unix.pair())
    local guard <close> = a
    local held <close> = b
    assert(b:write "for the child")
    assert.equal("for the child", child(function()
      local data = assert(a:receive())
      assert(a:write "from the child\n")
      local channel = neap.channel(1)
      channel:send(data)
      return channel:receive()
    end))
    assert.equal("from the child", b:read())
  end)

  it("that closes a stream takes nothing from the parent's poller", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      local c, d = assert(tcp.pair())
      local cleanup <close> = c
      local scope <close> = d
      local reader = neap.spawn(a.read, a, "l")
      local other = neap.spawn(c.read, c, "l")
      neap.sleep(0.001) -- both are in the poller
      assert.equal("closed", child(function()
        local fd = a:fileno()
        for _, s in ipairs { a, b, c, d } do assert(s:close()) end
        assert(not probe.isopen(fd))
        return "closed"
      end))
      assert(b:write "still heard\n")
      assert(d:write "this too\n")
      assert.equal("still heard", neap.timeout(2, reader.join, reader))
      assert.equal("this too", neap.timeout(2, other.join, other))
      reader = neap.spawn(a.read, a, "l") -- nothing was shut down
      neap.sleep(0.005)
      assert.equal("waiting", reader:status())
      assert(b:write "and again\n")
      assert.equal("and again", neap.timeout(2, reader.join, reader))
    end)
  end)

  it("that closes a stream sends nothing of what the parent has in its buffer", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      a:setvbuf "full"
      assert(a:write "the parent's\n")
      child(function() a:close() end)
      assert.fails("ETIMEDOUT", b:settimeout(0.005):read())
      assert(a:flush())
      b:settimeout(nil)
      assert.equal("the parent's", b:read())
      assert.fails("ETIMEDOUT", b:settimeout(0.005):read())
    end)
  end)

  it("that closes a Unix listener leaves its path, and the parent goes on accepting", function()
    in_task(function()
      local path = helper.tmpname ".sock"
      local listener <close> = assert(unix.listen(path))
      local acceptor = neap.spawn(listener.accept, listener)
      neap.sleep(0.001)
      child(function() listener:close() end)
      local client <close> = assert(unix.connect(path))
      local conn <close> = assert(neap.timeout(2, acceptor.join, acceptor))
      assert(client:write "x\n")
      assert.equal("x", conn:read())
    end)
  end)

  it("that collects its garbage or ends with its Lua state is not felt either", function()
    local out, code = helper.script([[
      local neap, probe, unix = require "neap", require "probe", require "neap.unix"
      local path = ...
      neap.run(function()
        local listener = assert(unix.listen(path))
        local a, b = assert(unix.pair())
        a:setvbuf "full"
        a:write "kept\n"
        local reader = neap.spawn(function() return b:read(), b:read() end)
        local accepted = neap.spawn(listener.accept, listener)
        neap.sleep(0.001)
        local pid = probe.fork()
        if pid == 0 then
          listener, a, b = nil, nil, nil
          collectgarbage()
          collectgarbage()
          os.exit(7, true) -- closes the state: unwinds every task in it
        end
        local how, status = probe.waitpid(pid)
        assert(how == "exit" and status == 7, how .. status)
        assert(a:write "more\n")
        assert(a:flush())
        local one, two = neap.timeout(2, reader.join, reader)
        assert(one == "kept" and two == "more", tostring(one))
        local client = assert(unix.connect(path))
        assert(neap.timeout(2, accepted.join, accepted))
        listener:close()
      end)
      print "well"
    ]], helper.tmpname ".sock")
    assert.equal("well\n", out)
    assert.equal(0, code)
  end)

  it("does not run the parent's handlers", function()
    in_task(function()
      local log = {}
      local task = neap.spawn(function()
        local guard <close> = helper.defer(function() log[#log + 1] = "closed" end)
        neap.sleep(10)
      end)
      neap.sleep(0)
      assert.equal("0", child(function()
        neap.reset()
        neap.sleep(0.005)
        collectgarbage()
        collectgarbage()
        return #log
      end))
      task:cancel():join()
      assert.same({ "closed" }, log)
    end)
  end)
end)

describe("neap.reset", function()
  it("is refused to a process that is no child", function()
    assert.raises("child after fork", neap.reset)
    in_task(function() assert.raises("child after fork", neap.reset) end)
  end)

  it("gives the child a fresh loop: no tasks, and everything works", function()
    local other = neap.spawn(neap.sleep, 10)
    neap.step()
    assert.equal("well", child(function()
      assert(#neap.tasks() == 1)
      assert(neap.reset())
      assert(#neap.tasks() == 0)
      assert(not pcall(neap.reset)) -- once
      return neap.run(function()
        neap.sleep(0.001)
        local a, b = assert(tcp.pair())
        neap.spawn(function()
          neap.sleep(0.001)
          assert(b:write "hello\n")
        end)
        assert(a:read() == "hello")
        local _, _, code = neap.timeout(0.001, neap.sleep, 10)
        assert(code == "ETIMEDOUT")
        assert(#assert(neap.resolve("localhost")) > 0)
        a:close()
        b:close()
        return "well"
      end)
    end))
    assert.equal("waiting", other:status())
    other:cancel():join()
  end)

  it("lets the child use what it inherited, beside its parent", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      local reader = neap.spawn(a.read, a, "l") -- the parent waits for the same
      neap.sleep(0.001)
      local r, w = probe.pipe()
      local pid = probe.fork()
      if pid == 0 then
        pcall(function()
          probe.alarm(10 * helper.slow)
          neap.reset()
          local conn = listener:accept()
          conn:write(conn:read(), "\n")
          conn:close()
          probe.write(w, "well")
        end)
        probe.exit(0)
      end
      local client <close> = assert(tcp.connect(listener:getsockname()))
      assert(client:write "echo\n")
      assert.equal("echo", client:read())
      neap.wait(r, "r", 5)
      assert.equal("well", probe.read(r))
      assert.equal("exit", probe.waitpid(pid))
      assert(b:write "the parent's\n")
      assert.equal("the parent's", neap.timeout(2, reader.join, reader))
      probe.close(r)
      probe.close(w)
    end)
  end)

  it("within a task forgets all the others and lets this one go on", function()
    in_task(function()
      local ran = false
      neap.spawn(function()
        neap.sleep(0.01)
        ran = true
      end)
      neap.sleep(0)
      assert.equal("well 1", child(function()
        neap.reset()
        local n = #neap.tasks()
        neap.sleep(0.02)
        assert(not ran)
        assert(neap.spawn(function() return "mine" end):join() == "mine")
        assert(neap.timeout(1, function()
          neap.sleep(0)
          return true
        end))
        return "well " .. n
      end))
      helper.eventually(function() return ran end)
    end)
  end)

  it("makes the tasks of the parent failed ones, for whoever still has them", function()
    in_task(function()
      local task = neap.spawn(neap.sleep, 10)
      neap.sleep(0)
      assert.equal("failed", child(function()
        neap.reset()
        assert(not pcall(task.join, task))
        task:cancel()
        return task:status()
      end))
      task:cancel():join()
    end)
  end)

  it("counts for one generation: a grandchild must call it again", function()
    assert.equal("well", child(function()
      neap.reset()
      neap.sleep(0)
      return child(function()
        local ok, err = pcall(neap.sleep, 0)
        assert(not ok and err:find "reset")
        neap.reset()
        neap.sleep(0.001)
        return "well"
      end)
    end))
  end)

  it("serves a preforking server: children accept from one listener", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local pids = {}
      for i = 1, 2 do
        pids[i] = probe.fork()
        if pids[i] == 0 then
          pcall(function()
            probe.alarm(10 * helper.slow)
            neap.reset()
            for conn in listener:connections() do
              conn:write(tostring(probe.getpid()), "\n")
              conn:close()
            end
          end)
          probe.exit(0)
        end
      end
      local seen = {}
      for _ = 1, 20 do
        local conn <close> = assert(tcp.connect(listener:getsockname()))
        seen[math.tointeger(tonumber(conn:read()))] = true
      end
      for pid in pairs(seen) do assert.is_true(pid == pids[1] or pid == pids[2]) end
      for _, pid in ipairs(pids) do
        probe.kill(pid, probe.SIGKILL)
        assert.equal("signal", probe.waitpid(pid))
      end
    end)
  end)
end)

describe("a process that is started", function()
  it("inherits no descriptor of ours", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local client <close> = assert(tcp.connect(listener:getsockname()))
      local conn <close> = assert(listener:accept())
      local a, b = assert(unix.pair())
      local guard <close> = a
      local held <close> = b
      neap.resolve "localhost"
      local ours = {}
      for _, s in ipairs { listener, client, conn, a, b } do ours[s:fileno()] = true end
      local pipe = io.popen "ls /proc/self/fd"
      for fd in pipe:read "a":gmatch "%d+" do
        assert.is_nil(ours[math.tointeger(tonumber(fd))], "inherited " .. fd)
      end
      pipe:close()
      for fd, target in pairs(helper.fds()) do
        if target:find "socket:" or target:find "eventpoll" or target:find "eventfd" then
          assert.is_true(probe.flags(fd).cloexec, target)
        end
      end
    end)
  end)
end)
