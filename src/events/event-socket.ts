/** Events to a unix stream socket that somebody else listens on, a line each. */
import { connect, type Socket } from 'node:net';
import { systemReason } from '../text/operator-error.ts';
import { CLOSE_MS, type EventWriter, MOST_WAITING, RETRY_MS } from './event-writer.ts';
import { WaitingLines } from './waiting-lines.ts';

/** What Node.js may hold of it: the rest waits here. */
const MOST_UNREAD = 64 * 1024;

export class EventSocket implements EventWriter {
  readonly #path: string;
  readonly #warn: (message: string) => void;
  readonly #lines = new WaitingLines(MOST_WAITING);
  #socket: Socket | undefined;
  #isConnected = false;
  #isWarned = false;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;
  #drained: (() => void) | undefined;

  constructor(path: string, warn: (message: string) => void) {
    this.#path = path;
    this.#warn = warn;
  }

  get dropped(): number {
    return this.#lines.dropped;
  }

  write(line: string): void {
    if (!this.#lines.add(line)) this.#tell('does not keep up: events are dropped');
    this.#send();
  }

  reopen(): void {
    const old = this.#socket;
    this.#leave();
    old?.end();
    this.#send();
  }

  async close(): Promise<void> {
    if (!this.#lines.isEmpty && this.#isConnected) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, CLOSE_MS);
        this.#drained = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#isClosed = true;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    if (socket === undefined || !this.#isConnected) {
      socket?.destroy();
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => socket.destroy(), CLOSE_MS);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.end();
      socket.resume();
    });
  }

  #send(): void {
    if (this.#isClosed) return;
    if (this.#socket === undefined) {
      if (this.#retry === undefined) this.#connect();
      return;
    }
    if (!this.#isConnected) return;
    while (!this.#lines.isEmpty && this.#socket.writableLength < MOST_UNREAD) {
      this.#socket.write(this.#lines.take(MOST_UNREAD).text, 'latin1');
    }
    if (this.#lines.isEmpty) this.#drained?.();
  }

  #connect(): void {
    const socket = connect(this.#path);
    // Events alone are no reason to stay.
    socket.unref();
    this.#socket = socket;
    let reason = 'the reader has gone';
    socket.on('connect', () => {
      this.#isConnected = true;
      this.#isWarned = false;
      this.#send();
    });
    socket.on('drain', () => this.#send());
    socket.on('error', (error) => {
      reason = systemReason(error);
    });
    // It has nothing to say to us.
    socket.resume();
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#leave();
      this.#drained?.();
      if (this.#isClosed) return;
      this.#tell(`${reason}: events wait, and are dropped when they are too many`);
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.#send();
      }, RETRY_MS).unref();
    });
  }

  #leave(): void {
    this.#socket = undefined;
    this.#isConnected = false;
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #tell(problem: string): void {
    if (this.#isWarned) return;
    this.#isWarned = true;
    this.#warn(`--events unix:${this.#path}: ${problem}`);
  }
}
