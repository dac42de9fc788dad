-- What does this mail server say before STARTTLS, and after?
--   lua5.4 starttls_smtp.lua [-a ca.pem] [-n name] host [port]
-- It sends no mail.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: starttls_smtp.lua [-a ca.pem] [-n name] host [port]
  -a ca.pem  believe these, a file or a directory, not the system's list
  -n name    whom the certificate is to be for, if not the host]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
require "neap.tls" -- gives streams starttls

local TIMEOUT <const> = 30 -- seconds for each reply
local MOST <const> = 100 -- lines of a reply

local function fail(...)
  io.stderr:write("starttls_smtp.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why, ...)
  if not value then error(why, 0) end
  return value, why, ...
end

local function parse(arguments)
  local o, rest = {}, {}
  local names <const> = { a = "ca", n = "servername" }
  local i = 1
  while arguments[i] do
    local name = names[arguments[i]:match "^%-(%a)$"]
    if name then
      i = i + 1
      o[name] = arguments[i] or fail(usage)
    elseif arguments[i]:sub(1, 1) == "-" then
      fail(usage)
    else
      rest[#rest + 1] = arguments[i]
    end
    i = i + 1
  end
  if #rest < 1 or #rest > 2 then fail(usage) end
  o.servername = o.servername or rest[1]
  return rest[1], rest[2] or "25", o
end

-- ---- SMTP (RFC 5321): a reply is lines that begin with its number ----

local function reply(conn)
  local lines <const> = {}
  for i = 1, MOST do
    local line = check(conn:read "l"):gsub("\r$", "")
    local number, more, text = line:match "^(%d%d%d)([ -]?)(.*)$"
    if not number then error("this is no SMTP: " .. line:sub(1, 60), 0) end
    print("  < " .. line:gsub("%c", "?"))
    lines[i] = text
    if more ~= "-" then return number, lines end
  end
  error("a reply of too many lines", 0)
end

-- Says a command; the reply must begin with this digit.
local function say(conn, command, wanted)
  if command then
    print("  > " .. command)
    check(conn:write(command, "\r\n"))
  end
  local number, lines = reply(conn)
  if number:sub(1, 1) ~= wanted then error(("%s: %s %s"):format(command or "greeting", number, lines[#lines]), 0) end
  return lines
end

-- What it can do: the lines after the first one.
local function capabilities(conn)
  local known <const> = {}
  for i, line in ipairs(say(conn, "EHLO localhost", "2")) do
    if i > 1 then known[line:match("^%S*"):upper()] = true end
  end
  return known
end

local function main()
  local host, port, o = parse(arg)
  local conn <close> = check(tcp.connect(host, port, { timeout = TIMEOUT, maxline = 4096 }))
  print "in the open:"
  say(conn, nil, "2")
  if not capabilities(conn).STARTTLS then error("it offers no STARTTLS: nothing said to it is secret", 0) end
  say(conn, "STARTTLS", "2")
  -- what else came in the open is not read after that: starttls refuses it
  check(conn:starttls(o))
  local info <const> = conn:tlsinfo()
  local whose = info.peer[1]:subject()
  if whose == "" then whose = info.peer[1]:names()[1].value:gsub("%c", "?") end -- who is verified has a name
  print(("encrypted, by %s with %s, with %s:"):format(info.version, info.cipher, whose))
  capabilities(conn) -- all that it said before counts no more
  say(conn, "QUIT", "2")
  conn:shutdown "w"
end

local ok, why = pcall(neap.run, main)
if not ok then fail(tostring(why)) end
