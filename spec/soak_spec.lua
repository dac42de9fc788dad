--- Many connections: what they took comes back. Measured in processes of their
-- own, where nothing else moves the memory.
local helper <const> = require "support.helper"
local probe <const> = require "probe"

local prelude <const> = [[
local neap, tcp, probe = require "neap", require "neap.tcp", require "probe"
local count, mode = math.tointeger(arg[1]), arg[2]

-- Descriptors, Lua's memory after a full collection, and all memory.
local function measure()
  collectgarbage()
  collectgarbage()
  local fds = 0
  for fd = 0, 20000 do if probe.isopen(fd) then fds = fds + 1 end end
  local file <close> = assert(io.open "/proc/self/statm")
  local _, pages = file:read("n", "n")
  return { fds = fds, lua = collectgarbage "count" * 1024, all = pages * 4096 }
end

local function compare(what, before, after, most)
  if after[what] - before[what] > most then
    error(("%s went from %.0f to %.0f"):format(what, before[what], after[what]))
  end
end

local function eventually(cond)
  for _ = 1, 5000 do
    if cond() then return end
    neap.sleep(0.002)
  end
  error("this did not become true in time", 2)
end

-- An address of our own, so that ports which rest in TIME_WAIT after a run
-- are not missed in the next.
local address = ("127.%d.%d.%d"):format(math.random(1, 254), math.random(0, 255), math.random(1, 254))
local listener = assert(tcp.listen(address, 0))
local _, port = listener:getsockname()
]]

local churn <const> = [[
local TASKS <const> = 50
neap.run(function()
  neap.spawn(function()
    listener:serve(function(conn)
      for line in conn:lines() do assert(conn:write(line, "\n")) end
    end)
  end)
  local used = 0
  local function use(n)
    local group <close> = neap.group()
    for _ = 1, TASKS do
      group:spawn(function()
        for i = 1, n // TASKS do
          local conn <close> = assert(tcp.connect(address, port, { timeout = 5 }))
          assert(conn:write("number ", i, "\n"))
          assert(conn:read() == "number " .. i)
          used = used + 1
        end
      end)
    end
    group:wait()
    eventually(function() return #neap.tasks() <= 2 end) -- the handlers, too
  end
  use(count // 10) -- what is allocated once
  local before = measure()
  use(count - count // 10)
  local after = measure()
  assert(used == count)
  compare("fds", before, after, 0)
  compare("lua", before, after, 64 * 1024)
  if mode == "exact" then compare("all", before, after, 1024 * 1024) end
  assert(listener:stop())
end)
print "done"
]]

local idle <const> = [[
-- The other ends are in a process of their own: its descriptors, too.
local pid = probe.fork()
if pid == 0 then
  neap.reset()
  local conns = {}
  local ok, why = pcall(neap.run, function()
    do
      local group <close> = neap.group()
      for first = 1, 50 do
        group:spawn(function()
          for i = first, count, 50 do conns[i] = assert(tcp.connect(address, port)) end
        end)
      end
    end
    assert(conns[1]:write "all there\n")
    for i = 1, count do assert(conns[i]:read(4) == "wake") end
  end)
  if not ok then io.stderr:write(tostring(why)) end
  probe.exit(ok and 0 or 1)
end
neap.run(function()
  local before = measure()
  local now, ended, conns, there = 0, 0, {}, neap.event()
  neap.spawn(function()
    listener:serve(function(conn)
      now = now + 1
      conns[now] = conn
      if conn:read() == "all there" then
        there:set()
        conn:read()
      end
      ended = ended + 1
    end)
  end)
  there:wait()
  eventually(function() return now == count end)
  local during = measure()
  assert(during.fds >= before.fds + count)
  if mode == "exact" then compare("all", before, during, count * 2048) end
  for i = count, 1, -1 do assert(table.remove(conns, i):write "wake") end
  eventually(function() return ended == count end)
  neap.sleep(0.01)
  local after = measure()
  compare("fds", before, after, 8) -- the poller's
  compare("lua", before, after, 1024 * 1024) -- of more than ten: tables keep their size
  assert(listener:stop())
end)
local how, code = probe.waitpid(pid)
print(how, code)
]]

-- A sanitizer or a collector that never rests shows nothing new by numbers.
local function soak(script, count)
  local mode = helper.slow == 1 and "exact" or "slow"
  return (helper.script(prelude .. script, count // helper.slow, mode))
end

describe("twenty thousand connections", function()
  it("opened, used and closed give back descriptors and memory", function()
    assert.equal("done\n", soak(churn, 20000))
  end)
end)

describe("ten thousand idle connections", function()
  it("wait at once, take little memory, are all woken, and give back what they took", function()
    local count <const> = 10000
    helper.need(probe.nofile() >= count + 200, ("`ulimit -n` allows only %d descriptors"):format(probe.nofile()))
    assert.equal("exit\t0\n", soak(idle, count))
  end)
end)
