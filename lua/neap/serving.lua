-- SPDX-License-Identifier: MIT
--- What listeners that are written in Lua have in common: connections, serve
-- and stop.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local listeners <const> = require "neap.listener"
local sync <const> = require "neap.sync"

local M = {}

local options <const> = { max_connections = "count", on_error = "function" }

-- A connection's task: closed when the handler ends.
local function handle(conn, handler, places)
  local place <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
    if places then places:release() end
  end })
  local held <close> = conn
  return handler(held)
end

-- While places are free: a task for each.
local function serve_all(self, state, next_one, handler, places)
  while true do
    if places then places:acquire() end
    local conn, why, code = next_one(self, state)
    if not conn then return nil, why, code end
    state.group:spawn(handle, conn, handler, places)
  end
end

--- Gives a class of listeners its methods. door(self, name): where `serving` is
-- kept while it is served, and what closes by close(); raises for who is none of
-- the class. next_one(self, serving): the next that is to be handled, or nil,
-- message, code; by default what accept() gives. serving: group, on_error.
function M.methods(methods, door, next_one)
  next_one = next_one or function(self) return methods.accept(self) end

  --- Iterates over connections; ends when the listener is closed.
  function methods:connections()
    door(self, "connections")
    return function()
      local conn, why, code = self:accept()
      if not conn and code ~= "ECLOSED" then error(why, 2) end
      return conn
    end
  end

  --- A task for each connection. Returns true after stop() or close(), or nil,
  -- message, code.
  function methods:serve(handler, given)
    local d <const> = door(self, "serve")
    args.argument(handler, "function", 1, 2)
    local o <const> = args.check(given, options, 2, 2)
    if d.serving then error("this listener is being served already", 2) end
    if o.on_error then handler = listeners.guarded(handler, o.on_error) end
    local ended <const> = sync.event()
    local cleanup <close> = setmetatable({}, { __close = function()
      d.serving = nil
      ended:set()
    end })
    local group <close> = core.group("serve")
    d.serving = { group = group, ended = ended, on_error = o.on_error }
    local places <const> = o.max_connections and sync.semaphore(o.max_connections)
    local _, why, code = serve_all(self, d.serving, next_one, handler, places)
    if code == "ECLOSED" then return true end
    return nil, why, code
  end

  --- Ends listening, waits `grace` seconds (5) for the handlers, then cancels
  -- them, and waits until they have ended.
  function methods:stop(grace)
    local d <const> = door(self, "stop")
    if grace == nil then grace = 5 end
    args.argument(grace, "seconds", 1, 2)
    local state <const> = d.serving
    self:close()
    if state then listeners.wind_up(state, grace) end
    return true
  end
end

return M
