-- SPDX-License-Identifier: MIT
--- Asks servers, one after the other, until one of them says something that
-- counts. What they said is the caller's to read.
local answers <const> = require "neap.dns.answer"
local args <const> = require "neap.args"
local core <const> = require "neap.core"
local messages <const> = require "neap.dns.message"
local queries <const> = require "neap.dns.query"
local transport <const> = require "neap.dns.transport"

local M = {}

-- What ends the asking: the name is there, or it is not.
local SETTLED <const> = { NOERROR = true, NXDOMAIN = true }

-- The scheme of a query's way: UDP may be left for TCP, nothing for UDP.
local function scheme_of(server, o) return server.scheme == "udp" and o.tcp and "tcp" or server.scheme end

-- Sends a query and reads the answer: message, bytes, its age if that is known;
-- or nil, why, code.
local function exchange(server, asked, o)
  local deadline = math.min(core.now() + o.try_timeout, o.deadline)
  local scheme = scheme_of(server, o)
  local query = queries.new(asked, setmetatable({ pad = scheme == "tls" or scheme == "https" }, { __index = o }))
  local bytes, why, code, strangers, age = transport[scheme](server, query, deadline, o.context, o.kept)
  if bytes and scheme == "udp" and messages.header(bytes).tc then
    deadline = math.min(core.now() + o.try_timeout, o.deadline)
    bytes, why, code, strangers = transport.tcp(server, query, deadline)
  end
  if not bytes then
    if strangers > 0 then why = ("%s (%d messages were no answer to this)"):format(why, strangers) end
    return nil, why, code
  end
  bytes = queries.restored(query, bytes)
  local message
  message, why = messages.decode(bytes)
  if not message then return nil, "malformed answer: " .. why, "EBADMSG" end
  if message.tc then return nil, "malformed answer: it is truncated", "EBADMSG" end
  return message, bytes, age
end

-- A server that does not know EDNS is asked again without (RFC 6891 6.2.2).
local function ask_server(server, asked, o)
  local message, bytes, code = exchange(server, asked, o)
  if message and o.edns and not message.edns and (message.rcode == "FORMERR" or message.rcode == "NOTIMP") then
    message, bytes, code = exchange(server, asked, setmetatable({ edns = false }, { __index = o }))
  end
  return message, bytes, code
end

-- Why what a server said does not count; nil if it does.
local function useless(message, o)
  if o.any_rcode then return nil end
  if not SETTLED[message.rcode] then return message.rcode end
  if o.recursion and answers.is_referral(message) then return "it only refers to other servers" end
end

-- What a server did, with its address, which the system's failures tell already.
local function said(server, why)
  if server.ip and why:find(args.text(server.ip, server.port), 1, true) then return why end
  return ("%s: %s"):format(server.text, why)
end

--- Asks o.servers for { labels =, type =, class = }: message, its bytes, the
-- server, its age if that is known; or nil, what each of them did, the code of the last. Those that were
-- silent are asked again, o.tries times in all. o.any_rcode: whatever comes
-- counts.
function M.ask(asked, o)
  local servers, told, last = o.servers, {}, "ETIMEDOUT"
  for _ = 1, o.tries do
    local silent = {}
    for _, server in ipairs(servers) do
      if core.now() >= o.deadline then break end
      local message, why, code = ask_server(server, asked, o)
      local complaint = message and useless(message, o)
      if message and not complaint then return message, why, server, code end
      if message then why, code = complaint, "EAI_FAIL" end
      if code == "ETIMEDOUT" then silent[#silent + 1] = server end
      if not told[server] then told[#told + 1] = server end
      told[server], last = why, code
    end
    servers = silent
  end
  for i, server in ipairs(told) do told[i] = said(server, told[server]) end
  if #told == 0 then told[1] = "timed out" end
  return nil, table.concat(told, "; "), last
end

return M
