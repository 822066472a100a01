/** `--smarthost`: the mail server that takes what policies send. */
import { isIPv6 } from 'node:net';
import { BadValue } from '../text/bad-value.ts';

export interface SmarthostPlace {
  readonly host: string;
  readonly port: number;
}

/** What is done about TLS: where it is offered, always and with a certificate of that name, never. */
export const TLS_LEVELS = ['may', 'verify', 'none'] as const;
export type TlsLevel = (typeof TLS_LEVELS)[number];

/** Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`. @throws BadValue when it is none of them */
export function parseSmarthost(text: string): SmarthostPlace {
  const [, inBrackets, name, digits] =
    /^(?:\[([^\]]+)\]|([\w-]+(?:\.[\w-]+)*\.?))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = inBrackets ?? name ?? (isIPv6(text) ? text : '');
  const port = digits === undefined ? 25 : Number(digits);
  const isHost = inBrackets === undefined ? host !== '' && host.length <= 253 : isIPv6(inBrackets);
  if (!isHost || port < 1 || port > 65_535) {
    throw new BadValue('must be HOST or HOST:PORT, an IPv6 address in brackets: mail.example.com, [::1]:587');
  }
  if (port === 465) throw new BadValue('must be a port of SMTP with STARTTLS, such as 25 or 587, not 465');
  return { host, port };
}

export function writtenPlace({ host, port }: SmarthostPlace): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
