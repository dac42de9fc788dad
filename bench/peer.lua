-- Runs one role of one Lua library: `peer.lua NAME ROLE SIZE PORT`, with the
-- roles in peers/NAME.lua.
-- SPDX-License-Identifier: MIT

local name, role, size, port = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local here = arg[0]:match("^(.*/)") or "./"

local bench = { here = here }

-- What the load generator wants: how many sockets, and for how long.
bench.count = tonumber(os.getenv "BENCH_COUNT")
bench.seconds = tonumber(os.getenv "BENCH_SECONDS")

-- A server's certificate and its key: files of PEM.
bench.certificate, bench.key = os.getenv "BENCH_CERT", os.getenv "BENCH_KEY"

-- What a server of files serves.
bench.files = os.getenv "BENCH_FILES"

-- A library that has a better one puts it here.
bench.now = os.clock

-- Tells the load generator where a server listens: its port, or the list of
-- them.
function bench.announce(listening)
  if type(listening) ~= "table" then listening = { listening } end
  io.stdout:write(table.concat(listening, " "), "\n")
  io.stdout:flush()
end

-- Runs batch(n) with a growing n, until one takes `seconds` of CPU time, or
-- twice as long because it mostly waits, and prints what it did: n, or as much
-- as it says.
function bench.measure(seconds, batch)
  local n = 1000
  while true do
    local began, begin = bench.now(), os.clock()
    local done = batch(n) or n
    local cpu, wall = os.clock() - begin, bench.now() - began
    local spent = math.max(cpu, wall / 2)
    if spent >= seconds then
      print(("ops=%d wall=%.9f cpu=%.9f"):format(done, wall, cpu))
      io.stdout:flush()
      return
    end
    n = math.floor(n * math.min(10, 1.2 * seconds / math.max(spent, 1e-4))) + 1
  end
end

local roles = assert(loadfile(here .. "peers/" .. name .. ".lua"))(bench)
local run = roles[role]
if not run then error(name .. " has no role " .. role) end
run(size, port)
