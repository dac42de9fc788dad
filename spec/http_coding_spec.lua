--- Content codings: what others wrote is decoded, what we write others decode,
-- in every split, within limits, and whatever the bytes are.
local helper <const> = require "support.helper"
helper.need(pcall(require, "neap.zcore"), "needs zlib (zlib1g-dev)")
local zcore <const> = require "neap.zcore"
local coding <const> = require "neap.http.coding"

-- ---- what the tests share ----

local function lines(n)
  local out = {}
  for i = 0, n - 1 do out[#out + 1] = ("line %d of the text\n"):format(i * i) end
  return table.concat(out)
end

local SHORT <const>, LONG <const> = lines(60), lines(20000)

local function unhex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- As Node writes it.
local BROTLI <const> = unhex [[
1bf904c08c54b53f4f5caa0f11339f50a0e7d909001f9fedccd2010f290cc3a16c2cad949b0471f5efe13da5357cc3c0c143
0f8cd0c624dc88e37823a0c4b22b8d46d2d626ae1a3942192833ce5a357e146dfce8ab71c6992a10e12f21ababb8a1b4d568
52d9d68a0c5047fdf87cbebfedd8c3917413da34b00c6a0105d4877528caec67330d47236b260fe303]]

local function encoded(name, text, level) return assert(coding.encoder(name, level)):finish(text) end

-- What a program makes of the text.
local function piped(program, text)
  local path <const> = helper.tmpname()
  local file <const> = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local pipe <const> = assert(io.popen(program .. " <" .. path))
  local out <const> = pipe:read "a"
  pipe:close()
  os.remove(path)
  return out
end

local function decoded(name, ...)
  local decoder <const>, out = assert(coding.decoder(name)), {}
  for _, bytes in ipairs { ... } do out[#out + 1] = assert(decoder:feed(bytes)) end
  assert(decoder:finish())
  return table.concat(out)
end

local list

-- The codings, and SHORT in them.
local function samples()
  if list then return list end
  list = {
    { "gzip", encoded("gzip", SHORT) }, { "x-gzip", encoded("gzip", SHORT) }, { "deflate", encoded("deflate", SHORT) },
    { "deflate", zcore.encoder("raw"):finish(SHORT) }, { "gzip, deflate", encoded("deflate", encoded("gzip", SHORT)) },
    { "gzip", encoded("gzip", SHORT:sub(1, 100)) .. encoded("gzip", "") .. encoded("gzip", SHORT:sub(101)) },
    { "deflate, gzip, gzip", encoded("gzip", encoded("gzip", encoded("deflate", SHORT))) },
  }
  if zcore.decodes.br then
    list[#list + 1] = { "br", BROTLI }
    list[#list + 1] = { "br, gzip", encoded("gzip", BROTLI) }
  end
  if zcore.decodes.zstd and helper.has_program "zstd" then
    local half = #SHORT // 2
    list[#list + 1] = { "zstd", piped("zstd -q -c", SHORT) }
    list[#list + 1] = {
      "zstd", piped("zstd -q -c", SHORT:sub(1, half)) .. "\x50\x2a\x4d\x18\3\0\0\0abc" ..
        piped("zstd -q -c --check", SHORT:sub(half + 1)),
    }
  end
  return list
end

-- ---- decoding ----

describe("coding.decoder", function()
  it("decodes every split of what is coded", function()
    for i, sample in ipairs(samples()) do
      local name, bytes = sample[1], sample[2]
      for cut = 0, #bytes, helper.slow do
        local text <const> = decoded(name, bytes:sub(1, cut), bytes:sub(cut + 1))
        if text ~= SHORT then error(("%s (%d) split at %d"):format(name, i, cut)) end
      end
      local decoder <const>, out = assert(coding.decoder(name)), {}
      for at = 1, #bytes do out[at] = assert(decoder:feed(bytes:sub(at, at))) end
      assert.is_true(decoder:finish())
      assert.equal(SHORT, table.concat(out))
    end
  end)

  it("gives no more at a time than is asked for", function()
    for _, sample in ipairs(samples()) do
      for _, most in ipairs(helper.slow > 1 and { 7, 65536 } or { 1, 7, 100, 65536 }) do
        local decoder <const>, out = assert(coding.decoder(sample[1])), {}
        for from = 1, #sample[2], 50 do
          local text, more = assert(decoder:feed(sample[2]:sub(from, from + 49), most))
          out[#out + 1] = text
          assert.is_true(#text <= most)
          if from % 100 == 1 then -- the other times it is left for later
            while more do
              text, more = decoder:feed("", most)
              assert.is_true(#text <= most)
              out[#out + 1] = text
            end
          end
        end
        local text, more
        repeat
          text, more = assert(decoder:feed("", most))
          out[#out + 1] = text
        until not more
        assert.is_true(decoder:finish())
        assert.equal(SHORT, table.concat(out))
      end
    end
  end)

  it("fails when the text is not whole", function()
    for i, sample in ipairs(samples()) do
      local name, bytes = sample[1], sample[2]
      if i ~= 6 and not (name == "zstd" and i == #samples()) then -- these end before their end, too
        for cut = 1, #bytes - 1, helper.slow do
          local decoder <const> = assert(coding.decoder(name))
          if decoder:feed(bytes:sub(1, cut)) then
            assert.fails("EBADMSG", decoder:finish())
            assert.fails("EBADMSG", decoder:feed "")
          end
        end
      end
    end
  end)

  it("takes no bytes at all for no text", function()
    for _, name in ipairs { "gzip", "deflate", "br", "zstd", "gzip, deflate", "identity", "" } do
      local decoder = coding.decoder(name)
      if decoder then
        assert.equal("", decoder:feed "")
        assert.is_true(decoder:finish())
      end
    end
  end)

  it("knows raw deflate from zlib's", function()
    for level = 1, 9 do
      for _, text in ipairs { "", "a", SHORT, ("\0"):rep(1000) } do
        local raw <const> = zcore.encoder("raw", level):finish(text)
        assert.equal(text, decoded("deflate", raw))
        assert.equal(text, decoded("deflate", raw:sub(1, 1), raw:sub(2)))
        assert.equal(text, decoded("deflate", encoded("deflate", text, level)))
      end
    end
    local stored <const> = "\1\5\0\xfa\xffhello" -- as raw deflate keeps what does not get smaller
    assert.equal("hello", decoded("deflate", stored))
  end)

  it("sees sums that are wrong", function()
    local bytes <const> = encoded("gzip", SHORT)
    for _, at in ipairs { #bytes - 7, #bytes - 3, #bytes } do -- CRC-32, and the size
      local damaged = bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 1) .. bytes:sub(at + 1)
      assert.fails("EBADMSG", assert(coding.decoder "gzip"):feed(damaged))
    end
    local z <const> = encoded("deflate", SHORT)
    assert.fails("EBADMSG", assert(coding.decoder "deflate"):feed(z:sub(1, -2) .. string.char(z:byte(-1) ~ 1)))
    assert.fails("EBADMSG", assert(coding.decoder "gzip"):feed "<html>not coded at all</html>")
  end)

  it("leaves out what is behind the text, and says how much", function()
    local bytes <const> = encoded("gzip", SHORT)
    for _, rest in ipairs { "\0\0\0\0", "garbage", "\x1f", "\x1fx", ("x"):rep(4096) } do
      for _, splits in ipairs { { bytes .. rest }, { bytes, rest }, { bytes .. rest:sub(1, 1), rest:sub(2) } } do
        local decoder <const>, out = assert(coding.decoder "gzip"), {}
        for _, piece in ipairs(splits) do out[#out + 1] = assert(decoder:feed(piece)) end
        assert.equal(SHORT, table.concat(out))
        local whole, left = decoder:finish()
        assert.is_true(whole)
        assert.equal(#rest, left)
      end
    end
    assert.fails("EBADMSG", assert(coding.decoder "gzip"):feed(bytes .. ("x"):rep(4097)))
    assert.fails("EBADMSG", assert(coding.decoder "gzip"):feed(bytes .. "\x1f\x8bxx")) -- begins another
    assert.fails("EBADMSG", assert(coding.decoder "deflate"):feed(encoded("deflate", SHORT) .. ("x"):rep(4097)))
  end)

  it("stops at the limit, exactly", function()
    for _, sample in ipairs(samples()) do
      local decoder = assert(coding.decoder(sample[1], #SHORT))
      assert.equal(SHORT, (assert(decoder:feed(sample[2]))))
      assert.is_true(decoder:finish())
      decoder = assert(coding.decoder(sample[1], #SHORT - 1))
      assert.fails("EMSGSIZE", decoder:feed(sample[2]))
      assert.fails("EMSGSIZE", decoder:feed "")
      assert.fails("EMSGSIZE", decoder:finish())
    end
    assert.fails("EMSGSIZE", assert(coding.decoder("identity", 3)):feed "four")
  end)

  it("survives a bomb within its limit", function()
    local zeros, encoder = ("\0"):rep(1 << 20), assert(coding.encoder("gzip", 9))
    local out = {}
    for _ = 1, 64 do out[#out + 1] = encoder:feed(zeros) end
    local bomb <const> = table.concat(out) .. encoder:finish()
    local inner <const> = bomb
    local outer <const> = encoded("gzip", inner)
    collectgarbage()
    local before <const> = collectgarbage "count"
    assert.fails("EMSGSIZE", assert(coding.decoder("gzip", 100000)):feed(bomb))
    assert.fails("EMSGSIZE", assert(coding.decoder("gzip, gzip", 100000)):feed(outer))
    assert.is_true(collectgarbage "count" - before < 8192)
    -- And piece by piece: all of it, in little memory.
    local decoder <const> = assert(coding.decoder "gzip, gzip")
    local n, text, more = 0, decoder:feed(outer, 65536)
    while true do
      n = n + #text
      if not more then break end
      text, more = decoder:feed("", 65536)
    end
    assert.is_true(decoder:finish())
    assert.equal(64 << 20, n)
  end)

  it("does not know others", function()
    for _, name in ipairs { "compress", "foo", "gzip, foo", "gzip;q=1", "\0", '"', "a, b, c, d, e, f" } do
      assert.fails("ENOTSUP", coding.decoder(name))
    end
    assert.fails("ENOTSUP", coding.decoder("gzip, gzip, gzip, gzip, gzip"))
    assert.is_truthy(coding.decoder " GZIP ,, Identity")
  end)

  it("never raises, whatever the bytes are", function()
    local names <const> = { "gzip", "deflate", "br", "zstd", "gzip, deflate", "deflate, br" }
    for round = 1, helper.slow > 1 and 100 or 600 do
      local name <const> = names[round % #names + 1]
      local sample = samples()[round % #samples() + 1]
      local bytes = {}
      for i = 1, math.random(0, 60) do bytes[i] = string.char(math.random(0, 255)) end
      local text = table.concat(bytes)
      if round % 2 == 0 then -- a good one, damaged
        local at = math.random(1, #sample[2])
        text = sample[2]:sub(1, at - 1) .. string.char(math.random(0, 255)) .. sample[2]:sub(at + 1)
      end
      local decoder = coding.decoder(round % 2 == 0 and sample[1] or name, 100000)
      if decoder then
        local from = 1
        while from <= #text do
          local n = math.random(1, 40)
          local ok, why, code = decoder:feed(text:sub(from, from + n - 1), math.random(1, 3) == 1 and 10 or nil)
          if not ok then
            assert.is_string(why)
            assert.is_truthy(code == "EBADMSG" or code == "EMSGSIZE")
            break
          end
          from = from + n
        end
        decoder:finish()
      end
    end
  end)

  it("can be closed at any time", function()
    local decoder <const> = assert(coding.decoder "gzip, gzip")
    decoder:feed("\x1f\x8b")
    decoder:close()
    decoder:close()
    assert.fails("ECLOSED", decoder:feed "x")
    assert.fails("ECLOSED", decoder:finish())
    local encoder <const> = assert(coding.encoder "gzip")
    encoder:close()
    assert.fails("ECLOSED", encoder:feed "x")
  end)
end)

-- ---- encoding ----

describe("coding.encoder", function()
  it("writes what gzip reads, and reads what gzip writes", function()
    helper.need_program "gzip"
    for _, text in ipairs { "", "a", SHORT, LONG } do
      assert.equal(text, piped("gzip -dc", encoded("gzip", text)))
      assert.equal(text, decoded("gzip", piped("gzip -c", text)))
    end
  end)

  it("gets better with its level, and takes pieces", function()
    assert.is_true(#encoded("gzip", LONG, 9) < #encoded("gzip", LONG, 1))
    local encoder <const>, out = assert(coding.encoder("deflate", 6)), {}
    for from = 1, #LONG, 997 do out[#out + 1] = encoder:feed(LONG:sub(from, from + 996)) end
    out[#out + 1] = encoder:finish()
    assert.equal(LONG, decoded("deflate", table.concat(out)))
  end)

  it("flushes all that it was given", function()
    for _, name in ipairs { "gzip", "deflate", "identity" } do
      local encoder <const>, decoder <const> = assert(coding.encoder(name)), assert(coding.decoder(name))
      for i = 1, 20 do
        local event = ("event %d\n\n"):format(i)
        assert.equal(event, (decoder:feed(encoder:flush(event))))
        assert.equal("", (decoder:feed(encoder:flush())))
      end
      assert.equal("", (decoder:feed(encoder:finish())))
      assert.is_true(decoder:finish())
    end
  end)

  it("does not go on after its end, and does not know others", function()
    local encoder <const> = assert(coding.encoder "gzip")
    encoder:finish "x"
    assert.fails("EINVAL", encoder:feed "y")
    assert.fails("EINVAL", encoder:finish())
    assert.fails("ENOTSUP", coding.encoder "br")
    assert.fails("ENOTSUP", coding.encoder "nothing")
    assert.equal("as it is", coding.encoder "identity":finish "as it is")
  end)
end)

-- ---- which ----

describe("coding.choose", function()
  it("answers with what the client likes best", function()
    for _, row in ipairs {
      { nil, "identity" }, { "", "identity" }, { "gzip", "gzip" }, { "GZip", "gzip" }, { "x-gzip", "gzip" },
      { "deflate", "deflate" }, { "deflate, gzip", "gzip" }, { "gzip;q=0.5, deflate;q=0.8", "deflate" },
      { "gzip ; q=0.5 , deflate;Q=0.501", "deflate" }, { "*", "gzip" }, { "*;q=0.1", "gzip" },
      { "gzip;q=0, *", "deflate" }, { "gzip;q=0", "identity" }, { "gzip;q=0.000", "identity" },
      { "br, zstd", "identity" }, { "br, identity", "identity" }, { "gzip, identity;q=1", "gzip" },
      { "gzip;q=0.5, identity", "identity" }, { "identity;q=0, gzip", "gzip" }, { "identity;q=0", false },
      { "*;q=0", false }, { "*;q=0, identity;q=0.1", "identity" }, { "br, *;q=0", false },
      { "gzip;q=2", "identity" }, { "gzip;q=0.1234", "identity" }, { "gzip;q=x, deflate", "deflate" },
      { "gzip;level=9", "identity" }, { "gzip;q=1.000", "gzip" }, { "gzip;q=1.001", "identity" },
      { "gzip;q=05", "identity" }, { '"gzip"', "identity" }, { "gzip\0", "identity" }, { ",,gzip,,", "gzip" },
    } do
      assert.equal(row[2] or nil, coding.choose(row[1], { "gzip", "deflate" }), tostring(row[1]))
    end
  end)

  it("offers what can be written", function()
    for _, name in ipairs(coding.offers()) do assert.is_truthy(coding.encoder(name)) end
    assert.equal("gzip", coding.choose "deflate, gzip, br")
  end)

  it("says what can be decoded", function()
    local accept <const> = coding.accept()
    assert.is_truthy(accept:find "^gzip, deflate")
    for name in accept:gmatch "[^, ]+" do assert.is_truthy(coding.decoder(name)) end
  end)
end)

-- ---- permessage-deflate ----

describe("zcore for permessage-deflate", function()
  local function pair(bits, level)
    return assert(zcore.encoder("raw", level or -1, bits)), assert(zcore.decoder("raw", nil, bits))
  end

  it("carries messages, with what the last ones said in view or not", function()
    for bits = 8, 15 do
      for _, forget in ipairs { false, true } do
        local encoder <const>, decoder <const> = pair(bits)
        local sizes = {}
        for i, text in ipairs { "hello", "hello", "", "", SHORT, SHORT, LONG, "x", "" } do
          local bytes = encoder:message(text)
          sizes[i] = #bytes
          assert.equal(text, decoder:message(bytes, true))
          if forget then
            encoder:reset()
            decoder:reset()
          end
        end
        if forget then assert.equal(sizes[1], sizes[2]) else assert.is_true(sizes[2] < sizes[1]) end
        if bits == 15 and not forget then assert.is_true(sizes[6] < sizes[5] // 4) end
      end
    end
  end)

  it("carries fragments in every split", function()
    local encoder <const>, decoder <const> = pair(15)
    for cut = 0, #SHORT, 9 * helper.slow do
      local bytes <const> = encoder:feed(SHORT:sub(1, cut)) .. encoder:message(SHORT:sub(cut + 1))
      local at <const> = math.random(0, #bytes)
      local text <const> = decoder:message(bytes:sub(1, at), false) .. decoder:message(bytes:sub(at + 1), true)
      assert.equal(SHORT, text)
    end
  end)

  it("takes the examples of RFC 7692", function()
    local _, decoder <const> = pair(15)
    assert.equal("Hello", decoder:message("\xf2\x48\xcd\xc9\xc9\x07\x00", true))
    assert.equal("Hello", decoder:message("\xf2\x00\x11\x00\x00", true)) -- by the last one's window
    assert.equal("Hello", decoder:message("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", true)) -- not compressed
    assert.equal("Hello", decoder:message("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", true)) -- a last block
    assert.equal("Hello", decoder:message("\xf2\x00\x11\x00\x00", true)) -- whose window is kept
    assert.equal("Hello", decoder:message("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", true)) -- two blocks
    assert.equal("Hello", decoder:message("\xf3\x48\xcd\xc9\xc9\x07\x00", true)) -- without the byte that RFC asks for
    assert.equal("", decoder:message("\0", true))
  end)

  it("stops at a message's limit, and sees what is cut", function()
    local encoder <const> = pair(15)
    local bytes <const> = encoder:message(SHORT)
    local _, decoder = pair(15)
    assert.equal(SHORT, decoder:message(bytes, true, #SHORT))
    _, decoder = pair(15)
    assert.fails("EMSGSIZE", decoder:message(bytes, true, #SHORT - 1))
    assert.fails("EMSGSIZE", decoder:message("\0", true))
    _, decoder = pair(15)
    assert.fails("EMSGSIZE", decoder:message(zcore.encoder("raw", 9):message(("\0"):rep(1 << 24)), true, 1 << 16))
    for cut = 1, #bytes - 1, helper.slow do
      _, decoder = pair(15)
      local text, _, code = decoder:message(bytes:sub(1, cut), true)
      assert.is_true(text == nil and code == "EBADMSG", cut)
    end
    _, decoder = pair(9)
    assert.fails("EBADMSG", decoder:message("\xff\xff\xff", true))
  end)

  it("takes last blocks within a message, but no flood of them", function()
    local encoder <const>, decoder <const> = pair(15)
    assert.equal(SHORT, decoder:message(encoder:message(SHORT), true))
    assert.equal("", decoder:message(("\3\0"):rep(50), true))
    assert.equal("", decoder:message(("\3\0"):rep(50), true)) -- each message has as many
    assert.equal(SHORT, decoder:message(encoder:message(SHORT), true))
    assert.fails("EBADMSG", decoder:message(("\3\0"):rep(1 << 20), true))
  end)

  it("keeps its distances within 8 bits of window", function()
    local encoder <const>, decoder <const> = pair(8, 9)
    local text <const> = SHORT .. ("y"):rep(300) .. SHORT
    for _ = 1, 5 do assert.equal(text, decoder:message(encoder:message(text), true)) end
  end)

  it("refuses what cannot be", function()
    assert.raises("out of range", zcore.encoder, "raw", 1, 7)
    assert.raises("out of range", zcore.encoder, "raw", 10)
    assert.raises("out of range", zcore.decoder, "raw", nil, 16)
    assert.raises("raw decoder", zcore.decoder "gzip".message, zcore.decoder "gzip", "x", true)
    assert.raises("raw encoder", zcore.encoder "gzip".message, zcore.encoder "gzip", "x")
    assert.raises("invalid option", zcore.decoder, "lzma")
  end)
end)
