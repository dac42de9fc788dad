--- Server-sent events (text/event-stream, as the HTML standard has it): bytes
-- to events, and back.
local M = {}

local MOST <const> = 1 << 20 -- bytes of an event
local PIECES <const> = 4096 -- of a line, before they are joined

M.TYPE = "text/event-stream"

-- ---- reading ----

local parser <const> = { __name = "neap.http.sse" }
parser.__index = parser

--- A parser. It keeps `last_id` ("" at first, or the one given) and `retry`
-- (milliseconds, once the server has said so). An event of more than `most`
-- bytes (1 MiB) is a failure.
function M.parser(most, last_id)
  return setmetatable({
    most = most or MOST, last_id = last_id or "",
    rest = {}, line = 0, -- of a line that has not ended, and its bytes
    data = {}, size = 0, started = false,
  }, parser)
end

-- The event that an empty line ends, or nil.
local function dispatch(self)
  self.last_id = self.next_id or self.last_id
  local data = self.data
  local event
  if data[1] then
    event = { type = self.kind or "message", data = table.concat(data, "\n"), id = self.last_id }
  end
  self.data, self.size, self.kind = {}, 0, nil
  return event
end

local fields <const> = {
  data = function(self, value)
    self.data[#self.data + 1] = value
    self.size = self.size + #value + 1
  end,
  event = function(self, value) self.kind = value ~= "" and value or nil end,
  id = function(self, value)
    if not value:find("\0", 1, true) then self.next_id = value end
  end,
  retry = function(self, value)
    if value:find "^[0-9]+$" and #value <= 15 then self.retry = math.tointeger(tonumber(value)) end
  end,
}

local function take_line(self, line)
  if not self.started then
    self.started = true
    if line:sub(1, 3) == "\xef\xbb\xbf" then line = line:sub(4) end
  end
  if line == "" then return dispatch(self) end
  local name, value = line:match "^([^:]*):? ?(.*)$"
  local set = fields[name]
  if set then set(self, value) end
end

local function too_long(self)
  self.failed = true
  self.rest, self.data = {}, {}
  return nil, ("sse: an event of more than %d bytes"):format(self.most), "EMSGSIZE"
end

-- A part of a line. False if that is too much.
local function add(self, bytes)
  local rest = self.rest
  self.line = self.line + #bytes
  if self.line + self.size > self.most then return false end
  rest[#rest + 1] = bytes
  if #rest == PIECES then self.rest = { table.concat(rest) } end
  return true
end

-- The line has ended.
local function whole_line(self)
  local line = table.concat(self.rest)
  self.rest, self.line = {}, 0
  return line
end

--- The events that the bytes complete: a list of { type =, data =, id = }. What
-- a stream ends in that is no whole event is nothing. A failure comes after the
-- events before it, in the next call.
function parser:feed(bytes)
  if self.failed then return too_long(self) end
  local events, from = {}, 1
  if self.after_cr and bytes ~= "" then
    if bytes:byte() == 0x0a then from = 2 end
    self.after_cr = false
  end
  while from <= #bytes do
    local to = bytes:find("[\r\n]", from)
    if not add(self, bytes:sub(from, to and to - 1)) then
      local message, why, code = too_long(self)
      if events[1] then return events end
      return message, why, code
    end
    if not to then break end
    events[#events + 1] = take_line(self, whole_line(self))
    from = to + 1
    if bytes:byte(to) == 0x0d then
      self.after_cr = from > #bytes
      if bytes:byte(from) == 0x0a then from = from + 1 end
    end
  end
  return events
end

-- ---- writing ----

local function one_line(name, value, level)
  value = tostring(value)
  if value:find "[\r\n\0]" then error(("field '%s' holds a line end or a NUL"):format(name), level + 1) end
  return ("%s: %s\n"):format(name, value)
end

local EVENT <const> = { data = true, event = true, id = true, retry = true }

local function data_lines(out, data)
  data = tostring(data):gsub("\r\n?", "\n")
  for line in (data .. "\n"):gmatch "([^\n]*)\n" do out[#out + 1] = ("data: %s\n"):format(line) end
end

--- The text of an event: its data, or { data =, event =, id =, retry = }.
function M.event(event)
  if type(event) ~= "table" then event = { data = event } end
  local out = {}
  for name in pairs(event) do
    if not EVENT[name] then error(("unknown field '%s'"):format(tostring(name)), 2) end
  end
  if event.event then out[#out + 1] = one_line("event", event.event, 2) end
  if event.id then out[#out + 1] = one_line("id", event.id, 2) end
  if event.retry then
    if math.type(event.retry) ~= "integer" or event.retry < 0 then error("field 'retry' must be milliseconds", 2) end
    out[#out + 1] = ("retry: %d\n"):format(event.retry)
  end
  if event.data ~= nil then data_lines(out, event.data) end
  out[#out + 1] = "\n"
  return table.concat(out)
end

--- A comment, which keeps a connection alive.
function M.comment(text)
  return ": " .. (text or ""):gsub("\r\n?", "\n"):gsub("\n", "\n: ") .. "\n\n"
end

return M
