/**
 * Addresses that Sendmail cannot take from a filter, however well formed.
 *
 * One that it cannot parse makes it leave the recipient out, or put MAILER-DAEMON in the place of the sender; with ESMTP
 * parameters it also writes a line of its own into the replies to its client. Postfix takes them all.
 *
 * Text is latin1. Seen on Sendmail 8.17.
 */

const MAX_ADDRESS_BYTES = 253;

/** @param path an address in angle brackets. @returns what is wrong with it for Sendmail, if anything */
export function sendmailComplaint(path: string): string | undefined {
  const address = path.slice(1, -1);
  if (address.length > MAX_ADDRESS_BYTES) {
    return `address of more than ${MAX_ADDRESS_BYTES} bytes, which Sendmail does not take`;
  }
  // Its own marks: they are taken for these, or lost.
  if (/[\x80-\x9f\xff]/.test(address))
    return 'address with a byte that Sendmail does not take: 128 to 159, 255';
  const domain = /@([^@"[\]]*)$/.exec(address)?.[1];
  if (domain?.startsWith('.') || domain?.includes('..')) return 'address with an empty label in its domain';
  if (domain === undefined && /^[|/]/.test(address)) {
    return 'address without a domain that Sendmail takes for a program or a file';
  }
  return undefined;
}
