/** The milter in the test's own process: a real listening socket, the real connection, the real Lua host. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownFiles } from '../../src/control/control-path.ts';
import { SessionStats } from '../../src/control/session-stats.ts';
import { SliceQueue } from '../../src/lua/context/slice-queue.ts';
import { DEFAULT_MESSAGE_LIMITS } from '../../src/milter/transaction.ts';
import { Connection } from '../../src/net/connection.ts';
import { type GivenOptions, resolveOptions } from '../../src/options/options.ts';
import { openPolicySource, type PolicySource, servicesOf } from '../../src/policy/policy-source.ts';
import { Logger } from '../../src/syslog/log.ts';
import type { LogSink } from '../../src/syslog/log-sink.ts';
import type { LogRecord } from '../../src/syslog/message.ts';

/** Keeps what is logged, and lets a test wait for a line. */
export class LogRecorder implements LogSink {
  readonly records: LogRecord[] = [];
  readonly dropped = 0;
  #waiting: (() => void)[] = [];

  write(record: LogRecord): void {
    this.records.push(record);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  async close(): Promise<void> {}

  get lines(): string[] {
    return this.records.map(({ text }) => text);
  }

  /** Waits until `count` lines match; they are returned. */
  async until(pattern: RegExp, count = 1): Promise<string[]> {
    for (;;) {
      const found = this.lines.filter((line) => pattern.test(line));
      if (found.length >= count) return found;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }
}

export interface TestServer {
  readonly port: number;
  readonly log: LogRecorder;
  readonly directory: string;
  readonly scriptPath: string;
  readonly policies: PolicySource;
  readonly stats: SessionStats;
  writeScript(source: string | Buffer): void;
  /** Waits until all connections have ended and what belongs to them is freed. */
  whenIdle(): Promise<void>;
  close(): Promise<void>;
}

/** `options` as on the command line, without dashes: `{ 'on-error': 'tempfail' }`. */
export async function startServer(
  script: { readonly source: string | Buffer } | { readonly path: string },
  options: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-test-'));
  const scriptPath = 'path' in script ? script.path : join(directory, 'smtpf.lua');
  if ('source' in script) writeFileSync(scriptPath, script.source);
  const given: GivenOptions = new Map(
    Object.entries({ script: scriptPath, 'log-level': 'debug', ...options }).map(([name, text]) => [
      name,
      [text],
    ]),
  );
  const resolved = resolveOptions(given, {});
  const sink = new LogRecorder();
  const log = new Logger(sink, resolved.logLevel);
  const stats = new SessionStats(log);
  const spool = join(directory, 'spool');
  mkdirSync(spool, { mode: 0o700 });
  const slices = new SliceQueue();
  const policies = openPolicySource({
    options: resolved,
    log,
    services: servicesOf(resolved, sink, log),
    spool,
    sessions: stats,
    slices,
    ownFiles: ownFiles({ ...resolved, control: `${spool}.control` }),
  });
  let sessions = 0;
  const settings = {
    policies,
    log,
    timeouts: { negotiationMs: 10_000, packetMs: 10_000, idleMs: 60_000, progressMs: 200 },
    limits: DEFAULT_MESSAGE_LIMITS,
    slices,
    nextSessionId: () => {
      sessions += 1;
      return `s${sessions}`;
    },
  };
  const open = new Set<Connection>();
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = new Connection(socket, settings);
    open.add(connection);
    connection.closed.then(() => open.delete(connection));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    log: sink,
    directory,
    scriptPath,
    policies,
    stats,
    writeScript: (source) => writeFileSync(scriptPath, source),
    whenIdle: async () => {
      while (open.size > 0) await Promise.all([...open].map((connection) => connection.closed));
    },
    close: async () => {
      server.close();
      for (const connection of open) connection.destroy();
      await Promise.all([...open].map((connection) => connection.closed));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
