--- neap: the network for Lua. Tasks, waiting, and what is shared by every
-- protocol module.
local core <const> = require "neap.core"

local M = {
  _VERSION = "neap scm-1",
  spawn = core.spawn,
  running = core.running,
  sleep = core.sleep,
  timeout = core.timeout,
  wait = core.wait,
  now = core.now,
  tasks = core.tasks,
  resolve = core.resolve,
  interfaces = core.interfaces,
  signal = core.signal,
  stream = core.adopt,
  step = core.step,
  pollfd = core.pollfd,
  next_deadline = core.next_deadline,
  poller = core.poller,
  reset = core.reset,
}

core.attach(M)

function M.onerror(task, err, traceback)
  io.stderr:write("neap: ", tostring(task), " failed: ", tostring(err), "\n")
  if traceback ~= "" then io.stderr:write(traceback, "\n") end
end

function M.group() return core.group() end

function M.run(fn, ...)
  local group <close> = core.group("run")
  return group:spawn(fn, ...):join()
end

return M
