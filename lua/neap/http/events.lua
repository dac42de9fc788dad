-- SPDX-License-Identifier: MIT
--- Server-sent events of a URL, as they come; when the connection ends, it is
-- made anew, and goes on behind the last one.
local args <const> = require "neap.args"
local clients <const> = require "neap.http.client"
local core <const> = require "neap.core"
local sse <const> = require "neap.http.sse"

local M = {}

local RETRY <const>, SHORTEST <const>, LONGEST <const> = 3, 0.1, 60 -- seconds
local TIMEOUT <const> = 30

local own_options <const> = {
  last_id = "string", retry = "seconds", min_retry = "seconds", max_retry = "seconds", attempts = "natural",
  idle_timeout = "seconds", max_event = "count", client = "fd",
}

local events <const> = { __name = "neap.http.events" }
events.__index = events

-- ---- one connection ----

-- What is said each time, besides what the program says. An id may be what no
-- field can carry.
local function fields_of(self)
  local list, last = { { "Accept", sse.TYPE }, { "Cache-Control", "no-store" } }, self.last_id
  if last ~= "" and not last:find "[\0-\x08\x0a-\x1f\x7f]" then list[3] = { "Last-Event-ID", last } end
  local given = self.request.headers or {}
  for name, value in pairs(given) do
    if type(name) == "string" then list[#list + 1] = { name, value } else list[#list + 1] = value end
  end
  return list
end

-- A failure that is not worth another try: true as the fourth result.
local function connect(self)
  local o = {}
  for name, value in pairs(self.request) do o[name] = value end
  o.headers, o.decode, o.timeout = fields_of(self), false, o.timeout or TIMEOUT
  local get = self.client and self.client.get or clients.get
  local response, why, code
  if self.client then
    response, why, code = get(self.client, self.url, o)
  else
    response, why, code = get(self.url, o)
  end
  if not response then return nil, why, code, not self.began end
  if response.status == 204 then
    response:close()
    return nil, "the server has no more events", "EOF", true
  end
  local kind = (response.headers:get "content-type" or ""):lower():match "^[ \t]*([^; \t]*)"
  if response.status ~= 200 or kind ~= sse.TYPE then
    local status, reason = response.status, response.reason
    response:close()
    if status >= 500 and self.began then return nil, ("events: %d %s"):format(status, reason), "EPROTO" end
    why = status ~= 200 and ("events: the answer is %d %s"):format(status, reason)
      or ("events: the answer is '%s', not %s"):format(kind:sub(1, 60), sse.TYPE)
    return nil, why, "EPROTO", true
  end
  response:untimed(self.idle_timeout)
  self.began, self.response, self.parser = true, response, sse.parser(self.max_event, self.last_id)
  return true
end

local function hang_up(self)
  if self.response then self.response:close() end
  self.response = nil
end

-- How long to wait before the next try.
local function pause(self)
  return math.min(self.retry * 2 ^ math.min(self.failures, 16), self.max_retry)
end

-- Makes the connection, as often as it takes. True, or nil, message, code.
local function establish(self)
  while not self.response do
    if self.began then core.sleep(pause(self)) end
    if self.closed then return nil, "closed", "ECLOSED" end
    local ok, why, code, final = connect(self)
    if not ok then
      self.failures = self.failures + 1
      if final or self.failures > self.attempts then return nil, why, code end
    end
  end
  return true
end

-- ---- events ----

-- Reads on, until there is an event. True; or nil, message, code.
local function fill(self)
  local response = self.response
  local bytes = response:receive()
  if not bytes then
    hang_up(self)
    if self.closed then return nil, "closed", "ECLOSED" end
    return true -- whatever it was: the next connection goes on
  end
  local list, why, code = self.parser:feed(bytes)
  if not list then
    hang_up(self)
    return nil, why, code
  end
  self.failures = 0
  self.last_id = self.parser.last_id
  if self.parser.retry then
    self.retry = math.max(self.min_retry, math.min(self.parser.retry / 1000, self.max_retry))
  end
  self.queue, self.at = list, 1
  return true
end

--- The next event: { type =, data =, id = }. At the end nil, message, "EOF"; or
-- nil, message, code.
function events:next()
  if self.why then return nil, self.why, self.code end
  while true do
    local event = self.queue[self.at]
    if event then
      self.queue[self.at] = nil
      self.at = self.at + 1
      return event
    end
    local ok, why, code = establish(self)
    if ok then ok, why, code = fill(self) end
    if not ok then
      self.why, self.code = why, code
      return nil, why, code
    end
  end
end

-- As the function of a `for`: raises on a failure.
function events:__call()
  local event, why, code = self:next()
  if event or code == "EOF" or code == "ECLOSED" then return event end
  error(why, 2)
end

function events:close()
  self.closed = true
  self.why, self.code = self.why or "closed", self.code or "ECLOSED"
  self.queue, self.at = {}, 1
  hang_up(self)
  return true
end
events.__close = events.close

--- The events of a URL: `for event in http.events(url) do`.
function M.events(url, given)
  args.argument(url, "string", 1, 2)
  local own, request = {}, {}
  if given ~= nil and type(given) ~= "table" then
    error(("bad argument #2 (table of options expected, got %s)"):format(type(given)), 2)
  end
  for name, value in pairs(given or {}) do
    if own_options[name] then own[name] = value else request[name] = value end
  end
  own = args.check(own, own_options, 2, 2)
  if own.client ~= nil and getmetatable(own.client) ~= clients.class then
    error("option 'client' must be what http.client makes", 2)
  end
  local retry, shortest = own.retry or RETRY, own.min_retry or math.min(SHORTEST, own.max_retry or SHORTEST)
  local longest = own.max_retry or math.max(LONGEST, retry, shortest)
  if longest < shortest then error("option 'max_retry' must not be less than 'min_retry'", 2) end
  if own.retry and longest < retry then error("option 'max_retry' must not be less than 'retry'", 2) end
  if own.last_id and own.last_id:find "[\0\r\n]" then error("option 'last_id' holds a line end or a NUL", 2) end
  args.blame(2, clients.check, request, own.client ~= nil)
  local self = setmetatable({
    url = url, request = request, client = own.client, last_id = own.last_id or "",
    retry = math.min(retry, longest), min_retry = shortest, max_retry = longest,
    attempts = own.attempts or math.huge, idle_timeout = own.idle_timeout, max_event = own.max_event,
    failures = 0, queue = {}, at = 1,
  }, events)
  return self, nil, nil, self
end

return M
