-- A reverse proxy: lua5.4 reverse_proxy.lua [host:]port http://upstream[:port]
-- Bodies pass through as they come, in both directions, and no faster than
-- they are taken. Upstream learns in X-Forwarded-For whom it answers.
-- SPDX-License-Identifier: MIT
local usage <const> = "usage: reverse_proxy.lua [host:]port http://upstream[:port]"

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local http <const> = require "neap.http"

-- Fields that are between two neighbours alone (RFC 9110, 7.6.1), and those
-- that are made anew.
local HOP <const> = {
  connection = true, ["keep-alive"] = true, ["proxy-connection"] = true, te = true, trailer = true,
  ["transfer-encoding"] = true, upgrade = true, ["proxy-authenticate"] = true, ["proxy-authorization"] = true,
  ["content-length"] = true, host = true, expect = true, ["x-forwarded-for"] = true,
  ["x-forwarded-proto"] = true, ["x-forwarded-host"] = true, forwarded = true,
}

-- What is passed on: all but those, and but what Connection names.
local function passed(headers)
  local list <const> = {}
  for name, value in pairs(headers) do
    if not HOP[name] and not headers:has("connection", name) then list[#list + 1] = { name, value } end
  end
  return list
end

local function forward(client, upstream, request)
  local headers <const> = passed(request.headers)
  headers[#headers + 1] = { "X-Forwarded-For", request.peer.ip or "unknown" }
  headers[#headers + 1] = { "X-Forwarded-Proto", request.scheme }
  headers[#headers + 1] = { "X-Forwarded-Host", request.host }
  local response <const>, why <const>, code <const> = client:request(request.method, upstream .. request.target, {
    headers = headers, body = request:has_body() and request or nil, follow = false, decode = false,
  })
  if not response then
    io.stderr:write("reverse_proxy.lua: ", why, "\n")
    return code == "ETIMEDOUT" and 504 or 502
  end
  local answer <const> = passed(response.headers)
  if request.method == "HEAD" then
    local length <const> = response.headers:get "content-length"
    if length then answer[#answer + 1] = { "Content-Length", length } end
    response:close()
    return response.status, nil, answer
  end
  return response.status, response, answer
end

local function main(address, upstream)
  if not upstream then
    io.stderr:write(usage, "\n")
    os.exit(2, true)
  end
  if not address:find ":" then address = "127.0.0.1:" .. address end
  local client <close> = http.client { max_per_host = 64 }
  local server <close>, why <const> = http.listen(address, { max_body = 1 << 30 })
  if not server then
    io.stderr:write("reverse_proxy.lua: ", why, "\n")
    os.exit(1, true)
  end
  local _, port <const> = server:getsockname()
  print("listening on port " .. port)
  io.stdout:flush()
  upstream = upstream:gsub("/$", "")
  assert(server:serve(function(request) return forward(client, upstream, request) end))
end

require "neap".run(main, ...)
