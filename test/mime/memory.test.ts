/** What is in memory while a part is looked at: no more than twice its decoded bytes, whatever its size. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { filesIn } from '../../src/mime/archive.ts';
import { FileSource, finish } from '../../src/mime/byte-source.ts';
import { decode, decodedBytes } from '../../src/mime/decode.ts';
import type { Part } from '../../src/mime/part.ts';
import { readMime } from '../../src/mime/reader.ts';
import { textOf } from '../../src/modules/mime/text.ts';
import { startServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';
import { zip } from './zip-builder.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const SIZES = [500_000, 4_000_000];
/** Windows and pieces, and what V8 keeps of the code that has run. */
const BESIDES = 2_000_000;
/** Measurements of one piece of work. */
const LOOKS = 2;

const folder = mkdtempSync(join(tmpdir(), 'smtpf-milter-memory-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function usedBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external; // Bytes of buffers are among the external ones.
}

/** Buffers that are gone are given back in the background: what seems to be more than before is looked at again. */
function grownSince(before: number, most: number): number {
  let grown = usedBytes() - before;
  for (let tries = 0; grown > most && tries < 3; tries++) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    const again = usedBytes() - before;
    if (again >= grown) break;
    grown = again;
  }
  return grown;
}

/** @returns the most that work has in memory beyond what was there, between its slices and at its end */
function mostBytes(size: number, work: Generator<unknown, unknown, void>): number {
  collect(); // What held on to buffers before is gone only with the next one.
  const before = usedBytes();
  const every = Math.max(1, Math.floor(size / 65_536 / LOOKS));
  let most = 0;
  for (let slices = 0; ; slices++) {
    const step = work.next();
    if (slices % every === 0 || step.done) most = Math.max(most, grownSince(before, most));
    // What it gives is still there.
    if (step.done) return step.value === work ? 0 : most;
  }
}

const text = (size: number) =>
  'A text of letters, with no end of lines that are alike.\r\n'.repeat(size / 57);
const noise = (size: number) =>
  Buffer.concat(
    Array.from({ length: Math.ceil(size / 64) }, (_, i) => createHash('sha512').update(`${i}`).digest()),
  ).subarray(0, size);
const wrapped = (data: Buffer) => data.toString('base64').replace(/.{1,76}/g, '$&\r\n');

/** The part of a message that lies on the disk, as the server has it. */
function partOf(headers: string, body: string): { part: Part; descriptor: number } {
  const path = join(folder, 'message');
  writeFileSync(path, `${headers}\r\n\r\n${body}`, 'latin1');
  const descriptor = openSync(path, 'r');
  const { parts } = finish(readMime(new FileSource(descriptor, headers.length + 4 + body.length)));
  return { part: parts[0] as Part, descriptor };
}

const ENCODED = {
  base64: (size: number) => wrapped(Buffer.from(text(size))),
  'quoted-printable': (size: number) => text(size).replace(/l/g, '=6C'),
  '8bit': text,
};

describe('memory', () => {
  for (const [encoding, encoded] of Object.entries(ENCODED)) {
    it(`is at most twice a part in ${encoding}, and is none for its digest`, (t) => {
      for (const size of SIZES) {
        const { part, descriptor } = partOf(
          `Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: ${encoding}`,
          encoded(size),
        );
        const hash = createHash('sha256');
        const most = {
          data: mostBytes(size, decodedBytes(part, 2 * size, new Set())),
          text: mostBytes(size, textOf(part, 2 * size, new Set())),
          digest: mostBytes(
            size,
            decode(part, (bytes) => hash.update(bytes), new Set()),
          ),
        };
        closeSync(descriptor);
        t.diagnostic(`${size}: ${JSON.stringify(most)}`);
        assert.ok(most.data < 2 * size + BESIDES, `${size}: ${most.data} bytes for data`);
        assert.ok(most.text < 2 * size + BESIDES, `${size}: ${most.text} bytes for text`);
        assert.ok(most.digest < BESIDES, `${size}: ${most.digest} bytes for a digest`);
      }
    });
  }

  it('is at most twice an archive that is looked into', (t) => {
    for (const size of SIZES) {
      const bytes = zip([{ name: 'a.bin', data: noise(size), deflate: false }]);
      const most = mostBytes(size, filesIn(bytes, new Set()));
      t.diagnostic(`${size}: ${most}`);
      assert.ok(most < size + BESIDES, `${size}: ${most} bytes besides the archive itself`);
    }
  });

  it('of a policy that has looked at all parts is that of one', async (t) => {
    // What came over the network is garbage, and is gone a little later.
    const policy = `function smtp.do_dot()
      syslog.info "looks at 0"
      smtp.delay(0.2)
      syslog.info "looks at 0"
      for _, part in ipairs(mime.parts) do
        if part.parent then
          local data = part:data()
          syslog.info("looks at " .. #data)
        end
      end
    end`;
    const server = await startServer({ source: policy }, { 'cpu-ms': '60000' });
    t.after(() => server.close());
    const looks: { size: number; used: number }[] = [];
    const { write } = server.log;
    server.log.write = (record) => {
      const size = /looks at (\d+)/.exec(record.text)?.[1];
      if (size !== undefined) {
        collect(); // As above: what another thread has yet to give back is gone with the next one.
        looks.push({ size: Number(size), used: usedBytes() });
      }
      write.call(server.log, record);
    };
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    await mta.helo('mx.example');
    await mta.mail('<a@b.example>');
    await mta.rcpt('<c@d.example>');
    let body = SIZES.map(
      (size) => `--b\r\nContent-Transfer-Encoding: base64\r\n\r\n${wrapped(noise(size))}\r\n`,
    ).join('');
    const chunks = Array.from({ length: Math.ceil(body.length / 65_000) }, (_, i) =>
      Buffer.from(body.slice(i * 65_000, (i + 1) * 65_000), 'latin1'),
    );
    body = '';
    const reply = await mta.content([['Content-Type', ' multipart/mixed; boundary=b']], ...chunks);
    assert.equal(reply.letter, 'c', reply.text);
    await mta.quit();
    const [, nothing, ...parts] = looks;
    assert.equal(parts.length, SIZES.length);
    for (const { size, used } of parts) {
      t.diagnostic(`${size}: ${used - (nothing?.used ?? 0)}`);
      assert.ok(used - (nothing?.used ?? 0) < 2 * size + BESIDES, `${size}: ${used} bytes in use`);
    }
  });
});
