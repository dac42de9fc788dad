-- SPDX-License-Identifier: MIT
--- neap.random: bytes that nobody can guess, or none.
local helper <const> = require "support.helper"
local random <const> = require "neap.random"

describe("neap.random", function()
  it("gives as many bytes as it is asked for, and others each time", function()
    for _, n in ipairs { 0, 1, 255, 256, 257, 4096, 1 << 20 } do assert.equal(n, #random.bytes(n)) end
    assert.are_not.equal(random.bytes(16), random.bytes(16))
    assert.truthy(random.hex(8):find "^%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x$")
    local seen, bytes = {}, random.bytes(1 << 16)
    for i = 1, #bytes do seen[bytes:byte(i)] = true end
    for byte = 0, 255 do assert.is_true(seen[byte]) end
    for _, n in ipairs { -1, (1 << 20) + 1, 1.5, "x" } do assert.raises("bad argument #1", random.bytes, n) end
  end)

  it("gives a child others than its parent", function()
    local text = helper.forked(random.hex, 16)
    assert.truthy(text:find("^" .. ("%x"):rep(32) .. "$"))
    assert.are_not.equal(random.hex(16), text)
  end)

  it("needs no descriptor", function()
    local out, code = helper.script [[
      local random = require "neap.random"
      local open = {}
      repeat open[#open + 1] = io.open "/dev/null" until #open > 100000 or not io.open "/dev/null"
      print(io.open "/dev/null", #random.bytes(1000))]]
    assert.truthy(out:find "^nil\t/dev/null: [^\n]*\t1000\n$" or out:find "^nil\t.*1000\n$", out)
    assert.equal(0, code)
  end)

  it("raises where the system gives none", function()
    helper.need((os.getenv "SAN" or "") == "", "a sanitizer does not run under strace")
    helper.need_program "strace"
    local strace = "strace -f -qq -o /dev/null -e trace=getrandom -e inject=getrandom:error=EIO"
    local out, how = helper.script_under(strace, [[
      local ok, why = pcall(require "neap.random".bytes, 16)
      print(ok, ok and #why or why)]])
    helper.need(not out:find "^strace:", "strace may not trace here")
    assert.equal("false\trandom: Input/output error\n", out)
    assert.equal(0, how)
  end)
end)
