/** A body is what was sent, byte for byte, in the script and in the message file, however the network cut it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { startServer } from '../../helpers/milter-server.ts';
import { Mta } from '../../helpers/mta.ts';
import { mta } from '../../helpers/packet-builder.ts';

/** Files that a script leaves of the last message: the bytes it was given, their sizes, a copy of the message file. */
const CHUNKS = 'chunks';
const SIZES = 'sizes';
const MESSAGE = 'message';

/** `doChunk` defines smtp.do_chunk; it hands on what it is given with give(), as far as it wants to. */
const scriptOf = (doChunk: string): string => `
  local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
  local function write(name, bytes)
    local file = assert(io.open(folder .. name, "wb"))
    file:write(bytes)
    file:close()
  end
  local chunks, sizes, calls = {}, {}, 0
  local function give(chunk, size)
    if chunk then chunks[#chunks + 1] = chunk end
    sizes[#sizes + 1] = size
  end
  ${doChunk}
  function smtp.do_dot(path)
    local file = assert(io.open(path, "rb"))
    write("${MESSAGE}", file:read("a"))
    file:close()
    write("${CHUNKS}", table.concat(chunks))
    write("${SIZES}", table.concat(sizes, " "))
  end`;

const HEAD = 'Subject: caf\xe9\r\n\r\n';

/** Packets of a message: what it takes to get to its body, the body in chunks, the last of which may come with the end. */
function packetsOf(bodies: readonly Buffer[], last: Buffer): Buffer {
  return Buffer.concat([
    mta.header('Subject', ' caf\xe9'),
    mta.eoh(),
    ...bodies.map((bytes) => mta.body(bytes)),
    mta.eom(last),
  ]);
}

/** All in one piece up to `start`, then pieces of these sizes, then the rest. */
function cut(bytes: Buffer, start: number, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of [start % bytes.length, ...sizes, bytes.length]) {
    if (at < bytes.length && size > 0) pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** One message on a connection of its own. */
async function send(port: number, stream: Buffer, start: number, sizes: readonly number[]): Promise<void> {
  const side = await Mta.open({ port });
  side.socket.setNoDelay();
  await side.connect('192.0.2.7');
  await side.helo('mx.example');
  await side.mail('<a@a.example>');
  await side.rcpt('<b@b.example>');
  for (const piece of cut(stream, start, sizes)) {
    side.socket.write(piece);
    // The milter, in this process, reads what has come before the next piece does.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { letter } = await side.reply();
  assert.equal(letter, 'c');
  await side.quit();
}

const bytes = (length: number, seed: number): Buffer => {
  const block = createHash('sha512').update(String(seed)).digest();
  return Buffer.alloc(length, block);
};
const sizeOfBody = fc.oneof(
  fc.constantFrom(1, 2047, 2048, 2049, 4096, 65535),
  fc.nat(3000).map((size) => size + 1),
  fc.nat(65534).map((size) => size + 1),
);
const body = fc.tuple(sizeOfBody, fc.nat()).map(([size, seed]) => bytes(size, seed));
const sizeOfPiece = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 9 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 3000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 70_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 200 * 1024 }) },
);
const message = fc.record({
  bodies: fc.array(body, { minLength: 1, maxLength: 5 }),
  last: fc.oneof({ weight: 3, arbitrary: fc.constant(Buffer.alloc(0)) }, body),
  start: fc.nat(),
  pieces: fc.array(sizeOfPiece, { maxLength: 60 }),
});

/**
 * Plays messages to a script with this do_chunk.
 * @param seen which of the chunks the script hands on, by their index from 0.
 */
async function check(t: TestContext, doChunk: string, seen: (index: number) => boolean): Promise<void> {
  const server = await startServer({ source: scriptOf(doChunk) });
  t.after(() => server.close());
  const left = (name: string): Buffer => readFileSync(join(server.directory, name));
  await fc.assert(
    fc.asyncProperty(message, async ({ bodies, last, start, pieces }) => {
      await send(server.port, packetsOf(bodies, last), start, pieces);
      const chunks = last.length > 0 ? [...bodies, last] : bodies;
      assert.equal(left(SIZES).toString(), chunks.map(({ length }) => length).join(' '));
      assert.equal(sha256(left(CHUNKS)), sha256(Buffer.concat(chunks.filter((_, index) => seen(index)))));
      const whole = Buffer.concat([Buffer.from(HEAD, 'latin1'), ...chunks]);
      assert.equal(sha256(left(MESSAGE)), sha256(whole));
    }),
    { numRuns: 100 },
  );
}

const SEEING = 'function smtp.do_chunk(chunk, size) give(chunk, size) end';
const BLIND = 'function smtp.do_chunk(_, size) give(nil, size) end';

test('a script that looks at chunks', (t) => check(t, SEEING, () => true));

test('a script that looks at their sizes alone', (t) => check(t, BLIND, () => false));

test('a script that takes what it is given as ...', (t) =>
  check(t, 'function smtp.do_chunk(...) give(...) end', () => true));

test('a script that waits at each chunk, while more come', (t) =>
  check(t, 'function smtp.do_chunk(chunk, size) smtp.delay(0.001) give(chunk, size) end', () => true));

test('a script that begins to look in the middle of the message', (t) =>
  check(
    t,
    `function smtp.do_chunk(_, size)
       give(nil, size)
       calls = calls + 1
       if calls == 2 then ${SEEING} end
     end`,
    (index) => index >= 2,
  ));

test('a script that ceases to look in the middle of the message', (t) =>
  check(
    t,
    `function smtp.do_chunk(chunk, size)
       give(chunk, size)
       calls = calls + 1
       if calls == 2 then ${BLIND} end
     end`,
    (index) => index < 2,
  ));

test('a script that looks from its first chunk on, by a function that took the place of another before', (t) =>
  check(t, `${BLIND} function smtp.do_headers() ${SEEING} end`, () => true));

test('a script that keeps chunks of one message while the next ones come', async (t) => {
  const server = await startServer({
    source: `kept = {}
      function smtp.do_chunk(chunk) kept[#kept + 1] = chunk end
      function smtp.do_dot(path)
        local name = os.tmpname()
        local file = assert(io.open(name, "wb"))
        file:write(table.concat(kept))
        file:close()
        local copy = assert(io.open(name, "rb")):read("a")
        assert(os.remove(name))
        header.add("X-Kept", table.concat({ #kept, #copy, copy:sub(1, 1), copy:sub(-1) }, " "))
      end`,
  });
  t.after(() => server.close());
  const side = await Mta.open(server);
  await side.connect('192.0.2.7');
  await side.helo('mx.example');
  let kept = 0;
  for (const letter of 'abcdefgh') {
    await side.mail('<a@a.example>');
    await side.rcpt('<b@b.example>');
    const chunk = Buffer.alloc(65535, letter);
    kept += 2;
    const stream = packetsOf([chunk, chunk], Buffer.alloc(0));
    for (const piece of cut(stream, 100, Array<number>(40).fill(1777))) side.socket.write(piece);
    const { modifications } = await side.reply();
    const value = modifications[0]?.payload.toString('latin1').split('\0')[1];
    assert.equal(value?.trim(), `${kept} ${kept * chunk.length} a ${letter}`);
  }
  await side.quit();
});
