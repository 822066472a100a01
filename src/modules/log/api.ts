/** The module `log`. */
import { EVENT_NAME, FIELD_NAME, MAX_FIELDS, MAX_LINE_BYTES, OWN_FIELDS } from '../../events/event.ts';
import type { Chapter } from '../entry.ts';

/** What is wrong with the name of an event. ASCII */
export function wrongEvent(name: string): string | undefined {
  return EVENT_NAME.test(name) ? undefined : 'a name of 1 to 64 letters, digits, _, . and - expected';
}

/** What is wrong with the name of a field. ASCII */
export function wrongField(name: string): string | undefined {
  if (OWN_FIELDS.includes(name)) return `another field than ${name} expected: each event has that by itself`;
  return FIELD_NAME.test(name)
    ? undefined
    : 'names of fields of 1 to 64 letters, digits, _, . and - expected, a letter or _ first';
}

export const logApi = {
  title: 'Events',
  doc: `For programs that read what a policy finds: an event is one JSON object in one line, at the place that \`--events\` names. \`syslog\` is
for people.`,
  uses: ['events'],
  entries: [
    {
      kind: 'function',
      name: 'log.event',
      params: [
        {
          name: 'name',
          type: 'string',
          sample: '"quota"',
          check: (text) => wrongEvent(text),
          doc: '1 to 64 letters, digits, `_`, `.` and `-`',
        },
        {
          name: 'fields',
          type: 'table',
          optional: true,
          sample: '{ user = "joe", left = 3 }',
          doc: `text, numbers and booleans by name; at most ${MAX_FIELDS}, and none of ${OWN_FIELDS.map((name) => `\`${name}\``).join(', ')}`,
        },
      ],
      results: [{ type: 'boolean', doc: 'true' }],
      doc: `Tells of an event. The object has \`time\` (ISO 8601, UTC), \`event\`, \`session\`, within a message \`transaction\`, and the fields. It is ASCII: bytes that are UTF-8 are
its characters, other bytes stand for themselves (\`\\u00e4\`). In a line of more than ${MAX_LINE_BYTES} bytes the longest texts are cut, and it has \`truncated\`. It never waits: a reader that does
not keep up loses events, which are counted.`,
      example: 'log.event("quota", { user = smtp.sess.auth.user, left = 3 })',
    },
  ],
} as const satisfies Chapter;
