  -- One login sends to so many recipients in an hour, and in a day.
  require "policy.ratelimit" { per_login = { "200/h", "1000/d" } },
