-- [EXTERNAL], once.
local TAG = "[EXTERNAL]"

local function is_external()
  local from = header.addr("From")
  for _, box in ipairs(from) do
    if box.domain == "example.com" or box.domain:sub(-12) == ".example.com" then return false end
  end
  return smtp.sess.auth == nil
end

function smtp.do_dot()
  if not is_external() then return end
  local subject = header.get("Subject") or ""
  if subject:sub(1, #TAG) == TAG then return end
  local bare = subject:gsub("^%s*[Rr][Ee]:%s*", "")
  header.set("Subject", TAG .. " " .. bare)
  header.delete("X-Internal")
  header.modify("X-Tagged", 1, os.date("!%Y-%m-%dT%H:%M:%SZ"))
end
