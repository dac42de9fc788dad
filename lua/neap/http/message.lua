--- HTTP/1.1 messages: bytes to values and back. No socket is touched.
--
-- A parser is fed what arrives, however it is split, and keeps what is not
-- whole yet:
--   local request, at = parser:feed(bytes)      -- false: there must be more
-- A request is a table: method, target, version ("1.1"), headers, and what is
-- not as usual: form and authority (a target that is not a path), framing
-- ("length", "chunked") and length, close, expect, upgrade, tunnel. A response
-- has status and reason; its framing may be "close", too. `at` is where its
-- body begins in the bytes of that call. What is malformed is refused: nil,
-- message, code, and the status to answer.
local args <const> = require "neap.args"
local core <const> = require "neap.httpcore"

local M = {}

local limits <const> = { head = "size", fields = "size", target = "size" }
local trailer_limits <const> = { head = "size", fields = "size" }

--- A parser of requests, whose defaults are 64 KiB for a head, 1000 fields, and
-- 8 KiB for a target. Requests get the metatable `class`.
function M.request_parser(options, class)
  return core.parser("request", args.check(options, limits, 1, 2), class)
end

--- A parser of responses; a head may have 256 KiB. parser:feed's third
-- argument is the method of the request: the answer to a HEAD has no body.
function M.response_parser(options, class)
  return core.parser("response", args.check(options, args.without(limits, "target"), 1, 2), class)
end

local function whole(what, parsed, ...)
  if parsed == false then return nil, ("bad %s: its head is not whole"):format(what), "EBADMSG", 400 end
  return parsed, ...
end

--- A request whose head is all there, and the position after it.
function M.parse_request(bytes, options)
  args.argument(bytes, "string", 1, 2)
  options = args.check(options, limits, 2, 2)
  return whole("request", core.parser("request", options):feed(bytes))
end

--- The same of a response; options.method is what it answers.
function M.parse_response(bytes, options)
  args.argument(bytes, "string", 1, 2)
  options = args.check(options, { head = "size", fields = "size", method = "string" }, 2, 2)
  local method <const> = options.method
  return whole("response", core.parser("response", options):feed(bytes, 1, method))
end

--- Whom a request is for: "host", "host:port", or "" (then whoever serves).
-- An absolute target wins over the field (RFC 9112, 3.2.2).
function M.host(request)
  return request.authority or request.headers:get "host" or ""
end

--- The path and the query ("" and nil at the least) of a request's target, as
-- they were sent.
function M.path(request)
  local target = request.target
  if request.form == "authority" then return "" end
  if request.form == "absolute" then
    target = target:match "^[^:]*://[^/?]*(.*)$"
    if target == "" and request.method == "OPTIONS" then return "*" end
    if target:byte() ~= 0x2f then target = "/" .. target end
  end
  local at = target:find("?", 1, true)
  if not at then return target end
  return target:sub(1, at - 1), target:sub(at + 1)
end

--- Does a body follow?
function M.has_body(message)
  return message.framing ~= nil and message.length ~= 0
end

--- A decoder of chunked bodies: decoder:feed(bytes, from) gives data, and at
-- the end of the body the position after it, too; decoder:trailers(). The
-- defaults for trailers are 8 KiB and 100 fields.
function M.decoder(options)
  return core.decoder(args.check(options, trailer_limits, 1, 2))
end

--- Fields in their order: names in any case, duplicates kept. Made of a table
-- of names and values (or lists of values), of a list of { name, value }, or
-- of headers.
M.headers = core.headers

--- request_head(method, target, headers, framing, connection): the bytes.
-- Once framing (a length or "chunked") or connection is given, these fields
-- are written, and those of the headers that say such things are not.
M.request_head = core.request

--- response_head(status, headers, framing, connection, reason): likewise, with
-- the Date if there is none.
M.response_head = core.response

--- chunk(data): one chunk; chunk(n): what stands before n bytes, which CR LF
-- must follow. last_chunk(trailers) ends the body.
M.chunk, M.last_chunk = core.chunk, core.last_chunk

--- date(seconds): of that time, or of now, as HTTP writes it.
M.date = core.date

return M
