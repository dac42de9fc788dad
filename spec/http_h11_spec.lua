-- SPDX-License-Identifier: MIT
--- HTTP/1.1 messages beside Python's h11: the rows of http_messages.lua and what
-- becomes of them when they are hurt. Both take the same and read the same, or
-- the difference is a row here.
local helper <const> = require "support.helper"
local message <const> = require "neap.http.message"

local rows <const> = dofile "spec/fixtures/http_messages.lua"

local RESTLESS <const> = (os.getenv "GC" or "") .. (os.getenv "SAN" or "") ~= ""
local PROBE <const> = "/usr/bin/python3 -c 'import h11' 2>/dev/null"

-- What h11 takes and we do not: a part of our reason, a pattern of the bytes if
-- that alone does not tell, and why.
local laxer <const> = {
  { "LF alone", why = "it takes LF for a line's end, as RFC 9112, 2.2 allows" },
  { "malformed Host", why = "it does not look into Host" },
  { "malformed target", why = "any bytes that show are a target" },
  { "must be encoded", why = "any bytes that show are a target" },
  { "malformed host in the target", why = "any bytes that show are a target" },
  { "CONNECT wants a host and a port", why = "any bytes that show are a target" },
  { "CONNECT with a body", why = "CONNECT is a method as others are" },
  { "only HTTP/1.0 and HTTP/1.1", why = "it takes any digits for a version" },
  { "folded", why = "it joins folded lines of a request, too, and of trailers" },
  { "a control character", why = "it refuses NUL and line ends only" },
  { "malformed Content-Length", of = ("%d"):rep(19), why = "its numbers have no end, ours 63 bits" },
  { "malformed Content-Length", of = "5, 5", why = "a list of the same lengths is one, in a request, too" },
  { "malformed Content-Length", of = "\r\n[ \t]", why = "a folded line is joined before it is looked at" },
  { "malformed Transfer-Encoding", of = "\r\n[ \t]", why = "a folded line is joined before it is looked at" },
  { "more than one Content-Length", why = "the same length twice is one, in a request, too" },
  { "Transfer-Encoding and Content-Length", why = "it goes by Transfer-Encoding, as RFC 9112, 6.3 allows" },
  { "no Host", of = "HTTP/1%.[2-9]", why = "RFC 9110, 2.5: a later version is taken for 1.1, which must have one" },
  { "Transfer-Encoding in HTTP/1.0", why = "it is one version's as the other's" },
  { "unknown expectation", why = "it leaves Expect to its caller" },
  { "the method is too long", why = "its only limit is that of a whole head" },
  { "the target is too long", why = "its only limit is that of a whole head" },
  { "too many fields", why = "its only limit is that of a whole head" },
  { "the head is too long", why = "it counts what is not complete yet" },
  { "chunk extensions are too long", why = "it counts what is not complete yet" },
  { "malformed chunk extension", why = "it skips extensions whatever they are" },
  { "a CR without LF", of = "^%x+;", why = "it skips extensions whatever they are" },
  { "malformed chunk size", of = "^%x+[ \t]", why = "it allows blanks behind a size, of servers that put them there" },
  { "the chunk's size is too large", why = "its numbers have no end, ours 63 bits" },
  { "a trailer that belongs into the head", why = "it gives its caller all trailers" },
}

-- What we take and h11 does not: a part of its reason, and why.
local stricter <const> = {
  { "no request line received", why = "RFC 9112, 2.2: an empty line before a request is skipped" },
  { "_SWITCH_UPGRADE", why = "its client must have asked for 101; our parser leaves that to its caller" },
  { "illegal chunk header", of = "^%x+[ \t]+;", why = "RFC 9112, 7.1.1: blanks may stand before an extension" },
}

-- ---- both parsers ----

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function unhex(text) return (text:gsub("..", function(c) return string.char(tonumber(c, 16)) end)) end

local function ask_h11(list)
  local path, answers = helper.tmpname(), {}
  local file <close> = assert(io.open(path, "wb"))
  for _, row in ipairs(list) do assert(file:write(row.kind, " ", row.splits, " ", hex(row.bytes), "\n")) end
  file:close()
  local python <close> = assert(io.popen("LD_PRELOAD= /usr/bin/python3 spec/fixtures/http_h11.py <" .. path))
  for line in python:lines() do answers[#answers + 1] = line end
  return answers
end

local function words_of(line)
  local words = {}
  for word in (line .. " "):gmatch "(%x*) " do words[#words + 1] = unhex(word) end
  return words
end

local function add_fields(words, headers)
  for name, value in pairs(headers or {}) do words[#words + 1], words[#words + 2] = name, value end
  return words
end

-- The words that we read; or nil and why not; or false for what has no end.
local function ours(kind, bytes)
  if kind == "chunked" then
    local decoder = message.decoder()
    local data, at = decoder:feed(bytes)
    if not data then return nil, at end
    return at and add_fields({ data }, decoder:trailers()) or false
  end
  local parser = kind == "request" and message.request_parser() or message.response_parser()
  local m, why = parser:feed(bytes)
  if not m then return m, why end
  return add_fields({ m.method or tostring(m.status), m.target or m.reason, m.version }, m.headers)
end

-- A byte of the bytes changed, removed, or added.
local function hurt(bytes)
  local at = math.random(#bytes)
  local pieces = { "\r", "\n", " ", "\t", ":", ",", ";", "\0", "\x7f", "\xff", "a", "0", "-", "\r\n", "\r\n ", "/" }
  return bytes:sub(1, at - math.random(0, 1)) .. (math.random(3) > 1 and pieces[math.random(#pieces)] or "")
    .. bytes:sub(at + 1)
end

local function messages()
  local list = {}
  math.randomseed(7, 7)
  for _, name in ipairs { "good_requests", "bad_requests", "good_responses", "bad_responses", "good_chunked",
    "bad_chunked" } do
    local kind = name:match "_(%l+)":gsub("s$", "")
    for _, row in ipairs(rows[name]) do
      if not row[4] and #row[1] < 10000 then
        list[#list + 1] = { kind = kind, splits = "all", bytes = row[1] }
        local times = RESTLESS and 1 or name:find "^good" and 24 or 4
        for _ = 1, #row[1] < 400 and times or 0 do
          list[#list + 1] = { kind = kind, splits = "few", bytes = hurt(row[1]) }
        end
      end
    end
  end
  return list
end

-- ---- what differs ----

-- The difference that explains it, or nil; each is counted.
local function explained(by, reason, bytes)
  for _, row in ipairs(by) do
    if reason:find(row[1], 1, true) and (not row.of or bytes:find(row.of)) then
      row.seen = (row.seen or 0) + 1
      return row
    end
  end
end

local HEADS <const> = { authorization = true, ["content-type"] = true }

-- What was read by either, without what is known to differ: h11 gives the coding
-- in lower case, lengths that are the same as one, and folded lines joined by one
-- blank, where we put blanks in place of the line's end; it tells the version as
-- it came, and we what it is taken for; and we leave out of the trailers what is
-- for the head.
local function alike(kind, words, bytes)
  local first, out, has_length = kind == "chunked" and 1 or 3, {}, false
  table.move(words, 1, first, 1, out)
  if first == 3 and out[3]:find "^1%.[2-9]$" then out[3] = "1.1" end
  for i = first + 1, #words, 2 do
    local name, value = words[i], words[i + 1]
    if name == "transfer-encoding" then value = value:lower() end
    if name == "content-length" then value = value:match "^%d+" end
    if bytes:find "\r?\n[ \t]" then value = value:gsub("[ \t]+", " ") end
    local left_out = kind == "chunked" and HEADS[name] or has_length and name == "content-length"
    if not left_out then out[#out + 1], out[#out + 2] = name, value end
    has_length = has_length or name == "content-length"
  end
  return out
end

-- A difference that nothing explains, as text, or nil.
local function difference(row, answer)
  local read, why = ours(row.kind, row.bytes)
  local taken = answer:match "^taken (.*)"
  local shown = ("%s %q"):format(row.kind, row.bytes)
  if answer:find "^split" then return shown .. ": h11: " .. answer end
  if read and taken then
    row.both = true
    local theirs = alike(row.kind, words_of(taken), row.bytes)
    read = alike(row.kind, read, row.bytes)
    for i = 1, math.max(#read, #theirs) do
      if read[i] ~= theirs[i] then
        return ("%s: read as %q and %q"):format(shown, tostring(read[i]), tostring(theirs[i]))
      end
    end
  elseif taken and why and not explained(laxer, why, row.bytes) then
    return ("%s: refused here: %s"):format(shown, why)
  elseif read and not taken and not explained(stricter, answer, row.bytes) then
    return ("%s: refused there: %s"):format(shown, answer)
  elseif read == false and taken then
    return shown .. ": waited for here"
  end
end

describe("messages", function()
  it("are taken, read and refused as by Python's h11, but for what is listed", function()
    helper.need(os.execute(PROBE), "needs /usr/bin/python3 with h11")
    local list, wrong = messages(), {}
    local answers = ask_h11(list)
    assert.equal(#list, #answers)
    local both = 0
    for i, row in ipairs(list) do
      wrong[#wrong + 1] = difference(row, answers[i])
      if row.both then both = both + 1 end
    end
    assert.equal("", table.concat(wrong, "\n"))
    assert.is_true(both > 100, both .. " of " .. #list)
    for _, row in ipairs(RESTLESS and {} or table.move(stricter, 1, #stricter, #laxer + 1, laxer)) do
      assert.is_truthy(row.seen, ("a row that explains nothing: %s: %s"):format(row[1], row.why))
    end
  end)
end)
