-- Bodies coded and decoded, loading included; a machine without zlib has
-- nothing to fail.
local coding = require "neap.http.coding"

local encoder, why, code = coding.encoder("gzip", 1)
if not encoder and code == "ENOTSUP" then return end
encoder = assert(encoder, why)
local text = ("some text "):rep(5000)
local coded = assert(encoder:finish(text))
local decoder = assert(coding.decoder("gzip", 1 << 20))
assert(decoder:feed(coded:sub(1, 20)) .. decoder:feed(coded:sub(21)) == text)
assert(decoder:finish())
decoder = assert(coding.decoder("gzip"))
local first, more = assert(decoder:feed(coded, 1000))
assert(#first == 1000 and more)
assert(first .. decoder:feed "" == text)
assert(not coding.decoder("gzip", 100):feed(coded))

local zcore = require "neap.zcore"
local out, back = assert(zcore.encoder("raw", 9, 10)), assert(zcore.decoder("raw", nil, 10))
for _ = 1, 2 do assert(back:message(assert(out:message "hello"), true) == "hello") end
assert(back:message("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", true) == "Hello")
assert(coding.decoder "br" == nil or coding.decoder "br":feed "")
