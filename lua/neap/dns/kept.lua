-- SPDX-License-Identifier: MIT
--- What a resolver keeps for its next queries: connections by TLS to its
-- servers, and clients of HTTPS.
local core <const> = require "neap.core"

local M = {}

local MOST <const> = 4 -- connections to a server that may lie idle

local kept <const> = { __name = "neap.dns.kept" }
kept.__index = kept

--- Nothing yet; what is idle for so many seconds is not used again.
function M.new(seconds) return setmetatable({ seconds = seconds, idle = {}, clients = {} }, kept) end

--- Closes the connection in it with the scope, unless that was taken out.
M.guard = { __close = function(guard) if guard.conn then guard.conn:close() end end }

-- The connection, if nothing came, and no end.
local function quiet(conn)
  local guard <close> = setmetatable({ conn = conn }, M.guard)
  local _, _, code = conn:settimeout(0):receive(1)
  if code ~= "ETIMEDOUT" then return nil end
  guard.conn = nil
  return conn
end

-- Whom it leads to: also the name that the certificate was verified for.
local function key_of(server) return ("%s#%s"):format(server.text, server.name or "") end

--- A connection to a server, the one that was used last; or nil. It is the
-- caller's until it is put back.
function kept:take(server)
  local list = self.idle[key_of(server)] or {}
  while list[1] and list[1].since + self.seconds <= core.now() do table.remove(list, 1).conn:close() end
  while list[1] do
    local conn = quiet(table.remove(list).conn)
    if conn then return conn end
  end
end

--- One that is good for another query.
function kept:put(server, conn)
  local key = key_of(server)
  local list = self.idle[key] or {}
  self.idle[key] = list
  if #list == MOST then table.remove(list, 1).conn:close() end
  list[#list + 1] = { conn = conn, since = core.now() }
end

--- The client of a server; make(seconds) makes it.
function kept:client(server, make)
  local client = self.clients[server.text] or make(self.seconds)
  self.clients[server.text] = client
  return client
end

--- Closes what is idle.
function kept:clear()
  for _, list in pairs(self.idle) do
    for _, one in ipairs(list) do one.conn:close() end
  end
  for _, client in pairs(self.clients) do client:closeidle() end
  self.idle = {}
end

return M
