/** Policies that compute: lines of compute.lua in a callback of ours, beside the same in PUC Lua 5.3 and LuaJIT. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Mta } from '../helpers/mta.ts';
import { median } from './measure.ts';
import { ServerUnderTest } from './server.ts';

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

/** CPU time in ms: of the first call in a process, and the median of the calls after it. */
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

/** Each line in its callback: the sender's local part is its name, and the refusal says what it took. */
const POLICY = `
local work = (function() ${readFileSync(SOURCE, 'latin1')} end)()
function smtp.do_mail(sender)
  local name = sender:match("^<?(%a+)@")
  local began = os.clock()
  work[name]()
  return 550, "5.7.1 " .. (os.clock() - began) * 1000
end
`;

const RESTS = 10;
const REST_MS = 300;

/** Waits until the server has not worked for some seconds: other work of the machine may have kept it from warming up. */
async function rest(server: ServerUnderTest): Promise<void> {
  for (let rests = 0, before = -1; rests < RESTS; rests++) {
    const now = server.cpuMs();
    if (now !== before) rests = 0;
    before = now;
    await pause(REST_MS);
  }
}

/** In a server that has warmed up, each call in a session of its own. */
async function ours(runs: number, folder: string): Promise<Record<string, Cost>> {
  const script = join(folder, 'compute.lua');
  writeFileSync(script, POLICY);
  const server = await ServerUnderTest.ours(script, folder, 'memory', ['--cpu-ms', '60000']);
  const costs: Record<string, Cost> = {};
  try {
    await rest(server);
    for (const name of NAMES) {
      const times: number[] = [];
      for (let i = 0; i <= runs; i++) {
        const mta = await Mta.open(server);
        await mta.connect('192.0.2.7', 'mail.example.com');
        const { text } = await mta.mail(`<${name}@example.com>`);
        await mta.quit();
        mta.socket.destroy();
        const ms = /^550 5\.7\.1 ([\d.e-]+)$/.exec(text)?.[1];
        if (ms === undefined) throw new Error(`${name}: ${text}`);
        times.push(Number(ms));
      }
      costs[name] = costOf(times);
    }
  } finally {
    await server.stop();
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
export async function compute(runs: number, folder: string): Promise<Computed> {
  const missing: string[] = [];
  const all: Record<string, Record<string, Cost>> = { ours: await ours(runs, folder) };
  for (const [program, debian] of Object.entries(PROGRAMS)) {
    const costs = theirs(program, runs);
    if (costs === undefined) missing.push(`${program} is missing: no comparison (Debian: ${debian})`);
    else all[program] = costs;
  }
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
