--- Interrupted calls, and what others end while something still waits on it.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"
local in_task <const> = helper.in_task

-- A stream whose peer reads nothing, with more buffered than it can send.
local function clogged()
  local a, b = assert(unix.pair())
  a:setvbuf("full", 1 << 20)
  a:settimeout(0)
  repeat a:write(("x"):rep(100000)) until not a:flush()
  a:write "more"
  a:settimeout(nil)
  return a, b
end

-- A listener whose queue is full: connecting to it takes for ever.
local function full_listener()
  local listener = assert(tcp.listen("127.0.0.1", 0, { backlog = 1 }))
  local ip, port = listener:getsockname()
  local inside = {}
  for i = 1, 4 do inside[i] = tcp.connect(ip, port, { timeout = 0.1 }) or nil end
  return ip, port, helper.defer(function()
    for _, conn in pairs(inside) do conn:close() end
    listener:close()
  end)
end

describe("an interrupted call that holds a descriptor", function()
  it("is left by an expired timeout: connect", function()
    in_task(function()
      local ip, port, full = full_listener()
      local guard <close> = full
      local went_on = false
      assert.fails("ETIMEDOUT", neap.timeout(0.1, function()
        tcp.connect(ip, port)
        went_on = true
      end))
      assert.is_false(went_on)
    end)
  end)

  it("is left by a cancellation: connect", function()
    in_task(function()
      local ip, port, full = full_listener()
      local guard <close> = full
      local task = neap.spawn(function() return tcp.connect(ip, port) end)
      neap.sleep(0.02)
      assert.fails("ECANCELED", task:cancel():join())
      assert.equal("cancelled", task:status())
    end)
  end)

  it("is left by a cancellation, and closed: close, which flushes", function()
    in_task(function()
      local a, b = clogged()
      local held <close> = b
      local task = neap.spawn(function() return a:close() end)
      neap.sleep(0.02)
      assert.fails("ECANCELED", task:cancel():join())
      assert.equal("cancelled", task:status())
      assert.is_false(a:isopen())
    end)
  end)
end)

describe("a stream that two tasks close", function()
  it("is closed once, when all was sent", function()
    in_task(function()
      local a, b = clogged()
      local held <close> = b
      local _, before = a:counters()
      local unsent = 4
      local one = neap.spawn(a.close, a)
      local two = neap.spawn(a.close, a)
      neap.sleep(0.02)
      assert.is_true(a:isopen())
      local bytes = #b:read "a"
      assert.is_true(one:join())
      assert.is_true(two:join())
      assert.is_true(bytes >= before + unsent)
    end)
  end)
end)

describe("what a generator waited on, and was collected after the generator was closed", function()
  local function abandoned(wait)
    in_task(function()
      local generator
      local task = neap.spawn(function()
        generator = neap.coroutine.create(wait)
        neap.coroutine.resume(generator)
        neap.sleep(0.001)
        return "went on"
      end)
      neap.sleep(0.01)
      coroutine.close(generator)
      generator = nil
      collectgarbage()
      collectgarbage()
      neap.sleep(0.01)
      if task:status() == "waiting" then task:cancel() end
      task:join()
      for _, other in ipairs(neap.tasks()) do
        if other.waits_for == "sleep" and other.status == "waiting" then other.task:cancel() end
      end
      neap.sleep(0)
    end)
  end

  it("is forgotten: a stream", function()
    abandoned(function()
      local a, b = assert(unix.pair())
      a:read(b and "l")
    end)
  end)

  it("is forgotten: a listener", function()
    abandoned(function() assert(tcp.listen("127.0.0.1", 0)):accept() end)
  end)

  it("is forgotten: a group", function()
    abandoned(function()
      local group = neap.group()
      group:spawn(neap.sleep, 1000)
      group:wait()
    end)
  end)
end)

describe("sendfile", function()
  it("sends the file that it was given, though another task closes it meanwhile", function()
    in_task(function()
      local path = helper.tmpname()
      local out <close> = assert(io.open(path, "wb"))
      local text = ("the right one\n"):rep(100000)
      out:write(text)
      out:close()
      local a, b = assert(unix.pair())
      local held <close> = a
      local guard <close> = b
      local file = assert(io.open(path, "rb"))
      local task = neap.spawn(a.sendfile, a, file)
      neap.sleep(0.01)
      file:close()
      local wrong <close> = assert(io.open("/dev/zero", "rb")) -- it gets the number
      assert.equal(text, b:read(#text))
      assert.equal(#text, task:join())
    end)
  end)

  it("does not wait for the writer of a FIFO", function()
    in_task(function()
      local path = helper.tmpname()
      os.execute("mkfifo " .. path)
      local a, b = assert(unix.pair())
      local held <close> = a
      local guard <close> = b
      assert.fails("EINVAL", a:sendfile(path))
    end)
  end)
end)

describe("the end of a group whose owner has no grace left", function()
  it("waits for the members, and the others go on meanwhile", function()
    in_task(function()
      local ticks, ended = 0, false
      local ticker = neap.spawn({ daemon = true }, function()
        while true do
          neap.sleep(0.005)
          ticks = ticks + 1
        end
      end)
      local task = neap.spawn(function()
        local group <close> = neap.group()
        group:spawn(function()
          local held <close> = helper.defer(function()
            neap.sleep(0.05)
            ended = true
          end)
          neap.sleep(1000)
        end)
        neap.sleep(1000)
      end)
      neap.sleep(0.01)
      assert.fails("ECANCELED", task:cancel(0):join())
      assert.is_true(ended)
      assert.is_true(ticks > 3)
      ticker:cancel():join()
    end)
  end)
end)

describe("a generator that waits for one task and is resumed by another", function()
  it("fails in the first, and nothing is taken for what it is not", function()
    in_task(function()
      local a, b = assert(unix.pair())
      local guard <close> = b
      local refused, line
      local generator = neap.coroutine.create(function()
        local held <close> = a
        refused = table.pack(pcall(neap.sleep, 0.03))
        line = a:read()
      end)
      local first = neap.spawn(neap.coroutine.resume, generator)
      neap.sleep(0.005)
      local second = neap.spawn(neap.coroutine.resume, generator)
      neap.sleep(0.06)
      b:write "x\n"
      local resumed, why = first:join()
      assert.is_false(resumed)
      assert.matches("from outside", why)
      second:join()
      assert.is_false(refused[1])
      assert.is_nil(line)
      a:close()
    end)
  end)
end)
