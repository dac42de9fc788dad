--- Both ends of TLS connections, and relays between them that cut, hold back
-- and dribble, for the specs of neap.tls.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tls <const> = require "neap.tls"
local unix <const> = require "neap.unix"
local probe <const> = require "probe"

local M = {}

--- An option that is not to be given.
M.none = {}

local function with(base, more)
  for name, value in pairs(more or {}) do
    if value == M.none then base[name] = nil else base[name] = value end
  end
  return base
end
M.with = with

--- Options of a server that has this certificate ("good").
function M.server(more, name)
  local cert <const> = certs.get(name or "good")
  return with({ server = true, cert = cert.chain, key = cert.key }, more)
end

--- The same for tls.listen, which needs not be told that it serves.
function M.listener(more, name)
  local options <const> = M.server(more, name)
  options.server = nil
  return options
end

--- Options of a client that trusts the laboratory's root, and expects
-- good.example.
function M.client(more) return with({ ca = certs.ca(), servername = "good.example" }, more) end

--- A context of a client, and of a server: made once for each file of specs.
local kept <const> = {}
function M.client_context()
  kept.client = kept.client or assert(tls.context { ca = certs.ca() })
  return kept.client
end
function M.server_context()
  local cert <const> = certs.get "good"
  kept.server = kept.server or assert(tls.context { cert = cert.chain, key = cert.key })
  return kept.server
end

--- Secures both ends at once. Returns what starttls returned on each, packed.
-- The end that fails is closed, so that the other ends, too.
function M.shake(a, client, b, server)
  local function one(stream, options)
    local results <const> = table.pack(stream:starttls(options))
    if not results[1] then stream:close() end
    return results
  end
  local other <const> = neap.spawn(one, b, server)
  local mine <const> = one(a, client)
  return mine, other:join()
end

--- Client and server over a pair of Unix sockets, or what make() returns.
function M.pair(client, server, make)
  local a, b = (make or unix.pair)()
  assert(a, b)
  local mine <const>, theirs <const> = M.shake(a, M.client(client), b, M.server(server))
  if not mine[1] or not theirs[1] then
    a:close()
    b:close()
    error(("client: %s; server: %s"):format(mine[2], theirs[2]), 2)
  end
  return a, b
end

--- A listener that serves in the background. connect(options) connects to it
-- with the client's options; failures: what on_error was told.
function M.serving(listen_options, handler, body)
  local listener <close> = assert(tls.listen("127.0.0.1", 0, listen_options))
  local _, port = listener:getsockname()
  local failures <const> = {}
  local server <const> = neap.spawn(function()
    return listener:serve(handler or function(conn) conn:read "a" end, {
      on_error = function(...) failures[#failures + 1] = { ... } end,
    })
  end)
  local cleanup <close> = helper.defer(function()
    listener:stop(0)
    server:join()
  end)
  return body(function(options) return tls.connect("127.0.0.1", port, M.client(options)) end, failures, port, listener)
end

-- ---- relays ----

-- Whole records, as they are made complete: { bytes }, and what is over.
local function records(bytes)
  local list = {}
  local at = 1
  while #bytes - at + 1 >= 5 do
    local length = string.unpack(">I2", bytes, at + 3)
    if #bytes - at + 1 < 5 + length then break end
    list[#list + 1] = bytes:sub(at, at + 4 + length)
    at = at + 5 + length
  end
  return list, bytes:sub(at)
end
M.records = records

local function pump(from, to, forward, seen)
  local rest = ""
  while true do
    local data, _, code = from:receive()
    if not data then
      if rest ~= "" then to:write(rest) end
      if code == "EOF" then to:shutdown "w" end
      return
    end
    local list
    list, rest = records(rest .. data)
    for _, record in ipairs(list) do
      seen.n = seen.n + 1
      local passed = record
      if forward then passed = forward(record, seen.n, to) end
      if not passed or not to:write(passed) then return end
    end
  end
end

--- Two streams with a relay between. up(record, number, to), down: what
-- becomes of the records from and to the first: bytes to pass on, or nil when
-- that direction is to end here. Returns both streams, the relay, which is
-- to-be-closed, and { up =, down = } with how many records came (`n`).
function M.through(up, down)
  local a <const>, near <const> = assert(unix.pair())
  local far <const>, b <const> = assert(unix.pair())
  local seen <const> = { up = { n = 0 }, down = { n = 0 } }
  local tasks <const> = {
    neap.spawn({ daemon = true }, pump, near, far, up, seen.up),
    neap.spawn({ daemon = true }, pump, far, near, down, seen.down),
  }
  local relay <const> = { cut = function()
    near:close()
    far:close()
  end }
  return a, b, setmetatable(relay, { __close = function()
    relay.cut()
    for _, task in ipairs(tasks) do
      task:cancel()
      task:join()
    end
  end }), seen
end

-- ---- programs ----

local function quoted(words)
  local out = {}
  for i, word in ipairs(words) do out[i] = helper.quote(word) end
  return table.concat(out, " ")
end

--- A program that runs beside this one, killed by its id with the scope, and
-- after options.seconds (30) anyway. output: a stream of what it prints; input:
-- of what it reads, if asked for.
function M.start(words, options)
  options = options or {}
  helper.need_program("timeout", words[1])
  local fifo = options.input and helper.tmpname()
  if fifo then assert(os.execute("mkfifo " .. helper.quote(fifo))) end
  local pipe <const> = assert(io.popen(("echo $$; exec timeout -k 1 %d %s %s 2>&1"):format(
    options.seconds or 30, quoted(words), "<" .. (fifo or options.from or "/dev/null"))))
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

--- openssl s_server with this certificate, and more words. port: where.
function M.s_server(name, more, options)
  local cert <const> = certs.get(name)
  local words <const> = {
    "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert.leaf, "-key", cert.key, "-cert_chain", cert.chain,
    table.unpack(more or {}),
  }
  local process <const> = M.start(words, options)
  for line in process.output:lines() do
    process.port = math.tointeger(tonumber(line:match "^ACCEPT .*:(%d+)$"))
    if process.port then return process end
  end
  error "openssl s_server does not listen"
end

return M
