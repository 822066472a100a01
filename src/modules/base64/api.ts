/** The module `base64`. */
import type { Chapter } from '../entry.ts';

export const base64Api = {
  title: 'Base64',
  doc: 'Bytes as letters, and back (RFC 4648).',
  entries: [
    {
      kind: 'function',
      name: 'base64.encode',
      pure: true,
      params: [{ name: 'bytes', type: 'string', doc: 'what is encoded' }],
      results: [{ type: 'string', doc: 'one line, padded' }],
      doc: 'Bytes in base64.',
      example: 'local text = base64.encode(smtp.sess.helo)',
    },
    {
      kind: 'function',
      name: 'base64.decode',
      pure: true,
      params: [
        {
          name: 'text',
          type: 'string',
          doc: 'base64, with blanks and line ends anywhere; padding may be missing',
        },
      ],
      results: [
        { type: 'string|nil', doc: 'the bytes' },
        { type: 'string|nil', name: 'err', doc: '`protocol ...` where the text is no base64' },
      ],
      doc: 'The bytes that base64 stands for. The letters `-` and `_` of URLs are taken for `+` and `/`.',
      example: 'local bytes = base64.decode("aGVsbG8=")',
    },
  ],
} as const satisfies Chapter;
