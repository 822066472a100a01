/**
 * Envelope addresses that a script gives.
 *
 * The MTAs do not look at what a filter says: Sendmail parses a list at every comma, Postfix makes some address of
 * anything. So one address is all that passes here; what envelope-address.ts makes of a client's path always does. Text
 * is latin1.
 *
 * Source: RFC 5321, 4.1.2, with bytes above 0x7F as in RFC 6531 and local addresses without a domain.
 */
import type { Complaint } from './header-syntax.ts';

/** With controls, which Postfix takes, but no line ends. */
const QUOTED = String.raw`"(?:[^"\\\0\r\n]|\\[^\0\r\n])*"`;
/** No blanks and controls, and nothing that separates, groups or comments: "(),:;<>@[\] */
const ATOMS = String.raw`[!#-'*+\--9=?A-Z^-~\x80-\xff]+`;
/** RFC 5321 General-address-literal has all of these as well, but Sendmail takes `a@[x,root]` for two addresses. */
const LITERAL = String.raw`\[[!#-'*+\--;=?A-Z^-~\x80-\xff]+\]`;
const ADDRESS = new RegExp(`^(?:${QUOTED}|${ATOMS})(?:@(?:${LITERAL}|${ATOMS}))?$`);
/** Beyond what the command line of an SMTP client can hold, each byte escaped. */
export const MAX_ADDRESS_BYTES = 10_000;

/** `<address>` as both MTAs want it, from an address with or without angle brackets; `<>` is for the null sender. */
export function pathOf(text: string): { readonly path: string } | Complaint {
  const address = text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text;
  if (address === '') return { path: '<>' };
  if (address.length > MAX_ADDRESS_BYTES)
    return { complaint: `address of more than ${MAX_ADDRESS_BYTES} bytes` };
  if (!ADDRESS.test(address)) return { complaint: 'not one mail address' };
  return { path: `<${address}>` };
}
