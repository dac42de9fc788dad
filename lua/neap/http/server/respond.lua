-- SPDX-License-Identifier: MIT
--- The answer to a request: what a handler returned, as bytes.
local httpcore <const> = require "neap.httpcore"
local send <const> = require "neap.http.send"

local M = {}

local HELD <const> = 28 -- strings that wait to be written together
local HELD_BYTES <const> = 65536

local JOINED <const> = 4096 -- bytes of a body that goes in one piece with its head

local build <const>, answer <const> = httpcore.response, httpcore.answer
M.JOINED = JOINED

--- What an answer with a text begins with; `line` is a field more.
function M.text_begin(line)
  return "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" .. (line or "")
end

-- ---- fields ----

-- What a handler's headers, of whatever form, say of a name in lower case.
local function field(headers, name)
  if not headers then return nil end
  if type(headers) == "userdata" then return headers:get(name) end
  for key, value in pairs(headers) do
    if type(key) == "string" then
      if #key == #name and key:lower() == name then return value end
    elseif type(value) == "table" and type(value[1]) == "string" and value[1]:lower() == name then
      return value[2]
    end
  end
end

-- A head with one more line.
local function with_line(head, line) return head:sub(1, -3) .. line .. "\r\n" end

local function has_token(value, token)
  return type(value) == "string" and (", " .. value:lower() .. ","):find("[, \t]" .. token .. "[, \t]") ~= nil
end

local phrases <const> = {}

--- "404 Not Found"
function M.phrase(status)
  phrases[status] = phrases[status] or build(status):match "^HTTP/1%.1 ([^\r]*)":gsub(" $", "")
  return phrases[status]
end

-- ---- what goes out ----

--- Answers that wait for more to go with them go out.
function M.flush(conn)
  local held <const> = conn.held
  if not held then return true end
  conn.held, conn.held_bytes = nil, 0
  return conn:write(table.unpack(held))
end

-- While more requests are there already, answers wait for each other; but not
-- for a handler that waits: then this task runs.
local function hold(conn, head, body)
  local held = conn.held
  if not held then
    held = {}
    conn.held = held
    conn:flush_soon()
  end
  held[#held + 1] = head
  if body ~= "" then held[#held + 1] = body end
  conn.held_bytes = conn.held_bytes + #head + #body
  if #held >= HELD or conn.held_bytes > HELD_BYTES then return M.flush(conn) end
  return true
end

local function emit(conn, head, body)
  if conn.left > 0 and not conn.wire then return hold(conn, head, body) end
  local held <const> = conn.held
  if not held then return conn:write(head, body) end
  held[#held + 1] = head
  held[#held + 1] = body
  return M.flush(conn)
end

-- What Connection says: nothing while 1.1 goes on, but that Upgrade is for this
-- connection alone (RFC 9110, 7.8).
local function connection_of(conn, request, headers)
  local said <const> = not conn.keep and "close" or request.version == "1.0" and "keep-alive" or nil
  if field(headers, "upgrade") == nil then return said end
  return said and said .. ", Upgrade" or "Upgrade"
end

-- What was asked for from here on cannot be answered on this connection.
local function may_keep(conn, request)
  local o <const> = conn.options
  conn.requests = conn.requests + 1
  if conn.server.stopping or not o.keepalive or o.max_requests and conn.requests >= o.max_requests then return false end
  return not request.framing or request:settles()
end

--- A string as the answer to a usual request, when there is more to it than
-- to write it.
function M.text(conn, request, begin, body)
  if conn.server.log then request.status, request.sent = 200, #body end
  if #body > JOINED then return emit(conn, answer(begin, #body), body) end
  return emit(conn, answer(begin, body), "")
end

local function bodiless(status) return status < 200 or status == 204 or status == 304 end

-- How the answer is framed: a length, "chunked", or nil for none.
local function framing_of(request, status, body, kind, headers)
  local length, said = send.length(body, kind), field(headers, "content-length")
  if said ~= nil then
    local number <const> = math.tointeger(tonumber(said))
    if not number or number < 0 then error("the header Content-Length is no number", 0) end
    if request.method == "HEAD" and kind == "none" then return number end
    if length and length ~= number and not bodiless(status) then
      error(("Content-Length is %d, but the body has %d bytes"):format(number, length), 0)
    end
    length = number
  end
  if length then return length end
  return request.version == "1.1" and "chunked" or "close"
end

-- The head, and how the body is framed.
local function make_head(conn, request, status, body, kind, headers, trailers)
  local framing = framing_of(request, status, body, kind, headers)
  local plain <const> = framing
  if trailers and math.type(framing) and request.version == "1.1" and kind ~= "none" then framing = "chunked" end
  local silent <const> = bodiless(status)
  if framing == "close" and request.method ~= "HEAD" and not silent then conn.keep = false end
  local shown = framing
  if silent then
    shown = status == 304 and math.type(plain) and kind ~= "none" and plain or nil
  elseif framing == "close" or request.method == "HEAD" and framing == "chunked" then
    shown = nil
  end
  local connection = connection_of(conn, request, headers)
  -- Without both the handler's own framing would be written.
  if not shown and not connection then connection = "" end
  local head = build(status, headers, shown, connection)
  if (kind == "string" and body ~= "" or kind == "file") and not silent and field(headers, "content-type") == nil then
    local said <const> = kind == "file" and require "neap.http.mime".type(body.path) or "text/plain; charset=utf-8"
    head = with_line(head, ("Content-Type: %s\r\n"):format(said))
  end
  if conn.server.line then head = with_line(head, conn.server.line) end
  return head, framing
end

-- Closes what an answer's body is made of, however that ends.
local closing <const> = { __close = function(self) send.close(self.body) end }

-- What an answer can be; the kind of its body.
local function check(status, body, headers)
  local kind <const> = send.kind(body)
  if not kind then error(("a %s cannot be a body"):format(io.type(body) or type(body)), 0) end
  if math.type(status) ~= "integer" or status < 200 or status > 599 then
    error(("bad status %s (200 to 599 expected)"):format(tostring(status)), 0)
  end
  if headers ~= nil and type(headers) ~= "table" and type(headers) ~= "userdata" then
    error(("bad headers (table expected, got %s)"):format(type(headers)), 0)
  end
  return kind
end

local function settle_keep(conn, request, headers)
  if conn.keep then conn.keep = may_keep(conn, request) and not has_token(field(headers, "connection"), "close") end
  if rawget(request, "tunnel") then conn.keep = false end
end

--- The head of an answer that is written piece by piece, its framing, and
-- whether nothing follows.
function M.begin(conn, request, status, headers)
  check(status, nil, headers)
  settle_keep(conn, request, headers)
  local head <const>, framing <const> = make_head(conn, request, status, "", "iterator", headers)
  request.status, request.sent = status, 0
  return head, framing, request.method == "HEAD" or bodiless(status)
end

-- Fields that were written before, for an answer that is not as usual.
local function fields_of(begin)
  local list <const> = {}
  for name, value in begin:gmatch "\r\n([^:\r]+): ([^\r]*)" do list[#list + 1] = { name, value } end
  return list
end

-- A file whose fields were written before.
local function with_file(conn, request, file)
  local guard <close> = file
  local head = answer(file.begin, file.length)
  if conn.server.line then head = with_line(head, conn.server.line) end
  request.status = 200
  if request.method == "HEAD" then
    request.sent = 0
    return emit(conn, head, "")
  end
  request.sent, request.streams, conn.wrote = file.length, true, false
  local ok <const>, why <const>, code <const> = send.write(conn, head, file, file.length)
  if ok then return true end
  return nil, why, code, true
end

--- Sends an answer: true, or nil, message, code once the connection is of no
-- use. It raises what is wrong with it, before a byte was sent; what it raises
-- after that is of the body's iterator.
function M.answer(conn, request, status, body, headers, trailers)
  if send.isfile(body) and body.begin and status == 200 and not headers and not conn.odd and conn.keep
    and request.version == "1.1" and not request.framing then
    return with_file(conn, request, body)
  end
  if send.isfile(body) and body.begin and not headers then headers = fields_of(body.begin) end
  local guard <close> = type(body) ~= "string" and body ~= nil and setmetatable({ body = body }, closing) or nil
  local kind <const> = check(status, body, headers)
  settle_keep(conn, request, headers)
  local head <const>, framing <const> = make_head(conn, request, status, body, kind, headers, trailers)
  request.status = status
  local ok, why, code
  if request.method == "HEAD" or bodiless(status) then
    request.sent = 0
    return emit(conn, head, "")
  elseif kind == "string" and framing ~= "chunked" or kind == "none" then
    request.sent = body and #body or 0
    return emit(conn, head, body or "")
  end
  local before <const> = conn:sent()
  request.streams, conn.wrote = true, false
  ok, why, code = send.write(conn, head, body, framing, trailers)
  request.sent = math.max(0, conn:sent() - before - #head)
  if ok then return true end
  return nil, why, code, true
end

--- What a handler returned.
function M.returned(conn, request, a, b, c)
  local kind <const> = type(a)
  if kind == "string" then
    if type(b) == "table" then error("an answer with headers begins with its status", 0) end
    return M.answer(conn, request, 200, a)
  end
  if kind == "number" then
    if b == nil and c == nil and a >= 400 and a < 600 then b = M.phrase(a) .. "\n" end
    return M.answer(conn, request, a, b, c)
  elseif kind == "table" and not send.isfile(a) and not getmetatable(a) then
    for name in pairs(a) do
      if name ~= "status" and name ~= "headers" and name ~= "body" and name ~= "trailers" then
        error(("an answer has no '%s'"):format(tostring(name)), 0)
      end
    end
    return M.answer(conn, request, a.status or 200, a.body, a.headers, a.trailers)
  elseif a == nil then
    error(b ~= nil and b or "the handler returned nothing", 0)
  end
  return M.answer(conn, request, 200, a)
end

--- A status, and its name as the body: what the server itself answers.
function M.plain(conn, request, status, headers)
  return M.answer(conn, request, status, M.phrase(status) .. "\n", headers)
end

M.build, M.with_line = build, with_line

return M
