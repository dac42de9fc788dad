--- For specs of IPX: carriers on loopback, programs that run beside the spec,
-- and DOSBoxes with a program of ours in them.
local helper <const> = require "support.helper"
local ipx <const> = require "neap.ipx"
local neap <const> = require "neap"
local probe <const> = require "probe"

local quote <const> = helper.quote

local M = {}

local function open(i, port, options)
  local o <const> = { bind = "127.0.0." .. i, port = port, peers = { "127.0.0." .. 3 - i } }
  for name, value in pairs(options or {}) do o[name] = value end
  return ipx.udp(o)
end

--- Two carriers over UDP at one port, each of which is all that the other can
-- broadcast to.
function M.udp_pair(options)
  local why
  for _ = 1, 100 do -- until the port is free for both
    local a <const> = assert(open(1, 0, options))
    local b <const>, reason <const> = open(2, select(2, a:getsockname()), options)
    if b then return a, b end
    why = reason
    a:close()
  end
  error(why)
end

-- ---- programs ----

--- Starts a program: { output =, pid = }, and with input = true an `input` to
-- write to; it is killed at the end of the scope, or after 30 seconds.
function M.start(command, options)
  helper.need_program "timeout"
  local fifo <const> = options and options.input and helper.tmpname()
  if fifo then assert(os.execute("mkfifo " .. quote(fifo))) end
  local pipe <const> = assert(io.popen(("echo $$; exec timeout -k 1 %d %s 2>&1 <%s"):format(30 * helper.slow, command,
    fifo or "/dev/null")))
  pipe:setvbuf "no" -- no byte of what follows is taken
  local pid <const> = assert(math.tointeger(tonumber(pipe:read "l")))
  local output <const> = assert(neap.stream(probe.dup((assert(neap.stream(pipe)):detach()))))
  local input
  if fifo then input = assert(neap.stream(probe.open(fifo, "w"))) end
  return setmetatable({ output = output, input = input, pid = pid }, { __close = function()
    output:close()
    if input then input:close() end
    probe.kill(pid, probe.SIGTERM)
    pipe:close()
  end })
end

--- The same with one of the examples.
function M.example(name, ...)
  local words <const> = { ("env LUA_PATH=%s LUA_CPATH=%s %s examples/%s"):format(quote(package.path),
    quote(package.cpath), quote(helper.lua), name) }
  for _, word in ipairs { ... } do words[#words + 1] = quote(word) end
  return M.start(table.concat(words, " "), { input = true })
end

--- Reads what a program prints until this is there; returns it all.
function M.printed(process, text)
  local out = process.rest or ""
  while not out:find(text, 1, true) do
    local more <const>, why <const> = process.output:receive()
    if not more then error(("%s instead of %q: %s"):format(why, text, out), 2) end
    out = out .. more
  end
  local _, last <const> = out:find(text, 1, true)
  process.rest = out:sub(last + 1)
  return out
end

-- ---- DOSBox ----

-- Where the program is, assembled anew for each spec that wants it: it
-- answers on socket 0x5000 (ipxecho.asm).
local function assemble()
  local folder <const> = helper.tmpname()
  assert(os.execute(("mkdir %s && nasm -f bin -o %s/ipxecho.com spec/support/ipxecho.asm"):format(folder, folder)))
  return folder
end

function M.need_dosbox() helper.need_program("dosbox", "nasm", "timeout") end

--- Starts a DOSBox without a screen, which does these commands and ends.
function M.dosbox(...)
  local folder <const> = assemble()
  local name <const> = folder .. "/dosbox.conf"
  local file <close> = assert(io.open(name, "w"))
  file:write("[sdl]\noutput=surface\n[mixer]\nnosound=true\n[midi]\nmpu401=none\nmididevice=none\n",
    "[ipx]\nipx=true\n[autoexec]\nmount c ", folder, "\nc:\n", table.concat({ ... }, "\n"), "\nexit\n")
  file:close()
  return M.start(("env HOME=%s SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy dosbox -conf %s -noconsole"):format(folder,
    name))
end

return M
