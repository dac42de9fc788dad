--- Where a capture is read from: a file, a stream or a function that gives
-- strings, with what was read and not yet taken. Nothing is lost when a read
-- fails: what came stays, and is there for the next one.
local core <const> = require "neap.core"

local CHUNK <const> = 65536 -- of what gives what it has

local source <const> = {}
source.__index = source

-- A Lua file gives all that it is asked for, or waits for it.
local function file_more(self, n)
  local piece, why, number = self.from:read(n)
  if piece then return piece end
  if not why then return nil, "end of stream", "EOF" end
  return nil, "read " .. why, core.errname(number or 5)
end

local function stream_more(self) return self.from:receive(CHUNK) end

local function function_more(self) return self.from() end

local function object_more(self, n) return self.from:read(n) end

local function has(from, name)
  local kind = type(from)
  return (kind == "table" or kind == "userdata") and pcall(function() return from[name] end)
    and from[name] ~= nil
end

local function way_of(from)
  if io.type(from) then return io.type(from) == "file" and file_more end
  if type(from) == "function" then return function_more end
  if has(from, "receive") then return stream_more end
  if has(from, "read") then return object_more end
end

--- Sees to it that n bytes are there from data[pos] on. Returns true; or nil,
-- message, code: "EOF" at the end, however many are there.
function source:need(n)
  while self.have < n do
    local piece, why, code = self:more(n - self.have)
    if piece == nil or piece == "" then return nil, why or "end of stream", code or "EOF" end
    if type(piece) ~= "string" then
      error(("a capture is made of strings, and this gave a %s"):format(type(piece)), 0)
    end
    table.insert(self.late, piece)
    self.have = self.have + #piece
  end
  if self.late[1] then -- joined once, not with every piece that came
    self.data = self.data:sub(self.pos) .. table.concat(self.late)
    self.pos, self.late = 1, {}
  end
  return true
end

--- The first n bytes were used.
function source:take(n)
  self.pos, self.have, self.offset = self.pos + n, self.have - n, self.offset + n
end

function source:close()
  local from = self.from
  self.from = nil
  if from ~= nil and io.type(from) ~= "closed file" and has(from, "close") then from:close() end
  return true
end

--- Of what was given to pcap.open; nil for what can be no source.
return function(from)
  local more = way_of(from)
  if not more then return nil end
  return setmetatable({
    from = from, more = more, data = "", pos = 1, have = 0, offset = 0, late = {},
  }, source)
end
