--- What ICMP's errors say, in words, and by the marks of traceroute.
local M = {}

-- type -> code -> { words, mark }; RFC 792, 1122, 1812.
local FOUR <const> = {
  [3] = {
    [0] = { "destination net unreachable", "!N" }, { "destination host unreachable", "!H" },
    { "destination protocol unreachable", "!P" }, { "destination port unreachable" }, { "fragmentation needed", "!F" },
    { "source route failed", "!S" }, { "destination net unknown", "!N" }, { "destination host unknown", "!H" },
    { "source host isolated", "!I" }, { "destination net prohibited", "!X" }, { "destination host prohibited", "!X" },
    { "destination net unreachable for this service", "!N" }, { "destination host unreachable for this service", "!H" },
    { "packet filtered", "!X" }, { "precedence violation", "!V" }, { "precedence cut off", "!C" },
  },
  [4] = { [0] = { "source quench" } },
  [11] = { [0] = { "time to live exceeded" }, { "time to reassemble exceeded" } },
  [12] = { [0] = { "parameter problem" } },
}

-- RFC 4443.
local SIX <const> = {
  [1] = {
    [0] = { "no route to the destination", "!N" }, { "destination prohibited", "!X" },
    { "beyond the scope of the source address", "!H" }, { "destination address unreachable", "!H" },
    { "destination port unreachable" }, { "source address failed a policy", "!X" }, { "route rejected", "!X" },
  },
  [2] = { [0] = { "packet too big", "!F" } },
  [3] = { [0] = { "hop limit exceeded" }, { "time to reassemble exceeded" } },
  [4] = { [0] = { "parameter problem" }, { "destination protocol unreachable", "!P" }, { "unknown option" } },
}

local function row(e)
  local codes = (e.origin == "icmp6" and SIX or FOUR)[e.type]
  return codes and codes[e.icmpcode]
end

--- Whether the router gave it up since it had come too far.
function M.is_exceeded(e) return e.origin == "icmp" and e.type == 11 or e.origin == "icmp6" and e.type == 3 end

--- Whether the host itself had nobody who listens there.
function M.is_port_unreachable(e)
  return e.origin == "icmp" and e.type == 3 and e.icmpcode == 3
    or e.origin == "icmp6" and e.type == 1 and e.icmpcode == 4
end

--- "destination net unreachable from 10.0.0.1"
function M.message(e)
  if e.origin ~= "icmp" and e.origin ~= "icmp6" then return e.message end
  local known = row(e)
  local words = known and known[1] or ("ICMP type %d code %d"):format(e.type, e.icmpcode)
  if e.mtu then words = ("%s (MTU %d)"):format(words, e.mtu) end
  return words .. " from " .. (e.offender or "nobody")
end

--- "!N", "!F-1400"..., or nil for what every hop answers.
function M.mark(e)
  if M.is_exceeded(e) then return nil end
  local known = row(e)
  if not known then return ("!<%d-%d>"):format(e.type, e.icmpcode) end
  if known[2] == "!F" and e.mtu then return ("!F-%d"):format(e.mtu) end
  return known[2]
end

--- Sets what an answer has of an error.
function M.fill(answer, e)
  answer.code, answer.message, answer.from = e.code, M.message(e), e.offender
  answer.type, answer.icmpcode, answer.mtu = e.type, e.icmpcode, e.mtu
  return answer
end

return M
