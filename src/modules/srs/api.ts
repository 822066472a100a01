/** The module `srs`. */
import { signingDomain } from '../../mail-auth/dkim-sign.ts';
import type { Chapter } from '../entry.ts';

export const ADDRESS = {
  name: 'address',
  type: 'string',
  sample: '"jane@example.org"',
  doc: 'with or without angle brackets; `""` is the null sender',
} as const;

/** Of the results of a function that needs the secrets. */
export const SECRET_ERR = {
  type: 'string|nil',
  name: 'err',
  doc: 'why it could not be done: `unavailable ...` where there is no secret, or its file cannot be read',
} as const;

export const srsApi = {
  title: 'Rewritten senders (SRS)',
  doc: `Mail that is passed on comes from this server, which the domain of its sender may not allow (SPF). With the Sender
Rewriting Scheme the sender becomes an address here, of which only this server can make the old one again, for 21 days:
\`jane@example.org\` becomes \`SRS0=HHHH=TT=example.org=jane@forward.example\`. What postsrsd and libsrs2 have made with the
same secret is understood, and the other way round.

\`--srs-secret FILE\` has the secrets, one a line: the first signs, all verify. The file is read again when it has changed; it is
read before \`--user\` counts, and no script sees it. \`--srs-domain\` is the domain that takes the answers.`,
  uses: ['senders'],
  entries: [
    {
      kind: 'function',
      name: 'srs.forward',
      params: [
        ADDRESS,
        {
          name: 'domain',
          type: 'string',
          optional: true,
          check: (text: string) => domainComplaint(text),
          sample: '"forward.example"',
          doc: 'ours, that takes the answers; the first of `--srs-domain` without it',
        },
      ],
      results: [
        {
          type: 'string|nil',
          doc: 'the sender with which the message can be passed on; the address itself where that is the null sender, or of `domain` or a domain of `--srs-domain`',
        },
        SECRET_ERR,
      ],
      doc: 'Rewrites a sender. One that another server has rewritten before becomes SRS1, which names that server.',
      example: 'smtp.set_sender(must(srs.forward(smtp.tran.sender)))',
    },
    {
      kind: 'function',
      name: 'srs.reverse',
      params: [{ ...ADDRESS, doc: 'the recipient of a bounce, with or without angle brackets' }],
      results: [
        { type: 'string|false|nil', doc: 'the sender before; false where it is none that we have made' },
        {
          type: 'string|nil',
          name: 'why',
          doc: 'after false `hash`, `expired` or `not SRS`; after nil `unavailable ...`',
        },
      ],
      forms: [['string'], ['false', 'string'], ['nil', 'string']],
      doc: 'Takes back what `srs.forward`, or postsrsd with one of the secrets, has made.',
      example:
        'local original, why = srs.reverse(address)\nif why == "expired" then return 550, "This address has expired" end',
    },
  ],
} as const satisfies Chapter;

/** What is wrong with a domain that is to take answers. */
export function domainComplaint(text: string): string | undefined {
  return signingDomain(text) === undefined ? 'a domain is expected, such as forward.example' : undefined;
}
