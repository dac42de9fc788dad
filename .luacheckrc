std = "lua54"
max_line_length = 120
self = false -- a method need not use self

files["spec"] = { std = "lua54+busted" }
files["bench/peers"] = { std = "max" } -- each runs on the Lua of its library
files["test/busted_summary.lua"] = { std = "lua54+busted" }
files["**/*.rockspec"] = { std = "rockspec" }
