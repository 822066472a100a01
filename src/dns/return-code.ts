/**
 * Answers of DNS lists: addresses of 127.0.0.0/8, each with a meaning of the list's own.
 *
 * Sources: RFC 5782 section 2.1; Postfix postconf(5) postscreen_dnsbl_sites for the patterns; Spamhaus, URIBL and SURBL
 * document the answers by which they turn a resolver away.
 */

/** Whether an answer, an IPv4 address in plain text, is one that was asked for. */
export type CodePattern = (answer: string) => boolean;

const NUMBER = /^\d{1,3}$/;

/**
 * Reads `127.0.0.2` or Postfix's form with alternatives and ranges in brackets: `127.0.0.[2;4..11]`.
 * @returns undefined when it is neither
 */
export function parseCodePattern(text: string): CodePattern | undefined {
  const octets = text.match(/\[[^\]]*\]|[^.[\]]+|\./g);
  if (octets === null || octets.join('') !== text) return undefined;
  const allowed = octets.filter((octet) => octet !== '.').map(parseOctet);
  const dots = octets.filter((_octet, i) => i % 2 === 1).every((octet) => octet === '.');
  if (octets.length !== 7 || !dots || allowed.length !== 4) return undefined;
  if (allowed.some((ranges) => ranges === undefined)) return undefined;
  return (answer) =>
    answer.split('.').every((octet, i) => {
      const value = Number(octet);
      return allowed[i]?.some(([from, to]) => value >= from && value <= to) ?? false;
    });
}

function parseOctet(text: string): [from: number, to: number][] | undefined {
  const alternatives = text.startsWith('[') ? text.slice(1, -1).split(';') : [text];
  const ranges = alternatives.map((alternative): [number, number] => {
    const [from = '', to = from, ...rest] = alternative.split('..');
    const valid = NUMBER.test(from) && NUMBER.test(to) && rest.length === 0;
    return valid ? [Number(from), Number(to)] : [Number.NaN, Number.NaN];
  });
  return ranges.every(([from, to]) => from <= to && to <= 255) ? ranges : undefined;
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
