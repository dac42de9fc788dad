std = "lua54"
max_line_length = 120
self = false -- a method need not use self
ignore = { -- names of to-be-closed variables, which are there to be closed
  "211/held", "211/cleanup", "211/losers", "211/guard", "211/scope", "211/watchdog",
}

files["spec"] = {
  std = "lua54+busted",
  ignore = { "211" }, -- to-be-closed variables of any name
}
files["bench/peers"] = { std = "max" } -- each runs on the Lua of its library
files["test/busted_summary.lua"] = { std = "lua54+busted" }
files["**/*.rockspec"] = { std = "rockspec" }
