-- An echo over SCTP: a server, or a client that sends lines in several streams.
-- Where the kernel has no SCTP, or with a third number, it goes over UDP: to and
-- from the server's port 9899, or that number (see docs/sctp.md).
-- SPDX-License-Identifier: MIT
local usage <const> = [=[
usage: sctp_echo.lua listen [port [udp]]
       sctp_echo.lua connect host [port [udp]]]=]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local sctp <const> = require "neap.sctp"

local STREAMS <const> = 8
local mode <const>, rest <const> = arg[1], { table.unpack(arg, 2) }
local options <const> = { init = { streams_out = STREAMS, streams_in = STREAMS } }

local function serve(port, udp)
  options.udp_port = udp
  local listener <close> = assert(sctp.listen("*", port, options))
  local _, number, udp_port = listener:getsockname()
  print(("listening on port %d"):format(number) .. (udp_port and (", UDP port %d"):format(udp_port) or ""))
  io.stdout:flush()
  assert(listener:serve(function(conn)
    for data, info in function() return conn:receivemsg() end do
      assert(conn:send(data, { stream = info.stream, ppid = info.ppid, unordered = info.unordered }))
    end
  end))
end

local function talk(host, port, udp)
  options.encap_port, options.engine = udp, udp and "user"
  local conn <close> = assert(sctp.connect(host, port, options))
  local echoed = 0
  neap.spawn({ daemon = true }, function()
    for data, info in function() return conn:receivemsg() end do
      print(("%d: %s"):format(info.stream, data))
      echoed = echoed + 1
    end
    os.exit(true, true) -- the server has gone
  end)
  local input <close> = assert(neap.stream(0))
  local n = 0
  for line in input:lines() do
    if line ~= "" then
      assert(conn:send(line, { stream = n % STREAMS }))
      n = n + 1
    end
  end
  while echoed < n do neap.sleep(0.01) end
end

if mode == "listen" then
  neap.run(serve, tonumber(rest[1]) or 7007, tonumber(rest[2]))
elseif mode == "connect" and rest[1] then
  neap.run(talk, rest[1], tonumber(rest[2]) or 7007, tonumber(rest[3]))
else
  io.stderr:write(usage, "\n")
  os.exit(false)
end
