-- SPDX-License-Identifier: MIT
--- Tasks that a WebSocket has of its own: one answers pings, so that who
-- receives never waits for who sends; one asks whether the peer is still there.
local core <const> = require "neap.core"
local writer <const> = require "neap.websocket.writer"

local M = {}

local PONG_TIME <const> = 30 -- seconds that an answer to a ping may wait to be sent
local PINGS_MOST <const> = 16 -- that wait for an answer

-- ---- pings that come ----

local function answer_all(self)
  while self.pings and self.open do writer.pong(self) end
end

local function answer(self)
  local cleanup <close> = setmetatable({}, { __close = function() self.answering, self.pings = false, false end })
  core.timeout(PONG_TIME, answer_all, self)
end

--- A ping has come. Of too many only the last are answered (RFC 6455, 5.5.3).
function M.pinged(self, payload)
  local pings <const> = self.pings or {}
  if #pings == PINGS_MOST then table.remove(pings, 1) end
  pings[#pings + 1] = payload
  self.pings = pings
  if self.answering then return end
  self.answering = true
  core.spawn({ name = "websocket pong", daemon = true }, answer, self)
end

-- ---- pings that go ----

-- Sends one, unless something has come since the last look. How much had come
-- by now; and true if there is an answer to wait for; nil at the end.
local function look(weak, last, patience)
  local self <const> = weak[1]
  if not self or not self.open then return nil end
  local received <const> = self.stream:counters()
  if received ~= last then return received, false end
  core.timeout(patience, writer.ping, self, "")
  return received, true
end

-- Was there nothing while someone waited for it? Who does not receive cannot
-- see an answer.
local function judge(weak, received, patience)
  local self <const> = weak[1]
  if not self or not self.open or not writer.is_reading(self) or self.stream:counters() ~= received then return end
  writer.fail(self, ("no answer to a ping within %g s"):format(patience), "ETIMEDOUT")
end

-- This task must not keep alive who has been forgotten.
local function watch(weak, interval, patience)
  local received, asked
  repeat
    core.sleep(interval)
    local began <const> = core.now()
    received, asked = look(weak, received, patience)
    if asked then
      core.sleep(math.max(0, began + patience - core.now()))
      judge(weak, received, patience)
    end
  until not received
end

--- Pings the peer after each `interval` in which nothing came; fails the
-- connection if then nothing comes for `patience`.
function M.keep(self, interval, patience)
  local weak <const> = setmetatable({ self }, { __mode = "v" })
  self.keeper = core.spawn({ name = "websocket keep-alive", daemon = true }, watch, weak, interval, patience)
end

return M
