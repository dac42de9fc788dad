-- dig: what a DNS server says of a name, as zone files write it.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: dig.lua [-dnrsTx] [-c class] [-C file] [-W seconds] [@server...] name [type...]
  @server     whom to ask: ip, ip:port, tcp://ip, tls://ip#name; those of
              resolv.conf unless given
  -x          the name is an address: who has it
  -s          only the data of the records, a line for each
  -d          with DNSSEC's records
  -n          the server is to say what it knows, and to ask nobody
  -r          capitals at random, against forgers
  -T          by TCP
  -c class    IN unless given
  -C file     certificates to trust, for tls://
  -W seconds  for each try: 5
The type is A unless given; a number will do: TYPE65280.
Exit: 0 if there are records, 1 if there are none, 2 if nobody answered.]]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local dns <const> = require "neap.dns"

local function fail(why)
  io.stderr:write(why:find "^usage" and why or "dig.lua: " .. why, "\n")
  os.exit(2, true)
end

-- ---- the command line ----

local short, reverse, trusted = false, false, nil

local flags <const> = {
  d = function(o) o.dnssec = true end,
  n = function(o) o.recursion = false end,
  r = function(o) o.random_case = true end,
  s = function() short = true end,
  T = function(o) o.tcp = true end,
  x = function() reverse = true end,
}

local values <const> = {
  c = function(o, text) o.class = text:upper() end,
  C = function(_, text) trusted = { ca = text } end,
  W = function(o, text) o.try_timeout = tonumber(text) or fail(usage) end,
}

local function parse(arguments)
  local options, words = {}, {}
  local i = 1
  while arguments[i] do
    local letters = arguments[i]:match "^%-(.+)$"
    local server = arguments[i]:match "^@(.+)$"
    if server then
      options.servers = options.servers or {}
      table.insert(options.servers, server)
    elseif not letters then
      words[#words + 1] = arguments[i]
    end
    while letters do
      local letter = letters:sub(1, 1)
      letters = #letters > 1 and letters:sub(2) or nil
      if flags[letter] then
        flags[letter](options)
      elseif values[letter] then
        if not letters then i, letters = i + 1, arguments[i + 1] end
        values[letter](options, letters or fail(usage))
        letters = nil
      else
        fail(usage)
      end
    end
    i = i + 1
  end
  if not words[1] then fail(usage) end
  return options, table.remove(words, 1), words
end

-- ---- records as text ----

local function name(text) return text == "." and text or text .. "." end

local function quoted(text)
  return '"' .. text:gsub('["\\]', "\\%0"):gsub("[^ -~]", function(c) return ("\\%03d"):format(c:byte()) end) .. '"'
end

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02X"):format(c:byte()) end)) end

local DIGITS <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
  local text = bytes:gsub("..?.?", function(part)
    local n = (">I3"):unpack(part .. ("\0"):rep(3 - #part))
    local word = ""
    for shift = 18, 0, -6 do
      local at = (n >> shift & 63) + 1
      word = word .. DIGITS:sub(at, at)
    end
    return word:sub(1, #part + 1) .. ("="):rep(3 - #part)
  end)
  return text
end

local function time(seconds) return os.date("!%Y%m%d%H%M%S", seconds) end

local function strings(list)
  local all = {}
  for i, text in ipairs(list) do all[i] = quoted(text) end
  return table.concat(all, " ")
end

local function list(of) return table.concat(of, ",") end

-- In the order of their numbers.
local parameters <const> = {
  { "mandatory", list },
  { "alpn", function(of) return quoted(list(of)) end },
  { "no-default-alpn", function() end },
  { "port", tostring },
  { "ipv4hint", list },
  { "ech", base64 },
  { "ipv6hint", list },
  { "dohpath", quoted },
}

local function params(table_of)
  local all, known = {}, {}
  for i, row in ipairs(parameters) do
    local key, text = row[1], row[2]
    known[key] = i
    if table_of[key] then
      local value = text(table_of[key])
      all[#all + 1] = value and key .. "=" .. value or key
    end
  end
  local others = {}
  for key, value in pairs(table_of) do
    if not known[key] then others[#others + 1] = value == true and key or key .. "=" .. quoted(value) end
  end
  table.sort(others)
  return table.concat(table.move(others, 1, #others, #all + 1, all), " ")
end

-- Fields in their order; those that are no numbers and no words, with what
-- makes text of them.
local formats <const> = {
  A = "address", AAAA = "address", NS = "nsdname:name", CNAME = "cname:name", PTR = "ptrdname:name",
  SOA = "mname:name rname:name serial refresh retry expire minimum", MX = "preference exchange:name",
  HINFO = "cpu:quoted os:quoted", TXT = "strings:strings", SPF = "strings:strings", RP = "mbox:name txt:name",
  AFSDB = "subtype hostname:name", SRV = "priority weight port target:name", DNAME = "target:name",
  NAPTR = "order preference flags:quoted services:quoted regexp:quoted replacement:name",
  DS = "key_tag algorithm digest_type digest:hex", CDS = "key_tag algorithm digest_type digest:hex",
  DNSKEY = "flags protocol algorithm key:base64", CDNSKEY = "flags protocol algorithm key:base64",
  RRSIG = "type_covered algorithm labels original_ttl expiration:time inception:time key_tag signer:name "
    .. "signature:base64",
  SSHFP = "algorithm fp_type fingerprint:hex", TLSA = "usage selector matching_type data:hex",
  SMIMEA = "usage selector matching_type data:hex", URI = "priority weight target:quoted",
  CAA = "flags tag value:quoted",
  SVCB = "priority target:name params:params", HTTPS = "priority target:name params:params",
}

local makers <const> = {
  name = name, quoted = quoted, strings = strings, hex = hex, base64 = base64, time = time, params = params,
}

local function data_of(record)
  local format = formats[record.type]
  if record.data and not (format and format:find "data:") then -- of no known kind
    return ("\\# %d %s"):format(#record.data, hex(record.data)):gsub(" $", "")
  end
  local words = {}
  for field, maker in format:gmatch "([%w_]+):?(%w*)" do
    local value = record[field]
    words[#words + 1] = makers[maker] and makers[maker](value) or tostring(value)
  end
  return (table.concat(words, " "):gsub(" $", ""))
end

-- ---- what is printed ----

local function print_records(title, records)
  if #records == 0 then return end
  print(("\n;; %s"):format(title))
  for _, record in ipairs(records) do
    print(("%s\t%d\t%s\t%s\t%s"):format(name(record.name), record.ttl, record.class, record.type, data_of(record)))
  end
end

local function print_message(message, server, size, seconds)
  local set = {}
  for _, flag in ipairs { "qr", "aa", "tc", "rd", "ra", "ad", "cd" } do
    if message[flag] then set[#set + 1] = flag end
  end
  print((";; %s, id %d, flags: %s"):format(message.rcode, message.id, table.concat(set, " ")))
  if message.edns then
    print((";; EDNS version %d, up to %d bytes%s"):format(message.edns.version, message.edns.udp_size,
      message.edns.dnssec and ", DNSSEC" or ""))
  end
  for _, question in ipairs(message.question) do
    print((";%s\t%s\t%s"):format(name(question.name), question.class, question.type))
  end
  print_records("ANSWER", message.answer)
  print_records("AUTHORITY", message.authority)
  print_records("ADDITIONAL", message.additional)
  print(("\n;; %s, %d bytes, %.0f ms\n"):format(server, size, seconds * 1000))
end

local options <const>, asked <const>, kinds <const> = parse(arg)

-- The name under which an address's records are: what reverse asks for.
local function in_reverse(resolver)
  local found, why, code = resolver:reverse(asked, options)
  if not found then
    if code ~= "EAI_NONAME" and code ~= "EAI_NODATA" then fail(why) end
    io.stderr:write("dig.lua: ", why, "\n")
    return false
  end
  for _, record in ipairs(found) do print(name(record.ptrdname)) end
  return true
end

local function look_up(resolver, kind)
  local began = neap.now()
  local message, server, size = resolver:exchange(asked, kind, options)
  if not message then fail(server) end
  if short then
    for _, record in ipairs(message.answer) do print(data_of(record)) end
  else
    print_message(message, server, size, neap.now() - began)
  end
  return message.rcode == "NOERROR" and #message.answer > 0
end

local ok, found = pcall(neap.run, function()
  local resolver, why = dns.resolver { tls = trusted, cache = false }
  if not resolver then fail(why) end
  if reverse then return in_reverse(resolver) end
  local all = true
  if not kinds[1] then kinds[1] = "A" end
  for _, kind in ipairs(kinds) do all = look_up(resolver, kind) and all end
  return all
end)
if not ok then fail((tostring(found):gsub("^[^ ]+:%d+: ", ""))) end
os.exit(found and 0 or 1, true)
