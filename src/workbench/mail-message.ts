/**
 * A message as bytes, and as the MTAs show it to a filter: headers one by one, and the body.
 */

/** `value` is everything after the colon, folds as LF and white space. Text is latin1. */
export interface MailHeader {
  readonly name: string;
  readonly value: string;
}

export interface MailMessage {
  readonly headers: readonly MailHeader[];
  /** Lines end in CRLF. */
  readonly body: Buffer;
}

/** Lines may end in LF or CRLF; a first line `From ` of an mbox is left out. */
export function parseMessage(bytes: Buffer): MailMessage {
  const text = bytes.toString('latin1').replace(/\r?\n/g, '\r\n');
  const lines = text.split('\r\n');
  if (lines[0]?.startsWith('From ')) lines.shift();
  const headers: MailHeader[] = [];
  let line = lines.shift();
  for (; line !== undefined && line !== ''; line = lines.shift()) {
    const last = headers.at(-1);
    if (/^[ \t]/.test(line) && last) {
      headers[headers.length - 1] = { name: last.name, value: `${last.value}\n${line}` };
      continue;
    }
    const colon = line.indexOf(':');
    if (colon <= 0) {
      // No header: the body begins here, without an empty line before it, as both MTAs take it.
      lines.unshift(line);
      break;
    }
    headers.push({ name: line.slice(0, colon).trimEnd(), value: line.slice(colon + 1) });
  }
  return { headers, body: Buffer.from(lines.join('\r\n'), 'latin1') };
}

/** The message with CRLF line ends. */
export function formatMessage({ headers, body }: MailMessage): Buffer {
  const head = headers.map(({ name, value }) => `${name}:${value.replaceAll('\n', '\r\n')}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), body]);
}
