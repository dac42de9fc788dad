--- A cookie jar, as RFC 6265 and its successor (6265bis) have user agents keep
-- one. Whoever calls brings the clock: `now` is seconds since 1970.
local host_of <const> = require "neap.url.host"
local cookiefile <const> = require "neap.http.cookiefile"
local setcookie <const> = require "neap.http.setcookie"

local M = {}

local EACH <const>, ALL <const> = 180, 3000 -- cookies of a domain, and of all
local LONGEST_LIFE <const> = 400 * 86400
local MOST_SENT <const>, MOST_BYTES <const> = 150, 8190 -- in one Cookie, as curl has it

local jar <const> = { __name = "neap.http.jar" }
jar.__index = jar

-- ---- hosts and paths ----

local function is_address(host) return host:find(":", 1, true) ~= nil or host_of.is_ipv4(host) == true end

-- Is the host the domain, or below it? (6265bis, 5.1.3)
local function domain_matches(host, domain)
  if host == domain then return true end
  return host:sub(-#domain - 1) == "." .. domain and not is_address(host)
end

local function path_matches(path, of_cookie)
  if path == of_cookie then return true end
  if path:sub(1, #of_cookie) ~= of_cookie then return false end
  return of_cookie:sub(-1) == "/" or path:sub(#of_cookie + 1, #of_cookie + 1) == "/"
end

local function default_path(path)
  if path:byte() ~= 0x2f then return "/" end
  return path:match "^(/.*)/[^/]*$" or "/"
end

-- What matters of a URL, as text or as url.parse gives it.
local function place_of(url)
  if type(url) == "string" then
    local parts, why, code = require "neap.url".parse(url)
    if not parts then return nil, why, code end
    url = parts
  end
  if not url.host then return nil, "cookie: the URL has no host", "EINVAL" end
  local path = url.path
  return {
    host = url.host:lower(), path = path and path ~= "" and path or "/",
    secure = url.scheme == "https" or url.scheme == "wss",
  }
end

-- ---- keeping ----

--- A jar. Options: `each` and `all` (how many cookies of a domain, and in all),
-- `is_public_suffix` (a function of a domain, in lower case: are its names
-- different owners'?). Without that, domains of one label are taken for such.
function M.jar(options)
  options = options or {}
  return setmetatable({
    each = options.each or EACH, all = options.all or ALL,
    is_public_suffix = options.is_public_suffix,
    domains = {}, -- domain -> key -> cookie
    counts = {}, -- domain -> number
    count = 0,
    order = 0, -- of making, where clocks stand still
  }, jar)
end

local function key_of(cookie)
  return table.concat({ cookie.name, cookie.path, tostring(cookie.host_only) }, "\n")
end

local function drop(self, cookie)
  local domain = cookie.domain
  local list = self.domains[domain]
  local key = key_of(cookie)
  if not list or list[key] ~= cookie then return end
  list[key] = nil
  self.count, self.counts[domain] = self.count - 1, self.counts[domain] - 1
  if self.counts[domain] == 0 then self.domains[domain], self.counts[domain] = nil, nil end
end

local function put(self, cookie)
  local domain = cookie.domain
  local list = self.domains[domain]
  if not list then
    list = {}
    self.domains[domain], self.counts[domain] = list, 0
  end
  list[key_of(cookie)] = cookie
  self.count, self.counts[domain] = self.count + 1, self.counts[domain] + 1
end

local function is_over(cookie, now) return cookie.expires ~= nil and cookie.expires <= now end

-- The one to go first: what is not secure before what is, then what was not
-- used for the longest time.
local function goes_before(a, b)
  if a.secure ~= b.secure then return b.secure end
  if a.used ~= b.used then return a.used < b.used end
  return a.order < b.order
end

local function first_to_go(domains)
  local first
  for _, list in pairs(domains) do
    for _, cookie in pairs(list) do
      if not first or goes_before(cookie, first) then first = cookie end
    end
  end
  return first
end

--- Lets go of what is over. Returns the number that is left.
function jar:expire(now)
  for _, list in pairs(self.domains) do
    for key, cookie in pairs(list) do
      if is_over(cookie, now) then
        list[key] = nil
        self.count, self.counts[cookie.domain] = self.count - 1, self.counts[cookie.domain] - 1
      end
    end
  end
  for domain, n in pairs(self.counts) do
    if n == 0 then self.domains[domain], self.counts[domain] = nil, nil end
  end
  return self.count
end

local function make_room(self, domain, now)
  if self.counts[domain] <= self.each and self.count <= self.all then return end
  self:expire(now)
  while (self.counts[domain] or 0) > self.each do drop(self, first_to_go { self.domains[domain] }) end
  while self.count > self.all do drop(self, first_to_go(self.domains)) end
end

-- ---- storing (6265bis, 5.7) ----

local function refuse(why) return nil, "cookie: " .. why, "EPERM" end

local function is_suffix(self, domain)
  if not domain:find(".", 1, true) then return true end
  return self.is_public_suffix and self.is_public_suffix(domain) or false
end

-- The domain that it is for, and whether for that host alone.
local function domain_of(self, parsed, place)
  local domain = parsed.domain
  if not domain or domain == "" then return place.host, true end
  local ascii = host_of.toascii(domain)
  if not ascii then return refuse "its domain is none" end
  if is_suffix(self, ascii) then
    if ascii == place.host then return place.host, true end
    return refuse "its domain is a public suffix"
  end
  if not domain_matches(place.host, ascii) then return refuse "its domain is not the host's" end
  return ascii, is_address(ascii)
end

local function check_prefix(cookie, parsed)
  local name = (cookie.name == "" and cookie.value or cookie.name):lower()
  local host, secure = name:find "^__host%-", name:find "^__secure%-"
  if not (host or secure) then return true end
  if cookie.name == "" then return refuse "its value looks like a name with a prefix" end
  if not cookie.secure then return refuse "its name has a prefix, and it is not secure" end
  if host and not (cookie.host_only and parsed.path_given and cookie.path == "/") then
    return refuse "its name has the prefix __Host-, and it is not for all of the host alone"
  end
  return true
end

-- From where anybody can write, nothing gets in the place of what is secure.
local function hides_secure(self, cookie)
  for domain, list in pairs(self.domains) do
    if domain_matches(domain, cookie.domain) or domain_matches(cookie.domain, domain) then
      for _, other in pairs(list) do
        if other.secure and other.name == cookie.name and path_matches(cookie.path, other.path) then return true end
      end
    end
  end
  return false
end

local function expiry(parsed, now)
  local expires = parsed.expires
  if parsed.max_age then expires = parsed.max_age > 0 and now + parsed.max_age or -math.huge end
  return expires and math.min(expires, now + LONGEST_LIFE)
end

--- Takes a Set-Cookie that a URL's answer brought. True, or nil, message, code:
-- EBADMSG and EMSGSIZE for what is malformed, EPERM for what the host may not
-- set.
function jar:set(url, field, now)
  local place, why, code = place_of(url)
  if not place then return nil, why, code end
  local parsed
  parsed, why, code = setcookie.parse(field)
  if not parsed then return nil, why, code end
  local domain, host_only
  domain, host_only, code = domain_of(self, parsed, place)
  if not domain then return nil, host_only, code end
  if parsed.secure and not place.secure then return refuse "it is secure, and the answer was not" end
  self.order = self.order + 1
  local cookie = {
    name = parsed.name, value = parsed.value, domain = domain, host_only = host_only,
    path = parsed.path or default_path(place.path), secure = parsed.secure or false,
    httponly = parsed.httponly or false, samesite = parsed.samesite, expires = expiry(parsed, now),
    created = now, used = now, order = self.order,
  }
  local fits
  fits, why, code = check_prefix(cookie, parsed)
  if not fits then return nil, why, code end
  if not cookie.secure and not place.secure and hides_secure(self, cookie) then
    return refuse "there is a secure one of its name"
  end
  local list = self.domains[domain]
  local old = list and list[key_of(cookie)]
  if old then
    cookie.created, cookie.order = old.created, old.order
    drop(self, old)
  end
  if is_over(cookie, now) then return true end
  put(self, cookie)
  make_room(self, domain, now)
  return true
end

-- ---- sending (6265bis, 5.8.3) ----

local function longest_path_first(a, b)
  if #a.path ~= #b.path then return #a.path > #b.path end
  if a.created ~= b.created then return a.created < b.created end
  return a.order < b.order
end

local function add_matching(self, domain, place, now, found)
  for _, cookie in pairs(self.domains[domain] or {}) do
    if (not cookie.host_only or place.host == domain) and (place.secure or not cookie.secure)
      and path_matches(place.path, cookie.path) and not is_over(cookie, now) then
      found[#found + 1] = cookie
    end
  end
end

--- The cookies for a URL, in the order in which they are sent.
function jar:matching(url, now)
  local place, why, code = place_of(url)
  if not place then return nil, why, code end
  local found = {}
  local domain = place.host
  add_matching(self, domain, place, now, found)
  domain = not is_address(domain) and domain:match "^[^.]*%.(.+)$"
  while domain do
    add_matching(self, domain, place, now, found)
    domain = domain:match "^[^.]*%.(.+)$"
  end
  table.sort(found, longest_path_first)
  return found
end

--- The value of a request's Cookie, or nil if there is nothing to send. What is
-- beyond 150 cookies or 8190 bytes stays at home.
function jar:header(url, now)
  local found, why, code = self:matching(url, now)
  if not found then return nil, why, code end
  local out, bytes = {}, 0
  for _, cookie in ipairs(found) do
    local text = cookie.name == "" and cookie.value or cookie.name .. "=" .. cookie.value
    bytes = bytes + #text + 2
    if #out == MOST_SENT or bytes > MOST_BYTES then break end
    cookie.used = now
    out[#out + 1] = text
  end
  return out[1] and table.concat(out, "; ") or nil
end

--- All cookies, in no order: tables with name, value, domain, host_only, path,
-- secure, httponly, samesite, expires (nil: until the session ends), created.
function jar:cookies()
  local all = {}
  for _, list in pairs(self.domains) do
    for _, cookie in pairs(list) do all[#all + 1] = cookie end
  end
  return all
end

--- Forgets the cookies of a domain, or those of the session, or all.
function jar:clear(domain)
  for _, cookie in ipairs(self:cookies()) do
    if not domain or cookie.domain == domain then drop(self, cookie) end
  end
end

--- Forgets what was not to outlive the session.
function jar:endsession()
  for _, cookie in ipairs(self:cookies()) do
    if not cookie.expires then drop(self, cookie) end
  end
end

-- ---- as text ----

--- The jar as text, a line for each cookie: those of the session only if they
-- are asked for.
function jar:save(with_session)
  local kept = {}
  for _, cookie in ipairs(self:cookies()) do
    if cookie.expires or with_session then kept[#kept + 1] = cookie end
  end
  return cookiefile.write(kept)
end

--- Adds what `save` wrote, or a file of curl's. Returns the number of cookies
-- taken, and of lines that were not understood.
function jar:load(text, now)
  local list, left = cookiefile.read(text, now)
  local taken = 0
  for _, cookie in ipairs(list) do
    self.order = self.order + 1
    cookie.used, cookie.order = cookie.created, self.order
    local others = self.domains[cookie.domain]
    local old = others and others[key_of(cookie)]
    if old then drop(self, old) end
    if not is_over(cookie, now) then
      put(self, cookie)
      make_room(self, cookie.domain, now)
      taken = taken + 1
    end
  end
  return taken, left
end

return M
