/** The global tables `header` and `body`. */
import type { ApiFunction, Chapter } from './entry.ts';

const NAME = { name: 'name', type: 'string', doc: 'header name, in upper or lower case' };
const NTH = { name: 'n', type: 'integer', optional: true, doc: 'which of them, counted from 1' };
const GRANTED = { type: 'true|nil', doc: 'true' };
const REFUSED = {
  type: 'string|nil',
  name: 'err',
  doc: '`refused: ...` after nil, where the MTA does not grant the action',
};

const HEADER: readonly ApiFunction[] = [
  {
    kind: 'function',
    name: 'header.add',
    params: [
      { ...NAME, doc: 'header name; or, alone, a whole line' },
      { name: 'value', type: 'string', doc: 'its value' },
    ],
    overloads: ['fun(line: string): true|nil, string|nil'],
    results: [GRANTED, REFUSED],
    doc: 'Adds a header at the end. Sendmail puts it before the first of the same name, if there is one. A line keeps what stands after the colon; a value gets one space before it.',
    example: 'header.add("X-Policy", "checked")',
  },
  {
    kind: 'function',
    name: 'header.insert',
    params: [
      { name: 'line', type: 'string', doc: '`Name: value`' },
      { name: 'index', type: 'integer', doc: '0 above the Received header that the MTA adds, 1 below it' },
    ],
    results: [GRANTED, REFUSED],
    doc: 'Inserts a header. Places beyond 1 count the headers of the message on Postfix and mean about the same on Sendmail.',
  },
  {
    kind: 'function',
    name: 'header.modify',
    params: [
      NAME,
      { ...NTH, optional: false },
      { name: 'value', type: 'string|nil', doc: 'nil, which must be written, deletes the header' },
    ],
    results: [GRANTED, REFUSED],
    doc: 'Gives a header another value. Where there is none, it is added.',
  },
  {
    kind: 'function',
    name: 'header.delete',
    params: [NAME, { ...NTH, doc: 'which of them; all without it' }],
    results: [GRANTED, REFUSED],
    doc: 'Deletes one header of that name, or all of them; true also where there is none.',
  },
  {
    kind: 'function',
    name: 'header.set',
    params: [NAME, { name: 'value', type: 'string', doc: 'its value' }],
    results: [GRANTED, REFUSED],
    doc: 'Leaves exactly one header of that name: the first is changed in place, others are deleted, one is added where there is none.',
    example: 'header.set("Subject", "[EXTERNAL] " .. (header.get("Subject") or ""))',
  },
  {
    kind: 'function',
    name: 'header.find',
    params: [NAME, NTH],
    results: [
      {
        type: 'integer|nil',
        name: 'index',
        doc: 'its place among all headers, counted from 1; nil when there is none',
      },
      { type: 'string|nil', name: 'line', doc: 'the whole line, folds as CRLF and white space' },
    ],
    doc: 'Looks for a header.',
  },
  {
    kind: 'function',
    name: 'header.get',
    params: [NAME, NTH],
    results: [{ type: 'string|nil', doc: 'its value, nil when there is none' }],
    doc: 'The value of a header: in one line, trimmed, encoded words (RFC 2047) decoded to UTF-8; other bytes as they are.',
  },
  {
    kind: 'function',
    name: 'header.all',
    params: [NAME],
    results: [{ type: 'string[]', doc: 'values, as `header.get` gives them' }],
    doc: 'The values of all headers of a name.',
  },
  {
    kind: 'function',
    name: 'header.addr',
    params: [NAME],
    results: [{ type: 'header.mailbox[]', doc: 'the mailboxes in order, members of groups included' }],
    doc: 'The mailboxes in all headers of a name such as From or To.',
    example: 'for _, from in ipairs(header.addr "From") do syslog.info(from.domain) end',
  },
];

export const messageChapters: readonly Chapter[] = [
  {
    title: 'Headers',
    doc: 'Reading and changing headers, in the callbacks from `smtp.do_mail` to `smtp.rset`; elsewhere the functions raise an error. Headers of the message are known from `smtp.do_headers` on. The script sees its own changes; they are sent at the end of the message. What would inject a header (CR or LF that is no fold, NUL, a bad name) raises an error, and so does a line of more than 998 bytes.',
    entries: [
      ...HEADER,
      {
        kind: 'class',
        name: 'header.mailbox',
        doc: 'A mailbox (RFC 5322)',
        fields: [
          { name: 'name', type: 'string', doc: 'display name, decoded; `""` without one' },
          { name: 'addr', type: 'string', doc: 'address as written; `""` in what has none' },
          { name: 'user', type: 'string', doc: 'what stands before the last `@`' },
          { name: 'domain', type: 'string', doc: 'what stands after it, in lower case' },
        ],
      },
    ],
  },
  {
    title: 'Body',
    doc: 'Changing the body, where headers can be changed.',
    entries: [
      {
        kind: 'function',
        name: 'body.replace',
        params: [{ name: 'bytes', type: 'string', doc: 'the new body, without headers, lines with CRLF' }],
        results: [GRANTED, REFUSED],
        doc: 'Replaces the whole body, MIME structure and all; headers stay as they are. The last call counts.',
      },
    ],
  },
];
