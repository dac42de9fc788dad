-- Loads the module and sends a line there and back between two tasks.
local neap = require "neap"
local tcp = require "neap.tcp"
local unix = require "neap.unix"

for _, kind in ipairs { tcp, unix } do
  neap.run(function()
    local one, two = assert(kind.pair())
    local echo <close> = neap.spawn(function()
      for line in two:lines() do assert(two:write(line, "\n")) end
      two:close()
    end)
    assert(one:write("there ", "and back\n"))
    assert(assert(one:read("l")) == "there and back")
    one:close()
    echo:join()
  end)
end
