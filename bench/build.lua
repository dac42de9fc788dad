-- Makes what the benchmark starts: the C parts, others' programs that are
-- compiled, a certificate and a file to serve.
-- SPDX-License-Identifier: MIT

local build = {}

local function append(list, ...)
  for i = 1, select("#", ...) do list[#list + 1] = (select(i, ...)) end
end

-- A C program of bench/*.c; flags are what comes after the sources. `shell`
-- runs words in the root, and returns what was printed, and success.
local function compile(shell, output, sources, flags)
  local words = { os.getenv("CC") or "cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra" }
  for source in sources:gmatch("%S+") do append(words, "bench/" .. source) end
  append(words, "-o", output)
  for flag in flags:gmatch("%S+") do append(words, flag) end
  local text, ok = shell(words)
  if not ok then error("cannot build " .. output .. "\n" .. text, 0) end
end

-- What pkg-config says to compile and link with, or nil.
local function library(shell, name)
  local text, ok = shell { "pkg-config", "--cflags", "--libs", name }
  return ok and text or nil
end

-- The C parts, in a place; those of TLS where OpenSSL is found, and of SCTP
-- where usrsctp is: returns whether they are.
function build.own(shell, place, has_parser)
  local tls, sctp = library(shell, "openssl >= 1.1.1"), library(shell, "usrsctp")
  local flags = tls and " -DBENCH_TLS " .. tls or ""
  local more = sctp and " reference_sctp.c" or ""
  local sctp_flags = sctp and " -DBENCH_SCTP " .. sctp or ""
  local parser = has_parser and " -DBENCH_PARSER -lhttp_parser" or ""
  local function with_tls(name, sources) return sources .. (tls and (" %s_tls.c"):format(name) or "") end
  shell { "mkdir", "-p", place .. "/files" }
  compile(shell, place .. "/reference",
    with_tls("reference", "reference.c reference_http.c reference_message.c" .. more),
    flags .. sctp_flags .. parser)
  compile(shell, place .. "/load",
    with_tls("load", "load.c load_http.c load_message.c meter.c target.c"), flags)
  return tls ~= nil, sctp ~= nil
end

-- A program that is not there before: of C with a library, or by a command
-- that is told where.
function build.program(shell, place, program)
  if program.library then
    compile(shell, place .. "/" .. program.built, program.source, library(shell, program.library))
  elseif program.compile then
    local text, ok = shell { "sh", "-c", program.compile, place }
    if not ok then error("cannot build " .. program.built .. "\n" .. text, 0) end
  end
end

-- A key of P-256 and its certificate, new ones for each run.
function build.certificate(shell, place)
  local text, ok = shell { "lua5.4", "bench/certificate.lua", place }
  if not ok then error("cannot make a certificate\n" .. text, 0) end
end

-- The file that servers of files serve: 64 KiB of text.
function build.file(shell, place)
  local text, ok = shell { "sh", "-c", "yes 0123456789abcde | head -c 65536 >$0/files/file.txt", place }
  if not ok then error("cannot make a file\n" .. text, 0) end
end

return build
