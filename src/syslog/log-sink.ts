/**
 * The seam between those who log and the way a log line takes out of the process.
 */
import type { LogRecord } from './message.ts';

export interface LogSink {
  /** Takes the record and returns at once: never blocks, never throws; what cannot be kept is counted in `dropped`. */
  write(record: LogRecord): void;
  /** Delivers what is waiting, for two seconds at most; records written afterwards are dropped. */
  close(): Promise<void>;
  /** True where nothing is kept of anything: then no line need be put together. */
  readonly discards?: true;
  /** Whether it writes the fields of a record: then they are worth finding out. */
  readonly takesFields?: boolean;
  /** Whether a script's text is wanted without the id of its session in front. */
  readonly withoutSession?: boolean;
  /** Records lost so far. */
  readonly dropped: number;
}

/** A sink that hands each record on at once; a script's text comes without the id of its session. */
export function sinkTo(write: (record: LogRecord) => void): LogSink {
  return { write, close: async () => {}, withoutSession: true, dropped: 0 };
}

/** How long close() may take. */
export const CLOSE_MS = 2000;

/** A record the log writes about itself. */
export function selfReport(text: string): LogRecord {
  return { facility: 2, severity: 4, ident: 'smtpf-milter', pid: true, text };
}
