--- Small parts of HTTP: dates, ranges, conditions, media types, server-sent
-- events.
local helper <const> = require "support.helper"
local conditional <const> = require "neap.http.conditional"
local date <const> = require "neap.http.date"
local mime <const> = require "neap.http.mime"
local multipart <const> = require "neap.http.multipart"
local range <const> = require "neap.http.range"
local sse <const> = require "neap.http.sse"

-- ---- dates ----

describe("http.date", function()
  it("reads the three forms and writes one", function()
    local at <const>, text <const> = 784111777, "Sun, 06 Nov 1994 08:49:37 GMT"
    assert.equal(text, date.format(at))
    for _, form in ipairs { text, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994" } do
      assert.equal(at, date.parse(form, 1000000000))
    end
    assert.equal(0, date.parse "Thu, 01 Jan 1970 00:00:00 GMT")
    assert.equal("Fri, 31 Dec 9999 23:59:59 GMT", date.format(1e300))
    assert.equal("Thu, 01 Jan 1970 00:00:00 GMT", date.format(-1))
    assert.equal("Thu, 01 Jan 1970 00:00:01 GMT", date.format(1.9))
  end)

  it("agrees with the system's", function()
    for _ = 1, 3000 // helper.slow do
      local at <const> = math.random(0, 253402300799)
      local text <const> = date.format(at)
      assert.equal(os.date("!%a, %d %b %Y %H:%M:%S GMT", at), text)
      assert.equal(at, date.parse(text))
    end
  end)

  it("takes two digits of a year for the near one", function()
    local function year(two, now)
      return os.date("!%Y", date.parse(("Sunday, 01-Jan-%02d 00:00:00 GMT"):format(two), now))
    end
    local in_2025 <const> = 1750000000
    assert.equal("2025", year(25, in_2025))
    assert.equal("2075", year(75, in_2025))
    assert.equal("1976", year(76, in_2025))
    assert.equal("2000", year(0, in_2025))
    assert.equal("1999", year(99, in_2025))
  end)

  it("takes nothing else", function()
    for _, text in ipairs {
      "", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 6 Nov 1994 08:49:37 GMT",
      "sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT", " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
      "Sunday, 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
      "Sun Nov  6 08:49:37 94",
      "784111777", "Sun, 06 Nov 1994 08:49:37 GMT\0", "Xyz, 06 Nov 1994 08:49:37 GMT",
    } do
      assert.is_nil(date.parse(text), text)
    end
    assert.is_truthy(date.parse "Sun, 29 Feb 2000 08:49:37 GMT")
    assert.is_nil(date.parse "Sun, 29 Feb 1900 08:49:37 GMT")
    assert.is_truthy(date.parse "Sat, 31 Dec 2016 23:59:60 GMT") -- a leap second
  end)
end)

-- ---- ranges ----

-- { { 0, 4 }, ... } or false or nil
local function resolved(...)
  local list <const> = range.resolve(...)
  if not list then return list end
  local out = {}
  for i, one in ipairs(list) do out[i] = { one.first, one.last } end
  return out
end

describe("http.range", function()
  it("resolves what is asked for", function()
    for _, row in ipairs {
      { "bytes=0-4", { { 0, 4 } } }, { "bytes=0-", { { 0, 99 } } }, { "bytes=-1", { { 99, 99 } } },
      { "Bytes=5-5", { { 5, 5 } } },
      { "bytes=90-200", { { 90, 99 } } }, { "bytes=-200", { { 0, 99 } } }, { "bytes=0-0, -1", { { 0, 0 },
      { 99, 99 } } },
      { "bytes= 5-6 ,, 1-2 ", { { 5, 6 }, { 1, 2 } } }, { "bytes=100-", false }, { "bytes=-0", false },
      { "bytes=200-300, 400-", false }, { "bytes=0-1, 200-", { { 0, 1 } } },
      { "bytes=99999999999999999999-", false }, { "bytes=0-99999999999999999999", { { 0, 99 } } },
      { "bytes=000000000000000000000000-1", { { 0, 1 } } }, { "bytes=-99999999999999999999", { { 0, 99 } } },
      -- Ignored: answered with all.
      { "bytes=5-4" }, { "bytes=" }, { "bytes=-" }, { "bytes" }, { "bytes=a-b" }, { "bytes=1" }, { "lines=1-2" },
      { "bytes =1-2" },
      { "bytes=1-2-3" }, { "bytes=0x1-2" }, { "bytes=+1-2" }, { "bytes=1-2;" }, { "bytes=1 - 2" }, { "bytes=0-4, 4-9" },
      { "bytes=0-, 0-, 0-" }, { "" }, { "bytes=1-2\0" }, { "bytes=" .. ("0-0,"):rep(17) },
    } do
      assert.same(row[2], resolved(row[1], 100), row[1])
    end
    assert.is_nil(range.resolve(nil, 100))
    assert.is_nil(range.resolve("bytes=0-", 0))
    assert.is_nil(range.resolve("bytes=0-0,2-2,4-4", 100, 2))
  end)

  it("writes and reads Content-Range", function()
    assert.equal("bytes 0-4/100", range.content(100, 0, 4))
    assert.equal("bytes 0-4/*", range.content(nil, 0, 4))
    assert.equal("bytes */100", range.content(100))
    assert.same({ 0, 4, 100 }, { range.parse_content "bytes 0-4/100" })
    assert.same({ 0, 4 }, { range.parse_content "Bytes  0-4/*" })
    assert.same({ nil, nil, 100 }, { range.parse_content "bytes */100" })
    for _, text in ipairs {
      "", "bytes", "bytes 0-4", "bytes 4-0/9", "bytes 0-100/100", "bytes */*", "bytes 0-/9", "bytes -4/9", "bytes 0-4/",
      "bytes=0-4/9",
      "lines 0-4/9", "bytes 0-4/9/9", "bytes 0-4-5/9", "bytes 0-4/9 ", "bytes *-*/9", "bytes **/9", "bytes 0-4/9*",
    } do
      assert.fails("EBADMSG", range.parse_content(text))
    end
    assert.equal("bytes=5-", range.request(5))
    assert.equal("bytes=5-9", range.request(5, 9))
  end)

  it("makes parts that are read back", function()
    local text <const> = ("0123456789"):rep(10)
    local ranges <const> = range.resolve("bytes=0-4, 50-59, -3", #text)
    local answer <const> = range.multipart(ranges, #text, "text/plain")
    local out = {}
    for i, one in ipairs(ranges) do out[#out + 1] = answer.heads[i] .. text:sub(one.first + 1, one.last + 1) end
    local body = table.concat(out) .. answer.tail
    assert.equal(#body, answer.length)
    local kind, boundary = multipart.content_type(answer.type)
    assert.equal("multipart/byteranges", kind)
    local reader <const> = multipart.reader(boundary, function()
      local piece = body:sub(1, 7)
      body = body:sub(8)
      return piece ~= "" and piece or nil
    end)
    for _, one in ipairs(ranges) do
      local part <const> = assert(reader:next())
      assert.equal(range.content(#text, one.first, one.last), part.fields["content-range"])
      assert.equal("text/plain", part.fields["content-type"])
      assert.equal(text:sub(one.first + 1, one.last + 1), part:text())
    end
    assert.is_nil(reader:next())
  end)
end)

-- ---- conditions ----

describe("http.conditional", function()
  local AT <const> = 784111777
  local THEN <const>, BEFORE <const>, AFTER <const> = date.format(AT), date.format(AT - 1), date.format(AT + 1)
  local NOW <const> = AT + 1000

  it("compares entity tags", function()
    for _, row in ipairs { -- strongly, weakly (RFC 9110, 8.8.3.2)
      { 'W/"1"', 'W/"1"', false, true }, { 'W/"1"', 'W/"2"', false, false }, { 'W/"1"', '"1"', false, true },
      { '"1"', '"1"', true, true }, { '""', '""', true, true }, { "1", "1", false, false },

      { 'w/"1"', 'w/"1"', false, false },
    } do
      assert.equal(row[3], conditional.same(row[1], row[2], true))
      assert.equal(row[4], conditional.same(row[1], row[2], false))
    end
    assert.equal('W/"a"', conditional.etag("a", true))
    assert.raises("entity tag", conditional.etag, 'a"')
    assert.is_truthy(conditional.tag(conditional.file_etag(123, AT + 0.5), 1))
  end)

  it("evaluates in the order of RFC 9110", function()
    local state <const> = { etag = '"v1"', modified = AT + 0.25 }
    local weak <const>, none <const>, bare <const> = { etag = 'W/"v1"' }, { exists = false }, {}
    for i, row in ipairs { -- method, fields, state, outcome
      { "GET", {}, state }, { "GET", {}, none },
      { "GET", { if_match = '"v1"' }, state }, { "GET", { if_match = '"v2"' }, state, 412 },
      { "PUT", { if_match = "*" }, state },
      { "PUT", { if_match = "*" }, none, 412 }, { "PUT", { if_match = '"v1"' }, none, 412 },
      { "PUT", { if_match = '"v1"' }, weak, 412 },
      { "PUT", { if_match = 'W/"v1"' }, state, 412 }, { "PUT", { if_match = '"a" , "v1"' }, state },
      { "PUT", { if_match = '"v1"' }, bare, 412 },
      { "PUT", { if_match = "v1" }, state, 412 }, { "PUT", { if_match = '"a,b", "v1"' }, state },
      { "PUT", { if_match = '"v1" x' }, state },
      { "PUT", { if_match = "" }, state, 412 }, { "PUT", { if_match = '"a""v1"' }, state, 412 },
      { "GET", { if_unmodified_since = THEN }, state }, { "GET", { if_unmodified_since = AFTER }, state },
      { "GET", { if_unmodified_since = BEFORE }, state, 412 }, { "GET", { if_unmodified_since = "soon" }, state },
      { "GET", { if_unmodified_since = BEFORE }, bare },
      { "GET", { if_match = '"v1"', if_unmodified_since = BEFORE }, state },
      { "GET", { if_none_match = '"v1"' }, state, 304 }, { "HEAD", { if_none_match = 'W/"v1"' }, state, 304 },
      { "GET", { if_none_match = '"v1"' }, weak, 304 }, { "GET", { if_none_match = '"v2", "v3"' }, state },
      { "PUT", { if_none_match = '"v1"' }, state, 412 }, { "PUT", { if_none_match = "*" }, none },
      { "PUT", { if_none_match = "*" }, state, 412 },
      { "GET", { if_none_match = " * " }, state, 304 }, { "GET", { if_none_match = "junk" }, state },
      { "GET", { if_none_match = '"v1"' }, bare },
      { "GET", { if_modified_since = THEN }, state, 304 }, { "GET", { if_modified_since = AFTER }, state, 304 },
      { "GET", { if_modified_since = BEFORE }, state }, { "HEAD", { if_modified_since = THEN }, state, 304 },
      { "POST", { if_modified_since = THEN }, state }, { "GET", { if_modified_since = "x" }, state },
      { "GET", { if_modified_since = THEN }, bare },
      { "GET", { if_none_match = '"v2"', if_modified_since = THEN }, state }, -- the tag wins
      { "GET", { if_none_match = '"v1"', if_modified_since = BEFORE }, state, 304 },
      { "GET", { if_match = '"v2"', if_none_match = '"v1"' }, state, 412 },
      { "GET", { if_match = '"v1"', if_none_match = '"v1"' }, state, 304 },
      { "GET", { if_unmodified_since = BEFORE, if_none_match = '"v1"' }, state, 412 },
      { "GET", { if_none_match = ('"x",'):rep(300) .. '"v1"' }, state },
    } do
      assert.equal(row[4], (conditional.evaluate(row[1], row[2], row[3], NOW)), "row " .. i)
    end
  end)

  it("says whether a range is to be heeded", function()
    local state <const> = { etag = '"v1"', modified = AT }
    local function heeds(if_range, of, method, now)
      local fields <const> = { range = "bytes=0-1", if_range = if_range }
      return select(2, conditional.evaluate(method or "GET", fields, of or state, now or NOW))
    end
    assert.is_true(heeds())
    assert.is_true(heeds '"v1"')
    assert.is_true(heeds(THEN))
    assert.is_false(heeds '"v2"')
    assert.is_false(heeds 'W/"v1"')
    assert.is_false(heeds('W/"v1"', { etag = 'W/"v1"' }))
    assert.is_false(heeds(AFTER))
    assert.is_false(heeds(BEFORE))
    assert.is_false(heeds "junk")
    assert.is_false(heeds(THEN, nil, nil, AT)) -- too young to be sure of
    assert.is_false(heeds(nil, nil, "HEAD"))
    assert.is_false(heeds('"v1"', {}))
    assert.is_false((select(2, conditional.evaluate("GET", {}, state, NOW))))
  end)
end)

-- ---- media types ----

describe("http.mime", function()
  it("knows the usual ones", function()
    for path, wanted in pairs {
      ["/x/index.html"] = "text/html; charset=utf-8", ["A.JSON"] = "application/json",
      ["x.tar.gz"] = "application/gzip",
      ["a.b/c"] = "application/octet-stream", ["noend."] = "application/octet-stream",
      [""] = "application/octet-stream",
      [".js"] = "text/javascript; charset=utf-8", ["x.svg"] = "image/svg+xml",
      ["x.unknown"] = "application/octet-stream",
    } do
      assert.equal(wanted, mime.type(path), path)
    end
    for kind, wanted in pairs {
      ["text/html; charset=utf-8"] = true, ["application/json"] = true, ["image/svg+xml"] = true, ["image/png"] = false,
      ["application/ld+json"] = true, ["video/mp4"] = false, [""] = false, ["Application/JSON;x=y"] = true,
    } do
      assert.equal(wanted, mime.compresses(kind), kind)
    end
  end)
end)

-- ---- server-sent events ----

-- Every event as "type|data|id".
local function events_of(parser, pieces)
  local out = {}
  for _, piece in ipairs(pieces) do
    for _, event in ipairs(assert(parser:feed(piece))) do
      out[#out + 1] = ("%s|%s|%s"):format(event.type, event.data, event.id)
    end
  end
  return out
end

describe("http.sse", function()
  local STREAM <const> = table.concat({
    "\xef\xbb\xbf: a comment", "", "data: one", "", "event: add", "data: two", "data:three", "data", "id: 7", "",
    "data",
    "", "data:  spaced", "retry: 2500", "retry: x", "id: a\0b", "unknown: x", "nothing", "", "event: lost", "", "id",
    "data: four",
    "event: ", "", "data: never",
  }, "\n")
  local WANTED <const> = {
    "message|one|", "add|two\nthree\n|7", "message||7", "message| spaced|7", "message|four|",
  }

  it("reads every split, with each kind of line end", function()
    for _, ending in ipairs { "\n", "\r", "\r\n" } do
      local text <const> = STREAM:gsub("\n", ending)
      for cut = 0, #text, helper.slow do
        local parser <const> = sse.parser()
        assert.same(WANTED, events_of(parser, { text:sub(1, cut), "", text:sub(cut + 1) }), cut)
        assert.equal(2500, parser.retry)
        assert.equal("", parser.last_id)
      end
      local pieces = {}
      for byte in text:gmatch "." do pieces[#pieces + 1] = byte end
      assert.same(WANTED, events_of(sse.parser(), pieces))
    end
    assert.same({ "message|x|9" }, events_of(sse.parser(nil, "9"), { "data: x\n\n" }))
    assert.same({ "message|\xef\xbb\xbf|" }, events_of(sse.parser(), { "data: \xef\xbb\xbf\n\n" }))
    assert.same({}, events_of(sse.parser(), { "\n\xef\xbb\xbfdata: x\n\n" }))
  end)

  it("has a limit, which comments do not count for", function()
    local parser = sse.parser(100)
    for _ = 1, 100 do assert.same({}, parser:feed ": alive\n") end
    assert.equal(1, #parser:feed("data: " .. ("x"):rep(94) .. "\n\n"))
    assert.fails("EMSGSIZE", parser:feed("data: " .. ("x"):rep(95)))
    assert.fails("EMSGSIZE", parser:feed "\n\n")
    parser = sse.parser(100)
    for _ = 1, 100 do assert(parser:feed "x") end
    assert.fails("EMSGSIZE", parser:feed "x")
    parser = sse.parser(100)
    local fed, code
    for _ = 1, 100 do
      fed, _, code = parser:feed "data: yyyy\n"
      if not fed then break end
    end
    assert.equal("EMSGSIZE", code)
    parser = sse.parser(100)
    assert.equal(1, #assert(parser:feed("data: x\n\n" .. ("x"):rep(101)))) -- what was before is not lost
    assert.fails("EMSGSIZE", parser:feed "")
  end)

  it("writes what it reads", function()
    assert.equal("data: x\n\n", sse.event "x")
    assert.equal("event: add\nid: 7\nretry: 5\ndata: a\ndata: \ndata: b\n\n",
      sse.event { data = "a\r\n\rb", event = "add", id = 7, retry = 5 })
    assert.equal(": \n\n", sse.comment())
    assert.equal(": a\n: b\n\n", sse.comment "a\nb")
    assert.same({ "message||" }, events_of(sse.parser(), { sse.event "" }))
    for _ = 1, 200 // helper.slow do
      local data = {}
      for i = 1, math.random(0, 10) do data[i] = ({ "\n", "x", " ", ":", "data", "\xff", "\0" })[math.random(7)] end
      data = table.concat(data)
      local parser <const> = sse.parser()
      local text <const> = sse.event { data = data, id = "i", event = "e" } .. sse.comment(data)
      assert.same({ "e|" .. data .. "|i" }, events_of(parser, { text }))
    end
    assert.raises("'event'", sse.event, { event = "a\nb" })
    assert.raises("'id'", sse.event, { id = "a\0" })
    assert.raises("'retry'", sse.event, { retry = 1.5 })
    assert.raises("'dat'", sse.event, { dat = "x" })
  end)

  it("never raises, and does not care how it is split", function()
    local parts <const> = { "data", ":", " ", "\r", "\n", "\r\n", "id", "event", "retry", "1", "\0", "x",
    "\xef\xbb\xbf" }
    for _ = 1, 2000 // helper.slow do
      local pieces = {}
      for i = 1, math.random(1, 40) do pieces[i] = parts[math.random(#parts)] end
      assert.same(events_of(sse.parser(), { table.concat(pieces) }), events_of(sse.parser(), pieces))
    end
  end)
end)
