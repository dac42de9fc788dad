-- SPDX-License-Identifier: MIT
--- Answers that are kept as the bytes that came, for as long as they hold and
-- there is room. In two halves: when the young one is full it becomes the old
-- one, whose rest is dropped; what is used again is young again. No socket.
local M = {}

local OVERHEAD <const> = 200 -- bytes of an entry beside the answer's


--- A cache of so many bytes.
function M.new(size) return { half = size // 2, young = {}, old = {}, used = 0 } end

local function put(self, key, entry)
  if self.used + entry.size > self.half then self.young, self.old, self.used = {}, self.young, 0 end
  local before = self.young[key]
  self.used = self.used + entry.size - (before and before.size or 0)
  self.young[key] = entry
end

--- Keeps bytes that came at this time, for so many seconds.
function M.put(self, key, bytes, now, seconds)
  local size = #bytes + #key + OVERHEAD
  if seconds < 1 or size > self.half then return end
  put(self, key, { bytes = bytes, from = now, till = now + seconds, size = size })
end

--- The bytes that are kept, and their age in seconds; or nil.
function M.get(self, key, now)
  local entry = self.young[key]
  if not entry then
    entry = self.old[key]
    if not entry then return nil end
    self.old[key] = nil
    if entry.till > now then put(self, key, entry) end
  end
  if entry.till <= now then return nil end
  return entry.bytes, now - entry.from
end

--- How many answers there are, and the bytes that they take.
function M.usage(self)
  local n, bytes = 0, 0
  for _, half in ipairs { self.young, self.old } do
    for _, entry in pairs(half) do n, bytes = n + 1, bytes + entry.size end
  end
  return n, bytes
end

return M
