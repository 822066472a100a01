-- Runs several policies in one script, in order. It is the last statement of the script:
--
--     return require "policy.use" {
--       require "policy.greylist" { delay = 300 },
--       require "policy.dmarc" {},
--       { name = "mine", rcpt = function(recipient) if recipient:find "^test@" then return 550, "5.1.1 no" end end },
--     }
--
-- Each callback of the client calls those of the policies, that of the script itself (smtp.do_rcpt) before them. The
-- first that returns a verdict ends the callback; changes of the message add up. One that fails does not keep the others
-- from being asked: if they refuse, that counts, else its error does, and so --on-error, or the policy's own on_error.

local settings = require "policy.settings"

local CALLBACKS = { "connect", "helo", "mail", "rcpt", "data", "headers", "chunk", "dot", "unknown", "rset", "close" }
local ALL = { "name", "on_error", table.unpack(CALLBACKS) }
-- What they return counts for nothing, so all of them run.
local TELLS_ONLY = { rset = true, close = true }

local known = {}
for _, name in ipairs(ALL) do known[name] = true end

local VERDICTS = {
  tempfail = { 451, "4.3.0 try again later" },
  reject = { 550, "5.3.0 the message cannot be checked" },
}

-- Whether a result is more than "go on".
local function decides(code)
  local number = tonumber(code)
  return code ~= nil and not (number and (number == 0 or number >= 200 and number < 300))
end

local function refuses(code)
  return (tonumber(code) or 0) >= 400
end

-- A function that calls those of the steps in order.
local function chain(steps, tells_only)
  local function run(...)
    local failed, problem
    for _, step in ipairs(steps) do
      local fine, code, text, more = pcall(step.run, ...)
      if not fine and VERDICTS[step.on_error] then
        syslog.warning(string.format("%s: %s (on_error = %s)", step.name, tostring(code), step.on_error))
        local verdict = VERDICTS[step.on_error]
        return verdict[1], verdict[2], nil, step.run
      elseif not fine and step.on_error then
        syslog.warning(string.format("%s: %s (on_error = continue)", step.name, tostring(code)))
      elseif not fine then
        if not failed then failed, problem = true, code end
      elseif decides(code) and not tells_only and (refuses(code) or not failed) then
        return code, text, more, step.run -- For the log: the function that has decided.
      end
    end
    if failed then error(problem, 0) end
  end
  for _, step in ipairs(steps) do
    local info = debug.getinfo(step.run, "u")
    if info.nparams > 0 or info.isvararg then return run end
  end
  return function() return run() end -- Nobody looks at the arguments: no file is made for smtp.do_dot.
end

local function check(item, i)
  local name = "policy.use: item " .. i
  if type(item) == "function" then error(name .. ' is a function: write require "policy.NAME" {} with its braces', 0) end
  if type(item) ~= "table" then error(name .. " is a " .. type(item) .. ", not a policy", 0) end
  local where = ""
  for key, value in pairs(item) do
    if type(value) == "function" then
      local info = debug.getinfo(value, "S")
      where = info.short_src .. ":" .. info.linedefined .. ": "
    end
    if not known[key] then
      error(string.format("%s%s has an unknown callback '%s'%s", where, name, tostring(key), settings.hint(key, ALL)), 0)
    end
    local is_text = key == "name" or key == "on_error"
    if type(value) ~= (is_text and "string" or "function") then
      error(string.format("%s: %s must be a %s", name, key, is_text and "string" or "function"), 0)
    end
  end
  if item.on_error and item.on_error ~= "continue" and not VERDICTS[item.on_error] then
    error(name .. ": on_error must be 'continue', 'tempfail' or 'reject', not '" .. item.on_error .. "'", 0)
  end
end

---Runs policies in order; the last statement of a script: `return require "policy.use" { ... }`
---@param policies table[] what `require "policy.NAME" {}` returns, and tables of your own with callbacks: `{ rcpt = f }`
return function(policies)
  if not debug.getinfo(1, "t").istailcall then
    error('policy.use: write `return require "policy.use" { ... }` as the last statement: a function that were defined after it would take the place of the policies', 2)
  end
  if type(policies) ~= "table" then error("policy.use: a list of policies is missing", 0) end
  local count = 0
  for i in pairs(policies) do
    if math.type(i) ~= "integer" then error(string.format("policy.use: '%s' is no item: write { %s = ... }", i, i), 0) end
    count = math.max(count, i)
  end
  for i = 1, count do check(policies[i], i) end
  for _, callback in ipairs(CALLBACKS) do
    local steps = {}
    local own = smtp["do_" .. callback] or smtp[callback]
    if own then steps[1] = { name = "smtp." .. callback, run = own } end
    for i, item in ipairs(policies) do
      if item[callback] then
        steps[#steps + 1] = { name = item.name or "item " .. i, run = item[callback], on_error = item.on_error }
      end
    end
    if #steps > 0 then
      smtp["do_" .. callback], smtp[callback] = nil, nil
      local name = TELLS_ONLY[callback] and callback or "do_" .. callback
      smtp[name] = chain(steps, TELLS_ONLY[callback])
    end
  end
end
