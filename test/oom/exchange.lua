-- HTTP, both ends: requests with headers, bodies each way, chunks, trailers,
-- connections that are kept, redirects, coded bodies, and what is left unread.
local neap = require "neap"
local http = require "neap.http"

function neap.onerror(_, err)
  if not tostring(err):find("memory", 1, true) then print("onerror: " .. tostring(err)) end
end

local LARGE = ("x"):rep(40000)

local function pieces(n)
  return function()
    n = n - 1
    return n >= 0 and "piece " .. n or nil
  end
end

local function routes()
  return http.router()
    :get("/", function(request) return 200, "hello", { ["X-Asked"] = request.headers:get "x-ask" } end)
    :get("/moved", function() return 302, "", { Location = "/?there" } end)
    :get("/pieces", function() return { body = pieces(3), trailers = { ["X-Sum"] = "3" } } end)
    :get("/large", function() return LARGE end)
    :get("/bad", function() error "what a handler says" end)
    :post("/echo", function(request) return 200, assert(request:text()), { ["X-N"] = request.headers:get "x-n" } end)
end

-- Lets a client talk to a server until both have ended.
local function served(talk)
  local server <close> = assert(http.listen("127.0.0.1:0", { head_timeout = 0.3, idle_timeout = 0.3, body_timeout = 0.3,
    write_timeout = 0.3, on_error = function() end, access_log = function() end }))
  local task <close> = neap.spawn(server.serve, server, routes())
  local client <close> = http.client { timeout = 0.3, headers = { ["X-Ask"] = "always" }, cookies = true }
  talk(client, ("http://127.0.0.1:%d"):format(select(2, server:getsockname())))
  client:close()
  server:stop(0.1)
  task:join()
end

local function requests(client, url)
  for i = 1, 2 do
    local response = assert(client:get(url, { query = { n = i } }))
    assert(response.status == 200 and response:text() == "hello" and response.headers:get "x-asked" == "always")
  end
  local form = { body = { form = { a = "b c" } }, headers = { { "X-N", "1" } } }
  local response = assert(client:post(url .. "/echo", form))
  assert(response:text() == "a=b+c" and response.headers:get "x-n" == "1")
  response = assert(client:post(url .. "/echo", { body = pieces(3) }))
  assert(response:text() == "piece 2piece 1piece 0")
  response = assert(client:get(url .. "/pieces"))
  assert(response:text() == "piece 2piece 1piece 0" and response.trailers:get "x-sum" == "3")
  response = assert(client:get(url .. "/moved", { auth = { "me", "secret" } }))
  assert(response:text() == "hello" and response.history[1].status == 302)
  assert(client:get(url .. "/bad").status == 500 and client:head(url .. "/none").status == 404)
end

local function bodies(client, url)
  assert(client:get(url .. "/large"):text() == LARGE)
  assert(client:post(url .. "/echo", { body = LARGE, expect = 0.2 }):text() == LARGE)
  local response <close> = assert(client:get(url .. "/large"))
  assert(response:receive(100))
end

for _, fn in ipairs { requests, bodies } do
  neap.run(function() assert(neap.timeout(2, function() served(fn) return true end)) end)
end
