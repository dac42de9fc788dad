--- neap.connect and neap.listen by URL: the schemes of UDP and TLS. (tcp_spec
-- and unix_spec have theirs.)
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local neap <const> = require "neap"

local in_task <const> = helper.in_task

describe("a URL of udp", function()
  it("opens a socket that is bound, or connected, with the options", function()
    in_task(function()
      local server <close> = assert(neap.listen("udp://127.0.0.1:0", { timeout = 2 }))
      assert.same({ "udp", 2 }, { server:kind(), server:gettimeout() })
      local ip, port = server:getsockname()
      assert.equal("127.0.0.1", ip)
      local client <close> = assert(neap.connect(("udp://127.0.0.1:%d"):format(port), { timeout = 3 }))
      assert.same({ "127.0.0.1", port }, { client:getpeername() })
      assert.equal(3, client:gettimeout())
      assert(client:send "by URL")
      assert.equal("by URL", (server:receive()))
    end)
  end)

  it("stands for all addresses without a host, and with *", function()
    for _, url in ipairs { "udp://:0", "udp://*:0", "udp://*:0/" } do
      local sock <close> = assert(neap.listen(url))
      assert.is_truthy(({ ["::"] = true, ["0.0.0.0"] = true })[sock:getsockname()])
    end
  end)

  it("may have an IPv6 address in brackets, a name, a service's name", function()
    helper.need_ipv6()
    in_task(function()
      local six <close> = assert(neap.listen "udp://[::1]:0")
      local ip, port = six:getsockname()
      assert.equal("::1", ip)
      local client <close> = assert(neap.connect(("udp://[::1]:%d"):format(port)))
      assert.same({ "::1", port }, { client:getpeername() })
      local named <close> = assert(neap.connect "udp://localhost:domain")
      assert.equal(53, select(2, named:getpeername()))
    end)
  end)

  it("raises on what is none, and on options that UDP does not know", function()
    for _, wrong in ipairs { "udp:127.0.0.1:1", "udp://127.0.0.1", "udp://::1:1", "udp://127.0.0.1:1:2", "udp:" } do
      assert.raises("bad argument #1", neap.connect, wrong)
      assert.raises("bad argument #1", neap.listen, wrong)
    end
    assert.raises("is no udp://host:port", neap.listen, "udp://nothing")
    assert.raises("the schemes are tcp, udp, tls, dtls, sctp and unix", neap.listen, "gopher://x:70")
    assert.raises("port must be in", neap.connect, "udp://127.0.0.1:70000")
    assert.raises("port must be in", neap.connect, "udp://127.0.0.1:0")
    assert.raises("unknown option 'backlog'", neap.listen, "udp://127.0.0.1:0", { backlog = 5 })
  end)

  it("returns what the network says as a failure", function()
    local sock <close> = assert(neap.listen "udp://127.0.0.1:0")
    local _, port = sock:getsockname()
    assert.fails("EADDRINUSE", neap.listen(("udp://127.0.0.1:%d"):format(port)))
    assert.fails("EADDRNOTAVAIL", neap.listen "udp://192.0.2.1:0")
  end)
end)

describe("a URL of tls", function()
  it("is a listener whose connections are encrypted, and a stream to it", function()
    helper.need_program "openssl"
    in_task(function()
      local cert <const> = certs.get "good"
      local server <close> = assert(neap.listen("tls://127.0.0.1:0", { cert = cert.chain, key = cert.key }))
      local _, port = server:getsockname()
      local served <close> = neap.spawn(function()
        return server:serve(function(conn) conn:write(conn:read() .. "\n") end)
      end)
      local conn <close> = assert(neap.connect(("tls://127.0.0.1:%d"):format(port), {
        ca = certs.ca(), servername = "good.example", timeout = 5,
      }))
      conn:write "by URL\n"
      assert.equal("by URL", conn:read())
      assert.raises("is no tls://host:port", neap.listen, "tls://nothing")
      assert.raises("option 'cert' is missing", neap.listen, "tls://127.0.0.1:0")
      server:stop(0)
    end)
  end)
end)
