--- URLs by the grammar of RFC 3986, taken at its word: what two programs could
-- read in two ways is refused. Text beyond ASCII is mapped as RFC 3987 says.
local host_of <const> = require "neap.url.host"
local percent <const> = require "neap.url.percent"

local find <const>, sub <const>, match <const>, byte <const> = string.find, string.sub, string.match, string.byte
local lower <const>, gsub <const> = string.lower, string.gsub

local M = {}

--- Schemes whose host is a name of DNS or an address, and their ports.
local PORT <const> = { http = 80, https = 443, ws = 80, wss = 443, ftp = 21 }
M.PORT = PORT

local SCHEME <const> = "^[A-Za-z][A-Za-z0-9+.-]*"

-- What cannot stand in any URL of ASCII. "#" to ";" are #$%&'()*+,-./ digits :;
-- and "?" to "[" are ?@ letters [: few ranges are quicker than many bytes.
local STRANGE <const> = "[^a-z#-;?-[=_%]!~]"

-- What cannot stand in any URL; and in each of its parts.
local ILLEGAL <const> = "[^a-z#-;?-[=_%]!~\x80-\xff]"
local ILLEGAL_IN <const> = {
  user = "[^A-Za-z0-9._~!$&'()*+,;=%%\x80-\xff-]",
  password = "[^A-Za-z0-9._~!$&'()*+,;=:%%\x80-\xff-]",
  host = "[^A-Za-z0-9._~!$&'()*+,;=%%\x80-\xff-]",
  path = "[^A-Za-z0-9._~!$&'()*+,;=:@/%%\x80-\xff-]",
  query = "[^A-Za-z0-9._~!$&'()*+,;=:@/?%%\x80-\xff-]",
  fragment = "[^A-Za-z0-9._~!$&'()*+,;=:@/?%%\x80-\xff-]",
}

-- The text is not repeated in a message: it may hold a password.
local function what_is(text, at)
  local b = byte(text, at)
  if b == 32 then return "a space" end
  if b < 32 or b >= 127 then return "a control character" end
  return ("'%s'"):format(string.char(b))
end

-- Why the text cannot stand where `illegal` may not, or nil.
local function why_not(text, illegal)
  local at = find(text, illegal)
  if at then return ("%s at byte %d"):format(what_is(text, at), at) end
  at = percent.bad(text)
  if at then return ("no two hex digits after the %% at byte %d"):format(at) end
  if find(text, "[\x80-\xff]") then
    local good, bad = utf8.len(text)
    if not good then return ("no UTF-8 at byte %d"):format(bad) end
    at = find(text, "\xc2[\x80-\x9f]")
    if at then return ("a control character at byte %d"):format(at) end
  end
end

local function ascii(text)
  return (gsub(text, "[\x80-\xff]", percent.ENCODED))
end

-- ---- hosts ----

local function is_zone(text)
  return find(text, "^[!-~]+$") and not find(text, "[%%/?#@%[%]\\]")
end

-- An IPv6 address with its zone, as they are given to connect.
local function ipv6(address, zone)
  local groups = host_of.ipv6(address)
  if not groups then return nil, "no IPv6 address" end
  local text = host_of.ipv6_text(groups, true)
  if not zone then return text end
  if not is_zone(zone) then return nil, "a bad zone of an IPv6 address" end
  return text .. "%" .. zone
end

-- What is between brackets (RFC 3986, 3.2.2; RFC 6874).
local function literal(text)
  if find(text, "^[vV]%x+%.") then return nil, "an address of a version of IP that is not known" end
  local address, zone = match(text, "^([^%%]*)%%25(.+)$")
  if not address then
    if find(text, "%", 1, true) then return nil, "a zone of an IPv6 address stands after %25" end
    return ipv6(text)
  end
  return ipv6(address, percent.decode(zone))
end

local LONG_LABEL <const> = ("[^.]"):rep(64)

-- A name of DNS, or an IPv4 address of four decimal numbers.
local function dns_name(text)
  local name = text
  if find(text, "[^a-z0-9.A-Z_-]") then
    local why, code
    if find(text, "%%[0-7]") then return nil, "percent-coded ASCII in the host" end
    name = percent.decode(text)
    local at = find(name, "[^A-Za-z0-9._\x80-\xff-]")
    if at then return nil, what_is(name, at) .. " in the host" end
    name, why, code = host_of.toascii(name)
    if not name then return nil, why, code end
    if find(name, "[^a-z0-9._-]") then return nil, "the host becomes a name that cannot be" end
  end
  name = lower(name)
  if host_of.ends_in_number(name) then
    if text == name and host_of.is_ipv4(name) then return name end
    return nil, "the host ends in a number and is no IPv4 address"
  end
  local length = #name
  if byte(name, length) == 46 then length = length - 1 end -- a name of DNS may say that it is whole
  if length == 0 or byte(name) == 46 or find(name, "..", 1, true) then return nil, "an empty label in the host" end
  if length > 253 or length > 63 and find(name, LONG_LABEL) then return nil, "the host's name is too long" end
  return name
end

-- In lower case, but the digits of triplets.
local function lowered(text)
  text = lower(text)
  if not find(text, "%", 1, true) then return text end
  return (gsub(text, "%%%x%x", string.upper))
end

-- Any other scheme's host: a registered name, of which nothing is known.
local function registered_name(text)
  local at = find(text, ILLEGAL_IN.host)
  if at then return nil, what_is(text, at) .. " in the host" end
  return lowered(ascii(text))
end

local function named_host(text, scheme)
  if not PORT[scheme] then return registered_name(text) end
  if text == "" then return nil, "no host" end
  return dns_name(text)
end

-- ---- parsing ----

local function split_userinfo(parts, authority)
  local at = find(authority, "@", 1, true)
  if not at then return authority end
  if find(authority, "@", at + 1, true) then return nil, "two @ before the path" end
  local userinfo = sub(authority, 1, at - 1)
  if find(userinfo, "[%[%]]") then return nil, "a bracket in the user's name or password" end
  local colon = find(userinfo, ":", 1, true)
  parts.user = colon and sub(userinfo, 1, colon - 1) or userinfo
  parts.password = colon and sub(userinfo, colon + 1) or nil
  return sub(authority, at + 1)
end

--- A port's number, or nil; and why not if it is none.
function M.port(text)
  if text == "" then return nil end
  local digits = match(text, "^0*(%d*)$")
  if not digits then return nil, "a port is a number" end
  local port = digits == "" and 0 or #digits <= 5 and math.tointeger(tonumber(digits))
  if not port or port > 65535 then return nil, "a port is at most 65535" end
  return port
end

-- Fills in user, password, host and port. True, or nil and why not.
local function split_authority(parts, authority, scheme)
  local text, why, code = split_userinfo(parts, authority)
  if not text then return nil, why end
  local host, port
  if byte(text) == 91 then
    host, port = match(text, "^%[([^%[%]]*)%](.*)$")
    if not host or not find(port, "^:") and port ~= "" then return nil, "a bracket astray in the host" end
    port = sub(port, 2)
    host, why = literal(host)
  else
    local colon = find(text, ":", 1, true)
    host, port = colon and sub(text, 1, colon - 1) or text, colon and sub(text, colon + 1) or ""
    host, why, code = named_host(host, scheme)
  end
  if not host then return nil, why, code end
  parts.host = host
  parts.port, why = M.port(port)
  if why then return nil, why end
  return true
end

-- The scheme, and where what follows it begins.
local function split_scheme(text, relative)
  local _, last = find(text, SCHEME)
  if last and byte(text, last + 1) == 58 then return lower(sub(text, 1, last)), last + 2 end
  if not relative then return nil, "no scheme" end
  local colon = find(text, ":", 1, true)
  if colon and not find(sub(text, 1, colon), "[/?#]") then return nil, "no scheme before the first colon" end
  return nil, 1
end

--- The parts of a URL, or of a reference to one if `relative`. With the scheme
-- of a base, by which hosts are judged, also "http:g", of which RFC 3986 makes
-- "http:g". Or nil, why not, and a code if that is not EINVAL.
function M.parse(text, relative, base_scheme)
  local strange = find(text, STRANGE)
  if strange or find(text, "%", 1, true) then
    local why = why_not(text, ILLEGAL)
    if why then return nil, why end
    if strange then text = ascii(text) end
  end
  local scheme, from = split_scheme(text, relative)
  if type(from) == "string" then return nil, from end
  local parts = {
    scheme = scheme, user = nil, password = nil, host = nil, port = nil, path = nil, query = nil, fragment = nil,
  }
  local last = #text
  local hash = find(text, "#", from, true)
  if hash then
    if find(text, "#", hash + 1, true) then return nil, "a second #" end
    parts.fragment = sub(text, hash + 1)
    last = hash - 1
  end
  local mark = find(text, "?", from, true)
  if mark and mark <= last then
    parts.query = sub(text, mark + 1, last)
    last = mark - 1
  end
  if find(text, "^//", from) then
    local slash = find(text, "/", from + 2, true)
    if not slash or slash > last then slash = last + 1 end
    local good, why, code = split_authority(parts, sub(text, from + 2, slash - 1), scheme or base_scheme)
    if not good then return nil, why, code end
    from = slash
  elseif PORT[scheme] and not base_scheme then
    return nil, ("no // after %s:"):format(scheme)
  end
  if find(text, "[", from, true) or find(text, "]", from, true) then return nil, "a bracket behind the host" end
  parts.path = sub(text, from, last)
  return parts
end

-- ---- building ----

-- A host as given to connect, or as it stands in a URL.
local function given_host(text, scheme)
  local inside = match(text, "^%[(.*)%]$")
  if inside then return literal(inside) end
  if not find(text, ":", 1, true) then
    local why = why_not(text, ILLEGAL_IN.host)
    if why then return nil, why end
    return named_host(text, scheme)
  end
  local address, zone = match(text, "^([^%%]*)%%(.*)$")
  return ipv6(address or text, zone)
end

local function check_shape(parts)
  local scheme, host, path = parts.scheme, parts.host, parts.path
  if host then
    if path ~= "" and byte(path) ~= 47 then return "path: it must begin with / after a host" end
  elseif parts.user or parts.password or parts.port then
    return "a user, a password or a port without a host"
  elseif PORT[scheme] then
    return "host: no host"
  end
  if parts.password and not parts.user then return "a password without a user" end
end

--- Parts like those that parse gives, checked. The same results.
function M.check(given)
  local parts = { path = "", port = given.port, scheme = given.scheme and lower(given.scheme) }
  if given.scheme and not find(given.scheme, SCHEME .. "$") then return nil, "scheme: no scheme" end
  if given.host then
    local host, why, code = given_host(given.host, parts.scheme)
    if not host then return nil, "host: " .. why, code end
    parts.host = host
  end
  for _, name in ipairs { "user", "password", "path", "query", "fragment" } do
    local text = given[name]
    if text then
      local why = why_not(text, ILLEGAL_IN[name])
      if why then return nil, name .. ": " .. why end
      parts[name] = ascii(text)
    end
  end
  local why = check_shape(parts)
  if why then return nil, why end
  return parts
end

-- ---- resolving and normalizing ----

--- Takes out "." and ".." (RFC 3986, 5.2.4).
function M.remove_dots(path)
  if not find(path, "/.", 1, true) and byte(path) ~= 46 then return path end
  local from = 1
  while true do -- a prefix that leads nowhere
    local _, last = find(path, "^%.%.?/", from)
    if not last then break end
    from = last + 1
  end
  if find(path, "^%.%.?$", from) then return "" end
  local out, n = {}, 0
  local length = #path
  while from <= length do
    local stop = find(path, "/", from + 1, true) or length + 1
    local segment = sub(path, from, stop - 1)
    if segment == "/." or segment == "/.." then
      if segment == "/.." and n > 0 then out[n], n = nil, n - 1 end
      if stop > length then out[n + 1] = "/" end
    else
      n = n + 1
      out[n] = segment
    end
    from = stop
  end
  return table.concat(out)
end

local function merge(base, path)
  if base.host and base.path == "" then return "/" .. path end
  return (match(base.path, "^(.*/)") or "") .. path
end

local function take_authority(to, from)
  to.user, to.password, to.host, to.port = from.user, from.password, from.host, from.port
end

--- The parts that the reference's parts mean (RFC 3986, 5.2.2). They become
-- those of the result.
function M.resolve(base, ref)
  if not ref.scheme then
    ref.scheme = base.scheme
    if not ref.host then
      take_authority(ref, base)
      if ref.path == "" then
        ref.path, ref.query = base.path, ref.query or base.query
        return ref
      end
      if byte(ref.path) ~= 47 then ref.path = merge(base, ref.path) end
    end
  end
  ref.path = M.remove_dots(ref.path)
  return ref
end

--- Makes the parts those of the one URL that stands for all equivalent ones
-- (RFC 3986, 6.2.2 and 6.2.3).
function M.normalize(parts)
  for _, name in ipairs { "user", "password", "path", "query", "fragment" } do
    parts[name] = percent.normalize(parts[name])
  end
  local scheme, host = parts.scheme, parts.host
  if host and not find(host, ":", 1, true) then parts.host = lowered(percent.normalize(host)) end
  if byte(parts.path) == 47 then parts.path = M.remove_dots(parts.path) end
  if PORT[scheme] then
    if parts.port == PORT[scheme] then parts.port = nil end
    if parts.path == "" then parts.path = "/" end
  end
  return parts
end

return M
