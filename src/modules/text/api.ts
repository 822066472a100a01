/** The module `text`. */
import type { Chapter } from '../entry.ts';

const SUBJECT = { name: 's', type: 'string', doc: 'bytes, at most 1 MiB; more raises an error' } as const;

export const textApi = {
  title: 'Text',
  doc: `Regular expressions, and text in the charsets of mail. Expressions are those of [RE2](https://github.com/google/re2/wiki/Syntax):
what they cost grows with the text and never more. Back-references and look-around are refused. Without the flag \`u\` a letter
is a byte, and \`i\` ignores case as ISO 8859-1 has it; with \`u\` text is UTF-8.`,
  entries: [
    {
      kind: 'function',
      name: 'text.re',
      pure: true,
      params: [
        { name: 'pattern', type: 'string', sample: '"a+"', doc: 'the expression' },
        {
          name: 'flags',
          type: 'string',
          optional: true,
          doc: '`i` ignore case, `m` `^` and `$` at each line, `s` `.` is a line end too, `u` UTF-8',
        },
      ],
      results: [{ type: 'text.pattern', doc: 'the expression, compiled; best made in the main chunk' }],
      doc: 'Compiles a regular expression. A wrong one raises an error that says what is wrong.',
      example: 'local invoice = text.re([[\\binvoice\\s+(\\d+)]], "i")',
    },
    { kind: 'class', name: 'text.pattern', doc: 'A regular expression.', fields: [] },
    {
      kind: 'function',
      name: 'text.pattern:test',
      pure: true,
      params: [SUBJECT],
      results: [{ type: 'boolean', doc: 'whether it matches anywhere' }],
      doc: 'Whether the expression matches: the fastest question.',
      example: 'if invoice:test(subject) then return end',
    },
    {
      kind: 'function',
      name: 'text.pattern:match',
      pure: true,
      params: [SUBJECT],
      results: [
        {
          type: 'string|nil',
          doc: 'the first group, or the whole match where there are no groups; nil for no match. Further groups follow; one that took no part is false',
        },
      ],
      doc: 'The groups of the first match, as `string.match` gives captures.',
      example: 'local number = invoice:match(subject)',
    },
    {
      kind: 'function',
      name: 'text.pattern:find',
      pure: true,
      params: [SUBJECT],
      results: [
        { type: 'integer|nil', doc: 'the first byte of the first match; nil for no match' },
        { type: 'integer|nil', name: 'last', doc: 'its last byte' },
      ],
      doc: 'Where the first match is.',
      example: 'local first, last = invoice:find(subject)',
    },
    {
      kind: 'function',
      name: 'text.pattern:gsub',
      pure: true,
      params: [
        SUBJECT,
        {
          name: 'replacement',
          type: 'string',
          doc: '`%0` stands for the match, `%1` to `%9` for its groups, `%%` for a percent sign',
        },
      ],
      results: [
        { type: 'string', doc: 'the text with each match replaced' },
        { type: 'integer', doc: 'how many there were' },
      ],
      doc: 'Replaces all matches.',
      example: 'local clean = text.re("[0-9]+"):gsub(subject, "#")',
    },
    {
      kind: 'function',
      name: 'text.pattern:gmatch',
      pure: true,
      params: [SUBJECT],
      results: [
        {
          type: 'function',
          doc: 'an iterator: each call gives the groups of the next match, as `match` does',
        },
      ],
      doc: 'All matches, at most 10,000.',
      example: 'for number in invoice:gmatch(body) do print(number) end',
    },
    {
      kind: 'function',
      name: 'text.fold',
      pure: true,
      params: [SUBJECT],
      results: [{ type: 'string', doc: 'UTF-8' }],
      doc: 'UTF-8 text for comparison with what it looks like: in lower case, without accents and other marks, without what cannot be seen, and with letters of other scripts that look like Latin ones as those. Bytes that are no UTF-8 become U+FFFD.',
      example: 'if text.fold(name) == text.fold("Anna Muster") then return end',
    },
    {
      kind: 'function',
      name: 'text.utf8',
      pure: true,
      params: [SUBJECT, { name: 'charset', type: 'string', sample: '"utf-8"', doc: 'as mail names it' }],
      results: [
        { type: 'string|nil', doc: 'UTF-8' },
        { type: 'string|nil', name: 'err', doc: '`protocol unknown charset`' },
      ],
      doc: 'Text of a charset as UTF-8.',
      example: 'local words = text.utf8(bytes, "windows-1252")',
    },
    {
      kind: 'function',
      name: 'text.split',
      pure: true,
      params: [
        SUBJECT,
        { name: 'separator', type: 'string', sample: '","', doc: 'bytes, taken literally; not empty' },
        { name: 'max', type: 'integer', optional: true, doc: 'pieces at most: the last one has the rest' },
      ],
      results: [{ type: 'string[]', doc: 'the pieces, at most 100,000' }],
      doc: 'The pieces of a text between separators.',
      example: 'local parts = text.split("a,b,c", ",")',
    },
  ],
} as const satisfies Chapter;
