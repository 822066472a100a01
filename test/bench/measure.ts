/** Single measurements: a run of the load generator, and the medians of several. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { onCore, type ServerUnderTest } from './server.ts';

export const PROFILES = ['small', 'keepalive', 'reject-at-rcpt', 'connect-only', 'bulk'] as const;
/** `message`: one in a file. */
export type Profile = (typeof PROFILES)[number] | 'message';

/** One run. Sessions, but in profile keepalive messages. */
export interface Run {
  readonly perSecond: number;
  /** CPU time of the server for one. */
  readonly cpuUs: number;
  /** Of whole sessions, in µs. */
  readonly p50: number;
  readonly p99: number;
  readonly seconds: number;
}

interface LoadResult {
  readonly sessions: number;
  readonly messages: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
  readonly firstError: string;
}

/** @param message the file of profile message @throws Error when a reply was wrong or a connection was lost. */
export async function runLoad(
  load: string,
  server: ServerUnderTest,
  profile: Profile,
  connections: number,
  seconds: number,
  message?: string,
): Promise<Run> {
  const before = server.cpuMs();
  const [program = '', ...args] = onCore(1, [
    load,
    ...[server.port, profile, connections, seconds].map((value) => String(value)),
    ...(message === undefined ? [] : [message]),
  ]);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  await once(child, 'close');
  const result = JSON.parse(text || '{"errors":1,"firstError":"no result"}') as LoadResult;
  if (result.errors > 0) throw new Error(`${profile}: ${result.errors} errors: ${result.firstError}`);
  const count = profile === 'keepalive' ? result.messages : result.sessions;
  const cpuUs = ((server.cpuMs() - before) * 1000) / count;
  return {
    perSecond: count / result.seconds,
    cpuUs,
    p50: result.p50,
    p99: result.p99,
    seconds: result.seconds,
  };
}

/**
 * Memory that each of `count` idle sessions adds (CONNECT and HELO said), in KiB. So many others are idle already: they
 * have taken what room a process has without asking for more.
 */
export async function idleKib(load: string, server: ServerUnderTest, count: number): Promise<number> {
  const first = await IdleSessions.open(load, server, count);
  const before = server.memoryKib();
  const more = await IdleSessions.open(load, server, count);
  const after = server.memoryKib();
  await Promise.all([first.close(), more.close()]);
  return (after - before) / count;
}

class IdleSessions {
  readonly #generator: ChildProcessByStdio<Writable, Readable, null>;

  private constructor(generator: ChildProcessByStdio<Writable, Readable, null>) {
    this.#generator = generator;
  }

  static async open(load: string, server: ServerUnderTest, count: number): Promise<IdleSessions> {
    const generator = spawn(load, [String(server.port), 'idle', String(count), '0'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    for await (const line of createInterface(generator.stdout)) {
      if (line !== `ready ${count}`) throw new Error(`idle: ${line}`);
      break;
    }
    return new IdleSessions(generator);
  }

  async close(): Promise<void> {
    const closed = once(this.#generator, 'close');
    this.#generator.stdin.end();
    await closed;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Half the distance between the largest and the smallest, in percent of the median. */
export function spread(values: readonly number[]): number {
  return ((Math.max(...values) - Math.min(...values)) / 2 / median(values)) * 100;
}
