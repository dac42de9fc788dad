--- Forms: urlencoded and multipart, built and read, in every split.
local helper <const> = require "support.helper"
local form <const> = require "neap.http.form"
local multipart <const> = require "neap.http.multipart"

local function gather(body)
  local out = {}
  for bytes in body:chunks() do out[#out + 1] = bytes end
  return table.concat(out)
end

-- A function that gives these pieces one by one.
local function feeder(pieces)
  local i = 0
  return function()
    i = i + 1
    return pieces[i]
  end
end

local function cut(text, n)
  local pieces = {}
  for from = 1, #text, n do pieces[#pieces + 1] = text:sub(from, from + n - 1) end
  return pieces
end

-- All parts as a list of texts, and the failure at the end of it.
local function read_all(kind, pieces, limits)
  local reader = assert(form.reader(kind, feeder(pieces), limits))
  local out = {}
  while true do
    local part, why, code = reader:next()
    if part then
      local text
      text, why, code = part:text()
      out[#out + 1] = ("%s|%s|%s|%s"):format(part.name, tostring(part.filename), part.type, tostring(text))
    end
    if code then
      assert.is_string(why)
      return out, code
    end
    if not part then return out end
  end
end

local KIND <const> = "multipart/form-data; boundary=b"

-- ---- urlencoded ----

describe("form.encode and form.decode", function()
  it("are the form's", function()
    assert.equal("a=1&b=x+y%26%C3%BC", form.encode { { "a", 1 }, { "b", "x y&\xc3\xbc" } })
    local fields <const> = form.decode "a=1&b=x+y%26&a=2&c&=d&&"
    assert.equal("1", fields.a)
    assert.equal("x y&", fields.b)
    assert.equal("", fields.c)
    assert.equal(5, #fields)
    assert.fails("EMSGSIZE", form.decode("a&b&c", 2))
    assert.fails("EMSGSIZE", form.decode(("a&"):rep(1001)))
  end)
end)

-- ---- building ----

describe("form.multipart", function()
  it("says its length and gives so many bytes, as often as is asked", function()
    local path <const> = helper.tmpname ".txt"
    local file <const> = assert(io.open(path, "wb"))
    file:write(("line\r\n"):rep(30000))
    file:close()
    local body <const> = assert(form.multipart {
      { name = "a", value = "1" }, { name = "f", path = path }, { name = "e", value = "" },
      { name = "g", value = "\0\r\n", filename = "x.bin" },
      { name = "h", path = path, filename = "h", type = "image/png" },
    })
    local text <const> = gather(body)
    assert.equal(body.length, #text)
    assert.equal(text, gather(body))
    assert.is_true(body.rewinds)
    for _, n in ipairs { 1, 2, 3, 77, 4096, 1 << 20 } do
      local parts, code = read_all(body.type, cut(text, n))
      assert.is_nil(code)
      local name <const> = path:match "[^/]*$"
      local data <const> = ("line\r\n"):rep(30000)
      assert.same({
        "a|nil|text/plain|1", ("f|%s|text/plain|%s"):format(name, data), "e|nil|text/plain|",
        "g|x.bin|application/octet-stream|\0\r\n", "h|h|image/png|" .. data,
      }, parts)
    end
  end)

  it("writes what browsers write", function()
    local body <const> = assert(form.multipart {
      { name = "a\"\nb\r", value = "v" }, { name = "f", value = "", filename = "\"\r\n\\" },
    })
    assert.equal(("--B\r\nContent-Disposition: form-data; name=\"a%22%0D%0Ab%0D%0A\"\r\n\r\nv\r\n"
      .. "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"%22%0D%0A\\\"\r\n"
      .. "Content-Type: application/octet-stream\r\n\r\n\r\n--B--\r\n"):gsub("B", (body.boundary:gsub("%%", "%%%%"))),
      gather(body))
    local parts <const> = read_all(body.type, { gather(body) })
    assert.same({ "a\"\r\nb\r\n|nil|text/plain|v", "f|\"\r\n\\|application/octet-stream|" }, parts)
  end)

  it("takes a table by names", function()
    local body = assert(form.multipart { b = true, a = "1", c = { value = "x", type = "text/css" } })
    assert.same({ "a|nil|text/plain|1", "b|nil|text/plain|true", "c|nil|text/css|x" },
      (read_all(body.type, { gather(body) })))
    body = assert(form.multipart {})
    assert.equal(#gather(body), body.length)
    assert.same({}, (read_all(body.type, { gather(body) })))
  end)

  it("has no length where a part does not say", function()
    local function body_of(length)
      return assert(form.multipart { { name = "a", chunks = feeder { "x", "", "yz" }, length = length } })
    end
    local body = body_of()
    assert.is_nil(body.length)
    assert.is_false(body.rewinds)
    assert.same({ "a|nil|text/plain|xyz" }, (read_all(body.type, { gather(body) })))
    body = body_of(3)
    assert.equal(#gather(body_of(3)), body.length)
    for _, length in ipairs { 2, 4 } do
      local next_bytes <const> = body_of(length):chunks()
      local bytes, why, code
      repeat bytes, why, code = next_bytes() until not bytes
      assert.is_string(why)
      assert.equal("EINVAL", code)
    end
  end)

  it("fails when a file is not there, or becomes shorter", function()
    assert.fails("ENOENT", form.multipart { { name = "f", path = "/nowhere/at.all" } })
    assert.fails("EISDIR", form.multipart { { name = "f", path = "/" } })
    local path <const> = helper.tmpname()
    local function write(text)
      local file <const> = assert(io.open(path, "wb"))
      file:write(text)
      file:close()
    end
    write(("x"):rep(1000))
    local body <const> = assert(form.multipart { { name = "f", path = path } })
    write "short"
    local read <const> = body:chunks()
    local bytes, why, code
    repeat bytes, why, code = read() until not bytes
    assert.is_string(why)
    assert.equal("EIO", code)
    assert.is_nil(read())
    write(("x"):rep(2000)) -- and no longer than was said
    assert.equal(body.length, #gather(body))
    os.remove(path)
    assert.fails("ENOENT", body:chunks()())
  end)

  it("closes a file that was not read to its end", function()
    local path <const> = helper.tmpname()
    local file <const> = assert(io.open(path, "wb"))
    file:write(("x"):rep(200000))
    file:close()
    local n = 0
    for bytes in assert(form.multipart { { name = "f", path = path } }):chunks() do
      n = n + #bytes
      if n > 1000 then break end
    end
    assert.is_true(n < 200000)
  end)

  it("raises on mistakes", function()
    for _, row in ipairs {
      { { { value = "x" } }, "no name" }, { { { name = "a" } }, "one of" },
      { { { name = "a", value = "", path = "" } }, "one of" },
      { { { name = "a", valu = "" } }, "unknown field 'valu'" },
      { { { name = "a\0", value = "" } }, "control" },
      { { { name = "a", value = "", type = "x\r\ny" } }, "line end" },
      { { { name = "a", value = 1 } }, "must be a string" },
      { { { name = "a", chunks = print, length = -1 } }, "length" }, { { "x" }, "a table expected" },
    } do
      assert.raises(row[2], form.multipart, row[1])
    end
  end)
end)

-- ---- reading ----

local GOOD <const> = table.concat({
  "a preamble", "--b", 'Content-Disposition: form-data; name="one"', "", "1", "--b \t",
  "Content-Type: image/png", 'content-disposition: form-data; name="two"; filename="x.png"', "", "\r\n--bo\r\n-", "--b",
  'Content-Disposition: form-data; name="three"', "", "", "--b--", "an epilogue\r\n--b\r\n",
}, "\r\n")

describe("form.reader", function()
  it("reads every split alike", function()
    local wanted <const> = {
      "one|nil|text/plain|1", "two|x.png|image/png|\r\n--bo\r\n-", "three|nil|text/plain|",
    }
    -- "--bo" is no boundary only if the boundary has more to it.
    local text <const> = GOOD:gsub("%-%-b([\r \t-])", "--bound%1")
    local kind <const> = 'Multipart/Form-Data; charset=utf-8; boundary="bound"'
    for at = 0, #text, helper.slow do
      local parts, code = read_all(kind, { text:sub(1, at), text:sub(at + 1) })
      assert.is_nil(code, at)
      assert.same(wanted, parts)
    end
    for n = 1, 9 do assert.same(wanted, (read_all(kind, cut(text, n)))) end
  end)

  it("takes no more time for blanks than for others", function()
    local part <const> = '--bound\r\nContent-Disposition: form-data; name="a"\r\nX: a' .. (" "):rep(8000)
      .. "b\r\n\r\n1\r\n"
    assert.takes(0, 5 * helper.slow, function()
      local parts <const> = read_all("multipart/form-data; boundary=bound", { part:rep(120) .. "--bound--\r\n" })
      assert.equal(120, #parts)
    end)
  end)

  it("fails where it is malformed, or not whole", function()
    local head <const> = 'Content-Disposition: form-data; name="a"'
    for _, row in ipairs {
      { "", "nothing" }, { "--b--x", "something behind the end" },
      { "--bx\r\n" .. head .. "\r\n\r\nx\r\n--b--", "not its line" },
      { "--b\r\n" .. head .. "\r\n\r\nx", "no boundary at the end" },
      { "--b\r\n" .. head .. "\r\n\r\nx\r\n--b", "no last one" },
      { "--b\r\n" .. head .. "\r\n\r\nx\r\n--b-", "half of it" }, { "--b\r\n" .. head, "ends in a head" },
      { "--b\n" .. head .. "\n\nx\n--b--\n", "bare LF" }, { "--b\r\nbad head\r\n\r\nx\r\n--b--", "no colon" },
      { "--b\r\n" .. head .. "\r\n folded\r\n\r\nx\r\n--b--", "folded" },
      { "--b\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\nx\r\n--b--", "a blank before the colon" },
      { "--b\r\n" .. head .. "\r\n" .. head .. "\r\n\r\nx\r\n--b--", "twice" },
      { "--b\r\nX: y\r\n\r\nx\r\n--b--", "no name" }, { "--b\r\n\r\nx\r\n--b--", "no fields" },
      { "--b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--b--", "another kind" },
      { "--b\r\n" .. head .. "\r\nX: \0\r\n\r\nx\r\n--b--", "a NUL" },
      { "--b\r\n" .. head .. "\r\nX: a\rb\r\n\r\nx\r\n--b--", "CR" },
      { "--b" .. (" "):rep(200) .. "\r\n" .. head .. "\r\n\r\nx\r\n--b--", "too many blanks" },
      { ("x"):rep(5000) .. "\r\n--b\r\n" .. head .. "\r\n\r\nx\r\n--b--", "a long preamble" },
    } do
      for _, n in ipairs { 1, 3, 1 << 20 } do
        local _, code = read_all(KIND, cut(row[1], n))
        assert.equal("EBADMSG", code, row[2])
      end
    end
  end)

  it("takes an end without its line end", function()
    local text <const> = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--'
    for _, ending in ipairs { "", "\r\n", " \t", " \r\n", "\r\nmore" } do
      for n = 1, 5 do assert.same({ "a|nil|text/plain|x" }, (read_all(KIND, cut(text .. ending, n)))) end
    end
  end)

  it("has limits", function()
    local function part(name, data)
      return ('--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'):format(name, data)
    end
    local text <const> = part("a", ("x"):rep(1000)) .. part("b", "") .. part("c", "") .. "--b--"
    for _, n in ipairs { 1, 1 << 20 } do
      local function code_of(limits) return select(2, read_all(KIND, cut(text, n), limits)) end
      assert.is_nil(code_of { max_parts = 3, max_part = 1000, max_head = 50 })
      assert.equal("EMSGSIZE", code_of { max_parts = 2 })
      assert.equal("EMSGSIZE", code_of { max_part = 999 })
      assert.equal("EMSGSIZE", code_of { max_head = 40 })
    end
    local many = { "--b" }
    for i = 1, 40 do many[#many + 1] = ("A%d: b"):format(i) end
    many = table.concat(many, "\r\n") .. "\r\n"
    assert.equal("EMSGSIZE", select(2, read_all(KIND, { many .. "\r\nx\r\n--b--" })))
    local reader <const> = assert(form.reader(KIND, feeder { text }))
    assert.fails("EMSGSIZE", reader:next():text(999))
    assert.fails("EMSGSIZE", reader:next())
    -- A head without an end does not grow for ever.
    local sent = 0
    reader.parts = multipart.reader("b", function()
      sent = sent + 1
      return sent == 1 and "--b\r\n" or "x: yyyyyyyyyyyyyyy\r\n"
    end)
    assert.fails("EMSGSIZE", reader:next())
    assert.is_true(sent < 1000)
  end)

  it("passes over what is not read, and passes a failure on", function()
    local pieces <const> = cut(GOOD:gsub("\r\n%-%-bo\r\n", "data"), 5)
    local reader = assert(form.reader(KIND, feeder(pieces)))
    local first <const> = reader:next()
    assert.equal("two", reader:next().name)
    assert.is_nil(first:read())
    assert.equal("three", reader:next().name)
    assert.is_nil(reader:next())
    assert.is_nil(reader:next())
    local n = 0
    reader = assert(form.reader(KIND, function()
      n = n + 1
      if n > 12 then return nil, "the peer is gone", "ECONNRESET" end
      return pieces[n]
    end))
    local part, why, code
    repeat part, why, code = reader:next() until not part
    assert.equal("the peer is gone", why)
    assert.equal("ECONNRESET", code)
    assert.fails("ECONNRESET", reader:next())
  end)

  it("reads names as browsers and others write them", function()
    for _, row in ipairs {
      { 'form-data; name="a"', "a" }, { 'Form-Data;name="a"', "a" }, { 'form-data; name="a\\"', "a\\" },
      { 'form-data; name="a"; filename="C:\\x\\y.txt"', "a", "C:\\x\\y.txt" },
      { 'form-data; name="a%22b%0d%0A"; filename="%2x%41"', 'a"b\r\n', "%2x%41" },
      { 'form-data; name="a"; filename="q\\"q"', "a", 'q"q' },
      { "form-data; name=a; filename=b.txt", "a", "b.txt" },
      { 'form-data; filename="f"; name="a"', "a", "f" },
      { "form-data; name=\"a\"; filename*=UTF-8''%C3%BC", "a", "\xc3\xbc" },
      { "form-data; name=\"a\"; filename*=utf-8'en'%ff", "a" }, { 'form-data; name="a"; filename=""', "a", "" },
      { "form-data" }, { "form-data; name" }, { 'form-data; name="a' }, { 'attachment; name="a"' }, { "" },
      { 'form-data; name="a"; name="b"' }, { 'form-data; name="a" x' },
    } do
      local name, filename = form.disposition(row[1])
      assert.equal(row[2], name, row[1])
      assert.equal(row[3], filename, row[1])
    end
  end)

  it("knows its type by the field", function()
    for _, field in ipairs {
      "", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b",
      'multipart/form-data; boundary="b ', "multipart/form-data; boundary=" .. ("x"):rep(71),
      "multipart/form-data; boundary=\"a\r\n\"", 'multipart/form-data; boundary="b "',
      "multipart/form-data; boundary=b; boundary=c",
    } do
      assert.fails("EBADMSG", form.reader(field, print))
    end
    assert.is_truthy(form.reader("multipart/form-data;boundary=----WebKitFormBoundaryX", print))
  end)

  it("never raises, whatever the bytes are", function()
    local head <const> = 'Content-Disposition: form-data; name="a"'
    local parts <const> = { "\r\n", "--b", "--b--", "-", "\r", "\n", head, ": ", "x", "\0", " " }
    for _ = 1, 2000 // helper.slow do
      local pieces = {}
      for i = 1, math.random(1, 30) do pieces[i] = parts[math.random(#parts)] end
      if math.random(2) == 1 then table.insert(pieces, 1, "--b\r\n" .. head .. "\r\n\r\n") end
      local whole, code = read_all(KIND, pieces)
      local again, code_again = read_all(KIND, { table.concat(pieces) })
      assert.same(whole, again) -- however it is split
      assert.equal(code, code_again)
    end
  end)
end)
