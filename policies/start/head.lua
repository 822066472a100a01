-- The policy of this mail server.
--
--     smtpf-milter check smtpf.lua    finds mistakes
--     smtpf-milter test               runs the tests beside it
--     smtpf-milter try smtpf.lua      shows what becomes of a message
--
-- The policies run in this order, and the first that refuses decides. Each has more keys than stand here, and rules of
-- your own may stand among them (docs/ready-policies.md):
--
--     { rcpt = function(recipient) if recipient == "spamtrap@example.com" then return 550, "5.1.1 no" end end },

return require "policy.use" {
