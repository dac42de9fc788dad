--- Happy eyeballs (RFC 8305): attempts begin one after the other, families
-- taking turns; the first that succeeds wins, the others are given up.
local core <const> = require "neap.core"
local sync <const> = require "neap.sync"

local DELAY <const> = 0.25 -- RFC 8305 section 5, "Connection Attempt Delay"

-- The first address's family leads, then they take turns (section 4).
local function interleave(list)
  local lead, rest, ordered = {}, {}, {}
  for _, to in ipairs(list) do
    local queue = to.family == list[1].family and lead or rest
    queue[#queue + 1] = to
  end
  for i = 1, math.max(#lead, #rest) do
    if lead[i] then ordered[#ordered + 1] = lead[i] end
    if rest[i] then ordered[#ordered + 1] = rest[i] end
  end
  return ordered
end

local function time_left(deadline)
  if not deadline then return nil end
  return math.max(0, deadline - core.now())
end

-- nil, message with every address that was tried, code of the last.
local function failure(name, reasons, code)
  local texts = {}
  for i, why in ipairs(reasons) do texts[i] = why:gsub("^connect ", "") end
  return nil, ("connect %s (%s)"):format(name, table.concat(texts, "; ")), code
end

--- Calls attempt(address, time left) for each of the list. Returns its first
-- success, or a failure that names all.
return function(list, attempt, o)
  local ordered <const> = interleave(list)
  local results <const> = sync.channel(#ordered)
  local delay <const> = o.delay or DELAY
  local reasons, last, won = {}, nil, nil
  local begun, ended = 0, 0
  local group <close> = core.group()
  local losers <close> = setmetatable({}, { __close = function()
    group:cancel()
    for _ = 1, #results do -- whatever won after the winner
      local late = results:receive(0)
      if late and late.conn then late.conn:close() end
    end
  end })
  while not won and ended < #ordered do
    if begun < #ordered then
      begun = begun + 1
      local to = ordered[begun]
      group:spawn(function()
        local conn, why, code = attempt(to, time_left(o.deadline))
        results:send { conn = conn, why = why, code = code }
      end)
    end
    local patience = begun < #ordered and delay or nil
    local result = results:receive(patience)
    if result then
      ended = ended + 1
      if result.conn then
        won = result.conn
      else
        reasons[#reasons + 1], last = result.why, result.code
      end
    end
  end
  if not won then return failure(o.name, reasons, last) end
  won:settimeout(o.timeout)
  return won
end
