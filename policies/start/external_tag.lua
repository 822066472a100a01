  -- Mail from outside is marked. With a text on top of it: banner = "This mail comes from outside.\n".
  require "policy.external_tag" { subject = "[EXTERNAL] " },
