/** Right policies: nothing is said of them, and they are right, for they run. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sendMessage } from '../../src/commands/try/try-message.ts';
import { readPlan } from '../../src/commands/try/try-options.ts';
import { TryRun } from '../../src/commands/try/try-run.ts';
import { resolveOptions } from '../../src/options/options.ts';
import { findings } from './findings.ts';

const DIRECTORY = new URL('right-policies/', import.meta.url).pathname;
const POLICIES = readdirSync(DIRECTORY).filter((name) => name.endsWith('.lua'));

const RICH = `From: "A. Person" <a.person@example.net>
To: One <one@example.com>, two@example.org
Cc: three@example.com
Subject: Re: an invoice
Date: Sat, 28 Nov 2026 10:00:00 +0000
Message-Id: <1@example.net>
Received: from unknown (unknown [192.0.2.9])
X-Mailer: mail 1.0
Precedence: Bulk
Content-Type: multipart/mixed; boundary="b"

--b

cheap pills, free money, act now
--b
Content-Type: application/octet-stream;
 name="report.txt"

data
--b--
`.replaceAll('\n', '\r\n');

const BARE = 'X-Nothing: \r\n\r\n';

/** Who comes, with what: clients of all kinds, headers or none, names that exist or do not. */
const CASES: readonly { readonly message: string; readonly args: Readonly<Record<string, unknown>> }[] = [
  { message: RICH, args: { from: 'a.person@example.net SIZE=1234 BODY=8BITMIME', to: ['one@example.com', 'x+y@example.org'], ptr: 'mx.example.net', helo: 'mx.example.net' } },
  { message: RICH, args: { from: 'joe@example.com', to: ['postmaster', 'info@example.com'], auth: 'joe', tls: 'TLSv1.3', mta: 'sendmail', macro: ['client_connections=3', 'client_port=1000'] } },
  { message: BARE, args: { from: '', to: ['all@example.com'], ip: '2001:db8::7', helo: '[IPv6:2001:db8::7]' } },
  { message: BARE, args: { from: 'nobody', to: ['1234five@invalid'], helo: 'localhost' } },
]; // biome-ignore format: one line for each

const ZONE = `mx.example.net A 192.0.2.1
example.net MX 10 mx.example.net
example.net TXT "v=spf1 a mx ip4:192.0.2.0/24 -all"
1.2.0.192.zen.example.org A 127.0.0.2
`;

test('there are enough of them', () => {
  assert.ok(POLICIES.length >= 30);
});

for (const name of POLICIES) {
  test(`nothing is wrong with ${name}`, async (t) => {
    const policy = join(DIRECTORY, name);
    assert.deepEqual(findings(readFileSync(policy, 'latin1')), []);

    const directory = mkdtempSync(join(tmpdir(), 'smtpf-right-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    for (const variable of ['GREYLIST', 'RATE_DIR']) process.env[variable] = directory;
    const dns = join(directory, 'zone');
    writeFileSync(dns, ZONE);
    const options = resolveOptions(new Map([['script', [policy]]]), {});
    for (const { message, args } of CASES) {
      const run = new TryRun(options, readPlan({ policy, dns, ...args }));
      t.after(() => run.close());
      const script = await run.examine();
      assert.equal(script.problem, undefined);
      await sendMessage(
        run.openSession(() => undefined),
        run.plan,
        Buffer.from(message, 'latin1'),
      );
      const failures = run.recorder.calls.flatMap(({ call }) => call?.failure ?? []);
      assert.deepEqual(failures, [], JSON.stringify(args));
      assert.ok(run.recorder.calls.length > 0);
    }
  });
}
