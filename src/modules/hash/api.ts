/** The module `hash`. */
import type { Chapter } from '../entry.ts';

const ALGORITHM = {
  name: 'algorithm',
  type: 'string',
  sample: '"sha256"',
  doc: '`sha256`, `sha1`, `sha512`, `sha384`, `sha224` or `md5`',
} as const;

export const hashApi = {
  title: 'Hashes',
  doc: 'Digests of bytes, in lower-case hexadecimal digits.',
  entries: [
    {
      kind: 'function',
      name: 'hash.hex',
      pure: true,
      params: [ALGORITHM, { name: 'bytes', type: 'string', doc: 'what is digested' }],
      results: [{ type: 'string', doc: 'the digest' }],
      doc: 'The digest of bytes.',
      example: 'local id = hash.hex("sha256", smtp.tran.sender)',
    },
    {
      kind: 'function',
      name: 'hash.hmac',
      pure: true,
      params: [
        ALGORITHM,
        { name: 'key', type: 'string', doc: 'the secret, bytes' },
        { name: 'bytes', type: 'string', doc: 'what is signed' },
      ],
      results: [{ type: 'string', doc: 'the code' }],
      doc: 'The keyed digest of bytes (RFC 2104).',
      example: 'local tag = hash.hmac("sha256", secret, smtp.tran.sender):sub(1, 16)',
    },
  ],
} as const satisfies Chapter;
