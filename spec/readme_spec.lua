--- Every Lua block of the README and the manual runs, each in a process of
-- its own, and prints what it says that it prints.
local helper <const> = require "support.helper"
local doc_blocks <const> = require "support.doc_blocks"

local function pages()
  local list = { "README.md" }
  local pipe <close> = assert(io.popen "ls docs/*.md")
  for name in pipe:lines() do list[#list + 1] = name end
  return list
end

local function run(block)
  if block.skip then helper.skip(block.skip) end
  local output, code = helper.script(doc_blocks.script(block))
  assert(code == 0, ("it ended with %s and printed:\n%s"):format(code, output))
  local shows, text = doc_blocks.shows(block, output)
  assert(shows, ("it did not print %q in its turn, but:\n%s"):format(text, output))
end

for _, page in ipairs(pages()) do
  describe(page, function()
    for _, block in ipairs(doc_blocks.of(page)) do
      it(("has an example that runs, in line %d"):format(block.line), function() run(block) end)
    end
  end)
end

describe("README.md", function()
  it("has a cookbook of ten recipes", function()
    local file <close> = assert(io.open "README.md")
    local cookbook = file:read "a":match "\n## Cookbook\n(.-)\n## "
    local _, recipes = cookbook:gsub("\n### ", "")
    assert.equal(10, recipes)
  end)
end)
