--- The other side of an SPX connection, written from the published tables and
-- not from neap's machine: packets by their offsets, and a plain stack that
-- sends one packet at a time and takes only what is next.
--
-- Packets are tables: cc (connection control), type, src, dst, seq, ack, alloc,
-- size (SPX II), data.
local M = {}

local NOBODY <const> = 0xffff

-- ---- packets ----

local function has_size(p) return p.cc & 8 ~= 0 and p.dst ~= NOBODY end

function M.bytes(p)
  local words <const> = { p.src, p.dst, p.seq or 0, p.ack or 0, p.alloc or 0 }
  if has_size(p) then words[6] = p.size or 576 end
  local out <const> = { string.char(p.cc, p.type or 0) }
  for _, word in ipairs(words) do out[#out + 1] = string.char(word >> 8 & 255, word & 255) end
  return table.concat(out) .. (p.data or "")
end

local function word(s, offset) return s:byte(offset + 1) * 256 + s:byte(offset + 2) end

function M.packet(s)
  local p <const> = {
    cc = s:byte(1), type = s:byte(2), src = word(s, 2), dst = word(s, 4), seq = word(s, 6), ack = word(s, 8),
    alloc = word(s, 10), length = #s + 30,
  }
  local header = 12
  if has_size(p) then p.size, header = word(s, 12), 14 end
  p.data = s:sub(header + 1)
  return p
end

-- ---- a stack ----

local peer <const> = {}
peer.__index = peer

local PATIENCE <const>, TRIES <const> = 0.7, 30

--- o: id, client, spx2, window (1), messages: what it sends, each { data, type,
-- end }; leaves: ends the connection when all was sent and `expects` packets
-- have come.
function M.new(o, now)
  local self <const> = setmetatable({
    id = o.id, remote = NOBODY, spx2 = o.spx2, two = false, size = 576, window = o.window or 1,
    todo = o.messages or {}, at = 1, expects = o.expects or 0, leaves = o.leaves,
    seq = 0, ack = 0, alloc = -1, got = {}, out = {}, state = o.client and "calling" or "waiting", tries = 0,
  }, peer)
  if o.client then self:say(now, { cc = o.spx2 and 0xcc or 0xc0, dst = NOBODY }, true) end
  return self
end

-- again: it is said again until something else is said so.
function peer:say(now, p, again)
  p.src, p.dst = self.id, p.dst or self.remote
  p.seq = p.seq or self.seq
  p.ack = self.ack
  p.alloc = (self.ack + self.window - 1) & 0xffff
  if self.two then p.cc, p.size = p.cc | 8, p.size or self.size end
  self.out[#self.out + 1] = M.bytes(p)
  if again then self.last, self.again_at, self.tries = p, now + PATIENCE, 0 end
end

local function quiet(self) self.last, self.again_at = nil, nil end

-- Sends the next message, or says the end.
function peer:go_on(now)
  if self.state ~= "open" or self.last then return end
  local m <const> = self.todo[self.at]
  if m and (self.alloc - self.seq) & 0xffff < 0x8000 then
    self:say(now, { cc = 0x40 | (m[3] and 0x10 or 0), type = m[2], data = m[1] }, true)
  elseif not m and self.leaves and #self.got >= self.expects then
    self.state = "leaving"
    self:say(now, { cc = 0x40, type = 0xfe }, true)
  end
end

local function opened(self, now)
  self.state = "open"
  quiet(self)
  self:go_on(now)
end

-- The set-up of SPX II, as in the trace of KB Q163267: CC 8C, CC 8C, CC 8C.
local function set_up(self, p, now)
  if self.state == "calling" then
    self.remote = p.src
    self.two = p.cc & 8 ~= 0
    if not self.two then return opened(self, now) end
    self.state = "sizing"
    self:say(now, { cc = 0xc4, size = self.size, data = ("\0"):rep(self.size - 44) }, true)
    return true
  elseif self.state == "sizing" then
    if p.cc == 0xcc then
      self:say(now, { cc = 0x84 })
      opened(self, now)
    end
    return true
  elseif self.state == "called" then
    if self.two and p.cc == 0xcc then
      self:say(now, { cc = 0x84 })
      if not self.last then self:say(now, { cc = 0xc4, data = ("\0"):rep(self.size - 44) }, true) end
      return true
    end
    opened(self, now)
    return p.cc == 0x8c
  elseif p.cc == 0xcc then
    self:say(now, { cc = 0x84 })
    return true
  end
end

local function requested(self, p, now)
  if self.state ~= "waiting" and p.src ~= self.remote then return end
  self.remote = p.src
  if self.state == "waiting" then
    self.state, self.two, self.alloc = "called", self.spx2 and p.cc & 8 ~= 0, p.alloc
  end
  self:say(now, { cc = self.two and 0x84 or 0x80 })
end

function peer:input(s, now)
  local p <const> = M.packet(s)
  if p.dst == NOBODY then return requested(self, p, now) end
  if p.dst ~= self.id or self.state == "gone" and p.type ~= 0xfe then return end
  if (p.alloc - self.alloc) & 0xffff < 0x8000 then self.alloc = p.alloc end
  if set_up(self, p, now) then return end
  if p.type == 0xfe and p.cc & 0x80 == 0 then
    self:say(now, { cc = 0, type = 0xff })
    self.state = "gone"
    return quiet(self)
  elseif p.type == 0xff then
    if self.state == "leaving" then
      self.state = "gone"
      quiet(self)
    end
    return
  end
  if self.state == "open" and self.last and p.ack == (self.seq + 1) & 0xffff then
    self.seq, self.at = p.ack, self.at + 1
    quiet(self)
  end
  if p.cc & 0x80 == 0 and p.seq == self.ack then
    self.got[#self.got + 1] = { p.data, p.type, p.cc & 0x10 ~= 0 }
    self.ack = (self.ack + 1) & 0xffff
  end
  if p.cc & 0x40 ~= 0 or p.cc & 0x80 == 0 then self:say(now, { cc = 0x80 }) end
  self:go_on(now)
end

function peer:deadline() return self.again_at end

function peer:expire(now)
  if not self.again_at or now < self.again_at then return end
  self.tries = self.tries + 1
  if self.tries > TRIES then
    self.state = "lost"
    return quiet(self)
  end
  local tries <const>, p <const> = self.tries, self.last
  self:say(now, p, true)
  self.tries = tries
end

function peer:take() return table.remove(self.out, 1) end

return M
