--- SCTP by the user engine with other programs: usrsctp's own, pion (Go) and
-- werift (JavaScript).
local core <const> = require "neap.core"
local lfs <const> = require "lfs"
local helper <const> = require "support.helper"
local lab <const> = require "support.sctp_lab"
local neap <const> = require "neap"
local programs <const> = require "support.tls_lab"
local udp <const> = require "neap.udp"

local in_task <const> = helper.in_task
local user <const> = lab.user

local EXAMPLES <const> = "/usr/lib/usrsctp/"

local function works(name, body)
  it(name, function()
    lab.need()
    in_task(body)
    helper.eventually(function() return #neap.tasks() == 0 end) -- what was closed politely has ended
  end)
end

local function there(path)
  local file <close> = io.open(path)
  return file ~= nil
end

local function need_example(name)
  helper.need(there(EXAMPLES .. name), ("needs usrsctp's %s (Debian's libusrsctp-examples)"):format(name))
end

local function free_port()
  local sock <close> = assert(udp.open("127.0.0.1", 0))
  return select(2, sock:getsockname())
end

-- A client of a program that does not say when it listens.
local function connect(port, udp_port, o)
  local deadline <const> = core.now() + 5 * helper.slow
  while true do
    local conn, why, code = lab.connect(port, udp_port, o)
    if conn then return conn end
    assert(core.now() < deadline and (code == "ECONNREFUSED" or code == "ETIMEDOUT"), why)
    neap.sleep(0.02)
  end
end

-- Says so many messages of growing length on streams, and reads them back.
local function converse(conn, n, streams, most)
  for i = 1, n do
    local text <const> = ("%d "):format(i):rep(1 + i * 7 % most)
    assert(conn:send(text, { stream = i % streams, ppid = 53 }))
    local data, info = conn:receivemsg()
    assert.equal(text, data)
    assert.equal(i % streams, info.stream)
  end
end

-- One of usrsctp's programs, which tells much: the last of it is kept.
local function example(...)
  local process <const> = programs.start({ EXAMPLES .. ..., select(2, ...) }, { input = true })
  process.said = ""
  neap.spawn({ daemon = true }, function()
    while true do
      local more = process.output:receive()
      if not more then return end
      process.said = (process.said .. more):sub(-20000)
    end
  end)
  return process
end

-- ---- usrsctp's own programs: threads, and a UDP port of theirs ----

describe("usrsctp's", function()
  works("echo_server answers", function()
    need_example "echo_server"
    local here, there_port = free_port(), free_port()
    local process <close> = example("echo_server", tostring(there_port), tostring(here))
    assert(process)
    local conn <close> = connect(7, there_port, { udp_port = here, bind = { { ip = "127.0.0.1", port = 0 } } })
    converse(conn, 200, 4, 400)
  end)

  works("discard_server takes all, and hears the end", function()
    need_example "discard_server"
    local here, there_port = free_port(), free_port()
    local process <close> = example("discard_server", tostring(there_port), tostring(here))
    assert(process)
    local conn <close> = connect(9, there_port, { udp_port = here, bind = { { ip = "127.0.0.1", port = 0 } } })
    for _ = 1, 200 do assert(conn:send(("x"):rep(3000))) end
    assert(conn:shutdown "w")
    assert.fails("EOF", conn:read(1))
  end)

  works("tsctp counts what it gets", function()
    need_example "tsctp"
    local here, there_port = free_port(), free_port()
    local process <close> = example("tsctp", "-E", tostring(there_port), "-U", tostring(here), "-p", "5001")
    local conn <close> = connect(5001, there_port, { udp_port = here, bind = { { ip = "127.0.0.1", port = 0 } } })
    for _ = 1, 5000 do assert(conn:send(("x"):rep(1000))) end
    assert(conn:shutdown "w")
    assert.fails("EOF", conn:read(1))
    helper.eventually(function() return process.said:find("5000, ", 1, true) end)
  end)

  works("client talks to us", function()
    need_example "client"
    local there_port <const> = free_port()
    local listener <close>, port, udp_port = lab.listen { encap_port = there_port }
    local process <close> = example("client", "127.0.0.1", tostring(port), "0", tostring(there_port),
      tostring(udp_port))
    local conn <close> = assert(listener:accept(8 * helper.slow))
    assert(process.input:write "hello from there\n")
    assert.equal("hello from there", conn:read())
    process.input:close()
    assert.fails("EOF", conn:read(1))
  end)
end)

-- ---- others' ----

local pion -- the program, or false

local function need_pion()
  helper.need_program "go"
  local source <const> = "/usr/share/gocode/src/github.com/pion/sctp"
  helper.need(there(source .. "/association.go"), "needs pion's SCTP (Debian's golang-github-pion-sctp-dev)")
  if pion == nil then
    local build = os.getenv "NEAP_BUILD" or "build"
    if build:sub(1, 1) ~= "/" then build = lfs.currentdir() .. "/" .. build end
    pion = build .. "/sctp_pion"
    local made <const> = os.execute(("cd spec/fixtures/sctp_pion && GO111MODULE=off GOFLAGS= GOPATH=/usr/share/gocode "
      .. "GOCACHE=%s timeout 300 go build -o %s . >%s 2>&1"):format(helper.quote(build .. "/gocache"),
      helper.quote(pion), helper.quote(build .. "/sctp_pion.log")))
    if not made then pion = false end
  end
  helper.need(pion, "pion's SCTP cannot be built here")
end

local function port_of(process)
  for line in process.output:lines() do
    local port <const> = line:match "^port (%d+)$"
    if port then return math.tointeger(tonumber(port)) end
    error(line)
  end
end

describe("pion", function()
  it("is built", function()
    lab.need()
    need_pion()
  end)

  works("as a server answers", function()
    need_pion()
    local process <close> = programs.start { pion, "server" }
    local conn <close> = connect(5000, port_of(process), { bind = { { ip = "127.0.0.1", port = 5000 } } })
    converse(conn, 100, 4, 300)
    user.set(conn, "abort", "")
  end)

  works("as a client is answered", function()
    need_pion()
    local listener <close>, _, udp_port = lab.listen(nil, "127.0.0.1", 5000)
    local process <close> = programs.start { pion, "client", tostring(udp_port) }
    local conn <close> = assert(listener:accept(8 * helper.slow))
    local server = neap.spawn(function()
      while true do
        local data, info = conn:receivemsg()
        if not data or not conn:send(data, { stream = info.stream, ppid = info.ppid }) then return end
      end
    end)
    assert.equal("10 echoes", process.output:read())
    server:join()
  end)
end)

describe("werift", function()
  works("answers", function()
    helper.need_program "node"
    local modules <const> = ("NODE_PATH=build/npm/node_modules:%s"):format(os.getenv "NODE_PATH" or "")
    local found <const> = os.execute(modules .. " node -e 'require(\"werift-sctp\")' >/dev/null 2>&1")
    helper.need(found, "needs werift-sctp of npm, in build/npm or in NODE_PATH")
    local here <const> = free_port()
    local process <close> = programs.start { "env", modules, "node", "spec/fixtures/sctp_werift.js", tostring(here) }
    local conn <close> = connect(5000, port_of(process), {
      udp_port = here, bind = { { ip = "127.0.0.1", port = 5000 } },
    })
    converse(conn, 50, 4, 200)
    user.set(conn, "abort", "")
  end)
end)
