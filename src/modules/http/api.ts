/** The module `http`. */
import type { Chapter } from '../entry.ts';

const URL = {
  name: 'url',
  type: 'string',
  sample: '"http://127.0.0.1:1/"',
  doc: '`http://...` or `https://...`',
} as const;
const OPTS = {
  name: 'opts',
  type: 'http.options',
  optional: true,
  doc: 'see below',
} as const;
const RESULTS = [
  { type: 'http.response|nil', doc: 'the response, whatever its code' },
  {
    type: 'string|nil',
    name: 'err',
    doc: 'why there is none: `timeout ...`, `refused ...`, `unavailable ...`, `protocol ...`, `limit ...`',
  },
] as const;

export const httpApi = {
  title: 'HTTP',
  doc: `Requests to web servers. Only those to addresses of the Internet are made: this machine and the networks around it are
refused, also where a name leads there and after a redirect, unless \`--http-allow\` names them. The variables \`http_proxy\` and
\`https_proxy\` mean nothing. A server that does not answer is left alone for a while: then requests are
\`nil, "unavailable ..."\` at once. At most 20 requests to a server are under way at a time in a worker.`,
  uses: ['web'],
  entries: [
    {
      kind: 'function',
      name: 'http.get',
      waits: true,
      params: [URL, OPTS],
      results: RESULTS,
      doc: 'Makes a GET request.',
      example: 'local response, err = http.get("https://api.example.com/v1/" .. smtp.sess.ip)',
    },
    {
      kind: 'function',
      name: 'http.post',
      waits: true,
      params: [URL, { name: 'body', type: 'string', doc: 'bytes' }, OPTS],
      results: RESULTS,
      doc: 'Makes a POST request.',
      example:
        'local response, err = http.post("https://api.example.com/v1/check", json.encode { ip = smtp.sess.ip }, { headers = { ["Content-Type"] = "application/json" } })',
    },
    {
      kind: 'class',
      name: 'http.options',
      doc: 'How a request is made.',
      fields: [
        { name: 'headers', type: 'table|nil', doc: 'header lines by name' },
        { name: 'timeout', type: 'number|nil', doc: 'seconds for all of it; 5 without it' },
        {
          name: 'max',
          type: 'integer|nil',
          doc: 'bytes of the body, more is `limit`; 1 MiB without it, 16 MiB at most',
        },
        { name: 'redirects', type: 'integer|nil', doc: 'how many are followed, at most 3; none without it' },
      ],
    },
    {
      kind: 'class',
      name: 'http.response',
      doc: 'What a server has answered.',
      fields: [
        { name: 'code', type: 'integer', doc: 'status code' },
        { name: 'body', type: 'string', doc: 'bytes, as they came' },
        {
          name: 'headers',
          type: 'table',
          doc: 'by name in lower case; several of a name are joined by `, `',
        },
      ],
    },
  ],
} as const satisfies Chapter;
