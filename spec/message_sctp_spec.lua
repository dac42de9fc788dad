--- Message sockets: the contract over one-to-many SCTP, over each engine that
-- is here; or over the one that NEAP_SCTP names.
local contract <const> = require "support.message_contract"
local helper <const> = require "support.helper"
local sctp <const> = require "neap.sctp"

local only <const> = os.getenv "NEAP_SCTP"

-- What has no room is soon sent again.
local QUICK <const> = { initial = 0.02, min = 0.005, max = 0.02 * helper.slow }

-- Where the others find it. The user engine's peers have UDP ports, too.
local function address(s) return "127.0.0.1", (select(2, s:getsockname())) end

local function info(s)
  local ip <const>, port <const> = address(s)
  return { ip = ip, port = port }
end

local function with(options, more)
  local all = {}
  for _, list in ipairs { options or {}, more } do
    for name, value in pairs(list) do all[name] = value end
  end
  return all
end

-- Two that have an association, and know of it.
local function maker(engine)
  return function(options)
    local o <const> = with(options, { engine = engine, sack = { delay = 0 }, rto = QUICK })
    local timeout <const> = o.timeout
    o.timeout = 5
    if engine == "user" then o.udp_port = 0 end
    local a = assert(sctp.open("127.0.0.1", 0, o))
    if engine == "user" then o.encap_port = assert(a:sctpget "udp_port") end
    local b = assert(sctp.open("127.0.0.1", 0, o))
    assert(b:connect(address(a)))
    helper.eventually(function() return #a:associations() == 1 end)
    return a:settimeout(timeout), b:settimeout(timeout)
  end
end

for name, there in pairs(only and { [only] = true } or sctp.engines()) do
  local kind <const> = ("one-to-many SCTP of the %s engine"):format(name)
  if there == true then
    local warm <const> = sctp.pair { engine = name } -- what the engine keeps is open
    if warm then warm:close() end
    contract(_ENV, kind, maker(name), {
      name = "neap.sctp", least = 1, max = 65536, over = 16 * 1024 * 1024 + 1, wrapped = true, flood = 5000,
      to = address, from = address, info = info, polls = true,
      lull = 0.5, later = name == "user", parents = name == "user",
      open = function()
        return sctp.open("127.0.0.1", 0, { engine = name, udp_port = name == "user" and 0 or nil })
      end,
    })
  else
    describe(kind, function()
      it("keeps the contract of message sockets", function() helper.need(false, there) end)
    end)
  end
end
