-- SPDX-License-Identifier: MIT
--- What is sent as a body: a string, an iterator, a stream, a file, or nothing;
-- of a server's response and of a client's request.
--
-- It is written to a sink: a stream, or whatever else has its write(...) and
-- sendfile(file, offset, length).
local core <const> = require "neap.core"
local httpcore <const> = require "neap.httpcore"

local M = {}

local PIECE <const> = 65536 -- read at once
local SMALL <const> = 16384 -- a file up to here is read
local COPIED <const> = 4096 -- a chunk up to here is joined with its frame

-- ---- files ----

local file <const> = { __name = "neap.http.file" }
file.__index = file

--- What was opened (core.open_file), or a part of it, as a body.
function M.opened(handle, path, offset, length)
  local kind <const>, size <const>, modified <const>, nanoseconds <const> = handle:info()
  if kind ~= "file" then
    handle:close()
    return nil, ("%s: Is a directory"):format(path), "EISDIR"
  end
  local left <const> = math.max(0, size - (offset or 0))
  return setmetatable({
    path = path, handle = handle, offset = offset or 0, length = math.min(length or left, left),
    size = size, modified = modified, nanoseconds = nanoseconds,
  }, file)
end

--- A regular file, or a part of it, as a body: { path =, offset =, length =,
-- size =, modified = }. It is open until it is closed.
function M.file(path, offset, length)
  local handle, why, code = core.open_file(path)
  if not handle then return nil, why, code end
  return M.opened(handle, path, offset, length)
end

function M.isfile(value) return getmetatable(value) == file end

function file:close()
  local handle <const> = self.handle
  self.handle = nil
  if handle then handle:close() end
  return true
end

file.__close = file.close

--- An iterator over its bytes; its end is nil, a failure nil, message, code.
function file:chunks()
  local at, left = self.offset, self.length
  return function()
    if left == 0 then return nil end
    local data <const>, why <const>, code <const> = self.handle:pread(at, math.min(left, PIECE))
    if not data then return nil, why, code end
    if data == "" then return nil, ("%s has become shorter"):format(self.path), "EPROTO" end
    at, left = at + #data, left - #data
    return data
  end
end

-- ---- kinds ----

local function has(body, name)
  local kind <const> = type(body)
  if kind ~= "table" and kind ~= "userdata" then return false end
  local found, method = pcall(function() return body[name] end)
  return found and type(method) == "function"
end

--- "none", "string", "iterator", "handle" (of Lua's), "file" (M.file), "reader"
-- (it has receive, as streams and bodies do), "chunks" (it has chunks, as forms
-- do); nil for what cannot be sent.
function M.kind(body)
  local kind <const> = type(body)
  if kind == "string" then return "string" end
  if kind == "function" then return "iterator" end
  if body == nil then return "none" end
  if getmetatable(body) == file then return body.handle and "file" or nil end
  if io.type(body) then return io.type(body) == "file" and "handle" or nil end
  if has(body, "receive") then return "reader" end
  if has(body, "chunks") then return "chunks" end
  return nil
end

-- What is left of it, or nil for what is no regular file.
local function handle_length(handle)
  local at <const> = handle:seek()
  local size <const> = at and handle:seek "end"
  if not size then return nil end
  handle:seek("set", at)
  if size == math.maxinteger then return nil end -- a directory
  return math.max(0, size - at)
end

--- How many bytes it has, or nil where that is not known before.
function M.length(body, kind)
  kind = kind or M.kind(body)
  if kind == "string" then return #body end
  if kind == "none" then return 0 end
  if kind == "handle" then return handle_length(body) end
  if kind == "file" or kind == "chunks" then return body.length end
  return nil
end

--- Closes what can be closed.
function M.close(body)
  if has(body, "close") then body:close() end
end

-- ---- pieces ----

local function from_reader(body)
  return function()
    local data, why, code = body:receive(PIECE)
    if data or code == "EOF" then return data end
    return nil, why, code
  end
end

local function from_handle(body)
  return function()
    local data, why = body:read(PIECE)
    if data or not why then return data end
    return nil, why, "EIO"
  end
end

-- An iterator over its pieces.
local function pieces(body, kind)
  if kind == "iterator" then return body end
  if kind == "reader" then return from_reader(body) end
  if kind == "handle" then return from_handle(body) end
  return body:chunks()
end

-- ---- writing ----

-- Until the head has gone. A body that fails before takes it along.
local unsent <const> = { __close = function(state) state.head = nil end }

-- The head goes with the first piece, or alone as soon as that lets others run.
local function send_early(sink, state)
  core.spawn({ daemon = true, name = "http head" }, function()
    local head <const> = state.head
    state.head = nil
    if head then sink:write(head) end
  end)
end

local function take_head(state)
  local head <const> = state.head
  state.head = nil
  return head or ""
end

-- Trailers may be known only now.
local function last_chunk(trailers)
  if type(trailers) == "function" then trailers = trailers() end
  return httpcore.last_chunk(trailers)
end

--- One chunk, after a head or "".
function M.write_chunk(sink, head, data)
  if #data <= COPIED then return sink:write(head, httpcore.chunk(data)) end
  return sink:write(head, httpcore.chunk(#data), data, "\r\n")
end

local function wrong_length(length, sent)
  return nil, ("the body has %s than the %d bytes of its length"):format(sent and "less" or "more", length), "EPROTO"
end

local function write_pieces(sink, head, body, kind, framing, trailers)
  local state <close> = setmetatable({ head = head }, unsent)
  local left = math.type(framing) and framing or nil
  local next_piece, a, b, closing = pieces(body, kind)
  local guard <close> = closing
  send_early(sink, state)
  while true do
    local data, why, code = next_piece(a, b)
    if type(data) ~= "string" then
      if data ~= nil then error(("a body's iterator gave a %s, not a string"):format(type(data)), 0) end
      if why and code then return nil, why, code end
      break
    end
    b = data
    if left and #data > left then return wrong_length(framing) end
    if left then left = left - #data end
    if data ~= "" then
      local ok
      if framing == "chunked" then
        ok, why, code = M.write_chunk(sink, take_head(state), data)
      else
        ok, why, code = sink:write(take_head(state), data)
      end
      if not ok then return nil, why, code end
    end
  end
  if left and left > 0 then return wrong_length(framing, true) end
  local ok, why, code = sink:write(take_head(state), framing == "chunked" and last_chunk(trailers) or "")
  if not ok then return nil, why, code end
  return true
end

-- A small one goes with its head.
local function write_small(sink, head, handle, offset, length)
  local data <const>, why, code = handle:pread(offset, length)
  if not data then return nil, why, code end
  if #data < length then return wrong_length(length, true) end
  local ok
  ok, why, code = sink:write(head, data)
  if not ok then return nil, why, code end
  return true
end

local function write_file(sink, head, handle, offset, length)
  if length > 0 and sink.goes_on then sink:goes_on() end
  local ok, why, code = sink:write(head)
  if not ok then return nil, why, code end
  local sent
  sent, why, code = sink:sendfile(handle, offset, length)
  if not sent then return nil, why, code end
  if sent < length then return wrong_length(length, true) end
  return true
end

local function write_string(sink, head, body, framing, trailers)
  local ok, why, code
  if framing ~= "chunked" then
    ok, why, code = sink:write(head, body)
  elseif body == "" then
    ok, why, code = sink:write(head, last_chunk(trailers))
  else
    ok, why, code = sink:write(head, httpcore.chunk(#body), body, "\r\n", last_chunk(trailers))
  end
  if not ok then return nil, why, code end
  return true
end

--- Writes a head and the body. `framing`: a length, which the body must have;
-- "chunked"; or "close", up to its end. `trailers`: after the last chunk, or a function that
-- gives them then. True,
-- or nil, message, code: of the sink, of what the body was read from, and
-- EPROTO for a body that has another length. What an iterator raises, it raises.
-- The body is not closed.
function M.write(sink, head, body, framing, trailers)
  local kind <const> = M.kind(body)
  if not kind then error(("a %s cannot be a body"):format(io.type(body) or type(body)), 2) end
  if kind == "string" or kind == "none" then
    body = body or ""
    if math.type(framing) and framing ~= #body then return wrong_length(framing, #body < framing) end
    return write_string(sink, head, body, framing, trailers)
  end
  if math.type(framing) then
    if kind == "file" then
      if framing ~= body.length then return wrong_length(framing, body.length < framing) end
      local write <const> = framing > 0 and framing <= SMALL and write_small or write_file
      return write(sink, head, body.handle, body.offset, framing)
    end
    if kind == "handle" and M.length(body) then return write_file(sink, head, body, body:seek(), framing) end
  end
  return write_pieces(sink, head, body, kind, framing, trailers)
end

return M
