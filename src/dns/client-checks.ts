/**
 * What a mail server asks of the DNS about its clients, each made of several look-ups.
 */

import { type Answer, known, unknown } from '../asking/answer.ts';
import type { Inquiry } from './inquiry.ts';
import { type Address, parseAddress, pointerName, reversed, sameAddress } from './name.ts';
import { type CodePattern, isListAnswer, isTurnedAway, octetsOf } from './return-code.ts';

/** Names of an address that are looked at; who has more has them for show (RFC 7208 section 4.6.4). */
const MAX_NAMES = 10;

/**
 * The name of an address that leads back to it: forward-confirmed reverse DNS (RFC 8601 section 2.7.3, iprev).
 *
 * @returns the first name in the order of the answer, false when no name does. When none of those that could be looked
 * up does and some could not be, it is not known.
 */
export async function confirmedName(inquiry: Inquiry, address: Address): Promise<Answer<string | false>> {
  const names = await inquiry.ask('PTR', pointerName(address));
  if (names.kind === 'unknown') return names;
  const type = address.family === 4 ? 'A' : 'AAAA';
  const candidates = names.value.slice(0, MAX_NAMES);
  const answers = await Promise.all(candidates.map((name) => inquiry.ask(type, name)));
  const leadsBack = (answer: Answer<readonly string[]>): boolean =>
    answer.kind === 'known' &&
    answer.value.some((text) => {
      const found = parseAddress(text);
      return found !== undefined && sameAddress(found, address);
    });
  const confirmed = candidates[answers.findIndex(leadsBack)];
  if (confirmed !== undefined) return known(confirmed);
  const failed = answers.find((answer) => answer.kind === 'unknown');
  if (failed?.kind === 'unknown') return failed;
  if (names.value.length > MAX_NAMES) {
    return unknown('limit', `more than ${MAX_NAMES} names of ${pointerName(address)}`);
  }
  return known(false);
}

export interface Listing {
  /** The list's answer, of 127.0.0.0/8. */
  readonly code: string;
  /** The list's explanation in latin1; empty when it has none or none could be had. */
  readonly text: string;
}

/**
 * Whether a DNS list names an address or a domain (RFC 5782).
 *
 * @param zone the list's domain, with a key in front where it has one
 * @param wanted the answers that count; without it all of 127.0.0.0/8 but those by which lists turn a question away
 * @returns the lowest answer that counts, or false. Answers outside of 127.0.0.0/8 and those that turn the question away
 * are `unknown`.
 */
export async function listing(
  inquiry: Inquiry,
  subject: Address | string,
  zone: string,
  wanted: CodePattern | undefined,
): Promise<Answer<Listing | false>> {
  const labels = typeof subject === 'string' ? subject.replace(/\.$/, '') : reversed(subject);
  const name = `${labels}.${zone}`;
  const answers = await inquiry.ask('A', name);
  if (answers.kind === 'unknown') return answers;
  const counts = (answer: string): boolean => wanted?.(octetsOf(answer)) ?? !isTurnedAway(answer);
  const codes = answers.value.filter((answer) => isListAnswer(answer) && counts(answer));
  const code = lowest(codes);
  if (code !== undefined) {
    const texts = await inquiry.ask('TXT', name);
    return known({ code, text: texts.kind === 'known' ? (texts.value[0] ?? '') : '' });
  }
  const strange = answers.value.find((answer) => !isListAnswer(answer));
  if (strange !== undefined) return unknown('protocol', `${zone} answers ${strange}, which no list does`);
  const away = answers.value.find(isTurnedAway);
  if (away !== undefined) return unknown('refused', `${zone} answers ${away}: it turns this question away`);
  return known(false);
}

/** The lowest IPv4 address of those in plain text. */
function lowest(addresses: readonly string[]): string | undefined {
  const numbers = addresses.map((text) => octetsOf(text).reduce((number, octet) => number * 256 + octet, 0));
  return addresses[
    numbers.indexOf(numbers.reduce((one, other) => Math.min(one, other), Number.POSITIVE_INFINITY))
  ];
}
