-- SPDX-License-Identifier: MIT
--- What a program asks for, checked, and the bytes of a request's head.
local args <const> = require "neap.args"
local auth <const> = require "neap.http.auth"
local coding <const> = require "neap.http.coding"
local httpcore <const> = require "neap.httpcore"
local range <const> = require "neap.http.range"
local send <const> = require "neap.http.send"

local M = {}

local EXPECT <const> = 1 -- seconds to wait for 100
local AGENT <const> = "neap"

-- ---- options ----

--- Of a request; a client has them as defaults.
M.options = {
  headers = "fd", query = "table", body = "fd", trailers = "table", timeout = "seconds", maxbody = "count",
  auth = "table", follow = "fd", allow_downgrade = "boolean", decode = "boolean", expect = "fd", proxy = "fd",
  no_proxy = "string", unix = "string", range = "table", keepalive = "boolean", upgrade = "string",
  resume = "string",
}

local function bad(level, text, ...) error(text:format(...), level + 1) end

local function check_headers(given, level)
  if type(given) ~= "table" and type(given) ~= "userdata" then
    bad(level + 1, "option 'headers' must be a table of names and values, or a list of { name, value }")
  end
  args.blame(level + 1, httpcore.headers, given)
end

-- What the request's own way of being framed says is not for others to say.
local OURS <const> = {
  ["content-length"] = "it is the body's", ["transfer-encoding"] = "it is the body's",
  connection = "use option 'keepalive' or 'upgrade'", upgrade = "use option 'upgrade'",
  expect = "use option 'expect'", trailer = "it is the trailers'", ["keep-alive"] = "it means nothing",
  ["proxy-connection"] = "it means nothing",
}

-- A list of { name, value }.
local function fields_of(given, level)
  local list = {}
  if type(given) == "userdata" then
    for name, value in given:pairs() do list[#list + 1] = { name, value } end
  else
    for i, pair in ipairs(given) do list[i] = pair end
    local names = {}
    for name in pairs(given) do
      if type(name) == "string" then names[#names + 1] = name end
    end
    table.sort(names)
    for _, name in ipairs(names) do list[#list + 1] = { name, given[name] } end
  end
  for _, pair in ipairs(list) do
    local why = OURS[pair[1]:lower()]
    if why then bad(level + 1, "option 'headers': '%s' cannot be set: %s", pair[1], why) end
  end
  return list
end

local function check_auth(given, level)
  local ok = type(given.bearer) == "string" or type(given[1]) == "string" and type(given[2]) == "string"
  for name, value in pairs(given) do
    ok = ok and (name == 1 or name == 2 or name == "bearer" or name == "scheme" and (value == "basic"
      or value == "digest"))
  end
  if not ok then bad(level + 1, "option 'auth' must be { user, password } or { bearer = token }") end
  if given.bearer and given.bearer:find "[^A-Za-z0-9._~+/=-]" then
    bad(level + 1, "option 'auth': a byte that a token cannot have")
  end
  if given[1] then args.blame(level + 1, assert, auth.basic(given[1], given[2])) end
end

local function check_proxy(given, level)
  if type(given) == "boolean" then return end
  if type(given) ~= "string" then bad(level + 1, "option 'proxy' must be a URL or a boolean") end
  local proxy, why = require "neap.http.client.proxy".parse(given)
  if not proxy then bad(level + 1, "option 'proxy': %s", why:gsub("^proxy: ", "")) end
end

local function check_range(given, level)
  local first, last = given[1], given[2]
  if math.type(first) ~= "integer" or first < 0 or last ~= nil and (math.type(last) ~= "integer" or last < first) then
    bad(level + 1, "option 'range' must be { first, last } or { first }")
  end
end

--- Options that were given are checked, as far as their types do not tell.
-- `o` is what args.check has made; `level` blames the caller.
function M.check(o, level)
  if o.headers then
    check_headers(o.headers, level + 1)
    o.fields = fields_of(o.headers, level + 1)
  end
  if o.trailers then args.blame(level + 1, httpcore.last_chunk, o.trailers) end
  if o.auth then check_auth(o.auth, level + 1) end
  if o.proxy ~= nil then check_proxy(o.proxy, level + 1) end
  if o.range then check_range(o.range, level + 1) end
  if o.unix then args.blame(level + 1, args.path, o.unix, 1, 2) end
  local follow = o.follow
  if follow ~= nil and follow ~= false and (math.type(follow) ~= "integer" or follow < 0) then
    bad(level + 1, "option 'follow' must be a number of redirects, or false")
  end
  local expect = o.expect
  if expect ~= nil and type(expect) ~= "boolean" and not (type(expect) == "number" and expect >= 0) then
    bad(level + 1, "option 'expect' must be a boolean or seconds to wait")
  end
  if o.query then args.blame(level + 1, require "neap.url".buildquery, o.query) end
  return o
end

-- ---- bodies ----

--- A body as it was given: what send takes, its type, and how it is read once
-- more. Raises on what is none; nil, message, code for a file that is not there.
function M.body(given, level)
  if given == nil then return {} end
  local body, kind = given, nil
  if type(given) == "table" and getmetatable(given) == nil then
    local name, content = next(given)
    if (name ~= "form" and name ~= "multipart") or next(given, name) ~= nil or type(content) ~= "table" then
      bad(level + 1, "option 'body': { form = table } or { multipart = table } expected")
    end
    local forms = require "neap.http.form"
    if name == "form" then
      body, kind = args.blame(level + 1, forms.encode, content), forms.URLENCODED
    else
      local why, code
      body, why, code = args.blame(level + 1, forms.multipart, content)
      if not body then return nil, why, code end
      kind = body.type
    end
  end
  local what = send.kind(body)
  if not what or what == "none" then
    bad(level + 1, "option 'body': a %s cannot be a body", io.type(given) or type(given))
  end
  local length = send.length(body, what)
  local start = what == "handle" and length and body:seek() or nil
  local repeatable = what == "string" or what == "file" or what == "chunks" and body.rewinds or start ~= nil
  return { body = body, type = kind, length = length, repeatable = repeatable or false, start = start }
end

-- ---- heads ----

local WITH_BODY <const> = { POST = true, PUT = true, PATCH = true }

--- How the body is framed: nil, a length, "chunked".
function M.framing(method, body, trailers)
  if body.body == nil then return WITH_BODY[method] and 0 or nil end
  if trailers then return "chunked" end
  return body.length or "chunked"
end

local function add_defaults(list, state, o, has)
  local function add(name, value)
    if value and not has[name:lower()] then list[#list + 1] = { name, value } end
  end
  add("Host", state.target.authority)
  add("User-Agent", AGENT)
  add("Accept", "*/*")
  if o.resume then
    local size, validator = require "neap.http.save".part(o.resume)
    if size > 0 then
      add("Range", range.request(size))
      add("If-Range", validator)
    end
  elseif o.range then
    add("Range", range.request(o.range[1], o.range[2]))
  elseif o.decode ~= false then
    add("Accept-Encoding", coding.accept())
  end
  add("Content-Type", state.body.type)
  add("Authorization", state.authorization)
  add("Cookie", state.cookie)
  return add
end

--- The bytes of a head. `state` has method, target, fields (a list), body, and
-- perhaps authorization, cookie, expect; `route` says how they go.
function M.head(state, o, route)
  local target = state.target
  local list, has = {}, {}
  for _, pair in ipairs(state.fields) do has[pair[1]:lower()] = true end
  local add = add_defaults(list, state, o, has)
  local where = target.target
  if route.what == "forward" then
    where = ("%s%s"):format(target.origin, where)
    add("Proxy-Authorization", state.proxy_authorization or route.proxy.authorization)
  end
  for _, pair in ipairs(state.fields) do list[#list + 1] = pair end
  if state.framing and state.expect then list[#list + 1] = { "Expect", "100-continue" } end
  if o.trailers and state.framing == "chunked" then
    local names = {}
    for name in httpcore.headers(o.trailers):pairs() do names[#names + 1] = name end
    list[#list + 1] = { "Trailer", table.concat(names, ", ") }
  end
  local connection = o.keepalive == false and "close" or nil
  if o.upgrade then
    connection = "Upgrade"
    list[#list + 1] = { "Upgrade", o.upgrade }
  end
  if has.te then connection = connection and connection .. ", TE" or "TE" end -- RFC 9110, 10.1.4
  return httpcore.request(state.method, where, list, state.framing, connection)
end

--- Seconds to wait for 100, or nil.
function M.expect(o)
  if o.expect == true then return EXPECT end
  return o.expect or nil
end

return M
