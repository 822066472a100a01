/**
 * Senders rewritten so that mail may be passed on: SRS, the Sender Rewriting Scheme, as libsrs2 and postsrsd have it.
 *
 *     jane@example.org  becomes  SRS0=HHHH=TT=example.org=jane@forwarder.example
 *
 * HHHH is of an HMAC that only we can make, TT the day. What was rewritten by another before becomes SRS1, which names that
 * other, so that no address grows with each forwarder.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { lowerCase } from './field.ts';

const DAY_MS = 86_400_000;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** Days until the stamp begins anew. */
const STAMPS = 1024;
const MAX_AGE_DAYS = 21;
const HASH_LENGTH = 4;

export type SrsFault = 'hash' | 'expired' | 'not SRS';

/**
 * @param address without `<>`; bytes in latin1
 * @param domain the one that takes the answers
 * @param secrets the first signs
 * @param now milliseconds since the epoch
 * @returns the address itself where it is the null sender, or of that domain
 */
export function srsForward(address: string, domain: string, secrets: readonly string[], now: number): string {
  const at = address.lastIndexOf('@');
  const local = address.slice(0, at);
  const host = address.slice(at + 1);
  if (at < 1 || host.toLowerCase() === domain.toLowerCase()) return address;
  const [secret = ''] = secrets;
  const [, kind, rest = ''] = /^SRS([01])[=+-](.+)$/is.exec(local) ?? [];
  if (kind === '0') {
    const opaque = local.slice('SRS0'.length);
    return `SRS1=${hashOf(secret, [host, opaque])}=${host}=${opaque}@${domain}`;
  }
  // Another's hash is replaced by ours; the first forwarder stays.
  const [, first, opaque] = kind === '1' ? (/^[^=]*=([^=]+)=(.+)$/s.exec(rest) ?? []) : [];
  if (first !== undefined && opaque !== undefined) {
    return `SRS1=${hashOf(secret, [first, opaque])}=${first}=${opaque}@${domain}`;
  }
  const stamp = stampOf(now);
  return `SRS0=${hashOf(secret, [stamp, host, local])}=${stamp}=${host}=${local}@${domain}`;
}

/** Takes back what srsForward() or postsrsd with one of the secrets has made. */
export function srsReverse(
  address: string,
  secrets: readonly string[],
  now: number,
): { readonly address: string } | { readonly fault: SrsFault } {
  const local = address.slice(0, Math.max(0, address.lastIndexOf('@')));
  const [, kind, rest = ''] = /^SRS([01])[=+-](.+)$/is.exec(local) ?? [];
  if (kind === '1') {
    const [, hash, host, opaque] = /^([^=]+)=([^=]+)=(.+)$/s.exec(rest) ?? [];
    if (hash === undefined || host === undefined || opaque === undefined) return { fault: 'not SRS' };
    return isHash(hash, secrets, [host, opaque]) ? { address: `SRS0${opaque}@${host}` } : { fault: 'hash' };
  }
  const [, hash, stamp, host, user] = /^([^=]+)=([^=]+)=([^=]+)=(.+)$/s.exec(rest) ?? [];
  if (kind === undefined || hash === undefined || stamp === undefined) return { fault: 'not SRS' };
  if (host === undefined || user === undefined) return { fault: 'not SRS' };
  if (!isHash(hash, secrets, [stamp, host, user])) return { fault: 'hash' };
  return isRecent(stamp, now) ? { address: `${user}@${host}` } : { fault: 'expired' };
}

function stampOf(now: number): string {
  const day = Math.floor(now / DAY_MS) % STAMPS;
  return `${BASE32[day >> 5]}${BASE32[day & 31]}`;
}

function isRecent(stamp: string, now: number): boolean {
  const digits = [...stamp.toUpperCase()].map((letter) => BASE32.indexOf(letter));
  if (digits.length !== 2 || digits.includes(-1)) return false;
  const then = (digits[0] ?? 0) * 32 + (digits[1] ?? 0);
  const today = Math.floor(now / DAY_MS) % STAMPS;
  return (today - then + STAMPS) % STAMPS <= MAX_AGE_DAYS;
}

/** Letters may have changed their case on the way. */
function hashOf(secret: string, parts: readonly string[]): string {
  const hmac = createHmac('sha1', Buffer.from(secret, 'latin1'));
  for (const part of parts) hmac.update(lowerCase(part), 'latin1');
  return hmac.digest('base64').slice(0, HASH_LENGTH);
}

function isHash(hash: string, secrets: readonly string[], parts: readonly string[]): boolean {
  const given = Buffer.from(hash.toLowerCase(), 'latin1');
  return secrets.some((secret) => {
    const own = Buffer.from(hashOf(secret, parts).toLowerCase());
    return given.length === own.length && timingSafeEqual(given, own);
  });
}
