  -- Who sends for the first time is asked to come again in five minutes.
  require "policy.greylist" { delay = 300 },
