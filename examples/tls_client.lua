-- Who is there? Connects by TLS, and prints what was agreed on and the peer's
-- certificates, as a person wants to read them:
--   lua5.4 tls_client.lua [-k] [-a ca.pem] [-n name] [-p protocols] host [port]
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: tls_client.lua [-k] [-a ca.pem] [-n name] [-p protocols] host [port]
  -a ca.pem     believe these, a file or a directory, not the system's list
  -n name       whom the certificate is to be for, if not the host
  -p protocols  offer these (ALPN), the best first: h2,http/1.1
  -k            a certificate that is refused is shown all the same]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local tls <const> = require "neap.tls"

local TIMEOUT <const> = 10 -- seconds, all in all
local DAY <const> = 86400

local function fail(...)
  io.stderr:write("tls_client.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

-- ---- the command line ----

local values <const> = { a = "ca", n = "servername", p = "alpn" }

local function parse(arguments)
  local o, rest, look = {}, {}, false
  local i = 1
  while arguments[i] do
    local letter = arguments[i]:match "^%-(%a)$"
    if letter == "k" then
      look = true
    elseif values[letter] then
      i = i + 1
      o[values[letter]] = arguments[i] or fail(usage)
    elseif arguments[i]:sub(1, 1) == "-" then
      fail(usage)
    else
      rest[#rest + 1] = arguments[i]
    end
    i = i + 1
  end
  if #rest < 1 or #rest > 2 then fail(usage) end
  if o.alpn then
    local list <const> = {}
    for protocol in o.alpn:gmatch "[^,]+" do list[#list + 1] = protocol end
    o.alpn = list
  end
  return rest[1], rest[2] or "443", o, look
end

-- ---- certificates, for people ----

-- Names may hold any bytes; a terminal must not.
local function plain(text) return (text:gsub("[%c\127-\255]", function(c) return ("\\%02x"):format(c:byte()) end)) end

local function row(name, ...) print(("  %-13s%s"):format(name .. ":", plain(table.concat({ ... })))) end

local function names_of(cert)
  local list <const> = {}
  for i, name in ipairs(cert:names() or {}) do
    list[i] = name.type == "dns" and name.value or name.type .. " " .. tostring(name.value)
  end
  return #list > 0 and table.concat(list, ", ") or "none"
end

local function left(from, till)
  local now <const> = os.time()
  if now < from then return ("not yet: in %d days"):format((from - now) // DAY + 1) end
  if now > till then return ("expired %d days ago"):format((now - till) // DAY) end
  return ("%d days left"):format((till - now) // DAY)
end

local function validity_of(cert)
  local from, till = cert:validity()
  if not from then return "damaged" end
  return ("%s to %s (%s)"):format(os.date("!%Y-%m-%d", from), os.date("!%Y-%m-%d", till), left(from, till))
end

local function key_of(cert)
  local key <const> = cert:key()
  local size <const> = key.curve or key.bits and ("of %d bits"):format(key.bits)
  return size and key.type .. " " .. size or key.type
end

local function show(cert, title)
  print(title)
  row("subject", (cert:subject()))
  row("issuer", (cert:issuer()))
  row("names", names_of(cert))
  row("valid", validity_of(cert))
  row("key", key_of(cert), ", signed with ", cert:signature())
  row("fingerprint", "SHA-256 ", cert:fingerprint())
  row("pin", cert:pin())
end

-- ---- the connection ----

local function report(conn, verified)
  local info <const> = assert(conn:tlsinfo())
  local ip, port = conn:getpeername()
  print(("%s port %d, %s, %s%s%s"):format(ip, port, info.version, info.cipher, info.group and ", " .. info.group or "",
    info.alpn and ", " .. plain(info.alpn) or ""))
  print(verified and "the certificate is believed" or "the certificate is NOT believed")
  print("OCSP: " .. (info.ocsp or "no response was stapled"))
  for i, cert in ipairs(info.peer) do
    show(cert, i == 1 and "its certificate" or ("certificate %d, sent with it"):format(i))
  end
end

local function main()
  local host, port, o, look = parse(arg)
  o.timeout = TIMEOUT
  local conn <close>, why, code = tls.connect(host, port, o)
  if conn then return report(conn, true) end
  io.stderr:write("tls_client.lua: ", plain(why), "\n") -- it says in words what was wrong with whose certificate
  if look and code:find "^X509_V_ERR" then
    o.insecure_no_verify = true -- to look at it, and for nothing else
    local seen <close>, again = tls.connect(host, port, o)
    if not seen then fail(again) end
    report(seen, false)
  end
  return code
end

local ok, code = pcall(neap.run, main)
if not ok then fail(tostring(code)) end
if code then os.exit(1, true) end
