/** The library `dns`. */
import type { ApiFunction, Chapter, Parameter, Result } from './entry.ts';

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
  doc: 'domain name in any case, with or without final dot; bytes above 127 are UTF-8',
};
const IP: Parameter = { name: 'ip', type: 'string', doc: 'IPv4 or IPv6 address' };

const lookUp = (
  name: string,
  subject: Parameter,
  doc: string,
  type = 'string[]|nil',
  of = 'records; empty when there are none',
): ApiFunction => ({
  kind: 'function',
  name: `dns.${name}`,
  waits: true,
  params: [subject, TIMEOUT],
  results: [{ type, doc: of }, ERR],
  doc,
});

const FUNCTIONS: readonly ApiFunction[] = [
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
    doc: 'The name of an address that leads back to the same address (forward-confirmed reverse DNS).',
  },
  {
    kind: 'function',
    name: 'dns.listed',
    waits: true,
    params: [
      { name: 'ip_or_name', type: 'string', doc: 'what to look for; an address is reversed by the function' },
      { name: 'zone', type: 'string', doc: 'the list’s domain' },
      {
        name: 'codes',
        type: 'string|string[]',
        optional: true,
        doc: 'answers that count, `"127.0.0.[2;4..11]"`; all without it',
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
    doc: 'Asks a block or allow list (RFC 5782). What a list answers outside of 127.0.0.0/8, and how it turns questions away, counts as “could not find out”.',
    example: 'if dns.listed(smtp.sess.ip, "zen.spamhaus.org") then return 550, "5.7.1 listed" end',
  },
  {
    kind: 'function',
    name: 'dns.start',
    params: [
      { name: 'fn', type: 'function', doc: 'a function of this library' },
      { name: '...', type: 'any', doc: 'its arguments' },
    ],
    results: [{ type: 'dns.job', doc: 'the look-up, already under way' }],
    doc: 'Begins a look-up, so that several are under way at once.',
    example:
      'local a, b = dns.start(dns.listed, ip, "one.example"), dns.start(dns.listed, ip, "two.example")\nif a:wait() or b:wait() then return 550, "5.7.1 listed" end',
  },
  {
    kind: 'function',
    name: 'dns.job:wait',
    waits: true,
    params: [{ ...TIMEOUT, doc: 'seconds to wait' }],
    results: [{ type: 'any', name: '...', doc: 'what the function returns' }],
    doc: 'Waits for the result of a look-up that `dns.start` began, in this callback or a later one of the session, again and again. When the time is over the look-up goes on.',
  },
];

export const dnsChapter: Chapter = {
  title: 'DNS',
  doc: 'Look-ups hold up this session only. “No” and “could not find out” never mix: `nil, err` means the second, and only that; `{}` or `false` is a firm no: the name does not exist, has no such record, or is one that the DNS cannot hold. `must` turns the unknown into the `--on-error` action. A wrong argument raises an error. Names in results have no final dot. A session has 1,000 look-ups and 10 more each second; answers from the cache are free.',
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
    { kind: 'class', name: 'dns.job', doc: 'A look-up under way', fields: [] },
  ],
};
