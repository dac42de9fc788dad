--- The rock: made by LuaRocks into an empty tree, and used from there alone.
local helper <const> = require "support.helper"

-- In an environment of its own: how this suite was built stays out.
local PATH <const> = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
local CLEAN <const> = "env -i HOME=/nonexistent PATH=" .. PATH .. " sh -c "

local function run(command)
  local pipe <close> = assert(io.popen(CLEAN .. helper.quote(command) .. " 2>&1"))
  local out = pipe:read "a"
  return out, pipe:close()
end

describe("luarocks make", function()
  it("puts the module into an empty tree, from which alone a script runs", function()
    helper.need_program("luarocks", "make")
    local place = helper.tmpname()
    -- A copy, with a build directory of its own: nothing of the checkout's
    -- build is taken, and nothing is left in it.
    local out = run(("mkdir -p %s/copy && cp -r Makefile LICENSE README.md .ci "
      .. "csrc lua docs examples rockspec test %s/copy && cd %s/copy && luarocks --lua-version 5.4 "
      .. "make --tree ../tree rockspec/neap-scm-1.rockspec"):format(place, place, place))
    assert.matches("neap scm%-1 is now installed", out)
    local script = place .. "/echo.lua"
    local file <close> = assert(io.open(script, "w"))
    file:write [[
      local neap, tcp = require "neap", require "neap.tcp"
      print(package.searchpath("neap.core", package.cpath))
      neap.run(function()
        local server <close> = assert(tcp.listen("127.0.0.1", 0))
        local _, port = server:getsockname()
        neap.spawn({ daemon = true }, server.serve, server, function(conn)
          for line in conn:lines() do assert(conn:write(line:upper(), "\n")) end
        end)
        local conn <close> = assert(tcp.connect("localhost", port, { timeout = 3 }))
        assert(conn:write "ebb and flood\n")
        print(conn:read())
      end)
      require "neap.unix"; require "neap.socket"
    ]]
    file:close()
    out = run(("cd / && LUA_PATH='%s/tree/share/lua/5.4/?.lua;"
      .. "%s/tree/share/lua/5.4/?/init.lua' LUA_CPATH='%s/tree/lib/lua/5.4/?.so' lua5.4 %s")
      :format(place, place, place, script))
    assert.equal(place .. "/tree/lib/lua/5.4/neap/core.so\nEBB AND FLOOD\n", out)
    run("rm -rf " .. place)
  end)
end)
