/**
 * Keeps what a policy does while it is tried: its callbacks in order, and in each what it looked up and what it logged.
 */
import type { Answer, RecordSource, Records, RecordType } from '../dns/records.ts';
import type { CallRecord, PolicyObserver } from '../lua/policy-settings.ts';
import type { Policy, PolicyFactory } from '../milter/policy.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import type { LogRecord } from '../syslog/message.ts';

export interface Lookup {
  readonly type: RecordType;
  readonly name: string;
  /** The records as text, none for a firm no; undefined where nothing could be found out. */
  records: readonly string[] | undefined;
  /** Why nothing could be found out; undefined also while no answer has come. */
  failure: string | undefined;
  /** From question to answer. */
  milliseconds: number;
  /** The answer was known from an earlier question. */
  readonly cached: boolean;
}

export interface LoggedLine {
  /** `print`, or a syslog level: `error`, `warning`, `info` ... */
  readonly level: string;
  /** Latin1, without the session's id. */
  readonly text: string;
}

/** A callback, or the run of the main chunk before all of them, with what happened in it. */
export interface RecordedCall {
  /** Undefined for the main chunk. */
  readonly call: CallRecord | undefined;
  readonly milliseconds: number;
  readonly lookups: readonly Lookup[];
  readonly log: readonly LoggedLine[];
}

const LEVELS = ['emerg', 'alert', 'crit', 'error', 'warning', 'notice', 'info', 'debug'] as const;
const WARNING = 4;

export class Recorder implements PolicyObserver {
  readonly calls: RecordedCall[] = [];
  /** What the milter itself would log at level warning or above: what no call tells. Latin1. */
  readonly problems: string[] = [];
  #lookups: Lookup[] = [];
  #log: LoggedLine[] = [];

  /** For what the policy logs by the library `syslog`. */
  readonly scriptSink: LogSink = sinkTo((record) => {
    const text = record.text.replace(/^\S+ /, '');
    this.#log.push({ level: LEVELS[record.severity] ?? String(record.severity), text });
  });

  /** For the milter's own log. */
  readonly programSink: LogSink = sinkTo(({ severity, text }) => {
    if (severity <= WARNING) this.problems.push(text);
  });

  /** Forgets everything. */
  clear(): void {
    this.calls.length = 0;
    this.problems.length = 0;
    this.#lookups = [];
    this.#log = [];
  }

  called(call: CallRecord): void {
    // The milter has just logged the same failure.
    if (call.failure !== undefined && this.problems.at(-1)?.endsWith(call.failure)) this.problems.pop();
    this.#keep(call, call.milliseconds);
  }

  printed(text: string): void {
    this.#log.push({ level: 'print', text });
  }

  /** What the milter would log about a reply that it changed to fit the protocol. */
  warned(message: string): void {
    this.problems.push(message);
  }

  /** The same policies, with the run of each main chunk kept as a call. */
  watch(policies: PolicyFactory): PolicyFactory {
    return {
      open: async (session): Promise<Policy> => {
        const began = performance.now();
        const policy = await policies.open(session);
        this.#keep(undefined, performance.now() - began);
        return policy;
      },
    };
  }

  /** The same records, with each question kept for the call under way. */
  listen(source: RecordSource): RecordSource {
    return {
      timeoutMs: source.timeoutMs,
      recall: (type, name) => {
        const answer = source.recall(type, name);
        if (answer !== undefined) settle(this.#ask(type, name, true), answer);
        return answer;
      },
      query: async (type, name) => {
        const lookup = this.#ask(type, name, false);
        const began = performance.now();
        const answer = await source.query(type, name);
        lookup.milliseconds = performance.now() - began;
        settle(lookup, answer);
        return answer;
      },
    };
  }

  #ask(type: RecordType, name: string, cached: boolean): Lookup {
    const lookup = { type, name, cached, records: undefined, failure: undefined, milliseconds: 0 };
    this.#lookups.push(lookup);
    return lookup;
  }

  #keep(call: CallRecord | undefined, milliseconds: number): void {
    this.calls.push({ call, milliseconds, lookups: this.#lookups, log: this.#log });
    this.#lookups = [];
    this.#log = [];
  }
}

function settle(lookup: Lookup, answer: Answer<Records[RecordType]>): void {
  if (answer.kind === 'unknown') lookup.failure = answer.reason;
  else {
    lookup.records = answer.value.map((record) =>
      typeof record === 'string' ? record : `${record.pref} ${record.host}`,
    );
  }
}

function sinkTo(write: (record: LogRecord) => void): LogSink {
  return { write, close: async () => {}, dropped: 0 };
}
