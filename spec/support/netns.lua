--- Other machines, for specs: network namespaces that are joined by veth
-- pairs. A socket stays in the namespace where it was made, so both ends of a
-- conversation can be had in one process:
--
--   local lab <close> = netns.pair()
--   local server <close> = lab.b:inside(udp.open, lab.b.ip, 7)
--
-- All is removed at the end of the scope, after a failure, too; what a killed
-- process left behind, by the next one.
local helper <const> = require "support.helper"
local busted <const> = require "busted"
local lfs <const> = require "lfs"
local probe <const> = require "probe"

local M = {}

local RUN <const> = "/run/netns/"
local OWN <const> = "/proc/thread-self/ns/net"

-- ---- running ----

-- Runs a shell command; its output, whether it went well.
local function sh(command)
  local pipe = assert(io.popen(("{ %s\n} 2>&1 </dev/null"):format(command)))
  local out = pipe:read "a"
  return out, pipe:close() == true
end

local function must(command)
  local out, ok = sh("set -e\n" .. command)
  if not ok then error(("%s\n%s"):format(command, out), 3) end
  return out
end

-- ---- a namespace ----

local space <const> = {}
space.__index = space

--- Calls fn(...) with this thread in the namespace. What it makes stays there.
-- It must not wait: other tasks would run in the namespace, too. (A whole
-- neap.run inside is fine.)
function space:inside(fn, ...)
  local home <const> = probe.open(OWN)
  local back <close> = helper.defer(function()
    probe.setns(home)
    probe.close(home)
  end)
  local there <const> = probe.open(RUN .. self.name)
  local held <close> = helper.defer(function() probe.close(there) end)
  probe.setns(there)
  return fn(...)
end

--- Runs a shell command in it; returns its output, raises if it fails.
function space:run(command) return self:inside(must, command) end

--- The same in the background; returns a file of its output.
function space:popen(command)
  return self:inside(io.popen, ("{ %s\n} 2>&1 </dev/null"):format(command))
end

--- Runs a Lua script in it, as helper.script does.
function space:script(text, ...) return self:inside(helper.script, text, ...) end

--- Sets a kernel parameter of it, if there is one: "ipv4/ip_forward". Returns
-- whether.
function space:sysctl(name, value)
  return self:inside(function()
    local file <close> = io.open("/proc/sys/net/" .. name, "w")
    return file and file:write(value) and file:flush() and true or false
  end)
end

--- Drops `count` (1 if absent) of every `every` packets, exactly and in turn,
-- the first ones first: { every = 10 }. hook: "input" (default), "output",
-- "forward"; match: an nft expression ("udp dport 7"), or all.
function space:drop(rule)
  local hook = rule.hook or "input"
  self:run(([[
nft add table inet neap
nft add chain inet neap %s '{ type filter hook %s priority 0; }'
nft add rule inet neap %s %s numgen inc mod %d '<' %d counter drop]]):format(hook, hook, hook,
    rule.match or "", rule.every, rule.count or 1))
end

--- Ends all that drop() began.
function space:keep() self:run "nft delete table inet neap" end

function space:up(interface) self:run(("ip link set %s up"):format(interface or self.interface)) end
--- Blocks until the system has noticed that the other end is up, too, and has
-- made the link-local address.
function space:wait_up(interface)
  self:run(([[
for try in $(seq 400); do
  case $(ip -o link show %s) in *"state UP"*)
    test ! -e /proc/sys/net/ipv6 || ip -6 -o addr show %s | grep -v tentative | grep -q fe80: && exit 0
  esac
  sleep 0.005
done
exit 1]]):format(interface, interface))
end

function space:down(interface) self:run(("ip link set %s down"):format(interface or self.interface)) end

function space:mtu(size, interface)
  self:run(("ip link set %s mtu %d"):format(interface or self.interface, size))
end

--- The index of one of its interfaces.
function space:index(interface)
  local out = self:run("ip -o link show " .. (interface or self.interface))
  -- ip may complain first: of a namespace that another process just removed
  return math.tointeger(tonumber(("\n" .. out):match "\n(%d+): ")) or error("no number in: " .. out)
end

--- The hardware address of one of its interfaces.
function space:mac(interface)
  local out = self:run("ip -o link show " .. (interface or self.interface))
  return out:match "link/ether ([%x:]+)" or error("no address in: " .. out)
end

-- ---- several ----

local lab <const> = {}
lab.__index = lab

local labs <const> = {} -- those that are there
local made = 0

--- A new namespace with a loopback that is up.
function lab:space()
  made = made + 1
  local s = setmetatable({ name = ("neap-%d-%d"):format(probe.getpid(), made) }, space)
  must("ip netns add " .. s.name)
  self.spaces[#self.spaces + 1] = s
  for _, which in ipairs { "default", "all" } do -- addresses are usable at once
    s:sysctl(("ipv6/conf/%s/accept_dad"):format(which), 0)
    s:sysctl(("ipv6/conf/%s/router_solicitations"):format(which), 0)
  end
  for _, name in ipairs { "ipv4/icmp_ratemask", "ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit" } do
    s:sysctl(name, 0) -- errors are never held back
  end
  s:sysctl("ipv4/ping_group_range", "0 2147483647")
  s:run "ip link set lo up"
  return s
end

--- Joins two namespaces by a veth pair. Each end: { space, interface's name,
-- address, ... }.
function lab:link(near, far)
  -- Numbers that no two of them share: names of interfaces are remembered by
  -- number.
  helper.veths = (helper.veths or 100) + 2
  must(("ip link add %s index %d netns %s type veth peer name %s index %d netns %s"):format(
    near[2], helper.veths, near[1].name, far[2], helper.veths + 1, far[1].name))
  for _, side in ipairs { near, far } do
    local commands = {}
    for i = 3, #side do
      local six = side[i]:find(":", 1, true)
      commands[#commands + 1] = ("ip addr add %s dev %s%s"):format(side[i], side[2], six and " nodad" or "")
    end
    commands[#commands + 1] = ("ip link set %s up"):format(side[2])
    side[1]:run(table.concat(commands, "\n"))
    side[1].interface = side[1].interface or side[2]
  end
  for _, side in ipairs { near, far } do side[1]:wait_up(side[2]) end
end

--- It outlives the test: whoever says this calls lab:remove() in the end.
function lab:keep()
  self.kept = true
  return self
end

function lab:remove()
  if not labs[self] then return end
  labs[self] = nil
  local names = {}
  for i, s in ipairs(self.spaces) do names[i] = "ip netns del " .. s.name end
  sh(table.concat(names, "\n"))
end

lab.__close = lab.remove

-- ---- what there is ----

-- Those of processes that were killed.
local function prune()
  if not lfs.attributes(RUN) then return end
  for name in lfs.dir(RUN) do
    local pid = name:match "^neap%-(%d+)%-%d+$"
    if pid and not lfs.attributes("/proc/" .. pid) then sh("ip netns del " .. name) end
  end
end

--- An empty lab: lab:space(), lab:link().
function M.lab()
  local l = setmetatable({ spaces = {} }, lab)
  labs[l] = true
  return l
end

--- Two neighbours: lab.a (10.77.0.1, fd77::1) and lab.b (10.77.0.2, fd77::2).
-- Each has name, ip, ip6, interface.
function M.pair()
  local l = M.lab()
  local unfinished <close> = helper.defer(function() if not l.b then l:remove() end end)
  local a, b = l:space(), l:space()
  l:link({ a, "left", "10.77.0.1/24", "fd77::1/64" }, { b, "right", "10.77.0.2/24", "fd77::2/64" })
  a.ip, a.ip6, b.ip, b.ip6 = "10.77.0.1", "fd77::1", "10.77.0.2", "fd77::2"
  for _, s in ipairs { a, b } do -- to groups and to whom nobody knows, too
    s:run(("ip route add default dev %s && ip -6 route add default dev %s"):format(s.interface, s.interface))
  end
  l.a, l.b = a, b
  return l
end

--- Three in a row: lab.client (10.77.1.1, fd77:1::1), lab.router (near, far:
-- 10.77.1.254, 10.77.2.254; fd77:1::fe, fd77:2::fe) and lab.server
-- (10.77.2.1, fd77:2::1).
function M.chain()
  local l = M.lab()
  local unfinished <close> = helper.defer(function() if not l.server then l:remove() end end)
  local client, router, server = l:space(), l:space(), l:space()
  router:sysctl("ipv4/ip_forward", 1)
  router:sysctl("ipv6/conf/all/forwarding", 1)
  l:link({ client, "eth0", "10.77.1.1/24", "fd77:1::1/64" }, { router, "near", "10.77.1.254/24", "fd77:1::fe/64" })
  l:link({ router, "far", "10.77.2.254/24", "fd77:2::fe/64" }, { server, "eth0", "10.77.2.1/24", "fd77:2::1/64" })
  client.ip, client.ip6, server.ip, server.ip6 = "10.77.1.1", "fd77:1::1", "10.77.2.1", "fd77:2::1"
  router.ip, router.ip6 = "10.77.1.254", "fd77:1::fe"
  client:run "ip route add default via 10.77.1.254 && ip -6 route add default via fd77:1::fe"
  server:run "ip route add default via 10.77.2.254 && ip -6 route add default via fd77:2::fe"
  l.client, l.router, l.server = client, router, server
  return l
end

local usable -- or why not

local function find_out()
  if not helper.is_root() then return "needs root" end
  if not helper.has_program "ip" then return "needs the program ip" end
  prune()
  local ok, why = pcall(function()
    local l <close> = M.pair()
    l.a:inside(lfs.attributes, "/")
  end)
  return ok or ("needs the right to make network namespaces (%s)"):format(tostring(why):gsub("%s+", " "))
end

--- Whether there can be namespaces, or what is missing, as text.
function M.usable()
  usable = usable or find_out()
  return usable
end

--- Skips the test where there can be none.
function M.need() helper.need(M.usable() == true, usable) end

--- Skips it where nothing can be dropped, too.
function M.need_drop()
  M.need()
  helper.need_program "nft"
  local l <close> = M.lab()
  local s = l:space()
  helper.need((pcall(s.drop, s, { every = 2 })), "needs the numgen of nftables")
end

-- Whatever a test did with its scopes.
busted.subscribe({ "test", "end" }, function()
  for l in pairs(labs) do
    if not l.kept then l:remove() end
  end
  return nil, true
end)

return M
