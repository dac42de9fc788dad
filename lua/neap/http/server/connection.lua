-- SPDX-License-Identifier: MIT
--- A connection to a server: its requests, one after the other.
local core <const> = require "neap.core"
local httpcore <const> = require "neap.httpcore"
local requests <const> = require "neap.http.server.request"
local respond <const> = require "neap.http.server.respond"
local sync <const> = require "neap.sync"

local M = {}

local make <const>, JOINED <const> = httpcore.answer, respond.JOINED
local LEAST <const> = 1024 -- bytes that must go within the time for writing
local LINGER <const>, PAUSE <const> = 5, 2 -- seconds: in all, and without a byte

local conn <const> = { __name = "neap.http.connection", respond = respond, held_bytes = 0, requests = 0,
  busy = false, waiting = 0 }
conn.__index = conn

-- ---- times ----

local function set_time(self, seconds)
  if self.time ~= seconds then
    self.time = seconds
    self.stream:settimeout(seconds)
  end
end

-- ---- writing: it is a sink, as neap.http.send wants it ----

-- Answers that were held back may still be on their way, by another task: one
-- after the other writes, and each all that it has, however many calls that takes.
local turn_meta <const> = {
  __close = function(turn)
    local self <const> = turn.of
    if self.waiting > 0 then self.turns:release() else self.busy = false end
  end,
}

local function wait_for_turn(self)
  local cleanup <close> = setmetatable({}, { __close = function() self.waiting = self.waiting - 1 end })
  self.waiting = self.waiting + 1
  self.turns = self.turns or sync.semaphore(0)
  self.turns:acquire()
end

-- A reader that is slow has its time for each part that it takes.
local function write_rest(self, taken, ...)
  local data = table.concat({ ... })
  while true do
    data = data:sub(taken + 1)
    local ok, why, code
    ok, why, code, taken = self.stream:write(data)
    if ok then return ok end
    if code ~= "ETIMEDOUT" or taken < LEAST then
      self.broken = true
      return nil, why, code
    end
  end
end

function conn:write(...)
  local time <const> = self.options.write_timeout
  self.wrote = true
  if self.held then
    local ok, why, code = respond.flush(self)
    if not ok then return nil, why, code end
  end
  if self.busy then wait_for_turn(self) end
  self.busy = true
  local guard <close> = self.turn
  if self.broken then return nil, "an answer before this was cut short", "EPIPE" end
  if self.time ~= time then set_time(self, time) end
  local ok <const>, why <const>, code <const>, taken <const> = self.stream:write(...)
  if ok then return ok end
  if code == "ETIMEDOUT" and taken >= LEAST then return write_rest(self, taken, ...) end
  self.broken = true
  return nil, why, code
end

function conn:sendfile(file, offset, length)
  set_time(self, self.options.write_timeout)
  local whole = 0
  while true do
    local sent, why, code, taken = self.stream:sendfile(file, offset + whole, length - whole)
    if sent then return whole + sent end
    if code ~= "ETIMEDOUT" or taken < LEAST then
      self.broken = code ~= "EIO"
      return nil, why, code, whole + taken
    end
    whole = whole + taken
  end
end

--- What is written next need not go alone.
function conn:goes_on() core.send_more(self.stream) end

--- The bytes that were sent so far.
function conn:sent()
  local _, sent <const> = self.stream:counters()
  return sent
end

-- What is held goes out as soon as this task waits for something.
function conn:flush_soon()
  core.spawn({ daemon = true, name = "http answers" }, respond.flush, self)
end

-- ---- who it is ----

function conn:peer()
  if not self.peer_known then
    local ip <const>, port <const> = self.ip, self.port
    self.peer_known = port and { ip = ip, port = port } or { path = ip or "" }
  end
  return self.peer_known
end

function conn:address()
  local ip, port = self.local_ip, self.local_port
  if not ip then ip, port = self.stream:getsockname() end
  return port and { ip = ip, port = port } or { path = ip or "" }
end

-- ---- bodies ----

-- What a body is read from.
local source <const> = {}
source.__index = source

function source:receive(most)
  set_time(self.conn, self.conn.options.body_timeout)
  return self.conn.stream:receive(most)
end

function conn:body_wire()
  self.wire = { stream = setmetatable({ conn = self }, source), rest = self.bytes:sub(self.at) }
  return self.wire
end

--- The stream, which is somebody else's from now on.
function conn:take_over()
  self.taken = true
  local stream <const> = self.stream
  local rest <const> = self.wire and self.wire.rest or self.bytes:sub(self.at)
  self.bytes, self.at, self.wire = "", 1, nil
  stream:settimeout(nil)
  if rest ~= "" then stream:unread(rest) end
  return stream
end

-- ---- ends ----

-- A connection that is closed while the peer still sends is reset, and what was
-- answered is lost: so it may go on for a while.
local function linger(self)
  local stream <const> = self.stream
  if not stream:isopen() or not stream:shutdown "w" then return end
  local deadline <const> = core.now() + LINGER
  set_time(self, PAUSE)
  while core.now() < deadline do
    if not stream:receive() then return end
  end
end

-- Who was promised a body up to the end must not take this for it.
local function reset(self)
  pcall(self.stream.setsockopt, self.stream, "SO_LINGER", 0)
  self.stream:close()
end

-- ---- requests ----

-- An answer of the server's own to what is no request that one can answer.
local function refuse(self, status, request)
  self.keep, self.bytes, self.at = false, "", 1
  local given <const> = request
    or setmetatable({ method = "-", target = "-", version = "1.1", headers = httpcore.headers(), malformed = true },
      self.class)
  given.began = given.began or core.now()
  if self.held and not respond.flush(self) then return end
  local ok <const> = respond.plain(self, given, status)
  if self.server.log then self.server.log(given) end
  if ok then linger(self) end
end

-- The head of the next request: the request, the position behind it, and
-- whether it is a usual one; or nothing, when there is none to come.
local function next_head(self, request, at, usual, status)
  local stream <const>, parser <const>, o <const> = self.stream, self.parser, self.options
  local deadline
  self.request = true -- there is one, almost
  while request == false do
    deadline = deadline or core.now() + o.head_timeout
    if self.held and not respond.flush(self) then return nil end
    set_time(self, math.max(0, deadline - core.now()))
    local bytes <const>, _, code <const> = stream:receive()
    if not bytes then
      if code == "ETIMEDOUT" then refuse(self, 408) end
      if code == "EOF" then refuse(self, 400) end
      return nil
    end
    self.bytes = bytes
    request, at, usual, status = parser:feed(bytes)
  end
  self.request = nil
  if request then return request, at, usual end
  refuse(self, status)
end

-- What is not as usual with a request; false ends the connection.
local function prepare(self, request)
  local protocol <const> = rawget(request, "upgrade")
  if protocol then
    request.upgrade = nil -- which is a method
    request.protocol = protocol
  end
  if rawget(request, "close") then self.keep = false end
  if request.framing then
    local ok <const>, status <const> = requests.attach(request, self)
    if not ok then
      refuse(self, status, request)
      return false
    end
  end
  return true
end

-- The server as a whole is asked what it can do.
local function is_options(request) return request.form == "asterisk" and request.method == "OPTIONS" end

-- After the answer: true if there can be another request.
local function settled(self, request)
  local out <const> = rawget(request, "writer")
  if out and not out.over then out:finish() end
  if out and out.failed then return false end
  if self.keep and request.framing and not requests.drain(request) then self.keep = false end
  if self.wire then
    self.bytes, self.at, self.wire = self.wire.rest, 1, nil
  end
  if self.keep then return true end
  if self.held and not respond.flush(self) then return false end
  if request.framing and not request.body_over or self.at <= #self.bytes then linger(self) end
  return false
end

-- A request that is not answered in the short way.
local function answer(self, request, ...)
  if self.taken or rawget(request, "writer") then return true end
  local ok <const>, why <const>, _ <const>, cut <const> = respond.returned(self, request, ...)
  if ok then return true end
  if cut then
    if not self.broken then -- then it is the body that failed
      if not self.wrote then error(why, 0) end
      self.server:failed(why, "", request)
    end
    reset(self)
  end
  return false
end

-- The answer of what a handler returned, and what follows: true if there can be
-- another request.
local function finish(self, request, ...)
  local ok <const> = answer(self, request, ...)
  if self.server.log then self.server.log(request) end
  if not ok or self.taken then return false end
  if request.framing or not self.keep or rawget(request, "writer") then return settled(self, request) end
  return true
end

local function unusual(self, request)
  if not prepare(self, request) then return false end
  if is_options(request) then return finish(self, request, 204) end
  return finish(self, request, self.handler(request))
end

-- One request after the other, until no more is to come. What is as usual, both
-- request and answer, goes the short way.
local function each(self)
  local stream <const>, parser <const>, handler <const> = self.stream, self.parser, self.handler
  local receive <const>, write <const>, feed <const> = stream.receive, stream.write, parser.feed
  local idle_timeout <const>, write_timeout <const> = self.options.idle_timeout, self.options.write_timeout
  local begin <const>, log <const> = self.server.text_begin, self.server.log
  while true do
    local bytes, at = self.bytes, self.at
    if at > #bytes then
      if self.held and not respond.flush(self) then return end
      if self.served and self.time ~= idle_timeout then set_time(self, idle_timeout) end
      self.request = nil
      bytes, at = receive(stream), 1
      if not bytes then return end
      self.bytes = bytes
    end
    local request, usual, status
    request, at, usual, status = feed(parser, bytes, at)
    if not request then
      request, at, usual = next_head(self, request, at, usual, status)
      if not request then return end
      bytes = self.bytes
    end
    self.request, self.at, self.served = request, at, true
    if log then request.began = core.now() end
    if not usual then
      if not unusual(self, request) then return end
    else
      local a, b, c = handler(request)
      if b ~= nil or type(a) ~= "string" or self.odd then
        if not finish(self, request, a, b, c) then return end
      elseif #a > JOINED or at <= #bytes or self.held or self.busy or log then
        if not respond.text(self, request, begin, a) then return end
        if log then log(request) end
      else
        if self.time ~= write_timeout then set_time(self, write_timeout) end
        if not write(stream, make(begin, a)) then return end
      end
    end
  end
end

-- ---- errors ----

local function is_interruption(err) return type(err) == "userdata" and tostring(err) == "cancelled" end
M.is_interruption = is_interruption

-- After a handler's error: answers 500, if nothing was answered. True if there
-- can be another request.
local function after_error(self, err, traceback)
  local request <const> = self.request
  local status <const> = requests.blame(request, err)
  if not status then self.server:failed(err, traceback, request) end
  if self.taken then return false end
  if rawget(request, "streams") and (self.wrote or rawget(request, "writer")) then
    if self.server.log then self.server.log(request) end
    reset(self)
    return false
  end
  request.streams = nil
  local ok <const> = respond.plain(self, request, status or 500)
  if self.server.log then self.server.log(request) end
  return ok and settled(self, request)
end

local function run(self)
  while true do
    local traceback
    local ok <const>, err <const> = xpcall(each, function(e)
      traceback = debug.traceback(nil, 2)
      return e
    end, self)
    if ok then return end
    if is_interruption(err) or type(self.request) ~= "table" then error(err, 0) end
    if not after_error(self, err, traceback) then return end
  end
end

-- ---- beginning ----

function conn:__close() self.server.conns[self] = nil end

--- Serves a connection until it ends. `known`: what is known of it already:
-- secure, ip, port, local_ip, local_port.
function M.serve(server, stream, known)
  local self <close> = setmetatable(known, conn)
  self.server, self.options, self.handler, self.stream = server, server.options, server.handler, stream
  self.class = requests.class(self)
  self.parser = httpcore.parser("request", server.limits, self.class)
  self.bytes, self.at = "", 1
  self.turn = setmetatable({ of = self }, turn_meta)
  self.keep, self.taken, self.wrote = true, false, false
  self.odd = not server.options.keepalive or server.options.max_requests ~= nil or server.stopping
  server.conns[self] = true
  set_time(self, server.options.head_timeout)
  run(self)
end

return M
