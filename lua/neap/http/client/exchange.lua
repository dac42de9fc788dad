-- SPDX-License-Identifier: MIT
--- One request and its response over a connection: what is sent, while an
-- answer may come before all of it is, and what is received.
local core <const> = require "neap.core"
local httpcore <const> = require "neap.httpcore"
local responses <const> = require "neap.http.client.response"
local send <const> = require "neap.http.send"

local M = {}

local MOST_INTERIM <const> = 32 -- answers of 1xx before the one
local SMALL <const> = 16384 -- a body that goes with its head, without a task of its own

local now <const>, decode <const> = core.now, core.decode

-- What the stream may take for its next call: the rest of the time, if there
-- is a deadline.
local function set_time(conn, deadline)
  if not deadline then
    if conn.timed then
      conn.timed = nil
      conn.stream:settimeout(nil)
    end
    return true
  end
  local left = deadline - now()
  if left <= 0 then return nil, "timed out", "ETIMEDOUT" end
  conn.timed = true
  conn.stream:settimeout(left)
  return true
end

-- ---- receiving ----

local function codec_of(make, o)
  return make("response", { head = o.max_head, fields = o.max_fields }, responses.class)
end

local function no_answer(began, why, code)
  if code ~= "EOF" then return nil, why, code end
  if began then return nil, "the answer ends within its head", "EPROTO" end
  return nil, "the connection was closed without an answer", "EPROTO"
end

local function may_wait(conn, deadline)
  if deadline or conn.timed then return set_time(conn, deadline) end
  return true
end

-- A head that has not come as a whole, or is malformed.
local function parsed_head(conn, method, o, deadline)
  local parser = conn.parser or codec_of(httpcore.parser, o)
  conn.parser = parser
  while true do
    local ok, why, code = may_wait(conn, deadline)
    if not ok then return nil, why, code end
    local response, left, status
    response, left, code, status = decode(conn.stream, parser, method)
    if response then return response, left end
    if response == nil then
      if status then return nil, left, code end
      return no_answer(true, left, code)
    end
  end
end

-- A head; in conn.left is how many bytes are there behind it. Or nil, message,
-- code.
local function next_head(conn, method, o, deadline)
  local heads = conn.heads
  if not heads then
    heads = codec_of(httpcore.heads, o)
    conn.heads = heads
  end
  local ok, why, code = may_wait(conn, deadline)
  if not ok then return nil, why, code end
  local response, left
  response, left, code = decode(conn.stream, heads, nil, method)
  if response == nil then return no_answer(false, left, code) end
  conn.answered = true
  if not response then
    response, left, code = parsed_head(conn, method, o, deadline)
    if not response then return nil, left, code end
  end
  conn.left = left
  return response
end

-- The head of the answer; with `until_continue` true for 100.
local function read_head(conn, request, o, deadline, until_continue)
  while true do
    local response, why, code = next_head(conn, request.method, o, deadline)
    if response then
      local status = response.status
      if status >= 200 then return response end
      if status == 101 then
        if request.upgrade then return response end
        return nil, "the server changed the protocol, which nobody asked for", "EPROTO"
      end
      conn.interim = (conn.interim or 0) + 1
      if conn.interim > MOST_INTERIM then return nil, "too many interim answers", "EBADMSG" end
      if status == 100 and until_continue then return true end
    else
      return nil, why, code
    end
  end
end

-- ---- sending ----

-- What send.write writes to: notes that it was this side that failed.
local sink <const> = {}
sink.__index = sink

local function through(self, method, ...)
  local stream = self.conn.stream
  local ok, why, code = set_time(self.conn, self.deadline)
  if ok then ok, why, code = stream[method](stream, ...) end
  if not ok then self.failed = true end
  return ok, why, code
end

function sink:write(...) return through(self, "write", ...) end
function sink:sendfile(...) return through(self, "sendfile", ...) end

-- The body goes in a task of its own. If that fails for a reason of its own,
-- whoever waits for the answer is woken; if the connection fails, there may
-- still be an answer to read.
local function send_beside(conn, head, request, deadline)
  local sending = {}
  local to = setmetatable({ conn = conn, deadline = deadline }, sink)
  sending.task = core.spawn({ daemon = true, name = "http body" }, function()
    local ran, ok, why, code = pcall(send.write, to, head, request.body.body, request.framing, request.trailers)
    if ran and ok then
      sending.done = true
      return
    end
    sending.failed = true
    if not ran then
      sending.raised, sending.err = true, ok
    else
      sending.why, sending.code = why, code
    end
    if ran and to.failed then return end
    conn.stream:close()
    if sending.given and sending.raised and type(ok) ~= "userdata" then error(ok, 0) end
  end)
  return sending
end

-- What is to be said when no answer came: what the sender died of comes first.
local function blame_sender(sending, why, code)
  if not (sending and sending.failed) then return nil, why, code end
  if sending.raised then error(sending.err, 0) end
  return nil, sending.why, sending.code
end

-- The head goes alone, and the body if the server says so, or nothing. The
-- answer, or true to send the body.
local function ask_first(conn, head, request, o, deadline)
  local ok, why, code = conn.stream:write(head)
  if not ok then return nil, why, code end
  local wait = now() + request.expect
  if deadline and deadline < wait then wait = deadline end
  local response
  response, why, code = read_head(conn, request, o, wait, true)
  if response or code ~= "ETIMEDOUT" or wait == deadline then return response, why, code end
  return true
end

local function send_and_read(hold, head, request, o, deadline)
  local conn = hold.conn
  if request.expect then
    local response, why, code = ask_first(conn, head, request, o, deadline)
    if response ~= true then return response, why, code, true end
    local ok
    ok, why, code = set_time(conn, deadline)
    if not ok then return nil, why, code end
    head = ""
  end
  local body = request.body.body
  if body == nil or type(body) == "string" and #body <= SMALL and request.framing ~= "chunked" then
    local ok, why, code
    if body == nil or body == "" then
      ok, why, code = conn.stream:write(head)
    else
      ok, why, code = conn.stream:write(head, body)
    end
    if not ok then
      if code ~= "EPIPE" and code ~= "ECONNRESET" then return nil, why, code end
      local response = read_head(conn, request, o, deadline) -- it may have said why
      if response then return response, nil, nil, true end
      return nil, why, code
    end
    return read_head(conn, request, o, deadline)
  end
  local sending = send_beside(conn, head, request, deadline)
  hold.sending = sending
  local response, why, code = read_head(conn, request, o, deadline)
  if not response then return blame_sender(sending, why, code) end
  sending.given = true
  if not sending.done and response.status >= 300 then
    sending.task:cancel(0)
    return response, nil, nil, true
  end
  return response
end

--- Sends a request, { method, head, body, framing, trailers, expect, upgrade },
-- over a hold's connection. The response, with its body to be read; or nil,
-- message, code.
function M.run(hold, request, o, deadline)
  local conn = hold.conn
  conn.answered, conn.interim, conn.deadline = nil, nil, deadline
  local ok, why, code = set_time(conn, deadline)
  if not ok then return nil, why, code end
  local response, unusable
  response, why, code, unusable = send_and_read(hold, request.head, request, o, deadline)
  if not response then return nil, why, code end
  return responses.begin(response, hold, o, unusable or o.keepalive == false)
end

return M
