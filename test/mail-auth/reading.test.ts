/** What is read of signatures and chains, beside what mailauth reads of the same bytes. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { arcFields, readChain } from '../../src/mail-auth/arc-chain.ts';
import { type Field, lineOf, lowerCase } from '../../src/mail-auth/field.ts';
import { loadMailauth } from '../../src/mail-auth/mailauth.ts';
import { readSignature, type SignatureField } from '../../src/mail-auth/signature-field.ts';
import { TagList } from '../../src/mail-auth/tag-list.ts';

const { toALabel } = loadMailauth();

interface Theirs {
  readonly skip?: string;
  readonly invalid?: string;
  readonly signingDomain: string;
  readonly selector: string;
  readonly algorithm: string;
  readonly headerCanon: string;
  readonly bodyCanon: string;
  readonly maxBodyLength: number | '';
  readonly parsed: Readonly<Record<string, { readonly value: unknown }>>;
}
interface Header {
  readonly parsed: readonly { readonly key: string; readonly casedKey: string; readonly line: Buffer }[];
}
const require = createRequire(import.meta.url);
const { DkimVerifier } = require('mailauth/lib/dkim/dkim-verifier') as {
  DkimVerifier: new (
    options: object,
  ) => {
    readonly signatureHeaders: readonly Theirs[];
    messageHeaders(header: Header): Promise<void>;
  };
};
const { getARChain } = require('mailauth/lib/arc') as {
  getARChain(header: Header, options: object): readonly object[] | false;
};

function headerOf(fields: readonly Field[]): Header {
  return {
    parsed: fields.map((field) => ({
      key: lowerCase(field.name.trimEnd()),
      casedKey: field.name.trimEnd(),
      line: Buffer.from(lineOf(field), 'latin1'),
    })),
  };
}

function theirs(field: Field): Theirs {
  const verifier = new DkimVerifier({ resolver: async () => [], strict: true });
  void verifier.messageHeaders(headerOf([field]));
  const [read] = verifier.signatureHeaders;
  assert.ok(read !== undefined);
  return read;
}

const ours = (field: Field): SignatureField => readSignature(new TagList(field), 'DKIM');

/** Numbers below a bound, the same in each run. */
function numbers(seed: number): (below: number) => number {
  let last = seed;
  return (below) => {
    last = (last * 48271) % 2147483647;
    return last % below;
  };
}

const SIGNATURES = [
  ' v=1; a=rsa-sha256; c=relaxed/simple; d=example.com; s=s1;\n\tt=1790000000; x=1790003600; l=100;\n\th=From:To:\n\t Subject; bh=AAAA; b=AAAA\n\tBBBB',
  ' v=1; a=ed25519-sha256; d=Example.COM; s=a.b; q=dns/txt; i=jane=40x@mail.example.com; h=from; bh=AA==; b=AA==;',
  ' v=1;a=rsa-sha1;c=simple;d=example.com;s=s1;h=from:x;bh=A A;b=B\n B;z=From:a@b|To:c',
  ' a=rsa-sha256; b=; bh=; c=relaxed; d=b\xc3\xbccher.example; h=from:from; s=s; v=1; i=@b\xc3\xbccher.example',
];
const TAGS = 'v a c d s t x l h bh b q i z n V D'.split(' ');
const VALUES = [
  ...[
    '',
    '1',
    '2',
    '01',
    'rsa-sha256',
    'RSA-SHA256',
    'rsa-sha1',
    'ed25519-sha1',
    'rsa',
    'rsa--sha256',
    'dsa-sha256',
  ],
  ...[
    'relaxed',
    'Simple/Relaxed',
    'relaxed/',
    '/relaxed',
    'nofws',
    'relaxed/simple/x',
    'example.com',
    'example',
  ],
  ...[
    '-a.example',
    'a..example',
    'a.example.',
    'sub.example.com',
    'from',
    'to',
    'from:',
    ':',
    ' from : to ',
    '0',
  ],
  ...[
    '99999999999999',
    '1790000001',
    '1e3',
    '-1',
    'dns/txt',
    'dns/x',
    'dns/x:dns/txt',
    'DNS/TXT',
    'x@example.com',
  ],
  ...['"a b"@example.com', 'a=20b@example.com', '@other.example', 'none', '=', 'a=b', 'x\n\ty', 'A A'],
];
const BITS = [
  '',
  ';',
  '; ;',
  '=',
  ':',
  ' ',
  '\n ',
  '\t',
  '"',
  '(',
  '@',
  'h=',
  'b=',
  'x=1',
  '%',
  ';;',
  '/',
  '.',
];

function mutated(value: string, random: (below: number) => number): string {
  const pick = (list: readonly string[]) => list[random(list.length)] ?? '';
  switch (random(5)) {
    case 0:
      return `${value.replace(/;\s*$/, '')}; ${pick(TAGS)}=${pick(VALUES)}`;
    case 1: {
      const tag = pick(TAGS);
      return value.replace(new RegExp(`(^|;)(\\s*${tag}\\s*=)[^;]*`), (_, a, b) => `${a}${b}${pick(VALUES)}`);
    }
    case 2:
      return value.replace(new RegExp(`(^|;)\\s*${pick(TAGS)}\\s*=[^;]*;?`), '$1');
    default: {
      const at = random(value.length + 1);
      return value.slice(0, at) + pick(BITS) + value.slice(at + random(4));
    }
  }
}

describe('signatures', () => {
  it('are read as mailauth reads them, whatever is done to them', () => {
    const random = numbers(7);
    const reasons = new Map<string, number>();
    for (let i = 0; i < 50_000; i += 1) {
      let value = SIGNATURES[i % SIGNATURES.length] ?? '';
      for (let times = random(3); times >= 0; times -= 1) value = mutated(value, random);
      const field = { name: 'DKIM-Signature', value };
      const [one, other] = [ours(field), theirs(field)];
      if (one.wrong === 'unknown canonicalization') {
        // It takes the first two of several, and what stands before or behind a slash alone.
        const form = new TagList(field).get('c');
        assert.doesNotMatch(
          form,
          /^(?:simple|relaxed)(?:\s*\/\s*(?:simple|relaxed))?$/i,
          JSON.stringify(value),
        );
        continue;
      }
      const isSha1 = other.skip === undefined && other.invalid === undefined && /sha1/i.test(other.algorithm);
      const wrong = isSha1 ? 'weak algorithm' : (other.skip ?? other.invalid);
      assert.equal(one.wrong, wrong, JSON.stringify(value));
      reasons.set(wrong ?? 'sound', (reasons.get(wrong ?? 'sound') ?? 0) + 1);
      if (wrong !== undefined) continue;
      const { parsed } = other;
      assert.deepEqual(
        [one.domain, one.selector, one.algorithm, one.header, one.body, one.length ?? ''],
        [
          toALabel(other.signingDomain),
          toALabel(other.selector),
          other.algorithm,
          other.headerCanon,
          other.bodyCanon,
          other.maxBodyLength,
        ],
        JSON.stringify(value),
      );
      assert.deepEqual(
        [one.made, one.expires, one.bodyHash, one.signature],
        [parsed.t?.value, parsed.x?.value, parsed.bh?.value, parsed.b?.value],
        JSON.stringify(value),
      );
      assert.deepEqual(
        one.covers,
        lowerCase(String(parsed.h?.value))
          .split(':')
          .filter((name) => name !== ''),
      );
    }
    // Each was met, and many times.
    for (const reason of [
      ...['sound', 'unknown algorithm', 'signature missing required tag'],
      ...['signature syntax error', 'incompatible version', 'unsupported query method', 'domain mismatch'],
      ...['invalid expiration', 'From field not signed', 'weak algorithm'],
    ]) {
      assert.ok((reasons.get(reason) ?? 0) > 20, `${reason}: ${reasons.get(reason)}`);
    }
  });

  it('cover themselves with an empty b=', () => {
    for (const [value, unsigned] of [
      [' a=x; b=AA\n\tBB; d=y', ' a=x; b=; d=y'],
      [' bh=AA; b = AA ', ' bh=AA; b ='],
      ['b=AA;bb=b=1', 'b=;bb=b=1'],
    ] as const) {
      assert.equal(new TagList({ name: 'X', value }).unsigned.value, unsigned);
    }
  });
});

describe('chains', () => {
  const set = (i: number): Field[] => [
    {
      name: 'ARC-Seal',
      value: ` i=${i}; a=rsa-sha256; t=1; cv=${i === 1 ? 'none' : 'pass'};\n\td=example.com; s=s1; b=AAAA`,
    },
    {
      name: 'ARC-Message-Signature',
      value: ` i=${i}; a=rsa-sha256; c=relaxed; d=example.com; s=s1; h=from:to; bh=AAAA; b=AAAA`,
    },
    { name: 'ARC-Authentication-Results', value: ` i=${i}; mx.example.com; spf=pass` },
  ];

  it('are taken for sound, or broken, as mailauth does, whatever is done to them', () => {
    const random = numbers(11);
    let [sound, broken] = [0, 0];
    for (let i = 0; i < 10_000; i += 1) {
      const sets = 1 + random(3);
      let fields = Array.from({ length: sets }, (_, at) => set(sets - at)).flat();
      for (let times = random(3); times >= 0; times -= 1) {
        const at = random(fields.length);
        const field = fields[at];
        if (field === undefined) continue;
        switch (random(6)) {
          case 0:
            fields = fields.toSpliced(at, 1);
            break;
          case 1:
            fields = [...fields.toSpliced(at, 1), field];
            break;
          case 2:
            fields = fields.toSpliced(at, 0, field);
            break;
          case 3: {
            const value = field.value.replace(
              /i=\d+/,
              `i=${['0', '01', '1', '2', '3', '50', '51', 'x'][random(8)]}`,
            );
            fields = fields.toSpliced(at, 1, { ...field, value });
            break;
          }
          default:
            fields = fields.toSpliced(at, 1, { ...field, value: mutated(field.value, random) });
        }
      }
      // Of two numbers in one signature it takes the first.
      if (
        fields.some(
          ({ name, value }) => !/Results/.test(name) && (value.match(/(?:^|;)\s*i\s*=/g)?.length ?? 0) > 1,
        )
      )
        continue;
      let expected: number | undefined;
      try {
        const chain = getARChain(headerOf(fields), { strict: true });
        expected = chain === false ? 0 : chain.length;
      } catch {}
      const chain = readChain(arcFields(fields));
      // It asks for keys at places that are none.
      if ('broken' in chain && chain.broken.endsWith('invalid d= or s=')) continue;
      assert.equal(
        'sets' in chain ? chain.sets.length : undefined,
        expected,
        JSON.stringify([fields, chain]),
      );
      if (expected === undefined) broken += 1;
      else sound += 1;
    }
    assert.ok(sound > 1000 && broken > 1000, `${sound} sound, ${broken} broken`);
  });
});
