/** The real program as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/**
 * How to start the program, as it was built before the tests: a list to put before its arguments. From its sources it and
 * each of its workers would start at three times the cost.
 */
export const PROGRAM = [process.execPath, '--enable-source-maps', join(ROOT, 'dist', 'main.js')];

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Variables of the tests' own environment do not count. Short lives need no warm-up; many tests have no policy, or a bad one. */
function environment(extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('SMTPF_MILTER_'));
  return {
    ...Object.fromEntries(own),
    SMTPF_MILTER_WARM_UP: '0',
    SMTPF_MILTER_ON_BAD_START: 'serve',
    ...extra,
  };
}

/** Runs the program to its end. */
export async function run(
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const [command = '', ...before] = PROGRAM;
  const child = spawn(command, [...before, ...args], { cwd: ROOT, env: environment(variables) });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

/** After this long a wait has failed. It takes a second or two, and much longer on a machine with other work. */
const PATIENCE_MS = 120_000;

export class Running {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  #code: number | null | undefined;
  #look: (() => void)[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#changed();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#changed();
    });
    child.on('close', (code) => {
      this.#code = code;
      this.#changed();
    });
  }

  /** Waits until `pattern` stands in the output. */
  async until(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this[stream]);
      if (match) return match;
      if (this.#code !== undefined)
        throw new Error(`ended (${this.#code}) without ${pattern}: ${this.stderr}`);
      await this.#change('the end');
    }
  }

  /** The port of the first address of this family that the program listens on. */
  async port(scheme: 'inet' | 'inet6' = 'inet'): Promise<number> {
    return Number((await this.until('stdout', new RegExp(`listening on ${scheme}:(\\d+)@`)))[1]);
  }

  /** Waits for the program's start to be complete. */
  async ready(): Promise<void> {
    await this.until('stdout', /^script /m);
    // Signals and log are in order once the log's first lines are there.
    await this.until('stderr', /script/);
  }

  async ended(): Promise<number | null> {
    while (this.#code === undefined) await this.#change('the end');
    return this.#code;
  }

  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.ended();
  }

  #change(awaited: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no ${awaited} in: ${this.stdout}\n${this.stderr}`));
      }, PATIENCE_MS);
      this.#look.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #changed(): void {
    for (const resolve of this.#look.splice(0)) resolve();
  }
}

/** Starts the program, which logs to stderr and ends soon unless `args` say otherwise; it is killed after the test. */
export function start(
  t: TestContext,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
  prefix: readonly string[] = [],
): Running {
  const [command = '', ...before] = [...prefix, ...PROGRAM];
  const child = spawn(command, [...before, ...args], {
    cwd: ROOT,
    env: environment({
      SMTPF_MILTER_SPOOL: join(directory(t), 'spool'),
      SMTPF_MILTER_GRACE: '0.1',
      SMTPF_MILTER_SYSLOG: 'stderr',
      ...variables,
    }),
  });
  t.after(() => child.kill('SIGKILL'));
  return new Running(child);
}

/** A directory of the test's own. */
export function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'smtpf-milter-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
