/**
 * A milter session without a socket: commands in, replies out, through the same machine and the same policy that serve an
 * MTA.
 */
import type { Command } from '../milter/command.ts';
import type { Policy, PolicyFactory } from '../milter/policy.ts';
import type { Modification, Reply, SymbolList } from '../milter/reply.ts';
import { Session, type Step } from '../milter/session.ts';
import { DEFAULT_MESSAGE_LIMITS, type MessageLimits } from '../milter/transaction.ts';

/** What came back for a command: no reply where none was due. */
export interface Answer {
  readonly reply: Reply | undefined;
  readonly modifications: readonly Modification[];
}

export interface RunnerSettings {
  readonly policies: PolicyFactory;
  readonly nextSessionId: () => string;
  /** What the operator would read in the log. */
  readonly warn: (message: string) => void;
  /** Bounds of a message; undefined for the usual ones. */
  readonly limits?: MessageLimits;
  /** Is told each command as the filter gets it. */
  readonly heard?: (command: Command) => void;
}

export class SessionRunner {
  readonly #settings: RunnerSettings;
  #session: Session | undefined;
  #policy: Policy | undefined;
  #id = '';

  constructor(settings: RunnerSettings) {
    this.#settings = settings;
  }

  /** SMFIP_ bits agreed on; 0 before negotiation. */
  get protocol(): number {
    return this.#session?.agreement?.protocol ?? 0;
  }

  /** The macros that the filter has asked for. */
  get symbols(): readonly SymbolList[] {
    return this.#session?.agreement?.symbols ?? [];
  }

  /** One command at a time. */
  async say(command: Command): Promise<Answer> {
    this.#settings.heard?.(command);
    this.#session ??= new Session(
      (await this.#open()).needs,
      this.#settings.limits ?? DEFAULT_MESSAGE_LIMITS,
    );
    return this.#carryOut(this.#session.receive(command));
  }

  /** The MTA is gone: what is open ends. */
  async end(): Promise<void> {
    if (this.#session) await this.#carryOut(this.#session.end());
    this.#policy?.dispose();
    this.#policy = undefined;
  }

  async #open(): Promise<Policy> {
    this.#id = this.#settings.nextSessionId();
    this.#policy = await this.#settings.policies.open({
      id: this.#id,
      macros: { get: (name) => this.#session?.macros.get(name) },
      grantedActions: () => this.#session?.agreement?.actions ?? 0,
    });
    return this.#policy;
  }

  async #carryOut(first: readonly Step[]): Promise<Answer> {
    const modifications: Modification[] = [];
    let reply: Reply | undefined;
    const steps = [...first];
    for (let step = steps.shift(); step; step = steps.shift()) {
      switch (step.kind) {
        case 'send':
          reply = step.reply;
          break;
        case 'modify':
          modifications.push(step.modification);
          break;
        case 'warn':
          this.#settings.warn(`${this.#id}: ${step.message}`);
          break;
        case 'tell': {
          const policy = this.#policy ?? (await this.#open());
          await policy.handle(step.event);
          if (step.event.kind === 'close') {
            policy.dispose();
            this.#policy = undefined;
          }
          break;
        }
        case 'ask': {
          const policy = this.#policy ?? (await this.#open());
          const verdict = await policy.handle(step.event);
          if (this.#session) steps.unshift(...this.#session.answer(verdict));
          break;
        }
        case 'again':
          if (this.#session) steps.unshift(...this.#session.receive(step.command));
          break;
        case 'hangUp':
          break;
        default:
          step satisfies never;
      }
    }
    return { reply, modifications };
  }
}
