-- Heads, chunks and frames, whole and in pieces: a parser that could not get
-- memory leaves nothing half done.
local core = require "neap.httpcore"

local bytes = "POST /a HTTP/1.1\r\nHost: a\r\nX-Long: " .. ("y"):rep(300) .. "\r\nTransfer-Encoding: chunked\r\n\r\n"
for i = 1, 100 do bytes = bytes:gsub("\r\n\r\n", "\r\nX-" .. i .. ": y\r\n\r\n", 1) end

local parser = core.parser("request")
assert(parser:feed(bytes).framing == "chunked")
assert(parser:feed(bytes:sub(1, 400)) == false)
local request = assert(parser:feed(bytes:sub(401)))
assert(request.headers:get "x-100" == "y" and #request.headers == 103)
request.headers:set("x-new", ("z"):rep(5000)):add("host", "b")
assert(request.headers:get "host" == "a, b")
assert(#core.response(200, request.headers, 5) > 5000)

local decoder = core.decoder()
assert(decoder:feed "5\r\nhello\r\n6\r\n world\r\n0\r\nX: y" == "hello world")
assert(select(2, decoder:feed "\r\n\r\n") == 5)
assert(decoder:trailers():get "x" == "y")

local frame = core.frame(1, ("a"):rep(10000), true, "\1\2\3\4")
local deframer = core.deframer(true, 1 << 20)
assert(deframer:feed(frame:sub(1, 5000)) == false)
assert(select(2, deframer:feed(frame:sub(5001))) == ("a"):rep(10000))
