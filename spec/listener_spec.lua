--- Listeners: accepting, serving, stopping, and running out of descriptors.
local helper <const> = require "support.helper"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"
local probe <const> = require "probe"
local socket <const> = require "neap.socket"

local in_task <const> = helper.in_task

local function listening(options)
  local listener = assert(tcp.listen("127.0.0.1", 0, options))
  local ip, port = listener:getsockname()
  return listener, function(given) return assert(tcp.connect(ip, port, given)) end, port
end

local function with_listener(body, options)
  in_task(function()
    local listener <close>, connect, port = listening(options)
    body(listener, connect, port)
  end)
end

local function waiting(task)
  helper.eventually(function() return task:status() == "waiting" end)
end

-- All descriptors up to the highest are taken, and no other can be had, until
-- the scope ends.
local function no_descriptors_left()
  local highest = 0
  for fd in pairs(helper.fds()) do highest = math.max(highest, fd) end
  local filler = {}
  for fd = 0, highest do
    if not probe.isopen(fd) then filler[#filler + 1] = probe.dup(0) end
  end
  local limit = probe.nofile(highest + 1)
  local function release()
    if not limit then return end
    probe.nofile(limit)
    for _, fd in ipairs(filler) do probe.close(fd) end
    limit = nil
  end
  return helper.defer(release), release
end

describe("accepting", function()
  it("gives each connection once, in order", function()
    with_listener(function(listener, connect)
      local clients = {}
      for i = 1, 20 do
        clients[i] = connect()
        assert(clients[i]:write(i, "\n"))
      end
      for i = 1, 20 do
        local conn <close> = assert(listener:accept())
        assert.equal(tostring(i), conn:read())
        assert.is_true(clients[i]:close())
      end
      assert.fails("ETIMEDOUT", listener:accept(0))
    end)
  end)

  it("waits until its timeout, of the call or of the listener", function()
    with_listener(function(listener, connect, port)
      local value, why, code = assert.takes(0.04, 1, listener.accept, listener, 0.05)
      assert.fails("ETIMEDOUT", value, why, code)
      assert.equal(("accept 127.0.0.1:%d: timed out"):format(port), why)
      assert.equal(listener, listener:settimeout(0.05))
      assert.takes(0.04, 1, function() assert.fails("ETIMEDOUT", listener:accept()) end)
      assert.takes(0, 0.04, function() assert.fails("ETIMEDOUT", listener:accept(0)) end)
      listener:settimeout(nil)
      local task = neap.spawn(function() return listener:accept() end)
      neap.sleep(0.1)
      assert.equal("waiting", task:status())
      local client <close> = connect()
      local held <close> = assert(task:join())
      for _, wrong in ipairs { -1, "x", 0 / 0 } do
        assert.raises("bad argument #1", function() listener:accept(wrong) end)
        assert.raises("bad argument #1", function() listener:settimeout(wrong) end)
      end
      assert.is_nil(client:gettimeout())
    end)
  end)

  it("can be done by several tasks, who take turns", function()
    with_listener(function(listener, connect)
      local tasks, seen = {}, {}
      for i = 1, 5 do
        tasks[i] = neap.spawn(function()
          local conn <close> = assert(listener:accept())
          seen[#seen + 1] = i
          assert(conn:write("x"))
        end)
        waiting(tasks[i])
      end
      for i = 1, 5 do
        local client <close> = connect()
        assert.equal("x", client:read(1))
        tasks[i]:join()
      end
      assert.same({ 1, 2, 3, 4, 5 }, seen)
    end)
  end)

  it("ends for all who wait when the listener is closed", function()
    with_listener(function(listener)
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = neap.spawn(function() return listener:accept() end)
        waiting(tasks[i])
      end
      assert.is_true(listener:close())
      for i = 1, 3 do
        local value, why, code = tasks[i]:join()
        assert.fails("ECLOSED", value, why, code)
        assert.equal("closed", why)
      end
    end)
  end)

  it("passes its turn on when it is cancelled", function()
    with_listener(function(listener, connect)
      local first = neap.spawn(function() return listener:accept() end)
      waiting(first)
      local second = neap.spawn(function() return listener:accept() end)
      waiting(second)
      first:cancel()
      assert.fails("ECANCELED", first:join())
      assert.fails("ETIMEDOUT", neap.timeout(0.02, listener.accept, listener))
      local client <close> = connect()
      local conn <close> = assert(second:join())
      assert.same({ client:getsockname() }, { conn:getpeername() })
    end)
  end)

  it("gives a connection that was reset already, and goes on", function()
    with_listener(function(listener, connect)
      probe.reset((connect():detach()))
      local client <close> = connect()
      assert(client:write "x\n")
      local first <close>, _, code = listener:accept(2)
      if first then
        assert.fails("ECONNRESET", first:read())
        local second <close> = assert(listener:accept(2))
        assert.equal("x", second:read())
      else
        assert.equal("ECONNABORTED", code)
      end
    end)
  end)

  it("works outside of any task", function()
    local listener <close>, connect = listening()
    local client <close> = connect()
    local conn <close> = assert(listener:accept())
    assert.fails("ETIMEDOUT", listener:accept(0.01))
    assert(client:write "x")
    assert.equal("x", conn:read(1))
  end)

  it("fails with EMFILE when descriptors run out, and works when there are some again", function()
    with_listener(function(listener, connect)
      local other <close> = connect()
      local cleanup <close>, release = no_descriptors_left()
      for _ = 1, 2 do
        local value, why, code = listener:accept(1)
        assert.fails("EMFILE", value, why, code)
        assert.matches("^accept 127%.0%.0%.1:%d+: Too many open files", why)
      end
      release()
      local conn <close> = assert(listener:accept(1))
      assert.same({ other:getsockname() }, { conn:getpeername() })
    end)
  end)

  it("iterates until the listener is closed", function()
    with_listener(function(listener, connect)
      local got = 0
      local loop = neap.spawn(function()
        for conn in listener:connections() do
          got = got + 1
          assert(conn:write "x")
          conn:close()
        end
        return "ended"
      end)
      for _ = 1, 3 do
        local client <close> = connect()
        assert.equal("x", client:read "a")
      end
      listener:close()
      assert.equal("ended", loop:join())
      assert.equal(3, got)
    end)
  end)

  it("iterates no longer when it fails, which raises", function()
    with_listener(function(listener)
      listener:settimeout(0.02)
      assert.raises("timed out", function()
        for _ in listener:connections() do error "nobody came" end
      end)
    end)
  end)
end)

describe("a listener", function()
  it("that is closed fails in every method, and raises in none", function()
    for _, listener in ipairs { assert(tcp.listen("127.0.0.1", 0)), assert(unix.listen(helper.tmpname())) } do
      assert.is_true(listener:isopen())
      assert.matches("^neap%.listener.*%d", tostring(listener))
      assert.is_true(listener:close())
      assert.is_true(listener:close())
      assert.is_false(listener:isopen())
      assert.matches("closed", tostring(listener))
      for _, call in ipairs {
        { "accept" }, { "accept", 1 }, { "getsockname" }, { "fileno" }, { "detach" }, { "settimeout", 1 },
        { "setsockopt", "SO_KEEPALIVE", true }, { "getsockopt", "SO_KEEPALIVE" },
      } do
        local value, why, code = listener[call[1]](listener, table.unpack(call, 2))
        assert.fails("ECLOSED", value, why, code)
        assert.equal("closed", why)
      end
      for _ in listener:connections() do error "a connection" end
      assert.is_true(in_task(function() return listener:serve(print) end))
      assert.is_true(listener:stop())
    end
  end)

  it("is closed at the end of its scope, and by a collection", function()
    local before = helper.count_fds()
    local port
    do
      local held <close>, _, number = listening()
      assert.equal(before + 1, helper.count_fds())
      port = number
    end
    assert.fails("ECONNREFUSED", tcp.connect("127.0.0.1", port))
    listening()
    assert.equal(before, helper.count_fds())
  end)

  it("has options by their names, and a descriptor", function()
    local listener <close>, connect = listening { backlog = 3 }
    assert.is_true(listener:getsockopt "SO_ACCEPTCONN")
    assert.is_true(listener:getsockopt "SO_REUSEADDR")
    assert.equal(listener, listener:setsockopt("SO_RCVBUF", 65536))
    assert.is_true(listener:getsockopt "SO_RCVBUF" >= 65536)
    assert.raises("bad argument #1", function() listener:getsockopt "SO_NONE" end)
    assert.same({ nonblock = true, cloexec = true }, probe.flags(listener:fileno()))
    assert.fails("ETIMEDOUT", neap.wait(listener, "r", 0.01))
    local held <close> = connect()
    assert.equal("r", neap.wait(listener, "r", 1))
    local cleanup <close> = assert(listener:accept(0))
  end)

  it("is made of a descriptor that was inherited", function()
    in_task(function()
      local first, connect = listening()
      local client <close> = connect()
      local fd = first:detach()
      assert.is_false(first:isopen())
      local listener <close> = assert(tcp.listen(nil, nil, { fd = fd, timeout = 0.5, maxline = 3 }))
      assert.equal(fd, listener:fileno())
      local conn <close> = assert(listener:accept(1))
      assert.equal(0.5, conn:gettimeout())
      assert(client:write "long\n")
      assert.fails("EMSGSIZE", conn:read())
      local path = helper.tmpname()
      local heir <close> = assert(unix.listen(nil, { fd = assert(unix.listen(path)):detach() }))
      local cleanup <close> = assert(unix.connect(path))
      local accepted <close> = assert(heir:accept(1))
      assert.equal(path, (heir:getsockname()))
      assert(accepted:getpeercred())
      heir:close()
      assert.is_truthy(os.remove(path)) -- whoever made it removes it
    end)
  end)

  it("is not made of what does not listen", function()
    local read, write = probe.pipe()
    local a <close>, b = assert(unix.pair())
    local held <close> = b
    assert.fails("ENOTSOCK", tcp.listen(nil, nil, { fd = read }))
    assert.fails("EINVAL", tcp.listen(nil, nil, { fd = a:fileno() }))
    assert.is_true(probe.isopen(read))
    probe.close(read)
    probe.close(write)
    assert.fails("EBADF", tcp.listen(nil, nil, { fd = read }))
    assert.raises("bad argument", tcp.listen, nil, nil, { fd = "3" })
  end)

  it("is inherited as systemd passes it: descriptor 3 of a new program", function()
    helper.need_program "bash" -- which names descriptors over 9
    in_task(function()
      local listener, connect = listening()
      local fd <const> = listener:detach()
      probe.dup2(fd, 199) -- which survives exec
      local path = helper.tmpname ".lua"
      assert(assert(io.open(path, "w")):write [[
        local neap, tcp = require "neap", require "neap.tcp"
        assert(os.getenv "LISTEN_FDS" == "1")
        neap.run(function()
          local listener <close> = assert(tcp.listen(nil, nil, { fd = 3 }))
          local conn <close> = assert(listener:accept(5))
          assert(conn:write(conn:read(), " by the heir\n"))
        end)
      ]]):close()
      local command = ("exec 3<&199 199<&- && LISTEN_FDS=1 LUA_PATH=%s LUA_CPATH=%s timeout -k 1 10 %s %s"):format(
        helper.quote(package.path), helper.quote(package.cpath), helper.quote(helper.lua), helper.quote(path))
      local process <const> = assert(io.popen(("bash -c %s 2>&1 </dev/null"):format(helper.quote(command))))
      probe.close(199)
      probe.close(fd)
      local client <close> = connect { timeout = 5 }
      assert(client:write "served\n")
      assert.equal("served by the heir", client:read())
      assert.equal("", process:read "a")
      assert.is_true(process:close())
    end)
  end)
end)

describe("serving", function()
  -- Serves in a task of its own while body runs.
  local function served(handler, options, body, listen_options)
    with_listener(function(listener, connect, port)
      local server = neap.spawn({ name = "server" }, function() return listener:serve(handler, options) end)
      waiting(server)
      body(connect, listener, server, port)
      if listener:isopen() then assert.is_true(listener:stop(1)) end
      assert.is_true(server:join())
    end, listen_options)
  end

  it("runs the handler for each connection, in a task of its own", function()
    local tasks = {}
    local function handler(...)
      assert.equal(1, select("#", ...))
      local conn = ...
      tasks[neap.running()] = true
      for line in conn:lines() do assert(conn:write(line, "\n")) end
    end
    served(handler, nil, function(connect)
      local clients = {}
      for i = 1, 10 do clients[i] = connect() end
      for i = 10, 1, -1 do -- the first do not hold up the last
        assert(clients[i]:write("hello ", i, "\n"))
        assert.equal("hello " .. i, clients[i]:read())
      end
      for i = 1, 10 do clients[i]:close() end
    end)
    local n = 0
    for _ in pairs(tasks) do n = n + 1 end
    assert.equal(10, n)
  end)

  it("closes a connection when its handler ends, however it ends", function()
    local reports = helper.reports()
    local conns = {}
    local function handler(conn)
      conns[#conns + 1] = conn
      local how = conn:read()
      if how == "raise" then error "as asked" end
      if how == "close" then conn:close() end
      if how == "cancel" then
        neap.running():cancel()
        neap.sleep(1)
      end
    end
    served(handler, nil, function(connect)
      for _, how in ipairs { "return", "raise", "close", "cancel" } do
        local client <close> = connect { timeout = 2 }
        assert(client:write(how, "\n"))
        assert.fails("EOF", client:read())
      end
    end)
    assert.equal(4, #conns)
    for _, conn in ipairs(conns) do assert.is_false(conn:isopen()) end
    assert.equal(1, #reports)
  end)

  it("outlives a handler that raises, and tells neap.onerror", function()
    local reports = helper.reports()
    local function handler(conn)
      if conn:read() == "bad" then error "the handler's error" end
      conn:write "good"
    end
    served(handler, nil, function(connect)
      local slow <close> = connect()
      local bad <close> = connect()
      assert(bad:write "bad\n")
      assert.fails("EOF", bad:read())
      local good <close> = connect()
      assert(good:write "x\n")
      assert.equal("good", good:read "a")
      assert(slow:write "x\n") -- nor was it cancelled
      assert.equal("good", slow:read "a")
    end)
    assert.equal(1, #reports)
    assert.matches("the handler's error", tostring(reports[1].err))
    assert.matches("traceback", reports[1].traceback)
    assert.matches("listener_spec", reports[1].traceback)
  end)

  it("tells on_error instead, with the traceback and the connection", function()
    local calls = {}
    local thrown = setmetatable({}, { __tostring = function() return "an object" end })
    local options = { on_error = function(err, traceback, conn)
      calls[#calls + 1] = { err, traceback, conn }
      assert(conn:write "sorry\n")
    end }
    local function handler(conn)
      conn:read()
      error(thrown)
    end
    served(handler, options, function(connect)
      for _ = 1, 2 do
        local client <close> = connect()
        assert(client:write "x\n")
        assert.equal("sorry\n", client:read "a")
      end
    end)
    assert.equal(2, #calls)
    assert.equal(thrown, calls[1][1])
    assert.matches("stack traceback", calls[1][2])
    assert.matches("listener_spec", calls[1][2])
    assert.is_false(calls[1][3]:isopen())
  end)

  it("serves no more at once than max_connections", function()
    local now, most = 0, 0
    local function handler(conn)
      now = now + 1
      most = math.max(most, now)
      conn:read()
      now = now - 1
    end
    served(handler, { max_connections = 2 }, function(connect)
      local clients = {}
      for i = 1, 5 do clients[i] = connect() end
      neap.sleep(0.05)
      assert.equal(2, now)
      for i = 1, 5 do
        assert(clients[i]:write "x\n")
        assert.fails("EOF", clients[i]:read())
        clients[i]:close()
      end
      assert.equal(2, most)
    end)
    assert.equal(0, now)
  end)

  it("gives a place back when a handler raises", function()
    local reports = helper.reports()
    served(function() error "each time" end, { max_connections = 1 }, function(connect)
      for _ = 1, 5 do
        local client <close> = connect { timeout = 2 }
        assert.fails("EOF", client:read())
      end
    end)
    assert.equal(5, #reports)
  end)

  it("stops: takes no more, lets the handlers end, and says true", function()
    local ended
    local function handler(conn)
      conn:read()
      neap.sleep(0.1)
      conn:write "finished"
      ended = true
    end
    served(handler, nil, function(connect, listener, server, port)
      local client <close> = connect()
      assert(client:write "x\n")
      neap.sleep(0.02)
      assert.is_true(assert.takes(0.05, 1, listener.stop, listener, 5))
      assert.is_true(ended)
      assert.equal("finished", client:read "a")
      assert.is_true(server:join())
      assert.fails("ECONNREFUSED", tcp.connect("127.0.0.1", port))
      assert.is_true(listener:stop())
    end)
  end)

  it("cancels the handlers that do not end within the grace", function()
    local log = {}
    local function handler(conn)
      local cleanup <close> = helper.defer(function(_, err)
        neap.sleep(0.01) -- it may wait
        log[#log + 1] = tostring(err)
      end)
      conn:read()
    end
    served(handler, nil, function(connect, listener)
      local first <close>, second = connect(), connect()
      local held <close> = second
      neap.sleep(0.02)
      assert.is_true(assert.takes(0.05, 1, listener.stop, listener, 0.05))
      assert.same({ "cancelled", "cancelled" }, log)
      assert.fails("EOF", first:read())
      assert.fails("EOF", second:read())
    end)
  end)

  it("stops without grace at once", function()
    served(function(conn) conn:read() end, nil, function(connect, listener)
      local client <close> = connect()
      neap.sleep(0.02)
      assert.is_true(assert.takes(0, 0.5, listener.stop, listener, 0))
      assert.fails("EOF", client:read())
    end)
  end)

  it("stops when a handler says so, and that handler goes on to its end", function()
    in_task(function()
      local listener <close>, connect = listening()
      local server = neap.spawn(function()
        return listener:serve(function(conn)
          conn:read()
          assert.is_true(listener:stop(0.2))
          conn:write "bye"
        end)
      end)
      local client <close> = connect { timeout = 3 }
      assert(client:write "quit\n")
      assert.equal("bye", client:read "a")
      assert.is_true(server:join())
    end)
  end)

  it("ends when the listener is closed, after its handlers", function()
    served(function(conn) conn:write(conn:read()) end, nil, function(connect, listener, server)
      local client <close> = connect()
      neap.sleep(0.02)
      listener:close()
      neap.sleep(0.02)
      assert.equal("waiting", server:status())
      assert(client:write "x\n")
      assert.equal("x", client:read "a")
      assert.is_true(server:join())
    end)
  end)

  it("cancels its handlers when it is cancelled", function()
    with_listener(function(listener, connect)
      local why
      local server = neap.spawn(function()
        listener:serve(function(conn)
          local cleanup <close> = helper.defer(function(_, err) why = tostring(err) end)
          conn:read()
        end)
      end)
      local client <close> = connect()
      neap.sleep(0.02)
      server:cancel()
      assert.fails("ECANCELED", server:join())
      assert.equal("cancelled", why)
      assert.fails("EOF", client:read())
      assert.is_true(listener:isopen()) -- it is its owner's
    end)
  end)

  it("goes on when descriptors run out, without a storm, until there are some again", function()
    local function handler(conn) conn:write "served" end
    served(handler, nil, function(connect)
      -- made before, for no socket can be made once no descriptor is left
      local sockets = {}
      for i = 1, 3 do sockets[i] = assert(socket.socket("inet", socket.SOCK_STREAM)) end
      local first <close> = connect()
      local ip, port = first:getpeername()
      assert.equal("served", first:read "a")
      local cleanup <close>, release = no_descriptors_left()
      for i = 1, 3 do assert(sockets[i]:connect { ip = ip, port = port }) end
      local before = os.clock()
      neap.sleep(0.2)
      assert.is_true(os.clock() - before < 0.1)
      assert.fails("EAGAIN", sockets[1]:recv(100, socket.MSG_DONTWAIT))
      release()
      for i = 1, 3 do
        assert.equal("served", sockets[i]:recv(100))
        sockets[i]:close()
      end
    end)
  end)

  it("works outside of any task", function()
    local listener <close>, connect = listening()
    neap.spawn(function()
      local client <close> = connect()
      assert.equal("top", client:read "a")
      listener:stop()
    end)
    assert.is_true(listener:serve(function(conn) conn:write "top" end))
  end)

  it("works over a Unix path", function()
    in_task(function()
      local path = helper.tmpname()
      local listener <close> = assert(unix.listen(path))
      local server = neap.spawn(function()
        return listener:serve(function(conn) conn:write(conn:getpeercred().pid) end)
      end)
      local client <close> = assert(unix.connect(path))
      assert.equal(tostring(probe.getpid()), client:read "a")
      assert.is_true(listener:stop())
      assert.is_true(server:join())
    end)
  end)

  it("raises on what is no handler, on unknown options, and twice at once", function()
    with_listener(function(listener)
      assert.raises("bad argument #1", function() listener:serve() end)
      assert.raises("bad argument #1", function() listener:serve "x" end)
      assert.raises("unknown option 'max_conections'", function() listener:serve(print, { max_conections = 1 }) end)
      assert.raises("max_connections", function() listener:serve(print, { max_connections = 0 }) end)
      assert.raises("on_error", function() listener:serve(print, { on_error = true }) end)
      assert.raises("bad argument #1", function() listener:stop(-1) end)
      assert.is_true(listener:isopen())
      local server = neap.spawn(function() return listener:serve(print) end)
      waiting(server)
      assert.raises("being served already", function() listener:serve(print) end)
      assert.is_true(listener:stop())
      assert.is_true(server:join())
    end)
  end)
end)
