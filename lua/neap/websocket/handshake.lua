-- SPDX-License-Identifier: MIT
--- The opening handshake (RFC 6455, 4): what is asked, and how it is answered.
-- No socket is touched.
local base64 <const> = require "neap.base64"
local extension <const> = require "neap.websocket.extension"
local httpcore <const> = require "neap.httpcore"
local message <const> = require "neap.http.message"
local url <const> = require "neap.url"
local words <const> = require "neap.http.words"

local M = {}

local VERSION <const> = "13"

-- ---- options that both ends have ----

--- Names of subprotocols, which must be tokens, each once.
function M.check_protocols(list, level)
  if list == nil or type(list) == "function" then return list end
  if type(list) == "string" then list = { list } end
  local seen = {}
  for _, name in ipairs(list) do
    if not words.is_token(name) or seen[name] then
      error("option 'protocols' must be names of subprotocols, each once", level + 1)
    end
    seen[name] = true
  end
  return list
end

-- A list of tokens, each once; nil if it is none.
local function tokens(field)
  local list = words.list(field)
  local seen = {}
  for _, name in ipairs(list or {}) do
    if not words.is_token(name) or seen[name] then return nil end
    seen[name] = true
  end
  return list
end

-- ---- origins ----

-- An origin as it can be compared: "https://example.com"; nil if it is none.
local function normal(origin)
  local parts = url.parse(origin)
  if not parts or not parts.host or parts.path ~= "" or parts.query or parts.fragment or parts.user then return nil end
  return url.origin(parts), parts
end

--- Origins that are let in.
function M.check_origins(given, level)
  if given == nil or type(given) == "function" then return given end
  if type(given) == "string" then given = { given } end
  local known = {}
  for _, text in ipairs(given) do
    local origin = type(text) == "string" and (text == "*" or text == "null") and text
      or type(text) == "string" and normal(text)
    if not origin then error("option 'origins' must hold origins: \"https://example.com\"", level + 1) end
    known[origin] = true
  end
  return known
end

-- Does the page come from the host that it now speaks to? The schemes may
-- differ: in front of a server there may be what ends TLS.
local function same_host(origin, host)
  local _, page = normal(origin)
  if not page then return false end
  local here = url.parse(("%s://%s"):format(page.scheme, host))
  return here ~= nil and here.host ~= nil and url.authority(here) == url.authority(page)
end

local function let_in(request, origins)
  local origin = request.headers:get "origin"
  if type(origins) == "function" then return origins(origin, request) end
  if not origin then return true end -- only browsers tell, and only they must be asked
  if not origins then return same_host(origin, request.host or message.host(request)) end
  return origins["*"] or origins[origin == "null" and origin or normal(origin) or ""]
end

-- ---- a server ----

local function refuse(status, why, headers)
  headers = headers or {}
  headers["Content-Type"] = "text/plain; charset=utf-8"
  return nil, why, { status = status, headers = headers, body = why .. "\n" }
end

local function one(headers, name)
  local values = headers:getall(name)
  if #values == 1 then return values[1] end
end

local function is_key(key)
  local bytes = key and #key == 24 and base64.decode(key)
  return bytes and #bytes == 16
end

-- What is wrong with the request: nil, why, answer; or true.
local function judge(request)
  local headers = request.headers
  if request.method ~= "GET" then return refuse(405, "the method is not GET", { Allow = "GET" }) end
  if request.version ~= "1.1" then return refuse(400, "not HTTP/1.1") end
  if request.framing and request.length ~= 0 then return refuse(400, "a handshake has no body") end
  if not headers:has("upgrade", "websocket") or not headers:has("connection", "upgrade") then
    return refuse(426, "this is a WebSocket", { Upgrade = "websocket", Connection = "Upgrade" })
  end
  if one(headers, "sec-websocket-version") ~= VERSION then
    return refuse(426, "the version is not 13", {
      ["Sec-WebSocket-Version"] = VERSION, Upgrade = "websocket", Connection = "Upgrade",
    })
  end
  if not is_key(one(headers, "sec-websocket-key")) then return refuse(400, "malformed Sec-WebSocket-Key") end
  return true
end

-- The subprotocol, false for none; or nil if those asked for are malformed.
local function choose(request, protocols)
  local field = request.headers:get "sec-websocket-protocol"
  local wanted = tokens(field or "")
  if not wanted or field and #wanted == 0 then return nil end
  if type(protocols) == "function" then
    local name = protocols(wanted, request)
    for _, asked in ipairs(wanted) do
      if asked == name then return name end
    end
    if name then error("option 'protocols' returned what was not asked for", 0) end
    return false
  end
  for _, asked in ipairs(wanted) do
    for _, name in ipairs(protocols or {}) do
      if asked == name then return name end
    end
  end
  return false
end

--- Answers a request: { headers =, protocol =, extensions =, deflate = }; or
-- nil, why, and the answer that refuses it.
function M.answer(request, o)
  local ok, why, refusal = judge(request)
  if not ok then return nil, why, refusal end
  if not let_in(request, o.origins) then return refuse(403, "the origin is not let in") end
  local protocol = choose(request, o.protocols)
  if protocol == nil then return refuse(400, "malformed Sec-WebSocket-Protocol") end
  local extensions, deflate = extension.accept(request.headers:get "sec-websocket-extensions", o.compress)
  local headers = { { "Sec-WebSocket-Accept", httpcore.accept_key(request.headers:get "sec-websocket-key") } }
  if protocol then headers[#headers + 1] = { "Sec-WebSocket-Protocol", protocol } end
  if extensions then headers[#headers + 1] = { "Sec-WebSocket-Extensions", extensions } end
  for name, value in pairs(o.headers or {}) do headers[#headers + 1] = { name, value } end
  return { headers = headers, protocol = protocol or nil, extensions = extensions, deflate = deflate }
end

-- ---- a client ----

local ours <const> = {
  ["connection"] = true, ["upgrade"] = true, ["content-length"] = true, ["transfer-encoding"] = true,
  ["sec-websocket-key"] = true, ["sec-websocket-version"] = true, ["sec-websocket-accept"] = true,
  ["sec-websocket-protocol"] = true, ["sec-websocket-extensions"] = true,
}

--- Headers of the user's, as an object; raises on what no header can be, and
-- on what is the handshake's own.
function M.check_headers(given)
  local headers = httpcore.headers(given)
  for name in pairs(headers) do
    if ours[name] then error(("option 'headers' holds '%s', which is the handshake's own"):format(name), 0) end
  end
  return headers
end

--- The bytes of a request, and what its answer must go with.
function M.request(target, o, key)
  local headers = httpcore.headers()
  headers:add("Host", o.headers:get "host" or target.authority)
  headers:add("Upgrade", "websocket"):add("Connection", "Upgrade")
  headers:add("Sec-WebSocket-Key", key):add("Sec-WebSocket-Version", VERSION)
  if o.origin then headers:add("Origin", o.origin) end
  if o.protocols and o.protocols[1] then headers:add("Sec-WebSocket-Protocol", table.concat(o.protocols, ", ")) end
  if o.compress then headers:add("Sec-WebSocket-Extensions", extension.offer(o.compress)) end
  if target.authorization and not o.headers:has "authorization" then
    headers:add("Authorization", target.authorization)
  end
  for name, value in pairs(o.headers) do
    if name ~= "host" then headers:add(name, value) end
  end
  return httpcore.request("GET", target.target, headers)
end

-- What the server chose of what was asked for; or false, why.
local function chosen(field, asked)
  if not field then
    if asked and asked[1] then return false, "the server chose none of the subprotocols" end
    return nil
  end
  for _, name in ipairs(asked or {}) do
    if name == field then return name end
  end
  return false, "the server chose a subprotocol that was not asked for"
end

--- What a response agrees to: { protocol =, extensions =, deflate = }; or nil,
-- why.
function M.agreed(response, o, key)
  local headers = response.headers
  if response.status ~= 101 then
    return nil, ("the server answers %d %s"):format(response.status, response.reason or "")
  end
  if (headers:get "upgrade" or ""):lower() ~= "websocket" or not headers:has("connection", "upgrade") then
    return nil, "the server's answer is an upgrade to something else"
  end
  if one(headers, "sec-websocket-accept") ~= httpcore.accept_key(key) then
    return nil, "the server's answer does not go with the key"
  end
  local protocol, why = chosen(headers:get "sec-websocket-protocol", o.protocols)
  if protocol == false then return nil, why end
  local extensions = headers:get "sec-websocket-extensions"
  local deflate
  deflate, why = extension.agree(extensions, o.compress)
  if deflate == nil then return nil, why end
  return { protocol = protocol, extensions = deflate and extensions or nil, deflate = deflate or nil }
end

return M
