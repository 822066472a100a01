/**
 * A storm of everything at once beside good sessions: peers that pipeline, floods of headers, hoarders of memory, floods of
 * connections, dead and broken peers, and workers that are killed.
 *
 *     npm run storm -- --minutes 10
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Mta } from '../helpers/mta.ts';

export const STORM_POLICY = `
  kept = {}
  local function work(n) local x = 0 for i = 1, n do x = x + i % 7 end return x end
  function smtp.do_rcpt(rcpt)
    if rcpt:find("^busy@") then work(3000) end
    if rcpt:find("^hoard@") then kept[#kept + 1] = ("x"):rep(2000000 + #kept) end
    if rcpt:find("^no@") then return 550, "5.7.1 no " .. rcpt end
  end
  function smtp.do_headers()
    if header.get "X-Forged" then header.delete "X-Forged" end
  end
  function smtp.do_dot() header.add("X-Seen", smtp.sess.ip) end`;

/** Options of the server under the storm. */
export const STORM_OPTIONS = [
  '--workers',
  '2',
  '--warm-up',
  '0',
  '--on-error',
  'tempfail',
  '--log-level',
  'notice',
];

export interface StormReport {
  readonly sessions: number;
  /** Cut off by the death of a worker. */
  readonly cut: number;
  readonly wrong: readonly string[];
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
}

export interface StormSettings {
  readonly port: number;
  readonly seconds: number;
  /** Good sessions a second. */
  readonly rate: number;
  /** Kills a worker now and then. */
  readonly killWorker?: () => void;
  readonly killEverySeconds?: number;
}

/** How long after a worker's death a session may be cut off by it. */
const AFTERMATH_MS = 3000;

export async function storm(settings: StormSettings): Promise<StormReport> {
  const { port, seconds, rate, killWorker, killEverySeconds = 20 } = settings;
  const attacker = startAttacker(port, seconds);
  const end = performance.now() + seconds * 1000;
  const waits: number[] = [];
  const wrong: string[] = [];
  let sessions = 0;
  let cut = 0;
  let killedAt = Number.NEGATIVE_INFINITY;
  const killing =
    killWorker &&
    setInterval(() => {
      // Who lives to the end has gone through a part of the storm, so that its memory afterwards tells something.
      if (performance.now() > end - (seconds * 1000) / 4) return;
      killedAt = performance.now();
      killWorker();
    }, killEverySeconds * 1000);
  attacker.on('exit', (code) => {
    if (performance.now() < end) wrong.push(`the attacker has ended early: ${code}`);
  });
  const running = new Set<Promise<void>>();
  const timed = async <T>(say: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const reply = await say();
    waits.push(performance.now() - began);
    return reply;
  };
  const one = async (number: number): Promise<void> => {
    const began = performance.now();
    try {
      const ip = `192.0.2.${number % 250}`;
      const mta = await timed(() => Mta.open({ port }));
      await timed(() => mta.connect(ip, 'good.example'));
      await timed(() => mta.helo('good.example'));
      await timed(() => mta.mail('<a@good.example>'));
      const refused = await timed(() => mta.rcpt(`<no@r${number}.example>`));
      if (refused.text !== `550 5.7.1 no no@r${number}.example`)
        wrong.push(`RCPT: ${refused.letter} ${refused.text}`);
      const taken = await timed(() => mta.rcpt('<b@example.com>'));
      if (taken.letter !== 'c') wrong.push(`RCPT: ${taken.letter} ${taken.text}`);
      const message = await timed(() => mta.content([['X-Forged', ' x']], 'hello\r\n'));
      const changes = message.modifications.map(({ payload }) => payload.toString('latin1')).join();
      if (message.letter !== 'c' || !changes.includes(ip) || !changes.includes('X-Forged')) {
        wrong.push(`end of message: ${message.letter} ${message.text} ${JSON.stringify(changes)}`);
      }
      await mta.quit();
      mta.socket.destroy();
      sessions += 1;
    } catch (error) {
      const isCut = killedAt > began - AFTERMATH_MS;
      if (isCut) cut += 1;
      else wrong.push(String(error));
    }
  };
  for (let number = 0; performance.now() < end; number++) {
    const session = one(number).finally(() => running.delete(session));
    running.add(session);
    await new Promise((resolve) => setTimeout(resolve, 1000 / rate));
  }
  await Promise.all(running);
  clearInterval(killing);
  attacker.kill('SIGKILL');
  const sorted = waits.toSorted((left, right) => left - right);
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return { sessions, cut, wrong, p50: at(0.5), p99: at(0.99), longest: at(1) };
}

/** Attacks come from another process, so that making them delays no good session's own clock. */
function startAttacker(port: number, seconds: number): ChildProcess {
  const program = fileURLToPath(new URL('./storm-attacker.ts', import.meta.url));
  return fork(program, [String(port), String(seconds)], {
    // As the tests are run; `npm run storm` loads tsx otherwise.
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

/** Resident memory of a process, in MiB; 0 of one that has just ended. */
export function residentMb(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
  const { test } = await import('node:test');
  const { startMilter, childrenOf } = await import('../program/milter-client.ts');
  await test('storm', { timeout: 3_600_000 }, async (t) => {
    const milter = await startMilter(t, STORM_POLICY, STORM_OPTIONS);
    const workers = (): number[] => childrenOf(milter.running.child.pid);
    const memory = (): number => workers().reduce((sum, pid) => sum + residentMb(pid), 0);
    const before = memory();
    let peak = 0;
    const sampling = setInterval(() => {
      peak = Math.max(peak, memory());
    }, 1000);
    let turn = 0;
    const report = await storm({
      port: milter.port,
      seconds: Number(values.minutes) * 60,
      rate: 20,
      killWorker: () => {
        const pids = workers();
        turn += 1;
        const pid = pids[turn % pids.length];
        if (pid !== undefined) process.kill(pid, 'SIGKILL');
      },
    });
    clearInterval(sampling);
    const after: number[] = [];
    for (const seconds of [10, 30, 60]) {
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      after.push(memory());
    }
    const mebibytes = { before, peak, after };
    const wrong = [...report.wrong.slice(0, 10)];
    t.diagnostic(JSON.stringify({ ...report, wrong, wrongs: report.wrong.length, mebibytes }));
  });
}

if (resolve(process.argv[1] ?? '') === fileURLToPath(import.meta.url)) await main();
