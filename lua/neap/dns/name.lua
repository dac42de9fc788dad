-- SPDX-License-Identifier: MIT
--- Domain names: text (with a backslash before what would be mistaken, RFC
-- 1035 5.1) to labels, and labels to and from the bytes of a message. No socket.
local M = {}

local LONGEST <const>, LONGEST_LABEL <const> = 255, 63
local HEADER <const> = 12 -- bytes, which no name lies in
local MOST_JUMPS <const> = 127 -- a name has no more labels
local BACKSLASH <const> = 0x5c

-- ---- text ----

-- What a backslash at `at` stands for, and where it goes on.
local function unescape(text, at)
  local digits = text:match("^%d%d%d", at + 1)
  if digits then
    local n = tonumber(digits)
    if n > 255 then return nil end
    return string.char(n), at + 4
  end
  local c = text:sub(at + 1, at + 1)
  if c == "" or c:find "%d" then return nil end
  return c, at + 2
end

-- The label that begins at `at`, and where its dot is, if it has one.
local function label_at(text, at)
  local parts = {}
  while true do
    local stop = text:find("[.\\]", at)
    parts[#parts + 1] = text:sub(at, (stop or 0) - 1)
    if not stop or text:byte(stop) ~= BACKSLASH then return table.concat(parts), stop end
    parts[#parts + 1], at = unescape(text, stop)
    if not at then return nil end
  end
end

--- The labels of a name, and whether it ended in a dot; or nil and what is
-- wrong with it.
function M.parse(text)
  if text == "." then return {}, true end
  local labels, size, at = {}, 1, 1
  while true do
    local label, stop = label_at(text, at)
    if not label then return nil, "a backslash stands for nothing" end
    if label == "" then return nil, "a label is empty" end
    if #label > LONGEST_LABEL then return nil, "a label is longer than 63 bytes" end
    labels[#labels + 1] = label
    size = size + #label + 1
    if size > LONGEST then return nil, "it is longer than 255 bytes" end
    if not stop or stop == #text then return labels, stop ~= nil end
    at = stop + 1
  end
end

local function escape_byte(c) return ("\\%03d"):format(c:byte()) end

--- The text of labels, without a dot at its end; "." of none.
function M.text(labels)
  if #labels == 0 then return "." end
  local texts = {}
  for i, label in ipairs(labels) do
    texts[i] = label:find "[^!-~]" and label:gsub("[.\\]", "\\%0"):gsub("[^!-~]", escape_byte)
      or label:gsub("[.\\]", "\\%0")
  end
  return table.concat(texts, ".")
end

--- What names have in common that are the same.
function M.key(text) return text:lower() end

--- Whether a name (a key) is in a zone (a key) or is its name.
function M.is_within(key, zone)
  if zone == "." or key == zone then return true end
  if key:sub(-#zone - 1) ~= "." .. zone then return false end
  local slashes = key:sub(1, -#zone - 2):match "\\*$"
  return #slashes % 2 == 0 -- else that dot is one of a label
end

-- ---- bytes ----

--- The bytes of a name, uncompressed.
function M.wire(labels)
  local parts = {}
  for i, label in ipairs(labels) do parts[i] = string.char(#label) .. label end
  return table.concat(parts) .. "\0"
end

--- Appends a name to a message: out.size counts its bytes, out.names knows
-- where names are that can be pointed at.
function M.put(out, labels, compress)
  local suffix = M.wire(labels)
  for _, label in ipairs(labels) do
    local known = out.names[suffix]
    if known and compress then
      out:put((">I2"):pack(0xc000 | known))
      return
    end
    if not known and out.size < 0x4000 then out.names[suffix] = out.size end
    out:put((">s1"):pack(label))
    suffix = suffix:sub(#label + 2)
  end
  out:put "\0"
end

-- Where a pointer points. Only backward, from where this part of the name
-- began: so there is no way to go round.
local function target_of(bytes, at, stop, began)
  if at + 1 >= stop then return nil, "a name is cut off" end
  local target = ((">I2"):unpack(bytes, at) & 0x3fff) + 1
  if target >= began then return nil, "a name points forward, or at itself" end
  if target <= HEADER then return nil, "a name points into the header" end
  return target
end

-- Names of the message that is being read, by where they were pointed at: so
-- that a message full of pointers to one long name costs no more than others.
local message, pointed_at = nil, {}

--- Whose names are read from now on; nil when it was read.
function M.reading(bytes) message, pointed_at = bytes, {} end

local read

-- What a pointer at `at` stands for.
local function follow(bytes, at, stop, began, depth)
  local target, why = target_of(bytes, at, stop, began)
  if not target then return nil, why end
  local known = bytes == message and pointed_at[target]
  if known then return known end
  if depth > MOST_JUMPS then return nil, "a name has too many pointers" end
  known, why = read(bytes, target, #bytes + 1, depth)
  if known and bytes == message then pointed_at[target] = known end
  return known, why
end

-- The name at `at`: { text (of the root ""), size, jumps }, and where it goes on;
-- or nil and what is wrong.
function read(bytes, at, stop, depth, plain)
  local labels, size, began = {}, 1, at
  while true do
    local n = at < stop and bytes:byte(at)
    if not n then return nil, "a name is cut off" end
    if n == 0 then return { #labels > 0 and M.text(labels) or "", size, 0 }, at + 1 end
    if n >= 0xc0 then
      if plain then return nil, "a name is compressed that must not be" end
      local tail, why = follow(bytes, at, stop, began, depth + 1)
      if not tail then return nil, why end
      if tail[3] >= MOST_JUMPS then return nil, "a name has too many pointers" end
      if size - 1 + tail[2] > LONGEST then return nil, "a name is longer than 255 bytes" end
      local text = #labels > 0 and M.text(labels) or ""
      if text ~= "" and tail[1] ~= "" then text = text .. "." end
      return { text .. tail[1], size - 1 + tail[2], tail[3] + 1 }, at + 2
    end
    if n > LONGEST_LABEL then return nil, "a label is of no known kind" end
    if at + n >= stop then return nil, "a name is cut off" end
    size = size + n + 1
    if size > LONGEST then return nil, "a name is longer than 255 bytes" end
    labels[#labels + 1] = bytes:sub(at + 1, at + n)
    at = at + n + 1
  end
end

--- The name at `at`, which must end before `stop`: its text and where it goes
-- on; or nil and what is wrong. plain: it must not be compressed.
function M.get(bytes, at, stop, plain)
  local name, after = read(bytes, at, stop, 0, plain)
  if not name then return nil, after end
  return name[1] ~= "" and name[1] or ".", after
end

return M
