-- Many jobs, few at a time: is anything listening there?
--   lua5.4 pool.lua [-n workers] host:port...     (or one a line on standard input)
-- Prints a line for each, in the order in which they end, and sums up.
-- SPDX-License-Identifier: MIT
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"

local TIMEOUT <const> = 3 -- seconds for a lookup and a connection together

-- Calls work(job) for each job that the iterator gives, in at most n tasks at
-- once, and done(job, results of work...) for each that ended. Jobs are taken
-- only when a worker is free: the iterator may be endless, or wait itself.
local function pool(n, jobs, work, done)
  local queue <const> = neap.channel()
  local group <close> = neap.group() -- a worker's error ends all, and is raised here
  for i = 1, n do
    group:spawn({ name = "worker " .. i }, function()
      for job in queue:values() do done(job, work(job)) end
    end)
  end
  for job in jobs do queue:send(job) end
  queue:close()
  group:wait()
end

local function probe(target)
  local host, port = target:match "^%[?(.-)%]?:([%w-]+)$"
  if not host then return nil, "not of the form host:port" end
  local began <const> = neap.now()
  local conn <close>, why = tcp.connect(host, port, { timeout = TIMEOUT })
  if not conn then return nil, why end
  return (neap.now() - began) * 1000, (conn:getpeername())
end

local function targets(list)
  if #list == 0 then
    local input <const> = assert(neap.stream(0))
    return input:lines()
  end
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

local function main(...)
  local list, workers = { ... }, 20
  if list[1] == "-n" then
    workers = assert(math.tointeger(tonumber(list[2])), "-n wants a number")
    list = table.move(list, 3, #list, 1, {})
  end
  local open, closed = 0, 0
  pool(workers, targets(list), probe, function(target, ms, about)
    if ms then
      open = open + 1
      print(("%-30s open, %.1f ms, %s"):format(target, ms, about))
    else
      closed = closed + 1
      print(("%-30s %s"):format(target, about))
    end
  end)
  print(("%d open, %d not, %d workers"):format(open, closed, workers))
end

neap.run(main, ...)
