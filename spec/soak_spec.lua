--- Many connections: what they took comes back.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local probe <const> = require "probe"

-- Memory of this process in bytes: Lua's, after a full collection, and all.
local function memory()
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open "/proc/self/statm")
  local _, pages = file:read("n", "n")
  return collectgarbage "count" * 1024, pages * 4096
end

-- An address of our own, so that ports which rest in TIME_WAIT after a run
-- are not missed in the next.
local function own_address()
  return ("127.%d.%d.%d"):format(math.random(1, 254), math.random(0, 255), math.random(1, 254))
end

-- Not in_task, whose deadline is for small things.
local function within(seconds, fn)
  local ok, why = neap.run(function()
    return neap.timeout(seconds * helper.slow, function()
      fn()
      return true
    end)
  end)
  if not ok then error(why, 0) end
end

describe("twenty thousand connections", function()
  it("opened, used and closed give back descriptors and memory", function()
    local COUNT <const>, TASKS <const> = 20000 // helper.slow, 50
    within(20, function()
      local listener <close> = assert(tcp.listen(own_address(), 0))
      local ip, port = listener:getsockname()
      neap.spawn(function()
        listener:serve(function(conn)
          for line in conn:lines() do assert(conn:write(line, "\n")) end
        end)
      end)

      local used = 0
      local function use(count)
        local group <close> = neap.group()
        for _ = 1, TASKS do
          group:spawn(function()
            for i = 1, count // TASKS do
              local conn <close> = assert(tcp.connect(ip, port, { timeout = 5 }))
              assert(conn:write("number ", i, "\n"))
              assert.equal("number " .. i, conn:read())
              used = used + 1
            end
          end)
        end
        group:wait()
        helper.eventually(function() return #neap.tasks() <= 4 end) -- the handlers, too
      end

      use(COUNT // 10) -- what is allocated once
      local lua_before, all_before = memory()
      local fds_before = helper.count_fds()
      use(COUNT - COUNT // 10)
      assert.equal(COUNT, used)
      assert.equal(fds_before, helper.count_fds())
      local lua_after, all_after = memory()
      assert.is_true(lua_after - lua_before < 128 * 1024, ("Lua grew by %d"):format(lua_after - lua_before))
      if helper.slow == 1 then -- a sanitizer keeps what was freed
        assert.is_true(all_after - all_before < 2 * 1024 * 1024, ("grew by %d"):format(all_after - all_before))
      end
      assert.is_true(listener:stop())
    end)
  end)
end)

describe("ten thousand idle connections", function()
  it("wait at once, take little memory, are all woken, and give it back", function()
    local COUNT <const> = 10000 // helper.slow
    helper.need(probe.nofile() >= COUNT + 200, ("`ulimit -n` allows only %d descriptors"):format(probe.nofile()))
    local fds, _, before = helper.count_fds(), memory()
    within(20, function()
      local listener <close> = assert(tcp.listen(own_address(), 0))
      local ip, port = listener:getsockname()
      -- The other ends are in a process of their own: its descriptors, too.
      local path = helper.tmpname ".lua"
      assert(assert(io.open(path, "w")):write [[
        local neap, tcp = require "neap", require "neap.tcp"
        local ip, port, count = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3])
        local conns = {}
        neap.run(function()
          local group <close> = neap.group()
          for first = 1, 50 do
            group:spawn(function()
              for i = first, count, 50 do conns[i] = assert(tcp.connect(ip, port)) end
            end)
          end
        end)
        assert(conns[1]:write "all there\n")
        for i = 1, count do assert(conns[i]:read(4) == "wake", i) end
      ]]):close()
      local process <const> = assert(io.popen(
        ("LUA_PATH=%s LUA_CPATH=%s timeout -k 1 %d %s %s %s %d %d 2>&1 </dev/null"):format(
        helper.quote(package.path), helper.quote(package.cpath), 20 * helper.slow, helper.quote(helper.lua),
        helper.quote(path), ip, port, COUNT)))

      local now, conns, there = 0, {}, neap.event()
      neap.spawn(function()
        listener:serve(function(conn)
          now = now + 1
          conns[conn] = true
          if conn:read() == "all there" then there:set() end
          assert.fails("EOF", conn:read())
        end)
      end)
      there:wait()
      helper.eventually(function() return now == COUNT end)
      assert.is_true(helper.count_fds() >= fds + COUNT)
      if helper.slow == 1 then
        local _, during = memory()
        assert.is_true(during - before < COUNT * 3 * 1024, ("%d bytes each"):format((during - before) // COUNT))
      end
      for conn in pairs(conns) do assert(conn:write "wake") end
      conns = nil
      assert.equal("", process:read "a")
      assert.is_true(process:close())
      assert.is_true(listener:stop(5))
    end)
    assert.equal(fds, helper.count_fds())
  end)
end)
