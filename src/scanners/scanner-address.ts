/** Where scanners listen, as operators and scripts write it. */
import { isIPv6 } from 'node:net';
import { BadValue } from '../text/bad-value.ts';
import type { ScannerAddress } from './conversation.ts';
import type { RspamdPlace } from './rspamd.ts';

/**
 * Reads `inet:PORT@HOST`, `inet6:PORT@HOST`, `inet:HOST:PORT`, `unix:PATH` or `local:PATH`.
 * @throws BadValue when it is none of them
 */
export function parseScannerAddress(text: string): ScannerAddress {
  const path = /^(?:unix|local):(\/[^\0]+)$/i.exec(text)?.[1];
  if (path !== undefined) return { kind: 'unix', path };
  const rest = /^inet6?:(.*)$/i.exec(text)?.[1] ?? '';
  const sendmail = /^(\d{1,5})@(.+)$/.exec(rest);
  const postfix = /^(\[[^\]]+\]|[^:@]+):(\d{1,5})$/.exec(rest);
  const port = Number(sendmail?.[1] ?? postfix?.[2]);
  const host = (sendmail?.[2] ?? postfix?.[1] ?? '').replace(/^\[(.*)\]$/, '$1');
  if (port >= 1 && port <= 65_535 && (isIPv6(host) || /^[\w.-]{1,253}$/.test(host))) {
    return { kind: 'inet', host, port };
  }
  throw new BadValue('must be inet:PORT@HOST, inet6:PORT@HOST, inet:HOST:PORT, unix:/PATH or local:/PATH');
}

/** The same, or a URL. @throws BadValue when it is none of them */
export function parseRspamdPlace(text: string): RspamdPlace {
  if (/^https?:/i.test(text)) {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || url.username !== '' || url.password !== '') {
      throw new BadValue('must be a URL such as http://127.0.0.1:11333, without user and password');
    }
    return { url };
  }
  let address: ScannerAddress;
  try {
    address = parseScannerAddress(text);
  } catch {
    throw new BadValue(
      'must be a URL, inet:PORT@HOST, inet6:PORT@HOST, inet:HOST:PORT, unix:/PATH or local:/PATH',
    );
  }
  if (address.kind === 'unix') return { url: new URL('http://localhost'), socketPath: address.path };
  const host = isIPv6(address.host) ? `[${address.host}]` : address.host;
  return { url: new URL(`http://${host}:${address.port}`) };
}
