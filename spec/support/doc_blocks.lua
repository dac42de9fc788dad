--- The Lua blocks of a Markdown page, and how each is run: as a script of its
-- own, in a process of its own. In front of a block may stand a comment that
-- the reader does not see:
--   <!-- setup: conn = echo() -->       any Lua; over several lines if need be
--   <!-- needs: root -->               skipped by name where helper.need_root
--                                      skips; several: <!-- needs: root ipv6 -->;
--                                      `namespace`: runs in one of its own
--   <!-- skip: why this one cannot run here -->
-- The setup shares the block's globals. Each block finds neap, tcp, unix and
-- the other modules as globals, and to build a setup of: echo(), peer(...),
-- server(fn), tlsserver(starttls), dtlsserver(), sctpserver(), nameserver(zone), web(handler),
-- sockets(options), path(), after(seconds, fn), forever(seconds),
-- input(text), and skip(why) for what only the setup can find out. Where the block says `--> text`
-- behind a print, that must be among what is printed, in this order; a text
-- that ends in "..." says how it begins.
local M = {}

--- The blocks of a page: { file =, line =, lines =, setup =, skip =, needs = },
-- of which needs is a list of names.
function M.of(file)
  local blocks = {}
  local setup, skip, comment, block
  local needs = {}
  local number = 0
  for line in io.lines(file) do
    number = number + 1
    if block then
      if line:find "^%s*```" then
        blocks[#blocks + 1], block = block, nil
      else
        table.insert(block.lines, line)
      end
    elseif comment then
      local last = line:match "^(.-)%s*%-%->%s*$"
      table.insert(comment, last or line)
      if last then setup, comment = table.concat(comment, "\n"), nil end
    elseif line:find "^%s*```lua%s*$" then
      block = { file = file, line = number, lines = {}, setup = setup or "", skip = skip, needs = needs }
      setup, skip, needs = nil, nil, {}
    elseif line:find "^<!%-%- setup" then
      local rest = line:match "^<!%-%- setup:?%s*(.*)$"
      local last = rest:match "^(.-)%s*%-%->%s*$"
      if last then setup = last else comment = { rest } end
    elseif line:find "^<!%-%- needs:" then
      for name in line:match "^<!%-%- needs:(.-)%-%->":gmatch "%S+" do needs[#needs + 1] = name end
    elseif line:find "^<!%-%- skip:" then
      skip = line:match "^<!%-%- skip:%s*(.-)%s*%-%->"
    end
  end
  return blocks
end

-- What is put before each block, on one line less than it has.
local prelude <const> = [==[
neap, tcp, unix = require "neap", require "neap.tcp", require "neap.unix"
setmetatable(_G, { __index = function(_, name)
  for module in ("udp raw packet tun icmp wire pcap filter tls dtls x509 dns http ipx spx sctp"):gmatch "%S+" do
    if name == module then return require("neap." .. name) end
  end
end })
local kept = {}
local function keep(...)
  for _, value in ipairs { ... } do kept[#kept + 1] = value end
  return ...
end
function after(seconds, fn, ...)
  local arguments = table.pack(...)
  neap.spawn({ daemon = true, name = "after" }, function()
    neap.sleep(seconds)
    fn(table.unpack(arguments, 1, arguments.n))
  end)
end
function forever(seconds) after(seconds, os.exit, true, true) end
function server(handler)
  local listener = keep(assert(tcp.listen("127.0.0.1", 0)))
  neap.spawn({ daemon = true, name = "server" }, listener.serve, listener, handler)
  return listener:getsockname()
end
local function echoes(conn)
  for data in function() return (conn:receive()) end do conn:write(data) end
end
function echo() return keep(assert(tcp.connect(server(echoes)))) end
function peer(...)
  local near, far = assert(unix.pair())
  keep(near, far)
  assert(far:write(...))
  far:shutdown "w"
  return near, far
end
function tlsserver(starttls)
  require "neap.tls" -- adds starttls
  local cakey, key = x509.key(), x509.key()
  local ca = x509.make { subject = "CN=A CA", key = cakey, ca = true }
  local cert = x509.make { key = key, names = { "localhost", "127.0.0.1" }, issuer = ca, issuerkey = cakey }
  local options = { cert = cert:pem(), key = key:pem() }
  local listener = keep(assert((starttls and tcp or tls).listen("127.0.0.1", 0, not starttls and options or nil)))
  neap.spawn({ daemon = true, name = "server" }, listener.serve, listener, function(conn)
    if starttls then
      conn:read()
      conn:write "go ahead\n"
      assert(conn:starttls { server = true, cert = options.cert, key = options.key })
    end
    echoes(conn)
  end)
  local host, port = listener:getsockname()
  return host, port, ca:pem(), options.cert, options.key
end
function dtlsserver()
  local key = x509.key()
  local cert = x509.make { key = key, names = { "localhost", "127.0.0.1" } }
  local listener = keep(assert(dtls.listen("127.0.0.1", 0, { cert = cert:pem(), key = key:pem() })))
  neap.spawn({ daemon = true, name = "server" }, listener.serve, listener, function(sock)
    for data in sock:messages() do sock:send(data) end
  end)
  local host, port = listener:getsockname()
  return host, port, cert:pem(), cert:pem(), key:pem()
end
function sctpserver()
  local engine, why = sctp.engine()
  if not engine then skip(why) end
  local listener = keep(assert(sctp.listen("127.0.0.1", 0, { udp_port = engine == "user" and 0 or nil })))
  neap.spawn({ daemon = true, name = "server" }, listener.serve, listener, function(conn)
    for data, info in function() return conn:receivemsg() end do
      conn:send(data, { stream = info.stream, ppid = info.ppid })
    end
  end)
  return listener:getsockname()
end
function needs_sctp()
  local engine, why = sctp.engine()
  if not engine then skip(why) end
end
function nameserver(zone)
  local server = keep(assert(dns.server(function(question)
    return zone[question.name .. " " .. question.type] or { rcode = "NXDOMAIN" }
  end)))
  neap.spawn({ daemon = true, name = "nameserver" }, server.serve, server)
  return ("%s:%d"):format(server:getsockname())
end
function web(handler)
  local server = keep(assert(http.listen "127.0.0.1:0"))
  neap.spawn({ daemon = true, name = "web" }, server.serve, server, handler)
  return ("http://%s:%d"):format(server:getsockname())
end
function sockets(options)
  local sock = keep(assert(udp.open("127.0.0.1", 0, options)))
  local ip, port = sock:getsockname()
  return sock, keep(assert(udp.connect(ip, port, options)))
end
function skip(why)
  print("skipped: " .. why)
  os.exit(77, true)
end
function path()
  local name = os.tmpname()
  os.remove(name)
  keep(setmetatable({}, { __gc = function() os.remove(name) end }))
  return name
end
function input(text)
  local name = path()
  local file = keep(assert(io.open(name, "w+")))
  file:write(text)
  file:seek "set"
  return file, name
end
]==]

--- The script that runs a block.
function M.script(block)
  return table.concat({
    prelude,
    ("assert(load(%q, %q))()"):format(block.setup, "=setup of " .. block.file .. ":" .. block.line),
    ("assert(load(%q, %q))(...)"):format(("\n"):rep(block.line) .. table.concat(block.lines, "\n"),
      "=" .. block.file),
  }, "\n")
end

local function expected(block)
  local list = {}
  for _, line in ipairs(block.lines) do
    local text = line:match "%-%-> (.*)$"
    if text then list[#list + 1] = text end
  end
  return list
end

local function is(line, text)
  local start = text:match "^(.*)%.%.%.$"
  if start then return line:sub(1, #start) == start end
  return line == text
end

--- Whether the output has what the block says. True, or nil and what it lacks.
function M.shows(block, output)
  local lines = output:gmatch "[^\n]+"
  for _, text in ipairs(expected(block)) do
    local line
    repeat
      line = lines()
      if not line then return nil, text end
    until is(line:gsub("\t", " "):gsub(" +$", ""), text)
  end
  return true
end

return M
