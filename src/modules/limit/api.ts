/** The module `limit`. */
import type { Chapter } from '../entry.ts';
import { STORE_ERR, STORE_KEY, STORE_TIMEOUT } from '../kv/api.ts';

export const limitApi = {
  title: 'Places',
  doc: `So many at a time, such as sessions of one user: over all workers, and with a store in Redis or Valkey over all servers.
A place is given back at the end of the session by itself, and those of a worker that died when their time is over.`,
  uses: ['store'],
  entries: [
    {
      kind: 'function',
      name: 'limit.acquire',
      waits: true,
      params: [
        STORE_KEY,
        { name: 'n', type: 'integer', sample: '5', doc: 'how many places there are, 1 to 1,000' },
        {
          name: 'ttl',
          type: 'number',
          optional: true,
          doc: 'seconds after which the places of a dead worker are free, at least 3; 60 without it. A session keeps its place beyond it',
        },
        STORE_TIMEOUT,
      ],
      results: [{ type: 'limit.slot|false|nil', doc: 'the place; false where none is free' }, STORE_ERR],
      forms: [
        ['limit.slot', 'nil'],
        ['false', 'nil'],
        ['nil', 'string'],
      ],
      doc: 'Takes a place.',
      example:
        'local slot = must(limit.acquire("sessions:" .. smtp.sess.auth.user, 5))\nif not slot then return 421, "4.7.0 too many sessions" end',
    },
    { kind: 'class', name: 'limit.slot', doc: 'A place that is taken.', fields: [] },
    {
      kind: 'function',
      name: 'limit.slot:release',
      params: [],
      results: [{ type: 'boolean', doc: 'true; false: it was given back before' }],
      doc: 'Gives a place back before the end of the session. The store is told in the background.',
      example: 'slot:release()',
    },
  ],
} as const satisfies Chapter;
