-- A sniffer: what passes an interface, a line for each packet, or into a file.
-- SPDX-License-Identifier: MIT
local usage <const> = [[
usage: sniff.lua [-pU] [-i interface] [-c count] [-s snaplen] [-w file] [filter]
       sniff.lua [-U] [-c count] [-w file] -r file [filter]
  -i interface  the first that is up unless given
  -c count      end after so many packets
  -s snaplen    no more than so many bytes of each, 262144
  -w file       write them there instead of printing them; - is the standard
                output, .pcapng gives the newer format
  -r file       read them from there; - is the standard input
  -p            see what is for others, too (promiscuous)
  -U            write each packet as it comes
  filter        what to take, in tcpdump's language: 'tcp port 80']]

if arg[1] == "-h" or arg[1] == "--help" then
  print(usage)
  os.exit(0, true)
end

local neap <const> = require "neap"
local packet <const> = require "neap.packet"
local filter <const> = require "neap.filter"
local pcap <const> = require "neap.pcap"
local wire <const> = require "neap.wire"

local function fail(...)
  io.stderr:write("sniff.lua: ", ...)
  io.stderr:write("\n")
  os.exit(1, true)
end

-- Like assert, but that the message stays as it is.
local function check(value, why)
  if not value then error(why, 0) end
  return value
end

-- ---- the command line ----

local flags <const> = { i = "value", c = "value", s = "value", w = "value", r = "value", p = "flag", U = "flag" }

local function parse(arguments)
  local options, rest = {}, {}
  local i = 1
  while arguments[i] do
    local letters = arguments[i]:match "^%-(%a.*)$"
    if not letters then rest[#rest + 1] = arguments[i] end
    while letters and letters ~= "" do
      local letter = letters:sub(1, 1)
      letters = letters:sub(2)
      if flags[letter] == "flag" then
        options[letter] = true
      elseif flags[letter] == "value" then
        if letters == "" then i, letters = i + 1, arguments[i + 1] end
        options[letter], letters = letters or fail(usage), nil
      else
        fail(usage)
      end
    end
    i = i + 1
  end
  return options, table.concat(rest, " ")
end

local function count(text, name)
  if not text then return end
  local n = math.tointeger(tonumber(text))
  if not n or n < 1 then fail(name, " is not a number that fits: ", text) end
  return n
end

-- ---- a packet as a line ----

local transport <const> = {}

function transport.tcp(tcp, rest)
  local parts = { ("Flags [%s], seq %d"):format(tcp.flags:gsub("A", "."), tcp.seq) }
  if tcp.flags:find "A" then parts[#parts + 1] = ("ack %d"):format(tcp.ack) end
  parts[#parts + 1] = ("win %d, length %d"):format(tcp.window, rest)
  return table.concat(parts, ", ")
end

function transport.udp(udp) return ("UDP, length %d"):format(udp.length - 8) end

function transport.icmp(icmp, rest) return ("ICMP, type %d, code %d, length %d"):format(icmp.type, icmp.code, rest) end

function transport.icmpv6(icmp, rest) return "ICMP6" .. transport.icmp(icmp, rest):sub(5) end

-- The layer above IP, extension headers left out.
local function above(layers)
  for _, layer in ipairs(layers) do
    if transport[layer.layer] or layer.src_port then return layer end
  end
end

local function ip_line(layers)
  local ip = layers.ipv4 or layers.ipv6
  local what = above(layers)
  local from, to, text = ip.src, ip.dst, ("%s, length %d"):format(layers[#layers].layer, #layers.payload)
  if what then
    if what.src_port then from, to = from .. "." .. what.src_port, to .. "." .. what.dst_port end
    local say = transport[what.layer]
    text = say and say(what, #layers.payload) or ("%s, length %d"):format(what.layer, #layers.payload)
  end
  return ("%s %s > %s: %s"):format(layers.ipv4 and "IP" or "IP6", from, to, text)
end

local function arp_line(arp)
  if arp.operation == 2 then return ("ARP, %s is-at %s"):format(arp.sender_ip, arp.sender_mac) end
  return ("ARP, who-has %s tell %s"):format(arp.target_ip, arp.sender_ip)
end

local function describe(data, info)
  local known, layers = pcall(wire.decode, data, info.linktype, { truncated = true })
  if not known or not layers then return ("%d bytes of link type %s"):format(info.length, info.linktype) end
  if layers.ipv4 or layers.ipv6 then return ip_line(layers) end
  if layers.arp and layers.arp.sender_ip then return arp_line(layers.arp) end
  local link = layers[1]
  if not link then return ("%d bytes"):format(info.length) end
  return ("%s > %s, type 0x%04x, length %d"):format(link.src or "?", link.dst or "?", link.type or 0, info.length)
end

local DIRECTION <const> = { ["in"] = "In  ", out = "Out " }

local function line(data, info)
  local at = info.timestamp or 0
  local seconds, nanoseconds = at // 1000000000, at % 1000000000
  return ("%s.%06d %s%s"):format(os.date("%H:%M:%S", seconds), nanoseconds // 1000, DIRECTION[info.direction] or "",
    describe(data, info))
end

-- ---- where packets come from, and where they go ----

-- The first that is up and is not this machine alone.
local function any_interface()
  local loopback
  for _, interface in ipairs(check(neap.interfaces())) do
    if interface.flags.loopback then loopback = interface.name
    elseif interface.flags.up then return interface.name end
  end
  return loopback or fail("there is no interface")
end

-- What has no hardware address, as a tunnel, carries bare IP.
local function link_of(name)
  for _, interface in ipairs(check(neap.interfaces())) do
    if interface.name == name then
      return (interface.flags.loopback or interface.mac and interface.mac ~= "") and "ethernet" or "raw"
    end
  end
  return "ethernet"
end

-- Each returns an iterator of data and info, the link type, and what is to be
-- closed.
local function live(options, text)
  local name = options.i or any_interface()
  local snaplen = count(options.s, "-s") or 262144
  local sock = check(packet.open(name, {
    filter = text ~= "" and text or nil, snaplen = snaplen, maxmessage = snaplen, promiscuous = options.p,
    timestamps = true, rcvbuf = 4 << 20,
  }))
  local link = link_of(name)
  io.stderr:write(("listening on %s, link type %s\n"):format(name, link))
  return function()
    local data, info, code = sock:receivemsg(snaplen)
    if code == "ECLOSED" then return end
    check(data, info)
    info.direction = info.type == "outgoing" and "out" or "in"
    info.linktype = link
    return data, info
  end, link, sock
end

local function recorded(options, text)
  local reader = check(pcap.open(options.r == "-" and io.stdin or options.r))
  local link = reader.linktype or "ethernet"
  local program = text ~= "" and check(filter.compile(text, link))
  local function next_packet()
    local data, info, code = reader:read()
    if not data and code ~= "EOF" then error(info, 0) end
    if data and program and not filter.match(program, data, math.max(info.length, #data)) then return next_packet() end
    return data, info
  end
  return next_packet, link, reader
end

local function printer()
  io.stdout:setvbuf "line"
  return function(data, info) return io.write(line(data, info), "\n") end
end

local function recorder(options, link)
  local writer = check(pcap.create(options.w == "-" and io.stdout or options.w, { linktype = link }))
  return function(data, info)
    check(writer:write(data, info))
    if options.U then check(writer:flush()) end
    return true
  end, writer
end

-- ---- all together ----

-- Closes the source at a signal, having asked it what the kernel dropped.
local function stop_at_signal(source, finish)
  local signal <close> = neap.signal("INT", "TERM")
  signal:wait()
  finish()
  source:close()
end

local function main(options, text)
  local most = count(options.c, "-c") or math.maxinteger
  local next_packet, link, source = (options.r and recorded or live)(options, text)
  local held <close> = source
  local put, sink = printer(), nil
  if options.w then put, sink = recorder(options, link) end
  local packets, counts = 0, nil
  local function finish() counts = counts or not options.r and source:statistics() end
  neap.spawn({ daemon = true, name = "signals" }, stop_at_signal, source, finish)
  for data, info in next_packet do
    if not put(data, info) then break end
    packets = packets + 1
    if packets == most then break end
  end
  finish()
  if sink then check(sink:close()) end
  local dropped = counts and (", %d dropped by the kernel"):format(counts.drops) or ""
  io.stderr:write(packets, " packets", dropped, "\n")
end

local options, text = parse(arg)
local done, why = pcall(neap.run, main, options, text)
if not done then fail(tostring(why)) end
