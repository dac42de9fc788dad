--- Servers of HTTP for the client's specs, scripted: what they answer is bytes.
local httpcore <const> = require "neap.httpcore"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"

local M = {}

-- All of a body that is framed like this; nil if the connection ends before.
local function body_of(conn, request)
  if request.framing == "length" then return conn:read(request.length) end
  if request.framing ~= "chunked" then return "" end
  local decoder <const>, out = httpcore.decoder(), {}
  while true do
    local bytes = conn:receive()
    if not bytes then return nil end
    local data, at = decoder:feed(bytes)
    if not data then return nil end
    out[#out + 1] = data
    if at then
      request.trailers = decoder:trailers()
      conn:unread(bytes:sub(at))
      return table.concat(out)
    end
  end
end

--- The next request's head: a table, with its text in `head`.
function M.read_head(conn)
  local head = conn:readuntil("\r\n\r\n", 1 << 20)
  if not head then return nil end
  local request = assert(httpcore.parser("request"):feed(head))
  request.head = head
  return request
end

--- The next request with its body.
function M.read_request(conn)
  local request = M.read_head(conn)
  if not request then return nil end
  if request.expect then conn:write "HTTP/1.1 100 Continue\r\n\r\n" end
  request.body = body_of(conn, request)
  return request.body and request
end

M.body_of = body_of

--- An answer of 200 with this body.
function M.ok(body, fields)
  return ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s"):format(#body, fields or "", body)
end

local peer <const> = { __name = "http peer" }
peer.__index = peer

function peer:close()
  self.listener:close()
  for conn in pairs(self.open) do conn:close() end
  self.task:cancel(0):join()
end
peer.__close = peer.close

local function start(listener, handler, scheme)
  local self <const> = setmetatable({ listener = listener, requests = {}, connections = 0, open = {} }, peer)
  local _, port = listener:getsockname()
  self.port, self.url = port, ("%s://127.0.0.1:%s"):format(scheme or "http", port)
  self.task = neap.spawn({ name = "peer", daemon = true }, function()
    listener:serve(function(conn)
      self.connections = self.connections + 1
      self.open[conn] = true
      handler(conn, self, self.connections)
      self.open[conn] = nil
    end)
  end)
  return self
end

--- A server whose handler(conn, peer, number) has each connection.
function M.raw(handler, listener, scheme)
  return start(listener or assert(tcp.listen("127.0.0.1", 0)), handler, scheme)
end

--- A server that reads requests, one after the other, and writes what
-- answer(request, conn, peer) returns; nil: all is said, false: it closes.
-- Requests are kept in peer.requests.
function M.server(answer, listener, scheme)
  return M.raw(function(conn, self, number)
    while true do
      local request = M.read_request(conn)
      if not request then return end
      request.connection = number
      self.requests[#self.requests + 1] = request
      local text = answer(request, conn, self)
      if text == false then return end
      if text and request.method == "HEAD" then text = text:match "^.-\r\n\r\n" end
      if text then conn:write(text) end
    end
  end, listener, scheme)
end

--- A server that says these bytes to the first request of a connection, and
-- closes; `pieces`: one byte at a time.
function M.says(bytes, pieces)
  return M.raw(function(conn)
    conn:setsockopt("TCP_NODELAY", true)
    if not M.read_request(conn) then return end
    if not pieces then
      conn:write(bytes)
    else
      for i = 1, #bytes do
        if not conn:write(bytes:sub(i, i)) then return end
        if i % 7 == 0 then neap.sleep(0) end
      end
    end
  end)
end

return M
