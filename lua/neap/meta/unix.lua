---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.unix"`. The manual is
-- docs/unix.md. Nothing loads this file.

---@class neap.unix.listen_options: neap.stream_options
---@field mode? integer permissions of the file: tonumber("600", 8)
---@field backlog? integer
---@field fd? neap.descriptor a listening socket that was inherited

---@class neap.unix
local unix = {}

---Connects to a path; a leading NUL makes it an abstract name.
---@param path string
---@param options? neap.stream_options
---@return neap.stream?
---@return string? message
---@return neap.code? code
function unix.connect(path, options) end

---Listens on a path; replaces a socket file that nobody listens on any more.
---@param path string
---@param options? neap.unix.listen_options
---@return neap.listener?
---@return string? message
---@return neap.code? code
function unix.listen(path, options) end

---Two streams that are connected with each other.
---@param options? neap.stream_options
---@return neap.stream?
---@return neap.stream|string|nil other or a message
---@return neap.code? code
function unix.pair(options) end
