-- SPDX-License-Identifier: MIT
--- What a message says to a question: the records that were asked for, at the
-- end of a chain of aliases; nothing that was not asked for. No socket.
local names <const> = require "neap.dns.name"

local M = {}

local LONGEST_CHAIN <const> = 16
local LONGEST_NEGATIVE <const> = 3 * 3600 -- RFC 2308 5

-- The records of a section that have this name (a key) and this class, by type.
local function owned(section, key, class)
  local by_type = { all = {} }
  for _, record in ipairs(section) do
    if record.class == class and names.key(record.name) == key then
      by_type[record.type] = by_type[record.type] or {}
      table.insert(by_type[record.type], record)
      table.insert(by_type.all, record)
    end
  end
  return by_type
end

-- Where the aliases lead: what is there by type, the last name, the aliases;
-- or nil, why, code.
local function follow(message, question)
  local name, aliases, seen = question.name, {}, {}
  while true do
    local key = names.key(name)
    if seen[key] then return nil, "the aliases go round in a circle", "ELOOP" end
    if #aliases > LONGEST_CHAIN then return nil, "there are too many aliases", "ELOOP" end
    seen[key] = true
    local found = owned(message.answer, key, question.class)
    local alias = found.CNAME and found.CNAME[1]
    if not alias or question.type == "CNAME" or question.type == "ANY" then return found, name, aliases end
    aliases[#aliases + 1] = alias
    name = alias.cname
  end
end

local function covering(signatures, kind)
  local list = {}
  for _, record in ipairs(signatures or {}) do
    if record.type_covered == kind then list[#list + 1] = record end
  end
  return list
end

-- The least TTL of lists of records.
local function least_ttl(...)
  local least = math.huge
  for _, list in ipairs { ... } do
    for _, record in ipairs(list) do least = math.min(least, record.ttl) end
  end
  return least
end

-- For how long it is known that there is nothing (RFC 2308): as the SOA record
-- of a zone says that the name is in. 0 if there is none.
local function negative_ttl(message, name, class)
  local key = names.key(name)
  for _, record in ipairs(message.authority) do
    if record.type == "SOA" and record.class == class and names.is_within(key, names.key(record.name)) then
      return math.min(record.ttl, record.minimum, LONGEST_NEGATIVE)
    end
  end
  return 0
end

--- The records that answer the question { name, type, class }, as a list with
-- canonname, aliases and signatures, and for how many seconds that holds; or
-- nil, why there are none, code, and the seconds.
function M.select(message, question)
  local found, name, aliases = follow(message, question)
  if not found then return nil, name, aliases, 0 end
  if message.rcode == "NXDOMAIN" then
    local why = #aliases > 0 and ("its alias %s does not exist"):format(name) or "no such name"
    return nil, why, "EAI_NONAME", math.min(least_ttl(aliases), negative_ttl(message, name, question.class))
  end
  local list = question.type == "ANY" and found.all or found[question.type]
  if not list then list = {} end
  if #list == 0 then
    local why = ("%s has no record of this type"):format(#aliases > 0 and "its alias " .. name or "the name")
    return nil, why, "EAI_NODATA", math.min(least_ttl(aliases), negative_ttl(message, name, question.class))
  end
  list.canonname, list.aliases, list.authenticated = name, aliases, message.ad
  list.signatures = covering(found.RRSIG, question.type)
  return list, least_ttl(list, aliases)
end

--- Whether a server that was asked to find the answer only says who may know.
function M.is_referral(message)
  if message.rcode ~= "NOERROR" or message.ra or message.aa or #message.answer > 0 then return false end
  local others = false
  for _, record in ipairs(message.authority) do
    if record.type == "SOA" then return false end
    others = others or record.type == "NS"
  end
  return others
end

--- Lessens the TTLs of what select has returned by its age.
function M.age(list, seconds)
  seconds = math.floor(seconds)
  for _, records in ipairs { list, list.aliases, list.signatures } do
    for _, record in ipairs(records) do record.ttl = math.max(0, record.ttl - seconds) end
  end
  return list
end

return M
