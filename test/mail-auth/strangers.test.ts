/** What a stranger can write that is no fault of its form, and must neither pass nor cost much. */
import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import { checkArc } from '../../src/mail-auth/arc.ts';
import { ArrivingMessage } from '../../src/mail-auth/dkim-verify.ts';
import { type Field, lineOf, relaxedLine } from '../../src/mail-auth/field.ts';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { inquiryOf, zoneOf } from './messages.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const BODY = Buffer.from('x\r\n');
const BODY_HASH = createHash('sha256').update(BODY).digest('base64');
const FROM: Field = { name: 'From', value: ' jane@example.com' };
const latin1 = (text: string) => Buffer.from(text).toString('latin1');

function signature(lines: readonly string[], key: KeyObject): string {
  return sign('sha256', Buffer.from(lines.join('\r\n'), 'latin1'), key).toString('base64');
}

/** A DKIM-Signature of From, with these tags besides. */
function signed(
  tags: string,
  key = rsa,
  covered: readonly Field[] = [FROM],
  form: 'relaxed' | 'simple' = 'relaxed',
): Field {
  const name = 'DKIM-Signature';
  const value = ` v=1; a=rsa-sha256; c=${form}/simple; h=${covered.map((field) => field.name).join(':')}; bh=${BODY_HASH}; ${tags}; b=`;
  const canonical = form === 'relaxed' ? relaxedLine : lineOf;
  return { name, value: value + signature([...covered, { name, value }].map(canonical), key) };
}

/** A chain of one set, sealed by the key of `s` below `d`. */
function sealed(d: string, s: string, key = rsa): readonly Field[] {
  const results = { name: 'ARC-Authentication-Results', value: ' i=1; mx.example.com; dmarc=pass' };
  const messageName = 'ARC-Message-Signature';
  let value = ` i=1; a=rsa-sha256; c=relaxed/simple; d=${d}; s=${s}; h=from; bh=${BODY_HASH}; b=`;
  const message = {
    name: messageName,
    value: value + signature([FROM, { name: messageName, value }].map(relaxedLine), key),
  };
  value = ` i=1; a=rsa-sha256; cv=none; d=${d}; s=${s}; b=`;
  const lines = [results, message, { name: 'ARC-Seal', value }].map(relaxedLine);
  return [{ name: 'ARC-Seal', value: value + signature(lines, key) }, message, results];
}

async function check(fields: readonly Field[], zone: Parameters<typeof zoneOf>[0]) {
  const message = new ArrivingMessage(fields, inquiryOf(zoneOf(zone)), Date.now());
  message.body(BODY);
  const dkim = await message.verify();
  return { dkim, arc: await checkArc(message) };
}

const RECORD = keyRecord(rsa);
const ZONE = { 's._domainkey.example.com TXT': RECORD };

describe('a key', () => {
  it('is at the place that a chain names, and at no other', async () => {
    const zone = { 'key.evil.example TXT': RECORD, 's._domainkey.example.com TXT': RECORD };
    for (const mark of ['/', '?', '#', '\\', '@', ':', '%2f', '\t']) {
      for (const selector of [`key.evil.example${mark}\u0161@\u00fc`, `key.evil.example${mark}\u00fc`]) {
        const { arc } = await check([...sealed('example.com', latin1(selector)), FROM], zone);
        assert.equal(arc.kind === 'known' && arc.value.result, 'fail', selector);
      }
    }
    const { arc } = await check([...sealed('example.com', 's'), FROM], zone);
    assert.equal(arc.kind === 'known' && arc.value.result, 'pass');
  });

  it('of a domain alone counts for a chain: what is i= in a signature is the number of a set there', async () => {
    const zone = { 's._domainkey.example.com TXT': RECORD.replace('v=DKIM1;', 'v=DKIM1; t=s;') };
    const { arc } = await check([...sealed('example.com', 's'), FROM], zone);
    assert.equal(arc.kind === 'known' && arc.value.result, 'pass');
    for (const [identity, result] of [
      ['@example.com', 'pass'],
      ['@mail.example.com', 'permerror'],
    ]) {
      const { dkim } = await check([signed(`d=example.com; s=s; i=${identity}`), FROM], zone);
      assert.equal(dkim[0]?.result, result, identity);
    }
  });

  it('may have an underscore in its selector', async () => {
    const zone = { 'a_1._domainkey.example.com TXT': RECORD };
    assert.equal((await check([signed('d=example.com; s=a_1'), FROM], zone)).dkim[0]?.result, 'pass');
  });

  it('that is too large, or has a record too long, is not used', async () => {
    const { n = '', e = '' } = createPublicKey(rsa).export({ format: 'jwk' });
    const records: Readonly<Record<string, readonly [record: string, reason: string]>> = {
      'of 6144 bits': [
        recordOf(Buffer.alloc(768, 0xff).toString('base64url'), e),
        'limit: the key is too large',
      ],
      'with an exponent of 61 bits': [
        recordOf(n, Buffer.from('1fffffffffffffff', 'hex').toString('base64url')),
        'limit: the key is too large',
      ],
      'with notes of 5 KB': [`${RECORD}; n=${'x'.repeat(5000)}`, 'limit: the record of the key is too long'],
    };
    for (const [name, [record, reason]] of Object.entries(records)) {
      const zone = { 's._domainkey.example.com TXT': record };
      const { dkim } = await check([signed('d=example.com; s=s'), FROM], zone);
      assert.deepEqual([dkim[0]?.result, dkim[0]?.reason], ['permerror', reason], name);
    }
  });
});

/** Of a key with this modulus and exponent, in base64url. */
function recordOf(n: string, e: string): string {
  const key = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
  return `v=DKIM1; k=rsa; p=${key.export({ type: 'spki', format: 'der' }).toString('base64')}`;
}

describe('a signature', () => {
  it('whose canonical form is no word of the RFC is none', async () => {
    for (const form of ['/relaxed', '/', 'relaxed/', 'relaxed/simple/x', '\xa0relaxed']) {
      const field = signed('d=example.com; s=s');
      const value = field.value.replace('c=relaxed/simple', `c=${form}`);
      const { dkim } = await check([{ ...field, value }, FROM], ZONE);
      assert.deepEqual([dkim[0]?.result, dkim[0]?.reason], ['permerror', 'unknown canonicalization'], form);
    }
  });

  it('that is none, or of another body, takes nothing from a chain', async () => {
    const junk = Array.from({ length: 10 }, () => ({
      name: 'DKIM-Signature',
      value: ' v=1; a=rsa-sha256; d=example.com; s=s; h=from; bh=AAAA; b=AAAA',
    }));
    const { arc } = await check([...sealed('example.com', 's'), ...junk, FROM], ZONE);
    assert.equal(arc.kind === 'known' && arc.value.result, 'pass');
  });
});

describe('a line', () => {
  it('is what the expressions of the RFC make of it, simple and relaxed', () => {
    const bits = ['a', 'bc', ' ', '  ', '\t', '\r', '\n', '\r\n', '\r\n ', '\n\t', '\xe9', '\0', ':'];
    let seed = 3;
    for (let i = 0; i < 20_000; i += 1) {
      let value = '';
      for (let at = 0; at < 12; at += 1) {
        seed = (seed * 48271) % 2147483647;
        value += bits[seed % bits.length];
      }
      assert.equal(
        lineOf({ name: 'X', value }),
        `X:${value.replace(/\r?\n/g, '\r\n')}`,
        JSON.stringify(value),
      );
      const expected = value
        .replace(/\r?\n/g, '')
        .replace(/[ \t]+/g, ' ')
        .replace(/^ | $/g, '');
      assert.equal(relaxedLine({ name: 'Subject \t', value }), `subject:${expected}`, JSON.stringify(value));
    }
  });
});

describe('what a stranger writes', () => {
  const many = (count: number, make: (i: number) => Field) =>
    Array.from({ length: count }, (_, i) => make(i));
  const wide = (value: string) =>
    many(12, (i) => ({ name: `X${i}`, value: value.repeat(60_000 / value.length) }));
  const tags = (more: string): Field => ({
    name: 'DKIM-Signature',
    value: latin1(` v=1; a=rsa-sha256; h=from; bh=${BODY_HASH}; b=AAAA; ${more}`),
  });
  const shapes: Readonly<Record<string, readonly Field[]>> = {
    'a domain of 20,000 letters': [tags(`d=${'\u4e2d'.repeat(20_000)}.example; s=s`)],
    'a selector of 20,000 letters': [tags(`d=example.com; s=${'\u4e2d'.repeat(20_000)}`)],
    'an identity of 20,000 letters': [tags(`d=example.com; s=s; i=@${'\u4e2d'.repeat(20_000)}.example`)],
    'an identity of 20,000 codes': [tags(`d=example.com; s=s; i=${'=41'.repeat(20_000)}@example.com`)],
    'a chain of a domain of 20,000 letters': sealed(latin1(`${'\u4e2d'.repeat(20_000)}.example`), 's'),
    'a From of 1,200 letters': [{ name: 'From', value: latin1(` a@${'\u4e2d'.repeat(1200)}.example`) }],
    'a From of 3,900 colons': [{ name: 'From', value: ` ${':'.repeat(3900)}` }],
    'blanks within a name': many(15, () => ({ name: `a${' '.repeat(60_000)}x `, value: ' x' })),
    ...Object.fromEntries(
      (['relaxed', 'simple'] as const).flatMap((form) =>
        [' a', '\n a', '\r'].map((value) => {
          const fields = [FROM, ...wide(value)];
          const field = signed('d=example.com; s=s', rsa, fields, form);
          return [
            `ten signatures of 700 KB, ${form}, ${JSON.stringify(value)}`,
            [...many(10, () => field), ...wide(value)],
          ];
        }),
      ),
    ),
  };
  for (const [name, fields] of Object.entries(shapes)) {
    it(`costs little: ${name}`, async () => {
      const began = process.cpuUsage();
      await check([...fields, FROM], ZONE);
      const { user, system } = process.cpuUsage(began);
      const ms = (user + system) / 1000;
      console.log(`${name}: ${ms.toFixed(1)} ms`);
      assert.ok(ms < 500, `${ms} ms`);
    });
  }
});
