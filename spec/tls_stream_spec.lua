--- Streams over TLS: the contract of every stream, over TCP, over a pair of
-- Unix sockets, and over TLS.
local certs <const> = require "support.certs"
local contract <const> = require "support.stream_contract"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"

-- Both ends of TLS over both ends of something. It waits: outside of a task
-- it drives the loop.
local function over(under)
  return function(options)
    local a, b = under(options)
    local server <const> = neap.spawn(function()
      return b:starttls { server = true, context = lab.server_context(), timeout = 5 }
    end)
    assert(a:starttls { context = lab.client_context(), servername = "good.example", timeout = 5 })
    assert(server:join())
    return a, b
  end
end

local function tcp_pair(options) return assert(tcp.pair(options)) end
local function unix_pair(options) return assert(unix.pair(options)) end

local kinds <const> = {
  { "TLS over TCP", over(tcp_pair) },
  { "TLS over a Unix pair", over(unix_pair) },
  { "TLS over TLS", over(over(unix_pair)) },
}

if helper.has_program "openssl" then
  certs.get "good"
  for _, kind in ipairs(kinds) do contract(_ENV, kind[1], kind[2], { secure = true }) end

  describe("close of TLS over TLS", function()
    for _, make in ipairs { tcp_pair, unix_pair } do
      it("says both ends", function()
        helper.in_task(function()
          local a <close>, b = over(make)()
          local x <close>, y = unix_pair()
          local theirs <close> = b
          local outer <close> = y
          local group <close> = neap.group()
          local function relay(from, to) -- what is within the one that ends here
            for bytes in function() return from:receive() end do to:write(bytes) end
            return from:receive()
          end
          local up <const> = group:spawn(relay, b, x)
          group:spawn(relay, x, b)
          local server <const> = group:spawn(function()
            return y:starttls { server = true, context = lab.server_context(), timeout = 5 }
          end)
          assert(a:starttls { context = lab.client_context(), servername = "good.example", timeout = 5 })
          assert(server:join())
          assert(a:write "all")
          assert(a:close())
          assert.equal("all", y:read "a")
          y:close()
          local line, why, code = up:join()
          assert.fails("EOF", line, why, code)
        end)
      end)
    end
  end)
else
  pending "the contract of streams: needs the program openssl"
end
