-- SPDX-License-Identifier: MIT
--- A client of HTTP/1.1: requests, redirects, passwords and cookies over a pool
-- of connections.
local args <const> = require "neap.args"
local core <const> = require "neap.core"
local dial <const> = require "neap.http.client.dial"
local exchange <const> = require "neap.http.client.exchange"
local login <const> = require "neap.http.client.login"
local pools <const> = require "neap.http.client.pool"
local redirect <const> = require "neap.http.client.redirect"
local requests <const> = require "neap.http.client.request"
local settings <const> = require "neap.http.client.settings"
local targets <const> = require "neap.http.client.target"

local M = {}

local FOLLOW <const>, TARGETS <const> = 10, 128 -- redirects; URLs whose parts are kept
local DRAIN <const> = 16384 -- bytes of a body that nobody wants, to keep the connection

local request_options <const>, client_options <const> = requests.options, settings.options
local named_options <const> = args.with(requests.options, { url = "string", method = "string" })

local client <const> = { __name = "neap.http.client" }
client.__index = client

-- `level` blames the caller.
local function new(given, level)
  local self = setmetatable(settings.check(given, level + 1), client)
  self.pool = pools.new(self.limits)
  self.targets, self.ntargets, self.logins = {}, 0, {}
  return self
end

-- A context for TLS, made when it is first needed.
local function context_of(self, slot)
  local kept = self[slot]
  if not kept then
    kept = { options = {} }
    self[slot] = kept
  end
  if kept.context then return kept.context end
  local o = kept.options
  if not o.alpn then o.alpn = { "http/1.1" } end
  local why, code
  kept.context, why, code = require "neap.tls".context(o)
  return kept.context, why, code
end

function client:tls_context() return context_of(self, "tls") end
function client:proxy_context() return context_of(self, "proxy_tls") end

-- ---- one request ----

local SAFE <const> = { GET = true, HEAD = true, OPTIONS = true, TRACE = true, PUT = true, DELETE = true }

-- How the end of a connection looks.
local ENDED <const> = { EPROTO = true, ECONNRESET = true, EPIPE = true, ETLS = true }

-- May a request be sent once more that had no answer on a connection that was
-- idle before?
local function may_repeat(hold, state, code)
  local conn = hold.conn
  if not conn or conn.uses == 1 or conn.answered then return false end
  if not ENDED[code] then return false end
  return SAFE[state.method] and (state.body.body == nil or state.body.repeatable)
end

local function rewind(body)
  if body.start then body.body:seek("set", body.start) end
end

-- By one connection. The response; or nil, message, code, and whether to try
-- with a fresh one.
local function attempt(self, state, o, deadline, fresh)
  local pool, route = self.pool, state.route
  local hold <close> = pool:hold(route.key)
  local reused, why, code = pool:obtain(hold, deadline, fresh)
  if reused == nil then return nil, why, code end
  if not reused then
    local stream
    stream, why, code = dial.open(self, route, state.target, deadline)
    if not stream then return nil, why, code end
    local conn = pool:enter(hold, stream)
    if state.target.secure then conn.tls = stream:tlsinfo() end
  end
  local response
  response, why, code = exchange.run(hold, state, o, deadline)
  if response then
    response.url, response.tls = state.target.text, hold.conn and hold.conn.tls
    return response
  end
  return nil, why, code, may_repeat(hold, state, code)
end

local function fail(state, why, code)
  return nil, ("%s %s: %s"):format(state.method, state.target.origin, why), code
end

-- One request, over a connection that is good.
local function exchanged(self, state, o, deadline)
  local response, why, code, again = attempt(self, state, o, deadline, false)
  if again then
    rewind(state.body)
    response, why, code = attempt(self, state, o, deadline, true)
  end
  if response then return response end
  return fail(state, why, code)
end

-- ---- and what it leads to ----

local function store_cookies(self, state, response)
  local jar = self.cookies
  for _, field in ipairs(response.headers:getall "set-cookie") do jar:set(state.target.parts, field, os.time()) end
end

local function give_up(response)
  if response.length and response.length <= DRAIN then
    response:discard(DRAIN)
  else
    response:close()
  end
end

local function cannot_repeat(state, response)
  return fail(state, ("the answer %d wants the body once more, which cannot be read again"):format(response.status),
    "ESPIPE")
end

-- The route and the head of what is to be sent.
local function prepare(self, state, o)
  local why, code
  state.route, why, code = dial.route(o, state.target)
  if not state.route then return fail(state, why, code) end
  state.framing = requests.framing(state.method, state.body, o.trailers)
  state.expect = state.framing and not state.unexpected and requests.expect(o) or nil
  state.authorization = login.authorization(self, state, o)
  state.cookie = self.cookies and self.cookies:header(state.target.parts, os.time())
  state.head = requests.head(state, o, state.route)
  return true
end

-- Becomes what a redirect leads to. True, or nil, message, code.
local function follow(state, response, o)
  local from = state.target
  local to, why, code = redirect.target(from, response, o.allow_downgrade)
  if not to then return fail(state, why, code) end
  local method, with_body = redirect.method(response.status, state.method)
  if with_body and state.body.body ~= nil and not state.body.repeatable then return cannot_repeat(state, response) end
  local other = to.origin ~= from.origin
  state.fields = redirect.kept(state.fields, other, not with_body)
  if not with_body then state.body = {} end
  if other then state.foreign, state.tried = true, nil end
  state.method, state.target = method, to
  state.sent = state.body.body
  state.body_read = true
  return true
end

-- What there is to do before a response is the caller's: true to send once
-- more, false for nothing, or nil, message, code.
local function next_step(self, state, response, o)
  local status = response.status
  if status < 300 then return false end
  if status == 417 and state.expect then
    state.unexpected = true
    return true
  end
  if status == 401 or status == 407 then
    local again, why, code = login.answer(self, state, response, o)
    if again == nil then return fail(state, why, code) end
    if again and state.body.body ~= nil and not state.body.repeatable then return cannot_repeat(state, response) end
    return again
  end
  local most = o.follow
  if most == nil then most = FOLLOW end
  if not most or most == 0 or not redirect.leads(response) then return false end
  if #state.history >= most then
    return fail(state, ("more than %d redirects"):format(most), "ELOOP")
  end
  state.history[#state.history + 1] = { url = state.target.text, status = status, headers = response.headers }
  return follow(state, response, o)
end

local function perform(self, state, o)
  local deadline = o.timeout and core.now() + o.timeout
  while true do
    local ok, why, code = prepare(self, state, o)
    if not ok then return nil, why, code end
    local response
    response, why, code = exchanged(self, state, o, deadline)
    if not response then return nil, why, code end
    if self.cookies then store_cookies(self, state, response) end
    local again
    again, why, code = next_step(self, state, response, o)
    if not again then
      if again == nil then
        response:close()
        return nil, why, code
      end
      if state.history[1] then response.history = state.history end
      return response
    end
    give_up(response)
    rewind(state.body)
  end
end

-- ---- calls ----

local NOTHING <const> = {}

-- A target that was asked for before keeps its parts, and the head of a
-- request for which nothing else was said.
local function target_of(self, text)
  local known = self.targets[text]
  if known then return known end
  local target, why, code = targets.parse(text)
  if not target then return nil, why, code end
  if self.ntargets == TARGETS then self.targets, self.ntargets = {}, 0 end
  self.targets[text], self.ntargets = target, self.ntargets + 1
  return target
end

local plain_heads <const> = { GET = true, HEAD = true, DELETE = true }

local function plain_state(self, method, target)
  local heads = target.heads
  if not heads then
    heads = {}
    target.heads = heads
  end
  local state = heads[method]
  if not state then
    state = { method = method, target = target, fields = self.settings.fields, body = NOTHING }
    local ok, why, code = prepare(self, state, self.settings)
    if not ok then return nil, why, code end
    heads[method] = state
  end
  return state
end

-- The way of most requests: nothing is made that was there before.
local function plain(self, method, target)
  local state, why, code = plain_state(self, method, target)
  if not state then return nil, why, code end
  local response
  response, why, code = exchanged(self, state, self.settings, nil)
  if not response then return nil, why, code end
  if response.status < 300 then return response end
  local own = { method = method, target = target, fields = state.fields, body = state.body, history = {},
    route = state.route }
  local again
  again, why, code = next_step(self, own, response, self.settings)
  if again == false then return response end
  if again == nil then
    response:close()
    return nil, why, code
  end
  give_up(response)
  return perform(self, own, self.settings)
end

local function merged_fields(self, o)
  local given, own = rawget(o, "fields"), self.settings.fields
  if not given then return own end
  if not own[1] then return given end
  local list, has = {}, {}
  for _, pair in ipairs(given) do has[pair[1]:lower()] = true end
  for _, pair in ipairs(own) do
    if not has[pair[1]:lower()] then list[#list + 1] = pair end
  end
  return table.move(given, 1, #given, #list + 1, list)
end

-- `o` was checked.
local function request(self, method, text, o, level)
  if method:find "[^A-Za-z0-9!#$%%&'*+.^_`|~-]" or method == "" or #method > 64 then
    error(("bad method '%s' (a token expected)"):format((method:gsub("[%c\x80-\xff]", "?"))), level + 1)
  end
  if method == "CONNECT" then error("the method CONNECT is the proxies'", level + 1) end
  if o.upgrade and o.upgrade:find "[^A-Za-z0-9!#$%%&'*+.^_`|~/ ,-]" then
    error("option 'upgrade' holds a byte that cannot be there", level + 1)
  end
  local target, why, code = targets.parse(text, o.query)
  if not target then return nil, ("%s: %s"):format(method, why), code end
  local body
  body, why, code = requests.body(o.body, level + 1)
  if not body then return nil, ("%s %s: %s"):format(method, target.origin, why), code end
  return perform(self, { method = method, target = target, fields = merged_fields(self, o), body = body, history = {},
    origin = target.origin, upgrade = o.upgrade, trailers = o.trailers }, o)
end

local function call(self, method, text, given, level)
  if type(text) ~= "string" then
    error(("bad argument #%d (URL expected, got %s)"):format(1, type(text)), level + 1)
  end
  if given == nil and self.plain and plain_heads[method] then
    local target, why, code = target_of(self, text)
    if not target then return nil, ("%s: %s"):format(method, why), code end
    if not target.user then return plain(self, method, target) end
  end
  local o = requests.check(args.check(given, request_options, 2, level + 1), level + 1)
  return request(self, method, text, setmetatable(o, self.defaults), level + 1)
end

for name, method in pairs { get = "GET", head = "HEAD", post = "POST", put = "PUT", patch = "PATCH",
  delete = "DELETE", options = "OPTIONS" } do
  client[name] = function(self, text, given)
    if getmetatable(self) ~= client then args.method(self, client, name, 2) end
    local response, why, code = call(self, method, text, given, 2)
    return response, why, code -- no tail call: this frame counts
  end
end

--- request{ method =, url =, ... }, or request(method, url, options).
function client:request(method, text, given)
  if getmetatable(self) ~= client then args.method(self, client, "request", 2) end
  local response, why, code
  if type(method) == "table" then
    local o = args.check(method, named_options, 1, 2)
    method, text = o.method or "GET", o.url
    o.method, o.url = nil, nil
    if not text then error("option 'url' is missing", 2) end
    requests.check(o, 2)
    response, why, code = request(self, method, text, setmetatable(o, self.defaults), 2)
  else
    args.argument(method, "string", 1, 2)
    response, why, code = call(self, method, text, given, 2)
  end
  return response, why, code -- no tail call, as above
end

--- The state of the pool.
function client:connections() return self.pool:state() end

--- Closes the connections that are idle.
function client:closeidle() self.pool:clear() end

function client:isopen() return not self.pool.closed end

--- Closes what is idle, and lets what is in use end; requests fail from now on.
function client:close()
  self.pool:close()
  return true
end
client.__close = client.close

--- A client with a pool of its own.
function M.client(given)
  local self = new(given, 2) -- no tail call, as above
  return self
end

-- ---- without a client of one's own ----

M.class = client

--- Raises on options that no request has.
function M.check(given, of_client)
  local o = args.check(given, of_client and request_options or client_options, 2, 1)
  for _, name in ipairs(settings.client_only) do o[name] = nil end
  requests.check(o, 1)
end

-- A client for one call: a connection lives as long as the response.
local function once(method, text, given, level)
  if type(text) ~= "string" then error(("bad argument #1 (URL expected, got %s)"):format(type(text)), level + 1) end
  local o, its = args.check(given, client_options, 2, level + 1), {}
  for _, name in ipairs(settings.client_only) do its[name], o[name] = o[name], nil end
  local self <close> = new(its, level + 1)
  requests.check(o, level + 1)
  local response, why, code = request(self, method, text, setmetatable(o, self.defaults), level + 1)
  return response, why, code
end

for name, method in pairs { get = "GET", head = "HEAD", post = "POST", put = "PUT", patch = "PATCH",
  delete = "DELETE", options = "OPTIONS" } do
  M[name] = function(text, given)
    local response, why, code = once(method, text, given, 2)
    return response, why, code -- no tail call, as above
  end
end

--- request{ method =, url =, ... }, or request(method, url, options).
function M.request(method, text, given)
  if type(method) == "table" then
    given = {}
    for name, value in pairs(method) do given[name] = value end
    method, text = given.method or "GET", given.url
    given.method, given.url = nil, nil
    if text == nil then error("option 'url' is missing", 2) end
  end
  args.argument(method, "string", 1, 2)
  local response, why, code = once(method, text, given, 2)
  return response, why, code -- no tail call, as above
end

return M
