/** The module `geo`. */
import type { Chapter } from '../entry.ts';

const IP = {
  name: 'ip',
  type: 'string',
  sample: '"192.0.2.1"',
  doc: 'IPv4 or IPv6 address; any other text is in no file',
} as const;
const TIMEOUT = {
  name: 'timeout',
  type: 'number',
  optional: true,
  doc: 'seconds, 2 without it; only the first calls wait, while a file is read',
} as const;
const ERR = {
  type: 'string|nil',
  name: 'err',
  doc: 'why it could not be found out: `unavailable ...` where there is no `--geo`, or a file cannot be read; `timeout ...`, `protocol ...`',
} as const;

export const geoApi = {
  title: 'Where an address is',
  doc: `Country and network of an address, by the files that \`--geo\` names, in the MaxMind DB format (\`.mmdb\`): those of GeoLite2, GeoIP2,
DB-IP and IPinfo about countries, cities and autonomous systems. None comes with the program. Several files are asked in order until one
knows. A file is read when the first session asks, and again, aside, when it has changed: replace it by renaming a new one. One that cannot
be read leaves the one before in its place, and the log has a line. Each worker holds the files in memory.`,
  uses: ['geo'],
  entries: [
    {
      kind: 'function',
      name: 'geo.country',
      waits: true,
      params: [IP, TIMEOUT],
      results: [
        {
          type: 'string|nil',
          doc: 'two letters of ISO 3166, `"DE"`; nil where no file knows it, as of private addresses',
        },
        ERR,
      ],
      doc: 'Returns the country in which an address is said to be.',
      example: 'local country, err = geo.country(smtp.sess.ip)',
    },
    {
      kind: 'function',
      name: 'geo.asn',
      waits: true,
      params: [IP, TIMEOUT],
      results: [
        { type: 'number|nil', doc: 'number of the autonomous system; nil where no file knows it' },
        {
          type: 'string|nil',
          name: 'name',
          doc: 'whose it is, in UTF-8, `""` where that is not told; or the reason where it could not be found out, as in `geo.country`',
        },
      ],
      forms: [['number', 'string'], ['nil'], ['nil', 'string']],
      doc: 'Returns the autonomous system, which is the network operator, of an address.',
      example:
        'local number, name = geo.asn(smtp.sess.ip)\nif number == 64496 then header.add("X-Network", name) end',
    },
  ],
} as const satisfies Chapter;
