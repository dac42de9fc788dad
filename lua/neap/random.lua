-- SPDX-License-Identifier: MIT
--- Bytes that nobody can guess.
local core <const> = require "neap.core"

local M = {}

--- n bytes of the system's generator. Raises where it has none to give.
M.bytes = core.random

--- n bytes as 2n hexadecimal digits.
function M.hex(n)
  return (M.bytes(n):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

return M
