-- Classes, one inheriting from the other.
local Rule = {}
Rule.__index = Rule

function Rule.new(class, name, weight)
  return setmetatable({ name = name, weight = weight or 1 }, class)
end

function Rule:matches() return false end

function Rule:score(message)
  return self:matches(message) and self.weight or 0
end

local SubjectRule = setmetatable({}, { __index = Rule })
SubjectRule.__index = SubjectRule

function SubjectRule.new(name, word, weight)
  local rule = Rule.new(SubjectRule, name, weight)
  rule.word = word:lower()
  return rule
end

function SubjectRule:matches(message)
  local subject = message.subject
  return subject ~= nil and subject:lower():find(self.word, 1, true) ~= nil
end

local rules = { SubjectRule.new("money", "Free Money", 2), SubjectRule.new("urgent", "URGENT") }

function smtp.do_headers()
  local message = { subject = header.get("Subject") }
  local total, names = 0, {}
  for _, rule in ipairs(rules) do
    local score = rule:score(message)
    if score > 0 then
      total = total + score
      names[#names + 1] = rule.name
    end
  end
  if total > 2 then return 550, "5.7.1 spam: " .. table.concat(names, ", ") end
  if total > 0 then header.set("X-Spam-Score", string.format("%.1f", total)) end
end
