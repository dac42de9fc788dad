-- SPDX-License-Identifier: MIT
--- A question on its way: its bytes, and whether what comes back is an answer
-- to it or somebody's attempt at one. No socket.
local message <const> = require "neap.dns.message"
local names <const> = require "neap.dns.name"
local types <const> = require "neap.dns.types"
local random <const> = require "neap.random"

local M = {}

local HEADER <const> = 12
local PADDING <const>, BLOCK <const> = 12, 128 -- EDNS option; RFC 8467 4.1

-- The same labels with each letter in capitals or not, at random.
local function shuffle_case(labels)
  local bits, at = random.bytes(255), 0
  local shuffled = {}
  for i, label in ipairs(labels) do
    shuffled[i] = label:gsub("%a", function(c)
      at = at + 1
      return bits:byte(at) & 1 == 0 and c:lower() or c:upper()
    end)
  end
  return shuffled
end

-- What makes the message a multiple of a block: its length says no more.
local function padded(query, bytes)
  local missing = -(#bytes + 4) % BLOCK
  query.edns.options = { { code = PADDING, data = ("\0"):rep(missing) } }
  return message.encode(query)
end

--- What goes to a server: { bytes =, id =, question = its bytes, original =
-- the same as the user wrote it, exact = }.
-- asked: { labels =, type =, class = } in numbers. o: recursion,
-- checking_disabled, edns, udp_size, dnssec, random_case, pad.
function M.new(asked, o)
  local labels = o.random_case and shuffle_case(asked.labels) or asked.labels
  local id = (">I2"):unpack(random.bytes(2))
  local question = { name = names.text(labels), type = asked.type, class = asked.class }
  local query = { id = id, rd = o.recursion, cd = o.checking_disabled, question = { question } }
  if o.edns then query.edns = { udp_size = o.udp_size, dnssec = o.dnssec } end
  local bytes = message.encode(query)
  local size = #names.wire(labels)
  return {
    id = id, question = bytes:sub(HEADER + 1, HEADER + size + 4), exact = o.random_case,
    original = names.wire(asked.labels) .. bytes:sub(HEADER + size + 1, HEADER + size + 4),
    bytes = o.edns and o.pad and padded(query, bytes) or bytes,
  }
end

--- An answer as if the question had been sent in the capitals that the user
-- gave: names in the answer may point into it.
function M.restored(query, bytes)
  if not query.exact or bytes:sub(HEADER + 1, HEADER + #query.question) ~= query.question then return bytes end
  return bytes:sub(1, HEADER) .. query.original .. bytes:sub(HEADER + #query.question + 1)
end

-- What a server may say that did not read the question.
local UNREAD <const> = { FORMERR = true, SERVFAIL = true, NOTIMP = true, REFUSED = true }

--- Whether these bytes answer the query. What does not is as if it had not
-- come: anybody may have sent it.
function M.answers(query, bytes)
  local header = message.header(bytes)
  if not header or header.id ~= query.id or not header.qr or header.opcode ~= 0 then return false end
  if header.counts[1] == 0 then return UNREAD[types.rcode.name(header.rcode)] or false end
  if header.counts[1] ~= 1 then return false end
  local echo = bytes:sub(HEADER + 1, HEADER + #query.question)
  if query.exact then return echo == query.question end
  return echo:sub(-4) == query.question:sub(-4) and names.key(echo:sub(1, -5)) == names.key(query.question:sub(1, -5))
end

return M
