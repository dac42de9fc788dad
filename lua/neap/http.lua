-- SPDX-License-Identifier: MIT
--- HTTP/1.1: clients and servers. What is not used is not loaded.

---@class neap.http
local M = {}

-- Modules, and what of them is here.
local homes <const> = {
  { "neap.http.server", "listen", "serve" },
  { "neap.http.router", "router" },
  { "neap.http.files", "files" },
  { "neap.http.send", "file" },
  { "neap.http.client", "client", "request", "get", "head", "post", "put", "patch", "delete", "options" },
  { "neap.http.events", "events" },
  { "neap.http.cookies", "jar" },
}

for _, home in ipairs(homes) do
  for i = 2, #home do
    local name <const> = home[i]
    M[name] = function(...)
      local found <const> = require(home[1])[name]
      M[name] = found
      return found(...)
    end
  end
end

return M
