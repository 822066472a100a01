/** The module `grey`. */
import type { Chapter } from '../entry.ts';
import { STORE_TIMEOUT } from '../kv/api.ts';

export const greyApi = {
  title: 'Greylisting',
  doc: `Who sends mail for the first time is asked to come again: most senders of spam do not. Shared by all workers, and kept
over restarts. A client's network (/24, /64) with enough attempts that passed needs no delay any more. Senders that write a
number or an address of theirs into the local part (VERP, SRS, BATV) are one sender.`,
  uses: ['store'],
  entries: [
    {
      kind: 'function',
      name: 'grey.check',
      from: 'mail',
      waits: true,
      params: [{ name: 'opts', type: 'grey.options', optional: true, doc: 'see below' }],
      results: [
        { type: 'boolean|nil', doc: 'whether the attempt may pass' },
        {
          type: 'integer|number|string',
          name: 'why',
          doc: 'where it may: `passed`, `known`, `client` or `auth`; where not: the seconds until it may; `err` behind nil',
        },
        { type: 'string|nil', name: 'state', doc: 'where it may not: `new` or `early`' },
      ],
      doc: 'Looks at an attempt to send. `passed` is the first attempt after the delay, `known` a later one, `client` one of a network that has passed often enough, `auth` a client that has logged in, for which nobody is asked. An attempt that comes too early does not begin the delay anew, and a recipient that is named again in the same session is no further attempt.',
      example:
        'function smtp.do_rcpt()\n  local ok, seconds = must(grey.check())\n  if not ok then return 451, ("4.7.1 greylisted, try again in %d s"):format(seconds) end\nend',
    },
    {
      kind: 'class',
      name: 'grey.options',
      doc: 'How an attempt is looked at.',
      fields: [
        {
          name: 'key',
          type: 'string|nil',
          doc: "what is greylisted; without it the client's network with the sender, in `smtp.do_rcpt` with the recipient too, in lower case",
        },
        { name: 'delay', type: 'number|nil', doc: 'seconds until it may pass; 300 without it' },
        {
          name: 'window',
          type: 'number|nil',
          doc: 'seconds after the first attempt in which it must come again; 172,800 (two days) without it',
        },
        {
          name: 'ttl',
          type: 'number|nil',
          doc: 'seconds for which one that passed is known, from the last time; 3,024,000 (35 days) without it',
        },
        {
          name: 'auto',
          type: 'integer|nil',
          doc: "attempts that passed after which the client's network needs no delay; 5 without it, 0 never",
        },
        { name: 'timeout', type: 'number|nil', doc: STORE_TIMEOUT.doc },
      ],
    },
  ],
} as const satisfies Chapter;
