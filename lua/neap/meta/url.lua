---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only: `require "neap.url"`. The manual is
-- docs/url.md. Nothing loads this file.

---What url.parse gives; `tostring` makes text of it. Every part but the host
---is as it stands in the URL, percent-coded.
---@class neap.url.parts
---@field scheme? string in lower case
---@field user? string
---@field password? string
---@field host? string as connect takes it: an IPv6 address without brackets, its zone behind %
---@field port? integer when the URL says one
---@field path string
---@field query? string
---@field fragment? string

---@class neap.url.build_parts
---@field scheme? string
---@field user? string
---@field password? string
---@field host? string
---@field port? integer
---@field path? string
---@field query? string|neap.url.params
---@field fragment? string

---@class neap.url.mode_options
---@field mode? "strict"|"browser" "strict" unless given

---@class neap.url.parse_options: neap.url.mode_options
---@field relative? boolean takes a reference, too

---Where text is to stand; "form" has + for a space.
---@alias neap.url.set "component"|"path"|"query"|"form"

---A list of pairs in which a name finds its first value.
---@class neap.url.query_list
---@field [integer] [string, string]
---@field [string] string

---@alias neap.url.value string|number|boolean
---@alias neap.url.pair [neap.url.value, neap.url.value]
---@alias neap.url.params neap.url.query_list|neap.url.pair[]|table<string, neap.url.value|neap.url.value[]>

---@class neap.url
local url = {}

---The parts of a URL.
---@param text string
---@param options? neap.url.parse_options
---@return neap.url.parts?
---@return string? message
---@return neap.code? code
function url.parse(text, options) end

---The text of parts, checked.
---@param parts neap.url.build_parts|neap.url.parts
---@param options? neap.url.mode_options
---@return string?
---@return string? message
---@return neap.code? code
function url.build(parts, options) end

---The URL that a reference means, seen from a base.
---@param base string|neap.url.parts
---@param reference string
---@param options? neap.url.mode_options
---@return string?
---@return string? message
---@return neap.code? code
function url.resolve(base, reference, options) end

---The one text that stands for all equivalent ones.
---@param text string
---@param options? neap.url.parse_options
---@return string?
---@return string? message
---@return neap.code? code
function url.normalize(text, options) end

---"https://example.com:8443", or "null".
---@param u string|neap.url.parts
---@return string?
---@return string? message
---@return neap.code? code
function url.origin(u) end

---Whether both are of one origin.
---@param a string|neap.url.parts
---@param b string|neap.url.parts
---@return boolean?
---@return string? message
---@return neap.code? code
function url.sameorigin(a, b) end

---What the field Host says.
---@param u string|neap.url.parts
---@return string?
---@return string? message
---@return neap.code? code
function url.authority(u) end

---Path and query, as a request's first line has them.
---@param u string|neap.url.parts
---@return string?
---@return string? message
---@return neap.code? code
function url.target(u) end

---The port: the URL's, or else the scheme's own.
---@param u string|neap.url.parts
---@return integer?
---@return string? message
---@return neap.code? code
function url.port(u) end

---Encodes what cannot stand in that place.
---@param text string
---@param set? neap.url.set "component" unless given
---@return string
function url.encode(text, set) end

---The bytes that were encoded.
---@param text string
---@param set? neap.url.set "component" unless given
---@return string?
---@return string? message
---@return neap.code? code
function url.decode(text, set) end

---The parameters of a query or a form, in order.
---@param text? string
---@param options? { set?: neap.url.set, max?: integer }
---@return neap.url.query_list?
---@return string? message
---@return neap.code? code
function url.query(text, options) end

---The text of parameters.
---@param params neap.url.params
---@param options? { set?: neap.url.set }
---@return string
function url.buildquery(params, options) end

---The name as DNS and certificates have it: "xn--...".
---@param name string UTF-8
---@return string?
---@return string? message
---@return neap.code? code
function url.toascii(name) end

---The name as people read it.
---@param name string
---@return string?
---@return string? message
---@return neap.code? code
function url.tounicode(name) end
