-- Turns what was measured into a table for the terminal, Markdown and a chart.
-- SPDX-License-Identifier: MIT

local chart = require "chart"
local profile = require "profile"
local rows = require "rows"

local report = {}

local function median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local half = #sorted // 2
  if #sorted % 2 == 1 then return sorted[half + 1] end
  return (sorted[half] + sorted[half + 1]) / 2
end

-- The median over the rounds of what `pick` takes from each result.
local function median_of(cell, pick)
  local list = {}
  for i, result in ipairs(cell.results) do list[i] = pick(result) end
  return median(list)
end

local function cpu_of(result) return result.cpu / result.ops end
local function rate_of(result) return result.ops / result.wall end

-- Three digits and a unit; lines come to millions, the rest to thousands.
local function rate(n)
  if n >= 1e6 then return ("%.3g M/s"):format(n / 1e6) end
  return ("%.0f k/s"):format(n / 1e3)
end

local function cpu_time(seconds)
  if seconds < 1e-6 then return ("%.0f ns"):format(seconds * 1e9) end
  return ("%.2f µs"):format(seconds * 1e6)
end

local formats = {
  ratio = function(value) return (value < 10 and "%.2f" or "%.0f"):format(value) end,
  bytes = function(value) return ("%.0f B"):format(value) end,
  ms = function(value) return ("%.2f ms"):format(value) end,
  calls = function(value) return ("%.2f"):format(value) end,
  ns = function(value) return ("%.0f ns"):format(value) end,
}

local function goal_text(row)
  if not row.goal then return "" end
  local text = (row.kind == "ratio" and "≥ " or "≤ ") .. formats[row.kind](row.goal)
  if row.about then text = ("%s, about %s"):format(text, row.about) end
  if row.wish then text = ("%s, wish %.2f"):format(text, row.wish) end
  return text
end

-- Whether neap reached its goal; nil where there is none, or no result.
function report.met(row, cell)
  if not row.goal or #cell.values == 0 then return nil end
  local value = median(cell.values)
  if row.kind == "ratio" then return value >= row.goal end
  return value <= row.goal
end

-- A base of its own takes C's place.
local function cell_of(run, row, program)
  local name = program.name == "C" and row.base or program.name
  return run.results[row.id][name] or { values = {}, results = {} }
end

local function has_results(run, list, program)
  for _, row in ipairs(list) do
    local cell = cell_of(run, row, program)
    if #cell.results > 0 or cell.failure then return true end
  end
  return false
end

-- The tables: { title =, rows =, columns = }, without programs that have
-- nothing to do with any of the rows.
local function tables(run)
  local list = {}
  for _, group in ipairs(rows.groups) do
    local part = { title = group.title, rows = {}, columns = {} }
    for _, row in ipairs(run.rows) do
      if row.group == group.name then part.rows[#part.rows + 1] = row end
    end
    for _, program in ipairs(run.programs) do
      if program.name == "C" or not program.base and has_results(run, part.rows, program) then
        part.columns[#part.columns + 1] = program
      end
    end
    if #part.rows > 0 then list[#list + 1] = part end
  end
  return list
end

local function mark(row, program, cell)
  local met
  if program.name == "neap" then met = report.met(row, cell) end
  return met == nil and "" or met and " ✓" or " ✗"
end

local function summary_cell(row, program, cell)
  if cell.failure and #cell.values == 0 then return "failed" end
  if row.kind == "ratio" and program.name == "C" then
    if #cell.results == 0 then return "–" end
    if row.by == "rate" then return rate(median_of(cell, rate_of)) end
    local cost = cpu_time(median_of(cell, cpu_of))
    return row.base and row.base .. ": " .. cost or cost
  end
  if #cell.values == 0 then return "–" end
  return formats[row.kind](median(cell.values)) .. mark(row, program, cell)
end

-- One line a row: C's cost, the ratios of the others, neap against its goal.
local function summary(run, part)
  local head = { "row" }
  for i, program in ipairs(part.columns) do head[i + 1] = program.name end
  head[#head + 1] = "goal for neap"
  local lines = { head }
  for _, row in ipairs(part.rows) do
    local line = { row.title }
    for i, program in ipairs(part.columns) do
      line[i + 1] = summary_cell(row, program, cell_of(run, row, program))
    end
    line[#line + 1] = goal_text(row)
    lines[#lines + 1] = line
  end
  return lines
end

-- Lowest and highest ratio of neap.
local function range(cell)
  if not cell or #cell.values == 0 then return "–" end
  local low, high = math.huge, 0
  for _, value in ipairs(cell.values) do
    low, high = math.min(low, value), math.max(high, value)
  end
  return ("%.2f–%.2f"):format(low, high)
end

-- CPU time and wall rate of the ratio rows.
local function details(run, part)
  local head = { "CPU time for one; wall rate" }
  for i, program in ipairs(part.columns) do head[i + 1] = program.name end
  head[#head + 1] = "neap, all rounds"
  local lines = { head }
  for _, row in ipairs(part.rows) do
    if row.kind == "ratio" then
      local line, results = { row.title }, run.results[row.id]
      for i, program in ipairs(part.columns) do
        local cell = cell_of(run, row, program)
        line[i + 1] = #cell.results == 0 and "–" or ("%s; %s"):format(
          cpu_time(median_of(cell, cpu_of)), rate(median_of(cell, rate_of)))
      end
      line[#line + 1] = range(results.neap)
      lines[#lines + 1] = line
    end
  end
  return #lines > 1 and lines or nil
end

-- Where the CPU time for one operation goes in the rows that missed.
local function profiles(run)
  if not run.profiles or #run.profiles == 0 then return nil end
  local lines = { { "CPU time by part", "", table.unpack(profile.parts) } }
  for _, found in ipairs(run.profiles) do
    for _, side in ipairs(found) do
      local line = { found.row.title, side.name }
      for _, part in ipairs(profile.parts) do
        line[#line + 1] = cpu_time((side.shares[part] or 0) * side.cpu)
      end
      lines[#lines + 1] = line
    end
  end
  return lines
end

-- The functions of neap, Lua and libc that took most in each such row.
local function hot_functions(run)
  local list = {}
  for _, found in ipairs(run.profiles or {}) do
    for _, side in ipairs(found) do
      local names = {}
      for i, item in ipairs(side.functions) do
        names[i] = ("%s %.1f %%"):format(item[1], item[2] * 100)
      end
      if side.name == "neap" then
        list[#list + 1] = ("%s: %s"):format(found.row.title, table.concat(names, ", "))
      end
    end
  end
  return list
end

-- What failed, what was skipped, and where a program had an easier task.
local function notes(run)
  local list = {}
  for _, skip in ipairs(run.skipped) do
    list[#list + 1] = ("skipped %s: %s"):format(skip[1], skip[2])
  end
  for _, row in ipairs(run.rows) do
    for _, program in ipairs(run.programs) do
      local cell = run.results[row.id][program.name]
      if cell.failure then
        list[#list + 1] = ("failed %s, %s: %s"):format(program.name, row.title, cell.failure)
      elseif row.kind == "bytes" and #cell.results > 0 then
        local n = cell.results[1].ops
        if n ~= row.load[3] then
          list[#list + 1] = ("%s held %d idle connections, not %d"):format(program.name, n, row.load[3])
        end
      end
    end
  end
  return list
end

local function pad(text, width)
  return text .. (" "):rep(width - utf8.len(text))
end

local function print_table(lines)
  local widths = {}
  for _, line in ipairs(lines) do
    for i, cell in ipairs(line) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell))
    end
  end
  for _, line in ipairs(lines) do
    local padded = {}
    for i, cell in ipairs(line) do padded[i] = pad(cell, widths[i]) end
    print((table.concat(padded, "  "):gsub("%s+$", "")))
  end
  print()
end

function report.print(run)
  local parts_of = tables(run)
  for _, part in ipairs(parts_of) do print_table(summary(run, part)) end
  for _, part in ipairs(parts_of) do
    local more = details(run, part)
    if more then print_table(more) end
  end
  local parts = profiles(run)
  if parts then print_table(parts) end
  for _, line in ipairs(hot_functions(run)) do print(line) end
  for _, note in ipairs(notes(run)) do print(note) end
  for _, fact in ipairs(run.machine) do print(("%s: %s"):format(fact[1], fact[2])) end
end

local function markdown_table(lines)
  local text = {}
  for i, line in ipairs(lines) do
    text[#text + 1] = "| " .. table.concat(line, " | ") .. " |"
    if i == 1 then
      text[#text + 1] = "| --- " .. ("| ---: "):rep(#line - 1) .. "|"
    end
  end
  return table.concat(text, "\n") .. "\n"
end

-- The summaries, or the details, each below its title.
local function sections(run, make, heading)
  local text = {}
  for _, part in ipairs(tables(run)) do
    local lines = make(run, part)
    if lines then text[#text + 1] = heading:format(part.title) .. "\n\n" .. markdown_table(lines) end
  end
  return table.concat(text, "\n")
end

local function bullets(list)
  return #list == 0 and "" or "- " .. table.concat(list, "\n- ") .. "\n\n"
end

local function markdown(run)
  local facts = {}
  for i, fact in ipairs(run.machine) do facts[i] = ("%s: %s"):format(fact[1], fact[2]) end
  local parts = profiles(run)
  return table.concat {
    "# Benchmark\n\n",
    "Written by `make bench`; how it measures is in [README.md](README.md).\n\n",
    "![CPU time beside C](results.svg)\n\n",
    "The column C says what one operation costs the C program in CPU time, user and ",
    "system, or another program, where it is named. In the same rows the others are ratios: ",
    "its CPU time over theirs, so 1 is level with it and more is better; where C has a rate, ",
    "it is their rate over that. In the rest less is better. ",
    ("Median of rounds: %d, of %g s each, the programs taking turns.\n\n")
      :format(run.options.rounds, run.options.seconds),
    sections(run, summary, "## %s"), "\n", sections(run, details, "## %s: CPU time and rate"), "\n",
    bullets(notes(run)),
    parts and "## Where the time goes in the rows that missed\n\n" .. markdown_table(parts) .. "\n" or "",
    bullets(hot_functions(run)), "## The machine\n\n", bullets(facts):gsub("\n\n$", "\n"),
  }
end

-- The ratios to C for the chart: { title =, goal =, { name, ratio }... }.
local function bars(run)
  local groups = {}
  for _, row in ipairs(run.rows) do
    if row.kind == "ratio" and not row.base then
      local group = { title = row.title, goal = row.goal }
      for _, program in ipairs(run.programs) do
        local cell = run.results[row.id][program.name]
        if program.name ~= "C" and #cell.values > 0 then
          group[#group + 1] = { program.name, median(cell.values) }
        end
      end
      if #group > 0 then groups[#groups + 1] = group end
    end
  end
  return groups
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  assert(file:close())
end

function report.save(run, directory)
  write(directory .. "/results.md", markdown(run))
  write(directory .. "/results.svg", chart.draw(bars(run)))
end

-- Puts the summary where the project's README has room for it.
function report.update(run, readme)
  local file = assert(io.open(readme))
  local text = file:read "a"
  file:close()
  local before, after = text:match "^(.*<!%-%- bench %-%->\n).-(<!%-%- /bench %-%->.*)$"
  if not before then return end
  write(readme, table.concat {
    before, "![CPU time beside C](bench/results.svg)\n\n",
    "The column C says what one operation costs a C program, in CPU time, or another program,\n",
    "where it is named. In the same rows the others are ratios: its CPU time over theirs, so 1\n",
    "is level with it; where C has a rate, it is their rate over that. In the rest less is\n",
    "better. ✗ marks a goal that is missed; [bench/results.md](bench/results.md) says where\n",
    "the time goes there, and on what machine this was measured.\n\n",
    sections(run, summary, "### %s"), after,
  })
end

return report
