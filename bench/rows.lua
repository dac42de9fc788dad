-- What is measured, and of which programs: the benchmark as data.
-- SPDX-License-Identifier: MIT

local rows = {}

-- Kinds: "ratio" is the CPU time of C for one operation over the program's
-- (`base`: of that program; by = "rate": its operations in a second over C's);
-- the others are what they are called, and less is better.
-- `goal` and `wish` are for neap, `about` is what the goal once came to. `load` drives the program in its `role`.
-- `tls` rows need OpenSSL. `require` names what of the program is loaded. Rows of a `group` stand
-- in a table of their own.

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
  { id = "tls-echo", title = "TLS 1.3 echo of 64 B, 64 connections",
    kind = "ratio", goal = .95, tls = true,
    load = { "tls-echo", "-c", 64 }, role = "tls_echo", size = 64 },
  { id = "tls-bulk", title = "TLS 1.3, receive only, 64 KiB",
    kind = "ratio", goal = .95, tls = true,
    load = { "tls-sink" }, role = "tls_sink", size = 65536 },
  { id = "tls-send", title = "TLS 1.3, send only, 64 KiB",
    kind = "ratio", goal = .95, tls = true,
    load = { "tls-source" }, role = "tls_source", size = 65536 },
  { id = "tls-full", title = "TLS 1.3, accept + handshake + close",
    kind = "ratio", goal = .97, tls = true,
    load = { "tls-full", "-c", 16 }, role = "tls_accept", size = 64 },
  { id = "tls-resumed", title = "the same, resumed",
    kind = "ratio", goal = .97, tls = true,
    load = { "tls-resumed", "-c", 16 }, role = "tls_accept", size = 64 },
  { id = "memory", title = "memory of an idle connection",
    kind = "bytes", goal = 1600,
    load = { "idle", "-c", 10000 }, role = "echo", size = 64 },
  { id = "tls-memory", title = "memory of an idle TLS connection",
    kind = "bytes", goal = 17000, tls = true,
    load = { "tls-idle", "-c", 4000 }, role = "tls_echo", size = 64 },
  { id = "require", title = "require, over bare Lua",
    kind = "ms", goal = .5, load = { "start", "-c", 40 }, require = "require" },
  { id = "tls-require", title = "require with TLS, over bare Lua",
    kind = "ms", goal = 2, tls = true, load = { "start", "-c", 40 }, require = "tls" },
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
  { id = "http", group = "web", title = "HTTP hello, 64 connections of wrk's",
    kind = "ratio", goal = .80,
    load = { "wrk", "-c", 64 }, without_wrk = { "http", "-c", 64 }, role = "http" },
  { id = "http-tls", group = "web", title = "HTTP hello over TLS 1.3, 64 connections",
    kind = "ratio", base = "nginx", goal = 1, tls = true,
    load = { "tls-http", "-c", 64 }, role = "https" },
  { id = "http-pipelined", group = "web", title = "HTTP hello, 16 requests at once",
    kind = "ratio", base = "nginx", goal = 1,
    load = { "http", "-c", 64, "-d", 16 }, role = "http_pipelined" },
  { id = "http-file", group = "web", title = "HTTP, a file of 64 KiB",
    kind = "ratio", base = "nginx", goal = .9,
    load = { "http", "-c", 64, "-u", "/file.txt" }, role = "http_file" },
  { id = "http-get", group = "web", title = "HTTP client, one GET after the other",
    kind = "ratio", base = "libcurl", goal = 1,
    load = { "http-client" }, role = "http_get" },
  { id = "http-pool", group = "web", title = "HTTP client, 64 GETs side by side",
    kind = "ratio", base = "libcurl",
    load = { "http-client", "-c", 64 }, role = "http_pool" },
  { id = "http-parse", group = "web", title = "parse the head of a browser's request",
    kind = "ns", load = { "self" }, role = "http_parse" },
  { id = "websocket", group = "web", title = "WebSocket echo of 64 B, 16 at once",
    kind = "ratio", base = "Node", goal = 2,
    load = { "websocket", "-c", 64, "-d", 16 }, role = "websocket", size = 64 },
  { id = "websocket-1", group = "web", title = "the same, one at a time",
    kind = "ratio", base = "Node",
    load = { "websocket", "-c", 64 }, role = "websocket", size = 64 },
}

-- The tables, by the groups of their rows, and what they are called.
rows.groups = { { title = "Sockets" }, { name = "web", title = "HTTP and WebSocket" } }

local servers = "echo sink exchange pingpong lines"
local datagrams = "udp_echo udp_receive udp_apart udp_send udp_segments"
local secured = "tls_echo tls_sink tls_source tls_accept"

-- Says whether the C program can have a parser.
rows.parser = { "sh", "-c", "echo '#include <http_parser.h>' | ${CC:-cc} -E - -o /dev/null" }

local web = "http https http_pipelined http_file http_get http_pool"

-- `require` is what a program that wants TCP loads, `tls` one that wants TLS.
-- `package` is Debian's name, for the version. `idle` is how many idle connections it can hold.
-- `base` says that it only stands in C's place, in rows that name it. `built` is an executable in
-- the build's place: of C, by a `source` and a `library`, or what a `compile` of the shell's makes, told the
-- place; `probe` succeeds if the program can run; `parts` are roles that need more; `warm` is for how many seconds it
-- is warmed up at least.
rows.programs = {
  { name = "C", built = "reference",
    roles = table.concat({ servers, datagrams, secured, "capture http http_parse" }, " "),
    parts = { { name = "http_parser", role = "http_parse", probe = rows.parser } } },
  { name = "scapy", base = true, package = "python3-scapy", roles = "decode",
    command = { "/usr/bin/python3", "bench/peers/scapy_decode.py" },
    probe = { "/usr/bin/python3", "-c", "import scapy" } },
  { name = "libcurl", base = true, package = "libcurl4-openssl-dev", roles = "http_get http_pool",
    built = "curl", source = "reference_curl.c", library = "libcurl",
    probe = { "pkg-config", "--exists", "--print-errors", "libcurl" } },
  { name = "neap", lua = "lua5.4", require = { "neap", "neap.tcp" }, tls = { "neap.tls" },
    roles = table.concat({ servers, datagrams, secured, web,
      "capture decode spawn sleep channel http_parse websocket" }, " ") },
  { name = "luv", lua = "lua5.4", require = { "luv" }, package = "lua-luv",
    roles = table.concat({ servers, datagrams, "http" }, " ") },
  { name = "cqueues", lua = "lua5.4", package = "lua-cqueues",
    require = { "cqueues", "cqueues.socket" },
    tls = { "cqueues", "cqueues.socket", "openssl.ssl.context" }, tls_package = "lua-luaossl",
    roles = table.concat({ servers, secured, "spawn sleep channel" }, " ") },
  { name = "copas", lua = "lua5.1", require = { "copas" },
    tls = { "copas", "ssl" }, tls_package = "lua-sec", package = "lua-copas",
    roles = table.concat({ servers, datagrams, secured }, " "), idle = 1000 },
  { name = "luasocket", lua = "lua5.4", require = { "socket" },
    package = "lua-socket", roles = "pingpong lines udp_receive udp_apart udp_send udp_segments" },
  { name = "nginx", command = { "bench/peers/nginx", "static" }, package = "nginx",
    probe = { "bench/peers/nginx", "static", "test" },
    roles = "http https http_pipelined http_file" },
  { name = "nginx-lua", command = { "bench/peers/nginx", "lua" }, package = "libnginx-mod-http-lua",
    probe = { "bench/peers/nginx", "lua", "test" }, roles = "http http_pipelined" },
  { name = "lua-http", lua = "lua5.1",
    probe = { "lua5.1", "-e", "require 'http.server' require 'http.websocket'" },
    package = "lua-http", roles = "http http_pipelined http_get http_pool websocket" },
  { name = "Node", command = { "node", "bench/peers/node.mjs" }, warm = 1,
    probe = { "node", "--version" }, roles = table.concat({ secured, web, "http_parse websocket" }, " "),
    parts = { { name = "ws", role = "websocket", probe = { "node", "bench/peers/node.mjs", "ws" } } },
    version = [[node -p 'process.version + ", OpenSSL " + process.versions.openssl']] },
  { name = "Go", built = "go-http", roles = web, probe = { "go", "version" },
    compile = 'GO111MODULE=off GOCACHE=$(cd "$0" && pwd)/gocache go build -o "$0/go-http" bench/peers/http.go',
    version = "go version" },
}

return rows
