--- WebSocket: what is negotiated, messages in every split, and connections with
-- peers that are patient, sloppy, rude or gone.
local helper <const> = require "support.helper"
local certs <const> = require "support.certs"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"
local httpcore <const> = require "neap.httpcore"
local extension <const> = require "neap.websocket.extension"
local handshake <const> = require "neap.websocket.handshake"
local protocol <const> = require "neap.websocket.protocol"
local websocket <const> = require "neap.websocket"

local in_task <const> = helper.in_task
local KEY <const> = "\x12\x34\x56\x78"
local SAMPLE_KEY <const> = "dGhlIHNhbXBsZSBub25jZQ=="
local CONTINUATION <const>, TEXT <const>, BINARY <const>, CLOSE <const>, PING <const>, PONG <const> =
  0, 1, 2, 8, 9, 10

-- ---- permessage-deflate ----

describe("an offer of permessage-deflate", function()
  local NONE <const> = {}
  -- the client's field, the server's settings, the answer
  local rows <const> = {
    { "permessage-deflate", { send_window_bits = 15 }, "permessage-deflate" },
    { "permessage-deflate", NONE, "permessage-deflate; server_max_window_bits=12" },
    { "permessage-deflate; client_max_window_bits", { send_window_bits = 15, receive_window_bits = 10 },
      "permessage-deflate; client_max_window_bits=10" },
    { "permessage-deflate; client_max_window_bits=9", { send_window_bits = 15, receive_window_bits = 10 },
      "permessage-deflate; client_max_window_bits=9" },
    { "permessage-deflate; server_max_window_bits=8", { send_window_bits = 15 },
      "permessage-deflate; server_max_window_bits=8" },
    { 'permessage-deflate; server_max_window_bits="10"', { send_window_bits = 15 },
      "permessage-deflate; server_max_window_bits=10" },
    { "permessage-deflate ; server_no_context_takeover ;client_no_context_takeover", { send_window_bits = 15 },
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover" },
    { "permessage-deflate", { send_window_bits = 15, send_takeover = false, receive_takeover = false },
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover" },
    { "x-webkit-deflate-frame, permessage-deflate", { send_window_bits = 15 }, "permessage-deflate" },
    { "permessage-deflate; nonsense, permessage-deflate; client_no_context_takeover", { send_window_bits = 15 },
      "permessage-deflate; client_no_context_takeover" },
    -- declined
    { "permessage-deflate", { receive_window_bits = 10 } },
    { "permessage-deflate", false },
    { "", NONE }, { "permessage-bzip2", NONE }, { "permessage-deflate; unknown=1", NONE },
    { "permessage-deflate; server_max_window_bits", NONE }, { "permessage-deflate; server_max_window_bits=7", NONE },
    { "permessage-deflate; server_max_window_bits=16", NONE },
    { "permessage-deflate; server_max_window_bits=010", NONE },
    { "permessage-deflate; server_max_window_bits=1e1", NONE },
    { "permessage-deflate; client_max_window_bits=7", NONE },
    { "permessage-deflate; server_no_context_takeover=1", NONE },
    { "permessage-deflate; client_no_context_takeover; client_no_context_takeover", NONE },
    { "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", NONE },
    { "permessage-deflate;", NONE }, { 'permessage-deflate; server_max_window_bits="10', NONE },
    { "permessage-deflate server_no_context_takeover", NONE }, { "Permessage-Deflate", NONE },
  }
  for _, row in ipairs(rows) do
    it(("%s is %s"):format(row[1], row[3] and "answered " .. row[3] or "declined"), function()
      assert.equal(row[3], (extension.accept(row[1], row[2])))
    end)
  end

  -- the server's field, the client's settings, why it is refused
  local answers <const> = {
    { "permessage-deflate", NONE }, { "permessage-deflate; server_max_window_bits=9", NONE },
    { "permessage-deflate; client_max_window_bits=12", NONE },
    { "permessage-deflate; client_no_context_takeover", NONE },
    { "permessage-deflate; server_max_window_bits=10", { receive_window_bits = 10 } },
    { "permessage-deflate; server_max_window_bits=11", { receive_window_bits = 10 }, "larger" },
    { "permessage-deflate", { receive_window_bits = 10 }, "larger" },
    { "permessage-deflate; client_max_window_bits=13", NONE, "larger" },
    { "permessage-deflate; client_max_window_bits", NONE, "malformed" },
    { "permessage-deflate; server_max_window_bits=16", NONE, "malformed" },
    { "permessage-deflate; x", NONE, "malformed" },
    { "permessage-deflate; server_no_context_takeover; server_no_context_takeover", NONE, "malformed" },
    { "permessage-deflate", { receive_takeover = false }, "did not agree" },
    { "permessage-deflate, permessage-deflate", NONE, "not offered" },
    { "x-other", NONE, "not offered" }, { "permessage-deflate", false, "not offered" }, { '"', NONE, "malformed" },
  }
  for _, row in ipairs(answers) do
    it(("and the answer %s to %s is %s"):format(row[1], row[2] and "one" or "none", row[3] or "agreed to"), function()
      local agreed, why = extension.agree(row[1], row[2])
      if not row[3] then return assert.truthy(agreed) end
      assert.is_nil(agreed)
      assert.truthy(why:find(row[3], 1, true), why)
    end)
  end

  it("means the same to both ends", function()
    for _, more in ipairs {
      {}, { send_window_bits = 9 }, { receive_window_bits = 9 }, { send_takeover = false },
      { receive_takeover = false },
    } do
      local text, server = extension.accept(extension.offer(more), { send_window_bits = 14 })
      local client = assert(extension.agree(text, more))
      assert.equal(server.send_takeover, client.receive_takeover)
      assert.equal(server.receive_takeover, client.send_takeover)
      assert.truthy(server.send_bits <= client.receive_bits)
      assert.truthy(client.send_bits <= server.receive_bits)
    end
  end)
end)

-- ---- the handshake ----

local function request_of(changes)
  local head <const> = {
    method = "GET", version = "1.1", Host = "example.com", Upgrade = "websocket", Connection = "keep-alive, Upgrade",
    ["Sec-WebSocket-Key"] = SAMPLE_KEY, ["Sec-WebSocket-Version"] = "13",
  }
  for name, value in pairs(changes or {}) do head[name] = value or nil end
  local lines <const> = { ("%s /chat HTTP/%s"):format(head.method, head.version) }
  head.method, head.version = nil, nil
  for name, value in pairs(head) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do lines[#lines + 1] = name .. ": " .. one end
  end
  return (assert(httpcore.parser("request", {}):feed(table.concat(lines, "\r\n") .. "\r\n\r\n")))
end

describe("a request for a WebSocket", function()
  it("is answered as RFC 6455, 1.3 shows", function()
    local answer = assert(handshake.answer(request_of(), {}))
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", httpcore.headers(answer.headers):get "sec-websocket-accept")
  end)

  local good <const> = {
    { "with Upgrade in capitals", { Upgrade = "WebSocket", Connection = "UPGRADE" } },
    { "of a page of the same host", { Origin = "http://example.com" } },
    { "of a page of the same host, over TLS", { Origin = "https://EXAMPLE.com:443" } },
    { "of a page of the same host and port", { Host = "example.com:81", Origin = "http://example.com:81" } },
    { "of a page that is let in", { Origin = "https://Other.example" }, { origins = { "https://other.example:443" } } },
    { "of any page", { Origin = "https://other.example" }, { origins = "*" } },
    { "of a page without an origin that is let in", { Origin = "null" }, { origins = { "null" } } },
    { "of no page, where there is a list", {}, { origins = { "https://other.example" } } },
    { "that a function lets in", { Origin = "x" }, { origins = function(o) return o == "x" end } },
  }
  for _, row in ipairs(good) do
    it(row[1] .. " is accepted", function()
      local o = { origins = handshake.check_origins(row[3] and row[3].origins, 1) }
      assert(handshake.answer(request_of(row[2]), o))
    end)
  end

  local bad <const> = {
    { "with another method", { method = "POST" }, 405, { "allow", "GET" } },
    { "of HTTP/1.0", { version = "1.0" }, 400 },
    { "without Upgrade", { Upgrade = false }, 426, { "upgrade", "websocket" } },
    { "for something else", { Upgrade = "h2c" }, 426 },
    { "without Connection: Upgrade", { Connection = "keep-alive" }, 426 },
    { "of another version", { ["Sec-WebSocket-Version"] = "8" }, 426, { "sec-websocket-version", "13" } },
    { "without a version", { ["Sec-WebSocket-Version"] = false }, 426 },
    { "of two versions", { ["Sec-WebSocket-Version"] = { "13", "13" } }, 426 },
    { "without a key", { ["Sec-WebSocket-Key"] = false }, 400 },
    { "with a short key", { ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ" }, 400 },
    { "with a key of 17 bytes", { ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZSE=" }, 400 },
    { "with a key that is no base64", { ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25j!Q==" }, 400 },
    { "with two keys", { ["Sec-WebSocket-Key"] = { SAMPLE_KEY, SAMPLE_KEY } }, 400 },
    { "with a body", { ["Content-Length"] = "2" }, 400 },
    { "with a malformed list of subprotocols", { ["Sec-WebSocket-Protocol"] = "a b" }, 400 },
    { "with the same subprotocol twice", { ["Sec-WebSocket-Protocol"] = { "a", "a" } }, 400 },
    { "with an empty subprotocol", { ["Sec-WebSocket-Protocol"] = "" }, 400 },
    { "of another host's page", { Origin = "https://evil.example" }, 403 },
    { "of another port's page", { Origin = "http://example.com:81" }, 403 },
    { "of a page without an origin", { Origin = "null" }, 403 },
    { "of two origins", { Origin = { "http://example.com", "http://example.com" } }, 403 },
    { "of a page whose host begins alike", { Origin = "http://example.com.evil.example" }, 403 },
    { "of a page with a path", { Origin = "http://example.com/" }, 403 },
  }
  for _, row in ipairs(bad) do
    it(("%s is refused with %d"):format(row[1], row[3]), function()
      local answer, why, refusal = handshake.answer(request_of(row[2]), {})
      assert.is_nil(answer)
      assert.truthy(#why > 0)
      assert.equal(row[3], refusal.status)
      if row[4] then assert.equal(row[4][2], httpcore.headers(refusal.headers):get(row[4][1])) end
    end)
  end

  it("of the host's own page is refused where others are named", function()
    local o = { origins = handshake.check_origins({ "https://other.example" }, 1) }
    local _, _, refusal = handshake.answer(request_of { Origin = "http://example.com" }, o)
    assert.equal(403, refusal.status)
  end)

  it("gets the first of its subprotocols that the server knows", function()
    local function choose(wanted, protocols)
      local request = request_of { ["Sec-WebSocket-Protocol"] = wanted }
      return assert(handshake.answer(request, { protocols = protocols })).protocol
    end
    assert.equal("b", choose("a, b,c", { "c", "b" }))
    assert.equal("c", choose({ "a", "c" }, { "c", "b" }))
    assert.is_nil(choose("a", { "b" }))
    assert.is_nil(choose("a"))
    assert.equal("c", choose("a, c", function(list) return list[2] end))
    assert.is_nil(choose("a, c", function() end))
    assert.raises("what was not asked for", choose, "a", function() return "b" end)
  end)
end)

describe("the answer to a request", function()
  local ACCEPT <const> = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
  local function judge(changes, o)
    local head <const> = {
      status = 101, Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Accept"] = ACCEPT,
    }
    for name, value in pairs(changes) do head[name] = value or nil end
    local status = head.status
    head.status = nil
    local lines <const> = { ("HTTP/1.1 %d X"):format(status) }
    for name, value in pairs(head) do
      for _, one in ipairs(type(value) == "table" and value or { value }) do lines[#lines + 1] = name .. ": " .. one end
    end
    local response = assert(httpcore.parser("response", {}):feed(table.concat(lines, "\r\n") .. "\r\n\r\n"))
    return handshake.agreed(response, o or {}, SAMPLE_KEY)
  end

  for _, row in ipairs {
    { "is agreed to", {} },
    { "may be in other words", { Upgrade = "WebSocket", Connection = "x, upgrade" } },
    { "may choose a subprotocol", { ["Sec-WebSocket-Protocol"] = "b" }, { protocols = { "a", "b" } } },
    { "may agree to an extension", { ["Sec-WebSocket-Extensions"] = "permessage-deflate" }, { compress = {} } },
    { "must be 101", { status = 200 }, {}, "200" },
    { "must upgrade", { Upgrade = false }, {}, "something else" },
    { "must upgrade to WebSocket alone", { Upgrade = "websocket, h2c" }, {}, "something else" },
    { "must say so in Connection", { Connection = "close" }, {}, "something else" },
    { "must go with the key", { ["Sec-WebSocket-Accept"] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=" }, {}, "the key" },
    { "must be of that case", { ["Sec-WebSocket-Accept"] = ACCEPT:lower() }, {}, "the key" },
    { "must have an accept", { ["Sec-WebSocket-Accept"] = false }, {}, "the key" },
    { "must have one accept", { ["Sec-WebSocket-Accept"] = { ACCEPT, ACCEPT } }, {}, "the key" },
    { "cannot choose a subprotocol unasked", { ["Sec-WebSocket-Protocol"] = "b" }, {}, "not asked for" },
    { "cannot choose another", { ["Sec-WebSocket-Protocol"] = "B" }, { protocols = { "b" } }, "not asked for" },
    { "cannot choose two", { ["Sec-WebSocket-Protocol"] = "a, b" }, { protocols = { "a", "b" } }, "not asked for" },
    { "must choose one", {}, { protocols = { "b" } }, "none of" },
    { "cannot have an extension unasked", { ["Sec-WebSocket-Extensions"] = "permessage-deflate" }, {}, "not offered" },
  } do
    it(row[1], function()
      local agreed, why = judge(row[2], row[3])
      if not row[4] then return assert(agreed, why) end
      assert.is_nil(agreed)
      assert.truthy(why:find(row[4], 1, true), why)
    end)
  end
end)

-- ---- messages ----

-- All events that a wire tells of bytes that end at these positions.
local function events(wire, bytes, ends)
  local list, from = {}, 1
  for i = 1, #ends + 1 do
    local to = ends[i] or #bytes
    wire:feed(bytes:sub(from, to))
    from = to + 1
    while true do
      local kind, data, more, code = wire:next()
      if kind == false then break end
      if kind == nil then
        list[#list + 1] = { "failed", more, code }
        return list
      end
      list[#list + 1] = { kind, data, more }
    end
  end
  return list
end

local function every(n, step)
  local ends = {}
  for i = step, n - 1, step do ends[#ends + 1] = i end
  return ends
end

local DEFLATE <const> = {
  send_bits = 15, receive_bits = 15, send_takeover = true, receive_takeover = true,
  level = 6, memory = 8, threshold = 0,
}

local function deflate(changes)
  local settings = {}
  for name, value in pairs(DEFLATE) do settings[name] = value end
  for name, value in pairs(changes or {}) do settings[name] = value end
  return settings
end

local function wire_of(role, more)
  local o = { role = role, maxmessage = 1 << 20 }
  for name, value in pairs(more or {}) do o[name] = value end
  return protocol.new(o)
end

local function bytes_of(head, body) return body and head .. body or head end

describe("messages", function()
  local wanted <const> = {
    { "text", "" }, { "text", "Hällo 🌊" }, { "binary", ("\0\xff"):rep(100) }, { "ping", "are you there" },
    { "binary", ("x"):rep(70000) }, { "text", "in pieces: ä" }, { "close", 1000, "bye" },
  }
  local function written(wire)
    return table.concat {
      bytes_of(wire:message(TEXT, "")), bytes_of(wire:message(TEXT, "Hällo 🌊")),
      bytes_of(wire:message(BINARY, ("\0\xff"):rep(100))), bytes_of(wire:control(PING, "are you there")),
      bytes_of(wire:message(BINARY, ("x"):rep(70000))), bytes_of(wire:fragment(TEXT, "in ", false)),
      bytes_of(wire:control(PONG, "")), bytes_of(wire:fragment(CONTINUATION, "pieces: \xc3", false)),
      bytes_of(wire:fragment(CONTINUATION, "\xa4", false)), bytes_of(wire:fragment(CONTINUATION, "", true)),
      wire:control(CLOSE, "\x03\xe8bye"),
      bytes_of(wire:message(TEXT, "after the end")),
    }
  end
  local function without_pongs(list)
    local kept = {}
    for _, event in ipairs(list) do
      if event[1] ~= "pong" then kept[#kept + 1] = event end
    end
    return kept
  end

  for _, role in ipairs { "client", "server" } do
    for _, how in ipairs { "plain", "compressed", "compressed one by one" } do
      it(("of a %s, %s, arrive in every split"):format(role, how), function()
        local settings = how ~= "plain" and deflate { send_takeover = how == "compressed",
          receive_takeover = how == "compressed" } or nil
        local bytes = written(wire_of(role, { deflate = settings }))
        local other = role == "client" and "server" or "client"
        local function got(ends)
          return without_pongs(events(wire_of(other, { deflate = settings }), bytes, ends))
        end
        assert.same(wanted, got {})
        for _, step in ipairs { 1, 2, 7, 1000 } do assert.same(wanted, got(every(#bytes, step))) end
        for at = 1, math.min(#bytes, 600) do assert.same(wanted, got { at }) end
      end)
    end
  end

  it("that are compressed are smaller, and refer to each other", function()
    local a, b = wire_of("server", { deflate = deflate() }), wire_of("client", { deflate = deflate() })
    local text = ("a text that says the same again and again; "):rep(20)
    local first, second = bytes_of(a:message(TEXT, text)), bytes_of(a:message(TEXT, text))
    assert.truthy(#first < #text / 4 and #second < #first / 2)
    assert.same({ { "text", text }, { "text", text } }, events(b, first .. second, {}))
  end)

  it("below the threshold are not compressed, among others that are", function()
    local settings = deflate { threshold = 100 }
    local a, b = wire_of("server", { deflate = settings }), wire_of("client", { deflate = settings })
    local long = ("long "):rep(100)
    local bytes = ""
    for _, text in ipairs { long, "short", long } do bytes = bytes .. bytes_of(a:message(TEXT, text)) end
    assert.same({ { "text", long }, { "text", "short" }, { "text", long } }, events(b, bytes, {}))
  end)

  it("can be compressed in every window", function()
    local text = {}
    for i = 1, 3000 do text[i] = ("%d "):format(i * 7919 % 1000) end
    text = table.concat(text)
    for bits = 8, 15 do
      local a = wire_of("server", { deflate = deflate { send_bits = bits } })
      local b = wire_of("client", { deflate = deflate { receive_bits = bits } })
      for _ = 1, 3 do assert.same({ { "text", text } }, events(b, bytes_of(a:message(TEXT, text)), {})) end
    end
  end)

  it("that were not sent are forgotten", function()
    local a, b = wire_of("server", { deflate = deflate() }), wire_of("client", { deflate = deflate() })
    local first, lost = ("first "):rep(50), ("lost "):rep(50)
    local bytes = bytes_of(a:message(TEXT, first))
    a:message(TEXT, lost)
    a:forget()
    bytes = bytes .. bytes_of(a:message(TEXT, lost .. "again"))
    assert.same({ { "text", first }, { "text", lost .. "again" } }, events(b, bytes, {}))
  end)

  it("in a million pieces take little memory", function()
    local wire = wire_of("client", { maxmessage = 1 << 20 })
    local one = httpcore.frame(CONTINUATION, "x", false)
    local block = one:rep(10000)
    wire:feed(httpcore.frame(BINARY, "x", false))
    assert.is_false(wire:next())
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 20 do
      wire:feed(block)
      assert.is_false(wire:next())
    end
    collectgarbage()
    assert.truthy(collectgarbage "count" - before < 1500)
    wire:feed(httpcore.frame(CONTINUATION, "y", true))
    local _, data = wire:next()
    assert.equal(("x"):rep(200001) .. "y", data)
  end)

  local function frame(opcode, payload, fin, rsv) return httpcore.frame(opcode, payload, fin, nil, rsv) end
  local packer <const> = wire_of("server", { deflate = deflate { send_takeover = false } })
  local function packed(opcode, data) return bytes_of(packer:message(opcode, data)) end

  local bad <const> = {
    { "a text that is no UTF-8", frame(TEXT, "\xff"), 1007 },
    { "a text cut within a character", frame(TEXT, "a\xc3"), 1007 },
    { "a text that goes wrong in its first piece", frame(TEXT, "\xc0", false), 1007 },
    { "a text that goes wrong in a later piece",
      frame(TEXT, "\xe2\x82", false) .. frame(CONTINUATION, "a", false), 1007 },
    { "a surrogate", frame(TEXT, "\xed\xa0\x80"), 1007 },
    { "a text that is no UTF-8, compressed", packed(TEXT, "\xff"), 1007, true },
    { "a text cut within a character, compressed", packed(TEXT, "a\xc3"), 1007, true },
    { "a compressed message that is damaged", frame(TEXT, "\xff\xff\xff", true, 4), 1007, true },
    { "a compressed message that is cut", frame(TEXT, packed(TEXT, "hello"):sub(3, -3), true, 4), 1007, true },
    { "a mask from a server", httpcore.frame(TEXT, "x", true, KEY), 1002 },
    { "RSV1 without an extension", frame(TEXT, "x", true, 4), 1002 },
    { "RSV2", frame(TEXT, "x", true, 2), 1002, true },
    { "RSV1 in a later piece",
      frame(TEXT, "x", false) .. frame(CONTINUATION, "x", true, 4), 1002, true },
    { "RSV1 of a ping", "\xc9\0", 1002, true },
    { "an opcode that nobody knows", "\x83\0", 1002 },
    { "a ping in fragments", "\x09\0", 1002 },
    { "a ping of 126 bytes", "\x89\x7e\0\x7e" .. ("x"):rep(126), 1002 },
    { "a continuation of nothing", frame(CONTINUATION, "x"), 1002 },
    { "a message within a message", frame(TEXT, "x", false) .. frame(TEXT, "x"), 1002 },
    { "a close frame of one byte", "\x88\x01\x03", 1002 },
    { "a close frame with 1005", "\x88\x02\x03\xed", 1002 },
    { "a close frame with 1006", "\x88\x02\x03\xee", 1002 },
    { "a close frame with 999", "\x88\x02\x03\xe7", 1002 },
    { "a close frame with 1016", "\x88\x02\x03\xf8", 1002 },
    { "a close frame with 5000", "\x88\x02\x13\x88", 1002 },
    { "a reason that is no UTF-8", "\x88\x03\x03\xe8\xff", 1007 },
    { "a message that is too long", "\x82\x7e\x04\x01", 1009 },
    { "a message of 2^62 bytes", "\x82\x7f\x40\0\0\0\0\0\0\0", 1009 },
    { "a message of 2^63 bytes", "\x82\x7f\x80\0\0\0\0\0\0\0", 1002 },
    { "a message that is too long in pieces", frame(BINARY, ("x"):rep(1000), false) .. "\0\x19", 1009 },
    { "a message that is too long, beside an extension", frame(BINARY, ("x"):rep(1025)), 1009, true },
    { "a message that is too long once inflated", packed(BINARY, ("x"):rep(1025)), 1009, true },
    { "a message that is too long once inflated, in pieces",
      bytes_of(packer:fragment(BINARY, ("x"):rep(800), false))
        .. bytes_of(packer:fragment(CONTINUATION, ("x"):rep(800), true)),
      1009, true },
  }
  for _, row in ipairs(bad) do
    it(("fail with %d for %s"):format(row[3], row[1]), function()
      for _, step in ipairs { 1, 2, 1 << 20 } do
        local wire = wire_of("client", { maxmessage = 1024, deflate = row[4] and deflate() or nil })
        local list = events(wire, row[2], every(#row[2], step))
        local last = list[#list] or {}
        assert.equal("failed", last[1])
        assert.equal(row[3], last[3])
        wire:feed(frame(TEXT, "later"))
        assert.is_false((wire:next()))
      end
    end)
  end

  it("without a mask fail at a server", function()
    local wire = wire_of "server"
    assert.equal(1002, events(wire, frame(TEXT, "x"), {})[1][3])
  end)

  it("of just the greatest length pass, plain and compressed", function()
    for _, settings in ipairs { false, deflate() } do
      local random = {}
      for i = 1, 1024 do random[i] = string.char(i * i * 31 % 251) end
      random = table.concat(random)
      local a = wire_of("server", { deflate = settings or nil })
      local b = wire_of("client", { deflate = settings or nil, maxmessage = 1024 })
      assert.same({ { "binary", random } }, events(b, bytes_of(a:message(BINARY, random)), {}))
    end
  end)
end)

-- ---- connections ----

-- Two ends of one connection.
local function pair(client, server)
  local near, far = unix.pair()
  local a, b = { role = "client" }, { role = "server" }
  for name, value in pairs(client or {}) do a[name] = value end
  for name, value in pairs(server or {}) do b[name] = value end
  return assert(websocket.over(near, a)), assert(websocket.over(far, b))
end

-- One end, and the bare stream at the other.
local function half(role, options)
  local near, far = unix.pair()
  local o = { role = role }
  for name, value in pairs(options or {}) do o[name] = value end
  return assert(websocket.over(near, o)), far
end

-- Frames that come from a stream, as { opcode, payload }.
local function frames_of(stream, masked)
  local deframer, bytes, at = httpcore.deframer(masked, 1 << 26), "", 1
  return function()
    while true do
      local opcode, payload, fin, next = deframer:feed(bytes, at)
      if opcode then
        at = next
        return opcode, payload, fin
      end
      bytes, at = stream:receive(), 1
      if not bytes then return nil end
    end
  end
end

local function spawn_close(ws)
  return neap.spawn(function() return ws:close() end)
end

describe("a WebSocket", function()
  it("carries messages both ways", function()
    in_task(function()
      local a <close>, b = pair()
      assert.equal(a, a:send "Hällo")
      assert.same({ "Hällo", "text" }, { b:receive() })
      assert(b:send("\0\xff", "binary"))
      assert.same({ "\0\xff", "binary" }, { a:receive() })
      assert(a:send "")
      assert.equal("", (b:receive()))
      assert.truthy(a:isopen() and b:isopen())
      local task <close> = spawn_close(a)
      assert.fails("EOF", b:receive())
      assert.truthy(task:join())
    end)
  end)

  it("works at top level", function()
    local a, b = pair()
    a:send "one"
    assert.equal("one", (b:receive()))
    b:settimeout(0.01)
    assert.fails("ETIMEDOUT", b:receive())
    local task <close> = spawn_close(b)
    assert.fails("EOF", a:receive())
    task:join()
  end)

  for _, compress in ipairs { false, true } do
    it(("carries 8 MiB at once%s"):format(compress and ", compressed" or ""), function()
      local extensions = compress and "permessage-deflate" or nil
      in_task(function()
        local a <close>, b = pair({ extensions = extensions }, { extensions = extensions })
        local b_guard <close> = b
        local data = ("0123456789abcdef"):rep(1 << 19)
        local task <close> = neap.spawn(function() return a:send(data) end)
        assert.truthy(data == b:receive())
        task:join()
        local back <close> = neap.spawn(function() return b:send(data, "binary") end)
        assert.truthy(data == a:receive())
        back:join()
        spawn_close(a)
        assert.fails("EOF", b:receive())
      end)
    end)
  end

  it("sends an iterator's pieces as fragments of one message", function()
    in_task(function()
      local ws <close>, peer = half "server"
      local peer_guard <close> = peer
      local pieces = { "a", "\xc3", "", "\xa4" }
      local i = 0
      assert(ws:send(function()
        i = i + 1
        if i == 3 then ws:ping "between" end
        return pieces[i]
      end))
      local list = {}
      local next_frame = frames_of(peer, false)
      for _ = 1, 5 do list[#list + 1] = { next_frame() } end
      assert.same({ { 1, "a", false }, { 0, "\xc3", false }, { 9, "between", true }, { 0, "\xa4", false },
        { 0, "", true } },
        list)
      assert(ws:send(function() end, "binary"))
      assert.same({ 2, "", true }, { next_frame() })
      peer:close()
    end)
  end)

  it("lets no message in between another one's fragments", function()
    in_task(function()
      local a <close>, b = pair()
      local b_guard <close> = b
      local group <close> = neap.group()
      local i = 0
      group:spawn(function()
        assert(a:send(function()
          i = i + 1
          neap.sleep(0.002)
          if i < 6 then return "p" .. i end
        end))
      end)
      neap.sleep(0.003)
      for n = 1, 3 do group:spawn(function() assert(a:send("whole " .. n)) end) end
      local got = { (b:receive()), (b:receive()), (b:receive()), (b:receive()) }
      assert.same({ "p1p2p3p4p5", "whole 1", "whole 2", "whole 3" }, got)
      group:spawn(function() a:close() end)
      assert.fails("EOF", b:receive())
    end)
  end)

  it("fails when an iterator leaves its message without an end", function()
    in_task(function()
      local a <close>, b = pair()
      local b_guard <close> = b
      local n = 0
      assert.raises("out of pieces", a.send, a, function()
        n = n + 1
        if n == 2 then error("out of pieces", 0) end
        return "piece"
      end)
      assert.is_false(a:isopen())
      assert.fails("EOF", b:receive())
      assert.equal(1011, b.closecode)
      assert.fails("ECANCELED", a:receive())
    end)
  end)

  it("refuses what is no text, and what is no message", function()
    in_task(function()
      local a <close>, b = pair()
      local b_guard <close> = b
      assert.raises("no UTF-8", a.send, a, "\xff")
      assert.raises("no UTF-8", a.send, a, "\xc3")
      assert.raises("string or function expected, got number", a.send, a, 42)
      assert.raises('"text" or "binary"', a.send, a, "x", "blob")
      assert.raises("125 bytes", a.ping, a, ("x"):rep(126))
      for _, code in ipairs { 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, "1000" } do
        assert.raises("no code", a.close, a, code)
      end
      assert.raises("123 bytes", a.close, a, 1000, ("x"):rep(124))
      assert.raises("no UTF-8", a.close, a, 1000, "\xff")
      local ok, err = pcall(a.send, a, function() return "\xff" end)
      assert.truthy(not ok and err:find "no UTF%-8")
      assert.truthy(a:isopen()) -- nothing of it was sent
      assert(a:send "still here")
      assert.equal("still here", (b:receive()))
      spawn_close(a)
      assert.fails("EOF", b:receive())
    end)
  end)

  it("refuses a second task that receives, and lets many send", function()
    in_task(function()
      local a <close>, b = pair()
      local b_guard <close> = b
      local task <close> = neap.spawn(function() return b:receive() end)
      neap.sleep(0)
      assert.fails("EBUSY", b:receive())
      local group <close> = neap.group()
      local big = ("x"):rep(300000)
      for i = 1, 10 do group:spawn(function() assert(a:send(("%d "):format(i) .. big)) end) end
      local seen = { assert(task:join()):match "^%d+" }
      for i = 2, 10 do seen[i] = assert(b:receive()):match "^(%d+) x+$" end
      table.sort(seen, function(x, y) return tonumber(x) < tonumber(y) end)
      assert.equal("1 2 3 4 5 6 7 8 9 10", table.concat(seen, " "))
      spawn_close(b)
      assert.fails("EOF", a:receive())
    end)
  end)

  it("gives messages by an iterator, which raises on a failure", function()
    in_task(function()
      local a <close>, b = pair()
      local b_guard <close> = b
      local task <close> = neap.spawn(function()
        for i = 1, 3 do a:send("m" .. i, i == 2 and "binary" or "text") end
        a:close(1001)
      end)
      local got = {}
      for data, kind in b:messages() do got[#got + 1] = data .. kind end
      assert.same({ "m1text", "m2binary", "m3text" }, got)
      task:join()
      local ws <close>, peer = half "server"
      peer:close()
      assert.raises("without a close frame", function() for _ in ws:messages() do error "no" end end)
    end)
  end)

  it("sends together what answers messages that came together", function()
    in_task(function()
      local ws <close>, peer = half "server"
      local peer_guard <close> = peer
      local bytes = {}
      for i = 1, 50 do bytes[i] = httpcore.frame(TEXT, "m" .. i, true, KEY) end
      peer:write(table.concat(bytes))
      for i = 1, 50 do
        assert.equal("m" .. i, (ws:receive()))
        ws:send("r" .. i)
      end
      neap.sleep(0.01) -- it waits for something else
      local next_frame = frames_of(peer, false)
      for i = 1, 50 do assert.same({ TEXT, "r" .. i, true }, { next_frame() }) end
      peer:close()
    end)
  end)

  it("keeps the order of what it holds back and what it does not", function()
    in_task(function()
      local ws <close>, peer = half("server", { close_timeout = 0.05 })
      local peer_guard <close> = peer
      peer:write(httpcore.frame(TEXT, "a", true, KEY):rep(4))
      local big = ("b"):rep(40000)
      ws:receive()
      ws:send "1"
      ws:ping "2"
      ws:receive()
      ws:send "3"
      ws:send(big)
      ws:receive()
      ws:send "5"
      neap.spawn(function() ws:close() end)
      local next_frame, got = frames_of(peer, false), {}
      for opcode, payload in next_frame do got[#got + 1] = opcode .. payload:sub(1, 1) end
      assert.same({ "11", "92", "13", "1b", "15", "8\3" }, got)
    end)
  end)
end)

-- ---- how it ends ----

describe("the end of a WebSocket", function()
  it("is a handshake that tells code and reason", function()
    in_task(function()
      for _, role in ipairs { 1, 2 } do
        local ends = { pair() }
        local near <close>, far = ends[role], ends[3 - role]
        local far_guard <close> = far
        local task <close> = neap.spawn(function() return near:close(4001, "enough: ä") end)
        assert.fails("EOF", far:receive())
        assert.truthy(select(2, far:receive()):find("4001 enough: ä", 1, true))
        assert.same({ 4001, "enough: ä" }, { far.closecode, far.closereason })
        assert.truthy(task:join())
        assert.equal(4001, near.closecode)
        assert.fails("EOF", far:receive())
        assert.fails("EPIPE", far:send "x")
        assert.fails("ECLOSED", near:receive())
        assert.fails("ECLOSED", near:send "x")
        assert.truthy(near:close() and far:close())
      end
    end)
  end)

  it("echoes the code and the reason; without a code none", function()
    in_task(function()
      for payload, echoed in pairs { ["\x03\xe9going"] = "\x03\xe9going", [""] = "", ["\x0f\xa0"] = "\x0f\xa0" } do
        local ws <close>, peer = half "server"
        local peer_guard <close> = peer
        peer:write(httpcore.frame(CLOSE, payload, true, KEY))
        local task <close> = neap.spawn(function() return ws:receive() end)
        local next_frame = frames_of(peer, false)
        assert.same({ CLOSE, echoed, true }, { next_frame() })
        assert.is_nil(next_frame())
        peer:close()
        assert.fails("EOF", task:join())
        assert.equal(payload == "" and 1005 or (">I2"):unpack(payload), ws.closecode)
      end
    end)
  end)

  it("lets what was sent before it arrive", function()
    in_task(function()
      local a <close>, b = pair()
      local b_guard <close> = b
      local task <close> = neap.spawn(function()
        for i = 1, 100 do a:send("m" .. i) end
        return a:close()
      end)
      for i = 1, 100 do assert.equal("m" .. i, (b:receive())) end
      assert.fails("EOF", b:receive())
      assert.truthy(task:join())
    end)
  end)

  -- One end says five messages; the other end closes.
  local function five()
    local a, b = pair()
    for i = 1, 5 do b:send("m" .. i) end
    return a, b
  end

  it("keeps what came before, for who asks then", function()
    in_task(function()
      local a <close>, b = five()
      local b_guard <close> = b
      local peer <close> = neap.spawn(function() return b:receive() end)
      assert.truthy(a:close())
      assert.is_false(a:isopen())
      for i = 1, 5 do assert.same({ "m" .. i, "text" }, { a:receive() }) end
      assert.fails("ECLOSED", a:receive())
      assert.fails("EOF", peer:join())
    end)
  end)

  it("keeps no more of it than a message may have", function()
    in_task(function()
      for _, size in ipairs { 1, 400 } do
        local a <close>, b = pair { maxmessage = 1000 }
        local b_guard <close> = b
        for _ = 1, 50 do b:send(("x"):rep(size)) end
        b:send ""
        local peer <close> = neap.spawn(function() return b:receive() end)
        assert.truthy(a:close())
        local n = 0
        for data in a:messages() do
          assert.equal(size, #data)
          n = n + 1
        end
        assert.equal(size == 1 and 16 or 2, n)
        peer:join()
      end
    end)
  end)

  it("keeps it for who has not run yet, or comes meanwhile", function()
    in_task(function()
      local a <close>, b = five()
      local b_guard <close> = b
      local peer <close> = neap.spawn(function() return b:receive() end)
      local got = {}
      local reader <close> = neap.spawn(function()
        for data in a:messages() do got[#got + 1] = data end
      end)
      assert.truthy(a:close())
      reader:join()
      assert.same({ "m1", "m2", "m3", "m4", "m5" }, got)
      peer:join()

      -- the peer goes on for a while before it says goodbye
      local ws, far <close> = half "client"
      local closer <close> = neap.spawn(function() return ws:close() end)
      neap.sleep(0)
      far:write "\x81\1a"
      assert.equal("a", (ws:receive()))
      ws:settimeout(0.02)
      assert.fails("ETIMEDOUT", ws:receive())
      ws:settimeout(nil)
      local second <close> = neap.spawn(function() return ws:receive() end)
      neap.sleep(0)
      assert.fails("EBUSY", ws:receive())
      far:write "\x81\1b"
      assert.equal("b", (second:join()))
      local last <close> = neap.spawn(function() return ws:receive() end)
      far:write "\x88\2\x03\xe8"
      far:shutdown "w"
      assert.fails("ECLOSED", last:join())
      assert.truthy(closer:join())
    end)
  end)

  it("keeps it when the task that closes is interrupted", function()
    in_task(function()
      local ws, far <close> = half "client"
      local closer <close> = neap.spawn(function() return ws:close() end)
      far:write "\x81\1a"
      helper.eventually(function() return ws.kept and ws.kept.last == 1 end)
      local reader <close> = neap.spawn(function() return { ws:receive(), ws:receive() } end)
      neap.sleep(0)
      closer:cancel(0)
      local got = reader:join()
      assert.same({ "a", nil }, { got[1], got[2] })
      assert.fails("ECLOSED", ws:receive())
    end)
  end)

  it("gives what still comes to who receives already", function()
    in_task(function()
      local c <close>, d = pair()
      local d_guard <close> = d
      local got = {}
      local reader <close> = neap.spawn(function()
        for data in c:messages() do
          got[#got + 1] = data
          neap.sleep(0)
        end
      end)
      neap.sleep(0)
      for i = 1, 5 do d:send("m" .. i) end
      local other <close> = neap.spawn(function() return d:receive() end)
      assert.truthy(c:close())
      reader:join()
      assert.same({ "m1", "m2", "m3", "m4", "m5" }, got)
      other:join()
    end)
  end)

  it("comes by itself where its scope ends, and says how", function()
    in_task(function()
      local function ending(fn)
        local a, b <close> = pair()
        local task <close> = neap.spawn(function()
          pcall(function()
            local ws <close> = a
            fn(ws)
          end)
        end)
        assert.fails("EOF", b:receive())
        task:join()
        return b.closecode
      end
      assert.equal(1000, ending(function() end))
      assert.equal(1011, ending(function() error "boom" end))
      assert.equal(1001, ending(function(ws) neap.running():cancel() ws:receive() end))
    end)
  end)

  it("does not wait for ever", function()
    in_task(function()
      local ws, peer <close> = half("client", { close_timeout = 0.05 })
      assert.takes(0.04, 1, function() assert.fails("ETIMEDOUT", ws:close()) end)
      assert.equal(1006, ws.closecode)
      assert.fails("ECLOSED", ws:receive())
      local next_frame = frames_of(peer, true)
      assert.same({ CLOSE, "\x03\xe8", true }, { next_frame() })
      assert.is_nil(next_frame())
      -- while another receives
      local other, silent <close> = half("client", { close_timeout = 0.05 })
      local task <close> = neap.spawn(function() return other:receive() end)
      neap.sleep(0)
      assert.fails("ETIMEDOUT", other:close())
      assert.fails("ECLOSED", task:join())
      assert(silent:isopen())
    end)
  end)

  it("does not wait for a peer that only talks", function()
    in_task(function()
      local ws, peer <close> = half("server", { close_timeout = 0.1 })
      local talk <close> = neap.spawn(function()
        while peer:write(httpcore.frame(TEXT, ("x"):rep(1000), true, KEY)) do end
      end)
      assert.takes(0.05, 2, function() assert.fails("ETIMEDOUT", ws:close()) end)
      talk:join()
    end)
  end)

  it("does not wait for a peer that floods", function()
    in_task(function()
      for _, opcode in ipairs { TEXT, 9, 0 } do -- whole messages; pings; the fragments of one without an end
        local ws, peer <close> = half("server", { close_timeout = 0.1, timeout = 0.1 })
        local flood <const> = httpcore.frame(opcode, "", opcode ~= 0, KEY):rep(1000)
        local talk <close> = neap.spawn(function()
          if opcode == 0 then peer:write(httpcore.frame(TEXT, "", false, KEY)) end
          while peer:write(flood) do end
        end)
        if opcode ~= TEXT then assert.takes(0.05, 5, function() assert.fails("ETIMEDOUT", ws:receive()) end) end
        assert.takes(0.05, 5, function() assert.fails("ETIMEDOUT", ws:close()) end)
        assert.equal(1006, ws.closecode)
        talk:join()
      end
    end)
  end)

  it("waits no longer for a peer that does not read", function()
    in_task(function()
      local ws, peer <close> = half("server", { close_timeout = 0.1 })
      local sender <close> = neap.spawn(function() return ws:send(("x"):rep(4 << 20)) end)
      neap.sleep(0)
      assert.takes(0.05, 2, function() assert.fails("ETIMEDOUT", ws:close()) end)
      assert.falsy(sender:join())
      assert(peer:isopen())
    end)
  end)

  it("ignores what comes after a close frame, and answers so that it arrives", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local peer <close> = assert(tcp.connect(listener:getsockname()))
      local ws <close> = assert(websocket.over(assert(listener:accept()), { role = "server" }))
      peer:write(httpcore.frame(CLOSE, "\x03\xe8", true, KEY), httpcore.frame(TEXT, "late", true, KEY),
        ("rubbish"):rep(1000))
      local task <close> = neap.spawn(function() return ws:receive() end)
      assert.equal("\x88\x02\x03\xe8", peer:read(4))
      assert.fails("EOF", peer:read(1))
      peer:close()
      assert.fails("EOF", task:join())
    end)
  end)

  it("is no clean one without a close frame", function()
    in_task(function()
      local ws <close>, peer = half "client"
      peer:write(httpcore.frame(TEXT, "last"))
      peer:write(httpcore.frame(TEXT, "cut"):sub(1, 3))
      peer:close()
      assert.equal("last", (ws:receive()))
      assert.fails("EPROTO", ws:receive())
      assert.truthy(select(2, ws:receive()):find "without a close frame")
      assert.equal(1006, ws.closecode)
      assert.fails("EPROTO", ws:receive())
      assert.falsy(ws:send "x")
      assert.is_false(ws:isopen())
      assert.truthy(ws:close())
    end)
  end)

  for code, bytes in pairs { [1002] = "\x83\0", [1007] = "\x81\1\xff", [1009] = "\x82\x7e\x04\x01" } do
    it(("tells the peer %d when what came is wrong"):format(code), function()
      in_task(function()
        local ws <close>, peer = half("client", { maxmessage = 1024 })
        local peer_guard <close> = peer
        peer:write(bytes, ("and more"):rep(1000))
        local task <close> = neap.spawn(function() return ws:receive() end)
        local next_frame = frames_of(peer, true)
        assert.same({ CLOSE, (">I2"):pack(code), true }, { next_frame() })
        peer:close()
        assert.fails(code == 1009 and "EMSGSIZE" or "EBADMSG", task:join())
        assert.equal(code, ws.closecode)
        assert.fails(code == 1009 and "EMSGSIZE" or "EBADMSG", ws:send "x")
      end)
    end)
  end

  it("comes with the collector for one that was forgotten", function()
    in_task(function()
      local ws, peer <close> = half("server", { ping_interval = 0.02 })
      assert(ws:isopen())
      ws = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      local next_frame = frames_of(peer, false)
      for opcode in next_frame do assert.equal(PING, opcode) end
      helper.eventually(function() return #neap.tasks() <= 2 end)
    end)
  end)

  it("wakes who receives and who sends", function()
    in_task(function()
      local ws <close>, peer = half("client", { close_timeout = 0.01 })
      local peer_guard <close> = peer
      local reader <close> = neap.spawn(function() return ws:receive() end)
      local writer <close> = neap.spawn(function() return ws:send(("x"):rep(4 << 20)) end)
      neap.sleep(0)
      ws:close()
      assert.falsy(reader:join())
      assert.falsy(writer:join())
      assert(peer:isopen())
    end)
  end)
end)

-- ---- times, interruptions ----

describe("time and a WebSocket", function()
  it("loses nothing to a receive that comes too early", function()
    in_task(function()
      local ws <close>, peer = half("server", { timeout = 0.01 })
      local peer_guard <close> = peer
      local frame = httpcore.frame(TEXT, "slow", true, KEY)
      for i = 1, #frame do
        peer:write(frame:sub(i, i))
        if i < #frame then assert.fails("ETIMEDOUT", ws:receive()) end
      end
      assert.equal("slow", (ws:receive()))
      local task <close> = neap.spawn(function()
        for _ = 1, 1000 do
          if not peer:write(httpcore.frame(PONG, "", true, KEY)) then return end
          neap.sleep(0.001)
        end
      end)
      assert.takes(0.005, 0.3, function() assert.fails("ETIMEDOUT", ws:receive()) end) -- the whole call's time
      assert.equal(0.01, ws:gettimeout())
      assert.is_nil(ws:settimeout(nil):gettimeout())
      peer:close()
      task:join()
    end)
  end)

  it("ends one whose message was cut short by its timeout", function()
    in_task(function()
      local ws <close>, peer = half("server", { timeout = 0.05 })
      local peer_guard <close> = peer
      assert.fails("ETIMEDOUT", ws:send(("x"):rep(4 << 20)))
      assert.is_false(ws:isopen())
      assert.equal(1006, ws.closecode)
      assert.fails("ETIMEDOUT", ws:send "more")
      local got = 0
      for data in function() return peer:receive() end do got = got + #data end
      assert.truthy(got < 4 << 20)
    end)
  end)

  it("ends one whose message was cut short by a cancellation", function()
    in_task(function()
      local ws <close>, peer = half "server"
      local peer_guard <close> = peer
      local task <close> = neap.spawn(function() ws:send(("x"):rep(4 << 20)) end)
      local other <close> = neap.spawn(function()
        neap.sleep(0.01)
        return ws:send "next"
      end)
      neap.sleep(0.02)
      task:cancel()
      assert.fails("ECANCELED", task:join())
      assert.fails("ECANCELED", other:join())
      assert.is_false(ws:isopen())
      assert(peer:isopen())
    end)
  end)

  for _, how in ipairs { "timeout", "cancellation" } do
    it(("keeps one whose message had not begun at its %s"):format(how), function()
      in_task(function()
        local extensions = "permessage-deflate"
        local a, b <close> = pair({ extensions = extensions }, { extensions = extensions })
        local guard <close> = a
        local blocker <close> = neap.spawn(function() return a:send(("\0\1\2\3"):rep(1 << 20)) end)
        local noise = {}
        for i = 1, 1 << 18 do noise[i] = string.char(math.random(0, 255)) end
        noise = table.concat(noise)
        blocker:join()
        local first <close> = neap.spawn(function() return a:send(noise, "binary") end)
        neap.sleep(0.01)
        if how == "timeout" then
          a:settimeout(0.02)
          assert.fails("ETIMEDOUT", a:send "never sent")
          a:settimeout(nil)
        else
          local second <close> = neap.spawn(function() a:send "never sent" end)
          neap.sleep(0.01)
          second:cancel():join()
        end
        local third <close> = neap.spawn(function() return a:send(("said again "):rep(30)) end)
        assert.equal(4 << 20, #b:receive())
        assert.truthy(noise == b:receive())
        assert.equal(("said again "):rep(30), (b:receive()))
        assert.truthy(first:join() and third:join())
        spawn_close(b)
        assert.fails("EOF", a:receive())
      end)
    end)
  end

  it("keeps one whose receive was cancelled", function()
    in_task(function()
      local a <close>, b = pair()
      local b_guard <close> = b
      local task <close> = neap.spawn(function() b:receive() end)
      neap.sleep(0)
      task:cancel():join()
      assert.fails("ETIMEDOUT", neap.timeout(0.01, b.receive, b))
      a:send "here"
      assert.equal("here", (b:receive()))
      spawn_close(a)
      assert.fails("EOF", b:receive())
    end)
  end)
end)

-- ---- pings ----

describe("pings", function()
  it("are answered while someone receives", function()
    in_task(function()
      local ws <close>, peer = half "client"
      local peer_guard <close> = peer
      local task <close> = neap.spawn(function() return ws:receive() end)
      peer:write(httpcore.frame(PING, "one"))
      local next_frame = frames_of(peer, true)
      assert.same({ PONG, "one", true }, { next_frame() })
      peer:write(httpcore.frame(TEXT, "in ", false), httpcore.frame(PING, ""), httpcore.frame(CONTINUATION, "pieces"))
      assert.same({ PONG, "", true }, { next_frame() })
      assert.equal("in pieces", (task:join()))
      peer:close()
    end)
  end)

  it("that come together are all answered, before what follows", function()
    in_task(function()
      local ws <close>, peer = half "server"
      local peer_guard <close> = peer
      local bytes = {}
      for i = 1, 10 do bytes[i] = httpcore.frame(PING, tostring(i), true, KEY) end
      bytes[11] = httpcore.frame(TEXT, "text", true, KEY) .. httpcore.frame(PING, "more", true, KEY)
      bytes[12] = httpcore.frame(CLOSE, "\x03\xe8", true, KEY)
      peer:write(table.concat(bytes))
      assert.truthy(ws:send((ws:receive())))
      assert.equal("EOF", select(3, ws:receive()))
      local next_frame = frames_of(peer, false)
      local came = {}
      for opcode, payload in next_frame do came[#came + 1] = opcode .. " " .. payload end
      assert.equal("10 1,10 2,10 3,10 4,10 5,10 6,10 7,10 8,10 9,10 10", table.concat(came, ",", 1, 10))
      assert.equal("8 \x03\xe8", came[13])
      table.sort(came)
      assert.same({ "1 text", "10 more" }, { came[1], came[12] })
    end)
  end)

  it("in a flood are answered by the last, and take no memory", function()
    in_task(function()
      local ws <close>, peer = half "server"
      local peer_guard <close> = peer
      local sender <close> = neap.spawn(function() return ws:send(("x"):rep(2 << 20)) end) -- who does not read
      local reader <close> = neap.spawn(function() return ws:receive() end)
      neap.sleep(0)
      collectgarbage()
      local before, most = collectgarbage "count", 0
      local block = httpcore.frame(PING, ("p"):rep(100), true, KEY):rep(1000)
      for _ = 1, 50 do
        peer:write(block)
        most = math.max(most, #neap.tasks())
      end
      peer:write(httpcore.frame(PING, "last", true, KEY))
      neap.sleep(0.01)
      assert.truthy(most <= 6)
      collectgarbage()
      assert.truthy(collectgarbage "count" - before < 4000)
      local next_frame, pongs, last = frames_of(peer, false), 0, nil
      assert.equal(2 << 20, #select(2, next_frame()))
      peer:settimeout(0.3)
      for opcode, payload in next_frame do
        assert.equal(PONG, opcode)
        pongs, last = pongs + 1, payload
        if payload == "last" then break end
      end
      assert.equal("last", last)
      assert.truthy(pongs < 50)
      peer:close()
      sender:join()
      reader:join()
    end)
  end)

  it("keep a connection that is alive, and end one that is not", function()
    in_task(function()
      local a <close>, b = pair { ping_interval = 0.02, pong_timeout = 0.2 * helper.slow }
      local b_guard <close> = b
      local here <close> = neap.spawn(function() return a:receive() end)
      local there <close> = neap.spawn(function() return b:receive() end)
      neap.sleep(0.1)
      assert.truthy(a:isopen())
      spawn_close(b)
      assert.fails("EOF", here:join())
      there:join()
      local ws <close>, peer = half("server", { ping_interval = 0.02, pong_timeout = 0.03 })
      local peer_guard <close> = peer
      assert.fails("ETIMEDOUT", ws:receive())
      assert.truthy(select(2, ws:receive()):find "no answer to a ping")
      assert.equal(1006, ws.closecode)
      local next_frame = frames_of(peer, false)
      assert.same({ PING, "", true }, { next_frame() })
      assert.is_nil(next_frame())
    end)
  end)

  it("do not end what nobody receives from", function()
    in_task(function()
      local ws <close>, peer = half("server", { ping_interval = 0.01, pong_timeout = 0.01, close_timeout = 0.01 })
      local peer_guard <close> = peer
      neap.sleep(0.1)
      assert.truthy(ws:isopen())
      peer:write(httpcore.frame(TEXT, "late", true, KEY))
      assert.equal("late", (ws:receive()))
    end)
  end)

  it("that the peer does not read end it, too", function()
    in_task(function()
      local ws <close>, peer = half("server", { ping_interval = 0.02, pong_timeout = 0.05 })
      local peer_guard <close> = peer
      local sender <close> = neap.spawn(function() return ws:send(("x"):rep(4 << 20)) end)
      assert.fails("ETIMEDOUT", ws:receive())
      assert.fails("ETIMEDOUT", sender:join())
      assert(peer:isopen())
    end)
  end)
end)

-- ---- opening ----

-- A listener that accepts with these options and calls fn(ws); "ws://..." of it.
local function serve(group, fn, options, listener)
  listener = listener or assert(tcp.listen("127.0.0.1", 0))
  group:spawn({ name = "server" }, listener.serve, listener, websocket.handler(fn, options))
  local ip, port = listener:getsockname()
  return ("ws://%s:%d"):format(ip, port), listener
end

local function echo(ws)
  for data, kind in function() return ws:receive() end do ws:send(data, kind) end
end

describe("websocket.connect", function()
  it("opens a connection to a server", function()
    in_task(function()
      local group <close> = neap.group()
      local url, listener = serve(group, function(ws, request)
        ws:send(request.target)
        ws:send(request.headers:get "x-name" or "nobody")
        ws:send(request.headers:get "authorization" or "nothing")
        echo(ws)
      end, { protocols = { "echo.1", "other" }, compress = true, headers = { ["X-Server"] = "yes" } })
      local guard <close> = listener
      local ws <close> = assert(websocket.connect(url:gsub("//", "//user:pass@") .. "/a?b=c", {
        protocols = { "none", "echo.1" }, headers = { ["X-Name"] = "me" }, compress = true,
      }))
      assert.same({ "/a?b=c", "me", "Basic dXNlcjpwYXNz" }, { (ws:receive()), (ws:receive()), (ws:receive()) })
      assert.equal("echo.1", ws.protocol)
      assert.truthy(ws.extensions:find "^permessage%-deflate")
      assert.equal("yes", ws.headers:get "x-server")
      local long = ("a long text "):rep(1000)
      ws:send(long)
      assert.equal(long, (ws:receive()))
      assert.truthy(select(2, ws.stream:counters()) < #long / 4)
      assert.equal("127.0.0.1", (ws:getpeername()))
      assert.equal("127.0.0.1", (ws:getsockname()))
      assert.truthy(ws:close())
      listener:close()
    end)
  end)

  it("speaks TLS, and verifies whom it speaks to", function()
    local tls = require "neap.tls"
    local cert = certs.get "ip4"
    in_task(function()
      local group <close> = neap.group()
      local listener <close> = assert(tls.listen("127.0.0.1", 0, { cert = cert.chain, key = cert.key }))
      group:spawn(listener.serve, listener, websocket.handler(echo), { on_error = function() end })
      local url = ("wss://127.0.0.1:%d/"):format(select(2, listener:getsockname()))
      local ws <close> = assert(websocket.connect(url, { ca = certs.ca() }))
      local big = ("x"):rep(1 << 20)
      local task <close> = neap.spawn(function() return ws:send(big) end)
      assert.truthy(big == ws:receive())
      assert.truthy(task:join())
      assert.truthy(ws:close(1001))
      -- and what it is told in one table, as neap.http is
      local context = assert(tls.context { ca = certs.ca(), alpn = { "http/1.1" } })
      for _, said in ipairs { { ca = certs.ca() }, { ca = certs.ca(), servername = "127.0.0.1" }, context,
        { context = context } } do
        local other <close> = assert(websocket.connect(url, { tls = said }))
        other:send "there"
        assert.equal("there", (other:receive()))
      end
      assert.fails("X509_V_ERR_HOSTNAME_MISMATCH", websocket.connect(url,
        { tls = { ca = certs.ca(), servername = "other.example" } }))
      local refused, _, code = websocket.connect(url)
      assert.is_nil(refused)
      assert.truthy(code:find "^X509" or code == "ETLS")
      listener:close()
    end)
  end)

  it("is told of TLS in one way", function()
    for _, o in ipairs { { ca = "x" }, { context = require "neap.tls".context {} }, { servername = "x" } } do
      o.tls = {}
      assert.raises("option 'tls' must be alone", websocket.connect, "wss://127.0.0.1:1/", o)
    end
    assert.raises("option 'tls' must be a context or a table", websocket.connect, "wss://h/", { tls = true })
    assert.raises("unknown option 'cas'", websocket.connect, "wss://h/", { tls = { cas = "x" } })
    assert.raises("context must be alone", websocket.connect, "wss://h/", { tls = { context = 1, ca = "x" } })
  end)

  it("takes queries that browsers take", function()
    in_task(function()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local server <close> = neap.spawn(function()
        local ws <close> = assert(websocket.accept(assert(listener:accept())))
        return ws.request.target
      end)
      local url = ("ws://127.0.0.1:%d/?a[]=1"):format(select(2, listener:getsockname()))
      local ws <close> = assert(websocket.connect(url))
      assert.fails("EOF", ws:receive())
      assert.equal("/?a[]=1", server:join())
    end)
  end)

  it("goes over a Unix socket", function()
    in_task(function()
      local group <close> = neap.group()
      local path = helper.tmpname()
      local listener <close> = assert(unix.listen(path))
      group:spawn(listener.serve, listener, websocket.handler(function(ws, request)
        ws:send(request.headers:get "host")
      end))
      local ws <close> = assert(websocket.connect("ws://chat.example/", { unix = path }))
      assert.equal("chat.example", (ws:receive()))
      assert.fails("EOF", ws:receive())
      listener:close()
    end)
  end)

  it("goes through a proxy by CONNECT", function()
    in_task(function()
      local group <close> = neap.group()
      local url, listener = serve(group, echo)
      local proxy <close> = assert(tcp.listen("127.0.0.1", 0))
      local asked
      group:spawn(proxy.serve, proxy, function(conn)
        asked = conn:readuntil "\r\n\r\n"
        local host, port = asked:match "^CONNECT ([%d.]+):(%d+) "
        local far <close> = assert(tcp.connect(host, math.tointeger(tonumber(port))))
        conn:write "HTTP/1.1 200 Fine\r\n\r\n"
        local back <close> = neap.spawn(function()
          for data in function() return far:receive() end do conn:write(data) end
          conn:shutdown "w"
        end)
        for data in function() return conn:receive() end do far:write(data) end
        far:shutdown "w"
        back:join()
      end)
      local ws <close> = assert(websocket.connect(url, { proxy = ("http://me:pw@127.0.0.1:%d"):format(select(2,
        proxy:getsockname())) }))
      ws:send "through"
      assert.equal("through", (ws:receive()))
      assert.truthy(asked:find("Proxy-Authorization: Basic", 1, true))
      assert.truthy(ws:close())
      proxy:close()
      listener:close()
    end)
  end)

  it("fails with what the server answers instead", function()
    in_task(function()
      local group <close> = neap.group()
      local url, listener = serve(group, echo)
      local ws, why, code, response = websocket.connect(url, { origin = "https://evil.example" })
      assert.is_nil(ws)
      assert.truthy(why:find("the server answers 403 Forbidden", 1, true))
      assert.equal("EPROTO", code)
      assert.equal(403, response.status)
      assert.fails("EPROTO", websocket.connect(url, { protocols = "chat" }))
      listener:close()
      assert.fails("ECONNREFUSED", websocket.connect(url))
    end)
  end)

  it("takes no longer than it may, whatever the server does", function()
    in_task(function()
      local group <close> = neap.group()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      local url = ("ws://127.0.0.1:%d"):format(select(2, listener:getsockname()))
      assert.takes(0.05, 1, function() assert.fails("ETIMEDOUT", websocket.connect(url, { open_timeout = 0.1 })) end)
      listener:accept():close()
      local answers = { "", "HTTP/1.1 101 X\r\n\r\n", "rubbish\r\n\r\n", ("HTTP/1.1 100 X\r\n\r\n"):rep(20),
        "HTTP/1.1 101 X\r\nA: " .. ("x"):rep(100000) }
      for _, answer in ipairs(answers) do
        local task <close> = group:spawn(function()
          local conn <close> = listener:accept()
          conn:readuntil "\r\n\r\n"
          conn:write(answer)
          conn:shutdown "w"
          conn:read "a"
        end)
        local ws, _, code = websocket.connect(url)
        assert.is_nil(ws)
        assert.truthy(code == "EPROTO" or code == "EBADMSG" or code == "EMSGSIZE", code)
        task:join()
      end
      local dribble <close> = group:spawn(function()
        local conn <close> = listener:accept()
        conn:write "HTTP/1.1 101 X\r\n"
        while conn:write "A: b\r\n" do neap.sleep(0.01) end
      end)
      assert.takes(0.05, 1, function() assert.falsy(websocket.connect(url, { open_timeout = 0.1 })) end)
      dribble:cancel()
    end)
  end)

  it("takes messages that come right behind the answer", function()
    in_task(function()
      local group <close> = neap.group()
      local listener <close> = assert(tcp.listen("127.0.0.1", 0))
      group:spawn(function()
        local conn <close> = listener:accept()
        local request = conn:readuntil "\r\n\r\n"
        local accept = httpcore.accept_key(request:match "Sec%-WebSocket%-Key: (%S+)")
        conn:write("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
          "Sec-WebSocket-Accept: ", accept, "\r\n\r\n", httpcore.frame(TEXT, "first"), httpcore.frame(CLOSE, ""))
        conn:read(6) -- its goodbye
      end)
      local ws <close> = assert(websocket.connect(("ws://127.0.0.1:%d"):format(select(2, listener:getsockname()))))
      assert.equal("first", (ws:receive()))
      assert.fails("EOF", ws:receive())
      assert.equal(1005, ws.closecode)
    end)
  end)

  it("raises on what is wrong with its arguments", function()
    local connect <const> = websocket.connect
    assert.raises("string expected", connect, 1)
    assert.raises("unknown option 'protocol'", connect, "ws://h", { protocol = "x" })
    assert.raises("option 'protocols'", connect, "ws://h", { protocols = { "a b" } })
    assert.raises("option 'protocols'", connect, "ws://h", { protocols = { "a", "a" } })
    assert.raises("option 'protocols'", connect, "ws://h", { protocols = 1 })
    assert.raises("handshake's own", connect, "ws://h", { headers = { Upgrade = "x" } })
    assert.raises("control character", connect, "ws://h", { headers = { X = "a\r\nb" } })
    local _, why = pcall(function() return (connect("ws://h", { headers = { X = "a\r\nb" } })) end)
    assert.matches("^[^\n]*websocket_spec%.lua:%d+: bad header field 'X'", why)
    assert.raises("option 'compress'", connect, "ws://h", { compress = "yes" })
    assert.raises("option 'send_window_bits' must be an integer from 8 to 15", connect, "ws://h",
      { compress = { send_window_bits = 16 } })
    assert.raises("unknown option 'windowbits'", connect, "ws://h", { compress = { windowbits = 15 } })
    assert.raises("option 'ping_interval'", connect, "ws://h", { ping_interval = 0 })
    assert.raises("option 'origin'", connect, "ws://h", { origin = 1 })
    local _, err = pcall(function() return (connect("ws://h", { maxmessage = 0 })) end)
    assert.truthy(err:find("websocket_spec.lua:", 1, true))
    assert.fails("EINVAL", connect "ws://h/#fragment")
    assert.fails("EPROTONOSUPPORT", connect "ftp://h/")
    assert.fails("EINVAL", connect "ws://")
    assert.fails("EINVAL", connect "ws://h:0/")
    assert.fails("EINVAL", connect "ws://h/a b")
  end)
end)

describe("websocket.accept", function()
  -- What the server answers to these bytes, and what accept returned.
  local function answered(bytes, options)
    return in_task(function()
      local near, far <close> = unix.pair()
      local task <close> = neap.spawn(function() return websocket.accept(near, options) end)
      far:write(bytes)
      far:shutdown "w"
      local answer = far:read "a"
      far:close()
      return answer, task:join()
    end)
  end

  local REQUEST <const> = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " .. SAMPLE_KEY .. "\r\n"

  it("answers a stream that brings no request for a WebSocket", function()
    local answer, ws, why, code = answered "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert.truthy(answer:find "^HTTP/1.1 426 Upgrade Required\r\n")
    assert.truthy(answer:find "\r\nUpgrade: websocket\r\n")
    assert.is_nil(ws)
    assert.truthy(why:find "websocket")
    assert.equal("EPROTO", code)
    answer = answered(REQUEST .. "Origin: https://evil.example\r\n\r\n")
    assert.truthy(answer:find "^HTTP/1.1 403 Forbidden\r\n")
    assert.equal("EACCES", select(4, answered(REQUEST .. "Origin: https://evil.example\r\n\r\n")))
    answer = answered "rubbish\r\n\r\n"
    assert.truthy(answer:find "^HTTP/1.1 400 Bad Request\r\n")
    assert.equal("", (answered "GET / HT"))
    assert.equal("EPROTO", select(4, answered "GET / HT"))
  end)

  it("takes what comes right behind the request", function()
    in_task(function()
      local near, far <close> = unix.pair()
      far:write(REQUEST, "\r\n", httpcore.frame(TEXT, "first", true, KEY))
      local ws <close> = assert(websocket.accept(near))
      assert.equal("first", (ws:receive()))
      assert.truthy(far:readuntil "\r\n\r\n":find "^HTTP/1.1 101 Switching Protocols\r\n")
      far:write(httpcore.frame(CLOSE, "", true, KEY))
      far:shutdown "w"
      assert.fails("EOF", ws:receive())
    end)
  end)

  it("waits no longer for a request than it may", function()
    in_task(function()
      local near, far <close> = unix.pair()
      far:write "GET / "
      assert.fails("ETIMEDOUT", websocket.accept(near, { open_timeout = 0.02 }))
      assert.fails("EOF", far:receive())
    end)
  end)

  it("raises on what is wrong with its arguments", function()
    assert.raises("request or stream expected, got nil", websocket.accept)
    assert.raises("request or stream expected, got table", websocket.accept, {})
    local near <close>, far = unix.pair()
    local far_guard <close> = far
    assert.raises("unknown option 'origin'", websocket.accept, near, { origin = "x" })
    assert.raises("option 'origins'", websocket.accept, near, { origins = { "example.com" } })
    assert.raises("option 'origins'", websocket.accept, near, { origins = 1 })
    assert.raises("function expected", websocket.handler, 1)
    assert.raises("option 'role'", websocket.over, near, {})
    assert.raises("stream expected", websocket.over, {}, { role = "server" })
    assert.raises("option 'extensions'", websocket.over, near, { role = "server", extensions = "x" })
    assert.truthy(near:isopen() and far:isopen())
  end)
end)

describe("http.serve", function()
  it("hands over to WebSockets", function()
    local found, http = pcall(require, "neap.http")
    helper.need(found and http.listen, "needs neap.http")
    in_task(function()
      local group <close> = neap.group()
      local server <close> = assert(http.listen "127.0.0.1:0")
      local upgrade = websocket.handler(function(ws, request)
        ws:send(request.path)
        echo(ws)
      end)
      group:spawn(server.serve, server, function(request)
        if request.path == "/ws" then return upgrade(request) end
        return "a page"
      end)
      local ip, port = server:getsockname()
      local url = ("ws://%s:%d"):format(ip, port)
      local ws <close> = assert(websocket.connect(url .. "/ws", { compress = true }))
      assert.equal("/ws", (ws:receive()))
      for i = 1, 100 do ws:send("m" .. i) end
      for i = 1, 100 do assert.equal("m" .. i, (ws:receive())) end
      assert.truthy(ws:close())
      -- frames right behind the request, and an end without a goodbye
      local conn <close> = assert(tcp.connect(ip, port))
      conn:write("GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
        .. "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " .. SAMPLE_KEY .. "\r\n\r\n",
        httpcore.frame(TEXT, "at once", true, KEY))
      assert.truthy(conn:readuntil "\r\n\r\n":find "^HTTP/1.1 101 ")
      assert.equal("\x81\3/ws\x81\7at once", conn:read(5 + 9))
      conn:close()
      local refused, _, code, response = websocket.connect(url .. "/ws", { origin = "http://evil.example" })
      assert.is_nil(refused)
      assert.equal("EPROTO", code)
      assert.equal(403, response.status)
      assert.equal(200, select(4, websocket.connect(url .. "/")).status)
      server:close()
    end)
  end)
end)

describe("examples/websocket_echo.lua", function()
  local function run(...)
    return lab.start({ "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath, helper.lua,
      "examples/websocket_echo.lua", ... }, { input = true, seconds = 20 * helper.slow })
  end

  it("echoes, and speaks to one that echoes", function()
    in_task(function()
      local server <close> = run("-l", "127.0.0.1", "0")
      local url = "ws://127.0.0.1:" .. server.output:read "l":match "port (%d+)"
      local client <close> = run(url .. "/talk")
      client.input:write "hello\nHällo\n"
      assert.equal("hello", client.output:read "l")
      assert.equal("Hällo", client.output:read "l")
      client.input:close()
      assert.equal("closed: 1000 ", client.output:read "l")
      assert.truthy(server.output:read "l":find " came for /talk")
      assert.truthy(server.output:read "l":find " left after 2 messages: 1000")
    end)
  end)
end)
