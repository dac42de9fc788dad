-- The Berkeley calls, with messages, control data and descriptors; names, and
-- the interfaces.
local neap = require "neap"
local socket = require "neap.socket"

local function stream()
  local listener <close> = assert(socket.socket("inet", socket.SOCK_STREAM))
  assert(listener:bind { ip = "127.0.0.1", port = 0 }:listen())
  local one <close> = assert(socket.socket("inet", socket.SOCK_STREAM))
  assert(one:connect(listener:getsockname()))
  local two <close> = assert(listener:accept())
  assert(one:send "there")
  assert(two:recv() == "there")
  assert(one:getsockopt "TCP_INFO")
  assert(one:setsockopt("SO_LINGER", false))
end

local function messages()
  local one, two = assert(socket.socketpair("unix", socket.SOCK_DGRAM))
  local guard <close> = setmetatable({}, { __close = function() one:close() two:close() end })
  assert(two:setsockopt("SO_PASSCRED", true))
  assert(one:sendmsg { data = { "a", "b" }, control = { { name = "SCM_RIGHTS", fds = { one, two } } } })
  local data, info = assert(two:recvmsg())
  for _, fd in ipairs(info.control[2].fds) do socket.close(fd) end
  assert(data == "ab" and info.control[1].name == "SCM_CREDENTIALS")
  assert(socket.poll({ { fd = one, events = socket.POLLOUT } }, 0) == 1)
end

local function names()
  assert(neap.resolve("127.0.0.1", 80))
  assert(neap.resolve("localhost", 80))
  assert(socket.getnameinfo({ ip = "127.0.0.1", port = 80 }, socket.NI_NUMERICHOST))
  assert(neap.interfaces())
end

for _, part in ipairs { stream, messages, names } do
  neap.run(function() assert(neap.timeout(0.5, function() part() return true end)) end)
end
