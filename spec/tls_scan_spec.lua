--- What scanners find in a server that was told nothing but its certificates:
-- testssl and sslscan.
local certs <const> = require "support.certs"
local helper <const> = require "support.helper"
local lab <const> = require "support.tls_lab"
local neap <const> = require "neap"

local SECONDS <const> = 120 * helper.slow

-- What the program prints that is called with a port of such a server.
local function scan(words)
  local ec <const>, rsa <const> = certs.get "scanned", certs.get "scanned rsa"
  local options <const> = { cert = { ec.chain, rsa.chain }, key = { ec.key, rsa.key } }
  return lab.serving(options, nil, function(_, _, port)
    local process <close> = lab.start(words(port), { seconds = SECONDS })
    return assert(process.output:settimeout(SECONDS):read "a")
  end)
end

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

describe("a server with default options", function()
  -- The scanner's own shortcomings, and what a test's name cannot have.
  local BESIDE <const> = { engine_problem = true, ["DNS_CAArecord"] = true }
  local FINE <const> = { OK = true, INFO = true, DEBUG = true }

  it("gives testssl nothing to find fault with", function()
    certs.need()
    helper.need_program("testssl", "timeout")
    helper.need(helper.slow == 1, "a scan takes half a minute, and finds the same in every build")
    local report <const> = helper.tmpname ".json"
    neap.run(function() -- longer than other tests may take
      local out <const> = scan(function(port)
        return { "testssl", "--warnings", "batch", "--color", "0", "--quiet", "--ip", "127.0.0.1",
          "--add-ca", certs.ca(), "-p", "-S", "--fs", "--jsonfile", report, "good.example:" .. port }
      end)
      assert.is_truthy(out:find("Done", 1, true), out)
    end)
    local findings, faults = {}, {}
    for entry in read_file(report):gmatch "{(.-)}" do
      local id <const>, severity <const>, finding <const> = entry:match '"id"%s*:%s*"(.-)"',
        entry:match '"severity"%s*:%s*"(.-)"', entry:match '"finding"%s*:%s*"(.-)"'
      findings[id:match "^%S+"] = finding
      local undone <const> = severity == "WARN" and finding:find "^check failed" -- a busy machine; it found nothing
      if not FINE[severity] and not BESIDE[id:match "^%S+"] and not undone then
        faults[#faults + 1] = ("%s: %s: %s"):format(severity, id, finding)
      end
    end
    assert.same({}, faults)
    assert.matches("^offered", findings.TLS1_2)
    assert.matches("^offered", findings.TLS1_3)
    for _, old in ipairs { "SSLv2", "SSLv3", "TLS1", "TLS1_1" } do assert.matches("^not offered", findings[old]) end
    assert.matches("passed", findings.cert_chain_of_trust)
  end)

  it("gives sslscan ciphers with forward secrecy and authenticated encryption alone", function()
    certs.need()
    helper.need_program("sslscan", "timeout")
    helper.in_task(function()
      local out <const> = scan(function(port)
        return { "sslscan", "--no-colour", "--sni-name=good.example", "127.0.0.1:" .. port }
      end)
      local ciphers <const>, kinds <const> = {}, {}
      for line in out:gmatch "[^\n]+" do
        local version, name = line:match "^%a+ed +(TLSv%S+) +%d+ bits +(%S+)"
        if name then
          ciphers[#ciphers + 1] = name
          if version == "TLSv1.2" and not (name:find "^E?C?DHE%-" and name:find "GCM" or name:find "POLY1305$") then
            error(line)
          end
          kinds[name:match "^ECDHE%-(%a+)%-" or version] = true
        end
      end
      assert.is_true(#ciphers >= 9)
      assert.is_true(kinds.RSA and kinds.ECDSA and kinds["TLSv1.3"])
      for _, old in ipairs { "SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1" } do assert.matches(old .. " +disabled", out) end
      assert.matches("renegotiation not supported", out)
      assert.not_matches("[^%a]vulnerable to heartbleed", (out:gsub("not vulnerable", "")))
    end)
  end)
end)
