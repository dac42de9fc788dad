--- A drop-in for the standard coroutine table: a call that waits inside of
-- one of these coroutines makes the task around it wait.
local core <const> = require "neap.core"
local standard <const> = coroutine

local M = {
  create = core.coroutine.create,
  resume = core.coroutine.resume,
  wrap = core.coroutine.wrap,
  yield = standard.yield,
  status = standard.status,
  isyieldable = standard.isyieldable,
  running = standard.running,
  close = standard.close,
}

--- Puts it in place of the global table. Returns what was there.
function M.install()
  local before = _G.coroutine
  _G.coroutine = M
  package.loaded.coroutine = M
  return before
end

return M
