/**
 * Addresses to listen on, as Sendmail and as Postfix write them, and the lines that tell an MTA of them.
 *
 *     inet:PORT@HOST    inet6:PORT@HOST      Sendmail, libmilter smfi_setconn()
 *     inet:PORT         inet6:PORT           libmilter: every address of the machine
 *     inet:HOST:PORT    inet6:[ADDRESS]:PORT Postfix smtpd_milters; IPv6 addresses in brackets
 *     unix:PATH         local:PATH           both
 *     fd:NAME                                a socket that systemd hands to the program: FileDescriptorName= of its unit
 *
 * Port 0 lets the system choose a free one.
 */
import { existsSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { BadValue } from '../text/bad-value.ts';

export type ListenAddress =
  | {
      readonly kind: 'inet';
      /** An address or a name to look up; undefined for every address of the machine. */
      readonly host: string | undefined;
      /** The addresses of a name that count; `either` prefers IPv4. */
      readonly family: 'inet4' | 'inet6' | 'either';
      readonly port: number;
      /** As the operator wrote it, for messages. */
      readonly written: string;
    }
  | { readonly kind: 'unix'; readonly path: string; readonly written: string }
  /** A socket, or several, that the program is started with. */
  | { readonly kind: 'handed'; readonly name: string; readonly written: string };

/** What a socket is bound to in the end. */
export type BoundAddress =
  | { readonly kind: 'inet4' | 'inet6'; readonly address: string; readonly port: number }
  /** `handed`: whoever started the program has bound it, and keeps it. */
  | { readonly kind: 'unix'; readonly path: string; readonly handed?: true };

const FORMS = 'inet:PORT@HOST, inet6:PORT@HOST, inet:HOST:PORT, unix:/PATH, local:/PATH or fd:NAME';

/** Postfix's queue directory on most systems. */
export const POSTFIX_QUEUE = '/var/spool/postfix';
/** What every queue directory has in it. */
const IN_POSTFIX_QUEUE = ['private', 'public', 'maildrop'];

/** Reads one address in any of the forms above. @throws BadValue when it is none of them. */
export function parseListenAddress(written: string): ListenAddress {
  const colon = written.indexOf(':');
  const scheme = written.slice(0, Math.max(colon, 0)).toLowerCase();
  const rest = written.slice(colon + 1);
  switch (scheme) {
    case 'inet':
    case 'inet6':
      return parseInet(scheme, rest, written);
    case 'unix':
    case 'local':
      return { kind: 'unix', path: checkPath(rest), written };
    case 'fd':
      return { kind: 'handed', name: checkName(rest), written };
    default:
      throw new BadValue(`must be ${FORMS}`);
  }
}

function parseInet(scheme: 'inet' | 'inet6', rest: string, written: string): ListenAddress {
  const sendmail = /^(\d+)@(.+)$/.exec(rest);
  const postfix = /^(\[[^\]]*\]|[^:[\]@]+):(\d+)$/.exec(rest);
  const everywhere = /^(\d+)$/.exec(rest);
  const port = Number(sendmail?.[1] ?? postfix?.[2] ?? everywhere?.[1] ?? Number.NaN);
  if (Number.isNaN(port)) {
    throw new BadValue(
      /:.*:/.test(rest) && !rest.includes('[') && !rest.includes('@')
        ? `must have an IPv6 address in brackets, as in ${scheme}:[::1]:8895`
        : `must be ${FORMS}`,
    );
  }
  if (port > 65535) throw new BadValue('must have a port from 0 to 65535');
  const host = (sendmail?.[2] ?? postfix?.[1])?.replace(/^\[(.*)\]$/, '$1');
  const family = familyOf(scheme, host, port, sendmail === null);
  return { kind: 'inet', host, family, port, written };
}

function familyOf(
  scheme: 'inet' | 'inet6',
  host: string | undefined,
  port: number,
  postfixForm: boolean,
): 'inet4' | 'inet6' | 'either' {
  if (host === undefined) return scheme === 'inet' ? 'inet4' : 'inet6';
  if (isIPv6(host)) {
    // Postfix has one word for both families.
    if (scheme === 'inet6' || postfixForm) return 'inet6';
    throw new BadValue(`has an IPv6 address: write inet6:${port}@${host}`);
  }
  if (isIPv4(host)) {
    if (scheme === 'inet') return 'inet4';
    throw new BadValue(`has an IPv4 address: write inet:${port}@${host}`);
  }
  if (/^[\d.]+$/.test(host) || !/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(host)) {
    throw new BadValue(`must have an IP address or a host name, not ${JSON.stringify(host)}`);
  }
  if (scheme === 'inet6') return 'inet6';
  return postfixForm ? 'either' : 'inet4';
}

/** Neither MTA can be told of a path with such characters: both split their settings at them. */
function checkPath(path: string): string {
  if (!path.startsWith('/'))
    throw new BadValue('must have an absolute path, as in unix:/run/smtpf/milter.sock');
  if (/[^\x21-\x7e]|[,;`'"${}]/.test(path)) {
    throw new BadValue('must have a path without blanks, quotes, commas, braces and dollar signs');
  }
  if (path.endsWith('/')) throw new BadValue('must have the path of a socket, not of a directory');
  return path;
}

/** As systemd takes it for FileDescriptorName=, without blanks. */
function checkName(name: string): string {
  if (!/^[\x21-\x39\x3b-\x7e]{1,255}$/.test(name))
    throw new BadValue('must have the name of a socket, as in fd:smtpf-milter.socket');
  return name;
}

/** The address as `--listen` takes it. */
export function formatListenAddress(bound: BoundAddress): string {
  switch (bound.kind) {
    case 'inet4':
      return `inet:${bound.port}@${bound.address}`;
    case 'inet6':
      return `inet6:${bound.port}@${bound.address}`;
    case 'unix':
      return `unix:${bound.path}`;
  }
}

/** The queue directory of Postfix that a path is below; undefined when it is below none. */
export function postfixQueueAbove(path: string): string | undefined {
  for (let above = dirname(path); above !== '/'; above = dirname(above)) {
    if (above === POSTFIX_QUEUE || IN_POSTFIX_QUEUE.every((name) => existsSync(join(above, name))))
      return above;
  }
  return undefined;
}

/**
 * The line for Postfix's main.cf. A socket that is bound to every address is named by the loopback address. A path
 * below Postfix's queue directory is given relative to it: smtpd and cleanup work there, in a chroot (Debian) or not.
 */
export function mainCfLine(bound: BoundAddress): string {
  switch (bound.kind) {
    case 'inet4':
      return `smtpd_milters = inet:${reachable(bound.address)}:${bound.port}`;
    case 'inet6':
      return `smtpd_milters = inet:[${reachable(bound.address)}]:${bound.port}`;
    case 'unix': {
      const queue = postfixQueueAbove(bound.path);
      return `smtpd_milters = unix:${queue === undefined ? bound.path : relative(queue, bound.path)}`;
    }
  }
}

/** The line for sendmail.mc: F=T defers mail while the milter is down; the time-outs are Sendmail's own defaults. */
export function sendmailMcLine(bound: BoundAddress): string {
  return `INPUT_MAIL_FILTER(\`smtpf', \`S=${sendmailSocket(bound)}, F=T, T=S:10s;R:10s;E:5m')`;
}

/** What stands behind `S=` of a mail filter. */
export function sendmailSocket(bound: BoundAddress): string {
  switch (bound.kind) {
    case 'inet4':
      return `inet:${bound.port}@${reachable(bound.address)}`;
    case 'inet6': // Sendmail: finds nobody behind an address in brackets (8.17.1).
      return `inet6:${bound.port}@${reachable(bound.address)}`;
    case 'unix':
      return `unix:${bound.path}`;
  }
}

/** An address to connect to, for a socket that is bound to this one. */
export function reachable(address: string): string {
  switch (address) {
    case '0.0.0.0':
      return '127.0.0.1';
    case '::':
      return '::1';
    default:
      return address;
  }
}
