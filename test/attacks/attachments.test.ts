/** A message as large as mail gets, with many attachments: all of it is looked at, and the neighbour is served meanwhile. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { zip } from '../mime/zip-builder.ts';
import { childrenOf, startMilter } from '../program/milter-client.ts';
import { collectionsOf } from './collections.ts';
import { Neighbour } from './neighbour.ts';
import { longestTurns, TIMED } from './turns.ts';

const ATTACHMENTS = 50;
/** Of one, decoded: 25 MB of message with base64. */
const BYTES = 365_000;
const CHUNK = 65_535;
/** A slice of work is 5 ms; the same work takes longer where others use the caches. */
const LONGEST_TURN_MS = 40;

/** Looks at all there is, and counts. */
const POLICY = `function smtp.do_dot()
  if #mime.parts < 10 then return end
  local bytes, files, digests = 0, 0, {}
  for _, part in ipairs(mime.parts) do
    part:kind()
    if part.parent then
      bytes = bytes + part.size
      digests[#digests + 1] = part:sha256():sub(1, 4)
      for _, file in ipairs(part:files() or {}) do files = files + 1 end
    end
  end
  return 550, "5.7.1 " .. #digests .. " " .. bytes .. " " .. files .. " " .. table.concat(digests) .. " " .. #mime.defects
end`;

/** Bytes that cannot be packed, different for each. */
function noise(seed: number, size: number): Buffer {
  const block = createHash('sha512').update(`${seed}`).digest();
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += 64) {
    block.writeUInt32LE(at, 0);
    createHash('sha512').update(block).digest().copy(bytes, at);
  }
  return bytes;
}

/** Every fifth is an archive with an archive in it. */
function attachment(i: number): Buffer {
  if (i % 5 !== 0) return noise(i, BYTES);
  const inner = zip([
    { name: 'a.txt', data: 'x' },
    { name: 'b', data: noise(i, BYTES - 1000), deflate: false },
  ]);
  return zip([{ name: 'inner.zip', data: inner, deflate: true }]);
}

test('25 MB with 50 attachments', async (t) => {
  const options = ['--workers', '1', '--cpu-ms', '60000', '--eom-deadline', '120'];
  const milter = await startMilter(t, POLICY, options, TIMED);
  const [worker] = childrenOf(milter.running.child.pid);
  const parts = Array.from({ length: ATTACHMENTS }, (_, i) => attachment(i));
  const body = Buffer.concat([
    ...parts.map((data, i) => {
      const text = data.toString('base64').replace(/.{76}/g, '$&\r\n');
      return Buffer.from(
        `--b\r\nContent-Type: application/octet-stream; name=${i}.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n${text}\r\n`,
      );
    }),
    Buffer.from('--b--\r\n'),
  ]);
  assert.ok(body.length > 24_000_000, `${body.length}`);
  const digests = parts.map((data) => createHash('sha256').update(data).digest('hex').slice(0, 4));
  const bytes = parts.reduce((sum, { length }) => sum + length, 0);
  const expected = `${ATTACHMENTS} ${bytes} ${(ATTACHMENTS / 5) * 3} ${digests.join('')} 0`;

  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; at += CHUNK) chunks.push(body.subarray(at, at + CHUNK));
  const before = peakMib(milter.running.child.pid);
  const neighbour = await Neighbour.start(t, milter.port);
  const began = performance.timeOrigin + performance.now();
  const reply = await mta.content([['Content-Type', ' multipart/mixed; boundary=b']], ...chunks);
  await neighbour.stop(t, () => collectionsOf(worker, milter.running.stderr));
  const { own, withCollector } = longestTurns(worker, milter.running.stderr, began);
  t.diagnostic(
    `no turn of the worker took more than ${own.toFixed(1)} ms of CPU time, with the collector ${withCollector.toFixed(1)}`,
  );
  assert.ok(own < LONGEST_TURN_MS, `a turn of ${own} ms`);
  assert.equal(reply.text, `550 5.7.1 ${expected}`);
  // Not what was looked at, which is 365 KB at a time, but what V8 leaves lying while it works.
  const grown = peakMib(milter.running.child.pid) - before;
  t.diagnostic(`the worker grew by ${grown.toFixed(0)} MiB at most`);
  assert.ok(grown < 250, `${grown} MiB`);
});

/** The most memory that a process of the server ever had. */
function peakMib(supervisor: number | undefined): number {
  const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'latin1')
    .trim()
    .split(' ');
  const peaks = children.map((pid) =>
    Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0),
  );
  return Math.max(...peaks) / 1024;
}
