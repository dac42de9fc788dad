--- Server-sent events of a URL: as they come, over connections that end.
local helper <const> = require "support.helper"
local http <const> = require "neap.http"
local neap <const> = require "neap"
local peer <const> = require "support.http_peer"

local in_task <const> = helper.in_task

local function works(name, body)
  it(name, function() in_task(body) end)
end

local HEAD <const> = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
local OVER <const> = "HTTP/1.1 204 No Content\r\n\r\n"

-- A server of one script for each connection: text, which the end follows.
local function script(...)
  local texts = { ... }
  return peer.raw(function(conn, self, n)
    self.requests[n] = peer.read_request(conn)
    conn:write(texts[n] or OVER)
  end)
end

describe("http.events", function()
  works("gives them as they come", function()
    local words = neap.channel()
    local server <close> = peer.raw(function(conn, self)
      self.requests[1] = peer.read_request(conn)
      conn:write(HEAD)
      for word in words:values() do conn:write("event: word\ndata: ", word, "\n\n") end
    end)
    local stream <close> = http.events(server.url)
    local other = neap.spawn(function()
      for _, word in ipairs { "one", "two" } do words:send(word) end
    end)
    assert.same({ type = "word", data = "one", id = "" }, stream:next())
    assert.same({ type = "word", data = "two", id = "" }, stream:next())
    other:join()
    assert.equal("text/event-stream", server.requests[1].headers:get "accept")
    assert.is_nil(server.requests[1].headers:get "last-event-id")
    assert.is_nil(server.requests[1].headers:get "accept-encoding")
  end)

  works("goes on behind the last one when the connection ends", function()
    local server <close> = script(HEAD .. "retry: 5\n\nid: 1\ndata: a\n\nid: 2\ndata: b\n\ndata: half",
      HEAD .. "data: c\n\n", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "garbage\r\n\r\n",
      HEAD .. "id\ndata: d\n\n")
    local list = {}
    for event in http.events(server.url, { headers = { ["X-Mine"] = "1" } }) do list[#list + 1] = event.data
      .. event.id end
    assert.same({ "a1", "b2", "c2", "d" }, list)
    assert.equal(6, server.connections)
    assert.equal("2", server.requests[2].headers:get "last-event-id")
    assert.equal("2", server.requests[5].headers:get "last-event-id")
    assert.is_nil(server.requests[6].headers:get "last-event-id")
    assert.equal("1", server.requests[6].headers:get "x-mine")
  end)

  works("does not say an id that no field can carry", function()
    local server <close> = script(HEAD .. "retry: 5\nid: a\1b\ndata: a\n\n", HEAD .. "id: \xe9\ndata: b\n\n")
    local list = {}
    for event in http.events(server.url, { min_retry = 0.005 }) do list[#list + 1] = event.data .. event.id end
    assert.same({ "aa\1b", "b\xe9" }, list)
    assert.is_nil(server.requests[2].headers:get "last-event-id")
    assert.equal("\xe9", server.requests[3].headers:get "last-event-id")
  end)

  works("begins behind one that was known before", function()
    local server <close> = script()
    local stream <close> = http.events(server.url, { last_id = "77" })
    assert.fails("EOF", stream:next())
    assert.fails("EOF", stream:next())
    assert.equal("77", server.requests[1].headers:get "last-event-id")
  end)

  for what, text in pairs {
    ["404"] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ["500 at first"] = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    ["another type"] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
    ["no type"] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
  } do
    works("ends with a failure: " .. what, function()
      local server <close> = script(text)
      local stream = http.events(server.url)
      assert.fails("EPROTO", stream:next())
      assert.fails("EPROTO", stream:next())
      assert.equal(1, server.connections)
      local again <close> = script(text)
      assert.raises("events: ", function()
        for _ in http.events(again.url) do error "none came" end
      end)
    end)
  end

  works("fails if there is nobody at first, and tries so often later", function()
    assert.fails("ECONNREFUSED", http.events "http://127.0.0.1:1/":next())
    local server = script(HEAD .. "retry: 1\n\ndata: x\n\n")
    local stream <close> = http.events(server.url, { attempts = 2 })
    assert.equal("x", stream:next().data)
    server:close()
    assert.fails("ECONNREFUSED", stream:next())
  end)

  works("fails on an event without end", function()
    local server <close> = script(HEAD .. "data: " .. ("x"):rep(5000))
    assert.fails("EMSGSIZE", http.events(server.url, { max_event = 1000 }):next())
  end)

  works("makes a new connection when nothing comes for too long", function()
    local server <close> = peer.raw(function(conn, _, n)
      peer.read_request(conn)
      if n > 1 then return conn:write(OVER) end
      conn:write(HEAD, "retry: 1\n\ndata: x\n\n")
      neap.sleep(3600)
    end)
    local n = 0
    for _ in http.events(server.url, { idle_timeout = 0.03, timeout = 5 }) do n = n + 1 end
    assert.equal(1, n)
    assert.equal(2, server.connections)
  end)

  works("ends its connection when the loop is left, or it is closed", function()
    local gone = 0
    local server <close> = peer.raw(function(conn)
      peer.read_request(conn)
      conn:write(HEAD, "data: x\n\ndata: y\n\n")
      conn:receive()
      gone = gone + 1
    end)
    local n = 0
    for event in http.events(server.url) do
      n = n + 1
      assert.equal(n == 1 and "x" or "y", event.data)
      if n == 2 then break end
    end
    helper.eventually(function() return gone == 1 end)
    local stream = http.events(server.url)
    stream:next()
    local task = neap.spawn(function()
      stream:next()
      return stream:next()
    end)
    helper.eventually(function() return task:status() == "waiting" end)
    stream:close()
    assert.fails("ECLOSED", task:join())
    helper.eventually(function() return gone == 2 end)
    assert.fails("ETIMEDOUT", neap.timeout(0.05, function()
      for _ in http.events(server.url) do neap.sleep(0) end
    end))
    helper.eventually(function() return gone == 3 end)
  end)

  -- How long it waits before the second connection, and the third.
  local function pauses(text, options)
    local times = {}
    local server <close> = peer.raw(function(conn)
      peer.read_request(conn)
      times[#times + 1] = neap.now()
      conn:write(#times < 3 and HEAD .. text or OVER)
    end)
    local stream <close> = http.events(server.url, options)
    while stream:next() do neap.sleep(0) end
    return times[2] - times[1], times[3] - times[2]
  end

  works("obeys the server within bounds", function()
    local first, second = pauses("retry: 0\n\n", {})
    assert.is_true(first >= 0.1 and second >= 0.1)
    first, second = pauses("retry: 999999999999\n\n", { max_retry = 0.05, retry = 0.01, min_retry = 0 })
    assert.is_true(first >= 0.05 and first < 5 * helper.slow and second >= 0.05 and second < 5 * helper.slow)
    first = pauses("retry: 30\n\n", { min_retry = 0.02 })
    assert.is_true(first >= 0.03 and first < 2.5 * helper.slow)
    first = pauses("data: x\n\n", { max_retry = 0.02 }) -- the usual time, too
    assert.is_true(first < 2.5 * helper.slow)
  end)

  it("has bounds that can be", function()
    assert.raises("option 'max_retry' must not be less than 'retry'", http.events, "http://h",
      { retry = 2, max_retry = 1 })
    assert.raises("option 'max_retry' must not be less than 'min_retry'", http.events, "http://h",
      { min_retry = 2, max_retry = 1 })
    assert.truthy(http.events("http://h", { retry = 1000 }))
    assert.truthy(http.events("http://h", { min_retry = 1000 }))
  end)

  works("may use a client", function()
    local server <close> = script(HEAD .. "data: x\n\n")
    local client <close> = http.client { headers = { ["X-Client"] = "1" } }
    local stream <close> = http.events(server.url, { client = client, retry = 0.001 })
    assert.equal("x", stream:next().data)
    assert.equal("1", server.requests[1].headers:get "x-client")
    assert.fails("EOF", stream:next())
    assert.equal(0, client:connections().active)
  end)

  it("blames the line that called", function()
    for _, call in ipairs {
      function() http.events(5) end, function() http.events("http://h", { bad = 1 }) end,
      function() http.events("http://h", { retry = -1 }) end, function() http.events("http://h", { client = {} }) end,
      function() http.events("http://h", { last_id = "\n" }) end,
      function() http.events("http://h", { headers = { a = "\n" } }) end,
    } do
      local fine, err = pcall(call)
      assert.is_false(fine)
      assert.truthy(tostring(err):find("http_events_spec.lua:", 1, true), err)
    end
  end)
end)
