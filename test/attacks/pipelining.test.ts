/** Peers that send without waiting for replies, and MTAs that stream to a policy which computes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { mta } from '../helpers/packet-builder.ts';
import { childrenOf, type Milter, mailReply, startMilter, statusOf } from '../program/milter-client.ts';
import { directory } from '../program/program.ts';
import { Neighbour } from './neighbour.ts';

/** Less of Lua than a slice, on a slow machine too: nothing but the turns of connections shares the loop. */
const WORK = 'local function work(n) local x = 0 for i = 1, n do x = x + i % 7 end return x end ';
const OPTNEG = mta.optneg(6, 0x1ff, 0);

async function flood(t: TestContext, milter: Milter, bytes: Buffer): Promise<Socket> {
  const socket = connect(milter.port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

async function seconds(count: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, count * 1000));
}

/** The same worker all the time, and no session of it cut off. */
async function workerOf(milter: Milter): Promise<{ stays: () => Promise<void> }> {
  const before = childrenOf(milter.running.child.pid);
  return {
    stays: async () => {
      assert.deepEqual(childrenOf(milter.running.child.pid), before);
      assert.equal((await statusOf(milter)).workers.length, 1);
    },
  };
}

/** A worker that says nothing for five seconds is killed. It says something each second, and may be held for some. */
const SETTINGS = ['--workers', '1', '--warm-up', '0', '--worker-timeout', '5'];

const BEGIN = [OPTNEG, mta.connect('bad.example', '4', 25, '198.51.100.1'), mta.helo('x'), mta.mail('<a@b>')];

/** For longer than a worker may say nothing. */
const FLOODED_SECONDS = 6;

/** Four peers send all of it at once while a good session works beside them. */
async function besideFloods(t: TestContext, policy: string, packets: readonly Buffer[]): Promise<void> {
  const milter = await startMilter(t, policy, SETTINGS);
  const worker = await workerOf(milter);
  for (let i = 0; i < 4; i++) await flood(t, milter, Buffer.concat(packets));
  const neighbour = await Neighbour.start(t, milter.port);
  await seconds(FLOODED_SECONDS);
  await neighbour.stop(t);
  await worker.stays();
}

test('a peer that pipelines commands to a policy that computes', (t) => {
  const policy = `${WORK} function smtp.do_rcpt(rcpt) if rcpt:find("^bad") then work(3000) end end`;
  const rcpts = Array<Buffer>(20_000).fill(mta.rcpt('<bad@example.com>'));
  return besideFloods(t, policy, [...BEGIN, ...rcpts]);
});

test('a peer that pipelines commands which wait for what is known at once', (t) => {
  const policy =
    'function smtp.do_rcpt(rcpt) if rcpt:find("^bad") then for i = 1, 20 do smtp.delay(0) end end end';
  const rcpts = Array<Buffer>(20_000).fill(mta.rcpt('<bad@example.com>'));
  return besideFloods(t, policy, [...BEGIN, ...rcpts]);
});

test('an MTA that streams a body to a callback that computes', (t) => {
  const policy = `${WORK} function smtp.do_chunk(chunk) if #chunk > 100 then work(6000) end end`;
  const [, ...begin] = BEGIN;
  const head = [mta.optneg(6, 0x1ff, 0x1fffff), ...begin, mta.rcpt('<c@d>'), mta.data()];
  const chunks = Array<Buffer>(20_000).fill(mta.body('x'.repeat(101)));
  return besideFloods(t, policy, [...head, mta.header('Subject', ' x'), mta.eoh(), ...chunks]);
});

test('what was pipelined is answered in order, all of it', async (t) => {
  const milter = await startMilter(
    t,
    `${WORK} function smtp.do_rcpt(rcpt) work(4000) return 550, "5.1.1 " .. rcpt end`,
    SETTINGS,
  );
  const rcpts = Array.from({ length: 300 }, (_, i) => mta.rcpt(`<r${i}@example.com>`));
  const socket = connect(milter.port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.write(
    Buffer.concat([
      OPTNEG,
      mta.connect('x.example', '4', 25, '198.51.100.1'),
      mta.helo('x'),
      mta.mail('<a@b>'),
      ...rcpts,
      mta.quit(),
    ]),
  );
  await once(socket, 'close');
  const answered = [...text.matchAll(/550 5\.1\.1 r(\d+)@example\.com/g)].map((match) => Number(match[1]));
  assert.deepEqual(
    answered,
    rcpts.map((_, i) => i),
  );
});

test('no peer has much more written to the log than it sends', async (t) => {
  const milter = await startMilter(
    t,
    `function smtp.do_mail(sender)
      if sender:find("^fail") then error("this goes wrong, " .. ("x"):rep(200)) end
      if sender:find("^bad") then return 550, "5.7.1 not wanted here, and that at some length" end
    end`,
    [...SETTINGS, '--journal', `${directory(t)}/journal`],
  );
  const begin = [OPTNEG, mta.connect('bad.example', '4', 25, '198.51.100.1'), mta.helo('x')];
  const one = Buffer.concat(['<a>', '<bad@b>', '<fail@b>'].map((sender) => mta.mail(sender)));
  const bytes = Buffer.concat([...begin, ...Array<Buffer>(20_000).fill(one), mta.quit()]);
  const before = milter.running.stderr.length;
  const socket = await flood(t, milter, bytes);
  await once(socket, 'close');
  await milter.running.until('stderr', /\d+ lines about this connection were not written/);
  const written = milter.running.stderr.length - before;
  t.diagnostic(`${bytes.length} bytes sent, ${written} written`);
  assert.ok(written < 2 * bytes.length + 100_000, `${written} bytes for ${bytes.length}`);
  // Others are told of as ever.
  assert.equal(
    await mailReply(milter, '<bad@b.example>'),
    '550 5.7.1 not wanted here, and that at some length',
  );
  await milter.running.until('stderr', /192\.0\.2\.7\]: reject/);
});
