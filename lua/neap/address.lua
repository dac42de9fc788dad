--- Addresses as people write them: ports, services, "host:port", URLs.
local M = {}

--- A port (integer) or a service's name; raises on anything else.
function M.port(port, lowest, arg, level)
  if math.type(port) == "integer" or type(port) == "number" and math.tointeger(port) then
    port = math.tointeger(port)
    if port < lowest or port > 65535 then
      error(("bad argument #%d (port must be in [%d, 65535])"):format(arg, lowest), level + 1)
    end
    return port
  end
  if type(port) ~= "string" or port == "" or port:find("\0", 1, true) then
    error(("bad argument #%d (port or service name expected, got %s)"):format(arg, type(port)), level + 1)
  end
  if port:match "^%d+$" then return M.port(math.tointeger(tonumber(port)) or 65536, lowest, arg, level + 1) end
  return port
end

--- A host's name or address; raises on what cannot be one.
function M.host(host, arg, level)
  if type(host) ~= "string" then
    error(("bad argument #%d (host expected, got %s)"):format(arg, type(host)), level + 1)
  end
  if host == "" or host:find("\0", 1, true) then
    error(("bad argument #%d (host is empty or holds a NUL)"):format(arg), level + 1)
  end
  return host:match "^%[(.+)%]$" or host
end

--- "ip", "ip:port", "[ip]:port" -> ip, port (0 if there is none).
function M.endpoint(text)
  local ip, port = text:match "^%[(.+)%]:(%d+)$"
  if not ip then ip, port = text:match "^([^:]+):(%d+)$" end
  if not ip then ip, port = text:match "^%[?([^%[%]]+)%]?$", "0" end
  port = math.tointeger(tonumber(port))
  if not ip or not port or port > 65535 then return nil end
  return ip, port
end

--- "127.0.0.1:80", "[::1]:80".
function M.text(ip, port)
  return (ip:find(":", 1, true) and "[%s]:%s" or "%s:%s"):format(ip, port)
end

return M
