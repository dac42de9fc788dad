---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.http"`. The manual is
-- docs/http.md and docs/http_server.md. Nothing loads this file.

-- ---- what both sides have ----

---@class neap.headers
---Fields in their order; names in any case.
local headers = {}

---Its value, several joined by commas (cookies by semicolons); of Set-Cookie the first.
---@param name string
---@return string?
function headers:get(name) end

---@param name string
---@return string[]
function headers:getall(name) end

---Is there such a field, or one with the token in its list?
---@param name string
---@param token? string
---@return boolean
function headers:has(name, token) end

---Names in lower case, and values.
---@return fun(): string?, string?
function headers:pairs() end

---@param name string
---@param value string
---@return neap.headers
function headers:add(name, value) end

---@param name string
---@param value string
---@return neap.headers
function headers:set(name, value) end

---@param name string
---@return boolean whether there was one
function headers:remove(name) end

---@alias neap.http.fields table<string, string|string[]>|[string, string][]|neap.headers

---@class neap.http.part of a multipart form
---@field name string
---@field value? string
---@field path? string
---@field chunks? fun(): string?, string?, string?
---@field length? integer of chunks
---@field filename? string
---@field type? string

---@alias neap.http.body
---| string
---| file*
---| fun(): string?, string?, string?
---| neap.stream
---| neap.http.response
---| { form: table }
---| { multipart: neap.http.part[]|table<string, string|neap.http.part> }

-- ---- clients ----

---@class neap.http.request_options
---@field headers? neap.http.fields
---@field query? table
---@field body? neap.http.body
---@field trailers? neap.http.fields
---@field timeout? number seconds, for all of it
---@field maxbody? integer bytes of the response's body, decoded
---@field follow? integer|false redirects, 10 if absent
---@field allow_downgrade? boolean
---@field auth? { [1]: string, [2]: string, scheme?: "basic"|"digest" }|{ bearer: string }
---@field range? { [1]: integer, [2]?: integer }
---@field resume? string a path
---@field decode? boolean
---@field expect? boolean|number seconds
---@field proxy? string|boolean a URL; true: what the environment says
---@field no_proxy? string
---@field unix? string a path
---@field keepalive? boolean
---@field upgrade? string

---@class neap.http.client_options: neap.http.request_options
---@field max_per_host? integer 16 if absent
---@field max_connections? integer 256 if absent
---@field max_idle? integer 64 if absent
---@field idle_timeout? number seconds, 60 if absent
---@field cookies? boolean|neap.http.jar
---@field tls? neap.tls.context|neap.tls.starttls_options
---@field proxy_tls? neap.tls.context|neap.tls.starttls_options
---@field tcp? neap.tcp.connect_options
---@field resolve? table<string, string>
---@field max_head? integer bytes
---@field max_fields? integer

---@class neap.http.named_options: neap.http.client_options
---@field url string
---@field method? string "GET" if absent

---@class neap.http.events_options: neap.http.client_options
---@field client? neap.http.client
---@field last_id? string
---@field retry? number seconds, 3 if absent
---@field min_retry? number seconds, 0.1 if absent
---@field max_retry? number seconds, 60 if absent
---@field attempts? integer
---@field idle_timeout? number seconds
---@field max_event? integer bytes, 1 MiB if absent

---@class neap.http.event
---@field type string
---@field data string
---@field id string

---@class neap.http.response
---@field status integer
---@field reason string
---@field headers neap.headers
---@field version "1.1"|"1.0"
---@field url string
---@field history { url: string, status: integer, headers: neap.headers }[]
---@field trailers? neap.headers
---@field tls? neap.tls.info
local response = {}

---All of the body that is left.
---@param max? integer
---@return string?
---@return string? message
---@return string? code
function response:text(max) end

---The next bytes of the body; "EOF" at its end.
---@param max? integer
---@return string?
---@return string? message
---@return string? code
function response:receive(max) end

---@return fun(): string?
function response:chunks() end

---@return fun(): string?
function response:lines() end

---@param path string
---@param options? { resume?: boolean }
---@return integer? size
---@return string? message
---@return string? code
function response:save(path, options) end

---@param max? integer
---@return boolean?
---@return string? message
---@return string? code
function response:discard(max) end

---@return boolean
function response:close() end

---The connection, after 101.
---@return neap.stream?
---@return string? message
---@return string? code
function response:stream() end

---@class neap.http.client
local client = {}

---@param url string
---@param options? neap.http.request_options
---@return neap.http.response?
---@return string? message
---@return string? code
function client:get(url, options) end

client.head = client.get
client.post = client.get
client.put = client.get
client.patch = client.get
client.delete = client.get
client.options = client.get

---@param method string|neap.http.named_options
---@param url? string
---@param options? neap.http.request_options
---@return neap.http.response?
---@return string? message
---@return string? code
function client:request(method, url, options) end

---@return { active: integer, idle: integer, made: integer, reused: integer, stale: integer, hosts: table }
function client:connections() end

function client:closeidle() end

---@return boolean
function client:isopen() end

---@return boolean
function client:close() end

---@class neap.http.jar
local jar = {}

---@param with_session? boolean
---@return string
function jar:save(with_session) end

---@param text string
---@param now integer
---@return integer taken
---@return integer left
function jar:load(text, now) end

---@return table[]
function jar:cookies() end

---@param domain? string
function jar:clear(domain) end

---@class neap.http.events
local events = {}

---@return neap.http.event?
---@return string? message
---@return string? code
function events:next() end

---@return boolean
function events:close() end

---@class neap.http
local http = {}

---A request on a connection of its own.
---@param url string
---@param options? neap.http.client_options
---@return neap.http.response?
---@return string? message
---@return string? code
function http.get(url, options) end

---@param url string
---@param options? neap.http.client_options
---@return neap.http.response?
---@return string? message
---@return string? code
function http.head(url, options) end

---@param url string
---@param options? neap.http.client_options
---@return neap.http.response?
---@return string? message
---@return string? code
function http.post(url, options) end

---@param url string
---@param options? neap.http.client_options
---@return neap.http.response?
---@return string? message
---@return string? code
function http.put(url, options) end

---@param url string
---@param options? neap.http.client_options
---@return neap.http.response?
---@return string? message
---@return string? code
function http.patch(url, options) end

---@param url string
---@param options? neap.http.client_options
---@return neap.http.response?
---@return string? message
---@return string? code
function http.delete(url, options) end

---@param url string
---@param options? neap.http.client_options
---@return neap.http.response?
---@return string? message
---@return string? code
function http.options(url, options) end

---@param method string|neap.http.named_options
---@param url? string
---@param options? neap.http.client_options
---@return neap.http.response?
---@return string? message
---@return string? code
function http.request(method, url, options) end

---A client with a pool of connections.
---@param options? neap.http.client_options
---@return neap.http.client
function http.client(options) end

---A cookie jar.
---@param options? { each?: integer, all?: integer, is_public_suffix?: fun(domain: string): boolean }
---@return neap.http.jar
function http.jar(options) end

---The events of a URL, over connections that are made anew.
---@param url string
---@param options? neap.http.events_options
---@return neap.http.events
function http.events(url, options) end
