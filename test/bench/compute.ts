/** Policies that compute: lines of compute.lua in a callback of ours, beside the same in PUC Lua 5.3 and LuaJIT. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { LuaContext } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { defaultLimits } from '../../src/lua/engine/host.ts';
import { fieldOf, globalsOf, pushValue, tableOf } from '../../src/lua/engine/values.ts';
import { libraries } from '../../src/lua/lib/libraries.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { median } from './measure.ts';

const SOURCE = new URL('compute.lua', import.meta.url).pathname;

/** What each line is, by the name of its function. */
export const COMPUTATIONS = {
  fib: 'fib(24)',
  loop: 'a million additions',
  array: '200,000 appends and reads',
  strings: '50,000 strings, one concat',
  find: '10,000 find and match',
  gsub: '200 gsub with a function',
  rules: '500 rules over 30 headers',
  parser: 'a parser over 256 KiB',
} as const;
type Computation = keyof typeof COMPUTATIONS;
const NAMES = Object.keys(COMPUTATIONS) as Computation[];

/** CPU time in ms: of the first call in a new process, and the median of the calls after it. */
export interface Cost {
  readonly first: number;
  readonly later: number;
}

/** The programs that run Lua, with their Debian packages. */
const PROGRAMS = { 'lua5.3': 'lua5.3', luajit: 'luajit' } as const;

const costOf = (times: readonly number[]): Cost => ({
  first: times[0] ?? Number.NaN,
  later: median(times.slice(1)),
});

/** In this process, which must not have run much Lua before. */
async function ours(runs: number): Promise<Record<string, Cost>> {
  const script = compile(
    Buffer.from(`work = (function() ${readFileSync(SOURCE, 'latin1')} end)()`),
    'compute',
  );
  const template = new Template(libraries);
  const limits = { ...defaultLimits, cpuMs: 60_000, memoryBytes: 2 ** 30 };
  const costs: Record<string, Cost> = {};
  for (const name of NAMES) {
    const times: number[] = [];
    for (let i = 0; i <= runs; i++) {
      const context = new LuaContext({ template, script, limits });
      await context.run();
      const outcome = await context.call(
        (L) => {
          const work = tableOf(fieldOf(L, globalsOf(L), 'work'));
          if (work !== undefined) pushValue(L, fieldOf(L, work, name));
          return 0;
        },
        () => context.cpuMs(performance.now()),
      );
      if (outcome.kind !== 'done') throw new Error(`${name}: ${JSON.stringify(outcome)}`);
      times.push(outcome.value);
      context.dispose();
    }
    costs[name] = costOf(times);
  }
  return costs;
}

const TIMES = `
local work = dofile(arg[1])
for name in arg[3]:gmatch("%a+") do
  local times = {}
  for i = 0, arg[2] do
    local began = os.clock()
    work[name]()
    times[#times + 1] = (os.clock() - began) * 1000
  end
  print(name .. " " .. table.concat(times, " "))
end`;

/** In a process of its own; undefined where the program is missing. */
function theirs(program: string, runs: number): Record<string, Cost> | undefined {
  const { status, stdout } = spawnSync(program, ['-', SOURCE, String(runs), NAMES.join()], {
    input: TIMES,
    encoding: 'latin1',
  });
  if (status !== 0) return undefined;
  const costs: Record<string, Cost> = {};
  for (const line of stdout.trim().split('\n')) {
    const [name = '', ...times] = line.split(' ');
    costs[name] = costOf(times.map(Number));
  }
  return costs;
}

export interface Computed {
  readonly missing: readonly string[];
  /** By the name of the line, and then of who ran it: ours, lua5.3, luajit. */
  readonly lines: Readonly<Record<string, Readonly<Record<string, Cost>>>>;
}

/** @param runs of each line, of which the median counts, after a first one */
export function compute(runs: number): Computed {
  const missing: string[] = [];
  const all: Record<string, Record<string, Cost>> = {};
  for (const [program, debian] of Object.entries(PROGRAMS)) {
    const costs = theirs(program, runs);
    if (costs === undefined) missing.push(`${program} is missing: no comparison (Debian: ${debian})`);
    else all[program] = costs;
  }
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, new URL(import.meta.url).pathname, String(runs)],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  all['ours'] = JSON.parse(stdout) as Record<string, Cost>;
  const lines: Record<string, Record<string, Cost>> = {};
  for (const name of NAMES) {
    const line: Record<string, Cost> = {};
    for (const [who, costs] of Object.entries(all)) {
      const cost = costs[name];
      if (cost !== undefined) line[who] = cost;
    }
    lines[name] = line;
  }
  return { missing, lines };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  process.stdout.write(JSON.stringify(await ours(Number(process.argv[2] ?? 5))));
}
