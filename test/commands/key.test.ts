/** The command key: files and records that others understand, and what it refuses. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Nsd, withoutNsd } from '../dns/nsd.ts';
import { KEYS_OF_INPUT, withDkimpy } from '../mail-auth/dkimpy.ts';
import { directory, run } from '../program/program.ts';

const ROOT_ONLY = process.getuid?.() === 0;

async function made(t: TestContext, ...args: string[]): Promise<{ file: string; stdout: string }> {
  const file = join(directory(t), 'key.pem');
  const { code, stdout, stderr } = await run(['key', '--domain', 'key.test', '--out', file, ...args]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return { file, stdout };
}

/** The record of a zone file in what was printed. */
function zoneRecord(stdout: string): string {
  const [record] = /^\S+\. IN TXT \((?:[^)]|\n)*\)$/m.exec(stdout) ?? [];
  assert.ok(record !== undefined, stdout);
  return record;
}

/** Another program than ours looks for the key in the DNS, and compares it with the file. Without DNSSEC it ends with "not secure". */
async function testKey(t: TestContext, server: Nsd, selector: string, file: string): Promise<string> {
  const place = directory(t);
  writeFileSync(
    join(place, 'unbound.conf'),
    `server:
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "test." nodefault
stub-zone:
  name: "key.test"
  stub-addr: 127.0.0.1@${server.port}
`,
  );
  const conf = join(place, 'opendkim.conf');
  writeFileSync(conf, `ResolverConfiguration ${join(place, 'unbound.conf')}\n`);
  const { status, stderr } = spawnSync(
    'opendkim-testkey',
    ['-d', 'key.test', '-s', selector, '-k', file, '-x', conf, '-vvv'],
    { encoding: 'utf8', timeout: 60_000 },
  );
  return `${status} ${stderr}`;
}

describe('keys', { concurrency: 2 }, () => {
  test('are known to OpenDKIM by the record of the zone file', { skip: withoutNsd }, async (t) => {
    const keys = await Promise.all([
      made(t, '--selector', 's2048'),
      made(t, '--selector', 's4096.mail', '--bits', '4096'),
      made(t, '--selector', 's1024', '--bits', '1024'),
    ]);
    const server = await Nsd.start({
      'key.test': keys.map(({ stdout }) => `${zoneRecord(stdout)}\n`).join(''),
    });
    t.after(() => server.stop());
    for (const [i, selector] of ['s2048', 's4096.mail', 's1024'].entries()) {
      const file = keys[i]?.file ?? '';
      assert.match(await testKey(t, server, selector, file), /^0 .*key not secure\n$/s);
    }
    assert.match(await testKey(t, server, 's2048', keys[1]?.file ?? ''), /^65 /);
  });

  test('sign for dkimpy, which verifies by the record for a form', async (t) => {
    for (const type of ['rsa', 'ed25519'] as const) {
      const { file, stdout } = await made(t, '--selector', 'x', '--type', type);
      const name = /^name: +(\S+)$/m.exec(stdout)?.[1] ?? '';
      const value = /^value: (.+)$/m.exec(stdout)?.[1] ?? '';
      assert.equal(name, 'x._domainkey.key.test');
      // dkimpy takes an Ed25519 key as its seed: the last 32 bytes of the file.
      const der = execFileSync('openssl', ['pkey', '-in', file, '-outform', 'DER']);
      const key = type === 'rsa' ? readFileSync(file, 'latin1') : der.subarray(-32).toString('base64');
      const passes = withDkimpy<boolean>(
        `${KEYS_OF_INPUT}
text = b'From: a@key.test\\r\\nSubject: x\\r\\n\\r\\nHello\\r\\n'
algorithm = input['type'].encode() + b'-sha256'
field = dkim.sign(text, b'x', b'key.test', input['key'].encode(), signature_algorithm=algorithm)
print(json.dumps(dkim.verify(field + text, dnsfunc=dnsfunc)))`,
        { type, key, keys: { [name]: value } },
      );
      assert.equal(passes, true, type);
    }
  });

  test('are the same in all forms that are printed, in strings that the DNS can hold', async (t) => {
    const { file, stdout } = await made(t, '--selector', 'X', '--bits', '4096', '--json');
    const { strings, ...rest } = JSON.parse(stdout) as { strings: string[] };
    assert.deepEqual(
      strings.map(({ length }) => length > 255),
      strings.map(() => false),
    );
    assert.equal(strings.length, 3);
    const der = execFileSync('openssl', ['pkey', '-in', file, '-pubout', '-outform', 'DER']);
    const record = `v=DKIM1; k=rsa; p=${der.toString('base64')}`;
    assert.equal(strings.join(''), record);
    const name = 'x._domainkey.key.test';
    assert.deepEqual(rest, { file, domain: 'key.test', selector: 'x', type: 'rsa', name, record });
  });

  test('are for their owner alone, and printed nowhere', async (t) => {
    const { file, stdout } = await made(t, '--selector', 'x');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    for (const line of readFileSync(file, 'latin1').split('\n').slice(1, -2))
      assert.ok(!stdout.includes(line));
  });

  test('never take the place of a file', async (t) => {
    const { file } = await made(t, '--selector', 'x');
    const before = readFileSync(file);
    const again = await run(['key', '--domain', 'key.test', '--selector', 'x', '--out', file]);
    assert.deepEqual(again, {
      code: 73,
      stdout: '',
      stderr: `smtpf-milter: --out ${file}: is there already, and may be in use: name another\n`,
    });
    assert.deepEqual(readFileSync(file), before);
  });

  test('have no record where they cannot be written', { skip: !ROOT_ONLY && 'only root' }, async () => {
    const { code, stdout, stderr } = await run([
      ...['key', '--domain', 'key.test', '--selector', 'x', '--out', '/dev/full/key.pem'],
    ]);
    assert.deepEqual({ code, stdout }, { code: 73, stdout: '' });
    assert.equal(stderr, 'smtpf-milter: --out /dev/full/key.pem: a part of the path is not a directory\n');
  });

  const WRONG: readonly (readonly [string[], string])[] = [
    [['--selector', 'x'], 'key: --domain must be given'],
    [['--domain', 'key.test'], 'key: --selector must be given'],
    [['--domain', 'a b', '--selector', 'x'], '--domain: "a b" must be a domain, such as example.com'],
    [
      ['--domain', 'key.test', '--selector', 'x;'],
      '--selector: "x;" must be labels of letters, digits, - and _, with dots between',
    ],
    [
      ['--domain', 'key.test', '--selector', 'x', '--type', 'dsa'],
      '--type: "dsa" must be rsa or ed25519 (did you mean rsa?)',
    ],
    [
      ['--domain', 'key.test', '--selector', 'x', '--bits', '1023'],
      '--bits: "1023" must be a whole number from 1024 to 4096',
    ],
    [
      ['--domain', 'key.test', '--selector', 'x', '--type', 'ed25519', '--bits', '2048'],
      '--bits: a key of type ed25519 has no choice of length',
    ],
    [
      ['--domain', `${'x'.repeat(60)}.`.repeat(4).slice(0, -1), '--selector', 'x'],
      `--selector and --domain: x._domainkey.${`${'x'.repeat(60)}.`.repeat(4).slice(0, -1)} is longer than a name in the DNS`,
    ],
  ];
  for (const [args, message] of WRONG) {
    test(`refused: ${args.join(' ').slice(0, 60)}`, async (t) => {
      const file = join(directory(t), 'key.pem');
      const { code, stdout, stderr } = await run(['key', ...args, '--out', file]);
      assert.deepEqual(
        { code, stdout, stderr },
        { code: 64, stdout: '', stderr: `smtpf-milter: ${message}\n` },
      );
      assert.equal(existsSync(file), false);
    });
  }
});
