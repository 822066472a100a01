/**
 * Answers of DNS lists: addresses of 127.0.0.0/8, each with a meaning of the list's own.
 *
 * Sources: RFC 5782 section 2.1; Postfix postconf(5) postscreen_dnsbl_sites for the patterns; Spamhaus, URIBL and SURBL
 * document the answers by which they turn a resolver away.
 */

/** Whether an answer is one that was asked for: an IPv4 address as octetsOf() gives it. */
export type CodePattern = (octets: readonly number[]) => boolean;

/** The four numbers of an IPv4 address in plain text. */
export function octetsOf(answer: string): readonly number[] {
  return answer.split('.').map(Number);
}

/** Characters of the longest pattern: four lists of all numbers there are. */
export const MAX_PATTERN = 4 * (256 * 4 + 2);

const NUMBER = /^\d{1,3}$/;

/**
 * Reads `127.0.0.2` or Postfix's form with alternatives and ranges in brackets: `127.0.0.[2;4..11]`.
 * @returns undefined when it is neither
 */
export function parseCodePattern(text: string): CodePattern | undefined {
  if (text.length > MAX_PATTERN) return undefined;
  const octets = text.match(/\[[^\]]*\]|[^.[\]]+|\./g);
  if (octets === null || octets.join('') !== text) return undefined;
  const allowed = octets.filter((octet) => octet !== '.').map(parseOctet);
  const dots = octets.filter((_octet, i) => i % 2 === 1).every((octet) => octet === '.');
  if (octets.length !== 7 || !dots || allowed.length !== 4) return undefined;
  if (allowed.some((numbers) => numbers === undefined)) return undefined;
  return (octets) => octets.every((octet, i) => allowed[i]?.[octet] === 1);
}

/** By number, 1 for those allowed. */
function parseOctet(text: string): Uint8Array | undefined {
  const alternatives = text.startsWith('[') ? text.slice(1, -1).split(';') : [text];
  const ranges = alternatives.map((alternative): [number, number] => {
    const [from = '', to = from, ...rest] = alternative.split('..');
    const valid = NUMBER.test(from) && NUMBER.test(to) && rest.length === 0;
    return valid ? [Number(from), Number(to)] : [Number.NaN, Number.NaN];
  });
  if (!ranges.every(([from, to]) => from <= to && to <= 255)) return undefined;
  const allowed = new Uint8Array(256);
  for (const [from, to] of ranges) allowed.fill(1, from, to + 1);
  return allowed;
}

/** Whether a list can have answered so; anything else comes from a wildcard, a parked domain, a resolver that lies. */
export function isListAnswer(answer: string): boolean {
  return answer.startsWith('127.');
}

/**
 * Whether a list turns the question away by this answer: 127.255.255.0/24 (Spamhaus: wrong name of the list, public
 * resolver, too many questions) and 127.0.0.1 (URIBL, SURBL; RFC 5782 keeps it out of use).
 */
export function isTurnedAway(answer: string): boolean {
  return answer.startsWith('127.255.255.') || answer === '127.0.0.1';
}
