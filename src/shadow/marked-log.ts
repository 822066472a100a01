/** The log of a candidate: its lines are marked, and there are only so many. */
import type { LogSink } from '../syslog/log-sink.ts';
import type { LogRecord } from '../syslog/message.ts';

export const MARK = 'shadow: ';
const MAX_LINES = 60;
const PERIOD_MS = 60_000;
const LOG_MAIL = 2;
const WARNING = 4;
const NOTICE = 5;
const IDENT = 'smtpf-milter';

export class MarkedLog implements LogSink {
  readonly #sink: LogSink;
  readonly takesFields: boolean;
  readonly withoutSession: boolean;
  readonly dropped = 0;
  #begun = 0;
  #lines = 0;
  #unwritten = 0;

  constructor(sink: LogSink) {
    this.#sink = sink;
    this.takesFields = sink.takesFields ?? false;
    this.withoutSession = sink.withoutSession ?? false;
  }

  write(record: LogRecord): void {
    const now = performance.now();
    if (this.#begun === 0 || now - this.#begun > PERIOD_MS) this.#begin(now);
    this.#lines += 1;
    if (this.#lines > MAX_LINES) this.#unwritten += 1;
    else this.#sink.write({ ...record, text: `${MARK}${record.text}` });
  }

  /** The sink is another's. */
  async close(): Promise<void> {}

  /** A line about the candidate, of level warning. Latin1. */
  warn(text: string): void {
    this.write({ facility: LOG_MAIL, severity: WARNING, ident: IDENT, pid: true, text });
  }

  #begin(now: number): void {
    if (this.#unwritten > 0) {
      const text = `${MARK}${this.#unwritten} lines more were not written`;
      this.#sink.write({ facility: LOG_MAIL, severity: NOTICE, ident: IDENT, pid: true, text });
    }
    this.#begun = now;
    this.#lines = 0;
    this.#unwritten = 0;
  }
}
