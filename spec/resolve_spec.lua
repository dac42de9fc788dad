local neap = require "neap"

local function fails(code, ok, why, got)
  assert.is_nil(ok)
  assert.equal(code, got, why)
  return why
end

local function threads()
  local n = 0
  local stat <close> = assert(io.open "/proc/self/stat")
  local tasks <close> = assert(io.popen("ls /proc/" .. stat:read "n" .. "/task"))
  for _ in tasks:lines() do n = n + 1 end
  return n
end

describe("neap.resolve", function()
  it("takes numeric addresses as they are, without the pool", function()
    local before = threads()
    assert.same({ { family = "inet", ip = "127.0.0.1", port = 80 } }, neap.resolve("127.0.0.1", 80))
    assert.same({ { family = "inet6", ip = "::1", port = 0 } }, neap.resolve "::1")
    assert.same({ { family = "inet6", ip = "::1", port = 443 } }, neap.resolve("0:0::1", "443"))
    assert.same({ { family = "inet6", ip = "fe80::1%lo", port = 1 } }, neap.resolve("fe80::1%lo", 1))
    assert.equal("127.0.0.1", neap.resolve("127.0.0.1", 1, { canonname = true }).canonname)
    assert.equal(before, threads())
  end)

  it("looks up names and services", function()
    local list = assert(neap.resolve("localhost", "http", { family = "inet", canonname = true }))
    assert.equal("localhost", list.canonname)
    assert.equal(1, #list)
    assert.same({ family = "inet", ip = "127.0.0.1", port = 80 }, list[1])
    assert.is_nil(neap.resolve("localhost", 80).canonname)
  end)

  it("gives each address once", function()
    local seen = {}
    for _, to in ipairs(assert(neap.resolve("localhost", "domain"))) do
      local key = to.ip .. " " .. to.port
      assert.is_nil(seen[key])
      seen[key] = true
    end
    assert.is_truthy(next(seen))
  end)

  it("gives the wildcard addresses when passive, the loopback otherwise", function()
    local any = assert(neap.resolve(nil, 80, { passive = true, family = "inet" }))
    assert.same({ { family = "inet", ip = "0.0.0.0", port = 80 } }, any)
    local loopback = assert(neap.resolve(nil, 80, { family = "inet" }))
    assert.equal("127.0.0.1", loopback[1].ip)
  end)

  it("says which name failed, and how", function()
    local why = fails("EAI_SERVICE", neap.resolve("localhost", "no-such-service"))
    assert.matches("^resolve localhost:no%-such%-service: ", why)
    why = fails("EAI_ADDRFAMILY", neap.resolve("127.0.0.1", 80, { family = "inet6" }))
    assert.matches("^resolve 127%.0%.0%.1: ", why)
    local list, message, code = neap.resolve("does-not-exist.invalid", 80)
    assert.is_nil(list)
    assert.matches("^resolve does%-not%-exist%.invalid: ", message)
    assert.matches("^EAI_", code)
  end)

  for _, case in ipairs {
    { "a port over 65535", { "localhost", 70000 }, "#2.*%[0, 65535%]" },
    { "a port over 65535 in text", { "127.0.0.1", "70000" }, "#2.*%[0, 65535%]" },
    { "a negative port", { "localhost", -1 }, "#2" },
    { "a port with a fraction", { "localhost", 80.5 }, "#2" },
    { "a name with a zero byte", { "local\0host", 80 }, "#1.*zero byte" },
    { "a host that is a table", { {}, 80 }, "#1" },
    { "neither host nor service", {}, "#1" },
    { "an unknown option", { "localhost", 80, { famly = "inet" } }, "#3.*unknown option 'famly'" },
    { "an unknown family", { "localhost", 80, { family = "unix" } }, "#3.*family" },
    { "a flag that is no boolean", { "localhost", 80, { passive = 1 } }, "#3.*passive" },
    { "a negative timeout", { "localhost", 80, { timeout = -1 } }, "#3.*timeout" },
    { "options that are no table", { "localhost", 80, 5 }, "#3" },
  } do
    it("raises for " .. case[1], function()
      local ok, why = pcall(neap.resolve, table.unpack(case[2], 1, 3))
      assert.is_false(ok)
      assert.matches(case[3], why)
    end)
  end

  it("lets other tasks run meanwhile, many lookups at once", function()
    local ticks, found = 0, 0
    neap.run(function()
      local guard <close> = neap.spawn(function()
        while true do ticks = ticks + 1 neap.sleep(0) end
      end)
      local group <close> = neap.group()
      for _ = 1, 100 do
        group:spawn(function()
          if neap.resolve("localhost", "http", { family = "inet" }) then found = found + 1 end
        end)
      end
    end)
    assert.equal(100, found)
    assert.is_true(ticks > 0)
    assert.is_true(threads() <= 10)
  end)

  it("can be cancelled, and timed out, and asked again", function()
    neap.run(function()
      for _ = 1, 200 do
        local task = neap.spawn(neap.resolve, "localhost", "http")
        neap.sleep(0)
        task:cancel()
        task:join()
      end
      for _ = 1, 50 do neap.timeout(0, neap.resolve, "localhost", "http") end
      for _ = 1, 50 do neap.resolve("localhost", "http", { timeout = 0 }) end
      assert.truthy(neap.resolve("localhost", "http"))
    end)
  end)

  it("is refused where it could not wait, though it would not have to", function()
    neap.run(function()
      local ok, why = coroutine.resume(coroutine.create(function() neap.resolve("127.0.0.1", 80) end))
      assert.is_false(ok)
      assert.matches("cannot wait here", why)
    end)
  end)
end)
