rockspec_format = "3.0"
package = "neap"
version = "scm-1"

source = {
  url = "git+file://.", -- `luarocks make` in a checkout builds what is there
}

description = {
  summary = "The network for Lua 5.4, in plain sequential code",
  detailed = [[
TCP, UDP, SCTP, Unix sockets, raw IP and packets, TLS and DTLS, HTTP and
WebSocket, DNS, IPX and SPX, with tasks, deadlines and cancellation, from a C
core with one loop for each Lua state. A call that cannot finish suspends its
task; at top level it simply waits.]],
  license = "MIT",
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.4, < 5.5",
}

build = {
  type = "make",
  variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  build_target = "all",
  install_variables = {
    PREFIX = "$(PREFIX)",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
  },
  copy_directories = { "docs" },
}
