--- The body of a message as it arrives: of a server's request, of a client's
-- response. It is framed by a length, by chunks, or by the connection's end.
--
-- A wire is what a connection shares with its bodies: { stream =, rest = }, where
-- `rest` holds bytes that were received and belong to nobody yet. With a
-- `deadline` all of what is received comes by then.
local coding <const> = require "neap.http.coding"
local core <const> = require "neap.core"
local httpcore <const> = require "neap.httpcore"

local M = {}

local PIECE <const> = 65536 -- the most that is asked for at once

-- ---- the wire ----

-- What comes next, by the deadline.
local function receive_by(wire, deadline, most)
  local left = deadline - core.now()
  if left <= 0 then return nil, "timed out", "ETIMEDOUT" end
  wire.timed = true
  wire.stream:settimeout(left)
  return wire.stream:receive(most)
end

--- What is there, `most` bytes of it, or what comes next.
function M.take(wire, most)
  local rest = wire.rest
  if rest == "" then
    local deadline = wire.deadline
    if deadline then return receive_by(wire, deadline, most) end
    return wire.stream:receive(most)
  end
  if #rest > most then
    wire.rest = rest:sub(most + 1)
    return rest:sub(1, most)
  end
  wire.rest = ""
  return rest
end

-- ---- framing ----

local function cut_short(self, why, code)
  if code ~= "EOF" then return nil, why, code end
  local of = self.length and (" of %d"):format(self.length) or ""
  return nil, ("the body is cut short after %d%s bytes"):format(self.body_received, of), "EPROTO"
end

-- Each gives the next bytes as they were sent, or nil at the end, or nil,
-- message, code.
local framed <const> = {}

function framed.length(self)
  local left = self.length - self.body_received
  if left == 0 then return nil end
  local data, why, code = M.take(self.wire, left < PIECE and left or PIECE)
  if not data then return cut_short(self, why, code) end
  self.body_received = self.body_received + #data
  return data
end

function framed.chunked(self)
  local begun = self.body_begins -- what the owner decoded before
  if begun then
    self.body_begins = nil
    self.body_received = self.body_received + #begun
    if begun ~= "" then return begun end
  end
  while not self.chunks_over do
    local bytes, why, code = M.take(self.wire, PIECE)
    if not bytes then return cut_short(self, why, code) end
    local data, at
    data, at, code = self.chunk_decoder:feed(bytes)
    if not data then return nil, at, code end
    if at then
      self.chunks_over = true
      self.trailers = self.chunk_decoder:trailers()
      self.wire.rest = bytes:sub(at) .. self.wire.rest
    end
    self.body_received = self.body_received + #data
    if data ~= "" then return data end
  end
end

function framed.close(self)
  local data, why, code = M.take(self.wire, PIECE)
  if data then
    self.body_received = self.body_received + #data
    return data
  end
  if code == "EOF" then return nil end
  return nil, why, code
end

-- ---- the end ----

local function fail(self, why, code)
  if code == "EBUSY" then return nil, why, code end -- another task reads, and goes on
  self.body_why, self.body_code = why, code
  if self.decoder then self.decoder:close() end
  if self.body_ended then self:body_ended(false) end
  return nil, why, code
end

local function finish(self)
  if self.decoder then
    local whole, why, code = self.decoder:finish()
    if not whole then return fail(self, why, code) end
  end
  self.body_over = true
  if self.body_ended then self:body_ended(true) end
  return nil, "end of body", "EOF"
end

-- ---- decoding ----

local function too_long(self)
  return fail(self, ("the body is longer than %d bytes"):format(self.maxbody), "EMSGSIZE")
end

-- The next bytes of a body that has a coding.
local function next_decoded(self)
  while true do
    local text, more, code = self.decoder:feed("", PIECE)
    if text and text == "" and not more then
      local raw, why
      raw, why, code = framed[self.framing](self)
      if not raw then
        if why then return fail(self, why, code) end
        return finish(self)
      end
      text, more, code = self.decoder:feed(raw, PIECE)
      if not text then return fail(self, more, code) end
    elseif not text then
      return fail(self, more, code)
    end
    if text ~= "" then return text end
  end
end

local function next_bytes(self)
  if self.decoder then return next_decoded(self) end
  local data, why, code = framed[self.framing](self)
  if data then return data end
  if why then return fail(self, why, code) end
  return finish(self)
end

-- ---- methods ----

local methods <const> = {}
M.methods = methods

--- The next bytes of the body, `max` at most; nil, "end of body", "EOF" at its
-- end, and nil, message, code if it is cut short or malformed.
function methods:receive(max)
  if max ~= nil and (math.type(max) ~= "integer" or max < 1) then
    error("bad argument #1 (a positive integer expected)", 2)
  end
  local data = self.body_kept
  if data then
    self.body_kept = nil
  elseif self.body_why then
    return nil, self.body_why, self.body_code
  elseif self.body_over then
    return nil, "end of body", "EOF"
  else
    local before = self.body_begun
    if before then
      self.body_begun = nil
      local ok, why, code = before(self)
      if not ok then return fail(self, why, code) end
    end
    local why, code
    data, why, code = next_bytes(self)
    if not data then return nil, why, code end
    self.body_given = self.body_given + #data
    if self.body_given > self.maxbody then return too_long(self) end
  end
  if max and #data > max then
    self.body_kept = data:sub(max + 1)
    return data:sub(1, max)
  end
  return data
end

--- An iterator over pieces of the body as they come; raises on a failure.
function methods:chunks()
  return function()
    local data, why, code = self:receive()
    if data or code == "EOF" then return data end
    error(why, 2)
  end
end

-- The end has been seen: what is left is here.
local function rest_of(self, max)
  if self.body_why then return nil, self.body_why, self.body_code end
  local kept = self.body_kept or ""
  if max and #kept > max then return fail(self, ("the body is longer than %d bytes"):format(max), "EMSGSIZE") end
  self.body_kept = nil
  return kept
end

--- All of the body that is left, no more than `max` bytes of it.
function methods:text(max)
  if max ~= nil and (math.type(max) ~= "integer" or max < 0) then
    error("bad argument #1 (an integer that is not negative expected)", 2)
  end
  if self.body_over then return rest_of(self, max) end
  local list, n = {}, 0
  while true do
    local data, why, code = self:receive()
    if not data then
      if code == "EOF" then return table.concat(list) end
      return nil, why, code
    end
    n = n + #data
    if max and n > max then
      return fail(self, ("the body is longer than %d bytes"):format(max), "EMSGSIZE")
    end
    list[#list + 1] = data
  end
end

--- An iterator over its lines, without their ends; raises on a failure.
function methods:lines()
  local parts, data, at = {}, "", 1 -- of a line that has not ended; what came last, and where the next begins in it
  local function whole(last)
    local line = last
    if parts[1] then
      parts[#parts + 1] = last
      line, parts = table.concat(parts), {}
    end
    return line
  end
  return function()
    while true do
      local stop = data:find("\n", at, true)
      if stop then
        local line = whole(data:sub(at, stop - 1))
        at = stop + 1
        return line:byte(-1) == 0x0d and line:sub(1, -2) or line
      end
      if at <= #data then parts[#parts + 1] = data:sub(at) end
      local why, code
      data, why, code = self:receive()
      at = 1
      if not data then
        data = ""
        if code ~= "EOF" then error(why, 2) end
        local line = whole ""
        return line ~= "" and line or nil
      end
    end
  end
end

--- Reads what is left, `max` bytes at most, and forgets it: true, or nil,
-- message, code.
function methods:discard(max)
  local n = 0
  while true do
    local data, why, code = self:receive()
    if not data then
      if code == "EOF" then return true end
      return nil, why, code
    end
    n = n + #data
    if max and n > max then return fail(self, "too much is left of the body", "EMSGSIZE") end
  end
end

--- Writes what is left to a file, which is in its place once all is there.
-- Returns the number of bytes in it, or nil, message, code.
function methods:save(path, options)
  local bytes, why, code = require "neap.http.save".save(self, path, options)
  if bytes then return bytes end -- no tail call: this frame counts
  return nil, why, code
end

-- ---- making ----

--- Gives a parsed message its body: `wire` as above; o.maxbody bounds it, after
-- decoding; o.decode undoes Content-Encoding. The message's fields
-- body_begun(self), before the first byte is asked for, and body_ended(self,
-- whole), at the end, may be set by its owner. True, or nil, message, code for a
-- coding that is not known.
function M.attach(message, wire, o)
  message.wire = wire
  message.maxbody = o.maxbody or math.huge
  message.body_received, message.body_given = 0, 0
  if not message.framing or message.length == 0 then
    message.body_over = true
    return true
  end
  if message.framing == "chunked" then message.chunk_decoder = httpcore.decoder() end
  local named = o.decode and message.headers:get "content-encoding"
  if not named then return true end
  local why, code
  message.decoder, why, code = coding.decoder(named, o.maxbody)
  if not message.decoder then return nil, why, code end
  return true
end

return M
