-- How long decoding a packet takes, beside scapy: Ethernet, IPv4 and TCP with
-- 64 bytes behind them, all fields, checksums verified.
--   LUA_PATH=... LUA_CPATH=... lua5.4 bench/wire.lua [rounds]
-- Each is measured so often, in turn; the medians are printed, in microseconds
-- for a packet. SCAPY names a Python that has scapy (python3).
-- SPDX-License-Identifier: MIT
local wire = require "neap.wire"

local ROUNDS <const> = math.tointeger(arg[1]) or 5
local PYTHON <const> = os.getenv "SCAPY" or "python3"

local ethernet = { layer = "ethernet", dst = "02:00:00:00:00:01", src = "02:00:00:00:00:02" }
local ipv4 = { layer = "ipv4", src = "10.0.0.1", dst = "10.0.0.2" }

local function packet(options)
  return wire.encode {
    ethernet, ipv4, { layer = "tcp", src_port = 40000, dst_port = 80, flags = "PA", options = options },
    ("x"):rep(64),
  }
end

local cases <const> = {
  { "without options", packet() },
  { "with timestamps", packet { { type = "nop" }, { type = "nop" }, { type = "timestamps", tsval = 1, tsecr = 2 } } },
}

local SCRIPT <const> = [[
import logging, sys, time
logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import Ether, TCP
data = bytes.fromhex(sys.argv[1])
assert Ether(data)[TCP].dport == 80
n = 3000
began = time.perf_counter()
for _ in range(n):
    Ether(data)
print((time.perf_counter() - began) / n * 1e6)
]]

local function ours(data)
  local n, decode = 200000, wire.decode
  local began = os.clock()
  for _ = 1, n do decode(data, "ethernet") end
  return (os.clock() - began) / n * 1e6
end

local function encoding(data)
  local n, encode, decoded = 100000, wire.encode, wire.decode(data)
  local began = os.clock()
  for _ = 1, n do encode(decoded) end
  return (os.clock() - began) / n * 1e6
end

local function theirs(data)
  local hex = data:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  local pipe <close> = assert(io.popen(("%s -c '%s' %s 2>/dev/null"):format(PYTHON, SCRIPT, hex)))
  return pipe:read "n"
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

for _, case in ipairs(cases) do
  local name, data = table.unpack(case)
  local decode, encode, scapy = {}, {}, {}
  for _ = 1, ROUNDS do
    decode[#decode + 1], encode[#encode + 1] = ours(data), encoding(data)
    scapy[#scapy + 1] = theirs(data)
  end
  local us, them = median(decode), median(scapy)
  print(("%s: decode %.2f us, encode %.2f us; scapy decodes in %s"):format(name, us, median(encode),
    them and ("%.0f us: %.0f times as long"):format(them, them / us) or "(not found)"))
end
