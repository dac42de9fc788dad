-- SPDX-License-Identifier: MIT
--- examples/http_server.lua: the chat, by users in a headless Chromium who
-- click and type, and by others. SCREENSHOT=docs/chat.png keeps a picture of it.
local browsers <const> = require "support.browser"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local websocket <const> = require "neap.websocket"
local probe <const> = require "probe"

local MOST <const> = 28 * helper.slow -- seconds: a browser takes its time to start

local function in_task(fn)
  local ok, why = neap.run(neap.timeout, MOST, function()
    fn()
    return true
  end)
  assert(ok, why)
end

-- The example, which ends with the scope; `at`: where it is.
local function serve()
  local process <const> = lab.start({ "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath, helper.lua,
    "examples/http_server.lua", "127.0.0.1:0", "examples" }, { seconds = MOST })
  process.output:settimeout(MOST / 2)
  process.at = "127.0.0.1:" .. assert(process.output:read "l":match "port (%d+)$")
  return process
end

-- The lines that a tab shows.
local function shown(tab)
  return tab:evaluate "[...document.querySelectorAll('#log li')].map(line => line.innerText).join('\\n')"
end

local function say(tab, text)
  tab:click "#text"
  tab:type(text)
  tab:click "#send"
end

local function await_lines(tab, n) tab:await(("document.querySelectorAll('#log li').length === %d"):format(n)) end

-- A user without a browser, who has come by this name.
local function join(process, asked, name)
  local ws <const> = assert(websocket.connect(("ws://%s/chat/socket?name=%s"):format(process.at, asked),
    { timeout = 5 * helper.slow }))
  assert.equal(name, (ws:receive()))
  assert.equal(("\t%s has come"):format(name), (ws:receive()))
  return ws
end

describe("the chat of examples/http_server.lua", function()
  it("shows each user in a browser what the others say", function()
    in_task(function()
      local browser <close> = browsers.start()
      local process <close> = serve()
      local luna = browser:open(("http://%s/"):format(process.at))
      luna:await "document.querySelector('a[href=\"/chat\"]')"
      luna:click 'a[href="/chat"]'
      luna:await "document.title === 'A chat over neap' && document.querySelector('#send').textContent === 'Join'"
      local sol = browser:open(("http://%s/chat"):format(process.at))
      sol:await "document.querySelector('#send') && document.querySelector('#send').textContent === 'Join'"
      say(luna, "Luna")
      luna:await "document.querySelector('h1').textContent === 'A chat over neap: Luna'"
      say(sol, "Sol")
      await_lines(luna, 2)

      say(luna, "Is it high water, or low? – Ebbe?")
      await_lines(sol, 2)
      say(sol, "Neither: it is a neap tide.")
      await_lines(luna, 4)
      assert.equal("Luna has come\nSol has come\nLunaIs it high water, or low? – Ebbe?\nSolNeither: it is a neap tide.",
        shown(luna))
      local picture = luna:screenshot(os.getenv "SCREENSHOT" or helper.tmpname ".png")
      assert.equal("\x89PNG", picture:sub(1, 4))

      -- a third one, whose words and name would be HTML elsewhere
      local evil = "<img src=x onerror=document.title='evil'><script>document.title='evil'</script>&amp;"
      local third <close> = join(process, "%3Cb%3EEve%3C%2Fb%3E", "<b>Eve</b>")
      third:send(evil)
      await_lines(luna, 6)
      assert.equal("<b>Eve</b>" .. evil, shown(luna):match "[^\n]*$")
      assert.equal("0 A chat over neap",
        luna:evaluate "document.querySelectorAll('#log :is(img, script)').length + ' ' + document.title")

      -- the ends: of a tab, and of the server
      sol:close()
      await_lines(luna, 7)
      assert.equal("Sol has gone", shown(luna):match "[^\n]*$")
      probe.kill(process.pid, probe.SIGTERM)
      luna:await "document.querySelector('#log').lastChild.textContent === 'The connection has ended: goodbye'"
      assert.equal("Join", luna:evaluate "document.querySelector('#send').textContent")
    end)
  end)

  it("gives each user a name", function()
    in_task(function()
      local process <close> = serve()
      local first <close> = join(process, "Luna", "Luna")
      local second <close> = join(process, "Luna", "Luna 2")
      local third <close> = join(process, "+Luna%09%0A", "Luna 3")
      assert.equal("\tLuna 2 has come", (first:receive()))
      assert.equal("\tLuna 3 has come", (first:receive()))
      local fourth <close> = join(process, "", "guest")
      local fifth <close> = join(process, "%FF", "guest 2")
      local sixth <close> = join(process, ("%C3%A4"):rep(30), ("ä"):rep(24))
      second:close()
      repeat until first:receive() == "\tLuna 2 has gone"
      local seventh <close> = join(process, "Luna", "Luna 2")
      seventh:send "hello"
      repeat until first:receive() == "Luna 2\thello"
    end)
  end)

  it("ends with who says too much, or no text", function()
    in_task(function()
      local process <close> = serve()
      local first <close> = join(process, "a", "a")
      local second <close> = join(process, "b", "b")
      second:send(("x"):rep(4001))
      assert.fails("EOF", second:receive())
      assert.equal(1009, second.closecode)
      assert.same({ "\tb has come", "\tb has gone" }, { (first:receive()), (first:receive()) })
      local third <close> = join(process, "c", "c")
      third:send("\xff", "binary")
      assert.fails("EOF", third:receive())
      assert.same({ "\tc has come", "\tc has gone" }, { (first:receive()), (first:receive()) })
    end)
  end)

  it("goes on while somebody does not read", function()
    in_task(function()
      local process <close> = serve()
      local reader <close> = join(process, "reader", "reader")
      local sleeper <close> = join(process, "sleeper", "sleeper")
      local line, sent = ("x"):rep(4000), 2000 -- more than a kernel holds, and then a hundred
      assert.equal("\tsleeper has come", (reader:receive()))
      for _ = 1, sent do
        reader:send(line)
        assert.equal("reader\t" .. line, (reader:receive()))
      end
      local heard = 0
      for _ in sleeper:messages() do heard = heard + 1 end
      assert.is_true(heard < sent, heard .. " of " .. sent)
      assert.same({ 1001, "goodbye" }, { sleeper.closecode, sleeper.closereason })
      assert.equal("\tsleeper has gone", (reader:receive()))
    end)
  end)

  it("says how it is used", function()
    local out, code = helper.script(("arg = { [0] = 'http_server.lua', '-h' } dofile %q"):format
      "examples/http_server.lua")
    assert.equal("usage: http_server.lua [[host:]port] [directory]\n", out)
    assert.equal(0, code)
  end)
end)
