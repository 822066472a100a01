/** Keys for policies: what is kept of files, what is said of wrong ones, and that nothing of a key is shown. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Answer } from '../../src/asking/answer.ts';
import type { SigningKey } from '../../src/mail-auth/signing-key.ts';
import { SigningKeys } from '../../src/mail-auth/signing-keys.ts';
import { recorded } from '../../src/services/recorded.ts';
import { servicesWith } from '../helpers/services.ts';
import { directory, run } from '../program/program.ts';

const BITS = ['-pkeyopt', 'rsa_keygen_bits:2048'];

/** A key that OpenSSL has made. */
function keyFile(t: TestContext, algorithm: string, more: readonly string[] = []): string {
  const file = join(directory(t), 'key.pem');
  execFileSync('openssl', ['genpkey', '-quiet', '-algorithm', algorithm, '-out', file, ...more]);
  chmodSync(file, 0o600);
  return file;
}

function wordOf(answer: Answer<SigningKey>): string {
  return answer.kind === 'known' ? answer.value.algorithm : answer.reason;
}

describe('keys for policies', () => {
  it('are read from files, in each form that OpenSSL writes', (t) => {
    const keys = new SigningKeys([], assert.fail);
    const rsa = keyFile(t, 'RSA', BITS);
    assert.equal(wordOf(keys.key(rsa)), 'rsa-sha256');
    assert.equal(wordOf(keys.key(keyFile(t, 'ED25519'))), 'ed25519-sha256');
    const old = join(directory(t), 'pkcs1.pem');
    execFileSync('openssl', ['pkey', '-traditional', '-in', rsa, '-out', old]);
    assert.match(readFileSync(old, 'latin1'), /BEGIN RSA PRIVATE KEY/);
    chmodSync(old, 0o600);
    assert.equal(wordOf(keys.key(old)), 'rsa-sha256');
  });

  it('are taken from the script', (t) => {
    const keys = new SigningKeys([], assert.fail);
    const pem = readFileSync(keyFile(t, 'ED25519'), 'latin1');
    assert.equal(wordOf(keys.key(pem)), 'ed25519-sha256');
    assert.equal(keys.key(`\n${pem}`), keys.key(`\n${pem}`));
    assert.equal(
      wordOf(keys.key(pem.slice(0, 60))),
      'protocol the key in the script is no private key in PEM form, or is encrypted',
    );
  });

  it('are read again when a file has changed, and kept when it is wrong then', async (t) => {
    const warnings: string[] = [];
    const keys = new SigningKeys([], (message) => warnings.push(message));
    const file = keyFile(t, 'ED25519');
    assert.equal(wordOf(keys.key(file)), 'ed25519-sha256');
    const until = async (isSo: () => boolean): Promise<void> => {
      const end = Date.now() + 60_000;
      while (!isSo()) {
        assert.ok(Date.now() < end);
        await delay(50);
      }
    };
    renameSync(keyFile(t, 'RSA', BITS), file);
    await until(() => wordOf(keys.key(file)) === 'rsa-sha256');
    writeFileSync(file, 'SECRET');
    await until(() => {
      assert.equal(wordOf(keys.key(file)), 'rsa-sha256');
      return warnings.length > 0;
    });
    assert.deepEqual(warnings, [
      `${file}: is no private key in PEM form, or is encrypted: what it held before goes on`,
    ]);
  });

  it('are those of the start where the file cannot be read any more', (t) => {
    const file = keyFile(t, 'ED25519');
    const keys = new SigningKeys([{ path: file, bytes: readFileSync(file) }], () => {});
    rmSync(file);
    assert.equal(wordOf(keys.key(file)), 'ed25519-sha256');
  });

  it('are not there, or wrong, in words that show nothing of a file', (t) => {
    const keys = new SigningKeys([], assert.fail);
    const place = directory(t);
    const wrong = join(place, 'wrong.pem');
    writeFileSync(wrong, 'SECRET', { mode: 0o600 });
    const ec = keyFile(t, 'EC', ['-pkeyopt', 'ec_paramgen_curve:P-256']);
    const short = keyFile(t, 'RSA', ['-pkeyopt', 'rsa_keygen_bits:1016']);
    assert.deepEqual(
      [join(place, 'none.pem'), place, wrong, ec, short].map((path) => wordOf(keys.key(path))),
      [
        `unavailable key ${place}/none.pem: no such file or directory`,
        `unavailable key ${place}: is a directory`,
        `protocol key ${wrong}: is no private key in PEM form, or is encrypted`,
        `protocol key ${ec}: is a key of type ec: RSA and Ed25519 sign mail`,
        `protocol key ${short}: has 1016 bits: at least 1024 are needed`,
      ],
    );
  });

  it('say who else can read their file', (t) => {
    const warnings: string[] = [];
    const file = keyFile(t, 'ED25519');
    chmodSync(file, 0o644);
    new SigningKeys([], (message) => warnings.push(message)).key(file);
    assert.deepEqual(warnings, [`${file}: others can read this secret: chmod o= ${file}`]);
  });

  it('are told of, to those who look at a policy at work, by name and type', (t) => {
    const told: unknown[] = [];
    const { keys } = recorded(servicesWith(), ({ service, question, answer }) =>
      told.push([service, question, answer]),
    );
    const file = keyFile(t, 'ED25519');
    keys.key(file);
    keys.key(readFileSync(file, 'latin1'));
    assert.deepEqual(told, [
      ['key', file, 'ed25519-sha256'],
      ['key', 'in the script', 'ed25519-sha256'],
    ]);
  });
});

describe('--signing-key', { concurrency: 2 }, () => {
  const start = (...args: string[]) => run(['--listen', 'inet:0@127.0.0.1', ...args]);

  for (const workers of ['0', '1']) {
    it(`ends the start where a file is missing or wrong, --workers ${workers}`, async (t) => {
      const good = keyFile(t, 'ED25519');
      const wrong = join(directory(t), 'wrong.pem');
      writeFileSync(wrong, 'SECRET', { mode: 0o600 });
      const both = await start('--workers', workers, '--signing-key', good, '--signing-key', wrong);
      assert.deepEqual(both, {
        code: 78,
        stdout: '',
        stderr: `smtpf-milter: --signing-key ${wrong}: is no private key in PEM form, or is encrypted\n`,
      });
      const none = await start('--workers', workers, '--signing-key', `${wrong}.none`);
      assert.deepEqual(none, {
        code: 78,
        stdout: '',
        stderr: `smtpf-milter: --signing-key ${wrong}.none: cannot be read: no such file or directory\n`,
      });
    });
  }
});
