-- Runs one role of one Lua library: `peer.lua NAME ROLE SIZE PORT`, with the
-- roles in peers/NAME.lua.
-- SPDX-License-Identifier: MIT

local name, role, size, port = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local here = arg[0]:match("^(.*/)") or "./"

local bench = {}

-- Tells the load generator where a server listens.
function bench.announce(listening)
  io.stdout:write(("%d\n"):format(listening))
  io.stdout:flush()
end

-- Runs batch(n) with a growing n, until one takes `seconds` of CPU time, and
-- prints what it did.
function bench.measure(seconds, batch)
  local n = 1000
  while true do
    local begin = os.clock()
    batch(n)
    local cpu = os.clock() - begin
    if cpu >= seconds then
      print(("ops=%d wall=%.9f cpu=%.9f"):format(n, cpu, cpu))
      return
    end
    n = math.floor(n * math.min(10, 1.2 * seconds / math.max(cpu, 1e-4))) + 1
  end
end

local roles = assert(loadfile(here .. "peers/" .. name .. ".lua"))(bench)
local run = roles[role]
if not run then error(name .. " has no role " .. role) end
run(size, port)
