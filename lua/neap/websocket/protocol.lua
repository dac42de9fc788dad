-- SPDX-License-Identifier: MIT
--- Messages of a WebSocket: bytes to messages and back. No socket is touched.
--
--   wire:feed(bytes)            what has come
--   wire:next()                 -> "text" or "binary", the message
--                                  "ping" or "pong", what it carries
--                                  "close", its code or nil, the reason
--                                  false: there must be more bytes
--                                  nil, message, code, the code to close with
--   wire:message(opcode, data)  -> bytes, and perhaps bytes to go behind them
local httpcore <const> = require "neap.httpcore"
local random <const> = require "neap.random"

local utf8_state <const>, frame_of <const> = httpcore.utf8, httpcore.frame

local M = {}

local TEXT <const>, CLOSE <const>, PING <const> = 1, 8, 9
local COMPRESSED <const> = 4 -- RSV1
local JOINED <const> = 4096 -- a payload up to here is joined with its header
local SHORT <const> = 65536 -- pieces of a message up to here are joined with others
local BAD_TEXT <const>, TOO_BIG <const> = 1007, 1009
local KINDS <const> = { "text", "binary" }
M.KINDS = KINDS

local wire <const> = {}
wire.__index = wire

--- One end of a connection: { role = "server" | "client", maxmessage =,
-- deflate = what was agreed on, or nil }.
function M.new(o)
  -- Compressed, what cannot be compressed is a little longer.
  local most = o.maxmessage + (o.deflate and o.maxmessage // 6 + 64 or 0)
  return setmetatable({
    masks = o.role == "client", maxmessage = o.maxmessage, deflate = o.deflate or false,
    frames = httpcore.deframer(o.role == "server", most, o.deflate and COMPRESSED or 0), bytes = "", at = 1,
    ended = false,
  }, wire)
end

-- ---- what comes ----

--- Bytes that have come. After a close frame nothing counts any more.
function wire:feed(bytes)
  if self.ended then return end
  if self.at <= #self.bytes then bytes = self.bytes:sub(self.at) .. bytes end
  self.bytes, self.at = bytes, 1
end

local function failed(self, why, code, closecode)
  self.ended, self.bytes, self.at, self.parts = true, "", 1, nil
  return nil, why, code, closecode
end

local function inflate(self, payload, last)
  local deflate <const> = self.deflate
  self.decoder = self.decoder or require "neap.zcore".decoder("raw", nil, deflate.receive_bits)
  local data, why, code = self.decoder:message(payload, last, self.maxmessage - self.size)
  if not data then
    if code == "EMSGSIZE" then return failed(self, "the message is too long", code, TOO_BIG) end
    return failed(self, "a compressed message is damaged: " .. why, "EBADMSG", BAD_TEXT)
  end
  if last and not deflate.receive_takeover then self.decoder:reset() end
  return data
end

-- Keeps the pieces few, however small they are.
local function add(parts, piece)
  local n = #parts
  while n > 0 and #piece < SHORT and #parts[n] <= #piece do
    piece, parts[n] = parts[n] .. piece, nil
    n = n - 1
  end
  parts[n + 1] = piece
end

-- A frame of a message that is compressed, or in several frames.
local function piece_of(self, opcode, payload, fin, rsv)
  if opcode ~= 0 then
    self.opcode, self.compressed, self.text, self.size, self.parts = opcode, rsv ~= 0, 0, 0, {}
  end
  if self.compressed then
    local data, why, code, closecode = inflate(self, payload, fin)
    if not data then return nil, why, code, closecode end
    payload = data
    if self.opcode == TEXT then
      self.text = utf8_state(payload, self.text)
      if not self.text or fin and self.text ~= 0 then
        return failed(self, "the text is not UTF-8", "EBADMSG", BAD_TEXT)
      end
    end
  end
  self.size = self.size + #payload
  if self.size > self.maxmessage then return failed(self, "the message is too long", "EMSGSIZE", TOO_BIG) end
  if payload ~= "" then add(self.parts, payload) end
  if not fin then return false end
  local data = table.concat(self.parts)
  self.parts = nil
  return KINDS[self.opcode], data
end

local function control(self, opcode, payload)
  if opcode == PING then return "ping", payload end
  if opcode ~= CLOSE then return "pong", payload end
  self.ended, self.bytes, self.at, self.parts = true, "", 1, nil
  if payload == "" then return "close", nil, "" end
  return "close", (">I2"):unpack(payload), payload:sub(3)
end

--- What a frame that has come is, as next tells it; false: a part of a message.
function wire:take(opcode, payload, fin, rsv)
  if fin and rsv == 0 and KINDS[opcode] and #payload <= self.maxmessage then return KINDS[opcode], payload end
  if opcode >= CLOSE then return control(self, opcode, payload) end
  return piece_of(self, opcode, payload, fin, rsv)
end

--- The next of what has come: see above.
function wire:next()
  while self.at <= #self.bytes do
    local bytes <const> = self.bytes
    local opcode, payload, fin, at, rsv = self.frames:feed(bytes, self.at)
    if opcode == nil then return failed(self, payload, fin, at) end
    if not opcode or at > #bytes then
      self.bytes, self.at = "", 1
    else
      self.at = at
    end
    if not opcode then return false end
    local kind, data, code, closecode = self:take(opcode, payload, fin, rsv)
    if kind ~= false then return kind, data, code, closecode end
  end
  return false
end

-- ---- what goes ----

local keys, key_at = "", 1

-- Four bytes that nobody can guess.
local function new_key()
  if key_at > #keys then keys, key_at = random.bytes(4096), 1 end
  key_at = key_at + 4
  return keys:sub(key_at - 4, key_at - 1)
end

--- A key for a frame, or nil where there is none.
function wire:key() return self.masks and new_key() or nil end

--- Bytes of a frame with so long a payload.
function wire:size(n) return (n < 126 and 2 or n < 65536 and 4 or 10) + (self.masks and 4 or 0) + n end

local function header(opcode, n, fin, rsv)
  local first = (fin and 0x80 or 0) | rsv << 4 | opcode
  if n < 65536 then return (">BBI2"):pack(first, 126, n) end
  return (">BBI8"):pack(first, 127, n)
end

local function frame(self, opcode, payload, fin, rsv)
  if self.masks then return frame_of(opcode, payload, fin, new_key(), rsv) end
  if #payload <= JOINED then return frame_of(opcode, payload, fin, nil, rsv) end
  return header(opcode, #payload, fin, rsv), payload
end

local function encoder(self)
  local deflate <const> = self.deflate
  self.encoder = self.encoder
    or require "neap.zcore".encoder("raw", deflate.level, deflate.send_bits, deflate.memory)
  return self.encoder
end

--- A message in one frame; opcode 1 is text, 2 binary.
function wire:message(opcode, data)
  local deflate <const> = self.deflate
  if not deflate or #data < deflate.threshold then return frame(self, opcode, data, true, 0) end
  local payload = encoder(self):message(data)
  if not deflate.send_takeover then self.encoder:reset() end
  return frame(self, opcode, payload, true, COMPRESSED)
end

--- A fragment: the first has the opcode, the others 0.
function wire:fragment(opcode, data, last)
  local deflate <const> = self.deflate
  if not deflate then return frame(self, opcode, data, last, 0) end
  local payload = last and encoder(self):message(data) or encoder(self):flush(data)
  if last and not deflate.send_takeover then self.encoder:reset() end
  return frame(self, opcode, payload, last, opcode ~= 0 and COMPRESSED or 0)
end

--- What was made last was not sent: nothing may refer to it.
function wire:forget()
  if self.encoder then self.encoder:reset() end
end

--- A control frame.
function wire:control(opcode, payload)
  return frame_of(opcode, payload, true, self.masks and new_key() or nil, 0)
end

return M
