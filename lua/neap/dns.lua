-- SPDX-License-Identifier: MIT
--- DNS: records of any type asked for, over UDP, TCP and TLS, and kept as long
-- as they hold; and a small server.
local answers <const> = require "neap.dns.answer"
local args <const> = require "neap.args"
local caches <const> = require "neap.dns.cache"
local client <const> = require "neap.dns.client"
local conf <const> = require "neap.dns.conf"
local core <const> = require "neap.core"
local ip <const> = require "neap.dns.ip"
local kept <const> = require "neap.dns.kept"
local messages <const> = require "neap.dns.message"
local names <const> = require "neap.dns.name"
local types <const> = require "neap.dns.types"

---@class neap.dns
local M = {}

local CACHE <const> = 1 << 20 -- bytes
local LONGEST_TTL <const> = 86400
local IDLE <const> = 10 -- seconds that a connection is kept for the next query
local CONF <const>, CONF_LASTS <const> = "/etc/resolv.conf", 5 -- seconds until it is read again
local UDP_SIZE <const> = 1232 -- what passes everywhere without being cut

-- ---- options ----

-- Of a query, and of a resolver for all of its queries. `fd` is a kind that is
-- checked here.
local query_options <const> = {
  servers = "table", timeout = "seconds", try_timeout = "seconds", tries = "count", search = "fd", ndots = "natural",
  tcp = "boolean", edns = "boolean", udp_size = "count", dnssec = "boolean", recursion = "boolean",
  checking_disabled = "boolean", random_case = "boolean", class = "fd", cache = "fd",
}
local resolver_options <const> = args.with(query_options, {
  tls = "fd", rotate = "boolean", max_ttl = "natural", resolv_conf = "string", idle_timeout = "seconds",
})

local function wrong(level, name, must) error(("option '%s' must be %s"):format(name, must), level + 1) end

local function check_servers(o, level)
  if not o.servers then return end
  if #o.servers == 0 then wrong(level + 1, "servers", "a list of servers, not empty") end
  local list = {}
  for i, text in ipairs(o.servers) do
    list[i] = conf.server(text) or error(("option 'servers': '%s' is no \"ip\", \"ip:port\", \"tcp://ip:port\", "
      .. "\"tls://ip:port#name\" or \"https://host/path\""):format(tostring(text)), level + 1)
  end
  o.servers = list
end

local function check_search(o, level)
  if type(o.search) ~= "table" then
    if type(o.search) ~= "boolean" and o.search ~= nil then wrong(level + 1, "search", "a boolean or a list") end
    return
  end
  for _, domain in ipairs(o.search) do
    if type(domain) ~= "string" or not names.parse(domain) then
      wrong(level + 1, "search", "a list of domain names")
    end
  end
end

-- Returns a copy, with servers and numbers in place of their texts.
local function check(given, known, arg, level)
  local o = args.check(given, known, arg, level + 1)
  check_servers(o, level + 1)
  check_search(o, level + 1)
  if o.udp_size and (o.udp_size < 512 or o.udp_size > 65535) then
    wrong(level + 1, "udp_size", "an integer from 512 to 65535")
  end
  if o.class ~= nil then o.class = types.class.number(o.class) or wrong(level + 1, "class", "a class") end
  return o
end

local function check_cache(o, level)
  if o.cache == nil or o.cache == true then o.cache = CACHE end
  if o.cache and (math.type(o.cache) ~= "integer" or o.cache < 0) then
    wrong(level + 1, "cache", "a boolean or a number of bytes")
  end
end

-- ---- resolvers ----

local resolver <const> = { __name = "neap.resolver" }
resolver.__index = resolver

-- What resolv.conf says now.
local function system_conf(self)
  local now = core.now()
  if not self.conf or now - self.conf_read > CONF_LASTS then
    self.conf, self.conf_read = conf.read(self.o.resolv_conf or CONF), now
  end
  return self.conf
end

-- What servers over TLS are asked with: it keeps their sessions.
local function context_of(self)
  if self.context then return self.context end
  local tls, why, code = conf.tls()
  if not tls then return nil, why, code end
  self.context, why, code = tls.context {}
  return self.context, why, code
end

local function make_context(o)
  local tls, why, code = conf.tls()
  if not tls then return nil, why, code end
  if tls.iscontext(o) then return o end
  return tls.context(o)
end

local function make(given, level)
  local o = check(given, resolver_options, 1, level + 1)
  check_cache(o, level + 1)
  local self = { o = o, turn = 0 }
  if o.tls ~= nil then
    if type(o.tls) ~= "table" and type(o.tls) ~= "userdata" then
      wrong(level + 1, "tls", "a table of options, or what tls.context makes")
    end
    local why, code
    self.context, why, code = args.blame(level + 1, make_context, o.tls)
    if not self.context then return nil, why, code end
  end
  if o.cache and o.cache > 0 then self.cache = caches.new(o.cache) end
  return setmetatable(self, resolver)
end

--- An object that asks servers of its own, in its own way, and remembers.
function M.resolver(given)
  local made, why, code = make(given, 2)
  if not made then return nil, why, code end
  local seconds = made.o.idle_timeout or IDLE
  made.kept = seconds > 0 and kept.new(seconds) or nil
  return made
end

local default
local function default_resolver()
  default = default or make(nil, 1)
  return default
end

-- ---- what a query is asked with ----

-- The servers, the next of them first each time if they are to take turns.
local function servers_of(self, o, system)
  local list = o.servers or self.o.servers or system.servers
  local rotate = self.o.rotate
  if rotate == nil then rotate = system.rotate end
  if not rotate or #list < 2 then return list end
  self.turn = self.turn % #list + 1
  return table.move(list, 1, self.turn - 1, #list - self.turn + 2, table.move(list, self.turn, #list, 1, {}))
end

local function first_of(...)
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if value ~= nil then return value end
  end
end

-- All that is not said by the call is the resolver's or resolv.conf's.
local function settings_of(self, o)
  local system = system_conf(self)
  local s = { servers = servers_of(self, o, system) }
  for name, value in pairs {
    timeout = math.huge, try_timeout = system.try_timeout, tries = system.tries, search = false, ndots = system.ndots,
    tcp = system.tcp, edns = true, udp_size = UDP_SIZE, dnssec = false, recursion = true, checking_disabled = false,
    random_case = false, class = 1,
  } do
    s[name] = first_of(o[name], self.o[name], value)
  end
  if s.search == true then s.search = system.search end
  s.dnssec = s.dnssec and s.edns
  s.deadline = core.now() + s.timeout
  s.context, s.kept = function() return context_of(self) end, self.kept
  s.cache = o.cache ~= false and s.recursion and self.cache or nil
  s.max_ttl = self.o.max_ttl or LONGEST_TTL
  return s
end

local META <const> = { OPT = true, TKEY = true, TSIG = true, IXFR = true, AXFR = true }

-- The number of a type; raises on what cannot be asked for.
local function check_type(kind, arg, level)
  local number = types.type.number(kind)
  if not number then
    error(("bad argument #%d (a type such as \"MX\", \"TYPE65280\" or 15 expected, got %s)"):format(arg,
      type(kind) == "string" and ("%q"):format(kind) or type(kind)), level + 1)
  end
  if META[types.type.name(number)] then
    error(("bad argument #%d (%s is nothing to query for)"):format(arg, types.type.name(number)), level + 1)
  end
  return number
end

-- What a call asks for: { name =, type =, settings = }.
local function prepare(self, name, number, given, arg, level)
  local o = check(given, query_options, arg, level + 1)
  if o.cache ~= nil and type(o.cache) ~= "boolean" then wrong(level + 1, "cache", "a boolean") end
  return { name = name, type = number, settings = settings_of(self, o) }
end

local function prepare_query(self, name, kind, given, level)
  args.argument(name, "string", 1, level + 1)
  local number = check_type(kind == nil and "A" or kind, 2, level + 1)
  return (prepare(self, name, number, given, 3, level + 1))
end

local function prepare_reverse(self, address, given, level)
  local name = type(address) == "string" and ip.arpa(address)
  if not name then error("bad argument #1 (an IP address expected)", level + 1) end
  return (prepare(self, name .. ".", types.type.number "PTR", given, 2, level + 1))
end

local function failure(name, kind, why) return ("dns %s %s: %s"):format(name, types.type.name(kind), why) end

-- ---- one name ----

-- What another query could not share an answer with.
local function cache_key(question, s)
  local texts = {}
  for i, server in ipairs(s.servers) do texts[i] = server.text end
  table.sort(texts)
  return ("%s %s %s %s %s %s"):format(names.key(question.name), question.type, question.class, s.dnssec,
    s.checking_disabled, table.concat(texts, " "))
end

local function remembered(s, key, question)
  local bytes, age = caches.get(s.cache, key, core.now())
  if not bytes then return nil end
  local list, why, code = answers.select(messages.decode(bytes), question)
  if not list then return true, nil, why, code end
  list.cached = true
  return true, answers.age(list, age)
end

-- The records of a name, which is labels; or nil, why, code.
local function look_up(labels, kind, s)
  local question <const> = {
    name = names.text(labels), type = types.type.name(kind), class = types.class.name(s.class),
  }
  local key = s.cache and cache_key(question, s)
  if key then
    local known, list, why, code = remembered(s, key, question)
    if known then return list, why, code end
  end
  local message, bytes, server, age = client.ask({ labels = labels, type = kind, class = s.class }, s)
  if not message then return nil, bytes, server end
  local list, why, code, ttl = answers.select(message, question)
  if list then
    list.cached, list.server, ttl = false, server.text, why
  end
  if key then caches.put(s.cache, key, bytes, core.now() - (age or 0), math.min(ttl, s.max_ttl)) end
  if not list then return nil, why, code end
  return age and answers.age(list, age) or list
end

-- ---- names that may be short for others ----

-- The labels of each name that is meant, in the order of asking; or nil and
-- what is wrong with the name.
local function candidates(name, s)
  local labels, absolute = names.parse(name)
  if not labels then return nil, absolute end
  if absolute or not s.search then return { labels } end
  local list = {}
  for _, domain in ipairs(s.search) do
    local longer = names.parse(domain) or {} -- resolv.conf may say anything
    longer = table.move(longer, 1, #longer, #labels + 1, table.move(labels, 1, #labels, 1, {}))
    if #names.wire(longer) <= 255 then list[#list + 1] = longer end
  end
  table.insert(list, #labels > s.ndots and 1 or #list + 1, labels)
  return list
end

local NOTHING <const> = { EAI_NONAME = true, EAI_NODATA = true }

local function query(asked)
  local s = asked.settings
  local list, wrong_name = candidates(asked.name, s)
  if not list then return nil, failure(asked.name, asked.type, "no name can be so: " .. wrong_name), "EAI_NONAME" end
  local last = {}
  for _, labels in ipairs(list) do
    local records, why, code = look_up(labels, asked.type, s)
    if records then return records end
    -- That one of them exists says more than that another does not.
    if last.code ~= "EAI_NODATA" or not NOTHING[code] then
      last.why, last.code = failure(names.text(labels), asked.type, why), code
    end
    if not NOTHING[code] then break end
  end
  return nil, last.why, last.code
end

-- ---- what is called ----

--- Records of a name: a list of those of that type; or nil, message, code.
function resolver:query(name, kind, given)
  args.method(self, resolver, "query", 2)
  local asked = prepare_query(self, name, kind, given, 2)
  return query(asked)
end

--- The same of the resolver that all share who have none of their own.
function M.query(name, kind, given)
  local asked = prepare_query(default_resolver(), name, kind, given, 2)
  return query(asked)
end

--- The PTR records of an address.
function resolver:reverse(address, given)
  args.method(self, resolver, "reverse", 2)
  local asked = prepare_reverse(self, address, given, 2)
  return query(asked)
end

--- The same of the shared resolver.
function M.reverse(address, given)
  local asked = prepare_reverse(default_resolver(), address, given, 2)
  return query(asked)
end

local function exchange(asked)
  local s = asked.settings
  local labels, why = names.parse(asked.name)
  if not labels then return nil, failure(asked.name, asked.type, "no name can be so: " .. why), "EAI_NONAME" end
  s.any_rcode = true
  local message, bytes, server = client.ask({ labels = labels, type = asked.type, class = s.class }, s)
  if not message then return nil, failure(asked.name, asked.type, bytes), server end
  return message, server.text, #bytes
end

--- The whole message that a server answers, whatever it says: message, the
-- server, its length.
function resolver:exchange(name, kind, given)
  args.method(self, resolver, "exchange", 2)
  local asked = prepare_query(self, name, kind, given, 2)
  return exchange(asked)
end

--- The same of the shared resolver.
function M.exchange(name, kind, given)
  local asked = prepare_query(default_resolver(), name, kind, given, 2)
  return exchange(asked)
end

--- Forgets all answers, and closes what is idle.
function resolver:flush()
  args.method(self, resolver, "flush", 2)
  if self.kept then self.kept:clear() end
  if self.cache then self.cache = caches.new(self.o.cache) end
  return self
end

--- The bytes of a message; raises on what cannot be one.
function M.encode(message)
  args.argument(message, "table", 1, 2)
  local bytes, why = args.blame(2, messages.encode, message)
  if not bytes then return nil, "dns: " .. why, "EMSGSIZE" end
  return bytes
end

--- The table of a message.
function M.decode(bytes)
  args.argument(bytes, "string", 1, 2)
  local message, why = messages.decode(bytes)
  if not message then return nil, "dns: malformed message: " .. why, "EBADMSG" end
  return message
end

--- A server of DNS, whose answers are the handler's.
function M.server(handler, given)
  local made, why, code = require "neap.dns.server".new(handler, given, 2)
  return made, why, code
end

return M
