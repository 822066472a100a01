import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { authservsOf, parseResults, writeResults } from '../../src/mail-auth/authentication-results.ts';
import { cpuMsOf } from '../helpers/cpu-time.ts';
import { withDkimpy } from './dkimpy.ts';

const results = (value: string) =>
  parseResults(value)?.results.map(({ method, result, reason, properties }) => [
    method,
    result,
    reason,
    Object.fromEntries(properties),
  ]);

describe('reading Authentication-Results', () => {
  it('finds who has written it without reading the rest', () => {
    const pieces = [
      'mx',
      '.',
      ' . ',
      'example',
      '"',
      '(c)',
      '(',
      ')',
      ';',
      '=',
      ' ',
      '\\',
      '1',
      '@',
      '\r\n ',
      '/',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 30 }), (parts) => {
        const value = parts.join('');
        assert.equal(authservsOf(value).at(-1), parseResults(value)?.authserv);
      }),
    );
    // 96 KB of methods are 96 KB that nobody reads.
    const long = ` mx.example.com;${' dkim=pass;'.repeat(9600)}`;
    const began = process.cpuUsage();
    for (let i = 0; i < 1000; i += 1) assert.deepEqual(authservsOf(long), ['mx.example.com']);
    const { user } = process.cpuUsage(began);
    console.log(`a field of ${long.length} bytes: ${(user / 1000).toFixed(1)} µs`);
  });

  it('finds a name that ends at a blank for some, and goes on behind it for others', () => {
    assert.deepEqual(authservsOf(' mx.example. 1; dkim=pass'), ['mx.example.', 'mx.example.1']);
    assert.deepEqual(authservsOf(' mx.example/ 1; dkim=pass'), ['mx.example/', 'mx.example/1']);
    assert.deepEqual(authservsOf(' mx . example 1; dkim=pass'), ['mx.', 'mx.example']);
    assert.deepEqual(authservsOf(' ; dkim=pass'), []);
  });

  it('ends a value at a blank, whatever stands before it', () => {
    for (const end of ['.', '/', '@']) {
      assert.deepEqual(results(` x; dkim=pass header.b=AbC${end} header.d=a.example (c) header . s=k`), [
        ['dkim', 'pass', '', { 'header.b': `AbC${end}`, 'header.d': 'a.example', 'header.s': 'k' }],
      ]);
    }
    assert.deepEqual(results(' x; dmarc=pass header.from=a.example. policy.dmarc=reject'), [
      ['dmarc', 'pass', '', { 'header.from': 'a.example.', 'policy.dmarc': 'reject' }],
    ]);
  });

  // RFC 8601 appendix B, but for folds.
  it('reads the examples of RFC 8601', () => {
    assert.deepEqual(parseResults(' example.org 1; none'), { authserv: 'example.org', results: [] });
    assert.deepEqual(results(' example.com;\r\n          spf=pass smtp.mailfrom=example.net'), [
      ['spf', 'pass', '', { 'smtp.mailfrom': 'example.net' }],
    ]);
    assert.deepEqual(
      results(
        ' example.com;\n auth=pass (cram-md5) smtp.auth=sender@example.net;\n spf=pass smtp.mailfrom=example.net',
      ),
      [
        ['auth', 'pass', '', { 'smtp.auth': 'sender@example.net' }],
        ['spf', 'pass', '', { 'smtp.mailfrom': 'example.net' }],
      ],
    );
    assert.deepEqual(
      results(
        ' example.com;\n\tdkim=pass reason="good signature"\n\t  header.i=@mail-router.example.net;\n\tdkim=fail reason="bad signature"\n\t header.i=@newyork.example.com',
      ),
      [
        ['dkim', 'pass', 'good signature', { 'header.i': '@mail-router.example.net' }],
        ['dkim', 'fail', 'bad signature', { 'header.i': '@newyork.example.com' }],
      ],
    );
    // Section B.7: comments in all places.
    const [value, version] = [
      " foo.example.net (foobar) 1 (baz);\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\n      policy (A dot can go here) . (like that) expired\n      (this surprised me) = (as I wasn't expecting it) 1362471462",
      'foo.example.net',
    ];
    assert.equal(parseResults(value)?.authserv, version);
    assert.deepEqual(results(value), [['dkim', 'fail', '', { 'policy.expired': '1362471462' }]]);
  });

  const rows: Readonly<Record<string, [value: string, found: unknown]>> = {
    'an address in quotes': [
      'a; spf=pass smtp.mailfrom="joe; dkim=pass"@b.example',
      [['spf', 'pass', '', { 'smtp.mailfrom': 'joe; dkim=pass@b.example' }]],
    ],
    'a semicolon in a comment': ['a; spf=fail (x; dkim=pass (y) \\) z)', [['spf', 'fail', '', {}]]],
    'a comment that does not end': ['a; spf=fail (x; dkim=pass', [['spf', 'fail', '', {}]]],
    'quotes that do not end': ['a; spf=fail reason="x; dkim=pass', [['spf', 'fail', 'x; dkim=pass', {}]]],
    'base64 with its equals signs': [
      'a; dkim=pass header.b=ab+/==',
      [['dkim', 'pass', '', { 'header.b': 'ab+/==' }]],
    ],
    'an empty property': ['a; dmarc=none header.from=', [['dmarc', 'none', '', { 'header.from': '' }]]],
    'a last semicolon': ['a; spf=pass;', [['spf', 'pass', '', {}]]],
    'words in large letters': [
      'A.Example; SPF=Pass SMTP.MailFrom=X@Y',
      [['spf', 'pass', '', { 'smtp.mailfrom': 'X@Y' }]],
    ],
    'a method that cannot be read ends it': ['a; spf=pass; junk junk; dkim=pass', [['spf', 'pass', '', {}]]],
    'no method': ['a', []],
    nothing: ['', undefined],
    'only a comment': ['(x)', undefined],
  };
  for (const [name, [value, found]] of Object.entries(rows)) {
    it(`reads ${name}`, () => assert.deepEqual(results(value), found));
  }

  it('ends soon for whatever a stranger writes', () => {
    const hostile = [
      '('.repeat(100_000),
      '"'.repeat(99_999),
      'a;'.repeat(50_000),
      `a;${'x=y '.repeat(25_000)}`,
      'a@'.repeat(50_000),
      `a;${' . '.repeat(30_000)}`,
    ];
    for (const value of hostile) {
      const ms = cpuMsOf(() => parseResults(value));
      assert.ok(ms < 500, `${value.slice(0, 20)}: ${ms} ms`);
    }
  });
});

describe('writing Authentication-Results', () => {
  const word = fc.constantFrom('pass', 'fail', 'temperror');
  const text = fc.string({ maxLength: 40 });

  it('lets nothing in a value end it or begin another', () => {
    fc.assert(
      fc.property(word, text, text, (result, reason, from) => {
        const properties = new Map([['smtp.mailfrom', from]]);
        const value = writeResults({
          authserv: 'mx.example.com',
          results: [{ method: 'spf', result, reason, properties }],
        });
        assert.doesNotMatch(value, /\r|\n[^\t]/);
        const read = parseResults(value);
        assert.deepEqual([read?.authserv, read?.results.length], ['mx.example.com', 1]);
        assert.deepEqual([read?.results[0]?.method, read?.results[0]?.result], ['spf', result]);
      }),
    );
  });

  it('reads what stands behind a reason that is a mark', () => {
    for (const reason of ['=', ';', '(', '"']) {
      const properties = new Map([['smtp.mailfrom', ' ']]);
      const results = [{ method: 'spf', result: 'pass', reason, properties }];
      const read = parseResults(writeResults({ authserv: 'mx.example.com', results }));
      assert.deepEqual(
        read?.results.map((each) => [each.result, each.reason, [...each.properties]]),
        [['pass', reason, [['smtp.mailfrom', '']]]],
      );
    }
  });

  it('is read again where an address begins with the mark before it', () => {
    const properties = new Map([['smtp.mailfrom', '=@example.com']]);
    const results = [{ method: 'spf', result: 'pass', reason: '', properties }];
    const read = parseResults(writeResults({ authserv: 'mx.example.com', results }));
    assert.deepEqual([...(read?.results[0]?.properties ?? [])], [['smtp.mailfrom', '=@example.com']]);
  });

  it('is read by authres as it was meant', () => {
    const value = writeResults({
      authserv: 'mx.example.com',
      results: [
        {
          method: 'spf',
          result: 'fail',
          reason: '',
          properties: new Map([['smtp.mailfrom', 'example.net']]),
        },
        {
          method: 'dkim',
          result: 'permerror',
          reason: 'no key; none',
          properties: new Map([
            ['header.d', 'example.com'],
            ['header.s', 's1'],
            ['header.b', 'ab+/c=='],
          ]),
        },
        {
          method: 'dmarc',
          result: 'pass',
          reason: '',
          properties: new Map([['header.from', 'example.com']]),
        },
        {
          method: 'iprev',
          result: 'pass',
          reason: '',
          properties: new Map([['policy.iprev', '2001:db8::1']]),
        },
      ],
    });
    const theirs = withDkimpy<unknown>(
      `
import authres
header = authres.AuthenticationResultsHeader.parse('Authentication-Results: ' + input)
print(json.dumps([header.authserv_id, [[r.method, r.result, r.reason, {p.type + '.' + p.name: p.value for p in r.properties}] for r in header.results]]))
`,
      value.replaceAll('\n', '\r\n'),
    );
    assert.deepEqual(theirs, [
      'mx.example.com',
      [
        ['spf', 'fail', null, { 'smtp.mailfrom': 'example.net' }],
        [
          'dkim',
          'permerror',
          'no key; none',
          { 'header.d': 'example.com', 'header.s': 's1', 'header.b': 'ab+/c==' },
        ],
        ['dmarc', 'pass', null, { 'header.from': 'example.com' }],
        ['iprev', 'pass', null, { 'policy.iprev': '2001:db8::1' }],
      ],
    ]);
    assert.equal(writeResults({ authserv: 'mx.example.com', results: [] }), 'mx.example.com;\n\tnone');
  });
});
