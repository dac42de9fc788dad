--- Filters of packets: compiled from tcpdump's language by libpcap, checked,
-- run and shown without it.
local core <const> = require "neap.core"
local args <const> = require "neap.args"
core.open_messages()
local linktype <const> = require "neap.linktype"

---@class neap.filter
local M = {
  check = core.filter_check,
  match = core.filter_match,
  dump = core.filter_dump,
  pack = core.filter_pack,
}

-- More than any filter that a kernel takes, and little enough for libpcap,
-- whose parts call themselves.
local MAXTEXT <const> = 16384

local MOST <const> = 4096 -- instructions, for the kernel

local MAXSNAPLEN <const> = 262144 -- as tcpdump has it

-- libpcap's compiler is an object of its own: it may not have been built.
local function compiler()
  local found, part = pcall(require, "neap.filtercore")
  if found then return part.compile end
  if package.searchpath("neap.filtercore", package.cpath) then
    return nil, "filter: " .. tostring(part), "ENOTSUP"
  end
  return nil, "filter: neap was built without libpcap (libpcap-dev)", "ENOTSUP"
end

local function number_of(link)
  if link == nil then return linktype.NUMBER.ethernet end
  if type(link) == "string" then
    local number = linktype.NUMBER[link]
    if not number then error(("bad argument #2 (there is no link type '%s')"):format(link), 3) end
    return number
  end
  if math.type(link) ~= "integer" or link < 0 or link > 65535 then
    error(("bad argument #2 (link type expected, a name or a number, got %s)"):format(type(link)), 3)
  end
  return link
end

local function check_text(text)
  args.argument(text, "string", 1, 3)
  if text:find("\0", 1, true) then error("bad argument #1 (the filter holds a NUL)", 3) end
end

-- What is shown of the text in a message.
local function shown(text)
  text = text:gsub("%c", "?")
  return #text > 80 and text:sub(1, 77) .. "..." or text
end

--- A program that lets through what the text says: a list of instructions.
function M.compile(text, link, snaplen)
  check_text(text)
  link = number_of(link)
  if snaplen ~= nil then args.argument(snaplen, "size", 3, 2) end
  local compile, why, code = compiler()
  if not compile then return nil, why, code end
  local program
  if #text > MAXTEXT then
    why = ("%d bytes are too many"):format(#text)
  else
    program, why = compile(text, link, snaplen or MAXSNAPLEN)
  end
  if not program then
    why = why:gsub("^can't parse filter expression: ", "")
    return nil, ("filter: %s in '%s'"):format(why, shown(text)), "EINVAL"
  end
  if #program > MOST then
    return nil, ("filter: it becomes %d instructions, of which a kernel takes %d, in '%s'"):format(#program, MOST,
      shown(text)), "EINVAL"
  end
  local good
  good, why, code = M.check(program)
  if not good then return nil, ("%s in '%s'"):format(why, shown(text)), code end
  return program
end

return M
