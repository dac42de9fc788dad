-- Draws groups of horizontal bars beside the line of C, as SVG.
-- SPDX-License-Identifier: MIT

local chart = {}

local LABELS, WIDTH, RIGHT = 300, 440, 70 -- labels, C's length, beyond it
local BAR, STEP, GAP, TOP = 9, 12, 12, 60

local colours = {
  neap = "#2f81f7", luv = "#a371f7", cqueues = "#3fb950",
  copas = "#d29922", luasocket = "#f778ba", Node = "#8b949e", nginx = "#1b7c83",
  ["nginx-lua"] = "#39c5cf", ["lua-http"] = "#bc4c00", Go = "#6e5494",
}

-- Grey that reads on white and on black, and better where the theme is known.
local STYLE = [[
<style>
  text { font: 12px -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #6e7781 }
  .small { font-size: 10px }
  .strong { font-weight: 600 }
  .line { stroke: #848d97; stroke-width: 1 }
  .goal { stroke: #cf222e; stroke-width: 2 }
  @media (prefers-color-scheme: dark) { text { fill: #9198a1 } .goal { stroke: #f85149 } }
</style>
]]

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function text_at(x, y, text, attributes)
  return ('<text x="%.0f" y="%.0f"%s>%s</text>\n')
    :format(x, y, attributes and " " .. attributes or "", escape(text))
end

local function line(class, x, from, to)
  return ('<line class="%s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>\n')
    :format(class, x, x, from, to)
end

-- The names in use, in the order of their first bar, each with its colour, on
-- as many lines as there is room for.
local function legend(groups)
  local parts, seen, x, y = {}, {}, LABELS, 18
  for _, group in ipairs(groups) do
    for _, bar in ipairs(group) do
      local name = bar[1]
      if not seen[name] then
        seen[name] = true
        if x + 14 + 7 * #name > LABELS + WIDTH + RIGHT then x, y = LABELS, y + 16 end
        parts[#parts + 1] = ('<rect x="%.0f" y="%.0f" width="10" height="10" fill="%s"/>\n')
          :format(x, y - 9, colours[name])
        parts[#parts + 1] = text_at(x + 14, y, name)
        x = x + 24 + 7 * #name
      end
    end
  end
  parts[#parts + 1] = line("goal", x + 2, y - 9, y + 1) .. text_at(x + 8, y, "goal for neap")
  return table.concat(parts)
end

-- What does not fit ends at the edge; the number beside it says how much.
local function extent(ratio) return math.min(ratio * WIDTH, WIDTH + RIGHT - 28) end

local function draw_bar(y, name, ratio)
  local length = extent(ratio)
  return ('<rect x="%d" y="%.0f" width="%.1f" height="%d" fill="%s"/>\n')
    :format(LABELS, y, length, BAR, colours[name])
    .. text_at(LABELS + WIDTH + RIGHT - 2, y + BAR - 1, ("%.2f"):format(ratio),
      'text-anchor="end" class="small' .. (name == "neap" and ' strong"' or '"'))
end

local function draw_group(y, group)
  local parts = {}
  parts[1] = text_at(LABELS - 8, y + #group * STEP / 2 + 3, group.title, 'text-anchor="end"')
  for i, bar in ipairs(group) do
    local top = y + (i - 1) * STEP
    parts[#parts + 1] = draw_bar(top, bar[1], bar[2])
    if bar[1] == "neap" and group.goal then
      parts[#parts + 1] = line("goal", LABELS + extent(group.goal), top - 2, top + BAR + 2)
    end
  end
  return table.concat(parts)
end

-- groups: { { title =, goal =, { name, ratio }, ... }, ... }
function chart.draw(groups)
  local parts, y = {}, TOP
  for _, group in ipairs(groups) do
    parts[#parts + 1] = draw_group(y, group)
    y = y + #group * STEP + GAP
  end
  local width = LABELS + WIDTH + RIGHT
  return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">\n')
      :format(width, y, width, y)
    .. "<title>CPU time of the C program over that of each program; longer is better</title>\n"
    .. STYLE .. legend(groups)
    .. text_at(LABELS + WIDTH, TOP - 9, "C = 1", 'text-anchor="middle" class="small"')
    .. line("line", LABELS, TOP - 4, y - GAP + 4)
    .. line("line", LABELS + WIDTH, TOP - 4, y - GAP + 4)
    .. table.concat(parts) .. "</svg>\n"
end

return chart
