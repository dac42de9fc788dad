-- SPDX-License-Identifier: MIT
--- A connection through a SOCKS5 proxy (RFC 1928, RFC 1929): what is said over
-- a stream that leads to it.
local core <const> = require "neap.core"

local M = {}

local NONE <const>, PASSWORD <const>, REFUSED <const> = 0, 2, 0xff
local IPV4 <const>, NAME <const>, IPV6 <const> = 1, 3, 4

local REPLIES <const> = {
  { "general failure", "ECONNABORTED" },
  { "not allowed by its rules", "EACCES" },
  { "network is unreachable", "ENETUNREACH" },
  { "host is unreachable", "EHOSTUNREACH" },
  { "connection refused", "ECONNREFUSED" },
  { "time to live expired", "ETIMEDOUT" },
  { "command not supported", "EOPNOTSUPP" },
  { "kind of address not supported", "EAFNOSUPPORT" },
}

local function fail(why, code) return nil, "SOCKS: " .. why, code end

-- Exactly n bytes.
local function read(stream, n, deadline)
  if deadline then stream:settimeout(math.max(0, deadline - core.now())) end
  local bytes, why, code = stream:read(n)
  if bytes then return bytes end
  if code == "EOF" then return fail("the proxy closed the connection", "EPROTO") end
  return nil, why, code
end

-- The bytes of a destination, or nil, message, code.
local function destination(host, port)
  if core.isip(host) then
    local bytes = require "neap.wire".ip_bytes(host:match "^[^%%]*")
    return string.char(#bytes == 4 and IPV4 or IPV6) .. bytes .. (">I2"):pack(port)
  end
  if #host > 255 then return fail("the name is longer than 255 bytes", "EINVAL") end
  return string.char(NAME) .. (">s1I2"):pack(host, port)
end

local function authenticate(stream, user, password, deadline)
  local ok, why, code = stream:write("\1", (">s1s1"):pack(user, password))
  if not ok then return nil, why, code end
  local answer
  answer, why, code = read(stream, 2, deadline)
  if not answer then return nil, why, code end
  if answer:byte(2) ~= 0 then return fail("the proxy refused the password", "EACCES") end
  return true
end

local function choose(stream, user, password, deadline)
  local ok, why, code = stream:write(user and "\5\2\0\2" or "\5\1\0")
  if not ok then return nil, why, code end
  local answer
  answer, why, code = read(stream, 2, deadline)
  if not answer then return nil, why, code end
  local version, method = answer:byte(1, 2)
  if version ~= 5 then return fail("what answers is no SOCKS5 proxy", "EPROTO") end
  if method == NONE then return true end
  if method == PASSWORD and user then return authenticate(stream, user, password, deadline) end
  if method == REFUSED then
    return fail(user and "the proxy takes no password" or "the proxy wants a user and a password", "EACCES")
  end
  return fail("the proxy chose what was not offered", "EPROTO")
end

-- Skips the address that the proxy is bound to.
local function skip_bound(stream, kind, deadline)
  local n = kind == IPV4 and 4 or kind == IPV6 and 16
  if kind == NAME then
    local length, why, code = read(stream, 1, deadline)
    if not length then return nil, why, code end
    n = length:byte()
  end
  if not n then return fail("a malformed answer", "EPROTO") end
  return read(stream, n + 2, deadline)
end

--- Has the proxy connect to the host, a name or an address, and the port. The
-- stream leads there then: true, or nil, message, code.
function M.connect(stream, host, port, o)
  local user, password, deadline = o.user, o.password or "", o.deadline
  if user and (#user > 255 or #password > 255 or user == "") then
    return fail("user and password have 1 to 255 bytes", "EINVAL")
  end
  local to, why, code = destination(host, port)
  if not to then return nil, why, code end
  local ok
  ok, why, code = choose(stream, user, password, deadline)
  if not ok then return nil, why, code end
  ok, why, code = stream:write("\5\1\0", to)
  if not ok then return nil, why, code end
  local head
  head, why, code = read(stream, 4, deadline)
  if not head then return nil, why, code end
  local version, reply, _, kind = head:byte(1, 4)
  if version ~= 5 then return fail("a malformed answer", "EPROTO") end
  if reply ~= 0 then
    local row = REPLIES[reply] or { ("failure %d"):format(reply), "ECONNABORTED" }
    return fail(row[1], row[2])
  end
  ok, why, code = skip_bound(stream, kind, deadline)
  if not ok then return nil, why, code end
  return true
end

return M
