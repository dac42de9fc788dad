-- Loads the module and sends a line there and back between two tasks. Where
-- one task dies of a failed allocation, the other may wait for ever for what
-- it would have sent: hence the scope.
local neap = require "neap"
local tcp = require "neap.tcp"
local unix = require "neap.unix"

local function there_and_back(pair)
  local one, two = assert(pair())
  local echo <close> = neap.spawn(function()
    for line in two:lines() do assert(two:write(line, "\n")) end
    two:close()
  end)
  assert(one:write("there ", "and back\n"))
  assert(assert(one:read("l")) == "there and back")
  one:close()
  echo:join()
  return true
end

for _, kind in ipairs { tcp, unix } do
  neap.run(function() assert(neap.timeout(0.2, there_and_back, kind.pair)) end)
end
