--- A busted output handler: a line for each spec file, every skipped test by
-- name with its reason, every failure in full, and the last line
-- `specs: N passed, N failed, N skipped`. If NEAP_PROGRESS names a file, that file
-- holds the name of the test that runs, for whoever finds the process dead.
local function text(message)
  if type(message) == "string" then return message end
  if message == nil then return "no message" end
  return require "pl.pretty".write(message)
end

local function where(case)
  local trace = case.element.trace or case.trace
  if not (trace and trace.short_src) then return "" end
  return (" (%s:%d)"):format(trace.short_src, trace.currentline)
end

local function indent(message)
  return "    " .. text(message):gsub("\n", "\n    "):gsub("%s+$", "") .. "\n"
end

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local progress <const> = os.getenv "NEAP_PROGRESS"
  local done <const> = { success = 0, pending = 0, failure = 0, error = 0 }
  local at_start -- of the file: its counts, and the time

  local function say(...)
    io.write(...)
    io.flush()
  end

  local function note(name)
    local file = progress and io.open(progress, "w")
    if file then
      file:write(name)
      file:close()
    end
  end

  function handler.fileStart()
    at_start = { time = os.time() }
    for status, count in pairs(done) do at_start[status] = count end
    return nil, true
  end

  function handler.fileEnd(file)
    local function count(status) return done[status] - at_start[status] end
    local failed = count "failure" + count "error"
    say(("%-36s %4d ok%s%s  %d s\n"):format(file.name, count "success",
      failed > 0 and (", %d FAILED"):format(failed) or "",
      count "pending" > 0 and (", %d skipped"):format(count "pending") or "",
      os.time() - at_start.time))
    return nil, true
  end

  function handler.testStart(test)
    note(handler.getFullName(test))
    return nil, true
  end

  function handler.testEnd(test, _, status)
    done[status] = done[status] + 1
    if status ~= "success" and status ~= "pending" then
      say("FAILED: ", handler.getFullName(test), "\n")
    end
    return nil, true
  end

  local function show(list, title)
    for _, case in ipairs(list) do
      say("\n", title, ": ", case.name, where(case), "\n", indent(case.message))
      if case.isError and case.trace and case.trace.traceback then
        say(indent(case.trace.traceback))
      end
    end
  end

  function handler.suiteEnd()
    note ""
    for _, case in ipairs(handler.pendings) do
      say("skipped: ", case.name, ": ", text(case.message), "\n")
    end
    show(handler.failures, "FAILED")
    show(handler.errors, "ERROR")
    say(("%sspecs: %d passed, %d failed, %d skipped\n"):format(
      #handler.failures + #handler.errors > 0 and "\n" or "",
      handler.successesCount, handler.failuresCount + handler.errorsCount,
      handler.pendingsCount))
    return nil, true
  end

  busted.subscribe({ "file", "start" }, handler.fileStart)
  busted.subscribe({ "file", "end" }, handler.fileEnd)
  busted.subscribe({ "test", "start" }, handler.testStart)
  busted.subscribe({ "test", "end" }, handler.testEnd, { predicate = handler.cancelOnPending })
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
