/** The library `dns`. */
import type { Chapter, Parameter, Result } from '../entry.ts';

const TIMEOUT: Parameter = {
  name: 'timeout',
  type: 'number',
  optional: true,
  doc: 'seconds, for all look-ups of the call together; each has `--dns-timeout` besides',
};
const ERR: Result = {
  type: 'string|nil',
  name: 'err',
  doc: 'why it could not be found out: `timeout ...`, `servfail ...`, `refused ...`, `unavailable ...`, `protocol ...`, `limit ...`',
};
const NAME: Parameter = {
  name: 'name',
  type: 'string',
  sample: '"host.example"',
  doc: 'domain name in any case, with or without final dot; bytes above 127 are UTF-8',
};
const IP: Parameter = { name: 'ip', type: 'string', sample: '"192.0.2.1"', doc: 'IPv4 or IPv6 address' };

const lookUp = <Name extends string>(name: Name, subject: Parameter, doc: string, type = 'string[]|nil') =>
  ({
    kind: 'function',
    name: `dns.${name}`,
    waits: true,
    params: [subject, TIMEOUT],
    results: [{ type, doc: 'records; empty when there are none' }, ERR],
    doc,
  }) as const;

const FUNCTIONS = [
  lookUp('a', NAME, 'IPv4 addresses of a name.'),
  lookUp('aaaa', NAME, 'IPv6 addresses of a name.'),
  lookUp('ns', NAME, 'Name servers of a domain.'),
  lookUp('ptr', IP, 'Names of an address.'),
  lookUp(
    'mx',
    NAME,
    'Mail exchangers, best first. `{ { host = ".", pref = 0 } }` is a domain that takes no mail (RFC 7505).',
    'dns.exchanger[]|nil',
  ),
  lookUp('txt', NAME, 'Text records, the strings of each joined, as bytes.'),
  {
    kind: 'function',
    name: 'dns.fcrdns',
    waits: true,
    params: [IP, TIMEOUT],
    results: [{ type: 'string|false|nil', doc: 'the name; false when there is none' }, ERR],
    forms: [
      ['string', 'nil'],
      ['false', 'nil'],
      ['nil', 'string'],
    ],
    doc: 'The name of an address that leads back to the same address (forward-confirmed reverse DNS).',
  },
  {
    kind: 'function',
    name: 'dns.listed',
    waits: true,
    params: [
      {
        name: 'ip_or_name',
        type: 'string',
        sample: '"192.0.2.1"',
        doc: 'what to look for; the function reverses an address',
      },
      { name: 'zone', type: 'string', sample: '"bl.example"', doc: 'the list’s domain' },
      {
        name: 'codes',
        type: 'string|string[]',
        optional: true,
        doc: 'answers that count, `"127.0.0.[2;4..11]"`, at most 256 of them; all without it',
      },
      TIMEOUT,
    ],
    results: [
      { type: 'string|false|nil', doc: 'the answer, `127.0.0.x`; false when it is not listed' },
      {
        type: 'string|nil',
        name: 'text',
        doc: 'the list’s explanation, `""` without one; or why it could not be found out',
      },
    ],
    forms: [
      ['string', 'string'],
      ['false', 'nil'],
      ['nil', 'string'],
    ],
    doc: 'Asks a block or allow list (RFC 5782). An answer outside of 127.0.0.0/8, and one by which a list turns questions away, counts as “could not find out”.',
    example: 'if dns.listed(smtp.sess.ip, "zen.spamhaus.org") then return 550, "5.7.1 listed" end',
  },
] as const;

export const dnsApi = {
  title: 'DNS',
  doc: 'Look-ups hold up this session only. “No” and “could not find out” never mix: `nil, err` means the second, and only that; `{}` or `false` is a firm no: the name does not exist, has no such record, or is one that the DNS cannot hold. `must` turns the unknown into the `--on-error` action. A wrong argument raises an error. Names in results have no final dot. A session has 1,000 look-ups and 10 more each second; answers from the cache are free.',
  uses: ['records'],
  entries: [
    ...FUNCTIONS,
    {
      kind: 'class',
      name: 'dns.exchanger',
      doc: 'An MX record',
      fields: [
        { name: 'host', type: 'string', doc: 'host name' },
        { name: 'pref', type: 'integer', doc: 'preference, lowest first' },
      ],
    },
  ],
} as const satisfies Chapter;
