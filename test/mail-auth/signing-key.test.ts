import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { signingDomain, signingSelector } from '../../src/mail-auth/dkim-sign.ts';
import { keyRecord, makeSigningKey, readSigningKey } from '../../src/mail-auth/signing-key.ts';

describe('keys that sign', () => {
  it('are made with the record that belongs to them', () => {
    for (const type of ['rsa', 'ed25519'] as const) {
      const { pem, record } = makeSigningKey(type);
      const key = readSigningKey(pem);
      assert.ok('key' in key);
      assert.equal(key.algorithm, `${type}-sha256`);
      assert.match(record, new RegExp(`^v=DKIM1; k=${type}; p=[A-Za-z0-9+/]+=*$`));
    }
  });

  it('have the record of RFC 8463 appendix A', () => {
    // The seed and the public key there.
    const seed = 'nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=';
    const der = Buffer.concat([
      Buffer.from('302e020100300506032b657004220420', 'hex'),
      Buffer.from(seed, 'base64'),
    ]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    assert.equal(keyRecord(key), 'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=');
  });

  it('are refused in words that show nothing of them', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    assert.deepEqual(readSigningKey(pem), { wrong: 'is a key of type ec: RSA and Ed25519 sign mail' });
    const locked = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'x',
    });
    for (const text of ['', 'SECRET', locked.toString(), pem.slice(0, 60)]) {
      const read = readSigningKey(text);
      assert.deepEqual(read, { wrong: 'is no private key in PEM form, or is encrypted' });
    }
  });
});

describe('names in signatures', () => {
  it('are those that the DNS and the syntax of tags can hold', () => {
    assert.equal(signingDomain('Example.COM'), 'example.com');
    assert.equal(signingDomain('b\u00fccher.example'), 'xn--bcher-kva.example');
    for (const wrong of [
      '',
      'example',
      'a..b',
      'a.b;c',
      'a b.c',
      'a.b\n',
      '-a.b',
      `${'x'.repeat(64)}.example`,
    ]) {
      assert.equal(signingDomain(wrong), undefined, wrong);
    }
    assert.equal(signingSelector('S1.Mail'), 's1.mail');
    for (const wrong of ['', 'a b', 'a;b', 'a.', '.a', 'x'.repeat(64)]) {
      assert.equal(signingSelector(wrong), undefined, wrong);
    }
  });
});
