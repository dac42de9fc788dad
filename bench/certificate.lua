-- Makes a key of P-256 and its certificate: certificate.lua FOLDER, where
-- cert.pem and key.pem go.
-- SPDX-License-Identifier: MIT

local x509 = require "neap.x509"

local function save(name, text)
  local file <close> = assert(io.open(arg[1] .. "/" .. name, "w"))
  assert(file:write(text))
end

local key = assert(x509.key())
save("key.pem", key:pem())
save("cert.pem", assert(x509.make { key = key, subject = "CN=bench", names = { "localhost" } }):pem())
