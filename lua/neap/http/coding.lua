--- Content codings (RFC 9110, 8.4): decoders, encoders, and which to use.
local words <const> = require "neap.http.words"

local M = {}

local MOST <const> = 4 -- codings on top of each other
local PIECE <const> = 65536 -- what goes from one decoder of a chain to the next
local SLACK <const> = 65536

local NAMES <const> = { "gzip", "deflate", "br", "zstd" } -- as accept() lists them
local ALIAS <const> = { ["x-gzip"] = "gzip" }
local LIBRARY <const> = { br = "libbrotlidec (libbrotli-dev)", zstd = "libzstd (libzstd-dev)" }

local function fail(name, why, code) return nil, ("%s: %s"):format(name, why), code end

-- zlib is in an object of its own: it may not have been built.
local function zcore()
  local found, part = pcall(require, "neap.zcore")
  if found then return part end
  if package.searchpath("neap.zcore", package.cpath) then return nil, tostring(part) end
  return nil, "neap was built without zlib (zlib1g-dev)"
end

local function plain_name(name)
  name = name:lower()
  return ALIAS[name] or name
end

-- ---- decoding ----

local decoder <const> = { __name = "neap.http.decoder" }
decoder.__index = decoder

--- Lets go of the memory, which the end and a failure do, too.
function decoder:close()
  for i, stage in ipairs(self) do
    stage:close()
    self[i] = nil
  end
  self.closed = true
end
decoder.__close = decoder.close

local function failed(self, why, code)
  self.why, self.code = why, code
  self:close()
  return nil, why, code
end

-- Is there text that has not been asked for?
local function pending(self)
  for i = 1, #self do
    if self.more[i] then return true end
  end
  return false
end

-- Where there is something to be decoded, the last such place first: it has to
-- give its text before it may be given more. Nil when there is nothing.
local function next_place(self)
  for i = #self, 1, -1 do
    if self.more[i] then return i, "" end
  end
  if self.queue ~= "" then
    local bytes = self.queue
    self.queue = ""
    return 1, bytes
  end
end

-- A piece of the text; "" when all that came is decoded.
local function piece(self, most)
  local n = #self
  while true do
    local i, bytes = next_place(self)
    if not i then return "" end
    while i <= n do
      local text, more, code = self[i]:feed(bytes, i == n and most or PIECE)
      if not text then return nil, more, code end
      self.more[i], bytes, i = more, text, i + 1
      if text == "" then break end
    end
    if i > n and bytes ~= "" then return bytes end
  end
end

local function pieces(self)
  local out = {}
  while true do
    local text, why, code = piece(self, PIECE)
    if not text then return nil, why, code end
    if text == "" then return table.concat(out) end
    out[#out + 1] = text
  end
end

--- The text that the bytes give. With `most`, so many bytes of it at most, and
-- true if there may be more, which feed("", most) gives; without, all.
function decoder:feed(bytes, most)
  if self.closed then return nil, self.why or "coding: the decoder was closed", self.code or "ECLOSED" end
  local text, why, code
  if #self == 1 then
    text, why, code = self[1]:feed(bytes, most)
    if not text then return failed(self, why, code) end
    self.more[1] = why
    return text, why
  end
  self.queue = self.queue .. bytes
  if most then
    text, why, code = piece(self, most)
  else
    text, why, code = pieces(self)
  end
  if not text then return failed(self, why, code) end
  return text, pending(self)
end

--- There is nothing more to come: true, and the number of bytes behind the
-- text that were left out. Fails if the text is not whole.
function decoder:finish()
  if self.closed then return nil, self.why or "coding: the decoder was closed", self.code or "ECLOSED" end
  local left = 0
  for i = 1, #self do
    local whole, extra, code = self[i]:finish()
    if not whole then return failed(self, extra, code) end
    left = left + extra
  end
  self:close()
  return true, left
end

-- Nothing to decode.
local identity <const> = { __name = "neap.http.identity" }
identity.__index = identity

function identity:feed(bytes)
  self.made = self.made + #bytes
  if self.made > self.limit then return fail("body", "it is more than is allowed", "EMSGSIZE") end
  return bytes, false
end

function identity:flush(bytes) return bytes or "" end

function identity:finish(bytes)
  if self.encodes then return bytes or "" end
  return true, 0
end

function identity:close() end
identity.__close = identity.close

local function new_identity(limit, encodes)
  return setmetatable({ made = 0, limit = limit or math.huge, encodes = encodes }, identity)
end

-- The codings that a field names, in their order; without identity.
local function chain(field)
  local names = {}
  for _, item in ipairs(words.list(field) or { field }) do
    local name = plain_name(item)
    if name ~= "identity" then names[#names + 1] = name end
  end
  return names
end

--- A decoder of what a Content-Encoding names ("gzip", "gzip, br": the last
-- was applied last and is undone first). `limit`: its text has no more bytes.
-- Failures: ENOTSUP for a coding that is not known or not built in, EBADMSG,
-- EMSGSIZE.
function M.decoder(field, limit)
  local names = chain(field)
  local n = #names
  if n == 0 then return new_identity(limit) end
  if n > MOST then return fail("coding", ("%d codings on top of each other"):format(n), "ENOTSUP") end
  local self = setmetatable({ more = {}, queue = "" }, decoder)
  for i = n, 1, -1 do
    local name = names[i]
    local z, why = zcore()
    if not z then return fail(name, why, "ENOTSUP") end
    if not z.decodes[name] then
      self:close()
      if LIBRARY[name] then return fail(name, "neap was built without " .. LIBRARY[name], "ENOTSUP") end
      return fail("coding", ("'%s' is not known"):format(name:sub(1, 40):gsub("[^\x21-\x7e]", "?")), "ENOTSUP")
    end
    -- What is between two codings has a limit, too: it costs time.
    local bound = limit and i > 1 and 2 * limit + SLACK or limit
    local stage, message, code = z.decoder(name, bound)
    if not stage then
      self:close()
      return nil, message, code
    end
    self[#self + 1] = stage
  end
  return self
end

-- ---- encoding ----

--- An encoder: feed(bytes), flush(bytes) (so that the receiver has all of it),
-- finish(bytes), close(); each returns bytes. `level` is 1 to 9.
function M.encoder(name, level)
  name = plain_name(name)
  if name == "identity" then return new_identity(nil, true) end
  if name ~= "gzip" and name ~= "deflate" then
    return fail("coding", ("'%s' is not written"):format(name:sub(1, 40):gsub("[^\x21-\x7e]", "?")), "ENOTSUP")
  end
  local z, why = zcore()
  if not z then return fail(name, why, "ENOTSUP") end
  return z.encoder(name, level)
end

-- ---- which ----

local accepted

--- What Accept-Encoding says: the codings that can be decoded, or "identity".
function M.accept()
  if not accepted then
    local z, list = zcore(), {}
    for _, name in ipairs(NAMES) do
      if z and z.decodes[name] then list[#list + 1] = name end
    end
    accepted = list[1] and table.concat(list, ", ") or "identity"
  end
  return accepted
end

-- What an Accept-Encoding says: by name, thousandths. Malformed items count for
-- nothing.
local function qualities(field)
  local found = {}
  for _, item in ipairs(words.list(field) or {}) do
    local name, rest = item:match "^([^; \t]+)[ \t]*(.*)$"
    local q = rest == "" and 1000 or words.quality(rest:match "^;[ \t]*[qQ]=([0-9.]+)$" or "")
    if name and q and words.is_token(name) then
      name = plain_name(name)
      found[name] = math.max(found[name] or 0, q)
    end
  end
  return found
end

--- The codings that a server can write, best first.
function M.offers() return zcore() and { "gzip", "deflate" } or {} end

--- The coding that a server answers with: of those it offers, the one that the
-- client likes best, and of equals the first; "identity" where the client
-- names none of them. Nil when it refuses even that (406, or answer anyway).
-- `field` is its Accept-Encoding, or nil; `offered` is offers() unless given.
function M.choose(field, offered)
  if not field then return "identity" end
  offered = offered or M.offers()
  local q = qualities(field)
  local best, most = nil, 0
  for _, name in ipairs(offered) do
    local likes = q[name] or name ~= "identity" and q["*"] or 0
    if likes > most then best, most = name, likes end
  end
  local plain = q.identity or not best and (q["*"] or 1000) or 0
  if plain > most then return "identity" end
  return best
end

return M
