-- A page over TLS, for browsers; or what comes, sent back:
--   lua5.4 tls_server.lua [-e] [-c cert.pem -k key.pem] [-w cert.pem] [host] [port]
-- Without a certificate it makes one, which nobody believes unless told to: -w
-- writes it to a file for that. SIGHUP reads the files again, SIGINT ends it.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: tls_server.lua [-e] [-c cert.pem -k key.pem] [-w cert.pem] [host] [port]
  -c, -k  the certificate with its chain, and its key
  -w      where the certificate that it makes is written
  -e      an echo in place of the page]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local tls <const> = require "neap.tls"
local x509 <const> = require "neap.x509"

local TIMEOUT <const> = 30 -- seconds of silence
local LONGEST <const> = 100 -- header lines of a request

local function fail(...)
  io.stderr:write("tls_server.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why)
  if not value then error(why, 0) end
  return value
end

local function parse(arguments)
  local o, rest = {}, {}
  local i = 1
  while arguments[i] do
    local letter = arguments[i]:match "^%-(%a)$"
    if letter == "e" then
      o.e = true
    elseif letter == "c" or letter == "k" or letter == "w" then
      i = i + 1
      o[letter] = arguments[i] or fail(usage)
    elseif arguments[i]:sub(1, 1) == "-" then
      fail(usage)
    else
      rest[#rest + 1] = arguments[i]
    end
    i = i + 1
  end
  if #rest > 2 then fail(usage) end
  local host <const> = rest[2] and rest[1] or "127.0.0.1"
  return o, host, math.tointeger(tonumber(rest[2] or rest[1] or 8443)) or fail(usage)
end

-- ---- a certificate of our own ----

local function make(path)
  local key <const> = x509.key()
  local cert <const> = assert(x509.make {
    key = key, subject = "CN=localhost", names = { "localhost", "127.0.0.1", "::1" }, days = 30,
  })
  if path then
    local file <close> = check(io.open(path, "w"))
    check(file:write(cert:pem()))
  end
  print("made a certificate for localhost, fingerprint " .. cert:fingerprint())
  return cert:pem(), key:pem()
end

-- ---- what it serves ----

local function echo(conn)
  while true do
    local data = conn:receive()
    if not data then return end
    conn:write(data)
  end
end

-- The rest of a request's head: whether it came to its end.
local function skip_head(conn)
  for _ = 1, LONGEST do
    local line = conn:read "l"
    if not line then return false end
    if line:match "^\r?$" then return true end
  end
  return false
end

local function page(conn)
  local request = conn:read "l"
  if not request or not skip_head(conn) then return end
  local info <const> = conn:tlsinfo()
  local text <const> = ("hello\n\nYou came by %s with %s%s.\n"):format(info.version, info.cipher,
    info.resumed and ", resumed" or "")
  local found <const> = request:find "^GET /%S* HTTP/1%.[01]\r?$"
  conn:write("HTTP/1.1 ", found and "200 OK" or "400 Bad Request", "\r\nContent-Type: text/plain\r\nContent-Length: ",
    #text, "\r\nConnection: close\r\n\r\n", text)
end

-- ---- the server ----

local function on_signal(name, fn)
  neap.spawn({ name = name, daemon = true }, function()
    local signal <close> = assert(neap.signal(name))
    while signal:wait() do fn() end
  end)
end

local function main()
  local o, host, port = parse(arg)
  local cert, key = o.c, o.k
  if not cert then cert, key = make(o.w) end
  local listener <const> = check(tls.listen(host, port, {
    cert = cert, key = key, alpn = not o.e and { "http/1.1" } or nil, timeout = TIMEOUT,
  }))
  on_signal("INT", function() listener:stop(1) end)
  on_signal("TERM", function() listener:stop(1) end)
  on_signal("HUP", function()
    local ok, why = listener:reload()
    print(ok and "the certificate was read again" or "the old certificate stays: " .. why)
  end)
  print(("listening on %s port %d"):format(listener:getsockname()))
  io.stdout:flush()
  check(listener:serve(o.e and echo or page, {
    on_error = function(why) io.stderr:write(tostring(why), "\n") end, -- of whom, and what was wrong
  }))
  print "done"
end

local ok, why = pcall(neap.run, main)
if not ok then fail(tostring(why)) end
