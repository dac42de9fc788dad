-- Says in which part of a program its CPU time goes, for rows that miss their
-- goal: kernel, C library, Lua, OpenSSL, the module.
-- SPDX-License-Identifier: MIT

local profile = {}

profile.parts = { "kernel", "libc", "Lua", "OpenSSL", "module", "other" }

local function part_of(object)
  if object:find("kernel", 1, true) then return "kernel" end
  if object:find("^libc") then return "libc" end
  if object:find("^lua") or object:find("^liblua5.%d.so") then return "Lua" end
  if object:find("^libssl") or object:find("^libcrypto") then return "OpenSSL" end
  if object:find("%.so") or object == "reference" then return "module" end
  return "other"
end

-- Shares of each part, and the ten functions outside of the kernel that take
-- most, from the lines of perf report; nil without samples.
function profile.parse(text)
  local shares, functions, any = {}, {}, false
  for share, object, name in text:gmatch("([%d.]+)%%%s*,([^,\n]-)%s*,([^\n]*)") do
    local part = part_of(object)
    share = tonumber(share) / 100
    shares[part] = (shares[part] or 0) + share
    any = true
    name = name:gsub("^%[.%]%s*", "")
    if part ~= "kernel" and #functions < 10 and not name:find("^0x") then
      functions[#functions + 1] = { name:match("^%S+"), share }
    end
  end
  return any and { shares = shares, functions = functions } or nil
end

return profile
