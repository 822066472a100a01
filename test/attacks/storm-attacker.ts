/** The bad peers of the storm: `storm-attacker.ts PORT SECONDS`. */
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { mta } from '../helpers/packet-builder.ts';

const [port = 0, seconds = 0] = process.argv.slice(2).map(Number);
const end = performance.now() + seconds * 1000;

const OPTNEG = mta.optneg(6, 0x1ff, 0x1fffff);
const BEGIN = Buffer.concat([OPTNEG, mta.connect('bad.example', '4', 25, '198.51.100.1'), mta.helo('x')]);
const MESSAGE = Buffer.concat([BEGIN, mta.mail('<a@b.example>'), mta.rcpt('<c@example.com>'), mta.data()]);
const pipelined = Buffer.concat([
  BEGIN,
  mta.mail('<a@b>'),
  ...Array<Buffer>(3000).fill(mta.rcpt('<busy@example.com>')),
]);
const headers = Buffer.concat([
  MESSAGE,
  ...Array<Buffer>(30_000).fill(mta.header('X', ' y')),
  mta.eoh(),
  mta.eom(),
]);
const hoarders = Buffer.concat([
  BEGIN,
  mta.mail('<a@b>'),
  ...Array<Buffer>(60).fill(mta.rcpt('<hoard@example.com>')),
]);
const body = Buffer.concat([
  MESSAGE,
  mta.eoh(),
  ...Array<Buffer>(40).fill(mta.body('x'.repeat(60_000))),
  mta.eom(),
]);
const garbage = Buffer.from('GET / HTTP/1.0\r\n\r\n');
const cut = pipelined.subarray(0, 200);

function open(bytes: Buffer, lastsMs: number, how: 'end' | 'reset' | 'destroy' = 'destroy'): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  socket.write(bytes);
  setTimeout(() => {
    if (how === 'end') socket.end();
    else if (how === 'reset') socket.resetAndDestroy();
    else socket.destroy();
  }, lastsMs);
  return socket;
}

/** Each kind again and again, with pauses that keep the machine at work and no more. */
const kinds: readonly (() => Promise<void>)[] = [
  async () => {
    open(pipelined, 3000);
    await pause(1000);
  },
  async () => {
    open(headers, 2000);
    await pause(1500);
  },
  async () => {
    open(hoarders, 4000, 'reset');
    await pause(1500);
  },
  async () => {
    open(body, 2000, 'end');
    await pause(700);
  },
  async () => {
    for (let i = 0; i < 100; i++) open(i % 2 === 0 ? OPTNEG : Buffer.alloc(0), 500 + i * 10, 'reset');
    await pause(2000);
  },
  async () => {
    for (const bytes of [garbage, cut, Buffer.alloc(3)]) open(bytes, 1000, 'end');
    await pause(300);
  },
];

await Promise.all(
  kinds.map(async (attack) => {
    while (performance.now() < end) await attack();
  }),
);
process.exit();
