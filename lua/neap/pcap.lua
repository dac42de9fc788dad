--- Captures: packets and their times in files, pcap and pcapng, read from and
-- written to whatever carries bytes; and a tap that writes what a socket does.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
local linktype <const> = require "neap.linktype"

---@class neap.pcap
local M = {
  --- The link types that have a name: name -> number.
  linktypes = linktype.NUMBER,
}

local read_options <const> = { maxpacket = "size" }

local write_options <const> = {
  format = "string", linktype = "fd", -- of which args.check accepts anything
  snaplen = "size", nanoseconds = "boolean", interface = "string", comment = "string", application = "string",
}

-- A file at the path, or nil, message, code.
local function open_path(path, mode)
  local file, why, number = io.open(path, mode)
  if file then return file end
  return nil, "open " .. why, core.errname(number)
end

local function path_or(value, what, arg, level)
  if type(value) == "string" then
    if value == "" or value:find("\0", 1, true) then
      error(("bad argument #%d (the path is empty or holds a NUL)"):format(arg), level + 1)
    end
    return value
  end
  local kind = io.type(value) or type(value)
  if kind == "file" or kind == "function" and what == "read" then return end
  local has = (kind == "table" or kind == "userdata") and pcall(function() assert(value[what]) end)
  if not has then
    error(("bad argument #%d (path, file or stream expected, got %s)"):format(arg, kind), level + 1)
  end
end

--- Opens a capture: a path, a file, a stream, or a function that gives strings.
function M.open(from, given)
  local path = path_or(from, "read", 1, 2)
  local o = args.check(given, read_options, 2, 2)
  if path then
    local why, code
    from, why, code = open_path(path, "rb")
    if not from then return nil, why, code end
  end
  local reader, why, code, offset = require "neap.pcap.reader"(from, o)
  if reader then return reader end
  if path then from:close() end
  if offset then return nil, why, code, offset end
  return nil, why, code
end

-- What args.check cannot tell.
local function check_options(o)
  if o.format and o.format ~= "pcap" and o.format ~= "pcapng" then
    error("option 'format' must be \"pcap\" or \"pcapng\"", 3)
  end
  local link = o.linktype
  local number = math.type(link) == "integer" and link >= 0 and link < 65536
  if link ~= nil and not number and not linktype.NUMBER[link] then
    error("option 'linktype' must be a known name, or a number", 3)
  end
  for _, name in ipairs { "interface", "comment", "application" } do
    if o[name] and #o[name] > 65535 then error(("option '%s' is longer than 65535 bytes"):format(name), 3) end
  end
end

--- Makes a capture: at a path, or in a file or a stream.
function M.create(to, given)
  local path = path_or(to, "write", 1, 2)
  local o = args.check(given, write_options, 2, 2)
  check_options(o)
  if path then
    if not o.format and path:find "%.pcapng$" then o.format = "pcapng" end
    local why, code
    to, why, code = open_path(path, "wb")
    if not to then return nil, why, code end
  end
  local writer, why, code = require "neap.pcap.writer"(to, o, path)
  if writer then return writer end
  if path then to:close() end
  return nil, why, code
end

--- Writes what the socket sends and receives from now on.
function M.tap(sock, writer)
  local tap, why, code = require "neap.pcap.tap"(sock, writer) -- no tail call: errors blame our caller
  if tap then return tap end
  return nil, why, code
end

return M
