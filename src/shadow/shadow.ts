/**
 * `--shadow` in one process: sessions of the live policy are played to a candidate once they are over, and compared as
 * `replay` compares them. No session waits for that, and where the process is short of time or memory it is left out first.
 */
import type { Interests } from '../milter/policy.ts';
import type { TapedSession } from '../recording/recorded-session.ts';
import type { TapeTaker } from '../recording/tapes.ts';
import { read } from '../replay/commands.ts';
import { findingOf } from '../replay/differences.ts';
import { recordedSteps } from '../replay/steps.ts';
import { Candidate, type CandidateSettings, type Tried } from './candidate.ts';
import { type CandidateFailure, type Compared, type ShadowFinding, Tally } from './tally.ts';
import { toldFinding } from './told-finding.ts';

/** Sessions that were not compared. */
export interface NotCompared {
  /** The process was short of time or memory. */
  readonly busy: number;
  /** They were too long to be kept until their ends. */
  readonly long: number;
  /** No version of the candidate can run. */
  readonly broken: number;
}

/** What a process tells of what it has compared since the last time. */
export interface Told {
  readonly notCompared: NotCompared;
  /** By the versions of both policies. */
  readonly compared: readonly Versions[];
}

export interface Versions extends Compared {
  /** Hashes; undefined where the live policy cannot run. */
  readonly live: string | undefined;
  readonly candidate: string;
}

export interface ShadowSettings extends CandidateSettings {
  /** Whether the process is short of memory. */
  readonly isShort: () => boolean;
  readonly warn: (text: string) => void;
}

/** Sessions that wait, together. */
const MAX_WAITING = 500;
const MAX_WAITING_BYTES = 32 << 20;
/** Sessions in which the candidate waits for an answer. */
const MAX_PLAYING = 100;
/** How long sessions are played before others have their turn. */
const TURN_MS = 2;
/** Share of the time in which the event loop worked, from which on there is none to spare. */
const BUSY = 0.95;
const LOOK_MS = 250;
/** Versions whose figures a process has at a time; there are two where a policy was edited. */
const MAX_VERSIONS = 4;

interface Waiting {
  readonly session: TapedSession;
  readonly bytes: number;
}

export class Shadow implements TapeTaker {
  readonly #settings: ShadowSettings;
  readonly #candidate: Candidate;
  readonly #isRedacted: boolean;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #playing = 0;
  #turn: NodeJS.Immediate | undefined;
  #pause: NodeJS.Timeout | undefined;
  #utilization = performance.eventLoopUtilization();
  #lookedAt = performance.now();
  #isBusy = false;
  #isClosed = false;
  #tallies = new Map<string, { live: string | undefined; candidate: string; tally: Tally }>();
  #notCompared = { busy: 0, long: 0, broken: 0 };

  constructor(settings: ShadowSettings) {
    this.#settings = settings;
    this.#candidate = new Candidate(settings);
    this.#isRedacted = settings.options.journalRedact;
  }

  /** Looks at the script, and has what is found announced. */
  async examine(): Promise<void> {
    const { key, hash, problem, callbacks } = await this.#candidate.examine();
    this.#settings.announce({ key, hash, problem, callbacks });
    if (problem === undefined) await this.#candidate.learnInterests();
  }

  /** What the candidate is to be told by the MTA; undefined as long as that is not known. */
  readonly interests = (): Interests | undefined => this.#candidate.interests;

  wants(): boolean {
    return !this.#isClosed;
  }

  take(session: TapedSession): void {
    if (this.#isClosed || session.isCanary) return;
    if (session.entries === undefined) {
      this.#notCompared.long += 1;
      return;
    }
    const bytes = session.entries.reduce(
      (sum, entry) => sum + (entry[0] === 'command' ? entry[1].length : 100),
      0,
    );
    const isFull = this.#waiting.length >= MAX_WAITING || this.#waitingBytes + bytes > MAX_WAITING_BYTES;
    if (isFull || this.#settings.isShort()) {
      this.#notCompared.busy += 1;
      return;
    }
    this.#waiting.push({ session, bytes });
    this.#waitingBytes += bytes;
    this.#schedule();
  }

  /** What has come since the last time; undefined where nothing has. */
  told(): Told | undefined {
    const notCompared = this.#notCompared;
    const tallies = [...this.#tallies.values()];
    if (tallies.length === 0 && notCompared.busy + notCompared.long + notCompared.broken === 0)
      return undefined;
    this.#tallies = new Map();
    this.#notCompared = { busy: 0, long: 0, broken: 0 };
    return {
      notCompared,
      compared: tallies.map(({ live, candidate, tally }) => ({ live, candidate, ...tally.all })),
    };
  }

  /** Compares nothing more. */
  close(): void {
    this.#isClosed = true;
    clearImmediate(this.#turn);
    clearTimeout(this.#pause);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #schedule(): void {
    if (this.#turn !== undefined || this.#pause !== undefined || this.#isClosed) return;
    if (this.#waiting.length === 0 || this.#playing >= MAX_PLAYING) return;
    if (this.#hasNoTime()) {
      this.#pause = setTimeout(() => {
        this.#pause = undefined;
        this.#schedule();
      }, LOOK_MS).unref();
      return;
    }
    // When the event loop has looked at its sockets.
    this.#turn = setImmediate(() => {
      this.#turn = undefined;
      this.#play();
    });
  }

  /** Whether the event loop had hardly a moment to spare lately: what comes from the MTAs needs all of it. */
  #hasNoTime(): boolean {
    const now = performance.now();
    if (now - this.#lookedAt >= LOOK_MS) {
      const utilization = performance.eventLoopUtilization();
      this.#isBusy = performance.eventLoopUtilization(utilization, this.#utilization).utilization >= BUSY;
      this.#utilization = utilization;
      this.#lookedAt = now;
    }
    return this.#isBusy;
  }

  #play(): void {
    const end = performance.now() + TURN_MS;
    do {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#waitingBytes -= next.bytes;
      this.#playing += 1;
      this.#compare(next.session)
        .catch((error: unknown) =>
          this.#settings.warn(`shadow: ${next.session.id}: internal error: ${stackOf(error)}`),
        )
        .finally(() => {
          this.#playing -= 1;
          this.#schedule();
        });
    } while (this.#playing < MAX_PLAYING && performance.now() < end);
    this.#schedule();
  }

  async #compare(taped: TapedSession): Promise<void> {
    const { id, began, script: live, entries = [], operations } = taped;
    const session = read({ id, began, script: live, redacted: [], entries });
    const tried = await this.#candidate.play(session, operations);
    const { script: candidate } = tried;
    if (this.#isClosed) return;
    if (candidate === undefined) {
      this.#notCompared.broken += 1;
      return;
    }
    const tally = this.#tallyOf(live, candidate);
    const finding = {
      ...findingOf(session, recordedSteps(session), tried),
      failures: failuresOf(tried, taped),
    };
    if (isPlain(finding)) tally?.notePlain();
    else tally?.note(toldFinding(finding, this.#isRedacted));
  }

  #tallyOf(live: string | undefined, candidate: string): Tally | undefined {
    const key = `${live} ${candidate}`;
    let known = this.#tallies.get(key);
    if (known === undefined && this.#tallies.size < MAX_VERSIONS) {
      known = { live, candidate, tally: new Tally() };
      this.#tallies.set(key, known);
    }
    return known?.tally;
  }
}

/** Whether there is nothing to tell of a session, as of nearly all. */
function isPlain({ changes, failures, unrecorded, unseen }: ShadowFinding): boolean {
  return changes.length + failures.length + unrecorded.length + unseen.length === 0;
}

/** Failures of callbacks that did not fail in the live policy. */
function failuresOf({ failures }: Tried, { failed }: TapedSession): readonly CandidateFailure[] {
  if (failures.length === 0 || failed.length === 0) return failures;
  const rest = [...failed];
  return failures.filter(({ callback }) => {
    const at = rest.indexOf(callback);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
