/** Messages that a stranger has made dear to check, and honest ones. */
import { generateKeyPairSync } from 'node:crypto';
import { seal } from '../../src/mail-auth/arc.ts';
import { BodyHash } from '../../src/mail-auth/body-hash.ts';
import { SIGNED_FIELDS } from '../../src/mail-auth/dkim-sign.ts';
import type { Field } from '../../src/mail-auth/field.ts';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { type ParsedMessage, signed } from './messages.ts';

const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const NOW = Date.now();
/** Who sends them. */
export const CLIENT = {
  address: '192.0.2.7',
  helo: 'mail.example.com',
  sender: 'jane@example.com',
  host: 'mx.example.net',
};
/** Of as many records with a key. */
const SELECTORS = Array.from({ length: 10 }, (_, i) => `k${i}`);

/** What the DNS says of them. */
export const ZONE = {
  'example.com TXT': 'v=spf1 ip4:192.0.2.0/24 -all',
  '_dmarc.example.com TXT': 'v=DMARC1; p=reject',
  's1._domainkey.example.com TXT': keyRecord(key),
  ...Object.fromEntries(
    SELECTORS.map((selector) => [`${selector}._domainkey.example.com TXT`, keyRecord(key)]),
  ),
};
const LINE = 'It is a text of which there are many lines, and none is longer than others.\r\n';
const FIELDS: readonly Field[] = [
  { name: 'From', value: ' Jane <jane@example.com>' },
  { name: 'To', value: ' bob@example.net' },
  { name: 'Subject', value: ' A day' },
  { name: 'Date', value: ' Sat, 28 Nov 2026 10:00:00 +0000' },
];
const AR = 'Authentication-Results';

const sign = (message: ParsedMessage, selector = 's1'): ParsedMessage =>
  signed(message, { key, domain: 'example.com', selector, now: NOW });

/** What mail that has passed a few servers has besides. */
const USUAL: readonly Field[] = [
  ...Array.from({ length: 4 }, (_, i) => ({
    name: 'Received',
    value: ` from mx${i}.example.com (mx${i}.example.com [192.0.2.${i}])\n\tby mx${i + 1}.example.com (Postfix) with ESMTPS id 4bC7kq2Z6Nz\n\tfor <bob@example.net>; Sat, 28 Nov 2026 10:00:0${i} +0000 (UTC)`,
  })),
  { name: 'Message-ID', value: ' <20261128100000.4bC7kq2Z6Nz@mail.example.com>' },
  { name: 'Reply-To', value: ' Jane <jane@example.com>' },
  { name: 'MIME-Version', value: ' 1.0' },
  { name: 'Content-Type', value: ' text/plain; charset=utf-8; format=flowed' },
  { name: 'Content-Transfer-Encoding', value: ' 7bit' },
  { name: 'User-Agent', value: ' Mozilla Thunderbird' },
  { name: 'References', value: ' <a@mail.example.net>\n <b@mail.example.com>' },
  { name: 'In-Reply-To', value: ' <b@mail.example.com>' },
];

/** Signed once, of about so many bytes, with the fields that mail has. */
export function honest(bytes: number): ParsedMessage {
  return sign({ fields: [...USUAL, ...FIELDS], body: Buffer.alloc(Math.max(0, bytes - 2200), LINE) });
}

function withFields(fields: readonly Field[], body = 10_000): ParsedMessage {
  const message = sign({ fields: FIELDS, body: Buffer.alloc(body, LINE) });
  return { fields: [...fields, ...message.fields], body: message.body };
}

function many(count: number, name: string, value: (i: number) => string): Field[] {
  return Array.from({ length: count }, (_, i) => ({ name, value: value(i) }));
}

const tags = (more: string) =>
  ` v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1; ${more}; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA`;

function manyTimesSigned(count: number): ParsedMessage {
  let message: ParsedMessage = { fields: FIELDS, body: Buffer.alloc(10_000, LINE) };
  for (let i = 0; i < count; i += 1) message = sign(message);
  return message;
}

/** With so many sets of ARC, which all pass. */
function chained(message: ParsedMessage, count: number): ParsedMessage {
  const hash = new BodyHash('relaxed');
  hash.update(message.body);
  hash.end();
  const signer = { domain: 'example.com', selector: 's1', key: { algorithm: 'rsa-sha256', key } } as const;
  const results = 'mx.example.net;\n\tspf=pass smtp.mailfrom=example.com;\n\tdkim=pass header.d=example.com';
  let { fields } = message;
  for (let i = 0; i < count; i += 1) {
    const word = i === 0 ? 'none' : 'pass';
    const set = seal(fields, hash.digest() ?? '', signer, word, results, SIGNED_FIELDS, NOW);
    if ('none' in set) throw new Error(set.none);
    fields = [...set.fields, ...fields];
  }
  return { fields, body: message.body };
}

export const HOSTILE: Readonly<Record<string, ParsedMessage>> = {
  'ten signatures that pass': manyTimesSigned(10),
  'ten signatures by as many keys': SELECTORS.reduce(sign, manyTimesSigned(0)),
  'a chain of eight seals that pass': chained(manyTimesSigned(1), 8),
  'four signatures and a chain of five': chained(manyTimesSigned(4), 5),
  'a chain of fifty seals that pass': chained(manyTimesSigned(1), 50),
  'ten signatures and a chain of ten': chained(manyTimesSigned(10), 10),
  '30 signatures that pass': manyTimesSigned(30),
  '30 signatures of other bodies': withFields(
    many(30, 'DKIM-Signature', (i) => tags(`h=from; l=${i * 300}`)),
  ),
  '30 Authentication-Results of 3 KB': withFields(
    many(30, AR, (i) => ` mx${i}.example.net; ${'dkim=pass header.d=a.example; '.repeat(100)}`),
  ),
  '30 Authentication-Results of comments': withFields(
    many(30, AR, () => ` ${'(a)'.repeat(1000)}mx.example.net; dmarc=pass`),
  ),
  'a signature of 100 KB of tags': withFields([
    { name: 'DKIM-Signature', value: tags('x1=1;'.repeat(20_000)) },
  ]),
  'a signature of 60 KB of tags': withFields([
    { name: 'DKIM-Signature', value: tags('x1=1;'.repeat(12_000)) },
  ]),
  'a signature with a copy of 60 KB': withFields([
    { name: 'DKIM-Signature', value: tags(`h=from; z=${'x'.repeat(60_000)}`) },
  ]),
  'a seal of 60 KB of tags': withFields([
    {
      name: 'ARC-Seal',
      value: ` i=1; a=rsa-sha256; cv=none; ${'x1=1;'.repeat(12_000)} d=a.example; s=s; b=AA`,
    },
  ]),
  'a seal with results of 100 KB': withFields([
    {
      name: 'ARC-Authentication-Results',
      value: ` i=1; a.example; ${'dkim=pass header.d=a.example; '.repeat(3300)}`,
    },
  ]),
  'seals with results of 15 KB': withFields([
    {
      name: 'ARC-Authentication-Results',
      value: ` i=1; a.example; ${'dkim=pass header.d=a.example; '.repeat(500)}`,
    },
  ]),
  'a From of 100 KB of nested comments': withFields([{ name: 'From', value: ` ${'('.repeat(100_000)}` }]),
  'a From of 8,000 nested comments': withFields([
    { name: 'From', value: ` ${'('.repeat(3990)}${')'.repeat(3990)}a@example.com` },
  ]),
  'lines of 1 MB': sign({ fields: FIELDS, body: Buffer.alloc(4_000_000, `${'x'.repeat(999_998)}\r\n`) }),
  'lines of blanks': sign({ fields: FIELDS, body: Buffer.alloc(4_000_000, `${' \t'.repeat(500)}\r\n`) }),
  'tabs between letters': sign({ fields: FIELDS, body: Buffer.alloc(4_000_000, `${'a\t'.repeat(38)}a\r\n`) }),
  'two blanks between letters': sign({
    fields: FIELDS,
    body: Buffer.alloc(4_000_000, `${'a  '.repeat(25)}a\r\n`),
  }),
  '10,000 fields': withFields(many(10_000, 'X', () => ' y')),
  '5,000 fields of as many names': withFields(
    Array.from({ length: 5000 }, (_, i) => ({ name: `X${i}`, value: ' y' })),
  ),
};
