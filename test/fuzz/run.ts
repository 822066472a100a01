/**
 * Fuzzing for as long as wanted: `node --import tsx test/fuzz/run.ts --minutes 10 [--seed N]`.
 *
 * A failure names the seed it began with, and for an input in process the input itself, to be put into cases.ts.
 */
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { checkInProcess } from './in-process.ts';
import { fuzzMime } from './mime.ts';
import { fuzzOverSocket } from './over-socket.ts';
import { Random } from './random.ts';
import { brokenSession } from './session-stream.ts';

/** A new seed in each run, printed so that the run can be had again; FUZZ_SEED sets it. */
export function newSeed(): number {
  const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`seed ${seed}`);
  return seed;
}

/** @returns how many inputs there were until `deadline`, by performance.now(). */
export function fuzzInProcess(seed: number, deadline: number): number {
  const random = new Random(seed);
  let inputs = 0;
  while (performance.now() < deadline) {
    const input = brokenSession(random);
    const choice = random.below(2 ** 32);
    inputs += 1;
    try {
      checkInProcess(input, choice);
    } catch (error) {
      throw new Error(`seed ${seed}, input ${inputs}, choice ${choice}: ${input.toString('hex')}`, {
        cause: error,
      });
    }
  }
  return inputs;
}

async function main(): Promise<void> {
  const option = (name: string) => {
    const at = argv.indexOf(`--${name}`);
    return at < 0 ? undefined : Number(argv[at + 1]);
  };
  const end = performance.now() + (option('minutes') ?? 1) * 60_000;
  const random = new Random(option('seed') ?? newSeed());
  const inputs = { inProcess: 0, overSocket: 0, mime: 0 };
  while (performance.now() < end) {
    const slice = Math.min(end, performance.now() + 10_000);
    inputs.inProcess += fuzzInProcess(
      random.below(2 ** 32),
      performance.now() + (slice - performance.now()) / 2,
    );
    const mimeSeed = random.below(2 ** 32);
    inputs.mime += await fuzzMime(mimeSeed, new Random(mimeSeed), 1000);
    const seed = random.below(2 ** 32);
    try {
      inputs.overSocket += await fuzzOverSocket(seed, slice);
    } catch (error) {
      throw new Error(`over sockets, seed ${seed}`, { cause: error });
    }
    console.log(
      `${inputs.inProcess} inputs in process, ${inputs.overSocket} over sockets, ${inputs.mime} messages and archives`,
    );
  }
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await main();
