--- The HTTP client's pool: what is reused, what is not, how many there may be,
-- and connections that have gone stale.
local helper <const> = require "support.helper"
local http <const> = require "neap.http"
local neap <const> = require "neap"
local peer <const> = require "support.http_peer"

local in_task <const> = helper.in_task
local ok <const> = peer.ok

local function works(name, body)
  it(name, function() in_task(body) end)
end

local function text_of(client, url, options) return assert(assert(client:get(url, options)):text()) end

local function vanish(conn)
  conn:setsockopt("SO_LINGER", 0)
  conn:close()
end

describe("http: a connection", function()
  works("is used again", function()
    local server <close> = peer.server(function() return ok "x" end)
    local client <close> = http.client {}
    for _ = 1, 5 do assert.equal("x", text_of(client, server.url)) end
    assert.equal(1, server.connections)
    local state = client:connections()
    assert.same({ active = 0, idle = 1, made = 1, reused = 4, stale = 0,
      hosts = { [server.url] = { active = 0, idle = 1, waiting = 0 } } }, state)
  end)

  works("is used again before the body was read, when all of it came", function()
    local server <close> = peer.server(function() return ok "x" end)
    local client <close> = http.client { max_per_host = 1 }
    local responses = {}
    for i = 1, 3 do responses[i] = assert(client:get(server.url)) end
    for i = 1, 3 do assert.equal("x", responses[i]:text()) end
    assert.equal(1, server.connections)
  end)

  works("is not, while a body is being read", function()
    local server <close> = peer.server(function() return ok(("x"):rep(1 << 20)) end)
    local client <close> = http.client {}
    local one = assert(client:get(server.url))
    local other = assert(client:get(server.url))
    assert.equal(2, client:connections().active)
    assert.equal(1 << 20, #one:text())
    assert.equal(1 << 20, #other:text())
    assert.same({ 0, 2 }, { client:connections().active, client:connections().idle })
  end)

  local closing <const> = {
    ["Connection: close"] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
    ["HTTP/1.0"] = "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ["more than its answer"] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
  }
  for name, text in pairs(closing) do
    works("is not, after an answer with " .. name, function()
      local server <close> = peer.server(function() return text end)
      local client <close> = http.client {}
      for _ = 1, 3 do assert.equal("x", text_of(client, server.url)) end
      assert.equal(3, server.connections)
      assert.equal(0, client:connections().idle)
    end)
  end

  works("of HTTP/1.0 is used again where it says so", function()
    local server <close> = peer.server(function()
      return "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"
    end)
    local client <close> = http.client {}
    for _ = 1, 3 do assert.equal("x", text_of(client, server.url)) end
    assert.equal(1, server.connections)
  end)

  works("is not, where the program does not want it", function()
    local server <close> = peer.server(function() return ok "x" end)
    local client <close> = http.client {}
    text_of(client, server.url, { keepalive = false })
    assert.equal("close", server.requests[1].headers:get "connection")
    text_of(client, server.url, { keepalive = false, headers = { TE = "trailers" } })
    assert.equal("close, TE", server.requests[2].headers:get "connection")
    assert.equal(0, client:connections().idle)
  end)

  works("is not, after a body that was given up", function()
    local server <close> = peer.server(function() return ok(("x"):rep(1 << 20)) end)
    local client <close> = http.client {}
    client:get(server.url):close()
    assert.equal(0, client:connections().idle)
    assert.is_true(client:get(server.url):discard())
    assert.equal(1, client:connections().idle)
  end)

  works("is another host's for another host, port, or socket", function()
    local one <close> = peer.server(function() return ok "1" end)
    local two <close> = peer.server(function() return ok "2" end)
    local client <close> = http.client { resolve = { ["h.example"] = "127.0.0.1" } }
    assert.equal("1", text_of(client, one.url))
    assert.equal("2", text_of(client, two.url))
    assert.equal("1", text_of(client, "http://h.example:" .. one.port))
    assert.equal(3, client:connections().idle)
  end)
end)

describe("http: a connection that has gone stale", function()
  works("is noticed before it is used", function()
    local open
    local server <close> = peer.server(function(_, conn)
      open = conn
      return ok "x"
    end)
    local client <close> = http.client {}
    for _ = 1, 4 do
      assert.equal("x", text_of(client, server.url))
      open:close()
    end
    assert.equal(4, server.connections)
    assert.equal(3, client:connections().stale)
    assert.equal("x", assert(client:post(server.url, { body = function() end })):text())
  end)

  works("is noticed when something came on it, which nobody asked for", function()
    local open
    local server <close> = peer.server(function(_, conn)
      open = conn
      return ok "x"
    end)
    local client <close> = http.client {}
    assert.equal("x", text_of(client, server.url))
    open:write(ok "poison")
    assert.equal("x", text_of(client, server.url))
    assert.equal(2, server.connections)
  end)

  -- Answers once on each connection, and breaks it at the second request.
  local function breaking(how)
    return peer.server(function(request, conn, self)
      self.count = (self.count or 0) + 1
      if conn:gettimeout() then
        how(conn)
        return false
      end
      conn:settimeout(3600) -- a mark
      return ok("x" .. request.body)
    end)
  end

  for name, how in pairs { closed = function() end, reset = vanish } do
    works("is replaced once where that is safe: " .. name, function()
      local server <close> = breaking(how)
      local client <close> = http.client {}
      for _ = 1, 3 do assert.equal("x", text_of(client, server.url)) end
      assert.equal(3, server.connections)
      assert.equal(5, server.count)
      assert.equal("xbody", assert(client:put(server.url, { body = "body" })):text())
    end)

    works("is a failure where that is not safe: " .. name, function()
      local server <close> = breaking(how)
      local client <close> = http.client {}
      assert.equal("x", text_of(client, server.url))
      assert.is_nil(client:post(server.url, { body = "pay" }))
      assert.equal(2, server.count)
      assert.equal("x", text_of(client, server.url))
      assert.is_nil(client:put(server.url, { body = function() end }))
      assert.is_nil((client:patch(server.url)) and nil)
    end)
  end

  works("is a failure after a part of an answer", function()
    local server <close> = peer.server(function(_, conn)
      if conn:gettimeout() then
        conn:write "HTTP/1.1 2"
        return false
      end
      conn:settimeout(3600)
      return ok "x"
    end)
    local client <close> = http.client {}
    assert.equal("x", text_of(client, server.url))
    assert.fails("EPROTO", client:get(server.url))
    assert.equal(1, server.connections)
  end)

  works("is not tried for ever", function()
    local server <close> = peer.raw(function(conn, _, n)
      peer.read_request(conn)
      if n == 1 then
        conn:write(ok "x")
        peer.read_request(conn)
      end
    end)
    local client <close> = http.client {}
    assert.equal("x", text_of(client, server.url))
    assert.fails("EPROTO", client:get(server.url))
    assert.equal(2, server.connections)
  end)
end)

describe("http: limits of the pool", function()
  -- Holds its answers until it is told.
  local function holding()
    local server = peer.server(function(_, conn, self)
      self.now = (self.now or 0) + 1
      self.most = math.max(self.most or 0, self.now)
      self.gate:wait()
      self.now = self.now - 1
      conn:write(ok "x")
    end)
    server.gate = neap.event()
    return server
  end

  works("hold for each host, and who waits is served in order", function()
    local server <close> = holding()
    local client <close> = http.client { max_per_host = 3 }
    local order = {}
    do
      local group <close> = neap.group()
      for i = 1, 12 do
        group:spawn(function()
          assert.equal("x", text_of(client, server.url))
          order[#order + 1] = i
        end)
      end
      helper.eventually(function() return server.now == 3 end)
      neap.sleep(0.01)
      assert.equal(3, server.now)
      assert.same({ active = 3, idle = 0, waiting = 9 }, client:connections().hosts[server.url])
      server.gate:set()
    end
    assert.equal(12, #order)
    assert.equal(3, server.connections)
    assert.equal(3, server.most)
  end)

  works("hold in all", function()
    local one <close> = holding()
    local two <close> = holding()
    local client <close> = http.client { max_connections = 2 }
    do
      local group <close> = neap.group()
      for i = 1, 8 do group:spawn(function() text_of(client, i % 2 == 0 and one.url or two.url) end) end
      helper.eventually(function() return (one.now or 0) + (two.now or 0) == 2 end)
      neap.sleep(0.01)
      assert.equal(2, (one.now or 0) + (two.now or 0))
      one.gate:set()
      two.gate:set()
    end
    local state = client:connections()
    assert.equal(0, state.active)
    assert.truthy(state.idle <= 2, state.idle)
  end)

  works("do not hold up whoever has no time", function()
    local server <close> = holding()
    local client <close> = http.client { max_per_host = 1 }
    local first <close> = neap.spawn(function() return text_of(client, server.url) end)
    helper.eventually(function() return server.now == 1 end)
    local _, why, code = client:get(server.url, { timeout = 0.03 })
    assert.equal("ETIMEDOUT", code)
    assert.truthy(why:find "pool")
    assert.fails("ETIMEDOUT", neap.timeout(0.03, client.get, client, server.url))
    local second <close> = neap.spawn(function() return text_of(client, server.url) end)
    neap.sleep(0.005)
    local third <close> = neap.spawn(function() return text_of(client, server.url) end)
    neap.sleep(0.005)
    second:cancel()
    server.gate:set()
    assert.equal("x", first:join())
    assert.equal("x", third:join())
    assert.same({ [server.url] = { active = 0, idle = 1, waiting = 0 } }, client:connections().hosts)
  end)

  works("hold for those that are idle", function()
    local client <close> = http.client { max_idle = 2 }
    local servers = {}
    for i = 1, 4 do
      servers[i] = peer.server(function() return ok "x" end)
      text_of(client, servers[i].url)
    end
    assert.equal(2, client:connections().idle)
    assert.is_nil(client:connections().hosts[servers[1].url])
    assert.truthy(client:connections().hosts[servers[4].url])
    local none <close> = http.client { max_idle = 0 }
    text_of(none, servers[1].url)
    assert.equal(0, none:connections().idle)
    for _, server in ipairs(servers) do server:close() end
  end)

  works("hold for how long they are idle", function()
    local server <close> = peer.server(function() return ok "x" end)
    local client <close> = http.client { idle_timeout = 0.02 }
    text_of(client, server.url)
    neap.sleep(0.03)
    text_of(client, server.url)
    assert.equal(2, server.connections)
  end)

  works("count nothing twice, whatever happens", function()
    local server <close> = peer.server(function(request, conn)
      local what = request.target:sub(2)
      if what == "reset" then vanish(conn) return false end
      if what == "garbage" then return "garbage\r\n\r\n" end
      if what == "cut" then conn:write "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx" return false end
      if what == "slow" then neap.sleep(0.03) end
      if what == "big" then return ok(("x"):rep(200000)) end
      return ok "x"
    end)
    local client <close> = http.client { max_per_host = 4 }
    local kinds = { "reset", "garbage", "cut", "slow", "big", "fine", "close", "scope" }
    do
      local group <close> = neap.group()
      for i = 1, 80 do
        group:spawn(function()
          local kind = kinds[i % #kinds + 1]
          if kind == "scope" then return neap.timeout(0.01, client.get, client, server.url .. "/slow") end
          local response = client:get(server.url .. "/" .. (kind == "close" and "big" or kind), { timeout = 5 })
          if not response then return end
          if kind == "close" then return response:close() end
          response:text()
        end)
      end
    end
    collectgarbage()
    local state = client:connections()
    assert.equal(0, state.active)
    client:closeidle()
    assert.same({}, client:connections().hosts)
    assert.equal("x", text_of(client, server.url))
  end)
end)

describe("http: a client", function()
  works("that is closed takes no more requests, and lets those that run end", function()
    local server <close> = peer.server(function() return ok(("x"):rep(1 << 20)) end)
    local client = http.client {}
    client:get(server.url):discard()
    local running = assert(client:get(server.url))
    assert.is_true(client:isopen())
    assert.is_true(client:close())
    assert.is_false(client:isopen())
    assert.fails("ECLOSED", client:get(server.url))
    assert.equal(1 << 20, #running:text())
    assert.equal(0, client:connections().idle)
    assert.is_true(client:close())
  end)

  works("of one call leaves nothing behind", function()
    local gone = 0
    local server <close> = peer.raw(function(conn)
      while peer.read_request(conn) do conn:write(ok "x") end
      gone = gone + 1
    end)
    local response = assert(http.get(server.url))
    helper.eventually(function() return gone == 1 end)
    assert.equal("x", response:text())
  end)

  it("works outside of any task, too", function()
    local server
    local ready = neap.spawn({ daemon = true }, function()
      server = peer.server(function(request) return ok(request.body) end)
    end)
    ready:join()
    local client <close> = http.client {}
    assert.equal("", text_of(client, server.url))
    local long = ("x"):rep(300000)
    assert.equal(long, client:post(server.url, { body = long }):text())
    assert.equal(1, server.connections)
    server:close()
  end)
end)
