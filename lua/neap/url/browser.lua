--- URLs as browsers read them: the parser of the WHATWG's URL standard, which
-- finds a meaning in almost everything. The states of the standard are taken
-- together where one pattern says what several of them do.
local host_of <const> = require "neap.url.host"
local percent <const> = require "neap.url.percent"
local strict <const> = require "neap.url.strict"

local find <const>, sub <const>, match <const>, byte <const> = string.find, string.sub, string.match, string.byte
local lower <const>, gsub <const> = string.lower, string.gsub

local M = {}

--- The special schemes and their ports.
local PORT <const> = { http = 80, https = 443, ws = 80, wss = 443, ftp = 21, file = 0 }

-- What is encoded, by part.
local OPAQUE <const> = "[\0-\x1f\x7f-\xff]"
local OPAQUE_PART <const> = "[\0-\x1f#?\x7f-\xff]"
local FRAGMENT <const> = "[\0-\x20\"<>`\x7f-\xff]"
local QUERY <const> = "[\0-\x20\"#<>\x7f-\xff]"
local SPECIAL_QUERY <const> = "[\0-\x20\"#'<>\x7f-\xff]"
local PATH <const> = "[\0-\x20\"#<>?^`{}\x7f-\xff]"
local USERINFO <const> = "[\0-\x20\"#/:;<=>?@%[\\%]^`{|}\x7f-\xff]"

-- What stands in no host; and besides in no name of DNS.
local FORBIDDEN <const> = "[\0\t\n\r #/:<>?@%[\\%]^|]"
local FORBIDDEN_NAME <const> = "[\0-\x20#%%/:<>?@%[\\%]^|\x7f]"

local DOTS <const> = { ["."] = 1, ["%2e"] = 1, [".."] = 2, [".%2e"] = 2, ["%2e."] = 2, ["%2e%2e"] = 2 }

local function encode(text, which)
  if not find(text, which) then return text end
  return (gsub(text, which, percent.ENCODED))
end

-- What is no UTF-8 becomes U+FFFD, a byte at a time.
local function repaired(text)
  local from = 1
  local out = {}
  while true do
    local good, bad = utf8.len(text, from)
    if good then break end
    out[#out + 1] = sub(text, from, bad - 1) .. "\u{FFFD}"
    from = bad + 1
  end
  out[#out + 1] = sub(text, from)
  return table.concat(out)
end

-- Without what surrounds it, tabs and ends of lines.
local function cleaned(text)
  if find(text, "[\t\n\r]") then text = gsub(text, "[\t\n\r]+", "") end
  local first, last = find(text, "[^\0-\x20]"), #text
  if not first then return "" end
  while byte(text, last) <= 32 do last = last - 1 end
  text = sub(text, first, last)
  if find(text, "[\x80-\xff]") then text = repaired(text) end
  return text
end

-- ---- hosts ----

local function ipv6(text)
  local groups = host_of.ipv6(text)
  if not groups then return nil, "no IPv6 address" end
  return host_of.ipv6_text(groups)
end

local function special_host(text)
  local name, why, code = host_of.toascii(percent.decode(text))
  if not name then return nil, why, code end
  if name == "" then return nil, "no host" end
  if find(name, FORBIDDEN_NAME) then return nil, "a byte in the host that cannot be there" end
  if not host_of.ends_in_number(name) then return name end
  local address = host_of.ipv4_of_number(name)
  if address then return address end
  return nil, "the host ends in a number and is no IPv4 address"
end

local function parse_host(text, special)
  if byte(text) == 91 then
    local inside = match(text, "^%[(.*)%]$")
    if not inside then return nil, "a bracket astray in the host" end
    return ipv6(inside)
  end
  if special then return special_host(text) end
  if find(text, FORBIDDEN) then return nil, "a byte in the host that cannot be there" end
  return encode(text, OPAQUE)
end

-- ---- paths ----

local function split_path(path)
  local segments = {}
  for segment in path:gmatch "/([^/]*)" do segments[#segments + 1] = segment end
  return segments
end

-- The drive of Windows at the beginning of a file's path is not left.
local function shorten(parts, segments)
  if parts.scheme == "file" and #segments == 1 and find(segments[1], "^[A-Za-z]:$") then return end
  segments[#segments] = nil
end

local function starts_with_drive(text)
  return find(text, "^[A-Za-z][:|]$") or find(text, "^[A-Za-z][:|][/\\]")
end

-- Goes on from the segments that are there; the text has no slash in front.
local function walk(parts, segments, text)
  local separator = PORT[parts.scheme] and "[/\\]" or "/"
  local from = 1
  repeat
    local stop = find(text, separator, from)
    local segment = sub(text, from, (stop or 0) - 1)
    local dots = #segment <= 6 and DOTS[lower(segment)]
    if dots then
      if dots == 2 then shorten(parts, segments) end
      if not stop then segments[#segments + 1] = "" end
    else
      if parts.scheme == "file" and #segments == 0 and find(segment, "^[A-Za-z][:|]$") then
        segment = sub(segment, 1, 1) .. ":"
      end
      segments[#segments + 1] = encode(segment, PATH)
    end
    from = stop and stop + 1
  until not from
  parts.path = "/" .. table.concat(segments, "/")
  return parts
end

-- A path from its beginning.
local function start_path(parts, text)
  if find(text, PORT[parts.scheme] and "^[/\\]" or "^/") then return walk(parts, {}, sub(text, 2)) end
  if PORT[parts.scheme] then return walk(parts, {}, text) end
  parts.path = "" -- an authority is in front, so that there is nothing else
  return parts
end

-- ---- before the path ----

local function take_userinfo(parts, authority)
  local userinfo, rest = match(authority, "^(.*)@([^@]*)$")
  if not userinfo then return authority end
  if rest == "" then return nil end
  local colon = find(userinfo, ":", 1, true)
  local user = encode(colon and sub(userinfo, 1, colon - 1) or userinfo, USERINFO)
  local password = colon and encode(sub(userinfo, colon + 1), USERINFO) or ""
  if user ~= "" or password ~= "" then parts.user = user end
  if password ~= "" then parts.password = password end
  return rest
end

-- Returns why not.
local function take_port(parts, text)
  local port, why = strict.port(text)
  if port ~= PORT[parts.scheme] then parts.port = port end
  return why
end

-- What begins after the slashes, with the path.
local function authority(parts, text)
  local special = PORT[parts.scheme] ~= nil
  local stop = find(text, special and "[/\\]" or "/") or #text + 1
  local rest = take_userinfo(parts, sub(text, 1, stop - 1))
  if not rest then return nil, "no host behind @" end
  local host, port = match(rest, "^(%[[^%]]*%][^:]*):?(.*)$")
  if not host then host, port = match(rest, "^([^:]*):?(.*)$") end
  if host == "" and (special or rest ~= "") then return nil, "no host" end
  local why, code
  parts.host, why, code = parse_host(host, special)
  if not parts.host then return nil, why, code end
  why = take_port(parts, port)
  if why then return nil, why end
  return start_path(parts, sub(text, stop))
end

local function copy(parts, base, ...)
  for _, name in ipairs { ... } do parts[name] = base[name] end
end

-- "http:/a", "//h/a", "/a", "a" seen from a base.
local function relative(parts, text, base)
  parts.scheme = base.scheme
  local slash = PORT[parts.scheme] and "[/\\]" or "/"
  if find(text, "^" .. slash .. slash) then
    return authority(parts, match(text, PORT[parts.scheme] and "^[/\\]+(.*)$" or "^//(.*)$"))
  end
  copy(parts, base, "user", "password", "host", "port")
  if find(text, "^" .. slash) then return walk(parts, {}, sub(text, 2)) end
  if text == "" then
    parts.path, parts.query = base.path, parts.query or base.query
    return parts
  end
  local segments = split_path(base.path)
  shorten(parts, segments)
  return walk(parts, segments, text)
end

local function file_with_host(parts, text)
  local stop = find(text, "[/\\]") or #text + 1
  local name = sub(text, 1, stop - 1)
  if find(name, "^[A-Za-z][:|]$") then return walk(parts, {}, text) end
  if name ~= "" then
    local host, why, code = parse_host(name, true)
    if not host then return nil, why, code end
    parts.host = host == "localhost" and "" or host
  end
  return start_path(parts, sub(text, stop))
end

local function file(parts, text, base)
  parts.scheme, parts.host = "file", ""
  if base and base.scheme ~= "file" then base = nil end
  if find(text, "^[/\\][/\\]") then return file_with_host(parts, sub(text, 3)) end
  if base then parts.host = base.host end
  if find(text, "^[/\\]") then
    local segments = {}
    if base and not starts_with_drive(sub(text, 2)) then segments[1] = match(base.path, "^/([A-Za-z]:)%f[/\0]") end
    return walk(parts, segments, sub(text, 2))
  end
  if not base then return walk(parts, {}, text) end
  if text == "" then
    parts.path, parts.query = base.path, parts.query or base.query
    return parts
  end
  local segments = split_path(base.path)
  if starts_with_drive(text) then segments = {} else shorten(parts, segments) end
  return walk(parts, segments, text)
end

-- mailto:, data: and their like: no hierarchy. A space before ? or # would be
-- lost at the end.
local function opaque(parts, text, ends)
  parts.path = encode(text, OPAQUE)
  if not ends then parts.path = gsub(parts.path, " $", "%%20") end
  return parts
end

local function is_opaque(parts) return not parts.host and byte(parts.path) ~= 47 end

-- A text that has a scheme.
local function absolute(parts, text, base)
  local scheme = parts.scheme
  if scheme == "file" then return file(parts, text, base) end
  if PORT[scheme] then
    if base and base.scheme == scheme and not find(text, "^//") then return relative(parts, text, base) end
    return authority(parts, match(text, "^[/\\]*(.*)$"))
  end
  if find(text, "^//") then return authority(parts, sub(text, 3)) end
  if find(text, "^/") then return walk(parts, {}, sub(text, 2)) end
  return opaque(parts, text, not (parts.query or parts.fragment))
end

local function without_scheme(parts, text, base)
  if not base then return nil, "no scheme" end
  if is_opaque(base) then
    if text ~= "" or parts.query or not parts.fragment then return nil, "the base has no hierarchy" end
    copy(parts, base, "scheme", "path", "query")
    return parts
  end
  if base.scheme == "file" then return file(parts, text, base) end
  return relative(parts, text, base)
end

--- The parts of the text, seen from the base's parts if there are any. Or nil,
-- why not, and a code if that is not EINVAL.
function M.parse(text, base)
  text = cleaned(text)
  local scheme, from = match(text, "^([A-Za-z][A-Za-z0-9+.-]*):()")
  local parts = {
    scheme = scheme and lower(scheme), user = nil, password = nil, host = nil, port = nil, path = nil, query = nil,
    fragment = nil,
  }
  local hash = find(text, "#", 1, true)
  if hash then
    parts.fragment = encode(sub(text, hash + 1), FRAGMENT)
    text = sub(text, 1, hash - 1)
  end
  local mark = find(text, "?", 1, true)
  if mark then
    local special = PORT[parts.scheme or base and base.scheme]
    parts.query = encode(sub(text, mark + 1), special and SPECIAL_QUERY or QUERY)
    text = sub(text, 1, mark - 1)
  end
  if scheme then return absolute(parts, sub(text, from), base) end
  return without_scheme(parts, text, base)
end

-- ---- building ----

--- The text of given parts, with what cannot stand in them encoded, for parse
-- to read; nil and why not.
function M.encoded(given)
  local parts = { scheme = given.scheme, port = given.port, host = given.host }
  local special = given.scheme and PORT[lower(given.scheme)]
  if given.host and not find(given.host, "^%[[^%]]*%]$") then
    local bad = find(given.host, "[/\\?#@]")
    if bad or not host_of.ipv6(given.host) and find(given.host, "[:%[%]]") then return nil, "host: no host" end
  end
  parts.user = given.user and encode(given.user, USERINFO)
  parts.password = given.password and encode(given.password, USERINFO)
  parts.path = given.path or ""
  local is_path = special or not is_opaque(parts)
  parts.path = encode(parts.path, is_path and PATH or OPAQUE_PART)
  parts.query = given.query and encode(given.query, special and SPECIAL_QUERY or QUERY)
  parts.fragment = given.fragment and encode(given.fragment, FRAGMENT)
  return parts
end

return M
