-- The policy of smtpf-milter. This one takes all mail as it is; write yours in its place.
--
--   /usr/share/doc/smtpf-milter/docs/tutorial.md    from here to mail that is filtered, in ten minutes
--   /usr/share/doc/smtpf-milter/examples            policies with tests
--   man smtpf-milter-lua                            what a policy can do
--   smtpf-milter check /etc/mail/smtpf.lua          is it right?
--   smtpf-milter try /etc/mail/smtpf.lua            what becomes of a message?
--   smtpf-milter reload                             have it read again at once

function smtp.do_rcpt(recipient)
  -- if recipient == "all-staff@example.com" and not smtp.sess.auth then
  --   return 550, "5.7.1 members only"
  -- end
end
