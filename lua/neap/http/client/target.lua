-- SPDX-License-Identifier: MIT
--- What a request is for: a URL, taken apart once, with all that is needed of it.
local strict <const> = require "neap.url.strict"
local url <const> = require "neap.url"

local M = {}

local SECURE <const> = { http = false, https = true }
local KNOWN <const> = { http = true, https = true, ws = true, wss = true }

local function without_secrets(parts)
  local shown = setmetatable({}, getmetatable(parts))
  for name, value in pairs(parts) do shown[name] = value end
  shown.user, shown.password = nil, nil
  if shown.path == "" then shown.path = "/" end
  return tostring(shown)
end

-- Of parts that are a URL's: a target, or nil, message, code.
local function of_parts(parts)
  local secure = SECURE[parts.scheme]
  if secure == nil then
    return nil, ("url: neither http nor https, but %s"):format((parts.scheme or "none"):sub(1, 20)), "EPROTONOSUPPORT"
  end
  if not parts.host or parts.host == "" then return nil, "url: no host", "EINVAL" end
  local port = parts.port or strict.PORT[parts.scheme]
  if port == 0 then return nil, "url: the port is 0", "EINVAL" end
  return {
    parts = parts, secure = secure, scheme = parts.scheme, host = parts.host, port = port,
    path = parts.path == "" and "/" or parts.path,
    user = parts.user and url.decode(parts.user), password = parts.user and url.decode(parts.password or ""),
    authority = url.authority(parts), target = url.target(parts), origin = url.origin(parts),
    text = without_secrets(parts), fragment = parts.fragment,
  }
end

--- The parts of a URL as a program writes it. Whom it leads to is read strictly;
-- what stands behind that, as browsers do where it is no URL by RFC 3986, as in
-- "?a[]=1", but for blanks, backslashes and control characters.
function M.parts(text)
  local parts, why, code = url.parse(text)
  if parts then return parts end
  local front, behind = text:match "^(%a[%w+.-]*://[^/?#\\]*)([/?#].*)$"
  if not front or not KNOWN[front:lower():match "^[^:]*"] then return nil, why, code end
  if behind:find "[%c \\\x7f]" or not utf8.len(behind) then return nil, why, code end
  local rest = url.parse("http://h" .. behind, { mode = "browser" })
  parts = rest and url.parse(front)
  if not parts then return nil, why, code end
  parts.path, parts.query, parts.fragment = rest.path, rest.query, rest.fragment
  return parts
end

--- Of a URL as a program writes it. `query`: parameters to be added.
function M.parse(text, query)
  local parts, why, code = M.parts(text)
  if not parts then return nil, why, code end
  if query then
    local more = url.buildquery(query)
    if more ~= "" then parts.query = parts.query and parts.query ~= "" and parts.query .. "&" .. more or more end
  end
  return of_parts(parts)
end

--- Of a Location, as browsers read it, seen from a target. A user and a
-- password in it are nobody's; what has no fragment keeps the one before.
function M.reference(from, text)
  local base = setmetatable({}, getmetatable(from.parts))
  for name, value in pairs(from.parts) do base[name] = value end
  base.user, base.password = nil, nil
  local resolved, why, code = url.resolve(base, text, { mode = "browser" })
  if not resolved then return nil, why, code end
  local parts
  parts, why, code = url.parse(resolved, { mode = "browser" })
  if not parts then return nil, why, code end
  parts.user, parts.password = nil, nil
  parts.fragment = parts.fragment or from.fragment
  return of_parts(parts)
end

return M
