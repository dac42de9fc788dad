--- URLs: taken apart, put together, resolved, compared. No socket is touched.
-- By the grammar of RFC 3986, or as browsers read them.
local args <const> = require "neap.args"
local host_of <const> = require "neap.url.host"
local percent <const> = require "neap.url.percent"
local strict <const> = require "neap.url.strict"

---@class neap.url
local M = {}

local MOST <const> = 1000 -- parameters of a query: each is a table

local parse_options <const> = { mode = "string", relative = "boolean" }
local mode_options <const> = { mode = "string" }
local query_options <const> = { set = "string", max = "count" }
local build_query_options <const> = { set = "string" }

-- What parse returns has no methods: names are those of its parts.
local URL <const> = { __name = "neap.url" }

local function fail(why, code) return nil, "url: " .. why, code or "EINVAL" end

-- Whether by the browsers' rules.
local function in_browser(o, level)
  local mode = o.mode
  if mode ~= nil and mode ~= "strict" and mode ~= "browser" then
    error('option \'mode\' must be "strict" or "browser"', level + 1)
  end
  return mode == "browser"
end

-- Loaded when it is asked for.
local function browser() return require "neap.url.browser" end

-- ---- text ----

-- A path that would be taken for something else gets what keeps it a path.
local function guarded_path(parts)
  local path = parts.path or ""
  if path:find "^//" then return "/." .. path end
  if not parts.scheme and path:find "^[^/]*:" then return "./" .. path end
  return path
end

local function join(parts)
  local text = parts.scheme and parts.scheme .. ":" or ""
  if parts.host then
    text = text .. "//"
    if parts.user then text = text .. parts.user .. (parts.password and ":" .. parts.password or "") .. "@" end
    text = text .. host_of.bracketed(parts.host) .. (parts.port and ":" .. parts.port or "") .. (parts.path or "")
  else
    text = text .. guarded_path(parts)
  end
  if parts.query then text = text .. "?" .. parts.query end
  return parts.fragment and text .. "#" .. parts.fragment or text
end

URL.__tostring = join

-- What parse returned, or text that is parsed.
local function parsed(u, arg, level)
  if getmetatable(u) == URL then return u end
  if type(u) ~= "string" then
    error(("bad argument #%d (URL expected, text or what url.parse returns, got %s)"):format(arg, type(u)), level + 1)
  end
  return strict.parse(u)
end

-- ---- parsing and building ----

--- The parts of a URL: scheme, user, password, host, port, path, query,
-- fragment.
function M.parse(text, options)
  args.argument(text, "string", 1, 2)
  local parts, why, code
  if options == nil then
    parts, why, code = strict.parse(text)
  else
    local o = args.check(options, parse_options, 2, 2)
    if in_browser(o, 2) then
      if o.relative then error("option 'relative' is not for browsers, who know where they are: url.resolve", 2) end
      parts, why, code = browser().parse(text)
    else
      parts, why, code = strict.parse(text, o.relative)
    end
  end
  if not parts then return fail(why, code) end
  return setmetatable(parts, URL)
end

local PARTS <const> = {
  scheme = "string", user = "string", password = "string", host = "string", port = "integer", path = "string",
  query = "string", fragment = "string",
}

local function given_parts(given, level)
  args.argument(given, "table", 1, level + 1)
  local parts = {}
  for name, value in pairs(given) do
    local kind = PARTS[name]
    if not kind then error(("unknown part '%s'"):format(tostring(name)), level + 1) end
    if name == "query" and type(value) == "table" then
      value = args.blame(level + 1, require "neap.url.query".build, value, "form")
    elseif (math.type(value) or type(value)) ~= kind then
      local article = kind == "integer" and "an" or "a"
      error(("part '%s' must be %s %s, got %s"):format(name, article, kind, math.type(value) or type(value)), level + 1)
    end
    parts[name] = value
  end
  local port = parts.port
  if port and (port < 0 or port > 65535) then error("part 'port' must be in [0, 65535]", level + 1) end
  return parts
end

--- The text of parts like those that parse gives.
function M.build(given, options)
  local parts = given_parts(given, 2)
  local why, code
  if in_browser(args.check(options, mode_options, 2, 2), 2) then
    parts, why = browser().encoded(parts)
    if not parts then return fail(why) end
    parts, why, code = browser().parse(join(parts))
  else
    parts, why, code = strict.check(parts)
  end
  if not parts then return fail(why, code) end
  return join(parts)
end

-- ---- resolving and comparing ----

local function base_of(base, in_browsers, level)
  if in_browsers then
    if getmetatable(base) == URL then base = join(base) end
    args.argument(base, "string", 1, level + 1)
    return browser().parse(base)
  end
  local parts, why, code = parsed(base, 1, level + 1) -- no tail call: the level counts
  return parts, why, code
end

--- The URL that a reference means, seen from a base (RFC 3986, 5).
function M.resolve(base, reference, options)
  local in_browsers = in_browser(args.check(options, mode_options, 3, 2), 2)
  local from, why, code = base_of(base, in_browsers, 2)
  args.argument(reference, "string", 2, 2)
  if not from then return fail("base: " .. why, code) end
  local parts
  if in_browsers then
    parts, why, code = browser().parse(reference, from)
    if not parts then return fail(why, code) end
    return join(parts)
  end
  if not from.scheme then return fail "base: no scheme" end
  parts, why, code = strict.parse(reference, true, from.scheme)
  if not parts then return fail(why, code) end
  return join(strict.resolve(from, parts))
end

--- The one text that stands for all equivalent ones.
function M.normalize(text, options)
  args.argument(text, "string", 1, 2)
  local o = args.check(options, parse_options, 2, 2)
  local parts, why, code
  if in_browser(o, 2) then
    parts, why, code = browser().parse(text)
  else
    parts, why, code = strict.parse(text, o.relative)
    if parts then parts = strict.normalize(parts) end
  end
  if not parts then return fail(why, code) end
  return join(parts)
end

local function host_and_port(u)
  local port = u.port
  if port == strict.PORT[u.scheme] then port = nil end
  return host_of.bracketed(u.host, true) .. (port and ":" .. port or "")
end

local function origin_of(u)
  if not strict.PORT[u.scheme] or not u.host then return nil end
  local port = u.port
  if port == strict.PORT[u.scheme] then port = nil end
  return ("%s://%s%s"):format(u.scheme, host_of.bracketed(u.host), port and ":" .. port or "")
end

--- Scheme, host and port: "https://example.com:8443"; "null" where there is
-- none (RFC 6454).
function M.origin(u)
  local parts, why, code = parsed(u, 1, 2)
  if not parts then return fail(why, code) end
  return origin_of(parts) or "null"
end

--- Whether both are of one origin.
function M.sameorigin(a, b)
  local one, why, code = parsed(a, 1, 2)
  if not one then return fail(why, code) end
  local other
  other, why, code = parsed(b, 2, 2)
  if not other then return fail(why, code) end
  local origin = origin_of(one)
  return origin ~= nil and origin == origin_of(other)
end

-- ---- what a request is made of ----

--- What the field Host says: without user, without the scheme's own port,
-- without the zone, which is nobody else's.
function M.authority(u)
  local parts, why, code = parsed(u, 1, 2)
  if not parts then return fail(why, code) end
  if not parts.host then return fail "no host" end
  return host_and_port(parts)
end

--- Path and query, as a request's first line has them.
function M.target(u)
  local parts, why, code = parsed(u, 1, 2)
  if not parts then return fail(why, code) end
  local path = parts.path
  if path == "" then path = "/" end
  return parts.query and path .. "?" .. parts.query or path
end

--- The port that is meant: the URL's, or else the scheme's own.
function M.port(u)
  local parts, why, code = parsed(u, 1, 2)
  if not parts then return fail(why, code) end
  local port = parts.port or strict.PORT[parts.scheme]
  if port then return port end
  return fail "no port"
end

-- ---- percent coding and queries ----

local function set_of(set, arg, level)
  if set == nil then return "component" end
  if not percent.is_set(set) then
    error(('bad argument #%d (set expected, "component", "path", "query" or "form", got %s)'):format(arg,
      type(set) == "string" and set or type(set)), level + 1)
  end
  return set
end

--- Encodes what cannot stand in that place.
function M.encode(text, set)
  args.argument(text, "string", 1, 2)
  return percent.encode(text, set_of(set, 2, 2))
end

--- The bytes that were encoded.
function M.decode(text, set)
  args.argument(text, "string", 1, 2)
  set = set_of(set, 2, 2)
  local at = percent.bad(text)
  if at then return fail(("no two hex digits after the %% at byte %d"):format(at)) end
  return percent.decode(text, set)
end

local function query_set(o, level)
  if o.set ~= nil and not percent.is_set(o.set) then
    error('option \'set\' must be "form", "query", "component" or "path"', level + 1)
  end
  return o.set or "form"
end

--- The parameters of a query or a form, in order.
function M.query(text, options)
  if text == nil then text = "" end
  args.argument(text, "string", 1, 2)
  local o = args.check(options, query_options, 2, 2)
  local most = o.max or MOST
  local list = require "neap.url.query".parse(text, query_set(o, 2), most)
  if list then return list end
  return fail(("more than %d parameters"):format(most), "EMSGSIZE")
end

--- The text of parameters: a list of pairs, or a table by names.
function M.buildquery(params, options)
  args.argument(params, "table", 1, 2)
  local set = query_set(args.check(options, build_query_options, 2, 2), 2)
  if set == "query" or set == "path" then set = "component" end -- & and = of a value would be taken for others
  local text = args.blame(2, require "neap.url.query".build, params, set) -- no tail call, as above
  return text
end

-- ---- names beyond ASCII ----

--- The name as DNS and certificates have it: "xn--...".
function M.toascii(name)
  args.argument(name, "string", 1, 2)
  local ascii, why, code = host_of.toascii(name)
  if not ascii then return fail(why, code) end
  return ascii
end

--- The name as people read it.
function M.tounicode(name)
  args.argument(name, "string", 1, 2)
  local text, why, code = host_of.tounicode(name)
  if not text then return fail(why, code) end
  return text
end

return M
