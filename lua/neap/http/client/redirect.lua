-- SPDX-License-Identifier: MIT
--- Where a redirect leads, and what of a request goes there, as the Fetch
-- standard has it.
local target_of <const> = require "neap.http.client.target"

local M = {}

local REDIRECTS <const> = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- What is meant for one origin alone.
local OF_ORIGIN <const> = { authorization = true, cookie = true, ["proxy-authorization"] = true, host = true }
-- What there is to say of a body that is not sent.
local OF_BODY <const> = {
  ["content-type"] = true, ["content-encoding"] = true, ["content-language"] = true, ["content-location"] = true,
  ["content-disposition"] = true, digest = true, ["content-digest"] = true, ["repr-digest"] = true,
}

--- Is a response one that leads elsewhere?
function M.leads(response)
  return REDIRECTS[response.status] and response.headers:get "location" ~= nil
end

--- The method of the next request, and whether the body goes along.
function M.method(status, method)
  if status == 303 and method ~= "GET" and method ~= "HEAD" then return "GET", false end
  if (status == 301 or status == 302) and method == "POST" then return "GET", false end
  return method, true
end

--- Of a list of { name, value } those that the next request has, too.
function M.kept(fields, other_origin, without_body)
  local list = {}
  for _, pair in ipairs(fields) do
    local name = pair[1]:lower()
    if not (other_origin and OF_ORIGIN[name] or without_body and OF_BODY[name]) then list[#list + 1] = pair end
  end
  return list
end

--- The target that a response to a request for `from` leads to; or nil,
-- message, code.
function M.target(from, response, allow_downgrade)
  local locations = response.headers:getall "location"
  if #locations > 1 then return nil, "redirected to several places", "EBADMSG" end
  local to, why, code = target_of.reference(from, locations[1])
  if not to then return nil, "redirected to what cannot be: " .. why, code == "EINVAL" and "EBADMSG" or code end
  if from.secure and not to.secure and not allow_downgrade then
    return nil, ("redirected from https to %s (option 'allow_downgrade')"):format(to.origin), "EPERM"
  end
  return to
end

return M
