  -- Strangers who show the name of one of us are marked. Each person has addresses that are no stranger's.
  require "policy.impersonation" {
    domains = { "example.com" },
    people = { ["Anna Muster"] = { "anna.muster@private.example" } },
  },
