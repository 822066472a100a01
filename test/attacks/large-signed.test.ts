/** Ten messages of 25 MB that are verified at the same time: the neighbour is served meanwhile, at a flat memory. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { Nsd, withoutNsd } from '../dns/nsd.ts';
import { mta as packets } from '../helpers/packet-builder.ts';
import { signed } from '../mail-auth/messages.ts';
import { childrenOf, startMilter } from '../program/milter-client.ts';
import { collectionsOf } from './collections.ts';
import { Neighbour } from './neighbour.ts';
import { longestTurns, TIMED } from './turns.ts';

const MESSAGES = 10;
const BYTES = 25 * 1024 * 1024;
const CHUNK = 65_535;
/** It is 20 ms on a quiet machine; where caches are not ours the same work takes some times as long. */
const LONGEST_TURN_MS = 40;

const POLICY = `function smtp.do_dot()
  if not header.get "From" then return end
  local found = must(auth.check())
  return 550, "5.7.1 " .. found.spf.result .. " " .. found.dkim[1].result .. " " .. found.dmarc.result
end`;

const PASSED = '550 5.7.1 pass pass pass';

function peakMib(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

test('ten messages of 25 MB are verified at a time', { skip: withoutNsd }, async (t) => {
  const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const record = keyRecord(key);
  const nsd = await Nsd.start({
    'example.com': `@ 3600 IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
_dmarc 3600 IN TXT "v=DMARC1; p=reject"
s1._domainkey 3600 IN TXT ${(record.match(/.{1,200}/g) ?? []).map((part) => `"${part}"`).join(' ')}
`,
  });
  t.after(() => nsd.stop());
  const args = ['--workers', '1', '--warm-up', '0', '--dns-server', nsd.server];
  const milter = await startMilter(t, POLICY, args, TIMED);
  const [worker] = childrenOf(milter.running.child.pid);

  // Lines of text with runs of blanks, which have to be reduced, and lines of base64.
  const text = `${'It is  a text \t of which there are many lines. \r\n'.repeat(20)}${'QUJD'.repeat(18)}\r\n`;
  const body = Buffer.alloc(BYTES, text);
  const fields = [
    { name: 'From', value: ' Jane <jane@example.com>' },
    { name: 'Subject', value: ' A day' },
  ];
  const message = signed({ fields, body }, { key, domain: 'example.com', selector: 's1', now: Date.now() });
  // All at once, so that to make them keeps this process from nothing.
  const bytes = Buffer.concat([
    ...message.fields.map(({ name, value }) => packets.header(name, value.replaceAll('\r\n', '\n'))),
    packets.eoh(),
    ...Array.from({ length: Math.ceil(BYTES / CHUNK) }, (_, i) =>
      packets.body(body.subarray(i * CHUNK, (i + 1) * CHUNK)),
    ),
    packets.eom(),
  ]);
  const open = async () => {
    const mta = await milter.connect();
    await mta.connect('192.0.2.7', 'mail.example.com');
    await mta.helo('mail.example.com');
    await mta.mail('<jane@example.com>');
    await mta.rcpt('<bob@example.net>');
    return mta;
  };
  // V8 compiles what is used most.
  const first = await open();
  first.socket.write(bytes);
  assert.equal((await first.reply()).text, PASSED);
  const mtas = await Promise.all(Array.from({ length: MESSAGES }, open));
  const before = peakMib(worker);
  const neighbour = await Neighbour.start(t, milter.port);
  const began = performance.timeOrigin + performance.now();
  for (const mta of mtas) mta.socket.write(bytes);
  const replies = await Promise.all(mtas.map(async (mta) => (await mta.reply()).text));
  await neighbour.stop(t, () => collectionsOf(worker, milter.running.stderr));
  assert.deepEqual(
    replies,
    mtas.map(() => PASSED),
  );
  const grown = peakMib(worker) - before;
  const { own: longest } = longestTurns(worker, milter.running.stderr, began);
  t.diagnostic(
    `the worker's longest turn took ${longest.toFixed(1)} ms of CPU time, and it grew by ${grown.toFixed(0)} MiB`,
  );
  assert.ok(longest < LONGEST_TURN_MS, `${longest} ms`);
  assert.ok(grown < 150, `${grown} MiB`);
});
