-- SPDX-License-Identifier: MIT
--- permessage-deflate (RFC 7692): what is offered, accepted and agreed on. No
-- socket is touched.
--
-- What was agreed is a table that looks from one's own side: send_bits,
-- receive_bits (of the window), send_takeover, receive_takeover (may a message
-- refer to the ones before it?), and how to compress: level, memory, threshold.
local args <const> = require "neap.args"
local words <const> = require "neap.http.words"

local M = {}

local NAME <const> = "permessage-deflate"
local PLAIN_BITS <const> = 15 -- what a window has when nobody said anything
local SEND_BITS <const>, MEMORY <const>, THRESHOLD <const> = 12, 5, 128

-- ---- options ----

local options <const> = {
  level = "natural", memory = "natural", threshold = "natural", send_window_bits = "natural",
  receive_window_bits = "natural", send_takeover = "boolean", receive_takeover = "boolean",
}
local ranges <const> = {
  level = { 0, 9 }, memory = { 1, 9 }, send_window_bits = { 8, 15 }, receive_window_bits = { 8, 15 },
}

--- What the option `compress` says: false, or a table of settings.
function M.settings(given, level)
  if not given then return false end
  if given ~= true and type(given) ~= "table" then
    error("option 'compress' must be a boolean or a table", level + 1)
  end
  local o = args.check(given ~= true and given or nil, options, 2, level + 1)
  for name, range in pairs(ranges) do
    if o[name] and (o[name] < range[1] or o[name] > range[2]) then
      error(("option '%s' must be an integer from %d to %d"):format(name, range[1], range[2]), level + 1)
    end
  end
  return o
end

local function agreed(settings, send_bits, receive_bits, send_takeover, receive_takeover)
  return {
    send_bits = math.min(send_bits or PLAIN_BITS, settings.send_window_bits or SEND_BITS),
    receive_bits = receive_bits or PLAIN_BITS,
    send_takeover = send_takeover and settings.send_takeover ~= false,
    receive_takeover = receive_takeover,
    level = settings.level or -1, memory = settings.memory or MEMORY, threshold = settings.threshold or THRESHOLD,
  }
end

-- ---- the field ----

-- One extension: its name and its parameters, which are true without a value.
local function parse_item(item)
  local name, at = words.token(item, 1)
  if not name then return nil end
  local parameters = {}
  while true do
    at = words.skip(item, at)
    if at > #item then return name, parameters end
    if item:byte(at) ~= 0x3b then return nil end
    local key, to = words.token(item, words.skip(item, at + 1))
    if not key or parameters[key] ~= nil then return nil end
    local value = true
    to = words.skip(item, to)
    if item:byte(to) == 0x3d then
      value, to = words.value(item, words.skip(item, to + 1))
      if not value then return nil end
    end
    parameters[key], at = value, to
  end
end

-- What parameters mean; nil if they mean nothing. `optional`: a client may say
-- that it understands client_max_window_bits, with no number.
local function meaning(parameters, optional)
  local found = {}
  for name, value in pairs(parameters) do
    if name == "server_no_context_takeover" or name == "client_no_context_takeover" then
      if value ~= true then return nil end
      found[name] = true
    elseif name == "server_max_window_bits" or name == "client_max_window_bits" then
      if value == true and optional and name == "client_max_window_bits" then
        found[name] = PLAIN_BITS
      elseif value ~= true and (value:find "^[89]$" or value:find "^1[0-5]$") then
        found[name] = tonumber(value)
      else
        return nil
      end
    else
      return nil
    end
  end
  return found
end

-- ---- a server ----

-- The answer to an offer, or nil if it is declined; and what was agreed on.
local function answer(offer, settings)
  local limit = settings.receive_window_bits
  if limit and limit < PLAIN_BITS and not offer.client_max_window_bits then return nil end
  local send = math.min(offer.server_max_window_bits or PLAIN_BITS, settings.send_window_bits or SEND_BITS)
  local receive = offer.client_max_window_bits and math.min(offer.client_max_window_bits, limit or PLAIN_BITS)
  local forgets = offer.server_no_context_takeover or settings.send_takeover == false
  local peer_forgets = offer.client_no_context_takeover or settings.receive_takeover == false
  local text = { NAME }
  if forgets then text[#text + 1] = "server_no_context_takeover" end
  if peer_forgets then text[#text + 1] = "client_no_context_takeover" end
  if send < PLAIN_BITS then text[#text + 1] = "server_max_window_bits=" .. send end
  if receive and receive < PLAIN_BITS then text[#text + 1] = "client_max_window_bits=" .. receive end
  return table.concat(text, "; "), agreed(settings, send, receive, not forgets, not peer_forgets)
end

--- Of what a client offers, the first that can be: the field that says so, and
-- what was agreed on; or nil. What is malformed is declined.
function M.accept(field, settings)
  for _, item in ipairs(field and settings and words.list(field) or {}) do
    local name, parameters = parse_item(item)
    local offer = name == NAME and meaning(parameters, true)
    if offer then
      local text, result = answer(offer, settings)
      if text then return text, result end
    end
  end
end

-- ---- a client ----

--- What is offered to a server.
function M.offer(settings)
  local text = { NAME }
  if settings.receive_takeover == false then text[#text + 1] = "server_no_context_takeover" end
  if settings.send_takeover == false then text[#text + 1] = "client_no_context_takeover" end
  local limit = settings.receive_window_bits
  if limit and limit < PLAIN_BITS then text[#text + 1] = "server_max_window_bits=" .. limit end
  text[#text + 1] = "client_max_window_bits=" .. (settings.send_window_bits or SEND_BITS)
  return table.concat(text, "; ")
end

--- What a server's answer means to the client that offered: what was agreed on,
-- false if there is no extension; or nil, why.
function M.agree(field, settings)
  if not field then return false end
  local items = words.list(field)
  if not items then return nil, "malformed extensions" end
  if #items == 0 then return false end
  local name, parameters = parse_item(items[1])
  if not name then return nil, "malformed extensions" end
  if not settings or name ~= NAME or #items > 1 then return nil, "an extension that was not offered" end
  local said = meaning(parameters)
  if not said then return nil, "malformed parameters of permessage-deflate" end
  local limit = settings.receive_window_bits
  if limit and limit < PLAIN_BITS and (said.server_max_window_bits or PLAIN_BITS) > limit then
    return nil, "the server's window is larger than was offered"
  end
  if (said.client_max_window_bits or 0) > (settings.send_window_bits or SEND_BITS) then
    return nil, "the client's window is larger than was offered"
  end
  if settings.receive_takeover == false and not said.server_no_context_takeover then
    return nil, "the server did not agree to server_no_context_takeover"
  end
  return agreed(settings, said.client_max_window_bits, said.server_max_window_bits,
    not said.client_no_context_takeover, not said.server_no_context_takeover)
end

--- The same of a connection whose handshake others did, by the field that was
-- answered; or nil, why.
function M.of(field, settings, role)
  if role == "client" then return M.agree(field, settings or {}) end
  local items = words.list(field)
  local name, parameters = parse_item(items and #items == 1 and items[1] or "")
  local said = name == NAME and meaning(parameters)
  if not said then return nil, "unknown extensions" end
  return agreed(settings or {}, said.server_max_window_bits, said.client_max_window_bits,
    not said.server_no_context_takeover, not said.client_no_context_takeover)
end

return M
