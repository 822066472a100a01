/** What `why` asks of a journal. Texts are as an operator writes them; see docs/operating.md. */
import { type BlockList, isIP } from 'node:net';
import { BadValue } from '../text/bad-value.ts';
import { digestOf, KEPT_BITS, type Key } from './journal-key.ts';
import { isAddress, networkOf } from './trace.ts';

/** All that is given must hold. */
export interface JournalQuery {
  /** A queue id, an id of a session or transaction, an address, a domain, an IP address or a network. */
  readonly what?: string;
  /** Milliseconds since 1970: not before. */
  readonly since?: number;
  /** At most so many. */
  readonly last?: number;
  /** The client was refused or deferred, or one of the recipients was. */
  readonly rejected?: boolean;
  /** A callback failed, or the script does not run. */
  readonly failed?: boolean;
}

/** A query as texts: of the command line, or in a request to the control socket. */
export type QueryTexts = Readonly<Partial<Record<'what' | 'since' | 'last' | 'rejected' | 'failed', string>>>;

type Entry = Readonly<Record<string, unknown>>;

const MOST_FOUND = 100_000;
const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const ISO = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/i;

/** @param now milliseconds since 1970, from which `2h` counts back. @throws BadValue that names the option. */
export function readQuery(
  { what, since, last, rejected, failed }: QueryTexts,
  now = Date.now(),
): JournalQuery {
  if (what !== undefined && isIP(what.split('/')[0] ?? '') !== 0) requireNetwork(what);
  return {
    ...(what !== undefined && { what }),
    ...(since !== undefined && { since: instant(since, now) }),
    ...(last !== undefined && { last: count(last) }),
    ...(rejected === 'true' && { rejected: true }),
    ...(failed === 'true' && { failed: true }),
  };
}

function requireNetwork(what: string): void {
  try {
    networkOf(what);
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    throw new BadValue(`${JSON.stringify(what)}: ${error.message}`);
  }
}

function instant(text: string, now: number): number {
  const [, amount, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (amount !== undefined) return now - Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  const [iso, zone] = ISO.exec(text) ?? [];
  // What `why` prints is in UTC.
  const time =
    iso === undefined ? Number.NaN : Date.parse(`${iso.replace(' ', 'T')}${dayOnly(iso) || zone ? '' : 'Z'}`);
  if (Number.isNaN(time))
    throw new BadValue(
      `--since: ${JSON.stringify(text)} must be a time that has gone, as 30m, 2h or 7d, or a date, as 2026-11-28 or 2026-11-28T10:30 (UTC)`,
    );
  return time;
}

/** Which Date.parse takes for UTC by itself. */
function dayOnly(iso: string): boolean {
  return iso.length === '2026-11-28'.length;
}

function count(text: string): number {
  const number = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > MOST_FOUND)
    throw new BadValue(`--last: ${JSON.stringify(text)} must be a whole number from 1 to ${MOST_FOUND}`);
  return number;
}

/**
 * Tells the entries of a file that are asked for.
 * @param head of the file
 * @param key of the digests, where it is known
 */
export function matcherOf(
  { what, since, rejected, failed }: JournalQuery,
  head: Entry | undefined,
  key: Key | undefined,
): (entry: Entry) => boolean {
  const isRedacted = head?.['key'] !== undefined;
  const digestKey = key?.id === head?.['key'] ? key : undefined;
  const isNamed = what === undefined ? undefined : nameMatcher(what, isRedacted, digestKey);
  return (entry) =>
    (since === undefined || Number(entry['time']) >= since) &&
    (rejected !== true || isRefused(entry)) &&
    (failed !== true || entry['failures'] !== undefined) &&
    (isNamed === undefined || isNamed(entry));
}

function nameMatcher(what: string, isRedacted: boolean, key: Key | undefined): (entry: Entry) => boolean {
  const plain = what.replace(/^<(.*)>$/, '$1').toLowerCase();
  const network = networkIn(plain, isRedacted);
  if (network !== undefined) return (entry) => isClientIn(network, entry);
  const digest = key && digestOf(plain, key);
  return (entry) =>
    idsIn(entry).includes(plain) ||
    addressesIn(entry).some((address) => address === digest || isAddress(plain, address));
}

/** Where the journal keeps networks alone, the one that an address is in. */
function networkIn(what: string, isRedacted: boolean): BlockList | undefined {
  const [address = '', bits] = what.split('/');
  const version = isIP(address);
  if (version === 0) return undefined;
  const kept = version === 4 ? KEPT_BITS.ipv4 : KEPT_BITS.ipv6;
  return networkOf(isRedacted && !(Number(bits) < kept) ? `${address}/${kept}` : what);
}

function isClientIn(network: BlockList, { client }: Entry): boolean {
  const ip = typeof client === 'object' && client !== null && 'ip' in client ? String(client.ip) : '';
  const version = isIP(ip);
  return version !== 0 && network.check(ip, version === 4 ? 'ipv4' : 'ipv6');
}

/** In small letters. */
function idsIn({ queueId, session, transaction }: Entry): string[] {
  return [queueId, session, transaction]
    .filter((id) => id !== undefined)
    .map((id) => String(id).toLowerCase());
}

function recipientsIn({ recipients }: Entry): { address?: unknown; refused?: unknown }[] {
  if (!Array.isArray(recipients)) return [];
  return recipients.filter((recipient: unknown) => typeof recipient === 'object' && recipient !== null);
}

function addressesIn(entry: Entry): string[] {
  const recipients = recipientsIn(entry).map(({ address }) => String(address ?? ''));
  return entry['sender'] === undefined ? recipients : [String(entry['sender']), ...recipients];
}

function isRefused(entry: Entry): boolean {
  const { verdict } = entry;
  return (
    verdict === 'reject' ||
    verdict === 'tempfail' ||
    recipientsIn(entry).some(({ refused }) => refused !== undefined)
  );
}
