--- Unix sockets: streams by path, abstract name, or in pairs.
local core <const> = require "neap.core"
local args <const> = require "neap.args"

---@class neap.unix
local M = {}

local listen_options <const> = args.with(args.stream, {
  backlog = "count", mode = "mode", fd = "fd",
})

local RETRY <const> = 0.01 -- a listener's queue is full: no event says when not

--- Connects to a path; a leading NUL makes it an abstract name.
function M.connect(path, given)
  args.path(path, 1, 2)
  local o = args.check(given, args.stream, 2, 2)
  local deadline = o.timeout and core.now() + o.timeout
  while true do
    local conn, why, code = core.connect_unix(path, nil, o)
    if conn or code ~= "EAGAIN" then return conn, why, code end
    if deadline and core.now() >= deadline then
      return nil, ("connect %s: timed out"):format(path:gsub("^\0", "@")), "ETIMEDOUT"
    end
    core.sleep(RETRY)
  end
end

--- Listens on a path. A socket file that nobody listens on any more is
-- replaced; the one that this makes is unlinked by close.
function M.listen(path, given)
  require "neap.listener"
  local o = args.check(given, listen_options, 2, 2)
  if o.fd then return args.blame(2, core.listen_fd, o.fd, o) end
  args.path(path, 1, 2)
  return core.listen_unix(path, nil, o)
end

--- Two streams that are connected with each other.
function M.pair(given)
  return core.pair_unix(args.check(given, args.stream, 1, 2))
end

return M
