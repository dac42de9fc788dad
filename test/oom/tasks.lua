-- Tasks, groups, scopes, coroutines, channels: made, interrupted and ended.
local neap = require "neap"

-- An error of memory is what is tested; everything else is a defect.
function neap.onerror(_, err)
  if not tostring(err):find("memory", 1, true) then print("onerror: " .. tostring(err)) end
end

local function closer(list, what)
  return setmetatable({}, { __close = function()
    neap.sleep(0)
    list[#list + 1] = what
  end })
end

local function cancelled()
  local closed = {}
  local task = neap.spawn({ name = "sleeper" }, function()
    local held <close> = closer(closed, "one")
    neap.sleep(10)
  end)
  neap.sleep(0)
  task:cancel(0.2)
  task:join()
end

local function grouped()
  local group <close> = neap.group()
  for i = 1, 3 do group:spawn(neap.sleep, i / 1000) end
  group:wait()
end

local function failing()
  local ok = pcall(function()
    local group <close> = neap.group()
    group:spawn(error, "of a child")
    neap.sleep(1)
  end)
  assert(not ok)
end

local function generated()
  local generator = neap.coroutine.wrap(function()
    for i = 1, 3 do
      neap.sleep(0)
      neap.coroutine.yield(i)
    end
  end)
  local sum = 0
  for i in generator do sum = sum + i end
  assert(sum == 6)
end

local function handed_over()
  local channel, other <const> = neap.channel(), neap.channel(1)
  local held <close> = neap.spawn(function()
    for i = 1, 3 do channel:send(i, 0.1) end
    channel:close()
  end)
  for _ in channel:values() do end
  neap.select { { channel, "receive" }, { other, "send", 1 }, timeout = 0.01 }
  neap.event():set():wait()
  neap.semaphore(1):with(neap.sleep, 0)
end

for _, fn in ipairs { cancelled, grouped, failing, generated, handed_over } do
  neap.run(function() assert(neap.timeout(0.5, function() fn() return true end)) end)
end
neap.tasks()
pcall(neap.run, function() neap.channel():receive() end)
