import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { ArrivingMessage } from '../../src/mail-auth/dkim-verify.ts';
import { LookUps } from '../../src/mail-auth/look-ups.ts';
import { KnownKeys } from '../../src/mail-auth/public-keys.ts';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { inquiryOf, parseMessage, signed, zoneOf } from './messages.ts';
import { SAMPLES } from './samples.ts';

const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const message = signed(parseMessage(SAMPLES['a short message'] ?? ''), {
  key,
  domain: 'example.com',
  selector: 's1',
  now: Date.now(),
});

async function verdict(record: string) {
  const zone = zoneOf({ 's1._domainkey.example.com TXT': record });
  const arriving = new ArrivingMessage(message.fields, inquiryOf(zone), Date.now());
  arriving.body(message.body);
  const [signature] = await arriving.verify();
  return { result: signature?.result, reason: signature?.reason, bits: signature?.bits };
}

const PASS = { result: 'pass', reason: '', bits: 2048 };

describe('keys that were read before', () => {
  it('count for the text of their record, and no other', async () => {
    const record = keyRecord(key);
    assert.deepEqual(await verdict(record), PASS);
    assert.deepEqual(await verdict(record), PASS);
    assert.equal((await verdict(keyRecord(other))).reason, 'bad signature');
    assert.equal((await verdict(record.replace(/p=.*/, 'p='))).reason, 'invalid public key');
    assert.equal((await verdict(`${record}; h=sha1`)).reason, 'inappropriate hash algorithm');
    assert.equal((await verdict(`${record}; s=tlsrpt`)).reason, 'key not for email');
    assert.deepEqual(await verdict(record), PASS);
  });

  it('are 1,000 at most', async () => {
    const record = keyRecord(key);
    const nameOf = (i: number) => `s${i}._domainkey.example.com`;
    const zone = zoneOf(
      Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`${nameOf(i)} TXT`, `${record}; n=${i}`])),
    );
    const keys = new KnownKeys();
    const read = async (i: number) => {
      const found = await keys.find(new LookUps(inquiryOf(zone), 1), nameOf(i));
      assert.ok('publicKey' in found);
    };
    for (let i = 0; i < 1100; i += 1) {
      await read(i);
      await read(0);
      assert.equal(keys.size, Math.min(i + 1, 1000));
    }
  });
});
