  -- A text below what our users send out.
  require "policy.disclaimer" { domains = { ["example.com"] = "Example Ltd., 1 High Street, Exampletown\n" } },
