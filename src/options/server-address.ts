/** `--dns-server`: the address of a DNS server, as Node's resolver takes it. */
import { isIPv4, isIPv6 } from 'node:net';
import { BadValue } from '../text/bad-value.ts';

/**
 * Reads `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]` or `[::1]:53`.
 * @returns `ADDRESS:PORT` with an IPv6 address in brackets
 * @throws BadValue when it is none of these
 */
export function parseServerAddress(text: string): string {
  const address = read(text);
  if (address !== undefined) return address;
  throw new BadValue('must be an IP address with or without port: 192.0.2.53, 192.0.2.53:5353, [::1]:53');
}

function read(text: string): string | undefined {
  if (isIPv6(text)) return `[${text}]:53`;
  const match = /^(?:\[([^\]]+)\]|([\d.]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, inBrackets, plain, digits] = match;
  const port = digits === undefined ? 53 : Number(digits);
  if (port < 1 || port > 65535) return undefined;
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? `[${inBrackets}]:${port}` : undefined;
  return plain !== undefined && isIPv4(plain) ? `${plain}:${port}` : undefined;
}
