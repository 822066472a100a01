/**
 * A milter session without a socket: commands in, replies out, through the same machine and the same policy that serve an
 * MTA.
 */
import type { Command } from '../milter/command.ts';
import type { PolicyFactory } from '../milter/policy.ts';
import type { Modification, Reply, SymbolList } from '../milter/reply.ts';
import { type Failure, type MtaSide, SessionDriver } from '../milter/session-driver.ts';
import { DEFAULT_MESSAGE_LIMITS, type MessageLimits } from '../milter/transaction.ts';

/** What came back for a command: no reply where none was due. */
export interface FilterReply {
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

export class SessionRunner implements MtaSide {
  readonly #settings: RunnerSettings;
  readonly #driver: SessionDriver;
  #reply: Reply | undefined;
  #modifications: Modification[] = [];
  /** Settles when the policy has ended what it works on. */
  #goneOn: ((failure: Failure | undefined) => void) | undefined;

  constructor(settings: RunnerSettings) {
    const { policies, nextSessionId, limits = DEFAULT_MESSAGE_LIMITS } = settings;
    this.#settings = settings;
    this.#driver = new SessionDriver({ policies, nextSessionId, limits }, this);
  }

  /** SMFIP_ bits agreed on; 0 before negotiation. */
  get protocol(): number {
    return this.#driver.agreement?.protocol ?? 0;
  }

  /** The macros that the filter has asked for. */
  get symbols(): readonly SymbolList[] {
    return this.#driver.agreement?.symbols ?? [];
  }

  /** One command at a time. @returns at once where the policy waits for nothing */
  say(command: Command): FilterReply | Promise<FilterReply> {
    this.#settings.heard?.(command);
    this.#reply = undefined;
    this.#modifications = [];
    this.#driver.receive(command);
    return this.#driver.carryOut() ? this.#said() : this.#rest().then(() => this.#said());
  }

  /** The MTA is gone: what is open ends. @returns undefined where the policy waits for nothing */
  end(): Promise<void> | undefined {
    this.#driver.end();
    if (!this.#driver.carryOut()) return this.#rest().then(() => this.#driver.dispose());
    this.#driver.dispose();
    return undefined;
  }

  #said(): FilterReply {
    return { reply: this.#reply, modifications: this.#modifications };
  }

  async #rest(): Promise<void> {
    do {
      const failure = await new Promise<Failure | undefined>((resolve) => {
        this.#goneOn = resolve;
      });
      if (failure !== undefined) throw failure.error;
    } while (!this.#driver.carryOut());
  }

  send(reply: Reply): void {
    this.#reply = reply;
  }

  modify(modification: Modification): void {
    this.#modifications.push(modification);
  }

  warn(message: string): void {
    this.#settings.warn(`${this.#driver.id}: ${message}`);
  }

  goesOn(failure: Failure | undefined): void {
    this.#goneOn?.(failure);
  }

  flush(): void {}
  hangUp(): void {}
  waits(): void {}
}
