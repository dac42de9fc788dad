--- Authentication (RFC 9110, 11): challenges read, Basic (RFC 7617) on both
-- sides, the client's answer of Digest (RFC 7616).
local base64 <const> = require "neap.base64"
local percent <const> = require "neap.url.percent"
local random <const> = require "neap.random"
local words <const> = require "neap.http.words"

local M = {}

local CHALLENGES <const>, PARAMETERS <const> = 16, 32

local function bad(why, code) return nil, "auth: " .. why, code or "EBADMSG" end

-- ---- challenges and credentials ----

-- A scheme at this place, and the token68 behind it, if that is one.
local function scheme_at(text, at)
  local name, to = words.token(text, at)
  if not name then return nil end
  local challenge = { scheme = name:lower(), params = {} }
  if to > #text or text:byte(to) == 0x2c then return challenge, to end
  if text:byte(to) ~= 0x20 then return nil end
  to = words.skip(text, to)
  local from, stop = text:find("^[A-Za-z0-9._~+/-]+=*", to)
  if from and text:find("^[ \t]*$", stop + 1) or from and text:find("^[ \t]*,", stop + 1) then
    challenge.token68 = text:sub(from, stop)
    to = stop + 1
  end
  return challenge, to
end

local function add_parameter(challenge, name, value)
  local params = challenge.params
  if params[name] ~= nil then return nil end
  params[name] = value
  challenge.count = (challenge.count or 0) + 1
  return challenge.count <= PARAMETERS
end

--- The challenges of a WWW-Authenticate (several fields joined by commas), in
-- their order: { scheme = in lower case, params = by names in lower case,
-- token68 = }. Nil, message, code where it is malformed.
function M.challenges(text)
  local list, at = {}, 1
  local current
  while true do
    at = text:find("[^ \t,]", at)
    if not at then break end
    local name, value, to = words.parameter(text, at, true)
    if name and current and not current.token68 then
      if not add_parameter(current, name, value) then return bad "a parameter twice, or too many" end
    else
      current, to = scheme_at(text, at)
      if not current or #list == CHALLENGES then return bad "malformed challenges, or too many" end
      list[#list + 1] = current
      if not current.token68 and to <= #text and text:byte(to) ~= 0x2c then
        name, value, to = words.parameter(text, to, true)
        if not name then return bad "a malformed challenge" end
        add_parameter(current, name, value)
      end
    end
    at = words.skip(text, to)
    if at <= #text and text:byte(at) ~= 0x2c then return bad "something between two parameters" end
  end
  for _, challenge in ipairs(list) do challenge.count = nil end
  return list
end

--- The `name=value` list of an Authentication-Info, by names in lower case.
function M.parameters(text)
  local holder, at = { params = {} }, 1
  while true do
    at = text:find("[^ \t,]", at)
    if not at then return holder.params end
    local name, value, to = words.parameter(text, at, true)
    if not name or not add_parameter(holder, name, value) then return bad "malformed parameters" end
    at = words.skip(text, to)
    if at <= #text and text:byte(at) ~= 0x2c then return bad "something between two parameters" end
  end
end

-- ---- Basic ----

--- The credentials of a client: "Basic ...".
function M.basic(user, password)
  if (user .. password):find "[\0-\x1f\x7f]" then return bad("a control character in the credentials", "EINVAL") end
  if user:find(":", 1, true) then return bad("a colon in the user's name", "EINVAL") end
  return "Basic " .. base64.encode(user .. ":" .. password)
end

--- For a server: the user and the password of an Authorization; nil, message,
-- code if it is none of Basic.
function M.basic_credentials(field)
  local scheme, text = (field or ""):match "^[ \t]*([A-Za-z]+) +([^ \t]+)[ \t]*$"
  if not scheme or scheme:lower() ~= "basic" then return bad "no credentials of Basic" end
  local plain = base64.decode(text)
  local user, password = (plain or ""):match "^([^:]*):(.*)$"
  if not user or plain:find "[\0-\x1f\x7f]" then return bad "malformed credentials" end
  return user, password
end

--- The challenge of a server.
function M.basic_challenge(realm) return ("Basic realm=%s, charset=\"UTF-8\""):format(words.quote(realm)) end

--- Are both the same? Takes as long whatever the difference is.
function M.same(a, b)
  local differ = #a ~ #b
  for i = 1, #a do differ = differ | (a:byte(i) ~ (b:byte(i) or 0)) end
  return differ == 0
end

-- ---- Digest ----

-- By strength. OpenSSL's names; the third one's is SHA-512/256.
local ALGORITHMS <const> = { { "sha-512-256", "sha512-256" }, { "sha-256", "sha256" }, { "md5", "md5" } }

local strength <const>, openssl <const> = {}, {}
for i, row in ipairs(ALGORITHMS) do
  strength[row[1]], openssl[row[1]] = i, row[2]
end

local function split_algorithm(challenge)
  local name = (challenge.params.algorithm or "MD5"):lower()
  local base = name:match "^(.*)%-sess$"
  return base or name, base ~= nil
end

-- A function from bytes to hexadecimal digits.
local function hasher(name)
  local found, tlscore = pcall(require, "neap.tlscore")
  if not found then return bad("Digest needs OpenSSL, without which neap was built", "ENOTSUP") end
  local known = openssl[name]
  if not known then
    name = name:sub(1, 40):gsub("[^\x20-\x7e]", "?")
    return bad(("the algorithm '%s' is not known"):format(name), "ENOTSUP")
  end
  local _, why, code = tlscore.digest(known, "")
  if why then return nil, why, code end
  return function(...)
    local bytes = tlscore.digest(known, table.concat({ ... }, ":"))
    return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
  end
end

local UNFIT <const> = "[\0-\x1f\x7f]" -- for what goes into a field

-- "auth", "auth-int", or nil where none is offered (RFC 2069); false for what
-- cannot be done.
local function quality_of(challenge, body)
  local offered = challenge.params.qop
  if not offered then return nil end
  local found = {}
  for word in offered:lower():gmatch "[^, \t]+" do found[word] = true end
  if found.auth then return "auth" end
  if found["auth-int"] and type(body) == "string" then return "auth-int" end
  return false
end

-- How good a challenge of Digest is, the best being 1; nil if it cannot be
-- answered, whoever asks for what.
local function rank_of(challenge)
  local p <const>, name <const> = challenge.params, split_algorithm(challenge)
  if not (p.nonce and p.realm) or (p.nonce .. p.realm .. (p.opaque or "")):find(UNFIT) then return nil end
  if quality_of(challenge, "") == false or not hasher(name) then return nil end
  return strength[name]
end

--- The challenge to answer: of Digest the strongest algorithm that can be done,
-- else Basic; nil if there is neither. `schemes`: only these, { digest = true }.
function M.best(challenges, schemes)
  local best, rank = nil, math.huge
  for _, challenge in ipairs(challenges) do
    local mine
    if schemes and not schemes[challenge.scheme] then
      mine = nil
    elseif challenge.scheme == "digest" then
      mine = rank_of(challenge)
    elseif challenge.scheme == "basic" then
      mine = 100
    end
    if mine and mine < rank then best, rank = challenge, mine end
  end
  return best
end

local function is_ascii(text) return not text:find "[\x80-\xff]" end

local function name_parameter(user, realm, hash, hashed)
  if hashed then return ("username=%s, userhash=true"):format(words.quote(hash(user, realm))) end
  if is_ascii(user) then return "username=" .. words.quote(user) end
  return "username*=UTF-8''" .. percent.encode(user, "component")
end

local function response_of(hash, p, given, session, quality, nc, cnonce)
  local secret = hash(given.user, p.realm, given.password)
  if session then secret = hash(secret, p.nonce, cnonce) end
  local what = hash(given.method, given.uri, quality == "auth-int" and hash(given.body) or nil)
  if not quality then return hash(secret, p.nonce, what) end
  return hash(secret, p.nonce, nc, cnonce, quality, what)
end

--- The Authorization that answers a challenge of Digest. `given` has user,
-- password, method, uri (the request's target as it is sent), body (a string,
-- for auth-int), nc (how often the nonce was used, this time included; 1) and
-- cnonce (made up unless given). Proxy-Authorization is made in the same way.
function M.digest(challenge, given)
  local p = challenge.params
  if not (p.nonce and p.realm) then return bad "a challenge of Digest without a nonce or a realm" end
  if (given.user .. given.password .. given.uri .. p.nonce .. p.realm .. (p.opaque or "")):find(UNFIT) then
    return bad("a control character in the credentials or the challenge", "EINVAL")
  end
  local name, session = split_algorithm(challenge)
  local hash, why, code = hasher(name)
  if not hash then return nil, why, code end
  local quality = quality_of(challenge, given.body)
  if quality == false then return bad("it offers no quality of protection that can be given", "ENOTSUP") end
  local nc, cnonce = ("%08x"):format(given.nc or 1), given.cnonce or random.hex(16)
  local hashed = (p.userhash or ""):lower() == "true"
  local out = {
    "Digest " .. name_parameter(given.user, p.realm, hash, hashed),
    "realm=" .. words.quote(p.realm), "nonce=" .. words.quote(p.nonce), "uri=" .. words.quote(given.uri),
  }
  local function add(text) out[#out + 1] = text end
  if p.algorithm then add("algorithm=" .. p.algorithm) end
  if quality or session then add("cnonce=" .. words.quote(cnonce)) end
  if quality then add(("nc=%s, qop=%s"):format(nc, quality)) end
  add(('response="%s"'):format(response_of(hash, p, given, session, quality, nc, cnonce)))
  if p.opaque then add("opaque=" .. words.quote(p.opaque)) end
  return table.concat(out, ", ")
end

return M
