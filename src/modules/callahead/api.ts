/** The function `smtp.callahead`. */
import type { Chapter } from '../entry.ts';

export const callAheadApi = {
  title: 'Asking other mail servers',
  doc: `Whether another mail server, mostly the one behind this one, takes a recipient: it is asked as far as RCPT, and no mail is sent.
Answers are kept in the store: yes for 4 hours, no for 10 minutes; that something could not be found out, for 30 seconds. An address is asked
about once at a time, a server is asked four things at a time in a worker, and one that does not answer is left alone for a while.
An address of this server itself, \`--own-address\`, is never asked, nor is where the milter listens.`,
  uses: ['callAhead'],
  entries: [
    {
      kind: 'function',
      name: 'smtp.callahead',
      waits: true,
      params: [
        {
          name: 'hosts',
          type: 'string|string[]',
          sample: '"127.0.0.1"',
          doc: 'name or address of a mail server; `mx:example.com` for those of a domain; several are asked in order until one knows',
        },
        { name: 'rcpt', type: 'string', sample: '"a@b.example"', doc: 'address, with or without brackets' },
        { name: 'opts', type: 'smtp.callahead_options', optional: true, doc: 'see below' },
      ],
      results: [
        { type: 'boolean|nil', doc: 'true: the server takes it; false: it refuses the recipient for good' },
        {
          type: 'string|nil',
          name: 'reply',
          doc: 'with false the server’s reply, which is for the log and not for the client; with nil why it could not be found out: `refused ...` for any other reply, `timeout ...`, `unavailable ...`, `protocol ...`',
        },
      ],
      forms: [['true'], ['false', 'string'], ['nil', 'string']],
      doc: 'Asks whether a mail server takes a recipient.',
      example:
        'local taken, reply = smtp.callahead("mail.internal.example", addr)\nif taken == false then\n  syslog.info(addr .. ": " .. reply)\n  return 550, "5.1.1 no such user"\nend',
    },
    {
      kind: 'class',
      name: 'smtp.callahead_options',
      doc: 'How a mail server is asked.',
      fields: [
        { name: 'from', type: 'string|nil', doc: 'the sender; the null sender without it' },
        { name: 'helo', type: 'string|nil', doc: 'our name; that of this machine without it' },
        { name: 'port', type: 'integer|nil', doc: '25 without it' },
        { name: 'timeout', type: 'number|nil', doc: 'seconds for all of it; 5 without it' },
        {
          name: 'probe',
          type: 'boolean|nil',
          doc: 'asks about an address that nobody has too: where that is taken, the answer is `nil, "refused accepts everyone"`',
        },
        {
          name: 'yes',
          type: 'number|nil',
          doc: 'seconds for which a yes is kept; 14,400 without it, 0: not at all',
        },
        {
          name: 'no',
          type: 'number|nil',
          doc: 'seconds for which a no is kept; 600 without it, 0: not at all',
        },
      ],
    },
  ],
} as const satisfies Chapter;
