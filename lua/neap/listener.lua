--- What a listener does beyond accepting: serve, connections, stop.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local sync <const> = require "neap.sync"

local M = {}

local methods <const> = core.listener
local accept <const> = methods.accept -- of a connection as it comes

local serve_options <const> = { max_connections = "count", on_error = "function" }

-- What accept reports while descriptors or memory are short: it gets better.
local shortage <const> = { EMFILE = true, ENFILE = true, ENOBUFS = true, ENOMEM = true }
local BACKOFF <const>, MOST_BACKOFF <const> = 0.005, 1

-- The listener that is being served -> how to stop it.
local serving <const> = setmetatable({}, { __mode = "k" })

-- Its class is the core's: whether it is one is asked of its own method.
local function check_self(self, name)
  if type(self) ~= "userdata" or not pcall(methods.isopen, self) then
    error(("bad self (neap.listener expected, got %s): call it as listener:%s()"):format(type(self), name), 3)
  end
end

--- Iterates over connections; ends when the listener is closed.
function methods:connections()
  check_self(self, "connections")
  return function()
    local conn, why, code = self:accept()
    if not conn and code ~= "ECLOSED" then error(why, 2) end
    return conn
  end
end

-- ---- how connections begin ----

-- The listener -> what each of its connections begins with.
local begins <const> = setmetatable({}, { __mode = "k" })

-- The next that has begun; one that fails ends nothing but itself.
local function accept_begun(self, timeout)
  local begin = begins[self]
  if not begin then return accept(self, timeout) end
  local deadline = timeout and core.now() + timeout
  while true do
    local conn, why, code = accept(self, deadline and math.max(0, deadline - core.now()))
    if not conn then return nil, why, code end
    if begin(conn) then return conn end
  end
end

--- Each connection is begun before anyone gets it: begin(conn) returns it, or
-- closes it and returns nil, message, code.
function M.begin_with(listener, begin)
  begins[listener] = begin
  methods.accept = accept_begun
end

-- ---- serving ----

-- A handler of what has begun: so that is done in the connection's own task.
local function begun(handler, begin, on_error)
  return function(conn)
    local ok, why = begin(conn)
    if ok then return handler(conn) end
    if on_error then on_error(why, "", conn) end
  end
end

-- One that tells on_error what the handler raised; cancellation passes.
local function guarded(handler, on_error)
  return function(conn)
    local traceback
    local ok, err = xpcall(handler, function(e)
      traceback = debug.traceback(nil, 2)
      return e
    end, conn)
    if ok then return end
    if type(err) == "userdata" then error(err, 0) end
    on_error(err, traceback, conn)
  end
end
M.guarded = guarded

-- One that gives its place back when it ends.
local function counted(handler, places)
  local place <const> = setmetatable({}, { __close = function() places:release() end })
  return function(conn)
    local held <close> = place
    return handler(conn)
  end
end

-- While places are free: accepts, and gives each connection its task.
local function accept_counted(self, group, handler, places)
  while true do
    places:acquire()
    local conn, why, code = accept(self)
    if not conn then
      places:release()
      return nil, why, code
    end
    core.serve_one(group, handler, conn)
  end
end

local function accept_all(self, group, handler, places)
  local backoff = BACKOFF
  while true do
    local began = core.now()
    local _, why, code = (places and accept_counted or core.serve)(self, group, handler, places)
    if not shortage[code] then return nil, why, code end
    if core.now() - began > MOST_BACKOFF then backoff = BACKOFF end
    core.sleep(backoff)
    backoff = math.min(backoff * 2, MOST_BACKOFF)
  end
end

--- A task for each connection, closed when the handler ends. Returns true
-- after stop() or close(), or nil, message, code.
function methods:serve(handler, given)
  check_self(self, "serve")
  args.argument(handler, "function", 1, 2)
  local o = args.check(given, serve_options, 2, 2)
  if serving[self] then error("this listener is being served already", 2) end
  if begins[self] then handler = begun(handler, begins[self], o.on_error) end
  if o.on_error then handler = guarded(handler, o.on_error) end
  local places = o.max_connections and sync.semaphore(o.max_connections)
  if places then handler = counted(handler, places) end
  local ended = sync.event()
  local cleanup <close> = setmetatable({}, { __close = function()
    serving[self] = nil
    ended:set()
  end })
  local group <close> = core.group("serve")
  serving[self] = { group = group, ended = ended }
  local _, why, code = accept_all(self, group, handler, places)
  if code == "ECLOSED" then return true end
  return nil, why, code
end

--- Waits `grace` seconds for what is served in state.group to have ended, as
-- state.ended tells, then cancels it; one of the handlers cannot wait for itself.
function M.wind_up(state, grace)
  local function wind_up()
    if not state.ended:wait(grace) then
      state.group:cancel()
      state.ended:wait()
    end
  end
  if not state.group:_within() then return wind_up() end
  core.spawn({ daemon = true }, wind_up)
end

--- Ends accepting, waits `grace` seconds (5) for the handlers, then cancels
-- them, and waits until they have ended. Called by one of the handlers it
-- returns at once, and that handler has the grace of the others.
function methods:stop(grace)
  check_self(self, "stop")
  if grace == nil then grace = 5 end
  args.argument(grace, "seconds", 1, 2)
  local state = serving[self]
  self:close()
  if not state then return true end
  M.wind_up(state, grace)
  return true
end

return M
