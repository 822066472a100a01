/**
 * SMFIC_CONNECT: who is at the other end of the SMTP session.
 *
 *     hostname NUL  family:u8  [ port:u16be  address NUL ]     bracketed: absent for family 'U'
 *
 * Sources: libmilter/engine.c st_connectinfo() for what a filter must accept; sendmail/milter.c milter_connect() and
 * Postfix src/milter/milter8.c milter8_conn_event() for what MTAs send; RFC 5952 for the text form of IPv6.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { ByteReader } from './byte-reader.ts';
import { SMFIA } from './constants.ts';
import { ProtocolError } from './protocol-error.ts';

/** Text is latin1. `port` is 0 when the MTA does not know it. */
export type ClientEndpoint =
  | { readonly family: 'unknown' }
  | { readonly family: 'unix'; readonly path: string }
  /** `address` is plain and in one form: `192.0.2.7`, `2001:db8::1`, `::ffff:192.0.2.7`. */
  | { readonly family: 'inet4' | 'inet6'; readonly address: string; readonly port: number };

export interface ConnectCommand {
  readonly kind: 'connect';
  /** The client's verified name; its address in brackets when it has none. */
  readonly hostname: string;
  readonly client: ClientEndpoint;
}

/** The client's address in plain text; the empty string where the MTA knows none. */
export function addressOf(client: ClientEndpoint): string {
  switch (client.family) {
    case 'unknown':
      return '';
    case 'unix':
      return client.path;
    default:
      return client.address;
  }
}

/** The client's verified name; the empty string where there is only its address in brackets, or Postfix's `unknown`. */
export function verifiedNameOf(hostname: string): string {
  return hostname.startsWith('[') || hostname === 'unknown' ? '' : hostname;
}

/** @throws ProtocolError when the payload is cut short or too long, or the family is none of the four. */
export function decodeConnect(payload: Buffer): ConnectCommand {
  const reader = new ByteReader('connect', payload);
  const hostname = reader.cString();
  const family = reader.u8();
  if (family === SMFIA.UNKNOWN) {
    // Some clients fill in port and address here too; libmilter does not look at them.
    return { kind: 'connect', hostname, client: { family: 'unknown' } };
  }
  const port = reader.u16be();
  const address = reader.cString();
  reader.end();
  return { kind: 'connect', hostname, client: endpoint(family, address, port) };
}

function endpoint(family: number, text: string, port: number): ClientEndpoint {
  switch (family) {
    case SMFIA.UNIX: // The port is on the wire, always 0.
      return { family: 'unix', path: text };
    case SMFIA.INET:
    case SMFIA.INET6: {
      const address = bareAddress(text);
      if (isIPv4(address)) return { family: 'inet4', address, port };
      if (isIPv6(address)) return { family: 'inet6', address: shortIPv6(address), port };
      // Postfix says `unknown` of a client whose proxy told it no address (XCLIENT ADDR=[UNAVAILABLE]).
      return { family: 'unknown' };
    }
    default:
      throw new ProtocolError(`connect: address family 0x${family.toString(16)}`);
  }
}

/** Sendmail: `IPv6:2001:db8:0:0:0:0:0:1`. Postfix: `2001:db8::1`. Either may stand in brackets. */
function bareAddress(text: string): string {
  if (isIPv4(text) || isIPv6(text)) return text;
  return text.replace(/^\[?(?:IPv6:\[?)?(.*?)\]?$/i, '$1');
}

/** The one form RFC 5952 gives an IPv6 address; a zone (`fe80::1%eth0`) stays as it is. */
export function shortIPv6(address: string): string {
  const [text = '', ...zone] = address.split('%');
  const groups = groupsOf(text);
  return [isMapped(groups) ? mappedText(groups) : groupsText(groups), ...zone].join('%');
}

/** The eight 16-bit groups of a valid address without zone. */
function groupsOf(text: string): number[] {
  const [head = [], tail = []] = text.split('::').map((half) =>
    half
      .split(':')
      .filter((group) => group !== '')
      .flatMap((group) => (group.includes('.') ? quadGroups(group) : [Number.parseInt(group, 16)])),
  );
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function quadGroups(quad: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = quad.split('.').map(Number);
  return [a * 256 + b, c * 256 + d];
}

function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
}

function mappedText(groups: readonly number[]): string {
  const bytes = groups.slice(6).flatMap((group) => [group >> 8, group & 0xff]);
  return `::ffff:${bytes.join('.')}`;
}

function groupsText(groups: readonly number[]): string {
  let start = 0;
  let zeros = 1; // A single group of zeros is not shortened.
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > zeros) [start, zeros] = [i, end - i];
  }
  const hex = groups.map((group) => group.toString(16));
  if (zeros === 1) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + zeros).join(':')}`;
}
