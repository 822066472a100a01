/**
 * What the script itself logs, by the functions of `syslog` and by `print`: one form for both.
 *
 * The session's id stands in front of each text, as in smtpf. What openlog() sets belongs to the session that called it.
 */
import type { LuaState } from 'fengari';
import { positionOf } from '../../lua/context/diagnosis.ts';
import { type Host, hostOf, PerState } from '../../lua/engine/host.ts';
import type { LogSink } from '../../syslog/log-sink.ts';
import type { LogRecord } from '../../syslog/message.ts';
import { factsOf } from '../session.ts';
import { VALUES } from './api.ts';

const { LOG_PID, LOG_PERROR, LOG_MAIL, LOG_INFO } = VALUES;

/** No target takes a longer line. */
const MAX_TEXT_BYTES = 8192;

/** What openlog() set, or what holds before it and after closelog(). */
export interface SyslogSettings {
  readonly ident: string;
  readonly options: number;
  /** Shifted by 3. */
  readonly facility: number;
}

export const DEFAULT_SETTINGS: SyslogSettings = { ident: 'smtpf', options: LOG_PID, facility: LOG_MAIL };

/** What openlog() has set in a session. */
const settingsOf = new PerState<SyslogSettings>();

export class ScriptLog {
  readonly #sink: LogSink;
  readonly #stderr: LogSink;

  /**
   * @param sink where messages go
   * @param stderr where they go besides when openlog() was given LOG_PERROR
   */
  constructor(sink: LogSink, stderr: LogSink) {
    this.#sink = sink;
    this.#stderr = stderr;
  }

  /** @param settings undefined: the default again */
  configure(host: Host, settings: SyslogSettings | undefined): void {
    if (settings === undefined) settingsOf.delete(host);
    else settingsOf.set(host, settings);
  }

  /** A line of `print` or io.write. */
  print(L: LuaState, line: Uint8Array): void {
    this.write(L, LOG_INFO, 0, line);
  }

  /**
   * @param L the thread that logs: its line is told in JSON
   * @param facility shifted by 3; 0 is the kernel's, which no program may use: as in syslog(3), it means that of openlog()
   */
  write(L: LuaState, severity: number, facility: number, message: Uint8Array): void {
    const host = hostOf(L);
    const { ident, options, facility: usual } = settingsOf.get(host) ?? DEFAULT_SETTINGS;
    const bytes = message.subarray(0, MAX_TEXT_BYTES);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    const record = {
      facility: (facility || usual) >> 3,
      severity,
      ident,
      pid: (options & LOG_PID) !== 0,
      text,
    };
    hand(L, host, record, this.#sink);
    if ((options & LOG_PERROR) !== 0) hand(L, host, record, this.#stderr);
  }
}

/** Writes a record in the form that the sink wants. */
function hand(L: LuaState, host: Host, record: LogRecord, sink: LogSink): void {
  const text =
    host.sessionId === '' || sink.withoutSession ? record.text : `${host.sessionId} ${record.text}`;
  sink.write(sink.takesFields ? { ...record, text, fields: () => fieldsOf(L, host) } : { ...record, text });
}

/** Who logs, for logs in JSON: `line` is a number, and absent with `file` where no Lua code is at work. */
function fieldsOf(L: LuaState, { sessionId, callback }: Host): Readonly<Record<string, unknown>> {
  const [, file, line] = /^(.*):(\d+)$/s.exec(positionOf(L)) ?? [];
  const { transaction, queueId } = factsOf(L);
  return {
    event: 'script',
    ...(sessionId !== '' && { session: sessionId }),
    ...(transaction !== undefined && { transaction }),
    ...(queueId !== undefined && { queueId }),
    callback: callback === '' ? 'main chunk' : callback,
    ...(file !== undefined && { file, line: Number(line) }),
  };
}
