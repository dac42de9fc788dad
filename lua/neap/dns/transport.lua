-- SPDX-License-Identifier: MIT
--- The ways of a query to a server and of an answer back. Each returns the
-- bytes of the answer, and fifth its age in seconds if that is known; or nil,
-- why, code, how many messages were no answer.
local core <const> = require "neap.core"
local keeping <const> = require "neap.dns.kept"
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

-- Over a connection that is put back if that went well, else closed.
local function over_kept(conn, server, query, deadline, kept)
  local guard <close> = setmetatable({ conn = conn }, keeping.guard)
  local bytes, why, code, strangers = over_stream(conn, query, deadline)
  if bytes and kept then
    guard.conn = nil
    kept:put(server, conn)
  end
  return bytes, why, code, strangers
end

--- By TLS (RFC 7858): the certificate is verified, for the server's name or
-- else its address. context() is asked for when it is needed. With what `kept`
-- has of earlier queries: that may have ended meanwhile.
function M.tls(server, query, deadline, context, kept)
  local idle = kept and kept:take(server)
  if idle then
    local bytes, why, code, strangers = over_kept(idle, server, query, deadline, kept)
    if bytes or code == "ETIMEDOUT" then return bytes, why, code, strangers end
  end
  local made, why, code = context()
  if not made then return nil, why, code, 0 end
  local conn
  conn, why, code = require "neap.tls".connect(server.ip, server.port, {
    context = made, servername = server.name, timeout = left(deadline),
  })
  if not conn then return nil, why, code, 0 end
  return over_kept(conn, server, query, deadline, kept)
end

local MESSAGE <const> = "application/dns-message"

-- How long an answer lay in a cache of HTTP, by which its TTLs are too long (RFC
-- 8484 5.1).
local function age_of(response)
  local digits = (response.headers:get "age" or ""):match "^%d+$"
  return digits and (#digits < 10 and math.tointeger(tonumber(digits)) or 1 << 31) or nil
end

-- The message in an answer of HTTP.
local function message_in(response)
  local status = response.status
  if status < 200 or status > 299 then
    return nil, ("the server answers %d %s"):format(status, response.reason), "EPROTO"
  end
  local kind = response.headers:get "content-type" or ""
  if kind:lower():match "^[ \t]*([^; \t]*)" ~= MESSAGE then
    return nil, ("the server's answer is no %s"):format(MESSAGE), "EPROTO"
  end
  return response:text()
end

-- A client for a server. What is behind `#` in its URL is the address of its
-- host.
local function client_of(server, context, seconds)
  local address = server.text:match "#(.+)$"
  local host = server.text:match "^https://%[?([^/?#%]]+)"
  host = address and host:gsub(":%d+$", "")
  return require "neap.http.client".client {
    tls = context, resolve = host and { [host] = address }, idle_timeout = seconds, max_idle = seconds and 4 or 0,
    headers = { ["Content-Type"] = MESSAGE, Accept = MESSAGE }, follow = false, maxbody = LONGEST,
  }
end

-- How the end of a connection looks that was kept.
local ENDED <const> = { EPROTO = true, ECONNRESET = true, EPIPE = true, ETLS = true }

local function post(client, server, query, deadline)
  local text = server.text:match "^[^#]*"
  local idle = client:connections().idle > 0
  local response, why, code = client:post(text, { body = query.bytes, timeout = left(deadline) })
  if response or not idle or not ENDED[code] then return response, why, code end
  client:closeidle()
  return client:post(text, { body = query.bytes, timeout = left(deadline) })
end

--- By HTTPS (RFC 8484), with what `kept` has of earlier queries.
function M.https(server, query, deadline, context, kept)
  local made, why, code = context()
  if not made then return nil, why, code, 0 end
  local client = kept and kept:client(server, function(seconds) return client_of(server, made, seconds) end)
    or client_of(server, made)
  local response <close>, failed, because = post(client, server, query, deadline)
  if not response then return nil, failed, because, 0 end
  local bytes
  bytes, why, code = message_in(response)
  if not bytes then return nil, why, code, 0 end
  if queries.answers(query, bytes) then return bytes, nil, nil, 0, age_of(response) end
  return nil, "the answer is another query's", "EBADMSG", 1
end

return M
