/**
 * Log lines to standard error: for people, for container runtimes, and for the systemd journal.
 *
 * Node writes to a pipe without blocking and keeps what the reader does not take: the bound is here. A reader that has
 * gone must not end the process.
 */
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { CLOSE_MS, type LogSink, selfReport } from './log-sink.ts';
import { formatConsole, formatJournal, formatJson, type LogRecord } from './message.ts';

const MAX_LINE_BYTES = 8192;
const MAX_BUFFERED_BYTES = 4 << 20;

export class StderrSink implements LogSink {
  readonly #stream: Writable;
  readonly #journal: boolean;
  readonly takesFields: boolean;
  #dropped = 0;
  #unreported = 0;
  #closed = false;

  constructor(stream: Writable = process.stderr, journal: boolean = isJournalStream(), json = false) {
    this.#stream = stream;
    this.takesFields = json;
    this.#journal = journal;
    if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  }

  get dropped(): number {
    return this.#dropped;
  }

  write(record: LogRecord): void {
    if (this.#closed || this.#stream.writableLength > MAX_BUFFERED_BYTES || !this.#stream.writable) {
      this.#dropped++;
      this.#unreported++;
      return;
    }
    if (this.#unreported > 0) {
      const lost = selfReport(`standard error was not read: ${this.#unreported} messages lost`);
      this.#unreported = 0;
      this.#stream.write(this.#format(lost));
    }
    this.#stream.write(this.#format(record));
  }

  #format(record: LogRecord): Buffer {
    if (this.takesFields) {
      const level = this.#journal ? `<${record.severity}>` : '';
      return Buffer.from(`${level}${formatJson(record, new Date(), process.pid)}\n`, 'latin1');
    }
    return this.#journal
      ? formatJournal(record, process.pid, MAX_LINE_BYTES)
      : formatConsole(record, new Date(), process.pid, MAX_LINE_BYTES);
  }

  close(): Promise<void> {
    this.#closed = true;
    return new Promise((resolve) => {
      if (this.#stream.writableLength === 0 || !this.#stream.writable) return resolve();
      const deadline = setTimeout(resolve, CLOSE_MS);
      this.#stream.write('', () => {
        clearTimeout(deadline);
        resolve();
      });
    });
  }
}

/** Whether our stderr is the stream that systemd connected to the journal (systemd.exec(5), JOURNAL_STREAM). */
function isJournalStream(): boolean {
  const { JOURNAL_STREAM: stream } = process.env;
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(2);
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
