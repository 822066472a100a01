/** The sessions of a `Neighbour`, on the port that the argument names; writes down how long each answer took. */
import assert from 'node:assert/strict';
import { Mta } from '../helpers/mta.ts';
import type { Span } from '../helpers/spans.ts';
import type { NeighbourNews } from './neighbour.ts';

const port = Number(process.argv[2]);
/** By the clock on the wall. */
const waits: Span[] = [];
let stopped = false;

function tell(news: NeighbourNews): void {
  process.send?.(news);
}

async function timed<T>(say: () => Promise<T>): Promise<T> {
  const from = performance.timeOrigin + performance.now();
  const reply = await say();
  waits.push({ from, to: performance.timeOrigin + performance.now() });
  return reply;
}

async function session(): Promise<void> {
  const mta = await timed(() => Mta.open({ port }));
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
tell('served');
while (!stopped) {
  await session();
  await new Promise((resolve) => setTimeout(resolve, 5));
}
tell(waits);
process.disconnect();
