/** The global tables `header` and `body`. */
import { fieldOfLine, nameComplaint } from '../../message/header-syntax.ts';
import type { Chapter } from '../entry.ts';

/** A whole header line: names and lines that would be none raise an error when they are used. */
function lineComplaint(text: string): string | undefined {
  const field = fieldOfLine(text);
  return 'complaint' in field ? field.complaint : undefined;
}

const NAME = {
  name: 'name',
  type: 'string',
  check: nameComplaint,
  sample: '"Subject"',
  doc: 'header name, in upper or lower case',
};
const NTH = { name: 'n', type: 'integer', optional: true, doc: 'which of them, counted from 1' };
const GRANTED = { type: 'true|nil', doc: 'true' };
const REFUSED = {
  type: 'string|nil',
  name: 'err',
  doc: '`refused: ...` after nil, where the MTA does not grant the action',
};
const OPTIONS = {
  name: 'options',
  type: 'header.options',
  optional: true,
  doc: '`{ raw = true }` writes the value byte for byte',
};

const HEADER = [
  {
    kind: 'function',
    name: 'header.add',
    from: 'mail',
    until: 'dot',
    params: [
      {
        ...NAME,
        check: (text: string, isLine: boolean) => (isLine ? lineComplaint(text) : nameComplaint(text)),
        doc: 'header name; or, alone, a whole line',
      },
      { name: 'value', type: 'string', doc: 'its value, decoded' },
      OPTIONS,
    ],
    overloads: ['fun(line: string, options?: header.options): true|nil, string|nil'],
    results: [GRANTED, REFUSED],
    doc: 'Adds a header at the end. Sendmail puts it before the first of the same name, if there is one. A line keeps what stands after the colon, encoded words included; a value gets one space before it.',
    example: 'header.add("X-Policy", "checked")',
  },
  {
    kind: 'function',
    name: 'header.insert',
    from: 'mail',
    until: 'dot',
    params: [
      { name: 'line', type: 'string', check: lineComplaint, sample: '"X-Note: x"', doc: '`Name: value`' },
      { name: 'index', type: 'integer', doc: '0 above the Received header that the MTA adds, 1 below it' },
      OPTIONS,
    ],
    results: [GRANTED, REFUSED],
    doc: 'Inserts a header. A line keeps what stands after the colon, encoded words included. Indexes beyond 1 count the headers of the message on Postfix, and mean about the same on Sendmail.',
  },
  {
    kind: 'function',
    name: 'header.modify',
    from: 'mail',
    useful: 'headers',
    until: 'dot',
    params: [
      NAME,
      { ...NTH, optional: false },
      { name: 'value', type: 'string|nil', doc: 'decoded; nil, which must be written, deletes the header' },
      OPTIONS,
    ],
    results: [GRANTED, REFUSED],
    doc: 'Gives a header another value, or adds it where there is none.',
  },
  {
    kind: 'function',
    name: 'header.delete',
    from: 'mail',
    useful: 'headers',
    until: 'dot',
    params: [NAME, { ...NTH, doc: 'which of them; all without it' }],
    results: [GRANTED, REFUSED],
    doc: 'Deletes one header of that name, or all of them. It returns true also where there is none.',
  },
  {
    kind: 'function',
    name: 'header.set',
    from: 'mail',
    useful: 'headers',
    until: 'dot',
    params: [NAME, { name: 'value', type: 'string', doc: 'its value, decoded' }, OPTIONS],
    results: [GRANTED, REFUSED],
    doc: 'Leaves exactly one header of that name: it changes the first in place and deletes the others, or adds one.',
    example: 'header.set("Subject", "[EXTERNAL] " .. (header.get("Subject") or ""))',
  },
  {
    kind: 'function',
    name: 'header.encode',
    params: [
      { name: 'text', type: 'string', doc: 'decoded text' },
      {
        name: 'name',
        type: 'string',
        optional: true,
        check: nameComplaint,
        doc: 'the header whose rules count; Subject without it',
      },
    ],
    results: [{ type: 'string', doc: 'the text as a header holds it, folds as CRLF and a blank' }],
    doc: 'Encodes text for a header line or a `raw` value. `header.set` and the others encode a plain value themselves, and would encode it a second time.',
    example: 'header.insert("X-Note: " .. header.encode("Grüße"), 1)',
  },
  {
    kind: 'function',
    name: 'header.find',
    from: 'mail',
    useful: 'headers',
    params: [NAME, NTH],
    results: [
      {
        type: 'integer|nil',
        name: 'index',
        doc: 'its place among all headers, counted from 1; nil when there is none',
      },
      { type: 'string|nil', name: 'line', doc: 'the whole line, folds as CRLF and white space' },
    ],
    forms: [
      ['integer', 'string'],
      ['nil', 'nil'],
    ],
    doc: 'Looks for a header.',
  },
  {
    kind: 'function',
    name: 'header.get',
    from: 'mail',
    useful: 'headers',
    params: [NAME, NTH],
    results: [{ type: 'string|nil', doc: 'its value, nil when there is none' }],
    doc: 'Returns the value of a header in one line, trimmed. It decodes encoded words (RFC 2047) to UTF-8, and leaves other bytes as they are. A charset means what the WHATWG Encoding Standard says (iso-8859-1 and us-ascii are windows-1252, gb2312 is gbk); an unknown one counts as windows-1252, and words in unknown-8bit give their bytes. Line ends and NULs in encoded words become blanks. In address lists (From, To, ...) it decodes names and comments only, and puts a name with commas, brackets or the like into quotes, so that the list keeps its addresses; in Content-Type and Content-Disposition it decodes `name` and `filename`, in other structured headers comments.',
  },
  {
    kind: 'function',
    name: 'header.all',
    from: 'mail',
    useful: 'headers',
    params: [NAME],
    results: [{ type: 'string[]', doc: 'values, as `header.get` gives them' }],
    doc: 'Returns the values of all headers of a name.',
  },
  {
    kind: 'function',
    name: 'header.addr',
    from: 'mail',
    useful: 'headers',
    params: [NAME],
    results: [{ type: 'header.mailbox[]', doc: 'the mailboxes in order, members of groups included' }],
    doc: 'Returns the mailboxes in all headers of a name such as From or To. Addresses come without blanks, comments, folds, routes and needless quotes. Where the text is not what RFC 5322 allows (two addresses without a comma, an `@` in a name without quotes, a bracket that is not closed), the list has all that is left over too, as `malformed`; an `@` in a name stays in `name`.',
    example: 'for _, from in ipairs(header.addr "From") do syslog.info(from.domain) end',
  },
] as const;

export const headerApi = {
  title: 'Headers',
  wants: { headers: 'data' },
  doc: 'These functions read and change headers, in the callbacks from `smtp.do_mail` to `smtp.rset`; elsewhere they raise an error. They know the headers of the message from `smtp.do_headers` on. The script sees its own changes; the milter sends them at the end of the message. What would inject a header (CR or LF that is no fold, NUL, a bad name) raises an error. With `raw`, so do a line of more than 998 bytes and a header of more than 65,000.\n\nWhat `header.get` returns can be given back: bytes above 127, controls and text that looks like an encoded word become encoded words, folded under 76 columns. That holds for names and comments only in address lists, for parameters in Content-Type and Content-Disposition (RFC 2231), for comments only in other structured headers. Bytes that are no UTF-8 become words of the charset unknown-8bit (RFC 1428), as nobody can say what they are. Where no encoding exists, as in an address, bytes stay as they are. UTF-8 stays as it is in a transaction with SMTPUTF8, and everything does with the option `raw`.\n\nA stranger can make a value too long for a header of 65,000 bytes: then its end is left out without an error. In an address list names are cut at 10,000 bytes, then whole members are left out; the first keeps its address. A line without a blank is folded where it is full, and of blanks that fill a line one is left.',
  entries: [
    ...HEADER,
    {
      kind: 'class',
      name: 'header.mailbox',
      doc: 'A mailbox (RFC 5322)',
      fields: [
        { name: 'name', type: 'string', doc: 'display name, decoded; `""` without one' },
        { name: 'addr', type: 'string', doc: '`user@domain`; `""` in what has none' },
        {
          name: 'user',
          type: 'string',
          doc: 'what stands before the last `@`, in quotes only where it needs them',
        },
        {
          name: 'domain',
          type: 'string',
          lowerCase: true,
          doc: 'what stands after it, in the form that the envelope’s has: lower case, `[IPv6:2001:db8::1]`',
        },
        { name: 'malformed', type: 'boolean', doc: 'true where it is a guess' },
      ],
    },
    {
      kind: 'class',
      name: 'header.options',
      doc: 'How a header is written',
      fields: [{ name: 'raw', type: 'boolean', doc: 'byte for byte, nothing encoded' }],
    },
  ],
} as const satisfies Chapter;

export const bodyApi = {
  title: 'Body',
  doc: 'This function changes the body, where headers can be changed.',
  entries: [
    {
      kind: 'function',
      name: 'body.replace',
      from: 'mail',
      useful: 'chunk',
      until: 'dot',
      params: [{ name: 'bytes', type: 'string', doc: 'the new body, without headers, lines with CRLF' }],
      results: [GRANTED, REFUSED],
      doc: 'Replaces the whole body with its MIME structure; headers stay as they are. A lone LF or CR becomes CRLF. The last call counts. Once `mime` has changed parts of the message it raises an error, and so does a change of a part after it.',
    },
  ],
} as const satisfies Chapter;
