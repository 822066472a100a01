/**
 * The program's own log: what a session, a script error or an operator's signal has to say, filtered by --log-level.
 */
import type { LogSink } from './log-sink.ts';
import type { LogRecord } from './message.ts';

/** The names --log-level takes, most important first, with their POSIX severities. */
const SEVERITY = { error: 3, warning: 4, notice: 5, info: 6, debug: 7 } as const;

export type LogLevel = keyof typeof SEVERITY;

export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warning', 'notice', 'info', 'debug'];

const LOG_MAIL = 2;

/** Text is latin1 where it comes from mail or scripts; each call makes one line, with line ends and controls escaped. */
export class Logger {
  readonly #sink: LogSink;
  readonly #least: number;

  /** @param level the least important level that is still logged */
  constructor(sink: LogSink, level: LogLevel) {
    this.#sink = sink;
    this.#least = sink.discards ? -1 : SEVERITY[level];
  }

  /** Whether lines of this level are kept. */
  takes(level: LogLevel): boolean {
    return SEVERITY[level] <= this.#least;
  }

  /** @param fields for logs in JSON, beside the text */
  error(text: string, fields?: LogRecord['fields']): void {
    this.#write(SEVERITY.error, text, fields);
  }

  warning(text: string): void {
    this.#write(SEVERITY.warning, text);
  }

  notice(text: string): void {
    this.#write(SEVERITY.notice, text);
  }

  /** @param fields for logs in JSON, beside the text */
  info(text: string, fields?: LogRecord['fields']): void {
    this.#write(SEVERITY.info, text, fields);
  }

  debug(text: string): void {
    this.#write(SEVERITY.debug, text);
  }

  #write(severity: number, text: string, fields?: LogRecord['fields']): void {
    if (severity > this.#least) return;
    const record = { facility: LOG_MAIL, severity, ident: 'smtpf-milter', pid: true, text };
    this.#sink.write(fields === undefined ? record : { ...record, fields });
  }
}
