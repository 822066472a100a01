import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkDmarc, type Identifiers } from '../../src/mail-auth/dmarc.ts';
import { LookUps } from '../../src/mail-auth/look-ups.ts';
import { certain, inquiryOf, zoneOf } from './messages.ts';

type ZoneTable = Parameters<typeof zoneOf>[0];

const lookUps = (zone: ZoneTable) => new LookUps(inquiryOf(zoneOf(zone)), 30);
const NOBODY: Identifiers = { spf: [], dkim: [] };
const DECIDED = { ...NOBODY, why: undefined };
const author = (...addresses: string[]) => ({ addresses, fields: 1 });

/** Debian's, in the package publicsuffix. */
const SUFFIXES = '/usr/share/publicsuffix/public_suffix_list.dat';

interface Case {
  readonly from: string;
  readonly record: string;
  /** Where it is. */
  readonly at: string;
  readonly spf: readonly [domain: string, passes: boolean] | undefined;
  readonly dkim: readonly (readonly [domain: string, passes: boolean])[];
}

function casesOf(): Case[] {
  const records = [
    ['v=DMARC1; p=none', 'example.com'],
    ['v=DMARC1; p=quarantine', 'example.com'],
    ['v=DMARC1; p=reject; adkim=s', 'example.com'],
    ['v=DMARC1; p=reject; aspf=s', 'example.com'],
    ['v=DMARC1; p=reject; sp=none; adkim=s; aspf=s', 'example.com'],
    ['v=DMARC1; p=none; sp=reject', 'example.com'],
    ['v=DMARC1;p=reject;aspf=r;adkim=r', 'sub.example.com'],
  ] as const;
  const domains = ['example.com', 'sub.example.com', 'other.example.com', 'example.net'];
  const spf = [
    undefined,
    ...domains.map((domain) => [domain, true] as const),
    ['example.com', false] as const,
  ];
  const dkim = [
    [],
    ...domains.map((domain) => [[domain, true] as const]),
    [['example.com', false] as const],
    [['example.net', true] as const, ['sub.example.com', true] as const],
  ];
  return records.flatMap(([record, at]) =>
    ['example.com', 'sub.example.com']
      .filter((from) => from.endsWith(at))
      .flatMap((from) =>
        spf.flatMap((one) => dkim.map((signatures) => ({ from, record, at, spf: one, dkim: signatures }))),
      ),
  );
}

/** What OpenDMARC's library says of each case. */
function opendmarc(cases: readonly Case[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-opendmarc-'));
  try {
    const program = join(directory, 'opendmarc');
    const source = fileURLToPath(new URL('opendmarc.c', import.meta.url));
    execFileSync('gcc', ['-o', program, source, '-lopendmarc', '-lresolv']);
    const lines = cases.map(({ from, record, at, spf, dkim }) =>
      [
        ...[from, 'example.com', record, at, spf?.[0] ?? '-', spf?.[1] === true ? '1' : '0'],
        ...dkim.flatMap(([domain, passes]) => [domain, passes ? '1' : '0']),
      ].join('\t'),
    );
    const output = execFileSync(program, [SUFFIXES], { input: `${lines.join('\n')}\n`, encoding: 'utf8' });
    return output.trim().split('\n');
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * Strict alignment with a subdomain of the author's domain: OpenDMARC 1.4.2 compares the organizational domain of the one
 * with the other itself, and takes them for the same. RFC 9989 section 3.2.10.2 wants identical domains.
 */
function isItsFault({ from, record, spf, dkim }: Case): boolean {
  const isBelow = (domain: string) => domain !== from && domain.endsWith(`.${from}`);
  return (
    from === 'example.com' &&
    ((record.includes('adkim=s') && dkim.some(([domain]) => isBelow(domain))) ||
      (record.includes('aspf=s') && spf !== undefined && isBelow(spf[0])))
  );
}

describe('DMARC', () => {
  it('gives what OpenDMARC gives', async () => {
    const cases = casesOf();
    const theirs = opendmarc(cases);
    for (const [i, one] of cases.entries()) {
      const passed = {
        spf: one.spf?.[1] === true ? [one.spf[0]] : [],
        dkim: one.dkim.filter(([, passes]) => passes).map(([domain]) => domain),
      };
      const { result, policy, aligned } = certain(
        await checkDmarc(
          author(`x@${one.from}`),
          passed,
          DECIDED,
          lookUps({ '_dmarc.example.com TXT': 'v=DMARC1; p=none', [`_dmarc.${one.at} TXT`]: one.record }),
        ),
      );
      if (isItsFault(one)) continue;
      const word = result === 'fail' ? policy : result;
      const [theirWord, theirDkim] = (theirs[i] ?? '').split(' ');
      assert.equal(`${word} ${aligned.size > 0 ? 1 : 0}`, `${theirWord} ${theirDkim}`, JSON.stringify(one));
    }
    const compared = cases.filter((one) => !isItsFault(one)).length;
    console.log(`${compared} of ${cases.length} cases compared with OpenDMARC`);
    assert.ok(compared >= 60);
  });

  it('takes the domain of the highest record for the organization, where OpenDMARC has a list', async () => {
    const zone = { '_dmarc.sub.example.com TXT': 'v=DMARC1; p=reject' };
    const passed = { spf: [], dkim: ['example.com'] };
    const found = certain(await checkDmarc(author('x@sub.example.com'), passed, DECIDED, lookUps(zone)));
    assert.equal(found.result, 'fail'); // RFC 9989 section 4.10.2; RFC 7489 had it pass.
  });

  const strict: readonly [from: string, tags: string, passed: Identifiers, result: string][] = [
    ['example.com', 'adkim=s', { spf: [], dkim: ['example.com'] }, 'pass'],
    ['example.com', 'adkim=s', { spf: [], dkim: ['sub.example.com'] }, 'fail'],
    ['sub.example.com', 'adkim=s', { spf: [], dkim: ['example.com'] }, 'fail'],
    ['sub.example.com', 'adkim=s', { spf: [], dkim: ['SUB.Example.com'] }, 'pass'],
    ['example.com', 'aspf=s', { spf: ['example.com'], dkim: [] }, 'pass'],
    ['example.com', 'aspf=s', { spf: ['bounce.example.com'], dkim: [] }, 'fail'],
    ['example.com', 'aspf=s', { spf: ['bounce.example.com'], dkim: ['sub.example.com'] }, 'pass'],
    ['example.com', 'adkim=s', { spf: ['bounce.example.com'], dkim: ['sub.example.com'] }, 'pass'],
  ];
  for (const [from, tags, passed, result] of strict) {
    it(`aligns strictly: ${from}, ${tags}, ${JSON.stringify(passed)}: ${result}`, async () => {
      const zone = { '_dmarc.example.com TXT': `v=DMARC1; p=reject; ${tags}` };
      const found = certain(await checkDmarc(author(`x@${from}`), passed, DECIDED, lookUps(zone)));
      assert.equal(found.result, result);
    });
  }

  const authors: readonly [
    name: string,
    addresses: string[],
    fields: number,
    result: string,
    reason: string,
  ][] = [
    ['no From', [], 0, 'permerror', 'no author domain'],
    ['a From without address', [], 1, 'permerror', 'no author domain'],
    ['two From of one domain', ['a@example.com', 'b@example.com'], 2, 'permerror', 'multiple from fields'],
    ['two domains', ['a@example.com', 'b@example.net'], 1, 'permerror', 'multiple author domains'],
    [
      'a domain and its subdomain',
      ['a@example.com', 'b@sub.example.com'],
      1,
      'permerror',
      'multiple author domains',
    ],
    ['two authors of one domain', ['a@example.com', 'b@EXAMPLE.com'], 1, 'fail', ''],
    [
      'an address without domain beside one',
      ['a@example.com', 'b@'],
      1,
      'permerror',
      'invalid author domain',
    ],
  ];
  for (const [name, addresses, fields, result, reason] of authors) {
    it(`has an author's domain or none: ${name}`, async () => {
      const zone = { '_dmarc.example.com TXT': 'v=DMARC1; p=reject' };
      const found = certain(await checkDmarc({ addresses, fields }, NOBODY, DECIDED, lookUps(zone)));
      assert.deepEqual([found.result, found.reason], [result, reason]);
    });
  }

  const records: readonly [name: string, zone: ZoneTable, result: string, policy: string, domain: string][] =
    [
      ['no record', {}, 'none', 'none', ''],
      [
        'two records count as none',
        { '_dmarc.a.example TXT': ['v=DMARC1; p=reject', 'v=DMARC1; p=none'] },
        'none',
        'none',
        '',
      ],
      [
        'one record beside other texts',
        { '_dmarc.a.example TXT': ['x', 'v=DMARC1; p=reject'] },
        'fail',
        'reject',
        'a.example',
      ],
      [
        'a record without p that asks for reports',
        { '_dmarc.a.example TXT': 'v=DMARC1; rua=mailto:x@a.example' },
        'fail',
        'none',
        'a.example',
      ],
      ['a record without p', { '_dmarc.a.example TXT': 'v=DMARC1' }, 'none', 'none', ''],
      ['a tag twice', { '_dmarc.a.example TXT': 'v=DMARC1; p=none; p=reject' }, 'none', 'none', ''],
      [
        't=y asks for less',
        { '_dmarc.a.example TXT': 'v=DMARC1; p=reject; t=y' },
        'fail',
        'quarantine',
        'a.example',
      ],
      [
        'sp for a subdomain that exists',
        {
          '_dmarc.example TXT': 'v=DMARC1; p=none; sp=quarantine; np=reject',
          'a.example MX': '10 mx.example',
        },
        'fail',
        'quarantine',
        'example',
      ],
      [
        'np for one that does not',
        { '_dmarc.example TXT': 'v=DMARC1; p=none; sp=quarantine; np=reject' },
        'fail',
        'reject',
        'example',
      ],
      [
        'a public suffix ends the walk',
        { '_dmarc.example TXT': 'v=DMARC1; p=reject; psd=y' },
        'fail',
        'reject',
        'example',
      ],
    ];
  for (const [name, zone, result, policy, domain] of records) {
    it(`reads records: ${name}`, async () => {
      const found = certain(await checkDmarc(author('x@a.example'), NOBODY, DECIDED, lookUps(zone)));
      assert.deepEqual([found.result, found.policy, found.domain], [result, policy, domain]);
    });
  }

  it('is unknown where the record could not be had', async () => {
    const zone = { '_dmarc.a.example TXT': { failure: 'servfail' } } as const;
    const found = await checkDmarc(author('x@a.example'), NOBODY, DECIDED, lookUps(zone));
    assert.match(
      found.kind === 'unknown' ? found.reason : '',
      /^servfail looking up TXT of _dmarc\.a\.example/,
    );
  });

  const why = { kind: 'unknown', failure: 'timeout', reason: 'timeout x' } as const;
  const zone = { '_dmarc.example.com TXT': 'v=DMARC1; p=reject' };
  const undecided: readonly [name: string, passed: Identifiers, open: Identifiers, result: string][] = [
    ['SPF of the author', NOBODY, { spf: ['example.com'], dkim: [] }, 'unknown'],
    ['a signature of the author', NOBODY, { spf: [], dkim: ['example.com'] }, 'unknown'],
    ['SPF and a signature of others', NOBODY, { spf: ['example.net'], dkim: ['example.org'] }, 'fail'],
    [
      'a signature, where another passes',
      { spf: [], dkim: ['example.com'] },
      { spf: [], dkim: ['example.com'] },
      'pass',
    ],
    [
      'SPF, where a signature passes',
      { spf: [], dkim: ['example.com'] },
      { spf: ['example.com'], dkim: [] },
      'pass',
    ],
  ];
  for (const [name, passed, open, result] of undecided) {
    it(`with what could not be found out (${name}) is ${result}`, async () => {
      const found = await checkDmarc(author('x@example.com'), passed, { ...open, why }, lookUps(zone));
      assert.equal(found.kind === 'unknown' ? found.kind : found.value.result, result);
    });
  }

  it('asks for a bounded number of names, whatever is signed', async () => {
    const asked: string[] = [];
    const source = zoneOf({ '_dmarc.example.com TXT': 'v=DMARC1; p=reject; psd=u' });
    const counted = new LookUps(
      {
        ask: (type, name) => {
          asked.push(name);
          return inquiryOf(source).ask(type, name);
        },
        recall: () => undefined,
      },
      30,
    );
    const deep = (i: number) => `a${i}.b.c.d.e.f.g.example.com`;
    const dkim = Array.from({ length: 50 }, (_, i) => deep(i));
    await checkDmarc(author('x@example.com'), { spf: [], dkim }, DECIDED, counted);
    assert.ok(asked.length <= 30, `${asked.length}`);
  });
});
