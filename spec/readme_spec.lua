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
  for _, name in ipairs(block.needs) do helper["need_" .. name]() end
  local alone = table.concat(block.needs, " "):find "namespace" and "unshare -n" or "" -- it changes the machine
  local output, code = helper.script_under(alone, doc_blocks.script(block))
  if code == 77 then helper.skip(output:match "skipped: ([^\n]*)") end
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

describe("the pages", function()
  local function read(name)
    local file <close> = assert(io.open(name))
    return file:read "a"
  end

  -- As the places that show Markdown make it of a heading.
  local function anchor(heading)
    return (heading:lower():gsub("`", ""):gsub("[^%w%s_-]", ""):gsub(" ", "-"))
  end

  local function has_anchor(text, wanted)
    for heading in ("\n" .. text):gmatch "\n#+ ([^\n]+)" do
      if anchor(heading) == wanted then return true end
    end
  end

  it("have links that lead somewhere", function()
    for _, page in ipairs(pages()) do
      local folder = page:match "^(.*/)" or ""
      for link in read(page):gmatch "%]%(([^)%s]+)%)" do
        local name, part = link:match "^([^#]*)#?(.*)$"
        if not link:find "^%a+:" then
          local target = name == "" and page or folder .. name
          assert(os.rename(target, target), page .. " links to " .. link)
          assert(part == "" or has_anchor(read(target), part), page .. " links to " .. link)
        end
      end
    end
  end)
end)

describe("README.md", function()
  it("has a cookbook of eighteen recipes", function()
    local file <close> = assert(io.open "README.md")
    local cookbook = file:read "a":match "\n## Cookbook\n(.-)\n## "
    local _, recipes = cookbook:gsub("\n### ", "")
    assert.equal(18, recipes)
  end)
end)
