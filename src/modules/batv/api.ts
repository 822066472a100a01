/** The module `batv`. */
import type { Chapter } from '../entry.ts';
import { ADDRESS, SECRET_ERR } from '../srs/api.ts';

export const batvApi = {
  title: 'Tagged senders (BATV)',
  doc: `Mail of one's own goes out with a tag in its envelope sender, so that a bounce to an address without one is known for an
answer to mail that was never sent: \`jane@example.org\` becomes \`prvs=0123abcdef=jane@example.org\` (PRVS of BATV, as Exim makes it). A tag
counts for seven days. The secrets are those of \`--srs-secret\`.`,
  uses: ['senders'],
  entries: [
    {
      kind: 'function',
      name: 'batv.sign',
      params: [ADDRESS],
      results: [
        {
          type: 'string|nil',
          doc: 'the address with a tag; as it is where it is the null sender, has no domain, or has a tag',
        },
        SECRET_ERR,
      ],
      doc: 'Tags a sender.',
      example: 'if smtp.sess.auth then smtp.set_sender(must(batv.sign(smtp.tran.sender))) end',
    },
    {
      kind: 'function',
      name: 'batv.check',
      params: [{ ...ADDRESS, doc: 'the recipient of a bounce, with or without angle brackets' }],
      results: [
        {
          type: 'string|false|nil',
          doc: 'the address without its tag; false where it has none that we have made',
        },
        {
          type: 'string|nil',
          name: 'why',
          doc: 'after false `hash`, `expired` or `not BATV`; after nil `unavailable ...`',
        },
      ],
      forms: [['string'], ['false', 'string'], ['nil', 'string']],
      doc: 'Takes a tag off.',
      example:
        'local address, why = batv.check(rcpt)\nif address == false then return 550, "We have not sent that" end',
    },
  ],
} as const satisfies Chapter;
