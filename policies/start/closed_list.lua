  -- Strangers do not write to everybody. Others than who is inside may be named: { "press@partner.example" }.
  require "policy.closed_list" {
    domains = { "example.com" },
    lists = { ["all@example.com"] = true },
  },
