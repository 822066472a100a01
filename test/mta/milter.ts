/**
 * Our server as its own process, as an operator would run it: started with options and a policy file, watched by its log,
 * stopped by SIGTERM.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until, withinLimit } from './deadline.ts';
import type { MilterAddress } from './mail-server.ts';

export type OnError = 'continue' | 'tempfail' | 'reject' | 'accept';

// MILTER_UNDER_TEST names another build of the program.
const MAIN = process.env.MILTER_UNDER_TEST ?? fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Puts a policy in place at once: the server never reads half of one. */
export function writePolicy(path: string, lua: string): void {
  writeFileSync(`${path}.new`, lua, 'latin1');
  renameSync(`${path}.new`, path);
}

export interface MilterOptions {
  readonly at: MilterAddress;
  /** Path of the policy file. */
  readonly script: string;
  /** Directory for the files of do_dot. */
  readonly spool: string;
  readonly onError: OnError;
  /** One without it: with several, one that was given no session while a script was there does not see it come and go. */
  readonly workers?: number;
  /** Further options of the program. */
  readonly args?: readonly string[];
}

/** Options in the environment would change what is tested. */
function withoutOptions(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith('SMTPF_MILTER_')),
  );
}

export class Milter {
  readonly #child: ChildProcess;
  readonly #log: string[] = [];
  readonly #exit: Promise<[number | null, string | null]>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exit = once(child, 'exit') as Promise<[number | null, string | null]>;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#log.push(line));
    }
  }

  /** Starts the server on both transports; resolves when it says that it listens. */
  static async start({ at, script, spool, onError, workers = 1, args = [] }: MilterOptions): Promise<Milter> {
    const child = spawn(
      process.execPath,
      [
        ...['--enable-source-maps', MAIN, 'serve'],
        ...['--listen', `inet:127.0.0.1:${at.tcpPort}`, '--listen', `unix:${at.unixPath}`],
        ...['--socket-mode', '0666', '--script', script, '--on-error', onError],
        ...['--spool', spool, '--syslog', 'stderr', '--grace', '5'],
        ...['--workers', String(workers), ...args],
      ],
      { env: withoutOptions(process.env), stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const milter = new Milter(child);
    await until(
      () => {
        if (child.exitCode !== null) throw new Error(`the milter does not start\n${milter.log()}`);
        const listening = milter.#log.filter((line) => /listening/i.test(line)).join('\n');
        return listening.includes(String(at.tcpPort)) && listening.includes(at.unixPath) ? true : undefined;
      },
      () => `the milter listens\n${milter.log()}`,
    ).catch((error: unknown) => {
      // Or it would keep the address from all that follow.
      child.kill('SIGKILL');
      throw error;
    });
    return milter;
  }

  /** What the server has printed so far, its log included. */
  log(): string {
    return this.#log.join('\n');
  }

  /** How many lines there are up to now: where a case starts to read. */
  get logLength(): number {
    return this.#log.length;
  }

  logSince(start: number): string {
    return this.#log.slice(start).join('\n');
  }

  /** @throws Error when the server does not end with exit code 0. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const [code, signal] = await withinLimit(this.#exit, `the milter ends\n${this.log()}`);
    if (code !== 0)
      throw new Error(`the milter ended with exit code ${code}, signal ${signal}\n${this.log()}`);
  }
  /** Ends it with SIGKILL: nothing of it can tidy up. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await withinLimit(this.#exit, 'the milter is killed');
  }
}
