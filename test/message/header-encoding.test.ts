/** What is written into headers. Python's email package, an implementation of its own, says what it reads there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { encodeHeader } from '../../src/message/header-encoding.ts';
import { withShortLines } from '../../src/message/header-syntax.ts';
import { decodeHeader } from '../../src/message/header-text.ts';
import { finish } from '../../src/message/slices.ts';

const latin1 = (text: string) => Buffer.from(text).toString('latin1');
const MAIL = { utf8: false, line: false };
const encoded = (name: string, text: string, encoding = MAIL) =>
  finish(encodeHeader(name, ` ${text}`, encoding));
const got = (name: string, value: string) => finish(decodeHeader(name, value));

for (const [name, text, expected] of [
  ['Subject', '[EXTERNAL] Grüße an alle', ' [EXTERNAL] =?utf-8?Q?Gr=C3=BC=C3=9Fe?= an alle'],
  ['Subject', 'plain', ' plain'],
  ['Subject', '日本', ' =?utf-8?B?5pel5pys?='],
  ['From', 'Jürgen <j@x.example>', ' =?utf-8?Q?J=C3=BCrgen?= <j@x.example>'],
  ['From', '"Dö, J" <j@x.example>', ' =?utf-8?Q?D=C3=B6=2C_J?= <j@x.example>'],
  ['From', 'j@x.example (Jürgen)', ' j@x.example (=?utf-8?Q?J=C3=BCrgen?=)'],
  ['Content-Disposition', 'attachment; filename="ü.pdf"', " attachment; filename*=utf-8''%C3%BC.pdf"],
  ['Message-ID', '<a@b.example> (ü)', ' <a@b.example> (=?utf-8?Q?=C3=BC?=)'],
] as const) {
  test(`${name}: ${text}`, () => assert.equal(encoded(name, latin1(text)), expected));
}

test('bytes that are no UTF-8 come back as they were', () => {
  assert.equal(encoded('Subject', 'caf\xe9'), ' =?unknown-8bit?Q?caf=E9?=');
  for (const text of ['caf\xe9', '\xff\xc3\xa9 \xe9', 'a \xe2\x82'])
    assert.equal(got('Subject', encoded('Subject', text)), text);
});

test('with SMTPUTF8 only what is no UTF-8 is encoded', () => {
  const utf8 = { utf8: true, line: false };
  assert.equal(encoded('Subject', latin1('Grüße'), utf8), ` ${latin1('Grüße')}`);
  assert.equal(encoded('Subject', '\xe9', utf8), ' =?unknown-8bit?Q?=E9?=');
});

test('text that looks like an encoded word is text in a value, and a word in a line', () => {
  const word = '=?utf-8?Q?x?=';
  assert.notEqual(encoded('Subject', word), ` ${word}`);
  assert.equal(got('Subject', encoded('Subject', word)), word);
  assert.equal(encoded('Subject', word, { utf8: false, line: true }), ` ${word}`);
});

const TEXTS = [
  ...[
    'Grüße',
    'a  b\tü',
    'ü',
    `${'long words and '.repeat(30)}ü`,
    `${'日本語'.repeat(100)}`,
    '👩‍👩‍👧 é é',
    'שלום עולם',
  ],
  ...['=?utf-8?Q?x?=', 'a =?b', 'x'.repeat(3000), `${'ü '.repeat(3000)}end`, 'C1 \u0085 and \u2028'],
].map(latin1);
const NAMES = [
  'Doe, "J" <ceo@our.example>',
  'a@our.example',
  'ü, (x)',
  '\\',
  '"',
  '=?utf-8?Q?x?=',
  'A. B: c; d',
  ')(',
];

test('what is written decodes to the text, in lines of 76 columns', () => {
  for (const text of TEXTS) {
    const value = encoded('Subject', text);
    assert.equal(got('Subject', value), text);
    const lines = `Subject:${value}`.split('\n');
    assert.ok(
      lines.every((line) => line.length <= 76 && /[^ \t]/.test(line)),
      value.slice(0, 200),
    );
    assert.match(value, /^[\t\n -~]*$/);
  }
});

test('blanks at the end never make a line of their own', () => {
  for (let length = 1; length < 160; length += 1) {
    for (const [name, end] of [
      ['Subject', 'x'.repeat(length)],
      ['To', `<${'x'.repeat(length)}@x.example>`],
      ['Message-ID', `<${'x'.repeat(length)}@x.example>`],
    ] as const) {
      const value = encoded(name, latin1(`Grüße (ü) ${end}  `));
      assert.ok(
        value.split('\n').every((line) => /[^ \t]/.test(line)),
        JSON.stringify(value),
      );
    }
  }
});

test('wide gaps of a stranger are lines that can be sent, and stay in a text', () => {
  const gap = ' '.repeat(1500);
  for (const [name, text] of [
    ['Subject', `a${gap}${gap}b`],
    ['Subject', `a${gap}\t${gap}\xc3\xbc`],
    ['From', `Jane${gap}${gap}<jane@x.example>`],
    ['To', `a@b.example${gap}${gap}, "c${gap}${gap}d" <c@d.example>`],
    ['Message-ID', `<a@b.example>${gap}${gap}(c)`],
    ['Content-Type', `text/plain;${gap}${gap}name=x`],
  ] as const) {
    const field = withShortLines({ name, value: encoded(name, text) }, true);
    assert.ok('value' in field, name);
    for (const line of `${name}:${field.value}`.split('\n')) {
      assert.ok(line.length <= 998 && /[^ \t]/.test(line), name);
    }
    if (name === 'Subject') assert.equal(got(name, field.value), text);
    else assert.equal(got(name, field.value).replace(/ +/g, ' '), text.replace(/ +/g, ' '));
  }
});

test('a display name says what it likes, the address stays', (t) => {
  const headers: string[] = [];
  for (const name of NAMES) {
    const word = `=?utf-8?B?${Buffer.from(name).toString('base64')}?=`;
    headers.push(encoded('From', got('From', ` ${word} <real@x.example>`)));
  }
  const script = `
import sys, json, email.policy
from email.parser import BytesParser
out = []
for value in json.load(sys.stdin):
    message = BytesParser(policy=email.policy.default).parsebytes(value.encode('latin1') + b'\\n\\n')
    header = list(message.values())[0]
    addresses = getattr(header, 'addresses', None)
    out.append([[a.display_name, a.addr_spec] for a in addresses] if addresses is not None else str(header))
json.dump(out, sys.stdout)`;
  const input = [
    ...headers.map((value) => `From:${value}`),
    ...TEXTS.map((text) => `Subject:${encoded('Subject', text)}`),
  ];
  const python = spawnSync('python3', ['-c', script], { input: JSON.stringify(input), encoding: 'utf8' });
  if (python.error && process.env.CI !== 'true') return t.skip('python3 is not installed (.ci/install)');
  const read = JSON.parse(python.stdout) as unknown[];
  NAMES.forEach((name, i) => {
    assert.deepEqual(read[i], [[name, 'real@x.example']], headers[i]);
  });
  TEXTS.forEach((text, i) => {
    assert.equal(read[NAMES.length + i], Buffer.from(text, 'latin1').toString(), input[NAMES.length + i]);
  });
});

const LIMIT = 65_000;

/** What a stranger may send, as header.get gives it: all of it grows when it is encoded. */
const GIANTS: readonly (readonly [name: string, text: string, end: RegExp])[] = [
  ['Subject', '\xe2\x82\xac'.repeat(45_000), /=\?utf-8\?B\?[\w+/=]+\?=$/],
  ['Subject', '\xe2\x82\xac '.repeat(30_000), /\?=$/],
  ['Subject', 'x'.repeat(60_000), /\?=$/],
  ['Subject', 'word '.repeat(14_000), / word$/],
  [
    'From',
    `"${'\xe2\x82\xac'.repeat(45_000)}" <real@x.example>`,
    /^ =\?utf-8\?B\?[\w+/=?\n -]+\?= <real@x\.example>$/,
  ],
  [
    'To',
    `first@x.example, ${'\xc3\xa9'.repeat(40_000)} <real@x.example>`,
    /^ first@x\.example,\s=\?utf-8\?B\?[\w+/=?\n -]+\?= <real@x\.example>$/,
  ],
  [
    'To',
    '\xc3\xa9 <real@x.example>, '.repeat(3000),
    /=\?utf-8\?Q\?=C3=A9\?= <real@x\.example>, <real@x\.example>$/,
  ],
  ['Content-Disposition', `attachment; filename="${'\xc3\xa9'.repeat(30_000)}"`, /%A9;$/],
  ['To', `${'\xc3\xa9'.repeat(4000)} <one@x.example>, `.repeat(9), /\?= <one@x\.example>, <one@x\.example>$/],
];

test('what does not fit is left out at the end, and addresses stay as long as they fit', () => {
  for (const [name, text, end] of GIANTS) {
    const value = encoded(name, text);
    assert.ok(name.length + value.length <= LIMIT, `${name} ${value.length}`);
    assert.match(value, end, `${name} ${text.slice(0, 40)}`);
    assert.match(value, /^[\n -~]*$/);
    if (name === 'Subject') assert.ok(text.startsWith(got(name, value)) && value.length > LIMIT - 1000);
  }
});
