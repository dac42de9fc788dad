--- Dates as HTTP writes them (RFC 9110, 5.6.7): seconds since 1970 and back.
-- The clock is the caller's.
local M = {}

local DAYS <const> = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" } -- 1970 began with a Thursday
local MONTHS <const> = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
local LENGTH <const> = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
local LAST <const> = 253402300799 -- the end of the year 9999
local DAY <const> = 86400

local month_of <const>, is_day <const> = {}, {}
for i, name in ipairs(MONTHS) do month_of[name] = i end
for _, name in ipairs(DAYS) do is_day[name] = true end

local LONG <const> = {
  Monday = true, Tuesday = true, Wednesday = true, Thursday = true, Friday = true, Saturday = true, Sunday = true,
}

local function is_leap(year) return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) end

-- Days from 1970 to the first of January.
local function days_to(year)
  local y = year - 1
  return 365 * (year - 1970) + y // 4 - y // 100 + y // 400 - 477
end

--- Seconds since 1970, or nil when there is no such day or time. Integers all.
function M.seconds(year, month, day, hour, minute, second)
  if month < 1 or month > 12 or hour > 23 or minute > 59 or second > 60 then return nil end
  local length = month == 2 and is_leap(year) and 29 or LENGTH[month]
  if day < 1 or day > length then return nil end
  local days = days_to(year) + day - 1
  for i = 1, month - 1 do days = days + LENGTH[i] end
  if month > 2 and is_leap(year) then days = days + 1 end
  return days * DAY + hour * 3600 + minute * 60 + second
end

local function year_of(seconds)
  local year = 1970 + seconds // (365 * DAY)
  while days_to(year) * DAY > seconds do year = year - 1 end
  return year
end

--- The text: Sun, 06 Nov 1994 08:49:37 GMT. What is outside of 1970 to 9999 is
-- taken for the nearest that is within.
function M.format(seconds)
  seconds = math.max(0, math.min(LAST, seconds // 1))
  seconds = math.tointeger(seconds) or 0
  local year = year_of(seconds)
  local days = seconds // DAY
  local day, month = days - days_to(year), 1
  while true do
    local length = month == 2 and is_leap(year) and 29 or LENGTH[month]
    if day < length then break end
    day, month = day - length, month + 1
  end
  local left = seconds % DAY
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(DAYS[days % 7 + 1], day + 1, MONTHS[month], year,
    left // 3600, left // 60 % 60, left % 60)
end

-- A year of two digits is in the century that puts it at most 50 years ahead.
local function full_year(two, now)
  local this = year_of(math.max(0, now))
  local year = this - this % 100 + two
  if year > this + 50 then year = year - 100 end
  return year
end

local PATTERNS <const> = {
  { "^(%a%a%a), (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$", is_day },
  { "^(%a+), (%d%d)%-(%a%a%a)%-(%d%d) (%d%d):(%d%d):(%d%d) GMT$", LONG },
}

local function joined(now, day, month, year, hour, minute, second)
  local m = month_of[month]
  if not m then return nil end
  local number = tonumber(year)
  if #year == 2 then number = full_year(number, now) end
  return M.seconds(number, m, tonumber(day), tonumber(hour), tonumber(minute), tonumber(second))
end

--- Seconds since 1970 of any of the three forms that a recipient must know,
-- or nil. `now` (seconds) is needed for years of two digits; os.time() unless
-- given. Whether the name of the day is the right one is not asked.
function M.parse(text, now)
  for _, form in ipairs(PATTERNS) do
    local name, day, month, year, hour, minute, second = text:match(form[1])
    if name and form[2][name] then
      return joined(now or os.time(), day, month, year, hour, minute, second)
    end
  end
  local name, month, day, hour, minute, second, year =
    text:match "^(%a%a%a) (%a%a%a) ([%d ]%d) (%d%d):(%d%d):(%d%d) (%d%d%d%d)$"
  if name and is_day[name] then return joined(0, day, month, year, hour, minute, second) end
end

M.MONTHS = MONTHS

return M
