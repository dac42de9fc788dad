-- Message sockets of every kind that may be had, each method once. What is lost
-- for want of memory does not come: hence the timeouts.
local neap = require "neap"
local packet = require "neap.packet"
local raw = require "neap.raw"
local tun = require "neap.tun"
local udp = require "neap.udp"
local unix = require "neap.unix"

local SOON = 0.02
local NAME = ("\0neap-oom-%p"):format(io.stdout)
local closefd = rawget(_G, "closefd") or function() end -- host.c's

function neap.onerror() end

-- Only root may have one.
local function may(sock, why, code)
  return sock or assert(code == "EPERM" or code == "EACCES" or code == "ENOENT", why) and nil
end

local function to_and_fro(near, far)
  far:settap(function() end)
  assert(near:send "one")
  assert(far:receive() == "one")
  assert(near:sendmsg("two", {}))
  local data, info = far:receivemsg()
  assert(data == "two" and info.length == 3)
  assert(near:sendmany { "three", "four" })
  local datas = assert(far:receivemany(8))
  if not datas[2] then far:receive() end
  assert(near:settimeout(SOON):gettimeout() and near:counters() and tostring(near))
end

local function datagrams()
  local far <close> = assert(udp.open("127.0.0.1", 0, { timeout = SOON, errors = true, timestamps = true, ttl = 9 }))
  local ip, port = far:getsockname()
  local near <close> = assert(udp.connect(ip, port, { timeout = SOON }))
  to_and_fro(near, far)
  assert(near:sendto("a name", "localhost", port))
  far:receive()
  assert(near:sendmsg(("x"):rep(250), { segment = 100, ip = ip, port = port, local_ip = ip, ttl = 5, ecn = 1 }))
  assert(far:receivemany(1))
  assert(far:receivemsg())
  assert(far:receive())
  assert(far:join("224.0.0.77", "lo") and far:leave("224.0.0.77", "lo"))
  assert(far:attachfilter { { 6, 0, 0, 65535 } } and far:detachfilter())
  assert(near:getpeername() and near:getsockopt "SO_TYPE" and near:setsockopt("SO_SNDBUF", 4096))
  near:close()
  assert(far:sendto("to nobody", ip, port == 9 and 10 or 9))
  local err = far:geterror()
  assert(err == nil or err.code == "ECONNREFUSED")
  local options = { fd = 0 }
  options.fd = far:detach()
  local adopted, again = pcall(udp.open, nil, nil, options)
  if not (adopted and again) then return closefd(options.fd) end
  assert(again:connect(ip, port) and again:connect() and again:close())
end

local function of_unix()
  local options = { timeout = SOON, credentials = true }
  for _, kind in ipairs { unix.datagram, unix.seqpacket } do
    local near, far = assert(kind.pair(options))
    local guard <close> = setmetatable({}, { __close = function() near:close() far:close() end })
    to_and_fro(near, far)
    assert(near:sendmsg("with it", { fds = { io.stdout }, credentials = true }))
    local data, info = far:receivemsg()
    assert(data == "with it" and info.credentials)
    closefd(info.fds[1])
    assert(near:shutdown "w")
  end
  local open <close> = assert(unix.datagram.open(NAME, options))
  local other <close> = assert(unix.datagram.connect(NAME, options))
  assert(other:send "to a name" and other:sendto("and again", NAME))
  assert(other:sendmany({ "and", "more" }, NAME))
  for data in open:messages() do if data == "more" then break end end
end

local function served()
  local listener <close> = assert(unix.seqpacket.listen(NAME, { timeout = SOON }))
  local near <close> = assert(unix.seqpacket.connect(NAME, { timeout = SOON }))
  local far <close> = assert(listener:accept())
  to_and_fro(near, far)
end

local function below()
  local one <close> = may(raw.open(253, { bind = "127.0.0.1", timeout = SOON, errors = true }))
  if one then assert(one:sendto("bytes", "127.0.0.1") and one:receivemsg()) end
  for _, ring in ipairs { false, { block_size = 4096, blocks = 2, frame_timeout = 0.001 } } do
    local two <close> = may(packet.open("lo", { ring = ring or nil, cooked = not ring, timeout = SOON }))
    if two then
      if one then one:sendto("bytes", "127.0.0.1") end
      two:settap(function() end)
      two:receivemsg()
      two:receivemany(4)
      assert(two:statistics())
    end
  end
  local device <close> = may(tun.open("neapoom%d", { address = "192.0.2.1/24", timeout = SOON }))
  if device then
    device:receivemany(4)
    device:send(("\0"):rep(20))
  end
end

for _, part in ipairs { datagrams, of_unix, served, below } do
  neap.run(function() assert(neap.timeout(0.5, function() part() return true end)) end)
end
