/** A milter server under measurement: started on a free port, asked for its CPU time and memory, stopped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../helpers/loopback.ts';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;
const REST_MS = 300;
const TICKS_PER_SECOND = 100; // USER_HZ of Linux on every architecture that Node.js supports.

/** Server and generator each have a core of their own, where there are two and the means to say so. */
export const isPinned = availableParallelism() > 1 && existsSync('/usr/bin/taskset');

/** A command that runs on one core: 0 for servers, 1 for the generator. */
export function onCore(core: number, command: readonly string[]): string[] {
  return isPinned ? ['taskset', '-c', String(core), ...command] : [...command];
}

export class ServerUnderTest {
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  /** Our server, built, with a script. @param store as `--store` has it @param args further options */
  static async ours(
    script: string,
    folder: string,
    store = `lmdb:${folder}/store`,
    args: readonly string[] = [],
  ): Promise<ServerUnderTest> {
    const server = await ServerUnderTest.#start((port) => [
      process.execPath,
      MAIN,
      ...['--listen', `inet:${port}@127.0.0.1`, '--script', script, '--workers', '1', '--syslog', 'none'],
      ...['--spool', join(folder, `spool-${port}`), '--store', store, ...args],
    ]);
    await server.#rest();
    return server;
  }

  static libmilter(filter: string): Promise<ServerUnderTest> {
    return ServerUnderTest.#start((port) => [filter, `inet:${port}@127.0.0.1`]);
  }

  /** Another program. @param command with the port that it listens on */
  static program(command: (port: number) => string[]): Promise<ServerUnderTest> {
    return ServerUnderTest.#start(command);
  }

  static async #start(command: (port: number) => string[]): Promise<ServerUnderTest> {
    const port = await freePort();
    const [program = '', ...args] = onCore(0, command(port));
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    let over = false;
    child.on('exit', () => {
      over = true;
    });
    while (!(await accepts(port))) {
      if (over) throw new Error(`${command(port).join(' ')} has ended`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return new ServerUnderTest(child, port);
  }

  /** Waits until it has warmed up: nothing keeps it at work any more. */
  async #rest(): Promise<void> {
    for (let before = -1; this.cpuMs() !== before; ) {
      before = this.cpuMs();
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
    }
  }

  /** CPU time of the process and those it has begun, in milliseconds. */
  cpuMs(): number {
    let ticks = 0;
    for (const pid of this.#tree()) {
      // utime, stime, and those of children that have ended.
      for (const field of statOf(pid).slice(11, 15)) ticks += Number(field);
    }
    return (ticks * 1000) / TICKS_PER_SECOND;
  }

  /** Memory of the process and those it has begun, in KiB; what they share with others counts in part. */
  memoryKib(): number {
    let sum = 0;
    for (const pid of this.#tree()) {
      const pss = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'));
      sum += Number(pss?.[1] ?? 0);
    }
    return sum;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await ended;
  }

  #tree(): number[] {
    const parents = new Map<number, number>();
    for (const name of readdirSync('/proc')) {
      if (/^\d+$/.test(name)) parents.set(Number(name), Number(statOf(Number(name))[1]));
    }
    const tree = [this.#process.pid ?? 0];
    for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
    return tree;
  }
}

/** The fields of /proc/PID/stat behind the program's name; none when the process is gone. */
function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
