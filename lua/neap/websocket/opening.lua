-- SPDX-License-Identifier: MIT
--- How a WebSocket comes to be: a client's connection and request, a server's
-- answer.
local base64 <const> = require "neap.base64"
local connection <const> = require "neap.websocket.connection"
local core <const> = require "neap.core"
local handshake <const> = require "neap.websocket.handshake"
local httpcore <const> = require "neap.httpcore"
local random <const> = require "neap.random"

local M = {}

local HEAD <const>, MOST_INTERIM <const> = 65536, 8
local LINGER <const>, LINGER_MOST <const> = 1, 1 << 20 -- seconds, bytes: after a refusal

-- ---- heads ----

local function left(deadline) return math.max(0, deadline - core.now()) end

-- The head of a message, of which nothing behind it is taken.
local function read_head(stream, kind, deadline)
  local parser <const> = httpcore.parser(kind, { head = HEAD })
  while true do
    local bytes, why, code = stream:settimeout(left(deadline)):receive()
    if not bytes then
      if code == "EOF" then why, code = "the connection ended before the handshake did", "EPROTO" end
      return nil, why, code
    end
    local head, at, failure, status = parser:feed(bytes)
    if head == nil then return nil, at, failure, status end
    if head then
      if at <= #bytes then stream:unread(bytes:sub(at)) end
      return head
    end
  end
end

-- ---- a client ----

-- What dial wants to know of who connects.
local function dialler(o)
  return {
    tcp = o.tcp, servername = o.servername, tls_context = function() return o.context end,
    proxy_context = function() return require "neap.tls".context {} end,
  }
end

local function shake(stream, target, o, deadline)
  local key <const> = base64.encode(random.bytes(16))
  local ok, why, code = stream:settimeout(left(deadline)):write(handshake.request(target, o, key))
  if not ok then return nil, why, code end
  for _ = 0, MOST_INTERIM do
    local response
    response, why, code = read_head(stream, "response", deadline)
    if not response then return nil, why, code end
    if response.status == 101 or response.status >= 200 then
      local agreed
      agreed, why = handshake.agreed(response, o, key)
      if not agreed then return nil, why, "EPROTO", response end
      agreed.headers = response.headers
      return agreed
    end
  end
  return nil, "too many interim answers", "EPROTO"
end

--- A connection to a target; or nil, message, code, and the response if there
-- was one.
function M.connect(target, o)
  local deadline <const> = core.now() + o.open_timeout
  local dial <const> = require "neap.http.client.dial"
  local route, why, code = dial.route({ unix = o.unix, proxy = o.proxy, no_proxy = o.no_proxy, upgrade = true }, target)
  if not route then return nil, why, code end
  local stream
  stream, why, code = dial.open(dialler(o), route, target, deadline)
  if not stream then return nil, why, code end
  local guard <close> = setmetatable({}, { __close = function() if stream then stream:close() end end })
  local agreed, response
  agreed, why, code, response = shake(stream, target, o, deadline)
  if not agreed then return nil, ("%s: %s"):format(target.shown, why), code, response end
  local ws = connection.new(stream, "client", agreed, o)
  ws.headers = agreed.headers
  stream = nil -- the connection has it
  return ws
end

-- ---- a server ----

local CODES <const> = { [403] = "EACCES" }

local function accepted(stream, answer, request, o)
  local ws = connection.new(stream, "server", answer, o)
  ws.request, ws.headers = request, request.headers
  return ws
end

--- Of a request that a server of HTTP hands over: the connection; or nil,
-- message, code, and the answer to refuse it with.
function M.accept(request, o)
  local answer, why, refusal = handshake.answer(request, o)
  if not answer then return nil, "websocket: " .. why, CODES[refusal.status] or "EPROTO", refusal end
  local stream, code
  stream, why, code = request:upgrade("websocket", answer.headers)
  if not stream then return nil, why, code end
  return accepted(stream, answer, request, o)
end

-- Answers what cannot be, and closes so that the answer arrives.
local function turn_away(stream, refusal, deadline)
  local guard <close> = stream
  local head = httpcore.response(refusal.status, refusal.headers, #refusal.body, refusal.headers.Connection or "close")
  if not stream:settimeout(left(deadline)):write(head, refusal.body) then return end
  stream:shutdown "w"
  deadline = core.now() + LINGER
  local most = LINGER_MOST
  while most > 0 do
    local bytes = stream:settimeout(left(deadline)):receive()
    if not bytes then return end
    most = most - #bytes
  end
end

-- What the handshake takes of a stream: the request and the answer to it; or
-- nil, message, code.
local function answer_stream(stream, o, deadline)
  local request, why, code, status = read_head(stream, "request", deadline)
  if not request then
    if status then turn_away(stream, { status = status, headers = {}, body = "" }, deadline) end
    return nil, why, code
  end
  local answer, refusal
  answer, why, refusal = handshake.answer(request, o)
  if not answer then
    turn_away(stream, refusal, deadline)
    return nil, "websocket: " .. why, CODES[refusal.status] or "EPROTO"
  end
  local headers = httpcore.headers { Upgrade = "websocket", Connection = "Upgrade" }
  for _, field in ipairs(answer.headers) do headers:add(field[1], field[2]) end
  local ok
  ok, why, code = stream:settimeout(left(deadline)):write(httpcore.response(101, headers))
  if not ok then return nil, why, code end
  return request, answer
end

--- Of a stream that a client has just connected: the connection; or nil,
-- message, code, and then the client was told and the stream is closed.
function M.accept_stream(stream, o)
  local deadline <const> = core.now() + o.open_timeout
  local whose = stream
  local guard <close> = setmetatable({}, { __close = function() if whose then whose:close() end end })
  local request, answer, code = answer_stream(stream, o, deadline)
  if not request then return nil, answer, code end
  whose = nil
  return accepted(stream, answer, request, o)
end

return M
