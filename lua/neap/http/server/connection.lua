-- SPDX-License-Identifier: MIT
--- A connection to a server: its requests, one after the other.
local core <const> = require "neap.core"
local httpcore <const> = require "neap.httpcore"
local requests <const> = require "neap.http.server.request"
local respond <const> = require "neap.http.server.respond"
local sync <const> = require "neap.sync"

local M = {}

local decode <const>, encode <const> = core.decode, core.encode
local answers <const> = httpcore.answers()
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
  self.wire = { stream = setmetatable({ conn = self }, source), rest = "" }
  return self.wire
end

--- The stream, which is somebody else's from now on.
function conn:take_over()
  self.taken = true
  local stream <const> = self.stream
  local rest <const> = self.wire and self.wire.rest or ""
  self.left, self.wire = 0, nil
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
  self.keep, self.left = false, 0
  local given <const> = request
    or setmetatable({ method = "-", target = "-", headers = httpcore.headers(), malformed = true, conn = self },
      requests.class)
  given.began = given.began or core.now()
  if self.held and not respond.flush(self) then return end
  local ok <const> = respond.plain(self, given, status)
  if self.server.log then self.server.log(given) end
  if ok then linger(self) end
end

-- The head of a request that is not there as a whole, or is to be refused: the
-- request, how many bytes are left behind it, and whether it is a usual one; or
-- nothing, when there is none to come.
local function next_head(self)
  local deadline <const> = core.now() + self.options.head_timeout
  local request, left, usual, status
  self.parser = self.parser or httpcore.parser("request", self.server.limits, requests.class)
  self.request, self.left = true, 0 -- there is one, almost
  repeat
    if self.held and not respond.flush(self) then return nil end
    set_time(self, math.max(0, deadline - core.now()))
    request, left, usual, status = decode(self.stream, self.parser)
  until request ~= false
  self.request = nil
  if request then
    request.conn = self
    return request, left, usual
  end
  status = status or usual == "ETIMEDOUT" and 408 or usual == "EOF" and 400
  if status then refuse(self, status) end
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
  if out and not out.over then
    local whole <const>, why <const>, code <const> = out:finish()
    if not whole and code == "EPROTO" then self.server:failed(why, "", request) end -- the handler's fault
  end
  if out and out.failed then return false end
  if self.keep and request.framing and not requests.drain(request) then self.keep = false end
  if self.wire then
    if self.wire.rest ~= "" then self.stream:unread(self.wire.rest) end
    self.left, self.wire = self.stream:pending() or 0, nil
  end
  if self.keep then return true end
  if self.held and not respond.flush(self) then return false end
  if request.framing and not request.body_over or self.left > 0 then linger(self) end
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

-- Before a request is waited for, after one that went another way than most.
local function ready(self)
  if self.left > 0 then return true end
  if self.held and not respond.flush(self) then return false end
  if self.served and self.time ~= self.options.idle_timeout then set_time(self, self.options.idle_timeout) end
  self.request = nil
  return true
end

-- Can a request be answered in the short way? No bytes are left behind it, nothing
-- is to be written by others, and the stream has the time for idling.
local function is_short(self, usual)
  return usual and self.left == 0 and self.time == self.options.idle_timeout
    and not (self.held or self.busy or self.server.log)
end

-- The answer of what a handler returned, in whatever way.
local function answered(self, request, a, b, c)
  if b ~= nil or type(a) ~= "string" or self.odd then return finish(self, request, a, b, c) end
  local ok <const> = respond.text(self, request, self.server.text_begin, a)
  if ok and self.server.log then self.server.log(request) end
  return ok
end

-- One request after the other, until no more is to come. What is as usual, both
-- request and answer, goes the short way.
local function each(self)
  local stream <const>, handler <const> = self.stream, self.handler
  local heads <const>, begin <const>, log <const> = self.server.heads, self.server.text_begin, self.server.log
  local short = false -- the one before went this way
  while true do
    if short then
      self.request = nil
    elseif not ready(self) then
      return
    end
    local request, left, usual = decode(stream, heads, self)
    if not request then
      if request == nil then return end
      short, request, left, usual = false, next_head(self)
      if not request then return end
    end
    self.request = request
    if not short or left > 0 or not usual then
      self.left, self.served = left, true
      short = is_short(self, usual)
      if log then request.began = core.now() end
    end
    if not usual then
      if not unusual(self, request) then return end
    else
      local a <const>, b <const>, c <const> = handler(request)
      local sent, rest, more, last
      if short and b == nil and not self.odd then sent, rest, more, last = encode(stream, answers, begin, a) end
      if rest then -- what the stream does not take at once
        if not self:write(rest, more or "", last or "") then return end
      elseif not sent and not answered(self, request, a, b, c) then
        return
      end
      short = sent
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
  self.left = 0 -- bytes that were received behind the request
  self.turn = setmetatable({ of = self }, turn_meta)
  self.keep, self.taken, self.wrote = true, false, false
  self.odd = not server.options.keepalive or server.options.max_requests ~= nil or server.stopping
  server.conns[self] = true
  set_time(self, server.options.head_timeout)
  run(self)
end

return M
