--- What streams over SCTP have beyond the others: methods of the one class,
-- which ask the engine that the stream came from.
local core <const> = require "neap.core"
local options <const> = require "neap.sctp.options"

local M = {}

local methods <const> = core.streams

-- The stream -> its engine.
local engines <const> = setmetatable({}, { __mode = "k" })

--- The stream is this engine's. Returns the stream.
function M.own(stream, engine)
  engines[stream] = engine
  return stream
end

--- Its engine; or nil, message, code.
function M.engine_of(stream, what)
  local engine <const> = engines[stream]
  if engine then return engine end
  return nil, what .. ": this stream is not SCTP's", "EOPNOTSUPP"
end

--- What calls a socket's methods for another's. These are no tail calls, so that
-- errors count the arguments as a method's.
M.below = {
  setsockopt = function(sock, ...)
    local done, why, code = sock:setsockopt(...)
    return done, why, code
  end,
  getsockopt = function(sock, ...)
    local value, why, code = sock:getsockopt(...)
    return value, why, code
  end,
}

-- The engine of a stream that is open; or nil, message, code.
local function open_engine(stream, what)
  if not stream:isopen() then return nil, "closed", "ECLOSED" end
  return M.engine_of(stream, what)
end

--- What is known of an association, from either engine.
function M.info(engine, stream, association)
  local info, why, code = engine.get(stream, "status", association)
  if not info then return nil, why, code end
  info.engine = engine.name
  info.peers = engine.get(stream, "peers", association) or {}
  info.locals = engine.get(stream, "locals", association) or {}
  return info
end

--- What is known of the association.
function methods:sctpinfo()
  local engine <const>, why, code = open_engine(self, "sctpinfo")
  if not engine then return nil, why, code end
  return M.info(engine, self)
end

--- One of the options, by its name.
function methods:sctpget(what)
  local engine <const>, why, code = open_engine(self, "sctpget")
  if not engine then return nil, why, code end
  options.check_get(what, 2)
  return engine.get(self, what)
end

--- Sets one of them.
function methods:sctpset(what, value)
  local engine <const>, why, code = open_engine(self, "sctpset")
  if not engine then return nil, why, code end
  options.check_set(what, value, 2)
  local done
  done, why, code = engine.set(self, what, value)
  if done then return self end
  return nil, why, code
end

-- What an engine does when it is set.
local function action(name, what, value_of)
  methods[name] = function(self, given)
    local engine <const>, why, code = open_engine(self, name)
    if not engine then return nil, why, code end
    local value <const> = value_of(given)
    options.check_set(what, value, 2)
    local done
    done, why, code = engine.set(self, what, value)
    if done then return self end
    return nil, why, code
  end
end

local function same(value) return value end

-- The sequence numbers of streams begin anew (RFC 6525).
action("resetstreams", "reset_streams", function(given)
  if given == nil then return { outgoing = true } end
  return given
end)

-- More streams, while the association goes on (RFC 6525).
action("addstreams", "add_streams", same)

-- The address of the peer that is sent to.
action("setprimary", "primary", same)

--- Ends the association at once; the peer is told why.
function methods:abort(reason)
  local engine <const>, why, code = open_engine(self, "abort")
  if not engine then return nil, why, code end
  if reason ~= nil then options.check_set("abort", reason, 2) end
  local done
  done, why, code = engine.set(self, "abort", reason or "")
  self:close()
  if done then return true end
  return nil, why, code
end

return M
