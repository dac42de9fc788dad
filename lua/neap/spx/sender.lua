-- SPDX-License-Identifier: MIT
--- SPX: what a connection has sent: kept until it is acknowledged, sent again
-- when it seems lost, and no more of it than the other side, and the way
-- there, can take.
local out <const> = require "neap.spx.out"
local packets <const> = require "neap.spx.packet"
local receiver <const> = require "neap.spx.receiver"

local M = {}

local ASK <const> = packets.ASK
local FIRST <const>, LEAST <const>, MOST <const> = 0.5, 0.1, 5 -- seconds until something is sent again
local LEAST_AGAIN <const> = 0.01 -- the same for what was sent again already
local LEAST_LOSSY <const>, LOSSY <const> = 0.03, 1 -- the same for so long after a loss
local FEW <const> = 3 -- acknowledgements of the same that tell of a loss
local LEAST_FLIGHT <const> = 8 -- packets: a window that is not made smaller
local START <const> = 16 -- packets that go before anything is known of the way
local OFTEN <const> = 8 -- SPX II: one of so many asks for an acknowledgement

M.FIRST, M.MOST = FIRST, MOST

--- What it needs.
function M.init(m)
  m.una, m.next = 0, 0 -- the first that is not acknowledged, the next to be sent
  m.limit = -1 -- the highest that may be
  m.sent = {}
  m.flight, m.threshold, m.repeats = START, math.huge, 0
  m.rto, m.tries, m.retransmissions = FIRST, 0, 0
end

-- ---- the round trip (Van Jacobson) ----

--- One was measured.
function M.measure(m, sample)
  if m.rtt then
    local off <const> = sample - m.rtt
    m.rtt = m.rtt + off / 8
    m.deviation = m.deviation + (math.abs(off) - m.deviation) / 4
  else
    m.rtt, m.deviation = sample, sample / 2
  end
  m.rto = math.min(MOST, math.max(LEAST, m.rtt + 4 * m.deviation))
end

-- How soon what was sent again should have got there: who receives it answers
-- at once.
local function soon(m)
  if not m.rtt then return m.rto end
  return math.min(m.rto, math.max(LEAST_AGAIN, m.rtt + 4 * m.deviation))
end

local function await(m, patience)
  m.patience = patience
  m.again_at = m.now + patience
end

-- What was sent for the first time. Where much is lost it may be the last of a
-- window, which nothing tells of.
local function await_first(m)
  local patience = m.rto
  if m.lost_at and m.now < m.lost_at + LOSSY then patience = math.min(patience, math.max(LEAST_LOSSY, 2 * soon(m))) end
  await(m, patience)
end

-- ---- sending ----

--- How many packets may go now.
function M.room(m)
  local allowed <const> = m.limit - m.next + 1
  local way <const> = m.flight // 1 + m.repeats - (m.next - m.una)
  return allowed < way and allowed or way
end

local function transmit(m, n, p) out.emit(m, p.control, p.type, n, p.data) end

--- Sends a packet; there is room. last: nothing follows it for now.
function M.send(m, data, type, control, last)
  local n <const> = m.next
  if m.version == 1 or last or control & packets.END ~= 0 or n == m.limit or n % OFTEN == 0 or M.room(m) <= 1 then
    control = control | ASK
  end
  local p <const> = { data = data, type = type, control = control, at = m.now }
  m.sent[n] = p
  receiver.answered(m)
  m.next = n + 1
  transmit(m, n, p)
  if not m.again_at then await_first(m) end
end

-- The first that is not acknowledged.
local function again(m)
  local p <const> = m.sent[m.una]
  if not p then return end
  p.again, p.control = true, p.control | ASK
  m.retransmissions = m.retransmissions + 1
  transmit(m, m.una, p)
end

-- ---- what the other side says ----

local function grow(m, n)
  if m.flight < m.threshold then
    m.flight = m.flight + n
  else
    m.flight = m.flight + n / m.flight
  end
  m.flight = math.min(m.flight, 2 * m.window)
end

-- All up to here has come.
local function advance(m, to)
  local n <const> = to - m.una
  local newest
  for i = m.una, to - 1 do
    local p <const> = m.sent[i]
    m.sent[i] = nil
    if not p.again then newest = p.at end
  end
  m.una, m.tries, m.repeats = to, 0, 0
  if not m.recover then
    if newest then M.measure(m, m.now - newest) end
    grow(m, n)
  elseif to >= m.recover then
    m.recover, m.flight = nil, m.threshold
  end
  if m.una == m.next then
    m.again_at = nil
  elseif m.recover then -- and the next one is missing, too
    again(m)
    await(m, soon(m))
  else
    await_first(m)
  end
end

local function lose(m)
  m.lost_at = m.now
  m.threshold = math.max((m.next - m.una) / 2, LEAST_FLIGHT)
  m.flight, m.recover = m.threshold, m.next
end

-- The same again: something has come there that was not its turn.
local function repeated(m)
  local flying <const> = m.next - m.una
  m.repeats = m.repeats + 1
  if m.recover or flying < 2 or m.repeats < math.min(FEW, flying - 1) then return end
  lose(m)
  again(m)
  await(m, soon(m))
end

--- What a packet says of ours. bare: it says nothing else. False: it is of
-- another time, or of no time at all.
function M.acknowledged(m, acknowledge, allocation, bare)
  local to <const> = packets.unwrap(acknowledge, m.una)
  if to < m.una or to > m.next then return false end
  local limit <const> = packets.unwrap(allocation, to)
  local more <const> = limit > m.limit
  if more then
    m.limit = limit
    m.probe_at = nil
  end
  if to > m.una then
    advance(m, to)
  elseif bare and not more and m.next > m.una then
    repeated(m)
  end
  return true
end

-- ---- time ----

--- Nothing was heard of what was sent. False: it was tried often enough.
function M.expire(m)
  if m.patience >= m.rto then m.tries = m.tries + 1 end
  if m.tries > m.retries then return false end
  lose(m)
  m.repeats = 0
  again(m)
  await(m, math.min(MOST, 2 * m.patience))
  return true
end

--- There is something to be sent, and no room for it at the other side: it is
-- asked, from time to time, or a word of it that was lost would stop us for
-- good.
function M.blocked(m)
  if m.probe_at or m.next > m.una or m.limit >= m.next then return end
  m.probing = m.rto
  m.probe_at = m.now + m.probing
end

function M.probe(m)
  out.system(m, ASK)
  m.probing = math.min(MOST, 2 * m.probing)
  m.probe_at = m.now + m.probing
end

return M
