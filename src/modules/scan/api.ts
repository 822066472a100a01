/** The module `scan`. */
import type { Chapter } from '../entry.ts';

const ERR = {
  type: 'string|nil',
  name: 'err',
  doc: 'why it could not be found out: `timeout ...`, `unavailable ...`, `protocol ...`, or `limit ...` for a message that is too large',
} as const;
const TIMEOUT = { name: 'timeout', type: 'number|nil', doc: 'seconds for all of it; 30 without it' } as const;
const server = (option: string) =>
  ({
    name: 'server',
    type: 'string|nil',
    doc: `another server than that of \`${option}\`, written in the same way`,
  }) as const;
const opts = (type: string) => ({ name: 'opts', type, optional: true, doc: 'see below' }) as const;

export const scanApi = {
  title: 'Scanners',
  doc: `What ClamAV, SpamAssassin and rspamd say of a message. They are asked in \`smtp.do_dot\`, about the message as it has arrived:
changes that the policy has asked for are not in it. A message is sent to a scanner whole or not at all. A scanner that does not
answer is left alone for a while: then calls are \`nil, "unavailable ..."\` at once, and the log has a line when it goes and one when
it is back. At most 20 messages are with one scanner at a time in a worker; the others wait within their own time. Several scanners
are asked at a time with [\`job.start\`](#jobs).`,
  uses: ['scanners'],
  entries: [
    {
      kind: 'function',
      name: 'scan.clamd',
      from: 'dot',
      waits: true,
      params: [opts('scan.clamd_options')],
      results: [
        { type: 'string|boolean|nil', doc: 'what was found, by the name of its signature; false: nothing' },
        ERR,
      ],
      doc: 'Asks ClamAV’s clamd, which is named by `--clamd`.',
      example:
        'local virus = must(scan.clamd())\nif virus then return 550, "5.7.1 this message holds " .. virus end',
    },
    {
      kind: 'function',
      name: 'scan.spamd',
      from: 'dot',
      waits: true,
      params: [opts('scan.spamd_options')],
      results: [{ type: 'scan.spamd_result|nil', doc: 'its result' }, ERR],
      doc: 'Asks SpamAssassin’s spamd, which is named by `--spamd`.',
      example:
        'local result, err = scan.spamd()\nif result and result.score >= 10 then return 550, "5.7.1 this looks like spam" end',
    },
    {
      kind: 'function',
      name: 'scan.rspamd',
      from: 'dot',
      waits: true,
      params: [opts('scan.rspamd_options')],
      results: [{ type: 'scan.rspamd_result|nil', doc: 'its result' }, ERR],
      doc: `Asks rspamd, which is named by \`--rspamd\`: its normal worker (port 11333) or its proxy. It is told the client’s address and name, HELO,
sender, recipients that were not refused, login and queue id.`,
      example:
        'local result = must(scan.rspamd())\nif result.action == "reject" then return 550, result.reply or "5.7.1 spam" end\nresult:apply()',
    },
    {
      kind: 'class',
      name: 'scan.clamd_options',
      doc: 'How clamd is asked.',
      fields: [
        server('--clamd'),
        TIMEOUT,
        { name: 'max', type: 'integer|nil', doc: 'bytes of a message, more is `limit`; 25 MiB without it' },
      ],
    },
    {
      kind: 'class',
      name: 'scan.spamd_options',
      doc: 'How spamd is asked.',
      fields: [
        server('--spamd'),
        { name: 'user', type: 'string|nil', doc: 'whose settings count: printable ASCII' },
        TIMEOUT,
        { name: 'max', type: 'integer|nil', doc: 'bytes of a message, more is `limit`; 512 KiB without it' },
      ],
    },
    {
      kind: 'class',
      name: 'scan.rspamd_options',
      doc: 'How rspamd is asked.',
      fields: [
        {
          name: 'url',
          type: 'string|nil',
          doc: 'another server than that of `--rspamd`, written in the same way',
        },
        {
          name: 'password',
          type: 'string|nil',
          doc: 'what it wants to hear, where it is not trusted by address',
        },
        TIMEOUT,
        { name: 'max', type: 'integer|nil', doc: 'bytes of a message, more is `limit`; 25 MiB without it' },
      ],
    },
    {
      kind: 'class',
      name: 'scan.spamd_result',
      doc: 'What spamd has said.',
      fields: [
        { name: 'spam', type: 'boolean', doc: 'whether it takes the message for spam' },
        { name: 'score', type: 'number', doc: 'the points that it has given' },
        { name: 'required', type: 'number', doc: 'the points from which on it is spam' },
        { name: 'symbols', type: 'string[]', doc: 'names of the rules that matched' },
      ],
    },
    {
      kind: 'class',
      name: 'scan.rspamd_result',
      doc: 'What rspamd has said.',
      fields: [
        {
          name: 'action',
          type: 'string',
          doc: 'what it would do: `no action`, `greylist`, `add header`, `rewrite subject`, `soft reject`, `reject`, or one of the site’s own',
        },
        { name: 'score', type: 'number', doc: 'the points that it has given' },
        { name: 'required', type: 'number', doc: 'the points from which on it would refuse' },
        {
          name: 'symbols',
          type: 'table',
          doc: 'by name of the rule: `{ score =, options = }`, options being a list of texts',
        },
        { name: 'milter', type: 'table|nil', doc: 'changes that it asks for, as it sends them' },
        { name: 'subject', type: 'string|nil', doc: 'the Subject that it asks for' },
        {
          name: 'signatures',
          type: 'string[]',
          doc: 'values of the DKIM-Signature headers that it asks for',
        },
        { name: 'reply', type: 'string|nil', doc: 'the text of a refusal that it asks for' },
      ],
    },
    {
      kind: 'function',
      name: 'scan.rspamd_result:apply',
      from: 'dot',
      params: [],
      results: [
        { type: 'boolean|nil', doc: 'true; false: it asks for none' },
        {
          type: 'string|nil',
          name: 'err',
          doc: 'why nothing is changed: `refused: ...` as in `header.add`, or `protocol ...` for what is no header',
        },
      ],
      doc: `Makes the changes to headers that rspamd asks for, in its order: \`milter.remove_headers\`, \`milter.add_headers\`; with the action
\`add header\` those of \`milter.spam_header\`, or \`X-Spam: Yes\`; with \`rewrite subject\` the Subject; its DKIM signatures. Sender,
recipients and the verdict are left to the policy.`,
      example: 'result:apply()',
    },
  ],
} as const satisfies Chapter;
