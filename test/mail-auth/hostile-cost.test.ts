/** What a stranger's message costs at most, beside an honest one of its size: both are checked here, in turn. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { authservOf } from '../../src/mail-auth/authentication-results.ts';
import { checkAll } from '../../src/mail-auth/check.ts';
import { ArrivingMessage } from '../../src/mail-auth/dkim-verify.ts';
import type { Field } from '../../src/mail-auth/field.ts';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { CachedZone } from './cached-zone.ts';
import { inquiryOf, messageText, type ParsedMessage, signed } from './messages.ts';

const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const NOW = Date.now();
const CLIENT = {
  address: '192.0.2.7',
  helo: 'mail.example.com',
  sender: 'jane@example.com',
  host: 'mx.example.net',
};
const zone = new CachedZone({
  'example.com TXT': 'v=spf1 ip4:192.0.2.0/24 -all',
  '_dmarc.example.com TXT': 'v=DMARC1; p=reject',
  's1._domainkey.example.com TXT': keyRecord(key),
});
const LINE = 'It is a text of which there are many lines, and none is longer than others.\r\n';
const FIELDS: readonly Field[] = [
  { name: 'From', value: ' Jane <jane@example.com>' },
  { name: 'To', value: ' bob@example.net' },
  { name: 'Subject', value: ' A day' },
  { name: 'Date', value: ' Sat, 28 Nov 2026 10:00:00 +0000' },
];
const AR = 'Authentication-Results';

const sign = (message: ParsedMessage): ParsedMessage =>
  signed(message, { key, domain: 'example.com', selector: 's1', now: NOW });

/** Signed once, of about so many bytes. */
function honest(bytes: number): ParsedMessage {
  return sign({ fields: FIELDS, body: Buffer.alloc(Math.max(0, bytes - 1000), LINE) });
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

const HOSTILE: Readonly<Record<string, ParsedMessage>> = {
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

async function check({ fields, body }: ParsedMessage): Promise<void> {
  const inquiry = inquiryOf(zone);
  const arriving = new ArrivingMessage(fields, inquiry, NOW, 'relaxed');
  for (let at = 0; at < body.length; at += 65_536) arriving.body(body.subarray(at, at + 65_536));
  await checkAll(arriving, CLIENT, inquiry);
  // What auth.check { add = true } does with what came in.
  for (const { name, value } of fields) if (name === AR) authservOf(value);
}

async function cpuMs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Of so many times the least: what else the machine does only adds to it. */
const TIMES = 15;
/** What nine more signatures may cost besides, on a busy machine; in ms. */
const MORE_MS = 2;

describe('a hostile message', () => {
  it('is checked at a cost near that of an honest one of its size', async (t) => {
    const plain = honest(10_000);
    for (let i = 0; i < 300; i += 1) await check(plain);
    const dear: string[] = [];
    for (const [name, message] of Object.entries(HOSTILE)) {
      const bytes = messageText(message).length;
      const other = honest(bytes);
      let [cost, beside] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      for (let i = 0; i < TIMES; i += 1) {
        cost = Math.min(cost, await cpuMs(() => check(message)));
        beside = Math.min(beside, await cpuMs(() => check(other)));
      }
      const line = `${name}: ${cost.toFixed(2)} ms, ${(cost / beside).toFixed(1)} times an honest one of ${Math.round(bytes / 1000)} KB`;
      t.diagnostic(line);
      if (cost > 2 * beside + MORE_MS) dear.push(line);
    }
    assert.deepEqual(dear, []);
  });
});
