-- What neap's SPX is put beside: the same over its TCP.
-- SPDX-License-Identifier: MIT

local bench = ...
local neap = assert(loadfile(bench.here .. "peers/neap.lua"))(bench)

return { spx_source = neap.tcp_source, spx_sink = neap.tcp_sink }
