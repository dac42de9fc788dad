---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: streams and listeners. The manual is
-- docs/stream.md and docs/listener.md. Nothing loads this file.

---A connected flow of bytes. Answers to the methods of a Lua file.
---@class neap.stream
local stream = {}

---@alias neap.format "l"|"L"|"a"|integer

---Reads a line, or what the formats say; all of them or nothing.
---@param ... neap.format
---@return string? ...
function stream:read(...) end

---Iterates over lines, or what the formats say; raises on a failure.
---@param ... neap.format
---@return fun(): string ...
function stream:lines(...) end

---What is there, at least one byte.
---@param max? integer
---@return string?
---@return string? message
---@return neap.code? code "EOF", "ETIMEDOUT", "ECLOSED", "EBUSY", …
function stream:receive(max) end

---Up to and including a plain delimiter.
---@param delimiter string
---@param max? integer most bytes before it; maxline unless given
---@return string?
---@return string? message
---@return neap.code? code "EOF", "EMSGSIZE", …
function stream:readuntil(delimiter, max) end

---The next n bytes, which stay.
---@param n integer
---@return string?
---@return string? message
---@return neap.code? code
function stream:peek(n) end

---Puts bytes in front of what is to be read next.
---@param s string
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:unread(s) end

---Bytes received and not yet read.
---@return integer?
---@return string? message
---@return neap.code? code
function stream:pending() end

---Writes all of its arguments; they leave together.
---@param ... string|number
---@return neap.stream?
---@return string? message
---@return neap.code? code
---@return integer? taken bytes that the kernel took before the failure
function stream:write(...) end

---@param mode "no"|"full"|"line"
---@param size? integer 8192 unless given
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:setvbuf(mode, size) end

---Sends what is buffered.
---@return neap.stream?
---@return string? message
---@return neap.code? code
---@return integer? taken
function stream:flush() end

---Sends a regular file, given by its path or as a Lua file.
---@param file string|file*
---@param offset? integer
---@param length? integer
---@return integer? sent
---@return string? message
---@return neap.code? code
---@return integer? taken
function stream:sendfile(file, offset, length) end

---Ends one direction or both.
---@param how "r"|"w"|"rw"
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:shutdown(how) end

---Sends what is buffered and closes. Closing again does nothing.
---@return true?
---@return string? message
---@return neap.code? code
function stream:close() end

---@return boolean
function stream:isopen() end

---The time for each later call that waits; nil for none.
---@param seconds? number
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:settimeout(seconds) end

---@return number? seconds
function stream:gettimeout() end

---Bytes received and sent so far.
---@return integer received
---@return integer sent
function stream:counters() end

---Its own address: ip and port, or path.
---@return string?
---@return integer|string|nil port or a message
---@return neap.code? code
function stream:getsockname() end

---The peer's address: ip and port, or path.
---@return string?
---@return integer|string|nil port or a message
---@return neap.code? code
function stream:getpeername() end

---Sets a socket option by its standard name: "TCP_NODELAY".
---@param name string
---@param value boolean|number|string
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:setsockopt(name, value) end

---@param name string
---@return boolean|number|string|table|nil value
---@return string? message
---@return neap.code? code
function stream:getsockopt(name) end

---The descriptor, which stays the stream's.
---@return integer?
---@return string? message
---@return neap.code? code
function stream:fileno() end

---Gives the descriptor away, and what was received and not yet read.
---@return integer?
---@return string rest or a message
---@return neap.code? code
function stream:detach() end

---Sends descriptors, with one NUL byte that carries them. Unix sockets only.
---@param fd neap.descriptor
---@param ... neap.descriptor
---@return neap.stream?
---@return string? message
---@return neap.code? code
function stream:sendfd(fd, ...) end

---The descriptors that come next. Unix sockets only.
---@return integer? ... or nil, message, code
function stream:receivefd() end

---Who connected or listened. Unix sockets only.
---@return { pid: integer, uid: integer, gid: integer }?
---@return string? message
---@return neap.code? code
function stream:getpeercred() end

---@class neap.listener
local listener = {}

---@class neap.serve_options
---@field max_connections? integer accept no more while so many are served
---@field on_error? fun(err: any, traceback: string, conn: neap.stream)

---Waits for a connection.
---@param timeout? number
---@return neap.stream?
---@return string? message
---@return neap.code? code "ETIMEDOUT", "ECLOSED", "EMFILE", …
function listener:accept(timeout) end

---Iterates over connections; ends when the listener is closed.
---@return fun(): neap.stream?
function listener:connections() end

---A task for each connection, which is closed when the handler ends.
---@param handler fun(conn: neap.stream)
---@param options? neap.serve_options
---@return true?
---@return string? message
---@return neap.code? code
function listener:serve(handler, options) end

---Closes it, waits for the handlers, then cancels them.
---@param grace? number seconds, 5 unless given
---@return true
function listener:stop(grace) end

---Ends accepting; unlinks the path that it made.
---@return true?
---@return string? message
---@return neap.code? code
function listener:close() end

---@return boolean
function listener:isopen() end

---The time for each later accept; nil for none.
---@param seconds? number
---@return neap.listener?
---@return string? message
---@return neap.code? code
function listener:settimeout(seconds) end

---Ip and port, or path.
---@return string?
---@return integer|string|nil port or a message
---@return neap.code? code
function listener:getsockname() end

---@param name string
---@param value boolean|number|string
---@return neap.listener?
---@return string? message
---@return neap.code? code
function listener:setsockopt(name, value) end

---@param name string
---@return boolean|number|string|table|nil value
---@return string? message
---@return neap.code? code
function listener:getsockopt(name) end

---The descriptor, which stays the listener's.
---@return integer?
---@return string? message
---@return neap.code? code
function listener:fileno() end

---Gives the descriptor away.
---@return integer?
---@return string? message
---@return neap.code? code
function listener:detach() end
