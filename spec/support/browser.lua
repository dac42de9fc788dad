-- SPDX-License-Identifier: MIT
--- A headless Chromium, driven over its DevTools protocol by a WebSocket of ours.
local helper <const> = require "support.helper"
local json <const> = require "support.json"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local websocket <const> = require "neap.websocket"
local base64 <const> = require "neap.base64"

local M = {}

local SECONDS <const> = 20 * helper.slow

local browser <const> = {}
browser.__index = browser
local tab <const> = {}
tab.__index = tab

-- The name of the program, or nil.
local function program()
  for _, name in ipairs { "chromium", "chromium-browser", "google-chrome", "chrome" } do
    if helper.has_program(name) then return name end
  end
end

--- Starts one, which ends with the scope. Skips the test where there is none.
function M.start()
  local name <const> = program()
  helper.need(name, "needs the program chromium")
  local profile <const> = helper.tmpname()
  assert(os.execute("mkdir -p " .. helper.quote(profile)))
  local process <const> = lab.start({
    "env", "LD_PRELOAD=", "HOME=" .. profile, name, "--headless=new", "--no-sandbox", "--disable-gpu",
    "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server", "--disable-background-networking",
    "--disable-component-update", "--disable-extensions", "--disable-sync", "--user-data-dir=" .. profile,
    "--remote-debugging-port=0", "--window-size=660,520", "about:blank",
  }, { seconds = 2 * SECONDS })
  process.output:settimeout(SECONDS)
  local url
  for line in process.output:lines() do
    url = line:match "^DevTools listening on (ws://%S+)"
    if url then break end
  end
  assert(url, "chromium has ended")
  local drain <const> = neap.spawn({ daemon = true, name = "chromium's output" }, function()
    while process.output:receive() do end -- nobody reads it, and it must not stop for that
  end)
  process.output:settimeout(nil)
  local ws <const> = assert(websocket.connect(url, { timeout = SECONDS, maxmessage = 64 << 20 }))
  return setmetatable({ process = process, drain = drain, ws = ws, number = 0 }, browser)
end

function browser:__close()
  self.ws:send(json.encode { id = 0, method = "Browser.close" })
  pcall(self.ws.close, self.ws)
  self.drain:cancel():join()
  local process <close> = self.process -- luacheck: ignore 211
end

--- Calls a method, and waits for what it returns.
function browser:call(method, params, session)
  self.number = self.number + 1
  local number <const> = self.number
  assert(self.ws:send(json.encode { id = number, method = method, params = params or {}, sessionId = session }))
  while true do
    local said = json.decode(assert(self.ws:receive()))
    if said.id == number then
      assert(not said.error, said.error and said.error.message)
      return said.result
    end
  end
end

--- A tab of its own that shows this page.
function browser:open(url)
  local target <const> = self:call("Target.createTarget", { url = url, newWindow = true }).targetId
  local session <const> = self:call("Target.attachToTarget", { targetId = target, flatten = true }).sessionId
  return setmetatable({ browser = self, target = target, session = session }, tab)
end

function tab:call(method, params) return self.browser:call(method, params, self.session) end

--- What an expression of JavaScript is there.
function tab:evaluate(expression)
  local said <const> = self:call("Runtime.evaluate", {
    expression = expression, returnByValue = true, awaitPromise = true,
  })
  assert(not said.exceptionDetails, said.exceptionDetails and said.exceptionDetails.text)
  return said.result.value
end

--- Waits until an expression is true.
function tab:await(expression)
  helper.eventually(function() return self:evaluate(("Boolean(%s)"):format(expression)) end, SECONDS)
end

--- Clicks into the middle of an element, as a mouse does.
function tab:click(selector)
  local x, y = self:evaluate(([[(() => {
    const r = document.querySelector('%s').getBoundingClientRect()
    return (r.left + r.width / 2) + ' ' + (r.top + r.height / 2)
  })()]]):format(selector)):match "^(%S+) (%S+)$"
  for _, kind in ipairs { "mousePressed", "mouseReleased" } do
    self:call("Input.dispatchMouseEvent", {
      type = kind, x = tonumber(x), y = tonumber(y), button = "left", clickCount = 1,
    })
  end
end

--- Types a text where the focus is.
function tab:type(text)
  for _, code in utf8.codes(text) do
    self:call("Input.dispatchKeyEvent", { type = "char", text = utf8.char(code) })
  end
end

--- A picture of it, as a PNG file.
function tab:screenshot(path)
  local data <const> = base64.decode(self:call("Page.captureScreenshot", { format = "png" }).data)
  local file <close> = assert(io.open(path, "wb"))
  file:write(data)
  return data
end

function tab:close() self.browser:call("Target.closeTarget", { targetId = self.target }) end

return M
