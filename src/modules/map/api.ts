/** The module `map`. */
import { parseMapSpec } from '../../maps/map-spec.ts';
import type { Chapter } from '../entry.ts';

const ERR = {
  type: 'string|nil',
  name: 'err',
  doc: 'why it could not be found out: `timeout ...`, `unavailable ...`, `protocol ...`, `limit ...`',
} as const;
const TIMEOUT = {
  name: 'timeout',
  type: 'number',
  optional: true,
  doc: 'seconds; 2 without it. Tables in files answer at once',
} as const;

function specComplaint(text: string): string | undefined {
  try {
    parseMapSpec(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export const mapApi = {
  title: 'Maps',
  doc: `Tables of keys and values that others keep: Postfix's files, directories, data bases. What Postfix finds under a key is
found here.

| map | what it is |
| --- | --- |
| \`/PATH\`, \`texthash:PATH\`, \`hash:PATH\` | \`key value\`, one a line (access(5)), from the text file |
| \`cidr:PATH\` | networks (cidr_table(5)): the first that an address is in |
| \`regexp:PATH\`, \`pcre:PATH\` | expressions (regexp_table(5), pcre_table(5)), as far as RE2 takes them |
| \`inline:{ key=value, { key = two words } }\` | in the policy itself |
| \`socketmap:inet:HOST:PORT:NAME\`, \`socketmap:unix:PATH:NAME\` | a server that speaks socketmap_table(5) |
| \`ldap:FILE\`, \`pgsql:FILE\`, \`mysql:FILE\` | what Postfix's own file of that kind describes |
| \`redis:PREFIX\` | strings in the Redis or Valkey of \`--store\`, under PREFIX and the key, without \`--store-prefix\` |
| \`redis-set:NAME\` | the set of this name there: a member is found, and is its own value |

Files are read again when they have changed and rest for a second; no session waits for that. A new version that is wrong is
logged with its line, and the one before it goes on. Keys are compared without case of ASCII letters in tables of keys, and
directories, data bases and Redis are asked for them in lower case; expressions and socketmap servers get them as they are. A key of
more than 65536 bytes is \`nil, "limit ..."\`. Answers
of a server are kept for 30 seconds, its "no" for 10; what it could not say is asked again. One that does not answer is left
alone for a while: then look-ups are \`nil, "unavailable ..."\` at once.`,
  uses: ['maps'],
  entries: [
    {
      kind: 'function',
      name: 'map.open',
      waits: true,
      pure: true,
      params: [
        {
          name: 'spec',
          type: 'string',
          sample: '"inline:{ a=b }"',
          check: specComplaint,
          doc: 'which map, as in the table above',
        },
      ],
      results: [{ type: 'map.table', doc: 'the map: one for all sessions of a worker' }],
      doc: 'Opens a map. Raises an error where it cannot be read, with its file and line. To be called in the main chunk.',
      example: 'local access = map.open "hash:/etc/mail/access"',
    },
    {
      kind: 'class',
      name: 'map.table',
      fields: [],
      doc: 'A map that is open.',
    },
    {
      kind: 'function',
      name: 'map.table:get',
      waits: true,
      params: [{ name: 'key', type: 'string', doc: 'bytes; for a server of names they are UTF-8' }, TIMEOUT],
      results: [{ type: 'string|nil', doc: 'the value, bytes; nil where there is none' }, ERR],
      doc: 'Looks up a key. A nil alone is a firm "no".',
      example: 'local action, err = access:get(smtp.sess.ip)',
    },
    {
      kind: 'function',
      name: 'map.table:addr',
      waits: true,
      params: [
        {
          name: 'address',
          type: 'string',
          doc: 'mail address; `""` and `<>` are the null sender, looked up as `<>`',
        },
        TIMEOUT,
      ],
      results: [
        { type: 'string|nil', doc: 'the value, bytes; nil where there is none' },
        {
          type: 'string|nil',
          name: 'matched',
          doc: 'the key that was found, in lower case; in the place of it `err`, where the value is nil',
        },
      ],
      doc: 'Looks up an address as access(5) does: `user+x@d`, `user@d`, `d`, `.parent` of each parent domain, `user@`. The first that is there counts. Where the map is `cidr:`, `regexp:` or `pcre:`, the whole address is looked up and no part of it, as in Postfix.',
      example: 'local action, matched = access:addr(smtp.tran.sender)',
    },
  ],
} as const satisfies Chapter;
