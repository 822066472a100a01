  -- No programs, in archives neither. Archives with a password, whose files nobody can look into: encrypted = "refuse".
  require "policy.attachments" {},
