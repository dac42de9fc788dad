-- SPDX-License-Identifier: MIT
--- Which proxy a request goes through, and what is said to it.
local auth <const> = require "neap.http.auth"
local core <const> = require "neap.core"
local httpcore <const> = require "neap.httpcore"
local strict <const> = require "neap.url.strict"
local url <const> = require "neap.url"

local M = {}

local KINDS <const> = { http = "http", https = "http", socks5 = "socks", socks5h = "socks" }
local SOCKS_PORT <const> = 1080

--- What a proxy's URL says; or nil, message, code. The text itself, which may
-- hold a password, is not in the message.
function M.parse(text)
  if not text:find "^%a[%w+.-]*://" then text = "http://" .. text end
  local parts, why = url.parse(text)
  if not parts then return nil, "proxy: " .. why, "EINVAL" end
  local kind = KINDS[parts.scheme]
  if not kind then
    return nil, ("proxy: '%s' is not known (http, https, socks5, socks5h)"):format(parts.scheme), "EPROTONOSUPPORT"
  end
  if not parts.host or parts.host == "" then return nil, "proxy: no host", "EINVAL" end
  if parts.path ~= "" and parts.path ~= "/" or parts.query then return nil, "proxy: more than a host", "EINVAL" end
  local port = parts.port or strict.PORT[parts.scheme] or SOCKS_PORT
  local proxy = {
    kind = kind, scheme = parts.scheme, host = parts.host, port = port, secure = parts.scheme == "https",
    resolves = parts.scheme == "socks5h", name = ("%s://%s"):format(parts.scheme, url.authority(parts)), id = text,
  }
  if parts.user then
    proxy.user, proxy.password = url.decode(parts.user), url.decode(parts.password or "")
    if kind == "http" then
      local code
      proxy.authorization, why, code = auth.basic(proxy.user, proxy.password)
      if not proxy.authorization then return nil, "proxy: " .. why, code end
    end
  end
  return proxy
end

-- ---- the environment ----

local function in_network(host, network)
  local ip, bits = network:match "^(.-)/(%d+)$"
  bits = bits and #bits <= 3 and tonumber(bits)
  if not bits or not core.isip(ip) or not core.isip(host) then return false end
  local bytes = require "neap.wire".ip_bytes
  local a, b = bytes(ip), bytes((host:match "^[^%%]*"))
  if #a ~= #b or bits > 8 * #a then return false end
  local whole = bits // 8
  if a:sub(1, whole) ~= b:sub(1, whole) then return false end
  local rest = bits % 8
  return rest == 0 or a:byte(whole + 1) >> (8 - rest) == b:byte(whole + 1) >> (8 - rest)
end

local function rule_matches(rule, host, port)
  if rule == "*" then return true end
  local name, only = rule:match "^(.-):(%d+)$"
  if name and not name:find(":", 1, true) or rule:find "^%[.*%]:%d+$" then
    if tonumber(only) ~= port then return false end
    rule = name
  end
  rule = rule:match "^%[(.*)%]$" or rule
  if rule:find("/", 1, true) then return in_network(host, rule) end
  if core.isip(rule) or core.isip(host) then return rule == host end
  rule = rule:gsub("^%*?%.", ""):gsub("%.$", "")
  host = host:gsub("%.$", "")
  return rule ~= "" and (host == rule or host:sub(-#rule - 1) == "." .. rule)
end

--- Does a list as the variable no_proxy has it name the host? Names stand for
-- those below them, too; addresses and networks for themselves.
function M.bypasses(list, host, port)
  for rule in list:lower():gmatch "[^, \t]+" do
    if rule_matches(rule, host, port) then return true end
  end
  return false
end

-- HTTP_PROXY, in capitals, is what a CGI script gets from a header of whoever
-- asks, and is not looked at.
local function from_environment(target)
  local get = os.getenv
  local named = get(target.scheme .. "_proxy") or target.secure and get "HTTPS_PROXY"
    or get "all_proxy" or get "ALL_PROXY"
  if not named or named == "" then return nil end
  return named, get "no_proxy" or get "NO_PROXY"
end

local parsed <const> = setmetatable({}, { __mode = "v" })

--- The proxy for a target: false for none; or nil, message, code.
function M.of(o, target)
  local wanted, except = o.proxy, o.no_proxy
  if wanted == true then
    local list
    wanted, list = from_environment(target)
    except = except or list
  end
  if not wanted then return false end
  if except and M.bypasses(except, target.host, target.port) then return false end
  local proxy, why, code = parsed[wanted]
  if not proxy then
    proxy, why, code = M.parse(wanted)
    if not proxy then return nil, why, code end
    parsed[wanted] = proxy
  end
  return proxy
end

-- ---- CONNECT ----

local MOST_INTERIM <const>, HEAD <const> = 8, 65536

local function write(stream, text, deadline)
  if deadline then stream:settimeout(math.max(0, deadline - core.now())) end
  return stream:write(text)
end

-- The head of the answer, and what came behind it.
local function answer(stream, deadline)
  local parser <const> = httpcore.parser("response", { head = HEAD })
  local rest, interim = "", 0
  while true do
    local bytes = rest
    if bytes == "" then
      local why, reason
      if deadline then stream:settimeout(math.max(0, deadline - core.now())) end
      bytes, why, reason = stream:receive()
      if not bytes then
        if reason == "EOF" then return nil, "the proxy closed the connection", "EPROTO" end
        return nil, why, reason
      end
    end
    local response, at, code = parser:feed(bytes, 1, "CONNECT")
    if response == nil then return nil, at, code end
    rest = response and bytes:sub(at) or ""
    if response and response.status >= 200 then return response, rest end
    if response then interim = interim + 1 end
    if interim > MOST_INTERIM then return nil, "too many interim answers", "EBADMSG" end
  end
end

local function refusal(proxy, response)
  local status = response.status
  local why = ("the proxy answers %d %s"):format(status, response.reason)
  if status ~= 407 then return nil, why, "ECONNREFUSED" end
  return nil, proxy.user and why or why .. ": it wants a user and a password", "EACCES"
end

-- The Proxy-Authorization that answers a 407 of Digest, or nil.
local function digest(proxy, response, authority)
  local field = proxy.user and response.headers:get "proxy-authenticate"
  local challenges = field and auth.challenges(field)
  local best = challenges and auth.best(challenges, { digest = true })
  return best and auth.digest(best, {
    user = proxy.user, password = proxy.password, method = "CONNECT", uri = authority, body = "",
  })
end

--- Has an HTTP proxy make a tunnel to the target over the stream. True; or nil,
-- message, code, and after a 407 perhaps the authorization to try with another one.
function M.tunnel(stream, proxy, target, deadline, authorization)
  local host = target.host:find(":", 1, true) and "[" .. target.host:match "^[^%%]*" .. "]" or target.host
  local authority = ("%s:%d"):format(host, target.port)
  local fields = { { "Host", authority } }
  authorization = authorization or proxy.authorization
  if authorization then fields[2] = { "Proxy-Authorization", authorization } end
  local ok, why, code = write(stream, httpcore.request("CONNECT", authority, fields), deadline)
  if not ok then return nil, why, code end
  local response, rest
  response, rest, code = answer(stream, deadline)
  if not response then return nil, rest, code end
  if response.status < 300 then
    if rest ~= "" then return nil, "the proxy sent more than its answer", "EPROTO" end
    return true
  end
  local again = response.status == 407 and digest(proxy, response, authority)
  local nothing
  nothing, why, code = refusal(proxy, response)
  return nothing, why, code, again
end

return M
