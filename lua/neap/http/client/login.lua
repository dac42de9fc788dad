-- SPDX-License-Identifier: MIT
--- Who asks: the Authorization of a request, and the answer to a challenge.
local auth <const> = require "neap.http.auth"

local M = {}

local MOST <const> = 128 -- challenges that a client remembers

-- User and password for a target: what was said for the origin that was asked
-- first, and those of the URL itself.
local function credentials(state, o)
  local given = o.auth
  if given and not state.foreign then return given[1], given[2], given.scheme end
  local target = state.target
  if target.user and not state.foreign then return target.user, target.password end
end

-- Whom a challenge was for, and from whom.
local function place(state, user) return state.target.origin .. "\n" .. user end

local function digest(kept, state, user, password)
  kept.count = kept.count + 1
  local body = state.body.body
  return auth.digest(kept.challenge, {
    user = user, password = password, method = state.method, uri = state.target.target, nc = kept.count,
    body = type(body) == "string" and body or body == nil and "" or nil,
  })
end

--- What a request says of itself before it is asked, or nil. Digest only where
-- the server has asked for it before.
function M.authorization(client, state, o)
  if state.foreign then return nil end
  if o.auth and o.auth.bearer then return "Bearer " .. o.auth.bearer end
  local user, password, scheme = credentials(state, o)
  if not user then return nil end
  local kept = client.logins[place(state, user)]
  if kept then return digest(kept, state, user, password) end
  if scheme ~= "digest" then return auth.basic(user, password) end
end

-- The strongest challenge of Digest, or nil, message, code.
local function challenge_of(response, name)
  local fields = response.headers:getall(name)
  if not fields[1] then return nil end
  local list, why, code = auth.challenges(table.concat(fields, ", "))
  if not list then return nil, why, code end
  return auth.best(list, { digest = true })
end

-- To a proxy that forwards: for this request alone.
local function answer_proxy(state, response)
  local proxy = state.route and state.route.what == "forward" and state.route.proxy
  if not proxy or not proxy.user or state.proxy_authorization then return false end
  local challenge, why, code = challenge_of(response, "proxy-authenticate")
  if not challenge then
    if why then return nil, why, code end
    return false
  end
  local text
  text, why, code = auth.digest(challenge, {
    user = proxy.user, password = proxy.password, method = state.method,
    uri = state.target.origin .. state.target.target,
  })
  if not text then return nil, why, code end
  state.proxy_authorization = text
  return true
end

-- A server may be asked for by ever other names: what is too much is forgotten,
-- and costs a question more.
local function remember(client, where, challenge)
  if not client.logins[where] then
    client.nlogins = (client.nlogins or 0) + 1
    if client.nlogins > MOST then client.logins, client.nlogins = {}, 1 end
  end
  client.logins[where] = { challenge = challenge, count = 0 }
end

--- Can a 401 or a 407 be answered? True, if the request is to be sent once more;
-- false; or nil, message, code.
function M.answer(client, state, response, o)
  if response.status == 407 then return answer_proxy(state, response) end
  local user = credentials(state, o)
  for _, pair in ipairs(state.fields) do
    if pair[1]:lower() == "authorization" then return false end
  end
  if not user then return false end
  local challenge = challenge_of(response, "www-authenticate")
  if not challenge then return false end
  -- A nonce that has become stale is no refusal of the password.
  local stale = (challenge.params.stale or ""):lower() == "true"
  if state.tried and (not stale or state.tried > 2) then return false end
  state.tried = (state.tried or 0) + 1
  remember(client, place(state, user), challenge)
  return true
end

return M
