/** Messages that no function needs in a file stay in memory: up to a bound each, and one for all of a process. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { PiecesSource } from '../../src/mime/byte-source.ts';
import { type MessageFile, Spool } from '../../src/spool/message-file.ts';
import { startServer } from '../helpers/milter-server.ts';
import { Mta, type Reply } from '../helpers/mta.ts';

const MIB = 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

function spoolIn(t: TestContext): { spool: Spool; files: () => string[]; directory: string } {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-kept-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return { spool: new Spool(directory), files: () => readdirSync(directory), directory };
}

async function filled(file: MessageFile, bytes: number): Promise<MessageFile> {
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    await file.append([CHUNK.subarray(0, Math.min(left, CHUNK.length))]);
  }
  await file.finish();
  return file;
}

const sizeOf = (pieces: readonly Buffer[] | undefined) =>
  pieces?.reduce((sum, { length }) => sum + length, 0);

describe('a message that nobody needs in a file', () => {
  it('is in memory up to 2 MiB, and beyond in a file as others are', async (t) => {
    const { spool, files } = spoolIn(t);
    const small = await filled(spool.keep(), 2 * MIB);
    assert.deepEqual([sizeOf(small.pieces), small.heldBytes, files()], [2 * MIB, 2 * MIB, []]);
    small.remove();
    assert.equal(small.heldBytes, 0);
    const large = await filled(spool.keep(), 2 * MIB + 1);
    assert.equal(large.pieces, undefined);
    assert.equal(readFileSync(large.path).length, 2 * MIB + 1);
    large.remove();
    const named = await filled(spool.create(), 1000);
    assert.equal(named.pieces, undefined);
    assert.equal(readFileSync(named.path).length, 1000);
    named.remove();
    assert.deepEqual(files(), []);
  });

  it('is in a file where others fill the memory, until they are gone', async (t) => {
    const { spool } = spoolIn(t);
    const kept: MessageFile[] = [];
    // Of each, 128 KiB are not counted: so much every message may have.
    while (kept.length < 17) kept.push(await filled(spool.keep(), 2 * MIB));
    assert.ok(kept.every(({ pieces }) => pieces !== undefined));
    const next = await filled(spool.keep(), 2 * MIB);
    assert.equal(next.pieces, undefined);
    assert.equal(sizeOf((await filled(spool.keep(), 128 * 1024)).pieces), 128 * 1024);
    next.remove();
    for (const one of kept) one.remove();
    // What did not fit has given back what it had taken, too.
    for (let i = 0; i < 17; i++) assert.ok((await filled(spool.keep(), 2 * MIB)).pieces);
  });
});

it('pieces are read as one', () => {
  const whole = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));
  const pieces = [0, 10, 11, 11, 500, 999, 1000].map((from, i, all) =>
    whole.subarray(from, all[i + 1] ?? from),
  );
  const source = new PiecesSource(pieces);
  assert.equal(source.size, 1000);
  for (const start of [500, 0, 9, 10, 11, 999, 3, 1000, 1001]) {
    for (const length of [0, 1, 2, 600, 5000]) {
      assert.ok(
        source.read(start, length).equals(whole.subarray(start, start + length)),
        `${start} ${length}`,
      );
    }
  }
});

const LOOK = `for _, part in ipairs(mime.parts) do
    found[#found + 1] = part.type .. part.size .. part:sha256()
    if part.name == "x.bin" then part:replace { type = "text/plain", data = "gone" } end
  end
  header.add("X-Found", table.concat(found, " ") .. #mime.defects)`;

async function reply(t: TestContext, source: string, body: Buffer, seen: (files: string[]) => void) {
  const server = await startServer({ source });
  t.after(() => server.close());
  const { write } = server.log;
  server.log.write = (record) => {
    if (record.text.includes('looking')) seen(readdirSync(join(server.directory, 'spool')));
    write.call(server.log, record);
  };
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  const chunks = Array.from({ length: Math.ceil(body.length / 65_535) }, (_, i) =>
    body.subarray(i * 65_535, (i + 1) * 65_535),
  );
  const answer = await mta.content([['Content-Type', ' multipart/mixed; boundary=b']], ...chunks);
  await mta.quit();
  mta.socket.destroy();
  return answer;
}

const told = ({ letter, modifications }: Reply) => [
  letter,
  ...modifications.map(({ letter: kind, payload }) => `${kind} ${payload.toString('latin1')}`),
];

it('what a policy sees and changes is the same from memory and from a file', async (t) => {
  for (const size of [100, 150_000, 3_000_000]) {
    const data = createHash('sha512')
      .update(`${size}`)
      .digest()
      .toString('hex')
      .repeat(size / 128 + 1);
    const text = Buffer.from(data.slice(0, size))
      .toString('base64')
      .replace(/.{1,76}/g, '$&\r\n');
    const body = Buffer.from(
      `--b\r\n\r\nhello\r\n--b\r\nContent-Type: a/b; name=x.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n${text}--b--\r\n`,
    );
    let inMemory: string[] = [];
    let inFile: string[] = [];
    const start = 'local found = {} syslog.info "looking"';
    const fromMemory = await reply(t, `function smtp.do_dot() ${start} ${LOOK} end`, body, (files) => {
      inMemory = files;
    });
    const fromFile = await reply(
      t,
      `function smtp.do_dot(path) assert(#path > 0) ${start} ${LOOK} end`,
      body,
      (files) => {
        inFile = files;
      },
    );
    assert.equal(inMemory.length, size > 2_000_000 ? 1 : 0);
    assert.equal(inFile.length, 1);
    assert.deepEqual(told(fromMemory), told(fromFile));
    assert.ok(told(fromMemory).join().includes('X-Found'), told(fromMemory).join());
  }
});
