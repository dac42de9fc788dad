-- SPDX-License-Identifier: MIT
--- DNS over HTTPS: queries by POST, and servers that answer something else.
local certs <const> = require "support.certs"
local dns <const> = require "neap.dns"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local peer <const> = require "support.http_peer"
local tls <const> = require "neap.tls"

local function works(name, body)
  it(name, function()
    certs.need()
    helper.in_task(body)
  end)
end

local function answered(request)
  local message = assert(dns.decode(request.body))
  message.qr, message.ra = true, true
  message.answer = { { name = message.question[1].name, type = "A", class = "IN", ttl = 60, address = "192.0.2.7" } }
  message.additional = {}
  return assert(dns.encode(message))
end

local function reply(bytes, kind, status)
  return ("HTTP/1.1 %s X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"):format(status or 200,
    kind or "application/dns-message", #bytes, bytes)
end

-- A server of DNS over HTTPS that answers what answer(request) says; and a
-- resolver that asks it.
local function with_server(answer, body)
  local server <close> = peer.server(answer, assert(tls.listen("127.0.0.1", 0, lab.listener())), "https")
  local resolver = assert(dns.resolver {
    servers = { ("https://good.example:%d/dns-query#127.0.0.1"):format(server.port) }, tls = { ca = certs.ca() },
    try_timeout = 1 * helper.slow, tries = 1, cache = false,
  })
  return body(resolver, server)
end

describe("DNS over HTTPS", function()
  works("asks by POST", function()
    with_server(function(request) return reply(answered(request)) end, function(resolver, server)
      local list = assert(resolver:query("www.test", "A"))
      assert.equal("192.0.2.7", list[1].address)
      local request = server.requests[1]
      assert.equal("POST", request.method)
      assert.equal("/dns-query", request.target)
      assert.equal("application/dns-message", request.headers:get "content-type")
      assert.equal("application/dns-message", request.headers:get "accept")
      assert.equal("good.example:" .. server.port, request.headers:get "host")
      assert.equal(0, #request.body % 128) -- padded
    end)
  end)

  works("takes the time that an answer lay in a cache off its TTL", function()
    local ages = { "50", "70", "99999999999999999999", "x", "0" }
    with_server(function(request)
      return (reply(answered(request)):gsub("\r\n", "\r\nAge: " .. table.remove(ages, 1) .. "\r\n", 1))
    end, function(_, server)
      local resolver = assert(dns.resolver {
        servers = { ("https://good.example:%d/dns-query#127.0.0.1"):format(server.port) }, tls = { ca = certs.ca() },
      })
      local list = assert(resolver:query("a.test", "A"))
      assert.equal(10, list[1].ttl)
      list = assert(resolver:query("a.test", "A"))
      assert.is_true(list.cached and list[1].ttl <= 10)
      for i, ttl in ipairs { 0, 0, 60 } do
        list = assert(resolver:query(i .. ".test", "A"))
        assert.equal(ttl, list[1].ttl)
      end
      assert.is_false(assert(resolver:query("1.test", "A")).cached)
    end)
  end)

  for name, answer in pairs {
    ["another type"] = function(request) return reply(answered(request), "text/html") end,
    ["another status"] = function() return reply("no", "text/plain", 403) end,
    ["a redirect"] = function() return "HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n" end,
    ["garbage"] = function() return reply "garbage" end,
    ["nothing"] = function() return reply "" end,
    ["too much"] = function() return reply(("x"):rep(70000)) end,
    ["no HTTP"] = function() return "garbage\r\n\r\n" end,
    ["the end"] = function() return false end,
    ["another's answer"] = function(request) return reply("\0\0" .. answered(request):sub(3)) end,
    ["silence"] = function() neap.sleep(3600) end,
  } do
    works("fails where the answer is " .. name, function()
      with_server(answer, function(resolver, server)
        local list, why, code = resolver:query("www.test", "A", { try_timeout = 0.3 * helper.slow })
        assert.fails(code, list, why, code)
        assert.equal(1, server.connections)
      end)
    end)
  end

  works("keeps its connection for the next query", function()
    with_server(function(request) return reply(answered(request)) end, function(resolver, server)
      for _ = 1, 3 do assert(resolver:query "www.test") end
      assert.equal(1, server.connections)
      resolver:flush()
      assert(resolver:query "www.test")
      assert.equal(2, server.connections)
    end)
  end)

  works("makes another where the one that was kept ends without an answer", function()
    local asked = {}
    with_server(function(request)
      asked[request.connection] = (asked[request.connection] or 0) + 1
      return asked[request.connection] < 3 and reply(answered(request)) -- the third one ends it
    end, function(resolver, server)
      for _ = 1, 6 do assert(resolver:query "www.test") end
      assert.equal(3, server.connections)
    end)
  end)

  works("believes no certificate of another name", function()
    with_server(function(request) return reply(answered(request)) end, function(_, server)
      local list, why = dns.resolver {
        servers = { ("https://127.0.0.1:%d/dns-query"):format(server.port) }, tls = { ca = certs.ca() }, tries = 1,
      }:query("www.test", "A")
      assert.is_nil(list)
      assert.truthy(why:find("127.0.0.1", 1, true), why)
      assert.equal(0, #server.requests)
    end)
  end)

  it("is said by a URL", function()
    for _, text in ipairs { "https://", "https:///dns-query", "https://h/ x", "https://h/#name", "https://h/#" } do
      assert.raises("option 'servers'", dns.resolver, { servers = { text } })
    end
  end)
end)
