--- What every spec leans on: deadlines on everything, assertions about
-- failures, and a check after each test that nothing was left behind.
local busted <const> = require "busted"
local assert <const> = require "luassert"
local say <const> = require "say"
local lfs <const> = require "lfs"
-- Loaded here, so that busted does not unload them between spec files.
local neap <const> = require "neap"
local probe <const> = require "probe" -- test/probe.c
require "neap.tcp"
require "neap.unix"

local M = {}
package.loaded["support.helper"] = M

--- How much longer things may take here than on bare metal.
M.slow = (os.getenv "SAN" or "") .. (os.getenv "GC" or "") ~= "" and 5 or 1

-- ---- assertions ----

local function show(value)
  if type(value) == "string" then return ("%q"):format(value) end
  return tostring(value)
end

local function list(values, first)
  local out = {}
  for i = first or 1, values.n do out[#out + 1] = show(values[i]) end
  return table.concat(out, ", ")
end

say:set("assertion.fails", "Expected a failure with the code %s, got:\n%s")
say:set("assertion.raises", "Expected an error that says %s, got:\n%s")
say:set("assertion.takes", "Expected it to take %s seconds, but it took:\n%s")

--- assert.fails(code, call(...)): nil, a message, and this code.
assert:register("assertion", "fails", function(_, args)
  local code, value, message, got = args[1], args[2], args[3], args[4]
  if value == nil and type(message) == "string" and #message > 0 and got == code then
    return true
  end
  local told = args.n == 1 and "nothing" or list(args, 2)
  args[1], args[2], args.n, args.nofmt = show(code), told, 2, { true, true }
  return false
end, "assertion.fails")

--- assert.raises(text, fn, ...): the error's text has this plain text in it.
-- Returns the error.
assert:register("assertion", "raises", function(_, args)
  local wanted = args[1]
  local got = table.pack(pcall(table.unpack(args, 2, args.n)))
  if not got[1] and tostring(got[2]):find(wanted, 1, true) then return true, { got[2] } end
  args[2] = got[1] and "no error; it returned " .. list(got, 2) or tostring(got[2])
  args[1], args.n, args.nofmt = show(wanted), 2, { true, true }
  return false
end, "assertion.raises")

--- assert.takes(least, most, fn, ...): in seconds; `most` grows where things
-- are slow. Returns what fn does.
assert:register("assertion", "takes", function(_, args)
  local least, most = args[1], args[2] * M.slow
  local began = neap.now()
  local results = table.pack(args[3](table.unpack(args, 4, args.n)))
  local took = neap.now() - began
  if took >= least and took <= most then return true, results end
  args[1], args[2] = ("%g to %g"):format(least, most), ("%.3f"):format(took)
  args.n, args.nofmt = 2, { true, true }
  return false
end, "assertion.takes")

-- ---- running ----

--- Runs fn(...) in a task, by a deadline: a hang is a failure with the list
-- of who waits for what.
function M.in_task(fn, ...)
  local args <const> = table.pack(...)
  local function guarded()
    local guard <close> = neap.spawn({ name = "watchdog", daemon = true }, function(whose)
      neap.sleep(10 * M.slow)
      M.stuck = M.describe(neap.tasks())
      whose:cancel(1)
    end, neap.running())
    return fn(table.unpack(args, 1, args.n))
  end
  M.stuck = nil
  -- pcall, since busted's handler of errors makes nil of them before the
  -- scopes inside are left.
  local results = table.pack(pcall(neap.run, guarded))
  if M.stuck then error("the test did not end in time; the tasks were:\n" .. M.stuck, 0) end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- The list of neap.tasks() as text.
function M.describe(tasks)
  local out = {}
  for _, t in ipairs(tasks) do
    out[#out + 1] = ("%s: %s for %s s\n%s"):format(t.task, t.waits_for or t.status,
      t.since or 0, t.traceback)
  end
  return table.concat(out, "\n")
end

--- From now on until the test ends, errors that would go to neap.onerror are
-- kept here: { task =, err =, traceback = }. A test that leaves any otherwise
-- fails.
function M.reports()
  local reports = {}
  M.expected_reports = reports
  return reports
end

--- Calls fn when the scope ends: local guard <close> = helper.defer(fn).
function M.defer(fn) return setmetatable({}, { __close = fn }) end

--- Gives way until cond() is true; an error when it stays false.
function M.eventually(cond, seconds)
  local deadline = neap.now() + (seconds or 5) * M.slow
  while not cond() do
    if neap.now() > deadline then error("this did not become true in time", 2) end
    neap.sleep(0.002)
  end
end

-- ---- other processes ----

local function quote(word) return "'" .. tostring(word):gsub("'", "'\\''") .. "'" end
M.quote = quote

local function interpreter()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return arg[first]
end

--- The interpreter that runs this suite.
M.lua = os.getenv "LUA" or interpreter() or "lua5.4"

--- Runs a Lua script, given as text, in a process of its own with the same
-- neap. Returns all that it printed, on both outputs, and its exit code
-- (or "signal", its number). It is killed after 20 seconds.
function M.script(text, ...) return M.script_under("", text, ...) end

--- The same by a command that runs a command: "unshare -n".
function M.script_under(wrapper, text, ...)
  local path = M.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local words = { M.lua, path, ... }
  for i, word in ipairs(words) do words[i] = quote(word) end
  local pipe = assert(io.popen(("LUA_PATH=%s LUA_CPATH=%s %s timeout -k 1 %d %s 2>&1 </dev/null"):format(
    quote(package.path), quote(package.cpath), wrapper, 20 * M.slow, table.concat(words, " "))))
  local out = pipe:read "a"
  local _, how, code = pipe:close()
  if how == "signal" then return out, how, code end
  return out, code
end

--- Calls fn(...) in a child process, made by fork. Returns what fn returned
-- or raised, as text, and its exit code: 0, 1 after an error, or a signal's
-- name. The child is gone after 10 seconds, whatever it does.
function M.forked(fn, ...)
  local r, w = probe.pipe()
  local pid = probe.fork()
  if pid == 0 then
    local ok, result = pcall(function(...)
      probe.alarm(10 * M.slow)
      return fn(...)
    end, ...)
    pcall(probe.write, w, tostring(result))
    probe.exit(ok and 0 or 1)
  end
  probe.close(w)
  local how, code = probe.waitpid(pid, 12 * M.slow)
  local text = probe.read(r)
  probe.close(r)
  return text, how == "exit" and code or ("signal %d"):format(code)
end

--- Runs a chunk in a Lua state of its own in this process, which is closed
-- then. Whether it went well, and its first result or its error, as text.
function M.state(chunk) return probe.state(chunk, package.path, package.cpath) end

--- The same in n threads at once: a list of { whether, text }.
function M.threads(n, chunk) return probe.threads(chunk, package.path, package.cpath, n) end

local directory
local made = 0

--- A path that nothing has, in a directory that is removed after the test.
function M.tmpname(suffix)
  if not directory then
    local pipe = assert(io.popen "mktemp -d")
    directory = pipe:read "l"
    pipe:close()
  end
  made = made + 1
  return ("%s/%d%s"):format(directory, made, suffix or "")
end

local function remove_directory()
  if directory then os.execute("rm -rf " .. quote(directory)) end
  directory = nil
end

-- ---- what this machine has ----

local current -- the test that runs

--- Ends the test as skipped, by name, with the reason.
function M.skip(reason)
  local level = 2
  local at = debug.getinfo(level, "Sl")
  while at and not at.short_src:find "_spec%.lua$" do
    level = level + 1
    at = debug.getinfo(level, "Sl")
  end
  if at then reason = ("%s:%d: %s"):format(at.short_src, at.currentline, reason) end
  current.env.pending(reason)
end

--- Skips unless cond.
function M.need(cond, reason)
  if not cond then M.skip(reason) end
end

function M.has_program(name)
  return (os.execute(("command -v %s >/dev/null 2>&1"):format(quote(name))))
end

--- Needs these programs to be installed.
function M.need_program(...)
  for _, name in ipairs { ... } do
    M.need(M.has_program(name), ("needs the program %s"):format(name))
  end
end

local function command_says(command, pattern)
  local pipe = io.popen(command .. " 2>/dev/null")
  local out = pipe:read "a"
  pipe:close()
  return out:find(pattern) ~= nil
end

local known <const> = {}
local function once(name, find)
  M["is_" .. name] = function()
    if known[name] == nil then known[name] = find() and true or false end
    return known[name]
  end
end

once("root", function() return command_says("id -u", "^0%s*$") end)
once("namespaced", function() return (os.execute "unshare -n true 2>/dev/null") end)
once("ipv6", function()
  local l = require "neap.tcp".listen("::1", 0)
  return l and l:close()
end)

function M.need_root() M.need(M.is_root(), "needs root") end

function M.need_namespace()
  M.need(M.is_namespaced(), "needs the right to make a network namespace")
end

function M.need_ipv6() M.need(M.is_ipv6(), "this machine has no IPv6 loopback") end

--- Needs the poller to have a descriptor that a host can poll.
function M.need_pollfd()
  M.need(neap.pollfd(), ("the poller %s has no descriptor"):format(neap.poller()))
end

-- ---- nothing is left behind ----

--- descriptor -> what it is, of this process.
function M.fds()
  local fds = {}
  for name in lfs.dir "/proc/self/fd" do
    local fd = math.tointeger(tonumber(name))
    -- the directory's own descriptor is gone by the time it is looked at
    local target = fd and lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    if target and not target:find "^/proc/.*/fd$" then fds[fd] = target end
  end
  return fds
end

--- How many descriptors are open, after a full collection.
function M.count_fds()
  collectgarbage()
  collectgarbage()
  local n = 0
  for _ in pairs(M.fds()) do n = n + 1 end
  return n
end

local before, count, status

local function onerror(task, err, traceback)
  local reports = M.expected_reports or M.unexpected_reports
  reports[#reports + 1] = { task = task, err = err, traceback = traceback }
end

-- Lets those that were told to end do so.
local function settle()
  for _ = 1, 50 do
    if #neap.tasks() == 0 then return end
    neap.step(0.002)
  end
end

local function abandon_tasks()
  for _, t in ipairs(neap.tasks()) do t.task:cancel(0) end
  settle()
end

local function left_tasks()
  settle()
  local tasks = neap.tasks()
  if #tasks == 0 then return end
  local text = M.describe(tasks)
  abandon_tasks()
  return ("it left %d tasks:\n%s"):format(#tasks, text)
end

-- A cancelled lookup's thread may have a file open for a moment yet.
local function left_descriptors()
  local now, tries = M.count_fds(), 0
  while now > count and tries < 50 do
    neap.step(0.002)
    now, tries = M.count_fds(), tries + 1
  end
  if now <= count then return end
  local new = {}
  for fd, target in pairs(M.fds()) do
    if before[fd] ~= target then new[#new + 1] = ("%d (%s)"):format(fd, target) end
  end
  return ("it left %d descriptors: %s"):format(now - count, table.concat(new, ", "))
end

local function left_reports()
  local first = M.unexpected_reports[1]
  if not first then return end
  return ("%s failed and nobody was told: %s\n%s"):format(first.task, first.err, first.traceback)
end

busted.subscribe({ "test", "start" }, function(element)
  current, status = element, nil
  return nil, true
end)

busted.subscribe({ "test", "end" }, function(_, _, how)
  status = how
  return nil, true
end)

busted.before_each(function()
  neap.onerror = onerror
  M.expected_reports, M.unexpected_reports = nil, {}
  count, before = M.count_fds(), M.fds()
end)

busted.after_each(function()
  local name = current and current.name or "?"
  local tasks = left_tasks() -- first: those that end close what they have
  local why = tasks or left_descriptors() or left_reports()
  remove_directory()
  if why and status == "success" then error(("\"%s\": %s"):format(name, why), 0) end
end)

-- What the first lookup opens stays open: it is nobody's leak.
neap.resolve "localhost"

return M
