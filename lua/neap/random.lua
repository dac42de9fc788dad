--- Bytes that nobody can guess.
local M = {}

--- n bytes of the system's. Where it has none to give, Lua's generator, which
-- is seeded anew in each state, must do.
function M.bytes(n)
  local file <close> = io.open("/dev/urandom", "rb")
  if file then
    file:setvbuf "no"
    local bytes = file:read(n)
    if bytes and #bytes == n then return bytes end
  end
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

--- n bytes as 2n hexadecimal digits.
function M.hex(n)
  return (M.bytes(n):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

return M
