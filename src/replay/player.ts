/** A policy that recorded sessions are played to, as the MTA that sent them would send them to it. */
import type { Command } from '../milter/command.ts';
import { SMFIP } from '../milter/constants.ts';
import { ProtocolError } from '../milter/protocol-error.ts';
import type { SymbolList } from '../milter/reply.ts';
import type { Options } from '../options/option-table.ts';
import { messageLimitsOf } from '../options/options.ts';
import type { CallRecord } from '../policy/policy-settings.ts';
import { openPolicySource, type PolicySource } from '../policy/policy-source.ts';
import type { RecordedSession } from '../recording/recorded-session.ts';
import { Logger } from '../syslog/log.ts';
import { sinkTo } from '../syslog/log-sink.ts';
import { DECLINING } from '../workbench/filter-link.ts';
import { SessionRunner } from '../workbench/session-runner.ts';
import { commandOf } from './commands.ts';
import { Playback } from './playback.ts';
import { replayServices, type StandInKeys } from './replay-services.ts';
import { isToldOnly, type Outcome, type Step, StepList } from './steps.ts';

/** How a session went. */
export interface Played {
  readonly steps: readonly Step[];
  /** What the policy would be told, and the recording does not have, as nobody asked for it then: `body`, `macro {x}`. */
  readonly unseen: readonly string[];
}

const EVENT_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [SMFIP.NOCONNECT, 'connect'],
  [SMFIP.NOHELO, 'HELO'],
  [SMFIP.NOMAIL, 'MAIL'],
  [SMFIP.NORCPT, 'RCPT'],
  [SMFIP.NODATA, 'DATA'],
  [SMFIP.NOHDRS, 'headers'],
  [SMFIP.NOBODY, 'body'],
  [SMFIP.NOUNKNOWN, 'unknown commands'],
];

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
  async play(session: RecordedSession): Promise<Played> {
    const playback = new Playback(session);
    this.#playback = playback;
    const list = new StepList();
    const runner = new SessionRunner({
      policies: this.#source,
      nextSessionId: () => session.id,
      warn: () => {},
      limits: messageLimitsOf(this.#options),
    });
    let unseen: readonly string[] = [];
    try {
      for (const entry of session.entries) {
        if (entry[0] !== 'command') {
          if (entry[0] === 'reply' && entry[1].kind === 'negotiate') {
            unseen = unseenOf(entry[1], { protocol: runner.protocol, symbols: runner.symbols });
          }
          continue;
        }
        playback.step();
        const command = commandOf(entry[1]);
        if (command === undefined) break;
        list.add(command, await this.#say(runner, command));
      }
    } catch (error) {
      // The server closes the connection of an MTA that says what makes no sense.
      if (!(error instanceof ProtocolError)) throw error;
    } finally {
      await runner.end();
    }
    list.end();
    return { steps: list.steps, unseen };
  }

  async #say(runner: SessionRunner, command: Command): Promise<Outcome> {
    this.#calls = [];
    // An MTA does not tell what the filter has declined.
    const isDeclined = ((DECLINING[command.kind] ?? 0) & runner.protocol) !== 0;
    const answer = isDeclined ? undefined : await runner.say(command);
    return {
      reply: answer?.reply,
      edits: answer?.modifications ?? [],
      calls: this.#calls.map(({ name, where }) => ({ name, where })),
      unrecorded: this.#playback.takeUnrecorded(),
    };
  }
}

interface Agreed {
  readonly protocol: number;
  readonly symbols: readonly SymbolList[];
}

function unseenOf(then: Agreed, now: Agreed): string[] {
  const events = EVENT_NAMES.filter(([bit]) => (then.protocol & bit) !== 0 && (now.protocol & bit) === 0);
  const had = new Set(then.symbols.flatMap(({ names }) => names));
  const macros = new Set(now.symbols.flatMap(({ names }) => names).filter((name) => !had.has(name)));
  return [...events.map(([, name]) => name), ...[...macros].map((name) => `macro ${name}`)];
}
