-- A sender must have a mail exchanger or an address.
function smtp.do_mail(sender)
  if sender == "" then return end
  local domain = sender:match("@(.+)$")
  if not domain then return 553, "5.1.7 no domain in " .. sender end

  local mx, err = dns.mx(domain)
  if not mx then return 451, "4.4.3 " .. domain .. ": " .. err end
  if #mx == 1 and mx[1].host == "." then return 550, "5.1.10 " .. domain .. " takes no mail" end
  if #mx > 0 then return end

  local a = must(dns.a(domain))
  if #a == 0 and #must(dns.aaaa(domain)) == 0 then
    return 550, "5.1.8 " .. domain .. " has neither a mail exchanger nor an address"
  end
end
