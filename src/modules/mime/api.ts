/** The module `mime`. */
import type { Chapter } from '../entry.ts';

const CHANGED = [
  {
    type: 'boolean|nil',
    doc: 'true; false where it must stay as it is; nil where the MTA does not grant the change',
  },
  {
    type: 'string|nil',
    name: 'why',
    doc: 'after false, `signed` or `encrypted` for what is in something signed or encrypted, `encoded` for what is in something encoded; after nil, `refused: ...`',
  },
] as const;
const NEW_PART = {
  name: 'part',
  type: 'mime.new_part',
  sample: '{ data = "x" }',
  doc: 'what comes there',
} as const;

export const mimeApi = {
  title: 'MIME',
  doc: `The parts of the message, in \`smtp.do_dot\` alone: elsewhere these names raise an error. The message is read where it lies,
in memory or on the disk, when a script looks at \`mime.parts\` for the first time, and other sessions have their turns meanwhile. Names and
texts are UTF-8, data is bytes.

Mail that carries something harmful is often broken on purpose, so that a scanner and a mail program see different parts. Where
mail programs disagree, \`mime.parts\` has each part that a common one might show: those of every boundary that is named, both
types where there are two, messages that are encoded against the rules, files in uuencode in text, and parts behind a final
boundary. \`mime.defects\` says what was odd, and what was not looked at because it was beyond a limit: 1,000 parts, parts in
parts to a depth of 50, 64 KiB of headers in a part.`,
  entries: [
    {
      kind: 'field',
      name: 'mime.parts',
      type: 'mime.part[]',
      from: 'dot',
      doc: 'the parts, each before those inside it; the first is the message itself',
    },
    {
      kind: 'field',
      name: 'mime.defects',
      type: 'string[]',
      from: 'dot',
      doc: 'what is not as the standards have it, or was not looked at: see “What is in a message”. All parts are decoded for it. What archives have (`archive: ...`) is in it when `part:files` or `part:kind` has looked into them',
    },
    {
      kind: 'function',
      name: 'mime.part:data',
      from: 'dot',
      params: [],
      results: [
        { type: 'string|nil', doc: 'decoded bytes' },
        { type: 'string|nil', name: 'err', doc: '`limit ...` where they are more than `--string-mb`' },
      ],
      doc: 'Gives what is in a part. Of a part with parts inside it, the bytes as they stand in the message.',
      example:
        'for _, part in ipairs(mime.parts) do\n  if part:kind() == "application/pdf" then syslog.info(part.size .. " bytes: " .. part:sha256()) end\nend',
    },
    {
      kind: 'function',
      name: 'mime.part:text',
      from: 'dot',
      params: [],
      results: [
        { type: 'string|nil', doc: 'UTF-8; nil alone for a part that is no text' },
        { type: 'string|nil', name: 'err', doc: '`limit ...` where it is more than `--string-mb`' },
      ],
      forms: [
        ['string', 'nil'],
        ['nil', 'nil'],
        ['nil', 'string'],
      ],
      doc: 'Gives the text of a part whose type begins with `text/`. HTML is reduced to what a reader sees: without tags, scripts, styles and comments, a line for each block. A charset means what it does in `header.get`; where none is named, text is UTF-8 if it can be.',
    },
    {
      kind: 'function',
      name: 'mime.part:sha256',
      from: 'dot',
      params: [],
      results: [{ type: 'string', doc: '64 hexadecimal digits in lower case' }],
      doc: 'Digests what `part:data` gives, whatever its size.',
    },
    {
      kind: 'function',
      name: 'mime.part:head',
      from: 'dot',
      params: [{ name: 'n', type: 'integer', doc: 'how many bytes, 0 to 65,536' }],
      results: [{ type: 'string', doc: 'the first bytes of what `part:data` gives' }],
      doc: 'Gives the beginning of a part and decodes no more of it.',
    },
    {
      kind: 'function',
      name: 'mime.part:kind',
      from: 'dot',
      params: [],
      results: [{ type: 'string|nil', doc: 'a MIME type in lower case; nil where nothing tells' }],
      doc: 'Tells what a part is by the bytes in it, whatever its name and type say: programs, archives, documents (with macros or without), pictures, sound, films, HTML.',
      example:
        'if part:kind() == "application/vnd.microsoft.portable-executable" then return 550, "5.7.1 no programs" end',
    },
    {
      kind: 'function',
      name: 'mime.part:files',
      from: 'dot',
      params: [],
      results: [
        {
          type: 'mime.file[]|nil',
          doc: 'the files, those of archives inside it too; nil alone where it is no archive',
        },
        {
          type: 'string|nil',
          name: 'err',
          doc: '`protocol not supported ...` for an archive that is not read (xz, ISO, ...), `protocol names are encrypted ...` for one whose names need a password, `protocol damaged ...` for a 7z or RAR file that shows no name, `limit ...` for one beyond `--string-mb`',
        },
      ],
      forms: [
        ['mime.file[]', 'nil'],
        ['nil', 'nil'],
        ['nil', 'string'],
      ],
      doc: 'Lists the files in an archive: ZIP, whatever stands before or behind it, tar, gzip, 7z, RAR, and TNEF (`winmail.dat`). Files that only the headers inside of a ZIP show, and names that differ from those of its directory, are listed too. Nothing is unpacked but tar archives in gzip, archives in a ZIP, tar or gzip archive, to a depth of 3, 64 MiB in all and 200 times their size, and directories of 7z, 2 MiB in all; 10,000 names and 1 MiB of names are listed, of all archives of a message. What was left out is in `mime.defects`.',
      example:
        'for _, file in ipairs(part:files() or {}) do\n  if file.name:lower():find("%.exe$") then return 550, "5.7.1 no programs" end\nend',
    },
    {
      kind: 'function',
      name: 'mime.part:remove',
      from: 'dot',
      params: [],
      results: CHANGED,
      doc: 'Takes a part out of the message, with the parts in it. The last part of a multipart becomes an empty text. All bytes outside of the part stay what they are.',
      example:
        'for _, part in ipairs(mime.parts) do\n  if (part.name or ""):lower():find("%.exe$") then part:remove() end\nend',
    },
    {
      kind: 'function',
      name: 'mime.part:replace',
      from: 'dot',
      params: [NEW_PART],
      results: CHANGED,
      doc: 'Puts another part in the place of one. All bytes outside of it stay what they are. The newest change of a part counts, and a change of a part that is inside another changed one is lost.',
      example:
        'part:replace { type = "text/plain", data = "The attachment " .. (part.name or "") .. " was removed.\\n" }',
    },
    {
      kind: 'function',
      name: 'mime.add',
      from: 'dot',
      params: [NEW_PART],
      results: CHANGED,
      doc: 'Adds an attachment behind the other parts. A message that is no multipart/mixed becomes the first part of one.',
      example: 'mime.add { type = "text/plain", data = "Held for an hour.\\n", name = "notice.txt" }',
    },
    {
      kind: 'function',
      name: 'mime.banner',
      from: 'dot',
      params: [
        {
          name: 'banner',
          type: 'mime.banner_options',
          sample: '{ text = "x" }',
          doc: 'the text, and where it goes',
        },
      ],
      results: CHANGED,
      doc: 'Puts a text into the first text/plain and the first text/html part that a reader sees, in their charsets and encodings where these have all its letters. `false` comes with `present` where the banner is there already, as in a reply; with `no text part`, `too large` (a text beyond 1 MiB) or `changed` (another change of that part). The header X-Policy-Banner keeps its mark.',
      example: 'mime.banner { text = "This message comes from outside.\\n", at = "top" }',
    },
    {
      kind: 'class',
      name: 'mime.new_part',
      doc: 'A part that is put into a message',
      fields: [
        { name: 'data', type: 'string', doc: 'bytes; UTF-8 for a type that begins with `text/`' },
        {
          name: 'type',
          type: 'string|nil',
          doc: 'without parameters; `application/octet-stream` without it, no multipart and no message',
        },
        { name: 'name', type: 'string|nil', doc: 'of a file, UTF-8; text without a name is shown' },
      ],
    },
    {
      kind: 'class',
      name: 'mime.banner_options',
      doc: 'A banner. Text and HTML are UTF-8, at most 64 KiB each',
      fields: [
        { name: 'text', type: 'string', doc: 'for plain text' },
        { name: 'html', type: 'string|nil', doc: 'for HTML; made from `text` without it' },
        { name: 'at', type: 'string|nil', doc: '`top` or `end` of the text; `top` without it' },
        { name: 'once', type: 'boolean|nil', doc: 'false puts it in again where it is already' },
        {
          name: 'mark',
          type: 'string|nil',
          doc: 'what it is found again by, 1 to 64 letters, digits, `-` and `_`; made from `text` without it',
        },
      ],
    },
    {
      kind: 'class',
      name: 'mime.part',
      doc: 'A part of the message in progress',
      readOnly: true,
      fields: [
        { name: 'type', type: 'string', lowerCase: true, doc: '`text/plain`; of the first Content-Type' },
        { name: 'charset', type: 'string|nil', lowerCase: true, doc: 'that the type names' },
        {
          name: 'name',
          type: 'string|nil',
          doc: 'of the file, decoded (RFC 2231, RFC 2047), as most programs show it; nil without one',
        },
        {
          name: 'names',
          type: 'string[]',
          doc: 'all names that a program might show: a part may be given several',
        },
        { name: 'disposition', type: 'string|nil', lowerCase: true, doc: '`attachment`, `inline`' },
        {
          name: 'encoding',
          type: 'string',
          lowerCase: true,
          doc: '`base64`, `quoted-printable`, `uuencode`, or `identity` for bytes as they are',
        },
        { name: 'size', type: 'integer', doc: 'decoded bytes; the part is decoded for it' },
        { name: 'depth', type: 'integer', doc: '0 for the message, 1 for the parts in it' },
        { name: 'parent', type: 'mime.part|nil', doc: 'the part around it; nil for the message' },
        { name: 'id', type: 'string|nil', doc: 'Content-ID without its brackets' },
      ],
    },
    {
      kind: 'class',
      name: 'mime.file',
      doc: 'A file in an archive',
      fields: [
        {
          name: 'name',
          type: 'string',
          doc: 'with folders, and with the names of the archives around it: `inner.zip/a.exe`; `""` in a gzip file without a name',
        },
        { name: 'size', type: 'integer', doc: 'bytes when it is unpacked, as the archive says' },
        { name: 'encrypted', type: 'boolean', doc: 'true where a password is needed to unpack it' },
        { name: 'depth', type: 'integer', doc: '0 in the archive itself, 1 in an archive in it' },
      ],
    },
  ],
} as const satisfies Chapter;
