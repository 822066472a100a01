/** The policy of `--shadow` in a world of its own: recorded sessions are played to it, several at a time where it waits. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { MAIN_CHUNK } from '../control/decision.ts';
import type { SliceQueue } from '../lua/context/slice-queue.ts';
import { SYSTEM } from '../lua/engine/surroundings.ts';
import type { Interests, Policy, SessionInfo } from '../milter/policy.ts';
import type { Options } from '../options/option-table.ts';
import { messageLimitsOf } from '../options/options.ts';
import { toldInterests } from '../policy/both-interests.ts';
import { type Failure, unpositioned } from '../policy/failure.ts';
import type { ScriptNotice } from '../policy/lua-policies.ts';
import type { Call, SessionWatcher } from '../policy/policy-settings.ts';
import { openPolicySource, type PolicySource } from '../policy/policy-source.ts';
import type { Entry } from '../recording/recorded-session.ts';
import type { ReadSession } from '../replay/commands.ts';
import { Playback } from '../replay/playback.ts';
import { type Played, playSession } from '../replay/playing.ts';
import { isToldOnly } from '../replay/steps.ts';
import type { Services } from '../services/services.ts';
import { LateFiles } from '../spool/late-files.ts';
import type { Operation } from '../store/operation.ts';
import { OverlayStore } from '../store/overlay.ts';
import { Logger } from '../syslog/log.ts';
import { type LogSink, sinkTo } from '../syslog/log-sink.ts';
import { MarkedLog } from './marked-log.ts';
import { shadowServices } from './shadow-services.ts';
import type { CandidateFailure } from './tally.ts';

/** What a policy says of itself is about mail, and a candidate has none. */
const SILENT = sinkTo(() => {});
/** Of what candidates have written to the store. */
const OVERLAY_BYTES = 32 << 20;

export interface CandidateSettings {
  /** Of the server. */
  readonly options: Options;
  /** The path of the policy. */
  readonly script: string;
  readonly spool: string;
  /** Those of the live policy. */
  readonly services: Services;
  readonly sink: LogSink;
  readonly slices: SliceQueue;
  readonly ownFiles: readonly string[];
  readonly announce: (version: CandidateVersion) => void;
}

/** A version of the candidate as it was found. */
export type CandidateVersion = Pick<ScriptNotice, 'key' | 'hash' | 'problem' | 'callbacks'>;

/** How a session went with the candidate. */
export interface Tried extends Played {
  /** Hash of the version that served it; undefined where none can run. */
  readonly script: string | undefined;
  readonly failures: readonly CandidateFailure[];
}

/** One session as it is played. */
class Play {
  readonly playback: Playback;
  readonly failures: CandidateFailure[] = [];
  script: string | undefined;
  calls: { readonly name: string; readonly where: string }[] = [];
  queueId: string | undefined;

  constructor(playback: Playback) {
    this.playback = playback;
  }
}

export class Candidate {
  readonly #options: Options;
  readonly #source: PolicySource;
  readonly #current = new AsyncLocalStorage<Play>();
  readonly #overlay: OverlayStore;
  #own: Interests | undefined;
  #interests: Interests | undefined;

  constructor(settings: CandidateSettings) {
    const { script, services, sink, spool, slices, ownFiles, announce } = settings;
    // What has all rights of the process, or runs others, cannot be kept from leaving a trace.
    const never = { allowJs: false, allowExecute: false, onBadScript: 'skip' } as const;
    const options: Options = { ...settings.options, script, ...never };
    const log = new MarkedLog(sink);
    const lateFiles = new LateFiles();
    const playback = () => this.#current.getStore()?.playback;
    this.#options = options;
    this.#overlay = new OverlayStore(services.store, () => services.clock.now(), OVERLAY_BYTES);
    this.#source = openPolicySource({
      options,
      log: new Logger(SILENT, 'error'),
      services: shadowServices(services, playback, this.#overlay, log),
      spool,
      surroundings: {
        ...SYSTEM,
        now: () => playback()?.now() ?? SYSTEM.now(),
        random: () => playback()?.random() ?? Math.random(),
        locate: (path) => lateFiles.locate(path),
        discards: true,
      },
      lateFiles,
      ownFiles,
      slices,
      sessions: { watch: (session) => this.#watch(session, log) },
      announce: (notice) => {
        this.#overlay.clear();
        announce(notice);
      },
    });
  }

  /** Looks at the script as it is now. */
  examine(): Promise<CandidateVersion> {
    return this.#source.examine();
  }

  /** What it is to be told, as of the last session; undefined before the first. */
  get interests(): Interests | undefined {
    return this.#interests;
  }

  /** Begins a session that has no events. */
  async learnInterests(): Promise<void> {
    const session = { id: '', macros: { get: () => undefined }, grantedActions: () => 0 };
    (await this.#source.open(session)).dispose();
  }

  #watch(session: SessionInfo, log: MarkedLog): PlayWatcher {
    return new PlayWatcher(session, this.#current.getStore(), log, ({ interests }) => {
      if (interests === this.#own) return;
      this.#own = interests;
      this.#interests = toldInterests(interests);
    });
  }

  /** Never rejects but for an error of ours. */
  async play(session: ReadSession, operations: ReadonlyMap<Entry, Operation<unknown>>): Promise<Tried> {
    const playback = new Playback(session.session, operations);
    const play = new Play(playback);
    const played = await this.#current.run(play, () =>
      playSession(session, {
        policies: this.#source,
        limits: messageLimitsOf(this.#options),
        step: () => {
          play.calls = [];
          playback.step();
        },
        take: () => ({
          calls: play.calls,
          unrecorded: playback.takeUnrecorded(),
          queueId: play.queueId,
        }),
      }),
    );
    return { ...played, script: play.script, failures: play.failures };
  }
}

/** Takes note of the callbacks of a session that is played. */
class PlayWatcher implements SessionWatcher {
  readonly #session: SessionInfo;
  readonly #play: Play | undefined;
  readonly #log: MarkedLog;
  readonly #opened: (policy: Policy) => void;
  #isBroken = false;

  constructor(
    session: SessionInfo,
    play: Play | undefined,
    log: MarkedLog,
    opened: (policy: Policy) => void,
  ) {
    this.#session = session;
    this.#play = play;
    this.#log = log;
    this.#opened = opened;
  }

  of(policy: Policy): Policy {
    if (!this.#isBroken) this.#opened(policy);
    return policy;
  }

  began(hash: string): void {
    if (this.#play) this.#play.script = hash;
  }

  called({ name, where, failure }: Call): void {
    const play = this.#play;
    if (play === undefined) return;
    play.queueId = this.#session.macros.get('i') || undefined;
    if (failure !== undefined) this.#noteFailure(play, name, failure);
    if (!isToldOnly(name)) play.calls.push({ name, where: where() });
  }

  failed(failure: Failure): void {
    this.#isBroken = true;
    const play = this.#play;
    // Where no version can run, that was said once.
    if (play?.script !== undefined) this.#noteFailure(play, MAIN_CHUNK, failure);
  }

  #noteFailure(play: Play, callback: string, { where, message }: Failure): void {
    const plain = unpositioned(message, where);
    play.failures.push({ callback, where, message: plain });
    const id = play.queueId === undefined ? this.#session.id : `${this.#session.id}: ${play.queueId}`;
    this.#log.warn(`${id}: ${where === '' ? '' : `${where}: `}${callback}: ${plain}`);
  }
}
