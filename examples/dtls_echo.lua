-- A DTLS echo, server and client. What is lost on the way is asked again.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: dtls_echo.lua -l [-c cert.pem -k key.pem] [host] port   answer whoever asks, until SIGINT or SIGTERM
       dtls_echo.lua [-a ca.pem | -p pin] [-n name] host port [text...]
                                                               ask, with the texts or the lines of the input
  -c, -k  certificate and key; without them some are made, and the pin of the key is printed
  -a      whom to trust: a file; the system's list unless given
  -p      instead: the pin of the server's key
  -n      whom the certificate is to be for: the host unless given]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local dtls <const> = require "neap.dtls"
local x509 <const> = require "neap.x509"

local PATIENCE <const>, TRIES <const> = 0.4, 3 -- of the first try: it doubles
local IDLE <const> = 120 -- seconds after which a silent client is forgotten

local function complain(why) io.stderr:write("dtls_echo.lua: ", why, "\n") end

local function fail(why)
  complain(why)
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why)
  if not value then error(why, 0) end
  return value
end

-- ---- server ----

-- A certificate for a while, of nobody that anyone knows.
local function make_certificate()
  local key <const> = x509.key()
  local cert <const> = check(x509.make { key = key, subject = "CN=dtls_echo", names = { "localhost", "127.0.0.1" } })
  print("pin " .. key:pin())
  return cert:pem(), key:pem()
end

local function answer(sock)
  for data in sock:messages() do sock:send(data) end
end

-- A client that says nothing for long ends its task by "timed out": no reason
-- to complain.
local function told(why)
  if not tostring(why):find "timed out" then complain(tostring(why)) end
end

local function serve(o, host, port)
  if not o.cert then o.cert, o.key = make_certificate() end
  local listener <close> = check(dtls.listen(host, port, { cert = o.cert, key = o.key, timeout = IDLE }))
  local signal <close> = neap.signal("INT", "TERM")
  print("port " .. select(2, listener:getsockname()))
  io.stdout:flush()
  neap.spawn({ daemon = true, name = "echo" }, listener.serve, listener, answer, { on_error = told })
  signal:wait()
  local counts <const> = listener:statistics()
  print(("%d clients, %d failed"):format(counts.peers, counts.failed))
  listener:stop(0)
end

-- ---- client ----

-- Waits for this text to come back. Others are answers that came too late.
local function wait_for(client, text)
  while true do
    local data, why, code = client:receive()
    if data == text then return true end
    if not data then return nil, why, code end
  end
end

local function ask(client, text)
  local patience = PATIENCE
  for count = 1, TRIES do
    local began <const> = neap.now()
    check(client:send(text))
    local ok, why, code = neap.timeout(patience, wait_for, client, text)
    if ok then return ("%s (%.1f ms, try %d)"):format(text, (neap.now() - began) * 1000, count) end
    if code ~= "ETIMEDOUT" then error(why, 0) end
    patience = patience * 2
  end
  return nil, text .. ": no answer"
end

local function questions(texts)
  if #texts == 0 then return neap.stream(0):lines() end
  local i = 0
  return function()
    i = i + 1
    return texts[i]
  end
end

local function run_client(o, host, port, ...)
  local client <close> = check(dtls.connect(host, port, {
    ca = o.ca, servername = o.name, timeout = 20,
    pins = o.pin and { o.pin }, insecure_no_verify = o.pin and true, -- the key is all that counts then
  }))
  local info <const> = client:tlsinfo()
  print(("%s, %s, messages up to %d bytes"):format(info.version, info.cipher, info.most))
  for text in questions { ... } do
    if text ~= "" then print(check(ask(client, text))) end
  end
end

-- ---- the command line ----

local OPTIONS <const> = { ["-c"] = "cert", ["-k"] = "key", ["-a"] = "ca", ["-p"] = "pin", ["-n"] = "name" }

local function number(text)
  return math.tointeger(tonumber(text)) or fail(usage)
end

local words <const> = { ... }
local options <const> = {}
local listens = false
while words[1] and words[1]:sub(1, 1) == "-" do
  local word <const> = table.remove(words, 1)
  if word == "-l" then
    listens = true
  elseif OPTIONS[word] and words[1] then
    options[OPTIONS[word]] = table.remove(words, 1)
  else
    fail(usage)
  end
end

local action
if listens and #words >= 1 and #words <= 2 then
  action = { serve, options, #words == 2 and words[1] or "*", number(words[#words]) }
elseif not listens and #words >= 2 then
  action = { run_client, options, words[1], number(words[2]), table.unpack(words, 3) }
else
  fail(usage)
end
local ok, why = pcall(neap.run, table.unpack(action))
if not ok then fail(tostring(why)) end
