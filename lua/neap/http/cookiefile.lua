--- Cookies as text, a line each: in a form of our own, which keeps all of them,
-- and read also as Netscape had it and curl has it.
local percent <const> = require "neap.url.percent"
local setcookie <const> = require "neap.http.setcookie"

local M = {}

local TITLE <const> = "# neap cookies 1\n"
local FIELDS <const> = {
  "domain", "host_only", "path", "secure", "httponly", "samesite", "expires", "created", "name", "value",
}

local function text_of(value)
  if value == nil then return "-" end
  if type(value) == "boolean" then return value and "yes" or "no" end
  if type(value) == "number" then return ("%d"):format(value // 1 | 0) end
  return "=" .. percent.encode(value, "component")
end

--- The text of a list of cookies: the same for the same ones.
function M.write(cookies)
  local lines = {}
  for i, cookie in ipairs(cookies) do
    local fields = {}
    for j, name in ipairs(FIELDS) do fields[j] = text_of(cookie[name]) end
    lines[i] = table.concat(fields, "\t") .. "\n"
  end
  table.sort(lines)
  return TITLE .. table.concat(lines)
end

local function value_of(text)
  if text == "-" then return nil end
  if text == "yes" or text == "no" then return text == "yes" end
  if text:byte() == 0x3d then return percent.decode(text:sub(2), "component") end
  return math.tointeger(tonumber(text))
end

local KINDS <const> = {
  domain = "string", host_only = "boolean", path = "string", secure = "boolean", httponly = "boolean",
  created = "number", name = "string", value = "string",
}

-- A line of ours, or nil.
local function cookie_of(line)
  local cookie, i = {}, 0
  for field in (line .. "\t"):gmatch "([^\t]*)\t" do
    i = i + 1
    if not FIELDS[i] then return nil end
    cookie[FIELDS[i]] = value_of(field)
  end
  for name, kind in pairs(KINDS) do
    if type(cookie[name]) ~= kind then return nil end
  end
  if cookie.expires ~= nil and type(cookie.expires) ~= "number" then return nil end
  return cookie
end

-- A line as curl and Netscape write it, or nil.
local function netscape(line, now)
  local httponly = line:find "^#HttpOnly_" ~= nil
  if httponly then line = line:sub(11) end
  local domain, tail, path, secure, expires, name, value =
    line:match "^%.?([^\t#][^\t]*)\t(%u+)\t([^\t]*)\t(%u+)\t(%d+)\t([^\t]*)\t?([^\t]*)$"
  if not domain or #expires > 15 then return nil end
  return {
    domain = domain:lower(), host_only = tail ~= "TRUE", path = path, secure = secure == "TRUE", httponly = httponly,
    expires = expires ~= "0" and tonumber(expires) or nil, created = now, name = name, value = value,
  }
end

-- What a server could have set.
local function is_sound(cookie)
  local text = table.concat { cookie.name, cookie.value, cookie.domain, cookie.path }
  return not text:find "[\0-\8\x0a-\x1f\x7f;]" and cookie.path:byte() == 0x2f and cookie.domain ~= ""
    and #cookie.name + #cookie.value <= setcookie.LONGEST
end

--- The cookies of a text in either form, and the number of lines that were not
-- understood.
function M.read(text, now)
  local ours = text:sub(1, #TITLE) == TITLE
  local list, left = {}, 0
  for line in text:gmatch "[^\r\n]+" do
    local cookie
    if ours then cookie = cookie_of(line) else cookie = netscape(line, now) end
    if cookie and is_sound(cookie) then
      list[#list + 1] = cookie
    elseif line:byte() ~= 0x23 then
      left = left + 1
    end
  end
  return list, left
end

return M
