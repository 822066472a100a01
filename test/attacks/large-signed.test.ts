/** Ten messages of 25 MB that are verified at the same time: the neighbour is served meanwhile, at a flat memory. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { keyRecord } from '../../src/mail-auth/signing-key.ts';
import { Nsd, withoutNsd } from '../dns/nsd.ts';
import { mta as packets } from '../helpers/packet-builder.ts';
import { type Span, shareOf } from '../helpers/spans.ts';
import { signed } from '../mail-auth/messages.ts';
import { childrenOf, startMilter } from '../program/milter-client.ts';
import { collectionsOf, RECORDED } from './collections.ts';
import { Neighbour } from './neighbour.ts';

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

/** Tells of each turn of the event loop that takes the main thread more than 4 ms of CPU time. */
const TURNS = `
import { readFileSync, writeSync } from 'node:fs';
const cpu = () => Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6;
const now = () => performance.timeOrigin + performance.now();
let [from, before] = [now(), cpu()];
const look = () => {
  const [to, after] = [now(), cpu()];
  if (to - from > 4) writeSync(2, 'turn ' + process.pid + ' ' + from + ' ' + to + ' ' + (after - before) + '\\n');
  [from, before] = [to, after];
  setImmediate(look).unref();
};
look();`;

const WATCHED = ['env', `${RECORDED[1]} --import data:text/javascript,${encodeURIComponent(TURNS)}`] as const;

interface Turn extends Span {
  readonly cpu: number;
}

function turnsOf(pid: number | undefined, stderr: string): Turn[] {
  return [...stderr.matchAll(/turn (\d+) ([\d.]+) ([\d.]+) ([\d.]+)\n/g)]
    .filter(([, process]) => Number(process) === pid)
    .map(([, , from, to, cpu]) => ({ from: Number(from), to: Number(to), cpu: Number(cpu) }));
}

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
  const milter = await startMilter(t, POLICY, args, WATCHED);
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
  const collections = () => collectionsOf(worker, milter.running.stderr);
  await neighbour.stop(t, collections);
  assert.deepEqual(
    replies,
    mtas.map(() => PASSED),
  );
  const grown = peakMib(worker) - before;
  const own = turnsOf(worker, milter.running.stderr)
    .filter(({ from }) => from > began)
    .map((turn) => Math.min(turn.to - turn.from, turn.cpu) - shareOf(turn, collections()));
  const longest = Math.max(0, ...own);
  t.diagnostic(
    `the worker's longest turn took ${longest.toFixed(1)} ms of CPU time, and it grew by ${grown.toFixed(0)} MiB`,
  );
  assert.ok(longest < LONGEST_TURN_MS, `${longest} ms`);
  assert.ok(grown < 150, `${grown} MiB`);
});
