-- A table that answers for whole domains.
local function domains(set)
  return setmetatable(set, {
    __index = function(self, name)
      local parent = name:match("^[^.]+%.(.+)$")
      return parent and self[parent]
    end,
    __call = function(self, name) return self[name:lower()] ~= nil end,
  })
end

local blocked = domains { ["spam.example"] = "spammers", ["bad.test"] = "bad people" }

function smtp.do_helo(name)
  if blocked(name) then return 550, "5.7.1 " .. blocked[name:lower()] end
end

function smtp.do_mail(sender)
  local domain = sender:match("@([^@]*)$")
  if domain and blocked[domain:lower()] then return 550, "5.7.1 " .. blocked[domain:lower()] end
end
