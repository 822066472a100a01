  -- What the domain of the author asks for, done. Name mailing lists whose ARC seals count: sealers = { "lists.example" }.
  require "policy.dmarc" {},
