--- HTTP/1.1 messages: rows of good and bad ones, in every split; headers;
-- what is written; chunks; WebSocket frames.
local helper <const> = require "support.helper"
local core <const> = require "neap.httpcore"
local message <const> = require "neap.http.message"

local rows <const> = dofile "spec/fixtures/http_messages.lua"

local function list_of(headers)
  local list = {}
  for name, value in pairs(headers) do
    list[#list + 1], list[#list + 2] = name, value
  end
  return list
end

-- What a message is, but for its headers, which become a list.
local function flat(m)
  local copy = {}
  for key, value in pairs(m) do copy[key] = value end
  copy.headers = list_of(m.headers)
  return copy
end

-- Feeds the bytes in pieces that end at these positions; the results of the
-- call that decided, or false; and the position of the end in all of them.
local function feed(parser, bytes, ends, method)
  local from = 1
  for i = 1, #ends + 1 do
    local to = ends[i] or #bytes
    local results = table.pack(parser:feed(bytes:sub(from, to), 1, method))
    if results[1] ~= false then
      if results[1] then results[2] = results[2] + from - 1 end
      return results
    end
    from = to + 1
  end
  return { false }
end

local function each(n)
  local ends = {}
  for i = 1, n - 1 do ends[i] = i end
  return ends
end

-- The splits that are tried: byte by byte, and at every place, or at some of
-- a long one; at few where the collector never rests.
local RESTLESS <const> = (os.getenv "GC" or "") ~= ""
local LONG <const> = RESTLESS and 200 or 3000

local function splits(bytes)
  local n = #bytes
  local long = n > LONG
  local list = { long and { 1, 2, 3, n - 3, n - 2, n - 1 } or each(n) }
  local step = long and n // (RESTLESS and 2 or 10) or RESTLESS and 19 or 1
  for at = 1, n - 1, step do list[#list + 1] = { at } end
  return list
end

local function parser_of(kind)
  return kind == "request" and message.request_parser() or message.response_parser()
end

local function describe_row(i, bytes) return ("#%d %q"):format(i, bytes:sub(1, 60)) end

local function check_good(kind, row, name)
  local bytes, want, fields, method = row[1], row[2], row[3], row[4]
  local whole = feed(parser_of(kind), bytes .. "rest", {}, method)
  assert.is_truthy(whole[1], name .. ": " .. tostring(whole[2]))
  assert.equal(#bytes + 1, whole[2], name)
  for key, value in pairs(want) do assert.equal(value, whole[1][key] or false, name .. " " .. key) end
  for key, value in pairs(fields or {}) do
    if type(key) == "string" then assert.equal(value, whole[1].headers:get(key), name) end
  end
  if fields and fields[1] then assert.same(fields, list_of(whole[1].headers), name) end
  local same = flat(whole[1])
  for _, ends in ipairs(splits(bytes)) do
    local got = feed(parser_of(kind), bytes, ends, method)
    assert.same(same, flat(assert(got[1], name)), name)
    assert.equal(#bytes + 1, got[2], name)
  end
end

local function check_bad(kind, row, name)
  local bytes, status, why = row[1], row[2], row[3] or ""
  local whole = feed(parser_of(kind), bytes, {})
  assert.is_nil(whole[1], name .. ": it was taken")
  assert.equal(status, whole[4], name .. ": " .. tostring(whole[2]))
  assert.is_truthy(whole[2]:find(why, 1, true), name .. ": " .. whole[2])
  assert.is_truthy(whole[2]:find("^bad " .. kind .. ": "), whole[2])
  for _, ends in ipairs(splits(bytes)) do
    local got = feed(parser_of(kind), bytes, ends)
    assert.is_nil(got[1], name)
    assert.same({ whole[2], whole[3], whole[4] }, { got[2], got[3], got[4] }, name)
  end
end

describe("heads of messages", function()
  it("are refused as the RFC says, however they are split: requests", function()
    assert.is_true(#rows.bad_requests >= 150)
    for i, row in ipairs(rows.bad_requests) do check_bad("request", row, describe_row(i, row[1])) end
  end)

  it("are refused as the RFC says, however they are split: responses", function()
    assert.is_true(#rows.bad_responses >= 60)
    for i, row in ipairs(rows.bad_responses) do check_bad("response", row, describe_row(i, row[1])) end
  end)

  it("are taken, however they are split: requests", function()
    for i, row in ipairs(rows.good_requests) do check_good("request", row, describe_row(i, row[1])) end
  end)

  it("are taken, however they are split: responses", function()
    for i, row in ipairs(rows.good_responses) do check_good("response", row, describe_row(i, row[1])) end
  end)

  it("have a code for each kind of failure", function()
    local function code(text) return select(3, message.parse_request(text .. "\r\nHost: a\r\n\r\n")) end
    assert.equal("EBADMSG", code "GET /")
    assert.equal("EMSGSIZE", code("GET /" .. ("a"):rep(9000) .. " HTTP/1.1"))
    assert.equal("EPROTONOSUPPORT", code "GET / HTTP/2.0")
    assert.fails("EBADMSG", message.parse_request "GET / HTTP/1.1\r\nHost: a\r\n")
    assert.fails("EBADMSG", message.parse_response "HTTP/1.1 200 OK\r\n")
  end)

  it("follow each other in the bytes of one call", function()
    local one = "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    local bytes, at, parser = "", 1, message.request_parser()
    for i = 1, 100 do bytes = bytes .. one:format(i) end
    for i = 1, 100 do
      local request, body = parser:feed(bytes, at)
      assert.equal("/" .. i, request.target)
      assert.equal("abc", bytes:sub(body, body + request.length - 1))
      at = body + request.length
    end
    assert.is_false((parser:feed(bytes, at)))
    assert.equal(0, parser:pending())
  end)

  it("keep no more than a head's limit, and go on after one that was split", function()
    local parser = message.request_parser { head = 100 }
    assert.is_false(parser:feed "GET / HTTP/1.1\r\nX: ")
    assert.equal(19, parser:pending())
    local _, _, _, status = parser:feed(("y"):rep(1000000))
    assert.equal(431, status)
    assert.equal(431, (select(4, parser:feed "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))) -- it stays so
    parser = message.request_parser()
    for i = 1, 3 do
      assert.is_false(parser:feed("GET /" .. i .. " HTTP/1.1\r\nHo"))
      local request, at = parser:feed("st: a\r\n\r\nbody")
      assert.equal("/" .. i, request.target)
      assert.equal(10, at)
      assert.equal(0, parser:pending())
    end
  end)

  it("have limits that can be set, and their options are checked", function()
    local bytes = "GET /abc HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
    assert.is_truthy(message.parse_request(bytes, { head = #bytes, fields = 2, target = 4 }))
    assert.equal(431, (select(4, message.parse_request(bytes, { head = #bytes - 1 }))))
    assert.equal(431, (select(4, message.parse_request(bytes, { fields = 1 }))))
    assert.equal(414, (select(4, message.parse_request(bytes, { target = 3 }))))
    assert.raises("unknown option 'heads'", message.request_parser, { heads = 1 })
    assert.raises("unknown option 'target'", message.response_parser, { target = 1 })
    assert.raises("option 'fields' must be", message.request_parser, { fields = 0 })
    assert.raises("bad argument #1 (string expected, got nil)", message.parse_request)
    assert.raises("position in the bytes", function() message.request_parser():feed("GET", 5) end)
    assert.raises("neap.parser expected", function() message.request_parser().feed {} end)
  end)

  it("may have more fields than are usual", function()
    local fields = {}
    for i = 1, 900 do fields[i] = ("X-%d: %d\r\n"):format(i, i) end
    local bytes = "GET / HTTP/1.1\r\nHost: a\r\n" .. table.concat(fields) .. "\r\n"
    for _, ends in ipairs { {}, { 1000 }, { #bytes - 1 } } do
      local request = feed(message.request_parser(), bytes, ends)[1]
      assert.equal(901, #request.headers)
      assert.equal("900", request.headers:get "x-900")
    end
  end)

  it("are made with a metatable that is given", function()
    local class = { __index = { kind = "mine" } }
    assert.equal("mine", message.request_parser(nil, class):feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n").kind)
  end)

  it("cost no more when they come byte by byte", function()
    local bytes = "GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("y"):rep(60000)
    local parser, began = message.request_parser(), os.clock()
    for i = 1, #bytes do assert(parser:feed(bytes:sub(i, i)) == false) end
    assert.is_true(os.clock() - began < 1 * helper.slow)
  end)

  it("say whom they are for, and the path", function()
    local function parts(line)
      local r = assert(message.parse_request(line .. " HTTP/1.1\r\nHost: a:1\r\n\r\n"))
      return { message.host(r), message.path(r) }
    end
    assert.same({ "a:1", "/" }, parts "GET /")
    assert.same({ "a:1", "/b", "c?d" }, parts "GET /b?c?d")
    assert.same({ "a:1", "/b", "" }, parts "GET /b?")
    assert.same({ "b:2", "/c", "d" }, parts "GET http://b:2/c?d")
    assert.same({ "b", "/", "d" }, parts "GET http://b?d")
    assert.same({ "b", "/" }, parts "GET http://b")
    assert.same({ "b", "*" }, parts "OPTIONS http://b")
    assert.same({ "a:1", "*" }, parts "OPTIONS *")
    assert.same({ "b:3", "" }, parts "CONNECT b:3")
    assert.equal("", message.host(message.parse_request "GET / HTTP/1.0\r\n\r\n"))
  end)
end)

describe("headers", function()
  local function parsed(text)
    return assert(message.parse_response("HTTP/1.1 200 OK\r\n" .. text .. "\r\n\r\n")).headers
  end

  it("are found in any case, joined, and kept apart where they must be", function()
    local h = parsed "Accept: a\r\nX-Y: 1\r\nACCEPT: b, c\r\nx-y: 2\r\nSet-Cookie: d\r\nset-cookie: e\r\nX-y:"
    assert.equal("a, b, c", h:get "accept")
    assert.equal("a, b, c", h:get "aCCept")
    assert.equal("1, 2, ", h:get "x-Y")
    assert.equal("d", h:get "set-cookie")
    assert.same({ "d", "e" }, h:getall "Set-Cookie")
    assert.same({ "1", "2", "" }, h:getall "x-y")
    assert.same({}, h:getall "none")
    assert.is_nil(h:get "none")
    assert.is_nil(h:get "")
    assert.is_true(h:has "ACCEPT")
    assert.is_false(h:has "accep")
    assert.equal(7, #h)
    assert.equal("a; b", parsed("Cookie: a\r\nCookie: b"):get "cookie")
    assert.equal("accept a x-y 1 accept b, c x-y 2 set-cookie d set-cookie e x-y ", table.concat(list_of(h), " "))
  end)

  it("know the tokens of a list", function()
    local h = parsed "Connection: Keep-Alive , Upgrade\r\nConnection: ,x"
    for _, token in ipairs { "keep-alive", "UPGRADE", "X" } do assert.is_true(h:has("connection", token)) end
    for _, token in ipairs { "keep", "alive", "", "up grade", "Keep-Alive , Upgrade" } do
      assert.is_false(h:has("connection", token))
    end
    assert.is_false(h:has("upgrade", "x"))
  end)

  it("are changed, and stay in order", function()
    local h = parsed "A: 1\r\nB: 2\r\nA: 3\r\nContent-Length: 4"
    assert.equal(h, h:set("a", 5))
    assert.same({ "a", "5", "b", "2", "content-length", "4" }, list_of(h))
    h:add("C", " trimmed\t"):add("b", "")
    assert.same({ "a", "5", "b", "2", "content-length", "4", "c", "trimmed", "b", "" }, list_of(h))
    assert.is_true(h:remove "B")
    assert.is_false(h:remove "B")
    h:set("content-length", 0):set("New", "x")
    assert.same({ "a", "5", "content-length", "0", "c", "trimmed", "new", "x" }, list_of(h))
    assert.equal("A: 5\r\nContent-Length: 0\r\nC: trimmed\r\nNew: x\r\n", tostring(h))
    for i = 1, 2000 do h:set("x-" .. i % 50, ("v"):rep(i % 300)) end
    assert.equal(54, #h)
    assert.equal(("v"):rep(1999 % 300), h:get "X-49")
    assert.equal("5", h:get "a")
  end)

  it("are made of tables and of others", function()
    local h = message.headers { { "B", "1" }, { "a", 2 }, { "B", { "3", "4" } } }
    assert.same({ "b", "1", "a", "2", "b", "3", "b", "4" }, list_of(h))
    assert.same({ "x", "y" }, list_of(message.headers { X = "y" }))
    assert.same({ "1", "2" }, message.headers({ X = { "1", "2" } }):getall "x")
    local copy = message.headers(h)
    copy:set("b", "5")
    assert.equal("1, 3, 4", h:get "b")
    assert.equal(0, #message.headers())
  end)

  it("refuse what would be another line, and bad names", function()
    local h = message.headers()
    for _, value in ipairs { "a\rb", "a\nb", "a\r\nX: y", "a\0b", "\r", "a\x7f", "\x01" } do
      for _, method in ipairs { "add", "set" } do
        assert.raises("a control character in its value", h[method], h, "x", value)
      end
      assert.raises("a control character", message.headers, { x = value })
      assert.raises("a control character", message.headers, { { "x", { "a", value } } })
      assert.raises("a control character", message.response_head, 200, { x = value })
      assert.raises("a control character", message.request_head, "GET", "/", { { "x", value } })
      assert.raises("a control character", message.response_head, 200, nil, 0, nil, value)
      assert.raises("a control character", message.response_head, 200, nil, 0, value)
      assert.raises("a control character", message.last_chunk, { x = value })
    end
    for _, name in ipairs { "", "a b", "a:", "a\r\n", "a\0", "\xc3\xa4", "a(b", " a", "a\t" } do
      assert.raises("bad name of a header field", h.add, h, name, "x")
      assert.raises("bad name of a header field", h.set, h, name, "x")
      assert.raises("bad name of a header field", message.response_head, 200, { [name] = "x" })
    end
    assert.equal(0, #h)
    assert.raises("bad header field 'x' (string expected, got boolean)", h.set, h, "x", true)
    assert.raises("string expected, got no value", h.add, h, "x")
    assert.raises("bad header field #1", message.headers, { "x" })
    assert.raises("its name must be a string", message.headers, { { 1, "x" } })
    assert.raises("bad name of a header field", message.headers, { [true] = "x" })
    assert.raises("table or neap.headers expected", message.headers, "X: y")
    assert.raises("table or neap.headers expected", message.headers, io.stdout)
    assert.raises("neap.headers expected, got table", h.get, {}, "x")
  end)

  it("outlive the message, and what changes while they are walked", function()
    local h = parsed "A: 1\r\nB: 2\r\nC: 3"
    local seen = {}
    for name in pairs(h) do
      seen[#seen + 1] = name
      if name == "a" then h:remove "b" end
      if name == "c" then for _ = 1, 100 do h:remove "c" end end
    end
    assert.same({ "a", "c" }, seen)
    collectgarbage()
    assert.equal("1", h:get "a")
  end)
end)

describe("heads that are written", function()
  local function lines(head)
    assert.equal("\r\n\r\n", head:sub(-4))
    local list = {}
    for line in head:sub(1, -3):gmatch "(.-)\r\n" do list[#list + 1] = line end
    return list
  end

  it("are those of requests", function()
    assert.same({ "GET /a?b HTTP/1.1", "Host: c" }, lines(message.request_head("GET", "/a?b", { Host = "c" })))
    assert.same({ "POST / HTTP/1.1", "Host: c", "Content-Length: 12345678901" },
      lines(message.request_head("POST", "/", { Host = "c", ["content-length"] = "9" }, 12345678901)))
    assert.same({ "POST / HTTP/1.1", "Connection: close", "Transfer-Encoding: chunked" },
      lines(message.request_head("POST", "/", nil, "chunked", "close")))
    for _, target in ipairs { "", "/a b", "/a\r\nX: y", "/\0", "/\xe4", "/a#b", "/\t" } do
      assert.raises("bad argument #2", message.request_head, "GET", target)
    end
    for _, method in ipairs { "", "G T", "GET\r\n", "G\0", "G/T" } do
      assert.raises("bad argument #1", message.request_head, method, "/")
    end
  end)

  it("are those of responses, with a date", function()
    local date <const> = message.date()
    assert.equal(29, #date)
    local head = message.response_head(200, { { "X", "y" } }, 5, "keep-alive")
    local got = lines(head)
    assert.is_truthy(table.remove(got):find "^Date: %a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$")
    assert.same({ "HTTP/1.1 200 OK", "X: y", "Connection: keep-alive", "Content-Length: 5" }, got)
    assert.same({ "HTTP/1.1 404 Not Found", "date: x" }, lines(message.response_head(404, { date = "x" })))
    assert.same({ "HTTP/1.1 100 Continue" }, lines(message.response_head(100)))
    assert.same({ "HTTP/1.1 204 No Content", "date: x" },
      lines(message.response_head(204, { { "date", "x" }, { "Connection", "y" }, { "Content-Length", "3" } }, nil, "")))
    assert.equal("HTTP/1.1 299 ", lines(message.response_head(299))[1])
    assert.equal("HTTP/1.1 200 Fine", lines(message.response_head(200, nil, nil, nil, "Fine"))[1])
    for _, status in ipairs { 99, 1000, -200, 0 } do
      assert.raises("bad argument #1", message.response_head, status)
    end
    assert.raises("negative length", message.response_head, 200, nil, -1)
    assert.raises("'chunked' expected", message.response_head, 200, nil, "gzip")
  end)

  it("are framed once, whatever the headers say", function()
    local headers = message.headers {
      { "Content-Length", "1" }, { "transfer-encoding", "chunked" }, { "Connection", "x" }, { "A", "b" },
    }
    local got = lines(message.response_head(200, headers, 7))
    table.remove(got)
    assert.same({ "HTTP/1.1 200 OK", "A: b", "Content-Length: 7" }, got)
  end)

  it("are read again as they were meant", function()
    for _, row in ipairs(rows.good_requests) do
      local r = assert(message.parse_request(row[1]))
      local head = message.request_head(r.method, r.target, r.headers):gsub("HTTP/1.1", "HTTP/" .. r.version, 1)
      assert.same(flat(r), flat(assert(message.parse_request(head))))
    end
  end)

  it("may be long, and leave nothing of each other", function()
    local long = ("y"):rep(200000)
    for _ = 1, 3 do
      assert.is_truthy(message.response_head(200, { { "a", "b" }, { "x", long }, { "c", "d" } }, 1):find(long, 1, true))
      assert.equal("HTTP/1.1 204 No Content\r\nDate: ", message.response_head(204):sub(1, 31))
    end
  end)

  it("date every day rightly", function()
    local seconds = 0
    while seconds < 253402300799 do
      assert.equal(os.date("!%a, %d %b %Y %H:%M:%S GMT", seconds), message.date(seconds))
      seconds = seconds + 86400 * (RESTLESS and 9700 or 97) + 12345
    end
    for _, date in ipairs {
      { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" }, { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
      { 0, "Thu, 01 Jan 1970 00:00:00 GMT" }, { 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
    } do assert.equal(date[2], message.date(date[1])) end
    assert.raises("from 1970 to 9999", message.date, -1)
  end)
end)

-- Decodes in pieces: the data, the position after the body, the decoder; or
-- the failure.
local function decode(bytes, ends)
  local decoder, data, from = message.decoder(), {}, 1
  for i = 1, #ends + 1 do
    local to = ends[i] or #bytes
    local piece, at, code, status = decoder:feed(bytes:sub(from, to))
    if not piece then return nil, at, code, status end
    data[#data + 1] = piece
    if at then return table.concat(data), at + from - 1, decoder end
    from = to + 1
  end
  return false, table.concat(data)
end

describe("chunked bodies", function()
  it("are decoded, however they are split", function()
    for i, row in ipairs(rows.good_chunked) do
      local bytes, name = row[1], describe_row(i, row[1])
      local tries = splits(bytes)
      tries[#tries + 1] = {}
      for _, ends in ipairs(tries) do
        local data, at, decoder = decode(bytes .. "rest", ends)
        assert.equal(row[2], data, name .. ": " .. tostring(at))
        assert.equal(#bytes + 1, at, name)
        assert.same(row[3], decoder:trailers() and list_of(decoder:trailers()), name)
        assert.raises("the body has ended", decoder.feed, decoder, "x")
      end
    end
  end)

  it("are refused when they are malformed, however they are split", function()
    for i, row in ipairs(rows.bad_chunked) do
      local bytes, name = row[1], describe_row(i, row[1])
      local want = table.pack(decode(bytes, {}))
      assert.is_nil(want[1], name .. ": it was taken")
      assert.is_truthy(want[2]:find(row[2], 1, true), name .. ": " .. want[2])
      for _, ends in ipairs(splits(bytes)) do assert.same(want, table.pack(decode(bytes, ends)), name) end
    end
  end)

  it("are not whole before their end", function()
    local bytes = "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"
    for n = 0, #bytes - 1 do assert.is_false((decode(bytes:sub(1, n), {}))) end
    local decoder = message.decoder()
    assert.is_nil((decoder:feed "x"))
    assert.fails("EBADMSG", decoder:feed "5\r\nhello\r\n") -- it stays so
  end)

  it("are encoded", function()
    assert.equal("5\r\nhello\r\n", message.chunk "hello")
    assert.equal("1a2b3c\r\n", message.chunk(0x1a2b3c))
    assert.equal("7fffffffffffffff\r\n", message.chunk(math.maxinteger))
    assert.equal("0\r\n\r\n", message.last_chunk())
    assert.equal("0\r\nX: y\r\n\r\n", message.last_chunk { X = "y", ["Content-Length"] = "5" })
    assert.raises("at least one byte", message.chunk, "")
    assert.raises("at least one byte", message.chunk, 0)
    local all, parts = {}, {}
    for i = 1, 300 do
      all[i] = ("x"):rep(i * 7)
      parts[i] = message.chunk(all[i])
    end
    local data, at = message.decoder():feed(table.concat(parts) .. message.last_chunk())
    assert.equal(table.concat(all), data)
    assert.equal(#table.concat(parts) + 6, at)
  end)
end)

-- ---- WebSocket ----

local KEY <const> = "\x12\x34\x56\x78"

local function deframe(masked, bytes, ends, most, rsv)
  local d, from, list = core.deframer(masked, most or 1000, rsv), 1, {}
  for i = 1, #ends + 1 do
    local piece, at = bytes:sub(from, ends[i] or #bytes), 1
    while true do
      local opcode, payload, fin, next, bits = d:feed(piece, at)
      if opcode == nil then return { failed = payload, code = fin, close = next } end
      if not opcode then break end
      list[#list + 1] = { opcode, payload, fin, bits }
      at = next
    end
    from = (ends[i] or #bytes) + 1
  end
  return list
end

describe("WebSocket frames", function()
  it("are built and taken apart, however they are split", function()
    local frames, bytes, masked = {}, {}, {}
    for _, n in ipairs { 0, 1, 7, 8, 9, 63, 125, 126, 127, 300 } do
      for opcode = 1, 2 do
        frames[#frames + 1] = { opcode, ("ä"):rep(n):sub(1, n // 2 * 2), true, 0 }
      end
    end
    frames[#frames + 1] = { 9, "ping", true, 0 }
    frames[#frames + 1] = { 1, "a\xc3", false, 0 }
    frames[#frames + 1] = { 10, "", true, 0 }
    frames[#frames + 1] = { 0, "\xa4\xf0\x9f", false, 0 }
    frames[#frames + 1] = { 8, "\x03\xe8bye", true, 0 }
    frames[#frames + 1] = { 0, "\x98\x80b", true, 0 }
    for i, f in ipairs(frames) do
      bytes[i] = core.frame(f[1], f[2], f[3])
      masked[i] = core.frame(f[1], f[2], f[3], KEY)
    end
    bytes, masked = table.concat(bytes), table.concat(masked)
    assert.same(frames, deframe(false, bytes, {}))
    assert.same(frames, deframe(true, masked, {}))
    assert.same(frames, deframe(false, bytes, each(#bytes)))
    assert.same(frames, deframe(true, masked, each(#masked)))
    for at = 1, #masked - 1, 3 do assert.same(frames, deframe(true, masked, { at })) end
  end)

  it("have lengths of three kinds", function()
    for _, row in ipairs { { 125, 2 }, { 126, 4 }, { 65535, 4 }, { 65536, 10 } } do
      local payload = ("x"):rep(row[1])
      local frame = core.frame(2, payload)
      assert.equal(row[1] + row[2], #frame)
      assert.same({ { 2, payload, true, 0 } }, deframe(false, frame, { 1, 2, 3, 5, 60, 120 }, 1 << 20))
    end
  end)

  it("are refused by their rules, with the code to close with", function()
    local long = ("x"):rep(126)
    local function plain(first, length, rest) return string.char(first, length) .. (rest or "") end
    for i, row in ipairs {
      { false, plain(0x83, 0), 1002, "opcode" }, { false, plain(0x87, 0), 1002, "opcode" },
      { false, plain(0x8b, 0), 1002, "opcode" }, { false, plain(0x8f, 0), 1002, "opcode" },
      { false, plain(0xc1, 0), 1002, "reserved" }, { false, plain(0xa1, 0), 1002, "reserved" },
      { false, plain(0x91, 0), 1002, "reserved" }, { false, plain(0xc9, 0), 1002, "reserved" },
      { false, plain(0x81, 0x80, KEY), 1002, "with a mask" }, { true, plain(0x81, 0), 1002, "without a mask" },
      { false, plain(0x09, 0), 1002, "control" }, { false, plain(0x08, 0), 1002, "control" },
      { false, plain(0x89, 126, "\0\x7e" .. long), 1002, "control" },
      { false, plain(0x88, 127), 1002, "control" },
      { false, plain(0x80, 0), 1002, "continuation of nothing" },
      { false, plain(0x00, 0), 1002, "continuation of nothing" },
      { false, plain(0x01, 1, "a") .. plain(0x81, 0), 1002, "within a message" },
      { false, plain(0x01, 1, "a") .. plain(0x02, 0), 1002, "within a message" },
      { false, plain(0x82, 126, "\0\x7d" .. long), 1002, "shortest" },
      { false, plain(0x82, 126, "\0\0"), 1002, "shortest" },
      { false, plain(0x82, 127, "\0\0\0\0\0\0\xff\xff"), 1002, "shortest" },
      { false, plain(0x82, 127, "\x80\0\0\0\0\0\0\0"), 1002, "64 bits" },
      { false, plain(0x82, 127, "\x7f\xff\xff\xff\xff\xff\xff\xff"), 1009, "too long" },
      { false, plain(0x82, 126, "\x03\xe9"), 1009, "too long" },
      { false, plain(0x02, 126, "\x03\x20" .. ("x"):rep(800)) .. plain(0x80, 126, "\0\xc9"), 1009, "too long" },
      { false, plain(0x88, 1, "\x03"), 1002, "close frame" },
      { false, plain(0x88, 3, "\x03\xe8\xff"), 1007, "UTF-8" },
      { false, plain(0x88, 3, "\x03\xe8\xc3"), 1007, "UTF-8" },
    } do
      local name = ("#%d %s"):format(i, row[4])
      local got = deframe(row[1], row[2], {})
      assert.equal(row[3], got.close, name)
      assert.is_truthy(got.failed:find(row[4], 1, true), got.failed)
      assert.same(got, deframe(row[1], row[2], each(#row[2])), name)
    end
    local codes = { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999 }
    for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535 } do
      local got = deframe(false, core.frame(8, (">I2"):pack(code)), {})
      assert.equal(1002, got.close)
      assert.is_truthy(got.failed:find("close code", 1, true))
    end
    for _, code in ipairs(codes) do
      assert.same({ { 8, (">I2"):pack(code), true, 0 } }, deframe(false, core.frame(8, (">I2"):pack(code)), {}))
    end
    assert.equal("EMSGSIZE", deframe(false, plain(0x82, 126, "\x03\xe9"), {}).code)
  end)

  it("may have bits of extensions, and then are not checked as text", function()
    local frames = { { 1, "\xff", false, 4 }, { 0, "\xfe", true, 0 }, { 1, "ok", true, 0 } }
    local bytes = core.frame(1, "\xff", false, nil, 4) .. core.frame(0, "\xfe") .. core.frame(1, "ok")
    assert.same(frames, deframe(false, bytes, {}, 100, 4))
    assert.equal(1002, deframe(false, core.frame(0, "", true, nil, 4), {}, 100, 4).close)
    assert.equal(1002, deframe(false, core.frame(1, "", true, nil, 2), {}, 100, 4).close)
    local wrong = core.frame(1, "a", false) .. core.frame(0, "b", true, nil, 4)
    assert.equal(1002, deframe(false, wrong, {}, 100, 4).close)
  end)

  it("carry UTF-8, checked across fragments", function()
    local good = { "", "a", "ä", "€", "😀", "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
      "\u{d7ff}\u{e000}", "\0", ("0123456789ä"):rep(20) }
    local bad = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3a", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe2\x82",
      "\xe2\x82a", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98",
      "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff",
      "12345678\xff", "1234567\xc3" .. "12345678" }
    for _, text in ipairs(good) do
      for at = 0, #text do
        local frames = core.frame(1, text:sub(1, at), false, KEY) .. core.frame(0, text:sub(at + 1), true, KEY)
        local got = deframe(true, frames, each(#frames))
        assert.equal(text, got[1] and got[1][2] .. got[2][2])
        assert.equal(0, core.utf8(text:sub(at + 1), core.utf8(text:sub(1, at))))
      end
    end
    for _, text in ipairs(bad) do
      for at = 0, #text do
        local frames = core.frame(1, text:sub(1, at), false, KEY) .. core.frame(0, text:sub(at + 1), true, KEY)
        assert.equal(1007, deframe(true, frames, {}).close, ("%q"):format(text))
        assert.equal(1007, deframe(true, frames, each(#frames)).close, ("%q"):format(text))
        local state = core.utf8(text:sub(1, at))
        assert.are_not.equal(0, state and core.utf8(text:sub(at + 1), state))
      end
      assert.is_nil(deframe(true, core.frame(2, text, true, KEY), {}).close)
    end
  end)

  it("are not built wrongly", function()
    assert.raises("unknown opcode", core.frame, 3, "")
    assert.raises("unknown opcode", core.frame, 11, "")
    assert.raises("at most 125 bytes", core.frame, 9, ("x"):rep(126))
    assert.raises("at most 125 bytes", core.frame, 9, "", false)
    assert.raises("4 bytes", core.frame, 1, "", true, "abc")
    assert.raises("must be from 0 to 7", core.frame, 1, "", true, nil, 8)
    assert.raises("must be positive", core.deframer, true, 0)
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", core.accept_key "dGhlIHNhbXBsZSBub25jZQ==")
    assert.raises("24 bytes", core.accept_key, "short")
  end)
end)

-- ---- against Node's parser ----

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function unhex(text) return (text:gsub("..", function(c) return string.char(tonumber(c, 16)) end)) end

-- What Node makes of each { kind, bytes }: "refused CODE", or a list.
local function ask_node(list)
  local path, answers = helper.tmpname(), {}
  local file <close> = assert(io.open(path, "wb"))
  for _, row in ipairs(list) do assert(file:write(row[1], " ", hex(row[2]), "\n")) end
  file:close()
  local node <close> = assert(io.popen("node --no-warnings spec/fixtures/http_parse.js <" .. path))
  for line in node:lines() do answers[#answers + 1] = line end
  return answers
end

-- The target or reason, and the fields; of Node's line without the method,
-- which it numbers, and without what it says of the connection.
local function as_node(kind, m)
  local words = { kind == "request" and m.target or m.reason }
  for name, value in pairs(m.headers) do words[#words + 1], words[#words + 2] = name, value end
  return words
end

local function words_of(line)
  local words = {}
  for word in (line .. " "):gmatch "(%x*) " do words[#words + 1] = unhex(word) end
  table.remove(words, 1)
  local keeps = table.remove(words, 2) == "true"
  for i = 2, #words, 2 do words[i] = words[i]:lower() end
  return words, keeps
end

-- Where Node refuses and the RFC does not: methods that it does not know, a
-- tab after a length, lengths that are the same, folded lines, schemes that
-- are not of letters alone, versions behind 1.1.
local stricter <const> = {
  HPE_INVALID_METHOD = true, HPE_INVALID_VERSION = true, HPE_INVALID_URL = true,
  HPE_INVALID_CONTENT_LENGTH = true, HPE_UNEXPECTED_CONTENT_LENGTH = true,
}

-- A byte of the bytes changed, removed, or added.
local function hurt(bytes)
  local at = math.random(#bytes)
  local pieces = { "\r", "\n", " ", "\t", ":", ",", ";", "\0", "\x7f", "\xff", "a", "0", "-", "\r\n", "\r\n ", "/" }
  return bytes:sub(1, at - math.random(0, 1)) .. (math.random(3) > 1 and pieces[math.random(#pieces)] or "")
    .. bytes:sub(at + 1)
end

describe("what is taken", function()
  it("is taken by Node's parser, which reads the same", function()
    helper.need_program "node"
    local list, both = {}, 0
    math.randomseed(5, 5)
    for kind, good in pairs { request = rows.good_requests, response = rows.good_responses } do
      for _, row in ipairs(good) do
        if #row[1] < 4000 and row[4] == nil then
          list[#list + 1] = { kind, row[1] }
          for _ = 1, RESTLESS and 2 or 40 do list[#list + 1] = { kind, hurt(row[1]) } end
        end
      end
    end
    local answers = ask_node(list)
    assert.equal(#list, #answers)
    for i, row in ipairs(list) do
      local m, answer = feed(parser_of(row[1]), row[2], {})[1], answers[i]
      local folded = row[1] == "response" and row[2]:find "\r\n[ \t]"
      if m and not folded and not stricter[answer:match "^refused (.*)" or ""] then
        assert.is_nil(answer:match "^refused.*", ("%q"):format(row[2]))
        local words, keeps = words_of(answer)
        assert.same(as_node(row[1], m), words, ("%q"):format(row[2]))
        -- (it takes a tab after "keep-alive" for a part of it)
        assert.is_truthy(m.close or m.tunnel or keeps or row[2]:find "\t\r\n", ("%q"):format(row[2]))
        both = both + 1
      end
    end
    assert.is_true(both > #list / 10, both .. " of " .. #list)
  end)
end)
