/** Tables in files, beside what the installed Postfix's postmap finds in them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { addressKeys } from '../../src/maps/address-keys.ts';
import { CidrTable } from '../../src/maps/cidr-table.ts';
import { InlineTable } from '../../src/maps/inline-table.ts';
import { PatternTable } from '../../src/maps/pattern-table.ts';
import { type Table, TableError } from '../../src/maps/table.ts';
import { TextTable } from '../../src/maps/text-table.ts';

const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-maps-'));
after(() => rmSync(directory, { recursive: true }));
writeFileSync(join(directory, 'main.cf'), 'compatibility_level = 3.6\nsmtputf8_enable = no\n');

function finish<Result>(slices: Generator<void, Result, void>): Result {
  for (;;) {
    const { value, done } = slices.next();
    if (done) return value;
  }
}

type Kind = 'texthash' | 'cidr' | 'regexp' | 'pcre' | 'inline';

function open(kind: Kind, text: string): Table {
  const bytes = Buffer.from(text, 'latin1');
  switch (kind) {
    case 'texthash':
      return finish(TextTable.read(bytes));
    case 'cidr':
      return finish(CidrTable.read(bytes));
    case 'inline':
      return new InlineTable(text);
    default:
      return finish(PatternTable.read(bytes, kind));
  }
}

/** What Postfix finds for each key, in one run. Keys and values are latin1. */
function postmap(kind: Kind, text: string, keys: readonly string[]): (string | undefined)[] {
  const path = join(directory, 'table');
  writeFileSync(path, text, 'latin1');
  const spec = kind === 'inline' ? `inline:${text}` : `${kind}:${path}`;
  // All keys at once: a query of its own would wait until the file is a second old.
  const { stdout } = spawnSync('postmap', ['-c', directory, '-q', '-', spec], {
    input: Buffer.from(keys.map((key) => `${key}\n`).join(''), 'latin1'),
    encoding: 'latin1',
  });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return keys.map((key) => lines.find((line) => line.startsWith(`${key}\t`))?.slice(key.length + 1));
}

const cases: Readonly<Record<string, { kind: Kind; text: string; keys: readonly string[] }>> = {
  'plain keys': {
    kind: 'texthash',
    text: 'a.example REJECT\nb.example\tOK \n  \nUser@C.Example   550 5.7.1 go away  \n',
    keys: ['a.example', 'A.EXAMPLE', 'b.example', 'user@c.example', 'c.example', 'x'],
  },
  'comments and continued lines': {
    kind: 'texthash',
    text: '# first\na one\n  two\n# in between\n\n\tthree\nb x\n   # none\n#c y\nd\n v\n',
    keys: ['a', 'b', '#c', 'c', 'd', '#'],
  },
  'a key given twice': { kind: 'texthash', text: 'a 1\nA 2\nb 3\na 4\n', keys: ['a', 'b'] },
  'no line end at the end, and CR LF': { kind: 'texthash', text: 'a 1\r\nb 2\r\nc 3', keys: ['a', 'b', 'c'] },
  'quoted keys': {
    kind: 'texthash',
    text: '"with blank" v\na\\"b w\nc\\ d e\n',
    keys: ['with blank', '"with blank"', 'a\\"b', 'a"b', '"with', 'c\\', 'c\\ d'],
  },
  'an empty table': { kind: 'texthash', text: '# nothing\n', keys: ['a'] },
  'keys that begin alike': {
    kind: 'texthash',
    text: 'ab 1\nabc 2\na 3\nabcd 4\n',
    keys: ['a', 'ab', 'abc', 'abcd', 'abcde', 'b'],
  },
  networks: {
    kind: 'cidr',
    text: '192.0.2.0/25 first\n192.0.2.0/24 second\n192.0.2.200 never\n10.0.0.0/8 ten\n2001:db8::/32 six\n::ffff:203.0.113.0/120 mapped\n0.0.0.0/0 rest\n',
    keys: [
      '192.0.2.1',
      '192.0.2.200',
      '10.255.0.1',
      '2001:db8::1',
      '2001:DB8:0::1',
      '2001:db9::1',
      '8.8.8.8',
      'x',
      '',
    ],
  },
  'networks with conditions and negations': {
    kind: 'cidr',
    text: 'if 192.0.2.0/24\n192.0.2.1 one\n!192.0.2.0/28 outside\nendif\nif !10.0.0.0/8\nif ::/0\n2001:db8::1 six\nendif\n!10.0.0.0/8 not ten\nendif\n10.1.0.0/16 ten\n',
    keys: [
      '192.0.2.1',
      '192.0.2.2',
      '192.0.2.99',
      '10.1.2.3',
      '10.2.2.3',
      '2001:db8::1',
      '2001:db8::2',
      '1.1.1.1',
    ],
  },
  expressions: {
    kind: 'regexp',
    text: '/^a(b*)c$/ got $1.\n/X(y)?z/i case ${1}!\n!/^[a-z]+$/ not letters\n|slash/inside| sl\n/[[:digit:]]{3}/ $$3\n',
    keys: ['abbc', 'ac', 'ABC', 'XYZ', 'Xyz', 'Xz', 'A1', 'hello', 'slash/inside', '123'],
  },
  'expressions with conditions': {
    kind: 'regexp',
    text: 'if /example/\n/^(.*)@(.*)$/ user $1 at $2\nif !/org/\n/com/ it is com\nendif\nendif\n/org/ plain org\n',
    keys: ['a@b.example', 'example.com', 'example.org', 'org', 'com'],
  },
  'the longest match': {
    kind: 'regexp',
    text: '/^(a|ab)(c|bcd)?(d*)/ $1-$2-$3\n',
    keys: ['abcd', 'ab', 'abcdd'],
  },
  'Perl expressions': {
    kind: 'pcre',
    text: '/^(a|ab)(c|bcd)?(d*)/ $1-$2-$3\n/(\\d+)\\s+(\\w+)/ $2 $1\n/(?i)xx/i yes\n/^a.b$/ dot\n',
    keys: ['abcd', 'ab', '12 ab', 'xx', 'XX', 'q', 'zz'],
  },
  'comments behind values, and hashes in keys': {
    kind: 'texthash',
    text: 'a b # no comment\n#x y\nx# z\n  # in front\nk v\n',
    keys: ['a', 'x', 'x#', 'k', '#x'],
  },
  'tabs, form feeds and many blanks': {
    kind: 'texthash',
    text: 'a\t\t1\nb \t 2\t\t3 \t\nc\f4\nd\v5\n',
    keys: ['a', 'b', 'c', 'd'],
  },
  'values with quotes and backslashes': {
    kind: 'texthash',
    text: 'a "one two"\nb x\\ny\nc \\\n',
    keys: ['a', 'b', 'c'],
  },
  'bytes above 127': {
    kind: 'texthash',
    text: 'm\xfcller \xe4\nb\xc3\xa9 x\n\xc4 y\n',
    keys: ['m\xfcller', 'M\xfcLLER', 'b\xc3\xa9', '\xc4', '\xe4'],
  },
  'keys of access(5)': {
    kind: 'texthash',
    text: 'user@domain 1\ndomain.tld 2\n.domain.tld 3\nuser@ 4\n<> 5\n192.0.2 6\n[192.0.2.1] 7\n2001:db8 8\n@domain 9\n',
    keys: [
      'user@domain',
      'domain.tld',
      '.domain.tld',
      'user@',
      '<>',
      '192.0.2',
      '[192.0.2.1]',
      '2001:db8',
      '@domain',
      '@',
    ],
  },
  'lines continued over comments and empty lines': {
    kind: 'texthash',
    text: 'a 1\n\n# c\n 2\n#d\n\t3\nb\n\n  4\nc 5\n \n 6\n',
    keys: ['a', 'b', 'c', 'd'],
  },
  'values that end with a byte that is a blank elsewhere': {
    kind: 'texthash',
    text: 'a voil\xc3\xa0\nb one\n voil\xc3\xa0\nc\xa0 x\n',
    keys: ['a', 'b', 'c\xa0', 'c'],
  },
  'such values of networks': { kind: 'cidr', text: '10.0.0.0/8 voil\xc3\xa0\n', keys: ['10.0.0.1'] },
  'such values of expressions': {
    kind: 'pcre',
    text: '/^a/ voil\xc3\xa0\n/\xc3\xa0$/ \xa0x\n',
    keys: ['a', 'b\xc3\xa0'],
  },
  'a continued key given again': {
    kind: 'texthash',
    text: 'a 1\na 2\n  3\nb 4\n  5\nb 6\n',
    keys: ['a', 'b'],
  },
  'numbers of networks': {
    kind: 'cidr',
    text: '0.0.0.0/1 low\n128.0.0.0/2 middle\n192.0.0.0/2 high\n::/0 six\n',
    keys: [
      '1.2.3.4',
      '127.255.255.255',
      '128.0.0.0',
      '191.255.255.255',
      '192.0.0.0',
      '255.255.255.255',
      '::',
      'ffff::1',
    ],
  },
  'networks in other spellings': {
    kind: 'cidr',
    text: '2001:DB8:0:0::/64 a\n2001:db8:0000:0001::/64 b\n::1 c\n::/128 d\n1::2:3/128 e\n',
    keys: ['2001:db8::1', '2001:db8:0:1::9', '::1', '0:0:0:0:0:0:0:1', '::', '1:0::2:3', '1::2:4'],
  },
  'what is no address': {
    kind: 'cidr',
    text: '0.0.0.0/0 v4\n::/0 v6\n',
    keys: ['1.2.3', '1.2.3.4.5', '01.2.3.4', 'a.b.c.d', '1.2.3.4 ', ':::', '1.2.3.4/32', 'fe80::1%eth0'],
  },
  'networks with values of many words and comments': {
    kind: 'cidr',
    text: '# first\n10.0.0.0/8   REJECT  go  away \n  now\n\n192.0.2.1\tOK\n # no\n 2\n',
    keys: ['10.1.1.1', '192.0.2.1'],
  },
  'a negation alone': {
    kind: 'cidr',
    text: '!192.0.2.0/24 outside\n192.0.2.7 inside\n',
    keys: ['192.0.2.7', '192.0.2.8', '10.0.0.1', '::1'],
  },
  'conditions in conditions': {
    kind: 'cidr',
    text: 'if 10.0.0.0/8\nif 10.1.0.0/16\n10.1.1.0/24 deep\nendif\n10.0.0.0/8 shallow\nendif\n0.0.0.0/0 rest\n',
    keys: ['10.1.1.1', '10.1.2.1', '10.2.1.1', '11.0.0.1'],
  },
  'IF and ENDIF in capitals': {
    kind: 'cidr',
    text: 'IF 10.0.0.0/8\n10.1.1.1 one\nENDIF\n10.1.1.2 two\n',
    keys: ['10.1.1.1', '10.1.1.2'],
  },
  'a condition that is negated': {
    kind: 'cidr',
    text: 'if !10.0.0.0/8\n0.0.0.0/0 not ten\nendif\n10.0.0.0/8 ten\n',
    keys: ['10.0.0.1', '11.0.0.1', '::1'],
  },
  'case of letters': {
    kind: 'regexp',
    text: '/^abc/ folded\n/^DEF/i exact\n',
    keys: ['ABCD', 'abc', 'DEF', 'def'],
  },
  'alternatives and repeats': {
    kind: 'regexp',
    text: '/^(foo|bar){2}$/ twice $1\n/^x{2,3}y+z*$/ counted\n/^[^@]+@[^@]+\\.(com|net)$/ tld $1\n',
    keys: ['foobar', 'barfoo', 'foo', 'xxy', 'xxxyyz', 'xy', 'a@b.com', 'a@b.c.net', 'a@b.org'],
  },
  'classes of signs': {
    kind: 'regexp',
    text: '/^[[:alpha:]]+$/ letters\n/^[[:alnum:]_-]+$/ words\n/^[[:space:][:punct:]]+$/ signs\n/^[]x]+$/ bracket\n',
    keys: ['abc', 'abc1', 'a_b', '!?', ']x', '\xe9'],
  },
  'dots, slashes and other delimiters': {
    kind: 'regexp',
    text: '/a\\/b/ slash\n#c.d# hash?\n%e.f% percent\n|a.b| bar\n!|never| not\n',
    keys: ['a/b', 'cxd', 'exf', 'a-b', 'never', 'other'],
  },
  'groups by number': {
    kind: 'regexp',
    text: '/^(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)$/ $1$9$10 ${10}x $(2)y $$1\n/^([a-z]*)-([0-9]*)$/ [$1|$2]\n',
    keys: ['abcdefghij', 'ab-12', '-', 'ab-'],
  },
  'a group that took no part': { kind: 'regexp', text: '/^(a)|(b)$/ [$1][$2]\n', keys: ['a', 'b', 'ab'] },
  'an if with a negation and groups outside': {
    kind: 'regexp',
    text: 'if !/^sub/\n/^(.*)$/ whole $1\nendif\n/^sub(.*)/ rest $1\n',
    keys: ['subject', 'object', ''],
  },
  'expressions on continued lines': {
    kind: 'regexp',
    text: '/^abc$/\n  REJECT\n  twice\n/^d/ x\n',
    keys: ['abc', 'd'],
  },
  'many lines of which none matches': {
    kind: 'regexp',
    text: Array.from({ length: 120 }, (_, i) => `/^name${i}$/ ${i}\n`).join(''),
    keys: ['name0', 'name119', 'name120', 'NAME7'],
  },
  'classes of Perl': {
    kind: 'pcre',
    text: '/^\\d{3}-\\w+\\b/ number\n/^\\s*$/ blank\n/^\\Qa.b\\E$/ quoted\n/^[\\w.]+@\\S+$/ address\n',
    keys: ['123-abc', '12-abc', 'a.b', 'axb', 'a.b@c', 'a b@c'],
  },
  'lazy repeats': {
    kind: 'pcre',
    text: '/^<(.+?)>(.*)$/ $1,$2\n/^(a*?)(a*)$/ [$1][$2]\n',
    keys: ['<a><b>', 'aaa', '<>'],
  },
  'groups without number, and flags inside': {
    kind: 'pcre',
    text: '/^(?:foo|bar)(\\d+)$/ $1\n/^(?i:ABC)d$/ mixed\n/(?-i)XyZ/ exact\n',
    keys: ['foo12', 'BAR7', 'abcd', 'abcD', 'XyZ', 'xyz'],
  },
  'lines in the key': { kind: 'pcre', text: '/^b$/m lines\n/a.c/s dot\n', keys: ['b', 'abc'] },
  'conditions of Perl': {
    kind: 'pcre',
    text: 'if /^\\[/\n/^\\[([\\d.]+)\\]$/ literal $1\nendif\nif !/\\./\n/^/ no dot\nendif\n/\\.test$/ test\n',
    keys: ['[192.0.2.1]', '[x]', 'localhost', 'a.test', 'a.example'],
  },
  'inline with commas, braces and blanks': {
    kind: 'inline',
    text: '{a=1 b=2,c=3, { d = x, y } ,{e=}, { f = g = h } }',
    keys: ['a', 'b', 'c', 'd', 'e', 'f', 'x'],
  },
  'inline entries': {
    kind: 'inline',
    text: '{ a=1, { b = two words }, C.example=REJECT }',
    keys: ['a', 'b', 'c.example', 'C.EXAMPLE', 'd'],
  },
};

describe('tables beside postmap', () => {
  for (const [name, { kind, text, keys }] of Object.entries(cases)) {
    it(`${kind}: ${name}`, () => {
      const table = open(kind, text);
      const found = Object.fromEntries(keys.map((key) => [key, table.get(key)]));
      const expected = postmap(kind, text, keys);
      assert.deepEqual(found, Object.fromEntries(keys.map((key, i) => [key, expected[i]])));
    });
  }

  it('texthash: 400 random lines', () => {
    let state = 99;
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const letters = 'abAB01.@-_';
    const word = () => Array.from({ length: 1 + random(4) }, () => letters[random(letters.length)]).join('');
    const lines = Array.from(
      { length: 400 },
      () => `${word()}${[' ', '\t', '  '][random(3)]}${word()} ${word()}`,
    );
    const text = `${lines.join('\n')}\n`;
    const keys = [...new Set(lines.map((line) => line.split(/\s/)[0] ?? ''))];
    const table = open('texthash', text);
    const expected = postmap('texthash', text, keys);
    assert.ok(expected.filter((value) => value !== undefined).length > 100);
    for (const [i, key] of keys.entries()) assert.equal(table.get(key), expected[i], JSON.stringify(key));
  });

  it('cidr: 300 random networks', () => {
    let state = 7;
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const lines = Array.from({ length: 300 }, (_, i) => {
      const bits = 8 + random(25);
      const value = ((10 << 24) | (random(4) << 16) | (random(4) << 8) | random(256)) >>> 0;
      const network = (value & (0xffffffff << (32 - bits))) >>> 0;
      return `${[24, 16, 8, 0].map((shift) => (network >>> shift) & 255).join('.')}/${bits} net${i}`;
    }).filter((line) => !/\/(?:[89]|1[0-5]) /.test(line));
    const keys = Array.from({ length: 200 }, () => `10.${random(5)}.${random(5)}.${random(256)}`);
    const text = `${lines.join('\n')}\n`;
    const table = open('cidr', text);
    const expected = postmap('cidr', text, keys);
    assert.ok(expected.filter((value) => value !== undefined).length > 20);
    for (const [i, key] of keys.entries()) assert.equal(table.get(key), expected[i], key);
  });
});

describe('tables that are not taken', () => {
  const wrong: Readonly<Record<string, [Kind, string, RegExp, number]>> = {
    'a key without a value': ['texthash', '# x\na 1\nb\nc 2\n', /a key without a value/, 3],
    'a quote without its end': ['texthash', 'a 1\nb"c 2\n', /a quote without its end/, 2],
    'a first line that is continued': ['texthash', '  a 1\n', /continues nothing/, 1],
    'no network': ['cidr', '10.0.0.0/8 x\nexample.com y\n', /example\.com is no network/, 2],
    'a prefix too long': ['cidr', '10.0.0.0/33 x\n', /is no network/, 1],
    'bits behind the prefix': ['cidr', '10.0.0.1/8 x\n', /bits behind its prefix/, 1],
    'a network without a value': ['cidr', '10.0.0.0/8\n', /no value/, 1],
    'if without endif': ['cidr', 'if 10.0.0.0/8\n10.0.0.1 x\n', /if without endif/, 1],
    'endif without if': ['regexp', '/a/ b\nendif\n', /endif without if/, 2],
    'look-ahead': ['pcre', '/a/ b\n/(?=x)y/ z\n', /not in RE2/, 2],
    'a back-reference': ['pcre', '/(a)\\1/ z\n', /not in RE2/, 1],
    'an expression without its end': ['regexp', '/abc value\n', /no \/ at the end/, 1],
    'no delimiter': ['regexp', 'abc value\n', /no expression/, 1],
    'an expression without a value': ['regexp', '/abc/\n', /without a value/, 1],
    'a group that is not there': ['regexp', '/a(b)/ $2\n', /no group 2/, 1],
    'a group of a negated expression': ['regexp', '!/a(b)/ $1\n', /negated/, 1],
    'an unknown flag': ['pcre', '/a/q x\n', /unknown flag q/, 1],
    'a flag that RE2 lacks': ['pcre', '/a/x x\n', /flag x is not in RE2/, 1],
    'inline without braces': ['inline', 'a=b', /must be followed/, 0],
    'inline without an equals sign': ['inline', '{a}', /is no key = value/, 0],
  };
  for (const [name, [kind, text, message, line]] of Object.entries(wrong)) {
    it(`${kind}: ${name}`, () => {
      assert.throws(
        () => open(kind, text),
        (error) => error instanceof TableError && message.test(error.message) && error.line === line,
      );
    });
  }
});

describe('large tables', () => {
  const LINES = 300_000;

  it('texthash: are read in slices, and looked up at once', (t) => {
    const text = Array.from({ length: LINES }, (_, i) => `user${i}@example${i % 977}.com REJECT ${i}\n`).join(
      '',
    );
    const begin = performance.now();
    const slices = TextTable.read(Buffer.from(text));
    let longest = 0;
    for (;;) {
      const start = performance.now();
      const { value: table, done } = slices.next();
      longest = Math.max(longest, performance.now() - start);
      if (!done || !table) continue;
      const took = performance.now() - begin;
      assert.equal(table.entries, LINES);
      const looked = performance.now();
      for (let i = 0; i < LINES; i += 3)
        assert.equal(table.get(`USER${i}@example${i % 977}.com`), `REJECT ${i}`);
      const each = ((performance.now() - looked) / (LINES / 3)) * 1000;
      assert.equal(table.get('nobody@example.com'), undefined);
      t.diagnostic(
        `read in ${took.toFixed(0)} ms, ${longest.toFixed(1)} ms at a time; a look-up ${each.toFixed(2)} us`,
      );
      return;
    }
  });

  it('cidr: the same', (t) => {
    const ip = (i: number) => `${10 + (i >> 24)}.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    const text = Array.from({ length: LINES }, (_, i) => `${ip(i * 7)} REJECT\n`).join('');
    const begin = performance.now();
    const table = finish(CidrTable.read(Buffer.from(text)));
    const took = performance.now() - begin;
    const looked = performance.now();
    for (let i = 0; i < LINES; i += 3) {
      assert.equal(table.get(ip(i * 7)), 'REJECT');
      assert.equal(table.get(ip(i * 7 + 1)), undefined);
    }
    const each = ((performance.now() - looked) / ((LINES * 2) / 3)) * 1000;
    t.diagnostic(`read in ${took.toFixed(0)} ms; a look-up ${each.toFixed(2)} us`);
  });
});

describe('the keys of an address', () => {
  const keys: Readonly<Record<string, string[]>> = {
    'user+x@a.b.example': [
      'user+x@a.b.example',
      'user@a.b.example',
      'a.b.example',
      '.b.example',
      '.example',
      'user+x@',
      'user@',
    ],
    'user@example': ['user@example', 'example', 'user@'],
    'a@b@example.com.': ['a@b@example.com', 'example.com', '.com', 'a@b@'],
    'user@[192.0.2.1]': ['user@[192.0.2.1]', '[192.0.2.1]', 'user@'],
    '': ['<>'],
    postmaster: ['postmaster@'],
    '+x@example': ['+x@example', 'example', '+x@'],
  };
  for (const [address, expected] of Object.entries(keys)) {
    it(JSON.stringify(address), () => assert.deepEqual(addressKeys(address), expected));
  }
});
