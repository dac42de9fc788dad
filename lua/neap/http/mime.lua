--- The media types of files, by what their names end in.
local M = {}

local TYPES <const> = {
  html = "text/html; charset=utf-8", htm = "text/html; charset=utf-8", css = "text/css; charset=utf-8",
  js = "text/javascript; charset=utf-8", mjs = "text/javascript; charset=utf-8", txt = "text/plain; charset=utf-8",
  md = "text/markdown; charset=utf-8", csv = "text/csv; charset=utf-8", log = "text/plain; charset=utf-8",
  tsv = "text/tab-separated-values; charset=utf-8", lua = "text/plain; charset=utf-8", c = "text/plain; charset=utf-8",
  h = "text/plain; charset=utf-8", ics = "text/calendar; charset=utf-8", vcf = "text/vcard; charset=utf-8",
  vtt = "text/vtt; charset=utf-8", xml = "application/xml", xhtml = "application/xhtml+xml",
  atom = "application/atom+xml", rss = "application/rss+xml", json = "application/json", map = "application/json",
  jsonld = "application/ld+json", webmanifest = "application/manifest+json", wasm = "application/wasm",
  pdf = "application/pdf", rtf = "application/rtf", epub = "application/epub+zip",
  zip = "application/zip", gz = "application/gzip", tgz = "application/gzip", bz2 = "application/x-bzip2",
  xz = "application/x-xz", zst = "application/zstd", ["7z"] = "application/x-7z-compressed",
  tar = "application/x-tar", jar = "application/java-archive", sh = "application/x-sh",
  sqlite = "application/vnd.sqlite3", doc = "application/msword", xls = "application/vnd.ms-excel",
  ppt = "application/vnd.ms-powerpoint",
  docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  pptx = "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  odt = "application/vnd.oasis.opendocument.text", ods = "application/vnd.oasis.opendocument.spreadsheet",
  odp = "application/vnd.oasis.opendocument.presentation",
  png = "image/png", jpg = "image/jpeg", jpeg = "image/jpeg", gif = "image/gif", webp = "image/webp",
  avif = "image/avif", svg = "image/svg+xml", ico = "image/vnd.microsoft.icon", bmp = "image/bmp",
  tif = "image/tiff", tiff = "image/tiff", apng = "image/apng", jxl = "image/jxl",
  mp3 = "audio/mpeg", m4a = "audio/mp4", aac = "audio/aac", oga = "audio/ogg", ogg = "audio/ogg",
  opus = "audio/ogg", flac = "audio/flac", wav = "audio/wav", weba = "audio/webm", mid = "audio/midi",
  mp4 = "video/mp4", m4v = "video/mp4", webm = "video/webm", ogv = "video/ogg", mov = "video/quicktime",
  avi = "video/x-msvideo", mpeg = "video/mpeg", mpg = "video/mpeg", ts = "video/mp2t", mkv = "video/x-matroska",
  m3u8 = "application/vnd.apple.mpegurl", mpd = "application/dash+xml",
  woff = "font/woff", woff2 = "font/woff2", ttf = "font/ttf", otf = "font/otf", eot = "application/vnd.ms-fontobject",
  bin = "application/octet-stream", pem = "application/x-pem-file", crt = "application/x-x509-ca-cert",
}

-- What a browser may take for text is text to a compressor, too.
local PRESSED <const> = {
  ["application/json"] = true, ["application/xml"] = true, ["application/javascript"] = true,
  ["application/wasm"] = true, ["application/rtf"] = true, ["image/bmp"] = true,
  ["image/vnd.microsoft.icon"] = true, ["font/ttf"] = true, ["font/otf"] = true,
  ["application/vnd.apple.mpegurl"] = true, ["application/vnd.ms-fontobject"] = true,
}

--- The type of a path or a name, or application/octet-stream.
function M.type(path)
  local ending = path:match "%.([^./]+)$"
  return ending and TYPES[ending:lower()] or "application/octet-stream"
end

--- Does what is of this type get smaller by a content coding?
function M.compresses(kind)
  local name = kind:match "^[^; \t]*":lower()
  return PRESSED[name] or name:find "^text/" ~= nil or name:find "%+json$" ~= nil or name:find "%+xml$" ~= nil
end

return M
