---@meta _
-- luacheck: ignore 211 212 241
-- For the Lua language server only; the manual is docs/http_headers.md. Nothing
-- loads this file.

---@class neap.headers
---@operator len: integer
local headers = {}

---The value; of several fields joined by commas.
---@param name string
---@return string?
function headers:get(name) end

---@param name string
---@return string[]
function headers:getall(name) end

---Whether there is one; with a token, whether it is in the list.
---@param name string
---@param token? string
---@return boolean
function headers:has(name, token) end

---@return fun(): string?, string?
function headers:pairs() end

---One more field; raises on what cannot be one.
---@param name string
---@param value string
---@return neap.headers
function headers:add(name, value) end

---The only field of the name.
---@param name string
---@param value string
---@return neap.headers
function headers:set(name, value) end

---@param name string
---@return boolean
function headers:remove(name) end
