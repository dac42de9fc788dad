-- Every public name has, in docs/*.md, a heading that names it, over a section
-- that says what it returns and shows an example; and, in lua/ or docs/, an
-- annotation for the language server. Nothing is annotated that is not there.
--
-- The names are found by loading the modules: what a module's table holds,
-- and the methods of every class. `tcp.connect` or `neap.tcp.connect`, and
-- `stream:read`, are names as a heading has them; an annotated name is
--   ---@class neap.stream            ---@field name type
--   local stream = {}                --- What it does.
--                                    function stream:read(...) end
-- (`local M` of lua/neap/tcp.lua is the class neap.tcp without being told).

-- Modules that are not for the user, beside those that another one is made of:
-- neap.dns.cache is neap.dns's. Every other one of lua/ is.
local internal <const> = {
  ["neap.args"] = true,
  ["neap.base64"] = true,
  ["neap.coroutine"] = true, -- neap.coroutine, with the standard table's names
  ["neap.linktype"] = true, -- the table of neap.filter and neap.pcap
  ["neap.datagram"] = true, -- what neap.dtls and its like are made of
  ["neap.inbox"] = true,
  ["neap.listener"] = true, -- methods of the class
  ["neap.message"] = true, -- methods of the class
  ["neap.parser"] = true, -- what neap.http is made of
  ["neap.decoder"] = true,
  ["neap.file"] = true,
  ["neap.deframer"] = true,
  ["neap.race"] = true,
  ["neap.random"] = true,
  ["neap.serving"] = true, -- methods of listeners that are Lua
  ["neap.sync"] = true, -- neap.channel and its like
}

local function is_internal(name) return internal[name] or name:find "^neap%.[%w_]+%.[%w_.]+$" ~= nil end

-- Classes that are made in Lua, which the registry does not know.
local function samples(neap)
  return {
    neap.channel and neap.channel(), neap.event and neap.event(),
    neap.semaphore and neap.semaphore(1), neap.group and neap.group(),
    require "neap.dns".resolver {},
  }
end


local function read_lines(path)
  local lines <const> = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

local function files(pattern)
  local names <const> = {}
  local pipe <close> = assert(io.popen(pattern .. " 2>/dev/null | sort"))
  for name in pipe:lines() do names[#names + 1] = name end
  return names
end

local function module_of(path)
  local name = path:match("^lua/(.*)%.lua$")
  return name and (name:gsub("/init$", ""):gsub("/", "."))
end

--------------------------------------------------------------- what there is

local owners <const> = {} -- name of a module or class -> name -> value

-- Constants of a module, and what is no method of a class, need no heading.
local function is_public(name, value, methods_only)
  if type(name) ~= "string" or name:find("^_") then return false end
  return type(value) == "function"
    or not methods_only and not name:find("^[A-Z][A-Z0-9_]*$")
end

local function add(owner, members, methods_only)
  local known = owners[owner] or {}
  owners[owner] = known
  for name, value in pairs(members) do
    if is_public(name, value, methods_only) then known[name] = value end
  end
end

local function add_class(metatable)
  if type(metatable) ~= "table" then return end
  local name, index = rawget(metatable, "__name"), rawget(metatable, "__index")
  if type(name) == "string" and name:find("^neap%.") and not is_internal(name) and type(index) == "table" then
    add(name, index, true)
  end
end

local function load_all()
  for _, path in ipairs(files "find lua -name '*.lua'") do
    local name = module_of(path)
    local members = require(name) -- internal ones may add methods to classes
    if is_internal(name) then members = nil end
    if type(members) == "table" then add(name, members) end
  end
  for _, value in pairs(debug.getregistry()) do add_class(value) end
  for _, value in pairs(samples(require "neap")) do
    add_class(debug.getmetatable(value))
  end
end

------------------------------------------------------------ what is documented

local sections <const> = {} -- heading's text and body, in no order

local function read_page(path)
  local section, fenced
  for _, line in ipairs(read_lines(path)) do
    if line:find("^```") then fenced = not fenced end
    local heading = not fenced and line:match("^#+%s+(.*)")
    if heading then
      section = { heading = heading, body = {} }
      sections[#sections + 1] = section
    elseif section then
      table.insert(section.body, line)
    end
  end
end

local function escape(text) return (text:gsub("%p", "%%%0")) end

local function section_of(owner, name)
  local short = owner:gsub("^neap%.", "")
  local pattern = "%f[%w_]" .. escape(short) .. "[.:]" .. escape(name) .. "%f[^%w_]"
  for _, section in ipairs(sections) do
    if section.heading:find(pattern) then return section end
  end
end

------------------------------------------------------------- what is annotated

local annotated <const> = {} -- owner -> name -> "file:line"
local data <const> = {} -- "owner.name" -> is a field that is no function

local function annotate(owner, name, where)
  annotated[owner] = annotated[owner] or {}
  annotated[owner][name] = where
end

local function read_annotations(path)
  local bound <const> = { M = module_of(path) } -- variable -> owner
  local class, documented
  for i, line in ipairs(read_lines(path)) do
    local where = path .. ":" .. i
    local named = line:gsub("^(%-%-%-@class%s+)%b()%s*", "%1")
      :match("^%-%-%-@class%s+([%w_.]+)")
    local field = line:match("^%-%-%-@field%s+([%w_]+)")
    if field == "public" or field == "private" or field == "protected" then
      field = line:match("^%-%-%-@field%s+%l+%s+([%w_]+)")
    end
    local variable, name = line:match("^function%s+([%w_.]+)[.:]([%w_]+)%s*%(")
    if not variable then variable, name = line:match("^([%w_.]+)%.([%w_]+)%s*=") end
    if named then
      class = named
    elseif field and class then
      annotate(class, field, where)
      data[class .. "." .. field] = not line:find("fun%(")
    elseif variable and documented and bound[variable] then
      annotate(bound[variable], name, where)
    end
    if not line:find("^%-%-%-") then
      local local_name = line:match("^local%s+([%w_]+)") or line:match("^([%w_]+)%s*=")
      if class and local_name then bound[local_name] = class end
      class = nil
    end
    documented = line:find("^%-%-%-") ~= nil
  end
end

-------------------------------------------------------------------- the verdict

local failures = 0
local function complain(...)
  failures = failures + 1
  print(string.format(...))
end

local function check(owner, name, value)
  local sep = package.loaded[owner] and not is_internal(owner) and "." or ":"
  local full = owner .. sep .. name
  local section = section_of(owner, name)
  if not section then
    complain("no heading in docs: %s", full)
  elseif type(value) == "function" then
    local body = table.concat(section.body, "\n")
    if not body:find("[Rr]eturn") then complain("docs do not say what it returns: %s", full) end
    if not body:find("```") then complain("no example in docs: %s", full) end
  end
  if not (annotated[owner] and annotated[owner][name]) then
    complain("no annotation: %s", full)
  end
end

local function sorted(t)
  local keys <const> = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return ipairs(keys)
end

load_all()
for _, path in ipairs(files "find docs -name '*.md'") do read_page(path) end
for _, path in ipairs(files "find lua docs -name '*.lua'") do read_annotations(path) end

local count = 0
for _, owner in sorted(owners) do
  for _, name in sorted(owners[owner]) do
    count = count + 1
    check(owner, name, owners[owner][name])
  end
  for _, name in sorted(annotated[owner] or {}) do
    local module = package.loaded[owner]
    if owners[owner][name] == nil and not (module and module[name] ~= nil)
      and not name:find("^_") and not data[owner .. "." .. name] then
      complain("annotated, but not there: %s.%s (%s)", owner, name, annotated[owner][name])
    end
  end
end
if count == 0 then complain("no public names found") end
print(("%d public names, %d complaints"):format(count, failures))
os.exit(failures == 0)
