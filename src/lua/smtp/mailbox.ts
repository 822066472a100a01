/**
 * Envelope addresses that a script gives, and whether two are the same.
 *
 * The MTAs do not look at what a filter says: Sendmail parses a list at every comma, Postfix makes some address of
 * anything. So one address is all that passes here. Text is latin1.
 *
 * Source: RFC 5321, 4.1.2, with bytes above 0x7F as in RFC 6531 and local addresses without a domain.
 */
import type { Complaint } from './header-syntax.ts';

const QUOTED = String.raw`"(?:[ !#-\[\]-~\x80-\xff]|\\[ -~])*"`;
/** No blanks and controls, and nothing that separates, groups or comments: "(),:;<>@[\] */
const ATOMS = String.raw`[!#-'*+\--9=?A-Z^-~\x80-\xff]+`;
const LITERAL = String.raw`\[[!-Z^-~]+\]`;
const ADDRESS = new RegExp(`^(?:${QUOTED}|${ATOMS})(?:@(?:${LITERAL}|${ATOMS}))?$`);
const MAX_ADDRESS_BYTES = 1000;
const MAX_PARAMS_BYTES = 4000;

/** `<address>` as both MTAs want it, from an address with or without angle brackets; `<>` is for the null sender. */
export function pathOf(text: string): { readonly path: string } | Complaint {
  const address = text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text;
  if (address === '') return { path: '<>' };
  if (address.length > MAX_ADDRESS_BYTES)
    return { complaint: `address of more than ${MAX_ADDRESS_BYTES} bytes` };
  if (!ADDRESS.test(address)) return { complaint: 'not one mail address' };
  return { path: `<${address}>` };
}

/** ESMTP parameters as one string, from one string or several; undefined when there are none. */
export function joinParams(params: readonly string[]): { readonly params: string | undefined } | Complaint {
  const joined = params.join(' ').trim();
  if (!/^[ -~\x80-\xff]*$/.test(joined)) return { complaint: 'control character in ESMTP parameters' };
  if (joined.length > MAX_PARAMS_BYTES) {
    return { complaint: `ESMTP parameters of more than ${MAX_PARAMS_BYTES} bytes` };
  }
  return { params: joined === '' ? undefined : joined };
}

/**
 * What two ways to write one address have in common. `address` is without brackets and source route.
 *
 * The local part counts with its case and without its quotes, the domain without case: Postfix and Sendmail compare so
 * or more strictly, and are given the client's own spelling.
 */
export function addressKey(address: string): string {
  const at = address.lastIndexOf('@');
  const local = at < 0 ? address : address.slice(0, at);
  const domain = at < 0 ? '' : address.slice(at).toLowerCase();
  const isQuoted = local.length > 1 && local.startsWith('"') && local.endsWith('"');
  return (isQuoted ? local.slice(1, -1).replace(/\\(.)/gs, '$1') : local) + domain;
}
