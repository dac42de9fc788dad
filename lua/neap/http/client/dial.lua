-- SPDX-License-Identifier: MIT
--- The way to a server: straight, over a Unix socket, or through a proxy; and
-- TLS on top.
local core <const> = require "neap.core"
local proxies <const> = require "neap.http.client.proxy"

local M = {}

local function left(deadline) return deadline and math.max(0, deadline - core.now()) end

-- ---- routes ----

--- How a target is reached by these options: { key =, what =, proxy =, path = };
-- or nil, message, code. Connections of one key are as good as each other.
function M.route(o, target)
  if o.unix then
    return { what = "unix", path = o.unix, key = ("%s|unix %s"):format(target.origin, o.unix) }
  end
  local proxy, why, code = proxies.of(o, target)
  if proxy == nil then return nil, why, code end
  if not proxy then return { what = "direct", key = target.origin } end
  if proxy.kind == "http" and not target.secure and not o.upgrade then
    return { what = "forward", proxy = proxy, key = ("%s|%s"):format(proxy.name, proxy.id) }
  end
  return { what = proxy.kind == "socks" and "socks" or "tunnel", proxy = proxy,
    key = ("%s|%s"):format(target.origin, proxy.id) }
end

-- ---- streams ----

-- host, port -> where that is to be looked for.
local function elsewhere(client, host, port)
  local given = client.resolve
  local to = given and (given[("%s:%d"):format(host, port)] or given[host])
  if not to then return host, port end
  local name, other = to:match "^%[([^%]]+)%]:(%d+)$"
  if not name then name, other = to:match "^([^:]+):(%d+)$" end
  if name then return name, math.tointeger(tonumber(other)) end
  return to, port
end

-- What was opened is closed, however this ends, unless it is whole then.
local half_meta <const> = {
  __close = function(half)
    if half.stream and not half.whole then half.stream:close() end
  end,
}

local function tcp(half, client, host, port, deadline)
  local options = { timeout = left(deadline) }
  for name, value in pairs(client.tcp) do options[name] = value end
  local why, code
  host, port = elsewhere(client, host, port)
  half.stream, why, code = require "neap.tcp".connect(host, port, options)
  return half.stream, why, code
end

-- TLS over what is open.
local function encrypt(half, context, why, code, servername, deadline)
  if not context then return nil, why, code end
  local ok
  ok, why, code = half.stream:starttls { context = context, servername = servername, timeout = left(deadline) }
  return ok, why, code
end

local function blame_proxy(proxy, why, code) return nil, ("%s: %s"):format(proxy.name, why), code end

-- A stream to the proxy itself.
local function to_proxy(half, client, proxy, deadline)
  local ok, why, code = tcp(half, client, proxy.host, proxy.port, deadline)
  if ok and proxy.secure then
    local context, message, reason = client:proxy_context()
    ok, why, code = encrypt(half, context, message, reason, proxy.host:match "^[^%%]*", deadline)
  end
  if not ok then return blame_proxy(proxy, why, code) end
  return true
end

-- Each opens half.stream: true, or nil, message, code.
local open <const> = {}

function open.direct(half, client, _, target, deadline)
  return tcp(half, client, target.host, target.port, deadline)
end

function open.unix(half, _, route, _, deadline)
  local why, code
  half.stream, why, code = require "neap.unix".connect(route.path, { timeout = left(deadline) })
  return half.stream, why, code
end

function open.forward(half, client, route, _, deadline) return to_proxy(half, client, route.proxy, deadline) end

function open.tunnel(half, client, route, target, deadline)
  local proxy, authorization = route.proxy, nil
  for _ = 1, 2 do
    local ok, why, code = to_proxy(half, client, proxy, deadline)
    if not ok then return nil, why, code end
    local again
    ok, why, code, again = proxies.tunnel(half.stream, proxy, target, deadline, authorization)
    if ok then return true end
    half.stream:close()
    if authorization or not again then return blame_proxy(proxy, why, code) end
    authorization = again
  end
end

function open.socks(half, client, route, target, deadline)
  local proxy = route.proxy
  local host, port = elsewhere(client, target.host, target.port)
  if not proxy.resolves and not core.isip(host) then
    local list, why, code = core.resolve(host, port, { family = "any", timeout = left(deadline) })
    if not list then return nil, why, code end
    host = list[1].ip
  end
  local ok, why, code = to_proxy(half, client, proxy, deadline)
  if not ok then return nil, why, code end
  if deadline then half.stream:settimeout(left(deadline)) end
  ok, why, code = require "neap.http.client.socks".connect(half.stream, host, port, {
    user = proxy.user, password = proxy.password, deadline = deadline,
  })
  if not ok then return blame_proxy(proxy, why, code) end
  return true
end

--- A stream over which requests can be sent, or nil, message, code. Whatever
-- interrupts this closes what is open.
function M.open(client, route, target, deadline)
  local half <close> = setmetatable({}, half_meta)
  local ok, why, code = open[route.what](half, client, route, target, deadline)
  if not ok then return nil, why, code end
  if target.secure then
    local context, message, reason = client:tls_context()
    ok, why, code = encrypt(half, context, message, reason, client.servername or target.host:match "^[^%%]*", deadline)
    if not ok then return nil, why, code end
  end
  if deadline then half.stream:settimeout(nil) end
  half.whole = true
  return half.stream
end

return M
