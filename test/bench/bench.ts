/**
 * `npm run bench`: our server beside a libmilter filter that does the same, and how its cost grows.
 *
 *     npm run bench                         everything, some ten minutes
 *     npm run bench -- --parts side-by-side --profiles small,bulk --runs 9 --seconds 2
 *     npm run bench -- --json               the numbers as one JSON object on standard output
 *     npm run bench -- --record             rows for docs/speed.md, with commit and date, as well
 *
 * Both servers run at the same time and are visited in turn, so that a noisy moment hits both; what is compared is the
 * median of the runs' ratios. Each server has core 0 and the generator core 1, where there are two.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureLargeMap } from '../maps/measure-large-map.ts';
import { type HostileCost, hostileCosts, verification } from './authentication.ts';
import { COMPUTATIONS, type Cost, compute } from './compute.ts';
import { startReaders } from './content.ts';
import { idleKib, median, PROFILES, type Profile, type Run, runLoad, spread } from './measure.ts';
import { askDaemon, startPair, WORKS } from './policy-daemons.ts';
import { compilePrograms, type Programs } from './programs.ts';
import { appendRows, commitOf, type Measured } from './record.ts';
import { isPinned, ServerUnderTest } from './server.ts';
import { shadowCost } from './shadow-cost.ts';
import { startStores } from './store-cost.ts';

const PARTS = [
  'side-by-side',
  'connections',
  'script',
  'memory',
  'store',
  'policy-daemons',
  'map',
  'authentication',
  'hostile',
  'content',
  'compute',
  'shadow',
] as const;
/** V8 needs some thousands of sessions to compile what they run. */
const WARM_UP_RUNS = 4;
const IDLE_SESSIONS = 2000;
const MANY_MESSAGES = 1500;
const ROOT = new URL('../..', import.meta.url);
const SPEED = new URL('docs/speed.md', ROOT);
const SCRIPT = new URL('side-by-side.lua', import.meta.url).pathname;

const HELP = `npm run bench -- [options]

Measures this server beside a libmilter filter in C that does the same, and how its cost grows.

  --parts LIST         of ${PARTS.join(', ')}; all by default
  --profiles LIST      of ${PROFILES.join(', ')}; all by default
  --connections N      at a time, side by side; 10 by default
  --runs N             of each, of which the median counts; 7 by default
  --seconds N          for each run; 1 by default
  --json               the numbers as one JSON object on standard output
  --record             add the numbers side by side to the table of docs/speed.md, with commit and date

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
    record: { type: 'boolean', default: false },
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
    seconds: of('seconds'),
  };
}

/** Visits the servers in turn. */
async function alternate(
  load: string,
  servers: Readonly<Record<string, ServerUnderTest>>,
  profile: Profile,
  connections: number,
  message?: string,
): Promise<Record<string, Run[]>> {
  const results: Record<string, Run[]> = {};
  for (let i = -WARM_UP_RUNS; i < runs; i++) {
    for (const [name, server] of Object.entries(servers)) {
      const run = await runLoad(load, server, profile, connections, seconds, message);
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
  const rows: Measured[] = [];
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
      const { ours = [], libmilter } = results;
      if (libmilter) {
        const of = (key: 'perSecond' | 'cpuUs') =>
          median(ours.map((run, i) => run[key] / (libmilter[i]?.[key] ?? Number.NaN)));
        const ratio = { perSecond: of('perSecond'), cpu: of('cpuUs') };
        row['ratio'] = ratio;
        say(`  ours/libmilter ${number(ratio.perSecond, 2)} rate, ${ratio.cpu.toFixed(2)} CPU`);
        rows.push({ profile, ...summaryOf(ours), ratio });
      } else rows.push({ profile, ...summaryOf(ours) });
      table[profile] = row;
    }
  } finally {
    for (const server of Object.values(servers)) await server.stop();
  }
  if (options.record) appendRows(SPEED, rows, new Date(), commitOf(ROOT));
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

async function authentication(_programs: Programs, folder: string): Promise<unknown> {
  const found = await verification(folder, runs);
  say('\na message of 10 KiB with a signature of RSA-2048 verified, ours with SPF and DMARC besides');
  say(`  ours ${found.ours.toFixed(0)} µs CPU, OpenDKIM ${found.opendkim.toFixed(0)} µs CPU`);
  say(`  ours/OpenDKIM ${number(found.ratio, 2)} messages a second and core`);
  say(
    `  each of a domain that was not there before: ours ${found.ofStrangers.toFixed(0)} µs CPU, ` +
      `ours/OpenDKIM ${number(found.ratioOfStrangers, 2)}`,
  );
  say('\na message of 25 MB verified, and read and hashed by Node.js alone');
  for (const [name, row] of Object.entries({ base64: found.large, text: found.largeText })) {
    say(`  ${name}: ours ${row.ours.toFixed(0)} ms CPU, hashed ${row.hashed.toFixed(0)} ms CPU`);
    say(`  ours/hashed ${number(row.ratio, 2)} of the CPU time`);
  }
  return found;
}

async function hostile(_programs: Programs, folder: string): Promise<unknown> {
  const table: Record<string, HostileCost> = {};
  say('\na message made to be dear, whole, beside an honest one of its size, both checked by auth.check');
  await hostileCosts(folder, runs, (name, cost) => {
    table[name] = cost;
    const [one, other] = [cost.hostile, cost.honest].map((us) => `${(us / 1000).toFixed(2)} ms`);
    say(`  ${cost.ratio.toFixed(2)} of the CPU (${one}, ${other}): ${name}`);
  });
  return table;
}

async function shadow({ load }: Programs, folder: string): Promise<unknown> {
  const table: Record<string, unknown> = {};
  for (const profile of profiles) {
    const found = await shadowCost(load, folder, profile, runs);
    table[profile] = found;
    say(`\n${profile}, bursts of 10 connections, the same policy as --shadow`);
    say(`  alone ${found.alone.toFixed(0)} µs CPU, with its shadow ${found.beside.toFixed(0)} µs CPU`);
    say(
      `  ${found.ratio.toFixed(2)} of the CPU, ${(found.compared * 100).toFixed(1)} % of the sessions compared`,
    );
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

async function storeCost({ load }: Programs, folder: string): Promise<unknown> {
  const { servers, missing, end } = await startStores(folder);
  for (const line of missing) say(line);
  const table: Record<string, unknown> = {};
  try {
    for (const connections of [1, 10, 100]) {
      say(`\nrate.take and grey.check for each recipient, profile small, ${connections} connections`);
      const results = await alternate(load, servers, 'small', connections);
      const { without = [] } = results;
      const row: Record<string, unknown> = {};
      for (const [name, all] of Object.entries(results)) {
        const cpu = median(all.map((run, i) => run.cpuUs / (without[i]?.cpuUs ?? Number.NaN)));
        row[name] = { ...summaryOf(all), cpuOfWithout: cpu };
        say(`${show(name, summaryOf(all))}   ${cpu.toFixed(2)} of the CPU`);
      }
      table[connections] = row;
    }
  } finally {
    await end();
  }
  return table;
}

async function besideDaemons({ load }: Programs, folder: string): Promise<unknown> {
  const table: Record<string, unknown> = {};
  for (const work of WORKS) {
    say(`\n${work.name}, ${options.connections} connections`);
    const pair = await startPair(work, folder);
    if (typeof pair === 'string') {
      say(pair);
      continue;
    }
    try {
      const ours: Run[] = [];
      const theirs: Run[] = [];
      for (let i = -WARM_UP_RUNS; i < runs; i++) {
        const run = await runLoad(load, pair.ours, 'keepalive', Number(options.connections), seconds);
        const other = await askDaemon(pair.theirs, work, Number(options.connections), seconds);
        if (i >= 0) ours.push(run);
        if (i >= 0) theirs.push(other);
      }
      const ratio = median(ours.map((run, i) => run.perSecond / (theirs[i]?.perSecond ?? Number.NaN)));
      table[work.name] = { ours: summaryOf(ours), theirs: summaryOf(theirs), ratio };
      say(show('ours', summaryOf(ours)));
      say(show(work.daemon, summaryOf(theirs)));
      say(`  ours/${work.daemon} ${number(ratio, 2)} messages a second`);
    } finally {
      await pair.ours.stop();
      await pair.theirs.stop();
    }
  }
  return table;
}

async function content({ load }: Programs, folder: string): Promise<unknown> {
  const { servers, message, missing, end } = await startReaders(folder);
  for (const line of missing) say(line);
  const table: Record<string, unknown> = {};
  say(`\nparts, names and digests of a message of 1 MB, ${options.connections} connections`);
  try {
    const connections = Number(options.connections);
    // A message of 1 MB is much work of little code: it takes many until V8 has compiled all of it.
    for (let sent = 0; servers['ours'] && sent < MANY_MESSAGES; ) {
      sent +=
        (await runLoad(load, servers['ours'], 'message', connections, seconds, message)).perSecond * seconds;
    }
    const results = await alternate(load, servers, 'message', connections, message);
    const { ours = [] } = results;
    for (const [name, all] of Object.entries(results)) {
      const summary = summaryOf(all);
      const of = (key: 'perSecond' | 'cpuUs', one: readonly Run[], other: readonly Run[]) =>
        median(one.map((run, i) => run[key] / (other[i]?.[key] ?? Number.NaN)));
      const ratio = { perSecond: of('perSecond', ours, all), perCore: of('cpuUs', all, ours) };
      table[name] = { ...summary, ratio };
      say(show(name, summary));
      if (name === 'ours') continue;
      say(
        `  ours/${name} ${number(ratio.perSecond, 2)} messages a second, ${ratio.perCore.toFixed(2)} a second and core`,
      );
    }
  } finally {
    await end();
  }
  return table;
}

async function largeMap(): Promise<unknown> {
  const row = await measureLargeMap(1_000_000);
  say(`\na map of 1,000,000 lines, ${row.mib.toFixed(0)} MiB`);
  say(`  opened in ${row.openMs.toFixed(0)} ms, ${row.openCpuMs.toFixed(0)} of CPU time`);
  say(
    `  a worker grows by ${row.grownMib.toFixed(0)} MiB, a look-up takes ${row.lookUpUs.toFixed(2)} µs of CPU time`,
  );
  say(
    `  longest turn: opening ${row.openTurnMs.toFixed(1)} ms, reading again ${row.rereadTurnMs.toFixed(1)} ms`,
  );
  return row;
}

async function computation(_programs: Programs, folder: string): Promise<unknown> {
  const { missing, lines } = await compute(runs, folder);
  say(
    '\npolicies that compute, CPU ms of one call: the first in a process that has warmed up / the median of the calls after it',
  );
  for (const line of missing) say(line);
  const ms = (cost: Cost | undefined): string =>
    cost === undefined ? '' : `${cost.first.toFixed(2).padStart(8)} / ${cost.later.toFixed(2).padEnd(7)}`;
  for (const [name, line] of Object.entries(lines)) {
    const { ours, 'lua5.3': puc, luajit } = line;
    const ratio = (part: keyof Cost): string =>
      ((ours?.[part] ?? Number.NaN) / (puc?.[part] ?? Number.NaN)).toFixed(1);
    say(
      `  ${COMPUTATIONS[name as keyof typeof COMPUTATIONS].padEnd(27)} ours ${ms(ours)} lua5.3 ${ms(puc)} luajit ${ms(luajit)}  ours/lua5.3 ${ratio('first').padStart(5)} / ${ratio('later')}`,
    );
  }
  return lines;
}

const folder = mkdtempSync(join(tmpdir(), 'smtpf-milter-bench-'));
try {
  const programs = compilePrograms(folder);
  for (const line of programs.missing) say(line);
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node.js ${process.version}`;
  say(`${new Date().toISOString().slice(0, 10)}, ${machine}${isPinned ? '' : ', not pinned to cores'}`);
  const measure = {
    'side-by-side': sideBySide,
    connections: byConnections,
    script: byScript,
    memory,
    store: storeCost,
    'policy-daemons': besideDaemons,
    map: largeMap,
    authentication,
    hostile,
    content,
    compute: computation,
    shadow,
  };
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
