/** A running milter with workers, and an MTA that speaks to it. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { askServer } from '../../src/control/control-client.ts';
import type { Status } from '../../src/control/status.ts';
import { resolveOptions } from '../../src/options/options.ts';
import { Mta } from '../helpers/mta.ts';
import { directory, PROGRAM, Running, start } from './program.ts';

/** After this long a wait for a state has failed. */
const PATIENCE_MS = 60_000;

export interface Milter {
  readonly running: Running;
  readonly port: number;
  readonly spool: string;
  readonly script: string;
  /** A connection on which MTA and milter have negotiated. */
  connect(): Promise<Mta>;
  edit(lua: string): void;
}

/** Starts the program on loopback, by the command `prefix` where there is one; it is killed after the test. */
export async function startMilter(
  t: TestContext,
  lua: string,
  args: readonly string[],
  prefix: readonly string[] = [],
  spoolDirectory?: string,
): Promise<Milter> {
  const folder = directory(t);
  const script = join(folder, 'policy.lua');
  const spool = spoolDirectory ?? join(folder, 'spool');
  writeFileSync(script, lua);
  const given = ['--listen', 'inet:0@127.0.0.1', '--script', script, '--spool', spool];
  const running = start(t, [...given, ...args], {}, prefix);
  const port = await running.port();
  await running.ready();
  return {
    running,
    port,
    spool,
    script,
    connect: async () => {
      const mta = await Mta.open({ port });
      t.after(() => mta.socket.destroy());
      return mta;
    },
    edit: (text) => writeFileSync(script, text),
  };
}

/** The reply to MAIL in a new session, which ends then. */
export async function mailReply(milter: Pick<Milter, 'port'>, sender = '<a@b.example>'): Promise<string> {
  const mta = await Mta.open(milter);
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  const { letter, text } = await mta.mail(sender);
  await mta.quit();
  mta.socket.destroy();
  return text === '' ? letter : text;
}

/** Processes whose parent is `pid`. */
export function childrenOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** Whether a process is there; one that has ended and that nobody has taken note of is not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Waits until `holds`, looking again and again. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** How the milter says it is doing. */
export async function statusOf({ spool }: Milter): Promise<Status> {
  const options = resolveOptions(new Map([['spool', [spool]]]), {});
  for await (const { status } of askServer(options, { command: 'status' })) return status as Status;
  throw new Error('no status');
}

/**
 * How it is doing when it `holds`. A worker that is held for a second on a busy machine is told of as it was before, and
 * what it has sent to the supervisor may still be on its way.
 */
export async function statusUntil(milter: Milter, holds: (status: Status) => boolean): Promise<Status> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const status = await statusOf(milter);
    if (holds(status)) return status;
    if (performance.now() > end) throw new Error(JSON.stringify(status));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A command that shows a running server, for as long as the test lasts. */
export function view(t: TestContext, args: readonly string[]): Running {
  const [command = '', ...before] = PROGRAM;
  const child = spawn(command, [...before, ...args]);
  t.after(() => child.kill('SIGKILL'));
  return new Running(child);
}
