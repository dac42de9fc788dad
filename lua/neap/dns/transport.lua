-- SPDX-License-Identifier: MIT
--- The ways of a query to a server and of an answer back. Each returns the
-- bytes of the answer; or nil, why, code, how many messages were no answer.
local core <const> = require "neap.core"
local queries <const> = require "neap.dns.query"
local tcp <const> = require "neap.tcp"
local udp <const> = require "neap.udp"

local M = {}

local LONGEST <const> = 65535

local function left(deadline) return math.max(0, deadline - core.now()) end

-- Waits for the answer, with whatever receive() gives, until the deadline: a
-- flood of other things does not put that off.
local function await(query, deadline, receive)
  local strangers = 0
  while core.now() < deadline do
    local bytes, why, code = receive()
    if bytes and queries.answers(query, bytes) then return bytes end
    if not bytes and code ~= "EMSGSIZE" then return nil, why, code, strangers end
    strangers = strangers + 1
  end
  return nil, "timed out", "ETIMEDOUT", strangers
end

--- By UDP, each time from another port, which the system chooses at random.
function M.udp(server, query, deadline)
  local sock <close>, why, code = udp.connect(server.ip, server.port, { maxmessage = LONGEST })
  if not sock then return nil, why, code, 0 end
  local sent
  sent, why, code = sock:send(query.bytes)
  if not sent then return nil, why, code, 0 end
  return await(query, deadline, function() return sock:settimeout(left(deadline)):receive() end)
end

-- The next message of a stream, behind its length.
local function next_message(conn, deadline)
  local head, why, code = conn:settimeout(left(deadline)):read(2)
  if not head then return nil, why, code end
  local size = (">I2"):unpack(head)
  if size == 0 then return "" end
  return conn:settimeout(left(deadline)):read(size)
end

local function over_stream(conn, query, deadline)
  local sent, why, code = conn:settimeout(left(deadline)):write((">s2"):pack(query.bytes))
  if not sent then return nil, why, code, 0 end
  return await(query, deadline, function() return next_message(conn, deadline) end)
end

--- By TCP, a connection for each query.
function M.tcp(server, query, deadline)
  local conn <close>, why, code = tcp.connect(server.ip, server.port, { timeout = left(deadline) })
  if not conn then return nil, why, code, 0 end
  return over_stream(conn, query, deadline)
end

--- By TLS (RFC 7858): the certificate is verified, for the server's name or
-- else its address. context() is asked for when it is needed.
function M.tls(server, query, deadline, context)
  local made, why, code = context()
  if not made then return nil, why, code, 0 end
  local conn <close>, failed, because = require "neap.tls".connect(server.ip, server.port, {
    context = made, servername = server.name, timeout = left(deadline),
  })
  if not conn then return nil, failed, because, 0 end
  return over_stream(conn, query, deadline)
end

local MESSAGE <const> = "application/dns-message"

-- The message in an answer of HTTP.
local function message_in(response)
  local status = response.status
  if status ~= 200 then return nil, ("the server answers %d %s"):format(status, response.reason), "EPROTO" end
  local kind = response.headers:get "content-type" or ""
  if kind:lower():match "^[ \t]*([^; \t]*)" ~= MESSAGE then
    return nil, ("the server's answer is no %s"):format(MESSAGE), "EPROTO"
  end
  return response:text()
end

--- By HTTPS (RFC 8484), a connection for each query. What is behind `#` in the
-- server's URL is the address of its host.
function M.https(server, query, deadline, context)
  local made, why, code = context()
  if not made then return nil, why, code, 0 end
  local address = server.text:match "#(.+)$"
  local host = server.text:match "^https://%[?([^/?#%]]+)"
  host = address and host:gsub(":%d+$", "")
  local response <close>, failed, because = require "neap.http.client".post(server.text:match "^[^#]*", {
    body = query.bytes, headers = { ["Content-Type"] = MESSAGE, Accept = MESSAGE }, tls = made, follow = false,
    timeout = left(deadline), maxbody = LONGEST, resolve = host and { [host] = address },
  })
  if not response then return nil, failed, because, 0 end
  local bytes
  bytes, why, code = message_in(response)
  if not bytes then return nil, why, code, 0 end
  if queries.answers(query, bytes) then return bytes end
  return nil, "the answer is another query's", "EBADMSG", 1
end

return M
