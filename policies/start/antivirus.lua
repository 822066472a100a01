  -- ClamAV, at the address of --clamd. While it does not answer, --on-error decides.
  require "policy.antivirus" {},
