-- SPDX-License-Identifier: MIT
--- A response: what its head says, and the methods by which its body is read.
-- When that has ended, however it did, its connection is given back.
local body <const> = require "neap.http.body"
local coding <const> = require "neap.http.coding"
local httpcore <const> = require "neap.httpcore"

local M = {}

local methods <const> = {}
for name, method in pairs(body.methods) do methods[name] = method end
methods.body_received, methods.body_given, methods.maxbody = 0, 0, math.huge
methods.version = "1.1" -- only another one is set
methods.history = setmetatable({}, { __newindex = function() error("this list is nobody's", 2) end })

local class <const> = { __name = "neap.http.response", __index = methods }
M.class = class

-- ---- the connection ----

-- Can another request use the connection?
local function is_reusable(response, conn)
  return not response.close_after and conn.rest == "" and not response.tunnel and conn.stream:pending() == 0
end

-- Called by the body, at its end.
function methods.body_ended(response, whole)
  local hold = response.hold
  if not hold then return end
  response.hold = nil
  hold:finish(whole and is_reusable(response, hold.conn))
end

--- Gives the response up: what is left of its body is not read any more.
function methods.close(response)
  if not response.body_over and not response.body_why then
    response.body_why, response.body_code = "closed", "ECLOSED"
    response.body_kept = nil
    if response.decoder then response.decoder:close() end
  end
  if response.hold then response:body_ended(false) end
  return true
end

class.__close = methods.close

-- What takes all of a body gives the response up if it is interrupted.
function methods.text(response, max)
  if response.body_over then return body.methods.text(response, max) end
  local guard <close> = response
  return body.methods.text(response, max)
end

function methods.discard(response, max)
  local guard <close> = response
  return body.methods.discard(response, max)
end

function methods.save(response, path, options)
  local guard <close> = response
  local bytes, why, code = require "neap.http.save".save(response, path, options)
  if bytes then return bytes end -- no tail call: this frame counts
  return nil, why, code
end

--- After 101: the stream, which is the caller's now. What had come of it is
-- put back. A second time fails.
function methods.stream(response)
  local hold = response.hold
  if not response.tunnel or not hold then return nil, "the connection was not handed over", "EINVAL" end
  response.hold = nil
  local conn = hold:detach()
  local stream = conn.stream
  if conn.timed then stream:settimeout(nil) end
  if conn.rest ~= "" then stream:unread(conn.rest) end
  return stream
end

--- From now on there is no deadline, but for each time that something is
-- waited for.
function methods.untimed(response, seconds)
  local conn = response.hold and response.hold.conn
  if not conn then return end
  conn.deadline, conn.timed = nil, true
  conn.stream:settimeout(seconds)
end

-- ---- its body ----

local function undo_codings(response, text, o)
  local named = o.decode ~= false and response.status ~= 206 and response.headers:get "content-encoding"
  if not named then return false end
  local why, code
  response.decoder, why, code = coding.decoder(named, o.maxbody)
  if not response.decoder then
    response.body_why, response.body_code = why, code
  elseif text then -- it is all here: no connection is needed to decode it
    response.framing, response.length, response.wire = "length", #text, { rest = text }
  end
  return true
end

-- All of the body is here, as it was sent.
local function complete(response, hold, text, o)
  local conn = hold.conn
  hold:finish(is_reusable(response, conn))
  if text == "" or not undo_codings(response, text, o) then
    response.body_over = true
    if #text > response.maxbody then
      response.body_why, response.body_code = ("the body is longer than %d bytes"):format(response.maxbody), "EMSGSIZE"
    elseif text ~= "" then
      response.body_kept = text
    end
  end
end

-- The body, if all of it came with the head.
local function take_chunks(response, conn)
  local decoder = httpcore.decoder()
  response.chunk_decoder = decoder
  if conn.left == 0 then return nil end
  local rest = conn.stream:receive()
  if not rest then return nil end
  local data, at, code = decoder:feed(rest)
  if not data then
    response.body_why, response.body_code = at, code
    return nil
  end
  conn.rest = at and rest:sub(at) or ""
  if at then
    response.trailers = decoder:trailers()
    return data
  end
  response.body_begins = data
end

local function take(response, conn)
  local framing = response.framing
  if not framing then return "" end
  if framing == "length" then
    local length = response.length
    if length == 0 then return "" end
    return length <= conn.left and conn.stream:receive(length) or nil
  end
  if framing == "chunked" then return take_chunks(response, conn) end
end

--- Gives a response, whose head was read, its body and a hold on the
-- connection, or ends that hold at once if there is nothing more to come.
function M.begin(response, hold, o, close_after)
  local conn = hold.conn
  if rawget(response, "close") then -- it is the method's name, too
    response.close, response.close_after = nil, true
  elseif close_after then
    response.close_after = true
  end
  if o.maxbody then response.maxbody = o.maxbody end
  if response.tunnel then
    response.body_over = true
    response.hold = hold:give()
    return response
  end
  local text = take(response, conn)
  if text then
    complete(response, hold, text, o)
    return response
  end
  if response.body_why then
    hold:finish(false)
    return response
  end
  response.wire = conn
  if undo_codings(response, nil, o) and response.body_why then
    hold:finish(false)
    return response
  end
  response.hold = hold:give()
  return response
end

return M
