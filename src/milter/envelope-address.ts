/** Addresses of MAIL and RCPT: what the SMTP client wrote -> what a policy wants to compare. */

/**
 * The mailbox without angle brackets and source route, otherwise as written; `''` for the null sender, which mail that
 * did not come by SMTP writes as an empty string (Postfix non_smtpd_milters).
 *
 *     <a@b.example>  a@b.example  <@relay.example,@other.example:a@b.example>   all give a@b.example
 *
 * Source: RFC 5321, 4.1.2 (Path) and appendix C (source routes).
 */
export function mailboxOf(written: string): string {
  let path = written.trim();
  if (path.startsWith('<') && path.endsWith('>')) path = path.slice(1, -1);
  if (path.startsWith('@')) {
    const colon = path.indexOf(':');
    if (colon > 0) path = path.slice(colon + 1);
  }
  return path;
}
