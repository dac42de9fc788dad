-- SPDX-License-Identifier: MIT
--- SPX: what a connection receives: in its order, within its window, and
-- acknowledged.
local out <const> = require "neap.spx.out"
local packets <const> = require "neap.spx.packet"

local M = {}

local ASK <const>, END <const> = packets.ASK, packets.END
local DELAY <const> = 0.02 -- seconds that an acknowledgement waits for data to go with

--- What it needs.
function M.init(m)
  m.expected = 0 -- the number that comes next
  m.advertised = -1 -- the highest number that was allowed
  m.ready, m.first, m.last = {}, 1, 0 -- in order, to be taken
  m.early, m.nearly = {}, 0 -- by number: what came before its turn
  m.unacknowledged = 0 -- packets
  m.duplicates, m.reordered = 0, 0
end

-- The next in order.
local function accept(m, control, type, data)
  m.expected = m.expected + 1
  m.unacknowledged = m.unacknowledged + 1
  m.asked = m.asked or control & ASK ~= 0
  m.got = m.now
  if m.ended then return end -- there can be no more
  if m.version == 2 and (type == packets.RELEASE or type == packets.RELEASED) then
    m.ended = true
    m.due_now = true
    return
  end
  if m.deaf then return end
  m.last = m.last + 1
  m.ready[m.last] = { data, type, control & END ~= 0 }
end

--- A packet with data.
function M.data(m, control, type, sequence, data)
  local n <const> = packets.unwrap(sequence, m.expected)
  if n < m.expected then
    m.duplicates = m.duplicates + 1
    m.due_now = true
  elseif n > m.advertised then
    m.due_now = true -- it does not know how far it may go
  elseif m.early[n] then
    m.duplicates = m.duplicates + 1
    m.due_now = true
  elseif n > m.expected then
    m.reordered = m.reordered + 1
    m.early[n], m.nearly = { control, type, data }, m.nearly + 1
    out.system(m, 0) -- each of them: they are counted
  else
    accept(m, control, type, data)
    if m.nearly > 0 then m.due_now = true end
    while m.nearly > 0 do
      local p <const> = m.early[m.expected]
      if not p then break end
      m.early[m.expected], m.nearly = nil, m.nearly - 1
      accept(m, table.unpack(p))
    end
  end
end

--- Takes what is next: data, type, whether a message ends with it; or nil.
function M.take(m)
  local first <const> = m.first
  local p <const> = m.ready[first]
  if not p then return nil end
  m.ready[first] = nil
  if first == m.last then m.first, m.last = 1, 0 else m.first = first + 1 end
  return p[1], p[2], p[3]
end

--- Nobody wants what comes any more.
function M.deafen(m)
  m.deaf = true
  m.ready, m.first, m.last = {}, 1, 0
end

-- After how many packets it is time: those that ask for it expect it soon.
local function patience(m)
  if not m.asked then return math.max(2, m.window // 4) end
  return m.chatty and 2 or 1
end

--- Acknowledges, if it is time: at the end of what came together, so that one
-- answers many. In a dialogue it waits a little, to go with the answer.
function M.acknowledge(m)
  local due = m.due_now or out.allocation(m) - m.advertised >= math.max(1, m.window // 2)
  if not due and m.unacknowledged > 0 then
    due = m.unacknowledged >= patience(m)
    if not due and not m.acknowledge_at then m.acknowledge_at = m.now + DELAY end
  end
  if due then out.system(m, 0) end
end

--- The acknowledgement found nothing to go with.
function M.expire(m)
  m.chatty = false
  out.system(m, 0)
end

--- Data goes: was it an answer?
function M.answered(m)
  if m.unacknowledged > 0 or m.got and m.now - m.got < DELAY then m.chatty = true end
end

return M
