--- Packet headers: bytes to tables and back. No socket is touched.
return require "neap.wirecore"
