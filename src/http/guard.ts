/**
 * Which addresses a policy's requests may reach: none of this machine or the networks around it, unless the operator
 * allows it. A name is looked up by who connects, so that it cannot mean something else the second time.
 */
import { lookup as lookupName } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { REFUSED } from './exchange.ts';

const CLOSED_V4 = [
  ['0.0.0.0', 8], // "this" network
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carrier-grade NAT
  ['127.0.0.0', 8],
  ['169.254.0.0', 16], // link-local, and where clouds tell secrets
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const;

const CLOSED_V6 = [
  ['::', 128],
  ['::1', 128],
  ['100::', 64],
  ['2001:db8::', 32],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const;

/** A network that the operator allows. */
export interface Network {
  readonly address: string;
  readonly bits: number;
}

export class AddressGuard {
  readonly #closed = new BlockList();
  readonly #allowed = new BlockList();

  readonly #resolve: (host: string) => Promise<string[]>;

  /** @param resolve gives the addresses of a name; rejects where it cannot find out */
  constructor(allowed: readonly Network[] = [], resolve = systemAddresses) {
    this.#resolve = resolve;
    for (const [address, bits] of CLOSED_V4) this.#closed.addSubnet(address, bits, 'ipv4');
    for (const [address, bits] of CLOSED_V6) this.#closed.addSubnet(address, bits, 'ipv6');
    for (const { address, bits } of allowed) this.#allowed.addSubnet(address, bits, kindOf(address));
  }

  /** @param address IPv4 or IPv6 in text */
  mayAsk(address: string): boolean {
    const plain = address.replace(/%.*$/, '');
    if (this.#allowed.check(plain, kindOf(plain))) return true;
    const inside = innerAddress(plain);
    if (inside !== undefined) return this.mayAsk(inside);
    return !this.#closed.check(plain, kindOf(plain));
  }

  /** Whether a URL's host may be asked, as far as it is an address; a name is looked up later. */
  mayAskHost(host: string): boolean {
    const address = host.replace(/^\[(.*)\]$/, '$1');
    return isIP(address) === 0 || this.mayAsk(address);
  }

  /** Takes those of a name's addresses that may be asked. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    this.#resolve(host).then(
      (addresses) => {
        const open = addresses
          .filter((address) => this.mayAsk(address))
          .map((address) => ({ address, family: isIP(address) }));
        const first = open[0];
        if (!first) callback(refusal(host, addresses), '', 0);
        else if (options.all) callback(null, open);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 0),
    );
  };
}

/** The addresses of a name as the system knows them. */
async function systemAddresses(host: string): Promise<string[]> {
  return (await lookupName(host, { all: true })).map(({ address }) => address);
}

function refusal(host: string, addresses: readonly string[]): NodeJS.ErrnoException {
  const message =
    addresses.length === 0
      ? `${host} has no address`
      : `${host} leads to ${addresses.join(' ')}, which a policy may not ask`;
  return Object.assign(new Error(message), { code: addresses.length === 0 ? 'ENOTFOUND' : REFUSED });
}

const kindOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** The IPv4 address inside one that is mapped, translated (RFC 6052, 64:ff9b::/96) or 6to4 (2002::/16). */
function innerAddress(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined;
  const groups = groupsOf(address);
  const v4 = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join('.');
  const [a = 0, b = 0, c = 0, , , f = 0, g = 0, h = 0] = groups;
  const isZero = groups.slice(0, 5).every((group) => group === 0);
  if (isZero && f === 0xffff) return v4(g, h);
  // IPv4-compatible, long out of use; :: and ::1 are none.
  if (isZero && f === 0 && (g !== 0 || h > 1)) return v4(g, h);
  if (a === 0x64 && (b === 0xff9b || b === 0x00ff)) return v4(g, h);
  if (a === 0x2002) return v4(b, c);
  return undefined;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  const [, head = '', dotted] = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address) ?? [];
  const bytes = dotted?.split('.').map(Number) ?? [];
  const [p = 0, q = 0, r = 0, s = 0] = bytes;
  const text =
    dotted === undefined ? address : `${head}${((p << 8) | q).toString(16)}:${((r << 8) | s).toString(16)}`;
  const [before = '', after] = text.split('::');
  const numbers = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = numbers(before);
  const back = after === undefined ? [] : numbers(after);
  return [...front, ...new Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back];
}
