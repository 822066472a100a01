-- What the tests of the ready policies have in common.

local site = {}

-- The policy under test from here on: these items of policy.use, as Lua text, behind what stands before it.
function site.use(items, before)
  test.policy(test.file("policy.lua", (before or "") .. '\nreturn require "policy.use" {' .. items .. "}\n"))
end

-- One ready policy with its configuration, as Lua text.
function site.only(name, config)
  site.use(string.format('require "policy.%s" {%s}', name, config or ""))
end

local OUTSIDE = { ip = "198.51.100.7", ptr = "mx.example.org", helo = "mx.example.org", on_error = "tempfail" }

-- A client of the internet, with these fields changed.
function site.client(fields)
  local client = {}
  for key, value in pairs(OUTSIDE) do client[key] = value end
  for key, value in pairs(fields or {}) do client[key] = value end
  return client
end

-- The reply to RCPT, and the session.
function site.rcpt(recipient, client, sender)
  local s = test.session(site.client(client))
  test.accepted(s:mail(sender or "joe@example.org"))
  return s:rcpt(recipient or "anna@example.com"), s
end

-- The reply to a message, and the session. A message of one text is its Subject.
function site.send(message, client, sender, ...)
  local s = test.session(site.client(client))
  test.accepted(s:mail(sender or "joe@example.org"))
  for _, recipient in ipairs(... and { ... } or { "anna@example.com" }) do s:rcpt(recipient) end
  if type(message) == "string" then
    message = { headers = { "From: Joe <joe@example.org>", "Subject: " .. message }, body = "Hello\r\n" }
  end
  return s:message(message), s
end

-- What the policy says when it is loaded: `use` and `only` of a wrong configuration.
function site.complaint(items)
  site.use("\n" .. items .. "\n")
  local s = test.session { on_error = "tempfail" }
  return table.concat(s:mail("joe@example.org").failed or { "nothing" }, "\n")
end

site.use "" -- Each case has its own.

return site
