/** Which rules hold for the text of a header. */

/**
 * - `text`: anything, as in Subject; a header that is not listed.
 * - `addresses`: an address list. Only names and comments are text.
 * - `parameters`: tokens with `; name=value` behind them. Values and comments are text.
 * - `tokens`: other structure, in which only comments are text.
 */
export type HeaderKind = 'text' | 'addresses' | 'parameters' | 'tokens';

const ADDRESSES = [
  ...[
    'From',
    'Sender',
    'Reply-To',
    'To',
    'Cc',
    'Bcc',
    'Apparently-To',
    'Errors-To',
    'Return-Path',
    'Delivered-To',
  ],
  ...['Resent-From', 'Resent-Sender', 'Resent-Reply-To', 'Resent-To', 'Resent-Cc', 'Resent-Bcc'],
  ...['Disposition-Notification-To', 'Return-Receipt-To', 'Mail-Followup-To', 'Mail-Reply-To'],
  ...['X-Original-To', 'X-Envelope-From', 'X-Envelope-To', 'Envelope-To', 'X-Sender', 'List-Id'],
];
const PARAMETERS = ['Content-Type', 'Content-Disposition'];
const TOKENS = [
  ...['Date', 'Resent-Date', 'Received', 'Message-ID', 'Resent-Message-ID', 'In-Reply-To', 'References'],
  ...['MIME-Version', 'Content-Transfer-Encoding', 'Content-ID', 'Content-Location', 'Auto-Submitted'],
  ...['DKIM-Signature', 'ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results'],
  ...['Authentication-Results', 'Received-SPF', 'Autocrypt', 'Precedence'],
  ...['List-Archive', 'List-Help', 'List-Owner', 'List-Post', 'List-Subscribe', 'List-Unsubscribe'],
  'List-Unsubscribe-Post',
];

const KINDS = new Map<string, HeaderKind>([
  ...ADDRESSES.map((name) => [name.toLowerCase(), 'addresses'] as const),
  ...PARAMETERS.map((name) => [name.toLowerCase(), 'parameters'] as const),
  ...TOKENS.map((name) => [name.toLowerCase(), 'tokens'] as const),
]);

/** @param name in upper or lower case */
export function headerKind(name: string): HeaderKind {
  return KINDS.get(name.toLowerCase()) ?? 'text';
}
