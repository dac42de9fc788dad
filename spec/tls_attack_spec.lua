--- Peers that attack: floods of records that cost them nothing, handshakes
-- that dribble, resets in every state, and thousands of connections. Whatever
-- they do, the server serves the next one, and nothing is left.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"
local tcp <const> = require "neap.tcp"
local tls <const> = require "neap.tls"
local unix <const> = require "neap.unix"

local function works(name, body)
  it(name, function()
    certs.need()
    helper.in_task(body)
  end)
end

local function waiting(task)
  helper.eventually(function() return task:status() == "waiting" end)
end

-- Bytes of memory that this process has.
local function resident()
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open "/proc/self/statm")
  local _, pages = file:read("n", "n")
  return math.tointeger(pages) * 4096
end

-- ---- what attackers send ----

local EMPTY <const>, WARNING <const> = "\22\3\3\0\0", "\21\3\3\0\2\1\90"
local CHANGE <const>, CLOSING <const> = "\20\3\3\0\1\1", "\21\3\3\0\2\1\0"

-- The first flight of a client of this version.
local hellos <const> = {}
local function hello(version)
  if not hellos[version] then
    local a <const>, b <close> = assert(unix.pair())
    local client <close> = neap.spawn(function()
      local mine <close> = a
      mine:starttls(lab.client { max_version = version })
    end)
    hellos[version] = assert(b:receive())
    b:close()
    client:join()
  end
  return hellos[version]
end

-- The flight of a server that answers this client's version with, whole
-- records, the first n of them.
local flights <const> = {}
local function flight(version, n)
  if not flights[version] then
    local records <const> = {}
    local a <close>, b, relay = lab.through(nil, function(record)
      records[#records + 1] = record
      return record
    end)
    local held <close> = b
    local middle <close> = relay
    lab.shake(a, lab.client { max_version = version }, b, lab.server())
    flights[version] = records
  end
  return table.concat(flights[version], "", 1, n)
end

-- Sends this again and again until the peer has had enough, or has taken
-- `most` bytes.
local MOST <const> = 8 * 1024 * 1024
local function flood(conn, what)
  local block <const> = what:rep(65536 // #what)
  local sent = 0
  while sent < MOST do
    if not conn:write(block) then return sent end
    sent = sent + #block
  end
  return sent
end

local function reset(conn)
  conn:setsockopt("SO_LINGER", 0)
  conn:close()
end

-- Cut at byte n, a byte at a time.
local function dribble(conn, bytes, pause)
  for i = 1, #bytes do
    if not conn:write(bytes:sub(i, i)) then return end
    neap.sleep(pause)
  end
end

-- A message of handshakes, each byte in a record of its own.
local function crumbled(bytes)
  local parts <const> = {}
  for i = 6, #bytes do parts[#parts + 1] = bytes:sub(1, 3) .. "\0\1" .. bytes:sub(i, i) end
  return table.concat(parts)
end

-- ---- servers ----

describe("a server that is attacked", function()
  -- One server for all of them; it must have said something of each, and serve
  -- a good client after each.
  local function under(attack, handshake_timeout)
    return lab.serving(lab.listener { handshake_timeout = handshake_timeout or 1 },
      function(conn) conn:write "served" end,
      function(connect, failures, port)
        for _, version in ipairs { "1.2", "1.3" } do
          local before <const> = #failures
          local bytes <const> = hello(version)
          local ours
          do
            local conn <close> = assert(tcp.connect("127.0.0.1", port, { timeout = 3 * helper.slow }))
            ours = select(2, conn:getsockname())
            attack(conn, bytes, version)
            if conn:isopen() then
              conn:shutdown "w"
              conn:read "a"
            end
          end
          helper.eventually(function() return #failures > before end)
          local why <const> = failures[before + 1][1]
          -- who has gone before its task began has no name any more
          if not why:find(("tls handshake with 127.0.0.1:%d: "):format(ours), 1, true) and
            not why:find "^handshake at 127%.0%.0%.1:%d+: Connection reset" then
            error(why)
          end
          local good <close> = assert(connect())
          assert.equal("served", good:read "a")
        end
        return failures
      end)
  end

  for name, bytes in pairs {
    ["empty records"] = EMPTY, ["warnings"] = WARNING, ["changes of cipher"] = CHANGE, ["ends"] = CLOSING,
  } do
    works(("by a flood of %s before the handshake goes on"):format(name), function()
      under(function(conn) assert.is_true(flood(conn, bytes) < MOST) end)
    end)

    works(("by a flood of %s within the handshake goes on"):format(name), function()
      under(function(conn, first)
        conn:write(first)
        conn:receive()
        assert.is_true(flood(conn, bytes) < MOST)
      end)
    end)

    works(("by a flood of %s within the first message goes on"):format(name), function()
      under(function(conn, first)
        conn:write(first:sub(1, 3), "\0\4", first:sub(6, 9))
        assert.is_true(flood(conn, bytes) < MOST)
      end)
    end)
  end

  works("by first messages again and again goes on", function()
    under(function(conn, first) assert.is_true(flood(conn, first) < MOST) end)
  end)

  works("by a first message in crumbs is none the worse", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local whole
      local a <close>, b, relay = lab.through(function(record, n)
        if n > 1 then return record end
        whole = crumbled(record)
        return whole
      end)
      local held <close> = b
      local middle <close> = relay
      local mine, theirs = lab.shake(a, lab.client { max_version = version }, b, lab.server())
      assert(mine[1], mine[2])
      assert(theirs[1], theirs[2])
      assert.is_true(#whole > 1000)
    end
  end)

  works("by peers that reset in each state goes on", function()
    under(function(conn) reset(conn) end)
    under(function(conn, first)
      conn:write(first:sub(1, 20))
      reset(conn)
    end)
    under(function(conn, first)
      conn:write(first)
      reset(conn)
    end)
    under(function(conn, first)
      conn:write(first)
      conn:receive()
      reset(conn)
    end)
    under(function(conn, first)
      conn:write(first, CHANGE)
      conn:receive()
      reset(conn)
    end)
  end)

  works("by who dribbles gives it the handshake's time, not more", function()
    local failures = under(function(conn, first)
      assert.takes(0.1, 1, dribble, conn, first:rep(10), 0.01)
    end, 0.15)
    for _, failure in ipairs(failures) do assert.matches("timed out", failure[1]) end
  end)

  works("by a hundred who dribble serves the others meanwhile", function()
    lab.serving(lab.listener { handshake_timeout = 0.5 * helper.slow }, function(conn) conn:write "served" end,
      function(connect, failures, port)
        local bytes <const> = hello "1.3"
        local group <const> = neap.group()
        for i = 1, 100 do
          group:spawn(function()
            local conn <close> = assert(tcp.connect("127.0.0.1", port))
            conn:write(bytes:sub(1, i)) -- cut at any place
            dribble(conn, bytes:sub(i + 1):rep(20), 0.02)
          end)
        end
        for _ = 1, 5 do
          local conn <close> = assert(connect { timeout = 1 * helper.slow })
          assert.equal("served", conn:read "a")
        end
        assert.is_true(#failures < 100)
        helper.eventually(function() return #failures == 100 end)
        group:cancel()
        group:close()
      end)
  end)

  works("by who asks for renegotiation again and again goes on", function()
    lab.serving(lab.listener(), function(conn) while conn:receive() do end end, function(connect, _, port)
      local process <close> = lab.start({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-tls1_2" },
        { input = true })
      repeat local line = assert(process.output:read()) until line:find "Extended master"
      for _ = 1, 50 do if not process.input:write "R\n" then break end end
      assert.matches("no renegotiation", process.output:readuntil("no renegotiation", 100000))
      local good <close> = assert(connect())
      assert(good:shutdown "w")
      assert.equal("", good:read "a")
    end)
  end)

  -- What the first one says decides which certificate, and whom it lets in.
  works("by a second first message with another name ends it", function()
    local named <const> = assert(tls.context(lab.listener { groups = "P-256" }))
    for _, sni in ipairs { { ["good.example"] = named }, function() return named end } do
      local a <close>, b, relay = lab.through(function(record, n)
        return n > 1 and record:gsub("good%.example", "evil.example") or record
      end)
      local held <close> = b
      local middle <close> = relay
      local mine, theirs = lab.shake(a, lab.client(), b, lab.server { groups = "P-256", sni = sni })
      assert.matches("alert illegal parameter$", mine[2])
      assert.fails("ETLS", table.unpack(theirs))
    end
  end)

  works("says each time whom it was talking to", function()
    under(function(conn) conn:write "GET / HTTP/1.1\r\n\r\n" end)
    lab.serving(lab.listener(), nil, function(_, failures, port)
      assert.is_nil((tls.connect("127.0.0.1", port, { ca = certs.ca "rogue", servername = "good.example" })))
      helper.eventually(function() return #failures == 1 end)
      assert.matches("^tls handshake with 127%.0%.0%.1:%d+: .*alert unknown ca$", failures[1][1])
    end)
  end)
end)

-- ---- clients ----

describe("a client that is attacked", function()
  -- What the client comes to whose server does this with its first flight.
  local function under(version, attack)
    local listener <close> = assert(tcp.listen("127.0.0.1", 0))
    local _, port = listener:getsockname()
    local group <close> = neap.group()
    group:spawn(function()
      local conn <close> = assert(listener:accept(5))
      conn:settimeout(3 * helper.slow)
      conn:receive()
      attack(conn)
      if conn:isopen() then
        conn:shutdown "w"
        conn:read "a"
      end
    end)
    local options <const> = lab.client { max_version = version, timeout = 2 * helper.slow }
    local value, why, code = tls.connect("127.0.0.1", port, options)
    assert.is_nil(value)
    if code ~= "ETLS" and code ~= "ECONNRESET" and code ~= "EPIPE" then error(("%s: %s"):format(code, why)) end
    if code == "ETLS" and not why:find("127.0.0.1:" .. port, 1, true) then error(why) end
    return code
  end

  for name, bytes in pairs {
    ["empty records"] = EMPTY, ["warnings"] = WARNING, ["changes of cipher"] = CHANGE, ["ends"] = CLOSING,
  } do
    for _, version in ipairs { "1.2", "1.3" } do
      works(("by a flood of %s ends it, over TLS %s"):format(name, version), function()
        for n = 0, version == "1.2" and 2 or 1 do -- after so many records of the server's
          under(version, function(conn)
            conn:write(flight(version, n))
            assert.is_true(flood(conn, bytes) < MOST)
          end)
        end
      end)
    end
  end

  works("by a server that resets says so", function()
    for _, version in ipairs { "1.2", "1.3" } do
      for n = 0, 2 do
        under(version, function(conn)
          conn:write(flight(version, n))
          reset(conn)
        end)
      end
    end
  end)

  works("by a server that says it all again ends it", function()
    for _, version in ipairs { "1.2", "1.3" } do
      assert.equal("ETLS", under(version, function(conn)
        local answer <const> = flight(version, 1)
        conn:write(answer, answer)
        conn:read "a"
      end))
    end
  end)

  works("by tickets without end keeps what it may", function()
    local server <close> = lab.s_server("good", { "-rev", "-tls1_3", "-num_tickets", "500" })
    local context <const> = assert(tls.context { ca = certs.ca() })
    for i = 1, 4 do
      local conn <close> = assert(tls.connect("127.0.0.1", server.port,
        { context = context, servername = "good.example" }))
      assert(conn:write "abc\n")
      assert.equal("cba", conn:read())
      assert.equal(i > 1, conn:tlsinfo().resumed)
      assert(conn:write "CLOSE\n")
      conn:read "a"
    end
  end)

  works("by a server that asks for renegotiation again and again goes on", function()
    local server <close> = lab.s_server("good", { "-tls1_2" }, { input = true })
    local conn <close> = assert(tls.connect("127.0.0.1", server.port, lab.client()))
    for _ = 1, 5 do
      assert(server.input:write "r\n")
      neap.sleep(0.005)
    end
    assert(server.input:write "still here\n")
    local line, why, code = conn:read()
    if line then assert.equal("still here", line) else assert.fails("ETLS", line, why, code) end
  end)
end)

-- ---- either ----

describe("new keys without end", function()
  for _, who in ipairs { "client", "server" } do
    works(("from the %s change nothing of what is said"):format(who), function()
      local a <close>, b = lab.pair({ min_version = "1.3" })
      local held <close> = b
      local attacker <const>, victim <const> = who == "client" and a or b, who == "client" and b or a
      local ROUNDS <const> = 2000
      local group <close> = neap.group()
      group:spawn(function()
        for i = 1, ROUNDS do
          assert(attacker:tlsrekey(true))
          if i % 10 == 0 then assert(attacker:write(i, "\n")) end
        end
        assert(attacker:shutdown "w")
      end)
      group:spawn(function() -- what the victim answers is read, too
        for i = 10, ROUNDS, 10 do assert.equal("so " .. i, attacker:read()) end
        assert.equal("", attacker:read "a")
      end)
      for i = 10, ROUNDS, 10 do
        assert.equal(tostring(i), victim:read())
        assert(victim:write("so ", i, "\n"))
      end
      assert.equal("", victim:read "a")
      assert(victim:shutdown "w")
      group:wait()
    end)
  end

  -- It answers each, and keeps the answers that nobody reads; but not for ever.
  works("make nothing grow, though nobody reads the answers", function()
    local a <close>, b = lab.pair({ min_version = "1.3" })
    local held <close> = b
    local reader <const> = neap.spawn(function() return b:read "l" end)
    for _ = 1, 5000 do assert(a:tlsrekey(true)) end
    assert(a:write "enough\n")
    assert.equal("enough", reader:join())
    local answers <const> = neap.spawn(function() return a:read "l" end)
    assert(b:write "it was\n")
    assert.equal("it was", answers:join())
  end)

  works("end a connection where nobody reads the answers", function()
    local a <close>, b = lab.pair({ min_version = "1.3" })
    local held <close> = b
    local before <const> = resident()
    local reader <const> = neap.spawn(function() return b:read "l" end)
    local attacker <const> = neap.spawn(function()
      repeat until not a:tlsrekey(true)
    end)
    local line, why, code = reader:join()
    assert.fails("ETLS", line, why, code)
    assert.matches("the peer asks for answers, and takes none$", why)
    if helper.slow == 1 then assert.is_true(resident() - before < 2 * 1024 * 1024) end
    b:close()
    attacker:join()
  end)
end)

describe("a flood of new keys that come at once", function()
  local ROUNDS <const> = 20000

  -- How long it takes to go through, and the longest of the waits that others
  -- have for their turn.
  local function storm()
    local hold, held = false, {}
    local a <close>, b, relay = lab.through(function(record)
      if not hold then return record end
      held[#held + 1] = record
      return #held > ROUNDS and table.concat(held) or ""
    end)
    local guard <close> = b
    local middle <close> = relay
    local mine, theirs = lab.shake(a, lab.client(), b, lab.server())
    assert(mine[1] and theirs[1], mine[2])
    hold = true
    for _ = 1, ROUNDS do assert(a:tlsrekey()) end
    helper.eventually(function() return #held == ROUNDS end)
    local longest, last = 0, neap.now()
    local other <close> = neap.spawn(function()
      while true do
        neap.sleep(0)
        local now <const> = neap.now()
        longest, last = math.max(longest, now - last), now
      end
    end)
    local began <const> = neap.now()
    assert(a:write "enough\n")
    assert.equal("enough", b:read "l")
    return neap.now() - began, longest
  end

  works("leaves the others their turns", function()
    local whole, longest
    for _ = 1, 3 do -- another process may take its time, too
      whole, longest = storm()
      if longest < whole / 4 then return end
    end
    error(("of %g s nobody had a turn for %g s"):format(whole, longest))
  end)
end)

-- ---- thousands ----

describe("thousands of handshakes", function()
  -- Good, resumed, refused, vanished, reset, cancelled and plain ones: by turns.
  local function one(i, port, client, refusing)
    local kind <const> = i % 8
    if kind == 0 then
      assert.is_nil((tls.connect("127.0.0.1", port, { context = refusing, servername = "good.example" })))
    elseif kind == 1 then
      local conn <close> = assert(tcp.connect("127.0.0.1", port))
      conn:write(hello "1.3")
      reset(conn)
    elseif kind == 2 then
      local conn <close> = assert(tcp.connect("127.0.0.1", port))
      conn:write "GET / HTTP/1.1\r\n\r\n"
    elseif kind == 3 then
      local task <const> = neap.spawn(function()
        local conn <close> = assert(tls.connect("127.0.0.1", port, { context = client, servername = "good.example" }))
      end)
      neap.sleep(0)
      task:cancel()
      task:join()
    else
      local conn <close> = assert(tls.connect("127.0.0.1", port, { context = client, servername = "good.example" }))
      if kind > 5 then return end -- with no word
      assert(conn:write "x")
      assert.equal("x", conn:read(1))
    end
  end

  local function run(from, to)
    local client <const> = assert(tls.context { ca = certs.ca() })
    local refusing <const> = assert(tls.context { ca = certs.ca "rogue" })
    lab.serving(lab.listener { handshake_timeout = 2 * helper.slow }, function(conn)
      local data <const> = conn:read(1)
      if data then conn:write(data) end
    end, function(_, _, port)
      local group <close> = neap.group()
      for worker = 0, 3 do
        group:spawn(function() for i = from + worker, to, 4 do one(i, port, client, refusing) end end)
      end
      group:wait()
    end)
  end

  it("leave nothing", function() -- NEAP_LONG: how many
    certs.need()
    local ROUND <const> = 500 // helper.slow
    local all <const> = math.tointeger(tonumber(os.getenv "NEAP_LONG")) or 4 * ROUND
    helper.in_task(run, 1, ROUND)
    local fds <const>, before <const> = helper.count_fds(), resident()
    for from = ROUND + 1, all, ROUND do
      helper.in_task(run, from, math.min(from + ROUND - 1, all))
      assert.equal(fds, helper.count_fds())
      local grown <const> = resident() - before
      if helper.slow == 1 and grown > 2 * 1024 * 1024 then error(("%d bytes more"):format(grown)) end
    end
  end)
end)
