-- SPDX-License-Identifier: MIT
--- What a WebSocket sends: frames, one at a time and each whole; and how it
-- fails.
--
-- One task at a time has the turn to write. `sent` are the bytes that the stream
-- had sent before, so that who is interrupted knows whether a frame was cut
-- short.
local core <const> = require "neap.core"
local httpcore <const> = require "neap.httpcore"
local sync <const> = require "neap.sync"

local now <const>, running <const>, utf8_state <const>, concat <const> =
  core.now, core.running, httpcore.utf8, table.concat

local M = {}

local TEXT <const>, CLOSE <const>, PING <const>, PONG <const> = 1, 8, 9, 10
local ABNORMAL <const>, INTERNAL <const> = 1006, 1011 -- codes of closing
local HELD_MOST <const> = 16384 -- bytes of frames that wait for each other
local BRIEF <const> = 1 -- seconds for a goodbye of who cannot go on
local BAD_TEXT <const> = "bad argument #1 (no UTF-8: it may be sent as \"binary\")"

local function left(deadline) return deadline and math.max(0, deadline - now()) end

--- When a call that begins now is to end, or nil.
local function deadline_of(self) return self.timeout and now() + self.timeout or nil end

--- For the next call of the stream. Its timeout holds for whoever calls next,
-- so that each says its own.
function M.limit(self, deadline)
  if deadline or self.limited then
    self.stream:settimeout(left(deadline))
    self.limited = deadline ~= nil
  end
end

-- ---- its end ----

--- It is over. The first end counts.
function M.over(self, why, code, closecode, reason)
  local keeper <const> = self.keeper
  self.open = false
  if self.why then return end
  if keeper and keeper ~= running() then keeper:cancel() end
  self.why, self.code, self.closecode, self.closereason = why, code, closecode, reason or ""
end

--- Breaks it off: nothing more is sent or received.
function M.fail(self, why, code)
  M.over(self, why, code, ABNORMAL)
  if self.stream:isopen() then self.stream:settimeout(0):close() end
  if self.ended then self.ended:set() end
end

-- What a call says that comes too late to send.
local function gone(self)
  if self.broken then return nil, self.broken, "EPIPE" end
  if not self.why then return nil, "closed", "ECLOSED" end -- it is being closed
  return nil, self.why, self.code == "EOF" and "EPIPE" or self.code
end

-- ---- the turn ----

-- Interrupted while it sent this many bytes, of which none, all or a part are
-- gone.
local function interrupted(self, size)
  local _, sent = self.stream:counters()
  if sent == self.sent then
    self.wire:forget()
  elseif sent - self.sent == size then
    self.held = false
  else
    M.fail(self, "a message was cut short: its task was interrupted", "ECANCELED")
  end
end

-- The turn goes to who has waited longest; so does one that nobody came for.
local function give_back(self)
  if self.waiting > 0 then
    self.frames:release()
  else
    self.busy = false
  end
end

-- However its task ends.
local turn_meta <const> = {
  __close = function(turn)
    local self <const> = turn.of
    local writing <const> = self.writing
    if writing then
      self.writing = false
      interrupted(self, writing)
    end
    give_back(self)
  end,
}

local function wait_for_turn(self, deadline)
  local cleanup <close> = setmetatable({}, { __close = function() self.waiting = self.waiting - 1 end })
  self.waiting = self.waiting + 1
  local ok, why, code = self.frames:acquire(left(deadline))
  return ok, why, code
end

local function take(self, deadline)
  if self.busy then return wait_for_turn(self, deadline) end
  self.busy = true
  return true
end

-- Takes the turn for a message: not while another one is in fragments.
local function take_for_message(self, deadline)
  while true do
    local ok, why, code = take(self, deadline)
    if not ok then return nil, why, code end
    if self.open and not self.fragments then return true end
    give_back(self)
    if not self.open then return gone(self) end
    ok, why, code = self.fragments.over:wait(left(deadline))
    if not ok then return nil, why, code end
  end
end

-- ---- frames ----

-- Bytes that were not sent, or not all of them.
local function not_put(self, size, why, code, taken)
  if taken == size then return self end -- what encrypts has all of it
  if self.why then return gone(self) end
  if taken == 0 then
    self.wire:forget()
  elseif code == "ETIMEDOUT" then
    M.fail(self, "a message was cut short: " .. why, code)
  else -- the peer may have said why it went
    self.open, self.broken = false, why
  end
  return nil, why, code
end

-- Sends whole frames, or what is left of one after the bytes `before`, in one
-- piece or in two. Needs the turn.
local function put_bytes(self, deadline, bytes, more, before)
  local stream <const> = self.stream
  local size <const> = before + #bytes + (more and #more or 0)
  local _, sent <const> = stream:counters()
  self.sent = sent - before
  if deadline or self.limited then M.limit(self, deadline) end
  self.writing = size
  local ok, why, code, taken
  if more then
    ok, why, code, taken = stream:write(bytes, more)
  else
    ok, why, code, taken = stream:write(bytes)
  end
  self.writing = false
  if not ok then return not_put(self, size, why, code, before + taken) end
  return self
end

-- Answers to pings, as bytes.
local function take_pongs(self)
  local list <const> = {}
  for i, payload in ipairs(self.pings) do list[i] = self.wire:control(PONG, payload) end
  self.pings = false
  return concat(list)
end

-- Sends what was held back, and perhaps a frame more.
local function put_held(self, deadline, bytes)
  local all <const> = (self.pings and take_pongs(self) or "") .. concat(self.held) .. (bytes or "")
  local ok, why, code = put_bytes(self, deadline, all, nil, 0)
  if not ok then return nil, why, code end
  self.held = false
  return self
end

-- Sends a frame. Pings that came before are answered before it, also before a
-- goodbye.
local function put(self, deadline, bytes, more)
  if self.held then
    local ok, why, code = put_held(self, deadline, not more and bytes or nil)
    if not ok or not more then return ok, why, code end
  elseif self.pings then
    bytes = take_pongs(self) .. bytes
  end
  return put_bytes(self, deadline, bytes, more, 0)
end

-- ---- frames that leave together ----

--- Sends what was held back.
function M.flush(self, deadline)
  local ok, why, code = take(self, deadline)
  if not ok then return nil, why, code end
  local held <close> = self.turn
  if not self.held or not self.open then return self end
  return put_held(self, deadline)
end

local holding, flusher = {}, nil -- connections, and the task that looks after them

local function flush_all()
  local list <const> = holding
  holding = {}
  for _, self in ipairs(list) do
    if self.held and self.open then core.spawn({ name = "websocket flush", daemon = true }, M.flush, self) end
  end
end

-- Holds a frame back: its task has more to receive, and then comes for the
-- others. If it waits for something else, another task sends them.
local function hold(self, bytes)
  local held = self.held
  if not held then
    held = { size = 0 }
    self.held = held
    holding[#holding + 1] = self
    if not flusher or flusher:status() ~= "ready" then
      flusher = core.spawn({ name = "websocket flusher", daemon = true }, flush_all)
    end
  end
  held[#held + 1] = bytes
  held.size = held.size + #bytes
  if held.size < HELD_MOST then return self end
  return M.flush(self, deadline_of(self))
end

--- A message in one frame. The connection; or nil, message, code.
function M.message(self, opcode, data)
  if not self.open then return gone(self) end
  local wire <const> = self.wire
  if self.left > 0 and #data <= HELD_MOST and not self.busy and not self.fragments
    and self.receiver and self.receiver == running() then
    local bytes <const>, more <const> = wire:message(opcode, data)
    return hold(self, more and bytes .. more or bytes)
  end
  local deadline <const> = self.timeout and deadline_of(self) or nil
  if self.busy or self.fragments then
    local ok, why, code = take_for_message(self, deadline)
    if not ok then return nil, why, code end
  end
  self.busy = true
  local held <close> = self.turn
  return put(self, deadline, wire:message(opcode, data))
end

--- Does a task receive? It says so itself only when that is not done at once.
function M.is_reading(self) return self.reading or core.is_reading(self.stream) end

--- Can a message be sent here and now, as it is?
function M.is_free(self)
  return self.open and self.left == 0
    and not (self.busy or self.held or self.pings or self.fragments or self.timeout or self.limited
      or self.wire.deflate)
end

--- What is left of a frame of so many bytes.
function M.rest(self, size, bytes, more)
  self.busy = true
  local held <close> = self.turn
  return put_bytes(self, nil, bytes, more, size - #bytes - (more and #more or 0))
end

local function put_control(self, opcode, payload)
  local deadline <const> = deadline_of(self)
  local ok, why, code = take(self, deadline)
  if not ok then return nil, why, code end
  local held <close> = self.turn
  if not self.open then return gone(self) end
  if opcode ~= PONG then return put(self, deadline, self.wire:control(opcode, payload)) end
  if not self.pings then return self end -- another task has sent them
  return put(self, deadline, "")
end

--- A ping.
function M.ping(self, payload)
  if not self.open then return gone(self) end
  return put_control(self, PING, payload)
end

--- The answers to pings.
function M.pong(self) return put_control(self, PONG) end

--- The goodbye, unless it was said: nothing follows it.
function M.goodbye(self, deadline, code, reason)
  if self.broken then return nil, self.broken, "EPIPE" end
  local ok, why, failure = take(self, deadline)
  if not ok then return nil, why, failure end
  local held <close> = self.turn
  if self.said_goodbye then return true end
  self.open, self.said_goodbye = false, true
  return put(self, deadline, self.wire:control(CLOSE, code and (">I2"):pack(code) .. reason or ""))
end

-- ---- a message in fragments ----

local function put_fragment(self, opcode, piece, last)
  local deadline <const> = deadline_of(self)
  local ok, why, code = take(self, deadline)
  if not ok then return nil, why, code end
  local held <close> = self.turn
  if not self.open then return gone(self) end
  self.fragments.begun = true
  return put(self, deadline, self.wire:fragment(opcode, piece, last))
end

-- The state of the text after a piece. Blames who called what called `send`.
local function check_text(piece, state, last)
  state = utf8_state(piece, state)
  if not state or last and state ~= 0 then error(BAD_TEXT, 6) end
  return state
end

local function put_fragments(self, opcode, pieces)
  local state, kind = 0, opcode
  for piece in pieces do
    if type(piece) ~= "string" then
      error(("bad argument #1 (its pieces must be strings, got %s)"):format(type(piece)), 5)
    end
    if opcode == TEXT then state = check_text(piece, state) end
    if piece ~= "" then
      local ok, why, code = put_fragment(self, kind, piece, false)
      if not ok then return nil, why, code end
      kind = 0
    end
  end
  if opcode == TEXT then check_text("", state, true) end
  local ok, why, code = put_fragment(self, kind, "", true)
  return ok, why, code -- no tail call: the levels count
end

--- A message whose pieces are fragments. Control frames may come between them;
-- if it has no end, nothing can follow it.
function M.pieces(self, opcode, pieces)
  local ok, why, code = take_for_message(self, deadline_of(self))
  if not ok then return nil, why, code end
  local fragments <const> = { over = sync.event(), begun = false }
  self.fragments = fragments
  give_back(self)
  ok = nil
  local cleanup <close> = setmetatable({}, { __close = function()
    self.fragments = false
    fragments.over:set()
    if ok or not fragments.begun or not self.open then return end
    self.open = false
    M.goodbye(self, now() + BRIEF, INTERNAL, "")
    M.fail(self, why or "a message was left without its end", code or "ECANCELED")
  end })
  ok, why, code = put_fragments(self, opcode, pieces)
  return ok, why, code
end

--- What a connection has so that it can send.
function M.prepare(self)
  self.sent, self.limited = 0, true
  self.busy, self.waiting, self.frames = false, 0, sync.semaphore(0)
  self.writing, self.held, self.pings, self.fragments, self.broken = false, false, false, false, false
  self.turn = setmetatable({ of = self }, turn_meta)
end

return M
