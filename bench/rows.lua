-- What is measured, and of which programs: the benchmark as data.
-- SPDX-License-Identifier: MIT

local rows = {}

-- Kinds: "ratio" is the CPU time of C for one operation over the program's
-- (`base`: of that program; by = "rate": its operations in a second over C's);
-- the others are what they are called, and less is better.
-- `goal` and `wish` are for neap, `about` is what the goal once came to. `load` drives the program in its `role`.

rows.list = {
  { id = "echo-1", title = "echo of 64 B, 1 connection",
    kind = "ratio", goal = .92, wish = .97,
    load = { "echo", "-c", 1 }, role = "echo", size = 64 },
  { id = "echo-1-busy", title = "the same, its client never asleep",
    kind = "ratio",
    load = { "echo", "-c", 1, "-w", 0 }, role = "echo", size = 64 },
  { id = "echo-64", title = "echo of 64 B, 64 connections",
    kind = "ratio", goal = .94, wish = .97,
    load = { "echo", "-c", 64 }, role = "echo", size = 64 },
  { id = "echo-512", title = "echo of 64 B, 512 connections",
    kind = "ratio", goal = .92, wish = .97,
    load = { "echo", "-c", 512 }, role = "echo", size = 64 },
  { id = "echo-64k", title = "echo of 64 KiB, 8 connections",
    kind = "ratio", goal = .95,
    load = { "echo", "-c", 8, "-s", 65536 }, role = "echo", size = 65536 },
  { id = "sink", title = "receive only, 64 KiB",
    kind = "ratio", goal = .80,
    load = { "sink", "-s", 65536 }, role = "sink", size = 65536 },
  { id = "exchange", title = "accept + one exchange + close",
    kind = "ratio", goal = .94,
    load = { "exchange", "-c", 16 }, role = "exchange", size = 64 },
  { id = "pingpong", title = "client, ping-pong of 64 B",
    kind = "ratio", goal = .93,
    load = { "client" }, role = "pingpong", size = 64 },
  { id = "lines", title = "client, lines of 20 to 99 bytes",
    kind = "ratio", goal = .50, about = "8.5 M/s",
    load = { "source" }, role = "lines", size = 0 },
  { id = "udp-echo", title = "UDP echo of 64 B, 64 sockets",
    kind = "ratio", goal = .85,
    load = { "datagrams", "-c", 64, "-w", 0 }, role = "udp_echo", size = 64 },
  { id = "udp-receive", title = "UDP, receive many of 64 B",
    kind = "ratio", goal = 1.2,
    load = { "flood" }, role = "udp_receive", size = 64 },
  { id = "udp-apart", title = "the same, never put together (no GRO)",
    kind = "ratio",
    load = { "flood" }, role = "udp_apart", size = 64 },
  { id = "udp-send", title = "UDP, send many of 64 B",
    kind = "ratio", goal = 1.2,
    load = { "drain" }, role = "udp_send", size = 64 },
  { id = "udp-segments", title = "UDP, send 1400 B in bulk (GSO)",
    kind = "ratio", goal = 3,
    load = { "drain" }, role = "udp_segments", size = 1400 },
  { id = "capture", title = "packets captured, in a second",
    kind = "ratio", by = "rate", goal = .6,
    load = { "frames" }, role = "capture", size = 0 },
  { id = "capture-cpu", title = "packets captured, CPU time",
    kind = "ratio",
    load = { "frames" }, role = "capture", size = 0 },
  { id = "decode", title = "decode Ethernet, IPv4, TCP",
    kind = "ratio", base = "scapy", goal = 30,
    load = { "self" }, role = "decode" },
  { id = "memory", title = "memory of an idle connection",
    kind = "bytes", goal = 1600,
    load = { "idle", "-c", 10000 }, role = "echo", size = 64 },
  { id = "require", title = "require, over bare Lua",
    kind = "ms", goal = .5, load = { "start", "-c", 40 } },
  { id = "calls", title = "system calls for an echo, 64 connections",
    kind = "calls", goal = 2.05,
    load = { "echo", "-c", 64, "-x" }, role = "echo", size = 64 },
  { id = "udp-calls", title = "system calls for a UDP echo, 64 sockets",
    kind = "calls",
    load = { "datagrams", "-c", 64, "-x" }, role = "udp_echo", size = 64 },
  { id = "spawn", title = "spawn + join of an empty task",
    kind = "ns", load = { "self" }, role = "spawn" },
  { id = "sleep", title = "sleep(0)",
    kind = "ns", load = { "self" }, role = "sleep" },
  { id = "channel", title = "channel hand-over",
    kind = "ns", load = { "self" }, role = "channel" },
}

local servers = "echo sink exchange pingpong lines"
local datagrams = "udp_echo udp_receive udp_apart udp_send udp_segments"

-- `require` is what a program that wants TCP loads. `package` is Debian's
-- name, for the version. `idle` is how many idle connections it can hold.
-- `base` says that it only stands in C's place, in rows that name it.
rows.programs = {
  { name = "C", roles = table.concat({ servers, datagrams, "capture" }, " ") },
  { name = "scapy", base = true, package = "python3-scapy", roles = "decode",
    command = { "/usr/bin/python3", "bench/peers/scapy_decode.py" },
    probe = { "/usr/bin/python3", "-c", "import scapy" } },
  { name = "neap", lua = "lua5.4", require = { "neap", "neap.tcp" },
    roles = table.concat({ servers, datagrams, "capture decode spawn sleep channel" }, " ") },
  { name = "luv", lua = "lua5.4", require = { "luv" }, package = "lua-luv",
    roles = servers .. " " .. datagrams },
  { name = "cqueues", lua = "lua5.4", package = "lua-cqueues",
    require = { "cqueues", "cqueues.socket" },
    roles = servers .. " spawn sleep channel" },
  { name = "copas", lua = "lua5.1", require = { "copas" },
    package = "lua-copas", roles = servers .. " " .. datagrams, idle = 1000 },
  { name = "luasocket", lua = "lua5.4", require = { "socket" },
    package = "lua-socket", roles = "pingpong lines udp_receive udp_apart udp_send udp_segments" },
}

return rows
