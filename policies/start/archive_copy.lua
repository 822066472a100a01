  -- The archive gets a copy of each message.
  require "policy.archive_copy" { domains = { ["example.com"] = "archive@example.com" } },
