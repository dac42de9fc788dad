-- SPDX-License-Identifier: MIT
--- A handler that chooses among handlers: by method and path.
local args <const> = require "neap.args"
local percent <const> = require "neap.url.percent"

local M = {}

local router <const> = { __name = "neap.http.router" }
router.__index = router

-- ---- patterns ----

-- "/users/:id/*rest" as a list of names, { param = }, { rest = }.
local function parse(pattern, level)
  if type(pattern) ~= "string" or pattern:byte() ~= 0x2f then
    error("bad argument #1 (a path that begins with '/' expected)", level + 1)
  end
  local steps <const> = {}
  for name in pattern:sub(2):gsub("$", "/"):gmatch "([^/]*)/" do
    local mark <const>, word <const> = name:match "^([:*])([%w_]*)$"
    if #steps > 0 and steps[#steps].rest then error("bad argument #1 ('*' is not at the end)", level + 1) end
    if mark == ":" and word == "" then error("bad argument #1 (':' without a name)", level + 1) end
    steps[#steps + 1] = mark == ":" and { param = word } or mark == "*" and { rest = word } or name
  end
  return steps
end

local function node() return { named = {}, handlers = {} } end

-- The place of a pattern in the tree.
local function place(root, steps, level)
  local at, names = root, {}
  for _, step in ipairs(steps) do
    local slot
    if type(step) == "string" then
      at.named[step] = at.named[step] or node()
      at = at.named[step]
    else
      slot = step.param and "param" or "rest"
      at[slot] = at[slot] or node()
      at = at[slot]
      local name <const> = step.param or step.rest
      if name ~= "" and names[name] then error(("bad argument #1 (two are called '%s')"):format(name), level + 1) end
      names[#names + 1], names[name] = name, true
    end
  end
  return at, names
end

-- ---- matching ----

-- A node that has handlers for the path from `at` on; a name goes before a
-- parameter, that before the rest. The parameters' values are in `values`.
local function find(current, path, at, values)
  if at > #path + 1 then return next(current.handlers) and current or nil end
  local stop <const> = path:find("/", at, true) or #path + 1
  local name <const> = percent.decode(path:sub(at, stop - 1))
  local n <const> = #values
  local down = current.named[name]
  local found = down and find(down, path, stop + 1, values)
  if found then return found end
  down = current.param
  if down and name ~= "" then
    values[n + 1] = name
    found = find(down, path, stop + 1, values)
    if found then return found end
  end
  for i = n + 1, #values do values[i] = nil end
  down = current.rest
  if down and next(down.handlers) then
    values[n + 1] = path:sub(at)
    return down
  end
end

local function allowed(handlers)
  local list <const> = { "OPTIONS" }
  for method in pairs(handlers) do
    if method ~= "OPTIONS" then list[#list + 1] = method end
  end
  if handlers.GET and not handlers.HEAD then list[#list + 1] = "HEAD" end
  table.sort(list)
  return table.concat(list, ", ")
end

local function call(entry, request, values)
  local params <const> = {}
  for i, name in ipairs(entry.names) do
    if name ~= "" then params[name] = values[i] end
  end
  request.params = params
  return entry.handler(request)
end

-- ---- mounting ----

local function mounted(self, path)
  for _, mount in ipairs(self.mounts) do
    local prefix <const> = mount.prefix
    local after <const> = path:sub(#prefix + 1, #prefix + 1)
    if path:sub(1, #prefix) == prefix and (after == "" or after == "/") then return mount end
  end
end

local function call_mounted(mount, request, path)
  request.path = path:sub(#mount.prefix + 1)
  if request.path == "" then request.path = "/" end
  request.mount = (rawget(request, "mount") or "") .. mount.prefix
  return mount.handler(request)
end

-- ---- the handler ----

function router:__call(request)
  local path <const> = request.path
  local values <const> = {}
  local found <const> = path:byte() == 0x2f and find(self.root, path, 2, values)
  if not found then
    local mount <const> = mounted(self, path)
    if mount then return call_mounted(mount, request, path) end
    if self.otherwise then return self.otherwise(request) end
    return 404
  end
  local handlers <const>, method <const> = found.handlers, request.method
  local entry <const> = handlers[method] or method == "HEAD" and handlers.GET or handlers["*"]
  if entry then return call(entry, request, values) end
  if method == "OPTIONS" then return 204, nil, { allow = allowed(handlers) } end
  return 405, "405 Method Not Allowed\n", { allow = allowed(handlers) }
end

-- ---- making ----

local function check_handler(handler, arg, level)
  local meta <const> = getmetatable(handler)
  if type(handler) ~= "function" and not (type(meta) == "table" and meta.__call) then
    error(("bad argument #%d (function expected, got %s)"):format(arg, type(handler)), level + 1)
  end
end

local function add(self, method, pattern, handler, level)
  if getmetatable(self) ~= router then args.method(self, router, "get", level + 1) end
  local at <const>, names <const> = place(self.root, parse(pattern, level + 1), level + 1)
  check_handler(handler, 2, level + 1)
  if at.handlers[method] then error(("'%s' has a handler for %s"):format(pattern, method), level + 1) end
  at.handlers[method] = { handler = handler, names = names }
  return self
end

for _, name in ipairs { "get", "head", "post", "put", "patch", "delete", "options" } do
  local method <const> = name:upper()
  router[name] = function(self, pattern, handler)
    local same <const> = add(self, method, pattern, handler, 2)
    return same -- no tail call: this frame counts
  end
end

--- Whatever the method.
function router:any(pattern, handler)
  local same <const> = add(self, "*", pattern, handler, 2)
  return same
end

--- Any method, by its name.
function router:on(method, pattern, handler)
  if not require "neap.http.words".is_token(method) then error("bad argument #1 (a method expected)", 2) end
  local same <const> = add(self, method, pattern, handler, 2)
  return same
end

--- All paths that begin with a prefix, which the handler does not see.
function router:mount(prefix, handler)
  args.method(self, router, "mount", 2)
  if type(prefix) ~= "string" or prefix:byte() ~= 0x2f then
    error("bad argument #1 (a path that begins with '/' expected)", 2)
  end
  check_handler(handler, 2, 2)
  table.insert(self.mounts, { prefix = prefix:gsub("/+$", ""), handler = handler })
  table.sort(self.mounts, function(a, b) return #a.prefix > #b.prefix end)
  return self
end

--- What nobody else has: 404, unless it is said.
function router:fallback(handler)
  args.method(self, router, "fallback", 2)
  check_handler(handler, 1, 2)
  self.otherwise = handler
  return self
end

--- An empty one. It is a handler.
function M.router() return setmetatable({ root = node(), mounts = {} }, router) end

return M
