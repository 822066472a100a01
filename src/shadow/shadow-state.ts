/** What is known of the shadow in all processes: the candidate's versions, and what they would have done otherwise. */
import type { ShadowStatus } from '../control/status.ts';
import type { ChangeGroup } from '../replay/change-group.ts';
import type { CandidateVersion } from './candidate.ts';
import type { NotCompared, Told, Versions } from './shadow.ts';
import { type Compared, type FailureGroup, type ShadowGroup, Tally } from './tally.ts';

export interface ShadowLog {
  error(text: string): void;
  warning(text: string): void;
  notice(text: string): void;
}

/** Text is latin1. */
export interface ShadowReport extends Compared {
  readonly path: string;
  /** Hash of the version that was compared; undefined where none was yet. */
  readonly candidate: string | undefined;
  /** Hash of the live policy. */
  readonly live: string | undefined;
  /** Why no version of the candidate can run now. */
  readonly problem?: string;
  /** ISO 8601: since when is counted. */
  readonly since: string;
  readonly notCompared: NotCompared;
}

/** So long workers may lag. */
const LAG_MS = 10_000;
/** Kinds of differences that have a line in the log, for each pair of versions. */
const MAX_LINES = 50;

export class ShadowState {
  readonly #path: string;
  readonly #isCanary: boolean;
  readonly #log: ShadowLog;
  /** Of the candidate, and the pair that is compared. */
  readonly #version = new Latest();
  readonly #pair = new Latest();
  #hash: string | undefined;
  #problem: string | undefined;
  #live: string | undefined;
  #candidate: string | undefined;
  #since = new Date().toISOString();
  #tally = new Tally();
  #notCompared: NotCompared = { busy: 0, long: 0, broken: 0 };
  #lines = 0;

  /** @param path of the candidate, latin1 @param isCanary it decides for a share of the clients */
  constructor(path: string, isCanary: boolean, log: ShadowLog) {
    this.#path = path;
    this.#isCanary = isCanary;
    this.#log = log;
  }

  /** A worker has found a new version of the candidate. */
  found({ key, hash, problem, callbacks }: CandidateVersion): void {
    if (!this.#version.moveTo(key)) return;
    this.#problem = problem?.replace(/\s*\n\s*/g, ' / ');
    this.#hash = problem === undefined ? hash : undefined;
    const canary = this.#isCanary ? 'the live policy decides for its clients too, ' : '';
    if (problem !== undefined)
      this.#log.error(
        `shadow: ${this.#path}: does not run, ${canary}and no session is compared: ${this.#problem}`,
      );
    else if (callbacks.length === 0) this.#log.warning(`shadow: ${this.#path} (${hash}), callbacks: none`);
    else this.#log.notice(`shadow: ${this.#path} (${hash}), callbacks: ${callbacks.join(' ')}`);
  }

  /** A worker has compared sessions, or left them out. */
  told({ notCompared, compared }: Told): void {
    const { busy, long, broken } = this.#notCompared;
    this.#notCompared = {
      busy: busy + notCompared.busy,
      long: long + notCompared.long,
      broken: broken + notCompared.broken,
    };
    for (const versions of compared) this.#add(versions);
  }

  get status(): ShadowStatus {
    const { compared, different, failed } = this.#tally.all;
    const { busy, long, broken } = this.#notCompared;
    return {
      path: this.#path,
      hash: this.#hash,
      ...(this.#problem !== undefined && { problem: this.#problem }),
      since: this.#since,
      ...{ compared, different, failed },
      notCompared: busy + long + broken,
    };
  }

  /** @param isReset begins to count anew */
  report(isReset: boolean): ShadowReport {
    const report: ShadowReport = {
      path: this.#path,
      candidate: this.#candidate ?? this.#hash,
      live: this.#live,
      ...(this.#problem !== undefined && { problem: this.#problem }),
      since: this.#since,
      notCompared: this.#notCompared,
      ...this.#tally.all,
    };
    if (isReset) this.#reset();
    return report;
  }

  #reset(): void {
    this.#tally = new Tally();
    this.#notCompared = { busy: 0, long: 0, broken: 0 };
    this.#since = new Date().toISOString();
    this.#lines = 0;
  }

  /** Differences are those of two versions: with another one they are counted anew. */
  #add(versions: Versions): void {
    const { live, candidate } = versions;
    const pair = `${live} ${candidate}`;
    if (pair !== this.#pair.value) {
      if (!this.#pair.moveTo(pair)) return;
      if (this.#candidate !== undefined) this.#reset();
      this.#live = live;
      this.#candidate = candidate;
    }
    const { groups, failures } = this.#tally.add(versions);
    for (const group of groups) this.#say(changeLine(group));
    for (const failure of failures) this.#say(failureLine(failure));
  }

  #say(line: string): void {
    this.#lines += 1;
    if (this.#lines <= MAX_LINES) this.#log.notice(`shadow: ${line}`);
    else if (this.#lines === MAX_LINES + 1)
      this.#log.notice('shadow: smtpf-milter shadow report lists more kinds of differences');
  }
}

function changeLine({ kind, stage, before, after, example, ids }: ShadowGroup): string {
  const { queueId, edits } = example;
  const [was, is] =
    kind === 'edits'
      ? [edits.before.join(', ') || 'no change', edits.after.join(', ') || 'no change']
      : [example.before.answer, example.after.answer];
  const place = placeOf(after, example.after);
  const old = before === after ? '' : ` (was ${placeOf(before, example.before)})`;
  const id = queueId === undefined ? ids[0] : `${ids[0]}: ${queueId}`;
  return `${stage}: ${kind} ${place}${old}: ${was} -> ${is}; first in session ${id}`;
}

function placeOf(where: string, { callback }: ChangeGroup['example']['before']): string {
  return where || callback || 'no callback';
}

function failureLine({ callback, where, message, ids }: FailureGroup): string {
  return `failed ${callback}${where === '' ? '' : ` at ${where}`}: ${message}; first in session ${ids[0]}`;
}

/** What the newest news are about: workers tell of the same one after the other, and some lag. */
class Latest {
  value: string | undefined;
  /** When there was first something newer; as performance.now() tells. */
  readonly #leftAt = new Map<string, number>();

  /** @returns whether it is newer than what was there */
  moveTo(value: string): boolean {
    if (value === this.value) return false;
    const now = performance.now();
    for (const [old, leftAt] of this.#leftAt) if (now - leftAt > LAG_MS) this.#leftAt.delete(old);
    if (this.#leftAt.has(value)) return false;
    if (this.value !== undefined) this.#leftAt.set(this.value, now);
    this.value = value;
    return true;
  }
}
