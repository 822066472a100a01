/**
 * The sessions of a `Neighbour`, on the port that the first argument names; writes down how long each answer took, and how
 * long this process and those that the others name had to wait for a processor meanwhile.
 */
import assert from 'node:assert/strict';
import { Mta } from '../helpers/mta.ts';
import { type NeighbourNews, threadDelayMs, type Wait } from './neighbour.ts';

const [port, ...servers] = process.argv.slice(2).map(Number);
/** By the clock on the wall. */
const waits: Wait[] = [];
let stopped = false;

/** Settles when all of it is on its way: a process that disconnects before loses what is long. */
async function tell(news: NeighbourNews): Promise<void> {
  await new Promise((resolve) => process.send?.(news, undefined, undefined, resolve));
}

/** Of our thread, and of the servers' together. */
function delays(): [number, number] {
  return [threadDelayMs(process.pid), servers.reduce((sum, pid) => sum + threadDelayMs(pid), 0)];
}

async function timed<T>(say: () => Promise<T>): Promise<T> {
  const [ours, theirs] = delays();
  const from = performance.timeOrigin + performance.now();
  const reply = await say();
  const to = performance.timeOrigin + performance.now();
  const [oursThen, theirsThen] = delays();
  waits.push({ from, to, delayed: Math.min(to - from, oursThen - ours + theirsThen - theirs) });
  return reply;
}

async function session(): Promise<void> {
  const mta = await timed(() => Mta.open({ port: port ?? 0 }));
  await timed(() => mta.connect('192.0.2.200', 'good.example'));
  await timed(() => mta.helo('good.example'));
  const mail = await timed(() => mta.mail('<good@good.example>'));
  assert.equal(mail.letter, 'c', `the neighbour is refused: ${mail.text}`);
  await timed(() => mta.rcpt('<someone@example.com>'));
  const end = await timed(() => mta.content([['Subject', ' hello']], 'hello\r\n'));
  assert.match(end.letter, /^[ca]$/, `the neighbour's message is refused: ${end.text}`);
  await mta.quit();
  mta.socket.destroy();
}

process.once('message', () => {
  stopped = true;
});
// The first of this process compiles what it runs.
await session();
waits.length = 0;
await tell('served');
// One at least: this process may be held for so long that it is told to stop before the first.
do {
  await session();
  await new Promise((resolve) => setTimeout(resolve, 5));
} while (!stopped);
await tell(waits);
process.disconnect();
