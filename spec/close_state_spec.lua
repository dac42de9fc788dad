-- Lua states that are closed while things live in them, several in one
-- process, and what finalizers may do.
local neap <const> = require "neap"
local probe <const> = require "probe"
local helper <const> = require "support.helper"
local in_task <const> = helper.in_task

-- Runs a chunk, in which LOG(text) appends to a log, in a state of its own
-- that is closed then. Returns the log's lines.
local function logged(chunk)
  local path = helper.tmpname()
  local ok, err = helper.state(([[
    function LOG(...)
      local file = assert(io.open(%q, "a"))
      file:write(table.concat({ ... }, " "), "\n")
      file:close()
    end
    function DEFER(fn) return setmetatable({}, { __close = fn }) end
    neap = require "neap"
    tcp, unix = require "neap.tcp", require "neap.unix"
  ]]):format(path) .. chunk)
  assert.is_true(ok, err)
  local lines = {}
  local file = io.open(path)
  if file then
    for line in file:lines() do lines[#lines + 1] = line end
    file:close()
  end
  return lines
end

describe("a Lua state that is closed", function()
  it("unwinds suspended tasks: their handlers run, from the inside out", function()
    assert.same({ "inner", "outer" }, logged [[
      neap.spawn(function()
        local outer <close> = DEFER(function() LOG "outer" end)
        pcall(function()
          local inner <close> = DEFER(function() LOG "inner" end)
          neap.sleep(1000)
          LOG "not reached"
        end)
        LOG "not reached"
      end)
      neap.sleep(0)
    ]])
  end)

  it("refuses waits in those handlers with an error that says why", function()
    local log = logged [[
      neap.spawn(function()
        local a <close> = DEFER(function() LOG(tostring(select(2, pcall(neap.sleep, 0)))) end)
        local b <close> = DEFER(function() LOG(tostring(select(2, pcall(neap.run, print)))) end)
        local c <close> = DEFER(function() error "in a handler" end)
        neap.channel():receive()
      end)
      neap.sleep(0)
    ]]
    assert.equal(2, #log)
    for _, line in ipairs(log) do assert.matches("closed", line) end
  end)

  it("does not run what never began, nor what is ready", function()
    assert.same({ "handler" }, logged [[
      local event = neap.event()
      neap.spawn(function()
        local guard <close> = DEFER(function() LOG "handler" end)
        event:wait()
        LOG "was ready"
      end)
      neap.step()
      neap.spawn(function() LOG "never began" end)
      event:set()
    ]])
  end)

  it("unwinds tasks that wait in groups, timeouts, generators, joins and each other's handlers", function()
    local log = logged [[
      local task
      neap.spawn(function()
        local guard <close> = DEFER(function() LOG "group" end)
        local group <close> = neap.group()
        group:spawn(function()
          local guard <close> = DEFER(function() LOG "member" end)
          neap.timeout(100, function()
            local guard <close> = DEFER(function() LOG "scope" end)
            neap.coroutine.wrap(function()
              local guard <close> = DEFER(function() LOG "generator" end)
              neap.sleep(100)
            end)()
          end)
        end)
      end)
      task = neap.spawn(function()
        local guard <close> = DEFER(function() LOG "joiner" end)
        neap.spawn(neap.sleep, 100):join()
      end)
      neap.spawn(function()
        local guard <close> = DEFER(function() LOG "run" end)
        neap.run(neap.sleep, 100)
      end)
      neap.sleep(0.001)
    ]]
    local seen = {}
    for _, line in ipairs(log) do seen[line] = (seen[line] or 0) + 1 end
    assert.equal(1, seen.group)
    assert.equal(1, seen.member)
    assert.equal(1, seen.scope)
    assert.equal(1, seen.joiner)
    assert.equal(1, seen.run)
  end)

  it("closes every descriptor: streams, listeners, the loop's own", function()
    local before = helper.count_fds()
    for _ = 1, 5 do
      logged [[
        local all = {}
        local listener = assert(tcp.listen("127.0.0.1", 0))
        all[1] = listener
        neap.run(function()
          for i = 2, 20, 2 do all[i], all[i + 1] = assert(unix.pair()) end
          all[22] = assert(tcp.connect(listener:getsockname()))
          all[23] = assert(listener:accept())
        end)
        for i = 2, 20, 3 do neap.spawn(all[i].read, all[i]) end
        neap.spawn(listener.accept, listener)
        neap.spawn(neap.wait, all[23]:fileno(), "w")
        neap.spawn(all[22].write, all[22], ("x"):rep(1e7))
        neap.sleep(0.002)
      ]]
    end
    assert.equal(before, helper.count_fds())
  end)

  it("unlinks the path of a Unix listener", function()
    local path = helper.tmpname ".sock"
    logged(("LISTENER = assert(unix.listen(%q)) LOG(tostring(io.open(%q)))"):format(path, path))
    local ls = io.popen(("ls %s 2>/dev/null"):format(helper.quote(path)))
    assert.equal("", ls:read "a")
    ls:close()
  end)

  it("may have lookups on their way", function()
    local before = helper.count_fds()
    for i = 1, 20 do
      logged(([[
        for i = 1, 12 do neap.spawn(neap.resolve, "localhost") end
        neap.spawn(function()
          neap.timeout(0.0001, neap.resolve, "localhost")
          neap.spawn(neap.resolve, "localhost"):cancel()
        end)
        for _ = 1, %d do neap.step() end
      ]]):format(i % 4))
    end
    helper.eventually(function() return helper.count_fds() <= before end)
  end)

  it("does not wait for lookups that the system works on", function()
    -- Whether this name takes long depends on the machine; it must not matter.
    assert.takes(0, 2, function()
      local out, code = helper.script [[
        local neap = require "neap"
        for i = 1, 20 do neap.spawn(neap.resolve, ("no-such-host-%d.invalid"):format(i)) end
        neap.step()
        print "well"
      ]]
      assert.equal("well\n", out)
      assert.equal(0, code)
    end)
  end)

  it("gives its signals back", function()
    assert.equal("default", probe.signal(probe.SIGUSR1))
    logged [[
      WATCHER = neap.signal "USR1"
      neap.spawn(function() WATCHER:wait() end)
      neap.sleep(0)
    ]]
    assert.equal("default", probe.signal(probe.SIGUSR1))
    local guard <close> = neap.signal "USR1" -- and it can be had again
    assert.equal("other", probe.signal(probe.SIGUSR1))
  end)

  it("may be ended by os.exit in a task", function()
    local out, code = helper.script [[
      local neap = require "neap"
      local unix = require "neap.unix"
      neap.run(function()
        local a, b = unix.pair()
        neap.spawn(a.read, a)
        neap.spawn(function()
          local guard <close> = setmetatable({}, { __close = function() print "unwound" end })
          neap.sleep(100)
        end)
        neap.coroutine.wrap(function()
          neap.sleep(0)
          os.exit(7, true)
        end)()
      end)
    ]]
    assert.equal("unwound\n", out)
    assert.equal(7, code)
  end)

  it("may be closed by an error of the script", function()
    local out, code = helper.script [[
      local neap = require "neap"
      neap.spawn(function()
        local guard <close> = setmetatable({}, { __close = function() print "unwound" end })
        neap.sleep(100)
      end)
      neap.sleep(0)
      error "of the script"
    ]]
    assert.matches("of the script", out)
    assert.matches("unwound", out)
    assert.equal(1, code)
  end)

  it("may have finalizers that still use neap, before and after its own", function()
    local out, code = helper.script [[
      local things = {}
      -- made before neap: finalized after it
      EARLY = setmetatable({}, { __gc = function() things.try "early" end })
      local neap = require "neap"
      local tcp, unix = require "neap.tcp", require "neap.unix"
      local a, b = assert(unix.pair())
      local listener = assert(tcp.listen("127.0.0.1", 0))
      local channel, event, semaphore = neap.channel(), neap.event(), neap.semaphore(1)
      local group = neap.group()
      local task = neap.spawn(neap.sleep, 100)
      local watcher = neap.signal "USR2"
      local generator = neap.coroutine.wrap(function() neap.sleep(1) end)
      neap.sleep(0)
      function things.try(when)
        local calls = {
          function() a:read(1) end, function() a:write "x" end, function() a:close() end,
          function() a:fileno() end, function() a:getpeername() end, function() b:receive() end,
          function() b:shutdown "w" end, function() b:settimeout(1) end, function() b:close() end,
          function() listener:accept() end, function() listener:close() end,
          function() neap.sleep(0) end, function() neap.run(print) end, function() neap.step() end,
          function() neap.spawn(print) end, function() neap.spawn(print):cancel() end,
          function() task:join() end, function() task:cancel() end, function() task:status() end,
          function() group:spawn(print) end, function() group:close() end, function() group:cancel() end,
          function() channel:receive(1) end, function() channel:send(1, 1) end,
          function() event:set() end, function() event:wait() end,
          function() semaphore:acquire() end, function() semaphore:with(print) end,
          function() neap.wait(0, "r", 1) end, function() neap.stream(0) end,
          function() unix.pair() end, function() tcp.connect("127.0.0.1", 1) end,
          function() tcp.listen("127.0.0.1", 0) end, function() neap.resolve "localhost" end,
          function() neap.timeout(1, neap.sleep, 0) end, function() neap.tasks() end,
          function() neap.running() end, function() neap.pollfd() end, function() neap.next_deadline() end,
          function() watcher:wait(1) end, function() watcher:close() end,
          function() neap.signal "USR2" end, function() neap.interfaces() end,
          function() generator() end, function() neap.group() end,
          function() neap.coroutine.wrap(neap.sleep)(1) end,
        }
        for _, call in ipairs(calls) do pcall(call) end
        io.stderr:write(when, "\n")
      end
      LATE = setmetatable({}, { __gc = function() things.try "late" end })
    ]]
    assert.equal("late\nearly\n", (out:gsub("[^\n]*neap: [^\n]*\n", "")))
    assert.equal(0, code)
  end)

  it("refuses to make anything after neap is finalized: nothing would ever end it", function()
    local out, code = helper.script [[
      local calls = {}
      EARLY = setmetatable({}, { __gc = function()
        for name, call in pairs(calls) do
          local ok, err = pcall(call)
          if ok or not tostring(err):find "being closed" then
            io.stderr:write(name, ": ", tostring(err), "\n")
          end
        end
        io.stderr:write "over\n"
      end })
      local neap = require "neap"
      local tcp, unix = require "neap.tcp", require "neap.unix"
      local socket = require "neap.socket"
      calls.spawn = function() neap.spawn(print) end
      calls.step = function() neap.step() end
      calls.sleep = function() neap.sleep(0) end
      calls.run = function() neap.run(print) end
      calls.signal = function() neap.signal "USR2" end
      calls.pair = function() unix.pair() end
      calls.listen = function() tcp.listen("127.0.0.1", 0) end
      calls.connect = function() tcp.connect("127.0.0.1", 1) end
      calls.resolve = function() neap.resolve "localhost" end
      calls.stream = function() neap.stream(2) end
      calls.socket = function() socket.socket(socket.AF_INET, socket.SOCK_STREAM) end
    ]]
    assert.equal("over\n", out)
    assert.equal(0, code)
  end)

  it("can be opened and closed a hundred times", function()
    local before = helper.count_fds()
    for _ = 1, 100 do
      assert.same({ true, "well" }, { helper.state [[
        local neap = require "neap"
        neap.spawn(neap.sleep, 10)
        return neap.run(function()
          neap.sleep(0)
          return "well"
        end)
      ]] })
    end
    assert.equal(before, helper.count_fds())
  end)

  it("is freed when neap could not be loaded", function()
    local before = helper.count_fds()
    local ok, err = helper.state [[
      package.preload["neap.coroutine"] = function() error "not today" end
      require "neap"
    ]]
    assert.is_false(ok)
    assert.matches("not today", err)
    assert.equal(before, helper.count_fds())
  end)
end)

describe("several Lua states", function()
  it("do not meet: one runs within a task of another", function()
    in_task(function()
      local other = neap.spawn(neap.sleep, 10)
      neap.sleep(0)
      assert.same({ true, "1 true" }, { helper.state [[
        local neap = require "neap"
        return neap.run(function()
          neap.sleep(0.001)
          return #neap.tasks() .. " " .. tostring(neap.running() ~= nil)
        end)
      ]] })
      assert.equal("waiting", other:status())
      other:cancel():join()
    end)
  end)

  it("run in parallel on threads, each with its own loop", function()
    local results = helper.threads(8, [[
      local neap = require "neap"
      local tcp = require "neap.tcp"
      local sum = 0
      neap.run(function()
        local listener <close> = assert(tcp.listen("127.0.0.1", 0))
        neap.spawn(function()
          listener:serve(function(conn)
            for line in conn:lines() do assert(conn:write(line, "\n")) end
          end)
        end)
        do
          local group <close> = neap.group()
          for i = 1, 10 do
            group:spawn(function()
              local conn <close> = assert(tcp.connect("localhost", select(2, listener:getsockname())))
              for j = 1, 20 do
                assert(conn:write(i * j, "\n"))
                local n = tonumber(assert(conn:read()))
                sum = sum + n
              end
            end)
          end
        end
        listener:stop(1)
      end)
      return math.tointeger(sum)
    ]])
    assert.equal(8, #results)
    for _, result in ipairs(results) do assert.same({ true, "11550" }, result) end
  end)

  it("cannot have the same signal at once", function()
    local guard <close> = neap.signal "USR1"
    local ok, err = helper.state [[require "neap".signal "USR1"]]
    assert.is_false(ok)
    assert.matches("USR1", err)
  end)

  it("close on threads while lookups of each are on their way", function()
    for _ = 1, 5 do
      for _, result in ipairs(helper.threads(8, [[
        local neap = require "neap"
        for i = 1, 10 do neap.spawn(neap.resolve, "localhost") end
        neap.sleep(0)
        return "well"
      ]])) do assert.same({ true, "well" }, result) end
    end
  end)
end)
