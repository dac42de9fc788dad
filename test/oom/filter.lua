-- Filters, compiled and run; captures, written and read.
local filter = require "neap.filter"
local pcap = require "neap.pcap"

local ANY = { { 0x06, 0, 0, 65535 } }

local function filters()
  assert(filter.check(ANY) and filter.match(ANY, "bytes"))
  assert(filter.dump(filter.pack(ANY)) == "(000) ret      #65535\n")
  local program, why, code = filter.compile "tcp port 80"
  assert(program and filter.check(program) or code == "ENOTSUP", why)
  assert(not filter.compile "tcp prot 80")
end

local function captures()
  for _, format in ipairs { "pcap", "pcapng" } do
    local pieces = {}
    local sink = { write = function(self, ...)
      for _, piece in ipairs { ... } do pieces[#pieces + 1] = piece end
      return self
    end }
    local writer = assert(pcap.create(sink, { format = format }))
    assert(writer:write("a packet", { timestamp = 5, comment = "a comment", interface = "eth0" }))
    local reader <close> = assert(pcap.open(function() return table.remove(pieces, 1) end))
    local data, info = reader:read()
    assert(data == "a packet" and info.timestamp == 5)
    assert(not reader:read())
  end
end

filters()
captures()
