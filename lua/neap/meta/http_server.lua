---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: the server of `require "neap.http"`. The
-- manual is docs/http_server.md. Nothing loads this file.

---What an answer's body is made of.
---@alias neap.http.source
---| string
---| fun(): string?, string?, string?
---| neap.stream
---| file*
---| neap.http.file
---| { receive: function }
---| { chunks: function, length: integer? }

---@class neap.http.answer
---@field status? integer
---@field headers? neap.http.fields
---@field body? neap.http.source
---@field trailers? neap.http.fields|fun(): neap.http.fields

---@alias neap.http.result string|integer|neap.http.answer|nil
---@alias neap.http.handler fun(request: neap.http.request): neap.http.result, neap.http.source?, neap.http.fields?

---@class neap.http.server_options
---@field max_head? integer 65536
---@field max_fields? integer 1000
---@field max_target? integer 8192
---@field max_body? integer 1048576
---@field head_timeout? number 15
---@field body_timeout? number 30, between bytes
---@field idle_timeout? number 60
---@field write_timeout? number 60
---@field max_connections? integer 1000
---@field max_requests? integer of a connection
---@field keepalive? boolean
---@field on_error? fun(err: any, traceback: string, request: neap.http.request?)
---@field access_log? string|file*|fun(request: neap.http.request, line: string)
---@field log_format? "common"|"combined"|"json"
---@field server_name? string
---@field decode? boolean
---@field tls? neap.tls.listen_options
---@field trusted_proxies? string[]
---@field forwarded? "Forwarded"|"X-Forwarded-For"
---@field proxy_protocol? boolean|"optional"
---@field backlog? integer
---@field reuseport? boolean
---@field mode? integer
---@field fd? integer

---@class neap.http.file a part of a file, as a body
---@field path string
---@field offset integer
---@field length integer
---@field size integer
---@field modified integer seconds since 1970

---@class neap.http.files_options
---@field index? string|string[]|false
---@field listing? boolean
---@field dotfiles? boolean
---@field symlinks? boolean|"beneath"
---@field cache_control? string
---@field types? table<string, string>

---@class neap.http
local http = {}

---Listens: "127.0.0.1:80", "[::1]:80", ":80", "unix:/path", a port, a listener.
---@param address string|integer|neap.listener
---@param options? neap.http.server_options
---@return neap.http.server?
---@return string? message
---@return neap.code? code
function http.listen(address, options) end

---Listens and serves, until it is stopped.
---@param address string|integer|neap.listener
---@param handler neap.http.handler|neap.http.router
---@param options? neap.http.server_options
---@return true?
---@return string? message
---@return neap.code? code
function http.serve(address, handler, options) end

---A handler that answers with the files beneath a directory.
---@param root string
---@param options? neap.http.files_options
---@return neap.http.handler?
---@return string? message
---@return neap.code? code
function http.files(root, options) end

---A regular file, or a part of it, as a body.
---@param path string
---@param offset? integer
---@param length? integer
---@return neap.http.file?
---@return string? message
---@return neap.code? code
function http.file(path, offset, length) end

---A handler that chooses among handlers.
---@return neap.http.router
function http.router() end

---@class neap.http.server
local server = {}

---Serves until it is stopped.
---@param handler neap.http.handler|neap.http.router
---@return true?
---@return string? message
---@return neap.code? code
function server:serve(handler) end

---Ends accepting; what runs has `grace` seconds (5).
---@param grace? number
---@return true
function server:stop(grace) end

---Ends at once.
---@return true
function server:close() end

---@return boolean
function server:isopen() end

---@return string? ip or path
---@return integer|string? port
function server:getsockname() end

---How many connections are served.
---@return integer
function server:connections() end

---Reads the certificates again.
---@return neap.http.server?
---@return string? message
---@return neap.code? code
function server:reload() end

---@class neap.http.request
---@field method string
---@field target string
---@field path string as it was sent
---@field query? string
---@field version "1.1"|"1.0"
---@field headers neap.headers
---@field trailers? neap.headers once the body was read
---@field host string
---@field scheme "http"|"https"
---@field peer { ip: string, port: integer }|{ path: string }
---@field address { ip: string, port: integer }|{ path: string }
---@field tls? neap.tls.info
---@field id string
---@field params? table<string, string> of a router
---@field mount? string of a router
---@field protocol? string what the client asks to upgrade to
local request = {}

---@param most? integer 1000
---@return table?
---@return string? message
---@return neap.code? code
function request:query_params(most) end

---@return table<string, string> by_name
---@return { [1]: string, [2]: string }[]
function request:cookies() end

---The fields of a form.
---@param most? integer 1000
---@return table?
---@return string? message
---@return neap.code? code
function request:form(most) end

---A reader of the parts of multipart/form-data.
---@param limits? { max_parts: integer?, max_head: integer?, max_part: integer? }
---@return table?
---@return string? message
---@return neap.code? code
function request:multipart(limits) end

---Has the client gone?
---@return boolean
function request:gone() end

---Does it have a body?
---@return boolean
function request:has_body() end

---Sends the head of the answer now.
---@param status integer
---@param headers? neap.http.fields
---@return neap.http.writer?
---@return string? message
---@return neap.code? code
function request:respond(status, headers) end

---Gives the connection away, after 101.
---@param protocol? string
---@param headers? neap.http.fields
---@return neap.stream?
---@return string? message
---@return neap.code? code
function request:upgrade(protocol, headers) end

---@class neap.http.writer
local writer = {}

---Sends a piece of the body.
---@param data string
---@return neap.http.writer?
---@return string? message
---@return neap.code? code
function writer:write(data) end

---Ends the answer.
---@param trailers? neap.http.fields
---@return true?
---@return string? message
---@return neap.code? code
function writer:finish(trailers) end

---@class neap.http.router
---@operator call(neap.http.request): any
local router = {}

---@param pattern string "/users/:id", "/files/*path"
---@param handler neap.http.handler
---@return neap.http.router
function router:get(pattern, handler) end

---@param pattern string
---@param handler neap.http.handler
---@return neap.http.router
function router:head(pattern, handler) end

---@param pattern string
---@param handler neap.http.handler
---@return neap.http.router
function router:post(pattern, handler) end

---@param pattern string
---@param handler neap.http.handler
---@return neap.http.router
function router:put(pattern, handler) end

---@param pattern string
---@param handler neap.http.handler
---@return neap.http.router
function router:patch(pattern, handler) end

---@param pattern string
---@param handler neap.http.handler
---@return neap.http.router
function router:delete(pattern, handler) end

---@param pattern string
---@param handler neap.http.handler
---@return neap.http.router
function router:options(pattern, handler) end

---Whatever the method.
---@param pattern string
---@param handler neap.http.handler
---@return neap.http.router
function router:any(pattern, handler) end

---@param method string
---@param pattern string
---@param handler neap.http.handler
---@return neap.http.router
function router:on(method, pattern, handler) end

---All paths that begin with the prefix, which the handler does not see.
---@param prefix string
---@param handler neap.http.handler|neap.http.router
---@return neap.http.router
function router:mount(prefix, handler) end

---What nobody else has.
---@param handler neap.http.handler
---@return neap.http.router
function router:fallback(handler) end
