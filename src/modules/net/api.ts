/** The module `net`. */
import type { Chapter } from '../entry.ts';

const IP = {
  name: 'ip',
  type: 'string',
  sample: '"192.0.2.1"',
  doc: 'IPv4 or IPv6 address, as `smtp.sess.ip`; an IPv4 address in IPv6 (`::ffff:192.0.2.7`) is that IPv4 address',
} as const;

export const netApi = {
  title: 'Addresses, networks and domains',
  doc: 'Nothing here asks anybody, or waits. What is no address is in no network.',
  uses: ['log'],
  entries: [
    {
      kind: 'function',
      name: 'net.list',
      pure: true,
      params: [
        {
          name: 'networks',
          type: 'string[]|string',
          sample: '{ "192.0.2.0/24", "2001:db8::/32" }',
          doc: 'networks and addresses, at most 10,000; or the path of a file with one on each line, `#` before comments',
        },
      ],
      results: [{ type: 'net.networks', doc: 'the list' }],
      doc: 'A list of networks: best made in the main chunk, once for all sessions. What is no network, and a file that cannot be read, raises an error. A file may have a million lines, and to read it waits. It is looked at once a second, and read again, aside, when it has changed and rests; where that fails the list stays as it was, and the log says why.',
      example:
        'local ours = net.list { "192.0.2.0/24", "2001:db8::/32" }\nlocal blocked = net.list "/etc/mail/blocked-networks"\nfunction smtp.do_connect(ip)\n  if blocked:has(ip) then return 550, "5.7.1 blocked" end\nend',
    },
    {
      kind: 'function',
      name: 'net.networks:has',
      pure: true,
      params: [IP],
      results: [{ type: 'boolean', doc: 'whether one of the networks has the address' }],
      doc: 'Whether an address is in the list.',
    },
    { kind: 'class', name: 'net.networks', doc: 'A list of networks', fields: [] },
    {
      kind: 'function',
      name: 'net.is_reserved',
      pure: true,
      params: [IP],
      results: [{ type: 'boolean', doc: 'whether it is such an address' }],
      doc: 'Whether an address is none of the Internet: loopback, private, link-local, shared by a carrier (100.64.0.0/10), multicast, for documentation, or reserved otherwise (RFC 6890 and the registries of IANA).',
      example: 'if net.is_reserved(smtp.sess.ip) then return end',
    },
    {
      kind: 'function',
      name: 'net.prefix',
      pure: true,
      params: [
        IP,
        { name: 'v4bits', type: 'integer', optional: true, doc: 'from 0 to 32; 24 without it' },
        { name: 'v6bits', type: 'integer', optional: true, doc: 'from 0 to 128; 64 without it' },
      ],
      results: [{ type: 'string|nil', doc: 'the network, `192.0.2.0/24`; nil for what is no address' }],
      doc: 'The network that an address is in: what all addresses of a sender have in common, often.',
      example: 'local key = net.prefix(smtp.sess.ip) or smtp.sess.ip',
    },
    {
      kind: 'function',
      name: 'net.reverse',
      pure: true,
      params: [IP],
      results: [
        {
          type: 'string|nil',
          doc: '`7.2.0.192`, or 32 digits of an IPv6 address; nil for what is no address',
        },
      ],
      doc: 'An address as lists in the DNS have it (RFC 5782). `dns.listed` and `dns.ptr` reverse by themselves.',
      example: 'local records = dns.txt(net.reverse(smtp.sess.ip) .. ".origin.asn.example")',
    },
    {
      kind: 'function',
      name: 'net.domain',
      pure: true,
      params: [
        {
          name: 'host',
          type: 'string',
          sample: '"mail.example.co.uk"',
          doc: 'host name in any case, with or without final dot; bytes above 127 are UTF-8',
        },
        {
          name: 'private',
          type: 'boolean',
          optional: true,
          doc: 'whether domains count below which a company lets others register, such as `github.io`',
        },
      ],
      results: [
        {
          type: 'string|nil',
          doc: 'the domain in lower case, as A-labels (`xn--...`); nil for an address, for `localhost` and for a public suffix itself',
        },
      ],
      doc: 'The registrable domain of a host: one label more than the public suffix that it ends in, by the [public suffix list](https://publicsuffix.org/).',
      example: 'if net.domain(smtp.sess.ptr) == net.domain(smtp.sess.helo) then return end',
    },
  ],
} as const satisfies Chapter;
