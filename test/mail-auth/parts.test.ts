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
