/**
 * `--syslog`: where log lines go.
 */
import { isIPv6 } from 'node:net';
import { BadValue } from '../text/bad-value.ts';

export type SyslogTarget =
  /** Unix datagram socket of the machine's syslog daemon. */
  | { readonly kind: 'local'; readonly path: string }
  /** `host` is a name or an address, an IPv6 address without its brackets. */
  | { readonly kind: 'udp' | 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'stderr' }
  | { readonly kind: 'none' };

/** Linux and the BSDs. */
const LOCAL_SOCKET = '/dev/log';

const SYSLOG_PORT = 514;

/**
 * Reads `local`, `stderr`, `none`, `udp://HOST[:PORT]` or `tcp://HOST[:PORT]`; an IPv6 address stands in brackets.
 *
 * @throws BadValue when it is none of these
 */
export function parseSyslogTarget(text: string): SyslogTarget {
  if (text === 'local') return { kind: 'local', path: LOCAL_SOCKET };
  if (text === 'stderr' || text === 'none') return { kind: text };
  const match = /^(udp|tcp):\/\/(?:\[([^\]]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?\/?$/.exec(text);
  const [, kind, address, name, digits] = match ?? [];
  const port = digits === undefined ? SYSLOG_PORT : Number(digits);
  const isAddress = address === undefined || isIPv6(address);
  if (match === null || !isAddress || port < 1 || port > 65535) {
    throw new BadValue('must be local, udp://HOST:PORT, tcp://HOST:PORT, stderr or none');
  }
  return { kind: kind === 'udp' ? 'udp' : 'tcp', host: address ?? name ?? '', port };
}

/** The target as an operator writes it, for messages. */
export function formatSyslogTarget(target: SyslogTarget): string {
  switch (target.kind) {
    case 'local':
      return target.path;
    case 'udp':
    case 'tcp': {
      const host = isIPv6(target.host) ? `[${target.host}]` : target.host;
      return `${target.kind}://${host}:${target.port}`;
    }
    case 'stderr':
    case 'none':
      return target.kind;
    default:
      return target satisfies never;
  }
}
