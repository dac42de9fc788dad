-- SPDX-License-Identifier: MIT
-- Codecs: heads, answers and frames between C and a stream, without strings.
local core <const> = require "neap.core"
local helper <const> = require "support.helper"
local httpcore <const> = require "neap.httpcore"
local neap <const> = require "neap"
local unix <const> = require "neap.unix"

local in_task <const> = helper.in_task
local GET <const> = "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
local BEGIN <const> = "HTTP/1.1 200 OK\r\n"

local function heads() return httpcore.heads("request", {}, { __index = { version = "1.1" } }) end

describe("codecs", function()
  local near, far

  before_each(function() near, far = assert(unix.pair()) end)

  after_each(function()
    near:close()
    far:close()
  end)

  it("take a head and leave what follows it", function()
    in_task(function()
      far:write(GET:format "a", GET:format "b", "rest")
      local request, left, usual = core.decode(near, heads(), near)
      assert.same({ "/a", "1.1", #GET:format "b" + 4, true, near },
        { request.target, request.version, left, usual, request.conn })
      assert.equal("a", request.headers:get "host")
      assert.equal("/b", core.decode(near, heads()).target)
      assert.equal("rest", near:receive())
    end)
  end)

  it("leave to a parser what is not whole, is long, or is refused", function()
    local many = ("X: y\r\n"):rep(100)
    for _, bytes in ipairs {
      "GET / HT", "G\1", "GET / HTTP/1.1\r\n\r\n",
      ("GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n"):format(("y"):rep(4096)),
      ("GET / HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(many),
    } do
      in_task(function()
        far:write(bytes)
        assert.is_false((core.decode(near, heads())))
        assert.equal(bytes, near:receive())
      end)
    end
    in_task(function()
      far:write(("GET / HTTP/1.1\r\nHost: a\r\n%s\r\nmore"):format(many))
      local request, left = core.decode(near, httpcore.parser "request")
      assert.same({ 101, 4, "more" }, { #request.headers, left, near:receive() })
    end)
  end)

  it("parse the same wherever a head is cut", function()
    local bytes = GET:format "cut"
    for at = 1, #bytes - 1 do
      in_task(function()
        local parser = httpcore.parser "request"
        far:write(bytes:sub(1, at))
        assert.is_false((core.decode(near, parser)))
        far:write(bytes:sub(at + 1), "!")
        local request, left = core.decode(near, parser)
        assert.same({ "/cut", 1, "!" }, { request.target, left, near:receive() })
      end)
    end
  end)

  it("survive a finalizer that closes the stream meanwhile", function()
    local codec, before, meanwhile = heads(), collectgarbage "generational", 0
    local guard <close> = helper.defer(function() collectgarbage(before) end)
    for _ = 1, 20 do
      local a, b = assert(unix.pair())
      local inside = false
      in_task(function()
        b:write(GET:format(("x"):rep(100)))
        assert.equal("", a:peek(0))
        collectgarbage "stop"
        setmetatable({}, { __gc = function()
          meanwhile = meanwhile + (inside and 1 or 0)
          a:close()
        end })
        inside = true
        collectgarbage "restart" -- so the next allocation collects
        local request = core.decode(a, codec)
        inside = false
        if request then assert.equal("/" .. ("x"):rep(100), request.target) end
        b:close()
      end)
    end
    assert.is_true(meanwhile > 0)
  end)

  it("send what the stream takes, and give back the rest", function()
    local answers, body, all, got = httpcore.answers(), ("b"):rep(16384), 0, ""
    in_task(function()
      local results
      repeat
        results = { core.encode(near, answers, BEGIN, body) }
        all = all + 1
        if all % 8 == 0 then neap.sleep(0) end -- a task that never gives way sends nothing in the end
      until not results[1]
      neap.spawn(function()
        assert(near:write(table.unpack(results, 2)))
        near:shutdown "w"
      end)
      got = far:read "a"
    end)
    local head, n = got:match "^(.-\r\n\r\n)", 0
    for date, text in got:gmatch "HTTP/1.1 200 OK\r\nContent%-Length: 16384\r\nDate: ([^\r]*)\r\n\r\n(b*)" do
      assert.equal(29, #date)
      assert.equal(body, text)
      n = n + 1
    end
    assert.is_true(n > 1)
    assert.equal(all, n)
    assert.equal(all * (#head + #body), #got)
  end)

  it("encode nothing but what they are for", function()
    local answers, frames = httpcore.answers(), httpcore.frames()
    in_task(function()
      for _, body in ipairs { 7, {}, true, ("x"):rep(16385) } do
        assert.is_nil((core.encode(near, answers, BEGIN, body)))
      end
      assert.is_nil((core.encode(near, frames, 1, "\xff")))
      assert.is_nil((core.encode(near, frames, 8, "")))
      assert.is_nil((core.encode(near, frames, 2, ("x"):rep(5000), "1234")))
      assert.is_true(core.encode(near, frames, 2, ("x"):rep(5000)))
      assert.is_true(core.encode(near, frames, 1, "hi", "\0\0\0\0"))
      assert.equal(5004 + 8, #far:read(5004 + 8))
    end)
  end)

  it("take frames where they lie, masked or not, short or long, whole or not", function()
    for _, n in ipairs { 0, 1, 125, 126, 4096, 4097, 70000 } do
      for _, key in ipairs { false, "k3y!" } do
        local payload = ("p"):rep(n)
        local bytes = httpcore.frame(2, payload, true, key or nil)
        for _, at in ipairs { 0, 1, 3, #bytes - 1 } do
          in_task(function()
            local deframer = httpcore.deframer(key and true or false, 1 << 20)
            neap.spawn(function()
              far:write(bytes:sub(1, at))
              neap.sleep(0)
              far:write(bytes:sub(at + 1), "!")
            end)
            local opcode, data, fin, left
            repeat opcode, data, fin, left = core.decode(near, deframer) until opcode
            assert.same({ 2, payload, true }, { opcode, data, fin })
            assert.equal("!", left > 0 and near:receive() or near:read(1))
          end)
        end
      end
    end
  end)

  it("are told from other values", function()
    in_task(function()
      for _, value in ipairs { 1, "x", {}, near, io.stdout } do
        assert.raises("codec expected", core.decode, near, value)
      end
      assert.raises("only encodes", core.decode, near, httpcore.answers())
      assert.raises("only decodes", core.encode, near, heads())
    end)
  end)

  it("fail as receive does", function()
    in_task(function()
      near:settimeout(0)
      assert.equal("ETIMEDOUT", select(3, core.decode(near, heads())))
      far:close()
      assert.equal("EOF", select(3, core.decode(near, heads())))
      near:close()
      assert.equal("ECLOSED", select(3, core.decode(near, heads())))
      assert.is_false((core.encode(near, httpcore.answers(), BEGIN, "x")))
    end)
  end)
end)

describe("an idle stream", function()
  it("is quiet until something comes, or ends", function()
    local near, far = assert(unix.pair())
    in_task(function()
      assert.is_true(core.is_quiet(near))
      far:write "x"
      helper.eventually(function() return core.is_quiet(near) == false end)
      assert.equal("x", near:receive())
      assert.is_true(core.is_quiet(near))
      far:close()
      helper.eventually(function() return core.is_quiet(near) == false end)
      near:close()
      assert.is_false((core.is_quiet(near)))
    end)
  end)

  it("tells whether a task reads", function()
    local near, far = assert(unix.pair())
    in_task(function()
      assert.is_false(core.is_reading(near))
      local task = neap.spawn(near.receive, near)
      neap.sleep(0)
      assert.is_true(core.is_reading(near))
      far:write "x"
      assert.equal("x", task:join())
      assert.is_false(core.is_reading(near))
      near:close()
      far:close()
    end)
  end)
end)
