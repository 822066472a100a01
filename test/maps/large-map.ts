/**
 * Measures a map of so many lines in a process of its own: large-map LINES [FOLDER]. One line of JSON.
 */
import { appendFileSync, closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Maps } from '../../src/maps/maps.ts';
import { LoopTurns } from '../helpers/loop-turns.ts';

export interface LargeMap {
  readonly mib: number;
  readonly openMs: number;
  readonly openCpuMs: number;
  /** The longest turn of the event loop meanwhile, without what other programs took. */
  readonly openTurnMs: number;
  readonly rereadTurnMs: number;
  /** By what the process has grown, the bytes of the file included. */
  readonly grownMib: number;
  readonly lookUpUs: number;
}

const [, , lines = ''] = process.argv;
const folder = mkdtempSync(join(tmpdir(), 'smtpf-milter-map-'));
const path = join(folder, 'senders');
const count = Number(lines);
const keyOf = (index: number) => `user${index}@domain${index % 1000}.example`;

function write(): number {
  const file = openSync(path, 'w');
  let bytes = 0;
  for (let index = 0; index < count; index += 1000) {
    let text = '';
    for (let line = index; line < Math.min(count, index + 1000); line += 1) text += `${keyOf(line)} REJECT\n`;
    bytes += writeSync(file, text);
  }
  closeSync(file);
  return bytes;
}

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
/** Of buffers and objects: what is resident of them is the system's affair. */
const heldMib = () => {
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return (arrayBuffers + heapUsed) / 1024 / 1024;
};

const mib = write() / 1024 / 1024;
let notices = 0;
const told = () => {
  notices += 1;
};
const maps = new Maps({ notice: told, warning: told });
await maps.open('inline:{ a=b }');
globalThis.gc?.();
const spec = `hash:${path}`;
const before = heldMib();
const began = performance.now();
const cpuBefore = cpuMs();
const opening = new LoopTurns();
await maps.open(spec, Buffer.from(path));
const openMs = performance.now() - began;
const openCpuMs = cpuMs() - cpuBefore;
const { longest: openTurnMs } = await opening.end();
globalThis.gc?.();
const grownMib = heldMib() - before;

const LOOK_UPS = 200_000;
let found = 0;
const cpuAsked = cpuMs();
for (let index = 0; index < LOOK_UPS; index += 1) {
  const key = keyOf((index * 7919) % count);
  if (maps.recall(spec, key) !== undefined) found += 1;
}
const lookUpUs = ((cpuMs() - cpuAsked) * 1000) / LOOK_UPS;
if (found !== LOOK_UPS) throw new Error(`${found} of ${LOOK_UPS} found`);

appendFileSync(path, 'another@domain.example REJECT\n');
await sleep(0);
const rereading = new LoopTurns();
const end = performance.now() + 120_000;
// A policy asks meanwhile: by that a file that has changed is noticed.
while (notices === 0 && performance.now() < end) {
  maps.recall(spec, keyOf(0));
  await sleep(5);
}
const { longest: rereadTurnMs } = await rereading.end();
if (notices === 0) throw new Error('not read again');
const measured: LargeMap = { mib, openMs, openCpuMs, openTurnMs, rereadTurnMs, grownMib, lookUpUs };
process.stdout.write(`${JSON.stringify(measured)}\n`);
rmSync(folder, { recursive: true, force: true });
process.exit(0);
