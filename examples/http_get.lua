-- http_get: fetches URLs, as curl would.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: http_get.lua [-irkL] [-X method] [-H 'name: value']... [-d data]
                    [-o file] [-u user:password] [-x proxy] [-t seconds] url...
  -i          the head, too
  -X method   GET unless given; POST with -d
  -H field    a header field
  -d data     the body; @file: that file's contents
  -o file     where the body goes; what was begun there before is continued (-r)
  -r          with -o: ask for the rest alone
  -u          who asks
  -x proxy    http://, https://, socks5h://; env: what the environment says
  -L          follow no redirects
  -k file     whom to trust: certificates as PEM
  -t seconds  for each URL
Exit: 0, 1 if a status was 400 or more, 2 if there was no answer.]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local http <const> = require "neap.http"

local function fail(why)
  io.stderr:write(why:find "^usage" and why or "http_get.lua: " .. why, "\n")
  os.exit(2, true)
end

-- ---- the command line ----

local with_head, into, resume = false, nil, false
local headers, options, method = {}, {}, nil

local function body(text)
  if text:sub(1, 1) ~= "@" then return text end
  local file <const>, why <const> = http.file(text:sub(2))
  return file or fail(why)
end

local flags <const> = {
  i = function() with_head = true end,
  r = function() resume = true end,
  L = function(o) o.follow = false end,
}

local values <const> = {
  X = function(_, value) method = value end,
  H = function(_, value)
    local name, text = value:match "^([^:]+):%s*(.*)$"
    headers[#headers + 1] = { name or fail(usage), text }
  end,
  d = function(o, value) o.body = body(value) end,
  o = function(_, value) into = value end,
  u = function(o, value) o.auth = { value:match "^([^:]*):?(.*)$" } end,
  x = function(o, value) o.proxy = value == "env" or value end,
  k = function(o, value) o.tls = { ca = value } end,
  t = function(o, value) o.timeout = tonumber(value) or fail(usage) end,
}

local function command_line()
  local urls, i = {}, 1
  while arg[i] do
    local name = arg[i]:match "^%-(%a)$"
    if flags[name] then
      flags[name](options)
    elseif values[name] then
      i = i + 1
      values[name](options, arg[i] or fail(usage))
    elseif arg[i]:find "^%-" then
      fail(usage)
    else
      urls[#urls + 1] = arg[i]
    end
    i = i + 1
  end
  if not urls[1] or into and urls[2] then fail(usage) end
  return urls
end

-- ---- what comes ----

local function show_head(response)
  io.write(("HTTP/%s %d %s\n"):format(response.version, response.status, response.reason))
  for name, value in response.headers:pairs() do io.write(name, ": ", value, "\n") end
  io.write "\n"
end

local function show(response)
  if with_head then show_head(response) end
  if into then
    local size, why = response:save(into, { resume = resume })
    if not size then fail(why) end
    io.stderr:write(("%s: %d bytes\n"):format(into, size))
    return
  end
  for piece in response:chunks() do io.write(piece) end
end

local urls <const> = command_line()
options.headers = headers
if resume then options.resume = into or fail(usage) end
local own <const> = { body = options.body, resume = options.resume }
options.body, options.resume = nil, nil

local client <close> = http.client(options)
local worst = 0
for _, url in ipairs(urls) do
  local response, why = client:request(method or own.body and "POST" or "GET", url, own)
  if not response then fail(why) end
  local fine, err = pcall(show, response)
  if not fine then fail(tostring(err)) end
  worst = math.max(worst, response.status)
end
os.exit(worst < 400 and 0 or 1, true)
