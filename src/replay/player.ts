/** A policy that recorded sessions are played to, as the MTA that sent them would send them to it. */
import type { Options } from '../options/option-table.ts';
import { messageLimitsOf } from '../options/options.ts';
import type { CallRecord } from '../policy/policy-settings.ts';
import { openPolicySource, type PolicySource } from '../policy/policy-source.ts';
import { Logger } from '../syslog/log.ts';
import { sinkTo } from '../syslog/log-sink.ts';
import type { ReadSession } from './commands.ts';
import { Playback } from './playback.ts';
import { type Played, playSession } from './playing.ts';
import { replayServices, type StandInKeys } from './replay-services.ts';
import { isToldOnly } from './steps.ts';

const SILENT = sinkTo(() => {});

export class PolicyPlayer {
  readonly #options: Options;
  readonly #source: PolicySource;
  #playback = new Playback({ id: '', began: Date.now(), script: undefined, redacted: [], entries: [] });
  #calls: CallRecord[] = [];

  /** @param spool a private directory */
  constructor(options: Options, spool: string, keys: StandInKeys) {
    this.#options = options;
    this.#source = openPolicySource({
      options,
      log: new Logger(SILENT, 'error'),
      services: replayServices(() => this.#playback, keys),
      spool,
      surroundings: {
        now: () => this.#playback.now(),
        random: () => this.#playback.random(),
        env: (name) => process.env[name],
        locate: (path) => path,
      },
      observer: {
        called: (call) => {
          if (!isToldOnly(call.name)) this.#calls.push(call);
        },
        printed: () => {},
      },
      announce: () => {},
    });
  }

  /** What keeps the policy from running. */
  async problem(): Promise<string | undefined> {
    return (await this.#source.examine()).problem;
  }

  /** One session after the other. */
  play(session: ReadSession): Promise<Played> {
    const playback = new Playback(session.session);
    this.#playback = playback;
    return playSession(session, {
      policies: this.#source,
      limits: messageLimitsOf(this.#options),
      step: () => {
        this.#calls = [];
        playback.step();
      },
      take: () => ({
        calls: this.#calls.map(({ name, where }) => ({ name, where })),
        unrecorded: playback.takeUnrecorded(),
      }),
    });
  }
}
