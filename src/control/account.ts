/** What one process knows of its sessions: counts, the log's decision lines, and live sight for those who trace. */
import type { Logger } from '../log.ts';
import type { Call } from '../lua/policy-settings.ts';
import type { SessionInfo } from '../milter/policy.ts';
import { type Counts, countCall, noCounts, type VerdictName } from './counts.ts';
import { type Decision, decisionLine } from './decision.ts';
import { SessionWatch, type WatchKeeper } from './session-watch.ts';
import { type TraceFilter, type TraceRecord, type TraceSubject, TraceTap } from './trace.ts';

export class Account implements WatchKeeper {
  readonly counts: Counts = noCounts();
  readonly #log: Logger;
  readonly #logs: boolean;
  readonly #journal: ((decision: Decision) => void) | undefined;
  readonly #taps = new Set<TraceTap>();
  #open = 0;

  /** @param journal takes every decision */
  constructor(log: Logger, journal?: (decision: Decision) => void) {
    this.#log = log;
    this.#logs = log.takes('info');
    this.#journal = journal;
  }

  /** Sessions in progress. */
  get openSessions(): number {
    return this.#open;
  }

  get tracing(): boolean {
    return this.#taps.size > 0;
  }

  get recording(): boolean {
    return this.#logs || this.#journal !== undefined || this.#taps.size > 0;
  }

  /** A new session begins. */
  watch(session: SessionInfo): SessionWatch {
    this.counts.sessions += 1;
    this.#open += 1;
    return new SessionWatch(session, this);
  }

  /** @returns what ends it. */
  trace(filter: TraceFilter, deliver: (record: TraceRecord) => void): () => void {
    const tap = new TraceTap(filter, deliver);
    this.#taps.add(tap);
    return () => this.#taps.delete(tap);
  }

  called({ name, milliseconds, failure }: Call): void {
    countCall(this.counts, name, milliseconds);
    if (failure !== undefined) this.counts.scriptErrors += 1;
  }

  scriptFailed(): void {
    this.counts.scriptErrors += 1;
  }

  traced(subject: TraceSubject, record: TraceRecord): void {
    for (const tap of this.#taps) tap.take(subject, record);
  }

  decided(verdict: VerdictName, ofSession: boolean): void {
    if (!ofSession) this.counts.messages[verdict] += 1;
    else if (verdict === 'reject' || verdict === 'defer') this.counts.refusedSessions += 1;
  }

  record(subject: TraceSubject, decision: Decision): void {
    if (this.#logs) {
      this.#log.info(decisionLine(decision), () => {
        const { time: _, ...fields } = decision;
        return { event: 'decision', ...fields };
      });
    }
    this.#journal?.(decision);
    if (this.tracing) this.traced(subject, { kind: 'decision', ...decision });
  }

  ended(subject: TraceSubject): void {
    this.#open -= 1;
    for (const tap of this.#taps) tap.forget(subject);
  }
}
