/** The module `rate`. */
import type { Chapter } from '../entry.ts';
import { STORE_ERR, STORE_KEY, STORE_TIMEOUT } from '../kv/api.ts';

const SPEC = {
  name: 'spec',
  type: 'string',
  sample: '"10/m"',
  doc: 'a rate such as `"200/h"`: per second, minute, hour or day (s, m, h, d); with `,50` behind it at most 50 at once, without it as many as the count',
} as const;

export const rateApi = {
  title: 'Rates',
  doc: `Limits of how often something may happen, shared by all workers, exact under any number of sessions at a time. A bucket is
one key with one rate: two rates on a key are two buckets. It fills evenly: of \`"60/h"\` one comes back each minute. A take that
is refused takes nothing.`,
  uses: ['store'],
  entries: [
    {
      kind: 'function',
      name: 'rate.take',
      waits: true,
      params: [
        STORE_KEY,
        {
          ...SPEC,
          type: 'string|string[]',
          doc: `${SPEC.doc}. Of a table of rates all must let it through, or none is taken from`,
        },
        {
          name: 'cost',
          type: 'integer',
          optional: true,
          doc: 'how many are taken: 1 without it, 0 only looks; more than fits at once raises an error',
        },
        STORE_TIMEOUT,
      ],
      results: [
        { type: 'boolean|nil', doc: 'whether it is let through' },
        {
          type: 'integer|number|string',
          name: 'left',
          doc: 'how many are left; where it is refused the seconds until it would be let through; `err` behind nil',
        },
        { type: 'string|nil', name: 'refusing', doc: 'the rate that refuses, as it was given' },
      ],
      doc: 'Takes from a bucket.',
      example:
        'local ok, seconds = rate.take("rcpt:" .. smtp.sess.auth.user, { "200/h", "1000/d" })\nif not ok then return 451, "4.7.1 too many recipients" end',
    },
    {
      kind: 'function',
      name: 'rate.reset',
      waits: true,
      params: [STORE_KEY, SPEC, STORE_TIMEOUT],
      results: [{ type: 'boolean|nil', doc: 'false: nothing was taken from it' }, STORE_ERR],
      doc: 'Fills a bucket again.',
      example: 'rate.reset("rcpt:joe", "200/h")',
    },
  ],
} as const satisfies Chapter;
