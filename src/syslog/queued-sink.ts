/**
 * A log sink that can wait: a bounded queue in front of a carrier that may be slow, full, silent or gone.
 *
 * Lines stay in the queue until the carrier has confirmed them. When it fails, the unconfirmed ones are sent again
 * after a pause, in order, so an outage costs nothing as long as the queue has room. What does not fit is dropped and
 * counted; when there is room again, one line in the log says how many are missing.
 */
import { CLOSE_MS, type LogSink, selfReport } from './log-sink.ts';
import type { LogRecord } from './message.ts';

/**
 * What became of a line: `sent` (the kernel has it), `full` (nothing is wrong, the receiver is behind), `refused` (this
 * line will never be taken), or why the carrier is out of order.
 */
export type SendResult = 'sent' | 'full' | 'refused' | Error;

export interface Carrier {
  /** For messages: the target as the operator wrote it. */
  readonly name: string;
  /** What may be handed over and unconfirmed at a time. */
  readonly window: { readonly lines: number; readonly bytes: number };
  /** The pause after a failure doubles from `first` to `most`. */
  readonly pauseMs: { readonly first: number; readonly most: number };
  format(record: LogRecord, time: Date): Buffer;
  /**
   * Hands over one line. `settled` is called in the order of the calls, maybe before this returns. Once more, with an
   * Error, if the connection that took the line breaks later: a server that takes lines and hangs up needs pauses too.
   */
  send(line: Buffer, settled: (outcome: SendResult) => void): void;
  /** Gives up the connection with all lines in flight; the next send() makes a new one. */
  reset(): void;
  close(): void;
}

export interface QueueBounds {
  readonly lines: number;
  readonly bytes: number;
}

/** Some seconds of a busy machine's log. */
const QUEUE_BOUNDS: QueueBounds = { lines: 32768, bytes: 8 << 20 };

/** Pauses while the receiver is behind: the kernel's queue of /dev/log holds as few as 10 lines, emptied in microseconds. */
const FULL_MS = { first: 1, most: 50 };

/** A carrier that works this long after its last failure has recovered: the next failure is reported again. */
const RECOVERED_MS = 10_000;

/** The longest pause between attempts while closing. */
const CLOSING_PAUSE_MS = 100;

export class QueuedSink implements LogSink {
  readonly #carrier: Carrier;
  readonly #onProblem: (message: string) => void;
  readonly #bounds: QueueBounds;
  /** Before #head: confirmed. From #head to #next: in flight. From #next: waiting. */
  #lines: Buffer[] = [];
  #head = 0;
  #next = 0;
  #bytes = 0;
  #bytesInFlight = 0;
  #dropped = 0;
  #unreported = 0;
  /** Outcomes of an earlier attempt are ignored. */
  #attempt = 0;
  #sending = false;
  #pause: NodeJS.Timeout | null = null;
  #fullMs = FULL_MS.first;
  #failures = 0;
  #failedAt = 0;
  /** Whether onProblem knows of this outage. */
  #reported = false;
  #isClosing = false;
  #closing: Promise<void> | null = null;
  #finish: (() => void) | null = null;

  /** @param onProblem is told about the first failure of an outage, the first drop, and lines left behind at close */
  constructor(carrier: Carrier, onProblem: (message: string) => void, bounds: QueueBounds = QUEUE_BOUNDS) {
    this.#carrier = carrier;
    this.#onProblem = onProblem;
    this.#bounds = bounds;
  }

  get dropped(): number {
    return this.#dropped;
  }

  write(record: LogRecord): void {
    if (this.#isClosing) {
      this.#dropped++;
      return;
    }
    const line = this.#carrier.format(record, new Date());
    if (
      this.#lines.length - this.#head >= this.#bounds.lines ||
      this.#bytes + line.length > this.#bounds.bytes
    ) {
      this.#dropped++;
      if (this.#unreported++ === 0) {
        this.#onProblem(`${this.#carrier.name} does not keep up: log lines are dropped`);
      }
      return;
    }
    this.#append(line);
    this.#send();
  }

  close(): Promise<void> {
    this.#isClosing = true;
    this.#closing ??= new Promise((resolve) => {
      // The one timer that keeps the process alive: all others only matter while something else does.
      const deadline = setTimeout(() => this.#finish?.(), CLOSE_MS);
      this.#finish = () => {
        this.#finish = null;
        clearTimeout(deadline);
        this.#endPause();
        this.#attempt++;
        this.#carrier.close();
        const left = this.#lines.length - this.#head;
        this.#dropped += left;
        if (left > 0) this.#onProblem(`${this.#carrier.name} did not take the last ${left} log lines`);
        this.#lines = [];
        resolve();
      };
      this.#endPause();
      this.#send();
      if (this.#head === this.#lines.length) this.#finish?.();
    });
    return this.#closing;
  }

  #append(line: Buffer): void {
    this.#lines.push(line);
    this.#bytes += line.length;
  }

  /** Hands over lines as far as the window reaches. Not reentrant: outcomes may come while it runs. */
  #send(): void {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#pause === null && this.#hasWindow()) {
      const line = this.#lines[this.#next];
      if (line === undefined) break;
      this.#next++;
      this.#bytesInFlight += line.length;
      const attempt = this.#attempt;
      let settled = false;
      this.#carrier.send(line, (outcome) => {
        if (attempt !== this.#attempt) return;
        if (!settled) this.#settle(outcome);
        else if (outcome instanceof Error) this.#fail(outcome);
        settled = true;
      });
    }
    this.#sending = false;
  }

  #hasWindow(): boolean {
    const { lines, bytes } = this.#carrier.window;
    return this.#next - this.#head < lines && this.#bytesInFlight < bytes;
  }

  #settle(outcome: SendResult): void {
    if (outcome instanceof Error) {
      this.#fail(outcome);
      return;
    }
    if (outcome === 'full') {
      this.#startPause(this.#fullMs);
      this.#fullMs = Math.min(this.#fullMs * 2, FULL_MS.most);
      return;
    }
    if (outcome === 'refused') this.#dropped++;
    this.#confirm();
    if (this.#head === this.#lines.length) this.#finish?.();
    else this.#send();
  }

  /** The oldest line in flight is done with. */
  #confirm(): void {
    const size = this.#lines[this.#head]?.length ?? 0;
    this.#head++;
    this.#bytes -= size;
    this.#bytesInFlight -= size;
    this.#fullMs = FULL_MS.first;
    if (this.#failures > 0 && performance.now() - this.#failedAt > RECOVERED_MS) {
      this.#failures = 0;
      this.#reported = false;
    }
    if (this.#head >= 1024 && this.#head * 2 >= this.#lines.length) {
      this.#lines = this.#lines.slice(this.#head);
      this.#next -= this.#head;
      this.#head = 0;
    }
    const waiting = this.#lines.length - this.#head;
    if (this.#unreported > 0 && waiting <= this.#bounds.lines / 2 && this.#bytes <= this.#bounds.bytes / 2) {
      const lost = selfReport(`log queue was full: ${this.#unreported} messages lost`);
      this.#unreported = 0;
      this.#append(this.#carrier.format(lost, new Date()));
    }
  }

  #fail(error: Error): void {
    // A server that hangs up while there is nothing to log may be restarting: no problem yet.
    if (!this.#reported && this.#head < this.#lines.length) {
      this.#reported = true;
      this.#onProblem(`${this.#carrier.name}: ${error.message}: log lines are kept until it answers`);
    }
    const { first, most } = this.#carrier.pauseMs;
    this.#startPause(Math.min(first * 2 ** Math.min(this.#failures, 20), most));
    this.#failures++;
    this.#failedAt = performance.now();
  }

  /** All lines in flight wait again. */
  #startPause(ms: number): void {
    this.#attempt++;
    this.#carrier.reset();
    this.#next = this.#head;
    this.#bytesInFlight = 0;
    const pauseMs = this.#isClosing ? Math.min(ms, CLOSING_PAUSE_MS) : ms;
    this.#pause = setTimeout(() => {
      this.#pause = null;
      this.#send();
    }, pauseMs).unref();
  }

  #endPause(): void {
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#pause = null;
  }
}
