--- Streams over SCTP: the contract of every stream, over each engine that is
-- here; or over the one that NEAP_SCTP names.
local contract <const> = require "support.stream_contract"
local helper <const> = require "support.helper"
local sctp <const> = require "neap.sctp"

local only <const> = os.getenv "NEAP_SCTP"

for name, there in pairs(only and { [only] = true } or sctp.engines()) do
  local kind <const> = ("SCTP of the %s engine"):format(name)
  if there == true then
    local warm <const> = sctp.pair { engine = name } -- what the engine keeps is open
    if warm then warm:close() end
    contract(_ENV, kind, function(options)
      local o <const> = { engine = name }
      for key, value in pairs(options or {}) do o[key] = value end
      return assert(sctp.pair(o))
    end, { whole = true, kept = true })
  else
    describe(kind, function()
      it("keeps the contract of streams", function() helper.need(false, there) end)
    end)
  end
end
