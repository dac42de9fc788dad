-- SPDX-License-Identifier: MIT
--- SPX: what a connection sends is made here. Each packet tells how far was
-- received and how far the other side may go; so each is an acknowledgement,
-- too.
local packets <const> = require "neap.spx.packet"

local M = {}

local SYSTEM <const>, SPX2 <const> = packets.SYSTEM, packets.SPX2

--- The highest number that the other side may use: what was promised once
-- holds.
local function allocation(m)
  local most <const> = m.expected + m.window - (m.last - m.first + 1) - 1
  return most > m.advertised and most or m.advertised
end
M.allocation = allocation

--- A packet of the connection's. sequence: of data; or of what is next.
function M.emit(m, control, type, sequence, data)
  m.advertised = allocation(m)
  m.unacknowledged, m.asked, m.due_now, m.acknowledge_at = 0, false, false, nil
  local size
  if m.version == 2 then control, size = control | SPX2, m.size end
  m.out[#m.out + 1] = packets.encode(control, type, m.id, m.remote, sequence, m.expected, m.advertised, size) .. data
  m.spoke = m.now
end

--- One without data: it uses up no number.
function M.system(m, control) return M.emit(m, SYSTEM | control, 0, m.next, "") end

return M
