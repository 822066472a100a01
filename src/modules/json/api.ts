/** The module `json`. */
import type { Chapter } from '../entry.ts';

const ERR = { type: 'string|nil', name: 'err', doc: '`protocol ...` or `limit ...`' } as const;

export const jsonApi = {
  title: 'JSON',
  doc: 'Values as JSON (RFC 8259) and back. Text is UTF-8 in bytes. At most 1 MiB and 64 levels.',
  entries: [
    {
      kind: 'function',
      name: 'json.encode',
      pure: true,
      params: [
        {
          name: 'value',
          type: 'any',
          sample: '{ a = 1 }',
          doc: 'string, number, boolean, nil, or a table of these: one with an element at 1 is an array, an empty one too',
        },
      ],
      results: [{ type: 'string|nil', doc: 'one line; bytes that are no UTF-8 become U+FFFD' }, ERR],
      doc: 'A value as JSON. Functions and the like, NaN and infinity are `nil, "protocol ..."`.',
      example: 'local line = json.encode { ip = smtp.sess.ip, rcpts = #smtp.tran.rcpts }',
    },
    {
      kind: 'function',
      name: 'json.decode',
      pure: true,
      params: [{ name: 'text', type: 'string', sample: '"{}"', doc: 'JSON' }],
      results: [
        {
          type: 'any',
          doc: 'the value; `null` is nil, and is left out of objects. Integers beyond 32 bits are floats',
        },
        ERR,
      ],
      doc: 'The value that JSON stands for. `null` alone is nil without `err`.',
      example: 'local answer, err = json.decode(text)',
    },
  ],
} as const satisfies Chapter;
