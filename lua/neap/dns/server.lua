-- SPDX-License-Identifier: MIT
--- A server of DNS, by UDP and TCP on the same port, or by TLS: for tests and
-- small zones. A handler says what the answers are.
local args <const> = require "neap.args"
local conf <const> = require "neap.dns.conf"
local core <const> = require "neap.core"
local messages <const> = require "neap.dns.message"
local names <const> = require "neap.dns.name"
local sync <const> = require "neap.sync"
local tcp <const> = require "neap.tcp"
local udp <const> = require "neap.udp"

local M = {}

local UDP_SIZE <const>, LEAST_UDP_SIZE <const> = 1232, 512
local IDLE <const> = 10 -- seconds
local MOST_QUERIES <const>, MOST_CONNECTIONS <const> = 256, 128
local PORT_TRIES <const> = 16

-- ---- what is answered ----

-- The beginning of an answer to this query.
local function reply_to(query, rcode)
  return {
    id = query.id, qr = true, opcode = query.opcode, rd = query.rd, question = query.question, rcode = rcode,
    edns = query.edns and { udp_size = UDP_SIZE, dnssec = query.edns.dnssec } or nil, -- RFC 3225 3
  }
end

-- An answer to what cannot be read, of which only the header is known.
local function reply_to_garbage(bytes)
  local header = messages.header(bytes)
  if not header or header.qr then return nil end
  return { id = header.id, qr = true, opcode = header.opcode, rd = header.rd, rcode = "FORMERR" }
end

-- What cannot be asked: a rcode, or nil.
local function refusal(query)
  if query.opcode ~= "QUERY" then return "NOTIMP" end
  if #query.question ~= 1 then return "FORMERR" end
  if query.edns and query.edns.version > 0 then return "BADVERS" end
end

-- A record as it is sent: what the handler did not say is the question's.
local function completed(record, question)
  if type(record) ~= "table" then error("the handler must return records, each a table", 0) end
  return setmetatable({}, { __index = function(_, name)
    local value = record[name]
    if value == nil and (name == "name" or name == "class") then return question[name] end
    return value
  end })
end

-- What a message has, so that another server's can be handed on, though not all
-- of it is taken.
local KNOWN <const> = {
  id = true, qr = true, opcode = true, aa = true, tc = true, rd = true, ra = true, ad = true, cd = true, rcode = true,
  question = true, answer = true, authority = true, additional = true, edns = true,
}

-- A list may be what a query returned, which has fields of its own.
local function check_fields(result)
  if result[1] ~= nil then return end
  for name in pairs(result) do
    if not KNOWN[name] then error(("an answer has no '%s'"):format(tostring(name)), 0) end
  end
end

-- A message of what the handler returned: a list of records, or a table of
-- what the message says.
local function reply_of(query, result)
  if result == nil then return reply_to(query, "REFUSED") end
  if type(result) ~= "table" then error("the handler must return a table, a string, false or nil", 0) end
  check_fields(result)
  local reply = reply_to(query, result.rcode)
  for _, flag in ipairs { "aa", "ra", "ad" } do reply[flag] = result[flag] end
  for _, name in ipairs { "answer", "authority", "additional" } do
    reply[name] = {}
    for i, record in ipairs(result[name] or {}) do reply[name][i] = completed(record, query.question[1]) end
  end
  for i, record in ipairs(result) do reply.answer[i] = completed(record, query.question[1]) end
  return reply
end

local function ask_handler(self, query, peer)
  local asked = query.question[1]
  local question = { name = names.key(asked.name), type = asked.type, class = asked.class }
  local result = self.handler(question, query, peer)
  if result == false or type(result) == "string" then return result end
  return messages.encode(reply_of(query, result))
end

-- The bytes of the handler's answer; SERVFAIL for one that failed.
local function handled(self, query, peer)
  local traceback
  local ok, bytes = xpcall(ask_handler, function(err)
    traceback = debug.traceback(nil, 2)
    return err
  end, self, query, peer)
  if ok and bytes ~= nil then return bytes end
  if type(bytes) == "userdata" then error(bytes, 0) end -- an interruption passes
  self.on_error(ok and "the answer is longer than 65535 bytes" or bytes, traceback or "")
  return messages.encode(reply_to(query, "SERVFAIL"))
end

-- The bytes that answer some bytes, or nothing; and the query.
local function answer(self, bytes, peer)
  local query = messages.decode(bytes)
  if not query then
    local reply = reply_to_garbage(bytes)
    return reply and messages.encode(reply)
  end
  if query.qr then return nil end -- an answer: two servers must not talk for ever
  local rcode = refusal(query)
  if rcode then return messages.encode(reply_to(query, rcode)), query end
  return handled(self, query, peer) or nil, query
end

-- What is too long for a datagram says so, and nothing else.
local function fitted(bytes, query)
  local most = query and query.edns and math.min(math.max(query.edns.udp_size, LEAST_UDP_SIZE), UDP_SIZE)
  if #bytes <= (most or LEAST_UDP_SIZE) then return bytes end
  local message = messages.decode(bytes)
  if not message then return bytes end -- the handler's own bytes
  local reply = reply_to(query, message.rcode)
  reply.aa, reply.ra, reply.tc = message.aa, message.ra, true
  return messages.encode(reply)
end

-- ---- serving ----

local function answer_datagram(self, bytes, info)
  local reply, query = answer(self, bytes, { ip = info.ip, port = info.port, transport = "udp" })
  if not reply then return end
  self.sock:sendmsg(fitted(reply, query), { ip = info.ip, port = info.port, local_ip = info.local_ip })
end

local function serve_udp(self, group)
  local places = sync.semaphore(MOST_QUERIES)
  while true do
    places:acquire()
    local bytes, info, code = self.sock:receivemsg()
    if not bytes then return nil, info, code end
    group:spawn(function()
      local held <close> = setmetatable({}, { __close = function() places:release() end })
      answer_datagram(self, bytes, info)
    end)
  end
end

local function serve_stream(self, conn)
  local ip, port = conn:getpeername()
  local peer = { ip = ip, port = port, transport = self.transport }
  conn:settimeout(self.timeout)
  while true do
    local head = conn:read(2)
    local size = head and (">I2"):unpack(head)
    local bytes = size and (size == 0 and "" or conn:read(size))
    if not bytes then return end
    local reply = answer(self, bytes, peer)
    if reply and not conn:write((">s2"):pack(reply)) then return end
  end
end

local nameserver <const> = { __name = "neap.nameserver" }
nameserver.__index = nameserver

--- Answers until the server is closed: true; or nil, message, code.
function nameserver:serve()
  args.method(self, nameserver, "serve", 2)
  if self.group then error("this server is serving already", 2) end
  if self.closed then return nil, "closed", "ECLOSED" end
  local failed
  local function over(_, why, code)
    if code ~= "ECLOSED" then failed = { why, code } end
    self:close()
  end
  local cleanup <close> = setmetatable({}, { __close = function() self.group = nil end })
  local group <close> = core.group()
  self.group = group
  if self.sock then group:spawn(function() over(serve_udp(self, group)) end) end
  group:spawn(function()
    local done, why, code = self.listener:serve(function(conn) serve_stream(self, conn) end, {
      max_connections = MOST_CONNECTIONS, on_error = function(err, traceback)
        if traceback ~= "" then self.on_error(err, traceback) end -- else a handshake has failed
      end,
    })
    over(done, why, not done and code or "ECLOSED")
  end)
  group:wait()
  if failed then return nil, failed[1], failed[2] end
  return true
end

--- Its ip and port.
function nameserver:getsockname()
  args.method(self, nameserver, "getsockname", 2)
  return self.listener:getsockname()
end

--- Ends serving; handlers that are at work are cancelled.
function nameserver:close()
  args.method(self, nameserver, "close", 2)
  if self.closed then return true end
  self.closed = true
  if self.sock then self.sock:close() end
  self.listener:close()
  if self.group then self.group:cancel() end
  return true
end

nameserver.__close = nameserver.close

-- ---- making ----

-- A socket and a listener on the same port.
local function open(o)
  for i = 1, PORT_TRIES do
    local sock, why, code = udp.open(o.host, o.port)
    if not sock then return nil, why, code end
    local _, port = sock:getsockname()
    local listener
    listener, why, code = tcp.listen(o.host, port)
    if listener then return listener, sock end
    sock:close()
    if code ~= "EADDRINUSE" or o.port ~= 0 or i == PORT_TRIES then return nil, why, code end
  end
end

local function listen_tls(o)
  local tls, why, code = conf.tls()
  if not tls then return nil, why, code end
  local listener
  listener, why, code = tls.listen(o.host, o.port, o.tls)
  if not listener then return nil, why, code end
  return listener
end

local function default_on_error(err, traceback)
  require "neap".onerror(core.running(), err, traceback)
end

local options <const> = {
  host = "string", port = "natural", tls = "table", timeout = "seconds", on_error = "function",
}

--- A server whose answers are the handler's.
function M.new(handler, given, level)
  args.argument(handler, "function", 1, level + 1)
  local o = args.check(given, options, 2, level + 1)
  if o.port and o.port > 65535 then error("option 'port' must be an integer from 0 to 65535", level + 1) end
  o.host, o.port = o.host or "127.0.0.1", o.port or 0
  local listener, sock, code
  if o.tls then
    listener, sock, code = args.blame(level + 1, listen_tls, o)
  else
    listener, sock, code = open(o)
  end
  if not listener then return nil, sock, code end
  return setmetatable({
    handler = handler, listener = listener, sock = sock, timeout = o.timeout or IDLE,
    transport = o.tls and "tls" or "tcp", on_error = o.on_error or default_on_error,
  }, nameserver)
end

return M
