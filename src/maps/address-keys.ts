/** The keys of access(5) for an address, the most telling first. */

/** Parts of a domain that are looked up: a name of a hundred labels is a stranger's joke. */
const MAX_LABELS = 20;

/**
 * `user+x@d`, `user@d`, `d`, then each `.parent`, then `user@`.
 *
 * @param address without angle brackets; '' is the null sender, looked up as `<>`
 * @param delimiters that begin an extension, as Postfix's recipient_delimiter
 */
export function addressKeys(address: string, delimiters = '+'): string[] {
  if (address === '' || address === '<>') return ['<>'];
  const at = address.lastIndexOf('@');
  const local = at < 0 ? address : address.slice(0, at);
  const domain = at < 0 ? '' : address.slice(at + 1).replace(/\.$/, '');
  const base = withoutExtension(local, delimiters);
  const keys = at < 0 ? [] : [`${local}@${domain}`, `${base}@${domain}`];
  if (domain !== '') {
    keys.push(domain);
    // Literals have no parents.
    const labels = domain.startsWith('[') ? [] : domain.split('.').slice(1);
    const near = labels.slice(-MAX_LABELS);
    for (let i = 0; i < near.length; i++) keys.push(`.${near.slice(i).join('.')}`);
  }
  keys.push(`${local}@`, `${base}@`);
  return [...new Set(keys)];
}

function withoutExtension(local: string, delimiters: string): string {
  // The names of the owner of a list and of bounces have no extensions.
  if (/^(?:owner-.*|.*-request|mailer-daemon|postmaster|double-bounce)$/i.test(local)) return local;
  const end = [...local].findIndex((letter, i) => i > 0 && delimiters.includes(letter));
  return end < 0 ? local : local.slice(0, end);
}
