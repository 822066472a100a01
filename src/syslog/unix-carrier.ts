/**
 * Log lines to the machine's syslog daemon over its unix datagram socket, by node-unix-socket.
 *
 * Node itself has no unix datagrams. node-unix-socket is N-API and comes built for Linux (x64, arm64, armv7; glibc and
 * musl) and macOS, so nothing is compiled at install; elsewhere it installs and fails to load.
 *
 * Its traps, found by trying version 0.2.7: on a full receiver it keeps the line and polls for "writable", which an
 * unconnected datagram socket always is, so the event loop spins at full speed, and goes on spinning after the line
 * has left. But the callback of a line that was sent, or failed, comes before sendTo() returns. So a callback that has
 * not come means a full receiver, and that socket is closed (which forgets the line: ours is still in the queue).
 * An open socket keeps the process alive and cannot be unref'd: an idle one is closed. Both cost little: open and close
 * take 7 microseconds together.
 *
 * Each line names the path anew: a daemon that was restarted on a new socket is reached by the next line.
 */
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { DgramSocket } from 'node-unix-socket';
import { formatSyslog, type LogRecord } from './message.ts';
import type { Carrier, SendResult } from './queued-sink.ts';

type OpenSocket = () => DgramSocket;

/** rsyslog's default `$MaxMessageSize`. */
const MAX_LINE_BYTES = 8192;

const IDLE_MS = 500;

/**
 * A carrier to the socket at `path`.
 *
 * @returns why there is none, if nothing is there or the native module does not load
 */
export function openUnixCarrier(path: string): Carrier | string {
  if (!isSocket(path)) return `no syslog daemon listens on ${path}`;
  try {
    const native: { DgramSocket: new () => DgramSocket } = createRequire(import.meta.url)('node-unix-socket');
    return new UnixCarrier(path, () => new native.DgramSocket());
  } catch (error) {
    const [reason] = String(error).split('\n');
    return `${path} cannot be reached on ${process.platform}-${process.arch} (${reason})`;
  }
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch {
    return false;
  }
}

class UnixCarrier implements Carrier {
  readonly name: string;
  readonly window = { lines: 1, bytes: MAX_LINE_BYTES }; // Outcomes come at once.
  readonly pauseMs = { first: 50, most: 1000 };
  readonly #open: OpenSocket;
  #socket: DgramSocket | null = null;
  #idle: NodeJS.Timeout | null = null;

  constructor(path: string, open: OpenSocket) {
    this.name = path;
    this.#open = open;
  }

  format(record: LogRecord, time: Date): Buffer {
    return formatSyslog(record, time, process.pid, null, MAX_LINE_BYTES);
  }

  send(line: Buffer, settled: (outcome: SendResult) => void): void {
    settled(this.#trySend(line));
  }

  #trySend(line: Buffer): SendResult {
    const outcomes: SendResult[] = [];
    try {
      this.#socket ??= this.#newSocket();
      this.#socket.sendTo(line, 0, line.length, this.name, (error) => outcomes.push(error ?? 'sent'));
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error)); // For instance: no descriptor left.
    }
    const outcome = outcomes[0] ?? 'full';
    if (outcome === 'sent') this.#startIdle();
    else if (outcome instanceof Error && outcome.message === 'Message too long') return 'refused';
    return outcome;
  }

  #newSocket(): DgramSocket {
    const socket = this.#open();
    socket.on('error', () => {
      if (this.#socket === socket) this.#socket = null;
    });
    return socket;
  }

  #startIdle(): void {
    if (this.#idle === null) this.#idle = setTimeout(() => this.reset(), IDLE_MS).unref();
    else this.#idle.refresh();
  }

  reset(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  close(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.reset();
  }
}
