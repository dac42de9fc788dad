-- SPDX-License-Identifier: MIT
--- What is in a record beside its name, type, class and TTL: a row of fields
-- for each type, with the names that its RFC gives them. A type without a row
-- has its bytes in `data`. No socket.
local fields <const> = require "neap.dns.fields"
local params <const> = require "neap.dns.svcb"

local M = {}

local IN <const>, CH <const>, HS <const> = 1, 3, 4

local u8 <const>, u16 <const>, u32 <const>, rest <const> = fields.u8, fields.u16, fields.u32, fields.rest
local name <const>, late <const>, plain <const> = fields.name, fields.late_name, fields.plain_name

local delegation <const> = { { "key_tag", u16 }, { "algorithm", u8 }, { "digest_type", u8 }, { "digest", rest } }
local key <const> = { { "flags", u16 }, { "protocol", u8 }, { "algorithm", u8 }, { "key", rest } }
local association <const> = { { "usage", u8 }, { "selector", u8 }, { "matching_type", u8 }, { "data", rest } }
local service <const> = { { "priority", u16 }, { "target", plain }, { "params", params } }
local text <const> = { { "strings", fields.strings } }

local rows <const> = {
  NS = { { "nsdname", name } },
  CNAME = { { "cname", name } },
  SOA = {
    { "mname", name }, { "rname", name }, { "serial", u32 }, { "refresh", u32 }, { "retry", u32 },
    { "expire", u32 }, { "minimum", u32 },
  },
  PTR = { { "ptrdname", name } },
  HINFO = { { "cpu", fields.string }, { "os", fields.string } },
  MX = { { "preference", u16 }, { "exchange", name } },
  TXT = text, SPF = text,
  RP = { { "mbox", late }, { "txt", late } },
  AFSDB = { { "subtype", u16 }, { "hostname", late } },
  NAPTR = {
    { "order", u16 }, { "preference", u16 }, { "flags", fields.string }, { "services", fields.string },
    { "regexp", fields.string }, { "replacement", late },
  },
  DNAME = { { "target", late } },
  DS = delegation, CDS = delegation,
  DNSKEY = key, CDNSKEY = key,
  RRSIG = {
    { "type_covered", fields.type }, { "algorithm", u8 }, { "labels", u8 }, { "original_ttl", u32 },
    { "expiration", u32 }, { "inception", u32 }, { "key_tag", u16 }, { "signer", plain }, { "signature", rest },
  },
  SSHFP = { { "algorithm", u8 }, { "fp_type", u8 }, { "fingerprint", rest } },
  TLSA = association, SMIMEA = association,
  URI = { { "priority", u16 }, { "weight", u16 }, { "target", rest } },
  CAA = { { "flags", u8 }, { "tag", fields.word }, { "value", rest } },
}

-- What only the Internet's class has in this form.
local internet <const> = {
  A = { { "address", fields.ip4 } },
  AAAA = { { "address", fields.ip6 } },
  SRV = { { "priority", u16 }, { "weight", u16 }, { "port", u16 }, { "target", late } },
  SVCB = service, HTTPS = service,
}

local raw <const> = { { "data", rest } }

local function row_of(kind, class)
  if class == IN and internet[kind] then return internet[kind] end
  return (class == IN or class == CH or class == HS) and rows[kind] or raw
end

--- Reads the fields of a record, whose type is known by name and whose class by
-- number, into it: true, or nil and what is wrong.
function M.get(record, class, bytes, at, stop)
  for _, field in ipairs(row_of(record.type, class)) do
    local value, after = field[2].get(bytes, at, stop)
    if value == nil then return nil, after end
    record[field[1]], at = value, after
  end
  if at ~= stop then return nil, "there are bytes behind its last field" end
  if record.strings then record.text = table.concat(record.strings) end
  return true
end

--- Appends the fields of a record; raises on what one cannot be.
function M.put(out, record, class)
  for _, field in ipairs(row_of(record.type, class)) do
    local value = record[field[1]]
    if field[1] == "strings" and value == nil then value = record.text end
    local why = field[2].put(out, value)
    if why then error(("field '%s' %s"):format(field[1], why), 0) end
  end
end

return M
