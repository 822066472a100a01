/**
 * Many sessions of every kind, and what they leave behind: nothing.
 *
 * The milter and the MTAs are in one process, so that descriptors, timers and memory of both must come back to where they
 * began. SOAK_SESSIONS sets the number.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

const SESSIONS = Number(process.env.SOAK_SESSIONS ?? 12_000);
const AT_A_TIME = 40;
const IDLE_SESSIONS = 1000;

const POLICY = `
function smtp.do_connect(ip) if ip == "192.0.2.66" then return 550, "no" end end
function smtp.do_helo(h) if h == "error" then error("helo") end end
function smtp.do_mail(s)
  if s == "slow@x" then smtp.delay(0.02) end
  if s == "refused@x" then return 451, "later" end
end
function smtp.do_rcpt(r)
  header.add("X-Rcpt", r)
  if r == "bad@x" then return 550, "no such user" end
end
function smtp.do_headers(h) return #h > 20 and 554 or 0, "too many" end
function smtp.do_chunk(c) smtp.note[#smtp.note + 1] = c end
function smtp.do_dot(path)
  left_open = io.open(path)
  if smtp.tran.sender == "discarded@x" then return smtp.code.discard end
  if smtp.tran.sender == "failing@x" then local x = nil + 1 end
  if smtp.tran.sender == "waiting@x" then smtp.delay(0.01) end
end
function smtp.rset() end
function smtp.close() end
`;

const SENDERS = ['a@b', 'slow@x', 'refused@x', 'discarded@x', 'failing@x', 'waiting@x', ''];

/** A small generator of its own, so that a run can be repeated. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

class Dropped extends Error {}

async function session(port: number, random: (below: number) => number): Promise<void> {
  const mta = await Mta.open({ port });
  const dropAt = random(3) === 0 ? random(12) : -1;
  let steps = 0;
  const step = async (event: Promise<{ letter: string }>): Promise<boolean> => {
    steps += 1;
    if (steps === dropAt) {
      event.catch(() => {});
      throw new Dropped();
    }
    return (await event).letter === 'c';
  };
  try {
    if (!(await step(mta.connect(random(20) === 0 ? '192.0.2.66' : '192.0.2.7')))) return await mta.quit();
    await step(mta.helo(random(20) === 0 ? 'error' : 'mx.example'));
    for (let message = random(3); message >= 0; message--) {
      mta.macro('M', 'i', `Q${random(1000)}`);
      if (!(await step(mta.mail(`<${SENDERS[random(SENDERS.length)]}>`)))) continue;
      await step(mta.rcpt('<c@d>'));
      await step(mta.rcpt('<bad@x>'));
      if (random(10) === 0) {
        mta.abort();
        continue;
      }
      const headers = Array.from({ length: random(25) }, (_, i): [string, string] => [`H${i}`, ' v']);
      await step(mta.content(headers, 'x'.repeat(random(4000) + 1), 'y'));
      mta.abort();
    }
    await mta.quit();
  } catch (error) {
    await mta.drop();
    if (!(error instanceof Dropped)) throw error;
  }
}

interface Standing {
  readonly descriptors: number;
  readonly timers: number;
  readonly heapBytes: number;
}

async function standing(): Promise<Standing> {
  // What is closed in this turn of the event loop is gone in the next ones.
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  collect();
  collect();
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    timers: process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length,
    heapBytes: process.memoryUsage().heapUsed + process.memoryUsage().external,
  };
}

test(`${SESSIONS} sessions of mixed outcomes with random drops leave nothing behind`, async (t) => {
  const seed = Number(process.env.SOAK_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  const server = await startServer({ source: POLICY }, { 'log-level': 'error' });
  t.after(() => server.close());
  const random = generator(seed);
  const run = async (count: number): Promise<void> => {
    let left = count;
    const worker = async (): Promise<void> => {
      while (left-- > 0) await session(server.port, random);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
    await server.whenIdle();
    server.log.records.length = 0;
  };
  await run(Math.min(1000, SESSIONS)); // Caches fill and code is compiled.
  const before = await standing();
  await run(SESSIONS);
  const after = await standing();
  assert.deepEqual(readdirSync(join(server.directory, 'spool')), []);
  assert.equal(after.descriptors, before.descriptors);
  assert.ok(after.timers <= before.timers, `${after.timers} timers, ${before.timers} before`);
  const grown = after.heapBytes - before.heapBytes;
  t.diagnostic(`heap ${Math.round(before.heapBytes / 1024)} KiB, ${Math.round(grown / 1024)} KiB more after`);
  assert.ok(grown < 5 * 1024 * 1024, `${grown} bytes more than before`);
});

test(`${IDLE_SESSIONS} idle sessions cost under 100 KiB each`, async (t) => {
  const server = await startServer({ source: POLICY }, { 'log-level': 'error' });
  t.after(() => server.close());
  const open = async (): Promise<Mta> => {
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    await mta.helo('mx.example');
    return mta;
  };
  const warm = await Promise.all(Array.from({ length: 50 }, open));
  await Promise.all(warm.map((mta) => mta.quit()));
  await server.whenIdle();
  const before = await standing();
  const idle: Mta[] = [];
  for (let i = 0; i < IDLE_SESSIONS; i++) idle.push(await open());
  const after = await standing();
  const each = (after.heapBytes - before.heapBytes) / IDLE_SESSIONS;
  t.diagnostic(`${Math.round(each / 1024)} KiB for each, the test's own side included`);
  assert.ok(each < 100 * 1024, `${each} bytes`);
  await Promise.all(idle.map((mta) => mta.quit()));
});
