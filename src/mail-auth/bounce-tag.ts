/**
 * Senders with a tag by which a bounce to them shows that the message was ours: BATV, in the form PRVS
 * (draft-levine-smtp-batv-01).
 *
 *     jane@example.org  becomes  prvs=KDDDSSSSSS=jane@example.org
 *
 * K is the number of a key, always 0 here, DDD the day on which the tag ends, SSSSSS of an HMAC of these and the address.
 * Exim's tags (`${prvs...}`) are the same, where the domain is in lower case.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { lowerCase } from './field.ts';

const DAY_MS = 86_400_000;
const LIFETIME_DAYS = 7;
/** Days until their number begins anew. */
const DAYS = 1000;

export type TagFault = 'hash' | 'expired' | 'not BATV';

/**
 * @param address without `<>`; bytes in latin1
 * @param secrets the first signs
 * @param now milliseconds since the epoch
 * @returns the address itself where it is the null sender, or has a tag
 */
export function tagSender(address: string, secrets: readonly string[], now: number): string {
  if (!address.includes('@') || TAGGED.test(address)) return address;
  const day = String((Math.floor(now / DAY_MS) + LIFETIME_DAYS) % DAYS).padStart(3, '0');
  return `prvs=0${day}${signatureOf(secrets[0] ?? '', `0${day}`, address)}=${address}`;
}

const TAGGED = /^prvs=(\d)(\d{3})([0-9a-f]{6})=(.+@.*)$/is;

/** The address without its tag, if that is ours and has not ended. */
export function untagSender(
  address: string,
  secrets: readonly string[],
  now: number,
): { readonly address: string } | { readonly fault: TagFault } {
  const [, key, day, signature, original] = TAGGED.exec(address) ?? [];
  if (key === undefined || day === undefined || signature === undefined || original === undefined) {
    return { fault: 'not BATV' };
  }
  // A secret gets another place when a new one is put before it: its number says nothing.
  const given = Buffer.from(signature.toLowerCase());
  const isOwn = (secret: string) =>
    timingSafeEqual(given, Buffer.from(signatureOf(secret, key + day, original)));
  if (!secrets.some(isOwn)) return { fault: 'hash' };
  const left = (Number(day) - (Math.floor(now / DAY_MS) % DAYS) + DAYS) % DAYS;
  return left <= LIFETIME_DAYS ? { address: original } : { fault: 'expired' };
}

/** Servers on the way may write the domain in other letters. */
function signatureOf(secret: string, tag: string, address: string): string {
  const domain = address.lastIndexOf('@');
  const written = address.slice(0, domain) + lowerCase(address.slice(domain));
  return createHmac('sha1', Buffer.from(secret, 'latin1'))
    .update(tag + written, 'latin1')
    .digest('hex')
    .slice(0, 6);
}
