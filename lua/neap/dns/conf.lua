-- SPDX-License-Identifier: MIT
--- Which servers to ask: as resolv.conf(5) says, or as people write them.
-- No socket.
local args <const> = require "neap.args"
local core <const> = require "neap.core"

local M = {}

local PORTS <const> = { udp = 53, tcp = 53, tls = 853 }
local MOST_SERVERS <const> = 8

--- { scheme =, ip =, port =, name =, text = } of "ip", "ip:port",
-- "tcp://ip:port", "tls://ip:port#name", "https://..."; or nil.
function M.server(text)
  if type(text) ~= "string" then return nil end
  local scheme, rest = text:match "^(%l+)://(.+)$"
  if scheme == "https" then
    local address = text:match "#(.*)$"
    if not rest:find "^[^/?#]" or text:find "[%c ]" or address and not core.isip(address) then return nil end
    return { scheme = scheme, text = text }
  end
  scheme, rest = scheme or "udp", rest or text
  local name
  if scheme == "tls" then
    local before, after = rest:match "^([^#]+)#([^#%s%z]+)$"
    rest, name = before or rest, after
  end
  local ip, port = args.endpoint(rest)
  if not PORTS[scheme] or not ip or not core.isip(ip) then return nil end
  if port == 0 then port = PORTS[scheme] end
  local prefix = scheme == "udp" and "" or scheme .. "://"
  return { scheme = scheme, ip = ip, port = port, name = name, text = prefix .. args.text(ip, port) }
end

--- neap.tls; or nil, why, code where it was not built.
function M.tls()
  local ok, tls = pcall(require, "neap.tls")
  if ok then return tls end
  return nil, "TLS is not to be had: " .. tostring(tls):match "[^\n]*", "ENOTSUP"
end

local function limited(text, most) return math.min(math.tointeger(tonumber(text)) or most, most) end

-- What `options` may say that matters here.
local options <const> = {
  { "^ndots:(%d+)$", function(conf, n) conf.ndots = limited(n, 15) end },
  { "^timeout:(%d+)$", function(conf, n) conf.try_timeout = math.max(1, limited(n, 30)) end },
  { "^attempts:(%d+)$", function(conf, n) conf.tries = math.max(1, limited(n, 5)) end },
  { "^rotate$", function(conf) conf.rotate = true end },
  { "^use%-vc$", function(conf) conf.tcp = true end },
}

local keywords <const> = {
  nameserver = function(conf, words)
    local server = words[1] and core.isip(words[1]) and M.server(words[1])
    if server and #conf.servers < MOST_SERVERS then table.insert(conf.servers, server) end
  end,
  search = function(conf, words) conf.search = words end,
  domain = function(conf, words) conf.search = { words[1] } end,
  options = function(conf, words)
    for _, word in ipairs(words) do
      for _, option in ipairs(options) do
        local value = word:match(option[1])
        if value then option[2](conf, value) end
      end
    end
  end,
}

--- What the text of a resolv.conf says; what is wrong or unknown in it is
-- passed over, as the C library does.
function M.parse(text)
  local conf = { servers = {}, search = {}, ndots = 1, try_timeout = 5, tries = 2, rotate = false, tcp = false }
  for line in text:gmatch "[^\n]+" do
    local keyword, rest = line:match "^(%l+)[ \t]+(.*)$"
    if keywords[keyword] then
      local words = {}
      for word in rest:gsub("[#;].*$", ""):gmatch "[^ \t\r]+" do words[#words + 1] = word end
      keywords[keyword](conf, words)
    end
  end
  if #conf.servers == 0 then conf.servers[1] = M.server "127.0.0.1" end
  return conf
end

--- The same of a file; one that is not there says nothing.
function M.read(path)
  local file <close> = io.open(path, "r")
  return M.parse(file and file:read "a" or "")
end

return M
