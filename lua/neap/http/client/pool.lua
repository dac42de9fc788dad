-- SPDX-License-Identifier: MIT
--- The connections of a client: how many there may be, and which of them lie
-- idle until they are needed again.
--
-- A connection is what bodies call a wire: { stream =, rest = }. Whoever uses
-- one has a hold on it, which is given back by finish, once.
local core <const> = require "neap.core"
local sync <const> = require "neap.sync"

local M = {}

local COLLECT <const> = 0.03 -- seconds between two full collections, at least

local now <const> = core.now

-- ---- idle connections, the one that has been idle the longest first ----

local function unlink(pool, conn)
  local before, after = conn.before, conn.after
  if before then before.after = after else pool.oldest = after end
  if after then after.before = before else pool.newest = before end
  conn.before, conn.after = nil, nil
  pool.idle = pool.idle - 1
end

local function link(pool, conn)
  local newest = pool.newest
  conn.before = newest
  if newest then newest.after = conn else pool.oldest = conn end
  pool.newest = conn
  pool.idle = pool.idle + 1
end

-- A host of which nothing is left is forgotten.
local function forget(pool, host)
  if host.users == 0 and not host[1] then pool.hosts[host.key] = nil end
end

local function drop(pool, conn)
  local host = conn.host
  for i = 1, #host do
    if host[i] == conn then
      table.remove(host, i)
      break
    end
  end
  unlink(pool, conn)
  conn.stream:close()
  forget(pool, host)
end

-- Closes what has been idle for too long.
local function sweep(pool, time)
  local conn = pool.oldest
  while conn and conn.since + pool.idle_timeout <= time do
    drop(pool, conn)
    conn = pool.oldest
  end
end

-- Whether nothing came, and no end: a server that has closed, or sent what
-- nobody asked for, has nothing more to say here.
local function is_quiet(conn)
  local stream = conn.stream
  local quiet = core.is_quiet(stream)
  if quiet ~= nil then return quiet end
  conn.timed = true
  stream:settimeout(0)
  local _, _, code = stream:receive(1)
  return code == "ETIMEDOUT"
end

-- An idle one that is good, or nil. It is the hold's before it is looked at,
-- so that it is not lost if that is interrupted.
local function take_idle(pool, hold, host)
  while true do
    local n = #host
    local conn = host[n]
    if not conn then return nil end
    host[n] = nil
    unlink(pool, conn)
    hold.conn = conn
    if is_quiet(conn) then
      conn.uses = conn.uses + 1
      pool.reused = pool.reused + 1
      return conn
    end
    conn.stream:close()
    hold.conn = nil
    pool.stale = pool.stale + 1
  end
end

-- ---- holds ----

local hold_methods <const> = {}

--- Gives the connection back: for others if it can be used again, else it is
-- closed. A second time does nothing.
function hold_methods.finish(hold, reusable)
  local slots = hold.slots
  if slots == 0 then return end
  hold.slots = 0
  local pool, host, conn = hold.pool, hold.host, hold.conn
  local sending = hold.sending
  if sending and not sending.done then -- the answer came first
    sending.task:cancel(0)
    reusable = false
  end
  if conn then
    conn.deadline = nil
    if not reusable or pool.closed or pool.max_idle == 0 then
      conn.stream:close()
    else
      conn.since = now()
      host[#host + 1] = conn
      link(pool, conn)
      sweep(pool, conn.since)
      if pool.idle > pool.max_idle then drop(pool, pool.oldest) end
    end
  end
  host.users, pool.users = host.users - 1, pool.users - 1
  if hold.given then pool.given = pool.given - 1 end
  if slots > 2 then pool.slots:release() end
  if slots > 1 then host.slots:release() end
  if slots > 2 then pool.active = pool.active - 1 end
  forget(pool, host)
end

--- Takes the connection out of the pool: it is somebody else's now.
function hold_methods.detach(hold)
  local conn = hold.conn
  hold.conn = nil
  hold:finish(false)
  return conn
end

-- A hold of a request that is on its way ends with the scope, unless a
-- response has it now.
local hold_meta <const> = {
  __index = hold_methods,
  __close = function(hold)
    if not hold.given then hold:finish(false) end
  end,
}

-- A hold of a response ends with it, also if nobody reads that.
local given_meta <const> = {
  __index = hold_methods,
  __close = hold_meta.__close,
  __gc = function(hold) hold:finish(false) end,
}

--- From now on a response has it.
function hold_methods.give(hold)
  hold.given = true
  hold.pool.given = hold.pool.given + 1
  return setmetatable(hold, given_meta)
end

-- ---- the pool ----

local pool_methods <const> = {}
pool_methods.__index = pool_methods

--- A pool with these limits: o.max_per_host and o.max_connections that are in
-- use, o.max_idle that are not, for o.idle_timeout seconds.
function M.new(o)
  return setmetatable({
    hosts = {}, idle = 0, active = 0, users = 0, given = 0, collects = 0, reused = 0, stale = 0, made = 0,
    max_per_host = o.max_per_host, max_connections = o.max_connections,
    max_idle = o.max_idle, idle_timeout = o.idle_timeout,
    slots = sync.semaphore(o.max_connections),
  }, pool_methods)
end

local function host_of(pool, key)
  local host = pool.hosts[key]
  if not host then
    host = { key = key, users = 0, slots = sync.semaphore(pool.max_per_host) }
    pool.hosts[key] = host
  end
  return host
end

-- Responses that nobody has any more may hold what is waited for: so while
-- there are such as could, and somebody waits, the collector runs now and
-- then; no more than a small part of the time.
local function collect(pool)
  while pool.users > pool.active and pool.given > 0 do
    local began = now()
    if began >= pool.collects then
      collectgarbage()
      pool.collects = now() + math.max(COLLECT, 20 * (now() - began))
    end
    core.sleep(math.max(0, pool.collects - now()))
  end
  pool.collector = nil
end

-- One of a semaphore, by the deadline.
local function acquire(pool, slots, deadline)
  local running = pool.collector and pool.collector:status() ~= "cancelled"
  if pool.given > 0 and not running and slots:count() == 0 then
    pool.collector = core.spawn({ daemon = true, name = "http pool" }, collect, pool)
  end
  if not deadline then return slots:acquire() end
  return slots:acquire(math.max(0, deadline - now()))
end

local function no_room(code)
  return nil, code == "ETIMEDOUT" and "timed out waiting for a connection of the pool" or "no connection", code
end

--- A hold, to be kept in a to-be-closed variable.
function pool_methods.hold(pool, key)
  local host = host_of(pool, key)
  host.users, pool.users = host.users + 1, pool.users + 1
  return setmetatable({ pool = pool, host = host, slots = 1 }, hold_meta)
end

--- Waits for its turn. True if hold.conn is one that was idle, false if one is
-- to be made; or nil, message, code. `fresh`: idle ones are not good enough.
function pool_methods.obtain(pool, hold, deadline, fresh)
  local host = hold.host
  local ok, _, code = acquire(pool, host.slots, deadline)
  if not ok then return no_room(code) end
  hold.slots = 2
  ok, _, code = acquire(pool, pool.slots, deadline)
  if not ok then return no_room(code) end
  hold.slots = 3
  pool.active = pool.active + 1
  if pool.closed then return nil, "the client is closed", "ECLOSED" end
  if pool.oldest then
    sweep(pool, now())
    if not fresh and take_idle(pool, hold, host) then return true end
    if pool.idle + pool.active > pool.max_connections and pool.oldest then drop(pool, pool.oldest) end
  end
  return false
end

--- A stream that was made for a hold.
function pool_methods.enter(pool, hold, stream)
  local conn = { stream = stream, rest = "", host = hold.host, uses = 1 }
  hold.conn = conn
  pool.made = pool.made + 1
  return conn
end

--- Closes those that are idle.
function pool_methods.clear(pool)
  while pool.oldest do drop(pool, pool.oldest) end
end

--- And lets none become idle any more.
function pool_methods.close(pool)
  pool.closed = true
  pool:clear()
end

--- What there is: numbers, and those of each host.
function pool_methods.state(pool)
  local hosts = {}
  for _, host in pairs(pool.hosts) do
    local name = host.key:match "^[^|]*"
    local row = hosts[name] or { active = 0, idle = 0, waiting = 0 }
    local active = pool.max_per_host - host.slots:count()
    row.active, row.idle = row.active + active, row.idle + #host
    row.waiting = row.waiting + host.users - active
    hosts[name] = row
  end
  return {
    active = pool.active, idle = pool.idle, made = pool.made, reused = pool.reused, stale = pool.stale, hosts = hosts,
  }
end

return M
