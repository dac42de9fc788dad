-- Packets that were damaged, and bytes that never were any, for neap.wire:
-- what decodes must encode to the same bytes, and what does not must say so.
--   lua5.4 test/fuzz/wire.lua [count [seed]]        (`make fuzz` sanitizes)
-- Prints how many there were; at the first that is wrong, it and its bytes.
-- As a module (see spec/wire_spec.lua) it is the function that runs `count`.
local wire <const> = require "neap.wire"

local function bytes_of(hex)
  return (hex:gsub("..", function(byte) return string.char(tonumber(byte, 16)) end))
end

local function read_packets()
  local file <close> = assert(io.open "spec/fixtures/wire_packets.txt")
  local list = assert(load("return {" .. file:read "a" .. "}"))()
  for _, case in ipairs(list) do case.bytes = bytes_of(case.hex) end
  return list
end

local firsts <const> = {
  "ethernet", "ip", "null", "sll", "sll2", "ipv4", "ipv6", "hop_by_hop", "routing", "fragment",
  "destination_options", "ah", "esp", "icmp", "icmpv6", "igmp", "udp", "udplite", "tcp", "sctp",
  "ipx", "rip", "sap", "spx", "gre", "vxlan", "llc", "snap", "arp", "vlan", "qinq", "loop",
}

local random <const> = math.random
local nasty <const> = { 0, 1, 2, 3, 4, 5, 7, 8, 0x0f, 0x40, 0x45, 0x7f, 0x80, 0xfe, 0xff }

local function noise(n)
  local list = {}
  for i = 1, n do list[i] = random(4) == 1 and nasty[random(#nasty)] or random(0, 255) end
  return string.char(table.unpack(list))
end

-- Each: bytes -> bytes.
local damage <const> = {
  function(b) -- another byte
    local at = random(#b)
    return b:sub(1, at - 1) .. string.char(random(0, 255)) .. b:sub(at + 1)
  end,
  function(b) -- a byte that lengths do not like
    local at = random(#b)
    return b:sub(1, at - 1) .. string.char(nasty[random(#nasty)]) .. b:sub(at + 1)
  end,
  function(b) -- another bit
    local at = random(#b)
    return b:sub(1, at - 1) .. string.char(b:byte(at) ~ 1 << random(0, 7)) .. b:sub(at + 1)
  end,
  function(b) return b:sub(1, random(#b)) end, -- the end cut off
  function(b) return b .. noise(random(40)) end, -- and something at the end
  function(b) -- something in between
    local at = random(#b)
    return b:sub(1, at) .. noise(random(8)) .. b:sub(at + 1)
  end,
  function(b) -- a part twice
    local from = random(#b)
    local to = math.min(#b, from + random(40))
    return b:sub(1, to) .. b:sub(from)
  end,
  function(b) -- a part gone
    local from = random(#b)
    return b:sub(1, from - 1) .. b:sub(from + random(8))
  end,
}

local function hurt(b)
  for _ = 1, random(4) do
    if b == "" then return noise(20) end
    b = damage[random(#damage)](b)
  end
  return b
end

local lenient <const> = { truncated = true }

local function same(b, first, options)
  local packet, message, code, at = wire.decode(b, first, options)
  if packet then
    local again = wire.encode(packet)
    return again == b, "it encodes to other bytes"
  end
  return type(message) == "string" and code == "EBADMSG" and math.type(at) == "integer"
    and at >= 0 and at <= #b, "it fails in another way"
end

local function check(b, first, options)
  local ok, good, why = pcall(same, b, first, options)
  if ok and good then return end
  local hex = b:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  error(("%s, %s: %s\n%s"):format(first, options and "truncated" or "whole", ok and why or good, hex), 0)
end

local function run(count, seed)
  local packets = read_packets()
  math.randomseed(seed)
  for i = 1, count do
    local case = packets[random(#packets)]
    local b, first = case.bytes, case.first
    local kind = random(10)
    if kind == 1 then
      b, first = noise(random(120)), firsts[random(#firsts)]
    elseif kind == 2 then
      first = firsts[random(#firsts)]
      b = hurt(b:sub(random(#b)))
    else
      b = hurt(b)
    end
    check(b, first, i % 2 == 0 and lenient or nil)
  end
end

if ... ~= "fuzz.wire" then
  local count, seed = math.tointeger(arg[1]) or 1000000, math.tointeger(arg[2]) or os.time()
  local began = os.clock()
  run(count, seed)
  print(("wire: %d inputs, seed %d, %.0f s"):format(count, seed, os.clock() - began))
end

return run
