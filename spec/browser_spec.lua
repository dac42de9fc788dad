-- SPDX-License-Identifier: MIT
--- WebSocket with a real browser: a chat page in a headless Chromium, which a
-- spec opens twice, and in which it clicks and types; compressed, with closing
-- codes, and pages of others. http_chat_spec.lua has the chat of the examples.
local browsers <const> = require "support.browser"
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local http <const> = require "neap.http"
local websocket <const> = require "neap.websocket"

local MOST <const> = 28 * helper.slow -- seconds: a browser takes its time to start

local function in_task(fn)
  local ok, why = neap.run(neap.timeout, MOST, function()
    fn()
    return true
  end)
  assert(ok, why)
end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- A server of the page and of the chat: `users` by names, and how each ended.
local function serve()
  local self = { users = {}, ended = {} }
  local function tell_all(line)
    for _, ws in pairs(self.users) do ws:send(line) end
  end
  local chat = websocket.handler(function(ws, request)
    local name = request.query:match "^name=(%w+)$"
    self.users[name] = ws
    tell_all(name .. " has come")
    for text in ws:messages() do tell_all(name .. "\t" .. text) end
    self.users[name] = nil
    self.ended[name] = ws.closecode
    tell_all(name .. " has gone")
  end, { protocols = "chat", compress = { threshold = 0 } })
  local page = read_file "spec/fixtures/chat.html"
  self.server = assert(http.listen "127.0.0.1:0")
  self.task = neap.spawn({ name = "server" }, self.server.serve, self.server, function(request)
    if request.path == "/chat" then return chat(request) end
    if request.path == "/" then return 200, page, { ["Content-Type"] = "text/html; charset=utf-8" } end
    return 404
  end)
  self.url = ("http://127.0.0.1:%d/?name="):format(select(2, self.server:getsockname()))
  return setmetatable(self, { __close = function()
    self.server:stop(0)
    self.task:join()
  end })
end

-- The lines that a tab shows.
local function shown(tab)
  return tab:evaluate "[...document.querySelectorAll('#log li')].map(line => line.innerText).join('\\n')"
end

describe("a chat in a browser", function()
  it("shows each user what the other says", function()
    in_task(function()
      local browser <close> = browsers.start()
      local chat <close> = serve()
      local luna = browser:open(chat.url .. "Luna")
      luna:await "document.title.startsWith('open')"
      assert.equal("open chat permessage-deflate; server_max_window_bits=12", luna:evaluate "document.title")
      local sol = browser:open(chat.url .. "Sol")
      luna:await "document.querySelectorAll('#log li').length === 2"

      luna:click "#text"
      luna:type "Is it high water, or low? – Ebbe?"
      luna:click "#send"
      sol:await "document.querySelector('.line')"
      sol:click "#text"
      sol:type "Neither: it is a neap tide."
      sol:click "#send"
      luna:await "document.querySelectorAll('.line').length === 2"
      assert.equal("Luna has come\nSol has come\nLunaIs it high water, or low? – Ebbe?\nSolNeither: it is a neap tide.",
        shown(luna))

      -- a large message, both ways, and bytes
      local length = luna:evaluate [[new Promise((done) => {
        const got = []
        socket.addEventListener('message', ({ data }) => got.push(data.length) && done(got[0]))
        socket.send('x'.repeat(1 << 20))
      })]]
      assert.equal(#"Luna\t" + (1 << 20), length)

      -- the ends, each way
      luna:evaluate "socket.close(4001, 'good night')"
      luna:await "document.title === 'closed 4001 good night true'"
      helper.eventually(function() return chat.ended.Luna == 4001 end)
      sol:await "document.body.innerText.includes('Luna has gone')"
      chat.users.Sol:close(3000, "closing time")
      sol:await "document.title === 'closed 3000 closing time true'"
    end)
  end)

  it("is not for pages of others", function()
    in_task(function()
      local browser <close> = browsers.start()
      local chat <close> = serve()
      local other <close> = assert(http.listen "127.0.0.1:0")
      local task <close> = neap.spawn(other.serve, other, function()
        return 200, "<title>evil</title>", { ["Content-Type"] = "text/html" }
      end)
      local page = browser:open(("http://127.0.0.1:%d/"):format(select(2, other:getsockname())))
      page:await "document.title === 'evil'"
      local ended = page:evaluate(([[new Promise((done) => {
        const socket = new WebSocket('%s', 'chat')
        socket.onopen = () => done('open')
        socket.onclose = ({ code }) => done('closed ' + code)
      })]]):format(chat.url:gsub("^http", "ws"):gsub("/%?", "/chat?") .. "Evil"))
      assert.equal("closed 1006", ended)
      assert.is_nil(next(chat.users))
      other:stop(0)
      task:join()
    end)
  end)
end)
