-- The contracts of streams and of message sockets, over the kernel's SCTP.
-- modules: sctp
-- busted
local files <const> = { "spec/sctp_stream_spec.lua", "spec/message_sctp_spec.lua" }

if not io.open("/neap/run-busted") then
  print "needs busted"
  os.exit(77)
end
local function keeps(file) return os.execute(("cd /neap && NEAP_SCTP=kernel $LUA run-busted %s"):format(file)) end

-- The machine is emulated, and slow beside others: what fails is tried once more.
local ok = true
for _, file in ipairs(files) do ok = (keeps(file) or keeps(file)) and ok end
os.exit(ok == true)
