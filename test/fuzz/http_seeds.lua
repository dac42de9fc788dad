-- The rows of the specs as inputs for test/fuzz/http.c, a file each:
--   lua5.4 test/fuzz/http_seeds.lua FOLDER
local rows <const> = dofile "spec/fixtures/http_messages.lua"
local folder <const> = assert(arg[1], "a folder")

local kinds <const> = {
  [0] = { rows.good_requests, rows.bad_requests }, { rows.good_responses, rows.bad_responses }, {},
  { rows.good_chunked, rows.bad_chunked }, { { { "aä€😀\u{10ffff}" }, { "\xed\xa0\x80" } } },
  { { { "\x81\x05hello" }, { "\x01\x02\xc3\xa4\x89\x00\x80\x7e\x00\x7e" .. ("x"):rep(126) },
    { "\x88\x83\1\2\3\4\2\xea\xfb" }, { "\xc2\x7f\0\0\0\0\0\1\0\0" } } },
}

for kind = 0, #kinds do
  local n = 0
  for _, list in ipairs(kinds[kind]) do
    for _, row in ipairs(list) do
      if #row[1] < 1000 then
        n = n + 1
        local file <close> = assert(io.open(("%s/seed-%d-%03d"):format(folder, kind, n), "wb"))
        assert(file:write(string.char(kind, n % 256), row[1]))
      end
    end
  end
end
