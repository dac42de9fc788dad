--- Real peers: nginx, socat and ncat, over TCP and Unix sockets.
local helper <const> = require "support.helper"
local lfs <const> = require "lfs"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local unix <const> = require "neap.unix"
local probe <const> = require "probe"

local in_task <const> = helper.in_task

local function write_file(text)
  local path = helper.tmpname()
  assert(assert(io.open(path, "wb")):write(text)):close()
  return path
end

local function read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- A program that runs beside this one; ended, by its id, with the scope.
-- output: a stream of what it prints.
local function start(command)
  local pipe <const> = assert(io.popen("echo $$; exec timeout -k 1 30 " .. command))
  pipe:setvbuf "no" -- no byte of what follows is taken
  local pid = assert(math.tointeger(tonumber(pipe:read "l")))
  local output = assert(neap.stream(probe.dup((assert(neap.stream(pipe)):detach()))))
  return setmetatable({ output = output, pid = pid }, { __close = function()
    output:close()
    probe.kill(pid, probe.SIGTERM)
    pipe:close()
  end })
end

-- Connects as soon as the program listens.
local function patiently(connect, ...)
  local args <const> = table.pack(...)
  local conn
  helper.eventually(function()
    conn = connect(table.unpack(args, 1, args.n))
    return conn
  end)
  return conn
end

local function free_port()
  local listener <close> = assert(tcp.listen("127.0.0.1", 0))
  return select(2, listener:getsockname())
end

local lines <const> = {}
for i = 1, 50000 do lines[i] = ("%d: %x\n"):format(i, i * 2654435761) end
local text <const> = table.concat(lines) -- about 800 kB
local reply <const> = text:reverse()

-- Runs fn with a long deadline.
local function within(seconds, fn)
  return neap.run(function() return assert(neap.timeout(seconds * helper.slow, function()
    fn()
    return true
  end)) end)
end

describe("nginx", function()
  local SIZE <const> = 50 * 1024 * 1024

  local function with_nginx(body)
    helper.need_program("nginx", "timeout")
    local root = helper.tmpname()
    assert(os.execute(("mkdir %s && head -c %d /dev/urandom >%s/big && chmod -R a+rX %s"):format(
      root, SIZE, root, root:match "^(.*)/")))
    local port = free_port()
    local config = write_file(([[
daemon off; master_process off; worker_processes 1; pid %s/pid; error_log stderr crit;
events { worker_connections 64; }
http {
  access_log off; sendfile on;
  client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi;
  uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;
  server { listen 127.0.0.1:%d; root %s; }
}
]]):format(root, root, root, root, root, root, port, root))
    within(20, function()
      local held <close> = start(("nginx -p %s -c %s 2>&1"):format(root, config))
      patiently(tcp.connect, "127.0.0.1", port):close()
      body(port, root .. "/big")
    end)
  end

  it("serves 50 MB to a stream, byte for byte", function()
    with_nginx(function(port, path)
      local conn <close> = assert(tcp.connect("127.0.0.1", port))
      assert(conn:write "GET /big HTTP/1.1\r\nHost: here\r\n\r\n")
      assert.matches("^HTTP/1.1 200", conn:read())
      local length
      for line in conn:lines() do
        if line == "" then break end
        length = length or line:match "^[Cc]ontent%-[Ll]ength: (%d+)$"
      end
      assert.equal(SIZE, math.tointeger(tonumber(length)))
      assert.is_true(conn:read(SIZE) == read_file(path))
      assert.equal(0, conn:pending())
      -- and the connection is good for another
      assert(conn:write "GET /none HTTP/1.0\r\n\r\n")
      assert.matches("404", conn:read())
      assert.equal("</html>", conn:read("a"):match "</html>")
    end)
  end)

  it("serves 50 MB to nc.lua, byte for byte", function()
    with_nginx(function(port, path)
      local out = helper.tmpname()
      local command = ("LUA_PATH=%s LUA_CPATH=%s timeout -k 1 30 %s examples/nc.lua 127.0.0.1 %d >%s"):format(
        helper.quote(package.path), helper.quote(package.cpath), helper.quote(helper.lua), port, out)
      local nc = assert(io.popen(command, "w"))
      assert(nc:write "GET /big HTTP/1.0\r\nHost: here\r\n\r\n")
      assert(nc:flush())
      -- Its input stays open meanwhile: nginx drops whoever half-closes.
      helper.eventually(function()
        local size = lfs.attributes(out, "size")
        return size and size > SIZE
      end)
      assert.is_true(nc:close())
      local got = read_file(out)
      local head, at = got:match "^(.-\r\n)\r\n()"
      assert.matches("^HTTP/1.1 200", head)
      assert.is_true(got:sub(at) == read_file(path))
    end)
  end)
end)

for _, row in ipairs {
  { program = "socat", over = "TCP",
    listens = "socat -t 10 %s TCP-LISTEN:%s,bind=127.0.0.1,reuseaddr",
    connects = "socat -t 10 - TCP:127.0.0.1:%s" },
  { program = "socat", over = "a Unix path",
    listens = "socat -t 10 %s UNIX-LISTEN:%s",
    connects = "socat -t 10 - UNIX-CONNECT:%s" },
  { program = "socat", over = "an abstract name",
    listens = "socat -t 10 %s ABSTRACT-LISTEN:%s",
    connects = "socat -t 10 - ABSTRACT-CONNECT:%s" },
  { program = "ncat", over = "TCP", listens = "ncat -l 127.0.0.1 %s", connects = "ncat 127.0.0.1 %s" },
  { program = "ncat", over = "a Unix path", listens = "ncat -lU %s", connects = "ncat -U %s" },
} do
  local function address()
    if row.over == "TCP" then return free_port() end
    if row.over == "a Unix path" then return helper.tmpname() end
    return ("neap-interop-%d-%d"):format(probe.getpid(), math.random(0))
  end

  local function connect(where)
    if row.over == "TCP" then return tcp.connect("127.0.0.1", where) end
    return unix.connect(row.over == "a Unix path" and where or "\0" .. where)
  end

  local function listen(where)
    if row.over == "TCP" then return tcp.listen("127.0.0.1", where) end
    return unix.listen(row.over == "a Unix path" and where or "\0" .. where)
  end

  describe(("%s over %s"):format(row.program, row.over), function()
    it("as the server half-closes first and takes our answer", function()
      helper.need_program(row.program, "timeout")
      in_task(function()
        local where = address()
        local listens = row.program == "socat" and row.listens:format("-", where) or row.listens:format(where)
        local process <close> = start(("%s <%s 2>&1"):format(listens, write_file(text)))
        local conn <close> = patiently(connect, where)
        assert.is_true(conn:read "a" == text)
        assert.fails("EOF", conn:read())
        local writer = neap.spawn(function()
          assert(conn:write(reply))
          assert.is_true(conn:close())
        end)
        assert.is_true(process.output:read "a" == reply)
        writer:join()
      end)
    end)

    -- ncat ends as soon as its client half-closes; sort answers only after it.
    if row.program == "socat" then
      it("as the server takes our half-close and answers after it", function()
        helper.need_program(row.program, "sort", "timeout")
        in_task(function()
          local where = address()
          local process <close> = start(row.listens:format("EXEC:'sort -n'", where) .. " 2>&1")
          local conn <close> = patiently(connect, where)
          for i = #lines, 1, -1000 do assert(conn:write(table.concat(lines, "", i - 999, i))) end
          assert(conn:shutdown "w")
          assert.is_true(conn:read "a" == text)
          assert.fails("EOF", conn:read())
          assert.is_true(conn:close())
          assert.equal("", process.output:read "a")
        end)
      end)
    end

    it("as the client half-closes first and takes our answer", function()
      helper.need_program(row.program, "timeout")
      in_task(function()
        local where = address()
        local listener <close> = assert(listen(where))
        local process <close> = start(("%s <%s 2>&1"):format(row.connects:format(where), write_file(text)))
        local conn <close> = assert(listener:accept(5))
        assert.is_true(conn:read "a" == text)
        local writer = neap.spawn(function()
          assert(conn:write(reply))
          assert(conn:shutdown "w")
        end)
        assert.is_true(process.output:read "a" == reply)
        writer:join()
      end)
    end)

    it("as the client takes our half-close and still sends", function()
      helper.need_program(row.program, "timeout")
      in_task(function()
        local where = address()
        local listener <close> = assert(listen(where))
        local process <close> = start(("sh -c %s 2>&1"):format(helper.quote(
          ("(sleep 0.3; cat %s) | %s"):format(write_file(text), row.connects:format(where)))))
        local conn <close> = assert(listener:accept(5))
        assert(conn:write "only this")
        assert(conn:shutdown "w")
        assert.equal("only this", process.output:read(9))
        assert.is_true(conn:read "a" == text)
      end)
    end)
  end)
end

describe("a terminal", function()
  it("that is adopted reads and writes, and hangs up", function()
    helper.need_program("socat", "timeout")
    in_task(function()
      local path = helper.tmpname()
      local process <close> = start(("socat -t 1 PTY,link=%s,rawer,wait-slave EXEC:cat 2>&1"):format(path))
      helper.eventually(function() return lfs.symlinkattributes(path, "mode") end)
      local file <close> = assert(io.open(path, "r+"))
      local s <close> = assert(neap.stream(probe.dup((assert(neap.stream(file)):detach()))))
      s:settimeout(5)
      assert(s:write "hello\nworld")
      assert.equal("hello", s:read())
      assert.equal("world", s:read(5))
      s:settimeout(0.02)
      assert.fails("ETIMEDOUT", s:read(1))
      assert.fails("ENOTSOCK", s:shutdown "w")
      local reader = neap.spawn(function()
        s:settimeout(5)
        return s:read(1)
      end)
      helper.eventually(function() return reader:status() == "waiting" end)
      probe.kill(process.pid, probe.SIGTERM) -- takes the other side away
      local value, _, code = reader:join()
      assert.is_nil(value)
      assert.is_true(code == "EOF" or code == "EIO", code)
    end)
  end)
end)
