-- A module of the script's own, here in the same file.
package.preload["lists"] = function()
  local M = { size = 0 }
  local entries = {}
  function M.add(entry)
    entries[entry:lower()] = true
    M.size = M.size + 1
  end
  function M.has(entry)
    return entry ~= nil and entries[entry:lower()] == true
  end
  function M.find(pattern)
    for entry in pairs(entries) do
      if entry:find(pattern) then return entry end
    end
  end
  return M
end

local lists = require "lists"
lists.add("Spammer@Example.net")
lists.add("all@example.com")

function smtp.do_mail(sender)
  if lists.has(sender) then return 550, "5.7.1 no" end
  if lists.has(smtp.sess.helo) then return 550, "5.7.1 no" end
end

function smtp.do_rcpt(rcpt)
  local entry = lists.find("^" .. rcpt:lower():gsub("%W", "%%%0") .. "$")
  if entry then return 550, "5.7.1 " .. entry .. " is closed" end
end
