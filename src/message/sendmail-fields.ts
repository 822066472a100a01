/**
 * What Sendmail makes of fields with addresses when it sends a message on: one space behind each comma between addresses,
 * and none before it; empty places go. Source: sendmail/headers.c commaize(), seen at work.
 */
import type { HeaderField } from './header-syntax.ts';

/** Those that conf.c marks as H_RCPT or H_FROM. */
const ADDRESS_FIELDS: ReadonlySet<string> = new Set([
  ...['from', 'sender', 'reply-to', 'to', 'cc', 'bcc', 'apparently-to', 'errors-to', 'return-receipt-to'],
  ...['resent-from', 'resent-sender', 'resent-reply-to', 'resent-to', 'resent-cc', 'resent-bcc'],
  ...['disposition-notification-to'],
]);

/** Texts in quotes, comments and brackets hold commas of their own; a backslash takes the next character with it. */
const PIECES = /\\[\s\S]?|"(?:\\[\s\S]|[^"\\])*"?|<[^>]*>?|[^\\"<(,]+|[(,]/g;

/** @param name in lower case */
export function isResentField(name: string): boolean {
  return name.startsWith('resent-');
}

/**
 * The same fields, but for white space at line ends within them. Resent-To and the like are not sent where the message
 * came without any.
 */
export function asSendmailSends(fields: readonly HeaderField[], isResent: boolean): HeaderField[] {
  return fields.flatMap((field) => {
    const name = field.name.toLowerCase();
    if (!isResent && isResentField(name)) return [];
    if (!field.value.includes(',') || !ADDRESS_FIELDS.has(name)) return [field];
    return [{ name: field.name, value: ` ${addressesOf(field.value).join(', ')}` }];
  });
}

function addressesOf(value: string): string[] {
  const addresses: string[] = [];
  let address = '';
  let depth = 0;
  for (let at = 0; at < value.length; ) {
    if (depth > 0) {
      const char = value[at] as string;
      if (char === '(') depth += 1;
      if (char === ')') depth -= 1;
      const length = char === '\\' ? 2 : 1;
      address += value.slice(at, at + length);
      at += length;
      continue;
    }
    PIECES.lastIndex = at;
    const piece = PIECES.exec(value)?.[0] ?? '';
    if (piece === '') break;
    at += piece.length;
    if (piece === ',') {
      addresses.push(address.trim());
      address = '';
      continue;
    }
    if (piece === '(') depth = 1;
    address += piece;
  }
  return [...addresses, address.trim()].filter((text) => text !== '');
}
