/** Which names are asked for and how, and the names that stand for addresses. */
import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress, pointerName, questionName, reversed, sameAddress } from '../../src/dns/name.ts';

const label = 'a'.repeat(63);
const longest = `${label}.${label}.${label}.${'b'.repeat(61)}`;

const QUESTIONS: readonly (readonly [written: string, question: string])[] = [
  ['example.com', 'example.com'],
  ['Example.COM.', 'example.com'],
  ['.', '.'],
  ['_dmarc.example', '_dmarc.example'],
  ['0/25.2.0.192.in-addr.arpa', '0/25.2.0.192.in-addr.arpa'],
  [longest, longest],
  [`${longest}.`, longest],
  [`${longest}c`, 'impossible'],
  [`${label}a.example`, 'impossible'],
  ['', 'impossible'],
  ['a..b', 'impossible'],
  ['.a', 'impossible'],
  ['a..', 'impossible'],
  ['a b.example', 'odd'],
  ['A=b.example', 'odd'],
  ['a\\046b.example', 'unaskable'],
  ['a\0.example', 'unaskable'],
  ['a\r\nb', 'unaskable'],
  [Buffer.from('BÜCHER.example').toString('latin1'), 'xn--bcher-kva.example'],
  [Buffer.from('почта.рф').toString('latin1'), 'xn--80a1acny.xn--p1ai'],
  ['b\xfccher.example', 'unaskable'],
  // Taken for the host of a URL they would be other names.
  ...['/', '?', '#', '\\', ':', ':25', '@', '%2e', '\t', '\n', '|', '<'].flatMap(
    (mark): [string, 'unaskable'][] => [
      [Buffer.from(`evil.example${mark}ü.example`).toString('latin1'), 'unaskable'],
      [Buffer.from(`ü.evil.example${mark}victim.example`).toString('latin1'), 'unaskable'],
    ],
  ),
  [Buffer.from('１２７.0.0.1').toString('latin1'), 'unaskable'],
];

for (const [written, expected] of QUESTIONS) {
  test(`the question for ${JSON.stringify(written).slice(0, 60)}`, () => {
    const question = questionName(written);
    assert.equal(question.kind === 'name' ? question.name : question.kind, expected);
  });
}

test('any bytes make a question without throwing, and its name is one that can be sent', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const question = questionName(Buffer.from(bytes).toString('latin1'));
      if (question.kind !== 'name' || question.name === '.') return;
      assert.match(question.name, /^[a-z0-9_*/-]{1,63}(\.[a-z0-9_*/-]{1,63})*$/);
      assert.ok(question.name.length <= 253);
    }),
  );
});

test('addresses are reversed as in-addr.arpa and ip6.arpa have them', () => {
  const name = (text: string) => {
    const address = parseAddress(text);
    return address && pointerName(address);
  };
  assert.equal(name('192.0.2.7'), '7.2.0.192.in-addr.arpa');
  // RFC 3596 section 2.5
  assert.equal(
    name('4321:0:1:2:3:4:567:89ab'),
    'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa',
  );
  assert.equal(name('2001:db8::'), `${'0.'.repeat(24)}8.b.d.0.1.0.0.2.ip6.arpa`);
  assert.equal(name('::ffff:192.0.2.7'), '7.2.0.192.in-addr.arpa');
  assert.equal(name('64:ff9b::192.0.2.7')?.slice(0, 16), '7.0.2.0.0.0.0.c.');
  assert.equal(name('fe80::1%eth0'), name('fe80::1'));
});

test('what is no address is none', () => {
  for (const text of [
    '',
    '192.0.2',
    '192.0.2.256',
    '1.2.3.4.5',
    'IPv6:::1',
    '[::1]',
    '/run/socket',
    'host',
    '::g',
  ]) {
    assert.equal(parseAddress(text), undefined, text);
  }
});

test('an IPv6 address is the same in all its forms', () => {
  const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, (parts) => {
      const long = parts.map((part) => part.toString(16).padStart(4, '0')).join(':');
      const short = parts
        .map((part) => part.toString(16))
        .join(':')
        .replace(/(^|:)0(:0)+($|:)/, '::');
      assert.ok(isIPv6(short), short);
      const [one, other] = [parseAddress(long), parseAddress(short)];
      assert.ok(one && other && sameAddress(one, other), short);
      if (one.family === 6) {
        assert.equal(reversed(one), [...long.replaceAll(':', '')].reverse().join('.'));
      }
    }),
  );
});
