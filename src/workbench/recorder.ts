/**
 * Keeps what a policy does while it is tried: its callbacks in order, and in each what it asked and what it logged.
 */

import { eventLine } from '../events/event.ts';
import type { Policy, PolicyFactory } from '../milter/policy.ts';
import type { Failure } from '../policy/failure.ts';
import type { CallRecord, PolicyObserver } from '../policy/policy-settings.ts';
import type { Asked } from '../services/asked.ts';
import { recorded } from '../services/recorded.ts';
import type { Services } from '../services/services.ts';
import { type LogSink, sinkTo } from '../syslog/log-sink.ts';
import { SEVERITIES } from '../syslog/message.ts';

export interface LoggedLine {
  /** `print`, a syslog level (`error`, `warning`, `info` ...), or `event` or `metric` for what `log` and `metric` were told. */
  readonly level: string;
  /** Latin1, without the session's id. */
  readonly text: string;
}

/** A callback, or the run of the main chunk before all of them, with what happened in it. */
export interface RecordedCall {
  /** Undefined for the main chunk. */
  readonly call: CallRecord | undefined;
  /** From its beginning to its end; of the main chunk nothing else is measured. */
  readonly wallMilliseconds: number;
  /** What it asked of services. */
  readonly asked: readonly Asked[];
  readonly log: readonly LoggedLine[];
}

const WARNING = 4;

export class Recorder implements PolicyObserver {
  readonly calls: RecordedCall[] = [];
  /** What the milter itself would log at level warning or above: what no call tells. Latin1. */
  readonly problems: string[] = [];
  #asked: Asked[] = [];
  #log: LoggedLine[] = [];

  /** For what the policy logs by the library `syslog`. */
  readonly scriptSink: LogSink = sinkTo(({ severity, text }) => {
    this.#log.push({ level: SEVERITIES[severity] ?? String(severity), text });
  });

  /** For the milter's own log. */
  readonly programSink: LogSink = sinkTo(({ severity, text }) => {
    if (severity <= WARNING) this.problems.push(text);
  });

  /** Forgets everything. */
  clear(): void {
    this.calls.length = 0;
    this.problems.length = 0;
    this.scriptFailure = undefined;
    this.#asked = [];
    this.#log = [];
  }

  /** Why the main chunk did not run in the session, if it did not. */
  scriptFailure: Failure | undefined;

  scriptFailed(failure: Failure): void {
    this.scriptFailure = failure;
  }

  called(call: CallRecord): void {
    this.#keep(call, call.wallMilliseconds);
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

  /** The same services, with what is asked, counted and told kept for the call under way. */
  listen(services: Services): Services {
    const quiet: Pick<Services, 'metrics' | 'events'> = {
      metrics: {
        note: (kind, name, labels, value) => {
          const shown = labels.map(([label, text]) => `${label}=${JSON.stringify(text)}`).join(', ');
          const sign = { count: '+', set: '= ', time: '' }[kind];
          const text = `${kind} ${name}${shown === '' ? '' : `{${shown}}`} ${sign}${value}${kind === 'time' ? ' s' : ''}`;
          this.#log.push({ level: 'metric', text: Buffer.from(text).toString('latin1') });
        },
      },
      events: { tell: (event) => this.#log.push({ level: 'event', text: eventLine(event) }) },
    };
    return recorded({ ...services, ...quiet }, (asked) => this.#asked.push(asked));
  }

  #keep(call: CallRecord | undefined, wallMilliseconds: number): void {
    this.calls.push({ call, wallMilliseconds, asked: this.#asked, log: this.#log });
    this.#asked = [];
    this.#log = [];
  }
}
