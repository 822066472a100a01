/** What one process knows of its sessions: counts, the log's decision lines, and live sight for those who trace. */

import type { SessionInfo } from '../milter/policy.ts';
import { Slots } from '../net/slots.ts';
import type { Failure } from '../policy/failure.ts';
import type { Call } from '../policy/policy-settings.ts';
import type { Logger } from '../syslog/log.ts';
import { type Counts, countCall, countFailure, countQuestion, noCounts, type VerdictName } from './counts.ts';
import { type Decision, decisionLine, MAIN_CHUNK, verdictName } from './decision.ts';
import { MAX_TOLD, type OpenSessionsOfProcess } from './open-sessions.ts';
import { SessionWatch, type WatchKeeper } from './session-watch.ts';
import { type TraceFilter, type TraceRecord, type TraceSubject, TraceTap } from './trace.ts';

export class SessionStats implements WatchKeeper {
  readonly counts: Counts = noCounts();
  readonly #log: Logger;
  readonly #logs: boolean;
  readonly #journal: ((decision: Decision) => void) | undefined;
  readonly #taps = new Set<TraceTap>();
  readonly #open = new Slots<SessionWatch>();

  /** @param journal takes every decision */
  constructor(log: Logger, journal?: (decision: Decision) => void) {
    this.#log = log;
    this.#logs = log.takes('info');
    this.#journal = journal;
  }

  /** Sessions in progress. */
  get openSessions(): number {
    return this.#open.size;
  }

  get tracing(): boolean {
    return this.#taps.size > 0;
  }

  get recording(): boolean {
    return this.#logs || this.#journal !== undefined || this.#taps.size > 0;
  }

  /** For a session that may begin. @param isCanary the candidate of `--canary` decides */
  watch(session: SessionInfo, isCanary = false): SessionWatch {
    return new SessionWatch(session, this, isCanary);
  }

  sessionBegan(session: SessionWatch): number {
    this.counts.sessions += 1;
    if (session.isCanary) this.counts.canarySessions += 1;
    return this.#open.add(session);
  }

  /** Those in progress, the oldest first. */
  openNow(): OpenSessionsOfProcess {
    const sessions = [...this.#open].sort((one, other) => one.begunAt - other.begunAt).slice(0, MAX_TOLD);
    return { open: this.#open.size, sessions: sessions.map(({ now }) => now) };
  }

  /** @returns what ends it. */
  trace(filter: TraceFilter, deliver: (record: TraceRecord) => void): () => void {
    const tap = new TraceTap(filter, deliver);
    this.#taps.add(tap);
    return () => this.#taps.delete(tap);
  }

  called({ name, verdict, cpuMilliseconds, wallMilliseconds, failure }: Call): void {
    const result = failure ? 'error' : (verdictName(verdict) ?? 'continue');
    countCall(this.counts, name, cpuMilliseconds, wallMilliseconds, result);
    if (failure) countFailure(this.counts, name, failure);
  }

  /** A service was asked. @param outcome `ok`, or the word of a failure */
  asked(service: string, outcome: string, milliseconds: number): void {
    countQuestion(this.counts, service, outcome, milliseconds);
  }

  scriptFailed(failure: Failure): void {
    countFailure(this.counts, MAIN_CHUNK, failure);
  }

  traced(subject: TraceSubject, record: TraceRecord): void {
    for (const tap of this.#taps) tap.take(subject, record);
  }

  decided(verdict: VerdictName, ofSession: boolean): void {
    if (!ofSession) this.counts.messages[verdict] += 1;
    else if (verdict === 'reject' || verdict === 'tempfail') this.counts.refusedSessions += 1;
  }

  record(subject: TraceSubject, decision: Decision, mayLog: (bytes: number) => boolean): void {
    const line = decisionLine(decision);
    if (mayLog(line.length)) {
      if (this.#logs) {
        this.#log.info(line, () => {
          const { time: _, ...fields } = decision;
          return { event: 'decision', ...fields };
        });
      }
      this.#journal?.(decision);
    }
    if (this.tracing) this.traced(subject, { kind: 'decision', ...decision });
  }

  ended(session: SessionWatch, place: number): void {
    this.#open.remove(place);
    for (const tap of this.#taps) tap.forget(session);
  }
}
