---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.unix"`. The manual is
-- docs/unix.md. Nothing loads this file.

---@class neap.unix.listen_options: neap.stream_options
---@field mode? integer permissions of the file: tonumber("600", 8)
---@field backlog? integer
---@field fd? neap.descriptor a listening socket that was inherited

---@class neap.unix.message_options: neap.message_options
---@field credentials? boolean who sends is told with each message

---@class neap.unix.datagram_options: neap.unix.message_options
---@field mode? integer permissions of the file: tonumber("600", 8)
---@field fd? neap.descriptor a socket that was inherited

---@class neap.unix.datagram_connect_options: neap.unix.message_options
---@field bind? string a path of its own
---@field mode? integer permissions of that

---@class neap.unix.seqpacket_listen_options: neap.unix.datagram_options
---@field backlog? integer

---@class neap.unix
---@field datagram neap.unix.datagram
---@field seqpacket neap.unix.seqpacket
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

---@class neap.unix.datagram
local datagram = {}

---A socket that is bound to a path, or to none.
---@param path? string
---@param options? neap.unix.datagram_options
---@return neap.message?
---@return string? message
---@return neap.code? code
function datagram.open(path, options) end

---A socket that sends to one path.
---@param path string
---@param options? neap.unix.datagram_connect_options
---@return neap.message?
---@return string? message
---@return neap.code? code
function datagram.connect(path, options) end

---Two that are connected with each other.
---@param options? neap.unix.message_options
---@return neap.message?
---@return neap.message|string|nil other or a message
---@return neap.code? code
function datagram.pair(options) end

---@class neap.unix.seqpacket
local seqpacket = {}

---A listener whose connections are message sockets.
---@param path string
---@param options? neap.unix.seqpacket_listen_options
---@return neap.listener?
---@return string? message
---@return neap.code? code
function seqpacket.listen(path, options) end

---Connects to a path.
---@param path string
---@param options? neap.unix.message_options
---@return neap.message?
---@return string? message
---@return neap.code? code
function seqpacket.connect(path, options) end

---Two that are connected with each other.
---@param options? neap.unix.message_options
---@return neap.message?
---@return neap.message|string|nil other or a message
---@return neap.code? code
function seqpacket.pair(options) end
