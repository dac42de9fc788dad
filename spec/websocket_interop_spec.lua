--- WebSocket with others: Node's ws, and Python's websockets, as client and as
-- server.
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local websocket <const> = require "neap.websocket"

local in_task <const> = helper.in_task
local LARGE <const> = 8 << 20

-- ---- the peers ----

-- Each echoes what it gets as it got it. Text beginning with ! is an order:
-- !fragments, !ping, !close CODE REASON, !large. A server prints its port.
local python <const> = [==[
import asyncio, sys
import websockets
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory)

role, target, compression = sys.argv[1:4]
factory = ServerPerMessageDeflateFactory if role == "server" else ClientPerMessageDeflateFactory
extensions = {
    "plain": [],
    "deflate": [factory()],
    "narrow": [factory(server_no_context_takeover=True, client_no_context_takeover=True,
                       server_max_window_bits=9, client_max_window_bits=9)],
}[compression]
options = dict(compression=None, extensions=extensions, max_size=None, subprotocols=["echo"], ping_interval=None)

async def pieces():
    for piece in ["frag", "ments ", "h\u00e4llo"]:
        yield piece

async def echo(ws, path=None):
    try:
        async for message in ws:
            if message == "!fragments":
                await ws.send(pieces())
            elif message == "!ping":
                await asyncio.wait_for(await ws.ping(b"payload"), 5)
                await ws.send("pong came")
            elif message == "!large":
                await ws.send(b"0123456789abcdef" * (8 << 16))
            elif isinstance(message, str) and message.startswith("!close"):
                _, code, reason = message.split(" ", 2)
                await ws.close(int(code), reason)
            else:
                await ws.send(message)
    except websockets.ConnectionClosed:
        pass
    print("closed", ws.close_code, ws.close_reason, flush=True)

async def serve():
    async with websockets.serve(echo, "127.0.0.1", 0, **options) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()

async def connect():
    async with websockets.connect(target, **options) as ws:
        await echo(ws)

asyncio.run(serve() if role == "server" else connect())
]==]

local node <const> = [==[
const { WebSocket, WebSocketServer } = require('ws')
const [role, target, compression] = process.argv.slice(2)
const perMessageDeflate = {
  plain: false,
  deflate: { threshold: 0 },
  narrow: { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true,
    serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
}[compression]
function echo(ws) {
  ws.on('message', (data, binary) => {
    const text = binary ? '' : data.toString()
    if (text === '!fragments') {
      for (const [piece, fin] of [['frag', false], ['ments ', false], ['hällo', true]]) ws.send(piece, { fin })
    } else if (text === '!ping') {
      ws.once('pong', (payload) => ws.send(payload.toString() === 'payload' ? 'pong came' : 'another came'))
      ws.ping('payload')
    } else if (text === '!large') {
      ws.send(Buffer.alloc(8 << 20, '0123456789abcdef'))
    } else if (text.startsWith('!close')) {
      const [, code, reason] = text.split(' ')
      ws.close(Number(code), reason)
    } else ws.send(data, { binary })
  })
  ws.on('error', () => {})
  ws.on('close', (code, reason) => console.log('closed', code, reason.toString()))
}
if (role === 'server') {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate, maxPayload: 0,
    handleProtocols: (set) => set.has('echo') ? 'echo' : false })
  server.on('connection', echo)
  server.on('listening', () => console.log(server.address().port))
} else echo(new WebSocket(target, ['echo'], { perMessageDeflate, maxPayload: 0 }))
]==]

local node_path <const> = os.getenv "NODE_PATH" or "/usr/share/nodejs" -- where Debian has it

local peers <const> = {
  {
    name = "Python's websockets", suffix = ".py", text = python, program = "/usr/bin/python3",
    probe = "/usr/bin/python3 -c 'import websockets' 2>/dev/null",
    why = "needs /usr/bin/python3 with websockets",
  },
  {
    name = "Node's ws", suffix = ".cjs", text = node, program = "node",
    probe = ("NODE_PATH='%s' node -e \"require('ws')\" 2>/dev/null"):format(node_path),
    why = "needs node with ws (NODE_PATH may say where)",
  },
}

-- Starts one, which ends with the scope.
local function start(peer, role, target, compression)
  if peer.there == nil then peer.there = os.execute(peer.probe) == true end
  helper.need(peer.there, peer.why)
  local path = helper.tmpname(peer.suffix)
  local file = assert(io.open(path, "w"))
  file:write(peer.text)
  file:close()
  return lab.start({ "env", "LD_PRELOAD=", "NODE_PATH=" .. node_path, peer.program, path, role, target, compression },
    { seconds = 20 * helper.slow })
end

-- ---- what is said ----

local function converse(ws, compression)
  assert.equal("echo", ws.protocol)
  assert.equal(compression ~= "plain", ws.extensions ~= nil)
  local messages = {
    { "" }, { "Hällo 🌊" }, { "", "binary" }, { ("\0\1\xff"):rep(1000), "binary" }, { ("a text; "):rep(20) },
    { ("a text; "):rep(20) }, { ("x"):rep(125) }, { ("x"):rep(126) }, { ("y"):rep(65535) }, { ("y"):rep(65536) },
  }
  for _, message in ipairs(messages) do assert(ws:send(message[1], message[2])) end
  for _, message in ipairs(messages) do
    assert.same({ message[1], message[2] or "text" }, { ws:receive() })
  end
  local pieces = { "in ", "pieces ", "\xc3", "\xa4" }
  local i = 0
  assert(ws:send(function()
    i = i + 1
    return pieces[i]
  end))
  assert.equal("in pieces ä", (ws:receive()))
  assert(ws:send "!fragments")
  assert.equal("fragments hällo", (ws:receive()))
  assert(ws:ping "are you there")
  assert(ws:send "!ping")
  assert.equal("pong came", (ws:receive()))
end

local function exchange_large(ws)
  local large = ("0123456789abcdef"):rep(LARGE // 16)
  assert(ws:send "!large")
  assert.truthy(large == ws:receive())
  local task <close> = neap.spawn(function() return ws:send(large, "binary") end)
  local data, kind = ws:receive()
  assert.truthy(data == large and kind == "binary")
  assert(task:join())
end

-- ---- in both roles ----

local function settings(compression, options)
  local o = { protocols = "echo", compress = compression ~= "plain" and { threshold = 0 } }
  for name, value in pairs(options or {}) do o[name] = value end
  return o
end

local ways <const> = {}

-- Calls fn(ws, what they print) for a connection to a server of theirs.
function ways.server(peer, compression, fn, options)
  local process <close> = start(peer, "server", "-", compression)
  local port = assert(process.output:read "l")
  local ws <close> = assert(websocket.connect(("ws://127.0.0.1:%s/"):format(port), settings(compression, options)))
  fn(ws, process.output)
end

-- For a connection of a client of theirs.
function ways.client(peer, compression, fn, options)
  local listener <close> = assert(tcp.listen("127.0.0.1", 0))
  local url = ("ws://127.0.0.1:%d/"):format(select(2, listener:getsockname()))
  local process <close> = start(peer, "client", url, compression)
  local ws <close> = assert(websocket.accept(assert(listener:accept()), settings(compression, options)))
  fn(ws, process.output)
end

for _, peer in ipairs(peers) do
  for role, with in pairs(ways) do
    describe(("%s as a %s"):format(peer.name, role), function()
      for _, compression in ipairs { "plain", "deflate", "narrow" } do
        it(("converses, %s"):format(compression), function()
          in_task(with, peer, compression, function(ws, output)
            converse(ws, compression)
            assert.truthy(ws:close(4000, "enough"))
            assert.equal("closed 4000 enough", output:read "l")
          end)
        end)
      end

      it("exchanges 8 MiB, plain and compressed", function()
        in_task(with, peer, "plain", exchange_large)
        in_task(with, peer, "deflate", exchange_large)
      end)

      it("says goodbye with a code and a reason", function()
        in_task(with, peer, "plain", function(ws, output)
          ws:send "!close 4321 because"
          assert.fails("EOF", ws:receive())
          assert.same({ 4321, "because" }, { ws.closecode, ws.closereason })
          assert.equal("closed 4321 because", output:read "l")
        end)
      end)

      it("is told what was wrong, and tells", function()
        in_task(with, peer, "deflate", function(ws, output)
          ws:send(("x"):rep(2000))
          assert.fails("EMSGSIZE", ws:receive())
          assert.truthy(output:read "l":find "^closed 1009")
        end, { maxmessage = 1000 })
        in_task(with, peer, "plain", function(ws)
          ws.stream:write "\xff\xff" -- no frame of anybody's
          assert.fails("EOF", ws:receive())
          assert.equal(1002, ws.closecode)
        end)
      end)
    end)
  end
end
