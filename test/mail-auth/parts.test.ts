import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { it } from 'node:test';
import { loadMailauth, PARTS } from '../../src/mail-auth/mailauth.ts';

const require = createRequire(import.meta.url);

it('mailauth is the version whose insides are known, and each part gives what is taken from it', () => {
  assert.equal((require('mailauth/package.json') as { version: string }).version, '7.1.0');
  const parts = loadMailauth();
  for (const name of Object.keys(PARTS) as (keyof typeof PARTS)[]) {
    assert.equal(typeof parts[name], 'function', name);
  }
});

it('the verifier is put together as ours stands on it', async () => {
  const { DkimVerifier } = loadMailauth();
  const wanted: unknown[] = [];
  const prepared: unknown[] = [];
  const verifier = new DkimVerifier({ resolver: async () => [], strict: true, curTime: new Date(0) });
  verifier.addBodyHash = (...given) => {
    wanted.push(given);
    return '';
  };
  const prepare = verifier.prepareSignature.bind(verifier);
  verifier.prepareSignature = (field) => {
    prepared.push(field.type);
    prepare(field);
  };
  const line =
    'DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=a.example; s=s; h=from; l=7; bh=eA==; b=eA==';
  const done = verifier.messageHeaders({
    parsed: [
      { key: 'dkim-signature', casedKey: 'DKIM-Signature', line: Buffer.from(line) },
      { key: 'from', casedKey: 'From', line: Buffer.from('From: x@a.example') },
    ],
  });
  // Before the promise is looked at.
  assert.deepEqual(wanted, [['simple', 'sha256', 7]]);
  assert.deepEqual(prepared, ['DKIM']);
  assert.deepEqual(verifier.headerFrom, ['x@a.example']);
  assert.equal(verifier.fromFields, 1);
  assert.equal(verifier.signatureHeaders[0]?.signingDomain, 'a.example');
  await done;
  const { signAlgo, headerCanon, bodyCanon, maxBodyLength, original } = verifier.signatureHeaders[0] ?? {};
  assert.deepEqual([signAlgo, headerCanon, bodyCanon, maxBodyLength], ['rsa', 'relaxed', 'simple', 7]);
  assert.equal(original?.toString(), line);
});

it('mailauth as a whole, and what only later versions of Node.js can load, is not loaded', () => {
  const script = `
    import { createRequire } from 'node:module';
    const { loadMailauth } = await import('./src/mail-auth/mailauth.ts');
    const { cache } = createRequire(import.meta.url);
    const idle = Object.keys(cache).filter((file) => file.includes('/mailauth/'));
    loadMailauth();
    const loaded = Object.keys(cache).filter((file) => /undici|mailauth.lib.mailauth|bimi/.test(file));
    console.log(JSON.stringify({ idle, loaded }));
  `;
  const output = execFileSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', script],
    { encoding: 'utf8' },
  );
  assert.deepEqual(JSON.parse(output), { idle: [], loaded: [] });
});
