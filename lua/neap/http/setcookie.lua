--- The fields Set-Cookie and Cookie (RFC 6265 and its successor, 6265bis):
-- parsed as user agents do, built as servers should.
local date <const> = require "neap.http.date"
local words <const> = require "neap.http.words"

local M = {}

local LONGEST <const> = 4096 -- bytes of a name and its value
M.LONGEST = LONGEST
local ATTRIBUTE <const> = 1024 -- bytes of an attribute's value

local trim <const> = words.trim

-- ---- dates, in whatever form (6265bis, 5.1.1) ----

local month_of <const> = {}
for i, name in ipairs(date.MONTHS) do month_of[name:lower()] = i end

-- Each takes a token if it is the first that can be meant, and says so.
local function take_time(found, token)
  if found.hour then return false end
  local hour, minute, second, rest = token:match "^(%d%d?):(%d%d?):(%d%d?)(.?)"
  if not hour or rest:find "%d" then return false end
  found.hour, found.minute, found.second = tonumber(hour), tonumber(minute), tonumber(second)
  return true
end

local function take_day(found, token)
  local day, rest = token:match "^(%d%d?)(.?)"
  if found.day or not day or rest:find "%d" then return false end
  found.day = tonumber(day)
  return true
end

local function take_month(found, token)
  local month = month_of[token:sub(1, 3):lower()]
  if found.month or not month then return false end
  found.month = month
  return true
end

local function take_year(found, token)
  local year, rest = token:match "^(%d%d%d?%d?)(.?)"
  if found.year or not year or rest:find "%d" then return false end
  found.year = tonumber(year)
  return true
end

--- Seconds since 1970, or nil.
function M.date(text)
  local found = {}
  for token in text:gmatch "[^\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+" do
    local _ = take_time(found, token) or take_day(found, token) or take_month(found, token) or take_year(found, token)
  end
  local year = found.year
  if not (year and found.month and found.day and found.hour) then return nil end
  if year >= 70 and year <= 99 then
    year = year + 1900
  elseif year <= 69 then
    year = year + 2000
  end
  if year < 1601 or found.second > 59 then return nil end
  return date.seconds(year, found.month, found.day, found.hour, found.minute, found.second)
end

-- ---- Set-Cookie, as a user agent reads it ----

local SAMESITE <const> = { none = "None", lax = "Lax", strict = "Strict" }

-- Each: what the attribute's text says, into the cookie. The last one wins.
local attributes <const> = {
  expires = function(cookie, text) cookie.expires = M.date(text) or cookie.expires end,
  ["max-age"] = function(cookie, text)
    if not text:find "^%-?%d+$" then return end
    cookie.max_age = text:byte() == 0x2d and 0 or #text < 12 and tonumber(text) or 1000000000000
  end,
  domain = function(cookie, text) cookie.domain = text:gsub("^%.", "", 1):lower() end,
  path = function(cookie, text)
    cookie.path_given = true
    cookie.path = text:byte() == 0x2f and text or nil
  end,
  secure = function(cookie) cookie.secure = true end,
  httponly = function(cookie) cookie.httponly = true end,
  samesite = function(cookie, text) cookie.samesite = SAMESITE[text:lower()] end,
}

--- What a Set-Cookie says: name, value, and of expires (seconds since 1970),
-- max_age (seconds, 0 for what is over), domain (in lower case), path, secure,
-- httponly, samesite those that are there. Nil, message, code for what a user
-- agent leaves alone: EBADMSG, EMSGSIZE.
function M.parse(text)
  if text:find "[\0-\8\x0a-\x1f\x7f]" then return nil, "cookie: a control character", "EBADMSG" end
  local first, rest = text:match "^([^;]*)(.*)$"
  local name, value = first:match "^([^=]*)=(.*)$"
  if not name then name, value = "", first end
  local cookie = { name = trim(name), value = trim(value) }
  if #cookie.name + #cookie.value > LONGEST then
    return nil, ("cookie: more than %d bytes"):format(LONGEST), "EMSGSIZE"
  end
  if cookie.name == "" and cookie.value == "" then return nil, "cookie: neither name nor value", "EBADMSG" end
  for item in rest:gmatch ";([^;]*)" do
    local key, said = item:match "^([^=]*)=?(.*)$"
    local set = attributes[trim(key):lower()]
    said = trim(said)
    if set and #said <= ATTRIBUTE then set(cookie, said) end
  end
  return cookie
end

-- ---- Set-Cookie, as a server writes it ----

local OPTIONS <const> = {
  expires = "number", max_age = "number", domain = "string", path = "string", secure = "boolean",
  httponly = "boolean", samesite = "string",
}

local function bad(what) error("cookie: " .. what, 0) end

local function check_options(options)
  for name, value in pairs(options) do
    local kind = OPTIONS[name]
    if not kind then bad(("unknown option '%s'"):format(tostring(name))) end
    if type(value) ~= kind then bad(("option '%s' must be a %s"):format(name, kind)) end
    if kind == "string" and value:find "[\0-\x1f;\x7f]" then
      bad(("option '%s' holds a control character or a semicolon"):format(name))
    end
  end
  if options.samesite and not SAMESITE[options.samesite:lower()] then
    bad "option 'samesite' must be \"Strict\", \"Lax\" or \"None\""
  end
  if options.path and options.path:byte() ~= 0x2f then bad "option 'path' must begin with a slash" end
  if options.max_age and math.tointeger(options.max_age) == nil then bad "option 'max_age' must be whole seconds" end
end

-- What the prefixes promise, user agents check (6265bis, 4.1.3).
local function check_prefix(name, options)
  name = name:lower()
  local host = name:find("^__host%-") ~= nil
  if (host or name:find "^__secure%-") and not options.secure then bad "a name with this prefix needs 'secure'" end
  if host and (options.domain or options.path ~= "/") then
    bad "a name with the prefix __Host- needs the path \"/\" and no 'domain'"
  end
end

--- The value of a Set-Cookie. Raises (with level 0) on a name that is no
-- token, a value with spaces, quotes, commas, semicolons, backslashes or
-- control characters, and options that are not right.
function M.build(name, value, options)
  options = options or {}
  if not words.is_token(name) then bad "the name must be a token" end
  if type(value) ~= "string" or value:find "[^\x21\x23-\x2b\x2d-\x3a\x3c-\x5b%]\x5e-\x7e]" then
    bad "the value holds what a cookie cannot: encode it"
  end
  if #name + #value > LONGEST then bad(("more than %d bytes"):format(LONGEST)) end
  check_options(options)
  check_prefix(name, options)
  if options.samesite and options.samesite:lower() == "none" and not options.secure then
    bad "'samesite' of None needs 'secure'"
  end
  local out = { name .. "=" .. value }
  local function add(text) out[#out + 1] = text end
  if options.expires then add("Expires=" .. date.format(options.expires)) end
  if options.max_age then add(("Max-Age=%d"):format(options.max_age)) end
  if options.domain then add("Domain=" .. options.domain) end
  if options.path then add("Path=" .. options.path) end
  if options.secure then add "Secure" end
  if options.httponly then add "HttpOnly" end
  if options.samesite then add("SameSite=" .. SAMESITE[options.samesite:lower()]) end
  return table.concat(out, "; ")
end

-- ---- Cookie ----

--- What a Cookie says to a server: values by names (of equal names the first,
-- which is of the longest path), and all as a list of { name, value }.
function M.cookies(field)
  local by_name, list = {}, {}
  for item in (field or ""):gmatch "[^;]+" do
    local name, value = item:match "^([^=]*)=(.*)$"
    if name then name, value = trim(name), trim(value) end
    if name and name ~= "" then
      value = value:match '^"(.*)"$' or value
      list[#list + 1] = { name, value }
      if by_name[name] == nil then by_name[name] = value end
    end
  end
  return by_name, list
end

return M
