-- SPDX-License-Identifier: MIT
--- A WebSocket over a stream: what a client and a server share once they have
-- agreed.
--
-- `open` is true until a close frame was sent or has come, or it failed. Once
-- it is over, `why` and `code` are what is told to who receives.
local alive <const> = require "neap.websocket.alive"
local args <const> = require "neap.args"
local core <const> = require "neap.core"
local httpcore <const> = require "neap.httpcore"
local protocol <const> = require "neap.websocket.protocol"
local sync <const> = require "neap.sync"
local writer <const> = require "neap.websocket.writer"

local now <const>, running <const>, utf8_state <const> = core.now, core.running, httpcore.utf8
local decode <const>, encode <const>, frames <const> = core.decode, core.encode, httpcore.frames()
local class_of <const>, KINDS <const> = debug.getmetatable, protocol.KINDS

local M = {}

local OPCODES <const> = { text = 1, binary = 2 }
local TEXT <const> = 1
local CONTROL_MOST <const> = 125 -- bytes that a control frame carries
local NORMAL <const>, GOING_AWAY <const>, NONE <const>, ABNORMAL <const>, INTERNAL <const> =
  1000, 1001, 1005, 1006, 1011
local MAXMESSAGE <const>, CLOSE_TIMEOUT <const> = 16 << 20, 5
local LINGER <const>, LINGER_MOST <const> = 1, 1 << 20 -- seconds, bytes: after both have said goodbye
local BRIEF <const> = 1 -- seconds for the goodbye of who is in a hurry
local LATE_MOST <const> = 64 -- times that bytes are taken after the deadline, since they are here
local KEPT_MORE <const> = 64 -- bytes that a message which is kept counts for, besides its own

local is_free <const> = writer.is_free

local ws <const> = { __name = "neap.ws" }
ws.__index = ws

local function check(self, name)
  if getmetatable(self) ~= ws then args.method(self, ws, name, 3) end
end

-- ---- sending ----

--- Sends a message: text, unless kind is "binary". A function is called for
-- the pieces of one, until it returns nil.
function ws:send(data, kind)
  if class_of(self) ~= ws then args.method(self, ws, "send", 2) end
  local opcode <const> = OPCODES[kind or "text"]
  if not opcode then error("bad argument #2 (\"text\" or \"binary\" expected)", 2) end
  if type(data) == "string" then
    if is_free(self) then
      local wire <const> = self.wire
      local sent <const>, rest <const>, more <const> = encode(self.stream, frames, opcode, data, wire:key())
      if sent then return self end
      if rest then return writer.rest(self, wire:size(#data), rest, more) end
    end
    if opcode == TEXT and utf8_state(data) ~= 0 then
      error("bad argument #1 (no UTF-8: it may be sent as \"binary\")", 2)
    end
    return writer.message(self, opcode, data)
  end
  if type(data) ~= "function" then
    error(("bad argument #1 (string or function expected, got %s)"):format(type(data)), 2)
  end
  local ok, why, code = writer.pieces(self, opcode, data)
  return ok, why, code -- no tail call: this frame counts
end

--- Sends a ping, which may carry up to 125 bytes.
function ws:ping(payload)
  check(self, "ping")
  payload = payload or ""
  args.argument(payload, "string", 1, 2)
  if #payload > CONTROL_MOST then error("bad argument #1 (more than 125 bytes)", 2) end
  return writer.ping(self, payload)
end

-- ---- receiving ----

-- Closing at once would make a reset of what is still under way, and cost the
-- peer what was said last. The server ends the connection first, or who gives
-- up.
local function finish(self, ends)
  local stream <const> = self.stream
  local deadline <const> = now() + LINGER
  local most = LINGER_MOST
  writer.limit(self, deadline)
  if ends then stream:shutdown "w" end
  while most > 0 do
    writer.limit(self, deadline)
    local bytes = stream:receive()
    if not bytes then break end
    most = most - #bytes
  end
end

-- However it ends, the stream is closed, and who waits for that knows.
local end_meta <const> = {
  __close = function(guard)
    local self <const> = guard.of
    if self.stream:isopen() then self.stream:settimeout(0):close() end
    writer.over(self, "closed", "ECLOSED", ABNORMAL) -- unless it is known better
    if self.ended then self.ended:set() end
    if self.kept then self.kept.news:set() end
  end,
}

local function closed_by_peer(self, code, reason)
  local answers <const> = self.said_goodbye
  if answers then
    writer.over(self, "closed", "ECLOSED", code or NONE, reason)
  else
    local why = code and (": %d %s"):format(code, reason):gsub(" $", "") or ""
    writer.over(self, "closed by the peer" .. why, "EOF", code or NONE, reason)
  end
  local guard <close> = setmetatable({ of = self }, end_meta)
  if not answers then writer.goodbye(self, now() + self.close_timeout, code, reason) end
  finish(self, self.role == "server")
  return nil, self.why, self.code
end

-- What came breaks the rules.
local function refuse(self, why, code, closecode)
  writer.over(self, why, code, closecode)
  local guard <close> = setmetatable({ of = self }, end_meta)
  writer.goodbye(self, now() + self.close_timeout, closecode, "")
  finish(self, true)
  return nil, self.why, self.code
end

-- The stream gave nothing.
local function cut(self, deadline, why, code)
  if self.why then return nil, self.why, self.code end
  if code == "EBUSY" then why = "receive: another task is receiving" end
  if code == "ENOMEM" or code == "EBUSY" or code == "ETIMEDOUT" and deadline and now() >= deadline then
    return nil, why, code
  end
  if code == "EOF" then why, code = "the connection ended without a close frame", "EPROTO" end
  writer.fail(self, why, code)
  return nil, self.why, self.code
end

-- The next frame, as it is decoded. A flood of what is no message, or no whole
-- one, does not put the deadline off.
local function next_frame(self, deadline, looks)
  if self.left == 0 then
    if looks > LATE_MOST and deadline and now() >= deadline then return nil, "receive: timed out", "ETIMEDOUT" end
    if self.held then writer.flush(self, deadline) end
    if deadline or self.limited then writer.limit(self, deadline) end
  end
  return decode(self.stream, self.wire.frames)
end

-- The next message, of which this is the frame that was decoded first. Without
-- an opcode it is nil, message, code; and the code to close with, unless it was
-- the stream that gave nothing.
local function next_message(self, deadline, opcode, payload, fin, left, rsv)
  local looks = 0
  while true do
    if opcode == nil then
      if not left then return cut(self, deadline, payload, fin) end
      return refuse(self, payload, fin, left)
    end
    local kind, data, more, closecode = false, nil, nil, nil
    self.left = left or 0
    if opcode then kind, data, more, closecode = self.wire:take(opcode, payload, fin, rsv) end
    if kind == "text" or kind == "binary" then
      if left > 0 then self.receiver = running() end
      return data, kind
    elseif kind == "ping" then
      if self.open then alive.pinged(self, data) end
    elseif kind == "close" then
      return closed_by_peer(self, data, more)
    elseif kind == nil then
      return refuse(self, data, more, closecode)
    end
    if self.left == 0 then looks = looks + 1 end
    opcode, payload, fin, left, rsv = next_frame(self, deadline, looks)
  end
end

-- ---- what comes while a task closes, for others ----

-- As much as one message may have; nothing follows what was left out.
local function keep(self, data, kind)
  local kept <const> = self.kept
  kept.size = kept.size + #data + KEPT_MORE
  if kept.size > self.wire.maxmessage + KEPT_MORE then return end
  kept.last = kept.last + 1
  kept[kept.last] = { data, kind }
  kept.news:set()
end

local kept_meta <const> = { __close = function(kept) kept.waited = false end }

-- Until the task that closes has received something, or all is over.
local function await_kept(self)
  local kept <close> = self.kept
  kept.waited = true
  kept.news:clear()
  return kept.news:wait(self.timeout or nil)
end

local function kept_message(self)
  local kept <const> = self.kept
  if kept.waited then return nil, "receive: another task is receiving", "EBUSY" end
  if not kept[kept.first] and not self.why and not await_kept(self) then
    return nil, "receive: timed out", "ETIMEDOUT"
  end
  local message <const> = kept[kept.first]
  if not message then return nil, self.why, self.code end
  kept[kept.first] = nil
  kept.first = kept.first + 1
  return message[1], message[2]
end

-- A message that is not to be had in the usual way.
local function otherwise(self)
  if self.kept then return kept_message(self) end
  if self.why then return nil, self.why, self.code end
  if self.said_goodbye then return nil, "closed", "ECLOSED" end
  return nil, "receive: another task is receiving", "EBUSY"
end

local reader_meta <const> = { __close = function(reader) reader.of.reading = false end }

-- Can the next frame be waited for without more ado?
local function is_calm(self)
  return not (self.timeout or self.limited or self.wire.deflate) and (self.left > 0 or not self.held)
end

--- The next message and its kind; after the end nil, message, code: "EOF" if
-- the peer closed it.
function ws:receive()
  if class_of(self) ~= ws then args.method(self, ws, "receive", 2) end
  if self.why or self.reading then return otherwise(self) end
  local opcode, payload, fin, left, rsv
  if is_calm(self) then -- most are: a frame that is a message
    opcode, payload, fin, left, rsv = decode(self.stream, self.wire.frames)
    if fin and rsv == 0 and KINDS[opcode] then
      self.left = left
      if left > 0 then self.receiver = running() end
      return payload, KINDS[opcode]
    end
  end
  local held <close> = self.reader
  self.reading = true
  local deadline <const> = self.timeout and now() + self.timeout or nil
  if opcode == nil and not payload then opcode, payload, fin, left, rsv = next_frame(self, deadline, 1) end
  return next_message(self, deadline, opcode, payload, fin, left, rsv)
end

local function next_or_raise(self)
  local data, kind, code = self:receive()
  if data then return data, kind end
  if code ~= "EOF" and code ~= "ECLOSED" then error(kind, 0) end
end

--- An iterator over messages and their kinds, which ends when it is closed and
-- raises on a failure.
function ws:messages()
  check(self, "messages")
  return next_or_raise, self
end

-- ---- closing ----

local function check_close(code, reason)
  if code ~= nil then
    local sendable = math.type(code) == "integer"
      and (code >= 1000 and code <= 1003 or code >= 1007 and code <= 1014 or code >= 3000 and code <= 4999)
    if not sendable then error("bad argument #1 (no code that may be sent)", 3) end
  end
  if reason == nil then return end
  args.argument(reason, "string", 2, 3)
  if #reason > CONTROL_MOST - 2 then error("bad argument #2 (more than 123 bytes)", 3) end
  if utf8_state(reason) ~= 0 then error("bad argument #2 (no UTF-8)", 3) end
end

-- Waits for the peer's close frame, which another task may be receiving. What
-- comes before it is kept for who asks.
local function await_goodbye(self, deadline)
  if writer.is_reading(self) then
    self.ended = self.ended or sync.event()
    self.ended:wait(math.max(0, deadline - now()))
    return
  end
  local held <close> = self.reader
  self.reading = true
  self.kept = setmetatable({ first = 1, last = 0, size = 0, waited = false, news = sync.event() }, kept_meta)
  local data, kind
  repeat
    data, kind = next_message(self, deadline, next_frame(self, deadline, 1))
    if data then keep(self, data, kind) end
  until not data or now() >= deadline
end

local function close(self, code, reason, seconds)
  if self.why then return true end
  local guard <close> = setmetatable({ of = self }, end_meta)
  local deadline <const> = now() + seconds
  local ok, why, failure = writer.goodbye(self, deadline, code, reason)
  if ok then await_goodbye(self, deadline) end
  if self.why then
    if self.code == "ECLOSED" or self.code == "EOF" then return true end
    return nil, self.why, self.code
  end
  if ok then why, failure = "close: the peer did not answer in time", "ETIMEDOUT" end
  writer.over(self, "closed", "ECLOSED", ABNORMAL)
  return nil, why, failure
end

--- Says goodbye, waits for the peer's, and ends the connection: true; or nil,
-- message, code, and then it is closed nevertheless.
function ws:close(code, reason)
  check(self, "close")
  check_close(code, reason)
  return close(self, code or NORMAL, reason or "", self.close_timeout)
end

function ws:__close(err)
  if err == nil then return close(self, NORMAL, "", self.close_timeout) end
  local code <const> = type(err) == "userdata" and GOING_AWAY or INTERNAL
  return close(self, code, "", math.min(BRIEF, self.close_timeout))
end

-- ---- what else one may ask ----

--- Seconds for each later call that waits; nil for none.
function ws:settimeout(seconds)
  check(self, "settimeout")
  self.timeout = args.timeout(seconds, 1, 2) or false
  return self
end

--- The time, or nil.
function ws:gettimeout()
  check(self, "gettimeout")
  return self.timeout or nil
end

--- Can a message be sent?
function ws:isopen()
  check(self, "isopen")
  return self.open
end

--- The peer's address, as the stream has it.
function ws:getpeername()
  check(self, "getpeername")
  return self.stream:getpeername()
end

--- Its own.
function ws:getsockname()
  check(self, "getsockname")
  return self.stream:getsockname()
end

-- ---- making ----

--- What a connection takes, whoever made it.
M.options = {
  timeout = "seconds", maxmessage = "size", close_timeout = "seconds", ping_interval = "seconds",
  pong_timeout = "seconds",
}

--- Raises on what the types do not tell.
function M.check(o, level)
  if o.ping_interval == 0 then error("option 'ping_interval' must be more than 0", level + 1) end
end

--- A connection over a stream, after the handshake: agreed is { protocol =,
-- extensions =, deflate = }.
function M.new(stream, role, agreed, o)
  local self = setmetatable({
    stream = stream, role = role, open = true, reading = false, kept = false,
    timeout = o.timeout or false, why = false, left = 0, close_timeout = o.close_timeout or CLOSE_TIMEOUT,
    protocol = agreed.protocol, extensions = agreed.extensions,
    wire = protocol.new { role = role, maxmessage = o.maxmessage or MAXMESSAGE, deflate = agreed.deflate },
  }, ws)
  writer.prepare(self)
  self.reader = setmetatable({ of = self }, reader_meta)
  if o.ping_interval then alive.keep(self, o.ping_interval, o.pong_timeout or o.ping_interval) end
  return self
end

return M
