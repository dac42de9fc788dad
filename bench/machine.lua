-- What the benchmark ran on: processor, system, and the versions of it all.
-- SPDX-License-Identifier: MIT

local machine = {}

local function read(path)
  local file = io.open(path)
  if not file then return "" end
  local text = file:read("a")
  file:close()
  return text
end

-- The first line that a command prints, or nil.
local function output(command)
  local pipe = io.popen("{ " .. command .. "; } 2>/dev/null")
  local line = pipe:read("l")
  pipe:close()
  return line ~= "" and line or nil
end

-- A list of { name, value }; programs are those that run.
function machine.describe(programs)
  local cpuinfo, system = read("/proc/cpuinfo"), read("/etc/os-release")
  local model = cpuinfo:match("model name%s*:%s*([^\n]+)") or "unknown"
  local virtual = cpuinfo:match("\nflags[^\n]* hypervisor") and ", virtual" or ""
  local kilobytes = tonumber(read("/proc/meminfo"):match("MemTotal:%s*(%d+)"))
  local list = {
    { "processor", ("%s, %s cores%s"):format(model, output("nproc"), virtual) },
    { "memory", ("%.1f GiB"):format((kilobytes or 0) / 1048576) },
    { "kernel", output("uname -srm") },
    { "system", system:match('PRETTY_NAME="([^"]+)"') or "unknown" },
    { "compiler", (output((os.getenv("CC") or "cc") .. " --version") or "?") .. ", -O2" },
    { "congestion control",
      (read("/proc/sys/net/ipv4/tcp_congestion_control"):gsub("\n", "")) },
    { "OpenSSL", output("pkg-config --modversion openssl") or "not found" },
    { "load before", read("/proc/loadavg"):match("^%S+ %S+ %S+") or "?" },
  }
  local seen = {}
  for _, program in ipairs(programs) do
    if program.lua and not seen[program.lua] then
      seen[program.lua] = true
      list[#list + 1] = { program.lua, output(program.lua .. " -v 2>&1"):match("Lua %S+") }
    end
    if program.version then list[#list + 1] = { program.name, output(program.version) } end
    for _, package in ipairs { program.package or false, program.tls_package or false } do
      local version = package and output(("dpkg-query -W -f '${Version}' %s"):format(package))
      if package then list[#list + 1] = { package, version or "not from a package" } end
    end
  end
  return list
end

return machine
