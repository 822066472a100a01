/**
 * One MTA's sessions at work: commands go into the machine, and its steps are carried out on the policy and on whoever
 * speaks to the MTA. It knows no socket: a connection has one, and so has the bench that imitates an MTA.
 *
 *     receive(command); carryOut()      until carryOut() says true, before the next command
 *
 * It says false while the policy works on an event; `goesOn` says when to call it again.
 */
import type { Command } from './command.ts';
import type { Agreement } from './negotiation.ts';
import type { Policy, PolicyEvent, PolicyFactory, SessionInfo, Verdict } from './policy.ts';
import type { Modification, Reply } from './reply.ts';
import { Session, type Step } from './session.ts';
import type { MessageLimits, Room } from './transaction.ts';

/** What was thrown. */
export interface Failure {
  readonly error: unknown;
}

/** Whoever speaks to the MTA. */
export interface MtaSide {
  send(reply: Reply): void;
  modify(modification: Modification): void;
  /** What was sent goes out now: the policy is about to be told of a thing that the MTA does not wait for. */
  flush(): void;
  /** Nothing more comes. */
  hangUp(): void;
  /** Something the operator should read. */
  warn(message: string): void;
  /** The policy works on an event; `asked`: it decides something that the MTA waits for. */
  waits(event: PolicyEvent, asked: boolean): void;
  /** It has ended, or has failed by an error of ours. */
  goesOn(failure: Failure | undefined): void;
}

export interface DriverSettings {
  readonly policies: PolicyFactory;
  readonly limits: MessageLimits;
  /** For the messages of all sessions; undefined: without bound. */
  readonly room?: Room | undefined;
  /** A new id for each SMTP session. */
  readonly nextSessionId: () => string;
  /** What else a policy may ask. */
  readonly info?: Pick<SessionInfo, 'mayLog' | 'keptBytes'>;
}

const NO_STEPS: readonly Step[] = [];

export class SessionDriver {
  readonly #settings: DriverSettings;
  readonly #mta: MtaSide;
  #id: string;
  #session: Session | undefined;
  #policy: Policy | undefined;
  /** Steps still to carry out; `#next` is the index of the first of them. */
  #steps: readonly Step[] = NO_STEPS;
  #next = 0;
  #waiting = false;
  /** The event that the policy works on decides something the MTA waits for. */
  #asking = false;
  #gone = false;
  #events = 0;

  constructor(settings: DriverSettings, mta: MtaSide) {
    this.#settings = settings;
    this.#mta = mta;
    this.#id = settings.nextSessionId();
  }

  /** Of the SMTP session. */
  get id(): string {
    return this.#id;
  }

  /** What was agreed on with the MTA; undefined before that. */
  get agreement(): Agreement | undefined {
    return this.#session?.agreement;
  }

  /** Whether the first command has come, and there is a policy. */
  get hasBegun(): boolean {
    return this.#session !== undefined;
  }

  /** Whether the policy works on an event. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** How many events the policy has been given. */
  get events(): number {
    return this.#events;
  }

  /** Whether all is carried out. */
  get isIdle(): boolean {
    return !this.#waiting && this.#next >= this.#steps.length;
  }

  /** Whether the MTA may be told to wait; see Session. */
  mayReportProgress(endIsQueued: () => boolean): boolean {
    return this.#session?.mayReportProgress(endIsQueued) ?? false;
  }

  /** The MTA has said something. @throws ProtocolError when it makes no sense here */
  receive(command: Command): void {
    if (this.#session) this.#take(this.#session.receive(command));
    else this.#begin(command);
  }

  /**
   * Carries out what there is to do.
   *
   * @returns false while the policy works on an event
   * @throws what the policy throws
   */
  carryOut(): boolean {
    if (this.#waiting) return false;
    for (let step = this.#steps[this.#next]; step; step = this.#steps[this.#next]) {
      this.#next += 1;
      switch (step.kind) {
        case 'send':
          this.#mta.send(step.reply);
          this.#policy?.replied?.(step.reply);
          break;
        case 'modify':
          this.#mta.modify(step.modification);
          break;
        case 'hangUp':
          this.#mta.hangUp();
          break;
        case 'again':
          if (this.#session) this.#take(this.#session.receive(step.command));
          break;
        case 'warn':
          this.#mta.warn(step.message);
          break;
        case 'tell':
        case 'ask': {
          if (step.kind === 'tell') this.#mta.flush();
          const verdict = this.#handle(step.event);
          if (verdict instanceof Promise) {
            this.#wait(step.event, step.kind === 'ask', verdict);
            return false;
          }
          this.#settle(step.event, step.kind === 'ask', verdict);
          break;
        }
        default:
          step satisfies never;
      }
    }
    return true;
  }

  /**
   * The MTA is gone. What the policy works on for it is cancelled; what it is told at the end it finishes. carryOut() does
   * the rest, now or after `goesOn`.
   */
  end(): void {
    this.#gone = true;
    if (!this.#waiting) this.#takeEnd();
    else if (this.#asking) this.#policy?.cancel();
  }

  /** After an error of ours: nothing more is carried out. */
  abandon(): void {
    this.#take(NO_STEPS);
  }

  /** Lets go of the policy. Harmless when repeated. */
  dispose(): void {
    this.#policy?.dispose();
    this.#policy = undefined;
  }

  #take(steps: readonly Step[]): void {
    this.#steps = steps;
    this.#next = 0;
  }

  /** The rest of what the policy is told, and the end of what is open. */
  #takeEnd(): void {
    const rest = this.#steps.slice(this.#next).filter((step) => step.kind === 'tell');
    this.#take([...rest, ...(this.#session?.end() ?? NO_STEPS)]);
  }

  /** The first command has come: from here on there is a policy. */
  #begin(first: Command): void {
    const start = (policy: Policy): void => {
      this.#session = new Session(policy.interests, this.#settings.limits, this.#settings.room);
      this.#take(this.#session.receive(first));
    };
    const opened = this.#open();
    if (!(opened instanceof Promise)) {
      start(opened);
      return;
    }
    this.#waiting = true;
    opened.then(
      (policy) => this.#goOn(() => (this.#gone ? undefined : start(policy))),
      (error: unknown) => this.#goOn(() => raise(error)),
    );
  }

  #handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    this.#events += 1;
    if (this.#policy) return this.#policy.handle(event);
    this.#id = this.#settings.nextSessionId();
    const opened = this.#open();
    return opened instanceof Promise ? opened.then((policy) => policy.handle(event)) : opened.handle(event);
  }

  #open(): Policy | Promise<Policy> {
    const info: SessionInfo = {
      id: this.#id,
      macros: { get: (name) => this.#session?.macros.get(name) },
      grantedActions: () => this.#session?.agreement?.actions ?? 0,
      ...this.#settings.info,
    };
    const keep = (policy: Policy): Policy => {
      this.#policy = policy;
      return policy;
    };
    const opened = this.#settings.policies.open(info);
    return opened instanceof Promise ? opened.then(keep) : keep(opened);
  }

  #settle(event: PolicyEvent, asked: boolean, verdict: Verdict): void {
    if (event.kind === 'close') this.dispose();
    if (asked && this.#session && !this.#gone) this.#take(this.#session.answer(verdict));
  }

  #wait(event: PolicyEvent, asked: boolean, verdict: Promise<Verdict>): void {
    this.#waiting = true;
    this.#asking = asked;
    this.#mta.waits(event, asked);
    verdict.then(
      (settled) => this.#goOn(() => this.#settle(event, asked, settled)),
      (error: unknown) => this.#goOn(() => raise(error)),
    );
  }

  #goOn(settle: () => void): void {
    this.#waiting = false;
    this.#asking = false;
    let failure: Failure | undefined;
    try {
      settle();
    } catch (error) {
      failure = { error };
      if (this.#gone) this.abandon();
    }
    if (this.#gone) this.#takeEnd();
    this.#mta.goesOn(failure);
  }
}

function raise(error: unknown): never {
  throw error;
}
