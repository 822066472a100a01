/** Addresses in Sendmail's and Postfix's words, and the lines for both MTAs. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type BoundAddress,
  formatListenAddress,
  mainCfLine,
  parseListenAddress,
  sendmailMcLine,
} from '../../src/net/listen-address.ts';
import { directory } from '../program/program.ts';

const inet = (host: string | undefined, family: 'inet4' | 'inet6' | 'either', port: number) => ({
  kind: 'inet' as const,
  host,
  family,
  port,
});

const RIGHT: readonly (readonly [string, object])[] = [
  ['inet:8895@127.0.0.1', inet('127.0.0.1', 'inet4', 8895)],
  ['inet:8895@localhost', inet('localhost', 'inet4', 8895)],
  ['inet:8895@[127.0.0.1]', inet('127.0.0.1', 'inet4', 8895)],
  ['inet:0@127.0.0.1', inet('127.0.0.1', 'inet4', 0)],
  ['inet:8895', inet(undefined, 'inet4', 8895)],
  ['INET:8895', inet(undefined, 'inet4', 8895)],
  ['inet:127.0.0.1:8895', inet('127.0.0.1', 'inet4', 8895)],
  ['inet:mx-1.example.org:8895', inet('mx-1.example.org', 'either', 8895)],
  ['inet:[::1]:8895', inet('::1', 'inet6', 8895)],
  ['inet6:8895@::1', inet('::1', 'inet6', 8895)],
  ['inet6:8895@[::1]', inet('::1', 'inet6', 8895)],
  ['inet6:8895@ip6-localhost', inet('ip6-localhost', 'inet6', 8895)],
  ['inet6:[2001:db8::1]:8895', inet('2001:db8::1', 'inet6', 8895)],
  ['inet6:8895@fe80::1%eth0', inet('fe80::1%eth0', 'inet6', 8895)],
  ['inet6:8895', inet(undefined, 'inet6', 8895)],
  ['unix:/run/smtpf/milter.sock', { kind: 'unix', path: '/run/smtpf/milter.sock' }],
  ['fd:smtpf-milter.socket', { kind: 'handed', name: 'smtpf-milter.socket' }],
  ['local:/run/smtpf/milter.sock', { kind: 'unix', path: '/run/smtpf/milter.sock' }],
];

for (const [written, expected] of RIGHT) {
  test(`${written} is understood`, () => {
    assert.deepEqual(parseListenAddress(written), { ...expected, written });
  });
}

const FORMS = 'must be inet:PORT@HOST, inet6:PORT@HOST, inet:HOST:PORT, unix:/PATH, local:/PATH or fd:NAME';

const WRONG: readonly (readonly [string, string])[] = [
  ['', FORMS],
  ['8895', FORMS],
  ['/run/milter.sock', FORMS],
  ['tcp:8895@127.0.0.1', FORMS],
  ['inet', FORMS],
  ['inet:', FORMS],
  ['inet:@127.0.0.1', FORMS],
  ['inet:milter@127.0.0.1', FORMS],
  ['inet:8895@', FORMS],
  ['inet:127.0.0.1', FORMS],
  ['inet:127.0.0.1:', FORMS],
  ['inet:127.0.0.1:smtp', FORMS],
  ['inet:-1@127.0.0.1', FORMS],
  ['inet:65536@127.0.0.1', 'must have a port from 0 to 65535'],
  ['inet:127.0.0.1:65536', 'must have a port from 0 to 65535'],
  ['inet:8895@::1', 'has an IPv6 address: write inet6:8895@::1'],
  ['inet6:8895@127.0.0.1', 'has an IPv4 address: write inet:8895@127.0.0.1'],
  ['inet6:127.0.0.1:8895', 'has an IPv4 address: write inet:8895@127.0.0.1'],
  ['inet6:::1:8895', 'must have an IPv6 address in brackets, as in inet6:[::1]:8895'],
  ['inet:2001:db8::1:8895', 'must have an IPv6 address in brackets, as in inet:[::1]:8895'],
  ['inet:8895@127.0.0.256', 'must have an IP address or a host name, not "127.0.0.256"'],
  ['inet:8895@127.1', 'must have an IP address or a host name, not "127.1"'],
  ['inet:8895@mx example', 'must have an IP address or a host name, not "mx example"'],
  ['inet6:8895@[2001:db8::g]', 'must have an IP address or a host name, not "2001:db8::g"'],
  ['unix:', 'must have an absolute path, as in unix:/run/smtpf/milter.sock'],
  ['unix:run/milter.sock', 'must have an absolute path, as in unix:/run/smtpf/milter.sock'],
  ['local:./milter.sock', 'must have an absolute path, as in unix:/run/smtpf/milter.sock'],
  ['unix:/run/smtpf/', 'must have the path of a socket, not of a directory'],
  ['unix:/run/a b.sock', 'must have a path without blanks, quotes, commas, braces and dollar signs'],
  ['unix:/run/a,b.sock', 'must have a path without blanks, quotes, commas, braces and dollar signs'],
  ['fd:', 'must have the name of a socket, as in fd:smtpf-milter.socket'],
  ['fd:a b', 'must have the name of a socket, as in fd:smtpf-milter.socket'],
  ['fd:a:b', 'must have the name of a socket, as in fd:smtpf-milter.socket'],
  ['unix:/run/a\0b.sock', 'must have a path without blanks, quotes, commas, braces and dollar signs'],
];

for (const [written, message] of WRONG) {
  test(`${JSON.stringify(written)} is refused`, () => {
    assert.throws(() => parseListenAddress(written), { name: 'BadValue', message });
  });
}

/** Bound address; as --listen has it; main.cf; the S= of sendmail.mc. */
const LINES: readonly (readonly [BoundAddress, string, string, string])[] = [
  [
    { kind: 'inet4', address: '127.0.0.1', port: 8895 },
    'inet:8895@127.0.0.1',
    'inet:127.0.0.1:8895',
    'inet:8895@127.0.0.1',
  ],
  [{ kind: 'inet4', address: '0.0.0.0', port: 7 }, 'inet:7@0.0.0.0', 'inet:127.0.0.1:7', 'inet:7@127.0.0.1'],
  [{ kind: 'inet6', address: '::1', port: 8895 }, 'inet6:8895@::1', 'inet:[::1]:8895', 'inet6:8895@::1'],
  [{ kind: 'inet6', address: '::', port: 8895 }, 'inet6:8895@::', 'inet:[::1]:8895', 'inet6:8895@::1'],
  [
    { kind: 'unix', path: '/run/smtpf/milter.sock' },
    'unix:/run/smtpf/milter.sock',
    'unix:/run/smtpf/milter.sock',
    'unix:/run/smtpf/milter.sock',
  ],
  [
    // Relative to the queue directory, so that it is right for a chrooted smtpd as well.
    { kind: 'unix', path: '/var/spool/postfix/smtpf/milter.sock' },
    'unix:/var/spool/postfix/smtpf/milter.sock',
    'unix:smtpf/milter.sock',
    'unix:/var/spool/postfix/smtpf/milter.sock',
  ],
];

for (const [bound, listen, postfix, sendmail] of LINES) {
  test(`the lines for ${listen}`, () => {
    assert.equal(formatListenAddress(bound), listen);
    assert.equal(mainCfLine(bound), `smtpd_milters = ${postfix}`);
    assert.equal(
      sendmailMcLine(bound),
      `INPUT_MAIL_FILTER(\`smtpf', \`S=${sendmail}, F=T, T=S:10s;R:10s;E:5m')`,
    );
  });
}

test('a path below any queue directory of Postfix is named relative to it', (t) => {
  const queue = directory(t);
  const path = join(queue, 'smtpf', 'milter.sock');
  assert.equal(mainCfLine({ kind: 'unix', path }), `smtpd_milters = unix:${path}`);
  for (const name of ['private', 'public', 'maildrop']) mkdirSync(join(queue, name));
  assert.equal(mainCfLine({ kind: 'unix', path }), 'smtpd_milters = unix:smtpf/milter.sock');
});
