/** Senders as greylisting compares them: what changes from message to message is left out. Text is latin1. */

/** What nothing is left out of has none of these. */
const CHANGING = /[\d+=#]/;

/**
 * - SRS0 and SRS1 (a forwarder's): the address that was rewritten;
 * - BATV (`prvs=TAG=user`): the user;
 * - VERP (`list-bounces+user=example.com@list`, `bounce-12345-67@list`): digits, and what follows a `+` or stands before
 *   an `=`, become `#`.
 */
export function plainSender(address: string): string {
  const lower = address.toLowerCase();
  const at = lower.lastIndexOf('@');
  if (at < 0) return lower;
  const local = lower.slice(0, at);
  if (!CHANGING.test(local)) return lower;
  const domain = lower.slice(at + 1);
  const [, host, user] = /^srs[01][=+-](?:.*==)?[^=]*=[^=]*=([^=]+)=(.*)$/s.exec(local) ?? [];
  if (host !== undefined && user !== undefined) return plainSender(`${user}@${host}`);
  const [, signed] = /^(?:btv1|prvs)=[0-9a-f]{6,12}=(.*)$/s.exec(local) ?? [];
  if (signed !== undefined) return plainSender(`${signed}@${domain}`);
  const plain = local
    .replace(/\+.*$/s, '+#')
    .replace(/[^-._]*=[a-z0-9-]+(?:\.[a-z0-9-]+)+$/, '#')
    .replace(/\d+/g, '#')
    .replace(/#[-._#]*#/g, '#');
  return `${plain}@${domain}`;
}
