-- SPDX-License-Identifier: MIT
--- SPX: how a connection begins. A request, an answer; with SPX II then a packet
-- of the greatest size each way, to find out what the way between carries.
-- States: a client's "calling", then "sizing"; a server's "called", then
-- "sized"; then "open".
local out <const> = require "neap.spx.out"
local packets <const> = require "neap.spx.packet"
local sender <const> = require "neap.spx.sender"

local M = {}

local SYSTEM <const>, ASK <const>, SPX2 <const>, SIZE <const> = packets.SYSTEM, packets.ASK, packets.SPX2, packets.SIZE
local SHORTEST <const> = packets.SHORTEST
local LESS <const> = { 1500, 1024, SHORTEST } -- sizes to try when long ones get lost
local TRIES <const> = 2 -- with each
local MOST_EMBRYO <const> = 4 -- times that one is asked who has requested a connection and says nothing
local MOST_DATA <const> = SHORTEST - packets.OVERHEAD -- of SPX

local function await(m, patience)
  m.setup_patience = patience
  m.setup_at = m.now + patience
end

local function enter(m, state)
  m.state, m.setup_tries, m.size_tries = state, 0, 0
  await(m, m.rto)
end

-- Something is to be heard of the other side.
local function ask(m) out.system(m, ASK) end

local function open(m)
  m.state, m.setup_at = "open", nil
  if m.version == 2 then
    m.maxdata = m.size - packets.OVERHEAD2
  else
    m.size = math.min(SHORTEST, m.longest)
    m.maxdata = math.min(MOST_DATA, m.longest - packets.OVERHEAD)
  end
end

-- ---- sizes ----

-- A packet as long as they are to be, or the answer to one.
local function say_size(m, control)
  local fill <const> = control & ASK ~= 0 and m.size - packets.OVERHEAD2 or 0
  out.emit(m, SYSTEM | SIZE | control, 0, m.next, ("\0"):rep(fill))
end

local function shrink(m)
  m.size_tries = m.size_tries + 1
  if m.size_tries < TRIES then return end
  m.size_tries = 0
  for _, size in ipairs(LESS) do
    if size < m.size then
      m.size = size
      return
    end
  end
end

-- What the other side takes; no network carries less than the shortest.
local function limit_size(m, size)
  m.size = math.min(m.size, math.max(size or 0, SHORTEST))
end

-- ---- a client's ----

local function request(m)
  local control = SYSTEM | ASK
  if m.spx2 then control = control | SPX2 | SIZE end
  m.advertised = out.allocation(m)
  m.out[#m.out + 1] = packets.encode(control, 0, m.id, packets.NOBODY, 0, 0, m.advertised)
  m.spoke = m.now
end

function M.call(m)
  enter(m, "calling")
  m.called_at = m.now
  request(m)
end

local function called_back(m, control, from)
  m.remote = from
  if m.setup_tries == 0 then sender.measure(m, m.now - m.called_at) end
  if control & SPX2 ~= 0 and m.spx2 then
    m.version = 2
    enter(m, "sizing")
    say_size(m, ASK)
  elseif m.spx2 == "require" then
    return m:fail("EPROTONOSUPPORT", "the peer has no SPX II")
  else
    m.version = 1
    open(m)
    ask(m)
  end
end

-- ---- a server's ----

-- The same answer to the same request.
local function answer(m) out.system(m, m.version == 2 and SIZE or 0) end

--- control, from, allocation: of the request.
function M.answer(m, control, from, allocation)
  m.remote = from
  m.version = control & SPX2 ~= 0 and m.spx2 and 2 or 1
  m.limit = packets.unwrap(allocation, 0)
  enter(m, "called")
  answer(m)
end

--- The request has come again.
function M.repeated(m)
  if m.state ~= "closed" then answer(m) end
end

-- ---- both ----

-- What the other side says while we call. True: it is no more than that.
local handle <const> = {}

function handle.calling(m, control, from)
  called_back(m, control, from)
  return control & SYSTEM ~= 0
end

function handle.sizing(m, control, _, size)
  if control & (SYSTEM | ASK | SIZE) ~= SYSTEM | ASK | SIZE then return control & SYSTEM ~= 0 end
  limit_size(m, size)
  open(m)
  say_size(m, 0)
  ask(m) -- a server may wait for something to acknowledge
  return true
end

function handle.called(m, control, _, size, length)
  if m.version == 2 and control & (SYSTEM | ASK | SIZE) == SYSTEM | ASK | SIZE then
    limit_size(m, size)
    limit_size(m, length)
    enter(m, "sized")
    say_size(m, 0)
    say_size(m, ASK)
    return true
  end
  if m.version == 2 then m.size = SHORTEST end
  open(m)
end

function handle.sized(m, control, _, size)
  if control & (SYSTEM | SIZE) == SYSTEM | SIZE then
    if control & ASK ~= 0 then
      say_size(m, 0)
      say_size(m, ASK)
      return true
    end
    limit_size(m, size)
  end
  open(m)
end

-- One end is done, the other has missed something: it is said again.
function handle.open(m, control, _, size)
  if m.version ~= 2 or control & (SYSTEM | ASK | SIZE) ~= SYSTEM | ASK | SIZE then return false end
  limit_size(m, size)
  m.maxdata = m.size - packets.OVERHEAD2
  say_size(m, 0)
  if m.server then say_size(m, ASK) end
  return true
end

--- A packet of the other side's. True: there is nothing else to it.
function M.input(m, control, from, size, length)
  local how <const> = handle[m.state]
  return how and how(m, control, from, size, length)
end

local say_again <const> = { calling = request }

function say_again.sizing(m)
  shrink(m)
  say_size(m, ASK)
end

function say_again.called(m)
  answer(m)
  ask(m)
end

function say_again.sized(m)
  shrink(m)
  say_size(m, ASK)
end

--- It is time: what got no answer is said again. False: it was said often
-- enough.
function M.expire(m)
  m.setup_tries = m.setup_tries + 1
  if m.setup_tries > (m.server and math.min(MOST_EMBRYO, m.retries) or m.retries) then return false end
  say_again[m.state](m)
  await(m, math.min(sender.MOST, 2 * m.setup_patience))
  return true
end

return M
