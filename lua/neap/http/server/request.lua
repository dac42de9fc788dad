-- SPDX-License-Identifier: MIT
--- A request, as a handler gets it.
local body <const> = require "neap.http.body"
local core <const> = require "neap.core"
local httpcore <const> = require "neap.httpcore"
local message <const> = require "neap.http.message"
local send <const> = require "neap.http.send"

local M = {}

local DRAINED <const> = 256 * 1024 -- bytes of a body that nobody wanted

local methods <const> = {}
for name, method in pairs(body.methods) do methods[name] = method end

-- What is worked out when it is asked for.
local computed <const> = {}

local function show(self) return ("%s %s"):format(self.method, self.target) end

--- The class of requests. The connection is a request's field conn.
M.class = {
  __name = "neap.http.request", __tostring = show,
  __index = function(self, name)
    local compute <const> = computed[name]
    if compute then return compute(self) end
    return methods[name]
  end,
}

--- What decodes the heads of all of a server's requests.
function M.heads(limits) return httpcore.heads("request", limits, M.class) end

-- ---- what it is about ----

-- Only another one is set.
function computed.version() return "1.1" end

function computed.path(self)
  local target <const> = self.target
  if not rawget(self, "form") and not target:find("?", 1, true) then return target end
  local path <const>, query <const> = message.path(self)
  self.path, self.query = path, query
  return path
end

function computed.query(self)
  local target <const> = self.target
  if not target:find("?", 1, true) then return nil end
  local _, query <const> = message.path(self)
  self.query = query
  return query
end

-- ---- whose it is ----

-- What a proxy that is trusted says of whom it speaks for.
local function origin(self)
  local conn <const> = self.conn
  local said
  if conn.server.trusted then said = require "neap.http.server.proxied".origin(self, conn.server.trusted) end
  self.peer = said and said.peer or conn:peer()
  self.scheme = said and said.scheme or conn.secure and "https" or "http"
  self.host = said and said.host or message.host(self)
end

function computed.peer(self)
  origin(self)
  return rawget(self, "peer")
end

function computed.scheme(self)
  origin(self)
  return rawget(self, "scheme")
end

function computed.host(self)
  origin(self)
  return rawget(self, "host")
end

function computed.address(self)
  local address <const> = self.conn:address()
  self.address = address
  return address
end

function computed.tls(self)
  local conn <const> = self.conn
  local info <const> = conn.secure and conn.stream:tlsinfo() or nil
  self.tls = info
  return info
end

local prefix, number = nil, 0

function computed.id(self)
  prefix = prefix or require "neap.random".hex(6)
  number = number + 1
  local id <const> = ("%s-%x"):format(prefix, number)
  self.id = id
  return id
end

--- Has the peer gone? One that has only ended its side waits for the answer.
function methods:gone()
  local conn <const> = self.conn
  if not conn.stream:isopen() then return true end
  local socket <const> = require "neap.socket"
  local list <const> = { { fd = conn.stream:fileno(), events = 0 } }
  local ready <const> = socket.poll(list, 0)
  return ready ~= nil and ready > 0 and list[1].revents & (socket.POLLHUP | socket.POLLERR) ~= 0
end

-- ---- what it says ----

--- An ordered list of { name, value }, in which a name finds its first value.
function methods:query_params(most)
  return require "neap.http.form".decode(self.query or "", most)
end

--- Values by names, and all as a list.
function methods:cookies()
  return require "neap.http.setcookie".cookies(self.headers:get "cookie")
end

local function content_type(self)
  local kind <const> = self.headers:get "content-type" or ""
  return kind:match "^[ \t]*([^; \t]*)":lower(), kind
end

-- What the handler wants is not what the client sends.
local function unfit(self, why, code)
  self.body_unfit = why
  return nil, why, code
end

--- The fields of a body that is a form, as query_params gives them.
function methods:form(most)
  local form <const> = require "neap.http.form"
  if content_type(self) ~= form.URLENCODED then
    return unfit(self, "the body is no urlencoded form", "EBADMSG")
  end
  local text <const>, why <const>, code <const> = self:text()
  if not text then return nil, why, code end
  return form.decode(text, most)
end

--- A reader of the parts of a body that is multipart/form-data.
function methods:multipart(limits)
  local _, kind <const> = content_type(self)
  local reader <const>, unread <const>, wrong <const> = require "neap.http.form".reader(kind, function()
    local data <const>, why <const>, code <const> = self:receive()
    if data or code == "EOF" then return data end
    return nil, why, code
  end, limits)
  if not reader then return unfit(self, unread, wrong) end
  return reader
end

-- ---- its body ----

methods.body_received, methods.body_given = 0, 0
methods.maxbody = math.huge
methods.body_over = true -- unless there is one
methods.body_why = false
methods.body_unfit = false
methods.body_kept = false
methods.body_begun = false
methods.decoder = false

-- Before the first byte of it is asked for.
local function invite(self)
  if self.conn.stream:pending() ~= 0 then return true end
  return self.conn:write "HTTP/1.1 100 Continue\r\n\r\n"
end

--- Gives it its body: true, or nil and the status to refuse it with.
function M.attach(self, conn)
  local o <const> = conn.options
  if self.length and self.length > o.max_body then return nil, 413 end
  if self.length == 0 then
    self.body_over = true
    return true
  end
  self.body_over = false
  local ok <const> = body.attach(self, conn:body_wire(), { maxbody = o.max_body, decode = o.decode })
  if not ok then return nil, 415 end
  if self.expect then self.body_begun = invite end
  return true
end

--- Without a body there is nothing to read.
function methods:has_body() return message.has_body(self) end

--- Can what comes after its body be answered on this connection?
function methods:settles()
  if self.body_over then return true end
  if self.body_why then return false end
  if self.body_begun and self.conn.stream:pending() == 0 then return false end -- it may come, or not
  return not self.length or self.length - self.body_received <= DRAINED
end

--- Reads what nobody wanted of its body, so much and for so long: is the next
-- request behind it?
function M.drain(self)
  if self.body_over then return true end
  if self.body_why then return false end
  self.body_begun = nil
  self.maxbody = math.huge
  local deadline <const>, n = core.now() + self.conn.options.body_timeout, 0
  while n <= DRAINED and core.now() <= deadline do
    local data <const>, _, code <const> = self:receive()
    if not data then return code == "EOF" end
    n = n + #data
  end
  return false
end

-- What a status is for a body that failed in this way.
local statuses <const> = { EMSGSIZE = 413, ETIMEDOUT = 408, EBADMSG = 400, EPROTO = 400, EOF = 400 }

--- The status for an error that only hands on why the body failed, or is of
-- another type, or nil.
function M.blame(self, err)
  local why <const>, unfit_why <const>, meta <const> = self.body_why, self.body_unfit, getmetatable(err)
  if not why and not unfit_why then return nil end
  if type(err) ~= "string" and not (type(meta) == "table" and meta.__tostring) then return nil end
  local text <const> = tostring(err)
  if why and text:find(why, 1, true) then return statuses[self.body_code] or 400 end
  if unfit_why and text:find(unfit_why, 1, true) then return 415 end
end

-- ---- taking over ----

--- Answers 101 (to CONNECT: 200), and gives the connection away: its stream is
-- the handler's until that ends.
function methods:upgrade(protocol, headers)
  local conn <const> = self.conn
  local tunnel <const> = rawget(self, "tunnel")
  if conn.taken then error("the connection was taken over before", 2) end
  if not tunnel and not rawget(self, "protocol") then error("the client has not asked for an upgrade", 2) end
  if not tunnel and type(protocol) ~= "string" then
    error(("bad argument #1 (protocol expected, got %s)"):format(type(protocol)), 2)
  end
  if not self.body_over and self.framing then error("the request's body was not read", 2) end
  local fields <const> = httpcore.headers(headers)
  local head
  if tunnel then
    head = httpcore.response(200, fields)
  else
    fields:set("Upgrade", protocol)
    fields:set("Connection", "Upgrade")
    head = httpcore.response(101, fields)
  end
  local ok <const>, why <const>, code <const> = conn:write(head)
  if not ok then return nil, why, code end
  self.status, self.sent = tunnel and 200 or 101, 0
  return conn:take_over()
end

-- ---- answering piece by piece ----

local writer <const> = { __name = "neap.http.writer" }
writer.__index = writer

--- Sends the head of the answer at once; the body is what is written then.
function methods:respond(status, headers)
  local conn <const> = self.conn
  if self.streams or conn.taken then error("the request was answered before", 2) end
  local out <const> = setmetatable({ conn = conn, request = self }, writer)
  local ready <const>, err <const> = pcall(function()
    out.head, out.framing, out.silent = conn.respond.begin(conn, self, status, headers)
  end)
  if not ready then error(err, 2) end
  self.streams, self.writer, conn.odd = true, out, true
  out.left = math.type(out.framing) and out.framing or nil
  local ok <const>, why <const>, code <const> = conn:write(out.head)
  if not ok then return nil, why, code end
  return out
end

--- Sends a piece of the body.
function writer:write(data)
  if type(data) ~= "string" then error(("bad argument #1 (string expected, got %s)"):format(type(data)), 2) end
  if self.over then return nil, "the answer has ended", "ECLOSED" end
  if self.left then
    if #data > self.left then error("this is more than the Content-Length", 2) end
    self.left = self.left - #data
  end
  if data == "" or self.silent then return self end
  self.request.sent = (self.request.sent or 0) + #data
  local ok, why, code
  if self.framing == "chunked" then
    ok, why, code = send.write_chunk(self.conn, "", data)
  else
    ok, why, code = self.conn:write(data)
  end
  if not ok then
    self.failed = true
    return nil, why, code
  end
  return self
end

--- Ends the answer; what the handler does after this is its own affair.
function writer:finish(trailers)
  if self.over then return true end
  self.over = true
  if self.failed then return nil, "the answer was cut", "EPIPE" end
  if self.left and self.left > 0 and not self.silent then
    self.failed = true
    return nil, ("%d bytes of the Content-Length are missing"):format(self.left), "EPROTO"
  end
  if self.framing ~= "chunked" or self.silent then return true end
  local ok <const>, why <const>, code <const> = self.conn:write(httpcore.last_chunk(trailers))
  if not ok then
    self.failed = true
    return nil, why, code
  end
  return true
end

return M
