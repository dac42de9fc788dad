--- Both ends of DTLS, and a relay between them that loses, doubles, holds back
-- and changes datagrams, for the specs of neap.dtls.
local dtls <const> = require "neap.dtls"
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local udp <const> = require "neap.udp"
local x509 <const> = require "neap.x509"

local M = {}

-- ---- certificates, made without any program ----

local function ca(name, issuer)
  local key <const> = x509.key()
  return { key = key, cert = assert(x509.make {
    key = key, subject = "CN=" .. name, ca = true, issuer = issuer and issuer.cert, issuerkey = issuer and issuer.key,
  }) }
end

local root <const> = ca "Spec Root"

--- PEM of a certificate for these names, of its chain, and of its key; more:
-- options of x509.make. deep: so many CAs are between it and the root.
function M.certificate(names, more, deep)
  local issuer, chain = root, {}
  for i = 1, deep or 0 do
    issuer = ca(("Intermediate %d %s"):format(i, ("of a long name "):rep(3) .. "!"), issuer)
    table.insert(chain, 1, issuer.cert:pem())
  end
  local key <const> = x509.key()
  local options <const> = { key = key, names = names, issuer = issuer.cert, issuerkey = issuer.key }
  for name, value in pairs(more or {}) do options[name] = value end
  return assert(x509.make(options)):pem() .. table.concat(chain), key:pem()
end

M.root = root.cert:pem()

local pem <const>, keypem <const> = M.certificate { "127.0.0.1", "::1", "localhost", "good.example" }
M.cert, M.key = pem, keypem

local contexts <const> = {
  client = assert(dtls.context { ca = M.root }),
  server = assert(dtls.context { cert = pem, key = keypem }),
}
M.contexts = contexts

--- The later ones count.
local function with(...)
  local all = {}
  for _, options in ipairs { ... } do
    for name, value in pairs(options) do all[name] = value end
  end
  return all
end
M.with = with

-- The context false is none.
local function without_false(options)
  options.context = options.context or nil
  return options
end

--- A listener on loopback, and its port.
function M.listen(options, ip)
  local listener <const> = assert(dtls.listen(ip or "127.0.0.1", 0,
    without_false(with({ context = contexts.server, handshake_timeout = 5 }, options or {}))))
  return listener, select(2, listener:getsockname())
end

--- What dtls.connect returns.
function M.connect(port, options, ip)
  return dtls.connect(ip or "127.0.0.1", port,
    without_false(with({ context = contexts.client, timeout = 5, retransmit = 0.05 }, options or {})))
end

--- A client, what its server accepted, and the listener, which is open.
function M.pair(options, listen_options)
  local listener <const>, port <const> = M.listen(listen_options)
  local a <const> = assert(M.connect(port, options))
  local b <const> = assert(listener:accept(5))
  return a, b, listener
end

-- ---- a relay ----

local function pump(from, to, change, remember)
  local n = 0
  while true do
    local data, ip, port = from:receive()
    if data then
      remember(ip, port)
      n = n + 1
      local out = data
      if change then out = change(data, n) end
      if type(out) == "string" then out = { out } end
      for _, datagram in ipairs(out or {}) do to(datagram) end
    elseif port == "ECLOSED" then
      return
    end
  end
end

--- Between a client and a server: port is the relay's. up(datagram, number):
-- what becomes of what the client sends: nil, a datagram, or a list; down
-- likewise. It is to-be-closed. relay.move() gives the client another port.
function M.relay(port, up, down)
  local front <const> = assert(udp.open("127.0.0.1", 0))
  local relay <const> = { port = select(2, front:getsockname()) }
  local ip, from
  local function open()
    relay.back = assert(udp.connect("127.0.0.1", port))
    neap.spawn({ daemon = true }, pump, relay.back, function(data) front:sendto(data, ip, from) end,
      function(...) if relay.down then return relay.down(...) end return ... end, function() end)
  end
  relay.down = down
  open()
  neap.spawn({ daemon = true }, pump, front, function(data) relay.back:send(data) end, up, function(i, p)
    ip, from = i, p
  end)
  function relay.move()
    relay.back:close()
    open()
  end
  --- Says something in the client's name, or to it.
  function relay.inject(data) relay.back:send(data) end
  function relay.inject_down(data) front:sendto(data, ip, from) end
  return setmetatable(relay, { __close = function()
    front:close()
    relay.back:close()
  end })
end

--- A source of chances that are the same each time.
function M.dice(seed)
  local state = seed * 2654435761 % 4294967296
  return function()
    state = (state * 1664525 + 1013904223) % 4294967296
    return state / 4294967296
  end
end

--- Loses, doubles and holds back so much of what goes through.
function M.bad_weather(seed, loss, double, late)
  local chance <const> = M.dice(seed)
  local held
  return function(data)
    local out = {}
    if chance() >= loss then out[#out + 1] = data end
    if chance() < double then out[#out + 1] = data end
    if held then
      out[#out + 1], held = held, nil
    elseif #out > 0 and chance() < late then
      held = table.remove(out)
    end
    return out
  end
end

--- Resident memory of this process, in KiB. A sanitizer keeps what was freed:
-- then it tells nothing.
function M.memory()
  if os.getenv "SAN" then return 0 end
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open "/proc/self/status")
  return math.tointeger(tonumber(file:read("a"):match "VmRSS:%s*(%d+)"))
end

M.helper = helper

return M
