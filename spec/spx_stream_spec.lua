--- Streams over SPX: the contract of every stream, over IPX in UDP. That of
-- SPX has no half-close, and so it is over SPX II.
local contract <const> = require "support.stream_contract"
local lab <const> = require "support.spx_lab"
require "support.helper"

local COLLECTS <const> = (os.getenv "GC" or "") ~= ""

-- The contract takes a writer that waits for one before whom all is full; so
-- there is little to be filled.
local little <const> = { buffer = 8192, window = 8 }
local mtu

-- Each packet is work for a collector that never rests.
if COLLECTS then little.buffer, little.window, mtu = 65536, 2, 32000 end

-- And it takes longer to fill even that than the test waits.
local here <const> = setmetatable({
  it = function(name, body)
    if COLLECTS and name:find "^in a write that others wait behind" then
      return pending(name .. ": needs a collector that rests")
    end
    return it(name, body)
  end,
}, { __index = _ENV })

contract(here, "SPX II", function(options) return lab.pair(lab.with(little, options), mtu) end, { secure = true })
