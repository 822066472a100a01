/** The module `kv`. */
import type { Chapter } from '../entry.ts';

export const STORE_ERR = {
  type: 'string|nil',
  name: 'err',
  doc: 'why it could not be done, or found out: `timeout ...`, `unavailable ...`, `limit ...`, `protocol ...`',
} as const;
export const STORE_TIMEOUT = {
  name: 'timeout',
  type: 'number',
  optional: true,
  doc: 'seconds; 1 without it',
} as const;
export const STORE_KEY = {
  name: 'key',
  type: 'string',
  doc: 'bytes, not empty, at most 65,536; of one longer than 1,024 bytes a hash is kept',
} as const;

const VALUE = {
  name: 'value',
  type: 'string|number|boolean|table',
  sample: '"x"',
  doc: 'a string, number or boolean, or a table of these by strings or integers: at most 64 fields and 64 KiB',
} as const;
const TTL = {
  name: 'ttl',
  type: 'number',
  optional: true,
  doc: 'seconds until it is gone by itself; for ever without it',
} as const;

const get = {
  kind: 'function',
  waits: true,
  params: [STORE_KEY, STORE_TIMEOUT],
  results: [
    { type: 'string|number|boolean|table|nil', doc: 'the value, as it was set; nil where there is none' },
    STORE_ERR,
  ],
} as const;
const set = {
  kind: 'function',
  waits: true,
  params: [STORE_KEY, VALUE, TTL, STORE_TIMEOUT],
  results: [{ type: 'boolean|nil', doc: 'true: it is stored' }, STORE_ERR],
} as const;
const add = {
  kind: 'function',
  waits: true,
  params: [STORE_KEY, VALUE, TTL, STORE_TIMEOUT],
  results: [
    { type: 'boolean|nil', doc: 'whether nothing stood there: of several at once exactly one gets true' },
    STORE_ERR,
  ],
} as const;
const incr = {
  kind: 'function',
  waits: true,
  params: [
    STORE_KEY,
    { name: 'by', type: 'integer', optional: true, doc: 'what is added, 1 without it' },
    { ...TTL, doc: 'seconds until the number is gone, counted from its first call; for ever without it' },
    STORE_TIMEOUT,
  ],
  results: [{ type: 'number|nil', doc: 'the sum; what was not there counts as 0' }, STORE_ERR],
} as const;
const del = {
  kind: 'function',
  waits: true,
  params: [STORE_KEY, STORE_TIMEOUT],
  results: [{ type: 'boolean|nil', doc: 'false: nothing was there' }, STORE_ERR],
} as const;

export const kvApi = {
  title: 'Key-value store',
  doc: `What a policy remembers beyond a session: shared by all workers of the server, and with a store in Redis or Valkey by all
servers (\`--store\`). A value is there when the call has returned. Each call is atomic. A store that does not answer is
\`nil, "timeout ..."\` or \`nil, "unavailable ..."\`, never "not there".`,
  uses: ['store'],
  entries: [
    {
      ...get,
      name: 'kv.get',
      doc: 'The value under a key.',
      example: 'local seen, err = kv.get("seen:" .. smtp.sess.ip)',
    },
    {
      ...set,
      name: 'kv.set',
      doc: 'Puts a value under a key, in the place of another.',
      example: 'kv.set("seen:" .. smtp.sess.ip, true, 86400)',
    },
    {
      ...add,
      name: 'kv.add',
      doc: 'Puts a value under a key where nothing stands.',
      example: 'if kv.add("told:" .. user, true, 3600) then tell(user) end',
    },
    {
      ...incr,
      name: 'kv.incr',
      doc: 'Adds to a number. One beyond 2^53 is `limit`, what is no number `protocol`.',
      example: 'local n = kv.incr("mails:" .. smtp.sess.ip, 1, 3600)',
    },
    {
      ...del,
      name: 'kv.del',
      doc: 'Takes away what stands under a key.',
      example: 'kv.del("seen:" .. smtp.sess.ip)',
    },
    {
      kind: 'function',
      name: 'kv.open',
      pure: true,
      params: [
        {
          name: 'name',
          type: 'string',
          sample: '"mine"',
          doc: 'of the space: 1 to 32 of the letters a to z, digits, `_`, `.` and `-`',
        },
      ],
      results: [{ type: 'kv.store', doc: 'the same five functions, as methods' }],
      doc: 'A space of keys of its own.',
      example: 'local vips = kv.open "vips"\nlocal note = vips:get(smtp.sess.ip)',
    },
    { kind: 'class', name: 'kv.store', doc: 'A space of keys.', fields: [] },
    { ...get, name: 'kv.store:get', doc: 'As `kv.get`.' },
    { ...set, name: 'kv.store:set', doc: 'As `kv.set`.' },
    { ...add, name: 'kv.store:add', doc: 'As `kv.add`.' },
    { ...incr, name: 'kv.store:incr', doc: 'As `kv.incr`.' },
    { ...del, name: 'kv.store:del', doc: 'As `kv.del`.' },
  ],
} as const satisfies Chapter;
