--- What every stream promises (DESIGN, "Streams"), run over each kind of it.
local helper <const> = require "support.helper"
local neap <const> = require "neap"

local in_task <const> = helper.in_task
local eventually <const> = helper.eventually

-- Bytes that tell where they are: a loss, a double or a swap shows.
local words <const> = {}
for i = 1, 10000 do words[i] = ("%05x;"):format(i) end
local block <const> = table.concat(words)

local function pattern(n)
  local blocks = {}
  for i = 1, n // #block + 1 do blocks[i] = ("%05d|%s"):format(i, block) end
  return table.concat(blocks):sub(1, n)
end

-- Memory of this process, in bytes.
local function resident()
  local file <close> = assert(io.open "/proc/self/statm")
  local _, pages = file:read("n", "n")
  return math.tointeger(pages) * 4096
end

-- A file with these bytes; its path.
local function file_of(bytes)
  local path = helper.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  return path
end

-- A task that reads all that comes and keeps it; done when the stream ends.
local function collector(stream)
  return neap.spawn(function()
    local parts = {}
    while true do
      local part, _, code = stream:receive()
      if not part then
        assert(code == "EOF", code)
        return table.concat(parts)
      end
      parts[#parts + 1] = part
    end
  end)
end

-- Until the stream has received n bytes more than `from`.
local function arrived(stream, from, n)
  eventually(function() return stream:counters() - from == n end)
end

-- Until the task waits.
local function waiting(task)
  eventually(function() return task:status() == "waiting" end)
end

--- kind: how the suite names it. make_pair(options): two streams; what the
-- first writes the second reads. traits: `oneway` if nothing goes back,
-- `plain` if it is no socket, `secure` if what its descriptor carries is
-- encrypted, `whole` if the end of one direction is that of both, `kept` if the
-- descriptor cannot be given away.
return function(_ENV, kind, make_pair, traits) -- luacheck: ignore 212/_ENV
  traits = traits or {}

  local function with_pair(options, body)
    local a <close>, b = make_pair(options)
    local held <close> = b
    return body(a, b)
  end

  -- A test that gets a pair, in a task.
  local function works(name, options, body)
    if not body then options, body = nil, options end
    it(name, function() in_task(with_pair, options, body) end)
  end

  local function both_ways(...)
    if not traits.oneway then works(...) end
  end

  local function given_away(...)
    if not traits.secure and not traits.kept then works(...) end
  end

  -- A record of an interrupted write leaves with what is sent next.
  local function send_rest(a)
    if traits.secure then neap.spawn({ daemon = true }, a.flush, a) end
  end

  -- No more comes: as a half-close where there is one.
  local function finish(a)
    if traits.plain then assert(a:close()) else assert(a:shutdown "w") end
  end

  describe("reading from " .. kind, function()
    for _, case in ipairs {
      { "plain\n", "plain" },
      { "crlf\r\n", "crlf" },
      { "\n", "" },
      { "\r\n", "" },
      { "a\rb\r\n", "a\rb" },
      { "a\r\r\n", "a\r" },
      { "\ra\n", "\ra" },
      { "a\0b\0\r\n", "a\0b\0" },
      { "\xff\x80\n", "\xff\x80" },
    } do
      works(("takes the line %q without its end"):format(case[1]), function(a, b)
        assert(a:write(case[1], "rest\n"))
        assert.equal(case[2], b:read "l")
        assert.equal("rest", b:read())
      end)

      works(("takes the line %q whole with \"L\""):format(case[1]), function(a, b)
        assert(a:write(case[1], "rest\n"))
        assert.equal(case[1], b:read "L")
        assert.equal("rest\n", b:read "L")
      end)
    end

    for _, format in ipairs { "l", "L" } do
      works(("gives the last line, which nothing ends, to %q"):format(format), function(a, b)
        assert(a:write "first\nlast\r")
        finish(a)
        assert(b:read "l")
        assert.equal("last\r", b:read(format))
        assert.fails("EOF", b:read(format))
        assert.fails("EOF", b:read(format))
      end)
    end

    works("takes formats with a star, as io does", function(a, b)
      assert(a:write "one\ntwo\n")
      assert.equal("one", b:read "*l")
      assert.equal("two\n", b:read "*L")
    end)

    works("gives exactly the count", function(a, b)
      assert(a:write("abc\0defgh"))
      assert.equal("abc\0", b:read(4))
      assert.equal("d", b:read(1))
      assert.equal("efgh", b:read(4.0))
    end)

    works("waits for the whole count", function(a, b)
      local reader = neap.spawn(function() return b:read(6) end)
      for _, part in ipairs { "ab", "cd", "ef" } do
        waiting(reader)
        assert(a:write(part))
        neap.sleep(0.005)
      end
      assert.equal("abcdef", reader:join())
    end)

    works("gives a count far over any buffer", function(a, b)
      local all = pattern(5 * 1024 * 1024)
      local writer = neap.spawn(function() return a:write(all) end)
      assert.is_true(b:read(#all) == all)
      assert.equal(a, writer:join())
    end)

    works("says EOF to every way of reading, each time", function(a, b)
      finish(a)
      for _ = 1, 2 do
        assert.fails("EOF", b:read())
        assert.fails("EOF", b:read "L")
        assert.fails("EOF", b:read(1))
        assert.fails("EOF", b:receive())
        assert.fails("EOF", b:readuntil ";")
        assert.fails("EOF", b:peek(1))
        assert.equal("", b:read "a")
        assert.equal("", b:read(0))
        for _ in b:lines() do error "a line after the end" end
      end
      local _, why = b:read()
      assert.equal("end of stream", why)
    end)

    works("keeps what the end cut short", function(a, b)
      assert(a:write "abc")
      finish(a)
      assert.fails("EOF", b:read(4))
      assert.fails("EOF", b:peek(4))
      assert.fails("EOF", b:readuntil ";")
      assert.equal(3, b:pending())
      assert.equal("ab", b:read(2))
      assert.fails("EOF", b:read(2))
      assert.equal("c", b:receive())
      assert.fails("EOF", b:receive())
    end)

    works("reads nothing at once, whether or not bytes are there", function(a, b)
      assert.equal("", b:read(0))
      assert(a:write "x")
      assert.equal("x", b:read(1))
      assert.equal("", b:read(0))
    end)

    works("reads all up to the end", function(a, b)
      local all = pattern(300000)
      local writer = neap.spawn(function()
        assert(a:write(all:sub(1, 1000)))
        neap.sleep(0.01)
        assert(a:write(all:sub(1001)))
        finish(a)
      end)
      assert.is_true(b:read "a" == all)
      assert.equal("", b:read "a")
      writer:join()
    end)

    works("takes several formats in one read", function(a, b)
      assert(a:write "one\r\ntwo\nabcrest\nall\nof it")
      finish(a)
      assert.same({ "one", "two\n", "", "abc", "rest", "all\nof it" },
        { b:read("l", "L", 0, 3, "l", "a") })
    end)

    works("takes several formats all or none", function(a, b)
      assert(a:write "one\nab")
      b:settimeout(0.02)
      assert.fails("ETIMEDOUT", b:read("l", 4))
      assert.fails("ETIMEDOUT", b:read("l", "l"))
      assert.fails("ETIMEDOUT", b:read("l", "a"))
      assert(a:write "cd")
      assert.same({ "one", "abcd" }, { b:read("l", 4) })
      assert(a:write "x\ny")
      finish(a)
      assert.equal(3, select("#", b:read("l", "l", "l")))
      assert.fails("EOF", b:read("l", "l", "l"))
      assert.fails("EOF", b:read("a", "l"))
      assert.same({ "x", "y" }, { b:read("l", "l") })
    end)

    for _, case in ipairs {
      { { "n" }, "#1" },
      { { "x" }, "#1" },
      { { "" }, "#1" },
      { { -1 }, "#1" },
      { { 1.5 }, "#1" },
      { { {} }, "#1" },
      { { true }, "#1" },
      { { "l", "l", "n" }, "#3" },
    } do
      works(("raises on the format %s, and takes nothing"):format(case[1][#case[1]]), function(a, b)
        assert(a:write "one\ntwo\n")
        assert.raises("bad argument " .. case[2], function() b:read(table.unpack(case[1])) end)
        assert.raises("bad argument " .. case[2], function() b:lines(table.unpack(case[1])) end)
        assert.equal("one", b:read())
      end)
    end

    works("reads a message cut anywhere", function(a, b)
      for _, case in ipairs {
        { "GET / HTTP\r\n", { "l" }, { "GET / HTTP" } },
        { "a\rb\r\r\n", { "l" }, { "a\rb\r" } },
        { "a\rb\r\n", { "L" }, { "a\rb\r\n" } },
        { "\0\r\0\n", { "l" }, { "\0\r\0" } },
        { "head\r\nbody\ntail\n", { "l", 4, "L", "l" }, { "head", "body", "\n", "tail" } },
        { "\r\n\n\r\n", { "l", "l", "l" }, { "", "", "" } },
      } do
        local message <const>, formats <const>, wanted <const> = table.unpack(case)
        for cut = 1, #message - 1 do
          local before = b:counters()
          local reader = neap.spawn(function() return { b:read(table.unpack(formats)) } end)
          assert(a:write(message:sub(1, cut)))
          arrived(b, before, cut)
          assert(a:write(message:sub(cut + 1)))
          assert.same(wanted, reader:join())
          assert.equal(0, b:pending())
        end
      end
    end)

    works("reads what comes a byte at a time", function(a, b)
      local text = "first\r\n\r\nabcd--\0last"
      local writer = neap.spawn(function()
        for byte in text:gmatch "." do
          local before = b:counters()
          assert(a:write(byte))
          arrived(b, before, 1)
        end
        finish(a)
      end)
      assert.equal("first", b:read())
      assert.equal("\r\n", b:read "L")
      assert.equal("abcd--", b:readuntil "--")
      assert.equal("\0l", b:read(2))
      assert.equal("ast", b:read "a")
      writer:join()
    end)

    works("receives what is there, and no more than asked", function(a, b)
      assert(a:write "abcdef")
      assert.equal("ab", b:receive(2))
      assert.equal("cdef", b:receive(100))
      local reader = neap.spawn(function() return b:receive() end)
      waiting(reader)
      assert(a:write "g")
      assert.equal("g", reader:join())
      assert.raises("bad argument #1", function() b:receive(0) end)
      assert.raises("bad argument #1", function() b:receive "many" end)
    end)

    works("looks without taking", function(a, b)
      assert(a:write "abcd\n")
      assert.equal("", b:peek(0))
      assert.equal("ab", b:peek(2))
      assert.equal("abcd", b:peek(4))
      assert.equal("abcd", b:read())
      local reader = neap.spawn(function() return b:peek(3) end)
      waiting(reader)
      assert(a:write "xy")
      neap.sleep(0.005)
      assert(a:write "z")
      assert.equal("xyz", reader:join())
      assert.equal("xyz", b:receive())
      assert.raises("bad argument #1", function() b:peek(-1) end)
    end)

    works("takes back what was read", function(a, b)
      assert.equal(b, b:unread "zero ")
      assert(a:write "one\ntwo\n")
      assert.equal("zero one", b:read())
      assert(b:unread "and ")
      assert(b:unread "")
      assert(b:unread "more\n")
      assert.equal("more", b:read())
      assert.equal("and two\n", b:read "L")
      finish(a)
      assert.fails("EOF", b:read())
      local big = pattern(200000)
      assert(b:unread(big))
      assert.equal(#big, b:pending())
      assert.is_true(b:read "a" == big)
      assert.raises("bad argument #1", function() b:unread() end)
    end)

    works("finds what was given back in front of what was searched", function(a, b)
      assert(a:write "tail")
      b:settimeout(0.01)
      assert.fails("ETIMEDOUT", b:read())
      assert.fails("ETIMEDOUT", b:readuntil ";")
      assert(b:unread "x;y\nz")
      assert.equal("x;", b:readuntil ";")
      assert.equal("y", b:read())
      assert.equal("ztail", b:receive())
    end)

    works("reads up to and with a delimiter, which is no pattern", function(a, b)
      assert(a:write "a%.b%.c.d--e\0f\0\n")
      assert.equal("a%.", b:readuntil "%.")
      assert.equal("b%.", b:readuntil "%.")
      assert.equal("c.d-", b:readuntil "-")
      assert.equal("-e\0f\0\n", b:readuntil "\0\n")
      assert.raises("bad argument #1", function() b:readuntil "" end)
      assert.raises("bad argument #1", function() b:readuntil() end)
      assert.raises("bad argument #2", function() b:readuntil(";", -1) end)
    end)

    works("finds a delimiter cut anywhere", function(a, b)
      for _, case in ipairs {
        { "abcd--", "--" }, { "aaab", "aab" }, { "-a-b-\r-\r\n", "-\r\n" }, { "\0\0\1", "\0\1" }, { "--", "--" },
      } do
        local message <const>, delimiter <const> = table.unpack(case)
        for cut = 1, #message - 1 do
          -- at the limit, too: max counts what comes before the delimiter
          for _, max in ipairs { #message - #delimiter, 100 } do
            local before = b:counters()
            local reader = neap.spawn(function() return b:readuntil(delimiter, max) end)
            assert(a:write(message:sub(1, cut)))
            arrived(b, before, cut)
            assert(a:write(message:sub(cut + 1)))
            assert.equal(message, reader:join())
          end
        end
      end
    end)
  end)

  describe("the limits of " .. kind, function()
    works("bound a line, and lose nothing", { maxline = 8 }, function(a, b)
      assert(a:write "12345678\n1234567\r\n123456789\nrest\n")
      assert.equal("12345678", b:read())
      assert.equal("1234567", b:read())
      for _ = 1, 2 do
        local line, why, code = b:read()
        assert.fails("EMSGSIZE", line, why, code)
        assert.fails("EMSGSIZE", b:read "L")
        assert.fails("EMSGSIZE", b:read("l", "l"))
      end
      assert.equal("123456789", b:read(9))
      assert.equal("", b:read())
      assert.equal("rest\n", b:read "L")
    end)

    works("bound a line that never ends, and what it takes of memory", { maxline = 100000 }, function(a, b)
      local flood = neap.spawn(function()
        local text = ("x"):rep(100000)
        repeat until not a:write(text)
      end)
      assert.fails("EMSGSIZE", b:read())
      assert.fails("EMSGSIZE", b:read())
      assert.is_true(b:pending() > 100000)
      assert.is_true(b:pending() < 400000)
      flood:cancel()
      flood:join()
    end)

    works("bound reading all, and lose nothing", { maxread = 1000 }, function(a, b)
      local all = pattern(1001)
      assert(a:write(all))
      finish(a)
      assert.fails("EMSGSIZE", b:read "a")
      assert.fails("EMSGSIZE", b:read "a")
      assert.equal(all:sub(1, 1), b:read(1))
      assert.equal(all:sub(2), b:read "a")
    end)

    works("bound reading up to a delimiter, and lose nothing", { maxline = 8 }, function(a, b)
      assert(a:write "1234--12345678--123456789--")
      assert.fails("EMSGSIZE", b:readuntil("--", 3))
      assert.equal("1234--", b:readuntil("--", 4))
      assert.equal("12345678--", b:readuntil "--")
      assert.fails("EMSGSIZE", b:readuntil "--")
      assert.equal("123456789--", b:readuntil("--", 9))
      assert(a:write "123456789 and no delimiter")
      assert.fails("EMSGSIZE", b:readuntil "--")
      assert.equal("123456789 and no delimiter", b:receive())
    end)

    works("of 64 KiB hold for a line when nothing else is said", function(a, b)
      local longest = ("x"):rep(65536)
      local writer = neap.spawn(function() assert(a:write(longest, "\n", longest, "y\n")) end)
      assert.equal(65536, #b:read())
      assert.fails("EMSGSIZE", b:read())
      assert.equal(65538, #b:read(65538))
      writer:join()
    end)
  end)

  describe("the timeout of " .. kind, function()
    works("loses no byte, time after time", function(a, b)
      assert.equal(b, b:settimeout(0.02))
      assert.equal(0.02, b:gettimeout())
      assert(a:write "ab")
      local _, why = assert.takes(0.015, 1, b.read, b, 4)
      assert.matches("read.*timed out", why)
      assert.fails("ETIMEDOUT", b:read(4))
      assert.fails("ETIMEDOUT", b:read())
      assert.fails("ETIMEDOUT", b:read "a")
      assert.fails("ETIMEDOUT", b:readuntil "b;")
      assert.fails("ETIMEDOUT", b:peek(3))
      assert(a:write "cd")
      assert.equal("abcd", b:read(4))
      assert.fails("ETIMEDOUT", b:receive())
    end)

    works("is for each call, and nil means none", function(a, b)
      b:settimeout(0.1 * helper.slow)
      for _ = 1, 3 do
        local writer = neap.spawn(function()
          neap.sleep(0.05 * helper.slow)
          assert(a:write "x")
        end)
        assert.equal("x", b:read(1))
        writer:join()
      end
      assert.equal(b, b:settimeout(nil))
      assert.is_nil(b:gettimeout())
      local reader = neap.spawn(function() return b:read(1) end)
      neap.sleep(0.1)
      assert.equal("waiting", reader:status())
      assert(a:write "y")
      assert.equal("y", reader:join())
    end)

    works("of the options holds from the start", { timeout = 0.02 }, function(_, b)
      assert.equal(0.02, b:gettimeout())
      assert.takes(0.015, 1, function() assert.fails("ETIMEDOUT", b:read(1)) end)
    end)

    works("of nothing tries once", function(a, b)
      b:settimeout(0)
      assert.takes(0, 0.05, function() assert.fails("ETIMEDOUT", b:read(1)) end)
      assert(a:write "abc")
      local got
      eventually(function()
        got = b:read(2)
        return got
      end)
      assert.equal("ab", got)
      assert.equal("c", b:receive())
      a:settimeout(0)
      assert.equal(a, a:write "x")
    end)

    works("must be seconds", function(a)
      for _, wrong in ipairs { -1, 0 / 0, "soon", {}, true } do
        assert.raises("bad argument #1", function() a:settimeout(wrong) end)
      end
      assert.is_nil(a:gettimeout())
    end)

    it("holds outside of any task, too", function()
      with_pair(nil, function(a, b)
        b:settimeout(0.02)
        assert(a:write "ab")
        assert.fails("ETIMEDOUT", b:read(4))
        assert(a:write "cd")
        assert.equal("abcd", b:read(4))
      end)
    end)
  end)

  describe("lines of " .. kind, function()
    works("end where the stream ends", function(a, b)
      assert(a:write "one\r\n\ntwo\nlast")
      finish(a)
      local lines = {}
      for line in b:lines() do lines[#lines + 1] = line end
      assert.same({ "one", "", "two", "last" }, lines)
    end)

    works("take formats", function(a, b)
      assert(a:write "a\nbcd\nefgh\nij")
      finish(a)
      local got = {}
      assert.equal("a\n", b:lines "L"())
      assert.same({ "bcd", "ef" }, { b:lines("l", 2)() })
      for two in b:lines(2) do got[#got + 1] = two end
      assert.same({ "gh", "\ni" }, got)
      assert.equal("j", b:read "a")
    end)

    works("of a long text come whole and in order", function(a, b)
      local writer = neap.spawn(function()
        a:setvbuf "full"
        for i = 1, 20000 do assert(a:write("line ", i, "\n")) end
        finish(a)
      end)
      local i = 0
      for line in b:lines() do
        i = i + 1
        if line ~= "line " .. i then error(("line %d is %q"):format(i, line)) end
      end
      assert.equal(20000, i)
      writer:join()
    end)

    works("raise when the stream fails, and lose nothing", { maxline = 8 }, function(a, b)
      assert(a:write "short\nab")
      b:settimeout(0.02)
      local got = {}
      assert.raises("timed out", function()
        for line in b:lines() do got[#got + 1] = line end
      end)
      assert.same({ "short" }, got)
      assert(a:write "c\nmuch too long\n")
      local next_line = b:lines()
      assert.equal("abc", next_line())
      assert.raises("", next_line)
      assert.equal("much too long", b:readuntil("\n", 100):sub(1, -2))
      b:close()
      assert.raises("closed", next_line)
    end)
  end)

  describe("one reader of " .. kind, function()
    for name, read in pairs {
      read = function(s) return s:read() end,
      receive = function(s) return s:receive() end,
      readuntil = function(s) return s:readuntil ";" end,
      peek = function(s) return s:peek(1) end,
    } do
      works(("keeps a second that would %s out"):format(name), function(a, b)
        local first = neap.spawn(function() return b:read() end)
        waiting(first)
        local second = neap.spawn(function()
          local before = neap.now()
          local value, why, code = read(b)
          return value, why, code, neap.now() - before
        end)
        local value, why, code, took = second:join()
        assert.fails("EBUSY", value, why, code)
        assert.matches("another task is reading", why)
        assert.is_true(took < 1)
        assert(a:write "for the first\n")
        assert.equal("for the first", first:join())
        assert(a:write ";\n")
        assert.truthy(read(b))
      end)
    end

    works("keeps a second one's lines out", function(a, b)
      local first = neap.spawn(function() return b:read() end)
      waiting(first)
      neap.spawn(function()
        assert.raises("another task is reading", b:lines())
      end):join()
      assert(a:write "x\n")
      assert.equal("x", first:join())
    end)

    both_ways("does not hold up a writer", function(a, b)
      local reader = neap.spawn(function() return b:read(1) end)
      waiting(reader)
      assert(b:write "to a")
      assert.equal("to a", a:read(4))
      assert(a:write "x")
      assert.equal("x", reader:join())
    end)
  end)

  describe("writing to " .. kind, function()
    works("sends strings and numbers, as io does", function(a, b)
      assert.equal(a, a:write("s", 1, " ", -2, " ", 2.5, " ", 3.0, " ", math.maxinteger, " ", 1e100, "\n"))
      assert.equal(("s1 -2 2.5 3.0 %d 1e+100"):format(math.maxinteger), b:read())
      assert(a:write(7))
      assert.equal("7", b:read(1))
    end)

    works("sends many arguments in their order", function(a, b)
      local parts = {}
      for i = 1, 240 do parts[i] = i % 3 == 0 and i or i % 3 == 1 and ("<%d>"):format(i) or "" end
      assert(a:write(table.unpack(parts)))
      assert.equal(table.concat(parts), b:read(#table.concat(parts)))
      local big = {}
      for i = 1, 100 do big[i] = string.char(i):rep(20000 + i) end
      local all = table.concat(big)
      local writer = neap.spawn(function() return a:write(table.unpack(big)) end)
      assert.is_true(b:read(#all) == all)
      assert.equal(a, writer:join())
    end)

    works("sends nothing when there is nothing", function(a, b)
      assert.equal(a, a:write())
      assert.equal(a, a:write "")
      assert.equal(a, a:write("", "", ""))
      assert.equal(0, (select(2, a:counters())))
      b:settimeout(0.01)
      assert.fails("ETIMEDOUT", b:receive())
    end)

    for _, case in ipairs {
      { { nil, n = 1 }, "#1" }, { { true, n = 1 }, "#1" }, { { {}, n = 1 }, "#1" },
      { { "a", 2, print, n = 3 }, "#3" }, { { "a", nil, "b", n = 3 }, "#2" }, { { "a", nil, n = 2 }, "#2" },
    } do
      works(("raises when argument %s is no string, and sends nothing"):format(case[2]), function(a)
        assert.raises("bad argument " .. case[2], function() a:write(table.unpack(case[1], 1, case[1].n)) end)
        assert.raises("string or number expected", function() a:write(table.unpack(case[1], 1, case[1].n)) end)
        assert.equal(0, (select(2, a:counters())))
      end)
    end

    works("counts bytes in and out, also once it is closed", function(a, b)
      assert.same({ 0, 0 }, { a:counters() })
      assert(a:write "12345")
      assert.equal("123", b:read(3))
      assert.same({ 0, 5 }, { a:counters() })
      assert.same({ 5, 0 }, { b:counters() })
      assert.equal(2, b:pending())
      a:close()
      b:close()
      assert.same({ 0, 5 }, { a:counters() })
      assert.same({ 5, 0 }, { b:counters() })
    end)

    works("keeps each write whole when several tasks write", function(a, b)
      local COUNT <const>, SIZE <const> = 6, 150000
      local group <close> = neap.group()
      for i = 1, COUNT do
        group:spawn(function()
          local letter = string.char(64 + i)
          for _ = 1, 2 do assert(a:write(letter:rep(SIZE), letter:rep(SIZE), letter)) end
        end)
      end
      local seen = {}
      for _ = 1, COUNT * 2 do
        local letter = b:peek(1)
        local message = b:read(2 * SIZE + 1)
        assert.is_true(message == letter:rep(2 * SIZE + 1))
        seen[letter] = (seen[letter] or 0) + 1
      end
      group:wait()
      for i = 1, COUNT do assert.equal(2, seen[string.char(64 + i)]) end
    end)

    works("to a peer that never reads stops, in bounded memory, and tells what was taken", function(a, b)
      local all = pattern(16 * 1024 * 1024)
      a:settimeout(0.1)
      collectgarbage()
      local before = resident()
      local value, why, code, taken = a:write(all)
      assert.fails("ETIMEDOUT", value, why, code)
      assert.matches("write.*timed out", why)
      assert.is_true(resident() - before < 4 * 1024 * 1024)
      assert.equal("integer", math.type(taken))
      assert.is_true(taken > 0 and taken < #all)
      assert.equal(taken, (select(2, a:counters())))
      local v2, w2, c2, none = a:write "not a byte"
      assert.fails("ETIMEDOUT", v2, w2, c2)
      assert.equal(0, none)
      a:settimeout(nil)
      send_rest(a)
      assert.is_true(b:read(taken) == all:sub(1, taken))
      assert(a:write "goes on")
      assert.equal("goes on", b:read(7))
      assert.equal(0, b:pending())
    end)

    works("waits its turn no longer than its timeout", function(a, b)
      local all = pattern(16 * 1024 * 1024)
      local first = neap.spawn(function() return a:write(all) end)
      waiting(first)
      a:settimeout(0.03)
      local value, why, code, taken = a:write "second"
      assert.fails("ETIMEDOUT", value, why, code)
      assert.equal(0, taken)
      assert.is_true(b:read(#all) == all)
      assert.equal(a, first:join())
      b:settimeout(0.01)
      assert.fails("ETIMEDOUT", b:receive())
    end)

    both_ways("and reading at the same time does not block either side", function(a, b)
      local all = pattern(3 * 1024 * 1024)
      local group <close> = neap.group()
      for _, s in ipairs { a, b } do
        group:spawn(function() assert(s:write(all)) end)
        group:spawn(function() assert.is_true(s:read(#all) == all) end)
      end
      group:wait()
    end)

    works("while it is held up takes no processor time", function(a, b)
      if not traits.oneway and not traits.whole then assert(b:shutdown "w") end
      local writer = neap.spawn(function() return a:write(("x"):rep(16 * 1024 * 1024)) end)
      waiting(writer)
      neap.sleep(0.02)
      local before = os.clock()
      neap.sleep(0.2)
      assert.is_true(os.clock() - before < 0.1)
      writer:cancel()
      writer:join()
    end)
  end)

  describe("buffering of " .. kind, function()
    local function nothing_came(a, b)
      b:settimeout(0.01)
      assert.fails("ETIMEDOUT", b:receive())
      b:settimeout(nil)
      assert.equal(0, (select(2, a:counters())))
    end

    works("holds all back until it is flushed", function(a, b)
      assert.equal(a, a:setvbuf "full")
      assert.equal(a, a:write("one\n", 2))
      assert.equal(a, a:write " three\n")
      nothing_came(a, b)
      assert.equal(a, a:flush())
      assert.equal("one\n2 three\n", b:receive())
      assert.equal(a, a:flush())
    end)

    works("sends when it is full, in order", function(a, b)
      a:setvbuf("full", 10)
      assert(a:write "12345")
      nothing_came(a, b)
      assert(a:write "67890abc")
      local all = pattern(100000)
      local writer = neap.spawn(function()
        assert(a:write(all))
        assert(a:write "end")
        assert(a:flush())
      end)
      assert.is_true(b:read(#all + 16) == "1234567890abc" .. all .. "end")
      writer:join()
    end)

    works("by lines sends with each line's end", function(a, b)
      a:setvbuf "line"
      assert(a:write "half ")
      nothing_came(a, b)
      assert(a:write("a line\n", "and more"))
      assert.equal("half a line", b:read())
      assert(a:flush())
      assert.equal("and more", b:receive())
    end)

    works("that is switched off sends at once what it held", function(a, b)
      a:setvbuf "full"
      assert(a:write "held ")
      a:setvbuf "no"
      assert(a:write "and sent")
      assert.equal("held and sent", b:read(13))
    end)

    works("sends what it holds before a half-close", function(a, b)
      if traits.plain then return end
      a:setvbuf "full"
      assert(a:write "the last")
      assert(a:shutdown "w")
      assert.equal("the last", b:read "a")
    end)

    works("sends what it holds before a file", function(a, b)
      a:setvbuf "full"
      assert(a:write "head ")
      assert.equal(4, a:sendfile(file_of "body"))
      assert.equal("head body", b:read(9))
    end)

    works("sends what it holds at close", function(a, b)
      a:setvbuf "full"
      assert(a:write "the last")
      assert.is_true(a:close())
      assert.equal("the last", b:read "a")
    end)

    works("sends what it holds when its scope ends", function(a, b)
      do
        local held <close> = a
        assert(held:setvbuf "full")
        assert(held:write "the last")
      end
      assert.equal("the last", b:read "a")
    end)

    works("at close gives up after the timeout", function(a)
      a:setvbuf("full", 32 * 1024 * 1024)
      assert(a:write(("x"):rep(16 * 1024 * 1024)))
      a:settimeout(0.05)
      assert.takes(0.04, 2, function() assert.fails("ETIMEDOUT", a:close()) end)
      assert.is_false(a:isopen())
      assert.is_true(a:close())
    end)

    works("at close waits for the peer to take it", function(a, b)
      local all = pattern(4 * 1024 * 1024)
      a:setvbuf("full", #all)
      assert(a:write(all))
      local closer = neap.spawn(function() return a:close() end)
      assert.is_true(b:read "a" == all)
      assert.is_true(closer:join())
    end)

    works("that fails to flush keeps what it holds", function(a, b)
      local all = pattern(16 * 1024 * 1024)
      a:setvbuf("full", #all)
      assert(a:write(all))
      a:settimeout(0.05)
      assert.fails("ETIMEDOUT", a:flush())
      a:settimeout(nil)
      local flusher = neap.spawn(function() return a:flush() end)
      assert.is_true(b:read(#all) == all)
      assert.equal(a, flusher:join())
    end)

    works("takes only modes and sizes", function(a)
      assert.raises("bad argument #1", function() a:setvbuf "much" end)
      assert.raises("bad argument #1", function() a:setvbuf() end)
      assert.raises("bad argument #2", function() a:setvbuf("full", 0) end)
      assert.raises("bad argument #2", function() a:setvbuf("full", "x") end)
    end)
  end)

  describe("sendfile to " .. kind, function()
    works("sends a file by its path", function(a, b)
      local all = pattern(3 * 1024 * 1024)
      local path = file_of(all)
      local sender = neap.spawn(function() return a:sendfile(path) end)
      assert.is_true(b:read(#all) == all)
      assert.equal(#all, sender:join())
      assert.equal(#all, (select(2, a:counters())))
    end)

    works("sends a part of it", function(a, b)
      local path = file_of "0123456789"
      assert.equal(3, a:sendfile(path, 2, 3))
      assert.equal("234", b:read(3))
      assert.equal(5, a:sendfile(path, 5))
      assert.equal("56789", b:read(5))
      assert.equal(2, a:sendfile(path, 8, 100))
      assert.equal("89", b:read(2))
      assert.equal(0, a:sendfile(path, 2, 0))
      assert.equal(0, a:sendfile(path, 10))
      assert.equal(0, a:sendfile(path, 1000, 5))
      assert.equal(0, a:sendfile(file_of ""))
      b:settimeout(0.01)
      assert.fails("ETIMEDOUT", b:receive())
    end)

    works("sends an open file from where it is, and moves it on", function(a, b)
      local file <close> = assert(io.open(file_of "0123456789"))
      assert.equal("01", file:read(2))
      assert.equal(3, a:sendfile(file, nil, 3))
      assert.equal("234", b:read(3))
      assert.equal("5", file:read(1))
      assert.equal(4, a:sendfile(file))
      assert.equal("6789", b:read(4))
      assert.is_nil(file:read(1))
    end)

    works("sends what was written to the file but not flushed", function(a, b)
      local file <close> = assert(io.open(helper.tmpname(), "w+"))
      assert(file:write "just written")
      assert.equal(12, a:sendfile(file, 0))
      assert.equal("just written", b:read(12))
    end)

    works("says what it cannot send", function(a)
      local function refused(wanted, ...)
        local value, why, code, sent = a:sendfile(...)
        assert.fails(wanted, value, why, code)
        assert.equal(0, sent)
      end
      refused("ENOENT", helper.tmpname())
      refused("EISDIR", "/")
      local pipe <close> = assert(io.popen "echo from a pipe")
      refused("EINVAL", pipe)
    end)

    works("raises on what is no file", function(a)
      local file = assert(io.open(file_of "x"))
      file:close()
      assert.raises("bad argument #1", function() a:sendfile(file) end)
      assert.raises("bad argument #1", function() a:sendfile() end)
      assert.raises("bad argument #1", function() a:sendfile {} end)
      assert.raises("bad argument #1", function() a:sendfile "a\0b" end)
      local path = file_of "x"
      assert.raises("bad argument #2", function() a:sendfile(path, -1) end)
      assert.raises("bad argument #3", function() a:sendfile(path, 0, -1) end)
      assert.raises("bad argument #3", function() a:sendfile(path, 0, "x") end)
    end)

    works("tells how much of it was taken when it times out", function(a, b)
      local all = pattern(16 * 1024 * 1024)
      local file <close> = assert(io.open(file_of(all)))
      a:settimeout(0.05)
      local value, why, code, sent = a:sendfile(file)
      assert.fails("ETIMEDOUT", value, why, code)
      assert.is_true(sent > 0 and sent < #all)
      assert.equal(sent, (select(2, a:counters())))
      a:settimeout(nil)
      send_rest(a)
      assert.is_true(b:read(sent) == all:sub(1, sent))
      b:settimeout(0.01)
      assert.fails("ETIMEDOUT", b:receive())
    end)

    works("queues with the writers", function(a, b)
      local all = pattern(4 * 1024 * 1024)
      local path = file_of(all)
      local group <close> = neap.group()
      local first = group:spawn(function() assert(a:write(all)) end)
      waiting(first)
      group:spawn(function() assert(a:sendfile(path)) end)
      group:spawn(function() assert(a:write "end") end)
      assert.is_true(b:read(2 * #all + 3) == all .. all .. "end")
      group:wait()
    end)
  end)

  if traits.plain then
    describe("half-closing " .. kind, function()
      works("is refused: it is no socket", function(a)
        assert.fails("ENOTSOCK", a:shutdown "w")
        assert.fails("ENOTSOCK", a:getsockname())
        assert.fails("ENOTSOCK", a:getpeername())
      end)
    end)
  else
    describe("half-closing " .. kind, function()
      if traits.whole then
        works("ends both directions, once all has come that was sent before", function(a, b)
          assert(b:write "answer")
          assert(a:write "question")
          assert.equal("answer", a:read(6))
          assert.equal(a, a:shutdown "w")
          assert.equal("question", b:read "a")
          assert.fails("EOF", a:read(1))
          eventually(function() return select(3, b:write "late") == "EPIPE" end)
        end)
      else both_ways("ends one direction and leaves the other", function(a, b)
        assert(a:write "question")
        assert.equal(a, a:shutdown "w")
        assert.equal("question", b:read "a")
        assert(b:write "answer")
        assert.equal("answer", a:read(6))
        assert(b:write "more")
        assert(b:shutdown "w")
        assert.equal("more", a:read "a")
        assert.fails("EOF", a:read(1))
      end) end

      both_ways("fails later writes with EPIPE", function(a)
        assert(a:shutdown "w")
        local value, why, code, taken = a:write "late"
        assert.fails("EPIPE", value, why, code)
        assert.equal(0, taken)
      end)

      both_ways("of the reading side wakes the reader with the end", function(a, b)
        local reader = neap.spawn(function() return b:read() end)
        waiting(reader)
        assert.equal(b, b:shutdown "r")
        assert.fails("EOF", reader:join())
        assert.fails("EOF", b:read())
        assert(b:write "still")
        assert.equal("still", a:read(5))
      end)

      both_ways("of both sides ends both", function(a, b)
        assert(a:write "before")
        assert.equal(a, a:shutdown "rw")
        assert.equal("before", b:read "a")
        assert.fails("EOF", a:read())
        assert.fails("EPIPE", a:write "x")
      end)

      works("waits for the writers that came first", function(a, b)
        local all = pattern(4 * 1024 * 1024)
        local group <close> = neap.group()
        waiting(group:spawn(function() assert(a:write(all)) end))
        group:spawn(function() assert(a:shutdown "w") end)
        assert.is_true(b:read "a" == all)
      end)

      works("takes only its words", function(a)
        assert.raises("bad argument #1", function() a:shutdown "x" end)
        assert.raises("bad argument #1", function() a:shutdown() end)
      end)
    end)
  end

  describe("closing " .. kind, function()
    for name, read in pairs {
      read = function(s) return s:read() end,
      receive = function(s) return s:receive() end,
      peek = function(s) return s:peek(1) end,
      readuntil = function(s) return s:readuntil ";" end,
    } do
      works(("wakes a task in %s"):format(name), function(_, b)
        local reader = neap.spawn(function() return read(b) end)
        waiting(reader)
        assert.is_true(b:close())
        assert.fails("ECLOSED", reader:join())
      end)
    end

    works("ends a task that goes through lines with an error", function(_, b)
      local reader = neap.spawn(function() return pcall(b:lines()) end)
      waiting(reader)
      assert.is_true(b:close())
      local ok, why = reader:join()
      assert.is_false(ok)
      assert.matches("closed", why)
    end)

    works("wakes a task that writes, and those that queue behind it", function(a)
      local path = file_of "x"
      local first = neap.spawn(function() return a:write(("x"):rep(16 * 1024 * 1024)) end)
      waiting(first)
      local second = neap.spawn(function() return a:write "y" end)
      local third = neap.spawn(function() return a:sendfile(path) end)
      local fourth = neap.spawn(function() return a:flush() end)
      for _, task in ipairs { second, third, fourth } do waiting(task) end
      assert.is_true(a:close())
      local value, why, code, taken = first:join()
      assert.fails("ECLOSED", value, why, code)
      assert.equal((select(2, a:counters())), taken)
      for _, task in ipairs { second, third, fourth } do
        value, why, code, taken = task:join()
        assert.fails("ECLOSED", value, why, code)
        if task ~= fourth then assert.equal(0, taken) end
      end
    end)

    works("makes every later method fail, and none raise", function(a, b)
      for _, s in ipairs { a, b } do
        assert.is_true(s:isopen())
        assert.is_true(s:close())
        assert.is_true(s:close())
        assert.is_false(s:isopen())
        for _, call in ipairs {
          { "read" }, { "read", "n" }, { "receive" }, { "readuntil", ";" }, { "peek", 1 }, { "unread", "x" },
          { "write", "x" }, { "write" }, { "setvbuf", "full" }, { "flush" }, { "sendfile", "/" },
          { "shutdown", "w" }, { "settimeout", 1 }, { "gettimeout" }, { "getsockname" }, { "getpeername" },
          { "setsockopt", "SO_KEEPALIVE", true }, { "getsockopt", "SO_KEEPALIVE" }, { "fileno" },
          { "detach" }, { "pending" }, { "sendfd", 0 }, { "receivefd" }, { "getpeercred" },
        } do
          local value, why, code = s[call[1]](s, table.unpack(call, 2))
          assert.fails("ECLOSED", value, why, code)
          assert.equal("closed", why)
        end
        assert.raises("closed", s:lines())
        assert.matches("closed", tostring(s))
      end
    end)

    works("drops what was received", function(a, b)
      assert(a:write "unread")
      assert.equal("u", b:read(1))
      assert.is_true(b:close())
      assert.fails("ECLOSED", b:read(1))
    end)

    works("ends the peer's stream", function(a, b)
      assert(a:write "last")
      assert.is_true(a:close())
      assert.equal("last", b:read "a")
      assert.fails("EOF", b:read())
    end)

    it("is what the end of a scope does, and of a collection", function()
      local before = helper.count_fds()
      in_task(function()
        local a, b <close> = make_pair()
        do
          local held <close> = a
          assert(held:write "x")
        end
        assert.is_false(a:isopen())
        assert.equal("x", b:read "a")
      end)
      in_task(function() make_pair() end)
      if traits.kept then -- what carried it goes once the end was said
        eventually(function() return helper.count_fds() == before end)
      end
      assert.equal(before, helper.count_fds())
    end)
  end)

  describe("the descriptor of " .. kind, function()
    works("is told, and named", function(a, b)
      assert.equal("integer", math.type(a:fileno()))
      assert.not_equal(a:fileno(), b:fileno())
      assert.matches("^neap%.stream.*" .. a:fileno(), tostring(a))
    end)

    if traits.secure or traits.kept then
      works("is not given away: alone it means nothing", function(a, b)
        assert.fails("EOPNOTSUPP", a:detach())
        assert.is_true(a:isopen())
        assert(a:write "goes on")
        assert.equal("goes on", b:read(7))
      end)
    end

    given_away("is given away with what was read already", function(a, b)
      assert(a:write "line\nleft over")
      assert.equal("line", b:read())
      arrived(b, 0, 14)
      local number = b:fileno()
      local fd, rest = b:detach()
      assert.equal(number, fd)
      assert.equal("left over", rest)
      assert.is_false(b:isopen())
      assert.fails("ECLOSED", b:read())
      assert.is_true(b:close())
      local again <close> = assert(neap.stream(fd))
      assert(again:unread(rest))
      assert(a:write " and more")
      assert.equal("left over and more", again:read(18))
      finish(a)
      assert.fails("EOF", again:read())
    end)

    given_away("is given away with nothing when nothing was read", function(_, b)
      local fd, rest = b:detach()
      assert.equal("", rest)
      assert(neap.stream(fd)):close()
    end)

    given_away("is not given away while bytes wait to be sent", function(a, b)
      a:setvbuf "full"
      assert(a:write "held")
      assert.fails("EBUSY", a:detach())
      assert(a:flush())
      local fd <const> = a:detach()
      local again <close> = assert(neap.stream(fd))
      assert(again:write " more")
      assert.equal("held more", b:read(9))
    end)

    given_away("wakes who waits when it is given away", function(_, b)
      local reader = neap.spawn(function() return b:read() end)
      waiting(reader)
      local fd = b:detach()
      assert.fails("ECLOSED", reader:join())
      assert(neap.stream(fd)):close()
    end)

    works("can be waited for beside the stream", function(a, b)
      local fd = b:fileno()
      local value, why, code = neap.wait(fd, "r", 0.02)
      assert.fails("ETIMEDOUT", value, why, code)
      assert(a:write "x")
      assert.equal("r", neap.wait(fd, "r", 1))
      assert.equal("x", b:read(1))
      assert(a:write "y")
      assert.equal("y", b:read(1))
    end)
  end)

  describe("a task that is interrupted on " .. kind, function()
    local reads <const> = {
      read = function(s) return s:read(4) end,
      line = function(s) return s:read() end,
      all = function(s) return s:read "a" end,
      several = function(s) return s:read(1, 1, "l") end,
      readuntil = function(s) return s:readuntil ";" end,
      peek = function(s) return s:peek(4) end,
      lines = function(s) return s:lines()() end,
    }
    for name, read in pairs(reads) do
      works(("by a deadline in %s loses nothing"):format(name), function(a, b)
        assert(a:write "ab")
        assert.fails("ETIMEDOUT", neap.timeout(0.02, read, b))
        assert.fails("ETIMEDOUT", neap.timeout(0.02, read, b))
        assert(a:write "cd")
        assert.equal("abcd", b:read(4))
      end)

      works(("by cancelling in %s loses nothing"):format(name), function(a, b)
        assert(a:write "ab")
        local reader = neap.spawn(function()
          local ok, err = pcall(read, b)
          return ok, tostring(err)
        end)
        arrived(b, 0, 2)
        waiting(reader)
        reader:cancel()
        assert.same({ false, "cancelled" }, { reader:join() })
        assert(a:write "cd")
        assert.equal("abcd", b:read(4))
      end)
    end

    works("in a write tells by the counters what went out", function(a, b)
      local all = pattern(16 * 1024 * 1024)
      assert.fails("ETIMEDOUT", neap.timeout(0.05, a.write, a, all))
      local _, sent = a:counters()
      assert.is_true(sent > 0 and sent < #all)
      send_rest(a)
      assert.is_true(b:read(sent) == all:sub(1, sent))
      local writer = neap.spawn(function() return a:write(all) end)
      waiting(writer)
      writer:cancel()
      local value, why, code = writer:join()
      assert.fails("ECANCELED", value, why, code)
      local _, later = a:counters()
      send_rest(a)
      assert.is_true(b:read(later - sent) == all:sub(1, later - sent))
      assert(a:write "and on")
      assert.equal("and on", b:read(6))
      assert.equal(0, b:pending())
    end)

    works("before its turn to write sends nothing, and lets the next go on", function(a, b)
      local all = pattern(16 * 1024 * 1024)
      local first = neap.spawn(function() return a:write(all) end)
      waiting(first)
      local second = neap.spawn(function() return a:write "second" end)
      local third = neap.spawn(function() return a:write "third" end)
      waiting(second)
      waiting(third)
      second:cancel()
      assert.fails("ECANCELED", second:join())
      assert.is_true(b:read(#all) == all)
      assert.equal(a, first:join())
      assert.equal(a, third:join())
      assert.equal("third", b:read(5))
    end)

    works("in a write that others wait behind lets the next go on", function(a, b)
      local first = neap.spawn(function() return a:write(("x"):rep(16 * 1024 * 1024)) end)
      waiting(first)
      local second = neap.spawn(function() return a:write "second" end)
      waiting(second)
      first:cancel()
      assert.fails("ECANCELED", first:join())
      local _, sent = a:counters()
      assert.equal(sent, #b:read(sent))
      assert.equal("second", b:read(6))
      assert.equal(a, second:join())
    end)

    works("in sendfile closes the file", function(a)
      local path = file_of(("x"):rep(16 * 1024 * 1024))
      local before = helper.count_fds()
      assert.fails("ETIMEDOUT", neap.timeout(0.05, a.sendfile, a, path))
      assert.equal(before, helper.count_fds())
    end)

    works("in a flush keeps what is not sent", function(a, b)
      local all = pattern(16 * 1024 * 1024)
      a:setvbuf("full", #all)
      assert(a:write(all))
      assert.fails("ETIMEDOUT", neap.timeout(0.05, a.flush, a))
      local reader = collector(b)
      assert(a:close())
      assert.is_true(reader:join() == all)
    end)
  end)

  describe("a script without tasks on " .. kind, function()
    it("reads, writes and closes", function()
      with_pair(nil, function(a, b)
        assert(a:write("one\n", "two"))
        assert.equal("one", b:read())
        finish(a)
        assert.equal("two", b:read "a")
        assert.is_true(b:close())
      end)
    end)

    it("waits for what a task writes", function()
      with_pair(nil, function(a, b)
        neap.spawn(function()
          neap.sleep(0.01)
          assert(a:write "late\n")
        end)
        assert.equal("late", b:read())
      end)
    end)
  end)
end
