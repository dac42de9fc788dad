-- SPDX-License-Identifier: MIT
--- What a client is told when it is made, checked.
local args <const> = require "neap.args"
local requests <const> = require "neap.http.client.request"

local M = {}

--- Options of a client: those of its requests, and its own.
M.options = args.with(requests.options, {
  max_per_host = "count", max_connections = "count", max_idle = "natural", idle_timeout = "seconds",
  cookies = "fd", tls = "fd", proxy_tls = "fd", resolve = "table", tcp = "table", max_head = "size",
  max_fields = "size",
})
--- Those that no request has.
M.client_only = {
  "max_per_host", "max_connections", "max_idle", "idle_timeout", "cookies", "tls", "proxy_tls", "resolve", "tcp",
  "max_head", "max_fields",
}
local tcp_options <const> = args.without(args.without(args.tcp_connect, "timeout"), "maxread")

--- What the option `name` says: { context =, options =, servername = }, or nil.
-- A context, or a table of its options and perhaps a servername.
function M.check_tls(given, name, level)
  if given == nil then return nil end
  local tls = require "neap.tls"
  if tls.iscontext(given) then return { context = given } end
  if type(given) ~= "table" then
    error(("option '%s' must be a context or a table of its options"):format(name), level + 1)
  end
  local o = {}
  for key, value in pairs(given) do o[key] = value end
  if o.servername ~= nil and type(o.servername) ~= "string" then
    error(("option '%s': servername must be a string"):format(name), level + 1)
  end
  if o.servername == "" then error(("option '%s': servername is empty"):format(name), level + 1) end
  local servername = o.servername
  o.servername = nil
  local known = require "neap.tls.context".options
  if o.context then
    if next(o, next(o)) then error(("option '%s': context must be alone"):format(name), level + 1) end
    return { context = o.context, servername = servername }
  end
  args.check(o, known, 1, level + 1)
  return { options = o, servername = servername }
end

local function check_resolve(given, level)
  for from, to in pairs(given or {}) do
    if type(from) ~= "string" or type(to) ~= "string" then
      error("option 'resolve' must be a table of hosts and what they are looked for at", level + 1)
    end
  end
end

local function check_jar(given, level)
  if given == true then return require "neap.http.cookies".jar() end
  if given and (type(given) ~= "table" or type(given.header) ~= "function") then
    error("option 'cookies' must be true or a jar", level + 1)
  end
  return given or nil
end

--- The fields of a client, by options that were given. `level` blames the caller.
function M.check(given, level)
  local o = args.check(given, M.options, 1, level + 1)
  check_resolve(o.resolve, level + 1)
  local self = {
    resolve = o.resolve, tcp = args.check(o.tcp, tcp_options, 1, level + 1),
    tls = M.check_tls(o.tls, "tls", level + 1), proxy_tls = M.check_tls(o.proxy_tls, "proxy_tls", level + 1),
    cookies = check_jar(o.cookies, level + 1),
    limits = {
      max_per_host = o.max_per_host or 16, max_connections = o.max_connections or 256, max_idle = o.max_idle or 64,
      idle_timeout = o.idle_timeout or 60,
    },
  }
  self.servername = self.tls and self.tls.servername
  local settings = { max_head = o.max_head, max_fields = o.max_fields }
  for _, name in ipairs(M.client_only) do o[name] = nil end
  requests.check(o, level + 1)
  for name, value in pairs(o) do settings[name] = value end
  settings.fields = settings.fields or {}
  self.settings, self.defaults = settings, { __index = settings }
  self.plain = next(o) == nil and not self.cookies
  return self
end

return M
