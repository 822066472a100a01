/**
 * Names as questions: which ones can be asked for, and the names that stand for addresses.
 *
 * Sources: RFC 1035 sections 2.3.4 and 3.5, RFC 3596 section 2.5 (ip6.arpa), RFC 5890 (A-labels), RFC 5782 section 2.4
 * (addresses in lists).
 */
import { isIPv4, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';

const MAX_NAME = 253;
const MAX_LABEL = 63;

/**
 * Bytes of the longest name that is looked at: four in UTF-8 for each of an A-label, and a trailing dot. One byte more
 * is enough to see that a name is longer.
 */
export const MAX_WRITTEN = 4 * MAX_NAME + 1;
/** Characters of an address in plain text, with a zone. */
const MAX_ADDRESS = 128;

export type Question =
  /** In lower case, without trailing dot; `.` is the root. */
  | { readonly kind: 'name'; readonly name: string }
  /** The DNS cannot hold such a name: an empty label, or one of over 63 bytes, or over 253 bytes in all. */
  | { readonly kind: 'impossible' }
  /** Characters of ASCII that no host name has, as `=`: macros of SPF make such names. As `name`. */
  | { readonly kind: 'odd'; readonly name: string }
  /** The DNS could hold it, but it cannot be asked for. */
  | { readonly kind: 'unaskable' };

/**
 * The question for a name as a script has it: bytes in latin1, in any case, with or without trailing dot. Bytes above
 * 127 are taken for UTF-8, and the name is converted to A-labels. Control characters are `unaskable`, and a backslash, which
 * may be meant for an escape.
 */
export function questionName(written: string): Question {
  if (written === '.') return { kind: 'name', name: '.' };
  if (written.length > MAX_WRITTEN) {
    // So many characters of ASCII stay what they are, whatever follows; others may stand for nothing.
    return { kind: isAscii(written.slice(0, MAX_NAME + 1)) ? 'impossible' : 'unaskable' };
  }
  const ascii = toAscii(written.endsWith('.') ? written.slice(0, -1) : written);
  if (ascii === undefined) return { kind: 'unaskable' };
  const labels = ascii.split('.');
  if (ascii.length > MAX_NAME || labels.some(({ length }) => length === 0 || length > MAX_LABEL)) {
    return { kind: 'impossible' };
  }
  if (isPlain(ascii)) return { kind: 'name', name: ascii };
  return /^[ -[\]-~]+$/.test(ascii) ? { kind: 'odd', name: ascii } : { kind: 'unaskable' };
}

/** Whether c-ares sends a question for such a name: letters, digits and `-_*` + `/`. */
export function isPlain(name: string): boolean {
  return /^[a-z0-9_*/.-]+$/.test(name);
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}

/** ASCII letters in lower case; undefined when there are bytes above 127 that make no name. */
function toAscii(latin1: string): string | undefined {
  if (isAscii(latin1)) return latin1.toLowerCase();
  // Taken for the host of a URL a name ends before `/`, `?`, `#` and `\\`, and is another's then; some are dropped.
  if (!/^[A-Za-z0-9._*=\x80-\xff-]+$/.test(latin1)) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(latin1, 'latin1'));
    // It takes a name of digits for an IPv4 address and rewrites it: here there is more than digits.
    const ascii = domainToASCII(text);
    return ascii === '' || isIPv4(ascii) ? undefined : ascii;
  } catch {
    return undefined;
  }
}

/** An IP address: the numbers of its name, most significant first. */
export interface Address {
  readonly family: 4 | 6;
  /** 4 octets, or 8 groups of 16 bits. */
  readonly parts: readonly number[];
}

/** Reads an address in plain text; an IPv4 address mapped into IPv6 is the IPv4 one, a zone (`%eth0`) is dropped. */
export function parseAddress(text: string): Address | undefined {
  if (text.length > MAX_ADDRESS) return undefined;
  if (isIPv4(text)) return { family: 4, parts: text.split('.').map(Number) };
  if (!isIPv6(text)) return undefined;
  const parts = groupsOf(text.replace(/%.*$/, ''));
  const [high = 0, low = 0] = parts.slice(6);
  if (parts.slice(0, 5).every((part) => part === 0) && parts[5] === 0xffff) {
    return { family: 4, parts: [high >> 8, high & 0xff, low >> 8, low & 0xff] };
  }
  return { family: 6, parts };
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(text: string): number[] {
  const hexadecimal = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) => {
    const group = (high: string, low: string) => (Number(high) * 256 + Number(low)).toString(16);
    return `${group(a, b)}:${group(c, d)}`;
  });
  const [head = '', tail] = hexadecimal.split('::');
  const read = (groups: string) =>
    groups === '' ? [] : groups.split(':').map((group) => parseInt(group, 16));
  const before = read(head);
  const after = tail === undefined ? [] : read(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

export function sameAddress(one: Address, other: Address): boolean {
  return one.family === other.family && one.parts.every((part, i) => part === other.parts[i]);
}

/** The labels of an address in reverse order, without the domain they are in: `7.2.0.192`, or 32 nibbles. */
export function reversed({ family, parts }: Address): string {
  const labels =
    family === 4 ? parts.map(String) : parts.flatMap((part) => [...part.toString(16).padStart(4, '0')]);
  return labels.reverse().join('.');
}

/** The name at which an address has its PTR records. */
export function pointerName(address: Address): string {
  return `${reversed(address)}.${address.family === 4 ? 'in-addr.arpa' : 'ip6.arpa'}`;
}
