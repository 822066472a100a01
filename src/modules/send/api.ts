/** The function `smtp.send`. */
import { MAX_MESSAGE } from '../../mail-client/mailer.ts';
import type { Chapter } from '../entry.ts';

/** Recipients of one message. */
export const MAX_RECIPIENTS = 100;

export const sendApi = {
  title: 'Sending mail',
  doc: `A message of the policy’s own, a note to the postmaster or a copy for an archive: it is handed to the mail server that \`--smarthost\`
names. The session waits for that server’s answer, no other session does. What the server has taken it delivers by itself; a message
that it could not be handed is not kept: \`nil, err\`, and the policy decides what becomes of it.

Recipients are counted over all workers: \`--send-per-hour\` of them at once, and one more with each part of an hour that is over, as
\`rate.take\` counts. More are \`nil, "limit ..."\`. A store that does not answer lets each worker count for itself.

No mail is sent because of mail that \`smtp.send\` has sent. Each message gets a header \`X-Loop: smtpf-milter-\` with a number that the
store knows for 5 days, and its ENVID (RFC 3461) says the same. In a transaction with such a mark, from MAIL on where the MTA passes ENVID on and
else once the headers have come, the function returns \`nil, "refused ... mail loop"\`. Nobody can guess a number; who has received such a message
can show it again, and only stops himself from causing mail. Outside of a transaction, and where a mail server takes marks away, the
limit of an hour is all that ends a loop: leave \`from\` away, so that no notice of a failed delivery comes back.`,
  uses: ['mailer', 'clock'],
  entries: [
    {
      kind: 'function',
      name: 'smtp.send',
      waits: true,
      params: [
        {
          name: 'opts',
          type: 'smtp.mail',
          sample: '{ to = "a@b.example", message = "From: c@d.example\\n\\ntext" }',
          doc: 'see below',
        },
      ],
      results: [
        { type: 'boolean|nil', doc: 'true: the server has taken it; false: it refuses it for good' },
        {
          type: 'string|nil',
          name: 'reply',
          doc: 'the server’s reply; with nil why it was not sent: `unavailable ...`, `timeout ...` (it may have been taken all the same), `refused ...` for a reply that is no firm no and for a loop, `protocol ...`, `limit ...`',
        },
        {
          type: 'table|nil',
          name: 'refused',
          doc: 'with true, where the server has refused some of the recipients: its reply by address',
        },
      ],
      forms: [
        ['true', 'string'],
        ['true', 'string', 'table'],
        ['false', 'string'],
        ['nil', 'string'],
      ],
      doc: 'Sends a message through the smarthost.',
      example:
        'local sent, reply = smtp.send {\n  to = "postmaster@example.com",\n  message = {\n    headers = { From = "Filter <filter@example.com>", To = "postmaster@example.com", Subject = "Held: " .. subject },\n    text = "A message from " .. smtp.sess.ip .. " is held.\\n",\n  },\n}\nif not sent then syslog.warning("no note: " .. reply) end',
    },
    {
      kind: 'class',
      name: 'smtp.mail',
      doc: 'What is sent.',
      fields: [
        {
          name: 'from',
          type: 'string|nil',
          doc: 'the sender of the envelope; the null sender without it, to whom nothing comes back',
        },
        {
          name: 'to',
          type: 'string|string[]',
          doc: `a recipient, or a list of at most ${MAX_RECIPIENTS}; addresses with or without brackets`,
        },
        {
          name: 'message',
          type: 'string|smtp.mail_text',
          doc: `the whole message: headers, an empty line, the body; at most ${MAX_MESSAGE / 1024 / 1024} MiB. Line ends become CRLF, all other bytes stay as they are. Text of strangers in a header goes through \`header.encode\`, or a line end in it would begin a header of theirs. Or a table of headers and a text, of which that is done`,
        },
        { name: 'timeout', type: 'number|nil', doc: 'seconds for all of it; 30 without it' },
      ],
    },
    {
      kind: 'class',
      name: 'smtp.mail_text',
      doc: 'A message that is made of its parts: UTF-8, encoded as mail needs it.',
      fields: [
        {
          name: 'headers',
          type: 'table',
          doc: 'values by name, `From` among them. Line ends in a value become blanks, one longer than 2,000 bytes is cut. Date, Message-ID and `Auto-Submitted: auto-generated` are added where they are not given, and those of MIME',
        },
        { name: 'text', type: 'string', doc: 'the text' },
      ],
    },
  ],
} as const satisfies Chapter;
