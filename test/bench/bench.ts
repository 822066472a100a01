/**
 * `npm run bench`: our server beside a libmilter filter that does the same, and how its cost grows.
 *
 *     npm run bench                         everything, some four minutes
 *     npm run bench -- --parts side-by-side --profiles small,bulk --runs 9 --seconds 2
 *     npm run bench -- --json               the numbers as one JSON object on standard output
 *
 * Both servers run at the same time and are visited in turn, so that a noisy moment hits both; what is compared is the
 * median of the runs' ratios. Each server has core 0 and the generator core 1, where there are two.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { idleKib, median, PROFILES, type Profile, type Run, runLoad, spread } from './measure.ts';
import { compilePrograms, type Programs } from './programs.ts';
import { isPinned, ServerUnderTest } from './server.ts';

const PARTS = ['side-by-side', 'connections', 'script', 'memory'] as const;
/** V8 needs some thousands of sessions to compile what they run. */
const WARM_UP_RUNS = 4;
const IDLE_SESSIONS = 2000;
const SCRIPT = new URL('side-by-side.lua', import.meta.url).pathname;

const HELP = `npm run bench -- [options]

Measures this server beside a libmilter filter in C that does the same, and how its cost grows.

  --parts LIST         of ${PARTS.join(', ')}; all by default
  --profiles LIST      of ${PROFILES.join(', ')}; all by default
  --connections N      at a time, side by side; 10 by default
  --runs N             of each, of which the median counts; 7 by default
  --seconds N          for each run; 1 by default
  --json               the numbers as one JSON object on standard output

  npm run bench -- --parts side-by-side --profiles small,bulk --runs 9 --seconds 2
`;

const { values: options } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    parts: { type: 'string', default: PARTS.join() },
    profiles: { type: 'string', default: PROFILES.join() },
    connections: { type: 'string', default: '10' },
    runs: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
if (options.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const runs = Number(options.runs);
const seconds = Number(options.seconds);
const parts = listOf(options.parts, PARTS, '--parts');
const profiles = listOf(options.profiles, PROFILES, '--profiles');

function listOf<T extends string>(written: string, known: readonly T[], option: string): T[] {
  return written.split(',').map((word) => {
    const found = known.find((name) => name === word);
    if (found === undefined) throw new Error(`${option}: ${word} is none of ${known.join(', ')}`);
    return found;
  });
}

/** To people; with --json to standard error, so that standard output is JSON. */
function say(line: string): void {
  (options.json ? process.stderr : process.stdout).write(`${line}\n`);
}

const number = (value: number, digits = 0): string => value.toFixed(digits).padStart(8);

interface Summary extends Run {
  /** Of perSecond, in percent. */
  readonly spread: number;
}

function summaryOf(all: readonly Run[]): Summary {
  const of = (key: keyof Run): number => median(all.map((run) => run[key]));
  return {
    perSecond: of('perSecond'),
    spread: spread(all.map((run) => run.perSecond)),
    cpuUs: of('cpuUs'),
    p50: of('p50'),
    p99: of('p99'),
  };
}

/** Visits the servers in turn. */
async function alternate(
  load: string,
  servers: Readonly<Record<string, ServerUnderTest>>,
  profile: Profile,
  connections: number,
): Promise<Record<string, Run[]>> {
  const results: Record<string, Run[]> = {};
  for (let i = -WARM_UP_RUNS; i < runs; i++) {
    for (const [name, server] of Object.entries(servers)) {
      const run = await runLoad(load, server, profile, connections, seconds);
      if (i >= 0) results[name] = [...(results[name] ?? []), run];
    }
  }
  return results;
}

function show(name: string, { perSecond, spread, cpuUs, p50, p99 }: Summary): string {
  return `  ${name.padEnd(14)} ${number(perSecond)} /s ±${spread.toFixed(0).padStart(3)} %   CPU ${number(cpuUs)} µs   session p50 ${number(p50)} p99 ${number(p99)} µs`;
}

async function sideBySide({ load, filter }: Programs, folder: string): Promise<unknown> {
  const servers: Record<string, ServerUnderTest> = { ours: await ServerUnderTest.ours(SCRIPT, folder) };
  const table: Record<string, unknown> = {};
  try {
    if (filter !== undefined) servers['libmilter'] = await ServerUnderTest.libmilter(filter);
    for (const profile of profiles) {
      const results = await alternate(load, servers, profile, Number(options.connections));
      say(`\n${profile}, ${options.connections} connections`);
      const row: Record<string, unknown> = {};
      for (const [name, all] of Object.entries(results)) {
        const summary = summaryOf(all);
        row[name] = summary;
        say(show(name, summary));
      }
      const { ours, libmilter } = results;
      if (ours && libmilter) {
        const ratio = (key: 'perSecond' | 'cpuUs') =>
          median(ours.map((run, i) => run[key] / (libmilter[i]?.[key] ?? Number.NaN)));
        row['ratio'] = { perSecond: ratio('perSecond'), cpu: ratio('cpuUs') };
        say(`  ours/libmilter ${number(ratio('perSecond'), 2)} rate, ${ratio('cpuUs').toFixed(2)} CPU`);
      }
      table[profile] = row;
    }
  } finally {
    for (const server of Object.values(servers)) await server.stop();
  }
  return table;
}

async function byConnections({ load }: Programs, folder: string): Promise<unknown> {
  say('\nprofile small, by connections');
  const server = await ServerUnderTest.ours(SCRIPT, folder);
  const table: Record<string, unknown> = {};
  try {
    for (const connections of [1, 10, 100, 1000]) {
      const { ours = [] } = await alternate(load, { ours: server }, 'small', connections);
      const summary = summaryOf(ours);
      table[connections] = summary;
      say(show(String(connections), summary));
    }
  } finally {
    await server.stop();
  }
  return table;
}

/** The policy with functions that are never called, up to so many lines. */
function scriptOf(lines: number): string {
  const text = readFileSync(SCRIPT, 'latin1');
  let filler = '';
  for (let i = text.split('\n').length; i + 4 <= lines; i += 4) {
    filler += `function unused_${i}(a, b)\n  if a == "${i}" then return b .. "x" end\n  return a:lower():match("^(%w+)@") or b\nend\n`;
  }
  return text + filler;
}

async function byScript({ load }: Programs, folder: string): Promise<unknown> {
  say('\nprofile small, 10 connections, by lines of the script');
  const servers: Record<string, ServerUnderTest> = {};
  const table: Record<string, unknown> = {};
  try {
    for (const lines of [50, 500, 5000]) {
      const script = join(folder, `${lines}.lua`);
      writeFileSync(script, scriptOf(lines));
      servers[lines] = await ServerUnderTest.ours(script, folder);
    }
    for (const [lines, all] of Object.entries(await alternate(load, servers, 'small', 10))) {
      table[lines] = summaryOf(all);
      say(show(lines, summaryOf(all)));
    }
  } finally {
    for (const server of Object.values(servers)) await server.stop();
  }
  return table;
}

async function memory({ load }: Programs, folder: string): Promise<unknown> {
  const server = await ServerUnderTest.ours(SCRIPT, folder);
  try {
    const kib = await idleKib(load, server, IDLE_SESSIONS);
    say(`\nmemory of an idle session, of ${IDLE_SESSIONS} beside as many others: ${kib.toFixed(0)} KiB`);
    return { kibPerIdleSession: kib };
  } finally {
    await server.stop();
  }
}

const folder = mkdtempSync(join(tmpdir(), 'smtpf-milter-bench-'));
try {
  const programs = compilePrograms(folder);
  for (const line of programs.missing) say(line);
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node.js ${process.version}`;
  say(`${new Date().toISOString().slice(0, 10)}, ${machine}${isPinned ? '' : ', not pinned to cores'}`);
  const measure = { 'side-by-side': sideBySide, connections: byConnections, script: byScript, memory };
  const result: Record<string, unknown> = {
    date: new Date().toISOString(),
    machine,
    isPinned,
    runs,
    seconds,
  };
  for (const part of parts) result[part] = await measure[part](programs, folder);
  if (options.json) process.stdout.write(`${JSON.stringify(result, null, 1)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
